/* What the code keeps: key-values, custom status, attributes; and the limits of what it may ask. */
#include "replay_script.h"

static void (*doing)(script *s, duro_turn *t); /* what `acts` does in its first step */
SCRIPT(acts) {
  BEGIN;
  doing(s, t);
  AWAIT(false);
  END;
}
static void act(stage *g, void (*what)(script *s, duro_turn *t)) {
  doing = what;
  stage_open(g, acts);
  start(g, "null");
}
static void note_code(script *s) { note(s, duro_code_string(s->last)); }
static const char *message(stage *g) {
  script *s = duro__exec_program(g->x);
  return s && s->err ? s->err->message : NULL;
}
static duro_str repeated(char c, size_t n) {
  static char *text;
  free(text);
  text = malloc(n + 1);
  memset(text, c, n);
  text[n] = 0;
  return (duro_str){text, n};
}

/* -- key-values --------------------------------------------------------------------------------- */

static void sets_keys(script *s, duro_turn *t) {
  duro_str key = DURO_NONE, value;
  kv_set(s, t, "b", "1");
  kv_set(s, t, "a", "[2]");
  kv_set(s, t, "b", "3");
  kv_set(s, t, "", "\"empty key\"");
  kv_set(s, t, "gone", "4");
  kv_set(s, t, "gone", NULL);
  kv_set(s, t, "never", NULL); /* not there: nothing to record */
  while (duro_turn_kv_next(t, key, &key, &value)) {
    note(s, z(key));
    note(s, z(value));
  }
  note(s, z(duro_turn_kv_get(t, DURO_STR("b"))));
  note_int(s, duro_turn_kv_get(t, DURO_STR("gone")).p != NULL);
}

TEST(keys_are_set_cleared_and_walked_in_order) {
  stage g;
  act(&g, sets_keys);
  CHECK_STR(notes(&g), "\"empty key\" a [2] b 3 3 0");
  CHECK_INT(g.r.event_count, 7);
  CHECK(strstr(g.events, "{\"id\":2,\"kind\":\"kv_set\",\"name\":\"b\",\"input\":1}") != NULL);
  CHECK(strstr(g.events, "{\"id\":7,\"kind\":\"kv_cleared\",\"name\":\"gone\"}") != NULL);
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(counts_up) {
  BEGIN;
  for (;;) {
    s->task[0] = timer(s, t, 1);
    AWAIT(done(s, s->task[0]));
    duro_str n = duro_turn_kv_get(t, DURO_STR("n"));
    char next[16];
    snprintf(next, sizeof next, "%d", n.p ? atoi(z(n)) + 1 : 1);
    kv_set(s, t, "n", next);
    set_status(s, t, next);
    if (s->n[0]++ == 1) {
      continue_as_new(s, t, next);
      return;
    }
  }
  END;
}

TEST(a_value_read_and_written_each_turn_is_the_same_on_replay) {
  stage g;
  stage_open(&g, counts_up);
  start(&g, "null");
  play(&g, fired(2));
  CHECK_STR(z(duro__exec_kv_get(g.x, DURO_STR("n"))), "1");
  CHECK(g.r.custom_status_changed);
  CHECK(!g.r.attributes_changed);
  check_replay(&g);
  CHECK_INT(reload(&g), DURO_OK);
  play(&g, fired(6));
  CHECK_STR(z(duro__exec_kv_get(g.x, DURO_STR("n"))), "2");
  CHECK_STR(status_of(&g), "continued_as_new");
  check_replay(&g);
  stage_free(&g);
}

static void sets_too_much(script *s, duro_turn *t) {
  char key[16];
  for (int i = 0; i <= DURO_MAX_KV_KEYS; i++) {
    snprintf(key, sizeof key, "%d", i);
    kv_set(s, t, key, "1");
  }
  note_code(s);
  kv_set(s, t, "5", "2"); /* one that is there */
  note_code(s);
  settle(s, duro_turn_kv_set(t, repeated('k', DURO_MAX_KV_KEY_BYTES + 1), DURO_STR("1"), &s->err));
  note_code(s);
  settle(s,
         duro_turn_kv_set(t, DURO_STR("5"), repeated('1', DURO_MAX_KV_VALUE_BYTES + 1), &s->err));
  note_code(s);
  settle(s, duro_turn_kv_set(t, DURO_STR("5"), repeated('1', DURO_MAX_KV_VALUE_BYTES), &s->err));
  note_code(s);
  settle(s, duro_turn_kv_set(t, DURO_STR("\xff"), DURO_STR("1"), &s->err));
  note_code(s);
}

TEST(key_values_have_limits) {
  stage g;
  act(&g, sets_too_much);
  CHECK_STR(notes(&g), "too_large ok too_large too_large ok invalid_argument");
  CHECK_INT(g.r.event_count, DURO_MAX_KV_KEYS + 3);
  stage_free(&g);
}

/* -- custom status ------------------------------------------------------------------------------ */

static void sets_statuses(script *s, duro_turn *t) {
  note_int(s, duro_turn_custom_status(t).p != NULL);
  set_status(s, t, "\"one\"");
  note(s, z(duro_turn_custom_status(t)));
  set_status(s, t, NULL);
  note_int(s, duro_turn_custom_status(t).p != NULL);
  set_status(s, t, "{\"step\":3}");
}

TEST(the_last_custom_status_counts_and_versions_count_all) {
  stage g;
  act(&g, sets_statuses);
  CHECK_STR(notes(&g), "0 \"one\" 0");
  CHECK_STR(z(duro__exec_custom_status(g.x)), "{\"step\":3}");
  CHECK_INT(duro__exec_custom_status_version(g.x), 3);
  CHECK(g.r.custom_status_changed);
  check_replay(&g);
  stage_free(&g);
}

static void sets_large_statuses(script *s, duro_turn *t) {
  static const int more[] = {-1, 0, 1};
  for (int i = 0; i < 3; i++) {
    size_t n = (size_t)(DURO_MAX_CUSTOM_STATUS_BYTES + more[i]);
    settle(s, duro_turn_set_custom_status(t, repeated('1', n), &s->err));
    note_code(s);
  }
}

TEST(a_custom_status_has_a_limit_that_it_may_reach) {
  stage g;
  act(&g, sets_large_statuses);
  CHECK_STR(notes(&g), "ok ok too_large");
  CHECK_STR(message(&g), "the custom status has 262145 bytes of at most 262144");
  CHECK_INT(duro__exec_custom_status_version(g.x), 2);
  stage_free(&g);
}

/* -- attributes --------------------------------------------------------------------------------- */

static void sets_some_attributes(script *s, duro_turn *t) {
  set_attributes(s, t, "{\"city\":\"Graz\",\"vip\":true,\"n\":1.5}");
  set_attributes(s, t, "{ \"vip\" : null, \"n\" : 2, \"new\":\"x\", \"unknown\":null}");
}

TEST(attributes_are_merged_and_null_removes) {
  stage g;
  act(&g, sets_some_attributes);
  CHECK_STR(z(duro__exec_attributes(g.x)), "{\"city\":\"Graz\",\"n\":2,\"new\":\"x\"}");
  CHECK(g.r.attributes_changed);
  check_replay(&g);
  stage_free(&g);
}

static void sets_bad_attributes(script *s, duro_turn *t) {
  char many[4096];
  size_t n = 0;
  static const char *const bad[] = {"[1]",      "7",        "{\"a\":{\"b\":1}}", "{\"a\":[]}",
                                    "{\"\":1}", "{\"a\":}", "{\"a\":1",          "{\"a\\n\":1}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    set_attributes(s, t, bad[i]);
    note_code(s);
  }
  n += (size_t)snprintf(many, sizeof many, "{\"a\":0");
  for (int i = 0; i < DURO_MAX_ATTRIBUTES; i++) {
    n += (size_t)snprintf(many + n, sizeof many - n, ",\"k%d\":%d", i, i);
  }
  snprintf(many + n, sizeof many - n, "}");
  set_attributes(s, t, many);
  note_code(s);
  snprintf(many + n, sizeof many - n, ",\"a\":null}");
  set_attributes(s, t, many);
  note_code(s);
  set_attributes(s, t, "{\"one_more\":1}");
  note_code(s);
  set_attributes(s, t, "{\"one_more\":1,\"k3\":null}");
  note_code(s);
}

TEST(attributes_are_flat_scalars_and_few) {
  stage g;
  act(&g, sets_bad_attributes);
  CHECK_STR(notes(&g), "invalid_argument invalid_argument invalid_argument invalid_argument "
                       "invalid_argument invalid_argument invalid_argument invalid_argument "
                       "too_large ok too_large ok");
  CHECK_INT(g.r.event_count, 3);
  check_replay(&g);
  stage_free(&g);
}

static void removes_all_attributes(script *s, duro_turn *t) {
  set_attributes(s, t, "{\"a\":1}");
  set_attributes(s, t, "{\"a\":null}");
}

TEST(without_attributes_there_is_no_object) {
  stage g;
  act(&g, removes_all_attributes);
  CHECK(duro__exec_attributes(g.x).p == NULL);
  stage_free(&g);
}

/* -- limits and misuse -------------------------------------------------------------------------- */

static void asks_for_too_much(script *s, duro_turn *t) {
  duro_str long_name = repeated('n', DURO_MAX_NAME_BYTES + 1), id;
  int64_t task;
  settle(s, duro_turn_activity(t, long_name, DURO_NONE, DURO_NONE, &task, &s->err));
  note_code(s);
  settle(s, duro_turn_wait(t, DURO_NONE, &task, &s->err));
  note_code(s);
  child(s, t, "line\nbreak", NULL, NULL);
  note_code(s);
  settle(s, duro_turn_child(t, DURO_STR("c"), DURO_NONE, repeated('i', DURO_MAX_ID_BYTES + 1),
                            DURO_NONE, DURO_NONE, &task, &s->err));
  note_code(s);
  settle(s,
         duro_turn_start(t, DURO_STR("c"), DURO_STR("\xc3"), DURO_NONE, DURO_NONE, &id, &s->err));
  note_code(s);
  settle(s, duro_turn_raise(t, DURO_STR(""), DURO_STR("e"), DURO_NONE, &s->err));
  note_code(s);
  settle(s, duro_turn_activity(t, DURO_STR("a"), repeated('1', DURO_MAX_PAYLOAD_BYTES + 1),
                               DURO_NONE, &task, &s->err));
  note_code(s);
  settle(s, duro_turn_continue_as_new(t, DURO_NONE, DURO_NONE,
                                      repeated('r', DURO_MAX_REASON_BYTES + 1), &s->err));
  note_code(s);
  settle(s, duro_turn_complete(t, repeated('1', DURO_MAX_PAYLOAD_BYTES + 1), &s->err));
  note_code(s);
  duro_turn_observe(t, 99);
  drop_task(s, t, 99);
  note_code(s);
}

TEST(what_is_out_of_bounds_is_refused_and_not_recorded) {
  stage g;
  act(&g, asks_for_too_much);
  CHECK_STR(notes(&g), "invalid_argument invalid_argument invalid_argument invalid_argument "
                       "invalid_argument invalid_argument too_large too_large too_large ok");
  CHECK_STR(message(&g), "the output has 16777217 bytes of at most 16777216");
  CHECK_INT(g.r.event_count, 1);
  check_replay(&g);
  stage_free(&g);
}

static void fails_with_too_much(script *s, duro_turn *t) {
  settle(s, duro_turn_fail(t, repeated('1', DURO_MAX_PAYLOAD_BYTES + 1), &s->err));
}

TEST(to_fail_is_always_possible) {
  stage g;
  act(&g, fails_with_too_much);
  CHECK_STR(status_of(&g), "failed");
  CHECK_STR(z(g.r.error),
            "{\"code\":\"too_large\",\"message\":\"the error has 16777217 bytes of at "
            "most 16777216\"}");
  stage_free(&g);
}

static void asks_after_its_end(script *s, duro_turn *t) {
  complete(s, t, "1");
  activity(s, t, "a", NULL);
  CHECK_INT(s->last, DURO_INVALID_ARGUMENT);
  complete(s, t, "2");
  CHECK_INT(s->last, DURO_INVALID_ARGUMENT);
  fail(s, t, "{}");
  CHECK_INT(s->last, DURO_INVALID_ARGUMENT);
  drop_task(s, t, 1);
  CHECK_INT(s->last, DURO_INVALID_ARGUMENT);
}

TEST(after_its_end_an_execution_takes_no_commands) {
  stage g;
  act(&g, asks_after_its_end);
  CHECK_INT(g.r.event_count, 2);
  CHECK_STR(z(g.r.output), "1");
  check_replay(&g);
  stage_free(&g);
}

SCRIPT(goes_on) {
  BEGIN;
  for (;;) {
    s->task[0] = activity(s, t, "step", NULL);
    if (s->last) {
      fail(s, t, NULL);
      return;
    }
    AWAIT(done(s, s->task[0]));
  }
  END;
}

TEST(a_history_has_an_end_that_the_code_is_told) {
  stage g;
  stage_open(&g, goes_on);
  CHECK_INT(replay_text(&g, "[{\"id\":1,\"kind\":\"orchestration_started\",\"name\":\"g\"},"
                            "{\"id\":999998,\"kind\":\"activity_scheduled\",\"name\":\"step\"}]"),
            DURO_OK);
  play(&g, completed(999998, NULL)); /* 999999, and one activity more: 1000000 */
  CHECK_STR(status_of(&g), "running");
  play(&g, completed(1000000, NULL));
  CHECK_STR(status_of(&g), "failed");
  CHECK_INT(duro__exec_last_event_id(g.x), 1000002);
  check_replay(&g);
  stage_free(&g);
}

static void has_a_large_effect(script *s, duro_turn *t) {
  duro_str recorded;
  settle(s, duro_turn_side_effect(t, &recorded, &s->err));
  if (!s->last) {
    settle(s, duro_turn_side_effect_record(t, repeated('1', DURO_MAX_PAYLOAD_BYTES + 1), &s->err));
  }
  note_code(s);
  note(s, s->err->message);
  activity(s, t, "a", NULL);
}

TEST(a_side_effect_that_is_too_large_is_so_again_on_replay) {
  stage g;
  act(&g, has_a_large_effect);
  CHECK_STR(notes(&g), "too_large the side effect's value has 16777217 bytes of at most 16777216");
  CHECK_INT(g.r.event_count, 3);
  check_replay(&g);
  stage_free(&g);
}

static duro_turn *kept_turn;
static void keeps_its_turn(script *s, duro_turn *t) {
  (void)s;
  kept_turn = t;
}

TEST(a_turn_is_good_only_while_it_runs) {
  stage g;
  act(&g, keeps_its_turn);
  int64_t task;
  CHECK_INT(duro_turn_activity(kept_turn, DURO_STR("a"), DURO_NONE, DURO_NONE, &task, NULL),
            DURO_INVALID_ARGUMENT);
  stage_free(&g);
}

SCRIPT(nests) {
  BEGIN;
  s->task[0] = child(s, t, "nests", NULL, NULL);
  note_code(s);
  AWAIT(false);
  END;
}

TEST(ids_of_children_end_somewhere) {
  stage g;
  stage_open(&g, nests);
  duro__exec_free(g.x);
  g.x = duro__exec_new(&g.config, repeated('p', DURO_MAX_DERIVED_ID_BYTES - 6), 1);
  start(&g, "null");
  CHECK_STR(notes(&g), "ok");
  duro__exec_free(g.x);
  g.x = duro__exec_new(&g.config, repeated('p', DURO_MAX_DERIVED_ID_BYTES - 5), 1);
  start(&g, "null");
  CHECK_STR(notes(&g), "too_large");
  CHECK_STR(message(&g), "the child's id has 1025 bytes of at most 1024");
  stage_free(&g);
}

CHECK_MAIN()
