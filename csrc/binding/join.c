// join: waiting for several tasks at once. Each call comes in two halves, as all waiting does: one that
// blocks until there is something to see, and one that looks (core.ops; task.lua puts them together).
// `list` is a private copy of the author's array: it cannot change, and it keeps the tasks alive.
#include "binding/program.h"

#include <stdlib.h>

static size_t list_length(lua_State *L, int index) { return duro__lua_rawlen(L, index); }

// list_copy has checked what it is.
static duro__task *list_task(lua_State *L, int list, size_t i) {
  duro__lua_rawgeti(L, list, (int)i);
  duro__task *t = (duro__task *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return t;
}

// (ctx, tasks, what) -> list: a copy, each element checked.
static int list_copy(lua_State *L) {
  const char *what = luaL_checkstring(L, 3);
  duro__program *p = duro__program_check(L, what);
  duro__host *h = p->host;
  if (!lua_istable(L, 2)) {
    return duro__host_blame(L, h, "ctx:%s needs an array of tasks, got %s", what,
                            luaL_typename(L, 2));
  }
  size_t count = list_length(L, 2);
  lua_pushnil(L);
  if (count == 0 && lua_next(L, 2)) {
    return duro__host_blame(L, h, "ctx:%s needs an array of tasks, got a table with other keys",
                            what);
  }
  p->running->scan = 0;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 1; i <= count; i++) {
    duro__lua_rawgeti(L, 2, (int)i);
    duro__task *t = duro__task_at(h, L, -1);
    if (!t) {
      return duro__host_blame(L, h, "ctx:%s: element %d is no task, but a %s", what, (int)i,
                              luaL_typename(L, -1));
    }
    if (t->serial != p->serial) {
      return duro__host_blame(L, h, "ctx:%s: task %d belongs to another orchestration", what,
                              (int)i);
    }
    if (duro__task_encloses(p, t)) {
      return duro__host_blame(L, h, "ctx:%s: a block cannot wait for itself", what);
    }
    lua_rawseti(L, -2, (int)i);
  }
  return 1;
}

// (ctx, list) -> true when all are done; else it waits for the first that is not.
static int join_wait(lua_State *L) {
  duro__program *p = duro__program_check(L, "join");
  duro__fiber *f = p->running;
  duro__fiber_check_interrupt(L, p);
  size_t count = list_length(L, 2);
  for (; f->scan < count; f->scan++) {
    duro__task *t = list_task(L, 2, f->scan + 1);
    if (t->state != DURO__OPEN) continue;
    duro__fiber_check_yield(L, p, "join");
    duro__fiber_wait_for(L, f, &t, 1);
    return duro__fiber_block(L, f);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// (ctx, list) -> outputs; raises the failure that came first in history.
static int join_take(lua_State *L) {
  duro__program *p = duro__program_check(L, "join");
  size_t count = list_length(L, 2);
  duro__task *failed = NULL;
  for (size_t i = 1; i <= count; i++) {
    duro__task *t = list_task(L, 2, i);
    if (t->state != DURO__COMPLETED && (!failed || t->order < failed->order)) failed = t;
  }
  if (failed) return duro__task_take(L, p, failed);
  lua_createtable(L, (int)count, 0);
  int outputs = lua_gettop(L);
  for (size_t i = 1; i <= count; i++) {
    if (duro__task_take(L, p, list_task(L, 2, i)) > 0) {
      lua_settop(L, outputs + 1); // the first value of a block that returned several
      lua_rawseti(L, outputs, (int)i);
    }
  }
  return 1;
}

// (ctx, task) -> output, or raises. task.lua calls it under pcall for join_settled.
static int take(lua_State *L) {
  duro__program *p = duro__program_check(L, "join_settled");
  duro__task *t = duro__task_at(p->host, L, 2);
  if (!t) return 0;
  int count = duro__task_take(L, p, t);
  return count > 1 ? (lua_pop(L, count - 1), 1) : count;
}

static int select_block(lua_State *L, duro__program *p, size_t count) {
  duro__task **tasks = (duro__task **)lua_newuserdata(L, count * sizeof(duro__task *));
  for (size_t i = 0; i < count; i++) tasks[i] = list_task(L, 2, i + 1);
  duro__fiber_check_yield(L, p, "select");
  duro__fiber_wait_for(L, p->running, tasks, count);
  return duro__fiber_block(L, p->running);
}

// (ctx, list): waits until one of them is done.
static int select_wait(lua_State *L) {
  duro__program *p = duro__program_check(L, "select");
  size_t count = list_length(L, 2);
  if (count == 0) {
    return duro__host_blame(L, p->host,
                            "ctx:select needs at least one task: nothing could ever be first");
  }
  for (size_t i = 1; i <= count; i++) {
    if (list_task(L, 2, i)->state != DURO__OPEN) return 0;
  }
  return select_block(L, p, count);
}

// (ctx, list) -> index, output of the first; the others are cancelled.
static int select_take(lua_State *L) {
  duro__program *p = duro__program_check(L, "select");
  duro__fiber_check_interrupt(L, p);
  size_t count = list_length(L, 2), first = 0;
  duro__task *winner = NULL;
  for (size_t i = 1; i <= count; i++) {
    duro__task *t = list_task(L, 2, i);
    if (t->state == DURO__OPEN || (winner && winner->order <= t->order)) continue;
    winner = t;
    first = i;
  }
  for (size_t i = 1; i <= count; i++) {
    duro__task *t = list_task(L, 2, i);
    if (t == winner) continue;
    duro_error *err = NULL;
    duro_code code = duro__task_drop(L, p, t, &err);
    if (code) return duro__program_turn_error(L, p, code, err);
  }
  lua_pushinteger(L, (lua_Integer)first);
  return 1 + duro__task_take(L, p, winner);
}

static const luaL_Reg functions[] = {
    {"list_copy", list_copy},
    {"join_wait", join_wait},
    {"join_take", join_take},
    {"take_task", take},
    {"select_wait", select_wait},
    {"select_take", select_take},
    {NULL, NULL},
};

void duro__join_functions(lua_State *L, duro__host *h) { duro__host_functions(L, h, functions); }
