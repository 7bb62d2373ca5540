// What a store need not do itself: the optional reads, from `list` and `executions` alone.
//
// They walk all instances page by page, so they cost what is stored and not what is asked; a store with
// many instances has verbs of its own. What cannot be told from rows is left out: the counters here know
// the metrics of an instance's life ("started", its end, "duration_ms") and how many there are in each
// status, not those of its activities.
#include "store/store.h"

#include "base/map.h"

enum { PAGE = 500 };

// Calls `visit` with every instance that matches (NULL: all), newest first, until it fails.
typedef duro_code visit_instance(void *user, const duro_instance_row *row, duro_error **err);

static duro_code each_instance(const duro_store_ops *ops, duro_store *s, const duro_filter *filter,
                               visit_instance *visit, void *user, duro_error **err) {
  duro_arena page = {0};
  duro_list_query query = {.order_by = DURO_BY_CREATED, .limit = PAGE};
  if (filter) query.filter = *filter;
  duro_instance_rows rows;
  duro_code code;
  do {
    duro_arena_reset(&page);
    code = ops->list(s, &query, &page, &rows, err);
    for (size_t i = 0; !code && i < rows.count; i++) code = visit(user, &rows.items[i], err);
    if (!code && rows.count) query.after_key = rows.items[rows.count - 1].key;
  } while (!code && rows.count && rows.truncated);
  duro_arena_free(&page);
  return code;
}

// --- Count ---

static duro_code add_one(void *user, const duro_instance_row *row, duro_error **err) {
  (void)row;
  (void)err;
  ++*(int64_t *)user;
  return DURO_OK;
}

duro_code duro__default_count(const duro_store_ops *ops, duro_store *s, const duro_filter *filter,
                              int64_t most, int64_t *out, duro_error **err) {
  *out = 0;
  duro_code code = each_instance(ops, s, filter, add_one, out, err);
  if (*out > most) *out = most;
  return code;
}

// --- Counters ---

typedef struct counting {
  duro_map by_key; // minute, metric and name in one text -> duro_counter in the arena
  duro_arena *arena;
  int64_t from_ms, to_ms;
  bool by_minute;
  duro_buf key;
} counting;

static duro_code count_one(counting *c, duro_str name, duro_str metric, int64_t at_ms,
                           int64_t delta, duro_error **err) {
  int64_t minute_ms = at_ms - at_ms % 60000;
  if (minute_ms < c->from_ms || minute_ms >= c->to_ms) return DURO_OK;
  if (!c->by_minute) minute_ms = 0;
  duro_buf_clear(&c->key);
  duro_buf_add_int(&c->key, minute_ms);
  duro_buf_add_char(&c->key, ' ');
  duro_buf_add_str(&c->key, metric);
  duro_buf_add_char(&c->key, ' ');
  duro_buf_add_str(&c->key, name);
  if (c->key.oom) return duro_fail_oom(err);
  duro_counter *counter = duro_map_get(&c->by_key, duro_buf_str(&c->key));
  if (!counter) {
    counter = duro_arena_alloc(c->arena, sizeof *counter);
    duro_str key = duro_arena_dup(c->arena, duro_buf_str(&c->key));
    duro_str own_name = duro_arena_dup(c->arena, name);
    if (c->arena->oom || !duro_map_put(&c->by_key, key, counter)) return duro_fail_oom(err);
    *counter = (duro_counter){.name = own_name, .metric = metric, .minute_ms = minute_ms};
  }
  counter->delta += delta;
  return DURO_OK;
}

// How many there are in each status: of now, so only with the totals over all time. A row that no owner
// has taken up yet (DURO_VM_ANY) will be counted then.
static duro_code count_level(counting *c, const duro_instance_row *row, duro_error **err) {
  static const duro_str words[] = {
#define X(name, string, final) [DURO_STATUS_##name] = DURO_STR("in_" string),
      DURO_STATUSES(X)
#undef X
  };
  if (c->by_minute || c->from_ms > 0 || c->to_ms != INT64_MAX || !row->vm) return DURO_OK;
  return count_one(c, row->name, words[row->status], row->created_at_ms, 1, err);
}

static duro_code count_instance(void *user, const duro_instance_row *row, duro_error **err) {
  counting *c = user;
  duro_code code = count_level(c, row, err);
  if (code) return code;
  if (row->status != DURO_STATUS_PENDING) {
    code = count_one(c, row->name, DURO_STR("started"), row->created_at_ms, 1, err);
  }
  if (code || !duro_status_final(row->status)) return code;
  code = count_one(c, row->name, duro_str_from(duro_status_string(row->status)),
                   row->completed_at_ms, 1, err);
  if (code) return code;
  return count_one(c, row->name, DURO_STR("duration_ms"), row->completed_at_ms,
                   row->completed_at_ms - row->created_at_ms, err);
}

duro_code duro__default_counters(const duro_store_ops *ops, duro_store *s, int64_t from_ms,
                                 int64_t to_ms, bool by_minute, duro_arena *arena,
                                 duro_counters *out, duro_error **err) {
  counting c = {.arena = arena, .from_ms = from_ms, .to_ms = to_ms, .by_minute = by_minute};
  *out = (duro_counters){0};
  duro_code code = each_instance(ops, s, NULL, count_instance, &c, err);
  if (!code && c.by_key.count) {
    out->items = duro_arena_alloc(arena, c.by_key.count * sizeof *out->items);
    if (!out->items) code = duro_fail_oom(err);
    size_t at = 0;
    for (duro_map_slot *slot; !code && (slot = duro_map_each(&c.by_key, &at));) {
      out->items[out->count++] = *(duro_counter *)slot->value;
    }
  }
  duro_map_free(&c.by_key);
  duro_buf_free(&c.key);
  return code;
}

// --- Stats ---

typedef struct summing {
  const duro_store_ops *ops;
  duro_store *store;
  duro_arena scratch;
  duro_store_stats *out;
} summing;

static duro_code sum_instance(void *user, const duro_instance_row *row, duro_error **err) {
  summing *sum = user;
  sum->out->instances++;
  sum->out->history_events += row->event_count;
  if (row->execution_id <= 1) return DURO_OK;
  duro_execution_row *past;
  size_t count;
  duro_arena_reset(&sum->scratch);
  duro_code code = sum->ops->executions(sum->store, row->key, &sum->scratch, &past, &count, err);
  for (size_t i = 0; !code && i < count; i++) sum->out->history_events += past[i].event_count;
  return code;
}

duro_code duro__default_stats(const duro_store_ops *ops, duro_store *s, duro_store_stats *out,
                              duro_error **err) {
  summing sum = {.ops = ops, .store = s, .out = out};
  *out = (duro_store_stats){0};
  duro_code code = each_instance(ops, s, NULL, sum_instance, &sum, err);
  duro_arena_free(&sum.scratch);
  return code;
}
