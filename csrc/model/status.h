// The status of an instance and of an execution: same words in C, SQL and Lua.
#ifndef DURO_MODEL_STATUS_H
#define DURO_MODEL_STATUS_H

#include "base/bytes.h"

// X(NAME, "string", final)
#define DURO_STATUSES(X)                                                                           \
  X(PENDING, "pending", false) /* its start lies in the future */                                  \
  X(RUNNING, "running", false)                                                                     \
  X(SUSPENDED, "suspended", false)                                                                 \
  X(STALLED, "stalled", false)                                                                     \
  X(COMPLETED, "completed", true)                                                                  \
  X(FAILED, "failed", true)                                                                        \
  X(CANCELLED, "cancelled", true)                                                                  \
  X(TERMINATED, "terminated", true)                                                                \
  X(CONTINUED_AS_NEW, "continued_as_new", true) /* of an execution only */

typedef enum duro_status {
#define X(name, string, final) DURO_STATUS_##name,
  DURO_STATUSES(X)
#undef X
      DURO_STATUS_COUNT
} duro_status;

const char *duro_status_string(duro_status s);
bool duro_status_final(duro_status s);
bool duro_status_from(duro_str string, duro_status *out); // false: no such status

// Instance ids and names: UTF-8, 1..max bytes, no control characters. NULL when fine, else a sentence
// fragment such as "is longer than 256 bytes (has 300)" written into `why`.
const char *duro_id_problem(duro_str id, size_t max_bytes, char why[128]);

#endif
