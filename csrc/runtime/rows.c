// rows.c: what a turn leaves, as rows of the open batch. The text is copied into the batch's arena, since
// the exec's lives only until its next turn.
#include "runtime/answers.h"

duro_str duro__row_keep(duro__batch *b, duro_str s) { return duro_arena_dup(&b->arena, s); }

void duro__instance_insert(duro_runtime *rt, duro__batch *b, duro__instance *i,
                           const duro__turn_result *result) {
  duro_instance_row *row = duro__vec_push(&b->inserts);
  if (!row) {
    b->poisoned = true;
    return;
  }
  i->needs_insert = false;
  i->insert_batch = b->rows.id;
  duro__count_row(rt, i->name, i->row_status, i->status);
  i->row_status = i->status;
  row->key = i->key;
  row->id = duro__row_keep(b, i->id);
  row->run_id = duro__row_keep(b, duro_str_from(i->run_id));
  row->vm = i->vm;
  row->partition = (int)(duro_hash_bytes(i->id.p, i->id.n) % DURO_PARTITIONS);
  row->name = duro__row_keep(b, i->name);
  row->version = duro__row_keep(b, i->version);
  row->status = i->status;
  row->created_at_ms = i->created_at_ms;
  row->updated_at_ms = duro__now(rt);
  row->execution_id = i->execution_id;
  row->execution_started_at_ms = i->execution_started_at_ms;
  row->parent_key = i->parent_key;
  row->parent_id = duro__row_keep(b, i->parent_id);
  row->parent_event_id = i->parent_event_id;
  row->parent_execution_id = i->parent_execution_id;
  row->depth = i->depth;
  row->waiting_on = DURO_STR("[]");
  row->attributes = duro__row_keep(b, i->attributes_json);
  row->wake_at_ms = i->status == DURO_STATUS_PENDING ? i->due_ms : 0;
  if (!result) return;
  row->wake_at_ms = duro__exec_wake_at_ms(i->exec);
  row->custom_status = duro__row_keep(b, duro__exec_custom_status(i->exec));
  row->custom_status_version = duro__exec_custom_status_version(i->exec);
  if (result->attributes_changed)
    row->attributes = duro__row_keep(b, duro__exec_attributes(i->exec));
  if (!duro_status_final(i->status)) return;
  row->wake_at_ms = DURO_NEVER;
  row->completed_at_ms = row->updated_at_ms;
  row->output = duro__row_keep(b, result->output);
  row->error = duro__row_keep(b, result->error);
  row->reason = duro__row_keep(b, result->reason);
}

void duro__row_update(duro_runtime *rt, duro__batch *b, duro__instance *i, unsigned set,
                      const duro__turn_result *result) {
  duro_instance_update *u = duro__vec_push(&b->updates);
  if (!u) {
    b->poisoned = true;
    return;
  }
  u->set = set;
  u->row.key = i->key;
  u->row.updated_at_ms = duro__now(rt);
  u->row.status = i->status;
  if (set & DURO_SET_STATUS) {
    duro__count_row(rt, i->name, i->row_status, i->status);
    i->row_status = i->status;
    if (duro_status_final(i->status)) u->row.completed_at_ms = u->row.updated_at_ms;
    u->row.output = duro__row_keep(b, result->output);
    u->row.error = duro__row_keep(b, result->error);
    u->row.reason = duro__row_keep(b, result->reason);
  }
  if (set & DURO_SET_EXECUTION) {
    u->row.execution_id = i->execution_id;
    u->row.execution_started_at_ms = i->execution_started_at_ms;
    u->row.version = duro__row_keep(b, i->version);
    u->row.vm = i->vm;
  }
  if (set & DURO_SET_CUSTOM_STATUS) {
    u->row.custom_status = duro__row_keep(b, duro__exec_custom_status(i->exec));
    u->row.custom_status_version = duro__exec_custom_status_version(i->exec);
  }
  if (set & DURO_SET_ATTRIBUTES)
    u->row.attributes = duro__row_keep(b, duro__exec_attributes(i->exec));
}

// Code that has not ended and has no task open waits for a condition of its own (ctx:wait_until).
static duro_str waiting_on(duro_runtime *rt, duro__batch *b, const duro__instance *i,
                           duro_status status) {
  duro_buf_clear(&rt->scratch);
  duro__exec_waiting_on(i->exec, &rt->scratch);
  bool nothing = duro_str_equal(duro_buf_str(&rt->scratch), DURO_STR("[]"));
  if (nothing && status == DURO_STATUS_RUNNING) return DURO_STR("[\"condition\"]");
  return duro__row_keep(b, duro_buf_str(&rt->scratch));
}

void duro__row_journal(duro_runtime *rt, duro__batch *b, duro__instance *i,
                       const duro__turn_result *result, uint64_t started_ns) {
  duro_turn_row *row = duro__vec_push(&b->turns);
  if (!row) {
    b->poisoned = true;
    return;
  }
  row->seq = i->last_seq = rt->last_seq += duro_turn_seqs(result->event_count);
  row->instance_key = i->key;
  row->execution_id = i->execution_id;
  row->first_event_id = result->first_event_id;
  row->event_count = result->event_count;
  b->kinds |= result->kinds;
  row->status = result->status;
  row->at_ms = duro__exec_now_ms(i->exec);
  row->turn_us = (int64_t)((rt->tick_ns - started_ns) / 1000);
  row->events = duro__row_keep(b, result->events);
  bool over = duro_status_final(result->status);
  row->wake_at_ms = over ? DURO_NEVER : duro__exec_wake_at_ms(i->exec);
  row->waiting_on = over ? DURO_STR("[]") : waiting_on(rt, b, i, result->status);
}

// {"change":what,"error"?,"id"?,"name"?}, as the only element of an array (feed.h).
void duro__row_change(duro_runtime *rt, duro__batch *b, const duro__change *c) {
  duro_turn_row *row = duro__vec_push(&b->turns);
  duro_buf *text = &rt->scratch;
  if (!row) {
    b->poisoned = true;
    return;
  }
  duro_buf_clear(text);
  duro_buf_add_lit(text, "[{");
  duro__add_text_member(text, "change", duro_str_from(c->what));
  duro__add_json_member(text, "error", c->error);
  duro__add_text_member(text, "id", c->id);
  duro__add_text_member(text, "name", c->name);
  duro_buf_add_lit(text, "}]");
  if (text->oom) b->poisoned = true;
  b->kinds |= UINT64_C(1) << DURO_EVENT_NONE;
  row->seq = rt->last_seq += duro_turn_seqs(0);
  row->instance_key = c->key;
  row->execution_id = c->execution_id;
  row->status = c->status;
  row->at_ms = duro__now(rt);
  row->wake_at_ms = DURO_NEVER;
  row->waiting_on = DURO_STR("[]");
  row->events = duro__row_keep(b, duro_buf_str(text));
}

void duro__row_pending(duro_runtime *rt, duro__batch *b, const duro__instance *i) {
  duro__row_change(rt, b,
                   &(duro__change){.what = "pending",
                                   .key = i->key,
                                   .execution_id = i->execution_id,
                                   .status = DURO_STATUS_PENDING});
}

void duro__row_wake(duro_runtime *rt, duro__batch *b, duro__instance *i, int64_t wake_at_ms) {
  duro_instance_update *u = duro__vec_push(&b->updates);
  if (!u) {
    b->poisoned = true;
    return;
  }
  u->set = DURO_SET_WAKE;
  u->row.key = i->key;
  u->row.updated_at_ms = duro__now(rt);
  u->row.status = i->status;
  u->row.wake_at_ms = wake_at_ms;
}
