// turn.c: one turn of one instance: its messages go through the quiet room, and what comes out joins the
// open batch: a journal row, and whatever the turn asked of others.
//
// Order matters: the exec records first, then its effects are turned into rows and messages of the same
// batch; jobs and answers wait until the batch is durable.
#include "runtime/answers.h"
#include "runtime/internal.h"

#define BROKEN_TURNS      3
#define MESSAGES_PER_TURN 1000 // a flood of results becomes several journal rows, not one huge one

// --- Messages to others ---

// The receiver, or NULL when it has ended or is unknown. When the store cannot tell, the whole batch
// must not be stored: the message would be lost.
static duro__instance *receiver(duro_runtime *rt, duro_str id, int64_t key) {
  duro__instance *to = NULL;
  duro_status ended;
  duro_error *err = NULL;
  duro_code code = key ? duro__instance_fetch_by_key(rt, key, &to, &ended, &err)
                       : duro__instance_fetch(rt, id, &to, &ended, &err);
  if (code && code != DURO_NOT_FOUND)
    duro__batch_poison(rt, err);
  else
    duro_error_free(err);
  return to;
}

static void child_refused(duro_runtime *rt, duro__instance *parent, int64_t task, duro_code code,
                          const char *message) {
  duro_buf error = {0};
  duro_buf_printf(&error, "{\"code\":\"%s\",\"message\":", duro_code_string(code));
  duro_json_add_string(&error, duro_str_from(message));
  duro_buf_add_char(&error, '}');
  duro_event e = {
      .kind = DURO_EVENT_SUB_ORCHESTRATION_FAILED, .source = task, .error = duro_buf_str(&error)};
  duro__send(rt, parent, parent->execution_id, &e);
  duro_buf_free(&error);
}

static void start_child(duro_runtime *rt, duro__instance *i, int64_t task) {
  const duro__open *o = duro__exec_open(i->exec, task);
  if (!o) return; // cancelled in the same turn
  if (i->depth + 1 > DURO_MAX_TREE_DEPTH) {
    child_refused(rt, i, task, DURO_TOO_LARGE,
                  "sub-orchestrations are nested too deep (100 levels)");
    return;
  }
  duro__new_instance n = {
      .id = o->instance,
      .name = o->name,
      .version = o->version,
      .input = o->input,
      .parent_id = i->id,
      .parent_key = i->key,
      .parent_event_id = task,
      .parent_execution_id = i->execution_id,
      .depth = i->depth + 1,
      .timeout_ms = duro_json_member_int(o->options, "timeout_ms", 0),
      // A derived id holds the parent's: taken only when somebody chose it on purpose,
      // which the store notices.
      .checked = duro_str_starts_with(o->instance, i->id)};
  duro_error *err = NULL;
  duro_code code = duro__instance_create(rt, &n, NULL, &err);
  if (code == DURO_STORAGE || code == DURO_OUT_OF_MEMORY) {
    duro__batch_poison(rt, err);
    return;
  }
  if (code) child_refused(rt, i, task, code, err ? err->message : "it could not be started");
  duro_error_free(err);
}

static void start_detached(duro_runtime *rt, const duro_event *e) {
  duro__new_instance n = {
      .id = e->instance, .name = e->name, .version = e->version, .input = e->input};
  duro_error *err = NULL;
  duro_code code = duro__instance_create(rt, &n, NULL, &err);
  if (code == DURO_STORAGE || code == DURO_OUT_OF_MEMORY) {
    duro__batch_poison(rt, err);
    return;
  }
  if (code)
    duro__log(rt, "warn", "start of '%.*s': %s", DURO_FMT(e->instance), err ? err->message : "");
  duro_error_free(err);
}

static void send_event(duro_runtime *rt, const duro_event *sent) {
  duro__instance *to = receiver(rt, sent->instance, 0);
  if (!to) {
    duro__log(rt, "warn", "event '%.*s' to instance '%.*s': there is none that runs",
              DURO_FMT(sent->name), DURO_FMT(sent->instance));
    return;
  }
  duro_event e = {.kind = DURO_EVENT_EVENT_RECEIVED, .name = sent->name, .input = sent->input};
  duro__send(rt, to, 0, &e);
}

static void end_child(duro_runtime *rt, const duro__effect *effect) {
  duro__instance *child = receiver(rt, effect->event->instance, 0);
  if (!child) return;
  duro_event e = {.kind = effect->kind == DURO__CANCEL_CHILD ? DURO_EVENT_CANCEL_REQUESTED
                                                             : DURO_EVENT_ORCHESTRATION_TERMINATED,
                  .reason = effect->event->reason};
  duro__send(rt, child, 0, &e);
}

static void after(duro_runtime *rt, duro__batch *b, duro__instance *i, duro__after_kind kind,
                  const duro__effect *e) {
  (void)rt;
  duro__after *a = duro__vec_push(&b->after);
  if (!a) {
    b->poisoned = true;
    return;
  }
  *a = (duro__after){.kind = kind,
                     .queued = e->queued,
                     .instance = i,
                     .execution_id = i->execution_id,
                     .task = e->task};
}

static void effects(duro_runtime *rt, duro__batch *b, duro__instance *i,
                    const duro__turn_result *result) {
  for (size_t k = 0; k < result->effect_count; k++) {
    const duro__effect *e = &result->effects[k];
    switch (e->kind) {
    case DURO__START_JOB:
      after(rt, b, i, DURO__AFTER_JOB, e);
      break;
    case DURO__CANCEL_JOB:
      after(rt, b, i, DURO__AFTER_CANCEL_JOB, e);
      break;
    case DURO__START_CHILD:
      start_child(rt, i, e->task);
      break;
    case DURO__CANCEL_CHILD:
    case DURO__TERMINATE_CHILD:
      end_child(rt, e);
      break;
    case DURO__START_DETACHED:
      start_detached(rt, e->event);
      break;
    case DURO__SEND_EVENT:
      send_event(rt, e->event);
      break;
    }
  }
}

// --- The end of an execution ---

static void tell_parent(duro_runtime *rt, duro__instance *i, const duro__turn_result *result) {
  if (!i->parent_key) return;
  duro__instance *parent = receiver(rt, DURO_NONE, i->parent_key);
  if (!parent) return;
  duro_event e = {.kind = DURO_EVENT_SUB_ORCHESTRATION_FAILED, .source = i->parent_event_id};
  duro_buf error = {0};
  if (i->status == DURO_STATUS_COMPLETED) {
    e.kind = DURO_EVENT_SUB_ORCHESTRATION_COMPLETED;
    e.output = result->output;
  } else if (result->error.p) {
    e.error = result->error;
  } else {
    duro_buf_printf(&error, "{\"code\":\"%s\",\"message\":",
                    i->status == DURO_STATUS_CANCELLED ? "cancelled" : "terminated");
    duro_json_add_string(&error, result->reason.n
                                     ? result->reason
                                     : duro_str_from(i->status == DURO_STATUS_CANCELLED
                                                         ? "the sub-orchestration was cancelled"
                                                         : "the sub-orchestration was terminated"));
    duro_buf_add_char(&error, '}');
    e.error = duro_buf_str(&error);
  }
  duro__send(rt, parent, i->parent_execution_id, &e);
  duro_buf_free(&error);
}

static void count_end(duro_runtime *rt, duro__instance *i) {
  static const duro__metric metrics[DURO_STATUS_COUNT] = {
      [DURO_STATUS_COMPLETED] = DURO__COMPLETED,
      [DURO_STATUS_FAILED] = DURO__FAILED,
      [DURO_STATUS_CANCELLED] = DURO__CANCELLED,
      [DURO_STATUS_TERMINATED] = DURO__TERMINATED,
  };
  duro__count(rt, i->name, metrics[i->status], 1);
  duro__count(rt, i->name, DURO__DURATION_MS, duro__now(rt) - i->created_at_ms);
}

static void instance_ended(duro_runtime *rt, duro__batch *b, duro__instance *i,
                           const duro__turn_result *result) {
  for (duro_message *m = i->inbox_head; m; m = m->next) { // came too late
    int64_t *row = m->row_id ? duro__vec_push(&b->messages_done) : NULL;
    if (row)
      *row = m->row_id;
    else if (m->row_id)
      b->poisoned = true;
  }
  tell_parent(rt, i, result);
  count_end(rt, i);
  i->gone = true;
  duro__timers_remove(rt, i);
}

static bool next_execution(duro_runtime *rt, duro__batch *b, duro__instance *i,
                           const duro__turn_result *result) {
  duro_execution_row *row = duro__vec_push(&b->executions);
  duro_message *start =
      duro_message_new(&rt->blocks, i->key, i->execution_id + 1, &result->next_start);
  if (!row || !start) {
    b->poisoned = true;
    if (start) duro_message_free(start);
    return false;
  }
  row->instance_key = i->key;
  row->execution_id = i->execution_id;
  row->status = DURO_STATUS_CONTINUED_AS_NEW;
  row->version = duro__row_keep(b, i->version);
  row->started_at_ms = i->execution_started_at_ms;
  row->completed_at_ms = duro__now(rt);
  row->event_count = duro__exec_last_event_id(i->exec);
  row->reason = duro__row_keep(b, result->reason);
  duro_str version = result->next_start.version;
  if (version.n && !duro_str_equal(version, i->version)) {
    bool oom = false;
    duro_str copy = duro__own_text(rt, version, &oom);
    if (!oom) {
      duro__free_text(rt, i->version);
      i->version = copy;
    }
  }
  duro__instance_unbuild(rt, i);
  i->execution_id++;
  i->execution_started_at_ms = duro__now(rt);
  start->must_keep = true;
  start->next = i->inbox_head;
  i->inbox_head = start;
  duro__keep_from(rt, i, start);
  if (!i->inbox_tail) i->inbox_tail = start;
  i->inbox_count++;
  duro__row_update(rt, b, i, DURO_SET_EXECUTION, result);
  duro__instance_ready(rt, i);
  return true;
}

// --- The turn ---

static duro_message *inbox_take(duro__instance *i, duro_message *before, duro_message *m) {
  if (before)
    before->next = m->next;
  else
    i->inbox_head = m->next;
  if (i->inbox_tail == m) i->inbox_tail = before;
  if (i->keep_from == m) i->keep_from = m->next;
  i->inbox_count--;
  m->next = NULL;
  return m;
}

static void consume(duro_runtime *rt, duro__batch *b, duro_message *m) {
  if (m->row_id) {
    int64_t *row = duro__vec_push(&b->messages_done);
    if (row)
      *row = m->row_id;
    else
      b->poisoned = true;
  }
  if (m->waiter) duro__batch_answer(rt, b, m->waiter);
  m->next = b->consumed;
  b->consumed = m;
}

static bool applies(const duro__instance *i, const duro_message *m) {
  return !m->execution_id || m->execution_id == i->execution_id;
}

// Which messages a turn may apply.
typedef enum takes {
  TAKES_ALL,
  TAKES_CONTROL,   // suspended or stalled: only what ends it or sets it free
  TAKES_UNSTARTED, // its code will not run: its start, and what ends it
} takes;

static bool taken(takes which, duro_event_kind kind) {
  switch (which) {
  case TAKES_ALL:
    return true;
  case TAKES_CONTROL:
    return kind == DURO_EVENT_ORCHESTRATION_TERMINATED || kind == DURO_EVENT_RESUMED ||
           kind == DURO_EVENT_SUSPENDED;
  case TAKES_UNSTARTED:
    return kind == DURO_EVENT_ORCHESTRATION_STARTED || kind == DURO_EVENT_CANCEL_REQUESTED ||
           kind == DURO_EVENT_ORCHESTRATION_TERMINATED;
  }
  return false;
}

// Applies messages until the execution ends or nothing fits; *done: those it took, newest first.
static duro_code apply_inbox(duro__instance *i, takes which, duro_message **done,
                             duro_error **err) {
  duro_message *before = NULL, *m = i->inbox_head;
  for (int n = 0; m && n < MESSAGES_PER_TURN;) {
    if (!taken(which, m->event.kind)) {
      before = m;
      m = m->next;
      continue;
    }
    n++;
    inbox_take(i, before, m);
    m->next = *done;
    *done = m;
    bool recorded = false;
    duro_code code = applies(i, m) ? duro__exec_apply(i->exec, &m->event, &recorded, err) : DURO_OK;
    if (code) return code;
    duro_status status = duro__exec_status(i->exec);
    if (duro_status_final(status)) break;
    if (which == TAKES_CONTROL && status == DURO_STATUS_RUNNING &&
        i->status == DURO_STATUS_SUSPENDED) {
      which = TAKES_ALL; // resumed: what had arrived follows in order
      before = NULL;
      m = i->inbox_head;
      continue;
    }
    if (status == DURO_STATUS_SUSPENDED) which = TAKES_CONTROL;
    m = before ? before->next : i->inbox_head;
  }
  return DURO_OK;
}

static void consume_all(duro_runtime *rt, duro__batch *b, duro_message *newest_first) {
  duro_message *m = duro_message_reverse(newest_first);
  while (m) {
    duro_message *next = m->next;
    consume(rt, b, m);
    m = next;
  }
}

static void inbox_give_back(duro_runtime *rt, duro__instance *i, duro_message *newest_first) {
  while (newest_first) {
    duro_message *next = newest_first->next;
    newest_first->next = i->inbox_head;
    i->inbox_head = newest_first;
    if (!i->inbox_tail) i->inbox_tail = newest_first;
    i->inbox_count++;
    newest_first = next;
  }
  duro__keep_from(rt, i, i->inbox_head);
}

// A turn that broke (memory ran out, mostly) has recorded nothing: it is tried again from history, and
// after a few times its instance stands still, alone.
static void turn_broke(duro_runtime *rt, duro__instance *i, duro_code code, duro_error *err) {
  const char *message = err ? err->message : duro_code_sentence(code);
  duro__log(rt, "error", "a turn of instance '%.*s': %s", DURO_FMT(i->id), message);
  if (code == DURO_OUT_OF_MEMORY) duro__memory_out(rt, NULL);
  if (++i->broken_turns >= BROKEN_TURNS) {
    duro__instance_stall(rt, i, code, message);
    i->broken_turns = 0;
  } else {
    duro__instance_unbuild(rt, i);
    duro__instance_ready(rt, i);
  }
  duro_error_free(err);
}

static void turn_counts(duro_runtime *rt, duro__instance *i, const duro__turn_result *r) {
  duro__count(rt, i->name, DURO__ACTIVITIES_COMPLETED, r->activities_completed);
  duro__count(rt, i->name, DURO__ACTIVITIES_FAILED, r->activities_failed);
  duro__count(rt, i->name, DURO__TIMERS_FIRED, r->timers_fired);
  duro__count(rt, i->name, DURO__EVENTS_RAISED, r->events_received);
}

// What came out of the quiet room becomes rows and messages.
static void publish(duro_runtime *rt, duro__batch *b, duro__instance *i,
                    const duro__turn_result *result, uint64_t started_ns) {
  duro_status before = i->status;
  bool continued = result->status == DURO_STATUS_CONTINUED_AS_NEW;
  i->status = continued ? DURO_STATUS_RUNNING : result->status;
  i->custom_status_version = duro__exec_custom_status_version(i->exec);
  duro__batch_touch(rt, b, i);
  duro__queues_turn(rt, b, i, result);
  if (result->event_count) duro__row_journal(rt, b, i, result, started_ns);
  if (i->needs_insert) {
    duro__instance_insert(rt, b, i, result);
  } else {
    unsigned set = i->status != before ? DURO_SET_STATUS : 0;
    if (result->custom_status_changed) set |= DURO_SET_CUSTOM_STATUS;
    if (result->attributes_changed) set |= DURO_SET_ATTRIBUTES;
    if (set) duro__row_update(rt, b, i, set, result);
  }
  turn_counts(rt, i, result);
  effects(rt, b, i, result);
  if (continued)
    next_execution(rt, b, i, result);
  else if (duro_status_final(i->status))
    instance_ended(rt, b, i, result);
  else
    duro__timers_update(rt, i);
}

// It leaves the ready queue until its batches are durable; what the open batch sent it must not be lost
// with the process until then.
static void wait_for_commit(duro_runtime *rt, duro__instance *i) {
  i->waits_commit = true;
  if (rt->open) duro__batch_keep_inbox(rt, rt->open, i);
}

// Suspended before it began (its start lay ahead): the suspension goes right behind the start, so that no
// other arrival makes the code begin. Resumptions before it have been undone by it.
static bool suspended_before_start(duro_runtime *rt, duro__instance *i) {
  duro_message *last = NULL, *before_last = NULL, *before = i->inbox_head;
  for (duro_message *m = before->next; m; before = m, m = m->next) {
    if (m->event.kind != DURO_EVENT_SUSPENDED && m->event.kind != DURO_EVENT_RESUMED) continue;
    last = m;
    before_last = before;
  }
  if (!last || last->event.kind == DURO_EVENT_RESUMED) return false;
  inbox_take(i, before_last, last);
  for (duro_message *m = i->inbox_head->next; m; m = m->next) {
    if (m->event.kind == DURO_EVENT_RESUMED) m->event.kind = DURO_EVENT_SUSPENDED;
  }
  last->next = i->inbox_head->next;
  i->inbox_head->next = last;
  if (!last->next) i->inbox_tail = last;
  i->inbox_count++;
  duro__keep_from(rt, i, i->inbox_head);
  return true;
}

// Makes sure that there is an exec to run. False: it cannot run now (stalled, or waiting). With the
// virtual clock one that could go on waits for its batch as one that has to be replayed does, so that both
// meet the same messages in the same order.
static bool prepare(duro_runtime *rt, duro__instance *i) {
  bool drop = i->stale_code || (rt->options.replay_every_turn && i->exec && i->last_seq);
  if (drop || (!i->exec && !i->needs_insert &&
               !(i->inbox_head && i->inbox_head->event.kind == DURO_EVENT_ORCHESTRATION_STARTED))) {
    if (i->batches) { // its newest events are not in the store yet
      wait_for_commit(rt, i);
      return false;
    }
  } else if (i->exec && i->batches && rt->options.virtual_clock) {
    wait_for_commit(rt, i);
    return false;
  } else if (i->exec) {
    return true;
  }
  duro_error *err = NULL;
  bool fresh = i->inbox_head && i->inbox_head->event.kind == DURO_EVENT_ORCHESTRATION_STARTED;
  duro_code code =
      fresh ? duro__instance_exec(rt, i, true, &err) : duro__instance_build(rt, i, &err);
  if (code == DURO_OK) {
    if (i->status == DURO_STATUS_STALLED) duro__instance_unstall(rt, i);
    if (fresh && suspended_before_start(rt, i)) duro__exec_hold_begin(i->exec);
    return true;
  }
  if (duro__stalls(code)) {
    duro__instance_stall(rt, i, code, err ? err->message : NULL);
    duro_error_free(err);
  } else if (code == DURO_OUT_OF_MEMORY) {
    turn_broke(rt, i, code, err);
  } else {
    duro__batch_poison(rt, err);
    duro__batch_touch(rt, duro__batch_open(rt), i);
  }
  return false;
}

static void run(duro_runtime *rt, duro__instance *i, takes which) {
  duro__batch *b = duro__batch_open(rt);
  if (!b) return;
  uint64_t started_ns = rt->tick_ns;
  duro__watchdog_begin(rt, i);
  int64_t timers = duro__exec_open_count(i->exec, DURO__OPEN_TIMER);
  duro__exec_turn_begin(i->exec, duro__now(rt));
  duro_message *done = NULL;
  duro_error *err = NULL;
  duro_code code = apply_inbox(i, which, &done, &err);
  duro__turn_result result = {0};
  duro__exec_turn_end(i->exec, &result);
  duro__watchdog_end(rt);
  b->turn_count++;
  rt->totals.turns++;
  rt->totals.work_ns += duro__tick(rt) - started_ns;
  if (code) {
    inbox_give_back(rt, i, done);
    turn_broke(rt, i, code, err);
    return;
  }
  i->broken_turns = 0;
  timers = duro__exec_open_count(i->exec, DURO__OPEN_TIMER) - timers;
  duro__count(rt, i->name, DURO__TIMERS_OPEN, timers);
  if (i->queued_head || i->kept_head) duro__queues_settle(rt, b, i, done);
  consume_all(rt, b, done);
  publish(rt, b, i, &result, started_ns);
  if (i->exec) duro__exec_turn_leave(i->exec);
  if (!i->gone && i->inbox_head && !duro__instance_parked(i)) duro__instance_ready(rt, i);
}

static bool inbox_has(const duro__instance *i, takes which, duro_event_kind but) {
  for (const duro_message *m = i->inbox_head; m; m = m->next) {
    if (m->event.kind != but && taken(which, m->event.kind)) return true;
  }
  return false;
}

// A parked instance does only what ends it or sets it free.
static void run_parked(duro_runtime *rt, duro__instance *i) {
  bool unstarted = i->inbox_head && i->inbox_head->event.kind == DURO_EVENT_ORCHESTRATION_STARTED;
  takes which = unstarted ? TAKES_UNSTARTED : TAKES_CONTROL;
  if (!inbox_has(i, which, DURO_EVENT_ORCHESTRATION_STARTED)) {
    if (i->status == DURO_STATUS_STALLED && i->stale_code && prepare(rt, i)) duro__turn_run(rt, i);
    return;
  }
  if (i->batches) {
    wait_for_commit(rt, i);
    return;
  }
  duro_error *err = NULL;
  duro_code code = DURO_OK;
  bool runs_code = i->status == DURO_STATUS_SUSPENDED && !i->foreign_vm;
  if (unstarted)
    code = duro__instance_exec_held(rt, i, &err);
  else if (!runs_code)
    code = duro__instance_scan(rt, i, &err);
  else if (!i->exec)
    code = duro__instance_build(rt, i, &err);
  if (code) {
    duro__log(rt, "error", "instance '%.*s': %s", DURO_FMT(i->id), err ? err->message : "");
    duro_error_free(err);
    return;
  }
  run(rt, i, which);
}

void duro__turn_run(duro_runtime *rt, duro__instance *i) {
  if (i->gone) return;
  if (i->status == DURO_STATUS_PENDING && i->start_due) {
    i->start_due = false;
    i->status = DURO_STATUS_RUNNING;
    i->parked_count = 0;
    duro__batch *b = duro__batch_open(rt);
    duro__turn_result none = {.status = DURO_STATUS_RUNNING};
    if (b) {
      duro__batch_touch(rt, b, i);
      duro__row_update(rt, b, i, DURO_SET_STATUS, &none);
    }
  }
  if (duro__instance_parked(i)) {
    run_parked(rt, i);
    return;
  }
  if (!prepare(rt, i) || !i->inbox_head) return;
  if (duro__start_waits(i)) { // its row is there, its start still a request: what came waits for it
    if (rt->open) duro__batch_keep_inbox(rt, rt->open, i);
    return;
  }
  run(rt, i, TAKES_ALL);
}
