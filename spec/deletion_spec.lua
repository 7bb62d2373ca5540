-- Deleting an instance: what goes with it, what stands in the way, and that its id is free afterwards.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local rt


local function refused(code, pattern, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
  assert.matches(pattern, err.message)
end


local function register(runtime)
  runtime:activity("work", function(_, input) return input end)
  runtime:orchestration("waits", function(ctx, input)
    ctx.kv.input = input
    return { input, ctx:wait_event("go") }
  end)
  runtime:orchestration("leaf", function(ctx, how)
    if how == "waits" then ctx:wait_event("go") end
    return "leaf"
  end)
  runtime:orchestration("middle", function(ctx, how)
    return ctx:sub_orchestration("leaf", how, { id = ctx.instance_id .. ".leaf" })
  end)
  runtime:orchestration("root", function(ctx, how)
    return ctx:sub_orchestration("middle", how, { id = ctx.instance_id .. ".middle" })
  end)
end


local function ids(filter)
  local list = rt:list_instances(filter):ids()
  table.sort(list)
  return table.concat(list, " ")
end


describe("deleting an instance", function()
  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("takes one that has ended, however it ended, and counts what went", function()
    runtimes.run(rt, function(ctx) return ctx:activity("work", 1) end, nil, { id = "completed" })
    runtimes.run(rt, function() error("no") end, nil, { id = "failed" })
    for _, id in ipairs { "cancelled", "terminated" } do assert(rt:start("waits", nil, { id = id })) end
    assert(rt:cancel("cancelled"))
    assert(rt:terminate("terminated"))
    assert(rt:run_until_idle(10))
    for id, events in pairs { completed = 4, failed = 2 } do
      assert.same({ instances_deleted = 1, executions_deleted = 1, events_deleted = events }, (rt:delete_instance(id)))
    end
    for _, id in ipairs { "cancelled", "terminated" } do
      assert.equal(1, rt:delete_instance(id).instances_deleted)
    end
    assert.equal("", ids())
  end)

  it("counts every execution", function()
    rt:orchestration("rounds", function(ctx, n) if n > 1 then ctx:continue_as_new(n - 1) end end)
    assert(rt:start("rounds", 3, { id = "r" }))
    rt:wait("r", 10)
    local r = assert(rt:delete_instance("r"))
    assert.same({ 1, 3, 6 }, { r.instances_deleted, r.executions_deleted, r.events_deleted })
  end)

  it("leaves nothing of it to be read", function()
    assert(rt:start("waits", "secret", { id = "w", attributes = { region = "eu" } }))
    assert(rt:raise_event("w", "go"))
    rt:wait("w", 10)
    assert(rt:delete_instance("w"))
    assert.equal("not_found", rt:status("w").status)
    assert.equal("not_found", rt:bulk_status({ "w" }).w.status)
    assert.equal(0, #rt:list_instances { attributes = { region = "eu" } })
    for _, read in ipairs { "wait", "details", "statistics", "descriptor", "export", "dependencies", "kv" } do
      refused("not_found", "'w'", rt[read](rt, "w"))
    end
    refused("not_found", "", rt:history { instance = "w" })
    refused("not_found", "'w'", rt:raise_event("w", "go"))
    refused("not_found", "'w'", rt:cancel("w"))
    refused("not_found", "'w'", rt:delete_instance("w"))
  end)

  it("is refused for one that is unknown or has not ended", function()
    refused("not_found", "'nobody'", rt:delete_instance("nobody"))
    assert(rt:start("waits", 1, { id = "w" }))
    assert(rt:start("waits", 2, { id = "later", delay = 60 }))
    assert(rt:run_until_idle(10))
    refused("running", "force", rt:delete_instance("w"))
    refused("running", "force", rt:delete_instance("later"))
    assert(rt:suspend("w"))
    refused("running", "force", rt:delete_instance("w"))
    assert(rt:resume("w"))
    assert(rt:raise_event("w", "go", "unharmed"))
    assert.same({ 1, "unharmed" }, rt:wait("w", 10))
  end)
end)


describe("deleting a tree", function()
  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  it("goes down to the last descendant, and leaves what was started detached", function()
    rt:orchestration("forks", function(ctx)
      ctx:start_orchestration("leaf", nil, { id = "detached" })
      ctx:join {
        ctx:schedule_sub_orchestration("root", nil, { id = "r" }), ctx:schedule_sub_orchestration("leaf"),
      }
    end)
    assert(rt:start("forks", nil, { id = "f" }))
    rt:wait("f", 10)
    assert(rt:run_until_idle(10))
    assert.equal(5, rt:delete_instance("f").instances_deleted)
    assert.equal("detached", ids())
  end)

  it("is refused while its root has not ended, also when the child has", function()
    rt:orchestration("goes_on", function(ctx)
      ctx:sub_orchestration("leaf", nil, { id = "kid" })
      return ctx:wait_event("go")
    end)
    assert(rt:start("goes_on", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert.equal("completed", rt:status("kid").status)
    refused("running", "parent", rt:delete_instance("kid"))
    assert(rt:raise_event("p", "go", "ended"))
    assert.equal("ended", rt:wait("p", 10))
    assert.equal(1, rt:delete_instance("kid").instances_deleted)
    assert.equal("p", ids())
    assert.equal(0, rt:dependencies("p").total_descendants)
    assert.equal(1, rt:delete_instance("p").instances_deleted)
  end)

  it("is forced upon a running one with all its children", function()
    assert(rt:start("root", "waits", { id = "r" }))
    assert(rt:run_until_idle(10))
    assert.equal("r r.middle r.middle.leaf", ids())
    refused("running", "force", rt:delete_instance("r"))
    assert.equal(3, rt:delete_instance("r", { force = true }).instances_deleted)
    assert.equal("", ids())
    assert(rt:run_until_idle(10))
    assert.equal("", ids())
  end)

  it("that is a running child by force tells its parent, which goes on", function()
    rt:orchestration("asks", function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "leaf", "waits", { id = "kid" })
      return { ok, err.code }
    end)
    assert(rt:start("asks", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert.equal(1, rt:delete_instance("kid", { force = true }).instances_deleted)
    local output = assert(rt:wait("p", 10))
    assert.is_false(output[1])
    assert.is_string(output[2])
  end)
end)


describe("deleting by force", function()
  before_each(function()
    rt = runtimes.open()
    register(rt)
  end)
  after_each(runtimes.clean)

  local waits = {
    activity = function(ctx) ctx:activity("never_ends") end,
    timer = function(ctx) ctx:sleep("1h") end,
    event = function(ctx) ctx:wait_event("never") end,
    retry = function(ctx) ctx:activity("fails", nil, { retry = { max_attempts = 9, initial = "1h" } }) end,
    condition = function(ctx) ctx:wait_until(function() return false end) end,
    nothing = function(ctx) for _ = 1, 30 do ctx:sleep(0) end end, -- between two turns
  }
  for what, fn in pairs(waits) do
    it("takes one that waits for its " .. what .. ", and its id begins anew", function()
      rt:activity("never_ends", function(ctx) ctx:sleep("1h") end)
      rt:activity("fails", function() error("again") end)
      rt:orchestration("busy", fn)
      assert(rt:start("busy", nil, { id = "b" }))
      rt:step()
      assert.equal(1, rt:delete_instance("b", { force = true }).instances_deleted)
      assert.equal("not_found", rt:status("b").status)
      assert.equal("b", rt:start("waits", "second", { id = "b" }))
      assert(rt:advance("2h"))
      assert.same({ "orchestration_started waits", "kv_set input", "event_subscribed go" }, runtimes.kinds(rt, "b"))
      assert(rt:raise_event("b", "go", "ran"))
      assert.same({ "second", "ran" }, rt:wait("b", 10))
    end)
  end

  it("drops the result of an activity that still runs, also for the one that comes after it", function()
    local done = {}
    rt:activity("slow", function(ctx) done[#done + 1] = ctx:async() end)
    rt:orchestration("asks", function(ctx) return ctx:activity("slow") end)
    assert(rt:start("asks", nil, { id = "a" }))
    runtimes.until_true(rt, function() return done[1] end, "the first one's activity")
    assert(rt:delete_instance("a", { force = true }))
    assert(rt:start("asks", nil, { id = "a" }))
    runtimes.until_true(rt, function() return done[2] end, "the second one's activity")
    done[1](nil, "of the first")
    assert(rt:step())
    assert.equal("running", rt:status("a").status)
    done[2](nil, "of the second")
    assert.equal("of the second", rt:wait("a", 10))
  end)

  it("ends a wait for it with not_found", function()
    local seen
    rt:activity("waits_for_it", function(ctx)
      local output, err = ctx.runtime:wait("w", 10)
      seen = output == nil and err.code
    end)
    rt:activity("deletes_it", function(ctx) return ctx.runtime:delete_instance("w", { force = true }) end)
    assert(rt:start("waits", nil, { id = "w" }))
    assert.equal(1, (runtimes.run(rt, function(ctx)
      return ctx:join { ctx:schedule_activity("waits_for_it"), ctx:schedule_activity("deletes_it") }[2]
    end)).instances_deleted)
    assert.equal("not_found", seen)
  end)

  it("leaves the runtime at work", function()
    for i = 1, 5 do assert(rt:start("waits", i, { id = "w" .. i })) end
    assert(rt:run_until_idle(10))
    for i = 1, 5 do assert(rt:delete_instance("w" .. i, { force = true })) end
    for i = 1, 10 do assert.equal(i, runtimes.run(rt, function(ctx, n) return ctx:activity("work", n) end, i)) end
  end)

  it("twice at once happens once", function()
    rt:activity("deletes_it", function(ctx)
      local result, err = ctx.runtime:delete_instance("w", { force = true })
      return result and "deleted" or err.code
    end)
    assert(rt:start("waits", nil, { id = "w" }))
    local outcomes = assert(runtimes.run(rt, function(ctx)
      local tasks = {}
      for i = 1, 4 do tasks[i] = ctx:schedule_activity("deletes_it") end
      return ctx:join(tasks)
    end))
    table.sort(outcomes)
    assert.same({ "deleted", "not_found", "not_found", "not_found" }, outcomes)
  end)
end)


describe("a deletion in a file", function()
  after_each(runtimes.clean)

  it("is there after the file was opened again, and nothing of the tree comes back", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:start("root", "waits", { id = "r" }))
    assert(rt:start("waits", nil, { id = "kept" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert.equal(3, rt:delete_instance("r", { force = true }).instances_deleted)
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:run_until_idle(10))
    assert.equal("kept", ids())
    assert.equal("r", rt:start("waits", "anew", { id = "r" }))
    assert(rt:raise_event("r", "go", "on"))
    assert.same({ "anew", "on" }, rt:wait("r", 10))
  end)

  it("of a tree that was replaced by a start is one transaction with it", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:start("root", nil, { id = "r" }))
    assert.equal("leaf", rt:wait("r", 10))
    assert.equal("r", rt:start("waits", "new", { id = "r", on_conflict = "replace_finished" }))
    assert.equal("r", ids())
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert.equal("r", ids())
    assert.equal("waits", rt:descriptor("r").name)
    assert.is_nil(rt:descriptor("r").parent_instance)
    assert(rt:raise_event("r", "go", "on"))
    assert.same({ "new", "on" }, rt:wait("r", 10))
  end)

  it("works from a client beside the owner's file when nobody owns it: unavailable", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:start("leaf", nil, { id = "l" }))
    rt:wait("l", 10)
    rt:close()
    local client = assert(duro.open { path = path, role = "client" })
    refused("unavailable", "", client:delete_instance("l"))
    assert.equal("completed", client:status("l").status)
    client:close()
  end)
end)
