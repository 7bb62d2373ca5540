// fiber: the coroutines inside a program: made, made ready, put to wait, interrupted, ended.
//
// A waiting fiber stands in the lists of the tasks it waits for, in the order it came, or holds a slot
// of its own (direct), or polls. Whatever makes it ready takes it out of all of them.
#include "binding/program.h"

#include <stdlib.h>

duro__fiber *duro__fiber_new(lua_State *L, duro__program *p) {
  lua_State *co = lua_newthread(L);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  duro__fiber *f = p->fiber_count ? (duro__fiber *)calloc(1, sizeof *f) : &p->main;
  if (!f) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "memory is out");
    return NULL;
  }
  f->program = p;
  f->co = co;
  f->ref = ref;
  f->number = ++p->fiber_count;
  f->parent = p->running ? p->running->number : 0;
  f->state = DURO__BLOCKED;
  *p->fibers_end = f;
  p->fibers_end = &f->next;
  return f;
}

void duro__fiber_unlink(duro__fiber *f) {
  size_t count = f->many ? f->many_count : f->one.task ? 1 : 0;
  duro__waiter *nodes = f->many ? f->many : &f->one;
  for (size_t i = 0; i < count; i++) {
    duro__task *t = nodes[i].task;
    if (!t) continue;
    duro__waiter **at = &t->waiters;
    while (*at && *at != &nodes[i]) at = &(*at)->next;
    if (*at) {
      *at = nodes[i].next;
      if (t->waiters_end == &nodes[i].next) t->waiters_end = at;
    }
    nodes[i].task = NULL;
  }
  free(f->many);
  f->many = NULL;
  f->many_count = 0;
  if (f->polling) f->program->polling--;
  f->polling = false;
}

void duro__fiber_ready(duro__fiber *f) {
  if (f->state != DURO__BLOCKED) return;
  duro__program *p = f->program;
  duro__fiber_unlink(f);
  f->state = DURO__READY;
  f->ready_next = NULL;
  *p->ready_end = f;
  p->ready_end = &f->ready_next;
}

static void leave_ready_list(duro__fiber *f) {
  duro__program *p = f->program;
  duro__fiber **at = &p->ready;
  while (*at && *at != f) at = &(*at)->ready_next;
  if (!*at) return;
  *at = f->ready_next;
  if (p->ready_end == &f->ready_next) p->ready_end = at;
}

// Its pending <close> variables run here, with every ctx call refused.
void duro__fiber_free(lua_State *L, duro__fiber *f) {
  duro__program *p = f->program;
  duro__fiber *outer = p->running;
  duro__fiber_unlink(f);
  if (f->state == DURO__READY) leave_ready_list(f);
  if (f->task) {
    f->task->block = NULL;
    f->task->program = NULL;
    if (f->task->state == DURO__OPEN) f->task->state = DURO__CANCELLED;
  }
  p->running = NULL;
  duro__lua_close_thread(f->co, L);
  p->running = outer;
  luaL_unref(L, LUA_REGISTRYINDEX, f->ref);
  if (f != &p->main) free(f);
}

void duro__fiber_check_yield(lua_State *L, duro__program *p, const char *what) {
  if (lua_isyieldable(L)) return;
  duro__host_blame(
      L, p->host,
      "ctx:%s cannot wait inside of a function that C code calls (table.sort, string.gsub, "
      "a metamethod ...)",
      what);
}

int duro__fiber_block(lua_State *L, duro__fiber *f) {
  f->state = DURO__BLOCKED;
  return lua_yield(L, 0);
}

static void wait_in(duro__waiter *node, duro__fiber *f, duro__task *t) {
  node->next = NULL;
  node->fiber = f;
  node->task = t;
  *t->waiters_end = node;
  t->waiters_end = &node->next;
}

void duro__fiber_wait_for(lua_State *L, duro__fiber *f, duro__task **tasks, size_t count) {
  if (count == 1) {
    wait_in(&f->one, f, tasks[0]);
    return;
  }
  f->many = (duro__waiter *)calloc(count, sizeof *f->many);
  if (!f->many) {
    luaL_error(L, "memory is out");
    return;
  }
  f->many_count = count;
  for (size_t i = 0; i < count; i++) wait_in(&f->many[i], f, tasks[i]);
}

void duro__fiber_interrupt_all(duro__program *p) {
  for (duro__fiber *f = p->fibers; f; f = f->next) {
    if (f->state != DURO__BLOCKED) continue;
    f->interrupt = true;
    f->direct_id = 0;
    duro__fiber_ready(f);
  }
}

void duro__fiber_check_interrupt(lua_State *L, duro__program *p) {
  duro__fiber *f = p->running;
  if (!f->interrupt) return;
  f->interrupt = false;
  if (p->cancel_error.p) {
    duro__error_push_record(L, p->host, p->rt, p->cancel_error);
  } else {
    duro__error_push_text(L, p->host, "cancelled", "the instance is cancelled");
  }
  lua_error(L);
}

// --- What the Lua half calls (core.ops; orchestration.lua) ---

// () -> fn, ctx, input: the first thing in the main coroutine.
static int main_begin(lua_State *L) {
  duro__program *p = duro__host_of(L)->program;
  if (!p || !p->running || p->running->co != L) return luaL_error(L, "this is duro's own");
  duro__host_push(L, p->fn_ref);
  duro__host_push(L, p->ref);
  if (!duro__payload_read(L, p->host, p->rt, p->start->input))
    return duro__program_unreadable(L, p);
  return 3;
}

// (output): the last thing in it.
static int main_end(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__program *p = h->program;
  if (!p || !p->running || p->running->co != L || p->over) return 0;
  duro_str output = DURO_NONE;
  if (!lua_isnoneornil(L, 1)) {
    duro_buf_clear(&h->scratch);
    if (!duro__payload_encode(L, h, 1, "output", &h->scratch)) return lua_error(L);
    output = duro_buf_str(&h->scratch);
  }
  duro_error *err = NULL;
  if (duro__program_ends_later(p)) return 0;
  duro_code code = duro_turn_complete(p->turn, output, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  p->over = true;
  return 0;
}

// (...): the last thing in a block: what it returned becomes the result of its task.
static int block_end(lua_State *L) {
  duro__program *p = duro__host_of(L)->program;
  if (!p || !p->running || p->running->co != L) return 0;
  duro__task *t = p->running->task;
  int count = lua_gettop(L);
  if (!t) return 0; // nobody holds it any more
  if (count > 1) {
    lua_createtable(L, count, 0);
    lua_insert(L, 1);
    for (int i = count; i > 0; i--) lua_rawseti(L, 1, i);
  }
  if (count > 0) t->value_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  t->value_count = count;
  duro__task_settle(t, p, DURO__COMPLETED, DURO_NONE);
  return 0;
}

// ctx:spawn(fn, ...) -> task
static int spawn(lua_State *L) {
  duro__program *p = duro__program_check(L, "spawn");
  duro__host *h = p->host;
  int args = lua_gettop(L) - 1;
  if (args < 1 || !lua_isfunction(L, 2)) {
    return duro__host_blame(L, h, "ctx:spawn needs a function, got %s", luaL_typename(L, 2));
  }
  duro__task *t = duro__task_new(L, p, DURO__TASK_BLOCK);
  lua_insert(L, 1);
  duro__fiber *f = duro__fiber_new(L, p);
  // From here on nothing may raise before the fiber is whole; the stack is asked for first.
  f->state = DURO__DEAD;
  if (!lua_checkstack(f->co, args + 4)) return luaL_error(L, "too many arguments");
  duro__host_push(f->co, h->block_entry);
  lua_xmove(L, f->co, args);
  f->args = args;
  f->task = t;
  t->block = f;
  f->state = DURO__BLOCKED;
  duro__fiber_ready(f);
  lua_settop(L, 1);
  return 1;
}

// (ctx, repeated): until the next completion, whatever it is.
static int poll(lua_State *L) {
  duro__program *p = duro__program_check(L, "wait_until");
  duro__fiber_check_yield(L, p, "wait_until");
  duro__fiber *f = p->running;
  f->polling = true;
  f->repeated = lua_toboolean(L, 2);
  p->polling++;
  return duro__fiber_block(L, f);
}

// (ctx): raises what interrupted the last wait.
static int check(lua_State *L) {
  duro__fiber_check_interrupt(L, duro__program_check(L, "wait_until"));
  return 0;
}

static const luaL_Reg functions[] = {
    {"main_begin", main_begin},
    {"main_end", main_end},
    {"block_end", block_end},
    {"spawn", spawn},
    {"poll", poll},
    {"check", check},
    {NULL, NULL},
};

void duro__fiber_functions(lua_State *L, duro__host *h) { duro__host_functions(L, h, functions); }
