// replay: whether a function fits a history, without any runtime.
//
//   core.replay(fn, instance_id, execution_id, events [, encode, decode])
//     -> true | false, the JSON text of {event_id, expected, got} | nil, err
//   core.json_fields -> {input = true, ...}: fields of an event on disk that hold JSON, the others text,
//     numbers or booleans
//
// `events`: the JSON array of one execution's events, as on disk. The programs live in the Lua state at
// hand, as they do under a runtime; what they hang on is a runtime that was never opened.
#include "binding/runtime.h"

#include <unistd.h>

static int hold(lua_State *L, int index) {
  if (!lua_isfunction(L, index)) return LUA_NOREF;
  lua_pushvalue(L, index);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

// A runtime without a core: it has a codec, or none, and no log. Pushes it.
static duro__rt *push_unopened(lua_State *L, duro__host *h) {
  duro__rt *rt = (duro__rt *)lua_newuserdata(L, sizeof *rt);
  memset(rt, 0, sizeof *rt);
  rt->host = h;
  rt->pid = getpid();
  rt->log_ref = rt->encode_ref = rt->decode_ref = rt->executor_ref = rt->sleep_ref = LUA_NOREF;
  return rt;
}

static int replay(lua_State *L) {
  duro__host *h = duro__host_of(L);
  if (h->program)
    return duro__host_blame(L, h, "duro.replay cannot be called inside an orchestration");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  duro_str id, events;
  id.p = luaL_checklstring(L, 2, &id.n);
  int64_t execution_id = (int64_t)luaL_checknumber(L, 3);
  events.p = luaL_checklstring(L, 4, &events.n);
  lua_settop(L, 6);
  luaL_checkstack(L, 20, NULL);
  duro__rt *rt = push_unopened(L, h);
  duro__registered code = {.ref = hold(L, 1)};
  rt->encode_ref = hold(L, 5);
  rt->decode_ref = hold(L, 6);
  duro_host host = {.programs = &duro__program_ops, .user = rt};
  duro_buf departure = {0};
  duro_error *err = NULL;
  lua_State *outer = h->L;
  h->L = L;
  h->in_core++;
  rt->in_core++;
  duro_code problem = duro_replay(&host, &code, id, execution_id, events, &departure, &err);
  rt->in_core--;
  h->in_core--;
  h->L = outer;
  luaL_unref(L, LUA_REGISTRYINDEX, code.ref);
  luaL_unref(L, LUA_REGISTRYINDEX, rt->encode_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, rt->decode_ref);
  duro_buf_clear(&h->text); // freed by nobody when a push raises
  duro_buf_add_str(&h->text, duro_buf_str(&departure));
  duro_buf_free(&departure);
  if (problem == DURO_NONDETERMINISM) {
    duro_error_free(err);
    lua_pushboolean(L, 0);
    lua_pushlstring(L, h->text.p ? h->text.p : "", h->text.n);
    return 2;
  }
  if (problem) return duro__error_return(L, h, problem, err);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"replay", replay}, {NULL, NULL}};

// At the top: the module.
void duro__replay_init(lua_State *L, duro__host *h) {
  duro__host_functions(L, h, functions);
  lua_newtable(L);
#define ADD_INT(key)
#define ADD_TEXT(key)
#define ADD_BOOL(key)
#define ADD_JSON(key)                                                                              \
  lua_pushboolean(L, 1);                                                                           \
  lua_setfield(L, -2, key);
#define X(member, key, TYPE, public_key) ADD_##TYPE(key)
  DURO_EVENT_FIELDS(X)
#undef X
  lua_setfield(L, -2, "json_fields");
}
