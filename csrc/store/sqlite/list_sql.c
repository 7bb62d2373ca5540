// The SQL of a list: one SELECT for each arm of the chosen source, merged in order when there are
// several, so that a page costs what it returns however many rows match.
//
// The index is named (INDEXED BY, NOT INDEXED, CROSS JOIN), because the file has no statistics and
// the planner would guess. Every value becomes a numbered parameter, so one filter's shape is
// always the same text and its statement is found prepared. To add a filter: a fragment in
// queries.sql, and its line in write_residuals; when an index serves it, a source in list.c.
#include "store/sqlite/list.h"

#include "base/json.h"

// --- Texts and values ---

static list_value number(int64_t n) { return (list_value){.number = n}; }

static list_value text(duro_str s) { return (list_value){.is_text = true, .text = s}; }

static void add(list_sql *q, const char *sql) { duro_buf_add_str(&q->text, duro_str_from(sql)); }

// `?N`, and the value that is bound to it.
static void add_value(list_sql *q, list_value value) {
  list_value *values =
      duro__sqlite_grow(q->plan->arena, q->values, q->count, &q->capacity, sizeof *values);
  if (!values) {
    q->text.oom = true;
    return;
  }
  q->values = values;
  values[q->count++] = value;
  duro_buf_printf(&q->text, "?%zu", q->count);
}

// A fragment; each `?` in it takes the next of the values.
static void add_fragment(list_sql *q, duro__sqlite_query query, const list_value *values) {
  for (const char *at = q->plan->store->queries[query]; *at; at++) {
    if (*at == '?') {
      add_value(q, *values++);
    } else {
      duro_buf_add_char(&q->text, *at);
    }
  }
}

static void add_condition(list_sql *q, duro__sqlite_query query, const list_value *values) {
  add(q, " AND ");
  add_fragment(q, query, values);
}

static void add_comparison(list_sql *q, const char *column, const char *operator, list_value v) {
  add(q, " AND ");
  add(q, column);
  add(q, operator);
  add_value(q, v);
}

// --- Where rows come from ---

// `column`, `key`: of the index; `of_row`: the same column of the instance's row.
static const struct {
  duro__sqlite_query from, only; // `only`: without the rows themselves, for counting
  const char *column, *key, *of_row;
  bool listed; // an index of `listed`, which lacks the newest
} sources[] = {
    [BY_KEY] = {Q_from_key, Q_from_key, NULL, "i.instance_key", NULL, false},
    [BY_IDS] = {Q_from_ids, Q_from_ids, NULL, "i.instance_key", NULL, false},
    [BY_ID] = {Q_from_id, Q_from_id, "i.id", "i.instance_key", "i.id", false},
    [BY_NAME] = {Q_from_name, Q_only_name, "l.name", "l.instance_key", "i.name", true},
    [BY_STATUS] = {Q_from_status, Q_only_status, "l.status", "l.instance_key", "i.status", true},
    [BY_UPDATED] = {Q_from_updated, Q_only_updated, "l.updated_at_ms", "l.instance_key",
                    "i.updated_at_ms", true},
    [BY_COMPLETED] = {Q_from_completed, Q_only_completed, "l.completed_at_ms", "l.instance_key",
                      "i.completed_at_ms", true},
    [BY_PARENT] = {Q_from_parent, Q_only_parent, "l.parent_id", "l.instance_key", "i.parent_id",
                   true},
    [BY_ATTRIBUTE] = {Q_from_attribute, Q_only_attribute, "l.value", "l.instance_key", NULL, false},
    [BY_WAIT] = {Q_from_wait, Q_only_wait, "l.what", "l.instance_key", NULL, false},
};

// The ids as a JSON array, which json_each makes rows of: one shape for any number of them.
static list_value ids_as_json(list_sql *q) {
  const duro_filter *f = &q->plan->query->filter;
  duro_buf b = {0};
  duro_buf_add_char(&b, '[');
  for (size_t i = 0; i < f->id_count; i++) {
    if (!f->ids[i].p || !duro_utf8_valid(f->ids[i])) continue; // nobody has such an id
    if (b.n > 1) duro_buf_add_char(&b, ',');
    duro_json_add_string(&b, f->ids[i]);
  }
  duro_buf_add_char(&b, ']');
  duro_str json = duro_arena_dup(q->plan->arena, duro_buf_str(&b));
  if (b.oom || !json.p) q->text.oom = true;
  duro_buf_free(&b);
  return text(json);
}

static void write_from(list_sql *q, duro__sqlite_query from, list_kind kind) {
  list_value ids = kind == BY_IDS ? ids_as_json(q) : number(0);
  add(q, " ");
  add_fragment(q, from, &ids);
}

// --- Conditions ---

static void write_arm(list_sql *q, const list_source *source, const list_arm *arm) {
  const char *column = sources[source->kind].column;
  if (source->kind == BY_ATTRIBUTE) {
    add_comparison(q, "l.key", " = ",
                   text(q->plan->query->filter.attributes[source->attribute].key));
  }
  if (!column) return;
  if (arm->is_equal) add_comparison(q, column, " = ", arm->equal);
  if (arm->has_low) add_comparison(q, column, arm->low_included ? " >= " : " > ", arm->low);
  if (arm->has_high) add_comparison(q, column, " < ", arm->high);
  // What the partial index is of; the planner has to be told where no comparison says it.
  if (source->kind == BY_PARENT && !arm->is_equal) add(q, " AND l.parent_id IS NOT NULL");
}

// Keys tell the time of creation from 2020 on. One bound on each side at most: of two, SQLite would
// begin at one and check the other row by row.
static void write_key_range(list_sql *q, const char *key, int64_t low, bool after_key) {
  const duro_list_query *query = q->plan->query;
  const duro_filter *f = &query->filter;
  int64_t high = INT64_MAX; // low <= key < high
  int64_t created =
      f->created_after >= DURO_KEY_EPOCH_MS ? duro_key_floor(f->created_after + 1) : 0;
  if (low < created) low = created;
  if (f->created_before > DURO_KEY_EPOCH_MS) high = duro_key_floor(f->created_before);
  if (after_key && query->ascending && low <= query->after_key) low = query->after_key + 1;
  if (after_key && !query->ascending && high > query->after_key) high = query->after_key;
  if (low > 0) add_comparison(q, key, " >= ", number(low));
  if (high < INT64_MAX) add_comparison(q, key, " < ", number(high));
}

// Behind the page before, for a source that gives rows in another order.
static void write_after(list_sql *q) {
  const duro_list_query *query = q->plan->query;
  const char *operator= query->ascending ? " > (" : " < (";
  switch (query->order_by) {
  case DURO_BY_CREATED:
    break; // in the key range
  case DURO_BY_ID:
    add_comparison(q, "i.id", query->ascending ? " > " : " < ", text(query->after_text));
    break;
  case DURO_BY_UPDATED:
  case DURO_BY_NAME:
    add(q, query->order_by == DURO_BY_NAME ? " AND (i.name, i.instance_key)"
                                           : " AND (i.updated_at_ms, i.instance_key)");
    add(q, operator);
    add_value(q, query->order_by == DURO_BY_NAME ? text(query->after_text)
                                                 : number(query->after_updated_ms));
    add(q, ", ");
    add_value(q, number(query->after_key));
    add(q, ")");
    break;
  }
}

static void write_statuses(list_sql *q) {
  const char *separator = " AND i.status IN (";
  for (int status = 0; status < DURO_STATUS_COUNT; status++) {
    if (!(q->plan->query->filter.statuses >> status & 1)) continue;
    add(q, separator);
    add_value(q, text(duro_str_from(duro_status_string((duro_status)status))));
    separator = ", ";
  }
  add(q, ")");
}

// The ranges of a source that rows are not read from, as a condition on each.
static void write_ranges(list_sql *q, const list_source *source) {
  const char *column = sources[source->kind].of_row;
  const char *separator = " AND (";
  for (size_t i = 0; i < source->arm_count; i++) {
    const list_arm *arm = &source->arms[i];
    add(q, separator);
    add(q, "1");
    if (arm->is_equal) add_comparison(q, column, " = ", arm->equal);
    if (arm->has_low) add_comparison(q, column, arm->low_included ? " >= " : " > ", arm->low);
    if (arm->has_high) add_comparison(q, column, " < ", arm->high);
    separator = " OR ";
  }
  add(q, ")");
}

// A source of the filter that rows are not read from.
static void write_other_source(list_sql *q, const list_source *source) {
  const duro_filter *f = &q->plan->query->filter;
  switch (source->kind) {
  case BY_KEY:
    break; // in every key range
  case BY_STATUS:
    write_statuses(q);
    break;
  case BY_ATTRIBUTE: {
    const duro_attribute_match *match = &f->attributes[source->attribute];
    add_condition(q, Q_where_attribute, (list_value[]){text(match->key), text(match->value)});
    break;
  }
  case BY_WAIT:
    add_condition(q, Q_where_wait, (list_value[]){text(f->waiting_on)});
    break;
  case BY_PARENT:
    if (f->parent_id.p) add_comparison(q, "i.parent_id", " = ", text(f->parent_id));
    break;
  case BY_IDS: // always the chosen one
    break;
  default:
    write_ranges(q, source);
  }
}

static bool same_source(const list_source *a, const list_source *b) {
  return b && a->kind == b->kind && a->attribute == b->attribute;
}

// What each row is asked beside the ranges of the source it is read from (NULL: none).
static void write_residuals(list_sql *q, const list_source *chosen) {
  const duro_filter *f = &q->plan->query->filter;
  for (size_t i = 0; i < q->plan->source_count; i++) {
    const list_source *source = &q->plan->sources[i];
    if (!same_source(source, chosen)) write_other_source(q, source);
  }
  if (f->created_after) {
    add_condition(q, Q_where_created_after, (list_value[]){number(f->created_after)});
  }
  if (f->created_before) {
    add_condition(q, Q_where_created_before, (list_value[]){number(f->created_before)});
  }
  if (f->version.p) add_condition(q, Q_where_version, (list_value[]){text(f->version)});
  if (f->has_parent) add_condition(q, f->has_parent > 0 ? Q_where_child : Q_where_root, NULL);
  if (f->waiting_on.p) add_condition(q, Q_where_unfinished, NULL);
  if (f->error_contains.n) {
    add_condition(q, Q_where_error_contains, (list_value[]){text(f->error_contains)});
  }
  // More attributes than there is room for as sources.
  for (size_t i = 0; i < f->attribute_count; i++) {
    bool done = false;
    for (size_t n = 0; n < q->plan->source_count; n++) {
      const list_source *source = &q->plan->sources[n];
      done |= source->kind == BY_ATTRIBUTE && source->attribute == i;
    }
    if (done) continue;
    const duro_attribute_match *match = &f->attributes[i];
    add_condition(q, Q_where_attribute, (list_value[]){text(match->key), text(match->value)});
  }
}

// --- Whole statements ---

// Whether rows that are not listed yet come from elsewhere than from the source.
static bool adds_unlisted(const list_sql *q, const list_source *source) {
  return q->plan->has_unlisted && sources[source->kind].listed;
}

static bool is_merge(const list_sql *q, const list_source *source) {
  return source->arm_count + adds_unlisted(q, source) > 1;
}

typedef struct order_columns {
  const char *value, *key; // `value`: NULL when the key is all
} order_columns;

// Of the source's index where rows come in its order, so that nothing is sorted. NULL: of the rows.
static order_columns columns_of_order(const list_sql *q, const list_source *source) {
  static const char *const of_row[] = {[DURO_BY_CREATED] = NULL,
                                       [DURO_BY_UPDATED] = "i.updated_at_ms",
                                       [DURO_BY_ID] = "i.id",
                                       [DURO_BY_NAME] = "i.name"};
  duro_order_by order_by = q->plan->query->order_by;
  order_columns columns = {of_row[order_by], "i.instance_key"};
  if (!source || !duro__sqlite_list_in_order(source, order_by)) return columns;
  columns.key = sources[source->kind].key;
  if (columns.value) columns.value = sources[source->kind].column;
  return columns;
}

static void write_order(list_sql *q, const list_source *source) {
  const duro_list_query *query = q->plan->query;
  const char *direction = query->ascending ? "" : " DESC";
  order_columns columns = columns_of_order(q, source);
  if (is_merge(q, source)) columns.key = "order_key"; // a merge orders by its columns' names
  if (is_merge(q, source) && columns.value) columns.value = "order_value";
  add(q, " ORDER BY ");
  if (columns.value) {
    add(q, columns.value);
    add(q, direction);
    if (query->order_by == DURO_BY_ID) return;
    add(q, ", ");
  }
  add(q, columns.key);
  add(q, direction);
}

// `source`: NULL for the rows themselves.
static void write_columns(list_sql *q, const list_source *source, bool merge) {
  add(q, "SELECT ");
  add_fragment(q, q->plan->query->brief ? Q_brief_columns : Q_instance_columns, NULL);
  if (!merge) return;
  order_columns columns = columns_of_order(q, source);
  if (columns.value) {
    add(q, ", ");
    add(q, columns.value);
    add(q, " AS order_value");
  }
  add(q, ", ");
  add(q, columns.key);
  add(q, " AS order_key");
}

static void write_arm_select(list_sql *q, const list_source *source, const list_arm *arm) {
  const duro_list_query *query = q->plan->query;
  bool in_order = duro__sqlite_list_in_order(source, query->order_by);
  bool goes_on = query->after_key != 0;
  write_columns(q, source, is_merge(q, source));
  write_from(q, sources[source->kind].from, source->kind);
  add(q, " WHERE 1");
  write_arm(q, source, arm);
  write_key_range(q, sources[source->kind].key, 0,
                  goes_on && (query->order_by == DURO_BY_CREATED || (arm && arm->after_key)));
  if (goes_on && !in_order) write_after(q);
  write_residuals(q, source);
}

// Of the rows above the listed ones everything is asked.
static void write_unlisted_conditions(list_sql *q, bool after_key) {
  write_from(q, Q_from_key, BY_KEY);
  add(q, " WHERE 1");
  write_key_range(q, "i.instance_key", q->plan->listed_to + 1, after_key);
  write_residuals(q, NULL);
}

static void write_unlisted_select(list_sql *q) {
  const duro_list_query *query = q->plan->query;
  bool goes_on = query->after_key != 0, by_key = query->order_by == DURO_BY_CREATED;
  write_columns(q, NULL, true);
  write_unlisted_conditions(q, goes_on && by_key);
  if (goes_on) write_after(q);
}

void duro__sqlite_list_write(list_sql *q, const list_source *source) {
  size_t limit = q->plan->query->limit;
  for (size_t i = 0; i < source->arm_count; i++) {
    if (i > 0) add(q, " UNION ALL ");
    write_arm_select(q, source, &source->arms[i]);
  }
  if (adds_unlisted(q, source)) {
    add(q, " UNION ALL ");
    write_unlisted_select(q);
  }
  write_order(q, source);
  add(q, " LIMIT ");
  add_value(q, number(limit < INT32_MAX ? (int64_t)limit + 1 : INT32_MAX));
}

void duro__sqlite_list_write_count(list_sql *q, const list_source *source, int64_t most) {
  add(q, "SELECT count(*) FROM (");
  for (size_t i = 0; i < source->arm_count; i++) {
    if (i > 0) add(q, " UNION ALL ");
    add(q, "SELECT 1");
    write_from(q, sources[source->kind].only, source->kind);
    add(q, " WHERE 1");
    write_arm(q, source, &source->arms[i]);
    write_key_range(q, sources[source->kind].key, 0, false);
  }
  add(q, " LIMIT ");
  add_value(q, number(most));
  add(q, ")");
}

// Whether the source alone answers the filter.
static bool has_residuals(list_sql *q, const list_source *source) {
  size_t bytes = q->text.n, values = q->count;
  write_residuals(q, source);
  bool any = q->text.n > bytes;
  q->text.n = bytes;
  q->count = values;
  return any;
}

void duro__sqlite_list_write_total(list_sql *q, const list_source *source, int64_t most) {
  bool asks_rows = has_residuals(q, source);
  add(q, "SELECT count(*) FROM (");
  for (size_t i = 0; i < source->arm_count; i++) {
    if (i > 0) add(q, " UNION ALL ");
    add(q, "SELECT 1");
    write_from(q, asks_rows ? sources[source->kind].from : sources[source->kind].only,
               source->kind);
    add(q, " WHERE 1");
    write_arm(q, source, &source->arms[i]);
    write_key_range(q, sources[source->kind].key, 0, false);
    write_residuals(q, source);
  }
  if (adds_unlisted(q, source)) {
    add(q, " UNION ALL SELECT 1");
    write_unlisted_conditions(q, false);
  }
  add(q, " LIMIT ");
  add_value(q, number(most));
  add(q, ")");
}

duro_code duro__sqlite_list_prepare(list_sql *q, statement *out, duro_error **err) {
  if (q->text.oom) return duro_fail_oom(err);
  *out = (statement){.conn = q->plan->conn};
  duro_code code =
      duro__sqlite_prepare_cached(q->plan->conn, duro_buf_str(&q->text), &out->stmt, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < q->count; i++) {
    const list_value *v = &q->values[i];
    if (v->is_text) {
      put_text(out, v->text);
    } else {
      put_int(out, v->number);
    }
  }
  return DURO_OK;
}
