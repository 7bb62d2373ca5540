// The memory store: the contract of duro_store.h in its plainest form, and the store of fast tests.
//
// It keeps every row in a sorted array and every verb under one mutex: read it to learn what a verb has
// to do. Nothing outlives close, and the path is ignored: each open is a store of its own. An instance's
// row is up to date at every commit already; folding only moves turns from the journal to the history.
// The optional verbs `counters`, `stats` and `checkpoint` are left to the defaults.
#include "store/memory/memory.h"

#include <stdlib.h>

#include "base/clock.h"

// --- Shapes ---

// A comparison of two rows of one type by an expression over `a` and `b`.
#define COMPARE(name, type, expression)                                                            \
  static int name(const void *left, const void *right) {                                           \
    const type *a = left, *b = right;                                                              \
    return expression;                                                                             \
  }
COMPARE(by_key, duro_instance_row, compare_ints(a->key, b->key))
COMPARE(by_id_text, id_row, duro_str_compare(a->id, b->id))
COMPARE(by_seq, duro_turn_row, compare_ints(a->seq, b->seq))
COMPARE(by_message_id, duro_message_row, compare_ints(a->id, b->id))
COMPARE(by_job_id, duro_job_row, compare_ints(a->id, b->id))
COMPARE(by_queue, served_row, duro_str_compare(a->queue, b->queue))
COMPARE(by_request_id, duro_request_row, compare_ints(a->id, b->id))
COMPARE(by_audit_id, duro_audit_row, compare_ints(a->id, b->id))

static int the_only_one(const void *left, const void *right) {
  (void)left, (void)right;
  return 0;
}

static int by_execution(const void *left, const void *right) {
  const duro_execution_row *a = left, *b = right;
  int order = compare_ints(a->instance_key, b->instance_key);
  return order ? order : compare_ints(a->execution_id, b->execution_id);
}

static int by_first_event(const void *left, const void *right) {
  const duro_turn_row *a = left, *b = right;
  int order = compare_ints(a->instance_key, b->instance_key);
  if (!order) order = compare_ints(a->execution_id, b->execution_id);
  return order ? order : compare_ints(a->first_event_id, b->first_event_id);
}

#define AT(type, member) offsetof(type, member)

static const row_shape meta_shape = {sizeof(meta_row),
                                     the_only_one,
                                     4,
                                     {AT(meta_row, marks.file_id), AT(meta_row, lease.owner),
                                      AT(meta_row, lease.host), AT(meta_row, owner_figures)}};
static const row_shape instance_shape = {
    sizeof(duro_instance_row),
    by_key,
    11,
    {AT(duro_instance_row, id), AT(duro_instance_row, run_id), AT(duro_instance_row, name),
     AT(duro_instance_row, version), AT(duro_instance_row, parent_id),
     AT(duro_instance_row, waiting_on), AT(duro_instance_row, custom_status),
     AT(duro_instance_row, attributes), AT(duro_instance_row, output), AT(duro_instance_row, error),
     AT(duro_instance_row, reason)}};
static const row_shape id_shape = {sizeof(id_row), by_id_text, 1, {AT(id_row, id)}};
static const row_shape journal_shape = {
    sizeof(duro_turn_row), by_seq, 2, {AT(duro_turn_row, waiting_on), AT(duro_turn_row, events)}};
static const row_shape history_shape = {sizeof(duro_turn_row),
                                        by_first_event,
                                        2,
                                        {AT(duro_turn_row, waiting_on), AT(duro_turn_row, events)}};
static const row_shape execution_shape = {
    sizeof(duro_execution_row),
    by_execution,
    2,
    {AT(duro_execution_row, version), AT(duro_execution_row, reason)}};
static const row_shape message_shape = {
    sizeof(duro_message_row), by_message_id, 1, {AT(duro_message_row, body)}};
static const row_shape job_shape = {sizeof(duro_job_row),
                                    by_job_id,
                                    8,
                                    {AT(duro_job_row, queue), AT(duro_job_row, name),
                                     AT(duro_job_row, activity_id), AT(duro_job_row, instance_id),
                                     AT(duro_job_row, input), AT(duro_job_row, options),
                                     AT(duro_job_row, heartbeat), AT(duro_job_row, holder)}};
static const row_shape served_shape = {sizeof(served_row), by_queue, 1, {AT(served_row, queue)}};
static const row_shape audit_shape = {sizeof(duro_audit_row),
                                      by_audit_id,
                                      4,
                                      {AT(duro_audit_row, actor), AT(duro_audit_row, action),
                                       AT(duro_audit_row, target), AT(duro_audit_row, detail)}};
static const row_shape request_shape = {sizeof(duro_request_row),
                                        by_request_id,
                                        4,
                                        {AT(duro_request_row, kind),
                                         AT(duro_request_row, instance_id),
                                         AT(duro_request_row, body), AT(duro_request_row, answer)}};

// --- Shared by all ---

void duro__memory_lock(duro_store *s) { pthread_mutex_lock(&s->mutex); }

duro_code duro__memory_unlock(duro_store *s, duro_code code) {
  pthread_mutex_unlock(&s->mutex);
  return code;
}

duro_code duro__memory_finish(duro_store *s, duro_code code) {
  return duro__memory_unlock(s, duro__tables_finish(&s->log, code));
}

duro_code duro__memory_set_meta(duro_store *s, const meta_row *meta, duro_error **err) {
  return duro__table_put(&s->meta, &s->log, meta, err);
}

duro_code duro__memory_check_epoch(const duro_store *s, int64_t epoch, duro_error **err) {
  int64_t current = memory_meta(s)->marks.epoch;
  if (epoch == current) return DURO_OK;
  return duro_fail(err, DURO_LOCKED, "the lease was lost: its epoch is %lld, not %lld",
                   (long long)current, (long long)epoch);
}

bool duro__memory_turn_counts(const duro_store *s, const duro_turn_row *turn) {
  const duro_instance_row *instance = memory_instance(s, turn->instance_key);
  if (!instance || turn->event_count == 0) return false;
  if (turn->execution_id >= instance->execution_id) return true;
  duro_execution_row past = {.instance_key = turn->instance_key,
                             .execution_id = turn->execution_id};
  return duro__table_get(&s->executions, &past) != NULL;
}

// --- Open, close, marks ---

static void close_store(duro_store *s) {
  duro__table_free(&s->meta);
  duro__table_free(&s->instances);
  duro__table_free(&s->ids);
  duro__table_free(&s->journal);
  duro__table_free(&s->history);
  duro__table_free(&s->executions);
  duro__table_free(&s->messages);
  duro__table_free(&s->jobs);
  duro__table_free(&s->served);
  duro__table_free(&s->requests);
  duro__table_free(&s->audit);
  free(s->log.items);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

static duro_code open_store(const duro_store_options *options, duro_store **out, duro_error **err) {
  char file_id[DURO_RUN_ID_SIZE];
  duro_store *s = calloc(1, sizeof *s);
  *out = NULL;
  if (!s) return duro_fail_oom(err);
  if (pthread_mutex_init(&s->mutex, NULL) != 0) {
    free(s);
    return duro_fail_oom(err);
  }
  s->feed_retention_ms = options->feed_retention_ms;
  s->feed_max_bytes = options->feed_max_bytes;
  s->meta.shape = &meta_shape;
  s->instances.shape = &instance_shape;
  s->ids.shape = &id_shape;
  s->journal.shape = &journal_shape;
  s->history.shape = &history_shape;
  s->executions.shape = &execution_shape;
  s->messages.shape = &message_shape;
  s->jobs.shape = &job_shape;
  s->served.shape = &served_shape;
  s->requests.shape = &request_shape;
  s->audit.shape = &audit_shape;
  duro_run_id(file_id);
  meta_row meta = {.marks.file_id = duro_str_from(file_id), .marks.latest_ms = options->now_ms};
  duro_code code = duro__memory_set_meta(s, &meta, err);
  code = duro__tables_finish(&s->log, code);
  if (code) {
    close_store(s);
    return code;
  }
  *out = s;
  return DURO_OK;
}

static duro_code marks(duro_store *s, duro_arena *arena, duro_store_marks *out, duro_error **err) {
  duro__memory_lock(s);
  *out = memory_meta(s)->marks;
  out->trimmed_seq = memory_meta(s)->trimmed_seq;
  out->file_id = duro_arena_dup(arena, out->file_id);
  return duro__memory_unlock(s, arena->oom ? duro_fail_oom(err) : DURO_OK);
}

// --- The lease ---

static duro_code lend_lease(const duro_store *s, duro_arena *arena, duro_lease *out,
                            duro_error **err) {
  *out = memory_meta(s)->lease;
  out->owner = duro_arena_dup(arena, out->owner);
  out->host = duro_arena_dup(arena, out->host);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

static duro_code lease(duro_store *s, duro_arena *arena, duro_lease *out, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_unlock(s, lend_lease(s, arena, out, err));
}

static duro_code acquire(duro_store *s, const duro_lease *wanted, bool steal, int64_t now_ms,
                         duro_arena *arena, duro_lease *held, duro_error **err) {
  duro__memory_lock(s);
  meta_row meta = *memory_meta(s);
  bool free = !meta.lease.owner.p || meta.lease.expires_at_ms <= now_ms;
  if (!free && !steal) {
    duro_code code = lend_lease(s, arena, held, err);
    if (!code) {
      code = duro_fail(err, DURO_BUSY, "'%.*s' owns the store", DURO_FMT(held->owner));
    }
    return duro__memory_unlock(s, code);
  }
  meta.lease = *wanted;
  meta.lease.epoch = meta.marks.epoch = meta.marks.epoch + 1;
  duro_code code = duro__memory_set_meta(s, &meta, err);
  if (!code) code = lend_lease(s, arena, held, err);
  return duro__memory_finish(s, code);
}

static duro_code check_held(const duro_store *s, int64_t epoch, duro_error **err) {
  if (memory_meta(s)->lease.owner.p) return duro__memory_check_epoch(s, epoch, err);
  return duro_fail(err, DURO_LOCKED, "the lease was released");
}

static duro_code renew(duro_store *s, int64_t epoch, int64_t now_ms, int64_t expires_at_ms,
                       duro_error **err) {
  (void)now_ms; // an expired lease that nobody took is still its owner's
  duro__memory_lock(s);
  duro_code code = check_held(s, epoch, err);
  meta_row meta = *memory_meta(s);
  meta.lease.expires_at_ms = expires_at_ms;
  if (!code) code = duro__memory_set_meta(s, &meta, err);
  return duro__memory_finish(s, code);
}

static duro_code release(duro_store *s, int64_t epoch, duro_error **err) {
  duro__memory_lock(s);
  duro_code code = check_held(s, epoch, err);
  meta_row meta = *memory_meta(s);
  meta.lease = (duro_lease){.epoch = epoch};
  if (!code) code = duro__memory_set_meta(s, &meta, err);
  return duro__memory_finish(s, code);
}

// --- What the owner says of itself ---

static duro_code owner_figures(duro_store *s, duro_arena *arena, duro_str *json, duro_error **err) {
  duro__memory_lock(s);
  *json = duro_arena_dup(arena, memory_meta(s)->owner_figures);
  return duro__memory_unlock(s, arena->oom ? duro_fail_oom(err) : DURO_OK);
}

static duro_code note(duro_store *s, int64_t epoch, duro_str figures, duro_error **err) {
  duro__memory_lock(s);
  duro_code code = duro__memory_check_epoch(s, epoch, err);
  meta_row meta = *memory_meta(s);
  meta.owner_figures = figures;
  if (!code) code = duro__memory_set_meta(s, &meta, err);
  return duro__memory_finish(s, code);
}

#define VERBS_EACH_STORE_NEEDS                                                                     \
  .version = DURO_STORE_VERSION, .open = open_store, .close = close_store, .marks = marks,         \
  .acquire = acquire, .renew = renew, .release = release, .lease = lease,                          \
  .commit = duro__memory_commit, .fold = duro__memory_fold, .load = duro__memory_load,             \
  .due = duro__memory_due, .messages = duro__memory_messages, .post = duro__memory_post,           \
  .requests = duro__memory_requests, .answer = duro__memory_answer, .forget = duro__memory_forget, \
  .data_version = duro__memory_data_version, .get = duro__memory_get,                              \
  .get_by_key = duro__memory_get_by_key, .list = duro__memory_list,                                \
  .history = duro__memory_history, .executions = duro__memory_executions

const duro_store_ops duro_store_memory = {
    VERBS_EACH_STORE_NEEDS,
    .type = "memory",
    .claim_jobs = duro__memory_claim_jobs,
    .renew_jobs = duro__memory_renew_jobs,
    .finish_job = duro__memory_finish_job,
    .jobs = duro__memory_jobs,
    .queue_state = duro__memory_queue_state,
    .changes = duro__memory_changes,
    .owner_figures = owner_figures,
    .audit = duro__memory_audit,
    .note = note,
};

const duro_store_ops duro_store_basic = {VERBS_EACH_STORE_NEEDS, .type = "basic"};
