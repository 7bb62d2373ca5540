// feed: the journal as the readers of streams see it: events of instances, or changes of their status.
//
// A row of the journal is a turn, whose events are history; or, with event_count 0, a change that is no part
// of history, written by duro__row_change: [{"change":"stalled","error":{...}}], or "pending", "running",
// and "deleted" with "id" and "name". What a stream gives is made of the two here, on any thread.
// To add a type of event: one line in DURO__FEED_TYPES, its kind in feed.c, and the list in
// lua/duro/types/streams.lua.
#ifndef DURO_RUNTIME_FEED_H
#define DURO_RUNTIME_FEED_H

#include "runtime/feed_names.h"
#include "runtime/internal.h"

#define DURO__FEED_TYPES(X)                                                                        \
  X(STARTED, "started")                                                                            \
  X(COMPLETED, "completed")                                                                        \
  X(FAILED, "failed")                                                                              \
  X(CONTINUED_AS_NEW, "continued_as_new")                                                          \
  X(CANCELLED, "cancelled")                                                                        \
  X(TERMINATED, "terminated")                                                                      \
  X(SUSPENDED, "suspended")                                                                        \
  X(RESUMED, "resumed")                                                                            \
  X(STALLED, "stalled")                                                                            \
  X(ACTIVITY_COMPLETED, "activity_completed")                                                      \
  X(ACTIVITY_FAILED, "activity_failed")                                                            \
  X(TIMER_FIRED, "timer_fired")                                                                    \
  X(EVENT_RECEIVED, "event_received")                                                              \
  X(SUB_ORCHESTRATION_COMPLETED, "sub_orchestration_completed")                                    \
  X(CUSTOM_STATUS_UPDATED, "custom_status_updated")

typedef enum duro__feed_type {
#define X(name, string) DURO__FEED_##name,
  DURO__FEED_TYPES(X)
#undef X
      DURO__FEED_TYPE_COUNT
} duro__feed_type;

// NULL and no suggestion for what is nearest to nothing.
bool duro__feed_type_from(duro_str word, duro__feed_type *out, const char **nearest);

// Some of these types complete something: its name has to be known.
bool duro__feed_asks_names(unsigned types);

// What a reader asks for.
typedef struct duro__feed_query {
  bool statuses;  // changes of status instead of events
  unsigned types; // of events: bit 1 << duro__feed_type
  duro_map ids;   // only these instances, when there are any; id -> anything
  size_t limit;   // events at most
} duro__feed_query;

// The kinds of events that may bring something (bit 1 << duro_event_kind); bit DURO_EVENT_NONE: changes.
uint64_t duro__feed_kinds(const duro__feed_query *q);

// One thing to tell. Its slices live as long as the row and the arena it was read into.
typedef struct duro__feed_item {
  int64_t seq; // the public one
  const duro_change *row;
  duro_str instance_id, name;
  duro__feed_type type;
  const char *status; // of a query for statuses
  duro_event event;   // kind NONE: of a change that is no event; then `error` is all there is
  duro__scheduled completed; // what it completes
} duro__feed_item;

typedef struct duro__feed_items {
  DURO__VEC(duro__feed_item) list;
  int64_t seq; // public: everything up to here has been looked at
  bool full;   // by the limit
} duro__feed_items;

// Adds what is above `since` in this row; sets out->seq. `names` (may be NULL) sees what is scheduled.
// Errors: corrupt, out_of_memory.
duro_code duro__feed_add(const duro__feed_query *q, const duro_change *row, int64_t since,
                         duro__feed_names *names, duro_arena *arena, duro__feed_items *out,
                         duro_error **err);
void duro__feed_item_write(duro_buf *b, const duro__feed_query *q, const duro__feed_item *item);

// --- verbs_stream.c ---
void duro__streams_notify(duro_runtime *rt); // there may be more to read
// ... because `b` (NULL: who knows what) is durable now; `before_seq`: what was committed before it.
void duro__streams_durable(duro_runtime *rt, const duro__batch *b, int64_t before_seq);
void duro__stream_forget(duro_request *r); // its request goes

#endif
