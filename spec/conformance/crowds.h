// Contracts of company and of sudden death: readers on other threads, writers in other processes, and
// the kill that comes between any two steps.
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

// --- Readers on other threads ---

typedef struct reading {
  duro__store *s;
  int64_t key;
  atomic_bool stop;
  atomic_long lists, odd, gaps, failed;
} reading;

// Instances come and go in pairs and each batch adds one event to "a": a reader sees no half batch.
static void *read_on(void *user) {
  reading *r = user;
  while (!r->stop) {
    duro_arena arena = {0};
    duro_instance_rows rows;
    duro_texts texts;
    duro_events events;
    duro_list_query q = {.filter.id_prefix = DURO_STR("pair"), .limit = 1000};
    duro_code code = duro__store_list(r->s, &q, &arena, &rows, NULL);
    if (!code && rows.count % 2) r->odd++;
    if (!code) code = duro__store_history(r->s, r->key, 0, &arena, &texts, NULL);
    if (!code) code = duro_events_decode(texts.items, texts.count, &arena, &events, NULL);
    if (!code && events.count && events.items[events.count - 1].id != (int64_t)events.count) {
      r->gaps++;
    }
    if (code) r->failed++;
    r->lists++;
    duro_arena_free(&arena);
  }
  return NULL;
}

CONTRACT(readers_on_other_threads_see_whole_batches) {
  reading r = {.s = f->s, .key = insert_one(f, "a")};
  pthread_t threads[2];
  int64_t keys[2] = {0, 0};
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, read_on, &r);
  for (int64_t step = 1; step <= 300; step++) {
    size_t folded;
    draft *d = draft_new(f);
    for (int i = 0; i < 2; i++) {
      if (keys[i] && step % 3 == 0) d->deletes[d->b.delete_count++] = keys[i];
      keys[i] = draft_insert(d, keep_number(f, i ? "pair-b" : "pair-a", step).p)->key;
    }
    draft_turn(d, r.key, 1, step, 1);
    if (!OK(f, draft_send(d))) break;
    if (step % 7) continue;
    OK(f, duro__store_fold(f->s, f->epoch, f->now, 5, &folded, &f->err));
  }
  r.stop = true;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  CHECK(r.lists > 0);
  CHECK_INT(r.odd, 0);
  CHECK_INT(r.gaps, 0);
  CHECK_INT(r.failed, 0);
}

// --- Clients and workers beside the owner, each with a handle of its own ---

enum { POSTS = 60, JOBS = 120, WORKERS = 3 };

typedef struct beside {
  const fixture *f;
  const char *name;
  uint64_t until_ns;
  atomic_int *claims; // by job id
  long failed;
  char problem[128]; // the first one
} beside;

// A client or worker may be told that somebody else is writing just now (`busy`), and asks again; any
// other failure is noted.
static bool ask_again(beside *b, duro_code code, duro_error **err) {
  if (code == DURO_BUSY && duro_clock_monotonic_ns() < b->until_ns) {
    duro_error_free(*err);
    *err = NULL;
    sched_yield();
    return true;
  }
  if (code && b->failed++ == 0) {
    snprintf(b->problem, sizeof b->problem, "%s: %s", duro_code_string(code),
             *err ? (*err)->message : "");
  }
  duro_error_free(*err);
  *err = NULL;
  return false;
}

static duro__store *open_beside(beside *b) {
  duro__store *s = NULL;
  duro_error *err = NULL;
  duro_store_options options = options_of(b->f);
  options.read_only_role = true;
  while (ask_again(b, duro__store_open(b->f->kind->ops, &options, &s, &err), &err)) {}
  return s;
}

static void *post_on(void *user) {
  beside *b = user;
  duro__store *s = open_beside(b);
  for (int i = 0; s && i < POSTS; i++) {
    char id[32];
    int64_t request_id;
    duro_error *err = NULL;
    snprintf(id, sizeof id, "client-%d", i);
    duro_instance_row row = {.id = duro_str_from(id),
                             .name = DURO_STR("order"),
                             .status = DURO_STATUS_RUNNING,
                             .created_at_ms = NOW,
                             .updated_at_ms = NOW,
                             .execution_id = 1,
                             .execution_started_at_ms = NOW,
                             .waiting_on = DURO_STR("[]")};
    duro_request_row request = {.kind = DURO_STR("start"), .instance_id = row.id};
    duro_post p = {&row, 1, &request, 1, &request_id, NOW};
    while (ask_again(b, duro__store_post(s, &p, &err), &err)) {}
  }
  duro__store_close(s);
  return NULL;
}

static void finish_all(beside *b, duro__store *s, const duro_job_row *jobs, size_t count) {
  duro_request_row result = {.kind = DURO_STR("job"), .body = DURO_STR("{}")};
  duro_error *err = NULL;
  for (size_t i = 0; i < count; i++) {
    b->claims[jobs[i].id]++;
    while (ask_again(b, duro__store_finish_job(s, &jobs[i], &result, NOW, &err), &err)) {}
  }
}

static void *work_on(void *user) {
  beside *b = user;
  duro__store *s = open_beside(b);
  duro_str queue = DURO_STR("gpu");
  duro_claim claim = {.queues = &queue,
                      .queue_count = 1,
                      .holder = duro_str_from(b->name),
                      .now_ms = NOW,
                      .lease_until_ms = NOW + MINUTE,
                      .limit = 2};
  duro_error *err = NULL;
  for (size_t count = 1; s && count;) {
    duro_arena arena = {0};
    duro_job_row *jobs;
    do {
      count = 0;
    } while (ask_again(b, duro__store_claim_jobs(s, &claim, &arena, &jobs, &count, &err), &err));
    finish_all(b, s, jobs, count);
    duro_arena_free(&arena);
  }
  duro__store_close(s);
  return NULL;
}

CONTRACT(owner_clients_and_workers_write_side_by_side) {
  if (!f->kind->in_file || !duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  static const char *const names[WORKERS + 1] = {"client", "w1", "w2", "w3"};
  static atomic_int claims[JOBS + 1];
  beside besides[WORKERS + 1];
  pthread_t threads[WORKERS + 1];
  duro_request_row *waiting;
  size_t count;
  draft *d = draft_new(f);
  int64_t key = draft_insert(d, "a")->key;
  for (int i = 1; i <= JOBS; i++) {
    claims[i] = 0;
    draft_job(d, key, "gpu");
  }
  OK(f, draft_send(d));
  for (int i = 0; i <= WORKERS; i++) {
    besides[i] = (beside){.f = f,
                          .name = names[i],
                          .until_ns = duro_clock_monotonic_ns() + UINT64_C(30000000000),
                          .claims = claims};
    pthread_create(&threads[i], NULL, i ? work_on : post_on, &besides[i]);
  }
  for (int64_t step = 1; step <= 200; step++) {
    size_t folded;
    if (!add_turn(f, key, 1, step, 1)) break;
    if (step % 20) continue;
    OK(f, duro__store_fold(f->s, f->epoch, f->now, 15, &folded, &f->err));
  }
  for (int i = 0; i <= WORKERS; i++) {
    pthread_join(threads[i], NULL);
    CHECK_STR(besides[i].problem, "");
    CHECK_INT(besides[i].failed, 0);
  }
  int claimed_once = 0;
  for (int i = 1; i <= JOBS; i++) claimed_once += claims[i] == 1;
  CHECK_INT(claimed_once, JOBS);
  OK(f, duro__store_requests(f->s, 0, 1000, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, POSTS + JOBS);
  int started = 0;
  for (int i = 0; i < POSTS; i++) started += exists(f, keep_number(f, "client-", i).p);
  CHECK_INT(started, POSTS);
}

// --- Sudden death ---

// In a process of its own: commits for ever, and says so after each commit.
static void commit_until_killed(fixture *f, int64_t key, int64_t first_event, int told) {
  for (int64_t step = first_event;; step++) {
    size_t folded;
    draft *d = draft_new(f);
    draft_insert(d, keep_number(f, "x", step).p);
    draft_insert(d, keep_number(f, "y", step).p);
    draft_turn(d, key, 1, step, 1);
    if (draft_send(d) || write(told, "c", 1) != 1) _exit(1);
    if (step % 5 == 0) duro__store_fold(f->s, f->epoch, f->now, 3, &folded, NULL);
  }
}

// Returns how many commits were acknowledged before the kill.
static int64_t die_suddenly(fixture *f, int64_t key, int64_t first_event) {
  int pipes[2], status;
  char byte;
  int64_t acknowledged = 0;
  if (!CHECK(pipe(pipes) == 0)) return 0;
  duro__store_close(f->s); // no handle and no thread of it crosses the fork
  f->s = NULL;
  pid_t child = fork();
  if (child == 0) {
    close(pipes[0]);
    if (!reopen(f)) _exit(1);
    commit_until_killed(f, key, first_event, pipes[1]);
  }
  close(pipes[1]);
  for (uint64_t n = 1 + draw(f, 40); n > 0 && read(pipes[0], &byte, 1) == 1; n--) acknowledged++;
  kill(child, SIGKILL);
  while (read(pipes[0], &byte, 1) == 1) acknowledged++;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  close(pipes[0]);
  reopen(f);
  return acknowledged;
}

CONTRACT(after_a_kill_the_store_is_as_before_or_after_a_batch) {
  if (!f->kind->in_file) return;
  int64_t key = insert_one(f, "a"), events = 0;
  for (int round = 0; round < 8 && f->s; round++) {
    int64_t acknowledged = die_suddenly(f, key, events + 1), before = events;
    if (!f->s) return;
    duro_texts texts;
    duro_events read;
    OK(f, duro__store_history(f->s, key, 0, &f->arena, &texts, &f->err));
    OK(f, duro_events_decode(texts.items, texts.count, &f->arena, &read, &f->err));
    events = (int64_t)read.count;
    CHECK(events - before >= acknowledged && events - before <= acknowledged + 1);
    CHECK_INT(f->marks.last_batch, events + 1);
    CHECK_INT(f->marks.last_seq, events);
    CHECK(exists(f, keep_number(f, "x", events).p) && exists(f, keep_number(f, "y", events).p));
    CHECK(!exists(f, keep_number(f, "x", events + 1).p));
  }
  fold_all(f);
  CHECK_INT(get_by_key(f, key).event_count, events);
  CHECK_INT(get_by_key(f, key).turns, events);
}

// --- What is no store ---

CONTRACT(a_file_that_is_no_store_and_a_place_that_is_none_are_told_apart) {
  if (!f->kind->in_file) return;
  duro__store *other = NULL;
  duro_store_options options = options_of(f);
  char path[128];
  snprintf(path, sizeof path, "%s/garbage", f->folder);
  FILE *file = fopen(path, "w");
  for (int i = 0; i < 5000; i++) fprintf(file, "this is no store %d\n", i);
  fclose(file);
  options.path = path;
  CODE(f, duro__store_open(f->kind->ops, &options, &other, &f->err), DURO_CORRUPT);
  CHECK(other == NULL);
  unlink(path);
  options.path = "/nonexistent/folder/store.db";
  CODE(f, duro__store_open(f->kind->ops, &options, &other, &f->err), DURO_STORAGE);
  CHECK(other == NULL);
}
