// verbs_list.c: lists of instances, whole and in pages.
//
// Pages go on behind the last row by value (keyset), so that inserts neither repeat nor hide a row; equal
// values are told apart by key. What a row shows is finder.c's and shown.c's matter.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/page_token.h"
#include "runtime/finder.h"

// --- list_instances ---

// From 1 to max_list_instances.
static bool arg_limit(duro_runtime *rt, duro_request *r, duro_str args, const char *key,
                      int64_t otherwise, size_t *out) {
  int64_t most = rt->options.max_list_instances, limit;
  if (otherwise > most) otherwise = most;
  if (!duro__arg_int(r, args, key, otherwise, 1, &limit)) return false;
  *out = (size_t)limit;
  if (limit <= most) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the %s is %lld, at most %lld is allowed", key,
                     (long long)limit, (long long)most);
  return false;
}

bool duro__arg_list(duro_runtime *rt, duro_request *r, duro__finder *s) {
  return duro__arg_object(r, s->args) &&
         duro__arg_filter(r, duro__member(s->args, "filter"), &s->arena, &s->query.filter) &&
         arg_limit(rt, r, s->args, "limit", rt->options.max_list_instances, &s->wanted);
}

void duro__list_found(duro_runtime *rt, duro__finder *s) {
  duro_buf *b = &s->request->answer;
  duro__add_found(b, rt, s);
  if (s->truncated) duro_buf_add_lit(b, ",\"truncated\":true");
  duro_buf_add_char(b, '}');
  duro__request_durable(s->request);
}

void duro__verb_list_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  duro__finder *s = duro__finder_new(r, args);
  if (!s) return;
  s->found = duro__list_found;
  if (duro__arg_list(rt, r, s))
    duro__finder_begin(s);
  else
    duro__finder_free(s);
}

// --- list_instances_paginated ---

static bool arg_order(duro_request *r, duro__finder *s) {
  static const char *const orders[] = {"created_at", "updated_at", "instance_id",
                                       "orchestration_name", NULL};
  static const char *const directions[] = {"desc", "asc", NULL};
  int order_by = DURO_BY_CREATED, ascending = 0;
  bool fine = duro__arg_word(r, s->args, "order_by", DURO__OPTIONAL, orders, &order_by) &&
              duro__arg_word(r, s->args, "order", DURO__OPTIONAL, directions, &ascending);
  s->query.order_by = (duro_order_by)order_by;
  s->query.ascending = ascending == 1;
  return fine;
}

// The filter's JSON; no filter has one form.
static duro_str page_scope(duro_str args) {
  duro_str filter = duro__member(args, "filter");
  return filter.n > 2 ? filter : DURO_STR("");
}

static bool arg_position(duro_runtime *rt, duro_request *r, duro__finder *s) {
  duro_str token;
  if (!duro__arg_text(r, s->args, "page_token", DURO_MAX_REASON_BYTES, &s->arena, &token))
    return false;
  if (!token.p) return true;
  duro_error *err = NULL;
  duro_code code =
      duro__page_token_read(rt, token, page_scope(s->args), &s->arena, &s->query, &err);
  if (code) duro__fail_with(r, code, err);
  return !code;
}

static void page_found(duro_runtime *rt, duro__finder *s) {
  duro_request *r = s->request;
  duro_error *err = NULL;
  duro_code code = DURO_OK;
  duro__add_found(&r->answer, rt, s);
  if (s->truncated) {
    duro_buf_add_lit(&r->answer, ",\"next_page_token\":\"");
    code = duro__page_token_write(rt, &r->answer, &s->query, page_scope(s->args), &err);
    duro_buf_add_char(&r->answer, '"');
  }
  if (s->counts) duro__add_int_member(&r->answer, "total_count", s->total);
  duro_buf_add_char(&r->answer, '}');
  if (code)
    duro__fail_with(r, code, err);
  else
    duro__request_durable(r);
}

void duro__verb_list_instances_paginated(duro_runtime *rt, duro_request *r, duro_str args) {
  duro__finder *s = duro__finder_new(r, args);
  if (!s) return;
  s->found = page_found;
  bool fine = duro__arg_object(r, s->args) &&
              duro__arg_filter(r, duro__member(s->args, "filter"), &s->arena, &s->query.filter) &&
              arg_limit(rt, r, s->args, "page_size", 100, &s->wanted) && arg_order(r, s) &&
              arg_position(rt, r, s);
  if (!fine) {
    duro__finder_free(s);
    return;
  }
  s->counts = duro_json_member_bool(s->args, "with_total", false);
  duro__finder_begin(s);
}
