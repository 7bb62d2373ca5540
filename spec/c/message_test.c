// Messages: owned copies of events, and the way through a row's body.
#include "check.h"

#include <stdlib.h>

#include "model/message.h"

static duro_event sample(void) {
  return (duro_event){.id = 9,
                      .kind = DURO_EVENT_EVENT_RECEIVED,
                      .at_ms = 1763780000000,
                      .name = DURO_STR("approval"),
                      .input = DURO_STR("{\"by\":\"eve\"}"),
                      .reason = DURO_STR(""),
                      .dedup_id = DURO_STR("d-1"),
                      .attempt = 2,
                      .lost = true};
}

static void check_is_sample(const duro_message *m) {
  duro_event e = sample();
  CHECK_INT(m->event.id, 0);
  CHECK_INT(m->event.at_ms, 0);
  CHECK_INT(m->event.kind, e.kind);
  CHECK_BYTES(m->event.name.p, m->event.name.n, e.name.p, e.name.n);
  CHECK_BYTES(m->event.input.p, m->event.input.n, e.input.p, e.input.n);
  CHECK_BYTES(m->event.dedup_id.p, m->event.dedup_id.n, e.dedup_id.p, e.dedup_id.n);
  CHECK(m->event.reason.p != NULL);
  CHECK_INT(m->event.reason.n, 0);
  CHECK(m->event.output.p == NULL);
  CHECK_INT(m->event.attempt, 2);
  CHECK(m->event.lost);
}

TEST(a_message_owns_what_it_says) {
  duro_event e = sample();
  char *name = duro_str_dup(e.name);
  e.name = duro_str_from(name);
  duro_message *m = duro_message_new(NULL, 17, 3, &e);
  memset(name, 'x', strlen(name));
  free(name);
  if (!CHECK(m != NULL)) return;
  CHECK_INT(m->instance_key, 17);
  CHECK_INT(m->execution_id, 3);
  CHECK_INT(m->row_id, 0);
  CHECK_INT(m->request_id, 0);
  CHECK(m->next == NULL && m->waiter == NULL);
  check_is_sample(m);
  duro_message_free(m);
}

TEST(a_message_without_any_text_is_fine) {
  duro_message *m = duro_message_new(NULL, 1, 0, &(duro_event){.kind = DURO_EVENT_RESUMED});
  if (!CHECK(m != NULL)) return;
  CHECK(m->event.name.p == NULL);
  duro_message_free(m);
  duro_message_free(NULL);
}

TEST(a_message_round_trips_through_a_row) {
  duro_event e = sample();
  duro_message *m = duro_message_new(NULL, 17, 0, &e), *again = NULL;
  duro_buf b = {0};
  duro_message_encode(&b, m);
  CHECK_INT(duro_message_decode(NULL, 18, 4, duro_buf_str(&b), &again, NULL), DURO_OK);
  if (CHECK(again != NULL)) {
    CHECK_INT(again->instance_key, 18);
    CHECK_INT(again->execution_id, 4);
    duro_buf_free(&b); // the message does not lean on the body
    check_is_sample(again);
  }
  duro_buf_free(&b);
  duro_message_free(m);
  duro_message_free(again);
}

TEST(a_body_that_is_no_event_is_corrupt) {
  duro_message *m = (duro_message *)1;
  duro_error *err = NULL;
  CHECK_INT(duro_message_decode(NULL, 1, 0, DURO_STR("{\"kind\":\"teleported\"}"), &m, &err),
            DURO_CORRUPT);
  CHECK(m == NULL);
  CHECK(err && strstr(err->message, "teleported"));
  duro_error_free(err);
  CHECK_INT(duro_message_decode(NULL, 1, 0, DURO_STR(""), &m, NULL), DURO_CORRUPT);
  CHECK_INT(duro_message_decode(NULL, 1, 0, DURO_NONE, &m, NULL), DURO_CORRUPT);
}

TEST(a_list_is_turned_round) {
  duro_message *list = NULL;
  for (int64_t key = 1; key <= 3; key++) {
    duro_message *m = duro_message_new(NULL, key, 0, &(duro_event){.kind = DURO_EVENT_RESUMED});
    m->next = list;
    list = m;
  }
  list = duro_message_reverse(list);
  for (int64_t key = 1; key <= 3; key++) {
    duro_message *next = list->next;
    CHECK_INT(list->instance_key, key);
    duro_message_free(list);
    list = next;
  }
  CHECK(!list);
  CHECK(!duro_message_reverse(NULL));
}

CHECK_MAIN()
