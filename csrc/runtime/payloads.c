// payloads.c: see payloads.h.
//
// Tags: what JSON cannot say stands as an object that begins with the key "$duro"; it is one value, not
// a table to go down into. A user's own key that begins with $duro is written behind "$duro:key:".
#include "runtime/payloads.h"

static const duro_str tag_key = {"$duro", 5};

// --- Can it be read? ---

static bool tag_readable(duro_json_reader *r) {
  static const duro_str plain[] = {DURO_STR("nan"), DURO_STR("inf"), DURO_STR("-inf")};
  if (duro_json_next(r) != DURO_JSON_STRING) return false;
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    if (duro_str_equal(r->text, plain[i])) return duro_json_next(r) == DURO_JSON_END_OBJECT;
  }
  bool bytes =
      duro_str_equal(r->text, DURO_STR("bytes")) || duro_str_equal(r->text, DURO_STR("codec"));
  if (!bytes && !duro_str_equal(r->text, DURO_STR("raised"))) return false;
  if (duro_json_next(r) != DURO_JSON_KEY) return false;
  if (!bytes) return duro_str_equal(r->text, DURO_STR("error")); // its object is read on
  return duro_str_equal(r->text, DURO_STR("base64")) && duro_json_next(r) == DURO_JSON_STRING &&
         r->text.n % 4 == 0 && duro_json_next(r) == DURO_JSON_END_OBJECT;
}

bool duro__payload_hidden(duro_str json) {
  return duro_str_starts_with(json, DURO_STR("{\"$duro\":\"codec\""));
}

bool duro__payload_readable(duro_str json) {
  duro_json_reader r;
  duro_json_type type, before = DURO_JSON_END;
  duro_json_open(&r, json);
  while ((type = duro_json_next(&r)) != DURO_JSON_END) {
    if (type == DURO_JSON_ERROR) return false;
    if (type == DURO_JSON_KEY && before == DURO_JSON_BEGIN_OBJECT &&
        duro_str_equal(r.text, tag_key) && !tag_readable(&r)) {
      return false;
    }
    before = type;
  }
  return before != DURO_JSON_END; // not empty
}

// --- Paths ---

// The path's next step without its escapes; what is left of the path. False at the end.
static bool next_step(duro_str *path, duro_arena *arena, duro_str *step) {
  if (!path->p) return false;
  char *out = duro_arena_alloc(arena, path->n + 1);
  if (!out) return false;
  size_t n = 0, at = 0;
  for (; at < path->n && path->p[at] != '.'; at++) {
    bool escape = path->p[at] == '\\' && at + 1 < path->n &&
                  (path->p[at + 1] == '.' || path->p[at + 1] == '\\');
    if (escape) at++;
    out[n++] = path->p[at];
  }
  *step = (duro_str){out, n};
  *path = at < path->n ? (duro_str){path->p + at + 1, path->n - at - 1} : DURO_NONE;
  return true;
}

// From 1; 0 when it is no index.
static size_t index_of(duro_str step) {
  size_t index = 0;
  for (size_t i = 0; i < step.n; i++) {
    if (step.p[i] < '0' || step.p[i] > '9' || index > 100000000) return 0;
    index = index * 10 + (size_t)(step.p[i] - '0');
  }
  return index;
}

static duro_str element(duro_json_reader *r, size_t index) {
  duro_str value = DURO_NONE;
  for (size_t i = 0; i < index; i++) {
    if (!duro_json_skip(r, &value)) return DURO_NONE;
  }
  return index ? value : DURO_NONE;
}

duro_str duro__payload_key(const duro_json_reader *r, duro_arena *arena) {
  duro_str escaped = DURO_STR("$duro:key:"), key = duro_json_text(r, arena);
  if (!duro_str_starts_with(key, escaped)) return key;
  return (duro_str){key.p + escaped.n, key.n - escaped.n};
}

static duro_str member(duro_json_reader *r, duro_str step, duro_arena *arena) {
  while (duro_json_next(r) == DURO_JSON_KEY) {
    if (duro_str_equal(r->text, tag_key)) return DURO_NONE;
    duro_str key = duro__payload_key(r, arena), value;
    if (!duro_json_skip(r, &value)) return DURO_NONE;
    if (duro_str_equal(key, step)) return value;
  }
  return DURO_NONE;
}

duro_str duro__payload_at(duro_str json, duro_str path, duro_arena *arena) {
  duro_str step;
  while (json.p && next_step(&path, arena, &step)) {
    duro_json_reader r;
    duro_json_open(&r, json);
    duro_json_type type = duro_json_next(&r);
    json = type == DURO_JSON_BEGIN_ARRAY    ? element(&r, index_of(step))
           : type == DURO_JSON_BEGIN_OBJECT ? member(&r, step, arena)
                                            : DURO_NONE;
  }
  return arena->oom ? DURO_NONE : json;
}

// --- Values ---

static bool is_number(duro_json_type type) {
  return type == DURO_JSON_INTEGER || type == DURO_JSON_DOUBLE;
}

bool duro__payload_equal(duro_str a, duro_str b, duro_arena *arena) {
  duro_json_reader left, right;
  if (!a.p || !b.p) return false;
  duro_json_open(&left, a);
  duro_json_open(&right, b);
  duro_json_type type = duro_json_next(&left), other = duro_json_next(&right);
  if (type == DURO_JSON_INTEGER && other == DURO_JSON_INTEGER) return left.integer == right.integer;
  if (is_number(type) && is_number(other)) return left.number == right.number;
  if (type != other) return false;
  if (type == DURO_JSON_STRING) {
    return duro_str_equal(duro_json_text(&left, arena), duro_json_text(&right, arena));
  }
  return duro_str_equal(a, b); // payloads have one form: sorted keys, no spaces
}

static bool holds(duro_str text, duro_str part) {
  return part.n == 0 || (text.n >= part.n && memmem(text.p, text.n, part.p, part.n) != NULL);
}

bool duro__payload_contains(duro_str json, duro_str text, duro_arena *arena) {
  duro_json_reader r;
  duro_json_open(&r, json);
  for (;;) {
    const char *before = r.at;
    duro_json_type type = duro_json_next(&r);
    if (type == DURO_JSON_END || type == DURO_JSON_ERROR) return false;
    if (type == DURO_JSON_STRING && holds(duro_json_text(&r, arena), text)) return true;
    if (!is_number(type)) continue;
    while (before < r.at && strchr(" \t\r\n,:", *before)) before++;
    if (holds((duro_str){before, (size_t)(r.at - before)}, text)) return true;
  }
}
