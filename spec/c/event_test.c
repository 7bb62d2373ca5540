// The event codec: every kind and field comes back, and what is malformed is refused by name.
#include "check.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "model/event.h"

#define NOW INT64_C(1763780000123)

static duro_str text_of(duro_buf *b) { return duro_buf_str(b); }

static void check_same_str(duro_str got, duro_str want) {
  CHECK_INT(got.p == NULL, want.p == NULL);
  CHECK_BYTES(got.p ? got.p : "", got.n, want.p ? want.p : "", want.n);
}

static void check_same_event(const duro_event *got, const duro_event *want) {
  CHECK_INT(got->id, want->id);
  CHECK_STR(duro_event_kind_string(got->kind), duro_event_kind_string(want->kind));
  CHECK_INT(got->at_ms, want->at_ms);
#define X(member, key, TYPE, public_key) SAME_##TYPE(got->member, want->member);
#define SAME_INT(a, b)                   CHECK_INT(a, b)
#define SAME_BOOL(a, b)                  CHECK_INT(a, b)
#define SAME_TEXT(a, b)                  check_same_str(a, b)
#define SAME_JSON(a, b)                  check_same_str(a, b)
  DURO_EVENT_FIELDS(X)
#undef X
}

// Writes `count` events as arrays of at most `stride` and checks that they read back the same.
static void check_round_trip(const duro_event *events, size_t count, size_t stride) {
  duro_buf b[16] = {{0}};
  duro_str texts[16] = {{0}};
  size_t text_count = 0;
  for (size_t i = 0; i < count; text_count++) {
    duro_buf *array = &b[text_count];
    int64_t at = 0;
    duro_buf_add_char(array, '[');
    for (size_t n = 0; n < stride && i < count; n++, i++) {
      if (n) duro_buf_add_char(array, ',');
      duro_event_encode(array, &events[i], at);
      at = events[i].at_ms;
    }
    duro_buf_add_char(array, ']');
    texts[text_count] = text_of(array);
    CHECK(duro_json_valid(texts[text_count]));
  }
  duro_arena arena = {0};
  duro_error *err = NULL;
  duro_events got;
  if (CHECK_INT(duro_events_decode(texts, text_count, &arena, &got, &err), DURO_OK)) {
    CHECK_INT(got.count, count);
    for (size_t i = 0; i < count && i < got.count; i++) check_same_event(&got.items[i], &events[i]);
  } else if (err) {
    CHECK_STR(err->message, "");
  }
  duro_error_free(err);
  duro_arena_free(&arena);
  for (size_t i = 0; i < 16; i++) duro_buf_free(&b[i]);
}

TEST(every_kind_comes_back_from_its_string) {
  for (int kind = 1; kind < DURO_EVENT_KIND_COUNT; kind++) {
    duro_event_kind got = DURO_EVENT_NONE;
    CHECK(duro_event_kind_from(duro_str_from(duro_event_kind_string((duro_event_kind)kind)), &got));
    CHECK_INT(got, kind);
  }
  duro_event_kind out = DURO_EVENT_TIMER_FIRED;
  CHECK(!duro_event_kind_from(DURO_STR("timer"), &out));
  CHECK(!duro_event_kind_from(DURO_STR("none"), &out));
  CHECK(!duro_event_kind_from(DURO_NONE, &out));
  CHECK_INT(out, DURO_EVENT_TIMER_FIRED);
  CHECK_STR(duro_event_kind_string(DURO_EVENT_NONE), "unknown");
  CHECK_STR(duro_event_kind_string((duro_event_kind)1000), "unknown");
}

TEST(arrivals_commands_and_endings_are_told_apart) {
  CHECK_INT(duro_event_kind_group(DURO_EVENT_ACTIVITY_COMPLETED), 'A');
  CHECK_INT(duro_event_kind_group(DURO_EVENT_ACTIVITY_SCHEDULED), 'C');
  CHECK_INT(duro_event_kind_group(DURO_EVENT_ORCHESTRATION_FAILED), 'T');
  CHECK_INT(duro_event_kind_group(DURO_EVENT_ORCHESTRATION_TERMINATED), 'A');
}

TEST(every_kind_round_trips) {
  for (int kind = 1; kind < DURO_EVENT_KIND_COUNT; kind++) {
    check_round_trip(&(duro_event){.id = 1, .kind = (duro_event_kind)kind, .at_ms = NOW}, 1, 1);
  }
}

TEST(every_field_round_trips_alone){
#define X(member, key, TYPE, public_key)                                                           \
  {                                                                                                \
    duro_event e = {.id = 3, .kind = DURO_EVENT_ACTIVITY_COMPLETED, .at_ms = NOW};                 \
    e.member = SAMPLE_##TYPE;                                                                      \
    check_round_trip(&e, 1, 1);                                                                    \
  }
#define SAMPLE_INT  INT64_C(-9007199254740993)
#define SAMPLE_BOOL true
#define SAMPLE_TEXT DURO_STR("a \"quoted\"\n\\ name \xc3\xa4")
#define SAMPLE_JSON DURO_STR("{\"a\":[1,2.5,\"\\u00e4\"],\"id\":7}")
    DURO_EVENT_FIELDS(X)
#undef X
}

TEST(an_empty_text_and_a_json_null_are_not_absent) {
  check_round_trip(&(duro_event){.id = 1,
                                 .kind = DURO_EVENT_EVENT_RECEIVED,
                                 .name = DURO_STR(""),
                                 .input = DURO_STR("null")},
                   1, 1);
}

TEST(the_text_of_an_event_is_what_the_file_format_says) {
  duro_buf b = {0};
  duro_event e = {.id = 12,
                  .kind = DURO_EVENT_ACTIVITY_SCHEDULED,
                  .at_ms = NOW,
                  .name = DURO_STR("charge"),
                  .input = DURO_STR("{\"amount\":5}"),
                  .attempt = 1};
  duro_event_encode(&b, &e, 0);
  duro_buf_add_char(&b, 0);
  CHECK_STR(b.p, "{\"id\":12,\"kind\":\"activity_scheduled\",\"at\":1763780000123,"
                 "\"name\":\"charge\",\"input\":{\"amount\":5},\"attempt\":1}");
  duro_buf_clear(&b);
  e = (duro_event){.id = 13,
                   .kind = DURO_EVENT_ACTIVITY_RETRY_SCHEDULED,
                   .at_ms = NOW,
                   .source = 12,
                   .lost = true};
  duro_event_encode(&b, &e, NOW);
  duro_buf_add_char(&b, 0);
  CHECK_STR(b.p, "{\"id\":13,\"kind\":\"activity_retry_scheduled\",\"source\":12,\"lost\":true}");
  duro_buf_free(&b);
}

static const char *const texts[] = {"",
                                    "plain",
                                    "with \"quotes\" and \\",
                                    "\xe2\x82\xac\xf0\x9f\x98\x80",
                                    "x",
                                    "tab\tnewline\nnul\x01"};
static const char *const payloads[] = {"null",        "0",      "\"text\"", "[1,[2,[3]],{}]",
                                       "{\"id\":99}", "-1.5e3", "true",     "\"\\\"\""};

static duro_event random_event(duro_prng *g, int64_t id, int64_t at_ms) {
  duro_event e = {.id = id, .at_ms = at_ms};
  e.kind = (duro_event_kind)(1 + duro_prng_next(g) % (DURO_EVENT_KIND_COUNT - 1));
#define X(member, key, TYPE, public_key)                                                           \
  if (duro_prng_next(g) % 3 == 0) e.member = RANDOM_##TYPE;
#define RANDOM_INT  (int64_t)(duro_prng_next(g) >> duro_prng_next(g) % 64)
#define RANDOM_BOOL true
#define RANDOM_TEXT duro_str_from(texts[duro_prng_next(g) % (sizeof texts / sizeof *texts)])
#define RANDOM_JSON                                                                                \
  duro_str_from(payloads[duro_prng_next(g) % (sizeof payloads / sizeof *payloads)])
  DURO_EVENT_FIELDS(X)
#undef X
  return e;
}

TEST(random_histories_round_trip_in_any_stride) {
  duro_prng g;
  duro_prng_seed(&g, DURO_STR("event_test"));
  for (int round = 0; round < 300; round++) {
    duro_event events[48];
    size_t count = 1 + duro_prng_next(&g) % 48;
    int64_t id = 0, at = NOW;
    for (size_t i = 0; i < count; i++) {
      id += 1 + (int64_t)(duro_prng_next(&g) % 3);
      at += (int64_t)(duro_prng_next(&g) % 2);
      events[i] = random_event(&g, id, at);
    }
    check_round_trip(events, count, (count + 15) / 16 + duro_prng_next(&g) % 8);
  }
}

TEST(no_text_and_empty_arrays_are_an_empty_history) {
  duro_arena arena = {0};
  duro_events got;
  duro_str empty[] = {DURO_STR("[]"), DURO_STR(" [ ] ")};
  CHECK_INT(duro_events_decode(NULL, 0, &arena, &got, NULL), DURO_OK);
  CHECK_INT(got.count, 0);
  CHECK_INT(duro_events_decode(empty, 2, &arena, &got, NULL), DURO_OK);
  CHECK_INT(got.count, 0);
  duro_arena_free(&arena);
}

TEST(fields_in_any_order_escaped_keys_and_unknown_keys_are_read) {
  duro_arena arena = {0};
  duro_events got;
  duro_str text =
      DURO_STR("[ {\"name\":\"n\", \"x_new\":{\"kind\":[1,{}]}, \"at\":5,\"kind\":\"timer_fired\","
               "\"so\\u0075rce\":3, \"id\":4 , \"other\":null} ,"
               "{\"id\":6,\"kind\":\"patch_marker\"}]");
  if (CHECK_INT(duro_events_decode(&text, 1, &arena, &got, NULL), DURO_OK)) {
    CHECK_INT(got.count, 2);
    check_same_event(&got.items[0], &(duro_event){.id = 4,
                                                  .kind = DURO_EVENT_TIMER_FIRED,
                                                  .at_ms = 5,
                                                  .name = DURO_STR("n"),
                                                  .source = 3});
    CHECK_INT(got.items[1].at_ms, 5);
  }
  duro_arena_free(&arena);
}

TEST(an_absent_time_is_not_taken_from_the_array_before) {
  duro_arena arena = {0};
  duro_events got;
  duro_str two[] = {DURO_STR("[{\"id\":1,\"kind\":\"resumed\",\"at\":7}]"),
                    DURO_STR("[{\"id\":2,\"kind\":\"resumed\"}]")};
  if (CHECK_INT(duro_events_decode(two, 2, &arena, &got, NULL), DURO_OK)) {
    CHECK_INT(got.items[0].at_ms, 7);
    CHECK_INT(got.items[1].at_ms, 0);
  }
  duro_arena_free(&arena);
}

static void check_corrupt(const char *text, const char *named) {
  duro_arena arena = {0};
  duro_events got;
  duro_error *err = NULL;
  duro_str s = duro_str_from(text);
  if (!CHECK_INT(duro_events_decode(&s, 1, &arena, &got, &err), DURO_CORRUPT)) {
    CHECK_STR(text, "is malformed");
  } else if (!CHECK(err && strstr(err->message, named))) {
    CHECK_STR(err ? err->message : NULL, named);
  }
  duro_error_free(err);
  duro_arena_free(&arena);
}

TEST(malformed_history_is_corrupt_and_says_where) {
  check_corrupt("", "");
  check_corrupt("{}", "array");
  check_corrupt("7", "array");
  check_corrupt("[", "");
  check_corrupt("[7]", "object");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\"}", "");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\"}]]", "");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\"}] []", "");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\"},7]", "event 1 ");
  check_corrupt("[{\"id\":1}]", "no kind");
  check_corrupt("[{\"id\":1,\"kind\":\"resum", "");
  check_corrupt("[{\"id\":1,\"kind\":\"teleported\"}]", "teleported");
  check_corrupt("[{\"id\":1,\"kind\":17}]", "event 1 ");
  check_corrupt("[{\"kind\":\"resumed\"}]", "event 0 ");
  check_corrupt("[{\"id\":0,\"kind\":\"resumed\"}]", "event 0 ");
  check_corrupt("[{\"id\":-1,\"kind\":\"resumed\"}]", "event -1 ");
  check_corrupt("[{\"id\":1.5,\"kind\":\"resumed\"}]", "'id'");
  check_corrupt("[{\"id\":\"1\",\"kind\":\"resumed\"}]", "'id'");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"name\":7}]", "'name'");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"name\":null}]", "'name'");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"lost\":1}]", "'lost'");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"input\":}]", "event 1 ");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"input\":[1,}]", "event 1 ");
  check_corrupt("[{\"id\":1,\"kind\":\"resumed\",\"x\":tru}]", "event 1 ");
}

TEST(ids_that_do_not_ascend_are_corrupt) {
  check_corrupt("[{\"id\":2,\"kind\":\"resumed\"},{\"id\":2,\"kind\":\"resumed\"}]",
                "follows event 2");
  check_corrupt("[{\"id\":2,\"kind\":\"resumed\"},{\"id\":1,\"kind\":\"resumed\"}]",
                "follows event 2");
  duro_arena arena = {0};
  duro_events got;
  duro_str two[] = {DURO_STR("[{\"id\":5,\"kind\":\"resumed\"}]"),
                    DURO_STR("[{\"id\":5,\"kind\":\"resumed\"}]")};
  CHECK_INT(duro_events_decode(two, 2, &arena, &got, NULL), DURO_CORRUPT);
  duro_arena_free(&arena);
}

// Whatever happens to the bytes: an answer, no crash. A sanitizer build sees stray reads.
TEST(damaged_history_never_crashes) {
  duro_prng g;
  duro_prng_seed(&g, DURO_STR("damage"));
  for (int round = 0; round < 3000; round++) {
    duro_buf b = {0};
    duro_buf_add_char(&b, '[');
    for (int id = 1; id <= 3; id++) {
      duro_event e = random_event(&g, id, NOW);
      if (id > 1) duro_buf_add_char(&b, ',');
      duro_event_encode(&b, &e, 0);
    }
    duro_buf_add_char(&b, ']');
    size_t n = duro_prng_next(&g) % 4 == 0 ? duro_prng_next(&g) % b.n : b.n;
    char *copy = malloc(n + 1);
    memcpy(copy, b.p, n);
    for (uint64_t i = duro_prng_next(&g) % 4; i > 0 && n > 0; i--) {
      copy[duro_prng_next(&g) % n] = (char)duro_prng_next(&g);
    }
    duro_arena arena = {0};
    duro_events got;
    duro_str text = {copy, n};
    duro_code code = duro_events_decode(&text, 1, &arena, &got, NULL);
    CHECK(code == DURO_OK || code == DURO_CORRUPT);
    duro_arena_free(&arena);
    free(copy);
    duro_buf_free(&b);
  }
}

TEST(one_event_decodes_without_id_and_time) {
  duro_arena arena = {0};
  duro_event e;
  CHECK_INT(duro_event_decode(DURO_STR("{\"id\":0,\"kind\":\"event_received\",\"name\":\"go\"}"),
                              &arena, &e, NULL),
            DURO_OK);
  CHECK_INT(e.id, 0);
  CHECK_INT(e.at_ms, 0);
  CHECK_BYTES(e.name.p, e.name.n, "go", 2);
  CHECK_INT(duro_event_decode(DURO_STR("[]"), &arena, &e, NULL), DURO_CORRUPT);
  CHECK_INT(duro_event_decode(DURO_STR("{}"), &arena, &e, NULL), DURO_CORRUPT);
  CHECK_INT(duro_event_decode(DURO_STR("{\"kind\":\"resumed\"} 1"), &arena, &e, NULL),
            DURO_CORRUPT);
  duro_arena_free(&arena);
}

CHECK_MAIN()
