// heartbeats.c: how long an attempt may take, how long it may be silent, and what it told last.
//
// Both limits share one due time in the exec: the earlier one. They begin when the attempt begins to run.
// The details of heartbeats go to the next attempt: with the failure, into history
// (activity_retry_scheduled). And should this process die before that, they stand in a row of `jobs` in
// the queue "" (nobody's), written at most once a second and deleted by the turn that hears of the
// attempt's end, or of its loss.
#include "replay/conceal.h"
#include "runtime/internal.h"

#define KEEP_EVERY_NS UINT64_C(1000000000)

// --- Time limits ---

static int64_t due_ms(const duro_job *job) {
  int64_t due = job->attempt_deadline_ms;
  if (job->beat_due_ms && (!due || job->beat_due_ms < due)) due = job->beat_due_ms;
  return due;
}

void duro__job_rearm(duro_runtime *rt, duro_job *job) {
  if (!job->instance || !job->instance->exec) return;
  if (!job->attempt_timeout_ms && !job->heartbeat_timeout_ms) return;
  duro__exec_set_volatile_due(job->instance->exec, job->task, due_ms(job));
  duro__timers_update(rt, job->instance);
}

void duro__job_begun(duro_runtime *rt, duro_job *job) {
  int64_t now_ms = duro__now(rt);
  if (job->attempt_timeout_ms) job->attempt_deadline_ms = now_ms + job->attempt_timeout_ms;
  if (job->heartbeat_timeout_ms) job->beat_due_ms = now_ms + job->heartbeat_timeout_ms;
  if (!job->instance || !job->instance->exec || job->cancelled) return;
  duro__open *o = duro__exec_open(job->instance->exec, job->task);
  if (o && o->runtime == job) o->state = DURO__STATE_RUNNING;
  duro__job_rearm(rt, job);
}

void duro__job_disarm(duro_runtime *rt, duro_job *job) {
  job->attempt_deadline_ms = job->beat_due_ms = 0;
  if (!job->instance || !job->instance->exec) return;
  duro__open *o = duro__exec_open(job->instance->exec, job->task);
  if (o && o->runtime == job) o->state = DURO__STATE_WAITING;
  duro__job_rearm(rt, job);
}

// --- Details that outlive the process ---

static void keep(duro_runtime *rt, duro_job *job) {
  duro__batch *b = duro__batch_open(rt);
  duro__job_ref *ref = b ? duro__kept_ref(job->instance, job->execution_id, job->task) : NULL;
  if (b && !ref) {
    ref = duro__kept_add(job->instance, ++rt->last_job_id, job->execution_id, job->task,
                         job->info.attempt);
  }
  duro_job_row *row = ref ? duro__vec_push(&b->jobs) : NULL;
  if (!row) return; // the details are a help, not a duty
  job->kept_ns = duro_clock_monotonic_ns();
  job->keep_later = false;
  row->id = ref->row_id;
  row->instance_key = job->instance_key;
  row->execution_id = job->execution_id;
  row->event_id = job->task;
  row->attempt = job->info.attempt;
  row->queue = DURO_STR("");
  row->name = duro__row_keep(b, job->info.name);
  row->created_at_ms = duro__now(rt);
  row->heartbeat = duro__row_keep(b, duro_buf_str(&job->heartbeat));
}

static bool may_keep(const duro_runtime *rt, const duro_job *job) {
  return rt->role == DURO_ROLE_RUNTIME && !rt->fault && !rt->lost && !rt->closing &&
         job->instance && !job->instance->gone && !job->instance->needs_insert && !job->hold &&
         !job->cancelled && job->heartbeat.n;
}

// What was told less than a second after what is kept already.
bool duro__heartbeats_turn(duro_runtime *rt) {
  if (!rt->beats_waiting) return false;
  uint64_t now_ns = duro_clock_monotonic_ns();
  bool any = false;
  rt->beats_waiting = false;
  for (size_t k = 0; k < rt->beating.count; k++) {
    duro_job *job = rt->beating.items[k];
    if (!job->keep_later) continue;
    if (now_ns - job->kept_ns < KEEP_EVERY_NS) {
      rt->beats_waiting = true;
    } else if (may_keep(rt, job)) {
      keep(rt, job);
      any = true;
    }
  }
  return any;
}

// --- A heartbeat ---

static bool is_beating(const duro_runtime *rt, const duro_job *job) {
  for (size_t k = 0; k < rt->beating.count; k++) {
    if (rt->beating.items[k] == job) return true;
  }
  return false;
}

static void keep_soon(duro_runtime *rt, duro_job *job) {
  if (!is_beating(rt, job)) {
    duro_job **slot = duro__vec_push(&rt->beating);
    if (!slot) return;
    *slot = job;
  }
  if (job->kept_ns && duro_clock_monotonic_ns() - job->kept_ns < KEEP_EVERY_NS) {
    job->keep_later = rt->beats_waiting = true;
  } else if (may_keep(rt, job)) {
    keep(rt, job);
  }
}

void duro__heartbeats_forget(duro_runtime *rt, duro_job *job) {
  for (size_t k = 0; k < rt->beating.count; k++) {
    if (rt->beating.items[k] == job)
      rt->beating.items[k--] = rt->beating.items[--rt->beating.count];
  }
}

DURO_EXPORT duro_code duro_job_heartbeat(duro_job *job, duro_str details, duro_error **err) {
  if (details.n > DURO_MAX_PAYLOAD_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE, "heartbeat details are %zu bytes; %d are allowed",
                     details.n, DURO_MAX_PAYLOAD_BYTES);
  }
  duro_runtime *rt = job->rt;
  if (job->cancelled) return DURO_OK;
  if (details.n) {
    duro_buf stored = {0};
    duro_code code = duro__conceal(rt->host.programs, rt->host.user, &details, &stored, err);
    if (!code) {
      duro_buf_clear(&job->heartbeat);
      duro_buf_add_str(&job->heartbeat, details);
    }
    duro_buf_free(&stored);
    if (code) return code;
    if (job->heartbeat.oom) return duro_fail_oom(err);
  }
  if (job->heartbeat_timeout_ms) job->beat_due_ms = duro__now(rt) + job->heartbeat_timeout_ms;
  if (job->hold) {
    duro__claim_beat(rt, job);
    return DURO_OK;
  }
  duro__job_rearm(rt, job);
  if (details.n) keep_soon(rt, job);
  return DURO_OK;
}
