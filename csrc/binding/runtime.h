// runtime: the userdata behind a runtime handle, and what the files about it share.
//
// Everything that may be collected while the core is on the C stack (requests, activities that nobody
// will finish) is only put on a list then, and given back at the next quiet moment: a finalizer can run
// anywhere.
#ifndef DURO_BINDING_RUNTIME_H
#define DURO_BINDING_RUNTIME_H

#include "binding/host.h"

#include <sys/types.h>

typedef struct duro__attempt duro__attempt;      // jobs.h
extern const duro_program_ops duro__program_ops; // program.c

typedef struct duro__lua_request {
  duro_request *request; // NULL: freed
  duro__rt *rt;          // NULL: closed
  duro__runner *awaited_by;
  struct duro__lua_request *next, **link; // among those of the runtime
} duro__lua_request;

struct duro__rt {
  duro__host *host;
  duro_runtime *core; // NULL: closed
  pid_t pid;
  int in_core; // the core of this runtime is on the C stack
  duro__lua_request *requests;
  duro__attempt *attempts; // those under way
  duro__runner *awaiting;  // those that wait for a request, and ghosts
  duro__attempt *orphans;  // to be failed at the next quiet moment
  int attempt_count;
  duro_request **dead; // requests to be freed at the next quiet moment
  size_t dead_count, dead_cap;
  int log_ref, encode_ref, decode_ref, executor_ref, sleep_ref, may_see_ref;
};

// The open runtime at index 1, or NULL after pushing nil, err(closed).
duro__rt *duro__rt_check(lua_State *L, const char *what);
// Around each call of the core: `L` for callbacks, and no re-entry. Raises inside of the core.
typedef struct duro__entry {
  lua_State *L;
} duro__entry;
duro__entry duro__rt_enter(lua_State *L, duro__rt *rt, const char *what);
void duro__rt_leave(duro__rt *rt, duro__entry entry);
// Pushes the runtime's userdata, or nil.
void duro__rt_push(lua_State *L, duro__rt *rt);
void duro__rt_init(lua_State *L, duro__host *h); // metatable and methods
int duro__rt_open(lua_State *L);                 // core.open

// --- options.c ---
// Reads the table at `index`. Strings live as long as it does; `queues` is to be freed.
void duro__options_read(lua_State *L, int index, duro_options *o, duro_str **queues);
// The functions among them, held by `rt`.
void duro__options_callbacks(lua_State *L, int index, duro__rt *rt, duro_options *o);

// --- callbacks.c ---
void duro__callbacks_init(lua_State *L, duro__host *h);
void duro__callbacks_log(void *user, const char *level, const char *message, duro_str fields);
// duro_options.may_see: what the Lua half's function says (lua/duro/access.lua).
bool duro__callbacks_may_see(void *user, int64_t viewer, duro_str id);
typedef struct duro__log_source {
  duro_str instance_id, name;
  const char *name_key; // "orchestration" or "activity"
} duro__log_source;
// ctx:log: level, message and fields (or nil) stand at these indexes.
void duro__callbacks_log_line(lua_State *L, duro__rt *rt, const duro__log_source *source, int level,
                              int message, int fields);

// --- codec.c ---
// Puts the payload that begins at b[from] into its stored form; nothing without a codec. On failure pushes
// an error table and returns false.
bool duro__codec_hide(lua_State *L, duro__rt *rt, duro_buf *b, size_t from);
// The same for the payloads among the arguments of a call, in h->scratch.
bool duro__codec_hide_arguments(lua_State *L, duro__rt *rt, duro_str verb);
// The bytes at the top (what the tag holds in base64) become the payload's JSON text, or an error table.
bool duro__codec_show(lua_State *L, duro__host *h, duro__rt *rt);
bool duro__codec_is_tag(duro_str text);
duro_code duro__codec_conceal(void *host, duro_str payload, duro_buf *stored, duro_error **err);
duro_code duro__codec_reveal(void *host, duro_str stored, duro_buf *payload, duro_error **err);
void duro__codec_init(lua_State *L, duro__host *h);

// --- replay.c ---
void duro__replay_init(lua_State *L, duro__host *h); // core.replay, core.json_fields

// --- terminal.c ---
void duro__terminal_init(lua_State *L, duro__host *h); // core.terminal_*

// --- request.c ---
void duro__request_init(lua_State *L, duro__host *h);
int duro__request_call(lua_State *L); // rt:call
duro__lua_request *duro__request_at(duro__host *h, lua_State *L, int index);
bool duro__request_over(const duro__lua_request *q); // done, or freed
void duro__request_drop(
    duro__lua_request *q); // the answer, not the effect; a job that awaits it wakes
void duro__request_close_all(duro__rt *rt);
void duro__request_forget_all(duro__rt *rt); // after a fork
void duro__request_bury(duro__rt *rt);
void duro__jobs_request_gone(duro__runner *r); // jobs.c: what it waits for was freed

#endif
