-- Blocks of code side by side: composed with join and select, nested, racing, with children inside.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


-- Activities that take a while, by the virtual clock, and a child that does too.
local function open_with_work(open)
  local rt = open()
  rt:activity("work", function(ctx, job)
    ctx:sleep(job.seconds or 0)
    return job.name
  end)
  rt:orchestration("child", function(ctx, job)
    ctx:sleep(job.seconds)
    return job.name
  end)
  return rt
end


local function finish(rt, fn, duration)
  rt:orchestration("main", { replace = true }, fn)
  return runtimes.finish(rt, "main", nil, duration or "1d", { id = "main" })
end


describe("blocks side by side", function()
  after_each(runtimes.clean)

  ways("each with branches and loops of its own give all their results", function(open)
    local rt = open_with_work(open)
    assert.same({ "AB", "odd:1,odd:3", "recovered" }, finish(rt, function(ctx)
      return ctx:join {
        ctx:spawn(function()
          local first = ctx:activity("work", { name = "A" })
          return first == "A" and first .. ctx:activity("work", { name = "B" }) or "wrong"
        end),
        ctx:spawn(function()
          local odd = {}
          for i = 1, 4 do
            if i % 2 == 1 then odd[#odd + 1] = ctx:activity("work", { name = "odd:" .. i }) end
          end
          return table.concat(odd, ",")
        end),
        ctx:spawn(function()
          local ok = pcall(function()
            ctx:sleep(1)
            error("inside")
          end)
          return ok and "wrong" or "recovered"
        end),
      }
    end))
  end)

  ways("give their results in the order they were named, whatever they took", function(open)
    local rt = open_with_work(open)
    assert.same({ { "block1", "block2", "block3", "block4", "block5" }, 50 }, finish(rt, function(ctx)
      local before, blocks = ctx:now(), {}
      for i, seconds in ipairs { 50, 10, 30, 20, 40 } do
        blocks[i] = ctx:spawn(function()
          ctx:sleep(seconds)
          return ctx:activity("work", { name = "block" .. i })
        end)
      end
      return { ctx:join(blocks), ctx:now() - before }
    end))
  end)

  ways("one after the other hand their results over", function(open)
    local rt = open_with_work(open)
    assert.equal("start>one>two>three", finish(rt, function(ctx)
      local text = "start"
      for _, name in ipairs { "one", "two", "three" } do
        text = ctx:spawn(function(before)
          return before .. ">" .. ctx:activity("work", { name = name, seconds = 5 })
        end, text):await()
      end
      return text
    end))
  end)

  ways("one of which is awaited late has gone on meanwhile", function(open)
    local rt = open_with_work(open)
    assert.same({ "slow", "fast", 30 }, finish(rt, function(ctx)
      local before = ctx:now()
      local fast = ctx:spawn(function() return ctx:activity("work", { name = "fast", seconds = 10 }) end)
      local slow = ctx:activity("work", { name = "slow", seconds = 30 })
      return { slow, fast:await(), ctx:now() - before }
    end))
  end)
end)


describe("a race of blocks", function()
  after_each(runtimes.clean)

  ways("is won by the fastest, and the others are stopped where they are", function(open)
    local rt = open_with_work(open)
    local reached = {}
    assert.same({ 2, "fast" }, finish(rt, function(ctx)
      return { ctx:select {
        ctx:spawn(function()
          ctx:sleep(100)
          reached[#reached + 1] = "slow"
        end),
        ctx:spawn(function()
          ctx:sleep(10)
          return ctx:activity("work", { name = "fast" })
        end),
      } }
    end))
    assert.same({}, reached)
  end)

  ways("may be won by a single task", function(open)
    local rt = open_with_work(open)
    assert.same({ 1, "single" }, finish(rt, function(ctx)
      return { ctx:select {
        ctx:schedule_activity("work", { name = "single", seconds = 1 }),
        ctx:spawn(function()
          ctx:sleep(5)
          return ctx:activity("work", { name = "block" })
        end),
      } }
    end))
  end)

  ways("of three timers is won by the shortest", function(open)
    local rt = open_with_work(open)
    assert.same({ 3, "short", 5 }, finish(rt, function(ctx)
      local before = ctx:now()
      local function after(seconds, name)
        return ctx:spawn(function()
          ctx:sleep(seconds)
          return name
        end)
      end
      local index, output = ctx:select { after(20, "long"), after(10, "middle"), after(5, "short") }
      return { index, output, ctx:now() - before }
    end))
  end)

  ways("may have a join inside, which beats the time limit or does not", function(open)
    local rt = open_with_work(open)
    for limit, expected in pairs { [60] = "1:a,b", [15] = "2:too late" } do
      assert.equal(expected, finish(rt, function(ctx)
        local index, output = ctx:select {
          ctx:spawn(function()
            return table.concat(ctx:join {
              ctx:schedule_activity("work", { name = "a", seconds = 10 }),
              ctx:schedule_activity("work", { name = "b", seconds = 20 }),
            }, ",")
          end),
          ctx:spawn(function()
            ctx:sleep(limit)
            return "too late"
          end),
        }
        return index .. ":" .. output
      end))
      assert(rt:delete_instance("main"))
    end
  end)

  ways("may be nested: the winner of a race runs in another", function(open)
    local rt = open_with_work(open)
    assert.same({ 1, "inner 2" }, finish(rt, function(ctx)
      return { ctx:select {
        ctx:spawn(function()
          local index = ctx:select { ctx:schedule_wait("never"), ctx:schedule_timer(5) }
          return "inner " .. index
        end),
        ctx:schedule_timer(50),
      } }
    end))
    assert.same({ "timer_cancelled", "orchestration_completed" },
      { runtimes.kinds(rt, "main")[7], runtimes.kinds(rt, "main")[8] })
  end)
end)


describe("blocks with sub-orchestrations", function()
  after_each(runtimes.clean)

  ways("are won by the block whose child is fast", function(open)
    local rt = open_with_work(open)
    assert.same({ 1, "child" }, finish(rt, function(ctx)
      return { ctx:select {
        ctx:spawn(function()
          return ctx:sub_orchestration("child", { seconds = 5, name = "child" }, { id = "kid" })
        end),
        ctx:schedule_timer(50),
      } }
    end))
    assert.equal("completed", rt:status("kid").status)
  end)

  ways("lose with a slow child, which is cancelled and never completes", function(open)
    local rt = open_with_work(open)
    assert.equal(2, finish(rt, function(ctx)
      return (ctx:select {
        ctx:spawn(function() return ctx:sub_orchestration("child", { seconds = 500 }, { id = "kid" }) end),
        ctx:schedule_timer(5),
      })
    end))
    assert.equal("cancelled", rt:status("kid").status)
  end)

  ways("join children of several kinds", function(open)
    local rt = open_with_work(open)
    rt:orchestration("doubles", function(_, n) return n * 2 end)
    rt:orchestration("fails", function() error { code = "broken", message = "it is broken" } end)
    assert.same({ "slow", 42, "broken" }, finish(rt, function(ctx)
      return ctx:join {
        ctx:spawn(function() return ctx:sub_orchestration("child", { seconds = 9, name = "slow" }) end),
        ctx:spawn(function() return ctx:sub_orchestration("doubles", 21) end),
        ctx:spawn(function()
          local _, err = pcall(ctx.sub_orchestration, ctx, "fails")
          return err.code
        end),
      }
    end))
  end)

  ways("hold chains of child and grandchild", function(open)
    local rt = open_with_work(open)
    rt:orchestration("middle", function(ctx, name)
      return "middle(" .. ctx:sub_orchestration("child", { seconds = 3, name = name }) .. ")"
    end)
    assert.same({ "middle(a)", "middle(b)" }, finish(rt, function(ctx)
      local function chain(name)
        return ctx:spawn(function() return ctx:sub_orchestration("middle", name, { id = "middle-" .. name }) end)
      end
      return ctx:join { chain("a"), chain("b") }
    end))
    assert.equal(4, rt:dependencies("main").total_descendants)
  end)
end)
