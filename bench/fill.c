// fill: makes a file with many instances, through the store's own batches, for benchmarks of large files.
//
//   fill FILE INSTANCES [mixed|sleeping|STEPS]
//
// mixed: of a hundred instances 80 are completed, 5 failed, 5 cancelled and 10 running: 6 of those wait for
// an event, 4 for a timer far ahead. A tenth has attributes, a tenth is a child. sleeping: every one is a
// `sleeper` until the year 2100. STEPS, a number: every one is completed after that many activities. Ids are
// i-00000000 and so on, ten milliseconds apart; everything is folded at the end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "duro_store.h"

enum { PER_BATCH = 5000, STEP_MS = 10 };

typedef struct fill {
  duro_store *store;
  duro_batch batch;
  duro_arena arena;
  duro_instance_row inserts[PER_BATCH];
  duro_turn_row turns[PER_BATCH];
  duro_counter counters[3 * PER_BATCH];
  int64_t first_key;
  bool sleeping;
  int64_t steps; // of each instance; -1: mixed
} fill;

#define FAR_AHEAD_MS INT64_C(4102444800000) // 2100

static const char *const names[] = {"order.eu", "order.us", "order.asia", "invoice", "audit"};

static void check(duro_code code, duro_error *err) {
  if (!code) return;
  fprintf(stderr, "fill: %s: %s\n", duro_code_string(code), err ? err->message : "");
  exit(1);
}

static duro_str text(fill *f, const char *format, long long n) {
  char buffer[200];
  snprintf(buffer, sizeof buffer, format, n);
  return duro_arena_dup(&f->arena, duro_str_from(buffer));
}

static duro_status status_of(const fill *f, int64_t n) {
  if (f->sleeping) return DURO_STATUS_RUNNING;
  if (f->steps >= 0) return DURO_STATUS_COMPLETED;
  int64_t part = n * 37 % 100;
  return part < 80   ? DURO_STATUS_COMPLETED
         : part < 85 ? DURO_STATUS_FAILED
         : part < 90 ? DURO_STATUS_CANCELLED
                     : DURO_STATUS_RUNNING;
}

// Each step is scheduled and completed.
static void add_steps(fill *f, duro_buf *b, int64_t at_ms) {
  for (int64_t k = 0; k < f->steps; k++) {
    duro_event scheduled = {.id = 2 + 2 * k,
                            .kind = DURO_EVENT_ACTIVITY_SCHEDULED,
                            .at_ms = at_ms,
                            .name = DURO_STR("noop"),
                            .input = text(f, "%lld", (long long)k + 1)};
    duro_event completed = {.id = 3 + 2 * k,
                            .kind = DURO_EVENT_ACTIVITY_COMPLETED,
                            .at_ms = at_ms,
                            .source = scheduled.id,
                            .output = scheduled.input};
    duro_buf_add_char(b, ',');
    duro_event_encode(b, &scheduled, at_ms);
    duro_buf_add_char(b, ',');
    duro_event_encode(b, &completed, at_ms);
  }
}

static int64_t event_count(const fill *f) { return f->steps > 0 ? 2 + 2 * f->steps : 2; }

static duro_str events_of(fill *f, const duro_instance_row *row, int64_t n) {
  duro_buf b = {0};
  duro_event started = {
      .id = 1,
      .kind = DURO_EVENT_ORCHESTRATION_STARTED,
      .at_ms = row->created_at_ms,
      .name = row->name,
      .version = row->version,
      .input = f->sleeping ? DURO_STR("4102444800")
               : f->steps >= 0
                   ? text(f, "%lld", (long long)f->steps)
                   : text(f, "{\"customer\":{\"id\":%lld,\"name\":\"somebody\"}}", (long long)n),
      .run_id = row->run_id};
  duro_event last = {.id = event_count(f), .at_ms = row->created_at_ms};
  last.kind = row->status == DURO_STATUS_COMPLETED   ? DURO_EVENT_ORCHESTRATION_COMPLETED
              : row->status == DURO_STATUS_FAILED    ? DURO_EVENT_ORCHESTRATION_FAILED
              : row->status == DURO_STATUS_CANCELLED ? DURO_EVENT_ORCHESTRATION_CANCELLED
              : row->wake_at_ms == DURO_NEVER        ? DURO_EVENT_EVENT_SUBSCRIBED
                                                     : DURO_EVENT_TIMER_CREATED;
  last.output = row->output;
  last.error = row->error;
  if (last.kind == DURO_EVENT_EVENT_SUBSCRIBED) last.name = DURO_STR("paid");
  if (last.kind == DURO_EVENT_TIMER_CREATED) last.fire_at_ms = row->wake_at_ms;
  duro_buf_add_char(&b, '[');
  duro_event_encode(&b, &started, 0);
  add_steps(f, &b, started.at_ms);
  duro_buf_add_char(&b, ',');
  duro_event_encode(&b, &last, started.at_ms);
  duro_buf_add_char(&b, ']');
  duro_str events = duro_arena_dup(&f->arena, duro_buf_str(&b));
  duro_buf_free(&b);
  return events;
}

// What the runtime would have counted (csrc/runtime/metrics.c).
static void add_counters(fill *f, const duro_instance_row *row, int64_t minute_ms) {
  duro_batch *b = &f->batch;
  static const duro_str levels[] = {
#define X(name, string, final) DURO_STR("in_" string),
      DURO_STATUSES(X)
#undef X
  };
  duro_str status = duro_str_from(duro_status_string(row->status));
  f->counters[b->counter_count++] = (duro_counter){row->name, DURO_STR("started"), minute_ms, 1};
  f->counters[b->counter_count++] = (duro_counter){row->name, levels[row->status], 0, 1};
  if (duro_status_final(row->status))
    f->counters[b->counter_count++] = (duro_counter){row->name, status, minute_ms, 1};
}

static void add(fill *f, int64_t n, int64_t at_ms) {
  duro_batch *b = &f->batch;
  duro_instance_row *row = &f->inserts[b->insert_count++];
  bool mixed = !f->sleeping && f->steps < 0, waits = mixed && n * 37 % 100 < 96;
  *row = (duro_instance_row){
      .key = b->last_key = duro_key_next(b->last_key, at_ms, false),
      .id = text(f, "i-%08lld", (long long)n),
      .run_id = text(f, "%032llx", (long long)n),
      .name = f->sleeping     ? DURO_STR("sleeper")
              : f->steps >= 0 ? DURO_STR("steps")
                              : duro_str_from(names[n % 5]),
      .version = DURO_STR("1.0.0"),
      .status = status_of(f, n),
      .created_at_ms = at_ms,
      .updated_at_ms = at_ms,
      .execution_id = 1,
      .execution_started_at_ms = at_ms,
      .wake_at_ms = DURO_NEVER,
      .waiting_on = DURO_STR("[]"),
  };
  if (mixed && n % 10 == 1)
    row->attributes = text(f, "{\"region\":\"eu\",\"customer\":%lld}", (long long)n % 1000);
  if (mixed && n % 10 == 2 && f->first_key) {
    row->parent_key = f->first_key;
    row->parent_id = DURO_STR("i-00000000");
    row->parent_event_id = 2;
    row->parent_execution_id = row->depth = 1;
  }
  if (!f->first_key) f->first_key = row->key;
  if (row->status == DURO_STATUS_COMPLETED) row->output = text(f, "{\"total\":%lld}", (long long)n);
  if (row->status == DURO_STATUS_FAILED)
    row->error = text(f, "{\"code\":\"failed\",\"message\":\"belt %lld\"}", (long long)n % 50);
  if (row->status == DURO_STATUS_CANCELLED)
    row->error = DURO_STR("{\"code\":\"cancelled\",\"message\":\"no need\"}");
  if (row->status != DURO_STATUS_RUNNING) row->completed_at_ms = at_ms;
  if (row->status == DURO_STATUS_RUNNING && !waits) row->wake_at_ms = FAR_AHEAD_MS;
  duro_turn_row *turn = &f->turns[b->turn_count++];
  *turn = (duro_turn_row){.seq = ++b->last_seq,
                          .instance_key = row->key,
                          .execution_id = 1,
                          .first_event_id = 1,
                          .event_count = event_count(f),
                          .status = row->status,
                          .wake_at_ms = row->wake_at_ms,
                          .waiting_on = row->waiting_on,
                          .at_ms = at_ms,
                          .turn_us = 5,
                          .events = events_of(f, row, n)};
  if (row->status == DURO_STATUS_RUNNING) {
    turn->waiting_on = waits ? DURO_STR("[\"event:paid\"]") : DURO_STR("[\"timer\"]");
  }
  add_counters(f, row, at_ms - at_ms % 60000);
}

static void commit(fill *f, int64_t at_ms) {
  duro_batch *b = &f->batch;
  duro_error *err = NULL;
  b->previous = b->id++;
  b->now_ms = at_ms;
  b->inserts = f->inserts;
  b->turns = f->turns;
  b->counters = f->counters;
  check(duro_store_sqlite.commit(f->store, b, &err), err);
  b->insert_count = b->turn_count = b->counter_count = 0;
  duro_arena_reset(&f->arena);
  size_t folded = 0;
  check(duro_store_sqlite.fold(f->store, b->epoch, at_ms, 25000, &folded, &err), err);
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  int64_t instances = atoll(arguments[2]), now_ms = duro_clock_wall_ms();
  duro_store_options options = {
      .path = arguments[1], .now_ms = now_ms, .feed_retention_ms = 1, .feed_max_bytes = 1 << 20};
  duro_error *err = NULL;
  duro_arena arena = {0};
  duro_store_marks marks;
  duro_lease wanted = {.owner = DURO_STR("fill"),
                       .host = DURO_STR("fill"),
                       .pid = 1,
                       .acquired_at_ms = now_ms,
                       .expires_at_ms = now_ms + 60000},
             held;
  fill *f = calloc(1, sizeof *f);
  if (!f) return 1;
  const char *kind = count > 3 ? arguments[3] : "mixed";
  f->sleeping = strcmp(kind, "sleeping") == 0;
  f->steps = f->sleeping || strcmp(kind, "mixed") == 0 ? -1 : atoll(kind);
  check(duro_store_sqlite.open(&options, &f->store, &err), err);
  check(duro_store_sqlite.acquire(f->store, &wanted, true, now_ms, &arena, &held, &err), err);
  check(duro_store_sqlite.marks(f->store, &arena, &marks, &err), err);
  f->batch.id = marks.last_batch;
  f->batch.epoch = marks.epoch;
  f->batch.last_seq = marks.last_seq;
  f->batch.last_key = marks.last_key;
  f->batch.last_message_id = marks.last_message_id;
  f->batch.last_job_id = marks.last_job_id;
  int64_t at_ms = now_ms - (instances + 1) * STEP_MS;
  for (int64_t n = 0; n < instances; n++, at_ms += STEP_MS) {
    add(f, n, at_ms);
    if (f->batch.insert_count == PER_BATCH || n + 1 == instances) commit(f, at_ms);
  }
  check(duro_store_sqlite.release(f->store, f->batch.epoch, &err), err);
  if (duro_store_sqlite.checkpoint) duro_store_sqlite.checkpoint(f->store, NULL);
  duro_store_sqlite.close(f->store);
  duro_arena_free(&arena);
  duro_arena_free(&f->arena);
  free(f);
  return 0;
}
