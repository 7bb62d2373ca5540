-- One action on many instances: who is chosen, what happens to each, and that it is one transaction.

local runtimes = require "spec.support.runtimes"


local function sorted(list)
  local copy = {}
  for i, id in ipairs(list) do copy[i] = id end
  table.sort(copy)
  return table.concat(copy, " ")
end


describe("an action on many instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("waits", function(ctx)
      local ok, err = pcall(ctx.wait_event, ctx, "go")
      if not ok then error(err) end
      return "went"
    end)
    rt:orchestration("quick", function() return "done" end)
    for i = 1, 3 do assert(rt:start("waits", nil, { id = "w" .. i })) end
    assert(rt:start("quick", nil, { id = "q" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  local function status(id) return rt:status(id).status end

  it("cancels by id, with an outcome for each", function()
    local r = assert(rt:cancel_instances { instances = { "w1", "q", "nobody", "w2", "w1" }, reason = "no need" })
    assert.equal("w1 w2", sorted(r.cancelled_instances))
    assert.equal(2, #r.failed_instances)
    assert.same({ "q", "finished" }, { r.failed_instances[1].instance_id, r.failed_instances[1].error.code })
    assert.same({ "nobody", "not_found" }, { r.failed_instances[2].instance_id, r.failed_instances[2].error.code })
    assert.equal("not_found: no instance 'nobody'", tostring(r.failed_instances[2].error))
    assert.equal(4, r.total_matched)
    assert(rt:run_until_idle(10))
    assert.same({ "cancelled", "cancelled", "running" }, { status "w1", status "w2", status "w3" })
    assert.matches("no need", tostring(rt:status("w1").error))
    assert.matches("cancelled instances: 2, failed instances: 2, total matched: 4", tostring(r), 1, true)
  end)

  it("chooses by filter", function()
    local r = assert(rt:cancel_instances { filter = { status = "running", name = "waits" } })
    assert.equal("w1 w2 w3", sorted(r.cancelled_instances))
    assert.same({ 0, 3 }, { #r.failed_instances, r.total_matched })
    assert(rt:run_until_idle(10))
    assert.equal("cancelled", status "w3")
  end)

  it("terminates, suspends and resumes alike", function()
    assert.equal("w1 w2 w3", sorted(rt:suspend_instances({ filter = { name = "waits" } }).suspended_instances))
    assert(rt:run_until_idle(10))
    assert.equal("suspended", status "w2")
    assert.equal("w2", sorted(rt:resume_instances({ instances = { "w2" } }).resumed_instances))
    assert(rt:run_until_idle(10))
    assert.equal("running", status "w2")
    assert.equal("w1 w3", sorted(rt:terminate_instances({ filter = { status = "suspended" } }).terminated_instances))
    assert(rt:run_until_idle(10))
    assert.same({ "terminated", "running", "terminated" }, { status "w1", status "w2", status "w3" })
  end)

  it("only says what it would do when asked to", function()
    local r = assert(rt:terminate_instances { filter = { name = "*" }, dry_run = true })
    assert.equal("w1 w2 w3", sorted(r.terminated_instances))
    assert.equal("q", r.failed_instances[1].instance_id)
    assert.equal(4, r.total_matched)
    assert(rt:run_until_idle(10))
    assert.equal("running", status "w1")
  end)

  it("acts on as many as asked, and says how many matched", function()
    local r = assert(rt:cancel_instances { filter = { name = "waits" }, max_instances = 2 })
    assert.equal("w2 w3", sorted(r.cancelled_instances)) -- the newest
    assert.equal(3, r.total_matched)
    r = assert(rt:suspend_instances { instances = { "w1", "nobody" }, max_instances = 1 })
    assert.same({ "w1", 0, 2 }, { sorted(r.suspended_instances), #r.failed_instances, r.total_matched })
  end)

  it("refuses a choice that is none, both, empty or too large, and does nothing", function()
    local bounded = runtimes.open { management = { max_bulk_operations = 2 } }
    bounded:orchestration("waits", function(ctx) ctx:wait_event("go") end)
    for i = 1, 3 do assert(bounded:start("waits", nil, { id = "b" .. i })) end
    assert(bounded:run_until_idle(10))
    local cases = {
      { rt, "invalid_argument", {} },
      { rt, "invalid_argument", { instances = { "w1" }, filter = { name = "waits" } } },
      { rt, "invalid_argument", { filter = {} } },
      { rt, "invalid_argument", { instances = { "" } } },
      { rt, "invalid_argument", { filter = { status = "runing" } } },
      { rt, "invalid_argument", { instances = { "w1" }, max_instances = 0 } },
      { bounded, "too_large", { filter = { name = "waits" } } },
      { bounded, "too_large", { instances = { "b1", "b2", "b3" } } },
    }
    for i, case in ipairs(cases) do
      local r, err = case[1]:terminate_instances(case[3])
      assert.is_nil(r, "case " .. i)
      assert.equal(case[2], err.code)
    end
    local _, err = bounded:terminate_instances { filter = { name = "waits" } }
    assert.matches("3 instances are matched, 2 are allowed", err.message)
    assert(bounded:run_until_idle(10))
    for i = 1, 3 do assert.equal("running", bounded:status("b" .. i).status) end
    assert.error_matches(function() rt:cancel_instances { filter = { staus = "x" } } end,
      "unknown option 'staus' %(did you mean 'status'%?%)")
    assert.error_matches(function() rt:cancel_instances { instance = { "x" } } end,
      "unknown option 'instance' %(did you mean 'instances'%?%)")
    local r = assert(bounded:terminate_instances { filter = { name = "waits" }, max_instances = 2 })
    assert.same({ 2, 3 }, { #r.terminated_instances, r.total_matched })
  end)

  it("takes a filter that leaves nobody out for an empty one", function()
    for _, filter in ipairs { { id_prefix = "" }, { attributes = {} }, { error_contains = "", id_prefix = "" } } do
      for _, name in ipairs { "terminate_instances", "retry_failed" } do
        local r, err = rt[name](rt, { filter = filter })
        assert.is_nil(r)
        assert.matches("all=true", err.message, 1, true)
      end
      assert.equal(4, rt:suspend_instances({ filter = filter, all = true, dry_run = true }).total_matched)
    end
  end)

  it("refuses lists of ids that are no arrays, so that no id is passed over", function()
    for _, instances in ipairs { { id = "w1" }, { "w1", nil, "w2" }, { "w1", w2 = true }, { [0] = "w1" } } do
      assert.error_matches(function() rt:cancel_instances { instances = instances } end, "option 'instances'")
      assert.error_matches(function() rt:bulk_status(instances) end, "ids")
    end
    assert.equal("running", status "w1")
  end)

  it("refuses more max_instances than are allowed at once", function()
    local bounded = runtimes.open { management = { max_bulk_operations = 2 } }
    local r, err = bounded:cancel_instances { filter = { name = "waits" }, max_instances = 3 }
    assert.is_nil(r)
    assert.same({ "invalid_argument", "max_instances is 3, at most 2 is allowed" }, { err.code, err.message })
  end)

  it("takes an empty filter with all=true, and an empty list of ids", function()
    local r = assert(rt:suspend_instances { filter = {}, all = true })
    assert.same({ 3, 1, 4 }, { #r.suspended_instances, #r.failed_instances, r.total_matched })
    r = assert(rt:suspend_instances { instances = {} })
    assert.same({ 0, 0, 0 }, { #r.suspended_instances, #r.failed_instances, r.total_matched })
  end)

  it("reaches instances that are not in memory", function()
    local small = runtimes.open { path = runtimes.path(), max_live_instances = 1 }
    small:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    for i = 1, 20 do assert(small:start("waits", nil, { id = "s" .. i })) end
    assert(small:run_until_idle(10))
    small:list_instances { waiting_on = "event" } -- folds, so that they can leave
    local r = assert(small:raise_event_bulk { filter = { name = "waits" }, event_name = "go", event_data = 7 })
    assert.equal(20, #r.delivered_instances)
    assert(small:run_until_idle(10))
    assert.equal(7, small:wait("s20", 10))
    assert.equal(20, #small:list_instances { status = "completed" })
  end)

  it("is done, and not only stored, when the call returns", function()
    local real = runtimes.open { path = runtimes.path(), clock = "system" }
    real:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    local starts = {}
    for i = 1, 2500 do starts[i] = { name = "waits", id = "m" .. i } end
    local ids = assert(real:start_many(starts))
    assert(real:run_until_idle(10))
    assert(real:suspend_instances { instances = ids })
    local page = real:list_instances_paginated { filter = { status = "suspended" }, with_total = true }
    assert.equal(2500, page.total_count)
    local r = assert(real:terminate_instances { filter = { status = "suspended" } })
    assert.equal(2500, #r.terminated_instances)
    local counts = {}
    for _, row in ipairs(assert(real:bulk_status(ids))) do counts[row.status] = (counts[row.status] or 0) + 1 end
    assert.same({ terminated = 2500 }, counts)
  end)

  it("works from another process", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path, clock = "system" }
    owner:orchestration("waits", function(ctx) ctx:wait_event("go") end)
    assert(owner:start("waits", nil, { id = "far" }))
    assert(owner:run_until_idle(10))
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    local question = assert(client.core:call("terminate_instances", { filter = { name = "waits" } }))
    runtimes.until_true(owner, function()
      client:step(0)
      return question:done()
    end)
    assert.equal("far", question:result().terminated_instances[1])
  end)
end)


describe("an event for many instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    rt:orchestration("later", function(ctx)
      ctx:wait_event("other")
      return ctx:wait_event("go")
    end)
    rt:orchestration("quick", function() end)
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:start("later", nil, { id = "l" }))
    assert(rt:start("quick", nil, { id = "q" }))
    assert(rt:start("waits", nil, { id = "p", delay = "1h" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("is delivered, kept in the mailbox, or refused: each instance in one list", function()
    local r = assert(rt:raise_event_bulk { instances = { "w", "l", "q", "p", "nobody" }, event_name = "go",
      event_data = { n = 1 } })
    assert.same({ "w" }, r.delivered_instances)
    assert.equal("l p", sorted(r.no_subscription_instances))
    assert.equal(2, #r.failed_instances)
    assert.equal(5, r.total_matched)
    assert(rt:run_until_idle(10))
    assert.same({ n = 1 }, rt:wait("w", 10))
    assert(rt:raise_event("l", "other"))
    assert.same({ n = 1 }, rt:wait("l", 10))
    assert(rt:advance("2h"))
    assert.same({ n = 1 }, rt:wait("p", 10))
  end)

  it("needs a name", function()
    assert.error_matches(function() rt:raise_event_bulk { instances = { "w" } } end, "option 'event_name' is required")
  end)
end)


describe("deleting many instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("child", function() end)
    rt:orchestration("parent", function(ctx)
      ctx:sub_orchestration("child", nil, { id = ctx.instance_id .. "-kid" })
    end)
    rt:orchestration("waits", function(ctx) ctx:wait_event("go") end)
    for _, id in ipairs { "p1", "p2" } do assert(rt:start("parent", nil, { id = id })) end
    assert(rt:start("waits", nil, { id = "w" }))
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("takes their children along, each once", function()
    local r = assert(rt:delete_instances { filter = { status = "completed" } })
    assert.equal("p1 p1-kid p2 p2-kid", sorted(r.deleted_instances))
    assert.equal(4, r.total_matched)
    assert.same({ "w" }, rt:list_instances():ids())
  end)

  it("counts what stands in two of the trees once", function()
    rt:orchestration("holds", function(ctx)
      ctx:sub_orchestration("waits", nil, { id = ctx.instance_id .. "-kid" })
    end)
    for _, id in ipairs { "h1", "h2" } do assert(rt:start("holds", nil, { id = id })) end
    assert(rt:run_until_idle(10))
    assert.equal(5, rt:runtime_metrics().active_instances)
    local r = assert(rt:delete_instances { instances = { "h1-kid", "h1", "h2", "h2-kid" }, force = true })
    assert.equal("h1 h1-kid h2 h2-kid", sorted(r.deleted_instances))
    assert.equal(1, rt:runtime_metrics().active_instances)
    assert.equal(1, rt:list_instances_paginated({ filter = { status = "running" }, with_total = true }).total_count)
    assert.equal("p1 p1-kid p2 p2-kid w", sorted(rt:list_instances():ids()))
  end)

  it("leaves those that have not ended, unless it is forced", function()
    local r = assert(rt:delete_instances { instances = { "w", "p1", "nobody" } })
    assert.same({ "p1" }, r.deleted_instances)
    assert.same({ "running", "not_found" }, { r.failed_instances[1].error.code, r.failed_instances[2].error.code })
    assert.equal("w p2-kid p2", table.concat(rt:list_instances():ids(), " "))
    r = assert(rt:delete_instances { filter = {}, all = true, force = true })
    assert.equal("p2 p2-kid w", sorted(r.deleted_instances))
    assert.equal(0, #rt:list_instances())
    assert.equal("not_found", rt:status("w").status)
  end)

  it("is forced upon instances that are at work, whose ids are free then", function()
    rt:orchestration("spins", function(ctx)
      for _ = 1, 50 do ctx:sleep(0) end
    end)
    for i = 1, 5 do assert(rt:start("spins", nil, { id = "s" .. i })) end
    local r = assert(rt:delete_instances { filter = { name = "spins" }, force = true })
    assert.equal(5, #r.deleted_instances)
    assert(rt:run_until_idle(10))
    assert.equal(0, #rt:list_instances { name = "spins" })
    assert.equal("s1", rt:start("waits", nil, { id = "s1" }))
  end)

  it("only says what it would do when asked to", function()
    local r = assert(rt:delete_instances { filter = { name = "parent" }, dry_run = true })
    assert.equal("p1 p2", sorted(r.deleted_instances))
    assert.equal(5, #rt:list_instances())
  end)
end)


describe("the statuses of many", function()
  after_each(runtimes.clean)

  it("come in the order asked, ids given twice twice, and by id", function()
    local rt = runtimes.open()
    rt:orchestration("echo", function(_, input) return input end)
    for _, id in ipairs { "a", "b" } do
      assert(rt:start("echo", id:upper(), { id = id }))
      assert(rt:wait(id, 10))
    end
    local list = assert(rt:bulk_status { "b", "x", "a", "b" })
    local seen = {}
    for i, row in ipairs(list) do seen[i] = row.instance_id .. " " .. row.status .. " " .. tostring(row.output) end
    assert.same({ "b completed B", "x not_found nil", "a completed A", "b completed B" }, seen)
    assert.equal("A", list.a.output)
    assert.equal("not_found", list.x.status)
    assert.equal(0, #rt:bulk_status {})
    assert.equal("not_found", rt:bulk_status({ "1" })["1"].status)
  end)
end)


describe("waiting for several instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("waits", function(ctx) return ctx:wait_event("go") end)
    for _, id in ipairs { "a", "b" } do assert(rt:start("waits", nil, { id = id })) end
    assert(rt:run_until_idle(10))
  end)
  after_each(runtimes.clean)

  it("ends with the last, or with the first", function()
    assert(rt:raise_event("a", "go", 1))
    local r = assert(rt:wait_for_instances { instances = { "a", "b" }, mode = "any", timeout = 10 })
    assert.same({ "a", "completed", 1 }, { r.completed[1].instance_id, r.completed[1].status, r.completed[1].output })
    assert.same({ "b" }, r.pending)
    assert.is_false(r.timed_out)
    assert(rt:raise_event("b", "go", 2))
    r = assert(rt:wait_for_instances { instances = { "a", "b" }, timeout = 10 })
    assert.equal(2, #r.completed)
    assert.same({}, r.pending)
  end)

  it("says what is missing when the time is over", function()
    local r = assert(rt:wait_for_instances { instances = { "a", "nobody" }, timeout = 0.01 })
    assert.is_true(r.timed_out)
    assert.same({ "a" }, r.pending)
    assert.same({ "nobody", "not_found" }, { r.completed[1].instance_id, r.completed[1].status })
  end)

  it("is over at once for nobody", function()
    local r = assert(rt:wait_for_instances { instances = {} })
    assert.same({ {}, {}, false }, { r.completed, r.pending, r.timed_out })
  end)
end)
