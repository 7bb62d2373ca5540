// The reads of the memory store, but for lists: plain walks over sorted rows, copied into the arena.
#include "store/memory/memory.h"

#include <stdlib.h>

// Room for `count` rows in the arena; never NULL but when memory is out.
static void *room(duro_arena *arena, size_t count, size_t size) {
  return duro_arena_alloc(arena, count ? count * size : 1);
}

static duro_code no_such_key(int64_t key, duro_error **err) {
  return duro_fail(err, DURO_NOT_FOUND, "there is no instance with the key %lld", (long long)key);
}

static duro_code lend_instance(const duro_store *s, int64_t key, duro_arena *arena,
                               duro_instance_row *out, duro_error **err) {
  const duro_instance_row *row = memory_instance(s, key);
  if (!row) return no_such_key(key, err);
  return duro__row_lend(s->instances.shape, row, arena, out, err);
}

duro_code duro__memory_get(duro_store *s, duro_str id, duro_arena *arena, duro_instance_row *out,
                           duro_error **err) {
  duro__memory_lock(s);
  const id_row *found = duro__table_get(&s->ids, &(id_row){.id = id});
  duro_code code =
      found ? lend_instance(s, found->key, arena, out, err)
            : duro_fail(err, DURO_NOT_FOUND, "there is no instance '%.*s'", DURO_FMT(id));
  return duro__memory_unlock(s, code);
}

duro_code duro__memory_get_by_key(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_instance_row *out, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_unlock(s, lend_instance(s, key, arena, out, err));
}

// --- Due ---

static int by_wake(const void *left, const void *right) {
  const duro_instance_row *a = *(const duro_instance_row *const *)left;
  const duro_instance_row *b = *(const duro_instance_row *const *)right;
  int order = compare_ints(a->wake_at_ms, b->wake_at_ms);
  return order ? order : compare_ints(a->key, b->key);
}

duro_code duro__memory_due(duro_store *s, int64_t now_ms, int64_t after_wake_ms, int64_t after_key,
                           size_t limit, duro_arena *arena, duro_instance_rows *out,
                           int64_t *next_ms, duro_error **err) {
  *out = (duro_instance_rows){0};
  *next_ms = DURO_NEVER;
  duro__memory_lock(s);
  duro_code code = DURO_OK;
  size_t count = 0;
  const duro_instance_row **due = room(arena, s->instances.count, sizeof *due);
  if (!due) return duro__memory_unlock(s, duro_fail_oom(err));
  for (size_t i = 0; i < s->instances.count; i++) {
    const duro_instance_row *row = s->instances.rows[i];
    if (row->status != DURO_STATUS_PENDING && row->status != DURO_STATUS_RUNNING) continue;
    if (row->wake_at_ms > now_ms) {
      if (*next_ms > row->wake_at_ms) *next_ms = row->wake_at_ms;
    } else if (row->wake_at_ms > after_wake_ms ||
               (row->wake_at_ms == after_wake_ms && row->key > after_key)) {
      due[count++] = row;
    }
  }
  qsort(due, count, sizeof *due, by_wake);
  out->truncated = count > limit;
  if (count > limit) count = limit;
  out->items = room(arena, count, sizeof *out->items);
  if (!out->items) code = duro_fail_oom(err);
  for (; !code && out->count < count; out->count++) {
    code = duro__row_lend(s->instances.shape, due[out->count], arena, &out->items[out->count], err);
  }
  return duro__memory_unlock(s, code);
}

// --- Histories ---

static bool is_of(const duro_turn_row *turn, int64_t key, int64_t execution_id) {
  return turn->instance_key == key && turn->execution_id == execution_id;
}

static duro_code add_text(duro_texts *out, duro_str events, duro_arena *arena, duro_error **err) {
  out->items[out->count++] = duro_arena_dup(arena, events);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

// The folded turns of an execution, then the unfolded ones. `execution_id` 0: the current one.
static duro_code read_history(const duro_store *s, int64_t key, int64_t execution_id,
                              duro_arena *arena, duro_texts *out, duro_error **err) {
  const duro_instance_row *instance = memory_instance(s, key);
  *out = (duro_texts){0};
  if (!instance) return no_such_key(key, err);
  if (execution_id == 0) execution_id = instance->execution_id;
  duro_turn_row from = {.instance_key = key, .execution_id = execution_id};
  size_t folded = duro__table_seek(&s->history, &from), end = folded;
  while (end < s->history.count && is_of(s->history.rows[end], key, execution_id)) end++;
  from = (duro_turn_row){.seq = memory_meta(s)->marks.folded_seq + 1};
  size_t tail = duro__table_seek(&s->journal, &from);
  out->items = room(arena, end - folded + s->journal.count - tail, sizeof *out->items);
  duro_code code = out->items ? DURO_OK : duro_fail_oom(err);
  for (; !code && folded < end; folded++) {
    code = add_text(out, ((const duro_turn_row *)s->history.rows[folded])->events, arena, err);
  }
  for (; !code && tail < s->journal.count; tail++) {
    const duro_turn_row *turn = s->journal.rows[tail];
    if (!is_of(turn, key, execution_id) || !duro__memory_turn_counts(s, turn)) continue;
    code = add_text(out, turn->events, arena, err);
  }
  return code;
}

duro_code duro__memory_history(duro_store *s, int64_t key, int64_t execution_id, duro_arena *arena,
                               duro_texts *out, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_unlock(s, read_history(s, key, execution_id, arena, out, err));
}

duro_code duro__memory_executions(duro_store *s, int64_t key, duro_arena *arena,
                                  duro_execution_row **out, size_t *count, duro_error **err) {
  duro_execution_row first = {.instance_key = key}, end = {.instance_key = key + 1};
  *count = 0;
  duro__memory_lock(s);
  size_t at = duro__table_seek(&s->executions, &first);
  size_t n = duro__table_seek(&s->executions, &end) - at;
  *out = room(arena, n, sizeof **out);
  duro_code code = *out ? DURO_OK : duro_fail_oom(err);
  for (; !code && *count < n; (*count)++) {
    code = duro__row_lend(s->executions.shape, s->executions.rows[at + *count], arena,
                          &(*out)[*count], err);
  }
  return duro__memory_unlock(s, code);
}

// --- Messages, and all together ---

static duro_code read_messages(const duro_store *s, int64_t key, duro_arena *arena,
                               duro_message_row **out, size_t *count, duro_error **err) {
  size_t n = 0;
  for (size_t i = 0; i < s->messages.count; i++) {
    n += ((const duro_message_row *)s->messages.rows[i])->instance_key == key;
  }
  *count = 0;
  *out = room(arena, n, sizeof **out);
  if (!*out) return duro_fail_oom(err);
  for (size_t i = 0; *count < n; i++) {
    const duro_message_row *row = s->messages.rows[i];
    if (row->instance_key != key) continue;
    duro_code code = duro__row_lend(s->messages.shape, row, arena, &(*out)[(*count)++], err);
    if (code) return code;
  }
  return DURO_OK;
}

duro_code duro__memory_messages(duro_store *s, int64_t key, duro_arena *arena,
                                duro_message_row **out, size_t *count, duro_error **err) {
  duro__memory_lock(s);
  return duro__memory_unlock(s, read_messages(s, key, arena, out, count, err));
}

duro_code duro__memory_load(duro_store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                            duro_error **err) {
  *out = (duro_loaded){0};
  duro__memory_lock(s);
  duro_code code = lend_instance(s, key, arena, &out->instance, err);
  if (!code) code = read_history(s, key, 0, arena, &out->history, err);
  if (!code) code = read_messages(s, key, arena, &out->messages, &out->message_count, err);
  return duro__memory_unlock(s, code);
}

// --- The feed ---

static duro_code lend_change(const duro_store *s, const duro_turn_row *turn, duro_arena *arena,
                             duro_change *out, duro_error **err) {
  const duro_instance_row *instance = memory_instance(s, turn->instance_key);
  *out = (duro_change){.seq = turn->seq,
                       .instance_key = turn->instance_key,
                       .execution_id = turn->execution_id,
                       .first_event_id = turn->first_event_id,
                       .event_count = turn->event_count,
                       .status = turn->status,
                       .at_ms = turn->at_ms,
                       .events = duro_arena_dup(arena, turn->events)};
  if (instance) {
    out->instance_id = duro_arena_dup(arena, instance->id);
    out->name = duro_arena_dup(arena, instance->name);
  }
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

duro_code duro__memory_changes(duro_store *s, int64_t since_seq, size_t limit, duro_arena *arena,
                               duro_changes *out, duro_error **err) {
  duro__memory_lock(s);
  *out = (duro_changes){.oldest_seq = memory_meta(s)->trimmed_seq + 1};
  if (since_seq < out->oldest_seq - 1) {
    return duro__memory_unlock(
        s, duro_fail(err, DURO_EXPIRED, "changes after %lld are no longer kept, only after %lld",
                     (long long)since_seq, (long long)out->oldest_seq - 1));
  }
  size_t at = duro__table_seek(&s->journal, &(duro_turn_row){.seq = since_seq + 1});
  size_t count = s->journal.count - at < limit ? s->journal.count - at : limit;
  out->items = room(arena, count, sizeof *out->items);
  duro_code code = out->items ? DURO_OK : duro_fail_oom(err);
  for (; !code && out->count < count; out->count++) {
    code = lend_change(s, s->journal.rows[at + out->count], arena, &out->items[out->count], err);
  }
  return duro__memory_unlock(s, code);
}

// --- The audit log ---

duro_code duro__memory_audit(duro_store *s, int64_t before, size_t limit, duro_arena *arena,
                             duro_audit_row **out, size_t *count, duro_error **err) {
  duro__memory_lock(s);
  *count = 0;
  int64_t end = before > 0 ? before : INT64_MAX;
  size_t at = duro__table_seek(&s->audit, &(duro_audit_row){.id = end});
  size_t most = at < limit ? at : limit;
  *out = room(arena, most, sizeof **out);
  duro_code code = *out ? DURO_OK : duro_fail_oom(err);
  for (; !code && *count < most; ++*count) {
    const void *row = s->audit.rows[at - 1 - *count];
    code = duro__row_lend(s->audit.shape, row, arena, &(*out)[*count], err);
  }
  return duro__memory_unlock(s, code);
}
