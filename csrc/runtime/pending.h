// pending: the work that an execution waits for, as `details` and `at` show it.
#ifndef DURO_RUNTIME_PENDING_H
#define DURO_RUNTIME_PENDING_H

#include "runtime/internal.h"

// The members pending_activities, pending_timers, pending_events and pending_sub_orchestrations of the
// open object. `x` is what history tells; `live` (NULL: none) the same execution in memory, which knows
// what is not in history: whether a job runs just now.
void duro__add_pending(duro_buf *b, duro_runtime *rt, duro__exec *x, duro__instance *live);

#endif
