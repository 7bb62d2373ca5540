-- Events as a mailbox: early, late, equal, told twice, carried over, raced for, and over a restart.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


describe("an event with a dedup_id", function()
  after_each(runtimes.clean)

  it("that was seen before changes nothing: after a restart, in the next execution, under another name", function()
    local path = runtimes.path()
    local function open()
      local rt = runtimes.open { path = path }
      rt:orchestration("collects", function(ctx, seen)
        seen[#seen + 1] = ctx:wait_event("e")
        if #seen == 2 then ctx:continue_as_new(seen) end
        if #seen < 3 then
          seen[#seen + 1] = ctx:wait_event("e")
          ctx:continue_as_new(seen)
        end
        return seen
      end)
      return rt
    end
    local rt = open()
    assert(rt:start("collects", {}, { id = "c" }))
    assert.is_true(rt:raise_event("c", "e", 1, { dedup_id = "first" }))
    assert.is_true(rt:raise_event("c", "e", "again", { dedup_id = "first" }))
    rt:close()
    rt = open()
    assert.is_true(rt:raise_event("c", "e", "after the restart", { dedup_id = "first" }))
    assert.is_true(rt:raise_event("c", "e", 2, { dedup_id = "second" }))
    assert(rt:run_until_idle(10))
    assert.same({ 1, 2 }, rt:list_executions("c"))
    for _, name in ipairs { "e", "other" } do
      for _, dedup_id in ipairs { "first", "second" } do
        assert.is_true(rt:raise_event("c", name, "in the next execution", { dedup_id = dedup_id }))
      end
    end
    assert(rt:run_until_idle(10))
    assert.equal("running", rt:status("c").status)
    assert(rt:raise_event("c", "e", 3, { dedup_id = "third" }))
    assert.same({ 1, 2, 3 }, rt:wait("c", 10))
  end)

  it("is known to its instance alone, and forgotten with it", function()
    local rt = runtimes.open()
    rt:orchestration("one", function(ctx) return ctx:wait_event("e") end)
    for _, id in ipairs { "a", "b" } do
      assert(rt:start("one", nil, { id = id }))
      assert(rt:raise_event(id, "e", id, { dedup_id = "same" }))
      assert.equal(id, rt:wait(id, 10))
    end
    assert(rt:start("one", nil, { id = "a", on_conflict = "replace_finished" }))
    assert(rt:raise_event("a", "e", "new", { dedup_id = "same" }))
    assert.equal("new", rt:wait("a", 10))
  end)

  it("is one by the id, of 1 to 256 bytes", function()
    local rt = runtimes.open()
    rt:orchestration("one", function(ctx) return ctx:wait_event("e") end)
    assert(rt:start("one", nil, { id = "o" }))
    for _, dedup_id in ipairs { "", ("x"):rep(1025), "a\nb" } do
      local ok, err = rt:raise_event("o", "e", 1, { dedup_id = dedup_id })
      assert.is_nil(ok)
      assert.equal("invalid_argument", err.code)
    end
    assert.has_error(function() rt:raise_event("o", "e", 1, { dedup_id = 5 }) end)
    assert.has_error(function() rt:raise_event("o", "e", 1, { dedup = "x" }) end)
    assert.equal("running", rt:status("o").status)
  end)
end)


describe("a mailbox", function()
  after_each(runtimes.clean)

  it("keeps what came before anybody waited, over a restart and in order", function()
    local path = runtimes.path()
    local function open()
      local rt = runtimes.open { path = path }
      rt:orchestration("late", function(ctx)
        ctx:sleep(60)
        local seen = {}
        for i = 1, 5 do seen[i] = ctx:wait_event("e") end
        return seen
      end)
      return rt
    end
    local rt = open()
    assert(rt:start("late", nil, { id = "l" }))
    for i = 1, 3 do assert(rt:raise_event("l", "e", i)) end
    rt:close()
    rt = open()
    for i = 4, 5 do assert(rt:raise_event("l", "e", i)) end
    assert(rt:advance(120))
    assert.same({ 1, 2, 3, 4, 5 }, rt:wait("l", 10))
  end)

  ways("gives two equal events to two waits, first to first", function(open)
    local rt = open()
    rt:orchestration("two", function(ctx)
      local first, second = ctx:schedule_wait("e"), ctx:schedule_wait("e")
      return { second:await(), first:await() }
    end)
    for id, events in pairs { equal = { "x", "x" }, different = { "first", "second" } } do
      assert(rt:start("two", nil, { id = id }))
      assert(rt:run_until_idle(10))
      for _, data in ipairs(events) do assert(rt:raise_event(id, "e", data)) end
      assert.same({ events[2], events[1] }, rt:wait(id, 10))
    end
  end)

  ways("gives to the wait that follows what came between two waits", function(open)
    local rt = open()
    rt:activity("work", function() end)
    rt:orchestration("works", function(ctx)
      local seen = {}
      for i = 1, 3 do
        seen[i] = ctx:wait_event("next")
        ctx:activity("work")
      end
      return seen
    end)
    assert(rt:start("works", nil, { id = "w" }))
    for i = 1, 3 do assert(rt:raise_event("w", "next", i)) end
    assert.same({ 1, 2, 3 }, rt:wait("w", 10))
  end)

  ways("does not lose what an earlier wait lost by its timeout", function(open)
    local rt = open()
    rt:orchestration("tries", function(ctx)
      local log = {}
      for i = 1, 3 do
        local data, err = ctx:wait_event("e", { timeout = 10 })
        log[i] = data or err.code
      end
      return log
    end)
    assert(rt:start("tries", nil, { id = "t" }))
    assert(rt:advance(15))
    assert(rt:raise_event("t", "e", "second"))
    assert(rt:advance(15))
    assert.same({ "timeout", "second", "timeout" }, rt:wait("t", 10))
  end)

  it("refuses events once the instance has ended, and its history stays as it was", function()
    local rt = runtimes.open()
    runtimes.run(rt, function() return "done" end, nil, { id = "d" })
    local before = #rt:history({ instance = "d" }).events
    local ok, err = rt:raise_event("d", "e", 1)
    assert.is_nil(ok)
    assert.equal("finished", err.code)
    assert.equal(before, #rt:history({ instance = "d" }).events)
  end)
end)


describe("a race for events", function()
  after_each(runtimes.clean)

  ways("is won by the one that came first, not by the one that is named first", function(open)
    local rt = open()
    rt:orchestration("races", function(ctx)
      return { ctx:select { ctx:schedule_wait("a"), ctx:schedule_timer(60), ctx:schedule_wait("b") } }
    end)
    assert(rt:start("races", nil, { id = "r" }))
    assert(rt:run_until_idle(10))
    assert(rt:suspend("r")) -- so that both are there when the code goes on
    assert(rt:raise_event("r", "b", "first"))
    assert(rt:raise_event("r", "a", "second"))
    assert(rt:resume("r"))
    assert.same({ 3, "first" }, rt:wait("r", 10))
  end)

  ways("may be tried again: each round consumes its losers' places in history", function(open)
    local rt = open()
    rt:activity("slow", function(ctx, seconds)
      ctx:sleep(seconds)
      return "slow " .. seconds
    end)
    rt:orchestration("retries", function(ctx)
      for attempt = 1, 3 do
        local index, output = ctx:select { ctx:schedule_activity("slow", 40 - attempt * 15), ctx:schedule_timer(20) }
        if index == 1 then
          return { attempt, output, ctx:activity("slow", 1), ctx:activity("slow", 2) }
        end
      end
    end)
    assert.same({ 2, "slow 10", "slow 1", "slow 2" }, runtimes.finish(rt, "retries"))
  end)

  ways("may be the answer of a person or the end of patience", function(open)
    local rt = open()
    rt:orchestration("approval", function(ctx)
      local index, answer = ctx:select { ctx:schedule_wait("approval"), ctx:schedule_timer("2d") }
      return index == 1 and (answer and "approved" or "rejected") or "escalated"
    end)
    for id, answer in pairs { yes = true, no = false } do
      assert(rt:start("approval", nil, { id = id }))
      assert(rt:raise_event(id, "approval", answer))
      assert.equal(answer and "approved" or "rejected", rt:wait(id, 10))
    end
    assert(rt:start("approval", nil, { id = "silence" }))
    assert(rt:advance("3d"))
    assert.equal("escalated", rt:wait("silence", 10))
  end)
end)


describe("an event sent by an orchestration", function()
  after_each(runtimes.clean)

  ways("reaches one that waits, one that is about to, and itself", function(open)
    local rt = open()
    rt:orchestration("receives", function(ctx)
      ctx:sleep(30)
      return ctx:wait_event("hello")
    end)
    rt:orchestration("sends", function(ctx, to)
      ctx:raise_event(to, "hello", "from " .. ctx.instance_id)
      ctx:raise_event(ctx.instance_id, "note", "to myself")
      return ctx:wait_event("note")
    end)
    assert(rt:start("receives", nil, { id = "r" }))
    assert(rt:start("sends", "r", { id = "s" }))
    assert.equal("to myself", rt:wait("s", 10))
    assert(rt:advance(30))
    assert.equal("from s", rt:wait("r", 10))
  end)

  ways("to nobody, or to one that has ended, is lost without harm", function(open)
    local rt = open()
    runtimes.run(rt, function() return "done" end, nil, { id = "done" })
    rt:orchestration("sends", function(ctx)
      ctx:raise_event("nobody", "e", 1)
      ctx:raise_event("done", "e", 1)
      ctx:sleep(1)
      return "went on"
    end)
    assert.equal("went on", runtimes.finish(rt, "sends"))
    assert.equal("not_found", rt:status("nobody").status)
    assert.equal("done", rt:wait("done", 10))
  end)

  ways("may be a request with its answer, between two instances", function(open)
    local rt = open()
    rt:orchestration("server", function(ctx, count)
      for _ = 1, count do
        local request = ctx:wait_event("request")
        ctx:raise_event(request.from, "answer", request.n * 2)
      end
      return "served"
    end)
    rt:orchestration("client", function(ctx, n)
      ctx:raise_event("server", "request", { from = ctx.instance_id, n = n })
      return ctx:wait_event("answer")
    end)
    assert(rt:start("server", 3, { id = "server" }))
    for n = 1, 3 do assert(rt:start("client", n, { id = "client" .. n })) end
    for n = 1, 3 do assert.equal(n * 2, rt:wait("client" .. n, 10)) end
    assert.equal("served", rt:wait("server", 10))
  end)
end)
