// The SQLite store as a file: whose file it is, migrations, several processes, faults of the disk
// and of memory, and that people can read it. What every store must do is in spec/conformance.
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "failing_alloc.h"
#include "sqlite_owner.h"

// --- Opening ---

TEST(a_new_file_says_what_it_is) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  CHECK_STR(ask("PRAGMA journal_mode"), "wal");
  CHECK_STR(ask("PRAGMA application_id"), "1685418607"); // "duro"
  char version[16];
  snprintf(version, sizeof version, "%d",
           duro__sqlite_migrations[duro__sqlite_migration_count - 1].version);
  CHECK_STR(ask("PRAGMA user_version"), version);
  CHECK_STR(ask("SELECT value FROM meta WHERE key = 'schema_version'"), version);
  CHECK_INT(o.marks.file_id.n, 32);
  CHECK_INT(o.marks.last_batch, 0);
  close_owner(&o);
  CHECK_INT(size_of("-wal"), -1); // a closed file is one file
  remove_folder();
}

TEST(what_was_committed_is_there_after_a_new_start) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  start(&o, "b");
  OK(fold(&o));
  start(&o, "c");
  duro_store_marks before = o.marks;
  char file_id[40];
  snprintf(file_id, sizeof file_id, "%.*s", DURO_FMT(o.marks.file_id));
  close_owner(&o);
  if (!open_owner(&o)) return;
  CHECK_INT(o.marks.last_batch, before.last_batch);
  CHECK_INT(o.marks.last_seq, before.last_seq);
  CHECK_INT(o.marks.folded_seq, 2);
  CHECK_INT(o.marks.last_key, before.last_key);
  CHECK_STR(duro_arena_dup(&o.arena, o.marks.file_id).p, file_id);
  CHECK_INT(o.epoch, 2);
  CHECK(exists(o.s, "a") && exists(o.s, "c"));
  start(&o, "d");
  close_owner(&o);
  remove_folder();
}

static duro_code try_open(bool client) {
  owner o = {.now = NOW};
  duro_store_options options = options_of(&o, client);
  duro_code code = ops->open(&options, &o.s, &err);
  if (code == DURO_OK) ops->close(o.s);
  return code;
}

TEST(a_file_that_is_no_database_is_corrupt_and_stays_as_it_is) {
  new_folder();
  char text[3000];
  memset(text, 'x', sizeof text);
  write_file(text, sizeof text);
  REFUSED(try_open(false), DURO_CORRUPT, "not a SQLite database", path);
  REFUSED(try_open(true), DURO_CORRUPT, "not a SQLite database", path);
  CHECK_INT(size_of(""), (int64_t)sizeof text);
  remove_folder();
}

TEST(a_database_of_another_program_is_corrupt_and_stays_as_it_is) {
  new_folder();
  sql("CREATE TABLE customers (id INTEGER PRIMARY KEY); INSERT INTO customers VALUES (7)");
  REFUSED(try_open(false), DURO_CORRUPT, "another program", "customers");
  REFUSED(try_open(true), DURO_CORRUPT, "another program", "customers");
  CHECK_STR(ask("PRAGMA journal_mode"), "delete");
  CHECK_STR(ask("SELECT id FROM customers"), "7");
  CHECK_STR(ask("SELECT count(*) FROM sqlite_schema"), "1");
  remove_folder();
  new_folder();
  sql("PRAGMA application_id = 252006673");
  REFUSED(try_open(false), DURO_CORRUPT, "another program",
          "0xf055111"); // as Fossil marks its files
  remove_folder();
}

TEST(a_newer_schema_is_corrupt_and_both_versions_are_named) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  close_owner(&o);
  sql("PRAGMA user_version = 4711");
  char known[32];
  snprintf(known, sizeof known, "up to %d",
           duro__sqlite_migrations[duro__sqlite_migration_count - 1].version);
  REFUSED(try_open(false), DURO_CORRUPT, "4711", known);
  REFUSED(try_open(true), DURO_CORRUPT, "4711", known);
  remove_folder();
}

TEST(a_path_that_cannot_be_opened_is_storage) {
  new_folder();
  snprintf(path, sizeof path, "%s/no/such/folder.db", folder);
  REFUSED(try_open(false), DURO_STORAGE, "unable to open", path);
  snprintf(path, sizeof path, "%s", folder); // a folder
  REFUSED(try_open(false), DURO_STORAGE, "unable to open", path);
  path[0] = 0;
  REFUSED(try_open(false), DURO_STORAGE, "path", "empty");
  rmdir(folder);
}

// --- Migrations ---

static duro_code migrate(bool client, const duro__sqlite_migration *list, int count) {
  sqlite3 *db;
  sqlite3_open(path, &db);
  sqlite3_extended_result_codes(db, 1);
  duro_code code = duro__sqlite_migrate(db, path, client, list, count, NULL, NULL, &err);
  CHECK(sqlite3_get_autocommit(db));
  sqlite3_close(db);
  return code;
}

static const char first_sql[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE a (x);"
    "INSERT INTO a VALUES (1)";

TEST(a_file_with_an_older_schema_is_brought_up_to_date) {
  new_folder();
  duro__sqlite_migration list[] = {{1, "first", first_sql},
                                   {2, "second", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = 2"},
                                   {5, "fifth", "CREATE VIEW b AS SELECT x + y AS z FROM a"}};
  OK(migrate(false, list, 1));
  CHECK_STR(ask("PRAGMA user_version"), "1");
  REFUSED(migrate(true, list, 3), DURO_STORAGE, "version 1", "needs 5"); // a client does not do it
  CHECK_STR(ask("PRAGMA user_version"), "1");
  OK(migrate(false, list, 3));
  CHECK_STR(ask("PRAGMA user_version"), "5");
  CHECK_STR(ask("SELECT value FROM meta WHERE key = 'schema_version'"), "5");
  CHECK_STR(ask("SELECT z FROM b"), "3");
  OK(migrate(false, list, 3)); // nothing left to do
  OK(migrate(true, list, 3));
  REFUSED(migrate(false, list, 2), DURO_CORRUPT, "5", "2");
  remove_folder();
}

TEST(a_migration_that_fails_changes_nothing) {
  new_folder();
  duro__sqlite_migration list[] = {{1, "first", first_sql},
                                   {2, "second", "INSERT INTO a VALUES (2)"},
                                   {3, "third", "INSERT INTO no_such_table VALUES (1)"}};
  OK(migrate(false, list, 1));
  REFUSED(migrate(false, list, 3), DURO_STORAGE, "0003_third", "nothing was changed");
  CHECK_STR(ask("PRAGMA user_version"), "1");
  CHECK_STR(ask("SELECT count(*) FROM a"), "1");
  remove_folder();
}

TEST(a_client_neither_creates_nor_fills_a_file) {
  new_folder();
  REFUSED(try_open(true), DURO_STORAGE, "unable to open", path);
  CHECK_INT(size_of(""), -1);
  write_file("", 0);
  REFUSED(try_open(true), DURO_STORAGE, "empty", "owner");
  CHECK_INT(size_of(""), 0);
  OK(try_open(false)); // an empty file is as good as none for its owner
  OK(try_open(true));
  remove_folder();
}

// --- Several processes ---

static void wait_for_file(const char *name) {
  while (access(name, F_OK) != 0) usleep(100);
}

TEST(processes_that_create_one_file_at_once_all_succeed) {
  enum { PROCESSES = 6, ROUNDS = 12 };
  for (int round = 0; round < ROUNDS; round++) {
    new_folder();
    char flag[128];
    snprintf(flag, sizeof flag, "%s/go", folder);
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
      pids[i] = fork();
      if (pids[i] != 0) continue;
      wait_for_file(flag);
      duro_code code = try_open(false);
      if (code != DURO_OK) fprintf(stderr, "    %s\n", err->message);
      _exit(code == DURO_OK ? 0 : 1);
    }
    close(open(flag, O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < PROCESSES; i++) {
      int status;
      waitpid(pids[i], &status, 0);
      CHECK_INT(status, 0);
    }
    unlink(flag);
    CHECK_STR(ask("SELECT count(*) FROM meta WHERE key = 'file_id'"), "1");
    CHECK_STR(ask("PRAGMA integrity_check"), "ok");
    remove_folder();
  }
}

static void work_until_killed(int ready) {
  owner o = {.keep_feed_ms = 50};
  if (!open_owner(&o)) _exit(1);
  for (int i = 0;; i++) {
    char id[32];
    snprintf(id, sizeof id, "i-%lld", (long long)o.marks.last_batch + 1);
    o.now++;
    if (try_start(&o, id) != DURO_OK) _exit(2);
    if (i % 7 == 0 && fold(&o) != DURO_OK) _exit(3);
    if (i % 20 == 0 && ops->checkpoint(o.s, &err) != DURO_OK) _exit(4);
    char byte = 1;
    if (i % 50 == 0 && write(ready, &byte, 1) != 1) _exit(5);
  }
}

TEST(a_killed_process_leaves_whole_batches) {
  new_folder();
  int64_t batches = 0;
  for (int round = 0; round < 8; round++) {
    int pipes[2];
    CHECK_INT(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) work_until_killed(pipes[1]);
    char byte;
    for (int i = 0; i <= round % 3; i++) CHECK_INT(read(pipes[0], &byte, 1), 1);
    usleep((unsigned)(500 + 1371 * round));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    owner o = {0};
    if (!open_owner(&o)) break;
    duro_store_stats stats;
    OK(ops->stats(o.s, &stats, &err));
    CHECK(o.marks.last_batch > batches);
    batches = o.marks.last_batch;
    CHECK_INT(o.marks.last_seq, batches); // one turn, one instance and two events in each
    CHECK_INT(stats.instances, batches);
    CHECK_INT(stats.history_events, 2 * batches);
    CHECK_STR(ask("PRAGMA integrity_check"), "ok");
    char want[32];
    snprintf(want, sizeof want, "%lld", (long long)batches);
    CHECK_STR(ask("SELECT count(*) FROM instances"), want);
    CHECK_STR(ask("SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM journal WHERE seq"
                  " > (SELECT folded_seq FROM marks))"),
              want);
    close_owner(&o);
  }
  remove_folder();
}

// --- Locks ---

TEST(a_client_does_not_wait_for_the_lock) {
  new_folder();
  owner o = {0};
  duro_store *client;
  sqlite3 *other;
  if (!open_owner(&o)) return;
  duro_store_options options = options_of(&o, true);
  if (!OK(ops->open(&options, &client, &err))) return;
  sqlite3_open(path, &other);
  CHECK_INT(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  uint64_t begin_ns = duro_clock_monotonic_ns();
  REFUSED(post_one(client, "a"), DURO_BUSY, "post", path);
  CHECK(!exists(client, "a")); // readers are never in the way
  CHECK(duro_clock_monotonic_ns() - begin_ns < UINT64_C(1000000000));
  sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
  OK(post_one(client, "a"));
  CHECK(exists(o.s, "a"));
  sqlite3_close(other);
  ops->close(client);
  close_owner(&o);
  remove_folder();
}

static void *end_transaction_soon(void *user) {
  usleep(100000);
  sqlite3_exec(user, "COMMIT", NULL, NULL, NULL);
  return NULL;
}

TEST(an_owner_waits_for_a_short_write_of_a_client) {
  new_folder();
  owner o = {0};
  sqlite3 *other;
  pthread_t thread;
  if (!open_owner(&o)) return;
  sqlite3_open(path, &other);
  CHECK_INT(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  pthread_create(&thread, NULL, end_transaction_soon, other);
  start(&o, "a");
  pthread_join(thread, NULL);
  CHECK(exists(o.s, "a"));
  sqlite3_close(other);
  close_owner(&o);
  remove_folder();
}

TEST(more_readers_at_once_than_the_pool_keeps_all_read) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  duro__sqlite_conn *c[2 * MAX_IDLE_READERS];
  for (int i = 0; i < 2 * MAX_IDLE_READERS; i++) {
    OK(duro__sqlite_read_begin(o.s, "test", true, &c[i], &err));
  }
  for (int i = 0; i < 2 * MAX_IDLE_READERS; i++) duro__sqlite_read_end(o.s, c[i]);
  CHECK_INT(o.s->idle_count, MAX_IDLE_READERS);
  CHECK(exists(o.s, "a"));
  close_owner(&o);
  remove_folder();
}

// --- Faults ---

TEST(a_full_disk_is_storage_and_the_store_goes_on_when_there_is_room) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  sqlite3_exec(o.s->write->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL); // no page more
  char id[600];
  memset(id, 'i', sizeof id);
  id[sizeof id - 1] = 0;
  duro_code code = DURO_OK;
  int started = 0;
  for (; code == DURO_OK && started < 1000; started++) {
    id[0] = (char)('a' + started % 26);
    id[1] = (char)('a' + started / 26);
    code = try_start(&o, id);
  }
  REFUSED(code, DURO_STORAGE, "commit", "full");
  CHECK(sqlite3_get_autocommit(o.s->write->db));
  CHECK(exists(o.s, "a"));
  CHECK(!exists(o.s, id));
  duro_store_marks marks;
  OK(ops->marks(o.s, &o.arena, &marks, &err));
  CHECK_INT(marks.last_batch, o.marks.last_batch);
  sqlite3_exec(o.s->write->db, "PRAGMA max_page_count = 100000", NULL, NULL, NULL);
  start(&o, id);
  CHECK(exists(o.s, id));
  OK(fold(&o));
  CHECK_STR(ask("PRAGMA integrity_check"), "ok");
  close_owner(&o);
  remove_folder();
}

TEST(a_damaged_file_is_corrupt_and_says_so) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  for (int i = 0; i < 200; i++) {
    char id[32];
    snprintf(id, sizeof id, "instance-%d", i);
    start(&o, id);
  }
  close_owner(&o);
  char junk[4096];
  memset(junk, 0x5a, sizeof junk);
  long page = atol(ask("SELECT rootpage FROM sqlite_schema WHERE name = 'instances'"));
  FILE *f = fopen(path, "r+b");
  fseek(f, (page - 1) * 4096, SEEK_SET);
  fwrite(junk, 1, sizeof junk, f);
  fclose(f);
  owner again = {.now = NOW};
  duro_store_options options = options_of(&again, false);
  if (OK(ops->open(&options, &again.s, &err))) {
    duro_instance_row row;
    REFUSED(ops->get_by_key(again.s, duro_key_floor(NOW), &again.arena, &row, &err), DURO_CORRUPT,
            "get_by_key", "malformed");
  }
  close_owner(&again);
  remove_folder();
}

TEST(a_row_that_contradicts_another_is_corrupt_and_the_batch_leaves_no_trace) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  o.marks.last_key--; // so that the next key is a's
  REFUSED(try_start(&o, "b"), DURO_CORRUPT, "commit", "instance_key");
  o.marks.last_key++;
  REFUSED(try_start(&o, "a"), DURO_ALREADY_EXISTS, "'a'", "exists");
  CHECK(!exists(o.s, "b"));
  start(&o, "b");
  close_owner(&o);
  remove_folder();
}

TEST(a_taken_id_is_named_in_the_errors_data) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "say \"hi\"");
  CHECK_INT(try_start(&o, "say \"hi\""), DURO_ALREADY_EXISTS);
  CHECK_STR(err ? err->data : NULL, "{\"instance_id\":\"say \\\"hi\\\"\"}");
  duro_error_free(err);
  err = NULL;
  close_owner(&o);
  remove_folder();
}

// One of everything that allocates.
static duro_code use_all(owner *o, const char *id) {
  duro_arena arena = {0};
  duro_loaded loaded;
  duro_instance_rows rows;
  duro_changes changes;
  duro_name_match name = {DURO_STR("ord"), true};
  duro_list_query q = {.filter = {.names = &name, .name_count = 1, .waiting_on = DURO_STR("event")},
                       .limit = 10};
  duro_code code = try_start(o, id);
  if (code == DURO_OK) code = fold(o);
  if (code == DURO_OK) code = ops->load(o->s, o->marks.last_key, &arena, &loaded, &err);
  if (code == DURO_OK) code = ops->list(o->s, &q, &arena, &rows, &err);
  if (code == DURO_OK) code = ops->changes(o->s, 0, 10, &arena, &changes, &err);
  duro_arena_free(&arena);
  return code;
}

TEST(memory_that_is_out_is_an_error_and_the_store_goes_on) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  int failures = 0;
  // Every allocation at first, then some of them: there are thousands.
  for (int n = 0; fail_alloc_at(n); n += 1 + n / 40) {
    char id[32];
    snprintf(id, sizeof id, "i%d", n);
    duro_code code = use_all(&o, id);
    bool happened = fail_alloc_happened();
    fail_alloc_at(-1);
    CHECK(code == DURO_OK || code == DURO_OUT_OF_MEMORY || code == DURO_STORAGE);
    if (code != DURO_OK) failures++;
    duro_error_free(err);
    err = NULL;
    duro_store_marks marks; // whatever failed, the chain is where the last good batch left it
    if (!OK(ops->marks(o.s, &o.arena, &marks, &err))) break;
    CHECK_INT(marks.last_batch, o.marks.last_batch);
    if (!happened) break;
  }
  CHECK(failures > 0 || !FAIL_ALLOC_WORKS);
  OK(use_all(&o, "at the end"));
  CHECK_STR(ask("PRAGMA integrity_check"), "ok");
  close_owner(&o);
  for (int n = 0; fail_alloc_at(n); n += 1 + n / 40) {
    duro_code code = try_open(false);
    bool happened = fail_alloc_happened();
    fail_alloc_at(-1);
    CHECK(code != DURO_OK || !happened);
    duro_error_free(err);
    err = NULL;
    if (!happened) break;
  }
  remove_folder();
}

// --- What must not grow without end ---

TEST(a_log_that_has_grown_is_cut_back) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  enum { LARGE = 8 * 1024 * 1024 };
  char *events = malloc(LARGE + 3);
  memset(events, ' ', LARGE + 2);
  events[0] = '[';
  events[LARGE + 1] = ']';
  for (int i = 0; i < 9; i++) {
    duro_turn_row turn = {.seq = o.marks.last_seq + 1,
                          .instance_key = 1,
                          .execution_id = 1,
                          .event_count = 1,
                          .at_ms = NOW,
                          .events = {events, LARGE + 2}};
    duro_batch batch = {.id = o.marks.last_batch + 1,
                        .previous = o.marks.last_batch,
                        .epoch = o.epoch,
                        .now_ms = NOW,
                        .last_seq = turn.seq,
                        .turns = &turn,
                        .turn_count = 1};
    if (!OK(ops->commit(o.s, &batch, &err))) break;
    o.marks.last_batch++;
    o.marks.last_seq++;
  }
  free(events);
  CHECK(size_of("-wal") > MAX_LOG_BYTES);
  OK(ops->checkpoint(o.s, &err));
  start(&o, "a");
  CHECK(size_of("-wal") <= MAX_LOG_BYTES);
  OK(ops->checkpoint(o.s, &err)); // with nearly nothing to do
  start(&o, "b");
  close_owner(&o);
  remove_folder();
}

TEST(answers_nobody_fetched_and_old_minutes_are_removed) {
  new_folder();
  owner o = {.keep_rollups_ms = 2 * DAY_MS};
  if (!open_owner(&o)) return;
  OK(post_one(o.s, "a"));
  duro_request_row answer = {.id = 1, .answer = DURO_STR("true")};
  duro_counter counter = {DURO_STR("order"), DURO_STR("started"), NOW - NOW % 60000, 1};
  duro_batch batch = {.id = 1,
                      .epoch = o.epoch,
                      .now_ms = NOW,
                      .answers = &answer,
                      .answer_count = 1,
                      .counters = &counter,
                      .counter_count = 1};
  OK(ops->commit(o.s, &batch, &err));
  o.now = NOW + DAY_MS / 2;
  OK(fold(&o));
  CHECK_STR(ask("SELECT count(*) FROM requests"), "1");
  o.now = NOW + DAY_MS + 1;
  OK(fold(&o));
  CHECK_STR(ask("SELECT count(*) FROM requests"), "0");
  CHECK_STR(ask("SELECT count(*) FROM rollups"), "1");
  o.now = NOW + 3 * DAY_MS;
  OK(fold(&o));
  CHECK_STR(ask("SELECT count(*) FROM rollups"), "0");
  CHECK_STR(ask("SELECT value FROM counters WHERE name = 'order'"), "1"); // for ever
  close_owner(&o);
  remove_folder();
}

TEST(a_deleted_instance_leaves_no_row_in_any_table) {
  new_folder();
  owner o = {.keep_feed_ms = 10};
  if (!open_owner(&o)) return;
  start(&o, "a");
  OK(fold(&o));
  CHECK_STR(ask("SELECT group_concat(what) FROM waits"), "activity,event,event:go");
  CHECK_STR(ask("SELECT key || '=' || value FROM attributes"), "region=\"eu\"");
  int64_t key = o.marks.last_key;
  duro_message_row message = {
      .id = 1, .instance_key = key, .execution_id = 1, .body = DURO_STR("{}")};
  duro_job_row job = {.id = 1, .instance_key = key, .queue = DURO_STR("q"), .name = DURO_STR("n")};
  duro_execution_row past = {
      .instance_key = key, .execution_id = 0, .status = DURO_STATUS_COMPLETED};
  duro_batch filling = {.id = 2,
                        .previous = 1,
                        .epoch = o.epoch,
                        .now_ms = NOW,
                        .messages = &message,
                        .message_count = 1,
                        .jobs = &job,
                        .job_count = 1,
                        .executions = &past,
                        .execution_count = 1};
  OK(ops->commit(o.s, &filling, &err));
  duro_batch deleting = {.id = 3,
                         .previous = 2,
                         .epoch = o.epoch,
                         .now_ms = NOW,
                         .deletes = &key,
                         .delete_count = 1,
                         .messages = &message,
                         .message_count = 1};
  message.id = 2; // comes too late
  OK(ops->commit(o.s, &deleting, &err));
  o.now = NOW + 1000;
  OK(fold(&o));
  static const char *const tables[] = {"instances",  "executions", "history", "waits",
                                       "attributes", "messages",   "jobs",    "journal"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char query[64];
    snprintf(query, sizeof query, "SELECT count(*) FROM %s", tables[i]);
    if (!CHECK_STR(ask(query), "0")) fprintf(stderr, "    %s\n", tables[i]);
  }
  close_owner(&o);
  remove_folder();
}

// --- Reading with the sqlite3 shell ---

TEST(the_views_show_instances_and_events_by_their_public_names) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  for (int folded = 0; folded < 2; folded++) {
    CHECK_STR(
        ask("SELECT instance_id || ' ' || orchestration_name || ' ' || version || ' ' || status"
            " || ' ' || created_at || ' ' || execution_count || ' ' || custom_status"
            " FROM v_instances"),
        "a order 1.0 running 1763780000.0 1 {\"step\":1}");
    CHECK_STR(
        ask("SELECT group_concat(line, '|') FROM (SELECT instance_id || ' ' || event_id || ' '"
            " || kind || ' ' || timestamp || ' ' || name || ' ' || details AS line"
            " FROM v_events WHERE instance_id = 'a' ORDER BY event_id)"),
        "a 1 orchestration_started 1763780000.0 order {\"input\":5}|"
        "a 2 activity_scheduled 1763780000.0 charge {\"input\":[1]}");
    OK(fold(&o));
  }
  CHECK_STR(ask("SELECT waiting_on FROM v_instances"), "[\"activity\",\"event:go\"]");
  close_owner(&o);
  remove_folder();
}

// --- queries.sql ---

static duro_code parse(const char *text) {
  char *queries[Q_COUNT] = {0};
  duro_code code = duro__sqlite_queries_parse(text, queries, &err);
  for (int q = 0; q < Q_COUNT; q++) free(queries[q]);
  return code;
}

TEST(a_query_that_is_unknown_missing_or_there_twice_is_an_error) {
  duro_buf b = {0};
  duro_buf_add_str(&b, duro_str_from(duro__sqlite_queries));
  duro_buf_add_lit(&b, "\n-- name: no_such_query\nSELECT 1\n");
  duro_buf_add_char(&b, 0);
  OK(parse(duro__sqlite_queries));
  REFUSED(parse(b.p), DURO_UNSUPPORTED, "no_such_query", "queries.h");
  REFUSED(parse("-- name: begin_read\nBEGIN\n-- name: begin_read\nBEGIN\n"), DURO_UNSUPPORTED,
          "begin_read", "twice");
  REFUSED(parse("-- name: begin_write\nBEGIN IMMEDIATE\n"), DURO_UNSUPPORTED, "no statement",
          "begin_read");
  REFUSED(parse(""), DURO_UNSUPPORTED, "no statement", "begin_write");
  duro_buf_free(&b);
}

CHECK_MAIN()
