-- Small whole programs, as people write them first: each with its output, live and with every turn replayed.

local runtimes = require "spec.support.runtimes"
local ways = require "spec.support.ways"


local function with_activities(open)
  local rt = open()
  rt:activity("greet", function(_, name) return "hello, " .. name .. "!" end)
  rt:activity("echo", function(_, x) return x end)
  rt:activity("fails", function(_, message) error { code = "failed_here", message = message or "no" } end)
  rt:activity("slow", function(ctx, seconds)
    ctx:sleep(seconds)
    return "slow " .. seconds
  end)
  return rt
end


local function finish(rt, fn, input, duration)
  rt:orchestration("main", { replace = true }, fn)
  return runtimes.finish(rt, "main", input, duration or "1h", { id = "main", on_conflict = "replace_finished" })
end


describe("a program that", function()
  after_each(runtimes.clean)

  ways("greets", function(open)
    local rt = with_activities(open)
    assert.equal("hello, world!", finish(rt, function(ctx, name) return ctx:activity("greet", name) end, "world"))
  end)

  ways("branches on a result", function(open)
    local rt = with_activities(open)
    local function branches(ctx, flag)
      if ctx:activity("echo", flag) then return ctx:activity("greet", "yes") end
      return ctx:activity("greet", "no")
    end
    assert.equal("hello, yes!", finish(rt, branches, true))
    assert.equal("hello, no!", finish(rt, branches, false))
  end)

  ways("loops and gathers", function(open)
    local rt = with_activities(open)
    assert.equal("xxx", finish(rt, function(ctx)
      local text = ""
      while #text < 3 do text = text .. ctx:activity("echo", "x") end
      return text
    end))
  end)

  ways("recovers from an error, nested in functions", function(open)
    local rt = with_activities(open)
    assert.same({ "recovered: no", "recovered: deeper", "hello, still here!" }, finish(rt, function(ctx)
      local function careful(fn)
        local ok, err = pcall(fn)
        return ok and "fine" or "recovered: " .. err.message
      end
      local function deeper() return ctx:activity("fails", "deeper") end
      return {
        careful(function() ctx:activity("fails") end),
        careful(function() return deeper() .. "never" end),
        ctx:activity("greet", "still here"),
      }
    end))
  end)

  ways("fans out and in", function(open)
    local rt = with_activities(open)
    assert.same({ "hello, a!", "hello, b!", "hello, c!" }, finish(rt, function(ctx, names)
      local tasks = {}
      for i, name in ipairs(names) do tasks[i] = ctx:schedule_activity("greet", name) end
      return ctx:join(tasks)
    end, { "a", "b", "c" }))
  end)

  ways("gives an activity a time limit by a race", function(open)
    local rt = with_activities(open)
    local function races(ctx, seconds)
      local index, output = ctx:select { ctx:schedule_activity("slow", seconds), ctx:schedule_timer(10) }
      if index == 2 then error { code = "timeout", message = "too slow" } end
      return output
    end
    assert.equal("slow 5", finish(rt, races, 5))
    assert.equal("timeout", select(2, finish(rt, races, 50)).code)
  end)

  ways("polls until something is ready", function(open)
    local rt = with_activities(open)
    local ready_at = 0
    rt:activity("is_ready", function(ctx) return ctx.runtime:now() >= ready_at end)
    ready_at = rt:now() + 95
    assert.equal(100, finish(rt, function(ctx)
      local began = ctx:now()
      while not ctx:activity("is_ready") do
        if ctx:now() - began > 600 then error("never") end
        ctx:sleep(10)
      end
      return ctx:now() - began
    end))
  end)

  ways("runs children: one, several, a chain of three", function(open)
    local rt = with_activities(open)
    rt:orchestration("upper", function(_, text) return text:upper() end)
    rt:orchestration("sum", function(_, numbers)
      local sum = 0
      for _, n in ipairs(numbers) do sum = sum + n end
      return sum
    end)
    rt:orchestration("root", function(ctx, x) return ctx:sub_orchestration("middle", x .. ":root") end)
    rt:orchestration("middle", function(ctx, x) return ctx:sub_orchestration("leaf", x .. ":middle") end)
    rt:orchestration("leaf", function(ctx, x) return ctx:activity("echo", x .. ":leaf") end)
    assert.same({ "HI", { 3, 7 }, "x:root:middle:leaf" }, finish(rt, function(ctx)
      return {
        ctx:sub_orchestration("upper", "hi"),
        ctx:join { ctx:schedule_sub_orchestration("sum", { 1, 2 }), ctx:schedule_sub_orchestration("sum", { 3, 4 }) },
        ctx:sub_orchestration("root", "x"),
      }
    end))
  end)

  ways("starts others and leaves them, then goes on", function(open)
    local rt = with_activities(open)
    rt:orchestration("left", function(ctx, name) return ctx:activity("greet", name) end)
    assert.equal("hello, me!", finish(rt, function(ctx)
      for _, name in ipairs { "a", "b" } do ctx:start_orchestration("left", name, { id = "left-" .. name }) end
      return ctx:activity("greet", "me")
    end))
    for _, name in ipairs { "a", "b" } do assert.equal("hello, " .. name .. "!", rt:wait("left-" .. name, 10)) end
  end)

  ways("undoes what it has done when a later step fails", function(open)
    local rt = with_activities(open)
    local ledger = {}
    for _, name in ipairs { "debit", "credit", "ship" } do
      rt:activity(name, function(_, input)
        if input.fails == name then error { code = "bad", message = name .. " fails" } end
        ledger[#ledger + 1] = name .. " " .. input.amount
        return name .. ":" .. input.amount
      end)
    end
    local function transfer(ctx, input)
      ctx:activity("debit", input)
      local shipped, err = pcall(ctx.activity, ctx, "ship", input)
      if shipped then return "shipped" end
      ctx:activity("credit", input)
      return "rolled back: " .. err.message
    end
    assert.equal("shipped", finish(rt, transfer, { amount = 1 }))
    assert.equal("rolled back: ship fails", finish(rt, transfer, { amount = 2, fails = "ship" }))
    local _, err = finish(rt, transfer, { amount = 3, fails = "debit" })
    assert.same({ "bad", "debit fails", "debit" }, { err.code, err.message, err.name })
    assert.same({ "debit 1", "ship 1", "debit 2", "credit 2" }, ledger)
  end)

  ways("takes other work when nobody serves a queue", function(open)
    local rt = with_activities(open)
    assert.equal("fallback", finish(rt, function(ctx)
      local index, output = ctx:select {
        ctx:schedule_activity("echo", "special", { queue = "nobody_serves_this" }), ctx:schedule_timer(30),
      }
      return index == 1 and output or ctx:activity("echo", "fallback")
    end))
  end)

  ways("is configured anew by events while it goes round", function(open)
    local rt = with_activities(open)
    rt:orchestration("worker", function(ctx, state)
      local index, change = ctx:select { ctx:schedule_wait("config"), ctx:schedule_timer(state.every) }
      if index == 1 then
        state.every = change.every
      else
        state.rounds[#state.rounds + 1] = state.every
      end
      if #state.rounds == 4 then return state.rounds end
      ctx:continue_as_new(state)
    end)
    assert(rt:start("worker", { every = 10, rounds = {} }, { id = "w" }))
    assert(rt:advance(25))
    assert(rt:raise_event("w", "config", { every = 100 }))
    assert(rt:advance("1h"))
    assert.same({ 10, 10, 100, 100 }, rt:wait("w", 10))
  end)

  ways("moves to its next version when it continues as new", function(open)
    local rt = with_activities(open)
    rt:orchestration("moves", { version = "1.0.0" }, function(ctx, state)
      state.log = state.log .. "1"
      ctx:continue_as_new(state, { version = state.log == "111" and "2.0.0" or nil })
    end)
    rt:orchestration("moves", { version = "2.0.0" }, function(ctx, state)
      return { state.log .. "2", ctx.version, ctx.execution_id }
    end)
    assert(rt:start("moves", { log = "" }, { id = "m", version = "1.0.0" }))
    assert.same({ "1112", "2.0.0", 4 }, rt:wait("m", 10))
    assert.equal("2.0.0", rt:descriptor("m").version)
  end)

  ways("sees its own facts, from first to last", function(open)
    local rt = with_activities(open)
    rt:activity("facts", function(ctx) return { ctx.instance_id, ctx.name, ctx.attempt, #ctx.activity_id > 0 } end)
    assert.same({ "main", "main", "1.0.0", 1, { "main", "facts", 1, true } }, finish(rt, function(ctx)
      return { ctx.instance_id, ctx.name, ctx.version, ctx.execution_id, ctx:activity("facts") }
    end))
  end)
end)


describe("the status of an instance over its life", function()
  after_each(runtimes.clean)

  it("is not_found, pending, running, suspended, running and completed; then it stays", function()
    local rt = runtimes.open()
    rt:orchestration("lives", function(ctx) return ctx:wait_event("end") end)
    local seen = {}
    local function look() seen[#seen + 1] = rt:status("l").status end
    look()
    assert(rt:start("lives", nil, { id = "l", delay = 60 }))
    look()
    assert(rt:advance(60))
    look()
    assert(rt:suspend("l"))
    look()
    assert(rt:resume("l"))
    look()
    assert(rt:raise_event("l", "end", { result = 1 }))
    assert.same({ result = 1 }, rt:wait("l", 10))
    look()
    for _ = 1, 3 do assert.same({ result = 1 }, rt:status("l").output) end
    look()
    assert.same({ "not_found", "pending", "running", "suspended", "running", "completed", "completed" }, seen)
  end)

  it("tells the final failure, the same each time, and of each instance its own", function()
    local rt = runtimes.open()
    rt:orchestration("fails", function(_, n) error { code = "code" .. n, message = "message " .. n } end)
    rt:orchestration("succeeds", function(_, n) return n end)
    for n = 1, 2 do
      assert(rt:start("fails", n, { id = "f" .. n }))
      assert(rt:start("succeeds", n, { id = "s" .. n }))
    end
    assert(rt:run_until_idle(10))
    for _ = 1, 2 do
      for n = 1, 2 do
        local failed = rt:status("f" .. n)
        assert.same({ "failed", "code" .. n, "message " .. n },
          { failed.status, failed.error.code, failed.error.message })
        assert.is_nil(failed.output)
        assert.same({ "completed", n }, { rt:status("s" .. n).status, rt:status("s" .. n).output })
      end
    end
    assert.same({ "orchestration_started fails", "orchestration_failed" }, runtimes.kinds(rt, "f1"))
  end)

  it("of one that continued as new is that of its last execution", function()
    local rt = runtimes.open()
    rt:orchestration("rounds", function(ctx, n)
      if n < 4 then ctx:continue_as_new(n + 1) end
      return "after " .. n
    end)
    assert(rt:start("rounds", 1, { id = "r" }))
    assert.equal("after 4", rt:wait("r", 10))
    assert.same({ "completed", "after 4" }, { rt:status("r").status, rt:status("r").output })
    for n = 1, 3 do assert.equal("continued_as_new", rt:status("r", { execution = n }).status) end
    assert.equal("completed", rt:status("r", { execution = 4 }).status)
  end)

  it("and its histories are there after the file was closed, each execution its own", function()
    local path = runtimes.path()
    local function open()
      local rt = runtimes.open { path = path }
      rt:orchestration("rounds", function(ctx, n)
        for _ = 1, n do ctx:sleep(1) end
        if n < 3 then ctx:continue_as_new(n + 1) end
        return n
      end)
      return rt
    end
    local rt = open()
    assert(rt:start("rounds", 1, { id = "r" }))
    assert(rt:advance("1m"))
    rt:close()
    rt = open()
    assert.same({ "completed", 3 }, { rt:status("r").status, rt:status("r").output })
    for n = 1, 3 do assert.equal(2 * n + 2, #rt:history({ instance = "r", execution = n }).events) end
    assert.equal(8, #rt:history({ instance = "r" }).events)
  end)
end)


describe("values that must not change on replay", function()
  after_each(runtimes.clean)

  ways("uuid, random and now may go anywhere: inputs, branches, races, children's ids", function(open)
    local rt = with_activities(open)
    rt:orchestration("child", function(ctx) return ctx.instance_id end)
    local output = assert(finish(rt, function(ctx)
      local first, second = ctx:uuid(), ctx:uuid()
      local began = ctx:now()
      local echoed = ctx:activity("echo", { id = first, at = began, draw = ctx:random(1000) })
      if ctx:random() < 0.5 then ctx:sleep(1) else ctx:activity("echo") end
      local index = ctx:select { ctx:schedule_timer(5 + ctx:random()), ctx:schedule_wait(ctx:uuid()) }
      local child = ctx:sub_orchestration("child", nil, { id = "c-" .. first })
      return { first, second, echoed.id, echoed.at - began, index, child, ctx:now() > began }
    end))
    assert.not_equal(output[1], output[2])
    assert.same({ output[1], 0, 1, "c-" .. output[1], true },
      { output[3], output[4], output[5], output[6], output[7] })
    assert.equal(36, #output[1])
  end)

  it("are the same after a restart", function()
    local path = runtimes.path()
    local function open()
      local rt = runtimes.open { path = path }
      rt:orchestration("draws", function(ctx)
        local before = { ctx:uuid(), ctx:random(1e6), ctx:now(), ctx:random() }
        ctx.kv.before = before
        ctx:wait_event("go")
        return { before, ctx.kv.before, ctx:uuid() ~= before[1], ctx:now() > before[3] }
      end)
      return rt
    end
    local rt = open()
    assert(rt:start("draws", nil, { id = "d" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = open()
    assert(rt:advance(10))
    assert(rt:raise_event("d", "go"))
    local output = assert(rt:wait("d", 10))
    assert.same(output[1], output[2])
    assert.same({ true, true }, { output[3], output[4] })
  end)

  ways("cost no history", function(open)
    local rt = with_activities(open)
    finish(rt, function(ctx)
      for _ = 1, 10 do ctx:uuid() ctx:random() ctx:now() end
    end)
    assert.same({ "orchestration_started main", "orchestration_completed" }, runtimes.kinds(rt, "main"))
  end)
end)
