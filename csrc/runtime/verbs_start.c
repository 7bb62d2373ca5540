// verbs_start.c: starting instances, one or many.
//
// Invariant: what one call starts (and deletes, and raises) is one transaction. A single start leaves
// its row to its first turn, whose batch carries everything; where several things must meet, their rows
// are put into the open batch right here and the start messages go along with it.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/registry.h"
#include "runtime/trees.h"

// --- Reading ---

static bool read_conflict(duro_request *r, duro_str args, duro_arena *arena, duro__start *out) {
  static const duro_str words[] = {
      [DURO__ON_CONFLICT_FAIL] = DURO_STR("fail"),
      [DURO__ON_CONFLICT_EXISTING] = DURO_STR("existing"),
      [DURO__ON_CONFLICT_REPLACE] = DURO_STR("replace_finished"),
  };
  duro_str text;
  out->on_conflict = DURO__ON_CONFLICT_FAIL;
  if (!duro__arg_text(r, args, "on_conflict", DURO_MAX_NAME_BYTES, arena, &text)) return false;
  if (!text.p) return true;
  for (int i = 0; i < 3; i++) {
    if (!duro_str_equal(text, words[i])) continue;
    out->on_conflict = (unsigned)i;
    return true;
  }
  duro__request_fail(r, DURO_INVALID_ARGUMENT,
                     "on_conflict is '%.*s'; it may be fail, existing or replace_finished",
                     DURO_FMT(text));
  return false;
}

static bool read_times(duro_runtime *rt, duro_request *r, duro_str args, duro__start *out) {
  int64_t start_ms, delay_ms;
  if (!duro__arg_int(r, args, "start_at_ms", 0, INT64_MIN, &start_ms)) return false;
  if (!duro__arg_int(r, args, "delay_ms", 0, 0, &delay_ms)) return false;
  if (!duro__arg_int(r, args, "timeout_ms", 0, 0, &out->instance.timeout_ms)) return false;
  int64_t now_ms = duro__now(rt);
  if (delay_ms > DURO_NEVER - 1 - now_ms || start_ms == DURO_NEVER) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the start lies too far in the future");
    return false;
  }
  if (delay_ms) start_ms = now_ms + delay_ms;
  out->instance.start_at_ms = start_ms > now_ms ? start_ms : 0;
  return true;
}

static bool read_version(duro_request *r, duro_str args, duro_arena *arena, duro__start *out) {
  duro_str *version = &out->instance.version;
  if (!duro__arg_text(r, args, "version", DURO_MAX_NAME_BYTES, arena, version)) return false;
  if (!version->p || duro__semver_valid(*version)) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "the version '%.*s' is not of the form 1.2.3",
                     DURO_FMT(*version));
  return false;
}

static bool read_event(duro_request *r, duro_str args, duro_arena *arena, duro__start *out) {
  duro_str event = duro__member(args, "event");
  if (!event.p) return true;
  if (!duro__arg_object(r, event)) return false;
  return duro__arg_id(r, event, "name", DURO__REQUIRED, DURO_MAX_NAME_BYTES, arena,
                      &out->event_name) &&
         duro__arg_payload(r, event, "data", &out->event_data);
}

// The system's randomness is fetched for several ids at once: asking costs more than the id. No other process
// has them, too: a runtime starts nothing after a fork.
static void fresh_id(duro_runtime *rt, char out[DURO_UUID_SIZE]) {
  if (rt->randoms < 2) {
    duro_random_bytes(rt->random, sizeof rt->random);
    rt->randoms = sizeof rt->random / sizeof *rt->random;
  }
  rt->randoms -= 2;
  duro_uuid7_of(out, duro__now(rt), &rt->random[rt->randoms]);
}

static bool give_id(duro_runtime *rt, duro_request *r, duro_arena *arena, duro__start *out) {
  char uuid[DURO_UUID_SIZE];
  if (out->instance.id.p) return true;
  fresh_id(rt, uuid);
  out->generated = true;
  out->instance.id = duro_arena_dup(arena, duro_str_from(uuid));
  if (out->instance.id.p) return true;
  duro__fail_memory(r);
  return false;
}

// What most starts have and nothing else, in one walk through the text. False: there is more.
typedef struct common {
  duro_str name, id, input;
} common;

static bool read_common(duro_str args, common *out) {
  duro_json_reader reader;
  *out = (common){0};
  duro_json_open(&reader, args);
  duro_json_type type = duro_json_next(&reader);
  while ((type = duro_json_next(&reader)) == DURO_JSON_KEY) {
    duro_str key = reader.text;
    duro_str *slot = duro_str_equal(key, DURO_STR("name"))    ? &out->name
                     : duro_str_equal(key, DURO_STR("id"))    ? &out->id
                     : duro_str_equal(key, DURO_STR("input")) ? &out->input
                                                              : NULL;
    if (!slot || slot->p || !duro_json_skip(&reader, slot)) return false;
  }
  return type == DURO_JSON_END_OBJECT;
}

bool duro__start_read(duro_runtime *rt, duro_request *r, duro_str args, duro_arena *arena,
                      duro__start *out) {
  *out = (duro__start){.on_conflict = DURO__ON_CONFLICT_FAIL};
  duro__new_instance *n = &out->instance;
  common c;
  if (!duro__arg_object(r, args)) return false;
  bool plain = read_common(args, &c);
  if (!plain) {
    c = (common){duro_json_member(args, "name"), duro_json_member(args, "id"),
                 duro_json_member(args, "input")};
  }
  if (!duro__arg_id_of(r, c.name, "name", DURO__REQUIRED, DURO_MAX_NAME_BYTES, arena, &n->name) ||
      !duro__arg_id_of(r, c.id, "id", DURO__OPTIONAL, DURO_MAX_ID_BYTES, arena, &n->id) ||
      !duro__arg_payload_of(r, c.input, "input", &n->input))
    return false;
  if (!plain && !(duro__arg_attributes(r, args, &n->attributes) &&
                  read_version(r, args, arena, out) && read_times(rt, r, args, out) &&
                  read_conflict(r, args, arena, out) && read_event(r, args, arena, out)))
    return false;
  return give_id(rt, r, arena, out);
}

// --- What is there already ---

typedef enum found { FOUND_NONE, FOUND_RUNNING, FOUND_ENDED, FOUND_ERROR } found;

// Answers the request on FOUND_ERROR.
static found look_up(duro_runtime *rt, duro_request *r, const duro__start *s) {
  if (s->generated) return FOUND_NONE;
  duro__instance *live = duro__live(rt, s->instance.id);
  if (live) return live->gone ? FOUND_ENDED : FOUND_RUNNING;
  duro_arena arena = {0};
  duro_instance_row row;
  duro_error *err = NULL;
  duro_code code = duro__store_get(rt->store, s->instance.id, &arena, &row, &err);
  found what = code == DURO_NOT_FOUND          ? FOUND_NONE
               : code                          ? FOUND_ERROR
               : duro_status_final(row.status) ? FOUND_ENDED
                                               : FOUND_RUNNING;
  duro_arena_free(&arena);
  if (what == FOUND_ERROR)
    duro__fail_with(r, code, err);
  else
    duro_error_free(err);
  return what;
}

// --- Creating ---

static duro_message *event_message(duro_runtime *rt, duro__instance *i, const duro__start *s) {
  duro_event e = {.kind = DURO_EVENT_EVENT_RECEIVED, .name = s->event_name, .input = s->event_data};
  return duro_message_new(&rt->blocks, i->key, 0, &e);
}

// The start is under way already: when its event cannot follow, the whole must not be stored.
static void raise_first(duro_runtime *rt, duro__instance *i, const duro__start *s) {
  if (!s->event_name.p) return;
  duro_error *err = NULL;
  duro_message *m = event_message(rt, i, s);
  if (m) {
    duro__deliver(rt, i, m);
    return;
  }
  duro_fail_oom(&err);
  duro__batch_poison(rt, err);
}

// Puts the row of a live instance into the open batch and lets its messages go along with it.
static void store_now(duro_runtime *rt, duro__batch *b, duro__instance *i) {
  for (duro_message *m = i->inbox_head; m; m = m->next) m->must_keep = true;
  duro__keep_from(rt, i, i->inbox_head);
  if (!i->needs_insert) return;
  duro__batch_touch(rt, b, i);
  duro__instance_insert(rt, b, i, NULL);
}

// Creates one whose row and messages are in the open batch when this returns.
static duro_code create_stored(duro_runtime *rt, duro__start *s, duro_error **err) {
  duro__instance *i = NULL;
  s->instance.request = NULL;
  s->instance.checked = s->instance.stored = true;
  duro_code code = duro__instance_create(rt, &s->instance, &i, err);
  if (code) return code;
  raise_first(rt, i, s);
  duro__batch *b = duro__batch_open(rt);
  if (!b) return duro_fail_oom(err);
  store_now(rt, b, i);
  return DURO_OK;
}

// The live instance of that id, or NULL; one that has no batch yet is given one.
static duro__instance *live_in_batch(duro_runtime *rt, duro_str id) {
  duro__instance *i = duro__live(rt, id);
  duro__batch *b = i && i->needs_insert ? duro__batch_open(rt) : NULL;
  if (b) store_now(rt, b, i);
  return i;
}

static void fail_exists(duro_runtime *rt, duro_request *r, duro_str id, bool running) {
  duro__fail_when_durable(r, live_in_batch(rt, id), DURO_ALREADY_EXISTS,
                          "instance '%.*s' exists already%s", DURO_FMT(id),
                          running ? " and has not ended" : "");
}

// The instance is there: the id is the answer.
static void answer_existing(duro_runtime *rt, duro_request *r, const duro__start *s) {
  if (s->event_name.p) {
    duro__instance *i = NULL;
    duro_status ended = DURO_STATUS_COMPLETED;
    duro_error *err = NULL;
    duro_code code = duro__instance_fetch(rt, s->instance.id, &i, &ended, &err);
    duro_message *m = i ? event_message(rt, i, s) : NULL;
    if (code) {
      duro__fail_with(r, code, err);
    } else if (!i) {
      duro__fail_finished(r, s->instance.id, ended);
    } else if (!m) {
      duro__fail_memory(r);
    } else {
      m->waiter = r;
      duro__deliver(rt, i, m);
    }
    return;
  }
  duro__instance *live = live_in_batch(rt, s->instance.id);
  if (live)
    duro__answer_when_durable(rt, live, r);
  else
    duro__request_durable(r);
}

static void create_plain(duro_runtime *rt, duro_request *r, duro__start *s) {
  duro__instance *i = NULL;
  duro_error *err = NULL;
  s->instance.request = r;
  s->instance.checked = true; // looked up just now
  duro_code code = duro__instance_create(rt, &s->instance, &i, &err);
  if (code) {
    duro__fail_with(r, code, err);
    return;
  }
  raise_first(rt, i, s);
}

static void replace(duro_runtime *rt, duro_request *r, duro__start *s, duro_str args) {
  duro__tree tree = {0};
  if (!duro__tree_read(rt, r, s->instance.id, &tree)) return;
  if (duro__tree_stop(rt, &tree)) { // something of it is in flight: once that is durable, again
    duro__tree_free(&tree);
    duro__call_again(rt, r, duro__verb_start, args);
    return;
  }
  duro_error *err = NULL;
  duro_code code = create_stored(rt, s, &err);
  duro__batch *b = code ? NULL : duro__batch_open(rt);
  if (b) {
    duro__tree_delete(rt, b, &tree);
    duro__batch_answer(rt, b, r);
  } else {
    duro__fail_with(r, code ? code : duro_fail_oom(&err), err);
  }
  duro__tree_free(&tree);
}

void duro__verb_start(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_arena arena = {0};
  duro__start s;
  if (!duro__start_read(rt, r, args, &arena, &s)) {
    duro_arena_free(&arena);
    return;
  }
  duro_buf_clear(&r->answer);
  duro_json_add_string(&r->answer, s.instance.id);
  switch (look_up(rt, r, &s)) {
  case FOUND_NONE:
    create_plain(rt, r, &s);
    break;
  case FOUND_RUNNING:
    if (s.on_conflict == DURO__ON_CONFLICT_EXISTING)
      answer_existing(rt, r, &s);
    else
      fail_exists(rt, r, s.instance.id, true);
    break;
  case FOUND_ENDED:
    if (s.on_conflict == DURO__ON_CONFLICT_EXISTING)
      answer_existing(rt, r, &s);
    else if (s.on_conflict == DURO__ON_CONFLICT_REPLACE)
      replace(rt, r, &s, args);
    else
      fail_exists(rt, r, s.instance.id, false);
    break;
  case FOUND_ERROR:
    break;
  }
  duro_arena_free(&arena);
}

// --- Many ---

typedef struct start_list {
  DURO__VEC(duro__start) items;    // to be created
  DURO__VEC(duro__start) existing; // that get their event
  DURO__VEC(duro__tree) trees;     // to be replaced
  duro_map ids;                    // given ones of those to be created, to notice one given twice
  duro_map keys;                   // of what is in a tree
  duro_arena arena;
} start_list;

static void list_free(start_list *l) {
  for (size_t i = 0; i < l->trees.count; i++) duro__tree_free(&l->trees.items[i]);
  free(l->trees.items);
  free(l->existing.items);
  free(l->items.items);
  duro_map_free(&l->ids);
  duro_map_free(&l->keys);
  duro_arena_free(&l->arena);
}

// One that exists and is to stay so: it must be able to take its event.
static bool add_existing(duro_runtime *rt, duro_request *r, start_list *l, const duro__start *s) {
  duro__instance *i = NULL;
  duro_status ended = DURO_STATUS_COMPLETED;
  duro_error *err = NULL;
  if (!s->event_name.p) return true;
  duro_code code = duro__instance_fetch(rt, s->instance.id, &i, &ended, &err);
  duro__start *slot = i ? duro__vec_push(&l->existing) : NULL;
  if (slot) *slot = *s;
  if (code)
    duro__fail_with(r, code, err);
  else if (!i)
    duro__fail_finished(r, s->instance.id, ended);
  else if (!slot)
    duro__fail_memory(r);
  return slot != NULL;
}

// The tree of one to be replaced: all of it has ended, and no other of these trees has a part of it.
static bool add_tree(duro_runtime *rt, duro_request *r, start_list *l, duro_str id) {
  duro__tree tree = {0};
  duro_error *err = NULL;
  if (!duro__tree_read(rt, r, id, &tree)) return false;
  duro_code code = duro__tree_idle(rt, &tree, &err);
  for (size_t n = 0; n < tree.rows.count && !code; n++) {
    int64_t key = tree.rows.items[n].key;
    if (duro_map_get_int(&l->keys, key)) {
      code = duro_fail(&err, DURO_INVALID_ARGUMENT,
                       "instance '%.*s' is to be replaced by itself and with the tree of another",
                       DURO_FMT(tree.rows.items[n].id));
    } else if (!duro_map_put_int(&l->keys, key, l)) {
      code = duro_fail_oom(&err);
    }
  }
  duro__tree *slot = code ? NULL : duro__vec_push(&l->trees);
  if (slot) {
    *slot = tree;
    return true;
  }
  duro__tree_free(&tree);
  duro__fail_with(r, code ? code : duro_fail_oom(&err), err);
  return false;
}

// Checks one entry and adds its id to the answer.
static bool add_start(duro_runtime *rt, duro_request *r, start_list *l, duro_str args) {
  duro__start s;
  if (!duro__start_read(rt, r, args, &l->arena, &s)) return false;
  if (!s.generated && duro_map_get(&l->ids, s.instance.id)) {
    duro__request_fail(r, DURO_ALREADY_EXISTS, "instance '%.*s' is given twice",
                       DURO_FMT(s.instance.id));
    return false;
  }
  found what = look_up(rt, r, &s);
  if (what == FOUND_ERROR) return false;
  bool replaces = what == FOUND_ENDED && s.on_conflict == DURO__ON_CONFLICT_REPLACE;
  if (what != FOUND_NONE && !replaces && s.on_conflict != DURO__ON_CONFLICT_EXISTING) {
    fail_exists(rt, r, s.instance.id, what == FOUND_RUNNING);
    return false;
  }
  if (r->answer.n > 1) duro_buf_add_char(&r->answer, ',');
  duro_json_add_string(&r->answer, s.instance.id);
  if (what != FOUND_NONE && !replaces) return add_existing(rt, r, l, &s);
  if (replaces && !add_tree(rt, r, l, s.instance.id)) return false;
  duro__start *slot = duro__vec_push(&l->items);
  if (!slot || (!s.generated && !duro_map_put(&l->ids, s.instance.id, l))) {
    duro__fail_memory(r);
    return false;
  }
  *slot = s;
  return true;
}

static bool read_list(duro_runtime *rt, duro_request *r, start_list *l, duro_str args) {
  duro_json_reader reader;
  duro_str entry;
  int64_t count = 0;
  duro_json_open(&reader, args);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_ARRAY) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "start_many takes an array of starts");
    return false;
  }
  while (duro_json_skip(&reader, &entry)) {
    if (++count > rt->options.max_bulk_operations) {
      duro__request_fail(r, DURO_TOO_LARGE, "start_many has more than %lld starts",
                         (long long)rt->options.max_bulk_operations);
      return false;
    }
    if (!add_start(rt, r, l, entry)) return false;
  }
  if (!reader.problem) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "start_many: %s", reader.problem);
  return false;
}

static bool stop_trees(duro_runtime *rt, start_list *l) {
  bool in_flight = false;
  for (size_t i = 0; i < l->trees.count; i++) {
    in_flight |= duro__tree_stop(rt, &l->trees.items[i]);
  }
  return in_flight;
}

// All of it goes into one batch, or that batch into nothing.
static void start_all(duro_runtime *rt, duro__batch *b, start_list *l) {
  duro_error *err = NULL;
  for (size_t i = 0; i < l->items.count && !err; i++) create_stored(rt, &l->items.items[i], &err);
  for (size_t i = 0; i < l->trees.count; i++) duro__tree_delete(rt, b, &l->trees.items[i]);
  for (size_t n = 0; n < l->existing.count && !err; n++) {
    const duro__start *s = &l->existing.items[n];
    duro__instance *i = NULL;
    duro_status ended;
    duro_code code = duro__instance_fetch(rt, s->instance.id, &i, &ended, &err);
    duro_message *m = i ? event_message(rt, i, s) : NULL;
    if (m) {
      m->must_keep = true;
      duro__deliver(rt, i, m);
    } else if (!code) {
      duro_fail_oom(&err);
    }
  }
  if (err) duro__batch_poison(rt, err);
}

static void start_many(duro_runtime *rt, duro_request *r, duro_str args) {
  start_list l = {0};
  duro_buf_clear(&r->answer);
  duro_buf_add_char(&r->answer, '[');
  if (!read_list(rt, r, &l, args)) {
    list_free(&l);
    return;
  }
  duro_buf_add_char(&r->answer, ']');
  bool idle = l.items.count + l.existing.count == 0;
  duro__batch *b = NULL;
  if (idle) {
    duro__request_durable(r);
  } else if (stop_trees(rt, &l)) { // something of them is in flight: once that is durable, again
    duro__call_again(rt, r, start_many, args);
  } else if ((b = duro__batch_open(rt))) {
    start_all(rt, b, &l);
    duro__batch_answer(rt, b, r);
  } else {
    duro__fail_memory(r);
  }
  list_free(&l);
}

// While more are in memory than should be, and many of them ready, those come first that were so before the
// call, as with single starts: else whoever starts faster than the engine ends would fill the memory.
static bool comes_early(const duro_runtime *rt) {
  return rt->live_count > (size_t)rt->options.max_live_instances &&
         rt->ready_count > DURO_BATCH_TURNS && !rt->options.virtual_clock && !rt->closing;
}

static bool hold(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_buf_clear(&r->again_args);
  duro_buf_add_str(&r->again_args, args);
  if (r->again_args.oom) return false;
  r->again = start_many;
  r->held_ns = rt->tick_ns;
  duro__request_link(r, &rt->held_starts);
  return true;
}

void duro__verb_start_many(duro_runtime *rt, duro_request *r, duro_str args) {
  if (!comes_early(rt))
    start_many(rt, r, args);
  else if (!hold(rt, r, args))
    duro__fail_memory(r);
}

// The list is newest first.
void duro__starts_admit(duro_runtime *rt) {
  while (rt->held_starts) {
    duro_request *oldest = rt->held_starts;
    while (oldest->next) oldest = oldest->next;
    if (rt->begun_tail) return;
    if (comes_early(rt) && rt->ready_head->ready_ns < oldest->held_ns) return;
    duro__request_unlink(oldest);
    duro__request_durable(oldest);
  }
}

// --- A start that another process has stored ---

static bool is_new(const duro__instance *i) {
  if (i->inbox_head && i->inbox_head->event.kind == DURO_EVENT_ORCHESTRATION_STARTED) return false;
  return !i->last_seq && (!i->exec || duro__exec_last_event_id(i->exec) == 0);
}

// The version and the VM it runs on are decided here, where the code is.
static void settle(duro_runtime *rt, duro__batch *b, duro__instance *i) {
  duro__code *code = i->version.n ? NULL : duro__find_orchestration(rt, i->name, DURO_NONE);
  bool oom = false;
  duro_str version = duro__own_text(rt, code ? duro_str_from(code->version) : DURO_NONE, &oom);
  if (version.p) {
    duro__free_text(rt, i->version);
    i->version = version;
  }
  i->vm = rt->options.vm;
  duro__row_update(rt, b, i, DURO_SET_EXECUTION, NULL);
}

// Its start lies ahead: the message is stored, and the row learns when to wake.
static void store_wake(duro_runtime *rt, duro__batch *b, duro__instance *i, int64_t start_at_ms) {
  duro__row_wake(rt, b, i, start_at_ms);
  duro__timers_at(rt, i, start_at_ms);
}

void duro__start_adopt(duro_runtime *rt, duro_request *r, int64_t key, duro_str args) {
  duro_arena arena = {0};
  duro__start s;
  if (!duro__start_read(rt, r, args, &arena, &s)) {
    duro_arena_free(&arena);
    return;
  }
  duro__instance *i = NULL;
  duro_status ended;
  duro_error *err = NULL;
  duro_code code = duro__instance_fetch_by_key(rt, key, &i, &ended, &err);
  duro__batch *b = !code && i && is_new(i) ? duro__batch_open(rt) : NULL;
  duro_message *m = NULL;
  int64_t start_at_ms = duro_json_member_int(args, "start_at_ms", 0); // also one that has passed
  if (b) {
    settle(rt, b, i);
    duro__batch_touch(rt, b, i);
    s.instance.start_at_ms = start_at_ms;
    m = duro__start_message(rt, i, &s.instance);
  }
  if (m) {
    if (i->status == DURO_STATUS_PENDING) {
      store_wake(rt, b, i, start_at_ms);
      duro__row_pending(rt, b, i);
    }
    duro__count_row(rt, i->name, i->row_status, i->status);
    i->row_status = i->status;
    m->waiter = r;
    duro__deliver(rt, i, m);
    raise_first(rt, i, &s);
  } else if (b) {
    duro__fail_memory(r);
  } else if (code && code != DURO_NOT_FOUND) {
    duro__fail_with(r, code, err);
    err = NULL;
  } else {
    duro__request_durable(r); // begun already, or deleted meanwhile: the row has served
  }
  duro_error_free(err);
  duro_arena_free(&arena);
}
