// payload: Lua values as JSON text, exactly. This half writes; payload_read.c reads.
//
// What JSON says, it says plainly: nil and duro.null are null, tables with keys 1..n arrays, other
// tables objects with their keys in byte order, so that equal values are equal texts. On 5.4 a float
// always has a point or an exponent; on LuaJIT whole numbers below 2^53 are written as integers and
// int64 cdata stand for the integers beyond. What JSON cannot say is tagged:
//   {"$duro":"nan"} {"$duro":"inf"} {"$duro":"-inf"}     floats
//   {"$duro":"bytes","base64":"/w=="}                    a string that is not UTF-8
//   {"$duro":"raised","error":{...}}                     what a side effect raised (state.c)
//   {"$duro":"codec","base64":"..."}                     whatever an author's codec made of it (codec.c)
//   "$duro:base64:/w=="                                  a key that is not UTF-8
//   "$duro:key:$duro..."                                 a key that begins with $duro
// Tags never deepen a table, so 200 levels stay 200 (and one for a leaf).
// To add a tag: a writer here, a row in payload_read.c, and a value in spec/payload_spec.lua.
//
// Hot path: it writes straight into the buffer, and small scalars allocate nothing. Metatables are
// not asked: a value is what rawget says it is. While a problem unwinds, each level puts its key in
// front of the path.
#include "binding/host.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WRAPPING      4                  // levels of duro_call's arguments around a payload
#define SMALL_OBJECT  16                 // keys that are sorted on the Lua stack
#define NUMBERS_EXACT 9007199254740992.0 // 2^53: from here on not every whole number is a double

typedef struct encoder {
  lua_State *L;
  duro__host *h;
  duro_buf *out;
  size_t start; // where the value begins that must not exceed the limit
  int depth, max_depth;
  int wrap; // down to this depth each member has a limit of its own
  duro_code code;
  char problem[128];
  duro_buf path; // steps are put in front while unwinding
  int skip;      // how many of the deepest steps are left out
  const void *open[DURO_MAX_PAYLOAD_DEPTH + WRAPPING + 1]; // the tables around, for cycles
} encoder;

static bool encode_value(encoder *e, int index);

static bool refuse(encoder *e, duro_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(e->problem, sizeof e->problem, format, args);
  va_end(args);
  e->code = code;
  return false;
}

// --- The path of a problem ---

static void path_prepend(encoder *e, const char *p, size_t n) {
  if (!duro_buf_reserve(&e->path, n)) return;
  if (e->path.n) memmove(e->path.p + n, e->path.p, e->path.n);
  memcpy(e->path.p, p, n);
  e->path.n += n;
}

static bool at_index(encoder *e, size_t i) {
  if (e->skip > 0 && e->skip--) return false;
  char step[32];
  path_prepend(e, step, (size_t)snprintf(step, sizeof step, "[%zu]", i));
  return false;
}

static bool is_word(duro_str key) {
  for (size_t i = 0; i < key.n; i++) {
    char c = key.p[i];
    bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
    if (!letter && c != '_' && (i == 0 || c < '0' || c > '9')) return false;
  }
  return key.n > 0;
}

static bool at_key(encoder *e, duro_str key) {
  if (e->skip > 0 && e->skip--) return false;
  duro_str shown = key.n > 100 ? (duro_str){key.p, 100} : key;
  if (is_word(shown)) {
    path_prepend(e, shown.p, shown.n);
    path_prepend(e, ".", 1);
  } else if (duro_utf8_valid(shown)) {
    path_prepend(e, "\"]", 2);
    path_prepend(e, shown.p, shown.n);
    path_prepend(e, "[\"", 2);
  } else {
    path_prepend(e, "[bytes]", 7);
  }
  return false;
}

// --- Scalars ---

static void add_float(duro_buf *out, double value) {
  if (value - value == 0) {
    duro_json_add_double(out, value);
  } else if (value != value) {
    duro_buf_add_lit(out, "{\"$duro\":\"nan\"}");
  } else if (value > 0) {
    duro_buf_add_lit(out, "{\"$duro\":\"inf\"}");
  } else {
    duro_buf_add_lit(out, "{\"$duro\":\"-inf\"}");
  }
}

#if DURO_LUAJIT

static void add_number(lua_State *L, int index, duro_buf *out) {
  double value = lua_tonumber(L, index);
  bool whole = value > -NUMBERS_EXACT && value < NUMBERS_EXACT && (double)(int64_t)value == value;
  if (whole && !(value == 0 && signbit(value))) {
    duro_buf_add_int(out, (int64_t)value);
  } else {
    add_float(out, value);
  }
}

// The helper of payload.lua gives the halves of an int64 or uint64, or nothing.
static bool encode_cdata(encoder *e, int index) {
  lua_State *L = e->L;
  if (e->h->int64_read == LUA_NOREF) {
    return refuse(e, DURO_INVALID_PAYLOAD, "cdata cannot be stored");
  }
  int top = lua_gettop(L);
  lua_pushvalue(L, index);
  duro__host_push(L, e->h->int64_read);
  lua_insert(L, -2);
  lua_call(L, 1, 3);
  bool is_integer = lua_type(L, top + 1) == LUA_TNUMBER;
  double high = lua_tonumber(L, top + 1), low = lua_tonumber(L, top + 2);
  bool too_big = lua_toboolean(L, top + 3);
  lua_settop(L, top);
  if (!is_integer) return refuse(e, DURO_INVALID_PAYLOAD, "cdata cannot be stored");
  if (too_big) return refuse(e, DURO_INVALID_PAYLOAD, "an integer is beyond 64 bits with a sign");
  duro_buf_add_int(e->out, (int64_t)((uint64_t)(int64_t)high << 32 | (uint64_t)low));
  return true;
}

#else

static void add_number(lua_State *L, int index, duro_buf *out) {
  if (lua_isinteger(L, index)) {
    duro_buf_add_int(out, lua_tointeger(L, index));
  } else {
    add_float(out, lua_tonumber(L, index));
  }
}

#endif

static bool within_limit(encoder *e) {
  if (e->out->n - e->start <= DURO_MAX_PAYLOAD_BYTES) return true;
  return refuse(e, DURO_TOO_LARGE, "the value is larger than %d MiB", DURO_MAX_PAYLOAD_BYTES >> 20);
}

static bool encode_string(encoder *e, int index) {
  duro_str s;
  s.p = lua_tolstring(e->L, index, &s.n);
  if (s.n > DURO_MAX_PAYLOAD_BYTES) {
    return refuse(e, DURO_TOO_LARGE, "the value is larger than %d MiB",
                  DURO_MAX_PAYLOAD_BYTES >> 20);
  }
  if (duro_utf8_valid(s)) {
    duro_json_add_string(e->out, s);
  } else {
    duro_buf_add_lit(e->out, "{\"$duro\":\"bytes\",\"base64\":\"");
    duro__base64_encode(e->out, s);
    duro_buf_add_lit(e->out, "\"}");
  }
  return within_limit(e);
}

// --- Tables ---

static void add_key(encoder *e, duro_str key) {
  duro_buf *out = e->out;
  if (!duro_utf8_valid(key)) {
    duro_buf_add_lit(out, "\"$duro:base64:");
    duro__base64_encode(out, key);
    duro_buf_add_char(out, '"');
  } else if (duro_str_starts_with(key, DURO_STR("$duro"))) {
    size_t at = out->n;
    duro_json_add_string(out, key);
    // "$duro... becomes "$duro:key:$duro...
    if (duro_buf_reserve(out, 10)) {
      memmove(out->p + at + 11, out->p + at + 1, out->n - at - 1);
      memcpy(out->p + at + 1, "$duro:key:", 10);
      out->n += 10;
    }
  } else {
    duro_json_add_string(out, key);
  }
  duro_buf_add_char(out, ':');
}

// One member of a container: with a limit of its own where the arguments of a call wrap payloads.
static inline bool encode_member(encoder *e, int index) {
  if (e->depth > e->wrap) return encode_value(e, index);
  size_t saved = e->start;
  e->start = e->out->n;
  bool ok = encode_value(e, index);
  e->start = saved;
  return ok;
}

static bool bad_key(encoder *e, int index) {
  int type = lua_type(e->L, index);
  if (type == LUA_TSTRING || type == LUA_TNUMBER) {
    return refuse(e, DURO_INVALID_PAYLOAD, "a table has keys 1..n or string keys, not both");
  }
  return refuse(e, DURO_INVALID_PAYLOAD, "a %s cannot be a key", lua_typename(e->L, type));
}

static bool encode_pair(encoder *e, duro_str key, int value_index) {
  add_key(e, key);
  return encode_member(e, value_index) || at_key(e, key);
}

static int compare_keys(const void *a, const void *b) {
  return duro_str_compare(*(const duro_str *)a, *(const duro_str *)b);
}

// Any number of keys: they are collected and sorted in h->keys, above those of the tables around.
static bool encode_large_object(encoder *e, int table) {
  lua_State *L = e->L;
  duro_buf *keys = &e->h->keys;
  size_t begin = keys->n, count = 0;
  for (lua_pushnil(L); lua_next(L, table); count++) {
    if (lua_type(L, -2) != LUA_TSTRING) return bad_key(e, -2);
    duro_str key;
    key.p = lua_tolstring(L, -2, &key.n);
    duro_buf_add(keys, &key, sizeof key);
    lua_pop(L, 1);
  }
  if (keys->oom) return refuse(e, DURO_OUT_OF_MEMORY, "memory is out");
  qsort(keys->p + begin, count, sizeof(duro_str), compare_keys);
  bool ok = true;
  duro_buf_add_char(e->out, '{');
  for (size_t i = 0; ok && i < count; i++) {
    duro_str key;
    memcpy(&key, keys->p + begin + i * sizeof key, sizeof key); // it moves when it grows
    lua_pushlstring(L, key.p, key.n);
    lua_rawget(L, table);
    if (i) duro_buf_add_char(e->out, ',');
    ok = encode_pair(e, key, lua_gettop(L));
    lua_pop(L, 1);
  }
  duro_buf_add_char(e->out, '}');
  keys->n = begin;
  return ok;
}

// On the stack's top: the first key and its value. Up to SMALL_OBJECT pairs stay there and are sorted.
static bool encode_object(encoder *e, int table) {
  lua_State *L = e->L;
  int base = lua_gettop(L) - 1; // the first key
  int count = 0;
  duro_str keys[SMALL_OBJECT];
  uint8_t order[SMALL_OBJECT];
  do {
    if (lua_type(L, -2) != LUA_TSTRING) return bad_key(e, -2);
    if (count == SMALL_OBJECT) {
      lua_settop(L, base - 1);
      return encode_large_object(e, table);
    }
    keys[count].p = lua_tolstring(L, -2, &keys[count].n);
    int at = count;
    while (at > 0 && duro_str_compare(keys[order[at - 1]], keys[count]) > 0) {
      order[at] = order[at - 1];
      at--;
    }
    order[at] = (uint8_t)count++;
    lua_pushvalue(L, -2);
  } while (lua_next(L, table));
  duro_buf_add_char(e->out, '{');
  for (int i = 0; i < count; i++) {
    if (i) duro_buf_add_char(e->out, ',');
    if (!encode_pair(e, keys[order[i]], base + 1 + 2 * order[i])) return false;
  }
  duro_buf_add_char(e->out, '}');
  return true;
}

static bool encode_indexed(encoder *e, int table, size_t count) {
  duro_buf_add_char(e->out, '[');
  for (size_t i = 1; i <= count; i++) {
    if (i > 1) duro_buf_add_char(e->out, ',');
    duro__lua_rawgeti(e->L, table, (int)i);
    if (!encode_member(e, lua_gettop(e->L))) return at_index(e, i);
    lua_pop(e->L, 1);
  }
  duro_buf_add_char(e->out, ']');
  return true;
}

// A table with number keys that does not walk 1, 2, 3 ...: an array whose keys live in the hash part,
// or something that cannot be stored.
static bool encode_irregular(encoder *e, int table) {
  lua_State *L = e->L;
  size_t count = 0;
  double highest = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TNUMBER) return bad_key(e, -2);
    double key = lua_tonumber(L, -2);
    if (key < 1 || key != floor(key) || key > INT32_MAX) {
      return refuse(e, DURO_INVALID_PAYLOAD, "the number %.14g cannot be a key", key);
    }
    if (key > highest) highest = key;
    count++;
  }
  if (highest == (double)count) return encode_indexed(e, table, count);
  int hole = 1;
  for (;; hole++) {
    bool missing = duro__lua_rawgeti(L, table, hole) == LUA_TNIL;
    lua_pop(L, 1);
    if (missing) break;
  }
  refuse(e, DURO_INVALID_PAYLOAD, "an array has a hole here");
  return at_index(e, (size_t)hole);
}

// On the stack's top: the first key and its value. Written at once as long as the keys come in order,
// which they do in any table that was built as an array.
static bool encode_array(encoder *e, int table) {
  lua_State *L = e->L;
  size_t begin = e->out->n, expected = 1;
  if (e->depth == 1 && e->wrap) e->wrap = 2;
  do {
    if (lua_type(L, -2) != LUA_TNUMBER || lua_tonumber(L, -2) != (double)expected) {
      lua_pop(L, 2);
      e->out->n = begin;
      return encode_irregular(e, table);
    }
    duro_buf_add_char(e->out, expected == 1 ? '[' : ',');
    if (!encode_member(e, lua_gettop(L))) return at_index(e, expected);
    expected++;
    lua_pop(L, 1);
  } while (lua_next(L, table));
  duro_buf_add_char(e->out, ']');
  return true;
}

static bool is_marked(encoder *e, int table) {
  if (!lua_getmetatable(e->L, table)) return false;
  bool marked = lua_topointer(e->L, -1) == e->h->array_mt;
  lua_pop(e->L, 1);
  return marked;
}

// Whether the walk ran into its own ancestors: then the path ends at the first table that comes again.
static bool too_deep(encoder *e) {
  for (int again = 1; again < e->depth; again++) {
    for (int i = 0; i < again; i++) {
      if (e->open[i] == e->open[again]) {
        e->skip = e->depth - 1 - again;
        return refuse(e, DURO_INVALID_PAYLOAD, "a table contains itself");
      }
    }
  }
  return refuse(e, DURO_INVALID_PAYLOAD, "tables are nested more than %d deep",
                DURO_MAX_PAYLOAD_DEPTH);
}

static bool encode_table(encoder *e, int table) {
  lua_State *L = e->L;
  if (!lua_checkstack(L, 2 * SMALL_OBJECT + 8)) {
    return refuse(e, DURO_INVALID_PAYLOAD, "tables are nested too deep for the stack");
  }
  e->open[e->depth++] = lua_topointer(L, table);
  if (e->depth > e->max_depth) return too_deep(e);
  int top = lua_gettop(L);
  bool ok = true;
  lua_pushnil(L);
  if (!lua_next(L, table)) {
    duro_buf_add(e->out, is_marked(e, table) ? "[]" : "{}", 2);
  } else if (lua_type(L, -2) == LUA_TSTRING) {
    ok = !is_marked(e, table) || bad_key(e, -2);
    ok = ok && encode_object(e, table);
  } else {
    ok = encode_array(e, table);
  }
  lua_settop(L, top);
  if (!ok) return false;
  e->depth--;
  return within_limit(e);
}

static bool encode_value(encoder *e, int index) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    duro_buf_add_lit(e->out, "null");
    return true;
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, index)) {
      duro_buf_add_lit(e->out, "true");
    } else {
      duro_buf_add_lit(e->out, "false");
    }
    return true;
  case LUA_TNUMBER:
    add_number(L, index, e->out);
    return true;
  case LUA_TSTRING:
    return encode_string(e, index);
  case LUA_TTABLE:
    return encode_table(e, index);
  case LUA_TUSERDATA:
    if (lua_touserdata(L, index) == e->h->null_pointer) {
      duro_buf_add_lit(e->out, "null");
      return true;
    }
    return refuse(e, DURO_INVALID_PAYLOAD, "a userdata cannot be stored");
#if DURO_LUAJIT
  case DURO_TCDATA:
    return encode_cdata(e, index);
#endif
  default: {
    const char *type = luaL_typename(L, index);
    return refuse(e, DURO_INVALID_PAYLOAD, "a %s cannot be stored", type);
  }
  }
}

// --- The doors ---

// Pushes {code=, message="input.x: a function cannot be stored", path="input.x"}.
static void push_problem(encoder *e, const char *root) {
  lua_State *L = e->L;
  size_t root_bytes = strlen(root);
  if (root_bytes) {
    path_prepend(e, root, root_bytes);
  } else if (e->path.n && e->path.p[0] == '.') {
    memmove(e->path.p, e->path.p + 1, --e->path.n);
  }
  duro_str path = duro_buf_str(&e->path);
  const char *separator = path.n ? ": " : "";
  duro__error_push_text(L, e->h, duro_code_string(e->code), "%.*s%s%s", DURO_FMT(path), separator,
                        e->problem);
  lua_pushlstring(L, path.p, path.n);
  lua_setfield(L, -2, "path");
  duro_buf_free(&e->path);
}

static bool encode(lua_State *L, duro__host *h, int index, const char *root, duro_buf *out,
                   int wrap) {
  encoder e;
  e.L = L;
  e.h = h;
  e.out = out;
  e.start = out->n;
  e.depth = 0;
  e.max_depth = DURO_MAX_PAYLOAD_DEPTH + (wrap ? WRAPPING : 0);
  e.wrap = wrap;
  e.path = (duro_buf){0};
  e.skip = 0;
  h->keys.n = 0;
  index = duro__lua_absindex(L, index);
  int top = lua_gettop(L);
  bool ok = encode_value(&e, index);
  if (ok && out->oom) ok = refuse(&e, DURO_OUT_OF_MEMORY, "memory is out");
  if (ok) return true;
  lua_settop(L, top);
  push_problem(&e, root);
  return false;
}

bool duro__payload_encode(lua_State *L, duro__host *h, int index, const char *root, duro_buf *out) {
  return encode(L, h, index, root, out, 0);
}

bool duro__payload_encode_arguments(lua_State *L, duro__host *h, int index, duro_buf *out) {
  return encode(L, h, index, "", out, 1);
}
