// The memory store's tables, and the verbs each of its files brings.
//
// One mutex guards everything. A writing verb is: lock, change tables, duro__tables_finish, unlock.
#ifndef DURO_STORE_MEMORY_MEMORY_H
#define DURO_STORE_MEMORY_MEMORY_H

#include <pthread.h>

#include "duro_store.h"
#include "store/memory/table.h"

// The one row of `meta`.
typedef struct meta_row {
  duro_store_marks marks;
  duro_lease lease; // an owner that is absent: free
  int64_t last_request_id;
  int64_t client_writes; // the data version
  int64_t trimmed_seq;   // journal rows up to here are no longer kept
  duro_str owner_figures;
} meta_row;

// Finds an instance by its id.
typedef struct id_row {
  duro_str id;
  int64_t key;
} id_row;

// When a task queue was last served.
typedef struct served_row {
  duro_str queue;
  int64_t at_ms;
} served_row;

struct duro_store {
  pthread_mutex_t mutex;
  table_log log;
  int64_t feed_retention_ms, feed_max_bytes; // 0 = no limit
  table meta;
  table instances;  // duro_instance_row by key
  table ids;        // id_row by id
  table journal;    // duro_turn_row by seq: the feed, and the unfolded tail behind marks.folded_seq
  table history;    // duro_turn_row by instance, execution and first event
  table executions; // duro_execution_row by instance and execution: past ones
  table messages;   // duro_message_row by id
  table jobs;       // duro_job_row by id
  table served;     // served_row by queue
  table requests;   // duro_request_row by id
  table audit;      // duro_audit_row by id
};

// --- commit.c ---
duro_code duro__memory_commit(duro_store *s, const duro_batch *batch, duro_error **err);
duro_code duro__memory_fold(duro_store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                            size_t *folded, duro_error **err);
duro_code duro__memory_prune(duro_store *s, int64_t epoch, int64_t key, int64_t keep_last,
                             int64_t completed_before_ms, int64_t *executions, int64_t *events,
                             duro_error **err);
// Inserts an instance and its id. Errors: already_exists. In a transaction.
duro_code duro__memory_insert(duro_store *s, const duro_instance_row *row, duro_error **err);

// --- read.c ---
duro_code duro__memory_load(duro_store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                            duro_error **err);
duro_code duro__memory_due(duro_store *s, int64_t now_ms, int64_t after_wake_ms, int64_t after_key,
                           size_t limit, duro_arena *arena, duro_instance_rows *out,
                           int64_t *next_ms, duro_error **err);
duro_code duro__memory_messages(duro_store *s, int64_t key, duro_arena *arena,
                                duro_message_row **out, size_t *count, duro_error **err);
duro_code duro__memory_get(duro_store *s, duro_str id, duro_arena *arena, duro_instance_row *out,
                           duro_error **err);
duro_code duro__memory_get_by_key(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_instance_row *out, duro_error **err);
duro_code duro__memory_history(duro_store *s, int64_t key, int64_t execution_id, duro_arena *arena,
                               duro_texts *out, duro_error **err);
duro_code duro__memory_executions(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_execution_row **out, size_t *count, duro_error **err);
duro_code duro__memory_changes(duro_store *s, int64_t since_seq, size_t limit, duro_arena *arena,
                               duro_changes *out, duro_error **err);

duro_code duro__memory_audit(duro_store *s, int64_t before, size_t limit, duro_arena *arena,
                             duro_audit_row **out, size_t *count, duro_error **err);

// --- list.c ---
duro_code duro__memory_list(duro_store *s, const duro_list_query *query, duro_arena *arena,
                            duro_instance_rows *out, duro_error **err);

// --- queue.c ---
duro_code duro__memory_post(duro_store *s, duro_post *post, duro_error **err);
duro_code duro__memory_requests(duro_store *s, int64_t after, size_t limit, duro_arena *arena,
                                duro_request_row **out, size_t *count, duro_error **err);
duro_code duro__memory_answer(duro_store *s, int64_t request_id, duro_arena *arena,
                              duro_request_row *out, duro_error **err);
duro_code duro__memory_forget(duro_store *s, const int64_t *request_ids, size_t count,
                              duro_error **err);
duro_code duro__memory_data_version(duro_store *s, int64_t *out, duro_error **err);
duro_code duro__memory_claim_jobs(duro_store *s, const duro_claim *k, duro_arena *arena,
                                  duro_job_row **out, size_t *count, duro_error **err);
duro_code duro__memory_renew_jobs(duro_store *s, const duro_job_row *jobs, size_t count,
                                  int64_t now_ms, duro_error **err);
duro_code duro__memory_finish_job(duro_store *s, const duro_job_row *job,
                                  const duro_request_row *result, int64_t now_ms, duro_error **err);
duro_code duro__memory_jobs(duro_store *s, int64_t instance_key, const int64_t *ids,
                            size_t id_count, duro_arena *arena, duro_job_row **out, size_t *count,
                            duro_error **err);
duro_code duro__memory_queue_state(duro_store *s, duro_str queue, int64_t now_ms,
                                   duro_queue_state *out, duro_error **err);

// --- Shared by all (memory.c) ---
void duro__memory_lock(duro_store *s);
// Ends a writing verb: keeps or undoes what it did, unlocks, and gives the code back.
duro_code duro__memory_finish(duro_store *s, duro_code code);
// Ends a reading verb.
duro_code duro__memory_unlock(duro_store *s, duro_code code);

static inline const meta_row *memory_meta(const duro_store *s) { return s->meta.rows[0]; }
duro_code duro__memory_set_meta(duro_store *s, const meta_row *meta, duro_error **err);
// Errors: locked, when the lease has another epoch.
duro_code duro__memory_check_epoch(const duro_store *s, int64_t epoch, duro_error **err);

// NULL when there is none.
static inline const duro_instance_row *memory_instance(const duro_store *s, int64_t key) {
  return duro__table_get(&s->instances, &(duro_instance_row){.key = key});
}
// The turn's events count: its instance is there and its execution has not been pruned.
bool duro__memory_turn_counts(const duro_store *s, const duro_turn_row *turn);

#endif
