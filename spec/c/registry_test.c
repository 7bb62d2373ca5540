// Code by name and version: order, defaults, replacement.
#include "check.h"
#include "script_host.h"

static duro_runtime *open_memory(void) {
  duro_options o = test_options(":memory:");
  return open_runtime(&o);
}

static duro_code add(duro_runtime *rt, const char *name, const char *version, const char *letters,
                     bool replace) {
  return duro_register_orchestration(rt, duro_str_from(name), duro_str_from(version),
                                     (void *)(uintptr_t)letters, replace, NULL);
}

TEST(versions_stand_in_semver_order) {
  duro_runtime *rt = open_memory();
  static const char *const versions[] = {"1.10.0",       "1.2.0", "2.0.0-rc.1", "2.0.0-beta.11",
                                         "2.0.0-beta.2", "2.0.0", "2.0.0-1",    "2.0.0-rc"};
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
    CHECK_INT(add(rt, "o", versions[i], "", false), DURO_OK);
  }
  CHECK_STR(ask(rt, "registered", "{}"),
            "{\"orchestrations\":[{\"name\":\"o\",\"versions\":[\"1.2.0\",\"1.10.0\",\"2.0.0-1\","
            "\"2.0.0-beta.2\",\"2.0.0-beta.11\",\"2.0.0-rc\",\"2.0.0-rc.1\",\"2.0.0\"]}],"
            "\"activities\":[\"broken\",\"echo\",\"later\"]}");
  duro_close(rt);
}

TEST(bad_names_and_versions_are_refused) {
  duro_runtime *rt = open_memory();
  static const char *const bad[] = {"",
                                    "1",
                                    "1.2",
                                    "1.2.3.4",
                                    "01.2.3",
                                    "1.2.-3",
                                    "1.2.3-",
                                    "1.2.3-a..b",
                                    "1.2.3+",
                                    "v1.2.3",
                                    "1.2.3 ",
                                    "1.2.3-a_b",
                                    "1.2.99999999999999999"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (!CHECK_INT(add(rt, "o", bad[i], "", false), DURO_INVALID_ARGUMENT))
      fprintf(stderr, "%s\n", bad[i]);
  }
  CHECK_INT(add(rt, "", "1.0.0", "", false), DURO_INVALID_ARGUMENT);
  CHECK_INT(add(rt, "a\nb", "1.0.0", "", false), DURO_INVALID_ARGUMENT);
  CHECK_INT(add(rt, "o", "1.2.3-x.7.z.92+exp.sha-5114f85", "", false), DURO_OK);
  duro_close(rt);
}

TEST(a_name_and_version_is_taken_once_unless_replaced) {
  duro_runtime *rt = open_memory();
  CHECK_INT(add(rt, "o", "1.0.0", "", false), DURO_OK);
  CHECK_INT(add(rt, "o", "1.0.0", "", false), DURO_ALREADY_EXISTS);
  CHECK_INT(add(rt, "o", "1.0.1", "", false), DURO_OK);
  CHECK_INT(add(rt, "o", "1.0.0", "a", true), DURO_OK);
  CHECK_INT(duro_register_activity(rt, DURO_STR("echo"), &echo_code, false, NULL),
            DURO_ALREADY_EXISTS);
  CHECK_INT(duro_register_activity(rt, DURO_STR("echo"), &echo_code, true, NULL), DURO_OK);
  duro_close(rt);
}

TEST(a_start_takes_the_highest_version_and_stays_on_it) {
  duro_runtime *rt = open_memory();
  add(rt, "o", "1.9.0", "w", false);
  CHECK_STR(ask(rt, "start", "{\"name\":\"o\",\"id\":\"old\"}"), "\"old\"");
  add(rt, "o", "1.10.0", "ww", false);
  CHECK_STR(ask(rt, "start", "{\"name\":\"o\",\"id\":\"new\"}"), "\"new\"");
  CHECK_STR(ask(rt, "start", "{\"name\":\"o\",\"id\":\"asked\",\"version\":\"1.9.0\"}"),
            "\"asked\"");
  CHECK_STR(ask(rt, "descriptor", "{\"id\":\"old\"}"), "{\"name\":\"o\",\"version\":\"1.9.0\"}");
  CHECK_STR(ask(rt, "descriptor", "{\"id\":\"new\"}"), "{\"name\":\"o\",\"version\":\"1.10.0\"}");
  CHECK_STR(ask(rt, "descriptor", "{\"id\":\"asked\"}"), "{\"name\":\"o\",\"version\":\"1.9.0\"}");
  ask(rt, "raise_event", "{\"id\":\"old\",\"name\":\"go\",\"data\":1}");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"old\"}"),
            "{\"instance_id\":\"old\",\"status\":\"completed\",\"output\":1}");
  duro_close(rt);
}

static int released;
static void count_release(void *user, void *code) {
  (void)user, (void)code;
  released++;
}

TEST(replaced_code_is_released_with_its_last_user) {
  const duro_host host = {.programs = &script_ops, .release = count_release};
  duro_options o = test_options(":memory:");
  duro_runtime *rt = NULL;
  released = 0;
  CHECK_INT(duro_open(&o, &host, &rt, NULL), DURO_OK);
  add(rt, "o", "1.0.0", "w", false);
  ask(rt, "start", "{\"name\":\"o\",\"id\":\"x\"}");
  run_idle(rt);
  add(rt, "o", "1.0.0", "wa", true); // the same up to where it stands
  run_idle(rt);
  register_activities(rt);
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"x\",\"name\":\"go\"}"), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"x\"}"),
            "{\"instance_id\":\"x\",\"status\":\"completed\",\"output\":1}");
  CHECK_INT(released, 1);
  duro_close(rt);
  CHECK_INT(released, 5); // one orchestration and three activities more
}

CHECK_MAIN()
