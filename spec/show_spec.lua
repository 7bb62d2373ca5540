local calls = require "duro.calls"
local core = require "duro.core"
local duro = require "duro"
local literal = require "duro.literal"
local rows = require "duro.rows"
local runtimes = require "spec.support.runtimes"
local show = require "duro.show"
local text = require "duro.text"


local function lines_of(shown)
  local lines = {}
  for line in (shown .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end


local function kind(name, answer) return rows.of(name)(answer) end


describe("text for a terminal", function()
  it("has escapes for what a terminal would obey", function()
    assert.equal("a\\n\\t\\027[31m\\000", text.safe("a\n\t\27[31m\0"))
    assert.equal("\\u{9b}31m \\u{202e}", text.safe("\194\15531m \226\128\174"))
    assert.equal("\\255\\192\\175", text.safe("\255\192\175"))
  end)

  it("leaves what is plain as it is", function()
    for _, plain in ipairs { "", "order-7", "grüße ☃ 🎈", "漢字" } do assert.equal(plain, text.safe(plain)) end
  end)

  it("is as wide as a terminal shows it", function()
    assert.equal(5, text.width("grüße"))
    assert.equal(4, text.width("漢字"))
    assert.equal(1, text.width("e\204\129"))
    assert.equal(2, text.width("🎈"))
  end)

  it("is never cut inside of a character", function()
    assert.equal("grü...", text.cut("grüße aus", 6))
    assert.equal("漢...", text.cut("漢字漢字", 6))
    assert.equal("漢字", text.cut("漢字", 4))
    assert.equal("ü", text.cut("üü", 1))
  end)
end)


describe("a payload", function()
  it("is written as Lua would", function()
    assert.equal('{ 1, "two", a = true, ["b c"] = { c = duro }, ["end"] = 2 }',
      (literal.line { 1, "two", a = true, ["b c"] = { c = core.null }, ["end"] = 2 }:gsub("null", "duro")))
    assert.equal('"say \\"hi\\"\\n"', literal.line('say "hi"\n'))
    assert.equal("{}", literal.line {})
    assert.equal("0.1", literal.line(0.1))
    assert.equal("0/0", literal.line(0 / 0))
  end)

  it("comes to an end when it contains itself", function()
    local cycle = {}
    cycle.me = cycle
    assert.equal("{ me = {...} }", literal.line(cycle))
  end)

  it("has one member a line when it is long", function()
    local shown = duro.show({ name = ("x"):rep(50), items = { 1, 2, 3 } }, { width = 40 })
    assert.equal(("{\n  items = { 1, 2, 3 },\n  name = \"%s\",\n}"):format(("x"):rep(50)), shown)
  end)

  it("is a result's field, not a result", function()
    assert.equal("42", duro.show(42))
    assert.equal("nil", duro.show(nil))
    assert.equal("as it is", duro.show("as it is"))
  end)
end)


describe("units", function()
  it("are those that a person would choose", function()
    assert.equal("0.25 ms", show.duration(0.25))
    assert.equal("850 ms", show.duration(850))
    assert.equal("1.5 s", show.duration(1500))
    assert.equal("3 min 20 s", show.duration(200000))
    assert.equal("2 h 5 min", show.duration(7500000))
    assert.equal("4 d 3 h", show.duration(99 * 3600000))
    assert.equal("3 min", show.duration(180000))
    assert.equal("-2 s", show.duration(-2000))
    assert.equal("512 B", show.bytes(512))
    assert.equal("1.5 KiB", show.bytes(1536))
    assert.equal("2 GiB", show.bytes(2 * 1024 ^ 3))
  end)
end)


describe("times", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function shown(seconds, times)
    return duro.show(kind("moment", { fires_at = seconds }), { times = times }):match("fires at +(.*)")
  end

  it("are told from now, by the clock of the runtime", function()
    local now = rt:now()
    assert.equal("now", shown(now))
    assert.equal("12 s ago", shown(now - 12))
    assert.equal("in 3 min", shown(now + 200))
    assert.equal("5 h ago", shown(now - 5 * 3600))
    assert.equal("in 3 d", shown(now + 3.5 * 86400))
    assert.equal(os.date("%Y-%m-%d", math.floor(now - 86400 * 400)), shown(now - 86400 * 400))
    rt:advance("1h")
    assert.equal("1 h ago", shown(now))
  end)

  it("are dates on request", function()
    assert.equal(os.date("%Y-%m-%d %H:%M:%S", 1700000000), shown(1700000000.5, "absolute"))
  end)

  it("are whatever they are when they are none", function()
    for _, odd in ipairs { 1 / 0, -1 / 0, -5, 1e18 } do assert.is_string(shown(odd)) end
    assert.equal("soon", shown("soon"))
  end)
end)


describe("a table", function()
  local list

  before_each(function()
    list = kind("some_rows", {
      { instance_id = "a-1", status = "running", total = 5, error = "an error with a long story\nof two lines" },
      { instance_id = "grüße", status = "completed", total = 1234, note = "漢字" },
    })
  end)

  it("is aligned: words to the left, numbers to the right, escapes for line ends", function()
    assert.same({
      "instance_id  status     error                                     note  total",
      "a-1          running    an error with a long story\\nof two lines            5",
      "grüße        completed                                            漢字   1234",
    }, lines_of(tostring(list)))
  end)

  it("is cut to the width asked for, long texts first", function()
    assert.same({
      "instance_id  status     error          note  total",
      "a-1          running    an error w...            5",
      "grüße        completed                 漢字   1234",
    }, lines_of(duro.show(list, { width = 50 })))
    assert.same({
      "instance_id  status     error",
      "a-1          running    an er...",
      "grüße        completed",
      "(no room for: note, total)",
    }, lines_of(duro.show(list, { width = 32 })))
    for width = 1, 60 do
      for _, line in ipairs(lines_of(duro.show(list, { width = width }))) do
        assert.is_true(text.width(line) <= width, ("%d: %s"):format(width, line))
      end
    end
  end)

  it("shows ids as a whole, as long as there is room for one", function()
    list[1].instance_id = ("x"):rep(36)
    assert.matches(("x"):rep(36), duro.show(list, { width = 40 }), 1, true)
  end)

  it("is never cut where there is no terminal", function()
    list[1].error = ("x"):rep(5000)
    assert.matches(("x"):rep(5000), tostring(list), 1, true)
    assert.equal(tostring(list), duro.show(list, { width = 0 }))
  end)

  it("leaves out columns without any value", function()
    list[1].error, list[2].note = nil, core.null
    assert.equal("instance_id  status     total", lines_of(tostring(list))[1])
  end)

  it("refuses an option that does not exist", function()
    assert.error_matches(function() duro.show(list, { widht = 3 }) end, "did you mean 'width'")
  end)
end)


describe("a row", function()
  it("is drawn by the names of its fields", function()
    assert.same({
      "status        running",
      "healthy       yes",
      "latency       p50 0.5 ms, p99 2 s",
      "nothing       none",
      "storage size  2 KiB",
      "success rate  97.5 %",
      "uptime        1 min 30 s",
      "words         a, b",
      "failed jobs:",
      "  name  attempt",
      "  a           1",
    }, lines_of(tostring(kind("one_row", {
      uptime_seconds = 90, storage_size_bytes = 2048, success_rate = 0.975, healthy = true, status = "running",
      latency_ms = { p50 = 0.5, p99 = 2000 }, words = { "a", "b" }, failed_jobs = { { name = "a", attempt = 1 } },
      nothing = {},
    }))))
  end)
end)


describe("the results of calls", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:activity("charge", function() return { receipt = 7 } end)
    rt:orchestration("order", function(ctx, input)
      ctx:activity("charge", input)
      ctx:set_custom_status("approval")
      return (ctx:wait_event("approval"))
    end)
    rt:orchestration("fails", function() error("the belt is broken", 0) end)
    rt:orchestration("parent", function(ctx) return ctx:sub_orchestration("order", 1, { id = "kid" }) end)
    assert(rt:start("order", { total = 5 }, { id = "a" }))
    assert(rt:start("fails", nil, { id = "f" }))
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("are sentences about one instance", function()
    assert.equal("instance 'a' is running (\"approval\")", tostring(rt:status("a")))
    assert.equal("instance 'f' has failed: the belt is broken", tostring(rt:status("f")))
    rt:raise_event("a", "approval", { by = "Ada" })
    rt:run_until_idle(10)
    assert.equal("instance 'a' has completed with { by = \"Ada\" }", tostring(rt:status("a")))
    assert.equal("order 'a' completed now", tostring(rt:list_instances { id_prefix = "a" }[1]))
  end)

  it("are tables of many", function()
    local lines = lines_of(tostring(rt:list_instances()))
    assert.equal(5, #lines)
    assert.matches("^instance_id  orchestration  status   created  updated  waiting_on +error$", lines[1])
    assert.equal("no instances", tostring(rt:list_instances { name = "nobody" }))
    assert.matches("^instance_id  status     error", lines_of(tostring(rt:bulk_status { "a", "f", "none" }))[1])
  end)

  it("tell what has happened, in order", function()
    local lines = lines_of(tostring(rt:history { instance = "a" }))
    assert.matches("^id  time  kind +name +of  value$", lines[1])
    assert.matches("^ 1  now   orchestration_started +order +{ total = 5 }$", lines[2])
    assert.matches("^ 3  now   activity_completed +2  { receipt = 7 }$", lines[4])
    assert.matches("page_token", tostring(rt:history { instance = "a", page_size = 1 }))
  end)

  it("say what an instance waits for", function()
    local details = tostring(rt:details("a"))
    assert.matches("^order 'a' is running %(created now, updated now%), waiting on event:approval\n", details)
    assert.matches("\n  waits for event 'approval' (subscribed now)", details, 1, true)
    assert.matches("^waiting: ", tostring(rt:why("a")))
    assert.matches("`- 'kid' (order) is running", tostring(rt:dependencies("p")), 1, true)
    assert.matches("in function '", tostring(rt:stack("a")), 1, true)
    assert.matches("total activities completed  1", tostring(rt:statistics("a")), 1, true)
  end)

  it("count what was done to many", function()
    assert.equal("cancelled instances: 1, failed instances: 1, total matched: 2\n  x: not_found: no instance 'x'",
      tostring(rt:cancel_instances { instances = { "a", "x" } }))
    local waited = rt:wait_for_instances { instances = { "f", "kid" }, timeout = "1ms" }
    assert.equal("instance 'f' has failed: the belt is broken\ninstance 'kid' has not ended\n(timed out)",
      tostring(waited))
  end)

  it("name what this process has", function()
    assert.equal("orchestrations: fails 1.0.0, order 1.0.0, parent 1.0.0\nactivities: charge",
      tostring(rt:registered()))
    assert.matches("name +order\nversion +1.0.0", tostring(rt:descriptor("a")))
    assert.equal("1", tostring(rt:list_executions("a")))
  end)
end)


describe("results of analytics", function()
  it("have the members of a group's key as columns", function()
    assert.same({
      "orchestration_name  status  average_duration  count",
      "order               failed             1.5 s      2",
    }, lines_of(tostring(kind("groups", { groups = {
      { key = { orchestration_name = "order", status = "failed" }, count = 2, average_duration = 1.5 } } }))))
    assert.equal("no groups", tostring(kind("groups", { groups = {} })))
  end)

  it("have a bar for each point in time", function()
    local lines = lines_of(tostring(kind("series", { points = {
      { timestamp = 1700000000, value = 4 }, { timestamp = 1700000060, value = 8 } } })))
    assert.matches("  4  " .. ("#"):rep(20) .. "$", lines[2])
    assert.matches("  8  " .. ("#"):rep(40) .. "$", lines[3])
  end)

  it("tell an event of a stream in a line", function()
    assert.matches("^17 order 'a' activity completed .*: { name = \"charge\" }$", tostring(kind("stream_event", {
      seq = 17, orchestration_name = "order", instance_id = "a", event_type = "activity_completed",
      timestamp = 1700000000, details = { name = "charge" } })))
  end)
end)


describe("every call", function()
  -- They give true, a text, a payload as it was stored, or an export that any JSON library takes.
  local PLAIN = { start = true, raise_event = true, cancel = true, terminate = true, suspend = true, resume = true,
    complete_activity = true, fail_activity = true, kv = true, query = true, export = true, prometheus = true }

  it("gives a result that prints", function()
    for _, row in ipairs(calls.rows) do
      assert.is_true(row.result ~= nil or row.run ~= nil or PLAIN[row[1]] or false,
        row[1] .. ' needs result = rows.of "some kind"')
    end
  end)
end)
