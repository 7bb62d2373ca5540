// writer.c: the two threads beside the loop. The store thread owns the write connection and runs
// commits, folds and lease commands in the order they were pushed; the helper copies the log back.
//
// While the store thread has nothing to do, the loop thread may borrow its place for one command: where
// it would only wait for the answer, waking another thread and being woken by it costs more than it gives.
//
// Invariant: a command is touched by one thread at a time: the loop until it is pushed, the worker
// until it is on the done queue, then the loop again. `done` is called in the order of `run`. To add work for a thread: a command with `run`
// and `done`, nothing else.
#include "runtime/answers.h"
#include "runtime/internal.h"

#define FOLD_EVERY_NS                                                                              \
  UINT64_C(1000000000)            // a reader elsewhere sees the projection at most this late
#define FOLD_ROWS          100000 // measured: large strides in key order pay
#define FOLD_ROWS_FOR_ROOM 5000   // ... but memory is to stay near max_live_instances

// With the lock, which is let go meanwhile.
static void worker_run(duro__worker *w, duro__command *c) {
  w->busy = true;
  w->moved_ns = duro_clock_monotonic_ns();
  uv_mutex_unlock(&w->lock);
  c->next = NULL;
  c->run(w->rt, c);
  uv_mutex_lock(&w->lock);
  w->busy = false;
  w->moved_ns = duro_clock_monotonic_ns();
  if (w->done_tail)
    w->done_tail->next = c;
  else
    w->done_head = c;
  w->done_tail = c;
}

static void worker_main(void *argument) {
  duro__worker *w = argument;
  uv_mutex_lock(&w->lock);
  for (;;) {
    while (w->lent || (!w->todo_head && !w->stop)) uv_cond_wait(&w->wanted, &w->lock);
    duro__command *c = w->todo_head;
    if (!c) break; // stopped, and nothing is left to do
    w->todo_head = c->next;
    if (!w->todo_head) w->todo_tail = NULL;
    worker_run(w, c);
    uv_async_send(&w->rt->wake);
  }
  uv_mutex_unlock(&w->lock);
}

static duro_code worker_start(duro_runtime *rt, duro__worker *w, duro_error **err) {
  w->rt = rt;
  if (uv_mutex_init(&w->lock)) return duro_fail_oom(err);
  if (uv_cond_init(&w->wanted)) {
    uv_mutex_destroy(&w->lock);
    return duro_fail_oom(err);
  }
  w->stop = false;
  int rc = uv_thread_create(&w->thread, worker_main, w);
  if (rc) {
    uv_cond_destroy(&w->wanted);
    uv_mutex_destroy(&w->lock);
    return duro_fail(err, DURO_STORAGE, "a thread could not be started: %s", uv_strerror(rc));
  }
  w->started = true;
  return DURO_OK;
}

static void worker_stop(duro__worker *w) {
  if (!w->started) return;
  uv_mutex_lock(&w->lock);
  w->stop = true;
  uv_cond_signal(&w->wanted);
  uv_mutex_unlock(&w->lock);
  uv_thread_join(&w->thread);
}

static void worker_free(duro__worker *w) {
  if (!w->started) return;
  uv_cond_destroy(&w->wanted);
  uv_mutex_destroy(&w->lock);
  w->started = false;
}

duro_code duro__writer_start(duro_runtime *rt, duro_error **err) {
  duro_code code = worker_start(rt, &rt->writer, err);
  if (!code) code = worker_start(rt, &rt->helper, err);
  return code;
}

static bool worker_idle(duro__worker *w) {
  if (!w->started) return true;
  uv_mutex_lock(&w->lock);
  bool idle = !w->busy && !w->todo_head && !w->done_head;
  uv_mutex_unlock(&w->lock);
  return idle;
}

static void fold_continue(duro_runtime *rt);

// What comes to its end may order more, and that comes to its end too.
void duro__writer_stop(duro_runtime *rt) {
  for (;;) {
    duro__writer_collect(rt);
    if (!rt->folding) fold_continue(rt);
    bool idle = worker_idle(&rt->writer) && worker_idle(&rt->helper);
    if (idle && !rt->want_fold.count && !rt->again) break;
    if (!idle) uv_run(&rt->loop, UV_RUN_ONCE); // a worker wakes it
  }
  worker_stop(&rt->writer);
  worker_stop(&rt->helper);
  worker_free(&rt->writer);
  worker_free(&rt->helper);
}

duro__command *duro__command_new(void (*run)(duro_runtime *, duro__command *),
                                 void (*done)(duro_runtime *, duro__command *)) {
  duro__command *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->run = run;
  c->done = done;
  return c;
}

static void worker_push(duro__worker *w, duro__command *c) {
  uv_mutex_lock(&w->lock);
  if (!w->busy && !w->todo_head) w->moved_ns = duro_clock_monotonic_ns();
  c->next = NULL;
  if (w->todo_tail)
    w->todo_tail->next = c;
  else
    w->todo_head = c;
  w->todo_tail = c;
  uv_cond_signal(&w->wanted);
  uv_mutex_unlock(&w->lock);
}

static bool worker_lend(duro__worker *w) {
  uv_mutex_lock(&w->lock);
  w->lent = !w->busy && !w->todo_head && !w->done_head && !w->stop;
  uv_mutex_unlock(&w->lock);
  return w->lent; // the loop thread alone sets it
}

static void worker_take_back(duro__worker *w) {
  uv_mutex_lock(&w->lock);
  w->lent = false;
  if (w->todo_head) uv_cond_signal(&w->wanted);
  uv_mutex_unlock(&w->lock);
}

bool duro__writer_borrow(duro_runtime *rt, duro__command *c) {
  if (!worker_lend(&rt->writer)) return false;
  c->run(rt, c);
  worker_take_back(&rt->writer);
  c->done(rt, c);
  return true;
}

bool duro__writer_moves(duro_runtime *rt) {
  duro__worker *w = &rt->writer;
  if (!w->started) return false;
  uv_mutex_lock(&w->lock);
  bool waits = w->busy || w->todo_head;
  bool moves =
      !waits || duro_clock_monotonic_ns() - w->moved_ns < DURO_HEALTHY_MS * UINT64_C(1000000);
  uv_mutex_unlock(&w->lock);
  return moves;
}

void duro__writer_push(duro_runtime *rt, duro__command *c) { worker_push(&rt->writer, c); }

void duro__helper_push(duro_runtime *rt, duro__command *c) { worker_push(&rt->helper, c); }

static bool worker_collect(duro_runtime *rt, duro__worker *w) {
  if (!w->started) return false;
  uv_mutex_lock(&w->lock);
  duro__command *c = w->done_head;
  w->done_head = w->done_tail = NULL;
  uv_mutex_unlock(&w->lock);
  bool any = c != NULL;
  while (c) {
    duro__command *next = c->next;
    c->done(rt, c);
    c = next;
  }
  return any;
}

bool duro__writer_collect(duro_runtime *rt) {
  duro__batch_again(rt);
  bool any = worker_collect(rt, &rt->writer);
  return worker_collect(rt, &rt->helper) || any;
}

static void command_free(duro__command *c) {
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

// --- Checkpoints ---

static void checkpoint_run(duro_runtime *rt, duro__command *c) {
  c->code = duro__store_checkpoint(rt->store, &c->error);
}

static void checkpoint_done(duro_runtime *rt, duro__command *c) {
  rt->checkpointing = false;
  if (c->code == DURO_OUT_OF_MEMORY) duro__memory_out(rt, NULL);
  if (c->code) duro__log(rt, "warn", "checkpoint: %s", c->error ? c->error->message : "failed");
  command_free(c);
}

static void checkpoint_start(duro_runtime *rt) {
  if (rt->checkpointing || rt->closing) return;
  duro__command *c = duro__command_new(checkpoint_run, checkpoint_done);
  if (!c) return;
  rt->checkpointing = true;
  duro__helper_push(rt, c);
}

// --- Folding ---

static void fold_run(duro_runtime *rt, duro__command *c) {
  size_t folded = 0;
  c->code = duro__store_fold(rt->store, rt->epoch, c->number, FOLD_ROWS, &folded, &c->error);
  duro_store_marks marks;
  if (!c->code) c->code = duro__store_marks(rt->store, &c->arena, &marks, &c->error);
  if (!c->code) {
    c->number = marks.trimmed_seq;
    c->number2 = marks.folded_seq;
  }
  c->flag = folded >= FOLD_ROWS;
}

// Calls the reads that waited. A failed fold fails none of them: they see an older projection.
static void fold_continue(duro_runtime *rt) {
  size_t count = rt->want_fold.count;
  rt->want_fold.count = 0;
  for (size_t k = 0; k < count; k++) {
    duro_request *r = rt->want_fold.items[k];
    if (rt->closing && !r->user)
      duro__request_fail(r, DURO_CLOSED, "the runtime was closed");
    else
      r->on_done(r, r->user);
  }
}

static bool everything_folded(const duro_runtime *rt) {
  return rt->folded_seq >= rt->committed_seq;
}

static void fold_start(duro_runtime *rt);

static void fold_done(duro_runtime *rt, duro__command *c) {
  rt->folding = false;
  rt->last_fold_ns = rt->tick_ns;
  bool failed = c->code != DURO_OK;
  if (failed)
    duro__log(rt, "error", "folding: %s", c->error ? c->error->message : "failed");
  else
    rt->folded_seq =
        c->flag ? c->number2 : (c->number2 > rt->folded_seq ? c->number2 : rt->folded_seq);
  if (!failed) rt->trimmed_seq = c->number;
  if (c->code == DURO_LOCKED) rt->lost = true;
  command_free(c);
  if (rt->want_fold.count) {
    if (failed || everything_folded(rt) || rt->closing)
      fold_continue(rt);
    else
      fold_start(rt);
  }
  checkpoint_start(rt);
  duro__evict(rt, 0);
}

static void fold_start(duro_runtime *rt) {
  if (rt->folding) return;
  duro__command *c = duro__command_new(fold_run, fold_done);
  if (!c) return;
  c->number = duro__now(rt);
  rt->folding = true;
  duro__writer_push(rt, c);
}

// Folding trims the feed; where nothing is folded any more, that must be asked for.
static bool feed_is_old(duro_runtime *rt) {
  int64_t keep_ms = rt->options.feed_retention_ms;
  if (!keep_ms || rt->trimmed_seq >= rt->folded_seq) return false;
  return duro__now(rt) - rt->newest_ms > keep_ms;
}

bool duro__fold_now(duro_runtime *rt) {
  if (rt->folding) return true;
  if (everything_folded(rt)) return false;
  fold_start(rt);
  return rt->folding;
}

void duro__fold_turn(duro_runtime *rt) {
  if (rt->role != DURO_ROLE_RUNTIME || rt->folding || rt->fault) return;
  if (everything_folded(rt) && !feed_is_old(rt)) return;
  int64_t rows = rt->committed_seq - rt->folded_seq;
  bool many = rows >= FOLD_ROWS || (rows >= FOLD_ROWS_FOR_ROOM && duro__evict_waits(rt));
  if (many || rt->tick_ns - rt->last_fold_ns >= FOLD_EVERY_NS) fold_start(rt);
}

static void after_fold(duro_runtime *rt, duro_request *r, void (*then)(duro_request *r, void *user),
                       void *user) {
  duro_request **slot = duro__vec_push(&rt->want_fold);
  if (!slot) {
    then(r, user);
    return;
  }
  *slot = r;
  r->on_done = then;
  r->user = user;
  fold_start(rt);
}

void duro__when_folded(duro_runtime *rt, duro_request *r, void (*then)(duro_request *r, void *user),
                       void *user) {
  bool folded = everything_folded(rt) && !rt->folding;
  if (rt->role != DURO_ROLE_RUNTIME || folded || rt->closing)
    then(r, user);
  else
    after_fold(rt, r, then, user);
}

void duro__when_trimmed(duro_runtime *rt, duro_request *r,
                        void (*then)(duro_request *r, void *user), void *user) {
  if (rt->role != DURO_ROLE_RUNTIME || rt->closing)
    then(r, user);
  else
    after_fold(rt, r, then, user);
}
