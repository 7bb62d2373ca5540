// Lua 5.4 and LuaJIT 2.1 (also OpenResty's fork) behind one face. All differences live here.
#ifndef DURO_BINDING_COMPAT_H
#define DURO_BINDING_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM == 501
#if !__has_include(<luajit.h>)
#error "duro needs Lua 5.4 or LuaJIT 2.1; these are the headers of plain Lua 5.1"
#endif
#include <luajit.h>
#if LUAJIT_VERSION_NUM < 20100
#error "duro needs LuaJIT 2.1"
#endif
#define DURO_LUAJIT 1
#define DURO_LUA_VM "luajit"
#elif LUA_VERSION_NUM == 504
#define DURO_LUAJIT 0
#define DURO_LUA_VM "lua5.4"
#else
#error "duro needs Lua 5.4 or LuaJIT 2.1"
#endif

#include <stdint.h>

#if DURO_LUAJIT

#define DURO_TCDATA 10 // LUA_TCDATA is not in the public headers

static inline size_t duro__lua_rawlen(lua_State *L, int index) { return lua_objlen(L, index); }
static inline int duro__lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}
static inline int duro__lua_rawgeti(lua_State *L, int index, int n) {
  lua_rawgeti(L, index, n);
  return lua_type(L, -1);
}
static inline int duro__lua_getfield(lua_State *L, int index, const char *key) {
  lua_getfield(L, index, key);
  return lua_type(L, -1);
}
static inline int duro__lua_resume(lua_State *co, lua_State *from, int args) {
  (void)from;
  return lua_resume(co, args);
}
// The table that goes with a userdata: its environment.
static inline void *duro__lua_newuserdata(lua_State *L, size_t size) {
  return lua_newuserdata(L, size);
}
// Without one.
static inline void *duro__lua_newbare(lua_State *L, size_t size) {
  return lua_newuserdata(L, size);
}
static inline void duro__lua_setuservalue(lua_State *L, int index) { lua_setfenv(L, index); }
static inline void duro__lua_getuservalue(lua_State *L, int index) { lua_getfenv(L, index); }
// Pushes what tostring gives.
static inline void duro__lua_tolstring(lua_State *L, int index) {
  lua_getglobal(L, "tostring");
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
}
// There are no to-be-closed variables.
static inline void duro__lua_close_thread(lua_State *co, lua_State *from) {
  (void)co;
  (void)from;
}

#else

static inline size_t duro__lua_rawlen(lua_State *L, int index) { return lua_rawlen(L, index); }
static inline int duro__lua_absindex(lua_State *L, int index) { return lua_absindex(L, index); }
static inline int duro__lua_rawgeti(lua_State *L, int index, int n) {
  return lua_rawgeti(L, index, n);
}
static inline int duro__lua_getfield(lua_State *L, int index, const char *key) {
  return lua_getfield(L, index, key);
}
static inline int duro__lua_resume(lua_State *co, lua_State *from, int args) {
  int results = 0;
  return lua_resume(co, from, args, &results);
}
static inline void *duro__lua_newuserdata(lua_State *L, size_t size) {
  return lua_newuserdatauv(L, size, 1);
}
static inline void *duro__lua_newbare(lua_State *L, size_t size) {
  return lua_newuserdatauv(L, size, 0); // the collector has nothing to look for in it
}
static inline void duro__lua_setuservalue(lua_State *L, int index) {
  lua_setiuservalue(L, index, 1);
}
static inline void duro__lua_getuservalue(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
}
static inline void duro__lua_tolstring(lua_State *L, int index) { luaL_tolstring(L, index, NULL); }
// Runs the pending to-be-closed variables; errors in them are dropped with the coroutine.
static inline void duro__lua_close_thread(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  lua_closethread(co, from);
#else
  (void)from;
  lua_resetthread(co);
#endif
}

#endif

#endif
