// internal.h: the runtime's state, in the order in which data flows through it.
//
//   message -> inbox -> turn (turn.c) -> open batch (batch.c) -> store thread (writer.c)
//           -> committed (batch.c): jobs, timers, waiters, answers
//
// Invariants:
//  - An instance is live (in `by_key`) or not; what is not live is wholly in the store, with nothing of
//    it in flight. What is live may be ahead of the store by the batches that name it.
//  - Nothing escapes before its commit: everything a turn causes outside its batch waits in the batch's
//    `after` list.
//  - A message that must survive is consumed by a turn of the batch that caused it, or that batch
//    carries it as a row (batch.c, spill).
// Everything here is touched on the loop thread only, but for `writer`, which has its own lock.
#ifndef DURO_RUNTIME_INTERNAL_H
#define DURO_RUNTIME_INTERNAL_H

#include <uv.h>

#include "base/map.h"
#include "duro.h"
#include "model/message.h"
#include "replay/exec.h"
#include "runtime/verbs.h"
#include "store/store.h"

typedef struct duro__instance duro__instance;
typedef struct duro__batch duro__batch;

// A growable array of one type: zero-initialise, duro__vec_push gives a zeroed new item or NULL.
#define DURO__VEC(type)                                                                            \
  struct {                                                                                         \
    type *items;                                                                                   \
    size_t count, capacity;                                                                        \
  }
void *duro__vec_grow(void *items, size_t *count, size_t *capacity, size_t item_size);
#define duro__vec_push(v)                                                                          \
  ((v)->items = duro__vec_grow((v)->items, &(v)->count, &(v)->capacity, sizeof *(v)->items),       \
   &(v)->items[(v)->count - 1])

// --- Registered code (registry.c) ---
typedef struct duro__code {
  char *name;
  char *version; // orchestrations only
  void *handle;  // the host's
  int64_t users; // live programs that run it
  bool replaced; // freed when the last user goes
} duro__code;

// --- Instances (instances.c) ---
struct duro__instance {
  int64_t key;
  duro_str id, name, version; // owned
  duro_str parent_id;         // owned; absent = root
  int64_t parent_key, parent_event_id, parent_execution_id, depth;
  int vm;
  char run_id[DURO_RUN_ID_SIZE];
  duro_status status; // of the row: RUNNING, SUSPENDED, STALLED, PENDING, or final
  int64_t created_at_ms, execution_id, execution_started_at_ms;
  int64_t custom_status_version;
  duro__exec *exec;  // NULL: stalled before it could be built, or just dropped
  duro__code *code;
  duro__mismatch mismatch; // of a stalled one

  duro_message *inbox_head, *inbox_tail;
  size_t inbox_count;
  bool ready;        // in the ready queue
  bool needs_insert; // its row is not in any batch yet
  bool gone;         // ended or deleted: leaves memory with its last batch
  bool doomed;       // touched by a failed batch: to be dropped and loaded again
  int64_t last_batch; // newest batch that names it
  int64_t last_seq;   // newest journal row; may be dropped once folded
  int batches;        // unfinished batches that name it
  int jobs;           // duro_jobs of it that exist
  int64_t due_ms;     // in the due heap; DURO_NEVER = not in it
  size_t due_index;
  int64_t shown_at_ms; // time of its newest committed turn
  duro_str attributes_json; // of a start, until its row is written (owned)
  duro__instance *ready_next;
  duro__instance *lru_prev, *lru_next;
};

// --- The open batch and those in flight (batch.c) ---
typedef enum duro__after_kind { DURO__AFTER_JOB, DURO__AFTER_CANCEL_JOB } duro__after_kind;
typedef struct duro__after {
  duro__after_kind kind;
  duro__instance *instance;
  int64_t execution_id, task;
} duro__after;

struct duro__batch {
  duro__batch *next;
  duro_batch rows; // sealed: what the store gets
  duro_arena arena;
  DURO__VEC(duro_instance_row) inserts;
  DURO__VEC(duro_turn_row) turns;
  DURO__VEC(duro_instance_update) updates;
  DURO__VEC(duro_execution_row) executions;
  DURO__VEC(duro_message_row) messages;
  DURO__VEC(int64_t) messages_done;
  DURO__VEC(duro_request_row) answers;
  DURO__VEC(int64_t) deletes;
  DURO__VEC(duro_counter) counters;
  DURO__VEC(duro__instance *) touched; // each once
  DURO__VEC(duro__after) after;
  DURO__VEC(duro_request *) requests; // answered with `answer` when durable
  duro_message *consumed;             // kept until durable: what a failed batch gives back
  size_t turn_count;
  bool committed;
  duro_code code;
  duro_error *error;
};

// --- The store thread (writer.c) ---
// Commands run in order on one thread; `done` is called on the loop thread.
typedef struct duro__command duro__command;
struct duro__command {
  duro__command *next;
  void (*run)(duro_runtime *rt, duro__command *c);  // store thread
  void (*done)(duro_runtime *rt, duro__command *c); // loop thread; frees it
  void *subject;
  int64_t number, number2;
  bool flag;
  duro_code code;
  duro_error *error;
  duro_arena arena;
};

typedef struct duro__writer {
  uv_thread_t thread;
  bool started;
  uv_mutex_t lock; // guards the two queues and `stop`
  uv_cond_t wanted;
  duro__command *todo_head, *todo_tail;
  duro__command *done_head, *done_tail;
  bool stop;
} duro__writer;

// --- Requests: calls of clients (requests.c) ---
struct duro_request {
  duro_runtime *rt;
  bool done, abandoned; // abandoned: freed by its caller before it was done
  duro_code code;
  duro_error *error;
  duro_buf answer;
  int64_t row_id;            // it came through the file: the answer goes there
  duro_job *awaiting;        // the job to wake when it is done
  void (*on_done)(duro_request *r, void *user); // runtime-internal continuation
  void *user;
  duro_request *next;        // in rt->waiters
  int wait_kind;             // duro__wait_kind while it waits
  DURO__VEC(int64_t) wait_keys;
  DURO__VEC(duro_str) wait_ids; // owned
  int64_t wait_number;
  bool wait_any;
};

// --- Jobs (jobs.c) ---
typedef enum duro__job_state {
  DURO__JOB_READY,
  DURO__JOB_RUNNING,
  DURO__JOB_SLEEPING,
  DURO__JOB_AWAITING,
  DURO__JOB_WOKEN,
} duro__job_state;

struct duro_job {
  duro_runtime *rt;
  duro_job *next, *prev; // ready or woken queue; else the list of running ones
  duro_job_info info;
  duro__job_state state;
  int64_t instance_key, execution_id, task;
  duro__instance *instance; // NULL once its instance left memory
  bool cancelled, orphan;   // orphan: its result is dropped
  bool deferred;
  duro_request *awaited;
  int64_t sleep_until_ms;
  size_t sleep_index;
  int64_t heartbeat_timeout_ms, attempt_deadline_ms;
  duro_buf heartbeat;
  void *user;
  char *bytes; // owned text of info
};

typedef struct duro__job_queue {
  duro_job *head, *tail;
  size_t count;
} duro__job_queue;

// --- Counters (metrics.c) ---
typedef enum duro__metric {
  DURO__STARTED, DURO__COMPLETED, DURO__FAILED, DURO__CANCELLED, DURO__TERMINATED, DURO__DURATION_MS,
  DURO__ACTIVITIES_COMPLETED, DURO__ACTIVITIES_FAILED, DURO__TIMERS_FIRED, DURO__EVENTS_RAISED,
  DURO__METRIC_COUNT
} duro__metric;
typedef struct duro__name_counts {
  char *name;
  int64_t pending[DURO__METRIC_COUNT]; // not in a batch yet
  bool dirty;
} duro__name_counts;

// The watchdog (watchdog.c) reads these from its own thread.
typedef struct duro__watch {
  uv_thread_t thread;
  bool started;
  uv_mutex_t lock; // guards the rest
  uv_cond_t wake;
  bool stop;
  uint64_t turn_started_ns; // 0: no turn is running
  char instance_id[DURO_MAX_DERIVED_ID_BYTES + 1];
  bool noted;
} duro__watch;

struct duro_runtime {
  duro_options options;
  char *path;
  duro_host host;
  int pid;
  bool closing, lost;
  duro_role role; // RUNTIME or CLIENT as it stands now; AUTO is decided at open and on takeover
  duro_role asked_role;
  duro__store *store;
  int lock_fd; // kernel lock of the owner, -1
  int64_t epoch;
  char owner_text[128];
  int64_t lease_renew_at_ms; // real time

  // Time
  int64_t virtual_now_ms;
  int64_t last_now_ms; // never goes back

  // High-water marks, as far as given out
  int64_t last_seq, last_key, last_message_id, last_batch, last_job_id;
  int64_t committed_batch, committed_seq, folded_seq;

  duro_map orchestrations; // name -> duro__versions (registry.c)
  duro_map activities;     // name -> duro__code

  duro_map by_id;  // id -> duro__instance
  duro_map by_key; // key -> duro__instance
  size_t live_count;
  duro__instance lru; // sentinel: lru.lru_next is the least recently used
  duro__instance *ready_head, *ready_tail;
  size_t ready_count;
  DURO__VEC(duro__instance *) due; // binary heap by (due_ms, key)
  DURO__VEC(duro_job *) sleeping;  // binary heap by sleep_until_ms
  // What the store says is due (timers.c): the cursor of the sweep under way, and when to sweep next.
  bool sweeping;
  int64_t sweep_wake_ms, sweep_key, sweep_now_ms, next_sweep_ms;

  duro__batch *open; // NULL when empty
  duro__batch *flight_head, *flight_tail;
  int in_flight;
  duro__batch *batch_pool;
  // A fault of the store: no turns until it is probed.
  bool fault;
  int64_t fault_retry_ns, fault_delay_ns;
  bool verify_ids; // the last fault was a taken id: check derived ids too
  DURO__VEC(int64_t) reload; // keys to load again

  duro__writer writer;
  bool folding;
  uint64_t last_fold_ns;
  DURO__VEC(duro_request *) want_fold; // reads that wait for the projection (on_done continues them)

  duro__job_queue ready_jobs, woken_jobs;
  size_t jobs_running; // taken by the host and neither ended, nor asleep, nor waiting
  size_t jobs_out;     // taken by the host and not ended
  size_t jobs_idle;    // of these: asleep or deferred (they wait for the passing of time)
  duro_map jobs_by_key; // instance key -> list of its jobs is walked through `all_jobs`
  duro_job *all_jobs;  // every job that exists, by `prev`/`next` when in no queue

  duro_request *waiters;
  int64_t last_request_row; // requests of clients handled so far
  int64_t data_version;
  uint64_t last_poll_ns;

  duro_map counts; // name -> duro__name_counts
  DURO__VEC(duro__name_counts *) dirty_counts;
  duro_prng prng;  // for run ids
  uint64_t started_ns;
  struct {
    int64_t turns, replays, commits, activities, timers, events, started, completed, failed, cancelled;
  } totals;

  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t timer;
  bool loop_open;
  bool did_something; // in this step
  duro__watch watch;
};

// --- clock (loop.c) ---
int64_t duro__now(duro_runtime *rt); // the runtime's time; never goes back

// --- registry.c ---
duro__code *duro__find_orchestration(duro_runtime *rt, duro_str name, duro_str version); // absent: highest
duro__code *duro__find_activity(duro_runtime *rt, duro_str name);
void duro__code_release(duro_runtime *rt, duro__code *code); // a user goes
void duro__registry_free(duro_runtime *rt);
void duro__registry_json(duro_runtime *rt, duro_buf *b); // {orchestrations:[{name,versions}],activities:[]}

// --- instances.c ---
duro__instance *duro__live(duro_runtime *rt, duro_str id); // NULL: not live
duro__instance *duro__live_by_key(duro_runtime *rt, int64_t key);
// Live, or loaded now. *out stays NULL with DURO_OK when it has ended (then *ended_status tells) .
duro_code duro__instance_fetch(duro_runtime *rt, duro_str id, duro__instance **out,
                               duro_status *ended_status, duro_error **err);
duro_code duro__instance_fetch_by_key(duro_runtime *rt, int64_t key, duro__instance **out,
                                      duro_status *ended_status, duro_error **err);
// A new one, live and ready, with its start message in the inbox. Errors: already_exists ...
typedef struct duro__new_instance {
  duro_str id, name, version, input, attributes, parent_id, carry;
  int64_t parent_key, parent_event_id, parent_execution_id, depth;
  int64_t start_at_ms; // 0 = now
  int64_t timeout_ms;  // 0 = none
  duro_request *request; // answered when it is durable
  bool checked;          // the caller knows the id is free
} duro__new_instance;
duro_code duro__instance_create(duro_runtime *rt, const duro__new_instance *n, duro__instance **out,
                                duro_error **err);
void duro__instance_ready(duro_runtime *rt, duro__instance *i);
duro__instance *duro__instance_next_ready(duro_runtime *rt);
// Hands a message over (owned). Wakes it; or, when it cannot run, makes the message a row.
void duro__deliver(duro_runtime *rt, duro__instance *i, duro_message *m);
void duro__instance_drop(duro_runtime *rt, duro__instance *i); // out of memory; must have nothing in flight
void duro__instance_touch(duro_runtime *rt, duro__instance *i); // used: to the young end
void duro__evict(duro_runtime *rt);                            // over max_live_instances
duro_code duro__instance_build(duro_runtime *rt, duro__instance *i, duro_error **err); // its exec, by replay
// Drops the coroutine (not the instance), so that the next turn replays.
void duro__instance_unbuild(duro_runtime *rt, duro__instance *i);
void duro__instances_free(duro_runtime *rt);
void duro__code_replaced(duro_runtime *rt, duro_str name, duro_str version); // hot reload

// --- turn.c ---
void duro__turn_run(duro_runtime *rt, duro__instance *i);
void duro__instance_stall(duro_runtime *rt, duro__instance *i, duro_code code, const char *message);

// --- timers.c ---
void duro__due_update(duro_runtime *rt, duro__instance *i); // its earliest due time may have changed
void duro__due_remove(duro_runtime *rt, duro__instance *i);
int64_t duro__due_next_ms(duro_runtime *rt);
bool duro__timers_fire(duro_runtime *rt); // everything due now; true when something was
void duro__sweep_start(duro_runtime *rt, int64_t from_wake_ms);
bool duro__sweep_step(duro_runtime *rt); // loads the next due ones from the store

// --- batch.c ---
duro__batch *duro__batch_open(duro_runtime *rt); // the one being filled; NULL when memory is out
void duro__batch_touch(duro_runtime *rt, duro__batch *b, duro__instance *i);
void duro__batch_answer(duro_runtime *rt, duro__batch *b, duro_request *r); // when durable
void duro__batch_add_message(duro_runtime *rt, duro__batch *b, duro_message *m); // as a row; sets row_id
bool duro__batches_turn(duro_runtime *rt);   // seals what is due; true when something was handed over
void duro__batch_finished(duro_runtime *rt, duro__batch *b); // loop thread, from the writer
bool duro__fault_retry(duro_runtime *rt);
void duro__batches_free(duro_runtime *rt);

// --- writer.c ---
duro_code duro__writer_start(duro_runtime *rt, duro_error **err);
void duro__writer_stop(duro_runtime *rt); // runs what is queued, then joins
duro__command *duro__command_new(void (*run)(duro_runtime *, duro__command *),
                                 void (*done)(duro_runtime *, duro__command *));
void duro__writer_push(duro_runtime *rt, duro__command *c);
bool duro__writer_collect(duro_runtime *rt); // loop thread: calls `done` of what is finished
// Runs `then` once everything committed so far is in the projection (at once when it is).
void duro__when_folded(duro_runtime *rt, duro_request *r, void (*then)(duro_request *r, void *user),
                       void *user);
void duro__fold_turn(duro_runtime *rt); // starts folding when it is time

// --- jobs.c ---
void duro__job_start(duro_runtime *rt, duro__instance *i, duro__open *open); // after its commit
void duro__job_cancel(duro_runtime *rt, duro_job *job);
void duro__jobs_orphan(duro_runtime *rt, duro__instance *i);  // its instance leaves memory
void duro__jobs_attach(duro_runtime *rt, duro__instance *i);  // and comes back: finds its running ones
void duro__job_wake(duro_runtime *rt, duro_job *job);
bool duro__sleepers_wake(duro_runtime *rt);
int64_t duro__sleepers_next_ms(duro_runtime *rt);
void duro__jobs_free(duro_runtime *rt);

// --- requests.c ---
duro_request *duro__request_new(duro_runtime *rt);
void duro__request_take_error(duro_request *r, duro_code code, duro_error *err); // owned
void duro__waiters_notify(duro_runtime *rt, duro__instance *i); // its committed state changed
void duro__waiters_free(duro_runtime *rt);

// --- clients.c (another process) ---
bool duro__clients_poll(duro_runtime *rt);  // the owner: takes requests out of the file
bool duro__client_step(duro_runtime *rt);   // a client: looks for answers; may take over
int64_t duro__client_poll_ms(const duro_runtime *rt);

// --- owner.c ---
duro_code duro__owner_acquire(duro_runtime *rt, duro_error **err); // busy names the owner
void duro__owner_release(duro_runtime *rt);
void duro__owner_renew(duro_runtime *rt); // when it is time

// --- metrics.c ---
void duro__count(duro_runtime *rt, duro_str name, duro__metric metric, int64_t delta);
void duro__counts_to_batch(duro_runtime *rt, duro__batch *b);

// --- watchdog.c ---
duro_code duro__watchdog_start(duro_runtime *rt, duro_error **err);
void duro__watchdog_stop(duro_runtime *rt);
void duro__watchdog_turn(duro_runtime *rt, const duro__instance *i); // NULL: the turn is over

// --- shared small things ---
void duro__log(duro_runtime *rt, const char *level, const char *format, ...) DURO_PRINTF(3, 4);
bool duro__is_own_process(const duro_runtime *rt);

#endif
