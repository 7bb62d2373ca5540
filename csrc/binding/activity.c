// activity: the ctx of an activity. Its facts are read from the job when asked for; ctx:async
// and ctx:defer put them aside, since then the ctx is used after the job may be gone.
#include "binding/jobs.h"

#include <stdlib.h>

static duro__activity_ctx *check_ctx(lua_State *L, const char *what) {
  duro__host *h = duro__host_of(L);
  duro__activity_ctx *ctx = (duro__activity_ctx *)duro__host_userdata(L, 1, h->actx_mt);
  if (!ctx)
    duro__host_blame(L, h, "ctx:%s must be called with a colon, on the ctx of an activity", what);
  return ctx;
}

static duro__attempt *check_attempt(lua_State *L, const char *what) {
  duro__activity_ctx *ctx = check_ctx(L, what);
  if (!ctx->attempt) {
    duro__host_blame(L, duro__host_of(L), "ctx:%s is called after the end of this attempt", what);
  }
  return ctx->attempt;
}

// --- Facts ---

enum { INSTANCE_ID = 1, NAME, ACTIVITY_ID, ATTEMPT, HEARTBEAT_DETAILS, RUNTIME };

static const duro__fact facts[] = {
    {"instance_id", INSTANCE_ID},
    {"name", NAME},
    {"activity_id", ACTIVITY_ID},
    {"attempt", ATTEMPT},
    {"heartbeat_details", HEARTBEAT_DETAILS},
    {"runtime", RUNTIME},
};

static int push_fact(lua_State *L, duro__attempt *a, int fact) {
  duro__host *h = a->rt->host;
  const duro_job_info *info = duro_job_get_info(a->job);
  switch (fact) {
  case INSTANCE_ID:
    return duro__host_push_text(L, info->instance_id);
  case NAME:
    return duro__host_push_text(L, info->name);
  case ACTIVITY_ID:
    return duro__host_push_text(L, info->activity_id);
  case ATTEMPT:
    lua_pushinteger(L, (lua_Integer)info->attempt);
    return 1;
  case HEARTBEAT_DETAILS:
    if (!duro__payload_read(L, h, a->rt, info->heartbeat_details)) return lua_error(L);
    return 1;
  case RUNTIME:
    duro__host_push(L, h->runtime_of);
    duro__rt_push(L, a->rt);
    lua_call(L, 1, 1);
    return 1;
  default:
    lua_pushnil(L);
    return 1;
  }
}

void duro__activity_keep_facts(lua_State *L, duro__attempt *a, int ctx_index) {
  duro__activity_ctx *ctx = a->ctx;
  if (!ctx || ctx->has_facts) return;
  ctx_index = duro__lua_absindex(L, ctx_index);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    push_fact(L, a, facts[i].fact);
    lua_setfield(L, -2, facts[i].name);
  }
  duro__lua_setuservalue(L, ctx_index);
  ctx->has_facts = true;
}

// Upvalues: host, methods, facts (name -> number).
static int ctx_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (!lua_isnil(L, -1)) return 1;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(3));
  int fact = (int)lua_tointeger(L, -1);
  if (fact == 0) return 0;
  duro__activity_ctx *ctx = check_ctx(L, "fact");
  if (ctx->attempt) return push_fact(L, ctx->attempt, fact);
  if (ctx->has_facts) {
    duro__lua_getuservalue(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
  }
  return duro__host_blame(L, duro__host_of(L), "ctx.%s is read after the end of this attempt",
                          lua_tostring(L, 2));
}

static int ctx_newindex(lua_State *L) {
  return duro__host_blame(L, duro__host_of(L), "the ctx of an activity cannot be written to");
}

// --- Methods ---

// ctx:heartbeat(details)
static int heartbeat(lua_State *L) {
  duro__attempt *a = check_attempt(L, "heartbeat");
  duro__rt *rt = a->rt;
  duro__host *h = rt->host;
  duro_str details = DURO_NONE;
  if (!lua_isnoneornil(L, 2)) {
    duro_buf_clear(&h->scratch);
    if (!duro__payload_encode(L, h, 2, "details", &h->scratch)) return lua_error(L);
    details = duro_buf_str(&h->scratch);
  }
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "heartbeat");
  duro_code code = duro_job_heartbeat(a->job, details, &err);
  duro__rt_leave(rt, entry);
  if (code) {
    duro__error_push(L, h, code, err);
    return lua_error(L);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// An attempt that has ended counts as cancelled: whoever still works for it may stop.
static int is_cancelled(lua_State *L) {
  duro__activity_ctx *ctx = check_ctx(L, "is_cancelled");
  lua_pushboolean(L, !ctx->attempt || duro_job_cancelled(ctx->attempt->job));
  return 1;
}

// (ctx, duration) -> true: slept; false: woken by cancellation; nothing: the host has to sleep
static int sleep_for(lua_State *L) {
  duro__attempt *a = check_attempt(L, "sleep");
  duro__rt *rt = a->rt;
  duro__host *h = rt->host;
  int64_t ms = 0;
  const char *problem = duro__duration_read(L, 2, &ms);
  if (problem) return duro__duration_refuse(L, h, 2, "sleep", problem);
  if (a->hosted) return 0;
  if (!a->runner || h->runner != a->runner || a->runner->co != L || !lua_isyieldable(L)) {
    return duro__host_blame(
        L, h,
        "ctx:sleep can wait only in the activity's own coroutine, and not inside "
        "of a function that C code calls");
  }
  if (duro_job_cancelled(a->job)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (!duro_job_sleep_until(a->job, duro_now_ms(rt->core) + ms)) {
    return luaL_error(L, "memory is out");
  }
  a->runner->state = DURO__RUNNER_SLEEPING;
  return lua_yield(L, 0);
}

// (ctx) -> the executor's sleep function, and the runtime's time in ms
static int hosted_sleep(lua_State *L) {
  duro__attempt *a = check_attempt(L, "sleep");
  if (a->rt->sleep_ref == LUA_NOREF) {
    return duro__host_blame(L, a->rt->host, "ctx:sleep needs the option 'sleep' beside 'executor'");
  }
  duro__host_push(L, a->rt->sleep_ref);
  lua_pushnumber(L, (lua_Number)duro_now_ms(a->rt->core));
  return 2;
}

// ctx:log(level, message, fields)
static int log_line(lua_State *L) {
  duro__attempt *a = check_attempt(L, "log");
  lua_settop(L, 4);
  const duro_job_info *info = duro_job_get_info(a->job);
  duro__log_source source = {info->instance_id, info->name, "activity"};
  duro__callbacks_log_line(L, a->rt, &source, 2, 3, 4);
  return 0;
}

// done(err, value) -> whether it was the first to end the attempt. Upvalues: host, handle.
static int done(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__attempt_handle *handle = duro__attempt_handle_at(L, h, lua_upvalueindex(2));
  duro__attempt *a = handle ? handle->attempt : NULL;
  lua_settop(L, 2);
  if (a) {
    duro__rt *rt = a->rt;
    if (lua_isnil(L, 1)) {
      duro__attempt_complete(L, a, 2);
    } else {
      duro__attempt_fail_value(L, a, 1);
    }
    if (rt->core) duro_wake(rt->core); // it may be called by another loop
  }
  lua_pushboolean(L, a != NULL);
  return 1;
}

// ctx:async() -> done
static int async(lua_State *L) {
  duro__attempt *a = check_attempt(L, "async");
  duro__host *h = a->rt->host;
  if (a->async) return duro__host_blame(L, h, "ctx:async was called before in this attempt");
  duro__activity_keep_facts(L, a, 1);
  if (a->ctx_ref == LUA_NOREF) {
    lua_pushvalue(L, 1);
    a->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_pushlightuserdata(L, h);
  duro__attempt_push_handle(L, a);
  lua_pushcclosure(L, done, 2);
  a->async = true;
  return 1;
}

// ctx:defer() -> token
static int defer(lua_State *L) {
  duro__attempt *a = check_attempt(L, "defer");
  duro__rt *rt = a->rt;
  if (a->async) return duro__host_blame(L, rt->host, "ctx:defer and ctx:async exclude each other");
  duro__activity_keep_facts(L, a, 1);
  duro_buf token = {0};
  duro_error *err = NULL;
  duro__entry entry = duro__rt_enter(L, rt, "defer");
  duro_job *job = a->job;
  duro_code code = duro_job_defer(job, &token, &err);
  if (!code) {
    duro__attempt_end(a);
    duro_job_complete(job, DURO_NONE); // recorded as deferred: nobody else ends it
  }
  duro__rt_leave(rt, entry);
  if (code) {
    duro_buf_free(&token);
    duro__error_push(L, rt->host, code, err);
    return lua_error(L);
  }
  duro_buf *kept = &rt->host->text; // freed by nobody when the next line raises
  duro_buf_clear(kept);
  duro_buf_add(kept, token.p, token.n);
  duro_buf_free(&token);
  lua_pushlstring(L, kept->p ? kept->p : "", kept->n);
  return 1;
}

static const luaL_Reg methods[] = {
    {"heartbeat", heartbeat}, {"is_cancelled", is_cancelled},
    {"log", log_line},        {"async", async},
    {"defer", defer},         {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"activity_sleep", sleep_for}, {"hosted_sleep", hosted_sleep}, {NULL, NULL}};

// At the top: core.ops; it also gets the table of methods, for activity.lua to complete.
void duro__activity_init(lua_State *L, duro__host *h) {
  duro__host_functions(L, h, functions);
  int ops = lua_gettop(L);
  h->actx_mt = duro__host_metatable(L, "duro.activity.ctx", &h->actx_mt_ref);
  lua_newtable(L);
  duro__host_functions(L, h, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, ops, "activity_methods");
  const luaL_Reg meta[] = {{"__newindex", ctx_newindex}, {NULL, NULL}};
  duro__host_ctx(L, h, "duro.activity.ctx", ctx_index, facts, sizeof facts / sizeof *facts, meta);
}
