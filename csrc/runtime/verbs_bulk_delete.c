// verbs_bulk_delete.c: deleting many instances with everything they started, in one transaction.
//
// Two rounds: first everything chosen is made to stand still, and when something of it is in flight, the
// whole call begins again once that is durable; then all of it goes into one batch. One that is in the
// tree of another goes with that one.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/bulk.h"
#include "runtime/trees.h"

typedef struct forest {
  DURO__VEC(duro__tree) trees;
  duro_map keys; // of every row in them
} forest;

static void forest_free(forest *f) {
  for (size_t n = 0; n < f->trees.count; n++) duro__tree_free(&f->trees.items[n]);
  free(f->trees.items);
  duro_map_free(&f->keys);
}

// Nothing of the tree, and not its parent, is still at work.
static bool may_go(duro_runtime *rt, duro__bulk *b, const duro__tree *t, duro_str id) {
  duro_error *err = NULL;
  duro_code code = duro_json_member_bool(b->finder->args, "force", false)
                       ? DURO_OK
                       : duro__tree_idle(rt, t, &err);
  if (code) duro__bulk_failed(b, id, code, err);
  return !code;
}

static bool add_tree(duro_runtime *rt, duro__bulk *b, forest *f, duro_str id) {
  duro__tree tree;
  duro_error *err = NULL;
  duro_code code = duro__tree_load(rt, id, &tree, &err);
  if (code) {
    if (code == DURO_NOT_FOUND) duro_fail(&err, code, "no instance '%.*s'", DURO_FMT(id));
    duro__bulk_failed(b, id, code, err);
    return true;
  }
  if (!may_go(rt, b, &tree, id)) {
    duro__tree_free(&tree);
    return true;
  }
  duro__bulk_add_id(&b->done, id);
  duro__tree *slot = duro__vec_push(&f->trees);
  if (!slot) {
    duro__tree_free(&tree);
    return false;
  }
  *slot = tree;
  return true;
}

static bool stop_all(duro_runtime *rt, forest *f) {
  bool in_flight = false;
  for (size_t n = 0; n < f->trees.count; n++) in_flight |= duro__tree_stop(rt, &f->trees.items[n]);
  return in_flight;
}

// Leaves out of each tree what an earlier one has already. False when memory is out.
static bool disjoin(forest *f) {
  for (size_t n = 0; n < f->trees.count; n++) {
    duro__tree *t = &f->trees.items[n];
    size_t kept = 0;
    for (size_t i = 0; i < t->rows.count; i++) {
      if (duro_map_get_int(&f->keys, t->rows.items[i].key)) continue;
      if (!duro_map_put_int(&f->keys, t->rows.items[i].key, t)) return false;
      t->rows.items[kept++] = t->rows.items[i];
    }
    t->rows.count = kept;
  }
  return true;
}

static void delete_all(duro_runtime *rt, duro__bulk *b, forest *f) {
  duro__batch *batch = duro__batch_open(rt);
  for (size_t n = 0; batch && n < f->trees.count; n++) {
    duro__tree *t = &f->trees.items[n];
    if (t->rows.count) duro__tree_tell_parent(rt, &t->rows.items[0]);
  }
  if (!batch || !disjoin(f)) {
    if (batch) batch->poisoned = true;
    duro__fail_memory(b->request);
    return;
  }
  for (size_t n = 0; n < f->trees.count; n++) duro__tree_delete(rt, batch, &f->trees.items[n]);
  duro__bulk_answer(rt, b, NULL);
}

// The choice stands: the second round is by id, for what was chosen has been stopped.
static void again(duro_runtime *rt, duro__bulk *b) {
  duro_buf args = {0}, ids = {0};
  for (size_t n = 0; n < b->count; n++) duro__bulk_add_id(&ids, b->ids[n]);
  duro_buf_add_lit(&args, "{\"instances\":[");
  duro_buf_add_str(&args, duro_buf_str(&ids));
  duro_buf_add_char(&args, ']');
  duro__add_int_member(&args, "matched", b->total);
  duro__add_json_member(&args, "denied", duro__member(b->finder->args, "denied"));
  if (duro_json_member_bool(b->finder->args, "force", false))
    duro_buf_add_lit(&args, ",\"force\":true");
  duro_buf_add_char(&args, '}');
  if (args.oom || ids.oom)
    duro__fail_memory(b->request);
  else
    duro__call_again(rt, b->request, duro__verb_delete_instances, duro_buf_str(&args));
  duro_buf_free(&args);
  duro_buf_free(&ids);
}

static void act(duro_runtime *rt, duro__bulk *b) {
  forest f = {0};
  bool fine = true;
  for (size_t n = 0; n < b->count && fine; n++) fine = add_tree(rt, b, &f, b->ids[n]);
  if (!fine) {
    duro__fail_memory(b->request);
  } else if (b->dry_run || !f.trees.count) {
    duro__bulk_answer(rt, b, NULL);
  } else if (stop_all(rt, &f)) {
    again(rt, b);
  } else {
    delete_all(rt, b, &f);
  }
  forest_free(&f);
}

void duro__verb_delete_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__bulk_kind kind = {"deleted_instances", act, 0};
  duro__bulk_begin(rt, r, args, &kind);
}
