-- Keeping a file small: finished instances deleted by age and in rounds, past executions pruned, and none
-- of it touches what still runs.

local runtimes = require "spec.support.runtimes"

local rt


local function ids(filter)
  local list = rt:list_instances(filter):ids()
  table.sort(list)
  return table.concat(list, " ")
end


-- Two that end now, two that end an hour later, each with a child, and one that runs.
local function fill()
  rt = runtimes.open()
  rt:orchestration("kid", function() end)
  rt:orchestration("ends", function(ctx, seconds)
    ctx:sub_orchestration("kid", nil, { id = ctx.instance_id .. ".kid" })
    ctx:sleep(seconds)
  end)
  rt:orchestration("rounds", function(ctx, n)
    if n == 1 then return ctx:wait_event("end") end
    ctx:continue_as_new(n - 1)
  end)
  for id, seconds in pairs { a = 0, b = 0, c = 3600, d = 3600 } do assert(rt:start("ends", seconds, { id = id })) end
  assert(rt:start("rounds", 4, { id = "r" }))
  assert(rt:advance(0))
  local between = rt:now() + 1800
  assert(rt:advance(3600))
  return between
end


describe("deleting what has ended", function()
  after_each(runtimes.clean)

  it("by age takes what ended before, with its children", function()
    local between = fill()
    local function old(cutoff)
      return { filter = { completed_before = cutoff, has_parent = false } }
    end
    assert.equal(0, #rt:delete_instances(old(between - 3600)).deleted_instances)
    assert.equal(2, #rt:delete_instances(old(between)).deleted_instances)
    assert.equal("c c.kid d d.kid r", ids())
    assert.equal(2, #rt:delete_instances(old(rt:now() + 1)).deleted_instances)
    assert.equal("r", ids())
  end)

  it("in rounds of so many comes to an end", function()
    fill()
    local choice = { filter = { status = "completed", has_parent = false }, max_instances = 3 }
    local counts = {}
    for i = 1, 3 do counts[i] = #rt:delete_instances(choice).deleted_instances end
    assert.same({ 3, 1, 0 }, counts)
    assert.equal("r", ids())
  end)

  it("leaves the running alone, and says so of those that were named", function()
    fill()
    assert(rt:start("ends", 60, { id = "busy" }))
    assert(rt:run_until_idle(10))
    local r = assert(rt:delete_instances { instances = { "a", "busy", "b", "r" } })
    assert.same({ "a", "b" }, r.deleted_instances)
    assert.same({ "busy", "r" }, { r.failed_instances[1].instance_id, r.failed_instances[2].instance_id })
    for _, failed in ipairs(r.failed_instances) do assert.equal("running", failed.error.code) end
    assert(rt:advance(60))
    assert.equal("completed", rt:status("busy").status)
  end)

  it("frees the ids", function()
    fill()
    assert(rt:delete_instances { filter = { status = "completed" } })
    for _, id in ipairs { "a", "b", "a.kid" } do
      assert.equal(id, rt:start("kid", nil, { id = id }))
      assert.is_nil((rt:wait(id, 10)))
      assert.equal("completed", rt:status(id).status)
    end
  end)
end)


describe("pruning all", function()
  after_each(runtimes.clean)

  it("reaches running instances, which go on", function()
    fill()
    assert.same({ 1, 2, 3, 4 }, rt:list_executions("r"))
    local r = assert(rt:prune { keep_last = 1 })
    assert.same({ 1, 3 }, { r.instances_pruned, r.executions_deleted })
    assert.same({ 4 }, rt:list_executions("r"))
    assert.equal("running", rt:status("r").status)
    assert.equal("a a.kid b b.kid c c.kid d d.kid r", ids())
    assert(rt:raise_event("r", "end", "unharmed"))
    assert.equal("unharmed", rt:wait("r", 10))
  end)
end)
