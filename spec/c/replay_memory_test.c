/* Memory: small when idle, linear when large, and an error when it is out. */
#include "failing_alloc.h"
#include "replay_script.h"

#define MANY 100000

static int how_many;
SCRIPT(fans_out) {
  BEGIN;
  s->n[0] = how_many;
  for (int i = 0; i < s->n[0]; i++) {
    switch (i % 4) {
    case 0:
      activity(s, t, "part", "1");
      break;
    case 1:
      timer(s, t, 100000 - i);
      break;
    case 2:
      wait_event(s, t, "e");
      break;
    default:
      activity_with(s, t, "part", NULL, "{\"timeout_ms\":1000000}");
      break;
    }
  }
  s->fn = NULL;
  AWAIT(false);
  END;
}
/* Only counts, because looking for results in a list would be quadratic. */
static int64_t told;
static duro_code counting_step(void *host, void *program, duro_turn *turn, const duro_completion *c,
                               duro_error **err) {
  (void)host;
  (void)program;
  (void)err;
  told += c->task;
  if (c->kind == DURO_TASK_COMPLETED) duro_turn_observe(turn, c->task);
  return DURO_OK;
}
static const duro_program_ops counting_ops = {
    .begin = script_begin, .step = counting_step, .end = script_end};

TEST(a_hundred_thousand_tasks_cost_no_more_than_a_hundred_thousand_times_one) {
  stage g;
  bool recorded, whole;
  int64_t task, taken = 0, last = 0;
  stage_open(&g, fans_out);
  g.config.program = &counting_ops;
  duro__exec_free(g.x);
  g.x = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
  how_many = MANY;
  start(&g, "null");
  CHECK_INT(g.r.event_count, MANY + 1);
  CHECK_INT(g.r.effect_count, MANY / 2);
  turn_begin(&g);
  for (int i = 2; i < MANY + 2; i += 4) {
    duro_event e = completed(i, "1");
    CHECK(duro__exec_apply(g.x, &e, &recorded, NULL) == DURO_OK && recorded);
  }
  for (int i = 0; i < MANY / 4; i++) {
    duro_event e = received("e", "1");
    duro__exec_apply(g.x, &e, &recorded, NULL);
  }
  turn_end(&g);
  /* What is left are timers, the latest id first, and activities, all due at once. */
  while (duro__exec_take_due(g.x, 10000000, &task, &whole) == DURO__DUE_TIMER) {
    CHECK(!last || task < last);
    last = task;
    if (++taken == MANY / 4 - 1) break;
  }
  CHECK_INT(taken, MANY / 4 - 1);
  duro__exec *y = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
  int64_t told_live = told;
  told = 0;
  CHECK_INT(rebuild(&g, y, 0, false), DURO_OK);
  CHECK_INT(told, told_live);
  duro__exec_free(y);
  CHECK(play(&g, cancel_requested(NULL)));
  CHECK_INT(g.r.event_count, MANY / 2 + 1);
  CHECK(duro__exec_open_next(g.x, 0) == NULL);
  stage_free(&g);
}

SCRIPT(waits_often) {
  BEGIN;
  s->n[0] = how_many;
  for (int i = 0; i < s->n[0]; i++) wait_event(s, t, "e");
  AWAIT(false);
  END;
}

TEST(giving_back_a_hundred_thousand_events_is_linear_too) {
  stage g;
  bool recorded;
  stage_open(&g, waits_often);
  g.config.program = &counting_ops;
  how_many = MANY;
  duro__exec_free(g.x);
  g.x = duro__exec_new(&g.config, DURO_STR("order-1"), 1);
  start(&g, "null");
  turn_begin(&g);
  duro_event suspend = with_reason(DURO_EVENT_SUSPENDED, NULL); /* so that nobody looks at them */
  duro__exec_apply(g.x, &suspend, &recorded, NULL);
  for (int i = 0; i < MANY + 1000; i++) {
    duro_event e = received("e", "1");
    duro__exec_apply(g.x, &e, &recorded, NULL);
  }
  duro_event cancel = cancel_requested(NULL), resume = with_reason(DURO_EVENT_RESUMED, NULL);
  duro__exec_apply(g.x, &cancel, &recorded, NULL);
  duro__exec_apply(g.x, &resume, &recorded, NULL);
  turn_end(&g);
  duro_str name, data;
  size_t at = 0;
  int64_t id, before = 0, left = 0;
  while (duro__exec_mailbox_next(g.x, &at, &name, &data, &id)) {
    CHECK(id > before);
    before = id;
    left++;
  }
  CHECK(left >= 1000);
  stage_free(&g);
}

SCRIPT(one_approval) {
  BEGIN;
  s->task[0] = wait_event(s, t, "approval");
  AWAIT(false);
  END;
}
SCRIPT(one_activity) {
  BEGIN;
  s->task[0] = activity(s, t, "charge", "{\"amount\":5}");
  AWAIT(false);
  END;
}

TEST(an_idle_execution_is_small) {
  static script_fn *const fns[] = {one_approval, one_activity};
  for (int i = 0; i < 2; i++) {
    stage g;
    stage_open(&g, fns[i]);
    start(&g, "{\"id\":1}");
    size_t running = duro__exec_memory_bytes(g.x);
    duro__exec_trim(g.x);
    size_t idle = duro__exec_memory_bytes(g.x);
    if (!CHECK(idle < 1100 && idle < running))
      fprintf(stderr, "    %zu of %zu bytes\n", idle, running);
    /* And it goes on from there. */
    CHECK(play(&g, i ? completed(2, "1") : received("approval", "1")));
    check_replay(&g);
    stage_free(&g);
  }
}

/* -- memory is out ------------------------------------------------------------------------------ */

SCRIPT(uses_everything) {
  duro_str id;
  BEGIN;
  kv_set(s, t, "k", "1");
  set_status(s, t, "\"s\"");
  set_attributes(s, t, "{\"a\":1}");
  side_effect(s, t, "1");
  patched(s, t, "p");
  settle(s, duro_turn_start(t, DURO_STR("d"), DURO_NONE, DURO_NONE, DURO_STR("1"), &id, &s->err));
  settle(s, duro_turn_raise(t, DURO_STR("x"), DURO_STR("e"), DURO_STR("1"), &s->err));
  s->task[0] = activity_with(
      s, t, "a", "1", "{\"retry\":{\"jitter\":true},\"queue\":\"q\\u0020\",\"timeout_ms\":9}");
  s->task[1] = child(s, t, "c", NULL, "1");
  for (int i = 2; i < 14; i++) {
    char name[4] = {'e', (char)('a' + i), 0, 0};
    s->task[i] = wait_event(s, t, name);
  }
  AWAIT(s->cancelled || done(s, s->task[0]));
  drop_task(s, t, s->task[2]);
  s->task[14] = timer(s, t, 10);
  AWAIT(s->cancelled || done(s, s->task[14]));
  if (s->cancelled)
    complete(s, t, NULL);
  else
    continue_as_new(s, t, "2");
  END;
}

/* Plays the story until an allocation fails. Every failure is a code, and nothing else. */
static duro_code play_story(const duro__exec_config *config, const duro_event *story, int count,
                            duro_buf *history) {
  duro__turn_result r;
  bool recorded;
  duro_error *err = NULL;
  duro_code code = DURO_OK;
  duro__exec *x = duro__exec_new(config, DURO_STR("order-1"), 1);
  if (!x) return DURO_OUT_OF_MEMORY;
  history->n = 0;
  for (int i = 0; i < count && !code; i++) {
    duro__exec_turn_begin(x, 1000 + i);
    code = duro__exec_apply(x, &story[i], &recorded, &err);
    duro__exec_turn_end(x, &r);
    if (!code && duro_str_equal(r.events, DURO_STR("[]")) && recorded) code = DURO_OUT_OF_MEMORY;
    if (code || r.event_count == 0) continue;
    duro_buf_add_char(history, history->n ? ',' : '[');
    duro_buf_add(history, r.events.p + 1, r.events.n - 2);
  }
  duro_buf_add_char(history, ']');
  if (history->oom) code = DURO_OUT_OF_MEMORY;
  duro_error_free(err);
  duro__exec_free(x);
  return code;
}

static duro_code replay_story(const duro__exec_config *config, duro_str history, bool scan) {
  duro_arena arena = {0};
  duro_events events;
  duro__mismatch mismatch = {0};
  duro_error *err = NULL;
  duro__exec *x = duro__exec_new(config, DURO_STR("order-1"), 1);
  duro_code code = x ? duro_events_decode(&history, 1, &arena, &events, &err) : DURO_OUT_OF_MEMORY;
  if (!code) {
    code =
        scan ? duro__exec_scan(x, &events, &err) : duro__exec_replay(x, &events, &mismatch, &err);
  }
  duro__mismatch_free(&mismatch);
  duro_error_free(err);
  duro__exec_free(x);
  duro_arena_free(&arena);
  return code;
}

static void fail_each(const duro__exec_config *config, const duro_event *story, int count) {
  duro_buf history = {0};
  int failures = 0;
  for (int n = 0; fail_alloc_at(n); n++, failures++) {
    duro_buf_free(&history);
    duro_code code = play_story(config, story, count, &history);
    bool happened = fail_alloc_happened();
    fail_alloc_at(-1);
    if (!happened) {
      CHECK_INT(code, DURO_OK);
      break;
    }
    if (!CHECK(code == DURO_OUT_OF_MEMORY)) fprintf(stderr, "    allocation %d: %d\n", n, code);
  }
  CHECK(failures > 60 || !FAIL_ALLOC_WORKS);
  for (int scan = 0; scan < 2; scan++) {
    for (int n = 0; fail_alloc_at(n); n++) {
      duro_code code = replay_story(config, duro_buf_str(&history), scan);
      bool happened = fail_alloc_happened();
      fail_alloc_at(-1);
      if (!happened) {
        CHECK_INT(code, DURO_OK);
        break;
      }
      if (!CHECK(code == DURO_OUT_OF_MEMORY)) fprintf(stderr, "    replay %d: %d\n", n, code);
    }
  }
  duro_buf_free(&history);
}

TEST(when_memory_is_out_there_is_an_error_and_nothing_else) {
  stage g;
  stage_open(&g, uses_everything);
  duro_event seen = received("ec", "1"), start = started("1");
  seen.dedup_id = DURO_STR("d1");
  start.carry = DURO_STR("{\"mailbox\":[{\"name\":\"ed\",\"data\":1}],\"kv\":{\"z\":1},"
                         "\"custom_status\":1,\"attributes\":{\"b\":2},\"dedup\":[\"d0\"]}");
  duro_event failed_once = attempt_failed(9, "{\"code\":\"x\"}");
  const duro_event ending_anew[] = {start,
                                    seen,
                                    received("other", "1"),
                                    failed_once,
                                    with_reason(DURO_EVENT_SUSPENDED, "r"),
                                    completed(9, "1"),
                                    with_reason(DURO_EVENT_RESUMED, "r"),
                                    fired(31)};
  const duro_event cancelled[] = {start, seen, attempt_failed(9, "{\"retryable\":false}"),
                                  cancel_requested("r")};
  const duro_event terminated[] = {start, seen,
                                   with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "r")};
  fail_each(&g.config, ending_anew, 8);
  fail_each(&g.config, cancelled, 4);
  fail_each(&g.config, terminated, 3);
  stage_free(&g);
}

CHECK_MAIN()
