// Byte strings: a borrowed slice, a growable buffer, and an arena.
//
// Invariant: a buffer or an arena that ran out of memory stays so (`oom`), ignores further writes and
// keeps what it had, so that a long sequence of appends is checked once, at its end. Nothing here
// aborts. A slice never owns its bytes; its lender says how long they live.
#ifndef DURO_BASE_BYTES_H
#define DURO_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define DURO_EXPORT                     __attribute__((visibility("default")))
#define DURO_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define DURO_EXPORT
#define DURO_PRINTF(format_at, args_at)
#endif

// A borrowed run of bytes. `{NULL, 0}` means "absent"; an empty string has a non-NULL `p`.
typedef struct duro_str {
  const char *p;
  size_t n;
} duro_str;

#define DURO_STR(literal) ((duro_str){"" literal, sizeof(literal) - 1})
#define DURO_NONE         ((duro_str){NULL, 0})
// For printf: "%.*s", DURO_FMT(s)
#define DURO_FMT(s) (int)(s).n, (s).p ? (s).p : ""

static inline duro_str duro_str_from(const char *z) { return (duro_str){z, z ? strlen(z) : 0}; }
static inline bool duro_str_equal(duro_str a, duro_str b) {
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
// Byte order, shorter first on a common prefix. Returns <0, 0, >0.
int duro_str_compare(duro_str a, duro_str b);
bool duro_str_starts_with(duro_str s, duro_str prefix);
// The beginning of a text, for a message: `max` bytes at most, and no part of a UTF-8 character.
duro_str duro_str_cut(duro_str s, size_t max);
// An owned, NUL-terminated copy made with malloc; NULL only when memory is out. Absent gives NULL too.
char *duro_str_dup(duro_str s);

// A growable buffer. Zero-initialise it; free it with duro_buf_free.
typedef struct duro_buf {
  char *p;
  size_t n;
  size_t cap;
  bool oom;
} duro_buf;

// Makes room for `more` further bytes; false (and oom set) when memory is out.
bool duro_buf_reserve(duro_buf *b, size_t more);
void duro_buf_free(duro_buf *b);
static inline void duro_buf_clear(duro_buf *b) { b->n = 0; }
static inline void duro_buf_add(duro_buf *b, const void *p, size_t n) {
  if (b->cap - b->n < n && !duro_buf_reserve(b, n)) return;
  if (n) memcpy(b->p + b->n, p, n);
  b->n += n;
}
static inline void duro_buf_add_char(duro_buf *b, char c) {
  if (b->cap == b->n && !duro_buf_reserve(b, 1)) return;
  b->p[b->n++] = c;
}
#define duro_buf_add_lit(b, literal) duro_buf_add((b), "" literal, sizeof(literal) - 1)
static inline void duro_buf_add_str(duro_buf *b, duro_str s) { duro_buf_add(b, s.p, s.n); }
#define DURO_INT_SIZE 20 // the longest is -9223372036854775808
size_t duro_format_int(char out[DURO_INT_SIZE], int64_t value); // no NUL; how many
void duro_buf_add_int(duro_buf *b, int64_t value);
void duro_buf_printf(duro_buf *b, const char *format, ...) DURO_PRINTF(2, 3);
static inline duro_str duro_buf_str(const duro_buf *b) {
  return (duro_str){b->p ? b->p : "", b->n};
}

// An arena: many small allocations that end together. Zero-initialise; reset keeps one block.
typedef struct duro_arena_block duro_arena_block;
typedef struct duro_arena {
  duro_arena_block *head;
  bool oom;
} duro_arena;

// 16-byte aligned, not zeroed; NULL and oom when memory is out.
void *duro_arena_alloc(duro_arena *a, size_t n);
// A NUL-terminated copy; absent stays absent.
duro_str duro_arena_dup(duro_arena *a, duro_str s);
void duro_arena_reset(duro_arena *a);
void duro_arena_free(duro_arena *a);

#endif
