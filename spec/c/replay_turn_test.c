/* Fresh executions and their way: what a call records, what a turn leaves, how tasks compose. */
#include "replay_script.h"

SCRIPT(returns_at_once) {
  BEGIN;
  complete(s, t, "\"done\"");
  END;
}
SCRIPT(fails_at_once) {
  BEGIN;
  fail(s, t, "{\"code\":\"failed\",\"message\":\"no\"}");
  END;
}
SCRIPT(one_activity) {
  BEGIN;
  s->task[0] = activity(s, t, "charge", "{\"amount\":5}");
  AWAIT(done(s, s->task[0]));
  if (failed(s, s->task[0]))
    fail(s, t, output(s, s->task[0]));
  else
    complete(s, t, output(s, s->task[0]));
  END;
}
SCRIPT(one_timer) {
  BEGIN;
  s->task[0] = timer(s, t, 500);
  AWAIT(done(s, s->task[0]));
  note_int(s, duro_turn_now_ms(t));
  complete(s, t, NULL);
  END;
}
SCRIPT(one_wait) {
  BEGIN;
  s->task[0] = wait_event(s, t, "approval");
  AWAIT(done(s, s->task[0]));
  look(s, t, s->task[0]);
  complete(s, t, output(s, s->task[0]));
  END;
}
SCRIPT(one_child) {
  BEGIN;
  s->task[0] = child(s, t, "ship", NULL, "1");
  AWAIT(done(s, s->task[0]));
  if (failed(s, s->task[0]))
    fail(s, t, output(s, s->task[0]));
  else
    complete(s, t, output(s, s->task[0]));
  END;
}
SCRIPT(three_and_no_await) {
  BEGIN;
  activity(s, t, "a", "1");
  timer(s, t, 100);
  child(s, t, "b", "b-1", NULL);
  complete(s, t, "1");
  END;
}

TEST(a_program_may_return_at_once) {
  stage g;
  stage_open(&g, returns_at_once);
  CHECK(start(&g, "null"));
  CHECK_STR(g.events,
            "[{\"id\":1,\"kind\":\"orchestration_started\",\"at\":1000,\"name\":\"greet\","
            "\"version\":\"1.0.0\",\"input\":null,\"run_id\":\"0123456789abcdef0123456789abcdef\"},"
            "{\"id\":2,\"kind\":\"orchestration_completed\",\"output\":\"done\"}]");
  CHECK_STR(status_of(&g), "completed");
  CHECK_STR(z(g.r.output), "\"done\"");
  CHECK_INT(g.r.first_event_id, 1);
  CHECK_INT(g.r.event_count, 2);
  CHECK_INT(g.r.effect_count, 0);
  CHECK(duro__exec_program(g.x) == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_program_may_fail_at_once) {
  stage g;
  stage_open(&g, fails_at_once);
  CHECK(start(&g, "null"));
  CHECK_STR(status_of(&g), "failed");
  CHECK_STR(z(g.r.error), "{\"code\":\"failed\",\"message\":\"no\"}");
  check_replay(&g);
  stage_free(&g);
}

TEST(programs_begin_and_end_once) {
  stage g;
  int begun = script_begun, ended = script_ended;
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_INT(script_begun - begun, 1);
  CHECK_INT(script_ended - ended, 0);
  play(&g, completed(2, "1"));
  CHECK_INT(script_ended - ended, 1);
  stage_free(&g);
  CHECK_INT(script_ended - ended, 1);
  stage_open(&g, one_activity);
  start(&g, "null");
  stage_free(&g);
  CHECK_INT(script_ended - ended, 2);
}

TEST(an_activity_is_scheduled_and_its_result_is_told) {
  stage g;
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK(strstr(g.events, ",{\"id\":2,\"kind\":\"activity_scheduled\",\"name\":\"charge\","
                         "\"input\":{\"amount\":5}}]") != NULL);
  CHECK_STR(effects_of(&g), "start_job 2");
  CHECK_STR(status_of(&g), "running");
  duro__open *o = duro__exec_open(g.x, 2);
  if (!CHECK(o != NULL)) return;
  CHECK_INT(o->kind, DURO__OPEN_ACTIVITY);
  CHECK_INT(o->state, DURO__STATE_WAITING);
  CHECK_INT(o->attempt, 1);
  CHECK_INT(o->scheduled_at_ms, 1000);
  CHECK_STR(z(o->name), "charge");
  CHECK_STR(z(o->input), "{\"amount\":5}");
  check_replay(&g);

  CHECK(play(&g, completed(2, "\"paid\"")));
  CHECK_STR(g.events, "[{\"id\":3,\"kind\":\"activity_completed\",\"at\":1010,\"source\":2,"
                      "\"output\":\"paid\"},"
                      "{\"id\":4,\"kind\":\"orchestration_completed\",\"output\":\"paid\"}]");
  CHECK_INT(g.r.first_event_id, 3);
  CHECK_INT(g.r.activities_completed, 1);
  CHECK(duro__exec_open(g.x, 2) == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_failed_activity_is_told_with_its_name_and_attempts) {
  stage g;
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK(
      play(&g, attempt_failed(2, "{\"code\":\"declined\",\"message\":\"no money\",\"data\":[1]}")));
  CHECK_STR(g.events,
            "[{\"id\":3,\"kind\":\"activity_failed\",\"at\":1010,\"source\":2,"
            "\"error\":{\"code\":\"declined\",\"message\":\"no money\",\"data\":[1],"
            "\"name\":\"charge\",\"attempts\":1},\"attempt\":1},"
            "{\"id\":4,\"kind\":\"orchestration_failed\",\"error\":{\"code\":\"declined\","
            "\"message\":\"no money\",\"data\":[1],\"name\":\"charge\",\"attempts\":1}}]");
  CHECK_INT(g.r.activities_failed, 1);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_timer_keeps_its_absolute_time) {
  stage g;
  stage_open(&g, one_timer);
  start(&g, "null");
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"timer_created\",\"fire_at\":1500,\"delay\":500}") !=
        NULL);
  CHECK_INT(g.r.effect_count, 0);
  CHECK_INT(duro__exec_next_due_ms(g.x), 1500);
  check_replay(&g);
  g.now_ms = 1490;
  CHECK(play(&g, fired(2)));
  CHECK_STR(g.events, "[{\"id\":3,\"kind\":\"timer_fired\",\"at\":1500,\"source\":2},"
                      "{\"id\":4,\"kind\":\"orchestration_completed\"}]");
  CHECK_INT(g.r.timers_fired, 1);
  CHECK(g.r.output.p == NULL);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_wait_gets_its_event) {
  stage g;
  stage_open(&g, one_wait);
  start(&g, "null");
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"event_subscribed\",\"name\":\"approval\"}") != NULL);
  check_replay(&g);
  CHECK(play(&g, received("approval", "{\"by\":\"ann\"}")));
  CHECK_STR(g.events,
            "[{\"id\":3,\"kind\":\"event_received\",\"at\":1010,\"source\":2,"
            "\"name\":\"approval\",\"input\":{\"by\":\"ann\"}},"
            "{\"id\":4,\"kind\":\"orchestration_completed\",\"output\":{\"by\":\"ann\"}}]");
  CHECK_INT(g.r.events_received, 1);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_child_has_an_id_made_of_its_parents) {
  stage g;
  stage_open(&g, one_child);
  start(&g, "null");
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"sub_orchestration_scheduled\",\"name\":\"ship\","
                         "\"instance\":\"order-1::1::2\",\"input\":1}") != NULL);
  CHECK_STR(effects_of(&g), "start_child 2");
  CHECK_STR(z(duro__exec_open(g.x, 2)->instance), "order-1::1::2");
  check_replay(&g);
  CHECK(play(&g, child_completed(2, "\"sent\"")));
  CHECK_STR(z(g.r.output), "\"sent\"");
  check_replay(&g);
  stage_free(&g);
}

TEST(a_failed_child_fails_its_parent_with_its_own_error) {
  stage g;
  stage_open(&g, one_child);
  start(&g, "null");
  CHECK(play(&g, child_failed(2, "{\"code\":\"lost\",\"message\":\"at sea\"}")));
  CHECK_STR(z(g.r.error), "{\"code\":\"lost\",\"message\":\"at sea\"}");
  check_replay(&g);
  stage_free(&g);
}

TEST(what_nobody_awaited_is_cancelled_at_the_end_and_never_begun) {
  stage g;
  stage_open(&g, three_and_no_await);
  start(&g, "null");
  const char *cancels = strstr(g.events, "{\"id\":5");
  CHECK_STR(cancels, "{\"id\":5,\"kind\":\"activity_cancelled\",\"source\":2},"
                     "{\"id\":6,\"kind\":\"timer_cancelled\",\"source\":3},"
                     "{\"id\":7,\"kind\":\"sub_orchestration_cancelled\",\"source\":4},"
                     "{\"id\":8,\"kind\":\"orchestration_completed\",\"output\":1}]");
  CHECK_STR(effects_of(&g), "");
  CHECK(duro__exec_open_next(g.x, 0) == NULL);
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(detached_then_activity) {
  duro_str id;
  BEGIN;
  settle(s, duro_turn_start(t, DURO_STR("audit"), DURO_NONE, DURO_STR("audit-1"), DURO_STR("7"),
                            &id, &s->err));
  note(s, z(id));
  settle(s, duro_turn_start(t, DURO_STR("audit"), DURO_STR("2.0.0"), DURO_NONE, DURO_NONE, &id,
                            &s->err));
  note(s, z(id));
  settle(s, duro_turn_raise(t, DURO_STR("audit-1"), DURO_STR("go"), DURO_STR("[1]"), &s->err));
  s->task[0] = activity(s, t, "a", NULL);
  AWAIT(done(s, s->task[0]));
  complete(s, t, NULL);
  END;
}

TEST(fire_and_forget_is_recorded_and_left_to_the_runtime) {
  stage g;
  stage_open(&g, detached_then_activity);
  start(&g, "null");
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"orchestration_chained\",\"name\":\"audit\","
                         "\"instance\":\"audit-1\",\"input\":7}") != NULL);
  CHECK(strstr(g.events,
               "{\"id\":4,\"kind\":\"event_sent\",\"name\":\"go\",\"instance\":\"audit-1\","
               "\"input\":[1]}") != NULL);
  if (!CHECK_INT(g.r.effect_count, 4)) return;
  CHECK_INT(g.r.effects[0].kind, DURO__START_DETACHED);
  CHECK_STR(z(g.r.effects[0].event->instance), "audit-1");
  CHECK_STR(z(g.r.effects[0].event->input), "7");
  CHECK_INT(g.r.effects[0].event->id, 2);
  CHECK_STR(z(g.r.effects[1].event->version), "2.0.0");
  CHECK_INT(g.r.effects[2].kind, DURO__SEND_EVENT);
  CHECK_STR(z(g.r.effects[2].event->name), "go");
  CHECK_INT(g.r.effects[3].kind, DURO__START_JOB);
  /* A generated id is a version 7 UUID of the turn's time, and the same on replay. */
  duro_str id = g.r.effects[1].event->instance;
  CHECK_INT(id.n, 36);
  CHECK_INT(id.p[14], '7');
  CHECK(!strncmp(id.p, "00000000-03e8", 13));
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(two_in_turn) {
  BEGIN;
  s->task[0] = activity(s, t, "step", "1");
  AWAIT(done(s, s->task[0]));
  s->task[1] = activity(s, t, "step", "2");
  AWAIT(done(s, s->task[1]));
  note(s, output(s, s->task[0]));
  note(s, output(s, s->task[1]));
  s->task[2] = timer(s, t, 10);
  AWAIT(done(s, s->task[2]));
  complete(s, t, "1");
  END;
}

TEST(a_sequence_goes_on_where_it_was_after_each_load) {
  stage g;
  stage_open(&g, two_in_turn);
  start(&g, "null");
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, completed(2, "\"r1\"")));
  CHECK_STR(effects_of(&g), "start_job 4");
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, completed(4, "\"r2\"")));
  CHECK_STR(notes(&g), "\"r1\" \"r2\"");
  CHECK_INT(reload(&g), DURO_OK);
  CHECK(play(&g, fired(6)));
  CHECK_STR(status_of(&g), "completed");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(two_alike) {
  BEGIN;
  s->task[0] = activity(s, t, "same", "0");
  s->task[1] = activity(s, t, "same", "0");
  AWAIT(all_done(s, s->task, 2));
  note(s, output(s, s->task[0]));
  note(s, output(s, s->task[1]));
  s->task[2] = timer(s, t, 1);
  AWAIT(done(s, s->task[2]));
  END;
}

TEST(results_find_their_tasks_whatever_their_order) {
  stage g;
  stage_open(&g, two_alike);
  start(&g, "null");
  CHECK(play(&g, completed(3, "\"second\"")));
  CHECK_INT(g.r.event_count, 1);
  check_replay(&g);
  CHECK(play(&g, completed(2, "\"first\"")));
  CHECK_STR(notes(&g), "\"first\" \"second\"");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(activity_or_timer) {
  BEGIN;
  s->task[0] = activity(s, t, "slow", NULL);
  s->task[1] = timer(s, t, 100);
  s->task[2] = wait_event(s, t, "stop");
  s->task[3] = child(s, t, "c", NULL, NULL);
  AWAIT(first_done(s, s->task, 4) >= 0);
  s->n[0] = first_done(s, s->task, 4);
  note_int(s, s->n[0]);
  drop_losers(s, t, s->task, 4, (int)s->n[0]);
  s->task[5] = timer(s, t, 1000);
  AWAIT(done(s, s->task[5]));
  complete(s, t, NULL);
  END;
}

TEST(the_first_in_history_wins_and_the_losers_are_cancelled) {
  stage g;
  stage_open(&g, activity_or_timer);
  start(&g, "null");
  duro__exec_open(g.x, 2)->runtime = &g;
  CHECK(play(&g, fired(3)));
  CHECK_STR(notes(&g), "1");
  CHECK_STR(g.events, "[{\"id\":6,\"kind\":\"timer_fired\",\"at\":1010,\"source\":3},"
                      "{\"id\":7,\"kind\":\"activity_cancelled\",\"source\":2},"
                      "{\"id\":8,\"kind\":\"event_subscription_cancelled\",\"source\":4},"
                      "{\"id\":9,\"kind\":\"sub_orchestration_cancelled\",\"source\":5},"
                      "{\"id\":10,\"kind\":\"timer_created\",\"fire_at\":2010,\"delay\":1000}]");
  CHECK_STR(effects_of(&g), "cancel_job 2, cancel_child 5 'order-1::1::5'");
  CHECK(g.r.effects[0].runtime == &g);
  CHECK_STR(z(g.r.effects[1].event->reason), "its parent no longer waits for it");
  check_replay(&g);
  /* What still arrives for a loser changes nothing. */
  CHECK(!play(&g, completed(2, "1")));
  CHECK_INT(g.code, DURO_OK);
  CHECK_STR(g.events, "[]");
  stage_free(&g);
}

TEST(of_two_in_one_turn_the_first_wins) {
  stage g;
  stage_open(&g, activity_or_timer);
  start(&g, "null");
  turn_begin(&g);
  CHECK(apply(&g, completed(2, "1")));
  CHECK(!apply(&g, fired(3))); /* its timer is gone by then */
  turn_end(&g);
  CHECK_STR(notes(&g), "0");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(fan_out) {
  BEGIN;
  for (int i = 0; i < 5; i++) s->task[i] = activity(s, t, "part", NULL);
  AWAIT(all_done(s, s->task, 5));
  for (int i = 0; i < 5; i++) note(s, output(s, s->task[i]));
  complete(s, t, "true");
  END;
}

TEST(a_join_waits_for_all_and_keeps_their_order) {
  stage g;
  stage_open(&g, fan_out);
  start(&g, "null");
  CHECK_STR(effects_of(&g), "start_job 2, start_job 3, start_job 4, start_job 5, start_job 6");
  turn_begin(&g);
  CHECK(apply(&g, completed(5, "5")));
  CHECK(apply(&g, completed(2, "2")));
  CHECK(apply(&g, completed(6, "6")));
  turn_end(&g);
  CHECK_INT(g.r.event_count, 3);
  check_replay(&g);
  CHECK(play(&g, completed(3, "3")));
  CHECK(play(&g, completed(4, "4")));
  CHECK_STR(status_of(&g), "completed");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(tells_its_facts) {
  char uuid[DURO_UUID_SIZE];
  BEGIN;
  note(s, z(s->start->instance_id));
  note_int(s, s->start->execution_id);
  note(s, z(s->start->name));
  note(s, z(s->start->version));
  note(s, z(s->start->parent_id));
  note(s, z(s->start->input));
  note_int(s, duro_turn_now_ms(t));
  note_int(s, duro_turn_history_length(t));
  duro_prng_uuid4(duro_turn_prng(t), uuid);
  note(s, uuid);
  s->task[0] = timer(s, t, 5);
  AWAIT(done(s, s->task[0]));
  duro_prng_uuid4(duro_turn_prng(t), uuid);
  note(s, uuid);
  note_int(s, duro_turn_now_ms(t));
  note_int(s, duro_turn_history_length(t));
  s->task[0] = timer(s, t, 5);
  AWAIT(done(s, s->task[0]));
  END;
}

TEST(facts_and_random_values_are_those_of_the_turn) {
  stage g;
  stage_open(&g, tells_its_facts);
  duro_event e = started("{}");
  e.parent = DURO_STR("boss");
  e.parent_event = 17;
  play(&g, e);
  CHECK(!strncmp(notes(&g), "order-1 1 greet 1.0.0 boss {} 1000 1 ", 36));
  CHECK_INT(duro__exec_parent_event_id(g.x), 17);
  play(&g, fired(2));
  CHECK(strstr(notes(&g), " 1010 3") != NULL);
  check_replay(&g);
  /* Another run, or another execution of it, draws other values. */
  stage h;
  stage_open(&h, tells_its_facts);
  e.run_id = DURO_STR("another");
  play(&h, e);
  CHECK(strncmp(notes(&g), notes(&h), strlen(notes(&h))) != 0);
  stage_free(&h);
  stage_free(&g);
}

SCRIPT(tells_its_start_at_the_end) {
  BEGIN;
  s->task[0] = timer(s, t, 10);
  AWAIT(done(s, s->task[0]));
  duro_buf_printf(&s->notes, "[\"%.*s\",\"%.*s\",%.*s]", DURO_FMT(s->start->instance_id),
                  DURO_FMT(s->start->name), DURO_FMT(s->start->input));
  settle(s, duro_turn_complete(t, duro_buf_str(&s->notes), &s->err));
  END;
}

TEST(what_a_program_was_started_with_is_lent_to_its_end) {
  stage g;
  stage_open(&g, tells_its_start_at_the_end);
  start(&g, "[1,2,3]");
  CHECK(play(&g, fired(2)));
  CHECK_STR(z(g.r.output), "[\"order-1\",\"greet\",[1,2,3]]");
  check_replay(&g);
  stage_free(&g);
}

CHECK_MAIN()
