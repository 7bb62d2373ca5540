-- Heartbeats and time limits of activities on the loop: what an attempt told last is handed to the next
-- one, whatever ended it.

local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"


-- An activity that tells details in its first attempt and fails; later ones give what they were handed.
local function beats_and_fails(ctx, input)
  if ctx.attempt > 1 then return { ctx.attempt, ctx.heartbeat_details } end
  for _, details in ipairs(input) do ctx:heartbeat(details) end
  error("after " .. #input .. " beats")
end


local function retries(ctx, input)
  return ctx:activity("beats", input, { retry = { initial = 60 } })
end


describe("the details of a heartbeat", function()
  after_each(runtimes.clean)

  local function retried(input, options)
    local rt = runtimes.open(options)
    rt:activity("beats", beats_and_fails)
    rt:orchestration("retries", retries)
    return runtimes.finish(rt, "retries", input, "1h", { id = "r" }), rt
  end

  it("go to the next attempt", function()
    assert.same({ 2, { step = 7, text = "a\0b" } }, retried { { step = 7, text = "a\0b" } })
  end)

  it("are those of the last one", function()
    assert.same({ 2, "third" }, retried { "first", "second", "third" })
  end)

  it("may be any payload", function()
    for _, details in ipairs { 0, "", true, 2.5, math.huge, { { { 1 } } } } do
      assert.same({ 2, details }, retried { details })
    end
  end)

  it("stand in the history of the retry, and nowhere else", function()
    local _, rt = retried { "told" }
    for _, event in ipairs(rt:history({ instance = "r" }).events) do
      assert.equal(event.kind == "activity_retry_scheduled" and "told" or nil, event.heartbeat_details)
    end
  end)

  it("are none before the first, and stay when a later beat has none", function()
    local rt, seen = runtimes.open(), {}
    rt:activity("beats", function(ctx)
      seen[ctx.attempt] = ctx.heartbeat_details or "none"
      if ctx.attempt == 1 then ctx:heartbeat("told") end
      ctx:heartbeat()
      if ctx.attempt < 4 then error("again") end
    end)
    rt:orchestration("retries", function(ctx) ctx:activity("beats", nil, { retry = { max_attempts = 4 } }) end)
    runtimes.finish(rt, "retries")
    assert.same({ "none", "told", "told", "told" }, seen)
  end)

  it("are the same when every turn is replayed", function()
    local output, rt = retried { "told" }
    local replayed, other = retried({ "told" }, { debug = { replay_every_turn = true } })
    assert.same(output, replayed)
    assert.same(runtimes.kinds(rt, "r"), runtimes.kinds(other, "r"))
  end)

  it("are there after a restart while the activity waits for its retry", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    rt:activity("beats", beats_and_fails)
    rt:orchestration("retries", retries)
    assert(rt:start("retries", { { half = true } }, { id = "r" }))
    assert(rt:run_until_idle(10))
    rt:close()
    rt = runtimes.open { path = path }
    rt:activity("beats", beats_and_fails)
    rt:orchestration("retries", retries)
    assert(rt:advance("1h"))
    assert.same({ 2, { half = true } }, rt:wait("r", 10))
  end)

  it("are there when the process is killed", function()
    local path = runtimes.path()
    local killed = child.start(([[
      io.stdout:setvbuf("line")
      local duro = require "duro"
      local rt = assert(duro.open(%q))
      rt:orchestration("noop", function() end)
      rt:orchestration("downloads", function(ctx) return ctx:activity("download") end)
      rt:activity("download", function(ctx)
        ctx:heartbeat { bytes = 4096 }
        assert(ctx.runtime:start("noop")) -- returns when all until here is durable
        print("told")
        ctx:sleep("1h")
      end)
      assert(rt:start("downloads", nil, { id = "d" }))
      rt:run()
    ]]):format(path))
    assert.equal("told", killed:line())
    killed:kill()
    local rt = runtimes.open { path = path, clock = "system" }
    rt:orchestration("noop", function() end)
    rt:orchestration("downloads", function(ctx) return ctx:activity("download") end)
    rt:activity("download", function(ctx) return { ctx.attempt, ctx.heartbeat_details } end)
    assert.same({ 1, { bytes = 4096 } }, rt:wait("d", 10))
    local lost = rt:history({ instance = "d" }).events[3]
    assert.same({ "activity_retry_scheduled", true }, { lost.kind, lost.lost })
    assert.same({ bytes = 4096 }, lost.heartbeat_details)
  end)

  it("are told often, and written at most once a second", function()
    local rt = runtimes.open { path = runtimes.path(), clock = "system" }
    rt:activity("beats", function(ctx)
      if ctx.attempt > 1 then return ctx.heartbeat_details end
      for i = 1, 1000 do
        ctx:heartbeat(i)
        ctx:sleep(0)
      end
      error("again")
    end)
    rt:orchestration("retries", function(ctx) return ctx:activity("beats", nil, { retry = { initial = 0 } }) end)
    assert.equal(1000, rt:wait(assert(rt:start("retries")), 10))
    assert.is_true(rt:runtime_metrics().commits < 100)
  end)

  it("do not come from an attempt whose time is over", function()
    local rt, handed = runtimes.open(), {}
    rt:activity("beats", function(ctx)
      handed[ctx.attempt] = ctx.heartbeat_details
      ctx:heartbeat("attempt " .. ctx.attempt)
      if ctx.attempt == 1 then
        ctx:sleep(60)
        ctx:heartbeat("too late")
      end
      if ctx.attempt < 3 then error("again") end
    end)
    rt:orchestration("retries", function(ctx)
      ctx:activity("beats", nil, { attempt_timeout = 5, retry = { initial = 100 } })
    end)
    runtimes.finish(rt, "retries")
    assert.same({ nil, "attempt 1", "attempt 2" }, handed)
  end)

  it("are refused when they cannot be stored", function()
    local rt = runtimes.open()
    rt:activity("beats", function(ctx) ctx:heartbeat { list = { 1, print } } end)
    local output, err = runtimes.run(rt, function(ctx) return ctx:activity("beats") end)
    assert.is_nil(output)
    assert.equal("invalid_payload", err.code)
    assert.matches("details.list[2]", err.message, 1, true)
    rt:activity("beats", { replace = true }, function(ctx) ctx:heartbeat(("x"):rep(16 * 1024 * 1024)) end)
    output, err = runtimes.run(rt, function(ctx) return ctx:activity("beats") end)
    assert.is_nil(output)
    assert.equal("too_large", err.code)
  end)

  it("can be told by the attempt that runs only", function()
    local rt, kept = runtimes.open(), nil
    rt:activity("beats", function(ctx) kept = ctx end)
    assert.is_nil(runtimes.run(rt, function(ctx) return ctx:activity("beats") end))
    assert.error_matches(function() kept:heartbeat("late") end, "ctx:heartbeat is called after the end of this attempt")
    assert.error_matches(function() kept.heartbeat() end, "ctx:heartbeat must be called with a colon")
    local output, err = runtimes.run(rt, function(ctx) return ctx:heartbeat() end)
    assert.is_nil(output)
    assert.equal("failed", err.code)
  end)
end)


describe("the time limits of an attempt", function()
  after_each(runtimes.clean)

  -- What `work` does in its first attempt is ended by its limits: seconds until the second one.
  local function ended_after(work, limits, options)
    local rt = runtimes.open(options)
    local began, again = nil, nil
    rt:activity("work", function(ctx)
      if ctx.attempt == 1 then
        began = rt:now()
        work(ctx)
        return "its work was done"
      end
      again = rt:now()
    end)
    rt:orchestration("retries", function(ctx)
      limits.retry = { max_attempts = 2, initial = 0 }
      local task = ctx:schedule_activity("work", nil, limits)
      for _ = 1, 30 do ctx:sleep(1) end -- turns meanwhile
      task:await()
    end)
    runtimes.finish(rt, "retries")
    return again and again - began
  end

  local function silent(ctx) ctx:sleep("1h") end

  local function beating(ctx)
    for _ = 1, 100 do
      ctx:sleep(4)
      ctx:heartbeat()
    end
  end

  it("end it when it takes too long", function()
    assert.equal(5, ended_after(silent, { attempt_timeout = 5 }))
  end)

  it("end it when it is silent for too long", function()
    assert.equal(5, ended_after(silent, { heartbeat_timeout = 5 }))
  end)

  it("leave it alone while it beats", function()
    assert.is_nil(ended_after(beating, { heartbeat_timeout = 5 }))
  end)

  it("end one that beats and takes too long", function()
    assert.equal(21, ended_after(beating, { heartbeat_timeout = 5, attempt_timeout = 21 }))
  end)

  it("hold the sooner of the two", function()
    assert.equal(5, ended_after(silent, { heartbeat_timeout = 5, attempt_timeout = 6 }))
    assert.equal(6, ended_after(silent, { heartbeat_timeout = 7, attempt_timeout = 6 }))
  end)

  it("hold when every turn is replayed", function()
    local options = { debug = { replay_every_turn = true } }
    assert.equal(5, ended_after(silent, { attempt_timeout = 5 }, options))
    assert.equal(5, ended_after(silent, { heartbeat_timeout = 5 }, options))
    assert.equal(21, ended_after(beating, { heartbeat_timeout = 5, attempt_timeout = 21 }, options))
    assert.is_nil(ended_after(beating, { heartbeat_timeout = 5 }, options))
  end)

  it("begin when it runs, not while it waits in line", function()
    local rt, ran = runtimes.open { activity_concurrency = 1 }, 0
    rt:activity("work", function(ctx)
      ran = ran + 1
      ctx:sleep(4)
    end)
    rt:orchestration("many", function(ctx)
      local tasks = {}
      for i = 1, 5 do tasks[i] = ctx:schedule_activity("work", i, { attempt_timeout = 5 }) end
      ctx:join(tasks)
      return "all in time"
    end)
    assert.equal("all in time", runtimes.finish(rt, "many"))
    assert.equal(5, ran)
  end)

  it("tell the attempt that it is cancelled, and drop its result", function()
    local rt, seen = runtimes.open(), {}
    rt:activity("work", function(ctx)
      if ctx.attempt == 2 then return "second" end
      seen.before = ctx:is_cancelled()
      seen.slept, seen.err = ctx:sleep("1h")
      seen.after = ctx:is_cancelled()
      return "first"
    end)
    rt:orchestration("retries", function(ctx)
      return ctx:activity("work", nil, { attempt_timeout = 5, retry = { max_attempts = 2 } })
    end)
    assert.equal("second", runtimes.finish(rt, "retries"))
    assert.same({ false, true, "cancelled" }, { seen.before, seen.after, seen.err.code })
    assert.is_nil(seen.slept)
  end)
end)
