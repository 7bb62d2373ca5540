// attempt: the life of one attempt of an activity on the Lua side: its ctx, its handles, its end.
#include "binding/jobs.h"

#include <stdlib.h>

duro__attempt *duro__attempt_new(duro__rt *rt) {
  duro__attempt *a = (duro__attempt *)malloc(sizeof *a);
  if (!a) return NULL;
  *a = (duro__attempt){.rt = rt, .ctx_ref = LUA_NOREF, .next = rt->attempts, .link = &rt->attempts};
  if (a->next) a->next->link = &a->next;
  rt->attempts = a;
  rt->attempt_count++;
  return a;
}

static void unlink_attempt(duro__attempt *a) {
  *a->link = a->next;
  if (a->next) a->next->link = a->link;
}

void duro__attempt_end(duro__attempt *a) {
  unlink_attempt(a);
  a->rt->attempt_count--;
  if (a->ctx) a->ctx->attempt = NULL;
  if (a->runner) {
    duro__runner *r = a->runner;
    r->attempt = NULL;
    if (r->state == DURO__RUNNER_SLEEPING) duro__jobs_haunt(a->rt, r); // the core wakes it no more
    // One that awaits stands in that list already.
  }
  for (duro__attempt_handle *handle = a->handles; handle; handle = handle->next)
    handle->attempt = NULL;
  if (a->ctx_ref != LUA_NOREF) luaL_unref(a->rt->host->L, LUA_REGISTRYINDEX, a->ctx_ref);
  free(a);
}

// --- Ends ---

void duro__attempt_fail(lua_State *L, duro__attempt *a, duro_str record) {
  duro__rt *rt = a->rt;
  duro_job *job = a->job;
  duro__entry entry = duro__rt_enter(L, rt, "step");
  duro__attempt_end(a);
  duro_job_fail(job, record);
  duro__rt_leave(rt, entry);
}

void duro__attempt_fail_value(lua_State *L, duro__attempt *a, int index) {
  duro__host *h = a->rt->host;
  index = duro__lua_absindex(L, index);
  duro__host_push(L, h->thrown_record);
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  duro_str record;
  record.p = lua_tolstring(L, -1, &record.n);
  duro__attempt_fail(L, a, record);
  lua_pop(L, 1);
}

void duro__attempt_complete(lua_State *L, duro__attempt *a, int index) {
  duro__rt *rt = a->rt;
  duro__host *h = rt->host;
  duro_str output = DURO_NONE;
  if (!lua_isnoneornil(L, index)) {
    duro_buf_clear(&h->scratch);
    if (!duro__payload_encode(L, h, index, "output", &h->scratch)) {
      lua_pushboolean(L, 0); // running it again would give the same
      lua_setfield(L, -2, "retryable");
      duro__attempt_fail_value(L, a, -1);
      lua_pop(L, 1);
      return;
    }
    output = duro_buf_str(&h->scratch);
  }
  duro_job *job = a->job;
  duro__entry entry = duro__rt_enter(L, rt, "step");
  duro__attempt_end(a);
  duro_job_complete(job, output);
  duro__rt_leave(rt, entry);
  if (h->scratch.cap > 1 << 20) duro_buf_free(&h->scratch);
}

// --- Handles ---

duro__attempt_handle *duro__attempt_handle_at(lua_State *L, duro__host *h, int index) {
  return (duro__attempt_handle *)duro__host_userdata(L, index, h->handle_mt);
}

void duro__attempt_push_handle(lua_State *L, duro__attempt *a) {
  duro__attempt_handle *handle = (duro__attempt_handle *)lua_newuserdata(L, sizeof *handle);
  handle->attempt = NULL;
  duro__host_push(L, a->rt->host->handle_mt_ref);
  lua_setmetatable(L, -2);
  handle->attempt = a;
  handle->next = a->handles;
  a->handles = handle;
}

static int handle_collect(lua_State *L) {
  duro__attempt_handle *handle = (duro__attempt_handle *)lua_touserdata(L, 1);
  duro__attempt *a = handle->attempt;
  if (!a) return 0;
  handle->attempt = NULL;
  duro__attempt_handle **at = &a->handles;
  while (*at && *at != handle) at = &(*at)->next;
  if (*at) *at = handle->next;
  if (a->handles) return 0;
  // A finalizer may run anywhere, so the job fails at the next quiet moment.
  unlink_attempt(a);
  a->next = a->rt->orphans;
  a->link = &a->rt->orphans;
  if (a->next) a->next->link = &a->next;
  a->rt->orphans = a;
  return 0;
}

// --- The call of the author's function ---

int duro__attempt_push_call(lua_State *L, duro__attempt *a) {
  duro__host *h = a->rt->host;
  const duro_job_info *info = duro_job_get_info(a->job);
  duro__host_push(L, ((duro__registered *)info->code)->ref);
  duro__activity_ctx *ctx = (duro__activity_ctx *)duro__lua_newuserdata(L, sizeof *ctx);
  ctx->attempt = NULL;
  ctx->has_facts = false;
  duro__host_push(L, h->actx_mt_ref);
  lua_setmetatable(L, -2);
  ctx->attempt = a;
  a->ctx = ctx;
  if (!duro__payload_read(L, h, a->rt, info->input)) {
    a->ctx = NULL;
    ctx->attempt = NULL;
    return lua_error(L);
  }
  return 3;
}

void duro__attempt_init(lua_State *L, duro__host *h) {
  h->handle_mt = duro__host_metatable(L, "duro.core.attempt", &h->handle_mt_ref);
  const luaL_Reg meta[] = {{"__gc", handle_collect}, {NULL, NULL}};
  duro__host_functions(L, h, meta);
  lua_pop(L, 1);
}
