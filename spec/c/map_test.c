/* Hash maps: compared with a plain array through long random histories. And the hash itself, which
 * files depend on. */
#include "base/clock.h"
#include "base/map.h"
#include "check.h"
#include "failing_alloc.h"

/* Partitions and fingerprints on disk are made of these: a change of them is a change of format. */
TEST(the_hash_of_bytes_never_changes) {
  CHECK_INT(duro_hash_bytes(NULL, 0), INT64_C(-2152535657050944081));
  CHECK_INT(duro_hash_bytes("a", 1), INT64_C(-8797064046507744304));
  CHECK_INT(duro_hash_bytes("01234567", 8), INT64_C(5880513641792249673));
  CHECK_INT(duro_hash_bytes("01890a5d-ac96-774b-bcce-b302099a8057", 36),
            INT64_C(-4819753033640557216));
  CHECK_INT(duro_hash_int(1), INT64_C(6238072747940578789));
}

TEST(the_hash_spreads_ids_that_differ_little) {
  enum { IDS = 64 * 1024, SHARES = 64 };
  static int low[SHARES], high[SHARES];
  for (int i = 0; i < IDS; i++) {
    char id[32];
    int n = snprintf(id, sizeof id, "order-%d", i);
    uint64_t hash = duro_hash_bytes(id, (size_t)n);
    low[hash % SHARES]++;
    high[hash >> 58]++;
  }
  for (int i = 0; i < SHARES; i++) { /* 1024 is expected, and 32 the standard deviation */
    CHECK(low[i] > 850 && low[i] < 1200);
    CHECK(high[i] > 850 && high[i] < 1200);
  }
}

TEST(one_flipped_bit_flips_half_of_the_hash) {
  unsigned char bytes[37];
  memset(bytes, 'x', sizeof bytes);
  for (size_t n = 1; n <= sizeof bytes; n++) {
    uint64_t before = duro_hash_bytes(bytes, n);
    for (size_t bit = 0; bit < n * 8; bit++) {
      bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
      int flipped = __builtin_popcountll(before ^ duro_hash_bytes(bytes, n));
      bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
      CHECK(flipped >= 10 && flipped <= 54);
    }
  }
}

TEST(an_empty_map_has_nothing) {
  duro_map m = {0};
  size_t at = 0;
  CHECK(duro_map_get(&m, DURO_STR("x")) == NULL);
  CHECK(duro_map_remove(&m, DURO_STR("x")) == NULL);
  CHECK(duro_map_get_int(&m, 0) == NULL);
  CHECK(duro_map_each(&m, &at) == NULL);
  duro_map_free(&m);
}

TEST(a_new_value_brings_its_own_key) {
  duro_map m = {0};
  char first[] = "key", second[] = "key";
  int values[2];
  CHECK(duro_map_put(&m, duro_str_from(first), &values[0]));
  CHECK(duro_map_put(&m, duro_str_from(second), &values[1]));
  memset(first, '?', 3); /* the old value and its key are gone */
  CHECK_INT(m.count, 1);
  CHECK(duro_map_get(&m, DURO_STR("key")) == &values[1]);
  CHECK(duro_map_put(&m, DURO_STR("key"), NULL)); /* no value is no entry */
  CHECK_INT(m.count, 0);
  duro_map_free(&m);
}

TEST(the_empty_string_and_bytes_behind_a_nul_are_keys) {
  duro_map m = {0};
  int values[3];
  duro_map_put(&m, DURO_STR(""), &values[0]);
  duro_map_put(&m, DURO_STR("a\0b"), &values[1]);
  duro_map_put(&m, DURO_STR("a\0c"), &values[2]);
  CHECK(duro_map_get(&m, DURO_STR("")) == &values[0]);
  CHECK(duro_map_get(&m, DURO_STR("a\0b")) == &values[1]);
  CHECK(duro_map_get(&m, DURO_STR("a")) == NULL);
  duro_map_free(&m);
}

/* Counts what iteration finds and checks that each entry is the model's. */
static size_t count_each(const duro_map *m, void **model, int64_t first_key) {
  size_t at = 0, count = 0;
  for (duro_map_slot *slot; (slot = duro_map_each(m, &at)); count++) {
    CHECK(model[slot->number - first_key] == slot->value);
  }
  return count;
}

enum { KEYS = 300, STEPS = 200000 };

static void live_int_map(uint64_t seed) {
  duro_map m = {0};
  duro_prng random;
  void *model[KEYS] = {0};
  static char values[KEYS];
  size_t count = 0;
  duro_prng_seed(&random, (duro_str){(char *)&seed, sizeof seed});
  for (int step = 0; step < STEPS; step++) {
    uint64_t draw = duro_prng_next(&random);
    size_t key = draw % KEYS;
    bool filling = step / 1000 % 2; /* grows and shrinks in waves */
    bool putting = (draw >> 32) % 10 < (filling ? 7 : 3);
    int64_t number = (int64_t)key - KEYS / 2;
    if (putting) {
      count += !model[key];
      model[key] = &values[(draw >> 40) % KEYS];
      if (!duro_map_put_int(&m, number, model[key])) CHECK(false);
    } else {
      void *removed = duro_map_remove_int(&m, number);
      if (removed != model[key]) CHECK(false);
      count -= model[key] != NULL;
      model[key] = NULL;
    }
    size_t other = (draw >> 16) % KEYS;
    if (duro_map_get_int(&m, (int64_t)other - KEYS / 2) != model[other]) CHECK(false);
    if (m.count != count) CHECK(false);
  }
  CHECK_INT(count_each(&m, model, -KEYS / 2), count);
  duro_map_free(&m);
}

TEST(an_int_map_does_what_a_plain_array_does) {
  for (uint64_t seed = 1; seed <= 5; seed++) live_int_map(seed);
}

TEST(a_string_map_does_what_a_plain_array_does) {
  duro_map m = {0};
  duro_prng random;
  duro_prng_seed(&random, DURO_STR("strings"));
  static char keys[KEYS][24];
  bool present[KEYS] = {0};
  for (int i = 0; i < KEYS; i++) snprintf(keys[i], sizeof keys[i], "%.*s%d", i % 9, "instance-", i);
  for (int step = 0; step < STEPS; step++) {
    uint64_t draw = duro_prng_next(&random);
    size_t k = draw % KEYS;
    duro_str key = duro_str_from(keys[k]);
    if (draw >> 63) {
      present[k] = true;
      if (!duro_map_put(&m, key, keys[k])) CHECK(false);
    } else {
      if (duro_map_remove(&m, key) != (present[k] ? keys[k] : NULL)) CHECK(false);
      present[k] = false;
    }
    size_t other = (draw >> 16) % KEYS;
    void *want = present[other] ? keys[other] : NULL;
    if (duro_map_get(&m, duro_str_from(keys[other])) != want) CHECK(false);
  }
  duro_map_free(&m);
}

TEST(a_map_without_memory_refuses_and_keeps_what_it_has) {
  bool through = !FAIL_ALLOC_WORKS;
  static char values[100];
  for (int n = 0; n < 20 && !through; n++) {
    duro_map m = {0};
    int64_t kept = 0;
    fail_alloc_at(n);
    while (kept < 100 && duro_map_put_int(&m, kept, &values[kept])) kept++;
    through = !fail_alloc_happened();
    fail_alloc_at(-1);
    CHECK_INT(m.count, kept);
    for (int64_t i = 0; i < kept; i++) CHECK(duro_map_get_int(&m, i) == &values[i]);
    duro_map_free(&m);
  }
  CHECK(through);
}

CHECK_MAIN()
