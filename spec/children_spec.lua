local runtimes = require "spec.support.runtimes"


describe("a sub-orchestration", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("gives its output to its parent", function()
    rt:orchestration("child", function(_, input) return { got = input } end)
    assert.same({ got = "x" }, runtimes.run(rt, function(ctx) return ctx:sub_orchestration("child", "x") end))
  end)

  it("has the id {parent}::{execution}::{event}, and knows its parent", function()
    rt:orchestration("child", function(ctx) return { ctx.instance_id, ctx.parent_instance, ctx.name } end)
    local output = runtimes.run(rt, function(ctx) return ctx:sub_orchestration("child") end, nil, { id = "p" })
    assert.same({ "p::1::2", "p", "child" }, output)
    assert.same({ name = "child", version = "1.0.0", parent_instance = "p", parent_id = 2 },
      rt:descriptor("p::1::2"))
    assert.equal("p", rt:list_instances({ parent_instance = "p" })[1].parent_instance)
  end)

  it("may have an id of its own", function()
    rt:orchestration("child", function(ctx) return ctx.instance_id end)
    assert.equal("mine", runtimes.run(rt, function(ctx)
      return ctx:sub_orchestration("child", nil, { id = "mine" })
    end))
  end)

  it("whose id is taken is a failure that the parent sees", function()
    rt:orchestration("child", function() return "fine" end)
    assert(rt:start("child", nil, { id = "taken" }))
    rt:wait("taken", 10)
    local output = runtimes.run(rt, function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = "taken" })
      return { ok, err.code }
    end)
    assert.same({ false, "already_exists" }, output)
  end)

  it("has an id that stays taken when it has ended a moment ago", function()
    for _, clock in ipairs { "virtual", "system" } do
      local runtime = runtimes.open { clock = clock }
      runtime:orchestration("child", function() return "fine" end)
      runtime:orchestration("parent", function(ctx, round)
        ctx:start_orchestration("child", nil, { id = "free" })
        local ok, err = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = "mine" })
        if not round then ctx:continue_as_new(2) end
        return { ok, err.code }
      end)
      local id = assert(runtime:start("parent"))
      assert.same({ false, "already_exists" }, runtime:wait(id, 10))
      assert.equal(3, #runtime:list_instances())
    end
  end)

  it("raises its failure in the parent", function()
    rt:orchestration("child", function() error { code = "empty", message = "nothing there", data = { 1 } } end)
    local output = runtimes.run(rt, function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "child")
      return { ok, err.code, err.message, err.data }
    end)
    assert.same({ false, "empty", "nothing there", { 1 } }, output)
  end)

  it("may be nested", function()
    rt:orchestration("factorial", function(ctx, n)
      if n <= 1 then return 1 end
      return n * ctx:sub_orchestration("factorial", n - 1)
    end)
    assert.equal(120, rt:wait(assert(rt:start("factorial", 5, { id = "f" })), 10))
    assert.equal(5, #rt:list_instances { id_prefix = "f" })
  end)

  it("runs beside its siblings", function()
    rt:orchestration("child", function(ctx, n)
      ctx:sleep(10)
      return n
    end)
    rt:orchestration("parent", function(ctx)
      local before, tasks = ctx:now(), {}
      for i = 1, 20 do tasks[i] = ctx:schedule_sub_orchestration("child", i) end
      local sum = 0
      for _, n in ipairs(ctx:join(tasks)) do sum = sum + n end
      return { sum, ctx:now() - before }
    end)
    assert.same({ 210, 10 }, runtimes.finish(rt, "parent"))
  end)

  it("is tried again under a retry policy, each time as a new instance", function()
    local runs = 0
    rt:orchestration("flaky", { guard = false }, function()
      runs = runs + 1
      if runs < 3 then error("not yet") end
      return "done"
    end)
    rt:orchestration("parent", function(ctx)
      return ctx:sub_orchestration("flaky", nil, { retry = { max_attempts = 3 } })
    end)
    assert.equal("done", runtimes.finish(rt, "parent"))
    assert.equal(3, runs)
  end)

  it("that takes too long is cancelled, and the parent sees a timeout", function()
    rt:orchestration("slow", function(ctx) ctx:sleep("1h") end)
    rt:orchestration("parent", function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "slow", nil, { timeout = 60, id = "slow-1" })
      return { ok, err.code }
    end)
    assert.same({ false, "timeout" }, runtimes.finish(rt, "parent"))
    assert.equal("cancelled", rt:status("slow-1").status)
  end)

  it("that is cancelled by hand fails in its parent with code cancelled", function()
    rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("parent", function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = "child-1" })
      return { ok, err.code }
    end)
    local id = assert(rt:start("parent"))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("child-1", "by hand"))
    assert.same({ false, "cancelled" }, rt:wait(id, 10))
  end)

  it("keeps its parent across its own continue-as-new", function()
    rt:orchestration("child", function(ctx, n)
      if n < 3 then ctx:continue_as_new(n + 1) end
      return { n, ctx.parent_instance, ctx.execution_id }
    end)
    local output = runtimes.run(rt, function(ctx) return ctx:sub_orchestration("child", 1) end, nil, { id = "p" })
    assert.same({ 3, "p", 3 }, output)
  end)

  it("is deleted with its parent, and not alone", function()
    rt:orchestration("leaf", function() end)
    rt:orchestration("child", function(ctx) ctx:sub_orchestration("leaf") end)
    runtimes.run(rt, function(ctx)
      ctx:sub_orchestration("child", nil, { id = "c1" })
      ctx:sub_orchestration("child", nil, { id = "c2" })
    end, nil, { id = "p" })
    assert.equal(5, rt:delete_instance("p").instances_deleted)
    for _, id in ipairs { "p", "c1", "c2" } do assert.equal("not_found", rt:status(id).status) end
    assert.equal(0, #rt:list_instances())
  end)
end)


describe("a detached instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("goes on when the one that started it has ended", function()
    rt:orchestration("detached", function(ctx)
      ctx:sleep(60)
      return "detached"
    end)
    rt:orchestration("starter", function(ctx)
      return ctx:start_orchestration("detached", nil, { id = "d" })
    end)
    local id = assert(rt:start("starter"))
    assert.equal("d", rt:wait(id, 10))
    assert.equal("running", rt:status("d").status)
    assert(rt:advance(60))
    assert.equal("detached", rt:wait("d", 10))
    assert.is_nil(rt:descriptor("d").parent_instance)
  end)

  it("gets an id when none is named, the same on replay", function()
    local replaying = runtimes.open { debug = { replay_every_turn = true } }
    replaying:orchestration("detached", function() return "ran" end)
    replaying:orchestration("starter", function(ctx)
      local id = ctx:start_orchestration("detached")
      ctx:sleep(1)
      return id
    end)
    local id = runtimes.finish(replaying, "starter")
    assert.equal("ran", replaying:wait(id, 10))
  end)

  it("is not cancelled with the one that started it", function()
    rt:orchestration("detached", function(ctx) ctx:wait_event("go") end)
    rt:orchestration("starter", function(ctx)
      ctx:start_orchestration("detached", nil, { id = "d" })
      ctx:wait_event("never")
    end)
    local id = assert(rt:start("starter"))
    assert(rt:run_until_idle(10))
    assert(rt:cancel(id))
    assert(rt:run_until_idle(10))
    assert.equal("cancelled", rt:status(id).status)
    assert.equal("running", rt:status("d").status)
  end)
end)
