// claims.c: serving task queues: claiming jobs that wait in the file, keeping hold of them, handing their
// results in. The owner does it for its own queues just as a worker process does.
//
// Everything that writes runs on the store thread. A claim is held from the moment it comes back until
// its result is stored; meanwhile its lease is renewed. A row that is gone or another's means that
// nobody wants the result: the activity was cancelled, its time was over, or our lease was.
// The file is looked at often while there is work, and less often while there is none: first at its data
// version, then (a read, too) for jobs.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime/answers.h"
#include "runtime/internal.h"

#define BEAT_EVERY_MS    1000                  // details are written so often at most
#define POLL_LEAST_MS    2                     // after there was work
#define POLL_MOST_MS     50                    // after a while without
#define ANNOUNCE_NS      UINT64_C(30000000000) // so that an idle worker is known to be there
#define RETRY_NS         UINT64_C(500000000)   // after a fault of the store
#define BUSY_PATIENCE_NS UINT64_C(5000000000)  // others' transactions are far shorter
#define BUSY_PAUSE_NS    1000000

typedef struct duro__hold {
  struct duro__hold *next, **link; // in claims.held
  duro_job *job;                   // NULL: it has ended, and its result is on its way
  int64_t row_id;
  int64_t claimed_at_ms, beat_at_ms;
  uint64_t renewed_ns, beat_written_ns;
  bool beat_waits; // to be written
  bool gone;       // the row is no longer ours
} duro__hold;

typedef struct result {
  struct result *next; // waiting to be tried again
  duro__hold *claim;
  duro_request_row row;
  duro_job_row job;
  duro_arena arena;
} result;

struct duro__claims {
  char holder[160];
  duro__hold *held;
  bool claiming, renewing;
  size_t finishing; // results that are being stored
  result *unstored; // results whose storing failed
  bool look;        // there may be something to claim
  bool check;       // claims may have been taken from us
  bool looked;      // the last look found nothing more
  int64_t version, poll_ms;
  uint64_t last_poll_ns, last_claim_ns, announced_ns, retry_ns;
};

static bool serves(const duro_runtime *rt) {
  return rt->options.queue_count > 0 && !rt->closing && !rt->lost && !rt->fault;
}

static struct duro__claims *claims(duro_runtime *rt) {
  struct duro__claims *c = rt->claims;
  if (c) return c;
  c = rt->claims = calloc(1, sizeof *c);
  if (!c) return NULL;
  char host[64] = "unknown", random[DURO_RUN_ID_SIZE];
  gethostname(host, sizeof host - 1);
  host[sizeof host - 1] = 0;
  duro_run_id(random);
  snprintf(c->holder, sizeof c->holder, "%d@%s-%.12s", rt->pid, host, random);
  c->look = true;
  c->poll_ms = POLL_LEAST_MS;
  return c;
}

static void command_free(duro__command *c) {
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

// --- Claims in hand ---

static duro__hold *hold_new(struct duro__claims *c, const duro_job_row *row) {
  duro__hold *k = calloc(1, sizeof *k);
  if (!k) return NULL;
  k->row_id = row->id;
  k->claimed_at_ms = row->claimed_at_ms;
  k->renewed_ns = duro_clock_monotonic_ns();
  k->next = c->held;
  k->link = &c->held;
  if (k->next) k->next->link = &k->next;
  c->held = k;
  return k;
}

static void hold_free(duro__hold *k) {
  *k->link = k->next;
  if (k->next) k->next->link = k->link;
  free(k);
}

static duro__hold *find_hold(const struct duro__claims *c, int64_t row_id) {
  for (duro__hold *k = c->held; k; k = k->next) {
    if (k->row_id == row_id) return k;
  }
  return NULL;
}

static void lose(duro_runtime *rt, duro__hold *k) {
  k->gone = true;
  if (k->job) duro__job_cancel(rt, k->job);
}

// The job is over without a result that anybody wants.
void duro__claim_drop(duro_job *job) {
  if (!job->hold) return;
  hold_free(job->hold);
  job->hold = NULL;
}

bool duro__claim_times(const duro_runtime *rt, int64_t row_id, int64_t *claimed_at_ms,
                       int64_t *beat_at_ms) {
  const duro__hold *k = rt->claims ? find_hold(rt->claims, row_id) : NULL;
  if (!k) return false;
  if (claimed_at_ms) *claimed_at_ms = k->claimed_at_ms;
  if (beat_at_ms) *beat_at_ms = k->beat_at_ms;
  return true;
}

void duro__claim_beat(duro_runtime *rt, duro_job *job) {
  job->hold->beat_at_ms = duro__now(rt);
  job->hold->beat_waits = true;
}

// --- Claiming ---

typedef struct claiming {
  duro_claim claim;
  duro_job_row *rows;
  size_t count;
} claiming;

static size_t capacity(const duro_runtime *rt) {
  size_t limit = (size_t)rt->options.activity_concurrency;
  size_t taken = rt->jobs_out + rt->ready_jobs.count;
  return taken < limit ? limit - taken : 0;
}

// The owner hears of it through the file, as if it were a result: history shows the loss.
static void tell_losses(duro_runtime *rt, const claiming *k, duro_arena *arena) {
  duro_request_row *rows = duro_arena_alloc(arena, (k->count + 1) * sizeof *rows);
  int64_t *ids = duro_arena_alloc(arena, (k->count + 1) * sizeof *ids);
  size_t count = 0;
  for (size_t n = 0; rows && ids && n < k->count; n++) {
    const duro_job_row *job = &k->rows[n];
    if (!job->lost) continue;
    duro_buf b = {0};
    duro_buf_add_lit(&b, "{\"await\":false,\"args\":{");
    duro__add_int_member(&b, "key", job->instance_key);
    duro__add_int_member(&b, "execution", job->execution_id);
    duro__add_int_member(&b, "task", job->event_id);
    duro__add_int_member(&b, "attempt", job->attempt);
    duro__add_int_member(&b, "lost", job->lost);
    duro__add_json_member(&b, "heartbeat", job->heartbeat);
    duro_buf_add_lit(&b, "}}");
    rows[count++] = (duro_request_row){.kind = DURO_STR("job"),
                                       .instance_id = job->instance_id,
                                       .instance_key = job->instance_key,
                                       .body = duro_arena_dup(arena, duro_buf_str(&b)),
                                       .posted_at_ms = k->claim.now_ms};
    duro_buf_free(&b);
  }
  if (!count || arena->oom) return;
  duro_post post = {
      .requests = rows, .request_count = count, .request_ids = ids, .now_ms = k->claim.now_ms};
  duro__store_post(rt->store, &post, NULL); // it tells more than it changes
}

static void claim_run(duro_runtime *rt, duro__command *c) {
  claiming *k = c->subject;
  c->code = duro__store_claim_jobs(rt->store, &k->claim, &c->arena, &k->rows, &k->count, &c->error);
  if (!c->code && k->count) tell_losses(rt, k, &c->arena);
}

static void take_job(duro_runtime *rt, struct duro__claims *c, const duro_job_row *row) {
  duro__code *code = duro__find_activity(rt, row->name);
  duro__hold *k = code && !find_hold(c, row->id) ? hold_new(c, row) : NULL;
  duro_job *job = k ? duro__job_of_row(rt, row, code) : NULL;
  if (job) {
    job->hold = k;
    k->job = job;
  } else if (k) {
    hold_free(k); // its lease ends, and somebody else gets it
  }
}

static void claim_done(duro_runtime *rt, duro__command *c) {
  claiming *k = c->subject;
  struct duro__claims *own = rt->claims;
  own->claiming = false;
  // Whoever waits for everything to be idle looks again.
  rt->did_something |= !own->looked || rt->options.virtual_clock;
  own->looked = true;
  if (c->code) {
    own->looked = c->code != DURO_BUSY;
    own->look = true;
    own->retry_ns = duro_clock_monotonic_ns() + (c->code == DURO_BUSY ? BUSY_PAUSE_NS : RETRY_NS);
    if (c->code != DURO_BUSY) {
      duro__log(rt, "warn", "jobs cannot be claimed: %s", c->error ? c->error->message : "");
    }
  } else if (k->claim.announce) {
    own->announced_ns = duro_clock_monotonic_ns();
  }
  for (size_t n = 0; n < k->count && !rt->closing; n++) take_job(rt, own, &k->rows[n]);
  if (k->count) {
    own->poll_ms = POLL_LEAST_MS;
    own->look = true; // there may be more
    rt->did_something = true;
  }
  free(k);
  command_free(c);
}

// The names of the activities that can run here, in the command's arena.
static bool add_names(duro_runtime *rt, duro_claim *claim, duro_arena *arena) {
  duro_str *names = duro_arena_alloc(arena, (rt->activities.count + 1) * sizeof *names);
  size_t at = 0, count = 0;
  if (!names) return false;
  for (duro_map_slot *s; (s = duro_map_each(&rt->activities, &at));) {
    names[count++] = duro_arena_dup(arena, s->key);
  }
  claim->names = names;
  claim->name_count = count;
  return !arena->oom;
}

static void start_claim(duro_runtime *rt, struct duro__claims *c, size_t limit, bool announce) {
  claiming *k = calloc(1, sizeof *k);
  duro__command *command = k ? duro__command_new(claim_run, claim_done) : NULL;
  int64_t now_ms = duro_clock_wall_ms();
  if (!command || !add_names(rt, &k->claim, &command->arena)) {
    if (command) command_free(command);
    free(k);
    return;
  }
  k->claim.queues = rt->options.queues;
  k->claim.queue_count = rt->options.queue_count;
  k->claim.holder = duro_str_from(c->holder);
  k->claim.now_ms = now_ms;
  k->claim.lease_until_ms = now_ms + rt->options.job_lease_ms;
  k->claim.at_ms = duro__now(rt);
  k->claim.limit = limit;
  k->claim.announce = announce;
  command->subject = k;
  c->claiming = true;
  c->look = false;
  c->last_claim_ns = duro_clock_monotonic_ns();
  duro__writer_push(rt, command);
}

// --- Renewing ---

typedef struct renewal {
  duro_job_row *rows;
  bool *locked;
  size_t count;
} renewal;

// When one is locked none is renewed: then each by itself.
static void renew_run(duro_runtime *rt, duro__command *c) {
  renewal *r = c->subject;
  int64_t now_ms = duro_clock_wall_ms();
  c->code = duro__store_renew_jobs(rt->store, r->rows, r->count, now_ms, &c->error);
  if (c->code != DURO_LOCKED) return;
  c->code = DURO_OK;
  for (size_t n = 0; n < r->count && !c->code; n++) {
    duro_code code = duro__store_renew_jobs(rt->store, &r->rows[n], 1, now_ms, NULL);
    r->locked[n] = code == DURO_LOCKED;
    if (code && !r->locked[n]) c->code = code;
  }
}

static void renew_done(duro_runtime *rt, duro__command *c) {
  renewal *r = c->subject;
  rt->claims->renewing = false;
  rt->did_something |= rt->options.virtual_clock;
  if (c->code) {
    rt->claims->retry_ns =
        duro_clock_monotonic_ns() + (c->code == DURO_BUSY ? BUSY_PAUSE_NS : RETRY_NS);
    if (c->code != DURO_BUSY) {
      duro__log(rt, "warn", "leases of jobs cannot be renewed: %s",
                c->error ? c->error->message : "");
    }
  }
  for (size_t n = 0; n < r->count; n++) {
    duro__hold *k = find_hold(rt->claims, r->rows[n].id);
    if (!k) continue;
    if (r->locked[n])
      lose(rt, k);
    else if (c->code && r->rows[n].beat_at_ms)
      k->beat_waits = true;
    if (!c->code) k->renewed_ns = duro_clock_monotonic_ns();
  }
  command_free(c);
}

static bool beat_is_due(const duro_runtime *rt, const duro__hold *k, uint64_t now_ns) {
  if (!k->beat_waits || !k->job) return false;
  if (rt->options.virtual_clock || !k->beat_written_ns) return true;
  int64_t every_ms =
      k->job->heartbeat_timeout_ms ? k->job->heartbeat_timeout_ms / 4 : BEAT_EVERY_MS;
  if (every_ms > BEAT_EVERY_MS) every_ms = BEAT_EVERY_MS;
  return now_ns - k->beat_written_ns >= (uint64_t)every_ms * 1000000;
}

static bool renewal_is_due(const duro_runtime *rt, const duro__hold *k, uint64_t now_ns) {
  uint64_t third_ns = (uint64_t)rt->options.job_lease_ms * 1000000 / 3; // two renewals may fail
  return !k->gone && (now_ns - k->renewed_ns >= third_ns || beat_is_due(rt, k, now_ns));
}

static void add_renewal(const struct duro__claims *c, renewal *r, duro__hold *k, int64_t until_ms,
                        duro_arena *arena, uint64_t now_ns) {
  duro_job_row *row = &r->rows[r->count];
  r->locked[r->count++] = false;
  *row = (duro_job_row){
      .id = k->row_id, .holder = duro_str_from(c->holder), .lease_until_ms = until_ms};
  if (!k->beat_waits || !k->job) return;
  k->beat_waits = false;
  k->beat_written_ns = now_ns;
  row->beat_at_ms = k->beat_at_ms;
  if (k->job->heartbeat.n) {
    row->heartbeat = duro_arena_dup(arena, duro_buf_str(&k->job->heartbeat));
  }
}

// `all`: also those that are not due, until `until_ms`.
static bool start_renewal(duro_runtime *rt, struct duro__claims *c, bool all, int64_t until_ms) {
  uint64_t now_ns = duro_clock_monotonic_ns();
  size_t count = 0;
  for (duro__hold *k = c->held; k; k = k->next) {
    count += !k->gone && (all || renewal_is_due(rt, k, now_ns));
  }
  duro__command *command = count ? duro__command_new(renew_run, renew_done) : NULL;
  if (!command) return false;
  duro_arena *arena = &command->arena;
  renewal *r = duro_arena_alloc(arena, sizeof *r);
  if (r) {
    r->count = 0;
    r->rows = duro_arena_alloc(arena, count * sizeof *r->rows);
    r->locked = duro_arena_alloc(arena, count * sizeof *r->locked);
  }
  if (arena->oom) {
    command_free(command);
    return false;
  }
  for (duro__hold *k = c->held; k; k = k->next) {
    if (k->gone || !(all || renewal_is_due(rt, k, now_ns))) continue;
    add_renewal(c, r, k, until_ms, arena, now_ns);
  }
  command->subject = r;
  c->renewing = true;
  duro__writer_push(rt, command);
  return true;
}

// --- Whether what is held is still ours ---

static bool is_ours(const struct duro__claims *c, const duro_job_row *rows, size_t count,
                    int64_t id) {
  for (size_t n = 0; n < count; n++) {
    if (rows[n].id == id) return duro_str_equal(rows[n].holder, duro_str_from(c->holder));
  }
  return false;
}

static void check_held(duro_runtime *rt, struct duro__claims *c) {
  duro_arena arena = {0};
  duro_job_row *rows = NULL;
  size_t count = 0, held = 0;
  for (duro__hold *k = c->held; k; k = k->next) held++;
  int64_t *ids = held ? duro_arena_alloc(&arena, held * sizeof *ids) : NULL;
  held = 0;
  for (duro__hold *k = c->held; ids && k; k = k->next) {
    if (!k->gone && k->job) ids[held++] = k->row_id; // what is being finished decides by itself
  }
  if (held && !duro__store_jobs(rt->store, 0, ids, held, &arena, &rows, &count, NULL)) {
    for (size_t n = 0; n < held; n++) {
      duro__hold *k = is_ours(c, rows, count, ids[n]) ? NULL : find_hold(c, ids[n]);
      if (k) lose(rt, k);
    }
  }
  c->check = false;
  duro_arena_free(&arena);
}

// --- Results ---

static void finish_run(duro_runtime *rt, duro__command *c) {
  result *r = c->subject;
  uint64_t until_ns = duro_clock_monotonic_ns() + BUSY_PATIENCE_NS;
  for (;;) {
    duro_error_free(c->error);
    c->error = NULL;
    c->code = duro__store_finish_job(rt->store, &r->job, &r->row, r->row.posted_at_ms, &c->error);
    if (c->code != DURO_BUSY || duro_clock_monotonic_ns() > until_ns) return;
    struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
    nanosleep(&pause, NULL); // the store thread may wait for another process
  }
}

static void result_free(result *r) {
  if (r->claim) hold_free(r->claim);
  duro_arena_free(&r->arena);
  free(r);
}

static void finish_done(duro_runtime *rt, duro__command *c) {
  result *r = c->subject;
  struct duro__claims *own = rt->claims;
  own->finishing--;
  rt->did_something = true;
  if (!c->code || c->code == DURO_LOCKED || rt->closing) {
    if (c->code == DURO_LOCKED) {
      duro__log(rt, "info", "a result of '%.*s' came too late and is dropped",
                DURO_FMT(r->row.instance_id));
    }
    result_free(r);
    if (!c->code && rt->role == DURO_ROLE_RUNTIME) duro__clients_take(rt);
  } else {
    duro__log(rt, "warn", "a result cannot be stored yet: %s", c->error ? c->error->message : "");
    r->next = own->unstored;
    own->unstored = r;
    own->retry_ns = duro_clock_monotonic_ns() + RETRY_NS;
  }
  command_free(c);
}

static bool start_finish(duro_runtime *rt, result *r) {
  duro__command *command = duro__command_new(finish_run, finish_done);
  if (!command) return false;
  command->subject = r;
  rt->claims->finishing++;
  duro__writer_push(rt, command);
  return true;
}

static void retry_results(duro_runtime *rt, struct duro__claims *c) {
  result *r = c->unstored;
  c->unstored = NULL;
  while (r) {
    result *next = r->next;
    if (!start_finish(rt, r)) {
      r->next = c->unstored;
      c->unstored = r;
    }
    r = next;
  }
}

static duro_str body_of(const duro_job *job, const duro_event *e, duro_arena *arena) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "{\"await\":false,\"args\":{");
  duro__add_int_member(&b, "key", job->instance_key);
  duro__add_int_member(&b, "execution", job->execution_id);
  duro__add_int_member(&b, "task", job->task);
  duro__add_int_member(&b, "attempt", job->info.attempt);
  if (e->kind == DURO_EVENT_ACTIVITY_DEFERRED) {
    duro__add_json_member(&b, "deferred", DURO_STR("true"));
    if (e->fire_at_ms) duro__add_int_member(&b, "fire_at", e->fire_at_ms);
  }
  duro__add_json_member(&b, "output", e->output);
  duro__add_json_member(&b, "error", e->error);
  duro__add_json_member(&b, "heartbeat", e->heartbeat);
  duro_buf_add_lit(&b, "}}");
  duro_str body = b.oom ? DURO_NONE : duro_arena_dup(arena, duro_buf_str(&b));
  duro_buf_free(&b);
  return body;
}

// The end of a claimed job; the claim stays until this is stored, so that its lease is kept meanwhile.
void duro__claim_finish(duro_runtime *rt, duro_job *job, const duro_event *e) {
  duro__hold *k = job->hold;
  if (k->gone || job->cancelled || rt->closing) return; // job_free drops it
  result *r = calloc(1, sizeof *r);
  if (!r) return;
  r->job = (duro_job_row){.id = k->row_id, .holder = duro_str_from(rt->claims->holder)};
  r->row = (duro_request_row){.kind = DURO_STR("job"),
                              .instance_id = duro_arena_dup(&r->arena, job->info.instance_id),
                              .instance_key = job->instance_key,
                              .body = body_of(job, e, &r->arena),
                              .posted_at_ms = duro__now(rt)};
  if (r->arena.oom || !r->row.body.p || !start_finish(rt, r)) {
    duro__log(rt, "error", "memory is out: a result of '%.*s' is lost and its activity runs again",
              DURO_FMT(job->info.instance_id));
    result_free(r);
    return;
  }
  r->claim = k;
  k->job = NULL;
  job->hold = NULL;
}

// --- The step ---

static bool due(uint64_t since_ns, int64_t ms) {
  return duro_clock_monotonic_ns() - since_ns >= (uint64_t)ms * 1000000;
}

static void poll(duro_runtime *rt, struct duro__claims *c) {
  if (!due(c->last_poll_ns, c->poll_ms)) return;
  c->last_poll_ns = duro_clock_monotonic_ns();
  int64_t version = c->version;
  bool changed =
      duro__store_data_version(rt->store, &version, NULL) == DURO_OK && version != c->version;
  c->version = version;
  if (changed) c->look = c->check = true;
  // Leases end without anybody writing.
  if (due(c->last_claim_ns, POLL_MOST_MS)) c->look = true;
  if (c->poll_ms < POLL_MOST_MS) c->poll_ms += 2;
}

bool duro__claims_step(duro_runtime *rt) {
  struct duro__claims *c = serves(rt) ? claims(rt) : NULL;
  if (!c) return false;
  if (rt->jobs_changed) c->look = c->check = true;
  rt->jobs_changed = false;
  poll(rt, c);
  if (c->check && c->held) check_held(rt, c);
  if (c->retry_ns > duro_clock_monotonic_ns()) return false;
  retry_results(rt, c);
  if (!c->renewing) start_renewal(rt, c, false, duro_clock_wall_ms() + rt->options.job_lease_ms);
  bool announce = duro_clock_monotonic_ns() - c->announced_ns >= ANNOUNCE_NS;
  size_t room = capacity(rt);
  if (!c->claiming && (announce || (c->look && room))) start_claim(rt, c, room, announce);
  return false;
}

int64_t duro__claims_wait_ms(const duro_runtime *rt) {
  if (!serves(rt)) return DURO_NEVER;
  if (!rt->claims) return 0;
  int64_t gone_ms = (int64_t)((duro_clock_monotonic_ns() - rt->claims->last_poll_ns) / 1000000);
  int64_t left_ms = rt->claims->poll_ms - gone_ms;
  return left_ms > 1 ? left_ms : 1;
}

// The store thread has something of it in hand.
bool duro__claims_busy(const duro_runtime *rt) {
  const struct duro__claims *c = rt->claims;
  return c && (c->claiming || c->renewing || c->finishing > 0);
}

bool duro__claims_idle(const duro_runtime *rt) {
  const struct duro__claims *c = rt->claims;
  if (!rt->options.queue_count) return true;
  if (!c || duro__claims_busy(rt) || c->unstored || rt->jobs_changed || !c->looked) return false;
  for (const duro__hold *k = c->held; k; k = k->next) {
    if (k->beat_waits) return false;
  }
  return !c->look || !capacity(rt);
}

// --- Closing ---

// What is still held is given back, so that others need not wait for the end of the leases.
void duro__claims_close(duro_runtime *rt) {
  if (rt->claims && rt->store && !rt->lost) start_renewal(rt, rt->claims, true, 1);
}

void duro__claims_free(duro_runtime *rt) {
  struct duro__claims *c = rt->claims;
  if (!c) return;
  while (c->unstored) {
    result *r = c->unstored;
    c->unstored = r->next;
    result_free(r);
  }
  while (c->held) {
    if (c->held->job) c->held->job->hold = NULL;
    hold_free(c->held);
  }
  free(c);
  rt->claims = NULL;
}
