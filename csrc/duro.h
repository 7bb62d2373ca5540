// duro.h: the front door. Durable execution for any host language; Lua is one (csrc/binding), C another
// (examples/c_host).
//
// A host registers code, opens a runtime on a file, and turns its loop:
//
//     duro_step(rt, wait_ms, &turns, &err);                 // turns, commits, timers
//     while ((job = duro_next_job(rt))) start_activity(job); // activities that are ready now
//     while ((job = duro_next_woken(rt))) go_on(job);        // sleeping or waiting ones that may go on
//
// Everything a client or an operator can ask is one function, duro_call(rt, verb, arguments): JSON in,
// JSON out. The same bytes travel through the file when another process is the owner.
//
// Invariants: the core never calls the host's scheduler, prints, exits, or installs signal handlers;
// nothing escapes (no job starts, no call is answered) before what caused it is durable.
// Thread: every function of one runtime on the thread (and in the process) that opened it, except
// duro_wake and duro_work_*. Several runtimes may live in one process.
// Owner: what a function gives as `duro_str` belongs to the runtime and lives until the next call on the
// same object; errors belong to the caller (duro_error_free).
// Units: times are epoch milliseconds, durations milliseconds, payloads JSON text.
#ifndef DURO_H
#define DURO_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "model/batch.h"
#include "model/event.h"
#include "model/limits.h"
#include "model/status.h"
#include "replay/program.h"

#define DURO_VERSION "0.1.0"
#define DURO_ABI     1 // the binding and its Lua half compare it

typedef struct duro_runtime duro_runtime;
typedef struct duro_job duro_job;
typedef struct duro_request duro_request;
typedef struct duro_work duro_work;
struct duro_store_ops;

typedef enum duro_role {
  DURO_ROLE_RUNTIME,
  DURO_ROLE_AUTO,
  DURO_ROLE_CLIENT,
  DURO_ROLE_WORKER
} duro_role;

// Start from duro_options_default().
typedef struct duro_options {
  const char *path;
  duro_role role;
  int64_t lease_wait_ms;
  const duro_str *queues; // copied; names of 1 to 128 bytes
  size_t queue_count;     // a worker needs at least one, a client has none
  int64_t worker_threads; // at most so many are made for duro_job_offload
  int64_t job_lease_ms;   // how long a job of a queue is held without a sign of life
  bool full_durability;
  bool virtual_clock;
  int64_t activity_concurrency;
  int64_t feed_retention_ms, feed_max_bytes;
  bool any_vm;
  int vm; // duro_vm of this host
  int64_t max_lost_attempts;
  int64_t max_live_instances;
  bool replay_every_turn;
  void (*log)(void *user, const char *level, const char *message, duro_str fields /* JSON */);
  void *log_user;
  const struct duro_store_ops *store; // NULL: by the path (SQLite)
  int64_t max_list_instances, max_bulk_operations, metrics_retention_hours, cache_ttl_ms;
  bool enable_metrics, enable_streaming;
  // Whether the caller's `viewer` (not 0) may see an instance; NULL: no. On the loop thread, in the middle
  // of its work: it may not call the runtime.
  bool (*may_see)(void *user, int64_t viewer, duro_str instance_id);
  void *may_see_user;
} duro_options;

// How the host runs code.
typedef struct duro_host {
  const duro_program_ops *programs;
  void *user;
  // The host's hold on registered code ends (replaced, or the runtime closes). May be NULL.
  void (*release)(void *user, void *code);
  // Worker threads, for duro_job_offload; all three or none. Called on a thread of the pool: `begin` makes
  // what a thread needs before its first work (NULL: memory is out), `end` comes when the thread ends,
  // which may be after duro_close. `run` may block; it ends the work with duro_work_complete or _fail.
  void *(*thread_begin)(void *thread_user);
  void (*thread_run)(void *thread_user, void *state, duro_work *work);
  void (*thread_end)(void *thread_user, void *state);
  void *thread_user;
} duro_host;

duro_options duro_options_default(void);
// The stores of this build, for duro_options.store: "sqlite"; "memory", the reference, which is gone with
// its runtime; "basic", which is that without its optional verbs. NULL: there is none of that name.
const struct duro_store_ops *duro_store_named(const char *name);
// Errors: busy (names the owner's pid and host), storage, corrupt, invalid_argument.
duro_code duro_open(const duro_options *options, const duro_host *host, duro_runtime **out,
                    duro_error **err);
// Waits for the batches in flight, gives the owner's place back, frees everything. NULL is fine.
// In a process that did not open it (after fork) it only frees memory.
// Work on threads is cancelled, and waited for a moment (DURO_THREAD_PATIENCE_MS); a thread that has
// not come back by then is left behind, and what it returns is dropped.
void duro_close(duro_runtime *rt);

// --- Registering code ---
// `code` is the host's handle. Errors: already_exists unless `replace` (then live programs of that name
// and version are dropped and replayed with the new code), invalid_argument (name; version not semver).
duro_code duro_register_orchestration(duro_runtime *rt, duro_str name, duro_str version, void *code,
                                      bool replace, duro_error **err);
duro_code duro_register_activity(duro_runtime *rt, duro_str name, void *code, bool replace,
                                 duro_error **err);

// --- The loop ---
// Does what is ready now, and waits at most `timeout_ms` for more when nothing was (negative: for ever).
// With 0 it never waits; else, where only a commit is left to wait for, this thread makes it by itself, and
// comes back when it is on the disk.
// Returns as soon as something was done: turns run, jobs ready, or a request answered.
// Errors: locked (the lease was lost), closed. Faults of the store are retried within, not returned.
duro_code duro_step(duro_runtime *rt, int64_t timeout_ms, int64_t *turns, duro_error **err);
// For a foreign loop: readable when duro_step has something to do; and how long it may sleep at most
// (-1: for ever, 0: call now). Ask both after each duro_step.
int duro_fd(const duro_runtime *rt);
int64_t duro_next_timeout_ms(const duro_runtime *rt);
// True once after memory ran out in the core: give back what you can (a full garbage collection) before
// the next duro_step, which tries again what was left undone.
bool duro_short_of_memory(duro_runtime *rt);
void duro_wake(duro_runtime *rt); // any thread: makes a waiting duro_step return
// Whether a process owns the file now: this one or another. For people: it may change at once.
bool duro_has_owner(duro_runtime *rt);
// Nothing can move without input from outside or the passing of time.
bool duro_idle(const duro_runtime *rt);

int64_t duro_now_ms(const duro_runtime *rt);
// The virtual clock. The next moment at which something is due, or DURO_NEVER; and moving the time
// (unsupported on the system's clock, invalid_argument backwards).
int64_t duro_next_due_ms(duro_runtime *rt);
duro_code duro_set_time(duro_runtime *rt, int64_t now_ms, duro_error **err);

// --- Jobs: attempts of activities ---
typedef struct duro_job_info {
  duro_str instance_id, name, activity_id;
  duro_str input;             // JSON; absent = none
  duro_str heartbeat_details; // JSON, of the attempt before; absent = none
  int64_t attempt;            // from 1
  void *code;                 // what was registered
} duro_job_info;

// NULL: none is ready, activity_concurrency is reached, or this step has given so many that it is time
// for the next one (duro_next_timeout_ms says 0 then).
duro_job *duro_next_job(duro_runtime *rt);
duro_job *
duro_next_woken(duro_runtime *rt); // its sleep is over, its request is answered, or it is cancelled
const duro_job_info *duro_job_get_info(const duro_job *job);
// Exactly one of these ends a job and frees it, from the loop thread, at any later time.
// `error`: JSON {"code","message","data"?,"retryable"?,"details"?}. Bytes are copied.
void duro_job_complete(duro_job *job, duro_str output);
void duro_job_fail(duro_job *job, duro_str error);
// The attempt is to end without a result: a later duro_job_complete records that it was deferred, and the
// token (appended) finishes it at any time, from any process (duro_call "complete_activity").
duro_code duro_job_defer(duro_job *job, duro_buf *token, duro_error **err);
bool duro_job_cancelled(const duro_job *job);
duro_code duro_job_heartbeat(duro_job *job, duro_str details, duro_error **err);
// The job comes out of duro_next_woken when the runtime's clock reaches the time, or on cancellation.
// False: memory is out, and it does not sleep.
bool duro_job_sleep_until(duro_job *job, int64_t at_ms);
// ... when the request is done.
void duro_job_await(duro_job *job, duro_request *request);
// The host waits for something of its own (an async callback): run_until_idle still counts the job as
// moving; with `waiting` false again it runs.
void duro_job_set_user(duro_job *job, void *user);
void *duro_job_user(const duro_job *job);

// --- Worker threads: attempts that block ---
// Hands a job that was just taken to a thread of the pool; `call` tells the host's thread_run what to run
// (copied). From then on the job is the core's: it ends when thread_run returns. Its time limits begin
// when a thread is free for it. Errors (the job stays the caller's): unsupported, unavailable (no thread
// can be started), out_of_memory.
duro_code duro_job_offload(duro_job *job, duro_str call, duro_error **err);
// The rest is for thread_run, on its thread. What is lent lives as long as the work; `code` is not set.
const duro_job_info *duro_work_info(const duro_work *work);
duro_str duro_work_call(const duro_work *work);
bool duro_work_cancelled(const duro_work *work);
duro_code duro_work_heartbeat(duro_work *work, duro_str details, duro_error **err);
// By the runtime's clock; false when it was cancelled.
bool duro_work_sleep(duro_work *work, int64_t ms);
// A line for the log of the options, which gets it on the loop thread.
void duro_work_log(duro_work *work, const char *level, const char *message,
                   duro_str fields /* JSON */);
// The first of these counts. Bytes are copied.
void duro_work_complete(duro_work *work, duro_str output);
void duro_work_fail(duro_work *work, duro_str error); // as for duro_job_fail

// --- Everything a client asks ---
// Verbs and their arguments: csrc/runtime/verbs.h. The request is done at once for reads that need no
// commit; else when duro_step has made its effects durable. Never NULL but when memory is out.
duro_request *duro_call(duro_runtime *rt, duro_str verb, duro_str arguments);
// The same on somebody's behalf. What `viewer` may not see is left out of lists, totals and trees; all
// else is the host's to check before it calls. `context` is kept in the audit log.
typedef struct duro_caller {
  int64_t viewer;   // 0: sees everything
  duro_str context; // a JSON object; absent: the process itself
} duro_caller;
duro_request *duro_call_as(duro_runtime *rt, duro_caller caller, duro_str verb, duro_str arguments);
bool duro_request_done(const duro_request *r);
// After it is done: DURO_OK and the answer's JSON, or the code and a copy of its error.
duro_code duro_request_result(duro_request *r, duro_str *json, duro_error **err);
void duro_request_free(duro_request *r); // before it is done: the answer is dropped, not the effect

// --- Without a runtime: does this code fit that history? ---
// Replays the events of one execution (a JSON array, as on disk) against any code of the host; nothing it
// asks for is done. Strict: another input, options or output of the same command counts. DURO_OK: it fits.
// DURO_NONDETERMINISM: `departure` gets {"event_id":,"expected":,"got":,"detail"?:}. Errors: corrupt, and
// what the host fails with.
duro_code duro_replay(const duro_host *host, void *code, duro_str instance_id, int64_t execution_id,
                      duro_str events, duro_buf *departure, duro_error **err);

#endif
