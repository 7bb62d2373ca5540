-- A bulk call of many instances is worked off in slices: others run in between, and it is one transaction all
-- the same.

local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"

local MANY = 350 -- more than three slices by the virtual clock


local function many_ids()
  local ids = {}
  for i = 1, MANY do ids[i] = ("m%03d"):format(i) end
  return ids
end


describe("a bulk call of many instances", function()
  local rt, ids, order

  local function register(runtime)
    runtime:orchestration("waits", function(ctx)
      local ok, result = pcall(ctx.wait_event, ctx, "go")
      order[#order + 1] = ctx.instance_id
      if not ok then error(result) end
      return result
    end)
    runtime:orchestration("quick", function() return "done" end)
    runtime:orchestration("fails", function(ctx) return ctx:activity("flaky") end)
    runtime:activity("flaky", function() error("down") end)
    return runtime
  end

  local function start(name)
    local starts = {}
    for i, id in ipairs(ids) do starts[i] = { name = name, id = id } end
    assert(rt:start_many(starts))
    assert(rt:run_until_idle(10))
  end

  local function count(status)
    return rt:list_instances_paginated({ filter = { status = status }, with_total = true }).total_count
  end

  local function ask(verb, args) return assert(rt.core:call(verb, args)) end

  local function answer(question)
    runtimes.until_true(rt, function() return question:done() end)
    return question:result()
  end

  -- Until some of them have gone on, and not all.
  local function begin(question)
    runtimes.until_true(rt, function() return #order > 0 end)
    assert.is_false(question:done())
    assert.is_true(#order < MANY)
  end

  local function place(id)
    for at, each in ipairs(order) do if each == id then return at end end
  end

  before_each(function()
    rt, ids, order = register(runtimes.open()), many_ids(), {}
  end)
  after_each(runtimes.clean)

  for _, how in ipairs { "instances", "filter" } do
    it("lets turns of others run in between (by " .. how .. ")", function()
      start "waits"
      assert(rt:start("waits", nil, { id = "other" }))
      assert(rt:run_until_idle(10))
      local chosen = how == "filter" and { filter = { id_prefix = "m" } } or { instances = ids }
      local question = ask("cancel_instances", chosen)
      begin(question)
      local event = ask("raise_event", { id = "other", name = "go" })
      local r = answer(question)
      assert.same({ MANY, 0, MANY }, { #r.cancelled_instances, #r.failed_instances, r.total_matched })
      assert.is_true(place "other" < MANY)
      assert.is_true(answer(event))
      assert.same({ MANY, 1 }, { count "cancelled", count "completed" })
    end)
  end

  it("shows nothing of itself before all of it is stored", function()
    start "waits"
    local question = ask("terminate_instances", { instances = ids })
    assert(rt:step(0))
    assert(rt:step(0))
    for _, id in ipairs(ids) do
      local status = ask("status", { id = id }) -- answered at once
      assert.equal("running", status:result().status)
    end
    assert.is_false(question:done())
    answer(question)
    assert.same({ 0, MANY }, { count "running", count "terminated" })
  end)

  it("is work that a runtime runs to its end before it is idle", function()
    start "waits"
    local question = ask("suspend_instances", { instances = ids })
    assert.equal(0, rt:next_timeout())
    assert(rt:run_until_idle(10))
    assert.is_true(question:done())
    assert.equal(MANY, count "suspended")
  end)

  it("comes after those that were asked before it, also when it is small", function()
    start "waits"
    local first = ask("suspend_instances", { instances = ids })
    local second = ask("resume_instances", { instances = { ids[MANY] } })
    local third = ask("terminate_instances", { filter = { status = "suspended" } })
    local fourth = ask("delete_instances", { filter = { status = "terminated" } })
    assert.equal(MANY, #answer(first).suspended_instances)
    assert.same({ ids[MANY] }, answer(second).resumed_instances)
    answer(third)
    answer(fourth)
    assert.equal("running", rt:status(ids[MANY]).status)
  end)

  it("acts on who matches the filter when it comes to them", function()
    start "waits"
    local question = ask("cancel_instances", { filter = { status = "running" } })
    begin(question)
    local late = ids[1] -- the newest come first
    local event = ask("raise_event", { id = late, name = "go" })
    local r = answer(question)
    answer(event)
    assert.same({ MANY - 1, 0, MANY - 1 }, { #r.cancelled_instances, #r.failed_instances, r.total_matched })
    assert.equal("completed", rt:status(late).status)
  end)

  it("tells of those that ended before it came to them", function()
    start "waits"
    local question = ask("terminate_instances", { instances = ids })
    assert(rt:step(0))
    ask("raise_event", { id = ids[MANY], name = "go" })
    local r = answer(question)
    assert.equal(MANY - 1, #r.terminated_instances)
    assert.same({ ids[MANY], "finished" }, { r.failed_instances[1].instance_id, r.failed_instances[1].error.code })
    assert.equal("completed", rt:status(ids[MANY]).status)
  end)

  it("deletes each once, whoever else deletes some of them meanwhile", function()
    start "quick"
    assert(rt:start("waits", nil, { id = "stays" }))
    assert(rt:run_until_idle(10))
    local question = ask("delete_instances", { instances = ids })
    assert(rt:step(0))
    assert.is_false(question:done())
    local first, last = ask("delete_instance", { id = ids[1] }), ask("delete_instance", { id = ids[MANY] })
    local r = answer(question)
    answer(first)
    answer(last)
    assert(rt:run_until_idle(10))
    assert.equal(MANY, #r.deleted_instances + #r.failed_instances)
    assert.same({ "stays" }, rt:list_instances():ids())
    assert.same({ 0, 1 }, { count "completed", count "running" })
    assert.equal(1, rt:provider_diagnostics().total_instances_stored)
  end)

  it("deletes by force what runs, with what it started", function()
    rt:orchestration("child", function(ctx) ctx:wait_event("go") end)
    rt:orchestration("parent", function(ctx)
      ctx:sub_orchestration("child", nil, { id = ctx.instance_id .. "-kid" })
    end)
    start "parent"
    local question = ask("delete_instances", { filter = { name = "parent" }, force = true })
    assert(rt:step(0))
    local event, err = rt:raise_event(ids[1] .. "-kid", "go")
    assert.is_true(event or err.code == "finished")
    local r = answer(question)
    assert.same({ MANY, 0 }, { #r.deleted_instances, #r.failed_instances })
    assert.equal(0, #rt:list_instances())
    assert.equal(ids[1], rt:start("waits", nil, { id = ids[1] }))
    assert(rt:run_until_idle(10))
    assert.equal(1, count "running")
  end)

  it("brings back those that failed", function()
    start "fails"
    assert.equal(MANY, count "failed")
    rt:activity("flaky", { replace = true }, function() return "up" end)
    local question = ask("retry_failed", { filter = { status = "failed" } })
    assert(rt:step(0))
    assert.equal(MANY, count "failed")
    assert.equal(MANY, #answer(question).retried_instances)
    assert(rt:run_until_idle(10))
    assert.equal(MANY, count "completed")
  end)

  it("has one entry in the audit log", function()
    start "waits"
    answer(ask("suspend_instances", { instances = ids, reason = "a pause" }))
    local log = assert(rt:audit { limit = 10 })
    assert.equal(1, #log)
    assert.equal(MANY, #log[1].targets)
  end)

  it("goes on when its caller has gone", function()
    start "waits"
    ask("suspend_instances", { instances = ids }):free()
    assert(rt:run_until_idle(10))
    assert.equal(MANY, count "suspended")
  end)

  for _, verb in ipairs { "terminate_instances", "delete_instances", "retry_failed" } do
    it("that has begun is done as a whole when the runtime is closed, and those behind it not at all (" .. verb .. ")",
      function()
        local path = runtimes.path()
        rt = register(runtimes.open { path = path })
        start(verb == "terminate_instances" and "waits" or verb == "delete_instances" and "quick" or "fails")
        ask(verb, { instances = ids })
        ask("delete_instances", { filter = {}, all = true, force = true })
        assert(rt:step(0))
        assert(rt:step(0))
        rt:close()
        rt = register(runtimes.open { path = path })
        assert(rt:run_until_idle(10))
        if verb == "terminate_instances" then
          assert.equal(MANY, count "terminated")
        elseif verb == "delete_instances" then
          assert.equal(0, #rt:list_instances())
        else
          assert.equal(1, #rt:history({ instance = ids[1], kinds = { "orchestration_retried" } }).events)
          assert.equal(1, #rt:history({ instance = ids[MANY], kinds = { "orchestration_retried" } }).events)
          assert.equal(MANY, count "failed") -- again
        end
      end)
  end

  it("leaves nothing behind when the process is killed in the middle, and may be called again", function()
    local path = runtimes.path()
    local killed = child.start(([[
      local duro = require "duro"
      local rt = assert(duro.open { path = %q, clock = "virtual", durability = "normal" })
      rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
      local starts, ids = {}, {}
      for i = 1, %d do ids[i] = ("m%%03d"):format(i); starts[i] = { name = "waits", id = ids[i] } end
      assert(rt:start_many(starts))
      assert(rt:run_until_idle(10))
      local question = rt.core:call("terminate_instances", { instances = ids })
      for _ = 1, 2 do assert(rt:step(0)) end
      print(question:done())
      io.stdout:flush()
      while true do end
    ]]):format(path, MANY))
    assert.equal("false", killed:line())
    killed:kill()
    rt = register(runtimes.open { path = path })
    assert(rt:run_until_idle(10))
    assert.equal(MANY, count "running")
    assert.equal(MANY, #assert(rt:terminate_instances { instances = ids }).terminated_instances)
    assert.equal(MANY, count "terminated")
    local again = assert(rt:terminate_instances { instances = ids })
    assert.same({ 0, MANY }, { #again.terminated_instances, #again.failed_instances })
  end)

  it("comes from another process, too", function()
    local path = runtimes.path()
    rt = register(runtimes.open { path = path, clock = "system" })
    start "waits"
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    local question = assert(client.core:call("terminate_instances", { filter = { name = "waits" } }))
    runtimes.until_true(rt, function()
      client:step(0)
      return question:done()
    end)
    assert.equal(MANY, #question:result().terminated_instances)
    assert.equal(MANY, count "terminated")
  end)
end)
