// shown.c: see shown.h.
//
// Invariant: shown_at_ms and shown_waiting of a live instance are of its newest committed turn; a turn
// whose batch is still under way is not seen. To let a row show more of that kind: a member of
// duro__instance, set in duro__shown_update and used in duro__row_overlay.
#include "runtime/shown.h"

bool duro__id_visible(const duro_request *r, duro_str id) {
  if (!r->viewer) return true;
  const duro_options *o = &r->rt->options;
  return o->may_see && !r->abandoned && o->may_see(o->may_see_user, r->viewer, id);
}

bool duro__row_visible(const duro_request *r, const duro_instance_row *row) {
  return duro__id_visible(r, row->id);
}

bool duro__rows_hidden(const duro_request *r) { return r->viewer != 0; }

void duro__shown_update(duro_runtime *rt, const duro__batch *b) {
  for (size_t k = 0; k < b->turns.count; k++) {
    const duro_turn_row *turn = &b->turns.items[k];
    duro__instance *i = turn->event_count ? duro__live_by_key(rt, turn->instance_key) : NULL;
    if (!i) continue; // no turn, or nobody's any more
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
