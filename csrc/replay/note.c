// The fold: what each event does to the state of an execution. Nothing else changes it.
//
// Live, replayed and scanned events pass through duro__note alike, so the same history gives the same
// state. What cannot be seen in history is not in the fold: which events the code has looked at
// (duro_turn_observe), and what the runtime does with jobs. To add a kind: its case here.
#include "replay/internal.h"

#include <stdlib.h>

bool duro__is_arrival(const duro_event *e) {
  if (e->kind == DURO_EVENT_ORCHESTRATION_FAILED) return e->reason.p != NULL;
  return duro_event_kind_group(e->kind) == 'A';
}

// --- The start ---

duro_str duro__put_text(char **at, duro_str text) {
  if (!text.p) return DURO_NONE;
  duro_str copy = {*at, text.n};
  if (text.n) memcpy(*at, text.p, text.n);
  (*at)[text.n] = 0;
  *at += text.n + 1;
  return copy;
}

static duro_code note_started(duro__exec *x, const duro_event *e, duro_error **err) {
  duro_program_start *s = &x->start;
  size_t size = e->name.n + e->version.n + e->parent.n + e->run_id.n + e->input.n + 5;
  char *text = duro_pool_take(duro__blocks(x), size);
  if (!text) return duro__break_oom(x, err);
  x->start_text = text;
  s->name = duro__put_text(&text, e->name);
  s->version = duro__put_text(&text, e->version);
  s->parent_id = duro__put_text(&text, e->parent);
  s->run_id = duro__put_text(&text, e->run_id);
  s->input = duro__put_text(&text, e->input);
  x->parent_event_id = e->parent_event;
  x->deadline_ms = e->deadline_ms;
  x->held = duro_str_equal(e->reason, DURO_HELD_REASON);
  x->started = true;
  x->status = DURO_STATUS_RUNNING;
  return e->carry.n ? duro__carry_read(x, e->carry, err) : DURO_OK;
}

// --- Tasks ---

static duro_code note_opened(duro__exec *x, duro__open_kind kind, const duro_event *e,
                             duro_error **err) {
  duro__entry *task = duro__open_add(x, kind, e);
  if (!task) return duro__break_oom(x, err);
  if (kind != DURO__OPEN_WAIT) return DURO_OK;
  if (!duro__mail_subscribe(x, task)) return duro__break_oom(x, err);
  if (!task->mail || !x->runs) return DURO_OK;
  return duro__tell_later(x, DURO__TELL_WAIT, task->open.id, DURO_NONE) ? DURO_OK
                                                                        : duro__break_oom(x, err);
}

static duro_code note_retry(duro__exec *x, const duro_event *e, duro_error **err) {
  duro__entry *task = duro__source(x, e);
  if (!task) return DURO_OK;
  duro__open *o = &task->open;
  if (e->error.p && !duro__own(&o->last_error, e->error)) return duro__break_oom(x, err);
  if (e->heartbeat.p && !duro__own(&o->heartbeat, e->heartbeat)) return duro__break_oom(x, err);
  o->volatile_due_ms = 0;
  if (e->lost) {
    o->lost_in_a_row++;
  } else {
    o->lost_in_a_row = 0;
    o->attempt++;
  }
  o->fire_at_ms = e->fire_at_ms;
  duro__open_set_state(x, task,
                       e->fire_at_ms > e->at_ms ? DURO__STATE_BACKING_OFF : DURO__STATE_WAITING);
  return DURO_OK;
}

static duro_code note_deferred(duro__exec *x, const duro_event *e) {
  duro__entry *task = duro__source(x, e);
  if (!task) return DURO_OK;
  task->open.volatile_due_ms = 0;
  task->open.lost_in_a_row = 0;
  task->open.fire_at_ms = e->fire_at_ms;
  duro__open_set_state(x, task, DURO__STATE_DEFERRED);
  return DURO_OK;
}

static duro_code note_wait_cancelled(duro__exec *x, duro__entry *wait, duro_error **err) {
  duro__entry *waiter;
  if (!duro__mail_unsubscribe(x, wait, &waiter)) return duro__break_oom(x, err);
  if (!waiter || !x->runs) return DURO_OK;
  return duro__tell_later(x, DURO__TELL_WAIT, waiter->open.id, DURO_NONE) ? DURO_OK
                                                                          : duro__break_oom(x, err);
}

static duro_code note_closed(duro__exec *x, const duro_event *e, duro_error **err) {
  duro__entry *task = duro__source(x, e);
  if (!task) return DURO_OK;
  if (task->open.kind == DURO__OPEN_WAIT) {
    duro_code code = note_wait_cancelled(x, task, err);
    if (code) return code;
  }
  duro__open_remove(x, task);
  return DURO_OK;
}

static duro_code note_event(duro__exec *x, const duro_event *e, duro_error **err) {
  duro__entry *waiter;
  if (e->dedup_id.n) {
    duro__kept *kept = duro__kept_change(x);
    if (!kept || !duro__label_add(&kept->dedup, e->dedup_id)) return duro__break_oom(x, err);
  }
  if (!duro__mail_receive(x, e->id, e->name, e->input, &waiter)) return duro__break_oom(x, err);
  if (!waiter || !x->runs) return DURO_OK;
  return duro__tell_later(x, DURO__TELL_WAIT, waiter->open.id, DURO_NONE) ? DURO_OK
                                                                          : duro__break_oom(x, err);
}

// --- State ---

static duro_code note_attributes(duro__exec *x, duro_str change, duro_error **err) {
  duro_buf merged = {0};
  duro_code code = duro__attributes_merge(x->kept->attributes, change, &merged, err);
  if (code && code != DURO_OUT_OF_MEMORY) { // a live turn has refused what cannot be merged
    code = duro_fail_caused(err, DURO_CORRUPT, "event %lld: its attributes cannot be merged",
                            (long long)x->last_id);
  }
  if (!code) {
    duro_str text = merged.n > 2 ? duro_buf_str(&merged) : DURO_NONE;
    duro__kept *kept = duro__kept_change(x);
    if (!kept || !duro__own(&kept->attributes, text)) code = duro_fail_oom(err);
  }
  if (code) duro__break(x, code);
  duro_buf_free(&merged);
  if (x->turn) x->turn->attributes_changed = true;
  return code;
}

static duro_code note_custom_status(duro__exec *x, duro_str value, duro_error **err) {
  duro__kept *kept = duro__kept_change(x);
  if (!kept || !duro__own(&kept->custom_status, value)) return duro__break_oom(x, err);
  kept->custom_status_version++;
  if (x->turn) x->turn->custom_status_changed = true;
  return DURO_OK;
}

static duro_code note_kv(duro__exec *x, const duro_event *e, duro_error **err) {
  if (e->kind == DURO_EVENT_KV_SET) {
    return duro__kv_set(x, e->name, e->input) ? DURO_OK : duro__break_oom(x, err);
  }
  if (e->name.p) {
    duro__kv_remove(x, e->name);
  } else {
    duro__kv_clear(x);
  }
  return DURO_OK;
}

static duro_code note_patch(duro__exec *x, const duro_event *e, duro_error **err) {
  duro__kept *kept = duro__kept_change(x);
  return kept && duro__label_add(&kept->patches, e->name) ? DURO_OK : duro__break_oom(x, err);
}

// --- How it stands ---

static duro_code note_end(duro__exec *x, duro_status status) {
  x->status = status;
  x->ended = true;
  x->suspended = x->held = false;
  duro__queue_clear(x);
  duro__open_clear(x);
  return DURO_OK;
}

static duro_code note_cancel_requested(duro__exec *x, const duro_event *e, duro_error **err) {
  x->cancel_requested = true;
  return duro__own(&x->cancel_reason, e->reason) ? DURO_OK : duro__break_oom(x, err);
}

// A failed execution goes on from before the events that the retry masks: what was tried is forgotten.
static duro_code note_retried(duro__exec *x) {
  x->status = DURO_STATUS_RUNNING;
  x->ended = false;
  for (duro__entry *e = duro__open_after(x, 0); e; e = duro__open_after(x, e->open.id)) {
    if (e->open.kind != DURO__OPEN_ACTIVITY) continue;
    e->open.attempt = 1;
    e->open.lost_in_a_row = 0;
    e->open.deadline_ms = 0;
    e->whole_due_ms = DURO_NEVER;
    duro__open_set_state(x, e, DURO__STATE_WAITING);
  }
  return DURO_OK;
}

static duro_code fold(duro__exec *x, const duro_event *e, duro_error **err) {
  switch (e->kind) {
  case DURO_EVENT_ORCHESTRATION_STARTED:
    return note_started(x, e, err);
  case DURO_EVENT_ORCHESTRATION_COMPLETED:
    return note_end(x, DURO_STATUS_COMPLETED);
  case DURO_EVENT_ORCHESTRATION_FAILED:
    return note_end(x, DURO_STATUS_FAILED);
  case DURO_EVENT_ORCHESTRATION_CANCELLED:
    return note_end(x, DURO_STATUS_CANCELLED);
  case DURO_EVENT_ORCHESTRATION_TERMINATED:
    return note_end(x, DURO_STATUS_TERMINATED);
  case DURO_EVENT_ORCHESTRATION_CONTINUED_AS_NEW:
    return note_end(x, DURO_STATUS_CONTINUED_AS_NEW);
  case DURO_EVENT_ORCHESTRATION_RETRIED:
    return note_retried(x);
  case DURO_EVENT_CANCEL_REQUESTED:
    return note_cancel_requested(x, e, err);
  case DURO_EVENT_ACTIVITY_SCHEDULED:
    return note_opened(x, DURO__OPEN_ACTIVITY, e, err);
  case DURO_EVENT_TIMER_CREATED:
    return note_opened(x, DURO__OPEN_TIMER, e, err);
  case DURO_EVENT_EVENT_SUBSCRIBED:
    return note_opened(x, DURO__OPEN_WAIT, e, err);
  case DURO_EVENT_SUB_ORCHESTRATION_SCHEDULED:
    return note_opened(x, DURO__OPEN_CHILD, e, err);
  case DURO_EVENT_ACTIVITY_RETRY_SCHEDULED:
    return note_retry(x, e, err);
  case DURO_EVENT_ACTIVITY_DEFERRED:
    return note_deferred(x, e);
  case DURO_EVENT_ACTIVITY_COMPLETED:
  case DURO_EVENT_ACTIVITY_FAILED:
  case DURO_EVENT_ACTIVITY_CANCELLED:
  case DURO_EVENT_TIMER_FIRED:
  case DURO_EVENT_TIMER_CANCELLED:
  case DURO_EVENT_EVENT_SUBSCRIPTION_CANCELLED:
  case DURO_EVENT_SUB_ORCHESTRATION_COMPLETED:
  case DURO_EVENT_SUB_ORCHESTRATION_FAILED:
  case DURO_EVENT_SUB_ORCHESTRATION_CANCELLED:
    return note_closed(x, e, err);
  case DURO_EVENT_EVENT_RECEIVED:
    return note_event(x, e, err);
  case DURO_EVENT_CUSTOM_STATUS_UPDATED:
    return note_custom_status(x, e->input, err);
  case DURO_EVENT_KV_SET:
  case DURO_EVENT_KV_CLEARED:
    return note_kv(x, e, err);
  case DURO_EVENT_ATTRIBUTES_UPDATED:
    return note_attributes(x, e->input, err);
  case DURO_EVENT_PATCH_MARKER:
    return note_patch(x, e, err);
  case DURO_EVENT_SUSPENDED:
  case DURO_EVENT_RESUMED:
    x->suspended = e->kind == DURO_EVENT_SUSPENDED;
    return DURO_OK;
  case DURO_EVENT_ORCHESTRATION_CHAINED:
  case DURO_EVENT_EVENT_SENT:
  case DURO_EVENT_SIDE_EFFECT_RECORDED:
  case DURO_EVENT_NONE:
  case DURO_EVENT_KIND_COUNT:
    return DURO_OK;
  }
  return DURO_OK;
}

// The time and the number move first: what the event opens or seeds may use them. Whatever follows the
// start lets a begin go that was held back; what comes while suspended is still to be told to the code.
duro_code duro__note(duro__exec *x, const duro_event *e, duro_error **err) {
  x->last_id = e->id;
  x->now_ms = e->at_ms;
  bool untold = x->untold || x->suspended || x->held;
  x->held = false;
  duro_code code = fold(x, e, err);
  x->untold = x->suspended && untold;
  return code;
}

// --- What an event is about ---

static bool closes(duro_event_kind kind, duro__open_kind *open) {
  switch (kind) {
  case DURO_EVENT_ACTIVITY_COMPLETED:
  case DURO_EVENT_ACTIVITY_FAILED:
  case DURO_EVENT_ACTIVITY_RETRY_SCHEDULED:
  case DURO_EVENT_ACTIVITY_DEFERRED:
  case DURO_EVENT_ACTIVITY_CANCELLED:
    *open = DURO__OPEN_ACTIVITY;
    return true;
  case DURO_EVENT_TIMER_FIRED:
  case DURO_EVENT_TIMER_CANCELLED:
    *open = DURO__OPEN_TIMER;
    return true;
  case DURO_EVENT_EVENT_SUBSCRIPTION_CANCELLED:
    *open = DURO__OPEN_WAIT;
    return true;
  case DURO_EVENT_SUB_ORCHESTRATION_COMPLETED:
  case DURO_EVENT_SUB_ORCHESTRATION_FAILED:
  case DURO_EVENT_SUB_ORCHESTRATION_CANCELLED:
    *open = DURO__OPEN_CHILD;
    return true;
  default:
    return false;
  }
}

bool duro__needs_source(const duro_event *e) {
  duro__open_kind kind;
  return closes(e->kind, &kind);
}

duro__entry *duro__source(duro__exec *x, const duro_event *e) {
  duro__open_kind kind;
  if (!closes(e->kind, &kind)) return NULL;
  duro__entry *task = duro__open_find(x, e->source);
  return task && task->open.kind == kind ? task : NULL;
}
