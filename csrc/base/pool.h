// A pool keeps blocks that are free again for the next ones of their size, so that what comes and goes
// with every turn (messages, jobs) costs no walk through the allocator's own lists.
//
// Thread: one only. Blocks end before their pool.
#ifndef DURO_BASE_POOL_H
#define DURO_BASE_POOL_H

#include <stddef.h>

#define DURO_POOL_CLASSES 32 // sizes up to 1 KiB, by 32; larger blocks are not kept

// Whether anything is kept: not under the address sanitizer, which is to see every use after the end.
#ifdef __SANITIZE_ADDRESS__
#define DURO_POOL_KEEPS 0
#else
#define DURO_POOL_KEEPS 1
#endif

typedef struct duro_pool {
  struct duro_pool_block *free[DURO_POOL_CLASSES];
  size_t count[DURO_POOL_CLASSES];
} duro_pool; // zero-initialise

// Uninitialised, aligned to 8 bytes; NULL: memory is out. Without a pool (NULL) nothing is kept.
void *duro_pool_take(duro_pool *pool, size_t size);
void duro_pool_give(duro_pool *pool, void *block); // NULL is allowed
void duro_pool_free(duro_pool *pool);

#endif
