---@meta
-- types of metrics.lua: how the engine is doing, in numbers.
-- luacheck: ignore

---@class duro.Runtime
local Runtime = {}

---@class duro.RuntimeMetrics sub-orchestrations count too; a continue-as-new is not another start
---@field uptime_seconds number since the process that runs the instances opened the file; 0: there is none
---@field total_instances_started integer
---@field total_instances_completed integer
---@field total_instances_failed integer
---@field total_instances_cancelled integer cancelled and terminated
---@field active_instances integer begun and not ended
---@field total_activities_executed integer with a result, good or bad
---@field total_timers_fired integer
---@field total_events_raised integer received by an instance
---@field average_orchestration_duration_ms number from creation to end
---@field orchestrator_dispatcher_healthy boolean
---@field worker_dispatcher_healthy boolean
---@field timer_dispatcher_healthy boolean
---@field live_instances integer in the memory of that process
---@field turns integer by that process
---@field replays integer by that process
---@field commits integer by that process
---@field commit_latency_ms {p50: number, p99: number}

---A client in another process sees the running one's numbers, at most 2 s old. Errors: unsupported
---(management.enable_metrics=false). context: anywhere.
---@return duro.RuntimeMetrics?, duro.Error?
function Runtime:runtime_metrics() end

---@class duro.ProviderDiagnostics
---@field provider_type string "sqlite"
---@field connection_healthy boolean the store answers
---@field total_instances_stored integer
---@field total_history_events integer
---@field average_read_latency_ms number of calls of the store
---@field average_write_latency_ms number
---@field storage_size_bytes integer

---Errors: unsupported (management.enable_metrics=false). context: anywhere.
---@return duro.ProviderDiagnostics?, duro.Error?
function Runtime:provider_diagnostics() end

---@class duro.QueueMetrics ages are 0 where nothing waits
---@field orchestrator_queue_size integer instances that wait for a turn
---@field orchestrator_queue_oldest_item_age_ms integer
---@field worker_queue_size integer activities that nobody has begun, of task queues too
---@field worker_queue_oldest_item_age_ms integer
---@field timer_queue_size integer every pending timer, its instance in memory or not
---@field timer_queue_oldest_item_age_ms integer how late the next one is
---@field total_items_processed integer turns and attempts of activities, by the running process
---@field average_processing_time_ms number of these

---Errors: unsupported (management.enable_metrics=false). context: anywhere.
---@return duro.QueueMetrics?, duro.Error?
function Runtime:queue_metrics() end

---@class duro.OrchestrationMetrics
---@field orchestration_name string
---@field total_started integer
---@field total_completed integer
---@field total_failed integer
---@field total_cancelled integer cancelled and terminated
---@field active_count integer begun and not ended
---@field average_duration_ms number from creation to end; 0 while none has ended
---@field success_rate number completed out of ended, 0 to 1; 0 while none has ended

---By name. Errors: unsupported (management.enable_metrics=false). context: anywhere.
---@return duro.OrchestrationMetrics[]?, duro.Error?
function Runtime:orchestration_metrics() end

---The Prometheus text format (version 0.0.4), in seconds and bytes. Errors: unsupported
---(management.enable_metrics=false). context: anywhere.
---@return string?, duro.Error?
function Runtime:prometheus() end

---@class duro.QueryOptions
---@field filter? duro.Filter without limit
---@field group_by? duro.GroupKey|duro.GroupKey[] without it everything is one group
---@field aggregate? duro.Aggregate|duro.Aggregate[] count is always there
---@field limit? integer groups; default and cap: management.max_list_instances

---@alias duro.GroupKey "orchestration_name"|"status"|"created_date"|"parent_instance"|"version"
---@alias duro.Aggregate "count"|"average_duration"|"p50_duration"|"p95_duration"|"success_rate"|"failure_rate"

---@class duro.Group
---@field key {orchestration_name?: string, status?: duro.Status, created_date?: string, parent_instance?: string, version?: string} created_date: "2026-11-22", of UTC; parent_instance is absent for roots
---@field count integer
---@field average_duration? number seconds from creation to end, of those that ended; 0 while none has
---@field p50_duration? number
---@field p95_duration? number
---@field success_rate? number completed out of ended, 0 to 1; 0 while none has
---@field failure_rate? number failed out of ended

---@class duro.Groups
---@field groups duro.Group[] the largest first
---@field truncated? true there are more groups, or more than a million instances matched: the newest are counted

---Counts and rates by name or status, of all or of some names and statuses, come from counters; the rest looks
---at the rows, aside. Errors: invalid_argument. context: anywhere.
---@param options? duro.QueryOptions
---@return duro.Groups?, duro.Error?
function Runtime:query_instances(options) end

---@class duro.SeriesOptions
---@field metric "started"|"completed"|"failed"|"activities"|"duration_ms" how many; duration_ms: of those that ended, on average
---@field bucket? "1m"|"1h"|"1d" of UTC; default "1h"
---@field from? duro.Time default: 60 minutes, 24 hours or 7 days before `to`
---@field to? duro.Time exclusive; default: now
---@field orchestration_name? string

---@class duro.Series
---@field points {timestamp: duro.Time, value: number}[] whole buckets, named by their beginning; empty ones are 0
---@field truncated? true it begins before what is kept (management.metrics_retention_hours)

---A failure counts when it happens, also if it is retried later. Errors: invalid_argument, unsupported
---(management.enable_metrics=false), denied (activities, where instances are hidden). context: anywhere.
---@param options duro.SeriesOptions
---@return duro.Series?, duro.Error?
function Runtime:time_series_metrics(options) end
