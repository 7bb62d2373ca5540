// verbs_wait.c: calls that are answered when an instance gets somewhere.
//
// A waiting request stands in rt->waiters, and by key of each instance it waits for in rt->wait_lists, so
// that a commit finds its waiters without looking at the others. What it answers is a committed row, read
// or as its batch wrote it; it is looked for only where a batch wrote what can be news. In a client
// process nobody tells of commits: there everything waited for is looked at again whenever the file has
// changed (duro__waiters_check); so it is after a fault.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/feed.h"
#include "runtime/payloads.h"

typedef enum wait_kind { WAIT_END = 1, WAIT_CUSTOM_STATUS, WAIT_MANY } wait_kind;

// --- Lists ---

// One wait per key: an id given twice counts once. *added tells.
static bool wait_for(duro_runtime *rt, duro_request *r, int64_t key, bool *added) {
  duro__wait *first = duro_map_get_int(&rt->wait_lists, key);
  *added = !first || first->request != r; // its own would be the newest
  if (!*added) return true;
  duro__wait *w = calloc(1, sizeof *w);
  if (!w) return false;
  *w = (duro__wait){.request = r, .key = key, .next = first};
  if (!duro_map_put_int(&rt->wait_lists, key, w)) {
    free(w);
    return false;
  }
  w->next_of_request = r->waits;
  r->waits = w;
  return true;
}

static void leave_list(duro_runtime *rt, const duro__wait *w) {
  duro__wait *first = duro_map_get_int(&rt->wait_lists, w->key);
  if (first == w) {
    duro_map_put_int(&rt->wait_lists, w->key, w->next); // NULL removes
    return;
  }
  while (first->next != w) first = first->next;
  first->next = w->next;
}

void duro__waits_forget(duro_request *r) {
  while (r->waits) {
    duro__wait *w = r->waits;
    r->waits = w->next_of_request;
    leave_list(r->rt, w);
    free(w);
  }
}

static void forget_one(duro_runtime *rt, duro__wait *w) {
  duro__wait **at = &w->request->waits;
  while (*at != w) at = &(*at)->next_of_request;
  *at = w->next_of_request;
  leave_list(rt, w);
  free(w);
}

// --- Looking ---

// What runs in memory has not ended in the store either, and what it shows there is no newer.
static bool runs_on(duro_runtime *rt, const duro_request *r, duro_str id, int64_t *key) {
  const duro__instance *i = duro__live(rt, id);
  if (!i || i->gone) return false;
  if (r->wait_kind == WAIT_CUSTOM_STATUS && i->custom_status_version > r->wait_number) return false;
  *key = i->key;
  return true;
}

// A row that is not in the store yet although its instance is known here: it is about to be.
static bool about_to_exist(duro_runtime *rt, duro_str id, int64_t *key) {
  duro__instance *i = duro__live(rt, id);
  if (!i || i->deleted) return false;
  *key = i->key;
  return true;
}

static bool is_over(duro_request *r, const duro_instance_row *row) {
  if (r->wait_kind != WAIT_CUSTOM_STATUS) return duro_status_final(row->status);
  return row->custom_status_version > r->wait_number || duro_status_final(row->status);
}

// What the caller gets is the value alone, so a damaged one is no answer.
static void fail_unreadable(duro_request *r, const duro_instance_row *row, const char *what) {
  duro__request_fail(r, DURO_CORRUPT, "the stored %s of instance '%.*s' cannot be read", what,
                     DURO_FMT(row->id));
}

static void answer_one(duro_request *r, const duro_instance_row *row) {
  duro_buf *b = &r->answer;
  duro_buf_clear(b);
  if (r->wait_kind == WAIT_END) {
    if (row->output.n && !duro__payload_readable(row->output)) {
      fail_unreadable(r, row, "output");
      return;
    }
    duro__add_status(b, row);
  } else if (row->custom_status_version > r->wait_number) {
    if (row->custom_status.n && !duro__payload_readable(row->custom_status)) {
      fail_unreadable(r, row, "custom_status");
      return;
    }
    duro_buf_add_char(b, '{');
    duro__add_json_member(b, "custom_status", row->custom_status);
    duro__add_int_member(b, "version", row->custom_status_version);
    duro_buf_add_char(b, '}');
  } else {
    duro__fail_finished(r, row->id, row->status);
    return;
  }
  duro__request_durable(r);
}

static void answer_many(duro_runtime *rt, duro_request *r);

// What can be said of a waited-for instance.
typedef struct view {
  bool there, gone; // its row is read; there is none, and none is to come
  duro_instance_row row;
  duro_code code; // the store cannot be read
} view;

static view view_of(duro_runtime *rt, int64_t key, duro_arena *arena) {
  view v = {0};
  duro_code code = duro__store_get_by_key(rt->store, key, arena, &v.row, NULL);
  v.there = code == DURO_OK;
  const duro__instance *i = code == DURO_NOT_FOUND ? duro__live_by_key(rt, key) : NULL;
  v.gone = code == DURO_NOT_FOUND && (!i || i->deleted);
  if (code != DURO_NOT_FOUND) v.code = code;
  return v;
}

// Frees `w`, when there is news for it.
static void show(duro_runtime *rt, duro__wait *w, const view *v) {
  duro_request *r = w->request;
  bool over = v->there && is_over(r, &v->row);
  if (v->code) {
    duro__request_fail(r, v->code, "the store cannot tell how the instance stands");
  } else if (r->wait_kind == WAIT_MANY && (over || v->gone)) {
    forget_one(rt, w);
    if (--r->wait_number <= 0) answer_many(rt, r);
  } else if (over) {
    answer_one(r, &v->row);
  } else if (v->gone) {
    duro__request_fail(r, DURO_NOT_FOUND, "the instance was deleted");
  }
}

static void look_at(duro_runtime *rt, int64_t key) {
  duro_arena arena = {0};
  view v = view_of(rt, key, &arena);
  for (duro__wait *w = duro_map_get_int(&rt->wait_lists, key), *next; w; w = next) {
    next = w->next; // of another request: each has one wait per key
    show(rt, w, &v);
  }
  duro_arena_free(&arena);
}

static void look_if_waited(duro_runtime *rt, int64_t key) {
  if (duro_map_get_int(&rt->wait_lists, key)) look_at(rt, key);
}

// An end that a batch has written: all that those who wait for it ask, so it need not be read.
static void show_end(duro_runtime *rt, const duro_instance_update *u) {
  const duro__instance *i = duro__live_by_key(rt, u->row.key); // leaves memory only after this
  view v = {.there = true, .row = u->row};
  if (!i) return;
  v.row.id = i->id;
  for (duro__wait *w = duro_map_get_int(&rt->wait_lists, i->key), *next; w; w = next) {
    next = w->next;
    if (w->request->wait_kind != WAIT_CUSTOM_STATUS) show(rt, w, &v);
  }
}

// What waiters ask about (view_of, is_over) changes with these rows, and with nothing else.
void duro__waiters_durable(duro_runtime *rt, const duro__batch *b) {
  if (!rt->wait_lists.count) return;
  for (size_t k = 0; k < b->inserts.count; k++) look_if_waited(rt, b->inserts.items[k].key);
  for (size_t k = 0; k < b->updates.count; k++) {
    const duro_instance_update *u = &b->updates.items[k];
    bool end = u->set & DURO_SET_STATUS && duro_status_final(u->row.status);
    if (end) show_end(rt, u);
    if (end || u->set & DURO_SET_CUSTOM_STATUS) look_if_waited(rt, u->row.key);
  }
  for (size_t k = 0; k < b->deletes.count; k++) look_if_waited(rt, b->deletes.items[k]);
}

void duro__waiters_check(duro_runtime *rt) {
  DURO__VEC(int64_t) keys = {0}; // looking changes the map
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->wait_lists, &at));) {
    int64_t *slot = duro__vec_push(&keys);
    if (!slot) break; // the next check sees the rest
    *slot = s->number;
  }
  for (size_t i = 0; i < keys.count; i++) look_at(rt, keys.items[i]);
  free(keys.items);
  duro__streams_notify(rt);
}

void duro__waiters_free(duro_runtime *rt) {
  duro__requests_close(&rt->waiters);
  duro_map_free(&rt->wait_lists);
  duro__clients_free(rt);
}

// --- wait, wait_custom_status ---

static void begin_wait(duro_runtime *rt, duro_request *r, int64_t key) {
  bool added;
  if (wait_for(rt, r, key, &added))
    duro__request_link(r, &rt->waiters);
  else
    duro__fail_memory(r);
}

static void wait_one(duro_runtime *rt, duro_request *r, duro_str id) {
  int64_t key;
  if (runs_on(rt, r, id, &key)) {
    begin_wait(rt, r, key);
    return;
  }
  duro_arena arena = {0};
  duro_instance_row row;
  duro_error *err = NULL;
  duro_code code = duro__store_get(rt->store, id, &arena, &row, &err);
  key = code ? 0 : row.key;
  if (code == DURO_NOT_FOUND && about_to_exist(rt, id, &key)) {
    duro_error_free(err);
    err = NULL;
    code = DURO_OK;
  } else if (!code && is_over(r, &row)) {
    answer_one(r, &row);
    duro_arena_free(&arena);
    return;
  }
  if (code == DURO_NOT_FOUND) {
    duro_error_free(err);
    duro__fail_not_found(r, id);
  } else if (code) {
    duro__fail_with(r, code, err);
  } else {
    begin_wait(rt, r, key);
  }
  duro_arena_free(&arena);
}

static void wait_verb(duro_runtime *rt, duro_request *r, duro_str args, wait_kind kind) {
  duro_arena arena = {0};
  duro_str id;
  r->wait_kind = (int)kind;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_int(r, args, "version", 0, 0, &r->wait_number)) {
    wait_one(rt, r, id);
  }
  duro_arena_free(&arena);
}

void duro__verb_wait(duro_runtime *rt, duro_request *r, duro_str args) {
  wait_verb(rt, r, args, WAIT_END);
}

void duro__verb_wait_custom_status(duro_runtime *rt, duro_request *r, duro_str args) {
  wait_verb(rt, r, args, WAIT_CUSTOM_STATUS);
}

// --- wait_for_instances ---

// {completed:[...], pending:[ids]}, as committed now. An unknown or deleted one counts as completed, with
// the status not_found: it will never end.
static duro_code add_many(duro_runtime *rt, duro_request *r, duro_buf *completed, duro_buf *pending,
                          duro_error **err) {
  duro_code code = DURO_OK;
  duro_arena arena = {0};
  for (size_t i = 0; i < r->wait_ids.count; i++) {
    duro_str id = r->wait_ids.items[i];
    duro_instance_row row;
    int64_t key;
    code = duro__store_get(rt->store, id, &arena, &row, err);
    if (code && code != DURO_NOT_FOUND) break;
    bool over = code ? !about_to_exist(rt, id, &key) : duro_status_final(row.status);
    duro_buf *b = over ? completed : pending;
    if (b->n) duro_buf_add_char(b, ',');
    if (!over)
      duro_json_add_string(b, id);
    else if (code)
      duro__add_status_unknown(b, id);
    else
      duro__add_status(b, &row);
    code = DURO_OK;
    duro_arena_reset(&arena);
  }
  duro_arena_free(&arena);
  return code;
}

static void answer_many(duro_runtime *rt, duro_request *r) {
  duro_buf completed = {0}, pending = {0};
  duro_error *err = NULL;
  duro_code code = add_many(rt, r, &completed, &pending, &err);
  if (!code && (completed.oom || pending.oom)) code = duro_fail_oom(&err);
  if (!code) {
    duro_error_free(err);
    duro_buf_clear(&r->answer);
    duro_buf_add_lit(&r->answer, "{\"completed\":[");
    duro_buf_add_str(&r->answer, duro_buf_str(&completed));
    duro_buf_add_lit(&r->answer, "],\"pending\":[");
    duro_buf_add_str(&r->answer, duro_buf_str(&pending));
    duro_buf_add_lit(&r->answer, "]}");
    duro__request_durable(r);
  } else {
    duro__fail_with(r, code, err);
  }
  duro_buf_free(&completed);
  duro_buf_free(&pending);
}

// Whether the instance is one to wait for: it has not ended, as far as is stored.
static duro_code look_up(duro_runtime *rt, duro_request *r, duro_str id, int64_t *key, bool *waits,
                         duro_error **err) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_error *problem = NULL;
  *waits = runs_on(rt, r, id, key);
  if (*waits) return DURO_OK;
  duro_code code = duro__store_get(rt->store, id, &arena, &row, &problem);
  if (code == DURO_NOT_FOUND) {
    *waits = about_to_exist(rt, id, key);
    code = DURO_OK;
  } else if (!code) {
    *key = row.key;
    *waits = !is_over(r, &row);
  }
  duro_arena_free(&arena);
  if (code)
    *err = problem;
  else
    duro_error_free(problem);
  return code;
}

// Keeps the id, and waits for the instance when it has not ended. *ended counts those that have.
static duro_code add_wait(duro_runtime *rt, duro_request *r, duro_str id, size_t *ended,
                          duro_error **err) {
  char *copy = duro_str_dup(id);
  duro_str *slot = copy ? duro__vec_push(&r->wait_ids) : NULL;
  if (!slot) {
    free(copy);
    return duro_fail_oom(err);
  }
  *slot = (duro_str){copy, id.n};
  bool waits, added = false;
  int64_t key = 0;
  duro_code code = look_up(rt, r, id, &key, &waits, err);
  if (code) return code;
  if (!waits)
    ++*ended;
  else if (!wait_for(rt, r, key, &added))
    return duro_fail_oom(err);
  if (added) r->wait_number++;
  return DURO_OK;
}

static void wait_many(duro_runtime *rt, duro_request *r, const duro_str *ids, size_t count) {
  duro_error *err = NULL;
  duro_code code = DURO_OK;
  size_t ended = 0;
  r->wait_kind = WAIT_MANY;
  r->wait_number = 0;
  for (size_t i = 0; i < count && !code; i++) code = add_wait(rt, r, ids[i], &ended, &err);
  if (code) {
    duro__fail_with(r, code, err);
  } else if (r->wait_number == 0 || (r->wait_any && ended)) {
    answer_many(rt, r);
  } else {
    if (r->wait_any) r->wait_number = 1;
    duro__request_link(r, &rt->waiters);
  }
}

void duro__verb_wait_for_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro_str *ids, mode;
  size_t count;
  bool fine = duro__arg_object(r, args) &&
              duro__arg_ids(r, args, "instances", &arena, &ids, &count) &&
              duro__arg_text(r, args, "mode", DURO_MAX_NAME_BYTES, &arena, &mode);
  if (fine) {
    r->wait_any = duro_str_equal(mode, DURO_STR("any"));
    if (mode.p && !r->wait_any && !duro_str_equal(mode, DURO_STR("all"))) {
      duro__request_fail(r, DURO_INVALID_ARGUMENT, "mode is '%.*s'; it may be all or any",
                         DURO_FMT(mode));
    } else {
      wait_many(rt, r, ids, count);
    }
  }
  duro_arena_free(&arena);
}
