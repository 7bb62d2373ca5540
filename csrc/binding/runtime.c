// runtime: the methods of the handle that core.open gives: registering, stepping, time, closing.
//
// Thin by design: check, call, push. What is awkward stands in duro__rt_enter (nobody may enter a core
// that is already on the C stack) and in rt_close (the order in which things end).
#include "binding/jobs.h"
#include "binding/runtime.h"

#include <stdlib.h>
#include <unistd.h>

// --- Checks ---

duro__rt *duro__rt_check(lua_State *L, const char *what) {
  duro__host *h = duro__host_of(L);
  duro__rt *rt = (duro__rt *)duro__host_userdata(L, 1, h->runtime_mt);
  if (!rt) duro__host_blame(L, h, "rt:%s must be called with a colon, on a runtime", what);
  if (rt->core && rt->pid == getpid()) return rt;
  lua_pushnil(L);
  if (rt->core) {
    duro__error_push_text(L, h, "closed",
                          "the runtime was opened in process %d and is used in %d: open "
                          "one in each process",
                          (int)rt->pid, (int)getpid());
  } else {
    duro__error_push_text(L, h, "closed", "the runtime is closed");
  }
  return NULL;
}

duro__entry duro__rt_enter(lua_State *L, duro__rt *rt, const char *what) {
  duro__host *h = rt->host;
  if (h->program) {
    duro__host_blame(L, h, "rt:%s cannot be called inside an orchestration: use ctx:...", what);
  }
  if (rt->in_core) {
    duro__host_blame(L, h,
                     "rt:%s cannot be called while the runtime is at work (in a log, codec "
                     "or access_control function)",
                     what);
  }
  luaL_checkstack(L, 20, NULL);
  duro__entry entry = {h->L};
  h->L = L;
  h->in_core++;
  rt->in_core++;
  return entry;
}

void duro__rt_leave(duro__rt *rt, duro__entry entry) {
  rt->in_core--;
  rt->host->in_core--;
  rt->host->L = entry.L;
}

void duro__rt_push(lua_State *L, duro__rt *rt) {
  duro__host_push(L, rt->host->runtimes_ref);
  lua_pushlightuserdata(L, rt);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

// --- Registering ---

static void release(void *user, void *code) {
  duro__rt *rt = (duro__rt *)user;
  duro__registered *registered = (duro__registered *)code;
  luaL_unref(rt->host->L, LUA_REGISTRYINDEX, registered->ref);
  free(registered->thread_call);
  free(registered);
}

static duro_str check_text(lua_State *L, int index) {
  duro_str s;
  s.p = luaL_checklstring(L, index, &s.n);
  return s;
}

static duro__registered *hold(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TFUNCTION);
  lua_pushvalue(L, index);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  duro__registered *registered = (duro__registered *)malloc(sizeof *registered);
  if (!registered) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "memory is out");
    return NULL;
  }
  registered->ref = ref;
  registered->thread_call = NULL;
  return registered;
}

static int registered_or_error(lua_State *L, duro__rt *rt, duro__registered *code, duro_code failed,
                               duro_error *err) {
  if (!failed) {
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_unref(L, LUA_REGISTRYINDEX, code->ref);
  free(code->thread_call);
  free(code);
  return duro__error_return(L, rt->host, failed, err);
}

static int rt_register_orchestration(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "register_orchestration");
  if (!rt) return 2;
  duro_str name = check_text(L, 2), version = check_text(L, 3);
  bool replace = lua_toboolean(L, 5);
  duro__registered *code = hold(L, 4);
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "register_orchestration");
  duro_code failed = duro_register_orchestration(rt->core, name, version, code, replace, &err);
  duro__rt_leave(rt, entry);
  return registered_or_error(L, rt, code, failed, err);
}

static int rt_register_activity(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "register_activity");
  if (!rt) return 2;
  duro_str name = check_text(L, 2);
  bool replace = lua_toboolean(L, 4);
  duro__registered *code = hold(L, 3);
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "register_activity");
  duro_code failed = duro_register_activity(rt->core, name, code, replace, &err);
  duro__rt_leave(rt, entry);
  return registered_or_error(L, rt, code, failed, err);
}

// rt:register_thread_activity(name, module, function_name, generation, replace)
static int rt_register_thread_activity(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "register_thread_activity");
  if (!rt) return 2;
  duro_str name = check_text(L, 2);
  const char *module = luaL_checkstring(L, 3), *function = luaL_checkstring(L, 4);
  int64_t generation = (int64_t)luaL_checknumber(L, 5);
  bool replace = lua_toboolean(L, 6);
  duro__registered *code = (duro__registered *)malloc(sizeof *code);
  if (code) {
    code->ref = LUA_NOREF;
    code->thread_call =
        duro__threads_call_new(module, function, generation, &code->thread_call_size);
  }
  if (!code || !code->thread_call) {
    free(code);
    return luaL_error(L, "memory is out");
  }
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "register_activity");
  duro_code failed = duro_register_activity(rt->core, name, code, replace, &err);
  duro__rt_leave(rt, entry);
  return registered_or_error(L, rt, code, failed, err);
}

// --- The loop ---

// One step of the core, and the activities that are ready then. False: nil and the error are pushed.
static bool step_once(lua_State *L, duro__rt *rt, int64_t timeout_ms, int64_t *turns) {
  if (duro_short_of_memory(rt->core)) {
    lua_gc(L, LUA_GCCOLLECT,
           0); // what code has hoarded and let go; finalizers may close the runtime
    if (!duro__rt_check(L, "step")) return false;
  }
  int64_t ran = 0;
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "step");
  duro__jobs_quiet(rt);
  duro__request_bury(rt);
  duro_code code = duro_step(rt->core, duro__jobs_limit_wait(rt, timeout_ms), &ran, &err);
  duro__rt_leave(rt, entry);
  if (code) {
    duro__error_return(L, rt->host, code, err);
    return false;
  }
  *turns += ran;
  duro__jobs_run(L, rt);
  return true;
}

// rt:step(timeout_ms, [request]) -> turns. With a request: as many steps as fit until it is done. An
// activity may have forked, so each begins with the check.
static int rt_step(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "step");
  if (!rt) return 2;
  int64_t timeout_ms = (int64_t)luaL_optnumber(L, 2, 0), turns = 0;
  const duro__lua_request *q = duro__request_at(rt->host, L, 3);
  if (duro__jobs_inside(rt)) {
    return duro__host_blame(L, rt->host,
                            "rt:step cannot be called inside an activity of its runtime");
  }
  uint64_t wait_ns = timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0;
  uint64_t until_ns = q ? duro_clock_monotonic_ns() + wait_ns : 0;
  for (;;) {
    if (!step_once(L, rt, timeout_ms, &turns)) return 2;
    if (!q || duro__request_over(q) || !rt->core) break;
    uint64_t now_ns = duro_clock_monotonic_ns();
    if (now_ns >= until_ns) break;
    timeout_ms = (int64_t)((until_ns - now_ns) / 1000000) + 1;
    if (!duro__rt_check(L, "step")) return 2;
  }
  lua_pushinteger(L, (lua_Integer)turns);
  return 1;
}

static int rt_fd(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "fd");
  if (!rt) return 2;
  lua_pushinteger(L, duro_fd(rt->core));
  return 1;
}

static int rt_next_timeout_ms(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "next_timeout");
  if (!rt) return 2;
  lua_pushinteger(L, (lua_Integer)duro__jobs_limit_wait(rt, duro_next_timeout_ms(rt->core)));
  return 1;
}

static int rt_wake(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "wake");
  if (!rt) return 2;
  duro_wake(rt->core);
  lua_pushboolean(L, 1);
  return 1;
}

static int rt_idle(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "idle");
  if (!rt) return 2;
  lua_pushboolean(L, duro_idle(rt->core));
  return 1;
}

static int rt_has_owner(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "has_owner");
  if (!rt) return 2;
  lua_pushboolean(L, duro_has_owner(rt->core));
  return 1;
}

static int rt_activities(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "activities");
  if (!rt) return 2;
  lua_pushinteger(L, rt->attempt_count);
  return 1;
}

// --- Time ---

static int rt_now_ms(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "now");
  if (!rt) return 2;
  lua_pushinteger(L, (lua_Integer)duro_now_ms(rt->core));
  return 1;
}

static int rt_next_due_ms(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "next_due");
  if (!rt) return 2;
  int64_t due_ms = duro_next_due_ms(rt->core);
  if (due_ms == DURO_NEVER) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, (lua_Integer)due_ms);
  }
  return 1;
}

static int rt_set_time(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "advance");
  if (!rt) return 2;
  int64_t now_ms = (int64_t)luaL_checknumber(L, 2);
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "advance");
  duro_code code = duro_set_time(rt->core, now_ms, &err);
  duro__rt_leave(rt, entry);
  if (code) return duro__error_return(L, rt->host, code, err);
  lua_pushboolean(L, 1);
  return 1;
}

// --- Closing ---

static void unref_callbacks(lua_State *L, duro__rt *rt) {
  int *refs[] = {&rt->log_ref,      &rt->encode_ref, &rt->decode_ref,
                 &rt->executor_ref, &rt->sleep_ref,  &rt->may_see_ref};
  for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
    luaL_unref(L, LUA_REGISTRYINDEX, *refs[i]);
    *refs[i] = LUA_NOREF;
  }
}

// Activities end first, while their jobs still exist; then the requests; then the core, which ends the
// orchestrations. After a fork only the core's memory is given back: threads and locks are the parent's.
static void close_runtime(lua_State *L, duro__rt *rt) {
  if (rt->pid != getpid()) {
    rt->host->L = L;
    duro__jobs_forget(rt);
    duro__request_forget_all(rt);
    duro_close(rt->core);
    rt->core = NULL;
    return;
  }
  duro__host *h = rt->host;
  lua_State *outer = h->L;
  duro_runtime *core = rt->core;
  h->L = L;
  h->in_core++;
  rt->in_core++;
  duro__jobs_close(L, rt);
  duro__request_close_all(rt);
  duro__request_bury(rt);
  rt->core = NULL;
  duro_close(core);
  rt->in_core--;
  h->in_core--;
  h->L = outer;
  free(rt->dead);
  rt->dead = NULL;
  unref_callbacks(L, rt);
}

static int rt_close(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__rt *rt = (duro__rt *)duro__host_userdata(L, 1, h->runtime_mt);
  if (!rt) return duro__host_blame(L, h, "rt:close must be called with a colon, on a runtime");
  if (rt->core) {
    if (h->program || rt->in_core || duro__jobs_inside(rt)) {
      return duro__host_blame(L, h,
                              "rt:close cannot be called inside an orchestration or an activity: "
                              "use rt:stop()");
    }
    luaL_checkstack(L, 20, NULL);
    close_runtime(L, rt);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int rt_collect(lua_State *L) {
  duro__rt *rt = (duro__rt *)lua_touserdata(L, 1);
  if (rt->core && lua_checkstack(L, 20)) close_runtime(L, rt);
  return 0;
}

static int rt_closed(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__rt *rt = (duro__rt *)duro__host_userdata(L, 1, h->runtime_mt);
  if (!rt) return duro__host_blame(L, h, "rt:closed must be called with a colon, on a runtime");
  lua_pushboolean(L, rt->core == NULL);
  return 1;
}

// --- Opening ---

int duro__rt_open(lua_State *L) {
  duro__host *h = duro__host_of(L);
  if (h->program)
    return duro__host_blame(L, h, "duro.open cannot be called inside an orchestration");
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  duro__rt *rt = (duro__rt *)lua_newuserdata(L, sizeof *rt);
  memset(rt, 0, sizeof *rt);
  rt->host = h;
  rt->pid = getpid();
  rt->log_ref = rt->encode_ref = rt->decode_ref = rt->executor_ref = rt->sleep_ref =
      rt->may_see_ref = LUA_NOREF;
  duro__host_push(L, h->runtime_mt_ref);
  lua_setmetatable(L, -2);
  duro__host_push(L, h->runtimes_ref);
  lua_pushlightuserdata(L, rt);
  lua_pushvalue(L, 2);
  lua_rawset(L, -3);
  lua_pop(L, 1);

  duro_options options = duro_options_default();
  duro_str *queues = NULL;
  duro__options_read(L, 1, &options, &queues); // its last act is to allocate `queues`
  duro__options_callbacks(L, 1, rt, &options);
  duro_host host = {.programs = &duro__program_ops,
                    .user = rt,
                    .release = release,
                    .thread_begin = duro__thread_begin,
                    .thread_run = duro__thread_run,
                    .thread_end = duro__thread_end};
  duro_error *err = NULL;
  luaL_checkstack(L, 20, NULL);
  duro__entry entry = {h->L};
  h->L = L;
  h->in_core++;
  rt->in_core++;
  duro_code code = duro_open(&options, &host, &rt->core, &err);
  duro__rt_leave(rt, entry);
  free(queues);
  if (!code) return 1;
  rt->core = NULL;
  unref_callbacks(L, rt);
  return duro__error_return(L, h, code, err);
}

static const luaL_Reg methods[] = {
    {"register_orchestration", rt_register_orchestration},
    {"register_activity", rt_register_activity},
    {"register_thread_activity", rt_register_thread_activity},
    {"step", rt_step},
    {"fd", rt_fd},
    {"next_timeout_ms", rt_next_timeout_ms},
    {"wake", rt_wake},
    {"idle", rt_idle},
    {"has_owner", rt_has_owner},
    {"activities", rt_activities},
    {"now_ms", rt_now_ms},
    {"next_due_ms", rt_next_due_ms},
    {"set_time", rt_set_time},
    {"call", duro__request_call},
    {"close", rt_close},
    {"closed", rt_closed},
    {NULL, NULL},
};

void duro__rt_init(lua_State *L, duro__host *h) {
  h->runtime_mt = duro__host_metatable(L, "duro.core.runtime", &h->runtime_mt_ref);
  lua_newtable(L);
  duro__host_functions(L, h, methods);
  lua_setfield(L, -2, "__index");
  const luaL_Reg meta[] = {{"__gc", rt_collect}, {"__close", rt_close}, {NULL, NULL}};
  duro__host_functions(L, h, meta);
  lua_pushliteral(L, "duro.core.runtime");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);

  // The userdata by their address, weakly.
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  h->runtimes_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
