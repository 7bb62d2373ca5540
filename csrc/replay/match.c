// Holding what the code asks for against what history says.
//
// Live, duro__issue records a command; on replay the command must stand exactly at the cursor: the same
// kind, and the same name, instance and source. Another payload (as JSON, whatever the order of keys) is
// a mismatch when the exec is strict, else a line in the log: history's value counts. Where they part,
// one duro__mismatch is made and everything the code asks afterwards is refused. Limits and comparisons
// see payloads as the code gave them; only what is recorded is in the host's stored form.
#include "replay/internal.h"

#include <stdlib.h>

#include "base/json.h"
#include "replay/conceal.h"

#define SHOWN_BYTES 160 // of a payload in a message

// --- Saying what an event is ---

void duro__describe(const duro_event *e, duro_buf *b) {
  duro_buf_printf(b, "%s", duro_event_kind_string(e->kind));
  if (e->name.p) duro_buf_printf(b, " '%.*s'", DURO_FMT(e->name));
  if (e->instance.p) duro_buf_printf(b, " for '%.*s'", DURO_FMT(e->instance));
  if (e->source) duro_buf_printf(b, " of event %lld", (long long)e->source);
}

static char *described(const duro_event *e) {
  duro_buf b = {0};
  duro__describe(e, &b);
  duro_buf_add_char(&b, 0);
  if (b.oom) duro_buf_free(&b);
  return b.p;
}

// --- Payloads ---

// A value's fingerprint, in which the order of an object's members does not count.
typedef struct level {
  uint64_t sum; // of an array: a chain; of an object: a sum over its members
  uint64_t key; // of the member that is being read
  bool object;
} level;

static uint64_t mix(uint64_t a, uint64_t b) { return duro_hash_int(a * 31 + b + 0x51ed270b); }

static void add_value(level *l, uint64_t value) {
  l->sum = l->object ? l->sum + mix(l->key, value) : mix(l->sum, value);
}

static uint64_t fingerprint(duro_str text, bool *valid) {
  duro_json_reader r;
  level levels[DURO_JSON_MAX_DEPTH + 1] = {{0}};
  level *l = levels;
  duro_json_open(&r, text);
  for (;;) {
    const char *begin = r.at;
    switch (duro_json_next(&r)) {
    case DURO_JSON_END:
      return levels[0].sum;
    case DURO_JSON_ERROR:
      *valid = false;
      return 0;
    case DURO_JSON_KEY:
      l->key = duro_hash_bytes(r.text.p, r.text.n);
      break;
    case DURO_JSON_BEGIN_ARRAY:
      *++l = (level){.sum = 1};
      break;
    case DURO_JSON_BEGIN_OBJECT:
      *++l = (level){.sum = 2, .object = true};
      break;
    case DURO_JSON_END_ARRAY:
    case DURO_JSON_END_OBJECT:
      l--;
      add_value(l, duro_hash_int(l[1].sum));
      break;
    case DURO_JSON_STRING:
      add_value(l, duro_hash_bytes(r.text.p, r.text.n) ^ 1);
      break;
    default:
      // The token's own text: 1 and 1.0 are two values. What stands before it is ',' and blanks.
      while (begin < r.at && strchr(" \t\r\n,", *begin)) begin++;
      add_value(l, duro_hash_bytes(begin, (size_t)(r.at - begin)));
    }
  }
}

static bool same_value(duro_str a, duro_str b) {
  bool valid = true;
  return fingerprint(a, &valid) == fingerprint(b, &valid) && valid;
}

// Whether history's payload is the value that the code gives now; *revealed: the texts have two forms.
static duro_code compare(duro__exec *x, duro_str stored, duro_str given, bool *same, bool *revealed,
                         duro_error **err) {
  const duro_program_ops *p = x->config.program;
  *same = duro_str_equal(stored, given);
  if (*same || !stored.n || !given.n) return DURO_OK;
  duro_buf plain = {0};
  duro_code code = duro__reveal(p, x->config.host, &stored, &plain, err);
  if (!code) *same = same_value(stored, given);
  if (plain.n) *revealed = true;
  duro_buf_free(&plain);
  return code ? duro__break(x, code) : DURO_OK;
}

// Where history and the code's event differ, though they are the same command.
typedef struct difference {
  const char *what; // NULL: nowhere
  bool secret;      // the host conceals payloads: their text is not shown
} difference;

// Errors and recorded values are not compared: a message may name a line of the code, and a side effect
// gives what it gives.
static duro_code find_difference(duro__exec *x, const duro_event *h, const duro_event *e,
                                 difference *d, duro_error **err) {
  bool input = true, output = true, options = true;
  duro_code code = compare(x, h->input, e->input, &input, &d->secret, err);
  if (!code) code = compare(x, h->options, e->options, &options, &d->secret, err);
  if (!code && h->kind == DURO_EVENT_ORCHESTRATION_COMPLETED) {
    code = compare(x, h->output, e->output, &output, &d->secret, err);
  }
  if (!input)
    d->what = "input";
  else if (!duro_str_equal(h->version, e->version))
    d->what = "version";
  else if (!options)
    d->what = "options";
  else if (h->fire_at_ms != e->fire_at_ms)
    d->what = "time";
  else if (!output)
    d->what = "output";
  return code;
}

// --- Where they part ---

int64_t duro__next_id(const duro__exec *x) {
  const duro_event *h = duro__at_cursor(x);
  return h ? h->id : x->last_id + 1;
}

const duro_event *duro__at_cursor(const duro__exec *x) {
  return x->replay && x->replay->cursor < x->replay->count ? &x->replay->items[x->replay->cursor]
                                                           : NULL;
}

// Owns `got` and `detail`.
static duro_code part(duro__exec *x, char *got, char *detail, duro_error **err) {
  const duro_event *h = duro__at_cursor(x);
  duro__mismatch_free(&x->replay->mismatch);
  x->replay->mismatch.event_id = duro__next_id(x);
  x->replay->mismatch.code = DURO_NONDETERMINISM;
  x->replay->mismatch.expected =
      h ? described(h) : duro_str_dup(DURO_STR("nothing (history ends here)"));
  x->replay->mismatch.got = got;
  x->replay->mismatch.detail = detail;
  if (!got || !x->replay->mismatch.expected) return duro__break_oom(x, err);
  duro__break(x, DURO_NONDETERMINISM);
  return duro_fail(err, DURO_NONDETERMINISM, "event %lld: expected %s, got %s%s%s",
                   (long long)x->replay->mismatch.event_id, x->replay->mismatch.expected, got,
                   detail ? ": " : "", detail ? detail : "");
}

duro_code duro__part(duro__exec *x, const char *got, duro_error **err) {
  return part(x, duro_str_dup(duro_str_from(got)), NULL, err);
}

// The code may not go on beyond the last event that was asked for: it stops where it is.
static duro_code halt(duro__exec *x, duro_error **err) {
  x->replay->halted = true;
  duro__break(x, DURO_NONDETERMINISM);
  return duro_fail(err, DURO_NONDETERMINISM, "the replay ends here");
}

// What of a text is shown: a cut one ends with a whole character.
static duro_str shown(duro_str text) {
  if (!text.p) return DURO_STR("none");
  if (text.n <= SHOWN_BYTES) return text;
  size_t n = SHOWN_BYTES;
  while (n > 0 && ((unsigned char)text.p[n] & 0xC0) == 0x80) n--;
  return (duro_str){text.p, n};
}

// "5, was 6"; NULL when they are not to be shown, or memory is out.
static char *both_inputs(const duro_event *h, const duro_event *e, const difference *d) {
  if (strcmp(d->what, "input") || d->secret) return NULL;
  duro_buf b = {0};
  duro_buf_printf(&b, "%.*s, was %.*s", DURO_FMT(shown(e->input)), DURO_FMT(shown(h->input)));
  duro_buf_add_char(&b, 0);
  if (b.oom) duro_buf_free(&b);
  return b.p;
}

static duro_code differ(duro__exec *x, const duro_event *h, const duro_event *e,
                        const difference *d, duro_error **err) {
  duro_buf b = {0};
  if (x->config.strict) {
    duro__describe(e, &b);
    duro_buf_printf(&b, " with another %s", d->what);
    duro_buf_add_char(&b, 0);
    if (b.oom) duro_buf_free(&b);
    return part(x, b.p, both_inputs(h, e, d), err);
  }
  if (!x->config.log) return DURO_OK;
  char *inputs = both_inputs(h, e, d);
  duro_buf_printf(&b, "instance '%.*s', event %lld: ", DURO_FMT(x->start.instance_id),
                  (long long)h->id);
  duro__describe(h, &b);
  duro_buf_printf(&b, " has another %s now%s%s", d->what, inputs ? ": " : "", inputs ? inputs : "");
  duro_buf_add_char(&b, 0);
  if (!b.oom) x->config.log(x->config.log_user, "warn", b.p);
  duro_buf_free(&b);
  free(inputs);
  return DURO_OK;
}

// Why the code failed, where it did and history has something else.
static char *failure_text(const duro_event *e) {
  duro_arena arena = {0};
  duro_str message = e->error.n ? duro_json_member_text(e->error, "message", &arena) : DURO_NONE;
  char *text = message.p ? duro_str_dup(shown(message)) : NULL;
  duro_arena_free(&arena);
  return text;
}

static bool same_command(const duro_event *h, const duro_event *e) {
  return h->kind == e->kind && !duro__is_arrival(h) && h->source == e->source &&
         duro_str_equal(h->name, e->name) && duro_str_equal(h->instance, e->instance);
}

static duro_code meet(duro__exec *x, duro_event *e, duro_error **err) {
  const duro_event *h = duro__at_cursor(x);
  if (!h && x->replay->looking_back) return halt(x, err);
  if (!h || !same_command(h, e)) return part(x, described(e), failure_text(e), err);
  difference d = {0};
  duro_code code = find_difference(x, h, e, &d, err);
  if (!code && d.what) code = differ(x, h, e, &d, err);
  if (code) return code;
  x->replay->cursor++;
  *e = *h;
  return duro__note(x, h, err);
}

// --- The way into history ---

// Puts a payload of the event into its stored form, in the turn's arena.
typedef duro_code exchange(const duro_program_ops *ops, void *host, duro_str *payload,
                           duro_buf *buf, duro_error **err);

static duro_code conceal_by(duro__exec *x, exchange *conceal, duro_str *payload, duro_error **err) {
  duro_buf buf = {0};
  duro_code code = conceal(x->config.program, x->config.host, payload, &buf, err);
  if (!code && buf.n) *payload = duro__keep(x, *payload);
  if (!code && x->turn->arena.oom) code = duro_fail_oom(err);
  duro_buf_free(&buf);
  return code ? duro__break(x, code) : DURO_OK;
}

// Attributes are searched by, so they stay as they are.
static duro_code conceal(duro__exec *x, duro_event *e, duro_error **err) {
  if (e->kind == DURO_EVENT_ATTRIBUTES_UPDATED) return DURO_OK;
  duro_code code = conceal_by(x, duro__conceal, &e->input, err);
  if (!code) code = conceal_by(x, duro__conceal, &e->output, err);
  return code || !e->error.n ? code : conceal_by(x, duro__conceal_error, &e->error, err);
}

duro_code duro__issue(duro__exec *x, duro_event *e, duro_error **err) {
  if (x->broken) return duro_fail(err, x->broken, "%s", duro_code_sentence(x->broken));
  if (x->replay) return meet(x, e, err);
  duro_code code = conceal(x, e, err);
  if (!code) code = duro__record(x, e, err);
  return code ? code : duro__note(x, e, err);
}
