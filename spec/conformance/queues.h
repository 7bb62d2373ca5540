// Contracts of what waits: due instances, messages, requests of clients and their answers, jobs of workers;
// and of counters.
#include "harness.h"

// --- Due ---

static int64_t insert_waking(fixture *f, const char *id, duro_status status, int64_t wake_at_ms) {
  draft *d = draft_new(f);
  duro_instance_row *row = draft_insert(d, id);
  row->status = status;
  row->wake_at_ms = wake_at_ms;
  int64_t key = row->key;
  return OK(f, draft_send(d)) ? key : 0;
}

// What is due from the cursor on, as "id,id,..." by one call.
static const char *due_keys(fixture *f, int64_t after_wake_ms, int64_t after_key, size_t limit,
                            int64_t *next_ms) {
  duro_instance_rows rows;
  duro_buf b = {0};
  if (!OK(f, duro__store_due(f->s, f->now, after_wake_ms, after_key, limit, &f->arena, &rows,
                             next_ms, &f->err)))
    return "?";
  for (size_t i = 0; i < rows.count; i++) {
    duro_instance_row row = get_by_key(f, rows.items[i].key);
    if (i) duro_buf_add_char(&b, ',');
    duro_buf_add_str(&b, row.id);
    CHECK_INT(rows.items[i].wake_at_ms, row.wake_at_ms);
    CHECK_INT(rows.items[i].status, row.status);
    CHECK_INT(rows.items[i].vm, row.vm);
    CHECK_TEXT(f, rows.items[i].name, row.name);
    CHECK_TEXT(f, rows.items[i].version, row.version);
  }
  const char *ids = shown(f, duro_buf_str(&b));
  duro_buf_free(&b);
  return ids;
}

CONTRACT(what_is_due_comes_by_wake_time_and_key) {
  int64_t next;
  CHECK_STR(due_keys(f, -1, 0, 10, &next), "");
  CHECK_INT(next, DURO_NEVER);
  int64_t b1 = insert_waking(f, "b1", DURO_STATUS_RUNNING, NOW - 5);
  int64_t a1 = insert_waking(f, "a1", DURO_STATUS_PENDING, 0);
  insert_waking(f, "b2", DURO_STATUS_RUNNING, NOW - 5);
  insert_waking(f, "a2", DURO_STATUS_RUNNING, 0);
  insert_waking(f, "now", DURO_STATUS_RUNNING, NOW);
  insert_waking(f, "later", DURO_STATUS_PENDING, NOW + 700);
  insert_waking(f, "soon", DURO_STATUS_RUNNING, NOW + 1);
  insert_waking(f, "never", DURO_STATUS_RUNNING, DURO_NEVER);
  insert_waking(f, "suspended", DURO_STATUS_SUSPENDED, 0);
  insert_waking(f, "stalled", DURO_STATUS_STALLED, NOW - 5);
  insert_waking(f, "ended", DURO_STATUS_COMPLETED, 0);
  CHECK_STR(due_keys(f, -1, 0, 10, &next), "a1,a2,b1,b2,now");
  CHECK_INT(next, NOW + 1);
  CHECK_STR(due_keys(f, -1, 0, 2, &next), "a1,a2");
  CHECK_INT(next, NOW + 1);
  CHECK_STR(due_keys(f, 0, a1, 10, &next), "a2,b1,b2,now");
  CHECK_STR(due_keys(f, NOW - 5, b1, 1, &next), "b2");
  CHECK_STR(due_keys(f, NOW, INT64_MAX, 10, &next), "");
  CHECK_INT(next, NOW + 1);
  f->now += 1000;
  CHECK_STR(due_keys(f, NOW, INT64_MAX, 10, &next), "soon,later");
  CHECK_INT(next, DURO_NEVER);
}

CONTRACT(all_that_is_due_comes_once_page_by_page) {
  enum { SLEEPERS = 60 };
  int64_t next, expected_next = DURO_NEVER, after_wake = -1, after_key = 0;
  size_t expected = 0, got = 0;
  draft *d = draft_new(f);
  for (int i = 0; i < SLEEPERS; i++) {
    duro_instance_row *row = draft_insert(d, keep_number(f, "s", i).p);
    row->wake_at_ms = draw(f, 4) ? NOW - 10 + (int64_t)draw(f, 20) : 0;
    expected += row->wake_at_ms <= NOW;
    if (row->wake_at_ms > NOW && row->wake_at_ms < expected_next) expected_next = row->wake_at_ms;
  }
  OK(f, draft_send(d));
  for (duro_instance_rows rows = {.count = 1}; rows.count; got += rows.count) {
    if (!OK(f,
            duro__store_due(f->s, NOW, after_wake, after_key, 7, &f->arena, &rows, &next, &f->err)))
      return;
    CHECK(rows.count <= 7);
    CHECK_INT(next, expected_next);
    for (size_t i = 0; i < rows.count; i++) {
      const duro_instance_row *row = &rows.items[i];
      CHECK(row->wake_at_ms <= NOW);
      CHECK(row->wake_at_ms > after_wake ||
            (row->wake_at_ms == after_wake && row->key > after_key));
      after_wake = row->wake_at_ms;
      after_key = row->key;
    }
  }
  CHECK_INT(got, expected);
}

CONTRACT(what_ended_or_waits_for_a_message_is_not_due) {
  int64_t next;
  int64_t ends = insert_one(f, "ends"), waits = insert_one(f, "waits");
  insert_one(f, "works");
  end_one(f, ends, DURO_STATUS_COMPLETED);
  add_turn(f, waits, 1, 1, 1);
  fold_all(f);
  CHECK_STR(due_keys(f, -1, 0, 10, &next), "works");
  CHECK_INT(next, DURO_NEVER);
}

// --- Messages ---

CONTRACT(messages_wait_in_order_until_they_are_done) {
  duro_message_row *rows;
  size_t count;
  duro_loaded loaded;
  int64_t a = insert_one(f, "a"), b = insert_one(f, "b");
  draft *d = draft_new(f);
  duro_message_row first = *draft_message(d, a, "one");
  draft_message(d, b, "other");
  draft_message(d, a, "two");
  draft_message(d, a, "three")->execution_id = 0;
  OK(f, draft_send(d));
  for (int again = 0; again < 2; again++) {
    OK(f, duro__store_messages(f->s, a, &f->arena, &rows, &count, &f->err));
    if (CHECK_INT(count, 3)) {
      CHECK_INT(rows[0].id, 1);
      CHECK_INT(rows[0].instance_key, a);
      CHECK_INT(rows[0].execution_id, 1);
      CHECK_TEXT(f, rows[0].body, first.body);
      CHECK_INT(rows[1].id, 3);
      CHECK_INT(rows[2].id, 4);
      CHECK_INT(rows[2].execution_id, 0);
    }
    OK(f, duro__store_load(f->s, a, &f->arena, &loaded, &f->err));
    if (CHECK_INT(loaded.message_count, 3)) CHECK_INT(loaded.messages[2].id, 4);
    if (!reopen(f)) return;
  }
  d = draft_new(f);
  draft_turn(d, a, 1, 1, 2);
  d->messages_done[d->b.messages_done_count++] = 1;
  d->messages_done[d->b.messages_done_count++] = 3;
  d->messages_done[d->b.messages_done_count++] = 99; // never there
  OK(f, draft_send(d));
  OK(f, duro__store_messages(f->s, a, &f->arena, &rows, &count, &f->err));
  if (CHECK_INT(count, 1)) CHECK_INT(rows[0].id, 4);
  CHECK_INT(message_count(f, b), 1);
}

// --- Requests ---

static duro_code post(fixture *f, duro__store *s, const char *start_id, duro_request_row *requests,
                      size_t count, int64_t *ids) {
  draft *d = draft_new(f); // only for a usual row
  duro_instance_row row = *draft_insert(d, start_id ? start_id : "unused");
  free(d);
  row.key = 0;
  row.status = DURO_STATUS_RUNNING;
  duro_post p = {.inserts = &row,
                 .insert_count = start_id ? 1 : 0,
                 .requests = requests,
                 .request_count = count,
                 .request_ids = ids,
                 .now_ms = f->now};
  return duro__store_post(s, &p, &f->err);
}

static duro_request_row raise_request(int64_t posted_at_ms) {
  return (duro_request_row){.kind = DURO_STR("raise"),
                            .instance_id = DURO_STR("a"),
                            .body = DURO_STR("{\"name\":\"go\"}"),
                            .posted_at_ms = posted_at_ms};
}

CONTRACT(a_start_by_a_client_is_there_at_once_and_its_request_knows_it) {
  duro_instance_row row;
  duro_request_row *waiting, start = raise_request(f->now);
  size_t count;
  int64_t id = 0;
  start.kind = DURO_STR("start");
  OK(f, post(f, f->s, "a", &start, 1, &id));
  CHECK(id > 0);
  OK(f, duro__store_get(f->s, DURO_STR("a"), &f->arena, &row, &f->err));
  CHECK_INT(duro_key_created_ms(row.key), f->now);
  CHECK(row.key > duro_key_floor(f->now) + (INT64_C(1) << DURO_KEY_COUNTER_BITS) - 1);
  CHECK_TEXT(f, row.name, DURO_STR("order"));
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  if (CHECK_INT(count, 1)) {
    CHECK_INT(waiting[0].id, id);
    CHECK_INT(waiting[0].instance_key, row.key);
    CHECK_TEXT(f, waiting[0].kind, start.kind);
    CHECK_TEXT(f, waiting[0].instance_id, start.instance_id);
    CHECK_TEXT(f, waiting[0].body, start.body);
    CHECK_INT(waiting[0].posted_at_ms, f->now);
    CHECK(waiting[0].answer.p == NULL);
  }
  duro_store_marks marks;
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.last_client_key, row.key);
  int64_t owners = insert_one(f, "b"); // the same millisecond: another key all the same
  CHECK(owners != row.key);
  start.instance_id = DURO_STR("c");
  OK(f, post(f, f->s, "c", &start, 1, &id));
  OK(f, duro__store_get(f->s, DURO_STR("c"), &f->arena, &row, &f->err));
  CHECK(row.key > marks.last_client_key);
  delete_one(f, row.key); // and never the same again
  if (!reopen(f)) return;
  int64_t gone = row.key;
  OK(f, post(f, f->s, "c", &start, 1, &id));
  OK(f, duro__store_get(f->s, DURO_STR("c"), &f->arena, &row, &f->err));
  CHECK(row.key > gone);
}

CONTRACT(a_post_with_a_taken_id_posts_nothing) {
  duro_request_row *waiting, requests[2] = {raise_request(f->now), raise_request(f->now)};
  size_t count;
  int64_t ids[2];
  insert_one(f, "a");
  CODE(f, post(f, f->s, "a", requests, 2, ids), DURO_ALREADY_EXISTS);
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, 0);
}

CONTRACT(a_client_may_start_several_at_once_and_is_found_by_every_list) {
  duro_instance_row rows[2] = {0}, row;
  duro_request_row requests[2] = {raise_request(f->now), raise_request(f->now)}, *waiting;
  duro_instance_rows page;
  int64_t ids[2];
  size_t count;
  for (int i = 0; i < 2; i++) {
    draft *d = draft_new(f); // only for a usual row
    rows[i] = *draft_insert(d, i ? "y" : "x");
    free(d);
    rows[i].key = 0;
    rows[i].attributes = DURO_STR("{\"region\":\"eu\"}");
    rows[i].wake_at_ms = 0;
    requests[i].kind = DURO_STR("start");
    requests[1 - i].instance_id = rows[i].id; // not in the order of the rows
  }
  duro_post p = {rows, 2, requests, 2, ids, f->now};
  OK(f, duro__store_post(f->s, &p, &f->err));
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, 2);
  for (size_t i = 0; i < count; i++) {
    OK(f, duro__store_get(f->s, waiting[i].instance_id, &f->arena, &row, &f->err));
    CHECK_INT(waiting[i].instance_key, row.key);
  }
  duro_attribute_match match = {DURO_STR("region"), DURO_STR("\"eu\"")};
  duro_list_query q = {.filter = {.attributes = &match, .attribute_count = 1}, .limit = 5};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  CHECK_INT(page.count, 2);
  int64_t next;
  CHECK_STR(due_keys(f, -1, 0, 5, &next), "x,y");
  rows[0].id = rows[1].id = DURO_STR("z");
  CODE(f, duro__store_post(f->s, &p, &f->err), DURO_ALREADY_EXISTS);
  CHECK(!exists(f, "z"));
}

CONTRACT(requests_come_in_order_until_they_are_answered) {
  duro_request_row *waiting, answer, requests[3];
  int64_t ids[3], more;
  size_t count;
  for (int i = 0; i < 3; i++) requests[i] = raise_request(f->now + i);
  OK(f, post(f, f->s, NULL, requests, 3, ids));
  CHECK(ids[0] < ids[1] && ids[1] < ids[2]);
  OK(f, duro__store_requests(f->s, 0, 2, &f->arena, &waiting, &count, &f->err));
  if (CHECK_INT(count, 2)) CHECK_INT(waiting[1].id, ids[1]);
  OK(f, duro__store_requests(f->s, ids[1], 10, &f->arena, &waiting, &count, &f->err));
  if (CHECK_INT(count, 1)) CHECK_INT(waiting[0].id, ids[2]);
  draft *d = draft_new(f); // the first is answered, the second needs no answer
  d->answers[d->b.answer_count++] =
      (duro_request_row){.id = ids[0], .answer = DURO_STR("{\"ok\":true}")};
  d->answers[d->b.answer_count++] = (duro_request_row){.id = ids[1]};
  OK(f, draft_send(d));
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  if (CHECK_INT(count, 1)) CHECK_INT(waiting[0].id, ids[2]);
  OK(f, duro__store_answer(f->s, ids[0], &f->arena, &answer, &f->err));
  CHECK_TEXT(f, answer.answer, DURO_STR("{\"ok\":true}"));
  CHECK_TEXT(f, answer.kind, DURO_STR("raise"));
  CODE(f, duro__store_answer(f->s, ids[1], &f->arena, &answer, &f->err), DURO_NOT_FOUND);
  OK(f, duro__store_answer(f->s, ids[2], &f->arena, &answer, &f->err));
  CHECK(answer.answer.p == NULL);
  OK(f, duro__store_forget(f->s, ids, 3, &f->err)); // the unanswered one stays
  CODE(f, duro__store_answer(f->s, ids[0], &f->arena, &answer, &f->err), DURO_NOT_FOUND);
  OK(f, duro__store_answer(f->s, ids[2], &f->arena, &answer, &f->err));
  OK(f, post(f, f->s, NULL, requests, 1, &more));
  CHECK(more > ids[2]);
}

CONTRACT(an_answer_is_part_of_its_batch) {
  duro_request_row *waiting, request = raise_request(f->now);
  size_t count;
  int64_t id;
  insert_one(f, "a");
  OK(f, post(f, f->s, NULL, &request, 1, &id));
  draft *d = draft_new(f);
  d->answers[d->b.answer_count++] = (duro_request_row){.id = id, .answer = DURO_STR("1")};
  draft_insert(d, "a");
  CODE(f, draft_send(d), DURO_ALREADY_EXISTS);
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, 1);
}

CONTRACT(what_another_handle_writes_is_noticed_and_read) {
  if (!f->kind->in_file) return;
  duro__store *client;
  duro_store_options options = options_of(f);
  duro_request_row *waiting, answer, request = raise_request(f->now);
  duro_instance_row row;
  size_t count;
  int64_t before, after, id;
  options.read_only_role = true;
  if (!OK(f, duro__store_open(f->kind->ops, &options, &client, &f->err))) return;
  OK(f, duro__store_data_version(f->s, &before, &f->err));
  OK(f, duro__store_data_version(f->s, &after, &f->err));
  CHECK_INT(after, before);
  request.kind = DURO_STR("start");
  OK(f, post(f, client, "a", &request, 1, &id));
  OK(f, duro__store_data_version(f->s, &after, &f->err));
  CHECK(after != before);
  CHECK(exists(f, "a"));
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, 1);
  OK(f, duro__store_data_version(client, &before, &f->err));
  draft *d = draft_new(f);
  d->answers[d->b.answer_count++] = (duro_request_row){.id = id, .answer = DURO_STR("1")};
  int64_t key = draft_insert(d, "b")->key;
  draft_turn(d, key, 1, 1, 3);
  OK(f, draft_send(d));
  OK(f, duro__store_data_version(client, &after, &f->err));
  CHECK(after != before);
  OK(f, duro__store_answer(client, id, &f->arena, &answer, &f->err));
  CHECK_TEXT(f, answer.answer, DURO_STR("1"));
  OK(f, duro__store_get(client, DURO_STR("b"), &f->arena, &row, &f->err));
  duro_texts texts;
  OK(f, duro__store_history(client, key, 0, &f->arena, &texts, &f->err));
  CHECK_STR(event_ids(f, &texts), "1,2,3"); // the unfolded tail too
  OK(f, duro__store_forget(client, &id, 1, &f->err));
  duro__store_close(client);
}

// --- Jobs ---

// Claims for 100 ms; the ids as "1,2".
static const char *claim(fixture *f, const char *holder, const char *queue, size_t limit) {
  duro_str queues[2] = {duro_str_from(queue), DURO_STR("unused")};
  duro_claim k = {.queues = queues,
                  .queue_count = 2,
                  .holder = duro_str_from(holder),
                  .now_ms = f->now,
                  .lease_until_ms = f->now + 100,
                  .at_ms = f->now + 7,
                  .limit = limit};
  duro_job_row *jobs;
  size_t count;
  duro_buf b = {0};
  if (!OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err))) return "?";
  for (size_t i = 0; i < count; i++) {
    if (i) duro_buf_add_char(&b, ',');
    duro_buf_add_int(&b, jobs[i].id);
    CHECK_TEXT(f, jobs[i].holder, duro_str_from(holder));
    CHECK_INT(jobs[i].lease_until_ms, f->now + 100);
    CHECK_INT(jobs[i].claimed_at_ms, f->now + 7);
    CHECK_INT(jobs[i].beat_at_ms, 0);
    CHECK_TEXT(f, jobs[i].queue, queues[0]);
    CHECK_TEXT(f, jobs[i].input, DURO_STR("[1,2]"));
    CHECK_TEXT(f, jobs[i].options, DURO_STR("{\"timeout\":5}"));
    CHECK_TEXT(f, jobs[i].activity_id, DURO_STR("act-1"));
    CHECK_TEXT(f, jobs[i].name, DURO_STR("charge"));
    CHECK_TEXT(f, jobs[i].instance_id, DURO_STR("a"));
    CHECK_INT(jobs[i].event_id, 2);
    CHECK_INT(jobs[i].execution_id, 1);
  }
  const char *ids = shown(f, duro_buf_str(&b));
  duro_buf_free(&b);
  return ids;
}

static void insert_jobs(fixture *f, int64_t count, const char *queue) {
  draft *d = draft_new(f);
  char id[32];
  snprintf(id, sizeof id, "with jobs %lld", (long long)f->marks.last_key);
  int64_t key = draft_insert(d, id)->key;
  for (int64_t i = 0; i < count; i++) draft_job(d, key, queue);
  OK(f, draft_send(d));
}

CONTRACT(a_job_is_claimed_by_one_until_its_lease_is_over) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 3, "gpu");
  insert_jobs(f, 1, "mail");
  CHECK_STR(claim(f, "w1", "gpu", 2), "1,2");
  CHECK_STR(claim(f, "w2", "gpu", 2), "3");
  CHECK_STR(claim(f, "w2", "gpu", 2), "");
  f->now += 99;
  CHECK_STR(claim(f, "w2", "gpu", 5), "");
  f->now += 1;
  CHECK_STR(claim(f, "w3", "gpu", 5), "1,2,3");
  CHECK_STR(claim(f, "w3", "mail", 5), "4");
}

CONTRACT(a_renewed_job_stays_with_its_holder_and_keeps_its_heartbeat) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 2, "gpu");
  CHECK_STR(claim(f, "w1", "gpu", 2), "1,2");
  duro_job_row renewed = {.id = 1,
                          .holder = DURO_STR("w1"),
                          .heartbeat = DURO_STR("{\"at\":40}"),
                          .lease_until_ms = f->now + 500};
  OK(f, duro__store_renew_jobs(f->s, &renewed, 1, f->now, &f->err));
  f->now += 200;
  duro_str queue = DURO_STR("gpu");
  duro_claim k = {.queues = &queue, .queue_count = 1, .holder = DURO_STR("w2"), .limit = 5};
  duro_job_row *jobs;
  size_t count;
  k.lease_until_ms = (k.now_ms = f->now) + 1000;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  if (CHECK_INT(count, 1)) CHECK_INT(jobs[0].id, 2);
  f->now += 300;
  k.lease_until_ms = (k.now_ms = f->now) + 1000;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  if (CHECK_INT(count, 1)) {
    CHECK_INT(jobs[0].id, 1);
    CHECK_TEXT(f, jobs[0].heartbeat, DURO_STR("{\"at\":40}"));
  }
  renewed.lease_until_ms = f->now + 5000; // another's by now
  CODE(f, duro__store_renew_jobs(f->s, &renewed, 1, f->now, &f->err), DURO_LOCKED);
  f->now += 1000;
  CHECK_STR(claim(f, "w3", "gpu", 5), "1,2");
}

static duro_job_row job_of(fixture *f, int64_t id) {
  duro_job_row *jobs, none = {0};
  size_t count;
  OK(f, duro__store_jobs(f->s, 0, &id, 1, &f->arena, &jobs, &count, &f->err));
  return count ? jobs[0] : none;
}

CONTRACT(a_job_tells_how_many_of_its_holders_died_and_when_it_was_last_heard_of) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 1, "gpu");
  CHECK_INT(job_of(f, 1).lost, 0);
  CHECK_STR(claim(f, "w1", "gpu", 2), "1");
  CHECK_INT(job_of(f, 1).lost, 0);
  CHECK_INT(job_of(f, 1).claimed_at_ms, f->now + 7);
  duro_job_row renewed = {.id = 1,
                          .holder = DURO_STR("w1"),
                          .lease_until_ms = f->now + 50,
                          .heartbeat = DURO_STR("[5]"),
                          .beat_at_ms = f->now + 9};
  OK(f, duro__store_renew_jobs(f->s, &renewed, 1, f->now, &f->err));
  CHECK_INT(job_of(f, 1).beat_at_ms, f->now + 9);
  renewed.beat_at_ms = 0; // neither a beat nor details: they stay
  renewed.heartbeat = DURO_NONE;
  OK(f, duro__store_renew_jobs(f->s, &renewed, 1, f->now, &f->err));
  CHECK_INT(job_of(f, 1).beat_at_ms, f->now + 9);
  CHECK_TEXT(f, job_of(f, 1).heartbeat, DURO_STR("[5]"));
  f->now += 50;
  CHECK_STR(claim(f, "w1", "gpu", 2), ""); // its own it does not take from itself
  CHECK_STR(claim(f, "w2", "gpu", 2), "1");
  CHECK_INT(job_of(f, 1).lost, 1);
  CHECK_INT(job_of(f, 1).beat_at_ms, 0);
  CHECK_TEXT(f, job_of(f, 1).heartbeat, DURO_STR("[5]"));
  f->now += 100;
  CHECK_STR(claim(f, "w1", "gpu", 2), "1");
  CHECK_INT(job_of(f, 1).lost, 2);
}

CONTRACT(a_claim_takes_only_activities_that_its_holder_knows) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 2, "gpu");
  duro_str queue = DURO_STR("gpu"), names[2] = {DURO_STR("cha\"rge"), DURO_STR("refund")};
  duro_claim k = {.queues = &queue,
                  .queue_count = 1,
                  .names = names,
                  .name_count = 2,
                  .holder = DURO_STR("w1"),
                  .now_ms = f->now,
                  .lease_until_ms = f->now + 100,
                  .limit = 5};
  duro_job_row *jobs;
  size_t count;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  CHECK_INT(count, 0);
  names[1] = DURO_STR("charge");
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  CHECK_INT(count, 2);
  k.name_count = 0; // knows none
  f->now += 100;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  CHECK_INT(count, 0);
}

CONTRACT(a_job_of_an_id_that_is_there_takes_the_place_of_the_old_one) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 1, "gpu");
  CHECK_STR(claim(f, "w1", "gpu", 2), "1");
  int64_t key = f->marks.last_key;
  draft *d = draft_new(f);
  duro_job_row *row = draft_job(d, key, "gpu");
  row->id = 1;
  row->cancelled = true;
  OK(f, draft_send(d));
  duro_job_row mine = {.id = 1, .holder = DURO_STR("w1"), .lease_until_ms = f->now + 100};
  CODE(f, duro__store_renew_jobs(f->s, &mine, 1, f->now, &f->err), DURO_LOCKED);
  f->now += 1000;
  CHECK_STR(claim(f, "w2", "gpu", 2), ""); // held back
  d = draft_new(f);
  draft_job(d, key, "gpu")->id = 1;
  OK(f, draft_send(d));
  CHECK_STR(claim(f, "w2", "gpu", 2), "1");
  CHECK_INT(job_of(f, 1).lost, 0);
}

CONTRACT(jobs_are_found_by_their_instance_and_by_their_ids) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  int64_t ids[3] = {4, 99, 2};
  duro_job_row *jobs;
  size_t count;
  insert_jobs(f, 2, "gpu");
  int64_t key = f->marks.last_key;
  insert_jobs(f, 2, "mail");
  OK(f, duro__store_jobs(f->s, key, NULL, 0, &f->arena, &jobs, &count, &f->err));
  if (CHECK_INT(count, 2)) {
    CHECK_INT(jobs[0].id, 1);
    CHECK_INT(jobs[1].id, 2);
    CHECK_TEXT(f, jobs[1].queue, DURO_STR("gpu"));
    CHECK_TEXT(f, jobs[1].input, DURO_STR("[1,2]"));
  }
  OK(f, duro__store_jobs(f->s, 0, ids, 3, &f->arena, &jobs, &count, &f->err));
  if (CHECK_INT(count, 2)) {
    CHECK_INT(jobs[0].id, 2);
    CHECK_INT(jobs[1].id, 4);
  }
  OK(f, duro__store_jobs(f->s, 1, NULL, 0, &f->arena, &jobs, &count, &f->err));
  CHECK_INT(count, 0);
}

CONTRACT(a_queue_tells_what_waits_and_when_it_was_served) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  duro_queue_state state;
  duro_str queue = DURO_STR("gpu");
  OK(f, duro__store_queue_state(f->s, queue, f->now, &state, &f->err));
  CHECK_INT(state.waiting + state.held + state.oldest_at_ms + state.served_at_ms, 0);
  int64_t created = f->now;
  insert_jobs(f, 3, "gpu");
  f->now += 10;
  OK(f, duro__store_queue_state(f->s, queue, f->now, &state, &f->err));
  CHECK_INT(state.waiting, 3);
  CHECK_INT(state.oldest_at_ms, created);
  CHECK_INT(state.served_at_ms, 0);
  int64_t claimed = f->now;
  CHECK_STR(claim(f, "w1", "gpu", 2), "1,2");
  f->now += 10;
  OK(f, duro__store_queue_state(f->s, queue, f->now, &state, &f->err));
  CHECK_INT(state.waiting, 1);
  CHECK_INT(state.held, 2);
  CHECK_INT(state.served_at_ms, claimed);
  f->now += 200;
  OK(f, duro__store_queue_state(f->s, queue, f->now, &state, &f->err));
  CHECK_INT(state.waiting, 3); // their holder has died
  CHECK_INT(state.held, 0);
  duro_str other = DURO_STR("mail");
  duro_claim k = {.queues = &other, .queue_count = 1, .holder = DURO_STR("w"), .now_ms = f->now};
  duro_job_row *jobs;
  size_t count;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  OK(f, duro__store_queue_state(f->s, other, f->now, &state, &f->err));
  CHECK_INT(state.served_at_ms, 0); // looking alone leaves no trace
  k.announce = true;
  OK(f, duro__store_claim_jobs(f->s, &k, &f->arena, &jobs, &count, &f->err));
  CHECK_INT(count, 0);
  OK(f, duro__store_queue_state(f->s, other, f->now, &state, &f->err));
  CHECK_INT(state.served_at_ms, f->now);
  if (!reopen(f)) return;
  OK(f, duro__store_queue_state(f->s, other, f->now, &state, &f->err));
  CHECK_INT(state.served_at_ms, k.now_ms);
}

CONTRACT(a_finished_job_leaves_a_request_for_the_owner) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 1, "gpu");
  CHECK_STR(claim(f, "w1", "gpu", 2), "1");
  duro_request_row *waiting, result = {.kind = DURO_STR("job"),
                                       .instance_id = DURO_STR("a"),
                                       .instance_key = 7,
                                       .body = DURO_STR("{\"output\":3}"),
                                       .posted_at_ms = f->now};
  duro_job_row job = {.id = 1, .holder = DURO_STR("w2")};
  size_t count;
  CODE(f, duro__store_finish_job(f->s, &job, &result, f->now, &f->err),
       DURO_LOCKED); // not its holder
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  CHECK_INT(count, 0);
  job.holder = DURO_STR("w1");
  OK(f, duro__store_finish_job(f->s, &job, &result, f->now, &f->err));
  OK(f, duro__store_requests(f->s, 0, 10, &f->arena, &waiting, &count, &f->err));
  if (CHECK_INT(count, 1)) {
    CHECK_TEXT(f, waiting[0].kind, DURO_STR("job"));
    CHECK_TEXT(f, waiting[0].body, DURO_STR("{\"output\":3}"));
    CHECK_TEXT(f, waiting[0].instance_id, DURO_STR("a"));
    CHECK_INT(waiting[0].instance_key, 7);
  }
  CODE(f, duro__store_finish_job(f->s, &job, &result, f->now, &f->err), DURO_LOCKED); // once only
  f->now += 1000;
  CHECK_STR(claim(f, "w2", "gpu", 2), "");
}

CONTRACT(a_job_that_is_done_or_whose_instance_is_deleted_is_gone) {
  if (!duro__store_has(f->s, DURO__VERB_claim_jobs)) return;
  insert_jobs(f, 2, "gpu");
  draft *d = draft_new(f);
  d->jobs_done[d->b.jobs_done_count++] = 1;
  OK(f, draft_send(d));
  CHECK_STR(claim(f, "w1", "gpu", 5), "2");
  delete_one(f, f->marks.last_key);
  duro_request_row result = {.kind = DURO_STR("job"), .body = DURO_STR("{}")};
  duro_job_row job = {.id = 2, .holder = DURO_STR("w1")};
  CODE(f, duro__store_finish_job(f->s, &job, &result, f->now, &f->err), DURO_LOCKED);
}

// --- Figures ---

static int64_t counter(const duro_counters *c, const char *name, const char *metric,
                       int64_t minute_ms) {
  int64_t sum = 0;
  for (size_t i = 0; i < c->count; i++) {
    const duro_counter *one = &c->items[i];
    if (duro_str_equal(one->name, duro_str_from(name)) &&
        duro_str_equal(one->metric, duro_str_from(metric)) && one->minute_ms == minute_ms) {
      sum += one->delta;
    }
  }
  return sum;
}

// A store with counters of its own is told what the defaults find by themselves.
CONTRACT(counters_tell_totals_and_minutes) {
  int64_t first = NOW - NOW % MINUTE, second = first + MINUTE;
  duro_counters c;
  f->now = first + 10;
  for (int minute = 0; minute < 2; minute++) {
    draft *d = draft_new(f);
    char id[] = {'a', (char)('0' + minute), 0};
    int64_t a = draft_insert(d, id)->key;
    id[0] = 'b';
    draft_insert(d, id)->name = DURO_STR("invoice");
    draft_end(d, a, DURO_STATUS_COMPLETED);
    int64_t at = first + minute * MINUTE;
    d->counters[0] = (duro_counter){DURO_STR("order"), DURO_STR("started"), at, 1};
    d->counters[1] = (duro_counter){DURO_STR("order"), DURO_STR("completed"), at, 1};
    d->counters[2] = (duro_counter){DURO_STR("invoice"), DURO_STR("started"), at, 1};
    d->b.counter_count = 3;
    OK(f, draft_send(d));
    f->now += MINUTE;
  }
  for (int again = 0; again < 2; again++) {
    OK(f, duro__store_counters(f->s, 0, DURO_NEVER, false, &f->arena, &c, &f->err));
    CHECK_INT(counter(&c, "order", "started", 0), 2);
    CHECK_INT(counter(&c, "order", "completed", 0), 2);
    CHECK_INT(counter(&c, "invoice", "started", 0), 2);
    CHECK_INT(counter(&c, "invoice", "completed", 0), 0);
    OK(f, duro__store_counters(f->s, first, DURO_NEVER, true, &f->arena, &c, &f->err));
    CHECK_INT(counter(&c, "order", "started", first), 1);
    CHECK_INT(counter(&c, "order", "started", second), 1);
    CHECK_INT(counter(&c, "invoice", "started", second), 1);
    OK(f, duro__store_counters(f->s, first, second, true, &f->arena, &c, &f->err));
    CHECK_INT(counter(&c, "order", "started", first), 1); // from the first on, without the second
    CHECK_INT(counter(&c, "order", "started", second), 0);
    for (int64_t from = first; from <= second; from += MINUTE) {
      OK(f, duro__store_counters(f->s, from, from + MINUTE, false, &f->arena, &c, &f->err));
      CHECK_INT(counter(&c, "order", "started", 0), 1);
    }
    if (!reopen(f)) return;
  }
}

CONTRACT(the_owners_figures_are_kept) {
  duro_str json;
  OK(f, duro__store_owner_figures(f->s, &f->arena, &json, &f->err));
  CHECK(json.p == NULL);
  if (!duro__store_has(f->s, DURO__VERB_owner_figures)) return;
  draft *d = draft_new(f);
  d->b.owner_figures = DURO_STR("{\"live\":1}");
  OK(f, draft_send(d));
  insert_one(f, "a"); // a batch without figures changes none
  if (!reopen(f)) return;
  OK(f, duro__store_owner_figures(f->s, &f->arena, &json, &f->err));
  CHECK_TEXT(f, json, DURO_STR("{\"live\":1}"));
  if (!duro__store_has(f->s, DURO__VERB_note)) return;
  OK(f, duro__store_note(f->s, f->epoch, DURO_STR("{\"live\":2}"), &f->err));
  CODE(f, duro__store_note(f->s, f->epoch + 1, DURO_STR("{}"), &f->err), DURO_LOCKED);
  OK(f, duro__store_owner_figures(f->s, &f->arena, &json, &f->err));
  CHECK_TEXT(f, json, DURO_STR("{\"live\":2}"));
}

CONTRACT(a_checkpoint_changes_nothing_that_can_be_read) {
  int64_t key = insert_one(f, "a");
  add_turn(f, key, 1, 1, 3);
  OK(f, duro__store_checkpoint(f->s, &f->err));
  CHECK_STR(history_ids(f, key, 0), "1,2,3");
}
