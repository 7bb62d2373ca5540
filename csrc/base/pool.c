// Each block has a small head that names its size class while it is out, and the next one while it is
// kept. Where nothing is kept a block is exactly as large as was asked, so that the address sanitizer sees
// its end, too.
#include "base/pool.h"

#include <stdint.h>
#include <stdlib.h>

#define CLASS_BYTES 32
#define KEEP_BYTES  (4 << 20) // of one class: what a large batch ends serves the next one
#define NOT_KEPT    DURO_POOL_CLASSES

typedef struct duro_pool_block {
  union {
    size_t class; // out
    struct duro_pool_block *next;
    int64_t aligned;
  } head;
} block;

void *duro_pool_take(duro_pool *pool, size_t size) {
  size_t class = size ? (size - 1) / CLASS_BYTES : 0;
  if (!pool || !DURO_POOL_KEEPS || class > DURO_POOL_CLASSES) class = NOT_KEPT;
  block *b = class < DURO_POOL_CLASSES ? pool->free[class] : NULL;
  if (b) {
    pool->free[class] = b->head.next;
    pool->count[class]--;
  } else {
    if (class < DURO_POOL_CLASSES) size = (class + 1) * CLASS_BYTES;
    if (size > PTRDIFF_MAX - sizeof *b) return NULL;
    b = malloc(sizeof *b + size);
    if (!b) return NULL;
  }
  b->head.class = class;
  return b + 1;
}

void duro_pool_give(duro_pool *pool, void *kept) {
  if (!kept) return;
  block *b = (block *)kept - 1;
  size_t class = b->head.class;
  if (class == NOT_KEPT || pool->count[class] >= KEEP_BYTES / ((class + 1) * CLASS_BYTES)) {
    free(b);
    return;
  }
  b->head.next = pool->free[class];
  pool->free[class] = b;
  pool->count[class]++;
}

void duro_pool_free(duro_pool *pool) {
  for (size_t class = 0; class < DURO_POOL_CLASSES; class ++) {
    for (block *b = pool->free[class], *next; b; b = next) {
      next = b->head.next;
      free(b);
    }
    pool->free[class] = NULL;
    pool->count[class] = 0;
  }
}
