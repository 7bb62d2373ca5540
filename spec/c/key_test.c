// Instance keys: they ascend, tell their creation time, and owner and clients never meet.
#include "check.h"

#include "base/clock.h"
#include "model/batch.h"

#define NOW      INT64_C(1763780000000)
#define COUNTERS (INT64_C(1) << DURO_KEY_COUNTER_BITS)

static bool made_by_client(int64_t key) { return (key & COUNTERS) != 0; }

TEST(the_first_key_of_a_millisecond_is_its_floor) {
  CHECK_INT(duro_key_next(0, NOW, false), duro_key_floor(NOW));
  CHECK_INT(duro_key_next(0, NOW, true), duro_key_floor(NOW) + COUNTERS);
}

TEST(a_key_tells_its_creation_time) {
  CHECK_INT(duro_key_created_ms(duro_key_next(0, NOW, false)), NOW);
  CHECK_INT(duro_key_created_ms(duro_key_next(0, NOW, true)), NOW);
  CHECK_INT(duro_key_created_ms(duro_key_floor(NOW + 1) - 1), NOW);
}

TEST(a_floor_outside_of_the_range_is_held_at_its_ends) {
  CHECK_INT(duro_key_floor(0), 0);
  CHECK_INT(duro_key_floor(-5), 0);
  CHECK_INT(duro_key_floor(INT64_MIN), 0);
  CHECK_INT(duro_key_floor(DURO_KEY_EPOCH_MS), 0);
  CHECK_INT(duro_key_floor(DURO_KEY_EPOCH_MS + 1), 2 * COUNTERS);
  CHECK(duro_key_floor(INT64_MAX) > duro_key_floor(NOW));
}

TEST(no_key_is_zero) {
  CHECK_INT(duro_key_next(0, 0, false), 1);
  CHECK_INT(duro_key_next(0, 0, true), COUNTERS);
}

TEST(a_clock_that_stands_still_or_goes_back_gives_the_next_counter) {
  int64_t key = duro_key_next(0, NOW, false);
  CHECK_INT(duro_key_next(key, NOW, false), key + 1);
  CHECK_INT(duro_key_next(key, NOW - 3600000, false), key + 1);
  key = duro_key_next(0, NOW, true);
  CHECK_INT(duro_key_next(key, NOW, true), key + 1);
}

TEST(an_exhausted_millisecond_borrows_from_the_next) {
  int64_t last = duro_key_floor(NOW) + COUNTERS - 1; // the owner's last
  CHECK_INT(duro_key_next(last, NOW, false), duro_key_floor(NOW + 1));
  last = duro_key_floor(NOW) + 2 * COUNTERS - 1; // the clients' last
  CHECK_INT(duro_key_next(last, NOW, true), duro_key_floor(NOW + 1) + COUNTERS);
}

TEST(each_maker_stays_in_its_half_after_the_others_key) {
  int64_t owner = duro_key_next(0, NOW, false) + 7;
  int64_t client = duro_key_next(owner, NOW, true);
  CHECK_INT(client, duro_key_floor(NOW) + COUNTERS);
  CHECK_INT(duro_key_next(client, NOW, false), duro_key_floor(NOW + 1));
}

TEST(keys_of_any_clock_ascend_and_never_meet) {
  duro_prng g;
  duro_prng_seed(&g, DURO_STR("keys"));
  for (int round = 0; round < 200; round++) {
    int64_t now = NOW, last[2] = {0, 0};
    for (int i = 0; i < 500; i++) {
      uint64_t draw = duro_prng_next(&g);
      bool by_client = (draw & 1) != 0;
      now += (int64_t)(draw >> 8 & 15) - 5;                        // also backwards
      if ((draw >> 16 & 63) == 0) last[by_client] |= COUNTERS - 3; // nearly used up
      if (last[by_client] == COUNTERS - 3) last[by_client] = 0;
      int64_t key = duro_key_next(last[by_client], now, by_client);
      if (!CHECK(key > last[by_client])) return;
      if (!CHECK_INT(made_by_client(key), by_client)) return;
      if (!CHECK(duro_key_created_ms(key) >= now)) return;
      last[by_client] = key;
    }
  }
}

CHECK_MAIN()
