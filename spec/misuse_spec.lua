-- Code that asks for the impossible: each mistake is an error that names the thing and what to do instead,
-- fails that instance alone (unless it catches it), and leaves the runtime at work.

local runtimes = require "spec.support.runtimes"

local rt


-- Fails an orchestration that does this: the error's message and code.
local function mistake(fn, input)
  local output, err = runtimes.run(rt, fn, input)
  assert.is_nil(output)
  return err.message, err.code
end


local function assert_mistake(code, pattern, fn)
  local message, got = mistake(fn)
  assert.matches(pattern, message)
  assert.equal(code, got, message)
end


local function fresh()
  rt = runtimes.open()
  rt:activity("echo", function(_, input) return input end)
  rt:orchestration("echo", function(_, input) return input end)
end


-- Whatever went wrong, others still work.
local function still_works()
  assert.equal("fine", rt:wait(assert(rt:start("echo", "fine")), 10))
  runtimes.clean()
end


describe("a policy of retries out of range", function()
  before_each(fresh)
  after_each(still_works)

  local policies = {
    { { max_attempts = 0 }, "invalid_argument", "'max_attempts' must be at least 1 %(is 0%)" },
    { { max_attempts = 2.5 }, "failed", "'max_attempts' must be an integer" },
    { { backoff = "cubic" }, "invalid_argument", "'backoff' must be one of: exponential, linear, fixed" },
    { { initial = -1 }, "invalid_argument", "'initial' .- must not be negative" },
    { { max = "soon" }, "invalid_argument", "'max' .- no duration %(write seconds" },
    { { multiplier = 0.5 }, "invalid_argument", "'multiplier' must be at least 1 %(is 0.5%)" },
    { { multiplier = 0 / 0 }, "invalid_argument", "'multiplier' must be a finite number" },
    { { multiplier = math.huge }, "invalid_argument", "'multiplier' must be a finite number" },
    { { jitter = "yes" }, "failed", "'jitter' must be a boolean, got string" },
    { { non_retryable = { 404 } }, "failed", "'non_retryable' element 1 must be a string, got number" },
    { { maxattempts = 3 }, "failed", "unknown option 'maxattempts' %(did you mean 'max_attempts'%?%)" },
    { 3, "failed", "option 'retry' must be a table, got number" },
  }

  it("is refused for an activity, and the activity does not run", function()
    local ran = false
    rt:activity("runs", function() ran = true end)
    for _, case in ipairs(policies) do
      assert_mistake(case[2], case[3], function(ctx)
        local output = ctx:activity("runs", nil, { retry = case[1] })
        return output
      end)
      assert_mistake(case[2], case[3], function(ctx)
        local task = ctx:schedule_activity("runs", nil, { retry = case[1] })
        return task
      end)
    end
    assert.is_false(ran)
  end)

  it("is refused for a sub-orchestration alike", function()
    for _, case in ipairs(policies) do
      assert_mistake(case[2], case[3], function(ctx)
        local output = ctx:sub_orchestration("echo", nil, { retry = case[1] })
        return output
      end)
    end
  end)
end)


describe("a name or option that cannot be one", function()
  before_each(fresh)
  after_each(still_works)

  local long = ("q"):rep(129)

  it("is a queue, an activity, an event, an orchestration or an id that is too long", function()
    assert_mistake("invalid_argument", "option 'queue' is longer than 128 bytes %(has 129%)", function(ctx)
      ctx:activity("echo", nil, { queue = long })
    end)
    assert_mistake("invalid_argument", "activity 'q+%.%.%.' is longer than 128 bytes %(has 129%)", function(ctx)
      ctx:activity(long)
    end)
    assert_mistake("invalid_argument", "event 'q+%.%.%.' is longer than 128 bytes", function(ctx)
      ctx:wait_event(long)
    end)
    assert_mistake("invalid_argument", "orchestration 'q+%.%.%.' is longer than 128 bytes", function(ctx)
      ctx:sub_orchestration(long)
    end)
    assert_mistake("invalid_argument", "option 'id' is longer than 256 bytes %(has 257%)", function(ctx)
      ctx:start_orchestration("echo", nil, { id = ("i"):rep(257) })
    end)
  end)

  it("shows the beginning of a long one, in whole characters", function()
    local message = mistake(function(ctx) ctx:activity(("ä"):rep(65)) end)
    assert.matches("activity '" .. ("ä"):rep(32) .. "...'", message, 1, true)
  end)

  it("is empty, has control characters, or is no text", function()
    assert_mistake("invalid_argument", "activity '' is empty", function(ctx) ctx:activity("") end)
    assert_mistake("invalid_argument", "'queue' must not be empty", function(ctx)
      ctx:activity("echo", nil, { queue = "" })
    end)
    assert_mistake("invalid_argument", "event .- control character", function(ctx) ctx:wait_event("a\nb") end)
    assert_mistake("failed", "ctx:activity: the name must be a string, got nil", function(ctx) ctx:activity() end)
  end)

  it("is a version that no code could ever have", function()
    for _, asks in ipairs {
      function(ctx) ctx:sub_orchestration("echo", nil, { version = "newest" }) end,
      function(ctx) ctx:schedule_sub_orchestration("echo", nil, { version = "newest" }) end,
      function(ctx) ctx:start_orchestration("echo", nil, { version = "newest" }) end,
      function(ctx) ctx:continue_as_new(nil, { version = "newest" }) end,
    } do
      assert_mistake("invalid_argument", "'version' is no semver: 'newest' %(write such as \"1.0.0\"%)", asks)
    end
    local id, err = rt:start("echo", nil, { version = "newest" })
    assert.is_nil(id)
    assert.equal("invalid_argument", err.code)
  end)

  it("is a duration that is negative, no number or no text of one", function()
    for _, duration in ipairs { -1, 0 / 0, "5 parsecs" } do
      assert_mistake("invalid_argument", "duration", function(ctx) ctx:sleep(duration) end)
      assert_mistake("invalid_argument", "'timeout'", function(ctx)
        ctx:activity("echo", nil, { timeout = duration })
      end)
    end
    assert_mistake("failed", "a duration must be a number of seconds, or a text such as", function(ctx)
      ctx:sleep()
    end)
  end)

  it("is a time limit of nothing, which would be none", function()
    for _, limit in ipairs { 0, "0s", 0.0001 } do
      for _, name in ipairs { "timeout", "attempt_timeout", "heartbeat_timeout" } do
        assert_mistake("invalid_argument", "option '" .. name .. "' must be at least 1 ms %(is 0", function(ctx)
          ctx:activity("echo", nil, { [name] = limit })
        end)
      end
      assert_mistake("invalid_argument", "option 'timeout' must be at least 1 ms", function(ctx)
        ctx:sub_orchestration("echo", nil, { timeout = limit })
      end)
      local id, err = rt:start("echo", nil, { timeout = limit })
      assert.is_nil(id)
      assert.equal("invalid_argument", err.code)
    end
    assert.same({ "timeout", "timeout" }, (runtimes.run(rt, function(ctx) -- of a wait it is a look
      local _, event = ctx:wait_event("never", { timeout = 0 })
      local _, condition = ctx:wait_until(function() return false end, { timeout = 0 })
      return { event.code, condition.code }
    end)))
  end)

  it("is an option that there is not", function()
    assert_mistake("failed", "misuse_spec.lua:%d+: unknown option 'timout' %(did you mean 'timeout'%?%)", function(ctx)
      local output = ctx:activity("echo", nil, { timout = 1 })
      return output
    end)
    assert_mistake("failed", "the options of ctx:wait_event must be a table, got number", function(ctx)
      ctx:wait_event("e", 5)
    end)
  end)
end)


describe("a ctx of the wrong kind", function()
  before_each(fresh)
  after_each(still_works)

  it("is that of an orchestration where an activity's was meant", function()
    for _, method in ipairs { "heartbeat", "is_cancelled", "async", "defer" } do
      assert_mistake("failed", ("misuse_spec.lua:%%d+: ctx:%s is for activities"):format(method), function(ctx)
        local result = ctx[method](ctx, { progress = 1 })
        return result
      end)
    end
  end)

  it("is that of an activity where an orchestration's was meant", function()
    for _, method in ipairs {
      "activity", "sub_orchestration", "wait_event", "schedule_timer", "spawn", "join", "select",
      "continue_as_new", "side_effect",
    } do
      rt:activity("thinks", { replace = true }, function(ctx)
        local result = ctx[method](ctx, "echo")
        return result
      end)
      assert_mistake("failed", ("misuse_spec.lua:%%d+: ctx:%s is for orchestrations"):format(method), function(ctx)
        return ctx:activity("thinks")
      end)
    end
  end)

  it("is that of an attempt that has ended, and its heartbeat is refused", function()
    local kept
    rt:activity("keeps", function(ctx) kept = ctx end)
    runtimes.run(rt, function(ctx) ctx:activity("keeps") end)
    assert.error_matches(function() kept:heartbeat { 1 } end, "ctx:heartbeat is called after the end of this attempt")
    assert.error_matches(function() kept.heartbeat { 1 } end, "must be called with a colon")
  end)
end)


describe("a ctx in the wrong place", function()
  before_each(fresh)
  after_each(still_works)

  it("is a coroutine of the author's own: each call says to use ctx:spawn", function()
    for _, call in ipairs {
      function(ctx) ctx:sleep(1) end,
      function(ctx) ctx:activity("echo") end,
      function(ctx) ctx:wait_event("e") end,
      function(ctx) ctx:now() end,
      function(ctx) ctx.kv.key = 1 end,
      function(ctx) ctx:select { ctx:schedule_timer(1) } end,
    } do
      assert_mistake("failed", "from a coroutine of its own: use ctx:spawn", function(ctx)
        local ok, err = coroutine.resume(coroutine.create(function() call(ctx) end))
        if not ok then error(err, 0) end
      end)
    end
    assert_mistake("failed", "task:await is called from a coroutine of its own: use ctx:spawn", function(ctx)
      local task = ctx:schedule_timer(1)
      coroutine.wrap(function() task:await() end)()
    end)
  end)

  it("is after the end of its orchestration, or another one's", function()
    local old, task
    runtimes.run(rt, function(ctx)
      old = ctx
      task = ctx:schedule_timer(1)
    end)
    local function after_the_end()
      for what, call in pairs {
        ["ctx:sleep"] = function() old:sleep(1) end,
        ["ctx:activity"] = function() old:activity("echo") end,
        ["ctx:continue_as_new"] = function() old:continue_as_new() end,
        ["ctx.kv"] = function() old.kv.key = 1 end,
        ["ctx.instance_id"] = function() return old.instance_id end,
      } do
        local ok, err = pcall(call)
        assert(not ok and tostring(err):find(what .. " is %a+ after the end of this execution"), tostring(err))
      end
    end
    after_the_end()
    assert.is_nil((select(2, runtimes.run(rt, after_the_end))))
    assert.error_matches(function() task:await() end, "task:await is called outside of an orchestration")
    assert.error_matches(function() task:cancel() end, "task:cancel is called outside of an orchestration")
    assert.is_true(task:done())
  end)

  it("is while another one that is still alive runs", function()
    local other
    rt:orchestration("waits", function(ctx)
      other = ctx
      return ctx:wait_event("go")
    end)
    assert(rt:start("waits", nil, { id = "waits" }))
    assert(rt:run_until_idle(10))
    assert_mistake("failed", "ctx:sleep is called outside of its orchestration", function() other:sleep(1) end)
    assert(rt:raise_event("waits", "go", "unharmed"))
    assert.equal("unharmed", rt:wait("waits", 10))
  end)
end)


describe("tasks that cannot be waited for", function()
  before_each(fresh)
  after_each(still_works)

  it("are those of another orchestration", function()
    local task
    rt:orchestration("waits", function(ctx)
      task = ctx:schedule_wait("go")
      return task:await()
    end)
    assert(rt:start("waits", nil, { id = "waits" }))
    assert(rt:run_until_idle(10))
    assert_mistake("failed", "ctx:join: task 2 belongs to another orchestration", function(ctx)
      ctx:join { ctx:schedule_timer(1), task }
    end)
    assert_mistake("failed", "ctx:join_settled: task 1 belongs to another", function(ctx) ctx:join_settled { task } end)
    assert_mistake("failed", "ctx:select: task 1 belongs to another", function(ctx) ctx:select { task } end)
    assert_mistake("failed", "task:await: this task belongs to another orchestration", function() task:await() end)
    assert_mistake("failed", "task:cancel: this task belongs to another orchestration", function() task:cancel() end)
    assert(rt:raise_event("waits", "go", "unharmed"))
    assert.equal("unharmed", rt:wait("waits", 10))
  end)

  it("are none, for a select", function()
    assert_mistake("failed", "ctx:select needs at least one task: nothing could ever be first", function(ctx)
      ctx:select {}
    end)
    assert_mistake("failed", "ctx:select needs an array of tasks, got nil", function(ctx) ctx:select() end)
  end)

  it("stand in a table that is no array, or are something else", function()
    for _, name in ipairs { "join", "join_settled", "select" } do
      assert_mistake("failed", "ctx:" .. name .. " needs an array of tasks, got a table with other keys", function(ctx)
        local done = ctx[name](ctx, { charge = ctx:schedule_timer(1) })
        return done
      end)
      assert_mistake("failed", "ctx:" .. name .. ": element 2 is no task, but a number", function(ctx)
        ctx[name](ctx, { ctx:schedule_timer(1), 5 })
      end)
      assert_mistake("failed", "ctx:" .. name .. " needs an array of tasks, got userdata", function(ctx)
        ctx[name](ctx, ctx:schedule_timer(1), ctx:schedule_timer(2))
      end)
    end
  end)

  it("are the block that waits itself", function()
    assert_mistake("failed", "a block cannot wait for itself", function(ctx)
      local block
      block = ctx:spawn(function() ctx:sleep(0) return block:await() end)
      block:await()
    end)
  end)
end)


describe("continue-as-new in a spawned block", function()
  before_each(fresh)
  after_each(still_works)

  it("is refused, and the instance may go on", function()
    local message, code = mistake(function(ctx)
      ctx:spawn(function() ctx:continue_as_new("next") end):await()
    end)
    assert.equal("failed", code)
    assert.matches("ctx:continue_as_new must be called by the main function, not in a ctx:spawn block", message)
    assert.equal("went on", (runtimes.run(rt, function(ctx, input)
      if input == "next" then return "continued" end
      pcall(function() ctx:spawn(function() ctx:continue_as_new("next") end):await() end)
      return "went on"
    end)))
  end)
end)


describe("a query handler that throws", function()
  before_each(fresh)
  after_each(still_works)

  it("gives its error to the caller, and the instance does not notice", function()
    rt:orchestration("asked", function(ctx)
      ctx:on_query("text", function() error("no idea") end)
      ctx:on_query("table", function() error { code = "mine", message = "no idea either" } end)
      ctx:on_query("nothing", function() error() end)
      ctx:on_query("schedules", function() ctx:sleep(1) end)
      return ctx:wait_event("go")
    end)
    assert(rt:start("asked", nil, { id = "asked" }))
    assert(rt:run_until_idle(10))
    local before = #rt:history({ instance = "asked" }).events
    for name, pattern in pairs {
      text = "the query handler failed: .*misuse_spec.lua:%d+: no idea", table = "no idea either",
      nothing = "the query handler failed", schedules = "ctx:sleep is called in a query handler, which can only look",
    } do
      local answer, err = rt:query("asked", name)
      assert.is_nil(answer)
      assert.equal("failed", err.code)
      assert.matches(pattern, err.message)
    end
    assert.equal(before, #rt:history({ instance = "asked" }).events)
    assert(rt:raise_event("asked", "go", "unharmed"))
    assert.equal("unharmed", rt:wait("asked", 10))
  end)
end)


describe("kv over its limits", function()
  before_each(fresh)
  after_each(still_works)

  it("is a key of more than 1024 bytes", function()
    assert_mistake("too_large", "kv key 'k+%.%.%.' has 1025 bytes of at most 1024", function(ctx)
      ctx.kv[("k"):rep(1025)] = 1
    end)
    assert.equal("kept", (runtimes.run(rt, function(ctx)
      ctx.kv[("k"):rep(1024)] = "kept"
      return ctx.kv[("k"):rep(1024)]
    end)))
  end)

  it("is a value of more than 1 MiB, as it is stored", function()
    assert_mistake("too_large", "the value of kv key 'big' has 1048577 bytes of at most 1048576: keep it elsewhere",
      function(ctx) ctx.kv.big = ("v"):rep(1048576 - 1) end)
    assert.equal(1048576 - 2, (runtimes.run(rt, function(ctx)
      ctx.kv.big = ("v"):rep(1048576 - 2) -- and its quotes
      return #ctx.kv.big
    end)))
  end)

  it("are more than 10000 keys, until some are cleared", function()
    local output = assert(runtimes.run(rt, function(ctx)
      for i = 1, 10000 do ctx.kv["k" .. i] = i end
      local ok, err = pcall(function() ctx.kv.more = 1 end)
      ctx.kv.k1 = "written again"
      ctx.kv.k2 = nil
      ctx.kv.more = "in its place"
      return { ok, err.code, err.message, ctx.kv.k1, ctx.kv.more }
    end))
    assert.same({ false, "too_large" }, { output[1], output[2] })
    assert.matches("kv key 'more' would be number 10001 of at most 10000: clear others", output[3], 1, true)
    assert.same({ "written again", "in its place" }, { output[4], output[5] })
  end)

  it("is a key that is no text, or a value that cannot be stored", function()
    assert_mistake("failed", "a key of ctx.kv must be a string, got number", function(ctx) ctx.kv[5] = 1 end)
    assert_mistake("invalid_argument", "a kv key is not valid UTF%-8", function(ctx) ctx.kv["\255"] = 1 end)
    assert_mistake("invalid_payload", "^kv.handler.run: a function cannot be stored", function(ctx)
      ctx.kv.handler = { run = print }
    end)
  end)

  it("can be caught, and nothing of it is recorded", function()
    local id = "caught"
    assert.equal("went on", (runtimes.run(rt, function(ctx)
      pcall(function() ctx.kv.big = ("v"):rep(2000000) end)
      pcall(function() ctx.kv[("k"):rep(2000)] = 1 end)
      return "went on"
    end, nil, { id = id })))
    assert.same({ "orchestration_started under_test", "orchestration_completed" }, runtimes.kinds(rt, id))
    assert.same({}, rt:kv(id))
  end)
end)
