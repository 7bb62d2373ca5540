// jobs.h: attempts of activities, from the turn that schedules them to the result that comes back: in this
// process (jobs.c, heartbeats.c), on its worker threads (threads.c), or by way of a task queue (queues.c,
// the owner's side; claims.c, the side of those who serve it).
//
// Invariant: a job belongs to the host from duro_next_job until it completes or fails it; before and after
// it belongs to its instance, to rt->orphans, or to the queue it came from. What an open activity's
// `runtime` points to is its job, or its row of `jobs` when it has a queue.
#ifndef DURO_RUNTIME_JOBS_H
#define DURO_RUNTIME_JOBS_H

#include "duro.h"
#include "model/message.h"
#include "replay/exec.h"
#include "store/store.h"

typedef struct duro__instance duro__instance;
typedef struct duro__batch duro__batch;
typedef struct duro__after duro__after;
typedef struct duro__code duro__code;

// A row of `jobs` (queues.c, heartbeats.c). `runtime` of an open activity points to one when it has a
// queue, else to its job.
typedef struct duro__job_ref {
  struct duro__job_ref *next, *prev; // in its instance's list, the oldest first
  int64_t row_id, execution_id, task, attempt;
  int64_t due_ms; // when its time limits are to be looked at; 0 = it has none
  bool held_back; // it lost too many holders
  bool waits;     // for the owner to free it
} duro__job_ref;

typedef enum duro__job_state {
  DURO__JOB_READY,
  DURO__JOB_RUNNING,
  DURO__JOB_SLEEPING,
  DURO__JOB_AWAITING,
  DURO__JOB_WOKEN,
} duro__job_state;

struct duro_job {
  duro_runtime *rt;
  duro_job *next, *prev; // in the ready or the woken queue
  duro_job *sibling;     // the next one of its instance, or of rt->orphans
  duro_job **sibling_at; // what points to this one there, so that any of many leaves at once
  duro_job_info info;
  duro__job_state state;
  int64_t instance_key, execution_id, task;
  duro__instance *instance; // NULL once its instance left memory
  duro__code *code;
  bool cancelled, orphan; // orphan: its result is dropped
  bool deferred;
  duro_request *awaited;
  int64_t sleep_until_ms;
  size_t sleep_index;
  bool taken;                  // by the host
  uint64_t ready_ns, begun_ns; // when it became ready, and was taken
  int64_t ready_at_ms;         // the first by a virtual clock
  int64_t heartbeat_timeout_ms, attempt_timeout_ms;
  int64_t attempt_deadline_ms, beat_due_ms; // once it has begun; 0 = none
  duro_buf heartbeat;                       // the newest details of this attempt
  uint64_t kept_ns;                         // when they were written last; 0 = not yet
  bool keep_later;
  duro_work *work;         // on a worker thread
  struct duro__hold *hold; // it came from a queue (claims.c)
  void *user;
  // The text of `info` follows in the same allocation.
};

// An activity whose code is not registered here.
typedef struct duro__unregistered {
  int64_t instance_key, execution_id, task;
} duro__unregistered;

typedef struct duro__job_queue {
  duro_job *head, *tail;
  size_t count;
} duro__job_queue;

// --- jobs.c ---
void duro__job_start(duro_runtime *rt, duro__instance *i, duro__open *open); // after its commit
void duro__jobs_registered(duro_runtime *rt); // an activity was registered: who waited for it?
void duro__job_cancel(duro_runtime *rt, duro_job *job);
void duro__jobs_orphan(duro_runtime *rt, duro__instance *i); // its instance leaves memory
void duro__jobs_attach(duro_runtime *rt,
                       duro__instance *i); // and comes back: finds its running ones
void duro__job_wake(duro_runtime *rt, duro_job *job);
#define DURO__ACTIVITY_ID_SIZE 96
int duro__activity_id(char out[DURO__ACTIVITY_ID_SIZE], const duro__instance *i, int64_t task);
duro_job *duro__job_of_row(duro_runtime *rt, const duro_job_row *row, duro__code *code); // ready
bool duro__sleepers_wake(duro_runtime *rt);
int64_t duro__sleepers_next_ms(duro_runtime *rt);
void duro__jobs_free(duro_runtime *rt);

// --- attempts.c ---
// As many results as one turn takes: what came waits in memory that is still warm, and is stored while the
// next ones run. So many jobs are ready at most, if there are more they are made step by step.
#define DURO__JOBS_PER_STEP 1000
// What is to begin `after` a batch begins, or does when there is room.
void duro__job_begin(duro_runtime *rt, const duro__after *a);
void duro__jobs_begin_more(duro_runtime *rt);                           // there is room
bool duro__job_begins(const duro__instance *i, const duro__open *open); // it has not had its job
// Its exec is a new one, and no job is missing any more.
void duro__jobs_begun(duro_runtime *rt, duro__instance *i);
void duro__jobs_begin_rest(duro_runtime *rt, duro__instance *i); // it leaves memory
// Sets or clears `ended` of the tasks whose attempt ends with one of these messages, which no turn has taken
// yet. Set before a walk through all open tasks, and cleared behind it.
void duro__results_mark(duro__instance *i, const duro_message *list, bool ended);
bool duro__job_is_missing(const duro__open *o); // it is to run, and has neither a job nor a result
// What is to be cancelled `after` a batch: `count` tasks of one instance and execution.
void duro__jobs_cancel_tasks(duro_runtime *rt, const duro__after *items, size_t count);

// --- heartbeats.c ---
void duro__job_begun(duro_runtime *rt, duro_job *job);  // it runs: its time limits begin
void duro__job_disarm(duro_runtime *rt, duro_job *job); // ... not yet
void duro__job_rearm(duro_runtime *rt, duro_job *job);  // its exec is a new one
bool duro__heartbeats_turn(duro_runtime *rt);           // writes the details that waited
void duro__heartbeats_forget(duro_runtime *rt, duro_job *job);

// --- threads.c ---
bool duro__threads_collect(duro_runtime *rt); // what the threads tell; true when there was anything
// Jobs that wait because every thread has one: they move when those do.
size_t duro__threads_stuck(const duro_runtime *rt);
bool duro__threads_cancel(
    duro_job *job);                     // true: it had not begun, and the job is the caller's again
void duro__threads_woke(duro_job *job); // its sleep is over
void duro__threads_close(duro_runtime *rt);

// --- queues.c (the owner's side of task queues) ---
// The turn has taken these messages (`newest_first`): rows of attempts that are over go, and retries get
// theirs. Then rows for what the turn schedules come, and those of what it cancels go. Both before its
// journal row is made, which tells when the instance is due.
void duro__queues_settle(duro_runtime *rt, duro__batch *b, duro__instance *i,
                         const duro_message *newest_first);
void duro__queues_turn(duro_runtime *rt, duro__batch *b, duro__instance *i,
                       const duro__turn_result *result);
duro__job_ref *duro__kept_ref(duro__instance *i, int64_t execution_id, int64_t task);
duro__job_ref *duro__kept_add(duro__instance *i, int64_t row_id, int64_t execution_id, int64_t task,
                              int64_t attempt); // NULL: memory is out
void duro__job_refs_free(duro__instance *i);
void duro__queue_start(duro_runtime *rt, duro__instance *i, duro__open *o);
// Whether the attempt's time is over; else its due time is set anew. *details: of its last heartbeat.
bool duro__queue_overdue(duro_runtime *rt, duro__instance *i, duro__open *o, duro_arena *arena,
                         duro_str *details);
void duro__queues_attach(duro_runtime *rt,
                         duro__instance *i); // after loading or rebuilding its exec
// For `why`: what waits in a queue, and when somebody served it last (idle servers say so every 30 s).
duro_code duro__queue_look(duro_runtime *rt, duro_str queue, duro_queue_state *out,
                           duro_error **err);

// --- claims.c (serving task queues) ---
bool duro__claims_step(duro_runtime *rt);
int64_t duro__claims_wait_ms(const duro_runtime *rt); // until it looks again
bool duro__claims_busy(const duro_runtime *rt);
bool duro__claims_idle(const duro_runtime *rt);
void duro__claim_beat(duro_runtime *rt, duro_job *job);
void duro__claim_finish(duro_runtime *rt, duro_job *job, const duro_event *e);
void duro__claim_drop(duro_job *job);
// Of a job that is held here; false when it is not.
bool duro__claim_times(const duro_runtime *rt, int64_t row_id, int64_t *claimed_at_ms,
                       int64_t *beat_at_ms);
void duro__claims_close(duro_runtime *rt); // before the store thread stops
void duro__claims_free(duro_runtime *rt);

#endif
