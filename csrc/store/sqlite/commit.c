// Commit: one batch, one transaction.
//
// Order matters in three places. The guard comes first: a lost lease or a broken chain must change
// nothing. Deletions come before inserts, so that an id can be replaced in one batch. The bits of the
// tail filter are set before the transaction ends, so that no reader sees a row without its bit.
// Whoever finds a batch's id in the marks knows that all of it is stored, so the writer of a batch
// whose outcome is unknown reads them.
// To add rows of a new kind: a member of duro_batch, a loop here, and deletion in purge.c.
#include "store/sqlite/internal.h"

#include "base/map.h"

static duro_code check_guard(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                             duro_error **err) {
  duro_code code = duro__sqlite_chain_begin(s, c, batch->epoch, err);
  if (code != DURO_OK) return code;
  int64_t newest = s->chain.batch;
  if (newest == batch->id) {
    return duro_fail(err, DURO_CORRUPT, "broken chain: batch %lld is stored already",
                     (long long)batch->id);
  }
  if (newest != batch->previous || batch->id < newest) {
    return duro_fail(err, DURO_CORRUPT,
                     "broken chain: batch %lld follows batch %lld, but the last one stored in "
                     "'%s' is %lld",
                     (long long)batch->id, (long long)batch->previous, s->path, (long long)newest);
  }
  return DURO_OK;
}

static duro_code delete_instances(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                                  duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < batch->delete_count && code == DURO_OK; i++) {
    bool existed;
    int64_t events;
    code = duro__sqlite_delete_instance(s, c, batch->deletes[i], &existed, &events, err);
    if (code == DURO_OK && existed) {
      s->chain.instances--;
      s->chain.history_events -= events;
    }
  }
  return code;
}

static bool any_waits(const duro_batch *batch) {
  for (size_t i = 0; i < batch->insert_count; i++) {
    if (batch->inserts[i].waiting_on.n > 2) return true;
  }
  return false;
}

// The keys whose turns are in this batch: their waits come with folding, and most short instances
// have ended before that, so nothing is written for them here. Any non-NULL value will do.
static duro_code keys_with_turns(const duro_batch *batch, duro_map *keys, duro_error **err) {
  if (!any_waits(batch)) return DURO_OK;
  for (size_t i = 0; i < batch->turn_count; i++) {
    if (!duro_map_put_int(keys, batch->turns[i].instance_key, (void *)batch->turns)) {
      return duro_fail_oom(err);
    }
  }
  return DURO_OK;
}

// Eight at a time, unless there are fewer or one of their ids is taken, which is to be named.
static duro_code insert_instances(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                                  duro_error **err) {
  duro_map keys = {0};
  duro_code code = keys_with_turns(batch, &keys, err);
  int64_t listed_to = s->chain.listed_to;
  for (size_t i = 0; i < batch->insert_count && code == DURO_OK;) {
    const duro_instance_row *rows = &batch->inserts[i];
    size_t count = batch->insert_count - i;
    bool with_waits[ROWS_AT_ONCE], done = false;
    if (count > ROWS_AT_ONCE) count = ROWS_AT_ONCE;
    for (size_t n = 0; n < count; n++) {
      with_waits[n] = !keys.count || !duro_map_get_int(&keys, rows[n].key);
      bool waits = with_waits[n] && rows[n].waiting_on.n > 2; // which only folding takes away
      if (!waits) duro__sqlite_counts_begin(s, rows[n].key);
    }
    if (count == ROWS_AT_ONCE) {
      code = duro__sqlite_insert_many(s, c, rows, with_waits, listed_to, &done, err);
    }
    for (size_t n = 0; n < count && !done && code == DURO_OK; n++) {
      code =
          duro__sqlite_insert_instance(s, c, &rows[n], rows[n].key, with_waits[n], listed_to, err);
    }
    i += count;
  }
  duro_map_free(&keys);
  s->chain.instances += (int64_t)batch->insert_count;
  s->unlisted += batch->insert_count;
  return code;
}

static int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

// The marks that do not depend on what the rows of this batch are.
static void advance(duro__sqlite_chain *chain, const duro_batch *batch) {
  chain->batch = batch->id;
  chain->key = greater(chain->key, batch->last_key);
  chain->message_id = greater(chain->message_id, batch->last_message_id);
  chain->job_id = greater(chain->job_id, batch->last_job_id);
  chain->latest_ms = greater(chain->latest_ms, batch->now_ms);
}

static void put_turn(statement *st, const duro_turn_row *turn, duro_str events, int64_t begin_bytes,
                     duro_str trailer) {
  put_int(st, turn->seq);
  put_int(st, turn->instance_key);
  put_int(st, turn->execution_id);
  put_int(st, turn->first_event_id);
  put_int(st, turn->event_count);
  put_status(st, turn->status);
  put_int(st, turn->at_ms);
  put_int(st, turn->turn_us);
  put_wake(st, turn->wake_at_ms);
  put_int(st, begin_bytes);
  put_text(st, turn->waiting_on);
  put_text(st, events);
  put_text(st, trailer);
}

static duro_code append_turns(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                              duro_error **err) {
  duro__sqlite_chain *chain = &s->chain;
  duro_code code = DURO_OK;
  statement st = {0};
  size_t room = 0; // for so many rows more before it runs
  for (size_t i = 0; i < batch->turn_count && code == DURO_OK; i++) {
    const duro_turn_row *turn = &batch->turns[i];
    duro_str events = turn->events.p ? turn->events : DURO_STR("[]"), trailer = DURO_NONE;
    if (turn->seq <= chain->seq) {
      return duro_fail(err, DURO_CORRUPT, "commit: the seq %lld was used before (the last is %lld)",
                       (long long)turn->seq, (long long)chain->seq);
    }
    int64_t begin_bytes = chain->journal_bytes;
    duro__sqlite_counts_add(s, turn);
    chain->seq = turn->seq;
    chain->journal_bytes += (int64_t)events.n;
    if (i + 1 == batch->turn_count) {
      chain->seq = greater(chain->seq, batch->last_seq);
      code = duro__sqlite_chain_trailer(s, c, turn, &trailer, err);
    }
    if (code == DURO_OK && room == 0) {
      code = duro__sqlite_use_rows(s, c, Q_insert_turn, batch->turn_count - i, &room, &st, err);
    }
    if (code != DURO_OK) return code;
    put_turn(&st, turn, events, begin_bytes, trailer);
    if (--room == 0) code = duro__sqlite_run(&st, err);
  }
  return code;
}

static duro_code replace_attributes(duro_store *s, duro__sqlite_conn *c, int64_t key,
                                    duro_str attributes, duro_error **err) {
  statement st = use(c, Q_read_instance_index_texts);
  put_int(&st, key);
  bool row;
  duro_code code = duro__sqlite_step(&st, &row, err);
  if (code != DURO_OK || !row) return code;
  st.at = 1;
  duro_str old = take_text(&st, &s->scratch);
  finish(&st);
  if (s->scratch.oom) return duro_fail_oom(err);
  code = duro__sqlite_change_attributes(s, c, DURO__INDEX_REMOVE, key, old, err);
  if (code == DURO_OK)
    code = duro__sqlite_change_attributes(s, c, DURO__INDEX_ADD, key, attributes, err);
  return code;
}

static duro_code update_instance(duro_store *s, duro__sqlite_conn *c, const duro_instance_update *u,
                                 int64_t last_seq, duro_error **err) {
  duro_instance_row row = u->row;
  unsigned set = duro__sqlite_counts_update(s, u->set | DURO__SET_UPDATED, &row);
  return duro__sqlite_update_instance(s, c, set, &row, last_seq, s->chain.listed_to, err);
}

// A row that is gone is no error: its instance was deleted while a turn of it was on its way.
static duro_code update_instances(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                                  duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < batch->update_count && code == DURO_OK; i++) {
    const duro_instance_update *u = &batch->updates[i];
    if (u->set & DURO_SET_ATTRIBUTES) {
      code = replace_attributes(s, c, u->row.key, u->row.attributes, err);
      if (code != DURO_OK) return code;
    }
    code = update_instance(s, c, u, batch->last_seq, err);
  }
  return code;
}

static duro_code insert_executions(duro__sqlite_conn *c, const duro_batch *batch,
                                   duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < batch->execution_count && code == DURO_OK; i++) {
    const duro_execution_row *row = &batch->executions[i];
    statement st = use(c, Q_insert_execution);
    put_int(&st, row->instance_key);
    put_int(&st, row->execution_id);
    put_status(&st, row->status);
    put_text(&st, row->version);
    put_int(&st, row->started_at_ms);
    put_int(&st, row->completed_at_ms);
    put_int(&st, row->event_count);
    put_text(&st, row->reason);
    code = duro__sqlite_run(&st, err);
  }
  return code;
}

static duro_code delete_rows(duro__sqlite_conn *c, duro__sqlite_query query, const int64_t *ids,
                             size_t count, duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < count && code == DURO_OK; i++) {
    statement st = use(c, query);
    put_int(&st, ids[i]);
    code = duro__sqlite_run(&st, err);
  }
  return code;
}

static duro_code write_messages(duro__sqlite_conn *c, const duro_batch *batch, duro_error **err) {
  for (size_t i = 0; i < batch->message_count; i++) {
    const duro_message_row *row = &batch->messages[i];
    statement st = use(c, Q_insert_message);
    put_int(&st, row->id);
    put_int(&st, row->instance_key);
    put_int(&st, row->execution_id);
    put_text(&st, row->body);
    duro_code code = duro__sqlite_run(&st, err);
    if (code != DURO_OK) return code;
  }
  return delete_rows(c, Q_delete_message, batch->messages_done, batch->messages_done_count, err);
}

static duro_code write_jobs(duro__sqlite_conn *c, const duro_batch *batch, duro_error **err) {
  for (size_t i = 0; i < batch->job_count; i++) {
    duro_code code = duro__sqlite_insert_job(c, &batch->jobs[i], err);
    if (code != DURO_OK) return code;
  }
  return delete_rows(c, Q_delete_job, batch->jobs_done, batch->jobs_done_count, err);
}

static duro_code write_answers(duro__sqlite_conn *c, const duro_batch *batch, duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < batch->answer_count && code == DURO_OK; i++) {
    const duro_request_row *row = &batch->answers[i];
    if (!row->answer.p) {
      code = delete_rows(c, Q_delete_request, &row->id, 1, err);
      continue;
    }
    statement st = use(c, Q_answer_request);
    put_int(&st, row->id);
    put_text(&st, row->answer);
    put_int(&st, batch->now_ms);
    code = duro__sqlite_run(&st, err);
  }
  return code;
}

static duro_code write_rows(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                            duro_error **err) {
  duro_code code = delete_instances(s, c, batch, err);
  if (code == DURO_OK) code = duro__sqlite_prune_executions(s, c, batch, err);
  if (code == DURO_OK) code = insert_instances(s, c, batch, err);
  if (code == DURO_OK) code = append_turns(s, c, batch, err);
  if (code == DURO_OK) code = update_instances(s, c, batch, err);
  if (code == DURO_OK) code = insert_executions(c, batch, err);
  if (code == DURO_OK) code = write_messages(c, batch, err);
  if (code == DURO_OK) code = write_jobs(c, batch, err);
  if (code == DURO_OK) code = write_answers(c, batch, err);
  if (code == DURO_OK) code = duro__sqlite_write_audit(c, batch, err);
  if (code == DURO_OK && batch->owner_figures.p) {
    code = duro__sqlite_write_figures(c, batch->owner_figures, err);
  }
  return code;
}

static duro_code write_batch(duro_store *s, duro__sqlite_conn *c, const duro_batch *batch,
                             duro_error **err) {
  duro_code code = check_guard(s, c, batch, err);
  if (code != DURO_OK) return code;
  advance(&s->chain, batch);
  code = duro__sqlite_chain_count(s, batch->counters, batch->counter_count, err);
  if (code == DURO_OK) code = write_rows(s, c, batch, err);
  if (code == DURO_OK) code = duro__sqlite_list_ended(s, c, err);
  if (code == DURO_OK && batch->turn_count == 0) {
    s->chain.seq = greater(s->chain.seq, batch->last_seq);
    code = duro__sqlite_chain_settle(s, c, err);
  }
  return code;
}

duro_code duro__sqlite_commit(duro_store *s, const duro_batch *batch, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "commit", &c, err);
  if (code != DURO_OK) return code;
  duro__sqlite_tail_add(&s->tail, batch->turns, batch->turn_count);
  code = write_batch(s, c, batch, err);
  s->chain_left = code == DURO_OK;
  return duro__sqlite_write_end(s, c, code, err);
}
