// The lease: who owns the file, and the marks an owner goes on from.
//
// Invariant: the epoch only grows, by one with every owner, and every verb that changes what
// instances are names the epoch it believes in. So whoever lost the lease can write nothing any
// more, whatever it still believes. A free lease keeps its epoch. There is one row, for all
// partitions.
#include "store/sqlite/internal.h"

duro_code duro__sqlite_lost(duro_store *s, const duro__sqlite_conn *c, int64_t found, int64_t epoch,
                            duro_error **err) {
  duro__sqlite_tail_forget(&s->tail); // the new owner's rows have no bits here
  return duro_fail(err, DURO_LOCKED, "%s: the lease of '%s' has epoch %lld now, not %lld", c->verb,
                   c->path, (long long)found, (long long)epoch);
}

static duro_code read_lease(duro__sqlite_conn *c, duro_arena *arena, duro_lease *out,
                            duro_error **err) {
  *out = (duro_lease){0};
  statement st = use(c, Q_read_lease);
  bool row;
  duro_code code = duro__sqlite_step(&st, &row, err);
  if (code != DURO_OK) return code;
  if (!row) return duro_fail(err, DURO_CORRUPT, "the lease's row is missing in '%s'", c->path);
  out->epoch = take_int(&st);
  out->owner = take_text(&st, arena);
  out->host = take_text(&st, arena);
  out->pid = take_int(&st);
  out->acquired_at_ms = take_int(&st);
  out->expires_at_ms = take_int(&st);
  finish(&st);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

duro_code duro__sqlite_check_epoch(duro_store *s, duro__sqlite_conn *c, int64_t epoch,
                                   duro_error **err) {
  int64_t found;
  statement st = use(c, Q_read_lease);
  duro_code code = duro__sqlite_take_ints(&st, &found, 1, NULL, err);
  if (code == DURO_OK && found != epoch) code = duro__sqlite_lost(s, c, found, epoch, err);
  return code;
}

static duro_code take(duro__sqlite_conn *c, const duro_lease *wanted, duro_error **err) {
  statement st = use(c, Q_take_lease);
  put_text(&st, wanted->owner.p ? wanted->owner : DURO_STR(""));
  put_text(&st, wanted->host);
  put_int(&st, wanted->pid);
  put_int(&st, wanted->acquired_at_ms);
  put_int(&st, wanted->expires_at_ms);
  return duro__sqlite_run(&st, err);
}

static duro_code acquire(duro__sqlite_conn *c, const duro_lease *wanted, bool steal, int64_t now_ms,
                         duro_arena *arena, duro_lease *held, duro_error **err) {
  duro_code code = read_lease(c, arena, held, err);
  if (code != DURO_OK) return code;
  bool free_or_expired = !held->owner.p || held->expires_at_ms <= now_ms;
  if (!free_or_expired && !steal) {
    return duro_fail(err, DURO_BUSY, "'%s' is owned by %.*s", c->path, DURO_FMT(held->owner));
  }
  code = take(c, wanted, err);
  return code == DURO_OK ? read_lease(c, arena, held, err) : code;
}

duro_code duro__sqlite_acquire(duro_store *s, const duro_lease *wanted, bool steal, int64_t now_ms,
                               duro_arena *arena, duro_lease *held, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, "acquire", &c, err);
  if (code != DURO_OK) return code;
  duro__sqlite_tail_forget(&s->tail);
  duro__sqlite_counts_forget(s);
  code = acquire(c, wanted, steal, now_ms, arena, held, err);
  return duro__sqlite_write_end(s, c, code, err);
}

// Runs a statement that changes the lease only if it is of this epoch.
static duro_code change_lease(duro_store *s, const char *verb, duro__sqlite_query query,
                              int64_t epoch, const int64_t *expires_at_ms, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_write_begin(s, verb, &c, err);
  if (code != DURO_OK) return code;
  code = duro__sqlite_check_epoch(s, c, epoch, err);
  if (code == DURO_OK) {
    statement st = use(c, query);
    put_int(&st, epoch);
    if (expires_at_ms) put_int(&st, *expires_at_ms);
    code = duro__sqlite_run(&st, err);
  }
  if (code == DURO_OK && sqlite3_changes(c->db) == 0) {
    code = duro_fail(err, DURO_LOCKED, "%s: the lease of '%s' has been released", verb, s->path);
  }
  return duro__sqlite_write_end(s, c, code, err);
}

duro_code duro__sqlite_renew(duro_store *s, int64_t epoch, int64_t now_ms, int64_t expires_at_ms,
                             duro_error **err) {
  (void)now_ms;
  return change_lease(s, "renew", Q_renew_lease, epoch, &expires_at_ms, err);
}

duro_code duro__sqlite_release(duro_store *s, int64_t epoch, duro_error **err) {
  return change_lease(s, "release", Q_release_lease, epoch, NULL, err);
}

duro_code duro__sqlite_lease(duro_store *s, duro_arena *arena, duro_lease *out, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "lease", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_lease(c, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}

static duro_code read_marks(duro__sqlite_conn *c, duro_arena *arena, duro_store_marks *out,
                            duro_error **err) {
  *out = (duro_store_marks){0};
  statement st = use(c, Q_read_marks);
  bool row;
  duro_code code = duro__sqlite_step(&st, &row, err);
  if (code != DURO_OK) return code;
  if (!row) return duro_fail(err, DURO_CORRUPT, "the marks' row is missing in '%s'", c->path);
  out->last_batch = take_int(&st);
  out->last_seq = take_int(&st);
  out->folded_seq = take_int(&st);
  out->trimmed_seq = take_int(&st);
  out->last_key = take_int(&st);
  out->last_client_key = take_int(&st);
  out->last_message_id = take_int(&st);
  out->last_job_id = take_int(&st);
  out->latest_ms = take_int(&st);
  out->epoch = take_int(&st);
  out->file_id = take_text(&st, arena);
  out->last_audit_id = take_int(&st);
  finish(&st);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

duro_code duro__sqlite_marks(duro_store *s, duro_arena *arena, duro_store_marks *out,
                             duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "marks", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_marks(c, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}
