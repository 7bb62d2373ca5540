// watchdog.c: a thread that notices a turn which does not come back.
//
// Orchestration code must not work for long between two waits: while it does, nothing else moves. The
// loop cannot notice that itself, so this thread looks, and leaves a note in the file for `why` and for
// other processes. It never touches Lua or the loop's data: the loop writes what is needed into
// rt->watch under its lock, and the note is written by the store thread.
#include <stdio.h>
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/internal.h"

#define LOOK_EVERY_NS UINT64_C(1000000000)
#define LIMIT_NS      ((uint64_t)DURO_WATCHDOG_MS * 1000000)

// --- The note ---

// On the store thread. A fault passes, and the turn may still be stuck: it is told again. A store without
// `note` never takes one.
static void note_run(duro_runtime *rt, duro__command *c) {
  duro_str figures = {c->subject, (size_t)c->number2};
  c->code = duro__store_note(rt->store, c->number, figures, &c->error);
  if (c->code && c->code != DURO_UNSUPPORTED && c->code != DURO_LOCKED) rt->watch.again = true;
}

// What is not told in the end: the note is a help, not a duty.
static void note_done(duro_runtime *rt, duro__command *c) {
  (void)rt;
  free(c->subject);
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

// Any thread that holds w->lock: the writer's queue has its own. `stuck`: JSON. The figures that others
// see stay there beside it.
static void push_note(duro_runtime *rt, const duro__watch *w, duro_str stuck) {
  duro__command *c = duro__command_new(note_run, note_done);
  duro_buf b = {0};
  duro_buf_add_char(&b, '{');
  duro__add_json_member(&b, "stuck", stuck);
  duro__add_json_member(&b, "figures", duro_buf_str(&w->figures));
  duro_buf_add_char(&b, '}');
  if (!c || b.oom) {
    free(c);
    duro_buf_free(&b);
    return;
  }
  c->subject = b.p;
  c->number = w->epoch;
  c->number2 = (int64_t)b.n;
  duro__writer_push(rt, c);
}

static void push_stuck(duro_runtime *rt, const duro__watch *w, uint64_t started_ns) {
  int64_t elapsed_ms = (int64_t)((duro_clock_monotonic_ns() - started_ns) / 1000000);
  duro_buf b = {0};
  duro_buf_add_char(&b, '{');
  duro__add_text_member(&b, "instance_id", duro_str_from(w->instance_id));
  duro__add_time_member(&b, "since", duro_clock_wall_ms() - elapsed_ms);
  duro__add_int_member(&b, "epoch",
                       w->epoch); // whose note it is: the next owner leaves it standing
  duro_buf_add_char(&b, '}');
  if (!b.oom) push_note(rt, w, duro_buf_str(&b));
  duro_buf_free(&b);
}

// --- The thread ---

static void look(duro_runtime *rt, duro__watch *w) {
  uint64_t started_ns = w->turn_started_ns;
  if (!started_ns || (w->noted && !w->again)) return;
  if (duro_clock_monotonic_ns() - started_ns < LIMIT_NS) return;
  w->noted = true;
  w->again = false;
  push_stuck(rt, w, started_ns);
}

static void watch_main(void *user) {
  duro_runtime *rt = user;
  duro__watch *w = &rt->watch;
  uv_mutex_lock(&w->lock);
  while (!w->stop) {
    uv_cond_timedwait(&w->wake, &w->lock, LOOK_EVERY_NS);
    if (!w->stop) look(rt, w);
  }
  uv_mutex_unlock(&w->lock);
}

duro_code duro__watchdog_start(duro_runtime *rt, duro_error **err) {
  duro__watch *w = &rt->watch;
  if (w->started) return DURO_OK;
  if (uv_mutex_init(&w->lock)) return duro_fail_oom(err);
  if (uv_cond_init(&w->wake)) {
    uv_mutex_destroy(&w->lock);
    return duro_fail_oom(err);
  }
  w->stop = false;
  int problem = uv_thread_create(&w->thread, watch_main, rt);
  if (problem) {
    uv_cond_destroy(&w->wake);
    uv_mutex_destroy(&w->lock);
    return duro_fail(err, DURO_UNAVAILABLE, "no thread for the watchdog: %s", uv_strerror(problem));
  }
  w->started = true;
  return DURO_OK;
}

void duro__watchdog_stop(duro_runtime *rt) {
  duro__watch *w = &rt->watch;
  if (!w->started) return;
  uv_mutex_lock(&w->lock);
  w->stop = true;
  uv_cond_signal(&w->wake);
  uv_mutex_unlock(&w->lock);
  uv_thread_join(&w->thread);
  uv_cond_destroy(&w->wake);
  uv_mutex_destroy(&w->lock);
  duro_buf_free(&w->figures);
  w->started = false;
}

// --- The loop's side ---

void duro__watchdog_figures(duro_runtime *rt, duro_str figures) {
  duro__watch *w = &rt->watch;
  if (!w->started) return;
  uv_mutex_lock(&w->lock);
  duro_buf_clear(&w->figures);
  duro_buf_add_str(&w->figures, figures);
  uv_mutex_unlock(&w->lock);
}

// With the lock: takes back the note about the turn before.
static void forget(duro_runtime *rt, duro__watch *w) {
  bool was_noted = w->noted;
  w->noted = false;
  if (was_noted) push_note(rt, w, DURO_STR("null"));
}

void duro__watchdog_begin(duro_runtime *rt, const duro__instance *i) {
  duro__watch *w = &rt->watch;
  if (!w->started) return;
  uv_mutex_lock(&w->lock);
  forget(rt, w); // it may have been noted at the very end
  w->turn_started_ns = rt->tick_ns;
  size_t n = i->id.n < sizeof w->instance_id ? i->id.n : sizeof w->instance_id - 1;
  memcpy(w->instance_id, i->id.p, n);
  w->instance_id[n] = '\0';
  w->epoch = rt->epoch;
  uv_mutex_unlock(&w->lock);
}

void duro__watchdog_end(duro_runtime *rt) {
  duro__watch *w = &rt->watch;
  atomic_store_explicit(&w->turn_started_ns, 0, memory_order_release);
  if (!w->noted) return;
  uv_mutex_lock(&w->lock);
  forget(rt, w);
  uv_mutex_unlock(&w->lock);
}
