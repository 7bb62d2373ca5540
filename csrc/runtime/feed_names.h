// feed_names: what a completion in the feed completes: the name of the activity, the name and id of the
// child. History says it only in the event that scheduled it, which is in an earlier row.
//
// Names of what readers have seen being scheduled are remembered, the newest ones up to a bound; what is not
// remembered is read from the execution's history, and then all of that execution is.
// Thread: one at a time; the runtime's is the helper thread's.
#ifndef DURO_RUNTIME_FEED_NAMES_H
#define DURO_RUNTIME_FEED_NAMES_H

#include "base/map.h"
#include "model/event.h"
#include "store/store.h"

typedef struct duro__feed_names {
  duro_map young,
      old; // (instance key, execution, event) -> its names; a full young one becomes the old
} duro__feed_names;

typedef struct duro__scheduled {
  duro_str name, instance; // absent: not known
} duro__scheduled;

bool duro__feed_completes(const duro_event *e); // something that was scheduled under a name
// Remembers e, when it schedules something. False: memory is out.
bool duro__feed_names_see(duro__feed_names *n, int64_t key, int64_t execution_id,
                          const duro_event *e);
// What the completion `e` completes; copied into the arena. What nobody knows any more is left absent, and
// so is what only a very long history would tell.
duro_code duro__feed_names_find(duro__feed_names *n, duro__store *store, int64_t key,
                                int64_t execution_id, const duro_event *e, duro_arena *arena,
                                duro__scheduled *out, duro_error **err);
void duro__feed_names_free(duro__feed_names *n);

#endif
