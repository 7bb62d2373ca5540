// The event codec: one JSON object per event, one JSON array per turn, driven by DURO_EVENT_FIELDS.
//
// Encoding is on the way of every turn: it appends literal keys and makes no temporary text.
// Decoding expects the fields in the table's order, which is how they are written, and then each
// key is found at the first comparison; any other order is only slower. A key that is not in the
// table is skipped, a kind that is not in the table is `corrupt`: such history was written by a
// newer duro, and to go on without knowing what happened would be a guess.
#include "model/event.h"

#include "base/json.h"

static const struct {
  duro_str string;
  char group;
} kinds[DURO_EVENT_KIND_COUNT] = {[DURO_EVENT_NONE] = {DURO_STR("none"), 'A'},
#define X(name, text, its_group) [DURO_EVENT_##name] = {DURO_STR(text), #its_group[0]},
                                  DURO_EVENT_KINDS(X)
#undef X
};

static bool known(duro_event_kind kind) {
  return kind > DURO_EVENT_NONE && kind < DURO_EVENT_KIND_COUNT;
}

const char *duro_event_kind_string(duro_event_kind kind) {
  return known(kind) ? kinds[kind].string.p : "unknown";
}

char duro_event_kind_group(duro_event_kind kind) { return known(kind) ? kinds[kind].group : 'A'; }

bool duro_event_kind_from(duro_str string, duro_event_kind *out) {
  for (int kind = DURO_EVENT_NONE + 1; kind < DURO_EVENT_KIND_COUNT; kind++) {
    if (!duro_str_equal(string, kinds[kind].string)) continue;
    *out = (duro_event_kind)kind;
    return true;
  }
  return false;
}

void duro_event_encode(duro_buf *b, const duro_event *e, int64_t previous_at_ms) {
  duro_buf_add_lit(b, "{\"id\":");
  duro_buf_add_int(b, e->id);
  duro_buf_add_lit(b, ",\"kind\":\"");
  duro_buf_add_str(b, kinds[known(e->kind) ? e->kind : DURO_EVENT_NONE].string);
  duro_buf_add_char(b, '"');
  if (e->at_ms != previous_at_ms) {
    duro_buf_add_lit(b, ",\"at\":");
    duro_buf_add_int(b, e->at_ms);
  }
#define X(member, key, TYPE, public_key) WRITE_##TYPE(member, ",\"" key "\":")
#define WRITE_INT(member, prefix)                                                                  \
  if (e->member != 0) {                                                                            \
    duro_buf_add_lit(b, prefix);                                                                   \
    duro_buf_add_int(b, e->member);                                                                \
  }
#define WRITE_TEXT(member, prefix)                                                                 \
  if (e->member.p) {                                                                               \
    duro_buf_add_lit(b, prefix);                                                                   \
    duro_json_add_string(b, e->member);                                                            \
  }
#define WRITE_JSON(member, prefix)                                                                 \
  if (e->member.n) {                                                                               \
    duro_buf_add_lit(b, prefix);                                                                   \
    duro_buf_add_str(b, e->member);                                                                \
  }
#define WRITE_BOOL(member, prefix)                                                                 \
  if (e->member) duro_buf_add_lit(b, prefix "true");
  DURO_EVENT_FIELDS(X)
#undef X
#undef WRITE_INT
#undef WRITE_TEXT
#undef WRITE_JSON
#undef WRITE_BOOL
  duro_buf_add_char(b, '}');
}

// --- Decoding ---

typedef enum field_type { FIELD_INT, FIELD_TEXT, FIELD_JSON, FIELD_BOOL, FIELD_KIND } field_type;

static const struct {
  duro_str key;
  field_type type;
  size_t offset;
} fields[] = {{DURO_STR("id"), FIELD_INT, offsetof(duro_event, id)},
              {DURO_STR("kind"), FIELD_KIND, offsetof(duro_event, kind)},
              {DURO_STR("at"), FIELD_INT, offsetof(duro_event, at_ms)},
#define X(member, key, TYPE, public_key)                                                           \
  {DURO_STR(key), FIELD_##TYPE, offsetof(duro_event, member)},
              DURO_EVENT_FIELDS(X)
#undef X
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

// The table's index of a key, looked for from `start` on and round; FIELD_COUNT when unknown.
static size_t find_field(duro_str key, size_t start) {
  for (size_t i = 0, at = start; i < FIELD_COUNT; i++, at++) {
    if (at >= FIELD_COUNT) at = 0;
    if (duro_str_equal(key, fields[at].key)) return at;
  }
  return FIELD_COUNT;
}

static duro_code corrupt(const duro_json_reader *r, const duro_event *e, const char *what,
                         duro_error **err) {
  return duro_fail(err, DURO_CORRUPT, "event %lld at byte %zu: %s", (long long)e->id,
                   (size_t)(r->at - r->begin), what);
}

static duro_code malformed(const duro_json_reader *r, const duro_event *e, const char *otherwise,
                           duro_error **err) {
  return corrupt(r, e, r->problem ? r->problem : otherwise, err);
}

static duro_code read_kind(duro_json_reader *r, duro_event *e, duro_error **err) {
  if (duro_json_next(r) != DURO_JSON_STRING) return malformed(r, e, "its kind is no string", err);
  if (duro_event_kind_from(r->text, &e->kind)) return DURO_OK;
  int shown = r->text.n < 64 ? (int)r->text.n : 64;
  return duro_fail(err, DURO_CORRUPT, "event %lld at byte %zu: its kind '%.*s' is not known here",
                   (long long)e->id, (size_t)(r->at - r->begin), shown, r->text.p);
}

// The value of a known field, read into its member.
static duro_code read_field(duro_json_reader *r, duro_arena *arena, size_t field, duro_event *e,
                            duro_error **err) {
  void *member = (char *)e + fields[field].offset;
  duro_json_type type;
  switch (fields[field].type) {
  case FIELD_KIND:
    return read_kind(r, e, err);
  case FIELD_INT:
    if (duro_json_next(r) != DURO_JSON_INTEGER) break;
    *(int64_t *)member = r->integer;
    return DURO_OK;
  case FIELD_TEXT:
    if (duro_json_next(r) != DURO_JSON_STRING) break;
    *(duro_str *)member = duro_json_text(r, arena);
    return arena->oom ? duro_fail_oom(err) : DURO_OK;
  case FIELD_JSON:
    if (!duro_json_skip(r, member)) break;
    return DURO_OK;
  case FIELD_BOOL:
    type = duro_json_next(r);
    if (type != DURO_JSON_TRUE && type != DURO_JSON_FALSE) break;
    *(bool *)member = type == DURO_JSON_TRUE;
    return DURO_OK;
  }
  if (r->problem) return corrupt(r, e, r->problem, err);
  return duro_fail(err, DURO_CORRUPT, "event %lld at byte %zu: '%s' has the wrong type",
                   (long long)e->id, (size_t)(r->at - r->begin), fields[field].key.p);
}

// The members of an object whose '{' has been read. `e` is zero but for at_ms.
static duro_code read_event(duro_json_reader *r, duro_arena *arena, duro_event *e,
                            duro_error **err) {
  size_t expected = 0;
  for (;;) {
    duro_json_type type = duro_json_next(r);
    if (type == DURO_JSON_END_OBJECT) break;
    if (type != DURO_JSON_KEY) return malformed(r, e, "not a JSON object", err);
    duro_str key = r->escaped ? duro_json_text(r, arena) : r->text;
    if (arena->oom) return duro_fail_oom(err);
    size_t field = find_field(key, expected);
    if (field == FIELD_COUNT) {
      duro_str unread;
      if (!duro_json_skip(r, &unread)) return malformed(r, e, "not a JSON value", err);
      continue;
    }
    duro_code code = read_field(r, arena, field, e, err);
    if (code) return code;
    expected = field + 1;
  }
  if (e->kind == DURO_EVENT_NONE) return corrupt(r, e, "it has no kind", err);
  return DURO_OK;
}

duro_code duro_event_decode(duro_str text, duro_arena *arena, duro_event *out, duro_error **err) {
  duro_json_reader r;
  *out = (duro_event){0};
  duro_json_open(&r, text);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_OBJECT) {
    return malformed(&r, out, "not a JSON object", err);
  }
  duro_code code = read_event(&r, arena, out, err);
  if (code) return code;
  if (duro_json_next(&r) != DURO_JSON_END) return malformed(&r, out, "more follows it", err);
  return DURO_OK;
}

// The next free place in `out`, zeroed; NULL when memory is out.
static duro_event *add_event(duro_arena *arena, duro_events *out, size_t *capacity) {
  if (out->count == *capacity) {
    size_t larger = *capacity * 2;
    duro_event *items = duro_arena_alloc(arena, larger * sizeof *items);
    if (!items) return NULL;
    memcpy(items, out->items, out->count * sizeof *items);
    out->items = items;
    *capacity = larger;
  }
  duro_event *e = &out->items[out->count++];
  *e = (duro_event){0};
  return e;
}

static duro_code read_array(duro_str text, duro_arena *arena, duro_events *out, size_t *capacity,
                            duro_error **err) {
  static const duro_event nowhere;
  duro_json_reader r;
  int64_t at_ms = 0;
  duro_json_open(&r, text);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_ARRAY) {
    return malformed(&r, &nowhere, "not a JSON array of events", err);
  }
  for (;;) {
    duro_json_type type = duro_json_next(&r);
    if (type == DURO_JSON_END_ARRAY) break;
    int64_t last_id = out->count ? out->items[out->count - 1].id : 0;
    if (type != DURO_JSON_BEGIN_OBJECT) {
      return malformed(&r, &(duro_event){.id = last_id}, "an object must follow it", err);
    }
    duro_event *e = add_event(arena, out, capacity);
    if (!e) return duro_fail_oom(err);
    e->at_ms = at_ms;
    duro_code code = read_event(&r, arena, e, err);
    if (code) return code;
    if (e->id <= last_id) {
      return duro_fail(err, DURO_CORRUPT, "event %lld at byte %zu: it follows event %lld",
                       (long long)e->id, (size_t)(r.at - r.begin), (long long)last_id);
    }
    at_ms = e->at_ms;
  }
  if (duro_json_next(&r) != DURO_JSON_END) {
    return malformed(&r, &nowhere, "more follows the array", err);
  }
  return DURO_OK;
}

duro_code duro_events_decode(const duro_str *texts, size_t text_count, duro_arena *arena,
                             duro_events *out, duro_error **err) {
  size_t bytes = 0;
  for (size_t i = 0; i < text_count; i++) bytes += texts[i].n;
  size_t capacity = bytes / 96 + 4; // a usual event has about 96 bytes, so this rarely grows
  *out = (duro_events){0};
  out->items = duro_arena_alloc(arena, capacity * sizeof *out->items);
  if (!out->items) return duro_fail_oom(err);
  for (size_t i = 0; i < text_count; i++) {
    duro_code code = read_array(texts[i], arena, out, &capacity, err);
    if (code) return code;
  }
  return DURO_OK;
}
