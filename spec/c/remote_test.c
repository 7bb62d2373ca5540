// Calls from another process, here played by a second runtime of role "client" on the same file.
#include "check.h"
#include "script_host.h"

typedef struct pair {
  const char *path;
  duro_runtime *owner, *client;
} pair;

static duro_runtime *open_owner(const char *path) {
  duro_options o = test_options(path);
  duro_runtime *rt = open_runtime(&o);
  if (!rt) return NULL;
  register_script(rt, "hello", "a");
  register_script(rt, "waits", "sw");
  register_script(rt, "renews", "n");
  return rt;
}

static duro_runtime *open_client(const char *path) {
  duro_options o = test_options(path);
  o.role = DURO_ROLE_CLIENT;
  return open_runtime(&o);
}

static pair open_pair(void) {
  pair p = {.path = fresh_file()};
  p.owner = open_owner(p.path);
  p.client = open_client(p.path);
  return p;
}

static void close_pair(pair *p) {
  duro_close(p->client);
  duro_close(p->owner);
  drop_file(p->path);
}

static const char *from_client(pair *p, const char *verb, const char *args) {
  return ask_beside(p->client, p->owner, verb, args);
}

static bool contains(const char *text, const char *part) {
  if (strstr(text, part)) return true;
  fprintf(stderr, "    in   %s\n", text);
  return false;
}

TEST(a_client_starts_waits_and_reads) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"hello\",\"id\":\"h\",\"attributes\":{\"k\":1}}"),
            "\"h\"");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"h\"}"),
            "{\"instance_id\":\"h\",\"status\":\"completed\",\"output\":0}");
  CHECK_STR(from_client(&p, "start", "{\"name\":\"hello\",\"id\":\"h\"}"),
            "already_exists: instance 'h' exists already");
  CHECK_STR(
      from_client(&p, "start", "{\"name\":\"hello\",\"id\":\"h\",\"on_conflict\":\"existing\"}"),
      "\"h\"");
  CHECK_STR(from_client(&p, "descriptor", "{\"id\":\"h\"}"),
            "{\"name\":\"hello\",\"version\":\"1.0.0\"}");
  CHECK(contains(from_client(&p, "history", "{\"id\":\"h\"}"),
                 "\"kind\":\"orchestration_completed\""));
  CHECK(contains(from_client(&p, "list_instances", "{\"filter\":{\"attributes\":{\"k\":1}}}"),
                 "\"h\""));
  CHECK(contains(from_client(&p, "details", "{\"id\":\"h\"}"), "\"total_activities_completed\":1"));
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"x\"}"), "not_found: no instance 'x'");
  close_pair(&p);
}

TEST(a_client_starts_many_or_none) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start_many",
                        "[{\"name\":\"hello\",\"id\":\"a\"},{\"name\":\"hello\",\"id\":\"b\"}]"),
            "[\"a\",\"b\"]");
  CHECK_STR(from_client(&p, "start_many",
                        "[{\"name\":\"hello\",\"id\":\"c\"},{\"name\":\"hello\",\"id\":\"a\"}]"),
            "already_exists: instance 'a' exists already");
  CHECK_STR(from_client(&p, "wait_for_instances", "{\"instances\":[\"a\",\"b\"]}"),
            "{\"completed\":[{\"instance_id\":\"a\",\"status\":\"completed\",\"output\":0},"
            "{\"instance_id\":\"b\",\"status\":\"completed\",\"output\":0}],\"pending\":[]}");
  CHECK_STR(from_client(&p, "status", "{\"id\":\"c\"}"),
            "{\"instance_id\":\"c\",\"status\":\"not_found\"}");
  close_pair(&p);
}

TEST(a_client_raises_commands_and_asks) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  CHECK_STR(from_client(&p, "wait_custom_status", "{\"id\":\"w\",\"version\":0}"),
            "{\"custom_status\":0,\"version\":1}");
  CHECK_STR(from_client(&p, "query", "{\"id\":\"w\",\"name\":\"progress\"}"), "{\"query\":2}");
  CHECK_STR(from_client(&p, "query", "{\"id\":\"w\",\"name\":\"unknown\"}"),
            "not_found: no such query");
  CHECK_STR(from_client(&p, "suspend", "{\"id\":\"w\"}"), "true");
  CHECK_STR(from_client(&p, "resume", "{\"id\":\"w\"}"), "true");
  CHECK_STR(from_client(&p, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":[1]}"), "true");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":[1]}");
  CHECK_STR(from_client(&p, "raise_event", "{\"id\":\"w\",\"name\":\"go\"}"),
            "finished: instance 'w' has ended (completed)");
  CHECK_STR(from_client(&p, "raise_event", "{\"id\":\"x\",\"name\":\"go\"}"),
            "not_found: no instance 'x'");
  CHECK_STR(from_client(&p, "cancel", "{\"id\":\"w\"}"),
            "finished: instance 'w' has ended (completed)");
  CHECK_STR(from_client(&p, "start",
                        "{\"name\":\"hello\",\"id\":\"w\",\"on_conflict\":\"replace_finished\"}"),
            "\"w\"");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":0}");
  CHECK_STR(from_client(&p, "delete_instance", "{\"id\":\"w\"}"),
            "{\"instances_deleted\":1,\"executions_deleted\":1,\"events_deleted\":4}");
  close_pair(&p);
}

TEST(an_event_right_after_a_start_finds_its_instance) {
  pair p = open_pair();
  duro_request *start = call(p.client, "start", "{\"name\":\"waits\",\"id\":\"w\"}");
  CHECK(settle(p.client, NULL, start)); // the owner has not looked yet
  outcome(start);
  duro_request *raise = call(p.owner, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":5}");
  CHECK(settle(p.owner, NULL, raise));
  CHECK_STR(outcome(raise), "true");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":5}");
  close_pair(&p);
}

TEST(many_calls_at_once_share_transactions) {
  pair p = open_pair();
  enum { N = 300 };
  static duro_request *requests[N];
  char args[64];
  for (int i = 0; i < N; i++) {
    // Every tenth id is taken by the one before it.
    snprintf(args, sizeof args, "{\"name\":\"hello\",\"id\":\"n%d\"}", i % 10 == 9 ? i - 1 : i);
    requests[i] = call(p.client, "start", args);
  }
  int started = 0, refused = 0;
  for (int i = 0; i < N; i++) {
    CHECK(settle(p.client, p.owner, requests[i]));
    const char *text = outcome(requests[i]);
    if (text[0] == '"')
      started++;
    else if (strncmp(text, "already_exists", 14) == 0)
      refused++;
  }
  CHECK_INT(started, N - N / 10);
  CHECK_INT(refused, N / 10);
  for (int i = 0; i < N; i++) {
    if (i % 10 == 9) continue;
    snprintf(args, sizeof args, "{\"id\":\"n%d\"}", i);
    CHECK(contains(from_client(&p, "wait", args), "completed"));
  }
  close_pair(&p);
}

TEST(without_an_owner_starts_and_raises_are_kept_and_the_rest_is_unavailable) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  from_client(&p, "wait_custom_status", "{\"id\":\"w\",\"version\":0}");
  duro_close(p.owner);
  p.owner = NULL;
  CHECK_STR(from_client(&p, "start",
                        "{\"name\":\"waits\",\"id\":\"v\",\"event\":{\"name\":\"go\",\"data\":2}}"),
            "\"v\"");
  CHECK_STR(from_client(&p, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":1}"), "true");
  CHECK_STR(from_client(&p, "raise_event", "{\"id\":\"v\",\"name\":\"other\"}"), "true");
  CHECK(contains(from_client(&p, "cancel", "{\"id\":\"w\"}"), "unavailable: "));
  CHECK(contains(from_client(&p, "query", "{\"id\":\"w\",\"name\":\"q\"}"), "unavailable: "));
  CHECK_STR(from_client(&p, "status", "{\"id\":\"v\"}"),
            "{\"instance_id\":\"v\",\"status\":\"running\"}");
  p.owner = open_owner(p.path);
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":1}");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"v\"}"),
            "{\"instance_id\":\"v\",\"status\":\"completed\",\"output\":2}");
  close_pair(&p);
}

TEST(a_delayed_start_of_a_client_begins_on_time) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"hello\",\"id\":\"d\",\"delay_ms\":150}"),
            "\"d\"");
  CHECK_STR(from_client(&p, "status", "{\"id\":\"d\"}"),
            "{\"instance_id\":\"d\",\"status\":\"pending\"}");
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"d\"}"),
            "{\"instance_id\":\"d\",\"status\":\"completed\",\"output\":0}");
  // The same with an owner that opens only when the time has come.
  duro_close(p.owner);
  p.owner = NULL;
  CHECK_STR(from_client(&p, "start", "{\"name\":\"hello\",\"id\":\"e\",\"delay_ms\":20}"), "\"e\"");
  usleep(30000);
  p.owner = open_owner(p.path);
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"e\"}"),
            "{\"instance_id\":\"e\",\"status\":\"completed\",\"output\":0}");
  close_pair(&p);
}

TEST(a_client_that_loses_the_owner_is_told) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  from_client(&p, "wait_custom_status", "{\"id\":\"w\",\"version\":0}");
  duro_request *cancel = call(p.client, "query", "{\"id\":\"w\",\"name\":\"q\"}");
  duro_request *raise = call(p.client, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":1}");
  for (int i = 0; i < 5; i++) turn_loop(p.client, 2); // posted, and not looked at
  duro_close(p.owner);
  p.owner = NULL;
  CHECK(settle(p.client, NULL, cancel));
  CHECK(settle(p.client, NULL, raise));
  CHECK(contains(outcome(cancel), "unavailable: the owner of "));
  CHECK_STR(outcome(raise), "true");
  p.owner = open_owner(p.path);
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"w\"}"),
            "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":1}");
  close_pair(&p);
}

TEST(a_client_of_role_auto_takes_over) {
  pair p = {.path = fresh_file()};
  p.owner = open_owner(p.path);
  duro_options o = test_options(p.path);
  o.role = DURO_ROLE_AUTO;
  p.client = open_runtime(&o);
  register_script(p.client, "waits", "sw");
  CHECK_STR(from_client(&p, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  from_client(&p, "wait_custom_status", "{\"id\":\"w\",\"version\":0}");
  duro_request *wait = call(p.client, "wait", "{\"id\":\"w\"}");
  duro_request *raise = call(p.client, "raise_event", "{\"id\":\"w\",\"name\":\"go\",\"data\":9}");
  duro_close(p.owner);
  p.owner = NULL;
  CHECK(settle(p.client, NULL, wait));
  CHECK(settle(p.client, NULL, raise));
  CHECK_STR(outcome(wait), "{\"instance_id\":\"w\",\"status\":\"completed\",\"output\":9}");
  CHECK_STR(outcome(raise), "true");
  CHECK_STR(ask(p.client, "start", "{\"name\":\"waits\",\"id\":\"v\"}"), "\"v\"");
  duro_close(p.client);
  drop_file(p.path);
}

TEST(calls_under_way_are_answered_when_the_client_closes) {
  pair p = open_pair();
  CHECK_STR(from_client(&p, "start", "{\"name\":\"waits\",\"id\":\"w\"}"), "\"w\"");
  duro_request *query = call(p.client, "query", "{\"id\":\"w\",\"name\":\"q\"}");
  duro_request *wait = call(p.client, "wait", "{\"id\":\"w\"}");
  duro_request_free(call(p.client, "suspend", "{\"id\":\"w\"}"));
  duro_close(p.client);
  CHECK_STR(outcome(query), "closed: the runtime was closed");
  CHECK_STR(outcome(wait), "closed: the runtime was closed");
  p.client = open_client(p.path);
  close_pair(&p);
}

// --- A start that the owner has not taken yet ---

static duro_runtime *starter;

static void start_x(void) {
  CHECK_STR(ask(starter, "start", "{\"name\":\"waits\",\"id\":\"x\"}"), "\"x\"");
}

static void start_x_later(void) {
  CHECK_STR(ask(starter, "start", "{\"name\":\"waits\",\"id\":\"x\",\"delay_ms\":50}"), "\"x\"");
}

TEST(an_event_of_another_instance_waits_for_the_start_that_a_client_has_posted) {
  void (*const starts[])(void) = {start_x, start_x_later};
  for (size_t n = 0; n < 2; n++) {
    pair p = open_pair();
    register_script(p.owner, "raises", "r");
    starter = p.client;
    script_before_raise = starts[n];
    CHECK_STR(ask(p.owner, "start", "{\"name\":\"raises\",\"id\":\"r\"}"), "\"r\"");
    script_before_raise = NULL;
    CHECK_STR(from_client(&p, "wait", "{\"id\":\"x\"}"),
              "{\"instance_id\":\"x\",\"status\":\"completed\",\"output\":0}");
    close_pair(&p);
  }
}

TEST(such_an_event_survives_the_owner) {
  pair p = open_pair();
  register_script(p.owner, "raises", "r");
  starter = p.client;
  script_before_raise = start_x_later;
  CHECK_STR(ask(p.owner, "start", "{\"name\":\"raises\",\"id\":\"r\"}"), "\"r\"");
  script_before_raise = NULL;
  duro_close(p.owner);
  p.owner = open_owner(p.path);
  CHECK_STR(from_client(&p, "wait", "{\"id\":\"x\"}"),
            "{\"instance_id\":\"x\",\"status\":\"completed\",\"output\":0}");
  close_pair(&p);
}

CHECK_MAIN()
