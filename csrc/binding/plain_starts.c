// plain_starts: the entries of rt:start_many, looked at the quick way.
//
// lua/duro/client.lua declares and checks them; doing so costs more than the first turn of what is started.
// This tells of an array whether each entry is plainly right as it is: a name, perhaps an id and an input,
// and nothing else. About anything more it has no opinion, and the Lua half looks. So an option that is
// new there works at once, only slower.
#include "binding/host.h"

static bool is_plain_text(lua_State *L, int index, size_t max_bytes) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  size_t n;
  const char *text = lua_tolstring(L, index, &n);
  if (n == 0 || n > max_bytes) return false;
  for (size_t i = 0; i < n; i++) {
    if (text[i] < ' ' || text[i] > '~') return false;
  }
  return true;
}

// The key is below the value at the top.
static bool is_plain_field(lua_State *L, bool *named) {
  size_t n;
  if (lua_type(L, -2) != LUA_TSTRING) return false;
  const char *key = lua_tolstring(L, -2, &n);
  if (n == 4 && memcmp(key, "name", 4) == 0) {
    *named = true;
    return is_plain_text(L, -1, DURO_MAX_NAME_BYTES);
  }
  if (n == 2 && memcmp(key, "id", 2) == 0) return is_plain_text(L, -1, DURO_MAX_ID_BYTES);
  return n == 5 && memcmp(key, "input", 5) == 0;
}

// The entry is at the top, and stays.
static bool is_plain_start(lua_State *L) {
  bool named = false;
  if (!lua_istable(L, -1) || lua_getmetatable(L, -1)) return false;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (!is_plain_field(L, &named)) return false;
    lua_pop(L, 1);
  }
  return named;
}

// (starts) -> true, or nothing when the Lua half has to look
int duro__plain_starts(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1) || lua_getmetatable(L, 1)) return 0;
  double expected = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_type(L, 2) != LUA_TNUMBER || lua_tonumber(L, 2) != ++expected) return 0;
    if (!is_plain_start(L)) return 0;
    lua_pop(L, 1);
  }
  lua_pushboolean(L, expected > 0);
  return 1;
}
