// inspect: looking into a program that waits, without moving it: the answer of a query handler, and
// where its fibers stand ("stack").
//
// Everything runs under lua_pcall on the state that entered the core. While a handler runs, the program
// is the current one without a running fiber, so that each ctx call is refused but those that look.
#include "binding/program.h"
#include "binding/runtime.h"

#include <stdio.h>

typedef struct inspection {
  duro__program *p;
  duro_str what, args;
  duro_buf *out;
  duro_code code; // when it fails without raising
  char message[256];
} inspection;

// --- Queries ---

static int run_query(lua_State *L, inspection *i) {
  duro__program *p = i->p;
  duro__host *h = p->host;
  if (!duro__payload_decode(L, h, duro_json_member(i->args, "name"))) return lua_error(L);
  lua_pushnil(L);
  if (p->queries_ref != LUA_NOREF) {
    duro__host_push(L, p->queries_ref);
    lua_pushvalue(L, -3);
    lua_rawget(L, -2);
  }
  if (!lua_isfunction(L, -1)) {
    i->code = DURO_NOT_FOUND;
    duro_str name = duro_json_member(i->args, "name");
    snprintf(i->message, sizeof i->message, "the instance answers no query %.*s (ctx:on_query)",
             (int)(name.n < 150 ? name.n : 150), name.p ? name.p : "");
    return 0;
  }
  if (!duro__payload_read(L, h, p->rt, duro_json_member(i->args, "arg"))) return lua_error(L);
  p->asked = true;
  lua_call(L, 1, 1);
  if (!duro__payload_encode(L, h, -1, "answer", i->out)) return lua_error(L);
  if (!duro__codec_hide(L, p->rt, i->out, 0)) return lua_error(L);
  return 0;
}

// --- The stack ---

#define MAX_FRAMES      200
#define MAX_LOCALS      100
#define MAX_SHOWN_BYTES 4096 // a longer local is shown as text, cut

static int show_value(lua_State *L) {
  duro__lua_tolstring(L, 1);
  return 1;
}

// The local at the top of L (popped) as a payload, or as its tostring.
static void add_local_value(lua_State *L, duro__host *h, duro_buf *out) {
  size_t begin = out->n;
  int top = lua_gettop(L);
  bool ok = duro__payload_encode(L, h, top, "", out) && out->n - begin <= MAX_SHOWN_BYTES;
  lua_settop(L, top);
  if (!ok) {
    out->n = begin;
    duro_str shown = DURO_STR("?");
    lua_pushcfunction(L, show_value);
    lua_pushvalue(L, top);
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING) {
      shown.p = lua_tolstring(L, -1, &shown.n);
    }
    if (shown.n > MAX_SHOWN_BYTES) shown.n = MAX_SHOWN_BYTES;
    lua_pushlstring(L, shown.p, shown.n);
    duro__payload_encode(L, h, -1, "", out);
  }
  lua_settop(L, top - 1);
}

static void add_locals(lua_State *L, duro__host *h, lua_State *co, lua_Debug *ar, duro_buf *out) {
  bool first = true;
  for (int n = 1; n <= MAX_LOCALS && lua_checkstack(co, 1); n++) {
    const char *name = lua_getlocal(co, ar, n);
    if (!name) break;
    lua_xmove(co, L, 1);
    if (name[0] == '(') { // a temporary
      lua_pop(L, 1);
      continue;
    }
    if (!first) duro_buf_add_char(out, ',');
    first = false;
    duro_json_add_string(out, duro_utf8_valid(duro_str_from(name)) ? duro_str_from(name)
                                                                   : DURO_STR("?"));
    duro_buf_add_char(out, ':');
    add_local_value(L, h, out);
  }
}

static void add_text(lua_State *L, duro__host *h, const char *text, duro_buf *out) {
  lua_pushstring(L, text);
  duro__payload_encode(L, h, -1, "", out);
  lua_pop(L, 1);
}

// What the code calls it; the function at the bottom is called by ours, whose name for it tells nothing.
static const char *function_name(duro__fiber *f, int level, const lua_Debug *ar) {
  lua_Debug caller;
  bool bottom = !lua_getstack(f->co, level + 1, &caller);
  if (!bottom) {
    lua_getinfo(f->co, "S", &caller);
    bottom = duro__host_is_own(f->program->host, &caller);
  }
  if (bottom) return f->number == 1 ? "orchestration" : "block";
  return ar->name ? ar->name : "?";
}

static int add_frames(lua_State *L, duro__fiber *f, duro_buf *out, bool *first) {
  duro__host *h = f->program->host;
  lua_Debug ar;
  int count = 0;
  for (int level = 0; level < MAX_FRAMES && lua_getstack(f->co, level, &ar); level++) {
    lua_getinfo(f->co, "Sln", &ar);
    if (*ar.what == 'C' || duro__host_is_own(h, &ar)) continue;
    count++;
    if (!*first) duro_buf_add_char(out, ',');
    *first = false;
    duro_buf_add_lit(out, "{\"source\":");
    add_text(L, h, ar.short_src, out);
    duro_buf_printf(out, ",\"line\":%d,\"function\":", ar.currentline);
    add_text(L, h, function_name(f, level, &ar), out);
    if (f->number > 1) duro_buf_printf(out, ",\"block\":%u", (unsigned)(f->number - 1));
    duro_buf_add_lit(out, ",\"locals\":");
    size_t locals = out->n;
    duro_buf_add_char(out, '{');
    add_locals(L, h, f->co, &ar, out);
    duro_buf_add_char(out, '}');
    if (!duro__codec_hide(L, f->program->rt, out, locals))
      lua_error(L); // the answer may go through the file
    duro_buf_add_char(out, '}');
  }
  return count;
}

// "return ctx:activity(...)" is a tail call, which takes the place of the function that makes it. That
// one is shown by where it begins; where a block's begins is not known any more.
static void add_replaced_frame(lua_State *L, duro__fiber *f, duro_buf *out, bool *first) {
  lua_Debug ar = {0};
  bool block = f->number > 1;
  if (!block) {
    duro__host_push(L, f->program->fn_ref);
    lua_getinfo(L, ">S", &ar);
  }
  if (!*first) duro_buf_add_char(out, ',');
  *first = false;
  duro_buf_add_lit(out, "{\"source\":");
  add_text(L, f->program->host, block ? "?" : ar.short_src, out);
  duro_buf_printf(out, ",\"line\":%d,\"function\":\"%s\",\"tail_call\":true", ar.linedefined,
                  block ? "block" : "orchestration");
  if (block) duro_buf_printf(out, ",\"block\":%u", (unsigned)(f->number - 1));
  duro_buf_add_lit(out, ",\"locals\":");
  size_t locals = out->n;
  duro_buf_add_lit(out, "{}");
  if (!duro__codec_hide(L, f->program->rt, out, locals)) lua_error(L);
  duro_buf_add_char(out, '}');
}

static int show_stack(lua_State *L, inspection *i) {
  bool first = true;
  luaL_checkstack(L, 20, NULL);
  duro_buf_add_char(i->out, '[');
  for (duro__fiber *f = i->p->fibers; f; f = f->next) {
    if (f->state == DURO__DEAD) continue;
    if (!add_frames(L, f, i->out, &first) && lua_status(f->co) == LUA_YIELD)
      add_replaced_frame(L, f, i->out, &first);
  }
  duro_buf_add_char(i->out, ']');
  return 0;
}

// --- The door ---

static int inspect(lua_State *L) {
  inspection *i = (inspection *)lua_touserdata(L, 1);
  if (duro_str_equal(i->what, DURO_STR("query"))) return run_query(L, i);
  if (duro_str_equal(i->what, DURO_STR("stack"))) return show_stack(L, i);
  i->code = DURO_UNSUPPORTED;
  snprintf(i->message, sizeof i->message, "a program cannot be asked that");
  return 0;
}

// An error that the handler raised, at the top of L.
static duro_code raised(lua_State *L, duro_error **err) {
  const char *message = NULL;
  duro_code code = DURO_FAILED;
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_pushliteral(L, "code");
    lua_rawget(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING) code = duro_code_from(duro_str_from(lua_tostring(L, -1)));
    lua_pop(L, 1);
    lua_pushliteral(L, "message");
    lua_rawget(L, -2);
  }
  if (lua_type(L, -1) == LUA_TSTRING) message = lua_tostring(L, -1);
  return duro_fail(err, code, "the query handler failed: %s",
                   message ? message : "it raised a value");
}

duro_code duro__inspect(void *host, void *program, duro_str what, duro_str args, duro_buf *out,
                        duro_error **err) {
  (void)host;
  duro__program *p = (duro__program *)program;
  duro__host *h = p->host;
  lua_State *L = h->L;
  inspection i = {.p = p, .what = what, .args = args, .out = out};
  if (!lua_checkstack(L, 20)) return duro_fail_oom(err);
  duro__program *outer = h->program;
  duro__aside aside = duro__host_aside(h);
  int top = lua_gettop(L);
  h->program = p;
  duro__host_push(L, h->inspect_program);
  lua_pushlightuserdata(L, &i);
  duro_code code = DURO_OK;
  if (lua_pcall(L, 1, 0, 0)) {
    code = raised(L, err);
  } else if (i.code) {
    code = duro_fail(err, i.code, "%s", i.message);
  } else if (out->oom) {
    code = duro_fail_oom(err);
  }
  h->program = outer;
  p->asked = false;
  lua_settop(L, top);
  duro__host_back(h, &aside);
  return code;
}

void duro__inspect_init(lua_State *L, duro__host *h) {
  h->inspect_program = duro__host_keep(L, inspect);
}
