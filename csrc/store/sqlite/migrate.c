// Migrations: whose file this is, and bringing its schema up to date.
//
// Invariant: a file is ours when its application_id says so; its schema version is user_version.
// What is not ours, or is newer than the last migration known here, is refused untouched. All
// missing migrations run in one transaction that looks again first, so that of two processes that
// create or migrate a file at once one does it and the other finds it done.
// To change the schema: add migrations/NNNN_<name>.sql. Nothing here changes.
#include "store/sqlite/internal.h"

#include <stdio.h>

typedef struct header {
  int64_t application_id, version, tables;
  char first_table[64]; // of a foreign database, for the message
} header;

static duro_code fail(sqlite3 *db, const char *path, int rc, duro_error **err) {
  duro_code code = duro__sqlite_code(rc);
  if (code == DURO_OUT_OF_MEMORY) return duro_fail_oom(err);
  if ((rc & 0xff) == SQLITE_NOTADB) {
    return duro_fail(err, code, "'%s' is not a SQLite database", path);
  }
  return duro_fail(err, code, "open: %s (SQLite %d, in '%s')", sqlite3_errmsg(db), rc, path);
}

// The first column of the first row as a whole number, the second as text when `text` is given.
static duro_code ask(sqlite3 *db, const char *path, const char *sql, int64_t *number, char *text,
                     size_t text_size, duro_error **err) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    if (number) *number = sqlite3_column_int64(stmt, 0);
    const char *found = text ? (const char *)sqlite3_column_text(stmt, number ? 1 : 0) : NULL;
    if (text) snprintf(text, text_size, "%s", found ? found : "");
    rc = SQLITE_OK;
  } else if (rc == SQLITE_DONE) {
    rc = SQLITE_OK;
  }
  duro_code code = rc == SQLITE_OK ? DURO_OK : fail(db, path, rc, err);
  sqlite3_finalize(stmt);
  return code;
}

static duro_code run(sqlite3 *db, const char *path, const char *sql, duro_error **err) {
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? DURO_OK : fail(db, path, rc, err);
}

static duro_code read_parts(sqlite3 *db, const char *path, header *h, duro_error **err) {
  duro_code code = ask(db, path, "PRAGMA application_id", &h->application_id, NULL, 0, err);
  if (code == DURO_OK) code = ask(db, path, "PRAGMA user_version", &h->version, NULL, 0, err);
  if (code == DURO_OK) {
    code = ask(db, path, "SELECT count(*), min(name) FROM sqlite_schema", &h->tables,
               h->first_table, sizeof h->first_table, err);
  }
  return code;
}

// In one transaction: between two of the questions another process may create the file.
static duro_code read_header(sqlite3 *db, const char *path, header *h, duro_error **err) {
  *h = (header){0};
  if (!sqlite3_get_autocommit(db)) return read_parts(db, path, h, err);
  duro_code code = run(db, path, "BEGIN", err);
  if (code != DURO_OK) return code;
  code = read_parts(db, path, h, err);
  sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return code;
}

static bool is_new(const header *h) {
  return h->application_id == 0 && h->version == 0 && h->tables == 0;
}

static duro_code check_header(const char *path, const header *h, int64_t known, duro_error **err) {
  if (is_new(h)) return DURO_OK;
  if (h->application_id != APPLICATION_ID) {
    return duro_fail(err, DURO_CORRUPT,
                     "'%s' is a database of another program: its application_id is 0x%llx, not "
                     "0x%x, and it has %lld tables and indexes (the first: '%s')",
                     path, (unsigned long long)h->application_id, (unsigned)APPLICATION_ID,
                     (long long)h->tables, h->first_table);
  }
  if (h->version > known) {
    return duro_fail(err, DURO_CORRUPT,
                     "'%s' has schema version %lld, and this duro knows versions up to %lld: it "
                     "was written by a newer one",
                     path, (long long)h->version, (long long)known);
  }
  if (h->version <= 0) {
    return duro_fail(err, DURO_CORRUPT, "'%s' has the schema version %lld, which never was", path,
                     (long long)h->version);
  }
  return DURO_OK;
}

static duro_code check_client(const char *path, const header *h, int64_t known, duro_error **err) {
  if (is_new(h)) {
    return duro_fail(err, DURO_STORAGE,
                     "'%s' is empty: a client does not create the file, its owner does", path);
  }
  if (h->version < known) {
    return duro_fail(err, DURO_STORAGE,
                     "'%s' has schema version %lld, and this duro needs %lld: a client does not "
                     "migrate the file, its owner does when it opens it",
                     path, (long long)h->version, (long long)known);
  }
  return DURO_OK;
}

static duro_code turn_on_wal(sqlite3 *db, const char *path, duro_error **err) {
  char mode[16];
  duro_code code = ask(db, path, "PRAGMA journal_mode = WAL", NULL, mode, sizeof mode, err);
  if (code != DURO_OK || strcmp(mode, "wal") == 0 || strcmp(mode, "memory") == 0) return code;
  return duro_fail(err, DURO_STORAGE,
                   "'%s' cannot have a write-ahead log (journal mode '%s'): is it on a network "
                   "file system?",
                   path, mode);
}

// Within the transaction.
static duro_code apply(sqlite3 *db, const char *path, const duro__sqlite_migration *list, int count,
                       int64_t from, duro_error **err) {
  duro_code code = DURO_OK;
  for (int i = 0; i < count && code == DURO_OK; i++) {
    if (list[i].version <= from) continue;
    code = run(db, path, list[i].sql, err);
    if (code == DURO_OK) continue;
    return duro_fail_caused(err, code, "migration %04d_%s failed, nothing was changed",
                            list[i].version, list[i].name);
  }
  if (code != DURO_OK) return code;
  int version = list[count - 1].version;
  char sql[256];
  snprintf(sql, sizeof sql,
           "PRAGMA application_id = %d; PRAGMA user_version = %d;"
           "INSERT INTO meta (key, value) VALUES ('schema_version', '%d')"
           " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
           APPLICATION_ID, version, version);
  return run(db, path, sql, err);
}

duro_code duro__sqlite_migrate(sqlite3 *db, const char *path, bool client,
                               const duro__sqlite_migration *list, int count,
                               void (*log)(void *user, const char *level, const char *message),
                               void *log_user, duro_error **err) {
  if (count == 0) return duro_fail(err, DURO_UNSUPPORTED, "this build has no schema in it");
  int64_t known = list[count - 1].version;
  header h;
  duro_code code = read_header(db, path, &h, err);
  if (code == DURO_OK) code = check_header(path, &h, known, err);
  if (code != DURO_OK) return code;
  if (client) return check_client(path, &h, known, err);
  code = turn_on_wal(db, path, err);
  if (code != DURO_OK || h.version == known) return code;

  code = run(db, path, "BEGIN IMMEDIATE", err);
  if (code != DURO_OK) return code;
  code = read_header(db, path, &h, err);
  if (code == DURO_OK) code = check_header(path, &h, known, err);
  bool needed = code == DURO_OK && h.version < known;
  if (needed) code = apply(db, path, list, count, h.version, err);
  if (code == DURO_OK) code = run(db, path, "COMMIT", err);
  if (code != DURO_OK) {
    if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return code;
  }
  if (needed && h.version > 0 && log) {
    char message[128];
    snprintf(message, sizeof message, "migrated the schema from version %lld to %lld",
             (long long)h.version, (long long)known);
    log(log_user, "info", message);
  }
  return DURO_OK;
}
