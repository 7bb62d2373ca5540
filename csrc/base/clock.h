// Clocks and identifiers: the only place that asks the machine for time or randomness.
#ifndef DURO_BASE_CLOCK_H
#define DURO_BASE_CLOCK_H

#include "base/bytes.h"

int64_t duro_clock_wall_ms(void); // epoch milliseconds
uint64_t duro_clock_monotonic_ns(void);
void duro_random_bytes(void *p,
                       size_t n); // from the system; never fails (falls back to clock and pid)

// A time-ordered UUID (version 7, RFC 9562): 36 characters and a NUL. `ms` is the time part; ids made
// in the same millisecond by one thread still ascend.
#define DURO_UUID_SIZE 37
void duro_uuid7(char out[DURO_UUID_SIZE], int64_t ms);
// The same of randomness that was asked for before; each is for one id alone.
void duro_uuid7_of(char out[DURO_UUID_SIZE], int64_t ms, const uint64_t random[2]);
// A random 128-bit run id as 32 hex digits and a NUL.
#define DURO_RUN_ID_SIZE 33
void duro_run_id(char out[DURO_RUN_ID_SIZE]);

// A small deterministic generator (SplitMix64 for seeding, xoshiro256** for drawing).
typedef struct duro_prng {
  uint64_t s[4];
} duro_prng;
void duro_prng_seed(duro_prng *g, duro_str seed);
uint64_t duro_prng_next(duro_prng *g);
double duro_prng_unit(duro_prng *g); // [0, 1)
void duro_prng_uuid4(duro_prng *g, char out[DURO_UUID_SIZE]);

#endif
