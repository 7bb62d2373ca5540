// verbs_delete.c: taking an instance out of the file.
//
// Invariant: an instance goes with everything it started, in one transaction; one that has not ended, or
// whose parent has not, goes only by force, and its parent is told in the same transaction.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/trees.h"

static void add_counts(duro_buf *b, const duro__tree *t) {
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "instances_deleted", (int64_t)t->rows.count);
  duro__add_int_member(b, "executions_deleted", t->executions);
  duro__add_int_member(b, "events_deleted", t->events);
  duro_buf_add_char(b, '}');
}

static void delete_now(duro_runtime *rt, duro_request *r, duro_str id, bool force, duro_str args) {
  duro__tree tree;
  if (!duro__tree_read(rt, r, id, &tree)) return;
  duro_error *err = NULL;
  duro_code code = force ? DURO_OK : duro__tree_idle(rt, &tree, &err);
  if (code) {
    duro__tree_free(&tree);
    duro__fail_with(r, code, err);
    return;
  }
  if (duro__tree_stop(rt, &tree)) {
    duro__tree_free(&tree);
    duro__call_again(rt, r, duro__verb_delete_instance, args);
    return;
  }
  duro__batch *b = duro__batch_open(rt);
  if (b) {
    duro__tree_tell_parent(rt, &tree.rows.items[0]);
    add_counts(&r->answer, &tree);
    duro__tree_delete(rt, b, &tree);
    duro__batch_answer(rt, b, r);
  } else {
    duro__fail_memory(r);
  }
  duro__tree_free(&tree);
}

// The counts are exact once everything is folded.
static void delete_folded(duro_request *r, void *user) {
  (void)user;
  duro_arena arena = {0};
  duro_buf args = r->again_args;
  duro_str id;
  r->again_args = (duro_buf){0};
  if (duro__arg_id(r, duro_buf_str(&args), "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena,
                   &id)) {
    bool force = duro_json_member_bool(duro_buf_str(&args), "force", false);
    delete_now(r->rt, r, id, force, duro_buf_str(&args));
  }
  duro_arena_free(&arena);
  duro_buf_free(&args);
}

void duro__verb_delete_instance(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str id;
  bool fine = duro__arg_object(r, args) &&
              duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id);
  duro__instance *live = fine ? duro__live(rt, id) : NULL;
  if (live && live->gone && live->batches) { // it has ended a moment ago
    duro__call_again(rt, r, duro__verb_delete_instance, args);
    fine = false;
  }
  duro_arena_free(&arena);
  if (!fine) return;
  duro_buf_clear(&r->again_args);
  duro_buf_add_str(&r->again_args, args);
  if (r->again_args.oom)
    duro__fail_memory(r);
  else
    duro__when_folded(rt, r, delete_folded, NULL);
}
