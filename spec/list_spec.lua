-- What a list of instances matches and shows beyond management_spec: each filter by itself and together,
-- what is current, what a wrong filter and a damaged file get.

local runtimes = require "spec.support.runtimes"
local shell = require "spec.support.shell"


local function ids_of(list, err)
  assert(list, tostring(err))
  return table.concat(list:ids(), " ")
end


describe("a list of instances", function()
  local rt

  before_each(function()
    rt = runtimes.open()
    rt:orchestration("waits", function(ctx, names)
      local tasks = {}
      for i, name in ipairs(names) do tasks[i] = ctx:schedule_wait(name) end
      ctx:schedule_timer("1d")
      ctx:select(tasks)
    end)
    rt:orchestration("works", function(ctx) return ctx:activity("registered elsewhere") end)
    rt:orchestration("parent", function(ctx) return ctx:sub_orchestration("waits", { "go" }, { id = "kid" }) end)
    rt:orchestration("quick", function(_, fails) if fails then error(fails) end end)
  end)
  after_each(runtimes.clean)

  local function start(name, input, options)
    local id = assert(rt:start(name, input, options))
    assert(rt:run_until_idle(10))
    assert(rt:advance(1))
    return id
  end

  it("finds an instance by each of the things that it waits for", function()
    start("waits", { "paid", "cancelled" }, { id = "two" })
    start("works", nil, { id = "work" })
    start("parent", nil, { id = "mother" })
    assert.equal("kid two", ids_of(rt:list_instances { waiting_on = "event" }))
    assert.equal("two", ids_of(rt:list_instances { waiting_on = "event:paid" }))
    assert.equal("two", ids_of(rt:list_instances { waiting_on = "event:cancelled" }))
    assert.equal("kid two", ids_of(rt:list_instances { waiting_on = "timer" }))
    assert.equal("work", ids_of(rt:list_instances { waiting_on = "activity" }))
    assert.equal("mother", ids_of(rt:list_instances { waiting_on = "sub_orchestration" }))
    assert(rt:raise_event("two", "paid"))
    assert(rt:run_until_idle(10))
    assert.equal("kid", ids_of(rt:list_instances { waiting_on = "event" }))
    assert.equal("", ids_of(rt:list_instances { waiting_on = "event:paid" }))
  end)

  it("finds an instance that waits for a condition alone", function()
    rt:orchestration("holds", function(ctx, how)
      local come = false
      if how == "block" then ctx:spawn(function() come = ctx:wait_event("come") end) end
      ctx:wait_until(function() return come end, how == "timeout" and { timeout = "1d" } or nil)
    end)
    start("holds", "alone", { id = "alone" })
    start("holds", "block", { id = "block" })
    start("holds", "timeout", { id = "timeout" })
    local function found(what) return ids_of(rt:list_instances { waiting_on = what }) end
    assert.equal("alone", found "condition")
    assert.same({ "condition" }, rt:list_instances({ id_prefix = "al" })[1].waiting_on)
    assert.same({ "condition" }, rt:details("alone").summary.waiting_on)
    assert.equal("block", found "event:come")
    assert.equal("timeout", found "timer")
    assert(rt:suspend("alone"))
    assert.equal("", found "condition") -- nothing it waits for would move it
    assert(rt:resume("alone"))
    assert(rt:run_until_idle(10))
    assert.equal("alone", found "condition")
    assert(rt:terminate("alone"))
    assert.equal("", found "condition")
  end)

  it("finds children by their parent, and roots", function()
    start("parent", nil, { id = "mother" })
    start("quick", nil, { id = "alone" })
    assert.equal("kid", ids_of(rt:list_instances { parent_instance = "mother" }))
    assert.equal("kid", ids_of(rt:list_instances { has_parent = true }))
    assert.equal("alone mother", ids_of(rt:list_instances { has_parent = false }))
    local kid = rt:list_instances({ parent_instance = "mother" })[1]
    assert.same({ "mother", 2 }, { kid.parent_instance, kid.parent_id })
  end)

  it("finds versions, prefixes of ids and names, and parts of errors", function()
    rt:orchestration("quick", { version = "2.0.0" }, function() end)
    start("quick", nil, { id = "a-1" })
    start("quick", nil, { id = "a-2", version = "1.0.0" })
    start("quick", "the belt 'B' is broken", { id = "b_1", version = "1.0.0" })
    assert.equal("a-1", ids_of(rt:list_instances { version = "2.0.0" }))
    assert.equal("b_1 a-2", ids_of(rt:list_instances { version = "1.0.0" }))
    assert.equal("a-2 a-1", ids_of(rt:list_instances { id_prefix = "a-" }))
    assert.equal("", ids_of(rt:list_instances { id_prefix = "a_" }))
    assert.equal("b_1 a-2 a-1", ids_of(rt:list_instances { name = { "qu*", "quick" } }))
    assert.equal("b_1", ids_of(rt:list_instances { error_contains = "'B' is" }))
    assert.equal("", ids_of(rt:list_instances { error_contains = "belt%" }))
    assert.equal("a-2", ids_of(rt:list_instances { version = "1.0.0", status = "completed", name = "quick" }))
  end)

  it("matches each range of times exclusively", function()
    for i = 1, 3 do start("quick", nil, { id = "q" .. i }) end
    local middle = rt:list_instances { id_prefix = "q2" }[1]
    for _, at in ipairs { "created", "updated", "completed" } do
      local moment = middle[at .. "_at"]
      assert.equal("q3", ids_of(rt:list_instances { [at .. "_after"] = moment }))
      assert.equal("q1", ids_of(rt:list_instances { [at .. "_before"] = moment }))
      assert.equal("q3 q2", ids_of(rt:list_instances { [at .. "_after"] = moment - 0.001 }))
      assert.equal("q2", ids_of(rt:list_instances { [at .. "_after"] = moment - 0.001,
        [at .. "_before"] = moment + 0.001 }))
    end
  end)

  it("finds a number written as a whole float", function()
    rt:orchestration("sets", function(ctx) ctx:set_attributes { half = 10 / 2 } end)
    start("quick", nil, { id = "one", attributes = { size = 10 / 2 } })
    start("sets", nil, { id = "two" })
    assert(rt:run_until_idle(10))
    assert.equal("one", ids_of(rt:list_instances { attributes = { size = 5 } }))
    assert.equal("one", ids_of(rt:list_instances { attributes = { size = 2.5 * 2 } }))
    assert.equal("two", ids_of(rt:list_instances { attributes = { half = 5 } }))
  end)

  it("matches all of several attributes, each with its type", function()
    start("quick", nil, { id = "one", attributes = { size = 5, eu = true } })
    start("quick", nil, { id = "two", attributes = { size = "5", eu = true } })
    assert.equal("two one", ids_of(rt:list_instances { attributes = { eu = true } }))
    assert.equal("one", ids_of(rt:list_instances { attributes = { size = 5, eu = true } }))
    assert.equal("two", ids_of(rt:list_instances { attributes = { size = "5" } }))
    assert.equal("", ids_of(rt:list_instances { attributes = { size = 5, eu = false } }))
  end)

  it("shows what is committed, also where nothing was folded since", function()
    start("waits", { "first" }, { id = "w" })
    rt:list_instances { waiting_on = "event" } -- folds
    rt:orchestration("chain", function(ctx)
      ctx:wait_event("first")
      ctx:wait_event("second")
    end)
    start("chain", nil, { id = "c" })
    rt:list_instances { waiting_on = "event" }
    assert(rt:raise_event("c", "first"))
    local row = rt:list_instances { id_prefix = "c" }[1]
    assert.same({ "event:second" }, row.waiting_on)
    assert.equal(rt:now(), row.updated_at)
  end)

  it("names the failures since a time, by the time of failure", function()
    start("quick", "early", { id = "early" })
    local since = rt:now()
    assert(rt:advance(1))
    start("quick", "late", { id = "late" })
    assert.equal("late early", ids_of(rt:list_failed_instances()))
    assert.equal("late", ids_of(rt:list_failed_instances(since)))
  end)

  it("proposes the status that was meant", function()
    local list, err = rt:list_instances { status = { "running", "faield" } }
    assert.is_nil(list)
    assert.equal("invalid_argument: there is no status 'faield' (did you mean 'failed'?)", tostring(err))
    assert.error_matches(function() rt:list_instances { waiting = "event" } end,
      "unknown option 'waiting' %(did you mean 'waiting_on'%?%)")
    assert.error_matches(function() rt:list_instances_paginated { filter = { staus = "failed" } } end,
      "unknown option 'staus' %(did you mean 'status'%?%)")
  end)
end)


describe("a list over a damaged file", function()
  after_each(runtimes.clean)

  it("shows the error in the field that cannot be read, and everything else", function()
    local path = runtimes.path()
    local rt = runtimes.open { path = path }
    rt:orchestration("quick", function(ctx)
      ctx:set_custom_status { step = 1 }
      return "fine"
    end)
    for _, id in ipairs { "a", "b" } do
      assert(rt:start("quick", nil, { id = id, attributes = { size = 1 } }))
      assert(rt:wait(id, 10))
    end
    rt:close()
    local damage = [[UPDATE instances SET custom_status = '{broken', output = '{"$duro":"what"}' WHERE id = 'a']]
    shell.output(("sqlite3 %s %s"):format(shell.quoted(path), shell.quoted(damage)))
    rt = runtimes.open { path = path }
    local list = assert(rt:list_instances())
    assert.equal("b a", ids_of(list))
    assert.same({ step = 1 }, list[1].custom_status)
    assert.equal("corrupt: the stored custom_status cannot be read", tostring(list[2].custom_status))
    assert.same({ size = 1 }, list[2].attributes)
    local statuses = assert(rt:bulk_status { "a", "b" })
    assert.equal("corrupt", statuses.a.output.code)
    assert.equal("fine", statuses.b.output)
    assert.equal("corrupt", assert(rt:status("a")).output.code)
    assert.equal("corrupt", assert(rt:details("a")).summary.custom_status.code)
    assert.equal("b", ids_of(rt:search_instances { text = "fine" }))
    local output, err = rt:wait("a", 10)
    assert.is_nil(output)
    assert.equal("corrupt: the stored output of instance 'a' cannot be read", tostring(err))
  end)
end)


describe("a list in another process", function()
  after_each(runtimes.clean)

  it("is answered without the owner", function()
    local path = runtimes.path()
    local owner = runtimes.open { path = path }
    owner:orchestration("quick", function() return 1 end)
    assert(owner:start("quick", nil, { id = "a" }))
    assert(owner:wait("a", 10))
    local client = runtimes.open { path = path, role = "client", clock = "system" }
    assert.equal("a", ids_of(client:list_instances { status = "completed", version = "1.0.0" }))
    assert.equal(1, client:list_instances_paginated({ with_total = true }).total_count)
  end)
end)
