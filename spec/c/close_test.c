// Closing a runtime in the middle of something: every request is answered, and nothing is left behind
// (which the sanitizers see).
#include "check.h"
#include "script_host.h"

static duro_runtime *open_busy(void) {
  duro_options o = test_options(":memory:");
  duro_runtime *rt = open_runtime(&o);
  if (!rt) return NULL;
  register_script(rt, "waits", "w");
  for (int n = 0; n < 20; n++) ask(rt, "start", "{\"name\":\"waits\"}");
  return rt;
}

// Each asks for what must be folded before, so it waits when the runtime closes.
static const char *const calls[][2] = {
    {"list_instances", "{\"filter\":{\"waiting_on\":\"event\"}}"},
    {"list_instances", "{\"filter\":{\"waiting_on\":\"event\",\"version\":\"1.0.0\"}}"},
    {"list_instances_paginated", "{\"order_by\":\"updated_at\",\"with_total\":true}"},
    {"cancel_instances", "{\"filter\":{\"waiting_on\":\"event\"}}"},
    {"prune", "{\"keep_last\":1}"},
    {"delete_instances", "{\"filter\":{\"waiting_on\":\"event\"},\"force\":true}"},
};
enum { CALLS = sizeof calls / sizeof *calls };

TEST(reads_that_wait_for_a_fold_are_answered_closed) {
  for (size_t n = 0; n < CALLS; n++) {
    duro_runtime *rt = open_busy();
    if (!rt) return;
    duro_request *r = call(rt, calls[n][0], calls[n][1]);
    CHECK(!duro_request_done(r));
    duro_close(rt);
    CHECK(duro_request_done(r));
    CHECK_STR(outcome(r), "closed: the runtime was closed");
  }
}

TEST(so_are_those_that_nobody_waits_for) {
  for (size_t n = 0; n < CALLS; n++) {
    duro_runtime *rt = open_busy();
    if (!rt) return;
    duro_request_free(call(rt, calls[n][0], calls[n][1]));
    duro_close(rt);
  }
}

TEST(and_those_under_way_on_the_helper_thread) {
  for (size_t n = 0; n < CALLS; n++) {
    for (int steps = 1; steps < 6; steps++) {
      duro_runtime *rt = open_busy();
      if (!rt) return;
      duro_request *r = call(rt, calls[n][0], calls[n][1]);
      for (int k = 0; k < steps; k++) duro_step(rt, 0, NULL, NULL);
      duro_close(rt);
      CHECK(duro_request_done(r));
      outcome(r);
    }
  }
}

CHECK_MAIN()
