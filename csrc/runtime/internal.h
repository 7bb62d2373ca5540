// internal.h: what the files of the runtime ask of one another, by file. Their state is in state.h.
#ifndef DURO_RUNTIME_INTERNAL_H
#define DURO_RUNTIME_INTERNAL_H

#include "runtime/state.h"

// --- open.c ---
// Everything an owner does once it has its place: marks, recovery, the first sweep.
duro_code duro__become_owner(duro_runtime *rt, duro_error **err);

// --- clock (loop.c) ---
uint64_t duro__tick(duro_runtime *rt); // reads the monotonic clock
int64_t duro__now(duro_runtime *rt);   // the runtime's time; never goes back

// Runs everything that is ready at this moment in the open batch, whose bound does not count (loop.c): for
// what must be done, and not only stored, when that batch is durable.
void duro__turns_now(duro_runtime *rt);

// --- registry.c ---
duro__code *duro__find_orchestration(duro_runtime *rt, duro_str name,
                                     duro_str version); // absent: highest
duro__code *duro__find_activity(duro_runtime *rt, duro_str name);
void duro__code_release(duro_runtime *rt, duro__code *code); // a user goes
void duro__registry_free(duro_runtime *rt);
void duro__registry_json(duro_runtime *rt,
                         duro_buf *b); // {orchestrations:[{name,versions}],activities:[]}

// --- instances.c ---
duro_str duro__own_text(duro_runtime *rt, duro_str s, bool *oom); // a copy; absent stays absent
void duro__free_text(duro_runtime *rt, duro_str s);
duro__instance *duro__instance_new(duro_runtime *rt); // empty
void duro__instance_free(duro_runtime *rt, duro__instance *i);
bool duro__instance_register(duro_runtime *rt,
                             duro__instance *i); // in the maps; false: memory is out
void duro__inbox_add(duro__instance *i, duro_message *m);
bool duro__instance_parked(const duro__instance *i);
duro__instance *duro__live(duro_runtime *rt, duro_str id); // NULL: not live
duro__instance *duro__live_by_key(duro_runtime *rt, int64_t key);
// Live, or loaded now. *out stays NULL with DURO_OK when it has ended (then *ended_status tells) .
duro_code duro__instance_fetch(duro_runtime *rt, duro_str id, duro__instance **out,
                               duro_status *ended_status, duro_error **err);
duro_code duro__instance_fetch_by_key(duro_runtime *rt, int64_t key, duro__instance **out,
                                      duro_status *ended_status, duro_error **err);
// A new one, live and ready, with its start message in the inbox. Errors: already_exists ...
typedef struct duro__new_instance {
  duro_str id, name, version, input, attributes, parent_id;
  int64_t parent_key, parent_event_id, parent_execution_id, depth;
  int64_t start_at_ms;   // 0 = now
  int64_t timeout_ms;    // 0 = none
  duro_request *request; // answered when it is durable
  bool checked;          // the caller knows the id is free
  bool stored; // its row and its start go into the open batch, which has its first turn, too
} duro__new_instance;
duro_code duro__instance_create(duro_runtime *rt, const duro__new_instance *n, duro__instance **out,
                                duro_error **err);
// The message that begins it: input, attributes and deadline of `n`.
duro_message *duro__start_message(duro_runtime *rt, const duro__instance *i,
                                  const duro__new_instance *n);
void duro__instance_ready(duro_runtime *rt, duro__instance *i);
void duro__keep_from(duro_runtime *rt, duro__instance *i, duro_message *m);
void duro__keep_looked(duro_runtime *rt, duro__instance *i); // it leaves rt->keeping
duro__instance *duro__instance_next_ready(duro_runtime *rt);
// Hands a message over (owned). Wakes it; or, when it cannot run, makes the message a row.
void duro__deliver(duro_runtime *rt, duro__instance *i, duro_message *m);
// In the open batch: a turn of the receiver takes the event there, or the batch carries it as a row.
// False: memory is out, and the batch is not to be stored.
bool duro__send(duro_runtime *rt, duro__instance *to, int64_t execution_id, const duro_event *e);
// For a request, which is answered once the turn that takes the event is durable (NULL: for nobody).
// Without memory the request fails.
void duro__submit(duro_runtime *rt, duro_request *r, duro__instance *to, int64_t execution_id,
                  const duro_event *e);
// Its exec with code (fresh, before any history), or, for what must be ended without its code, without.
duro_code duro__instance_exec(duro_runtime *rt, duro__instance *i, bool with_code,
                              duro_error **err);
// ... and for one whose code will not even begin: it takes its start, and what ends it.
duro_code duro__instance_exec_held(duro_runtime *rt, duro__instance *i, duro_error **err);
duro_code duro__instance_scan(duro_runtime *rt, duro__instance *i,
                              duro_error **err); // state, no code
void duro__instance_drop(duro_runtime *rt,
                         duro__instance *i); // out of memory; must have nothing in flight
void duro__instance_touch(duro_runtime *rt, duro__instance *i); // used: to the young end
void duro__evict(duro_runtime *rt, size_t room); // until max_live_instances leave that much room
bool duro__evict_waits(const duro_runtime *rt); // ... and what should go is only to be folded first
duro_code duro__instance_build(duro_runtime *rt, duro__instance *i,
                               duro_error **err); // its exec, by replay
// Drops the coroutine (not the instance), so that the next turn replays.
void duro__instance_unbuild(duro_runtime *rt, duro__instance *i);
// A live one from its row, without an exec; NULL when memory is out.
duro__instance *duro__instance_of_row(duro_runtime *rt, const duro_instance_row *row);
void duro__instances_free(duro_runtime *rt);
void duro__code_replaced(duro_runtime *rt, duro_str name, duro_str version); // hot reload

// --- turn.c ---
void duro__turn_run(duro_runtime *rt, duro__instance *i);
void duro__instance_stall_lost(duro_runtime *rt, duro__instance *i, const duro__open *o);
void duro__instance_unstall(duro_runtime *rt, duro__instance *i);
bool duro__stalls(duro_code code); // a fault of code or history: its instance stands still
void duro__instance_stall(duro_runtime *rt, duro__instance *i, duro_code code, const char *message);

// --- rows.c ---
duro_str duro__row_keep(duro__batch *b, duro_str s); // a copy that lives as long as the batch
void duro__row_journal(duro_runtime *rt, duro__batch *b, duro__instance *i,
                       const duro__turn_result *result, uint64_t started_ns);
// A change of status that is no part of history goes into the journal for the feed alone (feed.h).
typedef struct duro__change {
  const char *what; // "pending" "running" "stalled" "deleted"
  int64_t key, execution_id;
  duro_status status;
  duro_str error;    // JSON; of a stall
  duro_str id, name; // of a deleted one: nothing else tells it any more
} duro__change;
void duro__row_change(duro_runtime *rt, duro__batch *b, const duro__change *c);
void duro__row_pending(duro_runtime *rt, duro__batch *b, const duro__instance *i);
// When it is to be looked at next: 0 = now, because a message row waits for it.
void duro__row_wake(duro_runtime *rt, duro__batch *b, duro__instance *i, int64_t wake_at_ms);
void duro__row_update(duro_runtime *rt, duro__batch *b, duro__instance *i, unsigned set,
                      const duro__turn_result *result);
// Adds the instance's row to the batch; `result` (its turn in this batch) may already end it, or NULL.
void duro__instance_insert(duro_runtime *rt, duro__batch *b, duro__instance *i,
                           const duro__turn_result *result);

// --- timers.c ---
void duro__timers_update(duro_runtime *rt,
                         duro__instance *i); // its earliest due time may have changed
void duro__timers_at(duro_runtime *rt, duro__instance *i, int64_t due_ms);
void duro__timers_remove(duro_runtime *rt, duro__instance *i);
int64_t duro__timers_next_ms(duro_runtime *rt);
bool duro__timers_fire(duro_runtime *rt); // everything due now; true when something was
void duro__sweep_start(duro_runtime *rt, int64_t from_wake_ms);
bool duro__sweep_step(duro_runtime *rt); // loads the next due ones from the store
bool duro__sweep_has_room(const duro_runtime *rt);

// --- batch.c ---
duro__batch *duro__batch_open(duro_runtime *rt); // the one being filled; NULL when memory is out
void duro__batch_touch(duro_runtime *rt, duro__batch *b, duro__instance *i);
void duro__batch_answer(duro_runtime *rt, duro__batch *b, duro_request *r); // when durable
void duro__batch_add_message(duro_runtime *rt, duro__batch *b,
                             duro_message *m); // as a row; sets row_id
// Makes rows of what its inbox must not lose: of an instance that will run no turn in this batch.
void duro__batch_keep_inbox(duro_runtime *rt, duro__batch *b, duro__instance *i);
// The same for all: what this batch caused and no turn of it consumed shares its fate.
void duro__batch_spill(duro_runtime *rt, duro__batch *b);
size_t duro__batch_limit(const duro_runtime *rt);
bool duro__batch_full(const duro_runtime *rt);
bool duro__batches_turn(duro_runtime *rt); // seals what is due; true when something was handed over
void duro__batch_finished(duro_runtime *rt, duro__batch *b); // loop thread, from the writer
void duro__batch_again(duro_runtime *rt);                    // the one that is to be tried again
void duro__batch_durable(duro_runtime *rt, duro__batch *b);  // it is stored
// Goes on letting go of what large durable batches had; true when there was something.
bool duro__batches_leave(duro_runtime *rt, uint64_t most_ns);
void duro__batch_recycle(duro_runtime *rt, duro__batch *b);
void duro__batch_poison(duro_runtime *rt, duro_error *err); // owned
void duro__batches_free(duro_runtime *rt);

// --- fault.c ---
void duro__batch_fail(duro_runtime *rt, duro__batch *b); // it is not stored
bool duro__fault_turn(duro_runtime *rt);                 // goes on after a fault when it is time

// --- shortage.c ---
// Memory is out: the host is told, and `i` (or NULL) is tried again soon: jobs that were not started,
// results that were lost, timers that were not armed.
void duro__memory_out(duro_runtime *rt, duro__instance *i);
bool duro__memory_turn(duro_runtime *rt); // tries again when it is time

// --- writer.c ---
duro_code duro__writer_start(duro_runtime *rt, duro_error **err);
void duro__writer_stop(duro_runtime *rt); // runs what is queued, then joins
duro__command *duro__command_new(void (*run)(duro_runtime *, duro__command *),
                                 void (*done)(duro_runtime *, duro__command *));
void duro__writer_push(duro_runtime *rt, duro__command *c); // to the store thread
// Runs c at once, in its place, when it has nothing to do, and then c's `done`. False: it has.
bool duro__writer_borrow(duro_runtime *rt, duro__command *c);
bool duro__writer_moves(duro_runtime *rt); // it is there, and not stuck in a command
void duro__helper_push(duro_runtime *rt, duro__command *c);
bool duro__writer_collect(duro_runtime *rt); // loop thread: calls `done` of what is finished
// Runs `then` once everything committed so far is in the projection (at once when it is). With a `user`
// of its own it is called also when the runtime closes before that, to free it; without, the request is
// answered here.
void duro__when_folded(duro_runtime *rt, duro_request *r, void (*then)(duro_request *r, void *user),
                       void *user);
void duro__fold_turn(duro_runtime *rt); // starts folding when it is time
bool duro__fold_now(duro_runtime *rt);  // at once; false: nothing is to be folded
// ... once what the feed is not to keep any longer has been trimmed (by the owner; others only read).
void duro__when_trimmed(duro_runtime *rt, duro_request *r,
                        void (*then)(duro_request *r, void *user), void *user);

// --- requests.c ---
duro_request *duro__request_new(duro_runtime *rt);
void duro__request_take_error(duro_request *r, duro_code code, duro_error *err); // owned
void duro__request_durable(duro_request *r); // its batch is stored: done, with the answer it has
void duro__waiters_durable(duro_runtime *rt,
                           const duro__batch *b); // answers who waited for its rows
void duro__waiters_free(duro_runtime *rt);
// The request's effect joins `b`. One that came through the file gets its answer into the same batch, so
// that a crash cannot make it happen twice: duro__batch_answer calls this first, with r->answer filled.
void duro__request_joins(duro_runtime *rt, duro__batch *b, duro_request *r);
// The token of a deferred attempt (duro_job_defer writes it, complete_activity reads it).
void duro__token_write(duro_buf *b, int64_t instance_key, int64_t execution_id, int64_t task,
                       int64_t attempt);
// The id of its instance, in the arena. Errors: invalid_argument (no token), not_found.
duro_code duro__token_instance(duro_runtime *rt, duro_str token, duro_arena *arena, duro_str *id,
                               duro_error **err);

// --- clients.c (another process) ---
bool duro__clients_poll(duro_runtime *rt);            // the owner: takes requests out of the file
bool duro__client_step(duro_runtime *rt);             // a client: looks for answers; may take over
int64_t duro__client_poll_ms(const duro_runtime *rt); // until either looks again, or DURO_NEVER
void duro__clients_free(duro_runtime *rt);            // both sides
// A client's call of a verb that needs the owner: through the file (remote.c).
void duro__remote_call(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                       duro_str arguments);

// --- owner.c ---
// The kernel's lock alone (before the store may create or migrate the file); waits up to lease_wait_ms.
duro_code duro__owner_lock(duro_runtime *rt, duro_error **err); // busy names the owner
// The lock, when it is not held yet, and the lease row with a new epoch.
duro_code duro__owner_acquire(duro_runtime *rt, duro_error **err); // busy names the owner
bool duro__owner_lives(duro_runtime *rt); // for a client: somebody owns the file now
void duro__owner_release(duro_runtime *rt);
void duro__owner_renew(duro_runtime *rt); // when it is time

// --- metrics.c ---
void duro__count(duro_runtime *rt, duro_str name, duro__metric metric, int64_t delta);
// The row of an instance changes its status in the open batch: what begins and what there is, is counted.
// -1: there was no row, or there is none any more.
void duro__count_row(duro_runtime *rt, duro_str name, int from, int to);
void duro__count_deleted(duro_runtime *rt, const duro_instance_row *row);
duro_code duro__counts_load(duro_runtime *rt, duro_error **err); // what the file has counted so far
void duro__counts_to_batch(duro_runtime *rt, duro__batch *b);
void duro__counts_durable(duro_runtime *rt, const duro__batch *b);
void duro__counts_free(duro_runtime *rt);

// --- watchdog.c ---
duro_code duro__watchdog_start(duro_runtime *rt, duro_error **err);
void duro__watchdog_stop(duro_runtime *rt);
void duro__watchdog_figures(duro_runtime *rt, duro_str figures);
void duro__watchdog_begin(duro_runtime *rt, const duro__instance *i); // at tick_ns
void duro__watchdog_end(duro_runtime *rt);

// --- shared small things ---
void duro__log(duro_runtime *rt, const char *level, const char *format, ...) DURO_PRINTF(3, 4);
bool duro__is_own_process(const duro_runtime *rt);

#endif
