// The host contract of orchestrations: what a program is, and what it may ask of its turn.
//
// A program is one execution of one orchestration in some host language. The core calls begin once,
// then step once per completion, always in history order; each runs the code until it waits again.
// Meanwhile the code calls duro_turn_*: live, a call adds an event; on replay it is matched with the
// event that stands there. Invariant: a program that asks the same things after the same completions
// cannot tell whether it is live or replayed.
//
// Thread: the loop thread only. A program has one duro_turn for its whole life; it may ask for things during
// begin and step only, and look at its state (kv, custom status, facts) during inspect, too.
// Any duro_turn_* may return DURO_NONDETERMINISM (the code departed from its history), DURO_TOO_LARGE,
// DURO_INVALID_ARGUMENT, DURO_OUT_OF_MEMORY, or what `conceal` and `reveal` fail with. After anything but
// TOO_LARGE and INVALID_ARGUMENT the turn is broken: begin or step must return that code without running
// more of the author's code. They may also return DURO_CORRUPT or DURO_UNSUPPORTED for a payload that
// they cannot read: the turn leaves nothing, and the instance is stalled until somebody can.
#ifndef DURO_REPLAY_PROGRAM_H
#define DURO_REPLAY_PROGRAM_H

#include "base/clock.h"
#include "base/error.h"
#include "model/event.h"

typedef struct duro_turn duro_turn;

// Lent to begin, with all its texts, and valid until `end` is called.
typedef struct duro_program_start {
  duro_str instance_id;
  duro_str name, version;
  int64_t execution_id;
  duro_str parent_id; // absent for a root
  duro_str run_id;
  duro_str input; // JSON; absent = none
} duro_program_start;

typedef enum duro_completion_kind {
  // `task` ended with `output` (JSON; absent = none), lent for this step. The event of a wait is lent for
  // longer: to the end of the step in which the code looks at it (duro_turn_observe) or gives it up.
  DURO_TASK_COMPLETED,
  DURO_TASK_FAILED, // `task` ended with `error` (JSON error object), lent for this step
  // The instance is to be cancelled: every open task has just been cancelled by the core (TASK_FAILED does
  // not follow for them). Each place where the code waits sees `error` (lent for this step) once, also when
  // the main code ends first: the program ends its execution after all of them have.
  DURO_CANCEL,
} duro_completion_kind;

typedef struct duro_completion {
  duro_completion_kind kind;
  int64_t task; // the id that the scheduling call gave
  duro_str output;
  duro_str error;
} duro_completion;

typedef struct duro_program_ops {
  // `code` is what was registered under (name, version). On failure to begin (not an error of the
  // author's code, which is duro_turn_fail) returns a code and leaves *program NULL.
  duro_code (*begin)(void *host, void *code, duro_turn *turn, const duro_program_start *start,
                     void **program, duro_error **err);
  duro_code (*step)(void *host, void *program, duro_turn *turn, const duro_completion *completion,
                    duro_error **err);
  // Called once, after the last step: when the execution ended, or to drop it from memory.
  void (*end)(void *host, void *program);
  // May be NULL (then `unsupported`). Looks into a waiting program without moving it; appends JSON.
  // `what`: "query" (args {"name":, "arg":}), "stack".
  duro_code (*inspect)(void *host, void *program, duro_str what, duro_str args, duro_buf *out,
                       duro_error **err);
  // A host may store payloads in another form than the one it works with (encrypted, say). Both may be
  // NULL; they append the other form, JSON text too, or nothing when a payload stays as it is.
  // `conceal`: what the host hands over to be recorded, before it is. `reveal`: what the core must know in
  // plain. A failure breaks the turn. Everything that comes back (completions, kv, the input of starts and
  // jobs) comes as it is stored. See conceal.h.
  duro_code (*conceal)(void *host, duro_str payload, duro_buf *stored, duro_error **err);
  duro_code (*reveal)(void *host, duro_str stored, duro_buf *payload, duro_error **err);
} duro_program_ops;

// --- Scheduling: each gives the task's id (its scheduling event's id) ---
// `options` is the JSON object of the call's options as given (retry, timeout ... in the forms of
// replay/retry.h), absent when there are none.
duro_code duro_turn_activity(duro_turn *t, duro_str name, duro_str input, duro_str options,
                             int64_t *task, duro_error **err);
// Fires at an absolute time. `delay_ms` is kept for display only.
duro_code duro_turn_timer(duro_turn *t, int64_t fire_at_ms, int64_t delay_ms, int64_t *task,
                          duro_error **err);
duro_code duro_turn_wait(duro_turn *t, duro_str event_name, int64_t *task, duro_error **err);
// `id` absent: {parent}::{execution}::{event id}.
duro_code duro_turn_child(duro_turn *t, duro_str name, duro_str version, duro_str id,
                          duro_str input, duro_str options, int64_t *task, duro_error **err);
// The code will never look at this task: an unfinished one is cancelled and recorded so; a wait gives
// its event back to the head of the mailbox. A task that is over or unknown: nothing happens.
duro_code duro_turn_cancel_task(duro_turn *t, int64_t task, duro_error **err);
// The code has looked at a wait's data: the event is taken for good. Nothing for other tasks.
void duro_turn_observe(duro_turn *t, int64_t task);

// --- Fire and forget ---
// *id_out: the id of the detached instance (valid during the turn). `id` absent: a version 7 UUID made of
// the time of the turn, the run, the execution and the event, so a replay makes the same.
duro_code duro_turn_start(duro_turn *t, duro_str name, duro_str version, duro_str id,
                          duro_str input, duro_str *id_out, duro_error **err);
duro_code duro_turn_raise(duro_turn *t, duro_str instance_id, duro_str event_name, duro_str data,
                          duro_error **err);

// --- State ---
duro_code duro_turn_set_custom_status(duro_turn *t, duro_str value /* absent: reset */,
                                      duro_error **err);
duro_str duro_turn_custom_status(const duro_turn *t);
duro_code duro_turn_kv_set(duro_turn *t, duro_str key, duro_str value /* absent: clear it */,
                           duro_error **err);
duro_str duro_turn_kv_get(const duro_turn *t, duro_str key); // absent: not there
// Walks in byte order of the keys: `after` absent starts. False at the end.
bool duro_turn_kv_next(const duro_turn *t, duro_str after, duro_str *key, duro_str *value);
duro_code duro_turn_set_attributes(duro_turn *t, duro_str object,
                                   duro_error **err); // merged; null removes
// Side effects: when *recorded comes back present, that is the value; when absent, run the function
// and give its value to duro_turn_side_effect_record before any other call. A function that fails must
// leave a value too (the host's own form of an error), or a replay could not know that it ran. A value
// over the limit is recorded as refused: too_large comes from the second call live, and from the first
// on replay.
duro_code duro_turn_side_effect(duro_turn *t, duro_str *recorded, duro_error **err);
duro_code duro_turn_side_effect_record(duro_turn *t, duro_str value, duro_error **err);
duro_code duro_turn_patched(duro_turn *t, duro_str patch_id, bool *patched, duro_error **err);

// --- Ends: at most one, and nothing after it in this execution ---
duro_code duro_turn_complete(duro_turn *t, duro_str output, duro_error **err);
duro_code duro_turn_fail(duro_turn *t, duro_str error, duro_error **err);
duro_code duro_turn_continue_as_new(duro_turn *t, duro_str input, duro_str version, duro_str reason,
                                    duro_error **err);

// --- Facts ---
int64_t duro_turn_now_ms(const duro_turn *t); // the recorded time of this turn
bool duro_turn_replaying(const duro_turn *t);
int64_t duro_turn_history_length(const duro_turn *t); // events so far
bool duro_turn_cancel_requested(const duro_turn *t);
duro_prng *duro_turn_prng(duro_turn *t); // seeded by the run id and the execution
const duro_program_start *duro_turn_start_info(const duro_turn *t);

#endif
