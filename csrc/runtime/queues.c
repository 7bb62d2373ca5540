// queues.c: the owner's side of task queues. An attempt that waits for a queue is a row of `jobs`, for
// whoever serves that queue (claims.c, in this process or another).
//
// Invariant: the row is written in the batch of the turn that scheduled the attempt (or its retry, which
// then is not free before its time), and deleted in the batch of the turn that makes it needless; a
// worker's result deletes it and leaves a request of kind "job" in one transaction. So a row exists as
// long as history waits for its attempt, and a result counts once. In memory a duro__job_ref stands for
// it: that is what `runtime` of such an open entry points to.
// Time limits of an attempt hold here: what the worker left in the row is looked at when one could be
// over (duro__queue_overdue).
#include "runtime/answers.h"
#include "runtime/internal.h"

#define LOOK_AGAIN_MS 1000

// --- References ---

typedef struct ref_list {
  duro__job_ref **head, **tail;
} ref_list;

static ref_list queued_of(duro__instance *i) {
  return (ref_list){&i->queued_head, &i->queued_tail};
}

static ref_list kept_of(duro__instance *i) { return (ref_list){&i->kept_head, &i->kept_tail}; }

static duro__job_ref *ref_add(ref_list list, int64_t row_id, int64_t execution_id, int64_t task,
                              int64_t attempt) {
  duro__job_ref *ref = calloc(1, sizeof *ref);
  if (!ref) return NULL;
  ref->row_id = row_id;
  ref->execution_id = execution_id;
  ref->task = task;
  ref->attempt = attempt;
  ref->prev = *list.tail;
  if (ref->prev)
    ref->prev->next = ref;
  else
    *list.head = ref;
  *list.tail = ref;
  return ref;
}

static void ref_free(ref_list list, duro__job_ref *ref) {
  if (ref->prev)
    ref->prev->next = ref->next;
  else
    *list.head = ref->next;
  if (ref->next)
    ref->next->prev = ref->prev;
  else
    *list.tail = ref->prev;
  free(ref);
}

// From the oldest on: results mostly come in the order of their scheduling.
static duro__job_ref *ref_find(ref_list list, int64_t execution_id, int64_t task) {
  duro__job_ref *ref = *list.head;
  while (ref && (ref->task != task || ref->execution_id != execution_id)) ref = ref->next;
  return ref;
}

void duro__job_refs_free(duro__instance *i) {
  while (i->queued_head) ref_free(queued_of(i), i->queued_head);
  while (i->kept_head) ref_free(kept_of(i), i->kept_head);
}

duro__job_ref *duro__kept_ref(duro__instance *i, int64_t execution_id, int64_t task) {
  return ref_find(kept_of(i), execution_id, task);
}

duro__job_ref *duro__kept_add(duro__instance *i, int64_t row_id, int64_t execution_id, int64_t task,
                              int64_t attempt) {
  return ref_add(kept_of(i), row_id, execution_id, task, attempt);
}

// Its row goes with this batch.
static void ref_done(duro__batch *b, ref_list list, duro__job_ref *ref) {
  if (!ref) return;
  int64_t *row = duro__vec_push(&b->jobs_done);
  if (row)
    *row = ref->row_id;
  else
    b->poisoned = true;
  ref_free(list, ref);
}

// --- Rows ---

// The shorter of the attempt's limits; 0 = it has none.
static int64_t limit_ms(const duro__open *o) {
  if (!o->options.p) return 0;
  int64_t attempt = duro_json_member_int(o->options, "attempt_timeout_ms", 0);
  int64_t beat = duro_json_member_int(o->options, "heartbeat_timeout_ms", 0);
  return !beat || (attempt && attempt < beat) ? attempt : beat;
}

static void set_due(duro__instance *i, duro__open *o, duro__job_ref *ref, int64_t due_ms) {
  ref->due_ms = due_ms;
  duro__exec_set_volatile_due(i->exec, o->id, due_ms);
}

// The row of the attempt as it is now, free from `from_ms` on.
static bool write_row(duro_runtime *rt, duro__batch *b, duro__instance *i, const duro__open *o,
                      const duro__job_ref *ref, int64_t from_ms) {
  duro_job_row *row = duro__vec_push(&b->jobs);
  char id[DURO__ACTIVITY_ID_SIZE];
  if (!row) {
    b->poisoned = true;
    return false;
  }
  duro__activity_id(id, i, o->id);
  row->id = ref->row_id;
  row->instance_key = i->key;
  row->execution_id = i->execution_id;
  row->event_id = o->id;
  row->attempt = o->attempt;
  row->queue = duro__row_keep(b, o->queue);
  row->name = duro__row_keep(b, o->name);
  row->activity_id = duro__row_keep(b, duro_str_from(id));
  row->instance_id = duro__row_keep(b, i->id);
  row->input = duro__row_keep(b, o->input);
  row->options = duro__row_keep(b, o->options);
  row->heartbeat = duro__row_keep(b, o->heartbeat);
  row->created_at_ms = duro__now(rt);
  row->lease_until_ms = from_ms;
  row->lost = o->lost_in_a_row;
  row->cancelled = ref->held_back;
  return true;
}

// A retry becomes free at its time. The virtual clock is not the workers': then the owner frees it.
static int64_t free_from_ms(const duro_runtime *rt, const duro__open *o) {
  if (o->state != DURO__STATE_BACKING_OFF) return 0;
  return rt->options.virtual_clock ? DURO_NEVER : o->fire_at_ms;
}

static bool has_queues(const duro_runtime *rt) {
  return duro__store_has(rt->store, DURO__VERB_claim_jobs);
}

static void add_row(duro_runtime *rt, duro__batch *b, duro__instance *i, duro__open *o) {
  if (!has_queues(rt)) return; // duro__queue_start refuses it
  duro__job_ref *ref = ref_add(queued_of(i), ++rt->last_job_id, i->execution_id, o->id, o->attempt);
  if (!ref) {
    b->poisoned = true;
    return;
  }
  o->runtime = ref;
  ref->waits = free_from_ms(rt, o) == DURO_NEVER;
  if (!write_row(rt, b, i, o, ref, free_from_ms(rt, o))) return;
  int64_t limit = limit_ms(o), begin_ms = duro__now(rt);
  if (o->state == DURO__STATE_BACKING_OFF) begin_ms = o->fire_at_ms;
  if (limit) set_due(i, o, ref, begin_ms + limit);
}

// --- In a turn ---

static bool ends_attempt(duro_event_kind kind) {
  return kind == DURO_EVENT_ACTIVITY_COMPLETED || kind == DURO_EVENT_ACTIVITY_FAILED ||
         kind == DURO_EVENT_ACTIVITY_DEFERRED;
}

// What the arrival about this task means for its rows. One that was late, or told of a loss, changes
// nothing but that the details of local heartbeats are in history now.
static void settle(duro_runtime *rt, duro__batch *b, duro__instance *i, int64_t task) {
  ref_done(b, kept_of(i), ref_find(kept_of(i), i->execution_id, task));
  duro__job_ref *ref = ref_find(queued_of(i), i->execution_id, task);
  duro__open *o = duro__exec_open(i->exec, task);
  if (!ref || (o && o->attempt == ref->attempt && o->state != DURO__STATE_DEFERRED)) return;
  ref_done(b, queued_of(i), ref);
  if (!o) return;
  o->runtime = NULL;
  if (o->state != DURO__STATE_DEFERRED) add_row(rt, b, i, o);
}

void duro__queues_settle(duro_runtime *rt, duro__batch *b, duro__instance *i,
                         const duro_message *newest_first) {
  for (const duro_message *m = newest_first; m; m = m->next) {
    if (ends_attempt(m->event.kind)) settle(rt, b, i, m->event.source);
  }
}

void duro__queues_turn(duro_runtime *rt, duro__batch *b, duro__instance *i,
                       const duro__turn_result *result) {
  for (size_t k = 0; k < result->effect_count; k++) {
    const duro__effect *e = &result->effects[k];
    if (e->kind == DURO__START_JOB) {
      if (!e->queued) continue;
      duro__open *o = duro__exec_open(i->exec, e->task);
      if (o && o->queue.p && !o->runtime) add_row(rt, b, i, o);
    } else if (e->kind == DURO__CANCEL_JOB) {
      ref_done(b, queued_of(i), ref_find(queued_of(i), i->execution_id, e->task));
      ref_done(b, kept_of(i), ref_find(kept_of(i), i->execution_id, e->task));
    }
  }
}

// --- After the commit, and when a retry is due ---

// Nobody could ever take it, so it fails at once.
static void refuse(duro_runtime *rt, duro__instance *i, const duro__open *o) {
  duro_event failed = {.kind = DURO_EVENT_ACTIVITY_FAILED, .source = o->id, .attempt = o->attempt};
  failed.error = DURO_STR("{\"code\":\"unsupported\",\"message\":\"this store has no task queues\","
                          "\"retryable\":false}");
  duro_message *m = duro_message_new(&rt->blocks, i->key, i->execution_id, &failed);
  if (m)
    duro__deliver(rt, i, m);
  else
    duro__memory_out(rt, i);
}

void duro__queue_start(duro_runtime *rt, duro__instance *i, duro__open *o) {
  if (!has_queues(rt)) {
    refuse(rt, i, o);
    return;
  }
  duro__job_ref *ref = o->runtime;
  duro__batch *b = ref ? duro__batch_open(rt) : NULL;
  if (!b) return;
  if (o->lost_in_a_row >= rt->options.max_lost_attempts) {
    ref->held_back = true;
    write_row(rt, b, i, o, ref, 0);
    duro__instance_stall_lost(rt, i, o);
  } else if (rt->options.virtual_clock && ref->waits) {
    ref->waits = false;
    write_row(rt, b, i, o, ref, 0);
  }
}

// --- Time limits ---

typedef struct standing {
  bool there, held;
  int64_t claimed_at_ms, beat_at_ms;
  duro_str details;
} standing;

static duro_code look_at(duro_runtime *rt, const duro__job_ref *ref, duro_arena *arena,
                         standing *out, duro_error **err) {
  duro_job_row *rows;
  size_t count;
  *out = (standing){0};
  duro_code code = duro__store_jobs(rt->store, 0, &ref->row_id, 1, arena, &rows, &count, err);
  if (code || !count) return code;
  *out = (standing){.there = true,
                    .held = rows[0].holder.p != NULL,
                    .claimed_at_ms = rows[0].claimed_at_ms,
                    .beat_at_ms = rows[0].beat_at_ms,
                    .details = rows[0].heartbeat};
  duro__claim_times(rt, ref->row_id, &out->claimed_at_ms, &out->beat_at_ms);
  return DURO_OK;
}

// When the limits of a held job end; DURO_NEVER without any.
static int64_t over_at_ms(const duro__open *o, const standing *s) {
  int64_t attempt = duro_json_member_int(o->options, "attempt_timeout_ms", 0);
  int64_t beat = duro_json_member_int(o->options, "heartbeat_timeout_ms", 0);
  int64_t heard_ms = s->beat_at_ms > s->claimed_at_ms ? s->beat_at_ms : s->claimed_at_ms;
  int64_t over = DURO_NEVER;
  if (attempt) over = s->claimed_at_ms + attempt;
  if (beat && heard_ms + beat < over) over = heard_ms + beat;
  return over;
}

bool duro__queue_overdue(duro_runtime *rt, duro__instance *i, duro__open *o, duro_arena *arena,
                         duro_str *details) {
  duro__job_ref *ref = o->runtime;
  int64_t now_ms = duro__now(rt), again_ms = now_ms + LOOK_AGAIN_MS;
  standing s;
  duro_error *err = NULL;
  if (!ref) return false; // its result is on the way
  duro_code code = look_at(rt, ref, arena, &s, &err);
  if (code) {
    duro__log(rt, "warn", "a job could not be looked at: %s", err ? err->message : "");
    duro_error_free(err);
  } else if (s.there && s.held) {
    int64_t over_ms = over_at_ms(o, &s);
    *details = s.details;
    if (over_ms <= now_ms) return true;
    // The virtual clock does not tell how long another process has worked: it decides by itself.
    if (rt->options.virtual_clock && !duro__claim_times(rt, ref->row_id, NULL, NULL)) return true;
    again_ms = over_ms;
  } else if (s.there) {
    again_ms = now_ms + limit_ms(o);
  }
  set_due(i, o, ref, again_ms);
  return false;
}

// --- Loading ---

static bool wants_row(const duro__open *o) {
  if (o->kind != DURO__OPEN_ACTIVITY || o->state == DURO__STATE_DEFERRED) return false;
  return o->queue.p || (!o->runtime && o->state != DURO__STATE_BACKING_OFF);
}

static bool wants_rows(duro__exec *x) {
  for (duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    if (wants_row(o)) return true;
  }
  return false;
}

static bool is_about(const duro__instance *i, const duro__open *o, int64_t execution_id,
                     int64_t attempt) {
  return o && o->kind == DURO__OPEN_ACTIVITY && execution_id == i->execution_id &&
         attempt == o->attempt;
}

static void drop_row(duro_runtime *rt, int64_t row_id) {
  duro__batch *b = duro__batch_open(rt);
  int64_t *slot = b ? duro__vec_push(&b->jobs_done) : NULL;
  if (slot) *slot = row_id;
}

static void attach_queued(duro_runtime *rt, duro__instance *i, duro__open *o,
                          const duro_job_row *row) {
  duro__job_ref *ref =
      ref_add(queued_of(i), row->id, row->execution_id, row->event_id, row->attempt);
  if (!ref) return;
  o->runtime = ref;
  ref->held_back = row->cancelled;
  ref->waits = rt->options.virtual_clock && row->lease_until_ms == DURO_NEVER;
  if (ref->held_back && o->lost_in_a_row < rt->options.max_lost_attempts) {
    duro__batch *b = duro__batch_open(rt);
    ref->held_back = false;
    if (b) write_row(rt, b, i, o, ref, 0);
  }
  int64_t limit = limit_ms(o);
  if (limit) set_due(i, o, ref, row->holder.p ? duro__now(rt) : duro__now(rt) + limit);
}

static void attach_row(duro_runtime *rt, duro__instance *i, const duro_job_row *row) {
  duro__open *o = duro__exec_open(i->exec, row->event_id);
  if (!is_about(i, o, row->execution_id, row->attempt)) {
    drop_row(rt, row->id);
  } else if (o->queue.p) {
    attach_queued(rt, i, o, row);
  } else if (duro__kept_add(i, row->id, row->execution_id, row->event_id, row->attempt)) {
    duro__exec_set_heartbeat(i->exec, o->id, row->heartbeat, NULL);
  }
}

static void read_rows(duro_runtime *rt, duro__instance *i) {
  duro_arena arena = {0};
  duro_job_row *rows = NULL;
  size_t count = 0;
  duro_error *err = NULL;
  duro_code code = duro__store_jobs(rt->store, i->key, NULL, 0, &arena, &rows, &count, &err);
  if (code && code != DURO_UNSUPPORTED) {
    duro__log(rt, "error", "the jobs of '%.*s' could not be read: %s", DURO_FMT(i->id),
              err ? err->message : "");
  }
  for (size_t k = 0; k < count; k++) attach_row(rt, i, &rows[k]);
  i->rows_known = !code;
  duro_error_free(err);
  duro_arena_free(&arena);
}

// A coroutine was built anew, or its instance loaded: the open entries find their rows again.
void duro__queues_attach(duro_runtime *rt, duro__instance *i) {
  if (!i->exec) return;
  for (duro__job_ref *ref = i->queued_head, *next; ref; ref = next) {
    next = ref->next;
    duro__open *o = duro__exec_open(i->exec, ref->task);
    if (!is_about(i, o, ref->execution_id, ref->attempt)) {
      drop_row(rt, ref->row_id);
      ref_free(queued_of(i), ref);
      continue;
    }
    o->runtime = ref;
    if (ref->due_ms) duro__exec_set_volatile_due(i->exec, o->id, ref->due_ms);
  }
  if (i->rows_known || i->needs_insert) return;
  if (wants_rows(i->exec))
    read_rows(rt, i);
  else
    i->rows_known = true;
}

duro_code duro__queue_look(duro_runtime *rt, duro_str queue, duro_queue_state *out,
                           duro_error **err) {
  return duro__store_queue_state(rt->store, queue, duro_clock_wall_ms(), out, err);
}

// --- What workers tell (requests of kind "job") ---

static duro__instance *receiver(duro_runtime *rt, duro_request *r, int64_t key) {
  duro__instance *i = NULL;
  duro_status ended = DURO_STATUS_COMPLETED;
  duro_error *err = NULL;
  duro_code code = duro__instance_fetch_by_key(rt, key, &i, &ended, &err);
  if (!code && i) return i;
  if (code) {
    duro__fail_with(r, code, err);
  } else {
    duro__request_fail(r, DURO_FINISHED, "the job's instance has ended (%s)",
                       duro_status_string(ended));
  }
  return NULL;
}

// How many of its losses are in history, or on their way there. What cannot be known counts as none.
static int64_t losses_known(const duro__instance *i, int64_t task) {
  int64_t known = 0;
  const duro__open *o = i->exec ? duro__exec_open(i->exec, task) : NULL;
  if (o) known = o->lost_in_a_row;
  for (const duro_message *m = i->inbox_head; m; m = m->next) {
    known +=
        m->event.kind == DURO_EVENT_ACTIVITY_FAILED && m->event.lost && m->event.source == task;
  }
  return known;
}

static void take_losses(duro_runtime *rt, duro_request *r, duro__instance *i, int64_t execution_id,
                        duro_event *e, int64_t lost) {
  int64_t news = i->execution_id == execution_id ? lost - losses_known(i, e->source) : 0;
  e->kind = DURO_EVENT_ACTIVITY_FAILED;
  e->lost = true;
  e->error = DURO_STR("{\"code\":\"unavailable\",\"message\":\"the worker that ran it has died\"}");
  for (; news > 1; news--) duro__submit(rt, NULL, i, execution_id, e);
  if (news > 0)
    duro__submit(rt, r, i, execution_id, e);
  else
    duro__request_durable(r);
}

void duro__verb_job(duro_runtime *rt, duro_request *r, duro_str args) {
  int64_t execution_id = duro_json_member_int(args, "execution", 0);
  int64_t lost = duro_json_member_int(args, "lost", 0);
  duro_event e = {.kind = DURO_EVENT_ACTIVITY_COMPLETED,
                  .source = duro_json_member_int(args, "task", 0),
                  .attempt = duro_json_member_int(args, "attempt", 0),
                  .output = duro_json_member(args, "output"),
                  .error = duro_json_member(args, "error"),
                  .heartbeat = duro_json_member(args, "heartbeat")};
  duro__instance *i = receiver(rt, r, duro_json_member_int(args, "key", 0));
  if (!i) return;
  if (lost) {
    take_losses(rt, r, i, execution_id, &e, lost);
    return;
  }
  if (e.error.p) e.kind = DURO_EVENT_ACTIVITY_FAILED;
  if (duro_json_member_bool(args, "deferred", false)) {
    e.kind = DURO_EVENT_ACTIVITY_DEFERRED;
    e.fire_at_ms = duro_json_member_int(args, "fire_at", 0);
  }
  duro__submit(rt, r, i, execution_id, &e);
}
