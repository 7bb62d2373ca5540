// remote_state: what remote.c and remote_post.c share, and nobody else.
#ifndef DURO_RUNTIME_REMOTE_STATE_H
#define DURO_RUNTIME_REMOTE_STATE_H

#include "runtime/remote.h"

struct duro__remote {
  duro__posting *todo_head, *todo_tail; // not written yet
  bool posting;                         // a transaction is on the store thread
  bool looked;                          // since the last post or the first wait
  uint64_t last_look_ns, last_owner_look_ns;
  int64_t poll_ms;
  DURO__VEC(int64_t) fetched; // rows whose answers have been read: to be deleted
  bool forgetting;
};

void duro__remote_post_next(duro_runtime *rt); // when the store thread has nothing of ours

#endif
