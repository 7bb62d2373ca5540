// verbs_query.c: asking the code itself: queries and stacks.
//
// A live program is asked as it stands and answers when what it stands on is durable, so nothing escapes
// before its commit. A finished one is rebuilt aside from its history, with the code registered here, and
// thrown away again.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/replay_aside.h"

typedef struct question {
  duro_str id, what, args;
} question;

static duro_code inspect(duro_runtime *rt, duro__exec *x, const question *q, duro_buf *out,
                         duro_error **err) {
  const duro_program_ops *programs = rt->host.programs;
  void *program = duro__exec_program(x);
  if (!programs->inspect)
    return duro_fail(err, DURO_UNSUPPORTED, "this host cannot look into its code");
  if (!program) {
    return duro_fail(err, DURO_UNAVAILABLE,
                     "the code of instance '%.*s' does not stand anywhere now", DURO_FMT(q->id));
  }
  duro_buf_clear(out);
  return programs->inspect(rt->host.user, program, q->what, q->args, out, err);
}

// --- Live ---

static void answer_live(duro_runtime *rt, duro_request *r, duro__instance *i, const question *q) {
  duro_error *err = NULL;
  duro_code code = inspect(rt, i->exec, q, &r->answer, &err);
  if (code)
    duro__fail_with(r, code, err);
  else
    duro__answer_when_durable(rt, i, r);
}

static bool can_answer(duro_request *r, const duro__instance *i) {
  if (i->foreign_vm) {
    duro__request_fail(r, DURO_UNAVAILABLE, "instance '%.*s' runs on another Lua VM",
                       DURO_FMT(i->id));
  } else if (i->status == DURO_STATUS_STALLED) {
    duro__request_fail(r, DURO_STALLED,
                       "instance '%.*s' is stalled: its code cannot be asked (rt:why('%.*s') says "
                       "what would help)",
                       DURO_FMT(i->id), DURO_FMT(i->id));
  } else if (i->status == DURO_STATUS_PENDING) {
    duro__request_fail(r, DURO_UNAVAILABLE, "instance '%.*s' has not begun", DURO_FMT(i->id));
  } else {
    return true;
  }
  return false;
}

// Its coroutine was dropped after its last turn: it is built again, once what it did is in the store.
static bool build(duro_runtime *rt, duro_request *r, duro__instance *i) {
  duro_error *err = NULL;
  duro_code code = duro__instance_build(rt, i, &err);
  if (!code) return true;
  duro__fail_with(r, code, err);
  return false;
}

static void ask_live(duro_runtime *rt, duro_request *r, duro__instance *i, const question *q,
                     duro__call_function *verb, duro_str args) {
  if (!can_answer(r, i)) return;
  bool waits_for_first_turn =
      i->exec ? !duro__exec_program(i->exec) : i->batches || i->needs_insert;
  if (waits_for_first_turn && (i->ready || i->batches)) {
    duro__call_again(rt, r, verb, args);
    return;
  }
  if (!i->exec && !build(rt, r, i)) return;
  answer_live(rt, r, i, q);
}

// --- Finished ---

static void ask_finished(duro_runtime *rt, duro_request *r, const question *q, duro_arena *arena) {
  duro_instance_row row;
  duro_events events;
  if (!duro__read_row(rt, r, q->id, arena, &row)) return;
  duro__code *code = duro__find_orchestration(rt, row.name, row.version);
  if (!code) {
    duro__request_fail(r, DURO_NOT_REGISTERED,
                       "orchestration '%.*s' version '%.*s' is not registered", DURO_FMT(row.name),
                       DURO_FMT(row.version));
    return;
  }
  if (!duro__read_events(rt, r, row.key, row.execution_id, arena, &events)) return;
  duro__exec *x = NULL;
  duro__mismatch mismatch = {0};
  duro_error *err = NULL;
  duro__aside aside = {.host = &rt->host,
                       .code = code->handle,
                       .instance_id = row.id,
                       .execution_id = row.execution_id,
                       .events = &events,
                       .stands = true};
  code->users++; // the query may replace the code
  duro_code problem = duro__replay_aside(&aside, &x, &mismatch, &err);
  if (!problem) problem = inspect(rt, x, q, &r->answer, &err);
  duro__mismatch_free(&mismatch);
  duro__exec_free(x);
  duro__code_release(rt, code);
  if (problem)
    duro__fail_with(r, problem, err);
  else
    duro__request_durable(r);
}

// --- The verbs ---

static void ask(duro_runtime *rt, duro_request *r, const question *q, duro__call_function *verb,
                duro_str args, duro_arena *arena) {
  duro__instance *i = duro__live(rt, q->id);
  if (i && i->gone && i->batches) { // its end is not in the store yet
    duro__call_again(rt, r, verb, args);
    return;
  }
  duro_status ended;
  duro_error *err = NULL;
  duro_code code = duro__instance_fetch(rt, q->id, &i, &ended, &err);
  if (code == DURO_NOT_FOUND) {
    duro_error_free(err);
    duro__fail_not_found(r, q->id);
  } else if (code) {
    duro__fail_with(r, code, err);
  } else if (i) {
    ask_live(rt, r, i, q, verb, args);
  } else {
    ask_finished(rt, r, q, arena);
  }
}

void duro__verb_query(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_buf asked = {0};
  duro_str name, arg;
  question q = {.what = DURO_STR("query")};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &q.id) &&
      duro__arg_id(r, args, "name", DURO__REQUIRED, DURO_MAX_NAME_BYTES, &arena, &name) &&
      duro__arg_payload(r, args, "arg", &arg)) {
    duro_buf_add_char(&asked, '{');
    duro__add_text_member(&asked, "name", name);
    duro__add_json_member(&asked, "arg", arg);
    duro_buf_add_char(&asked, '}');
    q.args = duro_buf_str(&asked);
    if (asked.oom)
      duro__fail_memory(r);
    else
      ask(rt, r, &q, duro__verb_query, args, &arena);
  }
  duro_buf_free(&asked);
  duro_arena_free(&arena);
}

void duro__verb_stack(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  question q = {.what = DURO_STR("stack"), .args = DURO_STR("{}")};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &q.id)) {
    ask(rt, r, &q, duro__verb_stack, args, &arena);
  }
  duro_arena_free(&arena);
}
