-- The numbers: what is counted and when, what waits, how the store is, the Prometheus text,
-- the switch, the cache, health, and what another process sees of it all.

local child = require "spec.support.child"
local duro = require "duro"
local harness = require "spec.crash.harness"
local runtimes = require "spec.support.runtimes"


-- An orchestration of each fate, under names of their own.
local function register(rt)
  rt:orchestration("fine", function(_, input) return input end)
  rt:orchestration("broken", function() error("broken") end)
  rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
  rt:orchestration("sleeps", function(ctx, seconds) ctx:sleep(seconds or 60) end)
  rt:orchestration("works", function(ctx, name) return ctx:activity(name) end)
  rt:orchestration("parent", function(ctx) return ctx:sub_orchestration("fine", 1) end)
  rt:orchestration("laps", function(ctx, n) if n > 1 then ctx:continue_as_new(n - 1) end end)
  rt:activity("good", function() return 1 end)
  rt:activity("bad", function() error("bad") end)
end


local function start(rt, name, input, id)
  id = assert(rt:start(name, input, { id = id }))
  assert(rt:run_until_idle(10))
  return id
end


-- {started, completed, failed, cancelled, active} of the runtime, or of one orchestration.
local function totals(row)
  return { row.total_instances_started or row.total_started, row.total_instances_completed or row.total_completed,
    row.total_instances_failed or row.total_failed, row.total_instances_cancelled or row.total_cancelled,
    row.active_instances or row.active_count }
end


local function by_name(rt, name)
  for _, row in ipairs(assert(rt:orchestration_metrics())) do
    if row.orchestration_name == name then return row end
  end
end


describe("the metrics of a runtime", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("are all there, and 0 before anything has happened", function()
    local metrics = assert(rt:runtime_metrics())
    for _, field in ipairs { "total_instances_started", "total_instances_completed", "total_instances_failed",
      "total_instances_cancelled", "active_instances", "total_activities_executed", "total_timers_fired",
      "total_events_raised", "average_orchestration_duration_ms", "live_instances", "replays", "commits" } do
      assert.equal(0, metrics[field], field)
    end
    assert.is_true(metrics.uptime_seconds >= 0)
    assert.is_true(metrics.orchestrator_dispatcher_healthy)
    assert.is_true(metrics.worker_dispatcher_healthy)
    assert.is_true(metrics.timer_dispatcher_healthy)
    assert.is_number(metrics.commit_latency_ms.p50)
    assert.is_number(metrics.commit_latency_ms.p99)
    assert.same({}, rt:orchestration_metrics())
  end)

  it("count each way to begin and to end", function()
    start(rt, "fine")
    start(rt, "broken")
    start(rt, "waits", nil, "w1")
    start(rt, "waits", nil, "w2")
    start(rt, "waits", nil, "w3")
    assert.same({ 5, 1, 1, 0, 3 }, totals(rt:runtime_metrics()))
    assert.equal(3, rt:runtime_metrics().live_instances)
    assert(rt:cancel("w1"))
    assert(rt:terminate("w2"))
    assert(rt:run_until_idle(10))
    assert.same({ 5, 1, 1, 2, 1 }, totals(rt:runtime_metrics()))
    assert(rt:suspend("w3"))
    assert.same({ 5, 1, 1, 2, 1 }, totals(rt:runtime_metrics()))
  end)

  it("count an instance that starts later when it begins", function()
    assert(rt:start("fine", nil, { delay = 60 }))
    assert.same({ 0, 0, 0, 0, 0 }, totals(rt:runtime_metrics()))
    rt:advance(61)
    assert.same({ 1, 1, 0, 0, 0 }, totals(rt:runtime_metrics()))
  end)

  it("count sub-orchestrations, and a continue-as-new not as another start", function()
    start(rt, "parent")
    start(rt, "laps", 5)
    assert.same({ 3, 3, 0, 0, 0 }, totals(rt:runtime_metrics()))
    assert.same({ 1, 1, 0, 0, 0 }, totals(by_name(rt, "laps")))
    assert.same({ 1, 1, 0, 0, 0 }, totals(by_name(rt, "fine")))
  end)

  it("count activities, timers and events", function()
    start(rt, "works", "good")
    start(rt, "works", "bad")
    start(rt, "sleeps", 5)
    rt:advance(6)
    start(rt, "waits", nil, "w")
    assert(rt:raise_event("w", "go"))
    assert(rt:run_until_idle(10))
    local metrics = rt:runtime_metrics()
    assert.equal(2, metrics.total_activities_executed)
    assert.equal(1, metrics.total_timers_fired)
    assert.equal(1, metrics.total_events_raised)
    assert.is_true(metrics.turns >= 8)
    assert.is_true(metrics.commits > 0 and metrics.commit_latency_ms.p99 >= metrics.commit_latency_ms.p50)
  end)

  it("tell averages and rates by name", function()
    start(rt, "sleeps", 2)
    start(rt, "sleeps", 4)
    rt:advance(10)
    start(rt, "broken")
    local sleeps = by_name(rt, "sleeps")
    assert.equal(3000, sleeps.average_duration_ms)
    assert.equal(1, sleeps.success_rate)
    assert.equal(0, by_name(rt, "broken").success_rate)
    assert.equal(2000, rt:runtime_metrics().average_orchestration_duration_ms)
    assert.matches("^orchestration +started", tostring(rt:orchestration_metrics()))
  end)

  it("are sorted by name", function()
    for _, name in ipairs { "waits", "fine", "laps" } do start(rt, name, 1) end
    local names = {}
    for i, row in ipairs(rt:orchestration_metrics()) do names[i] = row.orchestration_name end
    assert.same({ "fine", "laps", "waits" }, names)
  end)

  it("keep what has happened to instances that are deleted", function()
    start(rt, "fine", nil, "f")
    start(rt, "waits", nil, "w")
    assert(rt:delete_instance("f"))
    assert(rt:delete_instance("w", { force = true }))
    assert.same({ 2, 1, 0, 0, 0 }, totals(rt:runtime_metrics()))
  end)

  it("take a failure back that is retried", function()
    local breaks = true
    rt:activity("flaky", function() if breaks then error("once") end end)
    start(rt, "works", "flaky", "i")
    assert.same({ 1, 0, 1, 0, 0 }, totals(rt:runtime_metrics()))
    breaks = false
    assert(rt:retry_failed { instances = { "i" } })
    assert(rt:run_until_idle(10))
    assert.same({ 1, 1, 0, 0, 0 }, totals(rt:runtime_metrics()))
    assert.equal(1, by_name(rt, "works").success_rate)
  end)

  it("go on where they were when the file is opened again", function()
    local path = runtimes.path()
    local first = runtimes.open { path = path }
    register(first)
    start(first, "fine")
    start(first, "sleeps", 5)
    start(first, "waits")
    first:close()
    local second = runtimes.open { path = path }
    register(second)
    assert.same({ 3, 1, 0, 0, 2 }, totals(second:runtime_metrics()))
    second:advance(6)
    assert.same({ 3, 2, 0, 0, 1 }, totals(second:runtime_metrics()))
    assert.equal(1, second:runtime_metrics().total_timers_fired)
    assert.equal(2500, second:runtime_metrics().average_orchestration_duration_ms)
  end)
end)


describe("the metrics of queues", function()
  after_each(runtimes.clean)

  it("count the timers that are pending, in memory or not", function()
    local rt = runtimes.open { max_live_instances = 2 }
    register(rt)
    for i = 1, 10 do start(rt, "sleeps", i * 10, "s" .. i) end
    assert(rt:list_instances { waiting_on = "timer" }) -- folded: those above the limit may leave
    runtimes.until_true(rt, function() return rt:runtime_metrics().live_instances <= 2 end)
    assert.equal(10, rt:queue_metrics().timer_queue_size)
    rt:advance(35)
    assert.equal(7, rt:queue_metrics().timer_queue_size)
    assert.equal(0, rt:queue_metrics().timer_queue_oldest_item_age_ms)
    assert(rt:terminate("s10"))
    assert(rt:delete_instance("s9", { force = true }))
    assert.equal(5, rt:queue_metrics().timer_queue_size)
    rt:advance("1h")
    assert.equal(0, rt:queue_metrics().timer_queue_size)
  end)

  it("count activities that nobody has begun, and how long they have waited", function()
    local rt = runtimes.open { activity_concurrency = 1 }
    register(rt)
    rt:activity("long", function(ctx) ctx:sleep(100) end)
    for _ = 1, 3 do assert(rt:start("works", "long")) end
    assert(rt:run_until_idle(10))
    assert.equal(2, rt:queue_metrics().worker_queue_size)
    rt:advance(60)
    assert.equal(60000, rt:queue_metrics().worker_queue_oldest_item_age_ms)
    rt:advance(50)
    assert.equal(1, rt:queue_metrics().worker_queue_size)
    assert.equal(110000, rt:queue_metrics().worker_queue_oldest_item_age_ms)
    rt:advance(1000)
    local queues = rt:queue_metrics()
    assert.equal(0, queues.worker_queue_size)
    assert.equal(0, queues.worker_queue_oldest_item_age_ms)
    assert.equal(9, queues.total_items_processed) -- two turns each, and an attempt
    assert.is_true(queues.average_processing_time_ms > 0)
  end)

  it("count what waits in task queues", function()
    if runtimes.store == "basic" then return end -- it has none
    local rt = runtimes.open()
    rt:orchestration("elsewhere", function(ctx) return ctx:activity("paint", nil, { queue = "painters" }) end)
    start(rt, "elsewhere")
    start(rt, "elsewhere")
    rt:advance(5)
    assert.equal(2, rt:queue_metrics().worker_queue_size)
    assert.equal(5000, rt:queue_metrics().worker_queue_oldest_item_age_ms)
  end)

  it("count instances that wait for a turn, and how long they have waited", function()
    local rt = runtimes.open()
    register(rt)
    local asked = {} -- and the loop is not turned in between
    for i = 1, 3 do asked[i] = assert(rt.core:call("start", { name = "fine" })) end
    assert(rt.core:set_time(rt.core:now_ms() + 5000))
    local queues = assert(rt:queue_metrics())
    assert.equal(3, queues.orchestrator_queue_size)
    assert.equal(5000, queues.orchestrator_queue_oldest_item_age_ms)
    assert(rt:run_until_idle(10))
    assert.equal(0, rt:queue_metrics().orchestrator_queue_size)
    assert.equal(3, #asked)
  end)

  it("have an empty queue of turns when everything has run", function()
    local rt = runtimes.open()
    register(rt)
    start(rt, "fine")
    local queues = assert(rt:queue_metrics())
    assert.equal(0, queues.orchestrator_queue_size)
    assert.equal(0, queues.orchestrator_queue_oldest_item_age_ms)
  end)
end)


describe("the diagnostics of the provider", function()
  after_each(runtimes.clean)

  it("say what is stored, and follow what is deleted", function()
    local rt = runtimes.open()
    register(rt)
    start(rt, "fine", nil, "f")
    start(rt, "waits", nil, "w")
    local store = assert(rt:provider_diagnostics())
    assert.equal(runtimes.store or "sqlite", store.provider_type)
    assert.is_true(store.connection_healthy)
    assert.equal(2, store.total_instances_stored)
    assert.equal(4, store.total_history_events)
    if not runtimes.store then assert.is_true(store.storage_size_bytes > 0) end
    assert.is_true(store.average_read_latency_ms > 0 and store.average_write_latency_ms > 0)
    assert(rt:delete_instance("f"))
    store = rt:provider_diagnostics()
    assert.equal(1, store.total_instances_stored)
    assert.equal(2, store.total_history_events)
  end)
end)


-- {name: type} and {sample with its labels: value}; fails at a line that is not of the format.
local function parse(text)
  local families, samples, last = {}, {}, nil
  assert.equal("\n", text:sub(-1))
  for line in text:gmatch("(.-)\n") do
    local help, kind = line:match("^# HELP ([%a_:][%w_:]*) .+$"), { line:match("^# TYPE ([%a_:][%w_:]*) (%l+)$") }
    if help then
      assert.is_nil(families[help], "a family twice: " .. line)
      last = help
    elseif kind[1] then
      assert.equal(last, kind[1])
      assert.is_truthy(({ gauge = 1, counter = 1, summary = 1 })[kind[2]], line)
      families[last] = kind[2]
    else
      local name, labels, value = line:match("^([%a_:][%w_:]*)({.*}) (%S+)$")
      if not name then name, value = line:match("^([%a_:][%w_:]*) (%S+)$") end
      assert.is_string(name, "no sample: " .. line)
      assert.is_number(tonumber(value), line)
      local family = families[name] and name or name:gsub("_sum$", ""):gsub("_count$", "")
      assert.equal(last, family, "a sample apart from its family: " .. line)
      local rest = (labels or "{}"):sub(2, -2):gsub('\\[\\"n]', "~"):gsub('[%a_][%w_]*="[^"\\]*",?', "")
      assert.equal("", rest, line)
      local key = name .. (labels or "")
      assert.is_nil(samples[key], "a sample twice: " .. line)
      samples[key] = tonumber(value)
    end
  end
  return samples, families
end


describe("the Prometheus text", function()
  after_each(runtimes.clean)

  it("tells the same numbers, each line in the format", function()
    local rt = runtimes.open()
    register(rt)
    start(rt, "fine")
    start(rt, "broken")
    start(rt, "sleeps", 100)
    start(rt, "sleeps", 2)
    rt:advance(3)
    local samples, families = parse(assert(rt:prometheus()))
    assert.equal(1, samples['duro_instances_completed_total{orchestration="fine"}'])
    assert.equal(1, samples['duro_instances_failed_total{orchestration="broken"}'])
    assert.equal(2, samples['duro_instances_started_total{orchestration="sleeps"}'])
    assert.equal(1, samples['duro_instances{orchestration="sleeps",status="running"}'])
    assert.equal(2, samples['duro_orchestration_duration_seconds_sum{orchestration="sleeps"}'])
    assert.equal(1, samples['duro_orchestration_duration_seconds_count{orchestration="sleeps"}'])
    assert.equal(1, samples['duro_timers_fired_total{orchestration="sleeps"}'])
    assert.equal(1, samples['duro_queue_size{queue="timer"}'])
    assert.equal(1, samples['duro_dispatcher_healthy{dispatcher="worker"}'])
    assert.equal(1, samples.duro_active_instances)
    assert.equal(4, samples.duro_store_instances)
    assert.equal("counter", families.duro_instances_started_total)
    assert.equal("gauge", families.duro_queue_size)
    assert.equal("summary", families.duro_commit_latency_seconds)
  end)

  it("escapes what a name brings along", function()
    local rt = runtimes.open()
    local name = 'say "hi" \\ bye'
    rt:orchestration(name, function() end)
    start(rt, name)
    local samples = parse(assert(rt:prometheus()))
    assert.equal(1, samples['duro_instances_started_total{orchestration="say \\"hi\\" \\\\ bye"}'])
  end)

  it("has counters that never go down, also when a failure is retried or an instance deleted", function()
    local rt = runtimes.open()
    register(rt)
    local breaks = true
    rt:activity("flaky", function() if breaks then error("once") end end)
    start(rt, "works", "flaky", "i")
    local before, families = parse(rt:prometheus())
    breaks = false
    assert(rt:retry_failed { instances = { "i" } })
    assert(rt:run_until_idle(10))
    assert(rt:delete_instance("i"))
    local after = parse(rt:prometheus())
    for sample, value in pairs(before) do
      local family = sample:match("^[%w_]+")
      if families[family] ~= "gauge" and not family:find("latency") then
        assert.is_true(after[sample] >= value, sample)
      end
    end
    assert.equal(1, after['duro_instances_retried_total{orchestration="works"}'])
  end)
end)


describe("metrics that are switched off", function()
  after_each(runtimes.clean)

  it("answer unsupported, and say which switch it was", function()
    local rt = runtimes.open { management = { enable_metrics = false } }
    register(rt)
    start(rt, "fine")
    for _, name in ipairs { "runtime_metrics", "provider_diagnostics", "queue_metrics", "orchestration_metrics",
      "prometheus" } do
      local answer, err = rt[name](rt)
      assert.is_nil(answer, name)
      assert.equal("unsupported", err.code)
      assert.matches("enable_metrics", err.message, 1, true)
    end
    assert.equal(1, #rt:list_instances())
  end)
end)


describe("metrics that the owner has switched off", function()
  after_each(runtimes.clean)

  it("are unsupported in another process too, once it knows", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open { path = %q, durability = "normal", management = { enable_metrics = false } })
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    local answer, err
    runtimes.until_true(client, function()
      answer, err = client:runtime_metrics()
      return not answer
    end)
    assert.equal("unsupported", err.code)
    assert.matches("enable_metrics", err.message, 1, true)
    owner:kill()
    client:close()
  end)
end)


describe("the cache of answers", function()
  after_each(runtimes.clean)

  it("gives an answer again within cache_ttl_seconds", function()
    local rt = runtimes.open { management = { cache_ttl_seconds = 3600 } }
    register(rt)
    start(rt, "fine")
    assert.equal(1, rt:runtime_metrics().total_instances_started)
    start(rt, "fine")
    assert.equal(1, rt:runtime_metrics().total_instances_started)
    assert.equal(2, by_name(rt, "fine").total_started) -- another question
    assert.equal(2, #rt:list_instances())
  end)

  it("gives a new one when that time is over", function()
    local rt = runtimes.open { management = { cache_ttl_seconds = 0.02 } }
    register(rt)
    assert.equal(0, rt:runtime_metrics().total_instances_started)
    start(rt, "fine")
    runtimes.until_true(rt, function() return rt:runtime_metrics().total_instances_started == 1 end)
  end)

  it("is not asked by default", function()
    local rt = runtimes.open()
    register(rt)
    for n = 1, 3 do
      start(rt, "fine")
      assert.equal(n, rt:runtime_metrics().total_instances_started)
    end
  end)
end)


describe("the health of a runtime", function()
  if runtimes.store then return end -- it is about files

  after_each(harness.clean)

  -- Says the three flags, and that of the store, as one word each time they change.
  local WATCH = [[
    local rt = child.open()
    local finish -- while an activity is under way the loop goes on beside each commit
    child.duro.activity("under_way", function(ctx) finish = ctx:async() end)
    child.duro.orchestration("busy", function(ctx) return ctx:activity("under_way") end)
    child.start(rt, "busy", "b1")
    child.until_true(rt, function() return finish end)
    child.start(rt, "waiter", "w1")
    local function health()
      local m, store = rt:runtime_metrics(), rt:provider_diagnostics()
      local flags = { m.orchestrator_dispatcher_healthy, m.worker_dispatcher_healthy, m.timer_dispatcher_healthy,
        store.connection_healthy }
      for i, flag in ipairs(flags) do flags[i] = flag and "+" or "-" end
      return table.concat(flags)
    end
    child.say(health())
    child.arm()
    child.duro.default().core:call("raise_event", { id = "w1", name = "go", data = 1 }) -- and no wait for it
    child.until_true(rt, function() return health() == "----" end)
    child.say(health())
    child.disarm()
    child.until_true(rt, function() return health() == "++++" end)
    child.say(health())
    finish(nil, true)
    rt:raise_event("w1", "go", 2) -- a batch that failed took the first one along
    child.finish(rt, { "w1", "b1" })
    child.done(rt)
  ]]

  it("is lost while the store thread is stuck, and comes back", function()
    local scene = harness.new()
    local run = scene:run(WATCH, { fault = "hold4000 before step 1 INSERT INTO history", when_armed = true })
    assert.same({ "++++", "----", "++++", "done" }, run.lines, run:text())
    scene:check { ended = true }
  end)

  it("is lost while the disk is full, and comes back", function()
    local scene = harness.new()
    local run = scene:run(WATCH, { fault = "enospc before write 1- -wal", when_armed = true })
    assert.same({ "++++", "----", "++++", "done" }, run.lines, run:text())
    scene:check { ended = true }
  end)
end)


describe("the metrics in another process", function()
  if runtimes.store then return end

  after_each(runtimes.clean)

  local OWNER = [[
    local duro = require "duro"
    local rt = assert(duro.open { path = %q, durability = "normal" })
    rt:orchestration("fine", function(ctx, input) return input end)
    rt:orchestration("sleeps", function(ctx) ctx:sleep("1d") end)
    for i = 1, 3 do assert(rt:start("fine", i)) end
    for i = 1, 2 do assert(rt:start("sleeps", i)) end
    print("ready")
    io.stdout:flush()
    rt:run()
  ]]

  it("are the owner's, and lose their health with the owner", function()
    local path = runtimes.path()
    local owner = child.start(OWNER:format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    runtimes.until_true(client, function() return client:runtime_metrics().live_instances == 2 end)
    local metrics = client:runtime_metrics()
    assert.same({ 5, 3, 0, 0, 2 }, totals(metrics))
    assert.is_true(metrics.orchestrator_dispatcher_healthy)
    assert.is_true(metrics.worker_dispatcher_healthy)
    assert.is_true(metrics.timer_dispatcher_healthy)
    assert.is_true(metrics.uptime_seconds > 0 and metrics.commits > 0)
    assert.equal(2, client:queue_metrics().timer_queue_size)
    assert.equal(5, client:provider_diagnostics().total_instances_stored)
    assert.same({ 3, 3, 0, 0, 0 }, totals(by_name(client, "fine")))
    assert.equal(1, parse(client:prometheus())['duro_dispatcher_healthy{dispatcher="timer"}'])

    assert(client:start("fine", 4))
    runtimes.until_true(client, function() return client:runtime_metrics().total_instances_completed == 4 end)

    owner:kill()
    runtimes.until_true(client, function() return not client:runtime_metrics().orchestrator_dispatcher_healthy end)
    metrics = client:runtime_metrics()
    assert.is_false(metrics.worker_dispatcher_healthy)
    assert.is_false(metrics.timer_dispatcher_healthy)
    assert.same({ 0, 0 }, { metrics.uptime_seconds, metrics.live_instances })
    assert.same({ 6, 4, 0, 0, 2 }, totals(metrics))
    assert.is_true(client:provider_diagnostics().connection_healthy)
    client:close()
  end)
end)
