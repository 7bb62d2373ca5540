local duro = require "duro"


describe("duro.testing.runtime", function()
  local t

  before_each(function() t = duro.testing.runtime() end)
  after_each(function() t:close() end)

  it("runs a month of timers in no time", function()
    t:orchestration("monthly", function(ctx)
      local before = ctx:now()
      for _ = 1, 30 do ctx:sleep("1d") end
      return ctx:now() - before
    end)
    local began = os.time()
    assert.equal(30 * 86400, t:run("monthly"))
    assert.is_true(os.time() - began < 5)
  end)

  it("puts a function in the place of an activity", function()
    t:activity("charge", function() error("the real one ran") end)
    t:orchestration("order", function(ctx, total) return ctx:activity("charge", total) end)
    t:mock_activity("charge", function(ctx, input) return { ctx.name, input } end)
    assert.same({ "charge", 5 }, t:run("order", 5))
  end)

  it("puts an array of results in the place of an activity", function()
    t:orchestration("twice", function(ctx)
      return { ctx:activity("ask"), ctx:activity("ask", nil, { retry = { max_attempts = 2 } }) }
    end)
    t:mock_activity("ask", { "first", function() error("down") end, "third" })
    assert.same({ "first", "third" }, t:run("twice"))
  end)

  it("fails an activity that is called more often than its mock has results", function()
    t:orchestration("once", function(ctx) return ctx:activity("ask") end)
    t:mock_activity("ask", {})
    local output, err = t:run("once")
    assert.is_nil(output)
    assert.matches("the mock of 'ask' was called 1 times and has 0 results", err.message)
  end)

  it("refuses a mock that is neither", function()
    assert.error_matches(function() t:mock_activity("ask", "text") end, "needs a function or an array of results")
  end)

  it("gives nil and the error of what fails", function()
    t:orchestration("fails", function() error { code = "broken", message = "it is broken" } end)
    local output, err = t:run("fails")
    assert.is_nil(output)
    assert.equal("broken", err.code)
  end)

  it("says so when everything waits for something that nobody sends", function()
    t:orchestration("waits", function(ctx) return ctx:wait_event("never") end)
    local output, err = t:run("waits", nil, { id = "w" })
    assert.is_nil(output)
    assert.equal("timeout", err.code)
    assert.matches("nobody sends", err.message)
    assert(t:raise_event("w", "never", "sent"))
    assert.equal("sent", t:wait("w"))
  end)

  it("says so too when all that is due is suspended", function()
    t:orchestration("sleeps", function(ctx) ctx:sleep(60) end)
    assert(t:start("sleeps", nil, { id = "s" }))
    assert(t:run_until_idle(10))
    assert(t:suspend("s"))
    local _, err = t:wait("s", 10)
    assert.equal("timeout", err.code)
    assert.matches("nobody sends", err.message)
    assert(t:resume("s"))
    assert.is_nil((t:wait("s", 10)))
    assert.equal("completed", t:status("s").status)
  end)

  it("asserts what has completed, and with what", function()
    t:orchestration("echo", function(_, input) return input end)
    assert.same({ 1, { 2 } }, t:run("echo", { 1, { 2 } }, { id = "e" }))
    t:assert_completed("e")
    t:assert_completed("e", { 1, { 2 } })
    assert.error_matches(function() t:assert_completed("e", { 1, { 3 } }) end, "expected output %[1,%[3%]%]")
    assert.error_matches(function() t:assert_completed("nobody") end, "there is no instance 'nobody'")
    t:orchestration("fails", function() error("no luck") end)
    t:run("fails", nil, { id = "f" })
    assert.error_matches(function() t:assert_completed("f") end, "expected it completed, but instance 'f' is failed")
  end)

  it("takes the options of duro.open", function()
    local other = duro.testing.runtime { debug = { replay_every_turn = true } }
    other:orchestration("sleeps", function(ctx)
      ctx:sleep("1h")
      return "slept"
    end)
    assert.equal("slept", other:run("sleeps"))
    other:close()
  end)
end)
