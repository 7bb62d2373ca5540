local runtimes = require "spec.support.runtimes"


describe("the list of instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("order.eu", function(ctx)
      ctx:wait_event("paid")
      return "done"
    end)
    rt:orchestration("order.us", function() error { code = "broken", message = "the belt is broken" } end)
    rt:orchestration("audit", function(ctx) ctx:sleep("1h") end)
    assert(rt:start("order.eu", nil, { id = "a", attributes = { region = "eu", size = 5 } }))
    assert(rt:run_until_idle(10))
    assert(rt:advance(10))
    assert(rt:start("order.us", nil, { id = "b", attributes = { region = "us", size = 5 } }))
    assert(rt:advance(10))
    assert(rt:start("audit", nil, { id = "c" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  local function ids(filter)
    return table.concat(assert(rt:list_instances(filter)):ids(), " ")
  end

  it("has everything, newest first", function()
    assert.equal("c b a", ids())
    assert.equal("c b a", ids {})
  end)

  it("matches status, name, id, attributes, parent, error and what is waited for", function()
    assert.equal("b", ids { status = "failed" })
    assert.equal("c a", ids { status = { "running", "suspended" } })
    assert.equal("b a", ids { name = "order.*" })
    assert.equal("c a", ids { name = { "audit", "order.eu" } })
    assert.equal("a", ids { id_prefix = "a" })
    assert.equal("b a", ids { attributes = { size = 5 } })
    assert.equal("a", ids { attributes = { size = 5, region = "eu" } })
    assert.equal("c b a", ids { has_parent = false })
    assert.equal("", ids { has_parent = true })
    assert.equal("b", ids { error_contains = "belt" })
    assert.equal("c", ids { waiting_on = "timer" })
    assert.equal("a", ids { waiting_on = "event" })
    assert.equal("a", ids { waiting_on = "event:paid" })
    assert.equal("", ids { waiting_on = "event:other" })
    assert.equal("", ids { status = "running", name = "order.us" })
  end)

  it("matches times exclusively", function()
    local rows = rt:list_instances()
    assert.equal("c", ids { created_after = rows[2].created_at })
    assert.equal("a", ids { created_before = rows[2].created_at })
    assert.equal("b", ids { completed_before = rt:now() })
    assert.equal("", ids { completed_after = rt:now() })
  end)

  it("says when more matched than the limit", function()
    local list = rt:list_instances { limit = 2 }
    assert.equal(2, #list)
    assert.is_true(list.truncated)
    assert.is_nil(rt:list_instances({ limit = 3 }).truncated)
    local bounded = runtimes.open { management = { max_list_instances = 5 } }
    local none, err = bounded:list_instances { limit = 6 }
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
  end)

  it("has shorthands", function()
    assert.equal("a", table.concat(rt:list_instances_by_orchestration("order.eu"):ids(), " "))
    assert.equal("c a", table.concat(rt:list_running_instances():ids(), " "))
    assert.equal("b", table.concat(rt:list_failed_instances():ids(), " "))
    assert.equal("", table.concat(rt:list_failed_instances(rt:now()):ids(), " "))
  end)

  it("has rows that are plain tables and print well", function()
    local list = rt:list_instances()
    local keys = {}
    for key in pairs(list[2]) do keys[#keys + 1] = key end
    table.sort(keys)
    assert.same({ "attributes", "completed_at", "created_at", "error", "execution_count", "instance_id",
      "orchestration_name", "status", "updated_at", "version" }, keys)
    assert.equal("broken", list[2].error.code)
    assert.equal("broken: the belt is broken", tostring(list[2].error))
    local lines = {}
    for line in tostring(list):gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal(4, #lines)
    assert.matches("^instance_id  orchestration  status ", lines[1])
    assert.matches("^a            order.eu       running ", lines[4])
    assert.matches("^order.us 'b' failed .* ago: broken: the belt is broken$", tostring(list[2]))
  end)

  it("refuses an unknown filter and a wrong one", function()
    assert.error_matches(function() rt:list_instances { staus = "failed" } end,
      "unknown option 'staus' %(did you mean 'status'%?%)")
    for _, filter in ipairs { { status = "sleeping" }, { waiting_on = "luck" }, { limit = 0 } } do
      local list, err = rt:list_instances(filter)
      assert.is_nil(list)
      assert.equal("invalid_argument", err.code)
    end
  end)
end)


describe("the details of an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("say what it waits for", function()
    local done
    rt:activity("long", function(ctx) done = ctx:async() end)
    rt:activity("fails", function() error("no luck") end)
    rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("busy", function(ctx)
      ctx:schedule_activity("long", { 1 })
      ctx:schedule_activity("fails", nil, { retry = { initial = 20 } })
      ctx:schedule_timer(60)
      ctx:schedule_sub_orchestration("child", nil, { id = "kid" })
      ctx:wait_event("approval")
    end)
    assert(rt:start("busy", nil, { id = "b" }))
    runtimes.until_true(rt, function() return done end)
    local details = runtimes.until_true(rt, function()
      local now = assert(rt:details("b"))
      return now.current_execution.pending_activities[2].state == "backing_off" and now
    end, "the failing one backs off")
    assert.equal("running", details.summary.status)
    assert.equal(1, #details.executions)
    local current = details.current_execution
    assert.equal(2, #current.pending_activities)
    local long, fails = current.pending_activities[1], current.pending_activities[2]
    assert.same({ 2, "long", { 1 }, 1, "running" }, { long.correlation_id, long.name, long.input, long.attempt,
      long.state })
    assert.same({ 3, "fails", 2, "backing_off" }, { fails.correlation_id, fails.name, fails.attempt, fails.state })
    assert.matches("no luck", fails.last_error.message)
    assert.near(rt:now() + 20, fails.next_attempt_at, 1)
    assert.same({ 4, 60000 }, { current.pending_timers[1].correlation_id, current.pending_timers[1].delay_ms })
    assert.same({ 5, "kid", "child" }, { current.pending_sub_orchestrations[1].correlation_id,
      current.pending_sub_orchestrations[1].instance_id, current.pending_sub_orchestrations[1].name })
    assert.same({ 6, "approval" }, { current.pending_events[1].correlation_id, current.pending_events[1].name })
    assert.matches("waits for event 'approval'", tostring(details))
    done(nil)
  end)

  it("include where its code waits", function()
    rt:orchestration("nested", function(ctx, input)
      local function helper(x)
        local doubled = x * 2
        ctx:wait_event("never")
        return doubled
      end
      local value = helper(input) -- no tail call: its frame would be gone
      return value
    end)
    assert(rt:start("nested", 21, { id = "n" }))
    assert(rt:run_until_idle(10))
    local stack = assert(rt:stack("n"))
    assert.same({ x = 21, doubled = 42 }, stack[1].locals)
    assert.equal("helper", stack[1]["function"])
    assert.matches("management_spec.lua:%d+: in function 'helper'\n\t\tdoubled = 42\n\t\tx = 21", tostring(stack))
  end)

  it("have no current execution once it has ended", function()
    runtimes.run(rt, function() return 1 end, nil, { id = "x" })
    local details = assert(rt:details("x"))
    assert.is_nil(details.current_execution)
    assert.equal("completed", details.executions[1].status)
    assert.equal(2, details.executions[1].event_count)
  end)

  it("of an unknown instance are not_found", function()
    for _, call in ipairs { "details", "statistics", "list_executions", "descriptor", "export" } do
      local answer, err = rt[call](rt, "nobody")
      assert.is_nil(answer)
      assert.equal("not_found", err.code)
    end
    local answer, err = rt:history { instance = "nobody" }
    assert.is_nil(answer)
    assert.equal("not_found", err.code)
  end)
end)


describe("the history of an instance", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("add", function(_, n) return n + 1 end)
    rt:orchestration("adds", function(ctx, n)
      for _ = 1, 3 do n = ctx:activity("add", n) end
      return n
    end)
    rt:wait(assert(rt:start("adds", 0, { id = "h" })), 10)
  end)
  after_each(runtimes.clean)

  it("has each event with its payloads and what it completes", function()
    local events = rt:history({ instance = "h" }).events
    assert.equal(8, #events)
    assert.same({ 2, "activity_scheduled", "add", 0 },
      { events[2].event_id, events[2].kind, events[2].name, events[2].input })
    assert.same({ 3, "activity_completed", 2, 1 },
      { events[3].event_id, events[3].kind, events[3].source_event_id, events[3].output })
    assert.same({ "orchestration_completed", 3 }, { events[8].kind, events[8].output })
  end)

  it("can be narrowed and turned round", function()
    local events = rt:history({ instance = "h", kinds = "activity_completed" }).events
    assert.equal(3, #events)
    events = rt:history({ instance = "h", since_event = 6 }).events
    assert.equal(7, events[1].event_id)
    events = rt:history({ instance = "h", order = "desc" }).events
    assert.equal(8, events[1].event_id)
    assert.equal(1, events[8].event_id)
  end)

  it("is part of the export", function()
    local export = assert(rt:export("h"))
    assert.equal(1, #export.executions)
    assert.equal(8, #export.executions[1].events)
    assert.equal("h", export.instance_id)
  end)
end)


describe("the counters of a process", function()
  after_each(runtimes.clean)

  it("are numbers by name, and print in a column", function()
    local rt = runtimes.open()
    runtimes.run(rt, function() end)
    local metrics = assert(rt:runtime_metrics())
    assert.equal(1, metrics.total_instances_completed)
    assert.matches("total instances completed +1\n", tostring(metrics))
    assert.equal("events deleted: 2, executions deleted: 1, instances deleted: 1",
      tostring(rt:delete_instance(rt:list_instances()[1].instance_id)))
  end)
end)
