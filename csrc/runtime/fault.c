// fault.c: a batch that could not be stored.
//
// Batches form a chain: when one fails, every later one fails with it. The store is asked (`probe`) which
// of them it holds after all; every instance that a lost one touched is dropped, and loaded again after a
// pause, so that what is in memory is what the file says.
//
// Invariant: nothing is sealed between the first failure and the probe's answer.
#include "runtime/internal.h"

#define FAULT_DELAY_MIN_NS UINT64_C(50000000)
#define FAULT_DELAY_MAX_NS UINT64_C(1000000000)

void duro__batch_fail(duro_runtime *rt, duro__batch *b) {
  if (!rt->fault) {
    duro__batches_leave(rt, UINT64_MAX); // those are stored
    duro__log(rt, "error", "a batch could not be stored: %s",
              b->error ? b->error->message : duro_code_string(b->code));
    rt->fault = true;
    rt->probing = false;
    rt->fault_retry_ns = 0;
    if (b->code == DURO_ALREADY_EXISTS) rt->verify_ids = true;
    if (b->code == DURO_LOCKED) rt->lost = true;
  }
  if (b->code == DURO_OUT_OF_MEMORY) duro__memory_out(rt, NULL);
  b->next = NULL;
  if (rt->failed_tail)
    rt->failed_tail->next = b;
  else
    rt->failed_head = b;
  rt->failed_tail = b;
}

static void keep(duro_runtime *rt, duro_message *m) {
  m->next = rt->kept;
  rt->kept = m;
}

// Whether a message is worth more than what a replay brings back: results of activities that have run,
// and calls that still want an answer. Rows are read again with their instance; what other instances
// sent is sent again by them; timers fire again.
static bool worth_keeping(const duro_message *m) {
  if (m->row_id || m->request_id || m->must_keep) return false;
  return m->event.kind == DURO_EVENT_ACTIVITY_COMPLETED ||
         m->event.kind == DURO_EVENT_ACTIVITY_FAILED || m->waiter;
}

static void forget_instance(duro_runtime *rt, duro__instance *i) {
  i->batches = 0;
  duro_message *m = i->inbox_head;
  i->inbox_head = i->inbox_tail = NULL;
  i->inbox_count = 0;
  while (m) {
    duro_message *next = m->next;
    m->next = NULL;
    if (worth_keeping(m))
      keep(rt, m);
    else {
      if (m->request_id && m->request_id <= rt->last_request_row) {
        rt->last_request_row = m->request_id - 1;
      }
      duro_message_free(m);
    }
    m = next;
  }
  int64_t *key = duro__vec_push(&rt->reload);
  if (key)
    *key = i->key;
  else
    duro__memory_out(rt, NULL);
  duro__instance_drop(rt, i);
}

// With what went wrong with it, or with the first of those that fall.
static void fail_requests(duro__batch *b, const duro__batch *first) {
  for (size_t k = 0; k < b->requests.count; k++) {
    duro_request *r = b->requests.items[k];
    if (b->error)
      duro__request_fail(r, b->code, "%s", b->error->message);
    else if (first->error)
      duro__request_fail(r, first->code, "an earlier batch could not be stored: %s",
                         first->error->message);
    else
      duro__request_fail(r, DURO_STORAGE, "an earlier batch could not be stored");
  }
}

static void batch_rollback(duro_runtime *rt, duro__batch *b, const duro__batch *first) {
  fail_requests(b, first);
  duro_message *m = b->consumed;
  b->consumed = NULL;
  while (m) {
    duro_message *next = m->next;
    m->next = NULL;
    if (m->request_id && m->request_id <= rt->last_request_row) {
      rt->last_request_row = m->request_id - 1;
    }
    m->waiter = NULL; // answered above
    if (worth_keeping(m))
      keep(rt, m);
    else
      duro_message_free(m);
    m = next;
  }
  for (size_t k = 0; k < b->touched.count; k++) b->touched.items[k]->doomed = true;
}

static void probe_run(duro_runtime *rt, duro__command *c) {
  duro_store_marks marks;
  c->code = duro__store_marks(rt->store, &c->arena, &marks, &c->error);
  if (!c->code) {
    c->number = marks.last_batch;
    c->number2 = marks.last_seq;
  }
}

static void doomed_forget(duro_runtime *rt, duro__batch *failed) {
  for (duro__batch *b = failed; b; b = b->next) {
    for (size_t k = 0; k < b->touched.count; k++) {
      duro__instance *i = b->touched.items[k];
      if (!i || !i->doomed) continue;
      // It may stand in several batches: make the others forget it before it goes.
      for (duro__batch *other = b; other; other = other->next) {
        for (size_t n = 0; n < other->touched.count; n++) {
          if (other->touched.items[n] == i) other->touched.items[n] = NULL;
        }
      }
      forget_instance(rt, i);
    }
    b->touched.count = 0;
  }
}

static void probe_done(duro_runtime *rt, duro__command *c) {
  rt->probing = false;
  if (rt->fault_delay_ns == 0)
    rt->fault_delay_ns = FAULT_DELAY_MIN_NS;
  else
    rt->fault_delay_ns *= 2;
  if (rt->fault_delay_ns > FAULT_DELAY_MAX_NS) rt->fault_delay_ns = FAULT_DELAY_MAX_NS;
  rt->fault_retry_ns = duro_clock_monotonic_ns() + rt->fault_delay_ns;
  if (c->code) { // not even that: nobody knows yet, and nobody shall wait for it
    for (duro__batch *b = rt->failed_head; b; b = b->next) {
      for (size_t k = 0; k < b->requests.count; k++) {
        duro__request_fail(b->requests.items[k], DURO_STORAGE,
                           "the store does not answer, so the outcome is not known: %s",
                           c->error ? c->error->message : "");
      }
      b->requests.count = 0;
      for (duro_message *m = b->consumed; m; m = m->next) m->waiter = NULL;
    }
    if (c->code == DURO_CLOSED || rt->closing) rt->lost = true;
  } else {
    duro__batch *failed = rt->failed_head;
    rt->failed_head = rt->failed_tail = NULL;
    while (failed && failed->rows.id <= c->number) { // it had been stored after all
      duro__batch *next = failed->next;
      failed->next = NULL;
      duro__batch_durable(rt, failed);
      failed = next;
    }
    for (duro__batch *b = failed; b; b = b->next) batch_rollback(rt, b, failed);
    doomed_forget(rt, failed);
    while (failed) {
      duro__batch *next = failed->next;
      duro__batch_recycle(rt, failed);
      failed = next;
    }
    rt->committed_batch = rt->sealed_batch = c->number;
    rt->committed_seq = c->number2;
    rt->fault = false;
    rt->resume_ns = rt->fault_retry_ns;
  }
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
  rt->did_something = true;
}

// Loads what was dropped, once the pause is over. False when the store still fails.
static bool reload(duro_runtime *rt) {
  while (rt->reload.count) {
    int64_t key = rt->reload.items[rt->reload.count - 1];
    duro__instance *i = NULL;
    duro_status ended;
    duro_error *err = NULL;
    duro_code code = duro__instance_fetch_by_key(rt, key, &i, &ended, &err);
    if (code && code != DURO_NOT_FOUND) {
      duro__log(rt, "error", "an instance could not be loaded again: %s", err ? err->message : "");
      duro_error_free(err);
      return false;
    }
    duro_error_free(err);
    rt->reload.count--;
    if (i) duro__instance_ready(rt, i);
  }
  duro_message *in_order = duro_message_reverse(rt->kept); // `kept` is newest first
  rt->kept = NULL;
  while (in_order) {
    duro_message *next = in_order->next;
    in_order->next = NULL;
    duro__instance *i = duro__live_by_key(rt, in_order->instance_key);
    if (i)
      duro__deliver(rt, i, in_order);
    else {
      if (in_order->waiter) {
        duro__request_fail(in_order->waiter, DURO_STORAGE, "the store failed meanwhile: try again");
      }
      duro_message_free(in_order);
    }
    in_order = next;
  }
  return true;
}

bool duro__fault_turn(duro_runtime *rt) {
  if (rt->fault) {
    if (rt->in_flight || rt->probing) return false;
    if (rt->open) { // nothing of it can be stored any more: it builds on what failed
      duro__batch *b = rt->open;
      duro__batch_spill(rt, b);     // and what it sent goes with it, where it lies in inboxes
      duro__counts_to_batch(rt, b); // they do, too
      rt->open = NULL;
      b->code = DURO_STORAGE;
      duro__batch_fail(rt, b);
    }
    if (duro_clock_monotonic_ns() < rt->fault_retry_ns) return false;
    duro__command *c = duro__command_new(probe_run, probe_done);
    if (!c) return false;
    rt->probing = true;
    duro__writer_push(rt, c);
    return true;
  }
  if (!rt->resume_ns) return false;
  if (duro_clock_monotonic_ns() < rt->resume_ns) return false;
  if (!reload(rt)) {
    rt->resume_ns = duro_clock_monotonic_ns() + FAULT_DELAY_MAX_NS;
    return false;
  }
  rt->resume_ns = 0;
  return true;
}
