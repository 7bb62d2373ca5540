// bulk_steps.c: bulk calls in slices. See bulk.h for why, and for what a call promises.
//
// The first of the queue has its slice behind the turns of each step. What it does goes into the open batch,
// which it holds (rt->holder): no batch is sealed meanwhile, so what others do there becomes durable together
// with it. Where its messages made turns ready, the next slice waits until those have run: the ready queue is
// first come, first served, so turns of others are never behind more than one slice.
// Invariant: while it holds the batch, its request is among those of the batch. So whatever befalls the batch
// answers it, and that ends the call (duro__bulk_forget); a call that fails spoils its batch.
// To add a verb: a duro__bulk_kind.
#include "runtime/bulk.h"

#include "runtime/answers.h"
#include "runtime/shown.h"

#define SLICE_NS     UINT64_C(2000000)
#define VIRTUAL_MOST 100 // a slice by a virtual clock, so that equal calls give equal histories
#define AT_ONCE      100 // so many are acted upon where they are chosen
#define CHUNK        50  // so many the filter is asked about by one question

typedef struct slice {
  uint64_t until_ns; // 0: no end
  size_t done, most;
  bool over;
} slice;

// Asked behind each one, so every slice has one at least.
static bool slice_over(slice *s) {
  s->done++;
  s->over = s->done >= s->most || (s->until_ns && duro_clock_monotonic_ns() >= s->until_ns);
  return s->over;
}

// However long the filter took, those it gave first are acted upon.
static void slice_begins(slice *s) {
  if (s->until_ns && !s->done) s->until_ns = duro_clock_monotonic_ns() + SLICE_NS;
}

// --- Its place in the queue ---

static void queue_add(duro_runtime *rt, duro__bulk *b) {
  duro__bulk **end = &rt->bulks;
  while (*end) end = &(*end)->next;
  *end = b;
  b->request->bulk = b;
}

static void leave(duro_runtime *rt, duro__bulk *b) {
  for (duro__bulk **at = &rt->bulks; *at; at = &(*at)->next) {
    if (*at != b) continue;
    *at = b->next;
    break;
  }
  if (rt->holder == b) rt->holder = NULL;
  b->request->bulk = NULL;
}

// Those that were not deleted after all: they are as their rows say, and come back when they are due.
static void release_stopped(duro_runtime *rt, duro__bulk *b) {
  bool any = false;
  for (size_t n = 0; n < b->stopped.count; n++) {
    duro__instance *i = duro__live_by_key(rt, b->stopped.items[n]);
    if (!i || !i->stopped || i->deleted) continue;
    i->stopped = false;
    any = true;
    if (!i->batches && !rt->closing) duro__instance_drop(rt, i);
  }
  if (any && !rt->closing) duro__sweep_start(rt, -1);
}

void duro__bulk_free(duro_runtime *rt, duro__bulk *b) {
  release_stopped(rt, b);
  duro_buf_free(&b->done);
  duro_buf_free(&b->failed);
  duro_buf_free(&b->third);
  duro_map_free(&b->deleted);
  free(b->rest.items);
  free(b->stopped.items);
  duro_arena_free(&b->arena);
  free(b);
}

void duro__bulk_forget(duro_request *r) {
  duro__bulk *b = r->bulk;
  if (!b) return;
  leave(r->rt, b);
  duro__bulk_free(r->rt, b);
}

// --- Its end ---

static void add_list(duro_buf *b, const char *key, const duro_buf *list) {
  duro__add_key(b, key);
  duro_buf_add_char(b, '[');
  duro_buf_add_str(b, duro_buf_str(list));
  duro_buf_add_char(b, ']');
}

static bool write_answer(duro_buf *answer, const duro__bulk *b) {
  duro_buf_clear(answer);
  duro_buf_add_char(answer, '{');
  add_list(answer, b->kind->done_key, &b->done);
  add_list(answer, "failed_instances", &b->failed);
  if (b->kind->third_key) add_list(answer, b->kind->third_key, &b->third);
  duro__add_int_member(answer, "total_matched", b->total < 0 ? b->matched : b->total);
  duro_buf_add_char(answer, '}');
  return !b->done.oom && !b->failed.oom && !b->third.oom && !answer->oom;
}

// Its batch goes out, with the answer.
static void let_go(duro_runtime *rt, duro__bulk *b, bool fine) {
  duro_request *r = b->request;
  leave(rt, b);
  if (fine)
    duro__request_joins(rt, rt->open, r);
  else
    rt->open->poisoned = true;
  duro__bulk_free(rt, b);
}

static void answer(duro_runtime *rt, duro__bulk *b) {
  duro_request *r = b->request;
  bool fine = write_answer(&r->answer, b), acted = !b->dry_run && (b->done.n || b->third.n);
  if (rt->holder == b) {
    let_go(rt, b, fine);
    return;
  }
  leave(rt, b);
  duro__bulk_free(rt, b);
  duro__batch *batch = acted ? duro__batch_open(rt) : NULL;
  if (batch) {
    if (!fine) batch->poisoned = true;
    duro__batch_answer(rt, batch, r);
  } else if (!fine || acted) {
    duro__fail_memory(r);
  } else {
    duro__request_durable(r);
  }
}

static void fail(duro_runtime *rt, duro__bulk *b, duro_code code, duro_error *err) {
  duro_request *r = b->request;
  if (rt->holder == b) {
    duro__batch_poison(rt, err);
    let_go(rt, b, false);
    return;
  }
  leave(rt, b);
  duro__bulk_free(rt, b);
  duro__fail_with(r, code, err);
}

// --- Acting ---

// The open batch is its own from now on. False: memory is out, and it has failed.
static bool hold(duro_runtime *rt, duro__bulk *b) {
  if (b->dry_run || rt->holder == b) return true;
  duro__batch *batch = duro__batch_open(rt);
  duro_request **slot = batch ? duro__vec_push(&batch->requests) : NULL;
  if (!slot) {
    duro_error *err = NULL;
    duro_code code = duro_fail_oom(&err);
    fail(rt, b, code, err);
    return false;
  }
  *slot = b->request;
  rt->holder = b;
  return true;
}

// What it is now may be ahead of its row, by a batch that is under way.
static bool still_matches(duro_runtime *rt, const duro__bulk *b, const duro_instance_row *row) {
  const duro__instance *i = duro__live_by_key(rt, row->key);
  if (!duro__row_visible(b->request, row)) return false;
  if (!i) return true;
  if (i->deleted) return false;
  return !b->filter.statuses || b->filter.statuses >> i->status & 1;
}

// Asks the filter again about the next few: what it gives is so when they are acted upon.
static duro_code confirm(duro_runtime *rt, duro__bulk *b, size_t count, duro_arena *arena,
                         duro_str *out, size_t *kept, duro_error **err) {
  duro_instance_rows rows = {0};
  duro_list_query query = {.filter = b->filter, .limit = count};
  query.filter.ids = b->ids + b->at;
  query.filter.id_count = count;
  *kept = 0;
  duro_code code = duro__store_list(rt->store, &query, arena, &rows, err);
  for (size_t i = 0; !code && i < rows.count; i++) {
    if (still_matches(rt, b, &rows.items[i])) out[(*kept)++] = rows.items[i].id;
  }
  return code;
}

static bool act_on(duro_runtime *rt, duro__bulk *b, duro_str id) {
  if (b->kind->act(rt, b, id, false)) return true;
  duro_str *slot = duro__vec_push(&b->rest);
  if (slot) *slot = duro_arena_dup(&b->arena, id);
  return slot && slot->p;
}

// --- Phases. Each returns false when it is not over: its slice is, or the call has failed. ---

// First come, first served; but ahead of all are those that a call begins.
static bool turns_wait(const duro_runtime *rt, const duro__bulk *b) {
  const duro__instance *first = rt->begun_tail ? rt->begun_tail->ready_next : rt->ready_head;
  return b->kind->turns && first && first->ready_ns <= b->turns_until_ns;
}

// Nothing more of it may happen before all that has begun is durable.
static void wait_for_batches(duro_runtime *rt, duro__bulk *b) {
  const duro__batch *newest = rt->holder != b && rt->open ? rt->open : rt->flight_tail;
  b->wait_batch = newest ? newest->rows.id : 0;
}

static bool stop_all(duro_runtime *rt, duro__bulk *b, slice *s) {
  while (b->at < b->count) {
    b->in_flight |= b->kind->stop(rt, b, b->ids[b->at++]);
    if (slice_over(s)) return false;
  }
  b->at = 0;
  if (!b->in_flight) return true;
  b->in_flight = false;
  wait_for_batches(rt, b);
  return false;
}

// Those of a chunk that this slice does not come to go back to the list: the next one asks about them again.
static bool give_back(duro__bulk *b, const duro_str *ids, size_t count) {
  b->at -= count;
  for (size_t n = 0; n < count; n++) b->ids[b->at + n] = duro_arena_dup(&b->arena, ids[n]);
  return !b->arena.oom;
}

static duro_code act_chunk(duro_runtime *rt, duro__bulk *b, slice *s, duro_error **err) {
  duro_arena arena = {0};
  duro_str some[CHUNK];
  size_t count = b->count - b->at < CHUNK ? b->count - b->at : CHUNK, n = 0;
  duro_code code = DURO_OK;
  if (!b->filtered) memcpy(some, b->ids + b->at, count * sizeof *some);
  size_t kept = count;
  if (b->filtered) code = confirm(rt, b, count, &arena, some, &kept, err);
  b->at += count;
  slice_begins(s);
  while (!code && n < kept) {
    b->matched++;
    if (!act_on(rt, b, some[n++])) code = duro_fail_oom(err);
    if (slice_over(s)) break;
  }
  if (!code && !give_back(b, some + n, kept - n)) code = duro_fail_oom(err);
  duro_arena_free(&arena);
  return code;
}

static bool act_all(duro_runtime *rt, duro__bulk *b, slice *s) {
  if (b->at < b->count && !b->at_once && !hold(rt, b)) return false;
  while (b->at < b->count && !s->over) {
    duro_error *err = NULL;
    duro_code code = act_chunk(rt, b, s, &err);
    if (code) {
      fail(rt, b, code, err);
      return false;
    }
  }
  if (b->kind->turns) b->turns_until_ns = duro__tick(rt);
  return b->at == b->count;
}

// Those of which something was in flight. While it holds the open batch, what is in that one stays there.
static bool act_on_rest(duro_runtime *rt, duro__bulk *b, slice *s) {
  bool last = !rt->in_flight || rt->closing;
  size_t kept = 0, n = 0, count = b->rest.count;
  while (n < count) {
    duro_str id = b->rest.items[n++];
    if (!b->kind->act(rt, b, id, last)) b->rest.items[kept++] = id;
    if (slice_over(s)) break;
  }
  memmove(b->rest.items + kept, b->rest.items + n, (count - n) * sizeof *b->rest.items);
  b->rest.count = kept + count - n;
  if (n == count) wait_for_batches(rt, b);
  return !b->rest.count;
}

static void work_on(duro_runtime *rt, duro__bulk *b, slice *s) {
  if (b->phase == DURO__BULK_STOP) {
    if (b->kind->stop && b->force && !b->dry_run && !stop_all(rt, b, s)) return;
    b->phase = DURO__BULK_ACT;
  }
  if (b->phase == DURO__BULK_ACT) {
    if (!act_all(rt, b, s)) return;
    b->phase = DURO__BULK_REST;
  }
  if (b->phase == DURO__BULK_REST) {
    if (b->rest.count && !act_on_rest(rt, b, s)) return;
    b->phase = DURO__BULK_TURNS;
  }
  if (turns_wait(rt, b) && !rt->closing) return;
  answer(rt, b);
}

// --- In the loop ---

bool duro__bulks_wait(const duro_runtime *rt) {
  const duro__bulk *b = rt->bulks;
  bool held = rt->holder == b;
  if (rt->committed_batch < b->wait_batch && (rt->in_flight || (!held && rt->open))) return true;
  if (turns_wait(rt, b)) return true;
  if (!b->kind->turns && rt->leaving) return true; // their last batch is durable, and not done with
  if (b->phase != DURO__BULK_ACT || held || b->dry_run || !rt->open) return false;
  return !b->kind->turns || !rt->options.virtual_clock; // what the open batch has goes out first
}

// All but the one that has begun: that one is answered with its batch.
static void fail_waiting(duro_runtime *rt, duro_code code) {
  for (duro__bulk *b = rt->bulks, *next; b; b = next) {
    next = b->next;
    if (b != rt->holder) duro__request_fail(b->request, code, "%s", duro_code_sentence(code));
  }
}

// The lease is lost: nothing more can be stored.
static void end_all(duro_runtime *rt) {
  duro__bulk *b = rt->holder;
  if (b && rt->open && !rt->fault) {
    duro_error *err = NULL;
    duro_fail(&err, DURO_LOCKED, "%s", duro_code_sentence(DURO_LOCKED));
    duro__batch_poison(rt, err);
    let_go(rt, b, false);
  }
  fail_waiting(rt, DURO_LOCKED);
}

bool duro__bulks_turn(duro_runtime *rt) {
  duro__bulk *b = rt->bulks;
  if (rt->lost) end_all(rt);
  if (rt->lost || duro__bulks_wait(rt)) return false;
  slice s = {.most = SIZE_MAX};
  if (rt->options.virtual_clock)
    s.most = VIRTUAL_MOST;
  else
    s.until_ns = duro__tick(rt) + SLICE_NS;
  rt->did_something = true;
  if (rt->holder == b && rt->open->poisoned)
    let_go(rt, b, false);
  else
    work_on(rt, b, &s);
  return true;
}

// A few messages go into the batch that is open anyway.
static void send_at_once(duro_runtime *rt, duro__bulk *b) {
  slice s = {.most = SIZE_MAX};
  b->at_once = true;
  if (!act_all(rt, b, &s)) return;
  if (!b->dry_run) duro__turns_now(rt);
  answer(rt, b);
}

void duro__bulk_work(duro_runtime *rt, duro__bulk *b) {
  slice s = {.most = SIZE_MAX};
  bool first = !rt->bulks, few = b->count <= AT_ONCE;
  if (first && few && b->kind->turns) {
    send_at_once(rt, b);
    return;
  }
  queue_add(rt, b);
  if (first && few && !rt->fault && !rt->lost && !duro__bulks_wait(rt)) work_on(rt, b, &s);
}

// The one that has begun goes to its end, as one batch; turns that it did not come to are stored as messages.
void duro__bulks_close(duro_runtime *rt) {
  slice s = {.most = SIZE_MAX};
  if (rt->holder && rt->open && !rt->fault && !rt->lost) work_on(rt, rt->holder, &s);
  fail_waiting(rt, DURO_CLOSED);
}
