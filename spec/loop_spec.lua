local runtimes = require "spec.support.runtimes"


describe("the loop of a runtime", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  it("runs until it is stopped", function()
    local runs = 0
    rt:activity("third_stops", function(ctx)
      runs = runs + 1
      if runs == 3 then ctx.runtime:stop() end
    end)
    rt:orchestration("loops", function(ctx)
      for _ = 1, 3 do ctx:activity("third_stops") end
      ctx:wait_event("never")
    end)
    assert(rt:start("loops"))
    assert.is_true(rt:run())
    assert.equal(3, runs)
    assert(rt:start("loops"))
    rt:activity("third_stops", { replace = true }, function(ctx) ctx.runtime:stop() end)
    assert.is_true(rt:run())
  end)

  it("says how many turns a step ran, and 0 when there is nothing to do", function()
    rt:orchestration("waits", function(ctx) ctx:wait_event("e") end)
    local id = assert(rt:start("waits"))
    assert(rt:run_until_idle(10))
    assert.equal(0, rt:step())
    assert(rt:raise_event(id, "e"))
    assert(rt:run_until_idle(10))
    assert.equal(0, rt:step(0.001))
  end)

  it("gives way between many activities, and is to be called again at once", function()
    local runs, stepped = 0, {}
    rt:activity("counts", function(_, n) runs = runs + 1 return n end)
    rt:orchestration("fan", function(ctx)
      local tasks, sum = {}, 0
      for n = 1, 2500 do tasks[n] = ctx:schedule_activity("counts", n) end
      for _, n in ipairs(ctx:join(tasks)) do sum = sum + n end
      return sum
    end)
    local id = assert(rt:start("fan"))
    runtimes.until_true(rt, function()
      if runs > 0 and runs < 2500 then
        assert.equal(0, rt:next_timeout())
        stepped[#stepped + 1] = runs
      end
      return runs == 2500
    end)
    assert.is_true(#stepped > 1)
    assert.equal(2500 * 2501 / 2, rt:wait(id, 10))
  end)

  it("lets the activities of others begin among those of a large fan-out", function()
    local runs = 0
    rt:activity("counts", function() runs = runs + 1 end)
    rt:activity("looks", function() return runs end)
    rt:orchestration("fan", function(ctx)
      local tasks = {}
      for n = 1, 6000 do tasks[n] = ctx:schedule_activity("counts", n) end
      ctx:join(tasks)
    end)
    rt:orchestration("other", function(ctx) return ctx:activity("looks") end)
    local fan = assert(rt:start("fan"))
    runtimes.until_true(rt, function() return runs > 0 end)
    assert.is_true(assert(rt:wait(assert(rt:start("other")), 10)) < 6000)
    assert(rt:run_until_idle(10))
    assert.equal(6000, runs)
    assert.equal("completed", rt:status(fan).status)
  end)

  it("is idle when everything waits for outside input or time", function()
    rt:orchestration("waits", function(ctx)
      ctx:sleep(5)
      ctx:wait_event("e")
    end)
    assert(rt:start("waits"))
    assert.is_true(rt:run_until_idle(10))
    assert(rt:advance(5))
    assert.is_true(rt:run_until_idle(10))
  end)

  it("is not idle while an activity waits for a callback", function()
    local done
    rt:activity("later", function(ctx) done = ctx:async() end)
    rt:orchestration("waits", function(ctx) return ctx:activity("later") end)
    local id = assert(rt:start("waits"))
    local ok, err = rt:run_until_idle(0.02)
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    done(nil, 1)
    assert.is_true(rt:run_until_idle(10))
    assert.equal(1, rt:wait(id, 10))
  end)

  it("tells a foreign loop what to wait for", function()
    assert.is_number(rt:fd())
    local system = runtimes.open { clock = "system" }
    system:orchestration("sleeps", function(ctx) ctx:sleep(30) end)
    assert(system:start("sleeps"))
    assert(system:run_until_idle(10))
    assert.is_true(system:next_timeout() <= 30)
  end)

  it("cannot be turned from inside", function()
    rt:activity("steps", function(ctx) return ctx.runtime:step() end)
    local output, err = runtimes.run(rt, function(ctx) return ctx:activity("steps") end)
    assert.is_nil(output)
    assert.matches("inside an activity", err.message)
    output, err = runtimes.run(rt, function() return rt:step() end)
    assert.is_nil(output)
    assert.matches("inside an orchestration", err.message)
  end)

  it("cannot be closed from inside", function()
    rt:activity("closes", function(ctx) return ctx.runtime:close() end)
    local output, err = runtimes.run(rt, function(ctx) return ctx:activity("closes") end)
    assert.is_nil(output)
    assert.matches("use rt:stop()", err.message, 1, true)
    assert.is_false(rt:closed())
  end)

  it("raises for a method called without its runtime", function()
    assert.error_matches(function() rt.start("x") end, "with a colon: rt:start%(%.%.%.%)")
    assert.error_matches(function() rt.step() end, "with a colon: rt:step%(%.%.%.%)")
  end)
end)


describe("several runtimes in one process", function()
  after_each(runtimes.clean)

  it("have instances and code of their own", function()
    local first, second = runtimes.open(), runtimes.open()
    first:orchestration("who", function() return "first" end)
    second:orchestration("who", function() return "second" end)
    assert.equal("first", first:wait(assert(first:start("who", nil, { id = "x" })), 10))
    assert.equal("second", second:wait(assert(second:start("who", nil, { id = "x" })), 10))
    first:close()
    assert.equal("completed", second:status("x").status)
  end)
end)


describe("the log of a runtime", function()
  after_each(runtimes.clean)

  it("gets what orchestrations and activities log, once, also when turns are replayed", function()
    for _, debug_options in ipairs { {}, { replay_every_turn = true } } do
      local lines = {}
      local rt = runtimes.open {
        debug = debug_options,
        log = function(level, message, fields) lines[#lines + 1] = { level, message, fields.instance_id } end,
      }
      rt:activity("logs", function(ctx) ctx:log("warn", "from the activity") end)
      rt:orchestration("logs", function(ctx)
        ctx:log("info", "before")
        ctx:activity("logs")
        ctx:log("info", "after")
      end)
      rt:wait(assert(rt:start("logs", nil, { id = "l" })), 10)
      local ours = {}
      for _, line in ipairs(lines) do
        if line[3] == "l" then ours[#ours + 1] = line[1] .. " " .. line[2] end
      end
      assert.same({ "info before", "warn from the activity", "info after" }, ours)
    end
  end)

  it("may raise without harm", function()
    local rt = runtimes.open { log = function() error("the log is broken") end }
    local output = runtimes.run(rt, function(ctx)
      ctx:log("info", "text")
      return "fine"
    end)
    assert.equal("fine", output)
  end)
end)


if _VERSION == "Lua 5.4" then
  describe("a runtime in a variable to be closed", function()
    it("is closed at the end of its block", function()
      local run = assert(load [[
        local duro = require "duro"
        local kept
        do
          local rt <close> = assert(duro.open { path = ":memory:" })
          kept = rt
        end
        return kept:closed()
      ]])
      assert.is_true(run())
    end)
  end)
end


describe("the memory of a turn", function()
  after_each(runtimes.clean)

  it("is given back at once when it was much", function()
    local rt = runtimes.open()
    local before_kib = collectgarbage("count")
    assert.equal(1000, runtimes.run(rt, function()
      local hoard = {}
      for i = 1, 1000 do hoard[i] = ("x"):rep(100000) .. i end
      return #hoard
    end))
    assert.is_true(collectgarbage("count") - before_kib < 50000)
  end)
end)
