// shortage.c: going on after memory was out.
//
// What could not be done for want of memory is not queued, since that would need memory too: its instance
// is marked, and after a pause without turns everything live that is marked is gone through. The host
// hears of it before (duro_short_of_memory), so that a collected language gives back what code hoarded.
#include "runtime/internal.h"

#define RETRY_NS UINT64_C(20000000)

void duro__memory_out(duro_runtime *rt, duro__instance *i) {
  rt->short_of_memory = true;
  if (i) i->starved = true;
  if (!rt->starved_ns) rt->starved_ns = duro_clock_monotonic_ns() + RETRY_NS;
}

DURO_EXPORT bool duro_short_of_memory(duro_runtime *rt) {
  bool is = rt->short_of_memory;
  rt->short_of_memory = false;
  return is;
}

// An attempt whose result was lost runs again under its number: nothing of it is recorded.
static void start_jobs(duro_runtime *rt, duro__instance *i) {
  duro__results_mark(i, i->inbox_head, true);
  int64_t task = 0; // a job that was lost too often stalls the instance, and takes its exec away
  for (duro__open *o; i->exec && (o = duro__exec_open_next(i->exec, task));) {
    task = o->id;
    if (duro__job_is_missing(o) && !duro__job_begins(i, o)) duro__job_start(rt, i, o);
  }
  duro__results_mark(i, i->inbox_head, false);
}

// False: not yet, because what its newest turn scheduled may not begin before it is durable.
static bool feed(duro_runtime *rt, duro__instance *i) {
  if (i->batches) return false;
  i->starved = false;
  if (i->gone || !i->exec) return true; // what it needs comes with its next load
  start_jobs(rt, i);
  duro__timers_update(rt, i);
  return !i->starved;
}

bool duro__memory_turn(duro_runtime *rt) {
  if (!rt->starved_ns || duro_clock_monotonic_ns() < rt->starved_ns) return false;
  rt->starved_ns = 0;
  bool all = true;
  size_t at = 0;
  for (duro_map_slot *slot; (slot = duro_map_each(&rt->by_key, &at));) {
    duro__instance *i = slot->value;
    if (i->starved) all &= feed(rt, i);
  }
  duro__sweep_start(rt, -1); // those that left memory before they could be helped
  if (!all && !rt->starved_ns) rt->starved_ns = duro_clock_monotonic_ns() + RETRY_NS;
  return true;
}
