-- The audit log: who asked for which change, of what, and what came of it.

local child = require "spec.support.child"
local runtimes = require "spec.support.runtimes"


local function yes() return true end


local HOOKS = { can_list_instances = yes, can_view_instance = yes, can_start_instance = yes, can_raise_event = yes,
  can_cancel_instance = function(_, id) return id ~= "b" end }


local function calls(list)
  local lines = {}
  for i, entry in ipairs(list) do
    lines[i] = ("%s %s [%s]"):format(entry.call, entry.outcome, table.concat(entry.targets, " "))
  end
  return lines
end


describe("the audit log", function()
  local rt

  before_each(function()
    rt = runtimes.open { access_control = HOOKS, management = { max_list_instances = 50 } }
    rt:orchestration("order", function(ctx) return ctx:wait_event("go") end)
    rt:orchestration("again", function(ctx, n) if n > 0 then ctx:continue_as_new(n - 1) end end)
    for _, id in ipairs { "a", "b", "c", "d" } do assert(rt:start("order", nil, { id = id })) end
    assert(rt:run_until_idle())
  end)
  after_each(function() rt:close() end)

  it("has every change that was asked of the plain handle, the newest first", function()
    assert(rt:suspend("a", "wait a moment"))
    assert(rt:resume("a"))
    assert(rt:cancel("a", "enough"))
    assert(rt:terminate("b"))
    assert(rt:delete_instance("b"))
    assert(rt:prune_executions("c", { keep_last = 1 }))
    assert(rt:prune { keep_last = 1, filter = { name = "order" } })
    local entries = assert(rt:audit())
    assert.same({ "prune ok []", "prune_executions ok [c]", "delete_instance ok [b]", "terminate ok [b]",
      "cancel ok [a]", "resume ok [a]", "suspend ok [a]" }, calls(entries))
    assert.equal("wait a moment", entries[7].arguments.reason)
    assert.same({ keep_last = 1, filter = { name = { "order" } } }, entries[1].arguments)
    for i, entry in ipairs(entries) do
      assert.is_nil(entry.context)
      assert.is_true(entry.timestamp > 1e9)
      if i > 1 then assert.is_true(entry.audit_id < entries[i - 1].audit_id) end
    end
  end)

  it("leaves out what the process itself starts, raises and reads", function()
    assert(rt:start("order", nil, { id = "e" }))
    assert(rt:raise_event("e", "go", 1))
    assert(rt:wait("e", 10))
    assert(rt:status("e"))
    assert(rt:list_instances())
    assert(rt:cancel_instances { filter = { name = "order" }, dry_run = true })
    assert.same({}, calls(rt:audit()))
  end)

  it("tells on whose behalf, and has all that was asked through a view", function()
    local view = rt:with_context { user_id = "ann", roles = { "admin" }, source_ip = "10.0.0.1" }
    assert(view:start("order", { card = "SECRET" }, { id = "e", attributes = { tenant = "t" } }))
    assert(view:start_many { { name = "order", id = "f" }, { name = "order", id = "g" } })
    assert(view:raise_event("e", "go", { card = "SECRET" }))
    assert(view:cancel("f", "enough"))
    local entries = rt:audit()
    assert.same({ "cancel ok [f]", "raise_event ok [e]", "start_many ok [f g]", "start ok [e]" }, calls(entries))
    for _, entry in ipairs(entries) do
      assert.same({ user_id = "ann", roles = { "admin" }, source_ip = "10.0.0.1" }, entry.context)
    end
    assert.equal("order", entries[4].arguments.name)
    assert.equal("go", entries[2].arguments.name)
    assert.is_nil(tostring(require("duro.core").encode(entries)):find("SECRET", 1, true))
  end)

  it("has what failed, and why", function()
    assert.is_nil((rt:cancel("nobody")))
    assert(rt:terminate("a"))
    assert.is_nil((rt:cancel("a")))
    assert.is_nil((rt:delete_instance("b")))
    local entries = rt:audit()
    assert.same({ "delete_instance running [b]", "cancel finished [a]", "terminate ok [a]",
      "cancel not_found [nobody]" }, calls(entries))
    assert.equal("not_found: no instance 'nobody'", tostring(entries[4].error))
  end)

  it("has what was refused", function()
    local view = rt:with_context { user_id = "ann" }
    assert.is_nil((view:cancel("b")))
    assert.is_nil((view:delete_instance("a")))
    assert.is_nil((view:status("nobody").output)) -- reading is no change
    local entries = rt:audit()
    assert.same({ "delete_instance denied [a]", "cancel denied [b]" }, calls(entries))
    assert.equal("ann", entries[1].context.user_id)
  end)

  it("tells of a bulk call what it was done to, and where it failed", function()
    assert(rt:cancel_instances { instances = { "a", "nobody", "c" }, reason = "enough" })
    assert(rt:with_context { user_id = "ann" }:terminate_instances { filter = { name = "order", status = "running" } })
    assert(rt:raise_event_bulk { instances = { "b" }, event_name = "go", event_data = "SECRET" })
    local entries = rt:audit()
    assert.same({ "raise_event_bulk ok [b]", "terminate_instances ok [d]", "cancel_instances ok [a c]" },
      calls(entries))
    assert.equal("b", entries[2].failed_instances[1].instance_id)
    assert.equal("denied", entries[2].failed_instances[1].error.code)
    assert.equal("nobody", entries[3].failed_instances[1].instance_id)
    assert.equal("not_found: no instance 'nobody'", tostring(entries[3].failed_instances[1].error))
    assert.equal("go", entries[1].arguments.event_name)
    local _, err = rt:cancel_instances { filter = {} }
    assert.equal("invalid_argument", err.code)
    assert.same("cancel_instances invalid_argument []", calls(rt:audit())[1])
  end)

  it("tells of pruning how much went, step by step", function()
    local starts = {}
    for i = 1, 6 do starts[i] = { name = "again", id = "again-" .. i, input = 400 } end
    assert(rt:start_many(starts))
    assert(rt:run_until_idle(30))
    assert(rt:prune_executions("again-1", { keep_last = 101 }))
    local r = assert(rt:prune { keep_last = 1, filter = { name = "again" } })
    assert.same({ 6, 2100 }, { r.instances_pruned, r.executions_deleted })
    local entries = assert(rt:audit())
    assert.same({ "prune ok []", "prune ok []", "prune_executions ok [again-1]" }, calls(entries))
    assert.same({ 900, 1200, 300 }, { entries[1].executions_deleted, entries[2].executions_deleted,
      entries[3].executions_deleted })
    assert.equal(r.events_deleted, entries[1].events_deleted + entries[2].events_deleted)
  end)

  it("has what activities ask for", function()
    rt:activity("end_it", function(ctx) return ctx.runtime:terminate("a") end)
    rt:orchestration("ends", function(ctx) return ctx:activity("end_it") end)
    assert(rt:start("ends", nil, { id = "ends" }))
    assert.is_true(rt:wait("ends", 10))
    assert.same({ "terminate ok [a]" }, calls(rt:audit()))
  end)

  it("is read in pages", function()
    for i = 1, 7 do assert.is_nil((rt:cancel("nobody-" .. i))) end
    local first = assert(rt:audit { limit = 3 })
    assert.same({ "nobody-7", "nobody-6", "nobody-5" }, { first[1].targets[1], first[2].targets[1],
      first[3].targets[1] })
    assert.is_true(first.truncated)
    assert.is_nil((rt:cancel("nobody-8"))) -- later entries move nothing
    local second = assert(rt:audit { limit = 3, before = first.next_before })
    assert.equal("nobody-4", second[1].targets[1])
    local third = assert(rt:audit { limit = 3, before = second.next_before })
    assert.equal("nobody-1", third[1].targets[1])
    assert.equal(1, #third)
    assert.is_nil(third.next_before)
    assert.is_nil(third.truncated)
    assert.equal(8, #rt:audit { limit = 8 })
    assert.is_nil(rt:audit { limit = 8 }.truncated)
  end)

  it("refuses limits and places that make no sense", function()
    for _, options in ipairs { { limit = 0 }, { limit = 51 }, { before = 0 } } do
      local _, err = rt:audit(options)
      assert.equal("invalid_argument", err.code)
    end
    assert.has_error(function() rt:audit { limit = "many" } end)
    assert.has_error(function() rt:audit { limti = 3 } end)
  end)

  it("is for views that may see the numbers, and shows them what they may see", function()
    local function first_letter(context, id) return id:sub(1, 1) == context.user_id end
    rt:close()
    rt = runtimes.open { access_control = { can_view_instance = first_letter,
      can_view_metrics = function(context) return context.roles[1] == "auditor" end } }
    for i = 1, 300 do assert.is_nil((rt:cancel((i % 100 == 0 and "x" or "y") .. i))) end
    assert.is_nil((rt:cancel_instances { instances = { "x1", "y1" } }.error))
    local _, err = rt:with_context { user_id = "x" }:audit()
    assert.equal("denied", err.code)
    local view = rt:with_context { user_id = "x", roles = "auditor" }
    local list = assert(view:audit { limit = 2 })
    assert.same({ "cancel not_found [x300]", "cancel not_found [x200]" }, calls(list))
    list = assert(view:audit { limit = 2, before = list.next_before })
    assert.same({ "cancel not_found [x100]" }, calls(list))
    assert.is_nil(list.next_before)
  end)

  it("prints as a table", function()
    assert(rt:cancel_instances { instances = { "a", "b" } })
    assert.matches("cancel_instances%s+a and 1 more%s+ok", tostring(rt:audit()))
  end)
end)


describe("the audit log of a file", function()
  local path, rt

  before_each(function() path = runtimes.path() end)
  after_each(runtimes.clean)

  it("is there after the file was closed and opened, and goes on", function()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    assert(rt:start("order", nil, { id = "a" }))
    assert(rt:terminate("a", "enough"))
    rt:close()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    local before = rt:audit()
    assert.same({ "terminate ok [a]" }, calls(before))
    assert.is_nil((rt:cancel("b")))
    local entries = rt:audit()
    assert.same({ "cancel not_found [b]", "terminate ok [a]" }, calls(entries))
    assert.same(before[1].audit_id, entries[2].audit_id)
  end)

  it("has an entry for each change that survives a killed process, and none for others", function()
    local process = child.start(([[
      io.stdout:setvbuf "no"
      local duro = require "duro"
      local rt = assert(duro.open { path = %q })
      rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
      for i = 1, 1000000 do
        assert(rt:start("order", nil, { id = "o-" .. i }))
        assert(rt:terminate("o-" .. i))
        if i == 20 then print "on the way" end
      end
    ]]):format(path))
    assert.equal("on the way", process:line())
    process:kill()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    local ended, logged = {}, {}
    for row in rt:each_instance { status = "terminated" } do ended[row.instance_id] = true end
    local before
    repeat
      local list = assert(rt:audit { limit = 1000, before = before })
      for _, entry in ipairs(list) do
        assert.equal("ok", entry.outcome)
        logged[entry.targets[1]] = true
      end
      before = list.next_before
    until not before
    assert.same(ended, logged)
    assert.is_true(ended["o-20"])
  end)

  it("has what a client asked for while nobody owned the file", function()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    rt:close()
    rt = runtimes.open { path = path, clock = "system", role = "client", access_control = HOOKS }
    local view = rt:with_context { user_id = "ann" }
    assert.equal("b", view:start("order", nil, { id = "b" }))
    assert.is_nil((view:cancel("b"))) -- refused
    rt:close()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    runtimes.until_true(rt, function() return #rt:audit() == 2 end, "both entries")
    local both = calls(rt:audit())
    table.sort(both) -- the start is done with its first turn, which may come later
    assert.same({ "cancel denied [b]", "start ok [b]" }, both)
    assert.equal("ann", rt:audit()[1].context.user_id)
  end)
end)
