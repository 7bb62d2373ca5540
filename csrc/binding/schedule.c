// schedule: the ctx calls that ask the world for something: activities, timers, waits, children, the
// detached start, an event sent, and the next execution.
//
// Each asking call comes in two forms. Direct: it schedules, and the fiber waits on the slot; `take`
// then gives the result. As a task: it schedules and returns a handle. Whatever can fail by itself
// (types, encoding, memory) is done before the turn is asked, so that nothing is recorded by halves.
// orchestration.lua validates options and hands them down as the JSON of replay/retry.h.
#include "binding/program.h"

// A string argument; absent (DURO_NONE) when it is nil and may be.
static duro_str text_argument(lua_State *L, duro__program *p, int index, const char *what,
                              const char *name, bool optional) {
  if (optional && lua_isnoneornil(L, index)) return DURO_NONE;
  if (lua_type(L, index) != LUA_TSTRING) {
    duro__host_blame(L, p->host, "ctx:%s: the %s must be a string, got %s", what, name,
                     luaL_typename(L, index));
  }
  duro_str s;
  s.p = lua_tolstring(L, index, &s.n);
  return s;
}

static duro_str payload_argument(lua_State *L, duro__program *p, int index, const char *root) {
  duro__host *h = p->host;
  if (lua_isnoneornil(L, index)) return DURO_NONE;
  duro_buf_clear(&h->scratch);
  if (!duro__payload_encode(L, h, index, root, &h->scratch)) lua_error(L);
  return duro_buf_str(&h->scratch);
}

// What a scheduling call needs before the turn is asked: room for its slot, and its handle if it has one.
static duro__task *prepare(lua_State *L, duro__program *p, duro__task_kind kind, bool direct,
                           const char *what) {
  duro__slot_reserve(L, p);
  if (!direct) return duro__task_new(L, p, kind);
  duro__fiber_check_yield(L, p, what);
  return NULL;
}

// After the turn has answered: waits, or returns the handle (at the top of the stack).
static int scheduled(lua_State *L, duro__program *p, duro__task *t, duro__task_kind kind,
                     int64_t id, duro_code code, duro_error *err) {
  if (code) {
    if (t) t->program = NULL;
    return duro__program_turn_error(L, p, code, err);
  }
  if (t) {
    t->id = id;
    duro__slot_add(p, id, t, NULL);
    return 1;
  }
  duro__fiber *f = p->running;
  f->direct_id = id;
  f->direct_kind = (uint8_t)kind;
  f->result_state = DURO__OPEN;
  duro__slot_add(p, id, NULL, f);
  return duro__fiber_block(L, f);
}

// (ctx, name, input, options)
static int ask_activity(lua_State *L, bool direct) {
  const char *what = direct ? "activity" : "schedule_activity";
  duro__program *p = duro__program_check(L, what);
  duro_str name = text_argument(L, p, 2, what, "name", false);
  duro_str options = text_argument(L, p, 4, what, "options", true);
  lua_settop(L, 4);
  duro__task *t = prepare(L, p, DURO__TASK_ACTIVITY, direct, what);
  duro_str input = payload_argument(L, p, 3, "input");
  int64_t id = 0;
  duro_error *err = NULL;
  duro_code code = duro_turn_activity(p->turn, name, input, options, &id, &err);
  return scheduled(L, p, t, DURO__TASK_ACTIVITY, id, code, err);
}

static int activity(lua_State *L) { return ask_activity(L, true); }
static int schedule_activity(lua_State *L) { return ask_activity(L, false); }

// (ctx, duration), or (ctx, nil, time)
static int ask_timer(lua_State *L, bool direct) {
  const char *what = !direct ? "schedule_timer" : lua_isnoneornil(L, 3) ? "sleep" : "sleep_until";
  duro__program *p = duro__program_check(L, what);
  int64_t now_ms = p->now_ms, fire_at_ms = 0, delay_ms = 0;
  const char *problem;
  if (lua_isnoneornil(L, 3)) {
    problem = duro__duration_read(L, 2, &delay_ms);
    fire_at_ms = now_ms + delay_ms;
  } else {
    problem = duro__time_read(L, 3, &fire_at_ms);
    delay_ms = fire_at_ms > now_ms ? fire_at_ms - now_ms : 0;
  }
  if (problem)
    return duro__duration_refuse(L, p->host, lua_isnoneornil(L, 3) ? 2 : 3, what, problem);
  duro__task *t = prepare(L, p, DURO__TASK_TIMER, direct, what);
  int64_t id = 0;
  duro_error *err = NULL;
  duro_code code = duro_turn_timer(p->turn, fire_at_ms, delay_ms, &id, &err);
  return scheduled(L, p, t, DURO__TASK_TIMER, id, code, err);
}

static int timer(lua_State *L) { return ask_timer(L, true); }
static int schedule_timer(lua_State *L) { return ask_timer(L, false); }

// (ctx, event_name)
static int ask_wait(lua_State *L, bool direct) {
  const char *what = direct ? "wait_event" : "schedule_wait";
  duro__program *p = duro__program_check(L, what);
  duro_str name = text_argument(L, p, 2, what, "name of the event", false);
  duro__task *t = prepare(L, p, DURO__TASK_WAIT, direct, what);
  int64_t id = 0;
  duro_error *err = NULL;
  duro_code code = duro_turn_wait(p->turn, name, &id, &err);
  return scheduled(L, p, t, DURO__TASK_WAIT, id, code, err);
}

static int wait(lua_State *L) { return ask_wait(L, true); }
static int schedule_wait(lua_State *L) { return ask_wait(L, false); }

// (ctx, name, input, id, version)
static int ask_child(lua_State *L, bool direct) {
  const char *what = direct ? "sub_orchestration" : "schedule_sub_orchestration";
  duro__program *p = duro__program_check(L, what);
  duro_str name = text_argument(L, p, 2, what, "name", false);
  duro_str id = text_argument(L, p, 4, what, "id", true);
  duro_str version = text_argument(L, p, 5, what, "version", true);
  lua_settop(L, 5);
  duro__task *t = prepare(L, p, DURO__TASK_CHILD, direct, what);
  duro_str input = payload_argument(L, p, 3, "input");
  int64_t task = 0;
  duro_error *err = NULL;
  duro_code code = duro_turn_child(p->turn, name, version, id, input, DURO_NONE, &task, &err);
  return scheduled(L, p, t, DURO__TASK_CHILD, task, code, err);
}

static int child(lua_State *L) { return ask_child(L, true); }
static int schedule_child(lua_State *L) { return ask_child(L, false); }

// (ctx) -> the result of the direct wait that is just over, or raises.
static int take(lua_State *L) {
  duro__program *p = duro__program_check(L, "activity");
  duro__fiber *f = p->running;
  duro__fiber_check_interrupt(L, p);
  int64_t id = f->direct_id;
  f->direct_id = 0;
  if (f->result_state == DURO__FAILED) {
    if (!duro__error_push_record(L, p->host, p->rt, f->result))
      return duro__program_unreadable(L, p);
    return lua_error(L);
  }
  if (f->direct_kind == DURO__TASK_TIMER) return 0;
  if (!duro__payload_read(L, p->host, p->rt, f->result)) return duro__program_unreadable(L, p);
  if (f->direct_kind == DURO__TASK_WAIT) duro_turn_observe(p->turn, id); // `result` ends with it
  return 1;
}

// (ctx, name, input, id, version) -> the id of a detached instance
static int start(lua_State *L) {
  static const char what[] = "start_orchestration";
  duro__program *p = duro__program_check(L, what);
  duro_str name = text_argument(L, p, 2, what, "name", false);
  duro_str id = text_argument(L, p, 4, what, "id", true);
  duro_str version = text_argument(L, p, 5, what, "version", true);
  duro_str input = payload_argument(L, p, 3, "input");
  duro_str made = DURO_NONE;
  duro_error *err = NULL;
  duro_code code = duro_turn_start(p->turn, name, version, id, input, &made, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  lua_pushlstring(L, made.p ? made.p : "", made.n);
  return 1;
}

// ctx:raise_event(id, name, data)
static int raise_event(lua_State *L) {
  static const char what[] = "raise_event";
  duro__program *p = duro__program_check(L, what);
  duro_str id = text_argument(L, p, 2, what, "instance id", false);
  duro_str name = text_argument(L, p, 3, what, "name of the event", false);
  duro_str data = payload_argument(L, p, 4, "data");
  duro_error *err = NULL;
  duro_code code = duro_turn_raise(p->turn, id, name, data, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  lua_pushboolean(L, 1);
  return 1;
}

// (ctx, input, version, reason): never returns.
static int continue_as_new(lua_State *L) {
  static const char what[] = "continue_as_new";
  duro__program *p = duro__program_check(L, what);
  if (p->running->number != 1) {
    return duro__host_blame(
        L, p->host, "ctx:%s must be called by the main function, not in a ctx:spawn block", what);
  }
  duro__fiber_check_yield(L, p, what);
  duro_str version = text_argument(L, p, 3, what, "version", true);
  duro_str reason = text_argument(L, p, 4, what, "reason", true);
  duro_str input = payload_argument(L, p, 2, "input");
  duro_error *err = NULL;
  if (duro__program_ends_later(p)) return lua_yield(L, 0);
  duro_code code = duro_turn_continue_as_new(p->turn, input, version, reason, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  p->over = true;
  return lua_yield(L, 0);
}

static const luaL_Reg functions[] = {
    {"activity", activity},
    {"schedule_activity", schedule_activity},
    {"timer", timer},
    {"schedule_timer", schedule_timer},
    {"wait", wait},
    {"schedule_wait", schedule_wait},
    {"child", child},
    {"schedule_child", schedule_child},
    {"take", take},
    {"start", start},
    {"raise_event", raise_event},
    {"continue_as_new", continue_as_new},
    {"call_options", duro__call_options},
    {NULL, NULL},
};

void duro__schedule_functions(lua_State *L, duro__host *h) {
  duro__host_functions(L, h, functions);
}
