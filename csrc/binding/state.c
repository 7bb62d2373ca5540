// state: what ctx has beside waiting: facts, time and chance, durable state, side effects, patches,
// queries, the log. None of these waits; those that record something may break the turn, so they return
// through duro__program_turn_error.
#include "binding/program.h"
#include "binding/runtime.h"

#include <stdlib.h>

static int push_payload(lua_State *L, duro__program *p, duro_str text) {
  return duro__payload_read(L, p->host, p->rt, text) ? 1 : duro__program_unreadable(L, p);
}

// The payload at `index` in the scratch buffer; absent for nil.
static duro_str payload(lua_State *L, duro__program *p, int index, const char *root) {
  if (lua_isnoneornil(L, index)) return DURO_NONE;
  duro_buf_clear(&p->host->scratch);
  if (!duro__payload_encode(L, p->host, index, root, &p->host->scratch)) lua_error(L);
  return duro_buf_str(&p->host->scratch);
}

static duro_str check_string(lua_State *L, duro__program *p, int index, const char *what) {
  if (lua_type(L, index) != LUA_TSTRING) {
    duro__host_blame(L, p->host, "%s must be a string, got %s", what, luaL_typename(L, index));
  }
  duro_str s;
  s.p = lua_tolstring(L, index, &s.n);
  return s;
}

// --- Facts: ctx.name ---

enum { INSTANCE_ID = 1, EXECUTION_ID, NAME, VERSION, PARENT, REPLAYING, LENGTH, STATUS, KV };

static const duro__fact facts[] = {
    {"instance_id", INSTANCE_ID}, {"execution_id", EXECUTION_ID}, {"name", NAME},
    {"version", VERSION},         {"parent_instance", PARENT},    {"is_replaying", REPLAYING},
    {"history_length", LENGTH},   {"custom_status", STATUS},      {"kv", KV},
};

static int push_fact(lua_State *L, duro__program *p, int fact) {
  const duro_program_start *start = p->start;
  switch (fact) {
  case INSTANCE_ID:
    return duro__host_push_text(L, start->instance_id);
  case EXECUTION_ID:
    lua_pushinteger(L, (lua_Integer)start->execution_id);
    return 1;
  case NAME:
    return duro__host_push_text(L, start->name);
  case VERSION:
    return duro__host_push_text(L, start->version);
  case PARENT:
    return start->parent_id.p ? duro__host_push_text(L, start->parent_id) : 0;
  case REPLAYING:
    lua_pushboolean(L, p->turn && duro_turn_replaying(p->turn));
    return 1;
  case LENGTH:
    if (!p->view) return 0;
    lua_pushinteger(L, (lua_Integer)duro_turn_history_length(p->view));
    return 1;
  case STATUS:
    return p->view ? push_payload(L, p, duro_turn_custom_status(p->view)) : 0;
  case KV:
    duro__host_push(L, p->host->kv_ref);
    return 1;
  default:
    return 0;
  }
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
  duro__host *h = duro__host_of(L);
  duro__program *p = (duro__program *)duro__host_userdata(L, 1, h->ctx_mt);
  if (p && p->start) return push_fact(L, p, fact);
  return duro__host_blame(L, h, "ctx.%s is read after the end of this execution",
                          lua_tostring(L, 2));
}

static int ctx_newindex(lua_State *L) {
  return duro__host_blame(L, duro__host_of(L),
                          "ctx cannot be written to: use a local, or ctx.kv for what must last");
}

static int ctx_tostring(lua_State *L) {
  duro__program *p = (duro__program *)duro__host_userdata(L, 1, duro__host_of(L)->ctx_mt);
  if (!p || !p->start) {
    lua_pushliteral(L, "ctx (ended)");
  } else {
    lua_pushliteral(L, "ctx of ");
    duro__host_push_text(L, p->start->instance_id);
    lua_concat(L, 2);
  }
  return 1;
}

// --- Time and chance ---

static int now(lua_State *L) {
  duro__program *p = duro__program_check(L, "now");
  lua_pushnumber(L, (lua_Number)p->now_ms / 1000);
  return 1;
}

static int uuid(lua_State *L) {
  duro__program *p = duro__program_check(L, "uuid");
  char text[DURO_UUID_SIZE];
  duro_prng_uuid4(duro_turn_prng(p->turn), text);
  lua_pushlstring(L, text, DURO_UUID_SIZE - 1);
  return 1;
}

static double whole_argument(lua_State *L, duro__program *p, int index) {
  double value = lua_tonumber(L, index);
  bool ok = lua_type(L, index) == LUA_TNUMBER && value >= -9007199254740992.0 &&
            value <= 9007199254740992.0 && value == (double)(int64_t)value;
  if (!ok) duro__host_blame(L, p->host, "ctx:random needs whole numbers");
  return value;
}

// Without a bias: draws beyond the last full multiple of the span are drawn again.
static uint64_t draw_below(duro_prng *g, uint64_t span) {
  uint64_t unfair = (0 - span) % span, drawn;
  do {
    drawn = duro_prng_next(g);
  } while (drawn < unfair);
  return drawn % span;
}

// ctx:random() in [0,1), ctx:random(m) in 1..m, ctx:random(m, n)
static int chance(lua_State *L) {
  duro__program *p = duro__program_check(L, "random");
  duro_prng *g = duro_turn_prng(p->turn);
  int args = lua_gettop(L) - 1;
  if (args == 0) {
    lua_pushnumber(L, (lua_Number)duro_prng_unit(g));
    return 1;
  }
  int64_t low = args > 1 ? (int64_t)whole_argument(L, p, 2) : 1;
  int64_t high = (int64_t)whole_argument(L, p, args > 1 ? 3 : 2);
  if (low > high) return duro__host_blame(L, p->host, "ctx:random: the interval is empty");
  int64_t drawn = low + (int64_t)draw_below(g, (uint64_t)(high - low) + 1);
#if DURO_LUAJIT
  lua_pushnumber(L, (lua_Number)drawn);
#else
  lua_pushinteger(L, drawn);
#endif
  return 1;
}

// --- Durable state ---

static int set_custom_status(lua_State *L) {
  duro__program *p = duro__program_check(L, "set_custom_status");
  duro_str value = payload(L, p, 2, "custom_status");
  duro_error *err = NULL;
  duro_code code = duro_turn_set_custom_status(p->turn, value, &err);
  return code ? duro__program_turn_error(L, p, code, err) : 0;
}

// Attributes are found by equality, and 5.0 == 5: whole floats are written as the integers they equal, as
// lua/duro/options.lua does for those of a start. Leaves a copy of the table at 2 on top.
static void push_attributes(lua_State *L) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_Number n = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0.5;
    lua_pushvalue(L, -2);
    if (n > -0x1p53 && n < 0x1p53 && n == (lua_Number)(lua_Integer)n)
      lua_pushinteger(L, (lua_Integer)n);
    else
      lua_pushvalue(L, -2);
    lua_rawset(L, -5);
    lua_pop(L, 1);
  }
}

static int set_attributes(lua_State *L) {
  duro__program *p = duro__program_check(L, "set_attributes");
  if (!lua_istable(L, 2)) {
    return duro__host_blame(L, p->host, "ctx:set_attributes needs a table, got %s",
                            luaL_typename(L, 2));
  }
  push_attributes(L);
  duro_str object = payload(L, p, lua_gettop(L), "attributes");
  duro_error *err = NULL;
  duro_code code = duro_turn_set_attributes(p->turn, object, &err);
  return code ? duro__program_turn_error(L, p, code, err) : 0;
}

// ctx.kv is one object for all programs: it stands for the one that runs.
static int kv_index(lua_State *L) {
  duro__program *p = duro__program_check_view(L, "ctx.kv");
  return push_payload(L, p, duro_turn_kv_get(p->view, check_string(L, p, 2, "a key of ctx.kv")));
}

static int kv_newindex(lua_State *L) {
  duro__program *p = duro__program_check_task(L, "ctx.kv", NULL);
  duro_str key = check_string(L, p, 2, "a key of ctx.kv");
  duro_str value = payload(L, p, 3, key.n < 100 ? lua_pushfstring(L, "kv.%s", key.p) : "kv");
  duro_error *err = NULL;
  duro_code code = duro_turn_kv_set(p->turn, key, value, &err);
  return code ? duro__program_turn_error(L, p, code, err) : 0;
}

// (ctx, key) -> the next key and its value
static int kv_next(lua_State *L) {
  duro__program *p = duro__program_check_view(L, "kv_pairs");
  duro_str after = lua_isnoneornil(L, 2) ? DURO_NONE : check_string(L, p, 2, "a key of ctx.kv");
  duro_str key, value;
  if (!duro_turn_kv_next(p->view, after, &key, &value)) return 0;
  duro__host_push_text(L, key);
  push_payload(L, p, value);
  return 2;
}

static int kv_pairs(lua_State *L) {
  duro__program_check_view(L, "kv_pairs");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

// --- Side effects and patches ---

#define RAISED "{\"$duro\":\"raised\",\"error\":"

// What was raised comes back as an error table, which no value does.
static int push_recorded(lua_State *L, duro__program *p, duro_str text) {
  push_payload(L, p, text);
  bool raised = lua_istable(L, -1) && lua_getmetatable(L, -1);
  if (!raised) return 1;
  raised = lua_topointer(L, -1) == p->host->error_mt;
  lua_pop(L, 1);
  return raised ? lua_error(L) : 1;
}

// (ctx) -> true, value when it is recorded; false when the function has to run.
static int side_effect_begin(lua_State *L) {
  duro__program *p = duro__program_check(L, "side_effect");
  duro_str recorded = DURO_NONE;
  duro_error *err = NULL;
  duro_code code = duro_turn_side_effect(p->turn, &recorded, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  lua_pushboolean(L, recorded.p != NULL);
  if (recorded.p) return 1 + push_recorded(L, p, recorded);
  p->quiet = true; // the function may not call ctx
  return 1;
}

// (ctx, ok, value or error) -> the value as replay will see it; or raises.
static int side_effect_end(lua_State *L) {
  duro__host *h = duro__host_of(L);
  if (h->program && h->program->running && h->program->running->co == L) h->program->quiet = false;
  duro__program *p = duro__program_check(L, "side_effect");
  lua_settop(L, 3);
  bool ok = lua_toboolean(L, 2);
  duro_buf *b = &h->scratch;
  duro_buf_clear(b);
  if (ok && !duro__payload_encode(L, h, 3, "value", b)) {
    ok = false;
    lua_replace(L, 3);
  }
  if (!ok) {
    duro__host_push(L, h->thrown_record);
    lua_pushvalue(L, 3);
    lua_call(L, 1, 1);
    duro_str record;
    record.p = lua_tolstring(L, -1, &record.n);
    duro_buf_clear(b);
    duro_buf_add_lit(b, RAISED);
    duro_buf_add_str(b, record);
    duro_buf_add_char(b, '}');
  }
  duro_error *err = NULL;
  duro_code code = duro_turn_side_effect_record(p->turn, duro_buf_str(b), &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  return push_recorded(L, p, duro_buf_str(b));
}

static int patched(lua_State *L) {
  duro__program *p = duro__program_check(L, "patched");
  duro_str id = check_string(L, p, 2, "the id of ctx:patched");
  bool yes = false;
  duro_error *err = NULL;
  duro_code code = duro_turn_patched(p->turn, id, &yes, &err);
  if (code) return duro__program_turn_error(L, p, code, err);
  lua_pushboolean(L, yes);
  return 1;
}

// --- Queries and the log ---

// ctx:on_query(name, handler); nil takes it back.
static int on_query(lua_State *L) {
  duro__program *p = duro__program_check(L, "on_query");
  check_string(L, p, 2, "the name of ctx:on_query");
  lua_settop(L, 3);
  if (!lua_isnil(L, 3) && !lua_isfunction(L, 3)) {
    return duro__host_blame(L, p->host, "ctx:on_query needs a function, got %s",
                            luaL_typename(L, 3));
  }
  if (p->queries_ref == LUA_NOREF) {
    lua_newtable(L);
    p->queries_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  duro__host_push(L, p->queries_ref);
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

// ctx:log(level, message, fields)
static int log_line(lua_State *L) {
  duro__program *p = duro__program_check(L, "log");
  if (duro_turn_replaying(p->turn)) return 0;
  lua_settop(L, 4);
  duro__log_source source = {p->start->instance_id, p->start->name, "orchestration"};
  duro__aside aside = duro__host_aside(p->host);
  p->quiet = true; // replay is silent, so what the log function does must leave no trace
  duro__callbacks_log_line(L, p->rt, &source, 2, 3, 4);
  p->quiet = false;
  duro__host_back(p->host, &aside);
  return 0;
}

// --- Tables ---

static const luaL_Reg methods[] = {
    {"now", now},
    {"uuid", uuid},
    {"random", chance},
    {"set_custom_status", set_custom_status},
    {"set_attributes", set_attributes},
    {"patched", patched},
    {"on_query", on_query},
    {"log", log_line},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"side_effect_begin", side_effect_begin}, {"side_effect_end", side_effect_end}, {NULL, NULL}};

// At the top: core.ops; it also gets the table of methods, for orchestration.lua to complete.
void duro__state_init(lua_State *L, duro__host *h) {
  duro__host_functions(L, h, functions);
  int ops = lua_gettop(L);
  h->ctx_mt = duro__host_metatable(L, "duro.ctx", &h->ctx_mt_ref);
  lua_newtable(L);
  duro__host_functions(L, h, methods);
  lua_pushlightuserdata(L, h);
  lua_pushlightuserdata(L, h);
  lua_pushcclosure(L, kv_next, 1);
  lua_pushcclosure(L, kv_pairs, 2);
  lua_pushvalue(L, -1);
  lua_insert(L, ops + 1); // for the metatable of ctx.kv
  lua_setfield(L, -2, "kv_pairs");
  lua_pushvalue(L, -1);
  lua_setfield(L, ops, "orchestration_methods");
  const luaL_Reg meta[] = {
      {"__newindex", ctx_newindex}, {"__tostring", ctx_tostring}, {NULL, NULL}};
  duro__host_ctx(L, h, "duro.ctx", ctx_index, facts, sizeof facts / sizeof *facts, meta);

  lua_newuserdata(L, 1);
  lua_newtable(L);
  const luaL_Reg kv[] = {{"__index", kv_index}, {"__newindex", kv_newindex}, {NULL, NULL}};
  duro__host_functions(L, h, kv);
  lua_pushvalue(L, ops + 1);
  lua_setfield(L, -2, "__pairs");
  lua_pushliteral(L, "duro.kv");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  h->kv_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_remove(L, ops + 1);
}
