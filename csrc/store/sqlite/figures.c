// Figures: counters and their per-minute rollups, totals, and what the owner says about itself.
//
// Counts are kept as running totals, so that none of them ever scans instances; those of the newest
// batches wait in the chain (chain.c) before they come here. Rollups and answers that nobody fetched
// grow without end if nobody removes them: folding does it here.
#include "store/sqlite/internal.h"

duro_code duro__sqlite_add_counters(duro__sqlite_conn *c, const duro_counter *counters,
                                    size_t count, duro_error **err) {
  for (size_t i = 0; i < count; i++) {
    const duro_counter *counter = &counters[i];
    duro_str name = counter->name.p ? counter->name : DURO_STR("");
    statement st = use(c, Q_add_to_counter);
    put_text(&st, name);
    put_text(&st, counter->metric);
    put_int(&st, counter->delta);
    duro_code code = duro__sqlite_run(&st, err);
    if (code != DURO_OK) return code;
    if (counter->minute_ms == 0) continue;
    st = use(c, Q_add_to_rollup);
    put_int(&st, counter->minute_ms);
    put_text(&st, name);
    put_text(&st, counter->metric);
    put_int(&st, counter->delta);
    code = duro__sqlite_run(&st, err);
    if (code != DURO_OK) return code;
  }
  return DURO_OK;
}

duro_code duro__sqlite_trim_figures(duro_store *s, duro__sqlite_conn *c, int64_t now_ms,
                                    duro_error **err) {
  statement st = use(c, Q_delete_old_answers);
  put_int(&st, now_ms - ANSWER_KEEP_MS);
  duro_code code = duro__sqlite_run(&st, err);
  if (code != DURO_OK || s->rollup_retention_ms <= 0) return code;
  st = use(c, Q_delete_old_rollups);
  put_int(&st, now_ms - s->rollup_retention_ms);
  return duro__sqlite_run(&st, err);
}

static bool is_of_one(const duro_counter *a, const duro_counter *b) {
  return a->minute_ms == b->minute_ms && duro_str_equal(a->name, b->name) &&
         duro_str_equal(a->metric, b->metric);
}

// Rows that belong together follow one another, and become one.
static duro_code read_counters(statement *st, duro_arena *arena, duro_counters *out,
                               duro_error **err) {
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(st, &row, err)) == DURO_OK && row) {
    duro_counter found = {.minute_ms = take_int(st)};
    found.name = take_slice(st);
    found.metric = take_slice(st);
    found.delta = take_int(st);
    if (out->count && is_of_one(&out->items[out->count - 1], &found)) {
      out->items[out->count - 1].delta += found.delta;
      continue;
    }
    duro_counter *items =
        duro__sqlite_grow(arena, out->items, out->count, &capacity, sizeof *items);
    if (items) {
      out->items = items;
      found.name = duro_arena_dup(arena, found.name);
      found.metric = duro_arena_dup(arena, found.metric);
      items[out->count++] = found;
    }
    if (arena->oom) {
      finish(st);
      return duro_fail_oom(err);
    }
  }
  return code;
}

// From the first minute on (inclusive) up to `to_ms` (exclusive). All of time is the lifetime
// totals, which outlive the rollups.
duro_code duro__sqlite_counters(duro_store *s, int64_t from_ms, int64_t to_ms, bool by_minute,
                                duro_arena *arena, duro_counters *out, duro_error **err) {
  *out = (duro_counters){0};
  bool lifetime = !by_minute && from_ms <= 0 && to_ms == DURO_NEVER;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "counters", false, &c, err);
  if (code != DURO_OK) return code;
  statement st = use(c, lifetime ? Q_read_counters : by_minute ? Q_read_rollups : Q_sum_rollups);
  if (!lifetime) put_int(&st, from_ms);
  if (!lifetime) put_int(&st, to_ms);
  code = read_counters(&st, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}

duro_code duro__sqlite_stats(duro_store *s, duro_store_stats *out, duro_error **err) {
  *out = (duro_store_stats){0};
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "stats", false, &c, err);
  if (code != DURO_OK) return code;
  int64_t found[4];
  statement st = use(c, Q_read_stats);
  code = duro__sqlite_take_ints(&st, found, 4, NULL, err);
  if (code == DURO_OK) *out = (duro_store_stats){found[0], found[1], found[2], found[3]};
  duro__sqlite_read_end(s, c);
  return code;
}

// --- What the owner says about itself ---

duro_code duro__sqlite_write_figures(duro__sqlite_conn *c, duro_str json, duro_error **err) {
  statement st = use(c, Q_write_meta);
  put_text(&st, DURO_STR("owner_figures"));
  put_text(&st, json);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_note(duro_store *s, int64_t epoch, duro_str owner_figures,
                            duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "note", &c, err);
  if (code != DURO_OK) return code;
  code = duro__sqlite_check_epoch(s, c, epoch, err);
  if (code == DURO_OK && owner_figures.p) code = duro__sqlite_write_figures(c, owner_figures, err);
  return duro__sqlite_write_end(s, c, code, err);
}

duro_code duro__sqlite_owner_figures(duro_store *s, duro_arena *arena, duro_str *json,
                                     duro_error **err) {
  *json = DURO_NONE;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "owner_figures", false, &c, err);
  if (code != DURO_OK) return code;
  statement st = use(c, Q_read_meta);
  put_text(&st, DURO_STR("owner_figures"));
  bool row;
  code = duro__sqlite_step(&st, &row, err);
  if (row) {
    *json = take_text(&st, arena);
    finish(&st);
    if (arena->oom) code = duro_fail_oom(err);
  }
  duro__sqlite_read_end(s, c);
  return code;
}
