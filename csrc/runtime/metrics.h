// metrics: the counters of a file, as whoever asks sees them: by orchestration name, over all time. The
// owner has them in memory; another process reads them from the file.
#ifndef DURO_RUNTIME_METRICS_H
#define DURO_RUNTIME_METRICS_H

#include "runtime/internal.h"

typedef struct duro__tally {
  duro_str name;
  int64_t values[DURO__METRIC_COUNT];
} duro__tally;

typedef struct duro__tallies {
  duro__tally *items; // by name; in the arena
  size_t count;
} duro__tallies;

// Whether counters may stand for what this request would count row by row: not when rows may be hidden
// from it, and not while nobody counts what clients start. The one place that decides it.
bool duro__counters_tell(duro_runtime *rt, const duro_request *r);

bool duro__metric_from(duro_str word, duro__metric *out); // the word of a duro_counter
duro_code duro__tallies_read(duro_runtime *rt, duro_arena *arena, duro__tallies *out,
                             duro_error **err);
duro__tally duro__tallies_sum(const duro__tallies *t);
int64_t duro__tally_in_status(const duro__tally *t, duro_status status);
int64_t duro__tally_active(const duro__tally *t);    // begun and not ended
int64_t duro__tally_failed(const duro__tally *t);    // and was not brought back
int64_t duro__tally_cancelled(const duro__tally *t); // or terminated
int64_t duro__tally_ended(const duro__tally *t);     // and was not brought back
int64_t duro__tally_ends(const duro__tally *t);      // how often one ended: of these is DURATION_MS

#endif
