// Jobs: attempts of activities of task queues.
//
// A job is free, or held by someone until its lease ends; then whoever asks next gets it. Its end is
// a request of kind "job" to the owner, in the transaction that removes its row, so that a result is
// handed in once. A holder whose job is gone or is another's gets `locked` and drops its result.
// Who serves a queue leaves the time in `meta` under "served:<queue>".
#include "store/sqlite/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

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
  put_int(&st, row->claimed_at_ms);
  put_int(&st, row->beat_at_ms);
  put_int(&st, row->lost);
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
  row->claimed_at_ms = take_int(st);
  row->beat_at_ms = take_int(st);
  row->lost = take_int(st);
  row->input = take_text(st, arena);
  row->options = take_text(st, arena);
  row->heartbeat = take_text(st, arena);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

// Jobs read one after the other into an arena.
typedef struct job_list {
  duro_arena *arena;
  duro_job_row *items;
  size_t count, capacity;
} job_list;

static duro_code take_all(statement *st, job_list *list, duro_error **err) {
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(st, &row, err)) == DURO_OK && row) {
    duro_job_row *items =
        duro__sqlite_grow(list->arena, list->items, list->count, &list->capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) list->items = items;
    if (items) code = take_job(st, list->arena, &items[list->count++], err);
    if (code != DURO_OK) {
      finish(st);
      return code;
    }
  }
  return code;
}

// --- Claiming ---

// The names as a JSON array; absent when any will do.
static duro_str names_of(const duro_claim *k, duro_buf *b) {
  if (!k->names) return DURO_NONE;
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < k->name_count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro_json_add_string(b, k->names[i]);
  }
  duro_buf_add_char(b, ']');
  return duro_buf_str(b);
}

static void put_claimable(statement *st, const duro_claim *k, duro_str queue, duro_str names) {
  put_text(st, k->holder);
  put_text(st, queue);
  put_int(st, k->now_ms);
  put_text(st, names);
}

static duro_code claim_from(duro__sqlite_conn *c, const duro_claim *k, duro_str queue,
                            duro_str names, job_list *list, duro_error **err) {
  statement st = use(c, Q_claim_jobs);
  size_t wanted = k->limit - list->count;
  put_claimable(&st, k, queue, names);
  put_int(&st, wanted < INT32_MAX ? (int64_t)wanted : INT32_MAX);
  put_int(&st, k->lease_until_ms);
  put_int(&st, k->at_ms);
  return take_all(&st, list, err);
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

static duro_str served_key(duro_arena *arena, duro_str queue) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "served:");
  duro_buf_add_str(&b, queue);
  duro_str key = b.oom ? DURO_NONE : duro_arena_dup(arena, duro_buf_str(&b));
  duro_buf_free(&b);
  return key;
}

static duro_code note_served(duro_store *s, duro__sqlite_conn *c, duro_str queue, int64_t now_ms,
                             duro_error **err) {
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)now_ms);
  duro_str key = served_key(&s->scratch, queue);
  if (!key.p) return duro_fail_oom(err);
  statement st = use(c, Q_write_meta);
  put_text(&st, key);
  put_text(&st, duro_str_from(text));
  return duro__sqlite_run(&st, err);
}

static duro_code claim_all(duro_store *s, duro__sqlite_conn *c, const duro_claim *k, duro_str names,
                           job_list *list, duro_error **err) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < k->queue_count && code == DURO_OK; i++) {
    size_t first = list->count;
    if (first < k->limit) code = claim_from(c, k, k->queues[i], names, list, err);
    if (code == DURO_OK && list->items) sort_by_id(list->items + first, list->count - first);
    if (code == DURO_OK && (k->announce || list->count > first)) {
      code = note_served(s, c, k->queues[i], k->now_ms, err);
    }
  }
  return code;
}

// Looks first: a claim that finds nothing must not take the write lock from others.
static duro_code find_any(duro_store *s, const duro_claim *k, duro_str names, bool *any,
                          duro_error **err) {
  duro__sqlite_conn *c;
  *any = false;
  duro_code code = duro__sqlite_read_begin(s, "claim_jobs", false, &c, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < k->queue_count && code == DURO_OK && !*any; i++) {
    statement st = use(c, Q_find_claimable);
    put_claimable(&st, k, k->queues[i], names);
    code = duro__sqlite_step(&st, any, err);
    if (*any) finish(&st);
  }
  duro__sqlite_read_end(s, c);
  return code;
}

static duro_code claim(duro_store *s, const duro_claim *k, duro_str names, job_list *list,
                       duro_error **err) {
  bool any = k->announce;
  duro_code code = any ? DURO_OK : find_any(s, k, names, &any, err);
  if (code != DURO_OK || !any) return code;
  duro__sqlite_conn *c;
  code = duro__sqlite_write_begin(s, "claim_jobs", &c, err);
  if (code != DURO_OK) return code;
  code = claim_all(s, c, k, names, list, err);
  return duro__sqlite_write_end(s, c, code, err);
}

duro_code duro__sqlite_claim_jobs(duro_store *s, const duro_claim *k, duro_arena *arena,
                                  duro_job_row **out, size_t *count, duro_error **err) {
  job_list list = {.arena = arena};
  duro_buf b = {0};
  *out = NULL;
  *count = 0;
  duro_str names = names_of(k, &b);
  duro_code code = b.oom ? duro_fail_oom(err) : claim(s, k, names, &list, err);
  duro_buf_free(&b);
  if (code != DURO_OK) return code;
  *out = list.items;
  *count = list.count;
  return DURO_OK;
}

// --- Holding and ending ---

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
    put_zero_null(&st, jobs[i].beat_at_ms);
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

// --- Reading ---

static duro_code read_jobs(duro__sqlite_conn *c, int64_t instance_key, const int64_t *ids,
                           size_t id_count, job_list *list, duro_error **err) {
  if (instance_key) {
    statement st = use(c, Q_read_jobs_of_instance);
    put_int(&st, instance_key);
    return take_all(&st, list, err);
  }
  duro_code code = DURO_OK;
  for (size_t i = 0; i < id_count && code == DURO_OK; i++) {
    statement st = use(c, Q_read_job);
    put_int(&st, ids[i]);
    code = take_all(&st, list, err);
  }
  if (code == DURO_OK && list->items) sort_by_id(list->items, list->count);
  return code;
}

duro_code duro__sqlite_jobs(duro_store *s, int64_t instance_key, const int64_t *ids,
                            size_t id_count, duro_arena *arena, duro_job_row **out, size_t *count,
                            duro_error **err) {
  job_list list = {.arena = arena};
  *out = NULL;
  *count = 0;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "jobs", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_jobs(c, instance_key, ids, id_count, &list, err);
  duro__sqlite_read_end(s, c);
  if (code != DURO_OK) return code;
  *out = list.items;
  *count = list.count;
  return DURO_OK;
}

static duro_code read_served(duro__sqlite_conn *c, duro_str key, int64_t *at_ms, duro_error **err) {
  statement st = use(c, Q_read_meta);
  put_text(&st, key);
  bool row;
  *at_ms = 0;
  duro_code code = duro__sqlite_step(&st, &row, err);
  if (code != DURO_OK || !row) return code;
  duro_str text = take_slice(&st);
  *at_ms = text.p ? strtoll(text.p, NULL, 10) : 0;
  finish(&st);
  return DURO_OK;
}

duro_code duro__sqlite_queue_state(duro_store *s, duro_str queue, int64_t now_ms,
                                   duro_queue_state *out, duro_error **err) {
  duro_arena arena = {0};
  int64_t found[3]; // waiting, held, oldest_at_ms
  *out = (duro_queue_state){0};
  duro__sqlite_conn *c;
  duro_str key = served_key(&arena, queue);
  duro_code code =
      key.p ? duro__sqlite_read_begin(s, "queue_state", true, &c, err) : duro_fail_oom(err);
  if (code == DURO_OK) {
    statement st = use(c, queue.p ? Q_read_queue_state : Q_read_all_queues);
    if (queue.p) put_text(&st, queue);
    put_int(&st, now_ms);
    code = duro__sqlite_take_ints(&st, found, 3, NULL, err);
    if (code == DURO_OK) {
      *out = (duro_queue_state){.waiting = found[0], .held = found[1], .oldest_at_ms = found[2]};
      code = read_served(c, key, &out->served_at_ms, err);
    }
    duro__sqlite_read_end(s, c);
  }
  duro_arena_free(&arena);
  return code;
}
