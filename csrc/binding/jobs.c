// jobs: the executor. After each step of the core the ready jobs run on runners until they wait or end;
// those that waited go on when the core wakes them, or when the answer they wait for is there.
//
// A runner's coroutine is a Lua loop (activity.lua, serve): job_begin, the author's function, job_end,
// job_idle. It yields only inside C functions of ours, which set its state first; a yield that finds
// it RUNNING came from somebody else and fails the attempt. With an executor option the host is given
// a function to run instead, in a coroutine of its own.
#include "binding/jobs.h"

#include <stdlib.h>

#define MAX_IDLE_RUNNERS 128 // as many stay for the next jobs

// --- Runners ---

static duro__runner *runner_new(lua_State *L, duro__host *h) {
  lua_State *co = lua_newthread(L);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  duro__runner *r = (duro__runner *)calloc(1, sizeof *r);
  if (!r) {
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "memory is out");
    return NULL;
  }
  r->host = h;
  r->co = co;
  r->ref = ref;
  r->state = DURO__RUNNER_IDLE;
  duro__host_push(co, h->activity_entry);
  return r;
}

static void unlink_runner(duro__runner *r) {
  if (!r->link) return;
  *r->link = r->next;
  if (r->next) r->next->link = r->link;
  r->link = NULL;
  r->next = NULL;
}

// Pending <close> variables run here.
static void runner_free(lua_State *L, duro__runner *r) {
  unlink_runner(r);
  if (r->request) r->request->awaited_by = NULL;
  duro__lua_close_thread(r->co, L);
  luaL_unref(L, LUA_REGISTRYINDEX, r->ref);
  free(r);
}

static duro__runner *runner_take(lua_State *L, duro__host *h) {
  duro__runner *r = h->idle_runners;
  if (!r) return runner_new(L, h);
  h->idle_runners = r->next;
  r->next = NULL;
  h->idle_count--;
  return r;
}

static void runner_give_back(lua_State *L, duro__runner *r) {
  duro__host *h = r->host;
  if (h->idle_count >= MAX_IDLE_RUNNERS) {
    runner_free(L, r);
    return;
  }
  r->next = h->idle_runners;
  h->idle_runners = r;
  h->idle_count++;
}

#define FOREIGN_YIELD                                                                              \
  "{\"code\":\"failed\",\"retryable\":false,\"message\":\"the activity yielded to the host: use "  \
  "ctx:sleep, ctx:async or calls of ctx.runtime to wait, or open with an executor\"}"

static void resume(lua_State *L, duro__runner *r, int args) {
  duro__host *h = r->host;
  duro__runner *outer = h->runner;
  h->runner = r;
  r->state = DURO__RUNNER_RUNNING;
  int status = duro__host_resume(h, r->co, args);
  h->runner = outer;
  if (status == LUA_YIELD && r->state == DURO__RUNNER_IDLE) {
    runner_give_back(L, r);
    return;
  }
  if (status == LUA_YIELD && r->state != DURO__RUNNER_RUNNING) return; // it waits
  int top = lua_gettop(L);
  duro__attempt *a = r->attempt;
  if (a && status == LUA_YIELD) {
    duro__attempt_fail(L, a, DURO_STR(FOREIGN_YIELD));
  } else if (a) {
    duro_str record = duro__error_thrown_record(L, h, r->co);
    duro__attempt_fail(L, a, record);
  }
  lua_settop(L, top);
  runner_free(L, r);
}

// --- Starting ---

static void start_hosted(lua_State *L, duro__rt *rt, duro__attempt *a) {
  duro__host *h = rt->host;
  int top = lua_gettop(L);
  a->hosted = true;
  duro__host_push(L, rt->executor_ref);
  duro__host_push(L, h->hosted_entry);
  duro__attempt_push_handle(L, a);
  duro__attempt_handle *handle = (duro__attempt_handle *)lua_touserdata(L, -1);
  lua_pushvalue(L, -1);
  lua_insert(L, top + 1); // so that it outlives the call
  if ((lua_pcall(L, 1, 1, 0) || lua_pcall(L, 1, 0, 0)) && handle->attempt) {
    duro__attempt_fail_value(L, a, -1);
  }
  lua_settop(L, top);
}

static bool start_next(lua_State *L, duro__rt *rt) {
  duro__host *h = rt->host;
  bool hosted = rt->executor_ref != LUA_NOREF;
  duro__runner *r = hosted ? NULL : runner_take(L, h);
  duro__attempt *a = duro__attempt_new(rt);
  duro_job *job = a ? duro_next_job(rt->core) : NULL;
  if (!job) {
    if (a) duro__attempt_end(a);
    if (r) runner_give_back(L, r);
    return false;
  }
  if (((duro__registered *)duro_job_get_info(job)->code)->thread_call) {
    duro__attempt_end(a);
    if (r) runner_give_back(L, r);
    duro__threads_start(L, rt, job);
    return true;
  }
  a->job = job;
  duro_job_set_user(job, a);
  if (hosted) {
    start_hosted(L, rt, a);
    return true;
  }
  a->runner = r;
  r->attempt = a;
  resume(L, r, 0);
  return true;
}

// --- Waking ---

static void go_on(lua_State *L, duro__runner *r, bool value) {
  unlink_runner(r);
  if (r->request) r->request->awaited_by = NULL;
  r->request = NULL;
  r->deadline_ns = 0;
  lua_pushboolean(r->co, value);
  resume(L, r, 1);
}

// A sleep gives whether it was slept to its end; a wait for a request gives true.
static void wake(lua_State *L, duro_job *job) {
  duro__attempt *a = (duro__attempt *)duro_job_user(job);
  duro__runner *r = a ? a->runner : NULL;
  if (!r) return;
  if (r->state == DURO__RUNNER_SLEEPING) {
    go_on(L, r, !duro_job_cancelled(job));
  } else if (r->state == DURO__RUNNER_AWAITING) {
    go_on(L, r, true);
  }
}

// Requests whose waiter's time is over are dropped, which makes the core wake the job. Runners whose
// attempt has ended go on for nobody.
static void look_at_waits(lua_State *L, duro__rt *rt) {
  if (!rt->awaiting) return;
  uint64_t now_ns = duro_clock_monotonic_ns();
  for (duro__runner *r = rt->awaiting, *next; r; r = next) {
    next = r->next;
    if (!r->attempt || !r->deadline_ns || r->deadline_ns > now_ns) continue;
    r->deadline_ns = 0;
    if (r->request) duro__request_drop(r->request);
  }
  duro__runner *r = rt->awaiting;
  while (r) {
    bool ghost = !r->attempt;
    if (ghost) go_on(L, r, true);
    r = ghost ? rt->awaiting : r->next; // whoever goes on may change the list
  }
}

static void await_in(duro__rt *rt, duro__runner *r) {
  r->state = DURO__RUNNER_AWAITING;
  r->next = rt->awaiting;
  r->link = &rt->awaiting;
  if (r->next) r->next->link = &r->next;
  rt->awaiting = r;
}

void duro__jobs_haunt(duro__rt *rt, duro__runner *r) {
  r->request = NULL;
  await_in(rt, r);
}

void duro__jobs_run(lua_State *L, duro__rt *rt) {
  duro__host *h = rt->host;
  lua_State *outer = h->L;
  luaL_checkstack(L, 20, NULL);
  h->L = L;
  look_at_waits(L, rt);
  while (rt->core) {
    duro_job *woken = duro_next_woken(rt->core);
    if (woken) {
      wake(L, woken);
    } else if (!start_next(L, rt)) {
      break;
    }
  }
  h->L = outer;
}

bool duro__jobs_inside(const duro__rt *rt) {
  const duro__runner *r = rt->host->runner;
  return r && (!r->attempt || r->attempt->rt == rt);
}

int64_t duro__jobs_limit_wait(const duro__rt *rt, int64_t timeout_ms) {
  uint64_t now_ns = 0;
  for (const duro__runner *r = rt->awaiting; r; r = r->next) {
    if (!r->deadline_ns) continue;
    if (!now_ns) now_ns = duro_clock_monotonic_ns();
    int64_t left_ms =
        r->deadline_ns > now_ns ? (int64_t)((r->deadline_ns - now_ns) / 1000000) + 1 : 0;
    if (timeout_ms < 0 || left_ms < timeout_ms) timeout_ms = left_ms;
  }
  return timeout_ms;
}

// --- Quiet moments and the end ---

#define ORPHANED                                                                                   \
  "{\"code\":\"failed\",\"message\":\"nobody can finish this attempt any more: its done() or "     \
  "run() "                                                                                         \
  "function was collected without being called\"}"

void duro__jobs_quiet(duro__rt *rt) {
  while (rt->orphans && rt->core) {
    duro_job *job = rt->orphans->job;
    duro__attempt_end(rt->orphans);
    duro_job_fail(job, DURO_STR(ORPHANED));
  }
}

void duro__jobs_close(lua_State *L, duro__rt *rt) {
  while (rt->attempts || rt->orphans) {
    duro__attempt *a = rt->attempts ? rt->attempts : rt->orphans;
    duro__runner *r = a->runner;
    duro__attempt_end(a);
    if (r) runner_free(L, r);
  }
  while (rt->awaiting) runner_free(L, rt->awaiting); // ghosts: their attempts were over
}

void duro__jobs_forget(duro__rt *rt) {
  while (rt->attempts || rt->orphans) duro__attempt_end(rt->attempts ? rt->attempts : rt->orphans);
}

void duro__jobs_request_gone(duro__runner *r) { r->request = NULL; }

// --- What the Lua half calls ---

// The attempt of the runner whose coroutine this is.
static duro__runner *own_runner(lua_State *L) {
  duro__runner *r = duro__host_of(L)->runner;
  if (!r || r->co != L) luaL_error(L, "this is duro's own");
  return r;
}

static int job_begin(lua_State *L) { return duro__attempt_push_call(L, own_runner(L)->attempt); }

// (output): the attempt has it, unless somebody else is to finish it.
static int job_end(lua_State *L) {
  duro__runner *r = own_runner(L);
  duro__attempt *a = r->attempt;
  if (!a) return 0;
  if (a->async) {
    a->runner = NULL;
    r->attempt = NULL;
    return 0;
  }
  duro__attempt_complete(L, a, 1);
  return 0;
}

static int job_idle(lua_State *L) {
  own_runner(L)->state = DURO__RUNNER_IDLE;
  return lua_yield(L, 0);
}

// (handle) -> fn, ctx, input; nothing when the attempt is over.
static int hosted_begin(lua_State *L) {
  duro__attempt_handle *handle = duro__attempt_handle_at(L, duro__host_of(L), 1);
  duro__attempt *a = handle ? handle->attempt : NULL;
  if (!a || a->ctx) return 0;
  duro__attempt_push_call(L, a);
  lua_pushvalue(L, -2);
  a->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 3;
}

// (handle, ok, output or the record of an error)
static int hosted_end(lua_State *L) {
  duro__attempt_handle *handle = duro__attempt_handle_at(L, duro__host_of(L), 1);
  duro__attempt *a = handle ? handle->attempt : NULL;
  if (!a) return 0;
  duro__rt *rt = a->rt;
  if (!lua_toboolean(L, 2)) {
    duro_str record;
    record.p = luaL_checklstring(L, 3, &record.n);
    duro__attempt_fail(L, a, record);
  } else if (!a->async) {
    duro__attempt_complete(L, a, 3);
  }
  if (rt->core) duro_wake(rt->core);
  return 0;
}

// core.await(request, timeout_ms) -> true when the wait is over; false where it cannot wait so
int duro__jobs_await(lua_State *L) {
  duro__host *h = duro__host_of(L);
  duro__lua_request *q = duro__request_at(h, L, 1);
  if (!q) return luaL_error(L, "core.await needs a request");
  duro__runner *r = h->runner;
  duro__attempt *a = r ? r->attempt : NULL;
  if (!a || !q->rt || a->rt != q->rt) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (!q->request || duro_request_done(q->request)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (r->co != L || !lua_isyieldable(L)) {
    return duro__host_blame(L, h,
                            "an activity can wait for the runtime only from its own coroutine, and "
                            "not inside of a function that C code calls");
  }
  r->deadline_ns = 0;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    double timeout_ms = lua_tonumber(L, 2);
    r->deadline_ns =
        duro_clock_monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms * 1e6 : 0) + 1;
  }
  r->request = q;
  q->awaited_by = r; // from here to the yield nothing may raise
  await_in(a->rt, r);
  duro_job_await(a->job, q->request);
  return lua_yield(L, 0);
}

static const luaL_Reg functions[] = {
    {"job_begin", job_begin},       {"job_end", job_end},       {"job_idle", job_idle},
    {"hosted_begin", hosted_begin}, {"hosted_end", hosted_end}, {NULL, NULL},
};

void duro__jobs_functions(lua_State *L, duro__host *h) { duro__host_functions(L, h, functions); }
