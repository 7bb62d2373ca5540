// raw_append: the ceiling. Bare single-row appends into one SQLite table, a fixed number to a
// transaction, with the durability asked for: what the disk and one core give without any engine on top.
//
//   raw_append FILE ROWS ROWS_PER_TRANSACTION full|normal BYTES    prints rows per second
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK) return;
  fprintf(stderr, "%s: %s\n", sql, message);
  exit(1);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) exit(1);
  return stmt;
}

static void step(sqlite3_stmt *stmt) {
  if (sqlite3_step(stmt) != SQLITE_DONE) exit(1);
  sqlite3_reset(stmt);
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s FILE ROWS ROWS_PER_TRANSACTION full|normal BYTES\n", argv[0]);
    return 2;
  }
  long rows = atol(argv[2]), per = atol(argv[3]), bytes = atol(argv[5]);
  char *payload = malloc((size_t)bytes + 1);
  if (!payload) return 1;
  memset(payload, 'x', (size_t)bytes);
  remove(argv[1]);
  sqlite3 *db;
  if (sqlite3_open(argv[1], &db) != SQLITE_OK) return 1;
  run(db, "PRAGMA journal_mode=WAL");
  run(db, strcmp(argv[4], "full") == 0 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  run(db, "CREATE TABLE log(seq INTEGER PRIMARY KEY, instance INTEGER, at INTEGER, events TEXT) "
          "STRICT");
  sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE"), *commit = prepare(db, "COMMIT");
  sqlite3_stmt *insert = prepare(db, "INSERT INTO log VALUES(?,?,?,?)");
  double started = now();
  for (long seq = 1; seq <= rows;) {
    step(begin);
    for (long k = 0; k < per && seq <= rows; k++, seq++) {
      sqlite3_bind_int64(insert, 1, seq);
      sqlite3_bind_int64(insert, 2, seq % 5000);
      sqlite3_bind_int64(insert, 3, 1795307780631 + seq);
      sqlite3_bind_text(insert, 4, payload, (int)bytes, SQLITE_STATIC);
      step(insert);
    }
    step(commit);
  }
  double took = now() - started;
  printf("%.0f\n", (double)rows / took);
  sqlite3_finalize(insert);
  sqlite3_finalize(begin);
  sqlite3_finalize(commit);
  sqlite3_close(db);
  free(payload);
  return 0;
}
