// verbs_retry.c: failed instances go on from the step that failed them.
//
// A plan is made first (retry_plan.h), which changes nothing. Then the batch brings the instance back: its
// event orchestration_retried, its row running again, what is to be told again as messages, and
// sub-orchestrations that begin anew. Killed before that batch is durable, all of them are still failed;
// after it, opening the file finds them running.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/bulk.h"
#include "runtime/retry_plan.h"
#include "runtime/trees.h"

// --- Bringing one back ---

static void poison(duro_runtime *rt, duro_code code, duro_error *err) {
  if (!err) duro_fail(&err, code, "%s", duro_code_sentence(code));
  duro__batch_poison(rt, err);
}

static duro__exec *scan(const duro__instance *i, const duro_events *events, duro_code *code,
                        duro_error **err) {
  duro__exec_config config = {0};
  duro__exec *x = duro__exec_new(&config, i->id, i->execution_id);
  *code = x ? duro__exec_scan(x, events, err) : duro_fail_oom(err);
  return x;
}

// The turn that records the retry, by an exec that knows the whole history.
static duro_code retry_turn(duro_runtime *rt, duro__exec *x, int64_t from, duro_str reason,
                            duro__turn_result *out, duro_error **err) {
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_RETRIED, .source = from, .reason = reason};
  bool recorded = false;
  duro__exec_turn_begin(x, duro__now(rt));
  duro_code code = duro__exec_apply(x, &e, &recorded, err);
  duro__exec_turn_end(x, out);
  if (code || recorded) return code;
  return duro_fail(err, DURO_FINISHED, "it cannot be retried");
}

// The history with the turn's events at its end.
static duro_code extended(const duro__retry_step *s, const duro__turn_result *turn,
                          duro_arena *arena, duro_events *out, duro_error **err) {
  duro_events added = {0};
  duro_code code = duro_events_decode(&turn->events, 1, arena, &added, err);
  if (code) return code;
  size_t count = s->events.count + added.count;
  duro_event *items = duro_arena_alloc(arena, count * sizeof *items);
  if (!items) return duro_fail_oom(err);
  memcpy(items, s->events.items, s->events.count * sizeof *items);
  memcpy(items + s->events.count, added.items, added.count * sizeof *items);
  *out = (duro_events){items, count};
  return DURO_OK;
}

// Rows of task queues for the attempts that begin again; local jobs begin when it is built.
static void queue_rows(duro_runtime *rt, duro__batch *b, duro__instance *i) {
  i->rows_known = true; // there are none: they went when it failed
  for (duro__open *o = duro__exec_open_next(i->exec, 0); o;
       o = duro__exec_open_next(i->exec, o->id)) {
    if (o->kind != DURO__OPEN_ACTIVITY || !o->queue.p) continue;
    duro__effect start = {.kind = DURO__START_JOB, .queued = true, .task = o->id};
    duro__turn_result turn = {.effects = &start, .effect_count = 1};
    duro__queues_turn(rt, b, i, &turn);
  }
}

static void write_rows(duro_runtime *rt, duro__batch *b, duro__instance *i,
                       const duro__turn_result *turn, uint64_t started_ns) {
  duro__turn_result now = *turn;
  now.status = i->status;
  duro__batch_touch(rt, b, i);
  queue_rows(rt, b, i);
  duro__row_journal(rt, b, i, &now, started_ns);
  duro__row_update(rt, b, i, DURO_SET_STATUS | DURO_SET_CUSTOM_STATUS | DURO_SET_ATTRIBUTES,
                   &(duro__turn_result){.status = i->status});
}

static void bring_back(duro_runtime *rt, duro__batch *b, const duro__retry_step *s, duro_str reason,
                       duro_arena *arena) {
  uint64_t started_ns = duro__tick(rt);
  duro_error *err = NULL;
  duro_code code = DURO_OK;
  duro_events events = {0};
  duro__turn_result turn = {0};
  duro__instance *i = duro__instance_of_row(rt, &s->row);
  duro__exec *before = i ? scan(i, &s->events, &code, &err) : NULL;
  if (!i) code = duro_fail_oom(&err);
  if (!code) code = retry_turn(rt, before, s->from_event_id, reason, &turn, &err);
  if (!code) code = extended(s, &turn, arena, &events, &err);
  if (!code) i->exec = scan(i, &events, &code, &err);
  if (!code) {
    i->status = duro__exec_status(i->exec);
    i->custom_status_version = duro__exec_custom_status_version(i->exec);
    i->retried = true;
    duro__count(rt, i->name, DURO__TIMERS_OPEN, duro__exec_open_count(i->exec, DURO__OPEN_TIMER));
    duro__tick(rt);
    write_rows(rt, b, i, &turn, started_ns);
    duro__count(rt, i->name, DURO__RETRIED, 1); // it did not end after all
    duro__instance_unbuild(rt, i);              // its code stands up by replay, once this is stored
    duro__instance_ready(rt, i);
    for (size_t n = 0; n < s->arrival_count; n++)
      duro__send(rt, i, i->execution_id, &s->arrivals[n]);
  } else {
    poison(rt, code, err);
    if (i) duro__instance_drop(rt, i);
  }
  if (before) duro__exec_free(before);
}

// --- Sub-orchestrations that begin anew ---

static void restart(duro_runtime *rt, duro__batch *b, const duro__retry_restart *r) {
  duro__tree tree;
  duro_error *err = NULL;
  duro_code code = r->replaces ? duro__tree_load(rt, r->instance.id, &tree, &err) : DURO_OK;
  if (!code && r->replaces) {
    duro__tree_stop(rt, &tree); // all of it has ended
    duro__tree_delete(rt, b, &tree);
    duro__tree_free(&tree);
  }
  if (!code) code = duro__instance_create(rt, &r->instance, NULL, &err);
  if (code)
    poison(rt, code, err);
  else
    duro_error_free(err);
}

// --- All of them ---

static void carry_out(duro_runtime *rt, duro__batch *b, const duro__retry_plan *p,
                      duro_str reason) {
  for (size_t n = 0; n < p->steps.count; n++)
    bring_back(rt, b, &p->steps.items[n], reason, p->arena);
  for (size_t n = 0; n < p->restarts.count; n++) restart(rt, b, &p->restarts.items[n]);
}

static bool act(duro_runtime *rt, duro__bulk *b, duro_str id, bool last) {
  duro_arena arena = {0};
  duro__retry_plan plan = {0};
  duro_error *err = NULL;
  duro_code code = duro__retry_plan_make(rt, id, &arena, &plan, &err);
  bool done = code != DURO_BUSY || last;
  if (!code) {
    duro__bulk_add_id(&b->done, id);
    if (!b->dry_run) carry_out(rt, rt->open, &plan, b->reason);
  } else if (done) {
    duro__bulk_failed(b, id, code, err);
  } else {
    duro_error_free(err);
  }
  duro__retry_plan_free(&plan);
  duro_arena_free(&arena);
  return done;
}

void duro__verb_retry_failed(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__bulk_kind kind = {.done_key = "retried_instances", .act = act};
  duro__bulk_begin(rt, r, args, &kind);
}
