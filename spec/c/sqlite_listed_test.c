// What folding brings into the rows of instances and into the table that lists read: once, whenever it comes.
#include "sqlite_owner.h"

// --- Counts ---

typedef struct step {
  int64_t key, first_event_id;
  duro_status before, status;
} step;

// A turn of two events, and a change of status if it brings one.
static duro_code try_step(owner *o, step p) {
  duro_store_marks next = o->marks;
  next.last_batch++;
  next.last_seq++;
  duro_turn_row turn = {.seq = next.last_seq,
                        .instance_key = p.key,
                        .execution_id = 1,
                        .first_event_id = p.first_event_id,
                        .event_count = 2,
                        .status = p.status,
                        .wake_at_ms = DURO_NEVER,
                        .waiting_on = DURO_STR("[]"),
                        .at_ms = o->now,
                        .turn_us = 5,
                        .events = DURO_STR("[{},{}]")};
  duro_instance_update update = {
      .set = DURO_SET_STATUS, .row = {.key = p.key, .updated_at_ms = o->now, .status = p.status}};
  if (duro_status_final(p.status)) update.row.completed_at_ms = o->now;
  duro_batch batch = {.id = next.last_batch,
                      .previous = o->marks.last_batch,
                      .epoch = o->epoch,
                      .now_ms = o->now,
                      .last_seq = next.last_seq,
                      .last_key = next.last_key,
                      .turns = &turn,
                      .turn_count = 1,
                      .updates = &update,
                      .update_count = p.status != p.before};
  duro_code code = ops->commit(o->s, &batch, &err);
  if (code == DURO_OK) o->marks = next;
  return code;
}

static bool take_step(owner *o, step p) { return OK(try_step(o, p)); }

static void check_counts(owner *o, int64_t turns) {
  duro_instance_row row = {0};
  OK(ops->get(o->s, DURO_STR("i"), &o->arena, &row, &err));
  CHECK_INT(row.turns, turns);
  CHECK_INT(row.event_count, turns * 2);
  CHECK_INT(row.turn_us_total, (turns - 1) * 5);
}

// `folds`: bit n: a fold of one row behind step n; everything is folded at the end.
static void count_with_folds(unsigned folds) {
  static const step steps[] = {{0, 3, DURO_STATUS_RUNNING, DURO_STATUS_RUNNING},
                               {0, 5, DURO_STATUS_RUNNING, DURO_STATUS_FAILED},
                               {0, 7, DURO_STATUS_FAILED, DURO_STATUS_RUNNING}, // tried again
                               {0, 9, DURO_STATUS_RUNNING, DURO_STATUS_COMPLETED}};
  owner o = {0};
  size_t folded;
  new_folder();
  if (!open_owner(&o) || !start(&o, "i")) return;
  for (unsigned i = 0; i < 4; i++) {
    step p = steps[i];
    p.key = o.marks.last_key;
    o.now += 10;
    if (!take_step(&o, p)) break;
    if (folds == 0 && duro_status_final(p.status)) check_counts(&o, i + 2); // at once
    if (folds >> i & 1) OK(ops->fold(o.s, o.epoch, o.now, 1, &folded, &err));
  }
  OK(fold(&o));
  check_counts(&o, 5);
  close_owner(&o);
  remove_folder();
}

TEST(a_turn_counts_once_whenever_folding_comes) {
  for (unsigned folds = 0; folds < 16; folds++) count_with_folds(folds);
}

static int refuse(void *user) {
  (void)user;
  return 1;
}

TEST(a_turn_whose_commit_failed_at_its_end_counts_once) {
  owner o = {0};
  new_folder();
  if (!open_owner(&o) || !start(&o, "i")) return;
  step p = {o.marks.last_key, 3, DURO_STATUS_RUNNING, DURO_STATUS_RUNNING};
  sqlite3_commit_hook(o.s->write->db, refuse, NULL);
  CHECK(try_step(&o, p) != DURO_OK);
  duro_error_free(err);
  err = NULL;
  sqlite3_commit_hook(o.s->write->db, NULL, NULL);
  take_step(&o, p);
  take_step(&o, (step){p.key, 5, DURO_STATUS_RUNNING, DURO_STATUS_COMPLETED});
  OK(fold(&o));
  check_counts(&o, 3);
  close_owner(&o);
  remove_folder();
}

// --- Listed ---

static int64_t number(const char *query) { return strtoll(ask(query), NULL, 10); }

static int64_t listed(void) { return number("SELECT count(*) FROM listed"); }

// Rows of `listed` that say something else than those of instances.
static int64_t wrong(void) {
  return number(
      "SELECT count(*) FROM (SELECT instance_key, status, name, updated_at_ms, completed_at_ms,"
      " parent_id, wake_at_ms FROM instances WHERE instance_key <= (SELECT max(instance_key)"
      " FROM listed) EXCEPT SELECT * FROM listed)");
}

TEST(an_instance_is_listed_by_the_first_fold) {
  owner o = {0};
  new_folder();
  if (!open_owner(&o) || !start(&o, "a") || !start(&o, "b")) return;
  CHECK_INT(listed(), 0);
  OK(fold(&o));
  CHECK_INT(listed(), 2);
  start(&o, "c");
  take_step(&o, (step){o.marks.last_key, 3, DURO_STATUS_RUNNING, DURO_STATUS_COMPLETED});
  CHECK_INT(listed(), 2);
  OK(fold(&o));
  CHECK_INT(listed(), 3);
  CHECK_INT(number("SELECT count(*) FROM listed WHERE status = 'completed'"), 1);
  CHECK_INT(wrong(), 0);
  take_step(&o, (step){o.marks.last_key, 5, DURO_STATUS_COMPLETED, DURO_STATUS_RUNNING});
  CHECK_INT(number("SELECT count(*) FROM listed WHERE status = 'completed'"), 0);
  CHECK_INT(wrong(), 0);
  close_owner(&o);
  remove_folder();
}

// `count` instances in one batch. Of the first half all have ended but one in a hundred.
static bool start_many(owner *o, size_t count) {
  duro_store_marks next = o->marks;
  duro_instance_row *rows = calloc(count, sizeof *rows);
  char(*ids)[24] = calloc(count, sizeof *ids);
  next.last_batch++;
  for (size_t i = 0; i < count; i++) {
    next.last_key = duro_key_next(next.last_key, o->now, false);
    snprintf(ids[i], sizeof ids[i], "m%lld", (long long)next.last_key);
    bool ended = i < count / 2 && i % 100 > 0;
    rows[i] = (duro_instance_row){.key = next.last_key,
                                  .id = duro_str_from(ids[i]),
                                  .name = DURO_STR("order"),
                                  .status = ended ? DURO_STATUS_COMPLETED : DURO_STATUS_RUNNING,
                                  .created_at_ms = o->now,
                                  .updated_at_ms = o->now,
                                  .completed_at_ms = ended ? o->now : 0,
                                  .execution_id = 1};
  }
  duro_batch batch = {.id = next.last_batch,
                      .previous = o->marks.last_batch,
                      .epoch = o->epoch,
                      .now_ms = o->now,
                      .last_seq = next.last_seq,
                      .last_key = next.last_key,
                      .inserts = rows,
                      .insert_count = count};
  bool held = OK(ops->commit(o->s, &batch, &err));
  if (held) o->marks = next;
  free(ids);
  free(rows);
  return held;
}

TEST(many_that_have_ended_are_listed_before_the_fold) {
  owner o = {0};
  new_folder();
  if (!open_owner(&o) || !start_many(&o, UNLISTED_ROWS - 1)) return;
  CHECK_INT(listed(), 0);
  start_many(&o, 100);
  CHECK_INT(listed(), 1500); // up to the sixteenth that runs, each the first of a hundred
  CHECK_INT(wrong(), 0);
  OK(fold(&o));
  CHECK_INT(listed(), UNLISTED_ROWS + 99);
  CHECK_INT(wrong(), 0);
  close_owner(&o);
  remove_folder();
}

// Clients start without an owner, who would fold.
TEST(what_clients_start_does_not_stay_unlisted_for_ever) {
  owner o = {0};
  new_folder();
  if (!open_owner(&o)) return;
  for (int i = 0; i < 5; i++) {
    char id[8];
    snprintf(id, sizeof id, "o%d", i);
    start(&o, id);
  }
  duro_store *client;
  duro_store_options options = options_of(&o, true);
  OK(ops->open(&options, &client, &err));
  for (int i = 0; i < 10; i++) {
    char id[8];
    snprintf(id, sizeof id, "c%d", i);
    OK(post_one(client, id));
    int64_t found = number("SELECT count(*) FROM instances") - listed();
    CHECK(found <= 5);
  }
  CHECK_INT(listed(), 15);
  CHECK_INT(wrong(), 0);
  start(&o, "late"); // its key may be below those of clients
  OK(fold(&o));
  CHECK_INT(listed(), 16);
  CHECK_INT(wrong(), 0);
  ops->close(client);
  close_owner(&o);
  remove_folder();
}

CHECK_MAIN()
