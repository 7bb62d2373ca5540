local runtimes = require "spec.support.runtimes"


-- The code before the change: an activity, then an event.
local function original(ctx)
  local first = ctx:activity("a", 1)
  return first .. ctx:wait_event("go")
end


describe("an instance whose code has changed under its history", function()
  local rt, id

  before_each(function()
    rt = runtimes.open()
    rt:activity("a", function() return "from a " end)
    rt:activity("b", function() return "from b " end)
    rt:orchestration("o", original)
    id = assert(rt:start("o", nil, { id = "o-1" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  -- Replaces the code, wakes the instance, and gives the error of its stall.
  local function stalls_with(changed)
    rt:orchestration("o", { replace = true }, changed)
    assert(rt:raise_event(id, "go", "event"))
    assert(rt:run_until_idle(10))
    local status = rt:status(id)
    assert.equal("stalled", status.status)
    assert.equal("nondeterminism", status.error.code)
    return status.error
  end

  it("stalls when it asks for another activity, and says what was expected and what it got", function()
    local err = stalls_with(function(ctx) return ctx:activity("b", 1) .. ctx:wait_event("go") end)
    assert.equal(2, err.event_id)
    assert.matches("activity_scheduled", err.expected)
    assert.matches("'a'", err.expected)
    assert.matches("'b'", err.got)
  end)

  it("stalls when it asks for something of another kind", function()
    local err = stalls_with(function(ctx)
      ctx:sleep(1)
      return "x"
    end)
    assert.equal(2, err.event_id)
    assert.matches("activity_scheduled", err.expected)
    assert.matches("timer_created", err.got)
  end)

  it("stalls when it ends where history goes on", function()
    local err = stalls_with(function() return "early" end)
    assert.equal(2, err.event_id)
    assert.matches("activity_scheduled", err.expected)
  end)

  it("stalls when it waits where history goes on", function()
    local err = stalls_with(function(ctx)
      ctx:wait_event("other")
      return ctx:activity("a", 1)
    end)
    assert.equal(2, err.event_id)
    assert.matches("event_subscribed", err.got)
  end)

  it("does not stall for another input, which is matched by kind and name alone", function()
    rt:orchestration("o", { replace = true }, function(ctx)
      return ctx:activity("a", "another input") .. ctx:wait_event("go")
    end)
    assert(rt:raise_event(id, "go", "event"))
    assert.equal("from a event", rt:wait(id, 10))
  end)

  it("gets nothing added to its history, and goes on with the fixed code", function()
    local before = runtimes.kinds(rt, id)
    stalls_with(function(ctx) return ctx:activity("b", 1) end)
    assert.same(before, runtimes.kinds(rt, id))
    rt:orchestration("o", { replace = true }, original)
    assert.equal("from a event", rt:wait(id, 10))
    assert.equal("completed", rt:status(id).status)
  end)

  it("keeps what arrives while it is stalled, in order", function()
    stalls_with(function(ctx) return ctx:activity("b", 1) end)
    assert.is_true(rt:raise_event(id, "second", 2))
    assert.is_true(rt:raise_event(id, "third", 3))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    rt:orchestration("o", { replace = true }, function(ctx)
      local first = ctx:activity("a", 1)
      return { first, ctx:wait_event("go"), ctx:wait_event("third"), ctx:wait_event("second") }
    end)
    assert.same({ "from a ", "event", 3, 2 }, rt:wait(id, 10))
  end)

  it("may stall again, on other faulty code", function()
    stalls_with(function(ctx) return ctx:activity("b", 1) end)
    rt:orchestration("o", { replace = true }, function(ctx) ctx:sleep(1) end)
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    assert.matches("timer_created", rt:status(id).error.got)
    rt:orchestration("o", { replace = true }, original)
    assert.equal("from a event", rt:wait(id, 10))
  end)

  it("can be terminated at once", function()
    stalls_with(function(ctx) return ctx:activity("b", 1) end)
    assert.is_true(rt:terminate(id, "give up"))
    assert.equal("terminated", rt:status(id).status)
  end)

  it("harms no other instance of the same name", function()
    stalls_with(function(ctx) return ctx:activity("b", 1) .. ctx:wait_event("go") end)
    local other = assert(rt:start("o"))
    assert(rt:raise_event(other, "go", "event"))
    assert.equal("from b event", rt:wait(other, 10))
    assert.equal("stalled", rt:status(id).status)
  end)

  it("is listed as stalled", function()
    stalls_with(function(ctx) return ctx:activity("b", 1) end)
    local list = rt:list_instances { status = "stalled" }
    assert.equal(1, #list)
    assert.equal(id, list[1].instance_id)
    assert.equal("nondeterminism", list[1].error.code)
  end)
end)


describe("a stalled instance in a file", function()
  after_each(runtimes.clean)

  it("is still stalled with the same code, and goes on with the right one", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    local function faulty(ctx) return ctx:activity("b", 1) .. ctx:wait_event("go") end
    rt:activity("a", function() return "from a " end)
    rt:orchestration("o", original)
    local id = assert(rt:start("o"))
    assert(rt:run_until_idle(10))
    rt:close()

    rt = runtimes.open { path = path }
    rt:orchestration("o", faulty)
    assert(rt:raise_event(id, "go", "event"))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    rt:close()

    rt = runtimes.open { path = path }
    rt:orchestration("o", faulty)
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status(id).status)
    rt:close()

    rt = runtimes.open { path = path }
    rt:orchestration("o", original)
    assert.equal("from a event", rt:wait(id, 10))
  end)
end)


describe("code that departs from its own history in every run", function()
  after_each(runtimes.clean)

  it("is found by replay_every_turn, also when only the input differs", function()
    local rt = runtimes.open { debug = { replay_every_turn = true } }
    local calls = 0
    rt:activity("echo", function(_, input) return input end)
    rt:orchestration("drifts", function(ctx)
      calls = calls + 1
      ctx:activity("echo", calls)
      ctx:wait_event("go")
    end)
    local id = assert(rt:start("drifts"))
    assert(rt:run_until_idle(10))
    local status = rt:status(id)
    assert.equal("stalled", status.status)
    assert.equal("nondeterminism", status.error.code)
    assert.equal(2, status.error.event_id)
  end)
end)
