// why: the one answer to "why does nothing happen", put together in two files: what an instance as a
// whole can be held up by (verbs_why.c), and what the open tasks of a running one wait for (why_tasks.c).
#ifndef DURO_RUNTIME_WHY_H
#define DURO_RUNTIME_WHY_H

#include "runtime/internal.h"

typedef struct duro__reason {
  const char *state; // a word that programs may compare with
  int64_t since_ms;  // 0 = not known
  duro_buf reason;   // a sentence without its full stop
  duro_buf suggestion;
} duro__reason;

// Of a running instance: the most pressing of its open tasks decides, the others are named behind it.
// `i` is NULL when it is not in memory; `lives`: somebody can run it (else only what history tells).
void duro__why_tasks(duro_runtime *rt, duro__exec *x, const duro__instance *i, duro_str id,
                     bool lives, duro__reason *out);
void duro__add_span(duro_buf *b, int64_t ms); // "250 ms" "12 s" "5 min" "3 h" "2 days"

#endif
