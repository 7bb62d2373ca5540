/* Strings, growable buffers and arenas: what they hold, and that running out of memory is
 * remembered and never an abort. */
#include "base/bytes.h"
#include "check.h"
#include "failing_alloc.h"

TEST(strings_compare_by_bytes_and_the_shorter_comes_first) {
  CHECK(duro_str_compare(DURO_STR("a"), DURO_STR("b")) < 0);
  CHECK(duro_str_compare(DURO_STR("ab"), DURO_STR("a")) > 0);
  CHECK(duro_str_compare(DURO_STR("a"), DURO_STR("a\0b")) < 0);
  CHECK(duro_str_compare(DURO_STR("\x7f"), DURO_STR("\x80")) < 0);
  CHECK_INT(duro_str_compare(DURO_STR("same"), DURO_STR("same")), 0);
  CHECK_INT(duro_str_compare(DURO_NONE, DURO_STR("")), 0);
}

TEST(a_prefix_is_recognised) {
  CHECK(duro_str_starts_with(DURO_STR("order-1"), DURO_STR("order-")));
  CHECK(duro_str_starts_with(DURO_STR("x"), DURO_NONE));
  CHECK(!duro_str_starts_with(DURO_STR("or"), DURO_STR("order")));
  CHECK(!duro_str_starts_with(DURO_NONE, DURO_STR("o")));
}

TEST(a_copy_ends_with_a_nul_and_absent_stays_absent) {
  char *copy = duro_str_dup((duro_str){"abcdef", 3});
  CHECK_STR(copy, "abc");
  free(copy);
  copy = duro_str_dup(DURO_STR(""));
  CHECK_STR(copy, "");
  free(copy);
  CHECK(duro_str_dup(DURO_NONE) == NULL);
}

TEST(a_buffer_keeps_all_that_is_appended) {
  duro_buf b = {0};
  CHECK_BYTES(duro_buf_str(&b).p, duro_buf_str(&b).n, "", 0);
  duro_buf_add(&b, NULL, 0);
  duro_buf_add_lit(&b, "one\0two");
  duro_buf_add_char(&b, '-');
  duro_buf_add_str(&b, DURO_STR("three"));
  CHECK_BYTES(b.p, b.n, "one\0two-three", 13);
  duro_buf_clear(&b);
  for (int i = 0; i < 100000; i++) duro_buf_add_char(&b, (char)('a' + i % 26));
  CHECK_INT(b.n, 100000);
  bool same = true;
  for (int i = 0; i < 100000; i++) same = same && b.p[i] == 'a' + i % 26;
  CHECK(same);
  CHECK(!b.oom);
  duro_buf_free(&b);
  CHECK(b.p == NULL);
}

static void check_int(int64_t value) {
  char want[32];
  snprintf(want, sizeof want, "%" PRId64, value);
  duro_buf b = {0};
  duro_buf_add_int(&b, value);
  CHECK_BYTES(b.p, b.n, want, strlen(want));
  duro_buf_free(&b);
}

TEST(integers_are_written_as_printf_writes_them) {
  check_int(0);
  check_int(INT64_MAX);
  check_int(INT64_MIN);
  int64_t power = 1;
  for (int digits = 0; digits < 19; digits++) {
    for (int64_t near = -2; near <= 2; near++) {
      check_int(power + near);
      check_int(-power - near);
    }
    if (digits < 18) power *= 10;
  }
}

TEST(printf_appends_and_grows_as_needed) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "id ");
  duro_buf_printf(&b, "%d:%s", 42, "x");
  duro_buf_printf(&b, "%s", "");
  CHECK_BYTES(b.p, b.n, "id 42:x", 7);
  duro_buf_clear(&b);
  for (int width = 0; width < 300; width++) { /* every way to just fit and just not to fit */
    size_t before = b.n;
    duro_buf_printf(&b, "%*d", width, 7);
    CHECK_INT(b.n - before, width ? width : 1);
    CHECK_INT(b.p[b.n - 1], '7');
  }
  duro_buf_free(&b);
}

TEST(a_buffer_out_of_memory_keeps_what_it_had_and_takes_no_more) {
  duro_buf b = {0};
  duro_buf_add_lit(&b, "kept");
  CHECK(!duro_buf_reserve(&b, SIZE_MAX));
  CHECK(b.oom);
  duro_buf_add_char(&b, 'x');
  duro_buf_add_lit(&b, "xx");
  duro_buf_add_int(&b, 1);
  duro_buf_printf(&b, "%d", 1);
  CHECK(!duro_buf_reserve(&b, 1));
  CHECK_BYTES(b.p, b.n, "kept", 4);
  duro_buf_free(&b);
  CHECK(!b.oom);
}

TEST(arena_memory_is_aligned_separate_and_stays_where_it_is) {
  duro_arena a = {0};
  enum { COUNT = 2000 };
  static unsigned char *parts[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    parts[i] = duro_arena_alloc(&a, i);
    if (!CHECK(parts[i] != NULL)) return;
    CHECK_INT((uintptr_t)parts[i] % 16, 0);
    memset(parts[i], (int)(i % 251), i);
  }
  bool same = true;
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t k = 0; k < i; k++) same = same && parts[i][k] == i % 251;
  }
  CHECK(same);
  unsigned char *none = duro_arena_alloc(&a, 0), *other = duro_arena_alloc(&a, 0);
  CHECK(none != NULL && none != other);
  duro_arena_free(&a);
  CHECK(a.head == NULL);
}

TEST(a_reset_arena_serves_again_from_the_block_it_kept) {
  duro_arena a = {0};
  duro_arena_reset(&a);
  void *first = duro_arena_alloc(&a, 100);
  duro_arena_reset(&a);
  CHECK(duro_arena_alloc(&a, 100) == first);
  memset(duro_arena_alloc(&a, 5000000), 1, 5000000); /* too large to be kept */
  duro_arena_reset(&a);
  memset(duro_arena_alloc(&a, 100000), 1, 100000);
  duro_arena_free(&a);
}

TEST(an_arena_copies_text_with_a_nul_behind_it) {
  duro_arena a = {0};
  duro_str copy = duro_arena_dup(&a, (duro_str){"abcdef", 3});
  CHECK_INT(copy.n, 3);
  CHECK_STR(copy.p, "abc");
  copy = duro_arena_dup(&a, DURO_STR(""));
  CHECK_STR(copy.p, "");
  CHECK(duro_arena_dup(&a, DURO_NONE).p == NULL);
  CHECK(!a.oom);
  duro_arena_free(&a);
}

TEST(an_arena_out_of_memory_says_so_until_it_is_reset) {
  duro_arena a = {0};
  char *kept = duro_arena_alloc(&a, 4);
  memcpy(kept, "kept", 4);
  CHECK(duro_arena_alloc(&a, SIZE_MAX) == NULL);
  CHECK(duro_arena_alloc(&a, SIZE_MAX - 40) == NULL);
  CHECK(a.oom);
  CHECK(duro_arena_alloc(&a, 1) == NULL);
  CHECK(duro_arena_dup(&a, DURO_STR("x")).p == NULL);
  CHECK_BYTES(kept, 4, "kept", 4);
  duro_arena_reset(&a);
  CHECK(duro_arena_alloc(&a, 1) != NULL);
  duro_arena_free(&a);
}

TEST(every_allocation_may_fail) {
  bool through = !FAIL_ALLOC_WORKS;
  for (int n = 0; n < 100 && !through; n++) {
    duro_buf b = {0};
    duro_arena a = {0};
    fail_alloc_at(n);
    for (int i = 0; i < 1000; i++) {
      duro_buf_add_int(&b, i);
      duro_buf_printf(&b, "%d", i);
      duro_arena_dup(&a, DURO_STR("some text"));
    }
    through = !fail_alloc_happened();
    fail_alloc_at(-1);
    CHECK_INT(b.oom || a.oom, !through);
    duro_buf_free(&b);
    duro_arena_free(&a);
  }
  CHECK(through);
}

CHECK_MAIN()
