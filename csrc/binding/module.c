// duro.core: the C half of the Lua module, and the table of what it exports. Lua files of lua/duro
// build the public API on it; nobody else should need it.
//
// Failure shape everywhere: the world's faults return `nil, err` (err: an error table, see errors.lua);
// a programmer's fault (wrong type, wrong place) raises.
//
//   core.version, core.abi       "0.1.0", 1: compared by lua/duro/init.lua
//   core.vm                      "lua5.4" or "luajit"
//   core.null                    the JSON null inside tables: one userdata, tostring "null"
//   core.array([t]) -> t         marks a table (made when absent) so that it is [] when empty
//   core.is_array(v)             whether it bears that mark
//   core.encode(v [, root]) -> text | nil, err     invalid_payload or too_large; err.path "input.items[3]"
//   core.decode(text) -> v | nil, err              corrupt; the text "null" gives nil
//   core.duration_ms(v) -> integer | nil, message  30, 0.25, "250ms", "1h30m"; never negative; for
//                                the message: 'invalid duration "5x" (try 30, "30s", "1h30m")'
//   core.plain_starts(v) -> true or nothing        whether the entries of start_many are right as they are
//   core.codes                   {not_found = true, ...}: the codes of our own
//   core.context()               "orchestration", "side_effect" (the function of one, or a log function
//                                called by an orchestration), "activity" (own coroutine) or nil: who is running
//   core.current()               the ctx of what is running now, or nil
//   core.await(request [, timeout_ms])   inside an activity of the same runtime: yields until the request
//                                is done, the (real) time is over or the activity is cancelled, and gives
//                                true: ask request:done(); elsewhere false at once: the caller drives step
//   core.replay, core.json_fields   whether a function fits a history: replay.c
//   core.terminal_columns(), terminal_lines, terminal_restore, terminal_wait, terminal_read   terminal.c
//   core.uuid7([ms])             a time-ordered UUID
//   core.wall_ms(), core.monotonic_ms()
//   core.error_metatable         of error tables; errors.lua completes it
//   core.setup{...}, core.ops    between C and errors.lua, payload.lua, orchestration.lua, task.lua and
//                                activity.lua: what each hands the other; nobody else's business
//   core.open(options) -> rt | nil, err
//     options, all plain and already validated (absent = the core's default):
//       path, role ("runtime" "auto" "client" "worker"), lease_wait_ms, queues (array of strings), worker_threads,
//       durability ("full" "normal"), clock ("system" "virtual"), activity_concurrency,
//       feed_retention_ms, feed_max_bytes, any_vm, max_lost_attempts, max_live_instances,
//       replay_every_turn, max_list_instances, max_bulk_operations, metrics_retention_hours,
//       cache_ttl_ms, enable_metrics, enable_streaming,
//       log = function(level, message, fields), codec = {encode = f(bytes) -> bytes, decode = f},
//       executor = function(run): called with each ready activity instead of running it on our own
//         coroutine; `run()` runs it to its end in whatever coroutine the host calls it from,
//       sleep = function(seconds): how such an activity sleeps (required with executor)
//
//   rt (every method of a closed runtime: nil, err(closed))
//     rt:register_orchestration(name, version, fn, replace) -> true | nil, err
//     rt:register_activity(name, fn, replace) -> true | nil, err
//     rt:register_thread_activity(name, module, function_name, generation, replace) -> true | nil, err
//     rt:step(timeout_ms) -> turns | nil, err     one duro_step and every activity that is then ready;
//                                    negative: waits for ever; raises inside an orchestration or activity
//     rt:fd(), rt:next_timeout_ms() (-1: for ever), rt:wake(), rt:idle() -> boolean
//     rt:now_ms(), rt:next_due_ms() -> integer | nil (nothing is due), rt:set_time(ms) -> true | nil, err
//     rt:has_owner() -> whether a process owns the file now: this one or another
//     rt:activities() -> how many run or wait in this process
//     rt:call(verb, args) -> request | nil, err    csrc/runtime/verbs.h; args: a value; payload paths in
//                                    errors begin at its members ("input.items[3].cb")
//     rt:close() -> true (idempotent; also __gc and __close), rt:closed() -> boolean
//   request
//     request:done() -> boolean
//     request:result() -> value | nil, err         only when done; may be asked again
//     request:free()                               drops the answer (also __gc)
//
// Tell-tale: `rt:call` inside an orchestration raises ("use ctx:..."); ask core.context() first for a
// better message.
#include "binding/jobs.h"
#include "binding/program.h"

#include <dlfcn.h>
#include <stdlib.h>

// --- Values ---

static int array(lua_State *L) {
  duro__host *h = duro__host_of(L);
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getmetatable(L, 1)) {
    if (lua_topointer(L, -1) == h->array_mt) return lua_settop(L, 1), 1;
    return duro__host_blame(L, h, "duro.array: the table has a metatable");
  }
  duro__host_push(L, h->array_mt_ref);
  lua_setmetatable(L, 1);
  return 1;
}

static int is_array(lua_State *L) {
  bool marked = lua_istable(L, 1) && lua_getmetatable(L, 1) &&
                lua_topointer(L, -1) == duro__host_of(L)->array_mt;
  lua_pushboolean(L, marked);
  return 1;
}

static int encode(lua_State *L) {
  duro__host *h = duro__host_of(L);
  const char *root = luaL_optstring(L, 2, "value");
  lua_settop(L, 2);
  duro_buf *out = &h->scratch;
  duro_buf_clear(out);
  lua_pushvalue(L, 1);
  if (!duro__payload_encode(L, h, 3, root, out)) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushlstring(L, out->p, out->n);
  return 1;
}

static int decode(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro_str text;
  text.p = luaL_checklstring(L, 1, &text.n);
  if (duro__payload_decode(L, h, text)) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int duration_ms(lua_State *L) {
  int64_t ms = 0;
  const char *problem = duro__duration_read(L, 1, &ms);
  if (!problem) {
    lua_pushinteger(L, (lua_Integer)ms);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, problem);
  return 2;
}

static int uuid7(lua_State *L) {
  char text[DURO_UUID_SIZE];
  duro_uuid7(text, (int64_t)luaL_optnumber(L, 1, (lua_Number)duro_clock_wall_ms()));
  lua_pushstring(L, text);
  return 1;
}

static int wall_ms(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)duro_clock_wall_ms());
  return 1;
}

static int monotonic_ms(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)(duro_clock_monotonic_ns() / 1000000));
  return 1;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

// --- Who is running ---

static int context(lua_State *L) {
  duro__host *h = duro__host_of(L);
  if (h->program && h->program->quiet) {
    lua_pushliteral(L, "side_effect");
  } else if (h->program) {
    lua_pushliteral(L, "orchestration");
  } else if (h->runner) {
    lua_pushliteral(L, "activity");
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int current(lua_State *L) {
  duro__host *h = duro__host_of(L);
  if (h->program && !h->program->gone) {
    duro__host_push(L, h->program->ref);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

// --- What the Lua half hands down ---

static int setup(lua_State *L) {
  duro__host *h = duro__host_of(L);
  const struct {
    const char *key;
    int *ref;
  } functions[] = {
      {"thrown", &h->thrown},
      {"thrown_record", &h->thrown_record},
      {"int64_read", &h->int64_read},
      {"int64_make", &h->int64_make},
      {"main_entry", &h->main_entry},
      {"block_entry", &h->block_entry},
      {"activity_entry", &h->activity_entry},
      {"hosted_entry", &h->hosted_entry},
      {"runtime_of", &h->runtime_of},
  };
  luaL_checktype(L, 1, LUA_TTABLE);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (duro__lua_getfield(L, 1, functions[i].key) == LUA_TFUNCTION) {
      luaL_unref(L, LUA_REGISTRYINDEX, *functions[i].ref);
      *functions[i].ref = luaL_ref(L, LUA_REGISTRYINDEX);
    } else {
      lua_pop(L, 1);
    }
  }
  if (duro__lua_getfield(L, 1, "source") == LUA_TSTRING) {
    const char *source = lua_tostring(L, -1);
    size_t n = strlen(source);
    if (n < sizeof h->own_source) memcpy(h->own_source, source, n + 1);
  }
  return 0;
}

static const luaL_Reg functions[] = {
    {"array", array},     {"is_array", is_array},       {"encode", encode},
    {"decode", decode},   {"duration_ms", duration_ms}, {"plain_starts", duro__plain_starts},
    {"uuid7", uuid7},     {"wall_ms", wall_ms},         {"monotonic_ms", monotonic_ms},
    {"context", context}, {"current", current},         {"await", duro__jobs_await},
    {"setup", setup},     {"open", duro__rt_open},      {NULL, NULL},
};

// --- Loading ---

static int host_collect(lua_State *L) {
  duro__host *h = (duro__host *)lua_touserdata(L, 1);
  duro_buf_free(&h->scratch);
  duro_buf_free(&h->text);
  duro_buf_free(&h->keys);
  while (h->idle_runners) {
    duro__runner *r = h->idle_runners;
    h->idle_runners = r->next;
    free(r);
  }
  return 0;
}

static duro__host *host_new(lua_State *L) {
  duro__host *h = (duro__host *)lua_newuserdata(L, sizeof *h);
  memset(h, 0, sizeof *h);
  h->L = L;
  int *unset[] = {&h->thrown,         &h->thrown_record, &h->int64_read,
                  &h->int64_make,     &h->main_entry,    &h->block_entry,
                  &h->activity_entry, &h->hosted_entry,  &h->runtime_of};
  for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) *unset[i] = LUA_NOREF;
#if DURO_LUAJIT
  // Found only in OpenResty's LuaJIT.
  *(void **)&h->get_exdata = dlsym(RTLD_DEFAULT, "lua_getexdata");
  *(void **)&h->set_exdata = dlsym(RTLD_DEFAULT, "lua_setexdata");
  if (!h->get_exdata) h->set_exdata = NULL;
#endif
  lua_newtable(L);
  lua_pushcfunction(L, host_collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX); // for ever
  return h;
}

static void push_values(lua_State *L, duro__host *h) {
  lua_newuserdata(L, 1);
  h->null_pointer = lua_touserdata(L, -1);
  lua_newtable(L);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  h->null_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_setfield(L, -2, "null");

  h->error_mt = duro__host_metatable(L, "duro.error", &h->error_mt_ref);
  lua_setfield(L, -2, "error_metatable");
  h->array_mt = duro__host_metatable(L, "duro.array", &h->array_mt_ref);
  lua_pop(L, 1);

  lua_newtable(L);
#define X(name, number, string, sentence, retryable)                                               \
  lua_pushboolean(L, 1);                                                                           \
  lua_setfield(L, -2, string);
  DURO_CODES(X)
#undef X
  lua_setfield(L, -2, "codes");

  lua_pushliteral(L, DURO_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushinteger(L, DURO_ABI);
  lua_setfield(L, -2, "abi");
  lua_pushliteral(L, DURO_LUA_VM);
  lua_setfield(L, -2, "vm");
}

DURO_EXPORT int luaopen_duro_core(lua_State *L);
int luaopen_duro_core(lua_State *L) {
  lua_settop(L, 0);
  duro__host *h = host_new(L);
  lua_newtable(L);
  duro__host_functions(L, h, functions);
  push_values(L, h);
  duro__replay_init(L, h);
  duro__terminal_init(L, h);
  duro__error_init(L, h);
  duro__callbacks_init(L, h);
  duro__codec_init(L, h);
  duro__request_init(L, h);
  duro__attempt_init(L, h);
  duro__rt_init(L, h);
  lua_newtable(L); // core.ops
  duro__program_init(L, h);
  duro__activity_init(L, h);
  duro__jobs_functions(L, h);
  duro__threads_functions(L, h);
  lua_setfield(L, -2, "ops");
  return 1;
}
