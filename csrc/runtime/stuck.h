// stuck: what another process can tell of an owner that lives and serves nobody.
//
// It may be in a turn that does not come back: then its watchdog has left a note in the file (watchdog.c).
// Or it gives no sign at all: its loop is not turned, an activity blocks it, or it cannot write. Then the
// lease is not renewed any more. Neither needs the owner's figures, which may be switched off, and both
// are told in real time, also under the virtual clock.
#ifndef DURO_RUNTIME_STUCK_H
#define DURO_RUNTIME_STUCK_H

#include "runtime/internal.h"

typedef struct duro__stuck {
  duro_str instance_id; // in whose turn it is (arena); absent: it gives no sign
  int64_t since_ms;     // the begin of that turn, or the last sign
  int64_t pid;
} duro__stuck;

// False: it serves, as far as one can see, or the file cannot be read now.
bool duro__owner_stuck(duro_runtime *rt, duro_arena *arena, duro__stuck *out);
// The sentence: what is wrong with the owner, and what would help.
void duro__stuck_reason(duro_buf *b, const duro__stuck *s);
const char *duro__stuck_advice(const duro__stuck *s);

#endif
