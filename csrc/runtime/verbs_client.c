// verbs_client.c: what a client sends to an instance: events, commands, and results of attempts that left
// with a token.
//
// Each becomes a message; the answer is given when the batch is durable in which a turn took it, or which
// stored it for an instance that may not run now.
#include "runtime/answers.h"
#include "runtime/arguments.h"

// --- Finding the receiver ---

// One whose start still waits among the requests of clients: that comes first.
bool duro__start_waits(const duro__instance *i) {
  if (i->last_seq || !i->exec || duro__exec_last_event_id(i->exec) > 0) return false;
  return !i->inbox_head || i->inbox_head->event.kind != DURO_EVENT_ORCHESTRATION_STARTED;
}

// Answers the request and gives NULL when there is none that runs. `id` absent: by key.
static duro__instance *receiver(duro_runtime *rt, duro_request *r, duro_str id, int64_t key) {
  duro__instance *i = NULL;
  duro_status ended = DURO_STATUS_COMPLETED;
  duro_error *err = NULL;
  duro_code code = id.p ? duro__instance_fetch(rt, id, &i, &ended, &err)
                        : duro__instance_fetch_by_key(rt, key, &i, &ended, &err);
  if (!code && i) {
    if (duro__start_waits(i)) duro__clients_take(rt);
    return i;
  }
  if (code == DURO_NOT_FOUND) {
    duro_error_free(err);
    if (id.p)
      duro__fail_not_found(r, id);
    else
      duro__request_fail(r, DURO_NOT_FOUND, "the token's instance is no more");
  } else if (code) {
    duro__fail_with(r, code, err);
  } else if (id.p) {
    duro__fail_finished(r, id, ended);
  } else {
    duro__request_fail(r, DURO_FINISHED, "the token's instance has ended (%s)",
                       duro_status_string(ended));
  }
  return NULL;
}

static void submit(duro_runtime *rt, duro_request *r, duro__instance *i, int64_t execution_id,
                   const duro_event *e) {
  duro_buf_clear(&r->answer);
  duro_buf_add_lit(&r->answer, "true");
  duro__submit(rt, r, i, execution_id, e);
}

// --- Events ---

void duro__verb_raise_event(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str id;
  duro_event e = {.kind = DURO_EVENT_EVENT_RECEIVED};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_id(r, args, "name", DURO__REQUIRED, DURO_MAX_NAME_BYTES, &arena, &e.name) &&
      duro__arg_id(r, args, "dedup_id", DURO__OPTIONAL, DURO_MAX_ID_BYTES, &arena, &e.dedup_id) &&
      duro__arg_payload(r, args, "data", &e.input)) {
    duro__instance *i = receiver(rt, r, id, 0);
    if (i) submit(rt, r, i, 0, &e);
  }
  duro_arena_free(&arena);
}

// --- Commands ---

static void command(duro_runtime *rt, duro_request *r, duro_str args, duro_event_kind kind) {
  duro_arena arena = {0};
  duro_str id;
  duro_event e = {.kind = kind};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_text(r, args, "reason", DURO_MAX_REASON_BYTES, &arena, &e.reason)) {
    duro__instance *i = receiver(rt, r, id, 0);
    if (i) submit(rt, r, i, 0, &e);
  }
  duro_arena_free(&arena);
}

void duro__verb_cancel(duro_runtime *rt, duro_request *r, duro_str args) {
  command(rt, r, args, DURO_EVENT_CANCEL_REQUESTED);
}

void duro__verb_terminate(duro_runtime *rt, duro_request *r, duro_str args) {
  command(rt, r, args, DURO_EVENT_ORCHESTRATION_TERMINATED);
}

void duro__verb_suspend(duro_runtime *rt, duro_request *r, duro_str args) {
  command(rt, r, args, DURO_EVENT_SUSPENDED);
}

void duro__verb_resume(duro_runtime *rt, duro_request *r, duro_str args) {
  command(rt, r, args, DURO_EVENT_RESUMED);
}

// --- Results by token: "d1-<instance key>-<execution>-<task>-<attempt>", in hexadecimal ---

void duro__token_write(duro_buf *b, int64_t instance_key, int64_t execution_id, int64_t task,
                       int64_t attempt) {
  duro_buf_printf(b, "d1-%llx-%llx-%llx-%llx", (unsigned long long)instance_key,
                  (unsigned long long)execution_id, (unsigned long long)task,
                  (unsigned long long)attempt);
}

typedef struct token {
  int64_t parts[4]; // instance key, execution, task, attempt
} token;

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool token_read(duro_str text, token *out) {
  duro_str begin = DURO_STR("d1");
  if (!duro_str_starts_with(text, begin)) return false;
  size_t at = begin.n;
  for (int part = 0; part < 4; part++) {
    if (at == text.n || text.p[at++] != '-') return false;
    uint64_t number = 0;
    size_t digits = 0;
    for (int d; at < text.n && (d = hex_digit(text.p[at])) >= 0; at++, digits++) {
      number = number << 4 | (uint64_t)d;
    }
    if (digits == 0 || digits > 16 || number > INT64_MAX) return false;
    out->parts[part] = (int64_t)number;
  }
  return at == text.n;
}

duro_code duro__token_instance(duro_runtime *rt, duro_str text, duro_arena *arena, duro_str *id,
                               duro_error **err) {
  token t;
  duro_instance_row row;
  if (!token_read(text, &t))
    return duro_fail(err, DURO_INVALID_ARGUMENT, "this is not a token of ctx:defer()");
  const duro__instance *i = duro__live_by_key(rt, t.parts[0]);
  duro_code code = DURO_OK;
  if (i)
    *id = duro_arena_dup(arena, i->id);
  else
    code = duro__store_get_by_key(rt->store, t.parts[0], arena, &row, err);
  if (!i && !code) *id = row.id;
  return arena->oom ? duro_fail_oom(err) : code;
}

// {token} -> "id": whose activity it is.
void duro__verb_token_instance(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str text, id;
  duro_error *err = NULL;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "token", DURO__REQUIRED, DURO_MAX_ID_BYTES, &arena, &text)) {
    duro_code code = duro__token_instance(rt, text, &arena, &id, &err);
    duro_buf_clear(&r->answer);
    if (!code) duro_json_add_string(&r->answer, id);
    if (code)
      duro__fail_with(r, code, err);
    else
      duro__request_durable(r);
  }
  duro_arena_free(&arena);
}

// Somebody else's result has arrived and waits to be seen (the instance is suspended, say).
static bool has_result(const duro__instance *i, const token *t) {
  for (const duro_message *m = i->inbox_head; m; m = m->next) {
    const duro_event *e = &m->event;
    bool result = e->kind == DURO_EVENT_ACTIVITY_COMPLETED || e->kind == DURO_EVENT_ACTIVITY_FAILED;
    if (result && !e->lost && e->source == t->parts[2] && e->attempt == t->parts[3]) return true;
  }
  return false;
}

// NULL when the activity still waits for this result (one that cannot be looked at now decides later).
static const char *not_wanted(duro__instance *i, const token *t) {
  static const char ended[] = "the token's activity has ended already";
  if (i->execution_id != t->parts[1] || has_result(i, t)) return ended;
  if (!i->exec) return NULL;
  const duro__open *o = duro__exec_open(i->exec, t->parts[2]);
  if (!o || o->kind != DURO__OPEN_ACTIVITY) return ended;
  return o->attempt == t->parts[3] ? NULL
                                   : "the token's attempt has ended already: a later one counts";
}

static void finish_activity(duro_runtime *rt, duro_request *r, duro_str args, duro_event *e) {
  duro_arena arena = {0};
  duro_str text;
  token t;
  if (!duro__arg_id(r, args, "token", DURO__REQUIRED, DURO_MAX_ID_BYTES, &arena, &text)) {
    duro_arena_free(&arena);
    return;
  }
  bool valid = token_read(text, &t);
  duro_arena_free(&arena);
  if (!valid) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "this is not a token of ctx:defer()");
    return;
  }
  duro__instance *i = receiver(rt, r, DURO_NONE, t.parts[0]);
  if (!i) return;
  const char *why = not_wanted(i, &t);
  if (why) {
    duro__request_fail(r, DURO_FINISHED, "%s", why);
    return;
  }
  e->source = t.parts[2];
  e->attempt = t.parts[3];
  submit(rt, r, i, t.parts[1], e);
}

void duro__verb_complete_activity(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_event e = {.kind = DURO_EVENT_ACTIVITY_COMPLETED};
  if (duro__arg_object(r, args) && duro__arg_payload(r, args, "value", &e.output)) {
    finish_activity(rt, r, args, &e);
  }
}

void duro__verb_fail_activity(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_event e = {.kind = DURO_EVENT_ACTIVITY_FAILED};
  if (!duro__arg_object(r, args) || !duro__arg_payload(r, args, "error", &e.error)) return;
  if (!e.error.n || e.error.p[0] != '{') {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument 'error' must be an error object");
    return;
  }
  finish_activity(rt, r, args, &e);
}
