// vec.c: growable arrays (vec.h).
#include "runtime/vec.h"

#include <stdlib.h>
#include <string.h>

bool duro__vec_room(void *items, size_t *count, size_t *capacity, size_t item_size) {
  void *p;
  memcpy(&p, items, sizeof p);
  if (*count == *capacity) {
    size_t wanted = *capacity ? *capacity * 2 : 8;
    void *grown = realloc(p, wanted * item_size);
    if (!grown) return false;
    p = grown;
    memcpy(items, &p, sizeof p);
    *capacity = wanted;
  }
  memset((char *)p + *count * item_size, 0, item_size);
  (*count)++;
  return true;
}
