// The one way from the runtime to a store: a handle that passes each verb through, counts and times it,
// and fills in for the verbs a store left out.
//
// Invariant: a `duro__store` exists only over a table that duro__store_check accepts. A reading verb left
// NULL is served by defaults.c; a writing one answers `unsupported` (a checkpoint: there is no log to
// copy, so that is done). To add a verb: its slot in duro_store.h, one line in DURO__STORE_VERBS, its
// function here and in wrapper.c.
//
// Thread: as duro_store.h says of each verb; the figures may be read from any thread at any moment.
#ifndef DURO_STORE_STORE_H
#define DURO_STORE_STORE_H

#include "duro_store.h"

// X(slot, kind, need). A POLL is a read that is asked again and again and must not hide the others in
// the latencies.
#define DURO__STORE_VERBS(X)                                                                       \
  X(open, WRITE, MUST)                                                                             \
  X(marks, READ, MUST)                                                                             \
  X(acquire, WRITE, MUST)                                                                          \
  X(renew, WRITE, MUST)                                                                            \
  X(release, WRITE, MUST)                                                                          \
  X(lease, READ, MUST)                                                                             \
  X(commit, WRITE, MUST)                                                                           \
  X(fold, WRITE, MUST)                                                                             \
  X(checkpoint, WRITE, MAY)                                                                        \
  X(load, READ, MUST)                                                                              \
  X(due, READ, MUST)                                                                               \
  X(messages, READ, MUST)                                                                          \
  X(post, WRITE, MUST)                                                                             \
  X(requests, READ, MUST)                                                                          \
  X(answer, READ, MUST)                                                                            \
  X(forget, WRITE, MUST)                                                                           \
  X(data_version, POLL, MUST)                                                                      \
  X(claim_jobs, WRITE, MAY)                                                                        \
  X(renew_jobs, WRITE, MAY)                                                                        \
  X(finish_job, WRITE, MAY)                                                                        \
  X(jobs, READ, MAY)                                                                               \
  X(queue_state, READ, MAY)                                                                        \
  X(get, READ, MUST)                                                                               \
  X(get_by_key, READ, MUST)                                                                        \
  X(list, READ, MUST)                                                                              \
  X(count, READ, MAY)                                                                              \
  X(history, READ, MUST)                                                                           \
  X(executions, READ, MUST)                                                                        \
  X(changes, READ, MAY)                                                                            \
  X(counters, READ, MAY)                                                                           \
  X(stats, READ, MAY)                                                                              \
  X(owner_figures, READ, MAY)                                                                      \
  X(audit, READ, MAY)                                                                              \
  X(note, WRITE, MAY)

typedef enum duro__verb {
#define X(slot, kind, need) DURO__VERB_##slot,
  DURO__STORE_VERBS(X)
#undef X
      DURO__VERB_COUNT
} duro__verb;

// Refuses a table of another version, without a type, or without a slot that must be there (named in the
// error), or with some of the five slots of task queues only. Errors: invalid_argument.
duro_code duro__store_check(const duro_store_ops *ops, duro_error **err);

typedef struct duro__store duro__store;

// Checks the table and opens its store; `ops` must outlive the handle.
duro_code duro__store_open(const duro_store_ops *ops, const duro_store_options *options,
                           duro__store **out, duro_error **err);
void duro__store_close(duro__store *s); // NULL is fine
const char *duro__store_type(const duro__store *s);
// The store has this verb of its own (else a default or `unsupported` answers).
bool duro__store_has(const duro__store *s, duro__verb verb);

duro_code duro__store_marks(duro__store *s, duro_arena *arena, duro_store_marks *out,
                            duro_error **err);
duro_code duro__store_acquire(duro__store *s, const duro_lease *wanted, bool steal, int64_t now_ms,
                              duro_arena *arena, duro_lease *held, duro_error **err);
duro_code duro__store_renew(duro__store *s, int64_t epoch, int64_t now_ms, int64_t expires_at_ms,
                            duro_error **err);
duro_code duro__store_release(duro__store *s, int64_t epoch, duro_error **err);
duro_code duro__store_lease(duro__store *s, duro_arena *arena, duro_lease *out, duro_error **err);
duro_code duro__store_commit(duro__store *s, const duro_batch *batch, duro_error **err);
duro_code duro__store_fold(duro__store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                           size_t *folded, duro_error **err);
duro_code duro__store_checkpoint(duro__store *s, duro_error **err);
duro_code duro__store_load(duro__store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                           duro_error **err);
duro_code duro__store_due(duro__store *s, int64_t now_ms, int64_t after_wake_ms, int64_t after_key,
                          size_t limit, duro_arena *arena, duro_instance_rows *out,
                          int64_t *next_ms, duro_error **err);
duro_code duro__store_messages(duro__store *s, int64_t key, duro_arena *arena,
                               duro_message_row **out, size_t *count, duro_error **err);
duro_code duro__store_post(duro__store *s, duro_post *post, duro_error **err);
duro_code duro__store_requests(duro__store *s, int64_t after, size_t limit, duro_arena *arena,
                               duro_request_row **out, size_t *count, duro_error **err);
duro_code duro__store_answer(duro__store *s, int64_t request_id, duro_arena *arena,
                             duro_request_row *out, duro_error **err);
duro_code duro__store_forget(duro__store *s, const int64_t *request_ids, size_t count,
                             duro_error **err);
duro_code duro__store_data_version(duro__store *s, int64_t *out, duro_error **err);
duro_code duro__store_claim_jobs(duro__store *s, const duro_claim *claim, duro_arena *arena,
                                 duro_job_row **out, size_t *count, duro_error **err);
duro_code duro__store_renew_jobs(duro__store *s, const duro_job_row *jobs, size_t count,
                                 int64_t now_ms, duro_error **err);
duro_code duro__store_finish_job(duro__store *s, const duro_job_row *job,
                                 const duro_request_row *result, int64_t now_ms, duro_error **err);
duro_code duro__store_jobs(duro__store *s, int64_t instance_key, const int64_t *ids,
                           size_t id_count, duro_arena *arena, duro_job_row **out, size_t *count,
                           duro_error **err);
duro_code duro__store_queue_state(duro__store *s, duro_str queue, int64_t now_ms,
                                  duro_queue_state *out, duro_error **err);
duro_code duro__store_get(duro__store *s, duro_str id, duro_arena *arena, duro_instance_row *out,
                          duro_error **err);
duro_code duro__store_get_by_key(duro__store *s, int64_t key, duro_arena *arena,
                                 duro_instance_row *out, duro_error **err);
duro_code duro__store_list(duro__store *s, const duro_list_query *query, duro_arena *arena,
                           duro_instance_rows *out, duro_error **err);
duro_code duro__store_count(duro__store *s, const duro_filter *filter, int64_t most, int64_t *out,
                            duro_error **err);
duro_code duro__store_history(duro__store *s, int64_t key, int64_t execution_id, duro_arena *arena,
                              duro_texts *out, duro_error **err);
duro_code duro__store_executions(duro__store *s, int64_t key, duro_arena *arena,
                                 duro_execution_row **out, size_t *count, duro_error **err);
duro_code duro__store_changes(duro__store *s, int64_t since_seq, size_t limit, duro_arena *arena,
                              duro_changes *out, duro_error **err);
duro_code duro__store_counters(duro__store *s, int64_t from_ms, int64_t to_ms, bool by_minute,
                               duro_arena *arena, duro_counters *out, duro_error **err);
duro_code duro__store_stats(duro__store *s, duro_store_stats *out, duro_error **err);
duro_code duro__store_owner_figures(duro__store *s, duro_arena *arena, duro_str *json,
                                    duro_error **err);
duro_code duro__store_audit(duro__store *s, int64_t before, size_t limit, duro_arena *arena,
                            duro_audit_row **out, size_t *count, duro_error **err);
duro_code duro__store_note(duro__store *s, int64_t epoch, duro_str owner_figures, duro_error **err);

// --- Figures ---

typedef struct duro__verb_figures {
  const char *verb;
  bool writes;
  // An answer such as not_found, busy or expired is no error; storage, corrupt, locked and the like are.
  uint64_t calls, errors, total_ns, max_ns;
} duro__verb_figures;

typedef struct duro__latency {
  uint64_t calls, max_ns;
  uint64_t p50_ns, p99_ns; // upper bounds, at most a quarter too high; 0 without calls
} duro__latency;

typedef struct duro__store_figures {
  duro__verb_figures verbs[DURO__VERB_COUNT];
  duro__latency reads, writes;
  duro__latency commits; // of the writes, those that store a batch
} duro__store_figures;

void duro__store_figures_read(const duro__store *s, duro__store_figures *out);

// --- Defaults (defaults.c), from `list` and `executions` alone ---

duro_code duro__default_count(const duro_store_ops *ops, duro_store *s, const duro_filter *filter,
                              int64_t most, int64_t *out, duro_error **err);
duro_code duro__default_counters(const duro_store_ops *ops, duro_store *s, int64_t from_ms,
                                 int64_t to_ms, bool by_minute, duro_arena *arena,
                                 duro_counters *out, duro_error **err);
duro_code duro__default_stats(const duro_store_ops *ops, duro_store *s, duro_store_stats *out,
                              duro_error **err);

#endif
