// threads.h: what the loop's side (threads.c) and a thread's side (work.c) of the worker pool share.
//
// Invariant: what stands below "lock" is guarded by the pool's lock.
#ifndef DURO_RUNTIME_THREADS_H
#define DURO_RUNTIME_THREADS_H

#include <stdatomic.h>
#include <uv.h>

#include "duro.h"
#include "runtime/vec.h"

typedef struct duro__pool duro__pool;

typedef enum duro__note_kind {
  DURO__NOTE_BEGUN,
  DURO__NOTE_BEAT,
  DURO__NOTE_SLEEP,
  DURO__NOTE_LOG,
  DURO__NOTE_DONE
} duro__note_kind;
typedef struct duro__note {
  struct duro__note *next;
  duro__note_kind kind;
  bool waits; // in the pool's list; lock
  duro_work *work;
} duro__note;

typedef struct duro__log_note {
  duro__note note;
  const char *level, *message;
  duro_str fields;
  // The texts follow.
} duro__log_note;

struct duro_work {
  duro__pool *pool;
  duro_job *job; // the loop's
  duro_job_info info;
  duro_str call;
  atomic_bool cancelled;
  // lock:
  duro_work *next;                  // in the queue
  duro_work *next_of_all, **of_all; // among all of the pool
  bool queued;
  duro__note begun, beat, sleep, done; // each stands in the list at most once
  duro_buf details;                    // of the newest beat
  int64_t sleep_ms;
  bool asleep;
  bool ended, failed;
  duro_buf result;
  // The texts of `info` and `call` follow.
};

typedef struct duro__thread {
  duro__pool *pool;
  uv_thread_t id;
  bool ended, left_behind; // lock
} duro__thread;

struct duro__pool {
  uv_mutex_t lock;
  uv_cond_t wanted, woken, gone; // work is there; a sleep is over; a thread has ended
  duro_host host;
  // lock:
  duro_runtime *rt; // NULL: closed
  int users;        // the runtime, and each thread
  duro_work *todo_head, *todo_tail, *all;
  size_t todo_count, idle, busy; // works that wait; threads without one, and with one
  duro__note *notes_head, *notes_tail;
  size_t note_count;
  DURO__VEC(duro__thread *) threads;
};

// lock. Each note stands in the list at most once.
void duro__note_add(duro__pool *p, duro__note *n);
// Copies what it is given; NULL: memory is out.
duro_work *duro__work_new(duro__pool *p, duro_job *job, const duro_job_info *info, duro_str call);
void duro__work_free(duro_work *w);

#endif
