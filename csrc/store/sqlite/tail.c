// The tail filter: which instances may have rows in the journal that are not folded yet.
//
// The journal has no index by instance, so reading one instance means scanning the unfolded tail
// for its rows. The process that owns the file writes every row itself and so can remember whose
// rows they are: one bit per hash of a key. A clear bit saves the scan; a set bit may be another's.
// Invariant: a bit is set before its row is committed, and cleared after the fold that moved it has
// committed; clearing changes the generation. A reader takes the generation before its snapshot and
// asks afterwards: when nothing was cleared meanwhile, every row its snapshot holds has its bit
// set, provided that the snapshot's lease is still of the epoch that these bits were kept for.
// Under a later one another process may have written rows.
#include "store/sqlite/internal.h"

#include "base/map.h"

void duro__sqlite_tail_init(duro__sqlite_tail *t) { pthread_mutex_init(&t->lock, NULL); }

void duro__sqlite_tail_deinit(duro__sqlite_tail *t) { pthread_mutex_destroy(&t->lock); }

static uint64_t slot(int64_t key) { return duro_hash_int((uint64_t)key) & (TAIL_BITS - 1); }

void duro__sqlite_tail_add(duro__sqlite_tail *t, const duro_turn_row *turns, size_t count) {
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < count; i++) {
    uint64_t bit = slot(turns[i].instance_key);
    t->bits[bit / 64] |= UINT64_C(1) << bit % 64;
  }
  pthread_mutex_unlock(&t->lock);
}

void duro__sqlite_tail_clear(duro__sqlite_tail *t, int64_t epoch) {
  pthread_mutex_lock(&t->lock);
  memset(t->bits, 0, sizeof t->bits);
  t->epoch = epoch;
  t->generation++;
  pthread_mutex_unlock(&t->lock);
}

void duro__sqlite_tail_forget(duro__sqlite_tail *t) {
  pthread_mutex_lock(&t->lock);
  t->epoch = 0;
  pthread_mutex_unlock(&t->lock);
}

uint64_t duro__sqlite_tail_generation(duro__sqlite_tail *t) {
  pthread_mutex_lock(&t->lock);
  uint64_t generation = t->generation;
  pthread_mutex_unlock(&t->lock);
  return generation;
}

bool duro__sqlite_tail_may_have(duro__sqlite_tail *t, uint64_t generation, int64_t key,
                                int64_t *epoch) {
  pthread_mutex_lock(&t->lock);
  uint64_t bit = slot(key);
  bool is_set = t->bits[bit / 64] >> bit % 64 & 1;
  bool may = t->epoch == 0 || t->generation != generation || is_set;
  *epoch = t->epoch;
  pthread_mutex_unlock(&t->lock);
  return may;
}
