// What a batch leaves for the next one (store/sqlite/chain.c): marks and counts that ride in the trailer of its
// last row, until a fold or a batch without a turn brings them into their tables.
#include "sqlite_owner.h"

// A batch of one turn of the last instance, with these counts.
static bool step_with(owner *o, const duro_counter *counters, size_t count) {
  duro_turn_row turn = {.seq = o->marks.last_seq + 1,
                        .instance_key = o->marks.last_key,
                        .execution_id = 1,
                        .first_event_id = 3,
                        .event_count = 1,
                        .status = DURO_STATUS_RUNNING,
                        .wake_at_ms = DURO_NEVER,
                        .at_ms = o->now,
                        .events = DURO_STR("[{\"id\":3,\"kind\":\"timer_fired\",\"source\":2}]")};
  duro_batch batch = {.id = o->marks.last_batch + 1,
                      .previous = o->marks.last_batch,
                      .epoch = o->epoch,
                      .now_ms = o->now,
                      .last_seq = turn.seq,
                      .turns = &turn,
                      .turn_count = 1,
                      .counters = counters,
                      .counter_count = count};
  if (!OK(ops->commit(o->s, &batch, &err))) return false;
  o->marks.last_batch++;
  o->marks.last_seq++;
  return true;
}

// The counts of all time, or by minute from `from_ms` on, as "name metric minute = delta; ...".
static const char *counts(duro_store *s, int64_t from_ms, bool by_minute) {
  static char text[512];
  duro_arena arena = {0};
  duro_counters found = {0};
  size_t n = 0;
  text[0] = 0;
  OK(ops->counters(s, from_ms, DURO_NEVER, by_minute, &arena, &found, &err));
  for (size_t i = 0; i < found.count; i++) {
    const duro_counter *c = &found.items[i];
    n += (size_t)snprintf(text + n, sizeof text - n, "%.*s %.*s %lld = %lld; ", DURO_FMT(c->name),
                          DURO_FMT(c->metric), (long long)c->minute_ms, (long long)c->delta);
  }
  duro_arena_free(&arena);
  return text;
}

static const duro_counter step_counts[] = {
    {DURO_STR("order"), DURO_STR("activities"), 60000, 1},
    {DURO_STR("order"), DURO_STR("in_running"), 0, -1},
    {DURO_STR("order"), DURO_STR("in_stalled"), 0, 1},
};

TEST(a_commit_of_a_turn_writes_one_page) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  for (int i = 0; i < 5; i++) {
    int before = o.s->log_frames;
    if (!step_with(&o, step_counts, 3)) break;
    CHECK_INT(o.s->log_frames - before, 1);
  }
  close_owner(&o);
  remove_folder();
}

TEST(counts_are_told_before_and_after_they_come_into_their_tables) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  duro_counter later = {DURO_STR("order"), DURO_STR("activities"), 120000, 5};
  for (int round = 1; round <= 2; round++) {
    step_with(&o, step_counts, 3);
    step_with(&o, &later, 1);
    CHECK_STR(ask("SELECT count(*) FROM unsettled_counts"), "4");
    for (int settled = 0; settled < 2; settled++) {
      char all[256], minutes[256], sums[256];
      snprintf(all, sizeof all,
               "order activities 0 = %d; order in_running 0 = %d; order in_stalled 0 = %d; ",
               6 * round, -round, round);
      snprintf(minutes, sizeof minutes,
               "order activities 60000 = %d; order activities 120000 = %d; ", round, 5 * round);
      snprintf(sums, sizeof sums, "order activities 0 = %d; ", 5 * round);
      CHECK_STR(counts(o.s, 0, false), all);
      CHECK_STR(counts(o.s, 0, true), minutes);
      CHECK_STR(counts(o.s, 120000, false), sums);
      if (!settled) OK(fold(&o));
    }
    CHECK_STR(ask("SELECT count(*) FROM unsettled_counts"), "0");
  }
  close_owner(&o);
  remove_folder();
}

TEST(the_next_owner_goes_on_from_the_last_trailer) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  step_with(&o, step_counts, 3);
  CHECK_STR(ask("SELECT last_batch FROM settled_marks"), "0");
  duro_store_marks left = o.marks;
  close_owner(&o); // nothing is folded
  if (!open_owner(&o)) return;
  CHECK_INT(o.marks.last_batch, left.last_batch);
  CHECK_INT(o.marks.last_seq, left.last_seq);
  CHECK_INT(o.marks.last_key, left.last_key);
  step_with(&o, step_counts, 3);
  CHECK_STR(counts(o.s, 0, true), "order activities 60000 = 2; ");
  CHECK_STR(ask("SELECT instance_count FROM marks"), "1");
  OK(fold(&o));
  CHECK_STR(ask("SELECT instance_count FROM settled_marks"), "1");
  CHECK_STR(counts(o.s, 0, true), "order activities 60000 = 2; ");
  close_owner(&o);
  remove_folder();
}

TEST(a_batch_without_a_turn_settles_what_those_before_it_left) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  step_with(&o, step_counts, 3);
  duro_batch batch = {.id = o.marks.last_batch + 1,
                      .previous = o.marks.last_batch,
                      .epoch = o.epoch,
                      .now_ms = o.now,
                      .last_job_id = 7};
  OK(ops->commit(o.s, &batch, &err));
  o.marks.last_batch++;
  CHECK_STR(ask("SELECT count(*) FROM trailer"), "0");
  CHECK_STR(ask("SELECT last_job_id || ' ' || instance_count FROM settled_marks"), "7 1");
  CHECK_STR(counts(o.s, 0, true), "order activities 60000 = 1; ");
  step_with(&o, step_counts, 3); // and the next one has a trailer again
  CHECK_STR(ask("SELECT last_job_id || ' ' || instance_count FROM marks"), "7 1");
  CHECK_STR(counts(o.s, 0, true), "order activities 60000 = 2; ");
  close_owner(&o);
  remove_folder();
}

TEST(more_counts_than_a_trailer_carries_go_into_their_tables) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  duro_counter many[MAX_UNSETTLED_COUNTS + 1];
  char names[MAX_UNSETTLED_COUNTS + 1][8];
  for (int i = 0; i <= MAX_UNSETTLED_COUNTS; i++) {
    snprintf(names[i], sizeof names[i], "n%d", i);
    many[i] = (duro_counter){duro_str_from(names[i]), DURO_STR("started"), 0, 1};
  }
  step_with(&o, many, MAX_UNSETTLED_COUNTS);
  CHECK_STR(ask("SELECT count(*) FROM counters"), "0");
  step_with(&o, many, MAX_UNSETTLED_COUNTS + 1);
  CHECK_STR(ask("SELECT count(*) FROM unsettled_counts"), "0");
  CHECK_STR(ask("SELECT group_concat(DISTINCT value) FROM counters WHERE name < 'n24'"), "2");
  CHECK_STR(ask("SELECT value FROM counters WHERE name = 'n24'"), "1");
  close_owner(&o);
  remove_folder();
}

TEST(a_post_of_a_client_between_two_batches_is_kept) {
  new_folder();
  owner o = {0};
  if (!open_owner(&o)) return;
  start(&o, "a");
  step_with(&o, step_counts, 3);
  duro_store *client;
  duro_store_options options = options_of(&o, true);
  if (!OK(ops->open(&options, &client, &err))) return;
  OK(post_one(client, "b"));
  ops->close(client);
  CHECK_STR(ask("SELECT instance_count FROM marks"), "2");
  step_with(&o, step_counts, 3);
  CHECK_STR(ask("SELECT instance_count FROM marks"), "2");
  OK(fold(&o));
  CHECK_STR(ask("SELECT instance_count FROM settled_marks"), "2");
  CHECK_STR(counts(o.s, 0, true), "order activities 60000 = 2; ");
  close_owner(&o);
  remove_folder();
}

TEST(a_file_from_before_trailers_goes_on_where_it_was) {
  new_folder();
  sql("PRAGMA journal_mode = WAL");
  sql(duro__sqlite_migrations[0].sql);
  sql("PRAGMA application_id = 1685418607; PRAGMA user_version = 1;"
      "UPDATE marks SET last_batch = 3, last_seq = 9, instance_count = 4, latest_ms = 7;"
      "INSERT INTO journal VALUES (9, 1, 1, 1, 0, 'running', 7, 0, NULL, 0, NULL, '[]');"
      "INSERT INTO counters VALUES ('order', 'activities', 2)");
  owner o = {0};
  if (!open_owner(&o)) return;
  CHECK_INT(o.marks.last_batch, 3);
  CHECK_INT(o.marks.last_seq, 9);
  start(&o, "a");
  step_with(&o, step_counts, 1);
  CHECK_STR(ask("SELECT last_batch || ' ' || last_seq || ' ' || instance_count FROM marks"),
            "5 11 5");
  CHECK_STR(counts(o.s, 0, false), "order activities 0 = 3; ");
  close_owner(&o);
  remove_folder();
}

CHECK_MAIN()
