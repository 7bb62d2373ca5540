// codec: the functions that an author puts around stored payloads (option `codec`: encryption, say).
//
// The stored form of a payload is {"$duro":"codec","base64":"..."}: what `encode` made of its JSON text.
// The core asks for it where a payload enters history (conceal), and for the way back where it must know
// one (reveal; csrc/replay/conceal.h). Here it is put around what may cross the file before that: the
// arguments of calls and the answers of queries and stacks. Reading needs no list of fields:
// payload_read.c turns the tag back wherever it stands. Names, ids, attributes, reasons, codes and messages
// stay readable. To let another call bring a payload: a row in `arguments`.
//
// The functions are nobody's code: the guard does not hold them, and they cannot enter the runtime. What
// they raise is `storage` on the way in, `corrupt` on the way back; never plain text in place of either.
#include "binding/program.h"
#include "binding/runtime.h"

#define TAG "{\"$duro\":\"codec\",\"base64\":\""

bool duro__codec_is_tag(duro_str text) { return duro_str_starts_with(text, DURO_STR(TAG)); }

static bool has_codec(const duro__rt *rt) { return rt && rt->encode_ref != LUA_NOREF; }

// --- Calling the functions ---

// What is put aside while author's code runs in the middle of our work.
typedef struct outside {
  duro__program *program;
  duro__aside aside;
} outside;

static outside leave(duro__rt *rt) {
  duro__host *h = rt->host;
  outside o = {h->program, duro__host_aside(h)};
  h->program = NULL;
  rt->in_core++;
  return o;
}

static void come_back(duro__rt *rt, outside *o) {
  rt->in_core--;
  rt->host->program = o->program;
  duro__host_back(rt->host, &o->aside);
}

static const char *thrown_text(lua_State *L) {
  if (lua_istable(L, -1)) duro__lua_getfield(L, -1, "message");
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "it raised a value that is no text";
}

// Replaces the text at the top by what the function makes of it; on failure by an error table.
static bool call(lua_State *L, duro__rt *rt, int function, const char *what, const char *code) {
  luaL_checkstack(L, 8, NULL);
  int top = lua_gettop(L);
  outside o = leave(rt);
  duro__host_push(L, function);
  lua_insert(L, -2);
  bool ok = lua_pcall(L, 1, 1, 0) == 0;
  come_back(rt, &o);
  if (ok && lua_type(L, -1) == LUA_TSTRING) return true;
  if (ok) {
    duro__error_push_text(L, rt->host, code, "the codec's %s gave a %s instead of a string", what,
                          luaL_typename(L, -1));
  } else {
    duro__error_push_text(L, rt->host, code, "the codec's %s failed: %s", what, thrown_text(L));
  }
  lua_replace(L, top);
  lua_settop(L, top);
  return false;
}

static void add_tagged(lua_State *L, duro_buf *out) {
  duro_str bytes;
  bytes.p = lua_tolstring(L, -1, &bytes.n);
  duro_buf_add_lit(out, TAG);
  duro__base64_encode(out, bytes);
  duro_buf_add_lit(out, "\"}");
}

bool duro__codec_hide(lua_State *L, duro__rt *rt, duro_buf *b, size_t from) {
  if (!has_codec(rt) || b->oom) return true;
  lua_pushlstring(L, b->p + from, b->n - from);
  if (!call(L, rt, rt->encode_ref, "encode", "storage")) return false;
  b->n = from;
  add_tagged(L, b);
  lua_pop(L, 1);
  return true;
}

bool duro__codec_show(lua_State *L, duro__host *h, duro__rt *rt) {
  if (rt && rt->decode_ref != LUA_NOREF) return call(L, rt, rt->decode_ref, "decode", "corrupt");
  lua_pop(L, 1);
  luaL_checkstack(L, 4, NULL);
  duro__error_push_text(L, h, "unsupported",
                        "this value was stored with a codec, and none was given to duro.open");
  return false;
}

// --- Payloads inside of JSON ---

static bool copy_hidden(lua_State *L, duro__rt *rt, duro_str text, const char *path, duro_buf *out);

static bool copy_members(lua_State *L, duro__rt *rt, duro_json_reader *r, const char *path,
                         duro_buf *out) {
  size_t step = strcspn(path, ".");
  const char *rest = path[step] ? path + step + 1 : path + step, *comma = "";
  duro_buf_add_char(out, '{');
  for (; duro_json_next(r) == DURO_JSON_KEY; comma = ",") {
    duro_str key = r->text, value;
    if (!duro_json_skip(r, &value)) break;
    duro_buf_add_str(out, duro_str_from(comma));
    duro_buf_add_char(out, '"');
    duro_buf_add_str(out, key);
    duro_buf_add_lit(out, "\":");
    if (!duro_str_equal(key, (duro_str){path, step})) {
      duro_buf_add_str(out, value);
    } else if (!copy_hidden(L, rt, value, rest, out)) {
      return false;
    }
  }
  duro_buf_add_char(out, '}');
  return true;
}

static bool copy_elements(lua_State *L, duro__rt *rt, duro_json_reader *r, const char *path,
                          duro_buf *out) {
  const char *comma = "";
  duro_str value;
  duro_buf_add_char(out, '[');
  for (; duro_json_skip(r, &value); comma = ",") {
    duro_buf_add_str(out, duro_str_from(comma));
    if (!copy_hidden(L, rt, value, path, out)) return false;
  }
  duro_buf_add_char(out, ']');
  return true;
}

// Copies `text`, with what stands at the path ("input", "[].event.data") in its stored form. Raises, or
// pushes an error table and returns false.
static bool copy_hidden(lua_State *L, duro__rt *rt, duro_str text, const char *path,
                        duro_buf *out) {
  duro_json_reader r;
  if (!*path) {
    size_t from = out->n;
    duro_buf_add_str(out, text);
    return duro__codec_hide(L, rt, out, from);
  }
  duro_json_open(&r, text);
  duro_json_type type = duro_json_next(&r);
  if (type == DURO_JSON_BEGIN_ARRAY && path[0] == '[')
    return copy_elements(L, rt, &r, path + 3, out);
  if (type == DURO_JSON_BEGIN_OBJECT) return copy_members(L, rt, &r, path, out);
  duro_buf_add_str(out, text);
  return true;
}

// Where the arguments of duro_call (csrc/runtime/verbs.h) have payloads.
static const struct {
  const char *verb, *path;
} arguments[] = {
    {"start", "input"},
    {"start", "event.data"},
    {"start_many", "[].input"},
    {"start_many", "[].event.data"},
    {"raise_event", "data"},
    {"query", "arg"},
    {"raise_event_bulk", "event_data"},
    {"complete_activity", "value"},
    {"fail_activity", "error.data"},
};

bool duro__codec_hide_arguments(lua_State *L, duro__rt *rt, duro_str verb) {
  duro__host *h = rt->host;
  if (!has_codec(rt)) return true;
  for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
    if (!duro_str_equal(verb, duro_str_from(arguments[i].verb))) continue;
    duro_buf_clear(&h->text);
    if (!copy_hidden(L, rt, duro_buf_str(&h->scratch), arguments[i].path, &h->text)) return false;
    duro_buf plain = h->scratch;
    h->scratch = h->text;
    h->text = plain;
  }
  return true;
}

// --- For the core: conceal and reveal ---

typedef struct exchange {
  duro__rt *rt;
  duro_str in;
  duro_buf *out;
  bool reveal;
  duro_code code;
  duro_error **err;
} exchange;

// The error table at the top becomes the answer.
static int exchange_failed(lua_State *L, exchange *e) {
  e->code = duro__error_read(L, e->err);
  return 0;
}

static int run_exchange(lua_State *L) {
  exchange *e = (exchange *)lua_touserdata(L, 1);
  duro__host *h = e->rt->host;
  if (!e->reveal) {
    duro_buf_add_str(e->out, e->in);
    return duro__codec_hide(L, e->rt, e->out, 0) ? 0 : exchange_failed(L, e);
  }
  duro_str base64 = duro_json_member(e->in, "base64"), plain; // quoted, and without escapes
  duro_buf_clear(&h->text);
  if (base64.n < 2 || !duro__base64_decode(&h->text, (duro_str){base64.p + 1, base64.n - 2})) {
    duro__error_push_text(L, h, "corrupt", "a $duro tag has broken base64");
    return exchange_failed(L, e);
  }
  lua_pushlstring(L, h->text.p ? h->text.p : "", h->text.n);
  if (!duro__codec_show(L, h, e->rt)) return exchange_failed(L, e);
  plain.p = lua_tolstring(L, -1, &plain.n);
  duro_buf_add_str(e->out, plain);
  return 0;
}

// The state whose turn it is to run: that of the fiber that called the core, else the one that entered it.
static lua_State *running_state(const duro__host *h) {
  return h->program && h->program->running ? h->program->running->co : h->L;
}

static duro_code exchange_in_core(exchange *e) {
  duro__host *h = e->rt->host;
  lua_State *L = running_state(h);
  if (!lua_checkstack(L, 8)) return duro_fail_oom(e->err);
  int top = lua_gettop(L);
  duro__host_push(L, h->run_codec);
  lua_pushlightuserdata(L, e);
  bool ok = lua_pcall(L, 1, 0, 0) == 0;
  lua_settop(L, top);
  return ok && !e->out->oom ? e->code : duro_fail_oom(e->err);
}

duro_code duro__codec_conceal(void *host, duro_str payload, duro_buf *stored, duro_error **err) {
  exchange e = {(duro__rt *)host, payload, stored, false, DURO_OK, err};
  return has_codec(e.rt) ? exchange_in_core(&e) : DURO_OK;
}

duro_code duro__codec_reveal(void *host, duro_str stored, duro_buf *payload, duro_error **err) {
  exchange e = {(duro__rt *)host, stored, payload, true, DURO_OK, err};
  return duro__codec_is_tag(stored) ? exchange_in_core(&e) : DURO_OK;
}

void duro__codec_init(lua_State *L, duro__host *h) {
  h->run_codec = duro__host_keep(L, run_exchange);
}
