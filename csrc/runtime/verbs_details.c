// verbs_details.c: one instance in full: its executions, what it waits for, and its statistics.
//
// Pending work follows from the current execution's committed history, by a scan without a program; what
// is not in history (whether a job runs just now) comes from the live instance.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/pending.h"

// --- Counting ---

typedef struct counts {
  int64_t kinds[DURO_EVENT_KIND_COUNT];
} counts;

static void count_events(counts *c, const duro_events *events) {
  for (size_t i = 0; i < events->count; i++) c->kinds[events->items[i].kind]++;
}

static void add_milliseconds(duro_buf *b, const char *key, double ms) {
  duro__add_key(b, key);
  duro_json_add_double(b, ms);
}

static void add_statistics(duro_buf *b, duro_runtime *rt, const duro_instance_row *row,
                           const counts *c) {
  int64_t until_ms = row->completed_at_ms ? row->completed_at_ms : duro__now(rt);
  double turn_us = row->turns ? (double)row->turn_us_total / (double)row->turns : 0;
  duro_buf_add_char(b, '{');
#define COUNT(key, kind) duro__add_int_member(b, key, c->kinds[DURO_EVENT_##kind])
  COUNT("total_activities_scheduled", ACTIVITY_SCHEDULED);
  COUNT("total_activities_completed", ACTIVITY_COMPLETED);
  COUNT("total_activities_failed", ACTIVITY_FAILED);
  COUNT("total_timers_scheduled", TIMER_CREATED);
  COUNT("total_timers_fired", TIMER_FIRED);
  COUNT("total_events_subscribed", EVENT_SUBSCRIBED);
  COUNT("total_events_received", EVENT_RECEIVED);
#undef COUNT
  duro__add_int_member(b, "total_execution_time_ms", until_ms - row->created_at_ms);
  add_milliseconds(b, "average_turn_duration_ms", turn_us / 1000);
  duro__add_int_member(b, "turns", row->turns);
  duro__add_int_member(b, "replays", (int64_t)(uintptr_t)duro_map_get_int(&rt->replays, row->key));
  duro_buf_add_char(b, '}');
}

// --- The current execution ---

static void add_current(duro_buf *b, duro_runtime *rt, duro__exec *x, const duro_instance_row *row,
                        const counts *c) {
  duro__instance *i = duro__live_by_key(rt, row->key);
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "execution_id", row->execution_id);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(row->status)));
  duro__add_pending(b, rt, x, i && i->execution_id == row->execution_id ? i : NULL, row->key);
  duro__add_int_member(b, "completed_activities", c->kinds[DURO_EVENT_ACTIVITY_COMPLETED]);
  duro__add_int_member(b, "failed_activities", c->kinds[DURO_EVENT_ACTIVITY_FAILED]);
  duro_buf_add_char(b, '}');
}

// --- Executions ---

static void add_execution(duro_buf *b, const duro_execution_row *e) {
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "execution_id", e->execution_id);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(e->status)));
  duro__add_time_member(b, "started_at", e->started_at_ms);
  duro__add_time_member(b, "completed_at", e->completed_at_ms);
  duro__add_int_member(b, "event_count", e->event_count);
  if (e->reason.n) duro__add_text_member(b, "continue_as_new_reason", e->reason);
  duro_buf_add_char(b, '}');
}

static void add_executions(duro_buf *b, const duro_instance_row *row,
                           const duro_execution_row *past, size_t count, int64_t event_count) {
  duro_execution_row current = {
      .execution_id = row->execution_id,
      .status = row->status,
      .started_at_ms = row->execution_started_at_ms,
      .completed_at_ms = row->completed_at_ms,
      .event_count = event_count,
  };
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < count; i++) {
    add_execution(b, &past[i]);
    duro_buf_add_char(b, ',');
  }
  add_execution(b, &current);
  duro_buf_add_char(b, ']');
}

// --- All of it ---

typedef struct instance_view {
  duro_arena arena;
  duro_instance_row row;
  duro_execution_row *past;
  size_t past_count;
  duro_events current;
  counts in_current, in_all;
} instance_view;

static bool count_past(duro_runtime *rt, duro_request *r, instance_view *v) {
  for (size_t i = 0; i < v->past_count; i++) {
    duro_arena arena = {0};
    duro_events events;
    bool fine = duro__read_events(rt, r, v->row.key, v->past[i].execution_id, &arena, &events);
    if (fine) count_events(&v->in_all, &events);
    duro_arena_free(&arena);
    if (!fine) return false;
  }
  return true;
}

static bool view_read(duro_runtime *rt, duro_request *r, duro_str id, instance_view *v) {
  duro_error *err = NULL;
  if (!duro__read_row(rt, r, id, &v->arena, &v->row)) return false;
  duro_code code =
      duro__store_executions(rt->store, v->row.key, &v->arena, &v->past, &v->past_count, &err);
  if (code) {
    duro__fail_with(r, code, err);
    return false;
  }
  if (!count_past(rt, r, v)) return false;
  if (!duro__read_events(rt, r, v->row.key, v->row.execution_id, &v->arena, &v->current))
    return false;
  count_events(&v->in_current, &v->current);
  count_events(&v->in_all, &v->current);
  return true;
}

static void answer_details(duro_runtime *rt, duro_request *r, const instance_view *v) {
  duro_buf *b = &r->answer;
  duro__exec *x = NULL;
  bool runs = !duro_status_final(v->row.status);
  if (runs && !(x = duro__scan(rt, r, &v->row, &v->current))) return;
  duro_buf_clear(b);
  duro_buf_add_lit(b, "{\"summary\":");
  duro__add_summary(b, &v->row);
  duro__add_key(b, "executions");
  add_executions(b, &v->row, v->past, v->past_count, (int64_t)v->current.count);
  if (runs) {
    duro__add_key(b, "current_execution");
    add_current(b, rt, x, &v->row, &v->in_current);
    duro__exec_free(x);
  }
  duro__add_key(b, "statistics");
  add_statistics(b, rt, &v->row, &v->in_all);
  duro_buf_add_char(b, '}');
  duro__request_durable(r);
}

static void answer_statistics(duro_runtime *rt, duro_request *r, const instance_view *v) {
  duro_buf_clear(&r->answer);
  add_statistics(&r->answer, rt, &v->row, &v->in_all);
  duro__request_durable(r);
}

typedef void answer_function(duro_runtime *rt, duro_request *r, const instance_view *v);

static void answer_folded(duro_request *r, answer_function *answer) {
  instance_view v = {0};
  duro_buf id = r->again_args;
  r->again_args = (duro_buf){0};
  if (view_read(r->rt, r, duro_buf_str(&id), &v)) answer(r->rt, r, &v);
  duro_arena_free(&v.arena);
  duro_buf_free(&id);
}

static void details_folded(duro_request *r, void *user) {
  (void)user;
  answer_folded(r, answer_details);
}

static void statistics_folded(duro_request *r, void *user) {
  (void)user;
  answer_folded(r, answer_statistics);
}

static void read_when_folded(duro_runtime *rt, duro_request *r, duro_str args,
                             void (*then)(duro_request *, void *)) {
  duro_arena arena = {0};
  duro_str id;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id)) {
    duro_buf_clear(&r->again_args);
    duro_buf_add_str(&r->again_args, id);
    if (r->again_args.oom)
      duro__fail_memory(r);
    else
      duro__when_folded(rt, r, then, NULL);
  }
  duro_arena_free(&arena);
}

void duro__verb_details(duro_runtime *rt, duro_request *r, duro_str args) {
  read_when_folded(rt, r, args, details_folded);
}

void duro__verb_statistics(duro_runtime *rt, duro_request *r, duro_str args) {
  read_when_folded(rt, r, args, statistics_folded);
}
