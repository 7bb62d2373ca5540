-- Retries of activities and of sub-orchestrations: how often, how long between, when to stop, and late results.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


-- An activity "flaky" that fails `failures` times in each instance, and the count of its runs by instance.
local function register(rt, failures)
  local runs = {}
  rt:activity("flaky", function(ctx)
    local n = (runs[ctx.instance_id] or 0) + 1
    runs[ctx.instance_id] = n
    if n <= failures then error { code = "busy", message = "failure " .. n } end
    return "run " .. n
  end)
  return runs
end


local function retrying(rt, opts)
  rt:orchestration("retries", { replace = true }, function(ctx)
    local ok, output = pcall(ctx.activity, ctx, "flaky", nil, opts)
    return ok and output or output.code .. ": " .. output.message
  end)
end


local function count(rt, id, kind)
  local n = 0
  for _, event in ipairs(rt:history({ instance = id }).events) do n = n + (event.kind == kind and 1 or 0) end
  return n
end


describe("a policy of retries", function()
  after_each(runtimes.clean)

  ways("is not needed when the first attempt succeeds", function(open)
    local rt = open()
    local runs = register(rt, 0)
    retrying(rt, { retry = { max_attempts = 5 } })
    assert.equal("run 1", runtimes.finish(rt, "retries", nil, "1m", { id = "r" }))
    assert.equal(1, runs.r)
    assert.equal(0, count(rt, "r", "activity_retry_scheduled"))
  end)

  ways("ends with the last error when its attempts are used up, and none is one attempt", function(open)
    local rt = open()
    register(rt, 100)
    for attempts, opts in pairs { [1] = {}, [3] = { retry = {} }, [5] = { retry = { max_attempts = 5 } } } do
      retrying(rt, opts)
      local id = "r" .. attempts
      assert.equal("busy: failure " .. attempts, runtimes.finish(rt, "retries", nil, "1h", { id = id }))
      assert.equal(attempts - 1, count(rt, id, "activity_retry_scheduled"))
      assert.equal(1, count(rt, id, "activity_failed"))
      assert.equal(0, count(rt, id, "timer_created")) -- its waits are no timers of the code
    end
  end)

  it("tries again at once when there is nothing to wait", function()
    local rt = runtimes.open()
    register(rt, 3)
    retrying(rt, { retry = { max_attempts = 4, backoff = "fixed", initial = 0 } })
    assert(rt:start("retries", nil, { id = "r" }))
    assert.equal("run 4", rt:wait("r", 10)) -- without moving the clock
  end)

  it("may be of fifty attempts", function()
    local rt = runtimes.open()
    local runs = register(rt, 49)
    retrying(rt, { retry = { max_attempts = 50, backoff = "fixed", initial = 1 } })
    assert.equal("run 50", runtimes.finish(rt, "retries", nil, "1h", { id = "r" }))
    assert.equal(50, runs.r)
  end)

  it("does not overflow: the thousandth wait is as long as the longest", function()
    local rt = runtimes.open()
    register(rt, 1100)
    retrying(rt, { retry = { max_attempts = 1101, initial = 1, multiplier = 10, max = 2 } })
    assert.equal("run 1101", runtimes.finish(rt, "retries", nil, "1h", { id = "r" }))
  end)

  it("waits the same when its multiplier is 1, and not at all when its first wait is 0", function()
    local rt = runtimes.open()
    register(rt, 3)
    for id, case in pairs {
      constant = { { max_attempts = 4, initial = 2, multiplier = 1 }, { 2000, 2000, 2000 } },
      zero = { { max_attempts = 4, initial = 0 }, { 0, 0, 0 } },
      zero_linear = { { max_attempts = 4, backoff = "linear", initial = 0 }, { 0, 0, 0 } },
      capped_linear = { { max_attempts = 4, backoff = "linear", initial = 2, max = 5 }, { 2000, 4000, 5000 } },
    } do
      retrying(rt, { retry = case[1] })
      assert.equal("run 4", runtimes.finish(rt, "retries", nil, "1h", { id = id }))
      local waits = {}
      for _, event in ipairs(rt:history({ instance = id }).events) do
        if event.kind == "activity_retry_scheduled" then
          waits[#waits + 1] = event.fire_at_ms - math.floor(event.timestamp * 1000 + 0.5)
        end
      end
      assert.same(case[2], waits)
    end
  end)

  it("is kept over a restart: attempt, waits and last error go on", function()
    local path = runtimes.path()
    local function open()
      local rt = runtimes.open { path = path }
      rt:activity("flaky", function(ctx)
        if ctx.attempt < 4 then error("attempt " .. ctx.attempt) end
        return ctx.attempt
      end)
      rt:orchestration("retries", function(ctx)
        return ctx:activity("flaky", nil, { retry = { max_attempts = 4, backoff = "fixed", initial = 60, max = 60 } })
      end)
      return rt
    end
    local rt = open()
    assert(rt:start("retries", nil, { id = "r" }))
    local began = rt:now()
    for attempt = 2, 4 do
      assert(rt:run_until_idle(10))
      local pending = rt:details("r").current_execution.pending_activities[1]
      assert.same({ attempt, "backing_off" }, { pending.attempt, pending.state })
      assert.matches("attempt " .. attempt - 1, pending.last_error.message)
      rt:close()
      rt = open()
      assert(rt:advance(math.max(0, began + 60 * (attempt - 1) - rt:now()) + 0.5))
    end
    assert.equal(4, rt:wait("r", 10))
  end)

  it("is of each instance: others are not held up", function()
    local rt = runtimes.open()
    local runs = register(rt, 2)
    retrying(rt, { retry = { initial = 10 } })
    for i = 1, 5 do assert(rt:start("retries", nil, { id = "r" .. i })) end
    assert(rt:advance("1m"))
    for i = 1, 5 do
      assert.equal("run 3", rt:wait("r" .. i, 10))
      assert.equal(3, runs["r" .. i])
    end
  end)
end)


describe("the time limits of a retried activity", function()
  after_each(runtimes.clean)

  -- An activity that takes `seconds`, or less from its attempt `quick_from` on.
  local function slow(rt, seconds, quick_from)
    local runs = 0
    rt:activity("flaky", function(ctx)
      runs = runs + 1
      ctx:sleep(ctx.attempt >= (quick_from or 99) and 1 or seconds)
      return "attempt " .. ctx.attempt
    end)
    return function() return runs end
  end

  it("of the whole end it, and are no failure to try again", function()
    local rt = runtimes.open()
    local runs = slow(rt, 100)
    retrying(rt, { timeout = 10, retry = { max_attempts = 5 } })
    assert.matches("^timeout: ", runtimes.finish(rt, "retries"))
    assert.equal(1, runs())
  end)

  it("do nothing when it is done before", function()
    local rt = runtimes.open()
    slow(rt, 5)
    retrying(rt, { timeout = 10, attempt_timeout = 6, retry = {} })
    assert.equal("attempt 1", runtimes.finish(rt, "retries", nil, "1h", { id = "r" }))
    assert(rt:advance("1h"))
    assert.equal("completed", rt:status("r").status)
  end)

  it("of an attempt are a failure to try again, until the whole is over", function()
    local rt = runtimes.open()
    local runs = slow(rt, 100, 3)
    retrying(rt, { attempt_timeout = 10, retry = { max_attempts = 5, backoff = "fixed", initial = 1 } })
    assert.equal("attempt 3", runtimes.finish(rt, "retries"))
    assert.equal(3, runs())
    retrying(rt, { timeout = 15, attempt_timeout = 10, retry = { max_attempts = 5, backoff = "fixed", initial = 1 } })
    local before = runs()
    assert.matches("^timeout: ", runtimes.finish(rt, "retries"))
    assert.equal(2, runs() - before)
  end)

  it("give the code of the last attempt's end when all of them took too long", function()
    local rt = runtimes.open()
    slow(rt, 100)
    retrying(rt, { attempt_timeout = 10, retry = { max_attempts = 2, initial = 1 } })
    assert.matches("^timeout: ", runtimes.finish(rt, "retries"))
  end)

  it("drop a result that comes late: of an attempt that was given up, of an execution that is past", function()
    local rt = runtimes.open { clock = "system" }
    local done = {}
    rt:activity("late", function(ctx) done[#done + 1] = ctx:async() end)
    rt:orchestration("moves_on", function(ctx, round)
      if round == 2 then return ctx:wait_event("go") end
      pcall(ctx.activity, ctx, "late", nil, { attempt_timeout = "10ms", retry = { max_attempts = 2, initial = "1ms" } })
      ctx:continue_as_new(2)
    end)
    assert(rt:start("moves_on", 1, { id = "m" }))
    runtimes.until_true(rt, function() return #rt:list_executions("m") == 2 end, "both attempts are given up")
    assert.equal(2, #done)
    for _, finish in ipairs(done) do finish(nil, "too late") end
    assert(rt:raise_event("m", "go", "unharmed"))
    assert.equal("unharmed", rt:wait("m", 10))
    local kinds = {}
    for _, event in ipairs(rt:history({ instance = "m", execution = 1 }).events) do kinds[event.kind] = true end
    assert.is_true(kinds.activity_failed)
    assert.is_nil(kinds.activity_completed)
  end)
end)


describe("a retried sub-orchestration", function()
  after_each(runtimes.clean)

  local function open_with_child(open, failures, code)
    local rt = open()
    local runs = 0
    rt:orchestration("child", { guard = false }, function(ctx)
      runs = runs + 1
      local n = ctx:side_effect(function() return runs end)
      if n <= failures then error { code = code or "busy", message = "failure " .. n } end
      return "run " .. n
    end)
    return rt
  end

  local function parent(rt, opts)
    rt:orchestration("parent", function(ctx)
      local began = ctx:now()
      local ok, output = pcall(ctx.sub_orchestration, ctx, "child", nil, opts)
      return { ok and output or output.code, ok and 0 or output.attempts, ctx:now() - began }
    end)
    return runtimes.finish(rt, "parent", nil, "1h", { id = "p" })
  end

  it("has the same waits and attempts as an activity, and an instance for each", function()
    local rt = open_with_child(runtimes.open, 2)
    assert.same({ "run 3", 0, 3 }, parent(rt, { retry = { initial = 1 } }))
    assert.equal(3, #rt:list_instances { name = "child" })
    assert.equal(2, #rt:list_instances { name = "child", status = "failed" })
  end)

  it("gives its last error, and stops at what is not to be retried", function()
    local rt = open_with_child(runtimes.open, 100)
    assert.same({ "busy", 3, 3 }, parent(rt, { retry = { initial = 1 } }))
    rt = open_with_child(runtimes.open, 100, "declined")
    assert.same({ "declined", 1, 0 }, parent(rt, { retry = { non_retryable = "declined" } }))
  end)

  ways("has a time limit over all of its attempts", function(open)
    local rt = open()
    rt:orchestration("child", function(ctx)
      ctx:sleep(4)
      error("again")
    end)
    rt:orchestration("parent", function(ctx)
      local began = ctx:now()
      local _, err = pcall(ctx.sub_orchestration, ctx, "child", nil,
        { timeout = 10, retry = { max_attempts = 9, backoff = "fixed", initial = 1 } })
      return { err.code, ctx:now() - began }
    end)
    assert.same({ "timeout", 10 }, runtimes.finish(rt, "parent", nil, "1h"))
    assert.equal(0, #rt:list_instances { name = "child", status = "running" })
  end)
end)
