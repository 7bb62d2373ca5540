// What the store contracts are written with: a fixture with an open store, and drafts of batches.
//
//   CONTRACT(a_taken_id_fails_the_whole_batch) {
//     draft *d = draft_new(f);
//     draft_insert(d, "a");
//     OK(f, draft_send(d));
//   }
//
// A contract takes `fixture *f`, uses the store only through the wrapper (f->s), and is run for each
// store of store_conformance_test.c, each time on a new file. The fixture plays the owner: it holds the
// lease and the high-water marks, and `f->now` is its clock. It is included once, by that test.
#ifndef DURO_SPEC_HARNESS_H
#define DURO_SPEC_HARNESS_H

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

#define NOW             INT64_C(1763780000000)
#define MINUTE          INT64_C(60000)
#define RETENTION_MS    (60 * MINUTE)
#define FEED_MAX_BYTES  (8 * 1024 * 1024)
#define DRAFT_ROWS      1024
#define UNUSED_FUNCTION __attribute__((unused)) static

typedef struct store_kind {
  const char *name;
  const duro_store_ops *ops;
  bool in_file; // outlives its handle and can be opened twice
} store_kind;

typedef struct fixture {
  const store_kind *kind;
  duro__store *s;
  duro_arena arena; // everything a contract reads; ends with it
  duro_error *err;
  int64_t now, epoch;
  duro_store_marks marks; // after the last batch that went well
  duro_prng random;
  char folder[64], path[96];
} fixture;

// --- Contracts, and one check__test for each of them and each store ---

typedef struct contract {
  const char *name;
  void (*run)(fixture *f);
  struct contract *next;
} contract;

static contract *first_contract, **contracts_end = &first_contract;

#define CONTRACT(name)                                                                             \
  static void contract__##name(fixture *f);                                                        \
  __attribute__((constructor)) static void contract__register_##name(void) {                       \
    static contract c = {#name, contract__##name, NULL};                                           \
    *contracts_end = &c;                                                                           \
    contracts_end = &c.next;                                                                       \
  }                                                                                                \
  static void contract__##name(fixture *f)

// --- Checks of codes: a wrong one also prints the error's message ---

static bool check_code(fixture *f, const char *file, int line, const char *what, duro_code got,
                       duro_code want) {
  bool held = check__str(file, line, what, duro_code_string(got), duro_code_string(want));
  if (!held && f->err) fprintf(stderr, "    %s\n", f->err->message);
  duro_error_free(f->err);
  f->err = NULL;
  return held;
}

// The call gets &f->err as its error.
#define CODE(f, call, want) check_code(f, __FILE__, __LINE__, #call, (call), (want))
#define OK(f, call)         CODE(f, call, DURO_OK)

// --- Texts ---

static duro_str keep(fixture *f, const char *text) {
  return duro_arena_dup(&f->arena, duro_str_from(text));
}

UNUSED_FUNCTION duro_str keep_number(fixture *f, const char *prefix, int64_t n) {
  char text[96];
  snprintf(text, sizeof text, "%s%lld", prefix, (long long)n);
  return keep(f, text);
}

// As a C string: what was absent is "(absent)".
static const char *shown(fixture *f, duro_str s) {
  return s.p ? duro_arena_dup(&f->arena, s).p : "(absent)";
}

#define CHECK_TEXT(f, got, want) CHECK_STR(shown(f, got), shown(f, want))

static uint64_t draw(fixture *f, uint64_t below) { return duro_prng_next(&f->random) % below; }

// --- Opening ---

static duro_store_options options_of(const fixture *f) {
  return (duro_store_options){.path = f->kind->in_file ? f->path : ":memory:",
                              .now_ms = f->now,
                              .feed_retention_ms = RETENTION_MS,
                              .feed_max_bytes = FEED_MAX_BYTES};
}

static bool acquire_lease(fixture *f, bool steal) {
  duro_lease held, wanted = {.owner = DURO_STR("1@test:a"),
                             .host = DURO_STR("test"),
                             .pid = 1,
                             .acquired_at_ms = f->now,
                             .expires_at_ms = f->now + MINUTE};
  if (!OK(f, duro__store_acquire(f->s, &wanted, steal, f->now, &f->arena, &held, &f->err)))
    return false;
  if (!OK(f, duro__store_marks(f->s, &f->arena, &f->marks, &f->err))) return false;
  f->epoch = f->marks.epoch;
  return true;
}

// Closes the store and opens it again, when it is one that outlives its handle.
UNUSED_FUNCTION bool reopen(fixture *f) {
  if (!f->kind->in_file) return true;
  duro_store_options options = options_of(f);
  duro__store_close(f->s);
  f->s = NULL;
  if (!OK(f, duro__store_open(f->kind->ops, &options, &f->s, &f->err))) return false;
  return acquire_lease(f, true);
}

static void remove_folder(fixture *f) {
  static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-owner"};
  char path[128];
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    snprintf(path, sizeof path, "%s%s", f->path, endings[i]);
    unlink(path);
  }
  rmdir(f->folder);
}

static void run_contract(const store_kind *kind, const contract *c) {
  fixture f = {.kind = kind, .now = NOW};
  duro_store_options options;
  const char *seed =
      getenv("DURO_TEST_SEED"); // any word, for other random turns than the usual ones
  char seeded[160];
  snprintf(seeded, sizeof seeded, "%s%s", c->name, seed ? seed : "");
  duro_prng_seed(&f.random, duro_str_from(seeded));
  if (kind->in_file) {
    strcpy(f.folder, "/tmp/duro-conformance-XXXXXX");
    if (!CHECK(mkdtemp(f.folder) != NULL)) return;
    snprintf(f.path, sizeof f.path, "%s/store.db", f.folder);
  }
  options = options_of(&f);
  if (OK(&f, duro__store_open(kind->ops, &options, &f.s, &f.err)) && acquire_lease(&f, false)) {
    c->run(&f);
  }
  duro__store_close(f.s);
  duro_arena_free(&f.arena);
  if (kind->in_file) remove_folder(&f);
}

// --- Drafts ---

typedef struct draft {
  fixture *f;
  duro_batch b;
  duro_store_marks marks;
  duro_instance_row inserts[DRAFT_ROWS];
  duro_turn_row turns[DRAFT_ROWS];
  duro_instance_update updates[DRAFT_ROWS];
  duro_execution_row executions[DRAFT_ROWS];
  duro_message_row messages[DRAFT_ROWS];
  int64_t messages_done[DRAFT_ROWS];
  duro_job_row jobs[DRAFT_ROWS];
  int64_t jobs_done[DRAFT_ROWS];
  duro_request_row answers[DRAFT_ROWS];
  int64_t deletes[DRAFT_ROWS];
  duro_prune_row prunes[DRAFT_ROWS];
  duro_counter counters[DRAFT_ROWS];
  duro_audit_row audit[DRAFT_ROWS];
} draft;

// The next batch of the chain. draft_send frees it.
static draft *draft_new(fixture *f) {
  draft *d = calloc(1, sizeof *d);
  d->f = f;
  d->marks = f->marks;
  d->b = (duro_batch){.id = f->marks.last_batch + 1,
                      .previous = f->marks.last_batch,
                      .epoch = f->epoch,
                      .now_ms = f->now};
  return d;
}

static duro_code draft_send(draft *d) {
  fixture *f = d->f;
  d->marks.last_batch = d->b.id;
  d->b.last_seq = d->marks.last_seq;
  d->b.last_key = d->marks.last_key;
  d->b.last_message_id = d->marks.last_message_id;
  d->b.last_job_id = d->marks.last_job_id;
  d->b.inserts = d->inserts;
  d->b.turns = d->turns;
  d->b.updates = d->updates;
  d->b.executions = d->executions;
  d->b.messages = d->messages;
  d->b.messages_done = d->messages_done;
  d->b.jobs = d->jobs;
  d->b.jobs_done = d->jobs_done;
  d->b.answers = d->answers;
  d->b.deletes = d->deletes;
  d->b.prunes = d->prunes;
  d->b.counters = d->counters;
  d->b.audit = d->audit;
  duro_code code = duro__store_commit(f->s, &d->b, &f->err);
  if (!code) f->marks = d->marks;
  free(d);
  return code;
}

// A running root with that id, its start due at once. Change what you need; the rest is usual.
static duro_instance_row *draft_insert(draft *d, const char *id) {
  fixture *f = d->f;
  duro_instance_row *row = &d->inserts[d->b.insert_count++];
  d->marks.last_key = duro_key_next(d->marks.last_key, f->now, false);
  *row = (duro_instance_row){.key = d->marks.last_key,
                             .id = keep(f, id),
                             .run_id = DURO_STR("0123456789abcdef0123456789abcdef"),
                             .vm = DURO_VM_C,
                             .partition = 7,
                             .name = DURO_STR("order"),
                             .version = DURO_STR("1.0"),
                             .status = DURO_STATUS_RUNNING,
                             .created_at_ms = f->now,
                             .updated_at_ms = f->now,
                             .execution_id = 1,
                             .execution_started_at_ms = f->now,
                             .waiting_on = DURO_STR("[]")};
  return row;
}

// A turn of that instance that records `count` events from `first` on, and then waits for a message.
static duro_turn_row *draft_turn(draft *d, int64_t key, int64_t execution, int64_t first,
                                 int64_t count) {
  fixture *f = d->f;
  duro_turn_row *row = &d->turns[d->b.turn_count++];
  duro_buf b = {0};
  duro_buf_add_char(&b, '[');
  for (int64_t i = 0; i < count; i++) {
    duro_event e = {.id = first + i,
                    .kind = DURO_EVENT_SIDE_EFFECT_RECORDED,
                    .at_ms = f->now,
                    .name = keep_number(f, "e", first + i),
                    .output = keep_number(f, "", (int64_t)draw(f, 1000000))};
    if (i) duro_buf_add_char(&b, ',');
    duro_event_encode(&b, &e, i ? f->now : 0);
  }
  duro_buf_add_char(&b, ']');
  *row = (duro_turn_row){.seq = ++d->marks.last_seq,
                         .instance_key = key,
                         .execution_id = execution,
                         .first_event_id = first,
                         .event_count = count,
                         .status = DURO_STATUS_RUNNING,
                         .wake_at_ms = DURO_NEVER,
                         .waiting_on = DURO_STR("[]"),
                         .at_ms = f->now,
                         .turn_us = 100,
                         .events = duro_arena_dup(&f->arena, duro_buf_str(&b))};
  duro_buf_free(&b);
  return row;
}

static duro_instance_update *draft_update(draft *d, int64_t key, unsigned set) {
  duro_instance_update *u = &d->updates[d->b.update_count++];
  u->set = set;
  u->row.key = key;
  u->row.updated_at_ms = d->f->now;
  return u;
}

// The update that ends an instance.
UNUSED_FUNCTION duro_instance_update *draft_end(draft *d, int64_t key, duro_status status) {
  duro_instance_update *u = draft_update(d, key, DURO_SET_STATUS | DURO_SET_WAKE);
  u->row.status = status;
  u->row.completed_at_ms = d->f->now;
  u->row.wake_at_ms = DURO_NEVER;
  return u;
}

// Ends `execution` as continued and moves on to the next one.
UNUSED_FUNCTION void draft_continue(draft *d, int64_t key, int64_t execution, int64_t event_count) {
  fixture *f = d->f;
  d->executions[d->b.execution_count++] =
      (duro_execution_row){.instance_key = key,
                           .execution_id = execution,
                           .status = DURO_STATUS_CONTINUED_AS_NEW,
                           .version = DURO_STR("1.0"),
                           .started_at_ms = f->now - 10,
                           .completed_at_ms = f->now,
                           .event_count = event_count,
                           .reason = DURO_STR("again")};
  duro_instance_update *u = draft_update(d, key, DURO_SET_EXECUTION);
  u->row.execution_id = execution + 1;
  u->row.execution_started_at_ms = f->now;
  u->row.version = DURO_STR("1.1");
  u->row.vm = DURO_VM_C;
}

UNUSED_FUNCTION duro_message_row *draft_message(draft *d, int64_t key, const char *name) {
  duro_message_row *row = &d->messages[d->b.message_count++];
  duro_buf b = {0};
  duro_event e = {.kind = DURO_EVENT_EVENT_RECEIVED, .name = duro_str_from(name)};
  duro_event_encode(&b, &e, 0);
  *row = (duro_message_row){.id = ++d->marks.last_message_id,
                            .instance_key = key,
                            .execution_id = 1,
                            .body = duro_arena_dup(&d->f->arena, duro_buf_str(&b))};
  duro_buf_free(&b);
  return row;
}

UNUSED_FUNCTION duro_job_row *draft_job(draft *d, int64_t key, const char *queue) {
  duro_job_row *row = &d->jobs[d->b.job_count++];
  *row = (duro_job_row){.id = ++d->marks.last_job_id,
                        .instance_key = key,
                        .execution_id = 1,
                        .event_id = 2,
                        .attempt = 1,
                        .queue = keep(d->f, queue),
                        .name = DURO_STR("charge"),
                        .activity_id = DURO_STR("act-1"),
                        .instance_id = DURO_STR("a"),
                        .input = DURO_STR("[1,2]"),
                        .options = DURO_STR("{\"timeout\":5}"),
                        .created_at_ms = d->f->now};
  return row;
}

// --- Whole steps that many contracts need ---

// Inserts a running instance in a batch of its own. Returns its key, 0 when that failed.
UNUSED_FUNCTION int64_t insert_one(fixture *f, const char *id) {
  draft *d = draft_new(f);
  int64_t key = draft_insert(d, id)->key;
  return OK(f, draft_send(d)) ? key : 0;
}

UNUSED_FUNCTION bool add_turn(fixture *f, int64_t key, int64_t execution, int64_t first,
                              int64_t count) {
  draft *d = draft_new(f);
  draft_turn(d, key, execution, first, count);
  return OK(f, draft_send(d));
}

UNUSED_FUNCTION bool end_one(fixture *f, int64_t key, duro_status status) {
  draft *d = draft_new(f);
  draft_end(d, key, status);
  return OK(f, draft_send(d));
}

UNUSED_FUNCTION bool delete_one(fixture *f, int64_t key) {
  draft *d = draft_new(f);
  d->deletes[d->b.delete_count++] = key;
  return OK(f, draft_send(d));
}

UNUSED_FUNCTION bool fold_all(fixture *f) {
  size_t folded;
  do {
    if (!OK(f, duro__store_fold(f->s, f->epoch, f->now, 1000, &folded, &f->err))) return false;
  } while (folded);
  return true;
}

// --- Reads ---

UNUSED_FUNCTION bool exists(fixture *f, const char *id) {
  duro_instance_row row;
  duro_code code = duro__store_get(f->s, duro_str_from(id), &f->arena, &row, NULL);
  CHECK(code == DURO_OK || code == DURO_NOT_FOUND);
  return code == DURO_OK;
}

UNUSED_FUNCTION duro_instance_row get_by_key(fixture *f, int64_t key) {
  duro_instance_row row = {0};
  OK(f, duro__store_get_by_key(f->s, key, &f->arena, &row, &f->err));
  return row;
}

UNUSED_FUNCTION size_t message_count(fixture *f, int64_t key) {
  duro_message_row *rows;
  size_t count = 0;
  OK(f, duro__store_messages(f->s, key, &f->arena, &rows, &count, &f->err));
  return count;
}

// The ids of an execution's events as "1,2,3"; "" when there are none or the instance is not there.
UNUSED_FUNCTION const char *event_ids(fixture *f, const duro_texts *texts) {
  duro_events events;
  duro_buf b = {0};
  if (!OK(f, duro_events_decode(texts->items, texts->count, &f->arena, &events, &f->err)))
    return "?";
  for (size_t i = 0; i < events.count; i++) {
    if (i) duro_buf_add_char(&b, ',');
    duro_buf_add_int(&b, events.items[i].id);
  }
  const char *ids = shown(f, duro_buf_str(&b));
  duro_buf_free(&b);
  return ids;
}

UNUSED_FUNCTION const char *history_ids(fixture *f, int64_t key, int64_t execution) {
  duro_texts texts = {0};
  duro_code code = duro__store_history(f->s, key, execution, &f->arena, &texts, NULL);
  CHECK(code == DURO_OK || code == DURO_NOT_FOUND);
  return code ? "" : event_ids(f, &texts);
}

#endif
