-- rows: what `make bench` measures, and what it is held against. Each measurement is a scenario of
-- bench/scenarios with its options, and the rows that its figures give.
--
--   scenario, options   what runs in a process of its own, in each round
--   quick               options that differ with QUICK=1
--   before              a scenario that runs first in each round; its figures become options
--   fill                {instances, kind}: a file made once by bench/fill.c, as the option `file`
--   durabilities        default: full and normal; vms: default both
--   ceiling             what is taken right before each run:
--                         {"appends", rows=, per=, bytes=}   raw_append.c, rows a second
--                         {"fdatasync", "over"|"append"}     fdatasync.c, microseconds
--                         {scenario, options}                the same scenario otherwise: its figure
--   rows                {id, title, figure, unit, ratio=false, target}
--
-- A row's ratio is figure / ceiling, of one round. `target`: {">="|"<=", what="ratio"|"value", bound, full=,
-- normal=, stretch=, also=}: a table by durability where they differ.


local function at_least(what, bound, more)
  local target = { op = ">=", what = what, bound = bound }
  for key, value in pairs(more or {}) do target[key] = value end
  return target
end


local function at_most(what, bound)
  return { op = "<=", what = what, bound = bound }
end


local APPENDS = { "appends", rows = 100000, per = 1000, bytes = 150 }
local ONE_BY_ONE = { "appends", rows = 10000, per = 1, bytes = 150 }
local FULL = { "full" }


local rows = {
  {
    scenario = "throughput", options = { instances = 5000, steps = 20 },
    quick = { instances = 2000 }, ceiling = APPENDS,
    rows = { { "throughput.steps", "5 000 instances x 20 activities", "per_second", "activities/s",
      target = at_least("ratio", { full = 0.25, normal = 0.18 }, { stretch = { full = 0.37, normal = 0.30 } }) } },
  }, {
    scenario = "throughput", options = { instances = 100000, steps = 1 },
    quick = { instances = 10000 }, ceiling = APPENDS,
    rows = { { "throughput.short", "100 000 orchestrations of 1 activity", "instances_per_second", "orchestrations/s",
      target = at_least("ratio", 0.05, { or_value = 25000 }) } },
  }, {
    scenario = "steps", options = { most = 10000 }, quick = { most = 1000 }, ceiling = ONE_BY_ONE,
    rows = {
      { "steps.100", "one instance, 100 sequential activities", "us_100", "us/step", ratio = false },
      { "steps.1000", "one instance, 1 000", "us_1000", "us/step", ratio = false },
      { "steps.10000", "one instance, 10 000", "us_10000", "us/step", ratio = false },
      { "steps.rate", "one instance, steps beside one-row commits", "per_second", "steps/s",
        target = at_least("ratio", 0.7) },
      { "steps.growth", "cost of a step, 10 000 against 100", "growth", "x", ratio = false,
        target = at_most("value", 1.1) },
    },
  }, {
    scenario = "fan_out", options = { most = 100000 }, quick = { most = 10000 }, ceiling = APPENDS,
    rows = {
      { "fan_out.1000", "fan-out and join of 1 000", "per_second_1000", "activities/s" },
      { "fan_out.10000", "fan-out and join of 10 000", "per_second_10000", "activities/s" },
      { "fan_out.100000", "fan-out and join of 100 000", "per_second_100000", "activities/s" },
      { "fan_out.growth", "cost of an activity, 100 000 against 1 000", "growth", "x", ratio = false,
        target = at_most("value", 1.2) },
    },
  }, {
    scenario = "latency", options = { times = 1000 }, quick = { times = 200 }, ceiling = { "fdatasync", "over" },
    rows = {
      { "latency.p50", "idle: start to completed, one activity, p50", "p50_us", "us",
        target = at_most("ratio", { full = 2.5 }) },
      { "latency.p99", "idle: start to completed, one activity, p99", "p99_us", "us" },
    },
  }, {
    scenario = "latency", options = { times = 1000 }, quick = { times = 200 }, ceiling = { "fdatasync", "append" },
    durabilities = FULL,
    rows = {
      { "latency.append", "the same p50 beside a file that grows", "p50_us", "us",
        target = at_most("ratio", { full = 2.5 }) },
    },
  }, {
    scenario = "sleepers", options = { act = "wake", count = 10000 }, quick = { count = 2000 },
    fill = { 1000000, "sleeping" }, quick_fill = { 100000, "sleeping" },
    before = { "sleepers", { act = "start", count = 10000, ahead = 8 }, quick = { count = 2000, ahead = 4 } },
    ceiling = { "fdatasync", "over" },
    rows = {
      { "sleepers.memory", "1 000 000 asleep: memory of their process", "open_mb", "MB", ratio = false,
        target = at_most("value", 50) },
      { "sleepers.open", "1 000 000 asleep: time to open the file", "open_ms", "ms", ratio = false },
      { "sleepers.late_p50", "10 000 of them due at once: lateness, p50", "late_p50_ms", "ms", ratio = false },
      { "sleepers.late_p99", "10 000 of them due at once: lateness, p99", "late_p99_ms", "ms", ratio = false },
      { "sleepers.all", "10 000 of them due at once: all have ended", "all_ms", "ms", ratio = false },
      { "sleepers.peak", "10 000 of them due at once: most memory", "peak_mb", "MB", ratio = false },
    },
  }, {
    scenario = "sleepers", options = { act = "burst", count = 200000, at_once = 1000 },
    quick = { count = 30000 }, ceiling = APPENDS,
    rows = {
      { "burst.rate", "sleepers started 1 000 at a time", "burst_per_second", "starts/s" },
      { "burst.live", "sleepers started: most in memory (limit 10 000)", "burst_live", "instances",
        ratio = false },
      { "burst.memory", "sleepers started: most memory", "burst_mb", "MB", ratio = false },
      { "burst.settled", "sleepers started: memory afterwards", "settled_mb", "MB", ratio = false },
    },
  }, {
    scenario = "recovery", options = { act = "recover", count = 100000 }, quick = { count = 10000 },
    before = { "recovery", { act = "die", count = 100000 }, quick = { count = 10000 }, dies = true },
    ceiling = APPENDS,
    rows = {
      { "recovery.first", "SIGKILL, 100 000 unfinished: first turn", "first_ms", "ms", ratio = false,
        target = at_most("value", 5000) },
      { "recovery.all", "SIGKILL, 100 000 unfinished: all have gone on", "all_s", "s", ratio = false },
      { "recovery.rate", "SIGKILL, 100 000 unfinished: how fast they go on", "per_second", "instances/s" },
      { "recovery.peak", "SIGKILL, 100 000 unfinished: most memory", "peak_mb", "MB", ratio = false },
    },
  }, {
    scenario = "replay", options = { events = 10000, instances = 20 }, quick = { instances = 5 },
    ceiling = APPENDS,
    rows = { { "replay", "replay of a history of 10 000 events", "per_second", "events/s" } },
  }, {
    scenario = "throughput", options = { instances = 2000, steps = 20, bytes = 100 }, quick = { instances = 500 },
    ceiling = { "appends", rows = 40000, per = 1000, bytes = 350 },
    rows = { { "payload.100", "payloads of 100 B, in and out", "per_second", "activities/s" } },
  }, {
    scenario = "throughput", options = { instances = 2000, steps = 20, bytes = 1024 }, quick = { instances = 500 },
    ceiling = { "appends", rows = 40000, per = 1000, bytes = 2200 },
    rows = { { "payload.1k", "payloads of 1 KB, in and out", "per_second", "activities/s" } },
  }, {
    scenario = "throughput", options = { instances = 200, steps = 10, bytes = 65536 }, quick = { instances = 50 },
    ceiling = { "appends", rows = 2000, per = 1000, bytes = 131200 },
    rows = { { "payload.64k", "payloads of 64 KB, in and out", "per_second", "activities/s" } },
  }, {
    scenario = "disk", options = { instances = 5000 }, quick = { instances = 1000 }, durabilities = FULL,
    vms = { "lua5.4" },
    rows = {
      { "disk.orchestration", "file: an orchestration of one activity, kept", "kept", "bytes", ratio = false },
      { "disk.step", "file: each further step, kept", "kept_step", "bytes", ratio = false },
      { "disk.feed", "file: the same orchestration in the feed", "feed", "bytes", ratio = false },
      { "disk.feed_step", "file: each further step in the feed", "feed_step", "bytes", ratio = false },
    },
  }, {
    scenario = "throughput", options = { instances = 5000, steps = 20 }, quick = { instances = 2000 },
    fill = { 119048, "20" }, quick_fill = { 10000, "20" },
    ceiling = { "throughput", "per_second", "an empty file" },
    rows = { { "stored", "throughput of a file with 5 000 000 events", "per_second", "activities/s",
      target = at_least("ratio", 0.85) } },
  }, {
    scenario = "throughput", options = { instances = 10000, steps = 20, visible = 1 }, quick = { instances = 2000 },
    ceiling = { "throughput", "per_second", "all of it off", options = { visible = 0 } },
    rows = { { "visibility", "streams, metrics and access control on", "per_second", "activities/s",
      target = at_least("ratio", 0.9) } },
  }, {
    scenario = "throughput", options = { instances = 10000, steps = 20, visible = 1, beside = "lister" },
    quick = { instances = 2000 },
    ceiling = { "throughput", "per_second", "all of it off, a process beside that only spins",
      options = { visible = 0, beside = "spinner" } },
    rows = {
      { "visibility.lister", "the same, and a client that lists all the time", "per_second", "activities/s",
        target = at_least("ratio", 0.9) },
      { "visibility.lists", "that client: lists of 100 it got meanwhile", "lists_per_second", "lists/s",
        ratio = false },
      { "visibility.events", "that client: events its stream read meanwhile", "events_per_second", "events/s",
        ratio = false },
    },
  }, {
    scenario = "throughput", options = { instances = 5000, steps = 100, stream = "waiting" },
    quick = { instances = 2000, steps = 20 }, durabilities = FULL,
    ceiling = { "throughput", "per_second", "no stream", options = { stream = "none" } },
    rows = { { "stream.waiting", "a stream in the process that waits for another event", "per_second", "activities/s",
      target = at_least("ratio", 0.9) } },
  }, {
    scenario = "throughput", options = { instances = 5000, steps = 100, stream = "reading" },
    quick = { instances = 2000, steps = 20 }, durabilities = FULL,
    ceiling = { "throughput", "per_second", "no stream", options = { stream = "none" } },
    rows = {
      { "stream.reading", "a stream in the process that reads every event", "per_second", "activities/s" },
      { "stream.events", "... events that it was given meanwhile", "events_seen", "events", ratio = false },
    },
  },
}

return rows
