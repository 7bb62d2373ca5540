-- management: what operators ask about one instance; with listing.lua (lists), bulk.lua (many at once),
-- metrics.lua (numbers) and streams.lua (what happens, as it happens). Each row becomes a method of a runtime
-- (calls.lua); reads see committed data only.
-- To add a call: one row here, an entry in manual/calls.lua, its fields in types/management.lua.

local access = require "duro.access"
local bulk = require "duro.bulk"
local calls = require "duro.calls"
local listing = require "duro.listing"
local core = require "duro.core"
local metrics = require "duro.metrics"
local options = require "duro.options"
local rows = require "duro.rows"
local streams = require "duro.streams"

local management = {}
local methods = {}
management.methods = methods

--- Of the calls for operators, which grow apart from the rest.
management.version = "0.1.0"

for _, room in ipairs { listing, bulk, metrics, streams } do
  for name, method in pairs(room.methods) do methods[name] = method end
end

local ID = { "id", "id" }


-- A call that takes an id and nothing else.
local function ask(name, result, returns, doc)
  calls.define(methods, { name, params = { ID }, result = result, returns = returns, doc = doc })
end


-- --- One instance ---

ask("details", rows.details, "{summary, executions, current_execution?, statistics}",
  "Everything about one instance; what it waits for while it has not ended.")

ask("statistics", rows.of "statistics", "{total_activities_scheduled, ..., turns, replays}",
  "What an instance has done so far, in numbers.")

calls.define(methods, {
  "dependencies",
  params = { ID },
  options = options.spec("dependencies", {
    { "depth", "integer", min = 0, max = 90, doc = "levels of children to list; all are counted" },
  }),
  result = rows.dependencies,
  returns = "{root_instance, parent?, children, total_descendants}",
  doc = "Whose child an instance is, and the tree of what it has started.",
})

ask("why", rows.why, "{state, reason, since?, suggestion}",
  "Why nothing happens with an instance, and what would help.")

calls.define(methods, {
  "at",
  params = { ID, { "event_id", "integer", min = 1, as = "event_id" } },
  options = options.spec("at", {
    { "execution", "integer", min = 1, usual = "the latest", doc = "which execution" },
  }),
  result = rows.at,
  returns = "{custom_status, kv, pending, stack}",
  doc = "How an instance stood after one of its events, by replaying it aside.",
})

calls.define(methods, {
  "history",
  options = options.spec("history", {
    { "instance", "id", required = true, as = "id", doc = "the instance" },
    { "execution", "integer", min = 1, usual = "the latest", doc = "which execution" },
    { "kinds", "strings", doc = "only events of these kinds" },
    { "since_event", "integer", min = 0, doc = "only events after that id" },
    { "order", "string", default = "asc", one_of = { "asc", "desc" }, doc = "by event id" },
    { "page_size", "integer", default = 1000, min = 1, max = 10000, doc = "events in one answer" },
    { "page_token", "string", doc = "next_page_token of the page before" },
  }),
  result = rows.history,
  returns = "{events, next_page_token?}",
  doc = "What has happened to an instance: {event_id, kind, timestamp, name?, source_event_id?, ...}.",
})

ask("list_executions", rows.of "executions", "array of execution ids",
  "The executions of an instance, from 1: each continue-as-new is another one.")

ask("descriptor", rows.of "descriptor", "{name, version, parent_instance?, parent_id?}",
  "Which code an instance runs, and whose child it is.")

ask("stack", rows.stack, "array of frames",
  "Where the code waits: {source, line, function, locals}.")


-- --- Who may do what, and who did ---

calls.define(methods, {
  "with_context",
  options = access.CONTEXT,
  run = function(values, runtime) return access.view(runtime, values) end,
  returns = "a handle with the same methods, checked",
  doc = "For somebody whom the hooks of access_control decide about: refusals are nil, err(denied).",
})

calls.define(methods, {
  "audit",
  options = options.spec("audit", {
    { "limit", "integer", min = 1, usual = "100", doc = "entries; the cap: management.max_list_instances" },
    { "before", "integer", min = 1, doc = "next_before of the page before: only older entries" },
  }),
  result = rows.audit,
  returns = "array of {audit_id, timestamp, call, context?, targets, outcome, error?, arguments?, failed_instances?}",
  doc = "Who asked for which change, the newest first; the log keeps its newest 64 MiB.",
})

calls.define(methods, {
  "capabilities",
  result = function(answer, _, runtime)
    answer.version, answer.management_version, answer.vm = core.version, management.version, core.vm
    answer.codec = runtime.codec ~= nil
    answer.search = not answer.codec
    return rows.counts(answer)
  end,
  returns = "{version, management_version, vm, store, role, search, streams, metrics, task_queues, ...}",
  doc = "What this store, this process and this build can do.",
})


return management
