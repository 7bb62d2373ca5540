// Bulk calls in slices while the store or memory fails: all of it or nothing, and calling again is harmless.
#include "check.h"
// First of all, since it replaces malloc.
#include "failing_alloc.h"
#include "script_host.h"

#include <stdatomic.h>

#include "duro_store.h"

#define MANY 150

static atomic_int commits_to_fail;
static atomic_bool lease_is_lost;

static duro_code failing_commit(duro_store *s, const duro_batch *batch, duro_error **err) {
  if (atomic_load(&commits_to_fail) > 0) {
    atomic_fetch_sub(&commits_to_fail, 1);
    return duro_fail(err, DURO_STORAGE, "the disk is full");
  }
  if (atomic_load(&lease_is_lost)) return duro_fail(err, DURO_LOCKED, "somebody else has it");
  return duro_store_sqlite.commit(s, batch, err);
}

static duro_runtime *open_with_many(const char *path, bool virtual_clock) {
  static duro_store_ops ops;
  duro_options o = test_options(path);
  ops = duro_store_sqlite;
  ops.commit = failing_commit;
  o.store = &ops;
  o.virtual_clock = virtual_clock;
  duro_runtime *rt = open_runtime(&o);
  register_script(rt, "waits", "w");
  duro_buf starts = {0};
  for (int n = 0; n < MANY; n++)
    duro_buf_printf(&starts, "%c{\"name\":\"waits\",\"id\":\"m%03d\"}", n ? ',' : '[', n);
  duro_buf_add_lit(&starts, "]\0");
  CHECK(ask(rt, "start_many", starts.p)[0] == '[');
  duro_buf_free(&starts);
  run_idle(rt);
  return rt;
}

static bool all_are(duro_runtime *rt, const char *status) {
  char args[128], total[32];
  snprintf(
      args, sizeof args,
      "{\"filter\":{\"name\":[\"waits\"],\"status\":[\"%s\"]},\"with_total\":true,\"page_size\":1}",
      status);
  snprintf(total, sizeof total, "\"total_count\":%d", MANY);
  const char *answer = ask(rt, "list_instances_paginated", args);
  if (strstr(answer, total)) return true;
  fprintf(stderr, "    not all are %s: %s\n", status, answer);
  return false;
}

static bool has_all(const char *answer) {
  char total[32];
  snprintf(total, sizeof total, "\"total_matched\":%d", MANY);
  if (strstr(answer, total) && strstr(answer, "\"failed_instances\":[]")) return true;
  fprintf(stderr, "    not all: %.400s\n", answer);
  return false;
}

#define OF_WAITS "{\"filter\":{\"name\":[\"waits\"]}"

static const struct {
  const char *verb, *args, *before, *after;
} calls[] = {
    {"suspend_instances", OF_WAITS "}", "running", "suspended"},
    {"terminate_instances", OF_WAITS ",\"reason\":\"x\"}", "running", "terminated"},
    {"raise_event_bulk", OF_WAITS ",\"event_name\":\"go\"}", "running", "completed"},
    {"delete_instances", OF_WAITS ",\"force\":true}", "running", NULL},
};
#define CALLS (sizeof calls / sizeof *calls)

static void check_after(duro_runtime *rt, size_t k) {
  if (calls[k].after)
    CHECK(all_are(rt, calls[k].after));
  else
    CHECK(strstr(ask(rt, "list_instances", OF_WAITS "}"), "{\"instances\":[]"));
}

TEST(a_call_whose_batch_fails_changes_nothing) {
  for (size_t k = 0; k < CALLS; k++) {
    duro_runtime *rt = open_with_many(":memory:", false);
    atomic_store(&commits_to_fail, 1);
    CHECK(strstr(ask(rt, calls[k].verb, calls[k].args), "storage: the disk is full"));
    CHECK(all_are(rt, calls[k].before));
    CHECK(has_all(ask(rt, calls[k].verb, calls[k].args)));
    check_after(rt, k);
    duro_close(rt);
  }
}

TEST(a_call_falls_with_the_batch_before_it) {
  for (size_t k = 0; k < CALLS; k++) {
    duro_runtime *rt = open_with_many(":memory:", false);
    register_script(rt, "other", "w");
    ask(rt, "start", "{\"name\":\"other\",\"id\":\"o\"}");
    run_idle(rt);
    atomic_store(&commits_to_fail, 1);
    duro_request *event = call(rt, "raise_event", "{\"id\":\"o\",\"name\":\"go\"}");
    duro_request *bulk = call(rt, calls[k].verb, calls[k].args);
    CHECK(settle(rt, NULL, event));
    CHECK(strstr(outcome(event), "storage: "));
    CHECK(settle(rt, NULL, bulk));
    const char *answer = outcome(bulk);
    if (strstr(answer, "storage: ")) {
      CHECK(all_are(rt, calls[k].before));
      CHECK(has_all(ask(rt, calls[k].verb, calls[k].args)));
    }
    check_after(rt, k);
    duro_close(rt);
  }
}

TEST(a_lost_lease_ends_those_that_wait_too) {
  for (size_t k = 0; k < CALLS; k++) {
    duro_runtime *rt = open_with_many(":memory:", k % 2);
    atomic_store(&lease_is_lost, true);
    duro_request *first = call(rt, calls[k].verb, calls[k].args);
    duro_request *second = call(rt, "resume_instances", OF_WAITS "}");
    CHECK(settle(rt, NULL, first));
    CHECK(strstr(outcome(first), "locked: "));
    CHECK(settle(rt, NULL, second));
    const char *left = outcome(second);
    if (!CHECK(strstr(left, "locked: "))) fprintf(stderr, "    %zu: %.300s\n", k, left);
    duro_close(rt);
    atomic_store(&lease_is_lost, false);
  }
}

// From the n-th allocation of the loop's thread on all fail, until a round of the loop is over.
static const char *ask_short(duro_runtime *rt, size_t k, int n, bool *happened) {
  duro_request *r = call(rt, calls[k].verb, calls[k].args);
  uint64_t until_ns = duro_clock_monotonic_ns() + UINT64_C(10000000000);
  *happened = false;
  fail_alloc_at(n);
  while (!duro_request_done(r) && duro_clock_monotonic_ns() < until_ns) {
    turn_loop(rt, 1);
    if (*happened || !fail_alloc_happened()) continue;
    fail_alloc_at(-1);
    *happened = true;
    duro_short_of_memory(rt);
  }
  fail_alloc_at(-1);
  return outcome(r);
}

TEST(memory_that_is_out_costs_all_of_it_or_nothing) {
  for (size_t k = 0; k < CALLS; k++) {
    bool happened = true;
    for (int n = 0; happened; n += 1 + n / 3) {
      duro_runtime *rt = open_with_many(":memory:", true);
      if (!rt) return;
      const char *answer = ask_short(rt, k, n, &happened);
      if (strstr(answer, "memory")) {
        CHECK(all_are(rt, calls[k].before));
        answer = ask(rt, calls[k].verb, calls[k].args);
      }
      CHECK(has_all(answer));
      run_idle(rt);
      check_after(rt, k);
      duro_close(rt);
    }
  }
}

CHECK_MAIN()
