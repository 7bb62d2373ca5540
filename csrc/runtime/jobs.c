// jobs.c: attempts of activities on this process: ready, taken by the host, asleep, woken, ended.
//
// A job begins after the commit of what caused it and ends in a message to its instance. It may outlive
// its instance's time in memory (then it is an orphan until the instance is loaded again) and its own
// purpose (then its result is dropped). A job never holds a pointer into an exec: it owns its text.
#include "replay/conceal.h"
#include "runtime/answers.h"

// --- Queues ---

static void queue_add(duro__job_queue *q, duro_job *job) {
  job->next = NULL;
  job->prev = q->tail;
  if (q->tail)
    q->tail->next = job;
  else
    q->head = job;
  q->tail = job;
  q->count++;
}

static void queue_remove(duro__job_queue *q, duro_job *job) {
  if (job->prev)
    job->prev->next = job->next;
  else
    q->head = job->next;
  if (job->next)
    job->next->prev = job->prev;
  else
    q->tail = job->prev;
  job->next = job->prev = NULL;
  q->count--;
}

// --- The sleepers' heap ---

static bool sooner(const duro_job *a, const duro_job *b) {
  if (a->sleep_until_ms != b->sleep_until_ms) return a->sleep_until_ms < b->sleep_until_ms;
  if (a->instance_key != b->instance_key) return a->instance_key < b->instance_key;
  return a->task < b->task;
}

static void sleeper_place(duro_runtime *rt, duro_job *job, size_t at) {
  rt->sleeping.items[at] = job;
  job->sleep_index = at;
}

static void sleeper_up(duro_runtime *rt, size_t at) {
  duro_job *job = rt->sleeping.items[at];
  for (; at > 0 && sooner(job, rt->sleeping.items[(at - 1) / 2]); at = (at - 1) / 2) {
    sleeper_place(rt, rt->sleeping.items[(at - 1) / 2], at);
  }
  sleeper_place(rt, job, at);
}

static void sleeper_down(duro_runtime *rt, size_t at) {
  duro_job *job = rt->sleeping.items[at];
  for (size_t down; (down = at * 2 + 1) < rt->sleeping.count; at = down) {
    if (down + 1 < rt->sleeping.count &&
        sooner(rt->sleeping.items[down + 1], rt->sleeping.items[down])) {
      down++;
    }
    if (!sooner(rt->sleeping.items[down], job)) break;
    sleeper_place(rt, rt->sleeping.items[down], at);
  }
  sleeper_place(rt, job, at);
}

static void sleeper_remove(duro_runtime *rt, duro_job *job) {
  size_t at = job->sleep_index;
  duro_job *last = rt->sleeping.items[--rt->sleeping.count];
  if (last == job) return;
  sleeper_place(rt, last, at);
  sleeper_up(rt, at);
  sleeper_down(rt, last->sleep_index);
}

int64_t duro__sleepers_next_ms(duro_runtime *rt) {
  return rt->sleeping.count ? rt->sleeping.items[0]->sleep_until_ms : DURO_NEVER;
}

bool duro__sleepers_wake(duro_runtime *rt) {
  if (!rt->sleeping.count) return false;
  int64_t now_ms = duro__now(rt);
  bool any = false;
  while (rt->sleeping.count && rt->sleeping.items[0]->sleep_until_ms <= now_ms) {
    duro__job_wake(rt, rt->sleeping.items[0]);
    any = true;
  }
  return any;
}

// --- States ---

// Takes the job out of whatever it waits in.
static void leave_state(duro_runtime *rt, duro_job *job) {
  switch (job->state) {
  case DURO__JOB_READY:
    queue_remove(&rt->ready_jobs, job);
    break;
  case DURO__JOB_WOKEN:
    queue_remove(&rt->woken_jobs, job);
    break;
  case DURO__JOB_SLEEPING:
    sleeper_remove(rt, job);
    rt->jobs_idle--;
    break;
  case DURO__JOB_AWAITING:
    if (job->awaited) job->awaited->awaiting = NULL;
    job->awaited = NULL;
    rt->jobs_idle--;
    break;
  case DURO__JOB_RUNNING:
    break;
  }
}

void duro__job_wake(duro_runtime *rt, duro_job *job) {
  if (job->state != DURO__JOB_SLEEPING && job->state != DURO__JOB_AWAITING) return;
  leave_state(rt, job);
  rt->did_something = true;
  if (job->work) { // its thread goes on
    job->state = DURO__JOB_RUNNING;
    duro__threads_woke(job);
    return;
  }
  job->state = DURO__JOB_WOKEN;
  queue_add(&rt->woken_jobs, job);
}

duro_job *duro_next_job(duro_runtime *rt) {
  if (rt->closing || rt->jobs_out >= (size_t)rt->options.activity_concurrency) return NULL;
  duro_job *job = rt->jobs_begun < DURO__JOBS_PER_STEP ? rt->ready_jobs.head : NULL;
  if (!job) return NULL;
  rt->jobs_begun++;
  queue_remove(&rt->ready_jobs, job);
  job->state = DURO__JOB_RUNNING;
  job->taken = true;
  job->begun_ns = duro__tick(rt);
  rt->jobs_out++;
  duro__job_begun(rt, job);
  return job;
}

duro_job *duro_next_woken(duro_runtime *rt) {
  duro_job *job = rt->woken_jobs.head;
  if (!job) return NULL;
  queue_remove(&rt->woken_jobs, job);
  job->state = DURO__JOB_RUNNING;
  return job;
}

// --- Beginning and ending ---

static char *put(char **at, duro_str s, duro_str *out) {
  *out = DURO_NONE;
  if (!s.p) return *at;
  memcpy(*at, s.p, s.n);
  (*at)[s.n] = 0;
  *out = (duro_str){*at, s.n};
  *at += s.n + 1;
  return *at;
}

// Stable across attempts, and different for a new run under an old id.
int duro__activity_id(char out[DURO__ACTIVITY_ID_SIZE], const duro__instance *i, int64_t task) {
  size_t n = strnlen(i->run_id, 32);
  memcpy(out, i->run_id, n);
  const int64_t numbers[] = {i->execution_id, task};
  for (size_t k = 0; k < 2; k++) {
    out[n++] = '-';
    n += duro_format_int(&out[n], numbers[k]);
  }
  out[n] = '\0';
  return (int)n;
}

// From what a row of `jobs` tells, whether it is one or not.
static duro_job *job_new(duro_runtime *rt, const duro_job_row *from, duro__code *code) {
  size_t size = from->instance_id.n + from->name.n + from->activity_id.n + from->input.n +
                from->heartbeat.n + 5;
  duro_job *job = duro_pool_take(&rt->blocks, sizeof *job + size);
  if (!job) return NULL;
  memset(job, 0, sizeof *job);
  char *at = (char *)(job + 1);
  put(&at, from->instance_id, &job->info.instance_id);
  put(&at, from->name, &job->info.name);
  put(&at, from->activity_id, &job->info.activity_id);
  put(&at, from->input, &job->info.input);
  put(&at, from->heartbeat, &job->info.heartbeat_details);
  job->info.attempt = from->attempt;
  job->info.code = code->handle;
  job->code = code;
  code->users++;
  job->rt = rt;
  job->instance_key = from->instance_key;
  job->execution_id = from->execution_id;
  job->task = from->event_id;
  if (from->options.p) {
    job->attempt_timeout_ms = duro_json_member_int(from->options, "attempt_timeout_ms", 0);
    job->heartbeat_timeout_ms = duro_json_member_int(from->options, "heartbeat_timeout_ms", 0);
  }
  return job;
}

static duro_job *local_job(duro_runtime *rt, duro__instance *i, const duro__open *o,
                           duro__code *code) {
  char id[DURO__ACTIVITY_ID_SIZE];
  int id_size = duro__activity_id(id, i, o->id);
  duro_job_row from = {.instance_key = i->key,
                       .execution_id = i->execution_id,
                       .event_id = o->id,
                       .attempt = o->attempt,
                       .name = o->name,
                       .activity_id = {id, (size_t)id_size},
                       .instance_id = i->id,
                       .input = o->input,
                       .options = o->options,
                       .heartbeat = o->heartbeat};
  return job_new(rt, &from, code);
}

static void make_ready(duro_runtime *rt, duro_job *job) {
  job->state = DURO__JOB_READY;
  job->ready_ns = rt->tick_ns;
  job->ready_at_ms = rt->virtual_now_ms;
  queue_add(&rt->ready_jobs, job);
  rt->did_something = true;
}

duro_job *duro__job_of_row(duro_runtime *rt, const duro_job_row *row, duro__code *code) {
  duro_job *job = job_new(rt, row, code);
  if (job) make_ready(rt, job);
  return job;
}

static void sibling_add(duro_job **list, duro_job *job) {
  job->sibling = *list;
  job->sibling_at = list;
  if (*list) (*list)->sibling_at = &job->sibling;
  *list = job;
}

static void sibling_remove(duro_job *job) {
  if (!job->sibling_at) return;
  *job->sibling_at = job->sibling;
  if (job->sibling) job->sibling->sibling_at = job->sibling_at;
  job->sibling = NULL;
  job->sibling_at = NULL;
}

static void job_free(duro_runtime *rt, duro_job *job) {
  leave_state(rt, job);
  if (rt->beating.count) duro__heartbeats_forget(rt, job);
  if (job->hold) {
    duro__claim_drop(job);
  } else if (job->instance) {
    sibling_remove(job);
    if (job->instance->exec && job->execution_id == job->instance->execution_id) {
      duro__open *o = duro__exec_open(job->instance->exec, job->task);
      if (o && o->runtime == job) o->runtime = NULL;
    }
    if (!job->instance->jobs && !job->instance->ready && !job->instance->batches) {
      duro__instance_touch(rt, job->instance);
    }
  } else {
    sibling_remove(job);
  }
  if (job->taken) {
    rt->jobs_out--;
    rt->totals.jobs++;
    rt->totals.work_ns += duro__tick(rt) - job->begun_ns;
  }
  duro__code_release(rt, job->code);
  duro_buf_free(&job->heartbeat);
  duro_pool_give(&rt->blocks, job);
}

// Nobody here has this activity (yet): the job waits until it is registered.
static void wait_for_code(duro_runtime *rt, duro__instance *i, const duro__open *o) {
  duro__unregistered *u = duro__vec_push(&rt->unregistered);
  if (!u) {
    duro__memory_out(rt, i);
    return;
  }
  *u = (duro__unregistered){.instance_key = i->key, .execution_id = i->execution_id, .task = o->id};
  duro__log(rt, "warn", "activity '%.*s' of '%.*s' waits: it is not registered in this process",
            DURO_FMT(o->name), DURO_FMT(i->id));
}

void duro__jobs_registered(duro_runtime *rt) {
  size_t count = rt->unregistered.count;
  duro__unregistered *waiting = rt->unregistered.items;
  memset(&rt->unregistered, 0, sizeof rt->unregistered); // those still unknown are added again
  for (size_t k = 0; k < count; k++) {
    duro__instance *i = duro__live_by_key(rt, waiting[k].instance_key);
    if (!i || !i->exec || i->gone || i->execution_id != waiting[k].execution_id) continue;
    duro__open *o = duro__exec_open(i->exec, waiting[k].task);
    if (o && o->state == DURO__STATE_WAITING) duro__job_start(rt, i, o);
  }
  free(waiting);
  if (count) duro__sweep_start(rt, -1); // those that were evicted meanwhile
}

void duro__job_start(duro_runtime *rt, duro__instance *i, duro__open *o) {
  if (o->queue.p) {
    duro__queue_start(rt, i, o);
    return;
  }
  duro_job *earlier = o->runtime;
  if (earlier && earlier->info.attempt != o->attempt) duro__job_cancel(rt, earlier);
  if (o->runtime) return;
  if (o->lost_in_a_row >= rt->options.max_lost_attempts) {
    duro__instance_stall_lost(rt, i, o);
    return;
  }
  duro__code *code = duro__find_activity(rt, o->name);
  if (!code) {
    wait_for_code(rt, i, o);
    return;
  }
  duro_job *job = local_job(rt, i, o, code);
  if (!job) {
    duro__log(rt, "error", "memory is out: activity '%.*s' of '%.*s' waits", DURO_FMT(o->name),
              DURO_FMT(i->id));
    duro__memory_out(rt, i);
    return;
  }
  o->runtime = job;
  job->instance = i;
  sibling_add(&i->jobs, job);
  make_ready(rt, job);
}

static void deliver_result(duro_runtime *rt, duro_job *job, const duro_event *e) {
  if (job->orphan || job->cancelled) return;
  if (job->hold) {
    duro__claim_finish(rt, job, e);
    return;
  }
  duro_message *m = duro_message_new(&rt->blocks, job->instance_key, job->execution_id, e);
  if (!m) {
    duro__log(rt, "error", "memory is out: a result of '%.*s' is lost and its activity runs again",
              DURO_FMT(job->info.instance_id));
    duro__memory_out(rt, job->instance);
    return;
  }
  if (job->instance) {
    duro__deliver(rt, job->instance, m);
    return;
  }
  m->next = rt->kept; // its instance was dropped by a fault and will be loaded again
  rt->kept = m;
  if (!rt->resume_ns) rt->resume_ns = duro_clock_monotonic_ns();
}

void duro_job_complete(duro_job *job, duro_str output) {
  duro_runtime *rt = job->rt;
  duro_buf stored = {0};
  duro_error *err = NULL;
  duro_code code = duro__conceal(rt->host.programs, rt->host.user, &output, &stored, &err);
  if (code) {
    duro_buf_clear(&stored);
    duro__add_error(&stored, code, err);
    duro_job_fail(job, stored.oom
                           ? DURO_STR("{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}")
                           : duro_buf_str(&stored));
    duro_error_free(err);
    duro_buf_free(&stored);
    return;
  }
  duro_event e = {.kind = DURO_EVENT_ACTIVITY_COMPLETED,
                  .source = job->task,
                  .attempt = job->info.attempt,
                  .output = output};
  if (job->deferred) {
    e.kind = DURO_EVENT_ACTIVITY_DEFERRED;
    e.output = DURO_NONE;
    e.fire_at_ms = job->attempt_deadline_ms;
  }
  deliver_result(rt, job, &e);
  duro_buf_free(&stored);
  job_free(rt, job);
}

void duro_job_fail(duro_job *job, duro_str error) {
  duro_runtime *rt = job->rt;
  duro_buf stored = {0};
  if (duro__conceal_error(rt->host.programs, rt->host.user, &error, &stored, NULL))
    duro__conceal_error_without_data(&error, &stored);
  duro_event e = {.kind = DURO_EVENT_ACTIVITY_FAILED,
                  .source = job->task,
                  .attempt = job->info.attempt,
                  .error = error,
                  .heartbeat = job->heartbeat.n ? duro_buf_str(&job->heartbeat) : DURO_NONE};
  deliver_result(rt, job, &e);
  duro_buf_free(&stored);
  job_free(rt, job);
}

// --- Cancelling, leaving, coming back ---

void duro__job_cancel(duro_runtime *rt, duro_job *job) {
  job->cancelled = true;
  if (job->instance && job->instance->exec && job->execution_id == job->instance->execution_id) {
    duro__open *o = duro__exec_open(job->instance->exec, job->task);
    if (o && o->runtime == job) o->runtime = NULL; // the next attempt is another job
  }
  if (job->state == DURO__JOB_READY || (job->work && duro__threads_cancel(job)))
    job_free(rt, job); // nobody has seen it
  else
    duro__job_wake(rt, job);
}

void duro__jobs_orphan(duro_runtime *rt, duro__instance *i) {
  duro__jobs_begin_rest(rt, i);
  for (duro_job *job = i->jobs, *next; job; job = next) {
    next = job->sibling;
    if (i->gone && (job->state == DURO__JOB_READY || (job->work && duro__threads_cancel(job)))) {
      job_free(rt, job);
      continue;
    }
    if (i->gone) {
      job->cancelled = job->orphan = true;
      duro__job_wake(rt, job);
    }
    sibling_remove(job);
    job->instance = NULL;
    sibling_add(&rt->orphans, job);
  }
}

static void attach(duro__instance *i, duro_job *job) {
  if (job->cancelled || job->orphan || job->execution_id != i->execution_id || !i->exec) return;
  duro__open *o = duro__exec_open(i->exec, job->task);
  if (!o || o->kind != DURO__OPEN_ACTIVITY || o->attempt != job->info.attempt) {
    job->orphan = true; // what it worked for is over
    return;
  }
  o->runtime = job;
  o->state = job->state == DURO__JOB_READY ? DURO__STATE_WAITING : DURO__STATE_RUNNING;
  duro__job_rearm(job->rt, job);
}

void duro__jobs_attach(duro_runtime *rt, duro__instance *i) {
  for (duro_job *job = rt->orphans, *next; job; job = next) {
    next = job->sibling;
    if (job->instance_key != i->key) continue;
    sibling_remove(job);
    job->instance = i;
    sibling_add(&i->jobs, job);
  }
  for (duro_job *job = i->jobs; job; job = job->sibling) attach(i, job);
  duro__queues_attach(rt, i);
}

void duro__jobs_free(duro_runtime *rt) {
  while (rt->orphans) job_free(rt, rt->orphans);
  free(rt->sleeping.items);
  free(rt->beating.items);
  free(rt->unregistered.items);
}

// --- What a running activity asks ---

const duro_job_info *duro_job_get_info(const duro_job *job) { return &job->info; }

bool duro_job_cancelled(const duro_job *job) { return job->cancelled; }

void duro_job_set_user(duro_job *job, void *user) { job->user = user; }

void *duro_job_user(const duro_job *job) { return job->user; }

bool duro_job_sleep_until(duro_job *job, int64_t at_ms) {
  duro_runtime *rt = job->rt;
  duro_job **slot = job->state == DURO__JOB_RUNNING ? duro__vec_push(&rt->sleeping) : NULL;
  if (!slot) {
    duro__memory_out(rt, NULL);
    return false;
  }
  job->state = DURO__JOB_SLEEPING;
  job->sleep_until_ms = at_ms;
  sleeper_place(rt, job, rt->sleeping.count - 1);
  sleeper_up(rt, job->sleep_index);
  rt->jobs_idle++;
  if (job->cancelled) duro__job_wake(rt, job);
  return true;
}

void duro_job_await(duro_job *job, duro_request *request) {
  if (job->state != DURO__JOB_RUNNING) return;
  job->state = DURO__JOB_AWAITING;
  job->awaited = request;
  request->awaiting = job;
  job->rt->jobs_idle++; // what the request needs keeps the runtime from being idle, or nothing does
  if (request->done) duro__job_wake(job->rt, job);
}

duro_code duro_job_defer(duro_job *job, duro_buf *token, duro_error **err) {
  duro__token_write(token, job->instance_key, job->execution_id, job->task, job->info.attempt);
  if (token->oom) return duro_fail_oom(err);
  job->deferred = true;
  return DURO_OK;
}
