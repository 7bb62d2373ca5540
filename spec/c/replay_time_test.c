/* Time: what is due in which order, timeouts, when an instance wants to be woken, what it waits on. */
#include "replay_script.h"

static const char *waiting_on(stage *g) {
  static char text[2048];
  duro_buf b = {0};
  duro__exec_waiting_on(g->x, &b);
  snprintf(text, sizeof text, "%.*s", (int)b.n, b.p);
  duro_buf_free(&b);
  return text;
}
/* "timer 2, retry 3": all that is due, in order. */
static const char *take_due(stage *g, int64_t now_ms) {
  static const char *const words[] = {"none", "timer", "retry", "timeout"};
  static char text[1024];
  size_t n = 0;
  int64_t task;
  bool whole;
  duro__due_kind kind;
  text[0] = 0;
  while ((kind = duro__exec_take_due(g->x, now_ms, &task, &whole)) != DURO__DUE_NONE) {
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s %d", n ? ", " : "",
                          whole ? "whole " : "", words[kind], (int)task);
  }
  return text;
}

static int64_t delays[8];
SCRIPT(timers) {
  BEGIN;
  for (int i = 0; i < 8; i++) s->task[i] = timer(s, t, delays[i]);
  AWAIT(all_done(s, s->task, 8));
  complete(s, t, NULL);
  END;
}

TEST(timers_are_due_by_time_then_by_id) {
  stage g;
  static const int64_t some[] = {50, 10, 50, 0, 10, 99, -5, 50};
  memcpy(delays, some, sizeof delays);
  stage_open(&g, timers);
  start(&g, "null");
  CHECK_INT(duro__exec_next_due_ms(g.x), 995);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 995);
  CHECK_STR(take_due(&g, 1000), "timer 8, timer 5");
  CHECK_STR(take_due(&g, 1009), "");
  CHECK_INT(duro__exec_next_due_ms(g.x), 1010);
  CHECK_STR(take_due(&g, 1050), "timer 3, timer 6, timer 2, timer 4, timer 9");
  CHECK_INT(duro__exec_next_due_ms(g.x), 1099);
  /* Taken is not fired: after a load they are due again. */
  CHECK_INT(reload(&g), DURO_OK);
  CHECK_STR(take_due(&g, 1098), "timer 8, timer 5, timer 3, timer 6, timer 2, timer 4, timer 9");
  for (int id = 2; id <= 9; id++) CHECK(play(&g, fired(id)));
  CHECK_STR(status_of(&g), "completed");
  CHECK_INT(duro__exec_next_due_ms(g.x), DURO_NEVER);
  check_replay(&g);
  stage_free(&g);
}

TEST(a_timer_fired_is_no_longer_due) {
  stage g;
  static const int64_t some[] = {50, 10, 20, 30, 40, 60, 70, 80};
  memcpy(delays, some, sizeof delays);
  stage_open(&g, timers);
  start(&g, "null");
  CHECK(play(&g, fired(3)));
  CHECK(play(&g, fired(5)));
  CHECK_STR(take_due(&g, 1055), "timer 4, timer 6, timer 2");
  stage_free(&g);
}

SCRIPT(never) {
  BEGIN;
  int64_t task;
  settle(s, duro_turn_timer(t, DURO_NEVER, 0, &task, &s->err));
  AWAIT(false);
  END;
}

TEST(a_timer_may_lie_at_the_end_of_time) {
  stage g;
  stage_open(&g, never);
  start(&g, "null");
  CHECK_INT(duro__exec_wake_at_ms(g.x), DURO_NEVER);
  check_replay(&g);
  stage_free(&g);
}

/* -- activities --------------------------------------------------------------------------------- */

static const char *options;
SCRIPT(one_activity) {
  BEGIN;
  s->task[0] = activity_with(s, t, "a", NULL, options);
  AWAIT(done(s, s->task[0]));
  note(s, output(s, s->task[0]));
  AWAIT(false);
  END;
}

TEST(the_whole_timeout_is_not_tried_again) {
  stage g;
  options = "{\"retry\":{\"max_attempts\":9,\"initial_ms\":100},\"timeout_ms\":150}";
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_INT(duro__exec_open(g.x, 2)->deadline_ms, 1150);
  play(&g, attempt_failed(2, "{\"code\":\"busy\"}"));
  CHECK_INT(duro__exec_open(g.x, 2)->fire_at_ms, 1110);
  CHECK_STR(take_due(&g, 1110), "retry 2");
  CHECK_INT(duro__exec_next_due_ms(g.x), 1150);
  g.now_ms = 1110;
  play(&g, attempt_failed(2, "{\"code\":\"busy\"}")); /* the next attempt would come too late */
  CHECK_INT(duro__exec_open(g.x, 2)->state, DURO__STATE_BACKING_OFF);
  CHECK_STR(take_due(&g, 1500), "whole timeout 2"); /* and no retry beside it */
  g.now_ms = 1490;
  play(&g, attempt_failed(2, "{\"code\":\"timeout\"}"));
  CHECK_STR(notes(&g), "{\"code\":\"timeout\",\"name\":\"a\",\"attempts\":3}");
  check_replay(&g);
  stage_free(&g);
}

TEST(the_timeout_of_an_attempt_is_tried_again) {
  stage g;
  options = "{\"retry\":{\"max_attempts\":2,\"initial_ms\":10},\"attempt_timeout_ms\":50}";
  stage_open(&g, one_activity);
  start(&g, "null");
  duro__exec_set_volatile_due(g.x, 2, 1050);
  CHECK_INT(duro__exec_next_due_ms(g.x), 1050);
  duro__exec_set_volatile_due(g.x, 2, 1060); /* a heartbeat moved it */
  CHECK_STR(take_due(&g, 1059), "");
  CHECK_STR(take_due(&g, 1060), "timeout 2");
  CHECK_INT(duro__exec_next_due_ms(g.x), DURO_NEVER);
  play(&g, attempt_failed(2, "{\"code\":\"timeout\"}"));
  CHECK_INT(duro__exec_open(g.x, 2)->attempt, 2);
  check_replay(&g);
  duro__exec_set_volatile_due(g.x, 2, 1500);
  CHECK_STR(take_due(&g, 1100), "retry 2");
  duro__exec_set_volatile_due(g.x, 2, 0);
  duro__exec_set_volatile_due(g.x, 77, 10);
  CHECK_INT(duro__exec_next_due_ms(g.x), DURO_NEVER);
  stage_free(&g);
}

TEST(a_job_found_again_after_a_load_is_not_started_twice) {
  stage g;
  options = "{\"retry\":{\"initial_ms\":100}}";
  stage_open(&g, one_activity);
  start(&g, "null");
  play(&g, attempt_failed(2, "{}"));
  CHECK_STR(take_due(&g, 2000), "retry 2");
  CHECK_INT(reload(&g), DURO_OK);
  duro__exec_open(g.x, 2)->state = DURO__STATE_RUNNING; /* as the runtime does */
  CHECK_STR(take_due(&g, 2000), "");
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  play(&g, completed(2, "1"));
  CHECK_INT(duro__exec_wake_at_ms(g.x), DURO_NEVER);
  stage_free(&g);
}

TEST(heartbeat_details_stay_with_the_task) {
  stage g;
  options = "{\"retry\":{}}";
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_INT(duro__exec_set_heartbeat(g.x, 2, DURO_STR("{\"at\":7}"), NULL), DURO_OK);
  CHECK_INT(duro__exec_set_heartbeat(g.x, 3, DURO_STR("1"), NULL), DURO_OK);
  play(&g, attempt_failed(2, "{}"));
  CHECK_STR(z(duro__exec_open(g.x, 2)->heartbeat), "{\"at\":7}");
  stage_free(&g);
}

/* -- waking ------------------------------------------------------------------------------------- */

TEST(a_local_job_wants_attention_now_and_one_elsewhere_sends_a_message) {
  stage g;
  options = NULL;
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  duro__exec_open(g.x, 2)->state = DURO__STATE_RUNNING;
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  stage_free(&g);

  options = "{\"queue\":\"gpu \\u0031\"}";
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_STR(z(duro__exec_open(g.x, 2)->queue), "gpu 1");
  CHECK_INT(duro__exec_wake_at_ms(g.x), DURO_NEVER);
  check_replay(&g);
  stage_free(&g);

  options = "{\"queue\":\"gpu\",\"timeout_ms\":500}";
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK_INT(duro__exec_wake_at_ms(g.x), 1500);
  stage_free(&g);

  options = "{\"queue\":\"\"}";
  stage_open(&g, one_activity);
  start(&g, "null");
  CHECK(duro__exec_open(g.x, 2)->queue.p == NULL);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 0);
  stage_free(&g);
}

TEST(an_instance_with_a_deadline_wakes_for_it) {
  stage g;
  options = "{\"queue\":\"gpu\"}";
  stage_open(&g, one_activity);
  duro_event e = started("null");
  e.deadline_ms = 7000;
  play(&g, e);
  CHECK_INT(duro__exec_wake_at_ms(g.x), 7000);
  CHECK_INT(duro__exec_next_due_ms(g.x), DURO_NEVER);
  stage_free(&g);
}

SCRIPT(waits_for_much) {
  BEGIN;
  wait_event(s, t, "zeta");
  wait_event(s, t, "al\"pha");
  wait_event(s, t, "zeta");
  timer(s, t, 10);
  child(s, t, "c", NULL, NULL);
  activity(s, t, "a", NULL);
  activity(s, t, "b", NULL);
  AWAIT(false);
  END;
}

TEST(waiting_on_is_sorted_and_has_no_doubles) {
  stage g;
  stage_open(&g, waits_for_much);
  start(&g, "null");
  CHECK_STR(waiting_on(&g),
            "[\"activity\",\"event:al\\\"pha\",\"event:zeta\",\"sub_orchestration\","
            "\"timer\"]");
  play(&g, completed(7, NULL));
  play(&g, received("al\"pha", NULL));
  play(&g, received("zeta", NULL));
  CHECK_STR(waiting_on(&g), "[\"activity\",\"event:zeta\",\"sub_orchestration\",\"timer\"]");
  play(&g, received("zeta", NULL)); /* has its event: it waits for nothing */
  play(&g, completed(8, NULL));
  play(&g, fired(5));
  CHECK_STR(waiting_on(&g), "[\"sub_orchestration\"]");
  play(&g, with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, NULL));
  CHECK_STR(waiting_on(&g), "[]");
  stage_free(&g);
}

CHECK_MAIN()
