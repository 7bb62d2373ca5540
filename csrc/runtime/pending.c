// pending.c: see pending.h. To show more of a kind of work: its case in add_task.
#include "runtime/pending.h"

#include "runtime/answers.h"

typedef struct writer {
  duro_runtime *rt;
  duro__exec *exec;
  duro__instance *live;
  int64_t key;
  bool owner_runs_it; // another process has it in memory
  bool rows_read;
  duro_job_row *rows; // of task queues
  size_t row_count;
  duro_arena arena;
} writer;

// A worker holds the job of this task.
static bool is_held(writer *w, const duro__open *o) {
  if (!w->rows_read && w->key) {
    duro_code code =
        duro__store_jobs(w->rt->store, w->key, NULL, 0, &w->arena, &w->rows, &w->row_count, NULL);
    if (code) w->row_count = 0;
  }
  w->rows_read = true;
  for (size_t i = 0; i < w->row_count; i++) {
    const duro_job_row *row = &w->rows[i];
    if (row->event_id != o->id || row->attempt != o->attempt) continue;
    return row->holder.p && row->lease_until_ms > duro_clock_wall_ms();
  }
  return false;
}

static const char *activity_state(writer *w, const duro__open *now) {
  if (now->state == DURO__STATE_BACKING_OFF) return "backing_off";
  if (now->state == DURO__STATE_RUNNING || now->state == DURO__STATE_DEFERRED) return "running";
  bool runs = now->queue.p ? is_held(w, now) : w->owner_runs_it;
  return runs ? "running" : "queued";
}

static void add_activity(duro_buf *b, writer *w, const duro__open *o) {
  const duro__open *now = w->live && w->live->exec ? duro__exec_open(w->live->exec, o->id) : NULL;
  if (!now) now = o;
  duro__add_text_member(b, "name", o->name);
  duro__add_json_member(b, "input", o->input);
  duro__add_time_member(b, "scheduled_at", o->scheduled_at_ms);
  duro__add_int_member(b, "attempt", now->attempt);
  duro__add_json_member(b, "last_error", now->last_error);
  if (now->state == DURO__STATE_BACKING_OFF)
    duro__add_time_member(b, "next_attempt_at", now->fire_at_ms);
  duro__add_text_member(b, "state", duro_str_from(activity_state(w, now)));
}

static void add_task(duro_buf *b, writer *w, const duro__open *o) {
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "correlation_id", o->id);
  switch (o->kind) {
  case DURO__OPEN_ACTIVITY:
    add_activity(b, w, o);
    break;
  case DURO__OPEN_TIMER:
    duro__add_int_member(b, "delay_ms", o->delay_ms);
    duro__add_time_member(b, "scheduled_at", o->scheduled_at_ms);
    duro__add_time_member(b, "fire_at", o->fire_at_ms);
    break;
  case DURO__OPEN_WAIT:
    duro__add_text_member(b, "name", o->name);
    duro__add_time_member(b, "subscribed_at", o->scheduled_at_ms);
    break;
  case DURO__OPEN_CHILD:
    duro__add_text_member(b, "instance_id", o->instance);
    duro__add_text_member(b, "name", o->name);
    duro__add_time_member(b, "scheduled_at", o->scheduled_at_ms);
    break;
  }
  duro_buf_add_char(b, '}');
}

static void add_kind(duro_buf *b, writer *w, const char *key, duro__open_kind kind) {
  bool first = true;
  duro__add_key(b, key);
  duro_buf_add_char(b, '[');
  for (duro__open *o = duro__exec_open_next(w->exec, 0); o;
       o = duro__exec_open_next(w->exec, o->id)) {
    if (o->kind != kind || o->state == DURO__STATE_BOUND) continue; // a bound wait has its event
    if (!first) duro_buf_add_char(b, ',');
    first = false;
    add_task(b, w, o);
  }
  duro_buf_add_char(b, ']');
}

void duro__add_pending(duro_buf *b, duro_runtime *rt, duro__exec *x, duro__instance *live,
                       int64_t key) {
  writer w = {.rt = rt, .exec = x, .live = live, .key = key};
  w.owner_runs_it = key && rt->role != DURO_ROLE_RUNTIME && duro__owner_lives(rt);
  add_kind(b, &w, "pending_activities", DURO__OPEN_ACTIVITY);
  add_kind(b, &w, "pending_timers", DURO__OPEN_TIMER);
  add_kind(b, &w, "pending_events", DURO__OPEN_WAIT);
  add_kind(b, &w, "pending_sub_orchestrations", DURO__OPEN_CHILD);
  duro_arena_free(&w.arena);
}
