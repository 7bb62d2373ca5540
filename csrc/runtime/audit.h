// audit: the log of who asked for which change, of what, and what came of it. It lies in the file.
//
// An entry is a row of the batch of the call's effect, so both are stored or neither is: killed at any
// moment, the log neither lacks a change nor tells of one that never was. A call that changed nothing (it
// was refused, say) gets its entry in a batch of its own, and its answer when that is durable. A call that
// works in steps (`prune`) has an entry in the batch of each.
// An entry's id says where the log ends behind it, in bytes; so ids grow, and keeping the newest
// DURO_AUDIT_BYTES of the log is a comparison of ids. Payloads (inputs, event data) are never logged.
// To log another call: a row in `calls` (audit.c).
#ifndef DURO_RUNTIME_AUDIT_H
#define DURO_RUNTIME_AUDIT_H

#include "runtime/internal.h"

// Begins the entry of a call that is one of those logged; the owner's only. False: memory is out.
bool duro__audit_begin(duro_request *r, duro_str verb, duro_str args);
// The request's effect joins the batch, and its answer is there: so does its entry.
void duro__audit_joins(duro_runtime *rt, duro__batch *b, duro_request *r);
// The batch takes one step of the request, which goes on behind it: an entry for this step.
void duro__audit_step(duro_runtime *rt, duro__batch *b, duro_request *r);
// What the next entry tells of past executions that go with it.
void duro__audit_pruned(duro_request *r, int64_t executions, int64_t events);
// The request is over. True: no batch has its entry yet, so the open one gets it, and the request is
// answered when that is durable.
bool duro__audit_ends(duro_request *r);
void duro__audit_free(duro_request *r);

#endif
