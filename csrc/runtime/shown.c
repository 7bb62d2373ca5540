// shown.c: see shown.h.
//
// Invariant: shown_at_ms and shown_waiting of a live instance are of its newest committed turn; a turn
// whose batch is still under way is not seen. To let a row show more of that kind: a member of
// duro__instance, set in duro__shown_update and used in duro__row_overlay.
#include "runtime/shown.h"

bool duro__row_visible(const duro_request *r, const duro_instance_row *row) {
  (void)r;
  (void)row;
  return true;
}

bool duro__rows_hidden(const duro_request *r) {
  (void)r;
  return false;
}

duro_code duro__action_allowed(const duro_request *r, duro_str id, duro_error **err) {
  (void)r;
  (void)id;
  (void)err;
  return DURO_OK;
}

void duro__shown_update(duro_runtime *rt, const duro__batch *b) {
  for (size_t k = 0; k < b->turns.count; k++) {
    const duro_turn_row *turn = &b->turns.items[k];
    duro__instance *i = duro__live_by_key(rt, turn->instance_key);
    if (!i) continue;
    i->shown_at_ms = turn->at_ms;
    duro_buf_clear(&i->shown_waiting);
    duro_buf_add_str(&i->shown_waiting, turn->waiting_on);
  }
}

void duro__row_overlay(duro_runtime *rt, duro_instance_row *row) {
  const duro__instance *i = duro__live_by_key(rt, row->key);
  if (!i) return;
  if (i->shown_at_ms > row->updated_at_ms) row->updated_at_ms = i->shown_at_ms;
  if (i->shown_waiting.n) row->waiting_on = duro_buf_str(&i->shown_waiting);
}

bool duro__needs_projection(const duro_list_query *q) {
  const duro_filter *f = &q->filter;
  return f->waiting_on.p || f->updated_after || f->updated_before || q->order_by == DURO_BY_UPDATED;
}
