-- What an orchestration's ctx has beside tasks: facts, chance, state, side effects, patches, conditions,
-- queries. Each scenario runs twice: live, and with every turn replayed; the results must be equal.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"


local function both(name, body)
  it(name, function() body({}) end)
  it(name .. " (every turn replayed)", function() body({ debug = { replay_every_turn = true } }) end)
end


-- An activity that gives back its input, so that orchestrations have something to wait for.
local function open(options)
  local rt = runtimes.open(options)
  rt:activity("echo", function(_, value) return value end)
  return rt
end


describe("the facts of ctx", function()
  after_each(runtimes.clean)

  both("tell instance, name, version, execution and parent", function(options)
    local rt = open(options)
    rt:orchestration("child", function(ctx)
      return { ctx.instance_id, ctx.parent_instance, ctx.name, ctx.version, ctx.execution_id }
    end)
    local output = assert(runtimes.run(rt, function(ctx)
      local own = { id = ctx.instance_id, name = ctx.name, version = ctx.version, parent = ctx.parent_instance }
      own.child = ctx:sub_orchestration("child", nil, { id = "c" })
      own.length = ctx.history_length
      return own
    end, nil, { id = "p" }))
    assert.same({ id = "p", name = "under_test", version = "1.0.0", child = { "c", "p", "child", "1.0.0", 1 },
      length = 3 }, output)
  end)

  it("cannot be written, and unknown ones are nil", function()
    local rt = open()
    local _, err = runtimes.run(rt, function(ctx)
      assert(ctx.whatever == nil)
      ctx.step = 1
    end)
    assert.matches("ctx_spec.lua:%d+: ctx cannot be written to: use a local, or ctx.kv", err.message)
  end)

  it("say whether it is a replay", function()
    local seen = {}
    local rt = open { debug = { replay_every_turn = true } }
    assert(runtimes.run(rt, function(ctx)
      seen[#seen + 1] = tostring(ctx.is_replaying)
      ctx:activity("echo")
      seen[#seen + 1] = tostring(ctx.is_replaying)
    end) == nil)
    assert.equal("false true false", table.concat(seen, " "))
  end)
end)


describe("chance in an orchestration", function()
  after_each(runtimes.clean)

  both("is the same on replay, and another for each run", function(options)
    local rt = open(options)
    local function draw(ctx)
      local drawn = {}
      for i = 1, 3 do
        drawn[i] = { ctx:uuid(), ctx:random(), ctx:random(6), ctx:random(-3, 3), ctx:random(5, 5) }
        ctx:activity("echo")
      end
      return drawn
    end
    local first, second = assert(runtimes.run(rt, draw)), assert(runtimes.run(rt, draw))
    assert.are_not.same(first, second)
    for _, d in ipairs(first) do
      assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", d[1])
      assert.is_true(d[2] >= 0 and d[2] < 1)
      assert.is_true(d[3] >= 1 and d[3] <= 6 and d[3] % 1 == 0)
      assert.is_true(d[4] >= -3 and d[4] <= 3)
      assert.equal(5, d[5])
    end
    assert.are_not.equal(first[1][1], first[2][1])
  end)

  it("reaches both ends of its interval, and refuses an empty one", function()
    local rt = open()
    local output = assert(runtimes.run(rt, function(ctx)
      local seen = {}
      for _ = 1, 200 do seen[ctx:random(3)] = true end
      return { #seen, (pcall(ctx.random, ctx, 0)), (pcall(ctx.random, ctx, 1.5)), (pcall(ctx.random, ctx, 2, 1)) }
    end))
    assert.same({ 3, false, false, false }, output)
  end)
end)


describe("ctx.kv", function()
  after_each(runtimes.clean)

  both("keeps values, gives copies, and walks in the order of keys", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      ctx.kv.b, ctx.kv.a = { n = 1 }, "x"
      ctx:activity("echo")
      ctx.kv.b.n = 2 -- a copy: nothing is written
      ctx.kv.c, ctx.kv.gone = 0 / 0, 1
      ctx.kv.gone = nil
      local walked = {}
      for key, value in ctx:kv_pairs() do walked[#walked + 1] = { key, value } end
      return walked
    end, nil, { id = "k" }))
    assert.same({ "a", "x" }, output[1])
    assert.same({ "b", { n = 1 } }, output[2])
    assert.equal("c", output[3][1])
    assert.equal(3, #output)
    assert.same({ n = 1 }, rt:kv("k", "b"))
    assert.is_nil(rt:kv("k", "gone"))
  end)

  it("refuses keys that are no text and values that cannot be stored", function()
    local rt = open()
    local output = assert(runtimes.run(rt, function(ctx)
      local kv = ctx.kv
      local _, key = pcall(function() kv[1] = 2 end)
      local _, value = pcall(function() kv.f = { x = print } end)
      return { key, value.code, value.path }
    end))
    assert.matches("a key of ctx.kv must be a string, got number", output[1])
    assert.same({ "invalid_payload", "kv.f.x" }, { output[2], output[3] })
  end)
end)


describe("the custom status", function()
  after_each(runtimes.clean)

  both("is shown outside, read inside, and reset by nil", function(options)
    local rt = open(options)
    local output = assert(runtimes.run(rt, function(ctx)
      local seen = { tostring(ctx.custom_status) }
      ctx:set_custom_status { step = 1 }
      seen[2] = ctx.custom_status.step
      ctx:activity("echo")
      ctx:set_custom_status(nil)
      seen[3] = tostring(ctx.custom_status)
      ctx:set_custom_status("last")
      return seen
    end, nil, { id = "s" }))
    assert.same({ "nil", 1, "nil" }, output)
    assert.equal("last", rt:status("s").custom_status)
  end)
end)


describe("a side effect", function()
  after_each(runtimes.clean)

  both("runs once, and its value is recorded", function(options)
    local rt, calls = open(options), 0
    local output = assert(runtimes.run(rt, function(ctx)
      local value = ctx:side_effect(function()
        calls = calls + 1
        return { n = calls, nan = 0 / 0 }
      end)
      ctx:activity("echo")
      local nothing = ctx:side_effect(function() end)
      ctx:activity("echo")
      return { value, nothing == nil }
    end))
    assert.equal(1, calls)
    assert.equal(1, output[1].n)
    assert.is_true(output[2])
  end)

  both("that raises is recorded as raised", function(options)
    local rt, calls = open(options), 0
    local output = assert(runtimes.run(rt, function(ctx)
      local _, err = pcall(ctx.side_effect, ctx, function()
        calls = calls + 1
        error({ code = "odd", message = "call " .. calls })
      end)
      ctx:activity("echo")
      local _, unstorable = pcall(ctx.side_effect, ctx, function() return print end)
      ctx:activity("echo")
      return { err.code, err.message, unstorable.code }
    end))
    assert.same({ "odd", "call 1", "invalid_payload" }, output)
    assert.equal(1, calls)
  end)

  it("may not use ctx", function()
    local rt = open()
    local _, err = runtimes.run(rt, function(ctx)
      ctx:side_effect(function() ctx:activity("echo") end)
    end)
    assert.matches("ctx:activity is called inside of ctx:side_effect", err.message)
  end)
end)


describe("a patch", function()
  after_each(runtimes.clean)

  both("is on for new instances, and stays on", function(options)
    local rt = open(options)
    assert.same({ true, true }, (assert(runtimes.run(rt, function(ctx)
      local first = ctx:patched("p")
      ctx:activity("echo")
      return { first, ctx:patched("p") }
    end))))
  end)
end)


describe("ctx:wait_until", function()
  after_each(runtimes.clean)

  both("goes on when another block has made its condition true", function(options)
    local rt = open(options)
    assert.same({ true, 3 }, (assert(runtimes.run(rt, function(ctx)
      local count = 0
      ctx:spawn(function()
        for _ = 1, 3 do
          ctx:activity("echo")
          count = count + 1
        end
      end)
      return { ctx:wait_until(function() return count == 3 end), count }
    end))))
  end)

  both("passes a chain of conditions in one turn", function(options)
    local rt = open(options)
    assert.equal("abc", (assert(runtimes.run(rt, function(ctx)
      local said = ""
      local last = ctx:spawn(function()
        ctx:wait_until(function() return said == "ab" end)
        said = said .. "c"
      end)
      ctx:spawn(function()
        ctx:wait_until(function() return said == "a" end)
        said = said .. "b"
      end)
      ctx:activity("echo")
      said = "a"
      last:await()
      return said
    end))))
  end)

  both("gives up after its timeout", function(options)
    local rt = open(options)
    rt:orchestration("patient", function(ctx)
      local held, err = ctx:wait_until(function() return false end, { timeout = "1h" })
      return { tostring(held), err.code, ctx:wait_until(function() return true end, { timeout = 1 }) }
    end)
    assert.same({ "nil", "timeout", true }, runtimes.finish(rt, "patient"))
  end)

  it("raises what its predicate raises, and a cancellation", function()
    local rt = open()
    local _, err = runtimes.run(rt, function(ctx) ctx:wait_until(function() error("odd", 0) end) end)
    assert.equal("odd", err.message)
    rt:orchestration("waits", function(ctx)
      local ok, why = pcall(ctx.wait_until, ctx, function() return false end)
      ctx:set_custom_status { ok, why.code }
      error(why, 0)
    end)
    local id = assert(rt:start("waits"))
    rt:run_until_idle(5)
    rt:cancel(id, "enough")
    local _, cancelled = rt:wait(id, 5)
    assert.equal("cancelled", cancelled.code)
    assert.same({ false, "cancelled" }, rt:status(id).custom_status)
  end)
end)


describe("a query", function()
  after_each(runtimes.clean)

  local function waiting(handler)
    local rt = open()
    rt:orchestration("asked", function(ctx)
      local state = { n = 7 }
      ctx:on_query("state", handler or function(arg) return { state = state, arg = arg } end)
      ctx:wait_event("go")
    end)
    local id = assert(rt:start("asked"))
    assert(rt:run_until_idle(5))
    return rt, id
  end

  it("is answered by the handler, without a trace in the history", function()
    local rt, id = waiting()
    local before = #rt:history({ instance = id }).events
    assert.same({ state = { n = 7 }, arg = { 1, 2 } }, rt:query(id, "state", { 1, 2 }))
    assert.equal(before, #rt:history({ instance = id }).events)
  end)

  it("without a handler is not_found", function()
    local rt, id = waiting()
    local _, err = rt:query(id, "other")
    assert.equal("not_found", err.code)
    assert.matches('"other"', err.message)
  end)

  it("whose handler fails, or would schedule, gives the error", function()
    local rt, id = waiting(function() error("no idea", 0) end)
    local _, err = rt:query(id, "state")
    assert.equal("failed", err.code)
    assert.matches("no idea", err.message)
    rt:orchestration("asks_too_much", function(ctx)
      ctx:on_query("state", function() return ctx:activity("echo") end)
      ctx:wait_event("go")
    end)
    id = assert(rt:start("asks_too_much"))
    assert(rt:run_until_idle(5))
    _, err = rt:query(id, "state")
    assert.matches("ctx:activity is called in a query handler", err.message)
    assert(rt:raise_event(id, "go"))
    assert.is_nil((rt:wait(id, 5)))
  end)

  it("whose answer cannot be stored names the path", function()
    local rt, id = waiting(function() return { f = print } end)
    local _, err = rt:query(id, "state")
    assert.matches("answer.f: a function cannot be stored", err.message)
  end)
end)


describe("ctx:log", function()
  after_each(runtimes.clean)

  it("speaks once, and is silent on replay", function()
    local lines = {}
    local rt = open {
      debug = { replay_every_turn = true },
      log = function(level, message, fields)
        if fields.orchestration then lines[#lines + 1] = { level, message, fields } end
      end,
    }
    runtimes.run(rt, function(ctx)
      ctx:log("info", "one")
      ctx:activity("echo")
      ctx:log("warn", "two", { extra = 1 })
    end, nil, { id = "l" })
    assert.same({
      { "info", "one", { instance_id = "l", orchestration = "under_test" } },
      { "warn", "two", { instance_id = "l", orchestration = "under_test", extra = 1 } },
    }, lines)
  end)

  it("cannot be misused by the log function, and drops what it raises", function()
    local seen = {}
    local ctx_kept
    local rt = open { log = function(_, _, fields)
      if not fields.orchestration then return end
      seen[#seen + 1] = select(2, pcall(ctx_kept.activity, ctx_kept, "echo"))
      seen[#seen + 1] = select(2, pcall(duro.start, "x"))
      error("dropped")
    end }
    assert.equal("fine", (runtimes.run(rt, function(ctx)
      ctx_kept = ctx
      ctx:log("info", "x")
      return ctx:activity("echo", "fine")
    end)))
    assert.matches("by a log function", seen[1])
    assert.matches("inside an orchestration: use ctx", seen[2])
  end)
end)
