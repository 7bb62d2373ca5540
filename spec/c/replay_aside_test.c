/* duro_replay: a history against code, without a runtime. */
#include "check.h"
#include "script_host.h"

#define STARTED                                                                                    \
  "{\"id\":1,\"kind\":\"orchestration_started\",\"at\":5,\"name\":\"main\",\"run_id\":\"r\","      \
  "\"input\":7}"
#define SCHEDULED "{\"id\":2,\"kind\":\"activity_scheduled\",\"name\":\"echo\",\"input\":0}"
#define COMPLETED "{\"id\":3,\"kind\":\"activity_completed\",\"source\":2,\"output\":0}"

static duro_host host = {.programs = &script_ops};
static duro_buf departure;
static duro_error *problem;

static duro_code replay(const char *code, const char *events) {
  duro_buf_clear(&departure);
  duro_error_free(problem);
  problem = NULL;
  duro_code result = duro_replay(&host, (void *)(uintptr_t)code, DURO_STR("i"), 1,
                                 duro_str_from(events), &departure, &problem);
  duro_buf_add_char(&departure, 0);
  return result;
}

TEST(code_that_fits_waits_where_history_ends) {
  CHECK_INT(replay("aw", "[" STARTED "," SCHEDULED "," COMPLETED
                         ",{\"id\":4,\"kind\":\"event_subscribed\",\"name\":\"go\"}]"),
            DURO_OK);
  CHECK_INT(departure.n, 1);
}

TEST(a_departure_says_where_what_and_why) {
  CHECK_INT(replay("ba", "[" STARTED "," SCHEDULED "]"), DURO_NONDETERMINISM);
  CHECK_STR(departure.p, "{\"event_id\":2,\"expected\":\"activity_scheduled 'echo'\","
                         "\"got\":\"activity_scheduled 'broken'\"}");
  CHECK_INT(replay("f", "[" STARTED "," SCHEDULED "]"), DURO_NONDETERMINISM);
  CHECK_STR(departure.p, "{\"event_id\":2,\"expected\":\"activity_scheduled 'echo'\","
                         "\"got\":\"orchestration_failed\",\"detail\":\"on purpose\"}");
}

TEST(it_is_strict_about_inputs) {
  CHECK_INT(replay("sa",
                   "[" STARTED ",{\"id\":2,\"kind\":\"custom_status_updated\",\"input\":0},"
                   "{\"id\":3,\"kind\":\"activity_scheduled\",\"name\":\"echo\",\"input\":0}]"),
            DURO_NONDETERMINISM);
  CHECK_STR(departure.p,
            "{\"event_id\":3,\"expected\":\"activity_scheduled 'echo'\",\"got\":"
            "\"activity_scheduled 'echo' with another input\",\"detail\":\"1, was 0\"}");
}

TEST(what_is_no_history_is_corrupt) {
  CHECK_INT(replay("a", "[]"), DURO_CORRUPT);
  CHECK_INT(replay("a", "{}"), DURO_CORRUPT);
  CHECK_INT(replay("a", "[" SCHEDULED "]"), DURO_CORRUPT);
  CHECK_INT(replay("a", "[" STARTED "," COMPLETED "]"), DURO_CORRUPT);
  duro_error_free(problem);
  duro_buf_free(&departure);
}

CHECK_MAIN()
