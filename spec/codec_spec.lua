-- The option `codec`: payloads are stored as it makes them, and nobody who uses it can tell; without it, or
-- with another one, each payload is an error of its own and everything else still works.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"
local scrambler = require "spec.support.scrambler"

local SECRET = "TOP-SECRET"


local function open(path, codec, options)
  local all = { path = path, codec = codec }
  for key, value in pairs(options or {}) do all[key] = value end
  return runtimes.open(all)
end


-- All that is on disk for `path`, while a runtime may have it open.
local function bytes_on_disk(path)
  local all = {}
  for _, suffix in ipairs { "", "-wal", "-journal" } do
    local file = io.open(path .. suffix, "rb")
    if file then
      all[#all + 1] = file:read("*a")
      file:close()
    end
  end
  return table.concat(all)
end


local function assert_no_secret(path)
  local bytes = bytes_on_disk(path)
  assert.is_true(#bytes > 0)
  local at = bytes:find(SECRET, 1, true)
  assert.is_nil(at, at and "on disk: " .. bytes:sub(math.max(at - 60, 1), at + 40):gsub("[^%g ]", "."))
end


-- One orchestration that has a secret wherever a payload can be.
local function register(rt)
  rt:activity("echo", function(_, value) return value end)
  rt:activity("flaky", function(ctx)
    ctx:heartbeat(SECRET .. " of the heartbeat")
    if ctx.attempt < 2 then error { code = "weather", message = "rain", data = { SECRET } } end
    return ctx.heartbeat_details or ctx.attempt
  end)
  rt:activity("fails", function()
    error { code = "broken", message = "it is broken", data = { SECRET, 5 }, retryable = false }
  end)
  rt:orchestration("child", function(_, value)
    if value.fail then error { code = "naughty", message = "no", data = value } end
    return { child = value }
  end)
  rt:orchestration("next", function(ctx, value)
    return { value, ctx.kv.drawer, ctx.custom_status, ctx:wait_event("early") }
  end)
  rt:orchestration("everything", function(ctx, input)
    local seen = { input = input }
    ctx:on_query("seen", function(arg) return { seen.event or "none", arg, SECRET } end)
    seen.echo = ctx:activity("echo", { secret = SECRET, n = 1 })
    seen.flaky = ctx:activity("flaky", nil, { retry = { max_attempts = 3, initial = 0.01 } })
    local _, err = pcall(ctx.activity, ctx, "fails", nil, { retry = { max_attempts = 3 } })
    seen.fails = { err.code, err.message, err.data, err.attempts }
    seen.child = ctx:sub_orchestration("child", { SECRET })
    local _, naughty = pcall(ctx.sub_orchestration, ctx, "child", { fail = true, note = SECRET })
    seen.naughty = { naughty.code, naughty.data }
    ctx.kv.drawer = { SECRET }
    seen.kv = ctx.kv.drawer
    ctx:set_custom_status { note = SECRET }
    seen.status = ctx.custom_status
    seen.effect = ctx:side_effect(function() return SECRET end)
    local _, raised = pcall(ctx.side_effect, ctx, function() error { code = "oh", message = "no", data = SECRET } end)
    seen.raised = { raised.code, raised.data }
    ctx:raise_event("other", "note", SECRET)
    ctx:start_orchestration("child", { SECRET }, { id = "detached" })
    seen.event = ctx:wait_event("go")
    return seen
  end)
  rt:orchestration("listens", function(ctx) return ctx:wait_event("note") end)
  rt:orchestration("renews", function(ctx)
    ctx.kv.drawer = SECRET
    ctx:set_custom_status(SECRET)
    ctx:wait_event("go")
    ctx:continue_as_new({ SECRET })
  end)
end


local EVERYTHING = {
  input = { SECRET, duro.array {}, 1.5 }, echo = { secret = SECRET, n = 1 }, flaky = SECRET .. " of the heartbeat",
  fails = { "broken", "it is broken", { SECRET, 5 }, 1 }, child = { child = { SECRET } },
  naughty = { "naughty", { fail = true, note = SECRET } }, kv = { SECRET }, status = { note = SECRET },
  effect = SECRET, raised = { "oh", SECRET }, event = { SECRET },
}


local function begin_everything(rt)
  register(rt)
  assert(rt:start("listens", nil, { id = "other" }))
  assert(rt:start("everything", { SECRET, duro.array {}, 1.5 }, { id = "main" }))
  assert(rt:advance(1))
end


describe("a codec", function()
  after_each(runtimes.clean)

  it("keeps every payload from the disk, and gives each back", function()
    local path = runtimes.path()
    local rt = open(path, scrambler.pair())
    begin_everything(rt)
    assert.same({ note = SECRET }, rt:status("main").custom_status)
    assert.same({ SECRET }, rt:kv("main", "drawer"))
    assert.same({ "none", SECRET, SECRET }, rt:query("main", "seen", SECRET))
    assert.matches(SECRET, tostring(rt:stack("main")), 1, true)
    assert_no_secret(path)
    assert(rt:raise_event("main", "go", { SECRET }))
    assert.same(EVERYTHING, assert(rt:wait("main", 10)))
    assert.equal(SECRET, rt:wait("other", 10))
    assert.same({ child = { SECRET } }, rt:wait("detached", 10))
    assert_no_secret(path)
    rt:close()
    assert_no_secret(path)
  end)

  it("covers starts with an event, several starts, and tokens", function()
    local path = runtimes.path()
    local rt = open(path, scrambler.pair())
    local token
    rt:activity("asks", function(ctx) token = ctx:defer() end)
    rt:orchestration("gets", function(ctx, input) return { input, ctx:wait_event("e") } end)
    rt:orchestration("waits", function(ctx) return ctx:activity("asks") end)
    assert(rt:start("gets", SECRET, { id = "a", event = { name = "e", data = SECRET .. "1" } }))
    assert(rt:start_many { { name = "gets", input = { SECRET }, id = "b", event = { name = "e", data = { SECRET } } },
      { name = "gets", id = "c", event = { name = "e" } } })
    assert.same({ SECRET, SECRET .. "1" }, rt:wait("a", 10))
    assert.same({ { SECRET }, { SECRET } }, rt:wait("b", 10))
    assert.same({}, rt:wait("c", 10))
    assert(rt:start("waits", nil, { id = "w" }))
    runtimes.until_true(rt, function() return token end)
    assert(rt:complete_activity(token, { SECRET }))
    assert.same({ SECRET }, rt:wait("w", 10))
    token = nil
    assert(rt:start("waits", nil, { id = "v" }))
    runtimes.until_true(rt, function() return token end)
    assert(rt:fail_activity(token, { code = "no", message = "nothing", data = { SECRET } }))
    local _, err = rt:wait("v", 10)
    assert.same({ "no", "nothing", { SECRET } }, { err.code, err.message, err.data })
    assert_no_secret(path)
  end)

  it("covers worker threads, which get and give plain values", function()
    local path = runtimes.path()
    local rt = open(path, scrambler.pair(), { clock = "system" })
    for _, name in ipairs { "echo", "fail", "beat_and_fail" } do
      rt:activity(name, { thread = true, module = "spec.support.thread_activities", replace = true })
    end
    local output, err = runtimes.run(rt, function(ctx, input)
      local _, thrown = pcall(ctx.activity, ctx, "fail", { code = "odd", message = "x", data = { SECRET } })
      pcall(ctx.activity, ctx, "beat_and_fail", { SECRET }, { retry = { max_attempts = 2, initial = 0 } })
      return { ctx:activity("echo", input), thrown.code, thrown.data }
    end, { SECRET })
    assert.same({ { SECRET }, "odd", { SECRET } }, output, err)
    assert_no_secret(path)
  end)

  it("carries kv, custom status and unread events over to the next execution", function()
    local path = runtimes.path()
    local rt = open(path, scrambler.pair())
    register(rt)
    rt:orchestration("renews", { replace = true, version = "1.0.1" }, function(ctx, input)
      if input then return { input, ctx.kv.drawer, ctx.custom_status, ctx:wait_event("early") } end
      ctx.kv.drawer = SECRET
      ctx:set_custom_status(SECRET)
      ctx:wait_event("go")
      ctx:continue_as_new { SECRET }
    end)
    assert(rt:start("renews", nil, { id = "r" }))
    assert(rt:raise_event("r", "early", { SECRET }))
    assert(rt:raise_event("r", "go"))
    assert.same({ { SECRET }, SECRET, SECRET, { SECRET } }, rt:wait("r", 10))
    assert_no_secret(path)
  end)

  it("that never gives the same text twice replays alike", function()
    local rt = open(":memory:", scrambler.pair(), { debug = { replay_every_turn = true } })
    begin_everything(rt)
    assert(rt:raise_event("main", "go", { SECRET }))
    assert.same(EVERYTHING, assert(rt:wait("main", 10)))
  end)

  it("that is there again after a restart goes on", function()
    local path = runtimes.path()
    begin_everything(open(path, scrambler.pair()))
    runtimes.close_all()
    local rt = open(path, scrambler.pair())
    register(rt)
    assert(rt:raise_event("main", "go", { SECRET }))
    assert.same(EVERYTHING, assert(rt:wait("main", 10)))
  end)

  it("notices another input on replay, and shows it to nobody", function()
    local path, lines = runtimes.path(), {}
    local rt = open(path, scrambler.pair())
    rt:activity("echo", function(_, value) return value end)
    rt:orchestration("sends", function(ctx)
      ctx:activity("echo", SECRET)
      return ctx:wait_event("go")
    end)
    assert(rt:start("sends", nil, { id = "s" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = open(path, scrambler.pair(), { log = function(_, message) lines[#lines + 1] = message end })
    rt:orchestration("sends", function(ctx)
      ctx:activity("echo", SECRET .. "?")
      return ctx:wait_event("go")
    end)
    assert(rt:raise_event("s", "go", 1))
    assert.equal(1, rt:wait("s", 10))
    local text = table.concat(lines, "\n")
    assert.matches("activity_scheduled 'echo' has another input now", text, 1, true)
    assert.is_nil(text:find(SECRET, 1, true))
  end)

  it("leaves names, attributes, codes and messages readable and searchable", function()
    local rt = open(":memory:", scrambler.pair())
    rt:orchestration("fails", function(ctx)
      ctx:set_attributes { customer = "Ada" }
      error { code = "broken", message = "no glue", data = { SECRET } }
    end)
    assert(rt:start("fails", nil, { id = "f", attributes = { order = 5 } }))
    local _, err = rt:wait("f", 10)
    assert.same({ SECRET }, err.data)
    local found = assert(rt:list_instances { attributes = { customer = "Ada", order = 5 }, error_contains = "glue" })
    assert.equal("f", found[1].instance_id)
    assert.equal("broken", found[1].error.code)
  end)

  it("decides nothing about retries: codes and retryable stand outside", function()
    local rt = open(":memory:", scrambler.pair())
    local attempts = 0
    rt:activity("fails", function()
      attempts = attempts + 1
      error { code = attempts < 2 and "again" or "enough", message = "x", data = SECRET }
    end)
    local _, err = runtimes.run(rt, function(ctx)
      ctx:activity("fails", nil, { retry = { max_attempts = 9, initial = 0, non_retryable = { "enough" } } })
    end)
    assert.same({ 2, "enough", SECRET }, { attempts, err.code, err.data })
  end)

  it("is used by a client too, and by nobody between", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local scrambler = require "spec.support.scrambler"
      local rt = assert(duro.open { path = %q, codec = scrambler.pair() })
      rt:orchestration("greets", function(ctx, name)
        ctx:on_query("name", function(arg) return { name, arg } end)
        return "hello " .. name .. ctx:wait_event("end")
      end)
      print("ready")
      io.stdout:flush()
      rt:run()
    ]]):format(path))
    assert.equal("ready", owner:line())
    local client = open(path, scrambler.pair(), { role = "client", clock = "system" })
    local id = assert(client:start("greets", SECRET))
    assert.same({ SECRET, { SECRET } }, client:query(id, "name", { SECRET }))
    assert.matches(SECRET, tostring(client:stack(id)), 1, true)
    assert.is_true(client:raise_event(id, "end", SECRET))
    assert.equal("hello " .. SECRET .. SECRET, client:wait(id, 10))
    assert_no_secret(path)
    client:close()
    owner:kill()
    assert_no_secret(path)
  end)

  it("is not held by the guard, not even by a strict one", function()
    local plain = scrambler.new()
    local rt = open(":memory:", {
      encode = function(bytes)
        assert(os.time() > 0 and math.random() >= 0)
        return plain.encode(bytes)
      end,
      decode = function(bytes)
        assert(os.getenv("HOME") or true)
        return plain.decode(bytes)
      end,
    })
    rt:activity("echo", function(_, value) return value end)
    assert.equal("x", runtimes.run(rt, function(ctx, input) return ctx:activity("echo", input) end, "x",
      { guard = "strict" }))
  end)

  it("cannot enter the runtime", function()
    local rt, problem
    local plain = scrambler.new()
    rt = open(":memory:", {
      encode = function(bytes)
        local _, message = pcall(rt.start, rt, "x")
        problem = problem or tostring(message)
        return plain.encode(bytes)
      end,
      decode = plain.decode,
    })
    assert.equal(5, runtimes.run(rt, function(_, input) return input end, 5))
    assert.matches("while the runtime is at work %(in a log, codec or access_control function%)", problem)
  end)
end)


describe("a file written with a codec", function()
  after_each(runtimes.clean)

  local path

  before_each(function()
    path = runtimes.path()
    local rt = open(path, scrambler.pair())
    rt:activity("echo", function(_, value) return value end)
    rt:orchestration("echoes", function(ctx, input) return ctx:activity("echo", input) end)
    rt:orchestration("waits", function(ctx, input)
      ctx.kv.drawer = input
      ctx:set_custom_status(input)
      ctx:on_query("q", function() return 1 end)
      return { input, ctx:wait_event("go") }
    end)
    rt:orchestration("silent", function(ctx) return { ctx:wait_event("go"), ctx:activity("echo", "x") } end)
    assert(rt:start("echoes", SECRET, { id = "done" }))
    assert(rt:start("waits", SECRET, { id = "waiting" }))
    assert(rt:start("silent", nil, { id = "silent" }))
    assert(rt:start("waits", SECRET, { id = "later", delay = 100 }))
    assert(rt:run_until_idle(10))
    rt:close()
  end)

  local function register_again(rt)
    rt:activity("echo", function(_, value) return value end)
    rt:orchestration("waits", function(ctx, input)
      ctx.kv.drawer = input
      ctx:set_custom_status(input)
      ctx:on_query("q", function() return 1 end)
      return { input, ctx:wait_event("go") }
    end)
    rt:orchestration("silent", function(ctx) return { ctx:wait_event("go"), ctx:activity("echo", "x") } end)
  end

  it("is listed without it, each payload an error of its own", function()
    local rt = open(path)
    local rows = assert(rt:list_instances())
    assert.equal(4, #rows)
    local status = rt:status("done")
    assert.equal("completed", status.status)
    assert.equal("unsupported", status.output.code)
    assert.matches("stored with a codec, and none was given to duro.open", tostring(status.output), 1, true)
    assert.equal("unsupported", rt:status("waiting").custom_status.code)
    assert.equal("unsupported", rt:kv("waiting", "drawer").code)
    local events = assert(rt:history { instance = "done" }).events
    assert.equal("orchestration_started", events[1].kind)
    assert.equal("unsupported", events[1].input.code)
    assert.equal("activity_scheduled", events[2].kind)
    assert.equal("echo", events[2].name)
  end)

  it("gives corrupt with the codec of somebody else", function()
    local rt = open(path, scrambler.pair("z"))
    local output = rt:status("done").output
    assert.equal("corrupt", output.code)
    assert.matches("the codec's decode failed: another key", output.message, 1, true)
  end)

  it("stalls what would have to read it, adds nothing, and goes on when the codec is there again", function()
    local before = #open(path):history { instance = "waiting" }.events
    runtimes.close_all()
    local rt = open(path)
    register_again(rt)
    assert(rt:raise_event("waiting", "go", "plain"))
    assert(rt:raise_event("silent", "go", "plain"))
    assert(rt:advance(200))
    local status = rt:status("waiting")
    assert.equal("stalled", status.status)
    assert.equal("unsupported", status.error.code)
    assert.matches("codec", status.error.message)
    assert.equal("stalled", rt:status("later").status)
    assert.equal(before, #rt:history { instance = "waiting" }.events)
    assert.equal("plain", rt:wait("silent", 10)[1]) -- it has nothing to read
    rt:close()
    rt = open(path, scrambler.pair())
    register_again(rt)
    assert.same({ SECRET, "plain" }, rt:wait("waiting", 10))
    assert(rt:raise_event("later", "go", { SECRET }))
    assert.same({ SECRET, { SECRET } }, rt:wait("later", 10))
  end)

  it("can be gone on with by another codec that reads the old texts", function()
    local old, new = scrambler.new(), scrambler.new("n")
    local rt = open(path, {
      encode = new.encode,
      decode = function(bytes) return (bytes:sub(1, 1) == "n" and new or old).decode(bytes) end,
    })
    register_again(rt)
    assert(rt:raise_event("waiting", "go", "x"))
    assert.same({ SECRET, "x" }, rt:wait("waiting", 10))
  end)
end)


describe("a file written without a codec", function()
  after_each(runtimes.clean)

  it("can be gone on with by one that has it", function()
    local path = runtimes.path()
    local function waits(ctx, input)
      ctx:activity("echo", input)
      return { input, ctx:wait_event("go") }
    end
    local rt = open(path)
    rt:activity("echo", function(_, value) return value end)
    rt:orchestration("waits", waits)
    assert(rt:start("waits", { 1, 2 }, { id = "w" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = open(path, scrambler.pair())
    rt:activity("echo", function(_, value) return value end)
    rt:orchestration("waits", waits)
    assert(rt:raise_event("w", "go", SECRET))
    assert.same({ { 1, 2 }, SECRET }, rt:wait("w", 10))
  end)
end)


describe("a codec that fails", function()
  after_each(runtimes.clean)

  local function failing()
    local plain = scrambler.new()
    local codec = { broken = false }
    function codec.encode(bytes)
      if codec.broken then error("the key is gone", 0) end
      return plain.encode(bytes)
    end
    return codec, { encode = codec.encode, decode = plain.decode }
  end

  it("refuses a call with storage, and nothing has happened", function()
    local codec, pair = failing()
    local rt = open(":memory:", pair)
    codec.broken = true
    local id, err = rt:start("x", 1, { id = "x" })
    assert.is_nil(id)
    assert.equal("storage", err.code)
    assert.matches("the codec's encode failed: the key is gone", err.message, 1, true)
    assert.equal("not_found", rt:status("x").status)
    assert.is_string(rt:start("x", nil, { id = "x" })) -- nil is no payload
  end)

  it("does not fail an orchestration: it stalls, and goes on when that is mended", function()
    local codec, pair = failing()
    local path = runtimes.path()
    local rt = open(path, pair)
    local function register_sends(runtime)
      runtime:activity("echo", function(_, value) return value end)
      runtime:orchestration("sends", function(ctx)
        ctx:wait_event("go")
        local ok, output = pcall(ctx.activity, ctx, "echo", SECRET)
        return { ok, output }
      end)
    end
    register_sends(rt)
    assert(rt:start("sends", nil, { id = "s" }))
    assert(rt:run_until_idle(10))
    codec.broken = true
    assert(rt:raise_event("s", "go"))
    assert(rt:run_until_idle(10))
    local status = rt:status("s")
    assert.equal("stalled", status.status)
    assert.equal("storage", status.error.code)
    assert.matches("the key is gone", status.error.message, 1, true)
    codec.broken = false
    rt:close()
    rt = open(path, pair)
    register_sends(rt)
    assert.same({ true, SECRET }, rt:wait("s", 10))
  end)

  it("fails the attempt whose output it does not take, and its error's data stays out", function()
    local codec, pair = failing()
    local path = runtimes.path()
    local rt = open(path, pair)
    rt:activity("gives", function()
      codec.broken = true
      return SECRET
    end)
    rt:activity("fails", function()
      codec.broken = true
      error { code = "odd", message = "it is odd", data = { SECRET } }
    end)
    local output = assert(runtimes.run(rt, function(ctx)
      local _, first = pcall(ctx.activity, ctx, "gives")
      ctx:side_effect(function() codec.broken = false end)
      local _, second = pcall(ctx.activity, ctx, "fails")
      ctx:side_effect(function() codec.broken = false end)
      return { first.code, second.code, second.message, second.data }
    end))
    assert.same({ "storage", "odd", "it is odd", "left out: it could not be put into its stored form" }, output)
    assert_no_secret(path)
  end)

  it("is named when it gives no string, raises a table, or yields", function()
    for expected, encode in pairs {
      ["the codec's encode gave a number instead of a string"] = function() return 5 end,
      ["the codec's encode gave a nil instead of a string"] = function() end,
      ["the codec's encode failed: in a table"] = function() error { message = "in a table" } end,
      ["the codec's encode failed: it raised a value that is no text"] = function() error({}) end,
      ["attempt to yield"] = function() coroutine.yield() end,
    } do
      local rt = open(":memory:", { encode = encode, decode = encode })
      local _, err = rt:start("x", 1)
      assert.equal("storage", err.code)
      assert.matches(expected, err.message, 1, true)
      rt:close()
    end
  end)

  it("must have both functions", function()
    assert.error_matches(function() duro.open { path = ":memory:", codec = { encode = print } } end,
      "option 'decode' is required")
    assert.error_matches(function() duro.open { path = ":memory:", codec = { encode = print, decode = 5 } } end,
      "option 'decode' must be a function, got number")
    assert.error_matches(function() duro.open { path = ":memory:", codec = { encoder = print } } end,
      "unknown option 'encoder' %(did you mean 'encode'%?%)")
  end)
end)


describe("limits with a codec", function()
  after_each(runtimes.clean)

  it("count the plain text of what an orchestration records, live and replayed alike", function()
    for _, options in ipairs { {}, { debug = { replay_every_turn = true } } } do
      local rt = open(":memory:", { encode = function(bytes) return bytes .. (" "):rep(#bytes) end,
        decode = function(bytes) return bytes:sub(1, #bytes / 2) end }, options)
      rt:activity("echo", function(_, value) return value end)
      local output = assert(runtimes.run(rt, function(ctx)
        local fits, err = pcall(ctx.set_custom_status, ctx, ("x"):rep(200 * 1024))
        ctx:activity("echo")
        local too_large, why = pcall(ctx.set_custom_status, ctx, ("x"):rep(300 * 1024))
        ctx:activity("echo")
        return { fits, tostring(err), too_large, why.code }
      end))
      assert.same({ true, "nil", false, "too_large" }, output)
      rt:close()
    end
  end)
end)
