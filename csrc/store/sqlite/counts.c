// Counts: what instances that began since the last fold have done so far.
//
// A row's counts of events and turns are brought up to date by folding. But most instances have ended
// before that, and all their turns went through here: so the batch in which one ends writes its counts
// along with its status, and folding need neither read nor write its row. `counted_seq` of the row says
// up to which row of the journal it counts.
// Invariant: an entry says what the journal has of its instance beyond counted_seq; one that `ended` has
// nothing more there, and its row says what folding would say. What could make that untrue empties the
// map (a fold, a transaction that failed, a lease) or drops the entry (a deletion). An instance without an
// entry is looked at by folding.
#include "base/map.h"
#include "store/sqlite/internal.h"

typedef struct uncounted {
  int64_t turns, turn_us;
  int64_t execution_id, event_count; // of the execution of the last turn
  int64_t at_ms;                     // of the last row
  bool ended;
} uncounted;

// When memory is out folding counts.
void duro__sqlite_counts_begin(duro_store *s, int64_t key) {
  uncounted *entry = duro_arena_alloc(&s->uncounted_entries, sizeof *entry);
  if (!entry) return;
  *entry = (uncounted){0};
  duro_map_put_int(&s->uncounted, key, entry);
}

void duro__sqlite_counts_add(duro_store *s, const duro_turn_row *turn) {
  uncounted *entry =
      s->uncounted.count ? duro_map_get_int(&s->uncounted, turn->instance_key) : NULL;
  if (!entry) return;
  entry->turn_us += turn->turn_us;
  entry->at_ms = turn->at_ms;
  entry->ended = false;
  if (turn->event_count == 0) return;
  entry->turns++;
  entry->execution_id = turn->execution_id;
  entry->event_count = turn->first_event_id + turn->event_count - 1;
}

// The turns of a batch come before its updates, so a later execution's may be there already.
static void change_execution(uncounted *entry, int64_t execution_id) {
  if (entry->execution_id >= execution_id) return;
  entry->execution_id = execution_id;
  entry->event_count = 0;
}

unsigned duro__sqlite_counts_update(duro_store *s, unsigned set, duro_instance_row *row) {
  uncounted *entry = s->uncounted.count ? duro_map_get_int(&s->uncounted, row->key) : NULL;
  if (!entry) return set;
  entry->ended = false;
  if (set & DURO_SET_EXECUTION) change_execution(entry, row->execution_id);
  if (!(set & DURO_SET_STATUS) || !duro_status_final(row->status) || !entry->turns) return set;
  row->event_count = entry->event_count;
  row->turns = entry->turns;
  row->turn_us_total = entry->turn_us;
  row->wake_at_ms = DURO_NEVER;
  entry->turns = entry->turn_us = 0;
  entry->ended = row->updated_at_ms >= entry->at_ms;
  return set | DURO__SET_COUNTS | DURO_SET_WAKE;
}

bool duro__sqlite_counts_ended(const duro_store *s, int64_t key, int64_t execution_id) {
  const uncounted *entry = s->uncounted.count ? duro_map_get_int(&s->uncounted, key) : NULL;
  return entry && entry->ended && entry->execution_id == execution_id;
}

void duro__sqlite_counts_drop(duro_store *s, int64_t key) {
  if (s->uncounted.count) duro_map_remove_int(&s->uncounted, key);
}

void duro__sqlite_counts_forget(duro_store *s) {
  duro_map_free(&s->uncounted);
  s->uncounted = (duro_map){0};
  duro_arena_reset(&s->uncounted_entries);
  s->uncounted_entries.oom = false;
}
