-- A suspended instance takes everything down and does nothing: whatever arrives is told to its code when it
-- is resumed, in the order in which it came; a cancel among it, a terminate at once.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


-- Waits for an event, a timer, an activity and a child at once, and says in which order they came.
local function register(rt)
  local finish
  rt:activity("work", function(ctx) finish = ctx:async() end)
  rt:orchestration("child", function(ctx) return ctx:wait_event("go") end)
  rt:orchestration("main", function(ctx)
    local order = {}
    local function note(name, wait)
      return ctx:spawn(function()
        wait()
        order[#order + 1] = name
      end)
    end
    ctx:join {
      note("activity", function() ctx:activity("work") end),
      note("timer", function() ctx:sleep(10) end),
      note("event", function() ctx:wait_event("e") end),
      note("child", function() ctx:sub_orchestration("child", nil, { id = "kid" }) end),
    }
    return order
  end)
  return function(...) finish(...) end, function() return finish end
end


describe("a suspension", function()
  after_each(runtimes.clean)

  ways("keeps arrivals of every kind in their order", function(open)
    local rt = open()
    local finish, begun = register(rt)
    assert(rt:start("main", nil, { id = "m" }))
    runtimes.until_true(rt, begun, "the activity runs")
    assert(rt:suspend("m", "for a look"))
    assert(rt:raise_event("m", "e"))
    assert(rt:raise_event("kid", "go"))
    runtimes.until_true(rt, function() return rt:status("kid").status == "completed" end, "the child ends")
    finish(nil, 1)
    runtimes.until_true(rt, function() return rt:statistics("m") end)
    assert(rt:advance(20))
    assert.equal("suspended", rt:status("m").status)
    assert(rt:resume("m"))
    local order = assert(rt:wait("m", 10))
    assert.equal(4, #order)
    assert.same({ "event", "child", "activity", "timer" }, order)
  end)

  ways("lasts over a restart, with what arrived before and after it", function(open)
    local path = runtimes.path()
    local function opened()
      local rt = open { path = path }
      rt:orchestration("collects", function(ctx)
        local seen = {}
        for i = 1, 4 do seen[i] = ctx:wait_event("e") end
        return seen
      end)
      return rt
    end
    local rt = opened()
    assert(rt:start("collects", nil, { id = "c" }))
    assert(rt:raise_event("c", "e", 1))
    assert(rt:suspend("c"))
    assert(rt:raise_event("c", "e", 2))
    rt:close()
    rt = opened()
    assert.equal("suspended", rt:status("c").status)
    assert(rt:raise_event("c", "e", 3))
    assert(rt:raise_event("c", "e", 4))
    assert(rt:run_until_idle(10))
    assert.equal("suspended", rt:status("c").status)
    assert(rt:resume("c"))
    assert.same({ 1, 2, 3, 4 }, rt:wait("c", 10))
  end)

  ways("holds a cancel back until it is resumed, also over a restart; then the code cleans up", function(open)
    local path = runtimes.path()
    local seen
    local function opened()
      local rt = open { path = path }
      rt:orchestration("cleans", function(ctx)
        local ok, err = pcall(ctx.wait_event, ctx, "e")
        seen = { ok, err.code, err.message }
      end)
      return rt
    end
    local rt = opened()
    assert(rt:start("cleans", nil, { id = "c" }))
    assert(rt:run_until_idle(10))
    assert(rt:suspend("c"))
    assert.is_true(rt:cancel("c", "no more"))
    rt:close()
    rt = opened()
    assert(rt:run_until_idle(10))
    assert.equal("suspended", rt:status("c").status)
    assert.is_nil(seen)
    assert(rt:resume("c"))
    assert.equal("cancelled", select(2, rt:wait("c", 10)).code)
    assert.same({ false, "cancelled", "no more" }, seen)
  end)

  it("does not hold a terminate back, whatever else has arrived", function()
    local rt = runtimes.open()
    local ran = false
    rt:orchestration("waits", function(ctx)
      ctx:wait_event("e")
      ran = true
    end)
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:run_until_idle(10))
    assert(rt:suspend("w"))
    assert(rt:raise_event("w", "e"))
    assert(rt:cancel("w"))
    assert.is_true(rt:terminate("w", "at once"))
    local _, err = rt:wait("w", 10)
    assert.equal("terminated", err.code)
    assert.matches("at once", err.message)
    assert.is_false(ran)
  end)

  it("does not stop the children, nor the time of the instance", function()
    local rt = runtimes.open()
    rt:orchestration("child", function(ctx)
      ctx:sleep(10)
      return ctx:now()
    end)
    rt:orchestration("main", function(ctx)
      local began = ctx:now()
      return ctx:sub_orchestration("child") - began
    end)
    assert(rt:start("main", nil, { id = "m" }))
    rt:orchestration("waits", function(ctx) ctx:wait_event("never") end)
    assert(rt:start("main", nil, { id = "in_time", timeout = 60 }))
    assert(rt:start("waits", nil, { id = "limited", timeout = 60 }))
    assert(rt:run_until_idle(10))
    assert(rt:suspend("m"))
    assert(rt:suspend("limited"))
    assert(rt:suspend("in_time"))
    assert(rt:advance(100))
    assert.same({ "suspended", "suspended" }, { rt:status("m").status, rt:status("limited").status })
    assert(rt:resume("limited"))
    assert.equal("timeout", select(2, rt:wait("limited", 10)).code)
    for _, id in ipairs { "m", "in_time" } do -- the child came before the time was over
      assert(rt:resume(id))
      assert.equal(10, rt:wait(id, 10))
    end
  end)

  it("begins between turns: what an instance asked for before goes on", function()
    local rt = runtimes.open()
    local runs = 0
    rt:activity("work", function()
      runs = runs + 1
      return runs
    end)
    rt:orchestration("main", function(ctx)
      local first = ctx:schedule_activity("work")
      ctx:wait_event("go")
      return { first:await(), ctx:activity("work") }
    end)
    assert(rt:start("main", nil, { id = "m" }))
    assert(rt:suspend("m"))
    assert(rt:raise_event("m", "go"))
    assert(rt:run_until_idle(10))
    assert.equal(1, runs)
    assert.equal("suspended", rt:status("m").status)
    assert(rt:resume("m"))
    assert.same({ 1, 2 }, rt:wait("m", 10))
  end)
end)
