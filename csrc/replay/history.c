// Replay and scan: an execution rebuilt from its history.
//
// Replay gives the arrivals of history to the same code that takes live ones; the program runs, and
// each command it asks for takes its event at the cursor (match.c). So at every arrival the code has
// asked for exactly what stands before it. A scan only folds. Both skip what a later
// orchestration_retried masks: the events from its source up to itself have not happened.
#include "replay/internal.h"

#include <stdlib.h>

// --- Which events count ---

static bool has_retries(const duro_events *history) {
  for (size_t i = 0; i < history->count; i++) {
    if (history->items[i].kind == DURO_EVENT_ORCHESTRATION_RETRIED) return true;
  }
  return false;
}

// The events that no later retry masks, copied into one block.
static duro_code unmask(duro_events *history, duro_event **owned, duro_error **err) {
  size_t to = history->count;
  int64_t masked_from = INT64_MAX;
  duro_event *items = malloc(history->count * sizeof *items);
  if (!items) return duro_fail_oom(err);
  for (size_t i = history->count; i-- > 0;) {
    const duro_event *e = &history->items[i];
    if (e->id >= masked_from) continue;
    items[--to] = *e;
    if (e->kind == DURO_EVENT_ORCHESTRATION_RETRIED && e->source) masked_from = e->source;
  }
  *owned = items;
  *history = (duro_events){items + to, history->count - to};
  return DURO_OK;
}

static duro_code corrupt(const duro__exec *x, const duro_event *e, const char *why,
                         duro_error **err) {
  duro_buf b = {0};
  duro__describe(e, &b);
  duro_fail(err, DURO_CORRUPT, "history of '%.*s', event %lld (%.*s): %s",
            DURO_FMT(x->start.instance_id), (long long)e->id, (int)b.n, b.n ? b.p : "", why);
  duro_buf_free(&b);
  return DURO_CORRUPT;
}

// What no code can have asked for, and no live turn would have recorded.
static duro_code check(duro__exec *x, const duro_event *e, duro_error **err) {
  bool starts = e->kind == DURO_EVENT_ORCHESTRATION_STARTED;
  if (!x->started && !starts) {
    return corrupt(x, e, "history must begin with orchestration_started", err);
  }
  if (x->started && starts) return corrupt(x, e, "an execution starts once", err);
  if (duro__needs_source(e) && !duro__source(x, e)) {
    return corrupt(x, e, "what it is about is not open", err);
  }
  return DURO_OK;
}

// --- Scan ---

static duro_code scan(duro__exec *x, const duro_event *items, size_t count, duro_error **err) {
  duro_code code = DURO_OK;
  x->runs = false;
  x->scanned = true;
  for (size_t i = 0; i < count && !code; i++) {
    code = check(x, &items[i], err);
    if (!code) code = duro__note(x, &items[i], err);
  }
  return code;
}

// --- Replay ---

static duro_code replay_one(duro__exec *x, duro_error **err) {
  const duro_event *e = &x->replay->items[x->replay->cursor];
  if (x->ended && e->kind != DURO_EVENT_ORCHESTRATION_RETRIED) {
    return duro__part(x, "nothing (the code has ended)", err);
  }
  if (!duro__is_arrival(e)) return duro__part(x, "nothing (the code waits)", err);
  duro_code code = check(x, e, err);
  if (code) return code;
  x->replay->cursor++;
  return duro__process(x, e, err);
}

static duro_code replay(duro__exec *x, duro__replay *r, duro_error **err) {
  duro_code code = DURO_OK;
  if (!duro__turn_need(x)) return duro__break_oom(x, err);
  x->runs = true;
  x->replay = r;
  // A command cannot be first, and check() says it better than the program could.
  if (!duro__is_arrival(&r->items[0])) code = check(x, &r->items[0], err);
  while (!code && r->cursor < r->count) code = replay_one(x, err);
  x->replay = NULL;
  return code;
}

// The program itself may say that it has departed from its history: then nobody has made a mismatch.
static void adopt_mismatch(const duro__exec *x, duro__mismatch *m, const duro_error *err) {
  if (m->code) return;
  m->event_id = x->last_id + 1;
  m->code = DURO_NONDETERMINISM;
  m->expected = duro_str_dup(DURO_STR("what history says"));
  m->got = duro_str_dup(duro_str_from(err && err->message ? err->message : "something else"));
}

// The whole history is scanned instead, so that the state is known; the program is gone.
static duro_code parted(duro__exec *x, duro__replay *r, duro__mismatch *mismatch,
                        duro_error **err) {
  adopt_mismatch(x, &r->mismatch, err ? *err : NULL);
  duro__reset(x);
  duro_code code = scan(x, r->items, r->count, err);
  if (!code && !(r->mismatch.expected && r->mismatch.got)) code = duro__break_oom(x, err);
  if (code) return code;
  if (mismatch) {
    *mismatch = r->mismatch;
    r->mismatch = (duro__mismatch){0};
  }
  return DURO_NONDETERMINISM;
}

static duro_code replay_or_scan(duro__exec *x, duro__replay *r, duro__mismatch *mismatch,
                                duro_error **err) {
  duro_code code = replay(x, r, err);
  if (code == DURO_NONDETERMINISM && !r->halted) code = parted(x, r, mismatch, err);
  duro__mismatch_free(&r->mismatch);
  if (!r->halted) return code;
  if (err) {
    duro_error_free(*err);
    *err = NULL;
  }
  return DURO_OK;
}

// --- The three ways in ---

typedef enum way { WAY_REPLAY, WAY_LOOK_BACK, WAY_SCAN } way;

static duro_code rebuild(duro__exec *x, duro_events history, way how, duro__mismatch *mismatch,
                         duro_error **err) {
  duro_event *owned = NULL;
  duro_code code = DURO_OK;
  duro__reset(x);
  if (!history.count) {
    return duro_fail(err, DURO_CORRUPT, "history of '%.*s' is empty",
                     DURO_FMT(x->start.instance_id));
  }
  if (has_retries(&history)) code = unmask(&history, &owned, err);
  if (code) return code;
  if (how == WAY_SCAN || !x->config.program) {
    code = scan(x, history.items, history.count, err);
  } else {
    duro__replay r = {
        .items = history.items, .count = history.count, .looking_back = how == WAY_LOOK_BACK};
    code = replay_or_scan(x, &r, mismatch, err);
  }
  x->sealed = how == WAY_LOOK_BACK;
  free(owned);
  return code;
}

duro_code duro__exec_replay(duro__exec *x, const duro_events *history, duro__mismatch *mismatch,
                            duro_error **err) {
  return rebuild(x, *history, WAY_REPLAY, mismatch, err);
}

duro_code duro__exec_replay_to(duro__exec *x, const duro_events *history, int64_t last_id,
                               duro__mismatch *mismatch, duro_error **err) {
  duro_events up_to = *history;
  while (up_to.count && up_to.items[up_to.count - 1].id > last_id) up_to.count--;
  return rebuild(x, up_to, WAY_LOOK_BACK, mismatch, err);
}

duro_code duro__exec_scan(duro__exec *x, const duro_events *history, duro_error **err) {
  return rebuild(x, *history, WAY_SCAN, NULL, err);
}
