// The owner's writes of the memory store: the batch and folding.
//
// Order within a batch: deletes, prunes, inserts, the updates' moves to a new execution, turns, the updates'
// other members, and then the rest. So a turn knows whether it belongs to the current execution, and a
// wake time set by an update holds against that of a turn in the same batch.
#include "store/memory/memory.h"

// --- One row at a time ---

duro_code duro__memory_insert(duro_store *s, const duro_instance_row *row, duro_error **err) {
  id_row id = {.id = row->id, .key = row->key};
  if (duro__table_get(&s->ids, &id)) {
    return duro_fail(err, DURO_ALREADY_EXISTS, "an instance '%.*s' exists already",
                     DURO_FMT(row->id));
  }
  if (memory_instance(s, row->key)) {
    return duro_fail(err, DURO_CORRUPT, "the instance key %lld is taken", (long long)row->key);
  }
  duro_code code = duro__table_put(&s->ids, &s->log, &id, err);
  return code ? code : duro__table_put(&s->instances, &s->log, row, err);
}

// Removes the folded events of some executions of an instance.
static duro_code remove_history(duro_store *s, int64_t key, int64_t first_execution,
                                int64_t last_execution, duro_error **err) {
  duro_turn_row probe = {.instance_key = key, .execution_id = first_execution};
  size_t at = duro__table_seek(&s->history, &probe);
  while (at < s->history.count) {
    const duro_turn_row *row = s->history.rows[at];
    if (row->instance_key != key || row->execution_id > last_execution) break;
    duro_code code = duro__table_remove(&s->history, &s->log, row, err);
    if (code) return code;
  }
  return DURO_OK;
}

// Removes the rows of an instance; its key is at `key_offset` of each row.
static duro_code remove_owned(duro_store *s, table *t, size_t key_offset, int64_t key,
                              duro_error **err) {
  for (size_t i = 0; i < t->count;) {
    const char *row = t->rows[i];
    if (*(const int64_t *)(const void *)(row + key_offset) != key) {
      i++;
      continue;
    }
    duro_code code = duro__table_remove(t, &s->log, row, err);
    if (code) return code;
  }
  return DURO_OK;
}

// The journal keeps the rows for the feed; without their instance they are never folded.
static duro_code delete_instance(duro_store *s, int64_t key, duro_error **err) {
  const duro_instance_row *instance = memory_instance(s, key);
  if (!instance) return DURO_OK;
  duro_code code = duro__table_remove(&s->ids, &s->log, &(id_row){.id = instance->id}, err);
  if (!code) code = duro__table_remove(&s->instances, &s->log, instance, err);
  if (!code) code = remove_history(s, key, 0, INT64_MAX, err);
#define OWNED(rows, type) remove_owned(s, &s->rows, offsetof(type, instance_key), key, err)
  if (!code) code = OWNED(executions, duro_execution_row);
  if (!code) code = OWNED(messages, duro_message_row);
  if (!code) code = OWNED(jobs, duro_job_row);
#undef OWNED
  return code;
}

static duro_code prune(duro_store *s, const duro_prune_row *pruned, duro_error **err) {
  int64_t key = pruned->instance_key, id = pruned->execution_id;
  const duro_execution_row *past = duro__table_get(
      &s->executions, &(duro_execution_row){.instance_key = key, .execution_id = id});
  if (!past) return DURO_OK; // the current one has no such row
  duro_code code = remove_history(s, key, id, id, err);
  return code ? code : duro__table_remove(&s->executions, &s->log, past, err);
}

static duro_code move_on(duro_store *s, const duro_instance_update *u, duro_error **err) {
  const duro_instance_row *was = memory_instance(s, u->row.key);
  if (!was || !(u->set & DURO_SET_EXECUTION)) return DURO_OK;
  duro_instance_row row = *was;
  if (row.execution_id != u->row.execution_id) row.event_count = 0;
  row.execution_id = u->row.execution_id;
  row.execution_started_at_ms = u->row.execution_started_at_ms;
  row.version = u->row.version;
  row.vm = u->row.vm;
  return duro__table_put(&s->instances, &s->log, &row, err);
}

static duro_code add_turn(duro_store *s, const duro_turn_row *turn, duro_error **err) {
  const duro_turn_row *last = s->journal.count ? s->journal.rows[s->journal.count - 1] : NULL;
  if (turn->seq <= memory_meta(s)->marks.last_seq || (last && turn->seq <= last->seq)) {
    return duro_fail(err, DURO_CORRUPT, "the sequence number %lld was used before",
                     (long long)turn->seq);
  }
  duro_code code = duro__table_put(&s->journal, &s->log, turn, err);
  const duro_instance_row *was = memory_instance(s, turn->instance_key);
  if (code || !was) return code;
  duro_instance_row row = *was;
  if (row.updated_at_ms < turn->at_ms) row.updated_at_ms = turn->at_ms;
  if (turn->event_count == 0) return duro__table_put(&s->instances, &s->log, &row, err);
  row.turns++;
  row.turn_us_total += turn->turn_us;
  if (turn->execution_id == row.execution_id) row.event_count += turn->event_count;
  row.wake_at_ms = turn->wake_at_ms;
  row.waiting_on = turn->waiting_on;
  return duro__table_put(&s->instances, &s->log, &row, err);
}

static duro_code update(duro_store *s, const duro_instance_update *u, duro_error **err) {
  const duro_instance_row *was = memory_instance(s, u->row.key);
  if (!was) return DURO_OK; // deleted in this batch
  duro_instance_row row = *was;
  if (row.updated_at_ms < u->row.updated_at_ms) row.updated_at_ms = u->row.updated_at_ms;
  if (u->set & DURO_SET_STATUS) {
    row.status = u->row.status;
    row.completed_at_ms = u->row.completed_at_ms;
    row.output = u->row.output;
    row.error = u->row.error;
    row.reason = u->row.reason;
  }
  if (u->set & DURO_SET_CUSTOM_STATUS) {
    row.custom_status = u->row.custom_status;
    row.custom_status_version = u->row.custom_status_version;
  }
  if (u->set & DURO_SET_ATTRIBUTES) row.attributes = u->row.attributes;
  if (u->set & DURO_SET_WAKE) row.wake_at_ms = u->row.wake_at_ms;
  return duro__table_put(&s->instances, &s->log, &row, err);
}

static duro_code add_message(duro_store *s, const duro_message_row *row, duro_error **err) {
  if (!memory_instance(s, row->instance_key)) return DURO_OK; // deleted in this batch
  return duro__table_put(&s->messages, &s->log, row, err);
}

static duro_code add_job(duro_store *s, const duro_job_row *row, duro_error **err) {
  if (!memory_instance(s, row->instance_key)) return DURO_OK; // deleted in this batch
  return duro__table_put(&s->jobs, &s->log, row, err);
}

static duro_code answer(duro_store *s, const duro_request_row *given, duro_error **err) {
  const duro_request_row *was = duro__table_get(&s->requests, given);
  if (!was) return DURO_OK;
  if (!given->answer.p) return duro__table_remove(&s->requests, &s->log, was, err);
  duro_request_row row = *was;
  row.answer = given->answer;
  return duro__table_put(&s->requests, &s->log, &row, err);
}

// --- The batch ---

static void raise_to(int64_t *mark, int64_t value) {
  if (*mark < value) *mark = value;
}

static duro_code set_marks(duro_store *s, const duro_batch *b, duro_error **err) {
  meta_row meta = *memory_meta(s);
  meta.marks.last_batch = b->id;
  raise_to(&meta.marks.last_seq, b->last_seq);
  raise_to(&meta.marks.last_key, b->last_key);
  raise_to(&meta.marks.last_message_id, b->last_message_id);
  raise_to(&meta.marks.last_job_id, b->last_job_id);
  if (b->audit_count) meta.marks.last_audit_id = b->audit[b->audit_count - 1].id;
  raise_to(&meta.marks.latest_ms, b->now_ms);
  if (b->owner_figures.p) meta.owner_figures = b->owner_figures;
  return duro__memory_set_meta(s, &meta, err);
}

static duro_code check_chain(const duro_store *s, const duro_batch *b, duro_error **err) {
  int64_t last = memory_meta(s)->marks.last_batch;
  if (b->previous == last && b->id > last) return DURO_OK;
  return duro_fail(err, DURO_CORRUPT,
                   "batch %lld is to follow batch %lld, but the last one is batch %lld",
                   (long long)b->id, (long long)b->previous, (long long)last);
}

static duro_code forget_audit(duro_store *s, int64_t to, duro_error **err) {
  duro_code code = DURO_OK;
  while (!code && s->audit.count && ((const duro_audit_row *)s->audit.rows[0])->id <= to) {
    code = duro__table_remove(&s->audit, &s->log, s->audit.rows[0], err);
  }
  return code;
}

static duro_code apply(duro_store *s, const duro_batch *b, duro_error **err) {
  duro_code code = duro__memory_check_epoch(s, b->epoch, err);
  if (!code) code = check_chain(s, b, err);
#define EACH(items, count, call)                                                                   \
  for (size_t i = 0; !code && i < b->count; i++) code = call
  EACH(deletes, delete_count, delete_instance(s, b->deletes[i], err));
  EACH(prunes, prune_count, prune(s, &b->prunes[i], err));
  EACH(inserts, insert_count, duro__memory_insert(s, &b->inserts[i], err));
  EACH(updates, update_count, move_on(s, &b->updates[i], err));
  EACH(turns, turn_count, add_turn(s, &b->turns[i], err));
  EACH(updates, update_count, update(s, &b->updates[i], err));
  EACH(executions, execution_count,
       duro__table_put(&s->executions, &s->log, &b->executions[i], err));
  EACH(messages, message_count, add_message(s, &b->messages[i], err));
  EACH(messages_done, messages_done_count,
       duro__table_remove(&s->messages, &s->log, &(duro_message_row){.id = b->messages_done[i]},
                          err));
  EACH(jobs, job_count, add_job(s, &b->jobs[i], err));
  EACH(jobs_done, jobs_done_count,
       duro__table_remove(&s->jobs, &s->log, &(duro_job_row){.id = b->jobs_done[i]}, err));
  EACH(answers, answer_count, answer(s, &b->answers[i], err));
  EACH(audit, audit_count, duro__table_put(&s->audit, &s->log, &b->audit[i], err));
#undef EACH
  if (!code && b->audit_forget_to) code = forget_audit(s, b->audit_forget_to, err);
  return code ? code : set_marks(s, b, err);
}

duro_code duro__memory_commit(duro_store *s, const duro_batch *batch, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_finish(s, apply(s, batch, err));
}

// --- Folding ---

static duro_code fold_rows(duro_store *s, size_t max_rows, size_t *folded, duro_error **err) {
  meta_row meta = *memory_meta(s);
  duro_turn_row first = {.seq = meta.marks.folded_seq + 1};
  size_t at = duro__table_seek(&s->journal, &first);
  for (; at < s->journal.count && *folded < max_rows; at++, (*folded)++) {
    const duro_turn_row *turn = s->journal.rows[at];
    if (duro__memory_turn_counts(s, turn)) {
      duro_code code = duro__table_put(&s->history, &s->log, turn, err);
      if (code) return code;
    }
    meta.marks.folded_seq = turn->seq;
  }
  return duro__memory_set_meta(s, &meta, err);
}

// Drops the oldest folded rows that are too old for the feed or make it too large.
static duro_code trim_feed(duro_store *s, int64_t now_ms, duro_error **err) {
  int64_t bytes = 0, folded_seq = memory_meta(s)->marks.folded_seq;
  for (size_t i = 0; i < s->journal.count; i++) {
    bytes += (int64_t)((const duro_turn_row *)s->journal.rows[i])->events.n;
  }
  while (s->journal.count) {
    const duro_turn_row *oldest = s->journal.rows[0];
    bool too_old = s->feed_retention_ms && now_ms - oldest->at_ms > s->feed_retention_ms;
    bool too_large = s->feed_max_bytes && bytes > s->feed_max_bytes;
    if (oldest->seq > folded_seq || !(too_old || too_large)) break;
    bytes -= (int64_t)oldest->events.n;
    meta_row meta = *memory_meta(s);
    meta.trimmed_seq = oldest->seq;
    duro_code code = duro__table_remove(&s->journal, &s->log, oldest, err);
    if (!code) code = duro__memory_set_meta(s, &meta, err);
    if (code) return code;
  }
  return DURO_OK;
}

duro_code duro__memory_fold(duro_store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                            size_t *folded, duro_error **err) {
  *folded = 0;
  duro__memory_lock(s);
  duro_code code = duro__memory_check_epoch(s, epoch, err);
  if (!code) code = fold_rows(s, max_rows, folded, err);
  if (!code) code = trim_feed(s, now_ms, err);
  if (code) *folded = 0;
  return duro__memory_finish(s, code);
}
