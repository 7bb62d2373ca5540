// Sorted tables of immutable rows, and the transaction over them.
//
// A row and all its texts are one allocated block; to change a row is to put another in its place. Each
// put and remove is noted in the transaction's log together with the row it displaced, so that
// duro__tables_finish either frees what was displaced or brings it back, without needing memory.
#ifndef DURO_STORE_MEMORY_TABLE_H
#define DURO_STORE_MEMORY_TABLE_H

#include "base/bytes.h"
#include "base/error.h"

enum { MAX_TEXTS = 11 };

// What the rows of a table look like.
typedef struct row_shape {
  size_t size;
  int (*compare)(const void *a, const void *b); // by the key members only
  size_t text_count;
  size_t texts[MAX_TEXTS]; // offsets of the duro_str members
} row_shape;

typedef struct table {
  const row_shape *shape;
  void *
      *rows; // sorted, `count` of them; somewhere in `block`, so that the first rows leave cheaply
  size_t count;
  void **block;
  size_t capacity;
} table;

typedef struct table_change {
  table *table;
  void *added, *removed; // one may be NULL
} table_change;

typedef struct table_log {
  table_change *items;
  size_t count, capacity;
} table_log;

static inline int compare_ints(int64_t a, int64_t b) { return (a > b) - (a < b); }

// The index of the first row that is not below `probe` (a row with its key members set).
size_t duro__table_seek(const table *t, const void *probe);
// The row equal to the probe, or NULL. It stays valid until the transaction is finished.
const void *duro__table_get(const table *t, const void *probe);
// Copies the row into the table, in the place of an equal one if there is one.
duro_code duro__table_put(table *t, table_log *log, const void *row, duro_error **err);
// Without an equal row this is nothing.
duro_code duro__table_remove(table *t, table_log *log, const void *probe, duro_error **err);
void duro__table_free(table *t);

// Ends the transaction: keeps what was done when code is DURO_OK, else undoes it. Returns the code.
duro_code duro__tables_finish(table_log *log, duro_code code);

// Copies a row and its texts to `out`, into the arena. Errors: out_of_memory.
duro_code duro__row_lend(const row_shape *shape, const void *row, duro_arena *arena, void *out,
                         duro_error **err);

#endif
