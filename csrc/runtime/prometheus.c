// prometheus.c: the numbers in the Prometheus text format (version 0.0.4), one family a table row or
// function: HELP, TYPE, then its samples. Base units: seconds, bytes. To add a family: a row of SIMPLE or
// NAMED, or a function called in `write_text`.
#include "runtime/answers.h"
#include "runtime/report.h"

// --- The format ---

static void add_head(duro_buf *b, const char *name, const char *type, const char *help) {
  duro_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// In a label's value a backslash, a quote and a line feed are escaped.
static void add_label(duro_buf *b, const char *key, duro_str value) {
  duro_buf_add_str(b, duro_str_from(key));
  duro_buf_add_lit(b, "=\"");
  for (size_t i = 0; i < value.n; i++) {
    char c = value.p[i];
    if (c == '\n') {
      duro_buf_add_lit(b, "\\n");
      continue;
    }
    if (c == '\\' || c == '"') duro_buf_add_char(b, '\\');
    duro_buf_add_char(b, c);
  }
  duro_buf_add_char(b, '"');
}

static void add_value(duro_buf *b, double value) {
  duro_buf_add_char(b, ' ');
  if (value == (double)(int64_t)value)
    duro_buf_add_int(b, (int64_t)value);
  else
    duro_json_add_double(b, value);
  duro_buf_add_char(b, '\n');
}

static void add_sample(duro_buf *b, const char *name, double value) {
  duro_buf_add_str(b, duro_str_from(name));
  add_value(b, value);
}

// One with labels: open, add_label (add_comma between them), close.
static void open_sample(duro_buf *b, const char *name) {
  duro_buf_add_str(b, duro_str_from(name));
  duro_buf_add_char(b, '{');
}

static void add_comma(duro_buf *b) { duro_buf_add_char(b, ','); }

static void close_sample(duro_buf *b, double value) {
  duro_buf_add_char(b, '}');
  add_value(b, value);
}

static void add_labelled(duro_buf *b, const char *name, const char *key, duro_str label,
                         double value) {
  open_sample(b, name);
  add_label(b, key, label);
  close_sample(b, value);
}

// --- One number each ---

static void add_simple(const duro__report *p, duro_buf *b) {
  const duro__figures *f = &p->figures;
  const struct {
    const char *name, *type, *help;
    double value;
  } simple[] = {
      {"duro_uptime_seconds", "gauge", "Time since the running process opened the file.",
       duro__report_uptime_seconds(p)},
      {"duro_active_instances", "gauge", "Instances that have begun and not ended.",
       (double)duro__tally_active(&p->sum)},
      {"duro_live_instances", "gauge", "Instances in the memory of the running process.",
       (double)f->live_instances},
      {"duro_turns_total", "counter", "Turns of the running process.", (double)f->turns},
      {"duro_replays_total", "counter", "Histories replayed by the running process.",
       (double)f->replays},
      {"duro_commits_total", "counter", "Batches stored by the running process.",
       (double)f->commits},
      {"duro_items_processed_total", "counter",
       "Turns and activity attempts of the running process.", (double)duro__report_items(p)},
      {"duro_item_processing_seconds", "gauge", "Time that a turn or an attempt takes on average.",
       duro__report_item_ms(p) / 1000},
      {"duro_store_instances", "gauge", "Instances stored.", (double)p->stats.instances},
      {"duro_store_history_events", "gauge", "Events stored.", (double)p->stats.history_events},
      {"duro_store_size_bytes", "gauge", "Size of the database.", (double)p->stats.size_bytes},
      {"duro_store_read_latency_seconds", "gauge", "Time of a read on average.", f->read_ms / 1000},
      {"duro_store_write_latency_seconds", "gauge", "Time of a write on average.",
       f->write_ms / 1000},
  };
  for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
    add_head(b, simple[i].name, simple[i].type, simple[i].help);
    add_sample(b, simple[i].name, simple[i].value);
  }
}

// --- By orchestration ---

static void add_named(const duro__report *p, duro_buf *b) {
  static const struct {
    const char *name, *help;
    duro__metric metric;
  } named[] = {
      {"duro_instances_started_total", "Instances that have begun.", DURO__STARTED},
      {"duro_instances_completed_total", "Instances that have completed.", DURO__COMPLETED},
      {"duro_instances_failed_total", "Instances that have failed.", DURO__FAILED},
      {"duro_instances_retried_total", "Failed instances that were brought back.", DURO__RETRIED},
      {"duro_instances_cancelled_total", "Instances that were cancelled.", DURO__CANCELLED},
      {"duro_instances_terminated_total", "Instances that were terminated.", DURO__TERMINATED},
      {"duro_activities_completed_total", "Activities that have completed.",
       DURO__ACTIVITIES_COMPLETED},
      {"duro_activities_failed_total", "Activities that have failed for good.",
       DURO__ACTIVITIES_FAILED},
      {"duro_timers_fired_total", "Timers that have fired.", DURO__TIMERS_FIRED},
      {"duro_events_raised_total", "Events received.", DURO__EVENTS_RAISED},
  };
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    add_head(b, named[i].name, "counter", named[i].help);
    for (size_t n = 0; n < p->tallies.count; n++) {
      const duro__tally *t = &p->tallies.items[n];
      add_labelled(b, named[i].name, "orchestration", t->name, (double)t->values[named[i].metric]);
    }
  }
}

static void add_instances(const duro__report *p, duro_buf *b) {
  static const char name[] = "duro_instances";
  add_head(b, name, "gauge", "Instances stored, by status.");
  for (size_t n = 0; n < p->tallies.count; n++) {
    for (int status = 0; status < DURO_STATUS_CONTINUED_AS_NEW; status++) {
      open_sample(b, name);
      add_label(b, "orchestration", p->tallies.items[n].name);
      add_comma(b);
      add_label(b, "status", duro_str_from(duro_status_string((duro_status)status)));
      close_sample(b, (double)duro__tally_in_status(&p->tallies.items[n], (duro_status)status));
    }
  }
}

static void add_durations(const duro__report *p, duro_buf *b) {
  static const char name[] = "duro_orchestration_duration_seconds";
  add_head(b, name, "summary", "Time from creation to end of an instance.");
  for (size_t n = 0; n < p->tallies.count; n++) {
    const duro__tally *t = &p->tallies.items[n];
    add_labelled(b, "duro_orchestration_duration_seconds_sum", "orchestration", t->name,
                 (double)t->values[DURO__DURATION_MS] / 1000);
    add_labelled(b, "duro_orchestration_duration_seconds_count", "orchestration", t->name,
                 (double)duro__tally_ends(t));
  }
}

// --- The rest ---

static void add_latency(const duro__report *p, duro_buf *b) {
  static const char name[] = "duro_commit_latency_seconds";
  add_head(b, name, "summary", "Time that a batch takes to be stored.");
  add_labelled(b, name, "quantile", DURO_STR("0.5"), p->figures.commit_p50_ms / 1000);
  add_labelled(b, name, "quantile", DURO_STR("0.99"), p->figures.commit_p99_ms / 1000);
}

static void add_health(const duro__report *p, duro_buf *b) {
  static const char name[] = "duro_dispatcher_healthy";
  add_head(b, name, "gauge", "1 while that part of the running process moves.");
  add_labelled(b, name, "dispatcher", DURO_STR("orchestrator"), p->figures.orchestrator_ok);
  add_labelled(b, name, "dispatcher", DURO_STR("worker"), p->figures.worker_ok);
  add_labelled(b, name, "dispatcher", DURO_STR("timer"), p->figures.timer_ok);
  add_head(b, "duro_store_healthy", "gauge", "1 while the store answers.");
  add_sample(b, "duro_store_healthy", p->store_answers && p->figures.store_ok);
}

static void add_queues(const duro__report *p, duro_buf *b) {
  static const duro_str names[] = {[DURO__ORCHESTRATOR_QUEUE] = DURO_STR("orchestrator"),
                                   [DURO__WORKER_QUEUE] = DURO_STR("worker"),
                                   [DURO__TIMER_QUEUE] = DURO_STR("timer")};
  add_head(b, "duro_queue_size", "gauge", "Turns, activities and timers that wait.");
  for (int q = 0; q <= DURO__TIMER_QUEUE; q++) {
    add_labelled(b, "duro_queue_size", "queue", names[q],
                 (double)duro__report_queue_size(p, (duro__report_queue)q));
  }
  add_head(b, "duro_queue_oldest_item_age_seconds", "gauge",
           "How long the oldest of them has waited; of timers, beyond its time.");
  for (int q = 0; q <= DURO__TIMER_QUEUE; q++) {
    add_labelled(b, "duro_queue_oldest_item_age_seconds", "queue", names[q],
                 (double)duro__report_queue_age_ms(p, (duro__report_queue)q) / 1000);
  }
}

// The answer is the text as a JSON string.
static void write_text(const duro__report *p, duro_buf *out) {
  duro_buf text = {0};
  add_simple(p, &text);
  add_health(p, &text);
  add_queues(p, &text);
  add_latency(p, &text);
  add_named(p, &text);
  add_instances(p, &text);
  add_durations(p, &text);
  if (text.oom)
    out->oom = true;
  else
    duro_json_add_string(out, duro_buf_str(&text));
  duro_buf_free(&text);
}

void duro__verb_prometheus(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__report_kind kind = {"prometheus", true, true, write_text};
  duro__report_begin(rt, r, args, &kind);
}
