-- rt:query: asking the code of an orchestration, wherever the instance is: in memory, on disk, at its end.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"


-- Counts events "add" until "stop"; answers what it has so far.
local function counter(ctx, input)
  local sum, seen = input or 0, {}
  ctx.kv.sum = sum
  ctx:on_query("sum", function() return sum end)
  ctx:on_query("echo", function(arg) return { arg = arg, sum = sum } end)
  ctx:on_query("seen", function() return seen end)
  ctx:on_query("looks", function()
    local keys = {}
    for key, value in ctx:kv_pairs() do keys[#keys + 1] = key .. "=" .. value end
    return { ctx.kv.sum, keys, ctx.custom_status, ctx.instance_id, ctx.is_replaying }
  end)
  while true do
    local data = ctx:wait_event("add")
    if data == "stop" then return sum end
    sum, seen[#seen + 1] = sum + data, data
    ctx.kv.sum = sum
    ctx:set_custom_status("added " .. data)
  end
end


local function open(options)
  local rt = runtimes.open(options)
  rt:activity("echo", function(_, value) return value end)
  rt:orchestration("counter", counter)
  return rt
end


local function started(options, input)
  local rt = open(options)
  assert(rt:start("counter", input, { id = "c" }))
  assert(rt:run_until_idle(10))
  return rt
end


local function assert_refused(code, pattern, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code)
  assert.matches(pattern, err.message)
end


describe("a query", function()
  after_each(runtimes.clean)

  it("asks a live instance as it stands", function()
    local rt = started(nil, 5)
    assert.equal(5, rt:query("c", "sum"))
    assert(rt:raise_event("c", "add", 3))
    assert(rt:run_until_idle(10))
    assert.equal(8, rt:query("c", "sum"))
    assert.same({ arg = { 1, { 2 } }, sum = 8 }, rt:query("c", "echo", { 1, { 2 } }))
    assert.same({ sum = 8 }, rt:query("c", "echo"))
  end)

  it("may look at kv, custom status and facts", function()
    local rt = started(nil, 5)
    assert(rt:raise_event("c", "add", 3))
    assert(rt:run_until_idle(10))
    assert.same({ 8, { "sum=8" }, "added 3", "c", false }, rt:query("c", "looks"))
    assert(rt:raise_event("c", "add", "stop"))
    assert.equal(8, rt:wait("c", 10))
    assert.same({ 8, { "sum=8" }, "added 3", "c", false }, rt:query("c", "looks"))
  end)

  it("gives what the handler had, and the caller may change its copy", function()
    local rt = started()
    assert(rt:raise_event("c", "add", 1))
    assert(rt:run_until_idle(10))
    local seen = rt:query("c", "seen")
    seen[1], seen[2] = 9, 9
    assert.same({ 1 }, rt:query("c", "seen"))
  end)

  it("asks one that was dropped from memory, and leaves its history alone", function()
    local rt = open { max_live_instances = 1 }
    for i = 1, 20 do assert(rt:start("counter", i, { id = "c" .. i })) end
    assert(rt:run_until_idle(10))
    local before = runtimes.kinds(rt, "c7")
    for i = 1, 20 do assert.equal(i, rt:query("c" .. i, "sum")) end
    assert.same(before, runtimes.kinds(rt, "c7"))
    assert(rt:raise_event("c7", "add", 3))
    assert(rt:raise_event("c7", "add", "stop"))
    assert.equal(10, rt:wait("c7", 10))
  end)

  it("asks one that has completed, failed, or was terminated", function()
    local rt = started(nil, 5)
    assert(rt:raise_event("c", "add", "stop"))
    assert.equal(5, rt:wait("c", 10))
    assert.equal(5, rt:query("c", "sum"))
    rt:orchestration("fails", function(ctx)
      local step = "first"
      ctx:on_query("step", function() return step end)
      ctx:wait_event("go")
      step = "second"
      error("no luck")
    end)
    assert(rt:start("fails", nil, { id = "f" }))
    assert(rt:raise_event("f", "go"))
    assert.is_nil((rt:wait("f", 10)))
    assert.equal("second", rt:query("f", "step"))
    assert(rt:start("fails", nil, { id = "t" }))
    assert(rt:run_until_idle(10))
    assert(rt:terminate("t"))
    assert(rt:run_until_idle(10))
    assert.equal("first", rt:query("t", "step"))
    assert(rt:start("fails", nil, { id = "x" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("x"))
    assert.equal("cancelled", select(2, rt:wait("x", 10)).code)
    assert.equal("first", rt:query("x", "step"))
  end)

  it("asks the finished one after its file was opened again, and runs no activity for it", function()
    local path, ran = runtimes.path(), 0
    local function works(ctx)
      local last = "nothing"
      ctx:on_query("last", function() return last end)
      last = ctx:activity("count")
      return last
    end
    local function begin()
      local rt = runtimes.open { path = path }
      rt:activity("count", function()
        ran = ran + 1
        return ran
      end)
      rt:orchestration("works", works)
      return rt
    end
    local rt = begin()
    assert(rt:start("works", nil, { id = "w" }))
    assert.equal(1, rt:wait("w", 10))
    rt:close()
    rt = begin()
    assert.equal(1, rt:query("w", "last"))
    assert.equal(1, ran)
  end)

  it("asks the execution that an instance is in", function()
    local rt = open()
    rt:orchestration("renews", function(ctx, n)
      ctx:on_query("n", function() return n end)
      ctx:wait_event("go")
      if n < 3 then ctx:continue_as_new(n + 1) end
    end)
    assert(rt:start("renews", 1, { id = "r" }))
    for n = 1, 3 do
      assert(rt:run_until_idle(10))
      assert.equal(n, rt:query("r", "n"))
      assert(rt:raise_event("r", "go"))
    end
    assert(rt:run_until_idle(10))
    assert.equal("completed", rt:status("r").status)
    assert.equal(3, rt:query("r", "n"))
  end)

  it("asks one that is suspended", function()
    local rt = started(nil, 5)
    assert(rt:suspend("c"))
    assert(rt:raise_event("c", "add", 3))
    assert.equal(5, rt:query("c", "sum"))
    assert(rt:resume("c"))
    assert(rt:run_until_idle(10))
    assert.equal(8, rt:query("c", "sum"))
  end)

  it("sees what a handler given later says, and none that was taken back", function()
    local rt = open()
    rt:orchestration("changes", function(ctx)
      ctx:on_query("phase", function() return "first" end)
      ctx:wait_event("go")
      ctx:on_query("phase", function() return "second" end)
      ctx:spawn(function() ctx:on_query("inner", function() return "of a block" end) end)
      ctx:wait_event("go")
      ctx:on_query("phase", nil)
      ctx:wait_event("go")
    end)
    assert(rt:start("changes", nil, { id = "c" }))
    assert(rt:run_until_idle(10))
    assert.equal("first", rt:query("c", "phase"))
    assert_refused("not_found", 'answers no query "inner"', rt:query("c", "inner"))
    assert(rt:raise_event("c", "go"))
    assert(rt:run_until_idle(10))
    assert.equal("second", rt:query("c", "phase"))
    assert.equal("of a block", rt:query("c", "inner"))
    assert(rt:raise_event("c", "go"))
    assert(rt:run_until_idle(10))
    assert_refused("not_found", 'answers no query "phase"', rt:query("c", "phase"))
  end)

  it("is answered from another process, by the owner", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("asks", function(ctx, name)
        ctx:on_query("who", function(arg) return { name, arg } end)
        ctx:on_query("throws", function() error { code = "odd", message = "not today" } end)
        ctx:wait_event("end")
      end)
      assert(rt:start("asks", "Ada", { id = "a" }))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    assert.same({ "Ada", { 5 } }, client:query("a", "who", { 5 }))
    local _, err = client:query("a", "throws")
    assert.matches("not today", err.message, 1, true)
    assert_refused("not_found", "nobody", client:query("nobody", "who"))
    assert(client:raise_event("a", "end"))
    assert.is_nil((client:wait("a", 10)))
    assert.same({ "Ada", "still" }, client:query("a", "who", "still"))
    client:close()
    owner:kill()
  end)
end)


describe("a query is refused", function()
  after_each(runtimes.clean)

  it("by name, when there is no such instance, query or code", function()
    local path = runtimes.path()
    local rt = started { path = path }
    assert_refused("not_found", "no instance 'nobody'", rt:query("nobody", "sum"))
    assert_refused("not_found", 'answers no query "total"', rt:query("c", "total"))
    assert(rt:start("counter", 1, { id = "later", delay = 100 }))
    assert_refused("unavailable", "'later' has not begun", rt:query("later", "sum"))
    assert(rt:raise_event("c", "add", "stop"))
    assert(rt:wait("c", 10))
    rt:close()
    rt = runtimes.open { path = path }
    assert_refused("not_registered", "'counter' version '1.0.0' is not registered", rt:query("c", "sum"))
    rt:orchestration("counter", function(ctx) return ctx:activity("other") end)
    assert_refused("nondeterminism", "event 2: expected kv_set 'sum', got activity_scheduled 'other'",
      rt:query("c", "sum"))
  end)

  it("by a stalled instance", function()
    local path = runtimes.path()
    started({ path = path }):close()
    local rt = runtimes.open { path = path }
    rt:orchestration("counter", function(ctx) ctx:activity("other") end)
    assert(rt:run_until_idle(10))
    assert_refused("stalled", "'c' is stalled", rt:query("c", "sum"))
  end)

  it("when its handler asks for anything, and nothing of it is recorded", function()
    local rt = open()
    local asks = {
      activity = function(ctx) return ctx:activity("echo") end,
      schedule_activity = function(ctx) return ctx:schedule_activity("echo") end,
      sleep = function(ctx) ctx:sleep(1) end,
      wait_event = function(ctx) return ctx:wait_event("x") end,
      wait_until = function(ctx) return ctx:wait_until(function() return false end) end,
      sub_orchestration = function(ctx) return ctx:sub_orchestration("counter") end,
      start_orchestration = function(ctx) return ctx:start_orchestration("counter") end,
      raise_event = function(ctx) ctx:raise_event("a", "x") end,
      spawn = function(ctx) ctx:spawn(print) end,
      side_effect = function(ctx) return ctx:side_effect(os.time) end,
      set_custom_status = function(ctx) ctx:set_custom_status(1) end,
      set_attributes = function(ctx) ctx:set_attributes { a = 1 } end,
      patched = function(ctx) return ctx:patched("p") end,
      continue_as_new = function(ctx) ctx:continue_as_new() end,
      on_query = function(ctx) ctx:on_query("x", print) end,
      random = function(ctx) return ctx:random() end,
      uuid = function(ctx) return ctx:uuid() end,
      ["ctx.kv"] = function(ctx) ctx.kv.x = 1 end,
    }
    rt:orchestration("asked", function(ctx)
      for name, ask in pairs(asks) do ctx:on_query(name, function() return ask(ctx) end) end
      ctx:wait_event("go")
    end)
    assert(rt:start("asked", nil, { id = "a" }))
    assert(rt:run_until_idle(10))
    local before = runtimes.kinds(rt, "a")
    for name in pairs(asks) do
      local value, err = rt:query("a", name)
      assert.is_nil(value)
      assert.matches("is called in a query handler, which can only look", err.message, 1, true)
    end
    assert(rt:run_until_idle(10))
    assert.same(before, runtimes.kinds(rt, "a"))
    assert(rt:raise_event("a", "go"))
    assert.is_nil((rt:wait("a", 10)))
    for name in pairs(asks) do -- the same of a finished one
      assert.matches("which can only look", select(2, rt:query("a", name)).message, 1, true)
    end
  end)

  it("when its handler throws, yields, or gives what cannot be stored; the instance goes on", function()
    local rt = open()
    rt:orchestration("asked", function(ctx)
      ctx:on_query("text", function() error("no answer today") end)
      ctx:on_query("table", function() error { code = "odd", message = "it is odd" } end)
      ctx:on_query("nothing", function() error() end)
      ctx:on_query("yields", function() coroutine.yield() end)
      ctx:on_query("function", function() return { answer = { print } } end)
      ctx:on_query("clock", function() return os.time() end)
      return ctx:wait_event("go")
    end)
    assert(rt:start("asked", nil, { id = "a" }))
    assert(rt:run_until_idle(10))
    assert_refused("failed", "query handler failed: .*query_spec.lua:%d+: no answer today", rt:query("a", "text"))
    assert_refused("failed", "query handler failed: it is odd", rt:query("a", "table"))
    assert_refused("failed", "query handler failed", rt:query("a", "nothing"))
    assert_refused("failed", "attempt to yield", rt:query("a", "yields"))
    assert_refused("invalid_payload", "answer.answer%[1%]: a function cannot be stored", rt:query("a", "function"))
    assert_refused("failed", "use ctx:now", rt:query("a", "clock"))
    assert(rt:raise_event("a", "go", 5))
    assert.equal(5, rt:wait("a", 10))
  end)

  it("when its name or argument cannot be one", function()
    local rt = started()
    assert.equal("invalid_argument", select(2, rt:query("c", "")).code)
    assert.equal("invalid_argument", select(2, rt:query("c", ("x"):rep(200))).code)
    assert_refused("invalid_payload", "arg.f", rt:query("c", "sum", { f = print }))
    assert.error_matches(function() rt:query("c") end, "query needs query_name")
  end)
end)
