// Purging: deleting instances with everything they own, and past executions.
//
// Journal rows stay: they leave with the feed's retention, and folding passes over those whose
// instance or execution is gone. Keys are never used twice, so nothing old can meet anything new.
// To give instances a further table of rows: delete them here too.
#include "store/sqlite/internal.h"

static duro_code delete_by_key(duro__sqlite_conn *c, duro__sqlite_query query, int64_t key,
                               duro_error **err) {
  statement st = use(c, query);
  put_int(&st, key);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_delete_instance(duro_store *s, duro__sqlite_conn *c, int64_t key,
                                       bool *existed, int64_t *events, duro_error **err) {
  *events = 0;
  statement st = use(c, Q_read_instance_index_texts);
  put_int(&st, key);
  duro_code code = duro__sqlite_step(&st, existed, err);
  if (code != DURO_OK || !*existed) return code;
  duro__sqlite_counts_drop(s, key);
  duro_str waiting_on = take_text(&st, &s->scratch);
  duro_str attributes = take_text(&st, &s->scratch);
  finish(&st);
  if (s->scratch.oom) return duro_fail_oom(err);
  code = duro__sqlite_change_waits(s, c, DURO__INDEX_REMOVE, key, waiting_on, err);
  if (code == DURO_OK)
    code = duro__sqlite_change_attributes(s, c, DURO__INDEX_REMOVE, key, attributes, err);
  if (code != DURO_OK) return code;

  st = use(c, Q_sum_history);
  put_int(&st, key);
  code = duro__sqlite_take_ints(&st, events, 1, NULL, err);
  static const duro__sqlite_query owned[] = {Q_delete_history,  Q_delete_executions,
                                             Q_delete_messages, Q_delete_jobs,
                                             Q_delete_listed,   Q_delete_instance};
  for (size_t i = 0; i < sizeof owned / sizeof owned[0] && code == DURO_OK; i++) {
    code = delete_by_key(c, owned[i], key, err);
  }
  return code;
}

static duro_code prune_execution(duro_store *s, duro__sqlite_conn *c, const duro_prune_row *row,
                                 duro_error **err) {
  static const duro__sqlite_query queries[] = {Q_has_execution, Q_sum_execution_history,
                                               Q_delete_execution_history, Q_delete_execution};
  int64_t found[2] = {0}; // whether it is a past one; its events in history
  for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
    bool is_past = true;
    statement st = use(c, queries[i]);
    put_int(&st, row->instance_key);
    put_int(&st, row->execution_id);
    duro_code code = i < 2 ? duro__sqlite_take_ints(&st, &found[i], 1, &is_past, err)
                           : duro__sqlite_run(&st, err);
    if (code != DURO_OK || !is_past) return code;
  }
  s->chain.history_events -= found[1];
  return DURO_OK;
}

duro_code duro__sqlite_prune_executions(duro_store *s, duro__sqlite_conn *c,
                                        const duro_batch *batch, duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < batch->prune_count && code == DURO_OK; i++) {
    code = prune_execution(s, c, &batch->prunes[i], err);
  }
  return code;
}
