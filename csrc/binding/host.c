// host: registration helpers, resuming, and saying where the programmer's fault is.
#include "binding/host.h"

#include <stdarg.h>
#include <stdio.h>

void duro__host_functions(lua_State *L, duro__host *h, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, h);
  luaL_setfuncs(L, functions, 1);
}

int duro__host_keep(lua_State *L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

const void *duro__host_metatable(lua_State *L, const char *name, int *ref) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  *ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return lua_topointer(L, -1);
}

void duro__host_ctx(lua_State *L, duro__host *h, const char *name, lua_CFunction index,
                    const duro__fact *facts, size_t fact_count, const luaL_Reg *meta) {
  lua_pushlightuserdata(L, h);
  lua_insert(L, -2);
  lua_newtable(L);
  for (size_t i = 0; i < fact_count; i++) {
    lua_pushinteger(L, facts[i].fact);
    lua_setfield(L, -2, facts[i].name);
  }
  lua_pushcclosure(L, index, 3);
  lua_setfield(L, -2, "__index");
  duro__host_functions(L, h, meta);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

bool duro__host_is_own(const duro__host *h, const lua_Debug *ar) {
  size_t n = strlen(h->own_source);
  return n > 0 && strncmp(ar->source, h->own_source, n) == 0;
}

int duro__host_blame(lua_State *L, duro__host *h, const char *format, ...) {
  lua_Debug ar;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lua_pushliteral(L, "");
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 && !duro__host_is_own(h, &ar)) {
      lua_pop(L, 1);
      lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
      break;
    }
  }
  lua_pushstring(L, text);
  lua_concat(L, 2);
  return lua_error(L);
}

// What one resume may add to the heap before garbage is collected out of turn. The VM would wait until its
// heap has doubled, and meanwhile the core, which is not its guest, finds no memory.
#define HOARD_KIB (64 * 1024)

int duro__host_resume(duro__host *h, lua_State *co, int args) {
#if DURO_LUAJIT
  if (h->set_exdata) h->set_exdata(co, h->get_exdata(h->L));
#endif
  int before_kib = lua_gc(h->L, LUA_GCCOUNT, 0);
  int status = duro__lua_resume(co, h->L, args);
  bool hoards = lua_gc(h->L, LUA_GCCOUNT, 0) - before_kib > HOARD_KIB;
  if (hoards && lua_gc(h->L, LUA_GCISRUNNING, 0)) lua_gc(h->L, LUA_GCCOLLECT, 0);
  return status;
}

duro__aside duro__host_aside(duro__host *h) {
  duro__aside aside = {h->scratch, h->text, h->keys};
  h->scratch = h->text = h->keys = (duro_buf){0};
  return aside;
}

void duro__host_back(duro__host *h, duro__aside *aside) {
  duro_buf_free(&h->scratch);
  duro_buf_free(&h->text);
  duro_buf_free(&h->keys);
  h->scratch = aside->scratch;
  h->text = aside->text;
  h->keys = aside->keys;
}
