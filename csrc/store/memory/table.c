// The sorted tables of table.h.
//
// Invariant: everything that may need memory (the copy, room in the table, room in the log) is had before
// anything changes, and a table never shrinks: so each change happens whole, and undoing cannot fail.
#include "store/memory/table.h"

#include <stdlib.h>

static duro_str *text_at(const row_shape *shape, void *row, size_t i) {
  return (duro_str *)(void *)((char *)row + shape->texts[i]);
}

static void *copy_row(const row_shape *shape, const void *row) {
  size_t size = shape->size + 1; // one more: an empty text keeps an address
  for (size_t i = 0; i < shape->text_count; i++) size += text_at(shape, (void *)row, i)->n;
  char *copy = malloc(size);
  if (!copy) return NULL;
  memcpy(copy, row, shape->size);
  char *to = copy + shape->size;
  for (size_t i = 0; i < shape->text_count; i++) {
    duro_str *text = text_at(shape, copy, i);
    if (!text->p) continue;
    if (text->n) memcpy(to, text->p, text->n);
    text->p = to;
    to += text->n;
  }
  return copy;
}

duro_code duro__row_lend(const row_shape *shape, const void *row, duro_arena *arena, void *out,
                         duro_error **err) {
  memcpy(out, row, shape->size);
  for (size_t i = 0; i < shape->text_count; i++) {
    duro_str *text = text_at(shape, out, i);
    *text = duro_arena_dup(arena, *text);
  }
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

size_t duro__table_seek(const table *t, const void *probe) {
  size_t low = 0, high = t->count;
  if (high && t->shape->compare(t->rows[high - 1], probe) < 0) return high; // most keys ascend
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (t->shape->compare(t->rows[middle], probe) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static bool is_at(const table *t, size_t at, const void *probe) {
  return at < t->count && t->shape->compare(t->rows[at], probe) == 0;
}

const void *duro__table_get(const table *t, const void *probe) {
  size_t at = duro__table_seek(t, probe);
  return is_at(t, at, probe) ? t->rows[at] : NULL;
}

// Makes the rows begin where the block begins.
static void close_up(table *t) {
  if (t->count) memmove(t->block, t->rows, t->count * sizeof *t->rows);
  t->rows = t->block;
}

static bool reserve_row(table *t) {
  if (t->count < t->capacity) return true;
  size_t capacity = t->capacity ? t->capacity * 2 : 16;
  if (t->block) close_up(t);
  void **block = realloc(t->block, capacity * sizeof *block);
  if (!block) return false;
  t->block = t->rows = block;
  t->capacity = capacity;
  return true;
}

static bool reserve_change(table_log *log) {
  if (log->count < log->capacity) return true;
  size_t capacity = log->capacity ? log->capacity * 2 : 64;
  table_change *items = realloc(log->items, capacity * sizeof *items);
  if (!items) return false;
  log->items = items;
  log->capacity = capacity;
  return true;
}

static void insert_at(table *t, size_t at, void *row) {
  if (at == 0 && t->rows > t->block) {
    t->rows--;
  } else {
    if (t->rows + t->count == t->block + t->capacity) close_up(t);
    memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof *t->rows);
  }
  t->rows[at] = row;
  t->count++;
}

static void remove_at(table *t, size_t at) {
  t->count--;
  if (at == 0) {
    t->rows++;
  } else {
    memmove(t->rows + at, t->rows + at + 1, (t->count - at) * sizeof *t->rows);
  }
}

duro_code duro__table_put(table *t, table_log *log, const void *row, duro_error **err) {
  if (!reserve_row(t) || !reserve_change(log)) return duro_fail_oom(err);
  void *copy = copy_row(t->shape, row), *removed = NULL;
  if (!copy) return duro_fail_oom(err);
  size_t at = duro__table_seek(t, row);
  if (is_at(t, at, row)) {
    removed = t->rows[at];
    t->rows[at] = copy;
  } else {
    insert_at(t, at, copy);
  }
  log->items[log->count++] = (table_change){t, copy, removed};
  return DURO_OK;
}

duro_code duro__table_remove(table *t, table_log *log, const void *probe, duro_error **err) {
  size_t at = duro__table_seek(t, probe);
  if (!is_at(t, at, probe)) return DURO_OK;
  if (!reserve_change(log)) return duro_fail_oom(err);
  log->items[log->count++] = (table_change){t, NULL, t->rows[at]};
  remove_at(t, at);
  return DURO_OK;
}

void duro__table_free(table *t) {
  for (size_t i = 0; i < t->count; i++) free(t->rows[i]);
  free(t->block);
  *t = (table){0};
}

static void undo(const table_change *c) {
  size_t at = duro__table_seek(c->table, c->added ? c->added : c->removed);
  if (!c->added) {
    insert_at(c->table, at, c->removed);
  } else if (c->removed) {
    c->table->rows[at] = c->removed;
  } else {
    remove_at(c->table, at);
  }
}

duro_code duro__tables_finish(table_log *log, duro_code code) {
  while (log->count) { // newest first, as undoing needs it
    const table_change *c = &log->items[--log->count];
    if (code) undo(c);
    free(code ? c->added : c->removed);
  }
  return code;
}
