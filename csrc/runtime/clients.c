// clients.c: the owner's side of other processes: their requests are rows in the file.
//
// A request's body is {"await": whether its sender waits for the answer, "adopt"?: its instance's row is
// there already, "context"?: on whose behalf, "args": as for duro_call}. Its answer goes into the batch of
// its effect, so a crash between the two is impossible; a row without an answer has had no effect, and the
// next owner takes it.
// Invariant: a row under way is in `rows`, so it is not taken twice, also when a fault of the store made
// us read from an earlier row again.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/audit.h"
#include "runtime/remote.h"

#define ROWS_PER_POLL 256
#define POLL_LEAST_MS 2  // while clients are busy
#define POLL_MOST_MS  20 // while nobody asks: what a first call waits for at most
#define KEEP_ANSWERS_NS                                                                            \
  UINT64_C(60000000000) // a client that has not fetched its answer by then is dead

typedef struct answered {
  int64_t row_id;
  uint64_t at_ns;
} answered;

struct duro__served {
  duro_map rows; // row id -> anything
  DURO__VEC(answered) answers;
  size_t first_answer; // those before it are cleared away
  bool more;           // the last look did not reach the end
  bool had_fault;
  int64_t poll_ms;
};

// In memory there are no other processes; but jobs of our own queues end as requests, too.
static bool nobody_else(const duro_runtime *rt) {
  return strcmp(rt->path, ":memory:") == 0 && !rt->claims;
}

static struct duro__served *served(duro_runtime *rt) {
  if (!rt->served) {
    rt->served = calloc(1, sizeof *rt->served);
    if (rt->served) {
      rt->served->more = true; // what is left from the owner before us
      rt->served->poll_ms = POLL_LEAST_MS;
    }
  }
  return rt->served;
}

// --- Rows under way and answered ones ---

void duro__served_remove(duro_runtime *rt, int64_t row_id) {
  if (rt->served) duro_map_remove_int(&rt->served->rows, row_id);
}

void duro__served_again(duro_runtime *rt, int64_t row_id) {
  if (row_id <= rt->last_request_row) rt->last_request_row = row_id - 1;
  rt->data_version = -1; // look at the next poll, whether somebody else wrote or not
}

void duro__served_answered(duro_runtime *rt, int64_t row_id) {
  struct duro__served *s = rt->served;
  answered *slot = s ? duro__vec_push(&s->answers) : NULL;
  if (slot) *slot = (answered){row_id, duro_clock_monotonic_ns()};
}

// Answers whose clients have died. An answer row without an answer deletes it.
static void clear_away(duro_runtime *rt, struct duro__served *s) {
  uint64_t now_ns = duro_clock_monotonic_ns();
  while (s->first_answer < s->answers.count &&
         now_ns - s->answers.items[s->first_answer].at_ns > KEEP_ANSWERS_NS) {
    duro__batch *b = duro__batch_open(rt);
    duro_request_row *row = b ? duro__vec_push(&b->answers) : NULL;
    if (!row) return;
    row->id = s->answers.items[s->first_answer++].row_id;
  }
  if (s->first_answer < s->answers.count / 2) return;
  size_t left = s->answers.count - s->first_answer;
  if (left) memmove(s->answers.items, s->answers.items + s->first_answer, left * sizeof(answered));
  s->answers.count = left;
  s->first_answer = 0;
}

// --- Taking requests ---

static int64_t adopted_key(duro_runtime *rt, const duro_request_row *row) {
  if (row->instance_key) return row->instance_key;
  duro_arena arena = {0};
  duro_instance_row instance;
  duro_code code = duro__store_get(rt->store, row->instance_id, &arena, &instance, NULL);
  int64_t key = code ? 0 : instance.key;
  duro_arena_free(&arena);
  return key;
}

static void serve(duro_runtime *rt, struct duro__served *s, const duro_request_row *row) {
  duro_request *r = duro__request_new(rt);
  if (!r || !duro_map_put_int(&s->rows, row->id, s)) {
    free(r); // the row stays, for a better moment
    return;
  }
  r->row_id = row->id;
  r->row_deleted = !duro_json_member_bool(row->body, "await", true);
  duro_str args = duro_json_member(row->body, "args");
  duro_str context = duro__member(row->body, "context");
  bool adopts = duro_json_member_bool(row->body, "adopt", false);
  bool fine = !context.p || (r->context = duro_str_dup(context));
  if (fine && adopts) fine = duro__audit_begin(r, row->kind, args);
  if (!fine) {
    duro__fail_memory(r);
  } else if (adopts) {
    duro__start_adopt(rt, r, adopted_key(rt, row), args);
  } else {
    duro__call_run(rt, r, row->kind, args);
  }
}

static bool take(duro_runtime *rt, struct duro__served *s) {
  duro_arena arena = {0};
  duro_request_row *rows = NULL;
  size_t count = 0;
  duro_error *err = NULL;
  duro_code code = duro__store_requests(rt->store, rt->last_request_row, ROWS_PER_POLL, &arena,
                                        &rows, &count, &err);
  if (code) {
    duro__log(rt, "warn", "requests of clients cannot be read: %s", err ? err->message : "");
    duro_error_free(err);
    count = 0;
  }
  s->more = count == ROWS_PER_POLL;
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    rt->last_request_row = rows[i].id;
    if (duro_map_get_int(&s->rows, rows[i].id)) continue;
    serve(rt, s, &rows[i]);
    any = true;
  }
  duro_arena_free(&arena);
  return any;
}

void duro__clients_take(duro_runtime *rt) {
  struct duro__served *s = nobody_else(rt) ? NULL : served(rt);
  if (s && !rt->fault && !rt->lost) take(rt, s);
}

static bool file_changed(duro_runtime *rt) {
  int64_t version;
  if (duro__store_data_version(rt->store, &version, NULL)) return false;
  bool changed = version != rt->data_version;
  rt->data_version = version;
  return changed;
}

static bool poll_is_due(duro_runtime *rt, const struct duro__served *s) {
  uint64_t gone_ns = rt->tick_ns - rt->last_poll_ns;
  if (!s->more && gone_ns < (uint64_t)s->poll_ms * 1000000) return false;
  rt->last_poll_ns = rt->tick_ns;
  return true;
}

bool duro__clients_poll(duro_runtime *rt) {
  struct duro__served *s = rt->lost || rt->closing ? NULL : served(rt);
  if (!s) return false;
  if (rt->fault || rt->resume_ns) {
    s->had_fault = true;
    return false;
  }
  if (s->had_fault) {
    s->had_fault = false;
    duro__waiters_check(rt); // somebody may wait for what went down with a batch
  }
  if (nobody_else(rt) || !poll_is_due(rt, s)) return false;
  clear_away(rt, s);
  bool changed = file_changed(rt);
  bool any =
      rt->posted && duro__remote_look(rt); // we were a client ourselves: we answer ourselves now
  if (changed || s->more) any |= take(rt, s);
  if (any)
    s->poll_ms = POLL_LEAST_MS;
  else if (s->poll_ms < POLL_MOST_MS)
    s->poll_ms++;
  return any;
}

static int64_t owner_poll_ms(const duro_runtime *rt) {
  if (nobody_else(rt) || rt->lost || rt->fault) return DURO_NEVER;
  if (!rt->served || rt->served->more) return 0;
  int64_t gone_ms = (int64_t)((duro_clock_monotonic_ns() - rt->last_poll_ns) / 1000000);
  int64_t left_ms = rt->served->poll_ms - gone_ms;
  return left_ms > 1 ? left_ms : 1;
}

int64_t duro__client_poll_ms(const duro_runtime *rt) {
  return rt->role == DURO_ROLE_RUNTIME ? owner_poll_ms(rt) : duro__remote_poll_ms(rt);
}

void duro__clients_free(duro_runtime *rt) {
  duro__remote_free(rt);
  if (!rt->served) return;
  duro_map_free(&rt->served->rows);
  free(rt->served->answers.items);
  free(rt->served);
  rt->served = NULL;
}
