// program: begin, step and end of an orchestration for the core, and the loop that runs its fibers.
// program.h tells how the parts hang together.
//
// None of the callbacks lets a Lua error pass: what allocates runs under lua_pcall (begin) or inside
// the resumed coroutine. When a duro_turn_* call breaks the turn, the coroutine yields and is never
// resumed, so that no pcall of the author's code can catch it.
#include "binding/program.h"
#include "binding/runtime.h"

#include <stdlib.h>

// --- Whether a ctx method may be called ---

static int refuse(lua_State *L, duro__host *h, duro__program *p, const char *what) {
  if (!p) {
    return duro__host_blame(
        L, h, "ctx:%s must be called with a colon, on the ctx of an orchestration", what);
  }
  const char *why = "is called outside of its orchestration";
  if (p->asked) {
    why = "is called in a query handler, which can only look";
  } else if (p->broken) {
    why = "is called in a turn that is broken";
  } else if (p->gone || p->over) {
    why = "is called after the end of this execution";
  } else if (p->quiet) {
    why = "is called inside of ctx:side_effect, or by a log function";
  } else if (h->program == p && !p->running) {
    why = "is called while the code is closed";
  } else if (h->program == p) {
    why = "is called from a coroutine of its own: use ctx:spawn for concurrent blocks";
  }
  bool named = strncmp(what, "ctx.", 4) == 0 || strncmp(what, "task:", 5) == 0;
  return duro__host_blame(L, h, "%s%s %s", named ? "" : "ctx:", what, why);
}

static inline bool may_run(lua_State *L, const duro__program *p) {
  return p && p->running && p->running->co == L && p->turn && !p->over && !p->quiet;
}

duro__program *duro__program_check(lua_State *L, const char *what) {
  duro__host *h = duro__host_of(L);
  duro__program *p = h->program;
  if (may_run(L, p) && lua_touserdata(L, 1) == p) return p;
  p = (duro__program *)duro__host_userdata(L, 1, h->ctx_mt);
  refuse(L, h, p, what);
  return NULL;
}

duro__program *duro__program_check_task(lua_State *L, const char *what, duro__task *task) {
  duro__host *h = duro__host_of(L);
  duro__program *p = h->program;
  if (!p) {
    duro__host_blame(L, h, "%s is called outside of an orchestration", what);
  } else if (task && task->serial != p->serial) {
    duro__host_blame(L, h, "%s: this task belongs to another orchestration", what);
  } else if (!may_run(L, p)) {
    refuse(L, h, p, what);
  }
  return p;
}

duro__program *duro__program_check_view(lua_State *L, const char *what) {
  duro__program *p = duro__host_of(L)->program;
  return p && p->asked && p->view ? p : duro__program_check_task(L, what, NULL);
}

// --- Ends ---

static void set_broken(duro__program *p, duro_code code, duro_error *err) {
  if (p->broken) {
    duro_error_free(err);
    return;
  }
  p->broken = code;
  p->broken_error = err;
  p->over = true;
}

int duro__program_turn_error(lua_State *L, duro__program *p, duro_code code, duro_error *err) {
  if (code != DURO_TOO_LARGE && code != DURO_INVALID_ARGUMENT) {
    set_broken(p, code, err);
    if (lua_isyieldable(L)) return lua_yield(L, 0);
    return duro__host_blame(L, p->host, "%s", duro_code_sentence(code));
  }
  duro__error_push(L, p->host, code, err);
  return lua_error(L);
}

int duro__program_unreadable(lua_State *L, duro__program *p) {
  duro_error *err = NULL;
  if (!p->turn) return lua_error(L); // a query: nothing is recorded
  duro_code code = duro__error_read(L, &err);
  return duro__program_turn_error(L, p, code, err);
}

static void recorded_end(duro__program *p, duro_code code, duro_error *err) {
  if (code) {
    set_broken(p, code, err);
  } else {
    p->over = true;
  }
}

void duro__program_fail(duro__program *p, duro_str record) {
  duro_error *err = NULL;
  if (duro__program_ends_later(p)) return;
  duro_code code = duro_turn_fail(p->turn, record, &err);
  recorded_end(p, code, err);
}

bool duro__program_ends_later(duro__program *p) {
  if (p->cancel_error.p) p->ending = true;
  return p->ending;
}

// The core makes this a cancelled end, whatever the code returned or raised.
static void end_cancelled(duro__program *p) {
  duro_error *err = NULL;
  duro_code code = duro_turn_complete(p->turn, DURO_NONE, &err);
  recorded_end(p, code, err);
}

static void fail_with_text(duro__program *p, const char *code, const char *message) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "{\"code\":");
  duro_json_add_string(&b, duro_str_from(code));
  duro_buf_add_lit(&b, ",\"message\":");
  duro_json_add_string(&b, duro_str_from(message));
  duro_buf_add_char(&b, '}');
  if (b.oom) {
    set_broken(p, DURO_OUT_OF_MEMORY, NULL);
  } else {
    duro__program_fail(p, duro_buf_str(&b));
  }
  duro_buf_free(&b);
}

// --- Running ---

static void remove_fiber(duro__program *p, duro__fiber *f) {
  duro__fiber **at = &p->fibers;
  while (*at && *at != f) at = &(*at)->next;
  if (!*at) return;
  *at = f->next;
  if (p->fibers_end == &f->next) p->fibers_end = at;
}

static void fiber_failed(duro__program *p, duro__fiber *f, int status) {
  lua_State *L = p->host->L;
  int top = lua_gettop(L);
  if (status == LUA_ERRMEM) lua_gc(L, LUA_GCCOLLECT, 0); // what the code had hoarded is free now
  if (f->number == 1 && status == LUA_ERRMEM) {
    fail_with_text(p, "failed", "memory ran out in the orchestration's code");
  } else if (f->number == 1) {
    duro__program_fail(p, duro__error_thrown_record(L, p->host, f->co));
  } else if (f->task) {
    f->task->value_ref = duro__error_thrown_ref(L, p->host, f->co);
    duro__task_settle(f->task, p, DURO__FAILED, DURO_NONE);
  }
  lua_settop(L, top);
}

static void fiber_ended(duro__program *p, duro__fiber *f) {
  f->state = DURO__DEAD;
  if (f->number == 1) return; // it goes with the program
  remove_fiber(p, f);
  duro__fiber_free(p->host->L, f);
}

static void run_fiber(duro__program *p, duro__fiber *f) {
  int args = f->args;
  f->args = 0;
  f->state = DURO__RUNNING;
  p->running = f;
  int status = duro__host_resume(p->host, f->co, args);
  p->running = NULL;
  p->quiet = false;
  bool polls_again = f->state == DURO__BLOCKED && f->polling && f->repeated;
  if (!polls_again) p->progress = true;
  if (p->broken) return;
  if (status == LUA_YIELD) {
    if (!p->over && !p->ending && f->state != DURO__BLOCKED) {
      fail_with_text(p, "failed",
                     "the orchestration yielded to the host: use ctx:... to wait, and do "
                     "what needs the host's own coroutines in an activity");
    }
    return;
  }
  if (status != 0) fiber_failed(p, f, status);
  fiber_ended(p, f);
}

// Once the main function has ended, those alone whose wait is still to raise the cancellation.
static void run_ready(duro__program *p) {
  while (p->ready && !p->over) {
    duro__fiber *f = p->ready;
    p->ready = f->ready_next;
    if (!p->ready) p->ready_end = &p->ready;
    if (!p->ending || f->interrupt) run_fiber(p, f);
  }
}

static duro_code run(duro__program *p, duro_error **err) {
  for (;;) {
    run_ready(p);
    if (p->over || p->ending || !p->polling || !p->progress) break;
    p->progress = false;
    for (duro__fiber *f = p->fibers; f; f = f->next) {
      if (f->polling) duro__fiber_ready(f);
    }
  }
  if (p->ending && !p->over) end_cancelled(p);
  if (!p->broken) return DURO_OK;
  duro_error_free(*err);
  *err = p->broken_error;
  p->broken_error = NULL;
  if (!*err) return duro_fail(err, p->broken, "%s", duro_code_sentence(p->broken));
  return p->broken;
}

// --- What the core calls ---

typedef struct beginning {
  duro__rt *rt;
  duro__registered *code;
  duro__program *made;
} beginning;

static int begin_program(lua_State *L) {
  beginning *b = (beginning *)lua_touserdata(L, 1);
  duro__host *h = b->rt->host;
  duro__program *p = (duro__program *)lua_newuserdata(L, sizeof *p);
  memset(p, 0, sizeof *p);
  p->host = h;
  p->rt = b->rt;
  p->serial = ++h->program_count;
  p->queries_ref = LUA_NOREF;
  p->fn_ref = b->code->ref;
  p->fibers_end = &p->fibers;
  p->ready_end = &p->ready;
  duro__host_push(L, h->ctx_mt_ref);
  lua_setmetatable(L, -2);
  p->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  b->made = p;
  duro__fiber *f = duro__fiber_new(L, p);
  duro__host_push(f->co, h->main_entry);
  duro__fiber_ready(f);
  return 0;
}

static void drop(duro__program *p) {
  duro__host *h = p->host;
  lua_State *L = h->L;
  p->over = p->gone = true;
  p->turn = NULL;
  p->view = NULL;
  duro__program *outer = h->program;
  h->program = p; // the closing code is still that of an orchestration
  while (p->fibers) {
    duro__fiber *f = p->fibers;
    p->fibers = f->next;
    duro__fiber_free(L, f);
  }
  h->program = outer;
  for (size_t i = 0; i < p->slot_count; i++) {
    duro__task *t = p->slots[i].task;
    if (!t) continue;
    t->program = NULL;
    if (t->state == DURO__OPEN) t->state = DURO__CANCELLED;
  }
  duro__slots_free(p);
  p->start = NULL;
  duro_error_free(p->broken_error);
  p->broken_error = NULL;
  luaL_unref(L, LUA_REGISTRYINDEX, p->queries_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, p->ref); // the last touch: now it may be collected
}

static duro_code enter(duro__program *p, duro_turn *turn, duro_error **err) {
  duro__program *outer = p->host->program;
  p->host->program = p;
  p->turn = turn;
  p->view = turn;
  p->now_ms = duro_turn_now_ms(turn);
  p->progress = true;
  duro_code code = run(p, err);
  p->turn = NULL;
  p->host->program = outer;
  return code;
}

static duro_code program_begin(void *host, void *code, duro_turn *turn,
                               const duro_program_start *start, void **program, duro_error **err) {
  duro__rt *rt = (duro__rt *)host;
  duro__host *h = rt->host;
  lua_State *L = h->L;
  beginning b = {rt, (duro__registered *)code, NULL};
  duro_error *ignored = NULL;
  int top = lua_gettop(L);
  *program = NULL;
  duro__host_push(L, h->begin_program);
  lua_pushlightuserdata(L, &b);
  bool made = lua_pcall(L, 1, 0, 0) == 0;
  lua_settop(L, top);
  if (!made) {
    if (b.made) drop(b.made);
    return duro_fail_oom(err);
  }
  b.made->start = start;
  duro_code result = enter(b.made, turn, err ? err : &ignored);
  if (result) {
    drop(b.made);
    duro_error_free(ignored);
    return result;
  }
  *program = b.made;
  return DURO_OK;
}

static void deliver(duro__program *p, const duro_completion *c) {
  duro__slot *slot = duro__slot_find(p, c->task);
  if (!slot) return;
  bool ok = c->kind == DURO_TASK_COMPLETED;
  duro__task_state state = ok ? DURO__COMPLETED : DURO__FAILED;
  duro_str text = ok ? c->output : c->error;
  duro__task *t = slot->task;
  if (t) {
    // A wait keeps its slot until somebody looks at it.
    if (t->kind != DURO__TASK_WAIT || !ok) duro__slot_remove(p, slot);
    duro__task_settle(t, p, state, text);
    return;
  }
  duro__fiber *f = slot->fiber;
  duro__slot_remove(p, slot);
  if (!f) return;
  f->result_state = state;
  f->result = text;
  p->order++;
  duro__fiber_ready(f);
}

// Every fiber that waits gets one error at its wait; what was open, and events that were bound but not
// looked at, are gone.
static void cancel(duro__program *p, duro_str error) {
  p->cancel_error = error;
  duro__fiber_interrupt_all(p);
  for (size_t i = 0; i < p->slot_count; i++) {
    duro__slot *slot = &p->slots[i];
    duro__task *t = slot->task;
    if (!t && !slot->fiber) continue;
    duro__slot_remove(p, slot);
    if (t) duro__task_settle(t, p, DURO__CANCELLED, DURO_NONE);
  }
}

static duro_code program_step(void *host, void *program, duro_turn *turn,
                              const duro_completion *completion, duro_error **err) {
  (void)host;
  duro__program *p = (duro__program *)program;
  duro_error *ignored = NULL;
  if (p->over) return DURO_OK;
  if (completion->kind == DURO_CANCEL) {
    cancel(p, completion->error);
  } else {
    deliver(p, completion);
  }
  duro_code code = enter(p, turn, err ? err : &ignored);
  p->cancel_error = DURO_NONE;
  duro_error_free(ignored);
  duro_buf *scratch = &p->host->scratch;
  if (scratch->cap > 1 << 20) duro_buf_free(scratch); // one huge value shall not stay
  return code;
}

static void program_end(void *host, void *program) {
  (void)host;
  if (program) drop((duro__program *)program);
}

const duro_program_ops duro__program_ops = {
    .begin = program_begin,
    .step = program_step,
    .end = program_end,
    .inspect = duro__inspect,
    .conceal = duro__codec_conceal,
    .reveal = duro__codec_reveal,
};

void duro__program_init(lua_State *L, duro__host *h) {
  h->begin_program = duro__host_keep(L, begin_program);
  duro__inspect_init(L, h);
  duro__fiber_functions(L, h);
  duro__schedule_functions(L, h);
  duro__join_functions(L, h);
  duro__task_init(L, h);
  duro__state_init(L, h);
}
