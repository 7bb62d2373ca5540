-- rows: the answers of calls, made ready for people. Rows are plain tables (pairs, # and JSON libraries work on
-- them); a metatable adds only __tostring and methods, and errors in them become error tables.
--
-- Every result has a kind, by which show.lua draws it when it is printed. For a new kind rows.of "kind" is enough;
-- a function here if something must be put right in the answer first. What a kind looks like: kinds.lua.

local core = require "duro.core"

local rows = {}

-- The statuses that do not change any more.
rows.FINAL = { completed = true, failed = true, cancelled = true, terminated = true, not_found = true }


--- A payload as it came: the JSON null of an answer's field is nil.
function rows.value(value)
  if value == core.null then return nil end
  return value
end


local function with_error(row)
  if type(row.error) == "table" then setmetatable(row.error, core.error_metatable) end
  return row
end


-- --- Kinds ---

-- The metatable of a kind. `methods`: what rows of that kind can be asked.
local function metatable(kind, methods)
  return { __index = methods, __kind = kind, __tostring = function(value)
    return require("duro.show").kind(kind, value)
  end }
end


local made = {}


--- A function that marks an answer as of that kind, for `result` in a row of calls.
function rows.of(kind)
  made[kind] = made[kind] or metatable(kind)
  return function(answer)
    if type(answer) ~= "table" then return answer end
    return setmetatable(answer, made[kind])
  end
end


--- "events deleted: 12, instances deleted: 3".
rows.counts = rows.of "counts"
rows.why = rows.of "why"
rows.dependencies = rows.of "dependencies"
rows.stack = rows.of "stack"


-- --- The status of one instance, of many ---

local mark_status = rows.of "status"


function rows.status(row)
  row.output, row.custom_status = rows.value(row.output), rows.value(row.custom_status)
  return mark_status(with_error(row))
end


--- An array of statuses, also indexable by id.
function rows.statuses(list)
  local by_id = {}
  for _, row in ipairs(list) do by_id[row.instance_id] = rows.status(row) end
  return setmetatable(list, metatable("statuses", by_id))
end


local mark_waited = rows.of "waited"


function rows.waited(answer)
  for _, row in ipairs(answer.completed) do rows.status(row) end
  return mark_waited(answer)
end


-- --- Summaries ---

local mark_summary = rows.of "summary"


function rows.summary(row)
  row.custom_status = rows.value(row.custom_status)
  return mark_summary(with_error(row))
end


local Instances = {}


--- The ids of the listed instances, for a bulk call.
function Instances:ids()
  local ids = {}
  for i, row in ipairs(self) do ids[i] = row.instance_id end
  return ids
end


local INSTANCES = metatable("instances", Instances)


function rows.instances(list)
  for _, row in ipairs(list) do rows.summary(row) end
  return setmetatable(list, INSTANCES)
end


local mark_page = rows.of "page"


--- A page of a list, and how to go on.
function rows.page(answer)
  rows.instances(answer.instances)
  return mark_page(answer)
end


-- --- Outcomes of a bulk call ---

local mark_outcomes = rows.of "outcomes"


function rows.outcomes(answer)
  for _, row in ipairs(answer.failed_instances) do with_error(row) end
  return mark_outcomes(answer)
end


-- --- One instance in full, now and looking back ---

local function pending_values(current)
  for _, pending in ipairs(current.pending_activities) do
    pending.input = rows.value(pending.input)
    if type(pending.last_error) == "table" then
      setmetatable(pending.last_error, core.error_metatable)
    end
  end
end


local mark_details, mark_statistics = rows.of "details", rows.of "statistics"


function rows.details(answer)
  rows.summary(answer.summary)
  mark_statistics(answer.statistics)
  if answer.current_execution then pending_values(answer.current_execution) end
  return mark_details(answer)
end


local mark_at = rows.of "at"


function rows.at(answer)
  answer.custom_status = rows.value(answer.custom_status)
  pending_values(answer.pending)
  if answer.stack then rows.stack(answer.stack) end
  if answer.stack_error then setmetatable(answer.stack_error, core.error_metatable) end
  return mark_at(answer)
end


-- --- Histories ---

local mark_events, mark_history = rows.of "events", rows.of "history"


function rows.events(list)
  for _, event in ipairs(list) do
    event.input, event.output = rows.value(event.input), rows.value(event.output)
    event.heartbeat_details = rows.value(event.heartbeat_details)
    with_error(event)
  end
  return mark_events(list)
end


--- A page of a history.
function rows.history(answer)
  rows.events(answer.events)
  return mark_history(answer)
end


-- --- The audit log ---

local mark_audit = rows.of "audit"


function rows.audit(answer)
  local list = answer.entries
  for _, entry in ipairs(list) do
    with_error(entry)
    for _, row in ipairs(entry.failed_instances or {}) do with_error(row) end
  end
  list.next_before = answer.next_before
  list.truncated = answer.next_before ~= nil or nil
  return mark_audit(list)
end


-- --- What streams give ---

local mark_stream_event, mark_status_change = rows.of "stream_event", rows.of "status_change"
local PAYLOADS = { "input", "output", "data", "custom_status" }


function rows.stream_event(event)
  local details = with_error(event.details)
  for _, key in ipairs(PAYLOADS) do details[key] = rows.value(details[key]) end
  return mark_stream_event(event)
end


function rows.status_change(change)
  change.output = rows.value(change.output)
  return mark_status_change(with_error(change))
end


return rows
