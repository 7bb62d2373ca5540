// A live turn: what is recorded, and what it leaves for the runtime to do.
//
// Events are encoded straight into the exec's buffer, as one JSON array. Effects are collected in the
// order of their events; one that starts something which the same turn cancels is dropped, so the
// runtime never sees it. On replay nothing is recorded and nothing is to be done.
#include "replay/internal.h"

#include <stdlib.h>

#include "base/json.h"

#define FIRST_EFFECTS 1
#define KEEP_BYTES    (64 * 1024) // a buffer that one turn made larger is given back at the next

_Static_assert(DURO_EVENT_KIND_COUNT <= 64, "the kinds of a turn's events are bits");

// --- Begin and end ---

bool duro__turn_need(duro__exec *x) {
  duro__exec_stock *stock = x->config.stock;
  if (!x->turn && stock) {
    x->turn = stock->turn;
    stock->turn = NULL;
  }
  if (!x->turn) x->turn = calloc(1, sizeof *x->turn);
  return x->turn != NULL;
}

static void turn_free(duro__live_turn *t) {
  if (!t) return;
  duro_buf_free(&t->out);
  duro_buf_free(&t->scratch);
  duro_arena_free(&t->arena);
  free(t->effects);
  free(t);
}

void duro__exec_stock_free(duro__exec_stock *stock) {
  turn_free(stock->turn);
  stock->turn = NULL;
}

// As new, but for the room it has.
static void turn_clear(duro__live_turn *t) {
  if (t->out.oom || t->out.cap > KEEP_BYTES) duro_buf_free(&t->out);
  if (t->scratch.oom || t->scratch.cap > KEEP_BYTES) duro_buf_free(&t->scratch);
  if (t->effect_capacity > KEEP_BYTES / sizeof *t->effects) {
    free(t->effects);
    t->effects = NULL;
    t->effect_capacity = 0;
  }
  duro_arena_reset(&t->arena);
  duro_buf_clear(&t->out);
  duro_buf_clear(&t->scratch);
  *t = (duro__live_turn){.out = t->out,
                         .scratch = t->scratch,
                         .arena = t->arena,
                         .effects = t->effects,
                         .effect_capacity = t->effect_capacity};
}

void duro__exec_turn_leave(duro__exec *x) {
  duro__live_turn *t = x->turn;
  duro__exec_stock *stock = x->config.stock;
  if (!t) return;
  x->turn = NULL;
  if (!DURO_POOL_KEEPS || !stock || stock->turn) {
    turn_free(t);
    return;
  }
  turn_clear(t);
  stock->turn = t;
}

void duro__exec_turn_begin(duro__exec *x, int64_t now_ms) {
  x->turn_number++;
  x->now_ms = now_ms;
  if (!duro__turn_need(x)) {
    duro__break(x, DURO_OUT_OF_MEMORY);
    return;
  }
  turn_clear(x->turn);
  x->turn->first_id = x->last_id + 1;
  duro_buf_add_char(&x->turn->out, '[');
}

// Effects that were taken back leave no gap.
static void pack_effects(duro__live_turn *t) {
  if (!t->effects_dropped) return;
  size_t to = 0;
  for (size_t i = 0; i < t->effect_count; i++) {
    if (t->effects[i].task || t->effects[i].event) t->effects[to++] = t->effects[i];
  }
  t->effect_count = to;
  t->effects_dropped = 0;
}

static duro__turn_result result_of(const duro__exec *x, const duro__live_turn *t) {
  duro__turn_result r = {
      .first_event_id = t->first_id,
      .event_count = t->event_count,
      .kinds = t->kinds,
      .events = duro_buf_str(&t->out),
      .effects = t->effects,
      .effect_count = t->effect_count,
      .status = duro__exec_status(x),
      .custom_status_changed = t->custom_status_changed,
      .attributes_changed = t->attributes_changed,
      .output = t->end_output,
      .error = t->end_error,
      .reason = t->end_reason,
      .activities_completed = t->activities_completed,
      .activities_failed = t->activities_failed,
      .timers_fired = t->timers_fired,
      .events_received = t->events_received,
  };
  if (t->next_start) r.next_start = *t->next_start;
  return r;
}

void duro__exec_turn_end(duro__exec *x, duro__turn_result *out) {
  duro__live_turn *t = x->turn;
  if (t) {
    pack_effects(t);
    duro_buf_add_char(&t->out, ']');
  }
  if (t && !t->out.oom && !x->broken) {
    *out = result_of(x, t);
    return;
  }
  // A broken turn leaves nothing: its exec is dropped.
  duro__break(x, DURO_OUT_OF_MEMORY);
  *out = (duro__turn_result){.first_event_id = t ? t->first_id : 0,
                             .events = DURO_STR("[]"),
                             .status = duro__exec_status(x)};
}

duro_code duro__record(duro__exec *x, duro_event *e, duro_error **err) {
  e->id = x->last_id + 1;
  e->at_ms = x->now_ms;
  if (x->turn->scratch.oom) return duro__break_oom(x, err);
  if (x->turn->event_count) duro_buf_add_char(&x->turn->out, ',');
  duro_event_encode(&x->turn->out, e, x->turn->event_count ? x->now_ms : 0);
  if (x->turn->out.oom) return duro__break_oom(x, err);
  x->turn->event_count++;
  x->turn->kinds |= UINT64_C(1) << e->kind;
  return DURO_OK;
}

duro_str duro__keep(duro__exec *x, duro_str text) { return duro_arena_dup(&x->turn->arena, text); }

// --- Effects ---

// The next effect's place, zeroed. NULL when memory is out.
static duro__effect *add(duro__exec *x, duro__effect_kind kind, int64_t task) {
  if (x->turn->effect_count == x->turn->effect_capacity) {
    size_t capacity = x->turn->effect_capacity ? x->turn->effect_capacity * 2 : FIRST_EFFECTS;
    duro__effect *effects = realloc(x->turn->effects, capacity * sizeof *effects);
    if (!effects) return NULL;
    x->turn->effects = effects;
    x->turn->effect_capacity = capacity;
  }
  duro__effect *e = &x->turn->effects[x->turn->effect_count++];
  *e = (duro__effect){.kind = kind, .task = task};
  return e;
}

duro_code duro__effect_start(duro__exec *x, duro__effect_kind kind, duro__entry *task) {
  if (x->replay) return DURO_OK;
  duro__effect *e = add(x, kind, task->open.id);
  if (!e) return DURO_OUT_OF_MEMORY;
  e->queued = task->open.queue.p != NULL;
  task->start_turn = x->turn_number;
  task->start_place = (uint32_t)x->turn->effect_count - 1;
  return DURO_OK;
}

// What this very turn was to start need not be stopped: the start is taken back.
static bool take_back(duro__exec *x, duro__entry *task) {
  if (task->start_turn != x->turn_number) return false;
  x->turn->effects[task->start_place] = (duro__effect){0};
  x->turn->effects_dropped++;
  return true;
}

duro_code duro__effect_stop_job(duro__exec *x, duro__entry *task) {
  if (x->replay) return DURO_OK;
  bool idle = task->open.state == DURO__STATE_BACKING_OFF ||
              task->open.state == DURO__STATE_DEFERRED || take_back(x, task);
  if (idle && !task->open.runtime) return DURO_OK;
  duro__effect *e = add(x, DURO__CANCEL_JOB, task->open.id);
  if (!e) return DURO_OUT_OF_MEMORY;
  e->runtime = task->open.runtime;
  return DURO_OK;
}

// The event of an effect: its texts are kept in the turn's arena, as it is.
static duro_code keep_event(duro__exec *x, duro__effect *e, const duro_event *from) {
  duro_event *event = duro_arena_alloc(&x->turn->arena, sizeof *event);
  if (!event) return DURO_OUT_OF_MEMORY;
  *event = (duro_event){
      .id = from->id,
      .kind = from->kind,
      .at_ms = from->at_ms,
      .name = duro__keep(x, from->name),
      .version = duro__keep(x, from->version),
      .instance = duro__keep(x, from->instance),
      .input = duro__keep(x, from->input),
      .reason = duro__keep(x, from->reason),
  };
  e->event = event;
  return x->turn->arena.oom ? DURO_OUT_OF_MEMORY : DURO_OK;
}

duro_code duro__effect_stop_child(duro__exec *x, duro__effect_kind kind, duro__entry *task,
                                  duro_str reason) {
  if (x->replay || take_back(x, task)) return DURO_OK;
  duro__effect *e = add(x, kind, task->open.id);
  duro_event event = {.kind = kind == DURO__TERMINATE_CHILD ? DURO_EVENT_ORCHESTRATION_TERMINATED
                                                            : DURO_EVENT_CANCEL_REQUESTED,
                      .instance = task->open.instance,
                      .reason = reason};
  return e ? keep_event(x, e, &event) : DURO_OUT_OF_MEMORY;
}

duro_code duro__effect_send(duro__exec *x, duro__effect_kind kind, const duro_event *event) {
  if (x->replay) return DURO_OK;
  duro__effect *e = add(x, kind, 0);
  return e ? keep_event(x, e, event) : DURO_OUT_OF_MEMORY;
}

// --- The end of the execution ---

// The error of one that was cancelled or terminated is made of its reason.
static duro_str reason_error(duro__exec *x, const char *code, duro_str reason,
                             const char *otherwise) {
  duro_buf b = {0};
  duro_buf_printf(&b, "{\"code\":\"%s\",\"message\":", code);
  duro_json_add_string(&b, reason.n ? reason : duro_str_from(otherwise));
  duro_buf_add_char(&b, '}');
  duro_str error = b.oom ? DURO_NONE : duro__keep(x, duro_buf_str(&b));
  if (b.oom) x->turn->arena.oom = true;
  duro_buf_free(&b);
  return error;
}

static duro_code make_next_start(duro__exec *x, const duro_event *e, duro_error **err) {
  duro_buf carry = {0};
  duro__carry_write(x, &carry);
  duro_event *next = duro_arena_alloc(&x->turn->arena, sizeof *next);
  if (!next || carry.oom) {
    duro_buf_free(&carry);
    return duro__break_oom(x, err);
  }
  *next = (duro_event){
      .kind = DURO_EVENT_ORCHESTRATION_STARTED,
      .name = x->start.name,
      .version = e->version.p ? duro__keep(x, e->version) : x->start.version,
      .input = duro__keep(x, e->input),
      .parent = x->start.parent_id,
      .parent_event = x->parent_event_id,
      .deadline_ms = x->deadline_ms,
      .run_id = x->start.run_id,
      .carry = carry.n > 2 ? duro__keep(x, duro_buf_str(&carry)) : DURO_NONE,
  };
  x->turn->next_start = next;
  duro_buf_free(&carry);
  return DURO_OK;
}

duro_code duro__end_result(duro__exec *x, const duro_event *e, duro_error **err) {
  if (x->replay) return DURO_OK;
  duro_code code = DURO_OK;
  if (e->kind != DURO_EVENT_ORCHESTRATION_FAILED) x->turn->end_reason = duro__keep(x, e->reason);
  switch (e->kind) {
  case DURO_EVENT_ORCHESTRATION_COMPLETED:
    x->turn->end_output = duro__keep(x, e->output);
    break;
  case DURO_EVENT_ORCHESTRATION_CANCELLED:
    x->turn->end_error = reason_error(x, "cancelled", e->reason, DURO_CANCELLED_MESSAGE);
    break;
  case DURO_EVENT_ORCHESTRATION_TERMINATED:
    x->turn->end_error = reason_error(x, "terminated", e->reason, "the instance was terminated");
    break;
  case DURO_EVENT_ORCHESTRATION_CONTINUED_AS_NEW:
    code = make_next_start(x, e, err);
    break;
  default:
    x->turn->end_error = duro__keep(x, e->error);
  }
  if (!code && x->turn->arena.oom) code = duro__break_oom(x, err);
  return code;
}
