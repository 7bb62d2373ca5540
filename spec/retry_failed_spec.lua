local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"


describe("a failed instance that is retried", function()
  local rt, broken, runs

  before_each(function()
    broken, runs = { charge = true }, {}
    rt = runtimes.open()
  end)
  after_each(runtimes.clean)

  local function activity(name)
    rt:activity(name, function(_, input)
      runs[name] = (runs[name] or 0) + 1
      if broken[name] then error { code = "down", message = name .. " is down" } end
      return input or name
    end)
  end

  -- Runs `fn` as instance "i" until it has failed.
  local function failed(fn, options)
    for _, name in ipairs { "reserve", "charge", "ship" } do activity(name) end
    rt:orchestration("order", fn)
    assert(rt:start("order", nil, { id = "i", timeout = options and options.timeout }))
    assert(rt:run_until_idle(10))
    assert.equal("failed", rt:status("i").status)
  end

  local function retry(choice)
    return assert(rt:retry_failed(choice or { instances = { "i" } }))
  end

  -- Why it was not retried.
  local function refused(id)
    local outcome = retry { instances = { id or "i" } }
    assert.same({}, outcome.retried_instances)
    assert.equal(id or "i", outcome.failed_instances[1].instance_id)
    return outcome.failed_instances[1].error
  end

  local function steps(ctx)
    local reserved = ctx:activity("reserve", 7)
    ctx.kv.reserved = reserved
    ctx:activity("charge", reserved)
    ctx:activity("ship")
    return reserved
  end

  it("goes on from the failed step, and what had succeeded does not run again", function()
    failed(steps)
    broken.charge = nil
    local outcome = retry()
    assert.same({ "i" }, outcome.retried_instances)
    assert.same({}, outcome.failed_instances)
    assert.equal(1, outcome.total_matched)
    assert.equal(7, rt:wait("i", 10))
    assert.same({ reserve = 1, charge = 2, ship = 1 }, runs)
  end)

  it("keeps its history, with the event that masks the failure", function()
    failed(steps)
    broken.charge = nil
    retry { instances = { "i" }, reason = "the bank is back" }
    assert(rt:wait("i", 10))
    assert.same({ "orchestration_started order", "activity_scheduled reserve", "activity_completed", "kv_set reserved",
      "activity_scheduled charge", "activity_failed", "orchestration_failed", "orchestration_retried",
      "activity_completed", "activity_scheduled ship", "activity_completed", "orchestration_completed" },
      runtimes.kinds(rt, "i"))
    local event = rt:history({ instance = "i", kinds = "orchestration_retried" }).events[1]
    assert.equal(6, event.source_event_id)
    assert.equal("the bank is back", event.reason)
  end)

  it("is running again, without error and end", function()
    failed(steps)
    broken.charge = nil
    rt:activity("charge", { replace = true }, function(ctx) return ctx:defer() end)
    retry()
    local row = rt:list_instances({ status = "running" })[1]
    assert.equal("i", row.instance_id)
    assert.is_nil(row.error)
    assert.is_nil(row.completed_at)
    assert.equal("running", rt:status("i").status)
    assert.equal(0, #rt:list_failed_instances())
  end)

  it("may fail and be retried again", function()
    failed(steps)
    retry()
    assert(rt:run_until_idle(10))
    assert.equal("failed", rt:status("i").status)
    assert.equal("charge is down", rt:status("i").error.message)
    broken.charge = nil
    retry()
    assert.equal(7, rt:wait("i", 10))
    assert.same({ reserve = 1, charge = 3, ship = 1 }, runs)
  end)

  it("gives the failed step all its attempts again", function()
    failed(function(ctx)
      return ctx:activity("charge", 1, { retry = { max_attempts = 1 } })
    end)
    runs = {}
    rt:orchestration("patient", function(ctx)
      return ctx:activity("charge", 1, { retry = { max_attempts = 3, backoff = "fixed", initial = 1 } })
    end)
    assert(rt:start("patient", nil, { id = "p" }))
    assert(rt:advance(10))
    assert.equal(3, runs.charge)
    retry { instances = { "p" } }
    assert(rt:advance(10))
    assert.equal(6, runs.charge)
    assert.equal("failed", rt:status("p").status)
  end)

  it("keeps what came beside the failure: results, and events for its mailbox", function()
    failed(function(ctx)
      local ship, charge = ctx:schedule_activity("ship"), ctx:schedule_activity("charge")
      local timer = ctx:schedule_timer(60)
      ctx:join { charge, ship }
      timer:await()
      return ctx:wait_event("note")
    end)
    broken.charge = nil
    retry()
    assert(rt:run_until_idle(10))
    assert.same({ charge = 2, ship = 1 }, runs)
    assert(rt:raise_event("i", "note", "hello"))
    assert(rt:advance(60))
    assert.equal("hello", rt:wait("i", 10))
  end)

  it("hears again of an event that came with the failure", function()
    local finish
    rt:activity("slow", function(ctx) finish = ctx:async() end)
    rt:activity("fast", function() error("no", 0) end)
    rt:orchestration("both", function(ctx)
      ctx:join { ctx:schedule_activity("fast"), ctx:schedule_activity("slow") }
      return ctx:wait_event("note")
    end)
    assert(rt:start("both", nil, { id = "b" }))
    runtimes.until_true(rt, function() return finish end)
    assert(rt:raise_event("b", "note", "early"))
    finish(nil, 1)
    assert(rt:run_until_idle(10))
    assert.equal("failed", rt:status("b").status)
    rt:activity("fast", { replace = true }, function() end)
    retry { instances = { "b" } }
    assert.equal("early", rt:wait("b", 10))
  end)

  it("takes timers up where they were", function()
    failed(function(ctx)
      local timer = ctx:schedule_timer(60)
      ctx:activity("charge")
      timer:await()
      return ctx:now()
    end)
    local began = rt:now()
    assert(rt:advance(20))
    broken.charge = nil
    retry()
    assert(rt:advance(40))
    assert.near(began + 60, rt:wait("i", 10), 0.01)
  end)

  it("sends the step to its queue again", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path, clock = "system", queues = { "bank" } }
    activity("charge")
    rt:orchestration("order", function(ctx) return ctx:activity("charge", 3, { queue = "bank" }) end)
    assert(rt:start("order", nil, { id = "i" }))
    local output, err = rt:wait("i", 10)
    assert.is_nil(output)
    assert.equal("down", err.code)
    broken.charge = nil
    retry()
    assert.equal(3, rt:wait("i", 10))
    assert.equal(2, runs.charge)
  end)

  it("goes on in a sub-orchestration from the step that failed there", function()
    rt:orchestration("kid", steps)
    failed(function(ctx)
      return ctx:sub_orchestration("kid", nil, { id = "kid-1" })
    end)
    assert.equal("failed", rt:status("kid-1").status)
    broken.charge = nil
    retry()
    assert.equal(7, rt:wait("i", 10))
    assert.equal("completed", rt:status("kid-1").status)
    assert.same({ reserve = 1, charge = 2, ship = 1 }, runs)
  end)

  it("begins a sub-orchestration anew that cannot go on, or was cancelled by the failure", function()
    local begun = { own = 0, waits = 0 }
    rt:orchestration("own", function()
      begun.own = begun.own + 1
      if begun.own == 1 then error("its own", 0) end
      return "mended"
    end)
    rt:orchestration("waits", function(ctx)
      if not ctx.is_replaying then begun.waits = begun.waits + 1 end
      return ctx:wait_event("go")
    end)
    failed(function(ctx)
      local first = ctx:schedule_sub_orchestration("waits", nil, { id = "w" })
      local second = ctx:sub_orchestration("own", nil, { id = "o" })
      return { first:await(), second }
    end)
    assert.equal("cancelled", rt:status("w").status)
    retry()
    assert(rt:run_until_idle(10))
    assert.equal("running", rt:status("w").status)
    assert(rt:raise_event("w", "go", "went"))
    assert.same({ "went", "mended" }, rt:wait("i", 10))
    assert.same({ own = 2, waits = 2 }, begun)
    assert.equal(2, rt:dependencies("i").total_descendants)
  end)

  it("is refused when its code caught the failure and went on, or raised the error itself", function()
    failed(function(ctx)
      local ok, err = pcall(ctx.activity, ctx, "charge")
      assert(not ok)
      ctx:activity("ship") -- the compensation
      error(err)
    end)
    local err = refused()
    assert.equal("invalid_argument", err.code)
    assert.matches("went on after the failure", err.message)
    rt:orchestration("bug", function() error("a bug", 0) end)
    assert(rt:start("bug", nil, { id = "bug" }))
    assert(rt:run_until_idle(10))
    assert.equal("invalid_argument", refused("bug").code)
    assert.equal("failed", rt:status("i").status)
  end)

  it("is refused when it did not fail, has not ended, is a child or is unknown", function()
    rt:orchestration("waits", function(ctx) ctx:wait_event("go") end)
    rt:orchestration("kid", function(ctx) ctx:activity("charge") end)
    failed(function(ctx) ctx:sub_orchestration("kid", nil, { id = "kid" }) end)
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:run_until_idle(10))
    assert.equal("running", refused("w").code)
    assert(rt:terminate("w"))
    assert.equal("finished", refused("w").code)
    assert.equal("invalid_argument", refused("kid").code)
    assert.equal("not_found", refused("nobody").code)
  end)

  it("is refused when it ran out of time as a whole", function()
    rt:orchestration("waits", function(ctx) ctx:wait_event("go") end)
    assert(rt:start("waits", nil, { id = "i", timeout = 5 }))
    assert(rt:advance(10))
    assert.equal("failed", rt:status("i").status)
    assert.matches("ran out of time", refused().message)
  end)

  it("may be one of many, found by a filter, which means failed roots", function()
    failed(steps)
    rt:orchestration("parent", function(ctx) ctx:sub_orchestration("order", nil, { id = "sub" }) end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:start("order", nil, { id = "j" }))
    assert(rt:run_until_idle(10))
    broken.charge = nil
    local planned = retry { filter = { name = "order" }, dry_run = true }
    table.sort(planned.retried_instances)
    assert.same({ "i", "j" }, planned.retried_instances)
    assert.equal("failed", rt:status("i").status)
    local outcome = retry { filter = { id_prefix = "" }, all = true }
    table.sort(outcome.retried_instances)
    assert.same({ "i", "j", "p" }, outcome.retried_instances)
    for _, id in ipairs(outcome.retried_instances) do rt:wait(id, 10) end
    assert.equal(4, #rt:list_instances { status = "completed" })
    local none, err = rt:retry_failed { filter = {} }
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
  end)

  it("counts as active, not as failed", function()
    failed(steps)
    broken.charge = nil
    retry()
    assert(rt:wait("i", 10))
    local metrics = rt:runtime_metrics()
    assert.equal(0, metrics.total_instances_failed)
    assert.equal(1, metrics.total_instances_completed)
    assert.equal(0, metrics.active_instances)
  end)

  it("can be looked back at, before the retry and after it", function()
    failed(steps)
    broken.charge = nil
    retry()
    assert(rt:wait("i", 10))
    assert.same({ reserved = 7 }, rt:at("i", 5).kv)
    assert.equal("charge", rt:at("i", 8).pending.pending_activities[1].name)
    assert.equal("ship", rt:at("i", 10).pending.pending_activities[1].name)
  end)

  it("fits its code before the retry, after it and when it has ended, whatever the masked events say", function()
    failed(steps)
    local function fits(fn)
      return assert(duro.replay(assert(rt:export("i")), fn)).ok
    end
    assert.is_true(fits(steps))
    retry() -- and it fails again
    assert(rt:run_until_idle(10))
    assert.is_true(fits(steps))
    rt:activity("charge", { replace = true }, function(ctx) ctx:defer() end)
    retry()
    assert(rt:run_until_idle(10))
    assert.is_true(fits(steps))
    assert.same({ checked = 1, failing = {}, skipped = 0 }, rt:check { name = "order", fn = steps })
    local function gives_up(ctx)
      local ok, err = pcall(steps, ctx)
      return ok and err or "given up"
    end
    assert.is_true(fits(gives_up)) -- the failure that it would have caught is masked
    assert.is_false(fits(function(ctx) ctx:activity("charge") end))
    assert.equal(1, #rt:check({ name = "order", fn = function(ctx) ctx:activity("ship") end }).failing)
  end)

  it("goes on in the execution that failed", function()
    failed(function(ctx, round)
      ctx:activity("reserve", round or 1)
      if not round then ctx:continue_as_new(2) end
      return ctx:activity("charge", round)
    end)
    broken.charge = nil
    retry()
    assert.equal(2, rt:wait("i", 10))
    assert.same({ reserve = 2, charge = 2 }, runs)
    assert.same({ 1, 2 }, rt:list_executions("i"))
  end)

  it("goes on after the file was closed and opened again", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    failed(steps)
    local token
    rt:activity("charge", { replace = true }, function(ctx) token = ctx:defer() end)
    retry()
    assert(rt:run_until_idle(10))
    rt:close()
    rt = runtimes.open { path = path }
    for _, name in ipairs { "reserve", "charge", "ship" } do activity(name) end
    rt:orchestration("order", steps)
    assert.equal("running", rt:status("i").status)
    assert(rt:complete_activity(token, "paid"))
    assert.equal(7, rt:wait("i", 10))
    assert.same({ reserve = 1, charge = 1, ship = 1 }, runs)
  end)

  it("is failed or running when the process is killed at once, and goes on when it is opened", function()
    local path = runtimes.path()
    local script = ([[
      local duro = require "duro"
      local rt = assert(duro.open{ path = %q, durability = "normal" })
      local bad = %%s
      rt:activity("charge", function() if bad then error("down", 0) end return 5 end)
      rt:orchestration("order", function(ctx) return ctx:activity("charge") end)
      %%s
    ]]):format(path)
    local first = child.start(script:format("true", [[
      assert(rt:start("order", nil, { id = "i" }))
      rt:wait("i", 10)
      rt:activity("charge", { replace = true }, function(ctx) ctx:async() end) -- it never comes back
      print(#rt:retry_failed{ instances = { "i" } }.retried_instances)
      io.stdout:flush()
      rt:run()
    ]]))
    assert.equal("1", first:line())
    first:kill()
    assert.same({ "5" }, child.lines(script:format("false", [[print((rt:wait("i", 10)))]])))
  end)
end)
