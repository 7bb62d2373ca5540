// instances.c: the instances in memory: finding, loading, creating, handing messages to, and dropping
// them.
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

void duro__instance_touch(duro_runtime *rt, duro__instance *i) {
  lru_remove(i);
  if (!i->ready && !i->gone) lru_add(rt, i);
}

void duro__instance_ready(duro_runtime *rt, duro__instance *i) {
  if (i->ready || i->gone) return;
  i->ready = true;
  i->ready_next = NULL;
  if (rt->ready_tail)
    rt->ready_tail->ready_next = i;
  else
    rt->ready_head = i;
  rt->ready_tail = i;
  rt->ready_count++;
  lru_remove(i);
}

duro__instance *duro__instance_next_ready(duro_runtime *rt) {
  duro__instance *i = rt->ready_head;
  if (!i) return NULL;
  rt->ready_head = i->ready_next;
  if (!rt->ready_head) rt->ready_tail = NULL;
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
    rt->ready_count--;
    break;
  }
  i->ready = false;
  i->ready_next = NULL;
}

// --- Memory ---

static duro_str own(duro_str s, bool *oom) {
  if (!s.p) return DURO_NONE;
  duro_str copy = {duro_str_dup(s), s.n};
  if (!copy.p) *oom = true;
  return copy;
}

static void instance_free(duro__instance *i) {
  for (duro_message *m = i->inbox_head, *next; m; m = next) {
    next = m->next;
    duro_message_free(m);
  }
  duro__mismatch_free(&i->mismatch);
  free((void *)i->id.p);
  free((void *)i->name.p);
  free((void *)i->version.p);
  free((void *)i->parent_id.p);
  free((void *)i->attributes_json.p);
  free(i);
}

static bool instance_register(duro_runtime *rt, duro__instance *i) {
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
  lru_remove(i);
  duro__instance_unbuild(rt, i);
  duro_map_remove_int(&rt->by_key, i->key);
  if (duro_map_get(&rt->by_id, i->id) == i) duro_map_remove(&rt->by_id, i->id);
  rt->live_count--;
  instance_free(i);
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
  free(rt->due.items);
}

// --- Eviction ---

static bool evictable(const duro_runtime *rt, const duro__instance *i) {
  return !i->batches && !i->jobs && !i->ready && !i->needs_insert && !i->gone && !i->waits_commit &&
         (!i->inbox_head || i->inbox_count == i->parked_count) && i->last_seq <= rt->folded_seq;
}

void duro__evict(duro_runtime *rt) {
  size_t limit = (size_t)rt->options.max_live_instances;
  int looks = 0;
  while (rt->live_count > limit && looks < EVICT_LOOKS) {
    duro__instance *i = rt->lru.lru_next;
    if (i == &rt->lru) return;
    if (!evictable(rt, i)) {
      looks++;
      duro__instance_touch(rt, i);
      continue;
    }
    if (i->due_ms < rt->next_sweep_ms) rt->next_sweep_ms = i->due_ms;
    duro__instance_drop(rt, i);
  }
}

// --- Building the coroutine from history ---

static void exec_log(void *user, const char *level, const char *message) {
  duro__log(user, level, "%s", message);
}

static duro__exec_config exec_config(duro_runtime *rt, duro__code *code) {
  return (duro__exec_config){
      .program = code ? rt->host.programs : NULL,
      .host = rt->host.user,
      .code = code ? code->handle : NULL,
      .strict = rt->options.replay_every_turn,
      .log = exec_log,
      .log_user = rt,
  };
}

duro_code duro__instance_exec(duro_runtime *rt, duro__instance *i, bool with_code,
                              duro_error **err) {
  duro__code *code = NULL;
  if (with_code) {
    code = duro__find_orchestration(rt, i->name, i->version);
    if (!code) {
      return duro_fail(err, DURO_NOT_REGISTERED,
                       "orchestration '%.*s' version '%.*s' is not registered in this process",
                       DURO_FMT(i->name), DURO_FMT(i->version));
    }
  }
  duro__exec_config config = exec_config(rt, code);
  duro__exec *x = duro__exec_new(&config, i->id, i->execution_id);
  if (!x) return duro_fail_oom(err);
  duro__instance_unbuild(rt, i);
  i->exec = x;
  i->code = code;
  if (code) code->users++;
  return DURO_OK;
}

duro_code duro__instance_exec_held(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro__exec_config config = exec_config(rt, NULL);
  config.program = rt->host.programs; // never asked: the code is held back until what ends it
  duro__exec *x = duro__exec_new(&config, i->id, i->execution_id);
  if (!x) return duro_fail_oom(err);
  duro__instance_unbuild(rt, i);
  i->exec = x;
  duro__exec_hold_begin(x);
  return DURO_OK;
}

// Jobs that ran when the process died have no duro_job any more: they are lost, and run again. Those that
// still run here are found again.
static void reattach(duro_runtime *rt, duro__instance *i) {
  duro__jobs_attach(rt, i);
  for (duro__open *o = duro__exec_open_next(i->exec, 0); o;
       o = duro__exec_open_next(i->exec, o->id)) {
    if (o->kind != DURO__OPEN_ACTIVITY || o->runtime || o->queue.p) continue;
    if (o->state != DURO__STATE_WAITING && o->state != DURO__STATE_RUNNING) continue;
    if (!duro__find_activity(rt, o->name)) { // it has not run here, and waits
      duro__job_start(rt, i, o);
      continue;
    }
    duro_event lost = {
        .kind = DURO_EVENT_ACTIVITY_FAILED, .source = o->id, .attempt = o->attempt, .lost = true};
    lost.error =
        DURO_STR("{\"code\":\"unavailable\",\"message\":\"the process that ran it has died\"}");
    duro_message *m = duro_message_new(i->key, i->execution_id, &lost);
    if (m) duro__deliver(rt, i, m);
  }
}

static duro_code replay(duro_runtime *rt, duro__instance *i, const duro_texts *texts,
                        duro_arena *arena, duro_error **err) {
  duro_events events = {0};
  duro_code code = duro_events_decode(texts->items, texts->count, arena, &events, err);
  if (code) return code;
  code = duro__instance_exec(rt, i, true, err);
  if (code || events.count == 0) return code; // its start still waits in the inbox
  duro__mismatch_free(&i->mismatch);
  memset(&i->mismatch, 0, sizeof i->mismatch);
  rt->totals.replays++;
  duro__watchdog_turn(rt, i);
  code = duro__exec_replay(i->exec, &events, &i->mismatch, err);
  duro__watchdog_turn(rt, NULL);
  if (code) return code;
  i->custom_status_version = duro__exec_custom_status_version(i->exec);
  return DURO_OK;
}

duro_code duro__instance_build(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_code code = duro__store_history(rt->store, i->key, i->execution_id, &arena, &texts, err);
  if (!code) code = replay(rt, i, &texts, &arena, err);
  duro_arena_free(&arena);
  if (!code) reattach(rt, i);
  return code;
}

duro_code duro__instance_scan(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_events events = {0};
  duro_code code = duro__store_history(rt->store, i->key, i->execution_id, &arena, &texts, err);
  if (!code) code = duro_events_decode(texts.items, texts.count, &arena, &events, err);
  if (!code) code = duro__instance_exec(rt, i, false, err);
  if (!code && events.count) code = duro__exec_scan(i->exec, &events, err);
  duro_arena_free(&arena);
  if (!code) duro__jobs_attach(rt, i);
  return code;
}

// --- Loading ---

static duro__instance *from_row(const duro_instance_row *row) {
  duro__instance *i = calloc(1, sizeof *i);
  if (!i) return NULL;
  bool oom = false;
  i->key = row->key;
  i->id = own(row->id, &oom);
  i->name = own(row->name, &oom);
  i->version = own(row->version, &oom);
  i->parent_id = own(row->parent_id, &oom);
  i->parent_key = row->parent_key;
  i->parent_event_id = row->parent_event_id;
  i->parent_execution_id = row->parent_execution_id;
  i->depth = row->depth;
  i->vm = row->vm;
  i->status = row->status;
  i->created_at_ms = row->created_at_ms;
  i->execution_id = row->execution_id;
  i->execution_started_at_ms = row->execution_started_at_ms;
  i->custom_status_version = row->custom_status_version;
  i->shown_at_ms = row->updated_at_ms;
  i->due_ms = DURO_NEVER;
  if (row->run_id.n < sizeof i->run_id) memcpy(i->run_id, row->run_id.p, row->run_id.n);
  if (oom) {
    instance_free(i);
    return NULL;
  }
  return i;
}

static void inbox_add(duro__instance *i, duro_message *m) {
  m->next = NULL;
  if (i->inbox_tail)
    i->inbox_tail->next = m;
  else
    i->inbox_head = m;
  i->inbox_tail = m;
  i->inbox_count++;
}

static duro_code load_messages(duro__instance *i, const duro_loaded *loaded, duro_error **err) {
  for (size_t k = 0; k < loaded->message_count; k++) {
    const duro_message_row *row = &loaded->messages[k];
    duro_message *m = NULL;
    duro_code code = duro_message_decode(i->key, row->execution_id, row->body, &m, err);
    if (code) return code;
    m->row_id = row->id;
    inbox_add(i, m);
  }
  return DURO_OK;
}

bool duro__instance_parked(const duro__instance *i) {
  return i->foreign_vm || i->status == DURO_STATUS_SUSPENDED || i->status == DURO_STATUS_STALLED ||
         i->status == DURO_STATUS_PENDING;
}

static bool is_foreign(const duro_runtime *rt, int vm) {
  return vm != DURO_VM_ANY && vm != rt->options.vm && !rt->options.any_vm;
}

// Makes a loaded instance able to go on, or parks it with the reason.
static duro_code revive(duro_runtime *rt, duro__instance *i, const duro_loaded *loaded,
                        duro_arena *arena, duro_error **err) {
  i->foreign_vm = is_foreign(rt, i->vm);
  if (i->foreign_vm) return DURO_OK;
  if (i->status == DURO_STATUS_PENDING) {
    i->parked_count = i->inbox_count;
    i->due_ms = DURO_NEVER;
    duro__timers_at(rt, i, loaded->instance.wake_at_ms);
    return DURO_OK;
  }
  duro_error *problem = NULL;
  duro_code code = replay(rt, i, &loaded->history, arena, &problem);
  if (code == DURO_NOT_REGISTERED || code == DURO_NONDETERMINISM) {
    if (i->status == DURO_STATUS_STALLED) { // still, and its row says so
      duro__instance_unbuild(rt, i);
      i->parked_count = i->inbox_count;
    } else {
      duro__instance_stall(rt, i, code, problem ? problem->message : NULL);
    }
    duro_error_free(problem);
    return DURO_OK;
  }
  if (code) {
    if (err && !*err)
      *err = problem;
    else
      duro_error_free(problem);
    return code;
  }
  if (i->status == DURO_STATUS_STALLED) duro__instance_unstall(rt, i);
  i->parked_count = i->status == DURO_STATUS_SUSPENDED ? i->inbox_count : 0;
  reattach(rt, i);
  duro__timers_update(rt, i);
  if (i->inbox_head) duro__instance_ready(rt, i);
  return DURO_OK;
}

static duro_code load(duro_runtime *rt, int64_t key, duro__instance **out, duro_error **err) {
  duro_arena arena = {0};
  duro_loaded loaded = {0};
  duro__instance *i = NULL;
  duro_code code = duro__store_load(rt->store, key, &arena, &loaded, err);
  if (!code && !(i = from_row(&loaded.instance))) code = duro_fail_oom(err);
  if (!code) code = load_messages(i, &loaded, err);
  if (!code && !instance_register(rt, i)) code = duro_fail_oom(err);
  if (code) {
    if (i) instance_free(i);
    duro_arena_free(&arena);
    return code;
  }
  code = revive(rt, i, &loaded, &arena, err);
  duro_arena_free(&arena);
  if (code) {
    duro__instance_drop(rt, i);
    return code;
  }
  *out = i;
  return DURO_OK;
}

static duro_code fetched(duro_runtime *rt, const duro_instance_row *row, duro__instance **out,
                         duro_status *ended_status, duro_error **err) {
  if (duro_status_final(row->status)) {
    *ended_status = row->status;
    return DURO_OK;
  }
  return load(rt, row->key, out, err);
}

duro_code duro__instance_fetch_by_key(duro_runtime *rt, int64_t key, duro__instance **out,
                                      duro_status *ended_status, duro_error **err) {
  *out = NULL;
  duro__instance *i = duro__live_by_key(rt, key);
  if (i) {
    if (i->gone)
      *ended_status = i->status;
    else
      *out = i;
    return DURO_OK;
  }
  duro_arena arena = {0};
  duro_instance_row row = {0};
  duro_code code = duro__store_get_by_key(rt->store, key, &arena, &row, err);
  if (!code) code = fetched(rt, &row, out, ended_status, err);
  duro_arena_free(&arena);
  return code;
}

duro_code duro__instance_fetch(duro_runtime *rt, duro_str id, duro__instance **out,
                               duro_status *ended_status, duro_error **err) {
  *out = NULL;
  duro__instance *i = duro__live(rt, id);
  if (i) {
    if (i->gone)
      *ended_status = i->status;
    else
      *out = i;
    return DURO_OK;
  }
  duro_arena arena = {0};
  duro_instance_row row = {0};
  duro_code code = duro__store_get(rt->store, id, &arena, &row, err);
  if (!code) code = fetched(rt, &row, out, ended_status, err);
  duro_arena_free(&arena);
  return code;
}

// --- Creating ---

static duro_code id_is_free(duro_runtime *rt, const duro__new_instance *n, duro_error **err) {
  duro__instance *live = duro__live(rt, n->id);
  if (live && !live->gone) {
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

static duro_message *start_message(const duro__instance *i, const duro__new_instance *n) {
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
  duro_message *m = carry.oom ? NULL : duro_message_new(i->key, 1, &e);
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
  duro__instance *i = calloc(1, sizeof *i);
  if (!i) return NULL;
  bool oom = false;
  duro__code *code = duro__find_orchestration(rt, n->name, n->version);
  duro_str version = n->version.p ? n->version : code ? duro_str_from(code->version) : DURO_STR("");
  i->id = own(n->id, &oom);
  i->name = own(n->name, &oom);
  i->version = own(version, &oom);
  i->parent_id = own(n->parent_id, &oom);
  i->attributes_json = own(n->attributes, &oom);
  i->parent_key = n->parent_key;
  i->parent_event_id = n->parent_event_id;
  i->parent_execution_id = n->parent_execution_id;
  i->depth = n->depth;
  i->vm = rt->options.vm;
  i->status = DURO_STATUS_RUNNING;
  i->created_at_ms = i->execution_started_at_ms = duro__now(rt);
  i->execution_id = 1;
  i->due_ms = DURO_NEVER;
  i->needs_insert = true;
  i->key = rt->last_key = duro_key_next(rt->last_key, i->created_at_ms, false);
  fresh_run_id(rt, i->run_id);
  if (oom) {
    instance_free(i);
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
  if (request) duro__batch_answer(rt, b, request);
}

duro_code duro__instance_create(duro_runtime *rt, const duro__new_instance *n, duro__instance **out,
                                duro_error **err) {
  duro_code code = id_is_free(rt, n, err);
  if (code) return code;
  duro__instance *i = new_instance(rt, n);
  duro_message *m = i ? start_message(i, n) : NULL;
  if (!m || !instance_register(rt, i)) {
    if (m) duro_message_free(m);
    if (i) instance_free(i);
    return duro_fail_oom(err);
  }
  inbox_add(i, m);
  if (out) *out = i;
  if (n->start_at_ms > i->created_at_ms) {
    store_pending(rt, i, n->start_at_ms, n->request);
    return DURO_OK;
  }
  m->waiter = n->request;
  m->must_keep =
      n->request == NULL; // a child or a detached start belongs to the batch of its sender
  duro__instance_ready(rt, i);
  return DURO_OK;
}

// --- Messages ---

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
  inbox_add(i, m);
  if (duro__instance_parked(i) && !runs_while_parked(i, m))
    park(rt, i, m);
  else
    duro__instance_ready(rt, i);
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
