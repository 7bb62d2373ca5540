// verbs.c: the list of what a client can ask (verbs.h tells what each takes and gives).
//
// The last column: a client in another process sends it to the owner through the file; the others it
// answers by reading the file itself.
#include "runtime/answers.h"

const duro__call_verb duro__verbs[] = {
    {"start", duro__verb_start, true},
    {"start_many", duro__verb_start_many, true},
    {"raise_event", duro__verb_raise_event, true},
    {"cancel", duro__verb_cancel, true},
    {"terminate", duro__verb_terminate, true},
    {"suspend", duro__verb_suspend, true},
    {"resume", duro__verb_resume, true},
    {"complete_activity", duro__verb_complete_activity, true},
    {"fail_activity", duro__verb_fail_activity, true},
    {"job", duro__verb_job, true},
    {"delete_instance", duro__verb_delete_instance, true},
    {"prune_executions", duro__verb_prune_executions, true},
    {"query", duro__verb_query, true},
    {"stack", duro__verb_stack, true},
    {"wait", duro__verb_wait, false},
    {"wait_custom_status", duro__verb_wait_custom_status, false},
    {"wait_for_instances", duro__verb_wait_for_instances, false},
    {"status", duro__verb_status, false},
    {"bulk_status", duro__verb_bulk_status, false},
    {"list_instances", duro__verb_list_instances, false},
    {"list_executions", duro__verb_list_executions, false},
    {"descriptor", duro__verb_descriptor, false},
    {"registered", duro__verb_registered, false},
    {"details", duro__verb_details, false},
    {"statistics", duro__verb_statistics, false},
    {"history", duro__verb_history, false},
    {"export", duro__verb_export, false},
    {"kv", duro__verb_kv, false},
    {"runtime_metrics", duro__verb_runtime_metrics, false},
    {NULL, NULL, false},
};
