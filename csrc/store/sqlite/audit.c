// The audit log: entries come with the batch of what they tell of, and only the log's front is deleted.
//
// An id says where the log ends behind its entry, so what is kept is a bound on the ids: the deletion
// walks the primary key from its beginning and stops at the first entry that stays.
#include "store/sqlite/internal.h"

duro_code duro__sqlite_write_audit(duro__sqlite_conn *c, const duro_batch *batch,
                                   duro_error **err) {
  for (size_t i = 0; i < batch->audit_count; i++) {
    const duro_audit_row *row = &batch->audit[i];
    statement st = use(c, Q_insert_audit);
    put_int(&st, row->id);
    put_int(&st, row->at_ms);
    put_text(&st, row->actor);
    put_text(&st, row->action);
    put_text(&st, row->target);
    put_text(&st, row->detail);
    duro_code code = duro__sqlite_run(&st, err);
    if (code != DURO_OK) return code;
  }
  if (batch->audit_forget_to <= 0) return DURO_OK;
  statement st = use(c, Q_delete_audit);
  put_int(&st, batch->audit_forget_to);
  return duro__sqlite_run(&st, err);
}

static void take_entry(statement *st, duro_arena *arena, duro_audit_row *out) {
  out->id = take_int(st);
  out->at_ms = take_int(st);
  out->actor = take_text(st, arena);
  out->action = take_text(st, arena);
  out->target = take_text(st, arena);
  out->detail = take_text(st, arena);
}

static duro_code read_entries(statement *st, duro_arena *arena, duro_audit_row **out, size_t *count,
                              duro_error **err) {
  size_t capacity = 0;
  bool row;
  duro_code code;
  while ((code = duro__sqlite_step(st, &row, err)) == DURO_OK && row) {
    duro_audit_row *items = duro__sqlite_grow(arena, *out, *count, &capacity, sizeof *items);
    if (items) {
      *out = items;
      take_entry(st, arena, &items[(*count)++]);
    }
    if (arena->oom) {
      finish(st);
      return duro_fail_oom(err);
    }
  }
  return code;
}

duro_code duro__sqlite_audit(duro_store *s, int64_t before, size_t limit, duro_arena *arena,
                             duro_audit_row **out, size_t *count, duro_error **err) {
  *out = NULL;
  *count = 0;
  duro__sqlite_conn *c;
  duro_code code = duro__sqlite_read_begin(s, "audit", false, &c, err);
  if (code != DURO_OK) return code;
  statement st = use(c, Q_read_audit);
  put_int(&st, before > 0 ? before : INT64_MAX);
  put_int(&st, (int64_t)limit);
  code = read_entries(&st, arena, out, count, err);
  duro__sqlite_read_end(s, c);
  return code;
}
