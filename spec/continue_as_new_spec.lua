local runtimes = require "spec.support.runtimes"


describe("continue-as-new", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("starts the next execution with a new input, under the same id", function()
    rt:orchestration("counts", function(ctx, n)
      if n < 5 then ctx:continue_as_new(n + 1) end
      return { n, ctx.execution_id }
    end)
    local id = assert(rt:start("counts", 1))
    assert.same({ 5, 5 }, rt:wait(id, 10))
    assert.same({ 1, 2, 3, 4, 5 }, rt:list_executions(id))
    assert.equal(5, rt:details(id).summary.execution_count)
  end)

  it("never returns", function()
    local after = false
    rt:orchestration("once", function(ctx, n)
      if n == 2 then return "second" end
      ctx:continue_as_new(2)
      after = true
    end)
    assert.equal("second", rt:wait(assert(rt:start("once", 1)), 10))
    assert.is_false(after)
  end)

  it("passes pcall", function()
    rt:orchestration("protected", function(ctx, n)
      if n == 2 then return "second" end
      pcall(ctx.continue_as_new, ctx, 2)
      return "caught"
    end)
    assert.equal("second", rt:wait(assert(rt:start("protected", 1)), 10))
  end)

  it("leaves each execution its own history", function()
    rt:orchestration("counts", function(ctx, n)
      if n < 2 then ctx:continue_as_new(n + 1, { reason = "enough" }) end
      ctx:sleep(1)
    end)
    assert(rt:start("counts", 1, { id = "c" }))
    assert(rt:advance(10))
    assert.same({ "orchestration_started counts", "orchestration_continued_as_new" }, runtimes.kinds(rt, "c", 1))
    assert.same({ "orchestration_started counts", "timer_created", "timer_fired", "orchestration_completed" },
      runtimes.kinds(rt, "c", 2))
    local executions = rt:details("c").executions
    assert.equal("continued_as_new", executions[1].status)
    assert.equal("enough", executions[1].continue_as_new_reason)
    assert.equal("completed", executions[2].status)
  end)

  it("carries events that nobody has taken, in order", function()
    rt:orchestration("drains", function(ctx, seen)
      seen[#seen + 1] = ctx:wait_event("e")
      if #seen < 4 then ctx:continue_as_new(seen) end
      return seen
    end)
    local id = assert(rt:start("drains", {}))
    for i = 1, 4 do assert(rt:raise_event(id, "e", i)) end
    assert.same({ 1, 2, 3, 4 }, rt:wait(id, 10))
  end)

  it("carries kv, custom status and attributes", function()
    rt:orchestration("carries", function(ctx, n)
      if n == 1 then
        ctx.kv.step = 3
        ctx:set_custom_status("half way")
        ctx:set_attributes { region = "eu" }
        ctx:continue_as_new(2)
      end
      return ctx.kv.step
    end)
    local id = assert(rt:start("carries", 1, { attributes = { size = 5 } }))
    assert.equal(3, rt:wait(id, 10))
    assert.equal("half way", rt:status(id).custom_status)
    assert.same({ region = "eu", size = 5 }, rt:details(id).summary.attributes)
  end)

  it("cancels what is still pending", function()
    rt:orchestration("child", function(ctx) ctx:sleep("1h") end)
    rt:orchestration("leaves", function(ctx, n)
      if n == 2 then return "second" end
      ctx:schedule_timer("1h")
      ctx:schedule_sub_orchestration("child", nil, { id = "left" })
      ctx:wait_event("next")
      ctx:continue_as_new(2)
    end)
    local id = assert(rt:start("leaves", 1, { id = "l" }))
    assert(rt:run_until_idle(10))
    assert.equal("running", rt:status("left").status)
    assert(rt:raise_event(id, "next"))
    assert.equal("second", rt:wait(id, 10))
    assert(rt:run_until_idle(10))
    assert.equal("cancelled", rt:status("left").status)
    local kinds = {}
    for _, event in ipairs(rt:history({ instance = id, execution = 1 }).events) do kinds[event.kind] = event end
    assert.equal(2, kinds.timer_cancelled.source_event_id)
    assert.equal(3, kinds.sub_orchestration_cancelled.source_event_id)
  end)

  it("drops a late completion of the execution before", function()
    local done
    rt:activity("late", function(ctx) done = ctx:async() end)
    rt:orchestration("moves_on", function(ctx, n)
      if n == 1 then
        ctx:schedule_activity("late")
        ctx:wait_event("next")
        ctx:continue_as_new(2)
      end
      return { n, ctx:wait_event("next") }
    end)
    local id = assert(rt:start("moves_on", 1))
    runtimes.until_true(rt, function() return done end, "the activity runs")
    assert(rt:raise_event(id, "next"))
    runtimes.until_true(rt, function() return #rt:list_executions(id) == 2 end, "the second execution")
    done(nil, "too late")
    assert(rt:raise_event(id, "next", "event"))
    assert.same({ 2, "event" }, rt:wait(id, 10))
  end)

  it("may change the version", function()
    rt:orchestration("upgrades", { version = "1.0.0" }, function(ctx, n)
      ctx:continue_as_new(n + 1, { version = "2.0.0" })
    end)
    rt:orchestration("upgrades", { version = "2.0.0" }, function(ctx, n) return { n, ctx.version } end)
    local id = assert(rt:start("upgrades", 1, { version = "1.0.0" }))
    assert.same({ 2, "2.0.0" }, rt:wait(id, 10))
  end)

  it("stays on its version otherwise", function()
    rt:orchestration("stays", { version = "1.0.0" }, function(ctx, n)
      if n < 3 then ctx:continue_as_new(n + 1) end
      return ctx.version
    end)
    rt:orchestration("stays", { version = "2.0.0" }, function() return "wrong" end)
    assert.equal("1.0.0", rt:wait(assert(rt:start("stays", 1, { version = "1.0.0" })), 10))
  end)

  it("inside a spawned block is refused", function()
    local output = runtimes.run(rt, function(ctx)
      local ok, err = pcall(ctx.join, ctx, { ctx:spawn(function() ctx:continue_as_new(2) end) })
      return { ok, err.message }
    end)
    assert.is_false(output[1])
    assert.matches("continue_as_new", output[2])
  end)

  it("can be pruned without touching the current execution", function()
    rt:orchestration("counts", function(ctx, n)
      if n < 6 then ctx:continue_as_new(n + 1) end
      ctx:wait_event("end")
      return n
    end)
    local id = assert(rt:start("counts", 1))
    assert(rt:run_until_idle(10))
    assert.equal(3, rt:prune_executions(id, { keep_last = 3 }).executions_deleted)
    assert.same({ 4, 5, 6 }, rt:list_executions(id))
    assert.equal(2, rt:prune_executions(id, { keep_last = 0 }).executions_deleted)
    assert.same({ 6 }, rt:list_executions(id))
    assert(rt:raise_event(id, "end"))
    assert.equal(6, rt:wait(id, 10))
  end)
end)
