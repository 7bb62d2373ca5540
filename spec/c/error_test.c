/* Errors: each code has its words, an error owns what it says, and one can be made even without
 * memory. */
#include "base/error.h"
#include "check.h"
#include "failing_alloc.h"

TEST(every_code_has_a_string_that_leads_back_to_it) {
#define X(name, number, string, sentence, retryable)                                               \
  CHECK_INT(DURO_##name, number);                                                                  \
  CHECK_STR(duro_code_string(DURO_##name), string);                                                \
  CHECK_STR(duro_code_sentence(DURO_##name), sentence);                                            \
  CHECK_INT(duro_code_retryable(DURO_##name), retryable);                                          \
  CHECK_INT(duro_code_from(DURO_STR(string)), DURO_##name);
  DURO_CODES(X)
#undef X
  CHECK_STR(duro_code_string(DURO_OK), "ok");
}

TEST(a_foreign_code_is_a_failure) {
  CHECK_INT(duro_code_from(DURO_STR("card_declined")), DURO_FAILED);
  CHECK_INT(duro_code_from(DURO_STR("not_foun")), DURO_FAILED);
  CHECK_INT(duro_code_from(DURO_NONE), DURO_FAILED);
  CHECK_STR(duro_code_string((duro_code)9999), "failed");
  CHECK_STR(duro_code_string((duro_code)-1), "failed");
}

TEST(a_failure_formats_its_message_and_gives_its_code) {
  duro_error *err = NULL;
  CHECK_INT(duro_fail(&err, DURO_NOT_FOUND, "no instance '%s' (%d)", "order-1", 7), DURO_NOT_FOUND);
  CHECK_INT(err->code, DURO_NOT_FOUND);
  CHECK_STR(err->message, "no instance 'order-1' (7)");
  CHECK(err->data == NULL && err->cause == NULL);
  duro_error_free(err);
  CHECK_INT(duro_fail(NULL, DURO_BUSY, "nobody listens"), DURO_BUSY);
  CHECK_INT(duro_fail_caused(NULL, DURO_BUSY, "nobody listens"), DURO_BUSY);
  CHECK_INT(duro_fail_oom(NULL), DURO_OUT_OF_MEMORY);
  duro_error_free(NULL);
}

TEST(a_new_failure_replaces_the_old_one_and_may_quote_it) {
  duro_error *err = NULL;
  duro_fail(&err, DURO_STORAGE, "disk full");
  duro_fail(&err, DURO_FAILED, "gave up: %s", err->message);
  CHECK_STR(err->message, "gave up: disk full");
  CHECK(err->cause == NULL);
  duro_error_free(err);
}

TEST(a_caused_failure_keeps_what_was_there) {
  duro_error *err = NULL;
  duro_fail_caused(&err, DURO_STORAGE, "disk full");
  CHECK(err->cause == NULL);
  CHECK_INT(duro_fail_caused(&err, DURO_UNAVAILABLE, "cannot commit: %s", err->message),
            DURO_UNAVAILABLE);
  CHECK_STR(err->message, "cannot commit: disk full");
  CHECK_INT(err->cause->code, DURO_STORAGE);
  CHECK_STR(err->cause->message, "disk full");
  duro_error_free(err);
}

TEST(a_copy_owns_all_of_its_chain) {
  duro_error *err = NULL;
  duro_fail(&err, DURO_STORAGE, "disk full");
  err->data = duro_str_dup(DURO_STR("{\"bytes\":1}"));
  duro_fail_caused(&err, DURO_FAILED, "outer");
  duro_error *copy = duro_error_copy(err);
  duro_error_free(err);
  CHECK_STR(copy->message, "outer");
  CHECK_STR(copy->cause->message, "disk full");
  CHECK_STR(copy->cause->data, "{\"bytes\":1}");
  CHECK(copy->cause->cause == NULL);
  duro_error_free(copy);
  CHECK(duro_error_copy(NULL) == NULL);
}

TEST(out_of_memory_is_an_error_like_the_others) {
  duro_error *err = NULL;
  CHECK_INT(duro_fail_oom(&err), DURO_OUT_OF_MEMORY);
  CHECK_INT(err->code, DURO_OUT_OF_MEMORY);
  CHECK_STR(err->message, "memory is out");
  duro_error *copy = duro_error_copy(err);
  CHECK_STR(copy->message, "memory is out");
  duro_error_free(copy);
  duro_fail_caused(&err, DURO_FAILED, "outer");
  copy = duro_error_copy(err);
  CHECK_INT(copy->cause->code, DURO_OUT_OF_MEMORY);
  duro_error_free(copy);
  duro_error_free(err);
}

TEST(without_memory_the_code_stays_and_the_sentence_speaks_for_it) {
  bool through = !FAIL_ALLOC_WORKS;
  for (int n = 0; n < 100 && !through; n++) {
    duro_error *err = NULL;
    fail_alloc_at(n);
    duro_code code = duro_fail(&err, DURO_NOT_FOUND, "no instance '%s'", "order-1");
    bool made = !fail_alloc_happened();
    CHECK_INT(code, DURO_NOT_FOUND);
    CHECK_INT(err->code, DURO_NOT_FOUND);
    CHECK_STR(err->message, made ? "no instance 'order-1'" : "there is no such thing");
    duro_fail_caused(&err, DURO_FAILED, "outer");
    CHECK_INT(err->code, DURO_FAILED);
    duro_error *copy = duro_error_copy(err);
    through = !fail_alloc_happened();
    fail_alloc_at(-1);
    CHECK(copy->code == DURO_FAILED || copy->code == DURO_OUT_OF_MEMORY);
    duro_error_free(copy);
    duro_error_free(err);
  }
  CHECK(through);
}

CHECK_MAIN()
