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
duro_verb_commit duro__memory_commit;
duro_verb_fold duro__memory_fold;
// Inserts an instance and its id. Errors: already_exists. In a transaction.
duro_code duro__memory_insert(duro_store *s, const duro_instance_row *row, duro_error **err);

// --- read.c ---
duro_verb_load duro__memory_load;
duro_verb_due duro__memory_due;
duro_verb_messages duro__memory_messages;
duro_verb_get duro__memory_get;
duro_verb_get_by_key duro__memory_get_by_key;
duro_verb_history duro__memory_history;
duro_verb_executions duro__memory_executions;
duro_verb_changes duro__memory_changes;

duro_verb_audit duro__memory_audit;

// --- list.c ---
duro_verb_list duro__memory_list;

// --- queue.c ---
duro_verb_post duro__memory_post;
duro_verb_requests duro__memory_requests;
duro_verb_answer duro__memory_answer;
duro_verb_forget duro__memory_forget;
duro_verb_data_version duro__memory_data_version;
duro_verb_claim_jobs duro__memory_claim_jobs;
duro_verb_renew_jobs duro__memory_renew_jobs;
duro_verb_finish_job duro__memory_finish_job;
duro_verb_jobs duro__memory_jobs;
duro_verb_queue_state duro__memory_queue_state;

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
