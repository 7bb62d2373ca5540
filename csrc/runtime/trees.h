// trees: an instance with all that it started, for those who delete it.
//
// Protocol: read; stop (nothing of it moves any more; true when something is still in flight, then begin
// again once that is durable); delete into a batch.
#ifndef DURO_RUNTIME_TREES_H
#define DURO_RUNTIME_TREES_H

#include "runtime/internal.h"

typedef struct duro__tree {
  DURO__VEC(duro_instance_row) rows; // the root first, parents before children
  duro_arena arena;
  int64_t executions, events; // totals, of what is folded
} duro__tree;

// Answers the request and returns false when the root is unknown or the store fails.
bool duro__tree_read(duro_runtime *rt, duro_request *r, duro_str root, duro__tree *out);
// The same without a request. Errors: not_found, storage.
duro_code duro__tree_load(duro_runtime *rt, duro_str root, duro__tree *out, duro_error **err);
// `running`, naming whom, when something of it has not ended, or the root's parent has not.
duro_code duro__tree_idle(duro_runtime *rt, const duro__tree *t, duro_error **err);
// A parent that waits for this root hears that it was deleted, in the open batch.
void duro__tree_tell_parent(duro_runtime *rt, const duro_instance_row *root);
const duro_instance_row *duro__tree_unfinished(const duro__tree *t); // the first not ended, or NULL
bool duro__tree_stop(duro_runtime *rt, duro__tree *t);
void duro__tree_delete(duro_runtime *rt, duro__batch *b, duro__tree *t);
void duro__tree_free(duro__tree *t);

#endif
