-- management: what operators ask: lists, details, histories. Each row becomes a method of a runtime
-- (calls.lua); reads see committed data only.
-- To add a call of API.md section 6: one row here, its name out of LATER, its fields in types/management.lua.

local calls = require "duro.calls"
local options = require "duro.options"
local rows = require "duro.rows"

local management = {}
local methods = {}
management.methods = methods

local ID = { "id", "id" }

-- Calls of API.md that are known and not built yet: they answer unsupported.
local LATER = {
  "list_instances_paginated", "each_instance", "search_instances", "dependencies", "cancel_instances",
  "terminate_instances", "delete_instances", "suspend_instances", "resume_instances", "raise_event_bulk",
  "prune", "provider_diagnostics", "queue_metrics", "orchestration_metrics", "prometheus", "query_instances",
  "time_series_metrics", "stream_instance_events", "stream_runtime_metrics", "watch_instances", "why", "at",
  "check", "retry_failed", "with_context", "audit", "capabilities",
}
for _, name in ipairs(LATER) do calls.define_unsupported(methods, name) end


-- --- Lists ---

local FILTER_ROWS = {
  { "status", "strings", doc = "one or several" },
  { "name", "strings", doc = "one or several; * at the end matches a prefix" },
  { "version", "string" },
  { "id_prefix", "string" },
  { "created_after", "moment", doc = "times are exclusive" },
  { "created_before", "moment" },
  { "updated_after", "moment" },
  { "updated_before", "moment" },
  { "completed_after", "moment" },
  { "completed_before", "moment" },
  { "has_parent", "boolean" },
  { "parent_instance", "id" },
  { "attributes", "attributes", doc = "all of these" },
  { "error_contains", "string" },
  { "waiting_on", "string", doc = '"activity", "timer", "event", "sub_orchestration" or "event:NAME"' },
  { "limit", "integer", min = 1, doc = "default and cap: management.max_list_instances" },
}
local FILTER = options.spec("filter", FILTER_ROWS)


local function filter_args(values)
  local limit = values.limit
  values.limit = nil
  return { filter = values, limit = limit }
end


local function listed(answer)
  local list = answer.instances
  list.truncated = answer.truncated or nil
  return rows.instances(list)
end


calls.define(methods, {
  "list_instances",
  options = FILTER,
  args = filter_args,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that match, newest first; truncated=true when more matched.",
})

calls.define(methods, {
  "list_instances_by_orchestration",
  verb = "list_instances",
  params = { { "name", "name" } },
  args = filter_args,
  result = listed,
  returns = "array of summaries",
  doc = "Instances of one orchestration, newest first.",
})

calls.define(methods, {
  "list_running_instances",
  verb = "list_instances",
  args = function() return { filter = { status = { "running" } } } end,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that are running, newest first.",
})

calls.define(methods, {
  "list_failed_instances",
  verb = "list_instances",
  params = { { "since", "moment", optional = true, as = "completed_after" } },
  args = function(values)
    values.status = { "failed" }
    return { filter = values }
  end,
  result = listed,
  returns = "array of summaries",
  doc = "Instances that failed, after the time `since` when it is given.",
})


-- --- One instance ---

calls.define(methods, {
  "details",
  params = { ID },
  result = rows.details,
  returns = "{summary, executions, current_execution?, statistics}",
  doc = "Everything about one instance; what it waits for while it has not ended.",
})

calls.define(methods, {
  "statistics",
  params = { ID },
  result = rows.counts,
  returns = "{total_activities_scheduled, ..., turns, replays}",
  doc = "What an instance has done so far, in numbers.",
})

calls.define(methods, {
  "history",
  options = options.spec("history", {
    { "instance", "id", required = true, as = "id", doc = "the instance" },
    { "execution", "integer", min = 1, doc = "default: the latest" },
    { "kinds", "strings", doc = "only events of these kinds" },
    { "since_event", "integer", min = 0, doc = "only events after that id" },
    { "order", "string", default = "asc", one_of = { "asc", "desc" } },
  }),
  args = function(values) return { id = values.id, execution = values.execution } end,
  result = function(answer, values)
    local wanted
    for _, kind in ipairs(values.kinds or {}) do
      wanted = wanted or {}
      wanted[kind] = true
    end
    local events, count = {}, #answer.events
    for i = 1, count do
      local event = answer.events[values.order == "desc" and count + 1 - i or i]
      local passes = not wanted or wanted[event.kind]
      if passes and event.event_id > (values.since_event or 0) then events[#events + 1] = event end
    end
    return { events = rows.events(events) }
  end,
  returns = "{events}",
  doc = "What has happened to an instance: {event_id, kind, timestamp, name?, source_event_id?, ...}.",
})

calls.define(methods, {
  "list_executions",
  params = { ID },
  returns = "array of execution ids",
  doc = "The executions of an instance, from 1: each continue-as-new is another one.",
})

calls.define(methods, {
  "descriptor",
  params = { ID },
  returns = "{name, version, parent_instance?, parent_id?}",
  doc = "Which code an instance runs, and whose child it is.",
})

calls.define(methods, {
  "export",
  params = { ID },
  returns = "a table, ready for JSON",
  doc = "The whole instance with its histories, for duro.replay and for keeping.",
})

calls.define(methods, {
  "stack",
  params = { ID },
  result = rows.stack,
  returns = "array of frames",
  doc = "Where the code waits: {source, line, function, locals}.",
})


-- --- Many at once ---

calls.define(methods, {
  "bulk_status",
  params = { { "ids", "ids" } },
  args = function(values) return values.ids end,
  result = rows.statuses,
  returns = "array of statuses in the order asked",
  doc = 'Also indexable by id; unknown ids have status "not_found".',
})

calls.define(methods, {
  "wait_for_instances",
  options = options.spec("wait_for_instances", {
    { "instances", "ids", required = true, doc = "the ids" },
    { "mode", "string", default = "all", one_of = { "all", "any" }, doc = "wait for all, or for the first" },
    { "timeout", "duration", doc = "real time" },
  }),
  waits = true,
  result = function(answer)
    for _, row in ipairs(answer.completed) do rows.status(row) end
    answer.timed_out = false
    return rows.counts(answer)
  end,
  on_timeout = function(runtime, values)
    local list, err = runtime:bulk_status(values.instances)
    if not list then return nil, err end
    local answer = { completed = {}, pending = {}, timed_out = true }
    for _, row in ipairs(list) do
      local ended = rows.FINAL[row.status]
      table.insert(ended and answer.completed or answer.pending, ended and row or row.instance_id)
    end
    return rows.counts(answer)
  end,
  returns = "{completed={ {instance_id, status, output?, error?} }, pending={ids}, timed_out=}",
  doc = "Waits until all, or one, of several instances have ended.",
})


-- --- Numbers ---

calls.define(methods, {
  "runtime_metrics",
  result = rows.counts,
  returns = "{uptime_seconds, total_instances_started, ...}",
  doc = "Counters of this process.",
})


return management
