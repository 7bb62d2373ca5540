local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"


describe("why an instance does nothing", function()
  local rt

  before_each(function() rt = runtimes.open() end)
  after_each(runtimes.clean)

  local function start(fn)
    rt:orchestration("under_test", { replace = true }, fn)
    assert(rt:start("under_test", nil, { id = "i" }))
  end

  local function begun(fn)
    start(fn)
    assert(rt:run_until_idle(10))
  end

  local function why(id)
    local answer = assert(rt:why(id or "i"))
    return answer.state, answer.reason, answer.suggestion, answer.since
  end

  it("is an event that did not come", function()
    begun(function(ctx) ctx:wait_event("approval") end)
    local began = rt:now()
    assert(rt:advance("3h"))
    local state, reason, suggestion, since = why()
    assert.equal("waiting", state)
    assert.equal("waits for event 'approval' for 3 h", reason)
    assert.equal("raise it: rt:raise_event('i', 'approval', data)", suggestion)
    assert.near(began, since, 0.002)
  end)

  it("is a timer, and with the virtual clock it says what moves it", function()
    begun(function(ctx) ctx:sleep("90m") end)
    local state, reason, suggestion = why()
    assert.equal("waiting", state)
    assert.equal("waits for a timer that fires in 1 h", reason)
    assert.matches("rt:advance", suggestion, 1, true)
  end)

  it("names several things, the most pressing first", function()
    begun(function(ctx)
      ctx:schedule_timer("2d")
      ctx:schedule_wait("a")
      ctx:schedule_wait("b")
      ctx:wait_event("c")
    end)
    local _, reason = why()
    assert.equal("waits for event 'a' for 0 ms; waits for a timer that fires in 2 days; "
      .. "waits for event 'b' for 0 ms; waits for event 'c' for 0 ms", reason)
  end)

  it("names five at most, and counts the rest", function()
    begun(function(ctx)
      for i = 1, 8 do ctx:schedule_wait("e" .. i) end
      ctx:wait_event("e9")
    end)
    local _, reason = why()
    assert.matches("waits for event 'e5' for 0 ms; and 4 more$", reason)
  end)

  it("is a sub-orchestration, which can be asked in turn", function()
    rt:orchestration("kid", function(ctx) ctx:wait_event("never") end)
    begun(function(ctx) ctx:sub_orchestration("kid", nil, { id = "kid-1" }) end)
    assert(rt:suspend("kid-1"))
    local state, reason, suggestion = why()
    assert.equal("waiting", state)
    assert.equal("waits for sub-orchestration 'kid-1' ('kid'), which is suspended, for 0 ms", reason)
    assert.equal("ask on: rt:why('kid-1')", suggestion)
  end)

  it("is an activity that runs", function()
    local done
    rt:activity("long", function(ctx) done = ctx:async() end)
    start(function(ctx) ctx:activity("long") end)
    runtimes.until_true(rt, function() return done end)
    local state, reason = why()
    assert.equal("activity_running", state)
    assert.equal("activity 'long' is running for 0 ms", reason)
    done()
  end)

  it("is an activity whose result a token brings", function()
    rt:activity("person", function(ctx) return ctx:defer() end)
    begun(function(ctx) ctx:activity("person") end)
    local state, reason, suggestion = why()
    assert.equal("activity_running", state)
    assert.equal("activity 'person' left with a token for 0 ms", reason)
    assert.matches("rt:complete_activity", suggestion, 1, true)
  end)

  it("is an activity that backs off", function()
    rt:activity("charge", function() error("no funds", 0) end)
    begun(function(ctx)
      ctx:activity("charge", nil, { retry = { max_attempts = 5, backoff = "fixed", initial = 12, max = 12 } })
    end)
    for _ = 1, 2 do assert(rt:advance(12)) end
    local state, reason = why()
    assert.equal("backing_off", state)
    assert.equal("activity 'charge' is backing off, attempt 4 of 5, next in 12 s (last error: no funds)", reason)
  end)

  it("is an activity that nobody has registered", function()
    begun(function(ctx)
      ctx:schedule_wait("a")
      ctx:activity("charge")
    end)
    local state, reason, suggestion = why()
    assert.equal("not_registered", state)
    assert.equal("activity 'charge' is not registered in any running process; waits for event 'a' for 0 ms", reason)
    assert.matches("rt:activity('charge'", suggestion, 1, true)
  end)

  it("is a queue that nobody serves", function()
    begun(function(ctx) ctx:activity("render", nil, { queue = "gpu" }) end)
    local state, reason, suggestion = why()
    if runtimes.store == "basic" then
      assert.equal("finished", state)
      assert.matches("this store has no task queues", reason, 1, true)
      return
    end
    assert.equal("unserved_queue", state)
    assert.equal("activity 'render' waits in queue 'gpu', which nobody serves", reason)
    assert.matches("queues={'gpu'}", suggestion, 1, true)
  end)

  it("is a start that lies ahead", function()
    rt:orchestration("later", function() end)
    assert(rt:start("later", nil, { id = "i", delay = "2h" }))
    local state, reason = why()
    assert.equal("pending", state)
    assert.equal("its start lies ahead: it begins in 2 h", reason)
  end)

  it("is a suspension, with its reason and its time", function()
    begun(function(ctx) ctx:wait_event("go") end)
    assert(rt:suspend("i", "the bank is closed"))
    local at = rt:now()
    assert(rt:advance("1h"))
    assert(rt:raise_event("i", "go"))
    local state, reason, suggestion, since = why()
    assert.equal("suspended", state)
    assert.equal("it is suspended: the bank is closed", reason)
    assert.equal("rt:resume('i')", suggestion)
    assert.near(at, since, 0.002)
  end)

  it("is code that is not registered", function()
    assert(rt:start("nowhere", nil, { id = "i" }))
    assert(rt:run_until_idle(10))
    local state, reason, suggestion = why()
    assert.equal("not_registered", state)
    assert.matches("orchestration 'nowhere'", reason, 1, true)
    assert.matches("rt:orchestration('nowhere'", suggestion, 1, true)
  end)

  it("is code that departs from its history", function()
    rt:activity("a", function() end)
    begun(function(ctx)
      ctx:activity("a")
      ctx:wait_event("go")
    end)
    rt:orchestration("under_test", { replace = true }, function(ctx) ctx:wait_event("go") end)
    assert(rt:raise_event("i", "go"))
    assert(rt:run_until_idle(10))
    local state, reason, suggestion = why()
    assert.equal("stalled", state)
    assert.matches("at event 2: expected activity_scheduled 'a', got event_subscribed 'go'", reason, 1, true)
    assert.matches("patched", suggestion)
  end)

  it("is a condition that does not hold", function()
    begun(function(ctx) ctx:wait_until(function() return false end) end)
    local state, reason = why()
    assert.equal("waiting", state)
    assert.matches("ctx:wait_until", reason, 1, true)
  end)

  it("is its end, or that there is none", function()
    begun(function() error("broken", 0) end)
    local state, reason, suggestion = why()
    assert.equal("finished", state)
    assert.equal("it has ended: failed (broken)", reason)
    assert.matches("rt:retry_failed{instances={'i'}}", suggestion, 1, true)
    state, reason = why("nobody")
    assert.equal("not_found", state)
    assert.equal("there is no instance 'nobody'", reason)
  end)

  it("is told of one that is not in memory, without loading it", function()
    rt = runtimes.open { path = runtimes.path(), max_live_instances = 1 }
    rt:orchestration("sleeper", function(ctx) ctx:wait_event("go") end)
    for _, id in ipairs { "i", "j", "k" } do assert(rt:start("sleeper", nil, { id = id })) end
    assert(rt:run_until_idle(10))
    for _, id in ipairs { "i", "j", "k" } do
      local _, reason = why(id)
      assert.matches("^waits for event 'go' for ", reason)
    end
  end)

  it("prints as a sentence with what would help", function()
    begun(function(ctx) ctx:wait_event("approval") end)
    assert.matches("^waiting: waits for event 'approval' for 0 ms %(since .*%)\n%-> raise it: ", tostring(rt:why("i")))
  end)
end)


describe("why an instance of another process does nothing", function()
  local path, client, owner

  before_each(function() path = runtimes.path() end)
  after_each(function()
    if owner then owner:kill() end
    owner = nil
    runtimes.clean()
  end)

  local function start_owner(code)
    owner = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open{ path = %q, durability = "normal" })
      %s
      assert(rt:start("under_test", nil, { id = "i", on_conflict = "existing" }))
      print("ready") io.stdout:flush()
      rt:run()
    ]]):format(path, code))
    assert.equal("ready", owner:line())
    client = runtimes.open { path = path, role = "client", clock = "system" }
  end

  it("is what its owner says", function()
    start_owner [[rt:orchestration("under_test", function(ctx) ctx:activity("missing") end)]]
    local answer = runtimes.until_true(client, function()
      local now = assert(client:why("i"))
      return now.state == "not_registered" and now
    end)
    assert.equal("activity 'missing' is not registered in any running process", answer.reason)
  end)

  it("is that nobody owns the file, and what it waited for", function()
    start_owner [[rt:orchestration("under_test", function(ctx) ctx:wait_event("go") end)]]
    runtimes.until_true(client, function() return client:why("i").reason:find("event 'go'", 1, true) end)
    owner:kill()
    owner = nil
    local answer = assert(client:why("i"))
    assert.equal("no_owner", answer.state)
    assert.matches("^no process owns the file; waits for event 'go' for ", answer.reason)
    assert.matches("duro.open", answer.suggestion, 1, true)
  end)

  it("is first that it is suspended, also when nobody owns the file", function()
    start_owner [[rt:orchestration("under_test", function(ctx) ctx:wait_event("go") end)]]
    assert(client:suspend("i", "lunch"))
    owner:kill()
    owner = nil
    local answer = assert(client:why("i"))
    assert.equal("suspended", answer.state)
    assert.equal("it is suspended: lunch; no process owns the file", answer.reason)
  end)

  it("is also that its code is not here, before it is needed", function()
    start_owner [[rt:orchestration("under_test", function(ctx) ctx:wait_event("go") end)]]
    runtimes.until_true(client, function() return client:why("i").reason:find("event 'go'", 1, true) end)
    owner:kill()
    owner = nil
    client:close()
    local rt = runtimes.open { path = path, clock = "system" }
    assert.matches("orchestration 'under_test' version '1.0.0' is not registered here$", rt:why("i").reason)
  end)
end)
