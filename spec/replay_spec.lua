-- Does new code still fit what has happened: exports, duro.replay, rt:check.

local child = require "spec.support.child"
local core = require "duro.core"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"
local scrambler = require "spec.support.scrambler"


local ran = {}


local function open(options)
  local rt = runtimes.open(options)
  ran = {}
  rt:activity("echo", function(ctx, value)
    ran[#ran + 1] = ctx.name
    return value
  end)
  return rt
end


local function order(ctx, input)
  local receipt = ctx:activity("echo", { input, 1.5, duro.array {} })
  ctx:sleep(5)
  return { receipt, ctx:wait_event("go") }
end


-- The export of an instance of `fn` that waits for the event "go".
local function exported(fn, input, options)
  local rt = open(options)
  rt:orchestration("order", fn)
  assert(rt:start("order", input, { id = "o" }))
  assert(rt:advance(10))
  local export = assert(rt:export("o"))
  return export, rt
end


-- Whether any JSON library could write it, and read it again.
local function assert_json_ready(value, path)
  path = path or "export"
  local kind = type(value)
  if kind ~= "table" then
    assert.is_true(kind == "string" or kind == "number" or kind == "boolean", path .. " is a " .. kind)
    if kind == "number" then assert.is_true(value == value and math.abs(value) < 2 ^ 53, path) end
    return
  end
  assert.is_nil(getmetatable(value), path .. " has a metatable")
  for key, item in pairs(value) do
    assert.is_true(type(key) == "string" or #value > 0, path)
    assert_json_ready(item, path .. "." .. tostring(key))
  end
end


-- What some libraries make of numbers.
local function with_floats(value)
  if type(value) == "number" then return value + 0.0 end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = with_floats(item) end
  return copy
end


describe("rt:export", function()
  after_each(runtimes.clean)

  it("gives the whole instance, ready for any JSON library", function()
    local rt = open()
    rt:orchestration("renews", function(ctx, input)
      ctx.kv.nan = 0 / 0
      ctx:set_custom_status("\255 no text")
      ctx:activity("echo", { input, "\0\255", 1 / 0 })
      if input.n > 0 then ctx:continue_as_new { n = input.n - 1 } end
      ctx:wait_event("go")
    end)
    assert(rt:start("renews", { n = 2 }, { id = "r" }))
    assert(rt:run_until_idle(10))
    local export = assert(rt:export("r"))
    assert_json_ready(export)
    assert.same({ 1, "r", "renews", "1.0.0", "running", core.vm },
      { export.format, export.instance_id, export.orchestration_name, export.version, export.status, export.vm })
    assert.equal(3, #export.executions)
    for i, execution in ipairs(export.executions) do
      assert.equal(i, execution.execution_id)
      assert.equal("orchestration_started", execution.events[1].kind)
      assert.equal(('{"n":%d}'):format(3 - i), execution.events[1].input)
    end
  end)

  it("writes it into a file too, one line an event", function()
    local export, rt = exported(order, 1)
    local path = runtimes.path()
    assert.same(export, rt:export("o", path))
    local lines = 0
    for line in io.lines(path) do
      if line:find('"kind"', 1, true) then lines = lines + 1 end
    end
    assert.equal(#export.executions[1].events, lines)
    assert.is_true(assert(duro.replay(path, order)).ok)
  end)

  it("says what it cannot find or write", function()
    local _, rt = exported(order, 1)
    assert.equal("not_found", select(2, rt:export("nobody")).code)
    local export, err = rt:export("o", "/nonexistent/folder/o.json")
    assert.is_nil(export)
    assert.equal("storage", err.code)
    assert.matches("/nonexistent/folder/o.json", err.message, 1, true)
  end)
end)


describe("duro.replay", function()
  after_each(runtimes.clean)

  it("says that the same code fits, without running an activity, and without a runtime", function()
    local export, rt = exported(order, 1)
    assert.equal(1, #ran)
    rt:close()
    assert.is_nil(duro.default())
    local verdict = assert(duro.replay(export, order))
    assert.same({ ok = true }, verdict)
    assert.equal("the code fits the history", tostring(verdict))
    assert.equal(1, #ran)
  end)

  it("lets the code go on differently after what has happened", function()
    local export = exported(order, 1)
    assert.is_true(duro.replay(export, function(ctx, input)
      ctx:activity("echo", { input, 1.5, duro.array {} })
      ctx:sleep(5)
      ctx:wait_event("go")
      return ctx:activity("something new")
    end).ok)
  end)

  it("says where the code departs, what is there, and what it wants", function()
    local export = exported(order, 1)
    local verdict = assert(duro.replay(export, function(ctx) return ctx:activity("other") end))
    assert.same({ ok = false, execution_id = 1, event_id = 2, expected = "activity_scheduled 'echo'",
      got = "activity_scheduled 'other'" }, verdict)
    assert.equal("the code departs at event 2 of execution 1: expected activity_scheduled 'echo', got " ..
      "activity_scheduled 'other'", tostring(verdict))
    verdict = assert(duro.replay(export, function() end))
    assert.same({ 2, "orchestration_completed" }, { verdict.event_id, verdict.got })
    verdict = assert(duro.replay(export, function(ctx, input)
      ctx:activity("echo", { input, 1.5, duro.array {} })
      ctx:wait_event("go")
    end))
    assert.same({ 4, "timer_created", "event_subscribed 'go'" }, { verdict.event_id, verdict.expected, verdict.got })
  end)

  it("counts another input of the same call, exactly", function()
    local export = exported(order, 1)
    for shown, input in pairs {
      ["[2,1.5,[]], was [1,1.5,[]]"] = { 2, 1.5, duro.array {} },
      ["[1,1.5,{}], was [1,1.5,[]]"] = { 1, 1.5, {} },
      ["none, was [1,1.5,[]]"] = false,
    } do
      local verdict = assert(duro.replay(export, function(ctx) ctx:activity("echo", input or nil) end))
      assert.same({ 2, "activity_scheduled 'echo' with another input", shown },
        { verdict.event_id, verdict.got, verdict.detail })
    end
    local verdict = assert(duro.replay(export, function(ctx, input)
      ctx:activity("echo", { input, 1.5, duro.array {} })
      ctx:sleep(6)
    end))
    assert.same({ 4, "timer_created with another time" }, { verdict.event_id, verdict.got })
  end)

  it("counts the output of one that has completed", function()
    local _, rt = exported(order, 1)
    assert(rt:raise_event("o", "go", "x"))
    assert(rt:wait("o", 10))
    local export = assert(rt:export("o"))
    assert.equal("completed", export.status)
    assert.is_true(duro.replay(export, order).ok)
    local verdict = assert(duro.replay(export, function(ctx, input) return { order(ctx, input)[2] } end))
    assert.equal("orchestration_completed with another output", verdict.got)
  end)

  it("tells the error of code that fails where history goes on", function()
    local export = exported(order, 1)
    local verdict = assert(duro.replay(export, function(ctx)
      ctx:activity("echo", { 1, 1.5, duro.array {} })
      error("no field 'total'")
    end))
    assert.same({ 4, "timer_created", "orchestration_failed" }, { verdict.event_id, verdict.expected, verdict.got })
    assert.matches("no field 'total'", verdict.detail, 1, true)
    assert.matches("no field 'total'", tostring(verdict), 1, true)
  end)

  it("fits everything that an orchestration can do", function()
    local rt = open()
    local function everything(ctx, input)
      ctx.kv.n, ctx.kv.gone = 1, 2
      ctx.kv.gone = nil
      ctx:set_custom_status { input }
      ctx:set_attributes { step = 1 }
      local drawn = ctx:side_effect(function() return math.random() end)
      if ctx:patched("p") then ctx:activity("echo", { drawn, ctx:random(), ctx:uuid(), ctx:now() }) end
      local _, err = pcall(ctx.activity, ctx, "missing", nil, { timeout = 5 })
      local block = ctx:spawn(function() return ctx:sub_orchestration("kid", ctx.kv.n) end)
      local tasks = { block, ctx:schedule_timer(3600), ctx:schedule_wait("never") }
      local first = ctx:select(tasks)
      ctx:join { ctx:schedule_activity("echo", 1), ctx:schedule_activity("echo", 2) }
      ctx:start_orchestration("kid", 5)
      ctx:raise_event("o", "self", "hello")
      local got = ctx:wait_event("go", { timeout = 60 })
      return { err.code, first, ctx:wait_event("self"), got == nil }
    end
    rt:orchestration("kid", function(ctx, n) return ctx:activity("echo", n) end)
    rt:orchestration("order", everything)
    assert(rt:start("order", { "in", 2 }, { id = "o" }))
    for _ = 1, 3 do
      assert(rt:advance(30))
      assert.same({ ok = true }, duro.replay(assert(rt:export("o")), everything))
    end
    assert(rt:advance(120))
    assert.same({ "timeout", 1, "hello", true }, rt:wait("o", 10))
    assert.same({ ok = true }, duro.replay(assert(rt:export("o")), everything))
  end)

  it("takes exports that a JSON library has written and read", function()
    local export = exported(order, 1)
    assert.is_true(duro.replay(core.decode(core.encode(export)), order).ok)
    assert.is_true(duro.replay(with_floats(export), order).ok)
  end)

  it("replays the executions that ran the version of the latest, or the one it is asked for", function()
    local rt = open()
    local function first(ctx)
      ctx:activity("echo", "old")
      ctx:wait_event("go")
      ctx:continue_as_new(3, { version = "2.0.0" })
    end
    local function second(ctx, n)
      ctx:activity("echo", n)
      if n > 0 then ctx:continue_as_new(n - 1) end
      return ctx:wait_event("end")
    end
    rt:orchestration("order", { version = "1.0.0" }, first)
    rt:orchestration("order", { version = "2.0.0" }, second)
    assert(rt:start("order", nil, { id = "o", version = "1.0.0" }))
    assert(rt:raise_event("o", "go"))
    assert(rt:run_until_idle(10))
    local export = assert(rt:export("o"))
    assert.equal(5, #export.executions)
    assert.is_true(duro.replay(export, second).ok)
    local verdict = assert(duro.replay(export, function(ctx, n)
      ctx:activity("echo", n == 1 and "one" or n)
      if n > 0 then ctx:continue_as_new(n - 1) end
    end))
    assert.same({ false, 4, 2 }, { verdict.ok, verdict.execution_id, verdict.event_id })
    assert.is_true(duro.replay(export, first, { execution = 1 }).ok)
    assert.is_false(duro.replay(export, first, { execution = 2 }).ok)
    assert.equal("not_found", select(2, duro.replay(export, first, { execution = 9 })).code)
  end)

  it("runs the code under the guard, as it would run", function()
    local export = exported(order, 1)
    local function asks_the_clock(ctx, input)
      if os.time() == 0 then return end
      return order(ctx, input)
    end
    local verdict = assert(duro.replay(export, asks_the_clock))
    assert.matches("use ctx:now", verdict.detail, 1, true)
    local function asks_again(ctx, input)
      if os.time() == 0 then return end
      return order(ctx, input)
    end
    assert.is_true(duro.replay(export, asks_again, { guard = false }).ok)
  end)

  it("needs the codec that the instance was stored with", function()
    local export = exported(order, "TOP-SECRET", { codec = scrambler.pair() })
    assert.is_nil(core.encode(export):find("TOP-SECRET", 1, true))
    assert.is_true(duro.replay(export, order, { codec = scrambler.pair() }).ok)
    local verdict = assert(duro.replay(export, function(ctx) ctx:activity("echo", "x") end,
      { codec = scrambler.pair() }))
    assert.same({ "activity_scheduled 'echo' with another input" }, { verdict.got, verdict.detail })
    local nothing, err = duro.replay(export, order)
    assert.is_nil(nothing)
    assert.equal("unsupported", err.code)
    nothing, err = duro.replay(export, order, { codec = scrambler.pair("z") })
    assert.is_nil(nothing)
    assert.equal("corrupt", err.code)
  end)

  it("says what is wrong with an export", function()
    local function problem(export)
      local verdict, err = duro.replay(export, order)
      assert.is_nil(verdict)
      return err.code .. ": " .. err.message
    end
    assert.matches("storage: .*/nonexistent/x.json", problem("/nonexistent/x.json"))
    local path = runtimes.path()
    local file = assert(io.open(path, "w"))
    file:write("not JSON")
    file:close()
    assert.matches("corrupt: .*is no JSON object", problem(path))
    assert.matches("corrupt: .*its format is nil", problem {})
    assert.matches("corrupt: .*its format is 2", problem { format = 2 })
    assert.matches("corrupt: .*lacks executions", problem { format = 1, instance_id = "x" })
    assert.matches("corrupt: .*lacks execution_id or events",
      problem { format = 1, instance_id = "x", executions = { {} } })
    local export = exported(order, 1)
    export.executions[1].events[2].kind = "from_the_future"
    assert.matches("corrupt: .*from_the_future", problem(export))
    export.executions[1].events = { export.executions[1].events[3] }
    assert.matches("corrupt: .*must begin with orchestration_started", problem(export))
  end)

  it("blames who calls it wrongly", function()
    local export = exported(order, 1)
    assert.error_matches(function() duro.replay(export) end, "needs the function of an orchestration, got nil")
    assert.error_matches(function() duro.replay(5, order) end, "needs an export or the path of one, got number")
    assert.error_matches(function() duro.replay(export, order, { gard = 1 }) end, "did you mean 'guard'")
    assert.error_matches(function() duro.replay(export, order, { guard = "lax" }) end, "option 'guard' must be")
    local rt = open()
    local _, err = runtimes.run(rt, function() duro.replay(export, order) end)
    assert.matches("duro.replay cannot be called inside an orchestration", err.message, 1, true)
  end)

  it("works inside of an activity", function()
    local export, rt = exported(order, 1)
    rt:activity("gate", function() return duro.replay(export, order).ok end)
    assert.is_true(runtimes.run(rt, function(ctx) return ctx:activity("gate") end))
  end)
end)


describe("rt:check", function()
  after_each(runtimes.clean)

  local function changed(ctx, input)
    ctx:activity("echo", input)
    return ctx:wait_event("go")
  end

  it("replays against every unfinished instance of that name, and moves none", function()
    local rt = open { max_live_instances = 2 }
    rt:orchestration("order", order)
    rt:orchestration("order*", order)
    rt:orchestration("orders", changed)
    for i = 1, 5 do assert(rt:start("order", i, { id = "o" .. i })) end
    assert(rt:start("order*", 1))
    assert(rt:start("orders", 1))
    assert(rt:advance(1))
    assert(rt:raise_event("o1", "go"))
    assert(rt:advance(10))
    assert.equal("completed", rt:status("o1").status)
    assert(rt:suspend("o2"))
    assert(rt:start("order", 9, { id = "later", delay = 100 }))
    local before, runs = runtimes.kinds(rt, "o2"), #ran
    local report = assert(rt:check { name = "order", fn = order })
    assert.same({ checked = 4, failing = {}, skipped = 0 }, report)
    report = assert(rt:check { name = "order", fn = changed })
    assert.equal(4, #report.failing)
    assert.same({ instance_id = "o5", event_id = 2, expected = "activity_scheduled 'echo'",
      got = "activity_scheduled 'echo' with another input", detail = "5, was [5,1.5,[]]" }, report.failing[1])
    assert.matches("^checked: 4, failing: 4, skipped: 0\n  'o5' at event 2: expected", tostring(report))
    assert.same(before, runtimes.kinds(rt, "o2"))
    assert.equal(runs, #ran)
    assert(rt:resume("o2"))
    for i = 2, 5 do
      assert(rt:raise_event("o" .. i, "go", i))
      assert.equal(i, rt:wait("o" .. i, 10)[2])
    end
    assert.same({ checked = 1, failing = {}, skipped = 0 }, rt:check { name = "order*", fn = order })
    assert.same({ checked = 0, failing = {}, skipped = 0 }, rt:check { name = "nobody", fn = order })
  end)

  it("says of a stalled one whether it would go on", function()
    local path = runtimes.path()
    local rt = open { path = path }
    rt:orchestration("order", order)
    assert(rt:start("order", 1, { id = "o" }))
    assert(rt:advance(1))
    rt:close()
    rt = open { path = path }
    rt:orchestration("order", changed)
    assert(rt:advance(10))
    assert.equal("stalled", rt:status("o").status)
    assert.equal(1, #rt:check({ name = "order", fn = changed }).failing)
    assert.equal(0, #rt:check({ name = "order", fn = order }).failing)
    assert.equal("stalled", rt:status("o").status)
  end)

  it("can be confined to a version", function()
    local rt = open()
    rt:orchestration("order", { version = "1.0.0" }, order)
    rt:orchestration("order", { version = "2.0.0" }, changed)
    assert(rt:start("order", 1, { version = "1.0.0" }))
    assert(rt:start("order", 1))
    assert(rt:run_until_idle(10))
    assert.same({ checked = 1, failing = {}, skipped = 0 },
      rt:check { name = "order", version = "2.0.0", fn = changed })
    assert.equal(1, #rt:check({ name = "order", fn = changed }).failing)
  end)

  it("works from another process while the owner runs", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("order", function(ctx, n) return { n, ctx:wait_event("go") } end)
      assert(rt:start("order", 1, { id = "o" }))
      assert(rt:run_until_idle(10))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    local report = assert(client:check { name = "order", fn = function(ctx, n) return { n, ctx:wait_event("go") } end })
    assert.same({ checked = 1, failing = {}, skipped = 0 }, report)
    report = assert(client:check { name = "order", fn = function(ctx) return ctx:wait_event("no") end })
    assert.equal("event_subscribed 'no'", report.failing[1].got)
    client:close()
    owner:kill()
  end)

  it("reads what a codec has stored", function()
    local rt = open { codec = scrambler.pair() }
    rt:orchestration("order", order)
    assert(rt:start("order", "secret"))
    assert(rt:run_until_idle(10))
    assert.same({ checked = 1, failing = {}, skipped = 0 }, rt:check { name = "order", fn = order })
  end)

  it("blames who leaves something out", function()
    local rt = open()
    assert.error_matches(function() rt:check { fn = order } end, "option 'name' is required")
    assert.error_matches(function() rt:check { name = "x" } end, "option 'fn' is required")
    assert.error_matches(function() rt:check { name = "x", fn = 5 } end, "option 'fn' must be a function, got number")
    assert.error_matches(function() rt:check { name = "x", fn = order, guard = 1 } end, "option 'guard' must be")
  end)
end)
