// Connections: the one that writes, the pool of those that read, and the one that checkpoints.
//
// Locks: `write_lock` is held from duro__sqlite_write_begin to duro__sqlite_write_end, and for a
// whole read of a ":memory:" store, which has but one connection. `checkpoint_lock` comes before
// it, `pool_lock` after it, held for moments.
// Waiting: the owner's writing connection waits in SQLite's busy handler, since it is on the store
// thread. A client's verbs run on its caller's thread, and reads on any: those never wait.
#include "store/sqlite/internal.h"

#include <stdio.h>
#include <stdlib.h>

// --- Opening and closing ---

static duro_code exec(duro__sqlite_conn *c, const char *sql, duro_error **err) {
  int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? DURO_OK : duro__sqlite_fail(c, rc, err);
}

void duro__sqlite_conn_close(duro__sqlite_conn *c) {
  if (!c) return;
  for (int q = 0; q < Q_COUNT; q++) {
    sqlite3_finalize(c->stmts[q]);
    sqlite3_finalize(c->many[q]);
  }
  for (int i = 0; i < 256; i++) {
    sqlite3_finalize(c->updates[0][i]);
    sqlite3_finalize(c->updates[1][i]);
  }
  for (int i = 0; i < LIST_CACHE_SIZE; i++) {
    sqlite3_finalize(c->cache[i].stmt);
    free(c->cache[i].sql);
  }
  sqlite3_close_v2(c->db);
  free(c);
}

static duro_code open_file(duro_store *s, int flags, duro__sqlite_conn **out, duro_error **err) {
  duro__sqlite_conn *c = calloc(1, sizeof *c);
  if (!c) return duro_fail_oom(err);
  c->path = s->path;
  c->verb = "open";
  int rc = sqlite3_open_v2(s->path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc != SQLITE_OK) {
    if (c->db) rc = sqlite3_extended_errcode(c->db);
    duro_code code = duro__sqlite_fail(c, rc, err);
    duro__sqlite_conn_close(c);
    return code;
  }
  sqlite3_extended_result_codes(c->db, 1);
  *out = c;
  return DURO_OK;
}

static int count_frames(void *user, sqlite3 *db, const char *schema, int frames) {
  duro_store *s = user;
  (void)db, (void)schema;
  s->log_frames = frames;
  return SQLITE_OK;
}

static duro_code set_up_writer(duro_store *s, duro__sqlite_conn *c, duro_error **err) {
  duro_code code = duro__sqlite_migrate(c->db, s->path, s->client, duro__sqlite_migrations,
                                        duro__sqlite_migration_count, s->log, s->log_user, err);
  if (code != DURO_OK) return code;
  // Debian's SQLite overwrites deleted rows with zeros unless told not to, which folding would pay
  // for twice. Checkpoints are made by another connection, so that no commit waits for one.
  char sql[256];
  snprintf(sql, sizeof sql,
           "PRAGMA synchronous = %s; PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0;"
           "PRAGMA journal_size_limit = %lld; PRAGMA cache_size = -%d",
           s->full_durability ? "FULL" : "NORMAL", (long long)MAX_LOG_BYTES, WRITE_CACHE_KIB);
  code = exec(c, sql, err);
  if (code == DURO_OK) code = duro__sqlite_prepare_all(c, s->queries, true, err);
  s->reuse_frames = REUSE_LOG_FRAMES;
  sqlite3_wal_hook(c->db, count_frames, s);
  return code;
}

// SQLite's own handler waits longer each time, up to 100 ms: a checkpoint that holds the lock for
// 30 ms would cost 53. This one asks again every millisecond.
static int wait_for_lock(void *user, int times) {
  (void)user;
  return times < BUSY_WAIT_MS && sqlite3_sleep(1) > 0;
}

static duro_code open_writer_once(duro_store *s, duro_error **err) {
  int flags = SQLITE_OPEN_READWRITE | (s->client ? 0 : SQLITE_OPEN_CREATE);
  duro__sqlite_conn *c;
  duro_code code = open_file(s, flags, &c, err);
  if (code != DURO_OK) return code;
  sqlite3_busy_handler(c->db, wait_for_lock, NULL);
  code = set_up_writer(s, c, err);
  if (code != DURO_OK) {
    duro__sqlite_conn_close(c);
    return code;
  }
  if (s->client) sqlite3_busy_handler(c->db, NULL, NULL);
  s->write = c;
  return DURO_OK;
}

// Where two connections both want to turn a new file into WAL mode, or to recover its log, SQLite
// answers `busy` without asking the busy handler: hence the attempts.
duro_code duro__sqlite_write_open(duro_store *s, duro_error **err) {
  duro_code code = open_writer_once(s, err);
  for (int attempt = 1; code == DURO_BUSY && attempt < OPEN_RETRIES; attempt++) {
    sqlite3_sleep(OPEN_RETRY_MS);
    code = open_writer_once(s, err);
  }
  return code;
}

// --- Writing ---

static void reset_all(duro__sqlite_conn *c) {
  for (sqlite3_stmt *stmt = NULL; (stmt = sqlite3_next_stmt(c->db, stmt)) != NULL;) {
    sqlite3_reset(stmt);
  }
}

// Ends whatever is open, so that the connection can be used again once the fault is gone. SQLite
// has often rolled back by itself, and then there is nothing to do.
static void roll_back(duro__sqlite_conn *c) {
  reset_all(c);
  if (sqlite3_get_autocommit(c->db)) return;
  statement st = use(c, Q_rollback_transaction);
  duro__sqlite_run(&st, NULL);
}

// Under `write_lock`, when a transaction has just begun or ended. SQLite's number changes with each commit,
// and otherwise only when a transaction begins and finds that somebody else has written.
static unsigned file_version(duro__sqlite_conn *c) {
  unsigned version = 0;
  sqlite3_file_control(c->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

static void see_others(duro_store *s, duro__sqlite_conn *c) {
  unsigned version = file_version(c);
  if (version == s->seen_version) return;
  s->seen_version = version;
  s->chain_left = false;
  pthread_mutex_lock(&s->pool_lock);
  s->data_version++;
  pthread_mutex_unlock(&s->pool_lock);
}

duro_code duro__sqlite_write_begin(duro_store *s, const char *verb, duro__sqlite_conn **out,
                                   duro_error **err) {
  pthread_mutex_lock(&s->write_lock);
  duro__sqlite_conn *c = s->write;
  c->verb = verb;
  duro_arena_reset(&s->scratch);
  s->scratch.oom = false;
  if (!sqlite3_get_autocommit(c->db)) roll_back(c); // a rollback that failed with the disk
  statement st = use(c, Q_begin_write);
  duro_code code = duro__sqlite_run(&st, err);
  if (code != DURO_OK) {
    roll_back(c);
    pthread_mutex_unlock(&s->write_lock);
    return code;
  }
  see_others(s, c);
  s->chain.known = s->chain_left;
  s->chain_left = false;
  *out = c;
  return DURO_OK;
}

// A log that grows makes each sync of it write the file's new size too, which costs as much again. So
// small commits, which are many and each waited for, have the log begin anew before it is long: what it
// holds is copied here, and the next writer finds nothing in it that is still needed. Most of their pages
// are the same few, so there is little to copy. Where no commit waits for a sync nothing is gained, and the
// copying would be what one in a hundred waits for. `before`: its frames before this commit.
static void reuse_log(duro_store *s, duro__sqlite_conn *c, int before) {
  if (!s->full_durability) return;
  int frames = s->log_frames - before;
  if (frames < 0) s->reuse_frames = REUSE_LOG_FRAMES; // it has begun anew
  if (s->log_frames < s->reuse_frames || frames < 0 || frames > SMALL_COMMIT_FRAMES) return;
  if (pthread_mutex_trylock(&s->checkpoint_lock)) return;
  sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  pthread_mutex_unlock(&s->checkpoint_lock);
  s->reuse_frames = s->log_frames + REUSE_LOG_FRAMES; // unless a reader still needs it
}

duro_code duro__sqlite_write_end(duro_store *s, duro__sqlite_conn *c, duro_code code,
                                 duro_error **err) {
  int frames = s->log_frames;
  if (code == DURO_OK) {
    statement st = use(c, Q_commit_transaction);
    code = duro__sqlite_run(&st, err);
  }
  if (code != DURO_OK) {
    roll_back(c);
    s->chain_left = false;
    duro__sqlite_counts_forget(s);
  }
  s->seen_version = file_version(c);
  if (code == DURO_OK && !s->client) reuse_log(s, c, frames);
  pthread_mutex_unlock(&s->write_lock);
  return code;
}

// Where a writer is at work, its next transaction sees what others have written.
duro_code duro__sqlite_data_version(duro_store *s, int64_t *out, duro_error **err) {
  duro_code code = DURO_OK;
  if (pthread_mutex_trylock(&s->write_lock) == 0) {
    s->write->verb = "data_version";
    statement st = use(s->write, Q_read_data_version); // reading is what makes it look
    code = duro__sqlite_run(&st, err);
    if (code == DURO_OK) see_others(s, s->write);
    pthread_mutex_unlock(&s->write_lock);
  }
  pthread_mutex_lock(&s->pool_lock);
  *out = s->data_version + s->own_posts;
  pthread_mutex_unlock(&s->pool_lock);
  return code;
}

// --- Reading ---

static duro_code open_reader(duro_store *s, duro__sqlite_conn **out, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = open_file(s, SQLITE_OPEN_READONLY, &c, err);
  if (code != DURO_OK) return code;
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA cache_size = -%d", READ_CACHE_KIB);
  code = exec(c, sql, err);
  if (code == DURO_OK) code = duro__sqlite_prepare_all(c, s->queries, false, err);
  if (code != DURO_OK) {
    duro__sqlite_conn_close(c);
    return code;
  }
  *out = c;
  return DURO_OK;
}

static duro__sqlite_conn *take_idle(duro_store *s) {
  pthread_mutex_lock(&s->pool_lock);
  duro__sqlite_conn *c = s->idle;
  if (c) {
    s->idle = c->next;
    s->idle_count--;
  }
  pthread_mutex_unlock(&s->pool_lock);
  return c;
}

static void give_idle(duro_store *s, duro__sqlite_conn *c) {
  pthread_mutex_lock(&s->pool_lock);
  bool room = s->idle_count < MAX_IDLE_READERS;
  if (room) {
    c->next = s->idle;
    s->idle = c;
    s->idle_count++;
  }
  pthread_mutex_unlock(&s->pool_lock);
  if (!room) duro__sqlite_conn_close(c);
}

void duro__sqlite_pool_close(duro_store *s) {
  for (duro__sqlite_conn *c; (c = take_idle(s)) != NULL;) duro__sqlite_conn_close(c);
}

duro_code duro__sqlite_read_begin(duro_store *s, const char *verb, bool snapshot,
                                  duro__sqlite_conn **out, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = DURO_OK;
  if (s->memory) {
    pthread_mutex_lock(&s->write_lock);
    c = s->write;
  } else {
    c = take_idle(s);
    if (!c) code = open_reader(s, &c, err);
    if (code != DURO_OK) return code;
  }
  c->verb = verb;
  *out = c;
  if (!snapshot) return DURO_OK;
  statement st = use(c, Q_begin_read);
  code = duro__sqlite_run(&st, err);
  if (code != DURO_OK) duro__sqlite_read_end(s, c);
  return code;
}

void duro__sqlite_read_end(duro_store *s, duro__sqlite_conn *c) {
  roll_back(c); // nothing was written: this only lets the snapshot go
  if (s->memory) {
    pthread_mutex_unlock(&s->write_lock);
  } else {
    give_idle(s, c);
  }
}

// --- Checkpoints ---

// It reads something first: a connection that never has does not know that there is a log.
static duro_code open_checkpointer(duro_store *s, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = open_file(s, SQLITE_OPEN_READWRITE, &c, err);
  if (code != DURO_OK) return code;
  char sql[128];
  snprintf(sql, sizeof sql,
           "PRAGMA journal_size_limit = %lld; PRAGMA wal_autocheckpoint = 0; PRAGMA user_version",
           (long long)MAX_LOG_BYTES);
  code = exec(c, sql, err);
  if (code == DURO_OK) {
    s->checkpointer = c->db;
    c->db = NULL;
  }
  duro__sqlite_conn_close(c);
  return code;
}

// Lets the log begin anew, which needs a moment without writers: those of this process wait at its
// lock, since at SQLite's a busy writer and a checkpoint only ever find each other asleep. The next
// commit cuts the file back to MAX_LOG_BYTES (journal_size_limit); giving back all of it here
// would cost that commit, and those behind it, the time to get it again.
static int restart_log(duro_store *s, sqlite3 *db) {
  pthread_mutex_lock(&s->write_lock);
  sqlite3_busy_timeout(db, RESTART_LOG_WAIT_MS);
  int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
  sqlite3_busy_timeout(db, 0);
  pthread_mutex_unlock(&s->write_lock);
  return rc;
}

// The log is copied while writers go on. One that has grown beyond its limit, because there was
// always a reader or a writer in it, is copied again until little is left, and then restarted.
// Somebody else's checkpoint under way is as good as ours.
static int checkpoint_log(duro_store *s, sqlite3 *db) {
  int frames = 0, copied = 0, before, rounds = 0, rc;
  bool grown;
  do {
    before = copied;
    rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    grown = rc == SQLITE_OK && (int64_t)frames * PAGE_BYTES > MAX_LOG_BYTES;
  } while (grown && copied - before > RESTART_LOG_FRAMES && ++rounds < RESTART_LOG_ROUNDS);
  if (grown) rc = restart_log(s, db);
  return (rc & 0xff) == SQLITE_BUSY ? SQLITE_OK : rc;
}

duro_code duro__sqlite_checkpoint(duro_store *s, duro_error **err) {
  if (s->memory) return DURO_OK;
  pthread_mutex_lock(&s->checkpoint_lock);
  duro_code code = s->checkpointer ? DURO_OK : open_checkpointer(s, err);
  if (code == DURO_OK) {
    int rc = checkpoint_log(s, s->checkpointer);
    duro__sqlite_conn asking = {.db = s->checkpointer, .path = s->path, .verb = "checkpoint"};
    if (rc != SQLITE_OK) code = duro__sqlite_fail(&asking, rc, err);
  }
  pthread_mutex_unlock(&s->checkpoint_lock);
  return code;
}
