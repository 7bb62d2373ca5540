// remote.c: a client process: calls that the owner must serve go through the file.
//
// A start is a row of its instance and a request, in one transaction: the unique id decides, and nobody
// need be there. A raise is a request, durable at once. For everything else the owner must live and its
// answer is awaited: the file's data version is looked at, soon at first and then less often. A question
// is given up when the owner lives but is stuck; a change is not, for its outcome would not be known.
// A client of role "auto" becomes the owner when the owner's lock is free.
#include "runtime/remote.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/remote_state.h"
#include "runtime/stuck.h"

#define POLL_MOST_MS  20
#define OWNER_LOOK_NS UINT64_C(500000000)
#define FETCH_AT_ONCE 100
// A process that has just taken the owner's place holds the lock before it renews the lease.
#define NO_SIGN_LOOKS_NS UINT64_C(2000000000)

static struct duro__remote *remote(duro_runtime *rt) {
  if (!rt->remote) rt->remote = calloc(1, sizeof *rt->remote);
  return rt->remote;
}

// --- What a call becomes ---

static void fail_unavailable(duro_runtime *rt, duro_request *r, const char *verb) {
  duro__request_fail(r, DURO_UNAVAILABLE, "'%s' has no running owner now, and '%s' needs one",
                     rt->path, verb);
}

static void push_or_fail(duro_runtime *rt, duro__posting *p, duro_request *r, bool complete) {
  if (p && complete && !p->arena.oom) {
    duro__posting_push(rt, p);
    return;
  }
  duro__posting_free(p);
  duro__fail_memory(r);
}

static void post_command(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                         duro_str args, duro_str instance_id, bool awaits) {
  duro__posting *p = duro__posting_new(r, verb, args);
  if (p) p->awaits = awaits;
  bool complete = p && duro__posting_ask(p, verb->name, instance_id, false, args, duro__now(rt));
  push_or_fail(rt, p, r, complete);
}

// --- Questions ---

// What only the owner can answer, and nobody needs to have any more once it is stuck. `why` then answers
// itself.
static bool is_question(const duro__call_verb *verb) {
  return verb->run == duro__verb_query || verb->run == duro__verb_stack ||
         verb->run == duro__verb_at || verb->run == duro__verb_why;
}

static void fail_stuck(duro_request *r, const duro__call_verb *verb, const duro__stuck *s) {
  duro_buf reason = {0};
  duro__stuck_reason(&reason, s);
  duro__request_fail(r, DURO_UNAVAILABLE, "'%s' gets no answer: %.*s; %s", verb->name,
                     DURO_FMT(duro_buf_str(&reason)), duro__stuck_advice(s));
  duro_buf_free(&reason);
}

// Before a question is posted. An owner without a sign may be about to begin, so that is seen later.
static bool serving_or_fail(duro_runtime *rt, duro_request *r, const duro__call_verb *verb) {
  duro_arena arena = {0};
  duro__stuck stuck;
  bool fails = is_question(verb) && verb->run != duro__verb_why &&
               duro__owner_stuck(rt, &arena, &stuck) && stuck.instance_id.p;
  if (fails) fail_stuck(r, verb, &stuck);
  duro_arena_free(&arena);
  return !fails;
}

void duro__remote_await(duro_request *r, const duro__call_verb *verb, duro_str args) {
  duro__request_link(r, &r->rt->posted);
  if (!is_question(verb)) return;
  r->question = verb;
  duro_buf_clear(&r->again_args);
  duro_buf_add_str(&r->again_args, args);
}

static void answer_without_owner(duro_request *r, const duro__stuck *s) {
  if (r->question->run != duro__verb_why || r->again_args.oom) {
    fail_stuck(r, r->question, s);
    return;
  }
  duro_buf args = r->again_args;
  r->again_args = (duro_buf){0};
  duro__request_unlink(r);
  duro__verb_why(r->rt, r, duro_buf_str(&args));
  duro_buf_free(&args);
}

// Its rows stay in the file; whoever answers them clears them away.
static bool give_up_questions(duro_runtime *rt, struct duro__remote *m, uint64_t now_ns) {
  duro_arena arena = {0};
  duro__stuck stuck;
  bool is_stuck = duro__owner_stuck(rt, &arena, &stuck), any = false;
  bool silent = is_stuck && !stuck.instance_id.p;
  if (!silent)
    m->no_sign_ns = 0;
  else if (!m->no_sign_ns)
    m->no_sign_ns = now_ns;
  bool sure = is_stuck && (!silent || now_ns - m->no_sign_ns > NO_SIGN_LOOKS_NS);
  for (duro_request *r = rt->posted, *next; r && sure; r = next) {
    next = r->next;
    if (!r->question) continue;
    answer_without_owner(r, &stuck);
    any = true;
  }
  duro_arena_free(&arena);
  return any;
}

// --- start ---

// The start in full: with its id and an absolute time.
static void add_start(duro_buf *b, const duro__start *s, duro_str args) {
  const duro__new_instance *n = &s->instance;
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "name", n->name);
  duro__add_text_member(b, "id", n->id);
  duro__add_text_member(b, "version", n->version);
  duro__add_json_member(b, "input", n->input);
  duro__add_json_member(b, "attributes", n->attributes);
  if (n->start_at_ms) duro__add_int_member(b, "start_at_ms", n->start_at_ms);
  if (n->timeout_ms) duro__add_int_member(b, "timeout_ms", n->timeout_ms);
  duro__add_json_member(b, "event", duro__member(args, "event"));
  duro_buf_add_char(b, '}');
}

static bool add_insert(duro_runtime *rt, duro__posting *p, const duro__start *s) {
  const duro__new_instance *n = &s->instance;
  duro_instance_row *row = duro__vec_push(&p->inserts);
  char run_id[DURO_RUN_ID_SIZE];
  if (!row) return false;
  duro_run_id(run_id);
  row->id = duro_arena_dup(&p->arena, n->id);
  row->run_id = duro_arena_dup(&p->arena, duro_str_from(run_id));
  row->vm = DURO_VM_ANY; // the owner's, once it begins
  row->partition = (int)(duro_hash_bytes(n->id.p, n->id.n) % DURO_PARTITIONS);
  row->name = duro_arena_dup(&p->arena, n->name);
  row->version = n->version.p ? duro_arena_dup(&p->arena, n->version) : DURO_STR("");
  row->status = n->start_at_ms ? DURO_STATUS_PENDING : DURO_STATUS_RUNNING;
  row->created_at_ms = row->updated_at_ms = row->execution_started_at_ms = duro__now(rt);
  row->execution_id = 1;
  row->waiting_on = DURO_STR("[]");
  row->attributes = duro_arena_dup(&p->arena, n->attributes);
  row->wake_at_ms = DURO_NEVER; // its request wakes it
  return !p->arena.oom;
}

static bool add_one_start(duro_runtime *rt, duro__posting *p, const duro__start *s, duro_str args) {
  duro_buf full = {0};
  add_start(&full, s, args);
  bool fine =
      !full.oom && add_insert(rt, p, s) &&
      duro__posting_ask(p, "start", s->instance.id, true, duro_buf_str(&full), duro__now(rt));
  duro_buf_free(&full);
  return fine;
}

typedef enum standing { STANDING_NONE, STANDING_RUNNING, STANDING_ENDED, STANDING_ERROR } standing;

// Answers the request on STANDING_ERROR.
static standing look_up(duro_runtime *rt, duro_request *r, duro_str id, duro_status *status) {
  duro_arena arena = {0};
  duro_instance_row row;
  duro_error *err = NULL;
  duro_code code = duro__store_get(rt->store, id, &arena, &row, &err);
  *status = code ? DURO_STATUS_RUNNING : row.status;
  duro_arena_free(&arena);
  if (code && code != DURO_NOT_FOUND) {
    duro__fail_with(r, code, err);
    return STANDING_ERROR;
  }
  duro_error_free(err);
  if (code) return STANDING_NONE;
  return duro_status_final(*status) ? STANDING_ENDED : STANDING_RUNNING;
}

static void fail_exists(duro_request *r, duro_str id) {
  duro__request_fail(r, DURO_ALREADY_EXISTS, "instance '%.*s' exists already", DURO_FMT(id));
}

static bool owner_or_fail(duro_runtime *rt, duro_request *r, const char *verb) {
  if (duro__owner_lives(rt)) return true;
  fail_unavailable(rt, r, verb);
  return false;
}

// More than rows that a client may write: an event for one that exists, or one in another's place.
static bool needs_owner(const duro__start *s, standing what) {
  if (what == STANDING_NONE) return false;
  if (s->on_conflict == DURO__ON_CONFLICT_EXISTING) return s->event_name.p != NULL;
  return s->on_conflict == DURO__ON_CONFLICT_REPLACE && what == STANDING_ENDED;
}

static void start(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                  const duro__start *s, duro_str args) {
  duro_status status;
  standing what = s->generated ? STANDING_NONE : look_up(rt, r, s->instance.id, &status);
  if (what == STANDING_ERROR) return;
  duro_buf_clear(&r->answer);
  duro_json_add_string(&r->answer, s->instance.id);
  if (what == STANDING_NONE) {
    duro__posting *p = duro__posting_new(r, verb, args);
    push_or_fail(rt, p, r, p && add_one_start(rt, p, s, args));
  } else if (s->on_conflict == DURO__ON_CONFLICT_EXISTING && !s->event_name.p) {
    duro__request_durable(r);
  } else if (s->on_conflict == DURO__ON_CONFLICT_EXISTING && what == STANDING_ENDED) {
    duro__fail_finished(r, s->instance.id, status);
  } else if (s->on_conflict == DURO__ON_CONFLICT_EXISTING) { // as a raise_event
    post_command(rt, verb, r, args, s->instance.id, duro__owner_lives(rt));
  } else if (needs_owner(s, what)) {
    if (owner_or_fail(rt, r, verb->name)) post_command(rt, verb, r, args, s->instance.id, true);
  } else {
    fail_exists(r, s->instance.id);
  }
}

static void call_start(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                       duro_str args) {
  duro_arena arena = {0};
  duro__start s;
  if (duro__start_read(rt, r, args, &arena, &s)) start(rt, verb, r, &s, args);
  duro_arena_free(&arena);
}

// One more of many; false when the request has been answered with its failure. *for_owner: the owner has to
// make them, all together.
static bool add_of_many(duro_runtime *rt, duro_request *r, duro__posting *p, duro_str args,
                        bool *for_owner) {
  duro__start s;
  duro_status status;
  if (!duro__start_read(rt, r, args, &p->arena, &s)) return false;
  standing what = s.generated ? STANDING_NONE : look_up(rt, r, s.instance.id, &status);
  if (what == STANDING_ERROR) return false;
  *for_owner |= needs_owner(&s, what);
  if (what != STANDING_NONE && !needs_owner(&s, what) &&
      s.on_conflict != DURO__ON_CONFLICT_EXISTING) {
    fail_exists(r, s.instance.id);
    return false;
  }
  for (size_t i = 0; i < p->inserts.count && !s.generated; i++) {
    if (!duro_str_equal(p->inserts.items[i].id, s.instance.id)) continue;
    duro__request_fail(r, DURO_ALREADY_EXISTS, "instance '%.*s' is given twice",
                       DURO_FMT(s.instance.id));
    return false;
  }
  if (r->answer.n > 1) duro_buf_add_char(&r->answer, ',');
  duro_json_add_string(&r->answer, s.instance.id);
  if (what != STANDING_NONE || add_one_start(rt, p, &s, args)) return true;
  duro__fail_memory(r);
  return false;
}

static void call_start_many(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                            duro_str args) {
  duro_json_reader reader;
  duro_str entry;
  duro_json_open(&reader, args);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_ARRAY) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "start_many takes an array of starts");
    return;
  }
  duro__posting *p = duro__posting_new(r, verb, args);
  if (!p) {
    duro__fail_memory(r);
    return;
  }
  bool for_owner = false;
  duro_buf_clear(&r->answer);
  duro_buf_add_char(&r->answer, '[');
  while (duro_json_skip(&reader, &entry)) {
    if (add_of_many(rt, r, p, entry, &for_owner)) continue;
    duro__posting_free(p);
    return;
  }
  duro_buf_add_char(&r->answer, ']');
  if (for_owner) {
    duro__posting_free(p);
    if (owner_or_fail(rt, r, verb->name)) post_command(rt, verb, r, args, DURO_NONE, true);
  } else if (p->inserts.count) {
    duro__posting_push(rt, p);
  } else {
    duro__posting_free(p);
    duro__request_durable(r);
  }
}

// --- raise_event and the other commands ---

static void call_raise(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                       duro_str args) {
  duro_arena arena = {0};
  duro_str id, name, data, dedup_id;
  duro_status status;
  if (duro__arg_object(r, args) &&
      duro__arg_id(r, args, "id", DURO__REQUIRED, DURO_MAX_DERIVED_ID_BYTES, &arena, &id) &&
      duro__arg_id(r, args, "name", DURO__REQUIRED, DURO_MAX_NAME_BYTES, &arena, &name) &&
      duro__arg_id(r, args, "dedup_id", DURO__OPTIONAL, DURO_MAX_ID_BYTES, &arena, &dedup_id) &&
      duro__arg_payload(r, args, "data", &data)) {
    standing what = look_up(rt, r, id, &status);
    duro_buf_clear(&r->answer);
    duro_buf_add_lit(&r->answer, "true");
    if (what == STANDING_NONE)
      duro__fail_not_found(r, id);
    else if (what == STANDING_ENDED)
      duro__fail_finished(r, id, status);
    else if (what == STANDING_RUNNING)
      post_command(rt, verb, r, args, id, duro__owner_lives(rt));
  }
  duro_arena_free(&arena);
}

void duro__remote_call(duro_runtime *rt, const duro__call_verb *verb, duro_request *r,
                       duro_str arguments) {
  duro_arena arena = {0};
  if (!remote(rt)) {
    duro__fail_memory(r);
  } else if (verb->run == duro__verb_start) {
    call_start(rt, verb, r, arguments);
  } else if (verb->run == duro__verb_start_many) {
    call_start_many(rt, verb, r, arguments);
  } else if (verb->run == duro__verb_raise_event) {
    call_raise(rt, verb, r, arguments);
  } else if (verb->run == duro__verb_audit_denied) { // durable in the file, whoever takes it
    duro_buf_clear(&r->answer);
    duro_buf_add_lit(&r->answer, "true");
    post_command(rt, verb, r, arguments, DURO_NONE, false);
  } else if (duro__arg_object(r, arguments) && owner_or_fail(rt, r, verb->name) &&
             serving_or_fail(rt, r, verb)) {
    duro_str id = duro_json_member_text(arguments, "id", &arena);
    post_command(rt, verb, r, arguments, id, true);
  }
  duro_arena_free(&arena);
}

// --- Answers ---

static void take_answer(duro_request *r, duro_str answer) {
  duro_arena arena = {0};
  duro_str ok = duro_json_member(answer, "ok"), error = duro_json_member(answer, "error");
  if (ok.p) {
    duro__request_answer(r, ok);
  } else {
    duro_error *err = NULL;
    duro_code code = duro_code_from(duro_json_member_text(error, "code", &arena));
    duro_str message = duro_json_member_text(error, "message", &arena);
    duro_str data = duro_json_member(error, "data");
    duro_fail(&err, code, "%.*s", DURO_FMT(message));
    if (data.p && err && err->message) {
      duro_error *own = duro_error_copy(err); // a static one has no room for data
      if (own && own->code == err->code) own->data = duro_str_dup(data);
      duro_error_free(err);
      err = own;
    }
    duro__request_take_error(r, code, err);
  }
  duro_arena_free(&arena);
}

static bool fetch(duro_runtime *rt, struct duro__remote *m, duro_request *r) {
  duro_arena arena = {0};
  duro_request_row row = {0};
  duro_code code = duro__store_answer(rt->store, r->wait_number, &arena, &row, NULL);
  bool there = code == DURO_NOT_FOUND || (!code && row.answer.p);
  if (there) {
    int64_t *slot = duro__vec_push(&m->fetched);
    if (slot) *slot = r->wait_number;
    if (!code)
      take_answer(r, row.answer);
    else if (r->wait_any)
      duro__request_durable(r);
    else
      duro__request_fail(r, DURO_UNAVAILABLE, "the owner's answer was not fetched in time");
  }
  duro_arena_free(&arena);
  return there;
}

static void forget_run(duro_runtime *rt, duro__command *c) {
  c->code = duro__store_forget(rt->store, c->subject, (size_t)c->number, &c->error);
}

// What could not be deleted now the owner clears away later.
static void forget_done(duro_runtime *rt, duro__command *c) {
  rt->remote->forgetting = false;
  free(c->subject);
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

static void forget(duro_runtime *rt, struct duro__remote *m) {
  bool enough = m->fetched.count >= FETCH_AT_ONCE || (m->fetched.count && !rt->posted);
  if (!enough || m->forgetting || rt->closing) return;
  duro__command *c = duro__command_new(forget_run, forget_done);
  if (!c) return;
  c->subject = m->fetched.items;
  c->number = (int64_t)m->fetched.count;
  m->fetched.items = NULL;
  m->fetched.count = m->fetched.capacity = 0;
  m->forgetting = true;
  duro__writer_push(rt, c);
}

bool duro__remote_look(duro_runtime *rt) {
  struct duro__remote *m = rt->remote;
  bool any = false;
  if (!m) return false;
  for (duro_request *r = rt->posted, *next; r; r = next) {
    next = r->next;
    any |= fetch(rt, m, r);
  }
  forget(rt, m);
  return any;
}

// --- The owner went ---

// What was raised is durable and will be taken by the next owner; the rest has nobody to answer it.
static void give_up(duro_runtime *rt) {
  for (duro_request *r = rt->posted, *next; r; r = next) {
    next = r->next;
    if (r->wait_any)
      duro__request_durable(r);
    else
      duro__request_fail(r, DURO_UNAVAILABLE,
                         "the owner of '%s' went before it answered; the next one may still do it",
                         rt->path);
  }
}

static bool take_over(duro_runtime *rt) {
  duro_error *err = NULL;
  duro_code code = duro__become_owner(rt, &err);
  if (code && code != DURO_BUSY) {
    duro__log(rt, "warn", "the owner's place is free but cannot be taken: %s",
              err ? err->message : "");
  }
  duro_error_free(err);
  if (code) return false;
  rt->did_something = true;
  duro__waiters_check(rt); // what the owner before us did last
  return true;
}

static bool look_for_owner(duro_runtime *rt, struct duro__remote *m) {
  bool automatic = rt->asked_role == DURO_ROLE_AUTO;
  if (!automatic && !rt->posted) return false;
  uint64_t now_ns = duro_clock_monotonic_ns();
  if (now_ns - m->last_owner_look_ns < OWNER_LOOK_NS) return false;
  m->last_owner_look_ns = now_ns;
  if (duro__owner_lives(rt)) return rt->posted && give_up_questions(rt, m, now_ns);
  duro__remote_look(rt); // the last thing it did may have been to answer
  if (!automatic) {
    give_up(rt);
    return true;
  }
  return !m->posting && !m->forgetting && take_over(rt); // the store thread must be at rest
}

// --- The step of a client ---

bool duro__client_step(duro_runtime *rt) {
  struct duro__remote *m = remote(rt);
  if (!m || rt->closing) return false;
  duro__remote_post_next(rt);
  bool any = look_for_owner(rt, m);
  if (rt->role == DURO_ROLE_RUNTIME || (!rt->posted && !rt->waiters)) return any;
  uint64_t now_ns = duro_clock_monotonic_ns();
  if (now_ns - m->last_look_ns < (uint64_t)m->poll_ms * 1000000) return any;
  m->last_look_ns = now_ns;
  int64_t version;
  bool changed = duro__store_data_version(rt->store, &version, NULL) == DURO_OK &&
                 (version != rt->data_version || !m->looked);
  if (changed) {
    rt->data_version = version;
    m->looked = true;
    any |= duro__remote_look(rt);
    duro_request *first = rt->waiters;
    duro__waiters_check(rt);
    any |= first != rt->waiters;
  }
  if (any)
    m->poll_ms = 1;
  else if (m->poll_ms < POLL_MOST_MS)
    m->poll_ms++;
  return any;
}

int64_t duro__remote_poll_ms(const duro_runtime *rt) {
  if (rt->asked_role == DURO_ROLE_CLIENT && !rt->posted && !rt->waiters) return DURO_NEVER;
  if (!rt->posted && !rt->waiters) return (int64_t)(OWNER_LOOK_NS / 1000000);
  return rt->remote && rt->remote->poll_ms > 1 ? rt->remote->poll_ms : 1;
}

void duro__remote_free(duro_runtime *rt) {
  struct duro__remote *m = rt->remote;
  duro__requests_close(&rt->posted);
  if (!m) return;
  while (m->todo_head) {
    duro__posting *p = m->todo_head;
    m->todo_head = p->next;
    duro__request_fail(p->request, DURO_CLOSED, "the runtime was closed");
    duro__posting_free(p);
  }
  free(m->fetched.items);
  free(m);
  rt->remote = NULL;
}
