// finder.c: see finder.h.
//
// A finder belongs to one thread at a time: the loop until a page is ordered, the helper until it is
// read, then the loop again. To add something that is looked for beyond the store's filter: `matches`.
#include "runtime/finder.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/shown.h"

#define STRIDE       200  // rows a page when each is looked at
#define VISIT_STRIDE 2000 // and when it is only added up
#define MANY_IDS     1000 // each costs a look into the index

duro__finder *duro__finder_new(duro_request *r, duro_str args) {
  duro__finder *s = calloc(1, sizeof *s);
  if (s) {
    s->request = r;
    s->args = duro_arena_dup(&s->arena, args);
    if (s->args.p) return s;
    duro__finder_free(s);
  }
  duro__fail_memory(r);
  return NULL;
}

void duro__finder_free(duro__finder *s) {
  for (size_t i = 0; i < s->kept.count; i++) duro_arena_free(&s->kept.items[i]);
  free(s->kept.items);
  free(s->rows.items);
  duro_error_free(s->error);
  duro_arena_free(&s->page_arena);
  duro_arena_free(&s->arena);
  free(s);
}

// --- One page (either thread) ---

// Each row is looked at, so nobody knows how many a page will give.
static bool is_picky(const duro__finder *s) { return s->matches || duro__rows_hidden(s->request); }

static size_t page_limit(const duro__finder *s) {
  size_t limit = is_picky(s) ? STRIDE : s->visit ? VISIT_STRIDE : s->wanted - s->rows.count;
  size_t left = s->look_at_most ? s->look_at_most - s->looked_at : limit;
  return left < limit ? left : limit;
}

// The next page goes on behind this row. Its text must outlive the page.
static duro_code move_behind(duro__finder *s, const duro_instance_row *row, duro_error **err) {
  duro_list_query *q = &s->query;
  q->after_key = row->key;
  q->after_updated_ms = row->updated_at_ms;
  if (q->order_by == DURO_BY_ID) q->after_text = duro_arena_dup(&s->arena, row->id);
  if (q->order_by == DURO_BY_NAME) q->after_text = duro_arena_dup(&s->arena, row->name);
  return s->arena.oom ? duro_fail_oom(err) : DURO_OK;
}

static duro_code keep_matches(duro_runtime *rt, duro__finder *s) {
  duro_arena scratch = {0};
  duro_code code = DURO_OK;
  size_t kept = 0;
  for (size_t i = 0; i < s->page.count && !code; i++) {
    bool yes = false;
    code = s->matches(rt, s, &s->page.items[i], &scratch, &yes, &s->error);
    if (yes) s->page.items[kept++] = s->page.items[i];
    duro_arena_reset(&scratch);
  }
  s->page.count = kept;
  duro_arena_free(&scratch);
  return code;
}

static duro_code visit_page(duro__finder *s) {
  bool hidden = duro__rows_hidden(s->request);
  duro_code code = DURO_OK;
  for (size_t i = 0; i < s->page.count && !code && !s->enough; i++) {
    const duro_instance_row *row = &s->page.items[i];
    if (!hidden || duro__row_visible(s->request, row)) code = s->visit(s, row, &s->error);
  }
  return code;
}

static void read_page(duro_runtime *rt, duro__finder *s) {
  duro_code code = DURO_OK;
  if (s->counts && !s->counted && !duro__rows_hidden(s->request)) {
    code = duro__store_count(rt->store, &s->query.filter, INT64_MAX, &s->total, &s->error);
    s->counted = true;
  }
  s->query.limit = page_limit(s);
  s->page = (duro_instance_rows){0};
  if (!code) code = duro__store_list(rt->store, &s->query, &s->page_arena, &s->page, &s->error);
  if (!code && s->page.count) {
    s->looked_at += s->page.count;
    code = move_behind(s, &s->page.items[s->page.count - 1], &s->error);
    if (!code && s->matches) code = keep_matches(rt, s);
    if (!code && s->visit && !duro__rows_hidden(s->request)) code = visit_page(s);
  }
  s->code = code;
}

// --- Pages to rows (loop thread) ---

// The total of who may not see every row: all that it may see are counted, from the first one on.
static void count_page(duro__finder *s) {
  for (size_t i = 0; i < s->page.count; i++)
    s->total += duro__row_visible(s->request, &s->page.items[i]);
  duro_arena_reset(&s->page_arena);
}

static duro_code take_page(duro__finder *s) {
  bool any = false;
  duro_code code = DURO_OK;
  for (size_t i = 0; i < s->page.count; i++) {
    const duro_instance_row *row = &s->page.items[i];
    if (!duro__row_visible(s->request, row)) continue;
    if (s->rows.count == s->wanted) { // the next page begins with this one
      s->truncated = true;
      code = move_behind(s, &s->rows.items[s->wanted - 1], &s->error);
      break;
    }
    duro_instance_row *slot = duro__vec_push(&s->rows);
    if (!slot) return duro_fail_oom(&s->error);
    *slot = *row;
    any = true;
  }
  if (!any) {
    duro_arena_reset(&s->page_arena);
    return code;
  }
  duro_arena *arena = duro__vec_push(&s->kept);
  if (!arena) return duro_fail_oom(&s->error);
  *arena = s->page_arena;
  s->page_arena = (duro_arena){0};
  return code;
}

// The page that was asked for is there: goes back to the first row to count.
static bool counts_on(duro__finder *s) {
  if (!s->counts || s->counted || !duro__rows_hidden(s->request)) return false;
  s->counted = s->counting = true;
  s->behind = s->query;
  s->query.after_key = s->query.after_updated_ms = 0;
  s->query.after_text = DURO_NONE;
  return true;
}

static bool goes_on_counting(duro__finder *s) {
  count_page(s);
  if (s->page.truncated) return true;
  s->query = s->behind;
  return false;
}

static bool goes_on_visiting(duro__finder *s) {
  if (duro__rows_hidden(s->request)) s->code = visit_page(s);
  duro_arena_reset(&s->page_arena);
  bool tired = s->look_at_most && s->looked_at >= s->look_at_most;
  s->truncated = s->enough || (tired && s->page.truncated);
  return !s->code && !s->truncated && s->page.truncated && !s->request->abandoned;
}

// True when another page is to be read.
static bool goes_on(duro__finder *s) {
  if (!s->code && s->visit) return goes_on_visiting(s);
  if (!s->code && s->counting) return goes_on_counting(s);
  if (!s->code) s->code = take_page(s);
  if (s->code) return false;
  if (s->truncated || !s->page.truncated) return counts_on(s);
  // What follows may be hidden, all of it: then there is no more.
  bool full = s->rows.count == s->wanted && !duro__rows_hidden(s->request);
  bool tired = s->look_at_most && s->looked_at >= s->look_at_most;
  if (full || tired) s->truncated = true;
  return (!full && !tired) || counts_on(s);
}

static bool fail(duro__finder *s) {
  duro_error *err = s->error;
  s->error = NULL;
  duro__fail_with(s->request, s->code, err);
  return false;
}

static void finish(duro_runtime *rt, duro__finder *s) {
  if (rt->closing && !s->code)
    s->code = duro_fail(&s->error, DURO_CLOSED, "the runtime was closed");
  if (!s->code)
    s->found(rt, s);
  else if (!fail(s) && s->failed)
    s->failed(s);
  duro__finder_free(s);
}

bool duro__finder_now(duro__finder *s) {
  do {
    read_page(s->request->rt, s);
  } while (goes_on(s));
  return !s->code || fail(s);
}

// --- On the helper thread ---

static void page_run(duro_runtime *rt, duro__command *c) { read_page(rt, c->subject); }

static void order_page(duro_runtime *rt, duro__finder *s);

static void page_done(duro_runtime *rt, duro__command *c) {
  duro__finder *s = c->subject;
  free(c);
  if (goes_on(s) && !rt->closing)
    order_page(rt, s);
  else
    finish(rt, s);
}

static void order_page(duro_runtime *rt, duro__finder *s) {
  duro__command *c = duro__command_new(page_run, page_done);
  if (!c) {
    s->code = duro_fail_oom(&s->error);
    finish(rt, s);
    return;
  }
  c->subject = s;
  duro__helper_push(rt, c);
}

// --- Beginning ---

// One index holds what is asked, in the order asked: a page costs what it returns.
static bool is_cheap(const duro__finder *s) {
  const duro_list_query *q = &s->query;
  const duro_filter *f = &q->filter;
  if (is_picky(s) || s->visit || s->counts || f->version.p || f->has_parent || f->error_contains.n)
    return false;
  if (f->id_count > MANY_IDS) return false;
  size_t ranges = (f->completed_after || f->completed_before) +
                  (f->updated_after || f->updated_before) + (f->id_prefix.n > 0);
  size_t parts = (f->statuses != 0) + (f->name_count > 0) + f->attribute_count +
                 (f->waiting_on.p != NULL) + (f->parent_id.p != NULL) +
                 (f->created_after || f->created_before) + (f->id_count > 0);
  for (size_t i = 0; i < f->name_count; i++) ranges += f->names[i].prefix;
  if (ranges + parts == 0) return true;
  return ranges == 0 && parts == 1 && q->order_by == DURO_BY_CREATED;
}

static void begin(duro_request *r, void *user) {
  duro_runtime *rt = r->rt;
  duro__finder *s = user;
  if (!rt->closing && !is_cheap(s)) {
    order_page(rt, s);
    return;
  }
  while (!rt->closing) {
    read_page(rt, s);
    if (!goes_on(s)) break;
  }
  finish(rt, s);
}

void duro__finder_begin(duro__finder *s) {
  duro_runtime *rt = s->request->rt;
  if (duro__needs_projection(&s->query))
    duro__when_folded(rt, s->request, begin, s);
  else
    begin(s->request, s);
}

void duro__add_found(duro_buf *b, duro_runtime *rt, const duro__finder *s) {
  duro_buf_clear(b);
  duro_buf_add_lit(b, "{\"instances\":[");
  for (size_t i = 0; i < s->rows.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro__row_overlay(rt, &s->rows.items[i]);
    duro__add_summary(b, &s->rows.items[i]);
  }
  duro_buf_add_char(b, ']');
}
