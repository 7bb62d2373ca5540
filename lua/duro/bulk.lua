-- bulk: calls for many instances at once. Each row becomes a method of a runtime (calls.lua).
-- Selection and action are one transaction; one that cannot be acted upon is an outcome, not an error.

local calls = require "duro.calls"
local listing = require "duro.listing"
local options = require "duro.options"
local rows = require "duro.rows"

local bulk = {}
local methods = {}
bulk.methods = methods


-- --- Statuses ---

calls.define(methods, {
  "bulk_status",
  params = { { "ids", "ids" } },
  args = function(values) return values.ids end,
  result = rows.statuses,
  returns = "array of statuses in the order asked",
  doc = 'The statuses of many. Also indexable by id; unknown ids have status "not_found".',
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
    answer.timed_out = false
    return rows.waited(answer)
  end,
  on_timeout = function(runtime, values)
    local list, err = runtime:bulk_status(values.instances)
    if not list then return nil, err end
    local answer = { completed = {}, pending = {}, timed_out = true }
    for _, row in ipairs(list) do
      local ended = rows.FINAL[row.status]
      table.insert(ended and answer.completed or answer.pending, ended and row or row.instance_id)
    end
    return rows.waited(answer)
  end,
  returns = "{completed={ {instance_id, status, output?, error?} }, pending={ids}, timed_out=}",
  doc = "Waits until all, or one, of several instances have ended.",
})


-- --- Actions ---

local CHOICE = {
  { "instances", "ids", doc = "the ids; or" },
  { "filter", "table", doc = "as for list_instances, without limit; {} needs all=true" },
  { "all", "boolean", default = false, doc = "an empty filter is meant" },
  { "max_instances", "integer", min = 1, doc = "act on that many at most; cap: management.max_bulk_operations" },
  { "dry_run", "boolean", default = false, doc = "only say what would be done" },
}
local REASON = { "reason", "string", doc = "kept with each of them" }


local function with_choice(name, ...)
  local all = {}
  for i, row in ipairs(CHOICE) do all[i] = row end
  for _, row in ipairs { ... } do all[#all + 1] = row end
  return options.spec(name, all)
end


local function define(name, participle, doc, ...)
  calls.define(methods, {
    name,
    options = with_choice(name, ...),
    args = listing.check_filter,
    result = rows.outcomes,
    returns = ("{%s_instances={ids}, failed_instances={ {instance_id, error} }, total_matched}"):format(participle),
    doc = doc,
  })
end


define("cancel_instances", "cancelled", "Cancels many, as rt:cancel does.", REASON)
define("terminate_instances", "terminated", "Ends many at once, as rt:terminate does.", REASON)
define("suspend_instances", "suspended", "Suspends many, as rt:suspend does.", REASON)
define("resume_instances", "resumed", "Resumes many, as rt:resume does.", REASON)
define("delete_instances", "deleted", "Deletes many, each with its sub-orchestrations.", REASON,
  { "force", "boolean", default = false, doc = "also those that have not ended" })

local function restricts(filter)
  for _, value in pairs(filter) do
    if value ~= "" and (type(value) ~= "table" or next(value) ~= nil) then return true end
  end
  return false
end


-- A filter is about failed roots, unless it says otherwise; an empty one still needs all=true.
local function only_failed_roots(values)
  local checked, err = listing.check_filter(values)
  if not checked then return nil, err end
  local filter = checked.filter
  if filter and (restricts(filter) or checked.all) then
    filter.status = filter.status or { "failed" }
    if filter.has_parent == nil then filter.has_parent = false end
  end
  return checked
end


calls.define(methods, {
  "retry_failed",
  options = with_choice("retry_failed", REASON),
  args = only_failed_roots,
  result = rows.outcomes,
  returns = "{retried_instances={ids}, failed_instances={ {instance_id, error} }, total_matched}",
  doc = "Failed instances go on from the step that failed them: it runs again. Roots only, and no caught failures.",
})

calls.define(methods, {
  "raise_event_bulk",
  options = with_choice("raise_event_bulk",
    { "event_name", "name", required = true, doc = "the event's name" },
    { "event_data", "any", doc = "its data" }),
  args = listing.check_filter,
  result = rows.outcomes,
  returns = "{delivered_instances, failed_instances, no_subscription_instances, total_matched}",
  doc = "Raises an event in many; those where nobody waits for it yet keep it in their mailboxes.",
})


-- --- Retention ---

calls.define(methods, {
  "prune",
  options = options.spec("prune", {
    { "keep_last", "integer", min = 0, doc = "keep that many executions of each, the current one included" },
    { "completed_before", "time", doc = "only executions that ended before" },
    listing.FILTER_ROW,
  }),
  args = listing.check_filter,
  result = rows.counts,
  returns = "{instances_pruned, executions_deleted, events_deleted}",
  doc = "Deletes earlier executions of all instances that match, in bounded steps.",
})


return bulk
