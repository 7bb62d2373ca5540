// host: what all files of the binding share within one Lua universe (one lua_newstate): references to
// metatables and to the Lua half's functions, the coroutine that runs now, and scratch memory.
//
// Invariants:
// - `L` is the Lua state that entered the core last; callbacks from the core (programs, log, codec) run
//   on it. They never let a Lua error pass: everything that can raise is inside lua_pcall or
//   lua_resume. So no Lua error ever crosses a frame of the core.
// - `in_core` is set while the core is on the C stack. Then nothing may enter it again.
// - `scratch` holds one encoded value from the encoding to the call that copies it. A callback that
//   runs user code puts it aside first (duro__host_aside).
// Every C function of the module has the host as its first upvalue.
#ifndef DURO_BINDING_HOST_H
#define DURO_BINDING_HOST_H

#include "binding/compat.h"
#include "duro.h"

typedef struct duro__program duro__program; // program.h
typedef struct duro__runner duro__runner;   // jobs.h
typedef struct duro__rt duro__rt;           // runtime.h

// The hold on a registered function; the core gives it back by name.
typedef struct duro__registered {
  int ref;           // of the function, in the registry
  char *thread_call; // or which function of which module runs in a worker thread (threads.c)
  size_t thread_call_size;
} duro__registered;

typedef struct duro__host {
  lua_State *L;
  int in_core;
  duro__program *program; // the orchestration that runs, or is being asked
  duro__runner *runner;   // the activity that runs
  duro__runner *idle_runners;
  int idle_count;
  uint64_t program_count; // gives each program its serial number

  // References into the registry.
  int null_ref, array_mt_ref, error_mt_ref;
  int ctx_mt_ref, task_mt_ref, actx_mt_ref, runtime_mt_ref, request_mt_ref, kv_ref, runtimes_ref,
      handle_mt_ref;
  int main_entry, block_entry, activity_entry, hosted_entry;
  int thrown, thrown_record;  // errors.of, errors.to_record
  int runtime_of;             // the public runtime of a core's handle
  int int64_read, int64_make; // LuaJIT: payload.lua
  // C functions for lua_pcall in callbacks, kept so that pushing them needs no memory.
  int describe_thrown, make_ref, begin_program, inspect_program, run_log, run_may_see, run_codec;
  const void *null_pointer, *array_mt, *error_mt, *ctx_mt, *task_mt, *actx_mt, *runtime_mt,
      *request_mt, *handle_mt, *kv_pointer;
  char own_source[256]; // "@/usr/share/lua/5.4/duro/": frames from there are ours

  duro_buf scratch, text, keys;

#if DURO_LUAJIT
  // OpenResty: the request that a coroutine belongs to. NULL elsewhere.
  void *(*get_exdata)(lua_State *L);
  void (*set_exdata)(lua_State *L, void *data);
#endif
} duro__host;

static inline duro__host *duro__host_of(lua_State *L) {
  return (duro__host *)lua_touserdata(L, lua_upvalueindex(1));
}

// Sets fields of the table at the top to C functions that have the host as their upvalue.
void duro__host_functions(lua_State *L, duro__host *h, const luaL_Reg *functions);
// A reference to a C function without upvalues.
int duro__host_keep(lua_State *L, lua_CFunction function);
// Makes a metatable, pushes it, and keeps a reference.
const void *duro__host_metatable(lua_State *L, const char *name, int *ref);

// A field of a ctx that is read when it is asked for; no fact is 0.
typedef struct duro__fact {
  const char *name;
  int fact;
} duro__fact;
// Completes the metatable of a ctx, which is below the table of its methods, and takes both off the
// stack. __index gets as upvalues the host, the methods, and the facts by name.
void duro__host_ctx(lua_State *L, duro__host *h, const char *name, lua_CFunction index,
                    const duro__fact *facts, size_t fact_count, const luaL_Reg *meta);

static inline int duro__host_push_text(lua_State *L, duro_str s) {
  lua_pushlstring(L, s.p ? s.p : "", s.n);
  return 1;
}
// Pushes what a reference stands for.
static inline void duro__host_push(lua_State *L, int ref) {
  duro__lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

// The userdata at `index` if its metatable is the one at `mt`, else NULL.
static inline void *duro__host_userdata(lua_State *L, int index, const void *mt) {
  void *p = lua_touserdata(L, index);
  if (!p || !lua_getmetatable(L, index)) return NULL;
  bool same = lua_topointer(L, -1) == mt;
  lua_pop(L, 1);
  return same ? p : NULL;
}

// Raises a text with the position of the innermost frame that is not duro's own.
int duro__host_blame(lua_State *L, duro__host *h, const char *format, ...);
// Whether the activation record (filled by "S") is of duro's own code.
bool duro__host_is_own(const duro__host *h, const lua_Debug *ar);

// lua_resume with what OpenResty wants; on h->L.
int duro__host_resume(duro__host *h, lua_State *co, int args);

// Around a callback from the core that runs user code.
typedef struct duro__aside {
  duro_buf scratch, text, keys;
} duro__aside;
duro__aside duro__host_aside(duro__host *h);
void duro__host_back(duro__host *h, duro__aside *aside);

// --- payload.c, payload_read.c ---
// Appends the JSON of the value at `index`. On failure pushes an error table (invalid_payload,
// too_large) whose path begins with `root`, and returns false; `out` then has rubbish at its end.
bool duro__payload_encode(lua_State *L, duro__host *h, int index, const char *root, duro_buf *out);
// The same for the arguments of duro_call: the limit holds for each member.
bool duro__payload_encode_arguments(lua_State *L, duro__host *h, int index, duro_buf *out);
// Pushes the value (nil for absent or null). On failure pushes an error table and returns false.
bool duro__payload_decode(lua_State *L, duro__host *h, duro_str text);
// The same where the codec of a runtime may have been at work (codec.c): `read` fails when it cannot read
// a payload, `show` puts the error table in the place of that one. `rt` NULL: no codec.
bool duro__payload_read(lua_State *L, duro__host *h, duro__rt *rt, duro_str text);
bool duro__payload_show(lua_State *L, duro__host *h, duro__rt *rt, duro_str text);
void duro__payload_push_null(lua_State *L, duro__host *h);

// --- plain_starts.c ---
int duro__plain_starts(lua_State *L);

// --- base64.c ---
void duro__base64_encode(duro_buf *out, duro_str bytes);
bool duro__base64_decode(duro_buf *out, duro_str text);

// --- errors.c ---
void duro__error_init(lua_State *L, duro__host *h);
// Pushes an error table.
void duro__error_push_text(lua_State *L, duro__host *h, const char *code, const char *format, ...);
void duro__error_push(lua_State *L, duro__host *h, duro_code code, duro_error *err); // frees err
// The table of a record: {"code","message",...}; false: the record cannot be read, and that error is pushed.
bool duro__error_push_record(lua_State *L, duro__host *h, duro__rt *rt, duro_str record);
// The error table at the top as the core's own; its code is returned.
duro_code duro__error_read(lua_State *L, duro_error **err);
// nil, error table.
int duro__error_return(lua_State *L, duro__host *h, duro_code code, duro_error *err);
// Turns the value at the top of `from` (thrown by its code; popped) into the text of a record, pushed
// on L, with a traceback of `from`. Runs under lua_pcall; never raises; on failure a fixed text is
// used. The bytes live as long as that slot of L.
duro_str duro__error_thrown_record(lua_State *L, duro__host *h, lua_State *from);
// The same as an error table, in the registry; LUA_NOREF when memory is out.
int duro__error_thrown_ref(lua_State *L, duro__host *h, lua_State *from);

// --- duration.c ---
// Milliseconds of "1h30m" or a number of seconds. NULL when fine, else what is wrong.
const char *duro__duration_read(lua_State *L, int index, int64_t *ms);
// Epoch milliseconds of a number of epoch seconds.
const char *duro__time_read(lua_State *L, int index, int64_t *ms);
// Raises that problem: a wrong type as the programmer's fault, a value out of range as invalid_argument.
int duro__duration_refuse(lua_State *L, duro__host *h, int index, const char *what,
                          const char *problem);

#endif
