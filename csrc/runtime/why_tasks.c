// why_tasks.c: what the open tasks of a running instance wait for.
//
// Each task gives a sentence and a rank; the highest rank is what most likely needs a hand, so it stands
// first and gives the answer its state and suggestion. To add a situation: a row of `rank` in its order,
// and the function that recognises it.
#include "replay/retry.h"
#include "runtime/answers.h"
#include "runtime/why.h"

#define NAMED_AT_MOST 5
// Who serves a queue says so every 30 s, also when there is nothing to do.
#define SERVED_WITHIN_MS 90000

typedef enum rank {
  RANK_TIMER,
  RANK_EVENT,
  RANK_CHILD,
  RANK_ACTIVITY,
  RANK_BACKING_OFF,
  RANK_UNSERVED,
  RANK_UNREGISTERED,
} rank;

static const char *const states[] = {[RANK_TIMER] = "waiting",
                                     [RANK_EVENT] = "waiting",
                                     [RANK_CHILD] = "waiting",
                                     [RANK_ACTIVITY] = "activity_running",
                                     [RANK_BACKING_OFF] = "backing_off",
                                     [RANK_UNSERVED] = "unserved_queue",
                                     [RANK_UNREGISTERED] = "not_registered"};

typedef struct looker {
  duro_runtime *rt;
  const duro__instance *instance;
  duro_str id;
  int64_t now_ms;
  bool lives;
} looker;

// --- Words ---

void duro__add_span(duro_buf *b, int64_t ms) {
  static const struct {
    int64_t ms;
    const char *unit;
  } units[] = {{86400000, "days"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
  if (ms < 0) ms = 0;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (ms < (i == 0 ? 2 : 1) * units[i].ms) continue;
    duro_buf_printf(b, "%lld %s", (long long)(ms / units[i].ms), units[i].unit);
    return;
  }
  duro_buf_printf(b, "%lld ms", (long long)ms);
}

static void add_for(duro_buf *b, const looker *l, int64_t since_ms) {
  duro_buf_add_lit(b, " for ");
  duro__add_span(b, l->now_ms - since_ms);
}

static void add_in(duro_buf *b, const looker *l, int64_t at_ms) {
  if (at_ms <= l->now_ms) {
    duro_buf_add_lit(b, "now");
    return;
  }
  duro_buf_add_lit(b, "in ");
  duro__add_span(b, at_ms - l->now_ms);
}

// --- Activities ---

static bool is_queued_elsewhere(const duro__open *o) { return o->queue.p != NULL; }

static rank say_backing_off(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro__retry policy;
  duro_arena arena = {0};
  duro__retry_read(o->options, &policy);
  duro_buf_printf(b, "activity '%.*s' is backing off, attempt %lld of %lld, next ",
                  DURO_FMT(o->name), (long long)o->attempt, (long long)policy.max_attempts);
  add_in(b, l, o->fire_at_ms);
  duro_str message = duro_json_member_text(o->last_error, "message", &arena);
  if (message.n)
    duro_buf_printf(b, " (last error: %.*s)", (int)(message.n < 200 ? message.n : 200), message.p);
  duro_arena_free(&arena);
  duro_buf_add_lit(advice, "mend what makes it fail: it tries again by itself");
  return RANK_BACKING_OFF;
}

static rank say_unregistered(const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro_buf_printf(b, "activity '%.*s' is not registered in any running process", DURO_FMT(o->name));
  duro_buf_printf(advice, "register it: rt:activity('%.*s', function(ctx, input) ... end)",
                  DURO_FMT(o->name));
  return RANK_UNREGISTERED;
}

// A row of its queue tells whether a worker holds it.
static bool is_held(const looker *l, const duro__open *o) {
  const duro__job_ref *ref = l->instance ? o->runtime : NULL;
  duro_arena arena = {0};
  duro_job_row *rows = NULL;
  size_t count = 0;
  bool held = false;
  if (ref && !duro__store_jobs(l->rt->store, 0, &ref->row_id, 1, &arena, &rows, &count, NULL)) {
    held = count && rows[0].holder.p && rows[0].lease_until_ms > duro_clock_wall_ms();
  }
  duro_arena_free(&arena);
  return held;
}

static rank say_queued(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro_queue_state queue = {0};
  duro_error *err = NULL;
  bool known = !duro__queue_look(l->rt, o->queue, &queue, &err);
  duro_error_free(err);
  if (known && is_held(l, o)) {
    duro_buf_printf(b, "activity '%.*s' runs on a worker of queue '%.*s'", DURO_FMT(o->name),
                    DURO_FMT(o->queue));
    add_for(b, l, o->scheduled_at_ms);
    duro_buf_add_lit(advice, "wait for it");
    return RANK_ACTIVITY;
  }
  duro_buf_printf(b, "activity '%.*s' waits in queue '%.*s'", DURO_FMT(o->name),
                  DURO_FMT(o->queue));
  if (known && duro_clock_wall_ms() - queue.served_at_ms > SERVED_WITHIN_MS) {
    duro_buf_add_lit(b, ", which nobody serves");
    if (queue.waiting > 1) duro_buf_printf(b, " (%lld wait there)", (long long)queue.waiting);
    duro_buf_printf(advice,
                    "start a process for it: duro.open{path=, role=\"worker\", queues={'%.*s'}}",
                    DURO_FMT(o->queue));
    return RANK_UNSERVED;
  }
  if (queue.waiting > 1) duro_buf_printf(b, ", where %lld wait", (long long)queue.waiting);
  duro_buf_add_lit(advice, "wait for it, or start more workers for the queue");
  return RANK_ACTIVITY;
}

static const duro_job *job_of(const looker *l, const duro__open *o) {
  return l->instance && !o->queue.p ? o->runtime : NULL;
}

static bool begins_later(const looker *l, const duro__open *o) {
  return l->instance && duro__job_begins(l->instance, o);
}

static rank say_running(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  const duro_job *job = job_of(l, o);
  if (begins_later(l, o) || (job && job->state == DURO__JOB_READY && !job->taken)) {
    duro_buf_printf(b, "activity '%.*s' is ready, but %d run already", DURO_FMT(o->name),
                    (int)l->rt->jobs_out);
    duro_buf_add_lit(advice, "wait for them, or open with a higher activity_concurrency");
    return RANK_ACTIVITY;
  }
  duro_buf_printf(b, "activity '%.*s' %s", DURO_FMT(o->name),
                  l->lives ? "is running" : "is to run");
  if (o->attempt > 1) duro_buf_printf(b, ", attempt %lld,", (long long)o->attempt);
  add_for(b, l, o->scheduled_at_ms);
  duro_buf_add_lit(advice, "wait for it, or give it a timeout");
  return RANK_ACTIVITY;
}

static rank say_activity(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  if (o->state == DURO__STATE_BACKING_OFF) return say_backing_off(l, o, b, advice);
  if (o->state == DURO__STATE_DEFERRED) {
    duro_buf_printf(b, "activity '%.*s' left with a token", DURO_FMT(o->name));
    add_for(b, l, o->scheduled_at_ms);
    duro_buf_add_lit(advice, "bring its result: rt:complete_activity(token, value)");
    return RANK_ACTIVITY;
  }
  if (is_queued_elsewhere(o)) return say_queued(l, o, b, advice);
  if (l->lives && !begins_later(l, o) && !duro__find_activity(l->rt, o->name) && !job_of(l, o))
    return say_unregistered(o, b, advice);
  return say_running(l, o, b, advice);
}

// --- The others ---

static rank say_child(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_buf_printf(b, "waits for sub-orchestration '%.*s' ('%.*s')", DURO_FMT(o->instance),
                  DURO_FMT(o->name));
  if (!duro__store_get(l->rt->store, o->instance, &arena, &row, NULL))
    duro_buf_printf(b, ", which is %s,", duro_status_string(row.status));
  duro_arena_free(&arena);
  add_for(b, l, o->scheduled_at_ms);
  duro_buf_printf(advice, "ask on: rt:why('%.*s')", DURO_FMT(o->instance));
  return RANK_CHILD;
}

static rank say_event(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro_buf_printf(b, "waits for event '%.*s'", DURO_FMT(o->name));
  add_for(b, l, o->scheduled_at_ms);
  duro_buf_printf(advice, "raise it: rt:raise_event('%.*s', '%.*s', data)", DURO_FMT(l->id),
                  DURO_FMT(o->name));
  return RANK_EVENT;
}

static rank say_timer(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  duro_buf_add_lit(b, "waits for a timer that fires ");
  add_in(b, l, o->fire_at_ms);
  duro_buf_add_lit(advice, "wait for it");
  if (l->rt->options.virtual_clock)
    duro_buf_add_lit(advice, "; the clock is virtual and moves by rt:advance only");
  return RANK_TIMER;
}

static rank say(const looker *l, const duro__open *o, duro_buf *b, duro_buf *advice) {
  switch (o->kind) {
  case DURO__OPEN_ACTIVITY:
    return say_activity(l, o, b, advice);
  case DURO__OPEN_CHILD:
    return say_child(l, o, b, advice);
  case DURO__OPEN_WAIT:
    return say_event(l, o, b, advice);
  case DURO__OPEN_TIMER:
    break;
  }
  return say_timer(l, o, b, advice);
}

// --- All of them ---

static void take(duro__reason *out, rank best, const duro__open *o, const duro_buf *text,
                 const duro_buf *advice) {
  out->state = states[best];
  out->since_ms = o->scheduled_at_ms;
  duro_buf_clear(&out->reason);
  duro_buf_add_str(&out->reason, duro_buf_str(text));
  duro_buf_clear(&out->suggestion);
  duro_buf_add_str(&out->suggestion, duro_buf_str(advice));
}

static bool is_looked_for(const duro__open *o) { return o->state != DURO__STATE_BOUND; }

// The most pressing one; NULL when nothing is open. A client that asks of thousands asks only here.
static const duro__open *most_pressing(const looker *l, duro__exec *x, duro__reason *out,
                                       size_t *count) {
  const duro__open *first = NULL;
  rank best = RANK_TIMER;
  *count = 0;
  for (const duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    duro_buf text = {0}, advice = {0};
    if (!is_looked_for(o)) continue;
    ++*count;
    if (first && o->kind == DURO__OPEN_CHILD && best >= RANK_CHILD) continue; // no need to look
    rank here = say(l, o, &text, &advice);
    if (!first || here > best) {
      first = o;
      best = here;
      take(out, here, o, &text, &advice);
    }
    duro_buf_free(&text);
    duro_buf_free(&advice);
  }
  return first;
}

void duro__why_tasks(duro_runtime *rt, duro__exec *x, const duro__instance *i, duro_str id,
                     bool lives, duro__reason *out) {
  looker l = {.rt = rt, .instance = i, .id = id, .now_ms = duro__now(rt), .lives = lives};
  size_t count, named = 1;
  const duro__open *first = most_pressing(&l, x, out, &count);
  if (!first) return;
  for (const duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    duro_buf advice = {0};
    if (o == first || !is_looked_for(o) || named == NAMED_AT_MOST) continue;
    named++;
    duro_buf_add_lit(&out->reason, "; ");
    say(&l, o, &out->reason, &advice);
    duro_buf_free(&advice);
  }
  if (count > named) duro_buf_printf(&out->reason, "; and %zu more", count - named);
}
