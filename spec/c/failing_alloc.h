/* failing_alloc.h: makes every allocation of a piece of code fail in turn.
 *
 *   for (int n = 0; fail_alloc_at(n); n++) {   // the n-th from here fails, and all behind it
 *     ...the code...
 *     if (!fail_alloc_happened()) break;       // it got through: there are no more to fail
 *   }
 *   fail_alloc_at(-1);
 *
 * It replaces the malloc family of the whole test program, which only glibc allows and which a
 * sanitizer does itself: there FAIL_ALLOC_WORKS is 0, nothing fails, and one round is made.
 * Include it once in a program. */
#ifndef DURO_SPEC_FAILING_ALLOC_H
#define DURO_SPEC_FAILING_ALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define FAIL_ALLOC_WORKS 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#undef FAIL_ALLOC_WORKS
#define FAIL_ALLOC_WORKS 0
#endif
#ifndef FAIL_ALLOC_WORKS
#define FAIL_ALLOC_WORKS 1
#endif

static _Thread_local int fail_alloc__left = -1; /* allocations that still succeed; -1: all */
static _Thread_local bool fail_alloc__failed;

static __attribute__((unused)) bool fail_alloc_at(int n) {
  fail_alloc__left = n;
  fail_alloc__failed = false;
  return true;
}

static __attribute__((unused)) bool fail_alloc_happened(void) { return fail_alloc__failed; }

#if FAIL_ALLOC_WORKS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

static bool fail_alloc__now(void) {
  if (fail_alloc__left < 0) return false;
  if (fail_alloc__left-- > 0) return false;
  fail_alloc__left = 0;
  fail_alloc__failed = true;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t size) { return fail_alloc__now() ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
  return fail_alloc__now() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size) { return fail_alloc__now() ? NULL : __libc_realloc(p, size); }
#endif

#endif
