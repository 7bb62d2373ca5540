// verbs: what duro_call understands. One row a verb; the table is the list of what a client can ask, in
// process or through the file. Arguments and answers are JSON objects unless said otherwise; times are
// epoch seconds with three decimals; durations come in as milliseconds; payloads stand as they are.
// To add a verb: one row here and one function in the file of its subject.
//
//   start              {name, input?, id?, version?, start_at_ms?, delay_ms?, attributes?, timeout_ms?,
//                       on_conflict? "fail"|"existing"|"replace_finished", event? {name, data?}}  -> "id"
//   start_many         [ {as start}, ... ]                                                      -> ["id", ...]
//   raise_event        {id, name, data?, dedup_id?}                                             -> true
//   cancel terminate suspend resume   {id, reason?}                                             -> true
//   status             {id, execution?}      -> {instance_id, status, output?, error?, custom_status?}
//   wait               {id}                  -> {instance_id, status, output?, error?} once it has ended
//   wait_custom_status {id, version}         -> {custom_status?, version} once it is above `version`
//   wait_for_instances {instances:[ids], mode}  -> {completed:[...], pending:[ids]} (answered when satisfied)
//   query              {id, name, arg?}      -> the handler's value
//   stack              {id}                  -> what the host's `inspect` says
//   kv                 {id, key?}            -> the value, or an object of all
//   complete_activity  {token, value?}  fail_activity {token, error}                            -> true
//   job                {key, execution, task, attempt, output?, error?, deferred?, fire_at?, lost?, heartbeat?}
//                      what a worker tells of a job: its result, or that its holders died    -> true
//   delete_instance    {id, force?}          -> {instances_deleted, executions_deleted, events_deleted}
//   prune_executions   {id, keep_last?, completed_before_ms?}  -> {executions_deleted, events_deleted}
//   cancel_instances terminate_instances suspend_instances resume_instances delete_instances
//                      {instances? or filter?, all?, reason?, max_instances?, dry_run?, force? (delete)}
//                      -> {<past participle>_instances:[ids], failed_instances:[{instance_id, error}],
//                          total_matched}
//                      For one who may not act on all: `only` [ids] narrows the filter, `denied` [ids] are
//                      among the failed, `matched` is the total.
//   raise_event_bulk   {as above, event_name, event_data?}
//                      -> {delivered_instances, failed_instances, no_subscription_instances, total_matched}
//   prune              {keep_last?, completed_before_ms?, filter?, only?}
//                      -> {instances_pruned, executions_deleted, events_deleted}
//   list_instances     {filter?, limit?}     -> {instances:[summary, ...], truncated?}
//                       filter: as in filter.c; its times are epoch seconds
//   list_instances_paginated {filter?, page_size?, page_token?, order_by?, order?, with_total?}
//                                            -> {instances:[...], next_page_token?, total_count?}
//   search_instances   {filter?, limit?, text?, input? {path: value}, output?}  -> as list_instances
//   details statistics {id}                  -> as in lua/duro/types/management.lua
//   dependencies       {id, depth?}          -> likewise
//   why                {id}                  -> {state, reason, since?, suggestion}
//   retry_failed       {instances or filter, all?, max_instances?, dry_run?}
//                      -> {retried_instances, failed_instances, total_matched}
//   at                 {id, event_id, execution?}  -> {custom_status?, kv, pending, stack or stack_error}
//   audit              {limit?, before?}     -> {entries:[{audit_id, timestamp, call, context?, targets,
//                       outcome, error?, arguments?, failed_instances?}], next_before?}: the newest first
//   audit_denied       {call, targets, name?} -> true; logs what the process's own hooks refused
//   token_instance     {token}               -> "id": whose deferred activity it finishes
//   capabilities       {}                    -> {store, role, task_queues, audit, ...}
//   bulk_status        [ids]                 -> [ {instance_id, status, output?, error?}, ... ]
//   history            {id, execution?, kinds?, since_event?, order?, page_size?, page_token?}
//                                            -> {events:[...], next_page_token?}
//   export             {id, execution?}      -> {format, vm, instance_id, orchestration_name, version?, status,
//                       created_at, parent_instance?, executions:[{execution_id, events}]}: an event as on disk,
//                       with its time, and payloads as texts of JSON
//   list_executions    {id}                  -> [1, 2, ...]
//   descriptor         {id}                  -> {name, version?, parent_instance?, parent_id?}
//   registered         {}                    -> {orchestrations:[{name, versions}], activities:[names]}
//   runtime_metrics queue_metrics provider_diagnostics   {}  -> as in lua/duro/types/metrics.lua
//   orchestration_metrics {}                 -> [ {orchestration_name, total_started, ...}, ... ]
//   prometheus         {}                    -> "the same in the Prometheus text format"
//   stream_open        {since?, filter?, kinds?, instances?, numbers?}  -> {seq}: checks what is asked; where to begin
//   stream_read        {since, filter?, kinds?, instances?, limit?, wait?}  -> {events:[...], seq, more?}:
//                       what follows in the feed, and where to go on. With `wait` it is answered when there
//                       is something; without, `more` says that the end was not reached. `instances`: their
//                       changes of status instead of events
//   pause              {}                    -> nothing: for who waits until a time limit of his own
//   query_instances    {filter?, group_by? [words], aggregate? [words], limit?}
//                                            -> {groups:[{key, count, ...}], truncated?}
//   time_series_metrics {metric, bucket?, from_ms?, to_ms?, orchestration_name?}
//                                            -> {points:[{timestamp, value}], truncated?}
#ifndef DURO_RUNTIME_VERBS_H
#define DURO_RUNTIME_VERBS_H

#include "duro.h"

struct duro_runtime;

// Where an answer goes: in time or at once. Exactly one of the two per request.
void duro__request_answer(duro_request *r, duro_str json);
void duro__request_fail(duro_request *r, duro_code code, const char *format, ...) DURO_PRINTF(3, 4);

typedef void duro__call_function(struct duro_runtime *rt, duro_request *r, duro_str arguments);
typedef struct duro__call_verb {
  const char *name;
  duro__call_function *run;
  bool needs_owner; // from a client process it goes through the file
} duro__call_verb;
extern const duro__call_verb duro__verbs[]; // ends with a NULL name

#endif
