// verbs_dependencies.c: whose child an instance is, and what it has started, as a tree.
//
// Read from committed rows, level by level, on the helper thread: the children of one node stand side by side,
// parents before children. Detached instances are roots of their own and no part of it. Where rows may be
// hidden from the request, the host is asked about each, so all is read on the loop thread.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/shown.h"

#define PAGE 500

typedef struct node {
  duro_instance_row row;
  size_t first_child, child_count;
} node;

typedef struct family {
  duro_request *request;
  int64_t depth; // shown
  duro_arena arena;
  DURO__VEC(node) nodes; // the asked one first
  duro_str root;
  duro_instance_row parent; // no id: it has none, or that is gone
  size_t parent_children;
} family;

// --- Reading ---

// Calls for every child that the request may see; `out` NULL: only counts them.
static duro_code read_children(duro_runtime *rt, const duro_request *r, duro_str parent_id,
                               family *out, duro_arena *arena, size_t *count, duro_error **err) {
  duro_list_query query = {.filter.parent_id = parent_id, .ascending = true, .limit = PAGE};
  for (;;) {
    duro_instance_rows page = {0};
    duro_code code = duro__store_list(rt->store, &query, arena, &page, err);
    if (code) return code;
    for (size_t i = 0; i < page.count; i++) {
      query.after_key = page.items[i].key;
      if (!duro__row_visible(r, &page.items[i])) continue;
      ++*count;
      if (!out) continue;
      node *slot = duro__vec_push(&out->nodes);
      if (!slot) return duro_fail_oom(err);
      slot->row = page.items[i];
    }
    if (!page.truncated || !page.count) return DURO_OK;
  }
}

static duro_code read_down(duro_runtime *rt, const duro_request *r, family *f, duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < f->nodes.count && !code; i++) {
    size_t first = f->nodes.count, count = 0;
    code = read_children(rt, r, f->nodes.items[i].row.id, f, &f->arena, &count, err);
    f->nodes.items[i].first_child = first;
    f->nodes.items[i].child_count = count;
  }
  return code;
}

// Up to the top; an ancestor that is gone, or hidden from the request, ends the way.
static duro_code read_up(duro_runtime *rt, const duro_request *r, family *f, duro_error **err) {
  duro_instance_row at = f->nodes.items[0].row;
  f->root = at.id;
  while (at.parent_id.p) {
    duro_instance_row above;
    duro_error *problem = NULL;
    duro_code code = duro__store_get(rt->store, at.parent_id, &f->arena, &above, &problem);
    duro_error_free(problem);
    if (code && code != DURO_NOT_FOUND) {
      return duro_fail(err, code, "the ancestors of '%.*s' could not be read", DURO_FMT(at.id));
    }
    if (code || !duro__row_visible(r, &above)) return DURO_OK;
    if (!f->parent.id.p) f->parent = above;
    f->root = above.id;
    at = above;
  }
  return DURO_OK;
}

static duro_code read_all(duro_runtime *rt, const duro_request *r, family *f, duro_error **err) {
  duro_arena scratch = {0};
  duro_code code = read_up(rt, r, f, err);
  if (!code) code = read_down(rt, r, f, err);
  if (!code && f->parent.id.p) {
    code = read_children(rt, r, f->parent.id, NULL, &scratch, &f->parent_children, err);
  }
  duro_arena_free(&scratch);
  return code;
}

// --- Writing ---

static void add_children(duro_buf *b, const family *f, const node *n, int64_t depth);

// The braces of a row are closed by the caller.
static void open_row(duro_buf *b, const duro_instance_row *row, size_t child_count) {
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", row->id);
  duro__add_text_member(b, "orchestration_name", row->name);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(row->status)));
  duro__add_int_member(b, "child_count", (int64_t)child_count);
}

static void add_child(duro_buf *b, const family *f, const node *n, int64_t depth) {
  open_row(b, &n->row, n->child_count);
  if (n->child_count && depth > 0) add_children(b, f, n, depth);
  duro_buf_add_char(b, '}');
}

static void add_children(duro_buf *b, const family *f, const node *n, int64_t depth) {
  duro__add_key(b, "children");
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < n->child_count && depth > 0; i++) {
    if (i) duro_buf_add_char(b, ',');
    add_child(b, f, &f->nodes.items[n->first_child + i], depth - 1);
  }
  duro_buf_add_char(b, ']');
}

static void add_family(duro_buf *b, const family *f, int64_t depth) {
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", f->nodes.items[0].row.id);
  duro__add_text_member(b, "root_instance", f->root);
  if (f->parent.id.p) {
    duro__add_key(b, "parent");
    open_row(b, &f->parent, f->parent_children);
    duro_buf_add_char(b, '}');
  }
  add_children(b, f, &f->nodes.items[0], depth);
  duro__add_int_member(b, "total_descendants", (int64_t)f->nodes.count - 1);
  duro_buf_add_char(b, '}');
}

// --- The verb ---

static void family_free(family *f) {
  free(f->nodes.items);
  duro_arena_free(&f->arena);
  free(f);
}

static void answer(family *f, duro_code code, duro_error *err) {
  duro_request *r = f->request;
  if (!code && r->rt->closing) code = duro_fail(&err, DURO_CLOSED, "the runtime was closed");
  if (code) {
    duro__fail_with(r, code, err);
  } else {
    add_family(&r->answer, f, f->depth);
    duro__request_durable(r);
  }
  family_free(f);
}

static void read_run(duro_runtime *rt, duro__command *c) {
  family *f = c->subject;
  c->code = read_all(rt, f->request, f, &c->error);
}

static void read_done(duro_runtime *rt, duro__command *c) {
  (void)rt;
  answer(c->subject, c->code, c->error);
  duro_arena_free(&c->arena);
  free(c);
}

static void begin(duro_runtime *rt, family *f) {
  duro_error *err = NULL;
  duro__command *c = NULL;
  if (!duro__rows_hidden(f->request)) c = duro__command_new(read_run, read_done);
  if (c) {
    c->subject = f;
    duro__helper_push(rt, c);
  } else {
    duro_code code = read_all(rt, f->request, f, &err);
    answer(f, code, err);
  }
}

static bool read_first(duro_runtime *rt, duro_request *r, duro_str args, family *f) {
  duro_str id;
  duro_instance_row row;
  if (!duro__arg_object(r, args) ||
      !duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &f->arena, &id) ||
      !duro__arg_int(r, args, "depth", DURO_MAX_TREE_SHOWN, 0, &f->depth) ||
      !duro__read_row(rt, r, id, &f->arena, &row))
    return false;
  if (f->depth > DURO_MAX_TREE_SHOWN) f->depth = DURO_MAX_TREE_SHOWN;
  node *first = duro__vec_push(&f->nodes);
  if (!first) {
    duro__fail_memory(r);
    return false;
  }
  first->row = row;
  return true;
}

void duro__verb_dependencies(duro_runtime *rt, duro_request *r, duro_str args) {
  family *f = calloc(1, sizeof *f);
  if (!f) {
    duro__fail_memory(r);
    return;
  }
  f->request = r;
  if (read_first(rt, r, args, f))
    begin(rt, f);
  else
    family_free(f);
}
