// errors: error tables made from C, and what user code throws as records. lua/duro/errors.lua is the
// other half: it knows how any thrown value becomes an error.
#include "binding/host.h"

#include <stdarg.h>
#include <stdio.h>

static void set_error_metatable(lua_State *L, duro__host *h) {
  duro__host_push(L, h->error_mt_ref);
  lua_setmetatable(L, -2);
}

void duro__error_push_text(lua_State *L, duro__host *h, const char *code, const char *format, ...) {
  va_list args;
  lua_createtable(L, 0, 3);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  va_start(args, format);
  // Not lua_pushvfstring, which knows too few conversions.
  char text[1024];
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lua_pushlstring(L, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
  lua_setfield(L, -2, "message");
  set_error_metatable(L, h);
}

static void push_one(lua_State *L, duro__host *h, duro_code code, const duro_error *err) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, duro_code_string(err ? err->code : code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err && err->message ? err->message : duro_code_sentence(code));
  lua_setfield(L, -2, "message");
  if (err && err->data && duro__payload_decode(L, h, duro_str_from(err->data))) {
    lua_setfield(L, -2, "data");
  } else if (err && err->data) {
    lua_pop(L, 1);
  }
  set_error_metatable(L, h);
}

void duro__error_push(lua_State *L, duro__host *h, duro_code code, duro_error *err) {
  push_one(L, h, code, err);
  int levels = 0;
  for (const duro_error *at = err; at && at->cause && levels < 8; at = at->cause, levels++) {
    push_one(L, h, at->cause->code, at->cause);
  }
  for (; levels > 0; levels--) lua_setfield(L, -2, "cause");
  duro_error_free(err);
}

bool duro__error_push_record(lua_State *L, duro__host *h, duro__rt *rt, duro_str record) {
  if (!record.p) {
    duro__error_push_text(L, h, "failed", "it failed, and nothing was recorded about why");
    return true;
  }
  if (!duro__payload_read(L, h, rt, record)) return false;
  if (lua_istable(L, -1)) {
    set_error_metatable(L, h);
    return true;
  }
  lua_pop(L, 1);
  duro__error_push_text(L, h, "corrupt", "a stored error is no object");
  return false;
}

duro_code duro__error_read(lua_State *L, duro_error **err) {
  duro__lua_getfield(L, -1, "code");
  duro__lua_getfield(L, -2, "message");
  const char *name = lua_tostring(L, -2), *message = lua_tostring(L, -1);
  duro_code code = duro_code_from(duro_str_from(name ? name : "failed"));
  duro_fail(err, code, "%s", message ? message : duro_code_sentence(code));
  lua_pop(L, 2);
  return code;
}

int duro__error_return(lua_State *L, duro__host *h, duro_code code, duro_error *err) {
  lua_pushnil(L);
  duro__error_push(L, h, code, err);
  return 2;
}

// --- What user code throws ---

#define NO_MEMORY_RECORD "{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}"

typedef struct thrown {
  duro__host *h;
  lua_State *from;
} thrown;

// Whether the function at this level was called by duro's code, whose word for it tells the author nothing.
static bool called_by_us(const duro__host *h, lua_State *from, int level) {
  lua_Debug caller;
  return lua_getstack(from, level + 1, &caller) && lua_getinfo(from, "S", &caller) &&
         duro__host_is_own(h, &caller);
}

#define FRAMES_AT_EACH_END 11 // of a deeper stack the middle is left out

// "\tfile.lua:7: in function 'name'", but for frames of C and of duro itself. (luaL_traceback would look
// for the name of each function in all loaded modules, which costs more than the failure.)
static void add_frame(luaL_Buffer *out, const duro__host *h, lua_State *from, int level) {
  lua_Debug ar;
  if (!lua_getstack(from, level, &ar)) return;
  lua_getinfo(from, "Sln", &ar);
  if (*ar.what == 'C' || duro__host_is_own(h, &ar)) return;
  luaL_addstring(out, "\n\t");
  luaL_addstring(out, ar.short_src);
  char text[64];
  if (ar.currentline > 0) {
    snprintf(text, sizeof text, ":%d", ar.currentline);
    luaL_addstring(out, text);
  }
  if (*ar.namewhat && !called_by_us(h, from, level)) {
    snprintf(text, sizeof text, ": in %.12s '%.40s'", ar.namewhat, ar.name);
    luaL_addstring(out, text);
  } else if (*ar.what == 'm') {
    luaL_addstring(out, ": in main chunk");
  } else {
    luaL_addstring(out, ": in function <");
    luaL_addstring(out, ar.short_src);
    snprintf(text, sizeof text, ":%d>", ar.linedefined);
    luaL_addstring(out, text);
  }
}

static int stack_depth(lua_State *from) {
  lua_Debug ar;
  int some = 1, least = 0; // frame `least` is there, `some` may be
  while (lua_getstack(from, some, &ar)) {
    least = some;
    some *= 2;
  }
  while (some - least > 1) {
    int middle = least + (some - least) / 2;
    if (lua_getstack(from, middle, &ar))
      least = middle;
    else
      some = middle;
  }
  return some;
}

// Pushes the traceback of `from` without duro's own frames and those of C.
static void push_traceback(lua_State *L, duro__host *h, lua_State *from) {
  luaL_Buffer out;
  int depth = stack_depth(from);
  luaL_buffinit(L, &out);
  luaL_addstring(&out, "stack traceback:");
  for (int level = 0; level < depth; level++) {
    if (level == FRAMES_AT_EACH_END && depth > 2 * FRAMES_AT_EACH_END) {
      luaL_addstring(&out, "\n\t...");
      level = depth - FRAMES_AT_EACH_END;
    }
    add_frame(&out, h, from, level);
  }
  luaL_pushresult(&out);
}

// [1] thrown*, [2] the reference of the Lua function to ask; the value is at the top of `from`.
static int describe_thrown(lua_State *L) {
  thrown *t = (thrown *)lua_touserdata(L, 1);
  duro__host_push(L, (int)lua_tointeger(L, 2));
  lua_checkstack(t->from, 2);
  lua_pushvalue(t->from, -1);
  lua_xmove(t->from, L, 1);
  push_traceback(L, t->h, t->from);
  lua_call(L, 2, 1);
  return 1;
}

static bool ask_thrown(lua_State *L, duro__host *h, lua_State *from, int function_ref) {
  thrown t = {h, from};
  duro__host_push(L, h->describe_thrown);
  lua_pushlightuserdata(L, &t);
  lua_pushinteger(L, function_ref);
  bool ok = lua_gettop(from) > 0 && function_ref != LUA_NOREF && lua_pcall(L, 2, 1, 0) == 0;
  return ok;
}

duro_str duro__error_thrown_record(lua_State *L, duro__host *h, lua_State *from) {
  int top = lua_gettop(L);
  bool ok = ask_thrown(L, h, from, h->thrown_record);
  if (ok && lua_type(L, -1) == LUA_TSTRING) {
    duro_str text;
    text.p = lua_tolstring(L, -1, &text.n);
    return text;
  }
  lua_settop(L, top);
  lua_pushnil(L);
  return DURO_STR(NO_MEMORY_RECORD);
}

// [1] any value; gives its reference.
static int make_ref(lua_State *L) {
  lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
  return 1;
}

int duro__error_thrown_ref(lua_State *L, duro__host *h, lua_State *from) {
  int top = lua_gettop(L), ref = LUA_NOREF;
  if (ask_thrown(L, h, from, h->thrown)) {
    duro__host_push(L, h->make_ref);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) == 0) ref = (int)lua_tointeger(L, -1);
  }
  lua_settop(L, top);
  return ref;
}

void duro__error_init(lua_State *L, duro__host *h) {
  h->describe_thrown = duro__host_keep(L, describe_thrown);
  h->make_ref = duro__host_keep(L, make_ref);
}
