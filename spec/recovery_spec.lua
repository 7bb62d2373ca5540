-- Each scenario runs four ways: live; replayed in every turn; with its file closed and opened again
-- between all steps; and both. Outputs and histories must be the same.

local core = require "duro.core"
local runtimes = require "spec.support.runtimes"


-- {name, register = function(rt), steps = { function(rt), ... }}. The instance under test is "main".
local SCENARIOS = {
  {
    "activities in a row, with timers between",
    register = function(rt)
      rt:activity("add", function(_, input) return input[1] + input[2] end)
      rt:orchestration("main", function(ctx, n)
        local sum = 0
        for i = 1, n do
          sum = ctx:activity("add", { sum, i })
          ctx:sleep(i)
        end
        return sum
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", 5, { id = "main" })) end,
      function(rt) assert(rt:advance(1)) end,
      function(rt) assert(rt:advance(4.5)) end,
      function(rt) assert(rt:advance(60)) end,
    },
    output = 15,
  },
  {
    "activities side by side",
    register = function(rt)
      rt:activity("square", function(_, n) return n * n end)
      rt:orchestration("main", function(ctx)
        local tasks = {}
        for i = 1, 10 do tasks[i] = ctx:schedule_activity("square", i) end
        ctx:wait_event("go")
        return ctx:join(tasks)
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:raise_event("main", "go")) end,
    },
    output = { 1, 4, 9, 16, 25, 36, 49, 64, 81, 100 },
  },
  {
    "events before and after their waits",
    register = function(rt)
      rt:orchestration("main", function(ctx)
        local seen = {}
        for i = 1, 4 do
          local data, err = ctx:wait_event("e", { timeout = 10 })
          seen[i] = err and err.code or data
        end
        return seen
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:raise_event("main", "e", "a")) end,
      function(rt) assert(rt:advance(11)) end,
      function(rt)
        assert(rt:raise_event("main", "e", "b"))
        assert(rt:raise_event("main", "e", "c"))
      end,
    },
    output = { "a", "timeout", "b", "c" },
  },
  {
    "retries that back off",
    register = function(rt)
      rt:activity("flaky", function(ctx)
        if ctx.attempt < 4 then error("attempt " .. ctx.attempt) end
        return ctx.attempt
      end)
      rt:orchestration("main", function(ctx)
        return ctx:activity("flaky", nil, { retry = { max_attempts = 5, initial = 10 } })
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:advance(15)) end,
      function(rt) assert(rt:advance(15)) end,
      function(rt) assert(rt:advance(60)) end,
    },
    output = 4,
  },
  {
    "selects whose losers are cancelled",
    register = function(rt)
      rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
      rt:orchestration("main", function(ctx)
        local log = {}
        for round = 1, 3 do
          local index = ctx:select {
            ctx:schedule_timer(10), ctx:schedule_wait("e"),
            ctx:schedule_sub_orchestration("child", nil, { id = "child" .. round }),
          }
          log[round] = index
        end
        return log
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:advance(12)) end,
      function(rt) assert(rt:raise_event("main", "e")) end,
      function(rt) assert(rt:advance(12)) end,
    },
    output = { 1, 2, 1 },
  },
  {
    "children that wait",
    register = function(rt)
      rt:orchestration("child", function(ctx, n)
        ctx:sleep(n)
        return n * 2
      end)
      rt:orchestration("main", function(ctx)
        local tasks = {}
        for i = 1, 3 do tasks[i] = ctx:schedule_sub_orchestration("child", i * 10) end
        return ctx:join(tasks)
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:advance(10)) end,
      function(rt) assert(rt:advance(10)) end,
      function(rt) assert(rt:advance(10)) end,
    },
    output = { 20, 40, 60 },
  },
  {
    "spawned blocks, nested",
    register = function(rt)
      rt:activity("echo", function(_, x) return x end)
      rt:orchestration("main", function(ctx)
        local function block(name, seconds)
          ctx:sleep(seconds)
          local inner = ctx:spawn(function() return ctx:activity("echo", name .. "!") end)
          return ctx:wait_event(name) .. inner:await()
        end
        return ctx:join { ctx:spawn(block, "a", 20), ctx:spawn(block, "b", 10) }
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:raise_event("main", "a", "A")) end,
      function(rt) assert(rt:advance(15)) end,
      function(rt) assert(rt:raise_event("main", "b", "B")) end,
      function(rt) assert(rt:advance(15)) end,
    },
    output = { "Aa!", "Bb!" },
  },
  {
    "continue-as-new with events and state",
    register = function(rt)
      rt:orchestration("main", function(ctx, n)
        ctx.kv.total = (ctx.kv.total or 0) + ctx:wait_event("add")
        ctx:set_custom_status({ n = n })
        if n < 4 then ctx:continue_as_new(n + 1) end
        return ctx.kv.total
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", 1, { id = "main" })) end,
      function(rt)
        for i = 1, 3 do assert(rt:raise_event("main", "add", i)) end
      end,
      function(rt) assert(rt:raise_event("main", "add", 4)) end,
    },
    output = 10,
  },
  {
    "values that are recorded or seeded",
    register = function(rt)
      rt:orchestration("main", { guard = false }, function(ctx)
        local uuid, random, count = ctx:uuid(), ctx:random(1000000), ctx:side_effect(function() return os.clock() end)
        local now = ctx:now()
        ctx:wait_event("go")
        return { ctx:uuid() ~= uuid, type(random), type(count), ctx:now() - now }
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:advance(30)) end,
      function(rt) assert(rt:raise_event("main", "go")) end,
    },
    output = { true, "number", "number", 30 },
    same_values = false,
  },
  {
    "errors that are caught, and one that is not",
    register = function(rt)
      rt:activity("fails", function(_, code) error { code = code, message = "failed with " .. code } end)
      rt:orchestration("main", function(ctx)
        local _, first = pcall(ctx.activity, ctx, "fails", "one")
        ctx:sleep(5)
        local ok, second = pcall(function()
          ctx:activity("fails", "two")
        end)
        ctx:sleep(5)
        ctx:activity("fails", first.code .. tostring(ok) .. second.code)
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:advance(6)) end,
      function(rt) assert(rt:advance(6)) end,
    },
    failure = "onefalsetwo",
  },
  {
    "a suspension, and a cancel with clean-up",
    register = function(rt)
      rt:activity("note", function(_, x) return x end)
      rt:orchestration("main", function(ctx)
        local first = ctx:wait_event("e")
        local ok, err = pcall(ctx.wait_event, ctx, "e")
        if not ok then ctx:activity("note", { first, err.code }) end
        ctx:sleep(5)
      end)
    end,
    steps = {
      function(rt) assert(rt:start("main", nil, { id = "main" })) end,
      function(rt) assert(rt:suspend("main")) end,
      function(rt) assert(rt:raise_event("main", "e", 1)) end,
      function(rt) assert(rt:resume("main")) end,
      function(rt) assert(rt:cancel("main", "enough")) end,
      function(rt) assert(rt:advance(6)) end,
    },
    failure = "cancelled",
  },
}

-- One event as text: times relative to the first event's, without what names this run.
local function line_of(event, first, with_values)
  local parts = {}
  for key, value in pairs(event) do
    local skip = key == "run_id" or (not with_values and (key == "output" or key == "input"))
    if key == "timestamp" then value = math.floor((value - first) * 1000 + 0.5) end
    if key == "fire_at_ms" or key == "deadline_ms" then value = math.floor(value - first * 1000 + 0.5) end
    if type(value) == "table" then value = core.encode(value) end
    if not skip then parts[#parts + 1] = ("%s=%s"):format(key, tostring(value)) end
  end
  table.sort(parts)
  return table.concat(parts, " ")
end


-- The histories of "main", all executions, one line an event.
local function histories(rt, with_values)
  local lines = {}
  for _, execution in ipairs(assert(rt:list_executions("main"))) do
    local events = assert(rt:history { instance = "main", execution = execution }).events
    for _, event in ipairs(events) do
      lines[#lines + 1] = line_of(event, events[1].timestamp, with_values)
    end
  end
  return table.concat(lines, "\n")
end


-- Runs a scenario: {output or error's code, histories}.
local function run(scenario, options, reopen)
  local path = reopen and runtimes.path() or ":memory:"
  local function open()
    local rt = runtimes.open { path = path, debug = options }
    scenario.register(rt)
    rt:orchestration("recovery_spec_clock", function() end)
    return rt
  end
  local rt = open()
  -- The file keeps the latest time at which something was stored: it goes ahead of the system's, and
  -- something is stored after each step, so that opening again does not move it.
  local function store_time()
    assert(rt:run_until_idle(10))
    assert(rt:wait(assert(rt:start("recovery_spec_clock")), 10) == nil)
  end
  assert(rt:advance(3600))
  store_time()
  for _, step in ipairs(scenario.steps) do
    step(rt)
    store_time()
    if reopen then
      rt:close()
      rt = open()
      assert(rt:run_until_idle(10))
    end
  end
  local output, err = rt:wait("main", 10)
  local result = { output = output, failure = err and err.code }
  result.history = histories(rt, scenario.same_values ~= false)
  rt:close()
  return result
end


describe("an instance", function()
  after_each(runtimes.clean)

  for _, scenario in ipairs(SCENARIOS) do
    describe("with " .. scenario[1], function()
      local live

      setup(function() live = run(scenario) end)

      it("ends as expected", function()
        assert.same(scenario.output, live.output)
        assert.equal(scenario.failure, live.failure)
      end)

      it("does the same when every turn is replayed", function()
        assert.same(live, run(scenario, { replay_every_turn = true }))
      end)

      it("does the same when its file is closed and opened again at every pause", function()
        assert.same(live, run(scenario, nil, true))
      end)

      it("does the same with both", function()
        assert.same(live, run(scenario, { replay_every_turn = true }, true))
      end)
    end)
  end
end)


describe("a file that is opened again", function()
  after_each(runtimes.clean)

  local path

  before_each(function() path = runtimes.path() end)

  it("has the same instances, outputs and ids", function()
    local rt = runtimes.open { path = path }
    rt:orchestration("echo", function(_, input) return input end)
    local id = assert(rt:start("echo", { text = "kept" }, { attributes = { region = "eu" } }))
    rt:wait(id, 10)
    rt:close()
    rt = runtimes.open { path = path }
    assert.same({ text = "kept" }, rt:wait(id, 10))
    assert.equal("completed", rt:status(id).status)
    assert.equal(id, rt:list_instances({ attributes = { region = "eu" } })[1].instance_id)
    local none, err = rt:start("echo", nil, { id = id })
    assert.is_nil(none)
    assert.equal("already_exists", err.code)
  end)

  it("runs an activity again that was in flight, and says that the attempt was lost", function()
    local runs, done = 0, nil
    local function register(rt)
      rt:activity("long", function(ctx)
        runs = runs + 1
        if runs == 1 then
          done = ctx:async()
          return
        end
        return { attempt = ctx.attempt, runs = runs }
      end)
      rt:orchestration("waits", function(ctx) return ctx:activity("long") end)
    end
    local rt = runtimes.open { path = path }
    register(rt)
    local id = assert(rt:start("waits"))
    runtimes.until_true(rt, function() return done end)
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    local output = assert(rt:wait(id, 10))
    assert.equal(2, output.runs)
    local lost = 0
    for _, event in ipairs(rt:history({ instance = id }).events) do
      if event.kind == "activity_retry_scheduled" and event.lost then lost = lost + 1 end
    end
    assert.equal(1, lost)
  end)

  it("runs again what was in flight of many, and of these only", function()
    local began, finish, runs = 0, {}, {}
    local function register(rt, waits)
      rt:activity("one_of_many", function(ctx, n)
        began = began + 1
        runs[n] = (runs[n] or 0) + 1
        if waits then finish[#finish + 1] = ctx:async() end
        return n
      end)
      rt:orchestration("fan", function(ctx)
        local tasks = {}
        for n = 1, 40 do tasks[n] = ctx:schedule_activity("one_of_many", n) end
        return ctx:join(tasks)
      end)
    end
    local function count(rt, id, kind)
      return #rt:history({ instance = id, kinds = { kind } }).events
    end
    local rt = runtimes.open { path = path }
    register(rt, true)
    local id = assert(rt:start("fan"))
    runtimes.until_true(rt, function() return began == 40 end)
    for n = 1, 40, 2 do finish[n](nil, n) end
    runtimes.until_true(rt, function() return count(rt, id, "activity_completed") == 20 end)
    rt:close()
    rt = runtimes.open { path = path }
    register(rt, false)
    assert.equal(40, #assert(rt:wait(id, 10)))
    for n = 1, 40 do assert.equal(n % 2 == 1 and 1 or 2, runs[n]) end
    assert.equal(20, count(rt, id, "activity_retry_scheduled"))
    assert.equal(40, count(rt, id, "activity_completed"))
  end)

  it("does not run again what was recorded", function()
    local runs = 0
    local function register(rt)
      rt:activity("once", function()
        runs = runs + 1
        return runs
      end)
      rt:orchestration("two", function(ctx)
        local first = ctx:activity("once")
        ctx:wait_event("go")
        return { first, ctx:activity("once") }
      end)
    end
    local rt = runtimes.open { path = path }
    register(rt)
    local id = assert(rt:start("two"))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:raise_event(id, "go"))
    assert.same({ 1, 2 }, rt:wait(id, 10))
    assert.equal(2, runs)
  end)

  it("keeps acknowledged events, starts and cancels that no turn has seen", function()
    local rt = runtimes.open { path = path }
    assert(rt:start("later", nil, { id = "a" }))
    assert(rt:raise_event("a", "e", "kept"))
    rt:close()
    rt = runtimes.open { path = path }
    rt:orchestration("later", function(ctx) return ctx:wait_event("e") end)
    assert.equal("kept", rt:wait("a", 10))
  end)

  it("stalls instances whose code is missing, and goes on when it is there", function()
    local rt = runtimes.open { path = path }
    rt:orchestration("waits", function(ctx) return ctx:wait_event("e") end)
    local id = assert(rt:start("waits"))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = runtimes.open { path = path }
    assert(rt:raise_event(id, "e", "data"))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    assert.equal("not_registered", rt:status(id).error.code)
    rt:orchestration("waits", function(ctx) return ctx:wait_event("e") end)
    assert.equal("data", rt:wait(id, 10))
  end)

  it("does not run an activity again that left with a token while its instance was suspended", function()
    local runs, token = 0, nil
    local function open(options)
      local rt = runtimes.open(options)
      rt:activity("asks", function(ctx)
        runs = runs + 1
        assert(ctx.runtime:suspend(ctx.instance_id))
        token = ctx:defer()
      end)
      rt:orchestration("order", function(ctx) return ctx:activity("asks") end)
      return rt
    end
    local rt = open { path = path }
    assert(rt:start("order", nil, { id = "o" }))
    assert(rt:run_until_idle(10))
    rt:close()
    for _, options in ipairs { {}, { debug = { replay_every_turn = true } } } do
      options.path = path
      rt = open(options)
      assert(rt:resume("o"))
      assert(rt:run_until_idle(10))
      assert(rt:suspend("o"))
      rt:close()
    end
    assert.equal(1, runs)
    rt = open { path = path }
    assert(rt:resume("o"))
    assert(rt:complete_activity(token, "yes"))
    assert.equal("yes", rt:wait("o", 10))
  end)

  it("wakes what is due though memory is full of those that wait", function()
    local rt = runtimes.open { path = path, max_live_instances = 1 }
    rt:orchestration("sleeps", function(ctx) ctx:sleep(60) end)
    rt:orchestration("waits", function(ctx) ctx:wait_event("e") end)
    assert(rt:start("sleeps", nil, { id = "s" }))
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:details("w")) -- folds, so that the other can leave memory
    local function has_room() return rt:runtime_metrics().live_instances <= 1 end
    runtimes.until_true(rt, has_room, "one of them leaves memory")
    assert(rt:advance(61))
    assert.equal("completed", rt:status("s").status)
    assert.equal("running", rt:status("w").status)
  end)

  it("keeps few instances in memory, and loses none", function()
    local rt = runtimes.open { path = path, max_live_instances = 5 }
    rt:orchestration("waits", function(ctx, n)
      local first = ctx:wait_event("e")
      ctx:sleep(60)
      return n + first
    end)
    for i = 1, 50 do assert(rt:start("waits", i, { id = "w" .. i })) end
    assert(rt:run_until_idle(10))
    for i = 50, 1, -1 do assert(rt:raise_event("w" .. i, "e", 1000)) end
    assert(rt:advance(61))
    for i = 1, 50 do assert.equal(1000 + i, rt:wait("w" .. i, 10)) end
  end)

  it("keeps near that number also while many are started at once", function()
    local rt = runtimes.open { path = path, max_live_instances = 100 }
    rt:orchestration("sleeps", function(ctx) ctx:sleep("1h") end)
    local most = 0
    for _ = 1, 16 do
      local starts = {}
      for i = 1, 1000 do starts[i] = { name = "sleeps" } end
      assert(rt:start_many(starts))
      most = math.max(most, rt:runtime_metrics().live_instances)
    end
    assert.is_true(most < 8000, "live: " .. most)
  end)
end)
