-- metrics: how the engine is doing, in numbers: counters, queues, the store, the Prometheus text. Each row
-- becomes a method of a runtime (calls.lua); with management.enable_metrics=false all answer unsupported.
--
-- Counts are of the whole life of the file; what names a process (uptime, live instances, replays,
-- commits, items) is of the one that runs the instances, whoever asks.
-- To add a call about numbers: one row here, its verb in csrc/runtime/verbs.c, its fields in
-- types/metrics.lua.

local calls = require "duro.calls"
local rows = require "duro.rows"

local metrics = {}
local methods = {}
metrics.methods = methods


calls.define(methods, {
  "runtime_metrics",
  result = rows.counts,
  returns = "{uptime_seconds, total_instances_started, ..., commit_latency_ms={p50, p99}}",
  doc = "Counters of all instances, and how the process that runs them is doing.",
})

calls.define(methods, {
  "provider_diagnostics",
  result = rows.counts,
  returns = "{provider_type, connection_healthy, total_instances_stored, ...}",
  doc = "The store: what is in it, how large it is, how fast it answers.",
})

calls.define(methods, {
  "queue_metrics",
  result = rows.counts,
  returns = "{orchestrator_queue_size, worker_queue_size, timer_queue_size, ...}",
  doc = "What waits: turns, activities and timers, and for how long.",
})

calls.define(methods, {
  "orchestration_metrics",
  result = rows.of "orchestration_metrics",
  returns = "array of {orchestration_name, total_started, ...}",
  doc = "Counters by name of orchestration.",
})

calls.define(methods, {
  "prometheus",
  returns = "text",
  doc = "All these numbers in the Prometheus text format.",
})


return metrics
