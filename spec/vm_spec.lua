-- A file that one Lua VM began, under the other: everything can be listed and managed, and nothing is
-- run unless any_vm says so. The other VM is a child process with the module built for it.

local runtimes = require "spec.support.runtimes"

local IS_JIT = rawget(_G, "jit") ~= nil
local OTHER = IS_JIT and "lua5.4" or "luajit"

local PROGRAM = [[
local duro = require "duro"
duro.activity("double", function(_, n) return n * 2 end)
duro.orchestration("begun_there", function(ctx, n)
  local doubled = ctx:activity("double", n)
  ctx:set_custom_status("waits")
  return doubled + ctx:wait_event("more")
end)
]]


-- What a script prints under the other VM.
local function elsewhere(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(PROGRAM, script)
  file:close()
  local cpath = package.cpath:gsub("/lua5%.4/%?", "/%%/?"):gsub("/luajit/%?", "/%%/?"):gsub("/%%/", "/" .. OTHER .. "/")
  local pipe = assert(io.popen(("LUA_INIT= LUA_PATH='%s' LUA_CPATH='%s' %s %s 2>&1"):format(package.path, cpath,
    OTHER, path)))
  local text = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return text
end


local function begin(path)
  local text = elsewhere(([[
    local rt = assert(duro.open { path = %q, durability = "normal" })
    assert(rt:start("begun_there", 21, { id = "there" }))
    assert(rt:run_until_idle(30))
    rt:close()
    print("begun")
  ]]):format(path))
  assert.equal("begun\n", text)
end


local function program(rt)
  rt:activity("double", function(_, n) return n * 2 end)
  rt:orchestration("begun_there", function(ctx, n)
    local doubled = ctx:activity("double", n)
    ctx:set_custom_status("waits")
    return doubled + ctx:wait_event("more")
  end)
end


describe("an instance that the other Lua VM began", function()
  local path

  before_each(function()
    path = runtimes.path()
    begin(path)
  end)
  after_each(runtimes.clean)

  it("is listed and shown like any other", function()
    local rt = runtimes.open { path = path, clock = "system" }
    program(rt)
    local list = rt:list_instances { name = "begun_there" }
    assert.equal(1, #list)
    assert.equal("running", list[1].status)
    assert.equal("waits", rt:status("there").custom_status)
    assert.equal("there", rt:details("there").summary.instance_id)
  end)

  it("keeps what arrives and does not run", function()
    local rt = runtimes.open { path = path, clock = "system" }
    program(rt)
    assert(rt:raise_event("there", "more", 8))
    assert(rt:run_until_idle(10))
    assert.equal("running", rt:status("there").status)
  end)

  it("goes on under its own VM with what arrived here", function()
    local rt = runtimes.open { path = path, clock = "system" }
    program(rt)
    assert(rt:raise_event("there", "more", 8))
    rt:close()
    local text = elsewhere(([[
      local rt = assert(duro.open(%q))
      print(rt:wait("there", 30))
      rt:close()
    ]]):format(path))
    assert.equal("50\n", text)
  end)

  it("can be terminated here", function()
    local rt = runtimes.open { path = path, clock = "system" }
    assert(rt:terminate("there", "not wanted"))
    assert.equal("terminated", rt:status("there").status)
  end)

  it("runs here when any_vm allows it", function()
    local rt = runtimes.open { path = path, clock = "system", any_vm = true }
    program(rt)
    assert(rt:raise_event("there", "more", 8))
    assert.equal(50, rt:wait("there", 30))
  end)
end)
