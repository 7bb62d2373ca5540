local runtimes = require "spec.support.runtimes"


describe("terminating an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("ends it at once, and no code of it runs", function()
    local cleaned = false
    rt:orchestration("waits", function(ctx)
      pcall(ctx.wait_event, ctx, "never")
      cleaned = true
    end)
    local id = assert(rt:start("waits"))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:terminate(id, "stop it"))
    assert.equal("terminated", rt:status(id).status)
    local output, err = rt:wait(id, 10)
    assert.is_nil(output)
    assert.equal("terminated", err.code)
    assert.matches("stop it", err.message)
    assert.is_false(cleaned)
  end)

  it("ends its children too, and not what it started detached", function()
    rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("parent", function(ctx)
      ctx:start_orchestration("child", nil, { id = "detached" })
      ctx:sub_orchestration("child", nil, { id = "child" })
    end)
    local id = assert(rt:start("parent"))
    assert(rt:run_until_idle(10))
    assert(rt:terminate(id))
    assert(rt:run_until_idle(10))
    assert.equal("terminated", rt:status("child").status)
    assert.equal("running", rt:status("detached").status)
  end)

  it("drops the result of an activity that runs", function()
    local done
    rt:activity("long", function(ctx) done = ctx:async() end)
    rt:orchestration("waits", function(ctx) return ctx:activity("long") end)
    local id = assert(rt:start("waits", nil, { id = "t" }))
    runtimes.until_true(rt, function() return done end)
    assert(rt:terminate(id))
    done(nil, "too late")
    assert(rt:run_until_idle(10))
    assert.same({ "orchestration_started waits", "activity_scheduled long", "orchestration_terminated" },
      { runtimes.kinds(rt, "t")[1], runtimes.kinds(rt, "t")[2], runtimes.kinds(rt, "t")[#runtimes.kinds(rt, "t")] })
    assert.equal("terminated", rt:status(id).status)
  end)

  it("fails in a parent that waits for it", function()
    rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("parent", function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = "child" })
      return { ok, err.code }
    end)
    local id = assert(rt:start("parent"))
    assert(rt:run_until_idle(10))
    assert(rt:terminate("child"))
    assert.same({ false, "terminated" }, rt:wait(id, 10))
  end)

  it("that has ended is refused with finished, that never was with not_found", function()
    runtimes.run(rt, function() return "done" end, nil, { id = "done" })
    local ok, err = rt:terminate("done")
    assert.is_nil(ok)
    assert.equal("finished", err.code)
    ok, err = rt:terminate("nobody")
    assert.is_nil(ok)
    assert.equal("not_found", err.code)
  end)
end)
