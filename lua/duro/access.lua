-- access: handles of a runtime that are checked (rt:with_context), and the hooks that check them.
--
-- A view has the methods of its runtime and a context {user_id, roles, source_ip}. Everything that a method
-- asks of the core goes through duro.request.ask, and a view's questions come here instead: RULES has a
-- row for each verb (csrc/runtime/verbs.h), which asks the hooks of `access_control` first. A verb without a row
-- is refused, and so is a method that is in none of the tables below. The core itself leaves out the
-- rows that a view may not see (duro_options.may_see); bulk calls by filter are made calls about ids here, so
-- that each process applies its own hooks, also when another one does the work. The plain runtime handle
-- never comes here.
-- To add a verb or a method: its row; spec/access_spec.lua names what lacks one.

local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"
local redaction = require "duro.redaction"
local request = require "duro.request"

local access = {}

--- The option `access_control` of duro.open. A missing hook, one that raises, and one that returns false
--- or nil deny. One that decides by its arguments is asked once about each row of a list; one that calls the
--- runtime works, too, but lists are then made twice.
access.HOOKS = options.spec("open.access_control", {
  { "can_list_instances", "function", doc = "function(context): lists, searches, groups" },
  { "can_view_instance", "function", doc = "function(context, id): everything about one, and its place in lists" },
  { "can_start_instance", "function", doc = "function(context, name, id): id is nil when none was given" },
  { "can_cancel_instance", "function", doc = "function(context, id): also terminate, suspend, resume, retry" },
  { "can_raise_event", "function", doc = "function(context, id, event_name): also complete_activity (no name)" },
  { "can_delete_instance", "function", doc = "function(context, id): also prune" },
  { "can_view_metrics", "function", doc = "function(context): numbers, diagnostics, the audit log" },
  { "redact", "function", doc = "function(context, path, value): what is shown of a payload" },
})

local CONTEXT = options.spec("with_context", {
  { "user_id", "string", doc = "who" },
  { "roles", "strings", doc = "as what" },
  { "source_ip", "string", doc = "from where" },
})

-- What a caller holds has nothing in it that leads to the runtime: what a view is made of stands here.
local Handle = {}
Handle.__name = "duro.view"
local handle_methods = {}
Handle.__index = handle_methods
local view_of = setmetatable({}, { __mode = "k" })


-- --- Asking the hooks ---

-- Told once in each call: a list asks a hook for every row.
local function complain(view, hook, why)
  if view.warned[hook] or not view.runtime.log then return end
  view.warned[hook] = true
  pcall(view.runtime.log, "warn", ("access_control.%s denies: %s"):format(hook, why),
    { hook = hook, user_id = view.context.user_id })
end


local function allowed(view, hook, ...)
  local fn = view.hooks[hook]
  if not fn then
    complain(view, hook, "there is no such hook")
    return false
  end
  local ok, verdict = pcall(fn, view.context, ...)
  if not ok then complain(view, hook, "it raised " .. tostring(verdict)) end
  return ok and verdict and true or false
end


local function redactor(view)
  local fn = view.hooks.redact
  if not fn then return nil end
  return function(path, value)
    local ok, result = pcall(fn, view.context, path, value)
    if ok then return result end
    complain(view, "redact", "it raised " .. tostring(result))
    return nil
  end
end


-- --- Passing on, and refusing ---

-- While the core lists rows it asks about each of them, in the middle of its work, where a hook that calls
-- the runtime raises. Such a row is hidden for the moment; afterwards the hook is asked again, with the core at
-- rest, and the question is put once more with what it said.
local function sees(look, id)
  local known = look.known and look.known[id]
  if known ~= nil then return known end
  local hook = look.view.hooks.can_view_instance
  if not hook then return allowed(look.view, "can_view_instance", id) end
  local ok, verdict = pcall(hook, look.view.context, id)
  if ok then return verdict and true or false end
  look.undecided = look.undecided or {}
  look.undecided[#look.undecided + 1] = id
  return false
end


-- Asks about those left open. True: there is one that may be seen.
local function decide(look)
  local open, any = look.undecided, false
  look.undecided, look.known = nil, look.known or {}
  for _, id in ipairs(open or {}) do
    if look.known[id] == nil then
      look.known[id] = allowed(look.view, "can_view_instance", id)
      any = any or look.known[id]
    end
  end
  return any
end


--- The function that the core asks which rows a viewer (one question of a view) may see.
function access.viewers()
  local viewers = setmetatable({ last = 0 }, { __mode = "v" })
  return viewers, function(number, id)
    local look = viewers[number]
    return look ~= nil and sees(look, id)
  end
end


-- A question, answered without the rows that the view may not see.
local function ask(view, verb, args, timeout_ms)
  local viewers, look = view.runtime.viewers, { view = view }
  local number = viewers.last + 1
  viewers.last, viewers[number] = number, look
  local answer, err
  repeat
    answer, err = request.send(view.runtime, verb, args, timeout_ms, { viewer = number, context = view.context_json })
  until not look.undecided or not decide(look)
  viewers[number] = nil
  return answer, err
end


local function redacted(view, verb, args, answer, err)
  if not view.ask then return answer, err end
  if err then return nil, redaction.of_error(view.ask, err) end
  return redaction.apply(view.ask, verb, answer, args)
end


local function forward(view, verb, args, timeout_ms)
  return redacted(view, verb, args, ask(view, verb, args, timeout_ms))
end


-- A change: checked already, and never put twice.
local function act(view, verb, args)
  return redacted(view, verb, args, request.send(view.runtime, verb, args, nil, { context = view.context_json }))
end


local function refuse(view, verb, id)
  local whom = view.context.user_id and (" to '%s'"):format(view.context.user_id) or ""
  local what = id and (" of instance '%s'"):format(id) or ""
  return nil, errors.new("denied", ("%s%s is not allowed%s"):format(verb, what, whom))
end


-- A change that is refused is in the audit log, too.
local function refuse_change(view, verb, id, name)
  request.send(view.runtime, "audit_denied", { call = verb, targets = core.array { id }, name = name }, nil,
    { context = view.context_json })
  return refuse(view, verb, id)
end


local function about_one(hook, changes)
  return function(view, verb, args, timeout_ms)
    if allowed(view, hook, args.id) then
      if changes then return act(view, verb, args) end
      return forward(view, verb, args, timeout_ms)
    end
    return (changes and refuse_change or refuse)(view, verb, args.id)
  end
end


local function about_all(hook)
  return function(view, verb, args, timeout_ms)
    if allowed(view, hook) then return forward(view, verb, args, timeout_ms) end
    return refuse(view, verb)
  end
end


-- --- Starting and raising ---

local function may_start(view, values)
  if not allowed(view, "can_start_instance", values.name, values.id) then return false end
  if values.on_conflict == "replace_finished" and values.id
    and not allowed(view, "can_delete_instance", values.id) then
    return false
  end
  return not values.event or allowed(view, "can_raise_event", values.id, values.event.name)
end


local function start(view, verb, args)
  if may_start(view, args) then return act(view, verb, args) end
  return refuse_change(view, verb, args.id, args.name)
end


-- All or none.
local function start_many(view, verb, args)
  for _, values in ipairs(args) do
    if not may_start(view, values) then return refuse_change(view, verb, values.id, values.name) end
  end
  return act(view, verb, args)
end


local function raise_event(view, verb, args)
  if allowed(view, "can_raise_event", args.id, args.name) then return act(view, verb, args) end
  return refuse_change(view, verb, args.id, args.name)
end


local function finish_activity(view, verb, args)
  local id, err = request.send(view.runtime, "token_instance", { token = args.token })
  if not id then return nil, err end
  if allowed(view, "can_raise_event", id) then return act(view, verb, args) end
  return refuse_change(view, verb, id)
end


-- --- Many at once ---

local function add_id(view, choice, id, most)
  choice.matched = choice.matched + 1
  if #choice.only >= most then return end
  table.insert(allowed(view, choice.hook, id, choice.event_name) and choice.only or choice.denied, id)
end


local function choose_by_id(view, choice, ids)
  local seen = {}
  for _, id in ipairs(ids) do
    if not seen[id] then add_id(view, choice, id, math.huge) end
    seen[id] = true
  end
  return true
end


-- Of those that match and may be seen: at most `most` that may be acted upon, and how many there are.
local function choose_by_filter(view, choice, filter, most)
  local token
  repeat
    local page, err = ask(view, "list_instances_paginated",
      { filter = filter, page_size = math.min(500, view.runtime.limits.list), page_token = token })
    if not page then return nil, err end
    for _, row in ipairs(page.instances) do add_id(view, choice, row.instance_id, most) end
    token = page.next_page_token
  until not token
  return true
end


local function too_many(choice, cap)
  return nil, errors.new("too_large", ("%d instances matched, %d are allowed at once; nothing was done")
    :format(choice.matched, cap))
end


-- The call without what may not be seen or done; the core checks the filter again when it acts.
local function narrowed(view, hook, args, by_filter)
  local cap = view.runtime.limits.bulk
  local choice = { only = core.array {}, denied = core.array {}, matched = 0, hook = hook,
    event_name = args.event_name }
  local ok, err
  if args.instances then
    ok = choose_by_id(view, choice, args.instances)
  else
    ok, err = choose_by_filter(view, choice, args.filter or {}, math.min(args.max_instances or cap, cap))
  end
  if not ok then return nil, err end
  if by_filter and choice.matched > cap and not args.max_instances then return too_many(choice, cap) end
  local narrow = {}
  for key, value in pairs(args) do narrow[key] = value end
  if args.instances then narrow.instances = choice.only else narrow.only = choice.only end
  narrow.denied, narrow.matched = choice.denied, choice.matched
  return narrow
end


local function bulk(hook)
  return function(view, verb, args)
    if args.instances and args.filter then return act(view, verb, args) end -- the core refuses it
    if not args.instances and not args.filter then return act(view, verb, args) end
    local narrow, err = narrowed(view, hook, args, args.filter ~= nil)
    if not narrow then return nil, err end
    return act(view, verb, narrow)
  end
end


local function prune(view, verb, args)
  local narrow, err = narrowed(view, "can_delete_instance", args, true)
  if not narrow then return nil, err end
  narrow.denied, narrow.matched = nil, nil
  return act(view, verb, narrow)
end


-- The hidden ones are left out of the caller's table, too: it is asked about again when time is over.
local function wait_for_instances(view, verb, args, timeout_ms)
  local seen = {}
  for _, id in ipairs(args.instances) do
    if allowed(view, "can_view_instance", id) then seen[#seen + 1] = id end
  end
  args.instances = seen
  if #seen == 0 then return { completed = {}, pending = {} } end
  return forward(view, verb, args, timeout_ms)
end


-- --- Streams ---

-- Watching and numbers ask no list: the hidden ones are not there, and numbers are asked for as such.
local function stream(view, verb, args, timeout_ms)
  if not args.instances and not args.numbers and not allowed(view, "can_list_instances") then
    return refuse(view, verb)
  end
  return forward(view, verb, args, timeout_ms)
end


-- --- The rules ---

local VIEW, CHANGE = about_one "can_view_instance", about_one("can_cancel_instance", true)
local REMOVE, LIST = about_one("can_delete_instance", true), about_all "can_list_instances"
local METRICS, CANCEL_MANY = about_all "can_view_metrics", bulk "can_cancel_instance"

access.RULES = {
  start = start, start_many = start_many, raise_event = raise_event,
  complete_activity = finish_activity, fail_activity = finish_activity,
  cancel = CHANGE, terminate = CHANGE, suspend = CHANGE, resume = CHANGE,
  delete_instance = REMOVE, prune_executions = REMOVE, prune = prune,
  cancel_instances = CANCEL_MANY, terminate_instances = CANCEL_MANY, suspend_instances = CANCEL_MANY,
  resume_instances = CANCEL_MANY, retry_failed = CANCEL_MANY,
  delete_instances = bulk "can_delete_instance", raise_event_bulk = bulk "can_raise_event",
  status = VIEW, wait = VIEW, wait_custom_status = VIEW, kv = VIEW, query = VIEW, stack = VIEW, at = VIEW,
  details = VIEW, statistics = VIEW, dependencies = VIEW, why = VIEW, history = VIEW, export = VIEW,
  list_executions = VIEW, descriptor = VIEW,
  list_instances = LIST, list_instances_paginated = LIST, search_instances = LIST, query_instances = LIST,
  bulk_status = forward, wait_for_instances = wait_for_instances, -- the hidden ones are not there
  stream_open = stream, stream_read = stream, pause = forward,
  runtime_metrics = METRICS, queue_metrics = METRICS, orchestration_metrics = METRICS,
  provider_diagnostics = METRICS, prometheus = METRICS, time_series_metrics = METRICS,
  capabilities = METRICS, audit = METRICS,
}


local function gate(handle, verb, args, timeout_ms)
  local view, rule = view_of[handle], access.RULES[verb]
  view.warned = {}
  if not rule then return refuse(view, verb) end
  local probed = view.ask and type(args) == "table" and redaction.probed(view.ask, verb, args)
  if probed then
    return nil, errors.new("denied", ("%s: values that are redacted cannot be found by '%s'"):format(verb, probed))
  end
  return rule(view, verb, args or {}, timeout_ms)
end


-- --- Methods that are no questions to the core ---

-- Turning the loop shows nothing of anybody.
access.LOOP = { run = true, run_until_idle = true, step = true, fd = true, next_timeout = true, now = true,
  closed = true }
-- What belongs to the process.
access.OWN = { open = true, close = true, stop = true, advance = true, orchestration = true, activity = true,
  with_context = true }
-- Methods with a check of their own instead of one in RULES.
access.GUARDED = { registered = "can_view_metrics" }


local function check_handle(handle, name)
  local view = view_of[handle]
  if not view then options.blame(("call it on a view, with a colon: view:%s(...)"):format(name)) end
  view.warned = {}
  return view
end


-- `whole`: the method as it is called on a runtime. `raw`: what it does with whatever can be asked; nil: it
-- is no question.
local function handle_method(name, whole, raw)
  if access.LOOP[name] then
    return function(handle, ...) return whole(check_handle(handle, name).runtime, ...) end
  end
  if access.GUARDED[name] then
    return function(handle, ...)
      local view = check_handle(handle, name)
      if not allowed(view, access.GUARDED[name]) then return refuse(view, name) end
      return whole(view.runtime, ...)
    end
  end
  if access.OWN[name] or not raw then
    return function()
      return nil, errors.new("denied", ("%s is for the process's own handle"):format(name))
    end
  end
  return function(handle, ...)
    if check_handle(handle, name).runtime:closed() then return nil, errors.new("closed", "the runtime is closed") end
    return raw(handle, ...)
  end
end


--- Gives views the methods of a runtime: `all` as they are called on a runtime, `raw` those of them that
--- take whatever can be asked (duro.calls).
function access.equip(all, raw)
  for name, method in pairs(all) do
    if type(method) == "function" and name:sub(1, 2) ~= "__" then
      handle_methods[name] = handle_method(name, method, raw[name])
    end
  end
  -- Replays need what has really happened; the verdict shows no payloads.
  local check = handle_methods.check
  function handle_methods.check(handle, ...)
    local view = check_handle(handle, "check")
    local report, err = check(view.unredacted or handle, ...)
    if not report or not view.unredacted then return report, err end
    for _, row in ipairs(report.failing) do row.expected, row.got, row.detail = nil, nil, nil end
    return report
  end
end


function Handle:__tostring()
  local view = view_of[self]
  return ("duro.view(%s, %s)"):format(view.context.user_id or "?", tostring(view.runtime))
end


-- --- Making views ---

local function new_handle(runtime, context, hooks)
  local view = { runtime = runtime, context = context, hooks = hooks, warned = {} }
  view.context_json = core.encode(context)
  view.ask = redactor(view)
  local handle = setmetatable({ gate = gate, codec = runtime.codec }, Handle)
  view_of[handle] = view
  return handle, view
end


--- rt:with_context: a view for whom the context names.
function access.view(runtime, values)
  local context = { user_id = values.user_id, roles = core.array(values.roles or {}), source_ip = values.source_ip }
  local hooks = runtime.access_control or {}
  local handle, view = new_handle(runtime, context, hooks)
  if view.ask then
    local plain = {}
    for name, hook in pairs(hooks) do plain[name] = hook end
    plain.redact = nil
    view.unredacted = new_handle(runtime, context, plain)
  end
  return handle
end


access.CONTEXT = CONTEXT


return access
