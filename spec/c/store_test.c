// The handle over a store: incomplete tables are refused by name, calls are counted and timed, and what
// a store leaves out is filled in or `unsupported`.
#include "check.h"

#include <pthread.h>

#include "base/clock.h"
#include "store/store.h"

#define NOW INT64_C(1763780000000)

// --- Refusing ---

static void check_refused(const duro_store_ops *ops, const char *named) {
  duro_error *err = NULL;
  CHECK_STR(duro_code_string(duro__store_check(ops, &err)), "invalid_argument");
  if (!CHECK(err && strstr(err->message, named))) CHECK_STR(err ? err->message : NULL, named);
  duro_error_free(err);
}

TEST(a_complete_table_is_accepted) {
  duro_error *err = NULL;
  CHECK_INT(duro__store_check(&duro_store_memory, &err), DURO_OK);
  CHECK_INT(duro__store_check(&duro_store_sqlite, &err), DURO_OK);
  CHECK(err == NULL);
}

TEST(a_table_without_a_verb_that_must_be_there_is_refused_by_its_name) {
  enum { MUST = true, MAY = false };
  duro_store_ops ops;
#define X(slot, kind, need)                                                                        \
  ops = duro_store_memory;                                                                         \
  ops.slot = NULL;                                                                                 \
  if (need) check_refused(&ops, "'" #slot "'");
  DURO__STORE_VERBS(X)
#undef X
  ops = duro_store_memory;
  ops.close = NULL;
  check_refused(&ops, "'close'");
}

TEST(a_table_may_leave_out_the_rest) {
  enum { MUST = true, MAY = false };
  CHECK_INT(duro__store_check(&duro_store_basic, NULL), DURO_OK);
#define X(slot, kind, need) CHECK_INT(duro_store_basic.slot != NULL, need);
  DURO__STORE_VERBS(X)
#undef X
}

TEST(a_table_of_another_version_without_type_or_with_half_a_queue_is_refused) {
  duro_store_ops ops = duro_store_memory;
  check_refused(NULL, "no table");
  ops.version++;
  check_refused(&ops, "version 2");
  ops = duro_store_memory;
  ops.type = NULL;
  check_refused(&ops, "type");
  ops = duro_store_memory;
  ops.renew_jobs = NULL;
  check_refused(&ops, "'renew_jobs'");
}

TEST(opening_refuses_an_incomplete_table_too) {
  duro_store_ops ops = duro_store_memory;
  duro__store *s = (duro__store *)1;
  duro_store_options options = {.path = ":memory:"};
  ops.fold = NULL;
  CHECK_INT(duro__store_open(&ops, &options, &s, NULL), DURO_INVALID_ARGUMENT);
  CHECK(s == NULL);
  duro__store_close(NULL);
}

// --- A store that can be told how to answer, for the counting ---

static duro_code next_code;

static duro_code told_data_version(duro_store *s, int64_t *out, duro_error **err) {
  (void)s, (void)out;
  return next_code ? duro_fail(err, next_code, "as told") : DURO_OK;
}

static duro_code told_release(duro_store *s, int64_t epoch, duro_error **err) {
  (void)s, (void)epoch;
  uint64_t until = duro_clock_monotonic_ns() + 2000000; // a write of 2 ms
  while (duro_clock_monotonic_ns() < until) {}
  return next_code ? duro_fail(err, next_code, "as told") : DURO_OK;
}

static duro_store_ops told_ops(void) {
  duro_store_ops ops = duro_store_memory;
  ops.data_version = told_data_version;
  ops.release = told_release;
  return ops;
}

static duro__store *open_store(const duro_store_ops *ops) {
  duro__store *s;
  duro_store_options options = {.path = ":memory:", .now_ms = NOW};
  return CHECK_INT(duro__store_open(ops, &options, &s, NULL), DURO_OK) ? s : NULL;
}

TEST(calls_and_errors_are_counted_by_verb) {
  duro_store_ops ops = told_ops();
  duro__store *s = open_store(&ops);
  duro__store_figures figures;
  int64_t version;
  duro_code codes[] = {DURO_OK,     DURO_STORAGE, DURO_BUSY, DURO_NOT_FOUND, DURO_ALREADY_EXISTS,
                       DURO_LOCKED, DURO_EXPIRED, DURO_OK};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    next_code = codes[i];
    CHECK_INT(duro__store_data_version(s, &version, NULL), codes[i]);
  }
  duro__store_figures_read(s, &figures);
  const duro__verb_figures *v = &figures.verbs[DURO__VERB_data_version];
  CHECK_STR(v->verb, "data_version");
  CHECK(!v->writes);
  CHECK_INT(v->calls, 8);
  CHECK_INT(v->errors, 2); // storage and locked; the rest are answers
  CHECK_INT(figures.verbs[DURO__VERB_open].calls, 1);
  CHECK(figures.verbs[DURO__VERB_open].writes);
  CHECK_INT(figures.verbs[DURO__VERB_commit].calls, 0);
  CHECK_INT(figures.reads.calls, 0); // polls do not hide the reads
  CHECK_INT(figures.writes.calls, 1);
  next_code = DURO_OK;
  duro__store_close(s);
}

TEST(latencies_are_told_apart_for_reads_and_writes) {
  duro_store_ops ops = told_ops();
  duro__store *s = open_store(&ops);
  duro_arena arena = {0};
  duro__store_figures figures;
  duro_instance_row row;
  for (int i = 0; i < 99; i++) duro__store_get(s, DURO_STR("a"), &arena, &row, NULL);
  for (int i = 0; i < 5; i++) duro__store_release(s, 1, NULL);
  duro__store_figures_read(s, &figures);
  CHECK_INT(figures.reads.calls, 99);
  CHECK_INT(figures.writes.calls, 6);
  CHECK(figures.writes.p50_ns >= 2000000);
  CHECK(figures.writes.p50_ns <= figures.writes.p99_ns);
  CHECK(figures.writes.p99_ns <= figures.writes.max_ns);
  CHECK(figures.reads.p50_ns <= figures.reads.p99_ns && figures.reads.p99_ns > 0);
  const duro__verb_figures *v = &figures.verbs[DURO__VERB_release];
  CHECK(v->total_ns >= 10000000);
  CHECK(v->max_ns >= 2000000 && v->max_ns <= v->total_ns);
  duro_arena_free(&arena);
  duro__store_close(s);
}

static void *ask_often(void *user) {
  duro__store *s = user;
  for (int i = 0; i < 5000; i++) {
    duro_arena arena = {0};
    duro_store_marks marks;
    duro__store_marks(s, &arena, &marks, NULL);
    duro_arena_free(&arena);
  }
  return NULL;
}

TEST(no_call_of_any_thread_is_lost) {
  duro__store *s = open_store(&duro_store_memory);
  duro__store_figures figures;
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, ask_often, s);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  duro__store_figures_read(s, &figures);
  CHECK_INT(figures.verbs[DURO__VERB_marks].calls, 20000);
  CHECK_INT(figures.reads.calls, 20000);
  duro__store_close(s);
}

// --- What is left out ---

TEST(a_writing_verb_left_out_is_unsupported_and_named) {
  duro_store_ops ops = duro_store_memory;
  ops.claim_jobs = NULL;
  ops.renew_jobs = NULL;
  ops.finish_job = NULL;
  ops.jobs = NULL;
  ops.queue_state = NULL;
  ops.changes = NULL;
  ops.note = NULL;
  ops.owner_figures = NULL;
  duro__store *s = open_store(&ops);
  duro_arena arena = {0};
  duro_error *err = NULL;
  duro_job_row *jobs;
  duro_changes changes;
  size_t count;
  duro_str json = DURO_STR("x");
  duro_claim claim = {.limit = 1};
  CHECK_INT(duro__store_claim_jobs(s, &claim, &arena, &jobs, &count, &err), DURO_UNSUPPORTED);
  CHECK(err && strstr(err->message, "claim_jobs") && strstr(err->message, "memory"));
  CHECK_INT(duro__store_renew_jobs(s, NULL, 0, 0, NULL), DURO_UNSUPPORTED);
  CHECK_INT(duro__store_finish_job(s, NULL, NULL, 0, NULL), DURO_UNSUPPORTED);
  CHECK_INT(duro__store_changes(s, 0, 1, &arena, &changes, NULL), DURO_UNSUPPORTED);
  CHECK_INT(duro__store_note(s, 1, DURO_STR("{}"), NULL), DURO_UNSUPPORTED);
  CHECK_INT(duro__store_owner_figures(s, &arena, &json, NULL), DURO_OK);
  CHECK(json.p == NULL);
  CHECK_INT(duro__store_checkpoint(s, NULL), DURO_OK);
  CHECK(!duro__store_has(s, DURO__VERB_counters));
  CHECK(duro__store_has(s, DURO__VERB_list));
  CHECK_STR(duro__store_type(s), "memory");
  duro_error_free(err);
  duro_arena_free(&arena);
  duro__store_close(s);
}

// 1201 instances need three pages of the defaults.
static duro__store *open_with_many(void) {
  enum { MANY = 1201 };
  static duro_instance_row rows[MANY];
  static char ids[MANY][16];
  duro__store *s = open_store(&duro_store_memory);
  duro_arena arena = {0};
  duro_lease held,
      wanted = {.owner = DURO_STR("o"), .host = DURO_STR("h"), .expires_at_ms = NOW + 9};
  CHECK_INT(duro__store_acquire(s, &wanted, false, NOW, &arena, &held, NULL), DURO_OK);
  for (int i = 0; i < MANY; i++) {
    snprintf(ids[i], sizeof ids[i], "id-%d", i);
    rows[i] = (duro_instance_row){.key = i + 1,
                                  .id = duro_str_from(ids[i]),
                                  .name = i % 3 ? DURO_STR("order") : DURO_STR("invoice"),
                                  .status = i % 2 ? DURO_STATUS_FAILED : DURO_STATUS_RUNNING,
                                  .created_at_ms = NOW,
                                  .completed_at_ms = i % 2 ? NOW + 60000 : 0,
                                  .execution_id = 1,
                                  .event_count = 2,
                                  .waiting_on = DURO_STR("[]")};
  }
  rows[0].status = DURO_STATUS_PENDING;
  duro_batch b = {.id = 1, .epoch = held.epoch, .inserts = rows, .insert_count = MANY};
  CHECK_INT(duro__store_commit(s, &b, NULL), DURO_OK);
  duro_arena_free(&arena);
  return s;
}

static int64_t sum_of(const duro_counters *c, const char *name, const char *metric) {
  int64_t sum = 0;
  for (size_t i = 0; i < c->count; i++) {
    if (duro_str_equal(c->items[i].name, duro_str_from(name)) &&
        duro_str_equal(c->items[i].metric, duro_str_from(metric))) {
      sum += c->items[i].delta;
    }
  }
  return sum;
}

TEST(default_counters_come_from_all_pages_of_the_list) {
  duro__store *s = open_with_many();
  duro_arena arena = {0};
  duro_counters c;
  CHECK_INT(duro__store_counters(s, 0, DURO_NEVER, false, &arena, &c, NULL), DURO_OK);
  CHECK_INT(sum_of(&c, "order", "started"), 800);
  CHECK_INT(sum_of(&c, "invoice", "started"), 400); // one is still pending
  CHECK_INT(sum_of(&c, "order", "failed"), 400);
  CHECK_INT(sum_of(&c, "invoice", "failed"), 200);
  CHECK_INT(sum_of(&c, "order", "completed"), 0);
  CHECK_INT(sum_of(&c, "order", "duration_ms"), 400 * 60000);
  int64_t minute = NOW - NOW % 60000;
  CHECK_INT(duro__store_counters(s, minute, minute + 60000, true, &arena, &c, NULL), DURO_OK);
  CHECK_INT(sum_of(&c, "order", "started"), 800);
  CHECK_INT(sum_of(&c, "order", "failed"), 0); // a minute later
  CHECK_INT(duro__store_counters(s, minute + 60000, DURO_NEVER, true, &arena, &c, NULL), DURO_OK);
  CHECK_INT(sum_of(&c, "order", "failed"), 400);
  for (size_t i = 0; i < c.count; i++) CHECK_INT(c.items[i].minute_ms, minute + 60000);
  duro_arena_free(&arena);
  duro__store_close(s);
}

TEST(default_stats_come_from_all_pages_of_the_list) {
  duro__store *s = open_with_many();
  duro_store_stats stats;
  CHECK_INT(duro__store_stats(s, &stats, NULL), DURO_OK);
  CHECK_INT(stats.instances, 1201);
  CHECK_INT(stats.history_events, 2402);
  duro__store_close(s);
}

CHECK_MAIN()
