// verbs_why.c: one answer to "why does nothing happen": {state, reason, since?, suggestion}.
//
// The owner answers from its memory where it can, else from the file. A client asks the owner; but when
// nobody lives, or the owner is stuck in a turn and could not answer, it says so itself. Nothing is loaded
// and no code runs. To add a situation: its function, and its word in types/management.lua.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/stuck.h"
#include "runtime/why.h"

typedef struct question {
  duro_runtime *rt;
  duro_request *request;
  duro_arena arena;
  duro_str id, args;
  duro_instance_row row;
  duro_events events; // of the current execution, once read
  duro__reason reason;
} question;

// --- Answering ---

static void add_since(duro_buf *b, const duro__reason *why) {
  duro__add_time_member(b, "since", why->since_ms);
}

// `i`: whose unstored steps the answer may tell of; NULL: none.
static void answer(question *q, const duro__instance *i) {
  duro_buf *b = &q->request->answer;
  duro__reason *why = &q->reason;
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "state", duro_str_from(why->state));
  duro__add_text_member(b, "reason", duro_buf_str(&why->reason));
  add_since(b, why);
  if (why->suggestion.n) duro__add_text_member(b, "suggestion", duro_buf_str(&why->suggestion));
  duro_buf_add_char(b, '}');
  if (why->reason.oom || why->suggestion.oom) b->oom = true;
  if (i)
    duro__answer_when_durable(q->rt, i, q->request);
  else
    duro__request_durable(q->request);
}

#define SAY(state_word, at_ms, ...)                                                                \
  do {                                                                                             \
    q->reason.state = (state_word);                                                                \
    q->reason.since_ms = (at_ms);                                                                  \
    duro_buf_printf(&q->reason.reason, __VA_ARGS__);                                               \
  } while (0)
#define ADVISE(...) duro_buf_printf(&q->reason.suggestion, __VA_ARGS__)

// --- The instance as a whole ---

static void say_not_found(question *q) {
  SAY("not_found", 0, "there is no instance '%.*s'", DURO_FMT(q->id));
  ADVISE("look at the id: rt:list_instances{id_prefix=}");
}

static void say_finished(question *q) {
  const duro_instance_row *row = &q->row;
  SAY("finished", row->completed_at_ms, "it has ended: %s", duro_status_string(row->status));
  duro_str message = duro_json_member_text(row->error, "message", &q->arena);
  if (message.n) duro_buf_printf(&q->reason.reason, " (%.*s)", DURO_FMT(message));
  if (row->status == DURO_STATUS_FAILED && !row->parent_id.p)
    ADVISE("when the cause is mended: rt:retry_failed{instances={'%.*s'}}", DURO_FMT(q->id));
  else
    ADVISE("nothing is left to do");
}

static void say_pending(question *q) {
  int64_t wait_ms = q->row.wake_at_ms - duro__now(q->rt);
  SAY("pending", q->row.created_at_ms, "its start lies ahead: it begins in ");
  duro__add_span(&q->reason.reason, wait_ms);
  ADVISE("wait for it, or cancel it");
}

static const duro_event *newest(const duro_events *events, duro_event_kind kind) {
  for (size_t i = events->count; i-- > 0;) {
    if (events->items[i].kind == kind) return &events->items[i];
  }
  return NULL;
}

static void say_suspended(question *q) {
  const duro_event *e = newest(&q->events, DURO_EVENT_SUSPENDED);
  SAY("suspended", e ? e->at_ms : q->row.updated_at_ms, "it is suspended");
  if (e && e->reason.n) duro_buf_printf(&q->reason.reason, ": %.*s", DURO_FMT(e->reason));
  ADVISE("rt:resume('%.*s')", DURO_FMT(q->id));
}

static void say_stalled(question *q) {
  duro_str error = q->row.error;
  duro_str code = duro_json_member_text(error, "code", &q->arena);
  duro_str message = duro_json_member_text(error, "message", &q->arena);
  bool missing = duro_str_equal(code, DURO_STR("not_registered"));
  SAY(missing ? "not_registered" : "stalled", q->row.updated_at_ms, "it stands still: %.*s",
      DURO_FMT(message));
  if (missing && !q->row.version.n) {
    ADVISE("register it: rt:orchestration('%.*s', function(ctx, input) ... end)",
           DURO_FMT(q->row.name));
  } else if (missing) {
    ADVISE("register it: rt:orchestration('%.*s', {version='%.*s'}, function(ctx, input) ... end)",
           DURO_FMT(q->row.name), DURO_FMT(q->row.version));
  } else if (duro_str_equal(code, DURO_STR("nondeterminism"))) {
    ADVISE("register the code that its history fits (ctx:patched for a change); it then goes on by "
           "itself");
  } else if (duro_str_equal(code, DURO_STR("corrupt"))) {
    ADVISE("its history cannot be read: restore the file, or terminate the instance");
  } else {
    ADVISE("mend what kills the process and open the file again, or terminate the instance");
  }
}

static const char *vm_name(int vm) {
  switch (vm) {
  case DURO_VM_LUA54:
    return "Lua 5.4";
  case DURO_VM_LUAJIT:
    return "LuaJIT";
  case DURO_VM_C:
    return "C";
  default:
    return "another VM";
  }
}

static void say_foreign(question *q) {
  SAY("foreign_vm", q->row.updated_at_ms, "%s began it, and this process runs %s",
      vm_name(q->row.vm), vm_name(q->rt->options.vm));
  ADVISE("run it there, or open this file with any_vm=true");
}

static bool is_foreign(const question *q) {
  int vm = q->row.vm;
  return vm != DURO_VM_ANY && vm != q->rt->options.vm && !q->rt->options.any_vm;
}

static void say_fault(question *q) {
  SAY("storage", 0, "the store cannot be written now");
  ADVISE("look at the log and at the disk; it is tried again and again");
}

// --- A running one ---

static void say_about_to_run(question *q) {
  SAY("running", q->row.updated_at_ms, "nothing holds it up: it waits for its turn");
  ADVISE("let the loop turn: rt:run(), or rt:step()");
}

static void say_no_task(question *q, duro__exec *x) {
  SAY("waiting", duro__exec_now_ms(x),
      "it waits for a condition (ctx:wait_until) that does not hold");
  ADVISE("the condition is asked again after each event: raise what makes it hold");
}

static void say_unstarted(question *q) {
  if (!duro__find_orchestration(q->rt, q->row.name, q->row.version)) {
    SAY("not_registered", q->row.created_at_ms,
        "orchestration '%.*s' is not registered in this process", DURO_FMT(q->row.name));
    ADVISE("register it: rt:orchestration('%.*s', function(ctx, input) ... end)",
           DURO_FMT(q->row.name));
    return;
  }
  say_about_to_run(q);
}

static void say_running(question *q, duro__exec *x, const duro__instance *i, bool lives) {
  if (!duro__exec_last_event_id(x) && lives) {
    say_unstarted(q);
    return;
  }
  duro__why_tasks(q->rt, x, i, q->id, lives, &q->reason);
  if (i && i->ready) {
    duro_buf_clear(&q->reason.reason);
    duro_buf_clear(&q->reason.suggestion);
    say_about_to_run(q);
  } else if (!q->reason.state) {
    say_no_task(q, x);
  }
  if (!duro__exec_cancel_requested(x)) return;
  duro_buf_add_lit(&q->reason.reason, "; it was asked to cancel");
}

// --- In the owner ---

static bool read_events(question *q) {
  return duro__read_events(q->rt, q->request, q->row.key, q->row.execution_id, &q->arena,
                           &q->events);
}

// It waits as it should, but stalls as soon as it is to go on.
static void say_code_missing(question *q) {
  if (duro__find_orchestration(q->rt, q->row.name, q->row.version)) return;
  duro_buf_printf(&q->reason.reason, "; orchestration '%.*s' version '%.*s' is not registered here",
                  DURO_FMT(q->row.name), DURO_FMT(q->row.version));
}

static void why_running(question *q, duro__instance *i) {
  if (i && i->exec) {
    say_running(q, i->exec, i, true);
    answer(q, i);
    return;
  }
  if (!read_events(q)) return;
  duro__exec *x = duro__scan(q->rt, q->request, &q->row, &q->events);
  if (!x) return;
  say_running(q, x, NULL, true);
  say_code_missing(q);
  duro__exec_free(x);
  answer(q, i);
}

static void why_here(question *q) {
  duro__instance *i = duro__live_by_key(q->rt, q->row.key);
  duro_status status = i ? i->status : q->row.status;
  if (q->rt->fault) {
    say_fault(q);
  } else if (is_foreign(q)) {
    say_foreign(q);
  } else if (status == DURO_STATUS_PENDING) {
    say_pending(q);
  } else if (status == DURO_STATUS_STALLED) {
    say_stalled(q);
  } else if (status == DURO_STATUS_SUSPENDED) {
    if (!read_events(q)) return;
    say_suspended(q);
  } else {
    why_running(q, i);
    return;
  }
  answer(q, i);
}

// --- In another process ---

// Of the owner that lives now. The culprit may be stuck in its first turn: then it has no row yet.
static bool is_stuck(question *q) {
  duro__stuck stuck;
  if (!duro__owner_stuck(q->rt, &q->arena, &stuck)) return false;
  if (stuck.instance_id.p && duro_str_equal(stuck.instance_id, q->id)) {
    SAY("stuck", stuck.since_ms, "its turn does not come back: its code works without waiting");
  } else if (!q->row.key) {
    return false;
  } else {
    q->reason.state = "stuck";
    q->reason.since_ms = stuck.since_ms;
    duro__stuck_reason(&q->reason.reason, &stuck);
  }
  ADVISE("%s", duro__stuck_advice(&stuck));
  return true;
}

static void say_no_owner(question *q) {
  duro__exec *x;
  if (q->row.status == DURO_STATUS_SUSPENDED) { // an owner alone would not move it
    if (!read_events(q)) return;
    say_suspended(q);
    duro_buf_add_lit(&q->reason.reason, "; no process owns the file");
    answer(q, NULL);
    return;
  }
  if (!read_events(q) || !(x = duro__scan(q->rt, q->request, &q->row, &q->events))) return;
  duro__reason inner = {0};
  SAY("no_owner", q->row.updated_at_ms, "no process owns the file");
  duro__why_tasks(q->rt, x, NULL, q->id, false, &inner);
  if (inner.reason.n) duro_buf_add_lit(&q->reason.reason, "; ");
  duro_buf_add_str(&q->reason.reason, duro_buf_str(&inner.reason));
  ADVISE("start one: duro.open('%s') and rt:run()", q->rt->path);
  duro_buf_free(&inner.reason);
  duro_buf_free(&inner.suggestion);
  duro__exec_free(x);
  answer(q, NULL);
}

static void why_elsewhere(question *q) {
  static const duro__call_verb owners = {"why", duro__verb_why, true};
  if (!duro__owner_lives(q->rt)) {
    say_no_owner(q);
  } else if (is_stuck(q)) {
    answer(q, NULL);
  } else {
    duro__remote_call(q->rt, &owners, q->request, q->args);
  }
}

// --- The verb ---

static void ask(question *q) {
  duro_error *err = NULL;
  const duro__instance *i = duro__live(q->rt, q->id);
  if (i && i->batches && (i->gone || duro__instance_parked(i))) { // its row is not as it will be
    duro__call_again(q->rt, q->request, duro__verb_why, q->args);
    return;
  }
  if (i && i->needs_insert) {
    duro__call_again(q->rt, q->request, duro__verb_why, q->args);
    return;
  }
  duro_code code = duro__store_get(q->rt->store, q->id, &q->arena, &q->row, &err);
  if (code && code != DURO_NOT_FOUND) {
    duro__fail_with(q->request, code, err);
    return;
  }
  duro_error_free(err);
  if (code) {
    bool elsewhere = q->rt->role != DURO_ROLE_RUNTIME && duro__owner_lives(q->rt);
    if (!elsewhere || !is_stuck(q)) say_not_found(q);
    answer(q, NULL);
  } else if (duro_status_final(q->row.status)) {
    say_finished(q);
    answer(q, NULL);
  } else if (q->rt->role == DURO_ROLE_RUNTIME) {
    why_here(q);
  } else {
    why_elsewhere(q);
  }
}

void duro__verb_why(duro_runtime *rt, duro_request *r, duro_str args) {
  question q = {.rt = rt, .request = r, .args = args};
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &q.arena, &q.id)) {
    ask(&q);
  }
  duro_buf_free(&q.reason.reason);
  duro_buf_free(&q.reason.suggestion);
  duro_arena_free(&q.arena);
}
