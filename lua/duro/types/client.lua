---@meta
-- types of client.lua: starting, signalling, waiting, removing.
-- luacheck: ignore

---@class duro.Runtime
local Runtime = {}

---@class duro.StartOptions
---@field id? string 1..256 bytes of UTF-8 without control characters; default: a UUID, version 7
---@field version? string default: the highest registered
---@field delay? duro.Duration start that much later
---@field start_at? duro.Time start at that time
---@field attributes? table<string, string|number|boolean> searchable
---@field timeout? duro.Duration of the whole instance: then it is failed with code timeout
---@field on_conflict? "fail"|"existing"|"replace_finished" when the id exists, default "fail"
---@field event? duro.StartEvent raised too, in the same transaction

---@class duro.StartEvent
---@field name string
---@field data? duro.Value

---Starts an instance; returns when that is durable. Errors: already_exists, invalid_argument,
---invalid_payload, too_large, storage. context: anywhere.
---@param name string
---@param input? duro.Value
---@param opts? duro.StartOptions
---@return string? id, duro.Error?
function Runtime:start(name, input, opts) end

---@class duro.StartManyRow: duro.StartOptions
---@field name string
---@field input? duro.Value

---One transaction, all or none: what is started, replaced (only where the whole tree has ended, else
---`running`) and raised. Errors: as start. context: anywhere.
---@param starts duro.StartManyRow[]
---@return string[]? ids, duro.Error?
function Runtime:start_many(starts) end

---@class duro.RaiseOptions
---@field dedup_id? string one seen before by that instance changes nothing

---Puts an event into the mailbox of an instance. Errors: not_found, finished, invalid_payload.
---context: anywhere.
---@param id string
---@param event_name string
---@param data? duro.Value
---@param opts? duro.RaiseOptions
---@return true?, duro.Error?
function Runtime:raise_event(id, event_name, data, opts) end

---Cooperative: the code sees an error with code cancelled once. Errors: not_found, finished.
---context: anywhere.
---@param id string
---@param reason? string
---@return true?, duro.Error?
function Runtime:cancel(id, reason) end

---Ends it and its children at once. Errors: not_found, finished. context: anywhere.
---@param id string
---@param reason? string
---@return true?, duro.Error?
function Runtime:terminate(id, reason) end

---It records what arrives, and runs no turn until resumed. Errors: not_found, finished.
---context: anywhere.
---@param id string
---@param reason? string
---@return true?, duro.Error?
function Runtime:suspend(id, reason) end

---@param id string
---@return true?, duro.Error?
function Runtime:resume(id) end

---@class duro.StatusOptions
---@field execution? integer an earlier execution; default: the current one

---@class duro.StatusRow
---@field instance_id string
---@field status duro.Status
---@field output? duro.Value
---@field error? duro.Error
---@field custom_status? duro.Value

---An unknown id has status "not_found". context: anywhere.
---@param id string
---@param opts? duro.StatusOptions
---@return duro.StatusRow?, duro.Error?
function Runtime:status(id, opts) end

---Its output once it has ended. Errors: what it failed with, cancelled, terminated, timeout,
---not_found. context: anywhere.
---@param id string
---@param timeout? duro.Duration real time; default: for ever
---@return duro.Value output, duro.Error?
function Runtime:wait(id, timeout) end

---Errors: timeout, finished, not_found. context: anywhere.
---@param id string
---@param last_seen_version integer 0 at first
---@param timeout? duro.Duration real time
---@return duro.Value custom_status, integer|duro.Error version
function Runtime:wait_custom_status(id, last_seen_version, timeout) end

---@param id string
---@param key? string default: all of them, in a table
---@return duro.Value, duro.Error?
function Runtime:kv(id, key) end

---@param token string what ctx:defer() gave
---@param value? duro.Value
---@return true?, duro.Error?
function Runtime:complete_activity(token, value) end

---@param token string what ctx:defer() gave
---@param err string|duro.Error
---@return true?, duro.Error?
function Runtime:fail_activity(token, err) end

---Asks the handler of ctx:on_query. Errors: not_found, unavailable (from another process: no owner runs, or it is
---stuck), and what the handler raises. context: anywhere.
---@param id string
---@param query_name string
---@param arg? duro.Value
---@return duro.Value, duro.Error?
function Runtime:query(id, query_name, arg) end

---@class duro.DeleteOptions
---@field force? boolean also one that has not ended

---Errors: running, not_found. context: anywhere.
---@param id string
---@param opts? duro.DeleteOptions
---@return {instances_deleted: integer, executions_deleted: integer, events_deleted: integer}?, duro.Error?
function Runtime:delete_instance(id, opts) end

---@class duro.PruneOptions
---@field keep_last? integer keep that many, the current one included
---@field completed_before? duro.Time

---Never the current execution. One of the two options is needed. Errors: not_found. context: anywhere.
---@param id string
---@param opts? duro.PruneOptions
---@return {executions_deleted: integer, events_deleted: integer}?, duro.Error?
function Runtime:prune_executions(id, opts) end
