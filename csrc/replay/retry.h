// The retry policy of activities, read from the options a call recorded, and its arithmetic.
//
// Options JSON (as scheduled, durations in ms): {"retry":{"max_attempts":3,"backoff":"exponential",
// "initial_ms":100,"max_ms":30000,"multiplier":2,"jitter":false,"non_retryable":["code",...]},
// "timeout_ms":,"attempt_timeout_ms":,"heartbeat_timeout_ms":,"queue":""}. Without "retry": one attempt.
#ifndef DURO_REPLAY_RETRY_H
#define DURO_REPLAY_RETRY_H

#include "base/clock.h"
#include "base/error.h"

typedef enum duro__backoff { DURO__EXPONENTIAL, DURO__LINEAR, DURO__FIXED } duro__backoff;

typedef struct duro__retry {
  int64_t max_attempts;
  duro__backoff backoff;
  int64_t initial_ms, max_ms;
  double multiplier;
  bool jitter;
  duro_str non_retryable; // JSON array of text, absent = none
} duro__retry;

void duro__retry_read(duro_str options, duro__retry *out);
// The wait before attempt `attempt + 1`, after attempt `attempt` failed. `seed` feeds the jitter.
int64_t duro__retry_delay_ms(const duro__retry *r, int64_t attempt, duro_str seed);
// Whether the failed attempt may be tried again: attempts left, the error's "retryable" is not false,
// its "code" is not in non_retryable.
bool duro__retry_allowed(const duro__retry *r, int64_t attempt, duro_str error);

#endif
