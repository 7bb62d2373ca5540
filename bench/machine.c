// machine: what plain Lua cannot ask of the machine. A Lua module, compiled by bench/run.lua for both VMs.
//
//   now()   monotonic seconds        wall()  epoch seconds        die()  SIGKILL to this process
#include <signal.h>
#include <time.h>

#include "lauxlib.h"
#include "lua.h"

static int push_clock(lua_State *L, clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}

static int machine_now(lua_State *L) { return push_clock(L, CLOCK_MONOTONIC); }

static int machine_wall(lua_State *L) { return push_clock(L, CLOCK_REALTIME); }

static int machine_die(lua_State *L) {
  raise(SIGKILL);
  (void)L;
  return 0;
}

int luaopen_machine(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"now", machine_now}, {"wall", machine_wall}, {"die", machine_die}, {0}};
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  return 1;
}
