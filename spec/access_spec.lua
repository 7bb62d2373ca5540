-- Views: what the hooks of access_control let somebody see and do, and what leaves redacted.

local duro = require "duro"
local access = require "duro.access"
local child = require "spec.support.child"
local core = require "duro.core"
local runtimes = require "spec.support.runtimes"


-- Hooks for a house where everybody's ids begin with their name and a dash; admins see all.
local function own(context, id)
  return context.roles[1] == "admin" or (id or ""):sub(1, #context.user_id + 1) == context.user_id .. "-"
end


local function yes() return true end


local function hooks(changes)
  local all = { can_list_instances = yes, can_view_instance = own, can_cancel_instance = own,
    can_raise_event = own, can_delete_instance = own, can_view_metrics = yes,
    can_start_instance = function(context, _, id) return own(context, id) end }
  for name, hook in pairs(changes or {}) do all[name] = hook or nil end
  return all
end


local function denied(value, err, ...)
  assert.is_nil(value)
  assert.equal("denied", err and err.code, tostring(err))
  return err, ...
end


local function ids(list)
  local all = {}
  for i, row in ipairs(list) do all[i] = row.instance_id end
  table.sort(all)
  return table.concat(all, " ")
end


describe("a view", function()
  local rt, ann, bob, lines

  before_each(function()
    lines = {}
    rt = runtimes.open { access_control = hooks(), log = function(_, message) lines[#lines + 1] = message end }
    rt:orchestration("order", function(ctx, input)
      ctx:set_custom_status { secret = "SECRET", step = 1 }
      return ctx:wait_event("go") or input
    end)
    rt:orchestration("quick", function(_, input) return input end)
    for i = 1, 3 do
      assert(rt:start("order", { n = i }, { id = "ann-" .. i }))
      assert(rt:start("order", { n = i }, { id = "bob-" .. i }))
    end
    assert(rt:run_until_idle())
    ann, bob = assert(rt:with_context { user_id = "ann" }), assert(rt:with_context { user_id = "bob" })
  end)
  after_each(function() rt:close() end)

  it("sees its own and is refused the rest, whether it exists or not", function()
    assert.equal("running", ann:status("ann-1").status)
    assert.equal("not_found", ann:status("ann-9").status)
    denied(ann:status("bob-1"))
    denied(ann:status("bob-9"))
    assert.matches("status of instance 'bob%-1' is not allowed to 'ann'", denied(ann:status("bob-1")).message)
  end)

  it("leaves the plain handle as it was", function()
    assert.equal("running", rt:status("bob-1").status)
    assert.equal(6, #rt:list_instances())
  end)

  it("is refused every call about an instance of somebody else", function()
    for _, name in ipairs { "status", "wait", "kv", "stack", "details", "statistics", "dependencies", "why",
      "export", "list_executions", "descriptor", "cancel", "terminate", "suspend", "resume", "delete_instance" } do
      denied(bob[name](bob, "ann-1"))
    end
    denied(bob:wait_custom_status("ann-1", 0))
    denied(bob:query("ann-1", "progress"))
    denied(bob:at("ann-1", 1))
    denied(bob:history { instance = "ann-1" })
    denied(bob:raise_event("ann-1", "go"))
    denied(bob:prune_executions("ann-1", { keep_last = 1 }))
    denied(bob:start("order", nil, { id = "ann-7" }))
    denied(bob:start("order"))
    denied(bob:start_many { { name = "order", id = "bob-7" }, { name = "order", id = "ann-7" } })
    assert.equal("not_found", rt:status("bob-7").status)
    for i = 1, 3 do assert.equal("running", rt:status("ann-" .. i).status) end
  end)

  it("may do to its own what the hooks allow", function()
    assert.equal("bob-7", bob:start("order", nil, { id = "bob-7" }))
    assert.is_true(bob:suspend("bob-1"))
    assert.is_true(bob:resume("bob-1"))
    assert.is_true(bob:raise_event("bob-1", "go", "done"))
    assert.equal("done", bob:wait("bob-1", 10))
    assert.equal(1, bob:delete_instance("bob-1").instances_deleted)
    assert.is_true(bob:terminate("bob-2"))
    assert.same({ { name = "order", versions = { "1.0.0" } }, { name = "quick", versions = { "1.0.0" } } },
      bob:registered().orchestrations)
  end)

  it("asks about what a start brings along: an event, and what it takes the place of", function()
    rt:close()
    rt = runtimes.open { access_control = hooks { can_raise_event = false, can_delete_instance = false } }
    rt:orchestration("quick", function(_, input) return input end)
    local view = rt:with_context { user_id = "ann" }
    assert.equal("ann-1", view:start("quick", 1, { id = "ann-1" }))
    assert.equal(1, view:wait("ann-1", 10))
    denied(view:start("quick", 2, { id = "ann-1", on_conflict = "replace_finished" }))
    denied(view:start("quick", 2, { id = "ann-2", event = { name = "go" } }))
  end)

  it("lists only what it may see", function()
    assert.equal("ann-1 ann-2 ann-3", ids(ann:list_instances()))
    assert.equal("bob-1 bob-2 bob-3", ids(bob:list_running_instances()))
    assert.equal("bob-1 bob-2 bob-3", ids(bob:list_instances_by_orchestration "order"))
    local all = {}
    for row in ann:each_instance { name = "order" } do all[#all + 1] = row end
    assert.equal("ann-1 ann-2 ann-3", ids(all))
    assert.equal("ann-2", ids(ann:search_instances { input = { n = 2 } }))
    assert.equal("", ids(rt:with_context { user_id = "eve" }:list_instances()))
  end)

  it("finds no more where the rest is hidden", function()
    local list = ann:list_instances { limit = 3 }
    assert.equal("ann-1 ann-2 ann-3", ids(list))
    assert.is_nil(list.truncated)
    assert.is_true(ann:list_instances { limit = 2 }.truncated)
  end)

  it("gets full pages, tokens that go on, and totals of what it sees", function()
    local orders = { { "created_at", "desc" }, { "created_at", "asc" }, { "instance_id", "asc" },
      { "orchestration_name", "desc" }, { "updated_at", "asc" } }
    for _, order in ipairs(orders) do
      local options = { page_size = 2, order_by = order[1], order = order[2], with_total = true }
      local first = assert(bob:list_instances_paginated(options))
      assert.equal(2, #first.instances)
      assert.equal(3, first.total_count)
      options.page_token = assert.is_string(first.next_page_token) and first.next_page_token
      local second = assert(bob:list_instances_paginated(options))
      assert.equal(1, #second.instances)
      assert.equal(3, second.total_count)
      assert.is_nil(second.next_page_token)
      for _, row in ipairs(second.instances) do table.insert(first.instances, row) end
      assert.equal("bob-1 bob-2 bob-3", ids(first.instances))
    end
  end)

  it("pages through a crowd where few may be seen", function()
    local starts = {}
    for i = 1, 700 do starts[i] = { name = "quick", id = (i % 100 == 0 and "bob-q" or "ann-q") .. i } end
    assert(rt:start_many(starts))
    assert(rt:run_until_idle())
    local page = assert(bob:list_instances_paginated { filter = { name = "quick" }, page_size = 4, with_total = true })
    assert.equal("bob-q400 bob-q500 bob-q600 bob-q700", ids(page.instances))
    assert.equal(7, page.total_count)
    page = assert(bob:list_instances_paginated { filter = { name = "quick" }, page_size = 4,
      page_token = page.next_page_token })
    assert.equal("bob-q100 bob-q200 bob-q300", ids(page.instances))
    assert.is_nil(page.next_page_token)
  end)

  it("takes what is hidden for not there", function()
    local list = bob:bulk_status { "ann-1", "bob-1", "nobody" }
    assert.equal("not_found", list["ann-1"].status)
    assert.equal("running", list["bob-1"].status)
    assert.equal("not_found", list["nobody"].status)
    assert(rt:raise_event("bob-1", "go", 1))
    local waited = assert(bob:wait_for_instances { instances = { "ann-1", "bob-1" }, timeout = 10 })
    assert.equal("bob-1", ids(waited.completed))
    assert.same({}, waited.pending)
    waited = assert(bob:wait_for_instances { instances = { "ann-1", "bob-2" }, timeout = 0 })
    assert.is_true(waited.timed_out)
    assert.same({ "bob-2" }, waited.pending)
    assert.equal("", ids(waited.completed))
    assert.same({ completed = {}, pending = {}, timed_out = false },
      bob:wait_for_instances { instances = { "ann-1" }, timeout = 10 })
  end)

  it("sees a tree without the branches that are hidden", function()
    rt:orchestration("child", function(ctx) ctx:wait_event("go") end)
    rt:orchestration("parent", function(ctx)
      ctx:join {
        ctx:schedule_sub_orchestration("child", nil, { id = "bob-child" }),
        ctx:schedule_sub_orchestration("child", nil, { id = "ann-child" }),
      }
    end)
    assert(rt:start("parent", nil, { id = "bob-parent" }))
    assert(rt:run_until_idle())
    local tree = assert(bob:dependencies("bob-parent"))
    assert.equal("bob-child", ids(tree.children))
    assert.equal(1, tree.total_descendants)
    assert.equal(2, rt:dependencies("bob-parent").total_descendants)
    tree = assert(ann:dependencies("ann-child"))
    assert.is_nil(tree.parent)
    assert.equal("ann-child", tree.root_instance)
  end)

  it("acts by filter on what it may see, and tells what it may not touch", function()
    rt:close()
    rt = runtimes.open { access_control = hooks {
      can_cancel_instance = function(context, id) return own(context, id) and id ~= "bob-2" end } }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 3 do
      assert(rt:start_many { { name = "order", id = "ann-" .. i }, { name = "order", id = "bob-" .. i } })
    end
    local view = rt:with_context { user_id = "bob" }
    local dry = assert(view:cancel_instances { filter = { name = "order" }, dry_run = true })
    assert.equal(3, dry.total_matched)
    local outcome = assert(view:cancel_instances { filter = { name = "order" }, reason = "enough" })
    table.sort(outcome.cancelled_instances)
    assert.same({ "bob-1", "bob-3" }, outcome.cancelled_instances)
    assert.equal("bob-2", ids(outcome.failed_instances))
    assert.equal("denied", outcome.failed_instances[1].error.code)
    assert.equal(3, outcome.total_matched)
    assert.equal("running", rt:status("ann-1").status)
    assert.equal("running", rt:status("bob-2").status)
    assert.same({}, view:cancel_instances { filter = { name = "other" } }.cancelled_instances)
  end)

  it("acts by id on what it may, and tells of the others", function()
    local asked
    rt:close()
    rt = runtimes.open { access_control = hooks { can_raise_event = function(context, id, event_name)
      asked = event_name
      return own(context, id)
    end } }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 3 do
      assert(rt:start_many { { name = "order", id = "ann-" .. i }, { name = "order", id = "bob-" .. i } })
    end
    assert(rt:run_until_idle())
    bob = rt:with_context { user_id = "bob" }
    local outcome = assert(bob:terminate_instances { instances = { "ann-1", "bob-1", "bob-1", "nobody" } })
    assert.same({ "bob-1" }, outcome.terminated_instances)
    assert.equal("ann-1 nobody", ids(outcome.failed_instances))
    for _, row in ipairs(outcome.failed_instances) do assert.equal("denied", row.error.code) end
    assert.equal(3, outcome.total_matched)
    assert.equal("running", rt:status("ann-1").status)
    outcome = assert(bob:raise_event_bulk { instances = { "ann-2", "bob-2" }, event_name = "go" })
    assert.same({ "bob-2" }, outcome.delivered_instances)
    assert.equal("go", asked)
    outcome = assert(bob:delete_instances { filter = { id_prefix = "" }, all = true, force = true })
    assert.equal(3, #outcome.deleted_instances)
    assert.equal("ann-1 ann-2 ann-3", ids(rt:list_instances()))
  end)

  it("is held to the limits of bulk calls by what it sees", function()
    rt:close()
    rt = runtimes.open { access_control = hooks(), management = { max_bulk_operations = 3 } }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 4 do assert(rt:start("order", nil, { id = "ann-" .. i })) end
    for i = 1, 3 do assert(rt:start("order", nil, { id = "bob-" .. i })) end
    local view = rt:with_context { user_id = "ann" }
    local _, err = view:cancel_instances { filter = { name = "order" } }
    assert.equal("too_large", err.code)
    assert.equal("running", rt:status("ann-1").status)
    assert.equal(2, #view:cancel_instances { filter = { name = "order" }, max_instances = 2 }.cancelled_instances)
    assert.equal(3, #rt:with_context { user_id = "bob" }:cancel_instances { filter = { name = "order" } }
      .cancelled_instances)
  end)

  it("prunes only what it may delete", function()
    rt:orchestration("again", function(ctx, n) if n > 0 then ctx:continue_as_new(n - 1) end end)
    assert(rt:start("again", 2, { id = "ann-again" }))
    assert(rt:start("again", 2, { id = "bob-again" }))
    assert(rt:run_until_idle())
    assert.equal(1, bob:prune { keep_last = 1 }.instances_pruned)
    assert.same({ 3 }, rt:list_executions("bob-again"))
    assert.same({ 1, 2, 3 }, rt:list_executions("ann-again"))
    assert.equal(0, rt:with_context { user_id = "eve" }:prune { keep_last = 1 }.instances_pruned)
  end)

  it("finishes an activity by its token only where it may raise events", function()
    local token
    rt:activity("ask", function(ctx) token = ctx:defer() end)
    rt:orchestration("asks", function(ctx) return ctx:activity("ask") end)
    assert(rt:start("asks", nil, { id = "bob-asks" }))
    runtimes.until_true(rt, function() return token end)
    denied(ann:complete_activity(token, 1))
    denied(ann:fail_activity(token, "no"))
    assert.is_true(bob:complete_activity(token, 2))
    assert.equal(2, bob:wait("bob-asks", 10))
    local _, err = bob:complete_activity("nonsense", 2)
    assert.equal("invalid_argument", err.code)
  end)

  it("is denied what no hook decides, and what a hook raises about", function()
    rt:close()
    rt = runtimes.open { access_control = { can_view_instance = function() error("broken hook") end },
      log = function(_, message) lines[#lines + 1] = message end }
    rt:orchestration("order", function() end)
    assert(rt:start("order", nil, { id = "ann-1" }))
    local view = rt:with_context { user_id = "ann" }
    denied(view:status("ann-1"))
    denied(view:list_instances())
    denied(view:runtime_metrics())
    local text = table.concat(lines, "\n")
    assert.matches("access_control.can_view_instance denies: it raised .*broken hook", text)
    assert.matches("access_control.can_list_instances denies: there is no such hook", text)
  end)

  it("hides the row about which a hook raises", function()
    rt:close()
    rt = runtimes.open { access_control = hooks { can_view_instance = function(_, id)
      if id == "ann-2" then error("broken hook") end
      return true
    end } }
    rt:orchestration("order", function() end)
    for i = 1, 3 do assert(rt:start("order", nil, { id = "ann-" .. i })) end
    assert.equal("ann-1 ann-3", ids(rt:with_context { user_id = "ann" }:list_instances()))
  end)

  it("may have hooks that ask the runtime", function()
    rt:close()
    local function tenant(context, id)
      for _, row in ipairs(rt:list_instances { id_prefix = id, attributes = { tenant = context.user_id } }) do
        if row.instance_id == id then return true end
      end
      return false
    end
    rt = runtimes.open { access_control = { can_list_instances = yes, can_view_instance = tenant,
      can_cancel_instance = tenant } }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 6 do
      assert(rt:start("order", nil, { id = "o-" .. i, attributes = { tenant = i % 2 == 0 and "ann" or "bob" } }))
    end
    local view = rt:with_context { user_id = "ann" }
    assert.equal("running", view:status("o-2").status)
    denied(view:status("o-1"))
    assert.equal("o-2 o-4 o-6", ids(view:list_instances()))
    local page = assert(view:list_instances_paginated { page_size = 2, with_total = true })
    assert.equal("o-4 o-6", ids(page.instances))
    assert.equal(3, page.total_count)
    page = assert(view:list_instances_paginated { page_size = 2, page_token = page.next_page_token })
    assert.equal("o-2", ids(page.instances))
    assert.equal("not_found", view:bulk_status { "o-1" }["o-1"].status)
    local outcome = assert(view:cancel_instances { filter = { name = "order" } })
    assert.equal(3, #outcome.cancelled_instances)
    assert.equal(3, outcome.total_matched)
    assert.equal(1, #rt:audit())
  end)

  it("is denied everything where the runtime has no hooks", function()
    rt:close()
    rt = runtimes.open {}
    local view = rt:with_context { user_id = "ann", roles = { "admin" } }
    denied(view:list_instances())
    denied(view:status("ann-1"))
    denied(view:start("order"))
    assert.equal(0, #rt:list_instances())
  end)

  it("owns nothing of the process", function()
    for _, name in ipairs { "close", "stop", "advance", "orchestration", "activity", "with_context" } do
      denied(ann[name](ann, "x", function() end))
    end
    assert.is_false(rt:closed())
    for _, value in pairs(ann) do assert.not_equal(rt, value) end
    assert.is_true(ann:run_until_idle())
    assert.is_number(ann:now())
  end)

  it("is closed with its runtime", function()
    rt:close()
    local _, err = ann:list_instances()
    assert.equal("closed", err.code)
    assert.is_true(ann:closed())
  end)

  it("tells the hooks who asks", function()
    rt:close()
    local seen
    rt = runtimes.open { access_control = { can_view_instance = function(context) seen = context end } }
    rt:with_context { user_id = "ann", roles = { "a", "b" }, source_ip = "10.0.0.1" }:status("x")
    assert.same({ user_id = "ann", roles = { "a", "b" }, source_ip = "10.0.0.1" }, seen)
    rt:with_context { user_id = "ann" }:status("x")
    assert.same({}, seen.roles)
  end)

  it("names the unknown hook and the unknown part of a context", function()
    assert.has_error(function() duro.open { path = ":memory:", access_control = { can_veiw_instance = yes } } end)
    assert.has_error(function() rt:with_context { user = "ann" } end)
    local ok, message = pcall(duro.open, { path = ":memory:", access_control = { can_veiw_instance = yes } })
    assert.is_false(ok)
    assert.matches("did you mean 'can_view_instance'", message)
  end)
end)


describe("every call", function()
  it("has a rule for views, or is denied to them", function()
    local rt = runtimes.open { access_control = hooks() }
    local verbs = {}
    for verb in pairs(access.RULES) do verbs[verb] = true end
    local shorthands = { list_instances_by_orchestration = true, list_running_instances = true,
      list_failed_instances = true, check = true }
    for _, row in ipairs(require("duro.calls").rows) do
      local name = row.verb or row[1]
      local known = verbs[name] or shorthands[row[1]] or access.OWN[row[1]] or access.GUARDED[row[1]]
      assert.is_truthy(known, ("'%s' has no rule in lua/duro/access.lua"):format(name))
    end
    rt:close()
  end)
end)


describe("redaction", function()
  local rt

  -- Whatever an answer holds, as text.
  local function text_of(value, seen)
    seen = seen or {}
    if type(value) ~= "table" then return tostring(value) end
    if seen[value] then return "" end
    seen[value] = true
    local parts = {}
    for key, inner in pairs(value) do parts[#parts + 1] = tostring(key) .. "=" .. text_of(inner, seen) end
    return table.concat(parts, " ")
  end

  local function open(redact, options)
    options = options or {}
    options.access_control = hooks { redact = redact }
    rt = runtimes.open(options)
    rt:activity("charge", function(_, input)
      if input.fail then error { code = "refused", message = "no SECRET", data = { card = "SECRET" } } end
      return { receipt = "SECRET", ok = true }
    end)
    rt:orchestration("pay", function(ctx, input)
      local card = input.card
      ctx:set_custom_status { card = card, step = "charging" }
      ctx:set_attributes { card = card }
      ctx.kv.card = card
      ctx.kv.step = "charging"
      ctx:on_query("card", function() return { card = card } end)
      local paid = ctx:activity("charge", input)
      ctx:wait_event("more")
      local data = ctx:wait_event("end")
      ctx:side_effect(function() return "SECRET" end)
      return { paid = paid, data = data, card = card }
    end)
    return rt:with_context { user_id = "ann" }
  end

  after_each(function() if rt then rt:close() end end)

  -- Hides every text that has the word, wherever it is.
  local function hide(_, _, value)
    if type(value) == "string" and value:find("SECRET") then return "***" end
    return value
  end

  it("cannot be got around by searching for the value", function()
    local view = open(function(_, path, value) return path:find("card", 1, true) and "***" or value end)
    assert(rt:start("pay", { card = "SECRET", amount = 1 }, { id = "ann-1", attributes = { card = "SECRET", n = 1 } }))
    assert(rt:run_until_idle())
    for _, search in ipairs { { text = "SEC" }, { input = { card = "SECRET" } }, { input = { ["card.1"] = 5 } },
      { input = { ["1.card"] = 5 } },
      { input = { amount = 1 }, filter = { attributes = { card = "SECRET" } } } } do
      local found, err = view:search_instances(search)
      assert.is_nil(found)
      assert.equal("denied", err.code)
    end
    assert.equal("denied", select(2, view:list_instances { attributes = { card = "SECRET" } }).code)
    assert.equal(1, #view:search_instances { input = { amount = 1 }, filter = { attributes = { n = 1 } } })
    assert.equal(0, #view:search_instances { input = { ["1\\.5.99999999999999999999.0x1"] = 1 } })
  end)

  it("covers every payload that leaves, of one that runs, ends and fails", function()
    local view = open(hide)
    assert(rt:start("pay", { card = "SECRET", amount = 1 }, { id = "ann-1" }))
    assert(rt:raise_event("ann-1", "more", { note = "SECRET" }))
    assert(rt:run_until_idle())
    local function all()
      local answers = { view:status("ann-1"), view:bulk_status { "ann-1" }, view:details("ann-1"),
        view:list_instances(), view:list_instances_paginated {}, view:history { instance = "ann-1" },
        view:kv("ann-1"), { view:kv("ann-1", "card") }, view:why("ann-1"), view:export("ann-1"),
        view:search_instances { input = { amount = 1 } }, view:at("ann-1", 5) }
      return answers
    end
    local answers = all()
    assert.equal(12, #answers)
    for i, answer in ipairs(answers) do
      assert.is_nil(text_of(answer):find("SECRET", 1, true), "answer " .. i .. ": " .. text_of(answer))
    end
    assert.same({ card = "***", step = "charging" }, view:status("ann-1").custom_status)
    assert.same({ card = "***", step = "charging" }, view:kv("ann-1"))
    assert.equal("***", view:kv("ann-1", "card"))
    assert.equal("charging", view:kv("ann-1", "step"))
    assert.same({ card = "***" }, view:query("ann-1", "card"))
    assert.same({ card = "***", step = "charging" }, (view:wait_custom_status("ann-1", 0, 10)))
    local stack = view:stack("ann-1")
    assert.is_nil(text_of(stack):find("SECRET", 1, true))
    assert.matches("***", text_of(stack), 1, true)
    assert(rt:raise_event("ann-1", "end", "SECRET"))
    assert.same({ paid = { receipt = "***", ok = true }, data = "***", card = "***" }, view:wait("ann-1", 10))
    for i, answer in ipairs { view:status("ann-1"), view:history { instance = "ann-1" }, view:export("ann-1"),
      view:wait_for_instances { instances = { "ann-1" } } } do
      assert.is_nil(text_of(answer):find("SECRET", 1, true), "answer " .. i)
    end
    assert.equal("SECRET", rt:status("ann-1").output.card)
  end)

  it("covers what code raised", function()
    local view = open(hide)
    assert(rt:start("pay", { card = "SECRET", fail = true }, { id = "ann-1" }))
    local _, err = view:wait("ann-1", 10)
    assert.equal("refused", err.code)
    assert.equal("***", err.message)
    assert.same({ card = "***" }, err.data)
    for i, answer in ipairs { view:status("ann-1"), view:list_instances(), view:details("ann-1"),
      view:history { instance = "ann-1" }, view:why("ann-1"), view:export("ann-1") } do
      assert.is_nil(text_of(answer):find("SECRET", 1, true), "answer " .. i .. text_of(answer))
    end
  end)

  it("is told the path of each value, the same wherever it is shown", function()
    local paths = {}
    local view = open(function(_, path, value)
      paths[path] = true
      return value
    end)
    assert(rt:start("pay", { card = "SECRET", items = { { n = 1 } } }, { id = "ann-1" }))
    assert(rt:run_until_idle())
    view:details("ann-1")
    view:history { instance = "ann-1" }
    view:kv("ann-1", "card")
    view:query("ann-1", "card")
    view:stack("ann-1")
    for _, path in ipairs { "input", "input.card", "input.items[1].n", "output.receipt", "custom_status.card",
      "attributes.card", "kv.card", "query.card", "query.card.card", "locals.card" } do
      assert.is_true(paths[path], path)
    end
  end)

  it("may put another value in the place of a whole payload, or withhold it", function()
    local view = open(function(_, path, value)
      if path == "custom_status" then return "some status" end
      if path == "kv" then return nil end
      if path == "input.items[1]" then return nil end
      return value
    end)
    assert(rt:start("pay", { card = "x", items = { "a", "b" } }, { id = "ann-1" }))
    assert(rt:run_until_idle())
    assert.equal("some status", view:status("ann-1").custom_status)
    assert.is_nil(view:kv("ann-1"))
    assert.is_nil(view:kv("ann-1", "card"))
    assert.same({ duro.null, "b" }, view:history { instance = "ann-1" }.events[1].input.items)
    for _, event in ipairs(view:history { instance = "ann-1", kinds = "kv_set" }.events) do
      assert.is_nil(event.input)
    end
  end)

  it("withholds where the hook raises", function()
    local view = open(function() error("broken hook") end)
    assert(rt:start("pay", { card = "SECRET" }, { id = "ann-1" }))
    assert(rt:run_until_idle())
    assert.is_nil(view:status("ann-1").custom_status)
    assert.is_nil(view:history { instance = "ann-1" }.events[1].input)
    assert.is_nil(text_of(view:details("ann-1")):find("SECRET", 1, true))
    assert.equal("running", view:status("ann-1").status)
  end)

  it("leaves exports readable, and checks of new code whole", function()
    local view = open(hide)
    assert(rt:start("pay", { card = "SECRET" }, { id = "ann-1" }))
    assert(rt:run_until_idle())
    local event = view:export("ann-1").executions[1].events[1]
    assert.same({ card = "***" }, core.decode(event.input))
    local report = assert(view:check { name = "pay", fn = function(ctx) ctx:activity("other", "SECRET") end })
    assert.equal(1, report.checked)
    assert.equal(1, #report.failing)
    assert.is_nil(text_of(report.failing):find("SECRET", 1, true))
  end)

  it("withholds what a codec hides in exports", function()
    local pair = require("spec.support.scrambler").new()
    local view = open(hide, { codec = { encode = pair.encode, decode = pair.decode } })
    assert(rt:start("pay", { card = "SECRET" }, { id = "ann-1" }))
    assert(rt:run_until_idle())
    assert.equal("***", view:status("ann-1").custom_status.card)
    assert.is_nil(text_of(view:export("ann-1")):find("base64", 1, true))
  end)
end)


describe("a client's view", function()
  local path, rt

  before_each(function() path = runtimes.path() end)
  after_each(runtimes.clean)

  it("applies its own hooks, also to calls that the owner carries out", function()
    rt = runtimes.open { path = path, clock = "system", durability = "full" }
    rt:orchestration("order", function(ctx) ctx:wait_event("go") end)
    for i = 1, 2 do
      assert(rt:start_many { { name = "order", id = "ann-" .. i }, { name = "order", id = "bob-" .. i } })
    end
    local process = child.start(([[
      io.stdout:setvbuf "no"
      local duro = require "duro"
      local function own(context, id) return (id or ""):sub(1, 3) == context.user_id end
      local rt = assert(duro.open { path = %q, role = "client", access_control = {
        can_list_instances = function() return true end, can_view_instance = own, can_cancel_instance = own,
        can_start_instance = function(context, _, id) return own(context, id) end } })
      local view = rt:with_context { user_id = "bob", source_ip = "10.1.1.1" }
      print(#view:list_instances(), view:list_instances_paginated { with_total = true }.total_count)
      print(select(2, view:status("ann-1")).code)
      print(select(2, view:cancel("ann-1")).code)
      print(view:start("order", nil, { id = "bob-3" }))
      local outcome = assert(view:cancel_instances { filter = { name = "order" } })
      table.sort(outcome.cancelled_instances)
      print(table.concat(outcome.cancelled_instances, " "), outcome.total_matched)
      print(assert(view:terminate_instances { instances = { "ann-1" } }).failed_instances[1].error.code)
      rt:close()
      print "done"
    ]]):format(path))
    runtimes.until_true(rt, function() return #rt:audit { limit = 10 } >= 4 end, "the client's calls")
    local lines = process:finish()
    assert.same({ "2\t2", "denied", "denied", "bob-3", "bob-1 bob-2 bob-3\t3", "denied", "done" }, lines)
    assert.equal("running", rt:status("ann-1").status)
    local calls = {}
    for i, entry in ipairs(rt:audit()) do
      calls[i] = ("%s %s %s"):format(entry.call, entry.outcome, entry.context.user_id)
      assert.equal("10.1.1.1", entry.context.source_ip)
    end
    assert.same({ "terminate_instances ok bob", "cancel_instances ok bob", "start ok bob", "cancel denied bob" }, calls)
  end)
end)
