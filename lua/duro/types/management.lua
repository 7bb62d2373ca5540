---@meta
-- types of management.lua: lists, details, histories, numbers.
-- luacheck: ignore

---@class duro.Runtime
local Runtime = {}

---@class duro.Filter all optional, ANDed; times are exclusive
---@field status? duro.Status|duro.Status[]
---@field name? string|string[] * at the end matches a prefix
---@field version? string
---@field id_prefix? string
---@field created_after? duro.Time
---@field created_before? duro.Time
---@field updated_after? duro.Time
---@field updated_before? duro.Time
---@field completed_after? duro.Time
---@field completed_before? duro.Time
---@field has_parent? boolean
---@field parent_instance? string
---@field attributes? table<string, string|number|boolean>
---@field error_contains? string
---@field waiting_on? string "activity", "timer", "event", "sub_orchestration", "event:NAME", or "condition" (ctx:wait_until, and nothing else)
---@field limit? integer default and cap: management.max_list_instances

---@class duro.Summary
---@field instance_id string
---@field orchestration_name string
---@field version? string
---@field status duro.Status
---@field created_at duro.Time
---@field updated_at duro.Time
---@field completed_at? duro.Time
---@field execution_count integer
---@field parent_instance? string the parent's id
---@field parent_id? integer the event in the parent that started this one
---@field attributes? table<string, string|number|boolean>
---@field custom_status? duro.Value
---@field waiting_on? string[]
---@field error? duro.Error

---@class duro.Instances
---@field [integer] duro.Summary
---@field truncated? true more matched
local Instances = {}

---@return string[]
function Instances:ids() end

---Newest first. Errors: invalid_argument. context: anywhere.
---@param filter? duro.Filter
---@return duro.Instances?, duro.Error?
function Runtime:list_instances(filter) end

---@param name string
---@return duro.Instances?, duro.Error?
function Runtime:list_instances_by_orchestration(name) end

---@return duro.Instances?, duro.Error?
function Runtime:list_running_instances() end

---@param since? duro.Time by the time of failure
---@return duro.Instances?, duro.Error?
function Runtime:list_failed_instances(since) end

---@class duro.PageOptions
---@field filter? duro.Filter without limit
---@field page_size? integer default 100; cap: management.max_list_instances
---@field page_token? string next_page_token of the page before
---@field order_by? "created_at"|"updated_at"|"instance_id"|"orchestration_name" default "created_at"
---@field order? "desc"|"asc" default "desc"
---@field with_total? boolean total_count too: costs a scan

---@class duro.Page
---@field instances duro.Instances
---@field next_page_token? string absent: this was the last
---@field total_count? integer

---Stable while others are started: no row twice or missing (by updated_at: but for rows changed meanwhile).
---Errors: invalid_argument (also a page_token that is altered, or of another filter, order or file).
---context: anywhere.
---@param options? duro.PageOptions
---@return duro.Page?, duro.Error?
function Runtime:list_instances_paginated(options) end

---All that match, newest first: `for row in rt:each_instance{status="failed"} do`. A page that cannot be
---read raises its error, the first one gives nil, err. context: anywhere.
---@param filter? duro.Filter without limit
---@return (fun(): duro.Summary?)?, duro.Error?
function Runtime:each_instance(filter) end

---@class duro.SearchOptions
---@field filter? duro.Filter without limit
---@field text? string contained in a string or number of the input or output
---@field input? table<string, duro.Value> {["customer.id"]=42}: dots go down, \. is a literal dot, numbers are 1-based indexes
---@field output? table<string, duro.Value> the same of the output
---@field limit? integer default and cap: management.max_list_instances

---Newest first; looks at the newest 20000 that pass the filter, then says truncated. The input is that of
---the first execution. Errors: invalid_argument, unsupported (with a codec). context: anywhere.
---@param options duro.SearchOptions
---@return duro.Instances?, duro.Error?
function Runtime:search_instances(options) end

---@class duro.Execution
---@field execution_id integer
---@field status duro.Status|"continued_as_new"
---@field started_at duro.Time
---@field completed_at? duro.Time
---@field event_count integer
---@field continue_as_new_reason? string

---@class duro.PendingActivity
---@field correlation_id integer the event that scheduled it
---@field name string
---@field input? duro.Value
---@field scheduled_at duro.Time
---@field attempt integer
---@field last_error? duro.Error
---@field next_attempt_at? duro.Time
---@field state "queued"|"running"|"backing_off"

---@class duro.CurrentExecution
---@field execution_id integer
---@field status duro.Status
---@field pending_activities duro.PendingActivity[]
---@field pending_timers {correlation_id: integer, delay_ms: integer, scheduled_at: duro.Time, fire_at: duro.Time}[]
---@field pending_events {correlation_id: integer, name: string, subscribed_at: duro.Time}[]
---@field pending_sub_orchestrations {correlation_id: integer, instance_id: string, name: string, scheduled_at: duro.Time}[]
---@field completed_activities integer
---@field failed_activities integer

---@class duro.Statistics
---@field total_activities_scheduled integer
---@field total_activities_completed integer
---@field total_activities_failed integer
---@field total_timers_scheduled integer
---@field total_timers_fired integer
---@field total_events_subscribed integer
---@field total_events_received integer
---@field total_execution_time_ms integer
---@field average_turn_duration_ms number
---@field turns integer
---@field replays integer by this process

---@class duro.Details
---@field summary duro.Summary
---@field executions duro.Execution[]
---@field current_execution? duro.CurrentExecution only while it has not ended
---@field statistics duro.Statistics

---Errors: not_found. context: anywhere.
---@param id string
---@return duro.Details?, duro.Error?
function Runtime:details(id) end

---@param id string
---@return duro.Statistics?, duro.Error?
function Runtime:statistics(id) end

---@class duro.Relative
---@field instance_id string
---@field orchestration_name string
---@field status duro.Status
---@field child_count integer
---@field children? duro.Relative[] absent below `depth`

---@class duro.Dependencies prints as a tree
---@field instance_id string the one that was asked for
---@field root_instance string the id at the top of the whole tree
---@field parent? duro.Relative
---@field children duro.Relative[]
---@field total_descendants integer all of them, at any depth

---@class duro.DependenciesOptions
---@field depth? integer levels of children to list, at most 90; all are counted

---Detached instances are roots of their own. Errors: not_found. context: anywhere.
---@param id string
---@param options? duro.DependenciesOptions
---@return duro.Dependencies?, duro.Error?
function Runtime:dependencies(id, options) end

---@class duro.Why prints as a sentence
---@field state "waiting"|"running"|"activity_running"|"backing_off"|"not_registered"|"unserved_queue"|"pending"|"suspended"|"stalled"|"foreign_vm"|"storage"|"no_owner"|"stuck"|"finished"|"not_found"
---@field reason string a sentence: the most pressing thing first, then the others
---@field since? duro.Time
---@field suggestion string what would help

---Why nothing happens with an instance: the state of an unknown id is "not_found". Nothing is touched.
---context: anywhere.
---@param id string
---@return duro.Why?, duro.Error?
function Runtime:why(id) end

---@class duro.Pending
---@field pending_activities duro.PendingActivity[]
---@field pending_timers {correlation_id: integer, delay_ms: integer, scheduled_at: duro.Time, fire_at: duro.Time}[]
---@field pending_events {correlation_id: integer, name: string, subscribed_at: duro.Time}[]
---@field pending_sub_orchestrations {correlation_id: integer, instance_id: string, name: string, scheduled_at: duro.Time}[]

---@class duro.At
---@field custom_status? duro.Value
---@field kv table<string, duro.Value>
---@field pending duro.Pending
---@field stack? duro.Frame[] absent when there is no code here that fits
---@field stack_error? duro.Error why there is no stack

---@class duro.AtOptions
---@field execution? integer default: the latest

---How an instance stood after one of its events. Replayed aside: the instance is not touched.
---Errors: not_found, invalid_argument (there is no such event), unavailable (as stack). context: anywhere.
---@param id string
---@param event_id integer
---@param options? duro.AtOptions
---@return duro.At?, duro.Error?
function Runtime:at(id, event_id, options) end

---@class duro.HistoryOptions
---@field instance string the id
---@field execution? integer default: the latest
---@field kinds? string|string[] only events of these kinds
---@field since_event? integer only events after that id
---@field order? "asc"|"desc" default "asc"
---@field page_size? integer default 1000, at most 10000
---@field page_token? string next_page_token of the page before

---@class duro.Event
---@field event_id integer from 1 in each execution
---@field kind string
---@field timestamp duro.Time
---@field name? string
---@field source_event_id? integer what a completion completes
---@field input? duro.Value
---@field output? duro.Value
---@field error? duro.Error
---@field attempt? integer
---@field lost? boolean the attempt was lost with its process
---@field heartbeat_details? duro.Value what the attempt that is retried told last
---@field fire_at_ms? integer epoch milliseconds
---@field delay_ms? integer
---@field deadline_ms? integer epoch milliseconds
---@field instance_id? string the other instance: child, receiver
---@field version? string
---@field reason? string
---@field options? table
---@field run_id? string
---@field parent_instance? string
---@field parent_event_id? integer
---@field dedup_id? string

---Errors: not_found, invalid_argument (an unknown kind, a token that is not one of these pages).
---context: anywhere.
---@param options duro.HistoryOptions
---@return {events: duro.Event[], next_page_token?: string}?, duro.Error?
function Runtime:history(options) end

---@param id string
---@return integer[]?, duro.Error?
function Runtime:list_executions(id) end

---@param id string
---@return {name: string, version: string, parent_instance?: string, parent_id?: integer}?, duro.Error?
function Runtime:descriptor(id) end

---@class duro.Frame
---@field source string
---@field line integer
---@field function string
---@field locals table<string, any>
---@field block? integer of ctx:spawn, from 1; absent in the orchestration itself
---@field tail_call? true its last call ("return ctx:activity(...)") took its place: line is where it begins

---Where the code waits: the innermost frame first; prints like a traceback.
---Errors: not_found, stalled, unavailable (from another process: no owner runs, or it is stuck). context: anywhere.
---@param id string
---@return duro.Frame[]?, duro.Error?
function Runtime:stack(id) end

---In the order asked; also indexable by id. context: anywhere.
---@param ids string[]
---@return table<integer|string, duro.StatusRow>?, duro.Error?
function Runtime:bulk_status(ids) end

---@class duro.WaitForOptions
---@field instances string[] the ids
---@field mode? "all"|"any" default "all"
---@field timeout? duro.Duration real time

---@param options duro.WaitForOptions
---@return {completed: duro.StatusRow[], pending: string[], timed_out: boolean}?, duro.Error?
function Runtime:wait_for_instances(options) end

---@class duro.Choice exactly one of instances and filter
---@field instances? string[] the ids
---@field filter? duro.Filter without limit; {} needs all=true
---@field all? boolean an empty filter is meant
---@field max_instances? integer act on that many at most; cap: management.max_bulk_operations
---@field dry_run? boolean only say what would be done
---@field reason? string

---@class duro.DeleteChoice exactly one of instances and filter
---@field instances? string[] the ids
---@field filter? duro.Filter without limit; {} needs all=true
---@field all? boolean an empty filter is meant
---@field max_instances? integer act on that many at most; cap: management.max_bulk_operations
---@field dry_run? boolean only say what would be done
---@field reason? string
---@field force? boolean also those that have not ended

---@class duro.RaiseChoice exactly one of instances and filter
---@field instances? string[] the ids
---@field filter? duro.Filter without limit; {} needs all=true
---@field all? boolean an empty filter is meant
---@field max_instances? integer act on that many at most; cap: management.max_bulk_operations
---@field dry_run? boolean only say what would be done
---@field event_name string
---@field event_data? duro.Value

---@class duro.Outcomes each instance is in one of the lists
---@field cancelled_instances? string[] of cancel_instances
---@field terminated_instances? string[] of terminate_instances
---@field suspended_instances? string[] of suspend_instances
---@field retried_instances? string[] of retry_failed
---@field resumed_instances? string[] of resume_instances
---@field deleted_instances? string[] of delete_instances
---@field delivered_instances? string[] of raise_event_bulk: somebody waited for it
---@field no_subscription_instances? string[] of raise_event_bulk: it waits in the mailbox
---@field failed_instances {instance_id: string, error: duro.Error}[]
---@field total_matched integer each id once; also those beyond max_instances

---One transaction. Errors: invalid_argument, too_large (more than max_bulk_operations: nothing is done).
---context: anywhere.
---@param options duro.Choice
---@return duro.Outcomes?, duro.Error?
function Runtime:cancel_instances(options) end

---@param options duro.Choice
---@return duro.Outcomes?, duro.Error?
function Runtime:terminate_instances(options) end

---@param options duro.Choice
---@return duro.Outcomes?, duro.Error?
function Runtime:suspend_instances(options) end

---Failed instances go on from the step that failed them: the event orchestration_retried masks the failure
---and what came after it, and the step runs again. A filter finds failed roots. Per instance: not_found,
---running, finished (it did not fail), invalid_argument (a sub-orchestration, or its code caught the failure
---or raised the error itself). context: anywhere.
---@param options duro.Choice
---@return duro.Outcomes?, duro.Error?
function Runtime:retry_failed(options) end

---@param options duro.Choice
---@return duro.Outcomes?, duro.Error?
function Runtime:resume_instances(options) end

---Each goes with its sub-orchestrations.
---@param options duro.DeleteChoice
---@return duro.Outcomes?, duro.Error?
function Runtime:delete_instances(options) end

---@param options duro.RaiseChoice
---@return duro.Outcomes?, duro.Error?
function Runtime:raise_event_bulk(options) end

---@class duro.BulkPruneOptions at least one of keep_last and completed_before
---@field keep_last? integer keep that many executions of each, the current one included
---@field completed_before? duro.Time only executions that ended before
---@field filter? duro.Filter without limit

---In bounded steps; an interrupted one has pruned a part. Errors: invalid_argument. context: anywhere.
---@param options duro.BulkPruneOptions
---@return {instances_pruned: integer, executions_deleted: integer, events_deleted: integer}?, duro.Error?
function Runtime:prune(options) end
