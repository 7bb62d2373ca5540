// The calls of a client in the owner's own process, from the argument to the durable answer.
#include "check.h"
#include "script_host.h"

static duro_runtime *open_memory(void) {
  duro_options o = test_options(":memory:");
  duro_runtime *rt = open_runtime(&o);
  if (!rt) return NULL;
  register_script(rt, "hello", "a");
  register_script(rt, "waits", "sw");
  register_script(rt, "sleeps", "t");
  register_script(rt, "parent", "c");
  register_script(rt, "child", "w");
  register_script(rt, "fails", "f");
  register_script(rt, "renews", "kan");
  register_script(rt, "defers", "d");
  register_script(rt, "busy", "bkt");
  return rt;
}

TEST(a_start_answers_its_id_and_a_wait_the_output) {
  duro_runtime *rt = open_memory();
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"h\",\"input\":7}"), "\"h\"");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"completed\",\"output\":0}");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"completed\",\"output\":0}");
  CHECK_INT(strlen(ask(rt, "start", "{\"name\":\"hello\"}")), 38);
  duro_close(rt);
}

TEST(a_start_refuses_bad_arguments) {
  duro_runtime *rt = open_memory();
  CHECK_STR(ask(rt, "start", "{\"id\":\"x\"}"), "invalid_argument: the argument 'name' is missing");
  CHECK_STR(ask(rt, "start", "{\"name\":7}"),
            "invalid_argument: the argument 'name' must be a string");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"a\\nb\"}"),
            "invalid_argument: the id contains a control character");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"version\":\"one\"}"),
            "invalid_argument: the version 'one' is not of the form 1.2.3");
  CHECK_STR(
      ask(rt, "start", "{\"name\":\"hello\",\"on_conflict\":\"maybe\"}"),
      "invalid_argument: on_conflict is 'maybe'; it may be fail, existing or replace_finished");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"delay_ms\":-1}"),
            "invalid_argument: the argument 'delay_ms' is -1, at least 0 is allowed");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"attributes\":{\"a\":[1]}}"),
            "invalid_argument: the attribute 'a' must be a string, a number or a boolean");
  CHECK_STR(ask(rt, "start", "[]"), "invalid_argument: the arguments must be a JSON object");
  CHECK_STR(ask(rt, "strat", "{}"), "invalid_argument: unknown verb 'strat'");
  duro_close(rt);
}

TEST(a_taken_id_is_refused_kept_or_replaced) {
  duro_runtime *rt = open_memory();
  CHECK_STR(ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  CHECK_STR(ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}"),
            "already_exists: instance 'w' exists already and has not ended");
  CHECK_STR(
      ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\",\"on_conflict\":\"replace_finished\"}"),
      "already_exists: instance 'w' exists already and has not ended");
  CHECK_STR(ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\",\"on_conflict\":\"existing\"}"),
            "\"w\"");
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":1}"), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":1}");
  CHECK_STR(ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}"),
            "already_exists: instance 'w' exists already");
  CHECK_STR(
      ask(rt, "start", "{\"name\":\"hello\",\"id\":\"w\",\"on_conflict\":\"replace_finished\"}"),
      "\"w\"");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":0}");
  CHECK_STR(ask(rt, "descriptor", "{\"id\":\"w\"}"), "{\"name\":\"hello\",\"version\":\"1.0.0\"}");
  duro_close(rt);
}

TEST(a_start_may_carry_an_event) {
  duro_runtime *rt = open_memory();
  const char *start = "{\"name\":\"waits\",\"id\":\"w\",\"on_conflict\":\"existing\","
                      "\"event\":{\"name\":\"go\",\"data\":\"first\"}}";
  CHECK_STR(ask(rt, "start", start), "\"w\"");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":\"first\"}");
  CHECK_STR(ask(rt, "start", start), "finished: instance 'w' has ended (completed)");
  CHECK_STR(ask(rt, "start", "{\"name\":\"waits\",\"id\":\"v\"}"), "\"v\"");
  CHECK_STR(ask(rt, "start",
                "{\"name\":\"waits\",\"id\":\"v\",\"on_conflict\":\"existing\","
                "\"event\":{\"name\":\"go\",\"data\":2}}"),
            "\"v\"");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"v\"}"),
            "{\"instance_id\":\"v\",\"status\":\"completed\",\"output\":2}");
  duro_close(rt);
}

TEST(start_many_starts_all_or_none) {
  duro_runtime *rt = open_memory();
  CHECK_STR(ask(rt, "start_many",
                "[{\"name\":\"hello\",\"id\":\"a\"},{\"name\":\"hello\",\"id\":\"b\"}]"),
            "[\"a\",\"b\"]");
  ask(rt, "wait_for_instances", "{\"instances\":[\"a\",\"b\"]}");
  CHECK_STR(ask(rt, "start_many",
                "[{\"name\":\"hello\",\"id\":\"c\"},{\"name\":\"hello\",\"id\":\"a\"}]"),
            "already_exists: instance 'a' exists already");
  CHECK_STR(ask(rt, "start_many",
                "[{\"name\":\"hello\",\"id\":\"c\"},{\"name\":\"hello\",\"id\":\"c\"}]"),
            "already_exists: instance 'c' is given twice");
  CHECK_STR(ask(rt, "start_many", "[{\"name\":\"hello\",\"id\":\"c\"},{\"name\":\"\"}]"),
            "invalid_argument: the name is empty");
  CHECK_STR(ask(rt, "status", "{\"id\":\"c\"}"),
            "{\"instance_id\":\"c\",\"status\":\"not_found\"}");
  CHECK_STR(ask(rt, "start_many", "[]"), "[]");
  CHECK_STR(ask(rt, "wait_for_instances", "{\"instances\":[\"a\",\"b\"],\"mode\":\"all\"}"),
            "{\"completed\":[{\"instance_id\":\"a\",\"status\":\"completed\",\"output\":0},"
            "{\"instance_id\":\"b\",\"status\":\"completed\",\"output\":0}],\"pending\":[]}");
  duro_close(rt);
}

TEST(a_thousand_start_together_in_one_commit) {
  duro_runtime *rt = open_memory();
  duro_buf b = {0};
  duro_buf_add_char(&b, '[');
  for (int i = 0; i < 3000; i++) {
    duro_buf_printf(&b, "%s{\"name\":\"hello\",\"id\":\"n%d\"}", i ? "," : "", i);
  }
  duro_buf_add_lit(&b, "]\0");
  const char *answer = ask(rt, "start_many", b.p);
  CHECK(strncmp(answer, "[\"n0\",\"n1\",", 11) == 0);
  duro_buf_free(&b);
  CHECK_STR(ask(rt, "wait", "{\"id\":\"n2999\"}"),
            "{\"instance_id\":\"n2999\",\"status\":\"completed\",\"output\":0}");
  run_idle(rt);
  CHECK_STR(ask(rt, "wait", "{\"id\":\"n0\"}"),
            "{\"instance_id\":\"n0\",\"status\":\"completed\",\"output\":0}");
  duro_close(rt);
}

TEST(commands_need_a_running_instance) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"hello\",\"id\":\"h\"}");
  ask(rt, "wait", "{\"id\":\"h\"}");
  static const char *const verbs[] = {"cancel", "terminate", "suspend", "resume"};
  for (int i = 0; i < 4; i++) {
    CHECK_STR(ask(rt, verbs[i], "{\"id\":\"h\"}"), "finished: instance 'h' has ended (completed)");
    CHECK_STR(ask(rt, verbs[i], "{\"id\":\"x\"}"), "not_found: no instance 'x'");
  }
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"h\",\"name\":\"go\"}"),
            "finished: instance 'h' has ended (completed)");
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"x\",\"name\":\"go\"}"), "not_found: no instance 'x'");
  duro_close(rt);
}

TEST(cancel_terminate_suspend_and_resume_take_effect) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"c\"}");
  CHECK_STR(ask(rt, "cancel", "{\"id\":\"c\",\"reason\":\"enough\"}"), "true");
  const char *cancelled = ask(rt, "wait", "{\"id\":\"c\"}");
  CHECK(strstr(cancelled, "\"status\":\"cancelled\"") != NULL);
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"t\"}");
  CHECK_STR(ask(rt, "terminate", "{\"id\":\"t\"}"), "true");
  CHECK(strstr(ask(rt, "status", "{\"id\":\"t\"}"), "\"status\":\"terminated\"") != NULL);
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"s\"}");
  CHECK_STR(ask(rt, "suspend", "{\"id\":\"s\"}"), "true");
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"s\",\"name\":\"go\",\"data\":3}"), "true");
  run_idle(rt);
  CHECK_STR(ask(rt, "status", "{\"id\":\"s\"}"),
            "{\"instance_id\":\"s\",\"status\":\"suspended\",\"custom_status\":0}");
  CHECK_STR(ask(rt, "resume", "{\"id\":\"s\"}"), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"s\"}"),
            "{\"instance_id\":\"s\",\"status\":\"completed\",\"output\":3}");
  duro_close(rt);
}

TEST(a_wait_hears_of_the_end_of_the_custom_status_and_of_deletion) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  CHECK_STR(ask(rt, "wait_custom_status", "{\"id\":\"w\",\"version\":0}"),
            "{\"custom_status\":0,\"version\":1}");
  duro_request *status = call(rt, "wait_custom_status", "{\"id\":\"w\",\"version\":1}");
  duro_request *end = call(rt, "wait", "{\"id\":\"w\"}");
  duro_request *many = call(rt, "wait_for_instances", "{\"instances\":[\"w\",\"w\"]}");
  duro_request *given_up = call(rt, "wait", "{\"id\":\"w\"}");
  duro_request_free(given_up);
  run_idle(rt);
  CHECK(!duro_request_done(end));
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"w\"}"),
            "running: instance 'w' has not ended (running); force deletes it anyway");
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"w\",\"force\":true}"),
            "{\"instances_deleted\":1,\"executions_deleted\":1,\"events_deleted\":3}");
  CHECK(settle(rt, NULL, end));
  CHECK(settle(rt, NULL, many));
  CHECK_STR(outcome(status), "not_found: the instance was deleted");
  CHECK_STR(outcome(end), "not_found: the instance was deleted");
  CHECK_STR(outcome(many), "{\"completed\":[{\"instance_id\":\"w\",\"status\":\"not_found\"},"
                           "{\"instance_id\":\"w\",\"status\":\"not_found\"}],\"pending\":[]}");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"w\"}"), "not_found: no instance 'w'");
  duro_close(rt);
}

TEST(wait_for_any_answers_with_the_first) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  duro_request *any =
      call(rt, "wait_for_instances", "{\"instances\":[\"w\",\"h\"],\"mode\":\"any\"}");
  CHECK(settle(rt, NULL, any)); // an unknown one never ends: it counts as done
  outcome(any);
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"v\"}");
  any = call(rt, "wait_for_instances", "{\"instances\":[\"w\",\"v\"],\"mode\":\"any\"}");
  ask(rt, "raise_event", "{\"id\":\"v\",\"name\":\"go\"}");
  CHECK(settle(rt, NULL, any));
  CHECK_STR(
      outcome(any),
      "{\"completed\":[{\"instance_id\":\"v\",\"status\":\"completed\"}],\"pending\":[\"w\"]}");
  CHECK_STR(ask(rt, "wait_for_instances", "{\"instances\":[],\"mode\":\"most\"}"),
            "invalid_argument: mode is 'most'; it may be all or any");
  duro_close(rt);
}

TEST(deletion_takes_the_tree_and_tells_a_living_parent) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"parent\",\"id\":\"p\"}");
  run_idle(rt);
  CHECK_STR(ask(rt, "status", "{\"id\":\"p::1::2\"}"),
            "{\"instance_id\":\"p::1::2\",\"status\":\"running\"}");
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"p::1::2\",\"force\":true}"),
            "{\"instances_deleted\":1,\"executions_deleted\":1,\"events_deleted\":2}");
  const char *parent = ask(rt, "wait", "{\"id\":\"p\"}");
  CHECK(strstr(parent, "\"status\":\"failed\"") != NULL);
  CHECK(strstr(parent, "the sub-orchestration was deleted") != NULL);
  ask(rt, "start", "{\"name\":\"parent\",\"id\":\"q\"}");
  run_idle(rt);
  CHECK_STR(ask(rt, "raise_event", "{\"id\":\"q::1::2\",\"name\":\"go\"}"), "true");
  ask(rt, "wait", "{\"id\":\"q\"}");
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"q\"}"),
            "{\"instances_deleted\":2,\"executions_deleted\":2,\"events_deleted\":8}");
  CHECK_STR(ask(rt, "bulk_status", "[\"q\",\"q::1::2\"]"),
            "[{\"instance_id\":\"q\",\"status\":\"not_found\"},"
            "{\"instance_id\":\"q::1::2\",\"status\":\"not_found\"}]");
  duro_close(rt);
}

TEST(a_child_that_ended_is_deleted_alone_only_after_its_parent) {
  duro_runtime *rt = open_memory();
  register_script(rt, "long_parent", "cw");
  ask(rt, "start", "{\"name\":\"long_parent\",\"id\":\"p\"}");
  run_idle(rt);
  ask(rt, "raise_event", "{\"id\":\"p::1::2\",\"name\":\"go\"}");
  run_idle(rt);
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"p::1::2\"}"),
            "running: the parent 'p' of instance 'p::1::2' has not ended; force deletes it anyway");
  CHECK_STR(ask(rt, "delete_instance", "{\"id\":\"nobody\"}"), "not_found: no instance 'nobody'");
  duro_close(rt);
}

TEST(a_query_asks_live_and_finished_code) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  CHECK_STR(ask(rt, "query", "{\"id\":\"w\",\"name\":\"progress\"}"), "{\"query\":2}");
  CHECK_STR(ask(rt, "query", "{\"id\":\"w\",\"name\":\"unknown\"}"), "not_found: no such query");
  CHECK_STR(ask(rt, "stack", "{\"id\":\"w\"}"), "{\"stack\":2}");
  ask(rt, "raise_event", "{\"id\":\"w\",\"name\":\"go\"}");
  ask(rt, "wait", "{\"id\":\"w\"}");
  CHECK_STR(ask(rt, "query", "{\"id\":\"w\",\"name\":\"progress\"}"), "{\"query\":2}");
  CHECK_STR(ask(rt, "query", "{\"id\":\"x\",\"name\":\"progress\"}"), "not_found: no instance 'x'");
  // Before its first turn is durable: the answer waits for it.
  duro_request *start = call(rt, "start", "{\"name\":\"waits\",\"id\":\"v\"}");
  duro_request *query = call(rt, "query", "{\"id\":\"v\",\"name\":\"progress\"}");
  CHECK(settle(rt, NULL, query));
  CHECK_STR(outcome(query), "{\"query\":2}");
  CHECK(duro_request_done(start));
  outcome(start);
  duro_close(rt);
}

TEST(kv_history_and_executions_tell_what_happened) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"renews\",\"id\":\"r\"}");
  ask(rt, "wait", "{\"id\":\"r\"}");
  CHECK_STR(ask(rt, "kv", "{\"id\":\"r\",\"key\":\"step\"}"), "0");
  CHECK_STR(ask(rt, "kv", "{\"id\":\"r\",\"key\":\"other\"}"), "null");
  CHECK_STR(ask(rt, "kv", "{\"id\":\"r\"}"), "{\"step\":0}");
  CHECK_STR(ask(rt, "list_executions", "{\"id\":\"r\"}"), "[1,2]");
  CHECK_STR(ask(rt, "status", "{\"id\":\"r\",\"execution\":1}"),
            "{\"instance_id\":\"r\",\"status\":\"continued_as_new\"}");
  const char *history = ask(rt, "history", "{\"id\":\"r\",\"execution\":1}");
  CHECK(strstr(history, "{\"event_id\":1,\"kind\":\"orchestration_started\",\"timestamp\":") !=
        NULL);
  CHECK(strstr(history, "\"kind\":\"orchestration_continued_as_new\"") != NULL);
  const char *export = ask(rt, "export", "{\"id\":\"r\"}");
  CHECK(strstr(export, "\"executions\":[{\"execution_id\":1,\"events\":[{\"id\":1,") != NULL);
  CHECK_STR(ask(rt, "prune_executions", "{\"id\":\"r\",\"keep_last\":1}"),
            "{\"executions_deleted\":1,\"events_deleted\":5}");
  CHECK_STR(ask(rt, "list_executions", "{\"id\":\"r\"}"), "[2]");
  duro_close(rt);
}

TEST(details_show_what_is_pending) {
  duro_options o = test_options(":memory:");
  o.virtual_clock = true;
  duro_runtime *rt = open_runtime(&o);
  register_script(rt, "busy", "abt");
  ask(rt, "start", "{\"name\":\"busy\",\"id\":\"b\",\"attributes\":{\"customer\":\"x\"}}");
  run_idle(rt);
  const char *details = ask(rt, "details", "{\"id\":\"b\"}");
  CHECK(strstr(details, "{\"summary\":{\"instance_id\":\"b\",\"orchestration_name\":\"busy\"") !=
        NULL);
  CHECK(strstr(details, "\"attributes\":{\"customer\":\"x\"}") != NULL);
  CHECK(strstr(details, "\"waiting_on\":[\"timer\"]") != NULL);
  CHECK(strstr(details,
               "\"pending_timers\":[{\"correlation_id\":6,\"delay_ms\":1000,\"scheduled_at\":") !=
        NULL);
  CHECK(strstr(details, "\"completed_activities\":1,\"failed_activities\":1}") != NULL);
  CHECK(strstr(details, "\"statistics\":{\"total_activities_scheduled\":2,") != NULL);
  CHECK(strstr(ask(rt, "list_instances", "{\"filter\":{\"waiting_on\":\"timer\"}}"), "\"b\"") !=
        NULL);
  CHECK_STR(ask(rt, "list_instances", "{\"filter\":{\"status\":\"failed\"}}"),
            "{\"instances\":[]}");
  CHECK_STR(ask(rt, "list_instances", "{\"filter\":{\"staus\":\"failed\"}}"),
            "invalid_argument: the filter's 'staus' is not known (did you mean 'status'?)");
  CHECK_STR(ask(rt, "list_instances", "{\"limit\":1001}"),
            "invalid_argument: the limit is 1001, at most 1000 is allowed");
  CHECK_STR(ask(rt, "details", "{\"id\":\"x\"}"), "not_found: no instance 'x'");
  duro_set_time(rt, duro_now_ms(rt) + 1000, NULL);
  CHECK(strstr(ask(rt, "wait", "{\"id\":\"b\"}"), "\"completed\"") != NULL);
  details = ask(rt, "details", "{\"id\":\"b\"}");
  CHECK(strstr(details, "current_execution") == NULL);
  CHECK(strstr(details, "\"total_timers_fired\":1") != NULL);
  duro_close(rt);
}

TEST(a_delayed_start_is_pending_and_can_be_cancelled) {
  duro_options o = test_options(":memory:");
  o.virtual_clock = true;
  duro_runtime *rt = open_runtime(&o);
  register_script(rt, "hello", "a");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"d\",\"delay_ms\":5000}"), "\"d\"");
  CHECK_STR(ask(rt, "start", "{\"name\":\"hello\",\"id\":\"e\",\"delay_ms\":5000}"), "\"e\"");
  run_idle(rt);
  CHECK_STR(ask(rt, "status", "{\"id\":\"d\"}"), "{\"instance_id\":\"d\",\"status\":\"pending\"}");
  CHECK_STR(ask(rt, "cancel", "{\"id\":\"e\"}"), "true");
  CHECK(strstr(ask(rt, "wait", "{\"id\":\"e\"}"), "\"status\":\"cancelled\"") != NULL);
  duro_set_time(rt, duro_now_ms(rt) + 5000, NULL);
  CHECK_STR(ask(rt, "wait", "{\"id\":\"d\"}"),
            "{\"instance_id\":\"d\",\"status\":\"completed\",\"output\":0}");
  duro_close(rt);
}

TEST(a_deferred_activity_is_finished_by_its_token) {
  duro_runtime *rt = open_memory();
  char args[256];
  ask(rt, "start", "{\"name\":\"defers\",\"id\":\"d\"}");
  run_idle(rt);
  CHECK_STR(ask(rt, "complete_activity", "{\"token\":\"d1-0\"}"),
            "invalid_argument: this is not a token of ctx:defer()");
  CHECK_STR(ask(rt, "fail_activity", "{\"token\":\"d1-1-1-1-1\",\"error\":1}"),
            "invalid_argument: the argument 'error' must be an error object");
  snprintf(args, sizeof args, "{\"token\":\"%s\",\"value\":\"signed\"}", host_token);
  CHECK_STR(ask(rt, "complete_activity", args), "true");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"d\"}"),
            "{\"instance_id\":\"d\",\"status\":\"completed\",\"output\":\"signed\"}");
  CHECK_STR(ask(rt, "complete_activity", args),
            "finished: the token's instance has ended (completed)");
  duro_close(rt);
}

TEST(a_name_nobody_registered_waits_until_somebody_does) {
  duro_runtime *rt = open_memory();
  CHECK_STR(ask(rt, "start", "{\"name\":\"later\",\"id\":\"l\",\"input\":4}"), "\"l\"");
  run_idle(rt);
  CHECK(strstr(ask(rt, "status", "{\"id\":\"l\"}"), "\"status\":\"stalled\"") != NULL);
  CHECK_STR(ask(rt, "query", "{\"id\":\"l\",\"name\":\"x\"}"),
            "stalled: instance 'l' is stalled: its code cannot be asked "
            "(rt:why('l') says what would help)");
  register_script(rt, "later", "");
  CHECK_STR(ask(rt, "wait", "{\"id\":\"l\"}"),
            "{\"instance_id\":\"l\",\"status\":\"completed\",\"output\":4}");
  duro_close(rt);
}

TEST(metrics_count_what_happened) {
  duro_runtime *rt = open_memory();
  ask(rt, "start", "{\"name\":\"hello\",\"id\":\"h\"}");
  ask(rt, "wait", "{\"id\":\"h\"}");
  ask(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  run_idle(rt);
  const char *metrics = ask(rt, "runtime_metrics", "{}");
  CHECK(strstr(metrics, "\"total_instances_started\":2,\"total_instances_completed\":1") != NULL);
  CHECK(strstr(metrics, "\"active_instances\":1,\"total_activities_executed\":1") != NULL);
  duro_close(rt);
}

TEST(requests_under_way_are_answered_by_close) {
  duro_runtime *rt = open_memory();
  duro_request *start = call(rt, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  duro_request *wait = call(rt, "wait", "{\"id\":\"w\"}");
  duro_request *list = call(rt, "list_instances", "{}");
  duro_close(rt);
  CHECK(duro_request_done(start));
  CHECK(duro_request_done(wait));
  CHECK(duro_request_done(list));
  outcome(start);
  CHECK_STR(outcome(wait), "closed: the runtime was closed");
  outcome(list);
}

CHECK_MAIN()
