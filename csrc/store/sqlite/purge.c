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

typedef struct pruned {
  int64_t *executions; // in the scratch arena
  size_t count;
  int64_t events;
  int64_t folded_events; // of these, how many were in history
} pruned;

// Ids of executions count up from 1 and only the oldest are ever pruned, so the `keep_last` newest,
// the current one among them, are those above `current - keep_last`.
static duro_code choose(duro_store *s, duro__sqlite_conn *c, int64_t key, int64_t keep_last,
                        int64_t completed_before_ms, pruned *chosen, duro_error **err) {
  int64_t current;
  duro_code code = duro__sqlite_current_execution(c, key, &current, err);
  if (code != DURO_OK) return code;
  statement st = use(c, Q_read_executions_to_prune);
  put_int(&st, key);
  put_int(&st, current - (keep_last > 1 ? keep_last : 1));
  put_int(&st, completed_before_ms);
  size_t capacity = 0;
  bool row;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    int64_t *items =
        duro__sqlite_grow(&s->scratch, chosen->executions, chosen->count, &capacity, sizeof *items);
    if (!items) {
      finish(&st);
      return duro_fail_oom(err);
    }
    chosen->executions = items;
    items[chosen->count++] = take_int(&st);
    chosen->events += take_int(&st);
  }
  return code;
}

static duro_code prune_execution(duro__sqlite_conn *c, int64_t key, int64_t execution_id,
                                 int64_t *folded_events, duro_error **err) {
  static const duro__sqlite_query queries[] = {Q_sum_execution_history, Q_delete_execution_history,
                                               Q_delete_execution};
  int64_t events;
  statement st = use(c, queries[0]);
  put_int(&st, key);
  put_int(&st, execution_id);
  duro_code code = duro__sqlite_take_ints(&st, &events, 1, NULL, err);
  for (int i = 1; i < 3 && code == DURO_OK; i++) {
    st = use(c, queries[i]);
    put_int(&st, key);
    put_int(&st, execution_id);
    code = duro__sqlite_run(&st, err);
  }
  if (code == DURO_OK) *folded_events += events;
  return code;
}

static duro_code prune(duro_store *s, duro__sqlite_conn *c, int64_t epoch, int64_t key,
                       int64_t keep_last, int64_t completed_before_ms, pruned *done,
                       duro_error **err) {
  duro_code code = duro__sqlite_check_epoch(s, c, epoch, err);
  if (code == DURO_OK) code = choose(s, c, key, keep_last, completed_before_ms, done, err);
  for (size_t i = 0; i < done->count && code == DURO_OK; i++) {
    code = prune_execution(c, key, done->executions[i], &done->folded_events, err);
  }
  if (code != DURO_OK || done->count == 0) return code;
  statement st = use(c, Q_subtract_history_events);
  put_int(&st, done->folded_events);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_prune(duro_store *s, int64_t epoch, int64_t key, int64_t keep_last,
                             int64_t completed_before_ms, int64_t *executions, int64_t *events,
                             duro_error **err) {
  pruned done = {0};
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "prune", &c, err);
  if (code != DURO_OK) return code;
  code = prune(s, c, epoch, key, keep_last, completed_before_ms, &done, err);
  code = duro__sqlite_write_end(s, c, code, err);
  *executions = code == DURO_OK ? (int64_t)done.count : 0;
  *events = code == DURO_OK ? done.events : 0;
  return code;
}
