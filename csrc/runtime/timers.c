// timers.c: what is due, and when. One binary heap of instances by (earliest due time, key); inside an
// instance its exec keeps its own tasks in order. So things due at the same millisecond happen in the
// order of instance creation, then event id. What is not live is found through `wake_at_ms` in the store,
// by a sweep that loads page after page as long as there is room.
#include "runtime/internal.h"

#define SWEEP_PAGE     256
#define SWEEP_AGAIN_NS UINT64_C(1000000000)

// --- The heap ---

static bool earlier(const duro__instance *a, const duro__instance *b) {
  if (a->due_ms != b->due_ms) return a->due_ms < b->due_ms;
  return a->key < b->key;
}

static void place(duro_runtime *rt, duro__instance *i, size_t at) {
  rt->due.items[at] = i;
  i->due_index = at;
}

static void sift_up(duro_runtime *rt, size_t at) {
  duro__instance *i = rt->due.items[at];
  while (at > 0) {
    size_t up = (at - 1) / 2;
    if (!earlier(i, rt->due.items[up])) break;
    place(rt, rt->due.items[up], at);
    at = up;
  }
  place(rt, i, at);
}

static void sift_down(duro_runtime *rt, size_t at) {
  duro__instance *i = rt->due.items[at];
  for (;;) {
    size_t down = at * 2 + 1;
    if (down >= rt->due.count) break;
    if (down + 1 < rt->due.count && earlier(rt->due.items[down + 1], rt->due.items[down])) down++;
    if (!earlier(rt->due.items[down], i)) break;
    place(rt, rt->due.items[down], at);
    at = down;
  }
  place(rt, i, at);
}

void duro__timers_remove(duro_runtime *rt, duro__instance *i) {
  if (i->due_ms == DURO_NEVER) return;
  i->due_ms = DURO_NEVER;
  size_t at = i->due_index;
  duro__instance *last = rt->due.items[--rt->due.count];
  if (last == i) return;
  place(rt, last, at);
  sift_up(rt, at);
  sift_down(rt, last->due_index);
}

void duro__timers_at(duro_runtime *rt, duro__instance *i, int64_t due_ms) {
  if (i->due_ms == due_ms) return;
  if (due_ms == DURO_NEVER) {
    duro__timers_remove(rt, i);
    return;
  }
  if (i->due_ms == DURO_NEVER) {
    duro__instance **slot = duro__vec_push(&rt->due);
    if (!slot) {
      duro__log(rt, "error", "memory is out: a timer of '%.*s' is late", DURO_FMT(i->id));
      duro__memory_out(rt, i);
      return;
    }
    i->due_ms = due_ms;
    place(rt, i, rt->due.count - 1);
    sift_up(rt, i->due_index);
    return;
  }
  i->due_ms = due_ms;
  sift_up(rt, i->due_index);
  sift_down(rt, i->due_index);
}

void duro__timers_update(duro_runtime *rt, duro__instance *i) {
  if (!i->exec || i->gone || duro__instance_parked(i)) {
    if (i->status != DURO_STATUS_PENDING) duro__timers_remove(rt, i);
    return;
  }
  int64_t due_ms = duro__exec_next_due_ms(i->exec);
  int64_t deadline_ms = duro__exec_deadline_ms(i->exec);
  if (deadline_ms && deadline_ms < due_ms && !i->deadline_sent) due_ms = deadline_ms;
  duro__timers_at(rt, i, due_ms);
}

int64_t duro__timers_next_ms(duro_runtime *rt) {
  int64_t next = rt->due.count ? rt->due.items[0]->due_ms : DURO_NEVER;
  return rt->next_sweep_ms < next ? rt->next_sweep_ms : next;
}

// --- Firing ---

static void arrive(duro_runtime *rt, duro__instance *i, const duro_event *e) {
  duro_message *m = duro_message_new(&rt->blocks, i->key, i->execution_id, e);
  if (m) duro__deliver(rt, i, m);
}

// What an attempt told last, for the next one.
static duro_str details_of(const duro__open *o) {
  const duro_job *job = o->runtime;
  return job && job->heartbeat.n ? duro_buf_str(&job->heartbeat) : DURO_NONE;
}

// Whether it is its heartbeats that did not come. Of an attempt elsewhere only the limits are known.
static bool fell_silent(const duro__open *o) {
  const duro_job *job = o ? o->runtime : NULL;
  if (job && !o->queue.p)
    return job->beat_due_ms &&
           (!job->attempt_deadline_ms || job->beat_due_ms < job->attempt_deadline_ms);
  return o && duro_json_member_int(o->options, "heartbeat_timeout_ms", 0) &&
         !duro_json_member_int(o->options, "attempt_timeout_ms", 0);
}

static duro_str limit_error(const duro__open *o, bool whole) {
  if (whole)
    return DURO_STR("{\"code\":\"timeout\",\"message\":\"the activity's time was over\","
                    "\"retryable\":false}");
  if (fell_silent(o))
    return DURO_STR("{\"code\":\"timeout\",\"message\":\"no heartbeat came in time\"}");
  return DURO_STR("{\"code\":\"timeout\",\"message\":\"the attempt's time was over\"}");
}

static void attempt_timed_out(duro_runtime *rt, duro__instance *i, int64_t task, bool whole) {
  duro__open *o = duro__exec_open(i->exec, task);
  duro_arena arena = {0};
  duro_event e = {
      .kind = DURO_EVENT_ACTIVITY_FAILED, .source = task, .attempt = o ? o->attempt : 0};
  e.error = limit_error(o, whole);
  if (o && o->queue.p) { // its row goes with the turn
    if (whole || duro__queue_overdue(rt, i, o, &arena, &e.heartbeat)) arrive(rt, i, &e);
  } else {
    if (o) e.heartbeat = details_of(o);
    arrive(rt, i, &e);
    if (o && o->runtime) duro__job_cancel(rt, o->runtime);
  }
  duro_arena_free(&arena);
}

static void fire_tasks(duro_runtime *rt, duro__instance *i, int64_t now_ms) {
  int64_t task = 0;
  bool whole = false, marked = false;
  for (;;) {
    switch (duro__exec_take_due(i->exec, now_ms, &task, &whole)) {
    case DURO__DUE_NONE:
      if (marked) duro__results_mark(i, i->inbox_head, false);
      return;
    case DURO__DUE_TIMER: {
      duro_event e = {.kind = DURO_EVENT_TIMER_FIRED, .source = task};
      arrive(rt, i, &e);
      break;
    }
    case DURO__DUE_RETRY: {
      // After a fault of the store the result of the attempt that is due may have come back before.
      if (!marked) duro__results_mark(i, i->inbox_head, true);
      marked = true;
      duro__open *o = duro__exec_open(i->exec, task);
      if (o && !o->ended) duro__job_start(rt, i, o);
      break;
    }
    case DURO__DUE_TIMEOUT:
      attempt_timed_out(rt, i, task, whole);
      break;
    }
  }
}

static void fire(duro_runtime *rt, duro__instance *i, int64_t now_ms) {
  fire_tasks(rt, i, now_ms);
  int64_t deadline_ms = duro__exec_deadline_ms(i->exec);
  if (deadline_ms && deadline_ms <= now_ms && !i->deadline_sent) {
    duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_FAILED};
    e.error = DURO_STR("{\"code\":\"timeout\",\"message\":\"the instance's time was over\"}");
    i->deadline_sent = true;
    arrive(rt, i, &e);
  }
}

// Nothing that still lies in the store is due before it: what is due at one time happens in one order,
// whether it stayed in memory or not.
static bool is_next(const duro_runtime *rt, const duro__instance *i) {
  if (i->due_ms >= rt->next_sweep_ms) return false;
  if (!rt->sweeping || i->due_ms < rt->sweep_wake_ms) return true;
  return i->due_ms == rt->sweep_wake_ms && i->key <= rt->sweep_key;
}

bool duro__timers_fire(duro_runtime *rt) {
  if (!rt->due.count) return false;
  int64_t now_ms = duro__now(rt);
  bool any = false;
  while (rt->due.count && rt->due.items[0]->due_ms <= now_ms && is_next(rt, rt->due.items[0])) {
    duro__instance *i = rt->due.items[0];
    any = true;
    if (i->status == DURO_STATUS_PENDING) {
      duro__timers_remove(rt, i);
      i->start_due = true;
      duro__instance_ready(rt, i);
      continue;
    }
    fire(rt, i, now_ms);
    duro__timers_update(rt, i);
    if (i->due_ms <= now_ms) break; // never spin on one that cannot be served
  }
  return any;
}

// --- Sweeping the store ---

void duro__sweep_start(duro_runtime *rt, int64_t from_wake_ms) {
  rt->sweeping = true;
  rt->sweep_wake_ms = from_wake_ms;
  rt->sweep_key = 0;
  rt->sweep_now_ms = duro__now(rt);
  rt->next_sweep_ms = DURO_NEVER;
}

static void sweep_over(duro_runtime *rt, int64_t next_ms) {
  rt->sweeping = false;
  rt->swept_to_ms = rt->sweep_now_ms;
  if (next_ms < rt->next_sweep_ms) rt->next_sweep_ms = next_ms;
}

static bool can_run_here(const duro_runtime *rt, const duro_instance_row *row) {
  return row->vm == DURO_VM_ANY || row->vm == rt->options.vm || rt->options.any_vm;
}

// The store fails: no turns, and no sweeping, before it has had the time to recover.
static void let_store_rest(duro_runtime *rt) {
  if (!rt->resume_ns) rt->resume_ns = duro_clock_monotonic_ns() + SWEEP_AGAIN_NS;
}

static void sweep_load(duro_runtime *rt, const duro_instance_row *row) {
  if (!can_run_here(rt, row) || duro__live_by_key(rt, row->key)) return;
  duro__instance *i = NULL;
  duro_status ended;
  duro_error *err = NULL;
  duro_code code = duro__instance_fetch_by_key(rt, row->key, &i, &ended, &err);
  if (code) {
    duro__log(rt, "error", "an instance that is due could not be loaded: %s",
              err ? err->message : "");
    int64_t *again = duro__vec_push(&rt->reload);
    if (again) *again = row->key;
    let_store_rest(rt);
  }
  duro_error_free(err);
}

// The limit holds back what is due as long as others move and will make room. When nothing does, because all
// that is live waits in memory (its jobs run, or it is not folded yet), a page more is loaded all the same.
bool duro__sweep_has_room(const duro_runtime *rt) {
  return rt->live_count < (size_t)rt->options.max_live_instances ||
         (!rt->ready_count && !rt->in_flight && !rt->open);
}

bool duro__sweep_step(duro_runtime *rt) {
  if (rt->role != DURO_ROLE_RUNTIME || rt->fault) return false;
  if (!rt->sweeping) {
    if (rt->next_sweep_ms > duro__now(rt)) return false;
    // What was due at or before the last sweep is live, or has been put back with a later time.
    duro__sweep_start(rt, rt->swept_to_ms < rt->next_sweep_ms ? rt->swept_to_ms
                                                              : rt->next_sweep_ms - 1);
  }
  duro__evict(rt, 1);
  if (!duro__sweep_has_room(rt)) return false;
  duro_arena arena = {0};
  duro_instance_rows rows = {0};
  int64_t next_ms = DURO_NEVER;
  duro_error *err = NULL;
  duro_code code = duro__store_due(rt->store, rt->sweep_now_ms, rt->sweep_wake_ms, rt->sweep_key,
                                   SWEEP_PAGE, &arena, &rows, &next_ms, &err);
  if (code) {
    duro__log(rt, "error", "due instances could not be read: %s", err ? err->message : "");
    duro_error_free(err);
    duro_arena_free(&arena);
    let_store_rest(rt); // and then from the same place
    return false;
  }
  for (size_t k = 0; k < rows.count; k++) sweep_load(rt, &rows.items[k]);
  if (rows.count) {
    rt->sweep_wake_ms = rows.items[rows.count - 1].wake_at_ms;
    rt->sweep_key = rows.items[rows.count - 1].key;
  }
  bool more = rows.count == SWEEP_PAGE;
  if (!more) sweep_over(rt, next_ms);
  bool any = rows.count > 0;
  duro_arena_free(&arena);
  return any;
}
