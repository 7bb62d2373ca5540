local runtimes = require "spec.support.runtimes"


describe("an event", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("ends the wait for it, with its data", function()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("approval") end)
    local id = assert(rt:start("waits"))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:raise_event(id, "approval", { by = "ann" }))
    assert.same({ by = "ann" }, rt:wait(id, 10))
  end)

  it("may have no data", function()
    rt:orchestration("waits", function(ctx)
      local data, err = ctx:wait_event("go")
      return { data == nil, err == nil }
    end)
    local id = assert(rt:start("waits"))
    assert(rt:raise_event(id, "go"))
    assert.same({ true, true }, rt:wait(id, 10))
  end)

  it("is kept when it comes before anybody waits", function()
    rt:orchestration("late", function(ctx)
      ctx:sleep(60)
      return ctx:wait_event("early")
    end)
    local id = assert(rt:start("late"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event(id, "early", 1))
    assert(rt:advance(61))
    assert.equal(1, rt:wait(id, 10))
  end)

  it("is taken in the order of arrival, each name for itself", function()
    rt:orchestration("takes", function(ctx)
      ctx:sleep(60)
      return { ctx:wait_event("a"), ctx:wait_event("b"), ctx:wait_event("a"), ctx:wait_event("a") }
    end)
    local id = assert(rt:start("takes"))
    for i, name in ipairs { "a", "a", "b", "a" } do assert(rt:raise_event(id, name, i)) end
    assert(rt:advance(61))
    assert.same({ 1, 3, 2, 4 }, rt:wait(id, 10))
  end)

  it("goes to the wait that was first", function()
    rt:orchestration("two", function(ctx)
      local first, second = ctx:schedule_wait("e"), ctx:schedule_wait("e")
      return { second:await(), first:await() }
    end)
    local id = assert(rt:start("two"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event(id, "e", "one"))
    assert(rt:raise_event(id, "e", "two"))
    assert.same({ "two", "one" }, rt:wait(id, 10))
  end)

  it("is not dropped for being equal to another", function()
    rt:orchestration("two", function(ctx) return { ctx:wait_event("e"), ctx:wait_event("e") } end)
    local id = assert(rt:start("two"))
    assert(rt:raise_event(id, "e", "same"))
    assert(rt:raise_event(id, "e", "same"))
    assert.same({ "same", "same" }, rt:wait(id, 10))
  end)

  it("with a dedup_id seen before changes nothing", function()
    rt:orchestration("three", function(ctx)
      return { ctx:wait_event("e"), ctx:wait_event("e"), ctx:wait_event("e") }
    end)
    local id = assert(rt:start("three"))
    assert(rt:raise_event(id, "e", 1, { dedup_id = "x" }))
    assert(rt:raise_event(id, "e", 2, { dedup_id = "x" }))
    assert(rt:raise_event(id, "e", 3, { dedup_id = "y" }))
    assert(rt:run_until_idle(10))
    assert.equal("running", rt:status(id).status)
    assert(rt:raise_event(id, "e", 4))
    assert.same({ 1, 3, 4 }, rt:wait(id, 10))
  end)

  it("for an unknown or an ended instance is an error", function()
    rt:orchestration("nothing", function() end)
    local id = assert(rt:start("nothing"))
    rt:wait(id, 10)
    local ok, err = rt:raise_event(id, "e")
    assert.is_nil(ok)
    assert.equal("finished", err.code)
    ok, err = rt:raise_event("nobody", "e")
    assert.is_nil(ok)
    assert.equal("not_found", err.code)
    assert.matches("nobody", err.message)
  end)

  it("can be sent by an orchestration", function()
    rt:orchestration("receives", function(ctx) return ctx:wait_event("hello") end)
    rt:orchestration("sends", function(ctx) ctx:raise_event("receiver", "hello", { from = ctx.instance_id }) end)
    assert(rt:start("receives", nil, { id = "receiver" }))
    assert(rt:start("sends", nil, { id = "sender" }))
    assert.same({ from = "sender" }, rt:wait("receiver", 10))
  end)

  it("can be raised with the start", function()
    rt:orchestration("receives", function(ctx) return ctx:wait_event("first") end)
    local id = assert(rt:start("receives", nil, { event = { name = "first", data = 7 } }))
    assert.equal(7, rt:wait(id, 10))
  end)
end)


describe("a wait for an event", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("gives nil and a timeout when its time is over", function()
    rt:orchestration("waits", function(ctx)
      local before = ctx:now()
      local data, err = ctx:wait_event("never", { timeout = 30 })
      return { data == nil, err.code, ctx:now() - before }
    end)
    assert.same({ true, "timeout", 30 }, runtimes.finish(rt, "waits"))
  end)

  it("takes nothing when it has timed out: the event waits for the next", function()
    rt:orchestration("waits", function(ctx)
      local first = ctx:wait_event("e", { timeout = 30 })
      ctx:sleep(30)
      return { first == nil, ctx:wait_event("e", { timeout = 30 }) }
    end)
    local id = assert(rt:start("waits"))
    assert(rt:advance(45))
    assert(rt:raise_event(id, "e", "late"))
    assert(rt:advance(60))
    assert.same({ true, "late" }, rt:wait(id, 10))
  end)

  it("takes the event when it comes in time, and the timer is gone", function()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("e", { timeout = 30 }) end)
    local id = assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:advance(10))
    assert(rt:raise_event(id, "e", "in time"))
    assert.equal("in time", rt:wait(id, 10))
    for _, event in ipairs(rt:history({ instance = "w" }).events) do
      assert.not_equal("timer_fired", event.kind)
    end
  end)

  it("that loses a select gives its event to the next wait", function()
    rt:orchestration("races", function(ctx)
      local index = ctx:select { ctx:schedule_timer(10), ctx:schedule_wait("e") }
      return { index, ctx:wait_event("e") }
    end)
    local id = assert(rt:start("races"))
    assert(rt:advance(20))
    assert(rt:raise_event(id, "e", "kept"))
    assert.same({ 1, "kept" }, rt:wait(id, 10))
  end)

  it("that loses a select to an earlier event gives its own back to the head of the mailbox", function()
    rt:orchestration("races", function(ctx)
      ctx:sleep(10)
      local index, data = ctx:select { ctx:schedule_wait("a"), ctx:schedule_wait("b") }
      return { index, data, ctx:wait_event("b"), ctx:wait_event("b") }
    end)
    local id = assert(rt:start("races"))
    for i, name in ipairs { "a", "b", "b" } do assert(rt:raise_event(id, name, name .. i)) end
    assert(rt:advance(20))
    assert.same({ 1, "a1", "b2", "b3" }, rt:wait(id, 10))
  end)

  it("that is cancelled takes nothing", function()
    rt:orchestration("cancels", function(ctx)
      local first = ctx:schedule_wait("e")
      first:cancel()
      return ctx:wait_event("e")
    end)
    local id = assert(rt:start("cancels"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event(id, "e", "for the second"))
    assert.equal("for the second", rt:wait(id, 10))
  end)

  it("that nobody looks at gives its event back, in front of later ones", function()
    rt:orchestration("ignores", function(ctx)
      local ignored = ctx:schedule_wait("e")
      ctx:sleep(10)
      ignored:cancel()
      return { ctx:wait_event("e"), ctx:wait_event("e") }
    end)
    local id = assert(rt:start("ignores"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event(id, "e", 1))
    assert(rt:raise_event(id, "e", 2))
    assert(rt:advance(20))
    assert.same({ 1, 2 }, rt:wait(id, 10))
  end)
end)
