// verbs_metrics.c: how this process is doing.
#include "runtime/answers.h"

typedef struct file_totals {
  int64_t started, ended, duration_ms;
} file_totals;

static bool is_end(duro_str metric) {
  static const duro_str ends[] = {DURO_STR("completed"), DURO_STR("failed"), DURO_STR("cancelled"),
                                  DURO_STR("terminated")};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (duro_str_equal(metric, ends[i])) return true;
  }
  return false;
}

// The file's counters, over all time.
static file_totals read_totals(duro_runtime *rt) {
  duro_arena arena = {0};
  duro_counters counters = {0};
  file_totals t = {0};
  duro_code code = duro__store_counters(rt->store, 0, DURO_NEVER, false, &arena, &counters, NULL);
  for (size_t i = 0; !code && i < counters.count; i++) {
    const duro_counter *c = &counters.items[i];
    if (duro_str_equal(c->metric, DURO_STR("started")))
      t.started += c->delta;
    else if (duro_str_equal(c->metric, DURO_STR("duration_ms")))
      t.duration_ms += c->delta;
    else if (is_end(c->metric))
      t.ended += c->delta;
  }
  duro_arena_free(&arena);
  return t;
}

static void add_flag(duro_buf *b, const char *key, bool value) {
  duro__add_json_member(b, key, value ? DURO_STR("true") : DURO_STR("false"));
}

static void add_number(duro_buf *b, const char *key, double value) {
  duro__add_key(b, key);
  duro_json_add_double(b, value);
}

static void add_latency(duro_buf *b, duro_runtime *rt) {
  duro__store_figures figures;
  duro__store_figures_read(rt->store, &figures);
  duro__add_key(b, "commit_latency_ms");
  duro_buf_add_char(b, '{');
  add_number(b, "p50", (double)figures.writes.p50_ns / 1e6);
  add_number(b, "p99", (double)figures.writes.p99_ns / 1e6);
  duro_buf_add_char(b, '}');
}

void duro__verb_runtime_metrics(duro_runtime *rt, duro_request *r, duro_str args) {
  (void)args;
  if (!rt->options.enable_metrics) {
    duro__request_fail(r, DURO_UNSUPPORTED, "metrics are switched off (management.enable_metrics)");
    return;
  }
  duro_buf *b = &r->answer;
  file_totals t = read_totals(rt);
  bool healthy = !rt->fault && !rt->lost;
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  add_number(b, "uptime_seconds", (double)(duro_clock_monotonic_ns() - rt->started_ns) / 1e9);
  duro__add_int_member(b, "total_instances_started", rt->totals.started);
  duro__add_int_member(b, "total_instances_completed", rt->totals.completed);
  duro__add_int_member(b, "total_instances_failed", rt->totals.failed);
  duro__add_int_member(b, "total_instances_cancelled", rt->totals.cancelled);
  duro__add_int_member(b, "active_instances", t.started > t.ended ? t.started - t.ended : 0);
  duro__add_int_member(b, "total_activities_executed", rt->totals.activities);
  duro__add_int_member(b, "total_timers_fired", rt->totals.timers);
  duro__add_int_member(b, "total_events_raised", rt->totals.events);
  add_number(b, "average_orchestration_duration_ms",
             t.ended ? (double)t.duration_ms / (double)t.ended : 0);
  add_flag(b, "orchestrator_dispatcher_healthy", healthy);
  add_flag(b, "worker_dispatcher_healthy", healthy);
  add_flag(b, "timer_dispatcher_healthy", healthy);
  duro__add_int_member(b, "live_instances", (int64_t)rt->live_count);
  duro__add_int_member(b, "turns", rt->totals.turns);
  duro__add_int_member(b, "replays", rt->totals.replays);
  duro__add_int_member(b, "commits", rt->totals.commits);
  add_latency(b, rt);
  duro_buf_add_char(b, '}');
  duro__request_durable(r);
}
