// The tail filter: which instances may have rows in the journal that are not folded yet.
//
// The journal has no index by instance, so reading one instance means scanning the unfolded tail
// for its rows. The process that owns the file writes every row itself and so can remember whose
// rows they are, in a Bloom filter: all bits of a key set means that its rows may be there. There are
// two: `older` for rows up to `split_seq`, `newer` for those behind it. A fold that got that far makes
// the newer the older one, so that both stay sparse also where folding never catches up.
// Invariant: bits are set before their row is committed, and cleared after the fold that moved it has
// committed; clearing changes the generation. A reader takes the generation before its snapshot and
// asks afterwards: when nothing was cleared meanwhile, every row its snapshot holds has its bits
// set, provided that the snapshot's lease is still of the epoch that these bits were kept for.
// Under a later one another process may have written rows.
#include "store/sqlite/internal.h"

#include "base/map.h"

void duro__sqlite_tail_init(duro__sqlite_tail *t) { pthread_mutex_init(&t->lock, NULL); }

void duro__sqlite_tail_deinit(duro__sqlite_tail *t) { pthread_mutex_destroy(&t->lock); }

enum { BITS_OF_A_KEY = 4 };

// The n-th bit of a key: two halves of one hash make as many as one likes.
static uint64_t place(uint64_t hash, uint64_t n) {
  return ((hash & UINT32_MAX) + n * (hash >> 32 | 1)) & (TAIL_BITS - 1);
}

static bool has(const uint64_t *bits, uint64_t hash) {
  for (uint64_t n = 0; n < BITS_OF_A_KEY; n++) {
    uint64_t bit = place(hash, n);
    if (!(bits[bit / 64] >> bit % 64 & 1)) return false;
  }
  return true;
}

void duro__sqlite_tail_add(duro__sqlite_tail *t, const duro_turn_row *turns, size_t count) {
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < count; i++) {
    uint64_t hash = duro_hash_int((uint64_t)turns[i].instance_key);
    for (uint64_t n = 0; n < BITS_OF_A_KEY; n++) {
      uint64_t bit = place(hash, n);
      t->newer[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    t->last_seq = turns[i].seq;
  }
  pthread_mutex_unlock(&t->lock);
}

void duro__sqlite_tail_folded(duro__sqlite_tail *t, int64_t epoch, int64_t folded_seq,
                              bool no_tail) {
  pthread_mutex_lock(&t->lock);
  if (no_tail) {
    memset(t->older, 0, sizeof t->older);
    memset(t->newer, 0, sizeof t->newer);
    t->epoch = epoch;
    t->generation++;
  } else if (t->epoch == epoch && folded_seq >= t->split_seq) {
    memcpy(t->older, t->newer, sizeof t->older);
    memset(t->newer, 0, sizeof t->newer);
    t->split_seq = t->last_seq;
    t->generation++;
  }
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
  uint64_t hash = duro_hash_int((uint64_t)key);
  bool is_set = has(t->newer, hash) || has(t->older, hash);
  bool may = t->epoch == 0 || t->generation != generation || is_set;
  *epoch = t->epoch;
  pthread_mutex_unlock(&t->lock);
  return may;
}
