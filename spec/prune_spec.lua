-- Retention over many instances: past executions go, current ones stay.

local runtimes = require "spec.support.runtimes"


describe("pruning", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("rounds", function(ctx, n)
      ctx:sleep(60)
      if n > 1 then ctx:continue_as_new(n - 1) end
    end)
    rt:orchestration("other", function(ctx, n)
      if n > 1 then ctx:continue_as_new(n - 1) end
    end)
    for i = 1, 3 do assert(rt:start("rounds", 4, { id = "r" .. i })) end
    assert(rt:start("other", 3, { id = "o" }))
    assert(rt:advance("1h"))
  end)
  after_each(runtimes.clean)

  it("needs to know what to keep, and a filter that is one", function()
    local r, err = rt:prune {}
    assert.is_nil(r)
    assert.equal("invalid_argument", err.code)
    r, err = rt:prune { keep_last = 1, filter = { status = "runing" } }
    assert.is_nil(r)
    assert.equal("invalid_argument", err.code)
    assert.error_matches(function() rt:prune { keep = 1 } end, "unknown option 'keep'")
  end)

  it("keeps the last executions of each", function()
    local r = assert(rt:prune { keep_last = 2 })
    assert.same({ 4, 3 * 2 + 1 }, { r.instances_pruned, r.executions_deleted })
    assert.is_true(r.events_deleted > 0)
    assert.same({ 3, 4 }, rt:list_executions("r1"))
    assert.same({ 2, 3 }, rt:list_executions("o"))
    assert.equal(0, rt:prune({ keep_last = 2 }).executions_deleted)
    assert.equal("completed", rt:status("r1").status)
  end)

  it("keeps to a filter and a time", function()
    local second = rt:details("r1").executions[2]
    local r = assert(rt:prune { completed_before = second.completed_at, filter = { name = "rounds" } })
    assert.same({ 3, 3 }, { r.instances_pruned, r.executions_deleted })
    assert.same({ 2, 3, 4 }, rt:list_executions("r2"))
    assert.same({ 1, 2, 3 }, rt:list_executions("o"))
  end)

  it("keeps of one instance what is asked for", function()
    assert.same({ executions_deleted = 1, events_deleted = rt:details("r1").executions[1].event_count },
      rt:prune_executions("r1", { keep_last = 3 }))
    assert.same({ 2, 3, 4 }, rt:list_executions("r1"))
    assert.same({ 1, 2, 3, 4 }, rt:list_executions("r2"))
    local _, err = rt:prune_executions("nobody", { keep_last = 3 })
    assert.equal("not_found: no instance 'nobody'", tostring(err))
    _, err = rt:prune_executions("r1", {})
    assert.equal("invalid_argument", err.code)
  end)

  it("goes on beyond one page", function()
    local starts = {}
    for i = 1, 450 do starts[i] = { name = "other", input = 2 } end
    assert(rt:start_many(starts))
    assert(rt:run_until_idle(10))
    local r = assert(rt:prune { keep_last = 1, filter = { name = "other" } })
    assert.same({ 451, 452 }, { r.instances_pruned, r.executions_deleted })
  end)
end)
