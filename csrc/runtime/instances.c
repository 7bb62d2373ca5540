// instances.c: the instances in memory: finding, creating, handing messages to, and dropping them. How
// one comes from the store is in load.c.
//
// An instance is `parked` while it may not run (its start lies ahead, it is suspended or stalled, or the
// other VM began it): what arrives then becomes a row at once, and stays in the inbox for later.
// Invariant: only an instance with nothing in flight leaves memory, and only a folded one by eviction,
// so that loading reads its history in one piece.
#include "runtime/internal.h"

#define EVICT_LOOKS 64 // idle ones looked at per eviction, so that one call stays short

duro__instance *duro__live(duro_runtime *rt, duro_str id) { return duro_map_get(&rt->by_id, id); }

duro__instance *duro__live_by_key(duro_runtime *rt, int64_t key) {
  return duro_map_get_int(&rt->by_key, key);
}

// --- Lists ---

static void lru_remove(duro__instance *i) {
  if (!i->lru_next) return;
  i->lru_prev->lru_next = i->lru_next;
  i->lru_next->lru_prev = i->lru_prev;
  i->lru_prev = i->lru_next = NULL;
}

static void lru_add(duro_runtime *rt, duro__instance *i) {
  duro__instance *end = &rt->lru;
  i->lru_prev = end->lru_prev;
  i->lru_next = end;
  end->lru_prev->lru_next = i;
  end->lru_prev = i;
}

// From `m` on: the seal of the open batch has to look whether a turn has consumed them (duro__batch_spill).
void duro__keep_from(duro_runtime *rt, duro__instance *i, duro_message *m) {
  i->keep_from = m;
  if (i->keeps) return;
  i->keeps = true;
  i->keep_next = NULL;
  i->keep_prev = rt->keeping_tail;
  if (rt->keeping_tail)
    rt->keeping_tail->keep_next = i;
  else
    rt->keeping_head = i;
  rt->keeping_tail = i;
}

void duro__keep_looked(duro_runtime *rt, duro__instance *i) {
  if (!i->keeps) return;
  if (i->keep_prev)
    i->keep_prev->keep_next = i->keep_next;
  else
    rt->keeping_head = i->keep_next;
  if (i->keep_next)
    i->keep_next->keep_prev = i->keep_prev;
  else
    rt->keeping_tail = i->keep_prev;
  i->keep_prev = i->keep_next = NULL;
  i->keeps = false;
}

// A message that was just added.
static void note_keep(duro_runtime *rt, duro__instance *i, duro_message *m) {
  if (m->must_keep && !m->row_id) duro__keep_from(rt, i, i->keep_from ? i->keep_from : m);
}

// Behind `before`, or (NULL) at the head.
static void ready_insert(duro_runtime *rt, duro__instance *i, duro__instance *before) {
  duro__instance **at = before ? &before->ready_next : &rt->ready_head;
  i->ready = true;
  if (i->keep_from) duro__keep_from(rt, i, i->keep_from);
  i->ready_ns = rt->tick_ns;
  i->ready_at_ms = rt->virtual_now_ms;
  i->ready_next = *at;
  *at = i;
  if (!i->ready_next) rt->ready_tail = i;
  rt->ready_count++;
  lru_remove(i);
}

void duro__instance_ready(duro_runtime *rt, duro__instance *i) {
  if (!i->ready && !i->gone) ready_insert(rt, i, rt->ready_tail);
}

// Ahead of the others: its start needs no row of its own when the batch that begins it has its first turn,
// too. With the virtual clock a batch has the turns of all that are ready, in order.
static void begin_ready(duro_runtime *rt, duro__instance *i) {
  if (rt->options.virtual_clock) {
    duro__instance_ready(rt, i);
    return;
  }
  ready_insert(rt, i, rt->begun_tail);
  rt->begun_tail = i;
}

duro__instance *duro__instance_next_ready(duro_runtime *rt) {
  duro__instance *i = rt->ready_head;
  if (!i) return NULL;
  rt->ready_head = i->ready_next;
  if (!rt->ready_head) rt->ready_tail = NULL;
  if (rt->begun_tail == i) rt->begun_tail = NULL;
  i->ready_next = NULL;
  i->ready = false;
  rt->ready_count--;
  return i;
}

static void ready_remove(duro_runtime *rt, duro__instance *i) {
  if (!i->ready) return;
  duro__instance *before = NULL;
  for (duro__instance *at = rt->ready_head; at; before = at, at = at->ready_next) {
    if (at != i) continue;
    if (before)
      before->ready_next = i->ready_next;
    else
      rt->ready_head = i->ready_next;
    if (rt->ready_tail == i) rt->ready_tail = before;
    if (rt->begun_tail == i) rt->begun_tail = before;
    rt->ready_count--;
    break;
  }
  i->ready = false;
  i->ready_next = NULL;
}

// --- Memory ---

duro_str duro__own_text(duro_runtime *rt, duro_str s, bool *oom) {
  if (!s.p) return DURO_NONE;
  char *copy = duro_pool_take(&rt->blocks, s.n + 1);
  if (!copy) {
    *oom = true;
    return DURO_NONE;
  }
  if (s.n) memcpy(copy, s.p, s.n);
  copy[s.n] = 0;
  return (duro_str){copy, s.n};
}

void duro__free_text(duro_runtime *rt, duro_str s) { duro_pool_give(&rt->blocks, (char *)s.p); }

duro__instance *duro__instance_new(duro_runtime *rt) {
  duro__instance *i = duro_pool_take(&rt->blocks, sizeof *i);
  if (!i) return NULL;
  memset(i, 0, sizeof *i);
  i->due_ms = DURO_NEVER;
  return i;
}

void duro__instance_free(duro_runtime *rt, duro__instance *i) {
  for (duro_message *m = i->inbox_head, *next; m; m = next) {
    next = m->next;
    duro_message_free(m);
  }
  duro__job_refs_free(i);
  duro__mismatch_free(&i->mismatch);
  duro_buf_free(&i->shown_waiting);
  duro__free_text(rt, i->id);
  duro__free_text(rt, i->name);
  duro__free_text(rt, i->version);
  duro__free_text(rt, i->parent_id);
  duro__free_text(rt, i->attributes_json);
  duro_pool_give(&rt->blocks, i);
}

bool duro__instance_register(duro_runtime *rt, duro__instance *i) {
  if (!duro_map_put_int(&rt->by_key, i->key, i)) return false;
  if (!duro_map_put(&rt->by_id, i->id, i)) {
    duro_map_remove_int(&rt->by_key, i->key);
    return false;
  }
  rt->live_count++;
  lru_add(rt, i);
  return true;
}

// Answers what can no longer be delivered.
static void inbox_refuse(const duro_runtime *rt, duro__instance *i) {
  for (duro_message *m = i->inbox_head; m; m = m->next) {
    if (!m->waiter) continue;
    if (rt->closing)
      duro__request_fail(m->waiter, DURO_CLOSED, "the runtime was closed");
    else
      duro__request_fail(m->waiter, DURO_FINISHED, "instance '%.*s' has ended (%s)",
                         DURO_FMT(i->id), duro_status_string(i->status));
    m->waiter = NULL;
  }
}

void duro__instance_unbuild(duro_runtime *rt, duro__instance *i) {
  if (i->exec) duro__exec_free(i->exec);
  i->exec = NULL;
  if (i->code) duro__code_release(rt, i->code);
  i->code = NULL;
  i->stale_code = false;
}

void duro__instance_drop(duro_runtime *rt, duro__instance *i) {
  inbox_refuse(rt, i);
  duro__jobs_orphan(rt, i);
  duro__timers_remove(rt, i);
  ready_remove(rt, i);
  duro__keep_looked(rt, i);
  lru_remove(i);
  duro__instance_unbuild(rt, i);
  duro_map_remove_int(&rt->by_key, i->key);
  if (duro_map_get(&rt->by_id, i->id) == i) duro_map_remove(&rt->by_id, i->id);
  rt->live_count--;
  duro__instance_free(rt, i);
}

void duro__instances_free(duro_runtime *rt) {
  for (;;) {
    size_t at = 0;
    duro_map_slot *slot = duro_map_each(&rt->by_key, &at);
    if (!slot) break;
    duro__instance_drop(rt, slot->value);
  }
  duro_map_free(&rt->by_id);
  duro_map_free(&rt->by_key);
  duro_map_free(&rt->deleting);
  duro_map_free(&rt->replays);
  free(rt->due.items);
}

// --- Eviction ---

// Nothing of it is under way, and nothing waits to be done.
static bool idle(const duro__instance *i) {
  return !i->batches && !i->jobs && !i->begins && !i->ready && !i->needs_insert && !i->gone &&
         !i->waits_commit && (!i->inbox_head || i->inbox_count == i->parked_count);
}

static bool folded(const duro_runtime *rt, const duro__instance *i) {
  return i->last_seq <= rt->folded_seq;
}

void duro__instance_touch(duro_runtime *rt, duro__instance *i) {
  lru_remove(i);
  if (i->ready || i->gone) return;
  lru_add(rt, i);
  if (i->exec && idle(i)) duro__exec_trim(i->exec); // it may sleep for years
}

bool duro__evict_waits(const duro_runtime *rt) {
  const duro__instance *i = rt->lru.lru_next;
  return rt->live_count > (size_t)rt->options.max_live_instances && i != &rt->lru && idle(i) &&
         !folded(rt, i);
}

void duro__evict(duro_runtime *rt, size_t room) {
  size_t limit = (size_t)rt->options.max_live_instances;
  int looks = 0;
  while (rt->live_count + room > limit && looks < EVICT_LOOKS) {
    duro__instance *i = rt->lru.lru_next;
    if (i == &rt->lru) return;
    if (!idle(i) || i->due_ms <= duro_now_ms(rt)) { // what is due would have to come back at once
      looks++;
      duro__instance_touch(rt, i);
      continue;
    }
    if (!folded(rt, i)) return; // then the younger ones are not folded either
    if (i->due_ms < rt->next_sweep_ms) rt->next_sweep_ms = i->due_ms;
    duro__instance_drop(rt, i);
  }
}

// --- Creating ---

// One that has ended keeps its id, also before the batch of its end is durable.
static duro_code id_is_free(duro_runtime *rt, const duro__new_instance *n, duro_error **err) {
  duro__instance *live = duro__live(rt, n->id);
  if (live && !live->deleted) {
    return duro_fail(err, DURO_ALREADY_EXISTS, "instance '%.*s' exists already", DURO_FMT(n->id));
  }
  if (n->checked && !rt->verify_ids) return DURO_OK;
  duro_arena arena = {0};
  duro_instance_row row = {0};
  duro_code code = duro__store_get(rt->store, n->id, &arena, &row, err);
  duro_arena_free(&arena);
  if (code == DURO_NOT_FOUND) {
    if (err) {
      duro_error_free(*err);
      *err = NULL;
    }
    return DURO_OK;
  }
  if (code) return code;
  return duro_fail(err, DURO_ALREADY_EXISTS, "instance '%.*s' exists already", DURO_FMT(n->id));
}

duro_message *duro__start_message(duro_runtime *rt, const duro__instance *i,
                                  const duro__new_instance *n) {
  duro_event e = {
      .kind = DURO_EVENT_ORCHESTRATION_STARTED,
      .name = i->name,
      .version = i->version,
      .input = n->input,
      .run_id = duro_str_from(i->run_id),
      .parent = i->parent_id,
      .parent_event = i->parent_event_id,
  };
  int64_t begins = n->start_at_ms > i->created_at_ms ? n->start_at_ms : i->created_at_ms;
  if (n->timeout_ms) e.deadline_ms = begins + n->timeout_ms;
  duro_buf carry = {0}; // the attributes of a start are the first state of its execution
  if (n->attributes.p) {
    duro_buf_add_lit(&carry, "{\"attributes\":");
    duro_buf_add_str(&carry, n->attributes);
    duro_buf_add_char(&carry, '}');
    e.carry = duro_buf_str(&carry);
  }
  duro_message *m = carry.oom ? NULL : duro_message_new(&rt->blocks, i->key, 1, &e);
  duro_buf_free(&carry);
  return m;
}

static void fresh_run_id(duro_runtime *rt, char out[DURO_RUN_ID_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  for (int half = 0; half < 2; half++) {
    uint64_t x = duro_prng_next(&rt->prng);
    for (int k = 0; k < 16; k++, x >>= 4) out[half * 16 + k] = digits[x & 15];
  }
  out[32] = 0;
}

static duro__instance *new_instance(duro_runtime *rt, const duro__new_instance *n) {
  duro__instance *i = duro__instance_new(rt);
  if (!i) return NULL;
  bool oom = false;
  duro__code *code = duro__find_orchestration(rt, n->name, n->version);
  duro_str version = n->version.p ? n->version : code ? duro_str_from(code->version) : DURO_STR("");
  i->id = duro__own_text(rt, n->id, &oom);
  i->name = duro__own_text(rt, n->name, &oom);
  i->version = duro__own_text(rt, version, &oom);
  i->parent_id = duro__own_text(rt, n->parent_id, &oom);
  i->attributes_json = duro__own_text(rt, n->attributes, &oom);
  i->parent_key = n->parent_key;
  i->parent_event_id = n->parent_event_id;
  i->parent_execution_id = n->parent_execution_id;
  i->depth = n->depth;
  i->vm = rt->options.vm;
  i->status = DURO_STATUS_RUNNING;
  i->row_status = -1;
  i->created_at_ms = i->execution_started_at_ms = duro__now(rt);
  i->execution_id = 1;
  i->needs_insert = true;
  i->rows_known = true;
  i->key = rt->last_key = duro_key_next(rt->last_key, i->created_at_ms, false);
  fresh_run_id(rt, i->run_id);
  if (oom) {
    duro__instance_free(rt, i);
    return NULL;
  }
  return i;
}

// A start that lies ahead: its row and its start message are stored now, and it is woken by its time.
static void store_pending(duro_runtime *rt, duro__instance *i, int64_t start_at_ms,
                          duro_request *request) {
  duro__batch *b = duro__batch_open(rt);
  if (!b) return;
  i->status = DURO_STATUS_PENDING;
  duro__timers_at(rt, i, start_at_ms);
  duro__batch_add_message(rt, b, i->inbox_head);
  i->inbox_head->must_keep = true;
  i->parked_count = 1;
  duro__batch_touch(rt, b, i);
  duro__instance_insert(rt, b, i, NULL);
  duro__row_pending(rt, b, i);
  if (request) duro__batch_answer(rt, b, request);
}

duro_code duro__instance_create(duro_runtime *rt, const duro__new_instance *n, duro__instance **out,
                                duro_error **err) {
  duro_code code = id_is_free(rt, n, err);
  if (code) return code;
  duro__instance *i = new_instance(rt, n);
  duro_message *m = i ? duro__start_message(rt, i, n) : NULL;
  if (!m || !duro__instance_register(rt, i)) {
    if (m) duro_message_free(m);
    if (i) duro__instance_free(rt, i);
    return duro_fail_oom(err);
  }
  duro__inbox_add(i, m);
  if (out) *out = i;
  if (n->start_at_ms > i->created_at_ms) {
    store_pending(rt, i, n->start_at_ms, n->request);
    return DURO_OK;
  }
  m->waiter = n->request;
  m->must_keep =
      n->request == NULL; // a child or a detached start belongs to the batch of its sender
  note_keep(rt, i, m);
  if (n->stored)
    begin_ready(rt, i);
  else
    duro__instance_ready(rt, i);
  return DURO_OK;
}

// --- Messages ---

// A start that a client posted may be taken up behind what others sent the instance: it goes first.
void duro__inbox_add(duro__instance *i, duro_message *m) {
  i->inbox_count++;
  if (m->event.kind == DURO_EVENT_ORCHESTRATION_STARTED) {
    m->next = i->inbox_head;
    i->inbox_head = m;
    if (i->keep_from) i->keep_from = m;
    if (!i->inbox_tail) i->inbox_tail = m;
    return;
  }
  m->next = NULL;
  if (i->inbox_tail)
    i->inbox_tail->next = m;
  else
    i->inbox_head = m;
  i->inbox_tail = m;
}

bool duro__instance_parked(const duro__instance *i) {
  return i->foreign_vm || i->status == DURO_STATUS_SUSPENDED || i->status == DURO_STATUS_STALLED ||
         i->status == DURO_STATUS_PENDING;
}

static bool runs_while_parked(const duro__instance *i, const duro_message *m) {
  switch (m->event.kind) {
  case DURO_EVENT_ORCHESTRATION_TERMINATED:
    return true;
  case DURO_EVENT_RESUMED:
    return i->status == DURO_STATUS_SUSPENDED && !i->foreign_vm;
  case DURO_EVENT_CANCEL_REQUESTED:
    return i->status == DURO_STATUS_PENDING;
  default:
    return false;
  }
}

static void park(duro_runtime *rt, duro__instance *i, duro_message *m) {
  i->parked_count++;
  if (m->row_id) return;
  duro__batch *b = duro__batch_open(rt);
  if (!b) return;
  duro__batch_add_message(rt, b, m);
  duro__batch_touch(rt, b, i);
  m->must_keep = true;
  if (i->foreign_vm) duro__row_wake(rt, b, i, 0); // so that its own VM finds it
  if (m->waiter) duro__batch_answer(rt, b, m->waiter);
  m->waiter = NULL;
}

void duro__deliver(duro_runtime *rt, duro__instance *i, duro_message *m) {
  if (i->gone) {
    if (m->waiter) {
      duro__request_fail(m->waiter, DURO_FINISHED, "instance '%.*s' has ended (%s)",
                         DURO_FMT(i->id), duro_status_string(i->status));
    }
    duro_message_free(m);
    return;
  }
  m->instance_key = i->key;
  duro__inbox_add(i, m);
  note_keep(rt, i, m);
  if (duro__instance_parked(i) && !runs_while_parked(i, m))
    park(rt, i, m);
  else
    duro__instance_ready(rt, i);
}

bool duro__send(duro_runtime *rt, duro__instance *to, int64_t execution_id, const duro_event *e) {
  duro_message *m = duro_message_new(&rt->blocks, to->key, execution_id, e);
  if (!m) {
    duro_error *err = NULL;
    duro_fail_oom(&err);
    duro__batch_poison(rt, err);
    return false;
  }
  m->must_keep = true;
  duro__deliver(rt, to, m);
  return true;
}

void duro__submit(duro_runtime *rt, duro_request *r, duro__instance *to, int64_t execution_id,
                  const duro_event *e) {
  duro_message *m = duro_message_new(&rt->blocks, to->key, execution_id, e);
  if (!m) {
    if (r) duro__request_fail(r, DURO_OUT_OF_MEMORY, "%s", duro_code_sentence(DURO_OUT_OF_MEMORY));
    return;
  }
  m->waiter = r;
  duro__deliver(rt, to, m);
}

// --- Code that changed ---

void duro__code_replaced(duro_runtime *rt, duro_str name, duro_str version) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->by_key, &at));) {
    duro__instance *i = s->value;
    if (i->gone || !duro_str_equal(i->name, name)) continue;
    if (i->version.n && version.p && !duro_str_equal(i->version, version)) continue;
    i->stale_code = true;
    if (i->status == DURO_STATUS_STALLED) duro__instance_ready(rt, i);
  }
  rt->recheck_stalled = true;
}
