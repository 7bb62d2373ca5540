// Jobs: attempts of activities that other processes serve.
//
// A job is free, or held by someone until its lease ends; then whoever asks next gets it. Its end
// is a request of kind "job" to the owner, in the transaction that removes its row, so that a
// result is handed in once. A holder whose job is gone or is another's gets `locked` and drops its
// result.
#include "store/sqlite/internal.h"

duro_code duro__sqlite_insert_job(duro__sqlite_conn *c, const duro_job_row *row, duro_error **err) {
  statement st = use(c, Q_insert_job);
  put_int(&st, row->id);
  put_int(&st, row->instance_key);
  put_int(&st, row->execution_id);
  put_int(&st, row->event_id);
  put_int(&st, row->attempt);
  put_text(&st, row->queue);
  put_text(&st, row->name);
  put_text(&st, row->activity_id);
  put_text(&st, row->instance_id);
  put_int(&st, row->created_at_ms);
  put_int(&st, row->lease_until_ms);
  put_text(&st, row->holder);
  put_int(&st, row->cancelled);
  put_text(&st, row->input);
  put_text(&st, row->options);
  put_text(&st, row->heartbeat);
  return duro__sqlite_run(&st, err);
}

static duro_code take_job(statement *st, duro_arena *arena, duro_job_row *row, duro_error **err) {
  row->id = take_int(st);
  row->instance_key = take_int(st);
  row->execution_id = take_int(st);
  row->event_id = take_int(st);
  row->attempt = take_int(st);
  row->queue = take_text(st, arena);
  row->name = take_text(st, arena);
  row->activity_id = take_text(st, arena);
  row->instance_id = take_text(st, arena);
  row->created_at_ms = take_int(st);
  row->lease_until_ms = take_int(st);
  row->holder = take_text(st, arena);
  row->cancelled = take_int(st) != 0;
  row->input = take_text(st, arena);
  row->options = take_text(st, arena);
  row->heartbeat = take_text(st, arena);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

typedef struct claim {
  duro_str holder;
  int64_t now_ms, lease_until_ms;
  size_t limit;
  duro_arena *arena;
  duro_job_row *items;
  size_t count, capacity;
} claim;

static duro_code claim_from(duro__sqlite_conn *c, duro_str queue, claim *k, duro_error **err) {
  statement st = use(c, Q_claim_jobs);
  size_t wanted = k->limit - k->count;
  put_text(&st, k->holder);
  put_int(&st, k->lease_until_ms);
  put_text(&st, queue);
  put_int(&st, k->now_ms);
  put_int(&st, wanted < INT32_MAX ? (int64_t)wanted : INT32_MAX);
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_job_row *items =
        duro__sqlite_grow(k->arena, k->items, k->count, &k->capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) k->items = items;
    if (items) code = take_job(&st, k->arena, &items[k->count++], err);
    if (code != DURO_OK) {
      finish(&st);
      return code;
    }
  }
  return code;
}

// RETURNING gives rows in no promised order: the oldest first within what one queue gave.
static void sort_by_id(duro_job_row *items, size_t count) {
  for (size_t i = 1; i < count; i++) {
    duro_job_row job = items[i];
    size_t at = i;
    for (; at > 0 && items[at - 1].id > job.id; at--) items[at] = items[at - 1];
    items[at] = job;
  }
}

duro_code duro__sqlite_claim_jobs(duro_store *s, const duro_str *queues, size_t queue_count,
                                  duro_str holder, int64_t now_ms, int64_t lease_until_ms,
                                  size_t limit, duro_arena *arena, duro_job_row **out,
                                  size_t *count, duro_error **err) {
  *out = NULL;
  *count = 0;
  claim k = {.holder = holder,
             .now_ms = now_ms,
             .lease_until_ms = lease_until_ms,
             .limit = limit,
             .arena = arena};
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "claim_jobs", &c, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < queue_count && k.count < limit && code == DURO_OK; i++) {
    size_t first = k.count;
    code = claim_from(c, queues[i], &k, err);
    if (code == DURO_OK && k.items) sort_by_id(k.items + first, k.count - first);
  }
  code = duro__sqlite_write_end(s, c, code, err);
  if (code != DURO_OK) return code;
  *out = k.items;
  *count = k.count;
  return DURO_OK;
}

// After a statement that names a job by id and holder: `locked` when there was none.
static duro_code check_held(const duro__sqlite_conn *c, const duro_job_row *job, duro_error **err) {
  if (sqlite3_changes(c->db) > 0) return DURO_OK;
  return duro_fail(err, DURO_LOCKED, "'%.*s' does not hold job %lld any more",
                   DURO_FMT(job->holder), (long long)job->id);
}

duro_code duro__sqlite_renew_jobs(duro_store *s, const duro_job_row *jobs, size_t count,
                                  int64_t now_ms, duro_error **err) {
  (void)now_ms;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "renew_jobs", &c, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < count && code == DURO_OK; i++) {
    statement st = use(c, Q_renew_job);
    put_int(&st, jobs[i].id);
    put_text(&st, jobs[i].holder);
    put_int(&st, jobs[i].lease_until_ms);
    put_text(&st, jobs[i].heartbeat);
    code = duro__sqlite_run(&st, err);
    if (code == DURO_OK) code = check_held(c, &jobs[i], err);
  }
  return duro__sqlite_write_end(s, c, code, err);
}

static duro_code finish_job(duro__sqlite_conn *c, const duro_job_row *job,
                            const duro_request_row *result, int64_t now_ms, duro_error **err) {
  statement st = use(c, Q_delete_held_job);
  put_int(&st, job->id);
  put_text(&st, job->holder);
  duro_code code = duro__sqlite_run(&st, err);
  if (code == DURO_OK) code = check_held(c, job, err);
  if (code != DURO_OK) return code;
  duro_request_row row = *result;
  row.kind = DURO_STR("job");
  code = duro__sqlite_insert_request(c, &row, row.instance_key, NULL, err);
  if (code != DURO_OK) return code;
  st = use(c, Q_update_post_marks);
  put_int(&st, 0);
  put_int(&st, now_ms);
  put_int(&st, 0);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_finish_job(duro_store *s, const duro_job_row *job,
                                  const duro_request_row *result, int64_t now_ms,
                                  duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "finish_job", &c, err);
  if (code != DURO_OK) return code;
  code = finish_job(c, job, result, now_ms, err);
  code = duro__sqlite_write_end(s, c, code, err);
  if (code == DURO_OK) duro__sqlite_count_own_post(s);
  return code;
}
