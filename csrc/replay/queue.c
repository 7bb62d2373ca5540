// Stepping the program: what it is told, in which order, and what cannot be told at once.
//
// A completion is told as soon as its arrival is noted. What the fold itself brings about (a wait that
// found an event) is told after the step that runs, first come first told, and before the next arrival.
// While an instance is suspended or its begin is held back everything queues. The order depends on
// history alone, so a replay tells the same things at the same places.
#include "replay/internal.h"

#include <stdlib.h>

#define FIRST_PLACES 4

// --- The queue ---

static bool make_room(duro__queue *q) {
  if (q->count < q->capacity) return true;
  size_t capacity = q->capacity ? q->capacity * 2 : FIRST_PLACES;
  duro__told *items = malloc(capacity * sizeof *items);
  if (!items) return false;
  for (size_t i = 0; i < q->count; i++) items[i] = q->items[(q->head + i) % q->capacity];
  free(q->items);
  q->items = items;
  q->head = 0;
  q->capacity = capacity;
  return true;
}

bool duro__tell_later(duro__exec *x, duro__told_kind kind, int64_t task, duro_str text) {
  duro__queue *q = &x->queue;
  duro__told t = {.kind = kind, .task = task};
  if (!make_room(q) || !duro__own(&t.text, text)) return false;
  q->items[(q->head + q->count++) % q->capacity] = t;
  return true;
}

static duro__told take(duro__queue *q) {
  duro__told t = q->items[q->head];
  q->head = (q->head + 1) % q->capacity;
  q->count--;
  return t;
}

void duro__queue_clear(duro__exec *x) {
  while (x->queue.count) {
    duro__told t = take(&x->queue);
    free((char *)t.text.p);
  }
}

// --- Steps ---

// After begin or step: a turn that broke inside is broken, whatever the host returned.
static duro_code after_step(duro__exec *x, duro_code code, duro_error **err) {
  x->stepping = false;
  duro__mail_free_seen(x);
  if (x->side_effect_open && !code && !x->broken) {
    x->side_effect_open = false;
    code = duro_fail(err, DURO_INVALID_ARGUMENT, "a side effect was begun and not recorded");
  }
  if (code) duro__break(x, code);
  if (x->broken && !code) {
    duro_fail(err, x->broken, "%s", duro_code_sentence(x->broken));
  }
  if (x->ended) duro__end_program(x);
  return x->broken;
}

static duro_code begin(duro__exec *x, duro_error **err) {
  x->held = false;
  x->stepping = true;
  duro_code code = x->config.program->begin(x->config.host, x->config.code, duro__turn_of(x),
                                            &x->start, &x->program, err);
  return after_step(x, code, err);
}

static duro_code step(duro__exec *x, const duro_completion *completion, duro_error **err) {
  if (!x->program) return DURO_OK;
  x->stepping = true;
  duro_code code =
      x->config.program->step(x->config.host, x->program, duro__turn_of(x), completion, err);
  return after_step(x, code, err);
}

static duro_code tell_wait(duro__exec *x, int64_t task, duro_error **err) {
  duro__entry *wait = duro__open_find(x, task);
  if (!wait || !wait->mail || wait->told) return DURO_OK; // it was cancelled meanwhile
  wait->told = true;
  duro_completion c = {.kind = DURO_TASK_COMPLETED, .task = task, .output = wait->mail->data};
  return step(x, &c, err);
}

// Everything open is cancelled, what was still to be told with it, and then the code is told.
static duro_code tell_cancel(duro__exec *x, duro_error **err) {
  duro_code code = duro__cancel_open(x, x->cancel_reason, err);
  if (code) return code;
  duro__queue_clear(x);
  duro_buf b = {0};
  duro_completion c = {.kind = DURO_CANCEL, .error = duro__cancel_error(x, &b)};
  code = b.oom ? duro__break_oom(x, err) : step(x, &c, err);
  duro_buf_free(&b);
  return code;
}

static duro_code tell_now(duro__exec *x, duro__told_kind kind, int64_t task, duro_str text,
                          duro_error **err) {
  duro_completion c = {.task = task};
  switch (kind) {
  case DURO__TELL_BEGIN: // what is cancelled before its code began ends without it
    return x->cancel_requested ? duro__finish_cancelled(x, err) : begin(x, err);
  case DURO__TELL_WAIT:
    return tell_wait(x, task, err);
  case DURO__TELL_CANCEL:
    return tell_cancel(x, err);
  case DURO__TELL_COMPLETED:
    c.kind = DURO_TASK_COMPLETED;
    c.output = text;
    return step(x, &c, err);
  case DURO__TELL_FAILED:
    c.kind = DURO_TASK_FAILED;
    c.error = text;
    return step(x, &c, err);
  }
  return DURO_OK;
}

duro_code duro__pump(duro__exec *x, duro_error **err) {
  while (x->queue.count && !x->suspended && !x->held && !x->ended) {
    duro__told t = take(&x->queue);
    duro_code code = tell_now(x, t.kind, t.task, t.text, err);
    free((char *)t.text.p);
    if (code) return code;
  }
  return DURO_OK;
}

duro_code duro__tell(duro__exec *x, duro__told_kind kind, int64_t task, duro_str text,
                     duro_error **err) {
  if (!x->runs) return DURO_OK;
  if (x->suspended || x->held || x->queue.count) {
    if (!duro__tell_later(x, kind, task, text)) return duro__break_oom(x, err);
    return DURO_OK;
  }
  return tell_now(x, kind, task, text, err);
}
