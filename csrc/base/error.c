// The error table and the error objects of error.h.
//
// An error object can always be made: when memory is out, the answer is the code's static object,
// whose message is the sentence of the table. duro_error_free knows those by their address and
// leaves them, so nobody else needs to know the difference.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct code_row {
  const char *string, *sentence;
  bool retryable;
} rows[] = {[DURO_OK] = {"ok", "all is well", false},
#define X(name, number, string, sentence, retryable) [number] = {string, sentence, retryable},
            DURO_CODES(X)
#undef X
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// Never written to after the start: threads share them.
static duro_error static_errors[] = {[DURO_OK] = {DURO_FAILED, "the code failed", NULL, NULL},
#define X(name, number, string, sentence, retryable) [number] = {DURO_##name, sentence, NULL, NULL},
                                     DURO_CODES(X)
#undef X
};

// A number that is none of ours (a newer file, a foreign store) reads as a plain failure.
static unsigned known(duro_code code) {
  return (unsigned)code < ROW_COUNT && rows[code].string ? (unsigned)code : (unsigned)DURO_FAILED;
}

static bool is_static(const duro_error *err) {
  return err >= static_errors && err < static_errors + ROW_COUNT;
}

const char *duro_code_string(duro_code code) { return rows[known(code)].string; }

const char *duro_code_sentence(duro_code code) { return rows[known(code)].sentence; }

bool duro_code_retryable(duro_code code) { return rows[known(code)].retryable; }

duro_code duro_code_from(duro_str string) {
  for (unsigned code = DURO_OK + 1; code < ROW_COUNT; code++) {
    if (rows[code].string && duro_str_equal(string, duro_str_from(rows[code].string))) {
      return (duro_code)code;
    }
  }
  return DURO_FAILED;
}

// The formatted text in memory of its own, or NULL when memory is out.
static char *format_message(const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  char *message = n < 0 ? NULL : malloc((size_t)n + 1);
  if (message) vsnprintf(message, (size_t)n + 1, format, again);
  va_end(again);
  return message;
}

// Owns `cause` from here on.
static duro_error *error_new(duro_code code, duro_error *cause, const char *format, va_list args) {
  duro_error *made = malloc(sizeof *made);
  char *message = made ? format_message(format, args) : NULL;
  if (!message) {
    free(made);
    duro_error_free(cause);
    return &static_errors[known(code)];
  }
  *made = (duro_error){.code = code, .message = message, .cause = cause};
  return made;
}

duro_code duro_fail(duro_error **err, duro_code code, const char *format, ...) {
  if (!err) return code;
  va_list args;
  va_start(args, format);
  duro_error *made = error_new(code, NULL, format, args);
  va_end(args);
  duro_error_free(*err); // only now: the arguments may point into it
  *err = made;
  return code;
}

duro_code duro_fail_caused(duro_error **err, duro_code code, const char *format, ...) {
  if (!err) return code;
  va_list args;
  va_start(args, format);
  *err = error_new(code, *err, format, args);
  va_end(args);
  return code;
}

duro_code duro_fail_oom(duro_error **err) {
  if (err) {
    duro_error_free(*err);
    *err = &static_errors[DURO_OUT_OF_MEMORY];
  }
  return DURO_OUT_OF_MEMORY;
}

// One object without its causes; NULL when memory is out.
static duro_error *copy_one(const duro_error *err) {
  duro_error *copy = malloc(sizeof *copy);
  if (!copy) return NULL;
  *copy = (duro_error){
      .code = err->code,
      .message = duro_str_dup(duro_str_from(err->message)),
      .data = duro_str_dup(duro_str_from(err->data)),
  };
  if (copy->message && (copy->data || !err->data)) return copy;
  duro_error_free(copy);
  return NULL;
}

duro_error *duro_error_copy(const duro_error *err) {
  duro_error *first = NULL;
  duro_error **place = &first;
  for (; err; err = err->cause) {
    duro_error *copy = is_static(err) ? (duro_error *)err : copy_one(err);
    if (!copy) {
      // A chain cut short would tell another story than the original.
      duro_fail_oom(&first);
      return first;
    }
    *place = copy;
    place = &copy->cause;
    if (is_static(err)) break;
  }
  return first;
}

void duro_error_free(duro_error *err) {
  while (err && !is_static(err)) {
    duro_error *cause = err->cause;
    free(err->message);
    free(err->data);
    free(err);
    err = cause;
  }
}
