// bulk.c: see bulk.h. Choosing, and outcomes; bulk_steps.c works it off, and what is done to each is in
// verbs_bulk.c, verbs_bulk_delete.c and verbs_retry.c.
//
// By id they are taken as given. By filter they are found on the helper thread, and asked again in the slice
// that acts.
#include "runtime/bulk.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/finder.h"

// --- Outcomes ---

void duro__bulk_add_id(duro_buf *list, duro_str id) {
  if (list->n) duro_buf_add_char(list, ',');
  duro_json_add_string(list, id);
}

void duro__bulk_failed(duro__bulk *b, duro_str id, duro_code code, duro_error *err) {
  if (b->failed.n) duro_buf_add_char(&b->failed, ',');
  duro_buf_add_char(&b->failed, '{');
  duro__add_text_member(&b->failed, "instance_id", id);
  duro__add_key(&b->failed, "error");
  duro__add_error(&b->failed, code, err);
  duro_buf_add_char(&b->failed, '}');
  duro_error_free(err);
}

duro__instance *duro__bulk_fetch(duro_runtime *rt, duro__bulk *b, duro_str id) {
  duro__instance *i = NULL;
  duro_status ended = DURO_STATUS_COMPLETED;
  duro_error *err = NULL;
  duro_code code = duro__instance_fetch(rt, id, &i, &ended, &err);
  if (!code && i) {
    if (duro__start_waits(i)) duro__clients_take(rt);
    return i;
  }
  if (!code) {
    code = duro_fail(&err, DURO_FINISHED, "instance '%.*s' has ended (%s)", DURO_FMT(id),
                     duro_status_string(ended));
  } else if (code == DURO_NOT_FOUND) {
    duro_fail(&err, code, "no instance '%.*s'", DURO_FMT(id));
  }
  duro__bulk_failed(b, id, code, err);
  return NULL;
}

// --- The chosen ones ---

// Those whom the caller's host has refused already.
static bool add_denied(duro__bulk *b) {
  duro_str *ids;
  size_t count;
  if (!duro__member(b->args, "denied").p) return true;
  if (!duro__arg_ids(b->request, b->args, "denied", &b->arena, &ids, &count)) return false;
  for (size_t i = 0; i < count; i++) {
    duro_error *err = NULL;
    duro_fail(&err, DURO_DENIED, "this is not allowed for instance '%.*s'", DURO_FMT(ids[i]));
    duro__bulk_failed(b, ids[i], DURO_DENIED, err);
  }
  return true;
}

// NULL: the request is answered. What it keeps is its own, so the finder may go.
static duro__bulk *new_bulk(duro_runtime *rt, const duro__finder *f) {
  duro__bulk *b = calloc(1, sizeof *b);
  if (b) b->args = duro_arena_dup(&b->arena, f->args);
  if (!b || !b->args.p) {
    duro__fail_memory(f->request);
    if (b) duro__bulk_free(rt, b);
    return NULL;
  }
  b->kind = f->user;
  b->request = f->request;
  b->dry_run = duro_json_member_bool(b->args, "dry_run", false);
  b->force = duro_json_member_bool(b->args, "force", false);
  b->reason = duro_json_member_text(b->args, "reason", &b->arena);
  if (add_denied(b) && (!b->kind->read || b->kind->read(rt, b))) return b;
  duro__bulk_free(rt, b);
  return NULL;
}

static size_t most_acted_on(duro_runtime *rt, const duro__finder *f) {
  int64_t most = rt->options.max_bulk_operations;
  int64_t wanted = duro_json_member_int(f->args, "max_instances", most);
  return (size_t)(wanted < most ? wanted : most);
}

// --- By id ---

// A host that narrowed the choice before has counted.
static void set_total(duro__bulk *b, int64_t total) {
  b->total = duro_json_member_int(b->args, "matched", total);
}

static void refuse_too_many(duro_runtime *rt, duro_request *r, int64_t count, const char *what) {
  duro__request_fail(r, DURO_TOO_LARGE,
                     "%lld instances are %s, %lld are allowed at once; nothing was done",
                     (long long)count, what, (long long)rt->options.max_bulk_operations);
}

// Leaves out those given before. False: memory is out.
static bool each_once(duro__bulk *b, size_t count) {
  duro_map seen = {0};
  bool oom = false;
  for (size_t i = 0; i < count && !oom; i++) {
    if (duro_map_get(&seen, b->ids[i])) continue;
    oom = !duro_map_put(&seen, b->ids[i], b);
    b->ids[b->count++] = b->ids[i];
  }
  duro_map_free(&seen);
  return !oom;
}

static bool take_ids(duro_runtime *rt, duro__bulk *b) {
  size_t count;
  if (!duro__arg_ids(b->request, b->args, "instances", &b->arena, &b->ids, &count)) return false;
  if (!each_once(b, count)) {
    duro__fail_memory(b->request);
    return false;
  }
  set_total(b, (int64_t)b->count);
  if ((int64_t)b->count <= rt->options.max_bulk_operations) return true;
  refuse_too_many(rt, b->request, (int64_t)b->count, "given");
  return false;
}

static void by_id(duro_runtime *rt, duro__finder *f) {
  duro__bulk *b = new_bulk(rt, f);
  if (!b) return;
  if (!take_ids(rt, b)) {
    duro__bulk_free(rt, b);
    return;
  }
  if (b->count > f->wanted) b->count = f->wanted;
  duro__bulk_work(rt, b);
}

// --- By filter ---

static bool take_found(duro__bulk *b, const duro__finder *f) {
  size_t count = f->rows.count;
  b->filtered = true;
  set_total(b, f->truncated ? f->total : -1);
  b->ids = duro_arena_alloc(&b->arena, (count + 1) * sizeof *b->ids);
  for (size_t i = 0; b->ids && i < count; i++)
    b->ids[b->count++] = duro_arena_dup(&b->arena, f->rows.items[i].id);
  if (b->arena.oom) {
    duro__fail_memory(b->request);
    return false;
  }
  return duro__arg_filter(b->request, duro__member(b->args, "filter"), &b->arena, &b->filter);
}

static void by_filter(duro_runtime *rt, duro__finder *f) {
  duro__bulk *b = new_bulk(rt, f);
  if (!b) return;
  if (take_found(b, f))
    duro__bulk_work(rt, b);
  else
    duro__bulk_free(rt, b);
}

static void filter_found(duro_runtime *rt, duro__finder *f) {
  bool capped = duro__member(f->args, "max_instances").p != NULL;
  if (f->truncated && !capped)
    refuse_too_many(rt, f->request, f->total, "matched");
  else
    by_filter(rt, f);
}

// A member that is there and leaves nobody out, such as an empty prefix, is no restriction either.
static bool leaves_nobody_out(const duro_filter *f) {
  return !f->statuses && !f->name_count && !f->version.n && !f->id_prefix.n && !f->created_after &&
         !f->created_before && !f->updated_after && !f->updated_before && !f->completed_after &&
         !f->completed_before && !f->has_parent && !f->parent_id.n && !f->attribute_count &&
         !f->error_contains.n && !f->waiting_on.n;
}

static bool filter_fits(duro_request *r, duro__finder *f, duro_str filter) {
  if (!duro__arg_filter(r, filter, &f->arena, &f->query.filter)) return false;
  if (!leaves_nobody_out(&f->query.filter) || duro_json_member_bool(f->args, "all", false))
    return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT,
                     "an empty filter matches every instance: it also needs all=true");
  return false;
}

// --- Beginning ---

static bool arguments_fit(duro_request *r, const duro__finder *f, int64_t cap) {
  duro_str ids = duro__member(f->args, "instances"), filter = duro__member(f->args, "filter"),
           reason;
  int64_t most;
  duro_arena scratch = {0};
  bool fine = duro__arg_int(r, f->args, "max_instances", 1, 1, &most) &&
              duro__arg_text(r, f->args, "reason", DURO_MAX_REASON_BYTES, &scratch, &reason);
  duro_arena_free(&scratch);
  if (!fine) return false;
  if (!ids.p == !filter.p) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT,
                       "exactly one of 'instances' and 'filter' is needed");
    return false;
  }
  if (most <= cap) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "max_instances is %lld, at most %lld is allowed",
                     (long long)most, (long long)cap);
  return false;
}

void duro__bulk_begin(duro_runtime *rt, duro_request *r, duro_str args,
                      const duro__bulk_kind *kind) {
  duro__finder *f = duro__finder_new(r, args);
  if (!f) return;
  union { // the finder passes it back untouched
    const duro__bulk_kind *in;
    void *out;
  } user = {kind};
  f->user = user.out;
  f->found = filter_found;
  f->counts = true;
  f->wanted = most_acted_on(rt, f);
  duro_str filter = duro__member(f->args, "filter");
  bool fine = duro__arg_object(r, f->args) && arguments_fit(r, f, rt->options.max_bulk_operations);
  if (fine && filter.p && filter_fits(r, f, filter) &&
      duro__arg_only(r, f->args, &f->arena, &f->query.filter)) {
    duro__finder_begin(f);
    return;
  }
  if (fine && !filter.p) by_id(rt, f);
  duro__finder_free(f);
}
