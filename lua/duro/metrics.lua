-- metrics: how the engine is doing, in numbers: counters, queues, the store, the Prometheus text, groups of
-- instances, what happened when. Each row becomes a method of a runtime (calls.lua); with
-- management.enable_metrics=false all but query_instances answer unsupported.
--
-- Counts are of the whole life of the file; what names a process (uptime, live instances, replays,
-- commits, items) is of the one that runs the instances, whoever asks.
-- To add a call about numbers: one row here, its verb in csrc/runtime/verbs.c, its fields in
-- types/metrics.lua.

local calls = require "duro.calls"
local listing = require "duro.listing"
local options = require "duro.options"
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


-- --- Queries ---

calls.define(methods, {
  "query_instances",
  options = options.spec("query_instances", {
    listing.FILTER_ROW,
    { "group_by", "strings",
      one_of = { "orchestration_name", "status", "created_date", "parent_instance", "version" },
      doc = "one or several; without it everything is one group" },
    { "aggregate", "strings",
      one_of = { "count", "average_duration", "p50_duration", "p95_duration", "success_rate", "failure_rate" },
      doc = "one or several; count is always there; durations are in seconds" },
    { "limit", "integer", min = 1, doc = "groups, the largest first; default and cap: max_list_instances" },
  }),
  args = listing.check_filter,
  result = rows.of "groups",
  returns = "{groups={ {key={...}, count=, ...} }, truncated?}",
  doc = "Stored instances by what they have in common: how many, how long they took, how they ended.",
})

calls.define(methods, {
  "time_series_metrics",
  options = options.spec("time_series_metrics", {
    { "metric", "string", required = true, one_of = { "started", "completed", "failed", "activities", "duration_ms" },
      doc = "how many in each bucket; duration_ms: of those that ended in it, on average" },
    { "bucket", "string", default = "1h", one_of = { "1m", "1h", "1d" }, doc = "of UTC" },
    { "from", "time", doc = "goes down to the beginning of a bucket (60 minutes, 24 hours or 7 days before to)" },
    { "to", "time", doc = "exclusive; goes up to the end of a bucket (now)" },
    { "orchestration_name", "name", doc = "of this one only" },
  }),
  result = rows.of "series",
  returns = "{points={ {timestamp, value} }, truncated?}",
  doc = "How much happened when, as long ago as management.metrics_retention_hours; empty buckets are 0.",
})


return metrics
