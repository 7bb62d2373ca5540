// threads.c: attempts that may block, on threads of their own.
//
// duro_job_offload hands an attempt to a pool of threads, which are made when they are first needed and
// stay. What comes back are notes, in order: it has begun, it beats, logs, sleeps, is done. The loop
// takes them in duro__threads_collect, so jobs are touched on the loop thread only; a thread sees its
// duro_work alone. Sleeping is the loop's business too: so it follows the runtime's clock, and
// cancellation ends it.
// Nobody can stop a thread that blocks. Close tells all that they are cancelled, waits a moment, and
// leaves those behind that do not come back: then the pool lives on until they do, without a runtime.
// Invariant: what stands below "lock" is guarded by the pool's lock.
#include "runtime/threads.h"

#include <pthread.h>
#include <stdlib.h>

#include "replay/conceal.h"
#include "runtime/internal.h"

// --- Notes ---

static duro__note *take_note(duro__pool *p) {
  uv_mutex_lock(&p->lock);
  duro__note *n = p->notes_head;
  if (n) {
    p->notes_head = n->next;
    if (!p->notes_head) p->notes_tail = NULL;
    p->note_count--;
    n->waits = false;
  }
  uv_mutex_unlock(&p->lock);
  return n;
}

// --- Works ---

// lock
static void forget_work(duro_work *w) {
  *w->of_all = w->next_of_all;
  if (w->next_of_all) w->next_of_all->of_all = w->of_all;
}

// lock
static void enqueue(duro__pool *p, duro_work *w) {
  w->queued = true;
  if (p->todo_tail)
    p->todo_tail->next = w;
  else
    p->todo_head = w;
  p->todo_tail = w;
  p->todo_count++;
  w->next_of_all = p->all;
  w->of_all = &p->all;
  if (p->all) p->all->of_all = &w->next_of_all;
  p->all = w;
}

// lock. Takes it out of the queue, wherever it stands.
static void dequeue(duro__pool *p, duro_work *w) {
  duro_work *before = NULL;
  for (duro_work *at = p->todo_head; at != w; at = at->next) before = at;
  if (before)
    before->next = w->next;
  else
    p->todo_head = w->next;
  if (p->todo_tail == w) p->todo_tail = before;
  p->todo_count--;
  w->queued = false;
  w->next = NULL;
}

// --- The pool ---

static void pool_free(duro__pool *p) {
  while (p->notes_head) { // logs nobody took; the others are part of their works
    duro__note *n = p->notes_head;
    p->notes_head = n->next;
    if (n->kind == DURO__NOTE_LOG) free(n);
  }
  for (size_t k = 0; k < p->threads.count; k++) free(p->threads.items[k]);
  free(p->threads.items);
  uv_cond_destroy(&p->gone);
  uv_cond_destroy(&p->woken);
  uv_cond_destroy(&p->wanted);
  uv_mutex_destroy(&p->lock);
  free(p);
}

static duro__pool *pool_new(duro_runtime *rt) {
  duro__pool *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->host = rt->host;
  p->rt = rt;
  p->users = 1;
  if (uv_mutex_init(&p->lock)) goto no_lock;
  if (uv_cond_init(&p->wanted)) goto no_wanted;
  if (uv_cond_init(&p->woken)) goto no_woken;
  if (uv_cond_init(&p->gone)) goto no_gone;
  return p;
no_gone:
  uv_cond_destroy(&p->woken);
no_woken:
  uv_cond_destroy(&p->wanted);
no_wanted:
  uv_mutex_destroy(&p->lock);
no_lock:
  free(p);
  return NULL;
}

// --- A thread ---

#define NO_STATE                                                                                   \
  "{\"code\":\"out_of_memory\",\"message\":\"memory is out: no state for a worker thread\"}"
#define NO_RESULT "{\"code\":\"failed\",\"message\":\"the work ended without a result\"}"

static void run(duro__pool *p, void **state, duro_work *w) {
  if (!*state) *state = p->host.thread_begin(p->host.thread_user);
  if (*state) {
    p->host.thread_run(p->host.thread_user, *state, w);
    if (!w->ended) duro_work_fail(w, DURO_STR(NO_RESULT));
  } else {
    duro_work_fail(w, DURO_STR(NO_STATE));
  }
}

// lock, which it lets go while it works.
static void work_off(duro__pool *p, void **state, duro_work *w) {
  dequeue(p, w);
  duro__note_add(p, &w->begun);
  p->busy++;
  uv_mutex_unlock(&p->lock);
  run(p, state, w);
  uv_mutex_lock(&p->lock);
  p->busy--;
  if (p->rt) {
    duro__note_add(p, &w->done);
  } else { // left behind: nobody will take it
    forget_work(w);
    duro__work_free(w);
  }
}

static void thread_main(void *argument) {
  duro__thread *self = argument;
  duro__pool *p = self->pool;
  void *state = NULL;
  uv_mutex_lock(&p->lock);
  while (p->rt) {
    if (p->todo_head) {
      work_off(p, &state, p->todo_head);
      continue;
    }
    p->idle++;
    uv_cond_wait(&p->wanted, &p->lock);
    p->idle--;
  }
  uv_mutex_unlock(&p->lock);
  if (state) p->host.thread_end(p->host.thread_user, state);
  uv_mutex_lock(&p->lock);
  self->ended = true;
  bool last = --p->users == 0;
  uv_cond_signal(&p->gone);
  uv_mutex_unlock(&p->lock);
  if (last) pool_free(p);
}

// lock
static duro_code add_thread(duro__pool *p, duro_error **err) {
  duro__thread **slot = duro__vec_push(&p->threads);
  duro__thread *t = slot ? calloc(1, sizeof *t) : NULL;
  if (!t) {
    if (slot) p->threads.count--;
    return duro_fail_oom(err);
  }
  t->pool = p;
  p->users++; // before it runs
  int rc = uv_thread_create(&t->id, thread_main, t);
  if (rc) {
    p->users--;
    p->threads.count--;
    free(t);
    return duro_fail(err, DURO_UNAVAILABLE, "a worker thread could not be started: %s",
                     uv_strerror(rc));
  }
  *slot = t;
  return DURO_OK;
}

// --- The loop's side ---

// A thread gets payloads in plain, since it has none of the host's means to reveal them.
static duro_code plain_work_new(duro__pool *p, duro_job *job, duro_str call, duro_work **out,
                                duro_error **err) {
  duro_job_info info = *duro_job_get_info(job);
  duro_buf input = {0}, details = {0};
  const duro_program_ops *ops = p->host.programs;
  duro_code code = duro__reveal(ops, p->host.user, &info.input, &input, err);
  if (!code) code = duro__reveal(ops, p->host.user, &info.heartbeat_details, &details, err);
  if (!code && !(*out = duro__work_new(p, job, &info, call))) code = duro_fail_oom(err);
  duro_buf_free(&input);
  duro_buf_free(&details);
  return code;
}

DURO_EXPORT duro_code duro_job_offload(duro_job *job, duro_str call, duro_error **err) {
  duro_runtime *rt = job->rt;
  if (!rt->host.thread_run || !rt->host.thread_begin || !rt->host.thread_end) {
    return duro_fail(err, DURO_UNSUPPORTED, "this host has no worker threads");
  }
  if (!rt->pool) rt->pool = pool_new(rt);
  duro__pool *p = rt->pool;
  duro_work *w = NULL;
  duro_code code = p ? plain_work_new(p, job, call, &w, err) : duro_fail_oom(err);
  if (code) return code;
  uv_mutex_lock(&p->lock);
  enqueue(p, w);
  if (p->idle < p->todo_count && p->threads.count < (size_t)rt->options.worker_threads) {
    code = add_thread(p, err);
    if (code && p->threads.count) code = DURO_OK; // one of the others will come to it
    if (code) {
      dequeue(p, w);
      forget_work(w);
    }
  }
  uv_cond_signal(&p->wanted);
  uv_mutex_unlock(&p->lock);
  if (code) {
    duro__work_free(w);
    return code;
  }
  if (err && *err) {
    duro_error_free(*err);
    *err = NULL;
  }
  job->work = w;
  duro__job_disarm(rt, job); // its time begins when a thread does
  return DURO_OK;
}

static void done(duro_runtime *rt, duro_work *w) {
  duro_job *job = w->job;
  uv_mutex_lock(&w->pool->lock);
  forget_work(w);
  uv_mutex_unlock(&w->pool->lock);
  rt->did_something = true;
  job->work = NULL;
  if (w->result.oom) {
    duro_job_fail(job, DURO_STR("{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}"));
  } else if (w->failed) {
    duro_job_fail(job, duro_buf_str(&w->result));
  } else {
    duro_job_complete(job, w->result.n ? duro_buf_str(&w->result) : DURO_NONE);
  }
  duro__work_free(w);
}

static void beat(duro_work *w) {
  uv_mutex_lock(&w->pool->lock);
  duro_buf details = w->details;
  w->details = (duro_buf){0};
  uv_mutex_unlock(&w->pool->lock);
  duro_error *err = NULL;
  if (duro_job_heartbeat(w->job, details.n ? duro_buf_str(&details) : DURO_NONE, &err)) {
    duro__log(w->job->rt, "warn", "a heartbeat was lost: %s", err ? err->message : "");
  }
  duro_error_free(err);
  duro_buf_free(&details);
}

static void fall_asleep(duro_runtime *rt, duro_work *w) {
  uv_mutex_lock(&w->pool->lock);
  bool asleep = w->asleep;
  int64_t ms = w->sleep_ms;
  uv_mutex_unlock(&w->pool->lock);
  if (!asleep) return;
  rt->did_something = true; // it waits for the passing of time now
  if (!duro_job_sleep_until(w->job, duro__now(rt) + ms)) duro__threads_woke(w->job);
}

static void take(duro_runtime *rt, duro__note *n) {
  switch (n->kind) {
  case DURO__NOTE_BEGUN:
    duro__job_begun(rt, n->work->job);
    break;
  case DURO__NOTE_BEAT:
    beat(n->work);
    break;
  case DURO__NOTE_SLEEP:
    fall_asleep(rt, n->work);
    break;
  case DURO__NOTE_LOG: {
    duro__log_note *line = (duro__log_note *)n;
    if (rt->options.log) {
      rt->options.log(rt->options.log_user, line->level, line->message, line->fields);
    }
    free(line);
    break;
  }
  case DURO__NOTE_DONE:
    done(rt, n->work);
    break;
  }
}

// As many as were there when it was called, so that a chatty thread does not hold up the loop.
bool duro__threads_collect(duro_runtime *rt) {
  duro__pool *p = rt->pool;
  if (!p) return false;
  uv_mutex_lock(&p->lock);
  size_t count = p->note_count;
  uv_mutex_unlock(&p->lock);
  bool any = count > 0;
  for (duro__note *n; count > 0 && (n = take_note(p)); count--) take(rt, n);
  return any;
}

size_t duro__threads_stuck(const duro_runtime *rt) {
  duro__pool *p = rt->pool;
  if (!p) return 0;
  uv_mutex_lock(&p->lock);
  size_t stuck = p->busy >= (size_t)rt->options.worker_threads ? p->todo_count : 0;
  uv_mutex_unlock(&p->lock);
  return stuck;
}

bool duro__threads_cancel(duro_job *job) {
  duro_work *w = job->work;
  duro__pool *p = w->pool;
  atomic_store(&w->cancelled, true);
  uv_mutex_lock(&p->lock);
  bool queued = w->queued;
  if (queued) {
    dequeue(p, w);
    forget_work(w);
  } else {
    w->asleep = false;
    uv_cond_broadcast(&p->woken);
  }
  uv_mutex_unlock(&p->lock);
  if (!queued) return false;
  job->work = NULL;
  duro__work_free(w);
  return true;
}

void duro__threads_woke(duro_job *job) {
  duro__pool *p = job->work->pool;
  uv_mutex_lock(&p->lock);
  job->work->asleep = false;
  uv_cond_broadcast(&p->woken);
  uv_mutex_unlock(&p->lock);
}

// --- Closing ---

// lock
static void cancel_all(duro__pool *p) {
  p->rt = NULL;
  for (duro_work *w = p->all, *next; w; w = next) {
    next = w->next_of_all;
    w->job->work = NULL;
    w->job = NULL;
    atomic_store(&w->cancelled, true);
    if (!w->queued && !w->done.waits) continue; // a thread has it
    if (w->queued) dequeue(p, w);
    forget_work(w);
    duro__work_free(w);
  }
  uv_cond_broadcast(&p->wanted);
  uv_cond_broadcast(&p->woken);
}

// Notes of works that are freed or run on go with them.
static void drop_notes(duro__pool *p) {
  duro__note *n = p->notes_head;
  p->notes_head = p->notes_tail = NULL;
  p->note_count = 0;
  while (n) {
    duro__note *next = n->next;
    n->waits = n->kind == DURO__NOTE_DONE; // cancel_all asks
    if (n->kind == DURO__NOTE_LOG) free(n);
    n = next;
  }
}

static bool all_ended(const duro__pool *p) {
  for (size_t k = 0; k < p->threads.count; k++) {
    if (!p->threads.items[k]->ended) return false;
  }
  return true;
}

// lock
static void wait_for_threads(duro__pool *p) {
  uint64_t until_ns = duro_clock_monotonic_ns() + (uint64_t)DURO_THREAD_PATIENCE_MS * 1000000;
  while (!all_ended(p)) {
    uint64_t now_ns = duro_clock_monotonic_ns();
    if (now_ns >= until_ns) return;
    uv_cond_timedwait(&p->gone, &p->lock, until_ns - now_ns);
  }
}

void duro__threads_close(duro_runtime *rt) {
  duro__pool *p = rt->pool;
  if (!p) return;
  rt->pool = NULL;
  uv_mutex_lock(&p->lock);
  drop_notes(p);
  cancel_all(p);
  wait_for_threads(p);
  size_t count = 0;
  for (size_t k = 0; k < p->threads.count; k++) {
    duro__thread *t = p->threads.items[k];
    t->left_behind = !t->ended;
    if (t->left_behind) pthread_detach(t->id);
    count += t->left_behind;
  }
  uv_mutex_unlock(&p->lock);
  for (size_t k = 0; k < p->threads.count; k++) { // nobody changes the list any more
    if (!p->threads.items[k]->left_behind) uv_thread_join(&p->threads.items[k]->id);
  }
  if (count) {
    duro__log(rt, "warn", "%zu worker threads are left behind: their activities do not come back",
              count);
  }
  uv_mutex_lock(&p->lock);
  bool last = --p->users == 0;
  uv_mutex_unlock(&p->lock);
  if (last) pool_free(p);
}
