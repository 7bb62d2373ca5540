local runtimes = require "spec.support.runtimes"


describe("ctx:join", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("after", function(ctx, input)
      ctx:sleep(input.seconds)
      if input.fails then error { code = input.fails, message = "failed after " .. input.seconds } end
      return input.value
    end)
  end)
  after_each(runtimes.clean)

  local function run(fn)
    rt:orchestration("under_test", { replace = true }, fn)
    return runtimes.finish(rt, "under_test", nil, "1d", { id = "under_test" })
  end

  it("gives the outputs in the order of its tasks, not of their completion", function()
    assert.same({ "slow", "fast", "middle" }, run(function(ctx)
      return ctx:join {
        ctx:schedule_activity("after", { seconds = 30, value = "slow" }),
        ctx:schedule_activity("after", { seconds = 10, value = "fast" }),
        ctx:schedule_activity("after", { seconds = 20, value = "middle" }),
      }
    end))
  end)

  it("runs its tasks at the same time", function()
    assert.equal(30, run(function(ctx)
      local before, tasks = ctx:now(), {}
      for i = 1, 10 do tasks[i] = ctx:schedule_activity("after", { seconds = 30, value = i }) end
      ctx:join(tasks)
      return ctx:now() - before
    end))
  end)

  it("of nothing is an empty array at once", function()
    assert.same({}, run(function(ctx) return ctx:join {} end))
  end)

  it("waits for all, then raises the first failure in history order", function()
    local output = run(function(ctx)
      local before = ctx:now()
      local ok, err = pcall(ctx.join, ctx, {
        ctx:schedule_activity("after", { seconds = 20, fails = "second" }),
        ctx:schedule_activity("after", { seconds = 10, fails = "first" }),
        ctx:schedule_activity("after", { seconds = 40, value = "slow" }),
      })
      return { ok, err.code, ctx:now() - before }
    end)
    assert.same({ false, "first", 40 }, output)
  end)

  it("takes tasks of every kind", function()
    rt:orchestration("child", function(_, input) return "child " .. input end)
    rt:orchestration("mixed", function(ctx)
      return ctx:join {
        ctx:schedule_activity("after", { seconds = 1, value = "activity" }),
        ctx:schedule_sub_orchestration("child", "output"),
        ctx:schedule_wait("event"),
        ctx:spawn(function(text)
          ctx:sleep(5)
          return text
        end, "block"),
      }
    end)
    local id = assert(rt:start("mixed"))
    assert(rt:raise_event(id, "event", "event"))
    assert(rt:advance(60))
    assert.same({ "activity", "child output", "event", "block" }, rt:wait(id, 10))
  end)

  it("refuses what is no task", function()
    local output, err = run(function(ctx) return ctx:join { "activity" } end)
    assert.is_nil(output)
    assert.matches("task", err.message)
  end)

  it("refuses a task of another orchestration", function()
    local leaked
    rt:orchestration("leaks", function(ctx)
      leaked = ctx:schedule_wait("never")
      ctx:sleep("1h")
    end)
    assert(rt:start("leaks"))
    assert(rt:run_until_idle(10))
    local output, err = run(function(ctx) return ctx:join { leaked } end)
    assert.is_nil(output)
    assert.matches("another", err.message)
  end)

  describe("settled", function()
    it("gives ok and value or error of each, and never raises", function()
      local output = run(function(ctx)
        local settled = ctx:join_settled {
          ctx:schedule_activity("after", { seconds = 2, value = "fine" }),
          ctx:schedule_activity("after", { seconds = 1, fails = "broken" }),
        }
        return { settled[1].ok, settled[1].value, settled[2].ok, settled[2].error.code, #settled }
      end)
      assert.same({ true, "fine", false, "broken", 2 }, output)
    end)
  end)
end)


describe("ctx:select", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("after", function(ctx, input)
      ctx:sleep(input.seconds)
      if input.fails then error { code = input.fails, message = "failed" } end
      return input.value
    end)
  end)
  after_each(runtimes.clean)

  local function run(fn)
    rt:orchestration("under_test", { replace = true }, fn)
    return runtimes.finish(rt, "under_test", nil, "1d", { id = "under_test" })
  end

  it("gives the index and the output of the first that is done", function()
    assert.same({ 2, "fast" }, run(function(ctx)
      return { ctx:select {
        ctx:schedule_activity("after", { seconds = 30, value = "slow" }),
        ctx:schedule_activity("after", { seconds = 10, value = "fast" }),
        ctx:schedule_timer(20),
      } }
    end))
  end)

  it("raises the failure of the first that is done", function()
    assert.equal("broken", run(function(ctx)
      local _, err = pcall(ctx.select, ctx, {
        ctx:schedule_activity("after", { seconds = 10, fails = "broken" }),
        ctx:schedule_timer(20),
      })
      return err.code
    end))
  end)

  it("decides by history when several are done already", function()
    rt:orchestration("decides", function(ctx)
      local a, b = ctx:schedule_wait("a"), ctx:schedule_wait("b")
      ctx:sleep(10)
      return { ctx:select { a, b } }
    end)
    local id = assert(rt:start("decides"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event(id, "b", "second argument"))
    assert(rt:raise_event(id, "a", "first argument"))
    assert(rt:advance(20))
    assert.same({ 2, "second argument" }, rt:wait(id, 10))
  end)

  it("cancels every kind of loser, and the history says so", function()
    rt:orchestration("child", function(ctx) ctx:sleep("1h") end)
    assert.equal(1, run(function(ctx)
      local index = ctx:select {
        ctx:schedule_timer(10),
        ctx:schedule_timer(20),
        ctx:schedule_activity("after", { seconds = 30 }),
        ctx:schedule_wait("never"),
        ctx:schedule_sub_orchestration("child", nil, { id = "loser" }),
      }
      return index
    end))
    local kinds = {}
    for _, event in ipairs(rt:history({ instance = "under_test" }).events) do kinds[event.kind] = event end
    assert.equal(3, kinds.timer_cancelled.source_event_id)
    assert.equal(4, kinds.activity_cancelled.source_event_id)
    assert.equal(5, kinds.event_subscription_cancelled.source_event_id)
    assert.equal(6, kinds.sub_orchestration_cancelled.source_event_id)
    assert.equal("cancelled", rt:status("loser").status)
  end)

  it("tells a losing activity that it is cancelled, and drops its result", function()
    local seen
    rt:activity("stubborn", function(ctx)
      ctx:sleep(3600)
      seen = ctx:is_cancelled()
      return "too late"
    end)
    assert.equal(1, run(function(ctx)
      return (ctx:select { ctx:schedule_timer(10), ctx:schedule_activity("stubborn") })
    end))
    assert.is_true(seen)
    for _, event in ipairs(rt:history({ instance = "under_test" }).events) do
      assert.not_equal("activity_completed", event.kind)
    end
  end)

  it("cancels each of many losers once, those that run and those that wait in line", function()
    local began, told = 0, {}
    local crowded = runtimes.open { activity_concurrency = 10 }
    crowded:activity("loses", function(ctx, n)
      began = began + 1
      ctx:sleep(3600)
      told[#told + 1] = ctx:is_cancelled() and n
    end)
    crowded:orchestration("crowd", function(ctx)
      local tasks = { ctx:schedule_timer(10) }
      for n = 1, 50 do table.insert(tasks, 1, ctx:schedule_activity("loses", n)) end
      local index = ctx:select(tasks)
      return { index, ctx:join { ctx:schedule_timer(5) } }
    end)
    local id = assert(crowded:start("crowd"))
    assert(crowded:advance(20))
    assert.equal(51, assert(crowded:wait(id, 10))[1])
    assert.equal(10, began)
    table.sort(told)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, told)
    assert.equal(50, #crowded:history({ instance = id, kinds = { "activity_cancelled" } }).events)
  end)

  it("of nothing is refused", function()
    local output, err = run(function(ctx) return ctx:select {} end)
    assert.is_nil(output)
    assert.matches("select", err.message)
  end)

  it("may be used in a loop, with the loser of one round scheduled anew", function()
    rt:orchestration("loops", function(ctx)
      local log = {}
      for round = 1, 3 do
        local index, data = ctx:select { ctx:schedule_wait("tick"), ctx:schedule_timer(10) }
        log[round] = index == 1 and "event " .. data or "timer"
      end
      return log
    end)
    local id = assert(rt:start("loops"))
    assert(rt:advance(15))
    assert(rt:raise_event(id, "tick", "x"))
    assert(rt:advance(20))
    assert.same({ "timer", "event x", "timer" }, rt:wait(id, 10))
  end)
end)


describe("ctx:spawn", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function run(fn)
    rt:orchestration("under_test", { replace = true }, fn)
    return runtimes.finish(rt, "under_test", nil, "1d", { id = "under_test" })
  end

  it("runs blocks side by side and gives their results", function()
    assert.same({ { "a1", "b2" }, 20 }, run(function(ctx)
      local before = ctx:now()
      local outputs = ctx:join {
        ctx:spawn(function(x) ctx:sleep(20) return "a" .. x end, 1),
        ctx:spawn(function(x) ctx:sleep(10) return "b" .. x end, 2),
      }
      return { outputs, ctx:now() - before }
    end))
  end)

  it("raises a block's error where it is awaited, with a traceback of the block", function()
    local output = run(function(ctx)
      local task = ctx:spawn(function()
        ctx:sleep(1)
        error("inside the block")
      end)
      local ok, err = pcall(task.await, task)
      return { ok, err.message, err.details ~= nil }
    end)
    assert.is_false(output[1])
    assert.matches("inside the block", output[2])
    assert.is_true(output[3])
  end)

  it("may select and join itself, nested", function()
    assert.same({ 1, { "inner timer", "inner value" } }, run(function(ctx)
      local block = ctx:spawn(function()
        return ctx:join {
          ctx:spawn(function()
            ctx:select { ctx:schedule_timer(5), ctx:schedule_wait("never") }
            return "inner timer"
          end),
          ctx:spawn(function() return "inner value" end),
        }
      end)
      return { ctx:select { block, ctx:schedule_timer(60) } }
    end))
  end)

  it("is cancelled with what it waits for when it loses", function()
    assert.equal(2, run(function(ctx)
      return (ctx:select {
        ctx:spawn(function() ctx:sleep("10h") end),
        ctx:schedule_timer(5),
      })
    end))
    local kinds = runtimes.kinds(rt, "under_test")
    assert.equal("timer_cancelled", kinds[#kinds - 1])
  end)
end)


describe("a task", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("knows whether it is done, and gives its output more than once", function()
    rt:activity("value", function() return "v" end)
    local output = runtimes.run(rt, function(ctx)
      local task = ctx:schedule_activity("value")
      local before = task:done()
      local first = task:await()
      return { before, first, task:await(), task:done() }
    end)
    assert.same({ false, "v", "v", true }, output)
  end)

  it("that fails and is never awaited harms nothing", function()
    rt:activity("fails", function() error("ignored") end)
    rt:orchestration("ignores", function(ctx)
      ctx:schedule_activity("fails")
      ctx:sleep(60)
      return "fine"
    end)
    assert.equal("fine", runtimes.finish(rt, "ignores"))
  end)

  it("that is unfinished when the function returns is cancelled", function()
    rt:orchestration("returns", function(ctx)
      ctx:schedule_timer("1h")
      ctx:schedule_wait("never")
      return "early"
    end)
    assert(rt:start("returns", nil, { id = "r" }))
    assert.equal("early", rt:wait("r", 10))
    assert.same({ "orchestration_started returns", "timer_created", "event_subscribed never", "timer_cancelled",
      "event_subscription_cancelled", "orchestration_completed" }, runtimes.kinds(rt, "r"))
  end)
end)
