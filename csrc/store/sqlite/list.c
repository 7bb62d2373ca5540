// Lists: choosing how to find what a filter asks for, and reading a page of it.
//
// Each part of a filter that an index serves is a source. The page is read
//  - from a source that gives rows in the order asked for, when nothing else is there to choose:
//    then it costs what it returns;
//  - else from the source with the fewest rows, counted in its index alone up to LIST_PROBE_ROWS,
//    and sorted when its order is another;
//  - else, when all have more, from one that gives the order, or else by walking the index of the
//    order and checking each row. Many matches are soon found that way, unless they all lie far
//    away: so the walk has a budget, and when that is used up they are sorted after all.
// This is tried with small numbers first (LIST_QUICK_SHARE), because to read and sort a few thousand rows
// costs more than to walk to the first hundred of them, if they are near.
// So no list reads every instance because of its order. Pages are continued by value, never by
// offset.
#include "store/sqlite/list.h"

// --- Ranges ---

static list_value number(int64_t n) { return (list_value){.number = n}; }

static list_value text(duro_str s) { return (list_value){.is_text = true, .text = s}; }

static int compare(const list_value *a, const list_value *b) {
  if (a->is_text) return duro_str_compare(a->text, b->text);
  return a->number < b->number ? -1 : a->number > b->number;
}

// The least text that is greater than every text with this prefix; absent when there is none.
static duro_str after_prefix(duro_arena *arena, duro_str prefix) {
  size_t n = prefix.n;
  while (n > 0 && (unsigned char)prefix.p[n - 1] == 0xff) n--;
  if (n == 0) return DURO_NONE;
  char *end = duro_arena_alloc(arena, n);
  if (!end) return DURO_NONE;
  memcpy(end, prefix.p, n);
  end[n - 1] = (char)((unsigned char)end[n - 1] + 1);
  return (duro_str){end, n};
}

static list_arm equal_arm(list_value value) { return (list_arm){.is_equal = true, .equal = value}; }

static list_arm prefix_arm(duro_arena *arena, duro_str prefix) {
  list_arm arm = {.has_low = true, .low_included = true, .low = text(prefix)};
  duro_str end = after_prefix(arena, prefix);
  arm.has_high = end.p != NULL;
  arm.high = text(end);
  return arm;
}

static list_arm time_arm(int64_t after_ms, int64_t before_ms) {
  return (list_arm){.has_low = after_ms != 0,
                    .low = number(after_ms),
                    .has_high = before_ms != 0,
                    .high = number(before_ms)};
}

// --- The sources of a filter ---

static duro_code add_source(list_plan *plan, list_kind kind, size_t attribute, const list_arm *arms,
                            size_t arm_count, duro_error **err) {
  list_arm *copy = duro_arena_alloc(plan->arena, (arm_count + 1) * sizeof *copy);
  if (!copy) return duro_fail_oom(err);
  if (arm_count) memcpy(copy, arms, arm_count * sizeof *copy);
  plan->sources[plan->source_count++] = (list_source){kind, attribute, copy, arm_count};
  return DURO_OK;
}

// Statuses of the filter; none when it asks for all.
static duro_code add_statuses(list_plan *plan, duro_error **err) {
  unsigned asked = plan->query->filter.statuses, all = (1u << DURO_STATUS_COUNT) - 1;
  list_arm arms[DURO_STATUS_COUNT];
  size_t count = 0;
  if (asked == 0 || (asked & all) == all) return DURO_OK;
  for (int status = 0; status < DURO_STATUS_COUNT; status++) {
    if (!(asked >> status & 1)) continue;
    arms[count++] = equal_arm(text(duro_str_from(duro_status_string((duro_status)status))));
  }
  return add_source(plan, BY_STATUS, 0, arms, count, err);
}

// Whether `m` says nothing that another of the names does not say: arms must not overlap, or a
// merge would give a row twice.
static bool is_covered(const duro_filter *f, size_t at) {
  const duro_name_match *m = &f->names[at];
  for (size_t i = 0; i < f->name_count; i++) {
    const duro_name_match *other = &f->names[i];
    if (i == at) continue;
    bool same = duro_str_equal(m->text, other->text) && m->prefix == other->prefix;
    if (same && i < at) return true;
    if (!same && other->prefix && duro_str_starts_with(m->text, other->text)) return true;
  }
  return false;
}

static duro_code add_names(list_plan *plan, duro_error **err) {
  const duro_filter *f = &plan->query->filter;
  list_arm arms[LIST_MAX_ARMS];
  size_t count = 0;
  if (f->name_count > LIST_MAX_ARMS) {
    return duro_fail(err, DURO_TOO_LARGE, "a filter can have %d names (has %zu)", LIST_MAX_ARMS,
                     f->name_count);
  }
  for (size_t i = 0; i < f->name_count; i++) {
    const duro_name_match *m = &f->names[i];
    if (m->prefix && m->text.n == 0) return DURO_OK; // any name at all
    if (is_covered(f, i)) continue;
    arms[count++] = m->prefix ? prefix_arm(plan->arena, m->text) : equal_arm(text(m->text));
  }
  return count ? add_source(plan, BY_NAME, 0, arms, count, err) : DURO_OK;
}

static duro_code add_attributes(list_plan *plan, duro_error **err) {
  const duro_filter *f = &plan->query->filter;
  duro_code code = DURO_OK;
  for (size_t i = 0; i < f->attribute_count && i < 4 && code == DURO_OK; i++) {
    list_arm arm = equal_arm(text(f->attributes[i].value));
    code = add_source(plan, BY_ATTRIBUTE, i, &arm, 1, err);
  }
  return code;
}

static duro_code find_sources(list_plan *plan, duro_error **err) {
  const duro_filter *f = &plan->query->filter;
  list_arm arm = {0};
  duro_code code = DURO_OK;
  if (f->id_count) code = add_source(plan, BY_IDS, 0, &arm, 1, err);
  if (code == DURO_OK && f->parent_id.p) {
    arm = equal_arm(text(f->parent_id));
    code = add_source(plan, BY_PARENT, 0, &arm, 1, err);
  } else if (code == DURO_OK && f->has_parent > 0) {
    arm = (list_arm){0};
    code = add_source(plan, BY_PARENT, 0, &arm, 1, err);
  }
  if (code == DURO_OK) code = add_attributes(plan, err);
  if (code == DURO_OK && f->waiting_on.p) {
    arm = equal_arm(text(f->waiting_on));
    code = add_source(plan, BY_WAIT, 0, &arm, 1, err);
  }
  if (code == DURO_OK && f->id_prefix.n) {
    arm = prefix_arm(plan->arena, f->id_prefix);
    code = add_source(plan, BY_ID, 0, &arm, 1, err);
  }
  if (code == DURO_OK) code = add_statuses(plan, err);
  if (code == DURO_OK) code = add_names(plan, err);
  if (code == DURO_OK && (f->completed_after || f->completed_before)) {
    arm = time_arm(f->completed_after, f->completed_before);
    code = add_source(plan, BY_COMPLETED, 0, &arm, 1, err);
  }
  if (code == DURO_OK && (f->updated_after || f->updated_before)) {
    arm = time_arm(f->updated_after, f->updated_before);
    code = add_source(plan, BY_UPDATED, 0, &arm, 1, err);
  }
  if (code == DURO_OK && (f->created_after || f->created_before)) {
    arm = (list_arm){0};
    code = add_source(plan, BY_KEY, 0, &arm, 1, err);
  }
  return plan->arena->oom ? duro_fail_oom(err) : code;
}

static duro_code find_unlisted(list_plan *plan, duro_error **err) {
  int64_t found[2];
  statement st = use(plan->conn, Q_read_unlisted);
  duro_code code = duro__sqlite_take_ints(&st, found, 2, NULL, err);
  if (code != DURO_OK) return code;
  plan->listed_to = found[0];
  plan->has_unlisted = found[1] > found[0];
  return DURO_OK;
}

// The index of the order asked for: one of the sources, or all of it.
static duro_code find_walk(list_plan *plan, list_source *out, duro_error **err) {
  static const list_kind kinds[] = {[DURO_BY_CREATED] = BY_KEY,
                                    [DURO_BY_UPDATED] = BY_UPDATED,
                                    [DURO_BY_ID] = BY_ID,
                                    [DURO_BY_NAME] = BY_NAME};
  list_kind kind = kinds[plan->query->order_by];
  for (size_t i = 0; i < plan->source_count; i++) {
    *out = plan->sources[i];
    if (out->kind == kind) return DURO_OK;
  }
  list_arm *everything = duro_arena_alloc(plan->arena, sizeof *everything);
  if (!everything) return duro_fail_oom(err);
  *everything = (list_arm){0};
  *out = (list_source){kind, 0, everything, 1};
  return DURO_OK;
}

bool duro__sqlite_list_in_order(const list_source *source, duro_order_by order_by) {
  switch (source->kind) {
  case BY_KEY:
  case BY_STATUS:
  case BY_ATTRIBUTE:
  case BY_WAIT:
    return order_by == DURO_BY_CREATED; // by key within each value
  case BY_ID:
    return order_by == DURO_BY_ID;
  case BY_UPDATED:
    return order_by == DURO_BY_UPDATED;
  case BY_NAME:
    if (order_by == DURO_BY_NAME) return true;
    break;
  case BY_PARENT:
    break;
  default:
    return false;
  }
  for (size_t i = 0; i < source->arm_count; i++) { // ranges are not in the order of keys
    if (!source->arms[i].is_equal) return false;
  }
  return order_by == DURO_BY_CREATED;
}

// --- Going on after a page ---

// The arm's part behind `last`, in at most two arms: what is left of the very value (by key, unless
// values are unique), and what lies beyond.
static size_t rest_of_arm(const list_arm *arm, const list_value *last, bool ascending, bool unique,
                          list_arm out[2]) {
  size_t count = 0;
  bool within = arm->is_equal
                    ? compare(&arm->equal, last) == 0
                    : (!arm->has_low || compare(&arm->low, last) < (arm->low_included ? 1 : 0)) &&
                          (!arm->has_high || compare(last, &arm->high) < 0);
  if (within && !unique) {
    out[count] = equal_arm(*last);
    out[count++].after_key = true;
  }
  if (arm->is_equal) {
    int order = compare(&arm->equal, last);
    if (ascending ? order > 0 : order < 0) out[count++] = *arm;
    return count;
  }
  list_arm beyond = *arm;
  if (ascending && (!beyond.has_low || compare(&beyond.low, last) <= 0)) {
    beyond.has_low = true;
    beyond.low_included = false;
    beyond.low = *last;
  } else if (!ascending && (!beyond.has_high || compare(last, &beyond.high) < 0)) {
    beyond.has_high = true;
    beyond.high = *last;
  }
  bool empty = beyond.has_low && beyond.has_high && compare(&beyond.low, &beyond.high) >= 0;
  if (!empty) out[count++] = beyond;
  return count;
}

// Cuts the arms of a source whose own order is the one asked for. By key nothing is cut here: the
// key range does that.
static duro_code cut_arms(list_plan *plan, list_source *source, duro_error **err) {
  const duro_list_query *q = plan->query;
  if (q->after_key == 0 || q->order_by == DURO_BY_CREATED) return DURO_OK;
  if (!duro__sqlite_list_in_order(source, q->order_by)) return DURO_OK;
  list_value last =
      q->order_by == DURO_BY_UPDATED ? number(q->after_updated_ms) : text(q->after_text);
  list_arm *arms = duro_arena_alloc(plan->arena, (2 * source->arm_count + 1) * sizeof *arms);
  if (!arms) return duro_fail_oom(err);
  size_t count = 0;
  for (size_t i = 0; i < source->arm_count; i++) {
    count +=
        rest_of_arm(&source->arms[i], &last, q->ascending, q->order_by == DURO_BY_ID, &arms[count]);
  }
  source->arms = arms;
  source->arm_count = count;
  return DURO_OK;
}

// --- Choosing ---

static bool gives_order(const list_plan *plan, const list_source *source) {
  return duro__sqlite_list_in_order(source, plan->query->order_by);
}

static duro_code count_source(list_plan *plan, const list_source *source, int64_t most,
                              int64_t *count, duro_error **err) {
  list_sql sql = {.plan = plan};
  statement st;
  *count = 0;
  if (source->arm_count == 0) return DURO_OK;
  duro__sqlite_list_write_count(&sql, source, most);
  duro_code code = duro__sqlite_list_prepare(&sql, &st, err);
  if (code == DURO_OK) code = duro__sqlite_take_ints(&st, count, 1, NULL, err);
  duro_buf_free(&sql.text);
  return code;
}

// The smallest source. *count: its rows, or `most` when all have as many or more; then it is one in the
// order asked for, if there is one.
static duro_code find_smallest(list_plan *plan, int64_t most, const list_source **out,
                               int64_t *count, duro_error **err) {
  *out = NULL;
  *count = most;
  for (size_t i = 0; i < plan->source_count; i++) {
    const list_source *source = &plan->sources[i];
    int64_t rows;
    duro_code code = count_source(plan, source, *count, &rows, err);
    if (code != DURO_OK) return code;
    bool all_large = rows == most;
    bool better_order = all_large && gives_order(plan, source) && *out && !gives_order(plan, *out);
    if (*out && rows >= *count && !better_order) continue;
    *out = source;
    *count = rows;
  }
  return DURO_OK;
}

typedef struct choice {
  list_source first; // to read from
  bool has_budget;
  list_source second; // when the budget is used up
} choice;

static duro_code choose(list_plan *plan, int64_t probe_rows, choice *out, duro_error **err) {
  *out = (choice){0};
  if (plan->source_count == 0) return find_walk(plan, &out->first, err);
  out->first = plan->sources[0];
  if (out->first.kind == BY_IDS) return DURO_OK;
  if (plan->source_count == 1 && gives_order(plan, &out->first)) return DURO_OK;

  const list_source *smallest;
  int64_t count;
  duro_code code = find_smallest(plan, probe_rows, &smallest, &count, err);
  if (code != DURO_OK) return code;
  out->first = *smallest;
  if (count < probe_rows || gives_order(plan, smallest)) return DURO_OK;
  out->second = *smallest;
  out->has_budget = true;
  return find_walk(plan, &out->first, err);
}

// --- Reading ---

typedef struct budget {
  int64_t left; // in strides of BUDGET_STRIDE steps
  bool used_up;
} budget;

enum { BUDGET_STRIDE = 10000 };

static int spend(void *user) {
  budget *b = user;
  if (--b->left > 0) return 0;
  b->used_up = true;
  return 1;
}

static duro_code read_rows(statement *st, size_t limit, duro_arena *arena, duro_instance_rows *out,
                           duro_error **err) {
  size_t capacity = 0;
  bool row;
  duro_code code;
  *out = (duro_instance_rows){0};
  while ((code = duro__sqlite_step(st, &row, err)) == DURO_OK && row) {
    out->truncated = out->count == limit;
    if (out->truncated) break;
    duro_instance_row *items =
        duro__sqlite_grow(arena, out->items, out->count, &capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) out->items = items;
    if (items) code = duro__sqlite_take_instance(st, arena, &items[out->count++], err);
    if (code != DURO_OK) break;
  }
  finish(st);
  return code;
}

static duro_code read_page(list_plan *plan, list_source *source, budget *limit, duro_arena *arena,
                           duro_instance_rows *out, duro_error **err) {
  *out = (duro_instance_rows){0};
  duro_code code = cut_arms(plan, source, err);
  if (code != DURO_OK || source->arm_count == 0) return code;
  list_sql sql = {.plan = plan};
  statement st;
  duro__sqlite_list_write(&sql, source);
  code = duro__sqlite_list_prepare(&sql, &st, err);
  if (code == DURO_OK) {
    if (limit) sqlite3_progress_handler(plan->conn->db, BUDGET_STRIDE, spend, limit);
    code = read_rows(&st, plan->query->limit, arena, out, err);
    if (limit) sqlite3_progress_handler(plan->conn->db, 0, NULL, NULL);
  }
  duro_buf_free(&sql.text);
  return code;
}

// Chooses and reads. *used_up: the walk took more than `steps`, and there is no page.
static duro_code try_list(list_plan *plan, int64_t probe_rows, int64_t steps, duro_arena *arena,
                          duro_instance_rows *out, choice *chosen, bool *used_up,
                          duro_error **err) {
  budget limit = {.left = steps / BUDGET_STRIDE};
  duro_code code = choose(plan, probe_rows, chosen, err);
  if (code == DURO_OK) {
    code = read_page(plan, &chosen->first, chosen->has_budget ? &limit : NULL, arena, out, err);
  }
  *used_up = limit.used_up;
  if (limit.used_up && err) { // of the interrupted walk
    duro_error_free(*err);
    *err = NULL;
  }
  return code;
}

static duro_code list(list_plan *plan, duro_arena *arena, duro_instance_rows *out,
                      duro_error **err) {
  const duro_store *s = plan->store;
  choice chosen;
  bool used_up = false;
  duro_code code = find_sources(plan, err);
  if (code != DURO_OK) return code;
  code = try_list(plan, s->list_probe_rows / LIST_QUICK_SHARE,
                  s->list_walk_steps / LIST_QUICK_SHARE, arena, out, &chosen, &used_up, err);
  if (!used_up) return code;
  code = try_list(plan, s->list_probe_rows, s->list_walk_steps, arena, out, &chosen, &used_up, err);
  return used_up ? read_page(plan, &chosen.second, NULL, arena, out, err) : code;
}

// --- Counting ---

// From the smallest source; with none, along the narrowest index of all.
static duro_code choose_for_count(list_plan *plan, list_source *out, duro_error **err) {
  duro_code code = find_sources(plan, err);
  if (code != DURO_OK) return code;
  if (plan->source_count == 0) {
    duro_list_query by_id = {.order_by = DURO_BY_ID};
    const duro_list_query *query = plan->query;
    plan->query = &by_id;
    code = find_walk(plan, out, err);
    plan->query = query;
    return code;
  }
  *out = plan->sources[0];
  if (plan->source_count == 1 || out->kind == BY_IDS) return DURO_OK;
  const list_source *smallest;
  int64_t count;
  code = find_smallest(plan, plan->store->list_probe_rows, &smallest, &count, err);
  if (code == DURO_OK) *out = *smallest;
  return code;
}

static duro_code count_matches(list_plan *plan, int64_t most, int64_t *out, duro_error **err) {
  list_source source;
  duro_code code = choose_for_count(plan, &source, err);
  if (code != DURO_OK || source.arm_count == 0) return code;
  list_sql sql = {.plan = plan};
  statement st;
  duro__sqlite_list_write_total(&sql, &source, most);
  code = duro__sqlite_list_prepare(&sql, &st, err);
  if (code == DURO_OK) code = duro__sqlite_take_ints(&st, out, 1, NULL, err);
  duro_buf_free(&sql.text);
  return code;
}

duro_code duro__sqlite_count(duro_store *s, const duro_filter *filter, int64_t most, int64_t *out,
                             duro_error **err) {
  *out = 0;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "count", true, &c, err);
  if (code != DURO_OK) return code;
  duro_arena scratch = {0};
  duro_list_query query = {.filter = *filter};
  list_plan plan = {.store = s, .conn = c, .query = &query, .arena = &scratch};
  code = find_unlisted(&plan, err);
  if (code == DURO_OK) code = count_matches(&plan, most, out, err);
  duro_arena_free(&scratch);
  duro__sqlite_read_end(s, c);
  return code;
}

// --- The verb ---

static duro_code check_query(const duro_list_query *query, duro_error **err) {
  if ((unsigned)query->order_by <= DURO_BY_NAME) return DURO_OK;
  return duro_fail(err, DURO_INVALID_ARGUMENT, "there is no order %d", (int)query->order_by);
}

duro_code duro__sqlite_list(duro_store *s, const duro_list_query *query, duro_arena *arena,
                            duro_instance_rows *out, duro_error **err) {
  *out = (duro_instance_rows){0};
  duro_code code = check_query(query, err);
  if (code != DURO_OK) return code;
  duro__sqlite_conn *c;
  code = duro__sqlite_read_begin(s, "list", true, &c, err);
  if (code != DURO_OK) return code;
  duro_arena scratch = {0};
  list_plan plan = {.store = s, .conn = c, .query = query, .arena = &scratch};
  code = find_unlisted(&plan, err);
  if (code == DURO_OK) code = list(&plan, arena, out, err);
  duro_arena_free(&scratch);
  duro__sqlite_read_end(s, c);
  return code;
}
