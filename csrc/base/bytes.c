// Byte strings, the growable buffer and the arena of bytes.h.
//
// A buffer that runs out of memory sets `oom` and pulls `cap` down to `n`, so that the inlined
// appends of the header find no room and come here, where they are refused. An arena hands out room
// from its newest block and never moves what it gave. Under AddressSanitizer everything that is not
// handed out is poisoned, with a gap behind each allocation, so that a stray access to a turn's
// scratch memory is caught as it would be with malloc.
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DURO_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define DURO_ASAN 1
#endif
#ifdef DURO_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define ARENA_GAP      16
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define ARENA_GAP      0
#endif

#define MAX_BYTES            ((size_t)PTRDIFF_MAX / 2) // so that no sum of two sizes overflows
#define BUF_MIN_BYTES        64
#define ARENA_ALIGN          16
#define ARENA_MIN_BYTES      4080    // with its head, one 4 KB page
#define ARENA_MAX_KEPT_BYTES 1048576 // one huge turn shall not keep its memory for ever

// --- Strings ---

int duro_str_compare(duro_str a, duro_str b) {
  size_t common = a.n < b.n ? a.n : b.n;
  int order = common ? memcmp(a.p, b.p, common) : 0;
  if (order) return order;
  return (a.n > b.n) - (a.n < b.n);
}

bool duro_str_starts_with(duro_str s, duro_str prefix) {
  return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

duro_str duro_str_cut(duro_str s, size_t max) {
  if (s.n <= max) return s;
  while (max && ((unsigned char)s.p[max] & 0xC0) == 0x80) max--;
  return (duro_str){s.p, max};
}

char *duro_str_dup(duro_str s) {
  if (!s.p || s.n > MAX_BYTES) return NULL;
  char *copy = malloc(s.n + 1);
  if (!copy) return NULL;
  if (s.n) memcpy(copy, s.p, s.n);
  copy[s.n] = 0;
  return copy;
}

// --- The buffer ---

static bool buf_out(duro_buf *b) {
  b->oom = true;
  b->cap = b->n;
  return false;
}

bool duro_buf_reserve(duro_buf *b, size_t more) {
  if (b->oom) return false;
  if (b->cap - b->n >= more) return true;
  if (more > MAX_BYTES || b->n > MAX_BYTES - more) return buf_out(b);
  size_t cap = b->cap < BUF_MIN_BYTES ? BUF_MIN_BYTES : b->cap * 2;
  if (cap < b->n + more) cap = b->n + more;
  char *p = realloc(b->p, cap);
  if (!p) return buf_out(b);
  b->p = p;
  b->cap = cap;
  return true;
}

void duro_buf_free(duro_buf *b) {
  free(b->p);
  *b = (duro_buf){0};
}

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static char *format_int(char *end, int64_t value) {
  char *at = end;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  while (rest >= 100) {
    at -= 2;
    memcpy(at, digit_pairs + 2 * (rest % 100), 2);
    rest /= 100;
  }
  if (rest >= 10) {
    at -= 2;
    memcpy(at, digit_pairs + 2 * rest, 2);
  } else {
    *--at = (char)('0' + rest);
  }
  if (value < 0) *--at = '-';
  return at;
}

size_t duro_format_int(char out[DURO_INT_SIZE], int64_t value) {
  char text[DURO_INT_SIZE], *end = text + sizeof text;
  char *at = format_int(end, value);
  memcpy(out, at, (size_t)(end - at));
  return (size_t)(end - at);
}

void duro_buf_add_int(duro_buf *b, int64_t value) {
  char text[DURO_INT_SIZE], *end = text + sizeof text;
  char *at = format_int(end, value);
  duro_buf_add(b, at, (size_t)(end - at));
}

void duro_buf_printf(duro_buf *b, const char *format, ...) {
  if (!duro_buf_reserve(b, 1)) return;
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
  if (n >= 0 && (size_t)n >= b->cap - b->n) {
    // It did not fit; one byte more than its length, for the NUL that vsnprintf insists on.
    n = duro_buf_reserve(b, (size_t)n + 1) ? vsnprintf(b->p + b->n, b->cap - b->n, format, again)
                                           : 0;
  }
  if (n > 0) b->n += (size_t)n;
  va_end(again);
  va_end(args);
}

// --- The arena ---

struct duro_arena_block {
  duro_arena_block *next; // older
  size_t cap, used;
  size_t padding; // keeps `bytes` on a multiple of 16
  char bytes[];
};
_Static_assert(offsetof(duro_arena_block, bytes) % ARENA_ALIGN == 0, "arena blocks are aligned");

static bool arena_grow(duro_arena *a, size_t n) {
  size_t cap = a->head ? a->head->cap * 2 : ARENA_MIN_BYTES;
  if (cap > ARENA_MAX_KEPT_BYTES) cap = ARENA_MAX_KEPT_BYTES;
  if (cap < n) cap = n;
  duro_arena_block *block = malloc(sizeof *block + cap);
  if (!block) return false;
  *block = (duro_arena_block){.next = a->head, .cap = cap};
  POISON(block->bytes, cap);
  a->head = block;
  return true;
}

void *duro_arena_alloc(duro_arena *a, size_t n) {
  if (a->oom) return NULL;
  size_t need = n <= MAX_BYTES ? (n + !n + ARENA_GAP + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1)
                               : SIZE_MAX;
  bool fits = a->head && a->head->cap - a->head->used >= need;
  if (!fits && (need > MAX_BYTES || !arena_grow(a, need))) {
    a->oom = true;
    return NULL;
  }
  char *p = a->head->bytes + a->head->used;
  a->head->used += need;
  UNPOISON(p, n);
  return p;
}

duro_str duro_arena_dup(duro_arena *a, duro_str s) {
  if (!s.p) return DURO_NONE;
  char *copy = s.n <= MAX_BYTES ? duro_arena_alloc(a, s.n + 1) : duro_arena_alloc(a, SIZE_MAX);
  if (!copy) return DURO_NONE;
  if (s.n) memcpy(copy, s.p, s.n);
  copy[s.n] = 0;
  return (duro_str){copy, s.n};
}

void duro_arena_reset(duro_arena *a) {
  duro_arena_block *kept = NULL;
  for (duro_arena_block *block = a->head, *next; block; block = next) {
    next = block->next;
    if (!kept && block->cap <= ARENA_MAX_KEPT_BYTES) {
      kept = block;
    } else {
      UNPOISON(block->bytes, block->cap);
      free(block);
    }
  }
  if (kept) {
    kept->next = NULL;
    kept->used = 0;
    POISON(kept->bytes, kept->cap);
  }
  *a = (duro_arena){.head = kept};
}

void duro_arena_free(duro_arena *a) {
  duro_arena_reset(a);
  if (a->head) UNPOISON(a->head->bytes, a->head->cap);
  free(a->head);
  *a = (duro_arena){0};
}
