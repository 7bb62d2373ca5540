// The change feed: journal rows as late readers see them, and what of them is kept.
//
// Folded rows stay until they leave the feed's retention, by time or by bytes; prefixes only are
// deleted. Both grow with seq, at_ms because a file's time never goes back and begin_bytes because
// it is a running sum, so the first row to keep is found by bisection without reading what lies
// between.
#include "store/sqlite/internal.h"

// The first row from `seq` on: its seq, at_ms and begin_bytes.
static duro_code read_turn_from(duro__sqlite_conn *c, int64_t seq, int64_t found[3], bool *exists,
                                duro_error **err) {
  statement st = use(c, Q_read_turn_from);
  put_int(&st, seq);
  return duro__sqlite_take_ints(&st, found, 3, exists, err);
}

// The first seq above `first` that stays, looking no further than `end`.
static duro_code find_first_kept(duro__sqlite_conn *c, int64_t first, int64_t end,
                                 int64_t oldest_ms, int64_t oldest_bytes, int64_t *out,
                                 duro_error **err) {
  int64_t low = first, high = end; // what is below `low` goes, what is from `high` on stays
  while (low < high) {
    int64_t turn[3], middle = low + (high - low) / 2;
    bool exists;
    duro_code code = read_turn_from(c, middle, turn, &exists, err);
    if (code != DURO_OK) return code;
    if (exists && turn[0] < high && (turn[1] < oldest_ms || turn[2] < oldest_bytes)) {
      low = turn[0] + 1;
    } else {
      high = middle;
    }
  }
  *out = low;
  return DURO_OK;
}

duro_code duro__sqlite_trim_feed(duro_store *s, duro__sqlite_conn *c, int64_t now_ms,
                                 int64_t folded_seq, int64_t journal_bytes, size_t max_seqs,
                                 duro_error **err) {
  // No limit (0) is one that nothing reaches.
  int64_t oldest_ms = s->feed_retention_ms > 0 ? now_ms - s->feed_retention_ms : INT64_MIN;
  int64_t oldest_bytes = s->feed_max_bytes > 0 ? journal_bytes - s->feed_max_bytes : INT64_MIN;
  int64_t turn[3], kept;
  bool exists;
  duro_code code = read_turn_from(c, 0, turn, &exists, err);
  if (code != DURO_OK || !exists || turn[0] > folded_seq) return code;
  int64_t first = turn[0], end = folded_seq + 1;
  if ((uint64_t)(end - first) > max_seqs) end = first + (int64_t)max_seqs;
  code = find_first_kept(c, first, end, oldest_ms, oldest_bytes, &kept, err);
  if (code != DURO_OK || kept == first) return code;
  statement st = use(c, Q_delete_turns_before);
  put_int(&st, kept);
  code = duro__sqlite_run(&st, err);
  if (code != DURO_OK) return code;
  st = use(c, Q_update_trimmed);
  put_int(&st, kept - 1); // the last one that went: find_first_kept ends right behind it
  return duro__sqlite_run(&st, err);
}

static duro_code take_change(statement *st, duro_arena *arena, duro_change *change,
                             duro_error **err) {
  change->seq = take_int(st);
  change->instance_key = take_int(st);
  change->execution_id = take_int(st);
  change->first_event_id = take_int(st);
  change->event_count = take_int(st);
  duro_code code = duro__sqlite_take_status(st, &change->status, err);
  change->at_ms = take_int(st);
  change->instance_id = take_text(st, arena);
  change->name = take_text(st, arena);
  change->events = take_text(st, arena);
  return code == DURO_OK && arena->oom ? duro_fail_oom(err) : code;
}

static duro_code read_changes(duro__sqlite_conn *c, int64_t since_seq, size_t limit,
                              duro_arena *arena, duro_changes *out, duro_error **err) {
  statement st = use(c, Q_read_oldest_seq);
  duro_code code = duro__sqlite_take_ints(&st, &out->oldest_seq, 1, NULL, err);
  if (code != DURO_OK) return code;
  if (since_seq < out->oldest_seq - 1) {
    return duro_fail(err, DURO_EXPIRED, "changes after %lld are not kept any more, only after %lld",
                     (long long)since_seq, (long long)out->oldest_seq - 1);
  }
  st = use(c, Q_read_changes);
  put_int(&st, since_seq);
  put_int(&st, limit < INT32_MAX ? (int64_t)limit : INT32_MAX);
  size_t capacity = 0, bytes = 0;
  bool row;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_change *items = duro__sqlite_grow(arena, out->items, out->count, &capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) out->items = items;
    if (items) code = take_change(&st, arena, &items[out->count++], err);
    if (code == DURO_OK) bytes += items[out->count - 1].events.n;
    if (code != DURO_OK || bytes > FEED_PAGE_BYTES) {
      finish(&st);
      return code;
    }
  }
  return code;
}

duro_code duro__sqlite_changes(duro_store *s, int64_t since_seq, size_t limit, duro_arena *arena,
                               duro_changes *out, duro_error **err) {
  *out = (duro_changes){0};
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "changes", true, &c, err);
  if (code != DURO_OK) return code;
  code = read_changes(c, since_seq, limit, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}
