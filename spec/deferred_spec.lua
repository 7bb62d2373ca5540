-- An activity that leaves with a token: somebody else brings its result, at any time, from any process.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"


-- Registers an orchestration "asks" whose activity leaves with a token; gives the list of tokens, in order.
local function register(rt, options)
  local tokens = {}
  rt:activity("person", function(ctx)
    tokens[#tokens + 1] = assert(ctx:defer())
    return "what it returns does not matter"
  end)
  rt:orchestration("asks", function(ctx)
    local ok, answer = pcall(ctx.activity, ctx, "person", "question", options)
    if ok then return answer end
    return { code = answer.code, message = answer.message, data = answer.data, attempts = answer.attempts }
  end)
  return tokens
end


local function ask(rt, tokens, id)
  local count = #tokens
  assert(rt:start("asks", nil, { id = id or "a" }))
  runtimes.until_true(rt, function() return tokens[count + 1] end, "the activity has left")
  assert(rt:run_until_idle(10)) -- and that is durable
  return tokens[count + 1]
end


local function refused(code, pattern, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
  assert.matches(pattern, err.message)
end


describe("a deferred activity", function()
  after_each(runtimes.clean)

  it("is finished by its token, with any value", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    for i, value in ipairs { "text", 0, false, { list = { 1, { 2 } } }, 1.5 } do
      local token = ask(rt, tokens, "a" .. i)
      assert.equal("running", rt:status("a" .. i).status)
      assert.is_true(rt:complete_activity(token, value))
      assert.same(value, (rt:wait("a" .. i, 10)))
    end
    assert.is_true(rt:complete_activity(ask(rt, tokens, "none")))
    assert.is_nil((rt:wait("none", 10)))
  end)

  it("is shown as one that left, and takes no place among those that run", function()
    local rt = runtimes.open { activity_concurrency = 1 }
    rt:activity("other", function() return "ran meanwhile" end)
    local tokens = register(rt)
    local token = ask(rt, tokens)
    assert.equal("ran meanwhile", runtimes.run(rt, function(ctx) return ctx:activity("other") end))
    assert.same({ "orchestration_started asks", "activity_scheduled person", "activity_deferred" },
      runtimes.kinds(rt, "a"))
    assert(rt:complete_activity(token, 1))
    assert.equal(1, rt:wait("a", 10))
  end)

  it("fails with the error that it is given: code, message and data", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    assert.is_true(rt:fail_activity(ask(rt, tokens, "table"), { code = "rejected", message = "no", data = { 7 } }))
    assert.same({ code = "rejected", message = "no", data = { 7 }, attempts = 1 }, rt:wait("table", 10))
    assert.is_true(rt:fail_activity(ask(rt, tokens, "text"), "just no"))
    assert.same({ code = "failed", message = "just no", attempts = 1 }, rt:wait("text", 10))
  end)

  it("is tried again after a failure under its policy, with another token", function()
    local rt = runtimes.open()
    local tokens = register(rt, { retry = { max_attempts = 3, initial = 10 } })
    assert(rt:fail_activity(ask(rt, tokens), "not yet"))
    assert(rt:advance(10))
    assert.equal(2, #tokens)
    assert.not_equal(tokens[1], tokens[2])
    refused("finished", "attempt", rt:complete_activity(tokens[1], "of the first attempt"))
    assert(rt:complete_activity(tokens[2], "second"))
    assert.equal("second", rt:wait("a", 10))
    assert(rt:fail_activity(ask(rt, tokens, "final"), { message = "never", retryable = false }))
    assert.same({ code = "failed", message = "never", attempts = 1 }, rt:wait("final", 10))
  end)

  it("has the time limit of all its attempts, and a late answer is refused", function()
    local rt = runtimes.open()
    local tokens = register(rt, { timeout = 60 })
    local token = ask(rt, tokens)
    assert(rt:advance(61))
    assert.equal("timeout", rt:wait("a", 10).code)
    refused("finished", "ended", rt:complete_activity(token, "too late"))
  end)

  it("has the time limit of an attempt, after which the next one asks anew", function()
    local rt = runtimes.open()
    local tokens = register(rt, { attempt_timeout = 60, retry = { max_attempts = 2, initial = 1 } })
    ask(rt, tokens)
    assert(rt:advance(62))
    assert.equal(2, #tokens)
    refused("finished", "attempt", rt:complete_activity(tokens[1], "too late"))
    assert(rt:complete_activity(tokens[2], "in time"))
    assert.equal("in time", rt:wait("a", 10))
  end)

  it("is answered once", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    rt:orchestration("asks", { replace = true }, function(ctx)
      return { ctx:activity("person"), ctx:wait_event("go") }
    end)
    local token = ask(rt, tokens)
    assert(rt:complete_activity(token, "first"))
    assert(rt:run_until_idle(10))
    refused("finished", "ended", rt:complete_activity(token, "second"))
    refused("finished", "ended", rt:fail_activity(token, "third"))
    assert(rt:raise_event("a", "go", "on"))
    assert.same({ "first", "on" }, rt:wait("a", 10))
    refused("finished", "ended %(completed%)", rt:complete_activity(token, "fourth"))
  end)

  it("is answered once also by several at the same time", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    rt:activity("answers", function(ctx, n)
      local ok, err
      if n % 2 == 0 then
        ok, err = ctx.runtime:complete_activity(tokens[1], "answer " .. n)
      else
        ok, err = ctx.runtime:fail_activity(tokens[1], { code = "answer " .. n, message = "no" })
      end
      return ok and n or err.code
    end)
    ask(rt, tokens)
    local outcomes = assert(runtimes.run(rt, function(ctx)
      local tasks = {}
      for n = 1, 6 do tasks[n] = ctx:schedule_activity("answers", n) end
      return ctx:join(tasks)
    end))
    local winner
    for _, outcome in ipairs(outcomes) do
      if type(outcome) == "number" then
        assert.is_nil(winner)
        winner = outcome
      else
        assert.equal("finished", outcome)
      end
    end
    local answer = rt:wait("a", 10)
    assert.equal("answer " .. winner, type(answer) == "table" and answer.code or answer)
  end)

  it("may be answered by itself, before its function returns", function()
    local rt = runtimes.open()
    rt:activity("person", function(ctx)
      assert(ctx.runtime:complete_activity(ctx:defer(), "its own answer"))
    end)
    rt:orchestration("asks", function(ctx) return ctx:activity("person") end)
    assert(rt:start("asks", nil, { id = "a" }))
    assert.equal("its own answer", rt:wait("a", 10))
  end)

  it("whose instance was cancelled, terminated or deleted takes no answer", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    local cancelled, terminated, deleted = ask(rt, tokens, "c"), ask(rt, tokens, "t"), ask(rt, tokens, "d")
    assert(rt:cancel("c"))
    assert(rt:terminate("t"))
    assert(rt:delete_instance("d", { force = true }))
    assert(rt:run_until_idle(10))
    refused("finished", "ended", rt:complete_activity(cancelled, 1))
    refused("finished", "ended", rt:complete_activity(terminated, 1))
    refused("not_found", "", rt:complete_activity(deleted, 1))
  end)

  it("of an instance that was deleted and started again is another one", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    local before = ask(rt, tokens)
    assert(rt:delete_instance("a", { force = true }))
    local token = ask(rt, tokens)
    refused("not_found", "", rt:complete_activity(before, "of the one before"))
    assert(rt:complete_activity(token, "of this one"))
    assert.equal("of this one", rt:wait("a", 10))
  end)

  it("that lost a select, or was left behind by continue-as-new, takes no answer", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    rt:orchestration("asks", { replace = true }, function(ctx, round)
      if round then return ctx:wait_event("never") end
      ctx:select { ctx:schedule_activity("person"), ctx:schedule_timer(10) }
      ctx:schedule_activity("person")
      ctx:sleep(10)
      ctx:continue_as_new(2)
    end)
    local loser = ask(rt, tokens)
    assert(rt:advance(10))
    refused("finished", "ended", rt:complete_activity(loser, 1))
    local left = tokens[2]
    assert(rt:advance(10))
    assert.same({ 1, 2 }, rt:list_executions("a"))
    refused("finished", "ended", rt:complete_activity(left, 1))
  end)

  it("of a suspended instance is answered, and seen when it is resumed", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    local token = ask(rt, tokens)
    assert(rt:suspend("a"))
    assert(rt:complete_activity(token, "meanwhile"))
    refused("finished", "ended", rt:complete_activity(token, "again"))
    refused("finished", "ended", rt:fail_activity(token, "again"))
    assert(rt:run_until_idle(10))
    assert.equal("suspended", rt:status("a").status)
    assert(rt:resume("a"))
    assert.equal("meanwhile", rt:wait("a", 10))
  end)

  it("refuses what is no token, and what cannot be stored", function()
    local rt = runtimes.open()
    local tokens = register(rt)
    local token = ask(rt, tokens)
    for _, text in ipairs { "x", "d1", "d1-1-2-3", token .. "0x", token:upper(), "d2" .. token:sub(3) } do
      refused("invalid_argument", "not a token of ctx:defer", rt:complete_activity(text, 1))
    end
    refused("not_found", "", rt:complete_activity("d1-7-1-2-1", 1))
    refused("invalid_payload", "value.cb", rt:complete_activity(token, { cb = print }))
    assert.has_error(function() rt:complete_activity(5) end)
    assert.has_error(function() rt:fail_activity(token) end)
    assert(rt:complete_activity(token, "at last"))
    assert.equal("at last", rt:wait("a", 10))
  end)
end)


describe("a deferred activity in a file", function()
  after_each(runtimes.clean)

  it("is no lost attempt after a restart, and its old token finishes it", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    local token = ask(rt, register(rt))
    rt:close()
    rt = runtimes.open { path = path }
    local tokens = register(rt)
    assert(rt:run_until_idle(10))
    assert.same({}, tokens) -- it did not run again
    assert.is_true(rt:complete_activity(token, "after the restart"))
    assert.equal("after the restart", rt:wait("a", 10))
    assert.same({ "orchestration_started asks", "activity_scheduled person", "activity_deferred",
      "activity_completed", "orchestration_completed" }, runtimes.kinds(rt, "a"))
  end)

  it("refuses the token of an earlier attempt after a restart too", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    local policy = { retry = { max_attempts = 2, initial = 1 } }
    local tokens = register(rt, policy)
    assert(rt:fail_activity(ask(rt, tokens), "not yet"))
    assert(rt:advance(1))
    assert.equal(2, #tokens)
    rt:close()
    rt = runtimes.open { path = path }
    register(rt, policy)
    refused("finished", "attempt", rt:complete_activity(tokens[1], "of the first attempt"))
    assert(rt:fail_activity(tokens[2], { code = "no", message = "no" }))
    assert.equal("no", rt:wait("a", 10).code)
  end)

  it("keeps its time limit over a restart", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    ask(rt, register(rt, { timeout = 3600 }))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt, { timeout = 3600 })
    assert(rt:advance(3500))
    assert.equal("running", rt:status("a").status)
    assert(rt:advance(200))
    assert.equal("timeout", rt:wait("a", 10).code)
  end)

  it("is finished from another process, with a value or an error", function()
    local path = runtimes.path()
    local owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:activity("person", function(ctx)
        print(ctx:defer())
        io.stdout:flush()
      end)
      rt:orchestration("asks", function(ctx) return ctx:activity("person") end)
      assert(rt:start("asks", nil, { id = "a" }))
      assert(rt:start("asks", nil, { id = "b" }))
      rt:run()
    ]]):format(path))
    local first, second = owner:line(), owner:line()
    local client = assert(duro.open { path = path, role = "client" })
    -- The token is printed before it is durable: the call is refused until then.
    local function until_known(call)
      local deadline = os.time() + 10
      local ok, err
      repeat ok, err = call() until ok or os.time() > deadline
      return ok, err
    end
    assert.is_true(until_known(function() return client:complete_activity(first, { signed = true }) end))
    assert.is_true(until_known(function()
      return client:fail_activity(second, { code = "rejected", message = "no", data = 5 })
    end))
    local outputs = { client:wait("a", 10) or false, client:wait("b", 10) or false }
    local _, err = client:wait(outputs[1] and "b" or "a", 10)
    assert.same({ signed = true }, outputs[1] or outputs[2])
    assert.same({ "rejected", "no", 5 }, { err.code, err.message, err.data })
    refused("finished", "ended", client:complete_activity(first, "again"))
    client:close()
    owner:kill()
  end)
end)
