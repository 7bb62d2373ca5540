// jobs: running activities. An attempt is a job of the core that this process has taken; a runner is a
// coroutine that runs one after the other (making one costs more than using it).
//
// An attempt ends once: by its function's return or error, by done() after ctx:async(), by ctx:defer(),
// or with the runtime. Its ctx is a userdata of its own, so that one kept too long can tell.
#ifndef DURO_BINDING_JOBS_H
#define DURO_BINDING_JOBS_H

#include "binding/runtime.h"

typedef struct duro__activity_ctx {
  duro__attempt *attempt; // NULL: it has ended
  bool has_facts;         // kept in the table that goes with the userdata
} duro__activity_ctx;

// Somebody outside who is to finish an attempt: done() of ctx:async(), run() of an executor. When the
// last one is collected without having done so, the attempt fails.
typedef struct duro__attempt_handle {
  duro__attempt *attempt; // NULL: it has ended
  struct duro__attempt_handle *next;
} duro__attempt_handle;

struct duro__attempt {
  duro_job *job;
  duro__rt *rt;
  duro__activity_ctx *ctx;
  duro__runner *runner; // NULL: the host runs it, or its function has returned
  int ctx_ref;          // holds the ctx while no coroutine of ours does
  bool async, hosted;
  duro__attempt_handle *handles;
  duro__attempt *next, **link; // in rt->attempts or rt->orphans
};

typedef enum duro__runner_state {
  DURO__RUNNER_RUNNING,
  DURO__RUNNER_SLEEPING,
  DURO__RUNNER_AWAITING,
  DURO__RUNNER_IDLE,
} duro__runner_state;

struct duro__runner {
  duro__host *host;
  lua_State *co;
  int ref;
  uint8_t state;
  duro__attempt *attempt;
  duro__lua_request *request; // AWAITING; NULL: it was freed
  uint64_t deadline_ns;       // of the wait; 0 = none
  duro__runner *next, **link; // in rt->awaiting, or among the idle
};

// --- jobs.c ---
void duro__jobs_run(lua_State *L, duro__rt *rt); // everything that is ready
bool duro__jobs_inside(const duro__rt *rt);      // an activity of this runtime is running right now
void duro__jobs_quiet(duro__rt *rt);             // fails what nobody can finish any more
int64_t duro__jobs_limit_wait(const duro__rt *rt, int64_t timeout_ms); // by the deadlines of waits
void duro__jobs_close(lua_State *L, duro__rt *rt); // ends all attempts, results are dropped
void duro__jobs_forget(duro__rt *rt);              // after a fork: without running any code
// The attempt of a sleeping runner has ended: it goes on at the next step, for nobody.
void duro__jobs_haunt(duro__rt *rt, duro__runner *r);
void duro__jobs_functions(lua_State *L, duro__host *h);
int duro__jobs_await(lua_State *L); // core.await

// --- threads.c ---
// "module\0function\0generation\0"; NULL: memory is out. free() it.
char *duro__threads_call_new(const char *module, const char *function, int64_t generation,
                             size_t *size);
void duro__threads_start(lua_State *L, duro__rt *rt, duro_job *job); // the job is the core's again
void duro__threads_functions(lua_State *L, duro__host *h);           // for core.ops at the top
// For duro_host.
void *duro__thread_begin(void *user);
void duro__thread_run(void *user, void *state, duro_work *work);
void duro__thread_end(void *user, void *state);

// --- attempt.c ---
duro__attempt *duro__attempt_new(duro__rt *rt); // NULL: memory is out
void duro__attempt_end(duro__attempt *a);       // frees it; the job is the caller's
void duro__attempt_complete(lua_State *L, duro__attempt *a, int index); // with the value there
void duro__attempt_fail(lua_State *L, duro__attempt *a, duro_str record);
void duro__attempt_fail_value(lua_State *L, duro__attempt *a, int index); // whatever was thrown
// Pushes a handle.
void duro__attempt_push_handle(lua_State *L, duro__attempt *a);
duro__attempt_handle *duro__attempt_handle_at(lua_State *L, duro__host *h, int index);
// Pushes fn, ctx, input.
int duro__attempt_push_call(lua_State *L, duro__attempt *a);
void duro__attempt_init(lua_State *L, duro__host *h);

// --- activity.c ---
void duro__activity_init(lua_State *L, duro__host *h); // metatable of the ctx
void duro__activity_keep_facts(lua_State *L, duro__attempt *a, int ctx_index);

#endif
