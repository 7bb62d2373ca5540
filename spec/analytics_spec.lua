-- query_instances and time_series_metrics: what each group and aggregate means, that counters
-- and rows agree, how buckets lie, what is refused.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local ALL = { "count", "average_duration", "p50_duration", "p95_duration", "success_rate", "failure_rate" }
-- Every instance, but not by counters.
local BY_ROWS = { created_after = 1 }


local function register(rt)
  rt:orchestration("sleeps", function(ctx, seconds) ctx:sleep(seconds) end)
  rt:orchestration("breaks", function(ctx, seconds)
    ctx:sleep(seconds)
    error("broken")
  end)
  rt:orchestration("waits", function(ctx) ctx:wait_event("go") end)
  rt:orchestration("parent", function(ctx, count)
    for _ = 1, count do ctx:schedule_sub_orchestration("waits") end
    ctx:wait_event("go")
  end)
  rt:orchestration("works", function(ctx, name) ctx:activity(name) end)
  rt:activity("good", function() return 1 end)
  rt:activity("bad", function() error("bad") end)
end


local function start(rt, name, input, options)
  local id = assert(rt:start(name, input, options))
  assert(rt:run_until_idle(10))
  return id
end


-- The groups as {"field=value ...: count"} in the order given.
local function counts(answer, err)
  assert(answer, tostring(err))
  local lines = {}
  for i, group in ipairs(answer.groups) do
    local key = {}
    for field, value in pairs(group.key) do key[#key + 1] = field .. "=" .. value end
    table.sort(key)
    lines[i] = table.concat(key, " ") .. ": " .. ("%d"):format(group.count)
  end
  return lines
end


local function refused(code, answer, err)
  assert.is_nil(answer)
  assert.equal(code, err.code)
  return err.message
end


describe("a query of instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("is one group without group_by, also of nothing", function()
    assert.same({ ": 0" }, counts(rt:query_instances()))
    assert.same({ ": 0" }, counts(rt:query_instances { filter = BY_ROWS }))
    start(rt, "waits")
    start(rt, "sleeps", 5)
    assert.same({ ": 2" }, counts(rt:query_instances {}))
    assert.same({ ": 2" }, counts(rt:query_instances { group_by = {}, aggregate = {}, filter = {} }))
  end)

  it("groups by name, the largest group first", function()
    assert.same({}, counts(rt:query_instances { group_by = "orchestration_name" }))
    start(rt, "waits")
    start(rt, "parent", 2)
    start(rt, "breaks", 1)
    local expected = { "orchestration_name=waits: 3", "orchestration_name=breaks: 1", "orchestration_name=parent: 1" }
    assert.same(expected, counts(rt:query_instances { group_by = { "orchestration_name" } }))
    assert.same(expected, counts(rt:query_instances { group_by = "orchestration_name", filter = BY_ROWS }))
  end)

  it("groups by status", function()
    start(rt, "waits", nil, { id = "w" })
    start(rt, "waits", nil, { id = "s" })
    start(rt, "waits", nil, { id = "c" })
    start(rt, "breaks", 1)
    start(rt, "sleeps", 1)
    start(rt, "sleeps", 1)
    assert(rt:start("waits", nil, { delay = "1h" }))
    assert(rt:suspend("s"))
    assert(rt:cancel("c"))
    assert(rt:advance(2))
    local expected = { "status=completed: 2", "status=cancelled: 1", "status=failed: 1", "status=pending: 1",
      "status=running: 1", "status=suspended: 1" }
    assert.same(expected, counts(rt:query_instances { group_by = "status" }))
    assert.same(expected, counts(rt:query_instances { group_by = "status", filter = BY_ROWS }))
  end)

  it("groups by the day of creation, of UTC", function()
    local days = {}
    for i = 1, 3 do
      for _ = 1, i do
        start(rt, "waits")
        days[i] = os.date("!%Y-%m-%d", math.floor(rt:now()))
      end
      assert(rt:advance("40d"))
    end
    assert.same({ "created_date=" .. days[3] .. ": 3", "created_date=" .. days[2] .. ": 2",
      "created_date=" .. days[1] .. ": 1" }, counts(rt:query_instances { group_by = "created_date" }))
  end)

  it("groups by parent, where roots have none", function()
    start(rt, "parent", 3, { id = "p3" })
    start(rt, "parent", 1, { id = "p1" })
    assert.same({ "parent_instance=p3: 3", ": 2", "parent_instance=p1: 1" },
      counts(rt:query_instances { group_by = "parent_instance" }))
  end)

  it("groups by version, and by several things at once", function()
    rt:orchestration("waits", { version = "2.0.0" }, function(ctx) ctx:wait_event("go") end)
    start(rt, "waits", nil, { version = "1.0.0" })
    start(rt, "waits")
    start(rt, "waits")
    assert.same({ "version=2.0.0: 2", "version=1.0.0: 1" }, counts(rt:query_instances { group_by = "version" }))
    assert.same({ "orchestration_name=waits status=running version=2.0.0: 2",
      "orchestration_name=waits status=running version=1.0.0: 1" },
      counts(rt:query_instances { group_by = { "version", "status", "orchestration_name" } }))
  end)

  it("tells durations in seconds and rates of those that ended", function()
    for seconds = 1, 20 do start(rt, "sleeps", seconds) end
    for _ = 1, 5 do start(rt, "breaks", 100) end
    assert(rt:advance(200))
    start(rt, "waits")
    local all = assert(rt:query_instances { aggregate = ALL }).groups[1]
    assert.equal(26, all.count)
    assert.equal((210 + 500) / 25, all.average_duration)
    assert.equal(13, all.p50_duration)
    assert.equal(100, all.p95_duration)
    assert.equal(20 / 25, all.success_rate)
    assert.equal(5 / 25, all.failure_rate)
    local sleeps = rt:query_instances({ filter = { name = "sleeps" }, aggregate = ALL }).groups[1]
    assert.equal(10, sleeps.p50_duration)
    assert.equal(19, sleeps.p95_duration)
    local waits = rt:query_instances({ filter = { name = "waits" }, aggregate = ALL }).groups[1]
    assert.same({ key = {}, count = 1, average_duration = 0, p50_duration = 0, p95_duration = 0, success_rate = 0,
      failure_rate = 0 }, waits)
  end)

  it("tells what was asked for, and count", function()
    start(rt, "waits")
    assert.same({ key = {}, count = 1 }, rt:query_instances({}).groups[1])
    assert.same({ key = {}, count = 1, success_rate = 0 },
      rt:query_instances({ aggregate = "success_rate" }).groups[1])
  end)

  it("counts those that pass the filter", function()
    for i = 1, 4 do
      start(rt, "waits", nil, { id = "a-" .. i, attributes = { region = i % 2 == 0 and "eu" or "us" } })
    end
    start(rt, "breaks", 1, { id = "b-1" })
    assert(rt:advance(2))
    local function count(filter) return counts(rt:query_instances { filter = filter })[1] end
    assert.equal(": 4", count { id_prefix = "a-" })
    assert.equal(": 2", count { attributes = { region = "eu" } })
    assert.equal(": 4", count { waiting_on = "event:go" })
    assert.equal(": 1", count { error_contains = "broken" })
    assert.equal(": 1", count { status = "failed" })
    assert.equal(": 5", count { name = { "wa*", "breaks" } })
    assert.equal(": 0", count { name = "breaks", status = "running" })
    assert.equal(": 0", count { created_after = rt:now() })
  end)

  it("gives at most `limit` groups, and says when there are more", function()
    for i = 1, 5 do
      for _ = 1, i do start(rt, "waits") end
      assert(rt:advance("1d"))
    end
    local some = assert(rt:query_instances { group_by = "created_date", limit = 2 })
    assert.equal(2, #some.groups)
    assert.same({ 5, 4 }, { some.groups[1].count, some.groups[2].count })
    assert.is_true(some.truncated)
    assert.is_nil(rt:query_instances({ group_by = "created_date", limit = 5 }).truncated)
    assert.matches("limit", refused("invalid_argument", rt:query_instances { limit = 100000 }), 1, true)
    assert.matches("at least 1", refused("invalid_argument", rt:query_instances { limit = 0 }), 1, true)
  end)

  it("looks at more rows than fit one page", function()
    local starts = {}
    for i = 1, 4500 do starts[i] = { name = "waits", id = "w" .. i } end
    for i = 1, 3 do assert(rt:start_many { unpack(starts, (i - 1) * 1500 + 1, i * 1500) }) end
    assert(rt:run_until_idle(20))
    assert.same({ "status=running: 4500" }, counts(rt:query_instances { group_by = "status", filter = BY_ROWS }))
    assert.same({ "status=running: 4500" }, counts(rt:query_instances { group_by = "status" }))
  end)

  it("says the same by counters and by rows, whatever has happened", function()
    local ids, seed = {}, 7
    local function random(n)
      seed = (seed * 16807) % 2147483647
      return seed % n + 1
    end
    local names = { "sleeps", "breaks", "waits", "parent", "works" }
    local steps = {
      function() ids[#ids + 1] = rt:start(names[random(4)], random(3)) end,
      function() ids[#ids + 1] = rt:start("works", random(2) == 1 and "good" or "bad") end,
      function() ids[#ids + 1] = rt:start("sleeps", 5, { delay = random(9) }) end,
      function(id) rt:cancel(id) end,
      function(id) rt:terminate(id) end,
      function(id) rt:suspend(id) end,
      function(id) rt:resume(id) end,
      function(id) rt:raise_event(id, "go") end,
      function(id) rt:delete_instance(id, { force = true }) end,
      function(id) rt:retry_failed { instances = { id } } end,
      function() rt:advance(random(3)) end,
    }
    for _ = 1, 300 do
      steps[random(#steps)](ids[random(math.max(1, #ids))] or "none")
      if random(4) == 1 then assert(rt:run_until_idle(10)) end
    end
    assert(rt:run_until_idle(10))
    for _, by in ipairs { {}, { "orchestration_name" }, { "status" }, { "orchestration_name", "status" } } do
      local aggregate = { "count", "success_rate", "failure_rate" }
      assert.same(rt:query_instances({ group_by = by, aggregate = aggregate, filter = BY_ROWS }).groups,
        rt:query_instances({ group_by = by, aggregate = aggregate }).groups)
    end
    assert.same(counts(rt:query_instances { filter = { name = { "s*", "waits" }, created_after = 1 } }),
      counts(rt:query_instances { filter = { name = { "s*", "waits" } } }))
    assert.same(counts(rt:query_instances { filter = { status = { "failed", "running" }, created_after = 1 } }),
      counts(rt:query_instances { filter = { status = { "failed", "running" } } }))
  end)

  it("refuses what it does not know, with the nearest word", function()
    local message = refused("invalid_argument", rt:query_instances { group_by = { "status", "orchestration" } })
    assert.matches("did you mean 'orchestration_name'", message, 1, true)
    message = refused("invalid_argument", rt:query_instances { aggregate = "sucess_rate" })
    assert.matches("did you mean 'success_rate'", message, 1, true)
    assert.error_matches(function() rt:query_instances { groupby = "status" } end,
      "unknown option 'groupby' %(did you mean 'group_by'%?%)")
    assert.error_matches(function() rt:query_instances { filter = { staus = "failed" } } end,
      "unknown option 'staus' %(did you mean 'status'%?%)")
    assert.error_matches(function() rt:query_instances { group_by = 5 } end, "must be a string or an array of strings")
  end)

  it("is refused in the same way by the core", function()
    local function ask(verb, args)
      local question = assert(rt.core:call(verb, args))
      runtimes.until_true(rt, function() return question:done() end)
      return question:result()
    end
    assert.matches("'group_by' cannot be 'statuss' %(did you mean 'status'%?%)",
      refused("invalid_argument", ask("query_instances", { group_by = { "statuss" } })))
    assert.matches("array of words", refused("invalid_argument", ask("query_instances", { group_by = { 5 } })), 1, true)
    assert.matches("'metric' cannot be '%?' %(known: started, ",
      refused("invalid_argument", ask("time_series_metrics", { metric = "?" })))
    assert.matches("missing", refused("invalid_argument", ask("time_series_metrics", {})), 1, true)
  end)

  it("works with metrics switched off", function()
    local off = runtimes.open { management = { enable_metrics = false } }
    register(off)
    start(off, "waits")
    assert.same({ "status=running: 1" }, counts(off:query_instances { group_by = "status" }))
  end)

  it("is answered again within cache_ttl_seconds", function()
    local cached = runtimes.open { management = { cache_ttl_seconds = 3600 } }
    register(cached)
    assert.same({ ": 0" }, counts(cached:query_instances {}))
    assert.same({ ": 0" }, counts(cached:query_instances { filter = BY_ROWS }))
    start(cached, "waits")
    assert.same({ ": 0" }, counts(cached:query_instances {}))
    assert.same({ ": 0" }, counts(cached:query_instances { filter = BY_ROWS }))
    assert.same({ ": 1" }, counts(cached:query_instances { filter = { name = "waits" } }))
  end)

  it("prints as a table", function()
    start(rt, "waits")
    local text = tostring(rt:query_instances { group_by = { "status", "orchestration_name" } })
    assert.matches("^orchestration_name +status +count\nwaits +running +1", text)
  end)
end)


-- The values of a series in a line; its first timestamp.
local function values(answer, err)
  assert(answer, tostring(err))
  local list = {}
  for i, point in ipairs(answer.points) do list[i] = ("%.14g"):format(point.value) end
  return table.concat(list, " "), answer.points[1].timestamp
end


describe("a time series", function()
  local rt, minute

  -- The clock stands at the beginning of an hour, UTC.
  before_each(function()
    rt = runtimes.open()
    register(rt)
    minute = (math.floor(rt:now() / 3600) + 1) * 3600
    assert(rt:advance(minute - rt:now()))
  end)
  after_each(runtimes.clean)

  local function series(metric, bucket, from, to, name)
    return rt:time_series_metrics { metric = metric, bucket = bucket, from = from, to = to, orchestration_name = name }
  end

  it("counts what began and ended in each minute, and 0 where nothing did", function()
    start(rt, "sleeps", 30)
    start(rt, "sleeps", 90)
    assert(rt:advance(130))
    start(rt, "breaks", 10)
    assert(rt:advance(170))
    local line, first = values(series("started", "1m", minute, minute + 300))
    assert.equal("2 0 1 0 0", line)
    assert.equal(minute, first)
    assert.equal("1 1 0 0 0", (values(series("completed", "1m", minute, minute + 300))))
    assert.equal("0 0 1 0 0", (values(series("failed", "1m", minute, minute + 300))))
    assert.equal("30000 90000 10000 0 0", (values(series("duration_ms", "1m", minute, minute + 300))))
  end)

  it("counts activities with a result, good or bad", function()
    start(rt, "works", "good")
    start(rt, "works", "bad")
    local answer, err = series("activities", "1m", minute, minute + 60)
    if runtimes.store then
      assert.equal("unsupported", err.code)
    else
      assert.equal("2", (values(answer, err)))
    end
  end)

  it("is made of whole buckets around the time that is asked for", function()
    start(rt, "sleeps", 1)
    assert(rt:advance(60))
    start(rt, "sleeps", 1)
    assert(rt:advance(60))
    local line, first = values(series("started", "1m", minute + 30, minute + 61))
    assert.equal("1 1", line)
    assert.equal(minute, first)
    line, first = values(series("started", "1h", minute + 1800, minute + 1801))
    assert.equal("2", line)
    assert.equal(minute, first)
    line, first = values(series("started", "1d", minute, minute + 1))
    assert.equal("2", line)
    assert.equal(0, first % 86400)
    assert.equal("1", (values(series("started", "1m", minute, minute + 60)))) -- `to` is exclusive
  end)

  it("is of one orchestration when that is asked for", function()
    start(rt, "sleeps", 1)
    start(rt, "waits")
    assert.equal("2", (values(series("started", "1m", minute, minute + 60))))
    assert.equal("1", (values(series("started", "1m", minute, minute + 60, "waits"))))
    assert.equal("0", (values(series("started", "1m", minute, minute + 60, "nobody"))))
  end)

  it("is of the last while by default, and its bucket an hour", function()
    start(rt, "waits")
    assert(rt:advance(1))
    local answer = assert(rt:time_series_metrics { metric = "started" })
    assert.equal(25, #answer.points) -- 24 hours before this one, which has begun
    assert.equal(minute, answer.points[25].timestamp)
    assert.equal(1, answer.points[25].value)
    assert.is_nil(answer.truncated)
    assert.equal(61, #rt:time_series_metrics({ metric = "started", bucket = "1m" }).points)
    assert.equal(8, #rt:time_series_metrics({ metric = "started", bucket = "1d" }).points)
  end)

  it("goes over many slices of the store", function()
    for day = 1, 5 do
      for _ = 1, day do start(rt, "sleeps", 60) end
      assert(rt:advance("1d"))
    end
    local line = values(series("completed", "1d", minute - minute % 86400, rt:now()))
    local sum = 0
    for value in line:gmatch("%d+") do sum = sum + value end
    assert.equal(15, sum)
    assert.matches("1 2 3 4 5", line, 1, true)
  end)

  it("reaches from the first day to a far one", function()
    start(rt, "waits")
    local answer = assert(series("started", "1d", 0, minute + 100 * 365 * 86400))
    assert.equal(0, answer.points[1].timestamp)
    assert.equal(math.floor(minute / 86400) * 86400, answer.points[math.floor(minute / 86400) + 1].timestamp)
    assert.equal(1, answer.points[math.floor(minute / 86400) + 1].value)
    assert.equal(0, answer.points[#answer.points].value)
  end)

  it("says truncated when it begins before what is kept", function()
    assert.is_true(series("started", "1d", minute - 200 * 3600, minute).truncated)
    assert.is_nil(series("started", "1d", minute - 100 * 3600, minute).truncated)
  end)

  it("forgets after metrics_retention_hours; the totals stay", function()
    if runtimes.store then return end -- rows are not forgotten
    local short = runtimes.open { management = { metrics_retention_hours = 2 } }
    register(short)
    local began = short:now()
    start(short, "sleeps", 1)
    local function first()
      return short:time_series_metrics({ metric = "started", from = began, to = began + 1 }).points[1].value
    end
    assert(short:advance("90m"))
    assert(short:list_instances { waiting_on = "timer" }) -- folds, which trims
    assert.equal(1, first())
    assert(short:advance("150m"))
    start(short, "waits")
    assert(short:list_instances { waiting_on = "timer" })
    assert.equal(0, first())
    assert.equal(2, short:runtime_metrics().total_instances_started)
  end)

  it("keeps a failure that is retried, and what is deleted", function()
    local breaks = true
    rt:activity("flaky", function() if breaks then error("once") end end)
    start(rt, "works", "flaky", { id = "i" })
    breaks = false
    assert(rt:advance(60))
    assert(rt:retry_failed { instances = { "i" } })
    assert(rt:run_until_idle(10))
    if runtimes.store then return end -- rows alone do not tell
    assert(rt:delete_instance("i"))
    assert.equal("1 0", (values(series("failed", "1m", minute, minute + 120))))
    assert.equal("0 1", (values(series("completed", "1m", minute, minute + 120))))
  end)

  it("is refused with the nearest word, and with a reason", function()
    assert.matches("did you mean 'started'", refused("invalid_argument", series("startd")), 1, true)
    assert.matches("must be one of: 1m, 1h, 1d", refused("invalid_argument", series("started", "5m")), 1, true)
    assert.matches("'from' must be before 'to'", refused("invalid_argument", series("started", "1m", minute, minute)),
      1, true)
    assert.matches("shorter time", refused("invalid_argument", series("started", "1m", 0, minute)), 1, true)
    assert.error_matches(function() rt:time_series_metrics {} end, "option 'metric' is required")
    assert.error_matches(function() rt:time_series_metrics { metric = "started", buckets = "1m" } end,
      "unknown option 'buckets' %(did you mean 'bucket'%?%)")
  end)

  it("is unsupported with metrics switched off", function()
    local off = runtimes.open { management = { enable_metrics = false } }
    assert.matches("enable_metrics", refused("unsupported", off:time_series_metrics { metric = "started" }), 1, true)
  end)
end)


describe("numbers for those who may not see everything", function()
  after_each(runtimes.clean)

  it("count only what may be seen", function()
    local rt = runtimes.open { access_control = {
      can_list_instances = function() return true end,
      can_view_metrics = function() return true end,
      can_view_instance = function(context, id) return id:sub(1, 1) == context.user_id end,
    } }
    register(rt)
    local began = rt:now()
    for i = 1, 3 do start(rt, "sleeps", 10, { id = "a" .. i }) end
    for i = 1, 5 do start(rt, "breaks", 10, { id = "b" .. i }) end
    assert(rt:advance(20))
    local view = rt:with_context { user_id = "a" }
    assert.same({ "status=completed: 3" }, counts(view:query_instances { group_by = "status" }))
    assert.same({ ": 0" }, counts(view:query_instances { filter = { status = "failed" } }))
    assert.same({ "status=failed: 5", "status=completed: 3" }, counts(rt:query_instances { group_by = "status" }))
    local function sum(handle, metric)
      local total = 0
      local answer = assert(handle:time_series_metrics { metric = metric, from = began, to = began + 60 })
      for _, point in ipairs(answer.points) do total = total + point.value end
      return total
    end
    assert.same({ 8, 3, 5 }, { sum(rt, "started"), sum(rt, "completed"), sum(rt, "failed") })
    assert.same({ 3, 3, 0 }, { sum(view, "started"), sum(view, "completed"), sum(view, "failed") })
    assert.equal(10000, sum(view, "duration_ms"))
    refused("denied", view:time_series_metrics { metric = "activities" })
  end)
end)


describe("groups and series in another process", function()
  after_each(runtimes.clean)

  it("are those of the file, with an owner and without", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open { path = %q, durability = "normal" })
      rt:orchestration("fine", function(ctx, input) return input end)
      rt:orchestration("waits", function(ctx) ctx:wait_event("go") end)
      for i = 1, 3 do assert(rt:wait(assert(rt:start("fine", i)))) end
      assert(rt:start("waits"))
      assert(rt:run_until_idle(10))
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = assert(duro.open { path = path, role = "client" })
    local expected = { "orchestration_name=fine status=completed: 3", "orchestration_name=waits status=running: 1" }
    local by = { "orchestration_name", "status" }
    assert.same(expected, counts(client:query_instances { group_by = by }))
    assert.same(expected, counts(client:query_instances { group_by = by, filter = BY_ROWS }))
    owner:kill()
    assert(client:start("fine", 1)) -- nobody is there to count it
    table.insert(expected, 2, "orchestration_name=fine status=running: 1")
    assert.same(expected, counts(client:query_instances { group_by = by }))
    local started = 0
    local series = client:time_series_metrics { metric = "started" }
    for _, point in ipairs(series.points) do started = started + point.value end
    assert.equal(4, started)
    client:close()
  end)
end)
