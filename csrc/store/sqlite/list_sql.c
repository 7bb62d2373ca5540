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

static const struct {
  duro__sqlite_query from, only; // `only`: without the rows themselves, for counting
  const char *column, *key;
} sources[] = {
    [BY_KEY] = {Q_from_key, Q_from_key, NULL, "i.instance_key"},
    [BY_IDS] = {Q_from_ids, Q_from_ids, NULL, "i.instance_key"},
    [BY_ID] = {Q_from_id, Q_from_id, "i.id", "i.instance_key"},
    [BY_NAME] = {Q_from_name, Q_from_name, "i.name", "i.instance_key"},
    [BY_STATUS] = {Q_from_status, Q_from_status, "i.status", "i.instance_key"},
    [BY_UPDATED] = {Q_from_updated, Q_from_updated, "i.updated_at_ms", "i.instance_key"},
    [BY_COMPLETED] = {Q_from_completed, Q_from_completed, "i.completed_at_ms", "i.instance_key"},
    [BY_PARENT] = {Q_from_parent, Q_from_parent, "i.parent_id", "i.instance_key"},
    [BY_ATTRIBUTE] = {Q_from_attribute, Q_only_attribute, "l.value", "l.instance_key"},
    [BY_WAIT] = {Q_from_wait, Q_only_wait, "l.what", "l.instance_key"},
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
  if (source->kind == BY_PARENT && !arm->is_equal) add(q, " AND i.parent_id IS NOT NULL");
}

// Keys tell the time of creation from 2020 on. One bound on each side at most: of two, SQLite would
// begin at one and check the other row by row.
static void write_key_range(list_sql *q, const list_source *source, bool after_key) {
  const duro_list_query *query = q->plan->query;
  const duro_filter *f = &query->filter;
  const char *key = sources[source->kind].key;
  int64_t low = 0, high = INT64_MAX; // low <= key < high
  if (f->created_after >= DURO_KEY_EPOCH_MS) low = duro_key_floor(f->created_after + 1);
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

// The ranges of a source that was not chosen, as a condition on each row.
static void write_ranges(list_sql *q, const list_source *source) {
  const char *column = sources[source->kind].column;
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

// Each source of the filter that is not the chosen one.
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
  return a->kind == b->kind && a->attribute == b->attribute;
}

// What each row is asked beside the source's own ranges.
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

static void write_order(list_sql *q, const list_source *source) {
  const duro_list_query *query = q->plan->query;
  static const char *const values[] = {[DURO_BY_CREATED] = "",
                                       [DURO_BY_UPDATED] = "updated_at_ms",
                                       [DURO_BY_ID] = "id",
                                       [DURO_BY_NAME] = "name"};
  const char *direction = query->ascending ? "" : " DESC";
  add(q, " ORDER BY ");
  if (query->order_by != DURO_BY_CREATED) {
    add(q, values[query->order_by]);
    add(q, direction);
    if (query->order_by == DURO_BY_ID) return;
    add(q, ", ");
  }
  // A merge orders by its columns' names; a single arm by the key that its index has.
  add(q, source->arm_count > 1 ? "instance_key" : sources[source->kind].key);
  add(q, direction);
}

static void write_arm_select(list_sql *q, const list_source *source, const list_arm *arm) {
  const duro_list_query *query = q->plan->query;
  bool in_order = duro__sqlite_list_in_order(source, query->order_by);
  bool goes_on = query->after_key != 0;
  add(q, "SELECT ");
  add_fragment(q, query->brief ? Q_brief_columns : Q_instance_columns, NULL);
  write_from(q, sources[source->kind].from, source->kind);
  add(q, " WHERE 1");
  write_arm(q, source, arm);
  write_key_range(q, source,
                  goes_on && (query->order_by == DURO_BY_CREATED || (arm && arm->after_key)));
  if (goes_on && !in_order) write_after(q);
  write_residuals(q, source);
}

void duro__sqlite_list_write(list_sql *q, const list_source *source) {
  size_t limit = q->plan->query->limit;
  for (size_t i = 0; i < source->arm_count; i++) {
    if (i > 0) add(q, " UNION ALL ");
    write_arm_select(q, source, &source->arms[i]);
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
    write_key_range(q, source, false);
  }
  add(q, " LIMIT ");
  add_value(q, number(most));
  add(q, ")");
}

void duro__sqlite_list_write_total(list_sql *q, const list_source *source, int64_t most) {
  add(q, "SELECT count(*) FROM (");
  for (size_t i = 0; i < source->arm_count; i++) {
    if (i > 0) add(q, " UNION ALL ");
    add(q, "SELECT 1");
    write_from(q, sources[source->kind].from, source->kind);
    add(q, " WHERE 1");
    write_arm(q, source, &source->arms[i]);
    write_key_range(q, source, false);
    write_residuals(q, source);
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
