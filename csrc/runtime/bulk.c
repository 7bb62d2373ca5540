// bulk.c: see bulk.h. Choosing, and the answer; what is done is in verbs_bulk.c and verbs_bulk_delete.c.
//
// By id they are taken as given. By filter they are found on the helper thread, and asked again in the step
// that acts.
#include "runtime/bulk.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"

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

static void add_list(duro_buf *b, const char *key, const duro_buf *list) {
  duro__add_key(b, key);
  duro_buf_add_char(b, '[');
  duro_buf_add_str(b, duro_buf_str(list));
  duro_buf_add_char(b, ']');
}

void duro__bulk_answer(duro_runtime *rt, duro__bulk *b, const char *extra) {
  duro_request *r = b->request;
  duro_buf_clear(&r->answer);
  duro_buf_add_char(&r->answer, '{');
  add_list(&r->answer, b->kind->done_key, &b->done);
  add_list(&r->answer, "failed_instances", &b->failed);
  if (extra) add_list(&r->answer, extra, &b->third);
  duro__add_int_member(&r->answer, "total_matched", b->total);
  duro_buf_add_char(&r->answer, '}');
  bool oom = b->done.oom || b->failed.oom || b->third.oom || r->answer.oom;
  bool acted = !b->dry_run && (b->done.n || b->third.n);
  duro__batch *batch = acted ? duro__batch_open(rt) : NULL;
  if (batch) {
    if (oom) batch->poisoned = true;
    duro__batch_answer(rt, batch, r);
  } else if (oom || acted) {
    duro__fail_memory(r);
  } else {
    duro__request_durable(r);
  }
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
  duro__finder *f = b->finder;
  if (!duro__member(f->args, "denied").p) return true;
  if (!duro__arg_ids(b->request, f->args, "denied", &f->arena, &ids, &count)) return false;
  for (size_t i = 0; i < count; i++) {
    duro_error *err = NULL;
    duro_fail(&err, DURO_DENIED, "this is not allowed for instance '%.*s'", DURO_FMT(ids[i]));
    duro__bulk_failed(b, ids[i], DURO_DENIED, err);
  }
  return true;
}

static void act(duro_runtime *rt, duro__finder *f, const duro_str *ids, size_t count,
                int64_t total) {
  duro__bulk b = {.kind = f->user,
                  .request = f->request,
                  .finder = f,
                  .count = count,
                  .total = duro_json_member_int(f->args, "matched", total),
                  .dry_run = duro_json_member_bool(f->args, "dry_run", false),
                  .reason = duro_json_member_text(f->args, "reason", &f->arena)};
  b.ids = duro_arena_alloc(&f->arena, (count + 1) * sizeof *b.ids);
  if (b.ids && count) memcpy(b.ids, ids, count * sizeof *b.ids);
  if (!b.ids)
    duro__fail_memory(f->request);
  else if (add_denied(&b))
    b.kind->act(rt, &b);
  duro_buf_free(&b.done);
  duro_buf_free(&b.failed);
  duro_buf_free(&b.third);
}

static size_t most_acted_on(duro_runtime *rt, const duro__finder *f) {
  int64_t most = rt->options.max_bulk_operations;
  int64_t wanted = duro_json_member_int(f->args, "max_instances", most);
  return (size_t)(wanted < most ? wanted : most);
}

// --- By id ---

static void refuse_too_many(duro_runtime *rt, duro_request *r, int64_t count, const char *what) {
  duro__request_fail(r, DURO_TOO_LARGE,
                     "%lld instances are %s, %lld are allowed at once; nothing was done",
                     (long long)count, what, (long long)rt->options.max_bulk_operations);
}

// The ids without those given before.
static void by_id(duro_runtime *rt, duro__finder *f) {
  duro_str *ids;
  size_t count, kept = 0;
  duro_map seen = {0};
  bool oom = false;
  if (!duro__arg_ids(f->request, f->args, "instances", &f->arena, &ids, &count)) return;
  for (size_t i = 0; i < count && !oom; i++) {
    if (duro_map_get(&seen, ids[i])) continue;
    oom = !duro_map_put(&seen, ids[i], f);
    ids[kept++] = ids[i];
  }
  duro_map_free(&seen);
  if (oom) {
    duro__fail_memory(f->request);
  } else if ((int64_t)kept > rt->options.max_bulk_operations) {
    refuse_too_many(rt, f->request, (int64_t)kept, "given");
  } else {
    size_t most = most_acted_on(rt, f);
    act(rt, f, ids, kept < most ? kept : most, (int64_t)kept);
  }
}

// --- By filter ---

// What it is now may be ahead of its row, by a batch that is under way.
static bool still_matches(duro_runtime *rt, const duro_filter *filter,
                          const duro_instance_row *row) {
  const duro__instance *i = duro__live_by_key(rt, row->key);
  if (!i) return true;
  if (i->deleted) return false;
  return !filter->statuses || filter->statuses >> i->status & 1;
}

// Asks the filter again about these alone, on the loop thread: what it gives is so when it is acted upon.
static void confirm(duro_runtime *rt, duro__finder *first) {
  size_t found = first->rows.count, kept = 0;
  duro_str *ids = duro_arena_alloc(&first->arena, (found + 1) * sizeof *ids);
  duro__finder *again = ids ? duro__finder_new(first->request, DURO_STR("")) : NULL;
  if (!ids) duro__fail_memory(first->request);
  if (!again) return;
  for (size_t i = 0; i < found; i++) ids[i] = first->rows.items[i].id;
  again->query.filter = first->query.filter;
  again->query.filter.ids = ids;
  again->query.filter.id_count = found;
  again->wanted = found;
  if (!found || duro__finder_now(again)) {
    for (size_t i = 0; i < again->rows.count; i++) {
      if (still_matches(rt, &first->query.filter, &again->rows.items[i]))
        ids[kept++] = again->rows.items[i].id;
    }
    int64_t total = first->truncated ? first->total : (int64_t)kept;
    act(rt, first, ids, kept, total);
  }
  duro__finder_free(again);
}

static void filter_found(duro_runtime *rt, duro__finder *f) {
  bool capped = duro__member(f->args, "max_instances").p != NULL;
  if (f->truncated && !capped)
    refuse_too_many(rt, f->request, f->total, "matched");
  else
    confirm(rt, f);
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
