// verbs_bulk_delete.c: deleting many instances with everything they started, in one transaction.
//
// Two rounds: by force, first everything chosen is made to stand still, which changes nothing in the file,
// until nothing of it is in flight; then tree after tree goes into one batch. One that is in the tree of
// another goes with that one.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/bulk.h"
#include "runtime/trees.h"

// False: it is among the failed.
static bool load(duro_runtime *rt, duro__bulk *b, duro_str id, duro__tree *out) {
  duro_error *err = NULL;
  duro_code code = duro__tree_load(rt, id, out, &err);
  if (!code) return true;
  if (code == DURO_NOT_FOUND) duro_fail(&err, code, "no instance '%.*s'", DURO_FMT(id));
  duro__bulk_failed(b, id, code, err);
  return false;
}

// Nothing of the tree, and not its parent, is still at work.
static bool may_go(duro_runtime *rt, duro__bulk *b, const duro__tree *t, duro_str id) {
  duro_error *err = NULL;
  duro_code code = b->force ? DURO_OK : duro__tree_idle(rt, t, &err);
  if (code) duro__bulk_failed(b, id, code, err);
  return !code;
}

// --- The first round ---

// Marks what stands still for this call alone, so that it stays in memory and nobody loads it again.
static void mark_stopped(duro_runtime *rt, duro__bulk *b, const duro__tree *t) {
  for (size_t n = 0; n < t->rows.count; n++) {
    const duro_instance_row *row = &t->rows.items[n];
    duro__instance *i = duro__live_by_key(rt, row->key);
    if (!i || i->stopped || duro_status_final(row->status)) continue;
    int64_t *slot = duro__vec_push(&b->stopped);
    if (!slot) return; // one that leaves memory is only stopped again
    *slot = row->key;
    i->stopped = true;
  }
}

static bool stop(duro_runtime *rt, duro__bulk *b, duro_str id) {
  duro__tree tree;
  duro_error *err = NULL;
  if (duro__tree_load(rt, id, &tree, &err)) {
    duro_error_free(err); // the second round tells
    return false;
  }
  bool in_flight = duro__tree_stop(rt, &tree);
  mark_stopped(rt, b, &tree);
  duro__tree_free(&tree);
  return in_flight;
}

// --- The second round ---

// Leaves out of a tree what this call has deleted already.
static void leave_out_deleted(const duro__bulk *b, duro__tree *t) {
  size_t kept = 0;
  for (size_t n = 0; n < t->rows.count; n++) {
    if (!duro_map_get_int(&b->deleted, t->rows.items[n].key))
      t->rows.items[kept++] = t->rows.items[n];
  }
  t->rows.count = kept;
}

static void delete_tree(duro_runtime *rt, duro__bulk *b, duro__tree *t) {
  duro__batch *batch = rt->open;
  duro__tree_tell_parent(rt, &t->rows.items[0]);
  duro__tree_delete(rt, batch, t);
  for (size_t n = 0; n < t->rows.count; n++) {
    if (!duro_map_put_int(&b->deleted, t->rows.items[n].key, b)) batch->poisoned = true;
  }
}

// It moved since the first round, or another call deletes it in the same batch.
static void fail_moved(duro__bulk *b, duro_str id) {
  duro_error *err = NULL;
  duro_code code =
      duro_fail(&err, DURO_BUSY,
                "instance '%.*s' was at work, or was deleted, meanwhile: try again", DURO_FMT(id));
  duro__bulk_failed(b, id, code, err);
}

static bool act_on_tree(duro_runtime *rt, duro__bulk *b, duro_str id, duro__tree *t, bool last) {
  bool gone = duro_map_get_int(&b->deleted, t->rows.items[0].key) != NULL;
  if (!gone && !may_go(rt, b, t, id)) return true;
  if (!gone && !b->dry_run) {
    leave_out_deleted(b, t);
    if (duro__tree_stop(rt, t)) {
      if (last) fail_moved(b, id);
      return last;
    }
    delete_tree(rt, b, t);
  }
  duro__bulk_add_id(&b->done, id);
  return true;
}

static bool act(duro_runtime *rt, duro__bulk *b, duro_str id, bool last) {
  duro__tree tree;
  if (!load(rt, b, id, &tree)) return true;
  bool done = act_on_tree(rt, b, id, &tree, last);
  duro__tree_free(&tree);
  return done;
}

void duro__verb_delete_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__bulk_kind kind = {.done_key = "deleted_instances", .act = act, .stop = stop};
  duro__bulk_begin(rt, r, args, &kind);
}
