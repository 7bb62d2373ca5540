// threads: activities registered with thread=true. They run in worker threads of the core, each with a Lua
// state of its own that knows nothing of the runtime's: a module is required there and one of its
// functions called (lua/duro/thread.lua). Values cross as JSON, the way history keeps them.
//
// What crosses to a thread is the call: module, function, generation and the search paths of the main
// state, each ended by a NUL. A generation above the one a state has seen makes it load the module anew.
// On the threads' side everything that can raise is inside lua_pcall.
#include "binding/jobs.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

DURO_EXPORT int luaopen_duro_core(lua_State *L);

// --- The loop's side ---

static void add_part(duro_buf *b, const char *text) { duro_buf_add(b, text, strlen(text) + 1); }

char *duro__threads_call_new(const char *module, const char *function, int64_t generation,
                             size_t *size) {
  char number[32];
  duro_buf b = {0};
  snprintf(number, sizeof number, "%lld", (long long)generation);
  add_part(&b, module);
  add_part(&b, function);
  add_part(&b, number);
  if (b.oom) {
    duro_buf_free(&b);
    return NULL;
  }
  *size = b.n;
  return b.p;
}

// The search paths as they are now; empty when the program has hidden its package library.
static void add_paths(lua_State *L, duro_buf *b) {
  static const char *const names[] = {"path", "cpath"};
  int top = lua_gettop(L);
  bool there = duro__lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED") == LUA_TTABLE &&
               duro__lua_getfield(L, -1, "package") == LUA_TTABLE;
  for (int n = 0; n < 2; n++) {
    bool text = there && duro__lua_getfield(L, top + 2, names[n]) == LUA_TSTRING;
    add_part(b, text ? lua_tostring(L, -1) : "");
  }
  lua_settop(L, top);
}

void duro__threads_start(lua_State *L, duro__rt *rt, duro_job *job) {
  const duro__registered *code = (const duro__registered *)duro_job_get_info(job)->code;
  duro_buf call = {0};
  duro_error *err = NULL;
  duro_buf_add(&call, code->thread_call, code->thread_call_size);
  add_paths(L, &call);
  duro__entry entry = duro__rt_enter(L, rt, "step");
  duro_code problem =
      call.oom ? duro_fail_oom(&err) : duro_job_offload(job, duro_buf_str(&call), &err);
  if (problem) {
    duro_buf_clear(&call);
    duro_buf_printf(&call, "{\"code\":\"%s\",\"message\":", duro_code_string(problem));
    duro_json_add_string(&call, duro_str_from(err ? err->message : duro_code_sentence(problem)));
    duro_buf_add_char(&call, '}');
    duro_job_fail(job, call.oom
                           ? DURO_STR("{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}")
                           : duro_buf_str(&call));
    duro_error_free(err);
  }
  duro__rt_leave(rt, entry);
  duro_buf_free(&call);
}

// --- A thread's state ---

static const char work_key; // its address: where the registry keeps the work that runs

static duro_work *work_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&work_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  duro_work *work = (duro_work *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!work) luaL_error(L, "this is duro's own, for worker threads");
  return work;
}

static void set_work(lua_State *L, duro_work *work) {
  lua_pushlightuserdata(L, (void *)&work_key);
  lua_pushlightuserdata(L, work);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

// The core needs no search path: it is here already.
static int open_state(lua_State *L) {
  luaL_openlibs(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_duro_core);
  lua_setfield(L, -2, "duro.core");
  set_work(L, NULL); // so that no later call needs memory for it
  return 0;
}

void *duro__thread_begin(void *user) {
  (void)user;
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  lua_pushcfunction(L, open_state);
  if (lua_pcall(L, 0, 0, 0) == 0) return L;
  lua_close(L);
  return NULL;
}

void duro__thread_end(void *user, void *state) {
  (void)user;
  lua_close((lua_State *)state);
}

// --- Running ---

typedef struct call {
  const char *module, *function, *generation, *path, *cpath;
} call;

static void read_call(duro_str text, call *out) {
  const char **parts[] = {&out->module, &out->function, &out->generation, &out->path, &out->cpath};
  const char *at = text.p;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    *parts[i] = at;
    at += strlen(at) + 1;
  }
}

static void set_path(lua_State *L, const char *key, const char *path) {
  if (!*path) return;
  lua_pushstring(L, path);
  lua_setfield(L, -2, key);
}

// (work): calls duro.thread's run(module, function, generation) -> ok, text
static int run_work(lua_State *L) {
  duro_work *work = (duro_work *)lua_touserdata(L, 1);
  call c;
  read_call(duro_work_call(work), &c);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "package");
  set_path(L, "path", c.path);
  set_path(L, "cpath", c.cpath);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "duro.thread");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "run");
  lua_pushstring(L, c.module);
  lua_pushstring(L, c.function);
  lua_pushinteger(L, (lua_Integer)strtoll(c.generation, NULL, 10));
  lua_call(L, 3, 2);
  duro_str text = {NULL, 0};
  if (lua_type(L, -1) == LUA_TSTRING) text.p = lua_tolstring(L, -1, &text.n);
  if (lua_toboolean(L, -2)) {
    duro_work_complete(work, text);
  } else {
    duro_work_fail(work, text);
  }
  return 0;
}

// What even thread.lua could not put into words: memory, mostly.
static void fail_raw(lua_State *L, duro_work *work) {
  duro_buf b = {0};
  duro_str message = DURO_STR("the worker thread's Lua state failed");
  if (lua_type(L, -1) == LUA_TSTRING) message.p = lua_tolstring(L, -1, &message.n);
  duro_buf_add_lit(&b, "{\"code\":\"failed\",\"message\":");
  duro_json_add_string(&b, duro_utf8_valid(message) ? message : DURO_STR("(no valid text)"));
  duro_buf_add_char(&b, '}');
  duro_work_fail(work, b.oom
                           ? DURO_STR("{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}")
                           : duro_buf_str(&b));
  duro_buf_free(&b);
}

void duro__thread_run(void *user, void *state, duro_work *work) {
  (void)user;
  lua_State *L = (lua_State *)state;
  set_work(L, work);
  lua_pushcfunction(L, run_work);
  lua_pushlightuserdata(L, work);
  int status = lua_pcall(L, 1, 0, 0);
  if (status) fail_raw(L, work);
  set_work(L, NULL);
  lua_settop(L, 0);
  if (status == LUA_ERRMEM) lua_gc(L, LUA_GCCOLLECT, 0); // what the code had hoarded is free now
}

// --- What thread.lua calls ---

static void push_text(lua_State *L, duro_str s) {
  if (s.p) {
    lua_pushlstring(L, s.p, s.n);
  } else {
    lua_pushnil(L);
  }
}

// -> instance_id, name, activity_id, attempt, input (JSON or nil), heartbeat_details (the same)
static int thread_info(lua_State *L) {
  const duro_job_info *info = duro_work_info(work_of(L));
  push_text(L, info->instance_id);
  push_text(L, info->name);
  push_text(L, info->activity_id);
  lua_pushinteger(L, (lua_Integer)info->attempt);
  push_text(L, info->input);
  push_text(L, info->heartbeat_details);
  return 6;
}

static int thread_cancelled(lua_State *L) {
  lua_pushboolean(L, duro_work_cancelled(work_of(L)));
  return 1;
}

// (details as JSON, or nil) -> true | nil, err
static int thread_heartbeat(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro_work *work = work_of(L);
  duro_str details = DURO_NONE;
  if (!lua_isnoneornil(L, 1)) details.p = luaL_checklstring(L, 1, &details.n);
  duro_error *err = NULL;
  duro_code code = duro_work_heartbeat(work, details, &err);
  if (code) return duro__error_return(L, h, code, err);
  lua_pushboolean(L, 1);
  return 1;
}

// (milliseconds) -> whether it slept to the end
static int thread_sleep(lua_State *L) {
  duro_work *work = work_of(L);
  lua_pushboolean(L, duro_work_sleep(work, (int64_t)luaL_checknumber(L, 1)));
  return 1;
}

// (level, message, fields as JSON)
static int thread_log(lua_State *L) {
  duro_work *work = work_of(L);
  duro_str fields;
  const char *level = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2);
  fields.p = luaL_checklstring(L, 3, &fields.n);
  duro_work_log(work, level, message, fields);
  return 0;
}

static const luaL_Reg functions[] = {
    {"thread_info", thread_info},
    {"thread_cancelled", thread_cancelled},
    {"thread_heartbeat", thread_heartbeat},
    {"thread_sleep", thread_sleep},
    {"thread_log", thread_log},
    {NULL, NULL},
};

void duro__threads_functions(lua_State *L, duro__host *h) { duro__host_functions(L, h, functions); }
