// The checks of arguments.h: ids, texts, payloads, numbers, attributes and lists of ids.
#include "runtime/arguments.h"

#include <stdlib.h>

#include "runtime/suggest.h"

static bool is_null(duro_str value) { return duro_str_equal(value, DURO_STR("null")); }

duro_str duro__member(duro_str object, const char *key) {
  duro_str value = duro_json_member(object, key);
  return is_null(value) ? DURO_NONE : value;
}

static char first_byte(duro_str value) { return value.n ? value.p[0] : '\0'; }

bool duro__arg_object(duro_request *r, duro_str arguments) {
  duro_json_reader reader;
  duro_json_open(&reader, arguments);
  if (duro_json_next(&reader) == DURO_JSON_BEGIN_OBJECT) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the arguments must be a JSON object");
  return false;
}

bool duro__argument_id_ok(duro_request *r, const char *what, duro_str id, size_t max_bytes) {
  char why[128];
  if (!duro_id_problem(id, max_bytes, why)) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the %s %s", what, why);
  return false;
}

// The unescaped text of a member that is present; absent when memory is out.
static duro_str text_of(duro_str value, duro_arena *arena) {
  duro_json_reader reader;
  duro_json_open(&reader, value);
  if (duro_json_next(&reader) != DURO_JSON_STRING) return DURO_NONE;
  duro_str text = duro_json_text(&reader, arena);
  return text.p ? text : DURO_NONE;
}

static bool fail_memory(duro_request *r) {
  duro__request_fail(r, DURO_OUT_OF_MEMORY, "%s", duro_code_sentence(DURO_OUT_OF_MEMORY));
  return false;
}

static bool text_of_member(duro_request *r, duro_str value, const char *key, duro__need need,
                           duro_arena *arena, duro_str *out) {
  *out = DURO_NONE;
  if (!value.p || is_null(value)) {
    if (need == DURO__OPTIONAL) return true;
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s' is missing", key);
    return false;
  }
  if (first_byte(value) != '"') {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s' must be a string", key);
    return false;
  }
  *out = text_of(value, arena);
  return out->p ? true : fail_memory(r);
}

static bool read_text(duro_request *r, duro_str args, const char *key, duro__need need,
                      duro_arena *arena, duro_str *out) {
  return text_of_member(r, duro_json_member(args, key), key, need, arena, out);
}

bool duro__arg_id_of(duro_request *r, duro_str value, const char *key, duro__need need,
                     size_t max_bytes, duro_arena *arena, duro_str *out) {
  if (!text_of_member(r, value, key, need, arena, out)) return false;
  return !out->p || duro__argument_id_ok(r, key, *out, max_bytes);
}

bool duro__arg_id(duro_request *r, duro_str args, const char *key, duro__need need,
                  size_t max_bytes, duro_arena *arena, duro_str *out) {
  return duro__arg_id_of(r, duro_json_member(args, key), key, need, max_bytes, arena, out);
}

static bool too_large(duro_request *r, const char *key, size_t bytes, size_t allowed) {
  duro__request_fail(r, DURO_TOO_LARGE, "'%s' has %zu bytes, %zu are allowed", key, bytes, allowed);
  return false;
}

bool duro__arg_text(duro_request *r, duro_str args, const char *key, size_t max_bytes,
                    duro_arena *arena, duro_str *out) {
  if (!read_text(r, args, key, DURO__OPTIONAL, arena, out)) return false;
  return out->n <= max_bytes || too_large(r, key, out->n, max_bytes);
}

// --- Words ---

static bool find_word(duro_request *r, const char *key, duro_str text, const char *const *words,
                      int *out) {
  for (int i = 0; words[i]; i++) {
    *out = i;
    if (duro_str_equal(text, duro_str_from(words[i]))) return true;
  }
  const char *near = duro__nearest(text, words);
  duro_buf known = {0};
  for (int i = 0; words[i] && !near; i++) duro_buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "'%s' cannot be '%.*s' (%s%.*s%s)", key,
                     DURO_FMT(duro_str_cut(text, DURO_MAX_NAME_BYTES)),
                     near ? "did you mean '" : "known: ",
                     DURO_FMT(near ? duro_str_from(near) : duro_buf_str(&known)), near ? "'?" : "");
  duro_buf_free(&known);
  return false;
}

bool duro__arg_word(duro_request *r, duro_str args, const char *key, duro__need need,
                    const char *const *words, int *out) {
  duro_arena arena = {0};
  duro_str text;
  int index = 0;
  bool fine = read_text(r, args, key, need, &arena, &text);
  if (fine && text.p) {
    fine = find_word(r, key, text, words, &index);
    if (fine) *out = index;
  }
  duro_arena_free(&arena);
  return fine;
}

static bool add_word(duro_request *r, const char *key, const duro_json_reader *reader,
                     const char *const *words, unsigned *out) {
  duro_arena arena = {0};
  duro_str text = duro_json_text(reader, &arena);
  int index = 0;
  bool fine = text.p ? find_word(r, key, text, words, &index) : fail_memory(r);
  if (fine) *out |= 1u << index;
  duro_arena_free(&arena);
  return fine;
}

bool duro__arg_words(duro_request *r, duro_str args, const char *key, const char *const *words,
                     unsigned *out) {
  duro_json_reader reader;
  duro_str value = duro__member(args, key);
  *out = 0;
  if (!value.p || duro_str_equal(value, DURO_STR("{}"))) return true; // {} of Lua
  duro_json_open(&reader, value);
  duro_json_type type = duro_json_next(&reader);
  if (type == DURO_JSON_STRING) return add_word(r, key, &reader, words, out);
  if (type == DURO_JSON_BEGIN_ARRAY) type = duro_json_next(&reader);
  while (type == DURO_JSON_STRING) {
    if (!add_word(r, key, &reader, words, out)) return false;
    type = duro_json_next(&reader);
  }
  if (type == DURO_JSON_END_ARRAY) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s' must be an array of words", key);
  return false;
}

// --- The others ---

bool duro__arg_payload_of(duro_request *r, duro_str value, const char *key, duro_str *out) {
  *out = value;
  return out->n <= DURO_MAX_PAYLOAD_BYTES || too_large(r, key, out->n, DURO_MAX_PAYLOAD_BYTES);
}

bool duro__arg_payload(duro_request *r, duro_str args, const char *key, duro_str *out) {
  return duro__arg_payload_of(r, duro_json_member(args, key), key, out);
}

bool duro__arg_int(duro_request *r, duro_str args, const char *key, int64_t otherwise,
                   int64_t least, int64_t *out) {
  *out = otherwise;
  duro_str value = duro__member(args, key);
  if (!value.p) return true;
  // Two defaults tell a number from something else.
  int64_t number = duro_json_member_int(args, key, 0);
  if (number == 0 && duro_json_member_int(args, key, 1) == 1) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s' must be a whole number", key);
    return false;
  }
  if (number < least) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT,
                       "the argument '%s' is %lld, at least %lld is allowed", key,
                       (long long)number, (long long)least);
    return false;
  }
  *out = number;
  return true;
}

static bool is_scalar(duro_str value) {
  char c = first_byte(value);
  return c != '{' && c != '[' && !is_null(value);
}

bool duro__arg_attributes(duro_request *r, duro_str args, duro_str *out) {
  *out = DURO_NONE;
  duro_str object = duro__member(args, "attributes");
  if (!object.p) return true;
  duro_json_reader reader;
  duro_json_open(&reader, object);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_OBJECT) {
    // An empty Lua table comes as [].
    if (first_byte(object) == '[' && duro_json_next(&reader) == DURO_JSON_END_ARRAY) return true;
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'attributes' must be an object");
    return false;
  }
  size_t count = 0;
  while (duro_json_next(&reader) == DURO_JSON_KEY) {
    duro_str key = reader.text, value;
    if (!duro_json_skip(&reader, &value)) break;
    if (key.n == 0 || !is_scalar(value)) {
      duro__request_fail(r, DURO_INVALID_ARGUMENT,
                         "the attribute '%.*s' must be a string, a number or a boolean",
                         DURO_FMT(key));
      return false;
    }
    size_t bytes = key.n > value.n ? key.n : value.n;
    if (bytes > DURO_MAX_ATTRIBUTE_BYTES) {
      return too_large(r, "attributes", bytes, DURO_MAX_ATTRIBUTE_BYTES);
    }
    count++;
  }
  if (reader.problem) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'attributes' is no JSON: %s", reader.problem);
    return false;
  }
  if (count > DURO_MAX_ATTRIBUTES) {
    duro__request_fail(r, DURO_TOO_LARGE, "%zu attributes are given, %d are allowed", count,
                       DURO_MAX_ATTRIBUTES);
    return false;
  }
  if (count) *out = object;
  return true;
}

static bool not_an_array(duro_request *r, const char *key) {
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "%s%s%s must be an array of instance ids",
                     key ? "'" : "", key ? key : "the argument", key ? "'" : "");
  return false;
}

bool duro__arg_ids(duro_request *r, duro_str args, const char *key, duro_arena *arena,
                   duro_str **out, size_t *count) {
  *out = NULL;
  *count = 0;
  duro_str array = key ? duro__member(args, key) : args;
  DURO__VEC(duro_str) ids = {0};
  duro_json_reader reader;
  duro_json_open(&reader, array);
  duro_json_type first = duro_json_next(&reader);
  if (first == DURO_JSON_BEGIN_OBJECT && duro_json_next(&reader) == DURO_JSON_END_OBJECT)
    return true; // {} of Lua
  bool fine = first == DURO_JSON_BEGIN_ARRAY || not_an_array(r, key);
  while (fine) {
    duro_json_type type = duro_json_next(&reader);
    if (type == DURO_JSON_END_ARRAY) break;
    if (type != DURO_JSON_STRING) {
      fine = not_an_array(r, key);
      break;
    }
    duro_str id = duro_json_text(&reader, arena);
    duro_str *slot = duro__vec_push(&ids);
    if (!slot || !id.p)
      fine = fail_memory(r);
    else if ((fine = duro__argument_id_ok(r, "instance id", id, DURO_MAX_DERIVED_ID_BYTES)))
      *slot = id;
  }
  if (fine && ids.count) {
    *out = duro_arena_alloc(arena, ids.count * sizeof **out);
    if (*out)
      memcpy(*out, ids.items, ids.count * sizeof **out);
    else
      fine = fail_memory(r);
    *count = fine ? ids.count : 0;
  }
  free(ids.items);
  return fine;
}

bool duro__arg_only(duro_request *r, duro_str args, duro_arena *arena, duro_filter *filter) {
  static const duro_str nobody = {"", 0};
  duro_str *ids;
  size_t count;
  if (!duro__member(args, "only").p) return true;
  if (!duro__arg_ids(r, args, "only", arena, &ids, &count)) return false;
  filter->ids = count ? ids : &nobody;
  filter->id_count = count ? count : 1;
  return true;
}
