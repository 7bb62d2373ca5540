// Looking into stored values: paths, equality, texts, and what cannot be read.
#include "runtime/payloads.h"
#include "check.h"
#include "runtime/suggest.h"

static const char *at(const char *json, const char *path) {
  static char text[200];
  duro_arena arena = {0};
  duro_str found = duro__payload_at(duro_str_from(json), duro_str_from(path), &arena);
  snprintf(text, sizeof text, "%.*s", found.p ? (int)found.n : 4, found.p ? found.p : "none");
  duro_arena_free(&arena);
  return text;
}

TEST(a_path_goes_down_through_objects_and_arrays) {
  const char *json =
      "{\"a\":{\"b\":[10,{\"c\":true}]},\"x.y\":1,\"1\":\"one\",\"t\":{\"$duro\":\"nan\"}}";
  CHECK_STR(at(json, "a.b.1"), "10");
  CHECK_STR(at(json, "a.b.2.c"), "true");
  CHECK_STR(at(json, "a.b"), "[10,{\"c\":true}]");
  CHECK_STR(at(json, "x\\.y"), "1");
  CHECK_STR(at(json, "1"), "\"one\"");
  CHECK_STR(at(json, "x.y"), "none");
  CHECK_STR(at(json, "a.b.0"), "none");
  CHECK_STR(at(json, "a.b.3"), "none");
  CHECK_STR(at(json, "a.b.99999999999999999999"), "none");
  CHECK_STR(at(json, "a.b.1.c"), "none");
  CHECK_STR(at(json, ""), "none");
  CHECK_STR(at(json, "t.$duro"), "none");
  CHECK_STR(at("{\"$duro:key:$duro\":7}", "$duro"), "7");
  CHECK_STR(at("{broken", "a"), "none");
}

static bool equal(const char *a, const char *b) {
  duro_arena arena = {0};
  bool same = duro__payload_equal(duro_str_from(a), duro_str_from(b), &arena);
  duro_arena_free(&arena);
  return same;
}

TEST(values_are_equal_whatever_their_spelling) {
  CHECK(equal("3", "3.0"));
  CHECK(equal("\"\\u0041\"", "\"A\""));
  CHECK(equal("null", "null"));
  CHECK(equal("[1,2]", "[1,2]"));
  CHECK(!equal("3", "\"3\""));
  CHECK(!equal("9007199254740993", "9007199254740992"));
  CHECK(!equal("null", "false"));
}

TEST(texts_are_found_in_strings_and_numbers_not_in_keys) {
  duro_arena arena = {0};
  duro_str json = DURO_STR("{\"key\":[\"a \\\"word\\\"\", 4711]}");
  CHECK(duro__payload_contains(json, DURO_STR("\"word\""), &arena));
  CHECK(duro__payload_contains(json, DURO_STR("471"), &arena));
  CHECK(!duro__payload_contains(json, DURO_STR("key"), &arena));
  CHECK(!duro__payload_contains(json, DURO_STR(", 4"), &arena));
  CHECK(!duro__payload_contains(DURO_STR("[\"a"), DURO_STR("b"), &arena));
  duro_arena_free(&arena);
}

TEST(what_the_decoder_would_refuse_is_known) {
  CHECK(duro__payload_readable(DURO_STR("{\"a\":[1,{\"$duro\":\"inf\"}]}")));
  CHECK(duro__payload_readable(DURO_STR("{\"$duro\":\"bytes\",\"base64\":\"/w==\"}")));
  CHECK(duro__payload_readable(DURO_STR("{\"$duro\":\"raised\",\"error\":{\"code\":\"x\"}}")));
  CHECK(!duro__payload_readable(DURO_STR("")));
  CHECK(!duro__payload_readable(DURO_STR("{broken")));
  CHECK(!duro__payload_readable(DURO_STR("{\"$duro\":\"what\"}")));
  CHECK(!duro__payload_readable(DURO_STR("{\"$duro\":\"bytes\",\"base64\":\"/w=\"}")));
}

TEST(a_misspelt_word_has_a_nearest_one) {
  static const char *const known[] = {"running", "failed", "cancelled", NULL};
  CHECK_STR(duro__nearest(DURO_STR("faield"), known), "failed");
  CHECK_STR(duro__nearest(DURO_STR("canceled"), known), "cancelled");
  CHECK(duro__nearest(DURO_STR("zzzzzzzzzz"), known) == NULL);
  CHECK(duro__nearest(DURO_STR(""), known) == NULL);
}

CHECK_MAIN()
