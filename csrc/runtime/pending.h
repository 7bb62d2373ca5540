// pending: the work that an execution waits for, as `details` and `at` show it.
#ifndef DURO_RUNTIME_PENDING_H
#define DURO_RUNTIME_PENDING_H

#include "runtime/internal.h"

// The members pending_activities, pending_timers, pending_events and pending_sub_orchestrations of the
// open object. `x` is what history tells. What is not in history, whether a job runs just now, is known by
// `live`, the same execution in memory (NULL: it is not), and by the rows of task queues under `key` (0: it
// is looked back at, and nothing runs).
void duro__add_pending(duro_buf *b, duro_runtime *rt, duro__exec *x, duro__instance *live,
                       int64_t key);

#endif
