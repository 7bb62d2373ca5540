// verbs_bulk.c: commands and events for many instances.
//
// Each becomes a message, and the turns that take them run in the same batch, which is then stored as one;
// where no turn can run now (a suspended instance), the batch stores the message as a row.
// To add a command: a row in `commands` and a verb.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/bulk.h"

// --- cancel, terminate, suspend, resume ---

static bool act_command(duro_runtime *rt, duro__bulk *b, duro_str id, bool last) {
  (void)last;
  duro__instance *i = duro__bulk_fetch(rt, b, id);
  if (!i) return true;
  duro_event e = {.kind = (duro_event_kind)b->kind->subject, .reason = b->reason};
  duro__bulk_add_id(&b->done, id);
  if (!b->dry_run) duro__send(rt, i, 0, &e);
  return true;
}

#define COMMAND(verb, key, event)                                                                  \
  void duro__verb_##verb(duro_runtime *rt, duro_request *r, duro_str args) {                       \
    static const duro__bulk_kind kind = {                                                          \
        .done_key = key, .act = act_command, .turns = true, .subject = event};                     \
    duro__bulk_begin(rt, r, args, &kind);                                                          \
  }
COMMAND(cancel_instances, "cancelled_instances", DURO_EVENT_CANCEL_REQUESTED)
COMMAND(terminate_instances, "terminated_instances", DURO_EVENT_ORCHESTRATION_TERMINATED)
COMMAND(suspend_instances, "suspended_instances", DURO_EVENT_SUSPENDED)
COMMAND(resume_instances, "resumed_instances", DURO_EVENT_RESUMED)

// --- raise_event_bulk ---

// Somebody in it waits for such an event, and no earlier one is on its way to that wait.
static bool is_awaited(duro__instance *i, duro_str name) {
  if (!i->exec) return false;
  for (duro__open *o = duro__exec_open_next(i->exec, 0); o;
       o = duro__exec_open_next(i->exec, o->id)) {
    if (o->kind == DURO__OPEN_WAIT && !o->bound_event && duro_str_equal(o->name, name)) return true;
  }
  return false;
}

static bool read_event(duro_runtime *rt, duro__bulk *b) {
  (void)rt;
  return duro__arg_id(b->request, b->args, "event_name", DURO__REQUIRED, DURO_MAX_NAME_BYTES,
                      &b->arena, &b->event_name) &&
         duro__arg_payload(b->request, b->args, "event_data", &b->event_data);
}

static bool act_raise(duro_runtime *rt, duro__bulk *b, duro_str id, bool last) {
  (void)last;
  duro__instance *i = duro__bulk_fetch(rt, b, id);
  if (!i) return true;
  duro_event e = {.kind = DURO_EVENT_EVENT_RECEIVED, .name = b->event_name, .input = b->event_data};
  duro__bulk_add_id(is_awaited(i, e.name) ? &b->done : &b->third, id);
  if (!b->dry_run) duro__send(rt, i, 0, &e);
  return true;
}

void duro__verb_raise_event_bulk(duro_runtime *rt, duro_request *r, duro_str args) {
  static const duro__bulk_kind kind = {.done_key = "delivered_instances",
                                       .third_key = "no_subscription_instances",
                                       .read = read_event,
                                       .act = act_raise,
                                       .turns = true};
  duro__bulk_begin(rt, r, args, &kind);
}
