// figures: how the process that owns the file is doing: what cannot be counted in the file. Another
// process sees them too: the owner keeps them in the file, at most a second late, and says every few
// seconds that it is there.
#ifndef DURO_RUNTIME_FIGURES_H
#define DURO_RUNTIME_FIGURES_H

#include "runtime/internal.h"

typedef struct duro__figures {
  bool lives;                   // there is an owner, and it moves
  bool off;                     // ... and has its metrics switched off
  int64_t at_ms, started_at_ms; // real time
  int64_t turns, replays, commits, jobs, live_instances;
  int64_t work_us; // spent in turns, and between a job's begin and its end
  // Commits and other calls of the store.
  double commit_p50_ms, commit_p99_ms, read_ms, write_ms;
  // By the runtime's clock, since when; 0 = nothing waits.
  int64_t ready, ready_since_ms;     // instances that wait for a turn
  int64_t jobs_ready, jobs_since_ms; // jobs that wait to be taken
  int64_t due_at_ms;                 // when the next timer fires; DURO_NEVER = none
  bool store_ok, orchestrator_ok, worker_ok, timer_ok;
} duro__figures;

// In the owner as they are now; elsewhere as the owner left them, or of nobody (lives = false).
duro_code duro__figures_read(duro_runtime *rt, duro__figures *out, duro_error **err);

// --- Keeping them in the file (owner) ---
void duro__figures_to_batch(duro_runtime *rt, duro__batch *b); // when it is time: with a batch
void duro__figures_turn(duro_runtime *rt);                     // without one
int64_t duro__figures_wait_ms(const duro_runtime *rt);         // until that is to be asked again
void duro__figures_free(duro_runtime *rt);

#endif
