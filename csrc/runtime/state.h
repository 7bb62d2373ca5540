// state.h: the runtime's state, in the order in which data flows through it.
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
//    carries it as a row (duro__batch_spill).
// Everything here is touched on the loop thread only, but for `writer`, which has its own lock.
#ifndef DURO_RUNTIME_STATE_H
#define DURO_RUNTIME_STATE_H

#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "base/map.h"
#include "duro.h"
#include "model/message.h"
#include "replay/exec.h"
#include "runtime/feed_names.h"
#include "runtime/jobs.h"
#include "runtime/vec.h"
#include "runtime/verbs.h"
#include "store/store.h"

// --- Registered code (registry.c) ---
struct duro__code {
  char *name;
  char *version; // orchestrations only
  void *handle;  // the host's
  int64_t users; // live programs that run it
  bool replaced; // freed when the last user goes
};

// --- Instances (instances.c) ---
struct duro__instance {
  int64_t key;
  duro_str id, name, version; // owned
  duro_str parent_id;         // owned; absent = root
  int64_t parent_key, parent_event_id, parent_execution_id, depth;
  int vm;
  char run_id[DURO_RUN_ID_SIZE];
  int row_status;     // of its newest row, in a batch or stored; -1: it has none (metrics.c)
  duro_status status; // of the row: RUNNING, SUSPENDED, STALLED, PENDING, or final
  int64_t created_at_ms, execution_id, execution_started_at_ms;
  int64_t custom_status_version;
  duro__exec *exec; // NULL: stalled before it could be built, or just dropped
  duro__code *code;
  duro__mismatch mismatch; // of a stalled one

  duro_message *inbox_head, *inbox_tail;
  size_t inbox_count;
  size_t parked_count; // messages that wait as rows because it is suspended, stalled or pending
  // The first message that the open batch may have to carry, and the place in rt->keeping (instances.c).
  duro_message *keep_from;
  duro__instance *keep_prev, *keep_next;
  bool keeps;
  bool ready;           // in the ready queue
  uint64_t ready_ns;    // since when
  int64_t ready_at_ms;  // the same by a virtual clock
  bool needs_insert;    // its row is not in any batch yet
  int64_t insert_batch; // the one that carries it
  bool gone;            // ended or deleted: leaves memory with its last batch
  bool deleted;         // that batch deletes its row
  bool stopped;         // gone only for a deletion to come: stays in memory until then (bulk.h)
  bool doomed;          // touched by a failed batch: to be dropped and loaded again
  bool foreign_vm;      // the other VM began it: kept and managed, not run
  uint64_t stall_hash;  // of the error its row shows while it is stalled
  int broken_turns;     // in a row
  bool start_due;       // a pending one whose time has come
  bool deadline_sent;   // its whole timeout is in the inbox
  bool retried;         // it goes on from a failed step: what is open begins again and was not lost
  bool starved;         // memory was out when something of it was to begin (shortage.c)
  bool stale_code;      // its coroutine is to be dropped and replayed before the next turn
  bool waits_commit;    // cannot run before its batches are durable
  int64_t last_batch;   // newest batch that names it
  int64_t last_seq;     // newest journal row; may be dropped once folded
  int batches;          // unfinished batches that name it
  duro_job *jobs;       // those that exist, by `sibling`
  // Attempts that may begin and have no job yet, of tasks in (begin_after, begin_to] of that execution; the last
  // task of it that may; since when; how many; and the instance's place in rt->beginning (attempts.c).
  int64_t begin_after, begin_to, begin_execution, begin_last, begin_at_ms;
  uint64_t begin_ns;
  size_t begin_count;
  duro__instance *begin_prev, *begin_next;
  bool begins;
  // Rows of `jobs`: of attempts that wait for a queue, and of details that local ones told (queues.c).
  struct duro__job_ref *queued_head, *queued_tail, *kept_head, *kept_tail;
  bool rows_known; // all of them
  int64_t due_ms;  // in the due heap; DURO_NEVER = not in it
  size_t due_index;
  int64_t shown_at_ms; // time of its newest committed turn
  duro_buf
      shown_waiting; // what that turn left it waiting for (JSON); empty: as its row says (shown.h)
  duro_str attributes_json; // of a start, until its row is written (owned)
  duro__instance *ready_next;
  duro__instance *lru_prev, *lru_next;
};

// --- The store thread and the helper thread (writer.c) ---
// Commands of one worker run in order on its thread; `done` is called on the loop thread. The store
// thread owns the write connection; the helper does what may take long: checkpoints, scanning reads.
typedef struct duro__command duro__command;
struct duro__command {
  duro__command *next;
  void (*run)(duro_runtime *rt, duro__command *c);  // store thread
  void (*done)(duro_runtime *rt, duro__command *c); // loop thread; c is its own
  void *subject;
  int64_t number, number2;
  bool flag;
  duro_code code;
  duro_error *error;
  duro_arena arena;
};

typedef struct duro__worker {
  duro_runtime *rt;
  uv_thread_t thread;
  bool started;
  uv_mutex_t lock; // guards the two queues and `stop`
  uv_cond_t wanted;
  duro__command *todo_head, *todo_tail;
  duro__command *done_head, *done_tail;
  bool stop;
  bool busy;         // it runs a command
  bool lent;         // the loop thread has its place
  uint64_t moved_ns; // when it last took or ended one, or got the first to do
} duro__worker;

// --- The open batch and those in flight (batch.c) ---
typedef enum duro__after_kind { DURO__AFTER_JOB, DURO__AFTER_CANCEL_JOB } duro__after_kind;
typedef struct duro__after {
  duro__after_kind kind;
  bool queued; // of a task that is served elsewhere
  duro__instance *instance;
  int64_t execution_id, task;
} duro__after;

struct duro__batch {
  duro__batch *next;
  duro_batch rows; // sealed: what the store gets
  duro__command commit;
  duro_arena arena;
  DURO__VEC(duro_instance_row) inserts;
  DURO__VEC(duro_turn_row) turns;
  DURO__VEC(duro_instance_update) updates;
  DURO__VEC(duro_execution_row) executions;
  DURO__VEC(duro_message_row) messages;
  DURO__VEC(int64_t) messages_done;
  DURO__VEC(duro_job_row) jobs;
  DURO__VEC(int64_t) jobs_done;
  DURO__VEC(duro_request_row) answers;
  DURO__VEC(int64_t) deletes;
  DURO__VEC(duro_prune_row) prunes;
  DURO__VEC(duro_counter) counters;
  DURO__VEC(duro_audit_row) audit;
  DURO__VEC(duro__instance *) touched; // each once
  DURO__VEC(duro__after) after;
  DURO__VEC(duro_request *) requests; // answered with `answer` when durable
  duro_message *consumed;             // kept until durable: what a failed batch gives back
  size_t turn_count;
  size_t left;      // how many of `touched` it has let go of, once it is durable
  bool poisoned;    // something its turns needed could not be read: it must not be stored
  bool tried_again; // once, after memory was out
  uint64_t kinds; // of its turns' events, a bit each; bit DURO_EVENT_NONE: of changes for the feed
  duro_code code;
  duro_error *error;
};

// --- Requests: calls of clients (requests.c) ---
struct duro_request {
  duro_runtime *rt;
  int64_t viewer;            // who asks, for duro_options.may_see; 0: all may be seen (shown.h)
  char *context;             // JSON: on whose behalf, for the audit log; NULL: the process's own
  struct duro__audit *audit; // its entry there; NULL: it gets none (audit.h)
  bool done, abandoned;      // abandoned: freed by its caller before it was done
  duro_code code;
  duro_error *error;
  duro_buf answer;
  int64_t row_id;             // it came through the file: the answer goes there
  bool row_stored;            // ... and is in a batch already
  bool row_deleted;           // ... where nobody waits for it: its row just goes
  duro__call_function *again; // not done when its batch is durable, but run again (with again_args)
  duro_buf again_args;
  uint64_t held_ns;                             // since when it is in rt->held_starts
  duro_job *awaiting;                           // the job to wake when it is done
  void (*on_done)(duro_request *r, void *user); // runtime-internal continuation
  void *user;
  duro_request *next, *prev;    // in rt->waiters, rt->posted or rt->held_starts
  duro_request **list;          // which of them; NULL: in none
  struct duro__wait *waits;     // the instances it waits for (verbs_wait.c)
  int wait_kind;                // duro__wait_kind while it waits
  DURO__VEC(duro_str) wait_ids; // owned
  int64_t wait_number;
  bool wait_any;
  const duro__call_verb *question; // it waits for the owner and changes nothing (remote.c)
  struct duro__stream *stream;     // it reads the feed (verbs_stream.c); NULL: it does not
  struct duro__bulk *bulk; // what it asks for waits, or is worked off in slices (bulk_steps.c)
};

// One instance that a request waits for; in rt->wait_lists by the instance's key.
typedef struct duro__wait {
  duro_request *request;
  int64_t key;
  struct duro__wait *next; // of the same instance
  struct duro__wait *next_of_request;
} duro__wait;

// --- Counters (metrics.c) ---
typedef enum duro__metric {
  DURO__STARTED,
  DURO__COMPLETED,
  DURO__FAILED,
  DURO__CANCELLED,
  DURO__TERMINATED,
  DURO__DURATION_MS,
  DURO__ACTIVITIES_COMPLETED,
  DURO__ACTIVITIES_FAILED,
  DURO__TIMERS_FIRED,
  DURO__EVENTS_RAISED,
  DURO__RETRIED, // failed ones that were brought back (retry_failed): they did not end after all
  // How many there are now: these go up and down, and have no rollups.
  DURO__TIMERS_OPEN,
  DURO__IN_STATUS, // + duro_status: rows of instances
  DURO__METRIC_COUNT = DURO__IN_STATUS + DURO_STATUS_CONTINUED_AS_NEW
} duro__metric;
typedef struct duro__name_counts {
  char *name;
  int64_t total[DURO__METRIC_COUNT];   // committed, over the life of the file
  int64_t pending[DURO__METRIC_COUNT]; // not in a batch yet
  bool dirty;
} duro__name_counts;

// The watchdog (watchdog.c) reads these from its own thread.
typedef struct duro__watch {
  uv_thread_t thread;
  bool started;
  uv_mutex_t lock; // guards the rest; the atomic ones are read without it, too
  uv_cond_t wake;
  bool stop;
  _Atomic uint64_t turn_started_ns; // 0: no turn is running
  int64_t epoch;
  char instance_id[DURO_MAX_DERIVED_ID_BYTES + 1];
  atomic_bool noted;
  atomic_bool again; // the note could not be stored
  duro_buf figures;  // those that other processes see now (figures.c): a note carries them along
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
  int64_t last_audit_id;
  int64_t committed_batch, committed_seq, folded_seq;
  int64_t trimmed_seq, newest_ms; // of the feed: what is gone; when its newest row was committed

  duro_map orchestrations; // name -> duro__versions (registry.c)
  duro_map activities;     // name -> duro__code

  duro_map by_id;  // id -> duro__instance
  duro_map by_key; // key -> duro__instance
  size_t live_count;
  duro_map deleting; // keys whose deletion is in a batch that is not durable
  duro_map replays;  // instance key -> how often this process replayed it (the number as a pointer)
  duro__instance lru; // sentinel: lru.lru_next is the least recently used
  duro__instance *ready_head, *ready_tail;
  // The last of those at the head of the queue that the open batch begins: it is handed over with their
  // first turns (batch.c). NULL: there are none.
  duro__instance *begun_tail;
  size_t ready_count;
  // Who may have a message that the open batch has to carry.
  duro__instance *keeping_head, *keeping_tail;
  DURO__VEC(duro__instance *) due; // binary heap by (due_ms, key)
  DURO__VEC(duro_job *) sleeping;  // binary heap by sleep_until_ms
  // What the store says is due (timers.c): the cursor of the sweep under way, and when to sweep next.
  bool sweeping;
  int64_t sweep_wake_ms, sweep_key, sweep_now_ms, next_sweep_ms, swept_to_ms;

  duro__batch *open;         // NULL when empty
  struct duro__bulk *bulks;  // calls for many instances, in order (bulk_steps.c)
  struct duro__bulk *holder; // the one that keeps the open batch open
  duro__batch *again;        // the one in flight that is to be tried again
  duro__batch *flight_head, *flight_tail;
  int in_flight;
  int64_t sealed_batch; // the newest one handed over: what the next one names as its predecessor
  duro__batch *leaving; // durable, and their instances are let go in slices
  duro__batch *batch_pool;
  // A fault of the store: no turns until it is probed.
  bool fault, probing;
  uint64_t fault_retry_ns, fault_delay_ns;
  bool short_of_memory; // and the host has not heard of it
  uint64_t starved_ns;  // when starved instances are looked at; 0 = there are none
  uint64_t resume_ns;   // after a fault: no turns before this moment; 0 = none
  duro__batch *failed_head,
      *failed_tail; // until the probe tells which of them are durable after all
  int64_t recheck_after_key;
  bool recheck_stalled;      // code was registered: stalled instances may go on
  duro_message *kept;        // results and calls of dropped instances, to be delivered again
  bool verify_ids;           // the last fault was a taken id: check derived ids too
  DURO__VEC(int64_t) reload; // keys to load again

  duro__worker writer, helper;
  bool checkpointing;
  bool folding;
  uint64_t last_fold_ns;
  DURO__VEC(duro_request *)
  want_fold; // reads that wait for the projection (on_done continues them)

  duro__job_queue ready_jobs, woken_jobs;
  duro__instance *beginning_head, *beginning_tail; // have attempts whose jobs are still to be made
  size_t beginning_count;                          // of these attempts
  size_t jobs_out;                                 // taken by the host and not ended
  size_t jobs_begun;                               // since the last step began
  size_t jobs_idle; // of these: asleep, deferred, or awaiting a request
  DURO__VEC(duro__unregistered) unregistered;
  duro_job *orphans;             // whose instance is not in memory, by `sibling`
  struct duro__pool *pool;       // worker threads (threads.c); NULL: none was needed yet
  struct duro__claims *claims;   // of task queues (claims.c); NULL: none yet
  bool jobs_changed;             // a batch with rows of `jobs` became durable
  DURO__VEC(duro_job *) beating; // local ones that told details
  bool beats_waiting;            // some of these are to be written later

  duro_request *held_starts;         // until what was ready before them has run (verbs_start.c)
  duro_request *waiters;             // wait_kind tells for what
  DURO__VEC(duro_request *) streams; // those among them that wait for more of the feed
  struct duro__recent *recent;       // batches, once there is a reader; NULL: not yet
  size_t stream_reads;               // pages of it that the helper thread reads
  duro__feed_names feed_names;       // the helper thread's
  duro_map wait_lists;               // instance key -> first duro__wait
  duro_request *posted;              // role client: wait for the owner's answer (remote.c)
  struct duro__remote *remote;       // role client: posts under way and the state of polling
  struct duro__served
      *served; // the owner: rows under way, and answered ones nobody fetched (clients.c)
  int64_t last_request_row; // requests of clients handled so far
  int64_t data_version;
  uint64_t last_poll_ns;

  duro_map counts; // name -> duro__name_counts
  DURO__VEC(duro__name_counts *) dirty_counts;
  duro__name_counts *last_counts; // the one asked for last
  struct duro__cache *cache;      // of answers (cache.c); NULL: none yet
  duro_pool blocks;               // for messages, jobs, instances and their execs
  duro__exec_stock stock;         // of the execs
  duro_prng prng;                 // for run ids
  uint64_t random[32], randoms;   // of the system, for ids; how many are left
  duro_buf scratch;               // within one function only
  uint64_t started_ns, worked_ns; // when it was opened; when the loop last began to work
  bool may_block;                 // the host waits: for a commit as well as for anything else
  uint64_t tick_ns; // the clock as last read: in each pass, at each end of a turn or job
  struct duro__figures_state *figures; // what of it others were told (figures.c)
  duro_store_stats last_stats;         // as the store last told (report.c)
  struct {
    int64_t turns, replays, commits, jobs; // of this process
    uint64_t work_ns;                      // in turns, and between a job's begin and its end
  } totals;

  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t timer;
  bool loop_open;
  bool did_something; // in this step
  duro__watch watch;
};

#endif
