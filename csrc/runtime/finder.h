// finder: finding instances for a request: pages of the store's list, until enough are found.
//
//   s = duro__finder_new(r, args);      // owns a copy of the arguments
//   ... s->query, s->wanted, ...      // slices in s->arena
//   s->found = answer;                // loop thread; answers the request; the finder is freed behind it
//   duro__finder_begin(s);
//
// A page that an index answers is read at once; what may take longer is read on the helper thread, page
// by page, so that neither turns nor other reads wait for it. Rows that the request may not see
// (shown.h) are left out on the loop thread.
#ifndef DURO_RUNTIME_FINDER_H
#define DURO_RUNTIME_FINDER_H

#include "runtime/internal.h"

typedef struct duro__finder duro__finder;
struct duro__finder {
  duro_request *request;
  duro_arena arena;      // what belongs to the whole search
  duro_str args;         // a copy
  duro_list_query query; // but its limit; its position moves along
  size_t wanted;         // rows at most
  size_t look_at_most;   // rows looked at; 0 = all
  bool counts;           // `total` is asked for
  // Whether a row is one of them; NULL: all. Any thread: it may read the store, and nothing else of
  // the runtime. `scratch` lives until the next row.
  duro_code (*matches)(duro_runtime *rt, duro__finder *s, const duro_instance_row *row,
                       duro_arena *scratch, bool *yes, duro_error **err);
  // Gets each row instead of `rows`, which stay empty: on the helper thread, or, when rows may be hidden
  // from the request, on the loop thread. It may set `enough`.
  duro_code (*visit)(duro__finder *s, const duro_instance_row *row, duro_error **err);
  bool enough;
  void (*found)(duro_runtime *rt, duro__finder *s);
  void (*failed)(duro__finder *s); // behind the answer; may be NULL
  void *user;                      // in the arena

  DURO__VEC(duro_instance_row) rows; // in order
  bool truncated;                    // there are, or may be, more
  size_t looked_at;
  int64_t total;

  // Inner: the page that is being read, by whichever thread has it.
  duro_instance_rows page;
  duro_arena page_arena;
  DURO__VEC(duro_arena) kept; // of pages with rows among `rows`
  bool counted;
  bool counting;          // the rows are found; now those that may be seen are counted
  duro_list_query behind; // the query as it was before that
  duro_code code;
  duro_error *error;
};

// NULL when memory is out: then the request is answered.
duro__finder *duro__finder_new(duro_request *r, duro_str args);
void duro__finder_free(duro__finder *s); // before it has begun
// Folds first when the query needs that.
void duro__finder_begin(duro__finder *s);
// The same, wholly on the loop thread and without a fold: for who must act upon what it finds before
// anything else happens. False: the request is answered. It stays the caller's.
bool duro__finder_now(duro__finder *s);
// Reads `filter` and `limit` of the arguments (verbs_list.c); answers the request when they are wrong.
bool duro__arg_list(duro_runtime *rt, duro_request *r, duro__finder *s);
void duro__list_found(duro_runtime *rt, duro__finder *s); // answers {instances, truncated?}
// {"instances":[summaries] -- the caller closes it.
void duro__add_found(duro_buf *b, duro_runtime *rt, const duro__finder *s);

#endif
