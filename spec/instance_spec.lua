local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"


describe("the tree of an instance", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("leaf", function(ctx, wait)
      if wait then ctx:wait_event("go") end
    end)
    rt:orchestration("branch", function(ctx)
      ctx:join { ctx:schedule_sub_orchestration("leaf", nil, { id = "leaf-1" }),
        ctx:schedule_sub_orchestration("leaf", true, { id = "leaf-2" }) }
    end)
    rt:orchestration("root", function(ctx)
      ctx:start_orchestration("leaf", nil, { id = "detached" })
      ctx:sub_orchestration("branch", nil, { id = "branch-1" })
      ctx:sub_orchestration("leaf", true, { id = "leaf-3" })
    end)
    assert(rt:start("root", nil, { id = "r" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("has the children of its children, and counts them all", function()
    local tree = assert(rt:dependencies("r"))
    assert.equal("r", tree.root_instance)
    assert.is_nil(tree.parent)
    assert.equal(3, tree.total_descendants)
    assert.same({ {
      instance_id = "branch-1", orchestration_name = "branch", status = "running", child_count = 2,
      children = {
        { instance_id = "leaf-1", orchestration_name = "leaf", status = "completed", child_count = 0 },
        { instance_id = "leaf-2", orchestration_name = "leaf", status = "running", child_count = 0 },
      },
    } }, tree.children)
  end)

  it("is cut at the depth asked for", function()
    local tree = assert(rt:dependencies("r", { depth = 1 }))
    assert.equal(2, tree.children[1].child_count)
    assert.is_nil(tree.children[1].children)
    assert.equal(3, tree.total_descendants)
    assert.same({}, rt:dependencies("r", { depth = 0 }).children)
    local none, err = rt:dependencies("r", { depth = 91 })
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
  end)

  it("names the root and the parent of one below", function()
    local tree = assert(rt:dependencies("leaf-2"))
    assert.equal("r", tree.root_instance)
    assert.same({ instance_id = "branch-1", orchestration_name = "branch", status = "running", child_count = 2 },
      tree.parent)
    assert.same({}, tree.children)
    assert.equal(0, tree.total_descendants)
  end)

  it("prints as a tree", function()
    assert.equal("'r', 3 below it\n`- 'branch-1' (branch) is running\n   |- 'leaf-1' (leaf) is completed\n"
      .. "   `- 'leaf-2' (leaf) is running", tostring(rt:dependencies("r")))
    assert.equal("'r' (the root)\n'branch-1' (branch) is running\n`- 'leaf-2', 0 below it",
      tostring(rt:dependencies("leaf-2")))
    assert.equal("'r', 3 below it\n`- 'branch-1' (branch) is running, 2 children",
      tostring(rt:dependencies("r", { depth = 1 })))
  end)

  it("of an unknown instance is not_found", function()
    local tree, err = rt:dependencies("nobody")
    assert.is_nil(tree)
    assert.equal("not_found", err.code)
  end)
end)


describe("the details of an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("have each execution with its times, its events and the reason for the next", function()
    rt:orchestration("counts", function(ctx, n)
      ctx:sleep(60)
      if n < 3 then ctx:continue_as_new(n + 1, { reason = "round " .. n }) end
    end)
    local began = rt:now()
    assert(rt:start("counts", 1, { id = "c" }))
    assert(rt:advance(150))
    local function rounded(execution)
      return { execution.execution_id, execution.status, math.floor(execution.started_at - began + 0.5),
        execution.completed_at and math.floor(execution.completed_at - began + 0.5), execution.event_count,
        execution.continue_as_new_reason }
    end
    local details = assert(rt:details("c"))
    assert.same({ 1, "continued_as_new", 0, 60, 4, "round 1" }, rounded(details.executions[1]))
    assert.same({ 2, "continued_as_new", 60, 120, 4, "round 2" }, rounded(details.executions[2]))
    assert.same({ 3, "running", 120, nil, 2 }, rounded(details.executions[3]))
    assert.equal(3, details.current_execution.execution_id)
    assert.equal(3, details.summary.execution_count)
    assert(rt:advance(60))
    details = assert(rt:details("c"))
    assert.same({ 3, "completed", 120, 180, 4 }, rounded(details.executions[3]))
    assert.is_nil(details.current_execution)
    assert.same({ 3, 3 }, { details.statistics.total_timers_scheduled, details.statistics.total_timers_fired })
  end)

  it("say of each activity whether it waits, runs or backs off", function()
    local done
    local queue = runtimes.store ~= "basic" and { queue = "gpu" } or nil -- that store has none
    rt:activity("runs", function(ctx) done = ctx:async() end)
    rt:activity("fails", function() error { code = "down", message = "no luck" } end)
    rt:orchestration("busy", function(ctx)
      ctx:schedule_activity("missing", { a = 1 })
      ctx:schedule_activity("elsewhere", nil, queue)
      ctx:schedule_activity("fails", nil, { retry = { max_attempts = 5, initial = 20, backoff = "fixed", max = 20 } })
      ctx:schedule_activity("runs")
      ctx:wait_event("never")
    end)
    local began = rt:now()
    assert(rt:start("busy", nil, { id = "b" }))
    runtimes.until_true(rt, function()
      local pending = rt:details("b").current_execution.pending_activities
      return done and pending[3].state == "backing_off"
    end)
    local pending = rt:details("b").current_execution.pending_activities
    local states = {}
    for i, row in ipairs(pending) do
      states[i] = ("%d %s %s %d"):format(row.correlation_id, row.name, row.state, row.attempt)
    end
    assert.same({ "2 missing queued 1", "3 elsewhere queued 1", "4 fails backing_off 2", "5 runs running 1" }, states)
    assert.same({ a = 1 }, pending[1].input)
    assert.near(began, pending[1].scheduled_at, 1)
    assert.is_nil(pending[1].last_error)
    assert.equal("down: no luck", tostring(pending[3].last_error))
    assert.near(began + 20, pending[3].next_attempt_at, 1)
    assert.is_nil(pending[4].next_attempt_at)
    done()
  end)

  it("count activities, timers and events, of all executions, an attempt that is tried again once", function()
    rt:activity("works", function() end)
    rt:activity("fails", function() error("no luck") end)
    rt:orchestration("mixed", function(ctx, round)
      ctx:activity("works")
      pcall(ctx.activity, ctx, "fails", nil, { retry = { max_attempts = 2, initial = 1 } })
      ctx:sleep(1)
      if not round then ctx:continue_as_new(2) end
      ctx:schedule_activity("missing")
      ctx:schedule_timer(3600)
      ctx:schedule_wait("other")
      ctx:wait_event("go")
    end)
    assert(rt:start("mixed", nil, { id = "m" }))
    assert(rt:advance(10))
    local function totals()
      local s, list = rt:statistics("m"), {}
      for i, name in ipairs { "activities_scheduled", "activities_completed", "activities_failed", "timers_scheduled",
        "timers_fired", "events_subscribed", "events_received" } do list[i] = s["total_" .. name] end
      return list
    end
    assert.same({ 5, 2, 2, 3, 2, 2, 0 }, totals())
    assert(rt:raise_event("m", "go"))
    assert(rt:run_until_idle(10))
    assert.same({ 5, 2, 2, 3, 2, 2, 1 }, totals())
  end)

  it("count turns and replays", function()
    local replaying = runtimes.open { debug = { replay_every_turn = true } }
    for _, runtime in ipairs { rt, replaying } do
      runtime:orchestration("two", function(ctx)
        ctx:sleep(1)
        ctx:sleep(1)
      end)
      runtimes.finish(runtime, "two", nil, 10, { id = "t" })
    end
    local plain, replayed = rt:statistics("t"), replaying:statistics("t")
    assert.same({ 3, 0 }, { plain.turns, plain.replays })
    assert.same({ 3, 2 }, { replayed.turns, replayed.replays })
    assert.equal(2000, plain.total_execution_time_ms)
    assert.is_true(plain.average_turn_duration_ms > 0)
    local names = {}
    for name in pairs(plain) do names[#names + 1] = name end
    assert.equal(11, #names)
  end)
end)


describe("the stack of an instance", function()
  local rt

  after_each(runtimes.clean)

  local function nested(ctx, input)
    local block = ctx:spawn(function(what)
      local doubled = what .. what
      ctx:wait_event(doubled)
    end, "ab")
    local seen = { input }
    ctx:wait_event("go")
    block:await()
    return seen
  end

  local function check(stack)
    assert.equal(2, #stack)
    assert.same({ "block", 1, "abab" }, { stack[2]["function"], stack[2].block, stack[2].locals.doubled })
    assert.same({ 7 }, stack[1].locals.seen)
    assert.matches("instance_spec.lua$", stack[1].source)
    assert.is_nil(stack[1].block)
    assert.matches("^stack traceback:\n\t.*instance_spec.lua:%d+: in function 'orchestration'\n", tostring(stack))
    assert.matches("\nblock 1 %(ctx:spawn%):\n\t.*: in function 'block'\n\t\tdoubled = \"abab\"", tostring(stack))
  end

  it("has the orchestration and its blocks", function()
    rt = runtimes.open()
    rt:orchestration("nested", nested)
    assert(rt:start("nested", 7, { id = "i" }))
    assert(rt:run_until_idle(10))
    check(assert(rt:stack("i")))
  end)

  it("has also the code whose last call waits in its place", function()
    rt = runtimes.open()
    rt:orchestration("hands_over", function(ctx) return ctx:wait_event("go") end)
    rt:orchestration("spawns", function(ctx) ctx:spawn(function() return ctx:wait_event("go") end):await() end)
    assert(rt:start("hands_over", nil, { id = "h" }))
    assert(rt:start("spawns", nil, { id = "s" }))
    assert(rt:run_until_idle(10))
    local stack = assert(rt:stack("h"))
    assert.same({ 1, "orchestration", true }, { #stack, stack[1]["function"], stack[1].tail_call })
    assert.matches("instance_spec.lua:%d+: in function 'orchestration' %(in its last call%)$", tostring(stack))
    stack = assert(rt:stack("s"))
    assert.same({ 2, 1, true }, { #stack, stack[2].block, stack[2].tail_call })
  end)

  it("names the functions between as the code does", function()
    rt = runtimes.open()
    local function approval(ctx, who)
      return (ctx:wait_event("approval of " .. who))
    end
    rt:orchestration("asks", function(ctx)
      local first = approval(ctx, "ann")
      pcall(function() approval(ctx, first) end)
    end)
    local function names()
      assert(rt:run_until_idle(10))
      local list = {}
      for i, frame in ipairs(assert(rt:stack("i"))) do list[i] = frame["function"] end
      return list
    end
    assert(rt:start("asks", nil, { id = "i" }))
    assert.same({ "approval", "orchestration" }, names())
    assert(rt:raise_event("i", "approval of ann", "bob"))
    assert.same({ "approval", "?", "orchestration" }, names())
  end)

  it("of one that is not in memory comes by replaying it", function()
    rt = runtimes.open { path = runtimes.path(), max_live_instances = 1 }
    rt:orchestration("nested", nested)
    for n = 1, 5 do assert(rt:start("nested", 7, { id = "i" .. n })) end
    assert(rt:run_until_idle(10))
    for n = 1, 5 do
      check(assert(rt:stack("i" .. n)))
      assert.equal(3, #rt:history({ instance = "i" .. n }).events)
    end
  end)

  it("of one in another process comes from its owner", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open{ path = %q, durability = "normal" })
      rt:orchestration("waits", function(ctx, input)
        local seen = { input }
        ctx:wait_event("go")
        return seen
      end)
      assert(rt:start("waits", 7, { id = "i" }))
      print("ready") io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    rt = runtimes.open { path = path, role = "client", clock = "system" }
    local stack = assert(rt:stack("i"))
    assert.same({ 7 }, stack[1].locals.seen)
    assert.equal(5, rt:at("i", 2).stack[1].line)
    local pending = assert(rt:details("i")).current_execution.pending_events
    assert.equal("go", pending[1].name)
    owner:kill()
    local none, err = rt:stack("i")
    assert.is_nil(none)
    assert.equal("unavailable", err.code)
  end)
end)
