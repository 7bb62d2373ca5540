// The change feed: public seqs, and what a row of the journal is to a reader (runtime/feed.h).
#include "check.h"

#include "runtime/feed.h"

static const duro__feed_query everything = {.types = ~0u, .limit = 100};

static duro_change turn(int64_t seq, int64_t count, const char *events) {
  return (duro_change){.seq = seq,
                       .instance_key = 1,
                       .execution_id = 1,
                       .event_count = count,
                       .at_ms = 1000,
                       .instance_id = DURO_STR("a"),
                       .name = DURO_STR("order"),
                       .events = duro_str_from(events)};
}

static duro_code add(const duro__feed_query *q, const duro_change *row, int64_t since,
                     duro_arena *arena, duro__feed_items *out) {
  duro_error *err = NULL;
  duro_code code = duro__feed_add(q, row, since, NULL, arena, out, &err);
  duro_error_free(err);
  return code;
}

static void clear(duro_arena *arena, duro__feed_items *items) {
  free(items->list.items);
  *items = (duro__feed_items){0};
  duro_arena_free(arena);
}

// --- Public seqs ---

TEST(a_row_takes_a_seq_for_each_64_events_and_one_at_least) {
  CHECK_INT(duro_turn_seqs(0), 1);
  CHECK_INT(duro_turn_seqs(1), 1);
  CHECK_INT(duro_turn_seqs(64), 1);
  CHECK_INT(duro_turn_seqs(65), 2);
  CHECK_INT(duro_turn_seqs(100000), 1563);
}

TEST(public_seqs_ascend_and_are_never_given_twice) {
  static const int64_t counts[] = {1, 64, 0, 65, 3, 1000, 0, 128, 129, 2};
  int64_t row_seq = 0, last = 0;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    int64_t count = counts[i];
    row_seq += duro_turn_seqs(count);
    for (int64_t place = 0; place < (count ? count : 1); place++) {
      int64_t seq = duro_public_seq(row_seq, count, place);
      if (!CHECK(seq > last)) return;
      // A reader that goes on behind it begins with a row that holds what follows, or an earlier one.
      if (!CHECK(duro_public_seq_row(seq) <= row_seq)) return;
      if (!CHECK(duro_public_seq_row(seq) >= row_seq - duro_turn_seqs(count))) return;
      last = seq;
    }
    CHECK_INT(duro_public_seq_row(last), row_seq);
  }
}

// --- What a row is to a reader ---

#define TWO                                                                                        \
  "[{\"id\":1,\"kind\":\"orchestration_started\",\"at\":1000,\"name\":\"order\"},"                 \
  "{\"id\":2,\"kind\":\"activity_scheduled\",\"name\":\"charge\"},"                                \
  "{\"id\":3,\"kind\":\"event_received\",\"name\":\"go\",\"input\":7}]"

TEST(only_events_of_the_types_asked_for_are_told) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro_change row = turn(5, 3, TWO);
  CHECK_INT(add(&everything, &row, 0, &arena, &items), DURO_OK);
  if (!CHECK_INT(items.list.count, 2)) return;
  CHECK_INT(items.list.items[0].type, DURO__FEED_STARTED);
  CHECK_INT(items.list.items[0].seq, 5 * 64 - 2);
  CHECK_INT(items.list.items[1].type, DURO__FEED_EVENT_RECEIVED);
  CHECK_INT(items.list.items[1].seq, 5 * 64);
  CHECK_INT(items.seq, 5 * 64);
  clear(&arena, &items);
  duro__feed_query some = {.types = 1u << DURO__FEED_EVENT_RECEIVED, .limit = 100};
  CHECK_INT(add(&some, &row, 0, &arena, &items), DURO_OK);
  CHECK_INT(items.list.count, 1);
  clear(&arena, &items);
}

TEST(a_reader_goes_on_within_a_row) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro_change row = turn(5, 3, TWO);
  CHECK_INT(add(&everything, &row, 5 * 64 - 2, &arena, &items), DURO_OK);
  if (CHECK_INT(items.list.count, 1)) CHECK_INT(items.list.items[0].seq, 5 * 64);
  clear(&arena, &items);
  duro__feed_query one = {.types = ~0u, .limit = 1};
  CHECK_INT(add(&one, &row, 0, &arena, &items), DURO_OK);
  CHECK(items.full);
  CHECK_INT(items.seq, 5 * 64 - 2); // not the end of the row: there is more in it
  clear(&arena, &items);
}

TEST(the_start_of_a_later_execution_is_not_told) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro_change row = turn(5, 3, TWO);
  row.execution_id = 2;
  CHECK_INT(add(&everything, &row, 0, &arena, &items), DURO_OK);
  CHECK_INT(items.list.count, 1);
  clear(&arena, &items);
}

TEST(rows_of_a_deleted_instance_are_passed_over) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro_change row = turn(5, 3, TWO);
  row.instance_id = row.name = DURO_NONE;
  CHECK_INT(add(&everything, &row, 0, &arena, &items), DURO_OK);
  CHECK_INT(items.list.count, 0);
  CHECK_INT(items.seq, 5 * 64);
  clear(&arena, &items);
}

static const char *status_of(const char *change, bool deleted) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro__feed_query statuses = {.statuses = true, .limit = 100};
  duro_change row = turn(6, 0, change);
  if (deleted) row.instance_id = row.name = DURO_NONE;
  CHECK_INT(add(&statuses, &row, 0, &arena, &items), DURO_OK);
  CHECK_INT(items.seq, 6 * 64);
  const char *status = items.list.count ? items.list.items[0].status : "none";
  if (items.list.count) CHECK(duro_str_equal(items.list.items[0].instance_id, DURO_STR("a")));
  clear(&arena, &items);
  return status;
}

TEST(changes_that_are_no_part_of_history_are_told_to_who_watches) {
  CHECK_STR(status_of("[{\"change\":\"pending\"}]", false), "pending");
  CHECK_STR(status_of("[{\"change\":\"stalled\",\"error\":{\"code\":\"x\"}}]", false), "stalled");
  CHECK_STR(status_of("[{\"change\":\"running\"}]", false), "running");
  CHECK_STR(status_of("[{\"change\":\"deleted\",\"id\":\"a\",\"name\":\"order\"}]", true),
            "not_found");
}

TEST(a_change_of_a_later_version_is_passed_over) {
  CHECK_STR(status_of("[{\"change\":\"archived\"}]", false), "none");
  CHECK_STR(status_of("[]", false), "none");
  CHECK_STR(status_of("[7]", false), "none");
}

TEST(a_damaged_row_is_corrupt) {
  duro_arena arena = {0};
  duro__feed_items items = {0};
  duro_change row = turn(5, 1, "[{\"id\":1,");
  CHECK_INT(add(&everything, &row, 0, &arena, &items), DURO_CORRUPT);
  clear(&arena, &items);
}

// --- Types ---

TEST(a_misspelt_type_finds_its_neighbour) {
  duro__feed_type type;
  const char *near = NULL;
  CHECK(duro__feed_type_from(DURO_STR("timer_fired"), &type, &near));
  CHECK_INT(type, DURO__FEED_TIMER_FIRED);
  CHECK(!duro__feed_type_from(DURO_STR("timer_fried"), &type, &near));
  CHECK_STR(near, "timer_fired");
}

TEST(the_kinds_of_a_query_are_those_that_may_bring_something) {
  duro__feed_query stalled = {.types = 1u << DURO__FEED_STALLED};
  CHECK(duro__feed_kinds(&stalled) == UINT64_C(1) << DURO_EVENT_NONE);
  duro__feed_query fired = {.types = 1u << DURO__FEED_TIMER_FIRED};
  CHECK(duro__feed_kinds(&fired) == UINT64_C(1) << DURO_EVENT_TIMER_FIRED);
  CHECK(!(duro__feed_kinds(&everything) >> DURO_EVENT_ACTIVITY_SCHEDULED & 1));
}

CHECK_MAIN()
