// loop.c: one step of the runtime: take in what came (commits, timers, clients), run turns, hand over a
// batch; and sleeping until there is more.
//
// Invariant: duro_step never blocks on the store thread but in its own wait, and never runs so many turns
// that the host's activities starve.
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/bulk.h"
#include "runtime/figures.h"
#include "runtime/internal.h"

#define TURNS_PER_STEP  4000
#define LEAVE_NS        UINT64_C(1000000) // in letting go of what a large batch had
#define TURNS_NS        UINT64_C(2000000) // beside a slice of a bulk call (bulk_steps.c)
#define BEGUN_NS        UINT64_C(4000000) // of what a call has begun
#define LONGEST_WAIT_MS 1000              // leases are renewed and other processes looked after

void duro__log(duro_runtime *rt, const char *level, const char *format, ...) {
  if (!rt->options.log) return;
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  rt->options.log(rt->options.log_user, level, text, DURO_NONE);
}

bool duro__is_own_process(const duro_runtime *rt) { return rt->pid == (int)getpid(); }

// --- Time ---

int64_t duro__now(duro_runtime *rt) {
  int64_t now_ms = rt->options.virtual_clock ? rt->virtual_now_ms : duro_clock_wall_ms();
  if (now_ms > rt->last_now_ms) rt->last_now_ms = now_ms;
  return rt->last_now_ms;
}

uint64_t duro__tick(duro_runtime *rt) { return rt->tick_ns = duro_clock_monotonic_ns(); }

int64_t duro_now_ms(const duro_runtime *rt) {
  int64_t now_ms = rt->options.virtual_clock ? rt->virtual_now_ms : duro_clock_wall_ms();
  return now_ms > rt->last_now_ms ? now_ms : rt->last_now_ms;
}

int64_t duro_next_due_ms(duro_runtime *rt) {
  int64_t due_ms = duro__timers_next_ms(rt), sleeper_ms = duro__sleepers_next_ms(rt);
  return sleeper_ms < due_ms ? sleeper_ms : due_ms;
}

duro_code duro_set_time(duro_runtime *rt, int64_t now_ms, duro_error **err) {
  if (!rt->options.virtual_clock) {
    return duro_fail(err, DURO_UNSUPPORTED, "the time can be moved only with clock = \"virtual\"");
  }
  if (now_ms < rt->virtual_now_ms) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "time cannot be moved backwards");
  }
  rt->virtual_now_ms = now_ms;
  return DURO_OK;
}

// --- Work ---

static bool turns_allowed(const duro_runtime *rt) {
  if (rt->role != DURO_ROLE_RUNTIME || rt->fault || rt->lost) return false;
  if (rt->resume_ns || rt->starved_ns) return false; // a pause
  return !(rt->options.virtual_clock && (rt->in_flight || duro__claims_busy(rt)));
}

// The turns of a call for many instances come in slices, too; and the batch that one holds takes every turn.
static bool enough_turns(duro_runtime *rt, uint64_t from_ns) {
  if (rt->options.virtual_clock) return false;
  uint64_t most_ns = rt->bulks ? TURNS_NS : rt->begun_tail ? BEGUN_NS : UINT64_MAX;
  if (rt->tick_ns - from_ns >= most_ns) return true;
  return !rt->holder && duro__batch_full(rt) && !duro__batches_turn(rt);
}

static bool run_turns(duro_runtime *rt) {
  bool any = false;
  uint64_t from_ns = rt->bulks || rt->begun_tail ? duro__tick(rt) : rt->tick_ns;
  for (int n = 0; rt->ready_count && n < TURNS_PER_STEP && turns_allowed(rt); n++) {
    if (enough_turns(rt, from_ns)) break;
    duro__turn_run(rt, duro__instance_next_ready(rt));
    any = true;
  }
  return any;
}

void duro__turns_now(duro_runtime *rt) {
  for (size_t n = rt->ready_count; n && rt->ready_count && turns_allowed(rt); n--) {
    duro__turn_run(rt, duro__instance_next_ready(rt));
  }
}

// Stalled instances are tried again, page by page, once code was registered.
static bool recheck_stalled(duro_runtime *rt) {
  if (!rt->recheck_stalled || rt->fault) return false;
  duro_arena arena = {0};
  duro_instance_rows rows = {0};
  duro_list_query query = {.filter = {.statuses = 1u << DURO_STATUS_STALLED},
                           .ascending = true,
                           .after_key = rt->recheck_after_key,
                           .limit = 100};
  duro_error *err = NULL;
  duro_code code = duro__store_list(rt->store, &query, &arena, &rows, &err);
  for (size_t k = 0; !code && k < rows.count; k++) {
    duro__instance *i = NULL;
    duro_status ended;
    duro_error *problem = NULL;
    rt->recheck_after_key = rows.items[k].key;
    if (duro__live_by_key(rt, rows.items[k].key)) continue;
    if (duro__instance_fetch_by_key(rt, rows.items[k].key, &i, &ended, &problem)) {
      duro__log(rt, "error", "a stalled instance could not be loaded: %s",
                problem ? problem->message : "");
    }
    duro_error_free(problem);
  }
  if (code || rows.count < 100) {
    rt->recheck_stalled = false;
    rt->recheck_after_key = 0;
  }
  if (code)
    duro__log(rt, "error", "stalled instances could not be read: %s", err ? err->message : "");
  duro_error_free(err);
  duro_arena_free(&arena);
  return true;
}

static bool own_work(duro_runtime *rt) {
  duro__owner_renew(rt);
  bool any = duro__fault_turn(rt);
  any |= duro__batches_leave(rt, LEAVE_NS);
  if (!rt->fault && !rt->resume_ns) any |= duro__memory_turn(rt);
  any |= duro__clients_poll(rt);
  if (turns_allowed(rt)) {
    any |= duro__timers_fire(rt);
    any |= duro__sweep_step(rt);
    any |= recheck_stalled(rt);
  }
  any |= run_turns(rt);
  any |= duro__heartbeats_turn(rt);
  any |= duro__batches_turn(rt);
  if (rt->bulks && (rt->lost || turns_allowed(rt))) any |= duro__bulks_turn(rt);
  duro__fold_turn(rt);
  duro__figures_turn(rt);
  if (rt->live_count > (size_t)rt->options.max_live_instances) duro__evict(rt, 0);
  return any;
}

static bool work(duro_runtime *rt) {
  rt->worked_ns = duro__tick(rt);
  // It only takes note of having been woken. A foreign loop has to see that at once (its duro_fd stays
  // readable); a host that blocks here sees it, at the latest, where it would wait.
  if (!rt->may_block || !rt->ready_count) uv_run(&rt->loop, UV_RUN_NOWAIT);
  bool any = duro__writer_collect(rt);
  any |= duro__threads_collect(rt);
  duro__jobs_begin_more(rt);
  any |= duro__sleepers_wake(rt);
  any |= duro__claims_step(rt);
  if (rt->role == DURO_ROLE_RUNTIME)
    any |= own_work(rt);
  else
    any |= duro__client_step(rt);
  return any;
}

// --- Waiting ---

static int64_t ms_until(int64_t due_ms, int64_t now_ms) {
  return due_ms <= now_ms ? 0 : due_ms - now_ms;
}

static int64_t ms_until_ns(uint64_t at_ns) {
  uint64_t now_ns = duro_clock_monotonic_ns();
  return at_ns <= now_ns ? 0 : (int64_t)((at_ns - now_ns) / 1000000) + 1;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// The host could take one.
static bool jobs_wait(const duro_runtime *rt) {
  return (rt->ready_jobs.head || rt->beginning_head) &&
         rt->jobs_out < (size_t)rt->options.activity_concurrency;
}

static bool can_move_now(const duro_runtime *rt) {
  if (jobs_wait(rt)) return true;
  if (rt->woken_jobs.head) return true;
  if (!turns_allowed(rt)) return false;
  bool room = rt->holder || !duro__batch_full(rt) || rt->in_flight < DURO_BATCHES_IN_FLIGHT;
  if (rt->ready_count && room) return true;
  if (rt->leaving || (rt->bulks && !duro__bulks_wait(rt))) return true;
  if (rt->holder) return false;
  return rt->recheck_stalled || (rt->open && !rt->in_flight);
}

int64_t duro_next_timeout_ms(const duro_runtime *rt) {
  duro_runtime *self = (duro_runtime *)rt; // asking for the time may move the high-water mark
  if (can_move_now(rt)) return 0;
  int64_t wait = LONGEST_WAIT_MS;
  if (rt->in_flight == 0 || !rt->options.virtual_clock) {
    int64_t due_ms = duro_next_due_ms(self), now_ms = duro__now(self);
    if (due_ms <= now_ms && !turns_allowed(rt))
      due_ms = DURO_NEVER; // cannot be served at this moment
    if (!rt->options.virtual_clock) {
      if (due_ms != DURO_NEVER) wait = least(wait, ms_until(due_ms, now_ms));
    } else if (due_ms <= now_ms)
      wait = 0;
  }
  if (rt->sweeping && duro__sweep_has_room(rt) && turns_allowed(rt)) wait = 0;
  if (rt->fault && !rt->probing && !rt->in_flight)
    wait = least(wait, ms_until_ns(rt->fault_retry_ns));
  if (rt->resume_ns && !rt->fault) wait = least(wait, ms_until_ns(rt->resume_ns));
  if (rt->starved_ns) wait = least(wait, ms_until_ns(rt->starved_ns));
  wait = least(wait, duro__figures_wait_ms(rt));
  return least(wait, least(duro__client_poll_ms(rt), duro__claims_wait_ms(rt)));
}

// When the thread was held up for longer than the wait, libuv (before 1.45) runs the timer first, and
// would then poll without an end.
static void on_timer(uv_timer_t *timer) { uv_stop(timer->loop); }

static void wait_for(duro_runtime *rt, int64_t ms) {
  if (ms > 0) {
    uv_update_time(&rt->loop);
    uv_timer_start(&rt->timer, on_timer, (uint64_t)ms, 0);
    uv_run(&rt->loop, UV_RUN_ONCE);
    uv_timer_stop(&rt->timer);
  }
}

int duro_fd(const duro_runtime *rt) { return uv_backend_fd(&rt->loop); }

void duro_wake(duro_runtime *rt) { uv_async_send(&rt->wake); }

duro_code duro_step(duro_runtime *rt, int64_t timeout_ms, int64_t *turns, duro_error **err) {
  int64_t before = rt->totals.turns;
  uint64_t until_ns =
      duro_clock_monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000;
  rt->did_something = false;
  rt->jobs_begun = 0;
  bool worked = false;
  for (;;) {
    rt->may_block = timeout_ms != 0;
    worked |= work(rt);
    rt->may_block = false;
    if (rt->lost) break;
    if (jobs_wait(rt) || rt->woken_jobs.head || rt->did_something || rt->totals.turns != before)
      break;
    int64_t left = timeout_ms < 0 ? LONGEST_WAIT_MS : ms_until_ns(until_ns);
    if (timeout_ms >= 0 && duro_clock_monotonic_ns() >= until_ns) break;
    wait_for(rt, least(left, duro_next_timeout_ms(rt)));
  }
  if (turns) *turns = rt->totals.turns - before;
  if (rt->lost) {
    return duro_fail(err, DURO_LOCKED, "the lease of '%s' was lost: another process owns it",
                     rt->path);
  }
  return DURO_OK;
}

bool duro_idle(const duro_runtime *rt) {
  duro_runtime *self = (duro_runtime *)rt;
  if (jobs_wait(rt) || rt->woken_jobs.head) return false;
  if (rt->jobs_out > rt->jobs_idle + duro__threads_stuck(rt)) return false;
  if (!duro__claims_idle(rt) || rt->stream_reads) return false;
  if (rt->role != DURO_ROLE_RUNTIME) return !rt->waiters && !rt->posted;
  if (rt->fault || rt->resume_ns || rt->starved_ns || rt->in_flight || rt->open) return false;
  if (rt->ready_count || rt->recheck_stalled || rt->want_fold.count) return false;
  if (rt->bulks || rt->leaving) return false;
  if (rt->sweeping && duro__sweep_has_room(rt)) return false;
  return duro_next_due_ms(self) > duro__now(self);
}
