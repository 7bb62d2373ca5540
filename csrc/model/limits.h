// Every limit of duro, each with the reason for its number. Reaching one is an error, never a cut.
#ifndef DURO_MODEL_LIMITS_H
#define DURO_MODEL_LIMITS_H

#define DURO_MAX_ID_BYTES 256 // an instance id a person or program chooses; fits any log line
#define DURO_MAX_DERIVED_ID_BYTES                                                                  \
  1024 // ids of children grow with depth: about 50 levels of the default form
#define DURO_MAX_NAME_BYTES          128 // names are typed by people and are index keys
#define DURO_MAX_PAYLOAD_BYTES       (16 * 1024 * 1024) // one value; far below SQLite's 1 GB row limit
#define DURO_MAX_PAYLOAD_DEPTH       200 // nesting of tables; Lua's C stack holds 200 levels
#define DURO_MAX_CUSTOM_STATUS_BYTES (256 * 1024) // shown in every list row
#define DURO_MAX_KV_KEYS             10000        // carried whole over continue-as-new
#define DURO_MAX_KV_KEY_BYTES        1024 // a key may be an instance id; it is repeated in each event
#define DURO_MAX_KV_VALUE_BYTES      (1024 * 1024)
#define DURO_MAX_CARRY_BYTES                                                                       \
  (256 * 1024 * 1024)               // over continue-as-new, in one event: below SQLite's 1 GB row
#define DURO_MAX_ATTRIBUTES      64 // each is an index row
#define DURO_MAX_ATTRIBUTE_BYTES 1024
#define DURO_MAX_REASON_BYTES    (64 * 1024)
#define DURO_MAX_HISTORY_EVENTS  1000000 // of one execution: beyond it, use continue-as-new
#define DURO_MAX_PAGE_EVENTS     10000   // of rt:history in one answer: beyond it, pages
#define DURO_REPLAYS_COUNTED     100000  // instances whose replays a process counts: a few MB
#define DURO_MAX_SCANNED         1000000 // rows that one query looks at: some seconds, aside
#define DURO_MAX_GROUPS          100000  // of one query: some tens of MB
#define DURO_MAX_POINTS          100000  // of one time series: two months of minutes
#define DURO_MAX_TREE_SHOWN      90      // levels in one answer: it nests twice as deep, below 200
#define DURO_MAX_TREE_DEPTH      100     // sub-orchestrations below one root
#define DURO_AUDIT_BYTES         (64 * 1024 * 1024) // of the audit log: some 300000 calls of one instance
#define DURO_AUDIT_LOOKED_AT     20000 // entries behind one answer when some are hidden: some 50 ms
#define DURO_PARTITIONS          64    // shares of the instances that leases are given for
#define DURO_BATCH_TURNS         1000  // measured: more gains nothing and costs latency
#define DURO_BATCHES_IN_FLIGHT                                                                     \
  6 // to the store thread, so that a fold holds up no turns; measured 3 to 10
#define DURO_WATCHDOG_MS        10000 // a turn that runs longer is noted
#define DURO_LEASE_MS           30000 // what another host must wait after a crash here
#define DURO_NO_SIGN_MS         60000 // an owner that did not renew its lease for so long is stuck
#define DURO_HEALTHY_MS         2000 // who has not moved for so long, with work to do, is not healthy
#define DURO_MAX_WORKER_THREADS 1024 // beyond it threads cost more than they wait
#define DURO_THREAD_PATIENCE_MS                                                                    \
  2000 // close waits for worker threads that long, then leaves them behind

#endif
