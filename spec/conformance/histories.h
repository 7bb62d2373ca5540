// Contracts of journal, history and executions: the same events in the same order at every moment, however
// they are folded; and of the feed, pruning and stats.
#include "harness.h"

CONTRACT(a_turn_is_readable_before_and_after_it_is_folded) {
  int64_t key = insert_one(f, "a");
  CHECK_STR(history_ids(f, key, 0), "");
  add_turn(f, key, 1, 1, 3);
  CHECK_STR(history_ids(f, key, 0), "1,2,3");
  fold_all(f);
  CHECK_STR(history_ids(f, key, 0), "1,2,3");
  add_turn(f, key, 1, 4, 1);
  add_turn(f, key, 1, 5, 2);
  CHECK_STR(history_ids(f, key, 1), "1,2,3,4,5,6");
  CHECK_STR(history_ids(f, key, 2), "");
  fold_all(f);
  CHECK_STR(history_ids(f, key, 1), "1,2,3,4,5,6");
}

CONTRACT(folding_takes_at_most_what_it_is_told_and_says_how_much) {
  int64_t key = insert_one(f, "a");
  duro_store_marks marks;
  size_t folded = 99;
  for (int64_t i = 1; i <= 10; i++) add_turn(f, key, 1, i, 1);
  OK(f, duro__store_fold(f->s, f->epoch, f->now, 4, &folded, &f->err));
  CHECK_INT(folded, 4);
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.folded_seq, 4);
  OK(f, duro__store_fold(f->s, f->epoch, f->now, 100, &folded, &f->err));
  CHECK_INT(folded, 6);
  OK(f, duro__store_fold(f->s, f->epoch, f->now, 100, &folded, &f->err));
  CHECK_INT(folded, 0);
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.folded_seq, f->marks.last_seq);
}

CONTRACT(folding_brings_the_row_up_to_date) {
  draft *d = draft_new(f);
  int64_t key = draft_insert(d, "a")->key;
  OK(f, draft_send(d));
  for (int64_t i = 1; i <= 3; i++) {
    f->now += 1000;
    d = draft_new(f);
    duro_turn_row *turn = draft_turn(d, key, 1, 2 * i - 1, 2);
    turn->wake_at_ms = f->now + 60000;
    turn->waiting_on = i == 3 ? DURO_STR("[\"event:go\",\"timer\"]") : DURO_STR("[\"activity\"]");
    turn->turn_us = 100 * i;
    OK(f, draft_send(d));
  }
  fold_all(f);
  duro_instance_row row = get_by_key(f, key);
  CHECK_INT(row.event_count, 6);
  CHECK_INT(row.turns, 3);
  CHECK_INT(row.turn_us_total, 600);
  CHECK_INT(row.wake_at_ms, f->now + 60000);
  CHECK_TEXT(f, row.waiting_on, DURO_STR("[\"event:go\",\"timer\"]"));
  CHECK_INT(row.updated_at_ms, f->now);
  CHECK_STR(duro_status_string(row.status), "running");
}

CONTRACT(folding_never_takes_back_what_an_update_said_later) {
  int64_t key = insert_one(f, "a");
  f->now += 1000;
  add_turn(f, key, 1, 1, 1); // waits for a message
  f->now += 1000;
  draft *d = draft_new(f);
  draft_message(d, key, "go");
  draft_update(d, key, DURO_SET_WAKE)->row.wake_at_ms = 0;
  OK(f, draft_send(d));
  fold_all(f);
  duro_instance_row row = get_by_key(f, key);
  CHECK_INT(row.wake_at_ms, 0);
  CHECK_INT(row.updated_at_ms, f->now);
  d = draft_new(f); // nor within one batch
  draft_turn(d, key, 1, 2, 1);
  draft_update(d, key, DURO_SET_WAKE)->row.wake_at_ms = 17;
  OK(f, draft_send(d));
  fold_all(f);
  CHECK_INT(get_by_key(f, key).wake_at_ms, 17);
  add_turn(f, key, 1, 3, 1); // but a later turn does
  fold_all(f);
  CHECK_INT(get_by_key(f, key).wake_at_ms, DURO_NEVER);
}

CONTRACT(a_row_without_events_is_no_turn) {
  int64_t key = insert_one(f, "a");
  add_turn(f, key, 1, 1, 1);
  draft *d = draft_new(f);
  draft_turn(d, key, 1, 2, 0)->wake_at_ms = 99;
  OK(f, draft_send(d));
  add_turn(f, key, 1, 2, 1);
  CHECK_STR(history_ids(f, key, 0), "1,2");
  fold_all(f);
  CHECK_STR(history_ids(f, key, 0), "1,2");
  CHECK_INT(get_by_key(f, key).turns, 2);
  CHECK_INT(get_by_key(f, key).wake_at_ms, DURO_NEVER);
  CHECK_INT(get_by_key(f, key).event_count, 2);
}

CONTRACT(continuing_as_new_keeps_the_past_execution_and_begins_another) {
  int64_t key = insert_one(f, "a");
  add_turn(f, key, 1, 1, 2);
  f->now += 1000;
  draft *d = draft_new(f);
  draft_turn(d, key, 1, 3, 1)->status = DURO_STATUS_CONTINUED_AS_NEW;
  draft_continue(d, key, 1, 3);
  draft_turn(d, key, 2, 1, 2);
  OK(f, draft_send(d));
  for (int again = 0; again < 2; again++) {
    duro_loaded loaded;
    duro_execution_row *past;
    size_t count;
    CHECK_STR(history_ids(f, key, 1), "1,2,3");
    CHECK_STR(history_ids(f, key, 2), "1,2");
    CHECK_STR(history_ids(f, key, 0), "1,2");
    OK(f, duro__store_load(f->s, key, &f->arena, &loaded, &f->err));
    CHECK_STR(event_ids(f, &loaded.history), "1,2");
    CHECK_INT(loaded.instance.execution_id, 2);
    CHECK_INT(loaded.instance.execution_started_at_ms, f->now);
    CHECK_TEXT(f, loaded.instance.version, DURO_STR("1.1"));
    OK(f, duro__store_executions(f->s, key, &f->arena, &past, &count, &f->err));
    if (CHECK_INT(count, 1)) {
      CHECK_INT(past[0].instance_key, key);
      CHECK_INT(past[0].execution_id, 1);
      CHECK_STR(duro_status_string(past[0].status), "continued_as_new");
      CHECK_TEXT(f, past[0].version, DURO_STR("1.0"));
      CHECK_INT(past[0].started_at_ms, f->now - 10);
      CHECK_INT(past[0].completed_at_ms, f->now);
      CHECK_INT(past[0].event_count, 3);
      CHECK_TEXT(f, past[0].reason, DURO_STR("again"));
    }
    fold_all(f);
  }
  CHECK_INT(get_by_key(f, key).event_count, 2);
  CHECK_INT(get_by_key(f, key).turns, 3);
}

CONTRACT(an_execution_may_pass_within_one_batch) {
  int64_t key = insert_one(f, "a");
  draft *d = draft_new(f);
  for (int64_t execution = 1; execution <= 3; execution++) {
    draft_turn(d, key, execution, 1, execution)->status = DURO_STATUS_CONTINUED_AS_NEW;
    draft_continue(d, key, execution, execution);
  }
  draft_turn(d, key, 4, 1, 5);
  OK(f, draft_send(d));
  fold_all(f);
  CHECK_STR(history_ids(f, key, 1), "1");
  CHECK_STR(history_ids(f, key, 3), "1,2,3");
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4,5");
  CHECK_INT(get_by_key(f, key).execution_id, 4);
  CHECK_INT(get_by_key(f, key).event_count, 5);
}

// --- Random turns and folds, against a plain model ---

enum { WALKERS = 6, EXECUTIONS = 40 };

typedef struct walker {
  int64_t key, execution, next_event[EXECUTIONS];
  duro_buf events[EXECUTIONS]; // the events' JSON, joined by commas
  int64_t turns, turn_us, wake_at_ms, last_turn_ms;
  const char *waiting_on;
} walker;

static void walk(fixture *f, draft *d, walker *w) {
  static const char *const waits[] = {"[]", "[\"timer\"]", "[\"activity\",\"event:x\"]"};
  bool moves_on = w->execution < EXECUTIONS - 1 && draw(f, 8) == 0;
  int64_t count = 1 + (int64_t)draw(f, 5);
  duro_turn_row *turn = draft_turn(d, w->key, w->execution, w->next_event[w->execution], count);
  turn->turn_us = (int64_t)draw(f, 1000);
  turn->wake_at_ms = draw(f, 3) ? f->now + (int64_t)draw(f, 100000) : DURO_NEVER;
  turn->waiting_on = keep(f, waits[draw(f, 3)]);
  duro_buf *events = &w->events[w->execution];
  if (events->n) duro_buf_add_char(events, ',');
  duro_buf_add(events, turn->events.p + 1, turn->events.n - 2);
  w->next_event[w->execution] += count;
  w->turns++;
  w->turn_us += turn->turn_us;
  w->wake_at_ms = turn->wake_at_ms;
  w->waiting_on = turn->waiting_on.p;
  w->last_turn_ms = f->now;
  if (!moves_on) return;
  draft_continue(d, w->key, w->execution, w->next_event[w->execution] - 1);
  w->execution++;
}

static void walker_reset(fixture *f, walker *w, const char *id) {
  for (int e = 0; e < EXECUTIONS; e++) duro_buf_free(&w->events[e]);
  *w = (walker){.key = insert_one(f, id), .execution = 1};
  for (int e = 0; e < EXECUTIONS; e++) w->next_event[e] = 1;
}

static void check_same_events(fixture *f, const duro_texts *got, const duro_buf *want_events) {
  duro_buf b = {0};
  duro_events a, w;
  duro_buf_add_char(&b, '[');
  duro_buf_add_str(&b, duro_buf_str(want_events));
  duro_buf_add_char(&b, ']');
  duro_str want = duro_buf_str(&b);
  OK(f, duro_events_decode(&want, 1, &f->arena, &w, &f->err));
  if (!OK(f, duro_events_decode(got->items, got->count, &f->arena, &a, &f->err))) a.count = 0;
  if (CHECK_INT(a.count, w.count)) {
    for (size_t i = 0; i < a.count; i++) {
      CHECK_INT(a.items[i].id, w.items[i].id);
      CHECK_INT(a.items[i].at_ms, w.items[i].at_ms);
      CHECK_TEXT(f, a.items[i].name, w.items[i].name);
      CHECK_TEXT(f, a.items[i].output, w.items[i].output);
    }
  }
  duro_buf_free(&b);
}

static void check_walker(fixture *f, const walker *w, bool is_folded) {
  duro_loaded loaded;
  if (OK(f, duro__store_load(f->s, w->key, &f->arena, &loaded, &f->err))) {
    check_same_events(f, &loaded.history, &w->events[w->execution]);
    CHECK_INT(loaded.instance.execution_id, w->execution);
  }
  for (int64_t e = 1; e <= w->execution; e++) {
    duro_texts texts;
    if (draw(f, 4) != 0 && !is_folded) continue;
    if (!OK(f, duro__store_history(f->s, w->key, e, &f->arena, &texts, &f->err))) continue;
    check_same_events(f, &texts, &w->events[e]);
  }
  if (!is_folded || w->turns == 0) return;
  duro_instance_row row = get_by_key(f, w->key);
  CHECK_INT(row.event_count, w->next_event[w->execution] - 1);
  CHECK_INT(row.turns, w->turns);
  CHECK_INT(row.turn_us_total, w->turn_us);
  CHECK_INT(row.wake_at_ms, w->wake_at_ms);
  CHECK_TEXT(f, row.waiting_on, duro_str_from(w->waiting_on));
  CHECK_INT(row.updated_at_ms, w->last_turn_ms);
}

CONTRACT(random_turns_read_the_same_under_any_folding) {
  static const char *const ids[WALKERS] = {"a", "b", "c", "d", "e", "f"};
  static walker walkers[WALKERS];
  memset(walkers, 0, sizeof walkers);
  for (int i = 0; i < WALKERS; i++) walker_reset(f, &walkers[i], ids[i]);
  for (int step = 0; step < 150; step++) {
    size_t folded = 1;
    f->now += 1 + (int64_t)draw(f, 50);
    draft *d = draft_new(f);
    for (uint64_t n = 1 + draw(f, 20); n > 0; n--) walk(f, d, &walkers[draw(f, WALKERS)]);
    OK(f, draft_send(d));
    if (draw(f, 2)) {
      size_t stride = 1 + draw(f, 25);
      OK(f, duro__store_fold(f->s, f->epoch, f->now, stride, &folded, &f->err));
    }
    if (draw(f, 12) == 0) { // its id is used again at once
      uint64_t gone = draw(f, WALKERS);
      delete_one(f, walkers[gone].key);
      walker_reset(f, &walkers[gone], ids[gone]);
    }
    if (step % 40 == 39 && !reopen(f)) break;
    if (step % 10 == 9) fold_all(f);
    check_walker(f, &walkers[draw(f, WALKERS)], step % 10 == 9);
  }
  fold_all(f);
  for (int i = 0; i < WALKERS; i++) {
    check_walker(f, &walkers[i], true);
    for (int e = 0; e < EXECUTIONS; e++) duro_buf_free(&walkers[i].events[e]);
  }
}

// --- Pruning ---

// An instance with executions 1 to `past` behind it, each of `events` events and a minute apart.
static int64_t insert_with_past(fixture *f, const char *id, int64_t past, int64_t events) {
  int64_t key = insert_one(f, id);
  for (int64_t e = 1; e <= past; e++) {
    f->now += MINUTE;
    draft *d = draft_new(f);
    draft_turn(d, key, e, 1, events)->status = DURO_STATUS_CONTINUED_AS_NEW;
    draft_continue(d, key, e, events);
    OK(f, draft_send(d));
  }
  add_turn(f, key, past + 1, 1, 2);
  fold_all(f);
  return key;
}

static size_t past_count(fixture *f, int64_t key) {
  duro_execution_row *rows;
  size_t count = 0;
  OK(f, duro__store_executions(f->s, key, &f->arena, &rows, &count, &f->err));
  return count;
}

static void draft_prune(draft *d, int64_t key, int64_t execution) {
  d->prunes[d->b.prune_count++] = (duro_prune_row){key, execution};
}

static int64_t event_total(fixture *f) {
  duro_store_stats stats = {0};
  OK(f, duro__store_stats(f->s, &stats, &f->err));
  return stats.history_events;
}

CONTRACT(a_batch_takes_past_executions_away_with_their_events) {
  int64_t key = insert_with_past(f, "a", 4, 3), other = insert_with_past(f, "b", 2, 3);
  int64_t events = event_total(f);
  draft *d = draft_new(f);
  draft_prune(d, key, 1);
  draft_prune(d, key, 3); // any of them, in any order
  draft_prune(d, key, 2);
  OK(f, draft_send(d));
  for (int again = 0; again < 2; again++) {
    CHECK_INT(past_count(f, key), 1);
    CHECK_INT(past_count(f, other), 2);
    CHECK_STR(history_ids(f, key, 2), "");
    CHECK_STR(history_ids(f, key, 4), "1,2,3");
    CHECK_STR(history_ids(f, other, 1), "1,2,3");
    CHECK_INT(get_by_key(f, key).execution_id, 5);
    CHECK_INT(event_total(f), events - 9);
    if (!reopen(f)) return;
  }
}

CONTRACT(pruning_passes_over_what_is_no_past_execution) {
  int64_t key = insert_with_past(f, "a", 2, 3), gone = insert_with_past(f, "b", 2, 3);
  delete_one(f, gone);
  int64_t events = event_total(f);
  draft *d = draft_new(f);
  draft_prune(d, key, 3); // the current one
  draft_prune(d, key, 9);
  draft_prune(d, gone, 1);
  draft_prune(d, key, 1);
  draft_prune(d, key, 1); // once more
  OK(f, draft_send(d));
  CHECK_INT(past_count(f, key), 1);
  CHECK_STR(history_ids(f, key, 0), "1,2");
  CHECK_INT(event_total(f), events - 3);
}

CONTRACT(a_pruned_execution_stays_away_though_it_was_not_folded) {
  int64_t key = insert_one(f, "a");
  draft *d = draft_new(f);
  draft_turn(d, key, 1, 1, 3);
  draft_continue(d, key, 1, 3);
  draft_turn(d, key, 2, 1, 2);
  OK(f, draft_send(d));
  d = draft_new(f);
  draft_prune(d, key, 1);
  OK(f, draft_send(d));
  for (int again = 0; again < 2; again++) {
    CHECK_INT(past_count(f, key), 0);
    CHECK_STR(history_ids(f, key, 1), "");
    CHECK_STR(history_ids(f, key, 0), "1,2");
    fold_all(f);
  }
  CHECK_INT(get_by_key(f, key).event_count, 2);
  CHECK_INT(event_total(f), 2);
}

CONTRACT(pruning_goes_with_its_batch_or_not_at_all) {
  int64_t key = insert_with_past(f, "a", 2, 1);
  for (int which = 0; which < 2; which++) {
    draft *d = draft_new(f);
    draft_prune(d, key, 1);
    if (which)
      draft_insert(d, "a");
    else
      d->b.epoch++;
    CODE(f, draft_send(d), which ? DURO_ALREADY_EXISTS : DURO_LOCKED);
    CHECK_INT(past_count(f, key), 2);
    CHECK_STR(history_ids(f, key, 1), "1");
  }
}

// --- The feed ---

CONTRACT(changes_come_in_order_folded_or_not) {
  if (!duro__store_has(f->s, DURO__VERB_changes)) return;
  duro_changes changes;
  int64_t a = insert_one(f, "a"), b = insert_one(f, "b");
  OK(f, duro__store_changes(f->s, 0, 100, &f->arena, &changes, &f->err));
  CHECK_INT(changes.count, 0);
  for (int64_t i = 1; i <= 5; i++) {
    add_turn(f, a, 1, i, 1);
    add_turn(f, b, 1, 2 * i - 1, 2);
    if (i == 3) fold_all(f);
  }
  delete_one(f, b);
  OK(f, duro__store_changes(f->s, 0, 100, &f->arena, &changes, &f->err));
  CHECK_INT(changes.oldest_seq, 1);
  if (!CHECK_INT(changes.count, 10)) return;
  for (int64_t i = 0; i < 10; i++) {
    const duro_change *c = &changes.items[i];
    bool is_a = i % 2 == 0;
    CHECK_INT(c->seq, i + 1);
    CHECK_INT(c->instance_key, is_a ? a : b);
    CHECK_INT(c->execution_id, 1);
    CHECK_INT(c->first_event_id, is_a ? i / 2 + 1 : i);
    CHECK_INT(c->event_count, is_a ? 1 : 2);
    CHECK_STR(duro_status_string(c->status), "running");
    CHECK_INT(c->at_ms, f->now);
    CHECK_TEXT(f, c->instance_id, is_a ? DURO_STR("a") : DURO_NONE);
    CHECK_TEXT(f, c->name, is_a ? DURO_STR("order") : DURO_NONE);
    duro_texts texts = {(duro_str *)&c->events, 1};
    CHECK(event_ids(f, &texts)[0] != 0);
  }
  OK(f, duro__store_changes(f->s, 4, 3, &f->arena, &changes, &f->err));
  if (CHECK_INT(changes.count, 3)) CHECK_INT(changes.items[0].seq, 5);
  OK(f, duro__store_changes(f->s, 10, 3, &f->arena, &changes, &f->err));
  CHECK_INT(changes.count, 0);
}

CONTRACT(the_feed_is_trimmed_by_age_from_its_beginning_and_says_so) {
  if (!duro__store_has(f->s, DURO__VERB_changes)) return;
  duro_changes changes;
  int64_t key = insert_one(f, "a");
  for (int64_t i = 1; i <= 4; i++) add_turn(f, key, 1, i, 1);
  fold_all(f);
  OK(f, duro__store_changes(f->s, 0, 10, &f->arena, &changes, &f->err));
  CHECK_INT(changes.count, 4);
  f->now += 2 * RETENTION_MS;
  add_turn(f, key, 1, 5, 1);
  fold_all(f);
  CODE(f, duro__store_changes(f->s, 0, 10, &f->arena, &changes, &f->err), DURO_EXPIRED);
  OK(f, duro__store_changes(f->s, 4, 10, &f->arena, &changes, &f->err));
  duro_store_marks marks;
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.trimmed_seq, 4);
  CHECK_INT(changes.oldest_seq, 5);
  if (CHECK_INT(changes.count, 1)) CHECK_INT(changes.items[0].seq, 5);
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4,5");
  f->now += 2 * RETENTION_MS;
  fold_all(f); // now nothing is left, and seqs still go on
  CODE(f, duro__store_changes(f->s, 4, 10, &f->arena, &changes, &f->err), DURO_EXPIRED);
  OK(f, duro__store_changes(f->s, 5, 10, &f->arena, &changes, &f->err));
  CHECK_INT(changes.oldest_seq, 6);
  add_turn(f, key, 1, 6, 1);
  OK(f, duro__store_changes(f->s, 5, 10, &f->arena, &changes, &f->err));
  if (CHECK_INT(changes.count, 1)) CHECK_INT(changes.items[0].seq, 6);
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4,5,6");
}

CONTRACT(the_feed_keeps_what_is_old_but_not_yet_folded) {
  if (!duro__store_has(f->s, DURO__VERB_changes)) return;
  duro_changes changes;
  size_t folded;
  int64_t key = insert_one(f, "a");
  for (int64_t i = 1; i <= 4; i++) add_turn(f, key, 1, i, 1);
  f->now += 2 * RETENTION_MS;
  OK(f, duro__store_fold(f->s, f->epoch, f->now, 1, &folded, &f->err));
  OK(f, duro__store_changes(f->s, 1, 10, &f->arena, &changes, &f->err));
  CHECK_INT(changes.count, 3);
  fold_all(f);
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4");
}

CONTRACT(the_feed_is_trimmed_by_size_but_never_what_is_not_folded) {
  if (!duro__store_has(f->s, DURO__VERB_changes)) return;
  enum { LARGE = FEED_MAX_BYTES / 8 };
  duro_changes changes;
  int64_t key = insert_one(f, "a");
  duro_buf b = {0};
  duro_buf_add_lit(&b, "[{\"id\":1,\"kind\":\"patch_marker\",\"name\":\"");
  for (int i = 0; i < LARGE; i++) duro_buf_add_char(&b, 'x');
  duro_buf_add_lit(&b, "\"}]");
  for (int64_t i = 1; i <= 12; i++) {
    draft *d = draft_new(f);
    duro_turn_row *turn = draft_turn(d, key, 1, i, 1);
    turn->events = duro_buf_str(&b);
    OK(f, draft_send(d));
  }
  int64_t since = 0;
  for (size_t count = 1; count; count = changes.count) { // a page may be short
    OK(f, duro__store_changes(f->s, since, 12, &f->arena, &changes, &f->err));
    if (changes.count) since = changes.items[changes.count - 1].seq;
  }
  CHECK_INT(since, 12);
  fold_all(f);
  CODE(f, duro__store_changes(f->s, 0, 12, &f->arena, &changes, &f->err), DURO_EXPIRED);
  OK(f, duro__store_changes(f->s, 11, 12, &f->arena, &changes, &f->err));
  CHECK(changes.oldest_seq > 1 && changes.oldest_seq <= 7);
  duro_buf_free(&b);
}

// --- Stats ---

CONTRACT(stats_count_instances_and_events) {
  duro_store_stats stats;
  OK(f, duro__store_stats(f->s, &stats, &f->err));
  CHECK_INT(stats.instances, 0);
  CHECK_INT(stats.history_events, 0);
  int64_t key = insert_with_past(f, "a", 2, 3); // 3 + 3 + 2 events
  int64_t gone = insert_with_past(f, "b", 1, 5);
  fold_all(f);
  OK(f, duro__store_stats(f->s, &stats, &f->err));
  CHECK_INT(stats.instances, 2);
  CHECK_INT(stats.history_events, 15);
  CHECK_INT(stats.unfolded_rows, 0);
  add_turn(f, key, 3, 3, 4);
  OK(f, duro__store_stats(f->s, &stats, &f->err));
  CHECK(stats.unfolded_rows <= 1);
  fold_all(f);
  add_turn(f, gone, 2, 3, 7); // never folded
  delete_one(f, gone);
  fold_all(f);
  for (int again = 0; again < 2; again++) {
    OK(f, duro__store_stats(f->s, &stats, &f->err));
    CHECK_INT(stats.instances, 1);
    CHECK_INT(stats.history_events, 12);
    if (!reopen(f)) return;
  }
}
