// retry_plan.c: see retry_plan.h.
//
// The failed step is found in history: the arrival with the error that ended the instance, with nothing but
// cancellations between it and the end. Had the code caught the error and done something about it, its
// commands would stand there: then a retry would undo what it did, and is refused.
#include "runtime/retry_plan.h"

#include <stdlib.h>

#include "runtime/trees.h"

static duro_code plan_one(duro_runtime *rt, duro__retry_plan *p, const duro_instance_row *row,
                          duro_error **err);

// --- The failed step ---

// The events that no earlier retry masks (as replay/history.c sees them).
static duro_code effective(const duro_events *all, duro_arena *arena, duro_events *out,
                           duro_error **err) {
  int64_t masked_from = INT64_MAX;
  size_t to = all->count;
  duro_event *items = duro_arena_alloc(arena, (all->count + 1) * sizeof *items);
  if (!items) return duro_fail_oom(err);
  for (size_t i = all->count; i-- > 0;) {
    const duro_event *e = &all->items[i];
    if (e->id >= masked_from) continue;
    items[--to] = *e;
    if (e->kind == DURO_EVENT_ORCHESTRATION_RETRIED && e->source) masked_from = e->source;
  }
  *out = (duro_events){items + to, all->count - to};
  return DURO_OK;
}

static bool same_member(duro_str a, duro_str b, const char *key) {
  return duro_str_equal(duro_json_member(a, key), duro_json_member(b, key));
}

// Everything but `data`, whose stored form may differ from time to time (a codec).
static bool same_error(duro_str a, duro_str b) {
  return same_member(a, b, "code") && same_member(a, b, "message") && same_member(a, b, "name") &&
         same_member(a, b, "attempts");
}

static bool is_failure(const duro_event *e) {
  return e->kind == DURO_EVENT_ACTIVITY_FAILED || e->kind == DURO_EVENT_SUB_ORCHESTRATION_FAILED;
}

// What may stand between the failure and the end when nobody caught it.
static bool is_aftermath(const duro_event *e) {
  switch (e->kind) {
  case DURO_EVENT_ACTIVITY_CANCELLED:
  case DURO_EVENT_TIMER_CANCELLED:
  case DURO_EVENT_EVENT_SUBSCRIPTION_CANCELLED:
  case DURO_EVENT_SUB_ORCHESTRATION_CANCELLED:
    return true;
  case DURO_EVENT_ORCHESTRATION_STARTED:
  case DURO_EVENT_ORCHESTRATION_RETRIED:
  case DURO_EVENT_CANCEL_REQUESTED:
    return false;
  default:
    return duro_event_kind_group(e->kind) == 'A';
  }
}

// *at: the index of the earliest such failure; a join tells of the first when all have ended.
static duro_code find_failure(const duro_events *events, duro_str id, size_t *at,
                              duro_error **err) {
  const duro_event *end = events->count ? &events->items[events->count - 1] : NULL;
  bool found = false;
  if (!end || end->kind != DURO_EVENT_ORCHESTRATION_FAILED) {
    return duro_fail(err, DURO_CORRUPT,
                     "the history of instance '%.*s' does not end with its failure", DURO_FMT(id));
  }
  if (end->reason.p) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "instance '%.*s' ran out of time as a whole: start it anew", DURO_FMT(id));
  }
  for (size_t i = events->count - 1; i-- > 0 && is_aftermath(&events->items[i]);) {
    if (!is_failure(&events->items[i]) || !same_error(events->items[i].error, end->error)) continue;
    *at = i;
    found = true;
  }
  if (found) return DURO_OK;
  return duro_fail(
      err, DURO_INVALID_ARGUMENT,
      "instance '%.*s' was not ended by the failure of a step: its code raised the error "
      "itself, or went on after the failure",
      DURO_FMT(id));
}

// --- What is told again ---

static bool still_true(duro__exec *x, const duro_event *e) {
  switch (e->kind) {
  case DURO_EVENT_ACTIVITY_COMPLETED: // it need not run again
    return duro__exec_open(x, e->source) != NULL;
  case DURO_EVENT_EVENT_RECEIVED:
  case DURO_EVENT_SUSPENDED:
  case DURO_EVENT_RESUMED:
    return true;
  default: // timers fire by themselves; of children their rows tell
    return false;
  }
}

static void tell_again(duro__retry_step *s, const duro_event *e) {
  duro_event *again = &s->arrivals[s->arrival_count++];
  *again = *e;
  again->id = again->at_ms = again->attempt = 0;
  if (e->kind == DURO_EVENT_EVENT_RECEIVED) again->source = 0;
}

static duro_code collect_arrivals(duro__retry_plan *p, duro__retry_step *s, duro__exec *x,
                                  const duro_events *events, size_t failure, duro_error **err) {
  size_t most = events->count - failure + s->events.count;
  s->arrivals = duro_arena_alloc(p->arena, most * sizeof *s->arrivals);
  if (!s->arrivals) return duro_fail_oom(err);
  for (size_t i = failure; i < events->count; i++) {
    if (still_true(x, &events->items[i])) tell_again(s, &events->items[i]);
  }
  return DURO_OK;
}

// --- Sub-orchestrations that are open again ---

static bool in_flight(duro_runtime *rt, int64_t key) {
  const duro__instance *i = duro__live_by_key(rt, key);
  return i && i->batches;
}

static duro_code fail_busy(duro_str id, duro_error **err) {
  return duro_fail(err, DURO_BUSY, "the end of instance '%.*s' is not stored yet", DURO_FMT(id));
}

static duro_code fail_running(duro_str id, duro_error **err) {
  return duro_fail(err, DURO_RUNNING, "instance '%.*s' has not ended yet: try again when it has",
                   DURO_FMT(id));
}

// The whole tree of the old one has ended, and its end is stored.
static duro_code check_tree(duro_runtime *rt, duro_str id, duro_error **err) {
  duro__tree tree;
  duro_code code = duro__tree_load(rt, id, &tree, err);
  if (code) return code;
  for (size_t n = 0; n < tree.rows.count && !code; n++) {
    if (in_flight(rt, tree.rows.items[n].key)) code = fail_busy(tree.rows.items[n].id, err);
  }
  const duro_instance_row *unfinished = code ? NULL : duro__tree_unfinished(&tree);
  if (unfinished) code = fail_running(unfinished->id, err);
  duro__tree_free(&tree);
  return code;
}

static duro_code plan_restart(duro_runtime *rt, duro__retry_plan *p,
                              const duro_instance_row *parent, const duro__open *o, bool replaces,
                              duro_error **err) {
  duro_code code = replaces ? check_tree(rt, o->instance, err) : DURO_OK;
  if (code) return code;
  duro__retry_restart *restart = duro__vec_push(&p->restarts);
  if (!restart) return duro_fail_oom(err);
  restart->parent_key = parent->key;
  restart->replaces = replaces;
  restart->instance = (duro__new_instance){
      .id = duro_arena_dup(p->arena, o->instance),
      .name = duro_arena_dup(p->arena, o->name),
      .version = o->version.p ? duro_arena_dup(p->arena, o->version) : DURO_NONE,
      .input = o->input.p ? duro_arena_dup(p->arena, o->input) : DURO_NONE,
      .parent_id = parent->id,
      .parent_key = parent->key,
      .parent_event_id = o->id,
      .parent_execution_id = parent->execution_id,
      .depth = parent->depth + 1,
      .timeout_ms = duro_json_member_int(o->options, "timeout_ms", 0),
      .checked = replaces, // what has its id goes in the same batch
  };
  return p->arena->oom ? duro_fail_oom(err) : DURO_OK;
}

static bool is_child_of(const duro_instance_row *row, const duro_instance_row *parent,
                        int64_t task) {
  return row->parent_key == parent->key && row->parent_event_id == task &&
         row->parent_execution_id == parent->execution_id;
}

// One that failed by a step of its own goes on from there; else it begins anew.
static duro_code plan_failed_child(duro_runtime *rt, duro__retry_plan *p,
                                   const duro_instance_row *parent, const duro__open *o,
                                   const duro_instance_row *row, duro_error **err) {
  size_t steps = p->steps.count, restarts = p->restarts.count;
  duro_error *why = NULL;
  duro_code code = plan_one(rt, p, row, &why);
  if (code == DURO_INVALID_ARGUMENT) {
    duro_error_free(why);
    p->steps.count = steps;
    p->restarts.count = restarts;
    return plan_restart(rt, p, parent, o, true, err);
  }
  if (code) duro_fail_caused(&why, code, "its sub-orchestration cannot go on");
  if (code && err && !*err)
    *err = why;
  else
    duro_error_free(why);
  return code;
}

static void tell_completed(duro__retry_step *s, int64_t task, const duro_instance_row *row) {
  s->arrivals[s->arrival_count++] = (duro_event){
      .kind = DURO_EVENT_SUB_ORCHESTRATION_COMPLETED, .source = task, .output = row->output};
}

static duro_code plan_child(duro_runtime *rt, duro__retry_plan *p, size_t parent_step,
                            const duro__open *o, duro_error **err) {
  duro_instance_row parent = p->steps.items[parent_step].row, row;
  duro_error *problem = NULL;
  duro_code code = duro__store_get(rt->store, o->instance, p->arena, &row, &problem);
  if (code == DURO_NOT_FOUND) {
    duro_error_free(problem);
    return plan_restart(rt, p, &parent, o, false, err);
  }
  duro_error_free(problem);
  if (code) return duro_fail(err, code, "instance '%.*s' cannot be read", DURO_FMT(o->instance));
  if (!is_child_of(&row, &parent, o->id)) {
    return duro_fail(err, DURO_ALREADY_EXISTS,
                     "the id '%.*s' of its sub-orchestration is another's", DURO_FMT(o->instance));
  }
  if (!duro_status_final(row.status)) return fail_running(row.id, err);
  if (in_flight(rt, row.key)) return fail_busy(row.id, err);
  if (row.status == DURO_STATUS_FAILED) return plan_failed_child(rt, p, &parent, o, &row, err);
  if (row.status != DURO_STATUS_COMPLETED) return plan_restart(rt, p, &parent, o, true, err);
  tell_completed(&p->steps.items[parent_step], o->id, &row);
  return DURO_OK;
}

// --- One instance ---

static duro_code read_events(duro_runtime *rt, duro__retry_plan *p, duro__retry_step *s,
                             duro_error **err) {
  duro_texts texts = {0};
  duro_code code =
      duro__store_history(rt->store, s->row.key, s->row.execution_id, p->arena, &texts, err);
  return code ? code : duro_events_decode(texts.items, texts.count, p->arena, &s->events, err);
}

// The state before the failure: which tasks are open again.
static duro_code scan_before(duro__retry_step *s, duro_events events, size_t failure,
                             duro__exec **out, duro_error **err) {
  duro__exec_config config = {0};
  *out = duro__exec_new(&config, s->row.id, s->row.execution_id);
  if (!*out) return duro_fail_oom(err);
  events.count = failure;
  return duro__exec_scan(*out, &events, err);
}

static duro_code plan_one(duro_runtime *rt, duro__retry_plan *p, const duro_instance_row *row,
                          duro_error **err) {
  size_t here = p->steps.count, failure = 0;
  duro_events events = {0};
  duro__exec *x = NULL;
  duro__retry_step *s = duro__vec_push(&p->steps);
  if (!s) return duro_fail_oom(err);
  s->row = *row;
  duro_code code = read_events(rt, p, s, err);
  if (!code) code = effective(&s->events, p->arena, &events, err);
  if (!code) code = find_failure(&events, row->id, &failure, err);
  if (!code) code = scan_before(s, events, failure, &x, err);
  if (!code) code = collect_arrivals(p, s, x, &events, failure, err);
  if (!code) s->from_event_id = events.items[failure].id;
  for (duro__open *o = code ? NULL : duro__exec_open_next(x, 0); o && !code;
       o = duro__exec_open_next(x, o->id)) {
    if (o->kind == DURO__OPEN_CHILD) code = plan_child(rt, p, here, o, err);
  }
  if (x) duro__exec_free(x);
  return code;
}

static duro_code check_root(duro_runtime *rt, const duro_instance_row *row, duro_error **err) {
  if (!duro_status_final(row->status)) return fail_running(row->id, err);
  if (in_flight(rt, row->key)) return fail_busy(row->id, err);
  if (row->status != DURO_STATUS_FAILED) {
    return duro_fail(err, DURO_FINISHED, "instance '%.*s' did not fail: it is %s",
                     DURO_FMT(row->id), duro_status_string(row->status));
  }
  if (!row->parent_id.p) return DURO_OK;
  return duro_fail(err, DURO_INVALID_ARGUMENT,
                   "instance '%.*s' is a sub-orchestration: retry the one at the top of its tree",
                   DURO_FMT(row->id));
}

duro_code duro__retry_plan_make(duro_runtime *rt, duro_str id, duro_arena *arena,
                                duro__retry_plan *out, duro_error **err) {
  duro_instance_row row;
  *out = (duro__retry_plan){.arena = arena};
  duro_code code = duro__store_get(rt->store, id, arena, &row, err);
  if (code == DURO_NOT_FOUND) duro_fail(err, code, "no instance '%.*s'", DURO_FMT(id));
  if (!code) code = check_root(rt, &row, err);
  if (!code) code = plan_one(rt, out, &row, err);
  return code;
}

void duro__retry_plan_free(duro__retry_plan *p) {
  free(p->steps.items);
  free(p->restarts.items);
}
