// Events: what has happened to an instance. History is a sequence of them, and nothing else is true.
//
// On disk an event is one JSON object; a turn's events are one JSON array. The key of each field is in
// DURO_EVENT_FIELDS. "at" is written only when it differs from the event before it in the same array.
// To add a kind: one line in DURO_EVENT_KINDS, its rule in replay/, and the kind's row in API docs.
// To add a field: one line in DURO_EVENT_FIELDS; readers ignore keys they do not know.
#ifndef DURO_MODEL_EVENT_H
#define DURO_MODEL_EVENT_H

#include "base/bytes.h"
#include "base/error.h"

// X(NAME, "string", group). Groups: A = arrival (the world told us), C = command (the code asked for
// it; replay matches it against the code), T = the command that ends the execution.
#define DURO_EVENT_KINDS(X)                                                                        \
  X(ORCHESTRATION_STARTED, "orchestration_started", A)                                             \
  X(ORCHESTRATION_COMPLETED, "orchestration_completed", T)                                         \
  X(ORCHESTRATION_FAILED, "orchestration_failed", T)                                               \
  X(ORCHESTRATION_CANCELLED, "orchestration_cancelled", T)                                         \
  X(ORCHESTRATION_TERMINATED, "orchestration_terminated", A)                                       \
  X(ORCHESTRATION_CONTINUED_AS_NEW, "orchestration_continued_as_new", T)                           \
  X(CANCEL_REQUESTED, "cancel_requested", A)                                                       \
  X(ACTIVITY_SCHEDULED, "activity_scheduled", C)                                                   \
  X(ACTIVITY_COMPLETED, "activity_completed", A)                                                   \
  X(ACTIVITY_FAILED, "activity_failed", A)                                                         \
  X(ACTIVITY_RETRY_SCHEDULED, "activity_retry_scheduled", A)                                       \
  X(ACTIVITY_DEFERRED, "activity_deferred", A) /* ended without a result: a token brings it */     \
  X(ACTIVITY_CANCELLED, "activity_cancelled", C)                                                   \
  X(TIMER_CREATED, "timer_created", C)                                                             \
  X(TIMER_FIRED, "timer_fired", A)                                                                 \
  X(TIMER_CANCELLED, "timer_cancelled", C)                                                         \
  X(EVENT_SUBSCRIBED, "event_subscribed", C)                                                       \
  X(EVENT_RECEIVED, "event_received", A)                                                           \
  X(EVENT_SUBSCRIPTION_CANCELLED, "event_subscription_cancelled", C)                               \
  X(SUB_ORCHESTRATION_SCHEDULED, "sub_orchestration_scheduled", C)                                 \
  X(SUB_ORCHESTRATION_COMPLETED, "sub_orchestration_completed", A)                                 \
  X(SUB_ORCHESTRATION_FAILED, "sub_orchestration_failed", A)                                       \
  X(SUB_ORCHESTRATION_CANCELLED, "sub_orchestration_cancelled", C)                                 \
  X(ORCHESTRATION_CHAINED, "orchestration_chained", C)                                             \
  X(EVENT_SENT, "event_sent", C)                                                                   \
  X(ORCHESTRATION_RETRIED, "orchestration_retried", A)                                             \
  X(CUSTOM_STATUS_UPDATED, "custom_status_updated", C)                                             \
  X(KV_SET, "kv_set", C)                                                                           \
  X(KV_CLEARED, "kv_cleared", C)                                                                   \
  X(SIDE_EFFECT_RECORDED, "side_effect_recorded", C)                                               \
  X(PATCH_MARKER, "patch_marker", C)                                                               \
  X(ATTRIBUTES_UPDATED, "attributes_updated", C)                                                   \
  X(SUSPENDED, "suspended", A)                                                                     \
  X(RESUMED, "resumed", A)

typedef enum duro_event_kind {
  DURO_EVENT_NONE = 0,
#define X(name, string, group) DURO_EVENT_##name,
  DURO_EVENT_KINDS(X)
#undef X
      DURO_EVENT_KIND_COUNT
} duro_event_kind;

const char *duro_event_kind_string(duro_event_kind kind);
bool duro_event_kind_from(duro_str string, duro_event_kind *out);
char duro_event_kind_group(duro_event_kind kind); // 'A', 'C' or 'T'

// X(member, "disk key", TYPE, "public key"). TYPE: INT (0 = absent), TEXT (a JSON string), JSON (raw
// JSON text), BOOL. `id`, `kind` and `at_ms` are written first and always have their own rule.
#define DURO_EVENT_FIELDS(X)                                                                       \
  X(source, "source", INT, "source_event_id") /* what a completion completes */                    \
  X(name, "name", TEXT, "name")               /* of activity, orchestration, event, key ... */     \
  X(version, "version", TEXT, "version")                                                           \
  X(instance, "instance", TEXT, "instance_id") /* the other one: child, receiver */                \
  X(input, "input", JSON, "input")             /* what goes in: input, event data, kv value */     \
  X(output, "output", JSON, "output")          /* what comes out */                                \
  X(error, "error", JSON, "error")             /* an error object */                               \
  X(reason, "reason", TEXT, "reason")                                                              \
  X(options, "options", JSON, "options") /* retry, timeouts, queue, as scheduled */                \
  X(attempt, "attempt", INT, "attempt")                                                            \
  X(fire_at_ms, "fire_at", INT, "fire_at_ms") /* timers: due; retries: next attempt */             \
  X(delay_ms, "delay", INT, "delay_ms")                                                            \
  X(deadline_ms, "deadline", INT, "deadline_ms")                                                   \
  X(run_id, "run_id", TEXT, "run_id")          /* started: seeds uuid and random */                \
  X(parent, "parent", TEXT, "parent_instance") /* started: the parent's id */                      \
  X(parent_event, "parent_event", INT, "parent_event_id")                                          \
  X(dedup_id, "dedup_id", TEXT, "dedup_id")                                                        \
  X(carry, "carry", JSON, "carry") /* started: mailbox, kv ... of the last execution */            \
  X(lost, "lost", BOOL, "lost")    /* a retry because the process died */                          \
  X(heartbeat, "heartbeat", JSON, "heartbeat_details") /* a retry: what the attempt told last */

typedef struct duro_event {
  int64_t id; // 1, 2, ... within its execution
  duro_event_kind kind;
  int64_t at_ms; // the time of the turn that recorded it
#define INT                              int64_t
#define TEXT                             duro_str
#define JSON                             duro_str
#define BOOL                             bool
#define X(member, key, type, public_key) type member;
  DURO_EVENT_FIELDS(X)
#undef X
#undef INT
#undef TEXT
#undef JSON
#undef BOOL
} duro_event;

// Appends `{...}` (no comma, no brackets). `previous_at_ms` is the at of the event before it in the
// same array, 0 for the first.
void duro_event_encode(duro_buf *b, const duro_event *e, int64_t previous_at_ms);

// Decodes one object, a message's body say: its id may be 0 and its time absent (0). Slices borrow from
// the text or the arena. Errors: corrupt (names the place), out_of_memory.
duro_code duro_event_decode(duro_str text, duro_arena *arena, duro_event *out, duro_error **err);

typedef struct duro_events {
  duro_event *items; // in the arena
  size_t count;
} duro_events;

// Decodes one or several JSON arrays of events (`texts`, in order) into the arena. Slices borrow from
// the texts or the arena. Errors: corrupt (names the place), out_of_memory.
duro_code duro_events_decode(const duro_str *texts, size_t text_count, duro_arena *arena,
                             duro_events *out, duro_error **err);

#endif
