-- Activities in worker threads. That nothing waits for a thread that blocks is shown by the order of
-- events: it blocks until another orchestration has done something.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local MODULE = "spec.support.thread_activities"


local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end


local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end


describe("an activity in a worker thread", function()
  local rt, paths

  before_each(function()
    rt, paths = runtimes.open(), {}
  end)

  after_each(function()
    runtimes.clean()
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  local function new_path()
    local path = os.tmpname()
    os.remove(path)
    paths[#paths + 1] = path
    return path
  end

  local function register(function_name, on)
    (on or rt):activity(function_name, { thread = true, module = MODULE })
  end

  -- The output of one activity of the module, or what its failure raises.
  local function call(function_name, input, options, on)
    local runtime = on or rt
    register(function_name, runtime)
    runtime:orchestration("calls " .. function_name, function(ctx)
      local ok, value = pcall(ctx.activity, ctx, function_name, input, options)
      return { ok = ok, value = ok and value or nil, code = not ok and value.code or nil,
        message = not ok and value.message or nil, data = not ok and value.data or nil,
        attempts = not ok and value.attempts or nil }
    end)
    return assert(runtimes.finish(runtime, "calls " .. function_name, nil, "1d", { id = "calls" }))
  end

  it("gets its input and gives its output, as they are", function()
    local given = { list = { 1, 2.5, "three" }, nested = { deep = { true, false } }, text = "a\0b\255",
      big = 2 ^ 53, inf = math.huge, empty = duro.array {}, none = duro.null }
    local output = call("echo", given).value
    assert.same(given, output)
    assert.equal(duro.null, output.none)
  end)

  it("may have neither input nor output", function()
    assert.same({ ok = true }, call("echo"))
  end)

  it("knows its instance, its name and its attempt", function()
    local facts = call("facts").value
    assert.equal("string", type(table.remove(facts, 4)))
    assert.same({ "calls", "facts", 1, true }, facts)
  end)

  it("has a Lua state of its own", function()
    main_state_was_here = true -- luacheck: ignore
    assert.is_false(call("sees_main_state").value or false)
    main_state_was_here = nil -- luacheck: ignore
    assert.is_nil(rawget(_G, "thread_activities_were_here"))
  end)

  it("does not delay other orchestrations while it blocks", function()
    local own, other = new_path(), new_path()
    register("meet")
    rt:activity("make_file", function()
      runtimes.until_true(rt, function() return exists(own) end, "the thread blocks")
      io.open(other, "w"):close()
    end)
    rt:activity("make_file", { replace = true }, function(ctx)
      for _ = 1, 100000 do
        if exists(own) then break end
        ctx:sleep(0)
      end
      assert(exists(own), "the thread blocks already")
      io.open(other, "w"):close()
    end)
    rt:orchestration("blocked", function(ctx) return ctx:activity("meet", { own = own, other = other }) end)
    rt:orchestration("frees", function(ctx)
      ctx:sleep(1)
      ctx:activity("make_file")
      ctx:sleep(1)
      return "freed"
    end)
    local blocked = assert(rt:start("blocked"))
    local frees = assert(rt:start("frees"))
    runtimes.until_true(rt, function() return exists(own) end, "the thread blocks")
    assert.equal("running", rt:status(blocked).status)
    assert(rt.core:set_time(rt.core:now_ms() + 1000))
    assert.equal("meet", rt:wait(blocked, 10))
    assert.equal("running", rt:status(frees).status)
    assert(rt:advance(10))
    assert.equal("freed", rt:wait(frees, 10))
  end)

  it("runs beside others, as many as worker_threads says", function()
    local two = runtimes.open { worker_threads = 2 }
    local a, b = new_path(), new_path()
    register("meet", two)
    two:orchestration("both", function(ctx)
      return ctx:join {
        ctx:schedule_activity("meet", { own = a, other = b }),
        ctx:schedule_activity("meet", { own = b, other = a }),
      }
    end)
    assert.same({ "meet", "meet" }, two:wait(assert(two:start("both")), 10))
  end)

  it("runs one after the other with one thread, in the order of scheduling", function()
    local one = runtimes.open { worker_threads = 1 }
    local path = new_path()
    register("write_lines", one)
    one:orchestration("three", function(ctx)
      local tasks = {}
      for i = 1, 3 do tasks[i] = ctx:schedule_activity("write_lines", { path = path, name = "number " .. i }) end
      ctx:join(tasks)
    end)
    assert(one:start("three"))
    assert(one:run_until_idle(10))
    assert.same({ "begin number 1", "end number 1", "begin number 2", "end number 2", "begin number 3",
      "end number 3" }, lines_of(path))
  end)

  it("uses a thread again, with what its state has loaded", function()
    local one = runtimes.open { worker_threads = 1 }
    assert.equal(call("state", nil, nil, one).value, call("state", nil, nil, runtimes.open { worker_threads = 1 }).value
      and one:wait(assert(one:start("calls state")), 10).value)
  end)

  it("counts among the activities in flight", function()
    local bounded = runtimes.open { activity_concurrency = 1 }
    local own, other = new_path(), new_path()
    local order = {}
    register("meet", bounded)
    bounded:activity("quick", function() order[#order + 1] = "quick" end)
    bounded:orchestration("both", function(ctx)
      local slow = ctx:schedule_activity("meet", { own = own, other = other })
      local quick = ctx:schedule_activity("quick")
      slow:await()
      order[#order + 1] = "slow"
      quick:await()
    end)
    local id = assert(bounded:start("both"))
    runtimes.until_true(bounded, function() return exists(own) end, "the thread blocks")
    for _ = 1, 10 do bounded:step(0) end
    assert.same({}, order)
    io.open(other, "w"):close()
    assert(select(2, bounded:wait(id, 10)) == nil)
    assert.same({ "slow", "quick" }, { order[#order - 1] == "slow" and "slow" or order[1], "quick" })
  end)

  it("sleeps by the runtime's clock", function()
    local before = rt:now()
    assert.is_true(call("nap", "3h").value)
    assert.is_true(rt:now() - before >= 3 * 3600)
  end)

  it("logs through the runtime's log function", function()
    local logged
    local logs = runtimes.open { log = function(level, message, fields)
      if fields.activity then logged = { level, message, fields } end
    end }
    call("log", "hello from afar", nil, logs)
    assert.same({ "info", "hello from afar", { instance_id = "calls", activity = "log", key = "value" } }, logged)
  end)

  describe("that fails", function()
    it("keeps code, message and data", function()
      local err = call("fail", { code = "declined", message = "no money", data = { limit = 5 } })
      assert.same({ ok = false, code = "declined", message = "no money", data = { limit = 5 }, attempts = 1 }, err)
    end)

    it("may throw anything", function()
      assert.same({ "failed", "just text" }, { call("fail", "just text").code, rt:status("calls").output.message })
      for _, name in ipairs { "fail_with_nil", "fail_with_function", "fail_in_tostring", "overflow" } do
        assert(rt:delete_instance("calls"))
        local err = call(name)
        assert.same({ false, "failed", "string" }, { err.ok, err.code, type(err.message) })
      end
    end)

    it("is retried like any other", function()
      local output = call("fail_twice", nil, { retry = {} })
      assert.equal("string", type(output.value))
      assert.same({ "orchestration_started calls fail_twice", "activity_scheduled fail_twice",
        "activity_retry_scheduled", "activity_retry_scheduled", "activity_completed",
        "orchestration_completed" }, runtimes.kinds(rt, "calls"))
    end)

    it("gives its last error when the attempts are over", function()
      local err = call("fail_twice", nil, { retry = { max_attempts = 2 } })
      assert.same({ ok = false, code = "busy", message = "attempt 2", attempts = 2 }, err)
    end)

    it("has run out of memory, and the next one runs all the same", function()
      local lines = child.lines(([[
        local duro = require "duro"
        local rt = assert(duro.open { path = ":memory:", worker_threads = 1 })
        rt:activity("hoard", { thread = true, module = %q })
        rt:activity("echo", { thread = true, module = %q })
        rt:orchestration("hoards", function(ctx)
          local ok, err = pcall(ctx.activity, ctx, "hoard")
          return { tostring(ok), err.code, (err.message:find("memory") or 0) > 0, ctx:activity("echo", "after it") }
        end)
        local out = assert(rt:wait(assert(rt:start("hoards")), 30))
        print(out[1], out[2], out[3], out[4])
        rt:close()
      ]]):format(MODULE, MODULE), "ulimit -v 400000;")
      assert.same({ "false\tfailed\ttrue\tafter it" }, lines)
    end)

    it("is not tried again when its result cannot be stored", function()
      local err = call("returns_function", nil, { retry = { max_attempts = 5 } })
      assert.same({ "invalid_payload", 1 }, { err.code, err.attempts })
      assert.matches("output.callback", err.message, 1, true)
    end)
  end)

  describe("that does not exist", function()
    local function refusal(options)
      options.thread = true
      rt:activity("absent", options)
      rt:orchestration("calls absent", function(ctx)
        local _, err = pcall(ctx.activity, ctx, "absent", nil, { retry = { max_attempts = 5 } })
        return { err.code, err.message, err.attempts }
      end)
      return assert(runtimes.finish(rt, "calls absent"))
    end

    it("is not registered when there is no such module", function()
      assert.same({ "not_registered", "there is no module 'no.such.module' for a worker thread", 1 },
        refusal { module = "no.such.module" })
    end)

    it("is not registered when the module has no such function", function()
      assert.same({ "not_registered", "module '" .. MODULE .. "' has no function 'absent'", 1 },
        refusal { module = MODULE })
    end)

    it("is not registered when the module gives no table", function()
      assert.same({ "not_registered",
        "module 'spec.support.no_table' gives no table of functions, but a string", 1 },
        refusal { module = "spec.support.no_table" })
    end)

    it("fails, and is tried again, when the module cannot be loaded", function()
      assert.same({ "unlicensed", "module 'spec.support.broken_module' cannot be loaded: there is no licence", 5 },
        refusal { module = "spec.support.broken_module", function_name = "any" })
    end)
  end)

  describe("that is wanted no more", function()
    it("is told so while it works, and its result is dropped", function()
      local paths_of_it = { begun = new_path(), ended = new_path() }
      register("work_until_cancelled")
      rt:orchestration("selects", function(ctx)
        local index = ctx:select { ctx:schedule_activity("work_until_cancelled", paths_of_it),
          ctx:schedule_wait("stop") }
        return index
      end)
      local id = assert(rt:start("selects"))
      runtimes.until_true(rt, function() return exists(paths_of_it.begun) end, "it has begun")
      assert(rt:raise_event(id, "stop"))
      assert.equal(2, rt:wait(id, 10))
      assert(rt:run_until_idle(10))
      assert.same({ "cancelled" }, lines_of(paths_of_it.ended))
    end)

    it("is woken from its sleep", function()
      local paths_of_it = { begun = new_path(), ended = new_path() }
      register("sleep_until_cancelled")
      rt:orchestration("sleeps", function(ctx) ctx:activity("sleep_until_cancelled", paths_of_it) end)
      local id = assert(rt:start("sleeps"))
      runtimes.until_true(rt, function() return exists(paths_of_it.begun) end, "it has begun")
      assert(rt:cancel(id, "enough"))
      assert.equal("cancelled", select(2, rt:wait(id, 10)).code)
      assert(rt:run_until_idle(10))
      assert.same({ "cancelled" }, lines_of(paths_of_it.ended))
    end)

    it("does not begin when it still waited for a thread", function()
      local one = runtimes.open { worker_threads = 1 }
      local own, other, path = new_path(), new_path(), new_path()
      register("meet", one)
      register("write_lines", one)
      one:orchestration("both", function(ctx)
        local first = ctx:schedule_activity("meet", { own = own, other = other })
        local second = ctx:schedule_activity("write_lines", { path = path, name = "it" })
        ctx:wait_event("cancel")
        second:cancel()
        ctx:wait_event("go on")
        return first:await()
      end)
      local id = assert(one:start("both"))
      runtimes.until_true(one, function() return exists(own) end, "the thread blocks")
      assert(one:raise_event(id, "cancel"))
      assert(one:raise_event(id, "go on"))
      io.open(other, "w"):close()
      assert.equal("meet", one:wait(id, 10))
      assert.is_false(exists(path))
    end)

    it("is ended by attempt_timeout, and tried again", function()
      local one = runtimes.open { worker_threads = 1 }
      local output = call("sleep_first", "1h", { attempt_timeout = 5, retry = { max_attempts = 2 } }, one)
      assert.same({ code = "cancelled", cancelled = true }, output.value)
    end)

    it("does not use up its attempt_timeout while it waits for a thread", function()
      local one = runtimes.open { worker_threads = 1 }
      register("nap", one)
      one:orchestration("naps", function(ctx)
        local tasks = {}
        for i = 1, 5 do tasks[i] = ctx:schedule_activity("nap", 4, { attempt_timeout = 5 }) end
        return ctx:join(tasks)
      end)
      assert.same({ true, true, true, true, true }, runtimes.finish(one, "naps", nil, "1m"))
    end)
  end)

  describe("and its heartbeats", function()
    it("hands its details to the next attempt", function()
      assert.same({ at = { 1, 2 } }, call("beat_and_fail", { at = { 1, 2 } }, { retry = {} }).value)
    end)

    it("ends when they stop for longer than heartbeat_timeout", function()
      local output = call("steps", nil, { heartbeat_timeout = 5, retry = { max_attempts = 2 } })
      assert.same({ step = 3 }, output.value)
    end)

    it("fails when the details cannot be stored", function()
      local err = call("beat_function")
      assert.equal("invalid_payload", err.code)
      assert.matches("details.items[1]", err.message, 1, true)
    end)
  end)

  describe("and its ctx", function()
    it("refuses what needs the runtime's own Lua state", function()
      for _, name in ipairs { "async", "defer", "runtime" } do
        local err = call(name)
        assert.equal("failed", err.code)
        assert.matches("ctx[:.]" .. name .. ".* is not available in a worker thread", err.message)
        assert(rt:delete_instance("calls"))
      end
    end)

    it("cannot be written to, nor called with a dot", function()
      assert.matches("cannot be written to", call("write").message)
      assert(rt:delete_instance("calls"))
      assert.matches("must be called with a colon", call("dot").message)
    end)

    it("ends with its attempt", function()
      local one = runtimes.open { worker_threads = 1 }
      call("keep_ctx", nil, nil, one)
      assert(one:delete_instance("calls"))
      local kept = call("use_kept_ctx", nil, nil, one).value
      assert.same({ false, true, "keep_ctx" }, { kept.ok, kept.cancelled, kept.name })
      assert.matches("ctx:heartbeat is called after the end of this attempt", kept.err)
    end)
  end)

  it("runs new code after replace=true", function()
    local name = "replaced_" .. tostring(os.time()) .. tostring({}):match("%w+$")
    local path = "./" .. name .. ".lua"
    paths[#paths + 1] = path
    local function write(version)
      local file = assert(io.open(path, "w"))
      file:write(("return { version = function() return %q end }"):format(version))
      file:close()
    end
    local one = runtimes.open { worker_threads = 1 }
    one:orchestration("asks", function(ctx) return ctx:activity("version") end)
    local before = package.path
    package.path = "./?.lua;" .. before
    write("first")
    one:activity("version", { thread = true, module = name })
    assert.equal("first", one:wait(assert(one:start("asks")), 10))
    write("second")
    assert.equal("first", one:wait(assert(one:start("asks")), 10))
    one:activity("version", { thread = true, module = name, replace = true })
    assert.equal("second", one:wait(assert(one:start("asks")), 10))
    package.path = before
  end)

  it("may be replaced by one on the loop, and the other way round", function()
    register("echo")
    rt:activity("echo", { replace = true }, function() return "on the loop" end)
    assert.equal("on the loop", runtimes.run(rt, function(ctx) return ctx:activity("echo", "in a thread") end))
    rt:activity("echo", { thread = true, module = MODULE, replace = true })
    assert.equal("in a thread", runtimes.run(rt, function(ctx) return ctx:activity("echo", "in a thread") end))
  end)
end)


describe("registering a thread activity", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("needs a module", function()
    assert.error_matches(function() rt:activity("a", { thread = true }) end,
      "activity 'a' has thread=true: option 'module' says which module to require there")
  end)

  it("takes no function, which could not be moved", function()
    assert.error_matches(function() rt:activity("a", { thread = true, module = "m" }, function() end) end,
      "a function cannot be moved there")
  end)

  it("takes module and function_name only with thread=true", function()
    assert.error_matches(function() rt:activity("a", { module = "m" }, function() end) end,
      "options 'module' and 'function_name' go with thread=true")
  end)

  it("checks its options", function()
    assert.error_matches(function() rt:activity("a", { thread = "yes", module = "m" }) end,
      "option 'thread' must be a boolean, got string")
    assert.error_matches(function() rt:activity("a", { thread = true, modul = "m" }) end,
      "unknown option 'modul' %(did you mean 'module'%?%)")
    assert.error_matches(function() rt:activity("a", { thread = true, module = "" }) end, "option 'module'")
    assert.error_matches(function() rt:activity("a", { thread = true, module = "m", function_name = "a\nb" }) end,
      "option 'function_name'")
  end)

  it("shows in what is registered", function()
    rt:activity("in_a_thread", { thread = true, module = "m" })
    assert.same({ "in_a_thread" }, rt:registered().activities)
  end)

  it("refuses a number of threads out of range", function()
    for _, count in ipairs { 0, 1025 } do
      local opened, err = duro.open { path = ":memory:", worker_threads = count }
      assert.is_nil(opened)
      assert.equal("invalid_argument", err.code)
      assert.matches("worker_threads", err.message)
    end
  end)
end)


describe("closing a runtime whose threads are busy", function()
  -- Registers, starts, waits until the activity blocks, closes.
  local function close_while(function_name, input)
    local path = os.tmpname()
    os.remove(path)
    local lines = child.lines(([[
      local duro = require "duro"
      local path = %q
      local rt = assert(duro.open(":memory:"))
      rt:activity(%q, { thread = true, module = %q })
      rt:orchestration("blocks", function(ctx) ctx:activity(%q, %s) end)
      assert(rt:start("blocks"))
      local file
      repeat rt:step(0.01) file = io.open(path) until file
      file:close()
      print(rt:close())
      collectgarbage()
      print("closed")
    ]]):format(path, function_name, MODULE, function_name, input))
    os.remove(path)
    os.remove(path .. ".ended")
    return lines
  end

  it("tells those that ask, and waits for them", function()
    assert.same({ "true", "closed" },
      close_while("work_until_cancelled", "{ begun = path, ended = path .. '.ended' }"))
  end)

  it("wakes those that sleep", function()
    assert.same({ "true", "closed" },
      close_while("sleep_until_cancelled", "{ begun = path, ended = path .. '.ended' }"))
  end)

  it("leaves behind those that never come back", function()
    assert.same({ "true", "closed" }, close_while("block_for_ever", "path"))
  end)
end)
