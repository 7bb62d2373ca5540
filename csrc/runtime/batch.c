// batch.c: the open batch, those in flight, and what happens when one is durable (else: fault.c).
//
// While one batch is being written the next one fills; it is handed over as soon as the store is free
// or it is full, so latency is one commit and throughput grows with load.
//
// Invariant: a batch's consumed messages, requests and effects stay with it until it is durable.
#include "runtime/answers.h"
#include "runtime/feed.h"
#include "runtime/figures.h"
#include "runtime/internal.h"
#include "runtime/shown.h"

#define TURNS_PER_BATCH_MIN 100
#define LEAVE_AT_ONCE       1000 // more instances than a batch has turns: it had a bulk call

// --- The open batch ---

duro__batch *duro__batch_open(duro_runtime *rt) {
  if (rt->open) return rt->open;
  duro__batch *b = rt->batch_pool;
  if (b)
    rt->batch_pool = b->next;
  else
    b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->next = NULL;
  b->rows.id = ++rt->last_batch;
  rt->open = b;
  return b;
}

void duro__batch_touch(duro_runtime *rt, duro__batch *b, duro__instance *i) {
  (void)rt;
  if (i->last_batch == b->rows.id) return;
  duro__instance **slot = duro__vec_push(&b->touched);
  if (!slot) {
    b->poisoned = true;
    return;
  }
  *slot = i;
  i->last_batch = b->rows.id;
  i->batches++;
}

void duro__batch_answer(duro_runtime *rt, duro__batch *b, duro_request *r) {
  duro__request_joins(rt, b, r);
  duro_request **slot = duro__vec_push(&b->requests);
  if (slot)
    *slot = r;
  else
    b->poisoned = true;
}

void duro__batch_add_message(duro_runtime *rt, duro__batch *b, duro_message *m) {
  duro_message_row *row = duro__vec_push(&b->messages);
  duro_buf body = {0};
  duro_message_encode(&body, m);
  if (!row || body.oom) {
    b->poisoned = true;
    duro_buf_free(&body);
    return;
  }
  m->row_id = row->id = ++rt->last_message_id;
  row->instance_key = m->instance_key;
  row->execution_id = m->execution_id;
  row->body = duro_arena_dup(&b->arena, duro_buf_str(&body));
  duro_buf_free(&body);
}

void duro__batch_poison(duro_runtime *rt, duro_error *err) {
  duro__batch *b = duro__batch_open(rt);
  if (!b) {
    duro_error_free(err);
    return;
  }
  b->poisoned = true;
  if (b->error)
    duro_error_free(err);
  else
    b->error = err;
}

static void batch_clear(duro__batch *b) {
  b->inserts.count = b->turns.count = b->updates.count = b->executions.count = 0;
  b->messages.count = b->messages_done.count = b->answers.count = b->deletes.count = 0;
  b->prunes.count = 0;
  b->jobs.count = b->jobs_done.count = b->audit.count = 0;
  b->counters.count = b->touched.count = b->after.count = b->requests.count = 0;
  for (duro_message *m = b->consumed, *next; m; m = next) {
    next = m->next;
    duro_message_free(m);
  }
  b->consumed = NULL;
  duro_error_free(b->error);
  b->error = NULL;
  b->code = DURO_OK;
  b->poisoned = b->tried_again = false;
  b->turn_count = b->left = 0;
  b->kinds = 0;
  memset(&b->rows, 0, sizeof b->rows);
  duro_arena_reset(&b->arena);
  b->arena.oom = false;
}

void duro__batch_recycle(duro_runtime *rt, duro__batch *b) {
  for (size_t n = 0; n < b->deletes.count; n++)
    duro_map_remove_int(&rt->deleting, b->deletes.items[n]);
  batch_clear(b);
  b->next = rt->batch_pool;
  rt->batch_pool = b;
}

static void batch_destroy(duro__batch *b) {
  if (!b) return;
  batch_clear(b);
  free(b->inserts.items);
  free(b->turns.items);
  free(b->updates.items);
  free(b->executions.items);
  free(b->messages.items);
  free(b->messages_done.items);
  free(b->jobs.items);
  free(b->jobs_done.items);
  free(b->answers.items);
  free(b->deletes.items);
  free(b->prunes.items);
  free(b->counters.items);
  free(b->audit.items);
  free(b->touched.items);
  free(b->after.items);
  free(b->requests.items);
  duro_arena_free(&b->arena);
  free(b);
}

static void chain_destroy(duro__batch *b) {
  while (b) {
    duro__batch *next = b->next;
    batch_destroy(b);
    b = next;
  }
}

void duro__batches_free(duro_runtime *rt) {
  chain_destroy(rt->batch_pool);
  chain_destroy(rt->open);
  chain_destroy(rt->flight_head);
  chain_destroy(rt->failed_head);
  chain_destroy(rt->leaving);
  rt->batch_pool = rt->open = rt->flight_head = rt->failed_head = rt->leaving = NULL;
  for (duro_message *m = rt->kept, *next; m; m = next) {
    next = m->next;
    duro_message_free(m);
  }
  rt->kept = NULL;
}

// --- Sealing ---

void duro__batch_keep_inbox(duro_runtime *rt, duro__batch *b, duro__instance *i) {
  bool any = false;
  duro_message *m = i->keep_from;
  i->keep_from = NULL;
  for (; m; m = m->next) {
    if (!m->must_keep || m->row_id) continue;
    duro__batch_add_message(rt, b, m);
    if (!m->row_id && !i->keep_from) i->keep_from = m; // memory is out
    any = true;
  }
  if (!any) return;
  duro__batch_touch(rt, b, i);
  if (i->needs_insert)
    duro__instance_insert(rt, b, i, NULL);
  else if (i->insert_batch != b->rows.id || i->last_seq)
    duro__row_wake(rt, b, i, 0); // else its new row says so
}

void duro__batch_spill(duro_runtime *rt, duro__batch *b) {
  for (duro__instance *i; (i = rt->keeping_head);) {
    duro__keep_looked(rt, i);
    if (i->ready) duro__batch_keep_inbox(rt, b, i); // else it comes back when it is
  }
}

static void batch_rows(duro_runtime *rt, duro__batch *b) {
  duro_batch *rows = &b->rows;
  rows->previous = rt->sealed_batch;
  rows->epoch = rt->epoch;
  rows->now_ms = duro__now(rt);
  rows->last_seq = rt->last_seq;
  rows->last_key = rt->last_key;
  rows->last_message_id = rt->last_message_id;
  rows->last_job_id = rt->last_job_id;
#define ROWS(member, count_member)                                                                 \
  (rows->member = b->member.items, rows->count_member = b->member.count)
  ROWS(inserts, insert_count);
  ROWS(turns, turn_count);
  ROWS(updates, update_count);
  ROWS(executions, execution_count);
  ROWS(messages, message_count);
  ROWS(messages_done, messages_done_count);
  ROWS(jobs, job_count);
  ROWS(jobs_done, jobs_done_count);
  ROWS(answers, answer_count);
  ROWS(deletes, delete_count);
  ROWS(prunes, prune_count);
  ROWS(counters, counter_count);
  ROWS(audit, audit_count);
#undef ROWS
  bool more = b->audit.count && rt->last_audit_id > DURO_AUDIT_BYTES;
  rows->audit_forget_to = more ? rt->last_audit_id - DURO_AUDIT_BYTES : 0;
}

static void commit_run(duro_runtime *rt, duro__command *c) {
  duro__batch *b = c->subject;
  b->code = duro__store_commit(rt->store, &b->rows, &b->error);
}

static void commit_done(duro_runtime *rt, duro__command *c) {
  duro__batch_finished(rt, c->subject);
}

static duro__command *commit_of(duro__batch *b) {
  b->commit = (duro__command){.run = commit_run, .done = commit_done, .subject = b};
  return &b->commit;
}

// Until the batch in flight is durable this thread would only wait; and not for long. By a virtual clock
// the order of what happens may not depend on who commits, so there it is always the store thread.
static bool nothing_else(const duro_runtime *rt) {
  return rt->may_block && !rt->options.virtual_clock &&
         rt->flight_tail->touched.count <= DURO_BATCH_TURNS && rt->in_flight == 1 &&
         !rt->ready_count && !rt->jobs_out && !rt->ready_jobs.head && !rt->woken_jobs.head;
}

static void seal(duro_runtime *rt) {
  duro__batch *b = rt->open;
  rt->begun_tail = NULL;
  duro__batch_spill(rt, b);
  duro__counts_to_batch(rt, b);
  duro__figures_to_batch(rt, b);
  rt->open = NULL;
  if (b->poisoned || b->arena.oom) {
    b->code = b->error ? b->error->code : duro_fail_oom(&b->error);
    duro__batch_fail(rt, b);
    return;
  }
  batch_rows(rt, b);
  rt->sealed_batch = b->rows.id;
  b->next = NULL;
  if (rt->flight_tail)
    rt->flight_tail->next = b;
  else
    rt->flight_head = b;
  rt->flight_tail = b;
  rt->in_flight++;
  duro__command *c = commit_of(b);
  if (!nothing_else(rt) || !duro__writer_borrow(rt, c)) duro__writer_push(rt, c);
}

size_t duro__batch_limit(const duro_runtime *rt) {
  size_t limit = rt->live_count / 3;
  if (limit < TURNS_PER_BATCH_MIN) limit = TURNS_PER_BATCH_MIN;
  return limit > DURO_BATCH_TURNS ? DURO_BATCH_TURNS : limit;
}

// A batch that a call begins many instances in has their first turns too: else each start would be stored
// as a message, only to be taken back by the next batch.
bool duro__batch_full(const duro_runtime *rt) {
  return rt->open && !rt->begun_tail && rt->open->turn_count >= duro__batch_limit(rt);
}

static bool begins(const duro_runtime *rt) {
  return rt->begun_tail && !rt->open->poisoned && !rt->resume_ns && !rt->starved_ns && !rt->closing;
}

bool duro__batches_turn(duro_runtime *rt) {
  duro__starts_admit(rt);
  if (!rt->open || rt->fault || rt->again || rt->holder || begins(rt)) return false;
  bool store_free = rt->in_flight == 0;
  bool full = duro__batch_full(rt) && !rt->options.virtual_clock;
  if (!store_free && !(full && rt->in_flight < DURO_BATCHES_IN_FLIGHT)) return false;
  // With the virtual clock a batch is all that can happen now, so that equal calls give equal histories.
  if (rt->options.virtual_clock && rt->ready_count && !rt->open->poisoned) return false;
  seal(rt);
  return true;
}

// --- Durable ---

static void leave_batch(duro_runtime *rt, duro__instance *i) {
  i->batches--;
  if (i->batches) return;
  if (i->gone && i->stopped && !i->deleted) return;
  if (i->gone)
    duro__instance_drop(rt, i);
  else if (i->waits_commit) {
    i->waits_commit = false;
    duro__instance_ready(rt, i);
  } else
    duro__instance_touch(rt, i);
}

// Many leave in slices: their coroutines are freed here. An id that was deleted is free at once.
static void leave_later(duro_runtime *rt, duro__batch *b) {
  for (size_t k = 0; k < b->touched.count; k++) {
    duro__instance *i = b->touched.items[k];
    if (i->deleted && duro_map_get(&rt->by_id, i->id) == i) duro_map_remove(&rt->by_id, i->id);
  }
  duro__batches_leave(rt, UINT64_MAX); // one at a time: else who is fast would fill the memory
  b->next = NULL;
  rt->leaving = b;
}

bool duro__batches_leave(duro_runtime *rt, uint64_t most_ns) {
  bool any = rt->leaving != NULL;
  uint64_t from_ns = any ? duro_clock_monotonic_ns() : 0;
  for (duro__batch *b; (b = rt->leaving);) {
    while (b->left < b->touched.count) {
      leave_batch(rt, b->touched.items[b->left++]);
      if (duro_clock_monotonic_ns() - from_ns >= most_ns) return true;
    }
    rt->leaving = b->next;
    duro__batch_recycle(rt, b);
  }
  return any;
}

// How many in a row are like the first: of one kind, instance and execution.
static size_t alike(const duro__after *a, size_t count) {
  size_t n = 1;
  while (n < count && a[n].kind == a->kind && a[n].instance == a->instance &&
         a[n].execution_id == a->execution_id) {
    n++;
  }
  return n;
}

static void effects(duro_runtime *rt, duro__batch *b) {
  for (size_t k = 0, n; k < b->after.count; k += n) {
    const duro__after *a = &b->after.items[k];
    duro__instance *i = a->instance;
    n = 1;
    if (a->kind == DURO__AFTER_CANCEL_JOB) {
      n = alike(a, b->after.count - k);
      duro__jobs_cancel_tasks(rt, a, n);
      continue;
    }
    if (!i->exec || i->gone || i->execution_id != a->execution_id) continue;
    duro__job_begin(rt, a);
  }
}

void duro__batch_durable(duro_runtime *rt, duro__batch *b) {
  int64_t before_seq = rt->committed_seq;
  rt->committed_batch = b->rows.id;
  rt->committed_seq = b->rows.last_seq;
  rt->totals.commits++;
  duro__counts_durable(rt, b);
  rt->fault_delay_ns = 0;
  rt->verify_ids = false;
  rt->jobs_changed |= b->jobs.count > 0 || b->jobs_done.count > 0;
  duro__shown_update(rt, b);
  effects(rt, b);
  for (size_t k = 0; k < b->requests.count; k++) duro__request_durable(b->requests.items[k]);
  duro__waiters_durable(rt, b);
  if (b->turns.count) duro__streams_durable(rt, b, before_seq);
  if (b->touched.count > LEAVE_AT_ONCE && !rt->options.virtual_clock) {
    leave_later(rt, b);
    return;
  }
  for (size_t k = 0; k < b->touched.count; k++) leave_batch(rt, b->touched.items[k]);
  duro__batch_recycle(rt, b);
}

// Memory was out for the store: the host is told, and gives back what it can before the next step begins.
// Only without others behind it, which would have failed with it.
static bool try_again(duro_runtime *rt, duro__batch *b) {
  if (b->code != DURO_OUT_OF_MEMORY || b->tried_again || rt->fault || rt->flight_head) return false;
  duro__memory_out(rt, NULL);
  duro_error_free(b->error);
  b->error = NULL;
  b->code = DURO_OK;
  b->tried_again = true;
  rt->flight_head = rt->flight_tail = rt->again = b;
  rt->in_flight++;
  return true;
}

void duro__batch_again(duro_runtime *rt) {
  duro__batch *b = rt->again;
  if (!b) return;
  rt->again = NULL;
  duro__writer_push(rt, commit_of(b));
}

void duro__batch_finished(duro_runtime *rt, duro__batch *b) {
  rt->flight_head = b->next;
  if (!rt->flight_head) rt->flight_tail = NULL;
  rt->in_flight--;
  b->next = NULL;
  rt->did_something = true;
  if (try_again(rt, b)) return;
  if (b->code || rt->fault)
    duro__batch_fail(rt, b);
  else
    duro__batch_durable(rt, b);
}
