// Clients and workers in the memory store: requests and their answers, jobs and their holders.
//
// A job belongs to its holder until its lease ends; then whoever asks next gets it, and it counts as lost.
#include "store/memory/memory.h"

// --- Requests ---

// The key of the instance that this post starts under that id; 0 when it starts none.
static int64_t started_key(const duro_store *s, const duro_post *post, duro_str id) {
  for (size_t i = 0; i < post->insert_count; i++) {
    if (!duro_str_equal(post->inserts[i].id, id)) continue;
    const id_row *row = duro__table_get(&s->ids, &(id_row){.id = id});
    return row ? row->key : 0;
  }
  return 0;
}

static duro_code apply_post(duro_store *s, duro_post *post, duro_error **err) {
  meta_row meta = *memory_meta(s);
  duro_code code = DURO_OK;
  for (size_t i = 0; !code && i < post->insert_count; i++) {
    duro_instance_row row = post->inserts[i];
    row.key = duro_key_next(meta.marks.last_client_key, post->now_ms, true);
    meta.marks.last_client_key = row.key;
    code = duro__memory_insert(s, &row, err);
  }
  for (size_t i = 0; !code && i < post->request_count; i++) {
    duro_request_row row = post->requests[i];
    row.id = post->request_ids[i] = ++meta.last_request_id;
    if (row.instance_key == 0) row.instance_key = started_key(s, post, row.instance_id);
    code = duro__table_put(&s->requests, &s->log, &row, err);
  }
  if (meta.marks.latest_ms < post->now_ms) meta.marks.latest_ms = post->now_ms;
  meta.client_writes++;
  return code ? code : duro__memory_set_meta(s, &meta, err);
}

duro_code duro__memory_post(duro_store *s, duro_post *post, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_finish(s, apply_post(s, post, err));
}

duro_code duro__memory_requests(duro_store *s, int64_t after, size_t limit, duro_arena *arena,
                                duro_request_row **out, size_t *count, duro_error **err) {
  *count = 0;
  duro__memory_lock(s);
  size_t at = duro__table_seek(&s->requests, &(duro_request_row){.id = after + 1});
  size_t left = s->requests.count - at;
  *out = duro_arena_alloc(arena, (left < limit ? left : limit) * sizeof **out + 1);
  duro_code code = *out ? DURO_OK : duro_fail_oom(err);
  for (; !code && at < s->requests.count && *count < limit; at++) {
    const duro_request_row *row = s->requests.rows[at];
    if (row->answer.p) continue;
    code = duro__row_lend(s->requests.shape, row, arena, &(*out)[(*count)++], err);
  }
  return duro__memory_unlock(s, code);
}

duro_code duro__memory_answer(duro_store *s, int64_t request_id, duro_arena *arena,
                              duro_request_row *out, duro_error **err) {
  duro__memory_lock(s);
  const duro_request_row *row =
      duro__table_get(&s->requests, &(duro_request_row){.id = request_id});
  duro_code code =
      row ? duro__row_lend(s->requests.shape, row, arena, out, err)
          : duro_fail(err, DURO_NOT_FOUND, "there is no request %lld", (long long)request_id);
  return duro__memory_unlock(s, code);
}

duro_code duro__memory_forget(duro_store *s, const int64_t *request_ids, size_t count,
                              duro_error **err) {
  duro_code code = DURO_OK;
  duro__memory_lock(s);
  for (size_t i = 0; !code && i < count; i++) {
    duro_request_row probe = {.id = request_ids[i]};
    const duro_request_row *row = duro__table_get(&s->requests, &probe);
    if (row && row->answer.p) code = duro__table_remove(&s->requests, &s->log, row, err);
  }
  return duro__memory_finish(s, code);
}

duro_code duro__memory_data_version(duro_store *s, int64_t *out, duro_error **err) {
  (void)err;
  duro__memory_lock(s);
  *out = memory_meta(s)->client_writes;
  return duro__memory_unlock(s, DURO_OK);
}

// --- Jobs ---

static duro_code count_client_write(duro_store *s, duro_error **err) {
  meta_row meta = *memory_meta(s);
  meta.client_writes++;
  return duro__memory_set_meta(s, &meta, err);
}

static bool is_one_of(duro_str text, const duro_str *texts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (duro_str_equal(texts[i], text)) return true;
  }
  return false;
}

static bool claimable(const duro_job_row *row, const duro_claim *k, duro_str queue) {
  if (row->cancelled || row->lease_until_ms > k->now_ms) return false;
  if (row->holder.p && duro_str_equal(row->holder, k->holder)) return false;
  if (k->names && !is_one_of(row->name, k->names, k->name_count)) return false;
  return duro_str_equal(row->queue, queue);
}

static duro_code note_served(duro_store *s, duro_str queue, int64_t now_ms, duro_error **err) {
  served_row row = {.queue = queue, .at_ms = now_ms};
  return duro__table_put(&s->served, &s->log, &row, err);
}

static duro_code claim_from(duro_store *s, const duro_claim *k, duro_str queue, duro_arena *arena,
                            duro_job_row *out, size_t *count, duro_error **err) {
  size_t first = *count;
  duro_code code = DURO_OK;
  for (size_t i = 0; !code && i < s->jobs.count && *count < k->limit; i++) {
    duro_job_row row = *(const duro_job_row *)s->jobs.rows[i];
    if (!claimable(&row, k, queue)) continue;
    row.lost += row.holder.p != NULL;
    row.holder = k->holder;
    row.lease_until_ms = k->lease_until_ms;
    row.claimed_at_ms = k->at_ms;
    row.beat_at_ms = 0;
    code = duro__table_put(&s->jobs, &s->log, &row, err);
    if (!code) code = duro__row_lend(s->jobs.shape, &row, arena, &out[(*count)++], err);
  }
  if (!code && (k->announce || *count > first)) code = note_served(s, queue, k->now_ms, err);
  return code;
}

duro_code duro__memory_claim_jobs(duro_store *s, const duro_claim *k, duro_arena *arena,
                                  duro_job_row **out, size_t *count, duro_error **err) {
  *count = 0;
  duro__memory_lock(s);
  size_t most = s->jobs.count < k->limit ? s->jobs.count : k->limit;
  *out = duro_arena_alloc(arena, most * sizeof **out + 1);
  duro_code code = *out ? DURO_OK : duro_fail_oom(err);
  for (size_t i = 0; !code && i < k->queue_count; i++) {
    code = claim_from(s, k, k->queues[i], arena, *out, count, err);
  }
  if (!code && *count) code = count_client_write(s, err);
  if (code) *count = 0;
  return duro__memory_finish(s, code);
}

// The job, when the caller still holds it. Errors: locked.
static duro_code held_job(const duro_store *s, const duro_job_row *job, duro_job_row *out,
                          duro_error **err) {
  const duro_job_row *row = duro__table_get(&s->jobs, job);
  if (!row || !row->holder.p || !duro_str_equal(row->holder, job->holder)) {
    return duro_fail(err, DURO_LOCKED, "'%.*s' no longer holds job %lld", DURO_FMT(job->holder),
                     (long long)job->id);
  }
  *out = *row;
  return DURO_OK;
}

duro_code duro__memory_renew_jobs(duro_store *s, const duro_job_row *jobs, size_t count,
                                  int64_t now_ms, duro_error **err) {
  duro_code code = DURO_OK;
  (void)now_ms;
  duro__memory_lock(s);
  for (size_t i = 0; !code && i < count; i++) {
    duro_job_row row;
    code = held_job(s, &jobs[i], &row, err);
    if (!code && row.cancelled) code = duro_fail(err, DURO_LOCKED, "the job is held back");
    if (code) break;
    row.lease_until_ms = jobs[i].lease_until_ms;
    if (jobs[i].heartbeat.p) row.heartbeat = jobs[i].heartbeat;
    if (jobs[i].beat_at_ms) row.beat_at_ms = jobs[i].beat_at_ms;
    code = duro__table_put(&s->jobs, &s->log, &row, err);
  }
  return duro__memory_finish(s, code);
}

duro_code duro__memory_finish_job(duro_store *s, const duro_job_row *job,
                                  const duro_request_row *result, int64_t now_ms,
                                  duro_error **err) {
  duro_job_row row;
  duro__memory_lock(s);
  duro_code code = held_job(s, job, &row, err);
  if (!code) code = duro__table_remove(&s->jobs, &s->log, &row, err);
  int64_t id;
  duro_request_row request = *result;
  request.kind = DURO_STR("job");
  duro_post post = {.requests = &request, .request_count = 1, .request_ids = &id, .now_ms = now_ms};
  if (!code) code = apply_post(s, &post, err);
  return duro__memory_finish(s, code);
}

static bool is_wanted(const duro_job_row *row, int64_t instance_key, const int64_t *ids,
                      size_t id_count) {
  if (instance_key) return row->instance_key == instance_key;
  for (size_t i = 0; i < id_count; i++) {
    if (ids[i] == row->id) return true;
  }
  return false;
}

duro_code duro__memory_jobs(duro_store *s, int64_t instance_key, const int64_t *ids,
                            size_t id_count, duro_arena *arena, duro_job_row **out, size_t *count,
                            duro_error **err) {
  *count = 0;
  duro__memory_lock(s);
  *out = duro_arena_alloc(arena, s->jobs.count * sizeof **out + 1);
  duro_code code = *out ? DURO_OK : duro_fail_oom(err);
  for (size_t i = 0; !code && i < s->jobs.count; i++) {
    const duro_job_row *row = s->jobs.rows[i];
    if (!is_wanted(row, instance_key, ids, id_count)) continue;
    code = duro__row_lend(s->jobs.shape, row, arena, &(*out)[(*count)++], err);
  }
  return duro__memory_unlock(s, code);
}

duro_code duro__memory_queue_state(duro_store *s, duro_str queue, int64_t now_ms,
                                   duro_queue_state *out, duro_error **err) {
  (void)err;
  *out = (duro_queue_state){0};
  duro__memory_lock(s);
  for (size_t i = 0; i < s->jobs.count; i++) {
    const duro_job_row *row = s->jobs.rows[i];
    if (queue.p ? !duro_str_equal(row->queue, queue) : !row->queue.n) continue;
    bool leased = row->lease_until_ms > now_ms;
    out->held += leased && row->holder.p;
    if (leased || row->cancelled) continue;
    out->waiting++;
    if (!out->oldest_at_ms || row->created_at_ms < out->oldest_at_ms) {
      out->oldest_at_ms = row->created_at_ms;
    }
  }
  const served_row *served = duro__table_get(&s->served, &(served_row){.queue = queue});
  if (served) out->served_at_ms = served->at_ms;
  return duro__memory_unlock(s, DURO_OK);
}
