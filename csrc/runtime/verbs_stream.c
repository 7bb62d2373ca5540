// verbs_stream.c: reading the change feed, and waiting for more of it.
//
// A stream is nothing here but a position: the caller says after which public seq, and gets what follows
// and the seq to go on from. So a slow reader costs no memory, and one that was killed goes on where it was.
// Pages of the journal are read on the helper thread; what a filter lets through is asked of the store for
// the instances of a page (finder.h): as they stand then, so one that was deleted meanwhile is passed over.
// With `wait` a reader that found nothing stands in rt->streams: the owner reads on when a batch is durable,
// a client when the file has changed. Batches that cannot concern it are not even read.
//
// Invariant: a reader waits only when nothing was committed since its last page was ordered (`mark`).
#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/feed.h"
#include "runtime/finder.h"
#include "runtime/shown.h"

#define PAGE_ROWS      500
#define PAGES_AT_ONCE  20 // without a find: then the caller looks at its time limit
#define EVENTS_DEFAULT 500
#define EVENTS_MOST    1000
#define LONG_WAY       (4096 * DURO_EVENTS_PER_SEQ) // public seqs

// What the newest batches held: a reader need not read one that cannot concern it.
#define RECENT 1024
struct duro__recent {
  size_t count; // of all batches; the last RECENT of them are known
  struct {
    int64_t before_seq, last_seq;
    uint64_t kinds;
  } batches[RECENT];
};

typedef struct duro__stream {
  duro_request *request;
  duro_arena arena; // of the arguments
  duro__feed_query query;
  duro_filter filter;
  bool filtered, waits;
  uint64_t kinds; // duro__feed_kinds
  int64_t since;  // public
  int64_t began;  // ... of the call
  int pages;      // read for this call
  int64_t mark;
  // The page that is being read, by whichever thread has it.
  duro_arena page_arena;
  duro__feed_items found;
  bool end; // there was nothing behind it
  duro_code code;
  duro_error *error;
} stream;

// --- Arguments ---

static bool unknown_type(duro_request *r, duro_str word, const char *near) {
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "there is no event type '%.*s'%s%s%s",
                     DURO_FMT(word), near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "");
  return false;
}

// Absent: every type.
static bool arg_types(duro_request *r, duro_str args, stream *s) {
  duro_str value = duro__member(args, "kinds");
  duro_json_reader reader;
  s->query.types = value.p ? 0 : ~0u;
  duro_json_open(&reader, value);
  for (duro_json_type type; value.p && (type = duro_json_next(&reader)) != DURO_JSON_END;) {
    duro__feed_type found;
    const char *near = NULL;
    if (type == DURO_JSON_BEGIN_ARRAY || type == DURO_JSON_END_ARRAY) continue;
    duro_str word = type == DURO_JSON_STRING ? duro_json_text(&reader, &s->arena) : reader.text;
    if (type != DURO_JSON_STRING || !duro__feed_type_from(word, &found, &near))
      return unknown_type(r, word, near);
    s->query.types |= 1u << found;
  }
  if (s->query.types) return true;
  duro__request_fail(r, DURO_INVALID_ARGUMENT, "'kinds' names no event type");
  return false;
}

static bool arg_ids(duro_request *r, duro_str args, stream *s) {
  duro_str *ids;
  size_t count;
  s->query.statuses = duro__member(args, "instances").p != NULL;
  if (!s->query.statuses) return true;
  if (!duro__arg_ids(r, args, "instances", &s->arena, &ids, &count)) return false;
  if (!count || count > (size_t)r->rt->options.max_bulk_operations) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT,
                       "%zu instances are to be watched: from 1 to %lld are allowed", count,
                       (long long)r->rt->options.max_bulk_operations);
    return false;
  }
  bool fine = true;
  for (size_t i = 0; i < count && fine; i++) fine = duro_map_put(&s->query.ids, ids[i], s);
  if (!fine) duro__fail_memory(r);
  return fine;
}

static bool arg_limit(duro_request *r, duro_str args, stream *s) {
  int64_t limit;
  if (!duro__arg_int(r, args, "limit", EVENTS_DEFAULT, 1, &limit)) return false;
  s->query.limit = limit < EVENTS_MOST ? (size_t)limit : EVENTS_MOST;
  return true;
}

static void stream_free(stream *s) {
  free(s->found.list.items);
  duro_map_free(&s->query.ids);
  duro_error_free(s->error);
  duro_arena_free(&s->page_arena);
  duro_arena_free(&s->arena);
  free(s);
}

// NULL: the request is answered.
static stream *stream_new(duro_runtime *rt, duro_request *r, duro_str given) {
  if (!rt->options.enable_streaming) {
    duro__request_fail(r, DURO_UNSUPPORTED,
                       "streams are switched off (management.enable_streaming)");
    return NULL;
  }
  bool numbers = duro_json_member_bool(given, "numbers", false); // these need no feed
  if (!numbers && !duro__store_has(rt->store, DURO__VERB_changes)) {
    duro__request_fail(r, DURO_UNSUPPORTED, "the store '%s' has no verb 'changes'",
                       duro__store_type(rt->store));
    return NULL;
  }
  stream *s = calloc(1, sizeof *s);
  duro_str args = s ? duro_arena_dup(&s->arena, given) : DURO_NONE;
  if (!args.p) {
    if (s) stream_free(s);
    duro__fail_memory(r);
    return NULL;
  }
  s->request = r;
  s->waits = duro_json_member_bool(args, "wait", false);
  s->filtered = duro__member(args, "filter").n > 2;
  if (duro__arg_object(r, args) && duro__arg_int(r, args, "since", -1, 0, &s->since) &&
      duro__arg_filter(r, duro__member(args, "filter"), &s->arena, &s->filter) &&
      arg_types(r, args, s) && arg_ids(r, args, s) && arg_limit(r, args, s)) {
    s->kinds = duro__feed_kinds(&s->query);
    return s;
  }
  stream_free(s);
  return NULL;
}

void duro__stream_forget(duro_request *r) {
  duro_runtime *rt = r->rt;
  stream *s = r->stream;
  for (size_t i = 0; s && i < rt->streams.count; i++) {
    if (rt->streams.items[i] != r) continue;
    rt->streams.items[i] = rt->streams.items[--rt->streams.count];
  }
  if (s) stream_free(s);
  r->stream = NULL;
}

// --- stream_open ---

static void fail_expired(duro_request *r, int64_t since, int64_t oldest) {
  duro_error *err = NULL, *own;
  duro_buf data = {0};
  duro_fail(&err, DURO_EXPIRED,
            "events after %lld are no longer kept (see feed_retention), only those after %lld",
            (long long)since, (long long)oldest);
  duro_buf_printf(&data, "{\"oldest\":%lld}", (long long)oldest);
  own = duro_error_copy(err); // a static one has no room for data
  if (own && own->code == err->code && !data.oom) own->data = duro_str_dup(duro_buf_str(&data));
  duro_buf_free(&data);
  duro_error_free(err);
  duro__request_take_error(r, DURO_EXPIRED, own);
}

// Runs when what is too old has been trimmed.
static void answer_open(duro_request *r, void *user) {
  stream *s = user;
  duro_store_marks marks = {0};
  duro_error *err = NULL;
  duro_code code = duro__store_marks(r->rt->store, &s->arena, &marks, &err);
  int64_t last = marks.last_seq * DURO_EVENTS_PER_SEQ;
  int64_t oldest = marks.trimmed_seq * DURO_EVENTS_PER_SEQ;
  if (code) {
    duro__fail_with(r, code, err);
  } else if (s->since > last) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT,
                       "'since' is %lld, but this file has come to %lld only: it is another's",
                       (long long)s->since, (long long)last);
  } else if (s->since >= 0 && duro_public_seq_row(s->since) < marks.trimmed_seq) {
    fail_expired(r, s->since, oldest);
  } else {
    duro_buf_clear(&r->answer);
    duro_buf_add_char(&r->answer, '{');
    duro__add_int_member(&r->answer, "seq", s->since < 0 ? last : s->since);
    duro_buf_add_char(&r->answer, '}');
    duro__request_durable(r);
  }
}

void duro__verb_stream_open(duro_runtime *rt, duro_request *r, duro_str args) {
  stream *s = stream_new(rt, r, args);
  if (!s) return;
  r->stream = s; // freed with it
  if (s->since < 0)
    answer_open(r, s);
  else
    duro__when_trimmed(rt, r, answer_open, s);
}

// --- stream_read: one page (either thread) ---

static duro_code name_completed(duro_runtime *rt, stream *s) {
  duro_code code = DURO_OK;
  for (size_t i = 0; i < s->found.list.count && !code; i++) {
    duro__feed_item *item = &s->found.list.items[i];
    if (!duro__feed_completes(&item->event)) continue;
    code = duro__feed_names_find(&rt->feed_names, rt->store, item->row->instance_key,
                                 item->row->execution_id, &item->event, &s->page_arena,
                                 &item->completed, &s->error);
  }
  return code;
}

static void read_page(duro_runtime *rt, stream *s) {
  duro_changes page = {0};
  bool names = !s->query.statuses && duro__feed_asks_names(s->query.types);
  s->code = duro__store_changes(rt->store, duro_public_seq_row(s->since), PAGE_ROWS, &s->page_arena,
                                &page, &s->error);
  s->end = page.count == 0;
  s->found.seq = s->since;
  s->found.full = false;
  s->found.list.count = 0;
  for (size_t i = 0; i < page.count && !s->code && !s->found.full; i++) {
    s->code = duro__feed_add(&s->query, &page.items[i], s->since, names ? &rt->feed_names : NULL,
                             &s->page_arena, &s->found, &s->error);
  }
  if (!s->code && names) s->code = name_completed(rt, s);
}

// --- On the loop thread ---

static void look(duro_runtime *rt, stream *s);

// Frees the stream.
static void answer(stream *s) {
  duro_request *r = s->request;
  duro_buf *b = &r->answer;
  duro_buf_clear(b);
  duro_buf_add_lit(b, "{\"events\":[");
  for (size_t i = 0; i < s->found.list.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro__feed_item_write(b, &s->query, &s->found.list.items[i]);
  }
  duro_buf_add_char(b, ']');
  duro__add_int_member(b, "seq", s->found.seq);
  if (!s->end) duro__add_json_member(b, "more", DURO_STR("true"));
  duro_buf_add_char(b, '}');
  duro__stream_forget(r); // its pages may be large, and the request lives on
  duro__request_durable(r);
}

// What tells that something was committed: for the owner the seq itself, else the file's version.
static int64_t feed_mark(duro_runtime *rt) {
  int64_t version = 0;
  if (rt->role == DURO_ROLE_RUNTIME) return rt->committed_seq;
  return duro__store_data_version(rt->store, &version, NULL) ? -1 : version;
}

static bool may_pass(const stream *s, const duro__instance *i) {
  const duro_filter *f = &s->filter;
  if (s->query.ids.count && !duro_map_get(&s->query.ids, i->id)) return false;
  if (f->id_prefix.p && !duro_str_starts_with(i->id, f->id_prefix)) return false;
  bool named = f->name_count == 0;
  for (size_t k = 0; k < f->name_count && !named; k++) {
    const duro_name_match *m = &f->names[k];
    named = m->prefix ? duro_str_starts_with(i->name, m->text) : duro_str_equal(i->name, m->text);
  }
  return named;
}

// False when nothing of the batch can be for us, as far as that is seen without reading it.
static bool concerns(duro_runtime *rt, const stream *s, const duro__batch *b) {
  if (!(s->kinds & b->kinds)) return false;
  if (!s->query.ids.count && !s->filter.id_prefix.p && !s->filter.name_count) return true;
  for (size_t k = 0; k < b->turns.count; k++) {
    const duro__instance *i = duro__live_by_key(rt, b->turns.items[k].instance_key);
    if (!i || may_pass(s, i)) return true;
  }
  return false;
}

// Also among the waiters, where a request may be freed at once.
static void wait_for_more(duro_runtime *rt, stream *s) {
  duro_request **slot = duro__vec_push(&rt->streams);
  if (!slot) {
    duro__fail_memory(s->request);
    return;
  }
  *slot = s->request;
  duro__request_link(s->request, &rt->waiters);
}

// Its caller, who may give up at any moment, is told how far it came, so as not to come this way again.
static bool came_far(const stream *s) { return s->since - s->began >= LONG_WAY; }

// Nothing of this page is for us.
static void go_on(duro_runtime *rt, stream *s) {
  s->since = s->found.seq;
  bool waits = s->waits && !s->request->abandoned && !rt->closing && !came_far(s);
  if (!s->end && (waits || ++s->pages < PAGES_AT_ONCE))
    look(rt, s);
  else if (!waits)
    answer(s);
  else if (feed_mark(rt) != s->mark)
    look(rt, s);
  else
    wait_for_more(rt, s);
}

// Keeps the items of the instances that the store gave.
static void filtered(duro_runtime *rt, duro__finder *f) {
  stream *s = f->user;
  duro_map keys = {0};
  bool fine = true;
  for (size_t i = 0; i < f->rows.count && fine; i++) {
    fine = duro_map_put_int(&keys, f->rows.items[i].key, s);
  }
  size_t kept = 0;
  for (size_t i = 0; i < s->found.list.count; i++) {
    duro__feed_item *item = &s->found.list.items[i];
    if (duro_map_get_int(&keys, item->row->instance_key)) s->found.list.items[kept++] = *item;
  }
  s->found.list.count = kept;
  duro_map_free(&keys);
  if (!fine)
    duro__fail_memory(s->request);
  else if (kept)
    answer(s);
  else
    go_on(rt, s);
}

// The ids of the page's instances, each once.
static bool ask_ids(stream *s, duro__finder *f) {
  duro_str *ids = duro_arena_alloc(&f->arena, s->found.list.count * sizeof *ids);
  duro_map seen = {0};
  bool fine = ids != NULL;
  f->query.filter = s->filter;
  f->query.filter.ids = ids;
  for (size_t i = 0; i < s->found.list.count && fine; i++) {
    const duro__feed_item *item = &s->found.list.items[i];
    int64_t key = item->row->instance_key;
    if (duro_map_get_int(&seen, key)) continue;
    fine = duro_map_put_int(&seen, key, s);
    ids[f->query.filter.id_count++] = item->instance_id;
  }
  f->wanted = f->query.filter.id_count;
  duro_map_free(&seen);
  return fine;
}

static void filter_page(stream *s) {
  duro__finder *f = duro__finder_new(s->request, DURO_STR("{}"));
  if (!f) return;
  f->user = s;
  f->found = filtered;
  if (ask_ids(s, f)) {
    duro__finder_begin(f);
    return;
  }
  duro__finder_free(f);
  duro__fail_memory(s->request);
}

static void keep_visible(stream *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->found.list.count; i++) {
    const duro__feed_item *item = &s->found.list.items[i];
    if (duro__id_visible(s->request, item->instance_id)) s->found.list.items[kept++] = *item;
  }
  s->found.list.count = kept;
}

static void take_page(duro_runtime *rt, stream *s) {
  duro_error *err = s->error;
  s->error = NULL;
  if (s->code == DURO_EXPIRED) {
    duro_store_marks marks = {0};
    duro_error_free(err);
    duro__store_marks(rt->store, &s->arena, &marks, NULL);
    fail_expired(s->request, s->since, marks.trimmed_seq * DURO_EVENTS_PER_SEQ);
  } else if (s->code) {
    duro__fail_with(s->request, s->code, err);
  } else if (s->found.list.count && s->filtered) {
    filter_page(s);
  } else {
    if (duro__rows_hidden(s->request)) keep_visible(s);
    if (s->found.list.count)
      answer(s);
    else
      go_on(rt, s);
  }
}

static void page_run(duro_runtime *rt, duro__command *c) { read_page(rt, c->subject); }

static void page_done(duro_runtime *rt, duro__command *c) {
  stream *s = c->subject;
  free(c);
  rt->stream_reads--;
  take_page(rt, s);
}

static void remember(struct duro__recent *recent, const duro__batch *b, int64_t before_seq) {
  size_t at = recent->count++ % RECENT;
  recent->batches[at].before_seq = before_seq;
  recent->batches[at].last_seq = b->rows.last_seq;
  recent->batches[at].kinds = b->kinds;
}

// Goes past recent batches without any event of the kinds asked for.
static void pass_recent(const struct duro__recent *recent, stream *s) {
  size_t first = recent->count, known = recent->count < RECENT ? recent->count : RECENT;
  while (known-- && recent->batches[(first - 1) % RECENT].last_seq * DURO_EVENTS_PER_SEQ > s->since)
    first--;
  for (; first < recent->count; first++) {
    size_t at = first % RECENT;
    bool gap = recent->batches[at].before_seq * DURO_EVENTS_PER_SEQ > s->since;
    if (gap || recent->batches[at].kinds & s->kinds) return;
    s->since = recent->batches[at].last_seq * DURO_EVENTS_PER_SEQ;
  }
}

// Orders the next page, unless it is known to be empty.
static void look(duro_runtime *rt, stream *s) {
  duro_arena_reset(&s->page_arena);
  s->mark = feed_mark(rt);
  s->found.list.count = 0;
  if (rt->recent && rt->role == DURO_ROLE_RUNTIME) pass_recent(rt->recent, s);
  if (rt->role == DURO_ROLE_RUNTIME && s->since >= rt->committed_seq * DURO_EVENTS_PER_SEQ) {
    s->found.seq = s->since;
    s->end = true;
    go_on(rt, s);
    return;
  }
  duro__command *c = rt->closing ? NULL : duro__command_new(page_run, page_done);
  if (!c) {
    duro__fail_memory(s->request);
    return;
  }
  c->subject = s;
  rt->stream_reads++;
  duro__helper_push(rt, c);
}

void duro__verb_stream_read(duro_runtime *rt, duro_request *r, duro_str args) {
  stream *s = stream_new(rt, r, args);
  if (!s) return;
  if (s->since < 0) {
    stream_free(s);
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "stream_read needs 'since'");
    return;
  }
  r->stream = s; // freed with it
  s->began = s->since;
  if (!rt->recent) rt->recent = calloc(1, sizeof *rt->recent); // without memory it is done without
  look(rt, s);
}

void duro__streams_durable(duro_runtime *rt, const duro__batch *b, int64_t before_seq) {
  DURO__VEC(duro_request *) readers = {0}; // some of them will come to wait again
  size_t kept = 0;
  if (b) rt->newest_ms = b->rows.now_ms;
  if (b && rt->recent) remember(rt->recent, b, before_seq);
  for (size_t i = 0; i < rt->streams.count; i++) {
    duro_request *r = rt->streams.items[i];
    stream *s = r->stream;
    bool passed = b && s->mark == before_seq && !concerns(rt, s, b);
    if (passed) {
      s->mark = rt->committed_seq;
      s->since = rt->committed_seq * DURO_EVENTS_PER_SEQ;
    }
    duro_request **slot = passed && !came_far(s) ? NULL : duro__vec_push(&readers);
    if (slot)
      *slot = r;
    else
      rt->streams.items[kept++] = r; // without memory: until the next batch
  }
  rt->streams.count = kept;
  for (size_t i = 0; i < readers.count; i++) {
    duro__request_unlink(readers.items[i]);
    look(rt, readers.items[i]->stream);
  }
  free(readers.items);
}

void duro__streams_notify(duro_runtime *rt) { duro__streams_durable(rt, NULL, 0); }

// --- pause ---

void duro__verb_pause(duro_runtime *rt, duro_request *r, duro_str args) {
  (void)args;
  duro__request_link(r, &rt->waiters);
}
