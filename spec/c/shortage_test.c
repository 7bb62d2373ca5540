// Memory that is out for a moment costs an instance time, and nothing else.
#include "check.h"
// First of all, since it replaces malloc.
#include "failing_alloc.h"
#include "script_host.h"

static bool happened;

// Turns the loop until the request is done, and gives its outcome. From the n-th allocation of the loop's
// thread on all fail, to the end of that round.
static const char *outcome_short(duro_runtime *rt, duro_request *r, int n) {
  uint64_t until_ns = duro_clock_monotonic_ns() + UINT64_C(10000000000);
  if (!happened) fail_alloc_at(n);
  while (!duro_request_done(r) && duro_clock_monotonic_ns() < until_ns) {
    turn_loop(rt, 5);
    if (!fail_alloc_happened()) continue;
    fail_alloc_at(-1);
    happened = true;
    duro_short_of_memory(rt);
  }
  fail_alloc_at(-1);
  return outcome(r);
}

// A call may be refused for want of memory; then it is made again.
static const char *ask_short(duro_runtime *rt, const char *verb, const char *args, int n) {
  const char *answer = outcome_short(rt, call(rt, verb, args), n);
  return strstr(answer, "memory") ? ask(rt, verb, args) : answer;
}

TEST(an_instance_goes_on_after_memory_was_out_at_any_allocation) {
  happened = true; // one round at least
  for (int n = 0; happened && n < 400; n++) {
    happened = false;
    duro_options o = test_options(":memory:");
    duro_runtime *rt = open_runtime(&o);
    if (!rt) return;
    register_script(rt, "o", "wabka");
    CHECK_STR(ask(rt, "start", "{\"name\":\"o\",\"id\":\"i\"}"), "\"i\"");
    run_idle(rt);
    CHECK_STR(ask_short(rt, "raise_event", "{\"id\":\"i\",\"name\":\"go\"}", n), "true");
    CHECK_STR(ask_short(rt, "wait", "{\"id\":\"i\"}", n),
              "{\"instance_id\":\"i\",\"status\":\"completed\",\"output\":4}");
    duro_close(rt);
  }
}

TEST(the_host_hears_of_it_once) {
  if (!FAIL_ALLOC_WORKS) return;
  duro_options o = test_options(":memory:");
  duro_runtime *rt = open_runtime(&o);
  if (!rt) return;
  register_script(rt, "o", "a");
  CHECK(!duro_short_of_memory(rt));
  duro_request *r = call(rt, "start", "{\"name\":\"o\",\"id\":\"i\"}");
  fail_alloc_at(0);
  duro_step(rt, 0, NULL, NULL);
  fail_alloc_at(-1);
  bool heard = duro_short_of_memory(rt);
  CHECK(heard);
  CHECK(!duro_short_of_memory(rt));
  settle(rt, NULL, r);
  duro_request_free(r);
  duro_close(rt);
}

CHECK_MAIN()
