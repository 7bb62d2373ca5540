// The handle of store.h: one short function per verb, which takes the time around the store's own.
//
// Counting is lock-free and relaxed: each figure is exact, but figures read together may be of slightly
// different moments. The latencies are kept in buckets whose bounds grow by a quarter of a power of two.
#include "store/store.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

// Buckets of 4 per power of two, from 2^SHORTEST ns (1 us; all below falls into the first) up to
// 2^(SHORTEST + POWERS) ns (a minute and more falls into the last).
enum { SHORTEST = 10, POWERS = 26, BUCKETS = POWERS * 4 };

typedef struct tally {
  atomic_uint_fast64_t calls, errors, total_ns, max_ns;
} tally;

typedef struct histogram {
  atomic_uint_fast64_t buckets[BUCKETS];
  atomic_uint_fast64_t max_ns;
} histogram;

struct duro__store {
  const duro_store_ops *ops;
  duro_store *store;
  tally tallies[DURO__VERB_COUNT];
  histogram reads, writes, commits;
};

typedef enum verb_kind { READ, WRITE, POLL } verb_kind;

static const struct {
  const char *name;
  verb_kind kind;
} verbs[DURO__VERB_COUNT] = {
#define X(slot, kind, need) [DURO__VERB_##slot] = {#slot, kind},
    DURO__STORE_VERBS(X)
#undef X
};

// --- Counting ---

static size_t bucket_of(uint64_t ns) {
  if (ns >> SHORTEST == 0) return 0;
  int power = 63 - __builtin_clzll(ns);
  if (power >= SHORTEST + POWERS) return BUCKETS - 1;
  return (size_t)(power - SHORTEST) * 4 + (ns >> (power - 2) & 3);
}

// The first duration above the bucket.
static uint64_t bucket_end(size_t bucket) {
  return (uint64_t)(bucket % 4 + 5) << (bucket / 4 + SHORTEST - 2);
}

static void add(atomic_uint_fast64_t *figure, uint64_t n) {
  atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_fast64_t *figure) {
  return atomic_load_explicit(figure, memory_order_relaxed);
}

static void raise_to(atomic_uint_fast64_t *figure, uint64_t n) {
  uint_fast64_t was = get(figure);
  while (was < n && !atomic_compare_exchange_weak_explicit(figure, &was, n, memory_order_relaxed,
                                                           memory_order_relaxed)) {}
}

static bool is_error(duro_code code) {
  switch (code) {
  case DURO_OK:
  case DURO_NOT_FOUND:
  case DURO_ALREADY_EXISTS:
  case DURO_BUSY:
  case DURO_EXPIRED:
  case DURO_UNSUPPORTED:
    return false;
  default:
    return true;
  }
}

static void note(histogram *h, uint64_t ns) {
  add(&h->buckets[bucket_of(ns)], 1);
  raise_to(&h->max_ns, ns);
}

// Counts a call that began at `began_ns` and gives its code back.
static duro_code count(duro__store *s, duro__verb verb, uint64_t began_ns, duro_code code) {
  uint64_t ns = duro_clock_monotonic_ns() - began_ns;
  tally *t = &s->tallies[verb];
  add(&t->calls, 1);
  if (is_error(code)) add(&t->errors, 1);
  add(&t->total_ns, ns);
  raise_to(&t->max_ns, ns);
  if (verbs[verb].kind != POLL) note(verbs[verb].kind == WRITE ? &s->writes : &s->reads, ns);
  if (verb == DURO__VERB_commit) note(&s->commits, ns);
  return code;
}

static duro__latency read_latency(const histogram *h) {
  duro__latency out = {.max_ns = get(&h->max_ns)};
  uint64_t counts[BUCKETS], seen = 0;
  for (size_t i = 0; i < BUCKETS; i++) out.calls += counts[i] = get(&h->buckets[i]);
  for (size_t i = 0; i < BUCKETS; i++) {
    if (counts[i] == 0) continue;
    seen += counts[i];
    uint64_t end = bucket_end(i) < out.max_ns ? bucket_end(i) : out.max_ns;
    if (!out.p50_ns && seen * 2 >= out.calls) out.p50_ns = end;
    if (!out.p99_ns && seen * 100 >= out.calls * 99) out.p99_ns = end;
  }
  return out;
}

void duro__store_figures_read(const duro__store *s, duro__store_figures *out) {
  for (int verb = 0; verb < DURO__VERB_COUNT; verb++) {
    const tally *t = &s->tallies[verb];
    out->verbs[verb] = (duro__verb_figures){.verb = verbs[verb].name,
                                            .writes = verbs[verb].kind == WRITE,
                                            .calls = get(&t->calls),
                                            .errors = get(&t->errors),
                                            .total_ns = get(&t->total_ns),
                                            .max_ns = get(&t->max_ns)};
  }
  out->reads = read_latency(&s->reads);
  out->writes = read_latency(&s->writes);
  out->commits = read_latency(&s->commits);
}

// --- The handle ---

duro_code duro__store_open(const duro_store_ops *ops, const duro_store_options *options,
                           duro__store **out, duro_error **err) {
  *out = NULL;
  duro_code code = duro__store_check(ops, err);
  if (code) return code;
  duro__store *s = calloc(1, sizeof *s);
  if (!s) return duro_fail_oom(err);
  s->ops = ops;
  uint64_t began = duro_clock_monotonic_ns();
  code = count(s, DURO__VERB_open, began, ops->open(options, &s->store, err));
  if (code) {
    free(s);
    return code;
  }
  *out = s;
  return DURO_OK;
}

void duro__store_close(duro__store *s) {
  if (!s) return;
  s->ops->close(s->store);
  free(s);
}

const char *duro__store_type(const duro__store *s) { return s->ops->type; }

bool duro__store_has(const duro__store *s, duro__verb verb) {
  switch (verb) {
#define X(slot, kind, need)                                                                        \
  case DURO__VERB_##slot:                                                                          \
    return s->ops->slot != NULL;
    DURO__STORE_VERBS(X)
#undef X
  default:
    return false;
  }
}

static duro_code unsupported(duro__store *s, duro__verb verb, duro_error **err) {
  return duro_fail(err, DURO_UNSUPPORTED, "the store '%s' has no verb '%s'", s->ops->type,
                   verbs[verb].name);
}

// --- The verbs ---

#define PASS(slot, ...)                                                                            \
  uint64_t began = duro_clock_monotonic_ns();                                                      \
  return count(s, DURO__VERB_##slot, began, s->ops->slot(s->store, __VA_ARGS__))
#define PASS_IF_THERE(slot, ...)                                                                   \
  if (!s->ops->slot) return unsupported(s, DURO__VERB_##slot, err);                                \
  PASS(slot, __VA_ARGS__)
#define PASS_OR_DEFAULT(slot, ...)                                                                 \
  uint64_t began = duro_clock_monotonic_ns();                                                      \
  duro_code code = s->ops->slot ? s->ops->slot(s->store, __VA_ARGS__)                              \
                                : duro__default_##slot(s->ops, s->store, __VA_ARGS__);             \
  return count(s, DURO__VERB_##slot, began, code)

duro_code duro__store_marks(duro__store *s, duro_arena *arena, duro_store_marks *out,
                            duro_error **err) {
  PASS(marks, arena, out, err);
}

duro_code duro__store_acquire(duro__store *s, const duro_lease *wanted, bool steal, int64_t now_ms,
                              duro_arena *arena, duro_lease *held, duro_error **err) {
  PASS(acquire, wanted, steal, now_ms, arena, held, err);
}

duro_code duro__store_renew(duro__store *s, int64_t epoch, int64_t now_ms, int64_t expires_at_ms,
                            duro_error **err) {
  PASS(renew, epoch, now_ms, expires_at_ms, err);
}

duro_code duro__store_release(duro__store *s, int64_t epoch, duro_error **err) {
  PASS(release, epoch, err);
}

duro_code duro__store_lease(duro__store *s, duro_arena *arena, duro_lease *out, duro_error **err) {
  PASS(lease, arena, out, err);
}

duro_code duro__store_commit(duro__store *s, const duro_batch *batch, duro_error **err) {
  PASS(commit, batch, err);
}

duro_code duro__store_fold(duro__store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                           size_t *folded, duro_error **err) {
  PASS(fold, epoch, now_ms, max_rows, folded, err);
}

duro_code duro__store_checkpoint(duro__store *s, duro_error **err) {
  if (!s->ops->checkpoint) return DURO_OK; // there is no log to copy
  PASS(checkpoint, err);
}

duro_code duro__store_load(duro__store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                           duro_error **err) {
  PASS(load, key, arena, out, err);
}

duro_code duro__store_due(duro__store *s, int64_t now_ms, int64_t after_wake_ms, int64_t after_key,
                          size_t limit, duro_arena *arena, duro_instance_rows *out,
                          int64_t *next_ms, duro_error **err) {
  PASS(due, now_ms, after_wake_ms, after_key, limit, arena, out, next_ms, err);
}

duro_code duro__store_messages(duro__store *s, int64_t key, duro_arena *arena,
                               duro_message_row **out, size_t *message_count, duro_error **err) {
  PASS(messages, key, arena, out, message_count, err);
}

duro_code duro__store_post(duro__store *s, duro_post *post, duro_error **err) {
  PASS(post, post, err);
}

duro_code duro__store_requests(duro__store *s, int64_t after, size_t limit, duro_arena *arena,
                               duro_request_row **out, size_t *request_count, duro_error **err) {
  PASS(requests, after, limit, arena, out, request_count, err);
}

duro_code duro__store_answer(duro__store *s, int64_t request_id, duro_arena *arena,
                             duro_request_row *out, duro_error **err) {
  PASS(answer, request_id, arena, out, err);
}

duro_code duro__store_forget(duro__store *s, const int64_t *request_ids, size_t request_count,
                             duro_error **err) {
  PASS(forget, request_ids, request_count, err);
}

duro_code duro__store_data_version(duro__store *s, int64_t *out, duro_error **err) {
  PASS(data_version, out, err);
}

duro_code duro__store_claim_jobs(duro__store *s, const duro_claim *claim, duro_arena *arena,
                                 duro_job_row **out, size_t *job_count, duro_error **err) {
  PASS_IF_THERE(claim_jobs, claim, arena, out, job_count, err);
}

duro_code duro__store_renew_jobs(duro__store *s, const duro_job_row *jobs, size_t job_count,
                                 int64_t now_ms, duro_error **err) {
  PASS_IF_THERE(renew_jobs, jobs, job_count, now_ms, err);
}

duro_code duro__store_finish_job(duro__store *s, const duro_job_row *job,
                                 const duro_request_row *result, int64_t now_ms, duro_error **err) {
  PASS_IF_THERE(finish_job, job, result, now_ms, err);
}

duro_code duro__store_jobs(duro__store *s, int64_t instance_key, const int64_t *ids,
                           size_t id_count, duro_arena *arena, duro_job_row **out,
                           size_t *job_count, duro_error **err) {
  PASS_IF_THERE(jobs, instance_key, ids, id_count, arena, out, job_count, err);
}

duro_code duro__store_queue_state(duro__store *s, duro_str queue, int64_t now_ms,
                                  duro_queue_state *out, duro_error **err) {
  PASS_IF_THERE(queue_state, queue, now_ms, out, err);
}

duro_code duro__store_get(duro__store *s, duro_str id, duro_arena *arena, duro_instance_row *out,
                          duro_error **err) {
  PASS(get, id, arena, out, err);
}

duro_code duro__store_get_by_key(duro__store *s, int64_t key, duro_arena *arena,
                                 duro_instance_row *out, duro_error **err) {
  PASS(get_by_key, key, arena, out, err);
}

duro_code duro__store_list(duro__store *s, const duro_list_query *query, duro_arena *arena,
                           duro_instance_rows *out, duro_error **err) {
  PASS(list, query, arena, out, err);
}

duro_code duro__store_count(duro__store *s, const duro_filter *filter, int64_t most, int64_t *out,
                            duro_error **err) {
  PASS_OR_DEFAULT(count, filter, most, out, err);
}

duro_code duro__store_history(duro__store *s, int64_t key, int64_t execution_id, duro_arena *arena,
                              duro_texts *out, duro_error **err) {
  PASS(history, key, execution_id, arena, out, err);
}

duro_code duro__store_executions(duro__store *s, int64_t key, duro_arena *arena,
                                 duro_execution_row **out, size_t *execution_count,
                                 duro_error **err) {
  PASS(executions, key, arena, out, execution_count, err);
}

duro_code duro__store_changes(duro__store *s, int64_t since_seq, size_t limit, duro_arena *arena,
                              duro_changes *out, duro_error **err) {
  PASS_IF_THERE(changes, since_seq, limit, arena, out, err);
}

duro_code duro__store_counters(duro__store *s, int64_t from_ms, int64_t to_ms, bool by_minute,
                               duro_arena *arena, duro_counters *out, duro_error **err) {
  PASS_OR_DEFAULT(counters, from_ms, to_ms, by_minute, arena, out, err);
}

duro_code duro__store_stats(duro__store *s, duro_store_stats *out, duro_error **err) {
  PASS_OR_DEFAULT(stats, out, err);
}

duro_code duro__store_owner_figures(duro__store *s, duro_arena *arena, duro_str *json,
                                    duro_error **err) {
  *json = DURO_NONE;
  if (!s->ops->owner_figures) return DURO_OK; // nobody could leave any
  PASS(owner_figures, arena, json, err);
}

duro_code duro__store_audit(duro__store *s, int64_t before, size_t limit, duro_arena *arena,
                            duro_audit_row **out, size_t *entry_count, duro_error **err) {
  PASS_IF_THERE(audit, before, limit, arena, out, entry_count, err);
}

duro_code duro__store_note(duro__store *s, int64_t epoch, duro_str owner_figures,
                           duro_error **err) {
  PASS_IF_THERE(note, epoch, owner_figures, err);
}
