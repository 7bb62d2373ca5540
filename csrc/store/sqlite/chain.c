// The chain of batches: what the newest batch left for the next one to go on from, namely its marks, and
// the counts that are not in their tables yet.
//
// A commit costs by the pages it writes, and a step's own is one row of the journal. So the last row of a
// batch carries its marks and the unsettled counts as its `trailer`, and the row of settled_marks and the
// tables of counters are written by folding, by batches without a turn, and when the counts become long.
// The newer one of settled_marks and the trailer of the newest row is right, which the view `marks` says
// in SQL. A batch without a turn settles everything, since its marks would make the trailer the older one.
// Invariant: `known` is true only within a transaction before which this connection was the last to write
// to the file, and the last thing it wrote was a batch; then nothing needs to be read, not even the lease.
// To add a mark: a member of duro__sqlite_chain, load_marks, add_trailer, settle_marks, and the view.
#include "base/json.h"
#include "store/sqlite/internal.h"

// --- Reading ---

static duro_code load_marks(duro_store *s, duro__sqlite_conn *c, int64_t *epoch, duro_error **err) {
  int64_t found[12];
  statement st = use(c, Q_read_chain);
  duro_code code = duro__sqlite_take_ints(&st, found, 12, NULL, err);
  if (code != DURO_OK) return code;
  duro__sqlite_chain *chain = &s->chain;
  *epoch = found[0];
  chain->batch = found[1];
  chain->seq = found[2];
  chain->key = found[3];
  chain->message_id = found[4];
  chain->job_id = found[5];
  chain->latest_ms = found[6];
  chain->journal_bytes = found[7];
  chain->instances = found[8];
  chain->history_events = found[9];
  chain->listed_to = found[10];
  chain->settled_key = found[11];
  return DURO_OK;
}

static void forget_counts(duro__sqlite_chain *chain) {
  duro_arena_reset(&chain->texts);
  chain->texts.oom = false;
  chain->counts = NULL;
  chain->count = chain->capacity = 0;
}

static duro_code load_counts(duro_store *s, duro__sqlite_conn *c, duro_error **err) {
  forget_counts(&s->chain);
  statement st = use(c, Q_read_unsettled_counts);
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_counter counter = {.minute_ms = take_int(&st)};
    counter.name = take_slice(&st);
    counter.metric = take_slice(&st);
    counter.delta = take_int(&st);
    code = duro__sqlite_chain_count(s, &counter, 1, err);
    if (code == DURO_OK) continue;
    finish(&st);
    return code;
  }
  return code;
}

duro_code duro__sqlite_chain_begin(duro_store *s, duro__sqlite_conn *c, int64_t epoch,
                                   duro_error **err) {
  duro__sqlite_chain *chain = &s->chain;
  if (chain->known && chain->epoch == epoch) return DURO_OK;
  int64_t found;
  duro_code code = load_marks(s, c, &found, err);
  if (code == DURO_OK && found != epoch) return duro__sqlite_lost(s, c, found, epoch, err);
  if (code == DURO_OK) code = load_counts(s, c, err);
  chain->epoch = epoch;
  chain->known = code == DURO_OK;
  return code;
}

// --- Counts ---

static duro_counter *find_count(const duro__sqlite_chain *chain, const duro_counter *wanted) {
  for (size_t i = 0; i < chain->count; i++) {
    duro_counter *counter = &chain->counts[i];
    if (counter->minute_ms == wanted->minute_ms &&
        duro_str_equal(counter->metric, wanted->metric) &&
        duro_str_equal(counter->name, wanted->name)) {
      return counter;
    }
  }
  return NULL;
}

// A batch of many names is settled anyway, so the search stays short.
duro_code duro__sqlite_chain_count(duro_store *s, const duro_counter *counters, size_t count,
                                   duro_error **err) {
  duro__sqlite_chain *chain = &s->chain;
  for (size_t i = 0; i < count; i++) {
    duro_counter *counter = find_count(chain, &counters[i]);
    if (counter) {
      counter->delta += counters[i].delta;
      continue;
    }
    duro_counter *items = duro__sqlite_grow(&chain->texts, chain->counts, chain->count,
                                            &chain->capacity, sizeof *items);
    if (!items) return duro_fail_oom(err);
    chain->counts = items;
    duro_str name = counters[i].name.p ? counters[i].name : DURO_STR("");
    items[chain->count++] =
        (duro_counter){.name = duro_arena_dup(&chain->texts, name),
                       .metric = duro_arena_dup(&chain->texts, counters[i].metric),
                       .minute_ms = counters[i].minute_ms,
                       .delta = counters[i].delta};
    if (chain->texts.oom) return duro_fail_oom(err);
  }
  return DURO_OK;
}

static duro_code settle_counts(duro_store *s, duro__sqlite_conn *c, duro_error **err) {
  duro_code code = duro__sqlite_add_counters(c, s->chain.counts, s->chain.count, err);
  if (code == DURO_OK) forget_counts(&s->chain);
  return code;
}

// --- Writing ---

static void add_mark(duro_buf *b, const char *name, int64_t value) {
  duro_buf_add_str(b, duro_str_from(name));
  duro_buf_add_int(b, value);
}

static void add_counts(duro_buf *b, const duro__sqlite_chain *chain) {
  const char *separator = "";
  for (size_t i = 0; i < chain->count; i++) {
    const duro_counter *counter = &chain->counts[i];
    if (!counter->delta) continue;
    duro_buf_add_str(b, duro_str_from(separator));
    duro_buf_add_char(b, '[');
    duro_json_add_string(b, counter->name);
    duro_buf_add_char(b, ',');
    duro_json_add_string(b, counter->metric);
    add_mark(b, ",", counter->minute_ms);
    add_mark(b, ",", counter->delta);
    duro_buf_add_char(b, ']');
    separator = ",";
  }
}

// What the row or settled_marks says, and marks that are 0, are left out: each step pays for these bytes.
static void add_trailer(duro_buf *b, const duro__sqlite_chain *chain, const duro_turn_row *row) {
  add_mark(b, "{\"batch\":", chain->batch);
  if (chain->seq != row->seq) add_mark(b, ",\"seq\":", chain->seq);
  if (chain->latest_ms != row->at_ms) add_mark(b, ",\"at\":", chain->latest_ms);
  if (chain->key != chain->settled_key) add_mark(b, ",\"key\":", chain->key);
  if (chain->message_id) add_mark(b, ",\"message\":", chain->message_id);
  if (chain->job_id) add_mark(b, ",\"job\":", chain->job_id);
  if (chain->instances) add_mark(b, ",\"instances\":", chain->instances);
  if (chain->history_events) add_mark(b, ",\"events\":", chain->history_events);
  if (chain->count) {
    duro_buf_add_lit(b, ",\"counts\":[");
    add_counts(b, chain);
    duro_buf_add_char(b, ']');
  }
  duro_buf_add_char(b, '}');
}

duro_code duro__sqlite_chain_trailer(duro_store *s, duro__sqlite_conn *c, const duro_turn_row *row,
                                     duro_str *out, duro_error **err) {
  duro_code code = DURO_OK;
  if (s->chain.count > MAX_UNSETTLED_COUNTS) code = settle_counts(s, c, err);
  if (code != DURO_OK) return code;
  duro_buf_clear(&s->trailer);
  add_trailer(&s->trailer, &s->chain, row);
  if (s->trailer.oom) {
    duro_buf_free(&s->trailer);
    s->trailer = (duro_buf){0};
    return duro_fail_oom(err);
  }
  *out = duro_buf_str(&s->trailer);
  return DURO_OK;
}

duro_code duro__sqlite_chain_settle(duro_store *s, duro__sqlite_conn *c, duro_error **err) {
  duro__sqlite_chain *chain = &s->chain;
  statement st = use(c, Q_settle_marks);
  put_int(&st, chain->batch);
  put_int(&st, chain->seq);
  put_int(&st, chain->key);
  put_int(&st, chain->message_id);
  put_int(&st, chain->job_id);
  put_int(&st, chain->latest_ms);
  put_int(&st, chain->journal_bytes);
  put_int(&st, chain->instances);
  put_int(&st, chain->history_events);
  duro_code code = duro__sqlite_run(&st, err);
  chain->settled_key = chain->key;
  chain->instances = chain->history_events = 0;
  return code == DURO_OK ? settle_counts(s, c, err) : code;
}

void duro__sqlite_chain_free(duro_store *s) {
  duro_arena_free(&s->chain.texts);
  duro_buf_free(&s->trailer);
}
