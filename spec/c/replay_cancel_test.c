/* Ends from outside: cancelling, terminating, the instance's timeout; suspending and holding back. */
#include "replay_script.h"

SCRIPT(cleans_up) {
  BEGIN;
  s->task[0] = activity(s, t, "work", NULL);
  s->task[1] = timer(s, t, 5000);
  s->task[2] = wait_event(s, t, "e");
  s->task[3] = child(s, t, "c", NULL, NULL);
  AWAIT(s->cancelled || all_done(s, s->task, 4));
  if (!s->cancelled) {
    complete(s, t, "\"whole\"");
    return;
  }
  note(s, s->cancel_error);
  note_int(s, duro_turn_cancel_requested(t));
  s->task[4] = activity(s, t, "undo", NULL);
  AWAIT(done(s, s->task[4]));
  complete(s, t, "\"ignored\"");
  END;
}

TEST(cancelling_cancels_what_is_open_and_lets_the_code_clean_up) {
  stage g;
  stage_open(&g, cleans_up);
  start(&g, "null");
  duro__exec_open(g.x, 2)->state = DURO__STATE_RUNNING;
  CHECK(play(&g, cancel_requested("by ann")));
  CHECK_STR(g.events, "[{\"id\":6,\"kind\":\"cancel_requested\",\"at\":1010,\"reason\":\"by ann\"},"
                      "{\"id\":7,\"kind\":\"activity_cancelled\",\"source\":2},"
                      "{\"id\":8,\"kind\":\"timer_cancelled\",\"source\":3},"
                      "{\"id\":9,\"kind\":\"event_subscription_cancelled\",\"source\":4},"
                      "{\"id\":10,\"kind\":\"sub_orchestration_cancelled\",\"source\":5},"
                      "{\"id\":11,\"kind\":\"activity_scheduled\",\"name\":\"undo\"}]");
  CHECK_STR(effects_of(&g), "cancel_job 2, cancel_child 5 'order-1::1::5', start_job 11");
  CHECK_STR(z(g.r.effects[1].event->reason), "by ann");
  CHECK_STR(notes(&g), "{\"code\":\"cancelled\",\"message\":\"by ann\"} 1");
  CHECK_STR(status_of(&g), "running");
  check_replay(&g);
  CHECK(!play(&g, cancel_requested("again")));
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, completed(11, "1")));
  CHECK(strstr(g.events,
               "{\"id\":13,\"kind\":\"orchestration_cancelled\",\"reason\":\"by ann\"}") != NULL);
  CHECK_STR(status_of(&g), "cancelled");
  CHECK_STR(z(g.r.reason), "by ann");
  CHECK_STR(z(g.r.error), "{\"code\":\"cancelled\",\"message\":\"by ann\"}");
  CHECK(g.r.output.p == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_cancel_without_a_reason_has_a_message) {
  stage g;
  stage_open(&g, cleans_up);
  start(&g, "null");
  play(&g, cancel_requested(NULL));
  CHECK_STR(notes(&g), "{\"code\":\"cancelled\",\"message\":\"the instance was cancelled\"} 1");
  check_replay(&g);
  stage_free(&g);
}

static int way_out;
SCRIPT(ends_somehow) {
  BEGIN;
  s->task[0] = timer(s, t, 50);
  AWAIT(s->cancelled || done(s, s->task[0]));
  if (way_out == 0) complete(s, t, "1");
  if (way_out == 1) fail(s, t, "{\"code\":\"x\"}");
  if (way_out == 2) continue_as_new(s, t, "1");
  END;
}

TEST(whatever_the_code_does_after_a_cancel_it_ends_cancelled) {
  for (way_out = 0; way_out < 3; way_out++) {
    stage g;
    stage_open(&g, ends_somehow);
    start(&g, "null");
    CHECK(play(&g, cancel_requested("r")));
    CHECK_STR(status_of(&g), "cancelled");
    CHECK_INT(g.r.next_start.kind, DURO_EVENT_NONE);
    check_replay(&g);
    stage_free(&g);
  }
}

/* As a host does whose main code ends first: the other places that wait clean up before the end is issued. */
SCRIPT(cleans_up_without_waiting) {
  BEGIN;
  s->task[0] = timer(s, t, 50);
  s->task[1] = wait_event(s, t, "e");
  AWAIT(s->cancelled);
  kv_set(s, t, "seen", "\"by the block\"");
  s->task[2] = activity(s, t, "undo", NULL);
  s->task[3] = child(s, t, "c", NULL, NULL);
  complete(s, t, NULL);
  END;
}

TEST(what_is_asked_between_the_cancel_and_the_end_is_recorded_and_never_begun) {
  stage g;
  stage_open(&g, cleans_up_without_waiting);
  start(&g, "null");
  CHECK(play(&g, cancel_requested("r")));
  CHECK_STR(g.events, "[{\"id\":4,\"kind\":\"cancel_requested\",\"at\":1010,\"reason\":\"r\"},"
                      "{\"id\":5,\"kind\":\"timer_cancelled\",\"source\":2},"
                      "{\"id\":6,\"kind\":\"event_subscription_cancelled\",\"source\":3},"
                      "{\"id\":7,\"kind\":\"kv_set\",\"name\":\"seen\",\"input\":\"by the block\"},"
                      "{\"id\":8,\"kind\":\"activity_scheduled\",\"name\":\"undo\"},"
                      "{\"id\":9,\"kind\":\"sub_orchestration_scheduled\",\"name\":\"c\","
                      "\"instance\":\"order-1::1::9\"},"
                      "{\"id\":10,\"kind\":\"activity_cancelled\",\"source\":8},"
                      "{\"id\":11,\"kind\":\"sub_orchestration_cancelled\",\"source\":9},"
                      "{\"id\":12,\"kind\":\"orchestration_cancelled\",\"reason\":\"r\"}]");
  CHECK_STR(effects_of(&g), "");
  CHECK_STR(status_of(&g), "cancelled");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(bound_and_waiting) {
  BEGIN;
  s->task[0] = wait_event(s, t, "e");
  s->task[1] = wait_event(s, t, "e");
  AWAIT(s->cancelled || all_done(s, s->task, 2));
  note_int(s, (int64_t)s->result_count);
  s->task[2] = wait_event(s, t, "e");
  AWAIT(done(s, s->task[2]));
  note(s, output(s, s->task[2]));
  complete(s, t, NULL);
  END;
}

TEST(a_cancelled_wait_gives_back_the_event_nobody_looked_at) {
  stage g;
  stage_open(&g, bound_and_waiting);
  start(&g, "null");
  play(&g, received("e", "7"));
  play(&g, cancel_requested(NULL));
  CHECK_STR(status_of(&g), "cancelled");
  CHECK(strstr(g.events, "{\"id\":8,\"kind\":\"event_subscribed\",\"name\":\"e\"}") != NULL);
  check_replay(&g);
  stage_free(&g);
}

/* -- before the code began ---------------------------------------------------------------------- */

TEST(a_start_that_is_cancelled_before_it_began_runs_no_code) {
  stage g;
  int begun = script_begun;
  stage_open(&g, cleans_up);
  turn_begin(&g);
  duro__exec_hold_begin(g.x);
  CHECK(apply(&g, started("null")));
  CHECK(apply(&g, cancel_requested("early")));
  turn_end(&g);
  CHECK_INT(script_begun, begun);
  CHECK_STR(status_of(&g), "cancelled");
  CHECK(strstr(g.events,
               "{\"id\":2,\"kind\":\"cancel_requested\",\"reason\":\"early\"},"
               "{\"id\":3,\"kind\":\"orchestration_cancelled\",\"reason\":\"early\"}]") != NULL);
  check_replay(&g);
  CHECK_INT(script_begun, begun);
  stage_free(&g);
}

TEST(a_start_may_be_terminated_before_it_began) {
  stage g;
  int begun = script_begun;
  stage_open(&g, cleans_up);
  turn_begin(&g);
  duro__exec_hold_begin(g.x);
  CHECK(apply(&g, started("null")));
  CHECK(apply(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "no")));
  turn_end(&g);
  CHECK_STR(status_of(&g), "terminated");
  check_replay(&g);
  CHECK_INT(script_begun, begun);
  stage_free(&g);
}

TEST(a_start_held_back_begins_with_the_next_arrival) {
  stage g;
  stage_open(&g, cleans_up);
  turn_begin(&g);
  duro__exec_hold_begin(g.x);
  CHECK(apply(&g, started("null")));
  CHECK(duro__exec_program(g.x) == NULL);
  CHECK(apply(&g, received("e", "1")));
  CHECK(duro__exec_program(g.x) != NULL);
  turn_end(&g);
  CHECK(strstr(g.events, "{\"id\":3,\"kind\":\"activity_scheduled\",\"name\":\"work\"}") != NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(suspended_before_it_began_it_begins_when_resumed_or_never) {
  for (int cancelled = 0; cancelled < 2; cancelled++) {
    stage g;
    stage_open(&g, cleans_up);
    turn_begin(&g);
    duro__exec_hold_begin(g.x);
    apply(&g, started("null"));
    apply(&g, with_reason(DURO_EVENT_SUSPENDED, NULL));
    turn_end(&g);
    CHECK_STR(status_of(&g), "suspended");
    check_replay(&g);
    if (cancelled) CHECK(play(&g, cancel_requested(NULL)));
    CHECK(duro__exec_program(g.x) == NULL);
    CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
    CHECK_STR(status_of(&g), cancelled ? "cancelled" : "running");
    check_replay(&g);
    stage_free(&g);
  }
}

/* -- terminating and timing out ----------------------------------------------------------------- */

TEST(terminating_ends_at_once_and_runs_no_code) {
  stage g;
  stage_open(&g, cleans_up);
  start(&g, "null");
  CHECK(play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "enough")));
  CHECK_STR(g.events, "[{\"id\":6,\"kind\":\"orchestration_terminated\",\"at\":1010,"
                      "\"reason\":\"enough\"}]");
  CHECK_STR(status_of(&g), "terminated");
  CHECK_STR(effects_of(&g), "cancel_job 2, terminate_child 5 'order-1::1::5'");
  CHECK_STR(z(g.r.error), "{\"code\":\"terminated\",\"message\":\"enough\"}");
  CHECK(duro__exec_open_next(g.x, 0) == NULL);
  CHECK_INT(duro__exec_wake_at_ms(g.x), DURO_NEVER);
  CHECK_INT(duro__exec_next_due_ms(g.x), DURO_NEVER);
  CHECK(duro__exec_program(g.x) == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(the_instances_timeout_fails_it_from_outside) {
  stage g;
  stage_open(&g, cleans_up);
  duro_event e = started("null");
  e.deadline_ms = 1010;
  play(&g, e);
  CHECK_INT(duro__exec_deadline_ms(g.x), 1010);
  e = (duro_event){.kind = DURO_EVENT_ORCHESTRATION_FAILED,
                   .error = DURO_STR("{\"code\":\"timeout\"}")};
  CHECK(play(&g, e));
  CHECK_STR(status_of(&g), "failed");
  CHECK_STR(z(g.r.error), "{\"code\":\"timeout\"}");
  CHECK_STR(effects_of(&g), "cancel_job 2, cancel_child 5 'order-1::1::5'");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(fails_with_timeout) {
  BEGIN;
  s->task[0] = timer(s, t, 10);
  AWAIT(done(s, s->task[0]));
  fail(s, t, "{\"code\":\"timeout\"}");
  END;
}
SCRIPT(just_waits) {
  BEGIN;
  s->task[0] = timer(s, t, 10);
  AWAIT(false);
  END;
}

TEST(a_timeout_of_the_code_is_not_taken_for_one_of_the_instance) {
  stage g;
  stage_open(&g, fails_with_timeout);
  start(&g, "null");
  play(&g, fired(2));
  check_replay(&g);
  CHECK_INT(reload_with(&g, just_waits), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "nothing (the code waits)");
  stage_free(&g);
  stage_open(&g, just_waits);
  start(&g, "null");
  play(&g, fired(2));
  play(&g, (duro_event){.kind = DURO_EVENT_ORCHESTRATION_FAILED, .error = DURO_STR("{}")});
  check_replay(&g);
  CHECK_INT(reload_with(&g, fails_with_timeout), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "orchestration_failed");
  stage_free(&g);
}

/* -- suspending --------------------------------------------------------------------------------- */

SCRIPT(two_steps) {
  BEGIN;
  s->task[0] = activity(s, t, "a", NULL);
  s->task[1] = wait_event(s, t, "e");
  s->task[2] = timer(s, t, 100);
  for (;;) {
    s->n[0] = (int64_t)s->result_count;
    AWAIT(s->cancelled || (int64_t)s->result_count > s->n[0]);
    if (s->cancelled) {
      note(s, "cancelled");
      complete(s, t, NULL);
      return;
    }
    note_int(s, s->results[s->result_count - 1].task);
    note(s, output(s, s->results[s->result_count - 1].task));
    activity(s, t, "next", NULL);
  }
  END;
}

TEST(a_suspended_instance_records_and_runs_nothing_until_resumed) {
  stage g;
  stage_open(&g, two_steps);
  start(&g, "null");
  CHECK(play(&g, with_reason(DURO_EVENT_SUSPENDED, "lunch")));
  CHECK_STR(status_of(&g), "suspended");
  CHECK(!play(&g, with_reason(DURO_EVENT_SUSPENDED, "again")));
  CHECK(play(&g, received("e", "\"ev\"")));
  CHECK(play(&g, completed(2, "\"act\"")));
  CHECK(play(&g, fired(4)));
  CHECK_INT(g.r.event_count, 1);
  CHECK_STR(notes(&g), "");
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  CHECK_STR(notes(&g), "3 \"ev\" 2 \"act\" 4 ");
  CHECK_INT(g.r.event_count, 4);
  CHECK_STR(status_of(&g), "running");
  check_replay(&g);
  CHECK(!play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  stage_free(&g);
}

TEST(a_cancel_waits_for_resume_and_drops_what_was_not_told) {
  stage g;
  stage_open(&g, two_steps);
  start(&g, "null");
  play(&g, with_reason(DURO_EVENT_SUSPENDED, NULL));
  CHECK(play(&g, completed(2, "\"act\"")));
  CHECK(play(&g, cancel_requested("r")));
  CHECK_INT(g.r.event_count, 1);
  CHECK(play(&g, fired(4)));
  CHECK(!play(&g, cancel_requested("r")));
  CHECK_STR(notes(&g), "");
  check_replay(&g);
  CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  CHECK_STR(status_of(&g), "cancelled");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(cleans_up_slowly) {
  BEGIN;
  s->task[0] = activity(s, t, "a", NULL);
  s->task[1] = wait_event(s, t, "e");
  AWAIT(s->cancelled);
  s->task[2] = timer(s, t, 10);
  AWAIT(done(s, s->task[2]));
  note_int(s, (int64_t)s->result_count);
  s->task[3] = timer(s, t, 10);
  AWAIT(done(s, s->task[3]));
  complete(s, t, NULL);
  END;
}

TEST(after_a_cancel_no_completion_of_an_earlier_task_is_told) {
  stage g;
  stage_open(&g, cleans_up_slowly);
  start(&g, "null");
  play(&g, with_reason(DURO_EVENT_SUSPENDED, NULL));
  CHECK(play(&g, cancel_requested("r")));
  CHECK(play(&g, completed(2, "1")));
  CHECK(play(&g, received("e", "1")));
  CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  int64_t cleanup = duro__exec_last_event_id(g.x);
  check_replay(&g);
  CHECK(play(&g, fired(cleanup)));
  CHECK_STR(notes(&g), "1"); /* the timer alone */
  check_replay(&g);
  stage_free(&g);
}

TEST(terminating_does_not_wait_for_resume) {
  stage g;
  stage_open(&g, two_steps);
  start(&g, "null");
  play(&g, with_reason(DURO_EVENT_SUSPENDED, NULL));
  CHECK(play(&g, completed(2, "\"act\"")));
  CHECK(play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, NULL)));
  CHECK_STR(status_of(&g), "terminated");
  check_replay(&g);
  stage_free(&g);
}

TEST(without_code_an_instance_can_be_suspended_and_resumed_when_nothing_came_between) {
  stage g;
  stage_open(&g, two_steps);
  start(&g, "null");
  CHECK_INT(reload_with(&g, just_waits), DURO_NONDETERMINISM);
  CHECK(play(&g, with_reason(DURO_EVENT_SUSPENDED, NULL)));
  CHECK_STR(status_of(&g), "suspended");
  CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  CHECK(play(&g, with_reason(DURO_EVENT_SUSPENDED, NULL)));
  CHECK_INT(reload_with(&g, two_steps), DURO_OK); /* mended meanwhile */
  CHECK_STR(duro_status_string(duro__exec_status(g.x)), "suspended");
  CHECK(play(&g, received("e", NULL)));
  CHECK_INT(reload_with(&g, just_waits), DURO_NONDETERMINISM);
  CHECK(!play(
      &g, with_reason(DURO_EVENT_RESUMED, NULL))); /* its answer to the event would be missing */
  CHECK_INT(g.code, DURO_STALLED);
  CHECK_INT(reload_with(&g, two_steps), DURO_OK);
  CHECK(play(&g, with_reason(DURO_EVENT_RESUMED, NULL)));
  CHECK_STR(notes(&g), "3 ");
  check_replay(&g);
  stage_free(&g);
}

/* -- trying again what failed ------------------------------------------------------------------- */

SCRIPT(fails_with_its_activity) {
  BEGIN;
  s->task[0] = activity(s, t, "first", NULL);
  AWAIT(done(s, s->task[0]));
  s->task[1] = activity(s, t, "charge", NULL);
  activity(s, t, "beside", NULL);
  AWAIT(done(s, s->task[1]));
  if (failed(s, s->task[1]))
    fail(s, t, output(s, s->task[1]));
  else
    complete(s, t, output(s, s->task[1]));
  END;
}

TEST(a_retried_failure_goes_on_before_what_the_retry_masks) {
  stage g;
  stage_open(&g, fails_with_its_activity);
  start(&g, "null");
  play(&g, completed(2, "1"));
  play(&g, attempt_failed(4, "{\"code\":\"down\"}"));
  CHECK_STR(status_of(&g), "failed");
  int64_t failure = g.r.first_event_id;
  CHECK(play(&g, arrival(DURO_EVENT_ORCHESTRATION_RETRIED, failure)));
  CHECK_STR(status_of(&g), "running");
  CHECK(!play(&g, completed(4, "1"))); /* it must be loaded anew */
  CHECK_INT(g.code, DURO_STALLED);
  CHECK_INT(reload(&g), DURO_OK);
  CHECK_INT(duro__exec_open(g.x, 4)->state, DURO__STATE_WAITING);
  CHECK(duro__exec_open(g.x, 5) != NULL);
  CHECK_INT(duro__exec_last_event_id(g.x), failure + 3);
  check_replay(&g);
  CHECK(play(&g, attempt_failed(4, "{\"code\":\"down\"}"))); /* and again */
  failure = g.r.first_event_id;
  CHECK(play(&g, arrival(DURO_EVENT_ORCHESTRATION_RETRIED, failure)));
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, completed(4, "\"paid\"")));
  CHECK_STR(status_of(&g), "completed");
  check_replay(&g);
  stage_free(&g);
}

TEST(only_what_failed_can_be_retried) {
  stage g;
  stage_open(&g, fails_with_its_activity);
  start(&g, "null");
  CHECK(!play(&g, arrival(DURO_EVENT_ORCHESTRATION_RETRIED, 2)));
  play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, NULL));
  CHECK(!play(&g, arrival(DURO_EVENT_ORCHESTRATION_RETRIED, 2)));
  stage_free(&g);
}

CHECK_MAIN()
