// audit.c: see audit.h. Which calls are logged, what an entry keeps of them, and whose batch it joins.
//
// What the arguments tell is kept when a call begins, what came of it is read off its answer.
#include "runtime/audit.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/arguments.h"

#define ROW_BYTES 64 // of an entry beside its texts

// How an entry finds the instances that its call was about.
typedef enum target_kind {
  TARGET_ID,       // the argument `id`
  TARGET_STARTED,  // the answer, an id
  TARGET_STARTS,   // the answer, an array of ids
  TARGET_TOKEN,    // the argument `token` names one
  TARGET_OUTCOMES, // the answer's lists
  TARGET_GIVEN,    // the argument `targets`
  TARGET_NONE,
} target_kind;

// `always`: also without a context. What the process itself starts, raises and completes is its work, and
// stands in the histories of the instances.
static const struct {
  const char *verb;
  target_kind target;
  bool always;
} calls[] = {
    {"start", TARGET_STARTED, false},
    {"start_many", TARGET_STARTS, false},
    {"raise_event", TARGET_ID, false},
    {"complete_activity", TARGET_TOKEN, false},
    {"fail_activity", TARGET_TOKEN, false},
    {"cancel", TARGET_ID, true},
    {"terminate", TARGET_ID, true},
    {"suspend", TARGET_ID, true},
    {"resume", TARGET_ID, true},
    {"delete_instance", TARGET_ID, true},
    {"prune_executions", TARGET_ID, true},
    {"cancel_instances", TARGET_OUTCOMES, true},
    {"terminate_instances", TARGET_OUTCOMES, true},
    {"suspend_instances", TARGET_OUTCOMES, true},
    {"resume_instances", TARGET_OUTCOMES, true},
    {"delete_instances", TARGET_OUTCOMES, true},
    {"raise_event_bulk", TARGET_OUTCOMES, true},
    {"retry_failed", TARGET_OUTCOMES, true},
    {"prune", TARGET_NONE, true},
    {"audit_denied", TARGET_GIVEN, true},
};

// What an entry keeps of the arguments: no payloads.
static const char *const kept_arguments[] = {
    "name",        "version",  "on_conflict",  "event_name", "dedup_id",
    "reason",      "filter",   "force",        "keep_last",  "completed_before_ms",
    "start_at_ms", "delay_ms", "max_instances"};

struct duro__audit {
  duro_buf call, target, arguments; // target: what the arguments tell, without brackets
  target_kind kind;
  int64_t executions_deleted, events_deleted; // by what the next entry tells of
  bool denied, joined, stepped;               // stepped: it has entries for its steps
};

// --- Beginning ---

// The id of the instance that a token belongs to; absent when it is no more.
static duro_str token_owner(duro_runtime *rt, duro_str args, duro_arena *arena) {
  duro_str id = DURO_NONE, token = duro_json_member_text(args, "token", arena);
  duro_error *err = NULL;
  duro__token_instance(rt, token, arena, &id, &err);
  duro_error_free(err);
  return id;
}

static void add_raw_list(duro_buf *b, duro_str array) {
  if (array.n <= 2 || array.p[0] != '[') return;
  if (b->n) duro_buf_add_char(b, ',');
  duro_buf_add_str(b, (duro_str){array.p + 1, array.n - 2});
}

static void add_target(duro_request *r, struct duro__audit *a, duro_str args) {
  duro_arena arena = {0};
  duro_str id = a->kind == TARGET_TOKEN ? token_owner(r->rt, args, &arena)
                                        : duro_json_member_text(args, "id", &arena);
  if (a->kind == TARGET_GIVEN)
    add_raw_list(&a->target, duro__member(args, "targets"));
  else if (a->kind == TARGET_OUTCOMES)
    add_raw_list(&a->target, duro__member(args, "instances"));
  else if (id.p)
    duro_json_add_string(&a->target, id);
  duro_arena_free(&arena);
}

static void add_arguments(struct duro__audit *a, duro_str args) {
  duro_buf_add_char(&a->arguments, '{');
  for (size_t n = 0; n < sizeof kept_arguments / sizeof *kept_arguments; n++) {
    duro__add_json_member(&a->arguments, kept_arguments[n], duro__member(args, kept_arguments[n]));
  }
  duro_buf_add_char(&a->arguments, '}');
}

static bool begin(duro_request *r, target_kind kind, duro_str verb, duro_str args) {
  struct duro__audit *a = calloc(1, sizeof *a);
  if (!a) return false;
  bool array = args.n && args.p[0] == '[';
  r->audit = a;
  a->kind = kind;
  a->denied = kind == TARGET_GIVEN;
  if (a->denied) {
    duro_arena arena = {0};
    duro_buf_add_str(&a->call, duro_json_member_text(args, "call", &arena));
    duro_arena_free(&arena);
  } else {
    duro_buf_add_str(&a->call, verb);
  }
  if (array) return true;
  add_target(r, a, args);
  add_arguments(a, args);
  return true;
}

bool duro__audit_begin(duro_request *r, duro_str verb, duro_str args) {
  duro_runtime *rt = r->rt;
  if (r->audit || rt->role != DURO_ROLE_RUNTIME || !duro__store_has(rt->store, DURO__VERB_audit))
    return true;
  for (size_t n = 0; n < sizeof calls / sizeof *calls; n++) {
    if (!duro_str_equal(verb, duro_str_from(calls[n].verb))) continue;
    bool logged = calls[n].always || r->context;
    if (!logged || duro_json_member_bool(args, "dry_run", false)) return true;
    return begin(r, calls[n].target, verb, args);
  }
  return true;
}

void duro__audit_free(duro_request *r) {
  struct duro__audit *a = r->audit;
  if (!a) return;
  duro_buf_free(&a->call);
  duro_buf_free(&a->target);
  duro_buf_free(&a->arguments);
  free(a);
  r->audit = NULL;
}

// --- The entry ---

static bool ends_with(duro_str s, const char *end) {
  size_t n = strlen(end);
  return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

// The ids in every list of the answer but that of failures, which *failed gets.
static void add_outcomes(duro_buf *b, duro_str answer, duro_str *failed) {
  duro_json_reader reader;
  duro_json_open(&reader, answer);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_OBJECT) return;
  while (duro_json_next(&reader) == DURO_JSON_KEY) {
    duro_str key = reader.text, value;
    if (!duro_json_skip(&reader, &value)) return;
    if (duro_str_equal(key, DURO_STR("failed_instances")))
      *failed = value;
    else if (ends_with(key, "_instances"))
      add_raw_list(b, value);
  }
}

static void add_targets(duro_buf *b, const duro_request *r, duro_str *failed) {
  const struct duro__audit *a = r->audit;
  duro_str answer = duro_buf_str(&r->answer);
  duro_buf_add_char(b, '[');
  duro_buf list = {0};
  if (!r->code && a->kind == TARGET_OUTCOMES)
    add_outcomes(&list, answer, failed);
  else if (!r->code && a->kind == TARGET_STARTS)
    add_raw_list(&list, answer);
  else if (!r->code && a->kind == TARGET_STARTED && answer.n && answer.p[0] == '"')
    duro_buf_add_str(&list, answer);
  else
    duro_buf_add_str(&list, duro_buf_str(&a->target));
  duro_buf_add_str(b, duro_buf_str(&list));
  if (list.oom) b->oom = true;
  duro_buf_free(&list);
  duro_buf_add_char(b, ']');
}

static void add_detail(duro_buf *b, const duro_request *r, duro_str failed) {
  const struct duro__audit *a = r->audit;
  const char *outcome = a->denied ? "denied" : r->code ? duro_code_string(r->code) : "ok";
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "outcome", duro_str_from(outcome));
  if (r->code) {
    duro__add_key(b, "error");
    duro__add_error(b, r->code, r->error);
  }
  if (a->executions_deleted) {
    duro__add_int_member(b, "executions_deleted", a->executions_deleted);
    duro__add_int_member(b, "events_deleted", a->events_deleted);
  }
  if (a->arguments.n > 2) duro__add_json_member(b, "arguments", duro_buf_str(&a->arguments));
  if (failed.n > 2) duro__add_json_member(b, "failed_instances", failed);
  duro_buf_add_char(b, '}');
}

static bool write_entry(duro_runtime *rt, duro__batch *b, duro_request *r) {
  struct duro__audit *a = r->audit;
  duro_buf target = {0}, detail = {0};
  duro_str failed = DURO_NONE, context = r->context ? duro_str_from(r->context) : DURO_NONE;
  add_targets(&target, r, &failed);
  add_detail(&detail, r, failed);
  bool fine = !target.oom && !detail.oom && !a->call.oom && !a->target.oom && !a->arguments.oom;
  duro_audit_row *row = fine ? duro__vec_push(&b->audit) : NULL;
  if (row) {
    *row = (duro_audit_row){.at_ms = duro__now(rt),
                            .actor = duro__row_keep(b, context),
                            .action = duro__row_keep(b, duro_buf_str(&a->call)),
                            .target = duro__row_keep(b, duro_buf_str(&target)),
                            .detail = duro__row_keep(b, duro_buf_str(&detail))};
    rt->last_audit_id +=
        (int64_t)(row->actor.n + row->action.n + row->target.n + row->detail.n) + ROW_BYTES;
    row->id = rt->last_audit_id;
  }
  duro_buf_free(&target);
  duro_buf_free(&detail);
  return row != NULL;
}

void duro__audit_joins(duro_runtime *rt, duro__batch *b, duro_request *r) {
  if (!r->audit || r->audit->joined || r->again) return;
  if (!write_entry(rt, b, r)) b->poisoned = true; // no change without its entry
  r->audit->joined = true;                        // also when it falls with this batch
}

void duro__audit_pruned(duro_request *r, int64_t executions, int64_t events) {
  if (!r->audit) return;
  r->audit->executions_deleted = executions;
  r->audit->events_deleted = events;
}

void duro__audit_step(duro_runtime *rt, duro__batch *b, duro_request *r) {
  if (!r->audit) return;
  if (!write_entry(rt, b, r)) b->poisoned = true;
  r->audit->stepped = true;
  duro__audit_pruned(r, 0, 0);
}

bool duro__audit_ends(duro_request *r) {
  duro_runtime *rt = r->rt;
  if (!r->audit || r->audit->joined || rt->closing || rt->lost) return false;
  if (r->audit->stepped && !r->code) return false; // its last step found nothing more to do
  duro__batch *b = duro__batch_open(rt);
  if (!b) return false;
  duro__audit_joins(rt, b, r);
  if (r->row_id) return false; // its answer goes into that batch, too
  duro_request **slot = duro__vec_push(&b->requests);
  if (!slot) return false;
  *slot = r;
  return true;
}

// --- Those who were not let in ---

// {call, targets}: somebody asked for what the process's hooks refuse.
void duro__verb_audit_denied(duro_runtime *rt, duro_request *r, duro_str args) {
  duro_buf_clear(&r->answer);
  duro_buf_add_lit(&r->answer, "true");
  duro__batch *b = duro__batch_open(rt);
  (void)args;
  if (b)
    duro__batch_answer(rt, b, r);
  else
    duro__fail_memory(r);
}
