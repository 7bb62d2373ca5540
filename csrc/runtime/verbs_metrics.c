// verbs_metrics.c: how the engine is doing, as JSON: runtime_metrics, orchestration_metrics, queue_metrics,
// provider_diagnostics. Where the numbers come from: report.h. Counts are of the whole life of the file;
// what names this process (uptime, live instances, replays, commits, items) begins with its opening.
#include "runtime/answers.h"
#include "runtime/report.h"

static void add_flag(duro_buf *b, const char *key, bool value) {
  duro__add_json_member(b, key, value ? DURO_STR("true") : DURO_STR("false"));
}

static void add_number(duro_buf *b, const char *key, double value) {
  duro__add_key(b, key);
  duro_json_add_double(b, value);
}

// --- runtime_metrics ---

static int64_t activities(const duro__tally *t) {
  return t->values[DURO__ACTIVITIES_COMPLETED] + t->values[DURO__ACTIVITIES_FAILED];
}

void duro__report_runtime(const duro__report *p, duro_buf *b) {
  const duro__figures *f = &p->figures;
  const duro__tally *sum = &p->sum;
  duro_buf_add_char(b, '{');
  add_number(b, "uptime_seconds", duro__report_uptime_seconds(p));
  duro__add_int_member(b, "total_instances_started", sum->values[DURO__STARTED]);
  duro__add_int_member(b, "total_instances_completed", sum->values[DURO__COMPLETED]);
  duro__add_int_member(b, "total_instances_failed", duro__tally_failed(sum));
  duro__add_int_member(b, "total_instances_cancelled", duro__tally_cancelled(sum));
  duro__add_int_member(b, "active_instances", duro__tally_active(sum));
  duro__add_int_member(b, "total_activities_executed", activities(sum));
  duro__add_int_member(b, "total_timers_fired", sum->values[DURO__TIMERS_FIRED]);
  duro__add_int_member(b, "total_events_raised", sum->values[DURO__EVENTS_RAISED]);
  add_number(b, "average_orchestration_duration_ms", duro__report_duration_ms(sum));
  add_flag(b, "orchestrator_dispatcher_healthy", f->orchestrator_ok);
  add_flag(b, "worker_dispatcher_healthy", f->worker_ok);
  add_flag(b, "timer_dispatcher_healthy", f->timer_ok);
  duro__add_int_member(b, "live_instances", f->live_instances);
  duro__add_int_member(b, "turns", f->turns);
  duro__add_int_member(b, "replays", f->replays);
  duro__add_int_member(b, "commits", f->commits);
  duro__add_key(b, "commit_latency_ms");
  duro_buf_add_char(b, '{');
  add_number(b, "p50", f->commit_p50_ms);
  add_number(b, "p99", f->commit_p99_ms);
  duro_buf_add_lit(b, "}}");
}

void duro__verb_runtime_metrics(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__report_kind kind = {"runtime_metrics", false, false, duro__report_runtime};
  duro__report_begin(rt, r, args, &kind);
}

// --- orchestration_metrics ---

static void add_orchestration(duro_buf *b, const duro__tally *t) {
  int64_t ended = duro__tally_ended(t);
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "orchestration_name", t->name);
  duro__add_int_member(b, "total_started", t->values[DURO__STARTED]);
  duro__add_int_member(b, "total_completed", t->values[DURO__COMPLETED]);
  duro__add_int_member(b, "total_failed", duro__tally_failed(t));
  duro__add_int_member(b, "total_cancelled", duro__tally_cancelled(t));
  duro__add_int_member(b, "active_count", duro__tally_active(t));
  add_number(b, "average_duration_ms", duro__report_duration_ms(t));
  add_number(b, "success_rate", ended > 0 ? (double)t->values[DURO__COMPLETED] / (double)ended : 0);
  duro_buf_add_char(b, '}');
}

static void write_orchestrations(const duro__report *p, duro_buf *b) {
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < p->tallies.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    add_orchestration(b, &p->tallies.items[i]);
  }
  duro_buf_add_char(b, ']');
}

void duro__verb_orchestration_metrics(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__report_kind kind = {"orchestration_metrics", false, false,
                                         write_orchestrations};
  duro__report_begin(rt, r, args, &kind);
}

// --- queue_metrics ---

static void write_queues(const duro__report *p, duro_buf *b) {
  static const struct {
    duro__report_queue queue;
    const char *size, *age;
  } queues[] = {
      {DURO__ORCHESTRATOR_QUEUE, "orchestrator_queue_size",
       "orchestrator_queue_oldest_item_age_ms"},
      {DURO__WORKER_QUEUE, "worker_queue_size", "worker_queue_oldest_item_age_ms"},
      {DURO__TIMER_QUEUE, "timer_queue_size", "timer_queue_oldest_item_age_ms"},
  };
  duro_buf_add_char(b, '{');
  for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
    duro__add_int_member(b, queues[i].size, duro__report_queue_size(p, queues[i].queue));
    duro__add_int_member(b, queues[i].age, duro__report_queue_age_ms(p, queues[i].queue));
  }
  duro__add_int_member(b, "total_items_processed", duro__report_items(p));
  add_number(b, "average_processing_time_ms", duro__report_item_ms(p));
  duro_buf_add_char(b, '}');
}

void duro__verb_queue_metrics(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__report_kind kind = {"queue_metrics", false, true, write_queues};
  duro__report_begin(rt, r, args, &kind);
}

// --- provider_diagnostics ---

static void write_provider(const duro__report *p, duro_buf *b) {
  bool owner = p->rt->role == DURO_ROLE_RUNTIME;
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "provider_type", duro_str_from(duro__store_type(p->rt->store)));
  add_flag(b, "connection_healthy", p->store_answers && (!owner || p->figures.store_ok));
  duro__add_int_member(b, "total_instances_stored", p->stats.instances);
  duro__add_int_member(b, "total_history_events", p->stats.history_events);
  add_number(b, "average_read_latency_ms", p->figures.read_ms);
  add_number(b, "average_write_latency_ms", p->figures.write_ms);
  duro__add_int_member(b, "storage_size_bytes", p->stats.size_bytes);
  duro_buf_add_char(b, '}');
}

void duro__verb_provider_diagnostics(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__report_kind kind = {"provider_diagnostics", true, false, write_provider};
  duro__report_begin(rt, r, args, &kind);
}
