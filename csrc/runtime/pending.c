// pending.c: see pending.h. To show more of a kind of work: its case in add_task.
#include "runtime/pending.h"

#include "runtime/answers.h"

typedef struct writer {
  duro_runtime *rt;
  duro__exec *exec;
  duro__instance *live;
} writer;

// A worker holds the job of this task.
static bool is_held(const writer *w, const duro__open *now) {
  const duro__job_ref *ref = w->live ? now->runtime : NULL;
  duro_arena arena = {0};
  duro_job_row *rows = NULL;
  size_t count = 0;
  bool held = false;
  if (ref && !duro__store_jobs(w->rt->store, 0, &ref->row_id, 1, &arena, &rows, &count, NULL)) {
    held = count && rows[0].holder.p && rows[0].lease_until_ms > duro_clock_wall_ms();
  }
  duro_arena_free(&arena);
  return held;
}

static const char *activity_state(const writer *w, const duro__open *now) {
  if (now->state == DURO__STATE_BACKING_OFF) return "backing_off";
  if (now->state == DURO__STATE_RUNNING || now->state == DURO__STATE_DEFERRED) return "running";
  return now->queue.p && is_held(w, now) ? "running" : "queued";
}

static void add_activity(duro_buf *b, const writer *w, const duro__open *o) {
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

static void add_task(duro_buf *b, const writer *w, const duro__open *o) {
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

static void add_kind(duro_buf *b, const writer *w, const char *key, duro__open_kind kind) {
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

void duro__add_pending(duro_buf *b, duro_runtime *rt, duro__exec *x, duro__instance *live) {
  writer w = {.rt = rt, .exec = x, .live = live};
  add_kind(b, &w, "pending_activities", DURO__OPEN_ACTIVITY);
  add_kind(b, &w, "pending_timers", DURO__OPEN_TIMER);
  add_kind(b, &w, "pending_events", DURO__OPEN_WAIT);
  add_kind(b, &w, "pending_sub_orchestrations", DURO__OPEN_CHILD);
}
