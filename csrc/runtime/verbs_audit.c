// verbs_audit.c: reading the audit log, the newest entry first.
//
// Read straight off the primary key, on the loop thread. Entries about instances that the reader may not
// see are left out; so at most DURO_AUDIT_LOOKED_AT are looked at, and `next_before` tells where to go on.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/shown.h"

typedef struct log_page {
  int64_t limit, before, taken, looked_at;
  bool more;
} log_page;

static bool arg_page(duro_runtime *rt, duro_request *r, duro_str args, log_page *p) {
  int64_t most = rt->options.max_list_instances;
  *p = (log_page){0};
  if (!duro__arg_object(r, args) ||
      !duro__arg_int(r, args, "limit", most < 100 ? most : 100, 1, &p->limit) ||
      !duro__arg_int(r, args, "before", 0, 1, &p->before))
    return false;
  if (p->limit <= most) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the limit is %lld, at most %lld is allowed",
                     (long long)p->limit, (long long)most);
  return false;
}

static bool sees_targets(const duro_request *r, const duro_audit_row *row, duro_arena *arena) {
  duro_json_reader reader;
  duro_json_open(&reader, row->target);
  for (duro_json_type type; (type = duro_json_next(&reader)) != DURO_JSON_END;) {
    if (type == DURO_JSON_ERROR) return false;
    if (type == DURO_JSON_STRING && !duro__id_visible(r, duro_json_text(&reader, arena)))
      return false;
  }
  return true;
}

static bool sees_failed(const duro_request *r, const duro_audit_row *row, duro_arena *arena) {
  duro_json_reader reader;
  duro_str entry;
  duro_json_open(&reader, duro_json_member(row->detail, "failed_instances"));
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_ARRAY) return true;
  while (duro_json_skip(&reader, &entry)) {
    if (!duro__id_visible(r, duro_json_member_text(entry, "instance_id", arena))) return false;
  }
  return true;
}

static bool may_read(const duro_request *r, const duro_audit_row *row, duro_arena *arena) {
  return !duro__rows_hidden(r) || (sees_targets(r, row, arena) && sees_failed(r, row, arena));
}

static void add_entry(duro_buf *b, const duro_audit_row *row) {
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "audit_id", row->id);
  duro__add_time_member(b, "timestamp", row->at_ms);
  duro__add_text_member(b, "call", row->action);
  duro__add_json_member(b, "context", row->actor);
  duro__add_json_member(b, "targets", row->target);
  if (row->detail.n > 2) { // its members stand beside the others
    duro_buf_add_char(b, ',');
    duro_buf_add_str(b, (duro_str){row->detail.p + 1, row->detail.n - 2});
  }
  duro_buf_add_char(b, '}');
}

// One stride of the log. False: the request is answered.
static bool read_some(duro_runtime *rt, duro_request *r, log_page *p) {
  duro_arena arena = {0};
  duro_audit_row *rows;
  size_t count, limit = (size_t)(p->limit - p->taken) + 1; // one more tells whether there are more
  duro_error *err = NULL;
  duro_code code = duro__store_audit(rt->store, p->before, limit, &arena, &rows, &count, &err);
  p->more = !code && count == limit;
  if (p->more) count--;
  for (size_t i = 0; i < count && !code; i++) {
    p->before = rows[i].id;
    p->looked_at++;
    if (!may_read(r, &rows[i], &arena)) continue;
    if (p->taken++) duro_buf_add_char(&r->answer, ',');
    add_entry(&r->answer, &rows[i]);
  }
  duro_arena_free(&arena);
  if (code) duro__fail_with(r, code, err);
  return !code;
}

void duro__verb_audit(duro_runtime *rt, duro_request *r, duro_str args) {
  log_page p;
  if (!arg_page(rt, r, args, &p)) return;
  duro_buf_clear(&r->answer);
  duro_buf_add_lit(&r->answer, "{\"entries\":[");
  do {
    if (!read_some(rt, r, &p)) return;
  } while (p.more && p.taken < p.limit && p.looked_at < DURO_AUDIT_LOOKED_AT);
  duro_buf_add_char(&r->answer, ']');
  if (p.more) duro__add_int_member(&r->answer, "next_before", p.before);
  duro_buf_add_char(&r->answer, '}');
  duro__request_durable(r);
}
