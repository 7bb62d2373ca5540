// exec: one execution of one instance, as its history makes it. The quiet room: no clock, no disk, no
// randomness, no Lua; what happens here depends on (history, arrivals, program) alone.
//
// All state is a fold over events: every event, whether just recorded, replayed or merely scanned,
// passes through one function (note.c) that updates open tasks, mailbox, kv and status. On top of it
// apply.c turns an arrival into events and steps of the program, and match.c checks commands against
// history while replaying. Live and replayed turns run the same code.
//
// Recorded order is processing order: an arrival's event, then the commands the code issued because of
// it, then the next arrival. So on replay a command must meet its event exactly at the cursor.
#ifndef DURO_REPLAY_EXEC_H
#define DURO_REPLAY_EXEC_H

#include "base/map.h"
#include "base/pool.h"
#include "model/batch.h"
#include "model/limits.h"
#include "replay/program.h"

typedef struct duro__exec duro__exec;

// What the execs of one thread share, so that one that comes or goes costs no walk through the allocator,
// and one that idles holds nothing that only a turn needs.
typedef struct duro__exec_stock {
  duro_pool *blocks;
  struct duro__live_turn *turn; // of whichever exec has its turn next; NULL: one has it now
} duro__exec_stock;
void duro__exec_stock_free(duro__exec_stock *stock); // not its `blocks`

typedef struct duro__exec_config {
  const duro_program_ops *program; // NULL: state only (scan); nothing runs
  void *host;
  void *code;
  bool strict; // another canonical input is a mismatch too, not only logged
  void (*log)(void *user, const char *level, const char *message); // may be NULL
  void *log_user;
  duro__exec_stock *stock; // outlives the exec; NULL: none
} duro__exec_config;

// --- Open tasks ---
typedef enum duro__open_kind {
  DURO__OPEN_ACTIVITY,
  DURO__OPEN_TIMER,
  DURO__OPEN_WAIT,
  DURO__OPEN_CHILD,
} duro__open_kind;

typedef enum duro__open_state {
  DURO__STATE_WAITING,     // timer, wait, child; an activity whose job waits to run
  DURO__STATE_RUNNING,     // an activity whose job runs (set by the runtime; not in history)
  DURO__STATE_BACKING_OFF, // an activity between attempts
  DURO__STATE_DEFERRED, // an activity whose result a token will bring; fire_at: its attempt's timeout
  DURO__STATE_BOUND,    // a wait that has an event nobody has looked at yet
} duro__open_state;

typedef struct duro__open {
  int64_t id; // the scheduling event
  duro__open_kind kind;
  duro__open_state state;
  duro_str name, version, instance, input, options; // owned by the exec
  int64_t scheduled_at_ms;
  int64_t fire_at_ms; // timer: due; activity backing off: next attempt
  int64_t delay_ms;
  int64_t deadline_ms;     // whole timeout; 0 = none
  int64_t volatile_due_ms; // runtime: attempt or heartbeat timeout of the running job; 0 = none
  int64_t attempt;         // activity: the attempt that is next or under way, from 1
  int64_t lost_in_a_row;
  duro_str last_error; // JSON, absent = none
  duro_str queue;      // activity: served elsewhere; absent = here
  int64_t bound_event; // wait: the event_received it holds, 0 = none
  void *runtime;       // the runtime's own (its job); NULL after load
  bool ended;          // runtime: for a moment: a message that ends its attempt waits (jobs.h)
  duro_str heartbeat;  // JSON details of the newest heartbeat, absent = none (not in history)
} duro__open;

// --- What a turn leaves for the runtime to do ---
typedef enum duro__effect_kind {
  DURO__START_JOB,    // task: activity to run (first attempt, or a retry with no delay)
  DURO__CANCEL_JOB,   // task: its job is no longer wanted
  DURO__START_CHILD,  // task: create the child instance (its open entry tells)
  DURO__CANCEL_CHILD, // instance: send it cancel_requested
  DURO__TERMINATE_CHILD,
  DURO__START_DETACHED, // event: an orchestration_chained
  DURO__SEND_EVENT,     // event: an event_sent
} duro__effect_kind;

typedef struct duro__effect {
  duro__effect_kind kind;
  bool queued; // START_JOB: of a task that is served elsewhere
  int64_t task;
  void *runtime; // CANCEL_JOB: what the open entry's `runtime` was
  // What is sent or started, in the turn's arena; NULL where an own task says it all: START_JOB,
  // CANCEL_JOB, START_CHILD.
  const duro_event *event;
} duro__effect;

// Where code and history part.
typedef struct duro__mismatch {
  int64_t event_id;
  duro_code code; // DURO_NONDETERMINISM, or DURO_NOT_REGISTERED set by the runtime
  char *expected; // owned: "activity_scheduled 'charge'" (from history)
  char *got;      // owned: what the code asked for; "nothing (the code waits)" ...
  char *detail;   // owned: the message of a failure, the two inputs ...; NULL = none
} duro__mismatch;

typedef struct duro__turn_result {
  int64_t first_event_id;
  int64_t event_count;
  uint64_t kinds; // of its events: bit 1 << duro_event_kind
  duro_str
      events; // JSON array "[...]", valid until the exec leaves its turn or the next one begins
  const duro__effect *effects;
  size_t effect_count;
  duro_status status; // RUNNING, SUSPENDED, a final one, or CONTINUED_AS_NEW
  bool custom_status_changed, attributes_changed;
  duro_str output, error, reason; // of a final status (valid like events)
  // CONTINUED_AS_NEW: the first event of the next execution, `run_id` left to the caller's copy.
  duro_event next_start;
  // Counts of this turn, for metrics:
  int32_t activities_completed, activities_failed, timers_fired, events_received;
} duro__turn_result;

// `instance_id` is copied. The exec starts empty: give it a history, or an ORCHESTRATION_STARTED arrival.
duro__exec *duro__exec_new(const duro__exec_config *config, duro_str instance_id,
                           int64_t execution_id);
void duro__exec_free(duro__exec *x); // ends the program
// Leaves the turn that was ended: its result is no longer valid, and what held it serves the next turn of
// any exec of the stock.
void duro__exec_turn_leave(duro__exec *x);
// The same, and gives back what only an exec that runs needs, for one that will idle.
void duro__exec_trim(duro__exec *x);

// Rebuilds the state from history by running the program against it. DURO_OK: the program stands where
// the history ends. DURO_NONDETERMINISM: *mismatch tells (caller frees with duro__mismatch_free); the
// exec then holds the whole history's state by scanning and refuses turns until replayed with other
// code. Other codes: out of memory, corrupt (history not starting with orchestration_started, ...).
duro_code duro__exec_replay(duro__exec *x, const duro_events *history, duro__mismatch *mismatch,
                            duro_error **err);
// Replays only up to and including event `last_id` (looking back; no turns may follow).
duro_code duro__exec_replay_to(duro__exec *x, const duro_events *history, int64_t last_id,
                               duro__mismatch *mismatch, duro_error **err);
// State only, without a program.
duro_code duro__exec_scan(duro__exec *x, const duro_events *history, duro_error **err);
void duro__mismatch_free(duro__mismatch *m);

// --- A live turn: begin, apply any number of arrivals, end ---
void duro__exec_turn_begin(duro__exec *x, int64_t now_ms);
// Before orchestration_started is applied: its code does not begin yet, but with the next arrival; when
// that is cancel_requested, orchestration_terminated or the timeout, the code never runs. Replay does
// the same (the started event says so in its reason).
void duro__exec_hold_begin(duro__exec *x);
// Applies one arrival (an event of group A without id). *recorded: false when it changed nothing
// (late, duplicate, unknown source, after the end). Kinds and what they need:
//   orchestration_started (everything; its carry is what carry.c says, {"attributes":{..}} at first),
//   activity_completed {source, output},
//   activity_deferred {source, attempt, fire_at_ms}, activity_failed {source, error, attempt, lost}:
//     becomes activity_retry_scheduled while the policy allows; `lost` never uses up an attempt. An
//     attempt that is given and is not the present one is late,
//   timer_fired {source}, event_received {name, input, dedup_id},
//   sub_orchestration_completed/failed {source, output/error}, cancel_requested {reason},
//   orchestration_terminated {reason}, orchestration_failed {error} (the whole instance's timeout; it
//     gets the reason "timeout", which tells it from a failure of the code),
//   suspended/resumed {reason}: between them arrivals are recorded, and told to the code when resumed,
//   orchestration_retried {source: the first event to mask}: of a failed execution, from an arrival
//     on. The exec takes no further turn: load it anew, and apply again the event_received it masks.
//   activity_retry_scheduled is never an arrival.
// Errors: an error of the host (out of memory ...) leaves the turn broken: the caller drops the exec.
// `stalled`: there is no code here that stands where history ends (scanned, mismatched), and the
// arrival needs it. What ends the instance and suspended need none, nor resumed when nothing came since.
duro_code duro__exec_apply(duro__exec *x, const duro_event *arrival, bool *recorded,
                           duro_error **err);
void duro__exec_turn_end(duro__exec *x, duro__turn_result *out);

// --- Time: due timers, retries and deadlines of open tasks ---
int64_t duro__exec_next_due_ms(const duro__exec *x); // DURO_NEVER when none
typedef enum duro__due_kind {
  DURO__DUE_NONE,
  DURO__DUE_TIMER,
  DURO__DUE_RETRY,
  DURO__DUE_TIMEOUT
} duro__due_kind;
// The first task due at or before now_ms, in order (time, id), taken off the due list. TIMER and
// TIMEOUT: the caller applies timer_fired, or activity_failed with code timeout; RETRY: the entry is
// WAITING again and the caller starts its job (no event).
duro__due_kind duro__exec_take_due(duro__exec *x, int64_t now_ms, int64_t *task, bool *whole);
// Sets or clears (0) volatile_due_ms of a running activity.
void duro__exec_set_volatile_due(duro__exec *x, int64_t task, int64_t due_ms);

// Keeps a copy of the details of a running activity's heartbeat, for its next attempt.
duro_code duro__exec_set_heartbeat(duro__exec *x, int64_t task, duro_str details, duro_error **err);

// --- Looking ---
duro__open *duro__exec_open(duro__exec *x, int64_t task);          // NULL: not open
duro__open *duro__exec_open_next(duro__exec *x, int64_t after_id); // in id order; start with 0
int64_t duro__exec_open_count(const duro__exec *x,
                              duro__open_kind kind); // of waits those without an event
void *duro__exec_program(const duro__exec *x);       // NULL: none
int64_t duro__exec_last_event_id(const duro__exec *x);
duro_status duro__exec_status(const duro__exec *x);
bool duro__exec_cancel_requested(const duro__exec *x);
int64_t duro__exec_now_ms(const duro__exec *x); // time of the last turn
// 0: a local job is pending; else the earliest due time or the instance's deadline; DURO_NEVER: only
// messages can wake it.
int64_t duro__exec_wake_at_ms(const duro__exec *x);
// Appends the JSON array for `waiting_on`, sorted, without doubles. More than 64 event names are shown as
// one "event".
void duro__exec_waiting_on(const duro__exec *x, duro_buf *b);
duro_str duro__exec_custom_status(const duro__exec *x);
int64_t duro__exec_custom_status_version(const duro__exec *x);
duro_str duro__exec_attributes(const duro__exec *x); // JSON object; absent = none
duro_str duro__exec_kv_get(const duro__exec *x, duro_str key);
bool duro__exec_kv_next(const duro__exec *x, duro_str after, duro_str *key, duro_str *value);
// What waits in the mailbox, in order; *at starts 0.
bool duro__exec_mailbox_next(const duro__exec *x, size_t *at, duro_str *name, duro_str *data,
                             int64_t *event_id);
int64_t duro__exec_parent_event_id(const duro__exec *x); // in the parent; 0 for a root
int64_t
duro__exec_deadline_ms(const duro__exec *x); // of the whole instance (started.deadline), 0 = none
size_t duro__exec_memory_bytes(const duro__exec *x); // an estimate

#endif
