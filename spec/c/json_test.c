/* Reading JSON: what is accepted, what is refused and with which words, and that nothing behind the
 * end of a text is looked at (each text lies in a heap block of its exact size, for ASan to guard). */
#include "base/json.h"
#include "base/clock.h"
#include "check.h"

#include <stdlib.h>

static duro_str exact_copy(duro_str text) {
  char *p = malloc(text.n);
  if (text.n) memcpy(p, text.p, text.n);
  return (duro_str){p, text.n};
}

static void drop(duro_str copy) { free((char *)copy.p); }

/* Reads to the end or to the first problem and gives the last type. */
static duro_json_type read_all(duro_json_reader *r, duro_str text) {
  duro_json_type type;
  duro_json_open(r, text);
  do type = duro_json_next(r);
  while (type != DURO_JSON_END && type != DURO_JSON_ERROR);
  return type;
}

/* --- Malformed texts --- */

static const struct {
  duro_str text;
  size_t at; /* where the cursor stops */
  const char *problem;
} malformed[] = {
    {DURO_STR(""), 0, "the text ends where a value must come"},
    {DURO_STR(" \n"), 2, "the text ends where a value must come"},
    {DURO_STR("\xef\xbb\xbf[]"), 0, "no value begins with this character"},
    {DURO_STR("\0"), 0, "no value begins with this character"},
    {DURO_STR("'a'"), 0, "no value begins with this character"},
    {DURO_STR("+1"), 0, "no value begins with this character"},
    {DURO_STR(".5"), 0, "no value begins with this character"},
    {DURO_STR("NaN"), 0, "no value begins with this character"},
    {DURO_STR("/*x*/1"), 0, "no value begins with this character"},
    {DURO_STR("\f1"), 0, "no value begins with this character"},
    {DURO_STR("True"), 0, "no value begins with this character"},
    {DURO_STR("tru"), 0, "a word is none of true, false and null"},
    {DURO_STR("nil"), 0, "a word is none of true, false and null"},
    {DURO_STR("fals "), 0, "a word is none of true, false and null"},
    {DURO_STR("truex"), 4, "something follows the value"},
    {DURO_STR("1 2"), 2, "something follows the value"},
    {DURO_STR("[]]"), 2, "something follows the value"},
    {DURO_STR("{},"), 2, "something follows the value"},
    {DURO_STR("1\0"), 1, "something follows the value"},
    {DURO_STR("0x10"), 1, "something follows the value"},
    {DURO_STR("-"), 1, "'-' must be followed by a digit"},
    {DURO_STR("-a"), 1, "'-' must be followed by a digit"},
    {DURO_STR("-.5"), 1, "'-' must be followed by a digit"},
    {DURO_STR("01"), 0, "a number has a leading zero"},
    {DURO_STR("-00"), 1, "a number has a leading zero"},
    {DURO_STR("00.5"), 0, "a number has a leading zero"},
    {DURO_STR("1."), 2, "a decimal point must be followed by a digit"},
    {DURO_STR("1.e5"), 2, "a decimal point must be followed by a digit"},
    {DURO_STR("1e"), 2, "an exponent must have a digit"},
    {DURO_STR("1E+"), 3, "an exponent must have a digit"},
    {DURO_STR("1e-x"), 3, "an exponent must have a digit"},
    {DURO_STR("1e309"), 0, "a number is too large for a double"},
    {DURO_STR("-1e99999999999999999999999"), 0, "a number is too large for a double"},
    {DURO_STR("["), 1, "the text ends where a value must come"},
    {DURO_STR("[1"), 2, "the text ends inside an array"},
    {DURO_STR("[1,"), 3, "the text ends where a value must come"},
    {DURO_STR("[1,]"), 3, "a value is missing in front of a closing bracket"},
    {DURO_STR("[,1]"), 1, "a value is missing in front of a comma"},
    {DURO_STR("[1,,2]"), 3, "a value is missing in front of a comma"},
    {DURO_STR("[1 2]"), 3, "',' or ']' must follow an element"},
    {DURO_STR("[1}"), 2, "',' or ']' must follow an element"},
    {DURO_STR("[1:2]"), 2, "',' or ']' must follow an element"},
    {DURO_STR("[}"), 1, "a value is missing in front of a closing bracket"},
    {DURO_STR("]"), 0, "a value is missing in front of a closing bracket"},
    {DURO_STR("{"), 1, "the text ends inside an object"},
    {DURO_STR("{\"a\":1"), 6, "the text ends inside an object"},
    {DURO_STR("{\"a\":1,"), 7, "the text ends inside an object"},
    {DURO_STR("{\"a\":1,}"), 7, "a key in quotes must come in an object"},
    {DURO_STR("{a:1}"), 1, "a key in quotes must come in an object"},
    {DURO_STR("{1:1}"), 1, "a key in quotes must come in an object"},
    {DURO_STR("{]"), 1, "a key in quotes must come in an object"},
    {DURO_STR("{\"a\"}"), 4, "':' must follow a key"},
    {DURO_STR("{\"a\" 1}"), 5, "':' must follow a key"},
    {DURO_STR("{\"a\""), 4, "':' must follow a key"},
    {DURO_STR("{\"a\":"), 5, "the text ends where a value must come"},
    {DURO_STR("{\"a\":}"), 5, "a value is missing in front of a closing bracket"},
    {DURO_STR("{\"a\":1 \"b\":2}"), 7, "',' or '}' must follow a member"},
    {DURO_STR("{\"a\":1]"), 6, "',' or '}' must follow a member"},
    {DURO_STR("\""), 1, "the text ends inside a string"},
    {DURO_STR("\"abcdefghijk"), 12, "the text ends inside a string"},
    {DURO_STR("\"a\\"), 2, "the text ends inside a string"},
    {DURO_STR("\"a\\\""), 4, "the text ends inside a string"},
    {DURO_STR("\"a\tb\""), 2, "a control character in a string must be escaped"},
    {DURO_STR("\"abcdefghi\n\""), 10, "a control character in a string must be escaped"},
    {DURO_STR("\"\0\""), 1, "a control character in a string must be escaped"},
    {DURO_STR("{\"\x1f\":1}"), 2, "a control character in a string must be escaped"},
    {DURO_STR("\"\\x\""), 1, "there is no such escape in a string"},
    {DURO_STR("\"\\\0\""), 1, "there is no such escape in a string"},
    {DURO_STR("\"\\U0041\""), 1, "there is no such escape in a string"},
    {DURO_STR("\"\\u12\""), 1, "\\u wants four hexadecimal digits"},
    {DURO_STR("\"\\u12g4\""), 1, "\\u wants four hexadecimal digits"},
    {DURO_STR("\"\\u+123\""), 1, "\\u wants four hexadecimal digits"},
    {DURO_STR("\"\\u"), 1, "\\u wants four hexadecimal digits"},
    {DURO_STR("\"\\ud800\""), 1, "an escaped surrogate stands alone in a string"},
    {DURO_STR("\"\\ud800\\n12345\""), 1, "an escaped surrogate stands alone in a string"},
    {DURO_STR("\"\\ud800\\u0041\""), 1, "an escaped surrogate stands alone in a string"},
    {DURO_STR("\"\\udc00\\ud800\""), 1, "an escaped surrogate stands alone in a string"},
    {DURO_STR("\"\\ud800\\udc0"), 1, "an escaped surrogate stands alone in a string"},
    {DURO_STR("\"\x80\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xc3\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xc3"), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xc0\xaf\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xe0\x9f\xbf\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xed\xa0\x80\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xf0\x8f\xbf\xbf\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xf4\x90\x80\x80\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"\xf5\x80\x80\x80\""), 1, "a string is not UTF-8"},
    {DURO_STR("\"abcdefgh\xff\""), 9, "a string is not UTF-8"},
    {DURO_STR("\"\xe2\x82"), 1, "a string is not UTF-8"},
};

static void check_refused(duro_str text, size_t at, const char *problem) {
  duro_str copy = exact_copy(text);
  duro_json_reader r;
  bool held = CHECK_INT(read_all(&r, copy), DURO_JSON_ERROR) && CHECK_STR(r.problem, problem) &&
              CHECK_INT(r.at - r.begin, at) && CHECK_INT(duro_json_next(&r), DURO_JSON_ERROR) &&
              CHECK(!duro_json_skip(&r, NULL)) && CHECK(!duro_json_valid(copy));
  if (!held) fprintf(stderr, "    in   %.*s\n", DURO_FMT(text));
  duro_json_open(&r, copy);
  if (duro_json_skip(&r, NULL)) CHECK_INT(duro_json_next(&r), DURO_JSON_ERROR);
  CHECK_STR(r.problem, problem);
  drop(copy);
}

TEST(every_malformed_text_is_refused_with_its_problem) {
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
    check_refused(malformed[i].text, malformed[i].at, malformed[i].problem);
  }
}

TEST(nesting_has_a_limit) {
  duro_buf b = {0};
  for (int i = 0; i < DURO_JSON_MAX_DEPTH; i++) duro_buf_add_char(&b, '[');
  for (int i = 0; i < DURO_JSON_MAX_DEPTH; i++) duro_buf_add_char(&b, ']');
  CHECK(duro_json_valid(duro_buf_str(&b)));
  duro_buf_clear(&b);
  for (int i = 0; i < 100000; i++) duro_buf_add_lit(&b, "{\"a\":");
  check_refused(duro_buf_str(&b), DURO_JSON_MAX_DEPTH * 5, "the text is nested too deeply");
  duro_buf_free(&b);
}

/* --- Well-formed texts --- */

static const char everything[] =
    " {\"list\" : [ ], \"empty\":{},\"nested\":[[1],{\"k\":[-2.5e-3,\"x\"]}],\r\n\t"
    "\"words\":[true,false,null],\"\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\u0000\","
    "\"text\":\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 and a long plain run of bytes\","
    "\"numbers\":[0,-1,9223372036854775807,-9223372036854775808,9223372036854775808,1E2,0.1]} ";

TEST(a_text_gives_its_tokens_in_order) {
  duro_json_reader r;
  duro_json_open(&r, DURO_STR("{\"a\":[1,2.5],\"b\":{},\"c\":[null,true,false,\"s\"]}"));
  static const duro_json_type want[] = {
      DURO_JSON_BEGIN_OBJECT, DURO_JSON_KEY,       DURO_JSON_BEGIN_ARRAY, DURO_JSON_INTEGER,
      DURO_JSON_DOUBLE,       DURO_JSON_END_ARRAY, DURO_JSON_KEY,         DURO_JSON_BEGIN_OBJECT,
      DURO_JSON_END_OBJECT,   DURO_JSON_KEY,       DURO_JSON_BEGIN_ARRAY, DURO_JSON_NULL,
      DURO_JSON_TRUE,         DURO_JSON_FALSE,     DURO_JSON_STRING,      DURO_JSON_END_ARRAY,
      DURO_JSON_END_OBJECT,   DURO_JSON_END,       DURO_JSON_END,
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) CHECK_INT(duro_json_next(&r), want[i]);
}

static void check_number(duro_str text, duro_json_type type, int64_t integer, double number) {
  duro_str copy = exact_copy(text);
  duro_json_reader r;
  duro_json_open(&r, copy);
  bool held = CHECK_INT(duro_json_next(&r), type) && CHECK_NUM(r.number, number) &&
              CHECK_INT(duro_json_next(&r), DURO_JSON_END) && CHECK(duro_json_valid(copy));
  if (type == DURO_JSON_INTEGER) held = CHECK_INT(r.integer, integer) && held;
  if (!held) fprintf(stderr, "    in   %.*s\n", DURO_FMT(text));
  drop(copy);
}

TEST(integers_are_exact_and_what_no_int64_holds_is_a_double) {
  check_number(DURO_STR("0"), DURO_JSON_INTEGER, 0, 0);
  check_number(DURO_STR("-1"), DURO_JSON_INTEGER, -1, -1);
  check_number(DURO_STR("9007199254740993"), DURO_JSON_INTEGER, 9007199254740993, 0x1p53);
  check_number(DURO_STR("9223372036854775807"), DURO_JSON_INTEGER, INT64_MAX, 0x1p63);
  check_number(DURO_STR("-9223372036854775808"), DURO_JSON_INTEGER, INT64_MIN, -0x1p63);
  check_number(DURO_STR("9223372036854775808"), DURO_JSON_DOUBLE, 0, 0x1p63);
  check_number(DURO_STR("-9223372036854775809"), DURO_JSON_DOUBLE, 0, -0x1p63);
  check_number(DURO_STR("9999999999999999999"), DURO_JSON_DOUBLE, 0, 1e19);
  check_number(DURO_STR("18446744073709551616"), DURO_JSON_DOUBLE, 0, 0x1p64);
  check_number(DURO_STR("100000000000000000000"), DURO_JSON_DOUBLE, 0, 1e20);
}

TEST(doubles_are_the_nearest_ones) {
  check_number(DURO_STR("-0"), DURO_JSON_DOUBLE, 0, -0.0);
  check_number(DURO_STR("-0.0e5"), DURO_JSON_DOUBLE, 0, -0.0);
  check_number(DURO_STR("0.000"), DURO_JSON_DOUBLE, 0, 0.0);
  check_number(DURO_STR("1.0"), DURO_JSON_DOUBLE, 0, 1.0);
  check_number(DURO_STR("0.1"), DURO_JSON_DOUBLE, 0, 0.1);
  check_number(DURO_STR("-2.5E-3"), DURO_JSON_DOUBLE, 0, -0.0025);
  check_number(DURO_STR("1e0022"), DURO_JSON_DOUBLE, 0, 1e22);
  check_number(DURO_STR("1e23"), DURO_JSON_DOUBLE, 0, 1e23);
  check_number(DURO_STR("1.7976931348623157e308"), DURO_JSON_DOUBLE, 0, 0x1.fffffffffffffp1023);
  check_number(DURO_STR("4.9e-324"), DURO_JSON_DOUBLE, 0, 0x1p-1074);
  check_number(DURO_STR("2.2250738585072011e-308"), DURO_JSON_DOUBLE, 0, 0x0.fffffffffffffp-1022);
  check_number(DURO_STR("1e-400"), DURO_JSON_DOUBLE, 0, 0.0);
  check_number(DURO_STR("1e-99999999999999999999"), DURO_JSON_DOUBLE, 0, 0.0);
  check_number(DURO_STR("0e99999999999999999999"), DURO_JSON_DOUBLE, 0, 0.0);
  check_number(DURO_STR("0.1000000000000000055511151231257827"), DURO_JSON_DOUBLE, 0, 0.1);
  /* Half way between two doubles, and just above it. */
  check_number(DURO_STR("9007199254740993.0"), DURO_JSON_DOUBLE, 0, 9007199254740992.0);
  check_number(DURO_STR("9007199254740993.0000000000000000000000000001"), DURO_JSON_DOUBLE, 0,
               9007199254740994.0);
}

static void add_times(duro_buf *b, char c, int times) {
  while (times-- > 0) duro_buf_add_char(b, c);
}

TEST(numbers_may_have_any_number_of_digits) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "9007199254740993."); /* a tie that only its last digit breaks */
  add_times(&b, '0', 5000);
  duro_buf_add_char(&b, '1');
  check_number(duro_buf_str(&b), DURO_JSON_DOUBLE, 0, 9007199254740994.0);
  duro_buf_clear(&b);
  duro_buf_add_lit(&b, "0.");
  add_times(&b, '0', 5000);
  duro_buf_add_lit(&b, "25e5001");
  check_number(duro_buf_str(&b), DURO_JSON_DOUBLE, 0, 2.5);
  duro_buf_clear(&b);
  duro_buf_add_char(&b, '1');
  add_times(&b, '0', 5000);
  duro_buf_add_lit(&b, "e-5000");
  check_number(duro_buf_str(&b), DURO_JSON_DOUBLE, 0, 1.0);
  duro_buf_clear(&b);
  duro_buf_add_char(&b, '1');
  add_times(&b, '0', 5000);
  check_refused(duro_buf_str(&b), 0, "a number is too large for a double");
  duro_buf_free(&b);
}

TEST(strings_are_borrowed_when_plain_and_unescaped_otherwise) {
  duro_json_reader r;
  duro_arena arena = {0};
  duro_str text = DURO_STR("\"plain \xe2\x82\xac\"");
  duro_json_open(&r, text);
  CHECK_INT(duro_json_next(&r), DURO_JSON_STRING);
  CHECK(!r.escaped);
  CHECK(duro_json_text(&r, &arena).p == text.p + 1);
  duro_json_open(&r, DURO_STR("\"\""));
  CHECK_INT(duro_json_next(&r), DURO_JSON_STRING);
  CHECK(duro_json_text(&r, &arena).p != NULL);
  CHECK_INT(duro_json_text(&r, &arena).n, 0);
  duro_json_open(&r,
                 DURO_STR("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u20AC\\ud83d\\uDE00z\""));
  CHECK_INT(duro_json_next(&r), DURO_JSON_STRING);
  CHECK(r.escaped);
  duro_str plain = duro_json_text(&r, &arena);
  CHECK_BYTES(plain.p, plain.n, "a\"\\/\b\f\n\r\t\0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 20);
  duro_arena_free(&arena);
}

TEST(unescaping_what_was_never_read_stays_within_bounds) {
  static const char letters[] = "\\\\\\uud8dc00aN\"";
  duro_prng random;
  duro_arena arena = {0};
  duro_prng_seed(&random, DURO_STR("unescape"));
  for (int round = 0; round < 20000; round++) {
    char raw[24];
    size_t n = duro_prng_next(&random) % sizeof raw;
    for (size_t i = 0; i < n; i++) raw[i] = letters[duro_prng_next(&random) % (sizeof letters - 1)];
    duro_json_reader r;
    r.text = exact_copy((duro_str){raw, n});
    r.escaped = true;
    duro_str plain = duro_json_text(&r, &arena); /* poisoned behind n + 1 bytes */
    if (plain.n > n) CHECK_INT(plain.n, n);
    drop(r.text);
    duro_arena_reset(&arena);
  }
  duro_arena_free(&arena);
  CHECK(true);
}

TEST(a_text_cut_at_any_place_is_refused_and_never_read_behind_its_end) {
  duro_str whole = {everything, sizeof everything - 1};
  CHECK(duro_json_valid(whole));
  for (size_t n = 0; n < whole.n - 1; n++) { /* the last byte is a space */
    duro_str cut = exact_copy((duro_str){whole.p, n});
    duro_json_reader r;
    duro_arena arena = {0};
    CHECK_INT(read_all(&r, cut), DURO_JSON_ERROR);
    CHECK(r.problem != NULL && r.problem[0] != 0);
    CHECK(r.at >= r.begin && r.at <= r.end);
    CHECK(!duro_json_valid(cut));
    duro_json_member(cut, "no such key");
    duro_json_member_text(cut, "text", &arena);
    duro_arena_free(&arena);
    drop(cut);
  }
}

/* Reading and skipping must agree about any bytes whatsoever. */
TEST(skipping_accepts_exactly_what_reading_accepts) {
  duro_prng random;
  duro_prng_seed(&random, DURO_STR("mutations"));
  int accepted = 0;
  for (int round = 0; round < 60000; round++) {
    char bytes[sizeof everything];
    memcpy(bytes, everything, sizeof everything);
    uint64_t draw = duro_prng_next(&random);
    for (uint64_t i = 0; i <= draw % 3; i++) {
      static const char favourites[] = "\"\\[]{},:0-.eE 1u\n\x80\xc3";
      uint64_t pick = duro_prng_next(&random);
      char c = pick >> 63 ? (char)(pick >> 8) : favourites[(pick >> 8) % (sizeof favourites - 1)];
      bytes[(pick >> 20) % (sizeof everything - 1)] = c;
    }
    duro_str text = exact_copy((duro_str){bytes, sizeof everything - 1});
    duro_json_reader r;
    bool valid = read_all(&r, text) == DURO_JSON_END;
    if (valid != duro_json_valid(text)) CHECK_BYTES(text.p, text.n, "read and skipped alike", 0);
    accepted += valid;
    drop(text);
  }
  CHECK(accepted > 3000 && accepted < 57000); /* else it tests less than it seems to */
}

/* --- Skipping and looking up --- */

TEST(skipping_gives_the_bytes_of_one_value) {
  duro_json_reader r;
  duro_str value;
  duro_json_open(&r, DURO_STR(" { \"a\" : [1, {\"b\":2}] , \"c\":\"x\\\"y\"}"));
  CHECK_INT(duro_json_next(&r), DURO_JSON_BEGIN_OBJECT);
  CHECK_INT(duro_json_next(&r), DURO_JSON_KEY);
  CHECK(duro_json_skip(&r, &value));
  CHECK_BYTES(value.p, value.n, "[1, {\"b\":2}]", 12);
  CHECK_INT(duro_json_next(&r), DURO_JSON_KEY);
  CHECK(duro_json_skip(&r, &value));
  CHECK_BYTES(value.p, value.n, "\"x\\\"y\"", 6);
  CHECK_INT(duro_json_next(&r), DURO_JSON_END_OBJECT);
  CHECK_INT(duro_json_next(&r), DURO_JSON_END);
  CHECK(!duro_json_skip(&r, &value));
  CHECK(r.problem == NULL);
}

TEST(skipping_walks_an_array_and_stops_at_its_end) {
  duro_json_reader r;
  duro_str value;
  size_t count = 0, bytes = 0;
  duro_json_open(&r, DURO_STR("[ 1 , [2,3] ,{}, \"x\" ]"));
  CHECK_INT(duro_json_next(&r), DURO_JSON_BEGIN_ARRAY);
  for (; duro_json_skip(&r, &value); count++) bytes += value.n;
  CHECK(r.problem == NULL);
  CHECK_INT(count, 4);
  CHECK_INT(bytes, 11);
  CHECK_INT(duro_json_next(&r), DURO_JSON_END_ARRAY);
  duro_json_open(&r, DURO_STR("[]"));
  duro_json_next(&r);
  CHECK(!duro_json_skip(&r, &value));
  CHECK_INT(duro_json_next(&r), DURO_JSON_END_ARRAY);
  duro_json_open(&r, DURO_STR("{\"a\":1}"));
  duro_json_next(&r);
  CHECK(!duro_json_skip(&r, &value));
  CHECK_STR(r.problem, "a key must be read before its value is skipped");
}

TEST(members_are_found_by_their_unescaped_key) {
  duro_str object = DURO_STR("{\"a\":{\"b\":1},\"\\u0062\":[2],\"c\":null,\"a\":3}");
  duro_str found = duro_json_member(object, "a");
  CHECK_BYTES(found.p, found.n, "{\"b\":1}", 7);
  found = duro_json_member(object, "b");
  CHECK_BYTES(found.p, found.n, "[2]", 3);
  CHECK(duro_json_member(object, "d").p == NULL);
  CHECK(duro_json_member(DURO_STR("[\"a\",1]"), "a").p == NULL);
  CHECK(duro_json_member(DURO_STR("{\"a\":1"), "b").p == NULL);
  CHECK(duro_json_member(DURO_NONE, "a").p == NULL);
}

TEST(typed_members_fall_back_when_absent_or_of_another_type) {
  duro_str o = DURO_STR("{\"i\":-7,\"w\":3.0,\"d\":2.5,\"big\":1e30,\"t\":true,\"f\":false,"
                        "\"s\":\"a\\nb\",\"n\":null}");
  duro_arena arena = {0};
  CHECK_INT(duro_json_member_int(o, "i", 1), -7);
  CHECK_INT(duro_json_member_int(o, "w", 1), 3);
  CHECK_INT(duro_json_member_int(o, "d", 1), 1);
  CHECK_INT(duro_json_member_int(o, "big", 1), 1);
  CHECK_INT(duro_json_member_int(o, "s", 1), 1);
  CHECK_INT(duro_json_member_int(o, "none", 1), 1);
  CHECK_NUM(duro_json_member_double(o, "d", 1), 2.5);
  CHECK_NUM(duro_json_member_double(o, "i", 1), -7.0);
  CHECK_NUM(duro_json_member_double(o, "n", 1), 1.0);
  CHECK(duro_json_member_bool(o, "t", false));
  CHECK(!duro_json_member_bool(o, "f", true));
  CHECK(duro_json_member_bool(o, "n", true));
  CHECK_STR(duro_json_member_text(o, "s", &arena).p, "a\nb");
  CHECK(duro_json_member_text(o, "i", &arena).p == NULL);
  duro_arena_free(&arena);
}

CHECK_MAIN()
