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
