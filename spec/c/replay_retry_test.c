/* The retry policy of activities: what is read from options, how long to wait, what is tried again. */
#include "check.h"
#include "replay/retry.h"

static duro__retry policy(const char *json) {
  duro__retry r;
  char options[512];
  snprintf(options, sizeof options, "{\"retry\":%s}", json);
  duro__retry_read(duro_str_from(options), &r);
  r.non_retryable = DURO_NONE; /* it points into `options` */
  return r;
}

static int64_t delay(const duro__retry *r, int64_t attempt) {
  return duro__retry_delay_ms(r, attempt, DURO_STR("seed"));
}

TEST(without_a_policy_there_is_one_attempt) {
  duro__retry r;
  duro__retry_read(DURO_NONE, &r);
  CHECK_INT(r.max_attempts, 1);
  duro__retry_read(DURO_STR("{\"queue\":\"gpu\"}"), &r);
  CHECK_INT(r.max_attempts, 1);
  duro__retry_read(DURO_STR("{\"retry\":null}"), &r);
  CHECK_INT(r.max_attempts, 1);
  CHECK(!duro__retry_allowed(&r, 1, DURO_STR("{}")));
}

TEST(an_empty_policy_has_the_defaults) {
  duro__retry r = policy("{}");
  CHECK_INT(r.max_attempts, 3);
  CHECK_INT(r.backoff, DURO__EXPONENTIAL);
  CHECK_INT(r.initial_ms, 100);
  CHECK_INT(r.max_ms, 30000);
  CHECK_NUM(r.multiplier, 2.0);
  CHECK(!r.jitter);
}

TEST(every_member_is_read) {
  duro__retry r;
  duro__retry_read(
      DURO_STR("{\"retry\":{\"max_attempts\":7,\"backoff\":\"linear\",\"initial_ms\":5,"
               "\"max_ms\":60,\"multiplier\":1.5,\"jitter\":true,"
               "\"non_retryable\":[\"a\"]}}"),
      &r);
  CHECK_INT(r.max_attempts, 7);
  CHECK_INT(r.backoff, DURO__LINEAR);
  CHECK_INT(r.initial_ms, 5);
  CHECK_INT(r.max_ms, 60);
  CHECK_NUM(r.multiplier, 1.5);
  CHECK(r.jitter);
  CHECK_BYTES(r.non_retryable.p, r.non_retryable.n, "[\"a\"]", 5);
}

TEST(exponential_waits_double_up_to_the_most) {
  duro__retry r = policy("{\"max_attempts\":99}");
  CHECK_INT(delay(&r, 1), 100);
  CHECK_INT(delay(&r, 2), 200);
  CHECK_INT(delay(&r, 3), 400);
  CHECK_INT(delay(&r, 9), 25600);
  CHECK_INT(delay(&r, 10), 30000);
  CHECK_INT(delay(&r, 1000000000), 30000);
  CHECK_INT(delay(&r, INT64_MAX), 30000);
}

TEST(the_multiplier_may_be_any_number) {
  duro__retry r = policy("{\"multiplier\":3,\"initial_ms\":10}");
  CHECK_INT(delay(&r, 3), 90);
  r = policy("{\"multiplier\":1,\"initial_ms\":10}");
  CHECK_INT(delay(&r, 1000000), 10);
  r = policy("{\"multiplier\":0.5,\"initial_ms\":80}");
  CHECK_INT(delay(&r, 3), 20);
  CHECK_INT(delay(&r, INT64_MAX), 0);
  r = policy("{\"multiplier\":0,\"initial_ms\":80}");
  CHECK_INT(delay(&r, 1), 80);
  CHECK_INT(delay(&r, 5), 0);
  r = policy("{\"multiplier\":-2,\"initial_ms\":80}");
  CHECK_INT(delay(&r, 2), 0);
  r = policy("{\"multiplier\":1e300,\"initial_ms\":1}");
  CHECK_INT(delay(&r, 50), 30000);
}

TEST(linear_and_fixed_waits_keep_below_the_most) {
  duro__retry r = policy("{\"backoff\":\"linear\",\"initial_ms\":50,\"max_ms\":120}");
  CHECK_INT(delay(&r, 1), 50);
  CHECK_INT(delay(&r, 2), 100);
  CHECK_INT(delay(&r, 3), 120);
  CHECK_INT(delay(&r, INT64_MAX), 120);
  r = policy("{\"backoff\":\"fixed\",\"initial_ms\":50}");
  CHECK_INT(delay(&r, 1), 50);
  CHECK_INT(delay(&r, 40), 50);
  r = policy("{\"backoff\":\"fixed\",\"initial_ms\":50,\"max_ms\":20}");
  CHECK_INT(delay(&r, 1), 20);
}

TEST(nothing_to_wait_is_no_wait) {
  duro__retry r = policy("{\"initial_ms\":0}");
  CHECK_INT(delay(&r, 1), 0);
  r = policy("{\"initial_ms\":-5}");
  CHECK_INT(delay(&r, 3), 0);
  r = policy("{\"max_ms\":0}");
  CHECK_INT(delay(&r, 3), 0);
}

TEST(the_longest_waits_do_not_overflow) {
  duro__retry r = policy("{\"initial_ms\":9223372036854775807,\"max_ms\":9223372036854775807}");
  CHECK_INT(delay(&r, 1), INT64_MAX);
  CHECK_INT(delay(&r, 64), INT64_MAX);
  r.backoff = DURO__LINEAR;
  CHECK_INT(delay(&r, 64), INT64_MAX);
}

TEST(jitter_stays_in_the_upper_half_and_follows_its_seed) {
  duro__retry r = policy("{\"jitter\":true,\"initial_ms\":1000,\"backoff\":\"fixed\"}");
  int64_t least = INT64_MAX, most = 0;
  char seed[24];
  for (int i = 0; i < 200; i++) {
    snprintf(seed, sizeof seed, "seed %d", i);
    int64_t ms = duro__retry_delay_ms(&r, 1, duro_str_from(seed));
    CHECK_INT(duro__retry_delay_ms(&r, 1, duro_str_from(seed)), ms);
    if (ms < least) least = ms;
    if (ms > most) most = ms;
  }
  CHECK(least >= 500 && least < 550);
  CHECK(most > 950 && most <= 1000);
}

TEST(attempts_run_out) {
  duro__retry r = policy("{\"max_attempts\":3}");
  CHECK(duro__retry_allowed(&r, 1, DURO_NONE));
  CHECK(duro__retry_allowed(&r, 2, DURO_STR("{\"code\":\"failed\"}")));
  CHECK(!duro__retry_allowed(&r, 3, DURO_STR("{\"code\":\"failed\"}")));
  r = policy("{\"max_attempts\":0}");
  CHECK(!duro__retry_allowed(&r, 1, DURO_NONE));
}

TEST(an_error_may_say_that_it_is_final) {
  duro__retry r = policy("{}");
  CHECK(!duro__retry_allowed(&r, 1, DURO_STR("{\"code\":\"x\",\"retryable\":false}")));
  CHECK(duro__retry_allowed(&r, 1, DURO_STR("{\"code\":\"x\",\"retryable\":true}")));
  CHECK(duro__retry_allowed(&r, 1, DURO_STR("\"a text\"")));
}

TEST(codes_may_be_excluded) {
  duro__retry r;
  duro__retry_read(
      DURO_STR("{\"retry\":{\"non_retryable\":[\"declined\",\"f\\u00fcr\",\"failed\"]}}"), &r);
  CHECK(!duro__retry_allowed(&r, 1, DURO_STR("{\"code\":\"declined\"}")));
  CHECK(!duro__retry_allowed(&r, 1, DURO_STR("{\"message\":1,\"code\":\"f\xc3\xbcr\"}")));
  CHECK(duro__retry_allowed(&r, 1, DURO_STR("{\"code\":\"timeout\"}")));
  CHECK(!duro__retry_allowed(&r, 1, DURO_STR("{\"message\":\"no code is 'failed'\"}")));
  duro__retry_read(DURO_STR("{\"retry\":{\"non_retryable\":\"declined\"}}"), &r);
  CHECK(duro__retry_allowed(&r, 1, DURO_STR("{\"code\":\"declined\"}")));
}

CHECK_MAIN()
