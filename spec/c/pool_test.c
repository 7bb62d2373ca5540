// The pool: blocks come back to whoever asks for their size next, and nothing is shared or lost.
#include "check.h"

#include <string.h>

#include "base/pool.h"

TEST(blocks_are_their_own) {
  duro_pool pool = {0};
  char *blocks[40];
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < 40; i++) {
      size_t size = 1 + i * 37; // beyond 1 KiB, too
      blocks[i] = duro_pool_take(&pool, size);
      memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 40; i++) {
      size_t size = 1 + i * 37, same = 0;
      for (size_t at = 0; at < size; at++) same += blocks[i][at] == (char)i;
      CHECK_INT(same, size);
      duro_pool_give(&pool, blocks[i]);
    }
  }
  duro_pool_free(&pool);
}

TEST(without_a_pool) {
  char *block = duro_pool_take(NULL, 100);
  memset(block, 1, 100);
  duro_pool_give(NULL, block);
  duro_pool_give(NULL, NULL);
}

TEST(too_large) {
  duro_pool pool = {0};
  CHECK(!duro_pool_take(&pool, SIZE_MAX));
  CHECK(!duro_pool_take(&pool, SIZE_MAX - 8));
  duro_pool_free(&pool);
}

CHECK_MAIN()
