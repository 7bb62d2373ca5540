local runtimes = require "spec.support.runtimes"


describe("an instance looked back at", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function walk(ctx)
    ctx:set_custom_status("began") -- 2
    ctx.kv.step = 1 -- 3
    local first = ctx:activity("double", 21) -- 4, 5
    ctx.kv.step = first -- 6
    ctx.kv.extra = { a = { 1, 2 } } -- 7
    ctx:set_custom_status { at = "approval" } -- 8
    local answer = ctx:wait_event("approval") -- 9, 10
    ctx.kv.extra = nil -- 11
    return answer
  end

  local function started()
    rt:activity("double", function(_, n) return n * 2 end)
    rt:orchestration("walk", walk)
    assert(rt:start("walk", nil, { id = "i" }))
    assert(rt:run_until_idle(10))
  end

  it("has the custom status and kv of that moment", function()
    started()
    local at = assert(rt:at("i", 1))
    assert.is_nil(at.custom_status)
    assert.same({}, at.kv)
    at = assert(rt:at("i", 3))
    assert.equal("began", at.custom_status)
    assert.same({ step = 1 }, at.kv)
    at = assert(rt:at("i", 9))
    assert.same({ at = "approval" }, at.custom_status)
    assert.same({ step = 42, extra = { a = { 1, 2 } } }, at.kv)
  end)

  it("has what it waited for", function()
    started()
    local pending = rt:at("i", 4).pending
    assert.same({ 4, "double", 21, 1 }, { pending.pending_activities[1].correlation_id,
      pending.pending_activities[1].name, pending.pending_activities[1].input, pending.pending_activities[1].attempt })
    assert.same({}, pending.pending_events)
    pending = rt:at("i", 9).pending
    assert.same({}, pending.pending_activities)
    assert.equal("approval", pending.pending_events[1].name)
    assert.same({}, pending.pending_timers)
    assert.same({}, pending.pending_sub_orchestrations)
  end)

  it("has the stack with the locals of that moment", function()
    started()
    local stack = rt:at("i", 4).stack
    assert.matches("at_spec.lua$", stack[1].source)
    assert.is_nil(stack[1].locals.first)
    local later = rt:at("i", 9).stack
    assert.equal(42, later[1].locals.first)
    assert.is_true(later[1].line > stack[1].line)
    assert.matches("stack traceback:\n\t.*at_spec.lua:%d+: in function", tostring(rt:at("i", 9)))
  end)

  it("is the same when it has ended, and then has no stack", function()
    started()
    assert(rt:raise_event("i", "approval", "yes"))
    assert.equal("yes", rt:wait("i", 10))
    assert.same({ step = 42, extra = { a = { 1, 2 } } }, rt:at("i", 9).kv)
    assert.equal(42, rt:at("i", 10).stack[1].locals.first)
    local last = assert(rt:at("i", 12))
    assert.same({ step = 42 }, last.kv)
    assert.same({}, last.stack)
    assert.same({}, last.pending.pending_events)
  end)

  it("is not touched: nothing is added to its history, and no activity runs again", function()
    local runs = 0
    rt:activity("double", function(_, n)
      runs = runs + 1
      return n * 2
    end)
    rt:orchestration("walk", walk)
    assert(rt:start("walk", nil, { id = "i" }))
    assert(rt:run_until_idle(10))
    for event_id = 1, 9 do assert(rt:at("i", event_id)) end
    assert(rt:run_until_idle(10))
    assert.equal(1, runs)
    assert.equal(9, #rt:history({ instance = "i" }).events)
    assert(rt:raise_event("i", "approval", "yes"))
    assert.equal("yes", rt:wait("i", 10))
  end)

  it("can be an earlier execution", function()
    rt:orchestration("counts", function(ctx, n)
      ctx.kv.n = n
      ctx:wait_event("next")
      ctx:continue_as_new(n + 1)
    end)
    assert(rt:start("counts", 1, { id = "c" }))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event("c", "next"))
    assert(rt:run_until_idle(10))
    assert.same({ n = 2 }, rt:at("c", 2).kv)
    assert.same({ n = 1 }, rt:at("c", 1).kv) -- carried over
    assert.same({ n = 1 }, rt:at("c", 3, { execution = 1 }).kv)
    assert.same({}, rt:at("c", 1, { execution = 1 }).kv)
  end)

  it("without code that fits has its state, and says why there is no stack", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    started()
    rt:close()
    rt = runtimes.open { path = path }
    local at = assert(rt:at("i", 9))
    assert.same({ step = 42, extra = { a = { 1, 2 } } }, at.kv)
    assert.is_nil(at.stack)
    assert.equal("not_registered", at.stack_error.code)
    rt:orchestration("walk", function(ctx) ctx:wait_event("other") end)
    at = assert(rt:at("i", 9))
    assert.same({ at = "approval" }, at.custom_status)
    assert.equal("nondeterminism", at.stack_error.code)
    assert.matches("at event 2", at.stack_error.message)
  end)

  it("refuses events that are not there", function()
    started()
    for _, event_id in ipairs { 0, 10, -1 } do
      local at, err = rt:at("i", event_id)
      assert.is_nil(at)
      assert.equal("invalid_argument", err.code)
    end
    local at, err = rt:at("nobody", 1)
    assert.is_nil(at)
    assert.equal("not_found", err.code)
  end)
end)
