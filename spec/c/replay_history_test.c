/* Histories: looking back into them, and those that no turn can have made. */
#include "replay_script.h"

/* -- looking back ------------------------------------------------------------------------------- */

SCRIPT(moves_on) {
  BEGIN;
  kv_set(s, t, "n", "1");
  set_status(s, t, "\"one\"");
  s->task[0] = activity(s, t, "a", NULL);
  AWAIT(done(s, s->task[0]));
  kv_set(s, t, "n", "2");
  note(s, "between");
  set_status(s, t, "\"two\"");
  s->task[1] = wait_event(s, t, "e");
  AWAIT(done(s, s->task[1]));
  complete(s, t, NULL);
  END;
}

TEST(looking_back_shows_the_state_after_any_event) {
  stage g;
  stage_open(&g, moves_on);
  start(&g, "null");
  play(&g, completed(4, "1"));
  play(&g, received("e", NULL));
  static const struct {
    int64_t id;
    const char *kv, *custom;
    int open;
  } moments[] = {{1, NULL, NULL, 0},     {2, "1", NULL, 0},      {3, "1", "\"one\"", 0},
                 {4, "1", "\"one\"", 1}, {5, "1", "\"one\"", 0}, {6, "2", "\"one\"", 0},
                 {7, "2", "\"two\"", 0}, {8, "2", "\"two\"", 1}};
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    duro__exec *y = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
    CHECK_INT(rebuild(&g, y, moments[i].id, false), DURO_OK);
    CHECK_INT(duro__exec_last_event_id(y), moments[i].id);
    CHECK_STR(z(duro__exec_kv_get(y, DURO_STR("n"))), moments[i].kv);
    CHECK_STR(z(duro__exec_custom_status(y)), moments[i].custom);
    CHECK_INT(duro__exec_open_next(y, 0) != NULL, moments[i].open);
    CHECK(duro__exec_program(y) != NULL);
    duro__exec_turn_begin(y, 5000);
    bool recorded;
    duro_event e = cancel_requested(NULL);
    CHECK(duro__exec_apply(y, &e, &recorded, NULL) != DURO_OK);
    duro__exec_free(y);
  }
  stage_free(&g);
}

SCRIPT(one_step_after_another) {
  BEGIN;
  for (;;) {
    s->task[0] = activity(s, t, "step", NULL);
    AWAIT(done(s, s->task[0]));
  }
  END;
}
/* -- history that no turn can have made ---------------------------------------------------------- */

#define STARTED       "{\"id\":1,\"kind\":\"orchestration_started\",\"at\":5,\"name\":\"greet\"}"
#define SCHEDULED(id) "{\"id\":" #id ",\"kind\":\"activity_scheduled\",\"name\":\"step\"}"
#define COMPLETED(id, source)                                                                      \
  "{\"id\":" #id ",\"kind\":\"activity_completed\",\"source\":" #source "}"

TEST(broken_histories_are_refused_by_name) {
  static const struct {
    const char *history, *says;
  } cases[] = {
      {"[]", "is empty"},
      {"[" SCHEDULED(1) "]", "must begin with orchestration_started"},
      {"[" COMPLETED(1, 1) "]", "must begin with orchestration_started"},
      {"[" STARTED "," COMPLETED(2, 7) "]", "what it is about is not open"},
      {"[" STARTED "," SCHEDULED(2) "," COMPLETED(3, 7) "]", "what it is about is not open"},
      {"[" STARTED "," SCHEDULED(2) ",{\"id\":3,\"kind\":\"timer_fired\",\"source\":2}]",
       "event 3 (timer_fired of event 2): what it is about is not open"},
      {"[" STARTED "," SCHEDULED(2) ",{\"id\":3,\"kind\":\"orchestration_started\"}]",
       "starts once"},
      {"[" STARTED "," SCHEDULED(2) "," SCHEDULED(2) "]", "follows"},
      {"[" STARTED "," SCHEDULED(2) "," SCHEDULED(3) "]", "expected"},
      {"[" STARTED "," SCHEDULED(2) ",{\"id\":3,\"kind\":\"from_the_future\"}]", "not known here"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stage g;
    stage_open(&g, one_step_after_another);
    duro_code code = replay_text(&g, cases[i].history);
    CHECK(code == DURO_CORRUPT || code == DURO_NONDETERMINISM);
    if (!CHECK(g.err && strstr(g.err->message, cases[i].says))) {
      fprintf(stderr, "    %s\n", g.err ? g.err->message : "no error");
    }
    stage_free(&g);
  }
}

TEST(a_second_completion_of_one_task_is_corrupt) {
  stage g;
  stage_open(&g, one_step_after_another);
  replay_text(&g, "[" STARTED
                  "," SCHEDULED(2) "," COMPLETED(3, 2) "," SCHEDULED(4) "," COMPLETED(5, 2) "]");
  CHECK_INT(g.code, DURO_CORRUPT);
  stage_free(&g);
}

TEST(gaps_in_the_ids_do_no_harm) {
  stage g;
  stage_open(&g, one_step_after_another);
  CHECK_INT(replay_text(&g,
                        "[{\"id\":3,\"kind\":\"orchestration_started\",\"at\":5,\"name\":\"g\"},"
                        "{\"id\":7,\"kind\":\"activity_scheduled\",\"name\":\"step\"}]"),
            DURO_OK);
  CHECK(play(&g, completed(7, "1")));
  CHECK_INT(g.r.first_event_id, 8);
  CHECK_INT(duro__exec_last_event_id(g.x), 9);
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(returns_at_once) {
  BEGIN;
  complete(s, t, "1");
  END;
}

TEST(what_follows_the_end_is_not_believed) {
  stage g;
  stage_open(&g, returns_at_once);
  CHECK_INT(replay_text(&g, "[" STARTED ",{\"id\":2,\"kind\":\"orchestration_completed\","
                            "\"output\":1},{\"id\":3,\"kind\":\"cancel_requested\"}]"),
            DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "nothing (the code has ended)");
  stage_free(&g);
}

static const char *payload;
SCRIPT(with_payload) {
  BEGIN;
  activity(s, t, "charge", payload);
  AWAIT(false);
  END;
}

TEST(odd_names_and_long_texts_are_data) {
  stage g;
  stage_open(&g, with_payload);
  static char text[100003];
  memset(text, 'x', sizeof text - 1);
  text[0] = text[sizeof text - 2] = '"';
  payload = text;
  start(&g, "null");
  CHECK(play(&g, received("\xc3\xa9v\xc3\xa9nement \"1\"", text)));
  CHECK(play(&g, received("e", "\"\\u0000\\ud83d\\ude00\"")));
  check_replay(&g);
  stage_free(&g);
}

CHECK_MAIN()
