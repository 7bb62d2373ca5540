// The audit log beside faults and limits: an entry stands or falls with its change, and the log is bounded.
#include "check.h"
#include "script_host.h"

#include <stdatomic.h>

#include "duro_store.h"
#include "runtime/internal.h"

static atomic_int commits_to_fail;

static duro_code failing_commit(duro_store *s, const duro_batch *batch, duro_error **err) {
  if (atomic_load(&commits_to_fail) > 0) {
    atomic_fetch_sub(&commits_to_fail, 1);
    return duro_fail(err, DURO_STORAGE, "the disk is full");
  }
  return duro_store_sqlite.commit(s, batch, err);
}

static duro_runtime *open_owner(duro_store_ops *ops) {
  duro_options o = test_options(":memory:");
  o.store = ops;
  duro_runtime *rt = open_runtime(&o);
  register_script(rt, "waits", "w");
  return rt;
}

static duro_runtime *open_failing(void) {
  static duro_store_ops ops;
  ops = duro_store_sqlite;
  ops.commit = failing_commit;
  return open_owner(&ops);
}

// How many entries the log shows.
static int entries(duro_runtime *rt) {
  int count = 0;
  const char *at = ask(rt, "audit", "{\"limit\":1000}");
  while ((at = strstr(at, "\"audit_id\":"))) {
    count++;
    at++;
  }
  return count;
}

static bool has(const char *text, const char *part) {
  if (strstr(text, part)) return true;
  fprintf(stderr, "    got  %s\n", text);
  return false;
}

TEST(an_entry_falls_with_its_change) {
  duro_runtime *rt = open_failing();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  run_idle(rt);
  atomic_store(&commits_to_fail, 1);
  CHECK(has(ask(rt, "terminate", "{\"id\":\"w\"}"), "storage: "));
  CHECK(has(ask(rt, "status", "{\"id\":\"w\"}"), "running"));
  CHECK_INT(entries(rt), 0);
  CHECK_STR(ask(rt, "terminate", "{\"id\":\"w\"}"), "true");
  CHECK_INT(entries(rt), 1);
  duro_close(rt);
}

TEST(a_refusal_that_cannot_be_logged_says_so) {
  duro_runtime *rt = open_failing();
  atomic_store(&commits_to_fail, 1);
  CHECK(has(ask(rt, "cancel", "{\"id\":\"nobody\"}"), "storage: "));
  CHECK(has(ask(rt, "cancel", "{\"id\":\"nobody\"}"), "not_found: "));
  CHECK_INT(entries(rt), 1);
  duro_close(rt);
}

TEST(bulk_calls_fall_whole) {
  duro_runtime *rt = open_failing();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"a\"}");
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"b\"}");
  run_idle(rt);
  atomic_store(&commits_to_fail, 1);
  CHECK(
      has(ask(rt, "delete_instances", "{\"instances\":[\"a\",\"b\"],\"force\":true}"), "storage"));
  CHECK_INT(entries(rt), 0);
  CHECK(has(ask(rt, "delete_instances", "{\"instances\":[\"a\",\"b\"],\"force\":true}"),
            "\"deleted_instances\":[\"a\",\"b\"]"));
  CHECK_INT(entries(rt), 1);
  CHECK(has(ask(rt, "audit", "{}"), "\"targets\":[\"a\",\"b\"],\"outcome\":\"ok\""));
  duro_close(rt);
}

TEST(the_log_keeps_its_newest_bytes) {
  duro_runtime *rt = open_failing();
  ask(rt, "cancel", "{\"id\":\"first\"}");
  ask(rt, "cancel", "{\"id\":\"second\"}");
  rt->last_audit_id += DURO_AUDIT_BYTES - 250; // as if so much had been written since
  ask(rt, "cancel", "{\"id\":\"third\"}");
  const char *text = ask(rt, "audit", "{}");
  CHECK(has(text, "third"));
  CHECK(has(text, "second"));
  CHECK(!strstr(text, "first"));
  duro_close(rt);
}

TEST(an_entry_larger_than_what_is_kept_stands_alone) {
  duro_runtime *rt = open_failing();
  ask(rt, "cancel", "{\"id\":\"first\"}");
  rt->last_audit_id += 2 * (int64_t)DURO_AUDIT_BYTES;
  ask(rt, "cancel", "{\"id\":\"second\"}");
  CHECK_INT(entries(rt), 1);
  duro_close(rt);
}

TEST(a_store_without_a_log_refuses_to_read_it) {
  static duro_store_ops ops;
  ops = duro_store_sqlite;
  ops.audit = NULL;
  duro_runtime *rt = open_owner(&ops);
  CHECK(has(ask(rt, "cancel", "{\"id\":\"nobody\"}"), "not_found: "));
  CHECK(has(ask(rt, "audit", "{}"), "unsupported: "));
  CHECK(has(ask(rt, "capabilities", "{}"), "\"audit\":false"));
  duro_close(rt);
}

CHECK_MAIN()
