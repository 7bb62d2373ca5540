// Hash maps from a byte string or an int64 to a pointer. Open addressing, power-of-two sizes,
// backward-shift deletion (no tombstones). Keys are borrowed: for strings the value must keep them.
#ifndef DURO_BASE_MAP_H
#define DURO_BASE_MAP_H

#include "base/bytes.h"

// The same on every machine and in every version: files depend on it. Not for use against attackers.
uint64_t duro_hash_bytes(const void *p, size_t n);
uint64_t duro_hash_int(uint64_t x);

typedef struct duro_map_slot {
  duro_str key;   // string maps
  int64_t number; // int maps
  uint64_t hash;
  void *value; // NULL = free slot
} duro_map_slot;

typedef struct duro_map {
  duro_map_slot *slots;
  size_t count, capacity;
} duro_map; // zero-initialise

void *duro_map_get(const duro_map *m, duro_str key);
bool duro_map_put(duro_map *m, duro_str key,
                  void *value);                   // replaces (NULL removes); false: no memory
void *duro_map_remove(duro_map *m, duro_str key); // the value that was there, or NULL
void *duro_map_get_int(const duro_map *m, int64_t key);
bool duro_map_put_int(duro_map *m, int64_t key, void *value);
void *duro_map_remove_int(duro_map *m, int64_t key);
// Iterates: start with *at = 0; NULL at the end. No change of the map meanwhile.
duro_map_slot *duro_map_each(const duro_map *m, size_t *at);
void duro_map_free(duro_map *m); // the slots, not the values

#endif
