// The tail filter: it never forgets a row that is not folded, and seldom names one that is.
#include "check.h"

#include <stdlib.h>

#include "store/sqlite/internal.h"

enum { EPOCH = 7, FOLD = 25000 };

static duro__sqlite_tail *tail;

static void set_up(void) {
  tail = calloc(1, sizeof *tail);
  duro__sqlite_tail_init(tail);
  duro__sqlite_tail_folded(tail, EPOCH, 0, true);
}

static void tear_down(void) {
  duro__sqlite_tail_deinit(tail);
  free(tail);
}

// Row `seq` is of the instance with that key.
static void add(int64_t first_seq, int64_t last_seq) {
  for (int64_t seq = first_seq; seq <= last_seq; seq++) {
    duro_turn_row row = {.seq = seq, .instance_key = seq};
    duro__sqlite_tail_add(tail, &row, 1);
  }
}

// How many of these keys it would have looked for.
static int64_t named(int64_t first_key, int64_t last_key) {
  int64_t count = 0, epoch;
  uint64_t generation = duro__sqlite_tail_generation(tail);
  for (int64_t key = first_key; key <= last_key; key++) {
    count += duro__sqlite_tail_may_have(tail, generation, key, &epoch);
  }
  return count;
}

TEST(a_row_that_is_not_folded_is_named_and_few_others_are) {
  set_up();
  add(1, FOLD);
  CHECK_INT(named(1, FOLD), FOLD);
  CHECK(named(FOLD + 1, 5 * FOLD) < FOLD / 100);
  tear_down();
}

TEST(a_fold_that_leaves_no_tail_clears_it) {
  set_up();
  add(1, FOLD);
  duro__sqlite_tail_folded(tail, EPOCH, FOLD, true);
  CHECK_INT(named(1, FOLD), 0);
  tear_down();
}

TEST(folds_that_never_catch_up_keep_it_sparse_and_lose_nothing) {
  set_up();
  int64_t last = 0;
  for (int64_t folded = 0; folded < 40 * FOLD; folded += FOLD) {
    add(last + 1, folded + FOLD + 3000);
    last = folded + FOLD + 3000;
    duro__sqlite_tail_folded(tail, EPOCH, folded + FOLD, false);
    CHECK_INT(named(folded + FOLD + 1, last), 3000);
  }
  CHECK(named(1, 10 * FOLD) < FOLD / 10);
  CHECK(named(last + 1, last + FOLD) < FOLD / 100);
  tear_down();
}

TEST(a_reader_that_began_before_bits_were_cleared_looks_for_itself) {
  set_up();
  int64_t epoch;
  uint64_t before = duro__sqlite_tail_generation(tail);
  add(1, FOLD);
  duro__sqlite_tail_folded(tail, EPOCH, FOLD - 1, false);
  CHECK(duro__sqlite_tail_may_have(tail, before, 2 * FOLD, &epoch));
  tear_down();
}

TEST(under_another_lease_nothing_is_known) {
  set_up();
  duro__sqlite_tail_forget(tail);
  CHECK_INT(named(1, 10), 10);
  duro__sqlite_tail_folded(tail, EPOCH + 1, 10, false);
  CHECK_INT(named(1, 10), 10);
  duro__sqlite_tail_folded(tail, EPOCH + 1, 20, true);
  CHECK_INT(named(1, 10), 0);
  tear_down();
}

CHECK_MAIN()
