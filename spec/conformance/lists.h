// Contracts of lists: every filter, order and page, on random instances and against a model that tries
// each row.
#include "harness.h"

enum { LISTED = 150 };

static const char *const list_names[] = {"order", "order.eu", "order.us", "invoice",     "Order",
                                         "or",    "o_der",    "o%",       "\xc3\xa4rger"};
static const char *const list_versions[] = {"1.0", "1.1", "2.0"};
static const char *const list_waits[] = {"[]",
                                         "[\"activity\"]",
                                         "[\"timer\"]",
                                         "[\"event:approval\"]",
                                         "[\"event:appro\",\"timer\"]",
                                         "[\"activity\",\"event:approval\",\"event:b\"]",
                                         "[\"sub_orchestration\"]"};
static const char *const list_attributes[] = {NULL,
                                              "{}",
                                              "{\"region\":\"eu\"}",
                                              "{\"region\":\"us\",\"size\":5}",
                                              "{\"size\":5,\"gold\":true,\"region\":\"eu\"}",
                                              "{\"size\":50}"};
static const char *const list_errors[] = {"{\"code\":\"failed\",\"message\":\"card declined\"}",
                                          "{\"code\":\"timeout\",\"message\":\"no answer\"}",
                                          "{\"code\":\"failed\",\"message\":\"50% off_by\"}"};

#define PICK(f, list) ((list)[draw(f, sizeof(list) / sizeof *(list))])
#define MAYBE_STR(z)  ((z) ? duro_str_from(z) : DURO_NONE)

// What the store was told, row by row; `key` 0 where it was deleted.
typedef struct model {
  duro_instance_row rows[LISTED];
  size_t count;
} model;

static void model_insert(fixture *f, draft *d, model *m) {
  char id[64];
  snprintf(id, sizeof id, "%c%s-%d", (char)('a' + draw(f, 3)), draw(f, 2) ? "_x" : "%y",
           (int)m->count);
  duro_instance_row *row = draft_insert(d, id);
  row->name = duro_str_from(PICK(f, list_names));
  row->version = duro_str_from(PICK(f, list_versions));
  row->attributes = MAYBE_STR(PICK(f, list_attributes));
  row->status = draw(f, 4) ? DURO_STATUS_RUNNING : DURO_STATUS_PENDING;
  if (m->count && draw(f, 3) == 0) {
    const duro_instance_row *parent = &m->rows[draw(f, m->count)];
    row->parent_key = parent->key ? parent->key : 1;
    row->parent_id = parent->id;
    row->parent_event_id = 2;
    row->depth = 1;
  }
  m->rows[m->count++] = *row;
}

static void model_turn(fixture *f, draft *d, duro_instance_row *row) {
  duro_turn_row *turn = draft_turn(d, row->key, 1, row->event_count + 1, 1);
  turn->waiting_on = row->waiting_on = duro_str_from(PICK(f, list_waits));
  row->event_count++;
  row->updated_at_ms = f->now;
}

static void model_end(fixture *f, draft *d, duro_instance_row *row) {
  row->status = (duro_status)(DURO_STATUS_COMPLETED + draw(f, 4));
  duro_instance_update *u = draft_end(d, row->key, row->status);
  if (row->status != DURO_STATUS_COMPLETED) u->row.error = duro_str_from(PICK(f, list_errors));
  row->error = u->row.error;
  row->completed_at_ms = row->updated_at_ms = f->now;
}

static void model_change(fixture *f, draft *d, duro_instance_row *row, bool turns) {
  if (row->key == 0) return;
  bool over = duro_status_final(row->status);
  switch (draw(f, 6)) {
  case 0:
  case 1:
    if (!over && turns) model_turn(f, d, row);
    break;
  case 2:
    if (!over) model_end(f, d, row);
    break;
  case 3:
    row->attributes = MAYBE_STR(PICK(f, list_attributes));
    draft_update(d, row->key, DURO_SET_ATTRIBUTES)->row.attributes = row->attributes;
    row->updated_at_ms = f->now;
    break;
  case 4:
    if (over) break;
    row->status = draw(f, 2) ? DURO_STATUS_SUSPENDED : DURO_STATUS_STALLED;
    row->error = draw(f, 2) ? duro_str_from(PICK(f, list_errors)) : DURO_NONE;
    duro_instance_update *u = draft_update(d, row->key, DURO_SET_STATUS);
    u->row.status = row->status;
    u->row.error = row->error;
    row->updated_at_ms = f->now;
    break;
  default:
    break;
  }
}

// Many small batches: inserts, turns, ends, other attributes, some deletions; folded at the end. Without
// turns there is nothing that only folding would tell of, and the newest are not folded.
static void build(fixture *f, model *m, bool turns) {
  memset(m, 0, sizeof *m);
  while (m->count < LISTED) {
    f->now += 1 + (int64_t)draw(f, 500);
    draft *d = draft_new(f);
    size_t before = m->count;
    for (uint64_t n = draw(f, 6); n > 0 && m->count < LISTED; n--) model_insert(f, d, m);
    for (uint64_t n = before ? draw(f, 16) : 0; n > 0; n--) {
      model_change(f, d, &m->rows[draw(f, before)], turns);
    }
    OK(f, draft_send(d));
    if (before && draw(f, 10) == 0) {
      duro_instance_row *row = &m->rows[draw(f, before)];
      if (row->key) delete_one(f, row->key);
      row->key = 0;
    }
    if (draw(f, turns ? 8 : 40) == 0) fold_all(f);
  }
  if (turns) fold_all(f);
}

// --- The model's own filter ---

static bool wanted_name(const duro_filter *q, duro_str name) {
  if (q->name_count == 0) return true;
  for (size_t i = 0; i < q->name_count; i++) {
    duro_str text = q->names[i].text;
    if (name.n < text.n || memcmp(name.p, text.p, text.n) != 0) continue;
    if (q->names[i].prefix || name.n == text.n) return true;
  }
  return false;
}

static bool has_text(duro_str whole, const char *part) {
  return whole.p && strstr(whole.p, part) != NULL; // the model's texts are C strings
}

static bool wanted_wait(const duro_instance_row *row, duro_str what) {
  char exact[80], begin[80];
  snprintf(exact, sizeof exact, "\"%s\"", what.p);
  snprintf(begin, sizeof begin, "\"%s:", what.p);
  if (row->completed_at_ms) return false;
  return has_text(row->waiting_on, exact) || has_text(row->waiting_on, begin);
}

static bool wanted_attribute(duro_str attributes, const duro_attribute_match *m) {
  char comma[80], brace[80];
  snprintf(comma, sizeof comma, "\"%s\":%s,", m->key.p, m->value.p);
  snprintf(brace, sizeof brace, "\"%s\":%s}", m->key.p, m->value.p);
  return has_text(attributes, comma) || has_text(attributes, brace);
}

static bool wanted_time(int64_t at, int64_t after, int64_t before) {
  if (after && !(at > after)) return false;
  if (before && !(at < before && at != 0)) return false;
  return true;
}

static bool wanted(const duro_filter *q, const duro_instance_row *row) {
  bool id_is_listed = q->id_count == 0;
  for (size_t i = 0; i < q->id_count; i++) {
    if (duro_str_equal(q->ids[i], row->id)) id_is_listed = true;
  }
  for (size_t i = 0; i < q->attribute_count; i++) {
    if (!wanted_attribute(row->attributes, &q->attributes[i])) return false;
  }
  return row->key != 0 && id_is_listed && wanted_name(q, row->name) &&
         (q->statuses == 0 || (q->statuses & 1U << row->status)) &&
         (!q->version.p || duro_str_equal(q->version, row->version)) &&
         (!q->id_prefix.p || strncmp(row->id.p, q->id_prefix.p, q->id_prefix.n) == 0) &&
         wanted_time(row->created_at_ms, q->created_after, q->created_before) &&
         wanted_time(row->updated_at_ms, q->updated_after, q->updated_before) &&
         wanted_time(row->completed_at_ms, q->completed_after, q->completed_before) &&
         (q->has_parent == 0 || (q->has_parent > 0) == (row->parent_key != 0)) &&
         (!q->parent_id.p || duro_str_equal(q->parent_id, row->parent_id)) &&
         (!q->error_contains.p || has_text(row->error, q->error_contains.p)) &&
         (!q->waiting_on.p || wanted_wait(row, q->waiting_on));
}

// --- Random filters ---

typedef struct asked {
  duro_filter filter;
  duro_name_match names[3];
  duro_attribute_match attributes[2];
  duro_str ids[12];
} asked;

static int64_t some_time(fixture *f) { return NOW + (int64_t)draw(f, (uint64_t)(f->now - NOW)); }

static void ask_names(fixture *f, asked *a) {
  static const char *const prefixes[] = {"order", "o", "or", "o_", "o%", "", "\xc3", "O"};
  a->filter.names = a->names;
  a->filter.name_count = 1 + draw(f, 3);
  for (size_t i = 0; i < a->filter.name_count; i++) {
    bool prefix = draw(f, 2) == 0;
    const char *text = prefix ? PICK(f, prefixes) : PICK(f, list_names);
    a->names[i] = (duro_name_match){duro_str_from(text), prefix};
  }
}

static void ask_attributes(fixture *f, asked *a) {
  static const duro_attribute_match some[] = {{DURO_STR("region"), DURO_STR("\"eu\"")},
                                              {DURO_STR("region"), DURO_STR("\"us\"")},
                                              {DURO_STR("size"), DURO_STR("5")},
                                              {DURO_STR("gold"), DURO_STR("true")},
                                              {DURO_STR("size"), DURO_STR("\"5\"")}};
  a->filter.attributes = a->attributes;
  a->filter.attribute_count = 1 + draw(f, 2);
  for (size_t i = 0; i < a->filter.attribute_count; i++) a->attributes[i] = PICK(f, some);
}

// Sets the filter's member number `what` at random.
static void ask(fixture *f, const model *m, asked *a, uint64_t what) {
  static const char *const id_prefixes[] = {"a", "b_", "c%", "a_x-1", "", "zzz"};
  static const char *const parts[] = {"card", "failed", "50% off_by", "nothing", "Card"};
  static const char *const waits[] = {
      "activity", "timer", "event", "event:approval", "event:appro", "sub_orchestration", "eve"};
  duro_filter *q = &a->filter;
  switch (what) {
  case 0:
    q->statuses = (unsigned)(1 + draw(f, (1U << DURO_STATUS_COUNT) - 1));
    break;
  case 1:
    q->statuses = 1U << draw(f, DURO_STATUS_COUNT);
    break;
  case 2:
    ask_names(f, a);
    break;
  case 3:
    q->version = duro_str_from(PICK(f, list_versions));
    break;
  case 4:
    q->id_prefix = duro_str_from(PICK(f, id_prefixes));
    break;
  case 5:
    q->created_after = some_time(f);
    break;
  case 6:
    q->created_before = some_time(f);
    break;
  case 7:
    q->updated_after = some_time(f);
    break;
  case 8:
    q->updated_before = some_time(f);
    break;
  case 9:
    q->completed_after = some_time(f);
    break;
  case 10:
    q->completed_before = some_time(f);
    break;
  case 11:
    q->has_parent = draw(f, 2) ? 1 : -1;
    break;
  case 12:
    q->parent_id = m->rows[draw(f, m->count)].id;
    break;
  case 13:
    ask_attributes(f, a);
    break;
  case 14:
    q->error_contains = duro_str_from(PICK(f, parts));
    break;
  case 15:
    q->waiting_on = duro_str_from(PICK(f, waits));
    break;
  case 16:
    q->ids = a->ids;
    q->id_count = 1 + draw(f, 12);
    for (size_t i = 0; i < q->id_count; i++) a->ids[i] = m->rows[draw(f, m->count)].id;
    if (draw(f, 3) == 0) a->ids[0] = DURO_STR("unknown");
    break;
  case 17: // the very times of a row: exclusive bounds leave it out
    q->created_after = m->rows[draw(f, m->count)].created_at_ms;
    q->updated_before = m->rows[draw(f, m->count)].updated_at_ms;
    q->completed_after = m->rows[draw(f, m->count)].completed_at_ms;
    break;
  default:
    break;
  }
}

enum { ASKABLE = 18 };

// --- Comparing ---

static int compare_values(duro_order_by by, const duro_instance_row *a,
                          const duro_instance_row *b) {
  switch (by) {
  case DURO_BY_UPDATED:
    return (a->updated_at_ms > b->updated_at_ms) - (a->updated_at_ms < b->updated_at_ms);
  case DURO_BY_ID:
    return duro_str_compare(a->id, b->id);
  case DURO_BY_NAME:
    return duro_str_compare(a->name, b->name);
  default:
    return (a->key > b->key) - (a->key < b->key);
  }
}

static const duro_instance_row *model_row(const model *m, int64_t key) {
  for (size_t i = 0; i < m->count; i++) {
    if (m->rows[i].key == key) return &m->rows[i];
  }
  return NULL;
}

// Reads all pages and checks that they hold each wanted row once, in order, and no other; and the count.
static void check_pages(fixture *f, const model *m, duro_list_query q) {
  bool seen[LISTED] = {false};
  size_t total = 0, got = 0;
  duro_instance_row last = {0};
  for (size_t i = 0; i < m->count; i++) total += wanted(&q.filter, &m->rows[i]);
  int64_t counted = -1;
  if (!OK(f, duro__store_count(f->s, &q.filter, INT64_MAX, &counted, &f->err))) return;
  CHECK_INT(counted, total);
  for (bool more = true; more;) {
    duro_instance_rows page;
    if (!OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err))) return;
    size_t left = total - got;
    if (!CHECK_INT(page.count, left < q.limit ? left : q.limit)) return;
    CHECK_INT(page.truncated, left > q.limit);
    for (size_t i = 0; i < page.count; i++, got++) {
      const duro_instance_row *row = &page.items[i], *known = model_row(m, row->key);
      if (!CHECK(known && wanted(&q.filter, known))) return;
      if (!CHECK(!seen[known - m->rows])) return;
      seen[known - m->rows] = true;
      CHECK_TEXT(f, row->id, known->id);
      CHECK_TEXT(f, row->error, known->error);
      CHECK_INT(row->updated_at_ms, known->updated_at_ms);
      CHECK_STR(duro_status_string(row->status), duro_status_string(known->status));
      int order = got ? compare_values(q.order_by, &last, row) : 0;
      CHECK(q.ascending ? order <= 0 : order >= 0);
      last = *row;
    }
    q.after_key = last.key;
    q.after_updated_ms = last.updated_at_ms;
    q.after_text = q.order_by == DURO_BY_ID ? last.id : last.name;
    more = page.truncated && page.count > 0;
  }
  CHECK_INT(got, total);
}

static void check_lists(fixture *f, bool turns) {
  model *m = malloc(sizeof *m);
  build(f, m, turns);
  for (int round = 0; round < 1200; round++) {
    asked a = {0};
    if (round < ASKABLE * 8) { // each alone in each order and direction, then some together
      ask(f, m, &a, (uint64_t)round / 8);
    } else {
      for (uint64_t n = draw(f, 4); n > 0; n--) ask(f, m, &a, draw(f, ASKABLE));
    }
    duro_list_query q = {.filter = a.filter,
                         .order_by = (duro_order_by)(round % 4),
                         .ascending = round / 4 % 2,
                         .limit = 1 + draw(f, draw(f, 2) ? 7 : 200)};
    int failures = check__state.failures;
    check_pages(f, m, q);
    if (check__state.failures > failures) {
      fprintf(stderr, "    in round %d, order %d%s, limit %zu\n", round, q.order_by,
              q.ascending ? " ascending" : "", q.limit);
      break;
    }
  }
  free(m);
}

CONTRACT(lists_find_what_a_search_of_every_row_finds) { check_lists(f, true); }

CONTRACT(lists_find_what_is_not_folded_yet) { check_lists(f, false); }

CONTRACT(a_page_is_not_moved_by_what_is_inserted_or_deleted_meanwhile) {
  duro_instance_rows page;
  int64_t keys[10];
  for (int i = 0; i < 10; i++) {
    char id[16];
    snprintf(id, sizeof id, "i%d", i);
    f->now += 10;
    keys[i] = insert_one(f, id);
  }
  duro_list_query q = {.order_by = DURO_BY_CREATED, .limit = 4};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  if (!CHECK_INT(page.count, 4)) return;
  CHECK_INT(page.items[0].key, keys[9]);
  CHECK_INT(page.items[3].key, keys[6]);
  insert_one(f, "newer");
  delete_one(f, keys[6]); // the very row the next page continues after
  delete_one(f, keys[4]);
  q.after_key = keys[6];
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  if (!CHECK_INT(page.count, 4)) return;
  CHECK_INT(page.items[0].key, keys[5]);
  CHECK_INT(page.items[1].key, keys[3]);
  CHECK_INT(page.items[3].key, keys[1]);
  CHECK(page.truncated);
}

CONTRACT(an_attribute_is_found_whatever_its_characters) {
  static const duro_attribute_match odd[] = {
      {DURO_STR("q\"uote"), DURO_STR("\"a\\\"b\"")}, {DURO_STR("\xc3\xa4"), DURO_STR("1.5")},
      {DURO_STR("dot.ted"), DURO_STR("-3")},         {DURO_STR("$"), DURO_STR("null")},
      {DURO_STR("'; --"), DURO_STR("\"%_\"")},       {DURO_STR("dot"), DURO_STR("\"\"")}};
  duro_instance_rows page;
  draft *d = draft_new(f);
  draft_insert(d, "plain")->attributes = DURO_STR("{\"dot\":{\"ted\":-3}}");
  draft_insert(d, "odd")->attributes =
      DURO_STR("{\"q\\\"uote\":\"a\\\"b\",\"\xc3\xa4\":1.5,\"dot.ted\":-3,\"$\":null,"
               "\"'; --\":\"%_\",\"dot\":\"\"}");
  OK(f, draft_send(d));
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    duro_list_query q = {.filter = {.attributes = &odd[i], .attribute_count = 1}, .limit = 5};
    OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
    if (CHECK_INT(page.count, 1)) CHECK_TEXT(f, page.items[0].id, DURO_STR("odd"));
  }
  duro_list_query q = {.filter = {.attributes = odd, .attribute_count = 6}, .limit = 5};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  CHECK_INT(page.count, 1);
}

CONTRACT(an_empty_store_lists_nothing) {
  duro_instance_rows page;
  duro_list_query q = {.limit = 10};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  CHECK_INT(page.count, 0);
  CHECK(!page.truncated);
}

CONTRACT(a_listed_row_is_whole) {
  duro_instance_rows page;
  draft *d = draft_new(f);
  duro_instance_row want = full_row(f, d, "a");
  OK(f, draft_send(d));
  duro_list_query q = {.limit = 10};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  if (CHECK_INT(page.count, 1)) check_same_row(f, &page.items[0], &want);
}

CONTRACT(a_brief_row_lacks_nothing_but_its_texts) {
  duro_instance_rows page;
  draft *d = draft_new(f);
  duro_instance_row want = full_row(f, d, "a");
  OK(f, draft_send(d));
  duro_list_query q = {.limit = 10, .brief = true};
  OK(f, duro__store_list(f->s, &q, &f->arena, &page, &f->err));
  if (!CHECK_INT(page.count, 1)) return;
  duro_instance_row *row = &page.items[0];
  duro_str *got[] = {&row->run_id, &row->waiting_on, &row->custom_status, &row->attributes,
                     &row->reason, &row->error,      &row->output};
  const duro_str all[] = {want.run_id, want.waiting_on, want.custom_status, want.attributes,
                          want.reason, want.error,      want.output};
  for (size_t i = 0; i < sizeof got / sizeof *got; i++) {
    if (!got[i]->p) *got[i] = all[i];
  }
  check_same_row(f, row, &want);
}
