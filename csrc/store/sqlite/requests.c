// Requests: what other processes ask of the owner, and its answers.
//
// A post is one transaction: the instances it starts, under keys of the clients' own series, and
// its commands. Ids of requests are SQLite's AUTOINCREMENT: never used twice, and visible in order,
// since they are given out within the write lock. The owner answers in its batches; an answer
// nobody fetches is removed by folding after a day (figures.c).
#include "store/sqlite/internal.h"

duro_code duro__sqlite_insert_request(duro__sqlite_conn *c, const duro_request_row *row,
                                      int64_t instance_key, int64_t *id, duro_error **err) {
  statement st = use(c, Q_insert_request);
  put_text(&st, row->kind.p ? row->kind : DURO_STR(""));
  put_text(&st, row->instance_id);
  put_zero_null(&st, instance_key);
  put_int(&st, row->posted_at_ms);
  put_text(&st, row->body);
  duro_code code = duro__sqlite_run(&st, err);
  if (code == DURO_OK && id) *id = sqlite3_last_insert_rowid(c->db);
  return code;
}

// --- Posting ---

typedef struct started {
  duro_str id;
  int64_t key;
} started;

// Nobody folds where there is no owner: so that no more instances stay unlisted than there were, a post
// lists twice as many as it starts.
static duro_code insert_starts(duro_store *s, duro__sqlite_conn *c, const duro_post *post,
                               started *starts, int64_t *last_key, duro_error **err) {
  if (!post->insert_count) return DURO_OK;
  int64_t listed_to;
  duro_code code = duro__sqlite_listed_to(c, &listed_to, err);
  for (size_t i = 0; i < post->insert_count && code == DURO_OK; i++) {
    *last_key = duro_key_next(*last_key, post->now_ms, true);
    starts[i] = (started){post->inserts[i].id, *last_key};
    code = duro__sqlite_insert_instance(s, c, &post->inserts[i], *last_key, true, listed_to, err);
  }
  if (code != DURO_OK) return code;
  return duro__sqlite_list_new(c, listed_to, 2 * (int64_t)post->insert_count, err);
}

// The key of the instance a request names, when this post starts it. Requests mostly come in the
// order of their starts, so the search begins where the last one ended.
static int64_t started_key(const duro_post *post, const started *starts, duro_str id,
                           size_t *hint) {
  for (size_t n = 0; n < post->insert_count; n++) {
    size_t i = (*hint + n) % post->insert_count;
    if (!duro_str_equal(starts[i].id, id)) continue;
    *hint = i;
    return starts[i].key;
  }
  return 0;
}

static duro_code write_post(duro_store *s, duro__sqlite_conn *c, duro_post *post,
                            duro_error **err) {
  int64_t last_key;
  statement st = use(c, Q_read_post_marks);
  duro_code code = duro__sqlite_take_ints(&st, &last_key, 1, NULL, err);
  if (code != DURO_OK) return code;
  started *starts = duro_arena_alloc(&s->scratch, (post->insert_count + 1) * sizeof *starts);
  if (!starts) return duro_fail_oom(err);
  code = insert_starts(s, c, post, starts, &last_key, err);
  size_t hint = 0;
  for (size_t i = 0; i < post->request_count && code == DURO_OK; i++) {
    const duro_request_row *row = &post->requests[i];
    int64_t key = row->instance_key;
    if (key == 0) key = started_key(post, starts, row->instance_id, &hint);
    code = duro__sqlite_insert_request(c, row, key, &post->request_ids[i], err);
  }
  if (code != DURO_OK) return code;
  st = use(c, Q_update_post_marks);
  put_int(&st, last_key);
  put_int(&st, post->now_ms);
  put_int(&st, (int64_t)post->insert_count);
  return duro__sqlite_run(&st, err);
}

void duro__sqlite_count_own_post(duro_store *s) {
  pthread_mutex_lock(&s->pool_lock);
  s->own_posts++;
  pthread_mutex_unlock(&s->pool_lock);
}

duro_code duro__sqlite_post(duro_store *s, duro_post *post, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "post", &c, err);
  if (code != DURO_OK) return code;
  code = write_post(s, c, post, err);
  code = duro__sqlite_write_end(s, c, code, err);
  if (code == DURO_OK) duro__sqlite_count_own_post(s);
  return code;
}

// --- Reading and forgetting ---

static duro_code take_request(statement *st, duro_arena *arena, duro_request_row *row,
                              duro_error **err) {
  row->id = take_int(st);
  row->kind = take_text(st, arena);
  row->instance_id = take_text(st, arena);
  row->instance_key = take_int(st);
  row->posted_at_ms = take_int(st);
  row->body = take_text(st, arena);
  row->answer = take_text(st, arena);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

static duro_code read_requests(duro__sqlite_conn *c, int64_t after, size_t limit, duro_arena *arena,
                               duro_request_row **out, size_t *count, duro_error **err) {
  statement st = use(c, Q_read_requests);
  put_int(&st, after);
  put_int(&st, limit < INT32_MAX ? (int64_t)limit : INT32_MAX);
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_request_row *items = duro__sqlite_grow(arena, *out, *count, &capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) *out = items;
    if (items) code = take_request(&st, arena, &items[(*count)++], err);
    if (code != DURO_OK) {
      finish(&st);
      return code;
    }
  }
  return code;
}

duro_code duro__sqlite_requests(duro_store *s, int64_t after, size_t limit, duro_arena *arena,
                                duro_request_row **out, size_t *count, duro_error **err) {
  *out = NULL;
  *count = 0;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "requests", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_requests(c, after, limit, arena, out, count, err);
  duro__sqlite_read_end(s, c);
  return code;
}

static duro_code read_answer(duro__sqlite_conn *c, int64_t request_id, duro_arena *arena,
                             duro_request_row *out, duro_error **err) {
  statement st = use(c, Q_read_request);
  put_int(&st, request_id);
  bool row;
  duro_code code = duro__sqlite_step(&st, &row, err);
  if (code != DURO_OK) return code;
  if (!row) {
    return duro_fail(err, DURO_NOT_FOUND, "there is no request %lld", (long long)request_id);
  }
  code = take_request(&st, arena, out, err);
  finish(&st);
  return code;
}

duro_code duro__sqlite_answer(duro_store *s, int64_t request_id, duro_arena *arena,
                              duro_request_row *out, duro_error **err) {
  *out = (duro_request_row){0};
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "answer", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_answer(c, request_id, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}

duro_code duro__sqlite_forget(duro_store *s, const int64_t *request_ids, size_t count,
                              duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "forget", &c, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < count && code == DURO_OK; i++) {
    statement st = use(c, Q_forget_request);
    put_int(&st, request_ids[i]);
    code = duro__sqlite_run(&st, err);
  }
  return duro__sqlite_write_end(s, c, code, err);
}
