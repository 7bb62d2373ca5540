// Statements: finding them in queries.sql, stepping them, and saying what went wrong.
//
// Invariant: whatever SQLite answers leaves here as one of our codes with a sentence that names the
// verb, the file and SQLite's own number. Full disks and failed input or output are `storage`; what
// cannot be read as our database is `corrupt`; somebody else's lock is `busy`.
#include "store/sqlite/internal.h"

#include <stdlib.h>

duro_code duro__sqlite_code(int rc) {
  if (rc == SQLITE_IOERR_NOMEM) return DURO_OUT_OF_MEMORY;
  switch (rc & 0xff) {
  case SQLITE_OK:
    return DURO_OK;
  case SQLITE_NOMEM:
    return DURO_OUT_OF_MEMORY;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return DURO_BUSY;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_CONSTRAINT: // rows that contradict each other
  case SQLITE_MISMATCH:
    return DURO_CORRUPT;
  default:
    return DURO_STORAGE;
  }
}

duro_code duro__sqlite_fail(const duro__sqlite_conn *c, int rc, duro_error **err) {
  duro_code code = duro__sqlite_code(rc);
  if (code == DURO_OUT_OF_MEMORY) return duro_fail_oom(err);
  bool current = c->db && sqlite3_extended_errcode(c->db) == rc;
  const char *sentence = current ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);
  if (code == DURO_BUSY) {
    return duro_fail(err, code, "%s: another connection holds the lock of '%s': %s (SQLite %d)",
                     c->verb, c->path, sentence, rc);
  }
  return duro_fail(err, code, "%s: %s (SQLite %d, in '%s')", c->verb, sentence, rc, c->path);
}

duro_code duro__sqlite_step(statement *st, bool *row, duro_error **err) {
  *row = false;
  int rc = st->rc;
  if (rc == SQLITE_OK) rc = sqlite3_step(st->stmt);
  if (rc == SQLITE_ROW) {
    *row = true;
    st->at = 0;
    return DURO_OK;
  }
  // The sentence is asked for before the reset, which would overwrite it.
  duro_code code = rc == SQLITE_DONE ? DURO_OK : duro__sqlite_fail(st->conn, rc, err);
  sqlite3_reset(st->stmt);
  return code;
}

duro_code duro__sqlite_run(statement *st, duro_error **err) {
  bool row;
  duro_code code;
  do {
    code = duro__sqlite_step(st, &row, err);
  } while (code == DURO_OK && row);
  return code;
}

duro_code duro__sqlite_take_ints(statement *st, int64_t *values, int count, bool *found,
                                 duro_error **err) {
  bool row;
  duro_code code = duro__sqlite_step(st, &row, err);
  if (found) *found = row;
  if (code != DURO_OK) return code;
  if (!row) {
    if (found) return DURO_OK;
    return duro_fail(err, DURO_CORRUPT, "%s: a row that every file has is missing in '%s'",
                     st->conn->verb, st->conn->path);
  }
  for (int i = 0; i < count; i++) values[i] = take_int(st);
  finish(st);
  return DURO_OK;
}

duro_code duro__sqlite_take_status(statement *st, duro_status *out, duro_error **err) {
  duro_str word = take_slice(st);
  if (duro_status_from(word, out)) return DURO_OK;
  return duro_fail(err, DURO_CORRUPT, "%s: '%.*s' is no status (in '%s')", st->conn->verb,
                   DURO_FMT(word), st->conn->path);
}

// --- queries.sql ---

typedef enum query_kind { READS, WRITES, FRAGMENT } query_kind;

static const struct {
  const char *name;
  query_kind kind;
} known[Q_COUNT] = {
#define X(name, kind) {#name, kind},
    DURO__SQLITE_QUERIES(X)
#undef X
};

static int find_query(duro_str name) {
  for (int q = 0; q < Q_COUNT; q++) {
    if (duro_str_equal(name, duro_str_from(known[q].name))) return q;
  }
  return -1;
}

static duro_str trimmed(const char *begin, const char *end) {
  while (begin < end && (*begin == ' ' || *begin == '\n')) begin++;
  while (end > begin && (end[-1] == ' ' || end[-1] == '\n')) end--;
  return (duro_str){begin, (size_t)(end - begin)};
}

#define NAME_MARK "-- name: "

// Behind the next mark from `at` on; NULL when there is none.
static const char *next_name(const char *at) {
  const char *mark = strstr(at, NAME_MARK);
  return mark ? mark + sizeof NAME_MARK - 1 : NULL;
}

// Drops the comment lines, which may stand between the queries.
static bool copy_without_comments(duro_str text, duro_buf *out) {
  const char *at = text.p, *end = text.p + text.n;
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *line_end = newline ? newline + 1 : end;
    if (end - at < 2 || memcmp(at, "--", 2) != 0) duro_buf_add(out, at, (size_t)(line_end - at));
    at = line_end;
  }
  return !out->oom;
}

static duro_code split(const char *text, duro_buf texts[Q_COUNT], duro_error **err) {
  for (const char *at = next_name(text); at != NULL;) {
    const char *line_end = strchr(at, '\n');
    if (!line_end) line_end = at + strlen(at);
    duro_str name = trimmed(at, line_end);
    const char *next = next_name(line_end);
    const char *end = next ? next - (sizeof NAME_MARK - 1) : line_end + strlen(line_end);
    int q = find_query(name);
    if (q < 0) {
      return duro_fail(err, DURO_UNSUPPORTED,
                       "queries.sql has '%.*s', which queries.h does not list", DURO_FMT(name));
    }
    if (texts[q].n) {
      return duro_fail(err, DURO_UNSUPPORTED, "queries.sql has '%.*s' twice", DURO_FMT(name));
    }
    if (!copy_without_comments((duro_str){line_end, (size_t)(end - line_end)}, &texts[q])) {
      return duro_fail_oom(err);
    }
    at = next;
  }
  for (int q = 0; q < Q_COUNT; q++) {
    if (trimmed(texts[q].p, texts[q].p + texts[q].n).n) continue;
    return duro_fail(err, DURO_UNSUPPORTED, "queries.sql has no statement '%s'", known[q].name);
  }
  return DURO_OK;
}

// `text` with each {name} replaced by that fragment, which holds none itself.
static duro_code expand(const duro_buf texts[Q_COUNT], duro_buf text, char **out,
                        duro_error **err) {
  duro_buf b = {0};
  duro_code code = DURO_OK;
  duro_str rest = trimmed(text.p, text.p + text.n);
  for (;;) {
    const char *open = memchr(rest.p, '{', rest.n);
    if (!open) break;
    const char *close = memchr(open, '}', rest.n - (size_t)(open - rest.p));
    duro_str name = {open + 1, close ? (size_t)(close - open - 1) : 0};
    int q = find_query(name);
    if (q < 0 || known[q].kind != FRAGMENT) {
      code = duro_fail(err, DURO_UNSUPPORTED, "queries.sql: '%.*s' is no fragment", DURO_FMT(name));
      goto done;
    }
    duro_buf_add(&b, rest.p, (size_t)(open - rest.p));
    duro_buf_add_str(&b, trimmed(texts[q].p, texts[q].p + texts[q].n));
    rest.n -= (size_t)(close + 1 - rest.p);
    rest.p = close + 1;
  }
  duro_buf_add_str(&b, rest);
  *out = b.oom ? NULL : duro_str_dup(duro_buf_str(&b));
  if (!*out) code = duro_fail_oom(err);
done:
  duro_buf_free(&b);
  return code;
}

duro_code duro__sqlite_queries_parse(const char *text, char *queries[Q_COUNT], duro_error **err) {
  duro_buf texts[Q_COUNT] = {{0}};
  duro_code code = split(text, texts, err);
  for (int q = 0; q < Q_COUNT && code == DURO_OK; q++) {
    code = expand(texts, texts[q], &queries[q], err);
  }
  for (int q = 0; q < Q_COUNT; q++) duro_buf_free(&texts[q]);
  return code;
}

// --- Preparing ---

duro_code duro__sqlite_prepare(duro__sqlite_conn *c, const char *sql, size_t sql_bytes,
                               sqlite3_stmt **out, duro_error **err) {
  int rc = sqlite3_prepare_v3(c->db, sql, (int)sql_bytes, SQLITE_PREPARE_PERSISTENT, out, NULL);
  return rc == SQLITE_OK ? DURO_OK : duro__sqlite_fail(c, rc, err);
}

duro_code duro__sqlite_prepare_all(duro__sqlite_conn *c, char *const queries[Q_COUNT], bool writes,
                                   duro_error **err) {
  for (int q = 0; q < Q_COUNT; q++) {
    if (known[q].kind == FRAGMENT || (known[q].kind == WRITES && !writes)) continue;
    duro_code code = duro__sqlite_prepare(c, queries[q], strlen(queries[q]), &c->stmts[q], err);
    if (code == DURO_OK) continue;
    return duro_fail_caused(err, code, "queries.sql: '%s' cannot be prepared", known[q].name);
  }
  return DURO_OK;
}

// The text of an INSERT ends with the values of one row.
static duro_code prepare_many(duro_store *s, duro__sqlite_conn *c, duro__sqlite_query query,
                              duro_error **err) {
  duro_buf sql = {0};
  const char *one = s->queries[query], *values = strstr(one, "VALUES ") + 7;
  duro_buf_add_str(&sql, duro_str_from(one));
  for (int i = 1; i < ROWS_AT_ONCE; i++) {
    duro_buf_add_lit(&sql, ", ");
    duro_buf_add_str(&sql, duro_str_from(values));
  }
  duro_code code =
      sql.oom ? duro_fail_oom(err) : duro__sqlite_prepare(c, sql.p, sql.n, &c->many[query], err);
  duro_buf_free(&sql);
  return code;
}

duro_code duro__sqlite_use_rows(duro_store *s, duro__sqlite_conn *c, duro__sqlite_query query,
                                size_t left, size_t *rows, statement *out, duro_error **err) {
  *rows = left >= ROWS_AT_ONCE ? ROWS_AT_ONCE : 1;
  *out = use(c, query);
  if (*rows == 1) return DURO_OK;
  duro_code code = c->many[query] ? DURO_OK : prepare_many(s, c, query, err);
  out->stmt = c->many[query];
  return code;
}

// The place for a shape that is not there: a free one, else the one unused for longest.
static duro__sqlite_cached *place_in_cache(duro__sqlite_conn *c) {
  duro__sqlite_cached *oldest = &c->cache[0];
  for (size_t i = 0; i < LIST_CACHE_SIZE; i++) {
    if (!c->cache[i].stmt) return &c->cache[i];
    if (c->cache[i].used_at < oldest->used_at) oldest = &c->cache[i];
  }
  return oldest;
}

duro_code duro__sqlite_prepare_cached(duro__sqlite_conn *c, duro_str sql, sqlite3_stmt **out,
                                      duro_error **err) {
  for (size_t i = 0; i < LIST_CACHE_SIZE; i++) {
    duro__sqlite_cached *e = &c->cache[i];
    if (!e->stmt || !duro_str_equal(sql, (duro_str){e->sql, e->sql_bytes})) continue;
    e->used_at = ++c->uses;
    *out = e->stmt;
    return DURO_OK;
  }
  sqlite3_stmt *stmt;
  duro_code code = duro__sqlite_prepare(c, sql.p, sql.n, &stmt, err);
  if (code != DURO_OK) return code;
  char *copy = duro_str_dup(sql);
  if (!copy) {
    sqlite3_finalize(stmt);
    return duro_fail_oom(err);
  }
  duro__sqlite_cached *e = place_in_cache(c);
  sqlite3_finalize(e->stmt);
  free(e->sql);
  *e = (duro__sqlite_cached){copy, sql.n, stmt, ++c->uses};
  *out = stmt;
  return DURO_OK;
}
