local duro = require "duro"
local runtimes = require "spec.support.runtimes"


describe("cancelling an instance", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  -- Starts it, lets it wait, cancels it, and gives its end: nil, err.
  local function cancelled(fn, reason)
    rt:orchestration("under_test", { replace = true }, fn)
    local id = assert(rt:start("under_test", nil, { id = "x" }))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:cancel(id, reason))
    return rt:wait(id, 10)
  end

  it("raises a catchable error at its wait, and ends it as cancelled", function()
    local seen
    local output, err = cancelled(function(ctx)
      local ok, problem = pcall(ctx.wait_event, ctx, "never")
      seen = { ok, problem.code }
      error(problem)
    end, "not needed")
    assert.same({ false, "cancelled" }, seen)
    assert.is_nil(output)
    assert.equal("cancelled", err.code)
    assert.matches("not needed", err.message)
    assert.equal("cancelled", rt:status("x").status)
  end)

  it("ends it as cancelled whatever it then returns or raises", function()
    local _, err = cancelled(function(ctx)
      pcall(ctx.sleep, ctx, "1h")
      return "a fine result"
    end)
    assert.equal("cancelled", err.code)
    rt:delete_instance("x")
    _, err = cancelled(function(ctx)
      pcall(ctx.sleep, ctx, "1h")
      error { code = "other", message = "another error" }
    end)
    assert.equal("cancelled", err.code)
  end)

  it("lets it clean up with further activities", function()
    local cleaned
    rt:activity("clean_up", function(_, what) cleaned = what return "cleaned" end)
    rt:orchestration("cleans", function(ctx)
      local ok = pcall(ctx.sleep, ctx, "1h")
      if not ok then
        ctx:sleep(5)
        ctx:activity("clean_up", "the room")
      end
    end)
    local id = assert(rt:start("cleans"))
    assert(rt:run_until_idle(10))
    assert(rt:cancel(id))
    assert(rt:advance(10))
    assert.equal("cancelled", rt:status(id).status)
    assert.equal("the room", cleaned)
  end)

  it("is seen once, at the current wait, also in each spawned block", function()
    local seen = {}
    local _, err = cancelled(function(ctx)
      local function block(name)
        local ok, problem = pcall(ctx.wait_event, ctx, name)
        seen[#seen + 1] = name .. ":" .. tostring(ok) .. ":" .. problem.code
      end
      local a, b = ctx:spawn(block, "a"), ctx:spawn(block, "b")
      local ok, problem = pcall(ctx.join, ctx, { a, b })
      seen[#seen + 1] = "main:" .. tostring(ok) .. ":" .. problem.code
      ctx:join { a, b }
    end)
    assert.equal("cancelled", err.code)
    table.sort(seen)
    assert.same({ "a:false:cancelled", "b:false:cancelled", "main:false:cancelled" }, seen)
  end)

  it("is seen in each spawned block also when the main function ends first", function()
    local seen
    local ends = {
      returns = function() return "whatever" end,
      raises = function() error("whatever") end,
      ["cannot be stored"] = function() return print end,
      ["continues as new"] = function(ctx) ctx:continue_as_new("whatever") end,
    }
    for how, ending in pairs(ends) do
      seen = {}
      local function fn(ctx)
        local function block(name)
          local ok, problem = pcall(ctx.wait_event, ctx, name)
          seen[#seen + 1] = name .. ":" .. tostring(ok) .. ":" .. problem.code .. ":" .. problem.message
          ctx.kv[name] = "cleaned"
          ctx:activity("never_begun", name) -- the main function has ended: nobody waits any more
          seen[#seen + 1] = "went on"
        end
        ctx:spawn(block, "a")
        local polls = ctx:spawn(function()
          local _, problem = pcall(ctx.wait_until, ctx, function() return false end)
          seen[#seen + 1] = "p:" .. problem.code
        end)
        ctx:spawn(function() polls:await() seen[#seen + 1] = "went on" end)
        ctx:spawn(block, "b")
        pcall(ctx.sleep, ctx, "1h")
        seen[#seen + 1] = "main"
        ending(ctx)
      end
      local _, err = cancelled(fn, "no more")
      assert.equal("cancelled", err.code, how)
      assert.same({ "main", "a:false:cancelled:no more", "p:cancelled", "b:false:cancelled:no more" }, seen, how)
      assert.same({ a = "cleaned", b = "cleaned" }, rt:kv("x"))
      assert.same({ ok = true }, duro.replay(rt:export("x"), fn))
      assert.is_true(rt:delete_instance("x").instances_deleted == 1)
    end
  end)

  it("is not seen by a block that the main function has given up, nor by one that it spawns then", function()
    local seen = {}
    local _, err = cancelled(function(ctx)
      local block = ctx:spawn(function()
        local _, problem = pcall(ctx.wait_event, ctx, "never")
        seen[#seen + 1] = "block " .. problem.code
      end)
      pcall(ctx.sleep, ctx, "1h")
      block:cancel()
      ctx:spawn(function() seen[#seen + 1] = "spawned afterwards" end)
    end)
    assert.equal("cancelled", err.code)
    assert.same({}, seen)
  end)

  it("cancels its children, and theirs", function()
    rt:orchestration("leaf", function(ctx) ctx:wait_event("never") end)
    rt:orchestration("child", function(ctx) ctx:sub_orchestration("leaf", nil, { id = "leaf" }) end)
    cancelled(function(ctx) ctx:sub_orchestration("child", nil, { id = "child" }) end)
    assert(rt:run_until_idle(10))
    assert.equal("cancelled", rt:status("child").status)
    assert.equal("cancelled", rt:status("leaf").status)
  end)

  it("wakes a running activity, and drops its result", function()
    local seen
    rt:activity("long", function(ctx)
      ctx:sleep("1h")
      seen = ctx:is_cancelled()
      return "too late"
    end)
    local _, err = cancelled(function(ctx) ctx:activity("long") end)
    assert.equal("cancelled", err.code)
    assert(rt:run_until_idle(10))
    assert.is_true(seen)
    for _, kind in ipairs(runtimes.kinds(rt, "x")) do assert.not_equal("activity_completed", kind) end
  end)

  it("cancels a select and what it waits for", function()
    local _, err = cancelled(function(ctx)
      ctx:select { ctx:schedule_timer("1h"), ctx:schedule_wait("never") }
    end)
    assert.equal("cancelled", err.code)
    local kinds = {}
    for _, kind in ipairs(runtimes.kinds(rt, "x")) do kinds[kind:match("^%S+")] = true end
    assert.is_true(kinds.cancel_requested and kinds.timer_cancelled and kinds.event_subscription_cancelled)
  end)

  it("a second time changes nothing", function()
    rt:orchestration("slow_cleanup", function(ctx)
      pcall(ctx.wait_event, ctx, "never")
      ctx:sleep(60)
    end)
    local id = assert(rt:start("slow_cleanup"))
    assert(rt:run_until_idle(10))
    assert.is_true(rt:cancel(id, "first"))
    assert.is_true(rt:cancel(id, "second"))
    assert(rt:advance(61))
    local _, err = rt:wait(id, 10)
    assert.equal("cancelled", err.code)
    assert.matches("first", err.message)
  end)

  it("before its first turn means that no code runs", function()
    local ran = false
    rt:orchestration("starts", function() ran = true end)
    local id = assert(rt:start("starts", nil, { delay = 60 }))
    assert(rt:cancel(id, "early"))
    assert(rt:advance(120))
    assert.equal("cancelled", rt:status(id).status)
    assert.is_false(ran)
  end)

  it("works in a later execution", function()
    local _, err
    rt:orchestration("continues", function(ctx, n)
      if n == 1 then ctx:continue_as_new(2) end
      ctx:wait_event("never")
    end)
    local id = assert(rt:start("continues", 1))
    assert(rt:run_until_idle(10))
    assert(rt:cancel(id))
    _, err = rt:wait(id, 10)
    assert.equal("cancelled", err.code)
    assert.same({ "orchestration_started continues", "event_subscribed never", "cancel_requested" },
      (function()
        local kinds = runtimes.kinds(rt, id, 2)
        return { kinds[1], kinds[2], kinds[3] }
      end)())
  end)

  it("that has ended is refused with finished, that never was with not_found", function()
    runtimes.run(rt, function() return "done" end, nil, { id = "done" })
    local ok, err = rt:cancel("done")
    assert.is_nil(ok)
    assert.equal("finished", err.code)
    assert.equal("done", rt:wait("done", 10))
    ok, err = rt:cancel("nobody")
    assert.is_nil(ok)
    assert.equal("not_found", err.code)
  end)

  it("leaves nothing that runs on afterwards", function()
    rt:activity("never_started", function() error("it ran") end)
    local _, err = cancelled(function(ctx)
      ctx:wait_event("never")
      ctx:activity("never_started")
    end)
    assert.equal("cancelled", err.code)
    for _, kind in ipairs(runtimes.kinds(rt, "x")) do assert.not_equal("activity_scheduled never_started", kind) end
  end)
end)
