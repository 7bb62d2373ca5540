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
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "replay/conceal.h"
#include "runtime/internal.h"

typedef struct duro__pool pool;

typedef enum note_kind { NOTE_BEGUN, NOTE_BEAT, NOTE_SLEEP, NOTE_LOG, NOTE_DONE } note_kind;
typedef struct note {
  struct note *next;
  note_kind kind;
  bool waits; // in the pool's list; lock
  duro_work *work;
} note;

typedef struct log_note {
  note note;
  const char *level, *message;
  duro_str fields;
  // The texts follow.
} log_note;

struct duro_work {
  pool *pool;
  duro_job *job; // the loop's
  duro_job_info info;
  duro_str call;
  atomic_bool cancelled;
  // lock:
  duro_work *next;                  // in the queue
  duro_work *next_of_all, **of_all; // among all of the pool
  bool queued;
  note begun, beat, sleep, done; // each stands in the list at most once
  duro_buf details;              // of the newest beat
  int64_t sleep_ms;
  bool asleep;
  bool ended, failed;
  duro_buf result;
  // The texts of `info` and `call` follow.
};

typedef struct thread {
  pool *pool;
  uv_thread_t id;
  bool ended, left_behind; // lock
} thread;

struct duro__pool {
  uv_mutex_t lock;
  uv_cond_t wanted, woken, gone; // work is there; a sleep is over; a thread has ended
  duro_host host;
  // lock:
  duro_runtime *rt; // NULL: closed
  int users;        // the runtime, and each thread
  duro_work *todo_head, *todo_tail, *all;
  size_t todo_count, idle, busy; // works that wait; threads without one, and with one
  note *notes_head, *notes_tail;
  size_t note_count;
  DURO__VEC(thread *) threads;
};

// --- Notes ---

// lock
static void add_note(pool *p, note *n) {
  if (n->waits) return;
  n->waits = true;
  n->next = NULL;
  if (p->notes_tail)
    p->notes_tail->next = n;
  else
    p->notes_head = n;
  p->notes_tail = n;
  p->note_count++;
  if (p->rt) uv_async_send(&p->rt->wake);
}

static note *take_note(pool *p) {
  uv_mutex_lock(&p->lock);
  note *n = p->notes_head;
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

static void put(char **at, duro_str s, duro_str *out) {
  *out = DURO_NONE;
  if (!s.p) return;
  memcpy(*at, s.p, s.n);
  (*at)[s.n] = 0;
  *out = (duro_str){*at, s.n};
  *at += s.n + 1;
}

static duro_work *work_new(pool *p, duro_job *job, const duro_job_info *info, duro_str call) {
  size_t size = info->instance_id.n + info->name.n + info->activity_id.n + info->input.n +
                info->heartbeat_details.n + call.n + 6;
  duro_work *w = calloc(1, sizeof *w + size);
  if (!w) return NULL;
  char *at = (char *)(w + 1);
  put(&at, info->instance_id, &w->info.instance_id);
  put(&at, info->name, &w->info.name);
  put(&at, info->activity_id, &w->info.activity_id);
  put(&at, info->input, &w->info.input);
  put(&at, info->heartbeat_details, &w->info.heartbeat_details);
  put(&at, call, &w->call);
  w->info.attempt = info->attempt;
  w->pool = p;
  w->job = job;
  w->begun = (note){.kind = NOTE_BEGUN, .work = w};
  w->beat = (note){.kind = NOTE_BEAT, .work = w};
  w->sleep = (note){.kind = NOTE_SLEEP, .work = w};
  w->done = (note){.kind = NOTE_DONE, .work = w};
  return w;
}

static void work_free(duro_work *w) {
  duro_buf_free(&w->details);
  duro_buf_free(&w->result);
  free(w);
}

// lock
static void forget_work(duro_work *w) {
  *w->of_all = w->next_of_all;
  if (w->next_of_all) w->next_of_all->of_all = w->of_all;
}

// lock
static void enqueue(pool *p, duro_work *w) {
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
static void dequeue(pool *p, duro_work *w) {
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

static void pool_free(pool *p) {
  while (p->notes_head) { // logs nobody took; the others are part of their works
    note *n = p->notes_head;
    p->notes_head = n->next;
    if (n->kind == NOTE_LOG) free(n);
  }
  for (size_t k = 0; k < p->threads.count; k++) free(p->threads.items[k]);
  free(p->threads.items);
  uv_cond_destroy(&p->gone);
  uv_cond_destroy(&p->woken);
  uv_cond_destroy(&p->wanted);
  uv_mutex_destroy(&p->lock);
  free(p);
}

static pool *pool_new(duro_runtime *rt) {
  pool *p = calloc(1, sizeof *p);
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

static void run(pool *p, void **state, duro_work *w) {
  if (!*state) *state = p->host.thread_begin(p->host.thread_user);
  if (*state) {
    p->host.thread_run(p->host.thread_user, *state, w);
    if (!w->ended) duro_work_fail(w, DURO_STR(NO_RESULT));
  } else {
    duro_work_fail(w, DURO_STR(NO_STATE));
  }
}

// lock, which it lets go while it works.
static void work_off(pool *p, void **state, duro_work *w) {
  dequeue(p, w);
  add_note(p, &w->begun);
  p->busy++;
  uv_mutex_unlock(&p->lock);
  run(p, state, w);
  uv_mutex_lock(&p->lock);
  p->busy--;
  if (p->rt) {
    add_note(p, &w->done);
  } else { // left behind: nobody will take it
    forget_work(w);
    work_free(w);
  }
}

static void thread_main(void *argument) {
  thread *self = argument;
  pool *p = self->pool;
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
static duro_code add_thread(pool *p, duro_error **err) {
  thread **slot = duro__vec_push(&p->threads);
  thread *t = slot ? calloc(1, sizeof *t) : NULL;
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
static duro_code plain_work_new(pool *p, duro_job *job, duro_str call, duro_work **out,
                                duro_error **err) {
  duro_job_info info = *duro_job_get_info(job);
  duro_buf input = {0}, details = {0};
  const duro_program_ops *ops = p->host.programs;
  duro_code code = duro__reveal(ops, p->host.user, &info.input, &input, err);
  if (!code) code = duro__reveal(ops, p->host.user, &info.heartbeat_details, &details, err);
  if (!code && !(*out = work_new(p, job, &info, call))) code = duro_fail_oom(err);
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
  pool *p = rt->pool;
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
    work_free(w);
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
  work_free(w);
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
  duro_job_sleep_until(w->job, duro__now(rt) + ms);
  if (w->job->state != DURO__JOB_SLEEPING) duro__threads_woke(w->job); // memory is out
}

static void take(duro_runtime *rt, note *n) {
  switch (n->kind) {
  case NOTE_BEGUN:
    duro__job_begun(rt, n->work->job);
    break;
  case NOTE_BEAT:
    beat(n->work);
    break;
  case NOTE_SLEEP:
    fall_asleep(rt, n->work);
    break;
  case NOTE_LOG: {
    log_note *line = (log_note *)n;
    if (rt->options.log) {
      rt->options.log(rt->options.log_user, line->level, line->message, line->fields);
    }
    free(line);
    break;
  }
  case NOTE_DONE:
    done(rt, n->work);
    break;
  }
}

// As many as were there when it was called, so that a chatty thread does not hold up the loop.
bool duro__threads_collect(duro_runtime *rt) {
  pool *p = rt->pool;
  if (!p) return false;
  uv_mutex_lock(&p->lock);
  size_t count = p->note_count;
  uv_mutex_unlock(&p->lock);
  bool any = count > 0;
  for (note *n; count > 0 && (n = take_note(p)); count--) take(rt, n);
  return any;
}

size_t duro__threads_stuck(const duro_runtime *rt) {
  pool *p = rt->pool;
  if (!p) return 0;
  uv_mutex_lock(&p->lock);
  size_t stuck = p->busy >= (size_t)rt->options.worker_threads ? p->todo_count : 0;
  uv_mutex_unlock(&p->lock);
  return stuck;
}

bool duro__threads_cancel(duro_job *job) {
  duro_work *w = job->work;
  pool *p = w->pool;
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
  work_free(w);
  return true;
}

void duro__threads_woke(duro_job *job) {
  pool *p = job->work->pool;
  uv_mutex_lock(&p->lock);
  job->work->asleep = false;
  uv_cond_broadcast(&p->woken);
  uv_mutex_unlock(&p->lock);
}

// --- Closing ---

// lock
static void cancel_all(pool *p) {
  p->rt = NULL;
  for (duro_work *w = p->all, *next; w; w = next) {
    next = w->next_of_all;
    w->job->work = NULL;
    w->job = NULL;
    atomic_store(&w->cancelled, true);
    if (!w->queued && !w->done.waits) continue; // a thread has it
    if (w->queued) dequeue(p, w);
    forget_work(w);
    work_free(w);
  }
  uv_cond_broadcast(&p->wanted);
  uv_cond_broadcast(&p->woken);
}

// Notes of works that are freed or run on go with them.
static void drop_notes(pool *p) {
  note *n = p->notes_head;
  p->notes_head = p->notes_tail = NULL;
  p->note_count = 0;
  while (n) {
    note *next = n->next;
    n->waits = n->kind == NOTE_DONE; // cancel_all asks
    if (n->kind == NOTE_LOG) free(n);
    n = next;
  }
}

static bool all_ended(const pool *p) {
  for (size_t k = 0; k < p->threads.count; k++) {
    if (!p->threads.items[k]->ended) return false;
  }
  return true;
}

// lock
static void wait_for_threads(pool *p) {
  uint64_t until_ns = duro_clock_monotonic_ns() + (uint64_t)DURO_THREAD_PATIENCE_MS * 1000000;
  while (!all_ended(p)) {
    uint64_t now_ns = duro_clock_monotonic_ns();
    if (now_ns >= until_ns) return;
    uv_cond_timedwait(&p->gone, &p->lock, until_ns - now_ns);
  }
}

void duro__threads_close(duro_runtime *rt) {
  pool *p = rt->pool;
  if (!p) return;
  rt->pool = NULL;
  uv_mutex_lock(&p->lock);
  drop_notes(p);
  cancel_all(p);
  wait_for_threads(p);
  size_t count = 0;
  for (size_t k = 0; k < p->threads.count; k++) {
    thread *t = p->threads.items[k];
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

// --- A thread's side ---

DURO_EXPORT const duro_job_info *duro_work_info(const duro_work *w) { return &w->info; }

DURO_EXPORT duro_str duro_work_call(const duro_work *w) { return w->call; }

DURO_EXPORT bool duro_work_cancelled(const duro_work *w) {
  return atomic_load(&((duro_work *)w)->cancelled);
}

DURO_EXPORT duro_code duro_work_heartbeat(duro_work *w, duro_str details, duro_error **err) {
  if (details.n > DURO_MAX_PAYLOAD_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE, "heartbeat details are %zu bytes; %d are allowed",
                     details.n, DURO_MAX_PAYLOAD_BYTES);
  }
  uv_mutex_lock(&w->pool->lock);
  if (details.p) {
    duro_buf_clear(&w->details);
    duro_buf_add_str(&w->details, details);
  }
  duro_code code = w->details.oom ? duro_fail_oom(err) : DURO_OK;
  if (!code && w->pool->rt) add_note(w->pool, &w->beat);
  uv_mutex_unlock(&w->pool->lock);
  return code;
}

DURO_EXPORT bool duro_work_sleep(duro_work *w, int64_t ms) {
  pool *p = w->pool;
  uv_mutex_lock(&p->lock);
  if (p->rt && !atomic_load(&w->cancelled)) {
    w->sleep_ms = ms;
    w->asleep = true;
    add_note(p, &w->sleep);
  }
  while (w->asleep && p->rt && !atomic_load(&w->cancelled)) uv_cond_wait(&p->woken, &p->lock);
  w->asleep = false;
  uv_mutex_unlock(&p->lock);
  return !atomic_load(&w->cancelled);
}

DURO_EXPORT void duro_work_log(duro_work *w, const char *level, const char *message,
                               duro_str fields) {
  size_t level_n = strlen(level) + 1, message_n = strlen(message) + 1;
  log_note *line = calloc(1, sizeof *line + level_n + message_n + fields.n + 1);
  if (!line) return;
  char *at = (char *)(line + 1);
  line->note = (note){.kind = NOTE_LOG, .work = w};
  line->level = memcpy(at, level, level_n);
  line->message = memcpy(at + level_n, message, message_n);
  at += level_n + message_n;
  put(&at, fields, &line->fields);
  uv_mutex_lock(&w->pool->lock);
  bool open = w->pool->rt != NULL;
  if (open) add_note(w->pool, &line->note);
  uv_mutex_unlock(&w->pool->lock);
  if (!open) free(line);
}

static void end(duro_work *w, bool failed, duro_str result) {
  if (w->ended) return;
  w->ended = true;
  w->failed = failed;
  duro_buf_add_str(&w->result, result);
}

DURO_EXPORT void duro_work_complete(duro_work *w, duro_str output) { end(w, false, output); }

DURO_EXPORT void duro_work_fail(duro_work *w, duro_str error) { end(w, true, error); }
