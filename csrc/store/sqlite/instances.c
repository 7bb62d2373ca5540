// Rows of `instances`: reading, inserting and updating them, and the index rows that follow from
// them.
//
// An update is put together from parts, one for each set of members a caller may change, so that an
// index is touched only when its column changes; of a listed instance (listed.c) its entry there
// follows. There are 256 choices of parts; those that occur
// are prepared once. `waits` and `attributes` always hold exactly what the row's texts say, so the
// texts tell what to remove. To add a member to the row: {instance_columns}, insert_instance and
// the functions that put and take it here, in the same order.
#include "store/sqlite/internal.h"

#include "base/json.h"

// --- Reading ---

duro_code duro__sqlite_take_instance(statement *st, duro_arena *arena, duro_instance_row *out,
                                     duro_error **err) {
  out->key = take_int(st);
  out->id = take_text(st, arena);
  out->run_id = take_text(st, arena);
  out->vm = (int)take_int(st);
  out->partition = (int)take_int(st);
  out->name = take_text(st, arena);
  out->version = take_text(st, arena);
  duro_code code = duro__sqlite_take_status(st, &out->status, err);
  if (code != DURO_OK) return code;
  out->created_at_ms = take_int(st);
  out->updated_at_ms = take_int(st);
  out->completed_at_ms = take_int(st);
  out->execution_id = take_int(st);
  out->execution_started_at_ms = take_int(st);
  out->event_count = take_int(st);
  out->turns = take_int(st);
  out->turn_us_total = take_int(st);
  out->parent_key = take_int(st);
  out->parent_id = take_text(st, arena);
  out->parent_event_id = take_int(st);
  out->parent_execution_id = take_int(st);
  out->depth = take_int(st);
  out->wake_at_ms = take_wake(st);
  out->waiting_on = take_text(st, arena);
  out->custom_status = take_text(st, arena);
  out->custom_status_version = take_int(st);
  out->attributes = take_text(st, arena);
  out->reason = take_text(st, arena);
  out->error = take_text(st, arena);
  out->output = take_text(st, arena);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

// --- Index rows ---

static duro_code change_wait(duro__sqlite_conn *c, duro__index_change change, int64_t key,
                             duro_str what, duro_error **err) {
  statement st = use(c, change == DURO__INDEX_ADD ? Q_insert_wait : Q_delete_wait);
  put_text(&st, what);
  put_int(&st, key);
  return duro__sqlite_run(&st, err);
}

static duro_code corrupt_text(const duro__sqlite_conn *c, const char *what, int64_t key,
                              duro_error **err) {
  return duro_fail(err, DURO_CORRUPT, "%s: the %s of instance %lld cannot be read (in '%s')",
                   c->verb, what, (long long)key, c->path);
}

// Each text of the array, and for "event:approval" its kind "event" too.
duro_code duro__sqlite_change_waits(duro_store *s, duro__sqlite_conn *c, duro__index_change change,
                                    int64_t key, duro_str waiting_on, duro_error **err) {
  if (waiting_on.n <= 2) return DURO_OK; // absent or "[]"
  duro_json_reader r;
  duro_json_open(&r, waiting_on);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_ARRAY) return corrupt_text(c, "waiting_on", key, err);
  duro_json_type type;
  while ((type = duro_json_next(&r)) == DURO_JSON_STRING) {
    duro_str what = duro_json_text(&r, &s->scratch);
    if (s->scratch.oom) return duro_fail_oom(err);
    duro_code code = change_wait(c, change, key, what, err);
    const char *colon = memchr(what.p, ':', what.n);
    if (code == DURO_OK && colon) {
      code = change_wait(c, change, key, (duro_str){what.p, (size_t)(colon - what.p)}, err);
    }
    if (code != DURO_OK) return code;
  }
  return type == DURO_JSON_END_ARRAY ? DURO_OK : corrupt_text(c, "waiting_on", key, err);
}

duro_code duro__sqlite_change_attributes(duro_store *s, duro__sqlite_conn *c,
                                         duro__index_change change, int64_t key,
                                         duro_str attributes, duro_error **err) {
  if (attributes.n <= 2) return DURO_OK; // absent or "{}"
  duro_json_reader r;
  duro_json_open(&r, attributes);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_OBJECT) return corrupt_text(c, "attributes", key, err);
  duro_json_type type;
  while ((type = duro_json_next(&r)) == DURO_JSON_KEY) {
    duro_str name = duro_json_text(&r, &s->scratch), value;
    if (!duro_json_skip(&r, &value)) break;
    if (s->scratch.oom) return duro_fail_oom(err);
    statement st = use(c, change == DURO__INDEX_ADD ? Q_insert_attribute : Q_delete_attribute);
    put_text(&st, name);
    put_text(&st, value);
    put_int(&st, key);
    duro_code code = duro__sqlite_run(&st, err);
    if (code != DURO_OK) return code;
  }
  return type == DURO_JSON_END_OBJECT ? DURO_OK : corrupt_text(c, "attributes", key, err);
}

// --- Inserting ---

static void put_instance(statement *st, const duro_instance_row *row, int64_t key) {
  put_int(st, key);
  put_text(st, row->id);
  put_text(st, row->run_id);
  put_int(st, row->vm);
  put_int(st, row->partition);
  put_text(st, row->name);
  put_text(st, row->version);
  put_status(st, row->status);
  put_int(st, row->created_at_ms);
  put_int(st, row->updated_at_ms);
  put_zero_null(st, row->completed_at_ms);
  put_int(st, row->execution_id);
  put_int(st, row->execution_started_at_ms);
  put_int(st, row->event_count);
  put_int(st, row->turns);
  put_int(st, row->turn_us_total);
  put_zero_null(st, row->parent_key);
  put_text(st, row->parent_id);
  put_zero_null(st, row->parent_event_id);
  put_zero_null(st, row->parent_execution_id);
  put_int(st, row->depth);
  put_wake(st, row->wake_at_ms);
}

static void put_instance_texts(statement *st, const duro_instance_row *row, duro_str waiting_on) {
  put_text(st, waiting_on);
  put_text(st, row->custom_status);
  put_int(st, row->custom_status_version);
  put_text(st, row->attributes);
  put_text(st, row->reason);
  put_text(st, row->error);
  put_text(st, row->output);
}

// Gives the taken id in the error's data too, since a batch has many.
static duro_code id_is_taken(duro_str id, duro_error **err) {
  duro_fail(err, DURO_ALREADY_EXISTS, "an instance '%.*s' exists already", DURO_FMT(id));
  if (err && *err && (*err)->code == DURO_ALREADY_EXISTS) { // else memory is out
    duro_buf b = {0};
    duro_buf_add_lit(&b, "{\"instance_id\":");
    duro_json_add_string(&b, id);
    duro_buf_add_char(&b, '}');
    if (!b.oom) (*err)->data = duro_str_dup(duro_buf_str(&b));
    duro_buf_free(&b);
  }
  return DURO_ALREADY_EXISTS;
}

static duro_str waits_of(const duro_instance_row *row, bool with_waits) {
  return with_waits && row->waiting_on.p ? row->waiting_on : DURO_STR("[]");
}

static duro_code insert_index_rows(duro_store *s, duro__sqlite_conn *c,
                                   const duro_instance_row *row, int64_t key, bool with_waits,
                                   int64_t listed_to, duro_error **err) {
  duro_code code = key <= listed_to ? duro__sqlite_list_one(c, key, err) : DURO_OK;
  if (code == DURO_OK)
    code = duro__sqlite_change_waits(s, c, DURO__INDEX_ADD, key, waits_of(row, with_waits), err);
  if (code == DURO_OK)
    code = duro__sqlite_change_attributes(s, c, DURO__INDEX_ADD, key, row->attributes, err);
  return code;
}

static bool is_id_taken(const duro__sqlite_conn *c, duro_code code) {
  return code == DURO_CORRUPT && sqlite3_extended_errcode(c->db) == SQLITE_CONSTRAINT_UNIQUE;
}

duro_code duro__sqlite_insert_instance(duro_store *s, duro__sqlite_conn *c,
                                       const duro_instance_row *row, int64_t key, bool with_waits,
                                       int64_t listed_to, duro_error **err) {
  statement st = use(c, Q_insert_instance);
  put_instance(&st, row, key);
  put_instance_texts(&st, row, waits_of(row, with_waits));
  duro_code code = duro__sqlite_run(&st, err);
  if (is_id_taken(c, code)) return id_is_taken(row->id, err);
  if (code != DURO_OK) return code;
  return insert_index_rows(s, c, row, key, with_waits, listed_to, err);
}

duro_code duro__sqlite_insert_many(duro_store *s, duro__sqlite_conn *c,
                                   const duro_instance_row *rows, const bool *with_waits,
                                   int64_t listed_to, bool *done, duro_error **err) {
  size_t count;
  statement st;
  *done = false;
  duro_code code = duro__sqlite_use_rows(s, c, Q_insert_instance, ROWS_AT_ONCE, &count, &st, err);
  if (code != DURO_OK) return code;
  for (size_t i = 0; i < count; i++) {
    put_instance(&st, &rows[i], rows[i].key);
    put_instance_texts(&st, &rows[i], waits_of(&rows[i], with_waits[i]));
  }
  code = duro__sqlite_run(&st, err);
  if (is_id_taken(c, code)) {
    if (err) duro_error_free(*err);
    if (err) *err = NULL;
    return DURO_OK;
  }
  *done = code == DURO_OK;
  for (size_t i = 0; i < count && code == DURO_OK; i++) {
    code = insert_index_rows(s, c, &rows[i], rows[i].key, with_waits[i], listed_to, err);
  }
  return code;
}

// --- Updating ---

typedef struct update_part {
  unsigned set;
  duro__sqlite_query text;
} update_part;

typedef struct updated_table {
  duro__sqlite_query begin;
  unsigned parts_of_it;
  update_part parts[9];
} updated_table;

enum { INSTANCES, LISTED };

static const updated_table tables[] = {
    [INSTANCES] = {Q_set_begin,
                   0xff,
                   {{DURO__SET_UPDATED, Q_set_updated},
                    {DURO_SET_STATUS, Q_set_status},
                    {DURO_SET_EXECUTION, Q_set_execution},
                    {DURO_SET_CUSTOM_STATUS, Q_set_custom_status},
                    {DURO_SET_ATTRIBUTES, Q_set_attributes},
                    {DURO_SET_WAKE, Q_set_wake},
                    {DURO_SET_WAKE, Q_set_wake_seq},
                    {DURO__SET_WAITING, Q_set_waiting_on},
                    {DURO__SET_COUNTS, Q_set_counts}}},
    [LISTED] = {Q_set_listed_begin,
                DURO__SET_UPDATED | DURO_SET_STATUS | DURO_SET_WAKE,
                {{DURO__SET_UPDATED, Q_set_updated},
                 {DURO_SET_STATUS, Q_set_listed_status},
                 {DURO_SET_WAKE, Q_set_wake}}},
};

static duro_code prepare_update(duro_store *s, duro__sqlite_conn *c, const updated_table *table,
                                unsigned set, sqlite3_stmt **out, duro_error **err) {
  duro_buf sql = {0};
  duro_buf_add_str(&sql, duro_str_from(s->queries[table->begin]));
  const char *separator = " ";
  for (size_t i = 0; i < sizeof table->parts / sizeof table->parts[0]; i++) {
    const update_part *part = &table->parts[i];
    if (!(set & part->set)) continue;
    duro_buf_add_str(&sql, duro_str_from(separator));
    duro_buf_add_str(&sql, duro_str_from(s->queries[part->text]));
    separator = ", ";
  }
  duro_buf_add_char(&sql, ' ');
  duro_buf_add_str(&sql, duro_str_from(s->queries[Q_set_end]));
  duro_code code = sql.oom ? duro_fail_oom(err) : duro__sqlite_prepare(c, sql.p, sql.n, out, err);
  duro_buf_free(&sql);
  return code;
}

// The numbers are those of the parts in queries.sql: `at` is one before the next parameter.
static void put_update(statement *st, int table, unsigned set, const duro_instance_row *row,
                       int64_t seq) {
  put_int(st, row->key);
  if (set & DURO__SET_UPDATED) put_int(st, row->updated_at_ms);
  if (set & DURO_SET_STATUS) {
    st->at = 2;
    put_status(st, row->status);
    put_zero_null(st, row->completed_at_ms);
    if (table == INSTANCES) {
      put_text(st, row->output);
      put_text(st, row->error);
      put_text(st, row->reason);
    }
  }
  if (set & DURO_SET_EXECUTION) {
    st->at = 7;
    put_int(st, row->execution_id);
    put_int(st, row->execution_started_at_ms);
    put_text(st, row->version);
    st->at = 19;
    put_int(st, row->vm);
  }
  if (set & DURO_SET_CUSTOM_STATUS) {
    st->at = 10;
    put_text(st, row->custom_status);
    put_int(st, row->custom_status_version);
  }
  if (set & DURO_SET_ATTRIBUTES) {
    st->at = 12;
    put_text(st, row->attributes);
  }
  if (set & DURO_SET_WAKE) {
    st->at = 13;
    put_wake(st, row->wake_at_ms);
    if (table == INSTANCES) put_int(st, seq);
  }
  if (set & DURO__SET_WAITING) {
    st->at = 15;
    put_text(st, row->waiting_on);
  }
  if (set & DURO__SET_COUNTS) {
    st->at = 16;
    put_int(st, row->event_count);
    put_int(st, row->turns);
    put_int(st, row->turn_us_total);
    st->at = 20;
    put_int(st, seq);
  }
}

static duro_code update(duro_store *s, duro__sqlite_conn *c, int table, unsigned set,
                        const duro_instance_row *row, int64_t seq, duro_error **err) {
  set &= tables[table].parts_of_it;
  if (!set) return DURO_OK;
  sqlite3_stmt **stmt = &c->updates[table][set];
  if (!*stmt) {
    duro_code code = prepare_update(s, c, &tables[table], set, stmt, err);
    if (code != DURO_OK) return code;
  }
  statement st = {c, *stmt, 0, SQLITE_OK};
  put_update(&st, table, set, row, seq);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_update_instance(duro_store *s, duro__sqlite_conn *c, unsigned set,
                                       const duro_instance_row *row, int64_t seq, int64_t listed_to,
                                       duro_error **err) {
  duro_code code = update(s, c, INSTANCES, set, row, seq, err);
  if (code == DURO_OK && row->key <= listed_to) code = update(s, c, LISTED, set, row, 0, err);
  return code;
}
