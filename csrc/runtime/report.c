// report.c: see report.h. To add a call about numbers: a duro__report_kind and its writer
// (verbs_metrics.c, prometheus.c).
#include "runtime/report.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/cache.h"

static void report_free(duro__report *p) {
  duro_arena_free(&p->arena);
  free(p);
}

static void finish(duro__report *p) {
  duro_request *r = p->request;
  duro_buf_clear(&r->answer);
  p->kind->write(p, &r->answer);
  if (!r->answer.oom) {
    duro__cache_keep(p->rt, r, duro_str_from(p->kind->verb), p->args, duro_buf_str(&r->answer));
  }
  duro__request_durable(r);
  report_free(p);
}

// --- Asking the store (helper thread) ---

static void ask_run(duro_runtime *rt, duro__command *c) {
  duro__report *p = c->subject;
  if (p->kind->stats) c->code = duro__store_stats(rt->store, &p->stats, &c->error);
  if (!c->code && p->kind->queues && duro__store_has(rt->store, DURO__VERB_queue_state)) {
    c->code =
        duro__store_queue_state(rt->store, DURO_NONE, duro_clock_wall_ms(), &p->queues, &c->error);
  }
}

// A store that cannot be read is told, and hides nothing else.
static void ask_done(duro_runtime *rt, duro__command *c) {
  duro__report *p = c->subject;
  if (c->code == DURO_OK) {
    p->store_answers = true;
    if (p->kind->stats) rt->last_stats = p->stats;
  } else {
    duro__log(rt, "warn", "the store's figures cannot be read: %s",
              c->error ? c->error->message : "");
    p->stats = rt->last_stats;
  }
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
  finish(p);
}

static void ask_store(duro__report *p) {
  duro_runtime *rt = p->rt;
  bool stuck = rt->role == DURO_ROLE_RUNTIME && !p->figures.store_ok;
  duro__command *c = stuck ? NULL : duro__command_new(ask_run, ask_done);
  if (!c) {
    p->stats = rt->last_stats;
    finish(p);
    return;
  }
  c->subject = p;
  duro__helper_push(rt, c);
}

// --- Beginning ---

void duro__report_begin(duro_runtime *rt, duro_request *r, duro_str args,
                        const duro__report_kind *kind) {
  if (!rt->options.enable_metrics) {
    duro__request_fail(r, DURO_UNSUPPORTED, "metrics are switched off (management.enable_metrics)");
    return;
  }
  if (duro__cache_answer(rt, r, duro_str_from(kind->verb), args)) return;
  duro__report *p = calloc(1, sizeof *p);
  if (!p) {
    duro__fail_memory(r);
    return;
  }
  duro_error *err = NULL;
  *p = (duro__report){.rt = rt, .request = r, .kind = kind, .store_answers = true};
  p->args = duro_arena_dup(&p->arena, args);
  duro_code code = duro__figures_read(rt, &p->figures, &err);
  if (!code && p->figures.off)
    code = duro_fail(&err, DURO_UNSUPPORTED,
                     "metrics are switched off in the process that owns the file "
                     "(management.enable_metrics)");
  if (!code) code = duro__tallies_read(rt, &p->arena, &p->tallies, &err);
  if (code) {
    duro__fail_with(r, code, err);
    report_free(p);
    return;
  }
  p->sum = duro__tallies_sum(&p->tallies);
  if (kind->stats || kind->queues)
    ask_store(p);
  else
    finish(p);
}

// --- What several of them say ---

double duro__report_uptime_seconds(const duro__report *p) {
  if (!p->figures.lives || !p->figures.started_at_ms) return 0;
  double seconds = (double)(duro_clock_wall_ms() - p->figures.started_at_ms) / 1000;
  return seconds > 0 ? seconds : 0;
}

double duro__report_duration_ms(const duro__tally *t) {
  int64_t ends = duro__tally_ends(t);
  return ends > 0 ? (double)t->values[DURO__DURATION_MS] / (double)ends : 0;
}

static int64_t at_least_0(int64_t n) { return n > 0 ? n : 0; }

int64_t duro__report_queue_size(const duro__report *p, duro__report_queue queue) {
  switch (queue) {
  case DURO__ORCHESTRATOR_QUEUE:
    return p->figures.ready;
  case DURO__WORKER_QUEUE:
    return p->figures.jobs_ready + p->queues.waiting;
  case DURO__TIMER_QUEUE:
    return at_least_0(p->sum.values[DURO__TIMERS_OPEN]);
  }
  return 0;
}

static int64_t age_ms(const duro__report *p, int64_t since_ms) {
  return since_ms && since_ms != DURO_NEVER ? at_least_0(duro__now(p->rt) - since_ms) : 0;
}

int64_t duro__report_queue_age_ms(const duro__report *p, duro__report_queue queue) {
  int64_t local_ms, queued_ms;
  switch (queue) {
  case DURO__ORCHESTRATOR_QUEUE:
    return age_ms(p, p->figures.ready_since_ms);
  case DURO__WORKER_QUEUE:
    local_ms = age_ms(p, p->figures.jobs_since_ms);
    queued_ms = age_ms(p, p->queues.oldest_at_ms);
    return local_ms > queued_ms ? local_ms : queued_ms;
  case DURO__TIMER_QUEUE:
    return age_ms(p, p->figures.due_at_ms);
  }
  return 0;
}

int64_t duro__report_items(const duro__report *p) { return p->figures.turns + p->figures.jobs; }

double duro__report_item_ms(const duro__report *p) {
  int64_t items = duro__report_items(p);
  return items > 0 ? (double)p->figures.work_us / 1000 / (double)items : 0;
}
