// callbacks: the author's functions that the core calls in the middle of its work: log and codec.
//
// They run under lua_pcall on the state that entered the core, and may not enter it again. What a log
// function raises is dropped: there is nobody to tell.
#include "binding/runtime.h"

static void set_text(lua_State *L, const char *key, duro_str s) {
  lua_pushlstring(L, s.p ? s.p : "", s.n);
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

// --- The codec ---

typedef struct coding {
  duro__rt *rt;
  int function;
  duro_str in;
  duro_buf *out;
} coding;

static int run_codec(lua_State *L) {
  coding *c = (coding *)lua_touserdata(L, 1);
  duro__host_push(L, c->function);
  lua_pushlstring(L, c->in.p, c->in.n);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) {
    return luaL_error(L, "a codec function must return a string, got %s", luaL_typename(L, -1));
  }
  size_t n;
  const char *p = lua_tolstring(L, -1, &n);
  duro_buf_add(c->out, p, n);
  return 0;
}

static duro_code code_with(duro__rt *rt, int function, duro_str in, duro_buf *out, duro_code failure,
                           duro_error **err) {
  duro__host *h = rt->host;
  lua_State *L = h->L;
  coding c = {rt, function, in, out};
  if (function == LUA_NOREF) return duro_fail(err, failure, "the codec lacks a function");
  if (!lua_checkstack(L, 8)) return duro_fail_oom(err);
  duro__aside aside = duro__host_aside(h);
  int top = lua_gettop(L);
  duro__host_push(L, h->run_codec);
  lua_pushlightuserdata(L, &c);
  duro_code code = DURO_OK;
  if (lua_pcall(L, 1, 0, 0)) {
    const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "it raised a value";
    code = duro_fail(err, failure, "the codec failed: %s", why);
  } else if (out->oom) {
    code = duro_fail_oom(err);
  }
  lua_settop(L, top);
  duro__host_back(h, &aside);
  return code;
}

static duro_code codec_encode(void *user, duro_str in, duro_buf *out, duro_error **err) {
  duro__rt *rt = (duro__rt *)user;
  return code_with(rt, rt->encode_ref, in, out, DURO_INVALID_PAYLOAD, err);
}

static duro_code codec_decode(void *user, duro_str in, duro_buf *out, duro_error **err) {
  duro__rt *rt = (duro__rt *)user;
  return code_with(rt, rt->decode_ref, in, out, DURO_CORRUPT, err);
}

const duro_codec duro__callbacks_codec = {codec_encode, codec_decode, NULL};

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
  h->run_codec = duro__host_keep(L, run_codec);
}
