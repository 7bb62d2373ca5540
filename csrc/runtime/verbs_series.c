// verbs_series.c: time_series_metrics: how much happened in each minute, hour or day (UTC), from the
// counters by minute.
//
// A point is a whole bucket, named by its beginning: `from` goes down to one and `to` up. The store is
// read on the helper thread, some hours at a time, so that others are served in between. Who may not see
// every instance is answered from the rows that it may see; what rows do not tell is denied.
// To add a metric: a row of METRICS, what it means in add_counter, and for rows in add_row.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/cache.h"
#include "runtime/finder.h"
#include "runtime/metrics.h"
#include "runtime/shown.h"

#define SLICE_MS  (6 * INT64_C(3600000))
#define LATEST_MS INT64_C(253402300800000) // the year 10000

static const duro_str verb = DURO_STR("time_series_metrics");

// X(name, word)
#define METRICS(X)                                                                                 \
  X(STARTED, "started")                                                                            \
  X(COMPLETED, "completed")                                                                        \
  X(FAILED, "failed")                                                                              \
  X(ACTIVITIES, "activities")                                                                      \
  X(DURATION, "duration_ms")

typedef enum metric {
#define X(name, word) METRIC_##name,
  METRICS(X)
#undef X
} metric;

typedef struct point {
  int64_t sum, ends; // ends: of how many the sum of durations is
} point;

typedef struct series {
  duro_request *request;
  duro_arena arena;
  duro_str args, name; // absent name: all
  int metric;
  int64_t bucket_ms, from_ms, to_ms;
  int64_t now_ms, kept_ms; // counters are of the time between these
  int64_t read_to_ms;      // of the counters, so far
  point *points;
  size_t count;
  bool truncated;
  duro_code code;
  duro_error *error;
} series;

static void series_free(series *s) {
  duro_error_free(s->error);
  free(s->points);
  duro_arena_free(&s->arena);
  free(s);
}

// --- Adding up ---

static point *point_at(const series *s, int64_t at_ms) {
  if (at_ms < s->from_ms || at_ms >= s->to_ms) return NULL;
  return &s->points[(at_ms - s->from_ms) / s->bucket_ms];
}

static void add_counter(series *s, duro__metric which, const duro_counter *c) {
  point *p = point_at(s, c->minute_ms);
  if (!p) return;
  switch (s->metric) {
  case METRIC_STARTED:
    if (which == DURO__STARTED) p->sum += c->delta;
    break;
  case METRIC_COMPLETED:
    if (which == DURO__COMPLETED) p->sum += c->delta;
    break;
  case METRIC_FAILED:
    if (which == DURO__FAILED) p->sum += c->delta;
    break;
  case METRIC_ACTIVITIES:
    if (which == DURO__ACTIVITIES_COMPLETED || which == DURO__ACTIVITIES_FAILED) p->sum += c->delta;
    break;
  case METRIC_DURATION:
    if (which == DURO__DURATION_MS) p->sum += c->delta;
    if (which >= DURO__COMPLETED && which <= DURO__TERMINATED) p->ends += c->delta;
    break;
  }
}

static void add_row(series *s, const duro_instance_row *row) {
  bool begins = s->metric == METRIC_STARTED;
  if (begins && row->status == DURO_STATUS_PENDING) return;
  point *p = point_at(s, begins ? row->created_at_ms : row->completed_at_ms);
  if (!p) return;
  p->sum += s->metric == METRIC_DURATION ? row->completed_at_ms - row->created_at_ms : 1;
  p->ends++;
}

// --- The answer ---

static double value_of(const series *s, const point *p) {
  if (s->metric == METRIC_DURATION) return p->ends > 0 ? (double)p->sum / (double)p->ends : 0;
  return (double)p->sum;
}

static void write_points(const series *s, duro_buf *b) {
  duro_buf_clear(b);
  duro_buf_add_lit(b, "{\"points\":[");
  for (size_t i = 0; i < s->count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro_buf_add_char(b, '{');
    duro__add_int_member(b, "timestamp", (s->from_ms + (int64_t)i * s->bucket_ms) / 1000);
    duro__add_key(b, "value");
    if (s->metric == METRIC_DURATION)
      duro_json_add_double(b, value_of(s, &s->points[i]));
    else
      duro_buf_add_int(b, s->points[i].sum);
    duro_buf_add_char(b, '}');
  }
  duro_buf_add_char(b, ']');
  if (s->truncated) duro_buf_add_lit(b, ",\"truncated\":true");
  duro_buf_add_char(b, '}');
}

// Answers, and ends the series.
static void finish(duro_runtime *rt, series *s) {
  duro_request *r = s->request;
  if (s->code) {
    duro__fail_with(r, s->code, s->error);
    s->error = NULL;
  } else {
    write_points(s, &r->answer);
    if (!r->answer.oom) duro__cache_keep(rt, r, verb, s->args, duro_buf_str(&r->answer));
    duro__request_durable(r);
  }
  series_free(s);
}

// --- From counters ---

static duro_code add_slice(duro_runtime *rt, series *s, int64_t from_ms, int64_t to_ms) {
  duro_arena arena = {0};
  duro_counters counters = {0};
  duro_code code =
      duro__store_counters(rt->store, from_ms, to_ms, true, &arena, &counters, &s->error);
  for (size_t i = 0; i < counters.count && !code; i++) {
    duro__metric which;
    bool wanted = !s->name.p || duro_str_equal(s->name, counters.items[i].name);
    if (wanted && duro__metric_from(counters.items[i].metric, &which))
      add_counter(s, which, &counters.items[i]);
  }
  duro_arena_free(&arena);
  return code;
}

// Of what is forgotten and of what is still to come there is nothing, or little. A store without counters
// walks its instances for each slice.
static int64_t slice_end_ms(duro_runtime *rt, const series *s) {
  int64_t at_ms = s->read_to_ms, end_ms = at_ms + SLICE_MS;
  if (!duro__store_has(rt->store, DURO__VERB_counters) || at_ms > s->now_ms) return s->to_ms;
  if (end_ms < s->kept_ms) end_ms = s->kept_ms;
  return end_ms < s->to_ms ? end_ms : s->to_ms;
}

static void slice_run(duro_runtime *rt, duro__command *c) {
  series *s = c->subject;
  int64_t from_ms = s->read_to_ms, to_ms = slice_end_ms(rt, s);
  s->code = add_slice(rt, s, from_ms, to_ms);
  s->read_to_ms = to_ms;
}

static void order_slice(duro_runtime *rt, series *s);

static void slice_done(duro_runtime *rt, duro__command *c) {
  series *s = c->subject;
  duro_arena_free(&c->arena);
  free(c);
  if (rt->closing && !s->code)
    s->code = duro_fail(&s->error, DURO_CLOSED, "the runtime was closed");
  if (s->code || s->request->abandoned || s->read_to_ms >= s->to_ms)
    finish(rt, s);
  else
    order_slice(rt, s);
}

static void order_slice(duro_runtime *rt, series *s) {
  duro__command *c = duro__command_new(slice_run, slice_done);
  if (c) {
    c->subject = s;
    duro__helper_push(rt, c);
  } else {
    s->code = duro_fail_oom(&s->error);
    finish(rt, s);
  }
}

// --- From rows ---

static duro_code visit(duro__finder *f, const duro_instance_row *row, duro_error **err) {
  (void)err;
  add_row(f->user, row);
  return DURO_OK;
}

static void found(duro_runtime *rt, duro__finder *f) {
  series *s = f->user;
  s->truncated |= f->truncated;
  finish(rt, s);
}

static void failed(duro__finder *f) { series_free(f->user); }

static void set_filter(const series *s, duro_filter *f, duro_name_match *name) {
  static const unsigned statuses[] = {[METRIC_COMPLETED] = 1u << DURO_STATUS_COMPLETED,
                                      [METRIC_FAILED] = 1u << DURO_STATUS_FAILED,
                                      [METRIC_DURATION] = 0};
  bool begins = s->metric == METRIC_STARTED;
  *(begins ? &f->created_after : &f->completed_after) = s->from_ms - 1;
  *(begins ? &f->created_before : &f->completed_before) = s->to_ms;
  if (!begins) f->statuses = statuses[s->metric];
  if (!s->name.p) return;
  *name = (duro_name_match){.text = s->name};
  f->names = name;
  f->name_count = 1;
}

static void begin_rows(series *s) {
  duro__finder *f = duro__finder_new(s->request, s->args);
  duro_name_match *name = f ? duro_arena_alloc(&f->arena, sizeof *name) : NULL;
  if (!name) {
    if (f) duro__fail_memory(s->request);
    if (f) duro__finder_free(f);
    series_free(s);
    return;
  }
  set_filter(s, &f->query.filter, name);
  f->query.brief = true;
  f->look_at_most = DURO_MAX_SCANNED;
  f->visit = visit;
  f->found = found;
  f->failed = failed;
  f->user = s;
  duro__finder_begin(f);
}

// --- Arguments ---

static bool read_range(duro_runtime *rt, duro_request *r, series *s) {
  static const char *const words[] = {"1m", "1h", "1d", NULL};
  static const int64_t buckets_ms[] = {60000, 3600000, 86400000}, by_default[] = {60, 24, 7};
  int bucket = 1;
  int64_t from_ms, to_ms;
  s->now_ms = duro__now(rt);
  s->kept_ms = s->now_ms - rt->options.metrics_retention_hours * 3600000;
  if (!duro__arg_word(r, s->args, "bucket", DURO__OPTIONAL, words, &bucket)) return false;
  s->bucket_ms = buckets_ms[bucket];
  if (!duro__arg_int(r, s->args, "to_ms", s->now_ms, 1, &to_ms)) return false;
  int64_t otherwise_ms = to_ms - by_default[bucket] * s->bucket_ms;
  if (otherwise_ms < 0) otherwise_ms = 0;
  if (!duro__arg_int(r, s->args, "from_ms", otherwise_ms, 0, &from_ms)) return false;
  if (from_ms >= to_ms || to_ms > LATEST_MS) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'from' must be before 'to'%s",
                       to_ms > LATEST_MS ? ", and that before the year 10000" : "");
    return false;
  }
  s->from_ms = from_ms - from_ms % s->bucket_ms;
  s->count = (size_t)((to_ms - s->from_ms + s->bucket_ms - 1) / s->bucket_ms);
  s->to_ms = s->from_ms + (int64_t)s->count * s->bucket_ms;
  s->truncated = from_ms < s->kept_ms;
  if (s->count <= DURO_MAX_POINTS) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT,
                     "these are %zu points, at most %d are allowed: ask for a shorter time, or "
                     "for longer buckets",
                     s->count, DURO_MAX_POINTS);
  return false;
}

static bool read_arguments(duro_runtime *rt, duro_request *r, series *s) {
#define X(name, word) word,
  static const char *const words[] = {METRICS(X) NULL};
#undef X
  return duro__arg_object(r, s->args) &&
         duro__arg_word(r, s->args, "metric", DURO__REQUIRED, words, &s->metric) &&
         duro__arg_id(r, s->args, "orchestration_name", DURO__OPTIONAL, DURO_MAX_NAME_BYTES,
                      &s->arena, &s->name) &&
         read_range(rt, r, s);
}

// --- The verb ---

static bool can_tell(duro_runtime *rt, const series *s) {
  if (s->metric != METRIC_ACTIVITIES) return true;
  if (duro__rows_hidden(s->request)) {
    duro__request_fail(s->request, DURO_DENIED,
                       "the activities of the instances that may be seen are not counted apart");
    return false;
  }
  if (duro__store_has(rt->store, DURO__VERB_counters)) return true;
  duro__request_fail(s->request, DURO_UNSUPPORTED, "the store '%s' does not count activities",
                     duro__store_type(rt->store));
  return false;
}

void duro__verb_time_series_metrics(duro_runtime *rt, duro_request *r, duro_str args) {
  if (!rt->options.enable_metrics) {
    duro__request_fail(r, DURO_UNSUPPORTED, "metrics are switched off (management.enable_metrics)");
    return;
  }
  if (duro__cache_answer(rt, r, verb, args)) return;
  series *s = calloc(1, sizeof *s);
  if (!s) {
    duro__fail_memory(r);
    return;
  }
  s->request = r;
  s->args = duro_arena_dup(&s->arena, args);
  if (!read_arguments(rt, r, s) || !can_tell(rt, s)) {
    series_free(s);
    return;
  }
  s->points = calloc(s->count, sizeof *s->points);
  if (!s->points) {
    duro__fail_memory(r);
    series_free(s);
  } else if (duro__rows_hidden(r)) {
    begin_rows(s);
  } else {
    s->read_to_ms = s->from_ms;
    order_slice(rt, s);
  }
}
