// figures.c: see figures.h.
//
// In the file they are {"figures": {...}, "stuck"?: {...}} (watchdog.c adds the second). They travel with
// a batch where there is one, so a busy owner pays nothing; an idle one writes them once more, and then
// only as a sign of life, as often as it renews its lease. Whoever reads believes them when they bear the
// epoch of the lease, the owner lives, and the sign is fresh.
// To add a figure: a member of duro__figures, its line in NUMBERS, and its reader.
#include "runtime/figures.h"

#include <stddef.h>
#include <stdlib.h>

#include "runtime/answers.h"

#define EVERY_NS   UINT64_C(1000000000)
#define SIGN_NS    UINT64_C(5000000000)
#define SILENCE_MS 8000 // a sign of life, the loop's longest wait, and a slow commit
#define HEALTHY_NS (DURO_HEALTHY_MS * UINT64_C(1000000))

struct duro__figures_state {
  duro__figures told;
  uint64_t told_ns; // 0 = not yet
  bool noting;
};

// --- Health ---

static bool waited_too_long(const duro_runtime *rt, uint64_t since_ns) {
  return rt->worked_ns > since_ns && rt->worked_ns - since_ns > HEALTHY_NS;
}

// The loop went round and has not served what it could have: who never turns the loop asks in vain, and
// is not to be called ill for it.
static void health(duro_runtime *rt, duro__figures *f) {
  bool ok = !rt->fault && !rt->resume_ns && !rt->lost && !rt->closing;
  f->store_ok = ok && duro__writer_moves(rt);
  f->orchestrator_ok =
      f->store_ok && !(rt->ready_head && waited_too_long(rt, rt->ready_head->ready_ns));
  bool room = rt->jobs_out < (size_t)rt->options.activity_concurrency;
  const duro_job *job = rt->ready_jobs.head;
  f->worker_ok = f->store_ok && !(job && room && waited_too_long(rt, job->ready_ns));
  // The virtual clock leaps, and the heap is behind it until the next step.
  int64_t over_ms = rt->due.count ? duro__now(rt) - rt->due.items[0]->due_ms : 0;
  uint64_t over_ns = over_ms > 0 ? (uint64_t)over_ms * 1000000 : 0,
           now_ns = duro_clock_monotonic_ns();
  bool late =
      !rt->options.virtual_clock && over_ns < now_ns && waited_too_long(rt, now_ns - over_ns);
  f->timer_ok = f->store_ok && !late;
}

// --- As they are now ---

static double average_ms(const duro__store_figures *s, bool writes) {
  uint64_t calls = 0, total_ns = 0;
  for (int v = 0; v < DURO__VERB_COUNT; v++) {
    if (v == DURO__VERB_open || v == DURO__VERB_data_version || s->verbs[v].writes != writes)
      continue;
    calls += s->verbs[v].calls;
    total_ns += s->verbs[v].total_ns;
  }
  return calls ? (double)total_ns / (double)calls / 1e6 : 0;
}

static void latencies(duro_runtime *rt, duro__figures *f) {
  duro__store_figures s;
  duro__store_figures_read(rt->store, &s);
  f->commit_p50_ms = (double)s.commits.p50_ns / 1e6;
  f->commit_p99_ms = (double)s.commits.p99_ns / 1e6;
  f->read_ms = average_ms(&s, false);
  f->write_ms = average_ms(&s, true);
}

static int64_t wall_of(uint64_t at_ns) {
  return duro_clock_wall_ms() - (int64_t)((duro_clock_monotonic_ns() - at_ns) / 1000000);
}

// By the runtime's clock.
static int64_t since_ms(const duro_runtime *rt, uint64_t at_ns, int64_t at_ms) {
  return rt->options.virtual_clock ? at_ms : wall_of(at_ns);
}

// Without latencies, which change with every look.
static void numbers_now(duro_runtime *rt, duro__figures *f) {
  memset(f, 0, sizeof *f); // also between the members: they are compared as bytes
  f->lives = true;
  f->off = !rt->options.enable_metrics;
  f->started_at_ms = wall_of(rt->started_ns);
  f->turns = rt->totals.turns;
  f->replays = rt->totals.replays;
  f->commits = rt->totals.commits;
  f->jobs = rt->totals.jobs;
  f->live_instances = (int64_t)rt->live_count;
  f->work_us = (int64_t)(rt->totals.work_ns / 1000);
  f->ready = (int64_t)rt->ready_count;
  if (rt->ready_head)
    f->ready_since_ms = since_ms(rt, rt->ready_head->ready_ns, rt->ready_head->ready_at_ms);
  f->jobs_ready = (int64_t)(rt->ready_jobs.count + rt->beginning_count);
  const duro_job *job = rt->ready_jobs.head;
  if (job) f->jobs_since_ms = since_ms(rt, job->ready_ns, job->ready_at_ms);
  f->due_at_ms = duro__timers_next_ms(rt);
  health(rt, f);
}

static void figures_now(duro_runtime *rt, duro__figures *f) {
  numbers_now(rt, f);
  f->at_ms = duro_clock_wall_ms();
  latencies(rt, f);
}

// --- As text ---

#define NUMBERS(X)                                                                                 \
  X(at_ms)                                                                                         \
  X(started_at_ms)                                                                                 \
  X(turns)                                                                                         \
  X(replays)                                                                                       \
  X(commits)                                                                                       \
  X(jobs)                                                                                          \
  X(live_instances)                                                                                \
  X(work_us)                                                                                       \
  X(ready)                                                                                         \
  X(ready_since_ms)                                                                                \
  X(jobs_ready)                                                                                    \
  X(jobs_since_ms)                                                                                 \
  X(due_at_ms)
#define LATENCIES(X)                                                                               \
  X(commit_p50_ms)                                                                                 \
  X(commit_p99_ms)                                                                                 \
  X(read_ms)                                                                                       \
  X(write_ms)
#define FLAGS(X)                                                                                   \
  X(off)                                                                                           \
  X(store_ok)                                                                                      \
  X(orchestrator_ok)                                                                               \
  X(worker_ok)                                                                                     \
  X(timer_ok)

static void add_figures(duro_buf *b, const duro_runtime *rt, const duro__figures *f) {
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "epoch", rt->epoch);
#define X(member) duro__add_int_member(b, #member, f->member);
  NUMBERS(X)
#undef X
#define X(member)                                                                                  \
  duro__add_key(b, #member);                                                                       \
  duro_json_add_double(b, f->member);
  LATENCIES(X)
#undef X
#define X(member)                                                                                  \
  duro__add_json_member(b, #member, f->member ? DURO_STR("true") : DURO_STR("false"));
  FLAGS(X)
#undef X
  duro_buf_add_char(b, '}');
}

static void read_text(duro_str text, duro__figures *f) {
#define X(member) f->member = duro_json_member_int(text, #member, 0);
  NUMBERS(X)
#undef X
#define X(member) f->member = duro_json_member_double(text, #member, 0);
  LATENCIES(X)
#undef X
#define X(member) f->member = duro_json_member_bool(text, #member, false);
  FLAGS(X)
#undef X
}

// --- In another process ---

// Of a process that is gone, what it stored is still true, and what it was doing is over.
static void bury(duro__figures *f) {
  f->off = f->lives = f->store_ok = f->orchestrator_ok = f->worker_ok = f->timer_ok = false;
  f->live_instances = f->ready = f->jobs_ready = f->ready_since_ms = f->jobs_since_ms = 0;
  f->started_at_ms = 0;
}

static duro_code read_file(duro_runtime *rt, duro__figures *f, duro_error **err) {
  duro_arena arena = {0};
  duro_str all = DURO_NONE, text;
  duro_lease lease = {0};
  duro_code code = duro__store_owner_figures(rt->store, &arena, &all, err);
  if (!code) code = duro__store_lease(rt->store, &arena, &lease, err);
  if (!code) {
    *f = (duro__figures){.due_at_ms = DURO_NEVER};
    text = duro_json_member(all, "figures");
    if (text.n) read_text(text, f);
    bool theirs = text.n && duro_json_member_int(text, "epoch", 0) == lease.epoch;
    f->lives = theirs && duro__owner_lives(rt);
    duro_str stuck = duro_json_member(all, "stuck");
    bool is_stuck =
        stuck.n && stuck.p[0] == '{' && duro_json_member_int(stuck, "epoch", 0) == lease.epoch;
    bool silent = duro_clock_wall_ms() - f->at_ms > SILENCE_MS;
    if (!f->lives)
      bury(f);
    else if (is_stuck || silent)
      f->orchestrator_ok = f->worker_ok = f->timer_ok = false;
  }
  duro_arena_free(&arena);
  return code;
}

duro_code duro__figures_read(duro_runtime *rt, duro__figures *out, duro_error **err) {
  if (rt->role != DURO_ROLE_RUNTIME) return read_file(rt, out, err);
  figures_now(rt, out);
  return DURO_OK;
}

// --- Keeping them ---

// Switched off they are told once: that they are off.
static bool has_to_tell(const duro_runtime *rt) {
  bool told = rt->figures && rt->figures->told_ns;
  return rt->role == DURO_ROLE_RUNTIME && strcmp(rt->path, ":memory:") != 0 &&
         (rt->options.enable_metrics || !told);
}

static struct duro__figures_state *state(duro_runtime *rt) {
  if (!rt->figures) rt->figures = calloc(1, sizeof *rt->figures);
  return rt->figures;
}

static bool is_time(const duro_runtime *rt, const struct duro__figures_state *s,
                    uint64_t every_ns) {
  return !s->told_ns || rt->tick_ns - s->told_ns >= every_ns;
}

// The instant of the start moves by a millisecond with the two clocks, and what waits for how long is
// news only with what waits.
static bool same(const duro__figures *a, const duro__figures *b) {
  duro__figures x = *a, y = *b;
  x.started_at_ms = y.started_at_ms = 0;
  return memcmp(&x, &y, sizeof x) == 0;
}

// {"figures":{...}}, as they are told from now on.
static void tell(duro_runtime *rt, struct duro__figures_state *s, duro_buf *b) {
  duro_buf inner = {0};
  duro__figures f;
  numbers_now(rt, &s->told);
  f = s->told;
  f.at_ms = duro_clock_wall_ms();
  latencies(rt, &f);
  add_figures(&inner, rt, &f);
  duro_buf_add_char(b, '{');
  duro__add_json_member(b, "figures", duro_buf_str(&inner));
  duro_buf_add_char(b, '}');
  if (inner.oom) b->oom = true;
  if (!b->oom) duro__watchdog_figures(rt, duro_buf_str(&inner));
  s->told_ns = rt->tick_ns;
  duro_buf_free(&inner);
}

void duro__figures_to_batch(duro_runtime *rt, duro__batch *b) {
  struct duro__figures_state *s = has_to_tell(rt) ? state(rt) : NULL;
  if (!s || !is_time(rt, s, EVERY_NS)) return;
  duro_buf text = {0};
  tell(rt, s, &text);
  if (!text.oom) b->rows.owner_figures = duro_arena_dup(&b->arena, duro_buf_str(&text));
  duro_buf_free(&text);
}

static void note_run(duro_runtime *rt, duro__command *c) {
  duro_buf *text = c->subject;
  c->code = duro__store_note(rt->store, c->number, duro_buf_str(text), &c->error);
}

static void note_done(duro_runtime *rt, duro__command *c) {
  duro_buf *text = c->subject;
  if (rt->figures) rt->figures->noting = false;
  duro_buf_free(text);
  free(text);
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

static void note(duro_runtime *rt, struct duro__figures_state *s) {
  duro__command *c = duro__command_new(note_run, note_done);
  duro_buf *text = calloc(1, sizeof *text);
  if (text) tell(rt, s, text);
  if (!c || !text || text->oom) {
    free(c);
    if (text) duro_buf_free(text);
    free(text);
    return;
  }
  c->subject = text;
  c->number = rt->epoch;
  s->noting = true;
  duro__writer_push(rt, c);
}

void duro__figures_turn(duro_runtime *rt) {
  struct duro__figures_state *s = has_to_tell(rt) ? state(rt) : NULL;
  if (!s || s->noting || rt->lost || rt->closing || !is_time(rt, s, EVERY_NS)) return;
  if (rt->open || rt->in_flight) return; // a batch takes them along
  if (!duro__store_has(rt->store, DURO__VERB_note)) return;
  duro__figures now;
  numbers_now(rt, &now);
  if (!same(&now, &s->told) || is_time(rt, s, SIGN_NS)) note(rt, s);
}

int64_t duro__figures_wait_ms(const duro_runtime *rt) {
  const struct duro__figures_state *s = rt->figures;
  if (!s || s->noting || !has_to_tell(rt)) return DURO_NEVER;
  uint64_t at_ns = s->told_ns + EVERY_NS;
  if (at_ns <= rt->tick_ns) return DURO_NEVER; // looked at in each step
  return (int64_t)((at_ns - rt->tick_ns) / 1000000) + 1;
}

void duro__figures_free(duro_runtime *rt) {
  free(rt->figures);
  rt->figures = NULL;
}
