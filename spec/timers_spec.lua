local runtimes = require "spec.support.runtimes"


describe("a durable timer", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  -- How long, in the time of the orchestration, its code waited.
  local function waited(fn)
    rt:orchestration("waits", { replace = true }, function(ctx)
      local before = ctx:now()
      fn(ctx)
      return math.floor((ctx:now() - before) * 1000 + 0.5)
    end)
    return runtimes.finish(rt, "waits", nil, "60d")
  end

  it("fires after its duration, to the millisecond", function()
    assert.equal(60000, waited(function(ctx) ctx:sleep(60) end))
    assert.equal(250, waited(function(ctx) ctx:sleep(0.25) end))
    assert.equal(5400000, waited(function(ctx) ctx:sleep("1h30m") end))
    assert.equal(30 * 86400000, waited(function(ctx) ctx:sleep("30d") end))
  end)

  it("fires at once when its time is past", function()
    assert.equal(0, waited(function(ctx) ctx:sleep(0) end))
    assert.equal(0, waited(function(ctx) ctx:sleep_until(ctx:now() - 1000) end))
  end)

  it("fires at a given time", function()
    assert.equal(90000, waited(function(ctx) ctx:sleep_until(ctx:now() + 90) end))
  end)

  it("does not fire before its time", function()
    rt:orchestration("waits", function(ctx) ctx:sleep(60) end)
    local id = assert(rt:start("waits"))
    assert(rt:advance(59.999))
    assert.equal("running", rt:status(id).status)
    assert(rt:advance(0.001))
    assert.equal("completed", rt:status(id).status)
  end)

  it("fires in the order of due times, whatever the order of creation", function()
    rt:orchestration("ordered", function(ctx)
      local fired, tasks = {}, {}
      for i, seconds in ipairs { 30, 10, 20, 10 } do
        tasks[i] = ctx:spawn(function()
          ctx:sleep(seconds)
          fired[#fired + 1] = ("%d@%d"):format(i, seconds)
        end)
      end
      ctx:join(tasks)
      return table.concat(fired, " ")
    end)
    assert.equal("2@10 4@10 3@20 1@30", runtimes.finish(rt, "ordered"))
  end)

  it("fires across instances in the order of time, then of creation", function()
    local fired = {}
    rt:activity("note", function(_, name) fired[#fired + 1] = name end)
    rt:orchestration("notes", function(ctx, input)
      ctx:sleep(input.seconds)
      ctx:activity("note", input.name)
    end)
    for i, seconds in ipairs { 20, 10, 20, 10 } do
      assert(rt:start("notes", { seconds = seconds, name = ("%d@%d"):format(i, seconds) }))
    end
    assert(rt:advance(60))
    assert.same({ "2@10", "4@10", "1@20", "3@20" }, fired)
  end)

  it("may follow one another without a drift", function()
    assert.equal(100 * 100, waited(function(ctx)
      for _ = 1, 100 do ctx:sleep(0.1) end
    end))
  end)

  it("is cancelled by its task", function()
    rt:orchestration("cancels", function(ctx)
      local timer = ctx:schedule_timer(60)
      timer:cancel()
      return timer:done()
    end)
    assert(rt:start("cancels", nil, { id = "c" }))
    rt:wait("c", 10)
    assert.same({ "orchestration_started cancels", "timer_created", "timer_cancelled", "orchestration_completed" },
      runtimes.kinds(rt, "c"))
  end)

  it("refuses a duration that is none", function()
    for _, duration in ipairs { -1, "soon", 0 / 0 } do
      local output, err = runtimes.run(rt, function(ctx) ctx:sleep(duration) end)
      assert.is_nil(output)
      assert.equal("invalid_argument", err.code)
    end
  end)
end)


describe("the time of a turn", function()
  after_each(runtimes.clean)

  it("stands still within a turn and is the runtime's", function()
    local rt = runtimes.open()
    local before = rt:now()
    local output = runtimes.run(rt, function(ctx)
      local first = ctx:now()
      local count = 0
      for i = 1, 10000 do count = count + i end
      return { first, ctx:now() - first, count }
    end)
    assert.equal(before, output[1])
    assert.equal(0, output[2])
  end)
end)


describe("a start in the future", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("later", function(ctx) return ctx:now() end)
  end)
  after_each(runtimes.clean)

  it("is pending until its delay is over", function()
    local due = rt:now() + 60
    local id = assert(rt:start("later", nil, { delay = "1m" }))
    assert.equal("pending", rt:status(id).status)
    assert(rt:advance(59))
    assert.equal("pending", rt:status(id).status)
    assert(rt:advance(1))
    assert.equal("completed", rt:status(id).status)
    assert.near(due, rt:wait(id), 0.0011)
  end)

  it("may name its time", function()
    local due = rt:now() + 3600
    local id = assert(rt:start("later", nil, { start_at = due }))
    assert.equal("pending", rt:status(id).status)
    assert(rt:advance("1h"))
    assert.near(due, rt:wait(id, 10), 0.0011)
  end)

  it("has one of the two, not both", function()
    local id, err = rt:start("later", nil, { delay = 1, start_at = rt:now() })
    assert.is_nil(id)
    assert.equal("invalid_argument", err.code)
  end)

  it("ends without running when it is cancelled before", function()
    local id = assert(rt:start("later", nil, { delay = 60 }))
    assert(rt:cancel(id, "not needed"))
    assert(rt:advance(120))
    assert.equal("cancelled", rt:status(id).status)
  end)
end)


describe("the virtual clock", function()
  after_each(runtimes.clean)

  it("starts at the system's time and moves by advance only", function()
    local rt = runtimes.open()
    assert.near(os.time(), rt:now(), 5)
    local before = rt:now()
    assert(rt:step())
    assert(rt:run_until_idle())
    assert.equal(before, rt:now())
    assert(rt:advance("1h"))
    assert.near(before + 3600, rt:now(), 0.0011)
  end)

  it("never goes back in a file that was open in the future", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    rt:orchestration("sleeps", function(ctx) ctx:sleep("300d") end)
    local id = assert(rt:start("sleeps"))
    assert(rt:advance("300d"))
    assert(rt:wait(id, 10) == nil)
    local future = rt:status(id) and rt:now()
    rt:close()
    local again = runtimes.open { path = path }
    assert.is_true(again:now() > os.time() + 299 * 86400)
    assert.is_true(again:now() <= future)
  end)

  it("cannot be moved on the system's clock", function()
    local rt = runtimes.open { clock = "system" }
    local ok, err = rt:advance(1)
    assert.is_nil(ok)
    assert.equal("unsupported", err.code)
  end)

  it("does not move backwards", function()
    local rt = runtimes.open()
    local ok, err = rt:advance(-1)
    assert.is_nil(ok)
    assert.equal("invalid_argument", err.code)
  end)
end)


describe("the system's clock", function()
  after_each(runtimes.clean)

  it("fires a short timer by itself", function()
    local rt = runtimes.open { clock = "system" }
    local output = runtimes.run(rt, function(ctx)
      local before = ctx:now()
      ctx:sleep(0.02)
      return ctx:now() - before
    end)
    assert.is_true(output >= 0.0195 and output < 5)
  end)

  it("calls a runtime idle whose timer is not due", function()
    local rt = runtimes.open { clock = "system" }
    rt:orchestration("sleeps", function(ctx) ctx:sleep("1h") end)
    assert(rt:start("sleeps"))
    assert.is_true(rt:run_until_idle(10))
    assert.is_true(rt:next_timeout() > 0)
  end)
end)


describe("timers of instances that had to leave memory", function()
  after_each(runtimes.clean)

  it("fire at their times, however few may stay", function()
    for _, limit in ipairs { 1, 2, 9 } do
      local rt = runtimes.open { max_live_instances = limit }
      rt:orchestration("sleeps", function(ctx, seconds) ctx:sleep(seconds) return ctx:now() end)
      local began = rt:now()
      for i = 1, 10 do assert(rt:start("sleeps", i * 10, { id = "s" .. i })) end
      assert(rt:run_until_idle(10))
      for i = 1, 10 do
        assert(rt:advance(10))
        assert.equal(i, #rt:list_instances { status = "completed" })
      end
      for i = 1, 10 do
        local late = rt:status("s" .. i).output - began - i * 10
        assert.is_true(math.abs(late) < 0.0015, ("s%d is %g s late"):format(i, late))
      end
    end
  end)

  it("fire when those in memory all wait for activities that sleep", function()
    local rt = runtimes.open { max_live_instances = 1 }
    rt:orchestration("works", function(ctx) return ctx:activity("long") end)
    rt:activity("long", function(ctx) ctx:sleep(1000) end)
    rt:orchestration("sleeps", function(ctx) ctx:sleep(10) end)
    assert(rt:start("sleeps", nil, { id = "s1" }))
    assert(rt:start("sleeps", nil, { id = "s2" }))
    for _ = 1, 3 do assert(rt:start("works")) end
    assert(rt:run_until_idle(10))
    assert(rt:list_instances { waiting_on = "timer" }) -- folded: they may leave
    assert(rt:run_until_idle(10))
    assert(rt:advance(20))
    assert.equal("completed", rt:status("s1").status)
    assert.equal("completed", rt:status("s2").status)
  end)
end)
