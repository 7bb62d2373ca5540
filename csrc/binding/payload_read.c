// payload_read: JSON text back into Lua values; payload.c writes and lists the tags.
//
// It reads token by token and keeps members on the Lua stack until a table of the right size can be
// made, because growing one step by step costs more than everything else. Text that is not what we
// write is still read where it makes sense (a C host may have written it); what does not is corrupt.
// Memory is Lua's or the host's scratch, so a Lua error (memory is out) may pass through here.
#include "binding/runtime.h"

#include <math.h>

#define PENDING 32 // values on the stack before a table is made

typedef struct decoder {
  lua_State *L;
  duro__host *h;
  duro__rt *rt; // whose codec reads what is concealed; NULL = none
  bool lenient; // what it cannot read is an error table among the values
  duro_json_reader r;
  const char *problem; // ours; else that of the reader
  bool told;           // the error table about it is at the top already
} decoder;

static bool decode_value(decoder *d, duro_json_type type);

static bool refuse(decoder *d, const char *problem) {
  if (!d->problem) d->problem = problem;
  return false;
}

// --- Scalars ---

#if DURO_LUAJIT
static bool push_integer(decoder *d, int64_t value) {
  if (value > -(INT64_C(1) << 53) && value < INT64_C(1) << 53) {
    lua_pushnumber(d->L, (double)value);
    return true;
  }
  if (d->h->int64_make == LUA_NOREF) return refuse(d, "an integer needs LuaJIT's ffi");
  duro__host_push(d->L, d->h->int64_make);
  lua_pushnumber(d->L, (double)(int32_t)(value >> 32));
  lua_pushnumber(d->L, (double)(uint32_t)value);
  lua_call(d->L, 2, 1);
  return true;
}
#else
static bool push_integer(decoder *d, int64_t value) {
  lua_pushinteger(d->L, value);
  return true;
}
#endif

static void push_text(decoder *d) {
  duro_json_reader *r = &d->r;
  if (!r->escaped) {
    lua_pushlstring(d->L, r->text.p, r->text.n);
    return;
  }
  duro_buf *b = &d->h->text;
  duro_buf_clear(b);
  duro_json_unescape(b, r->text);
  lua_pushlstring(d->L, b->p ? b->p : "", b->n);
}

static bool push_base64(decoder *d, duro_str text) {
  duro_buf *b = &d->h->text;
  duro_buf_clear(b);
  if (!duro__base64_decode(b, text)) return refuse(d, "a $duro tag has broken base64");
  lua_pushlstring(d->L, b->p ? b->p : "", b->n);
  return true;
}

static bool push_key(decoder *d) {
  duro_str text = d->r.text;
  if (text.n > 6 && text.p[0] == '$' && duro_str_starts_with(text, DURO_STR("$duro:"))) {
    if (duro_str_starts_with(text, DURO_STR("$duro:base64:"))) {
      return push_base64(d, (duro_str){text.p + 13, text.n - 13});
    }
    if (duro_str_starts_with(text, DURO_STR("$duro:key:"))) {
      d->r.text = (duro_str){text.p + 10, text.n - 10};
    }
  }
  push_text(d);
  return true;
}

static bool decode(lua_State *L, duro__host *h, duro__rt *rt, bool lenient, duro_str text);

// A payload in its stored form: the plain text of it stays on the stack while it is read.
static bool decode_concealed(decoder *d) {
  lua_State *L = d->L;
  duro_json_reader *r = &d->r;
  bool named = duro_json_next(r) == DURO_JSON_KEY && duro_str_equal(r->text, DURO_STR("base64"));
  if (!named || duro_json_next(r) != DURO_JSON_STRING) return refuse(d, "a $duro tag lacks base64");
  if (!push_base64(d, r->text)) return false;
  bool ok = duro__codec_show(L, d->h, d->rt);
  if (ok) {
    duro_str plain;
    plain.p = lua_tolstring(L, -1, &plain.n);
    ok = decode(L, d->h, d->rt, d->lenient, plain);
    lua_remove(L, -2);
  }
  if (!ok && !d->lenient) d->told = true;
  return ok || d->lenient;
}

// Behind the key "$duro": the tag, and what belongs to it.
static bool decode_tag(decoder *d) {
  duro_json_reader *r = &d->r;
  if (duro_json_next(r) != DURO_JSON_STRING) return refuse(d, "a $duro tag is no text");
  duro_str tag = r->text;
  if (duro_str_equal(tag, DURO_STR("bytes"))) {
    bool named = duro_json_next(r) == DURO_JSON_KEY && duro_str_equal(r->text, DURO_STR("base64"));
    if (!named || duro_json_next(r) != DURO_JSON_STRING)
      return refuse(d, "a $duro tag lacks base64");
    if (!push_base64(d, r->text)) return false;
  } else if (duro_str_equal(tag, DURO_STR("nan"))) {
    lua_pushnumber(d->L, (lua_Number)NAN);
  } else if (duro_str_equal(tag, DURO_STR("inf"))) {
    lua_pushnumber(d->L, (lua_Number)INFINITY);
  } else if (duro_str_equal(tag, DURO_STR("-inf"))) {
    lua_pushnumber(d->L, -(lua_Number)INFINITY);
  } else if (duro_str_equal(tag, DURO_STR("raised"))) {
    bool named = duro_json_next(r) == DURO_JSON_KEY && duro_str_equal(r->text, DURO_STR("error"));
    if (!named || !decode_value(d, duro_json_next(r)) || !lua_istable(d->L, -1)) {
      return refuse(d, "a $duro tag lacks its error");
    }
    duro__host_push(d->L, d->h->error_mt_ref);
    lua_setmetatable(d->L, -2);
  } else if (duro_str_equal(tag, DURO_STR("codec"))) {
    if (!decode_concealed(d)) return false;
  } else {
    return refuse(d, "a $duro tag is unknown (written by a newer version?)");
  }
  return duro_json_next(r) == DURO_JSON_END_OBJECT || refuse(d, "a $duro tag has too many members");
}

// --- Containers: `slot` holds nil until the table is made; behind it wait what belongs into it ---

static void make_table(lua_State *L, int slot, int array, int hash) {
  lua_createtable(L, array, hash);
  lua_replace(L, slot);
}

static void flush_array(lua_State *L, int slot, size_t count, size_t pending) {
  if (lua_isnil(L, slot)) make_table(L, slot, (int)(count > pending ? 2 * count : count), 0);
  for (size_t i = pending; i > 0; i--) lua_rawseti(L, slot, (int)(count - pending + i));
}

static bool decode_array(decoder *d) {
  lua_State *L = d->L;
  size_t count = 0, pending = 0;
  lua_pushnil(L);
  int slot = lua_gettop(L);
  for (;;) {
    duro_json_type type = duro_json_next(&d->r);
    if (type == DURO_JSON_END_ARRAY) break;
    if (!decode_value(d, type)) return false;
    count++;
    if (++pending == PENDING) {
      flush_array(L, slot, count, pending);
      pending = 0;
    }
  }
  flush_array(L, slot, count, pending);
  if (count == 0) { // so that it is [] again
    duro__host_push(L, d->h->array_mt_ref);
    lua_setmetatable(L, slot);
  }
  return true;
}

static void flush_object(lua_State *L, int slot, int pairs, bool more) {
  if (lua_isnil(L, slot)) make_table(L, slot, 0, more ? 2 * pairs : pairs);
  for (; pairs > 0; pairs--) lua_rawset(L, slot);
}

static bool decode_object(decoder *d) {
  lua_State *L = d->L;
  duro_json_type type = duro_json_next(&d->r);
  if (type == DURO_JSON_KEY && duro_str_equal(d->r.text, DURO_STR("$duro"))) return decode_tag(d);
  int pairs = 0;
  lua_pushnil(L);
  int slot = lua_gettop(L);
  for (; type != DURO_JSON_END_OBJECT; type = duro_json_next(&d->r)) {
    if (type != DURO_JSON_KEY) return false;
    if (!push_key(d) || !decode_value(d, duro_json_next(&d->r))) return false;
    if (++pairs == PENDING / 2) {
      flush_object(L, slot, pairs, true);
      pairs = 0;
    }
  }
  flush_object(L, slot, pairs, false);
  return true;
}

void duro__payload_push_null(lua_State *L, duro__host *h) { duro__host_push(L, h->null_ref); }

static bool decode_value(decoder *d, duro_json_type type) {
  lua_State *L = d->L;
  switch (type) {
  case DURO_JSON_NULL:
    duro__payload_push_null(L, d->h);
    return true;
  case DURO_JSON_TRUE:
    lua_pushboolean(L, 1);
    return true;
  case DURO_JSON_FALSE:
    lua_pushboolean(L, 0);
    return true;
  case DURO_JSON_INTEGER:
    return push_integer(d, d->r.integer);
  case DURO_JSON_DOUBLE:
    lua_pushnumber(L, d->r.number);
    return true;
  case DURO_JSON_STRING:
    push_text(d);
    return true;
  case DURO_JSON_BEGIN_ARRAY:
    return (lua_checkstack(L, PENDING + 8) || refuse(d, "the text is nested too deeply")) &&
           decode_array(d);
  case DURO_JSON_BEGIN_OBJECT:
    return (lua_checkstack(L, PENDING + 8) || refuse(d, "the text is nested too deeply")) &&
           decode_object(d);
  default:
    return refuse(d, "a value is missing");
  }
}

static bool decode(lua_State *L, duro__host *h, duro__rt *rt, bool lenient, duro_str text) {
  if (!text.p || (text.n == 4 && memcmp(text.p, "null", 4) == 0)) {
    lua_pushnil(L);
    return true;
  }
  int top = lua_gettop(L);
  decoder d;
  d.L = L;
  d.h = h;
  d.rt = rt;
  d.lenient = lenient;
  d.problem = NULL;
  d.told = false;
  duro_json_open(&d.r, text);
  duro_json_type type = duro_json_next(&d.r);
  if (type == DURO_JSON_NULL) {
    lua_pushnil(L);
  } else if (!decode_value(&d, type)) {
    goto corrupt;
  }
  if (duro_json_next(&d.r) == DURO_JSON_END) return true;
corrupt:
  if (d.told) {
    if (lua_gettop(L) > top + 1) lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return false;
  }
  lua_settop(L, top);
  const char *problem = d.r.problem ? d.r.problem
                        : d.problem ? d.problem
                                    : "something follows the value";
  duro__error_push_text(L, h, "corrupt", "a stored value cannot be read: %s (byte %d)", problem,
                        (int)(d.r.at - d.r.begin));
  return false;
}

bool duro__payload_decode(lua_State *L, duro__host *h, duro_str text) {
  return decode(L, h, NULL, false, text);
}

bool duro__payload_read(lua_State *L, duro__host *h, duro__rt *rt, duro_str text) {
  return decode(L, h, rt, false, text);
}

bool duro__payload_show(lua_State *L, duro__host *h, duro__rt *rt, duro_str text) {
  return decode(L, h, rt, true, text);
}
