// verbs_read.c: reads of rows: status, lists, executions, and what is registered here.
//
// Everything is read from the store, so only committed state is seen; what needs the projection waits for
// it (duro__when_folded).
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/finder.h"

// --- status, bulk_status ---

// The status of an earlier execution, from its row and its last event.
static void add_past_status(duro_buf *b, const duro_instance_row *row,
                            const duro_execution_row *past, const duro_events *events) {
  const duro_event *last = events->count ? &events->items[events->count - 1] : NULL;
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", row->id);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(past->status)));
  if (last) duro__add_json_member(b, "output", last->output);
  if (last) duro__add_json_member(b, "error", last->error);
  duro_buf_add_char(b, '}');
}

static void past_status(duro_runtime *rt, duro_request *r, const duro_instance_row *row,
                        int64_t execution_id, duro_arena *arena) {
  duro_execution_row *all = NULL;
  size_t count = 0, n = 0;
  duro_error *err = NULL;
  duro_events events;
  duro_code code = duro__store_executions(rt->store, row->key, arena, &all, &count, &err);
  if (code) {
    duro__fail_with(r, code, err);
    return;
  }
  while (n < count && all[n].execution_id != execution_id) n++;
  if (n == count) {
    duro__add_status_unknown(&r->answer, row->id);
  } else {
    if (!duro__read_events(rt, r, row->key, execution_id, arena, &events)) return;
    add_past_status(&r->answer, row, &all[n], &events);
  }
  duro__request_durable(r);
}

static void add_current_status(duro_buf *b, const duro_instance_row *row) {
  duro__add_status(b, row);
  if (!row->custom_status.n || b->oom) return;
  b->n--; // reopen the object
  duro__add_payload_member(b, "custom_status", row->custom_status);
  duro_buf_add_char(b, '}');
}

static void status_of(duro_runtime *rt, duro_request *r, duro_str id, int64_t execution_id,
                      duro_arena *arena) {
  duro_instance_row row;
  duro_error *err = NULL;
  duro_code code = duro__store_get(rt->store, id, arena, &row, &err);
  if (code && code != DURO_NOT_FOUND) {
    duro__fail_with(r, code, err);
    return;
  }
  duro_error_free(err);
  duro_buf_clear(&r->answer);
  if (!code && execution_id && execution_id != row.execution_id) {
    past_status(rt, r, &row, execution_id, arena);
    return;
  }
  if (code)
    duro__add_status_unknown(&r->answer, id);
  else
    add_current_status(&r->answer, &row);
  duro__request_durable(r);
}

void duro__verb_status(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str id;
  int64_t execution_id;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_int(r, args, "execution", 0, 1, &execution_id)) {
    status_of(rt, r, id, execution_id, &arena);
  }
  duro_arena_free(&arena);
}

// The ids in the order asked, each with what was found of it.
static bool add_statuses(duro_buf *b, const duro__finder *f, const duro_str *ids, size_t count) {
  duro_map by_id = {0};
  bool oom = false;
  for (size_t i = 0; i < f->rows.count && !oom; i++)
    oom = !duro_map_put(&by_id, f->rows.items[i].id, &f->rows.items[i]);
  duro_buf_clear(b);
  duro_buf_add_char(b, '[');
  for (size_t i = 0; i < count; i++) {
    const duro_instance_row *row = duro_map_get(&by_id, ids[i]);
    if (i) duro_buf_add_char(b, ',');
    if (row)
      duro__add_status(b, row);
    else
      duro__add_status_unknown(b, ids[i]);
  }
  duro_buf_add_char(b, ']');
  duro_map_free(&by_id);
  return !oom;
}

static void statuses_found(duro_runtime *rt, duro__finder *f) {
  (void)rt;
  duro_request *r = f->request;
  if (add_statuses(&r->answer, f, f->query.filter.ids, f->query.filter.id_count))
    duro__request_durable(r);
  else
    duro__fail_memory(r);
}

static bool ids_fit(duro_runtime *rt, duro_request *r, size_t count) {
  if ((int64_t)count <= rt->options.max_bulk_operations) return true;
  duro__request_fail(r, DURO_TOO_LARGE, "%zu ids are given, %lld are allowed", count,
                     (long long)rt->options.max_bulk_operations);
  return false;
}

void duro__verb_bulk_status(duro_runtime *rt, duro_request *r, duro_str args) {
  duro__finder *f = duro__finder_new(r, args);
  duro_str *ids;
  size_t count;
  if (!f) return;
  if (!duro__arg_ids(r, f->args, NULL, &f->arena, &ids, &count) || !ids_fit(rt, r, count)) {
    duro__finder_free(f);
    return;
  }
  if (!count) {
    duro__finder_free(f);
    duro__request_answer(r, DURO_STR("[]"));
    return;
  }
  f->query.filter.ids = ids;
  f->query.filter.id_count = f->wanted = count;
  f->found = statuses_found;
  duro__finder_begin(f);
}

// --- list_executions, descriptor, registered ---

static bool read_one(duro_runtime *rt, duro_request *r, duro_str args, duro_arena *arena,
                     duro_instance_row *row) {
  duro_str id;
  return duro__arg_object(r, args) &&
         duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, arena, &id) &&
         duro__read_row(rt, r, id, arena, row);
}

void duro__verb_list_executions(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_execution_row *past = NULL;
  size_t count = 0;
  duro_error *err = NULL;
  if (read_one(rt, r, args, &arena, &row)) {
    duro_code code = duro__store_executions(rt->store, row.key, &arena, &past, &count, &err);
    if (code) {
      duro__fail_with(r, code, err);
    } else {
      duro_buf_clear(&r->answer);
      duro_buf_add_char(&r->answer, '[');
      for (size_t i = 0; i < count; i++) {
        duro_buf_add_int(&r->answer, past[i].execution_id);
        duro_buf_add_char(&r->answer, ',');
      }
      duro_buf_add_int(&r->answer, row.execution_id);
      duro_buf_add_char(&r->answer, ']');
      duro__request_durable(r);
    }
  }
  duro_arena_free(&arena);
}

void duro__verb_descriptor(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_instance_row row;
  if (read_one(rt, r, args, &arena, &row)) {
    duro_buf *b = &r->answer;
    duro_buf_clear(b);
    duro_buf_add_char(b, '{');
    duro__add_text_member(b, "name", row.name);
    if (row.version.n) duro__add_text_member(b, "version", row.version);
    if (row.parent_id.p) {
      duro__add_text_member(b, "parent_instance", row.parent_id);
      duro__add_int_member(b, "parent_id", row.parent_event_id);
    }
    duro_buf_add_char(b, '}');
    duro__request_durable(r);
  }
  duro_arena_free(&arena);
}

void duro__verb_registered(duro_runtime *rt, duro_request *r, duro_str args) {
  (void)args;
  duro_buf_clear(&r->answer);
  duro__registry_json(rt, &r->answer);
  duro__request_durable(r);
}
