// Statuses and the check of ids and names.
#include "check.h"

#include "model/limits.h"
#include "model/status.h"

TEST(every_status_comes_back_from_its_string) {
  for (int s = 0; s < DURO_STATUS_COUNT; s++) {
    duro_status got = DURO_STATUS_COUNT;
    CHECK(duro_status_from(duro_str_from(duro_status_string((duro_status)s)), &got));
    CHECK_INT(got, s);
  }
}

TEST(the_strings_are_those_of_the_public_api) {
  CHECK_STR(duro_status_string(DURO_STATUS_PENDING), "pending");
  CHECK_STR(duro_status_string(DURO_STATUS_RUNNING), "running");
  CHECK_STR(duro_status_string(DURO_STATUS_SUSPENDED), "suspended");
  CHECK_STR(duro_status_string(DURO_STATUS_STALLED), "stalled");
  CHECK_STR(duro_status_string(DURO_STATUS_COMPLETED), "completed");
  CHECK_STR(duro_status_string(DURO_STATUS_FAILED), "failed");
  CHECK_STR(duro_status_string(DURO_STATUS_CANCELLED), "cancelled");
  CHECK_STR(duro_status_string(DURO_STATUS_TERMINATED), "terminated");
  CHECK_STR(duro_status_string(DURO_STATUS_CONTINUED_AS_NEW), "continued_as_new");
  CHECK_STR(duro_status_string((duro_status)99), "unknown");
  CHECK_STR(duro_status_string((duro_status)-1), "unknown");
}

TEST(an_unknown_word_is_no_status) {
  duro_status out = DURO_STATUS_FAILED;
  CHECK(!duro_status_from(DURO_STR("runnin"), &out));
  CHECK(!duro_status_from(DURO_STR("RUNNING"), &out));
  CHECK(!duro_status_from(DURO_STR(""), &out));
  CHECK(!duro_status_from(DURO_NONE, &out));
  CHECK_INT(out, DURO_STATUS_FAILED);
}

TEST(four_statuses_are_open_and_the_rest_is_final) {
  for (int s = 0; s < DURO_STATUS_COUNT; s++) {
    CHECK_INT(duro_status_final((duro_status)s), s >= DURO_STATUS_COMPLETED);
  }
  CHECK(!duro_status_final((duro_status)99));
}

static const char *problem_of(const char *bytes, size_t n, size_t max) {
  static char why[128];
  return duro_id_problem((duro_str){bytes, n}, max, why);
}

TEST(an_ordinary_id_has_no_problem) {
  CHECK(problem_of("order-17", 8, DURO_MAX_ID_BYTES) == NULL);
  CHECK(problem_of("a b/c::1::2", 11, DURO_MAX_ID_BYTES) == NULL);
  CHECK(problem_of("bestellung-\xc3\xa4\xe2\x82\xac", 16, DURO_MAX_ID_BYTES) == NULL);
  CHECK(problem_of("\xc2\xa0", 2, DURO_MAX_ID_BYTES) == NULL); // the first after C1
}

TEST(an_id_that_is_empty_or_too_long_says_so) {
  char bytes[300];
  memset(bytes, 'x', sizeof bytes);
  CHECK_STR(problem_of("", 0, 256), "is empty");
  CHECK_STR(problem_of(NULL, 0, 256), "is empty");
  CHECK(problem_of(bytes, 256, 256) == NULL);
  CHECK_STR(problem_of(bytes, 257, 256), "is longer than 256 bytes (has 257)");
  CHECK_STR(problem_of(bytes, 300, 256), "is longer than 256 bytes (has 300)");
}

TEST(an_id_with_bad_bytes_says_so) {
  CHECK_STR(problem_of("a\xff", 2, 256), "is not valid UTF-8");
  CHECK_STR(problem_of("a\xc3", 2, 256), "is not valid UTF-8");
  CHECK_STR(problem_of("a\nb", 3, 256), "contains a control character");
  CHECK_STR(problem_of("a\0b", 3, 256), "contains a control character");
  CHECK_STR(problem_of("a\x7f", 2, 256), "contains a control character");
  CHECK_STR(problem_of("a\xc2\x85", 3, 256), "contains a control character");
}

CHECK_MAIN()
