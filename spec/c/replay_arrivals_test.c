/* Arrivals: which are admitted, what becomes of a failed attempt, what comes too late. */
#include "replay_script.h"

SCRIPT(waits_for_all) {
  BEGIN;
  s->task[0] = activity(s, t, "a", NULL);
  s->task[1] = timer(s, t, 100);
  s->task[2] = wait_event(s, t, "e");
  s->task[3] = child(s, t, "c", NULL, NULL);
  AWAIT(all_done(s, s->task, 4));
  complete(s, t, NULL);
  END;
}

#define RETRY_3 "{\"retry\":{\"max_attempts\":3,\"initial_ms\":100}}"

static const char *options = RETRY_3;
SCRIPT(with_options) {
  BEGIN;
  s->task[0] = activity_with(s, t, "charge", "1", options);
  AWAIT(done(s, s->task[0]));
  note(s, output(s, s->task[0]));
  s->task[1] = timer(s, t, 1000);
  AWAIT(done(s, s->task[1]));
  END;
}

static duro_event with_attempt(duro_event e, int64_t attempt) {
  e.attempt = attempt;
  return e;
}
static duro_event lost(int64_t source) {
  duro_event e = attempt_failed(source, NULL);
  e.lost = true;
  return e;
}

TEST(each_arrival_completes_its_task) {
  stage g;
  stage_open(&g, waits_for_all);
  start(&g, "null");
  CHECK(play(&g, child_completed(5, "1")));
  CHECK_STR(g.events,
            "[{\"id\":6,\"kind\":\"sub_orchestration_completed\",\"at\":1010,\"source\":5,"
            "\"output\":1}]");
  CHECK(play(&g, fired(3)));
  CHECK(play(&g, received("e", NULL)));
  CHECK_STR(g.events,
            "[{\"id\":8,\"kind\":\"event_received\",\"at\":1030,\"source\":4,\"name\":\"e\"}]");
  check_replay(&g);
  CHECK(play(&g, completed(2, NULL)));
  CHECK_STR(status_of(&g), "completed");
  check_replay(&g);
  stage_free(&g);
}

TEST(unknown_and_mistaken_sources_change_nothing) {
  stage g;
  stage_open(&g, waits_for_all);
  start(&g, "null");
  CHECK(!play(&g, completed(99, "1")));
  CHECK(!play(&g, completed(0, "1")));
  CHECK(!play(&g, completed(3, "1")));
  CHECK(!play(&g, fired(2)));
  CHECK(!play(&g, child_failed(4, "{}")));
  CHECK(!play(&g, attempt_failed(4, "{}")));
  CHECK(!play(&g, lost(5)));
  CHECK_INT(g.code, DURO_OK);
  CHECK_STR(g.events, "[]");
  CHECK_INT(duro__exec_last_event_id(g.x), 5);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_completion_counts_once) {
  stage g;
  stage_open(&g, waits_for_all);
  start(&g, "null");
  turn_begin(&g);
  CHECK(apply(&g, completed(2, "1")));
  CHECK(!apply(&g, completed(2, "1")));
  turn_end(&g);
  CHECK_INT(g.r.event_count, 1);
  CHECK(!play(&g, completed(2, "2")));
  CHECK(!play(&g, started("null")));
  check_replay(&g);
  stage_free(&g);
}

TEST(results_of_another_childs_are_not_taken) {
  stage g;
  stage_open(&g, waits_for_all);
  start(&g, "null");
  duro_event e = child_completed(5, "1");
  e.instance = DURO_STR("somebody-else");
  CHECK(!play(&g, e));
  e.instance = DURO_STR("order-1::1::5");
  CHECK(play(&g, e));
  stage_free(&g);
}

TEST(before_the_start_and_after_the_end_nothing_is_recorded) {
  stage g;
  stage_open(&g, waits_for_all);
  CHECK(!play(&g, received("e", "1")));
  CHECK(!play(&g, cancel_requested("early")));
  CHECK_INT(g.r.status, DURO_STATUS_PENDING);
  start(&g, "null");
  play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "enough"));
  CHECK(!play(&g, received("e", "1")));
  CHECK(!play(&g, completed(2, "1")));
  CHECK(!play(&g, cancel_requested("late")));
  CHECK(!play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "again")));
  CHECK_STR(g.events, "[]");
  CHECK_STR(status_of(&g), "terminated");
  stage_free(&g);
}

TEST(commands_are_no_arrivals) {
  stage g;
  stage_open(&g, waits_for_all);
  start(&g, "null");
  CHECK(!play(&g, arrival(DURO_EVENT_ACTIVITY_SCHEDULED, 0)));
  CHECK_INT(g.code, DURO_INVALID_ARGUMENT);
  CHECK(!play(&g, arrival(DURO_EVENT_ACTIVITY_RETRY_SCHEDULED, 2)));
  CHECK_INT(g.code, DURO_INVALID_ARGUMENT);
  CHECK(!play(&g, arrival((duro_event_kind)999, 2)));
  CHECK_INT(g.code, DURO_INVALID_ARGUMENT);
  CHECK(play(&g, completed(2, "1"))); /* no harm was done */
  stage_free(&g);
}

/* -- retries ----------------------------------------------------------------------------------- */

TEST(a_failed_attempt_is_tried_again_after_a_while) {
  stage g;
  options = RETRY_3;
  stage_open(&g, with_options);
  start(&g, "null");
  CHECK(play(&g, attempt_failed(2, "{\"code\":\"busy\"}")));
  CHECK_STR(g.events, "[{\"id\":3,\"kind\":\"activity_retry_scheduled\",\"at\":1010,\"source\":2,"
                      "\"error\":{\"code\":\"busy\"},\"attempt\":1,\"fire_at\":1110}]");
  CHECK_STR(effects_of(&g), "");
  CHECK_INT(g.r.activities_failed, 0);
  duro__open *o = duro__exec_open(g.x, 2);
  CHECK_INT(o->state, DURO__STATE_BACKING_OFF);
  CHECK_INT(o->attempt, 2);
  CHECK_INT(o->fire_at_ms, 1110);
  CHECK_STR(z(o->last_error), "{\"code\":\"busy\"}");
  CHECK_INT(duro__exec_wake_at_ms(g.x), 1110);
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);

  int64_t task = 0;
  bool whole;
  CHECK_INT(duro__exec_take_due(g.x, 1109, &task, &whole), DURO__DUE_NONE);
  CHECK_INT(duro__exec_take_due(g.x, 1110, &task, &whole), DURO__DUE_RETRY);
  CHECK_INT(task, 2);
  CHECK_INT(duro__exec_open(g.x, 2)->state, DURO__STATE_WAITING);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  CHECK_INT(duro__exec_take_due(g.x, 9999, &task, &whole), DURO__DUE_NONE);

  CHECK(play(&g, completed(2, "\"ok\"")));
  CHECK(strstr(g.events, "\"kind\":\"activity_completed\",\"at\":1020,\"source\":2,"
                         "\"output\":\"ok\",\"attempt\":2}") != NULL);
  CHECK_STR(notes(&g), "\"ok\"");
  check_replay(&g);
  stage_free(&g);
}

TEST(when_the_attempts_are_used_up_the_last_error_is_told) {
  stage g;
  options = RETRY_3;
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, attempt_failed(2, "{\"code\":\"one\"}"));
  play(&g, attempt_failed(2, "{\"code\":\"two\"}"));
  CHECK(strstr(g.events, "\"attempt\":2,\"fire_at\":1220}") != NULL);
  play(&g, attempt_failed(2, "{\"code\":\"three\",\"name\":\"x\",\"attempts\":9}"));
  CHECK_STR(notes(&g), "{\"code\":\"three\",\"name\":\"charge\",\"attempts\":3}");
  CHECK_INT(g.r.activities_failed, 1);
  CHECK(duro__exec_open(g.x, 2) == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(what_may_not_be_tried_again_fails_at_once) {
  stage g;
  options = "{\"retry\":{\"non_retryable\":[\"declined\"]}}";
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, attempt_failed(2, "{\"code\":\"declined\"}"));
  CHECK_STR(notes(&g), "{\"code\":\"declined\",\"name\":\"charge\",\"attempts\":1}");
  stage_free(&g);
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, attempt_failed(2, "{\"retryable\":false}"));
  CHECK_STR(notes(&g),
            "{\"retryable\":false,\"code\":\"failed\",\"name\":\"charge\",\"attempts\":1}");
  check_replay(&g);
  stage_free(&g);
}

TEST(errors_of_any_shape_become_error_objects) {
  static const char *const cases[][2] = {
      {NULL, "{\"code\":\"failed\",\"message\":\"the activity "
             "failed\",\"name\":\"charge\",\"attempts\":1}"},
      {"\"boom\"", "{\"code\":\"failed\",\"message\":\"boom\",\"name\":\"charge\",\"attempts\":1}"},
      {"42", "{\"code\":\"failed\",\"message\":\"the activity "
             "failed\",\"name\":\"charge\",\"attempts\":1}"},
      {"{}", "{\"code\":\"failed\",\"name\":\"charge\",\"attempts\":1}"},
      {"{\"code\":\"\\u00e9\",\"data\":{\"name\":1}}",
       "{\"code\":\"\\u00e9\",\"data\":{\"name\":1},\"name\":\"charge\",\"attempts\":1}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stage g;
    options = NULL;
    stage_open(&g, with_options);
    start(&g, "null");
    play(&g, attempt_failed(2, cases[i][0]));
    CHECK_STR(notes(&g), cases[i][1]);
    check_replay(&g);
    stage_free(&g);
  }
}

TEST(a_policy_without_delay_starts_the_next_attempt_at_once) {
  stage g;
  options = "{\"retry\":{\"initial_ms\":0}}";
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, attempt_failed(2, "{}"));
  CHECK_STR(effects_of(&g), "start_job 2");
  CHECK_INT(duro__exec_open(g.x, 2)->state, DURO__STATE_WAITING);
  CHECK_INT(duro__exec_open(g.x, 2)->attempt, 2);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_lost_attempt_runs_again_and_uses_up_none) {
  stage g;
  options = NULL;
  stage_open(&g, with_options);
  start(&g, "null");
  CHECK(play(&g, lost(2)));
  CHECK_STR(g.events, "[{\"id\":3,\"kind\":\"activity_retry_scheduled\",\"at\":1010,\"source\":2,"
                      "\"attempt\":1,\"fire_at\":1010,\"lost\":true}]");
  CHECK_STR(effects_of(&g), "start_job 2");
  play(&g, lost(2));
  duro__open *o = duro__exec_open(g.x, 2);
  CHECK_INT(o->lost_in_a_row, 2);
  CHECK_INT(o->attempt, 1);
  CHECK_INT(o->state, DURO__STATE_WAITING);
  check_replay(&g);
  play(&g, completed(2, "1"));
  CHECK_STR(notes(&g), "1");
  stage_free(&g);
}

TEST(any_other_outcome_ends_a_row_of_lost_attempts) {
  stage g;
  options = RETRY_3;
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, lost(2));
  play(&g, lost(2));
  play(&g, attempt_failed(2, "{}"));
  CHECK_INT(duro__exec_open(g.x, 2)->lost_in_a_row, 0);
  CHECK_INT(duro__exec_open(g.x, 2)->attempt, 2);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_result_of_an_earlier_attempt_comes_too_late) {
  stage g;
  options = RETRY_3;
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, with_attempt(attempt_failed(2, "{\"code\":\"timeout\"}"), 1));
  CHECK(!play(&g, with_attempt(completed(2, "1"), 1)));
  CHECK(!play(&g, with_attempt(attempt_failed(2, "{}"), 1)));
  CHECK(play(&g, with_attempt(completed(2, "2"), 2)));
  CHECK_STR(notes(&g), "2");
  check_replay(&g);
  stage_free(&g);
}

TEST(a_deferred_attempt_waits_for_its_token_and_no_process) {
  stage g;
  options = RETRY_3;
  stage_open(&g, with_options);
  start(&g, "null");
  duro_event e = {
      .kind = DURO_EVENT_ACTIVITY_DEFERRED, .source = 2, .attempt = 1, .fire_at_ms = 5000};
  CHECK(play(&g, e));
  CHECK_INT(duro__exec_open(g.x, 2)->state, DURO__STATE_DEFERRED);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 5000);
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);
  int64_t task = 0;
  bool whole;
  CHECK_INT(duro__exec_take_due(g.x, 5000, &task, &whole), DURO__DUE_TIMEOUT);
  CHECK_INT(duro__exec_take_due(g.x, 5000, &task, &whole), DURO__DUE_NONE);
  CHECK(!whole);
  CHECK(play(&g, with_attempt(attempt_failed(2, "{\"code\":\"timeout\"}"), 1)));
  CHECK_INT(duro__exec_open(g.x, 2)->state, DURO__STATE_BACKING_OFF);
  e.attempt = 1;
  CHECK(!play(&g, e)); /* too late */
  e.attempt = 2;
  e.fire_at_ms = 0;
  CHECK(play(&g, e));
  CHECK_INT(duro__exec_wake_at_ms(g.x), DURO_NEVER);
  CHECK(play(&g, with_attempt(completed(2, "\"signed\""), 2)));
  CHECK_STR(notes(&g), "\"signed\"");
  check_replay(&g);
  stage_free(&g);
}

TEST(jitter_is_part_of_history) {
  stage g;
  options = "{\"retry\":{\"jitter\":true,\"initial_ms\":1000}}";
  stage_open(&g, with_options);
  start(&g, "null");
  play(&g, attempt_failed(2, "{}"));
  int64_t wait_ms = duro__exec_open(g.x, 2)->fire_at_ms - 1010;
  CHECK(wait_ms >= 500 && wait_ms <= 1000);
  check_replay(&g);
  stage_free(&g);
}

/* -- dedup ids --------------------------------------------------------------------------------- */

SCRIPT(counts_events) {
  BEGIN;
  for (;;) {
    s->task[0] = wait_event(s, t, "e");
    AWAIT(done(s, s->task[0]));
    look(s, t, s->task[0]);
    note(s, output(s, s->task[0]));
  }
  END;
}

static duro_event dedup(const char *id, const char *data) {
  duro_event e = received("e", data);
  e.dedup_id = text_of(id);
  return e;
}

TEST(an_event_with_a_known_dedup_id_changes_nothing) {
  stage g;
  stage_open(&g, counts_events);
  start(&g, "null");
  CHECK(play(&g, dedup("d1", "1")));
  CHECK(strstr(g.events, "\"dedup_id\":\"d1\"}") != NULL);
  CHECK(!play(&g, dedup("d1", "2")));
  CHECK(play(&g, dedup("d2", "3")));
  CHECK(play(&g, received("e", "4")));
  CHECK(play(&g, received("e", "4")));
  CHECK_STR(notes(&g), "1 3 4 4");
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(!play(&g, dedup("d2", "5")));
  check_replay(&g);
  stage_free(&g);
}

CHECK_MAIN()
