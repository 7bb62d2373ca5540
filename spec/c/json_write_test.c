/* Writing JSON: what is written reads back as it was, is as short as it can be, and is the same in
 * every locale. */
#include "base/json.h"
#include "base/clock.h"
#include "check.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

static void check_string(duro_str s, const char *want) {
  duro_buf b = {0};
  duro_json_add_string(&b, s);
  CHECK_BYTES(b.p, b.n, want, strlen(want));
  duro_buf_free(&b);
}

TEST(strings_are_quoted_and_only_what_must_be_is_escaped) {
  check_string(DURO_STR(""), "\"\"");
  check_string(DURO_NONE, "\"\"");
  check_string(DURO_STR("a long plain text / with a slash"),
               "\"a long plain text / with a slash\"");
  check_string(DURO_STR("\"\\"), "\"\\\"\\\\\"");
  check_string(DURO_STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
  check_string(DURO_STR("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
  check_string(DURO_STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
               "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
}

TEST(a_special_byte_is_found_at_any_place) {
  for (size_t n = 1; n < 20; n++) {
    for (size_t at = 0; at < n; at++) {
      for (int c = 0; c < 256; c++) {
        char text[20];
        memset(text, 'x', sizeof text);
        text[at] = (char)c;
        duro_buf b = {0};
        duro_json_add_string(&b, (duro_str){text, n});
        bool special = c < 0x20 || c == '"' || c == '\\';
        if (special != (b.n > n + 2)) CHECK_INT(b.n, n + 2);
        duro_json_reader r;
        duro_json_open(&r, duro_buf_str(&b));
        duro_json_type type = duro_json_next(&r);
        if (type != (c < 0x80 ? DURO_JSON_STRING : DURO_JSON_ERROR)) CHECK_INT(c, -1);
        if (duro_utf8_valid((duro_str){text, n}) != (c < 0x80)) CHECK_INT(c, -1);
        duro_buf_free(&b);
      }
    }
  }
}

TEST(utf8_is_valid_only_in_its_shortest_form) {
  static const duro_str valid[] = {
      DURO_STR(""),
      DURO_STR("plain, and longer than eight bytes"),
      DURO_STR("\xc2\x80\xdf\xbf"),
      DURO_STR("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
      DURO_STR("12345678\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
  };
  static const duro_str invalid[] = {
      DURO_STR("\x80"),
      DURO_STR("\xc1\xbf"),
      DURO_STR("\xc2"),
      DURO_STR("\xc2\x7f"),
      DURO_STR("\xe0\x9f\xbf"),
      DURO_STR("\xed\xa0\x80"),
      DURO_STR("\xe2\x82"),
      DURO_STR("\xe2\x82\x41"),
      DURO_STR("\xf0\x8f\xbf\xbf"),
      DURO_STR("\xf4\x90\x80"),
      DURO_STR("\xf4\x90\x80\x80"),
      DURO_STR("\xf1\x80\x80"),
      DURO_STR("\xf8\x88\x80"),
      DURO_STR("\xff"),
      DURO_STR("12345678\xc3"),
  };
  for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) CHECK(duro_utf8_valid(valid[i]));
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) CHECK(!duro_utf8_valid(invalid[i]));
  CHECK(duro_utf8_valid(DURO_NONE));
}

/* --- Doubles --- */

static void check_double(double value, const char *want) {
  duro_buf b = {0};
  duro_json_add_double(&b, value);
  CHECK_BYTES(b.p, b.n, want, strlen(want));
  duro_buf_free(&b);
}

TEST(doubles_are_short_and_never_look_like_integers) {
  check_double(0.0, "0.0");
  check_double(-0.0, "-0.0");
  check_double(3.0, "3.0");
  check_double(-42.0, "-42.0");
  check_double(0.1, "0.1");
  check_double(-12.34, "-12.34");
  check_double(0.05, "0.05");
  check_double(0.0001, "0.0001");
  check_double(0.00001, "1e-05");
  check_double(0.1 + 0.2, "0.30000000000000004");
  check_double(1.0 / 3, "0.3333333333333333");
  check_double(123456789.125, "123456789.125");
  check_double(999999999999999.0, "999999999999999.0");
  check_double(1e15, "1e+15");
  check_double(1234567890123456.0, "1234567890123456.0");
  check_double(1e300, "1e+300");
  check_double(0x1.fffffffffffffp1023, "1.7976931348623157e+308");
  check_double(0x1p-1074, "4.94065645841247e-324");
}

/* The contract, written down naively. */
static void reference_double(char *out, size_t size, double value) {
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(out, size, "%.*g", precision, value);
    if (strtod(out, NULL) == value) break;
  }
  if (!strpbrk(out, ".e")) strcat(out, ".0");
}

static void check_round_trip(double value) {
  char want[64];
  duro_buf b = {0};
  duro_json_reader r;
  reference_double(want, sizeof want, value);
  duro_json_add_double(&b, value);
  if (b.n != strlen(want) || memcmp(b.p, want, b.n) != 0) CHECK_BYTES(b.p, b.n, want, strlen(want));
  duro_json_open(&r, duro_buf_str(&b));
  duro_json_type type = duro_json_next(&r);
  if (type != DURO_JSON_DOUBLE) CHECK_INT(type, DURO_JSON_DOUBLE);
  if (memcmp(&r.number, &value, sizeof value) != 0) CHECK_NUM(r.number, value);
  duro_buf_free(&b);
}

static double double_of_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

TEST(random_doubles_read_back_equal_from_the_shortest_text) {
  duro_prng random;
  duro_prng_seed(&random, DURO_STR("doubles"));
  for (int i = 0; i < 50000; i++) {
    double any = double_of_bits(duro_prng_next(&random));
    if (isfinite(any)) check_round_trip(any);
    double unit = duro_prng_unit(&random);
    check_round_trip(unit * pow(10, (double)(i % 30) - 8));
    check_round_trip((double)(int64_t)(unit * 1e9) / pow(10, i % 12)); /* prices and the like */
    check_round_trip((double)((int64_t)duro_prng_next(&random) >> i % 64));
  }
  CHECK(true);
}

TEST(random_decimals_read_as_strtod_reads_them) {
  duro_prng random;
  duro_prng_seed(&random, DURO_STR("decimals"));
  for (int i = 0; i < 100000; i++) {
    uint64_t draw = duro_prng_next(&random);
    char text[64];
    int n = snprintf(text, sizeof text, "%s%" PRIu64 ".%0*" PRIu64 "e%d", draw & 1 ? "-" : "",
                     duro_prng_next(&random) >> (draw >> 1) % 64, (int)(draw >> 7) % 20,
                     duro_prng_next(&random) >> (draw >> 13) % 64, (int)(draw >> 19) % 60 - 30);
    duro_json_reader r;
    duro_json_open(&r, (duro_str){text, (size_t)n});
    duro_json_type type = duro_json_next(&r);
    if (type != DURO_JSON_DOUBLE) CHECK_STR(text, "a double");
    if (r.number != strtod(text, NULL)) CHECK_NUM(r.number, strtod(text, NULL));
  }
  CHECK(true);
}

/* Skipped in effect where no such locale is installed. */
TEST(no_locale_changes_the_decimal_point) {
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF", "de_DE", "C"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!setlocale(LC_ALL, names[i])) continue;
    check_double(0.5, "0.5");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    duro_json_reader r;
    duro_json_open(&r, DURO_STR("1.7976931348623157e308"));
    CHECK_INT(duro_json_next(&r), DURO_JSON_DOUBLE);
    CHECK_NUM(r.number, 0x1.fffffffffffffp1023);
    duro_json_open(&r, DURO_STR("1,5"));
    CHECK_INT(duro_json_next(&r), DURO_JSON_INTEGER);
    CHECK_INT(duro_json_next(&r), DURO_JSON_ERROR);
  }
  setlocale(LC_ALL, "C");
}

/* --- Any value --- */

enum { MAX_TOKENS = 4000, MAX_TEXT = 24 };

typedef struct token {
  duro_json_type type;
  int64_t integer;
  double number;
  char text[MAX_TEXT];
  size_t n;
} token;

typedef struct maker {
  duro_prng random;
  duro_buf text;
  token tokens[MAX_TOKENS];
  size_t count;
} maker;

static size_t draw(maker *m, size_t below) { return (size_t)(duro_prng_next(&m->random) % below); }

static void add_space(maker *m) {
  while (draw(m, 5) == 0) duro_buf_add_char(&m->text, " \t\r\n"[draw(m, 4)]);
}

static token *add_token(maker *m, duro_json_type type) {
  token *made = &m->tokens[m->count++];
  *made = (token){.type = type};
  return made;
}

/* Characters of every length, half of them written as \u escapes. */
static void add_random_string(maker *m, duro_json_type type) {
  static const char *const plain[] = {"a",    "\"",       "\\",           "\n",
                                      "\x01", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                      "/",    "plainrun"};
  static const char *const escaped[] = {"\\u0061", "\\u0022", "\\u005C",        "\\n", "\\u0001",
                                        "\\u00e9", "\\u20ac", "\\ud83d\\uDE00", "\\/", "plainrun"};
  token *t = add_token(m, type);
  duro_buf quoted = {0};
  duro_buf_add_char(&quoted, '"');
  for (size_t parts = draw(m, 6); parts > 0 && t->n + 8 <= MAX_TEXT; parts--) {
    size_t which = draw(m, 10);
    memcpy(t->text + t->n, plain[which], strlen(plain[which]));
    t->n += strlen(plain[which]);
    duro_buf_add_str(&quoted, duro_str_from(escaped[which]));
  }
  duro_buf_add_char(&quoted, '"');
  if (draw(m, 2)) {
    duro_buf_add_str(&m->text, duro_buf_str(&quoted));
  } else {
    duro_json_add_string(&m->text, (duro_str){t->text, t->n});
  }
  duro_buf_free(&quoted);
}

static void add_random_number(maker *m) {
  uint64_t bits = duro_prng_next(&m->random);
  if (bits & 1) {
    token *t = add_token(m, DURO_JSON_INTEGER);
    t->integer = (int64_t)duro_prng_next(&m->random) >> (bits >> 1) % 64;
    t->number = (double)t->integer;
    duro_buf_add_int(&m->text, t->integer);
  } else {
    token *t = add_token(m, DURO_JSON_DOUBLE);
    double any = double_of_bits(duro_prng_next(&m->random));
    t->number = isfinite(any) ? any : -0.0;
    duro_json_add_double(&m->text, t->number);
  }
}

static void add_random_value(maker *m, size_t depth);

static void add_random_container(maker *m, size_t depth, bool object) {
  add_token(m, object ? DURO_JSON_BEGIN_OBJECT : DURO_JSON_BEGIN_ARRAY);
  duro_buf_add_char(&m->text, object ? '{' : '[');
  size_t members = draw(m, 5);
  for (size_t i = 0; i < members; i++) {
    if (i) duro_buf_add_char(&m->text, ',');
    if (object) {
      add_space(m);
      add_random_string(m, DURO_JSON_KEY);
      add_space(m);
      duro_buf_add_char(&m->text, ':');
    }
    add_random_value(m, depth + 1);
  }
  add_space(m);
  add_token(m, object ? DURO_JSON_END_OBJECT : DURO_JSON_END_ARRAY);
  duro_buf_add_char(&m->text, object ? '}' : ']');
}

static void add_random_value(maker *m, size_t depth) {
  static const duro_str words[] = {DURO_STR("null"), DURO_STR("true"), DURO_STR("false")};
  add_space(m);
  size_t kind = draw(m, depth < 5 ? 9 : 5);
  if (kind < 3) {
    add_token(m, (duro_json_type)(DURO_JSON_NULL + kind));
    duro_buf_add_str(&m->text, words[kind]);
  } else if (kind == 3) {
    add_random_number(m);
  } else if (kind == 4) {
    add_random_string(m, DURO_JSON_STRING);
  } else {
    add_random_container(m, depth, kind % 2);
  }
  add_space(m);
}

static bool same_token(const token *want, const duro_json_reader *r, duro_json_type type,
                       duro_arena *arena) {
  if (type != want->type) return false;
  if (type == DURO_JSON_INTEGER && r->integer != want->integer) return false;
  if (type == DURO_JSON_INTEGER || type == DURO_JSON_DOUBLE) {
    return memcmp(&r->number, &want->number, sizeof r->number) == 0;
  }
  if (type != DURO_JSON_STRING && type != DURO_JSON_KEY) return true;
  return duro_str_equal(duro_json_text(r, arena), (duro_str){want->text, want->n});
}

static void check_random_value(maker *m) {
  char *exact = malloc(m->text.n);
  duro_str text = {exact, m->text.n};
  duro_arena arena = {0};
  duro_json_reader r;
  memcpy(exact, m->text.p, m->text.n);
  duro_json_open(&r, text);
  bool same = true;
  for (size_t i = 0; i < m->count && same; i++) {
    same = same_token(&m->tokens[i], &r, duro_json_next(&r), &arena);
  }
  same = same && duro_json_next(&r) == DURO_JSON_END && duro_json_valid(text);
  if (!same) CHECK_BYTES(text.p, text.n, "what was written", 0);
  duro_arena_free(&arena);
  free(exact);
}

TEST(random_values_read_back_as_they_were_written) {
  static maker m;
  size_t tokens = 0;
  duro_prng_seed(&m.random, DURO_STR("values"));
  for (int round = 0; round < 5000; round++) {
    m.count = 0;
    duro_buf_clear(&m.text);
    add_random_value(&m, 0);
    tokens += m.count;
    check_random_value(&m);
  }
  CHECK(tokens > 20000);
  duro_buf_free(&m.text);
}

CHECK_MAIN()
