// The SQLite store: opening, closing, and the table of its verbs.
//
// One file keeps everything. It is in WAL mode: one connection writes, others read snapshots beside
// it (connection.c). A turn is one appended journal row; folding later brings many of them to where
// they are read by instance (fold.c). ":memory:" is the same with one connection, whose lock every
// verb holds from its beginning to its end: a read waits there for a write.
// To add a verb: a slot in duro_store.h, a function in the file of its subject, a line in the
// table.
#include "store/sqlite/internal.h"

#include <stdlib.h>

static void close_store(duro_store *s) {
  if (!s) return;
  // Readers first: the last connection to go copies the log back and removes it.
  duro__sqlite_pool_close(s);
  sqlite3_close_v2(s->checkpointer);
  duro__sqlite_conn_close(s->write);
  for (int q = 0; q < Q_COUNT; q++) free(s->queries[q]);
  free(s->fold_rows);
  duro_buf_free(&s->fold_bytes);
  duro_buf_free(&s->fold_text);
  duro_arena_free(&s->scratch);
  duro__sqlite_chain_free(s);
  duro__sqlite_counts_forget(s);
  duro_arena_free(&s->uncounted_entries);
  duro__sqlite_tail_deinit(&s->tail);
  pthread_mutex_destroy(&s->checkpoint_lock);
  pthread_mutex_destroy(&s->pool_lock);
  pthread_mutex_destroy(&s->write_lock);
  free(s->path);
  free(s);
}

static duro_code set_up(duro_store *s, duro_error **err) {
  if (!s->path) return duro_fail_oom(err);
  if (s->path[0] == 0) return duro_fail(err, DURO_STORAGE, "the path of the file is empty");
  if (sqlite3_libversion_number() < MIN_SQLITE_VERSION) {
    return duro_fail(err, DURO_UNSUPPORTED, "SQLite is %s here; duro needs 3.38.0 or newer",
                     sqlite3_libversion());
  }
  duro_code code = duro__sqlite_queries_parse(duro__sqlite_queries, s->queries, err);
  if (code == DURO_OK) code = duro__sqlite_write_open(s, err);
  return code;
}

static duro_code open_store(const duro_store_options *options, duro_store **out, duro_error **err) {
  duro_store *s = calloc(1, sizeof *s);
  if (!s) return duro_fail_oom(err);
  s->path = duro_str_dup(duro_str_from(options->path ? options->path : ""));
  s->memory = s->path && strcmp(s->path, ":memory:") == 0;
  s->client = options->read_only_role && !s->memory;
  s->full_durability = options->full_durability;
  s->feed_retention_ms = options->feed_retention_ms;
  s->feed_max_bytes = options->feed_max_bytes;
  s->rollup_retention_ms = options->rollup_retention_ms;
  s->list_probe_rows = LIST_PROBE_ROWS;
  s->list_walk_steps = LIST_WALK_STEPS;
  s->log = options->log;
  s->log_user = options->log_user;
  pthread_mutex_init(&s->write_lock, NULL);
  pthread_mutex_init(&s->pool_lock, NULL);
  pthread_mutex_init(&s->checkpoint_lock, NULL);
  duro__sqlite_tail_init(&s->tail);
  duro_code code = set_up(s, err);
  if (code == DURO_OK) {
    *out = s;
  } else {
    close_store(s);
  }
  return code;
}

const duro_store_ops duro_store_sqlite = {
    .version = DURO_STORE_VERSION,
    .type = "sqlite",
    .open = open_store,
    .close = close_store,
    .marks = duro__sqlite_marks,
    .acquire = duro__sqlite_acquire,
    .renew = duro__sqlite_renew,
    .release = duro__sqlite_release,
    .lease = duro__sqlite_lease,
    .commit = duro__sqlite_commit,
    .fold = duro__sqlite_fold,
    .checkpoint = duro__sqlite_checkpoint,
    .load = duro__sqlite_load,
    .due = duro__sqlite_due,
    .messages = duro__sqlite_messages,
    .post = duro__sqlite_post,
    .requests = duro__sqlite_requests,
    .answer = duro__sqlite_answer,
    .forget = duro__sqlite_forget,
    .data_version = duro__sqlite_data_version,
    .claim_jobs = duro__sqlite_claim_jobs,
    .renew_jobs = duro__sqlite_renew_jobs,
    .finish_job = duro__sqlite_finish_job,
    .jobs = duro__sqlite_jobs,
    .queue_state = duro__sqlite_queue_state,
    .get = duro__sqlite_get,
    .get_by_key = duro__sqlite_get_by_key,
    .list = duro__sqlite_list,
    .history = duro__sqlite_history,
    .count = duro__sqlite_count,
    .executions = duro__sqlite_executions,
    .changes = duro__sqlite_changes,
    .counters = duro__sqlite_counters,
    .stats = duro__sqlite_stats,
    .owner_figures = duro__sqlite_owner_figures,
    .audit = duro__sqlite_audit,
    .note = duro__sqlite_note,
};
