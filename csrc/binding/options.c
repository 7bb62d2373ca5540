// options: the plain table that core.open takes, as duro_options. Values were validated by
// lua/duro/runtime.lua; here only what C must not trust is looked at. To add an option: a row.
#include "binding/runtime.h"

#include <stdlib.h>

typedef struct row {
  const char *key;
  size_t offset;
} row;

#define ROW(key)                                                                                   \
  { #key, offsetof(duro_options, key) }
static const row integers[] = {
    ROW(lease_wait_ms),      ROW(activity_concurrency), ROW(feed_retention_ms),
    ROW(feed_max_bytes),     ROW(max_lost_attempts),    ROW(max_live_instances),
    ROW(max_list_instances), ROW(max_bulk_operations),  ROW(metrics_retention_hours),
    ROW(cache_ttl_ms),       ROW(worker_threads),       ROW(job_lease_ms),
};
static const row booleans[] = {
    ROW(any_vm),
    ROW(replay_every_turn),
    ROW(enable_metrics),
    ROW(enable_streaming),
};
#undef ROW

#define COUNT(list) (sizeof(list) / sizeof *(list))

// The text of a field, NULL when it is none. It lives as long as the table.
static const char *text_field(lua_State *L, int index, const char *key) {
  const char *text = duro__lua_getfield(L, index, key) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return text;
}

static bool is(const char *text, const char *word) { return text && strcmp(text, word) == 0; }

static size_t read_queues(lua_State *L, int index, duro_str **queues) {
  size_t count = 0;
  if (duro__lua_getfield(L, index, "queues") == LUA_TTABLE) {
    size_t length = duro__lua_rawlen(L, -1);
    *queues = length ? (duro_str *)calloc(length, sizeof **queues) : NULL;
    for (size_t i = 1; *queues && i <= length; i++) {
      if (duro__lua_rawgeti(L, -1, (int)i) == LUA_TSTRING) {
        duro_str *q = &(*queues)[count++];
        q->p = lua_tolstring(L, -1, &q->n);
      }
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return count;
}

void duro__options_read(lua_State *L, int index, duro_options *o, duro_str **queues) {
  o->path = text_field(L, index, "path");
  if (!o->path) luaL_error(L, "core.open needs a path");
  const char *role = text_field(L, index, "role");
  if (is(role, "auto")) o->role = DURO_ROLE_AUTO;
  if (is(role, "client")) o->role = DURO_ROLE_CLIENT;
  if (is(role, "worker")) o->role = DURO_ROLE_WORKER;
  const char *durability = text_field(L, index, "durability");
  if (durability) o->full_durability = is(durability, "full");
  o->store = duro_store_named(text_field(L, index, "store"));
  o->virtual_clock = is(text_field(L, index, "clock"), "virtual");
  o->vm = DURO_LUAJIT ? DURO_VM_LUAJIT : DURO_VM_LUA54;
  for (size_t i = 0; i < COUNT(integers); i++) {
    if (duro__lua_getfield(L, index, integers[i].key) == LUA_TNUMBER) {
      *(int64_t *)(void *)((char *)o + integers[i].offset) = (int64_t)lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < COUNT(booleans); i++) {
    if (duro__lua_getfield(L, index, booleans[i].key) == LUA_TBOOLEAN) {
      *(bool *)((char *)o + booleans[i].offset) = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
  }
  o->queue_count = read_queues(L, index, queues);
  o->queues = *queues;
}

static int function_field(lua_State *L, int index, const char *key) {
  if (duro__lua_getfield(L, index, key) == LUA_TFUNCTION) return luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  return LUA_NOREF;
}

void duro__options_callbacks(lua_State *L, int index, duro__rt *rt, duro_options *o) {
  rt->log_ref = function_field(L, index, "log");
  rt->executor_ref = function_field(L, index, "executor");
  rt->sleep_ref = function_field(L, index, "sleep");
  rt->may_see_ref = function_field(L, index, "may_see");
  if (rt->may_see_ref != LUA_NOREF) {
    o->may_see = duro__callbacks_may_see;
    o->may_see_user = rt;
  }
  if (rt->log_ref != LUA_NOREF) {
    o->log = duro__callbacks_log;
    o->log_user = rt;
  }
  if (duro__lua_getfield(L, index, "codec") == LUA_TTABLE) {
    int table = lua_gettop(L);
    rt->encode_ref = function_field(L, table, "encode");
    rt->decode_ref = function_field(L, table, "decode");
  }
  lua_pop(L, 1);
}
