/* check.h: all the C tests need, in one header and without a framework.
 *
 *   TEST(a_due_timer_fires_once) {
 *     CHECK_INT(heap_size(&heap), 1);
 *     if (!CHECK(timer != NULL)) return;
 *   }
 *   CHECK_MAIN()
 *
 * A failed check prints file, line and both values and the test goes on: every CHECK is an
 * expression that says whether it held. TESTs register themselves and run in the order of the file.
 * A file named spec/c/<subject>_test.c is a test; run it with a word to run only the tests whose
 * name contains it. Include this header once, in the file that has the CHECK_MAIN. */
#ifndef DURO_SPEC_CHECK_H
#define DURO_SPEC_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct check__test {
  const char *name;
  void (*run)(void);
  struct check__test *next;
} check__test;

static struct {
  check__test *first;
  check__test **tail;
  const char *test_name;
  int checks;
  int failures;
} check__state;

/* Each one evaluates its arguments once. The size of text for CHECK_BYTES is given by the caller,
 * so that bytes after a zero count too. */
#define CHECK(condition)     check__true(__FILE__, __LINE__, #condition, (condition) ? true : false)
#define CHECK_INT(got, want) check__int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want))
#define CHECK_NUM(got, want) check__num(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_STR(got, want) check__str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_BYTES(got, got_size, want, want_size)                                                \
  check__bytes(__FILE__, __LINE__, #got, (got), (size_t)(got_size), (want), (size_t)(want_size))

#define TEST(name)                                                                                 \
  static void check__run_##name(void);                                                             \
  __attribute__((constructor)) static void check__register_##name(void) {                          \
    static check__test test = {#name, check__run_##name, NULL};                                    \
    check__add(&test);                                                                             \
  }                                                                                                \
  static void check__run_##name(void)

#define CHECK_MAIN()                                                                               \
  int main(int argc, char **argv) { return check__main(__FILE__, argc > 1 ? argv[1] : ""); }

#define CHECK__HELPER static __attribute__((unused))

/* A null-safe strcmp() == 0. */
CHECK__HELPER bool check__same_text(const char *a, const char *b) {
  if (a == NULL || b == NULL) return a == b;
  return strcmp(a, b) == 0;
}

CHECK__HELPER void check__print_bytes(const char *label, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  fprintf(stderr, "    %s ", label);
  if (bytes == NULL) {
    fprintf(stderr, "NULL\n");
    return;
  }
  fputc('"', stderr);
  size_t shown = size < 400 ? size : 400;
  for (size_t i = 0; i < shown; i++) {
    if (at[i] == '\n') {
      fputs("\\n", stderr);
    } else if (at[i] == '"' || at[i] == '\\') {
      fprintf(stderr, "\\%c", at[i]);
    } else if (at[i] < 0x20 || at[i] > 0x7e) {
      fprintf(stderr, "\\x%02x", at[i]);
    } else {
      fputc(at[i], stderr);
    }
  }
  fprintf(stderr, "\"%s (%zu bytes)\n", shown < size ? "..." : "", size);
}

/* Counts one check. Returns whether it held, after printing the headline of one that did not. */
CHECK__HELPER bool check__count(const char *file, int line, const char *what, bool held) {
  check__state.checks++;
  if (held) return true;
  check__state.failures++;
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, check__state.test_name, what);
  return false;
}

CHECK__HELPER bool check__true(const char *file, int line, const char *what, bool held) {
  return check__count(file, line, what, held);
}

CHECK__HELPER bool check__int(const char *file, int line, const char *what, int64_t got,
                              int64_t want) {
  if (check__count(file, line, what, got == want)) return true;
  fprintf(stderr, "    got  %" PRId64 "\n    want %" PRId64 "\n", got, want);
  return false;
}

/* Equal as IEEE numbers, except that nan equals nan and that the sign of a zero counts. */
CHECK__HELPER bool check__num(const char *file, int line, const char *what, double got,
                              double want) {
  bool both_nan = got != got && want != want;
  bool same = both_nan || memcmp(&got, &want, sizeof got) == 0;
  if (check__count(file, line, what, same)) return true;
  fprintf(stderr, "    got  %.17g\n    want %.17g\n", got, want);
  return false;
}

CHECK__HELPER bool check__str(const char *file, int line, const char *what, const char *got,
                              const char *want) {
  if (check__count(file, line, what, check__same_text(got, want))) return true;
  check__print_bytes("got ", got, got ? strlen(got) : 0);
  check__print_bytes("want", want, want ? strlen(want) : 0);
  return false;
}

CHECK__HELPER bool check__bytes(const char *file, int line, const char *what, const void *got,
                                size_t got_size, const void *want, size_t want_size) {
  bool same = got_size == want_size && (got_size == 0 || memcmp(got, want, got_size) == 0);
  if (check__count(file, line, what, same)) return true;
  check__print_bytes("got ", got, got_size);
  check__print_bytes("want", want, want_size);
  return false;
}

CHECK__HELPER void check__add(check__test *test) {
  if (check__state.tail == NULL) check__state.tail = &check__state.first;
  *check__state.tail = test;
  check__state.tail = &test->next;
}

/* Runs the tests whose name contains the filter. A run without a single check is a failure: it
 * means that a test file tests nothing, or that the filter is misspelt. */
CHECK__HELPER int check__main(const char *file, const char *filter) {
  const char *slash = strrchr(file, '/');
  const char *name = slash ? slash + 1 : file;
  for (check__test *test = check__state.first; test != NULL; test = test->next) {
    if (strstr(test->name, filter) == NULL) continue;
    check__state.test_name = test->name;
    test->run();
  }
  printf("%.*s: %d checks", (int)strcspn(name, "."), name, check__state.checks);
  if (check__state.failures > 0) printf(", %d failed", check__state.failures);
  printf("\n");
  return check__state.failures > 0 || check__state.checks == 0 ? 1 : 0;
}

#endif
