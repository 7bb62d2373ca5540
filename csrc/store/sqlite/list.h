// list.h: a list as ranges over an index. Shared by list.c, which chooses, and list_sql.c, which
// writes.
//
// A source is one way to find rows: an index, ranges over its column (the arms), and the orders in
// which it gives rows by itself. What the source does not cover of a filter is checked row by row.
// Instances that are not listed yet are merged in, from the rows above the last listed key.
#ifndef DURO_STORE_SQLITE_LIST_H
#define DURO_STORE_SQLITE_LIST_H

#include "store/sqlite/internal.h"

typedef struct list_value {
  bool is_text;
  int64_t number;
  duro_str text;
} list_value;

// Either one value, or a range whose ends may be open. `after_key`: only rows behind the page
// before, which ended within this very value.
typedef struct list_arm {
  bool is_equal, has_low, has_high, low_included;
  bool after_key;
  list_value equal, low, high; // `high` is never included
} list_arm;

typedef enum list_kind {
  BY_KEY, // the rows themselves, which lie in the order of their keys
  BY_IDS,
  BY_ID,
  BY_NAME,
  BY_STATUS,
  BY_UPDATED,
  BY_COMPLETED,
  BY_PARENT,
  BY_ATTRIBUTE,
  BY_WAIT,
} list_kind;

enum { MAX_SOURCES = 16 }; // of one filter: each kind once, and some attributes

typedef struct list_source {
  list_kind kind;
  size_t attribute; // BY_ATTRIBUTE: its index in the filter
  const list_arm *arms;
  size_t arm_count;
} list_source;

typedef struct list_plan {
  duro_store *store;
  duro__sqlite_conn *conn;
  const duro_list_query *query;
  duro_arena *arena; // for the plan itself
  list_source sources[MAX_SOURCES];
  size_t source_count;
  int64_t listed_to; // instances above that key are in no index but that of ids (listed.c)
  bool has_unlisted; // there are such
} list_plan;

// The text of a statement and what is bound to it.
typedef struct list_sql {
  const list_plan *plan;
  duro_buf text;
  list_value *values; // in the plan's arena
  size_t count, capacity;
} list_sql;

// Whether a source gives its rows in this order by itself.
bool duro__sqlite_list_in_order(const list_source *source, duro_order_by order_by);
// The page from this source. When memory is out, `text` says so.
void duro__sqlite_list_write(list_sql *sql, const list_source *source);
// How many rows the source has, counting at most `most`.
void duro__sqlite_list_write_count(list_sql *sql, const list_source *source, int64_t most);
// How many rows of the source pass the whole filter, counting at most `most`.
void duro__sqlite_list_write_total(list_sql *sql, const list_source *source, int64_t most);
// The statement, with everything bound.
duro_code duro__sqlite_list_prepare(list_sql *sql, statement *out, duro_error **err);

#endif
