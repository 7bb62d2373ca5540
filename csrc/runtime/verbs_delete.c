// verbs_delete.c: taking instances and old executions out of the file.
//
// Invariant: an instance goes with everything it started, in one transaction; one that has not ended, or
// whose parent has not, goes only by force, and its parent is told in the same transaction.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/trees.h"

// --- delete_instance ---

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

// --- prune_executions ---

typedef struct prune {
  int64_t key, keep_last, completed_before_ms, executions, events;
  duro_request *request;
} prune;

static void prune_run(duro_runtime *rt, duro__command *c) {
  prune *p = c->subject;
  c->code = duro__store_prune(rt->store, c->number, p->key, p->keep_last, p->completed_before_ms,
                              &p->executions, &p->events, &c->error);
}

static void prune_done(duro_runtime *rt, duro__command *c) {
  (void)rt;
  prune *p = c->subject;
  duro_request *r = p->request;
  if (c->code) {
    duro__fail_with(r, c->code, c->error);
  } else {
    duro_buf_clear(&r->answer);
    duro_buf_add_char(&r->answer, '{');
    duro__add_int_member(&r->answer, "executions_deleted", p->executions);
    duro__add_int_member(&r->answer, "events_deleted", p->events);
    duro_buf_add_char(&r->answer, '}');
    duro__request_durable(r);
  }
  free(p);
  duro_arena_free(&c->arena);
  free(c);
}

static bool read_prune(duro_runtime *rt, duro_request *r, duro_str args, prune *out) {
  duro_arena arena = {0};
  duro_str id;
  duro_instance_row row;
  *out = (prune){.request = r};
  bool fine = duro__arg_object(r, args) &&
              duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
              duro__arg_int(r, args, "keep_last", 1, 0, &out->keep_last) &&
              duro__arg_int(r, args, "completed_before_ms", 0, 0, &out->completed_before_ms) &&
              duro__read_row(rt, r, id, &arena, &row);
  if (fine && !duro__member(args, "keep_last").p && !out->completed_before_ms) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'keep_last' or 'completed_before' is needed");
    fine = false;
  }
  if (fine) out->key = row.key;
  if (out->keep_last < 1) out->keep_last = 1; // the current one stays in any case
  duro_arena_free(&arena);
  return fine;
}

// Past executions only, which nothing writes any more: so it needs no batch, only its turn on the store
// thread.
static void prune_folded(duro_request *r, void *user) {
  (void)user;
  duro_runtime *rt = r->rt;
  duro_buf args = r->again_args;
  prune p;
  r->again_args = (duro_buf){0};
  bool fine = read_prune(rt, r, duro_buf_str(&args), &p);
  duro_buf_free(&args);
  if (!fine) return;
  duro__command *c = duro__command_new(prune_run, prune_done);
  prune *own = malloc(sizeof *own);
  if (!c || !own) {
    free(c);
    free(own);
    duro__fail_memory(r);
    return;
  }
  *own = p;
  c->subject = own;
  c->number = rt->epoch;
  duro__writer_push(rt, c);
}

void duro__verb_prune_executions(duro_runtime *rt, duro_request *r, duro_str args) {
  prune p;
  if (!read_prune(rt, r, args, &p)) return;
  duro_buf_clear(&r->again_args);
  duro_buf_add_str(&r->again_args, args);
  if (r->again_args.oom)
    duro__fail_memory(r);
  else
    duro__when_folded(rt, r, prune_folded, NULL);
}
