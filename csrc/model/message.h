// A message is an arrival that waits to become an event: the event without its id and time, and where
// it goes. One that must outlive the process is a row in `messages` (or a client's in `requests`),
// whose body is the event's JSON; the receiver's turn deletes the row in its own batch.
#ifndef DURO_MODEL_MESSAGE_H
#define DURO_MODEL_MESSAGE_H

#include "base/pool.h"
#include "model/event.h"

typedef struct duro_message {
  struct duro_message *next; // in the receiver's inbox
  int64_t instance_key;
  int64_t execution_id; // 0 = whichever is current
  int64_t row_id;       // its row in `messages`; 0 = in memory only
  int64_t request_id;   // its row in `requests`; 0 = none
  bool must_keep;   // the batch that caused it carries it as a row unless a turn consumes it there
  void *waiter;     // runtime: who is answered when the batch that consumes it is durable
  duro_pool *pool;  // it goes back there; NULL: none
  duro_event event; // group A, `id` and `at_ms` unset; slices point into `bytes`
  char bytes[];
} duro_message;

// An owned deep copy of `event` as a message; NULL when memory is out. Free with duro_message_free, before
// the pool ends that it is from (NULL: from none).
duro_message *duro_message_new(duro_pool *pool, int64_t instance_key, int64_t execution_id,
                               const duro_event *event);
// From a row's body. Errors: corrupt, out_of_memory.
duro_code duro_message_decode(duro_pool *pool, int64_t instance_key, int64_t execution_id,
                              duro_str body, duro_message **out, duro_error **err);
void duro_message_encode(duro_buf *b, const duro_message *m); // the event's JSON, id 0
duro_message *duro_message_reverse(duro_message *list);       // by `next`
void duro_message_free(duro_message *m);

#endif
