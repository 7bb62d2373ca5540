// Errors: one table of codes, and an error object that travels with its answer between threads.
//
// Functions that can fail return a duro_code (0 is success) and, when `err` is not NULL, leave an
// owned duro_error there. To add a code: one line in DURO_CODES, and the list in lua/duro/types.
#ifndef DURO_BASE_ERROR_H
#define DURO_BASE_ERROR_H

#include "base/bytes.h"

// X(NAME, number, "stable string", "sentence", retryable)
#define DURO_CODES(X)                                                                              \
  X(NOT_FOUND, 1, "not_found", "there is no such thing", false)                                    \
  X(ALREADY_EXISTS, 2, "already_exists", "something with this id exists already", false)           \
  X(INVALID_ARGUMENT, 3, "invalid_argument", "an argument is out of range", false)                 \
  X(INVALID_PAYLOAD, 4, "invalid_payload", "a value cannot be stored", false)                      \
  X(TOO_LARGE, 5, "too_large", "a limit of size was reached", false)                               \
  X(NOT_REGISTERED, 6, "not_registered", "this name is not registered here", false)                \
  X(FAILED, 7, "failed", "the code failed", true)                                                  \
  X(CANCELLED, 8, "cancelled", "it was cancelled", false)                                          \
  X(TERMINATED, 9, "terminated", "it was terminated", false)                                       \
  X(TIMEOUT, 10, "timeout", "the time was over", true)                                             \
  X(DENIED, 11, "denied", "access is denied", false)                                               \
  X(UNSUPPORTED, 12, "unsupported", "this store or build cannot do that", false)                   \
  X(BUSY, 13, "busy", "somebody else owns the file", true)                                         \
  X(LOCKED, 14, "locked", "the lease was lost", true)                                              \
  X(STALLED, 15, "stalled", "the instance cannot go on with this code", false)                     \
  X(SUSPENDED, 16, "suspended", "the instance is suspended", false)                                \
  X(STORAGE, 17, "storage", "the store failed", true)                                              \
  X(CORRUPT, 18, "corrupt", "stored data cannot be read", false)                                   \
  X(NONDETERMINISM, 19, "nondeterminism", "the code departs from its history", false)              \
  X(FINISHED, 20, "finished", "the instance has ended", false)                                     \
  X(RUNNING, 21, "running", "the instance has not ended", false)                                   \
  X(UNAVAILABLE, 22, "unavailable", "nobody is there to do it", true)                              \
  X(EXPIRED, 23, "expired", "it is older than what is kept", false)                                \
  X(CLOSED, 24, "closed", "the runtime is closed", false)                                          \
  X(OUT_OF_MEMORY, 25, "out_of_memory", "memory is out", true)

typedef enum duro_code {
  DURO_OK = 0,
#define X(name, number, string, sentence, retryable) DURO_##name = number,
  DURO_CODES(X)
#undef X
} duro_code;

typedef struct duro_error {
  duro_code code;
  char *message; // owned; a sentence that names the thing and, where there is one, the remedy
  char *data;    // owned JSON text, or NULL
  struct duro_error *cause; // owned, or NULL
} duro_error;

const char *duro_code_string(duro_code code); // "not_found"; "ok" for 0
const char *duro_code_sentence(duro_code code);
bool duro_code_retryable(duro_code code);
// The code of a stable string; DURO_FAILED for a string that is not one of ours (a user's own code).
duro_code duro_code_from(duro_str string);

// Fills *err (freeing what was there; the arguments may point into it) and returns `code`, so that
// `return duro_fail(...)` reads well. Without memory the object is a static one: the same code, with
// the code's sentence as its message.
duro_code duro_fail(duro_error **err, duro_code code, const char *format, ...) DURO_PRINTF(3, 4);
// The same, with *err so far as the cause.
duro_code duro_fail_caused(duro_error **err, duro_code code, const char *format, ...)
    DURO_PRINTF(3, 4);
duro_code duro_fail_oom(duro_error **err); // never allocates: a static object
duro_error *duro_error_copy(const duro_error *err);
void duro_error_free(duro_error *err); // NULL is fine

#endif
