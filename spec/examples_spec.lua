-- The examples print what stands beside them in examples/expected. Each runs in a process of its own,
-- on the Lua that runs the specs. A new example is found by its number.

local lfs = require "lfs"
local shell = require "spec.support.shell"

local EXAMPLES = {}
for name in lfs.dir("examples") do
  EXAMPLES[#EXAMPLES + 1] = name:match("^(%d%d_.+)%.lua$")
end
table.sort(EXAMPLES)


local function expected(name)
  local file = assert(io.open("examples/expected/" .. name .. ".txt"))
  local text = file:read("*a")
  file:close()
  return text
end


describe("an example in Lua", function()
  for _, name in ipairs(EXAMPLES) do
    it("prints what it promises: " .. name, function()
      local command = ("%s timeout 60 %s examples/%s.lua 2>&1"):format(shell.lua_settings(), shell.interpreter, name)
      assert.equal(expected(name), shell.output(command))
    end)
  end
end)


describe("the host in C", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)

  after_each(function()
    for _, suffix in ipairs { "", "-wal", "-shm", "-owner", ".out" } do os.remove(path .. suffix) end
  end)

  it("greets everybody", function()
    assert.equal(expected("c_host"), shell.output(("timeout 60 build/c_host %s 2>&1"):format(path)))
  end)

  it("goes on after a SIGKILL, and greets nobody twice whose greeting was recorded", function()
    local text = shell.output((([[
      build/c_host PATH >PATH.out 2>&1 &
      tries=0
      until grep -q Edsger PATH.out || [ $((tries += 1)) -gt 1000 ]; do sleep 0.01; done
      kill -9 $! && wait $! 2>/dev/null
      timeout 60 build/c_host PATH 2>&1
    ]]):gsub("PATH", path)))
    assert.equal(expected("c_host"):match("([^\n]+\n)$"), text:match("([^\n]+\n)$"))
    assert.falsy(text:find('greeting "Ada"', 1, true))
    assert.truthy(text:find('greeting "Grace"', 1, true))
  end)
end)
