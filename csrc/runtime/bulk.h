// bulk: one action on many instances, chosen by id or by filter, in one transaction.
//
// How: the filter's matches are found and counted on the helper thread (bulk.c). Then they are acted upon in
// slices, a few milliseconds of each step of the loop, so that turns, timers and answers come in between
// (bulk_steps.c). Right before its slice the filter is asked again about it. All that is done goes into the
// open batch, which is not handed over before the last slice and carries the answer: so a crash leaves all
// of it or nothing, and nobody reads half of it. Calls are worked off one after the other, as they came.
// One that cannot be acted upon is an outcome, not a failure of the call.
#ifndef DURO_RUNTIME_BULK_H
#define DURO_RUNTIME_BULK_H

#include "runtime/internal.h"

typedef struct duro__bulk duro__bulk;

// What one verb does to each of those that were chosen. It tells the outcome by duro__bulk_add_id or
// duro__bulk_failed.
typedef struct duro__bulk_kind {
  const char *done_key,
      *third_key; // lists of the answer: "cancelled_instances"; NULL: no third one
  // Reads what else its arguments hold; NULL: nothing. False: the request is answered.
  bool (*read)(duro_runtime *rt, duro__bulk *b);
  // Acts on one, in the open batch. False: something of it is in flight, and it is asked again when that
  // is durable; never when `last`: then it is in the open batch, which waits for this call.
  bool (*act)(duro_runtime *rt, duro__bulk *b, duro_str id, bool last);
  // Goes over all of them before the first is acted upon, with `force` only, and makes each stand still;
  // NULL: not needed. True: something of it is in flight, so all are gone over again when that is durable.
  bool (*stop)(duro_runtime *rt, duro__bulk *b, duro_str id);
  // Each gets a message: the call is over when the turns that take them have run. Else it reads what is
  // stored, so it begins with a batch of its own.
  bool turns;
  int subject; // for `act`
} duro__bulk_kind;

typedef enum duro__bulk_phase {
  DURO__BULK_STOP,
  DURO__BULK_ACT,
  DURO__BULK_REST, // those that were in flight
  DURO__BULK_TURNS,
} duro__bulk_phase;

struct duro__bulk {
  duro__bulk *next; // of those that wait
  const duro__bulk_kind *kind;
  duro_request *request;
  duro_arena arena;
  duro_str args;
  duro_filter filter;
  bool filtered; // chosen by it
  duro_str *ids; // each once
  size_t count;
  int64_t total, matched; // total -1: as many as still match when it comes to them
  bool dry_run, force, at_once;
  duro_str reason, event_name, event_data;
  duro_buf done, failed, third; // JSON lists without brackets

  duro__bulk_phase phase;
  size_t at; // how far this phase has come
  bool in_flight;
  int64_t wait_batch;         // nothing before this batch is durable
  uint64_t turns_until_ns;    // nothing before what was ready then has run
  DURO__VEC(duro_str) rest;   // for DURO__BULK_REST
  duro_map deleted;           // keys, by this call
  DURO__VEC(int64_t) stopped; // keys of those that stand still for it
};

// Reads instances/filter, all, max_instances, dry_run and reason, chooses, and acts.
void duro__bulk_begin(duro_runtime *rt, duro_request *r, duro_str args,
                      const duro__bulk_kind *kind);
void duro__bulk_add_id(duro_buf *list, duro_str id);
void duro__bulk_failed(duro__bulk *b, duro_str id, duro_code code, duro_error *err); // owns err
// The instance, live; or NULL, and it is among the failed.
duro__instance *duro__bulk_fetch(duro_runtime *rt, duro__bulk *b, duro_str id);

// --- bulk_steps.c ---
// Everything is chosen: few are acted upon at once, many in slices. Owns it, and answers its request.
void duro__bulk_work(duro_runtime *rt, duro__bulk *b);
void duro__bulk_free(duro_runtime *rt, duro__bulk *b);
// The next slice; true when there was one.
bool duro__bulks_turn(duro_runtime *rt);
// There are some, and the first waits for others to move.
bool duro__bulks_wait(const duro_runtime *rt);
void duro__bulk_forget(duro_request *r); // it is over; its call, if it is one, goes no further
void duro__bulks_close(duro_runtime *rt);

#endif
