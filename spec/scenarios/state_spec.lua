-- Custom status and kv as others see them: while the code runs, over executions, after its end.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


describe("a custom status", function()
  after_each(runtimes.clean)

  ways("is seen while the instance runs, and after it completed, failed or was cancelled", function(open)
    local rt = open()
    rt:orchestration("reports", function(ctx, how)
      ctx:set_custom_status({ step = 1 })
      ctx:wait_event("go")
      ctx:set_custom_status({ step = 2 })
      if how == "fails" then error("after the second step") end
    end)
    for _, how in ipairs { "returns", "fails", "cancelled" } do
      assert(rt:start("reports", how, { id = how }))
      assert(rt:run_until_idle(10))
      assert.same({ step = 1 }, rt:status(how).custom_status)
      assert(how == "cancelled" and rt:cancel(how) or rt:raise_event(how, "go"))
      assert(rt:run_until_idle(10))
    end
    assert.same({ step = 2 }, rt:status("returns").custom_status)
    assert.same({ step = 2 }, rt:status("fails").custom_status)
    assert.same({ step = 1 }, rt:status("cancelled").custom_status)
    assert.same({ step = 2 }, rt:list_instances({ id_prefix = "fails" })[1].custom_status)
  end)

  ways("that was never set is none, of version 0", function(open)
    local rt = open()
    runtimes.run(rt, function() end, nil, { id = "never" })
    assert.is_nil(rt:status("never").custom_status)
    local value, err = rt:wait_custom_status("never", 0, 0.01)
    assert.is_nil(value)
    assert.equal("finished", err.code)
  end)

  ways("stays over turns that do not touch it, and is what the code itself reads", function(open)
    local rt = open()
    local output = runtimes.finish(rt, (function()
      rt:orchestration("reads", function(ctx, round)
        local seen = { ctx.custom_status or "none" }
        if round == 1 then
          ctx:set_custom_status("first")
          ctx:sleep(1)
          seen[2] = ctx.custom_status
          ctx:set_custom_status("second")
          ctx:continue_as_new(2)
        end
        ctx:sleep(1)
        seen[2] = ctx.custom_status
        ctx:set_custom_status(nil)
        seen[3] = ctx.custom_status or "none"
        ctx:sleep(1)
        ctx:set_custom_status("anew")
        seen[4] = ctx.custom_status
        return seen
      end)
      return "reads"
    end)(), 1)
    assert.same({ "second", "second", "none", "anew" }, output)
  end)

  ways("may be any payload, false too", function(open)
    local rt = open()
    rt:orchestration("reports", function(ctx)
      for _, value in ipairs { false, 0, "", { nested = { 1, 2 } } } do
        ctx:set_custom_status(value)
        ctx:wait_event("next")
      end
    end)
    assert(rt:start("reports", nil, { id = "r" }))
    for i, value in ipairs { false, 0, "", { nested = { 1, 2 } } } do
      local status, version = rt:wait_custom_status("r", i - 1, 10)
      assert.same(value, status)
      assert.equal(i, version)
      assert(rt:raise_event("r", "next"))
    end
  end)
end)


describe("the kv of an instance", function()
  after_each(runtimes.clean)

  ways("is seen by others while it runs, and after it completed, failed or was terminated", function(open)
    local rt = open()
    rt:orchestration("keeps", function(ctx, how)
      ctx.kv.step = 1
      ctx:wait_event("go")
      ctx.kv.step = 2
      if how == "fails" then error("after the second step") end
    end)
    for _, how in ipairs { "returns", "fails", "terminated" } do
      assert(rt:start("keeps", how, { id = how }))
      assert(rt:run_until_idle(10))
      assert.equal(1, rt:kv(how, "step"))
      assert(how == "terminated" and rt:terminate(how) or rt:raise_event(how, "go"))
      assert(rt:run_until_idle(10))
    end
    assert.same({ 2, 2, 1 }, { rt:kv("returns", "step"), rt:kv("fails", "step"), (rt:kv("terminated", "step")) })
    assert.is_nil((rt:kv("returns", "nothing")))
    local value, err = rt:kv("nobody", "step")
    assert.is_nil(value)
    assert.equal("not_found", err.code)
  end)

  ways("belongs to it alone: parent and child do not share, and it goes with the tree", function(open)
    local rt = open()
    rt:orchestration("child", function(ctx)
      local before = ctx.kv.name
      ctx.kv.name = "child"
      return before == nil
    end)
    rt:orchestration("parent", function(ctx)
      ctx.kv.name = "parent"
      return { ctx:sub_orchestration("child", nil, { id = "kid" }), ctx.kv.name }
    end)
    assert(rt:start("parent", nil, { id = "p" }))
    assert.same({ true, "parent" }, rt:wait("p", 10))
    assert.same({ "parent", "child" }, { rt:kv("p", "name"), (rt:kv("kid", "name")) })
    assert(rt:delete_instance("p"))
    assert.equal("not_found", select(2, rt:kv("kid")).code)
  end)

  ways("is read by another instance through an activity: what was read stays what it was", function(open)
    local rt = open()
    rt:activity("read", function(ctx, key) return (ctx.runtime:kv("source", key)) end)
    rt:orchestration("source", function(ctx)
      for i = 1, 2 do
        ctx.kv.price = i
        ctx:wait_event("next")
      end
    end)
    rt:orchestration("reader", function(ctx)
      local first = ctx:activity("read", "price")
      ctx:wait_event("again")
      return { first, ctx:activity("read", "price"), ctx:activity("read", "nothing") == nil }
    end)
    assert(rt:start("source", nil, { id = "source" }))
    assert(rt:run_until_idle(10))
    assert(rt:start("reader", nil, { id = "r" }))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event("source", "next"))
    assert(rt:run_until_idle(10))
    assert(rt:raise_event("r", "again"))
    assert.same({ 1, 2, true }, rt:wait("r", 10))
  end)

  ways("counts over turns and executions: read, changed and written each time", function(open)
    local rt = open()
    rt:activity("work", function() end)
    rt:orchestration("counts", function(ctx, round)
      for _ = 1, 5 do
        ctx.kv.n = (ctx.kv.n or 0) + 1
        ctx:activity("work")
      end
      if round < 3 then ctx:continue_as_new(round + 1) end
      return ctx.kv.n
    end)
    assert(rt:start("counts", 1, { id = "c" }))
    assert.equal(15, rt:wait("c", 10))
    assert.equal(15, rt:kv("c", "n"))
  end)

  ways("can be emptied and filled again, also over an execution", function(open)
    local rt = open()
    rt:orchestration("empties", function(ctx, round)
      if round == 1 then
        for i = 1, 20 do ctx.kv["k" .. i] = i end
        ctx:continue_as_new(2)
      end
      local keys = {}
      for key in ctx:kv_pairs() do keys[#keys + 1] = key end
      for _, key in ipairs(keys) do ctx.kv[key] = nil end
      ctx.kv.only = #keys
    end)
    assert(rt:start("empties", 1, { id = "e" }))
    rt:wait("e", 10)
    assert.same({ only = 20 }, rt:kv("e"))
  end)

  ways("may be written in the blocks of a join, and in the winner of a select", function(open)
    local rt = open()
    rt:activity("echo", function(_, x) return x end)
    rt:orchestration("fans_out", function(ctx)
      local blocks = {}
      for i = 1, 4 do
        blocks[i] = ctx:spawn(function() ctx.kv["part" .. i] = ctx:activity("echo", i * i) end)
      end
      ctx:join(blocks)
      ctx:select {
        ctx:spawn(function()
          ctx:sleep(1)
          ctx.kv.winner = "fast"
        end),
        ctx:spawn(function()
          ctx:sleep(100)
          ctx.kv.winner = "slow"
        end),
      }
    end)
    runtimes.finish(rt, "fans_out", nil, "1h", { id = "f" })
    assert.same({ part1 = 1, part2 = 4, part3 = 9, part4 = 16, winner = "fast" }, rt:kv("f"))
  end)

  it("stands ten instances at once, each with its own", function()
    local rt = runtimes.open()
    rt:orchestration("writes", function(ctx, name)
      for i = 1, 10 do
        ctx.kv["key" .. i] = name .. i
        ctx:sleep(0)
      end
    end)
    for i = 1, 10 do assert(rt:start("writes", "w" .. i .. ":", { id = "w" .. i })) end
    assert(rt:run_until_idle(10))
    for i = 1, 10 do
      local kv = assert(rt:kv("w" .. i))
      assert.equal(("w%d:10"):format(i), kv.key10)
      assert.equal(("w%d:1"):format(i), kv.key1)
    end
  end)
end)
