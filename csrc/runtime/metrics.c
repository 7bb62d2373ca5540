// metrics.c: what happened, and how many there are, by orchestration name: kept as differences until the
// next batch carries them, so that counts, rates and time series never scan instances.
//
// Invariant: a difference is in `pending` or in a batch, never in both; `total` is what is durable, so it
// equals the counters in the file, and whoever asks the owner needs no read. What has happened is never
// taken back (a failure that is retried is counted as retried too), so these only grow. A row that another
// process has posted is counted when it is adopted (its `vm` tells: DURO_VM_ANY until then).
// To add a metric: one member of duro__metric and its word here.
#include "runtime/metrics.h"

#include <stdlib.h>

#include "runtime/shown.h"

#define MINUTE_MS 60000

static const duro_str words[DURO__METRIC_COUNT] = {
    [DURO__STARTED] = DURO_STR("started"),
    [DURO__COMPLETED] = DURO_STR("completed"),
    [DURO__FAILED] = DURO_STR("failed"),
    [DURO__CANCELLED] = DURO_STR("cancelled"),
    [DURO__TERMINATED] = DURO_STR("terminated"),
    [DURO__DURATION_MS] = DURO_STR("duration_ms"),
    [DURO__ACTIVITIES_COMPLETED] = DURO_STR("activities"),
    [DURO__ACTIVITIES_FAILED] = DURO_STR("activities_failed"),
    [DURO__TIMERS_FIRED] = DURO_STR("timers"),
    [DURO__EVENTS_RAISED] = DURO_STR("events"),
    [DURO__RETRIED] = DURO_STR("retried"),
    [DURO__TIMERS_OPEN] = DURO_STR("timers_open"),
    [DURO__IN_STATUS + DURO_STATUS_PENDING] = DURO_STR("in_pending"),
    [DURO__IN_STATUS + DURO_STATUS_RUNNING] = DURO_STR("in_running"),
    [DURO__IN_STATUS + DURO_STATUS_SUSPENDED] = DURO_STR("in_suspended"),
    [DURO__IN_STATUS + DURO_STATUS_STALLED] = DURO_STR("in_stalled"),
    [DURO__IN_STATUS + DURO_STATUS_COMPLETED] = DURO_STR("in_completed"),
    [DURO__IN_STATUS + DURO_STATUS_FAILED] = DURO_STR("in_failed"),
    [DURO__IN_STATUS + DURO_STATUS_CANCELLED] = DURO_STR("in_cancelled"),
    [DURO__IN_STATUS + DURO_STATUS_TERMINATED] = DURO_STR("in_terminated"),
};

bool duro__metric_from(duro_str word, duro__metric *out) {
  for (int metric = 0; metric < DURO__METRIC_COUNT; metric++) {
    if (!duro_str_equal(words[metric], word)) continue;
    *out = (duro__metric)metric;
    return true;
  }
  return false;
}

static bool is_level(duro__metric metric) { return metric >= DURO__TIMERS_OPEN; }

// --- Counting ---

static duro__name_counts *counts_new(duro_runtime *rt, duro_str name) {
  duro__name_counts *counts = calloc(1, sizeof *counts);
  if (!counts) return NULL;
  counts->name = duro_str_dup(name);
  if (counts->name && duro_map_put(&rt->counts, duro_str_from(counts->name), counts)) return counts;
  free(counts->name);
  free(counts);
  return NULL;
}

static duro__name_counts *counts_of(duro_runtime *rt, duro_str name) {
  duro__name_counts *counts = rt->last_counts;
  if (counts && duro_str_equal(duro_str_from(counts->name), name)) return counts;
  counts = duro_map_get(&rt->counts, name);
  if (!counts) counts = counts_new(rt, name);
  rt->last_counts = counts;
  return counts;
}

// Out of memory loses a count, never an instance. Levels are kept also when metrics are switched off:
// lists and groups need them.
void duro__count(duro_runtime *rt, duro_str name, duro__metric metric, int64_t delta) {
  if (!delta || (!rt->options.enable_metrics && !is_level(metric))) return;
  duro__name_counts *counts = counts_of(rt, name);
  if (!counts) return;
  if (!counts->dirty) {
    duro__name_counts **slot = duro__vec_push(&rt->dirty_counts);
    if (!slot) return;
    *slot = counts;
    counts->dirty = true;
  }
  counts->pending[metric] += delta;
}

void duro__count_row(duro_runtime *rt, duro_str name, int from, int to) {
  if (from == to) return;
  bool begins = from < 0 || from == DURO_STATUS_PENDING;
  if (begins && to >= 0 && to != DURO_STATUS_PENDING) duro__count(rt, name, DURO__STARTED, 1);
  if (from >= 0) duro__count(rt, name, (duro__metric)(DURO__IN_STATUS + from), -1);
  if (to >= 0) duro__count(rt, name, (duro__metric)(DURO__IN_STATUS + to), 1);
}

// --- Deleting ---

// The timers of one that is not in memory, or stands there without its state.
static int64_t timers_in_history(duro_runtime *rt, const duro_instance_row *row) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_events events = {0};
  duro__exec_config config = {0};
  int64_t count = 0;
  duro__exec *x = duro__exec_new(&config, row->id, row->execution_id);
  duro_code code =
      x ? duro__store_history(rt->store, row->key, 0, &arena, &texts, NULL) : DURO_OUT_OF_MEMORY;
  if (!code) code = duro_events_decode(texts.items, texts.count, &arena, &events, NULL);
  if (!code && events.count) code = duro__exec_scan(x, &events, NULL);
  if (!code) count = duro__exec_open_count(x, DURO__OPEN_TIMER);
  if (x) duro__exec_free(x);
  duro_arena_free(&arena);
  return count;
}

void duro__count_deleted(duro_runtime *rt, const duro_instance_row *row) {
  const duro__instance *i = duro__live_by_key(rt, row->key);
  int status = i ? i->row_status : row->vm == DURO_VM_ANY ? -1 : (int)row->status;
  duro__count_row(rt, row->name, status, -1);
  if (status < 0 || duro_status_final((duro_status)status)) return;
  int64_t timers =
      i && i->exec ? duro__exec_open_count(i->exec, DURO__OPEN_TIMER) : timers_in_history(rt, row);
  duro__count(rt, row->name, DURO__TIMERS_OPEN, -timers);
}

// --- Into batches, and out of them ---

// The row borrows the name: it lives as long as the runtime.
void duro__counts_to_batch(duro_runtime *rt, duro__batch *b) {
  if (!rt->dirty_counts.count) return;
  int64_t now_ms = duro__now(rt), minute_ms = now_ms - now_ms % MINUTE_MS;
  for (size_t i = 0; i < rt->dirty_counts.count; i++) {
    duro__name_counts *counts = rt->dirty_counts.items[i];
    for (int metric = 0; metric < DURO__METRIC_COUNT; metric++) {
      if (!counts->pending[metric]) continue;
      duro_counter *row = duro__vec_push(&b->counters);
      if (!row) return; // the rest stays dirty
      row->name = duro_str_from(counts->name);
      row->metric = words[metric];
      row->minute_ms = is_level((duro__metric)metric) ? 0 : minute_ms;
      row->delta = counts->pending[metric];
      counts->pending[metric] = 0;
    }
    counts->dirty = false;
  }
  rt->dirty_counts.count = 0;
}

static void add_total(duro_runtime *rt, const duro_counter *row) {
  duro__metric metric;
  if (!duro__metric_from(row->metric, &metric)) return; // of a newer version
  duro__name_counts *counts = counts_of(rt, row->name);
  if (counts) counts->total[metric] += row->delta;
}

void duro__counts_durable(duro_runtime *rt, const duro__batch *b) {
  for (size_t i = 0; i < b->counters.count; i++) add_total(rt, &b->counters.items[i]);
}

duro_code duro__counts_load(duro_runtime *rt, duro_error **err) {
  duro_arena arena = {0};
  duro_counters counters = {0};
  duro__counts_free(rt);
  duro_code code = duro__store_counters(rt->store, 0, DURO_NEVER, false, &arena, &counters, err);
  for (size_t i = 0; !code && i < counters.count; i++) add_total(rt, &counters.items[i]);
  duro_arena_free(&arena);
  return code;
}

void duro__counts_free(duro_runtime *rt) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->counts, &at));) {
    duro__name_counts *counts = s->value;
    free(counts->name);
    free(counts);
  }
  duro_map_free(&rt->counts);
  memset(&rt->counts, 0, sizeof rt->counts);
  free(rt->dirty_counts.items);
  memset(&rt->dirty_counts, 0, sizeof rt->dirty_counts);
  rt->last_counts = NULL;
}

// --- Reading ---

static bool add_tally(duro__tallies *t, duro_str name, duro_arena *arena, size_t *capacity) {
  if (t->count && duro_str_equal(t->items[t->count - 1].name, name)) return true;
  if (t->count == *capacity) {
    size_t more = *capacity ? *capacity * 2 : 16;
    duro__tally *items = duro_arena_alloc(arena, more * sizeof *items);
    if (!items) return false;
    if (t->count) memcpy(items, t->items, t->count * sizeof *items);
    t->items = items;
    *capacity = more;
  }
  t->items[t->count++] = (duro__tally){.name = name};
  return true;
}

static int by_name(const void *left, const void *right) {
  return duro_str_compare(((const duro__tally *)left)->name, ((const duro__tally *)right)->name);
}

static bool from_memory(const duro_runtime *rt, duro_arena *arena, duro__tallies *out) {
  size_t at = 0, capacity = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->counts, &at));) {
    const duro__name_counts *counts = s->value;
    if (!add_tally(out, duro_arena_dup(arena, duro_str_from(counts->name)), arena, &capacity))
      break;
    memcpy(out->items[out->count - 1].values, counts->total, sizeof counts->total);
  }
  if (out->count) qsort(out->items, out->count, sizeof *out->items, by_name);
  return !arena->oom;
}

static int by_counter_name(const void *left, const void *right) {
  return duro_str_compare(((const duro_counter *)left)->name, ((const duro_counter *)right)->name);
}

static duro_code from_store(duro_runtime *rt, duro_arena *arena, duro__tallies *out,
                            duro_error **err) {
  duro_counters counters = {0};
  size_t capacity = 0;
  duro_code code = duro__store_counters(rt->store, 0, DURO_NEVER, false, arena, &counters, err);
  if (code) return code;
  if (counters.count)
    qsort(counters.items, counters.count, sizeof *counters.items, by_counter_name);
  for (size_t i = 0; i < counters.count; i++) {
    const duro_counter *c = &counters.items[i];
    duro__metric metric;
    if (!duro__metric_from(c->metric, &metric)) continue;
    if (!add_tally(out, c->name, arena, &capacity)) break;
    out->items[out->count - 1].values[metric] += c->delta;
  }
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

bool duro__counters_tell(duro_runtime *rt, const duro_request *r) {
  if (duro__rows_hidden(r)) return false;
  if (rt->role == DURO_ROLE_RUNTIME) return true;
  return duro__store_has(rt->store, DURO__VERB_counters) && duro__owner_lives(rt);
}

duro_code duro__tallies_read(duro_runtime *rt, duro_arena *arena, duro__tallies *out,
                             duro_error **err) {
  *out = (duro__tallies){0};
  if (rt->role != DURO_ROLE_RUNTIME) return from_store(rt, arena, out, err);
  return from_memory(rt, arena, out) ? DURO_OK : duro_fail_oom(err);
}

duro__tally duro__tallies_sum(const duro__tallies *t) {
  duro__tally sum = {.name = DURO_STR("")};
  for (size_t i = 0; i < t->count; i++) {
    for (int m = 0; m < DURO__METRIC_COUNT; m++) sum.values[m] += t->items[i].values[m];
  }
  return sum;
}

static int64_t level(const duro__tally *t, duro_status status) {
  int64_t value = t->values[DURO__IN_STATUS + status];
  return value > 0 ? value : 0;
}

int64_t duro__tally_in_status(const duro__tally *t, duro_status status) { return level(t, status); }

int64_t duro__tally_active(const duro__tally *t) {
  return level(t, DURO_STATUS_RUNNING) + level(t, DURO_STATUS_SUSPENDED) +
         level(t, DURO_STATUS_STALLED);
}

int64_t duro__tally_failed(const duro__tally *t) {
  return t->values[DURO__FAILED] - t->values[DURO__RETRIED];
}

int64_t duro__tally_cancelled(const duro__tally *t) {
  return t->values[DURO__CANCELLED] + t->values[DURO__TERMINATED];
}

int64_t duro__tally_ended(const duro__tally *t) {
  return t->values[DURO__COMPLETED] + duro__tally_failed(t) + duro__tally_cancelled(t);
}

int64_t duro__tally_ends(const duro__tally *t) {
  return duro__tally_ended(t) + t->values[DURO__RETRIED];
}
