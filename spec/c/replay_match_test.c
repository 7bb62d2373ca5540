/* Where code and history part: every kind of command, strictness, patches, side effects. */
#include "replay_script.h"

/* -- code that changes between recording and replay --------------------------------------------- */

static int variant; /* which command the code asks for first */
SCRIPT(asks) {
  duro_str id;
  BEGIN;
  switch (variant) {
  case 0:
    activity(s, t, "charge", "1");
    break;
  case 1:
    activity(s, t, "refund", "1");
    break;
  case 2:
    timer(s, t, 100);
    break;
  case 3:
    wait_event(s, t, "charge");
    break;
  case 4:
    wait_event(s, t, "other");
    break;
  case 5:
    child(s, t, "charge", "c-1", "1");
    break;
  case 6:
    child(s, t, "charge", "c-2", "1");
    break;
  case 7:
    child(s, t, "ship", "c-1", "1");
    break;
  case 8:
    kv_set(s, t, "charge", "1");
    break;
  case 9:
    kv_set(s, t, "key", "1");
    break;
  case 10:
    set_status(s, t, "1");
    break;
  case 11:
    set_attributes(s, t, "{\"a\":1}");
    break;
  case 12:
    side_effect(s, t, "1");
    break;
  case 13:
    settle(s, duro_turn_start(t, DURO_STR("charge"), DURO_NONE, DURO_STR("c-1"), DURO_NONE, &id,
                              &s->err));
    break;
  case 14:
    settle(s, duro_turn_raise(t, DURO_STR("c-1"), DURO_STR("charge"), DURO_NONE, &s->err));
    break;
  case 15:
    settle(s, duro_turn_raise(t, DURO_STR("c-2"), DURO_STR("charge"), DURO_NONE, &s->err));
    break;
  case 16:
    patched(s, t, "charge");
    break;
  case 17:
    complete(s, t, "1");
    return;
  case 18:
    fail(s, t, "{}");
    return;
  case 19:
    continue_as_new(s, t, "1");
    return;
  default:
    break; /* asks for nothing */
  }
  AWAIT(false);
  END;
}

TEST(any_command_for_any_other_parts_from_history) {
  for (int was = 0; was <= 19; was++) {
    stage g;
    stage_open(&g, asks);
    variant = was;
    start(&g, "null");
    check_replay(&g);
    for (int is = 0; is <= 20; is++) {
      if (is == was) continue;
      variant = is;
      /* A patch is not a departure: without its marker it is false. But what stands there is. */
      if (!CHECK_INT(reload(&g), DURO_NONDETERMINISM)) fprintf(stderr, "    %d for %d\n", is, was);
      CHECK_INT(g.mismatch.event_id, 2);
      CHECK(g.mismatch.expected != NULL && g.mismatch.got != NULL);
      CHECK_INT(g.mismatch.code, DURO_NONDETERMINISM);
    }
    stage_free(&g);
  }
}

TEST(the_mismatch_says_what_history_has_and_what_the_code_wants) {
  static const struct {
    int was, is;
    const char *expected, *got;
  } cases[] = {
      {0, 1, "activity_scheduled 'charge'", "activity_scheduled 'refund'"},
      {0, 2, "activity_scheduled 'charge'", "timer_created"},
      {2, 4, "timer_created", "event_subscribed 'other'"},
      {5, 6, "sub_orchestration_scheduled 'charge' for 'c-1'",
       "sub_orchestration_scheduled 'charge' for 'c-2'"},
      {8, 17, "kv_set 'charge'", "orchestration_completed"},
      {14, 20, "event_sent 'charge' for 'c-1'", "nothing (the code waits)"},
      {16, 20, "patch_marker 'charge'", "nothing (the code waits)"},
      {17, 18, "orchestration_completed", "orchestration_failed"},
      {18, 20, "orchestration_failed", "nothing (the code waits)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stage g;
    stage_open(&g, asks);
    variant = cases[i].was;
    start(&g, "null");
    variant = cases[i].is;
    reload(&g);
    CHECK_STR(g.mismatch.expected, cases[i].expected);
    CHECK_STR(g.mismatch.got, cases[i].got);
    stage_free(&g);
  }
}

SCRIPT(more_or_less) {
  BEGIN;
  s->task[0] = activity(s, t, "a", NULL);
  if (variant == 1) activity(s, t, "b", NULL);
  AWAIT(done(s, s->task[0]));
  if (variant != 2) s->task[1] = activity(s, t, "c", NULL);
  AWAIT(variant == 2 || done(s, s->task[1]));
  if (variant == 3) complete(s, t, "1");
  AWAIT(false);
  END;
}

static int dropped;
SCRIPT(drops_one_of_two) {
  BEGIN;
  s->task[0] = activity(s, t, "a", NULL);
  s->task[1] = activity(s, t, "a", NULL);
  drop_task(s, t, s->task[dropped]);
  AWAIT(false);
  END;
}

TEST(to_give_up_another_task_parts_from_history) {
  stage g;
  stage_open(&g, drops_one_of_two);
  dropped = 0;
  start(&g, "null");
  check_replay(&g);
  dropped = 1;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.expected, "activity_cancelled of event 2");
  CHECK_STR(g.mismatch.got, "activity_cancelled of event 3");
  stage_free(&g);
}

TEST(a_command_too_many_meets_an_arrival_or_the_end) {
  stage g;
  stage_open(&g, more_or_less);
  variant = 0;
  start(&g, "null");
  variant = 1;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.expected, "nothing (history ends here)");
  CHECK_STR(g.mismatch.got, "activity_scheduled 'b'");
  CHECK_INT(g.mismatch.event_id, 3);
  variant = 0;
  CHECK_INT(reload(&g), DURO_OK);
  play(&g, completed(2, "1"));
  variant = 1;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.expected, "activity_completed of event 2");
  CHECK_STR(g.mismatch.got, "activity_scheduled 'b'");
  variant = 2;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.expected, "activity_scheduled 'c'");
  CHECK_STR(g.mismatch.got, "nothing (the code waits)");
  stage_free(&g);
}

TEST(code_that_ends_too_early_parts_from_history) {
  stage g;
  stage_open(&g, more_or_less);
  variant = 0;
  start(&g, "null");
  play(&g, completed(2, "1"));
  play(&g, completed(4, "1"));
  play(&g, received("x", NULL));
  check_replay(&g);
  variant = 3;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "orchestration_completed");
  CHECK_STR(g.mismatch.expected, "event_received 'x'");
  stage_free(&g);
}

TEST(after_a_mismatch_the_state_is_known_and_no_turn_is_taken) {
  stage g;
  stage_open(&g, more_or_less);
  variant = 0;
  start(&g, "null");
  play(&g, completed(2, "1"));
  char *before = dump(g.x, false);
  variant = 1;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  char *after = dump(g.x, false);
  CHECK_STR(after, before);
  CHECK(duro__exec_program(g.x) == NULL);
  CHECK(!play(&g, completed(4, "1")));
  CHECK_INT(g.code, DURO_STALLED);
  CHECK_STR(g.events, "[]");
  free(before);
  free(after);
  /* The mended code goes on; and to terminate needs no code. */
  variant = 0;
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, completed(4, "1")));
  variant = 1;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK(play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "hopeless")));
  CHECK_STR(status_of(&g), "terminated");
  CHECK_STR(z(g.r.error), "{\"code\":\"terminated\",\"message\":\"hopeless\"}");
  stage_free(&g);
}

/* -- payloads ----------------------------------------------------------------------------------- */

static const char *payload;
SCRIPT(with_payload) {
  BEGIN;
  activity(s, t, "charge", payload);
  AWAIT(false);
  END;
}

static duro_code replay_payload(const char *was, const char *is, bool strict, char **log,
                                char **got) {
  stage g;
  stage_open(&g, with_payload);
  payload = was;
  start(&g, "null");
  payload = is;
  g.config.strict = strict;
  duro_code code = reload(&g);
  duro_buf_add_char(&g.log, 0);
  if (log) *log = strdup(g.log.p);
  if (got) *got = g.mismatch.got ? strdup(g.mismatch.got) : NULL;
  stage_free(&g);
  return code;
}

TEST(another_payload_is_logged_or_with_strictness_a_mismatch) {
  char *log, *got;
  CHECK_INT(replay_payload("{\"a\":1}", "{\"a\":2}", false, &log, &got), DURO_OK);
  CHECK_STR(log, "warn: instance 'order-1', event 2: activity_scheduled 'charge' has another input "
                 "now: {\"a\":2}, was {\"a\":1}\n");
  CHECK(got == NULL);
  free(log);
  CHECK_INT(replay_payload("{\"a\":1}", "{\"a\":2}", true, &log, &got), DURO_NONDETERMINISM);
  CHECK_STR(got, "activity_scheduled 'charge' with another input");
  CHECK_STR(log, "");
  free(log);
  free(got);
}

TEST(the_order_of_keys_and_blanks_is_no_difference) {
  static const struct {
    const char *a, *b;
    bool same;
  } cases[] = {
      {"{\"a\":1,\"b\":[true,null]}", "{ \"b\": [ true , null ], \"a\": 1 }", true},
      {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":2,\"x\":1}}", true},
      {"[1,2]", "[2,1]", false},
      {"[1,[2]]", "[[1],2]", false},
      {"[]", "{}", false},
      {"[[]]", "[]", false},
      {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
      {"1", "1.0", false},
      {"1", "\"1\"", false},
      {"null", "false", false},
      {"null", NULL, false},
      {"\"\"", "null", false},
      {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
      {"{\"a\":\"b\"}", "{\"b\":\"a\"}", false},
      {NULL, NULL, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    duro_code want = cases[i].same ? DURO_OK : DURO_NONDETERMINISM;
    CHECK_INT(replay_payload(cases[i].a, cases[i].b, true, NULL, NULL), want);
    CHECK_INT(replay_payload(cases[i].b, cases[i].a, true, NULL, NULL), want);
  }
}

static int64_t delay_ms;
static const char *value;
SCRIPT(other_payloads) {
  BEGIN;
  timer(s, t, delay_ms);
  kv_set(s, t, "k", value);
  set_status(s, t, value);
  side_effect(s, t, value);
  AWAIT(false);
  END;
}

TEST(times_and_values_are_payload_too_but_side_effects_are_not) {
  stage g;
  stage_open(&g, other_payloads);
  delay_ms = 10;
  value = "1";
  start(&g, "null");
  g.config.strict = true;
  CHECK_INT(reload(&g), DURO_OK);
  delay_ms = 20;
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "timer_created with another time");
  delay_ms = 10;
  value = "2";
  CHECK_INT(reload(&g), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "kv_set 'k' with another input");
  g.config.strict = false;
  CHECK_INT(reload(&g), DURO_OK);
  CHECK_STR(z(duro__exec_kv_get(g.x, DURO_STR("k"))), "1"); /* history's value counts */
  CHECK_STR(notes(&g), "1");
  stage_free(&g);
}

/* -- side effects and patches ------------------------------------------------------------------- */

SCRIPT(effects_and_activity) {
  BEGIN;
  side_effect(s, t, "\"first\"");
  s->task[0] = activity(s, t, "a", NULL);
  AWAIT(done(s, s->task[0]));
  side_effect(s, t, NULL);
  side_effect(s, t, "3");
  AWAIT(false);
  END;
}

TEST(a_side_effect_is_recorded_once_and_given_again) {
  stage g;
  stage_open(&g, effects_and_activity);
  start(&g, "null");
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"side_effect_recorded\",\"output\":\"first\"}") !=
        NULL);
  play(&g, completed(3, "1"));
  CHECK(strstr(g.events, "{\"id\":5,\"kind\":\"side_effect_recorded\"},"
                         "{\"id\":6,\"kind\":\"side_effect_recorded\",\"output\":3}") != NULL);
  CHECK_INT(reload(&g), DURO_OK);
  CHECK_STR(notes(&g), "\"first\" null 3");
  stage_free(&g);
}

SCRIPT(asks_within_a_side_effect) {
  duro_str recorded;
  BEGIN;
  settle(s, duro_turn_side_effect(t, &recorded, &s->err));
  activity(s, t, "a", NULL);
  note(s, duro_code_string(s->last));
  settle(s, duro_turn_side_effect_record(t, DURO_STR("1"), &s->err));
  settle(s, duro_turn_side_effect_record(t, DURO_STR("1"), &s->err));
  note(s, duro_code_string(s->last));
  AWAIT(false);
  END;
}
SCRIPT(forgets_to_record) {
  duro_str recorded;
  BEGIN;
  settle(s, duro_turn_side_effect(t, &recorded, &s->err));
  AWAIT(false);
  END;
}

TEST(nothing_comes_between_a_side_effect_and_its_record) {
  stage g;
  stage_open(&g, asks_within_a_side_effect);
  start(&g, "null");
  CHECK_STR(notes(&g), "invalid_argument invalid_argument");
  CHECK_INT(g.r.event_count, 2);
  stage_free(&g);
  stage_open(&g, forgets_to_record);
  start(&g, "null");
  CHECK_INT(g.code, DURO_INVALID_ARGUMENT);
  CHECK_STR(g.events, "[]");
  stage_free(&g);
}

SCRIPT(old_code) {
  BEGIN;
  for (;;) {
    s->task[0] = activity(s, t, "step", NULL);
    AWAIT(done(s, s->task[0]));
  }
  END;
}
SCRIPT(new_code) {
  BEGIN;
  for (;;) {
    if (patched(s, t, "p1")) {
      note(s, "new");
      if (patched(s, t, "p1")) note(s, "still");
      activity(s, t, "extra", NULL);
    } else {
      note(s, "old");
    }
    s->task[0] = activity(s, t, "step", NULL);
    AWAIT(done(s, s->task[0]));
  }
  END;
}

TEST(a_patch_is_off_where_history_went_without_it_and_on_from_then) {
  stage g;
  stage_open(&g, old_code);
  start(&g, "null");
  play(&g, completed(2, "1"));
  CHECK_INT(reload_with(&g, new_code), DURO_OK);
  CHECK_STR(notes(&g), "old old");
  play(&g, completed(4, "1"));
  CHECK(strstr(g.events, "{\"id\":6,\"kind\":\"patch_marker\",\"name\":\"p1\"},"
                         "{\"id\":7,\"kind\":\"activity_scheduled\",\"name\":\"extra\"}") != NULL);
  CHECK_STR(notes(&g), "old old new still");
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);
  play(&g, completed(8, "1"));
  CHECK(strstr(g.events, "patch_marker") == NULL); /* once is enough */
  CHECK_STR(notes(&g), "old old new still new still");
  check_replay(&g);
  stage_free(&g);
}

CHECK_MAIN()
