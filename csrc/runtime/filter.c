// The filter of a list, from its JSON. One row of a table per kind of member; an unknown member is
// refused, so that a misspelt filter never widens what a bulk operation touches.
//
// Time limits are epoch seconds and exclusive; the store compares whole milliseconds.
#include <math.h>
#include <stdlib.h>

#include "runtime/arguments.h"
#include "runtime/suggest.h"

// The only ones whose rows hold an error.
#define WITH_ERROR                                                                                 \
  (1u << DURO_STATUS_FAILED | 1u << DURO_STATUS_CANCELLED | 1u << DURO_STATUS_TERMINATED |         \
   1u << DURO_STATUS_STALLED)

typedef struct filter_reader {
  duro_request *request;
  duro_arena *arena;
  duro_filter *out;
} filter_reader;

static bool refuse(filter_reader *f, const char *key, const char *what) {
  duro__request_fail(f->request, DURO_INVALID_ARGUMENT, "the filter's '%s' %s", key, what);
  return false;
}

static bool no_memory(filter_reader *f) {
  duro__request_fail(f->request, DURO_OUT_OF_MEMORY, "%s", duro_code_sentence(DURO_OUT_OF_MEMORY));
  return false;
}

// The next text of "one string or an array of them". False at the end; *fine false on a problem.
static bool next_text(filter_reader *f, duro_json_reader *reader, const char *key, bool *fine,
                      duro_str *out) {
  duro_json_type type = duro_json_next(reader);
  if (type == DURO_JSON_BEGIN_ARRAY && reader->depth == 1) type = duro_json_next(reader);
  if (type == DURO_JSON_END_ARRAY || type == DURO_JSON_END) return false;
  if (type != DURO_JSON_STRING) {
    *fine = refuse(f, key, "must be a string or an array of strings");
    return false;
  }
  *out = duro_json_text(reader, f->arena);
  if (!out->p) *fine = no_memory(f);
  return *fine;
}

static void unknown_status(filter_reader *f, duro_str text) {
  static const char *const known[] = {"pending", "running",   "suspended",  "stalled", "completed",
                                      "failed",  "cancelled", "terminated", NULL};
  const char *near = duro__nearest(text, known);
  duro__request_fail(f->request, DURO_INVALID_ARGUMENT, "there is no status '%.*s'%s%s%s",
                     DURO_FMT(text), near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "");
}

static bool read_statuses(filter_reader *f, duro_str value) {
  duro_json_reader reader;
  duro_str text;
  bool fine = true, any = false;
  duro_json_open(&reader, value);
  while (next_text(f, &reader, "status", &fine, &text)) {
    duro_status status;
    if (!duro_status_from(text, &status) || status == DURO_STATUS_CONTINUED_AS_NEW) {
      unknown_status(f, text);
      return false;
    }
    f->out->statuses |= 1u << status;
    any = true;
  }
  return fine && (any || refuse(f, "status", "names no status"));
}

static bool read_names(filter_reader *f, duro_str value) {
  DURO__VEC(duro_name_match) names = {0};
  duro_json_reader reader;
  duro_str text;
  bool fine = true;
  duro_json_open(&reader, value);
  while (next_text(f, &reader, "name", &fine, &text)) {
    duro_name_match *match = duro__vec_push(&names);
    if (!match) {
      fine = no_memory(f);
      break;
    }
    match->prefix = text.n && text.p[text.n - 1] == '*';
    match->text = (duro_str){text.p, text.n - (match->prefix ? 1 : 0)};
  }
  if (fine && !names.count) fine = refuse(f, "name", "names nothing");
  if (fine) {
    size_t bytes = names.count * sizeof *names.items;
    duro_name_match *copy = duro_arena_alloc(f->arena, bytes);
    if (copy) {
      memcpy(copy, names.items, bytes);
      f->out->names = copy;
      f->out->name_count = names.count;
    } else {
      fine = no_memory(f);
    }
  }
  free(names.items);
  return fine;
}

static bool read_attributes(filter_reader *f, duro_str value) {
  DURO__VEC(duro_attribute_match) all = {0};
  duro_json_reader reader;
  bool fine = true;
  duro_json_open(&reader, value);
  duro_json_type type = duro_json_next(&reader);
  if (type == DURO_JSON_BEGIN_ARRAY) { // an empty Lua table
    return duro_json_next(&reader) == DURO_JSON_END_ARRAY ||
           refuse(f, "attributes", "must be an object");
  }
  if (type != DURO_JSON_BEGIN_OBJECT) return refuse(f, "attributes", "must be an object");
  while (fine && duro_json_next(&reader) == DURO_JSON_KEY) {
    duro_attribute_match *match = duro__vec_push(&all);
    if (!match) {
      fine = no_memory(f);
      break;
    }
    match->key = duro_json_text(&reader, f->arena);
    if (!duro_json_skip(&reader, &match->value)) break;
    char c = match->value.n ? match->value.p[0] : 'n';
    if (c == '{' || c == '[' || c == 'n')
      fine = refuse(f, "attributes", "may hold plain values only");
  }
  if (fine && all.count) {
    size_t bytes = all.count * sizeof *all.items;
    duro_attribute_match *copy = duro_arena_alloc(f->arena, bytes);
    if (copy) {
      memcpy(copy, all.items, bytes);
      f->out->attributes = copy;
      f->out->attribute_count = all.count;
    } else {
      fine = no_memory(f);
    }
  }
  free(all.items);
  return fine;
}

static bool read_waiting_on(filter_reader *f, duro_str text) {
  static const duro_str words[] = {DURO_STR("activity"), DURO_STR("timer"), DURO_STR("event"),
                                   DURO_STR("sub_orchestration"), DURO_STR("condition")};
  f->out->waiting_on = text;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (duro_str_equal(text, words[i])) return true;
  }
  duro_str prefix = DURO_STR("event:");
  if (duro_str_starts_with(text, prefix) && text.n > prefix.n) return true;
  return refuse(f, "waiting_on",
                "must be activity, timer, event, sub_orchestration, condition or event:NAME");
}

static bool read_string(filter_reader *f, const char *key, duro_str value, duro_str *out) {
  duro_json_reader reader;
  duro_json_open(&reader, value);
  if (duro_json_next(&reader) != DURO_JSON_STRING) return refuse(f, key, "must be a string");
  *out = duro_json_text(&reader, f->arena);
  return out->p ? true : no_memory(f);
}

static bool read_flag(filter_reader *f, const char *key, duro_str value, int *out) {
  bool yes = duro_str_equal(value, DURO_STR("true"));
  if (!yes && !duro_str_equal(value, DURO_STR("false")))
    return refuse(f, key, "must be true or false");
  *out = yes ? 1 : -1;
  return true;
}

// Seconds to whole milliseconds such that an exclusive comparison stays right: a limit between two
// milliseconds goes down for "after" and up for "before". 0 means "not asked", so it is kept away.
static bool read_time(filter_reader *f, const char *key, duro_str value, bool before,
                      int64_t *out) {
  duro_json_reader reader;
  duro_json_open(&reader, value);
  duro_json_type type = duro_json_next(&reader);
  if (type != DURO_JSON_INTEGER && type != DURO_JSON_DOUBLE)
    return refuse(f, key, "must be a time");
  double ms = reader.number * 1000, near = round(ms);
  if (fabs(ms - near) < 1e-3)
    ms = near; // a double does not hold every millisecond exactly
  else
    ms = before ? ceil(ms) : floor(ms);
  if (ms > 9e15) ms = 9e15;
  *out = ms < 1 ? (before ? 1 : 0) : (int64_t)ms;
  return true;
}

static bool unknown_key(filter_reader *f, const char *key) {
  static const char *const known[] = {"status",          "name",
                                      "version",         "id_prefix",
                                      "created_after",   "created_before",
                                      "updated_after",   "updated_before",
                                      "completed_after", "completed_before",
                                      "has_parent",      "parent_instance",
                                      "attributes",      "error_contains",
                                      "waiting_on",      NULL};
  const char *near = duro__nearest(duro_str_from(key), known);
  duro__request_fail(f->request, DURO_INVALID_ARGUMENT, "the filter's '%s' is not known%s%s%s", key,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
  return false;
}

static bool read_member(filter_reader *f, const char *key, duro_str value) {
  duro_filter *out = f->out;
  const struct {
    const char *key;
    int64_t *ms;
    bool before;
  } times[] = {
      {"created_after", &out->created_after, false},
      {"created_before", &out->created_before, true},
      {"updated_after", &out->updated_after, false},
      {"updated_before", &out->updated_before, true},
      {"completed_after", &out->completed_after, false},
      {"completed_before", &out->completed_before, true},
  };
  const struct {
    const char *key;
    duro_str *text;
  } texts[] = {{"version", &out->version},
               {"id_prefix", &out->id_prefix},
               {"parent_instance", &out->parent_id},
               {"error_contains", &out->error_contains},
               {"waiting_on", &out->waiting_on}};
  if (strcmp(key, "status") == 0) return read_statuses(f, value);
  if (strcmp(key, "name") == 0) return read_names(f, value);
  if (strcmp(key, "attributes") == 0) return read_attributes(f, value);
  if (strcmp(key, "has_parent") == 0) return read_flag(f, key, value, &out->has_parent);
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    if (strcmp(key, times[i].key) == 0)
      return read_time(f, key, value, times[i].before, times[i].ms);
  }
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (strcmp(key, texts[i].key) != 0) continue;
    if (!read_string(f, key, value, texts[i].text)) return false;
    return strcmp(key, "waiting_on") != 0 || read_waiting_on(f, *texts[i].text);
  }
  return unknown_key(f, key);
}

bool duro__arg_filter(duro_request *r, duro_str json, duro_arena *arena, duro_filter *out) {
  filter_reader f = {r, arena, out};
  memset(out, 0, sizeof *out);
  if (!json.p) return true;
  duro_json_reader reader;
  duro_json_open(&reader, json);
  duro_json_type type = duro_json_next(&reader);
  if (type == DURO_JSON_BEGIN_ARRAY && duro_json_next(&reader) == DURO_JSON_END_ARRAY) return true;
  if (type != DURO_JSON_BEGIN_OBJECT) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the filter must be an object");
    return false;
  }
  while (duro_json_next(&reader) == DURO_JSON_KEY) {
    duro_str value, key = duro_arena_dup(arena, reader.text);
    if (!duro_json_skip(&reader, &value)) break;
    if (!key.p) return no_memory(&f);
    if (duro_str_equal(value, DURO_STR("null"))) continue;
    if (!read_member(&f, key.p, value)) return false;
  }
  if (out->error_contains.n && !out->statuses) out->statuses = WITH_ERROR; // an index to begin with
  if (!reader.problem) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the filter is no JSON: %s", reader.problem);
  return false;
}
