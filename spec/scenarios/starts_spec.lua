-- Starting: when, under which id, with what beside it, one or many, and over a restart.

local runtimes = require "spec.support.runtimes"

local rt


local function register(runtime)
  runtime:orchestration("echo", function(_, input) return input end)
  runtime:orchestration("waits", function(ctx, input) return { input, ctx:wait_event("go") } end)
end


local function refused(code, ok, err)
  assert.is_nil(ok)
  assert.equal(code, err.code)
end


local function open()
  rt = runtimes.open()
  register(rt)
end


describe("a start that lies ahead", function()
  after_each(runtimes.clean)

  it("is pending over a restart, and begins at its time", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    local now = rt:now()
    assert(rt:start("echo", "delayed", { id = "d", delay = "1h" }))
    assert(rt:start("echo", "at", { id = "a", start_at = now + 7200 }))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert.same({ "pending", "pending" }, { rt:status("d").status, rt:status("a").status })
    assert(rt:advance(now + 3700 - rt:now()))
    assert.same({ "completed", "pending" }, { rt:status("d").status, rt:status("a").status })
    assert(rt:advance(3600))
    assert.equal("at", rt:wait("a", 10))
    assert.is_true(rt:history({ instance = "d" }).events[2].timestamp >= now + 3600)
  end)

  it("begins at once when its time is past", function()
    open()
    assert(rt:start("echo", "late", { id = "l", start_at = rt:now() - 3600 }))
    assert.equal("late", rt:wait("l", 10))
    assert(rt:start("echo", "now", { id = "n", delay = 0 }))
    assert.equal("now", rt:wait("n", 10))
  end)

  it("keeps events for its first wait", function()
    open()
    assert(rt:start("waits", 1, { id = "w", delay = 60, event = { name = "go", data = "early" } }))
    assert(rt:raise_event("w", "other", "kept too"))
    assert.equal("pending", rt:status("w").status)
    assert(rt:advance(60))
    assert.same({ 1, "early" }, rt:wait("w", 10))
  end)

  it("ends without running when it is cancelled or terminated", function()
    open()
    local ran = 0
    rt:orchestration("runs", { guard = false }, function() ran = ran + 1 end)
    for _, id in ipairs { "c", "t" } do assert(rt:start("runs", nil, { id = id, delay = 60 })) end
    assert(rt:cancel("c", "early"))
    assert(rt:terminate("t", "early"))
    assert(rt:advance(120))
    assert.same({ "cancelled", "terminated" }, { rt:status("c").status, rt:status("t").status })
    assert.matches("early", rt:status("c").error.message)
    assert.matches("early", rt:status("t").error.message)
    assert.equal(0, ran)
  end)

  it("may be suspended, and begins when it is resumed after its time", function()
    open()
    assert(rt:start("echo", "held", { id = "s", delay = 60 }))
    assert(rt:suspend("s"))
    assert(rt:advance(120))
    assert.equal("suspended", rt:status("s").status)
    assert(rt:resume("s"))
    assert.equal("held", rt:wait("s", 10))
  end)

  it("may be suspended and resumed before its time, over a restart, and keeps what arrives", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    for _, id in ipairs { "again", "resumed" } do assert(rt:start("waits", id, { id = id, delay = 60 })) end
    assert(rt:suspend("again"))
    assert(rt:raise_event("again", "go", "kept"))
    assert(rt:resume("again"))
    assert(rt:suspend("again"))
    assert(rt:suspend("resumed"))
    assert(rt:resume("resumed"))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    assert(rt:advance(120))
    assert.same({ "suspended", "running" }, { rt:status("again").status, rt:status("resumed").status })
    assert(rt:resume("again"))
    assert.same({ "again", "kept" }, rt:wait("again", 10))
    assert(rt:raise_event("resumed", "go", "too"))
    assert.same({ "resumed", "too" }, rt:wait("resumed", 10))
  end)

  it("that came while it was suspended begins when resumed, or never", function()
    local path = runtimes.path()
    local ran = {}
    local function reopen()
      if rt then rt:close() end
      rt = runtimes.open { path = path }
      rt:orchestration("runs", { guard = false }, function(ctx, input)
        ran[#ran + 1] = input
        return { input, ctx:wait_event("go") }
      end)
    end
    rt = nil
    reopen()
    for _, id in ipairs { "resumed", "cancelled", "terminated", "limited" } do
      assert(rt:start("runs", id, { id = id, delay = 60, timeout = id == "limited" and 30 or nil }))
      assert(rt:suspend(id))
    end
    assert(rt:advance(70))
    for _, id in ipairs { "resumed", "cancelled", "terminated", "limited" } do
      assert.equal("suspended", rt:status(id).status)
    end
    assert(rt:raise_event("resumed", "go", "early"))
    reopen()
    assert(rt:run_until_idle(10))
    assert(rt:cancel("cancelled", "not now"))
    assert(rt:terminate("terminated", "not now"))
    assert.equal("terminated", rt:status("terminated").status)
    assert(rt:advance(60))
    assert.same({}, ran)
    for _, id in ipairs { "resumed", "cancelled", "limited" } do assert(rt:resume(id)) end
    assert.same({ "resumed", "early" }, rt:wait("resumed", 10))
    assert.equal("cancelled", select(2, rt:wait("cancelled", 10)).code)
    assert.equal("timeout", select(2, rt:wait("limited", 10)).code)
    for _, id in ipairs(ran) do assert.not_equal("terminated", id) end
  end)

  it("has the timeout of its run, not of its wait", function()
    open()
    assert(rt:start("waits", 1, { id = "w", delay = 60, timeout = 30 }))
    assert(rt:advance(60 + 29))
    assert.equal("running", rt:status("w").status)
    assert(rt:advance(2))
    assert.equal("timeout", rt:status("w").error.code)
  end)
end)


describe("a start under an id that is taken", function()
  before_each(open)
  after_each(runtimes.clean)

  it("is refused by default, whatever the other one does", function()
    assert(rt:start("waits", 1, { id = "running" }))
    assert(rt:start("echo", 1, { id = "pending", delay = 60 }))
    assert(rt:start("echo", 1, { id = "completed" }))
    assert(rt:start("nobody_has_this", 1, { id = "stalled" }))
    assert(rt:run_until_idle(10))
    for _, id in ipairs { "running", "pending", "completed", "stalled" } do
      assert.equal(id, rt:status(id).status)
      for _, on_conflict in ipairs { "fail", id ~= "completed" and "replace_finished" or nil } do
        local ok, err = rt:start("echo", 2, { id = id, on_conflict = on_conflict })
        assert.is_nil(ok)
        assert.equal("already_exists", err.code)
        assert.matches("'" .. id .. "'", err.message, 1, true)
      end
      assert.equal(id, rt:start("echo", 2, { id = id, on_conflict = "existing" }))
    end
    assert.equal(1, rt:wait("completed", 10))
  end)

  it("gets the event to the existing one, in order, and refuses it for one that has ended", function()
    rt:orchestration("two", function(ctx) return { ctx:wait_event("e"), ctx:wait_event("e") } end)
    local function start(data)
      return rt:start("two", nil, { id = "t", on_conflict = "existing", event = { name = "e", data = data } })
    end
    assert.equal("t", start(1))
    assert.equal("t", start(2))
    assert.same({ 1, 2 }, rt:wait("t", 10))
    local before = #rt:history({ instance = "t" }).events
    refused("finished", start(3))
    assert.equal(before, #rt:history({ instance = "t" }).events)
  end)

  it("by many at once starts it once", function()
    local runs = 0
    rt:orchestration("counted", { guard = false }, function(ctx)
      runs = runs + 1
      return ctx.instance_id
    end)
    rt:activity("starts", function(ctx, on_conflict)
      local id, err = ctx.runtime:start("counted", nil, { id = "one", on_conflict = on_conflict })
      return id or err.code
    end)
    local outcomes = assert(runtimes.run(rt, function(ctx)
      local tasks = {}
      for i = 1, 8 do tasks[i] = ctx:schedule_activity("starts", i % 2 == 0 and "fail" or "existing") end
      return ctx:join(tasks)
    end))
    local count = {}
    for _, outcome in ipairs(outcomes) do count[outcome] = (count[outcome] or 0) + 1 end
    assert.is_true(count.one >= 4 and count.one <= 5) -- those with "existing", and at most one of the others
    assert.equal(8, count.one + count.already_exists)
    assert(rt:run_until_idle(10))
    assert.equal(1, runs)
  end)

  it("replaces one that was cancelled, failed or terminated as well, with nothing of it left", function()
    rt:orchestration("fails", function(ctx)
      ctx.kv.old = true
      ctx:set_custom_status("old")
      error("no")
    end)
    for id, ending in pairs { c = "cancel", t = "terminate", f = false } do
      assert(rt:start(ending and "waits" or "fails", nil, { id = id, attributes = { old = true } }))
      if ending then assert(rt[ending](rt, id)) end
      assert(rt:run_until_idle(10))
      assert.equal(id, rt:start("waits", "new", { id = id, on_conflict = "replace_finished",
        event = { name = "go", data = "with it" } }))
      assert.same({ "new", "with it" }, rt:wait(id, 10))
      assert.same({}, rt:kv(id))
      assert.is_nil(rt:status(id).custom_status)
      assert.is_nil(rt:details(id).summary.attributes)
      assert.same({ 1 }, rt:list_executions(id))
    end
  end)
end)


describe("several starts in one call", function()
  before_each(open)
  after_each(runtimes.clean)

  it("take the options of each", function()
    rt:orchestration("versioned", { version = "1.0.0" }, function(ctx) return ctx.version end)
    rt:orchestration("versioned", { version = "2.0.0" }, function(ctx) return ctx.version end)
    assert.same({ "v", "e", "l", "t" }, rt:start_many {
      { name = "versioned", id = "v", version = "1.0.0", attributes = { region = "eu" } },
      { name = "waits", input = 1, id = "e", event = { name = "go", data = 2 } },
      { name = "echo", input = 3, id = "l", delay = 60 },
      { name = "waits", id = "t", timeout = 30 },
    })
    assert.equal("1.0.0", rt:wait("v", 10))
    assert.same({ "v" }, rt:list_instances({ attributes = { region = "eu" } }):ids())
    assert.same({ 1, 2 }, rt:wait("e", 10))
    assert.equal("pending", rt:status("l").status)
    assert(rt:advance(60))
    assert.equal(3, rt:wait("l", 10))
    assert.equal("timeout", select(2, rt:wait("t", 10)).code)
  end)

  it("are all or none: one that cannot be takes the others along", function()
    assert(rt:start("echo", 1, { id = "taken" }))
    for code, bad in pairs {
      already_exists = { name = "echo", id = "taken" },
      invalid_argument = { name = "echo", id = "a\nb" },
      invalid_payload = { name = "echo", input = { cb = print } },
      too_large = { name = "echo", input = ("x"):rep(17 * 1024 * 1024) },
    } do
      refused(code, rt:start_many { { name = "echo", id = "first" }, bad, { name = "echo", id = "last" } })
      assert.same({ "not_found", "not_found" }, { rt:status("first").status, rt:status("last").status })
    end
    assert.has_error(function() rt:start_many { { name = "echo", id = "first" }, { name = "echo", idd = "x" } } end)
    assert.equal("not_found", rt:status("first").status)
    assert.same({ "taken" }, rt:list_instances():ids())
  end)

  it("may name one that exists, or replace one that has ended", function()
    assert(rt:start("waits", "old", { id = "running" }))
    assert(rt:start("echo", "old", { id = "ended" }))
    assert(rt:run_until_idle(10))
    assert.same({ "running", "ended", "new" }, rt:start_many {
      { name = "waits", input = "new", id = "running", on_conflict = "existing", event = { name = "go", data = "on" } },
      { name = "echo", input = "new", id = "ended", on_conflict = "replace_finished" },
      { name = "echo", input = "new", id = "new", on_conflict = "existing" },
    })
    assert.same({ "old", "on" }, rt:wait("running", 10))
    assert.same({ "new", "new" }, { rt:wait("ended", 10), (rt:wait("new", 10)) })
  end)

  it("take nothing away when one of them cannot be", function()
    assert(rt:start("waits", "old", { id = "running" }))
    for _, id in ipairs { "ended", "other" } do assert(rt:start("echo", "old", { id = id })) end
    assert(rt:run_until_idle(10))
    local replaces = { name = "echo", input = "new", id = "ended", on_conflict = "replace_finished" }
    local wakes = { name = "waits", id = "running", on_conflict = "existing", event = { name = "go", data = "on" } }
    for code, bad in pairs {
      already_exists = { name = "echo", id = "running", on_conflict = "replace_finished" },
      finished = { name = "echo", id = "other", on_conflict = "existing", event = { name = "go" } },
      invalid_argument = { name = "" },
    } do
      refused(code, rt:start_many { replaces, wakes, bad })
    end
    refused("already_exists", rt:start_many { replaces, replaces })
    assert(rt:run_until_idle(10))
    assert.equal("old", rt:wait("ended", 10))
    assert.same({ "orchestration_started waits", "event_subscribed go" }, runtimes.kinds(rt, "running"))
  end)

  it("replace whole trees, each once", function()
    rt:orchestration("parent", function(ctx, kid) ctx:sub_orchestration("echo", nil, { id = kid }) end)
    for i = 1, 3 do assert(rt:start("parent", "kid" .. i, { id = "p" .. i })) end
    assert(rt:run_until_idle(10))
    local function replacing(...)
      local starts = {}
      for i, id in ipairs { ... } do starts[i] = { name = "echo", id = id, on_conflict = "replace_finished" } end
      return rt:start_many(starts)
    end
    refused("invalid_argument", replacing("p1", "kid1"))
    refused("invalid_argument", replacing("kid1", "p1"))
    assert.equal(6, #rt:list_instances())
    assert.same({ "p1", "p2" }, replacing("p1", "p2"))
    assert(rt:run_until_idle(10))
    local ids = rt:list_instances():ids()
    table.sort(ids)
    assert.same({ "kid3", "p1", "p2", "p3" }, ids)
    assert.equal(0, rt:dependencies("p1").total_descendants)
  end)

  it("get ids of their own, in ascending order", function()
    local starts = {}
    for i = 1, 200 do starts[i] = { name = "echo", input = i } end
    local ids = assert(rt:start_many(starts))
    for i = 2, 200 do assert.is_true(ids[i - 1] < ids[i]) end
    for _, i in ipairs { 1, 100, 200 } do assert.equal(i, rt:wait(ids[i], 10)) end
    assert.equal(200, #rt:list_instances { name = "echo" })
  end)

  it("are there when the call returns, though the file is closed at once", function()
    local path = runtimes.path()
    rt = runtimes.open { path = path }
    register(rt)
    local starts = {}
    for i = 1, 50 do starts[i] = { name = "echo", input = i, id = "e" .. i } end
    assert(rt:start_many(starts))
    rt:close()
    rt = runtimes.open { path = path }
    register(rt)
    for i = 1, 50 do assert.equal(i, rt:wait("e" .. i, 10)) end
  end)
end)


describe("the timeout of an instance", function()
  after_each(runtimes.clean)

  it("is of the whole of it: executions, children and restarts count", function()
    local path = runtimes.path()
    local function reopen()
      if rt then rt:close() end
      rt = runtimes.open { path = path }
      rt:orchestration("kid", function(ctx) ctx:wait_event("never") end)
      rt:orchestration("rounds", function(ctx, n)
        if n == 3 then ctx:sub_orchestration("kid", nil, { id = "kid" }) end
        ctx:sleep(20)
        ctx:continue_as_new(n + 1)
      end)
    end
    rt = nil
    reopen()
    assert(rt:start("rounds", 1, { id = "r", timeout = 60 }))
    assert(rt:advance(45))
    assert.same({ 1, 2, 3 }, rt:list_executions("r"))
    local began = rt:details("r").summary.created_at
    reopen()
    assert(rt:advance(began + 59 - rt:now()))
    assert.equal("running", rt:status("r").status)
    assert(rt:advance(2))
    local _, err = rt:wait("r", 10)
    assert.equal("timeout", err.code)
    assert.same({ "failed", "cancelled" }, { rt:status("r").status, rt:status("kid").status })
  end)

  it("cannot be caught, and is none when it has ended before", function()
    open()
    rt:orchestration("catches", function(ctx)
      pcall(ctx.sleep, ctx, "1h")
      return "caught"
    end)
    assert(rt:start("catches", nil, { id = "c", timeout = 10 }))
    assert(rt:start("echo", "in time", { id = "e", timeout = 10 }))
    assert(rt:advance("2h"))
    assert.equal("timeout", select(2, rt:wait("c", 10)).code)
    assert.equal("in time", rt:wait("e", 10))
  end)
end)
