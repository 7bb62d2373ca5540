// How the SQLite store finds what it is asked for: no statement reads a whole table that grows, and
// lists use the index they are meant to use, in every order, also when a page goes on.
//
// It asks EXPLAIN QUERY PLAN about the very SQL that runs, so it also fails when SQLite itself
// changes its mind. That lists find the right rows is for spec/conformance/lists.h.
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "store/sqlite/internal.h"

#define NOW INT64_C(1763780000000)

static char folder[64], path[96];
static duro_store *store;
static sqlite3 *db; // a connection of our own to the same file
static duro_error *err;

static bool ok(duro_code code) {
  bool held = CHECK_STR(duro_code_string(code), "ok");
  if (!held && err) fprintf(stderr, "    %s\n", err->message);
  duro_error_free(err);
  err = NULL;
  return held;
}

// --- A file with instances ---

static const char *const names[] = {"order", "order-line", "invoice", "refund"};
static const char *const waits[] = {"[\"timer\"]", "[\"event:go\"]", "[\"activity\"]", "[]"};

// `count` instances in one batch, every kind of row among them. Those that are not listed are in no index of
// lists yet (listed.c).
static bool fill(int64_t count, bool listed) {
  duro_store_marks marks;
  duro_arena arena = {0};
  duro_lease held, wanted = {.owner = DURO_STR("test"), .expires_at_ms = NOW + 1};
  duro_instance_row *rows = calloc((size_t)count, sizeof *rows);
  char(*ids)[24] = calloc((size_t)count, sizeof *ids);
  if (!ok(duro_store_sqlite.acquire(store, &wanted, true, NOW, &arena, &held, &err))) return false;
  if (!ok(duro_store_sqlite.marks(store, &arena, &marks, &err))) return false;
  int64_t key = marks.last_key;
  for (int64_t i = 0; i < count; i++) {
    key = duro_key_next(key, NOW + i, false);
    snprintf(ids[i], sizeof ids[i], "%c-%lld", (char)('a' + i % 5), (long long)key);
    bool ended = i % 3 == 0;
    rows[i] = (duro_instance_row){.key = key,
                                  .id = duro_str_from(ids[i]),
                                  .name = duro_str_from(names[i % 4]),
                                  .version = DURO_STR("1"),
                                  .status = ended ? DURO_STATUS_COMPLETED : DURO_STATUS_RUNNING,
                                  .created_at_ms = NOW + i,
                                  .updated_at_ms = NOW + i / 7,
                                  .completed_at_ms = ended ? NOW + i : 0,
                                  .execution_id = 1,
                                  .parent_key = i % 4 == 1 ? key - 1 : 0,
                                  .parent_id = i % 4 == 1 ? DURO_STR("p") : DURO_NONE,
                                  .attributes = DURO_STR("{\"region\":\"eu\"}"),
                                  .waiting_on = duro_str_from(waits[i % 4])};
  }
  duro_batch batch = {.id = marks.last_batch + 1,
                      .previous = marks.last_batch,
                      .epoch = held.epoch,
                      .now_ms = NOW + count,
                      .last_key = key,
                      .inserts = rows,
                      .insert_count = (size_t)count};
  size_t folded;
  bool held_up = ok(duro_store_sqlite.commit(store, &batch, &err));
  if (listed) held_up &= ok(duro_store_sqlite.fold(store, held.epoch, NOW, 1, &folded, &err));
  free(rows);
  free(ids);
  duro_arena_free(&arena);
  return held_up;
}

static bool set_up(int64_t count) {
  strcpy(folder, "/tmp/duro-plan-XXXXXX");
  if (!CHECK(mkdtemp(folder) != NULL)) return false;
  snprintf(path, sizeof path, "%s/store.db", folder);
  duro_store_options options = {.path = path, .now_ms = NOW};
  if (!ok(duro_store_sqlite.open(&options, &store, &err))) return false;
  CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
  return fill(count, true);
}

static void tear_down(void) {
  sqlite3_close(db);
  duro_store_sqlite.close(store);
  unlink(path);
  rmdir(folder);
}

// --- Plans ---

// The plan of a statement, one line for each step.
static void explain(const char *sql, duro_buf *out) {
  char *wrapped = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
  sqlite3_stmt *stmt = NULL;
  duro_buf_clear(out);
  if (!CHECK_INT(sqlite3_prepare_v2(db, wrapped, -1, &stmt, NULL), SQLITE_OK)) {
    fprintf(stderr, "    %s\n    %s\n", sqlite3_errmsg(db), sql);
  }
  while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
    duro_buf_add_str(out, duro_str_from((const char *)sqlite3_column_text(stmt, 3)));
    duro_buf_add_char(out, '\n');
  }
  duro_buf_add_char(out, 0);
  sqlite3_finalize(stmt);
  sqlite3_free(wrapped);
}

static void show(const char *what, const char *sql, const char *plan) {
  fprintf(stderr, "    %s\n    %s\n%s", what, sql, plan);
}

// No step reads all of a table or of an index, but for those in `allowed` (a NULL ends it).
static bool scans_nothing(char *plan, const char *const *allowed) {
  for (char *line = plan, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    if (strncmp(line, "SCAN ", 5) != 0) continue;
    bool fine = false;
    for (const char *const *a = allowed; *a; a++) fine |= strncmp(line + 5, *a, strlen(*a)) == 0;
    if (!fine) return false;
  }
  return true;
}

// The statement that the last list ended with: the newest in the cache of the connection it used.
static const char *last_list(void) {
  const duro__sqlite_conn *c = store->idle;
  const duro__sqlite_cached *newest = NULL;
  for (size_t i = 0; c && i < LIST_CACHE_SIZE; i++) {
    const duro__sqlite_cached *e = &c->cache[i];
    if (e->stmt && (!newest || e->used_at > newest->used_at)) newest = e;
  }
  return newest ? newest->sql : "";
}

// Lists, and explains what that ran. False when it failed, or found out that it need not look.
static bool explain_list(const duro_list_query *q, duro_buf *plan) {
  duro_arena arena = {0};
  duro_instance_rows rows;
  uint64_t uses = store->idle ? store->idle->uses : 0;
  bool fine = ok(duro_store_sqlite.list(store, q, &arena, &rows, &err));
  duro_arena_free(&arena);
  if (!fine || !store->idle || store->idle->uses == uses) return false;
  explain(last_list(), plan);
  return true;
}

// --- Lists ---

typedef struct expectation {
  const char *what;
  duro_filter filter;
  const char *step; // part of a step of the plan
  unsigned ordered; // bits 1 << duro_order_by: the orders that need no sorting
} expectation;

#define CREATED (1u << DURO_BY_CREATED)
#define UPDATED (1u << DURO_BY_UPDATED)
#define ID      (1u << DURO_BY_ID)
#define NAME    (1u << DURO_BY_NAME)

static const duro_name_match one_name[] = {{DURO_STR("order"), false}};
static const duro_name_match two_names[] = {{DURO_STR("order"), false},
                                            {DURO_STR("refund"), false}};
static const duro_name_match a_prefix[] = {{DURO_STR("ord"), true}};
static const duro_name_match mixed[] = {{DURO_STR("ord"), true}, {DURO_STR("refund"), false}};
static const duro_attribute_match region[] = {{DURO_STR("region"), DURO_STR("\"eu\"")}};
static const duro_str ids[] = {DURO_STR("a-1"), DURO_STR("b-2")};

static const expectation expectations[] = {
    {"a status",
     {.statuses = 1u << DURO_STATUS_RUNNING},
     "COVERING INDEX instances_by_status (status=?",
     CREATED},
    {"statuses",
     {.statuses =
          1u << DURO_STATUS_RUNNING | 1u << DURO_STATUS_FAILED | 1u << DURO_STATUS_COMPLETED},
     "COVERING INDEX instances_by_status (status=?",
     CREATED},
    {"a name",
     {.names = one_name, .name_count = 1},
     "COVERING INDEX instances_by_name (name=?",
     CREATED | NAME},
    {"names",
     {.names = two_names, .name_count = 2},
     "COVERING INDEX instances_by_name (name=?",
     CREATED | NAME},
    {"a name's prefix",
     {.names = a_prefix, .name_count = 1},
     "COVERING INDEX instances_by_name (name>?",
     NAME},
    {"both", {.names = mixed, .name_count = 2}, "COVERING INDEX instances_by_name (name>?", NAME},
    {"an id's prefix", {.id_prefix = DURO_STR("a-")}, "INDEX instances_by_id (id>?", ID},
    {"created after", {.created_after = NOW + 50}, "INTEGER PRIMARY KEY (rowid>?", CREATED},
    {"created between",
     {.created_after = NOW + 50, .created_before = NOW + 70},
     "INTEGER PRIMARY KEY (rowid>? AND rowid<?",
     CREATED},
    {"a status, created after",
     {.statuses = 1u << DURO_STATUS_RUNNING, .created_after = NOW + 390},
     "COVERING INDEX instances_by_status (status=? AND rowid>?",
     CREATED},
    {"updated after",
     {.updated_after = NOW + 50},
     "COVERING INDEX instances_by_updated (updated_at_ms>?",
     UPDATED},
    {"completed before",
     {.completed_before = NOW + 50},
     "COVERING INDEX instances_by_completed (completed_at_ms<?",
     0},
    {"a parent",
     {.parent_id = DURO_STR("p")},
     "COVERING INDEX instances_by_parent (parent_id=?",
     CREATED},
    {"children", {.has_parent = 1}, "COVERING INDEX instances_by_parent (parent_id>?)", 0},
    {"waiting for a timer", {.waiting_on = DURO_STR("timer")}, "PRIMARY KEY (what=?", CREATED},
    {"waiting for an event", {.waiting_on = DURO_STR("event")}, "PRIMARY KEY (what=?", CREATED},
    {"an attribute",
     {.attributes = region, .attribute_count = 1},
     "PRIMARY KEY (key=? AND value=?",
     CREATED},
    {"ids", {.ids = ids, .id_count = 2}, "INDEX instances_by_id (id=?", 0},
};

static duro_list_query query_of(const expectation *e, duro_order_by order, bool ascending,
                                bool goes_on) {
  duro_list_query q = {.filter = e->filter, .order_by = order, .ascending = ascending, .limit = 10};
  if (!goes_on) return q;
  q.after_key = duro_key_floor(NOW + 55);
  q.after_updated_ms = NOW + 5;
  q.after_text = order == DURO_BY_ID ? DURO_STR("a-5") : DURO_STR("order");
  return q;
}

static void check_plan(const expectation *e, duro_list_query q) {
  static const char *const allowed[] = {"json_each", "l", NULL}; // `l`: the ids asked for
  duro_buf plan = {0};
  if (explain_list(&q, &plan)) {
    bool of_ids = q.filter.id_count > 0;
    bool fine = CHECK(strstr(plan.p, e->step) != NULL);
    fine &= CHECK(scans_nothing(plan.p, of_ids ? allowed : &allowed[2]));
    if (e->ordered >> q.order_by & 1) fine &= CHECK(strstr(plan.p, "TEMP B-TREE") == NULL);
    char what[96];
    snprintf(what, sizeof what, "list by %s, order %d%s%s", e->what, (int)q.order_by,
             q.ascending ? ", ascending" : "", q.after_key ? ", going on" : "");
    if (!fine) show(what, last_list(), plan.p);
  }
  duro_buf_free(&plan);
}

TEST(every_filter_uses_its_index_in_every_order) {
  if (!set_up(400)) return;
  for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
    for (int order = DURO_BY_CREATED; order <= DURO_BY_NAME; order++) {
      for (int variant = 0; variant < 8; variant++) {
        duro_list_query q =
            query_of(&expectations[i], (duro_order_by)order, variant & 1, variant & 2);
        q.brief = variant & 4;
        check_plan(&expectations[i], q);
      }
    }
  }
  tear_down();
}

// With some that are in no index yet: the plan is the same, and only they are sorted.
TEST(what_is_not_listed_yet_is_merged_in) {
  if (!set_up(400) || !fill(5, false)) return;
  duro_buf plan = {0};
  for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
    const expectation *e = &expectations[i];
    for (int variant = 0; variant < 16; variant++) {
      duro_list_query q = query_of(e, (duro_order_by)(variant / 4), variant & 1, variant & 2);
      if (!explain_list(&q, &plan)) continue;
      char *sorted = strstr(plan.p, "TEMP B-TREE");
      bool fine = CHECK(strstr(plan.p, e->step) != NULL);
      if (e->ordered >> q.order_by & 1 && sorted) {
        fine &= CHECK(strstr(sorted + 1, "TEMP B-TREE") == NULL);
      }
      if (strstr(e->step, "COVERING")) {
        fine &= CHECK(strstr(plan.p, "SEARCH i USING INTEGER PRIMARY KEY (rowid>?") != NULL);
      }
      if (!fine) show(e->what, last_list(), plan.p);
    }
  }
  duro_buf_free(&plan);
  tear_down();
}

TEST(a_list_of_everything_walks_the_index_of_its_order) {
  static const char *const steps[] = {"SCAN i", "SCAN l USING COVERING INDEX instances_by_updated",
                                      "SCAN i USING INDEX instances_by_id",
                                      "SCAN l USING COVERING INDEX instances_by_name"};
  if (!set_up(10)) return;
  duro_buf plan = {0};
  for (int order = DURO_BY_CREATED; order <= DURO_BY_NAME; order++) {
    for (int variant = 0; variant < 4; variant++) {
      expectation all = {"nothing", {0}, "", 0};
      duro_list_query q = query_of(&all, (duro_order_by)order, variant & 1, variant & 2);
      if (!CHECK(explain_list(&q, &plan))) continue;
      bool fine = CHECK(strstr(plan.p, "TEMP B-TREE") == NULL);
      if (!q.after_key) fine &= CHECK(strncmp(plan.p, steps[order], strlen(steps[order])) == 0);
      if (q.after_key) fine &= CHECK(strstr(plan.p, "SCAN") == NULL);
      if (!fine) show("list of everything", last_list(), plan.p);
    }
  }
  duro_buf_free(&plan);
  tear_down();
}

// A count reads what its filter's index holds, and no more than the list it counts.
TEST(a_count_uses_an_index_of_its_filter) {
  static const char *const allowed[] = {"json_each", "l", "(subquery", NULL};
  if (!set_up(400)) return;
  duro_buf plan = {0};
  for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
    duro_list_query q = query_of(&expectations[i], DURO_BY_CREATED, false, false);
    duro_arena arena = {0};
    duro_instance_rows rows = {0};
    int64_t count = -1;
    q.limit = 1000;
    if (ok(duro_store_sqlite.list(store, &q, &arena, &rows, &err)) &&
        ok(duro_store_sqlite.count(store, &q.filter, 1000, &count, &err))) {
      CHECK_INT(count, rows.count);
      explain(last_list(), &plan);
      bool of_ids = q.filter.id_count > 0;
      if (!CHECK(scans_nothing(plan.p, of_ids ? allowed : &allowed[2]))) {
        show(expectations[i].what, last_list(), plan.p);
      }
      if (rows.count > 1) {
        ok(duro_store_sqlite.count(store, &q.filter, 1, &count, &err));
        CHECK_INT(count, 1);
      }
    }
    duro_arena_free(&arena);
  }
  duro_buf_free(&plan);
  tear_down();
}

// A filter that nearly everything matches is not sorted: its order is walked.
TEST(a_large_match_in_another_order_is_walked) {
  if (!set_up(400)) return;
  store->list_probe_rows = 50;
  duro_list_query q = {
      .filter.statuses = 1u << DURO_STATUS_RUNNING, .order_by = DURO_BY_UPDATED, .limit = 10};
  duro_buf plan = {0};
  CHECK(explain_list(&q, &plan));
  CHECK(strstr(plan.p, "SCAN l USING COVERING INDEX instances_by_updated") != NULL);
  CHECK(strstr(plan.p, "TEMP B-TREE") == NULL);
  duro_buf_free(&plan);
  tear_down();
}

static void check_page(duro_list_query q, size_t want) {
  duro_arena arena = {0};
  duro_instance_rows rows;
  if (ok(duro_store_sqlite.list(store, &q, &arena, &rows, &err))) {
    CHECK_INT(rows.count, want);
    for (size_t i = 1; i < rows.count; i++) {
      CHECK(rows.items[i].updated_at_ms <= rows.items[i - 1].updated_at_ms);
    }
  }
  duro_arena_free(&arena);
}

// Matches that lie far away in the order walked: the walk gives up and they are sorted.
TEST(a_walk_that_finds_nothing_ends_and_the_matches_are_sorted) {
  if (!set_up(20000)) return;
  store->list_probe_rows = 50;
  store->list_walk_steps = 20000;
  duro_list_query q = {
      .filter.created_before = NOW + 200, .order_by = DURO_BY_UPDATED, .limit = 30};
  for (int again = 0; again < 3; again++) check_page(q, 30);
  CHECK(strstr(last_list(), "instances AS i NOT INDEXED") != NULL); // by key, and sorted
  q.filter.error_contains = DURO_STR("nothing");
  check_page(q, 0);
  tear_down();
}

TEST(more_shapes_of_lists_than_are_kept_prepared_all_work) {
  if (!set_up(50)) return;
  for (int round = 0; round < 2; round++) {
    for (unsigned shape = 0; shape < 3 * LIST_CACHE_SIZE; shape++) {
      duro_name_match many[8];
      duro_arena arena = {0};
      duro_instance_rows rows;
      duro_list_query q = {.filter = {.names = many,
                                      .name_count = shape % 8,
                                      .version = shape & 8 ? DURO_STR("1") : DURO_NONE,
                                      .statuses = shape & 16 ? 1u << DURO_STATUS_RUNNING : 0,
                                      .updated_after = shape & 32 ? NOW - 1 : 0},
                           .order_by = (duro_order_by)(shape / 64 % 4),
                           .limit = 100};
      static const char *const more[] = {"order", "order-line", "invoice", "refund",
                                         "x",     "y",          "z",       "w"};
      for (size_t i = 0; i < 8; i++) many[i] = (duro_name_match){duro_str_from(more[i]), false};
      if (ok(duro_store_sqlite.list(store, &q, &arena, &rows, &err))) {
        size_t matching = shape % 8 == 0 || shape % 8 >= 4 ? 50 : 0;
        if (matching && !(shape & 16)) CHECK_INT(rows.count, matching);
      }
      duro_arena_free(&arena);
    }
  }
  tear_down();
}

TEST(too_many_names_are_refused) {
  if (!set_up(5)) return;
  duro_name_match many[LIST_MAX_ARMS + 1];
  duro_arena arena = {0};
  duro_instance_rows rows;
  duro_list_query q = {.filter = {.names = many, .name_count = LIST_MAX_ARMS + 1}, .limit = 1};
  for (size_t i = 0; i < q.filter.name_count; i++)
    many[i] = (duro_name_match){DURO_STR("n"), false};
  CHECK_INT(duro_store_sqlite.list(store, &q, &arena, &rows, &err), DURO_TOO_LARGE);
  CHECK(err && strstr(err->message, "64 names (has 65)") != NULL);
  duro_error_free(err);
  err = NULL;
  duro_arena_free(&arena);
  tear_down();
}

TEST(statuses_that_no_instance_has_match_nothing) {
  if (!set_up(5)) return;
  duro_list_query q = {.filter.statuses = 1u << DURO_STATUS_CONTINUED_AS_NEW, .limit = 10};
  check_page(q, 0);
  q.filter.statuses = 1u << 30; // no status at all
  check_page(q, 0);
  q.filter.id_prefix = DURO_STR("a");
  check_page(q, 0);
  tear_down();
}

// --- All other statements ---

TEST(no_statement_reads_a_whole_table_that_grows) {
  // One row, one for each name and metric, or what was asked for itself.
  static const char *const allowed[] = {"m",         "settled_marks", "l ",
                                        "lease",     "CONSTANT ROW",  "counters",
                                        "json_each", "pragma_",       NULL};
  static const char *const passed[] = {"begin_", "commit_", "rollback_", "read_data_version"};
  if (!set_up(5)) return;
  duro_buf plan = {0};
  for (int q = 0; q < Q_COUNT; q++) {
    sqlite3_stmt *stmt = store->write->stmts[q];
    if (!stmt) continue; // a fragment
    static const char *const all_names[] = {
#define X(name, kind) #name,
        DURO__SQLITE_QUERIES(X)
#undef X
    };
    bool plain = false;
    for (size_t i = 0; i < 4; i++)
      plain |= strncmp(all_names[q], passed[i], strlen(passed[i])) == 0;
    if (plain) continue;
    explain(sqlite3_sql(stmt), &plan);
    if (!CHECK(scans_nothing(plan.p, allowed))) show(all_names[q], sqlite3_sql(stmt), plan.p);
    if (!CHECK(strstr(plan.p, "AUTOMATIC") == NULL)) show(all_names[q], "", plan.p);
  }
  explain("SELECT * FROM v_events WHERE instance_id = 'a'", &plan);
  CHECK(strstr(plan.p, "SCAN history") == NULL);
  CHECK(strstr(plan.p, "SCAN journal") == NULL);
  CHECK(strstr(plan.p, "SEARCH i USING INDEX instances_by_id (id=?)") != NULL);
  explain(store->queries[Q_read_due], &plan);
  char *sorted = strstr(plan.p, "TEMP B-TREE"); // but for what is not listed yet
  CHECK(sorted != NULL && strstr(sorted + 1, "TEMP B-TREE") == NULL);
  CHECK(strstr(plan.p, "INDEX instances_by_wake (wake_at_ms=? AND rowid>?") != NULL);
  duro_buf_free(&plan);
  tear_down();
}

CHECK_MAIN()
