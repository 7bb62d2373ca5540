-- Tasks in odd company: named twice, done before, cancelled twice, failed unseen; and what children and
-- detached instances are called.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


local function finish(rt, fn, input)
  rt:orchestration("main", { replace = true }, fn)
  return runtimes.finish(rt, "main", input, "1h", { id = "main", on_conflict = "replace_finished" })
end


describe("a task", function()
  after_each(runtimes.clean)

  ways("may stand twice in a join or a select", function(open)
    local rt = open()
    assert.same({ { "x", "x" }, 1, "y" }, finish(rt, function(ctx)
      local x = ctx:spawn(function()
        ctx:sleep(1)
        return "x"
      end)
      local y = ctx:spawn(function()
        ctx:sleep(1)
        return "y"
      end)
      return { ctx:join { x, x }, ctx:select { y, y } }
    end))
  end)

  ways("that is done wins a select at once, the earliest first", function(open)
    local rt = open()
    assert.same({ { 3, "early" }, 0 }, finish(rt, function(ctx)
      local late = ctx:spawn(function()
        ctx:sleep(2)
        return "late"
      end)
      local early = ctx:spawn(function()
        ctx:sleep(1)
        return "early"
      end)
      ctx:join { late, early }
      local began = ctx:now()
      return { { ctx:select { ctx:schedule_timer(60), late, early } }, ctx:now() - began }
    end))
  end)

  ways("can be cancelled once, and then raises cancelled where it is awaited", function(open)
    local rt = open()
    assert.same({ true, false, true, "cancelled", false }, finish(rt, function(ctx)
      local task = ctx:schedule_timer(60)
      local first, second = task:cancel(), task:cancel()
      local _, err = pcall(task.await, task)
      local done = ctx:spawn(function() return 1 end)
      done:await()
      return { first, second, task:done(), err.code, done:cancel() }
    end))
  end)

  ways("that failed raises the same error each time, and none where nobody looks", function(open)
    local rt = open()
    assert.same({ "broken", "broken", "settled broken", "fine" }, finish(rt, function(ctx)
      local task = ctx:spawn(function() error { code = "broken", message = "no" } end)
      ctx:spawn(function() error("unseen") end)
      local _, first = pcall(task.await, task)
      local _, second = pcall(ctx.join, ctx, { task })
      local settled = ctx:join_settled { task }
      ctx:sleep(1)
      return { first.code, second.code, "settled " .. settled[1].error.code, "fine" }
    end))
  end)

  ways("that fails first decides a join, also when an earlier one fails later", function(open)
    local rt = open()
    local _, err = finish(rt, function(ctx)
      local slow = ctx:spawn(function()
        ctx:sleep(5)
        error { code = "slow", message = "fails last" }
      end)
      local fast = ctx:spawn(function() error { code = "fast", message = "fails first" } end)
      ctx:join { slow, fast }
    end)
    assert.equal("fast", err.code)
  end)

  ways("keeps xpcall's handler across its waits", function(open)
    local rt = open()
    local output = assert(finish(rt, function(ctx)
      local ok, message = xpcall(function()
        ctx:sleep(1)
        error("after a wait", 0)
      end, function(err) return "handled " .. err end)
      return { ok, message }
    end))
    assert.same({ false, "handled after a wait" }, output)
  end)
end)


describe("a child's or detached instance's id", function()
  after_each(runtimes.clean)

  ways("that is the parent's own, or taken, fails the child and not the parent", function(open)
    local rt = open()
    rt:orchestration("child", function() return "ran" end)
    assert.same({ "already_exists", "ran", "already_exists" }, finish(rt, function(ctx)
      local function code_of(id)
        local ok, output = pcall(ctx.sub_orchestration, ctx, "child", nil, { id = id })
        return ok and output or output.code
      end
      return { code_of(ctx.instance_id), code_of("kid"), code_of("kid") }
    end))
  end)

  ways("that is taken leaves the one that has it alone when it was detached", function(open)
    local rt = open()
    rt:orchestration("left", function(_, input) return input end)
    assert.same({ "l", "l" }, finish(rt, function(ctx)
      return { ctx:start_orchestration("left", 1, { id = "l" }), ctx:start_orchestration("left", 2, { id = "l" }) }
    end))
    assert.equal(1, rt:wait("l", 10))
  end)

  ways("goes with a version: the highest, or the one that is named", function(open)
    local rt = open()
    for _, version in ipairs { "1.0.0", "2.0.0" } do
      rt:orchestration("versioned", { version = version }, function(ctx) return ctx.version end)
    end
    assert.same({ "2.0.0", "1.0.0" }, finish(rt, function(ctx)
      ctx:start_orchestration("versioned", nil, { id = "latest" })
      ctx:start_orchestration("versioned", nil, { id = "named", version = "1.0.0" })
      return ctx:join {
        ctx:schedule_sub_orchestration("versioned"),
        ctx:schedule_sub_orchestration("versioned", nil, { version = "1.0.0" }),
      }
    end))
    assert.same({ "2.0.0", "1.0.0" }, { rt:wait("latest", 10), (rt:wait("named", 10)) })
  end)

  it("of a newly registered version is used by new parents, and by running ones for their next child", function()
    local rt = runtimes.open()
    local function register(version)
      rt:orchestration("child", { version = version }, function(ctx) return ctx.version end)
    end
    register("1.0.0")
    rt:orchestration("parent", function(ctx)
      local first = ctx:sub_orchestration("child")
      ctx:wait_event("go")
      return { first, ctx:sub_orchestration("child") }
    end)
    assert(rt:start("parent", nil, { id = "old" }))
    assert(rt:run_until_idle(10))
    register("1.1.0")
    assert(rt:start("parent", nil, { id = "new" }))
    for id, expected in pairs { old = { "1.0.0", "1.1.0" }, new = { "1.1.0", "1.1.0" } } do
      assert(rt:raise_event(id, "go"))
      assert.same(expected, rt:wait(id, 10))
    end
  end)

  it("grows with depth, to a hundred levels; one more is too_large", function()
    local rt = runtimes.open()
    rt:orchestration("deep", function(ctx, n)
      return n == 0 and 0 or 1 + ctx:sub_orchestration("deep", n - 1)
    end)
    assert.equal(99, (rt:wait(assert(rt:start("deep", 99, { id = "d" })), 10)))
    local _, err = rt:wait(assert(rt:start("deep", 101, { id = "e" })), 10)
    assert.equal("too_large", err.code)
    assert.matches("100 levels", err.message)
  end)
end)


describe("an activity's id", function()
  after_each(runtimes.clean)

  it("is the same for all attempts, and for no other activity, instance or run", function()
    local rt = runtimes.open()
    local seen = {}
    rt:activity("notes", function(ctx)
      seen[#seen + 1] = ctx.activity_id
      if ctx.attempt < 3 then error("again") end
    end)
    rt:orchestration("main", function(ctx)
      for _ = 1, 2 do ctx:activity("notes", nil, { retry = { initial = 0 } }) end
    end)
    for _ = 1, 2 do
      assert(rt:start("main", nil, { id = "m", on_conflict = "replace_finished" }))
      rt:wait("m", 10)
    end
    local distinct, count = {}, 0
    for i, id in ipairs(seen) do
      assert.equal(seen[i - (i - 1) % 3], id)
      if not distinct[id] then count = count + 1 end
      distinct[id] = true
    end
    assert.same({ 12, 4 }, { #seen, count })
  end)
end)
