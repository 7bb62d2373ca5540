// An incomplete table of store verbs is refused before it is used, by the name of what is missing.
#include "store/store.h"

enum { MUST = true, MAY = false };

duro_code duro__store_check(const duro_store_ops *ops, duro_error **err) {
  if (!ops) return duro_fail(err, DURO_INVALID_ARGUMENT, "there is no table of store verbs");
  if (ops->version != DURO_STORE_VERSION) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "the store's table has version %d, this duro needs %d", ops->version,
                     DURO_STORE_VERSION);
  }
  if (!ops->type || !*ops->type) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "the store's table has no type");
  }
  if (!ops->close) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "the store '%s' lacks the verb 'close'",
                     ops->type);
  }
#define X(slot, kind, need)                                                                        \
  if (need && !ops->slot) {                                                                        \
    return duro_fail(err, DURO_INVALID_ARGUMENT, "the store '%s' lacks the verb '" #slot "'",      \
                     ops->type);                                                                   \
  }
  DURO__STORE_VERBS(X)
#undef X
  bool some =
      ops->claim_jobs || ops->renew_jobs || ops->finish_job || ops->jobs || ops->queue_state;
  bool all = ops->claim_jobs && ops->renew_jobs && ops->finish_job && ops->jobs && ops->queue_state;
  if (some && !all) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "the store '%s' has only some of 'claim_jobs', 'renew_jobs', 'finish_job', "
                     "'jobs' and 'queue_state'",
                     ops->type);
  }
  return DURO_OK;
}
