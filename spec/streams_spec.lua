-- Streams: what happens to instances, as it happens, resumable by `since`.

local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"


local function each(events, field)
  local list = {}
  for i, event in ipairs(events) do list[i] = event[field] end
  return list
end


-- Everything that is there now.
local function drain(stream)
  local list = {}
  for item in stream:iter(0) do list[#list + 1] = item end
  return list
end


local function assert_grows(events)
  for i = 2, #events do assert.is_true(events[i].seq > events[i - 1].seq, i) end
end


local function register(rt)
  rt:activity("double", function(_, n) return 2 * n end)
  rt:activity("breaks", function() error("broken", 0) end)
  rt:orchestration("echo", function(_, input) return input end)
  rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
  rt:orchestration("steps", function(ctx, n)
    for i = 1, n do ctx:activity("double", i) end
    return n
  end)
end


describe("a stream of instance events", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("begins with what commits after the call", function()
    assert(rt:start("echo", 1, { id = "before" }))
    assert.equal(1, rt:wait("before", 10))
    local stream = assert(rt:stream_instance_events {})
    assert(rt:start("echo", 2, { id = "after" }))
    assert.equal(2, rt:wait("after", 10))
    local events = drain(stream)
    assert.same({ "started", "completed" }, each(events, "event_type"))
    assert.equal("after", events[1].instance_id)
    assert.equal("echo", events[1].orchestration_name)
    assert.equal(rt:now(), events[1].timestamp)
  end)

  it("tells every type of event, with its details", function()
    rt:orchestration("all", function(ctx, input)
      if input.again then return ctx:continue_as_new({ part = 2 }, { reason = "grown" }) end
      ctx:set_custom_status({ at = 1 })
      ctx:activity("double", 4)
      pcall(ctx.activity, ctx, "breaks")
      ctx:sleep(5)
      ctx:sub_orchestration("echo", "hello", { id = "kid" })
      return ctx:wait_event("go")
    end)
    local stream = assert(rt:stream_instance_events { filter = { id_prefix = "x" } })
    assert(rt:start("all", { again = true }, { id = "x" }))
    assert(rt:advance(10))
    assert(rt:suspend("x", "a break"))
    assert(rt:resume("x"))
    assert(rt:raise_event("x", "go", { n = 7 }))
    assert.same({ n = 7 }, rt:wait("x", 10))
    local events = drain(stream)
    assert.same({ "started", "continued_as_new", "custom_status_updated", "activity_completed", "activity_failed",
      "timer_fired", "sub_orchestration_completed", "suspended", "resumed", "event_received", "completed" },
      each(events, "event_type"))
    assert_grows(events)
    local details = {}
    for _, event in ipairs(events) do details[event.event_type] = event.details end
    assert.same({ again = true }, details.started.input)
    assert.equal("1.0.0", details.started.version)
    assert.same({ part = 2 }, details.continued_as_new.input)
    assert.equal("grown", details.continued_as_new.reason)
    assert.same({ at = 1 }, details.custom_status_updated.custom_status)
    assert.equal(2, details.custom_status_updated.execution_id)
    assert.equal("double", details.activity_completed.name)
    assert.equal(8, details.activity_completed.output)
    assert.equal("breaks", details.activity_failed.name)
    assert.equal("failed: broken", tostring(details.activity_failed.error))
    assert.is_number(details.timer_fired.source_event_id)
    assert.equal("echo", details.sub_orchestration_completed.name)
    assert.equal("kid", details.sub_orchestration_completed.child_instance)
    assert.equal("hello", details.sub_orchestration_completed.output)
    assert.equal("a break", details.suspended.reason)
    assert.equal("go", details.event_received.name)
    assert.same({ n = 7 }, details.event_received.data)
    assert.same({ n = 7 }, details.completed.output)
  end)

  it("tells how instances end", function()
    rt:orchestration("fails", function() error { code = "bad", message = "no good" } end)
    local stream = assert(rt:stream_instance_events { kinds = { "failed", "cancelled", "terminated" } })
    assert(rt:start("fails", nil, { id = "f" }))
    for _, id in ipairs { "c", "t" } do assert(rt:start("waits", nil, { id = id })) end
    assert(rt:run_until_idle(10))
    assert(rt:cancel("c", "not needed"))
    assert(rt:terminate("t", "at once"))
    assert(rt:run_until_idle(10))
    local events = drain(stream)
    assert.same({ "failed", "cancelled", "terminated" }, each(events, "event_type"))
    assert.equal("bad: no good", tostring(events[1].details.error))
    assert.equal("not needed", events[2].details.reason)
    assert.equal("at once", events[3].details.reason)
  end)

  it("tells that an instance stalled, and why", function()
    local stream = assert(rt:stream_instance_events {})
    assert(rt:start("later", nil, { id = "l" }))
    assert(rt:run_until_idle(10))
    local events = drain(stream)
    assert.same({ "stalled" }, each(events, "event_type"))
    assert.equal("not_registered", events[1].details.error.code)
    assert.equal("later", events[1].orchestration_name)
    rt:orchestration("later", function() return "mended" end)
    assert.equal("mended", rt:wait("l", 10))
    assert.same({ "started", "completed" }, each(drain(stream), "event_type"))
  end)

  it("finds the name of what was scheduled before it began", function()
    local finish
    rt:activity("long", function(ctx) finish = ctx:async() end)
    rt:orchestration("under_test", function(ctx) return ctx:activity("long") end)
    local id = assert(rt:start("under_test"))
    runtimes.until_true(rt, function() return finish end, "the activity runs")
    local stream = assert(rt:stream_instance_events { kinds = "activity_completed" })
    finish(nil, "done")
    assert.equal("done", rt:wait(id, 10))
    assert.equal("long", stream:next(10).details.name)
  end)

  it("gives only the kinds asked for, and knows their names", function()
    local stream = assert(rt:stream_instance_events { kinds = "completed" })
    assert(rt:start("steps", 3, { id = "s" }))
    assert.equal(3, rt:wait("s", 10))
    assert.same({ "completed" }, each(drain(stream), "event_type"))
    local none, err = rt:stream_instance_events { kinds = { "completed", "activity_complete" } }
    assert.is_nil(none)
    assert.equal("invalid_argument: there is no event type 'activity_complete' "
      .. "(did you mean 'activity_completed'?)", tostring(err))
  end)

  it("gives only events of instances that pass the filter when they are read", function()
    local by_name = assert(rt:stream_instance_events { filter = { name = "ec*" }, kinds = "completed" })
    local by_tag = assert(rt:stream_instance_events { filter = { attributes = { tag = "a" } }, kinds = "completed" })
    local by_status = assert(rt:stream_instance_events { filter = { status = "running" } })
    assert(rt:start("echo", 1, { id = "a", attributes = { tag = "a" } }))
    assert(rt:start("steps", 1, { id = "b", attributes = { tag = "a" } }))
    assert(rt:start("waits", 1, { id = "c" }))
    assert(rt:start("echo", 1, { id = "d" }))
    assert(rt:run_until_idle(10))
    local function ids(stream)
      local list = {}
      for i, event in ipairs(drain(stream)) do list[i] = event.instance_id end
      table.sort(list)
      return list
    end
    assert.same({ "a", "d" }, ids(by_name))
    assert.same({ "a", "b" }, ids(by_tag))
    assert.same({ "c" }, ids(by_status))
    assert.has_error(function() rt:stream_instance_events { filter = { nam = "x" } } end,
      "unknown option 'nam' (did you mean 'name'?)")
    local none, err = rt:stream_instance_events { filter = { status = "faield" } }
    assert.is_nil(none)
    assert.matches("did you mean 'failed'", err.message)
  end)

  it("leaves out events of an instance that was deleted before they were read", function()
    local stream = assert(rt:stream_instance_events {})
    for _, id in ipairs { "gone", "stays" } do
      assert(rt:start("echo", 1, { id = id }))
      assert(rt:wait(id, 10))
    end
    assert(rt:delete_instance("gone"))
    local events = drain(stream)
    assert.same({ "started", "completed" }, each(events, "event_type"))
    assert.equal("stays", events[1].instance_id)
  end)

  it("goes on from any event, without loss or repetition", function()
    local whole = assert(rt:stream_instance_events {})
    for i = 1, 5 do assert(rt:start("steps", 4, { id = "s" .. i })) end
    assert(rt:run_until_idle(10))
    local events = drain(whole)
    assert.equal(5 * 6, #events)
    assert_grows(events)
    for i, event in ipairs(events) do
      local rest = assert(rt:stream_instance_events { since = event.seq })
      local expected = {}
      for k = i + 1, #events do expected[#expected + 1] = events[k].seq end
      assert.same(expected, each(drain(rest), "seq"))
    end
  end)

  it("numbers each event of a turn that has thousands", function()
    rt:orchestration("wide", function(ctx, n)
      local tasks = {}
      for i = 1, n do tasks[i] = ctx:schedule_activity("double", i) end
      return #ctx:join(tasks)
    end)
    local stream = assert(rt:stream_instance_events {})
    assert(rt:start("wide", 2500, { id = "w" }))
    assert.equal(2500, rt:wait("w", 30))
    local events = drain(stream)
    assert.equal(2502, #events)
    assert_grows(events)
    assert.is_true(events[#events].seq < 2 ^ 53)
    local middle = assert(rt:stream_instance_events { since = events[1300].seq })
    assert.equal(events[1301].seq, middle:next(0).seq)
  end)

  it("gives a position to resume from also when nothing matched", function()
    local stream = assert(rt:stream_instance_events { kinds = "suspended" })
    local began = stream:position()
    assert(rt:start("steps", 3, { id = "s" }))
    assert.equal(3, rt:wait("s", 10))
    assert.same({}, drain(stream))
    assert.is_true(stream:position() > began)
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:suspend("w"))
    local resumed = assert(rt:stream_instance_events { kinds = "suspended", since = stream:position() })
    assert.equal("w", resumed:next(10).instance_id)
  end)

  it("is refused beyond what the file has come to", function()
    local none, err = rt:stream_instance_events { since = 2 ^ 40 }
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
    none, err = rt:stream_instance_events { since = -1 }
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
  end)

  it("is a readable line when printed", function()
    local stream = assert(rt:stream_instance_events {})
    assert(rt:start("echo", "hello", { id = "e" }))
    assert(rt:wait("e", 10))
    local events = drain(stream)
    assert.matches("^%d+ echo 'e' completed .*: { output = \"hello\" }$", tostring(events[2]))
    assert.matches("^duro.stream%(at %d+%)$", tostring(stream))
  end)
end)


describe("waiting for the next event", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("turns the loop until something comes", function()
    local stream = assert(rt:stream_instance_events { kinds = "completed" })
    assert(rt:start("steps", 20, { id = "s" }))
    local event = assert(stream:next(10))
    assert.equal("s", event.instance_id)
    assert.equal(20, event.details.output)
  end)

  it("ends with timeout, and the stream goes on", function()
    local stream = assert(rt:stream_instance_events {})
    for _, timeout in ipairs { 0, 0.005, "10ms" } do
      local event, err = stream:next(timeout)
      assert.is_nil(event)
      assert.equal("timeout", err.code)
    end
    assert(rt:start("echo", 1, { id = "e" }))
    assert.equal("started", stream:next(10).event_type)
    local event, err = stream:next("soon")
    assert.is_nil(event)
    assert.equal("invalid_argument", err.code)
  end)

  it("with no time at all still moves things", function()
    local stream = assert(rt:stream_instance_events { kinds = "completed" })
    assert(rt:start("steps", 3, { id = "s" }))
    local deadline = os.time() + 10
    local event = stream:next(0)
    while not event and os.time() <= deadline do event = stream:next(0) end
    assert.equal("s", event.instance_id)
  end)

  it("yields an activity", function()
    local seen = {}
    rt:activity("observe", function(ctx)
      local stream = assert(ctx.runtime:stream_instance_events { kinds = "completed" })
      seen.waiting = true
      local event = assert(stream:next(10))
      seen.id = event.instance_id
      local none, err = stream:next(0.01)
      seen.none, seen.code = none, err.code
      return event.details.output
    end)
    rt:orchestration("observer", function(ctx) return ctx:activity("observe") end)
    assert(rt:start("observer", nil, { id = "o" }))
    runtimes.until_true(rt, function() return seen.waiting end, "it waits")
    assert(rt:start("echo", "heard", { id = "e" }))
    assert.equal("heard", rt:wait("o", 10))
    assert.same({ waiting = true, id = "e", code = "timeout" }, seen)
  end)

  it("is refused inside an orchestration", function()
    local stream = assert(rt:stream_instance_events {})
    local output, err = runtimes.run(rt, function() return (stream:next(0)) end)
    assert.is_nil(output)
    assert.matches("cannot be called inside an orchestration", err.message)
  end)

  it("reads a long feed in pages", function()
    local stream = assert(rt:stream_instance_events {})
    local starts = {}
    for i = 1, 700 do starts[i] = { name = "steps", input = 2 } end
    assert(rt:start_many(starts))
    assert(rt:run_until_idle(30))
    local events, most = {}, 0
    for event in stream:iter(0) do
      events[#events + 1] = event
      most = math.max(most, #stream.source.page)
    end
    assert.equal(700 * 4, #events)
    assert_grows(events)
    assert.is_true(most <= 1000)
  end)

  it("ends when the stream is closed", function()
    local stream = assert(rt:stream_instance_events {})
    assert(rt:start("echo", 1, { id = "e" }))
    assert(rt:wait("e", 10))
    assert(stream:next(0))
    assert.is_true(stream:close())
    assert.is_true(stream:close())
    local event, err = stream:next(0)
    assert.is_nil(event)
    assert.equal("closed", err.code)
    for _ in stream:iter() do error("a closed stream gives nothing") end
  end)

  it("ends when an activity that waits is left by its stream", function()
    local stream = assert(rt:stream_instance_events { kinds = "failed" })
    local code
    rt:activity("observe", function()
      local _, err = stream:next(20)
      code = err.code
    end)
    rt:orchestration("observer", function(ctx) return ctx:activity("observe") end)
    assert(rt:start("observer", nil, { id = "o" }))
    assert(rt:run_until_idle(10))
    assert.is_nil(code)
    stream:close()
    rt:wait("o", 10)
    assert.equal("closed", code)
  end)

  it("ends when the runtime is closed", function()
    local stream = assert(rt:stream_instance_events {})
    rt:close()
    local event, err = stream:next(1)
    assert.is_nil(event)
    assert.equal("closed", err.code)
    for _ in stream:iter() do error("a closed runtime gives nothing") end
    event, err = rt:stream_instance_events {}
    assert.is_nil(event)
    assert.equal("closed", err.code)
  end)

  it("closes the stream of a scope", function()
    local load = rawget(_G, "loadstring") or load
    local scope = load("local rt = ... local s <close> = rt:stream_instance_events {} return s")
    if not scope then return end -- not in this language version
    local _, err = scope(rt):next(0)
    assert.equal("closed", err.code)
  end)
end)


describe("the change feed", function()
  after_each(runtimes.clean)

  local function run_some(rt, from, to)
    for i = from, to do
      assert(rt:start("echo", i, { id = "e" .. i }))
      assert.equal(i, rt:wait("e" .. i, 10))
    end
  end

  it("goes on after the file was closed and opened again", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    register(rt)
    local stream = assert(rt:stream_instance_events { kinds = "completed" })
    run_some(rt, 1, 3)
    local last = assert(stream:next(10))
    assert.equal("e1", last.instance_id)
    runtimes.close_all()
    rt = runtimes.open { path = path }
    register(rt)
    run_some(rt, 4, 5)
    local ids = {}
    for event in assert(rt:stream_instance_events { kinds = "completed", since = last.seq }):iter(0) do
      ids[#ids + 1] = event.instance_id
    end
    assert.same({ "e2", "e3", "e4", "e5" }, ids)
  end)

  for _, path in ipairs { ":memory:", "a file" } do
    it("forgets what is older than feed_retention (" .. path .. ")", function()
      local rt = runtimes.open { path = path == "a file" and runtimes.path() or nil, feed_retention = "1m" }
      register(rt)
      local slow = assert(rt:stream_instance_events {})
      local begin = slow:position()
      run_some(rt, 1, 2)
      assert(rt:advance("30s"))
      run_some(rt, 3, 3)
      local early = assert(rt:stream_instance_events { since = begin })
      local first = assert(early:next(0))
      assert.equal("e1", first.instance_id)
      assert(rt:advance("40s"))
      local none, err = rt:stream_instance_events { since = first.seq }
      assert.is_nil(none)
      assert.equal("expired", err.code)
      local kept = assert(rt:stream_instance_events { since = err.data.oldest })
      assert.equal("e3", kept:next(0).instance_id)
      none, err = slow:next(0)
      assert.is_nil(none)
      assert.equal("expired", err.code)
      assert(rt:advance("2m"))
      local now = assert(rt:stream_instance_events {}):position()
      assert(rt:stream_instance_events { since = now })
    end)
  end

  it("forgets what is beyond feed_max_bytes", function()
    local rt = runtimes.open { feed_max_bytes = 20000 }
    register(rt)
    local begin = assert(rt:stream_instance_events {}):position()
    for i = 1, 30 do
      assert(rt:start("echo", ("x"):rep(1000), { id = "e" .. i }))
      assert(rt:wait("e" .. i, 10))
    end
    local none, err = rt:stream_instance_events { since = begin }
    assert.is_nil(none)
    assert.equal("expired", err.code)
    assert.is_true(#drain(assert(rt:stream_instance_events { since = err.data.oldest })) > 5)
  end)

  it("is read by another process while it runs, and resumed by a third", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path, clock = "system" }
    register(rt)
    local begin = assert(rt:stream_instance_events {}):position()
    local script = [[
      local duro = require "duro"
      io.stdout:setvbuf("no")
      local rt = assert(duro.open { path = %q, role = "client" })
      local stream = assert(rt:stream_instance_events { since = %d, kinds = "completed" })
      print("reads")
      for _ = 1, 3 do
        local event = assert(stream:next(20))
        print(event.instance_id, event.details.output, stream:position())
      end
      local none, err = stream:next(0.01)
      print(none, err.code)
      rt:close()
    ]]
    local reader = child.start(script:format(path, begin))
    assert.equal("reads", reader:line())
    run_some(rt, 1, 3)
    local lines = reader:finish()
    for i = 1, 3 do assert.matches(("^e%d\t%d\t%%d+$"):format(i, i), lines[i]) end
    assert.equal("nil\ttimeout", lines[4])
    run_some(rt, 4, 6)
    lines = child.lines(script:format(path, tonumber(lines[3]:match("%d+$"))))
    for i = 4, 6 do assert.matches(("^e%d\t%d\t%%d+$"):format(i, i), lines[i - 2]) end
  end)

  for _, role in ipairs { "runtime", "client" } do
    it("is followed by one who waits for something rare (" .. role .. ")", function()
      local path = runtimes.path()
      local owner = runtimes.open { path = path, clock = "system" }
      register(owner)
      local rt = role == "runtime" and owner or runtimes.open { path = path, role = role, clock = "system" }
      local streams = { assert(rt:stream_instance_events { kinds = "suspended" }),
        assert(rt:stream_instance_events { filter = { name = "steps" } }) }
      for round = 1, 2 do
        local last = assert(owner:stream_instance_events {}):position()
        run_some(owner, 10 * round, 10 * round + 1)
        for _, stream in ipairs(streams) do
          for _ = 1, 2 do assert.equal("timeout", select(2, stream:next(0.03)).code) end
          assert.is_true(stream:position() > last)
        end
      end
    end)
  end

  it("is unsupported when streaming is switched off", function()
    local rt = runtimes.open { management = { enable_streaming = false } }
    for _, call in ipairs { "stream_instance_events", "watch_instances", "stream_runtime_metrics" } do
      local argument = ({ watch_instances = { "a" }, stream_runtime_metrics = 1 })[call]
      local none, err = rt[call](rt, argument)
      assert.is_nil(none)
      assert.equal("unsupported", err.code)
    end
  end)

  it("keeps payloads hidden by a codec", function()
    local scrambler = require "spec.support.scrambler"
    local codec = scrambler.new()
    local rt = runtimes.open { codec = { encode = codec.encode, decode = codec.decode } }
    register(rt)
    local stream = assert(rt:stream_instance_events { kinds = "completed" })
    assert(rt:start("echo", { secret = "s" }, { id = "e" }))
    assert.same({ secret = "s" }, rt:wait("e", 10))
    assert.same({ secret = "s" }, stream:next(0).details.output)
  end)
end)


describe("watching instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  local function statuses(stream)
    local list = {}
    for i, change in ipairs(drain(stream)) do list[i] = change.instance_id .. " " .. change.status end
    return list
  end

  it("tells the changes of status of these alone", function()
    local watch = assert(rt:watch_instances { "a", "b" })
    for _, id in ipairs { "a", "b", "c" } do assert(rt:start("waits", nil, { id = id })) end
    assert(rt:run_until_idle(10))
    assert(rt:suspend("a"))
    assert(rt:run_until_idle(10))
    assert(rt:resume("a"))
    assert(rt:raise_event("a", "go", 5))
    assert.equal(5, rt:wait("a", 10))
    assert(rt:cancel("b", "enough"))
    assert(rt:run_until_idle(10))
    assert.same({ "a running", "b running", "a suspended", "a running", "a completed", "b cancelled" },
      statuses(watch))
  end)

  it("tells of one that waits for its time, stalls, goes on and is deleted", function()
    local watch = assert(rt:watch_instances { "l" })
    assert(rt:start("later", nil, { id = "l", delay = 60 }))
    assert(rt:run_until_idle(10))
    assert.same({ "l pending" }, statuses(watch))
    assert(rt:advance(61))
    local change = assert(watch:next(10))
    assert.equal("stalled", change.status)
    assert.equal("not_registered", change.error.code)
    rt:orchestration("later", function() return "mended" end)
    assert.equal("mended", rt:wait("l", 10))
    assert.equal("running", watch:next(10).status)
    change = assert(watch:next(10))
    assert.equal("completed", change.status)
    assert.equal("mended", change.output)
    assert(rt:delete_instance("l"))
    change = assert(watch:next(10))
    assert.equal("not_found", change.status)
    assert.equal("later", change.orchestration_name)
  end)

  it("is resumed by since", function()
    local watch = assert(rt:watch_instances { "e" })
    assert(rt:start("echo", 1, { id = "e" }))
    assert(rt:wait("e", 10))
    local first = assert(watch:next(10))
    assert.equal("running", first.status)
    local rest = assert(rt:watch_instances({ "e" }, { since = first.seq }))
    assert.same({ "e completed" }, statuses(rest))
  end)

  it("needs ids", function()
    local none, err = rt:watch_instances {}
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
    assert.has_error(function() rt:watch_instances() end, "watch_instances needs ids")
  end)
end)


describe("a stream of numbers", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("gives them at once, and again after each interval", function()
    local stream = assert(rt:stream_runtime_metrics("20ms"))
    local first = assert(stream:next(0))
    local none, err = stream:next(0)
    assert.is_nil(none)
    assert.equal("timeout", err.code)
    assert(rt:start("steps", 3, { id = "s" }))
    local second = assert(stream:next(10))
    assert.is_true(second.uptime_seconds >= first.uptime_seconds)
    assert.equal(0, first.total_instances_started)
    runtimes.until_true(rt, function()
      return assert(stream:next(10)).total_instances_completed == 1
    end, "it counts the instance")
    assert.is_nil(stream:position())
    stream:close()
    none, err = stream:next(0)
    assert.is_nil(none)
    assert.equal("closed", err.code)
  end)

  it("yields an activity", function()
    local seen = {}
    rt:activity("observe", function(ctx)
      local stream = assert(ctx.runtime:stream_runtime_metrics("5ms"))
      for i = 1, 3 do seen[i] = assert(stream:next(10)).uptime_seconds end
    end)
    rt:orchestration("observer", function(ctx) return ctx:activity("observe") end)
    assert(rt:start("observer", nil, { id = "o" }))
    rt:wait("o", 10)
    assert.equal(3, #seen)
  end)

  it("gives a client those of the owner", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    register(owner)
    assert(owner:start("echo", 1, { id = "e" }))
    assert(owner:wait("e", 10))
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    local stream = assert(client:stream_runtime_metrics("5ms"))
    runtimes.until_true(owner, function()
      return assert(stream:next(10)).total_instances_completed == 1
    end, "it counts the instance")
  end)

  it("needs an interval", function()
    local none, err = rt:stream_runtime_metrics(0)
    assert.is_nil(none)
    assert.equal("invalid_argument", err.code)
    assert.has_error(function() rt:stream_runtime_metrics() end, "stream_runtime_metrics needs interval")
  end)
end)


describe("the stream of a view", function()
  after_each(runtimes.clean)

  it("tells only of what may be seen, as it may be seen", function()
    local rt = runtimes.open { access_control = {
      can_list_instances = function() return true end,
      can_view_instance = function(_, id) return id:sub(1, 4) == "open" end,
      redact = function(_, path, value) return path == "output" and "***" or value end,
    } }
    register(rt)
    local view = rt:with_context { user_id = "ann" }
    local streams = {
      assert(view:stream_instance_events { kinds = "completed" }),
      assert(view:stream_instance_events { kinds = "completed", filter = { name = "echo" } }),
    }
    local watch = assert(view:watch_instances { "open-1", "shut-1" })
    for _, id in ipairs { "shut-1", "open-1", "shut-2", "open-2" } do
      assert(rt:start("echo", "secret", { id = id }))
      assert(rt:wait(id, 10))
    end
    for _, stream in ipairs(streams) do
      local events = drain(stream)
      assert.equal(2, #events)
      for i, event in ipairs(events) do
        assert.equal("open-" .. i, event.instance_id)
        assert.equal("***", event.details.output)
      end
    end
    local changes = drain(watch)
    assert.equal(2, #changes)
    assert.equal("open-1", changes[1].instance_id)
    assert.equal("***", changes[2].output)
  end)

  it("is denied to who may not list, and numbers to who may not see them", function()
    local rt = runtimes.open { access_control = { can_view_instance = function() return true end } }
    register(rt)
    local view = rt:with_context { user_id = "ann" }
    local none, err = view:stream_instance_events {}
    assert.is_nil(none)
    assert.equal("denied", err.code)
    none, err = view:stream_runtime_metrics(1)
    assert.is_nil(none)
    assert.equal("denied", err.code)
    assert(view:watch_instances { "a" })
  end)
end)
