-- The coroutine of an activity and its ctx: who may wait where, what outlives an attempt, and what a
-- host that runs activities itself is given.

local core = require "duro.core"
local duro = require "duro"
local errors = require "duro.errors"
local runtimes = require "spec.support.runtimes"

local on_luajit = core.vm == "luajit"


local function collect()
  collectgarbage()
  collectgarbage()
end


-- Runs one activity in an orchestration: its output, or nil, err.
local function run(rt, activity, input)
  rt:activity("it", { replace = true }, activity)
  return runtimes.run(rt, function(ctx, value) return ctx:activity("it", value) end, input)
end


describe("the coroutine of an activity", function()
  after_each(runtimes.clean)

  it("may not be yielded by anybody else", function()
    local rt = runtimes.open()
    local _, err = run(rt, function() coroutine.yield("to whom?") end)
    assert.equal("failed", err.code)
    assert.matches("the activity yielded to the host: use ctx:sleep", err.message)
    assert.equal("fine", (run(rt, function() return "fine" end)))
  end)

  it("may run coroutines of its own, which cannot wait for duro", function()
    local rt = runtimes.open()
    local output = assert(run(rt, function(ctx)
      local generate = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end)
      local sum = generate() + generate() + generate()
      local _, sleeping = coroutine.resume(coroutine.create(function() ctx:sleep(1) end))
      local _, asking = coroutine.resume(coroutine.create(function() return ctx.runtime:wait("nobody") end))
      return { sum, sleeping, asking or "nothing" }
    end))
    assert.equal(6, output[1])
    assert.matches("activity_ctx_spec.lua:%d+: ctx:sleep can wait only in the activity's own coroutine", output[2])
  end)

  it("waits across pcall, and cannot wait inside of table.sort", function()
    local rt = runtimes.open()
    local output = assert(run(rt, function(ctx)
      local ok, slept = pcall(ctx.sleep, ctx, 0)
      local _, err = pcall(table.sort, { 1, 2, 3 }, function() ctx:sleep(1) end)
      return { ok, slept, err }
    end))
    assert.same({ true, true }, { output[1], output[2] })
    assert.matches("not inside of a function that C code calls", output[3])
  end)

  it("has a context that says who runs", function()
    local rt = runtimes.open()
    assert.is_nil(core.context())
    rt:activity("context", function() return core.context() end)
    assert.same({ "orchestration", "activity" }, (assert(runtimes.run(rt, function(ctx)
      return { core.context(), ctx:activity("context") }
    end))))
    assert.is_nil(core.context())
  end)

  it("waits for its own runtime without stopping the others", function()
    local rt = runtimes.open()
    rt:orchestration("slow", function(ctx)
      ctx:sleep(60)
      return "slept"
    end)
    rt:activity("waits", function(ctx) return ctx.runtime:wait((ctx.runtime:start("slow"))) end)
    rt:orchestration("both", function(ctx)
      return ctx:join { ctx:schedule_activity("waits"), ctx:schedule_activity("waits") }
    end)
    assert.same({ "slept", "slept" }, runtimes.finish(rt, "both"))
  end)

  it("gives up a wait for its runtime after the real timeout", function()
    local rt = runtimes.open()
    rt:orchestration("never", function(ctx) ctx:wait_event("never") end)
    local output = assert(run(rt, function(ctx)
      local _, err = ctx.runtime:wait(assert(ctx.runtime:start("never")), 0.05)
      return err.code
    end))
    assert.equal("timeout", output)
  end)

  it("may use another runtime, whose loop it then turns", function()
    local rt, other = runtimes.open(), runtimes.open()
    other:orchestration("there", function(_, x) return x + 1 end)
    assert.equal(42, (assert(run(rt, function(_, x) return other:wait((other:start("there", x))) end, 41))))
  end)

  it("may not turn or close its own runtime", function()
    local rt = runtimes.open()
    local output = assert(run(rt, function()
      return { select(2, pcall(rt.step, rt)), select(2, pcall(rt.close, rt)) }
    end))
    assert.matches("rt:step cannot be called inside an activity", output[1])
    assert.matches("rt:close cannot be called inside an orchestration or an activity", output[2])
  end)

  it("is one of few for many activities", function()
    local rt = runtimes.open()
    local seen, count = {}, 0
    rt:activity("who", function()
      local co = coroutine.running()
      if not seen[co] then seen[co], count = true, count + 1 end
    end)
    assert(runtimes.run(rt, function(ctx)
      for _ = 1, 20 do ctx:activity("who") end
      return true
    end))
    assert.is_true(count <= 2)
  end)
end)


describe("the ctx of an activity", function()
  after_each(runtimes.clean)

  it("is refused after the end of its attempt", function()
    local rt = runtimes.open()
    local kept
    assert(run(rt, function(ctx)
      kept = ctx
      return true
    end))
    for _, call in ipairs { function() kept:sleep(1) end, function() kept:heartbeat() end,
      function() kept:async() end, function() return kept.instance_id end } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("after the end of this attempt", err)
    end
    assert.is_true(kept:is_cancelled())
  end)

  it("cannot be written, and is missed when the colon is forgotten", function()
    local rt = runtimes.open()
    local output = assert(run(rt, function(ctx)
      return { select(2, pcall(function() ctx.x = 1 end)), select(2, pcall(ctx.heartbeat, 5)) }
    end))
    assert.matches("cannot be written to", output[1])
    assert.matches("ctx:heartbeat must be called with a colon", output[2])
  end)

  it("refuses a sleep that is none", function()
    local rt = runtimes.open()
    local output = assert(run(rt, function(ctx)
      local _, negative = pcall(ctx.sleep, ctx, -1)
      local _, missing = pcall(ctx.sleep, ctx)
      return { negative.code, missing }
    end))
    assert.equal("invalid_argument", output[1])
    assert.matches("activity_ctx_spec.lua:%d+: ctx:sleep: a duration must be", output[2] or "")
  end)

  it("wakes from its sleep when it is cancelled", function()
    local rt = runtimes.open()
    local woken
    rt:activity("sleeper", function(ctx)
      local slept, err = ctx:sleep("1d")
      woken = { slept, err.code, ctx:is_cancelled() }
    end)
    rt:orchestration("cancels", function(ctx) ctx:activity("sleeper") end)
    local id = assert(rt:start("cancels"))
    rt:run_until_idle(5)
    assert(rt:terminate(id))
    rt:run_until_idle(5)
    assert.same({ nil, "cancelled", true }, woken)
  end)

  it("logs with the name of its activity", function()
    local lines = {}
    local rt = runtimes.open { log = function(level, message, fields)
      if fields.activity then lines[#lines + 1] = level .. " " .. message .. " " .. fields.activity end
    end }
    run(rt, function(ctx) ctx:log("info", "hello") end)
    assert.same({ "info hello it" }, lines)
  end)
end)


describe("ctx:async", function()
  after_each(runtimes.clean)

  local function started(body)
    local rt = runtimes.open()
    rt:activity("async", body)
    rt:orchestration("o", function(ctx) return ctx:activity("async") end)
    local id = assert(rt:start("o"))
    rt:step()
    for _ = 1, 10 do rt:step(0.01) end
    return rt, id
  end

  it("keeps the ctx usable until done is called", function()
    local done, ctx
    local rt, id = started(function(c)
      ctx, done = c, c:async()
      return "dropped"
    end)
    collect()
    assert.equal(id, ctx.instance_id)
    assert.is_true(ctx:heartbeat({ 1 }))
    assert.is_false(ctx:is_cancelled())
    assert.is_true(done(nil, "later"))
    assert.is_false(done(nil, "again"))
    assert.equal(id, ctx.instance_id)
    assert.is_true(ctx:is_cancelled())
    assert.equal("later", rt:wait(id, 5))
  end)

  it("may be done before its function returns", function()
    local rt, id = started(function(ctx)
      ctx:async()(nil, "at once")
      return "dropped"
    end)
    assert.equal("at once", rt:wait(id, 5))
  end)

  it("may be done while its function sleeps", function()
    local done
    local rt, id = started(function(ctx)
      done = ctx:async()
      ctx:sleep("1d")
      error("nobody hears this")
    end)
    done(nil, "early")
    assert.equal("early", rt:wait(id, 5))
  end)

  it("fails with whatever done is given, and when its function raises", function()
    local done
    local rt, id = started(function(ctx) done = ctx:async() end)
    done({ code = "c", message = "m" })
    assert.same({ "c", "m" }, { select(2, rt:wait(id, 5)).code, select(2, rt:wait(id, 5)).message })
    rt, id = started(function(ctx)
      done = ctx:async()
      error("at once", 0)
    end)
    assert.equal("at once", select(2, rt:wait(id, 5)).message)
    assert.is_false(done(nil, 1))
  end)

  it("fails when its value cannot be stored", function()
    local done
    local rt, id = started(function(ctx) done = ctx:async() end)
    done(nil, { f = print })
    local _, err = rt:wait(id, 5)
    assert.equal("invalid_payload", err.code)
    assert.matches("output.f", err.message)
  end)

  it("fails when done was collected without being called", function()
    local rt, id = started(function(ctx) ctx:async() end)
    collect()
    local _, err = rt:wait(id, 5)
    assert.matches("nobody can finish this attempt any more", err.message)
  end)

  it("leaves a done that outlives its runtime harmless", function()
    local done
    local rt = started(function(ctx) done = ctx:async() end)
    rt:close()
    assert.is_false(done(nil, 1))
  end)
end)


describe("closing a runtime", function()
  after_each(runtimes.clean)

  it("drops activities and orchestrations that wait, and their <close> variables run", function()
    if on_luajit then return end
    local closed = {}
    local source = [[
      local ctx, closed, name, wait = ...
      local guard <close> = setmetatable({}, { __close = function()
        local ok, err = pcall(ctx.sleep, ctx, 1)
        closed[#closed + 1] = name .. " " .. tostring(ok) .. " " .. tostring(err)
      end })
      ctx:sleep("1d")
    ]]
    local guarded = assert(load(source))
    local rt = runtimes.open()
    rt:activity("sleeps", function(ctx) guarded(ctx, closed, "activity") end)
    rt:orchestration("sleeps", function(ctx)
      ctx:spawn(function() guarded(ctx, closed, "block") end)
      ctx:schedule_activity("sleeps")
      guarded(ctx, closed, "main")
    end)
    assert(rt:start("sleeps"))
    rt:run_until_idle(5)
    rt:close()
    table.sort(closed)
    assert.equal(3, #closed)
    assert.matches("^activity false .*after the end of this attempt", closed[1])
    assert.matches("^block false .*after the end of this execution", closed[2])
    assert.matches("^main false .*after the end of this execution", closed[3])
  end)

  it("happens by itself when nobody holds it any more", function()
    local path = runtimes.path()
    do
      local rt = assert(core.open { path = path })
      assert(rt:register_orchestration("x", "1.0.0", function() end, false))
      rt:step(0)
    end
    collect()
    assert(core.open { path = path }):close()
  end)

  -- Only LuaJIT can fork by itself.
  local function forking()
    local ffi = require "ffi"
    ffi.cdef "int fork(void); void _exit(int); int waitpid(int, int *, int);"
    return ffi
  end

  it("in a process that an activity forks off ends the wait for it", function()
    if not on_luajit then return end
    local ffi, child = forking(), nil
    local rt = runtimes.open { path = runtimes.path() }
    rt:activity("forks", function(_, now)
      if now then child = ffi.C.fork() end
    end)
    rt:orchestration("asks", function(ctx)
      for step = 1, 3 do ctx:activity("forks", step == 2) end
      return "once"
    end)
    local output, err = rt:wait(assert(rt:start("asks")), 5)
    if child == 0 then ffi.C._exit((output == nil and err.code == "closed") and 7 or 1) end
    local status = ffi.new("int[1]")
    ffi.C.waitpid(child, status, 0)
    assert.equal(7, bit.rshift(status[0], 8)) -- luacheck: ignore 113
    assert.equal("once", output)
  end)

  it("in a forked process leaves the parent's alone", function()
    if not on_luajit then return end
    local ffi = forking()
    local rt = runtimes.open()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    local id = assert(rt:start("waits"))
    rt:run_until_idle(5)
    local child = ffi.C.fork()
    if child == 0 then
      local ok, turns, err = pcall(rt.step, rt)
      local refused = ok and turns == nil and err.code == "closed" and tostring(err):find("process")
      local closed = pcall(rt.close, rt)
      ffi.C._exit((refused and closed and rt:closed()) and 7 or 1)
    end
    local status = ffi.new("int[1]")
    ffi.C.waitpid(child, status, 0)
    assert.equal(7, bit.rshift(status[0], 8)) -- luacheck: ignore 113
    assert(rt:raise_event(id, "go", "still here"))
    assert.equal("still here", rt:wait(id, 5))
  end)

  it("answers what is asked later with closed", function()
    local rt = assert(core.open { path = ":memory:" })
    local question = assert(rt:call("status", { id = "x" }))
    local pending = assert(rt:call("start", { name = "x" }))
    rt:close()
    assert.is_true(rt:close())
    assert.is_true(rt:closed())
    for _, q in ipairs { question, pending } do
      assert.is_true(q:done())
      assert.equal("closed", select(2, q:result()).code)
      q:free()
    end
    for _, method in ipairs { "step", "fd", "idle", "wake", "now_ms", "next_due_ms", "next_timeout_ms" } do
      local value, err = rt[method](rt)
      assert.is_nil(value)
      assert.equal("closed", err.code)
    end
    assert.equal("closed", select(2, rt:call("status", {})).code)
    assert.equal("closed", select(2, rt:register_activity("a", print)).code)
  end)
end)


describe("an executor of the core", function()
  local runs, rt

  local function open(executor)
    runs = {}
    rt = assert(core.open {
      path = ":memory:", clock = "virtual",
      executor = executor or function(ready) runs[#runs + 1] = ready end,
      sleep = function(seconds) coroutine.yield(seconds) end,
    })
    assert(rt:register_orchestration("o", "1.0.0", function(ctx, x) return ctx:activity("a", x) end))
  end

  local function ask(verb, args)
    local question = assert(rt:call(verb, args))
    for _ = 1, 100 do
      if question:done() then break end
      rt:step(5)
    end
    return question:result()
  end

  local function settle()
    for _ = 1, 20 do rt:step(1) end
  end

  after_each(function() rt:close() end)

  it("gets each ready activity as a function to run where it likes", function()
    open()
    rt:register_activity("a", function(_, x) return x + coroutine.yield("foreign") end)
    local id = ask("start", { name = "o", input = 1 })
    settle()
    assert.equal(1, #runs)
    local co = coroutine.create(runs[1])
    assert.same({ true, "foreign" }, { coroutine.resume(co) })
    assert.is_true(coroutine.resume(co, 41))
    settle()
    assert.equal(42, ask("status", { id = id }).output)
    assert.is_true(pcall(runs[1]))
  end)

  it("hears of errors as usual", function()
    open()
    rt:register_activity("a", function() error({ code = "c", message = "m" }) end)
    local id = ask("start", { name = "o" })
    settle()
    runs[1]()
    settle()
    local err = ask("status", { id = id }).error
    assert.same({ "c", "m", "a" }, { err.code, err.message, err.name })
    assert.matches("activity_ctx_spec.lua", err.details)
  end)

  it("sleeps with the host's function, by the runtime's clock", function()
    open()
    rt:register_activity("a", function(ctx) return (ctx:sleep(1)) end)
    local id = ask("start", { name = "o" })
    settle()
    local co = coroutine.create(runs[1])
    assert.same({ true, 0.5 }, { coroutine.resume(co) })
    rt:set_time(rt:now_ms() + 900)
    local _, left = coroutine.resume(co)
    assert.is_true(math.abs(left - 0.1) < 0.01)
    rt:set_time(rt:now_ms() + 200)
    coroutine.resume(co)
    settle()
    assert.equal(true, ask("status", { id = id }).output)
  end)

  it("that drops a function, or raises, fails the attempt", function()
    open(function() end)
    rt:register_activity("a", function() end)
    local id = ask("start", { name = "o" })
    settle()
    collect()
    settle()
    assert.matches("nobody can finish", ask("status", { id = id }).error.message)
    rt:close()
    open(function() error("no timers left", 0) end)
    rt:register_activity("a", function() end)
    id = ask("start", { name = "o" })
    settle()
    assert.equal("no timers left", ask("status", { id = id }).error.message)
  end)
end)


describe("client calls", function()
  after_each(runtimes.clean)

  it("inside of an orchestration are refused", function()
    local rt = runtimes.open()
    local output = assert(runtimes.run(rt, function()
      return { select(2, pcall(rt.start, rt, "x")), select(2, pcall(duro.open, ":memory:")) }
    end, nil, { guard = false }))
    assert.matches("use ctx:", output[1])
    assert.matches("inside an orchestration", output[2])
  end)

  it("name the path of what cannot be stored", function()
    local rt = assert(core.open { path = ":memory:" })
    local _, err = rt:call("start", { name = "x", input = { items = { 1, { cb = print } } } })
    assert.is_true(errors.is(err))
    assert.equal("input.items[2].cb: a function cannot be stored", err.message)
    rt:close()
  end)
end)
