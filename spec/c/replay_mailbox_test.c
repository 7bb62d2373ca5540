/* Events and waits: kept in order, taken when looked at, given back when not. */
#include "replay_script.h"

static const char *mail(stage *g) {
  static char text[1024];
  duro_str name, data;
  int64_t id;
  size_t at = 0, n = 0;
  text[0] = 0;
  while (duro__exec_mailbox_next(g->x, &at, &name, &data, &id)) {
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%lld %.*s=%.*s", n ? ", " : "",
                          (long long)id, DURO_FMT(name), DURO_FMT(data));
  }
  return text;
}

SCRIPT(sleeps_then_waits) {
  BEGIN;
  s->task[0] = timer(s, t, 10);
  AWAIT(done(s, s->task[0]));
  for (;;) {
    s->task[1] = wait_event(s, t, "e");
    AWAIT(done(s, s->task[1]));
    look(s, t, s->task[1]);
    note(s, output(s, s->task[1]));
  }
  END;
}

TEST(events_wait_in_order_for_somebody_to_want_them) {
  stage g;
  stage_open(&g, sleeps_then_waits);
  start(&g, "null");
  play(&g, received("e", "1"));
  play(&g, received("other", NULL));
  play(&g, received("e", "2"));
  CHECK_STR(mail(&g), "3 e=1, 5 e=2, 4 other=");
  check_replay(&g);
  CHECK(play(&g, fired(2)));
  CHECK_STR(notes(&g), "1 2");
  CHECK_STR(mail(&g), "4 other=");
  CHECK_INT(g.r.event_count, 4); /* timer_fired and three waits, one of which still waits */
  check_replay(&g);
  CHECK(play(&g, received("e", "3")));
  CHECK_STR(notes(&g), "1 2 3");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(two_waits_in_order) {
  BEGIN;
  s->task[0] = wait_event(s, t, "e");
  s->task[1] = wait_event(s, t, "e");
  AWAIT(all_done(s, s->task, 2));
  for (int i = 0; i < 2; i++) {
    look(s, t, s->task[i]);
    note(s, output(s, s->task[i]));
  }
  s->task[2] = timer(s, t, 1);
  AWAIT(done(s, s->task[2]));
  END;
}

TEST(waits_of_one_name_are_served_in_order) {
  stage g;
  stage_open(&g, two_waits_in_order);
  start(&g, "null");
  turn_begin(&g);
  apply(&g, received("e", "\"x\""));
  apply(&g, received("e", "\"y\""));
  turn_end(&g);
  CHECK_STR(notes(&g), "\"x\" \"y\"");
  CHECK_STR(mail(&g), "");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(wait_loses_then_waits_again) {
  BEGIN;
  s->task[0] = wait_event(s, t, "e");
  s->task[1] = timer(s, t, 100);
  AWAIT(first_done(s, s->task, 2) >= 0);
  s->n[0] = first_done(s, s->task, 2);
  drop_losers(s, t, s->task, 2, (int)s->n[0]);
  s->task[2] = wait_event(s, t, "e");
  AWAIT(done(s, s->task[2]));
  look(s, t, s->task[2]);
  note(s, output(s, s->task[2]));
  s->task[3] = timer(s, t, 100);
  AWAIT(done(s, s->task[3]));
  END;
}

TEST(a_wait_that_lost_takes_no_later_event) {
  stage g;
  stage_open(&g, wait_loses_then_waits_again);
  start(&g, "null");
  play(&g, fired(3));
  CHECK(strstr(g.events, "{\"id\":5,\"kind\":\"event_subscription_cancelled\",\"source\":2}") !=
        NULL);
  play(&g, received("e", "\"hello\""));
  CHECK_STR(notes(&g), "\"hello\"");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(bound_wait_is_dropped) {
  BEGIN;
  s->task[0] = wait_event(s, t, "e");
  s->task[1] = timer(s, t, 100);
  s->task[2] = wait_event(s, t, "e");
  AWAIT(done(s, s->task[1])); /* whatever the waits do */
  drop_task(s, t, s->task[0]);
  AWAIT(done(s, s->task[2]));
  look(s, t, s->task[2]);
  note(s, output(s, s->task[2]));
  s->task[3] = timer(s, t, 100);
  AWAIT(done(s, s->task[3]));
  END;
}

TEST(a_wait_nobody_looked_at_gives_its_event_to_the_next) {
  stage g;
  stage_open(&g, bound_wait_is_dropped);
  start(&g, "null");
  play(&g, received("e", "1"));
  duro__open *o = duro__exec_open(g.x, 2);
  CHECK_INT(o->state, DURO__STATE_BOUND);
  CHECK_INT(o->bound_event, 5);
  CHECK_INT(duro__exec_open(g.x, 4)->state, DURO__STATE_WAITING);
  check_replay(&g);
  play(&g, fired(3));
  /* Task 4 got event 5 from task 2, and the code was told in the same turn. */
  CHECK_STR(notes(&g), "1");
  CHECK_STR(mail(&g), "");
  CHECK_STR(g.events, "[{\"id\":6,\"kind\":\"timer_fired\",\"at\":1020,\"source\":3},"
                      "{\"id\":7,\"kind\":\"event_subscription_cancelled\",\"source\":2},"
                      "{\"id\":8,\"kind\":\"timer_created\",\"fire_at\":1120,\"delay\":100}]");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(drops_in_any_order) {
  BEGIN;
  for (int i = 0; i < 4; i++) s->task[i] = wait_event(s, t, "e");
  s->task[4] = timer(s, t, 100);
  AWAIT(done(s, s->task[4]));
  drop_task(s, t, s->task[1]);
  drop_task(s, t, s->task[3]);
  drop_task(s, t, s->task[0]);
  s->task[5] = timer(s, t, 100);
  AWAIT(done(s, s->task[5]));
  for (int i = 6; i < 9; i++) s->task[i] = wait_event(s, t, "e");
  AWAIT(all_done(s, s->task + 6, 3));
  for (int i = 6; i < 9; i++) note(s, output(s, s->task[i]));
  s->task[9] = timer(s, t, 100);
  AWAIT(done(s, s->task[9]));
  END;
}

TEST(events_given_back_keep_their_order) {
  stage g;
  stage_open(&g, drops_in_any_order);
  start(&g, "null");
  for (int i = 0; i < 6; i++) {
    char data[2] = {(char)('0' + i), 0};
    play(&g, received("e", data));
  }
  CHECK_STR(mail(&g), "11 e=4, 12 e=5");
  play(&g, fired(6));
  CHECK_STR(mail(&g), "7 e=0, 8 e=1, 10 e=3, 11 e=4, 12 e=5");
  check_replay(&g);
  play(&g, fired(17));
  CHECK_STR(notes(&g), "0 1 3");
  CHECK_STR(mail(&g), "11 e=4, 12 e=5");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(drops_before_it_is_told) {
  BEGIN;
  s->task[0] = timer(s, t, 10);
  AWAIT(done(s, s->task[0]));
  s->task[1] = wait_event(s, t, "e"); /* gets the event at once, but is told after this step */
  note_int(s, done(s, s->task[1]));
  drop_task(s, t, s->task[1]);
  s->task[2] = timer(s, t, 10);
  AWAIT(done(s, s->task[2]));
  note_int(s, done(s, s->task[1]));
  s->task[3] = timer(s, t, 10);
  AWAIT(done(s, s->task[3]));
  END;
}

TEST(a_wait_dropped_before_it_was_told_is_never_told) {
  stage g;
  stage_open(&g, drops_before_it_is_told);
  start(&g, "null");
  play(&g, received("e", "1"));
  play(&g, fired(2));
  CHECK_STR(mail(&g), "3 e=1");
  play(&g, fired(7));
  CHECK_STR(notes(&g), "0 0");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(looks_only_at_the_second) {
  BEGIN;
  s->task[0] = wait_event(s, t, "e");
  s->task[1] = wait_event(s, t, "e");
  AWAIT(all_done(s, s->task, 2));
  look(s, t, s->task[1]);
  look(s, t, s->task[1]);
  look(s, t, 12345);
  complete(s, t, NULL);
  END;
}

TEST(what_was_not_looked_at_is_back_in_the_mailbox_at_the_end) {
  stage g;
  stage_open(&g, looks_only_at_the_second);
  start(&g, "null");
  play(&g, received("e", "1"));
  play(&g, received("e", "2"));
  CHECK(strstr(g.events, "{\"id\":6,\"kind\":\"event_subscription_cancelled\",\"source\":2},"
                         "{\"id\":7,\"kind\":\"orchestration_completed\"}]") != NULL);
  CHECK_STR(mail(&g), "4 e=1");
  check_replay(&g);
  stage_free(&g);
}

static duro_code hands_on_what_it_saw(void *host, void *program, duro_turn *t,
                                      const duro_completion *c, duro_error **err) {
  (void)host;
  (void)program;
  duro_turn_observe(t, c->task);
  return duro_turn_complete(t, c->output, err);
}
static const duro_program_ops handing_on = {
    .begin = script_begin, .step = hands_on_what_it_saw, .end = script_end};

TEST(data_lives_as_long_as_the_step_that_looks_at_it) {
  stage g;
  stage_open(&g, two_waits_in_order);
  g.config.program = &handing_on;
  duro__exec_free(g.x);
  g.x = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
  start(&g, "null");
  play(&g, received("e", "{\"n\":1}"));
  CHECK_STR(z(g.r.output), "{\"n\":1}");
  stage_free(&g);
}

SCRIPT(many_names) {
  char name[16];
  BEGIN;
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "n%02d", i);
    wait_event(s, t, name);
  }
  AWAIT(s->result_count == 100);
  for (int i = 0; i < 100; i += 7) note(s, output(s, i + 2));
  s->task[0] = timer(s, t, 1);
  AWAIT(done(s, s->task[0]));
  END;
}

TEST(many_names_are_told_apart) {
  stage g;
  char name[16], data[16];
  stage_open(&g, many_names);
  start(&g, "null");
  duro_buf b = {0};
  duro__exec_waiting_on(g.x, &b);
  CHECK_STR(z(duro_buf_str(&b)), "[\"event\"]");
  turn_begin(&g);
  for (int i = 99; i >= 0; i--) {
    snprintf(name, sizeof name, "n%02d", i);
    snprintf(data, sizeof data, "%d", i);
    CHECK(apply(&g, received(name, data)));
    if (i == 50) CHECK(apply(&g, received(name, "\"again\"")));
  }
  turn_end(&g);
  CHECK_STR(notes(&g), "0 7 14 21 28 35 42 49 56 63 70 77 84 91 98");
  CHECK_STR(mail(&g), "152 n50=\"again\"");
  check_replay(&g);
  duro_buf_free(&b);
  stage_free(&g);
}

TEST(a_scan_knows_the_events_but_not_who_looked_at_them) {
  stage g;
  stage_open(&g, two_waits_in_order);
  start(&g, "null");
  play(&g, received("e", "1"));
  play(&g, received("e", "2"));
  play(&g, received("e", "3"));
  duro__exec *y = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
  CHECK_INT(rebuild(&g, y, 0, true), DURO_OK);
  CHECK_INT(duro__exec_open(y, 2)->state, DURO__STATE_BOUND);
  CHECK(duro__exec_program(y) == NULL);
  duro_buf live = {0}, scanned = {0};
  duro__exec_waiting_on(g.x, &live);
  duro__exec_waiting_on(y, &scanned);
  CHECK_STR(z(duro_buf_str(&scanned)), z(duro_buf_str(&live)));
  duro_buf_free(&live);
  duro_buf_free(&scanned);
  duro__exec_free(y);
  stage_free(&g);
}

CHECK_MAIN()
