// sqlite_owner.h: a SQLite store in a folder of its own, with an owner that commits batches; and its file as
// SQL sees it. For tests of how the store keeps its file.
#ifndef DURO_SPEC_SQLITE_OWNER_H
#define DURO_SPEC_SQLITE_OWNER_H

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/internal.h"

#define NOW    INT64_C(1763780000000)
#define DAY_MS INT64_C(86400000)

static const duro_store_ops *const ops = &duro_store_sqlite;
static duro_error *err;

CHECK__HELPER bool code_is(int line, duro_code got, duro_code want) {
  bool held = check__str(__FILE__, line, "code", duro_code_string(got), duro_code_string(want));
  if (!held && err) fprintf(stderr, "    %s\n", err->message);
  duro_error_free(err);
  err = NULL;
  return held;
}
#define OK(call)         code_is(__LINE__, (call), DURO_OK)
#define CODE(call, want) code_is(__LINE__, (call), (want))

// The same, and the message holds each of these parts.
CHECK__HELPER bool refused(int line, duro_code got, duro_code want, const char *part1,
                           const char *part2) {
  const char *message = err ? err->message : "(no message)";
  bool held = strstr(message, part1) && strstr(message, part2);
  if (!held) fprintf(stderr, "    message: %s\n", message);
  check__true(__FILE__, line, "the message says why", held);
  return code_is(line, got, want);
}
#define REFUSED(call, want, part1, part2) refused(__LINE__, (call), (want), part1, part2)

// --- A file in a folder of its own ---

static char folder[64], path[96];

CHECK__HELPER void new_folder(void) {
  strcpy(folder, "/tmp/duro-sqlite-XXXXXX");
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/store.db", folder);
}

CHECK__HELPER void remove_folder(void) {
  static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
  char name[128];
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    snprintf(name, sizeof name, "%s%s", path, endings[i]);
    unlink(name);
  }
  rmdir(folder);
}

CHECK__HELPER int64_t size_of(const char *ending) {
  char name[128];
  struct stat st;
  snprintf(name, sizeof name, "%s%s", path, ending);
  return stat(name, &st) == 0 ? (int64_t)st.st_size : -1;
}

CHECK__HELPER void write_file(const char *text, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!CHECK(f != NULL)) return;
  fwrite(text, 1, n, f);
  fclose(f);
}

CHECK__HELPER void sql(const char *text) {
  sqlite3 *db;
  char *message = NULL;
  sqlite3_open(path, &db);
  sqlite3_busy_timeout(db, 2000);
  if (!CHECK_INT(sqlite3_exec(db, text, NULL, NULL, &message), SQLITE_OK)) {
    fprintf(stderr, "    %s\n    %s\n", message, text);
  }
  sqlite3_free(message);
  sqlite3_close(db);
}

// The first column of the first row as text, in a buffer that the next call overwrites.
CHECK__HELPER const char *ask(const char *query) {
  static char answer[4096];
  sqlite3 *db;
  sqlite3_stmt *stmt = NULL;
  answer[0] = 0;
  sqlite3_open(path, &db);
  sqlite3_busy_timeout(db, 2000);
  if (!CHECK_INT(sqlite3_prepare_v2(db, query, -1, &stmt, NULL), SQLITE_OK)) {
    fprintf(stderr, "    %s\n    %s\n", sqlite3_errmsg(db), query);
  }
  if (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    snprintf(answer, sizeof answer, "%s", text ? text : "NULL");
  }
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return answer;
}

// --- A store with an owner ---

typedef struct owner {
  duro_store *s;
  int64_t epoch, now, keep_feed_ms, keep_rollups_ms;
  duro_store_marks marks;
  duro_arena arena;
} owner;

CHECK__HELPER duro_store_options options_of(const owner *o, bool client) {
  return (duro_store_options){.path = path,
                              .read_only_role = client,
                              .now_ms = o->now,
                              .feed_retention_ms = o->keep_feed_ms,
                              .rollup_retention_ms = o->keep_rollups_ms};
}

CHECK__HELPER bool open_owner(owner *o) {
  if (o->now == 0) o->now = NOW;
  duro_store_options options = options_of(o, false);
  duro_lease held, wanted = {.owner = DURO_STR("test"), .expires_at_ms = o->now + DAY_MS};
  if (!OK(ops->open(&options, &o->s, &err))) return false;
  if (!OK(ops->acquire(o->s, &wanted, true, o->now, &o->arena, &held, &err))) return false;
  o->epoch = held.epoch;
  return OK(ops->marks(o->s, &o->arena, &o->marks, &err));
}

CHECK__HELPER void close_owner(owner *o) {
  ops->close(o->s);
  duro_arena_free(&o->arena);
  *o = (owner){0};
}

// A batch of one instance and its first turn of two events.
CHECK__HELPER duro_code try_start(owner *o, const char *id) {
  duro_store_marks next = o->marks;
  next.last_batch++;
  next.last_seq++;
  next.last_key = duro_key_next(next.last_key, o->now, false);
  duro_instance_row row = {.key = next.last_key,
                           .id = duro_str_from(id),
                           .name = DURO_STR("order"),
                           .version = DURO_STR("1.0"),
                           .status = DURO_STATUS_RUNNING,
                           .created_at_ms = o->now,
                           .updated_at_ms = o->now,
                           .execution_id = 1,
                           .attributes = DURO_STR("{\"region\":\"eu\"}"),
                           .custom_status = DURO_STR("{\"step\":1}")};
  duro_turn_row turn = {.seq = next.last_seq,
                        .instance_key = row.key,
                        .execution_id = 1,
                        .first_event_id = 1,
                        .event_count = 2,
                        .status = DURO_STATUS_RUNNING,
                        .wake_at_ms = DURO_NEVER,
                        .waiting_on = DURO_STR("[\"activity\",\"event:go\"]"),
                        .at_ms = o->now,
                        .events = DURO_STR("[{\"id\":1,\"kind\":\"orchestration_started\",\"at\":"
                                           "1763780000000,\"name\":\"order\",\"input\":5},"
                                           "{\"id\":2,\"kind\":\"activity_scheduled\",\"name\":"
                                           "\"charge\",\"input\":[1]}]")};
  duro_batch batch = {.id = next.last_batch,
                      .previous = o->marks.last_batch,
                      .epoch = o->epoch,
                      .now_ms = o->now,
                      .last_seq = next.last_seq,
                      .last_key = next.last_key,
                      .inserts = &row,
                      .insert_count = 1,
                      .turns = &turn,
                      .turn_count = 1};
  duro_code code = ops->commit(o->s, &batch, &err);
  if (code == DURO_OK) o->marks = next;
  return code;
}

CHECK__HELPER bool start(owner *o, const char *id) { return OK(try_start(o, id)); }

CHECK__HELPER duro_code fold(owner *o) {
  size_t folded;
  return ops->fold(o->s, o->epoch, o->now, 1000, &folded, &err);
}

CHECK__HELPER bool exists(duro_store *s, const char *id) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_code code = ops->get(s, duro_str_from(id), &arena, &row, NULL);
  duro_arena_free(&arena);
  CHECK(code == DURO_OK || code == DURO_NOT_FOUND);
  return code == DURO_OK;
}

CHECK__HELPER duro_code post_one(duro_store *s, const char *id) {
  int64_t request_id;
  duro_instance_row row = {.id = duro_str_from(id),
                           .name = DURO_STR("order"),
                           .status = DURO_STATUS_RUNNING,
                           .execution_id = 1};
  duro_request_row request = {.kind = DURO_STR("start"), .instance_id = row.id};
  duro_post post = {.inserts = &row,
                    .insert_count = 1,
                    .requests = &request,
                    .request_count = 1,
                    .request_ids = &request_id,
                    .now_ms = NOW};
  return ops->post(s, &post, &err);
}

#endif
