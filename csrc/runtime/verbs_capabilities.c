// verbs_capabilities.c: what this store, this process and this build can do.
//
// To tell of a verb that stores may lack: a row in `optional`.
#include "runtime/answers.h"
#include "runtime/arguments.h"

static const struct {
  const char *name;
  duro__verb verb;
} optional[] = {
    {"task_queues", DURO__VERB_claim_jobs},
    {"streams", DURO__VERB_changes},
    {"indexed_counts", DURO__VERB_count},
    {"counters", DURO__VERB_counters},
    {"audit", DURO__VERB_audit},
    {"checkpoint", DURO__VERB_checkpoint},
};

static void add_bool(duro_buf *b, const char *key, bool value) {
  duro__add_json_member(b, key, value ? DURO_STR("true") : DURO_STR("false"));
}

// By the store, and switched on.
static bool offered(const duro_runtime *rt, duro__verb verb) {
  if (verb == DURO__VERB_changes && !rt->options.enable_streaming) return false;
  return duro__store_has(rt->store, verb);
}

static const char *role_word(const duro_runtime *rt) {
  if (rt->role == DURO_ROLE_RUNTIME) return "runtime";
  return rt->asked_role == DURO_ROLE_WORKER ? "worker" : "client";
}

void duro__verb_capabilities(duro_runtime *rt, duro_request *r, duro_str args) {
  (void)args;
  duro_buf *b = &r->answer;
  duro_buf_clear(b);
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "store", duro_str_from(duro__store_type(rt->store)));
  duro__add_text_member(b, "role", duro_str_from(role_word(rt)));
  for (size_t n = 0; n < sizeof optional / sizeof *optional; n++)
    add_bool(b, optional[n].name, offered(rt, optional[n].verb));
  add_bool(b, "worker_threads", rt->host.thread_run != NULL);
  add_bool(b, "metrics", rt->options.enable_metrics);
  duro__add_int_member(b, "max_list_instances", rt->options.max_list_instances);
  duro__add_int_member(b, "max_bulk_operations", rt->options.max_bulk_operations);
  duro_buf_add_char(b, '}');
  duro__request_durable(r);
}
