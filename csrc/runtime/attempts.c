// attempts.c: many attempts of one instance at once, each found without a walk through all of the others: a
// fan-out may have a hundred thousand, and what is done for each of them must not cost more the more there are.
#include "runtime/internal.h"

#define FEW 8 // to be cancelled: a walk through the list for each costs less than an array

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
