// request: what rt:call gives: a question to the core that is answered later.
//
// The core's request is freed here or when the runtime closes, whichever comes first. A finalizer can
// run while the core is on the C stack; then it only leaves the request on a list (duro__request_bury).
#include "binding/runtime.h"

#include <stdlib.h>

duro__lua_request *duro__request_at(duro__host *h, lua_State *L, int index) {
  return (duro__lua_request *)duro__host_userdata(L, index, h->request_mt);
}

bool duro__request_over(const duro__lua_request *q) {
  return !q->request || duro_request_done(q->request);
}

static void unlink_request(duro__lua_request *q) {
  if (!q->link) return;
  *q->link = q->next;
  if (q->next) q->next->link = q->link;
  q->link = NULL;
  q->next = NULL;
}

static void bury_later(duro__rt *rt, duro_request *request) {
  if (rt->dead_count == rt->dead_cap) {
    size_t cap = rt->dead_cap ? rt->dead_cap * 2 : 8;
    duro_request **dead = (duro_request **)realloc(rt->dead, cap * sizeof *dead);
    if (!dead) return; // then it lives until the runtime closes
    rt->dead = dead;
    rt->dead_cap = cap;
  }
  rt->dead[rt->dead_count++] = request;
}

void duro__request_bury(duro__rt *rt) {
  while (rt->dead_count) duro_request_free(rt->dead[--rt->dead_count]);
}

void duro__request_drop(duro__lua_request *q) {
  unlink_request(q);
  if (q->awaited_by) duro__jobs_request_gone(q->awaited_by);
  q->awaited_by = NULL;
  if (!q->request) return;
  if (q->rt->in_core) {
    bury_later(q->rt, q->request);
  } else {
    duro_request_free(q->request);
  }
  q->request = NULL;
}

void duro__request_close_all(duro__rt *rt) {
  while (rt->requests) {
    duro__lua_request *q = rt->requests;
    duro__request_drop(q);
    q->rt = NULL;
  }
}

void duro__request_forget_all(duro__rt *rt) {
  while (rt->requests) {
    duro__lua_request *q = rt->requests;
    unlink_request(q);
    q->request = NULL;
    q->rt = NULL;
  }
}

// rt:call(verb, args, [viewer], [context]) -> request; viewer and context: duro_caller
int duro__request_call(lua_State *L) {
  duro__rt *rt = duro__rt_check(L, "call");
  if (!rt) return 2;
  duro__host *h = rt->host;
  duro_str verb;
  verb.p = luaL_checklstring(L, 2, &verb.n);
  duro_caller caller = {.viewer = (int64_t)luaL_optnumber(L, 4, 0)};
  caller.context.p = luaL_optlstring(L, 5, NULL, &caller.context.n);
  lua_settop(L, 5);
  duro__lua_request *q = (duro__lua_request *)lua_newuserdata(L, sizeof *q);
  memset(q, 0, sizeof *q);
  duro__host_push(L, h->request_mt_ref);
  lua_setmetatable(L, -2);
  duro_str args = DURO_STR("{}");
  if (!lua_isnil(L, 3)) {
    duro_buf_clear(&h->scratch);
    if (!duro__payload_encode_arguments(L, h, 3, &h->scratch)) {
      lua_pushnil(L);
      lua_insert(L, -2);
      return 2;
    }
    if (!duro__codec_hide_arguments(L, rt, verb)) {
      lua_pushnil(L);
      lua_insert(L, -2);
      return 2;
    }
    args = duro_buf_str(&h->scratch);
  }
  duro__entry entry = duro__rt_enter(L, rt, "call");
  duro__aside aside =
      duro__host_aside(h); // it holds the arguments, and a load runs code of orchestrations
  duro__request_bury(rt);
  q->request = duro_call_as(rt->core, caller, verb, args);
  duro__host_back(h, &aside);
  duro__rt_leave(rt, entry);
  if (!q->request) return duro__error_return(L, h, DURO_OUT_OF_MEMORY, NULL);
  q->rt = rt;
  q->next = rt->requests;
  q->link = &rt->requests;
  if (q->next) q->next->link = &q->next;
  rt->requests = q;
  return 1;
}

static duro__lua_request *check_request(lua_State *L, const char *what) {
  duro__host *h = duro__host_of(L);
  duro__lua_request *q = duro__request_at(h, L, 1);
  if (!q) duro__host_blame(L, h, "request:%s must be called with a colon, on a request", what);
  return q;
}

// A request whose runtime is closed counts as done: its result says so. A freed one is never done.
static int request_done(lua_State *L) {
  duro__lua_request *q = check_request(L, "done");
  lua_pushboolean(L, q->request ? duro_request_done(q->request) : !q->rt);
  return 1;
}

static int request_result(lua_State *L) {
  duro__lua_request *q = check_request(L, "result");
  duro__host *h = duro__host_of(L);
  if (!q->request) {
    lua_pushnil(L);
    duro__error_push_text(L, h, "closed",
                          q->rt ? "the request was freed" : "the runtime is closed");
    return 2;
  }
  duro_str json;
  duro_error *err = NULL;
  duro_code code = duro_request_result(q->request, &json, &err);
  if (code) return duro__error_return(L, h, code, err);
  if (duro__payload_show(L, h, q->rt, json)) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int request_free(lua_State *L) {
  duro__request_drop(check_request(L, "free"));
  return 0;
}

static int request_collect(lua_State *L) {
  duro__request_drop((duro__lua_request *)lua_touserdata(L, 1));
  return 0;
}

static const luaL_Reg methods[] = {
    {"done", request_done}, {"result", request_result}, {"free", request_free}, {NULL, NULL}};

void duro__request_init(lua_State *L, duro__host *h) {
  h->request_mt = duro__host_metatable(L, "duro.core.request", &h->request_mt_ref);
  lua_newtable(L);
  duro__host_functions(L, h, methods);
  lua_setfield(L, -2, "__index");
  const luaL_Reg meta[] = {{"__gc", request_collect}, {"__close", request_free}, {NULL, NULL}};
  duro__host_functions(L, h, meta);
  lua_pushliteral(L, "duro.core.request");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
