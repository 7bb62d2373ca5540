// load.c: from the store into memory: an instance's row, its history replayed into a coroutine, the
// messages that waited for it, and the jobs that were cut off.
//
// Invariant: what is loaded has nothing in flight, so what is read is all there is. An instance whose
// code does not fit, or is not registered, is loaded all the same, and parked with the reason.
#include "runtime/internal.h"

// --- Building the coroutine from history ---

static void exec_log(void *user, const char *level, const char *message) {
  duro__log(user, level, "%s", message);
}

static duro__exec_config exec_config(duro_runtime *rt, duro__code *code) {
  return (duro__exec_config){
      .program = code ? rt->host.programs : NULL,
      .host = rt->host.user,
      .code = code ? code->handle : NULL,
      .strict = rt->options.replay_every_turn,
      .log = exec_log,
      .log_user = rt,
      .stock = &rt->stock,
  };
}

duro_code duro__instance_exec(duro_runtime *rt, duro__instance *i, bool with_code,
                              duro_error **err) {
  duro__code *code = NULL;
  if (with_code) {
    code = duro__find_orchestration(rt, i->name, i->version);
    if (!code && !i->version.n) {
      return duro_fail(err, DURO_NOT_REGISTERED,
                       "orchestration '%.*s' is not registered in this process", DURO_FMT(i->name));
    }
    if (!code) {
      return duro_fail(err, DURO_NOT_REGISTERED,
                       "orchestration '%.*s' version '%.*s' is not registered in this process",
                       DURO_FMT(i->name), DURO_FMT(i->version));
    }
  }
  duro__exec_config config = exec_config(rt, code);
  duro__exec *x = duro__exec_new(&config, i->id, i->execution_id);
  if (!x) return duro_fail_oom(err);
  duro__instance_unbuild(rt, i);
  i->exec = x;
  i->code = code;
  if (code) code->users++;
  return DURO_OK;
}

duro_code duro__instance_exec_held(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro__exec_config config = exec_config(rt, NULL);
  config.program = rt->host.programs; // never asked: the code is held back until what ends it
  duro__exec *x = duro__exec_new(&config, i->id, i->execution_id);
  if (!x) return duro_fail_oom(err);
  duro__instance_unbuild(rt, i);
  i->exec = x;
  duro__exec_hold_begin(x);
  return DURO_OK;
}

// An activity that lost its process too often does not run again: its instance stands still.
static const duro__open *lost_too_often(const duro_runtime *rt, duro__exec *x) {
  for (duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    if (o->kind == DURO__OPEN_ACTIVITY && !o->runtime &&
        o->lost_in_a_row >= rt->options.max_lost_attempts) {
      return o;
    }
  }
  return NULL;
}

// Jobs that ran when the process died have no duro_job any more: they are lost, and run again. Those that
// still run here are found again.
static void reattach(duro_runtime *rt, duro__instance *i) {
  duro__jobs_attach(rt, i);
  const duro_message *waiting = i->inbox_head, *kept = rt->kept; // kept: to be delivered again
  duro__results_mark(i, waiting, true);
  duro__results_mark(i, kept, true);
  for (duro__open *o = duro__exec_open_next(i->exec, 0); o;
       o = duro__exec_open_next(i->exec, o->id)) {
    if (!duro__job_is_missing(o) || o->queue.p) continue;
    // After a retry nothing has begun yet, and nothing was lost; what is unknown has not run here.
    if (i->retried || duro__job_begins(i, o) || !duro__find_activity(rt, o->name)) {
      duro__job_start(rt, i, o);
      continue;
    }
    duro_event lost = {
        .kind = DURO_EVENT_ACTIVITY_FAILED, .source = o->id, .attempt = o->attempt, .lost = true};
    lost.error =
        DURO_STR("{\"code\":\"unavailable\",\"message\":\"the process that ran it has died\"}");
    if (duro__kept_ref(i, i->execution_id, o->id)) lost.heartbeat = o->heartbeat;
    duro_message *m = duro_message_new(&rt->blocks, i->key, i->execution_id, &lost);
    if (m)
      duro__deliver(rt, i, m);
    else
      duro__memory_out(rt, i);
  }
  duro__results_mark(i, waiting, false);
  duro__results_mark(i, kept, false);
  duro__jobs_begun(rt, i);
  i->retried = false;
}

static void count_replay(duro_runtime *rt, int64_t key) {
  char *count = duro_map_get_int(&rt->replays, key);
  if (!count && rt->replays.count >= DURO_REPLAYS_COUNTED) return;
  duro_map_put_int(&rt->replays, key,
                   (void *)((uintptr_t)count + 1)); // without memory it is not counted
}

static duro_code replay(duro_runtime *rt, duro__instance *i, const duro_texts *texts,
                        duro_arena *arena, duro_error **err) {
  duro_events events = {0};
  duro_code code = duro_events_decode(texts->items, texts->count, arena, &events, err);
  if (code) return code;
  code = duro__instance_exec(rt, i, true, err);
  if (code || events.count == 0) return code; // its start still waits in the inbox
  duro__mismatch_free(&i->mismatch);
  memset(&i->mismatch, 0, sizeof i->mismatch);
  rt->totals.replays++;
  count_replay(rt, i->key);
  duro__tick(rt);
  duro__watchdog_begin(rt, i);
  code = duro__exec_replay(i->exec, &events, &i->mismatch, err);
  duro__watchdog_end(rt);
  duro__tick(rt);
  if (code) return code;
  i->custom_status_version = duro__exec_custom_status_version(i->exec);
  return DURO_OK;
}

duro_code duro__instance_build(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_code code = duro__store_history(rt->store, i->key, i->execution_id, &arena, &texts, err);
  if (!code) code = replay(rt, i, &texts, &arena, err);
  duro_arena_free(&arena);
  if (!code) {
    reattach(rt, i);
    duro__timers_update(rt, i);
  }
  return code;
}

duro_code duro__instance_scan(duro_runtime *rt, duro__instance *i, duro_error **err) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_events events = {0};
  duro_code code = duro__store_history(rt->store, i->key, i->execution_id, &arena, &texts, err);
  if (!code) code = duro_events_decode(texts.items, texts.count, &arena, &events, err);
  if (!code) code = duro__instance_exec(rt, i, false, err);
  if (!code && events.count) code = duro__exec_scan(i->exec, &events, err);
  duro_arena_free(&arena);
  if (!code) duro__jobs_attach(rt, i);
  return code;
}

// --- Loading ---

static duro__instance *from_row(duro_runtime *rt, const duro_instance_row *row) {
  duro__instance *i = duro__instance_new(rt);
  if (!i) return NULL;
  bool oom = false;
  i->key = row->key;
  i->id = duro__own_text(rt, row->id, &oom);
  i->name = duro__own_text(rt, row->name, &oom);
  i->version = duro__own_text(rt, row->version, &oom);
  i->parent_id = duro__own_text(rt, row->parent_id, &oom);
  i->parent_key = row->parent_key;
  i->parent_event_id = row->parent_event_id;
  i->parent_execution_id = row->parent_execution_id;
  i->depth = row->depth;
  i->vm = row->vm;
  i->status = row->status;
  i->row_status = row->vm == DURO_VM_ANY ? -1 : (int)row->status;
  i->created_at_ms = row->created_at_ms;
  i->execution_id = row->execution_id;
  i->execution_started_at_ms = row->execution_started_at_ms;
  i->custom_status_version = row->custom_status_version;
  i->shown_at_ms = row->updated_at_ms;
  if (row->status == DURO_STATUS_STALLED) {
    i->stall_hash = duro_hash_bytes(row->error.p, row->error.n);
  }
  if (row->run_id.n < sizeof i->run_id) memcpy(i->run_id, row->run_id.p, row->run_id.n);
  if (oom) {
    duro__instance_free(rt, i);
    return NULL;
  }
  return i;
}

duro__instance *duro__instance_of_row(duro_runtime *rt, const duro_instance_row *row) {
  duro__instance *i = from_row(rt, row);
  if (i && duro__instance_register(rt, i)) return i;
  if (i) duro__instance_free(rt, i);
  return NULL;
}

static duro_code load_messages(duro_runtime *rt, duro__instance *i, const duro_loaded *loaded,
                               duro_error **err) {
  for (size_t k = 0; k < loaded->message_count; k++) {
    const duro_message_row *row = &loaded->messages[k];
    duro_message *m = NULL;
    duro_code code =
        duro_message_decode(&rt->blocks, i->key, row->execution_id, row->body, &m, err);
    if (code) return code;
    m->row_id = row->id;
    duro__inbox_add(i, m);
  }
  return DURO_OK;
}

static bool is_foreign(const duro_runtime *rt, int vm) {
  return vm != DURO_VM_ANY && vm != rt->options.vm && !rt->options.any_vm;
}

// Makes a loaded instance able to go on, or parks it with the reason.
static duro_code revive(duro_runtime *rt, duro__instance *i, const duro_loaded *loaded,
                        duro_arena *arena, duro_error **err) {
  i->foreign_vm = is_foreign(rt, i->vm);
  if (i->foreign_vm) return DURO_OK;
  if (i->status == DURO_STATUS_PENDING) {
    i->parked_count = i->inbox_count;
    i->due_ms = DURO_NEVER;
    duro__timers_at(rt, i, loaded->instance.wake_at_ms);
    return DURO_OK;
  }
  duro_error *problem = NULL;
  duro_code code = replay(rt, i, &loaded->history, arena, &problem);
  if (duro__stalls(code)) {
    duro__instance_stall(rt, i, code, problem ? problem->message : NULL);
    duro_error_free(problem);
    return DURO_OK;
  }
  if (code) {
    if (err && !*err)
      *err = problem;
    else
      duro_error_free(problem);
    return code;
  }
  const duro__open *poison = lost_too_often(rt, i->exec);
  if (poison) {
    duro__instance_stall_lost(rt, i, poison);
    return DURO_OK;
  }
  if (i->status == DURO_STATUS_STALLED) duro__instance_unstall(rt, i);
  i->parked_count = i->status == DURO_STATUS_SUSPENDED ? i->inbox_count : 0;
  reattach(rt, i);
  duro__timers_update(rt, i);
  if (i->inbox_head) duro__instance_ready(rt, i);
  return DURO_OK;
}

static duro_code load(duro_runtime *rt, int64_t key, duro__instance **out, duro_error **err) {
  duro_arena arena = {0};
  duro_loaded loaded = {0};
  duro__instance *i = NULL;
  duro_code code = duro__store_load(rt->store, key, &arena, &loaded, err);
  if (!code && !(i = from_row(rt, &loaded.instance))) code = duro_fail_oom(err);
  if (!code) code = load_messages(rt, i, &loaded, err);
  if (!code && !duro__instance_register(rt, i)) code = duro_fail_oom(err);
  if (code) {
    if (i) duro__instance_free(rt, i);
    duro_arena_free(&arena);
    return code;
  }
  code = revive(rt, i, &loaded, &arena, err);
  duro_arena_free(&arena);
  if (code) {
    duro__instance_drop(rt, i);
    return code;
  }
  *out = i;
  return DURO_OK;
}

static duro_code fetched(duro_runtime *rt, const duro_instance_row *row, duro__instance **out,
                         duro_status *ended_status, duro_error **err) {
  if (duro_status_final(row->status)) {
    *ended_status = row->status;
    return DURO_OK;
  }
  return load(rt, row->key, out, err);
}

// What is live needs no look at the store. False: it is not.
static bool found_live(duro__instance *i, duro__instance **out, duro_status *ended_status) {
  *out = i && !i->gone ? i : NULL;
  if (i && i->gone) *ended_status = i->status;
  return i != NULL;
}

duro_code duro__instance_fetch_by_key(duro_runtime *rt, int64_t key, duro__instance **out,
                                      duro_status *ended_status, duro_error **err) {
  if (found_live(duro__live_by_key(rt, key), out, ended_status)) return DURO_OK;
  duro_arena arena = {0};
  duro_instance_row row = {0};
  duro_code code = duro__store_get_by_key(rt->store, key, &arena, &row, err);
  if (!code) code = fetched(rt, &row, out, ended_status, err);
  duro_arena_free(&arena);
  return code;
}

duro_code duro__instance_fetch(duro_runtime *rt, duro_str id, duro__instance **out,
                               duro_status *ended_status, duro_error **err) {
  if (found_live(duro__live(rt, id), out, ended_status)) return DURO_OK;
  duro_arena arena = {0};
  duro_instance_row row = {0};
  duro_code code = duro__store_get(rt->store, id, &arena, &row, err);
  if (!code) code = fetched(rt, &row, out, ended_status, err);
  duro_arena_free(&arena);
  return code;
}
