---@meta
-- types: who may do what, and who did: access control, views and the audit log. (See module.lua.)
-- luacheck: ignore

---A missing hook, one that raises, and one that returns false or nil deny. can_view_instance is asked about each
---row of a list, so it should decide by its arguments; where it calls the runtime, lists are made twice.
---@class duro.AccessControl
---@field can_list_instances? fun(context: duro.Context): boolean lists, searches, groups
---@field can_view_instance? fun(context: duro.Context, id: string): boolean everything about one, and its place in lists, trees, totals and streams
---@field can_start_instance? fun(context: duro.Context, name: string, id?: string): boolean
---@field can_cancel_instance? fun(context: duro.Context, id: string): boolean also terminate, suspend, resume, retry
---@field can_raise_event? fun(context: duro.Context, id: string, event_name?: string): boolean also complete_activity and fail_activity (no name)
---@field can_delete_instance? fun(context: duro.Context, id: string): boolean also prune, and on_conflict="replace_finished"
---@field can_view_metrics? fun(context: duro.Context): boolean numbers, diagnostics, capabilities, registered, the audit log
---@field redact? fun(context: duro.Context, path: string, value: duro.Value): duro.Value is asked about every value of every payload, from the outside in ("input", "input.card"); what it returns is shown; nil withholds

---@class duro.Context
---@field user_id? string
---@field roles? string[] for hooks: always there
---@field source_ip? string

---A handle with the methods of its runtime, checked by the hooks of access_control. Refusal: denied. What
---belongs to the process is denied in any case: close, stop, advance, orchestration, activity, with_context.
---@class duro.View: duro.Runtime

---@class duro.Runtime
local Runtime = {}

---For somebody whom the hooks decide about. Without access_control everything is denied. context: anywhere.
---@param context duro.Context
---@return duro.View?, duro.Error?
function Runtime:with_context(context) end

---@class duro.AuditOptions
---@field limit? integer entries, default 100; cap: management.max_list_instances
---@field before? integer next_before of the page before: only older entries

---Through a view: every change that was asked for. Through the plain handle: every one but start,
---start_many, raise_event, complete_activity and fail_activity, which are the process's own work.
---@class duro.AuditEntry
---@field audit_id integer grows
---@field timestamp duro.Time
---@field call string the method
---@field context? duro.Context nil: the process itself
---@field targets string[] ids of the instances that it was done to, or asked for when it failed
---@field outcome "ok"|duro.Code
---@field error? duro.Error
---@field arguments? table those that are no payloads
---@field failed_instances? {instance_id: string, error: duro.Error}[] of a bulk call
---@field executions_deleted? integer by this step of prune or prune_executions, which have an entry for each
---@field events_deleted? integer

---The newest first; `next_before` (and truncated=true) when there are older ones. The log is in the file, an
---entry in the transaction of its change, and keeps its newest 64 MiB. Errors: invalid_argument,
---unsupported (by the store). context: anywhere.
---@param options? duro.AuditOptions
---@return duro.AuditEntry[]?, duro.Error?
function Runtime:audit(options) end

---@class duro.Capabilities
---@field version string
---@field management_version string
---@field vm string "lua5.4" or "luajit"
---@field store string "sqlite", "memory"
---@field role "runtime"|"client"|"worker" of this process now
---@field search boolean payloads can be searched
---@field codec boolean
---@field streams boolean
---@field metrics boolean
---@field task_queues boolean
---@field worker_threads boolean
---@field audit boolean
---@field counters boolean kept by the store; else they are counted from lists
---@field indexed_counts boolean
---@field checkpoint boolean
---@field max_list_instances integer
---@field max_bulk_operations integer

---context: anywhere.
---@return duro.Capabilities?, duro.Error?
function Runtime:capabilities() end
