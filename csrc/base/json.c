// The JSON reader of json.h: a cursor that gives one token at a time. json_write.c is its other
// half.
//
// `expect` says what may come next, so each call is one step of a small automaton; the open
// containers are on `stack`. duro_json_skip takes the same steps without converting numbers, so
// what it passes is exactly what duro_json_next would accept. Each refusal leaves a sentence in
// `problem` and the cursor at the offending byte. Nothing reads at or behind `end`.
#include "base/json.h"
#include "base/json_internal.h"

#include <float.h>

enum {
  VALUE,       // a value must come
  FIRST_VALUE, // behind '[': a value or ']'
  FIRST_KEY,   // behind '{': a key or '}'
  AFTER_VALUE, // inside a container: ',' or its end
  OVER,        // behind the outermost value
  REFUSED,
};

static duro_json_type refuse(duro_json_reader *r, const char *at, const char *problem) {
  r->at = at;
  r->problem = problem;
  r->expect = REFUSED;
  return DURO_JSON_ERROR;
}

static inline void skip_space(duro_json_reader *r) {
  const char *p = r->at;
  while (p < r->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
  r->at = p;
}

static inline bool inside_object(const duro_json_reader *r) {
  return r->stack[r->depth - 1] == '{';
}

static inline void value_ended(duro_json_reader *r) { r->expect = r->depth ? AFTER_VALUE : OVER; }

// --- Strings ---

static int hex4(const char *p, const char *end) {
  if (end - p < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    if (c >= '0' && c <= '9') {
      value = value << 4 | (c - '0');
    } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
      value = value << 4 | ((c | 32) - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

static bool is_high_surrogate(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }

static bool is_low_surrogate(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

// `p` is at a backslash; gives the byte behind the escape, or NULL when it was refused.
static const char *scan_escape(duro_json_reader *r, const char *p) {
  if (r->end - p < 2) {
    refuse(r, p, "the text ends inside a string");
    return NULL;
  }
  if (p[1] != 'u') {
    if (p[1] && strchr("\"\\/bfnrt", p[1])) return p + 2;
    refuse(r, p, "there is no such escape in a string");
    return NULL;
  }
  int unit = hex4(p + 2, r->end);
  if (unit < 0) {
    refuse(r, p, "\\u wants four hexadecimal digits");
    return NULL;
  }
  if (!is_high_surrogate(unit) && !is_low_surrogate(unit)) return p + 6;
  bool paired = is_high_surrogate(unit) && r->end - p >= 8 && p[6] == '\\' && p[7] == 'u' &&
                is_low_surrogate(hex4(p + 8, r->end));
  if (paired) return p + 12;
  refuse(r, p, "an escaped surrogate stands alone in a string");
  return NULL;
}

// `r->at` is at the opening quote. Leaves the raw bytes in `text` and the cursor behind the string.
static bool scan_string(duro_json_reader *r) {
  const char *begin = r->at + 1, *p = begin, *end = r->end;
  r->escaped = false;
  for (;;) {
    p += duro__json_plain_run(p, (size_t)(end - p), false);
    if (p == end) {
      refuse(r, p, "the text ends inside a string");
      return false;
    }
    if (*p == '"') break;
    if (*p == '\\') {
      r->escaped = true;
      p = scan_escape(r, p);
      if (!p) return false;
    } else if ((unsigned char)*p < 0x20) {
      refuse(r, p, "a control character in a string must be escaped");
      return false;
    } else {
      size_t n = duro__utf8_length(p, end);
      if (!n) {
        refuse(r, p, "a string is not UTF-8");
        return false;
      }
      p += n;
    }
  }
  r->text = (duro_str){begin, (size_t)(p - begin)};
  r->at = p + 1;
  return true;
}

static size_t put_utf8(char *out, unsigned c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 63));
    out[2] = (char)(0x80 | (c & 63));
    return 3;
  }
  out[0] = (char)(0xf0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 63));
  out[2] = (char)(0x80 | (c >> 6 & 63));
  out[3] = (char)(0x80 | (c & 63));
  return 4;
}

// One escape at `*at`. The reader has checked it; in a text that never went through the reader '?'
// stands for what is no character, and nothing is read behind `end`.
static size_t unescape_one(char *out, const char **at, const char *end) {
  const char *p = *at;
  if (end - p < 2) {
    *at = end;
    return put_utf8(out, '\\');
  }
  if (p[1] != 'u') {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *found = p[1] ? strchr(from, p[1]) : NULL;
    *at = p + 2;
    *out = found ? to[found - from] : p[1];
    return 1;
  }
  int unit = hex4(p + 2, end);
  *at = unit < 0 ? p + 2 : p + 6;
  if (is_high_surrogate(unit) && end - p >= 8 && p[6] == '\\' && p[7] == 'u') {
    int low = hex4(p + 8, end);
    if (is_low_surrogate(low)) {
      *at = p + 12;
      return put_utf8(out, 0x10000u + ((unsigned)(unit - 0xd800) << 10) + (unsigned)(low - 0xdc00));
    }
  }
  bool character = unit >= 0 && !is_high_surrogate(unit) && !is_low_surrogate(unit);
  return put_utf8(out, character ? (unsigned)unit : '?');
}

// `out` has room for raw.n bytes: no escape is shorter than what it stands for.
static size_t unescape(char *out, duro_str raw) {
  const char *p = raw.p, *end = raw.p + raw.n;
  char *to = out;
  while (p < end) {
    const char *escape = memchr(p, '\\', (size_t)(end - p));
    size_t plain = (size_t)((escape ? escape : end) - p);
    memcpy(to, p, plain);
    to += plain;
    p += plain;
    if (escape) to += unescape_one(to, &p, end);
  }
  return (size_t)(to - out);
}

void duro_json_unescape(duro_buf *b, duro_str raw) {
  if (raw.n && duro_buf_reserve(b, raw.n)) b->n += unescape(b->p + b->n, raw);
}

duro_str duro_json_text(const duro_json_reader *r, duro_arena *arena) {
  if (!r->escaped) return r->text;
  char *p = duro_arena_alloc(arena, r->text.n + 1);
  if (!p) return DURO_NONE;
  size_t n = unescape(p, r->text);
  p[n] = 0;
  return (duro_str){p, n};
}

// --- Numbers ---

static inline const char *skip_digits(const char *p, const char *end) {
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p;
}

// The value of an unsigned run of digits when it fits int64, with that sign.
static bool read_integer(const char *p, const char *end, bool negative, int64_t *out) {
  if (end - p > 19) return false;
  uint64_t value = 0; // 19 digits always fit
  for (; p < end; p++) value = value * 10 + (uint64_t)(*p - '0');
  if (value > (uint64_t)INT64_MAX + negative) return false;
  *out = (int64_t)(negative ? 0 - value : value);
  return true;
}

static duro_json_type number(duro_json_reader *r, bool light) {
  const char *begin = r->at, *end = r->end;
  bool negative = *begin == '-';
  const char *digits = begin + negative;
  const char *p = skip_digits(digits, end);
  if (p == digits) return refuse(r, p, "'-' must be followed by a digit");
  if (*digits == '0' && p - digits > 1) return refuse(r, digits, "a number has a leading zero");
  const char *whole_end = p;
  if (p < end && *p == '.') {
    const char *fraction = p + 1;
    p = skip_digits(fraction, end);
    if (p == fraction) return refuse(r, p, "a decimal point must be followed by a digit");
  }
  bool exponent = p < end && (*p | 32) == 'e';
  if (exponent) {
    const char *power = p + 1;
    if (power < end && (*power == '+' || *power == '-')) power++;
    p = skip_digits(power, end);
    if (p == power) return refuse(r, p, "an exponent must have a digit");
  }
  bool small = !exponent && whole_end - digits < 300; // finite without a look
  if (light && small) {
    r->at = p;
    value_ended(r);
    return DURO_JSON_DOUBLE;
  }
  bool minus_zero = negative && *digits == '0'; // which no int64 can hold
  bool integer = p == whole_end && !minus_zero && read_integer(digits, p, negative, &r->integer);
  r->number = integer ? (double)r->integer : duro__json_read_double(begin, p);
  if (!integer && (r->number > DBL_MAX || r->number < -DBL_MAX)) {
    return refuse(r, begin, "a number is too large for a double");
  }
  r->at = p;
  value_ended(r);
  return integer ? DURO_JSON_INTEGER : DURO_JSON_DOUBLE;
}

// --- The automaton ---

static duro_json_type literal(duro_json_reader *r, duro_str word, duro_json_type type) {
  if (!duro_str_starts_with((duro_str){r->at, (size_t)(r->end - r->at)}, word)) {
    return refuse(r, r->at, "a word is none of true, false and null");
  }
  r->at += word.n;
  value_ended(r);
  return type;
}

static duro_json_type open_container(duro_json_reader *r) {
  if (r->depth == DURO_JSON_MAX_DEPTH) return refuse(r, r->at, "the text is nested too deeply");
  bool object = *r->at == '{';
  r->stack[r->depth++] = (uint8_t)*r->at++;
  r->expect = object ? FIRST_KEY : FIRST_VALUE;
  return object ? DURO_JSON_BEGIN_OBJECT : DURO_JSON_BEGIN_ARRAY;
}

static duro_json_type close_container(duro_json_reader *r) {
  bool object = inside_object(r);
  r->at++;
  r->depth--;
  value_ended(r);
  return object ? DURO_JSON_END_OBJECT : DURO_JSON_END_ARRAY;
}

static inline bool at_end_of_container(const duro_json_reader *r) {
  return r->at < r->end && *r->at == (inside_object(r) ? '}' : ']');
}

static duro_json_type missing_comma(duro_json_reader *r) {
  bool object = inside_object(r);
  if (r->at == r->end) {
    return refuse(r, r->at,
                  object ? "the text ends inside an object" : "the text ends inside an array");
  }
  return refuse(r, r->at,
                object ? "',' or '}' must follow a member" : "',' or ']' must follow an element");
}

static inline duro_json_type value(duro_json_reader *r, bool light) {
  if (r->at == r->end) return refuse(r, r->at, "the text ends where a value must come");
  switch (*r->at) {
  case '"':
    if (!scan_string(r)) return DURO_JSON_ERROR;
    value_ended(r);
    return DURO_JSON_STRING;
  case '{':
  case '[':
    return open_container(r);
  case 't':
    return literal(r, DURO_STR("true"), DURO_JSON_TRUE);
  case 'f':
    return literal(r, DURO_STR("false"), DURO_JSON_FALSE);
  case 'n':
    return literal(r, DURO_STR("null"), DURO_JSON_NULL);
  case ']':
  case '}':
    return refuse(r, r->at, "a value is missing in front of a closing bracket");
  case ',':
    return refuse(r, r->at, "a value is missing in front of a comma");
  default:
    if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')) return number(r, light);
    return refuse(r, r->at, "no value begins with this character");
  }
}

static duro_json_type key(duro_json_reader *r) {
  if (r->at == r->end) return refuse(r, r->at, "the text ends inside an object");
  if (*r->at != '"') return refuse(r, r->at, "a key in quotes must come in an object");
  if (!scan_string(r)) return DURO_JSON_ERROR;
  skip_space(r);
  if (r->at == r->end || *r->at != ':') return refuse(r, r->at, "':' must follow a key");
  r->at++;
  r->expect = VALUE;
  return DURO_JSON_KEY;
}

static inline duro_json_type next(duro_json_reader *r, bool light) {
  skip_space(r);
  switch (r->expect) {
  case AFTER_VALUE:
    if (at_end_of_container(r)) return close_container(r);
    if (r->at == r->end || *r->at != ',') return missing_comma(r);
    r->at++;
    skip_space(r);
    return inside_object(r) ? key(r) : value(r, light);
  case FIRST_KEY:
    return at_end_of_container(r) ? close_container(r) : key(r);
  case FIRST_VALUE:
    return at_end_of_container(r) ? close_container(r) : value(r, light);
  case VALUE:
    return value(r, light);
  case OVER:
    if (r->at == r->end) return DURO_JSON_END;
    return refuse(r, r->at, "something follows the value");
  default:
    return DURO_JSON_ERROR;
  }
}

void duro_json_open(duro_json_reader *r, duro_str text) {
  const char *p = text.p ? text.p : "";
  // Not the stack: clearing it would cost more than reading a small text.
  r->begin = r->at = p;
  r->end = p + text.n;
  r->depth = 0;
  r->expect = VALUE;
  r->problem = NULL;
  r->integer = 0;
  r->number = 0;
  r->text = DURO_NONE;
  r->escaped = false;
}

duro_json_type duro_json_next(duro_json_reader *r) { return next(r, false); }

// Moves to the first byte of the value that comes. False at the end of an array or of the text, and
// where no value can come; only the latter is a problem.
static bool find_value(duro_json_reader *r) {
  skip_space(r);
  if (r->expect == VALUE) return true;
  if (r->expect == OVER || r->expect == REFUSED) return false;
  if (inside_object(r)) {
    refuse(r, r->at, "a key must be read before its value is skipped");
    return false;
  }
  if (at_end_of_container(r)) return false;
  if (r->expect == AFTER_VALUE) {
    if (r->at == r->end || *r->at != ',') return missing_comma(r) != DURO_JSON_ERROR;
    r->at++;
    skip_space(r);
  }
  r->expect = VALUE;
  return true;
}

bool duro_json_skip(duro_json_reader *r, duro_str *value) {
  if (!find_value(r)) return false;
  const char *begin = r->at;
  int depth = r->depth;
  do {
    if (next(r, true) == DURO_JSON_ERROR) return false;
  } while (r->depth > depth);
  if (value) *value = (duro_str){begin, (size_t)(r->at - begin)};
  return true;
}

bool duro_json_valid(duro_str text) {
  duro_json_reader r;
  duro_json_open(&r, text);
  return duro_json_skip(&r, NULL) && duro_json_next(&r) == DURO_JSON_END;
}

// --- Look-ups ---

static bool key_is(const duro_json_reader *r, duro_str key) {
  if (!r->escaped) return duro_str_equal(r->text, key);
  duro_buf plain = {0};
  duro_json_unescape(&plain, r->text);
  bool same = !plain.oom && duro_str_equal(duro_buf_str(&plain), key);
  duro_buf_free(&plain);
  return same;
}

// The first of equal keys wins: the rest of the text is not read.
duro_str duro_json_member(duro_str object, const char *key) {
  duro_json_reader r;
  duro_str wanted = duro_str_from(key), found;
  duro_json_open(&r, object);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_OBJECT) return DURO_NONE;
  while (duro_json_next(&r) == DURO_JSON_KEY) {
    bool here = key_is(&r, wanted);
    if (!duro_json_skip(&r, &found)) break;
    if (here) return found;
  }
  return DURO_NONE;
}

static duro_json_type read_member(duro_json_reader *r, duro_str object, const char *key) {
  duro_json_open(r, duro_json_member(object, key));
  return duro_json_next(r);
}

int64_t duro_json_member_int(duro_str object, const char *key, int64_t otherwise) {
  duro_json_reader r;
  duro_json_type type = read_member(&r, object, key);
  if (type == DURO_JSON_INTEGER) return r.integer;
  // 3.0 is an integer to a Lua that has only doubles.
  bool whole = type == DURO_JSON_DOUBLE && r.number >= -0x1p63 && r.number < 0x1p63 &&
               (double)(int64_t)r.number == r.number;
  return whole ? (int64_t)r.number : otherwise;
}

double duro_json_member_double(duro_str object, const char *key, double otherwise) {
  duro_json_reader r;
  duro_json_type type = read_member(&r, object, key);
  return type == DURO_JSON_INTEGER || type == DURO_JSON_DOUBLE ? r.number : otherwise;
}

bool duro_json_member_bool(duro_str object, const char *key, bool otherwise) {
  duro_json_reader r;
  duro_json_type type = read_member(&r, object, key);
  if (type == DURO_JSON_TRUE) return true;
  return type == DURO_JSON_FALSE ? false : otherwise;
}

duro_str duro_json_member_text(duro_str object, const char *key, duro_arena *arena) {
  duro_json_reader r;
  if (read_member(&r, object, key) != DURO_JSON_STRING) return DURO_NONE;
  return duro_json_text(&r, arena);
}
