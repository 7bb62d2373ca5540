-- Task queues: activities that other processes run. The workers are real processes; what they do stands
-- in a file of lines beside the database, one write a line, so that a kill does not reach it.

local child = require "spec.support.child"
local duro = require "duro"
local runtimes = require "spec.support.runtimes"

local WORKER = [[
  io.stdout:setvbuf("line")
  local duro = require "duro"
  local path = %q
  local function log(line)
    local file = assert(io.open(path .. ".log", "a"))
    file:write(line, "\n")
    file:close()
  end
  local options = { path = path, role = "worker", queues = { "gpu" }, debug = { job_lease = "600ms" },
    durability = "normal" }
  for key, value in pairs(%s) do options[key] = value end
  local rt = assert(duro.open(options))
  %s
  print("ready")
  local ok, err = rt:run()
  print(ok, err)
]]


describe("a task queue", function()
  local path, workers

  before_each(function()
    path, workers = runtimes.path(), {}
  end)

  after_each(function()
    for worker in pairs(workers) do worker:kill() end
    runtimes.clean()
    os.remove(path .. ".log")
  end)

  local function owner(options)
    local all = { path = path, clock = "system" }
    for key, value in pairs(options or {}) do all[key] = value end
    return runtimes.open(all)
  end

  -- A worker process that has registered what `body` says. The file must be there already.
  local function worker(body, options)
    local started = child.start(WORKER:format(path, options or "{}", body))
    workers[started] = true
    assert.equal("ready", started:line())
    return started
  end

  local function kill(started)
    workers[started] = nil
    started:kill()
  end

  local function log()
    local lines, file = {}, io.open(path .. ".log")
    if not file then return lines end
    for line in file:lines() do lines[#lines + 1] = line end
    file:close()
    return lines
  end

  local function logged(rt, line)
    runtimes.until_true(rt, function()
      for _, found in ipairs(log()) do
        if found == line then return true end
      end
    end, "the worker says '" .. line .. "'")
  end

  -- Starts an orchestration that runs one activity of the queue: its id.
  local function start(rt, name, input, options)
    options = options or {}
    options.queue = options.queue or "gpu"
    rt:orchestration("one", { replace = true }, function(ctx)
      local ok, value = pcall(ctx.activity, ctx, name, input, options)
      if ok then return value end
      return { code = value.code, message = value.message, data = value.data, attempts = value.attempts }
    end)
    return assert(rt:start("one", nil, { id = "one" }))
  end

  local function run(rt, name, input, options)
    return assert(rt:wait(start(rt, name, input, options), 20))
  end

  describe("that this process serves", function()
    it("gets its activities from it", function()
      local rt = runtimes.open { queues = { "gpu", "mail" } }
      rt:activity("render", function(ctx, input) return { ctx.name, ctx.attempt, ctx.instance_id, input } end)
      assert.same({ "render", 1, "one", 7 }, run(rt, "render", 7))
      assert.same({ "orchestration_started one", "activity_scheduled render", "activity_completed",
        "orchestration_completed" }, runtimes.kinds(rt, "one"))
    end)

    it("keeps the policy of retries and the id of the activity", function()
      local rt, ids = runtimes.open { queues = "gpu" }, {}
      rt:activity("flaky", function(ctx)
        ids[ctx.activity_id] = true
        if ctx.attempt < 3 then error { code = "busy", message = "attempt " .. ctx.attempt } end
        return ctx.attempt
      end)
      local before = rt:now()
      assert.equal("one", start(rt, "flaky", nil, { retry = { initial = 20, backoff = "fixed" } }))
      assert(rt:advance("1h"))
      assert.equal(3, rt:wait("one", 10))
      assert.equal(40, rt:history({ instance = "one" }).events[5].timestamp - before)
      assert.is_nil(next(ids, next(ids)))
    end)

    it("is one of many for the same orchestration", function()
      local rt = runtimes.open { queues = { "a", "b" } }
      rt:activity("name", function(_, input) return input end)
      rt:orchestration("both", function(ctx)
        local tasks = {}
        for i = 1, 50 do
          tasks[i] = ctx:schedule_activity("name", i, { queue = i % 2 == 0 and "a" or i % 3 == 0 and "b" or nil })
        end
        return ctx:join(tasks)
      end)
      local output = runtimes.finish(rt, "both")
      for i = 1, 50 do assert.equal(i, output[i]) end
    end)

    it("waits in line when activity_concurrency is reached", function()
      local rt = runtimes.open { queues = { "gpu" }, activity_concurrency = 2 }
      local running, most = 0, 0
      rt:activity("work", function(ctx)
        running = running + 1
        most = math.max(most, running)
        ctx:sleep(1)
        running = running - 1
      end)
      rt:orchestration("many", function(ctx)
        local tasks = {}
        for i = 1, 7 do tasks[i] = ctx:schedule_activity("work", i, { queue = "gpu" }) end
        return #ctx:join_settled(tasks)
      end)
      assert.equal(7, runtimes.finish(rt, "many"))
      assert.equal(2, most)
    end)

    it("makes the same history when every turn is replayed", function()
      local kinds = {}
      for i, replay in ipairs { false, true } do
        local rt = runtimes.open { queues = { "gpu" }, debug = { replay_every_turn = replay } }
        rt:activity("step", function(ctx, input)
          ctx:heartbeat { input }
          if ctx.attempt == 1 and input == 2 then error("once") end
          return { input, ctx.heartbeat_details }
        end)
        rt:orchestration("steps", function(ctx)
          local all = {}
          for step = 1, 3 do
            all[step] = ctx:activity("step", step, { queue = "gpu", retry = {}, attempt_timeout = "1m" })
          end
          return all
        end)
        assert.same({ { 1 }, { 2, { 2 } }, { 3 } }, runtimes.finish(rt, "steps", nil, "1h", { id = "s" }))
        kinds[i] = runtimes.kinds(rt, "s")
      end
      assert.same(kinds[1], kinds[2])
    end)

    it("has time limits by the runtime's clock", function()
      local rt = runtimes.open { queues = { "gpu" } }
      rt:activity("slow", function(ctx)
        if ctx.attempt == 1 then ctx:sleep("1h") end
        return ctx.attempt
      end)
      start(rt, "slow", nil, { attempt_timeout = 5, retry = { initial = 1 } })
      assert(rt:advance("10s"))
      assert.equal(2, rt:wait("one", 10))
    end)

    it("hears heartbeats, and hands their details on", function()
      local rt = runtimes.open { queues = { "gpu" } }
      rt:activity("steps", function(ctx)
        if ctx.attempt > 1 then return ctx.heartbeat_details end
        for step = 1, 5 do
          ctx:sleep(4)
          ctx:heartbeat { step = step }
        end
        ctx:sleep(600)
      end)
      start(rt, "steps", nil, { heartbeat_timeout = 5, retry = { max_attempts = 2 } })
      assert(rt:advance("1m"))
      assert.same({ step = 5 }, rt:wait("one", 10))
    end)
  end)

  describe("that nobody serves", function()
    it("keeps its activity waiting, and timeout lets the orchestration escape", function()
      local rt = runtimes.open()
      rt:activity("render", function() error("it ran here") end)
      start(rt, "render", nil, { timeout = "1h" })
      assert(rt:run_until_idle(10))
      assert.same({ "activity" }, rt:list_instances({})[1].waiting_on)
      assert(rt:advance("59m"))
      assert.equal("running", rt:status("one").status)
      assert(rt:advance("1m"))
      assert.equal("timeout", rt:wait("one", 10).code)
    end)

    it("is not another one that is served", function()
      local rt = runtimes.open { queues = { "mail", "gp" } }
      rt:activity("render", function() error("it ran here") end)
      start(rt, "render")
      assert(rt:run_until_idle(10))
      assert.equal("running", rt:status("one").status)
    end)

    it("keeps its activities for a server that comes later, also over a restart", function()
      local rt = owner()
      start(rt, "render", "picture")
      assert(rt:run_until_idle(10))
      rt:close()
      rt = owner { queues = { "gpu" } }
      rt:activity("render", function(_, input) return "a " .. input end)
      rt:orchestration("one", function(ctx) return ctx:activity("render", "picture", { queue = "gpu" }) end)
      assert.equal("a picture", rt:wait("one", 10))
    end)

    it("is left alone by servers that do not know the activity", function()
      local rt = runtimes.open { queues = { "gpu" } }
      start(rt, "render")
      assert(rt:run_until_idle(10))
      assert.equal("running", rt:status("one").status)
      rt:activity("render", function() return "known at last" end)
      assert.equal("known at last", rt:wait("one", 10))
    end)
  end)

  describe("that a worker process serves", function()
    it("gets its activities there, and not here", function()
      local rt = owner()
      rt:activity("render", function() error("it ran here") end)
      worker [[rt:activity("render", function(ctx, input) log("renders") return { ctx.name, ctx.attempt, input } end)]]
      assert.same({ "render", 1, { picture = "p\0" } }, run(rt, "render", { picture = "p\0" }))
      assert.same({ "renders" }, log())
    end)

    it("runs no orchestration", function()
      local rt = owner()
      worker [[rt:orchestration("theirs", function() log("orchestrates") end)]]
      local id = assert(rt:start("theirs"))
      worker [[rt:activity("render", function() return "rendered" end)]]
      assert.equal("rendered", run(rt, "render"))
      assert.equal("stalled", rt:status(id).status)
      assert.same({}, log())
    end)

    it("keeps code, message and data of errors, and all attempts in the history", function()
      local rt = owner()
      worker [[rt:activity("render", function(ctx)
        error { code = "no_gpu", message = "attempt " .. ctx.attempt, data = { card = 1 } }
      end)]]
      assert.same({ code = "no_gpu", message = "attempt 2", data = { card = 1 }, attempts = 2 },
        run(rt, "render", nil, { retry = { max_attempts = 2, initial = "50ms" } }))
      local retry = rt:history({ instance = "one" }).events[3]
      assert.same({ "activity_retry_scheduled", "no_gpu", 1 }, { retry.kind, retry.error.code, retry.attempt })
    end)

    it("shares its activities among them", function()
      local rt = owner()
      for name = 1, 2 do
        worker(([[rt:activity("render", function(ctx, input)
          log("%d begins")
          ctx:sleep(0.05)
          return %d
        end)]]):format(name, name), "{ activity_concurrency = 3 }")
      end
      rt:orchestration("many", function(ctx)
        local tasks = {}
        for i = 1, 30 do tasks[i] = ctx:schedule_activity("render", i, { queue = "gpu" }) end
        local counts = { 0, 0 }
        for _, name in ipairs(ctx:join(tasks)) do counts[name] = counts[name] + 1 end
        return counts
      end)
      local counts = assert(rt:wait(assert(rt:start("many")), 20))
      assert.equal(30, counts[1] + counts[2])
      assert.equal(30, #log())
      assert.is_true(counts[1] > 0 and counts[2] > 0)
    end)

    it("may run them in threads", function()
      local rt = owner()
      worker [[rt:activity("echo", { thread = true, module = "spec.support.thread_activities" })]]
      assert.same({ "there and back" }, run(rt, "echo", { "there and back" }))
    end)

    it("lets them start and signal instances", function()
      local rt = owner()
      rt:orchestration("helper", function(ctx, input) return input .. ctx:wait_event("go") end)
      worker [[rt:activity("helps", function(ctx)
        local id = assert(ctx.runtime:start("helper", "helped "))
        assert(ctx.runtime:raise_event(id, "go", "well"))
        return ctx.runtime:wait(id, 10)
      end)]]
      assert.equal("helped well", run(rt, "helps"))
    end)

    it("lets them leave with a token", function()
      local rt = owner()
      worker [[rt:activity("later", function(ctx) log(ctx:defer()) end)]]
      start(rt, "later")
      local token = runtimes.until_true(rt, function() return log()[1] end, "the worker has left with a token")
      runtimes.until_true(rt, function()
        local events = rt:history({ instance = "one" }).events
        return events[#events].kind == "activity_deferred"
      end, "the owner knows it")
      assert(rt:complete_activity(token, "done by a person"))
      assert.equal("done by a person", rt:wait("one", 10))
    end)

    it("tells them that they are cancelled", function()
      local rt = owner()
      worker [[rt:activity("slow", function(ctx)
        log("begun")
        local slept, err = ctx:sleep("1h")
        log(tostring(slept) .. " " .. err.code .. " " .. tostring(ctx:is_cancelled()))
      end)]]
      start(rt, "slow")
      logged(rt, "begun")
      assert(rt:cancel("one", "enough"))
      assert.equal("cancelled", select(2, rt:wait("one", 10)).code)
      logged(rt, "nil cancelled true")
    end)

    it("drops what is terminated, and what loses a select", function()
      local rt = owner()
      start(rt, "never")
      rt:orchestration("selects", function(ctx)
        return (ctx:select { ctx:schedule_activity("never", nil, { queue = "gpu" }), ctx:schedule_timer(0.01) })
      end)
      assert.equal(2, rt:wait(assert(rt:start("selects")), 10))
      assert(rt:run_until_idle(10))
      assert(rt:terminate("one"))
      worker [[
        rt:activity("never", function() log("it ran") end)
        assert(rt:run_until_idle(10))
        log("idle")
      ]]
      logged(rt, "idle")
      assert.same({ "idle" }, log())
    end)

    it("keeps their time limits though it is another process that works", function()
      local rt = owner()
      worker [[rt:activity("slow", function(ctx)
        log("attempt " .. ctx.attempt)
        if ctx.attempt == 1 then ctx:sleep("1h") log("woken") end
        return ctx.attempt
      end)]]
      assert.equal(2, run(rt, "slow", nil, { attempt_timeout = "300ms", retry = { initial = "10ms" } }))
      logged(rt, "woken")
      local retry = rt:history({ instance = "one" }).events[3]
      assert.same({ "activity_retry_scheduled", "timeout" }, { retry.kind, retry.error.code })
    end)

    it("hears their heartbeats, and their silence", function()
      local rt = owner()
      worker [[rt:activity("steps", function(ctx)
        if ctx.attempt > 1 then return ctx.heartbeat_details end
        for step = 1, 8 do
          ctx:sleep(0.1)
          ctx:heartbeat { step = step }
        end
        ctx:sleep("1h")
      end)]]
      assert.same({ step = 8 }, run(rt, "steps", nil, { heartbeat_timeout = "600ms", retry = { initial = "10ms" } }))
    end)
  end)

  describe("whose worker dies", function()
    local SLOW = [[rt:activity("slow", function(ctx)
      ctx:heartbeat { from = %q }
      log(%q .. " begins attempt " .. ctx.attempt)
      if %q == "first" then ctx:sleep("1h") end
      return { %q, ctx.attempt, ctx.heartbeat_details }
    end)]]

    it("gives its jobs to another, and the attempt counts as lost, not as used", function()
      local rt = owner()
      local first = worker((SLOW:gsub("%%q", "'first'")))
      start(rt, "slow", nil, { heartbeat_timeout = "1m" })
      logged(rt, "first begins attempt 1")
      runtimes.until_true(rt, function() return #rt:history({ instance = "one" }).events == 2 end)
      for _ = 1, 20 do rt:step(0.02) end -- so that its heartbeat is written
      kill(first)
      worker((SLOW:gsub("%%q", "'second'")))
      assert.same({ "second", 1, { from = "first" } }, rt:wait("one", 20))
      assert.same({ "orchestration_started one", "activity_scheduled slow", "activity_retry_scheduled",
        "activity_completed", "orchestration_completed" }, runtimes.kinds(rt, "one"))
      local lost = rt:history({ instance = "one" }).events[3]
      assert.same({ true, 1, { from = "first" }, "unavailable" },
        { lost.lost, lost.attempt, lost.heartbeat_details, lost.error.code })
    end)

    it("stalls its instance when that happens too often", function()
      local rt = owner { max_lost_attempts = 2 }
      start(rt, "deadly", nil, { retry = { max_attempts = 9 } })
      for death = 1, 3 do
        local deadly = worker [[rt:activity("deadly", function()
          log("dies")
          local file = io.open("/proc/self/stat")
          os.execute("kill -9 " .. file:read("*n"))
        end)]]
        runtimes.until_true(rt, function() return #log() == death end, "the next one dies")
        kill(deadly)
      end
      runtimes.until_true(rt, function() return rt:status("one").status == "stalled" end, "it stalls")
      assert.matches("activity 'deadly' lost its process 2 times in a row", rt:status("one").error.message)
      local late = worker [[
        rt:activity("deadly", function() log("it ran again") end)
        assert(rt:run_until_idle(10))
        log("idle")
      ]]
      logged(rt, "idle")
      kill(late)
      assert.same({ "dies", "dies", "dies", "idle" }, log())
      rt:close()
      rt = owner { max_lost_attempts = 3 } -- mended: it may go on
      rt:orchestration("one", function(ctx)
        return ctx:activity("deadly", nil, { queue = "gpu", retry = { max_attempts = 9 } })
      end)
      worker [[rt:activity("deadly", function() return "alive" end)]]
      assert.equal("alive", rt:wait("one", 10))
    end)

    it("gives them back at once when it closes in order", function()
      local rt = owner()
      local first = worker([[rt:activity("slow", function(ctx)
        log("begun")
        rt:stop()
        ctx:sleep("1h")
      end)
      rt.run = function(self)
        getmetatable(self).__index.run(self)
        log(tostring(self:close()))
        return true
      end]], '{ debug = { job_lease = "1h" } }')
      start(rt, "slow")
      logged(rt, "begun")
      logged(rt, "true")
      workers[first] = nil
      first:finish()
      worker [[rt:activity("slow", function() return "second" end)]]
      assert.equal("second", rt:wait("one", 10))
    end)
  end)

  describe("whose owner goes", function()
    it("keeps the results until the next owner takes them, once", function()
      local rt = owner()
      worker [[rt:activity("count", function(ctx, input)
        log("counts")
        return input + 1
      end)]]
      rt:orchestration("one", function(ctx) return ctx:activity("count", ctx:wait_event("go"), { queue = "gpu" }) end)
      assert(rt:start("one", nil, { id = "one" }))
      assert(rt:raise_event("one", "go", 41))
      rt:close()
      rt = owner()
      rt:orchestration("one", function(ctx) return ctx:activity("count", ctx:wait_event("go"), { queue = "gpu" }) end)
      assert.equal(42, rt:wait("one", 10))
      assert.same({ "counts" }, log())
    end)

    it("is served on while a killed owner is away", function()
      local script = ([[
        io.stdout:setvbuf("line")
        local duro = require "duro"
        local rt = assert(duro.open { path = %q })
        rt:orchestration("one", function(ctx) return ctx:activity("slow", nil, { queue = "gpu" }) end)
        assert(rt:start("one", nil, { id = "one" }))
        assert(rt:run_until_idle(10))
        print("scheduled")
        rt:run()
      ]]):format(path)
      local first = child.start(script)
      workers[first] = true
      assert.equal("scheduled", first:line())
      kill(first)
      local served = worker [[rt:activity("slow", function() log("works") return "worked" end)
        assert(rt:run_until_idle(10))]]
      assert.same({ "works" }, log())
      kill(served)
      local rt = owner()
      rt:orchestration("one", function(ctx) return ctx:activity("slow", nil, { queue = "gpu" }) end)
      assert.equal("worked", rt:wait("one", 10))
      assert.same({ "works" }, log())
    end)

    it("keeps a retry that lies ahead", function()
      local rt = owner()
      worker [[rt:activity("flaky", function(ctx)
        log("attempt " .. ctx.attempt)
        if ctx.attempt == 1 then error("once") end
        return "again"
      end)]]
      start(rt, "flaky", nil, { retry = { initial = 1, max_attempts = 2 } })
      logged(rt, "attempt 1")
      runtimes.until_true(rt, function() return #rt:history({ instance = "one" }).events == 3 end, "it backs off")
      rt:close()
      rt = owner()
      rt:orchestration("one", function(ctx)
        return ctx:activity("flaky", nil, { queue = "gpu", retry = { initial = 1, max_attempts = 2 } })
      end)
      assert.equal("again", rt:wait("one", 10))
      assert.same({ "attempt 1", "attempt 2" }, log())
    end)
  end)

  describe("and bad input", function()
    local function refused(options)
      local rt, err = duro.open(options)
      assert.is_nil(rt)
      return err.code .. ": " .. err.message
    end

    it("needs a name of 1 to 128 bytes without control characters", function()
      for _, name in ipairs { "", ("x"):rep(129), "a\nb", "\255" } do
        assert.matches("^invalid_argument: option 'queues'", refused { path = path, queues = { name } })
        local rt = runtimes.open()
        local output, err = runtimes.run(rt, function(ctx) return ctx:activity("a", nil, { queue = name }) end)
        assert.is_nil(output)
        assert.equal("invalid_argument", err.code)
        assert.matches("option 'queue'", err.message)
      end
    end)

    it("is a programmer's error when it is no text", function()
      assert.error_matches(function() duro.open { path = path, queues = { 5 } } end,
        "option 'queues' element 1 must be a string, got number")
    end)

    it("is needed by a worker, and not taken by a client", function()
      owner()
      assert.equal("invalid_argument: a worker needs queues to serve", refused { path = path, role = "worker" })
      assert.equal("invalid_argument: a client runs no activities: it serves no queues",
        refused { path = path, role = "client", queues = { "gpu" } })
    end)

    it("finds no file to work on", function()
      assert.matches("^storage:", refused { path = path, role = "worker", queues = { "gpu" } })
    end)
  end)
end)
