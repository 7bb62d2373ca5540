// callbacks: the author's functions that the core calls in the middle of its work: the log, and the hook
// that says which instances somebody may see.
//
// They run under lua_pcall on the state that entered the core, and may not enter it again. What the log
// raises is dropped: there is nobody to tell. Whoever cannot be asked hides the instance.
#include "binding/runtime.h"

static void set_text(lua_State *L, const char *key, duro_str s) {
  duro__host_push_text(L, s);
  lua_setfield(L, -2, key);
}

// --- The log ---

typedef struct line {
  duro__rt *rt;
  const char *level, *message;
  duro_str fields; // JSON, absent = none
} line;

static int run_log(lua_State *L) {
  line *l = (line *)lua_touserdata(L, 1);
  duro__host_push(L, l->rt->log_ref);
  lua_pushstring(L, l->level);
  lua_pushstring(L, l->message);
  if (!l->fields.p || !duro__payload_decode(L, l->rt->host, l->fields) || !lua_istable(L, -1)) {
    lua_newtable(L);
  }
  lua_call(L, 3, 0);
  return 0;
}

void duro__callbacks_log(void *user, const char *level, const char *message, duro_str fields) {
  duro__rt *rt = (duro__rt *)user;
  duro__host *h = rt->host;
  lua_State *L = h->L;
  line l = {rt, level, message, fields};
  if (rt->log_ref == LUA_NOREF || !lua_checkstack(L, 8)) return;
  duro__aside aside = duro__host_aside(h);
  int top = lua_gettop(L);
  duro__host_push(L, h->run_log);
  lua_pushlightuserdata(L, &l);
  lua_pcall(L, 1, 0, 0);
  lua_settop(L, top);
  duro__host_back(h, &aside);
}

// --- Who may see what ---

typedef struct sight {
  duro__rt *rt;
  int64_t viewer;
  duro_str id;
  bool allowed;
} sight;

static int run_may_see(lua_State *L) {
  sight *s = (sight *)lua_touserdata(L, 1);
  duro__host_push(L, s->rt->may_see_ref);
  lua_pushinteger(L, (lua_Integer)s->viewer);
  lua_pushlstring(L, s->id.p, s->id.n);
  lua_call(L, 2, 1);
  s->allowed = lua_toboolean(L, -1);
  return 0;
}

bool duro__callbacks_may_see(void *user, int64_t viewer, duro_str id) {
  duro__rt *rt = (duro__rt *)user;
  duro__host *h = rt->host;
  lua_State *L = h->L;
  sight s = {rt, viewer, id, false};
  if (rt->may_see_ref == LUA_NOREF || !lua_checkstack(L, 8)) return false;
  duro__aside aside = duro__host_aside(h);
  int top = lua_gettop(L);
  duro__host_push(L, h->run_may_see);
  lua_pushlightuserdata(L, &s);
  bool failed = lua_pcall(L, 1, 0, 0) != 0;
  lua_settop(L, top);
  duro__host_back(h, &aside);
  return s.allowed && !failed;
}

// --- Lines of user code: ctx:log ---

void duro__callbacks_log_line(lua_State *L, duro__rt *rt, const duro__log_source *source, int level,
                              int message, int fields) {
  if (rt->log_ref == LUA_NOREF) return;
  duro__host_push(L, rt->log_ref);
  lua_pushvalue(L, level);
  lua_pushvalue(L, message);
  lua_newtable(L);
  if (lua_istable(L, fields)) {
    for (lua_pushnil(L); lua_next(L, fields); lua_pop(L, 1)) {
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, -5);
    }
  }
  set_text(L, "instance_id", source->instance_id);
  set_text(L, source->name_key, source->name);
  if (lua_pcall(L, 3, 0, 0)) lua_pop(L, 1);
}

void duro__callbacks_init(lua_State *L, duro__host *h) {
  h->run_log = duro__host_keep(L, run_log);
  h->run_may_see = duro__host_keep(L, run_may_see);
}
