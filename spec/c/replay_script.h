/* replay_script.h: scripted programs, and a stage to play them on.
 *
 * A script is an orchestration in C that waits in the middle of a function:
 *
 *   SCRIPT(greet) {
 *     BEGIN;
 *     s->task[0] = activity(s, t, "hello", "\"world\"");
 *     AWAIT(done(s, s->task[0]));
 *     complete(s, t, output(s, s->task[0]));
 *     END;
 *   }
 *
 * What must survive an AWAIT lives in `s`: task[], n[], and the text of note(). Errors are sticky: after
 * nondeterminism or lack of memory the helpers do nothing and the step returns the code.
 *
 *   stage g = stage_new(greet);
 *   start(&g, "null");                                  a turn with orchestration_started
 *   play(&g, completed(2, "\"hello world\""));          a turn with one arrival
 *   CHECK_STR(g.events, "[...]");
 *   check_replay(&g);                                   the history gives the same state again
 *   stage_free(&g);
 *
 * Times: the clock of a stage starts at 1000 and moves by 10 with each turn. */
#ifndef DURO_SPEC_REPLAY_SCRIPT_H
#define DURO_SPEC_REPLAY_SCRIPT_H

#include <stdlib.h>

#include "base/json.h"
#include "check.h"
#include "replay/exec.h"

#define HELPER static __attribute__((unused))

/* -- programs ---------------------------------------------------------------------------------- */

typedef struct script script;
typedef void script_fn(script *s, duro_turn *t);

typedef struct script_result {
  int64_t task;
  bool failed;
  char *text; /* output or error; NULL = absent */
} script_result;

struct script {
  script_fn *fn;
  int line;
  duro_code code; /* sticky */
  duro_code last; /* of the last call that was refused without breaking the turn */
  duro_error *err;
  int64_t task[16], n[16];
  script_result *results; /* in the order they came */
  size_t result_count;
  int cancelled; /* how often DURO_CANCEL came */
  char *cancel_error;
  duro_buf notes;
  const duro_program_start *start;
};

#define SCRIPT(name) static void name(script *s, duro_turn *t)
#define BEGIN                                                                                      \
  (void)t;                                                                                         \
  switch (s->line) {                                                                               \
  case 0:
#define AWAIT(condition)                                                                           \
  s->line = __LINE__;                                                                              \
  /* fall through */                                                                               \
  case __LINE__:                                                                                   \
    if (s->code || !(condition)) return
#define END                                                                                        \
  }                                                                                                \
  s->line = -1

static int script_begun, script_ended; /* over all stages of the test */

HELPER script_result *result_of(script *s, int64_t task) {
  for (size_t i = 0; i < s->result_count; i++) {
    if (s->results[i].task == task) return &s->results[i];
  }
  return NULL;
}
HELPER bool done(script *s, int64_t task) { return result_of(s, task) != NULL; }
HELPER bool failed(script *s, int64_t task) {
  script_result *r = result_of(s, task);
  return r && r->failed;
}
HELPER const char *output(script *s, int64_t task) {
  script_result *r = result_of(s, task);
  return r && r->text ? r->text : "";
}
HELPER bool all_done(script *s, const int64_t *tasks, int count) {
  for (int i = 0; i < count; i++) {
    if (!done(s, tasks[i])) return false;
  }
  return true;
}
/* The index of the one that was first, -1 when none is done. */
HELPER int first_done(script *s, const int64_t *tasks, int count) {
  for (size_t i = 0; i < s->result_count; i++) {
    for (int k = 0; k < count; k++) {
      if (s->results[i].task == tasks[k]) return k;
    }
  }
  return -1;
}

HELPER void settle(script *s, duro_code code) {
  s->last = code;
  if (code != DURO_TOO_LARGE && code != DURO_INVALID_ARGUMENT) s->code = code;
}
HELPER duro_str text_of(const char *z) { return z ? duro_str_from(z) : DURO_NONE; }

HELPER void note(script *s, const char *text) {
  if (s->notes.n) duro_buf_add_char(&s->notes, ' ');
  duro_buf_add_str(&s->notes, duro_str_from(text));
}
HELPER void note_int(script *s, int64_t value) {
  if (s->notes.n) duro_buf_add_char(&s->notes, ' ');
  duro_buf_add_int(&s->notes, value);
}

HELPER int64_t activity_with(script *s, duro_turn *t, const char *name, const char *input,
                             const char *options) {
  int64_t task = 0;
  if (s->code) return 0;
  settle(s, duro_turn_activity(t, text_of(name), text_of(input), text_of(options), &task, &s->err));
  return task;
}
HELPER int64_t activity(script *s, duro_turn *t, const char *name, const char *input) {
  return activity_with(s, t, name, input, NULL);
}
HELPER int64_t timer(script *s, duro_turn *t, int64_t delay_ms) {
  int64_t task = 0;
  if (s->code) return 0;
  settle(s, duro_turn_timer(t, duro_turn_now_ms(t) + delay_ms, delay_ms, &task, &s->err));
  return task;
}
HELPER int64_t wait_event(script *s, duro_turn *t, const char *name) {
  int64_t task = 0;
  if (s->code) return 0;
  settle(s, duro_turn_wait(t, text_of(name), &task, &s->err));
  return task;
}
HELPER int64_t child(script *s, duro_turn *t, const char *name, const char *id, const char *input) {
  int64_t task = 0;
  if (s->code) return 0;
  settle(s, duro_turn_child(t, text_of(name), DURO_NONE, text_of(id), text_of(input), DURO_NONE,
                            &task, &s->err));
  return task;
}
HELPER void drop_task(script *s, duro_turn *t, int64_t task) {
  if (!s->code) settle(s, duro_turn_cancel_task(t, task, &s->err));
}
HELPER void look(script *s, duro_turn *t, int64_t task) {
  if (!s->code) duro_turn_observe(t, task);
}
/* Cancels all but the winner, as a select does, and looks at the winner. */
HELPER void drop_losers(script *s, duro_turn *t, const int64_t *tasks, int count, int winner) {
  for (int i = 0; i < count; i++) {
    if (i != winner) drop_task(s, t, tasks[i]);
  }
  look(s, t, tasks[winner]);
}
HELPER void complete(script *s, duro_turn *t, const char *value) {
  if (!s->code) settle(s, duro_turn_complete(t, text_of(value), &s->err));
}
HELPER void fail(script *s, duro_turn *t, const char *error) {
  if (!s->code) settle(s, duro_turn_fail(t, text_of(error), &s->err));
}
HELPER void continue_as_new(script *s, duro_turn *t, const char *input) {
  if (s->code) return;
  settle(s, duro_turn_continue_as_new(t, text_of(input), DURO_NONE, DURO_NONE, &s->err));
}
HELPER void kv_set(script *s, duro_turn *t, const char *key, const char *value) {
  if (!s->code) settle(s, duro_turn_kv_set(t, text_of(key), text_of(value), &s->err));
}
HELPER void set_status(script *s, duro_turn *t, const char *value) {
  if (!s->code) settle(s, duro_turn_set_custom_status(t, text_of(value), &s->err));
}
HELPER void set_attributes(script *s, duro_turn *t, const char *object) {
  if (!s->code) settle(s, duro_turn_set_attributes(t, text_of(object), &s->err));
}
HELPER bool patched(script *s, duro_turn *t, const char *id) {
  bool is = false;
  if (!s->code) settle(s, duro_turn_patched(t, text_of(id), &is, &s->err));
  return is;
}
/* A side effect whose function gives `value`. */
HELPER void side_effect(script *s, duro_turn *t, const char *value) {
  duro_str recorded = DURO_NONE;
  if (s->code) return;
  settle(s, duro_turn_side_effect(t, &recorded, &s->err));
  if (s->last) return;
  if (!recorded.p) {
    recorded = text_of(value);
    settle(s, duro_turn_side_effect_record(t, recorded, &s->err));
  }
  if (s->notes.n) duro_buf_add_char(&s->notes, ' ');
  duro_buf_add_str(&s->notes, recorded);
}

HELPER duro_code script_run(script *s, duro_turn *t, duro_error **err) {
  if (s->line >= 0 && !s->code) s->fn(s, t);
  if (s->code && err && s->err) {
    duro_error_free(*err);
    *err = s->err;
    s->err = NULL;
  }
  return s->code;
}
HELPER duro_code script_begin(void *host, void *code, duro_turn *turn,
                              const duro_program_start *start, void **program, duro_error **err) {
  (void)host;
  script *s = calloc(1, sizeof *s);
  if (!s) return duro_fail_oom(err);
  memcpy(&s->fn, &code, sizeof code);
  s->start = start;
  *program = s;
  script_begun++;
  return script_run(s, turn, err);
}
HELPER duro_code script_step(void *host, void *program, duro_turn *turn, const duro_completion *c,
                             duro_error **err) {
  (void)host;
  script *s = program;
  if (c->kind == DURO_CANCEL) {
    s->cancelled++;
    free(s->cancel_error);
    s->cancel_error = duro_str_dup(c->error);
    return s->cancel_error ? script_run(s, turn, err) : duro_fail_oom(err);
  }
  script_result *more = realloc(s->results, (s->result_count + 1) * sizeof *more);
  if (!more) return duro_fail_oom(err);
  s->results = more;
  duro_str text = c->kind == DURO_TASK_FAILED ? c->error : c->output;
  script_result r = {c->task, c->kind == DURO_TASK_FAILED, duro_str_dup(text)};
  if (text.p && !r.text) return duro_fail_oom(err);
  s->results[s->result_count++] = r;
  return script_run(s, turn, err);
}
HELPER void script_end(void *host, void *program) {
  (void)host;
  script *s = program;
  for (size_t i = 0; i < s->result_count; i++) free(s->results[i].text);
  free(s->results);
  free(s->cancel_error);
  duro_error_free(s->err);
  duro_buf_free(&s->notes);
  free(s);
  script_ended++;
}
static const duro_program_ops script_ops = {
    .begin = script_begin, .step = script_step, .end = script_end};

/* -- the stage --------------------------------------------------------------------------------- */

typedef struct stage {
  duro__exec_config config;
  duro__exec *x;
  int64_t execution_id;
  int64_t now_ms;
  char **turns; /* the events of each turn, which are the history */
  size_t turn_count;
  duro__turn_result r; /* of the last turn */
  char *events;        /* of the last turn */
  bool recorded;       /* whether the last arrival was */
  duro_code code;      /* of the last arrival, replay or scan */
  duro_error *err;
  duro__mismatch mismatch; /* of the last replay */
  duro_buf log;
} stage;

HELPER void stage_log(void *user, const char *level, const char *message) {
  duro_buf_printf(user, "%s: %s\n", level, message);
}
HELPER duro__exec_config stage_config(stage *g, script_fn *fn) {
  duro__exec_config c = {.program = fn ? &script_ops : NULL, .log = stage_log, .log_user = &g->log};
  memcpy(&c.code, &fn, sizeof fn);
  return c;
}
/* A stage is filled in place, because its log is known by its address. */
HELPER void stage_open(stage *g, script_fn *fn) {
  memset(g, 0, sizeof *g);
  g->config = stage_config(g, fn);
  g->execution_id = 1;
  g->now_ms = 990;
  g->x = duro__exec_new(&g->config, DURO_STR("order-1"), 1);
}
HELPER void stage_forget_history(stage *g) {
  for (size_t i = 0; i < g->turn_count; i++) free(g->turns[i]);
  free(g->turns);
  g->turns = NULL;
  g->turn_count = 0;
  g->events = NULL;
}
HELPER void stage_free(stage *g) {
  duro__exec_free(g->x);
  stage_forget_history(g);
  duro_error_free(g->err);
  duro__mismatch_free(&g->mismatch);
  duro_buf_free(&g->log);
}
HELPER void forget_error(stage *g) {
  duro_error_free(g->err);
  g->err = NULL;
}
HELPER void turn_begin(stage *g) {
  g->now_ms += 10;
  duro__exec_turn_begin(g->x, g->now_ms);
}
HELPER bool apply(stage *g, duro_event e) {
  forget_error(g);
  g->code = duro__exec_apply(g->x, &e, &g->recorded, &g->err);
  return g->code == DURO_OK && g->recorded;
}
HELPER void add_turn(stage *g, duro_str events) {
  g->turns = realloc(g->turns, (g->turn_count + 1) * sizeof *g->turns);
  g->events = g->turns[g->turn_count++] = duro_str_dup(events);
}
HELPER void turn_end(stage *g) {
  duro__exec_turn_end(g->x, &g->r);
  add_turn(g, g->r.events);
}
HELPER bool play(stage *g, duro_event e) {
  turn_begin(g);
  bool is = apply(g, e);
  turn_end(g);
  return is;
}

/* Arrivals. */
HELPER duro_event started(const char *input) {
  return (duro_event){.kind = DURO_EVENT_ORCHESTRATION_STARTED,
                      .name = DURO_STR("greet"),
                      .version = DURO_STR("1.0.0"),
                      .run_id = DURO_STR("0123456789abcdef0123456789abcdef"),
                      .input = text_of(input)};
}
HELPER duro_event arrival(duro_event_kind kind, int64_t source) {
  return (duro_event){.kind = kind, .source = source};
}
HELPER duro_event completed(int64_t source, const char *value) {
  return (duro_event){
      .kind = DURO_EVENT_ACTIVITY_COMPLETED, .source = source, .output = text_of(value)};
}
HELPER duro_event attempt_failed(int64_t source, const char *error) {
  return (duro_event){
      .kind = DURO_EVENT_ACTIVITY_FAILED, .source = source, .error = text_of(error)};
}
HELPER duro_event fired(int64_t source) { return arrival(DURO_EVENT_TIMER_FIRED, source); }
HELPER duro_event child_completed(int64_t source, const char *value) {
  return (duro_event){
      .kind = DURO_EVENT_SUB_ORCHESTRATION_COMPLETED, .source = source, .output = text_of(value)};
}
HELPER duro_event child_failed(int64_t source, const char *error) {
  return (duro_event){
      .kind = DURO_EVENT_SUB_ORCHESTRATION_FAILED, .source = source, .error = text_of(error)};
}
HELPER duro_event received(const char *name, const char *data) {
  return (duro_event){
      .kind = DURO_EVENT_EVENT_RECEIVED, .name = text_of(name), .input = text_of(data)};
}
HELPER duro_event with_reason(duro_event_kind kind, const char *reason) {
  return (duro_event){.kind = kind, .reason = text_of(reason)};
}
HELPER duro_event cancel_requested(const char *reason) {
  return with_reason(DURO_EVENT_CANCEL_REQUESTED, reason);
}
HELPER bool start(stage *g, const char *input) { return play(g, started(input)); }

HELPER const char *notes(stage *g) {
  script *s = duro__exec_program(g->x);
  if (!s) return NULL;
  duro_buf_add_char(&s->notes, 0);
  s->notes.n--;
  return s->notes.p;
}
HELPER const char *status_of(stage *g) { return duro_status_string(g->r.status); }

/* The borrowed text as a C string, good until the eighth call from here. */
HELPER const char *z(duro_str text) {
  static char shown[8][4096];
  static int at;
  if (!text.p) return NULL;
  char *out = shown[at++ % 8];
  size_t n = text.n < sizeof shown[0] - 1 ? text.n : sizeof shown[0] - 1;
  memcpy(out, text.p, n);
  out[n] = 0;
  return out;
}

/* "cancel_job 2, start_job 3": what the last turn left to do. */
HELPER const char *effects_of(stage *g) {
  static const char *const words[] = {"start_job",    "cancel_job",      "start_child",
                                      "cancel_child", "terminate_child", "start_detached",
                                      "send_event"};
  static char text[4096];
  size_t n = 0;
  text[0] = 0;
  for (size_t i = 0; i < g->r.effect_count; i++) {
    const duro__effect *e = &g->r.effects[i];
    n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "", words[e->kind]);
    if (e->task) n += (size_t)snprintf(text + n, sizeof text - n, " %d", (int)e->task);
    if (e->event && e->event->instance.p) {
      n += (size_t)snprintf(text + n, sizeof text - n, " '%.*s'", DURO_FMT(e->event->instance));
    }
    if (n > sizeof text - 128) break;
  }
  return text;
}

/* -- state as text, and replays ---------------------------------------------------------------- */

HELPER void dump_open(duro__exec *x, bool with_bound, duro_buf *b) {
  for (duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    if (o->state == DURO__STATE_BOUND && !with_bound) continue;
    duro_buf_printf(b, "open %d kind %d state %d '%.*s' v '%.*s' i '%.*s' in '%.*s' opt '%.*s'\n",
                    (int)o->id, o->kind, o->state, DURO_FMT(o->name), DURO_FMT(o->version),
                    DURO_FMT(o->instance), DURO_FMT(o->input), DURO_FMT(o->options));
    duro_buf_printf(b, "  at %lld fire %lld delay %lld deadline %lld attempt %lld lost %lld\n",
                    (long long)o->scheduled_at_ms, (long long)o->fire_at_ms, (long long)o->delay_ms,
                    (long long)o->deadline_ms, (long long)o->attempt, (long long)o->lost_in_a_row);
    duro_buf_printf(b, "  last '%.*s' queue '%.*s' bound %lld\n", DURO_FMT(o->last_error),
                    DURO_FMT(o->queue), (long long)o->bound_event);
  }
}
/* Everything that can be seen of an exec, or what a scan can know of it: not the program, nor who has
 * looked at an event. Free the text. */
HELPER char *dump(duro__exec *x, bool with_program) {
  duro_buf b = {0};
  duro_str key = DURO_NONE, value, name;
  int64_t id;
  size_t at = 0;
  duro_buf_printf(&b, "%s last %lld cancel %d wake %lld due %lld deadline %lld\n",
                  duro_status_string(duro__exec_status(x)), (long long)duro__exec_last_event_id(x),
                  duro__exec_cancel_requested(x), (long long)duro__exec_wake_at_ms(x),
                  (long long)duro__exec_next_due_ms(x), (long long)duro__exec_deadline_ms(x));
  duro_buf_printf(&b, "custom %lld '%.*s' attributes '%.*s'\nwaiting ",
                  (long long)duro__exec_custom_status_version(x),
                  DURO_FMT(duro__exec_custom_status(x)), DURO_FMT(duro__exec_attributes(x)));
  duro__exec_waiting_on(x, &b);
  duro_buf_add_char(&b, '\n');
  dump_open(x, with_program, &b);
  while (duro__exec_kv_next(x, key, &key, &value)) {
    duro_buf_printf(&b, "kv '%.*s' = '%.*s'\n", DURO_FMT(key), DURO_FMT(value));
  }
  while (duro__exec_mailbox_next(x, &at, &name, &value, &id)) {
    duro_buf_printf(&b, "mail %lld '%.*s' '%.*s'\n", (long long)id, DURO_FMT(name),
                    DURO_FMT(value));
  }
  script *s = with_program ? duro__exec_program(x) : NULL;
  if (s) {
    duro_buf_printf(&b, "script line %d results %zu cancelled %d notes '%.*s'\n", s->line,
                    s->result_count, s->cancelled, DURO_FMT(duro_buf_str(&s->notes)));
  }
  duro_buf_add_char(&b, 0);
  return b.p;
}

HELPER duro_events stage_history(stage *g, duro_arena *arena) {
  duro_events events = {0};
  duro_str *texts = malloc((g->turn_count + 1) * sizeof *texts);
  for (size_t i = 0; i < g->turn_count; i++) texts[i] = duro_str_from(g->turns[i]);
  forget_error(g);
  g->code = duro_events_decode(texts, g->turn_count, arena, &events, &g->err);
  free(texts);
  return events;
}

/* Rebuilds into `y` what the stage's history says, up to event `last` (0: all of it). */
HELPER duro_code rebuild(stage *g, duro__exec *y, int64_t last, bool scan) {
  duro_arena arena = {0};
  duro_events events = stage_history(g, &arena);
  duro__mismatch_free(&g->mismatch);
  if (g->code == DURO_OK) {
    forget_error(g);
    g->code = scan   ? duro__exec_scan(y, &events, &g->err)
              : last ? duro__exec_replay_to(y, &events, last, &g->mismatch, &g->err)
                     : duro__exec_replay(y, &events, &g->mismatch, &g->err);
  }
  duro_arena_free(&arena);
  return g->code;
}

/* Replaces the stage's exec by one that replays its history, as a load does. */
HELPER duro_code reload(stage *g) {
  duro__exec *y = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
  rebuild(g, y, 0, false);
  duro__exec_free(g->x);
  g->x = y;
  return g->code;
}
/* The same with other code. */
HELPER duro_code reload_with(stage *g, script_fn *fn) {
  bool strict = g->config.strict;
  g->config = stage_config(g, fn);
  g->config.strict = strict;
  return reload(g);
}

/* The history of a stage gives its state again, strictly. */
HELPER bool check_replay(stage *g) {
  duro__exec_config config = g->config;
  config.strict = true;
  duro__exec *y = duro__exec_new(&config, DURO_STR("order-1"), g->execution_id);
  bool held = CHECK_INT(rebuild(g, y, 0, false), DURO_OK);
  if (!held) fprintf(stderr, "    %s\n", g->err ? g->err->message : "");
  char *live = dump(g->x, true), *replayed = dump(y, true);
  held = CHECK_STR(replayed, live) && held;
  free(live);
  free(replayed);
  duro__exec_free(y);
  return held;
}

/* A history written down by hand, replayed with the stage's script. */
HELPER duro_code replay_text(stage *g, const char *history) {
  stage_forget_history(g);
  add_turn(g, duro_str_from(history));
  return reload(g);
}

#endif
