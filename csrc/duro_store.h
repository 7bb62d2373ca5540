// duro_store.h: the contract for those who keep histories.
//
// A store is a table of verbs. It invents no ids and reads no clock: the caller passes every key and
// `now_ms`. Each verb says "must" or "may"; an incomplete table is refused when a runtime opens. A "may"
// slot left NULL is served by the default implementations, built on `list` and `history` alone.
//
// Thread: the writing verbs are called on one thread at a time (the store thread). The reading verbs may
// be called from any thread at any moment, also while a write runs; they see committed data only.
// Crash: a writing verb is atomic. After a crash the file is as before or as after it, never between.
// Errors: storage (the world's fault, may be tried again), corrupt, locked (the epoch is another's),
// busy, not_found, already_exists, unsupported, out_of_memory.
// Results live in the arena the caller passes.
#ifndef DURO_STORE_H
#define DURO_STORE_H

#include "model/batch.h"
#include "model/limits.h"

#define DURO_STORE_VERSION 1

typedef struct duro_store duro_store; // the author's own

typedef struct duro_store_options {
  const char *path;     // ":memory:" allowed
  bool read_only_role;  // a client: never creates or migrates a file another process owns
  bool full_durability; // fsync per commit
  int64_t now_ms;
  int64_t feed_retention_ms;
  int64_t feed_max_bytes;
  int64_t rollup_retention_ms; // counters by minute older than this are removed; 0 = none is
  void (*log)(void *user, const char *level, const char *message);
  void *log_user;
} duro_store_options;

// What the file remembers, read once after open and after acquire.
typedef struct duro_store_marks {
  int64_t last_batch, last_seq, folded_seq, last_key, last_client_key, last_message_id, last_job_id;
  int64_t trimmed_seq;   // rows of the journal up to here are no longer in the feed
  int64_t last_audit_id; // of the newest entry
  int64_t latest_ms;     // the latest time stored in the file
  int64_t epoch;
  duro_str file_id; // random, made with the file (arena)
} duro_store_marks;

typedef struct duro_lease {
  int64_t epoch;  // 0 = nobody ever
  duro_str owner; // "pid@host" and a random part
  duro_str host;
  int64_t pid;
  int64_t acquired_at_ms, expires_at_ms;
} duro_lease;

typedef struct duro_instance_rows {
  duro_instance_row *items;
  size_t count;
  bool truncated; // more matched
} duro_instance_rows;

// The history of one execution as JSON arrays in order (folded strides, then the unfolded tail).
typedef struct duro_texts {
  duro_str *items;
  size_t count;
} duro_texts;

typedef struct duro_loaded {
  duro_instance_row instance;
  duro_texts history;         // of the current execution
  duro_message_row *messages; // waiting for it, in order
  size_t message_count;
} duro_loaded;

typedef struct duro_name_match {
  duro_str text;
  bool prefix;
} duro_name_match;

typedef struct duro_attribute_match {
  duro_str key;
  duro_str value; // JSON scalar text
} duro_attribute_match;

typedef enum duro_order_by {
  DURO_BY_CREATED, // by instance key
  DURO_BY_UPDATED,
  DURO_BY_ID,
  DURO_BY_NAME,
} duro_order_by;

// All members optional (zero = not asked), ANDed. Times are exclusive, in ms.
typedef struct duro_filter {
  unsigned statuses; // bit 1 << duro_status
  const duro_name_match *names;
  size_t name_count;
  duro_str version;
  duro_str id_prefix;
  int64_t created_after, created_before, updated_after, updated_before, completed_after,
      completed_before;
  int has_parent; // 0 not asked, 1 yes, -1 no
  duro_str parent_id;
  const duro_attribute_match *attributes;
  size_t attribute_count;
  duro_str error_contains;
  duro_str waiting_on; // "activity" "timer" "event" "sub_orchestration" "condition" or "event:NAME"
  const duro_str *ids; // only these
  size_t id_count;
} duro_filter;

typedef struct duro_list_query {
  duro_filter filter;
  duro_order_by order_by;
  bool ascending;
  // Keyset: continue after this row (values of the last row of the page before); key 0 = from the start.
  int64_t after_key;
  int64_t after_updated_ms;
  duro_str after_text; // id or name
  size_t limit;
  // For who only counts and adds up: run_id, waiting_on, custom_status, attributes, reason, error and
  // output of the rows may be left out.
  bool brief;
} duro_list_query;

typedef struct duro_change {
  int64_t seq;
  int64_t instance_key, execution_id, first_event_id, event_count;
  duro_status status;
  int64_t at_ms;
  duro_str instance_id, name; // absent when the instance was deleted meanwhile
  duro_str events;
} duro_change;

typedef struct duro_changes {
  duro_change *items;
  size_t count;
  int64_t oldest_seq; // the first seq still kept; a `since` below oldest_seq - 1 is `expired`
} duro_changes;

typedef struct duro_counters {
  duro_counter *items; // summed over time unless by_minute
  size_t count;
} duro_counters;

typedef struct duro_store_stats {
  int64_t instances, history_events, unfolded_rows, size_bytes;
} duro_store_stats;

// Who wants jobs, and which: of these queues, free, not held back, and not the holder's own.
typedef struct duro_claim {
  const duro_str *queues;
  size_t queue_count;
  const duro_str *names; // the activities that the holder can run; NULL = any
  size_t name_count;
  duro_str holder;
  int64_t now_ms, lease_until_ms; // real time
  int64_t at_ms;                  // becomes claimed_at_ms
  size_t limit;
  bool announce; // the queues count as served now, also when there is nothing to claim
} duro_claim;

// A queue as it stands, for those who ask why nothing happens.
typedef struct duro_queue_state {
  int64_t waiting, held; // jobs that may be claimed; and those whose holder's lease has not ended
  int64_t oldest_at_ms;  // creation of the oldest waiting one; 0 = none waits
  int64_t served_at_ms;  // when somebody last claimed or announced; 0 = nobody ever
} duro_queue_state;

// What a client process writes without the owner's help.
typedef struct duro_post {
  const duro_instance_row
      *inserts;        // starts: key is 0 (the store takes duro_key_next with by_client,
  size_t insert_count; // inside its transaction); the request's instance_key follows
  const duro_request_row *requests; // id is ignored on the way in
  size_t request_count;
  int64_t *request_ids; // out: as many as requests
  int64_t now_ms;
} duro_post;

// --- The verbs: a type for each; below they are the slots of a table ---

// must. Opens and migrates. A newer or unknown schema is `corrupt` naming both versions; a file that
// is no database is `corrupt`; a path that cannot be opened is `storage`.
typedef duro_code duro_verb_open(const duro_store_options *options, duro_store **out,
                                 duro_error **err);
typedef void duro_verb_close(duro_store *s); // must
typedef duro_code duro_verb_marks(duro_store *s, duro_arena *arena, duro_store_marks *out,
                                  duro_error **err); // must

// must, writing. The owner's place: `acquire` takes it when it is free or expired or when `steal` is
// set (the caller holds the kernel's lock), with epoch + 1; else `busy`, and *held says by whom.
typedef duro_code duro_verb_acquire(duro_store *s, const duro_lease *wanted, bool steal,
                                    int64_t now_ms, duro_arena *arena, duro_lease *held,
                                    duro_error **err);
typedef duro_code duro_verb_renew(duro_store *s, int64_t epoch, int64_t now_ms,
                                  int64_t expires_at_ms,
                                  duro_error **err); // `locked` when it is another's
typedef duro_code duro_verb_release(duro_store *s, int64_t epoch, duro_error **err);
typedef duro_code duro_verb_lease(duro_store *s, duro_arena *arena, duro_lease *out,
                                  duro_error **err); // reading

// must, writing. One transaction; durable when it returns (as far as the options ask).
typedef duro_code duro_verb_commit(duro_store *s, const duro_batch *batch, duro_error **err);
// must, writing. Moves at most `max_rows` journal rows after the watermark into `history`, brings
// instances (event_count, turns, wake_at, waiting_on, updated_at) and waits up to date, and trims the
// feed's prefix by its retention. *folded: rows moved; 0 = nothing was left.
typedef duro_code duro_verb_fold(duro_store *s, int64_t epoch, int64_t now_ms, size_t max_rows,
                                 size_t *folded, duro_error **err);
// may, any thread: copies the log back into the main file.
typedef duro_code duro_verb_checkpoint(duro_store *s, duro_error **err);

// must, reading. The instance with its current execution's history and its waiting messages.
typedef duro_code duro_verb_load(duro_store *s, int64_t key, duro_arena *arena, duro_loaded *out,
                                 duro_error **err);
// must, reading. Instances that are pending or running with wake_at_ms <= now_ms and
// (wake_at_ms, key) above (after_wake_ms, after_key), in that order, at most `limit`; start with
// (-1, 0). *next_ms: the earliest wake time beyond now_ms, or DURO_NEVER.
// Only key, status, wake_at_ms, vm, name and version of the rows need be filled.
typedef duro_code duro_verb_due(duro_store *s, int64_t now_ms, int64_t after_wake_ms,
                                int64_t after_key, size_t limit, duro_arena *arena,
                                duro_instance_rows *out, int64_t *next_ms, duro_error **err);
// must, reading. Messages rows of one instance, in order.
typedef duro_code duro_verb_messages(duro_store *s, int64_t key, duro_arena *arena,
                                     duro_message_row **out, size_t *count, duro_error **err);

// must, writing, any process.
typedef duro_code duro_verb_post(duro_store *s, duro_post *post, duro_error **err);
// must, reading. Unanswered requests with an id above `after`, in order.
typedef duro_code duro_verb_requests(duro_store *s, int64_t after, size_t limit, duro_arena *arena,
                                     duro_request_row **out, size_t *count, duro_error **err);
// must. The answer to one request (absent answer: not yet); `forget` deletes answered ones.
typedef duro_code duro_verb_answer(duro_store *s, int64_t request_id, duro_arena *arena,
                                   duro_request_row *out, duro_error **err);
typedef duro_code duro_verb_forget(duro_store *s, const int64_t *request_ids, size_t count,
                                   duro_error **err);
// must, reading. A number that differs after another connection wrote; cheap.
typedef duro_code duro_verb_data_version(duro_store *s, int64_t *out, duro_error **err);

// may, writing (NULL: task queues are `unsupported`). Each job goes to one holder, the oldest first;
// one taken from a holder whose lease ended has `lost` counted up. When nothing is to be written it is
// but a read, so that it may be called often.
typedef duro_code duro_verb_claim_jobs(duro_store *s, const duro_claim *claim, duro_arena *arena,
                                       duro_job_row **out, size_t *count, duro_error **err);
// By id and holder; carries lease_until_ms, heartbeat and beat_at_ms (absent, 0: unchanged).
typedef duro_code duro_verb_renew_jobs(duro_store *s, const duro_job_row *jobs, size_t count,
                                       int64_t now_ms, duro_error **err);
// Ends a claimed job: its result becomes a request of kind "job" for the owner; the job row goes.
typedef duro_code duro_verb_finish_job(duro_store *s, const duro_job_row *job,
                                       const duro_request_row *result, int64_t now_ms,
                                       duro_error **err);
// may (with the three above), reading. The rows of one instance (key not 0), or those with these ids;
// what is not there is left out. In order of their ids.
typedef duro_code duro_verb_jobs(duro_store *s, int64_t instance_key, const int64_t *ids,
                                 size_t id_count, duro_arena *arena, duro_job_row **out,
                                 size_t *count, duro_error **err);
// The queue's; absent: of all task queues together (served_at_ms 0), without those of "".
typedef duro_code duro_verb_queue_state(duro_store *s, duro_str queue, int64_t now_ms,
                                        duro_queue_state *out, duro_error **err);

// must, reading.
typedef duro_code duro_verb_get(duro_store *s, duro_str id, duro_arena *arena,
                                duro_instance_row *out,
                                duro_error **err); // not_found
typedef duro_code duro_verb_get_by_key(duro_store *s, int64_t key, duro_arena *arena,
                                       duro_instance_row *out, duro_error **err);
typedef duro_code duro_verb_list(duro_store *s, const duro_list_query *query, duro_arena *arena,
                                 duro_instance_rows *out, duro_error **err);
// may. How many match, counting at most `most`.
typedef duro_code duro_verb_count(duro_store *s, const duro_filter *filter, int64_t most,
                                  int64_t *out, duro_error **err);
// Texts of one execution; `execution_id` 0 = the current one.
typedef duro_code duro_verb_history(duro_store *s, int64_t key, int64_t execution_id,
                                    duro_arena *arena, duro_texts *out, duro_error **err);
typedef duro_code duro_verb_executions(duro_store *s, int64_t key, duro_arena *arena,
                                       duro_execution_row **out, size_t *count,
                                       duro_error **err); // past ones, ascending

// may, reading. Rows of the journal with a seq above `since_seq`, in order: at most `limit`, and fewer
// when their text grows large (but at least one, if there is one). So only an empty page is the end.
// `expired` when some of them are no longer kept.
typedef duro_code duro_verb_changes(duro_store *s, int64_t since_seq, size_t limit,
                                    duro_arena *arena, duro_changes *out, duro_error **err);
typedef duro_code duro_verb_counters(duro_store *s, int64_t from_ms, int64_t to_ms, bool by_minute,
                                     duro_arena *arena, duro_counters *out, duro_error **err);
typedef duro_code duro_verb_stats(duro_store *s, duro_store_stats *out, duro_error **err);
typedef duro_code duro_verb_owner_figures(duro_store *s, duro_arena *arena, duro_str *json,
                                          duro_error **err);
// may (NULL: no audit log is kept; a batch then brings no entries). Entries with an id below `before`
// (0 = all), the newest first.
typedef duro_code duro_verb_audit(duro_store *s, int64_t before, size_t limit, duro_arena *arena,
                                  duro_audit_row **out, size_t *count, duro_error **err);
// may, writing. Keeps the owner's figures (as in a batch) outside of one: for the watchdog.
typedef duro_code duro_verb_note(duro_store *s, int64_t epoch, duro_str owner_figures,
                                 duro_error **err);

typedef struct duro_store_ops {
  int version;      // DURO_STORE_VERSION
  const char *type; // "sqlite", "memory"
  duro_verb_open *open;
  duro_verb_close *close;
  duro_verb_marks *marks;
  duro_verb_acquire *acquire;
  duro_verb_renew *renew;
  duro_verb_release *release;
  duro_verb_lease *lease;
  duro_verb_commit *commit;
  duro_verb_fold *fold;
  duro_verb_checkpoint *checkpoint;
  duro_verb_load *load;
  duro_verb_due *due;
  duro_verb_messages *messages;
  duro_verb_post *post;
  duro_verb_requests *requests;
  duro_verb_answer *answer;
  duro_verb_forget *forget;
  duro_verb_data_version *data_version;
  duro_verb_claim_jobs *claim_jobs;
  duro_verb_renew_jobs *renew_jobs;
  duro_verb_finish_job *finish_job;
  duro_verb_jobs *jobs;
  duro_verb_queue_state *queue_state;
  duro_verb_get *get;
  duro_verb_get_by_key *get_by_key;
  duro_verb_list *list;
  duro_verb_count *count;
  duro_verb_history *history;
  duro_verb_executions *executions;
  duro_verb_changes *changes;
  duro_verb_counters *counters;
  duro_verb_stats *stats;
  duro_verb_owner_figures *owner_figures;
  duro_verb_audit *audit;
  duro_verb_note *note;
} duro_store_ops;

extern const duro_store_ops duro_store_sqlite;
extern const duro_store_ops
    duro_store_memory; // the reference: what this contract says, as plain arrays
extern const duro_store_ops duro_store_basic; // the same without any verb that "may" be there

#endif
