/* Continue-as-new: what the next execution starts with, and what it takes over. */
#include "replay_script.h"

SCRIPT(hands_over) {
  BEGIN;
  note(s, z(s->start->input));
  note_int(s, s->start->execution_id);
  s->task[0] = wait_event(s, t, "next");
  s->task[1] = wait_event(s, t, "other");
  s->task[2] = activity(s, t, "slow", NULL);
  kv_set(s, t, "k", "{\"x\":1}");
  set_status(s, t, "\"busy\"");
  set_attributes(s, t, "{\"a\":1}");
  AWAIT(done(s, s->task[0]));
  look(s, t, s->task[0]);
  settle(s, duro_turn_continue_as_new(t, text_of(output(s, s->task[0])), DURO_STR("2.0.0"),
                                      DURO_STR("enough"), &s->err));
  END;
}

static duro_event dedup(const char *name, const char *data, const char *id) {
  duro_event e = received(name, data);
  e.dedup_id = text_of(id);
  return e;
}

TEST(continue_as_new_ends_this_execution_and_writes_the_next_start) {
  stage g;
  stage_open(&g, hands_over);
  duro_event e = started("0");
  e.parent = DURO_STR("boss");
  e.parent_event = 3;
  e.deadline_ms = 99999;
  play(&g, e);
  play(&g, dedup("late", "\"l1\"", "d1"));
  play(&g, received("other", "\"o1\"")); /* bound, and never looked at */
  play(&g, received("late", NULL));
  play(&g, dedup("next", "{\"n\":1}", "d2"));
  CHECK_STR(status_of(&g), "continued_as_new");
  CHECK_STR(z(g.r.reason), "enough");
  CHECK_STR(effects_of(&g), "cancel_job 4");
  CHECK(strstr(g.events,
               "{\"id\":12,\"kind\":\"event_subscription_cancelled\",\"source\":3},"
               "{\"id\":13,\"kind\":\"activity_cancelled\",\"source\":4},"
               "{\"id\":14,\"kind\":\"orchestration_continued_as_new\",\"version\":\"2.0.0\","
               "\"input\":{\"n\":1},\"reason\":\"enough\"}]") != NULL);
  const duro_event *next = &g.r.next_start;
  CHECK_INT(next->kind, DURO_EVENT_ORCHESTRATION_STARTED);
  CHECK_STR(z(next->name), "greet");
  CHECK_STR(z(next->version), "2.0.0");
  CHECK_STR(z(next->input), "{\"n\":1}");
  CHECK_STR(z(next->parent), "boss");
  CHECK_INT(next->parent_event, 3);
  CHECK_INT(next->deadline_ms, 99999);
  CHECK_STR(z(next->carry),
            "{\"mailbox\":[{\"name\":\"late\",\"data\":\"l1\"},{\"name\":\"late\"},"
            "{\"name\":\"other\",\"data\":\"o1\"}],\"kv\":{\"k\":{\"x\":1}},"
            "\"custom_status\":\"busy\",\"custom_status_version\":1,\"attributes\":{\"a\":1},"
            "\"dedup\":[\"d1\",\"d2\"]}");
  check_replay(&g);

  /* The next execution has it all. */
  stage h;
  stage_open(&h, hands_over);
  duro__exec_free(h.x);
  h.execution_id = 2;
  h.x = duro__exec_new(&h.config, DURO_STR("order-1"), 2);
  play(&h, *next);
  CHECK_STR(notes(&h), "{\"n\":1} 2");
  CHECK_STR(z(duro__exec_kv_get(h.x, DURO_STR("k"))), "{\"x\":1}");
  CHECK_INT(duro__exec_custom_status_version(h.x), 2);
  CHECK_INT(duro__exec_open(h.x, 3)->bound_event, -1); /* "other" had an event */
  CHECK(!play(&h, dedup("next", "9", "d1")));
  CHECK(play(&h, received("later", "\"l2\"")));
  check_replay(&h);
  /* It looks at nothing but "next", and what was carried is carried again, in order. */
  CHECK(play(&h, received("next", "2")));
  CHECK(strstr(z(h.r.next_start.carry),
               "{\"mailbox\":[{\"name\":\"late\",\"data\":\"l1\"},{\"name\":\"late\"},"
               "{\"name\":\"later\",\"data\":\"l2\"},{\"name\":\"other\",\"data\":\"o1\"}]") !=
        NULL);
  CHECK_STR(z(h.r.next_start.version), "2.0.0");
  check_replay(&h);
  stage_free(&h);
  stage_free(&g);
}

SCRIPT(starts_over) {
  BEGIN;
  continue_as_new(s, t, NULL);
  END;
}

TEST(with_nothing_to_carry_there_is_no_carry) {
  stage g;
  stage_open(&g, starts_over);
  start(&g, "1");
  CHECK(g.r.next_start.carry.p == NULL);
  CHECK(g.r.next_start.input.p == NULL);
  CHECK_STR(z(g.r.next_start.version), "1.0.0");
  check_replay(&g);
  stage_free(&g);
}

TEST(a_first_start_brings_its_attributes_the_same_way) {
  stage g;
  stage_open(&g, hands_over);
  duro_event e = started("0");
  e.carry = DURO_STR("{\"attributes\":{\"region\":\"eu\"},\"from_a_newer_duro\":[1,{}]}");
  CHECK(play(&g, e));
  CHECK_STR(z(duro__exec_attributes(g.x)), "{\"region\":\"eu\",\"a\":1}");
  check_replay(&g);
  stage_free(&g);
}

TEST(a_carry_that_cannot_be_read_is_corrupt) {
  static const char *const bad[] = {"[]",
                                    "{\"mailbox\":{}}",
                                    "{\"mailbox\":[{\"data\":1}]}",
                                    "{\"kv\":[]}",
                                    "{\"dedup\":[1]}",
                                    "{\"attributes\":1}",
                                    "{\"custom_status_version\":\"x\"}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    stage g;
    stage_open(&g, hands_over);
    duro_event e = started("0");
    e.carry = text_of(bad[i]);
    play(&g, e);
    CHECK_INT(g.code, DURO_CORRUPT);
    CHECK(g.err && strstr(g.err->message, "order-1"));
    stage_free(&g);
  }
}

CHECK_MAIN()
