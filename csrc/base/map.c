// The hash maps of map.h: linear probing over a power-of-two table that is at most three quarters
// full.
//
// Invariant: between a key's home slot (its hash, masked) and its slot there is no free one.
// Removal keeps it by moving later keys back, so a table never fills with tombstones and needs no
// clean-up. The hash of bytes is the same on every machine and for ever: partitions and
// fingerprints in the file are made with it, and map_test.c holds it fast. It resists accidents,
// not attackers.
#include "base/map.h"

#include <stdlib.h>

#define MIN_CAPACITY 8

// --- Hashes ---

static uint64_t load_little_endian(const unsigned char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

// The finaliser of MurmurHash3 with the constants of SplitMix64: each bit of x reaches all others.
uint64_t duro_hash_int(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static uint64_t absorb(uint64_t h, uint64_t word) {
  h = (h ^ word) * 0x9fb21c651e98df25u;
  return h ^ (h >> 32);
}

uint64_t duro_hash_bytes(const void *p, size_t n) {
  const unsigned char *at = p;
  uint64_t h = 0x9e3779b97f4a7c15u ^ ((uint64_t)n * 0xc2b2ae3d27d4eb4fu);
  size_t rest = n;
  for (; rest >= 8; rest -= 8, at += 8) h = absorb(h, load_little_endian(at));
  if (rest) {
    unsigned char tail[8] = {0};
    memcpy(tail, at, rest);
    h = absorb(h, load_little_endian(tail));
  }
  return duro_hash_int(h);
}

// --- The table, for both kinds of keys ---

static bool same_key(const duro_map_slot *a, const duro_map_slot *b) {
  return a->hash == b->hash && a->number == b->number && duro_str_equal(a->key, b->key);
}

static duro_map_slot string_key(duro_str key) {
  return (duro_map_slot){.key = key, .hash = duro_hash_bytes(key.p, key.n)};
}

static duro_map_slot int_key(int64_t key) {
  return (duro_map_slot){.number = key, .hash = duro_hash_int((uint64_t)key)};
}

// The slot that holds the key, or the free one where it belongs. The table must not be empty.
static duro_map_slot *find(const duro_map *m, const duro_map_slot *key) {
  size_t mask = m->capacity - 1;
  size_t i = (size_t)key->hash & mask;
  while (m->slots[i].value && !same_key(&m->slots[i], key)) i = (i + 1) & mask;
  return &m->slots[i];
}

static bool grow(duro_map *m) {
  size_t capacity = m->capacity ? m->capacity * 2 : MIN_CAPACITY;
  duro_map bigger = {calloc(capacity, sizeof(duro_map_slot)), m->count, capacity};
  if (!bigger.slots) return false;
  for (size_t i = 0; i < m->capacity; i++) {
    if (m->slots[i].value) *find(&bigger, &m->slots[i]) = m->slots[i];
  }
  free(m->slots);
  *m = bigger;
  return true;
}

static void *get(const duro_map *m, duro_map_slot key) {
  return m->count ? find(m, &key)->value : NULL;
}

static void *take(duro_map *m, duro_map_slot key) {
  if (!m->count) return NULL;
  duro_map_slot *found = find(m, &key);
  void *value = found->value;
  if (!value) return NULL;
  size_t mask = m->capacity - 1;
  size_t hole = (size_t)(found - m->slots);
  for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
    // A key may move into the hole unless its home lies behind the hole: then it would not be
    // found.
    size_t from_home = (i - (size_t)m->slots[i].hash) & mask;
    if (from_home < ((i - hole) & mask)) continue;
    m->slots[hole] = m->slots[i];
    hole = i;
  }
  m->slots[hole] = (duro_map_slot){0};
  m->count--;
  return value;
}

static bool put(duro_map *m, duro_map_slot key, void *value) {
  if (!value) {
    take(m, key);
    return true;
  }
  duro_map_slot *slot = m->capacity ? find(m, &key) : NULL;
  bool is_new = !slot || !slot->value;
  if (is_new && (m->count + 1) * 4 > m->capacity * 3) {
    if (!grow(m)) return false;
    slot = find(m, &key);
  }
  // The key is replaced too: the old one belongs to the old value.
  key.value = value;
  *slot = key;
  m->count += is_new;
  return true;
}

// --- The public verbs ---

void *duro_map_get(const duro_map *m, duro_str key) { return get(m, string_key(key)); }

bool duro_map_put(duro_map *m, duro_str key, void *value) { return put(m, string_key(key), value); }

void *duro_map_remove(duro_map *m, duro_str key) { return take(m, string_key(key)); }

void *duro_map_get_int(const duro_map *m, int64_t key) { return get(m, int_key(key)); }

bool duro_map_put_int(duro_map *m, int64_t key, void *value) { return put(m, int_key(key), value); }

void *duro_map_remove_int(duro_map *m, int64_t key) { return take(m, int_key(key)); }

duro_map_slot *duro_map_each(const duro_map *m, size_t *at) {
  while (*at < m->capacity) {
    duro_map_slot *slot = &m->slots[(*at)++];
    if (slot->value) return slot;
  }
  return NULL;
}

void duro_map_free(duro_map *m) {
  free(m->slots);
  *m = (duro_map){0};
}
