// payloads: looking into stored values without the host: whether one can be read, what stands at a path
// of it, whether it holds a text. JSON decides what is equal, never SQL.
#ifndef DURO_RUNTIME_PAYLOADS_H
#define DURO_RUNTIME_PAYLOADS_H

#include "base/json.h"

// It is JSON, and each {"$duro":...} in it is one that is known (binding/payload.c lists them).
bool duro__payload_readable(duro_str json);
// A codec stands between it and us.
bool duro__payload_hidden(duro_str json);
// The value at a path such as `customer.address.1.street`: dots go down, `\.` is a literal dot, whole
// numbers are 1-based indexes of arrays. Absent when there is none. Texts go to the arena.
duro_str duro__payload_at(duro_str json, duro_str path, duro_arena *arena);
// The reader's last key, as the user wrote it.
duro_str duro__payload_key(const duro_json_reader *r, duro_arena *arena);
// Equal as values: 3 and 3.0 are, whatever their bytes.
bool duro__payload_equal(duro_str a, duro_str b, duro_arena *arena);
// A string in it (not a key) contains the text; or the text of one of its numbers does.
bool duro__payload_contains(duro_str json, duro_str text, duro_arena *arena);

#endif
