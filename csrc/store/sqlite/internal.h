// internal.h: what the files of the SQLite store share.
//
// Invariants:
//  - The one writing connection is used under `write_lock`, within duro__sqlite_write_begin/end.
//    Reads use a connection of the pool, within duro__sqlite_read_begin/end; ":memory:" has no
//    pool, and its reads take the writing connection and its lock.
//  - Every verb leaves its connection without an open transaction and with its statements reset,
//    also after an error.
//  - Statements are only bound, stepped and reset; texts are bound in place (the caller's bytes
//    outlive the step) and read into the caller's arena.
// Where to look: sqlite.c (open, close, the table of verbs), connection.c (connections, begin/end),
// statement.c (queries.sql, errors), migrate.c, instances.c (rows), commit.c, fold.c, feed.c
// (changes, trimming), load.c (reads of one instance), list.c and list_sql.c, lease.c, requests.c,
// jobs.c, figures.c, audit.c, purge.c, tail.c (who is in the unfolded tail), listed.c (who is in
// the indexes of lists), counts.c (what instances that began lately have done), chain.c (what one
// batch leaves for the next).
#ifndef DURO_STORE_SQLITE_INTERNAL_H
#define DURO_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/map.h"
#include "duro_store.h"
#include "store/sqlite/queries.h"
#include "store/sqlite/sql.h"

// --- Limits of this store, with their reasons ---
#define APPLICATION_ID      0x6475726f // "duro": tells our files apart from other databases
#define MIN_SQLITE_VERSION  3038000    // STRICT tables, RETURNING, JSON functions
#define BUSY_WAIT_MS        5000       // the store thread waits so long for a client's short write
#define OPEN_RETRY_MS       10         // pause between attempts to open a file others are opening
#define OPEN_RETRIES        500        // together as long as BUSY_WAIT_MS
#define WRITE_CACHE_KIB     32768      // most pages of a fold stay in memory until its end
#define READ_CACHE_KIB      12288      // bulk_status of 1000 ids in a large file: 2000 pages
#define MAX_IDLE_READERS    8          // loop, reader and a few host threads; more are closed again
#define MAX_LOG_BYTES       (INT64_C(64) << 20) // a write-ahead log beyond this is made to begin anew
#define RESTART_LOG_WAIT_MS 200                 // how long that waits for readers in the log
#define RESTART_LOG_FRAMES  1000                // what is left to copy then: some 10 ms
#define RESTART_LOG_ROUNDS  6    // a writer that is faster than the copying is held up instead
#define REUSE_LOG_FRAMES    1000 // small commits begin the log anew when it has so many (4 MiB)
#define SMALL_COMMIT_FRAMES 32   // a larger commit leaves copying to the checkpointer
#define PAGE_BYTES          4096 // of SQLite's files, unless somebody changed it
#define FOLD_MAX_BYTES      ((size_t)64 << 20) // events held in memory by one fold
#define FEED_PAGE_BYTES     ((size_t)4 << 20) // a page of the feed ends with the row that reaches it
#define KEEP_BUFFER_BYTES   ((size_t)16 << 20) // scratch beyond this is given back after use
#define MAX_UNSETTLED_COUNTS                                                                       \
  24 // beyond, writing them into each commit costs more than settling them
#define ANSWER_KEEP_MS   INT64_C(86400000) // answers nobody fetched: their client is long gone
#define LIST_CACHE_SIZE  48      // prepared list shapes per connection; people use a handful
#define LIST_MAX_ARMS    64      // ranges merged in one list (SQLite allows 500)
#define LIST_PROBE_ROWS  10000   // a filter with fewer matches is read whole and sorted
#define LIST_WALK_STEPS  4000000 // VM steps (some 50 ms) of a walk before sorting instead
#define LIST_QUICK_SHARE 5       // a first try with that part of both: most lists need no more
#define UNLISTED_ROWS    4096    // a list reads so many rows besides in a third of a millisecond
#define ROWS_AT_ONCE     8 // in one INSERT: a statement's beginning and end cost as much as a row
#define TAIL_BITS        (1u << 21) // 100 000 instances fill a fifth of it

// --- Connections ---
typedef struct duro__sqlite_cached {
  char *sql; // owned
  size_t sql_bytes;
  sqlite3_stmt *stmt;
  uint64_t used_at; // of the connection's `uses`
} duro__sqlite_cached;

typedef struct duro__sqlite_conn {
  sqlite3 *db;
  const char *path; // the store's
  const char *verb; // what is being done, for messages
  sqlite3_stmt *stmts[Q_COUNT];
  sqlite3_stmt *many[Q_COUNT];   // the same for ROWS_AT_ONCE rows, where they were asked for
  sqlite3_stmt *updates[2][256]; // of instances and of listed, by the set of parts (instances.c)
  duro__sqlite_cached cache[LIST_CACHE_SIZE];
  uint64_t uses;
  struct duro__sqlite_conn *next; // idle in the pool
} duro__sqlite_conn;

// A row of the journal while it is folded. Texts are offsets into the fold's bytes.
typedef struct duro__sqlite_fold_row {
  int64_t key, execution_id, seq;
  int64_t first_event_id, event_count, at_ms, turn_us, wake_at_ms;
  size_t waiting_at, waiting_n, events_at, events_n;
} duro__sqlite_fold_row;

// Which instances may have rows in the unfolded tail (tail.c).
typedef struct duro__sqlite_tail {
  pthread_mutex_t lock;
  int64_t epoch;       // of the lease the bits were kept under; 0: nothing is known
  uint64_t generation; // changes whenever bits are cleared
  uint64_t older[TAIL_BITS / 64], newer[TAIL_BITS / 64];
  int64_t split_seq, last_seq; // the last row of `older`, and of both
} duro__sqlite_tail;

// What the newest batch left (chain.c).
typedef struct duro__sqlite_chain {
  bool known; // it is what stands in the file; else it is read before it is used
  int64_t epoch;
  int64_t batch, seq, key, message_id, job_id, latest_ms, journal_bytes;
  int64_t settled_key;               // what settled_marks has for `key`
  int64_t instances, history_events; // added since settled_marks was written
  int64_t listed_to;                 // up to which key instances are listed (listed.c)
  duro_counter *counts;              // not in their tables yet; they and their texts are in `texts`
  size_t count, capacity;
  duro_arena texts;
} duro__sqlite_chain;

struct duro_store {
  char *path; // owned
  bool memory, client, full_durability;
  int64_t feed_retention_ms, feed_max_bytes, rollup_retention_ms;
  void (*log)(void *user, const char *level, const char *message);
  void *log_user;
  char *queries[Q_COUNT];                   // owned; the text of each, fragments put in
  int64_t list_probe_rows, list_walk_steps; // LIST_*, lower in tests

  pthread_mutex_t write_lock; // guards all of the following
  duro__sqlite_conn *write;
  duro_arena scratch; // reset by each writing verb
  duro__sqlite_chain chain;
  bool chain_left;       // by the newest transaction of this connection
  duro_buf trailer;      // of the row being written
  unsigned seen_version; // of the file, as this connection left it: another one means others wrote
  int log_frames;        // in the write-ahead log, as of the newest commit of this process
  int reuse_frames;      // how many that shall be when the log is to begin anew
  duro__sqlite_fold_row *fold_rows;
  size_t fold_capacity;
  size_t unlisted;    // how many were inserted since instances were last listed
  duro_map uncounted; // by instance key (counts.c); its values are in uncounted_entries
  duro_arena uncounted_entries;
  duro_buf fold_bytes, fold_text;

  pthread_mutex_t pool_lock; // guards `idle`, `idle_count` and `data_version`
  duro__sqlite_conn *idle;
  int idle_count;
  int64_t data_version; // how often the writing connection saw that others had written
  int64_t own_posts;    // writes by this store that its owner has to look at

  pthread_mutex_t checkpoint_lock; // guards `checkpointer`
  sqlite3 *checkpointer;

  duro__sqlite_tail tail;
};

// --- statement.c ---
// A statement in use. Parameters are put in order, then columns are taken in order; what goes wrong
// meanwhile is kept in `rc` and told by the next step.
typedef struct statement {
  duro__sqlite_conn *conn;
  sqlite3_stmt *stmt;
  int at; // the last parameter put, then the last column taken
  int rc;
} statement;

static inline statement use(duro__sqlite_conn *c, duro__sqlite_query query) {
  return (statement){c, c->stmts[query], 0, SQLITE_OK};
}
// An INSERT of as many rows as *rows says, whose values are put one row after the other: of ROWS_AT_ONCE
// when that many are left, else of one.
duro_code duro__sqlite_use_rows(duro_store *s, duro__sqlite_conn *c, duro__sqlite_query query,
                                size_t left, size_t *rows, statement *out, duro_error **err);
static inline void put_null(statement *st) {
  int rc = sqlite3_bind_null(st->stmt, ++st->at);
  if (rc != SQLITE_OK) st->rc = rc;
}
static inline void put_int(statement *st, int64_t value) {
  int rc = sqlite3_bind_int64(st->stmt, ++st->at, value);
  if (rc != SQLITE_OK) st->rc = rc;
}
// Absent is NULL. The bytes must stay until the statement is done.
static inline void put_text(statement *st, duro_str s) {
  int rc = s.p ? sqlite3_bind_text64(st->stmt, ++st->at, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8)
               : sqlite3_bind_null(st->stmt, ++st->at);
  if (rc != SQLITE_OK) st->rc = rc;
}
static inline void put_zero_null(statement *st, int64_t value) { // 0 means absent
  value ? put_int(st, value) : put_null(st);
}
static inline void put_wake(statement *st, int64_t wake_at_ms) {
  wake_at_ms == DURO_NEVER ? put_null(st) : put_int(st, wake_at_ms);
}
static inline void put_status(statement *st, duro_status status) {
  put_text(st, duro_str_from(duro_status_string(status)));
}
static inline int64_t take_int(statement *st) { return sqlite3_column_int64(st->stmt, st->at++); }
static inline int64_t take_wake(statement *st) {
  int at = st->at++;
  return sqlite3_column_type(st->stmt, at) == SQLITE_NULL ? DURO_NEVER
                                                          : sqlite3_column_int64(st->stmt, at);
}
// Borrowed: valid until the statement's next step.
static inline duro_str take_slice(statement *st) {
  int at = st->at++;
  const char *p = (const char *)sqlite3_column_text(st->stmt, at);
  return (duro_str){p, p ? (size_t)sqlite3_column_bytes(st->stmt, at) : 0};
}
static inline duro_str take_text(statement *st, duro_arena *arena) {
  return duro_arena_dup(arena, take_slice(st));
}

// *row: there is one, and its columns may be taken. At the end, and after an error, it is reset.
duro_code duro__sqlite_step(statement *st, bool *row, duro_error **err);
// Steps to the end; rows are passed over.
duro_code duro__sqlite_run(statement *st, duro_error **err);
// Ends it early.
static inline void finish(statement *st) { sqlite3_reset(st->stmt); }
// One row of whole numbers: fills `values`; *found may be NULL when there must be one.
duro_code duro__sqlite_take_ints(statement *st, int64_t *values, int count, bool *found,
                                 duro_error **err);
duro_code duro__sqlite_take_status(statement *st, duro_status *out, duro_error **err);

// The error of `rc` on this connection, with SQLite's sentence, its number, the verb and the file.
duro_code duro__sqlite_fail(const duro__sqlite_conn *c, int rc, duro_error **err);
duro_code duro__sqlite_code(int rc); // SQLite's number as ours
// Finds every query by its name and puts the fragments in. Unknown and missing names are an error.
duro_code duro__sqlite_queries_parse(const char *text, char *queries[Q_COUNT], duro_error **err);
// All that a connection needs; `writes`: for the writing one.
duro_code duro__sqlite_prepare_all(duro__sqlite_conn *c, char *const queries[Q_COUNT], bool writes,
                                   duro_error **err);
duro_code duro__sqlite_prepare(duro__sqlite_conn *c, const char *sql, size_t sql_bytes,
                               sqlite3_stmt **out, duro_error **err);
// The same through the connection's cache of list shapes.
duro_code duro__sqlite_prepare_cached(duro__sqlite_conn *c, duro_str sql, sqlite3_stmt **out,
                                      duro_error **err);

// --- connection.c ---
duro_code duro__sqlite_write_open(duro_store *s, duro_error **err);
void duro__sqlite_conn_close(duro__sqlite_conn *c);
void duro__sqlite_pool_close(duro_store *s);
// A writing verb: takes the lock and begins an immediate transaction. On failure nothing is held.
duro_code duro__sqlite_write_begin(duro_store *s, const char *verb, duro__sqlite_conn **out,
                                   duro_error **err);
// Commits when `code` is DURO_OK, else rolls back; lets the lock go. Gives the code of the whole.
duro_code duro__sqlite_write_end(duro_store *s, duro__sqlite_conn *c, duro_code code,
                                 duro_error **err);
// A reading verb; `snapshot` when it has several statements that must see the same state.
duro_code duro__sqlite_read_begin(duro_store *s, const char *verb, bool snapshot,
                                  duro__sqlite_conn **out, duro_error **err);
void duro__sqlite_read_end(duro_store *s, duro__sqlite_conn *c);
duro_verb_checkpoint duro__sqlite_checkpoint;
duro_verb_data_version duro__sqlite_data_version;

// --- migrate.c ---
// Checks whose file it is, and brings its schema up to the last of `list`. A client changes
// nothing.
duro_code duro__sqlite_migrate(sqlite3 *db, const char *path, bool client,
                               const duro__sqlite_migration *list, int count,
                               void (*log)(void *user, const char *level, const char *message),
                               void *log_user, duro_error **err);

// --- instances.c ---
enum { // the parts of an update beside those of DURO_SET_*
  DURO__SET_UPDATED = 1 << 5,
  DURO__SET_WAITING = 1 << 6,
  DURO__SET_COUNTS = 1 << 7,
};
// Columns of {instance_columns}, in order.
duro_code duro__sqlite_take_instance(statement *st, duro_arena *arena, duro_instance_row *out,
                                     duro_error **err);
// `with_waits`: no turn of it follows in the same batch, whose folding would bring its waits.
// `listed_to`: up to which key instances are listed (listed.c).
duro_code duro__sqlite_insert_instance(duro_store *s, duro__sqlite_conn *c,
                                       const duro_instance_row *row, int64_t key, bool with_waits,
                                       int64_t listed_to, duro_error **err);
// ROWS_AT_ONCE of them, with their own keys. *done: false when some id is taken, and none was inserted.
duro_code duro__sqlite_insert_many(duro_store *s, duro__sqlite_conn *c,
                                   const duro_instance_row *rows, const bool *with_waits,
                                   int64_t listed_to, bool *done, duro_error **err);
// Updates the members that `set` names. COUNTS adds row->turns and row->turn_us_total to the
// totals. `seq`: the row of the journal up to which it says how things stand.
duro_code duro__sqlite_update_instance(duro_store *s, duro__sqlite_conn *c, unsigned set,
                                       const duro_instance_row *row, int64_t seq, int64_t listed_to,
                                       duro_error **err);
// Index rows that follow from texts of the instance's row: those of this text come, or go.
typedef enum duro__index_change { DURO__INDEX_ADD, DURO__INDEX_REMOVE } duro__index_change;
duro_code duro__sqlite_change_waits(duro_store *s, duro__sqlite_conn *c, duro__index_change change,
                                    int64_t key, duro_str waiting_on, duro_error **err);
duro_code duro__sqlite_change_attributes(duro_store *s, duro__sqlite_conn *c,
                                         duro__index_change change, int64_t key,
                                         duro_str attributes, duro_error **err);

// --- commit.c, fold.c, feed.c, purge.c ---
duro_verb_commit duro__sqlite_commit;
duro_verb_fold duro__sqlite_fold;
// Deletes the front of the feed that is older or more than what is kept; rows up to `folded_seq`
// only, and at most `max_seqs` seqs.
duro_code duro__sqlite_trim_feed(duro_store *s, duro__sqlite_conn *c, int64_t now_ms,
                                 int64_t folded_seq, int64_t journal_bytes, size_t max_seqs,
                                 duro_error **err);
duro_verb_changes duro__sqlite_changes;
// Within a transaction: the instance and everything it owns. *events: how many of its history went;
// *existed: whether there was one.
duro_code duro__sqlite_delete_instance(duro_store *s, duro__sqlite_conn *c, int64_t key,
                                       bool *existed, int64_t *events, duro_error **err);
// Within a batch: its past executions that go.
duro_code duro__sqlite_prune_executions(duro_store *s, duro__sqlite_conn *c,
                                        const duro_batch *batch, duro_error **err);

// --- chain.c ---
// Within a transaction: the lease has this epoch (else `locked`), and s->chain is what the newest batch left.
duro_code duro__sqlite_chain_begin(duro_store *s, duro__sqlite_conn *c, int64_t epoch,
                                   duro_error **err);
duro_code duro__sqlite_chain_count(duro_store *s, const duro_counter *counters, size_t count,
                                   duro_error **err);
// For the last row of a batch with turns (valid until the next one); for all others: into the tables.
duro_code duro__sqlite_chain_trailer(duro_store *s, duro__sqlite_conn *c, const duro_turn_row *row,
                                     duro_str *out, duro_error **err);
duro_code duro__sqlite_chain_settle(duro_store *s, duro__sqlite_conn *c, duro_error **err);
void duro__sqlite_chain_free(duro_store *s);

// --- listed.c ---
// Up to which key instances are listed.
duro_code duro__sqlite_listed_to(duro__sqlite_conn *c, int64_t *out, duro_error **err);
// One whose key is not above that.
duro_code duro__sqlite_list_one(duro__sqlite_conn *c, int64_t key, duro_error **err);
// The first `most` of those above it (-1: all).
duro_code duro__sqlite_list_new(duro__sqlite_conn *c, int64_t listed_to, int64_t most,
                                duro_error **err);
// At the end of a batch: those that have ended, if many were inserted since the last time.
duro_code duro__sqlite_list_ended(duro_store *s, duro__sqlite_conn *c, duro_error **err);
duro_code duro__sqlite_unlist(duro__sqlite_conn *c, int64_t key, duro_error **err);

// --- counts.c ---
// Within a transaction, in this order: what it inserts, its turns, its updates.
void duro__sqlite_counts_begin(duro_store *s, int64_t key);
void duro__sqlite_counts_add(duro_store *s, const duro_turn_row *turn);
// Puts into *row what the end of an instance says of its turns; gives `set` with that.
unsigned duro__sqlite_counts_update(duro_store *s, unsigned set, duro_instance_row *row);
// Its only execution is this one, and its row says all that folding would say.
bool duro__sqlite_counts_ended(const duro_store *s, int64_t key, int64_t execution_id);
void duro__sqlite_counts_drop(duro_store *s, int64_t key);
void duro__sqlite_counts_forget(duro_store *s);

// --- tail.c ---
void duro__sqlite_tail_init(duro__sqlite_tail *t);
void duro__sqlite_tail_deinit(duro__sqlite_tail *t);
void duro__sqlite_tail_add(duro__sqlite_tail *t, const duro_turn_row *turns, size_t count);
// A fold under this epoch moved the rows up to folded_seq, and perhaps left no tail.
void duro__sqlite_tail_folded(duro__sqlite_tail *t, int64_t epoch, int64_t folded_seq,
                              bool no_tail);
void duro__sqlite_tail_forget(duro__sqlite_tail *t); // another process may have written
uint64_t duro__sqlite_tail_generation(duro__sqlite_tail *t);
// Whether a snapshot begun after `generation` was taken may hold unfolded rows of this instance.
// When not, that is true only if the snapshot's lease has the epoch *epoch.
bool duro__sqlite_tail_may_have(duro__sqlite_tail *t, uint64_t generation, int64_t key,
                                int64_t *epoch);

// --- load.c ---
duro_verb_load duro__sqlite_load;
duro_verb_due duro__sqlite_due;
duro_verb_messages duro__sqlite_messages;
duro_verb_get duro__sqlite_get;
duro_verb_get_by_key duro__sqlite_get_by_key;
duro_verb_history duro__sqlite_history;
duro_code duro__sqlite_current_execution(duro__sqlite_conn *c, int64_t key, int64_t *current,
                                         duro_error **err);
// An execution that is neither current nor listed as a past one was pruned; rows of it may still
// lie in the journal.
duro_code duro__sqlite_still_kept(duro__sqlite_conn *c, int64_t key, int64_t execution_id,
                                  int64_t current, bool *kept, duro_error **err);
duro_verb_executions duro__sqlite_executions;
// A growing array in an arena: room for one more item, which is zeroed; NULL when memory is out.
void *duro__sqlite_grow(duro_arena *arena, void *items, size_t count, size_t *capacity,
                        size_t item_size);

// --- list.c, list_sql.c ---
duro_verb_count duro__sqlite_count;
duro_verb_list duro__sqlite_list;

// --- lease.c, requests.c, jobs.c, figures.c, audit.c ---
duro_verb_marks duro__sqlite_marks;
duro_verb_acquire duro__sqlite_acquire;
duro_verb_renew duro__sqlite_renew;
duro_verb_release duro__sqlite_release;
duro_verb_lease duro__sqlite_lease;
// Within a transaction: `locked` when the lease is not of this epoch.
duro_code duro__sqlite_check_epoch(duro_store *s, duro__sqlite_conn *c, int64_t epoch,
                                   duro_error **err);
duro_code duro__sqlite_lost(duro_store *s, const duro__sqlite_conn *c, int64_t found, int64_t epoch,
                            duro_error **err);
duro_verb_post duro__sqlite_post;
duro_verb_requests duro__sqlite_requests;
duro_verb_answer duro__sqlite_answer;
duro_verb_forget duro__sqlite_forget;
duro_code duro__sqlite_insert_request(duro__sqlite_conn *c, const duro_request_row *row,
                                      int64_t instance_key, int64_t *id, duro_error **err);
void duro__sqlite_count_own_post(duro_store *s); // so that data_version tells of it
duro_code duro__sqlite_insert_job(duro__sqlite_conn *c, const duro_job_row *row, duro_error **err);
duro_verb_claim_jobs duro__sqlite_claim_jobs;
duro_verb_renew_jobs duro__sqlite_renew_jobs;
duro_verb_finish_job duro__sqlite_finish_job;
duro_verb_jobs duro__sqlite_jobs;
duro_verb_queue_state duro__sqlite_queue_state;
duro_code duro__sqlite_add_counters(duro__sqlite_conn *c, const duro_counter *counters,
                                    size_t count, duro_error **err);
duro_code duro__sqlite_write_figures(duro__sqlite_conn *c, duro_str json, duro_error **err);
duro_code duro__sqlite_trim_figures(duro_store *s, duro__sqlite_conn *c, int64_t now_ms,
                                    duro_error **err);
duro_verb_counters duro__sqlite_counters;
duro_verb_stats duro__sqlite_stats;
duro_verb_owner_figures duro__sqlite_owner_figures;
duro_code duro__sqlite_write_audit(duro__sqlite_conn *c, const duro_batch *batch, duro_error **err);
duro_verb_audit duro__sqlite_audit;
duro_verb_note duro__sqlite_note;

#endif
