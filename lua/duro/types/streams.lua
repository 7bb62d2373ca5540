---@meta
-- types of streams.lua: what happens, as it happens.
-- luacheck: ignore

---@class duro.Runtime
local Runtime = {}

---@alias duro.StreamEventType
---| "started" details: version, input, parent_instance?
---| "completed" details: output
---| "failed" details: error
---| "continued_as_new" details: input, version?, reason? (execution_id is the one that ended)
---| "cancelled" details: reason?
---| "terminated" details: reason?
---| "suspended" details: reason?
---| "resumed"
---| "stalled" details: error (no event_id: it is no part of history)
---| "activity_completed" details: name, output, source_event_id
---| "activity_failed" details: name, error, source_event_id (the last attempt; retries are no failure)
---| "timer_fired" details: source_event_id
---| "event_received" details: name, data
---| "sub_orchestration_completed" details: name, child_instance, output, source_event_id
---| "custom_status_updated" details: custom_status

---@class duro.StreamDetails what the type says, and in which execution and event it happened
---@field execution_id integer
---@field event_id? integer
---@field source_event_id? integer the event that scheduled what is complete
---@field name? string of the activity, event or child's orchestration; not known of very long executions
---@field version? string
---@field child_instance? string
---@field parent_instance? string
---@field input? duro.Value
---@field data? duro.Value
---@field output? duro.Value
---@field custom_status? duro.Value
---@field error? duro.Error
---@field reason? string
---@field attempt? integer

---@class duro.StreamEvent
---@field seq integer grows per event, exact in a double; what to pass as `since`
---@field instance_id string
---@field orchestration_name string
---@field event_type duro.StreamEventType
---@field timestamp duro.Time
---@field details duro.StreamDetails

---@class duro.StatusChange
---@field seq integer
---@field instance_id string
---@field orchestration_name string
---@field status duro.Status|"not_found" not_found: it was deleted
---@field timestamp duro.Time
---@field output? duro.Value
---@field error? duro.Error
---@field reason? string

---@class duro.Stream<T>
local Stream = {}

---The next one; waits for it, at most `timeout` of real time, turning the loop (in an activity: yielding it).
---Errors: timeout (the stream goes on), closed, expired (the reader was slower than feed_retention; err.data.oldest
---is the earliest `since`), storage. context: anywhere but inside an orchestration.
---@param timeout? duro.Duration
---@return any?, duro.Error?
function Stream:next(timeout) end

---`for item in s:iter() do`: ends when the stream or its runtime is closed, and, with `timeout`, when nothing
---came for so long; any other failure is raised.
---@param timeout? duro.Duration
---@return fun(): any?
function Stream:iter(timeout) end

---Everything up to this seq has been given: what to pass as `since` to go on from here, also when nothing
---matched for long. nil for numbers.
---@return integer?
function Stream:position() end

---Also <close>.
---@return true
function Stream:close() end

---@class duro.StreamOptions
---@field filter? duro.Filter without limit; of the instance as it stands when its event is read
---@field kinds? duro.StreamEventType|duro.StreamEventType[]
---@field since? integer only what follows this seq; default: what commits from now on

---What happens to instances, in the order of commit; in this process or, for a client, in the owner's.
---Restarting with the last seq misses and repeats nothing. Events of an instance that was deleted before
---they were read are left out. Errors: invalid_argument, expired, unsupported (switched off). context:
---anywhere but inside an orchestration.
---@param options? duro.StreamOptions
---@return duro.Stream<duro.StreamEvent>?, duro.Error?
function Runtime:stream_instance_events(options) end

---@class duro.WatchOptions
---@field since? integer only what follows this seq; default: what commits from now on

---Changes of status of these instances, known ones or not yet. Errors and context: as stream_instance_events.
---@param ids string[]
---@param options? duro.WatchOptions
---@return duro.Stream<duro.StatusChange>?, duro.Error?
function Runtime:watch_instances(ids, options) end

---rt:runtime_metrics() at once, and then every `interval` of real time; what a slow reader missed is passed
---over. Errors: unsupported. context: anywhere but inside an orchestration.
---@param interval duro.Duration
---@return duro.Stream<duro.RuntimeMetrics>?, duro.Error?
function Runtime:stream_runtime_metrics(interval) end
