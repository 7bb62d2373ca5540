// bulk: one action on many instances, chosen by id or by filter, in one transaction.
//
// How: the filter's matches are found and counted on the helper thread; then, in one step of the loop, the
// same filter is asked again about those ids alone, and whoever still matches is acted upon in the open
// batch, which also carries the answer. So nothing can change between selection and action, and a crash
// leaves all of it or nothing. One that cannot be acted upon is an outcome, not a failure of the call.
#ifndef DURO_RUNTIME_BULK_H
#define DURO_RUNTIME_BULK_H

#include "runtime/finder.h"

typedef struct duro__bulk duro__bulk;

// What one verb does to those that were chosen. It fills the answer's lists by duro__bulk_done and
// duro__bulk_failed, and ends with duro__bulk_answer; or it begins again later (duro__call_again).
typedef struct duro__bulk_kind {
  const char *done_key; // of the answer: "cancelled_instances"
  void (*act)(duro_runtime *rt, duro__bulk *b);
  int subject; // for `act`
} duro__bulk_kind;

struct duro__bulk {
  const duro__bulk_kind *kind;
  duro_request *request;
  duro__finder *finder; // owns the arena and the arguments
  duro_str *ids;        // each once
  size_t count;
  int64_t total; // that matched
  bool dry_run;
  duro_str reason;
  duro_buf done, failed, third; // JSON lists without brackets
};

// Reads instances/filter, all, max_instances, dry_run and reason, chooses, and acts.
void duro__bulk_begin(duro_runtime *rt, duro_request *r, duro_str args,
                      const duro__bulk_kind *kind);
void duro__bulk_add_id(duro_buf *list, duro_str id);
void duro__bulk_failed(duro__bulk *b, duro_str id, duro_code code, duro_error *err); // owns err
// The instance, live; or NULL, and it is among the failed.
duro__instance *duro__bulk_fetch(duro_runtime *rt, duro__bulk *b, duro_str id);
// Answers when the open batch is durable (at once when nothing was done); `extra` names the third list.
void duro__bulk_answer(duro_runtime *rt, duro__bulk *b, const char *extra);

#endif
