local duro = require "duro"
local runtimes = require "spec.support.runtimes"


describe("an activity", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("gets its input and gives its output, as they are", function()
    local given = { list = { 1, 2.5, "three" }, nested = { deep = { true, false } }, text = "a\0b\255" }
    rt:activity("echo", function(_, input) return input end)
    assert.same(given, runtimes.run(rt, function(ctx, input) return ctx:activity("echo", input) end, given))
  end)

  it("may have neither input nor output", function()
    rt:activity("nothing", function(_, input) if input ~= nil then error("there is input") end end)
    local output = runtimes.run(rt, function(ctx)
      return { is_nil = ctx:activity("nothing") == nil }
    end)
    assert.same({ is_nil = true }, output)
  end)

  it("knows its instance, its name and its attempt", function()
    rt:activity("facts", function(ctx) return { ctx.instance_id, ctx.name, ctx.attempt, type(ctx.activity_id) } end)
    local output = runtimes.run(rt, function(ctx) return ctx:activity("facts") end, nil, { id = "facts-1" })
    assert.same({ "facts-1", "facts", 1, "string" }, output)
  end)

  it("runs once, and its result is recorded once", function()
    local runs = 0
    rt:activity("count", function() runs = runs + 1 return runs end)
    rt:orchestration("counting", function(ctx)
      local first = ctx:activity("count")
      ctx:sleep(60)
      return { first, ctx:activity("count") }
    end)
    assert.same({ 1, 2 }, runtimes.finish(rt, "counting", nil, "1h", { id = "counting-1" }))
    assert.equal(2, runs)
    assert.same({
      "orchestration_started counting", "activity_scheduled count", "activity_completed", "timer_created",
      "timer_fired", "activity_scheduled count", "activity_completed", "orchestration_completed",
    }, runtimes.kinds(rt, "counting-1"))
  end)

  it("lets others run while it sleeps, on the runtime's clock", function()
    local order = {}
    rt:activity("nap", function(ctx, input)
      ctx:sleep(input.seconds)
      order[#order + 1] = input.name
      return ctx.name
    end)
    rt:orchestration("naps", function(ctx)
      return ctx:join {
        ctx:schedule_activity("nap", { name = "long", seconds = 20 }),
        ctx:schedule_activity("nap", { name = "short", seconds = 10 }),
      }
    end)
    assert.same({ "nap", "nap" }, runtimes.finish(rt, "naps", nil, 30))
    assert.same({ "short", "long" }, order)
  end)

  it("may start and signal instances of its own runtime", function()
    rt:orchestration("helper", function(ctx, input) return input .. ctx:wait_event("go") end)
    rt:activity("start_helper", function(ctx)
      local id = assert(ctx.runtime:start("helper", "helped "))
      assert(ctx.runtime:raise_event(id, "go", "well"))
      return ctx.runtime:wait(id)
    end)
    assert.equal("helped well", runtimes.run(rt, function(ctx) return ctx:activity("start_helper") end))
  end)

  it("may finish later, through ctx:async()", function()
    local done
    rt:activity("later", function(ctx) done = ctx:async() end)
    rt:orchestration("waits", function(ctx) return ctx:activity("later") end)
    local id = assert(rt:start("waits"))
    runtimes.until_true(rt, function() return done end, "the activity runs")
    assert.equal("running", rt:status(id).status)
    done(nil, { answer = 42 })
    assert.same({ answer = 42 }, rt:wait(id, 10))
  end)

  it("fails through ctx:async() too", function()
    local done
    rt:activity("later", function(ctx) done = ctx:async() end)
    rt:orchestration("waits", function(ctx) return ctx:activity("later") end)
    local id = assert(rt:start("waits"))
    runtimes.until_true(rt, function() return done end, "the activity runs")
    done("no luck")
    local output, err = rt:wait(id, 10)
    assert.is_nil(output)
    assert.matches("no luck", err.message)
  end)

  it("waits in line when activity_concurrency is reached", function()
    local bounded = runtimes.open { activity_concurrency = 2 }
    local running, most, ended = 0, 0, {}
    local waiting = {}
    bounded:activity("work", function(ctx, n)
      running = running + 1
      most = math.max(most, running)
      local done = ctx:async()
      waiting[#waiting + 1] = function()
        running = running - 1
        ended[#ended + 1] = n
        done(nil, n)
      end
    end)
    bounded:orchestration("many", function(ctx)
      local tasks = {}
      for i = 1, 6 do tasks[i] = ctx:schedule_activity("work", i) end
      return ctx:join(tasks)
    end)
    local id = assert(bounded:start("many"))
    runtimes.until_true(bounded, function()
      local finish = table.remove(waiting, 1)
      if finish then finish() end
      return #ended == 6
    end, "all six end")
    assert.same({ 1, 2, 3, 4, 5, 6 }, bounded:wait(id, 10))
    assert.equal(2, most)
  end)

  it("stays waiting while nobody has registered it, and goes on when somebody has", function()
    rt:orchestration("needs", function(ctx) return ctx:activity("unregistered") end)
    local id = assert(rt:start("needs"))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:status(id).status == "running" or rt:status(id).status == "stalled")
    rt:activity("unregistered", function() return "at last" end)
    assert.equal("at last", rt:wait(id, 10))
  end)
end)


describe("a failing activity", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  -- The error table that an activity's failure raises in the orchestration.
  local function raised(activity, options)
    rt:activity("fails", activity)
    rt:orchestration("catches", { replace = true }, function(ctx)
      local ok, err = pcall(ctx.activity, ctx, "fails", "input", options)
      return { ok = ok, code = err.code, message = err.message, data = err.data, name = err.name,
        attempts = err.attempts, text = tostring(err) }
    end)
    return assert(runtimes.finish(rt, "catches"))
  end

  it("raises an error table with code, message, name and attempts", function()
    local err = raised(function() error("no connection") end)
    assert.is_false(err.ok)
    assert.equal("failed", err.code)
    assert.matches("no connection", err.message)
    assert.equal("fails", err.name)
    assert.equal(1, err.attempts)
    assert.matches("^failed: .*no connection", err.text)
  end)

  it("keeps code, message and data of an error table", function()
    local err = raised(function() error { code = "declined", message = "no money", data = { limit = 5 } } end)
    assert.equal("declined", err.code)
    assert.equal("no money", err.message)
    assert.same({ limit = 5 }, err.data)
  end)

  it("may throw anything", function()
    for _, thrown in ipairs { false, 42, {}, print, io.stdout, coroutine.create(print), duro.null } do
      rt:activity("fails", { replace = true }, function() error(thrown) end)
      rt:orchestration("catches", { replace = true }, function(ctx)
        local ok, err = pcall(ctx.activity, ctx, "fails")
        return { ok = ok, code = err.code, message = type(err.message) }
      end)
      assert.same({ ok = false, code = "failed", message = "string" }, runtimes.finish(rt, "catches"))
    end
    rt:activity("fails", { replace = true }, function() error() end)
    local output = runtimes.finish(rt, "catches")
    assert.same({ ok = false, code = "failed", message = "string" }, output)
  end)

  it("fails the orchestration that does not catch it", function()
    rt:activity("fails", function() error { code = "declined", message = "no money" } end)
    local output, err = runtimes.run(rt, function(ctx) ctx:activity("fails") end)
    assert.is_nil(output)
    assert.equal("declined", err.code)
    assert.equal("no money", err.message)
  end)

  it("fails when its result cannot be stored", function()
    local err = raised(function() return { callback = print } end)
    assert.equal("invalid_payload", err.code)
    assert.matches("callback", err.message)
  end)

  it("is not called at all when its input cannot be stored", function()
    local called = false
    rt:activity("echo", function() called = true end)
    local output = runtimes.run(rt, function(ctx)
      local ok, err = pcall(ctx.activity, ctx, "echo", { items = { 1, 2, { cb = print } } })
      return { ok = ok, code = err.code, message = err.message }
    end)
    assert.equal("invalid_payload", output.code)
    assert.matches("input.items[3].cb", output.message, 1, true)
    assert.is_false(called)
  end)
end)


describe("a retried activity", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  -- Runs an activity that always fails under this policy; the waits between its attempts, in ms.
  local function waits(retry)
    rt:activity("fails", { replace = true }, function() error("again") end)
    rt:orchestration("retries", { replace = true }, function(ctx)
      return (pcall(ctx.activity, ctx, "fails", nil, { retry = retry }))
    end)
    local id = assert(rt:start("retries"))
    assert(rt:advance("1d"))
    assert.is_false(rt:wait(id, 10))
    local list, before = {}, nil
    for _, event in ipairs(rt:history({ instance = id }).events) do
      if event.kind == "activity_retry_scheduled" then
        list[#list + 1] = event.fire_at_ms - math.floor(event.timestamp * 1000 + 0.5)
        before = event
      end
    end
    return list, before
  end

  it("runs again until it succeeds, and counts its attempts", function()
    local attempts, ids = {}, {}
    rt:activity("flaky", function(ctx)
      attempts[#attempts + 1] = ctx.attempt
      ids[ctx.activity_id] = true
      if ctx.attempt < 3 then error("not yet") end
      return "done"
    end)
    rt:orchestration("retries", function(ctx) return ctx:activity("flaky", nil, { retry = {} }) end)
    assert.equal("done", runtimes.finish(rt, "retries", nil, "1m", { id = "r" }))
    assert.same({ 1, 2, 3 }, attempts)
    local count = 0
    for _ in pairs(ids) do count = count + 1 end
    assert.equal(1, count)
    assert.same({ "orchestration_started retries", "activity_scheduled flaky", "activity_retry_scheduled",
      "activity_retry_scheduled", "activity_completed", "orchestration_completed" }, runtimes.kinds(rt, "r"))
  end)

  it("raises its last error when the attempts are over", function()
    rt:activity("fails", function(ctx) error { code = "down", message = "attempt " .. ctx.attempt } end)
    rt:orchestration("retries", function(ctx)
      local ok, err = pcall(ctx.activity, ctx, "fails", nil, { retry = { max_attempts = 4 } })
      return { ok, err.code, err.message, err.attempts }
    end)
    assert.same({ false, "down", "attempt 4", 4 }, runtimes.finish(rt, "retries"))
  end)

  it("waits exponentially by default: 0.1 s, times 2, 3 attempts", function()
    assert.same({ 100, 200 }, waits({}))
  end)

  it("waits exponentially with a first wait, a factor and a limit of one's own", function()
    assert.same({ 1000, 3000, 9000, 10000 }, waits({ max_attempts = 5, initial = 1, multiplier = 3, max = "10s" }))
  end)

  it("never waits longer than 30 s by default", function()
    local list = waits({ max_attempts = 12, initial = 10 })
    assert.equal(10000, list[1])
    assert.equal(20000, list[2])
    for i = 3, 11 do assert.equal(30000, list[i]) end
  end)

  it("waits linearly", function()
    assert.same({ 500, 1000, 1500 }, waits({ max_attempts = 4, backoff = "linear", initial = 0.5 }))
  end)

  it("waits the same each time", function()
    assert.same({ 250, 250, 250 }, waits({ max_attempts = 4, backoff = "fixed", initial = "250ms" }))
    assert.same({ 60000, 60000 }, waits({ max_attempts = 3, backoff = "fixed", initial = "1m" })) -- above 30 s
    assert.same({ 45000, 45000 }, waits({ max_attempts = 3, initial = "1m", max = 45 }))
  end)

  it("runs once with max_attempts=1", function()
    assert.same({}, waits({ max_attempts = 1 }))
  end)

  it("shortens its waits by jitter, to between a half and the whole", function()
    local list = waits({ max_attempts = 6, backoff = "fixed", initial = 10, jitter = true })
    local different = false
    for _, ms in ipairs(list) do
      assert.is_true(ms >= 5000 and ms <= 10000)
      different = different or ms ~= list[1]
    end
    assert.equal(5, #list)
    assert.is_true(different)
  end)

  it("shows attempt, error and next time of each retry in the history", function()
    local _, last = waits({ max_attempts = 3, initial = 1 })
    assert.equal(2, last.source_event_id)
    assert.matches("again", last.error.message)
    assert.is_number(last.attempt)
  end)

  it("is not tried again for a code in non_retryable", function()
    local runs = 0
    rt:activity("fails", function()
      runs = runs + 1
      error { code = runs == 1 and "busy" or "declined", message = "no" }
    end)
    rt:orchestration("retries", function(ctx)
      local _, err = pcall(ctx.activity, ctx, "fails", nil,
        { retry = { max_attempts = 9, non_retryable = { "declined" } } })
      return { err.code, err.attempts }
    end)
    assert.same({ "declined", 2 }, runtimes.finish(rt, "retries"))
    assert.equal(2, runs)
  end)

  it("is not tried again after an error with retryable=false", function()
    local runs = 0
    rt:activity("fails", function()
      runs = runs + 1
      error { message = "never", retryable = false }
    end)
    rt:orchestration("retries", function(ctx)
      return (pcall(ctx.activity, ctx, "fails", nil, { retry = { max_attempts = 9 } }))
    end)
    assert.is_false(runtimes.finish(rt, "retries"))
    assert.equal(1, runs)
  end)

  it("ends with timeout when its whole time is over, also between attempts", function()
    rt:activity("fails", function() error("again") end)
    rt:orchestration("retries", function(ctx)
      local before = ctx:now()
      local _, err = pcall(ctx.activity, ctx, "fails", nil,
        { timeout = 5, retry = { max_attempts = 100, backoff = "fixed", initial = 2 } })
      return { err.code, ctx:now() - before }
    end)
    assert.same({ "timeout", 5 }, runtimes.finish(rt, "retries"))
  end)

  it("ends an attempt that takes too long, and tries again", function()
    local attempts = 0
    rt:activity("slow", function(ctx)
      attempts = attempts + 1
      if ctx.attempt == 1 then ctx:sleep(60) end
      return "quick"
    end)
    rt:orchestration("retries", function(ctx)
      return ctx:activity("slow", nil, { attempt_timeout = 5, retry = { max_attempts = 2 } })
    end)
    assert.equal("quick", runtimes.finish(rt, "retries"))
    assert.equal(2, attempts)
  end)

  it("ends an attempt whose heartbeats stop, and hands its last details to the next", function()
    rt:activity("steps", function(ctx)
      if ctx.attempt > 1 then return ctx.heartbeat_details end
      for step = 1, 3 do
        ctx:sleep(4)
        ctx:heartbeat({ step = step })
      end
      ctx:sleep(600)
    end)
    rt:orchestration("retries", function(ctx)
      return ctx:activity("steps", nil, { heartbeat_timeout = 5, retry = { max_attempts = 2 } })
    end)
    assert.same({ step = 3 }, runtimes.finish(rt, "retries", nil, nil, { id = "r" }))
    local lost = rt:history({ instance = "r", kinds = { "activity_retry_scheduled" } }).events[1].error
    assert.same({ "timeout", "no heartbeat came in time" }, { lost.code, lost.message })
  end)

  it("refuses a policy out of range", function()
    for _, retry in ipairs {
      { max_attempts = 0 }, { backoff = "sometimes" }, { initial = -1 }, { multiplier = 0 }, { max = "soon" },
    } do
      local output, err = runtimes.run(rt, function(ctx) ctx:activity("x", nil, { retry = retry }) end)
      assert.is_nil(output)
      assert.equal("invalid_argument", err.code)
    end
    local _, err = runtimes.run(rt, function(ctx) ctx:activity("x", nil, { retry = { atempts = 1 } }) end)
    assert.matches("unknown option", err.message)
  end)
end)
