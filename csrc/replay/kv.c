// The key-value state of an instance: blocks of key and value, sorted by the bytes of their keys.
//
// An insertion moves pointers only, and DURO_MAX_KV_KEYS bounds how many; walking in key order is what
// a program must be able to do without a difference between live and replayed.
#include "replay/internal.h"

#include <stdlib.h>

#define FIRST_KEYS 4

// The first key that is not less; *found tells whether it is equal.
static size_t lower_bound(const duro__kv *kv, duro_str key, bool *found) {
  size_t low = 0, high = kv->count;
  *found = false;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = duro_str_compare(kv->items[middle]->key, key);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static size_t size_of(const duro__kv_entry *e) { return sizeof *e + e->key.n + e->value.n + 2; }

static duro__kv_entry *new_entry(duro_str key, duro_str value) {
  duro__kv_entry *e = malloc(sizeof *e + key.n + value.n + 2);
  if (!e) return NULL;
  e->key = (duro_str){e->text, key.n};
  e->value = (duro_str){e->text + key.n + 1, value.n};
  if (key.n) memcpy(e->text, key.p, key.n);
  e->text[key.n] = 0;
  if (value.n) memcpy(e->text + key.n + 1, value.p, value.n);
  e->text[key.n + 1 + value.n] = 0;
  return e;
}

static bool make_room(duro__kv *kv) {
  if (kv->count < kv->capacity) return true;
  size_t capacity = kv->capacity ? kv->capacity * 2 : FIRST_KEYS;
  duro__kv_entry **items = realloc(kv->items, capacity * sizeof *items);
  if (!items) return false;
  kv->items = items;
  kv->capacity = capacity;
  return true;
}

duro__kv_entry *duro__kv_find(const duro__exec *x, duro_str key) {
  bool found;
  size_t at = lower_bound(&x->kept->kv, key, &found);
  return found ? x->kept->kv.items[at] : NULL;
}

bool duro__kv_set(duro__exec *x, duro_str key, duro_str value) {
  duro__kept *kept = duro__kept_change(x);
  if (!kept) return false;
  duro__kv *kv = &kept->kv;
  bool found;
  size_t at = lower_bound(kv, key, &found);
  if (!found && !make_room(kv)) return false;
  duro__kv_entry *e = new_entry(key, value);
  if (!e) return false;
  if (found) {
    kv->bytes -= size_of(kv->items[at]);
    free(kv->items[at]);
  } else {
    memmove(kv->items + at + 1, kv->items + at, (kv->count - at) * sizeof *kv->items);
    kv->count++;
  }
  kv->items[at] = e;
  kv->bytes += size_of(e);
  return true;
}

void duro__kv_remove(duro__exec *x, duro_str key) {
  if (!duro__kv_find(x, key)) return;
  duro__kv *kv = &duro__kept_change(x)->kv; // it holds the key: it is there
  bool found;
  size_t at = lower_bound(kv, key, &found);
  kv->bytes -= size_of(kv->items[at]);
  free(kv->items[at]);
  kv->count--;
  memmove(kv->items + at, kv->items + at + 1, (kv->count - at) * sizeof *kv->items);
}

void duro__kv_clear(duro__exec *x) {
  while (x->kept->kv.count) duro__kv_remove(x, x->kept->kv.items[x->kept->kv.count - 1]->key);
}

void duro__kv_free(const duro__kv *kv) {
  for (size_t i = 0; i < kv->count; i++) free(kv->items[i]);
  free(kv->items);
}

bool duro__exec_kv_next(const duro__exec *x, duro_str after, duro_str *key, duro_str *value) {
  const duro__kv *kv = &x->kept->kv;
  bool found = false;
  size_t at = after.p ? lower_bound(kv, after, &found) : 0;
  at += found;
  if (at >= kv->count) return false;
  *key = kv->items[at]->key;
  *value = kv->items[at]->value;
  return true;
}
