// Calls while the store fails: each is answered once, and what a client process was promised is kept.
#include "check.h"
#include "script_host.h"

#include <stdatomic.h>

#include "duro_store.h"

static atomic_int commits_to_fail;

static duro_code failing_commit(duro_store *s, const duro_batch *batch, duro_error **err) {
  if (atomic_load(&commits_to_fail) > 0) {
    atomic_fetch_sub(&commits_to_fail, 1);
    return duro_fail(err, DURO_STORAGE, "the disk is full");
  }
  return duro_store_sqlite.commit(s, batch, err);
}

static duro_runtime *open_owner(const char *path) {
  static duro_store_ops ops;
  duro_options o = test_options(path);
  ops = duro_store_sqlite;
  ops.commit = failing_commit;
  o.store = &ops;
  duro_runtime *rt = open_runtime(&o);
  register_script(rt, "hello", "a");
  register_script(rt, "waits", "w");
  register_script(rt, "waits_thrice", "www");
  return rt;
}

static duro_runtime *open_client(const char *path) {
  duro_options o = test_options(path);
  o.role = DURO_ROLE_CLIENT;
  return open_runtime(&o);
}

static bool begins(const char *text, const char *beginning) {
  if (strncmp(text, beginning, strlen(beginning)) == 0) return true;
  fprintf(stderr, "    got  %s\n", text);
  return false;
}

TEST(a_failed_start_answers_storage_and_leaves_nothing) {
  duro_runtime *rt = open_owner(":memory:");
  atomic_store(&commits_to_fail, 1);
  CHECK(begins(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"h\"}"), "storage: the disk is full"));
  CHECK_STR(ask(rt, "status", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"not_found\"}");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"h\"}"), "\"h\"");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"completed\",\"output\":0}");
  duro_close(rt);
}

TEST(a_failed_start_many_leaves_none) {
  duro_runtime *rt = open_owner(":memory:");
  atomic_store(&commits_to_fail, 1);
  duro_request *wait = NULL;
  duro_request *start = call(
      rt, "start_many", "[{\"name\":\"hello\",\"id\":\"a\"},{\"name\":\"waits\",\"id\":\"b\"}]");
  wait = call(rt, "wait", "{\"id\":\"b\"}");
  CHECK(settle(rt, NULL, start));
  CHECK(begins(outcome(start), "storage: "));
  CHECK(settle(rt, NULL, wait));
  CHECK(begins(outcome(wait), "not_found: "));
  CHECK_STR(ask(rt, "bulk_status", "[\"a\",\"b\"]"),
            "[{\"instance_id\":\"a\",\"status\":\"not_found\"},{\"instance_id\":\"b\",\"status\":"
            "\"not_found\"}]");
  duro_close(rt);
}

TEST(a_failed_event_is_not_delivered) {
  duro_runtime *rt = open_owner(":memory:");
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  run_idle(rt);
  atomic_store(&commits_to_fail, 1);
  CHECK(begins(ask(rt, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":1}"), "storage: "));
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":2}"), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":2}");
  duro_close(rt);
}

TEST(calls_of_a_client_process_happen_once_in_spite_of_faults) {
  const char *path = fresh_file();
  duro_runtime *owner = open_owner(path), *client = open_client(path);
  CHECK_STR(ask_beside(client, owner, "start", "{\"name\":\"waits_thrice\",\"id\":\"w\"}"),
            "\"w\"");
  for (int i = 1; i <= 2; i++) {
    char args[64];
    atomic_store(&commits_to_fail, 2);
    snprintf(args, sizeof args, "{\"id\":\"w\",\"name\":\"go\",\"data\":%d}", i);
    CHECK_STR(ask_beside(client, owner, "raise_event", args), "true");
  }
  atomic_store(&commits_to_fail, 1);
  CHECK_STR(ask_beside(client, owner, "start", "{\"name\":\"hello\",\"id\":\"h\"}"), "\"h\"");
  CHECK_STR(ask_beside(client, owner, "wait", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"completed\",\"output\":0}");
  run_idle(owner);
  CHECK_STR(ask_beside(client, owner, "status", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"running\"}");
  CHECK_STR(ask_beside(client, owner, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":3}"),
            "true");
  CHECK_STR(ask_beside(client, owner, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":3}");
  duro_close(client);
  duro_close(owner);
  drop_file(path);
}

TEST(a_failed_deletion_can_be_tried_again) {
  duro_runtime *rt = open_owner(":memory:");
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  run_idle(rt);
  atomic_store(&commits_to_fail, 1);
  CHECK(begins(ask(rt, "delete_instance", "{\"id\":\"w\",\"force\":true}"), "storage: "));
  CHECK_STR(ask(rt, "status", "{\"id\":\"w\"}"), "{\"instance_id\":\"w\",\"status\":\"running\"}");
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":1}"), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":1}");
  CHECK(begins(ask(rt, "delete_instance", "{\"id\":\"w\"}"), "{\"instances_deleted\":1,"));
  duro_close(rt);
}

CHECK_MAIN()
