// retry_plan: what is to be done so that a failed instance goes on from the step that failed it.
//
// A plan is made by reading alone, and refused as a whole when any part of it cannot be done. It holds the
// root and, where the failed step is a sub-orchestration, what becomes of that: one that failed by a step
// of its own goes on from there too; any other that ended badly begins anew under its id.
#ifndef DURO_RUNTIME_RETRY_PLAN_H
#define DURO_RUNTIME_RETRY_PLAN_H

#include "runtime/internal.h"

// One instance that goes on. Everything lives in the plan's arena.
typedef struct duro__retry_step {
  duro_instance_row row;
  duro_events events;    // of its current execution, all of them
  int64_t from_event_id; // the failure: this and all later ones are masked
  duro_event *arrivals;  // what is to be told again, for it is masked and still true
  size_t arrival_count;
} duro__retry_step;

// One sub-orchestration that begins anew.
typedef struct duro__retry_restart {
  int64_t parent_key;
  duro__new_instance instance;
  bool replaces; // an ended one of that id goes, with its tree
} duro__retry_restart;

typedef struct duro__retry_plan {
  duro_arena *arena;
  DURO__VEC(duro__retry_step) steps; // the root first, parents before children
  DURO__VEC(duro__retry_restart) restarts;
} duro__retry_plan;

// Errors: not_found; running (it, or something of it, has not ended); busy (it has ended, but that is not
// in the store yet: ask again when it is); finished (it ended otherwise); invalid_argument (a child, or a
// failure that is not a step's); those of the store.
duro_code duro__retry_plan_make(duro_runtime *rt, duro_str id, duro_arena *arena,
                                duro__retry_plan *out, duro_error **err);
void duro__retry_plan_free(duro__retry_plan *p);

#endif
