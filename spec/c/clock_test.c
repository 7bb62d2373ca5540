/* Clocks, identifiers and the deterministic generator, whose draws are part of every history. */
#include "base/clock.h"
#include "check.h"

#include <ctype.h>
#include <stdlib.h>
#include <pthread.h>

TEST(the_clocks_go_forward) {
  CHECK(duro_clock_wall_ms() > INT64_C(1700000000000)); /* 2023 */
  uint64_t last = duro_clock_monotonic_ns();
  for (int i = 0; i < 1000; i++) {
    uint64_t now = duro_clock_monotonic_ns();
    if (now < last) CHECK(false);
    last = now;
  }
}

TEST(random_bytes_fill_all_of_any_size) {
  unsigned char bytes[700] = {0}, seen[700] = {0};
  for (int round = 0; round < 20; round++) {
    duro_random_bytes(bytes, sizeof bytes - 1);
    for (size_t i = 0; i < sizeof bytes; i++) seen[i] |= bytes[i];
  }
  for (size_t i = 0; i < sizeof bytes - 1; i++) CHECK(seen[i] != 0);
  CHECK_INT(seen[sizeof seen - 1], 0);
  duro_random_bytes(NULL, 0);
}

static void check_uuid_form(const char *id, char version) {
  CHECK_INT(strlen(id), 36);
  for (int i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    bool digit = isdigit((unsigned char)id[i]) || (id[i] >= 'a' && id[i] <= 'f');
    CHECK(dash ? id[i] == '-' : digit);
  }
  CHECK_INT(id[14], version);
  CHECK(strchr("89ab", id[19]) != NULL);
}

TEST(a_uuid7_begins_with_its_time) {
  char id[DURO_UUID_SIZE];
  duro_uuid7(id, INT64_C(0x017f22e279b0));
  check_uuid_form(id, '7');
  CHECK_BYTES(id, 13, "017f22e2-79b0", 13);
  duro_uuid7(id, INT64_C(0x017f22e279af)); /* a clock set back is obeyed */
  CHECK_BYTES(id, 13, "017f22e2-79af", 13);
}

TEST(uuid7s_of_one_millisecond_ascend) {
  char last[DURO_UUID_SIZE] = "", id[DURO_UUID_SIZE];
  for (int64_t ms = 1000; ms < 1010; ms++) {
    for (int i = 0; i < 20000; i++) {
      duro_uuid7(id, ms);
      if (strcmp(last, id) >= 0) CHECK_STR(id, "an id above the last one");
      memcpy(last, id, sizeof last);
    }
  }
  check_uuid_form(last, '7');
}

static void *make_ids(void *out) {
  char(*ids)[DURO_UUID_SIZE] = out;
  for (int i = 0; i < 1000; i++) duro_uuid7(ids[i], 5);
  return NULL;
}

static int compare_ids(const void *a, const void *b) { return strcmp(a, b); }

TEST(threads_never_make_the_same_id) {
  static char ids[4000][DURO_UUID_SIZE];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    CHECK_INT(pthread_create(&threads[i], NULL, make_ids, ids[i * 1000]), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  qsort(ids, 4000, sizeof ids[0], compare_ids);
  for (int i = 1; i < 4000; i++) CHECK(strcmp(ids[i - 1], ids[i]) != 0);
}

TEST(a_run_id_is_32_hex_digits_and_new_each_time) {
  char a[DURO_RUN_ID_SIZE], b[DURO_RUN_ID_SIZE];
  duro_run_id(a);
  duro_run_id(b);
  CHECK_INT(strlen(a), 32);
  CHECK_INT(strspn(a, "0123456789abcdef"), 32);
  CHECK(strcmp(a, b) != 0);
}

/* Histories were recorded with these draws: a change of them breaks replay. */
TEST(the_generator_never_changes) {
  duro_prng g;
  char id[DURO_UUID_SIZE];
  duro_prng_seed(&g, DURO_STR("0123456789abcdef0123456789abcdef"));
  CHECK_INT(duro_prng_next(&g), INT64_C(-3341958820428418223));
  CHECK_INT(duro_prng_next(&g), INT64_C(5933265170452803397));
  CHECK_NUM(duro_prng_unit(&g), 0.52253598362337894);
  duro_prng_uuid4(&g, id);
  CHECK_STR(id, "c5f08b98-cc5f-4adc-8bff-c7ba7ab943ad");
  duro_prng_seed(&g, DURO_NONE);
  CHECK_INT(duro_prng_next(&g), INT64_C(-6809357380400427725));
}

/* The published first draws of xoshiro256** from the state 1, 2, 3, 4. */
TEST(the_generator_is_xoshiro256) {
  duro_prng g = {{1, 2, 3, 4}};
  CHECK_INT(duro_prng_next(&g), 11520);
  CHECK_INT(duro_prng_next(&g), 0);
  CHECK_INT(duro_prng_next(&g), 1509978240);
  CHECK_INT(duro_prng_next(&g), INT64_C(1215971899390074240));
}

TEST(seeds_that_differ_in_one_byte_draw_differently) {
  char seed[80];
  uint64_t plain[81];
  memset(seed, '0', sizeof seed);
  for (size_t n = 0; n <= sizeof seed; n++) {
    duro_prng g;
    duro_prng_seed(&g, (duro_str){seed, n});
    plain[n] = duro_prng_next(&g);
    for (size_t k = 0; k < n; k++) CHECK(plain[k] != plain[n]);
  }
  for (size_t i = 0; i < sizeof seed; i++) {
    duro_prng g;
    seed[i] = '1';
    duro_prng_seed(&g, (duro_str){seed, sizeof seed});
    seed[i] = '0';
    CHECK(duro_prng_next(&g) != plain[sizeof seed]);
  }
}

TEST(units_lie_between_zero_and_one_and_spread_evenly) {
  duro_prng g;
  int tenths[10] = {0};
  duro_prng_seed(&g, DURO_STR("units"));
  for (int i = 0; i < 100000; i++) {
    double unit = duro_prng_unit(&g);
    if (!(unit >= 0 && unit < 1)) CHECK_NUM(unit, 0.5);
    tenths[(int)(unit * 10)]++;
  }
  for (int i = 0; i < 10; i++) CHECK(tenths[i] > 9600 && tenths[i] < 10400);
}

TEST(a_uuid4_has_its_form) {
  duro_prng g;
  char id[DURO_UUID_SIZE];
  duro_prng_seed(&g, DURO_STR("run"));
  for (int i = 0; i < 100; i++) {
    duro_prng_uuid4(&g, id);
    check_uuid_form(id, '4');
  }
}

CHECK_MAIN()
