// remote_state: what remote.c and remote_post.c share, and nobody else.
#ifndef DURO_RUNTIME_REMOTE_STATE_H
#define DURO_RUNTIME_REMOTE_STATE_H

#include "runtime/remote.h"

struct duro__remote {
  duro__posting *todo_head, *todo_tail; // not written yet
  bool posting;                         // a transaction is on the store thread
  bool looked;                          // since the last post or the first wait
  uint64_t last_look_ns, last_owner_look_ns;
  uint64_t no_sign_ns; // since when the owner is seen to give none; 0 = it gives some
  int64_t poll_ms;
  DURO__VEC(int64_t) fetched; // rows whose answers have been read: to be deleted
  bool forgetting;
};

// Its rows are in the file: from now on the owner's answer is looked for.
void duro__remote_await(duro_request *r, const duro__call_verb *verb, duro_str args);
void duro__remote_post_next(duro_runtime *rt); // when the store thread has nothing of ours

#endif
