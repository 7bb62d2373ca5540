// open.c: opening and closing a runtime, and becoming the owner of a file.
//
// Order at open: store, owner's place, marks, folding of what a crash left, threads, first sweep. A clean
// start and a recovery are the same code. Close goes the other way round, and gives what was begun the
// time of its commit.
#include <stdio.h>
#include <unistd.h>

#include "runtime/bulk.h"
#include "runtime/answers.h"
#include "runtime/cache.h"
#include "runtime/figures.h"
#include "runtime/internal.h"

#define FOLD_ROWS_AT_OPEN 50000
#define HOUR_MS           INT64_C(3600000)
#define CLOSE_PATIENCE_NS UINT64_C(10000000000)

duro_options duro_options_default(void) {
  return (duro_options){
      .role = DURO_ROLE_RUNTIME,
      .full_durability = true,
      .activity_concurrency = 100,
      .feed_retention_ms = 10 * 60 * 1000,
      .feed_max_bytes = INT64_C(256) * 1024 * 1024,
      .worker_threads = 4,
      .job_lease_ms = 10000,
      .vm = DURO_VM_C,
      .max_lost_attempts = 20,
      .max_live_instances = 10000,
      .max_list_instances = 1000,
      .max_bulk_operations = 10000,
      .metrics_retention_hours = 168,
      .enable_metrics = true,
      .enable_streaming = true,
  };
}

const duro_store_ops *duro_store_named(const char *name) {
  const duro_store_ops *const stores[] = {&duro_store_sqlite, &duro_store_memory,
                                          &duro_store_basic};
  for (size_t k = 0; k < sizeof stores / sizeof *stores; k++) {
    if (name && strcmp(name, stores[k]->type) == 0) return stores[k];
  }
  return NULL;
}

static duro_code check_queues(const duro_options *o, duro_error **err) {
  char why[128];
  if (o->role == DURO_ROLE_WORKER && !o->queue_count) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "a worker needs queues to serve");
  }
  if (o->role == DURO_ROLE_CLIENT && o->queue_count) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "a client runs no activities: it serves no queues");
  }
  for (size_t k = 0; k < o->queue_count; k++) {
    if (!duro_id_problem(o->queues[k], DURO_MAX_NAME_BYTES, why)) continue;
    return duro_fail(err, DURO_INVALID_ARGUMENT, "the name of a queue %s", why);
  }
  return DURO_OK;
}

static duro_code check(const duro_options *o, const duro_host *host, duro_error **err) {
  if (!o->path || !*o->path) return duro_fail(err, DURO_INVALID_ARGUMENT, "path must not be empty");
  if (!host || !host->programs) return duro_fail(err, DURO_INVALID_ARGUMENT, "a host is needed");
  struct {
    const char *name;
    int64_t value, least, most;
  } ranges[] = {
      {"activity_concurrency", o->activity_concurrency, 1, 1000000},
      {"max_live_instances", o->max_live_instances, 1, 100000000},
      {"max_lost_attempts", o->max_lost_attempts, 1, 1000000},
      {"worker_threads", o->worker_threads, 1, DURO_MAX_WORKER_THREADS},
      {"job_lease", o->job_lease_ms, 100, 3600000},
      {"feed_retention", o->feed_retention_ms, 0, INT64_MAX},
      {"feed_max_bytes", o->feed_max_bytes, 0, INT64_MAX},
      {"lease_wait", o->lease_wait_ms, 0, INT64_MAX},
      {"max_list_instances", o->max_list_instances, 1, 1000000},
      {"max_bulk_operations", o->max_bulk_operations, 1, 10000000},
      {"metrics_retention_hours", o->metrics_retention_hours, 1, 876000},
  };
  for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
    if (ranges[k].value >= ranges[k].least && ranges[k].value <= ranges[k].most) continue;
    return duro_fail(err, DURO_INVALID_ARGUMENT, "%s is %lld; it must be %lld to %lld",
                     ranges[k].name, (long long)ranges[k].value, (long long)ranges[k].least,
                     (long long)ranges[k].most);
  }
  return check_queues(o, err);
}

static void store_log(void *user, const char *level, const char *message) {
  duro_runtime *rt = user;
  // A store may speak from any thread; the host's log is for the loop thread only.
  if (rt->options.log && !rt->writer.started) {
    rt->options.log(rt->options.log_user, level, message, DURO_NONE);
  }
}

static duro_code open_store(duro_runtime *rt, duro_error **err) {
  const duro_store_ops *ops = rt->options.store ? rt->options.store : &duro_store_sqlite;
  duro_store_options o = {
      .path = rt->path,
      .read_only_role = rt->asked_role == DURO_ROLE_CLIENT || rt->asked_role == DURO_ROLE_WORKER,
      .full_durability = rt->options.full_durability,
      .now_ms = duro_clock_wall_ms(),
      .feed_retention_ms = rt->options.feed_retention_ms,
      .feed_max_bytes = rt->options.feed_max_bytes,
      .rollup_retention_ms = rt->options.metrics_retention_hours * HOUR_MS,
      .log = store_log,
      .log_user = rt,
  };
  return duro__store_open(ops, &o, &rt->store, err);
}

static duro_code open_loop(duro_runtime *rt, duro_error **err) {
  int rc = uv_loop_init(&rt->loop);
  if (rc) return duro_fail(err, DURO_STORAGE, "no event loop: %s", uv_strerror(rc));
  rt->loop_open = true;
  uv_async_init(&rt->loop, &rt->wake, NULL);
  uv_timer_init(&rt->loop, &rt->timer);
  return DURO_OK;
}

static duro_code fold_all(duro_runtime *rt, duro_error **err) {
  size_t folded = 0;
  do {
    duro_code code =
        duro__store_fold(rt->store, rt->epoch, duro__now(rt), FOLD_ROWS_AT_OPEN, &folded, err);
    if (code) return code;
  } while (folded);
  return DURO_OK;
}

static duro_code read_marks(duro_runtime *rt, duro_error **err) {
  duro_arena arena = {0};
  duro_store_marks marks = {0};
  duro_code code = duro__store_marks(rt->store, &arena, &marks, err);
  duro_arena_free(&arena);
  if (code) return code;
  rt->last_batch = rt->sealed_batch = rt->committed_batch = marks.last_batch;
  rt->last_seq = rt->committed_seq = marks.last_seq;
  rt->folded_seq = marks.folded_seq;
  rt->trimmed_seq = marks.trimmed_seq;
  rt->newest_ms = marks.latest_ms;
  rt->last_key = marks.last_key;
  rt->last_message_id = marks.last_message_id;
  rt->last_job_id = marks.last_job_id;
  rt->last_audit_id = marks.last_audit_id;
  if (marks.latest_ms > rt->last_now_ms) rt->last_now_ms = marks.latest_ms;
  if (rt->virtual_now_ms < rt->last_now_ms) rt->virtual_now_ms = rt->last_now_ms;
  return DURO_OK;
}

duro_code duro__become_owner(duro_runtime *rt, duro_error **err) {
  duro_code code = duro__owner_acquire(rt, err);
  if (code) return code;
  code = read_marks(rt, err);
  if (!code) code = fold_all(rt, err);
  if (!code) code = read_marks(rt, err);
  if (!code) code = duro__counts_load(rt, err);
  if (!code) code = duro__watchdog_start(rt, err);
  if (code) {
    duro__owner_release(rt);
    return code;
  }
  rt->role = DURO_ROLE_RUNTIME;
  rt->recheck_stalled = true;
  duro__sweep_start(rt, -1);
  return DURO_OK;
}

static duro_code take_role(duro_runtime *rt, duro_error **err) {
  rt->role = DURO_ROLE_CLIENT;
  if (rt->options.queue_count && !duro__store_has(rt->store, DURO__VERB_claim_jobs)) {
    return duro_fail(err, DURO_UNSUPPORTED, "this store has no task queues");
  }
  if (rt->asked_role == DURO_ROLE_CLIENT || rt->asked_role == DURO_ROLE_WORKER) {
    return read_marks(rt, err);
  }
  duro_error *busy = NULL;
  duro_code code = duro__become_owner(rt, &busy);
  if (code == DURO_BUSY && rt->asked_role == DURO_ROLE_AUTO) {
    duro_error_free(busy);
    return read_marks(rt, err);
  }
  if (err)
    *err = busy;
  else
    duro_error_free(busy);
  return code;
}

// The names are the caller's: copied, in one block with their array.
static duro_code copy_queues(duro_runtime *rt, duro_error **err) {
  size_t count = rt->options.queue_count, size = count * sizeof(duro_str);
  for (size_t k = 0; k < count; k++) size += rt->options.queues[k].n + 1;
  const duro_str *from = rt->options.queues;
  rt->options.queues = NULL;
  if (!count) return DURO_OK;
  duro_str *queues = calloc(1, size);
  if (!queues) {
    rt->options.queue_count = 0;
    return duro_fail_oom(err);
  }
  char *at = (char *)(queues + count);
  for (size_t k = 0; k < count; k++) {
    queues[k] = (duro_str){at, from[k].n};
    memcpy(at, from[k].p, from[k].n);
    at += from[k].n + 1;
  }
  rt->options.queues = queues;
  return DURO_OK;
}

static void seed(duro_runtime *rt) {
  char bytes[32];
  duro_random_bytes(bytes, sizeof bytes);
  duro_prng_seed(&rt->prng, (duro_str){bytes, sizeof bytes});
}

duro_code duro_open(const duro_options *options, const duro_host *host, duro_runtime **out,
                    duro_error **err) {
  *out = NULL;
  duro_code code = check(options, host, err);
  if (code) return code;
  duro_runtime *rt = calloc(1, sizeof *rt);
  if (!rt || !(rt->path = duro_str_dup(duro_str_from(options->path)))) {
    free(rt);
    return duro_fail_oom(err);
  }
  rt->options = *options;
  rt->options.path = rt->path;
  rt->host = *host;
  rt->pid = (int)getpid();
  rt->lock_fd = -1;
  rt->asked_role = options->role;
  rt->lru.lru_next = rt->lru.lru_prev = &rt->lru;
  rt->stock.blocks = &rt->blocks;
  rt->next_sweep_ms = DURO_NEVER;
  rt->started_ns = duro_clock_monotonic_ns();
  rt->virtual_now_ms = duro_clock_wall_ms();
  seed(rt);
  code = copy_queues(rt, err);
  if (!code) code = open_loop(rt, err);
  // An owner takes its place before the store may create or migrate the file.
  if (!code && rt->asked_role == DURO_ROLE_RUNTIME) code = duro__owner_lock(rt, err);
  if (!code) code = open_store(rt, err);
  if (!code) code = take_role(rt, err);
  if (!code) code = duro__writer_start(rt, err);
  if (code) {
    duro_close(rt);
    return code;
  }
  *out = rt;
  return DURO_OK;
}

// --- Closing ---

static void wait_for_writer(duro_runtime *rt) {
  uv_update_time(&rt->loop);
  uv_timer_start(&rt->timer, NULL, 0, 0);
  uv_timer_stop(&rt->timer);
  uv_run(&rt->loop, UV_RUN_ONCE);
}

// Those who read the file while nobody owns it see it as it is.
static void fold_rest(duro_runtime *rt, uint64_t until_ns) {
  int64_t seq = -1;
  while (!rt->fault && !rt->lost && duro_clock_monotonic_ns() < until_ns) {
    duro__writer_collect(rt);
    if (!rt->folding) {
      if (rt->folded_seq == seq || !duro__fold_now(rt)) break; // it failed, or is done
      seq = rt->folded_seq;
    }
    wait_for_writer(rt);
  }
}

static void drain(duro_runtime *rt) {
  uint64_t until_ns = duro_clock_monotonic_ns() + CLOSE_PATIENCE_NS;
  while ((rt->in_flight || rt->open) && !rt->fault && !rt->lost &&
         duro_clock_monotonic_ns() < until_ns) {
    duro__writer_collect(rt);
    if (rt->open && !rt->in_flight) {
      bool virtual_clock = rt->options.virtual_clock;
      rt->options.virtual_clock = false; // a batch goes out even with instances ready
      duro__batches_turn(rt);
      rt->options.virtual_clock = virtual_clock;
    }
    if (rt->in_flight) wait_for_writer(rt);
  }
  fold_rest(rt, until_ns);
}

static void close_loop(duro_runtime *rt) {
  if (!rt->loop_open) return;
  uv_close((uv_handle_t *)&rt->wake, NULL);
  uv_close((uv_handle_t *)&rt->timer, NULL);
  while (uv_run(&rt->loop, UV_RUN_DEFAULT)) {}
  uv_loop_close(&rt->loop);
  rt->loop_open = false;
}

static void answer_closed(duro_runtime *rt) {
  duro__requests_close(&rt->held_starts);
  for (duro__batch *b = rt->open; b; b = NULL) {
    for (size_t k = 0; k < b->requests.count; k++) {
      duro__request_fail(b->requests.items[k], DURO_CLOSED, "the runtime was closed");
    }
  }
  for (duro__batch *b = rt->failed_head; b; b = b->next) {
    for (size_t k = 0; k < b->requests.count; k++) {
      duro__request_fail(b->requests.items[k], DURO_CLOSED, "the runtime was closed");
    }
  }
  for (duro_message *m = rt->kept; m; m = m->next) {
    if (m->waiter) duro__request_fail(m->waiter, DURO_CLOSED, "the runtime was closed");
    m->waiter = NULL;
  }
}

static void free_all(duro_runtime *rt) {
  duro__waiters_free(rt);
  answer_closed(rt);
  duro__instances_free(rt);
  duro__claims_free(rt);
  duro__jobs_free(rt);
  duro__batches_free(rt);
  duro__registry_free(rt);
  duro__counts_free(rt);
  duro__cache_free(rt);
  duro__figures_free(rt);
  free(rt->reload.items);
  free(rt->want_fold.items);
  duro__exec_stock_free(&rt->stock);
  duro_pool_free(&rt->blocks);
  free(rt->streams.items);
  free(rt->recent);
  duro__feed_names_free(&rt->feed_names);
  duro_buf_free(&rt->scratch);
  free((void *)rt->options.queues);
  free(rt->path);
  free(rt);
}

void duro_close(duro_runtime *rt) {
  if (!rt) return;
  if (!duro__is_own_process(rt)) return; // after fork: the threads and locks are the parent's
  rt->closing = true;
  duro__threads_close(rt);
  if (rt->writer.started && rt->role == DURO_ROLE_RUNTIME) {
    duro__bulks_close(rt);
    if (rt->options.virtual_clock) duro__batch_open(rt); // keeps the time that was reached
    drain(rt);
  }
  duro__watchdog_stop(rt);
  if (rt->writer.started) duro__claims_close(rt);
  if (rt->writer.started || rt->helper.started) duro__writer_stop(rt);
  duro__owner_release(rt);
  duro__store_close(rt->store);
  rt->store = NULL;
  close_loop(rt);
  free_all(rt);
}
