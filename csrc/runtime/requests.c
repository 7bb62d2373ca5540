// requests.c: a call from its beginning to its answer.
//
// Invariant: a request is answered exactly once, and not before its effect is durable. A verb answers at
// once (duro__request_answer, duro__request_fail), or fills r->answer and hands the request to a batch or
// a message, and duro__request_durable or duro__request_fail follows. One that came through the file
// (row_id) has its answer in the batch of its effect, so a crash never makes an effect happen twice; it
// is freed by its answer, so nobody may touch a request after answering it.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/audit.h"
#include "runtime/bulk.h"
#include "runtime/feed.h"
#include "runtime/internal.h"

duro_request *duro__request_new(duro_runtime *rt) {
  duro_request *r = malloc(sizeof *r);
  if (r) *r = (duro_request){.rt = rt};
  return r;
}

void duro__request_link(duro_request *r, duro_request **list) {
  r->list = list;
  r->prev = NULL;
  r->next = *list;
  if (r->next) r->next->prev = r;
  *list = r;
}

void duro__request_unlink(duro_request *r) {
  if (!r->list) return;
  if (r->prev)
    r->prev->next = r->next;
  else
    *r->list = r->next;
  if (r->next) r->next->prev = r->prev;
  r->next = r->prev = NULL;
  r->list = NULL;
}

static void request_destroy(duro_request *r) {
  if (r->row_id) duro__served_remove(r->rt, r->row_id);
  duro__request_unlink(r);
  duro__waits_forget(r);
  duro__stream_forget(r);
  duro_error_free(r->error);
  duro_buf_free(&r->answer);
  for (size_t i = 0; i < r->wait_ids.count; i++) free((char *)r->wait_ids.items[i].p);
  free(r->wait_ids.items);
  duro_buf_free(&r->again_args);
  duro__audit_free(r);
  free(r->context);
  free(r);
}

// --- Answers that go through the file ---

// {"ok": answer} or {"error": {...}}.
static void add_row_answer(duro_buf *b, const duro_request *r) {
  duro_buf_add_char(b, '{');
  if (r->code) {
    duro_buf_add_lit(b, "\"error\":");
    duro__add_error(b, r->code, r->error);
  } else {
    duro_buf_add_lit(b, "\"ok\":");
    if (r->answer.n)
      duro_buf_add_str(b, duro_buf_str(&r->answer));
    else
      duro_buf_add_lit(b, "null");
  }
  duro_buf_add_char(b, '}');
}

static void store_answer(duro_runtime *rt, duro__batch *b, duro_request *r) {
  duro_request_row *row = duro__vec_push(&b->answers);
  if (!row) {
    b->poisoned = true;
    return;
  }
  row->id = r->row_id;
  r->row_stored = true;
  if (r->row_deleted) return;
  duro_buf text = {0};
  add_row_answer(&text, r);
  row->answer = duro_arena_dup(&b->arena, duro_buf_str(&text));
  if (text.oom) b->poisoned = true;
  duro_buf_free(&text);
  duro__served_answered(rt, r->row_id);
}

void duro__request_joins(duro_runtime *rt, duro__batch *b, duro_request *r) {
  duro__audit_joins(rt, b, r);
  if (r->row_id && !r->row_stored && !r->again) store_answer(rt, b, r);
}

// The newest batch: when it is durable, all before it are.
static duro__batch *newest_batch(duro_runtime *rt) {
  return rt->open ? rt->open : rt->failed_tail ? rt->failed_tail : rt->flight_tail;
}

void duro__call_again(duro_runtime *rt, duro_request *r, duro__call_function *run,
                      duro_str arguments) {
  duro__batch *b = newest_batch(rt);
  if (!b) b = duro__batch_open(rt);
  duro_request **slot = b ? duro__vec_push(&b->requests) : NULL;
  duro_buf_clear(&r->again_args);
  duro_buf_add_str(&r->again_args, arguments);
  if (!slot || r->again_args.oom) {
    if (slot) b->requests.count--;
    duro__fail_memory(r);
    return;
  }
  r->again = run;
  *slot = r;
}

// In the batch that is being written too: its rows are sealed, its list of requests is the loop's.
void duro__answer_when_durable(duro_runtime *rt, const duro__instance *i, duro_request *r) {
  duro__batch *lists[] = {rt->open, rt->flight_head, rt->failed_head};
  if (!i->batches) {
    duro__request_durable(r);
    return;
  }
  for (size_t n = 0; n < sizeof lists / sizeof *lists; n++) {
    for (duro__batch *b = lists[n]; b; b = b->next) {
      if (b->rows.id != i->last_batch) continue;
      duro_request **slot = duro__vec_push(&b->requests);
      if (slot)
        *slot = r;
      else
        duro__fail_memory(r);
      return;
    }
  }
  duro__request_durable(r);
}

// --- The end of a request ---

static void finish(duro_request *r) {
  duro_runtime *rt = r->rt;
  duro__request_unlink(r);
  duro__waits_forget(r);
  duro__bulk_forget(r);
  if (duro__audit_ends(r)) return; // and comes here again when its entry is durable
  r->done = true;
  rt->did_something = true;
  if (r->awaiting) {
    duro_job *job = r->awaiting;
    r->awaiting = NULL;
    duro__job_wake(rt, job);
  }
  if (r->row_id && !r->row_stored && !rt->lost && !rt->closing) {
    duro__batch *b = duro__batch_open(rt);
    if (b) store_answer(rt, b, r);
  }
  if (r->row_id || r->abandoned) request_destroy(r);
}

// A row whose answer went down with its batch is as it was; and what was promised to its sender, who has
// gone on, is not dropped because the store or memory failed. Both are taken again.
static bool row_stays(const duro_request *r) {
  if (r->row_stored) return true;
  return r->row_deleted &&
         (r->code == DURO_STORAGE || r->code == DURO_BUSY || r->code == DURO_LOCKED ||
          r->code == DURO_CLOSED || r->code == DURO_OUT_OF_MEMORY);
}

void duro__request_take_error(duro_request *r, duro_code code, duro_error *err) {
  if (r->done) {
    duro_error_free(err);
    return;
  }
  duro_error_free(r->error);
  r->code = code;
  r->error = err;
  r->again = NULL;
  if (r->row_id && row_stays(r)) {
    duro__served_again(r->rt, r->row_id);
    request_destroy(r);
    return;
  }
  finish(r);
}

void duro__request_fail(duro_request *r, duro_code code, const char *format, ...) {
  char
      message[2048]; // ids reach 1024 bytes; a longer sentence is cut where duro_error has no limit
  duro_error *err = NULL;
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (r->rt->closing) { // whatever the reason seemed to be
    code = DURO_CLOSED;
    snprintf(message, sizeof message, "the runtime was closed");
  }
  duro_fail(&err, code, "%s", message);
  duro__request_take_error(r, code, err);
}

void duro__request_answer(duro_request *r, duro_str json) {
  if (r->done) return;
  if (json.p != r->answer.p) {
    duro_buf_clear(&r->answer);
    duro_buf_add_str(&r->answer, json);
  }
  duro__request_durable(r);
}

void duro__request_durable(duro_request *r) {
  if (r->done) return;
  if (r->again) {
    duro__call_function *run = r->again;
    duro_buf args = r->again_args;
    r->again = NULL;
    r->again_args = (duro_buf){0};
    run(r->rt, r, duro_buf_str(&args));
    duro_buf_free(&args);
    return;
  }
  if (r->answer.oom && !r->code) r->code = duro_fail_oom(&r->error);
  finish(r);
}

// --- The front door ---

static const duro__call_verb *find_verb(duro_str name) {
  for (const duro__call_verb *v = duro__verbs; v->name; v++) {
    if (duro_str_equal(name, duro_str_from(v->name))) return v;
  }
  return NULL;
}

void duro__call_run(duro_runtime *rt, duro_request *r, duro_str name, duro_str arguments) {
  const duro__call_verb *verb = find_verb(name);
  if (!verb) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "unknown verb '%.*s'", DURO_FMT(name));
  } else if (rt->closing) {
    duro__request_fail(r, DURO_CLOSED, "%s", duro_code_sentence(DURO_CLOSED));
  } else if (rt->lost) {
    duro__request_fail(r, DURO_LOCKED, "%s", duro_code_sentence(DURO_LOCKED));
  } else if (verb->needs_owner && rt->role != DURO_ROLE_RUNTIME) {
    duro__remote_call(rt, verb, r, arguments);
  } else if (!duro__audit_begin(r, name, arguments)) {
    duro__fail_memory(r);
  } else {
    verb->run(rt, r, arguments);
  }
}

DURO_EXPORT duro_request *duro_call(duro_runtime *rt, duro_str verb, duro_str arguments) {
  return duro_call_as(rt, (duro_caller){0}, verb, arguments);
}

DURO_EXPORT duro_request *duro_call_as(duro_runtime *rt, duro_caller caller, duro_str verb,
                                       duro_str arguments) {
  duro_request *r = duro__request_new(rt);
  if (!r) return NULL;
  r->viewer = caller.viewer;
  r->context = caller.context.n ? duro_str_dup(caller.context) : NULL;
  if (caller.context.n && !r->context) {
    duro__fail_memory(r);
    return r;
  }
  if (!duro__is_own_process(rt)) {
    duro__request_fail(r, DURO_CLOSED, "this runtime was opened by process %d: open one here",
                       rt->pid);
    return r;
  }
  duro__call_run(rt, r, verb, arguments);
  return r;
}

DURO_EXPORT bool duro_request_done(const duro_request *r) { return r->done; }

DURO_EXPORT duro_code duro_request_result(duro_request *r, duro_str *json, duro_error **err) {
  *json = DURO_NONE;
  if (!r->done) return duro_fail(err, DURO_UNAVAILABLE, "the request is not done yet");
  if (!r->code) {
    *json = duro_buf_str(&r->answer);
    return DURO_OK;
  }
  if (err) {
    duro_error_free(*err);
    *err = r->error ? duro_error_copy(r->error) : NULL;
    if (!*err) duro_fail(err, r->code, "%s", duro_code_sentence(r->code));
  }
  return r->code;
}

DURO_EXPORT void duro_request_free(duro_request *r) {
  if (!r) return;
  if (r->awaiting) duro__job_wake(r->rt, r->awaiting);
  bool only_waits = r->list && r->list == &r->rt->waiters;
  if (r->done || only_waits) {
    request_destroy(r);
    return;
  }
  r->awaiting = NULL;
  r->abandoned = true;
}

void duro__requests_close(duro_request **list) {
  while (*list) duro__request_fail(*list, DURO_CLOSED, "the runtime was closed");
}
