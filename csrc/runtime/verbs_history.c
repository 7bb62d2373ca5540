// verbs_history.c: what has happened, event by event, and what it leaves: history, export, kv.
//
// A page goes on behind an event id; its token is of one execution of one run and of the same kinds and
// order. Only committed events are read, so what a page tells is never taken back.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/page_token.h"
#include "runtime/suggest.h"

static bool read_one(duro_runtime *rt, duro_request *r, duro_str args, duro_arena *arena,
                     duro_instance_row *row) {
  duro_str id;
  return duro__arg_object(r, args) &&
         duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, arena, &id) &&
         duro__read_row(rt, r, id, arena, row);
}

// --- One event ---

// Exported it is as on disk, but that it always tells its time, and payloads are texts of JSON: so they come
// back as they were, whatever reads the export in between.
typedef enum event_form { PUBLIC, EXPORTED } event_form;

static void add_payload(duro_buf *b, const char *key, duro_str json, event_form form) {
  if (form == PUBLIC)
    duro__add_json_member(b, key, json);
  else if (json.n)
    duro__add_text_member(b, key, json);
}

static void add_event(duro_buf *b, const duro_event *e, event_form form) {
  bool exported = form == EXPORTED;
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, exported ? "id" : "event_id", e->id);
  duro__add_text_member(b, "kind", duro_str_from(duro_event_kind_string(e->kind)));
  if (exported)
    duro__add_int_member(b, "at", e->at_ms);
  else
    duro__add_time_member(b, "timestamp", e->at_ms);
#define INT(key, member)                                                                           \
  if (member) duro__add_int_member(b, key, member);
#define TEXT(key, member) duro__add_text_member(b, key, member);
#define JSON(key, member) add_payload(b, key, member, form);
#define BOOL(key, member)                                                                          \
  if (member) duro__add_json_member(b, key, DURO_STR("true"));
#define X(member, disk_key, TYPE, public_key) TYPE(exported ? disk_key : public_key, e->member)
  DURO_EVENT_FIELDS(X)
#undef X
#undef INT
#undef TEXT
#undef JSON
#undef BOOL
  duro_buf_add_char(b, '}');
}

// --- history: pages of one execution ---

#define PAGE_EVENTS 1000
#define MANY_EVENTS 5000 // about 1 ms

typedef struct history_page {
  duro_str id;
  int64_t execution_id; // as given; 0 = the latest
  int64_t since_event, after_event,
      page_size; // after_event: where the page before ended; 0 = nowhere
  bool kinds[DURO_EVENT_KIND_COUNT], all_kinds, descending;
  duro_str token;
} history_page;

static bool unknown_kind(duro_request *r, duro_str word) {
  const char *known[DURO_EVENT_KIND_COUNT + 1] = {0};
  for (int kind = DURO_EVENT_NONE + 1, n = 0; kind < DURO_EVENT_KIND_COUNT; kind++)
    known[n++] = duro_event_kind_string((duro_event_kind)kind);
  const char *near = duro__nearest(word, known);
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "there is no event kind '%.*s'%s%s%s",
                     DURO_FMT(word), near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "");
  return false;
}

// One text or an array of them.
static bool arg_kinds(duro_request *r, duro_str args, duro_arena *arena, history_page *p) {
  duro_str value = duro__member(args, "kinds");
  duro_json_reader reader;
  bool any = false;
  p->all_kinds = !value.p;
  duro_json_open(&reader, value);
  for (duro_json_type type; value.p && (type = duro_json_next(&reader)) != DURO_JSON_END;) {
    duro_event_kind kind;
    if (type == DURO_JSON_BEGIN_ARRAY || type == DURO_JSON_END_ARRAY) continue;
    duro_str word = type == DURO_JSON_STRING ? duro_json_text(&reader, arena) : reader.text;
    if (type != DURO_JSON_STRING || !duro_event_kind_from(word, &kind))
      return unknown_kind(r, word);
    p->kinds[kind] = any = true;
  }
  if (any || p->all_kinds) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "'kinds' names no event kind");
  return false;
}

static bool arg_order(duro_request *r, duro_str args, duro_arena *arena, history_page *p) {
  duro_str order;
  if (!duro__arg_text(r, args, "order", DURO_MAX_NAME_BYTES, arena, &order)) return false;
  p->descending = duro_str_equal(order, DURO_STR("desc"));
  if (!order.p || p->descending || duro_str_equal(order, DURO_STR("asc"))) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the order must be 'asc' or 'desc', not '%.*s'",
                     DURO_FMT(order));
  return false;
}

static bool arg_page(duro_request *r, duro_str args, duro_arena *arena, history_page *p) {
  *p = (history_page){0};
  if (!duro__arg_object(r, args) ||
      !duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, arena, &p->id) ||
      !duro__arg_int(r, args, "execution", 0, 1, &p->execution_id) ||
      !duro__arg_int(r, args, "since_event", 0, 0, &p->since_event) ||
      !duro__arg_int(r, args, "page_size", PAGE_EVENTS, 1, &p->page_size) ||
      !duro__arg_text(r, args, "page_token", DURO_MAX_REASON_BYTES, arena, &p->token) ||
      !arg_kinds(r, args, arena, p) || !arg_order(r, args, arena, p)) {
    return false;
  }
  if (p->page_size <= DURO_MAX_PAGE_EVENTS) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the page_size is %lld, at most %d is allowed",
                     (long long)p->page_size, DURO_MAX_PAGE_EVENTS);
  return false;
}

// What a token belongs to: the run, and all that decides which events come in which order.
static duro_str page_scope(duro_str args, const history_page *p, duro_str run_id, duro_buf *b) {
  duro_buf_printf(b, "history %lld %lld %d ", (long long)p->execution_id, (long long)p->since_event,
                  p->descending);
  duro_buf_add_str(b, run_id);
  duro_buf_add_char(b, ' ');
  duro_buf_add_str(b, p->id);
  if (!p->all_kinds) duro_buf_add_str(b, duro__member(args, "kinds"));
  return duro_buf_str(b);
}

// The position is the last event of the page before, and the execution: the latest may be another by now.
static bool take_token(duro_runtime *rt, duro_request *r, history_page *p, duro_str scope,
                       int64_t *execution_id, duro_arena *arena) {
  duro_list_query position = {0};
  duro_error *err = NULL;
  if (!p->token.p) return true;
  duro_code code = duro__page_token_read(rt, p->token, scope, arena, &position, &err);
  if (code) {
    duro__fail_with(r, code, err);
    return false;
  }
  p->after_event = position.after_key;
  *execution_id = position.after_updated_ms;
  return true;
}

static bool wanted(const history_page *p, const duro_event *e) {
  if (e->id <= p->since_event || (!p->all_kinds && !p->kinds[e->kind])) return false;
  if (!p->after_event) return true;
  return p->descending ? e->id < p->after_event : e->id > p->after_event;
}

// *last: the id of the last event of a page that is not the last one, else 0.
static void add_page(duro_buf *b, const history_page *p, const duro_events *events, int64_t *last) {
  int64_t count = 0, last_id = 0;
  *last = 0;
  duro_buf_add_lit(b, "{\"events\":[");
  for (size_t n = 0; n < events->count && !*last; n++) {
    const duro_event *e = &events->items[p->descending ? events->count - 1 - n : n];
    if (!wanted(p, e)) continue;
    if (count == p->page_size) {
      *last = last_id;
      break;
    }
    if (count++) duro_buf_add_char(b, ',');
    add_event(b, e, PUBLIC);
    last_id = e->id;
  }
  duro_buf_add_char(b, ']');
}

static duro_code add_next_token(duro_runtime *rt, duro_buf *b, int64_t last, int64_t execution_id,
                                duro_str scope, duro_error **err) {
  duro_list_query position = {.after_key = last, .after_updated_ms = execution_id};
  if (!last) return DURO_OK;
  duro__add_key(b, "next_page_token");
  duro_buf_add_char(b, '"');
  duro_code code = duro__page_token_write(rt, b, &position, scope, err);
  duro_buf_add_char(b, '"');
  return code;
}

// A page on its way: a long history is read on the helper thread.
typedef struct reading {
  duro_request *request;
  duro_arena arena;
  history_page page;
  duro_instance_row row;
  duro_buf scope;
  int64_t execution_id;
  duro_events events;
} reading;

static void reading_free(reading *h) {
  duro_buf_free(&h->scope);
  duro_arena_free(&h->arena);
  free(h);
}

static void answer_page(duro_runtime *rt, reading *h) {
  duro_request *r = h->request;
  duro_error *err = NULL;
  int64_t last;
  duro_buf_clear(&r->answer);
  add_page(&r->answer, &h->page, &h->events, &last);
  duro_code code =
      add_next_token(rt, &r->answer, last, h->execution_id, duro_buf_str(&h->scope), &err);
  duro_buf_add_char(&r->answer, '}');
  if (code)
    duro__fail_with(r, code, err);
  else
    duro__request_durable(r);
}

static void events_run(duro_runtime *rt, duro__command *c) {
  reading *h = c->subject;
  c->code = duro__load_events(rt, h->row.key, h->execution_id, &h->arena, &h->events, &c->error);
}

static void events_done(duro_runtime *rt, duro__command *c) {
  reading *h = c->subject;
  if (rt->closing && !c->code)
    c->code = duro_fail(&c->error, DURO_CLOSED, "the runtime was closed");
  if (c->code)
    duro__fail_events(h->request, h->execution_id, c->code, c->error);
  else
    answer_page(rt, h);
  reading_free(h);
  duro_arena_free(&c->arena);
  free(c);
}

// False: the request is answered, or will be: the helper has it.
static bool events_here(duro_runtime *rt, reading *h, bool *aside) {
  duro__command *c = NULL;
  if (h->row.event_count > MANY_EVENTS) c = duro__command_new(events_run, events_done);
  *aside = c != NULL;
  if (!c) {
    return duro__read_events(rt, h->request, h->row.key, h->execution_id, &h->arena, &h->events);
  }
  c->subject = h;
  duro__helper_push(rt, c);
  return false;
}

static bool begin_page(duro_runtime *rt, duro_str args, reading *h) {
  duro_request *r = h->request;
  history_page *p = &h->page;
  args = duro_arena_dup(&h->arena, args);
  if (!args.p) {
    duro__fail_memory(r);
    return false;
  }
  if (!arg_page(r, args, &h->arena, p) || !duro__read_row(rt, r, p->id, &h->arena, &h->row))
    return false;
  h->execution_id = p->execution_id ? p->execution_id : h->row.execution_id;
  duro_str scope = page_scope(args, p, h->row.run_id, &h->scope);
  if (h->scope.oom) {
    duro__fail_memory(r);
    return false;
  }
  return take_token(rt, r, p, scope, &h->execution_id, &h->arena);
}

void duro__verb_history(duro_runtime *rt, duro_request *r, duro_str args) {
  reading *h = calloc(1, sizeof *h);
  bool aside = false;
  if (!h) {
    duro__fail_memory(r);
    return;
  }
  h->request = r;
  if (begin_page(rt, args, h) && events_here(rt, h, &aside)) answer_page(rt, h);
  if (!aside) reading_free(h);
}

// --- export: every execution, its events in their exported form ---

static bool add_execution(duro_runtime *rt, duro_request *r, int64_t key, int64_t execution_id) {
  duro_arena arena = {0};
  duro_events events;
  bool fine = duro__read_events(rt, r, key, execution_id, &arena, &events);
  if (fine) {
    duro_buf *b = &r->answer;
    duro_buf_add_char(b, '{');
    duro__add_int_member(b, "execution_id", execution_id);
    duro__add_key(b, "events");
    duro_buf_add_char(b, '[');
    for (size_t i = 0; i < events.count; i++) {
      if (i) duro_buf_add_char(b, ',');
      add_event(b, &events.items[i], EXPORTED);
    }
    duro_buf_add_lit(b, "]}");
  }
  duro_arena_free(&arena);
  return fine;
}

static bool add_executions(duro_runtime *rt, duro_request *r, const duro_instance_row *row,
                           duro_arena *arena) {
  duro_execution_row *past = NULL;
  size_t count = 0;
  duro_error *err = NULL;
  duro_code code = duro__store_executions(rt->store, row->key, arena, &past, &count, &err);
  if (code) {
    duro__fail_with(r, code, err);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!add_execution(rt, r, row->key, past[i].execution_id)) return false;
    duro_buf_add_char(&r->answer, ',');
  }
  return add_execution(rt, r, row->key, row->execution_id);
}

static void add_head(duro_buf *b, const duro_instance_row *row) {
  static const char *const vms[] = {[DURO_VM_ANY] = "any",
                                    [DURO_VM_LUA54] = "lua5.4",
                                    [DURO_VM_LUAJIT] = "luajit",
                                    [DURO_VM_C] = "c"};
  bool known = row->vm >= 0 && (size_t)row->vm < sizeof vms / sizeof *vms;
  duro__add_int_member(b, "format", 1);
  duro__add_text_member(b, "vm", duro_str_from(known ? vms[row->vm] : "unknown"));
  duro__add_text_member(b, "instance_id", row->id);
  duro__add_text_member(b, "orchestration_name", row->name);
  if (row->version.n) duro__add_text_member(b, "version", row->version);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(row->status)));
  duro__add_time_member(b, "created_at", row->created_at_ms);
  if (row->parent_id.p) duro__add_text_member(b, "parent_instance", row->parent_id);
}

void duro__verb_export(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_instance_row row;
  int64_t only;
  if (read_one(rt, r, args, &arena, &row) && duro__arg_int(r, args, "execution", 0, 1, &only)) {
    duro_buf *b = &r->answer;
    duro_buf_clear(b);
    duro_buf_add_char(b, '{');
    add_head(b, &row);
    duro_buf_add_lit(b, ",\"executions\":[");
    if (only ? add_execution(rt, r, row.key, only) : add_executions(rt, r, &row, &arena)) {
      duro_buf_add_lit(b, "]}");
      duro__request_durable(r);
    }
  }
  duro_arena_free(&arena);
}

// --- kv ---

static void add_kv(duro_buf *b, const duro__exec *x, duro_str key) {
  duro_buf_clear(b);
  if (key.p) {
    duro_str value = duro__exec_kv_get(x, key);
    if (value.n)
      duro_buf_add_str(b, value);
    else
      duro_buf_add_lit(b, "null");
    return;
  }
  duro_str at = DURO_NONE, value;
  bool first = true;
  duro_buf_add_char(b, '{');
  while (duro__exec_kv_next(x, at, &at, &value)) {
    if (!first) duro_buf_add_char(b, ',');
    first = false;
    duro_json_add_string(b, at);
    duro_buf_add_char(b, ':');
    duro_buf_add_str(b, value);
  }
  duro_buf_add_char(b, '}');
}

static void kv_from_store(duro_runtime *rt, duro_request *r, duro_str id, duro_str key,
                          duro_arena *arena) {
  duro_instance_row row;
  duro_events events;
  if (!duro__read_row(rt, r, id, arena, &row)) return;
  if (!duro__read_events(rt, r, row.key, row.execution_id, arena, &events)) return;
  duro__exec *x = duro__scan(rt, r, &row, &events);
  if (!x) return;
  add_kv(&r->answer, x, key);
  duro__exec_free(x);
  duro__request_durable(r);
}

void duro__verb_kv(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str id, key;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_text(r, args, "key", DURO_MAX_KV_VALUE_BYTES, &arena, &key)) {
    duro__instance *i = duro__live(rt, id);
    if (i && i->exec && !i->gone) { // perhaps ahead of the store: the answer waits for its batch
      add_kv(&r->answer, i->exec, key);
      duro__answer_when_durable(rt, i, r);
    } else {
      kv_from_store(rt, r, id, key, &arena);
    }
  }
  duro_arena_free(&arena);
}
