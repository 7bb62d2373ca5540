// metrics.c: what happened, by orchestration name: kept as differences until the next batch carries them,
// so that counts, rates and time series never scan instances.
//
// Invariant: a difference is in `pending` or in a batch, never in both. To add a metric: one member of
// duro__metric and its word here.
#include <stdlib.h>

#include "runtime/internal.h"

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
};

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

// Out of memory loses a count, never an instance.
void duro__count(duro_runtime *rt, duro_str name, duro__metric metric, int64_t delta) {
  if (!rt->options.enable_metrics) return;
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
      row->minute_ms = minute_ms;
      row->delta = counts->pending[metric];
      counts->pending[metric] = 0;
    }
    counts->dirty = false;
  }
  rt->dirty_counts.count = 0;
}

void duro__counts_free(duro_runtime *rt) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->counts, &at));) {
    duro__name_counts *counts = s->value;
    free(counts->name);
    free(counts);
  }
  duro_map_free(&rt->counts);
  free(rt->dirty_counts.items);
  rt->dirty_counts.items = NULL;
  rt->dirty_counts.count = rt->dirty_counts.capacity = 0;
  rt->last_counts = NULL;
}
