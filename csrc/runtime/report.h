// report: what the calls about numbers answer from: counters, figures, and what the store says of itself.
//
//   duro__report_begin(rt, r, args, &kind);
//
// Switched off (management.enable_metrics) it is `unsupported`; what was answered within
// cache_ttl_seconds is answered again. Counters and figures cost nothing in the owner; the store is asked
// on the helper thread, and not at all while it does not move: then the last answer of the store stands.
#ifndef DURO_RUNTIME_REPORT_H
#define DURO_RUNTIME_REPORT_H

#include "runtime/figures.h"
#include "runtime/metrics.h"

typedef struct duro__report {
  duro_runtime *rt;
  duro_request *request;
  duro_arena arena;
  duro_str args;
  const struct duro__report_kind *kind;
  duro__figures figures;
  duro__tallies tallies;
  duro__tally sum; // of all names
  duro_store_stats stats;
  duro_queue_state queues; // all task queues together
  bool store_answers;
} duro__report;

typedef struct duro__report_kind {
  const char *verb;
  bool stats, queues; // asks the store for these
  void (*write)(const duro__report *report, duro_buf *b);
} duro__report_kind;

void duro__report_begin(duro_runtime *rt, duro_request *r, duro_str args,
                        const duro__report_kind *kind);

// --- What several of them say ---
void duro__report_runtime(const duro__report *report, duro_buf *b); // runtime_metrics
double duro__report_uptime_seconds(const duro__report *report);
double duro__report_duration_ms(const duro__tally *t); // on average; 0 while none has ended
typedef enum duro__report_queue {
  DURO__ORCHESTRATOR_QUEUE,
  DURO__WORKER_QUEUE,
  DURO__TIMER_QUEUE
} duro__report_queue;
int64_t duro__report_queue_size(const duro__report *report, duro__report_queue queue);
// How long the oldest has waited; of timers: beyond its time.
int64_t duro__report_queue_age_ms(const duro__report *report, duro__report_queue queue);
int64_t duro__report_items(const duro__report *report); // turns and attempts of activities
double duro__report_item_ms(const duro__report *report);

#endif
