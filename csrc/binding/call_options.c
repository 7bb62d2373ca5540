// call_options: the options of ctx:activity as JSON (csrc/replay/retry.h), the quick way.
//
// lua/duro/orchestration.lua declares and checks them; doing so costs as much as several activities.
// This takes the tables that are plainly right and gives the same text; about anything else (an unknown
// key, a wrong type, a value out of range, a rare form) it has no opinion and leaves it to the Lua
// half, which knows what to say. So an option that is new there works at once, only slower.
#include "binding/program.h"

#include <math.h>

typedef struct retry {
  bool given, jitter;
  duro_str backoff;
  int64_t max_attempts, initial_ms, max_ms;
  int multiplier; // its index on the stack; 0 = the default
  int non_retryable;
} retry;

typedef struct call_options {
  int64_t timeout_ms, attempt_timeout_ms, heartbeat_timeout_ms; // -1 = not given
  duro_str queue;
  retry retry;
} call_options;

static bool is(duro_str s, const char *word) {
  return strlen(word) == s.n && memcmp(s.p, word, s.n) == 0;
}

static duro_str text_at(lua_State *L, int index) {
  duro_str s = DURO_NONE;
  if (lua_type(L, index) == LUA_TSTRING) s.p = lua_tolstring(L, index, &s.n);
  return s;
}

static bool read_duration(lua_State *L, int index, int64_t *ms) {
  return duro__duration_read(L, index, ms) == NULL;
}

static bool read_limit(lua_State *L, int index, int64_t *ms) {
  return read_duration(L, index, ms) && *ms > 0;
}

static bool read_attempts(lua_State *L, int index, int64_t *attempts) {
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  double value = lua_tonumber(L, index);
  *attempts = value >= 1 && value < 1e9 ? (int64_t)value : 0;
  return *attempts && (double)*attempts == value;
}

static bool read_backoff(lua_State *L, int index, duro_str *backoff) {
  *backoff = text_at(L, index);
  return backoff->p &&
         (is(*backoff, "exponential") || is(*backoff, "linear") || is(*backoff, "fixed"));
}

// Names without anything that would need a look: letters, digits and the usual marks.
static bool is_plain_name(duro_str name) {
  if (name.n == 0 || name.n > DURO_MAX_NAME_BYTES) return false;
  for (size_t i = 0; i < name.n; i++) {
    if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '"' || name.p[i] == '\\') return false;
  }
  return true;
}

static bool read_multiplier(lua_State *L, int index, retry *r) {
  double value = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(value >= 1 && value < 1e15)) return false;
  r->multiplier = index;
  return true;
}

// The value at `index` stays on the stack when `keep` comes back true.
static bool read_retry_field(lua_State *L, duro_str key, int index, retry *r, bool *keep) {
  if (is(key, "max_attempts")) return read_attempts(L, index, &r->max_attempts);
  if (is(key, "backoff")) return read_backoff(L, index, &r->backoff);
  if (is(key, "initial")) return read_duration(L, index, &r->initial_ms);
  if (is(key, "max")) return read_duration(L, index, &r->max_ms);
  if (is(key, "jitter")) {
    r->jitter = lua_toboolean(L, index);
    return lua_isboolean(L, index);
  }
  *keep = true;
  if (is(key, "multiplier")) return read_multiplier(L, index, r);
  r->non_retryable = index;
  return is(key, "non_retryable") && lua_istable(L, index);
}

static bool read_retry(lua_State *L, int table, retry *r) {
  *r = (retry){.given = true,
               .backoff = DURO_STR("exponential"),
               .max_attempts = 3,
               .initial_ms = 100,
               .max_ms = -1};
  if (!lua_istable(L, table)) return false;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    int value = lua_gettop(L);
    duro_str key = text_at(L, value - 1);
    bool keep = false;
    if (!key.p || !read_retry_field(L, key, value, r, &keep)) return false;
    if (keep) {
      lua_pushvalue(L, value - 1);
    } else {
      lua_pop(L, 1);
    }
  }
  if (r->max_ms < 0) r->max_ms = r->initial_ms > 30000 ? r->initial_ms : 30000;
  return true;
}

// At most one key is a table, so the stack stays small.
static bool read_options(lua_State *L, int table, call_options *o) {
  *o = (call_options){.timeout_ms = -1, .attempt_timeout_ms = -1, .heartbeat_timeout_ms = -1};
  lua_pushnil(L);
  while (lua_next(L, table)) {
    int value = lua_gettop(L);
    duro_str key = text_at(L, value - 1);
    bool ok = false;
    if (!key.p) return false;
    if (is(key, "retry")) {
      ok = read_retry(L, value, &o->retry);
      lua_pushvalue(L, value - 1); // what the policy points to stays below
      if (!ok) return false;
      continue;
    }
    if (is(key, "timeout")) ok = read_limit(L, value, &o->timeout_ms);
    if (is(key, "attempt_timeout")) ok = read_limit(L, value, &o->attempt_timeout_ms);
    if (is(key, "heartbeat_timeout")) ok = read_limit(L, value, &o->heartbeat_timeout_ms);
    if (is(key, "queue")) {
      o->queue = text_at(L, value);
      ok = o->queue.p && is_plain_name(o->queue);
    }
    if (!ok) return false;
    lua_pop(L, 1);
  }
  return true;
}

// --- Writing: the keys stand in byte order, as in any payload ---

static void add_key(duro_buf *b, bool *first, const char *key) {
  if (!*first) duro_buf_add_char(b, ',');
  *first = false;
  duro_buf_add_char(b, '"');
  duro_buf_add(b, key, strlen(key));
  duro_buf_add_lit(b, "\":");
}

static void add_int(duro_buf *b, bool *first, const char *key, int64_t value) {
  if (value < 0) return;
  add_key(b, first, key);
  duro_buf_add_int(b, value);
}

static void add_text(duro_buf *b, bool *first, const char *key, duro_str text) {
  if (!text.p) return;
  add_key(b, first, key);
  duro_json_add_string(b, text);
}

static bool add_codes(lua_State *L, duro_buf *b, int table) {
  size_t count = duro__lua_rawlen(L, table);
  if (count > 100) return false;
  duro_buf_add_char(b, '[');
  for (size_t i = 1; i <= count; i++) {
    duro__lua_rawgeti(L, table, (int)i);
    duro_str code = text_at(L, -1);
    if (!code.p || !is_plain_name(code)) return false;
    if (i > 1) duro_buf_add_char(b, ',');
    duro_json_add_string(b, code);
    lua_pop(L, 1);
  }
  duro_buf_add_char(b, ']');
  return true;
}

static bool add_retry(lua_State *L, duro__host *h, duro_buf *b, const retry *r) {
  bool first = true;
  duro_buf_add_char(b, '{');
  add_text(b, &first, "backoff", r->backoff);
  add_int(b, &first, "initial_ms", r->initial_ms);
  add_key(b, &first, "jitter");
  duro_buf_add(b, r->jitter ? "true" : "false", r->jitter ? 4 : 5);
  add_int(b, &first, "max_attempts", r->max_attempts);
  add_int(b, &first, "max_ms", r->max_ms);
  add_key(b, &first, "multiplier");
  if (!r->multiplier) {
    duro_buf_add_char(b, '2');
  } else if (!duro__payload_encode(L, h, r->multiplier, "", b)) {
    return false;
  }
  if (r->non_retryable) {
    add_key(b, &first, "non_retryable");
    if (!add_codes(L, b, r->non_retryable)) return false;
  }
  duro_buf_add_char(b, '}');
  return true;
}

// (opts) -> JSON, or nothing when the Lua half has to look
int duro__call_options(lua_State *L) {
  duro__host *h = duro__host_of(L);
  lua_settop(L, 1);
  if (!lua_istable(L, 1) || lua_getmetatable(L, 1)) return 0;
  luaL_checkstack(L, 20, NULL);
  call_options o;
  if (!read_options(L, 1, &o)) return 0;
  duro_buf *b = &h->scratch;
  duro_buf_clear(b);
  bool first = true;
  duro_buf_add_char(b, '{');
  add_int(b, &first, "attempt_timeout_ms", o.attempt_timeout_ms);
  add_int(b, &first, "heartbeat_timeout_ms", o.heartbeat_timeout_ms);
  add_text(b, &first, "queue", o.queue);
  if (o.retry.given) {
    add_key(b, &first, "retry");
    if (!add_retry(L, h, b, &o.retry)) return 0;
  }
  add_int(b, &first, "timeout_ms", o.timeout_ms);
  duro_buf_add_char(b, '}');
  if (b->oom) return 0;
  lua_pushlstring(L, b->p, b->n);
  return 1;
}
