// Folding: the journal's rows become history by instance.
//
// In one transaction: the rows above the watermark are copied to memory, sorted by instance and
// execution, and each execution gets one history row, whose array is made by joining the turns'
// arrays without reading them; then the instances' projection is brought up to date, each index
// only where its column changes. An instance that began and ended since the last fold needs only its
// history (counts.c). Skipped are rows of deleted instances and of pruned executions. Last, what is new
// is listed (listed.c), and the front of the feed is trimmed.
// Invariant: after a fold, `history` holds exactly the events of journal rows up to folded_seq of
// what still exists. The watermark moves in the same transaction, so a crash folds again from the
// start.
#include "store/sqlite/internal.h"

#include <stdlib.h>

typedef duro__sqlite_fold_row fold_row;

// Rows of history to be written together. The text of each is a part of fold_text.
typedef struct history_row {
  int64_t key, execution_id, first_event_id, event_count;
  size_t text_at, text_n;
} history_row;

typedef struct history_rows {
  history_row items[ROWS_AT_ONCE];
  size_t count;
  int64_t events_added; // of the whole fold
} history_rows;

// --- Collecting ---

static fold_row *next_row(duro_store *s, size_t count) {
  if (count == s->fold_capacity) {
    size_t capacity = count ? count * 2 : 1024;
    fold_row *rows = realloc(s->fold_rows, capacity * sizeof *rows);
    if (!rows) return NULL;
    s->fold_rows = rows;
    s->fold_capacity = capacity;
  }
  return &s->fold_rows[count];
}

static void take_row(duro_store *s, statement *st, fold_row *r) {
  r->seq = take_int(st);
  r->key = take_int(st);
  r->execution_id = take_int(st);
  r->first_event_id = take_int(st);
  r->event_count = take_int(st);
  r->at_ms = take_int(st);
  r->turn_us = take_int(st);
  r->wake_at_ms = take_wake(st);
  duro_str waiting_on = take_slice(st);
  r->waiting_at = s->fold_bytes.n;
  r->waiting_n = waiting_on.n;
  duro_buf_add_str(&s->fold_bytes, waiting_on);
  duro_str events = take_slice(st);
  r->events_at = s->fold_bytes.n;
  r->events_n = events.n;
  duro_buf_add_str(&s->fold_bytes, events);
}

// Fewer than max_rows when their events would fill too much memory.
static duro_code collect(duro_store *s, duro__sqlite_conn *c, int64_t folded_seq, size_t max_rows,
                         size_t *count, duro_error **err) {
  duro_buf_clear(&s->fold_bytes);
  statement st = use(c, Q_read_turns_to_fold);
  put_int(&st, folded_seq);
  put_int(&st, (int64_t)max_rows);
  bool row;
  duro_code code;
  *count = 0;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    fold_row *r = next_row(s, *count);
    if (r) take_row(s, &st, r);
    if (!r || s->fold_bytes.oom) {
      finish(&st);
      return duro_fail_oom(err);
    }
    ++*count;
    if (s->fold_bytes.n < FOLD_MAX_BYTES) continue;
    finish(&st);
    break;
  }
  return code;
}

static int by_execution(const void *left, const void *right) {
  const fold_row *a = left, *b = right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  if (a->execution_id != b->execution_id) return a->execution_id < b->execution_id ? -1 : 1;
  return a->seq < b->seq ? -1 : 1;
}

// --- One execution ---

static duro_str events_of(const duro_store *s, const fold_row *r) {
  return (duro_str){s->fold_bytes.p + r->events_at, r->events_n};
}

// `[a]` and `[b,c]` are `[a,b,c]`. Appends to fold_text.
static duro_code join_events(duro_store *s, duro__sqlite_conn *c, const fold_row *rows,
                             size_t count, duro_error **err) {
  duro_buf *text = &s->fold_text;
  char separator = '[';
  for (size_t i = 0; i < count; i++) {
    if (rows[i].event_count == 0) continue;
    duro_str events = events_of(s, &rows[i]);
    if (events.n < 2 || events.p[0] != '[' || events.p[events.n - 1] != ']') {
      return duro_fail(err, DURO_CORRUPT,
                       "fold: the events of journal row %lld are no JSON array "
                       "(in '%s')",
                       (long long)rows[i].seq, c->path);
    }
    duro_buf_add_char(text, separator);
    duro_buf_add(text, events.p + 1, events.n - 2);
    separator = ',';
  }
  duro_buf_add_char(text, ']');
  return text->oom ? duro_fail_oom(err) : DURO_OK;
}

static duro_code write_history(duro_store *s, duro__sqlite_conn *c, history_rows *h,
                               duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < h->count && code == DURO_OK;) {
    size_t rows;
    statement st;
    code = duro__sqlite_use_rows(s, c, Q_insert_history, h->count - i, &rows, &st, err);
    if (code != DURO_OK) return code;
    for (size_t end = i + rows; i < end; i++) {
      const history_row *row = &h->items[i];
      put_int(&st, row->key);
      put_int(&st, row->execution_id);
      put_int(&st, row->first_event_id);
      put_int(&st, row->event_count);
      put_text(&st, (duro_str){s->fold_text.p + row->text_at, row->text_n});
    }
    code = duro__sqlite_run(&st, err);
  }
  h->count = 0;
  duro_buf_clear(&s->fold_text);
  return code;
}

// The turns of one execution, as a row of history; it is written with others.
static duro_code add_history(duro_store *s, duro__sqlite_conn *c, const fold_row *rows,
                             size_t count, history_rows *h, duro_error **err) {
  history_row row = {
      .key = rows[0].key, .execution_id = rows[0].execution_id, .text_at = s->fold_text.n};
  for (size_t i = 0; i < count; i++) {
    if (row.event_count == 0) row.first_event_id = rows[i].first_event_id;
    row.event_count += rows[i].event_count;
  }
  if (row.event_count == 0) return DURO_OK;
  duro_code code = join_events(s, c, rows, count, err);
  if (code != DURO_OK) return code;
  row.text_n = s->fold_text.n - row.text_at;
  h->items[h->count++] = row;
  h->events_added += row.event_count;
  return h->count == ROWS_AT_ONCE ? write_history(s, c, h, err) : DURO_OK;
}

// --- One instance ---

typedef struct projection {
  duro_status status;
  int64_t updated_at_ms, execution_id, event_count, wake_at_ms, wake_seq, counted_seq;
  duro_str waiting_on; // in the scratch arena
} projection;

static duro_code read_projection(duro_store *s, duro__sqlite_conn *c, int64_t key, projection *p,
                                 bool *found, duro_error **err) {
  statement st = use(c, Q_read_projection);
  put_int(&st, key);
  duro_code code = duro__sqlite_step(&st, found, err);
  if (code != DURO_OK || !*found) return code;
  code = duro__sqlite_take_status(&st, &p->status, err);
  p->updated_at_ms = take_int(&st);
  p->execution_id = take_int(&st);
  p->event_count = take_int(&st);
  p->wake_at_ms = take_wake(&st);
  p->wake_seq = take_int(&st);
  p->counted_seq = take_int(&st);
  p->waiting_on = take_text(&st, &s->scratch);
  finish(&st);
  return s->scratch.oom ? duro_fail_oom(err) : code;
}

// What the instance's row is to say after these turns, the last of which decides; rows without events
// are no turns. `set`: what changes.
static unsigned project(const duro_store *s, const projection *old, const fold_row *rows,
                        size_t count, duro_instance_row *new_row) {
  const fold_row *last = NULL;
  unsigned set = rows[count - 1].seq > old->counted_seq ? DURO__SET_COUNTS : 0;
  *new_row = (duro_instance_row){.key = rows[0].key, .event_count = old->event_count};
  for (size_t i = 0; i < count; i++) {
    bool counted = rows[i].seq <= old->counted_seq;
    if (!counted) new_row->turn_us_total += rows[i].turn_us;
    if (rows[i].event_count == 0) continue;
    last = &rows[i];
    if (!counted) new_row->turns++;
    if (rows[i].execution_id != old->execution_id) continue;
    int64_t events = rows[i].first_event_id + rows[i].event_count - 1;
    if (events > new_row->event_count) new_row->event_count = events;
  }
  new_row->updated_at_ms = rows[count - 1].at_ms;
  if (new_row->updated_at_ms > old->updated_at_ms) set |= DURO__SET_UPDATED;
  if (!last) return set;

  bool final = duro_status_final(old->status);
  new_row->wake_at_ms = final ? DURO_NEVER : last->wake_at_ms;
  bool newer = final || last->seq > old->wake_seq;
  if (newer && new_row->wake_at_ms != old->wake_at_ms) set |= DURO_SET_WAKE;

  new_row->waiting_on = (duro_str){s->fold_bytes.p + last->waiting_at, last->waiting_n};
  if (final || last->waiting_n == 0) new_row->waiting_on = DURO_STR("[]");
  if (!duro_str_equal(new_row->waiting_on, old->waiting_on)) set |= DURO__SET_WAITING;
  return set;
}

static duro_code fold_instance(duro_store *s, duro__sqlite_conn *c, const fold_row *rows,
                               size_t count, history_rows *h, duro_error **err) {
  if (rows[0].execution_id == rows[count - 1].execution_id &&
      duro__sqlite_counts_ended(s, rows[0].key, rows[0].execution_id)) {
    return add_history(s, c, rows, count, h, err);
  }
  projection old;
  bool found;
  duro_code code = read_projection(s, c, rows[0].key, &old, &found, err);
  if (code != DURO_OK || !found) return code;
  for (size_t i = 0; i < count && code == DURO_OK;) {
    size_t end = i + 1;
    while (end < count && rows[end].execution_id == rows[i].execution_id) end++;
    bool kept;
    code =
        duro__sqlite_still_kept(c, rows[i].key, rows[i].execution_id, old.execution_id, &kept, err);
    if (code == DURO_OK && kept) code = add_history(s, c, &rows[i], end - i, h, err);
    i = end;
  }
  if (code != DURO_OK) return code;

  duro_instance_row new_row;
  unsigned set = project(s, &old, rows, count, &new_row);
  if (set & DURO__SET_WAITING) {
    code = duro__sqlite_change_waits(s, c, DURO__INDEX_REMOVE, new_row.key, old.waiting_on, err);
    if (code == DURO_OK) {
      code = duro__sqlite_change_waits(s, c, DURO__INDEX_ADD, new_row.key, new_row.waiting_on, err);
    }
    if (code != DURO_OK) return code;
  }
  return duro__sqlite_update_instance(s, c, set, &new_row, rows[count - 1].seq, s->chain.listed_to,
                                      err);
}

// --- All ---

static duro_code fold_rows(duro_store *s, duro__sqlite_conn *c, size_t count, int64_t *folded_seq,
                           duro_error **err) {
  fold_row *rows = s->fold_rows;
  *folded_seq = rows[count - 1].seq; // they came in order of seq
  qsort(rows, count, sizeof *rows, by_execution);
  duro_code code = DURO_OK;
  history_rows h = {0};
  duro_buf_clear(&s->fold_text);
  for (size_t i = 0; i < count && code == DURO_OK;) {
    size_t end = i + 1;
    while (end < count && rows[end].key == rows[i].key) end++;
    duro_arena_reset(&s->scratch);
    code = fold_instance(s, c, &rows[i], end - i, &h, err);
    i = end;
  }
  if (code == DURO_OK) code = write_history(s, c, &h, err);
  if (code != DURO_OK) return code;
  statement st = use(c, Q_update_fold_marks);
  put_int(&st, *folded_seq);
  put_int(&st, h.events_added);
  return duro__sqlite_run(&st, err);
}

static void give_back(duro_buf *b) {
  if (b->cap > KEEP_BUFFER_BYTES || b->oom) {
    duro_buf_free(b);
    *b = (duro_buf){0};
  }
}

static duro_code fold(duro_store *s, duro__sqlite_conn *c, int64_t epoch, int64_t now_ms,
                      size_t max_rows, size_t *folded, int64_t *folded_seq, bool *no_tail,
                      duro_error **err) {
  duro_code code = duro__sqlite_chain_begin(s, c, epoch, err);
  if (code == DURO_OK) code = duro__sqlite_chain_settle(s, c, err);
  if (code != DURO_OK) return code;
  int64_t before;
  statement st = use(c, Q_read_folded_seq);
  code = duro__sqlite_take_ints(&st, &before, 1, NULL, err);
  if (code != DURO_OK) return code;
  *folded_seq = before;
  code = collect(s, c, *folded_seq, max_rows, folded, err);
  bool all = *folded < max_rows && s->fold_bytes.n < FOLD_MAX_BYTES;
  if (code == DURO_OK && *folded > 0) code = fold_rows(s, c, *folded, folded_seq, err);
  if (code == DURO_OK) code = duro__sqlite_list_new(c, s->chain.listed_to, -1, err);
  *no_tail = all || *folded_seq == s->chain.seq;
  if (code == DURO_OK) {
    size_t most = 2 * (max_rows + (size_t)(*folded_seq - before)); // seqs: faster than it grows
    code = duro__sqlite_trim_feed(s, c, now_ms, *folded_seq, s->chain.journal_bytes, most, err);
  }
  if (code == DURO_OK) code = duro__sqlite_trim_figures(s, c, now_ms, err);
  return code;
}

duro_code duro__sqlite_fold(duro_store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                            size_t *folded, duro_error **err) {
  *folded = 0;
  if (max_rows > INT32_MAX) max_rows = INT32_MAX;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "fold", &c, err);
  if (code != DURO_OK) return code;
  bool no_tail = false;
  int64_t folded_seq = 0;
  code = fold(s, c, epoch, now_ms, max_rows, folded, &folded_seq, &no_tail, err);
  duro__sqlite_counts_forget(s);
  s->unlisted = 0;
  give_back(&s->fold_bytes);
  give_back(&s->fold_text);
  code = duro__sqlite_write_end(s, c, code, err);
  if (code == DURO_OK) duro__sqlite_tail_folded(&s->tail, epoch, folded_seq, no_tail);
  if (code != DURO_OK) *folded = 0;
  return code;
}
