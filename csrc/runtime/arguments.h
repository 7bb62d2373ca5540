// arguments: reading and checking what a call brings, in one place, so that every verb refuses the same
// things in the same words.
//
// Each `duro__arg_*` answers the request with the error and returns false when the member is not as it
// must be; an optional member that is absent (or null) is fine and leaves *out absent. Texts live in the
// arena or in the arguments; payloads are slices of the arguments.
#ifndef DURO_RUNTIME_ARGUMENTS_H
#define DURO_RUNTIME_ARGUMENTS_H

#include "runtime/internal.h"

typedef enum duro__need { DURO__OPTIONAL, DURO__REQUIRED } duro__need;

// The member's slice; `null` counts as absent.
duro_str duro__member(duro_str object, const char *key);

bool duro__arg_object(duro_request *r, duro_str arguments);
// A text that obeys the rule of ids and names (UTF-8, no control characters, 1..max bytes).
bool duro__arg_id(duro_request *r, duro_str args, const char *key, duro__need need,
                  size_t max_bytes, duro_arena *arena, duro_str *out);
// The same of a member that was looked up already.
bool duro__arg_id_of(duro_request *r, duro_str value, const char *key, duro__need need,
                     size_t max_bytes, duro_arena *arena, duro_str *out);
bool duro__arg_payload_of(duro_request *r, duro_str value, const char *key, duro_str *out);
bool duro__argument_id_ok(duro_request *r, const char *what, duro_str id, size_t max_bytes);
bool duro__arg_text(duro_request *r, duro_str args, const char *key, size_t max_bytes,
                    duro_arena *arena, duro_str *out);
// One of `words` (ends with NULL): *out becomes its index, and stays as it is when the member is absent.
bool duro__arg_word(duro_request *r, duro_str args, const char *key, duro__need need,
                    const char *const *words, int *out);
// An array of such words, or one: a bit each.
bool duro__arg_words(duro_request *r, duro_str args, const char *key, const char *const *words,
                     unsigned *out);
// A payload: its raw JSON. `null` is a payload like any other; absent is none.
bool duro__arg_payload(duro_request *r, duro_str args, const char *key, duro_str *out);
bool duro__arg_int(duro_request *r, duro_str args, const char *key, int64_t otherwise,
                   int64_t least, int64_t *out);
// A flat object of string, number and boolean; absent when it is empty.
bool duro__arg_attributes(duro_request *r, duro_str args, duro_str *out);
// An array of instance ids, each obeying the rule; `key` NULL: the arguments are the array.
bool duro__arg_ids(duro_request *r, duro_str args, const char *key, duro_arena *arena,
                   duro_str **out, size_t *count);

// `only` [ids]: narrows a filter further; nothing passes an empty one.
bool duro__arg_only(duro_request *r, duro_str args, duro_arena *arena, duro_filter *filter);

// The filter of a list (filter.c). Its texts live in the arena or in `json`.
bool duro__arg_filter(duro_request *r, duro_str json, duro_arena *arena, duro_filter *out);

#endif
