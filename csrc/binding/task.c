// task: the handles that schedule_* and spawn give, and what becomes of them.
//
// A handle is a userdata that carries its result, so a task that is over needs nothing of its program.
// A task that nobody holds any more takes its slot along; then its completion is simply not delivered.
// join.c waits for several.
#include "binding/program.h"

#include <stdlib.h>

duro__task *duro__task_at(duro__host *h, lua_State *L, int index) {
  return (duro__task *)duro__host_userdata(L, index, h->task_mt);
}

duro__task *duro__task_new(lua_State *L, duro__program *p, duro__task_kind kind) {
  duro__task *t = (duro__task *)duro__lua_newbare(L, sizeof *t);
  memset(t, 0, sizeof *t);
  t->program = p;
  t->serial = p->serial;
  t->kind = (uint8_t)kind;
  t->owner = p->running ? p->running->number : 0;
  t->value_ref = LUA_NOREF;
  t->waiters_end = &t->waiters;
  duro__host_push(L, p->host->task_mt_ref);
  lua_setmetatable(L, -2);
  return t;
}

void duro__task_settle(duro__task *t, duro__program *p, duro__task_state state, duro_str text) {
  t->state = (uint8_t)state;
  t->order = ++p->order;
  if (text.p && text.n) {
    t->text = text.n <= sizeof t->brief ? t->brief : (char *)malloc(text.n);
    if (t->text) {
      memcpy(t->text, text.p, text.n);
      t->text_n = text.n;
    } else {
      p->broken = DURO_OUT_OF_MEMORY;
      p->over = true;
    }
  }
  bool slot_kept = t->kind == DURO__TASK_WAIT && state == DURO__COMPLETED;
  if (!slot_kept) t->program = NULL;
  while (t->waiters) duro__fiber_ready(t->waiters->fiber);
}

// --- Looking at a result ---

static void release_slot(duro__task *t) {
  if (!t->program) return;
  duro__slot *slot = t->id ? duro__slot_find(t->program, t->id) : NULL;
  if (slot && slot->task == t) duro__slot_remove(t->program, slot);
  t->program = NULL;
}

static int take_block(lua_State *L, duro__task *t) {
  if (t->value_count == 0) return 0;
  duro__host_push(L, t->value_ref);
  if (t->value_count == 1) return 1;
  int table = lua_gettop(L);
  luaL_checkstack(L, t->value_count, "too many results");
  for (int i = 1; i <= t->value_count; i++) duro__lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return t->value_count;
}

int duro__task_take(lua_State *L, duro__program *p, duro__task *t) {
  switch ((duro__task_state)t->state) {
  case DURO__COMPLETED:
    if (t->kind == DURO__TASK_BLOCK) return take_block(L, t);
    if (t->kind == DURO__TASK_WAIT && !t->observed) {
      t->observed = true;
      release_slot(t);
      duro_turn_observe(p->turn, t->id);
    }
    if (t->kind == DURO__TASK_TIMER) return 0;
    if (duro__payload_read(L, p->host, p->rt, (duro_str){t->text, t->text_n})) return 1;
    return duro__program_unreadable(L, p);
  case DURO__FAILED:
    if (t->value_ref != LUA_NOREF) {
      duro__host_push(L, t->value_ref);
    } else if (!duro__error_push_record(L, p->host, p->rt, (duro_str){t->text, t->text_n})) {
      return duro__program_unreadable(L, p);
    }
    return lua_error(L);
  case DURO__CANCELLED:
    duro__error_push_text(L, p->host, "cancelled", "the task was cancelled");
    break;
  case DURO__OPEN:
    duro__error_push_text(L, p->host, "running", "the task is not done");
    break;
  }
  return lua_error(L);
}

// --- Dropping ---

static duro_code drop_id(duro__program *p, int64_t id, duro_error **err) {
  return duro_turn_cancel_task(p->turn, id, err);
}

bool duro__task_encloses(const duro__program *p, const duro__task *t) {
  if (!t->block) return false;
  const duro__fiber *f = p->running;
  while (f && f != t->block) {
    uint32_t parent = f->parent;
    for (f = p->fibers; f && f->number != parent;) f = f->next;
  }
  return f != NULL;
}

// Everything that the block has open is cancelled, in the order it was scheduled, then the blocks that
// it spawned, and at last its coroutine is closed.
static duro_code drop_block(lua_State *L, duro__program *p, uint32_t number, duro_error **err) {
  for (size_t i = 0; i < p->slot_count; i++) {
    duro__slot *slot = &p->slots[i];
    duro__task *t = slot->task;
    bool owned = t ? t->owner == number : slot->fiber && slot->fiber->number == number;
    if (!owned) continue;
    int64_t id = slot->id;
    duro__slot_remove(p, slot);
    duro_code code = drop_id(p, id, err);
    if (code) return code;
    if (t) duro__task_settle(t, p, DURO__CANCELLED, DURO_NONE);
  }
  duro__fiber *child = p->fibers;
  while (child) {
    if (child->parent != number) {
      child = child->next;
      continue;
    }
    duro_code code = drop_block(L, p, child->number, err);
    if (code) return code;
    child = p->fibers; // the list has changed
  }
  duro__fiber **at = &p->fibers;
  while (*at && (*at)->number != number) at = &(*at)->next;
  duro__fiber *f = *at;
  if (!f) return DURO_OK;
  *at = f->next;
  if (p->fibers_end == &f->next) p->fibers_end = at;
  duro__task *t = f->task;
  f->task = NULL;
  if (t) {
    t->block = NULL;
    duro__task_settle(t, p, DURO__CANCELLED, DURO_NONE);
  }
  duro__fiber_free(L, f);
  return DURO_OK;
}

duro_code duro__task_drop(lua_State *L, duro__program *p, duro__task *t, duro_error **err) {
  bool bound = t->state == DURO__COMPLETED && t->kind == DURO__TASK_WAIT && !t->observed;
  if (t->state != DURO__OPEN && !bound) return DURO_OK;
  if (t->kind == DURO__TASK_BLOCK) {
    return t->block ? drop_block(L, p, t->block->number, err) : DURO_OK;
  }
  release_slot(t);
  duro_code code = drop_id(p, t->id, err);
  if (code) return code;
  if (bound) {
    t->state = DURO__CANCELLED;
  } else {
    duro__task_settle(t, p, DURO__CANCELLED, DURO_NONE);
  }
  return DURO_OK;
}

// --- Methods ---

static duro__task *check_task(lua_State *L, const char *what, duro__program **p) {
  duro__host *h = duro__host_of(L);
  duro__task *t = duro__task_at(h, L, 1);
  if (!t) duro__host_blame(L, h, "%s must be called with a colon, on a task", what);
  *p = duro__program_check_task(L, what, t);
  return t;
}

// task:await(), first half: waits.
static int task_wait(lua_State *L) {
  duro__program *p;
  duro__task *t = check_task(L, "task:await", &p);
  if (t->state != DURO__OPEN) return 0;
  if (duro__task_encloses(p, t)) {
    return duro__host_blame(L, p->host, "task:await: a block cannot wait for itself");
  }
  duro__fiber_check_yield(L, p, "await");
  duro__fiber_wait_for(L, p->running, &t, 1);
  return duro__fiber_block(L, p->running);
}

// Second half: gives the output or raises.
static int task_take(lua_State *L) {
  duro__program *p;
  duro__task *t = check_task(L, "task:await", &p);
  duro__fiber_check_interrupt(L, p);
  return duro__task_take(L, p, t);
}

static int task_done(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__task *t = duro__task_at(h, L, 1);
  if (!t) return duro__host_blame(L, h, "task:done must be called with a colon, on a task");
  lua_pushboolean(L, t->state != DURO__OPEN);
  return 1;
}

// task:cancel() -> whether it was still open
static int task_cancel(lua_State *L) {
  duro__program *p;
  duro__task *t = check_task(L, "task:cancel", &p);
  bool was_open = t->state == DURO__OPEN;
  if (was_open && duro__task_encloses(p, t)) {
    return duro__host_blame(L, p->host, "task:cancel: a block cannot cancel itself");
  }
  duro_error *err = NULL;
  duro_code code = duro__task_drop(L, p, t, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  lua_pushboolean(L, was_open);
  return 1;
}

static int task_collect(lua_State *L) {
  duro__task *t = (duro__task *)lua_touserdata(L, 1);
  if (t->program) release_slot(t);
  while (t->waiters) { // a fiber that waits for it has lost it: it can only wait for ever
    duro__waiter *node = t->waiters;
    t->waiters = node->next;
    node->task = NULL;
  }
  if (t->block) t->block->task = NULL;
  t->block = NULL;
  luaL_unref(L, LUA_REGISTRYINDEX, t->value_ref);
  t->value_ref = LUA_NOREF;
  if (t->text != t->brief) free(t->text);
  t->text = NULL;
  return 0;
}

static int task_tostring(lua_State *L) {
  static const char *const kinds[] = {"activity", "timer", "wait", "sub_orchestration", "block"};
  static const char *const states[] = {"open", "completed", "failed", "cancelled"};
  duro__task *t = duro__task_at(duro__host_of(L), L, 1);
  if (!t) return luaL_error(L, "not a task");
  lua_pushfstring(L, "task (%s, %s)", kinds[t->kind], states[t->state]);
  return 1;
}

static const luaL_Reg methods[] = {
    {"done", task_done},
    {"cancel", task_cancel},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"task_wait", task_wait}, {"task_take", task_take}, {NULL, NULL}};

// At the top: core.ops; it also gets the table of methods, for task.lua to complete.
void duro__task_init(lua_State *L, duro__host *h) {
  int ops = lua_gettop(L);
  duro__host_functions(L, h, functions);
  h->task_mt = duro__host_metatable(L, "duro.task", &h->task_mt_ref);
  lua_newtable(L);
  duro__host_functions(L, h, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, ops, "task_methods");
  lua_setfield(L, -2, "__index");
  const luaL_Reg meta[] = {{"__gc", task_collect}, {"__tostring", task_tostring}, {NULL, NULL}};
  duro__host_functions(L, h, meta);
  lua_pushliteral(L, "duro.task");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
