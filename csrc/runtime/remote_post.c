// remote_post.c: writing what a client process asks into the file, on its store thread.
//
// Calls made while one transaction is written share the next one. When that fails because an id was taken
// meanwhile, each is tried by itself, so that only the one at fault fails.
#include <stdlib.h>
#include <time.h>

#include "runtime/answers.h"
#include "runtime/remote_state.h"

#define POSTINGS_PER_TRANSACTION 500
#define BUSY_PATIENCE_NS         UINT64_C(5000000000) // the owner's transactions are far shorter
#define BUSY_PAUSE_NS            1000000

// --- One posting ---

duro__posting *duro__posting_new(duro_request *r, const duro__call_verb *verb, duro_str args) {
  duro__posting *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->request = r;
  p->verb = verb;
  p->args = duro_arena_dup(&p->arena, args);
  if (!p->arena.oom) return p;
  duro__posting_free(p);
  return NULL;
}

void duro__posting_free(duro__posting *p) {
  if (!p) return;
  free(p->inserts.items);
  free(p->requests.items);
  free(p->ids.items);
  duro_arena_free(&p->arena);
  free(p);
}

bool duro__posting_ask(duro__posting *p, const char *kind, duro_str instance_id, bool adopt,
                       duro_str args, int64_t now_ms) {
  duro_request_row *row = duro__vec_push(&p->requests);
  int64_t *id = row ? duro__vec_push(&p->ids) : NULL;
  duro_buf body = {0};
  duro_buf_add_lit(&body, "{\"await\":");
  duro_buf_add_str(&body, p->awaits ? DURO_STR("true") : DURO_STR("false"));
  if (adopt) duro_buf_add_lit(&body, ",\"adopt\":true");
  const char *context = p->request->context;
  if (context) duro__add_json_member(&body, "context", duro_str_from(context));
  duro__add_json_member(&body, "args", args);
  duro_buf_add_char(&body, '}');
  if (id && !body.oom) {
    row->kind = duro_arena_dup(&p->arena, duro_str_from(kind));
    row->instance_id = duro_arena_dup(&p->arena, instance_id);
    row->body = duro_arena_dup(&p->arena, duro_buf_str(&body));
    row->posted_at_ms = now_ms;
  }
  bool fine = id && !body.oom && !p->arena.oom;
  duro_buf_free(&body);
  return fine;
}

// --- The transaction ---

typedef struct transaction {
  duro__posting *postings; // in order
  DURO__VEC(duro_instance_row) inserts;
  DURO__VEC(duro_request_row) requests;
  DURO__VEC(int64_t) ids;
} transaction;

static void transaction_free(transaction *t) {
  free(t->inserts.items);
  free(t->requests.items);
  free(t->ids.items);
  free(t);
}

static bool add_rows_of(transaction *t, const duro__posting *p) {
  for (size_t i = 0; i < p->inserts.count; i++) {
    duro_instance_row *row = duro__vec_push(&t->inserts);
    if (!row) return false;
    *row = p->inserts.items[i];
  }
  for (size_t i = 0; i < p->requests.count; i++) {
    duro_request_row *row = duro__vec_push(&t->requests);
    int64_t *id = duro__vec_push(&t->ids);
    if (!row || !id) return false;
    *row = p->requests.items[i];
  }
  return true;
}

// All rows of a posting or none.
static bool add_rows(transaction *t, const duro__posting *p) {
  size_t inserts = t->inserts.count, requests = t->requests.count;
  if (add_rows_of(t, p)) return true;
  t->inserts.count = inserts;
  t->requests.count = t->ids.count = requests;
  return false;
}

// Takes postings off the queue: one that must be alone, or as many as may go together.
static transaction *gather(struct duro__remote *m) {
  transaction *t = calloc(1, sizeof *t);
  duro__posting **tail = t ? &t->postings : NULL;
  for (int n = 0; t && m->todo_head && n < POSTINGS_PER_TRANSACTION; n++) {
    duro__posting *p = m->todo_head;
    if (p->alone && n > 0) break;
    if (!add_rows(t, p)) break; // memory is out: what is in goes first
    m->todo_head = p->next;
    if (!m->todo_head) m->todo_tail = NULL;
    p->next = NULL;
    *tail = p;
    tail = &p->next;
    if (p->alone) break;
  }
  if (t && t->postings) return t;
  if (t) transaction_free(t);
  return NULL;
}

static void post_run(duro_runtime *rt, duro__command *c) {
  transaction *t = c->subject;
  uint64_t until_ns = duro_clock_monotonic_ns() + BUSY_PATIENCE_NS;
  for (;;) {
    duro_post post = {
        .inserts = t->inserts.items,
        .insert_count = t->inserts.count,
        .requests = t->requests.items,
        .request_count = t->requests.count,
        .request_ids = t->ids.items,
        .now_ms = c->number,
    };
    duro_error_free(c->error);
    c->error = NULL;
    c->code = duro__store_post(rt->store, &post, &c->error);
    if (c->code != DURO_BUSY || duro_clock_monotonic_ns() > until_ns) return;
    struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
    nanosleep(&pause, NULL); // the store thread may wait for another process
  }
}

static void push_front(struct duro__remote *m, duro__posting *p) {
  p->next = m->todo_head;
  m->todo_head = p;
  if (!m->todo_tail) m->todo_tail = p;
}

// Back to the head of the queue in their order, each for itself.
static void one_by_one(struct duro__remote *m, duro__posting *first) {
  if (!first) return;
  one_by_one(m, first->next);
  first->alone = true;
  push_front(m, first);
}

static void posted(duro__posting *p, const int64_t *ids) {
  duro_request *r = p->request;
  if (p->awaits) {
    r->wait_number = ids[p->requests.count - 1];
    r->wait_any = p->verb->run == duro__verb_raise_event; // durable, whether it is answered or not
    duro__remote_await(r, p->verb, p->args);
  } else {
    duro__request_durable(r);
  }
  duro__posting_free(p);
}

// Somebody has taken the id since we looked: begin again, which now finds it.
static void begin_again(duro_runtime *rt, duro__posting *p) {
  duro__remote_call(rt, p->verb, p->request, p->args);
  duro__posting_free(p);
}

static void post_done(duro_runtime *rt, duro__command *c) {
  transaction *t = c->subject;
  struct duro__remote *m = rt->remote;
  const int64_t *ids = t->ids.items;
  m->posting = false;
  m->poll_ms = 1;
  if (c->code == DURO_ALREADY_EXISTS && t->postings->next) {
    one_by_one(m, t->postings);
    t->postings = NULL;
  }
  while (t->postings) {
    duro__posting *p = t->postings;
    t->postings = p->next;
    size_t count = p->requests.count;
    if (!c->code) {
      posted(p, ids);
    } else if (c->code == DURO_ALREADY_EXISTS && !rt->closing) {
      begin_again(rt, p);
    } else {
      duro__fail_with(p->request, c->code, duro_error_copy(c->error));
      duro__posting_free(p);
    }
    ids += count;
  }
  transaction_free(t);
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
  duro__remote_post_next(rt);
}

void duro__remote_post_next(duro_runtime *rt) {
  struct duro__remote *m = rt->remote;
  if (!m || m->posting || !m->todo_head || rt->closing) return;
  transaction *t = gather(m);
  duro__command *c = t ? duro__command_new(post_run, post_done) : NULL;
  if (!c) {
    while (t && t->postings) {
      duro__posting *p = t->postings;
      t->postings = p->next;
      duro__fail_memory(p->request);
      duro__posting_free(p);
    }
    if (t) transaction_free(t);
    return;
  }
  m->posting = true;
  c->subject = t;
  c->number = duro__now(rt);
  duro__writer_push(rt, c);
}

void duro__posting_push(duro_runtime *rt, duro__posting *p) {
  struct duro__remote *m = rt->remote;
  p->next = NULL;
  if (m->todo_tail)
    m->todo_tail->next = p;
  else
    m->todo_head = p;
  m->todo_tail = p;
  duro__remote_post_next(rt);
}
