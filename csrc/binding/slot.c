// slot: what the core knows as the open tasks of a program, found by id. Ids ascend, so the slots are an
// array that grows at its end and is searched by halving; what is over leaves a gap that is closed when
// half of the array is gaps.
#include "binding/program.h"

#include <stdlib.h>

static void close_gaps(duro__program *p) {
  size_t kept = 0;
  for (size_t i = 0; i < p->slot_count; i++) {
    if (p->slots[i].task || p->slots[i].fiber) p->slots[kept++] = p->slots[i];
  }
  p->slot_count = p->slot_live = kept;
}

void duro__slots_free(duro__program *p) {
  if (p->slots != p->first_slots) free(p->slots);
  p->slots = NULL;
  p->slot_count = p->slot_cap = p->slot_live = 0;
}

static bool grow(duro__program *p) {
  size_t cap = p->slot_cap ? p->slot_cap * 2 : DURO__FIRST_SLOTS;
  if (!p->slots) {
    p->slots = p->first_slots;
  } else if (p->slots == p->first_slots) {
    duro__slot *slots = (duro__slot *)malloc(cap * sizeof *slots);
    if (!slots) return false;
    memcpy(slots, p->first_slots, sizeof p->first_slots);
    p->slots = slots;
  } else {
    duro__slot *slots = (duro__slot *)realloc(p->slots, cap * sizeof *slots);
    if (!slots) return false;
    p->slots = slots;
  }
  p->slot_cap = cap;
  return true;
}

void duro__slot_reserve(lua_State *L, duro__program *p) {
  if (p->slot_count < p->slot_cap) return;
  if (p->slot_live <= p->slot_count / 2 && p->slot_count) {
    close_gaps(p);
    return;
  }
  if (!grow(p)) luaL_error(L, "memory is out");
}

void duro__slot_add(duro__program *p, int64_t id, duro__task *task, duro__fiber *fiber) {
  p->slots[p->slot_count++] = (duro__slot){id, task, fiber};
  p->slot_live++;
}

// Ids ascend by one at least, so a slot is no farther from either end than its id is: in a fan-out that
// leaves one place.
duro__slot *duro__slot_find(duro__program *p, int64_t id) {
  if (!p->slot_count || id < p->slots[0].id) return NULL;
  size_t last = p->slot_count - 1, low = 0, high = last;
  if (id > p->slots[last].id) return NULL;
  uint64_t ahead = (uint64_t)(id - p->slots[0].id), behind = (uint64_t)(p->slots[last].id - id);
  if (ahead < high) high = (size_t)ahead;
  if (behind < last) low = last - (size_t)behind;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (p->slots[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (p->slots[low].id != id) return NULL;
  return p->slots[low].task || p->slots[low].fiber ? &p->slots[low] : NULL;
}

void duro__slot_remove(duro__program *p, duro__slot *slot) {
  slot->task = NULL;
  slot->fiber = NULL;
  p->slot_live--;
  while (p->slot_count && !p->slots[p->slot_count - 1].task && !p->slots[p->slot_count - 1].fiber) {
    p->slot_count--;
  }
}
