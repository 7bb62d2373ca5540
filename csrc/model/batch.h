// What a store keeps, as rows, and the batch: what is written in one transaction, all or nothing.
//
// Every id, key and time in here was chosen by the caller: a store invents nothing and reads no clock.
// Slices are borrowed for the duration of the call; rows that a store returns live in the arena the
// caller passed.
#ifndef DURO_MODEL_BATCH_H
#define DURO_MODEL_BATCH_H

#include "model/event.h"
#include "model/status.h"

// An absent time. `wake_at_ms` 0 means "now": a local job in flight or a pending message.
#define DURO_NEVER INT64_MAX

// Instance keys grow with creation time and tell it: milliseconds since 2020 in the upper bits, then
// one bit that says a client process made it, then a counter. So newest-first lists and ranges of
// creation time need no index, and the owner and clients never choose the same key.
#define DURO_KEY_EPOCH_MS     INT64_C(1577836800000)
#define DURO_KEY_COUNTER_BITS 19            /* below the maker's bit */
int64_t duro_key_floor(int64_t created_ms); // the smallest key of that millisecond
int64_t duro_key_next(int64_t last_key, int64_t now_ms, bool by_client);
int64_t duro_key_created_ms(int64_t key);

typedef enum duro_vm {
  DURO_VM_ANY = 0,
  DURO_VM_LUA54 = 1,
  DURO_VM_LUAJIT = 2,
  DURO_VM_C = 3
} duro_vm;

typedef struct duro_instance_row {
  int64_t key;
  duro_str id;
  duro_str run_id;
  int vm; // duro_vm that began it
  int partition;
  duro_str name, version;
  duro_status status;
  int64_t created_at_ms, updated_at_ms;
  int64_t completed_at_ms; // 0 = not ended
  int64_t execution_id;    // the current one, from 1
  int64_t execution_started_at_ms;
  int64_t event_count;     // of the current execution (exact once folded)
  int64_t parent_key;      // 0 = a root
  duro_str parent_id;      // absent = a root
  int64_t parent_event_id; // the scheduling event in the parent
  int64_t parent_execution_id;
  int64_t depth;          // 0 = a root
  int64_t wake_at_ms;     // 0 now, a time, or DURO_NEVER
  duro_str waiting_on;    // JSON array of text: ["activity","event:approval"]; "[]" when none
  duro_str custom_status; // JSON; absent = never set or reset
  int64_t custom_status_version;
  duro_str attributes; // JSON object; absent = none
  duro_str output;     // JSON
  duro_str
      error; // JSON error object; of a stalled instance {code, message, expected, got, event_id}
  duro_str reason; // of a suspension, or of the last cancel
  // Totals over all executions, exact once folded:
  int64_t turns;
  int64_t turn_us_total;
} duro_instance_row;

// Which members of a duro_instance_row an update carries.
enum {
  DURO_SET_STATUS = 1 << 0,        // status, completed_at_ms, output, error, reason
  DURO_SET_EXECUTION = 1 << 1,     // execution_id, execution_started_at_ms, version, vm
  DURO_SET_CUSTOM_STATUS = 1 << 2, // custom_status, custom_status_version
  DURO_SET_ATTRIBUTES = 1 << 3,    // attributes (and their index rows)
  DURO_SET_WAKE = 1 << 4,          // wake_at_ms
};
typedef struct duro_instance_update {
  unsigned set;
  duro_instance_row row; // key, updated_at_ms and the members `set` names
} duro_instance_update;

// A row of the journal takes as many seqs as its events need and bears the last of them. So an event's
// public seq, counted backwards from the end of its row's last seq, is never another's, and a double
// holds it exactly for 10^14 rows.
#define DURO_EVENTS_PER_SEQ 64
int64_t duro_turn_seqs(int64_t event_count); // how many seqs a row of so many events takes
// The public seq of one of a row's events (`place` from 0; a change for the feed alone counts as one).
int64_t duro_public_seq(int64_t row_seq, int64_t event_count, int64_t place);
// Every event up to the public one is in rows up to this seq, or in the row behind them.
int64_t duro_public_seq_row(int64_t public_seq);

// One turn: a row of the journal.
typedef struct duro_turn_row {
  int64_t seq;
  int64_t instance_key;
  int64_t execution_id;
  int64_t first_event_id;
  // 0: not a turn, but a change that is no part of history: for the feed alone. Then `events` tells what
  // changed, and only `status`, `at_ms` and updated_at_ms count: wake_at_ms and waiting_on stay.
  int64_t event_count;
  duro_status status; // of the execution after this turn
  int64_t wake_at_ms;
  duro_str waiting_on;
  int64_t at_ms;   // the time of the turn
  int64_t turn_us; // how long the code ran
  duro_str events; // JSON array
} duro_turn_row;

// A past execution: written by the batch in which it continued as new.
typedef struct duro_execution_row {
  int64_t instance_key, execution_id;
  duro_status status;
  duro_str version;
  int64_t started_at_ms, completed_at_ms;
  int64_t event_count;
  duro_str reason;
} duro_execution_row;

typedef struct duro_message_row {
  int64_t id;
  int64_t instance_key;
  int64_t execution_id;
  duro_str body; // an event's JSON
} duro_message_row;

// A job of a task queue. Local jobs follow from history; one has a row, of the queue "", only for the
// details of its heartbeats.
typedef struct duro_job_row {
  int64_t id; // from the owner's high-water mark
  int64_t instance_key, execution_id, event_id;
  int64_t attempt;
  duro_str queue, name, activity_id, instance_id;
  duro_str input, options, heartbeat;
  int64_t created_at_ms;
  int64_t lease_until_ms;            // real time; in the past = free, also when its holder has died
  duro_str holder;                   // absent = nobody yet
  bool cancelled;                    // held back: nobody may claim it
  int64_t claimed_at_ms, beat_at_ms; // the holder's time: its claim, its last heartbeat (0 = none)
  int64_t lost;                      // holders that died with it
} duro_job_row;

// A client's command to the owner, and the owner's answer.
typedef struct duro_request_row {
  int64_t id;
  duro_str kind; // "start" "raise" "cancel" "terminate" "suspend" "resume" "query" "stack" ...
  duro_str instance_id;
  int64_t instance_key; // 0 = none yet
  duro_str body;        // JSON
  int64_t posted_at_ms;
  duro_str answer; // JSON, absent = not yet
} duro_request_row;

typedef struct duro_counter {
  duro_str name; // orchestration (or activity) name
  // "started" "completed" "failed" "cancelled" "terminated" "activities" "timers" "events" "retried"
  // "duration_ms" ...
  duro_str metric;
  int64_t minute_ms; // start of the minute for the rollup; 0 = no rollup: a level, not a flow
  int64_t delta;
} duro_counter;

// An entry of the audit log: who asked for which change of what, and what came of it.
typedef struct duro_audit_row {
  int64_t id; // ascending; where the log ends behind this entry, in bytes (runtime/audit.h)
  int64_t at_ms;
  duro_str actor;  // JSON: the context of the call; absent = the process itself
  duro_str action; // the call
  duro_str target; // JSON array of instance ids
  duro_str detail; // JSON: outcome, error, arguments
} duro_audit_row;

// A past execution that goes, with its events.
typedef struct duro_prune_row {
  int64_t instance_key, execution_id;
} duro_prune_row;

typedef struct duro_batch {
  int64_t id;       // ascending
  int64_t previous; // id of the batch before; the store refuses a broken chain (code `corrupt`)
  int64_t epoch;    // of the lease; another one in the file is refused (code `locked`)
  int64_t now_ms;
  // High-water marks after this batch: never used twice, also not after deletion or reopening.
  int64_t last_seq, last_key, last_message_id, last_job_id;

  const duro_instance_row *inserts; // a taken id fails the whole batch with `already_exists`
  size_t insert_count;
  const duro_turn_row *turns; // ascending seq
  size_t turn_count;
  const duro_instance_update *updates; // in order; several for one instance are allowed
  size_t update_count;
  const duro_execution_row *executions;
  size_t execution_count;
  const duro_message_row *messages; // new rows
  size_t message_count;
  const int64_t *messages_done; // row ids to delete
  size_t messages_done_count;
  const duro_job_row *jobs; // new rows; one with the id of an old one takes its place
  size_t job_count;
  const int64_t *jobs_done; // row ids to delete
  size_t jobs_done_count;
  const duro_request_row *answers; // id and answer (absent answer: the row is deleted)
  size_t answer_count;
  const int64_t *deletes; // instance keys removed with everything they own, before the inserts
  size_t delete_count;
  const duro_prune_row *prunes; // one that is no past execution (or is no more) is passed over
  size_t prune_count;
  const duro_counter *counters;
  size_t counter_count;
  const duro_audit_row *audit; // ascending ids
  size_t audit_count;
  int64_t audit_forget_to; // entries up to this id are deleted; 0 = none
  duro_str owner_figures;  // JSON kept in meta for other processes; absent = unchanged
} duro_batch;

#endif
