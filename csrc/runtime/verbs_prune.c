// verbs_prune.c: retention: past executions of many instances, in bounded steps.
//
// Page by page: a page of instances that match, then one command on the store thread for those of them
// that have past executions; so turns and other writes come in between. Past executions are written by
// nobody any more, so no batch is needed, and a crash leaves some of them for the next call.
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/finder.h"

#define PAGE 200 // instances a step

typedef struct prune {
  duro__finder *finder; // of the page at hand; its arguments are those of the call
  duro_request *request;
  duro_arena arena;
  duro_str args;
  duro_filter filter;
  int64_t after_key, keep_last, completed_before_ms, epoch;
  int64_t instances, executions, events;
} prune;

static void prune_free(prune *p) {
  duro_arena_free(&p->arena);
  free(p);
}

static void finish(prune *p) {
  duro_buf *b = &p->request->answer;
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "instances_pruned", p->instances);
  duro__add_int_member(b, "executions_deleted", p->executions);
  duro__add_int_member(b, "events_deleted", p->events);
  duro_buf_add_char(b, '}');
  duro__request_durable(p->request);
  prune_free(p);
}

static void next_page(duro_runtime *rt, prune *p);

// --- One step (store thread) ---

typedef struct step {
  prune *prune;
  size_t count;
  bool more;
  int64_t keys[PAGE];
} step;

static void step_run(duro_runtime *rt, duro__command *c) {
  step *s = c->subject;
  prune *p = s->prune;
  for (size_t i = 0; i < s->count && !c->code; i++) {
    int64_t executions = 0, events = 0;
    c->code = duro__store_prune(rt->store, p->epoch, s->keys[i], p->keep_last,
                                p->completed_before_ms, &executions, &events, &c->error);
    if (c->code) break;
    p->instances += executions > 0;
    p->executions += executions;
    p->events += events;
  }
}

static void step_done(duro_runtime *rt, duro__command *c) {
  step *s = c->subject;
  prune *p = s->prune;
  if (c->code) {
    duro__fail_with(p->request, c->code, c->error);
    prune_free(p);
  } else if (s->more) {
    next_page(rt, p);
  } else {
    finish(p);
  }
  free(s);
  duro_arena_free(&c->arena);
  free(c);
}

// --- Pages ---

// The finder has answered the request when it fails, and then never comes here: `p` goes with its arena.
static void page_found(duro_runtime *rt, duro__finder *f) {
  prune *p = f->user;
  step *s = calloc(1, sizeof *s);
  duro__command *c = s ? duro__command_new(step_run, step_done) : NULL;
  if (!c) {
    free(s);
    duro__fail_memory(p->request);
    prune_free(p);
    return;
  }
  for (size_t i = 0; i < f->rows.count; i++) {
    if (f->rows.items[i].execution_id > 1) s->keys[s->count++] = f->rows.items[i].key;
  }
  if (f->rows.count) p->after_key = f->rows.items[f->rows.count - 1].key;
  s->more = f->truncated;
  s->prune = p;
  c->subject = s;
  duro__writer_push(rt, c);
}

static void page_failed(duro__finder *f) { prune_free(f->user); }

static void next_page(duro_runtime *rt, prune *p) {
  (void)rt;
  duro__finder *f = duro__finder_new(p->request, DURO_STR(""));
  if (!f) {
    prune_free(p);
    return;
  }
  f->query.filter = p->filter;
  f->query.after_key = p->after_key;
  f->wanted = PAGE;
  f->user = p;
  f->found = page_found;
  f->failed = page_failed;
  duro__finder_begin(f);
}

// The counts of events are exact once everything is folded.
static void folded(duro_request *r, void *user) { next_page(r->rt, user); }

void duro__verb_prune(duro_runtime *rt, duro_request *r, duro_str args) {
  prune *p = calloc(1, sizeof *p);
  if (!p) {
    duro__fail_memory(r);
    return;
  }
  p->request = r;
  p->epoch = rt->epoch;
  p->args = duro_arena_dup(&p->arena, args);
  if (!p->args.p) duro__fail_memory(r);
  bool fine = p->args.p && duro__arg_object(r, p->args) &&
              duro__arg_int(r, p->args, "keep_last", 1, 0, &p->keep_last) &&
              duro__arg_int(r, p->args, "completed_before_ms", 0, 0, &p->completed_before_ms) &&
              duro__arg_filter(r, duro__member(p->args, "filter"), &p->arena, &p->filter) &&
              duro__arg_only(r, p->args, &p->arena, &p->filter);
  if (fine && !duro__member(p->args, "keep_last").p && !p->completed_before_ms) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "'keep_last' or 'completed_before' is needed");
    fine = false;
  }
  if (fine && !duro__store_has(rt->store, DURO__VERB_prune)) {
    duro__request_fail(r, DURO_UNSUPPORTED, "the store '%s' has no verb 'prune'",
                       duro__store_type(rt->store));
    fine = false;
  }
  if (!fine) {
    prune_free(p);
    return;
  }
  if (p->keep_last < 1) p->keep_last = 1; // the current one stays in any case
  duro__when_folded(rt, r, folded, p);
}
