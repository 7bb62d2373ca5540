// attempts.c: many attempts of one instance at once, each found without a walk through all of the others: a
// fan-out may have a hundred thousand, and what is done for each of them must not cost more the more there are.
#include "runtime/internal.h"

#define STRIDE 100 // of one instance, then the next one's turn has come
#define FEW    8   // to be cancelled: a walk through the list for each costs less than an array

// --- Beginning ---
//
// A job is made when it may begin; or, while enough are ready, later: until then it is a number in a range of
// tasks. So a fan-out has no hundred thousand jobs in memory at once, and the activities of others need not wait
// for all of them.

static void enlist(duro_runtime *rt, duro__instance *i) {
  if (i->begins) return;
  i->begins = true;
  i->begin_next = NULL;
  i->begin_prev = rt->beginning_tail;
  if (rt->beginning_tail)
    rt->beginning_tail->begin_next = i;
  else
    rt->beginning_head = i;
  rt->beginning_tail = i;
}

static void delist(duro_runtime *rt, duro__instance *i) {
  if (!i->begins) return;
  if (i->begin_prev)
    i->begin_prev->begin_next = i->begin_next;
  else
    rt->beginning_head = i->begin_next;
  if (i->begin_next)
    i->begin_next->begin_prev = i->begin_prev;
  else
    rt->beginning_tail = i->begin_prev;
  i->begin_prev = i->begin_next = NULL;
  i->begins = false;
}

static bool has_range(const duro__instance *i) {
  return i->begin_to && i->begin_execution == i->execution_id;
}

bool duro__job_begins(const duro__instance *i, const duro__open *o) {
  return has_range(i) && o->id > i->begin_after && o->id <= i->begin_to &&
         o->kind == DURO__OPEN_ACTIVITY && !o->queue.p;
}

// Whether it is the first attempt of its task. Tasks may begin in the order of their ids.
static bool is_first(duro__instance *i, int64_t task) {
  if (i->begin_execution != i->execution_id) {
    i->begin_execution = i->execution_id;
    i->begin_last = i->begin_to = 0;
  }
  if (task <= i->begin_last) return false;
  i->begin_last = task;
  return true;
}

static void begin_later(duro_runtime *rt, duro__instance *i, int64_t task) {
  if (!i->begin_to) {
    i->begin_after = task - 1;
    i->begin_ns = rt->tick_ns;
    i->begin_at_ms = rt->virtual_now_ms;
  }
  i->begin_to = task;
  i->begin_count++;
  rt->beginning_count++;
  enlist(rt, i);
}

// So what is in the range are first attempts, and all of them; their tasks need not be looked at before.
void duro__job_begin(duro_runtime *rt, const duro__after *a) {
  duro__instance *i = a->instance;
  bool room = rt->ready_jobs.count < DURO__JOBS_PER_STEP && !rt->beginning_head;
  if (is_first(i, a->task) && !room && !a->queued) {
    begin_later(rt, i, a->task);
    return;
  }
  duro__open *o = duro__exec_open(i->exec, a->task);
  if (o && (!o->runtime || a->queued)) duro__job_start(rt, i, o);
}

// What was cancelled meanwhile is still counted.
static void count_none(duro_runtime *rt, duro__instance *i) {
  rt->beginning_count -= i->begin_count;
  i->begin_count = 0;
}

// In the order of their tasks. NULL: there is none.
static duro__open *next_to_begin(duro_runtime *rt, duro__instance *i) {
  duro__open *o;
  while ((o = duro__exec_open_next(i->exec, i->begin_after)) && o->id <= i->begin_to) {
    bool begins = duro__job_begins(i, o);
    i->begin_after = o->id;
    if (!begins) continue; // a timer, say
    i->begin_count--;
    rt->beginning_count--;
    return o;
  }
  i->begin_to = 0;
  return NULL;
}

// One whose code does not stand keeps its range, until its exec is built again.
static bool stands(const duro__instance *i) {
  return i->exec && duro__exec_program(i->exec) && !i->gone && has_range(i);
}

static bool begin_one(duro_runtime *rt, duro__instance *i) {
  duro__open *o = stands(i) ? next_to_begin(rt, i) : NULL;
  if (!o) return false;
  int64_t task = o->id;
  duro__job_start(rt, i, o);
  if (i->jobs && i->jobs->task == task) {
    i->jobs->ready_ns = i->begin_ns;
    i->jobs->ready_at_ms = i->begin_at_ms;
  }
  return true;
}

void duro__jobs_begin_more(duro_runtime *rt) {
  while (rt->beginning_head && rt->ready_jobs.count < DURO__JOBS_PER_STEP) {
    duro__instance *i = rt->beginning_head;
    int n = 0;
    while (n < STRIDE && begin_one(rt, i)) n++;
    delist(rt, i);
    if (n == STRIDE)
      enlist(rt, i);
    else
      count_none(rt, i);
  }
}

void duro__jobs_begun(duro_runtime *rt, duro__instance *i) {
  delist(rt, i);
  count_none(rt, i);
  i->begin_to = 0;
  i->begin_execution = i->execution_id;
  i->begin_last = i->exec ? duro__exec_last_event_id(i->exec) : 0;
}

// Dropped after a fault of the store: its jobs outlive it, and it finds them when it is loaded again. What was
// lost too often stalls it only then.
void duro__jobs_begin_rest(duro_runtime *rt, duro__instance *i) {
  for (duro__open *o; !rt->closing && stands(i) && (o = next_to_begin(rt, i));) {
    if (o->lost_in_a_row < rt->options.max_lost_attempts) duro__job_start(rt, i, o);
  }
  duro__jobs_begun(rt, i);
}

// --- Ends that no turn has taken yet ---

// Its attempt has ended, or left with a token. After a retry also what an attempt before it gave.
static bool ends(const duro__instance *i, const duro_message *m, const duro__open *o) {
  switch (m->event.kind) {
  case DURO_EVENT_ACTIVITY_COMPLETED:
    return i->retried || m->event.attempt == o->attempt;
  case DURO_EVENT_ACTIVITY_FAILED:
    return m->event.attempt == o->attempt;
  default:
    return m->event.kind == DURO_EVENT_ACTIVITY_DEFERRED;
  }
}

void duro__results_mark(duro__instance *i, const duro_message *list, bool ended) {
  if (!i->exec) return;
  for (const duro_message *m = list; m; m = m->next) {
    if (m->instance_key != i->key || m->execution_id != i->execution_id) continue;
    duro__open *o = duro__exec_open(i->exec, m->event.source);
    if (o && ends(i, m, o)) o->ended = ended;
  }
}

bool duro__job_is_missing(const duro__open *o) {
  return o->kind == DURO__OPEN_ACTIVITY && !o->runtime && !o->ended &&
         (o->state == DURO__STATE_WAITING || o->state == DURO__STATE_RUNNING);
}

// --- Cancelling ---

static void cancel_task(duro_runtime *rt, const duro__after *a) {
  for (duro_job *job = a->instance->jobs, *next; job; job = next) {
    next = job->sibling;
    if (job->execution_id == a->execution_id && job->task == a->task) duro__job_cancel(rt, job);
  }
}

typedef struct found {
  int64_t task;
  duro_job *job;
} found;

static int by_task(const void *a, const void *b) {
  const found *x = a, *y = b;
  return (x->task > y->task) - (x->task < y->task);
}

static size_t first_of(const found *jobs, size_t count, int64_t task) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (jobs[middle].task < task)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Many at once are looked up in an array: each walk through the list would be as long as all of them. Cancelling
// one frees no other.
static bool cancel_many(duro_runtime *rt, const duro__after *items, size_t count) {
  size_t n = 0;
  DURO__VEC(found) jobs = {0};
  for (duro_job *job = items->instance->jobs; job; job = job->sibling) {
    if (job->execution_id != items->execution_id) continue;
    found *f = duro__vec_push(&jobs);
    if (!f) {
      free(jobs.items);
      return false;
    }
    *f = (found){job->task, job};
  }
  n = jobs.count;
  if (n) qsort(jobs.items, n, sizeof *jobs.items, by_task);
  for (size_t k = 0; k < count; k++) {
    for (size_t at = first_of(jobs.items, n, items[k].task);
         at < n && jobs.items[at].task == items[k].task; at++) {
      if (jobs.items[at].job) duro__job_cancel(rt, jobs.items[at].job);
      jobs.items[at].job = NULL;
    }
  }
  free(jobs.items);
  return true;
}

void duro__jobs_cancel_tasks(duro_runtime *rt, const duro__after *items, size_t count) {
  if (count > FEW && cancel_many(rt, items, count)) return;
  for (size_t k = 0; k < count; k++) cancel_task(rt, &items[k]);
}
