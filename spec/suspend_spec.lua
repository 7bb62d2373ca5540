local runtimes = require "spec.support.runtimes"


describe("a suspended instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function suspended(fn)
    rt:orchestration("under_test", { replace = true }, fn)
    local id = assert(rt:start("under_test", nil, { id = "s" }))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:suspend(id, "for a while"))
    assert.equal("suspended", rt:status(id).status)
    return id
  end

  it("keeps events that arrive, and goes on with them in order when it is resumed", function()
    local turns = 0
    local id = suspended(function(ctx)
      local seen = {}
      for i = 1, 3 do
        seen[i] = ctx:wait_event("e")
        turns = turns + 1
      end
      return seen
    end)
    for i = 1, 3 do assert(rt:raise_event(id, "e", i)) end
    assert(rt:run_until_idle(10))
    assert.equal(0, turns)
    assert.equal("suspended", rt:status(id).status)
    assert.is_true(rt:resume(id))
    assert.same({ 1, 2, 3 }, rt:wait(id, 10))
  end)

  it("keeps the results of activities", function()
    local done
    rt:activity("long", function(ctx) done = ctx:async() end)
    rt:orchestration("under_test", function(ctx) return ctx:activity("long") end)
    local id = assert(rt:start("under_test"))
    runtimes.until_true(rt, function() return done end, "the activity runs")
    assert(rt:suspend(id))
    done(nil, "kept")
    assert(rt:run_until_idle(10))
    assert.equal("suspended", rt:status(id).status)
    assert(rt:resume(id))
    assert.equal("kept", rt:wait(id, 10))
  end)

  it("keeps timers that fall due", function()
    local id = suspended(function(ctx)
      ctx:sleep(10)
      return "woken"
    end)
    assert(rt:advance(60))
    assert.equal("suspended", rt:status(id).status)
    assert(rt:resume(id))
    assert.equal("woken", rt:wait(id, 10))
  end)

  it("sees a cancel when it is resumed, not before", function()
    local id = suspended(function(ctx) ctx:wait_event("never") end)
    assert.is_true(rt:cancel(id))
    assert(rt:run_until_idle(10))
    assert.equal("suspended", rt:status(id).status)
    assert(rt:resume(id))
    local _, err = rt:wait(id, 10)
    assert.equal("cancelled", err.code)
  end)

  it("can be terminated at once", function()
    local id = suspended(function(ctx) ctx:wait_event("never") end)
    assert(rt:terminate(id))
    assert.equal("terminated", rt:status(id).status)
  end)

  it("stays suspended when suspended again, and running when resumed again", function()
    local id = suspended(function(ctx) return ctx:wait_event("e") end)
    assert.is_true(rt:suspend(id))
    assert.is_true(rt:resume(id))
    assert.is_true(rt:resume(id))
    assert.equal("running", rt:status(id).status)
    assert(rt:raise_event(id, "e", "on"))
    assert.equal("on", rt:wait(id, 10))
  end)

  it("shows its suspension in the history", function()
    local id = suspended(function(ctx) return ctx:wait_event("e") end)
    assert(rt:resume(id))
    assert(rt:raise_event(id, "e", 1))
    rt:wait(id, 10)
    local kinds = runtimes.kinds(rt, id)
    assert.equal("suspended", kinds[3])
    assert.equal("resumed", kinds[4])
  end)

  it("of an unknown or ended instance is refused", function()
    runtimes.run(rt, function() end, nil, { id = "done" })
    for _, call in ipairs { "suspend", "resume" } do
      local ok, err = rt[call](rt, "nobody")
      assert.is_nil(ok)
      assert.equal("not_found", err.code)
      ok, err = rt[call](rt, "done")
      assert.is_nil(ok)
      assert.equal("finished", err.code)
    end
  end)
end)
