// verbs_groups.c: query_instances: stored instances counted and added up by group.
//
// Counters answer when they say as much as the rows would: counts and rates, by name or status, of all or
// of some names and statuses. Everything else looks at the rows, on the helper thread, at DURO_MAX_SCANNED
// of them at most, the newest first; then the answer says truncated.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/cache.h"
#include "runtime/finder.h"
#include "runtime/groups.h"
#include "runtime/metrics.h"

static const duro_str verb = DURO_STR("query_instances");

// --- From counters ---

static bool only_bits(unsigned bits, unsigned allowed) { return !(bits & ~allowed); }

static bool only_names_and_statuses(const duro_filter *f) {
  bool times = f->created_after || f->created_before || f->updated_after || f->updated_before ||
               f->completed_after || f->completed_before;
  bool texts =
      f->version.p || f->id_prefix.p || f->parent_id.p || f->error_contains.p || f->waiting_on.p;
  return !times && !texts && !f->has_parent && !f->attribute_count && !f->id_count;
}

static bool counters_suffice(duro_runtime *rt, const duro__finder *s) {
  const duro__groups *g = s->user;
  return only_bits(g->by, 1u << DURO__GROUP_NAME | 1u << DURO__GROUP_STATUS) &&
         only_bits(g->aggregates, 1u << DURO__AGGREGATE_COUNT | 1u << DURO__AGGREGATE_SUCCESS |
                                      1u << DURO__AGGREGATE_FAILURE) &&
         only_names_and_statuses(&s->query.filter) && duro__counters_tell(rt, s->request);
}

static bool has_name(const duro_filter *f, duro_str name) {
  for (size_t i = 0; i < f->name_count; i++) {
    const duro_name_match *m = &f->names[i];
    if (m->prefix ? duro_str_starts_with(name, m->text) : duro_str_equal(name, m->text))
      return true;
  }
  return !f->name_count;
}

static bool add_tally(const duro__finder *s, const duro__tally *t) {
  const duro_filter *f = &s->query.filter;
  duro_instance_row row = {.name = t->name};
  if (!has_name(f, t->name)) return true;
  for (int status = 0; status < DURO_STATUS_CONTINUED_AS_NEW; status++) {
    if (f->statuses && !(f->statuses >> status & 1)) continue;
    row.status = (duro_status)status;
    int64_t times = duro__tally_in_status(t, row.status);
    if (times && !duro__groups_add(s->user, &row, times)) return false;
  }
  return true;
}

static duro_code add_tallies(duro_runtime *rt, duro__finder *s, duro_error **err) {
  duro__tallies all;
  duro_code code = duro__tallies_read(rt, &s->arena, &all, err);
  for (size_t i = 0; i < all.count && !code; i++) {
    if (!add_tally(s, &all.items[i])) code = duro_fail_oom(err);
  }
  return code;
}

// --- From rows ---

static duro_code visit(duro__finder *s, const duro_instance_row *row, duro_error **err) {
  duro__groups *g = s->user;
  if (!duro__groups_add(g, row, 1)) return duro_fail_oom(err);
  s->enough = g->full;
  return DURO_OK;
}

static void failed(duro__finder *s) { duro__groups_free(s->user); }

static void found(duro_runtime *rt, duro__finder *s) {
  duro_request *r = s->request;
  duro_buf_clear(&r->answer);
  duro__groups_write(s->user, s->wanted, s->truncated, &r->answer);
  if (!r->answer.oom) duro__cache_keep(rt, r, verb, s->args, duro_buf_str(&r->answer));
  failed(s);
  duro__request_durable(r);
}

// --- The verb ---

static bool read_arguments(duro_runtime *rt, duro_request *r, duro__finder *s) {
  duro__groups *g = s->user;
  return duro__arg_list(rt, r, s) &&
         duro__arg_words(r, s->args, "group_by", duro__group_words, &g->by) &&
         duro__arg_words(r, s->args, "aggregate", duro__aggregate_words, &g->aggregates);
}

static void count_counters(duro_runtime *rt, duro__finder *s) {
  duro_error *err = NULL;
  duro_code code = add_tallies(rt, s, &err);
  if (code) {
    duro__fail_with(s->request, code, err);
    failed(s);
  } else {
    found(rt, s);
  }
  duro__finder_free(s);
}

void duro__verb_query_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  if (duro__cache_answer(rt, r, verb, args)) return;
  duro__finder *s = duro__finder_new(r, args);
  if (!s) return;
  duro__groups *g = duro_arena_alloc(&s->arena, sizeof *g);
  if (!g) duro__fail_memory(r);
  if (g) *g = (duro__groups){0};
  s->user = g;
  if (!g || !read_arguments(rt, r, s)) {
    duro__finder_free(s);
    return;
  }
  if (counters_suffice(rt, s)) {
    count_counters(rt, s);
    return;
  }
  s->query.brief = true;
  s->look_at_most = DURO_MAX_SCANNED;
  s->visit = visit;
  s->found = found;
  s->failed = failed;
  duro__finder_begin(s);
}
