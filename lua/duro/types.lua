---@meta duro
-- types: the public API as LuaCATS annotations, for editors and for readers. It is never loaded.
--
-- Every call says its shapes, units and errors, and in which context it may be made: orchestration,
-- activity, anywhere (which means: anywhere but inside an orchestration, unless it says so). A spec
-- compares the option classes with the tables that check the calls (options.lua).
-- luacheck: ignore

---@alias duro.Value nil|boolean|integer|number|string|table a payload: tables have keys 1..n without holes, or string keys; depth up to 200; up to 16 MiB of JSON
---@alias duro.Duration number|string seconds, or "250ms" "30s" "5m" "2h" "7d" or a sum such as "1h30m"
---@alias duro.Time number epoch seconds, with millisecond precision
---@alias duro.Status "pending"|"running"|"suspended"|"stalled"|"completed"|"failed"|"cancelled"|"terminated"|"not_found"
---@alias duro.Code "not_found"|"already_exists"|"invalid_argument"|"invalid_payload"|"too_large"|"not_registered"|"failed"|"cancelled"|"terminated"|"timeout"|"denied"|"unsupported"|"busy"|"locked"|"stalled"|"suspended"|"storage"|"corrupt"|"nondeterminism"|"finished"|"running"|"unavailable"|"expired"|"closed"|"out_of_memory"|string

---What the world's faults come back as: `nil, err`. `tostring(err)` is "code: message".
---@class duro.Error
---@field code duro.Code a code of duro, or one that the author's code threw
---@field message string
---@field data? duro.Value what the thrown error table had in `data`
---@field name? string of the activity or orchestration that failed
---@field attempts? integer how often it was tried
---@field details? string a traceback
---@field expected? string of a stalled instance: what its history has
---@field got? string of a stalled instance: what its code asked for
---@field event_id? integer of a stalled instance: where they part
---@field path? string of invalid_payload: where in the value


-- --- The module ---

---@class duro
---@field version string
---@field management_version string
---@field null userdata the JSON null inside tables
---@field testing duro.testing
local duro = {}

---@class duro.OrchestrationOptions
---@field version? string semver, default "1.0.0"; a start without a version takes the highest
---@field replace? boolean take the place of the same name and version
---@field guard? boolean|"strict" determinism guard, default true

---Registers an orchestration in the default registry, which every runtime shares.
---context: anywhere. Raises when the name and version are taken.
---@param name string
---@param fn fun(ctx: duro.OrchestrationContext, input: duro.Value): duro.Value
---@overload fun(name: string, opts: duro.OrchestrationOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function duro.orchestration(name, fn) end

---@class duro.ActivityOptions
---@field replace? boolean take the place of the activity of that name
---@field thread? boolean run in a worker thread (not built yet: unsupported)
---@field module? string the module that thread=true requires
---@field function_name? string the function of that module

---Registers an activity in the default registry. context: anywhere. Raises when the name is taken.
---@param name string
---@param fn fun(ctx: duro.ActivityContext, input: duro.Value): duro.Value
---@overload fun(name: string, opts: duro.ActivityOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function duro.activity(name, fn) end

---@class duro.OpenOptions
---@field path string SQLite file, or ":memory:"
---@field role? "runtime"|"auto"|"client"|"worker" default "runtime"
---@field lease_wait? duro.Duration how long open waits for the owner's place, default 0
---@field queues? string[] task queues that this process serves (not built yet)
---@field worker_threads? integer size of the pool for thread=true activities (not built yet)
---@field durability? "full"|"normal" default "full": an acknowledged call survives power loss
---@field clock? "system"|"virtual" "virtual": time moves by rt:advance only
---@field activity_concurrency? integer activities in flight at once, default 100
---@field feed_retention? duro.Duration how long the change feed is kept, default "10m"
---@field feed_max_bytes? integer how much of it is kept, default 256 MiB
---@field any_vm? boolean run instances that the other Lua VM began
---@field executor? function host hook (not built yet)
---@field sleep? function host hook (not built yet)
---@field codec? table {encode=, decode=} around stored payloads (not built yet)
---@field max_lost_attempts? integer lost attempts in a row that stall an instance, default 20
---@field max_live_instances? integer orchestrations kept in memory, default 10000
---@field log? fun(level: string, message: string, fields: table)
---@field debug? duro.DebugOptions
---@field management? duro.ManagementOptions
---@field access_control? table (not built yet)

---@class duro.DebugOptions
---@field replay_every_turn? boolean drop every coroutine after its turn

---@class duro.ManagementOptions
---@field enable_metrics? boolean default true
---@field enable_streaming? boolean default true
---@field max_list_instances? integer default and cap of lists, default 1000
---@field max_bulk_operations? integer cap of bulk calls, default 10000
---@field metrics_retention_hours? integer default 168
---@field cache_ttl_seconds? number default 0

---Opens a file. Errors: busy (names the owner), storage, corrupt, invalid_argument, unsupported.
---context: anywhere but inside duro's own code.
---@param path_or_options string|duro.OpenOptions
---@return duro.Runtime?, duro.Error?
function duro.open(path_or_options) end

---The runtime opened last that is open, or the one set. context: anywhere.
---@return duro.Runtime?
function duro.default() end

---@param rt duro.Runtime
function duro.set_default(rt) end

---Marks a table as an array, so that an empty one is [] in JSON. context: anywhere, orchestrations too.
---@generic T: table
---@param t? T
---@return T
function duro.array(t) end

---A text about everything, or about one call. context: anywhere.
---@param name? string
---@return string
function duro.help(name) end


-- --- The runtime ---

---@class duro.Runtime
local Runtime = {}

---Like duro.orchestration, for this runtime only.
---@param name string
---@param fn function
---@overload fun(self, name: string, opts: duro.OrchestrationOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function Runtime:orchestration(name, fn) end

---Like duro.activity, for this runtime only.
---@param name string
---@param fn function
---@overload fun(self, name: string, opts: duro.ActivityOptions, fn: function): true?, duro.Error?
---@return true?, duro.Error?
function Runtime:activity(name, fn) end

---Runs until rt:stop(). Errors: locked. context: anywhere but inside an activity.
---@return true?, duro.Error?
function Runtime:run() end

---Runs until nothing can move without outside input or the passing of time. Errors: timeout, locked.
---context: anywhere but inside an activity.
---@param timeout? duro.Duration real time
---@return true?, duro.Error?
function Runtime:run_until_idle(timeout) end

---Does what is ready now, and waits at most `timeout` for more: the number of turns it ran.
---context: anywhere but inside an activity.
---@param timeout? duro.Duration real time, default 0
---@return integer?, duro.Error?
function Runtime:step(timeout) end

---Makes rt:run() return. context: anywhere.
---@return true
function Runtime:stop() end

---Closes the file; again is fine. Also `<close>` and garbage collection. context: anywhere but inside
---duro's own code.
---@return true
function Runtime:close() end

---@return boolean
function Runtime:closed() end

---Readable when rt:step() has something to do. context: anywhere.
---@return integer?, duro.Error?
function Runtime:fd() end

---Seconds until rt:step() is due; nil: only when fd is readable. context: anywhere.
---@return number?, duro.Error?
function Runtime:next_timeout() end

---@return duro.Time?, duro.Error?
function Runtime:now() end

---Moves the virtual clock; what is due happens in order, each at its own time. Errors: unsupported
---(system clock), invalid_argument. context: anywhere but inside an activity.
---@param duration duro.Duration
---@return true?, duro.Error?
function Runtime:advance(duration) end

---@return {orchestrations: {name: string, versions: string[]}[], activities: string[]}
function Runtime:registered() end


-- --- Client ---

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

---One transaction, all or none. Errors: as start. context: anywhere.
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

---Asks the handler of ctx:on_query. Errors: not_found, and what the handler raises. context: anywhere.
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

---Never the current execution. Errors: not_found. context: anywhere.
---@param id string
---@param opts? duro.PruneOptions
---@return {executions_deleted: integer, events_deleted: integer}?, duro.Error?
function Runtime:prune_executions(id, opts) end


-- --- Management ---

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
---@field waiting_on? string "activity", "timer", "event", "sub_orchestration" or "event:NAME"
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
---@field replays integer

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

---@class duro.HistoryOptions
---@field instance string the id
---@field execution? integer default: the latest
---@field kinds? string|string[] only events of these kinds
---@field since_event? integer only events after that id
---@field order? "asc"|"desc" default "asc"

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

---Errors: not_found. context: anywhere.
---@param options duro.HistoryOptions
---@return {events: duro.Event[]}?, duro.Error?
function Runtime:history(options) end

---@param id string
---@return integer[]?, duro.Error?
function Runtime:list_executions(id) end

---@param id string
---@return {name: string, version: string, parent_instance?: string, parent_id?: integer}?, duro.Error?
function Runtime:descriptor(id) end

---The whole instance as a table, ready for JSON. Errors: not_found. context: anywhere.
---@param id string
---@return table?, duro.Error?
function Runtime:export(id) end

---Where the code waits. Errors: not_found. context: anywhere.
---@param id string
---@return {source: string, line: integer, function: string, locals: table<string, any>}[]?, duro.Error?
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

---@return table<string, number>?, duro.Error?
function Runtime:runtime_metrics() end


-- --- Inside an orchestration ---

---@class duro.OrchestrationContext
---@field instance_id string
---@field execution_id integer
---@field name string
---@field version string
---@field parent_instance? string
---@field is_replaying boolean
---@field history_length integer
---@field kv table<string, duro.Value> durable: only assignment writes, reads give copies
local OrchestrationContext = {}

---@class duro.Retry
---@field max_attempts? integer default 3
---@field backoff? "exponential"|"linear"|"fixed" default "exponential"
---@field initial? duro.Duration default 0.1
---@field max? duro.Duration default 30
---@field multiplier? number default 2
---@field jitter? boolean default false
---@field non_retryable? string[] codes that are not tried again

---@class duro.ActivityCallOptions
---@field retry? duro.Retry without it: one attempt
---@field timeout? duro.Duration of the whole
---@field attempt_timeout? duro.Duration of one attempt
---@field heartbeat_timeout? duro.Duration between heartbeats
---@field queue? string route to workers of that queue

---@class duro.SubOrchestrationOptions
---@field id? string default: {parent}::{execution}::{event}
---@field version? string default: the highest registered
---@field retry? duro.Retry
---@field timeout? duro.Duration

---@class duro.StartOrchestrationOptions
---@field id? string default: derived from this instance's
---@field version? string default: the highest registered

---@class duro.WaitOptions
---@field timeout? duro.Duration then nil, err(timeout)

---@class duro.ContinueOptions
---@field version? string default: the same
---@field reason? string kept with the execution

---Its output; raises duro.Error on final failure. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.ActivityCallOptions
---@return duro.Value
function OrchestrationContext:activity(name, input, opts) end

---Its output; raises duro.Error on failure. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.SubOrchestrationOptions
---@return duro.Value
function OrchestrationContext:sub_orchestration(name, input, opts) end

---A durable timer. context: orchestration.
---@param duration duro.Duration
function OrchestrationContext:sleep(duration) end

---@param time duro.Time
function OrchestrationContext:sleep_until(time) end

---The data of the next event of that name; nil, err(timeout) when its time is over.
---context: orchestration.
---@param name string
---@param opts? duro.WaitOptions
---@return duro.Value, duro.Error?
function OrchestrationContext:wait_event(name, opts) end

---Outputs in argument order; waits for all, then raises the first failure in history order.
---context: orchestration.
---@param tasks duro.Task[]
---@return duro.Value[]
function OrchestrationContext:join(tasks) end

---Never raises. context: orchestration.
---@param tasks duro.Task[]
---@return {ok: boolean, value?: duro.Value, error?: duro.Error}[]
function OrchestrationContext:join_settled(tasks) end

---Index and output of the first done in history order; the losers are cancelled.
---context: orchestration.
---@param tasks duro.Task[]
---@return integer index, duro.Value output
function OrchestrationContext:select(tasks) end

---True when the predicate holds; it is asked again after every turn. context: orchestration.
---@param predicate fun(): boolean
---@param opts? duro.WaitOptions
---@return true?, duro.Error?
function OrchestrationContext:wait_until(predicate, opts) end

---The value of fn(), recorded once. context: orchestration.
---@param fn fun(): duro.Value
---@return duro.Value
function OrchestrationContext:side_effect(fn) end

---Ends this execution and starts the next; never returns. context: orchestration, not in a block.
---@param input? duro.Value
---@param opts? duro.ContinueOptions
function OrchestrationContext:continue_as_new(input, opts) end

---@param name string
---@param input? duro.Value
---@param opts? duro.ActivityCallOptions
---@return duro.Task
function OrchestrationContext:schedule_activity(name, input, opts) end

---@param name string
---@param input? duro.Value
---@param opts? duro.SubOrchestrationOptions
---@return duro.Task
function OrchestrationContext:schedule_sub_orchestration(name, input, opts) end

---@param duration duro.Duration
---@return duro.Task
function OrchestrationContext:schedule_timer(duration) end

---@param name string
---@return duro.Task
function OrchestrationContext:schedule_wait(name) end

---A concurrent block of orchestration code. context: orchestration.
---@param fn function
---@param ... any
---@return duro.Task
function OrchestrationContext:spawn(fn, ...) end

---Starts a detached instance: its id. context: orchestration.
---@param name string
---@param input? duro.Value
---@param opts? duro.StartOrchestrationOptions
---@return string
function OrchestrationContext:start_orchestration(name, input, opts) end

---@param id string
---@param name string
---@param data? duro.Value
function OrchestrationContext:raise_event(id, name, data) end

---The time of this turn.
---@return duro.Time
function OrchestrationContext:now() end

---@return string
function OrchestrationContext:uuid() end

---Like math.random, seeded by the run.
---@param m? integer
---@param n? integer
---@return number
function OrchestrationContext:random(m, n) end

---@param value duro.Value nil resets it
function OrchestrationContext:set_custom_status(value) end

---Walks ctx.kv in the order of its keys.
---@return fun(): string, duro.Value
function OrchestrationContext:kv_pairs() end

---@param attributes table<string, string|number|boolean>
function OrchestrationContext:set_attributes(attributes) end

---@param name string
---@param handler fun(arg: duro.Value): duro.Value
function OrchestrationContext:on_query(name, handler) end

---True, and recorded, when first reached outside of replay.
---@param patch_id string
---@return boolean
function OrchestrationContext:patched(patch_id) end

---Silent during replay.
---@param level string
---@param message string
function OrchestrationContext:log(level, message) end

---@class duro.Task
local Task = {}

---Its output; raises its failure. context: orchestration.
---@return duro.Value
function Task:await() end

---@return boolean
function Task:done() end

function Task:cancel() end


-- --- Inside an activity ---

---@class duro.ActivityContext
---@field instance_id string
---@field name string
---@field attempt integer from 1
---@field activity_id string idempotency key: the same for every attempt
---@field heartbeat_details? duro.Value of the attempt before
---@field runtime duro.Runtime
local ActivityContext = {}

---@param details? duro.Value handed to the next attempt
function ActivityContext:heartbeat(details) end

---@return boolean
function ActivityContext:is_cancelled() end

---On the runtime's clock; lets other activities run; cancellation wakes it. context: activity.
---@param duration duro.Duration
function ActivityContext:sleep(duration) end

---@param level string
---@param message string
function ActivityContext:log(level, message) end

---A completion function for callback-style code. context: activity.
---@return fun(err: any, value?: duro.Value)
function ActivityContext:async() end

---Ends the attempt without a result: a token for rt:complete_activity. context: activity.
---@return string
function ActivityContext:defer() end


-- --- Testing ---

---@class duro.testing
local testing = {}

---In memory; its virtual clock skips time by itself. Raises when it cannot be opened.
---@param options? duro.OpenOptions
---@return duro.TestRuntime
function testing.runtime(options) end

---@class duro.TestRuntime: duro.Runtime
local TestRuntime = {}

---@param name string
---@param replacement function|any[] an array: results (or functions) of the first, second ... call
---@return true?, duro.Error?
function TestRuntime:mock_activity(name, replacement) end

---@param name string
---@param input? duro.Value
---@param opts? duro.StartOptions
---@return duro.Value output, duro.Error?
function TestRuntime:run(name, input, opts) end

---Raises unless it has completed (with that output, when given).
---@param id string
---@param output? duro.Value
---@return duro.Value output
function TestRuntime:assert_completed(id, output) end

return duro
