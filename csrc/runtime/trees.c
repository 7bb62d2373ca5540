// The trees of trees.h.
//
// A tree is read from committed rows, level by level. What runs is first made to stop (`gone`: it takes
// no more turns and its jobs are cancelled), because rows written by a batch that still fills or flies
// must not arrive after the deletion.
#include "runtime/trees.h"

#include <stdlib.h>

#include "runtime/answers.h"

#define PAGE 500

static bool add_row(duro__tree *t, const duro_instance_row *row) {
  duro_instance_row *slot = duro__vec_push(&t->rows);
  if (slot) *slot = *row;
  return slot != NULL;
}

static duro_code add_children(duro_runtime *rt, duro__tree *t, size_t parent, duro_error **err) {
  int64_t after_key = 0;
  for (;;) {
    duro_instance_rows page = {0};
    duro_list_query query = {
        .filter.parent_id = t->rows.items[parent].id,
        .ascending = true,
        .after_key = after_key,
        .limit = PAGE,
    };
    duro_code code = duro__store_list(rt->store, &query, &t->arena, &page, err);
    if (code) return code;
    for (size_t i = 0; i < page.count; i++) {
      after_key = page.items[i].key;
      if (!add_row(t, &page.items[i])) return duro_fail_oom(err);
    }
    if (page.count < PAGE) return DURO_OK;
  }
}

// Events of past executions, and how many there are; the row itself tells of the current one.
static duro_code add_totals(duro_runtime *rt, duro__tree *t, const duro_instance_row *row,
                            duro_error **err) {
  duro_execution_row *past = NULL;
  size_t count = 0;
  duro_code code = DURO_OK;
  if (row->execution_id > 1)
    code = duro__store_executions(rt->store, row->key, &t->arena, &past, &count, err);
  if (code) return code;
  t->executions += (int64_t)count + 1;
  t->events += row->event_count;
  for (size_t i = 0; i < count; i++) t->events += past[i].event_count;
  return DURO_OK;
}

duro_code duro__tree_load(duro_runtime *rt, duro_str root, duro__tree *out, duro_error **err) {
  duro_instance_row row;
  memset(out, 0, sizeof *out);
  duro_code code = duro__store_get(rt->store, root, &out->arena, &row, err);
  if (!code && !add_row(out, &row)) code = duro_fail_oom(err);
  for (size_t i = 0; !code && i < out->rows.count; i++) {
    code = add_children(rt, out, i, err);
    if (!code) code = add_totals(rt, out, &out->rows.items[i], err);
  }
  if (code) duro__tree_free(out);
  return code;
}

bool duro__tree_read(duro_runtime *rt, duro_request *r, duro_str root, duro__tree *out) {
  duro_error *err = NULL;
  duro_code code = duro__tree_load(rt, root, out, &err);
  if (code == DURO_NOT_FOUND) {
    duro_error_free(err);
    duro__fail_not_found(r, root);
  } else if (code) {
    duro__fail_with(r, code, err);
  }
  return !code;
}

const duro_instance_row *duro__tree_unfinished(const duro__tree *t) {
  for (size_t i = 0; i < t->rows.count; i++) {
    if (!duro_status_final(t->rows.items[i].status)) return &t->rows.items[i];
  }
  return NULL;
}

// Loaded even to be deleted, so that nobody else loads it before the deletion is durable. One that cannot
// be loaded (its history is damaged, say) can be deleted all the same.
static duro__instance *hold(duro_runtime *rt, const duro_instance_row *row) {
  duro__instance *i = duro__live_by_key(rt, row->key);
  if (i || duro_status_final(row->status)) return i;
  duro_status ended;
  duro_error *err = NULL;
  duro__instance_fetch_by_key(rt, row->key, &i, &ended, &err);
  duro_error_free(err);
  return i;
}

bool duro__tree_stop(duro_runtime *rt, duro__tree *t) {
  bool in_flight = false;
  for (size_t n = 0; n < t->rows.count; n++) {
    in_flight |= duro_map_get_int(&rt->deleting, t->rows.items[n].key) != NULL; // by another call
    duro__instance *i = hold(rt, &t->rows.items[n]);
    if (!i) continue;
    if (!i->gone) {
      i->gone = true;
      i->status = DURO_STATUS_TERMINATED; // for whoever asks until it has left
      duro__timers_remove(rt, i);
      duro__jobs_orphan(rt, i);
    }
    in_flight |= i->batches > 0;
  }
  return in_flight;
}

void duro__tree_delete(duro_runtime *rt, duro__batch *b, duro__tree *t) {
  for (size_t n = 0; n < t->rows.count; n++) {
    const duro_instance_row *row = &t->rows.items[n];
    duro__instance *i = duro__live_by_key(rt, row->key);
    duro__count_deleted(rt, row);
    if (i) {
      duro__batch_touch(rt, b, i); // it leaves memory with this batch
      i->deleted = true;
    }
    duro__row_change(rt, b,
                     &(duro__change){.what = "deleted",
                                     .key = row->key,
                                     .execution_id = row->execution_id,
                                     .status = row->status,
                                     .id = row->id,
                                     .name = row->name});
    int64_t *slot = duro__vec_push(&b->deletes);
    if (slot && duro_map_put_int(&rt->deleting, row->key, rt))
      *slot = row->key;
    else
      b->poisoned = true;
  }
}

// --- What stands around a tree ---

static bool parent_lives(duro_runtime *rt, const duro_instance_row *row) {
  if (!row->parent_key) return false;
  duro__instance *parent = duro__live_by_key(rt, row->parent_key);
  if (parent) return !parent->gone;
  duro_arena arena = {0};
  duro_instance_row parent_row;
  bool lives =
      duro__store_get_by_key(rt->store, row->parent_key, &arena, &parent_row, NULL) == DURO_OK &&
      !duro_status_final(parent_row.status);
  duro_arena_free(&arena);
  return lives;
}

// What runs here may be ahead of its row.
static duro_status status_now(duro_runtime *rt, const duro_instance_row *row) {
  duro__instance *i = duro__live_by_key(rt, row->key);
  return i ? i->status : row->status;
}

duro_code duro__tree_idle(duro_runtime *rt, const duro__tree *t, duro_error **err) {
  const duro_instance_row *root = &t->rows.items[0];
  for (size_t n = 0; n < t->rows.count; n++) {
    const duro_instance_row *row = &t->rows.items[n];
    duro_status status = status_now(rt, row);
    if (duro_status_final(status)) continue;
    return duro_fail(err, DURO_RUNNING,
                     "instance '%.*s' has not ended (%s); force deletes it anyway",
                     DURO_FMT(row->id), duro_status_string(status));
  }
  if (!parent_lives(rt, root)) return DURO_OK;
  return duro_fail(err, DURO_RUNNING,
                   "the parent '%.*s' of instance '%.*s' has not ended; force deletes it anyway",
                   DURO_FMT(root->parent_id), DURO_FMT(root->id));
}

// A parent that waits for the child must not wait for ever.
void duro__tree_tell_parent(duro_runtime *rt, const duro_instance_row *root) {
  if (duro_status_final(root->status) || !parent_lives(rt, root)) return;
  duro__instance *parent = NULL;
  duro_status ended;
  duro_error *err = NULL;
  duro__instance_fetch_by_key(rt, root->parent_key, &parent, &ended, &err);
  duro_error_free(err);
  if (!parent) return;
  duro_event e = {
      .kind = DURO_EVENT_SUB_ORCHESTRATION_FAILED,
      .source = root->parent_event_id,
      .error =
          DURO_STR("{\"code\":\"terminated\",\"message\":\"the sub-orchestration was deleted\"}"),
  };
  duro__send(rt, parent, root->parent_execution_id, &e);
}

void duro__tree_free(duro__tree *t) {
  free(t->rows.items);
  duro_arena_free(&t->arena);
  memset(t, 0, sizeof *t);
}
