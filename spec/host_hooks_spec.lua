-- The options `executor` and `sleep` of duro.open, under a scheduler as nginx has one: light threads that yield to
-- it, timers that start more of them.

local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local unpack = table.unpack or unpack


-- --- The host ---

local Host = {}
Host.__index = Host


local function new_host()
  return setmetatable({ threads = {} }, Host)
end


--- A light thread; an error in it ends the test.
function Host:spawn(fn)
  self.threads[#self.threads + 1] = coroutine.create(fn)
end


--- Yields to the host; other light threads run meanwhile.
function Host.sleep()
  coroutine.yield("to the host")
end


--- Resumes the light thread `i`.
function Host:resume(i)
  local co = self.threads[i]
  local ok, err = coroutine.resume(co)
  if not ok then error(err, 0) end
  if coroutine.status(co) == "dead" then table.remove(self.threads, i) end
end


--- Resumes the light threads in turn until `done` says so.
function Host:run(done)
  local deadline = os.time() + 10
  while not done() do
    if os.time() > deadline then error("the host waited for more than 10 s", 2) end
    for i = #self.threads, 1, -1 do self:resume(i) end
  end
end


--- Runs `fn` in a light thread of its own to its end: what it gives.
function Host:await(fn)
  local results
  self:spawn(function() results = { fn() } end)
  self:run(function() return results end)
  return unpack(results)
end


-- --- The specs ---

describe("a runtime with the hooks of a host", function()
  local host, rt, runs

  -- `executor`: what it does with each run; by default each gets a light thread.
  local function open(options)
    runs = {}
    local all = {
      clock = "system",
      executor = function(run)
        runs[#runs + 1] = run
        host:spawn(run)
      end,
      sleep = function() host.sleep() end,
    }
    for key, value in pairs(options or {}) do all[key] = value end
    rt = runtimes.open(all)
    return rt
  end

  local function orchestration(fn)
    rt:orchestration("o", fn)
  end

  -- Runs "o" in a light thread: its output, or nil, err.
  local function finish(input)
    return host:await(function()
      local id = assert(rt:start("o", input))
      return rt:wait(id)
    end)
  end

  before_each(function() host = new_host() end)
  after_each(runtimes.clean)

  it("lets the host run others while a call waits", function()
    open()
    rt:activity("double", function(_, n)
      host.sleep()
      return n * 2
    end)
    orchestration(function(ctx, n) return ctx:activity("double", n) + ctx:activity("double", 1) end)
    local others = 0
    host:spawn(function()
      while true do
        others = others + 1
        host.sleep()
      end
    end)
    local output = finish(20)
    assert.equal(42, output)
    assert.is_true(others > 4)
    assert.equal(2, #runs)
  end)

  it("runs each activity in a coroutine of the host's, several at once, which may yield to it", function()
    open()
    local seen, together, most = {}, 0, 0
    rt:activity("yields", function(_, n)
      seen[n] = coroutine.running()
      together = together + 1
      most = math.max(most, together)
      for _ = 1, 50 do assert(coroutine.yield("to the host") == nil) end
      together = together - 1
      return n
    end)
    orchestration(function(ctx)
      local tasks = {}
      for i = 1, 3 do tasks[i] = ctx:schedule_activity("yields", i) end
      return ctx:join(tasks)
    end)
    assert.same({ 1, 2, 3 }, finish())
    assert.equal(3, most)
    assert.is_true(seen[1] ~= seen[2] and seen[2] ~= seen[3])
  end)

  it("has no more activities out than activity_concurrency", function()
    open { activity_concurrency = 2 }
    local together, most = 0, 0
    rt:activity("yields", function()
      together = together + 1
      most = math.max(most, together)
      for _ = 1, 5 do host.sleep() end
      together = together - 1
    end)
    orchestration(function(ctx)
      local tasks = {}
      for i = 1, 9 do tasks[i] = ctx:schedule_activity("yields", i) end
      ctx:join(tasks)
    end)
    finish()
    assert.equal(2, most)
    assert.equal(9, #runs)
  end)

  it("sleeps with the host's function, in activities by the runtime's clock", function()
    local asked = {}
    open { clock = "virtual", sleep = function(seconds)
      asked[#asked + 1] = seconds
      host.sleep()
    end }
    rt:activity("naps", function(ctx) return ctx:sleep(60) end)
    orchestration(function(ctx) return ctx:activity("naps") end)
    local id = host:await(function() return rt:start("o") end)
    host:run(function()
      rt:step()
      return #runs == 1
    end)
    asked = {}
    host:resume(1) -- the activity
    assert.same({ 0.5 }, asked)
    local now = rt:now()
    local output = host:await(function()
      rt.core:set_time((now + 59.75) * 1000)
      host.sleep()
      rt.core:set_time((now + 60) * 1000)
      return rt:wait(id)
    end)
    assert.is_true(output)
  end)

  it("calls the runtime from an activity as from anywhere else", function()
    open()
    rt:activity("asks", function(ctx, n)
      local child = assert(ctx.runtime:start("kid", n))
      return ctx.runtime:wait(child, 10)
    end)
    rt:orchestration("kid", function(_, n) return n + 1 end)
    orchestration(function(ctx) return ctx:activity("asks", 1) end)
    assert.equal(2, finish())
  end)

  it("tells an activity that it is cancelled, also in its sleep", function()
    open()
    local begun, outcome
    rt:activity("naps", function(ctx)
      begun = true
      local slept, err = ctx:sleep("1h")
      outcome = { slept, err and err.code, ctx:is_cancelled() }
    end)
    orchestration(function(ctx) ctx:activity("naps") end)
    local id = host:await(function() return rt:start("o") end)
    host:spawn(function() rt:run() end)
    host:run(function() return begun end)
    host:await(function() return assert(rt:cancel(id, "enough")) end)
    host:run(function() return outcome end)
    assert.same({ nil, "cancelled", true }, { outcome[1], outcome[2], outcome[3] })
    rt:stop()
  end)

  it("runs until it is stopped, and goes on with what is out when it runs again", function()
    open()
    local go
    rt:activity("waits", function()
      while not go do host.sleep() end
      return "went"
    end)
    orchestration(function(ctx) return ctx:activity("waits") end)
    local id = host:await(function() return rt:start("o") end)
    local ended
    host:spawn(function() ended = { rt:run() } end)
    for _ = 1, 3 do host:resume(#host.threads) end
    rt:stop()
    host:run(function() return ended end)
    assert.same({ true }, ended)
    go = true
    host:run(function() return #host.threads == 0 end)
    assert.equal("went", host:await(function() return rt:wait(id) end))
  end)

  it("waits in steps and until idle with the host's function", function()
    open()
    orchestration(function(ctx) ctx:wait_event("never") end)
    local output = host:await(function()
      assert(rt:start("o"))
      return { rt:run_until_idle(10), rt:step(0.003) }
    end)
    assert.same({ true, 0 }, output)
    local ok, err = host:await(function() return rt:wait("nobody", 0.002) end)
    assert.is_nil(ok)
    assert.equal("not_found", err.code)
  end)

  it("records what an activity raises, with its own part of the stack", function()
    open()
    local function deep() error { code = "deep", message = "down here", data = { 1 } } end
    rt:activity("a", function() deep() end)
    orchestration(function(ctx) ctx:activity("a") end)
    local output, err = finish()
    assert.is_nil(output)
    assert.same({ "deep", "down here", { 1 }, "a" }, { err.code, err.message, err.data, err.name })
    local status = rt:history({ instance = rt:list_instances()[1].instance_id, kinds = "activity_failed" })
    local details = status.events[1].error.details
    assert.matches("^stack traceback:\n\tspec/host_hooks_spec.lua:%d+: in [%w ]*'deep'\n", details)
    assert.is_nil(details:find("xpcall", 1, true))
    assert.is_nil(details:find("[C]", 1, true))
  end)

  it("fails the attempt when the executor raises, and tries again as the policy says", function()
    local calls = 0
    open { executor = function(run)
      calls = calls + 1
      if calls < 3 then error("no timers left", 0) end
      host:spawn(run)
    end }
    rt:activity("a", function(ctx) return ctx.attempt end)
    orchestration(function(ctx)
      local _, err = pcall(ctx.activity, ctx, "a")
      return { err.message, ctx:activity("a", nil, { retry = { initial = 0 } }) }
    end)
    assert.same({ "no timers left", 2 }, finish())
  end)

  it("fails the attempt when the executor yields, for it may not", function()
    open { executor = function() host.sleep() end }
    rt:activity("a", function() end)
    orchestration(function(ctx) ctx:activity("a") end)
    local output, err = finish()
    assert.is_nil(output)
    assert.matches("yield", err.message)
  end)

  it("fails the attempt whose run nobody will call", function()
    open { executor = function() end }
    rt:activity("a", function() end)
    orchestration(function(ctx) ctx:activity("a") end)
    local output, err = host:await(function()
      local id = assert(rt:start("o"))
      rt:run_until_idle(0.01)
      collectgarbage()
      collectgarbage()
      return rt:wait(id)
    end)
    assert.is_nil(output)
    assert.matches("nobody can finish", err.message)
  end)

  it("takes a run that is called at once, or twice", function()
    local count = 0
    open { executor = function(run)
      run()
      run()
    end }
    rt:activity("a", function() count = count + 1 return count end) -- luacheck: ignore
    orchestration(function(ctx) return ctx:activity("a") end)
    assert.equal(1, finish())
  end)

  it("hands on what the sleep raises: to the activity, and to the call that waits", function()
    local denied
    open { sleep = function()
      if denied == "everybody" or denied == coroutine.running() then error("no sleeping here", 0) end
      host.sleep()
    end }
    rt:activity("naps", function(ctx)
      denied = coroutine.running()
      ctx:sleep(1)
    end)
    orchestration(function(ctx) ctx:activity("naps") end)
    local output, err = finish()
    assert.is_nil(output)
    assert.equal("no sleeping here", err.message)
    denied = "everybody"
    local ok, raised = host:await(function() return pcall(rt.start, rt, "o") end)
    assert.is_false(ok)
    assert.equal("no sleeping here", raised)
  end)

  it("can be closed while the host runs activities: what they do then counts no more, and they run again", function()
    local path = runtimes.path()
    local go, ended = nil, {}
    local function again()
      open { path = path }
      rt:activity("waits", function(ctx, how)
        while not go do host.sleep() end
        if how == "sleeps" then ended.sleeps = { pcall(ctx.sleep, ctx, 1) } end
        if how == "calls" then ended.calls = { pcall(function() return ctx.runtime:start("o") end) } end
        ended.cancelled = ctx:is_cancelled()
        return "went"
      end)
      orchestration(function(ctx)
        local tasks = {}
        for i, how in ipairs { "sleeps", "calls", "returns" } do tasks[i] = ctx:schedule_activity("waits", how) end
        return ctx:join(tasks)
      end)
    end
    again()
    local id = host:await(function() return rt:start("o") end)
    host:run(function()
      rt:step()
      return #runs == 3
    end)
    local kept = table.remove(runs)
    rt:close()
    go = true
    host:run(function() return #host.threads == 0 end)
    kept()
    assert.is_false(ended.sleeps[1])
    assert.matches("after the end of this attempt", ended.calls[2])
    assert.is_true(ended.cancelled)
    again()
    assert.same({ "went", "went", "went" }, host:await(function() return rt:wait(id) end))
    assert.equal(3, #rt:history({ instance = id, kinds = "activity_completed" }).events)
  end)

  it("may be a worker's", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    owner:orchestration("o", function(ctx) return ctx:activity("elsewhere", 20, { queue = "q" }) end)
    open { path = path, role = "worker", queues = { "q" } }
    rt:activity("elsewhere", function(ctx, n)
      ctx:sleep(0.001)
      return n + 1
    end)
    local id = assert(owner:start("o"))
    host:spawn(function() rt:run() end)
    host:run(function()
      assert(owner:step())
      return owner:status(id).status == "completed"
    end)
    assert.equal(21, owner:status(id).output)
    assert.equal(1, #runs)
    rt:stop()
  end)

  it("may have a sleep without an executor: then activities run on the loop's own coroutines", function()
    local slept = 0
    rt = runtimes.open { clock = "system", sleep = function()
      slept = slept + 1
      host.sleep()
    end }
    rt:activity("naps", function(ctx) return ctx:sleep(0.001) end)
    orchestration(function(ctx) return ctx:activity("naps") end)
    assert.is_true(finish())
    assert.is_true(slept > 0)
  end)

  it("needs a sleep beside an executor, and functions for both", function()
    local nothing, err = duro.open { path = ":memory:", executor = function() end }
    assert.is_nil(nothing)
    assert.equal("invalid_argument", err.code)
    assert.matches("'executor' needs 'sleep'", err.message)
    assert.error_matches(function() duro.open { path = ":memory:", sleep = 1 } end, "'sleep' must be a function")
    assert.error_matches(function() duro.open { path = ":memory:", executor = "x" } end, "must be a function")
  end)
end)
