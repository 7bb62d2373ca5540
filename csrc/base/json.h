// JSON text: writing into a buffer, and reading by a cursor without building a tree.
//
// The reader borrows: a token's bytes live as long as the text. It accepts exactly RFC 8259 and
// refuses nesting deeper than DURO_JSON_MAX_DEPTH. Payloads go through here unread: duro_json_skip
// gives a value's slice.
#ifndef DURO_BASE_JSON_H
#define DURO_BASE_JSON_H

#include "base/bytes.h"

#define DURO_JSON_MAX_DEPTH 400 // payloads may be 200 deep, plus tags and our own wrapping

// --- Writing ---
void duro_json_add_string(duro_buf *b, duro_str s); // quoted and escaped; `s` must be UTF-8
void duro_json_add_double(duro_buf *b,
                          double value); // finite; shortest text that reads back equal,
                                         // always with a '.' or an exponent
bool duro_utf8_valid(duro_str s);

// --- Reading ---
typedef enum duro_json_type {
  DURO_JSON_ERROR = 0,
  DURO_JSON_END, // the text is over
  DURO_JSON_NULL,
  DURO_JSON_TRUE,
  DURO_JSON_FALSE,
  DURO_JSON_INTEGER, // no '.', no exponent, fits int64
  DURO_JSON_DOUBLE,
  DURO_JSON_STRING,
  DURO_JSON_KEY, // a string in key position; the ':' is consumed
  DURO_JSON_BEGIN_ARRAY,
  DURO_JSON_END_ARRAY,
  DURO_JSON_BEGIN_OBJECT,
  DURO_JSON_END_OBJECT,
} duro_json_type;

typedef struct duro_json_reader {
  const char *at, *end, *begin;
  uint8_t stack[DURO_JSON_MAX_DEPTH]; // '[' or '{' of each open container
  int depth;
  uint8_t expect;      // internal state
  const char *problem; // set with DURO_JSON_ERROR
  // The last token:
  int64_t integer;
  double number; // for INTEGER too
  duro_str text; // STRING and KEY: the raw bytes between the quotes
  bool escaped;  // the raw bytes hold escapes: use duro_json_unescape
} duro_json_reader;

void duro_json_open(duro_json_reader *r, duro_str text);
duro_json_type duro_json_next(duro_json_reader *r);
// Where a value is expected: passes over one whole value and gives its bytes (`value` may be NULL). In
// an array it also passes the comma. False at the array's or the text's end, and on a problem; only
// the latter sets `problem`.
bool duro_json_skip(duro_json_reader *r, duro_str *value);
// Appends the unescaped bytes of a raw string token.
void duro_json_unescape(duro_buf *b, duro_str raw);
// A token's text for good: the raw slice when nothing is escaped, else unescaped into the arena.
duro_str duro_json_text(const duro_json_reader *r, duro_arena *arena);
// Looks up one member of an object text; absent slice when it is not there. Of equal keys
// the first counts, and what follows it is not checked. For small option objects.
duro_str duro_json_member(duro_str object, const char *key);
bool duro_json_valid(duro_str text);
// Typed look-ups over duro_json_member, with a default for absent or wrongly typed members. An
// integer may be written as 3.0.
int64_t duro_json_member_int(duro_str object, const char *key, int64_t otherwise);
double duro_json_member_double(duro_str object, const char *key, double otherwise);
bool duro_json_member_bool(duro_str object, const char *key, bool otherwise);
// The member's unescaped text in the arena; absent when it is no string.
duro_str duro_json_member_text(duro_str object, const char *key, duro_arena *arena);

#endif
