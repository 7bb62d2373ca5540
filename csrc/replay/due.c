// When open tasks are due: a 4-ary heap of entries, the earliest (time, id) on top.
//
// An entry stands in it once, under the earliest of its times, and knows its place, so that closing a
// task takes it out at once. Room is made when a task is opened: no later change needs memory.
#include "replay/internal.h"

#include <stdlib.h>

#define ARITY        4
#define FIRST_PLACES 2

static bool before(const duro__entry *a, const duro__entry *b) {
  return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->open.id < b->open.id);
}

static void put(duro__exec *x, size_t at, duro__entry *e) {
  x->due[at] = e;
  e->heap_place = (uint32_t)at + 1;
}

static void sift_up(duro__exec *x, size_t at, duro__entry *e) {
  while (at > 0) {
    size_t parent = (at - 1) / ARITY;
    if (!before(e, x->due[parent])) break;
    put(x, at, x->due[parent]);
    at = parent;
  }
  put(x, at, e);
}

static void sift_down(duro__exec *x, size_t at, duro__entry *e) {
  for (;;) {
    size_t first = at * ARITY + 1, best = first;
    if (first >= x->due_count) break;
    for (size_t i = first + 1; i < first + ARITY && i < x->due_count; i++) {
      if (before(x->due[i], x->due[best])) best = i;
    }
    if (!before(x->due[best], e)) break;
    put(x, at, x->due[best]);
    at = best;
  }
  put(x, at, e);
}

bool duro__due_reserve(duro__exec *x) {
  if (x->due_wanted < x->due_capacity) return true;
  size_t capacity = x->due_capacity ? x->due_capacity * 2 : FIRST_PLACES;
  duro__entry **due = duro__larger(x, x->due, x->due_count * sizeof *due, capacity * sizeof *due);
  if (!due) return false;
  x->due = due;
  x->due_capacity = capacity;
  return true;
}

static int64_t earliest(const duro__entry *e) {
  const duro__open *o = &e->open;
  if (e->taken) return DURO_NEVER;
  if (o->kind == DURO__OPEN_TIMER) return o->fire_at_ms;
  if (o->kind != DURO__OPEN_ACTIVITY) return DURO_NEVER;
  int64_t due_ms = e->whole_due_ms;
  if (o->state == DURO__STATE_BACKING_OFF && o->fire_at_ms < due_ms) due_ms = o->fire_at_ms;
  if (o->state == DURO__STATE_DEFERRED && o->fire_at_ms && o->fire_at_ms < due_ms) {
    due_ms = o->fire_at_ms;
  }
  if (o->volatile_due_ms && o->volatile_due_ms < due_ms) due_ms = o->volatile_due_ms;
  return due_ms;
}

void duro__due_remove(duro__exec *x, duro__entry *e) {
  if (!e->heap_place) return;
  size_t at = e->heap_place - 1;
  e->heap_place = 0;
  duro__entry *last = x->due[--x->due_count];
  if (last == e) return;
  if (before(last, e)) {
    sift_up(x, at, last);
  } else {
    sift_down(x, at, last);
  }
}

void duro__due_update(duro__exec *x, duro__entry *e) {
  int64_t due_ms = earliest(e);
  if (due_ms == e->due_ms) return;
  duro__due_remove(x, e);
  e->due_ms = due_ms;
  if (due_ms != DURO_NEVER) sift_up(x, x->due_count++, e);
}

// --- What the runtime asks ---

int64_t duro__exec_next_due_ms(const duro__exec *x) {
  return x->due_count ? x->due[0]->due_ms : DURO_NEVER;
}

// The entry on top that is due. The runtime sets WAITING and RUNNING in entries by itself (a job found
// again after a load), so what stands there may be out of date: then it moves, and the next is looked at.
static duro__entry *due_now(duro__exec *x, int64_t now_ms) {
  while (x->due_count && x->due[0]->due_ms <= now_ms) {
    duro__entry *e = x->due[0];
    int64_t due_ms = e->due_ms;
    duro__open_sync(x, e);
    if (e->due_ms == due_ms) return e;
  }
  return NULL;
}

duro__due_kind duro__exec_take_due(duro__exec *x, int64_t now_ms, int64_t *task, bool *whole) {
  duro__entry *e = due_now(x, now_ms);
  *whole = false;
  if (!e) return DURO__DUE_NONE;
  *task = e->open.id;
  // The end of the whole time outranks an attempt's, and a retry that would come too late anyway.
  *whole = e->open.kind == DURO__OPEN_ACTIVITY && e->whole_due_ms <= now_ms;
  if (*whole || e->open.kind == DURO__OPEN_TIMER) {
    e->taken = true;
    duro__due_update(x, e);
    return *whole ? DURO__DUE_TIMEOUT : DURO__DUE_TIMER;
  }
  if (e->open.volatile_due_ms && e->open.volatile_due_ms <= now_ms) {
    e->open.volatile_due_ms = 0;
    duro__due_update(x, e);
    return DURO__DUE_TIMEOUT;
  }
  if (e->open.state == DURO__STATE_DEFERRED) {
    e->open.fire_at_ms = 0;
    duro__due_update(x, e);
    return DURO__DUE_TIMEOUT;
  }
  duro__open_set_state(x, e, DURO__STATE_WAITING);
  return DURO__DUE_RETRY;
}

void duro__exec_set_volatile_due(duro__exec *x, int64_t task, int64_t due_ms) {
  duro__entry *e = duro__open_find(x, task);
  if (!e) return;
  e->open.volatile_due_ms = due_ms;
  duro__due_update(x, e);
}
