// Contracts of the audit log: entries come and go with batches, and are read from the newest on.
#include "harness.h"

static void draft_audit(draft *d, int64_t id, const char *action) {
  d->audit[d->b.audit_count++] = (duro_audit_row){.id = id,
                                                  .at_ms = d->f->now,
                                                  .action = keep(d->f, action),
                                                  .target = DURO_STR("[\"a\"]"),
                                                  .detail = DURO_STR("{\"outcome\":\"ok\"}")};
}

static bool log_one(fixture *f, int64_t id) {
  draft *d = draft_new(f);
  draft_audit(d, id, "cancel");
  return OK(f, draft_send(d));
}

// The ids of the entries below `before` as "9,5,1".
static const char *logged(fixture *f, int64_t before, size_t limit) {
  duro_audit_row *rows;
  size_t count;
  duro_buf b = {0};
  if (!OK(f, duro__store_audit(f->s, before, limit, &f->arena, &rows, &count, &f->err))) return "?";
  for (size_t i = 0; i < count; i++)
    duro_buf_printf(&b, i ? ",%lld" : "%lld", (long long)rows[i].id);
  const char *text = duro_arena_dup(&f->arena, duro_buf_str(&b)).p;
  duro_buf_free(&b);
  return text ? text : "";
}

CONTRACT(audit_entries_come_back_whole_and_the_newest_first) {
  duro_audit_row *rows;
  size_t count;
  draft *d = draft_new(f);
  draft_audit(d, 10, "start");
  d->audit[0].actor = DURO_STR("{\"user_id\":\"ann\"}");
  draft_audit(d, 25, "cancel");
  OK(f, draft_send(d));
  OK(f, duro__store_audit(f->s, 0, 10, &f->arena, &rows, &count, &f->err));
  if (!CHECK_INT((int64_t)count, 2)) return;
  CHECK_INT(rows[0].id, 25);
  CHECK(!rows[0].actor.p);
  CHECK_TEXT(f, rows[0].action, DURO_STR("cancel"));
  CHECK_INT(rows[1].id, 10);
  CHECK_INT(rows[1].at_ms, NOW);
  CHECK_TEXT(f, rows[1].actor, DURO_STR("{\"user_id\":\"ann\"}"));
  CHECK_TEXT(f, rows[1].action, DURO_STR("start"));
  CHECK_TEXT(f, rows[1].target, DURO_STR("[\"a\"]"));
  CHECK_TEXT(f, rows[1].detail, DURO_STR("{\"outcome\":\"ok\"}"));
}

CONTRACT(the_audit_log_is_read_in_pages_backwards) {
  CHECK_STR(logged(f, 0, 10), "");
  for (int64_t id = 10; id <= 50; id += 10) log_one(f, id);
  CHECK_STR(logged(f, 0, 2), "50,40");
  CHECK_STR(logged(f, 40, 2), "30,20");
  CHECK_STR(logged(f, 20, 2), "10");
  CHECK_STR(logged(f, 10, 2), "");
  CHECK_STR(logged(f, 35, 10), "30,20,10");
}

CONTRACT(the_front_of_the_audit_log_is_forgotten_in_the_batch_that_says_so) {
  for (int64_t id = 10; id <= 40; id += 10) log_one(f, id);
  draft *d = draft_new(f);
  draft_audit(d, 50, "cancel");
  d->b.audit_forget_to = 30;
  OK(f, draft_send(d));
  CHECK_STR(logged(f, 0, 10), "50,40");
}

CONTRACT(an_audit_entry_is_lost_with_its_batch) {
  insert_one(f, "a");
  log_one(f, 10);
  draft *d = draft_new(f);
  draft_audit(d, 20, "cancel");
  d->b.audit_forget_to = 10;
  draft_insert(d, "a");
  CODE(f, draft_send(d), DURO_ALREADY_EXISTS);
  CHECK_STR(logged(f, 0, 10), "10");
}

CONTRACT(the_audit_log_outlives_the_store_and_the_instances) {
  int64_t key = insert_one(f, "a");
  log_one(f, 10);
  log_one(f, 30);
  delete_one(f, key);
  if (!reopen(f)) return;
  CHECK_STR(logged(f, 0, 10), "30,10");
  duro_store_marks marks;
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.last_audit_id, 30);
}
