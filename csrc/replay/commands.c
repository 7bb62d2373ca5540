// What the code asks of its turn: the duro_turn_* calls of program.h.
//
// Each is: refuse what is out of bounds (alike live and replayed, before anything is recorded), issue
// the event, leave the effect. To add one: its event in note.c, its member of find_difference in
// match.c if it has a payload of a new kind, and the call here.
#include "replay/internal.h"

#include "base/json.h"

// --- Bounds ---

// May the code ask for anything now?
duro_code duro__may_ask(duro__exec *x, duro_error **err) {
  if (x->broken) return duro_fail(err, x->broken, "%s", duro_code_sentence(x->broken));
  if (!x->stepping || x->ended) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     x->ended ? "the execution has ended" : "there is no turn");
  }
  if (x->side_effect_open) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "a side effect is still to be recorded");
  }
  return DURO_OK;
}

duro_code duro__may_add(duro__exec *x, duro_error **err) {
  duro_code code = duro__may_ask(x, err);
  if (code || duro__next_id(x) <= DURO_MAX_HISTORY_EVENTS) return code;
  return duro_fail(err, DURO_TOO_LARGE,
                   "the execution has %lld events of at most %d: continue as new before that",
                   (long long)x->last_id, DURO_MAX_HISTORY_EVENTS);
}

duro_code duro__check_id(const char *what, duro_str id, size_t max_bytes, duro_error **err) {
  char why[128];
  if (!duro_id_problem(id, max_bytes, why)) return DURO_OK;
  duro_str shown = duro_str_cut(id, 64);
  return duro_fail(err, DURO_INVALID_ARGUMENT, "%s '%.*s%s' %s", what, DURO_FMT(shown),
                   shown.n < id.n ? "..." : "", why);
}

duro_code duro__check_size(const char *what, duro_str text, size_t max_bytes, duro_error **err) {
  if (text.n <= max_bytes) return DURO_OK;
  return duro_fail(err, DURO_TOO_LARGE, "%s has %zu bytes of at most %zu", what, text.n, max_bytes);
}

static duro_code check_payload(const char *what, duro_str text, duro_error **err) {
  return duro__check_size(what, text, DURO_MAX_PAYLOAD_BYTES, err);
}

// --- Tasks ---

duro_code duro_turn_activity(duro_turn *t, duro_str name, duro_str input, duro_str options,
                             int64_t *task, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (!code) code = duro__check_id("activity", name, DURO_MAX_NAME_BYTES, err);
  if (!code) code = check_payload("the activity's input", input, err);
  if (!code) code = check_payload("the activity's options", options, err);
  if (code) return code;
  duro_event e = {
      .kind = DURO_EVENT_ACTIVITY_SCHEDULED, .name = name, .input = input, .options = options};
  code = duro__issue(x, &e, err);
  if (code) return code;
  *task = e.id;
  if (x->replay) return DURO_OK;
  return duro__effect_start(x, DURO__START_JOB, duro__open_find(x, e.id)) ? duro__break_oom(x, err)
                                                                          : DURO_OK;
}

duro_code duro_turn_timer(duro_turn *t, int64_t fire_at_ms, int64_t delay_ms, int64_t *task,
                          duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_TIMER_CREATED, .fire_at_ms = fire_at_ms, .delay_ms = delay_ms};
  code = duro__issue(x, &e, err);
  if (!code) *task = e.id;
  return code;
}

duro_code duro_turn_wait(duro_turn *t, duro_str event_name, int64_t *task, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (!code) code = duro__check_id("event", event_name, DURO_MAX_NAME_BYTES, err);
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_EVENT_SUBSCRIBED, .name = event_name};
  code = duro__issue(x, &e, err);
  if (!code) *task = e.id;
  return code;
}

static duro_code check_orchestration(duro_str name, duro_str version, duro_str id, duro_str input,
                                     duro_error **err) {
  duro_code code = duro__check_id("orchestration", name, DURO_MAX_NAME_BYTES, err);
  if (!code && version.p) code = duro__check_id("version", version, DURO_MAX_NAME_BYTES, err);
  if (!code && id.p) code = duro__check_id("instance", id, DURO_MAX_ID_BYTES, err);
  return code ? code : check_payload("the orchestration's input", input, err);
}

// {parent}::{execution}::{event id}, in the exec's scratch.
static duro_code child_id(duro__exec *x, duro_str *id, duro_error **err) {
  x->turn->scratch.n = 0;
  duro_buf_add_str(&x->turn->scratch, x->start.instance_id);
  duro_buf_add_lit(&x->turn->scratch, "::");
  duro_buf_add_int(&x->turn->scratch, x->start.execution_id);
  duro_buf_add_lit(&x->turn->scratch, "::");
  duro_buf_add_int(&x->turn->scratch, duro__next_id(x));
  if (x->turn->scratch.oom) return duro__break_oom(x, err);
  *id = duro_buf_str(&x->turn->scratch);
  return duro__check_size("the child's id", *id, DURO_MAX_DERIVED_ID_BYTES, err);
}

duro_code duro_turn_child(duro_turn *t, duro_str name, duro_str version, duro_str id,
                          duro_str input, duro_str options, int64_t *task, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (!code) code = check_orchestration(name, version, id, input, err);
  if (!code) code = check_payload("the options", options, err);
  if (!code && !id.p) code = child_id(x, &id, err);
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_SUB_ORCHESTRATION_SCHEDULED,
                  .name = name,
                  .version = version,
                  .instance = id,
                  .input = input,
                  .options = options};
  code = duro__issue(x, &e, err);
  if (code) return code;
  *task = e.id;
  if (x->replay) return DURO_OK;
  return duro__effect_start(x, DURO__START_CHILD, duro__open_find(x, e.id))
             ? duro__break_oom(x, err)
             : DURO_OK;
}

// --- Giving tasks up ---

static duro_event_kind cancelled_kind(duro__open_kind kind) {
  switch (kind) {
  case DURO__OPEN_ACTIVITY:
    return DURO_EVENT_ACTIVITY_CANCELLED;
  case DURO__OPEN_TIMER:
    return DURO_EVENT_TIMER_CANCELLED;
  case DURO__OPEN_WAIT:
    return DURO_EVENT_EVENT_SUBSCRIPTION_CANCELLED;
  case DURO__OPEN_CHILD:
    return DURO_EVENT_SUB_ORCHESTRATION_CANCELLED;
  }
  return DURO_EVENT_NONE;
}

// The effect goes first, because the event closes the entry. On replay there is none.
static duro_code cancel(duro__exec *x, duro__entry *task, duro_str child_reason, duro_error **err) {
  duro_event e = {.kind = cancelled_kind(task->open.kind), .source = task->open.id};
  duro_code code = DURO_OK;
  if (task->open.kind == DURO__OPEN_ACTIVITY) code = duro__effect_stop_job(x, task);
  if (task->open.kind == DURO__OPEN_CHILD) {
    code = duro__effect_stop_child(x, DURO__CANCEL_CHILD, task, child_reason);
  }
  return code ? duro__break_oom(x, err) : duro__issue(x, &e, err);
}

duro_code duro__cancel_open(duro__exec *x, duro_str child_reason, duro_error **err) {
  for (duro__entry *task; (task = duro__open_after(x, 0));) {
    duro_code code = cancel(x, task, child_reason, err);
    if (code) return code;
  }
  return DURO_OK;
}

duro_code duro_turn_cancel_task(duro_turn *t, int64_t task, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_ask(x, err);
  if (code) return code;
  duro__entry *e = duro__open_find(x, task);
  return e ? cancel(x, e, DURO_STR("its parent no longer waits for it"), err) : DURO_OK;
}

void duro_turn_observe(duro_turn *t, int64_t task) {
  duro__exec *x = duro__exec_of(t);
  duro__entry *e = x->stepping && !x->broken ? duro__open_find(x, task) : NULL;
  if (!e || !e->told || !e->mail) return;
  duro__mail_taken(x, e);
  duro__open_remove(x, e);
}

// --- Fire and forget ---

// A version 7 UUID made of what is fixed: the time of the turn, the run, the execution and the event.
static void detached_id(duro__exec *x, char out[DURO_UUID_SIZE]) {
  duro_prng g;
  duro_buf seed = {0};
  char time_part[13], *at = time_part;
  for (int shift = 44; shift >= 0; shift -= 4) {
    *at++ = "0123456789abcdef"[(x->now_ms >> shift) & 15];
  }
  duro_buf_printf(&seed, "%.*s:%lld:%lld", DURO_FMT(x->start.run_id),
                  (long long)x->start.execution_id, (long long)duro__next_id(x));
  if (seed.oom) x->turn->scratch.oom = true;
  duro_prng_seed(&g, duro_buf_str(&seed));
  duro_prng_uuid4(&g, out);
  memcpy(out, time_part, 8);
  memcpy(out + 9, time_part + 8, 4);
  out[14] = '7';
  duro_buf_free(&seed);
}

duro_code duro_turn_start(duro_turn *t, duro_str name, duro_str version, duro_str id,
                          duro_str input, duro_str *id_out, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  char made[DURO_UUID_SIZE];
  duro_code code = duro__may_add(x, err);
  if (!code) code = check_orchestration(name, version, id, input, err);
  if (code) return code;
  if (!id.p) {
    detached_id(x, made);
    if (x->turn->scratch.oom) return duro__break_oom(x, err);
    id = duro_str_from(made);
  }
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_CHAINED,
                  .name = name,
                  .version = version,
                  .instance = id,
                  .input = input};
  code = duro__issue(x, &e, err);
  if (code) return code;
  *id_out = duro__keep(x, e.instance);
  code = duro__effect_send(x, DURO__START_DETACHED, &e);
  return code || x->turn->arena.oom ? duro__break_oom(x, err) : DURO_OK;
}

duro_code duro_turn_raise(duro_turn *t, duro_str instance_id, duro_str event_name, duro_str data,
                          duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (!code) code = duro__check_id("instance", instance_id, DURO_MAX_DERIVED_ID_BYTES, err);
  if (!code) code = duro__check_id("event", event_name, DURO_MAX_NAME_BYTES, err);
  if (!code) code = check_payload("the event's data", data, err);
  if (code) return code;
  duro_event e = {
      .kind = DURO_EVENT_EVENT_SENT, .name = event_name, .instance = instance_id, .input = data};
  code = duro__issue(x, &e, err);
  if (code) return code;
  return duro__effect_send(x, DURO__SEND_EVENT, &e) ? duro__break_oom(x, err) : DURO_OK;
}
