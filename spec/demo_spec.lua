-- make demo on a machine made up here: a root directory with a few packages, each of them with a
-- peculiarity of dpkg. The kills are real ones.

local shell = require "spec.support.shell"

-- 24 packages with three files each. A file of p03 is altered, one of p04 is gone, one of p05 is
-- diverted by p06, one of p07 has been taken over by p08 (and is another one now), p09 has names that
-- shells and md5sum quote, p24 writes its paths in another way and has more files than one chunk.
local MAKE_ROOT = [[
  set -eu
  mkdir -p "$1/var/lib/dpkg/info" && cd "$1"
  for n in $(seq -w 1 24); do
    mkdir -p usr/share/p$n
    for file in a b c; do echo "$file of p$n" >usr/share/p$n/$file; done
  done
  echo 'with spaces' >'usr/share/p09/d e'
  echo 'with a backslash' >'usr/share/p09/d\x2de'
  echo 'altered, with a backslash' >'usr/share/p09/d\x2df'
  for n in $(seq 1 400); do echo $n >usr/share/p24/$n; done
  for n in $(seq -w 1 24); do
    md5sum usr/share/p$n/* | sed -e '/^\\/ { s/^\\//; s/\\\\/\\/g; }' >var/lib/dpkg/info/p$n.md5sums
    { echo /.; find usr/share/p$n -type f | sed 's,^,/,'; } >var/lib/dpkg/info/p$n.list
  done
  echo 'more' >>'usr/share/p09/d\x2df'
  echo 'tampered' >usr/share/p03/b
  rm usr/share/p04/c
  mv usr/share/p05/a usr/share/p05/a.diverted
  echo 'of p06' >usr/share/p05/a
  printf '/usr/share/p05/a\n/usr/share/p05/a.diverted\np06\n' >var/lib/dpkg/diversions
  echo 'of p08' >usr/share/p07/a
  sed -i '/p07.a$/d' var/lib/dpkg/info/p07.list
  sed -i 's,  usr,  ./usr,' var/lib/dpkg/info/p24.md5sums
]]


-- What the demo prints, and "exit N" at its end.
local function demo(settings)
  return shell.output(("%s DEBSUMS_PAUSE=0.4 LUA=%s %s sh examples/demo.sh 2>&1; echo exit $?"):format(settings,
    shell.interpreter, shell.lua_settings()))
end


describe("the demo", function()
  local root

  setup(function()
    root = shell.output("mktemp -d"):gsub("\n", "")
    shell.output(("sh -c %s sh %s/one && cp -a %s/one %s/other"):format(shell.quoted(MAKE_ROOT), root, root, root))
  end)

  teardown(function()
    shell.output("rm -rf " .. root)
  end)

  it("is killed twice, goes on each time, and agrees with md5sum -c", function()
    local text = demo(("DEBSUMS_ROOT=%s/one"):format(root))
    assert.truthy(text:find("exit 0", 1, true), text)
    assert.truthy(text:find("packages%s+24\nfiles%s+474\nmismatches%s+2\nmissing%s+1\nunreadable%s+0\n"), text)
    assert.truthy(text:find("kill 1: .- [1-9]%d* activities ran again"), text)
    assert.truthy(text:find("kill 2: .- %d+ activities ran again"), text)
    assert.truthy(text:find("md5sum -c agrees: files 474, 3 of them not as recorded", 1, true), text)
  end)

  it("fails and names the files when the independent answer is another one", function()
    shell.output(("cd %s/other && rm usr/share/p20/a && echo >usr/share/p21/b"):format(root))
    local text = demo(("DEBSUMS_ROOT=%s/one DEBSUMS_CHECK_ROOT=%s/other"):format(root, root))
    assert.truthy(text:find("exit 1", 1, true), text)
    assert.truthy(text:find("only md5sum -c says:   unread usr/share/p20/a", 1, true), text)
    assert.truthy(text:find("only md5sum -c says:   mismatch usr/share/p21/b", 1, true), text)
  end)

  it("says so where there is no dpkg", function()
    local text = demo(("DEBSUMS_ROOT=%s/nothing"):format(root))
    assert.truthy(text:find("no dpkg database in", 1, true), text)
    assert.truthy(text:find("exit 1", 1, true), text)
  end)
end)
