// Arrivals: what the world tells an execution.
//
// Live, an arrival is admitted or not, completed to the event that history keeps (a failed attempt may
// become a retry), recorded, and processed. From history it is processed only. What processing does,
// the steps of the program and the commands the core itself issues, is the same both ways.
// To add an arrival: its rule in `admitters`, what it does in duro__process.
#include "replay/internal.h"

#include "replay/retry.h"

// --- Admitting: false = it changes nothing ---

// *e is the event to record: the arrival's copy, to be completed.
typedef bool admit(duro__exec *x, duro_event *e);

static bool admit_started(duro__exec *x, duro_event *e) {
  e->reason = x->held ? DURO_HELD_REASON : DURO_NONE;
  return !x->started;
}

// A result of an earlier attempt comes too late.
static duro__entry *admitted_activity(duro__exec *x, duro_event *e) {
  duro__entry *task = duro__source(x, e);
  if (task && e->attempt && e->attempt != task->open.attempt) return NULL;
  return task;
}

static bool admit_activity_completed(duro__exec *x, duro_event *e) {
  duro__entry *task = admitted_activity(x, e);
  if (!task) return false;
  e->attempt = task->open.attempt > 1 ? task->open.attempt : 0;
  x->turn->activities_completed++;
  return true;
}

static void become_retry(duro_event *e, const duro__entry *task, int64_t fire_at_ms) {
  e->kind = DURO_EVENT_ACTIVITY_RETRY_SCHEDULED;
  e->attempt = task->open.attempt;
  e->fire_at_ms = fire_at_ms;
}

// The jitter of a wait comes from what is fixed: run, execution, task and attempt.
static int64_t retry_delay_ms(duro__exec *x, const duro__retry *policy, const duro__entry *task) {
  if (!policy->jitter) return duro__retry_delay_ms(policy, task->open.attempt, DURO_NONE);
  x->turn->scratch.n = 0;
  duro_buf_add_str(&x->turn->scratch, x->start.run_id);
  duro_buf_printf(&x->turn->scratch, ":%lld:%lld:%lld", (long long)x->start.execution_id,
                  (long long)task->open.id, (long long)task->open.attempt);
  return duro__retry_delay_ms(policy, task->open.attempt, duro_buf_str(&x->turn->scratch));
}

static bool may_retry(const duro__exec *x, const duro__retry *policy, const duro__entry *task,
                      duro_str error) {
  const duro__open *o = &task->open;
  if (o->deadline_ms && x->now_ms >= o->deadline_ms) return false;
  return duro__retry_allowed(policy, o->attempt, error);
}

static bool admit_activity_failed(duro__exec *x, duro_event *e) {
  duro__entry *task = admitted_activity(x, e);
  if (!task) return false;
  if (e->lost) {
    become_retry(e, task, x->now_ms);
    return true;
  }
  duro__retry policy;
  duro__retry_read(task->open.options, &policy);
  if (may_retry(x, &policy, task, e->error)) {
    become_retry(e, task, duro__add_ms(x->now_ms, retry_delay_ms(x, &policy, task)));
    return true;
  }
  x->turn->scratch.n = 0;
  duro__failure_write(&x->turn->scratch, e->error, task->open.name, task->open.attempt);
  e->error = duro_buf_str(&x->turn->scratch);
  e->heartbeat = DURO_NONE; // there is no next attempt
  e->attempt = task->open.attempt;
  x->turn->activities_failed++;
  return true;
}

static bool admit_activity_deferred(duro__exec *x, duro_event *e) {
  return admitted_activity(x, e) != NULL;
}

static bool admit_timer_fired(duro__exec *x, duro_event *e) {
  if (!duro__source(x, e)) return false;
  x->turn->timers_fired++;
  return true;
}

static bool admit_child(duro__exec *x, duro_event *e) {
  duro__entry *task = duro__source(x, e);
  if (e->kind == DURO_EVENT_SUB_ORCHESTRATION_FAILED && !e->error.n) {
    e->error = DURO_STR("{\"code\":\"failed\",\"message\":\"the sub-orchestration failed\"}");
  }
  return task && (!e->instance.p || duro_str_equal(e->instance, task->open.instance));
}

static bool admit_event_received(duro__exec *x, duro_event *e) {
  if (e->dedup_id.n && duro__label_known(x->kept->dedup, e->dedup_id)) return false;
  duro__entry *waiter = duro__mail_first_waiter(x, e->name);
  e->source = waiter ? waiter->open.id : 0;
  x->turn->events_received++;
  return true;
}

static bool admit_cancel(duro__exec *x, duro_event *e) {
  (void)e;
  return !x->cancel_requested;
}

static bool admit_timeout(duro__exec *x, duro_event *e) {
  (void)x;
  e->reason = DURO_TIMEOUT_REASON;
  return true;
}

static bool admit_always(duro__exec *x, duro_event *e) {
  (void)x;
  (void)e;
  return true;
}

static bool admit_suspended(duro__exec *x, duro_event *e) {
  (void)e;
  return !x->suspended;
}

static bool admit_resumed(duro__exec *x, duro_event *e) {
  (void)e;
  return x->suspended;
}

static admit *const admitters[DURO_EVENT_KIND_COUNT] = {
    [DURO_EVENT_ORCHESTRATION_STARTED] = admit_started,
    [DURO_EVENT_ACTIVITY_COMPLETED] = admit_activity_completed,
    [DURO_EVENT_ACTIVITY_FAILED] = admit_activity_failed,
    [DURO_EVENT_ACTIVITY_DEFERRED] = admit_activity_deferred,
    [DURO_EVENT_TIMER_FIRED] = admit_timer_fired,
    [DURO_EVENT_SUB_ORCHESTRATION_COMPLETED] = admit_child,
    [DURO_EVENT_SUB_ORCHESTRATION_FAILED] = admit_child,
    [DURO_EVENT_EVENT_RECEIVED] = admit_event_received,
    [DURO_EVENT_CANCEL_REQUESTED] = admit_cancel,
    [DURO_EVENT_ORCHESTRATION_TERMINATED] = admit_always,
    [DURO_EVENT_ORCHESTRATION_FAILED] = admit_timeout,
    [DURO_EVENT_SUSPENDED] = admit_suspended,
    [DURO_EVENT_RESUMED] = admit_resumed,
    [DURO_EVENT_ORCHESTRATION_RETRIED] = admit_always,
};

// --- Processing ---

// A process that died with the attempt, or a policy without delay: the job starts again at once.
static duro_code process_retry(duro__exec *x, const duro_event *e, duro_error **err) {
  duro_code code = duro__note(x, e, err);
  duro__entry *task = duro__source(x, e);
  if (code || !task || task->open.state != DURO__STATE_WAITING) return code;
  code = duro__effect_start(x, DURO__START_JOB, task);
  return code ? duro__break_oom(x, err) : DURO_OK;
}

// The end comes from outside: the jobs and children of open tasks are told, history needs no word.
static duro_code process_end(duro__exec *x, const duro_event *e, duro_error **err) {
  bool terminated = e->kind == DURO_EVENT_ORCHESTRATION_TERMINATED;
  duro_code code = DURO_OK;
  for (duro__entry *t = duro__open_after(x, 0); t && !code; t = duro__open_after(x, t->open.id)) {
    if (t->open.kind == DURO__OPEN_ACTIVITY) {
      code = duro__effect_stop_job(x, t);
    } else if (t->open.kind == DURO__OPEN_CHILD) {
      code = duro__effect_stop_child(x, terminated ? DURO__TERMINATE_CHILD : DURO__CANCEL_CHILD, t,
                                     terminated ? e->reason : DURO_STR("its parent timed out"));
    }
  }
  if (code) return duro__break_oom(x, err);
  code = duro__note(x, e, err);
  if (!code) code = duro__end_result(x, e, err);
  duro__end_program(x);
  return code;
}

duro_code duro__process(duro__exec *x, const duro_event *e, duro_error **err) {
  duro_code code;
  switch (e->kind) {
  case DURO_EVENT_ACTIVITY_RETRY_SCHEDULED:
    code = process_retry(x, e, err);
    break;
  case DURO_EVENT_ORCHESTRATION_TERMINATED:
  case DURO_EVENT_ORCHESTRATION_FAILED:
    return process_end(x, e, err);
  default:
    code = duro__note(x, e, err);
  }
  if (code || !x->runs) return code;
  switch (e->kind) {
  case DURO_EVENT_ORCHESTRATION_STARTED:
    code = duro__tell(x, DURO__TELL_BEGIN, 0, DURO_NONE, err);
    break;
  case DURO_EVENT_CANCEL_REQUESTED:
    code = duro__tell(x, DURO__TELL_CANCEL, 0, DURO_NONE, err);
    break;
  case DURO_EVENT_ACTIVITY_COMPLETED:
  case DURO_EVENT_TIMER_FIRED:
  case DURO_EVENT_SUB_ORCHESTRATION_COMPLETED:
    code = duro__tell(x, DURO__TELL_COMPLETED, e->source, e->output, err);
    break;
  case DURO_EVENT_ACTIVITY_FAILED:
  case DURO_EVENT_SUB_ORCHESTRATION_FAILED:
    code = duro__tell(x, DURO__TELL_FAILED, e->source, e->error, err);
    break;
  default: // an event tells its wait by way of the queue; the others tell nothing
    break;
  }
  return code ? code : duro__pump(x, err);
}

// --- Applying ---

// Without code that runs, only what needs none may be added to history. To resume needs it when
// something has arrived meanwhile: the code's answer to that would be missing.
static bool needs_code(const duro__exec *x, duro_event_kind kind) {
  switch (kind) {
  case DURO_EVENT_ORCHESTRATION_TERMINATED:
  case DURO_EVENT_ORCHESTRATION_FAILED:
  case DURO_EVENT_ORCHESTRATION_RETRIED:
  case DURO_EVENT_SUSPENDED:
    return false;
  case DURO_EVENT_RESUMED:
    return x->untold;
  default:
    return true;
  }
}

static duro_code refuse(const duro__exec *x, duro_code code, duro_error **err) {
  return duro_fail(err, code, "instance '%.*s' takes no turn here: %s",
                   DURO_FMT(x->start.instance_id), duro_code_sentence(code));
}

static bool admitted(duro__exec *x, duro_event *e) {
  if (e->kind == DURO_EVENT_ORCHESTRATION_RETRIED) return x->status == DURO_STATUS_FAILED;
  if (x->ended) return false;
  if (!x->started && e->kind != DURO_EVENT_ORCHESTRATION_STARTED) return false;
  return admitters[e->kind](x, e);
}

duro_code duro__exec_apply(duro__exec *x, const duro_event *arrival, bool *recorded,
                           duro_error **err) {
  *recorded = false;
  if (x->broken) return refuse(x, x->broken, err);
  if (!x->turn) return duro_fail(err, DURO_INVALID_ARGUMENT, "no turn has begun");
  if ((unsigned)arrival->kind >= DURO_EVENT_KIND_COUNT || !admitters[arrival->kind]) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "%s is no arrival",
                     duro_event_kind_string(arrival->kind));
  }
  bool has_code = x->config.program && !x->scanned;
  if (x->sealed || (!has_code && needs_code(x, arrival->kind))) {
    return refuse(x, DURO_STALLED, err);
  }
  x->runs = has_code;
  duro_event e = *arrival;
  if (!admitted(x, &e)) return DURO_OK;
  duro_code code = duro__record(x, &e, err);
  if (code) return code;
  *recorded = true;
  code = duro__process(x, &e, err);
  if (e.kind == DURO_EVENT_ORCHESTRATION_RETRIED) x->sealed = true;
  return code;
}

void duro__exec_hold_begin(duro__exec *x) {
  if (!x->started) x->held = true;
}
