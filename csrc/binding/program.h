// program: one execution of one orchestration written in Lua, and the scheduler inside it.
//
// A program is a userdata: the `ctx` that user code gets. Its code runs in fibers: the main function
// and each ctx:spawn block have one, with a Lua coroutine of their own. A fiber runs until it waits;
// then it stands in the list of some task (or polls, see wait_until). A completion settles one task,
// which makes its waiters ready, and ready fibers run in that order until none is left. So what runs
// when depends on the order of completions alone.
//
// Waiting is `return lua_yield(L, 0)` in tail position, after the fiber's state was
// set to BLOCKED; a yield that finds it otherwise came from somebody else. Results are decoded by a
// second call (take), inside the coroutine, so that the core's callbacks need no protected call.
//
// Blocking forms wait on a slot of the program directly; tasks that the author holds are userdata of
// their own, which carry their result until they are collected.
#ifndef DURO_BINDING_PROGRAM_H
#define DURO_BINDING_PROGRAM_H

#include "binding/host.h"

typedef struct duro__fiber duro__fiber;
typedef struct duro__task duro__task;

typedef enum duro__task_kind {
  DURO__TASK_ACTIVITY,
  DURO__TASK_TIMER,
  DURO__TASK_WAIT,
  DURO__TASK_CHILD,
  DURO__TASK_BLOCK, // a fiber made by ctx:spawn
} duro__task_kind;

typedef enum duro__task_state {
  DURO__OPEN,
  DURO__COMPLETED,
  DURO__FAILED,
  DURO__CANCELLED,
} duro__task_state;

typedef struct duro__waiter {
  struct duro__waiter *next;
  duro__fiber *fiber;
  duro__task *task;
} duro__waiter;

struct duro__task {
  duro__program *program; // while open
  uint64_t serial;        // of its program
  int64_t id;             // of its scheduling event; 0 for a block
  uint64_t order;         // of its end, in history order
  duro__waiter *waiters, **waiters_end;
  duro__fiber *block;
  char *text; // output or error as JSON, of its own or in `brief`; NULL = none
  size_t text_n;
  int value_ref;   // of a block: what it returned (a table of `value_count` when more than one),
  int value_count; // or its error table
  uint32_t owner;  // the fiber that made it
  uint8_t kind, state;
  bool observed;
  char brief[25]; // of most: a number, a short word
};

typedef enum duro__fiber_state {
  DURO__READY,
  DURO__RUNNING,
  DURO__BLOCKED,
  DURO__DEAD,
} duro__fiber_state;

struct duro__fiber {
  duro__program *program;
  lua_State *co;
  int ref;                 // of the coroutine
  int args;                // on its stack, for the first resume
  uint32_t number, parent; // from 1 (main); the fiber that spawned it
  uint8_t state;
  bool polling;   // waits for the next completion, whatever it is
  bool repeated;  // ... after the one before did not satisfy it
  bool interrupt; // a cancellation that its wait is to raise
  duro__fiber *next, *ready_next;
  duro__task *task; // the handle of a block, while somebody holds it
  duro__waiter one, *many;
  size_t many_count, scan;
  // The result of a direct wait, valid during the step that brought it.
  int64_t direct_id;
  duro_str result;
  uint8_t result_state, direct_kind;
};

// What the core knows as an open task. One of the two waits for it; neither: it is over.
typedef struct duro__slot {
  int64_t id; // ascending
  duro__task *task;
  duro__fiber *fiber;
} duro__slot;

#define DURO__FIRST_SLOTS 2

struct duro__program {
  duro__host *host;
  duro__rt *rt;
  duro_turn *turn;       // during begin and step only
  const duro_turn *view; // for looking, as long as the core has it
  const duro_program_start *start;
  uint64_t serial;
  int ref, queries_ref, fn_ref;
  duro__fiber *fibers, **fibers_end, *ready, **ready_end, *running;
  uint32_t fiber_count;
  int polling; // fibers that poll
  bool progress;
  bool over; // its end is recorded, or it is broken: no more user code runs
  bool
      ending; // the main function has ended in the step of a cancellation, which others are to see yet
  bool gone;  // the core has dropped it
  bool quiet; // inside of a side effect
  bool asked; // a query handler runs
  duro_code broken;
  duro_error *broken_error;
  duro__slot *slots;
  size_t slot_count, slot_cap, slot_live;
  uint64_t order;
  int64_t now_ms;
  duro_str cancel_error; // during the step of a cancellation
  // What nearly every program needs, and most need no more of.
  duro__fiber main;
  duro__slot first_slots[DURO__FIRST_SLOTS];
};

// --- program.c ---
extern const duro_program_ops duro__program_ops;      // the core's door
void duro__program_init(lua_State *L, duro__host *h); // everything of orchestrations, into core.ops
// Raises unless `what` may be called now: right ctx, right coroutine, in a turn.
duro__program *duro__program_check(lua_State *L, const char *what);
duro__program *duro__program_check_task(lua_State *L, const char *what, duro__task *task);
// The same for looking at state, which query handlers may do (`view`).
duro__program *duro__program_check_view(lua_State *L, const char *what);
// After a duro_turn_* that failed: `return` what this returns. Frees err.
int duro__program_turn_error(lua_State *L, duro__program *p, duro_code code, duro_error *err);
// A stored payload could not be read, and its error table is at the top: the same. No code of the author
// is to see that, since it says nothing about the orchestration.
int duro__program_unreadable(lua_State *L, duro__program *p);
// The program's end by an error record.
void duro__program_fail(duro__program *p, duro_str record);
// True in the step of a cancellation: what the main function ends with counts for nothing there, and the end
// is recorded when every fiber has seen the error.
bool duro__program_ends_later(duro__program *p);

// --- fiber.c ---
duro__fiber *duro__fiber_new(lua_State *L, duro__program *p); // raises when memory is out
void duro__fiber_ready(duro__fiber *f);
void duro__fiber_unlink(duro__fiber *f);             // from everything it waits for
void duro__fiber_free(lua_State *L, duro__fiber *f); // closes its coroutine
// Waits until a task is done: `return` what these return. Room for `what` is checked before anything is
// scheduled: raises where a yield cannot pass.
void duro__fiber_check_yield(lua_State *L, duro__program *p, const char *what);
int duro__fiber_block(lua_State *L, duro__fiber *f);
void duro__fiber_wait_for(lua_State *L, duro__fiber *f, duro__task **tasks, size_t count);
void duro__fiber_interrupt_all(duro__program *p);
// Raises the cancellation that interrupted the fiber's wait, if there is one.
void duro__fiber_check_interrupt(lua_State *L, duro__program *p);
void duro__fiber_functions(lua_State *L, duro__host *h);

// --- slot.c ---
void duro__slot_reserve(lua_State *L, duro__program *p); // so that adding one cannot fail
void duro__slots_free(duro__program *p);
void duro__slot_add(duro__program *p, int64_t id, duro__task *task, duro__fiber *fiber);
duro__slot *duro__slot_find(duro__program *p, int64_t id);
void duro__slot_remove(duro__program *p, duro__slot *slot);

// --- task.c ---
duro__task *duro__task_new(lua_State *L, duro__program *p, duro__task_kind kind); // pushes it
duro__task *duro__task_at(duro__host *h, lua_State *L, int index);                // NULL: no task
void duro__task_settle(duro__task *t, duro__program *p, duro__task_state state, duro_str text);
// Nobody will look at it: DURO_OK, or the code of a turn that broke.
duro_code duro__task_drop(lua_State *L, duro__program *p, duro__task *t, duro_error **err);
int duro__task_take(lua_State *L, duro__program *p, duro__task *t); // pushes values, or raises
// Whether the running fiber is that block, or was spawned inside of it.
bool duro__task_encloses(const duro__program *p, const duro__task *t);
void duro__task_init(lua_State *L, duro__host *h);
void duro__join_functions(lua_State *L, duro__host *h);

// --- The rest: each puts its functions into core.ops, the table at the top ---
int duro__call_options(lua_State *L); // call_options.c
void duro__schedule_functions(lua_State *L, duro__host *h);
void duro__state_init(lua_State *L, duro__host *h); // the ctx and its methods
void duro__inspect_init(lua_State *L, duro__host *h);
duro_code duro__inspect(void *host, void *program, duro_str what, duro_str args, duro_buf *out,
                        duro_error **err);

#endif
