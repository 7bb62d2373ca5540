// Reading one instance: its row, its history, its messages; and which instances are due.
//
// The history of an execution is its folded strides, then its rows in the unfolded tail of the
// journal. Scanning the tail is left out where the tail filter says that there is nothing to find
// (tail.c). What belongs together is read in one snapshot.
#include "store/sqlite/internal.h"

void *duro__sqlite_grow(duro_arena *arena, void *items, size_t count, size_t *capacity,
                        size_t item_size) {
  if (count == *capacity) {
    size_t wanted = count ? count * 2 : 16;
    char *grown = duro_arena_alloc(arena, wanted * item_size);
    if (!grown) return NULL;
    if (count) memcpy(grown, items, count * item_size);
    items = grown;
    *capacity = wanted;
  }
  memset((char *)items + count * item_size, 0, item_size);
  return items;
}

// --- Rows of instances ---

static duro_code read_instance(statement *st, duro_arena *arena, duro_instance_row *out,
                               bool *found, duro_error **err) {
  *out = (duro_instance_row){0};
  duro_code code = duro__sqlite_step(st, found, err);
  if (code != DURO_OK || !*found) return code;
  code = duro__sqlite_take_instance(st, arena, out, err);
  finish(st);
  return code;
}

static duro_code read_by_key(duro__sqlite_conn *c, int64_t key, duro_arena *arena,
                             duro_instance_row *out, duro_error **err) {
  statement st = use(c, Q_read_instance_by_key);
  put_int(&st, key);
  bool found;
  duro_code code = read_instance(&st, arena, out, &found, err);
  if (code != DURO_OK || found) return code;
  return duro_fail(err, DURO_NOT_FOUND, "no instance has the key %lld", (long long)key);
}

duro_code duro__sqlite_get(duro_store *s, duro_str id, duro_arena *arena, duro_instance_row *out,
                           duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "get", false, &c, err);
  if (code != DURO_OK) return code;
  statement st = use(c, Q_read_instance_by_id);
  put_text(&st, id);
  bool found;
  code = read_instance(&st, arena, out, &found, err);
  if (code == DURO_OK && !found) {
    code = duro_fail(err, DURO_NOT_FOUND, "no instance '%.*s'", DURO_FMT(id));
  }
  duro__sqlite_read_end(s, c);
  return code;
}

duro_code duro__sqlite_get_by_key(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_instance_row *out, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "get_by_key", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_by_key(c, key, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}

// --- History ---

typedef struct text_list {
  duro_arena *arena;
  duro_texts *out;
  size_t capacity;
} text_list;

static duro_code read_texts(duro__sqlite_conn *c, duro__sqlite_query query, int64_t key,
                            int64_t execution_id, text_list *list, duro_error **err) {
  statement st = use(c, query);
  put_int(&st, key);
  put_int(&st, execution_id);
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_texts *out = list->out;
    duro_str *items =
        duro__sqlite_grow(list->arena, out->items, out->count, &list->capacity, sizeof *items);
    if (items) {
      out->items = items;
      items[out->count++] = take_text(&st, list->arena);
    }
    if (list->arena->oom) {
      finish(&st);
      return duro_fail_oom(err);
    }
  }
  return code;
}

// Whether the tail of the journal must be searched, in this snapshot.
static duro_code asks_for_tail(duro_store *s, duro__sqlite_conn *c, uint64_t generation,
                               int64_t key, bool *asks, duro_error **err) {
  int64_t kept_under, epoch;
  *asks = duro__sqlite_tail_may_have(&s->tail, generation, key, &kept_under);
  if (*asks) return DURO_OK;
  statement st = use(c, Q_read_lease);
  duro_code code = duro__sqlite_take_ints(&st, &epoch, 1, NULL, err);
  if (code == DURO_OK) *asks = epoch != kept_under;
  return code;
}

static duro_code read_history(duro_store *s, duro__sqlite_conn *c, uint64_t generation, int64_t key,
                              int64_t execution_id, duro_arena *arena, duro_texts *out,
                              duro_error **err) {
  *out = (duro_texts){0};
  text_list list = {arena, out, 0};
  bool asks = false;
  duro_code code = read_texts(c, Q_read_history, key, execution_id, &list, err);
  if (code == DURO_OK) code = asks_for_tail(s, c, generation, key, &asks, err);
  if (asks) code = read_texts(c, Q_read_tail, key, execution_id, &list, err);
  return code;
}

duro_code duro__sqlite_still_kept(duro__sqlite_conn *c, int64_t key, int64_t execution_id,
                                  int64_t current, bool *kept, duro_error **err) {
  *kept = execution_id >= current;
  if (*kept) return DURO_OK;
  statement st = use(c, Q_has_execution);
  put_int(&st, key);
  put_int(&st, execution_id);
  int64_t one;
  return duro__sqlite_take_ints(&st, &one, 1, kept, err);
}

duro_code duro__sqlite_current_execution(duro__sqlite_conn *c, int64_t key, int64_t *current,
                                         duro_error **err) {
  bool found;
  statement st = use(c, Q_read_current_execution);
  put_int(&st, key);
  duro_code code = duro__sqlite_take_ints(&st, current, 1, &found, err);
  if (code != DURO_OK || found) return code;
  return duro_fail(err, DURO_NOT_FOUND, "no instance has the key %lld", (long long)key);
}

duro_code duro__sqlite_history(duro_store *s, int64_t key, int64_t execution_id, duro_arena *arena,
                               duro_texts *out, duro_error **err) {
  *out = (duro_texts){0};
  uint64_t generation = duro__sqlite_tail_generation(&s->tail);
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "history", true, &c, err);
  if (code != DURO_OK) return code;
  int64_t current;
  bool kept = false;
  code = duro__sqlite_current_execution(c, key, &current, err);
  if (code == DURO_OK) {
    if (execution_id == 0) execution_id = current;
    code = duro__sqlite_still_kept(c, key, execution_id, current, &kept, err);
  }
  if (kept) code = read_history(s, c, generation, key, execution_id, arena, out, err);
  duro__sqlite_read_end(s, c);
  return code;
}

static duro_code read_executions(duro__sqlite_conn *c, int64_t key, duro_arena *arena,
                                 duro_execution_row **out, size_t *count, duro_error **err) {
  statement st = use(c, Q_read_executions);
  put_int(&st, key);
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_execution_row *items = duro__sqlite_grow(arena, *out, *count, &capacity, sizeof *items);
    if (items) {
      *out = items;
      duro_execution_row *e = &items[(*count)++];
      e->instance_key = key;
      e->execution_id = take_int(&st);
      code = duro__sqlite_take_status(&st, &e->status, err);
      e->version = take_text(&st, arena);
      e->started_at_ms = take_int(&st);
      e->completed_at_ms = take_int(&st);
      e->event_count = take_int(&st);
      e->reason = take_text(&st, arena);
    }
    if (arena->oom) code = duro_fail_oom(err);
    if (code != DURO_OK) {
      finish(&st);
      return code;
    }
  }
  return code;
}

duro_code duro__sqlite_executions(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_execution_row **out, size_t *count, duro_error **err) {
  *out = NULL;
  *count = 0;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "executions", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_executions(c, key, arena, out, count, err);
  duro__sqlite_read_end(s, c);
  return code;
}

// --- Messages ---

static duro_code read_messages(duro__sqlite_conn *c, int64_t key, duro_arena *arena,
                               duro_message_row **out, size_t *count, duro_error **err) {
  *out = NULL;
  *count = 0;
  statement st = use(c, Q_read_messages);
  put_int(&st, key);
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    duro_message_row *items = duro__sqlite_grow(arena, *out, *count, &capacity, sizeof *items);
    if (items) {
      *out = items;
      duro_message_row *m = &items[(*count)++];
      m->instance_key = key;
      m->id = take_int(&st);
      m->execution_id = take_int(&st);
      m->body = take_text(&st, arena);
    }
    if (arena->oom) {
      finish(&st);
      return duro_fail_oom(err);
    }
  }
  return code;
}

duro_code duro__sqlite_messages(duro_store *s, int64_t key, duro_arena *arena,
                                duro_message_row **out, size_t *count, duro_error **err) {
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "messages", false, &c, err);
  if (code != DURO_OK) return code;
  code = read_messages(c, key, arena, out, count, err);
  duro__sqlite_read_end(s, c);
  return code;
}

// --- All of it ---

duro_code duro__sqlite_load(duro_store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                            duro_error **err) {
  *out = (duro_loaded){0};
  uint64_t generation = duro__sqlite_tail_generation(&s->tail);
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "load", true, &c, err);
  if (code != DURO_OK) return code;
  code = read_by_key(c, key, arena, &out->instance, err);
  if (code == DURO_OK) {
    code =
        read_history(s, c, generation, key, out->instance.execution_id, arena, &out->history, err);
  }
  if (code == DURO_OK) {
    code = read_messages(c, key, arena, &out->messages, &out->message_count, err);
  }
  duro__sqlite_read_end(s, c);
  return code;
}

// --- Due ---

static duro_code take_due(statement *st, duro_arena *arena, duro_instance_row *row,
                          duro_error **err) {
  row->key = take_int(st);
  duro_code code = duro__sqlite_take_status(st, &row->status, err);
  row->wake_at_ms = take_int(st);
  row->vm = (int)take_int(st);
  row->name = take_text(st, arena);
  row->version = take_text(st, arena);
  return code == DURO_OK && arena->oom ? duro_fail_oom(err) : code;
}

static duro_code read_due(duro__sqlite_conn *c, int64_t now_ms, int64_t after_wake_ms,
                          int64_t after_key, size_t limit, duro_arena *arena,
                          duro_instance_rows *out, duro_error **err) {
  statement st = use(c, Q_read_due);
  put_int(&st, after_wake_ms);
  put_int(&st, after_key);
  put_int(&st, now_ms);
  put_int(&st, limit < INT32_MAX ? (int64_t)limit + 1 : INT32_MAX);
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(&st, &row, err)) == DURO_OK && row) {
    out->truncated = out->count == limit;
    if (out->truncated) break;
    duro_instance_row *items =
        duro__sqlite_grow(arena, out->items, out->count, &capacity, sizeof *items);
    if (!items) code = duro_fail_oom(err);
    if (items) out->items = items;
    if (items) code = take_due(&st, arena, &items[out->count++], err);
    if (code != DURO_OK) break;
  }
  finish(&st);
  return code;
}

duro_code duro__sqlite_due(duro_store *s, int64_t now_ms, int64_t after_wake_ms, int64_t after_key,
                           size_t limit, duro_arena *arena, duro_instance_rows *out,
                           int64_t *next_ms, duro_error **err) {
  *out = (duro_instance_rows){0};
  *next_ms = DURO_NEVER;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "due", true, &c, err);
  if (code != DURO_OK) return code;
  code = read_due(c, now_ms, after_wake_ms, after_key, limit, arena, out, err);
  if (code == DURO_OK) {
    statement st = use(c, Q_read_next_wake);
    put_int(&st, now_ms);
    code = duro__sqlite_take_ints(&st, next_ms, 1, NULL, err);
  }
  duro__sqlite_read_end(s, c);
  return code;
}
