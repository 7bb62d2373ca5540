// vec.h: a growable array of one type. Zero-initialise it; duro__vec_push gives a zeroed new item, or NULL
// when memory is out; free(v.items) ends it.
#ifndef DURO_RUNTIME_VEC_H
#define DURO_RUNTIME_VEC_H

#include <stdbool.h>
#include <stddef.h>

#define DURO__VEC(type)                                                                            \
  struct {                                                                                         \
    type *items;                                                                                   \
    size_t count, capacity;                                                                        \
  }
// `items` is the address of the array's pointer. Adds one zeroed item; false when memory is out.
bool duro__vec_room(void *items, size_t *count, size_t *capacity, size_t item_size);
#define duro__vec_push(v)                                                                          \
  (duro__vec_room(&(v)->items, &(v)->count, &(v)->capacity, sizeof *(v)->items)                    \
       ? &(v)->items[(v)->count - 1]                                                               \
       : NULL)

#endif
