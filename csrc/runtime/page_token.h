// page_token: where a page ends, for the caller to bring back. Opaque, and of no use with another filter,
// order or file, nor altered: a hash keyed by the file's random id covers all of it.
#ifndef DURO_RUNTIME_PAGE_TOKEN_H
#define DURO_RUNTIME_PAGE_TOKEN_H

#include "runtime/internal.h"

// `scope`: the JSON of whatever the pages are of. The position is the query's.
duro_code duro__page_token_write(duro_runtime *rt, duro_buf *b, const duro_list_query *q,
                                 duro_str scope, duro_error **err);
// Sets the query's position; its text lives in the arena. Errors: invalid_argument, storage.
duro_code duro__page_token_read(duro_runtime *rt, duro_str token, duro_str scope, duro_arena *arena,
                                duro_list_query *q, duro_error **err);

#endif
