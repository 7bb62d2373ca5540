-- client: what programs ask of instances: start, signal, steer, wait, read. Each row becomes a method of
-- a runtime (calls.lua); the words are those of csrc/runtime/verbs.h.

local calls = require "duro.calls"
local core = require "duro.core"
local errors = require "duro.errors"
local options = require "duro.options"
local rows = require "duro.rows"

local client = {}
local methods = {}
client.methods = methods

local ID = { "id", "id" }
local REASON = { "reason", "string", optional = true }
local TIMEOUT = { "timeout", "duration", optional = true }


-- --- Starting ---

local START_ROWS = {
  { "id", "new_id", usual = "a UUID", doc = "of the instance; the UUIDs are ordered by time" },
  { "version", "version", usual = "the highest", doc = "of those registered" },
  { "delay", "duration", doc = "start that much later" },
  { "start_at", "time", doc = "start at that time" },
  { "attributes", "attributes", doc = "flat table of strings, numbers and booleans; searchable" },
  { "timeout", "duration", min = 1, doc = "of the whole instance: then it is failed with code timeout" },
  { "on_conflict", "string", usual = "fail", one_of = { "fail", "existing", "replace_finished" },
    doc = "when the id exists" },
  { "event", "table", doc = "{name=, data=}: raised too, in the same transaction" },
}
local START = options.spec("start", START_ROWS)
local EVENT = options.spec("start.event", {
  { "name", "name", required = true, doc = "the event's name" },
  { "data", "any", doc = "its data" },
})

local START_MANY_ROWS = {
  { "name", "name", required = true, doc = "the orchestration" },
  { "input", "any", doc = "its input" },
}
for _, row in ipairs(START_ROWS) do START_MANY_ROWS[#START_MANY_ROWS + 1] = row end
local START_MANY = options.spec("start_many", START_MANY_ROWS)


local function start_args(values)
  if values.delay_ms and values.start_at_ms then
    return nil, errors.new("invalid_argument", "option 'delay' and option 'start_at' exclude each other")
  end
  if values.event then
    local event, err = options.check(EVENT, values.event)
    if not event then return nil, err end
    values.event = event
  end
  return values
end


calls.define(methods, {
  "start",
  params = { { "name", "name" }, { "input", "any", optional = true } },
  options = START,
  args = start_args,
  returns = "the instance id",
  doc = "Starts an instance. The name need not be registered in this process.",
})

local function checked_starts(starts)
  local all = core.array {}
  for i, given in ipairs(starts) do
    local checked, err = options.check(START_MANY, given)
    if checked then checked, err = start_args(checked) end
    if not checked then
      return nil, errors.new(err.code, ("start %d: %s"):format(i, err.message))
    end
    all[i] = checked
  end
  return all
end


calls.define(methods, {
  "start_many",
  params = { { "starts", "table" } },
  -- What the hooks of a view are asked about must stay as it was: there the entries are copied.
  args = function(values, runtime)
    if not runtime.gate and core.plain_starts(values.starts) then return values.starts end
    return checked_starts(values.starts)
  end,
  result = rows.of "ids",
  returns = "array of ids",
  doc = "Starts several in one transaction, all or none: { {name=, input=, id=, ...}, ... }.",
})


-- --- Signals ---

calls.define(methods, {
  "raise_event",
  params = { ID, { "event_name", "name", as = "name" }, { "data", "any", optional = true } },
  options = options.spec("raise_event", {
    { "dedup_id", "string", doc = "one seen before by that instance changes nothing" },
  }),
  returns = "true",
  doc = "Puts an event into the instance's mailbox. Errors: not_found, finished.",
})

calls.define(methods, { "cancel", params = { ID, REASON }, returns = "true",
  doc = "Cooperative: the code sees an error with code cancelled once, may clean up, and ends cancelled." })

calls.define(methods, { "terminate", params = { ID, REASON }, returns = "true",
  doc = "Ends it and its children at once; no code of theirs runs." })

calls.define(methods, { "suspend", params = { ID, REASON }, returns = "true",
  doc = "It records what arrives, and runs no turn until it is resumed." })

calls.define(methods, { "resume", params = { ID }, returns = "true", doc = "Ends a suspension." })

calls.define(methods, {
  "complete_activity",
  params = { { "token", "string" }, { "value", "any", optional = true } },
  returns = "true",
  doc = "Finishes an activity that left with ctx:defer(), from any process.",
})

calls.define(methods, {
  "fail_activity",
  params = { { "token", "string" }, { "err", "any", as = "error" } },
  args = function(values)
    values.error = errors.of(values.error)
    return values
  end,
  returns = "true",
  doc = "Fails an activity that left with ctx:defer(): a text or {code=, message=, data=, retryable=}.",
})


-- --- Looking and waiting ---

calls.define(methods, {
  "status",
  params = { ID },
  options = options.spec("status", {
    { "execution", "integer", usual = "the current one", min = 1, doc = "an earlier execution" },
  }),
  result = rows.status,
  returns = "{instance_id, status, output?, error?, custom_status?}",
  doc = 'How an instance stands. An unknown id has status "not_found".',
})

calls.define(methods, {
  "wait",
  params = { ID, TIMEOUT },
  waits = true,
  result = function(answer)
    rows.status(answer)
    if answer.status == "completed" then return answer.output end
    return nil, answer.error or errors.new(answer.status, ("instance '%s' was %s"):format(answer.instance_id,
      answer.status))
  end,
  returns = "its output, or nil, err",
  doc = "Waits until it has ended. Errors: what it failed with, cancelled, terminated, timeout, not_found.",
})

calls.define(methods, {
  "wait_custom_status",
  params = { ID, { "last_seen_version", "integer", min = 0, as = "version" }, TIMEOUT },
  waits = true,
  result = function(answer) return rows.value(answer.custom_status), answer.version end,
  returns = "custom_status, version",
  doc = "Waits until its custom status is newer than the version last seen.",
})

calls.define(methods, {
  "kv",
  params = { ID, { "key", "string", optional = true } },
  returns = "the value, or a table of all",
  doc = "Reads the durable store that the instance keeps in ctx.kv.",
})

calls.define(methods, {
  "query",
  params = { ID, { "query_name", "name", as = "name" }, { "arg", "any", optional = true } },
  returns = "what the handler returns",
  doc = "Asks the handler that the orchestration gave to ctx:on_query.",
})


-- --- Removing ---

calls.define(methods, {
  "delete_instance",
  params = { ID },
  options = options.spec("delete_instance", {
    { "force", "boolean", default = false, doc = "also one that has not ended (else code running)" },
  }),
  result = rows.counts,
  returns = "{instances_deleted, executions_deleted, events_deleted}",
  doc = "Deletes it with its sub-orchestrations.",
})

calls.define(methods, {
  "prune_executions",
  params = { ID },
  options = options.spec("prune_executions", {
    { "keep_last", "integer", min = 0, doc = "keep that many, the current one included" },
    { "completed_before", "time", doc = "only those that ended before" },
  }),
  result = rows.counts,
  returns = "{executions_deleted, events_deleted}",
  doc = "Deletes earlier executions of an instance; never the current one.",
})


return client
