// verbs_history.c: what has happened, event by event, and what it leaves: history, export, kv.
#include "runtime/answers.h"
#include "runtime/arguments.h"

static bool read_one(duro_runtime *rt, duro_request *r, duro_str args, duro_arena *arena,
                     duro_instance_row *row) {
  duro_str id;
  return duro__arg_object(r, args) &&
         duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, arena, &id) &&
         duro__read_row(rt, r, id, arena, row);
}

// --- history ---

void duro__verb_history(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_events events;
  int64_t execution_id;
  if (read_one(rt, r, args, &arena, &row) &&
      duro__arg_int(r, args, "execution", row.execution_id, 1, &execution_id) &&
      duro__read_events(rt, r, row.key, execution_id, &arena, &events)) {
    duro_buf *b = &r->answer;
    duro_buf_clear(b);
    duro_buf_add_lit(b, "{\"events\":[");
    for (size_t i = 0; i < events.count; i++) {
      if (i) duro_buf_add_char(b, ',');
      duro__add_event(b, &events.items[i]);
    }
    duro_buf_add_lit(b, "]}");
    duro__request_durable(r);
  }
  duro_arena_free(&arena);
}

// --- export: events as they are on disk, so that a replay elsewhere reads the very same ---

static void add_raw_events(duro_buf *b, const duro_events *events) {
  int64_t previous_at_ms = 0;
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < events->count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro_event_encode(b, &events->items[i], previous_at_ms);
    previous_at_ms = events->items[i].at_ms;
  }
  duro_buf_add_char(b, ']');
}

static bool add_execution(duro_runtime *rt, duro_request *r, int64_t key, int64_t execution_id) {
  duro_arena arena = {0};
  duro_events events;
  bool fine = duro__read_events(rt, r, key, execution_id, &arena, &events);
  if (fine) {
    duro_buf *b = &r->answer;
    duro_buf_add_char(b, '{');
    duro__add_int_member(b, "execution_id", execution_id);
    duro__add_key(b, "events");
    add_raw_events(b, &events);
    duro_buf_add_char(b, '}');
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

void duro__verb_export(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_instance_row row;
  if (read_one(rt, r, args, &arena, &row)) {
    duro_buf *b = &r->answer;
    duro_buf_clear(b);
    duro_buf_add_lit(b, "{\"instance\":");
    duro__add_summary(b, &row);
    duro_buf_add_lit(b, ",\"executions\":[");
    if (add_executions(rt, r, &row, &arena)) {
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
