// answers: the JSON that verbs give back, and the small steps that several of them share.
//
// Field names are those of lua/duro/types; times are epoch seconds with three decimals, written from whole
// milliseconds so that nothing is rounded; what is absent is left out; payloads stand as they are stored.
#ifndef DURO_RUNTIME_ANSWERS_H
#define DURO_RUNTIME_ANSWERS_H

#include "runtime/internal.h"

// --- Writers (answers.c) ---
void duro__add_time(duro_buf *b, int64_t ms); // 1795307780.631
// A member, with the comma in front of it; `key` is a C literal that needs no escapes.
void duro__add_key(duro_buf *b, const char *key);
void duro__add_text_member(duro_buf *b, const char *key, duro_str text); // absent: nothing
void duro__add_json_member(duro_buf *b, const char *key, duro_str json); // absent: nothing
void duro__add_int_member(duro_buf *b, const char *key, int64_t number);
void duro__add_time_member(duro_buf *b, const char *key, int64_t ms); // 0: nothing
void duro__add_error(duro_buf *b, duro_code code,
                     const duro_error *err); // {"code":,"message":,"data"?}
void duro__add_summary(duro_buf *b, const duro_instance_row *row);
void duro__add_status(duro_buf *b,
                      const duro_instance_row *row); // {instance_id,status,output?,error?}
void duro__add_status_unknown(duro_buf *b, duro_str id);

// A stored value. One that cannot be read shows the error corrupt in its place: the rest stays readable.
void duro__add_payload_member(duro_buf *b, const char *key, duro_str json); // absent: nothing

// --- Reading the store for a request; each answers it on failure and returns false ---
bool duro__read_row(duro_runtime *rt, duro_request *r, duro_str id, duro_arena *arena,
                    duro_instance_row *out); // not_found names the id
bool duro__read_events(duro_runtime *rt, duro_request *r, int64_t key, int64_t execution_id,
                       duro_arena *arena, duro_events *out);
// ... and its two halves, of which the first may run on any thread.
duro_code duro__load_events(duro_runtime *rt, int64_t key, int64_t execution_id, duro_arena *arena,
                            duro_events *out, duro_error **err);
void duro__fail_events(duro_request *r, int64_t execution_id, duro_code code, duro_error *err);
// The state of an execution from its events, without a program; NULL on failure. Free it.
duro__exec *duro__scan(duro_runtime *rt, duro_request *r, const duro_instance_row *row,
                       const duro_events *events);
// An error of the store or of the runtime becomes the answer. Owns `err`.
void duro__fail_with(duro_request *r, duro_code code, duro_error *err);
// The error is the answer when what the instance (NULL: none) has done so far is durable: before that
// nobody may hear of it.
void duro__fail_when_durable(duro_request *r, const duro__instance *i, duro_code code,
                             const char *format, ...) DURO_PRINTF(4, 5);
void duro__fail_not_found(duro_request *r, duro_str id);
void duro__fail_finished(duro_request *r, duro_str id, duro_status status);
void duro__fail_memory(duro_request *r);

// --- requests.c ---
void duro__call_run(duro_runtime *rt, duro_request *r, duro_str verb, duro_str arguments);
void duro__request_link(duro_request *r, duro_request **list);
void duro__request_unlink(duro_request *r);
void duro__requests_close(duro_request **list);
// Runs the verb again when everything begun so far is durable (never: when that failed). Copies.
void duro__call_again(duro_runtime *rt, duro_request *r, duro__call_function *run,
                      duro_str arguments);
// Answers with r->answer when what the instance has done so far is durable: at once when it is.
void duro__answer_when_durable(duro_runtime *rt, const duro__instance *i, duro_request *r);

// --- verbs_wait.c ---
void duro__waits_forget(duro_request *r); // takes it out of the lists of instances it waits for
void duro__waiters_check(
    duro_runtime *rt); // looks at everything waited for: another process writes

// --- clients.c ---
void duro__served_answered(duro_runtime *rt, int64_t row_id); // its answer waits to be fetched
void duro__served_remove(duro_runtime *rt, int64_t row_id);   // its request object is gone
void duro__served_again(duro_runtime *rt, int64_t row_id);    // it is to be taken once more

// --- verbs_client.c ---
bool duro__start_waits(const duro__instance *i); // its start is still among the requests of clients

// --- verbs_start.c ---
typedef struct duro__start {
  duro__new_instance instance;
  bool generated; // the id was made here, so nobody else can have it
  enum {
    DURO__ON_CONFLICT_FAIL,
    DURO__ON_CONFLICT_EXISTING,
    DURO__ON_CONFLICT_REPLACE
  } on_conflict;
  duro_str event_name, event_data; // absent name: none
} duro__start;
// Reads and checks one start; its slices live in the arguments or the arena.
bool duro__start_read(duro_runtime *rt, duro_request *r, duro_str args, duro_arena *arena,
                      duro__start *out);
// Begins the instance whose row another process has stored already (key), from its request.
void duro__start_adopt(duro_runtime *rt, duro_request *r, int64_t key, duro_str args);
// Those that were held back and whose turn it is now.
void duro__starts_admit(duro_runtime *rt);
// Takes the requests of clients now: an instance may exist whose start still waits among them.
void duro__clients_take(duro_runtime *rt);

// --- The verbs, by file ---
duro__call_function duro__verb_start, duro__verb_start_many; // verbs_start.c
duro__call_function duro__verb_raise_event, duro__verb_cancel, duro__verb_terminate,
    duro__verb_suspend, duro__verb_resume, duro__verb_complete_activity, duro__verb_fail_activity,
    duro__verb_token_instance;                  // verbs_client.c
duro__call_function duro__verb_audit_denied;    // audit.c
duro__call_function duro__verb_audit;           // verbs_audit.c
duro__call_function duro__verb_capabilities;    // verbs_capabilities.c
duro__call_function duro__verb_job;             // queues.c
duro__call_function duro__verb_delete_instance; // verbs_delete.c
duro__call_function duro__verb_cancel_instances, duro__verb_terminate_instances,
    duro__verb_suspend_instances, duro__verb_resume_instances,
    duro__verb_raise_event_bulk;                                   // verbs_bulk.c
duro__call_function duro__verb_delete_instances;                   // verbs_bulk_delete.c
duro__call_function duro__verb_prune, duro__verb_prune_executions; // verbs_prune.c
duro__call_function duro__verb_wait, duro__verb_wait_custom_status,
    duro__verb_wait_for_instances;                                                  // verbs_wait.c
duro__call_function duro__verb_list_instances, duro__verb_list_instances_paginated; // verbs_list.c
duro__call_function duro__verb_search_instances; // verbs_search.c
duro__call_function duro__verb_status, duro__verb_bulk_status, duro__verb_list_executions,
    duro__verb_descriptor, duro__verb_registered;                         // verbs_read.c
duro__call_function duro__verb_dependencies;                              // verbs_dependencies.c
duro__call_function duro__verb_why;                                       // verbs_why.c
duro__call_function duro__verb_at;                                        // verbs_at.c
duro__call_function duro__verb_retry_failed;                              // verbs_retry.c
duro__call_function duro__verb_details, duro__verb_statistics;            // verbs_details.c
duro__call_function duro__verb_history, duro__verb_export, duro__verb_kv; // verbs_history.c
duro__call_function duro__verb_query, duro__verb_stack;                   // verbs_query.c
duro__call_function duro__verb_runtime_metrics, duro__verb_orchestration_metrics,
    duro__verb_queue_metrics, duro__verb_provider_diagnostics; // verbs_metrics.c
duro__call_function duro__verb_stream_open, duro__verb_stream_read,
    duro__verb_pause;                               // verbs_stream.c
duro__call_function duro__verb_prometheus;          // prometheus.c
duro__call_function duro__verb_query_instances;     // verbs_groups.c
duro__call_function duro__verb_time_series_metrics; // verbs_series.c

#endif
