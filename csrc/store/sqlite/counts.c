// Counts: what instances that began since the last fold have done so far.
//
// A row's counts of events and turns are brought up to date by folding. But most instances have ended
// before that, and all their turns went through here: so the batch in which one ends writes its counts
// along with its status, and folding need not write the row a second time. `counted_seq` of the row says
// up to which row of the journal it counts.
// Invariant: an entry says what the journal has of its instance beyond counted_seq. What could make that
// untrue empties the map: a fold, a transaction that failed, a lease. An instance without an entry is counted
// by folding.
#include "base/map.h"
#include "store/sqlite/internal.h"

typedef struct uncounted {
  int64_t turns, turn_us;
  int64_t execution_id, event_count; // of the execution of the last turn
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
  if (turn->event_count == 0) return;
  entry->turns++;
  entry->execution_id = turn->execution_id;
  entry->event_count = turn->first_event_id + turn->event_count - 1;
}

// The turns of a batch come before its updates, so a later execution's may be there already.
void duro__sqlite_counts_execution(duro_store *s, int64_t key, int64_t execution_id) {
  uncounted *entry = s->uncounted.count ? duro_map_get_int(&s->uncounted, key) : NULL;
  if (!entry || entry->execution_id >= execution_id) return;
  entry->execution_id = execution_id;
  entry->event_count = 0;
}

bool duro__sqlite_counts_take(duro_store *s, int64_t key, duro_instance_row *out) {
  uncounted *entry = s->uncounted.count ? duro_map_get_int(&s->uncounted, key) : NULL;
  if (!entry || !entry->turns) return false;
  out->event_count = entry->event_count;
  out->turns = entry->turns;
  out->turn_us_total = entry->turn_us;
  entry->turns = entry->turn_us = 0;
  return true;
}

void duro__sqlite_counts_forget(duro_store *s) {
  duro_map_free(&s->uncounted);
  s->uncounted = (duro_map){0};
  duro_arena_reset(&s->uncounted_entries);
  s->uncounted_entries.oom = false;
}
