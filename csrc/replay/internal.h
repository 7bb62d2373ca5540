// What the files of this room share: the exec itself, and who may change which part of it.
//
// An exec is a fold over events. note.c is the only file that lets an event change the state, with the
// help of open.c (open tasks), due.c (their times), mailbox.c (events and waits), kv.c and labels.c
// (key-values, custom status, attributes, remembered ids). Around it: apply.c brings arrivals in,
// commands.c, state.c and finish.c let the code ask, match.c holds what it asks against history, queue.c
// steps the program, history.c drives replays, turn.c keeps what a live turn gives to the runtime.
// To add a kind of event: its rule in note.c, then a command in commands.c or an arrival in apply.c.
//
// Memory: a helper that fails to allocate returns false or NULL and changes nothing that matters: the
// exec is broken from there on (duro__break) and its owner drops it.
#ifndef DURO_REPLAY_INTERNAL_H
#define DURO_REPLAY_INTERNAL_H

#include "base/map.h"
#include "replay/exec.h"

typedef struct duro__mail duro__mail;
typedef struct duro__box duro__box;
typedef struct duro__entry duro__entry;

// An open task: what the runtime sees, and what only this room knows. One block with its texts.
struct duro__entry {
  duro__open open;         // first: duro__exec_open gives its address
  int64_t due_ms;          // the key under which it stands in the due heap
  int64_t whole_due_ms;    // an activity's deadline_ms; DURO_NEVER when there is none
  size_t size;             // of the block
  struct duro__slab *slab; // that it lies in; NULL: it is a block of its own
  uint32_t heap_place;     // 1 + its index in the due heap; 0 = not there
  uint32_t start_turn;     // the turn whose effects hold its START_JOB or START_CHILD ...
  uint32_t start_place;    // ... and the index there
  bool local_job;          // it is counted in the exec's local_jobs
  bool taken;              // duro__exec_take_due gave away its end: it is due no more
  bool told;               // a bound wait whose completion the program has had
  duro__entry *prev_waiter, *next_waiter; // waits of one name that have no event yet
  duro__box *box;                         // of such a wait
  duro__mail *mail;                       // the event a bound wait holds
  char text[];
};

// Open tasks by ascending id. Slots of closed ones stay, empty, until they are more than the others.
typedef struct duro__open_slot {
  int64_t id;
  duro__entry *entry; // NULL = closed
} duro__open_slot;

typedef struct duro__open_set {
  duro__open_slot *slots;
  size_t begin, end, capacity; // slots[begin] is never empty
  size_t count, bytes;
  struct duro__slab *slab; // where the next entry of many goes; NULL = none
} duro__open_set;

// A received event that nobody has looked at: in a box, or held by a bound wait.
struct duro__mail {
  duro__mail *prev, *next;
  duro__box *box;   // NULL while a wait holds it
  int64_t event_id; // negative for those that a continue-as-new carried over
  duro_str data;    // absent = none
  char text[];
};

// The events of one name, or the waits for that name: never both.
struct duro__box {
  duro__box *prev, *next;
  duro_str name;
  duro__mail *first_mail, *last_mail; // ascending event ids
  duro__mail *hint;                   // where the last event was given back, or beside it
  duro__entry *first_waiter, *last_waiter;
  char text[];
};

typedef struct duro__box_list {
  duro__box *first, *last;
  size_t count;
} duro__box_list;

typedef struct duro__mailbox {
  duro__box_list holding, waiting;
  duro_map by_name;              // all boxes, once they are too many to walk through
  size_t mail_bytes, mail_count; // also of those that waits hold
  duro__mail *seen;              // looked at in this step, which may still use their data
} duro__mailbox;

typedef struct duro__kv_entry {
  duro_str key, value;
  char text[];
} duro__kv_entry;

typedef struct duro__kv {
  duro__kv_entry **items; // ascending keys
  size_t count, capacity, bytes;
} duro__kv;

// Remembered ids, in the order in which they came: dedup ids, patches.
typedef struct duro__label {
  struct duro__label *next;
  duro_str text;
  char bytes[];
} duro__label;

typedef struct duro__labels {
  duro__label *first, *last;
  duro_map by_text;
} duro__labels;

// What the program is still to be told, when it cannot be told at once.
typedef enum duro__told_kind {
  DURO__TELL_BEGIN,
  DURO__TELL_WAIT, // the task is a bound wait: its event is the output
  DURO__TELL_COMPLETED,
  DURO__TELL_FAILED,
  DURO__TELL_CANCEL,
} duro__told_kind;

typedef struct duro__told {
  duro__told_kind kind;
  int64_t task;
  duro_str text; // owned: output or error
} duro__told;

typedef struct duro__queue {
  duro__told *items;
  size_t head, count, capacity; // a ring
} duro__queue;

// State that most executions never have: made with the first of it.
typedef struct duro__kept {
  duro__kv kv;
  duro__labels *dedup; // NULL = none
  duro__labels *patches;
  duro_str custom_status, attributes; // owned
  int64_t custom_status_version;
} duro__kept;

// What is there only while a history is replayed. It lives on the stack of history.c.
typedef struct duro__replay {
  const duro_event *items;
  size_t count, cursor;
  bool looking_back; // beyond the last event the code is halted, which is no mismatch
  bool halted;
  duro__mismatch mismatch; // where code and history parted
} duro__replay;

// The turn that runs or ran last, from its begin until the exec leaves it.
typedef struct duro__live_turn {
  int64_t first_id, event_count;
  uint64_t kinds;   // of its events: bit 1 << duro_event_kind
  duro_buf out;     // its events
  duro_buf scratch; // texts made for one event
  duro_arena arena; // texts of effects and of the end
  duro__effect *effects;
  size_t effect_count, effect_capacity, effects_dropped;
  bool custom_status_changed, attributes_changed;
  int32_t activities_completed, activities_failed, timers_fired, events_received;
  duro_str end_output, end_error, end_reason;
  duro_event *next_start; // in the arena; NULL = none
} duro__live_turn;

struct duro__exec {
  duro__exec_config config;
  duro_program_start start; // slices into `start_text` and `instance_text`
  char *start_text;
  int64_t parent_event_id, deadline_ms;
  void *program;
  int64_t last_id, now_ms;
  duro_prng prng; // once it is `seeded`

  // How it stands. `broken`: an error came in the middle of a step. `scanned`: there is state, but no
  // program that stands where it ends. `sealed`: no further turn at all, after a look back and when a
  // retry must be loaded anew. `untold`: something arrived while it was suspended.
  duro_status status; // RUNNING also while suspended
  duro_code broken;
  bool scanned, sealed, untold;
  bool started, ended, suspended, held, cancel_requested;
  bool runs;             // there is a program to tell things to: not while scanning
  bool stepping;         // the program is inside begin or step
  bool side_effect_open; // the code runs a side effect's function
  bool seeded;

  duro__replay *replay;  // NULL = live
  duro__live_turn *turn; // NULL = none yet, or left
  uint32_t turn_number;

  // The state that events make.
  duro__open_set open;
  duro__entry **due; // a heap
  size_t due_count, due_capacity, due_wanted;
  uint32_t open_count[4]; // by duro__open_kind; of waits only those without an event
  size_t local_jobs;      // activities served here that wait to run or run
  duro__mailbox mailbox;
  duro__queue queue;
  const duro__kept *kept; // change it by duro__kept_change
  duro_str cancel_reason; // owned
  char instance_text[];
};

static inline duro_pool *duro__blocks(const duro__exec *x) {
  return x->config.stock ? x->config.stock->blocks : NULL;
}
static inline duro__exec *duro__exec_of(const duro_turn *t) { return (duro__exec *)(uintptr_t)t; }
static inline duro_turn *duro__turn_of(duro__exec *x) { return (duro_turn *)x; }
static inline int64_t duro__add_ms(int64_t at_ms, int64_t more_ms) {
  return more_ms > 0 && at_ms > DURO_NEVER - more_ms ? DURO_NEVER : at_ms + more_ms;
}

// The reason in an orchestration_started whose code was held back (duro__exec_hold_begin), so that
// replay holds it back too; and the one in an orchestration_failed that the core decided.
#define DURO_HELD_REASON       DURO_STR("held back")
#define DURO_TIMEOUT_REASON    DURO_STR("timeout")
#define DURO_CANCELLED_MESSAGE "the instance was cancelled"

// --- exec.c ---
// Marks the exec as broken by `code` (the first one stays) and returns it.
duro_code duro__break(duro__exec *x, duro_code code);
duro_code duro__break_oom(duro__exec *x, duro_error **err);
void duro__end_program(duro__exec *x);
void duro__reset(duro__exec *x);              // as new, without a program
duro__kept *duro__kept_change(duro__exec *x); // NULL when memory is out
// Replaces an owned text. False when memory is out.
bool duro__own(duro_str *owned, duro_str text);
// An array from the exec's blocks in place of a smaller one, whose `bytes` it begins with. NULL when memory
// is out: then the smaller one stays.
void *duro__larger(duro__exec *x, void *array, size_t bytes, size_t larger_bytes);

// --- note.c: the fold ---
duro_code duro__note(duro__exec *x, const duro_event *e, duro_error **err);
// Whether the event is an arrival: of group A, or the instance's timeout.
bool duro__is_arrival(const duro_event *e);
// Copies a text to *at, with a NUL behind it, and moves *at on; absent stays absent.
duro_str duro__put_text(char **at, duro_str text);
bool duro__needs_source(const duro_event *e);
// The open task that an event of one is about; NULL when it is not open or of another kind.
duro__entry *duro__source(duro__exec *x, const duro_event *e);

// --- open.c ---
// Opens the task that the event schedules. NULL when memory is out.
duro__entry *duro__open_add(duro__exec *x, duro__open_kind kind, const duro_event *e);
duro__entry *duro__open_find(const duro__exec *x, int64_t task);
duro__entry *duro__open_after(const duro__exec *x, int64_t id);
void duro__open_remove(duro__exec *x, duro__entry *e); // from everywhere but its box
void duro__open_set_state(duro__exec *x, duro__entry *e, duro__open_state state);
// Brings counts and due time up to a state that the runtime has set in the entry itself.
void duro__open_sync(duro__exec *x, duro__entry *e);
void duro__open_clear(duro__exec *x); // the waits' boxes forget them, and held events are gone

// --- due.c ---
bool duro__due_reserve(duro__exec *x); // room for one more task with times
void duro__due_update(duro__exec *x, duro__entry *e);
void duro__due_remove(duro__exec *x, duro__entry *e);

// --- mailbox.c ---
// An event has come: to the first wait for it (*waiter), or into its box. False: memory is out.
bool duro__mail_receive(duro__exec *x, int64_t event_id, duro_str name, duro_str data,
                        duro__entry **waiter);
// A wait has come: it gets the first event of its name, or waits in the box.
bool duro__mail_subscribe(duro__exec *x, duro__entry *wait);
// A wait goes: an event it held goes back, maybe to another wait (*waiter).
bool duro__mail_unsubscribe(duro__exec *x, duro__entry *wait, duro__entry **waiter);
void duro__mail_taken(duro__exec *x, duro__entry *wait); // its event is used up ...
void duro__mail_free_seen(duro__exec *x);                // ... and gone when the step is over
duro__entry *duro__mail_first_waiter(const duro__exec *x, duro_str name);
duro__mail *duro__mail_next(const duro__exec *x, size_t *at, duro_str *name);
void duro__mail_forget_waits(duro__exec *x);
void duro__mail_clear(duro__exec *x);

// --- kv.c ---
duro__kv_entry *duro__kv_find(const duro__exec *x, duro_str key);
bool duro__kv_set(duro__exec *x, duro_str key, duro_str value);
void duro__kv_remove(duro__exec *x, duro_str key);
void duro__kv_clear(duro__exec *x);
void duro__kv_free(const duro__kv *kv);

// --- labels.c ---
bool duro__label_known(const duro__labels *l, duro_str text);
bool duro__label_add(duro__labels **l, duro_str text);
void duro__labels_free(duro__labels *l);
// Merges flat attributes: appends the object that `old` becomes by `change`.
// Errors: invalid_argument, too_large, out_of_memory.
duro_code duro__attributes_merge(duro_str old, duro_str change, duro_buf *b, duro_error **err);

// --- carry.c: what goes from one execution to the next ---
size_t duro__carry_bytes(const duro__exec *x); // not less than what duro__carry_write appends
void duro__carry_write(const duro__exec *x, duro_buf *b);
duro_code duro__carry_read(duro__exec *x, duro_str carry, duro_error **err);

// --- queue.c: stepping the program ---
bool duro__tell_later(duro__exec *x, duro__told_kind kind, int64_t task, duro_str text);
duro_code duro__tell(duro__exec *x, duro__told_kind kind, int64_t task, duro_str text,
                     duro_error **err);
duro_code duro__pump(duro__exec *x, duro_error **err); // tells all that is left to tell
void duro__queue_clear(duro__exec *x);

// --- apply.c ---
// What an arrival does, live or from history, once it has its id.
duro_code duro__process(duro__exec *x, const duro_event *e, duro_error **err);

// --- match.c ---
// The code asks for `e`: live it is recorded, on replay it must meet its event. Sets id and time.
duro_code duro__issue(duro__exec *x, duro_event *e, duro_error **err);
int64_t duro__next_id(const duro__exec *x);
const duro_event *duro__at_cursor(const duro__exec *x); // NULL when live or at the end
duro_code duro__part(duro__exec *x, const char *got, duro_error **err); // a mismatch at the cursor
void duro__describe(const duro_event *e, duro_buf *b);

// --- commands.c ---
// May the code ask for something now, and may an event be added for it?
duro_code duro__may_ask(duro__exec *x, duro_error **err);
duro_code duro__may_add(duro__exec *x, duro_error **err);
duro_code duro__check_id(const char *what, duro_str id, size_t max_bytes, duro_error **err);
duro_code duro__check_size(const char *what, duro_str text, size_t max_bytes, duro_error **err);
duro_code duro__cancel_open(duro__exec *x, duro_str child_reason, duro_error **err); // all tasks

// --- finish.c ---
duro_code duro__finish_cancelled(duro__exec *x, duro_error **err);
duro_str duro__cancel_error(duro__exec *x, duro_buf *b); // the JSON error of a cancellation

// --- turn.c: what a live turn leaves ---
bool duro__turn_need(duro__exec *x); // makes x->turn; false when memory is out
duro_code duro__record(duro__exec *x, duro_event *e, duro_error **err);
duro_str duro__keep(duro__exec *x, duro_str text); // in the turn's arena
// Effects; nothing while replaying. They answer DURO_OUT_OF_MEMORY, or DURO_OK.
duro_code duro__effect_start(duro__exec *x, duro__effect_kind kind, duro__entry *task);
duro_code duro__effect_stop_job(duro__exec *x, duro__entry *task);
duro_code duro__effect_stop_child(duro__exec *x, duro__effect_kind kind, duro__entry *task,
                                  duro_str reason);
duro_code duro__effect_send(duro__exec *x, duro__effect_kind kind, const duro_event *event);
// What the terminal event means for the turn's result; after it has been noted.
duro_code duro__end_result(duro__exec *x, const duro_event *e, duro_error **err);

// --- retry.c ---
// Appends the error object of a failed attempt for the program: the given one with name and attempts.
void duro__failure_write(duro_buf *b, duro_str error, duro_str name, int64_t attempts);

#endif
