// verbs_prune.c: retention: past executions of one instance, or of many in bounded steps.
//
// A step looks through instances until it has enough executions, and deletes these in one batch with the
// entry of the audit log that tells of them. The call goes on behind that instance when the batch is
// durable; so turns and other writes come in between, and whoever is killed leaves whole steps. Nobody
// writes past executions any more, so what is chosen stays true until its batch.
// To keep executions by another rule: choose().
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/audit.h"
#include "runtime/finder.h"

#define EXECUTIONS 1000 // a step ends with the instance that makes it this many

typedef struct prune {
  duro_arena arena, scratch;
  duro_str call; // its arguments
  duro_filter filter;
  bool one; // prune_executions
  int64_t keep_last, completed_before_ms;
  int64_t after_key, instances, executions, events; // what the steps have come to
  int64_t step_events;
  DURO__VEC(duro_prune_row) chosen; // by this step
} prune;

static prune *prune_new(duro_request *r, duro_str call, bool one) {
  prune *p = calloc(1, sizeof *p);
  if (p) {
    p->one = one;
    p->call = duro_arena_dup(&p->arena, call);
  }
  if (p && p->call.p) return p;
  free(p);
  duro__fail_memory(r);
  return NULL;
}

static void prune_free(prune *p) {
  free(p->chosen.items);
  duro_arena_free(&p->scratch);
  duro_arena_free(&p->arena);
  free(p);
}

static bool read_limits(duro_request *r, prune *p) {
  if (!duro__arg_int(r, p->call, "keep_last", 1, 0, &p->keep_last) ||
      !duro__arg_int(r, p->call, "completed_before_ms", 0, 0, &p->completed_before_ms))
    return false;
  if (!duro__member(p->call, "keep_last").p && !p->completed_before_ms) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'keep_last' or 'completed_before' is needed");
    return false;
  }
  if (p->keep_last < 1) p->keep_last = 1; // the current one stays in any case
  return true;
}

// --- Choosing (the helper thread, for the most part) ---

static duro_code choose(prune *p, const duro_instance_row *row, const duro_execution_row *past,
                        size_t count, duro_error **err) {
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    const duro_execution_row *e = &past[i];
    if (e->execution_id > row->execution_id - p->keep_last) break; // they are ascending
    if (p->completed_before_ms && e->completed_at_ms >= p->completed_before_ms) continue;
    duro_prune_row *slot = duro__vec_push(&p->chosen);
    if (!slot) return duro_fail_oom(err);
    *slot = (duro_prune_row){row->key, e->execution_id};
    p->step_events += e->event_count;
    any = true;
  }
  p->instances += any;
  return DURO_OK;
}

static duro_code visit(duro__finder *f, const duro_instance_row *row, duro_error **err) {
  prune *p = f->user;
  duro_execution_row *past = NULL;
  size_t count = 0;
  p->after_key = row->key;
  if (row->execution_id <= p->keep_last) return DURO_OK;
  duro_code code =
      duro__store_executions(f->request->rt->store, row->key, &p->scratch, &past, &count, err);
  if (!code) code = choose(p, row, past, count, err);
  duro_arena_reset(&p->scratch);
  f->enough = p->chosen.count >= EXECUTIONS;
  return code;
}

// --- Deleting ---

static duro__call_function go_on;

static void add_state(duro_buf *b, const prune *p) {
  duro_buf_add_char(b, '{');
  duro__add_json_member(b, "call", p->call);
  duro__add_int_member(b, "after_key", p->after_key);
  duro__add_int_member(b, "instances", p->instances);
  duro__add_int_member(b, "executions", p->executions);
  duro__add_int_member(b, "events", p->events);
  duro_buf_add_char(b, '}');
}

static void add_answer(duro_buf *b, const prune *p) {
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  if (!p->one) duro__add_int_member(b, "instances_pruned", p->instances);
  duro__add_int_member(b, "executions_deleted", p->executions);
  duro__add_int_member(b, "events_deleted", p->events);
  duro_buf_add_char(b, '}');
}

static duro__batch *delete_chosen(duro_runtime *rt, duro_request *r, prune *p) {
  duro__batch *b = duro__batch_open(rt);
  for (size_t i = 0; b && i < p->chosen.count; i++) {
    duro_prune_row *slot = duro__vec_push(&b->prunes);
    if (slot)
      *slot = p->chosen.items[i];
    else
      b->poisoned = true;
  }
  p->executions += (int64_t)p->chosen.count;
  p->events += p->step_events;
  duro__audit_pruned(r, (int64_t)p->chosen.count, p->step_events);
  return b;
}

static void next_step(duro_runtime *rt, duro_request *r, duro__batch *b, const prune *p) {
  duro_buf state = {0};
  add_state(&state, p);
  duro__audit_step(rt, b, r);
  if (state.oom)
    duro__fail_memory(r);
  else
    duro__call_again(rt, r, go_on, duro_buf_str(&state));
  duro_buf_free(&state);
}

static void found(duro_runtime *rt, duro__finder *f) {
  prune *p = f->user;
  duro_request *r = f->request;
  if (p->chosen.count) {
    duro__batch *b = delete_chosen(rt, r, p);
    if (!b) {
      duro__fail_memory(r);
    } else if (f->truncated) {
      next_step(rt, r, b, p);
    } else {
      add_answer(&r->answer, p);
      duro__batch_answer(rt, b, r);
    }
  } else {
    add_answer(&r->answer, p);
    duro__request_durable(r);
  }
  prune_free(p);
}

static void failed(duro__finder *f) { prune_free(f->user); }

static void begin(duro_request *r, void *user) {
  prune *p = user;
  duro__finder *f = duro__finder_new(r, DURO_STR(""));
  if (!f) {
    prune_free(p);
    return;
  }
  f->query.filter = p->filter;
  f->query.after_key = p->after_key;
  f->query.brief = true;
  f->user = p;
  f->visit = visit;
  f->found = found;
  f->failed = failed;
  duro__finder_begin(f);
}

// --- The calls ---

static bool read_call(duro_request *r, prune *p) {
  return duro__arg_object(r, p->call) && read_limits(r, p) &&
         duro__arg_filter(r, duro__member(p->call, "filter"), &p->arena, &p->filter) &&
         duro__arg_only(r, p->call, &p->arena, &p->filter);
}

static void go_on(duro_runtime *rt, duro_request *r, duro_str state) {
  prune *p = prune_new(r, duro__member(state, "call"), false);
  (void)rt;
  if (!p) return;
  p->after_key = duro_json_member_int(state, "after_key", 0);
  p->instances = duro_json_member_int(state, "instances", 0);
  p->executions = duro_json_member_int(state, "executions", 0);
  p->events = duro_json_member_int(state, "events", 0);
  if (read_call(r, p))
    begin(r, p);
  else
    prune_free(p);
}

// Both fold first: what the journal still holds of executions that go would show in the view v_events.

void duro__verb_prune(duro_runtime *rt, duro_request *r, duro_str args) {
  prune *p = prune_new(r, args, false);
  if (!p) return;
  if (read_call(r, p))
    duro__when_folded(rt, r, begin, p);
  else
    prune_free(p);
}

void duro__verb_prune_executions(duro_runtime *rt, duro_request *r, duro_str args) {
  prune *p = prune_new(r, args, true);
  duro_instance_row row;
  duro_str *id = p ? duro_arena_alloc(&p->arena, sizeof *id) : NULL;
  if (p && !id) duro__fail_memory(r);
  bool fine =
      id && duro__arg_object(r, p->call) &&
      duro__arg_id(r, p->call, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &p->arena, id) &&
      read_limits(r, p) && duro__read_row(rt, r, *id, &p->arena, &row);
  if (fine) {
    p->filter = (duro_filter){.ids = id, .id_count = 1};
    duro__when_folded(rt, r, begin, p);
  } else if (p) {
    prune_free(p);
  }
}
