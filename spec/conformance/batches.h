// Contracts of the batch: stored whole or not at all, in a chain, by the owner only; and what outlives
// a deletion and a new start.
#include "harness.h"

// --- What is inserted comes back ---

static duro_instance_row full_row(fixture *f, draft *d, const char *id) {
  duro_instance_row *row = draft_insert(d, id);
  row->vm = DURO_VM_LUAJIT;
  row->partition = 63;
  row->name = DURO_STR("invoice \xc3\xa4");
  row->version = DURO_STR("2.0.1");
  row->status = DURO_STATUS_STALLED;
  row->updated_at_ms = f->now + 1;
  row->completed_at_ms = f->now + 2;
  row->execution_id = 3;
  row->execution_started_at_ms = f->now + 3;
  row->parent_key = 12345;
  row->parent_id = DURO_STR("the parent");
  row->parent_event_id = 17;
  row->parent_execution_id = 2;
  row->depth = 4;
  row->wake_at_ms = f->now + 5000;
  row->waiting_on = DURO_STR("[\"activity\",\"event:go\"]");
  row->custom_status = DURO_STR("{\"step\":\"\\u00e4\"}");
  row->custom_status_version = 6;
  row->attributes = DURO_STR("{\"region\":\"eu\",\"size\":5}");
  row->output = DURO_STR("[1,2.5,null]");
  row->error = DURO_STR("{\"code\":\"failed\",\"message\":\"no\"}");
  row->reason = DURO_STR("because");
  return *row;
}

static void check_same_row(fixture *f, const duro_instance_row *got,
                           const duro_instance_row *want) {
  CHECK_INT(got->key, want->key);
  CHECK_TEXT(f, got->id, want->id);
  CHECK_TEXT(f, got->run_id, want->run_id);
  CHECK_INT(got->vm, want->vm);
  CHECK_INT(got->partition, want->partition);
  CHECK_TEXT(f, got->name, want->name);
  CHECK_TEXT(f, got->version, want->version);
  CHECK_STR(duro_status_string(got->status), duro_status_string(want->status));
  CHECK_INT(got->created_at_ms, want->created_at_ms);
  CHECK_INT(got->updated_at_ms, want->updated_at_ms);
  CHECK_INT(got->completed_at_ms, want->completed_at_ms);
  CHECK_INT(got->execution_id, want->execution_id);
  CHECK_INT(got->execution_started_at_ms, want->execution_started_at_ms);
  CHECK_INT(got->event_count, want->event_count);
  CHECK_INT(got->parent_key, want->parent_key);
  CHECK_TEXT(f, got->parent_id, want->parent_id);
  CHECK_INT(got->parent_event_id, want->parent_event_id);
  CHECK_INT(got->parent_execution_id, want->parent_execution_id);
  CHECK_INT(got->depth, want->depth);
  CHECK_INT(got->wake_at_ms, want->wake_at_ms);
  CHECK_TEXT(f, got->waiting_on, want->waiting_on);
  CHECK_TEXT(f, got->custom_status, want->custom_status);
  CHECK_INT(got->custom_status_version, want->custom_status_version);
  CHECK_TEXT(f, got->attributes, want->attributes);
  CHECK_TEXT(f, got->output, want->output);
  CHECK_TEXT(f, got->error, want->error);
  CHECK_TEXT(f, got->reason, want->reason);
  CHECK_INT(got->turns, want->turns);
  CHECK_INT(got->turn_us_total, want->turn_us_total);
}

CONTRACT(an_inserted_row_comes_back_whole) {
  duro_instance_row full, plain, got;
  draft *d = draft_new(f);
  full = full_row(f, d, "full \xe2\x82\xac");
  plain = *draft_insert(d, "plain"); // with absent texts
  plain.wake_at_ms = DURO_NEVER;
  d->inserts[1].wake_at_ms = DURO_NEVER;
  OK(f, draft_send(d));
  for (int again = 0; again < 2; again++) {
    OK(f, duro__store_get(f->s, full.id, &f->arena, &got, &f->err));
    check_same_row(f, &got, &full);
    OK(f, duro__store_get_by_key(f->s, plain.key, &f->arena, &got, &f->err));
    check_same_row(f, &got, &plain);
    if (!reopen(f)) return;
  }
}

CONTRACT(what_is_not_there_is_not_found) {
  duro_instance_row row;
  duro_loaded loaded;
  insert_one(f, "a");
  CODE(f, duro__store_get(f->s, DURO_STR("b"), &f->arena, &row, &f->err), DURO_NOT_FOUND);
  CODE(f, duro__store_get(f->s, DURO_STR("A"), &f->arena, &row, &f->err), DURO_NOT_FOUND);
  CODE(f, duro__store_get(f->s, DURO_STR(""), &f->arena, &row, &f->err), DURO_NOT_FOUND);
  CODE(f, duro__store_get_by_key(f->s, 77, &f->arena, &row, &f->err), DURO_NOT_FOUND);
  CODE(f, duro__store_load(f->s, 77, &f->arena, &loaded, &f->err), DURO_NOT_FOUND);
  duro_texts texts;
  CODE(f, duro__store_history(f->s, 77, 0, &f->arena, &texts, &f->err), DURO_NOT_FOUND);
  CHECK_INT(message_count(f, 77), 0);
}

CONTRACT(each_update_changes_what_it_names_and_nothing_else) {
  draft *d = draft_new(f);
  duro_instance_row want = full_row(f, d, "a");
  OK(f, draft_send(d));
  for (unsigned bit = 0; bit < 5; bit++) {
    f->now += 1000;
    d = draft_new(f);
    duro_instance_update *u = draft_update(d, want.key, 1U << bit);
    u->row = (duro_instance_row){.key = want.key,
                                 .updated_at_ms = f->now,
                                 .status = DURO_STATUS_FAILED,
                                 .completed_at_ms = f->now,
                                 .error = DURO_STR("{\"code\":\"timeout\"}"),
                                 .execution_id = 9,
                                 .execution_started_at_ms = f->now,
                                 .version = DURO_STR("3"),
                                 .custom_status_version = 7,
                                 .attributes = DURO_STR("{\"region\":\"us\"}"),
                                 .wake_at_ms = f->now + 5};
    want.updated_at_ms = f->now;
    switch (u->set) {
    case DURO_SET_STATUS:
      want.status = DURO_STATUS_FAILED;
      want.completed_at_ms = f->now;
      want.output = want.reason = DURO_NONE;
      want.error = u->row.error;
      break;
    case DURO_SET_EXECUTION:
      want.execution_id = 9;
      want.execution_started_at_ms = f->now;
      want.version = u->row.version;
      want.vm = u->row.vm;
      break;
    case DURO_SET_CUSTOM_STATUS:
      want.custom_status = DURO_NONE;
      want.custom_status_version = 7;
      break;
    case DURO_SET_ATTRIBUTES:
      want.attributes = u->row.attributes;
      break;
    default:
      want.wake_at_ms = f->now + 5;
    }
    OK(f, draft_send(d));
    duro_instance_row got = get_by_key(f, want.key);
    check_same_row(f, &got, &want);
  }
}

CONTRACT(the_last_of_several_updates_holds) {
  int64_t key = insert_one(f, "a");
  draft *d = draft_new(f);
  for (int i = 1; i <= 3; i++) {
    duro_instance_update *u = draft_update(d, key, DURO_SET_CUSTOM_STATUS);
    u->row.custom_status = keep_number(f, "", i);
    u->row.custom_status_version = i;
  }
  draft_end(d, key, DURO_STATUS_COMPLETED)->row.output = DURO_STR("\"done\"");
  OK(f, draft_send(d));
  duro_instance_row row = get_by_key(f, key);
  CHECK_TEXT(f, row.custom_status, DURO_STR("3"));
  CHECK_INT(row.custom_status_version, 3);
  CHECK_TEXT(f, row.output, DURO_STR("\"done\""));
  CHECK_STR(duro_status_string(row.status), "completed");
}

// --- All or nothing ---

// One of everything, for an instance that exists.
static void draft_one_of_everything(draft *d, int64_t key) {
  draft_turn(d, key, 1, 2, 2);
  draft_continue(d, key, 1, 3);
  draft_message(d, key, "late");
  d->messages_done[d->b.messages_done_count++] = 1;
  draft_job(d, key, "q");
  d->jobs_done[d->b.jobs_done_count++] = 1;
  draft_end(d, key, DURO_STATUS_COMPLETED);
  draft_update(d, key, DURO_SET_ATTRIBUTES)->row.attributes = DURO_STR("{\"k\":9}");
  draft_insert(d, "new");
  d->counters[d->b.counter_count++] =
      (duro_counter){DURO_STR("order"), DURO_STR("completed"), NOW - NOW % MINUTE, 1};
  d->b.owner_figures = DURO_STR("{\"later\":1}");
}

// An instance "a" with a turn, a message 1 and a job 1; its key.
static int64_t insert_a_busy_one(fixture *f) {
  draft *d = draft_new(f);
  int64_t key = draft_insert(d, "a")->key;
  draft_turn(d, key, 1, 1, 1);
  draft_message(d, key, "early");
  draft_job(d, key, "q");
  d->b.owner_figures = DURO_STR("{\"now\":1}");
  OK(f, draft_send(d));
  return key;
}

// "a" is as insert_a_busy_one left it, and nothing else is there.
static void check_untouched(fixture *f, int64_t key) {
  duro_instance_row row = get_by_key(f, key);
  duro_execution_row *executions;
  duro_store_marks marks;
  duro_message_row *messages;
  size_t count;
  CHECK_STR(duro_status_string(row.status), "running");
  CHECK_INT(row.execution_id, 1);
  CHECK(row.attributes.p == NULL);
  CHECK_STR(history_ids(f, key, 0), "1");
  CHECK(!exists(f, "new"));
  OK(f, duro__store_executions(f->s, key, &f->arena, &executions, &count, &f->err));
  CHECK_INT(count, 0);
  OK(f, duro__store_messages(f->s, key, &f->arena, &messages, &count, &f->err));
  if (CHECK_INT(count, 1)) CHECK_INT(messages[0].id, 1);
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.last_batch, f->marks.last_batch);
  CHECK_INT(marks.last_seq, f->marks.last_seq);
  CHECK_INT(marks.last_key, f->marks.last_key);
  CHECK_INT(marks.last_message_id, f->marks.last_message_id);
  CHECK_INT(marks.last_job_id, f->marks.last_job_id);
  if (duro__store_has(f->s, DURO__VERB_claim_jobs)) {
    duro_job_row *jobs;
    OK(f, duro__store_jobs(f->s, key, NULL, 0, &f->arena, &jobs, &count, &f->err));
    if (CHECK_INT(count, 1)) CHECK_INT(jobs[0].id, 1);
  }
  if (duro__store_has(f->s, DURO__VERB_owner_figures)) {
    duro_str figures;
    OK(f, duro__store_owner_figures(f->s, &f->arena, &figures, &f->err));
    CHECK_TEXT(f, figures, DURO_STR("{\"now\":1}"));
  }
  if (duro__store_has(f->s, DURO__VERB_changes)) {
    duro_changes changes;
    OK(f, duro__store_changes(f->s, 0, 100, &f->arena, &changes, &f->err));
    CHECK_INT(changes.count, 1);
  }
  if (duro__store_has(f->s, DURO__VERB_counters)) {
    duro_counters counters;
    OK(f, duro__store_counters(f->s, 0, DURO_NEVER, false, &f->arena, &counters, &f->err));
    CHECK_INT(counters.count, 0);
  }
}

CONTRACT(a_taken_id_among_many_is_the_one_that_is_named) {
  insert_one(f, "taken");
  for (int at = 0; at < 20; at++) {
    draft *d = draft_new(f);
    for (int i = 0; i < 20; i++) {
      char id[16];
      snprintf(id, sizeof id, "i%d", i);
      draft_insert(d, i == at ? "taken" : id);
    }
    duro_code code = draft_send(d);
    CHECK(f->err && strstr(f->err->message, "'taken'") != NULL);
    CODE(f, code, DURO_ALREADY_EXISTS);
    CHECK(!exists(f, "i1"));
  }
  draft *d = draft_new(f);
  for (int i = 0; i < 20; i++) {
    duro_instance_row *row = draft_insert(d, "twice");
    if (i != 3 && i != 5) row->id = keep_number(f, "n", i);
  }
  CODE(f, draft_send(d), DURO_ALREADY_EXISTS);
  CHECK(!exists(f, "n1"));
}

CONTRACT(a_taken_id_fails_the_whole_batch) {
  int64_t key = insert_a_busy_one(f);
  draft *d = draft_new(f);
  draft_one_of_everything(d, key);
  draft_insert(d, "a");
  CODE(f, draft_send(d), DURO_ALREADY_EXISTS);
  check_untouched(f, key);
  d = draft_new(f); // twice in one batch is no better
  draft_insert(d, "new");
  draft_insert(d, "new");
  CODE(f, draft_send(d), DURO_ALREADY_EXISTS);
  check_untouched(f, key);
  if (!reopen(f)) return;
  check_untouched(f, key);
  d = draft_new(f); // the chain goes on where it was
  draft_one_of_everything(d, key);
  OK(f, draft_send(d));
  CHECK(exists(f, "new"));
}

CONTRACT(a_used_seq_fails_the_whole_batch) {
  int64_t key = insert_a_busy_one(f);
  draft *d = draft_new(f);
  draft_one_of_everything(d, key);
  d->turns[0].seq = f->marks.last_seq;
  CHECK(draft_send(d) != DURO_OK);
  duro_error_free(f->err);
  f->err = NULL;
  check_untouched(f, key);
}

CONTRACT(a_broken_chain_is_corrupt_and_changes_nothing) {
  int64_t key = insert_a_busy_one(f);
  for (int64_t off = -1; off <= 1; off += 2) {
    draft *d = draft_new(f);
    draft_one_of_everything(d, key);
    d->b.previous += off;
    CODE(f, draft_send(d), DURO_CORRUPT);
    check_untouched(f, key);
  }
  for (int64_t previous = 0; previous <= 1; previous++) { // the last batch's id once more
    draft *d = draft_new(f);
    draft_one_of_everything(d, key);
    d->b.id--;
    d->b.previous -= previous;
    CODE(f, draft_send(d), DURO_CORRUPT);
    check_untouched(f, key);
  }
}

CONTRACT(batch_ids_may_leave_gaps_but_name_their_predecessor) {
  draft *d = draft_new(f);
  d->b.id += 10;
  draft_insert(d, "a");
  OK(f, draft_send(d));
  duro_store_marks marks;
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.last_batch, f->marks.last_batch);
  insert_one(f, "b");
  CHECK(exists(f, "b"));
}

CONTRACT(another_epoch_is_locked_and_changes_nothing) {
  int64_t key = insert_a_busy_one(f);
  for (int64_t off = -1; off <= 1; off += 2) {
    draft *d = draft_new(f);
    draft_one_of_everything(d, key);
    d->b.epoch += off;
    CODE(f, draft_send(d), DURO_LOCKED);
    check_untouched(f, key);
  }
}

CONTRACT(an_empty_batch_is_a_link_of_the_chain) {
  OK(f, draft_send(draft_new(f)));
  OK(f, draft_send(draft_new(f)));
  insert_one(f, "a");
  CHECK(exists(f, "a"));
}

// --- Marks ---

CONTRACT(marks_outlive_deletion_folding_and_a_new_start) {
  duro_store_marks marks;
  duro_str file_id = f->marks.file_id;
  CHECK(file_id.n > 0);
  f->now += 5 * MINUTE;
  int64_t key = insert_a_busy_one(f);
  draft *d = draft_new(f);
  draft_one_of_everything(d, key);
  OK(f, draft_send(d));
  d = draft_new(f);
  d->deletes[d->b.delete_count++] = key;
  d->deletes[d->b.delete_count++] = f->marks.last_key;
  OK(f, draft_send(d));
  fold_all(f);
  f->now += 100 * RETENTION_MS; // the feed is trimmed
  fold_all(f);
  duro_store_marks want = f->marks;
  for (int again = 0; again < 2; again++) {
    OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
    CHECK_INT(marks.last_batch, want.last_batch);
    CHECK_INT(marks.last_seq, want.last_seq);
    CHECK_INT(marks.folded_seq, want.last_seq);
    CHECK_INT(marks.last_key, want.last_key);
    CHECK_INT(marks.last_message_id, want.last_message_id);
    CHECK_INT(marks.last_job_id, want.last_job_id);
    CHECK(marks.latest_ms >= NOW + 5 * MINUTE);
    CHECK_TEXT(f, marks.file_id, file_id);
    if (!reopen(f)) return;
  }
}

CONTRACT(a_new_store_has_no_marks_but_an_id_of_its_own) {
  CHECK_INT(f->marks.last_batch, 0);
  CHECK_INT(f->marks.last_seq, 0);
  CHECK_INT(f->marks.folded_seq, 0);
  CHECK_INT(f->marks.last_key, 0);
  CHECK_INT(f->marks.last_client_key, 0);
  CHECK_INT(f->marks.last_message_id, 0);
  CHECK_INT(f->marks.last_job_id, 0);
  duro_store_options options = options_of(f);
  options.path = ":memory:";
  duro__store *other;
  duro_store_marks marks;
  if (!OK(f, duro__store_open(f->kind->ops, &options, &other, &f->err))) return;
  OK(f, duro__store_marks(other, &f->arena, &marks, &f->err));
  CHECK(!duro_str_equal(marks.file_id, f->marks.file_id));
  duro__store_close(other);
}

// --- Deletes ---

CONTRACT(a_deleted_instance_leaves_nothing) {
  for (int folded = 0; folded < 2; folded++) {
    int64_t key = insert_a_busy_one(f);
    draft *d = draft_new(f);
    draft_continue(d, key, 1, 1);
    draft_turn(d, key, 2, 1, 3)->waiting_on = DURO_STR("[\"timer\"]");
    draft_update(d, key, DURO_SET_ATTRIBUTES)->row.attributes = DURO_STR("{\"k\":9}");
    OK(f, draft_send(d));
    if (folded) fold_all(f);
    delete_one(f, key);
    for (int again = 0; again < 2; again++) {
      duro_instance_row row;
      duro_execution_row *executions;
      size_t count = 0;
      CHECK(!exists(f, "a"));
      CODE(f, duro__store_get_by_key(f->s, key, &f->arena, &row, &f->err), DURO_NOT_FOUND);
      CHECK_STR(history_ids(f, key, 1), "");
      CHECK_STR(history_ids(f, key, 2), "");
      CHECK_INT(message_count(f, key), 0);
      duro_code code = duro__store_executions(f->s, key, &f->arena, &executions, &count, NULL);
      CHECK(code == DURO_NOT_FOUND || count == 0);
      if (!fold_all(f) || !reopen(f)) return;
    }
    int64_t job_id = 1;
    duro_job_row *jobs;
    size_t count = 0;
    if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) continue;
    OK(f, duro__store_jobs(f->s, 0, &job_id, 1, &f->arena, &jobs, &count, &f->err));
    CHECK_INT(count, 0);
  }
}

CONTRACT(an_id_can_be_used_again_after_its_deletion) {
  int64_t first = insert_a_busy_one(f);
  draft *d = draft_new(f); // in the same batch too
  d->deletes[d->b.delete_count++] = first;
  int64_t second = draft_insert(d, "a")->key;
  draft_turn(d, second, 1, 1, 2);
  OK(f, draft_send(d));
  CHECK(second > first);
  for (int again = 0; again < 2; again++) {
    duro_instance_row row;
    OK(f, duro__store_get(f->s, DURO_STR("a"), &f->arena, &row, &f->err));
    CHECK_INT(row.key, second);
    CHECK_STR(history_ids(f, second, 0), "1,2");
    CHECK_STR(history_ids(f, first, 1), "");
    CHECK_INT(message_count(f, second), 0);
    fold_all(f);
  }
  duro_instance_row row = get_by_key(f, second);
  CHECK_INT(row.event_count, 2);
  CHECK_INT(row.turns, 1);
}

CONTRACT(a_deleted_instance_is_not_made_again_by_what_comes_late) {
  int64_t key = insert_a_busy_one(f);
  delete_one(f, key);
  draft *d = draft_new(f); // refused or left out, but not half done
  draft_turn(d, key, 1, 2, 1);
  draft_end(d, key, DURO_STATUS_COMPLETED);
  (void)draft_send(d);
  duro_error_free(f->err);
  f->err = NULL;
  CHECK(!exists(f, "a"));
  if (!fold_all(f)) return;
  CHECK(!exists(f, "a"));
  CHECK_STR(history_ids(f, key, 1), "");
}

CONTRACT(what_a_batch_says_of_an_instance_it_deletes_is_gone_with_it) {
  int64_t key = insert_a_busy_one(f);
  draft *d = draft_new(f);
  draft_turn(d, key, 1, 2, 1);
  draft_message(d, key, "late");
  draft_update(d, key, DURO_SET_ATTRIBUTES)->row.attributes = DURO_STR("{\"k\":9}");
  d->deletes[d->b.delete_count++] = key;
  OK(f, draft_send(d));
  fold_all(f);
  CHECK(!exists(f, "a"));
  CHECK_STR(history_ids(f, key, 1), "");
  CHECK_INT(message_count(f, key), 0);
}

CONTRACT(deleting_what_is_not_there_is_nothing) {
  int64_t key = insert_one(f, "a");
  delete_one(f, key + 1);
  delete_one(f, key);
  delete_one(f, key);
  CHECK(!exists(f, "a"));
}
