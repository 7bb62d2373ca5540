-- The examples print what stands beside them in examples/expected. Each runs in a process of its own,
-- on the Lua that runs the specs. A new example is found by its number.

local child = require "spec.support.child"
local lfs = require "lfs"

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


local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end


describe("an example in Lua", function()
  for _, name in ipairs(EXAMPLES) do
    it("prints what it promises: " .. name, function()
      assert.equal(expected(name), output_of(child.command("examples/" .. name .. ".lua")))
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
    assert.equal(expected("c_host"), output_of("build/c_host " .. path .. " 2>&1"))
  end)

  it("goes on after a SIGKILL, and starts nothing twice", function()
    local text = output_of(([[
      build/c_host %s >%s.out 2>&1 &
      tries=0
      until grep -q Ada %s.out || [ $((tries += 1)) -gt 500 ]; do sleep 0.01; done
      kill -9 $!
      build/c_host %s 2>&1
    ]]):gsub("%%s", path))
    local last_line = expected("c_host"):match("([^\n]+\n)$")
    assert.equal(last_line, text:match("([^\n]+\n)$"))
    assert.truthy(text:find('greeting "Grace"', 1, true))
  end)
end)
