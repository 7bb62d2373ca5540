// verbs_at.c: looking back: custom status, kv, pending work and stack as they were after one event.
//
// The execution is rebuilt aside, up to that event, from its committed history; the instance is not
// touched. Without code that fits, the state is still known; then `stack_error` says why there is no stack.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/pending.h"
#include "runtime/replay_aside.h"

typedef struct view {
  duro_runtime *rt;
  duro_instance_row row;
  duro_events events;
  int64_t execution_id, event_id;
  duro_code stack_code; // why there is no stack
  duro_error *stack_error;
} view;

// --- Rebuilding ---

static duro_code rebuild(view *v, void *code, duro__exec **out, duro_error **err) {
  duro__mismatch mismatch = {0};
  duro__aside a = {.host = &v->rt->host,
                   .code = code,
                   .instance_id = v->row.id,
                   .execution_id = v->execution_id,
                   .events = &v->events,
                   .last_id = v->event_id};
  duro_code problem = duro__replay_aside(&a, out, &mismatch, err);
  duro__mismatch_free(&mismatch);
  return problem;
}

// An earlier execution may have run another version: its first event says which.
static duro_str version_of(const view *v) {
  return v->events.count ? v->events.items[0].version : v->row.version;
}

static duro__code *code_of(view *v) {
  duro_str version = version_of(v);
  duro__code *code = duro__find_orchestration(v->rt, v->row.name, version);
  if (!code) {
    v->stack_code =
        duro_fail(&v->stack_error, DURO_NOT_REGISTERED,
                  "orchestration '%.*s' version '%.*s' is not registered in this process",
                  DURO_FMT(v->row.name), DURO_FMT(version));
  }
  return code;
}

// --- The answer ---

static void add_kv(duro_buf *b, const duro__exec *x) {
  duro_str key = DURO_NONE, value;
  bool first = true;
  duro__add_key(b, "kv");
  duro_buf_add_char(b, '{');
  while (duro__exec_kv_next(x, key, &key, &value)) {
    if (!first) duro_buf_add_char(b, ',');
    first = false;
    duro_json_add_string(b, key);
    duro_buf_add_char(b, ':');
    duro_buf_add_str(b, value);
  }
  duro_buf_add_char(b, '}');
}

static void add_stack(duro_buf *b, view *v, const duro__exec *x) {
  const duro_program_ops *programs = v->rt->host.programs;
  void *program = duro__exec_program(x);
  duro_buf stack = {0};
  if (program && programs->inspect && !v->stack_code) {
    v->stack_code = programs->inspect(v->rt->host.user, program, DURO_STR("stack"), DURO_STR("{}"),
                                      &stack, &v->stack_error);
  }
  if (v->stack_code) {
    duro__add_key(b, "stack_error");
    duro__add_error(b, v->stack_code, v->stack_error);
  } else {
    duro__add_json_member(b, "stack", stack.n ? duro_buf_str(&stack) : DURO_STR("[]"));
  }
  if (stack.oom) b->oom = true;
  duro_buf_free(&stack);
}

static void add_view(duro_buf *b, view *v, duro__exec *x) {
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_json_member(b, "custom_status", duro__exec_custom_status(x));
  add_kv(b, x);
  duro__add_key(b, "pending");
  duro_buf_add_char(b, '{');
  duro__add_pending(b, v->rt, x, NULL, 0);
  duro_buf_add_char(b, '}');
  add_stack(b, v, x);
  duro_buf_add_char(b, '}');
}

// Only what can be said of the code stands between the state and its stack; a fault of history or memory
// ends the call.
static bool is_of_code(duro_code problem) {
  return problem != DURO_OK && problem != DURO_OUT_OF_MEMORY && problem != DURO_STORAGE;
}

static void look(view *v, duro_request *r) {
  duro__exec *x = NULL;
  duro_error *err = NULL;
  duro_code problem = DURO_OK;
  duro__code *code = code_of(v);
  if (code) {
    code->users++; // the replay may register another
    problem = rebuild(v, code->handle, &x, &err);
  }
  if (is_of_code(problem)) {
    v->stack_code = problem;
    v->stack_error = err;
    err = NULL;
    problem = DURO_OK;
  }
  if (!problem && !x) problem = rebuild(v, NULL, &x, &err);
  if (!problem) add_view(&r->answer, v, x);
  if (x) duro__exec_free(x);
  if (code) duro__code_release(v->rt, code);
  duro_error_free(v->stack_error);
  if (problem)
    duro__fail_with(r, problem, err);
  else
    duro__request_durable(r);
}

// --- The verb ---

static bool has_event(duro_request *r, const view *v) {
  int64_t last = v->events.count ? v->events.items[v->events.count - 1].id : 0;
  if (v->event_id <= last) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT,
                     "execution %lld of instance '%.*s' has no event %lld: its last is %lld",
                     (long long)v->execution_id, DURO_FMT(v->row.id), (long long)v->event_id,
                     (long long)last);
  return false;
}

void duro__verb_at(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str id;
  view v = {.rt = rt};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_int(r, args, "event_id", 1, 1, &v.event_id) &&
      duro__read_row(rt, r, id, &arena, &v.row) &&
      duro__arg_int(r, args, "execution", v.row.execution_id, 1, &v.execution_id) &&
      duro__read_events(rt, r, v.row.key, v.execution_id, &arena, &v.events) && has_event(r, &v)) {
    look(&v, r);
  }
  duro_arena_free(&arena);
}
