-- Cancelling: who hears of it, what it stops, what it leaves alone, and what a lost race cancels.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


-- An activity that works until it is told that nobody wants it; `seen` hears how it ended.
local function patient(seen)
  return function(ctx)
    seen.began = (seen.began or 0) + 1
    while not ctx:is_cancelled() do
      if not ctx:sleep("1h") then break end
    end
    seen.told = (seen.told or 0) + 1
    return "too late"
  end
end


local function kinds_of(rt, id)
  local kinds = {}
  for _, event in ipairs(rt:history({ instance = id }).events) do kinds[event.kind] = (kinds[event.kind] or 0) + 1 end
  return kinds
end


describe("a cancelled parent", function()
  after_each(runtimes.clean)

  ways("cancels all of its children with its reason, and theirs", function(open)
    local rt = open()
    rt:orchestration("leaf", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("child", function(ctx)
      ctx:sub_orchestration("leaf", nil, { id = ctx.instance_id .. ".leaf" })
    end)
    rt:orchestration("parent", function(ctx)
      local tasks = {}
      for i = 1, 5 do tasks[i] = ctx:schedule_sub_orchestration("child", nil, { id = "kid" .. i }) end
      ctx:join(tasks)
    end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("p", "closed for today"))
    assert(rt:run_until_idle(10))
    for _, id in ipairs { "p", "kid1", "kid5", "kid1.leaf", "kid5.leaf" } do
      local status = rt:status(id)
      assert.equal("cancelled", status.status)
      assert.equal("cancelled", status.error.code)
      assert.matches("closed for today", status.error.message)
    end
    assert.equal(5, kinds_of(rt, "p").sub_orchestration_cancelled)
  end)

  ways("lets a child clean up, while itself has ended", function(open)
    local rt = open()
    local cleaned = {}
    rt:activity("clean_up", function(_, what) cleaned[#cleaned + 1] = what end)
    rt:orchestration("child", function(ctx)
      if not pcall(ctx.wait_event, ctx, "never") then
        ctx:sleep(10)
        ctx:activity("clean_up", "the child's room")
      end
    end)
    rt:orchestration("parent", function(ctx) ctx:sub_orchestration("child", nil, { id = "kid" }) end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("p"))
    assert(rt:run_until_idle(10))
    assert.same({ "cancelled", "running" }, { rt:status("p").status, rt:status("kid").status })
    assert(rt:advance(20))
    assert.equal("cancelled", rt:status("kid").status)
    assert.same({ "the child's room" }, cleaned)
  end)

  ways("that caught a child's cancellation itself completes", function(open)
    local rt = open()
    rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("parent", function(ctx)
      local ok, err = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = "kid" })
      return { ok, err.code, err.message }
    end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("kid", "by a test"))
    assert.same({ false, "cancelled", "by a test" }, rt:wait("p", 10))
    assert.equal(1, kinds_of(rt, "p").sub_orchestration_failed)
  end)
end)


describe("cancelling", function()
  after_each(runtimes.clean)

  it("what has ended changes nothing", function()
    local rt = runtimes.open()
    runtimes.run(rt, function() return "done" end, nil, { id = "d" })
    local before = rt:history({ instance = "d" }).events
    local _, err = rt:cancel("d", "too late")
    assert.equal("finished", err.code)
    assert.equal("done", rt:wait("d", 10))
    assert.equal(#before, #rt:history({ instance = "d" }).events)
  end)

  it("who never was makes nobody", function()
    local rt = runtimes.open()
    local _, err = rt:cancel("nobody")
    assert.equal("not_found", err.code)
    assert.equal("not_found", rt:status("nobody").status)
    assert.equal(0, #rt:list_instances())
  end)

  it("five times is once, for the first reason", function()
    local rt = runtimes.open()
    local caught = 0
    rt:orchestration("cleans", function(ctx)
      for _ = 1, 6 do
        if not pcall(ctx.sleep, ctx, 60) then caught = caught + 1 end
      end
    end)
    assert(rt:start("cleans", nil, { id = "c" }))
    assert(rt:run_until_idle(10))
    for i = 1, 5 do assert.is_true(rt:cancel("c", "reason " .. i)) end
    assert(rt:advance("1h"))
    assert.equal(1, caught)
    assert.matches("reason 1", rt:status("c").error.message)
    assert.equal(1, kinds_of(rt, "c").cancel_requested)
  end)

  it("is not lost with the process: a restart finds it", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    local function cleans(ctx)
      local ok, err = pcall(ctx.wait_event, ctx, "never")
      ctx.kv.seen = { ok, err.code }
      ctx:sleep(60)
    end
    rt:orchestration("cleans", cleans)
    assert(rt:start("cleans", nil, { id = "c" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("c", "before the restart"))
    rt:close()
    rt = runtimes.open { path = path }
    rt:orchestration("cleans", cleans)
    assert(rt:advance(100))
    local _, err = rt:wait("c", 10)
    assert.same({ "cancelled", "before the restart" }, { err.code, err.message })
    assert.same({ false, "cancelled" }, rt:kv("c", "seen"))
  end)

  it("reaches an instance whose code is not here when that is registered again", function()
    local rt = runtimes.open()
    assert(rt:start("elsewhere", nil, { id = "e" }))
    assert(rt:run_until_idle(10))
    assert.equal("stalled", rt:status("e").status)
    assert(rt:cancel("e", "early"))
    local ran = false
    rt:orchestration("elsewhere", { guard = false }, function() ran = true end)
    assert.equal("cancelled", select(2, rt:wait("e", 10)).code)
    assert.is_false(ran)
  end)
end)


describe("a cancelled activity", function()
  after_each(runtimes.clean)

  it("is told so when its instance is cancelled, and its result is dropped", function()
    local rt = runtimes.open()
    local seen = {}
    rt:activity("patient", patient(seen))
    rt:orchestration("asks", function(ctx) return ctx:activity("patient") end)
    assert(rt:start("asks", nil, { id = "a" }))
    runtimes.until_true(rt, function() return seen.began end, "the activity runs")
    assert(rt:cancel("a"))
    assert.equal("cancelled", select(2, rt:wait("a", 10)).code)
    runtimes.until_true(rt, function() return seen.told end, "the activity is told")
    assert(rt:run_until_idle(10))
    assert.is_nil(kinds_of(rt, "a").activity_completed)
    assert.equal(1, kinds_of(rt, "a").activity_cancelled)
  end)

  it("is told so when it loses a select, its task is given up, or its function returns without it", function()
    local endings = {
      lost = function(ctx, task) ctx:select { task, ctx:schedule_timer(10) } end,
      given_up = function(ctx, task)
        ctx:sleep(10)
        task:cancel()
        ctx:sleep(10)
      end,
      left = function(ctx) ctx:sleep(10) end,
    }
    for id, ending in pairs(endings) do
      local rt = runtimes.open()
      local seen = {}
      rt:activity("patient", patient(seen))
      rt:orchestration("asks", function(ctx)
        ending(ctx, ctx:schedule_activity("patient"))
        return "went on"
      end)
      assert(rt:start("asks", nil, { id = id }))
      runtimes.until_true(rt, function() return seen.began end, "the activity runs")
      assert(rt:advance(30))
      assert.equal("went on", rt:wait(id, 10))
      runtimes.until_true(rt, function() return seen.told end, "the activity is told")
      assert(rt:run_until_idle(10))
      assert.same({ 1, nil }, { kinds_of(rt, id).activity_cancelled, kinds_of(rt, id).activity_completed })
    end
  end)

  it("never runs when it still waited for its place", function()
    local rt = runtimes.open { activity_concurrency = 1 }
    local seen, ran = {}, false
    rt:activity("patient", patient(seen))
    rt:activity("second", function() ran = true end)
    rt:orchestration("first", function(ctx) ctx:activity("patient") end)
    rt:orchestration("asks", function(ctx) ctx:activity("second") end)
    assert(rt:start("first", nil, { id = "f" }))
    runtimes.until_true(rt, function() return seen.began end, "the first activity runs")
    assert(rt:start("asks", nil, { id = "a" }))
    assert(rt:cancel("a"))
    assert.equal("cancelled", select(2, rt:wait("a", 10)).code)
    assert(rt:cancel("f"))
    assert(rt:run_until_idle(10))
    assert.is_false(ran)
  end)

  it("may finish after its instance has completed or failed, and nobody minds", function()
    for what, ending in pairs { completed = function() return "early" end, failed = function() error("early") end } do
      local rt = runtimes.open()
      local done
      rt:activity("slow", function(ctx) done = ctx:async() end)
      rt:orchestration("ends", function(ctx)
        ctx:schedule_activity("slow")
        ctx:wait_event("end")
        return ending()
      end)
      assert(rt:start("ends", nil, { id = "e" }))
      runtimes.until_true(rt, function() return done end, "the activity runs")
      assert(rt:raise_event("e", "end"))
      runtimes.until_true(rt, function() return rt:status("e").status == what end, "the instance ends")
      done(nil, "kept for nobody")
      assert(rt:run_until_idle(10))
      assert.equal(what, rt:status("e").status)
      assert.is_nil(kinds_of(rt, "e").activity_completed)
    end
  end)
end)


describe("a child that nobody waits for any more", function()
  after_each(runtimes.clean)

  local ends = {
    ["that lost a select"] = function(ctx, task) return (ctx:select { task, ctx:schedule_timer(10) }) end,
    ["that was given up"] = function(ctx, task)
      ctx:sleep(10)
      return tostring(task:cancel())
    end,
    ["whose parent returned"] = function(ctx)
      ctx:sleep(10)
      return "returned"
    end,
  }
  for what, ending in pairs(ends) do
    for how, options in pairs { ["an id of its own"] = { id = "kid" }, ["a derived id"] = {} } do
      ways(what .. ", with " .. how .. ", is cancelled; the parent completes", function(open)
        local rt = open()
        rt:orchestration("child", function(ctx) ctx:wait_event("never") end)
        rt:orchestration("parent", function(ctx)
          local task = ctx:schedule_sub_orchestration("child", nil, options)
          return ending(ctx, task)
        end)
        assert(rt:start("parent", nil, { id = "p" }))
        assert(rt:advance(20))
        assert.equal("completed", rt:status("p").status)
        local kid = options.id or "p::1::2"
        assert.equal("cancelled", rt:status(kid).status)
        assert.is_string(rt:status(kid).error.message)
        assert.equal(1, kinds_of(rt, "p").sub_orchestration_cancelled)
      end)
    end
  end

  ways("may be cancelled by a person at the same time: it is once, for the first reason", function(open)
    local rt = open()
    rt:orchestration("child", function(ctx)
      pcall(ctx.wait_event, ctx, "never")
      ctx:sleep(1)
    end)
    rt:orchestration("parent", function(ctx)
      local task = ctx:schedule_sub_orchestration("child", nil, { id = "kid" })
      ctx:wait_event("go")
      task:cancel()
      return "went on"
    end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert(rt:run_until_idle(10))
    assert(rt:cancel("kid", "by a person"))
    assert(rt:raise_event("p", "go"))
    assert(rt:advance(5))
    assert.equal("went on", rt:wait("p", 10))
    assert.same({ "cancelled", "by a person" }, { rt:status("kid").status, rt:status("kid").error.message })
    assert.equal(1, kinds_of(rt, "kid").cancel_requested)
  end)

  ways("that had completed before is not cancelled", function(open)
    local rt = open()
    rt:orchestration("child", function() return "done" end)
    rt:orchestration("parent", function(ctx)
      ctx:schedule_sub_orchestration("child", nil, { id = "kid" })
      ctx:sleep(10)
      return "returned"
    end)
    assert.equal("returned", runtimes.finish(rt, "parent", nil, "1m", { id = "p" }))
    assert.equal("completed", rt:status("kid").status)
    assert.is_nil(kinds_of(rt, "p").sub_orchestration_cancelled)
  end)
end)
