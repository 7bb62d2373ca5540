// replay_aside: an execution rebuilt from its history beside everything that lives, to be looked at and
// thrown away: by queries and stacks of what has ended, by looks back, by duro_replay.
//
// Nothing that its code asks for is done (a replay has no effects), and it takes no turn. So any code will
// do, registered or not, and no activity ever runs.
#ifndef DURO_RUNTIME_REPLAY_ASIDE_H
#define DURO_RUNTIME_REPLAY_ASIDE_H

#include "duro.h"
#include "replay/exec.h"

typedef struct duro__aside {
  const duro_host *host;
  void *code; // a handle of the host's; NULL: the state alone, without a program
  duro_str instance_id;
  int64_t execution_id;
  const duro_events *events; // of that execution, all of them
  int64_t last_id;           // only up to this event; 0 = all
  bool stands; // one that has ended is left just before its end, so that its code still stands
  bool strict; // another input, options or output of the same command counts, too
} duro__aside;

// *out: free it with duro__exec_free. NONDETERMINISM: *mismatch tells (duro__mismatch_free), and so does
// `err`. Other errors: corrupt, out_of_memory, what the host fails with.
duro_code duro__replay_aside(const duro__aside *a, duro__exec **out, duro__mismatch *mismatch,
                             duro_error **err);

#endif
