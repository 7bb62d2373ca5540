// Lists of the memory store: each filter is one line over one row, and a page is cut from the sorted
// matches. What a filter means is defined here; another store may find the same rows faster.
#include "store/memory/memory.h"

#include <stdlib.h>

#include "base/json.h"

// --- Filters ---

// A time is asked for only when it is not 0, and an absent time (0) is never in a range.
static bool in_range(int64_t at_ms, int64_t after_ms, int64_t before_ms) {
  if ((after_ms || before_ms) && at_ms == 0) return false;
  return (!after_ms || at_ms > after_ms) && (!before_ms || at_ms < before_ms);
}

static bool has_name(const duro_filter *f, duro_str name) {
  for (size_t i = 0; i < f->name_count; i++) {
    const duro_name_match *m = &f->names[i];
    if (m->prefix ? duro_str_starts_with(name, m->text) : duro_str_equal(name, m->text))
      return true;
  }
  return f->name_count == 0;
}

static bool has_id(const duro_filter *f, duro_str id) {
  for (size_t i = 0; i < f->id_count; i++) {
    if (duro_str_equal(f->ids[i], id)) return true;
  }
  return f->id_count == 0;
}

static bool has_attributes(const duro_filter *f, duro_str attributes, duro_arena *arena) {
  for (size_t i = 0; i < f->attribute_count; i++) {
    char *key = (char *)(uintptr_t)duro_arena_dup(arena, f->attributes[i].key).p;
    duro_str value = key ? duro_json_member(attributes, key) : DURO_NONE;
    if (!value.p || !duro_str_equal(value, f->attributes[i].value)) return false;
  }
  return true;
}

static bool contains(duro_str text, duro_str part) {
  return part.n == 0 || (text.n >= part.n && memmem(text.p, text.n, part.p, part.n) != NULL);
}

// "event" waits for any event, "event:approval" for that one. What has ended waits for nothing.
static bool waits_on(const duro_instance_row *row, duro_str what, duro_arena *arena) {
  duro_json_reader r;
  if (row->completed_at_ms) return false;
  duro_json_open(&r, row->waiting_on);
  for (duro_json_type type;
       (type = duro_json_next(&r)) != DURO_JSON_END && type != DURO_JSON_ERROR;) {
    if (type != DURO_JSON_STRING) continue;
    duro_str one = duro_json_text(&r, arena);
    if (duro_str_equal(one, what)) return true;
    if (one.n > what.n && duro_str_starts_with(one, what) && one.p[what.n] == ':') return true;
  }
  return false;
}

static bool matches(const duro_filter *f, const duro_instance_row *row, duro_arena *arena) {
  if (f->statuses && !(f->statuses >> row->status & 1)) return false;
  if (!has_name(f, row->name) || !has_id(f, row->id)) return false;
  if (f->version.p && !duro_str_equal(f->version, row->version)) return false;
  if (f->id_prefix.p && !duro_str_starts_with(row->id, f->id_prefix)) return false;
  if (!in_range(row->created_at_ms, f->created_after, f->created_before)) return false;
  if (!in_range(row->updated_at_ms, f->updated_after, f->updated_before)) return false;
  if (!in_range(row->completed_at_ms, f->completed_after, f->completed_before)) return false;
  if (f->has_parent && (f->has_parent > 0) != (row->parent_key != 0)) return false;
  if (f->parent_id.p && !duro_str_equal(f->parent_id, row->parent_id)) return false;
  if (f->error_contains.n && !contains(row->error, f->error_contains)) return false;
  if (f->waiting_on.p && !waits_on(row, f->waiting_on, arena)) return false;
  return has_attributes(f, row->attributes, arena);
}

// --- Orders: by the value asked for, equal values by key ---

static int compare_rows(duro_order_by order_by, const duro_instance_row *a,
                        const duro_instance_row *b) {
  int order = 0;
  switch (order_by) {
  case DURO_BY_CREATED:
    break; // keys grow with creation time
  case DURO_BY_UPDATED:
    order = compare_ints(a->updated_at_ms, b->updated_at_ms);
    break;
  case DURO_BY_ID:
    order = duro_str_compare(a->id, b->id);
    break;
  case DURO_BY_NAME:
    order = duro_str_compare(a->name, b->name);
    break;
  }
  return order ? order : compare_ints(a->key, b->key);
}

#define ORDER(name, order_by)                                                                      \
  static int name(const void *left, const void *right) {                                           \
    return compare_rows(order_by, *(const duro_instance_row *const *)left,                         \
                        *(const duro_instance_row *const *)right);                                 \
  }
ORDER(by_created, DURO_BY_CREATED)
ORDER(by_updated, DURO_BY_UPDATED)
ORDER(by_id, DURO_BY_ID)
ORDER(by_name, DURO_BY_NAME)

static void sort_rows(duro_order_by order_by, const duro_instance_row **rows, size_t count) {
  int (*const orders[])(const void *, const void *) = {by_created, by_updated, by_id, by_name};
  qsort(rows, count, sizeof *rows, orders[order_by]);
}

// The row lies behind the last one of the page before.
static bool is_after(const duro_list_query *q, const duro_instance_row *row) {
  if (q->after_key == 0) return true;
  duro_instance_row last = {.key = q->after_key,
                            .id = q->after_text,
                            .name = q->after_text,
                            .updated_at_ms = q->after_updated_ms};
  int order = compare_rows(q->order_by, row, &last);
  return q->ascending ? order > 0 : order < 0;
}

static duro_code list(const duro_store *s, const duro_list_query *q, duro_arena *scratch,
                      duro_arena *arena, duro_instance_rows *out, duro_error **err) {
  const duro_instance_row **found = malloc(s->instances.count * sizeof *found + 1);
  if (!found) return duro_fail_oom(err);
  size_t count = 0;
  for (size_t i = 0; i < s->instances.count; i++) {
    const duro_instance_row *row = s->instances.rows[i];
    if (is_after(q, row) && matches(&q->filter, row, scratch)) found[count++] = row;
    duro_arena_reset(scratch);
  }
  sort_rows(q->order_by, found, count);
  size_t n = count < q->limit ? count : q->limit;
  out->truncated = count > n;
  out->items = duro_arena_alloc(arena, n * sizeof *out->items + 1);
  duro_code code = scratch->oom || !out->items ? duro_fail_oom(err) : DURO_OK;
  for (; !code && out->count < n; out->count++) {
    const duro_instance_row *row = found[q->ascending ? out->count : count - 1 - out->count];
    code = duro__row_lend(s->instances.shape, row, arena, &out->items[out->count], err);
  }
  free(found);
  return code;
}

duro_code duro__memory_list(duro_store *s, const duro_list_query *query, duro_arena *arena,
                            duro_instance_rows *out, duro_error **err) {
  duro_arena scratch = {0};
  *out = (duro_instance_rows){0};
  if ((unsigned)query->order_by > DURO_BY_NAME) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "there is no order %d", (int)query->order_by);
  }
  duro__memory_lock(s);
  duro_code code = list(s, query, &scratch, arena, out, err);
  duro_arena_free(&scratch);
  return duro__memory_unlock(s, code);
}
