// page_token.c: hash and position in hexadecimal: 8 bytes hash, 8 key, 8 time of change, then the text.
#include "runtime/page_token.h"

#include "base/siphash.h"

enum { FIXED = 24 }; // bytes before the text

static void add_number(duro_buf *b, uint64_t n) {
  for (int shift = 56; shift >= 0; shift -= 8) duro_buf_add_char(b, (char)(n >> shift & 0xff));
}

static uint64_t number_at(const char *p) {
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | (unsigned char)p[i];
  return n;
}

// What the position says, without the hash.
static void add_position(duro_buf *b, const duro_list_query *q) {
  add_number(b, (uint64_t)q->after_key);
  add_number(b, (uint64_t)q->after_updated_ms);
  duro_buf_add_str(b, q->after_text);
}

static duro_code keyed_hash(duro_runtime *rt, const duro_list_query *q, duro_str position,
                            duro_str scope, uint64_t *out, duro_error **err) {
  duro_arena arena = {0};
  duro_store_marks marks;
  duro_buf all = {0};
  duro_code code = duro__store_marks(rt->store, &arena, &marks, err);
  if (!code) {
    duro_buf_printf(&all, "%d %d %zu ", (int)q->order_by, q->ascending, position.n);
    duro_buf_add_str(&all, position);
    duro_buf_add_str(&all, scope);
    *out = duro_siphash(duro_siphash_key_from(marks.file_id), duro_buf_str(&all));
    if (all.oom) code = duro_fail_oom(err);
  }
  duro_buf_free(&all);
  duro_arena_free(&arena);
  return code;
}

duro_code duro__page_token_write(duro_runtime *rt, duro_buf *b, const duro_list_query *q,
                                 duro_str scope, duro_error **err) {
  static const char digits[] = "0123456789abcdef";
  duro_buf position = {0}, bytes = {0};
  uint64_t hash = 0;
  add_position(&position, q);
  duro_code code = keyed_hash(rt, q, duro_buf_str(&position), scope, &hash, err);
  add_number(&bytes, hash);
  duro_buf_add_str(&bytes, duro_buf_str(&position));
  for (size_t i = 0; i < bytes.n; i++) {
    duro_buf_add_char(b, digits[(unsigned char)bytes.p[i] >> 4]);
    duro_buf_add_char(b, digits[bytes.p[i] & 15]);
  }
  if (!code && (position.oom || bytes.oom)) code = duro_fail_oom(err);
  duro_buf_free(&position);
  duro_buf_free(&bytes);
  return code;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_bytes(duro_buf *out, duro_str token) {
  if (token.n % 2 || token.n / 2 < FIXED) return false;
  for (size_t i = 0; i < token.n; i += 2) {
    int high = digit(token.p[i]), low = digit(token.p[i + 1]);
    if (high < 0 || low < 0) return false;
    duro_buf_add_char(out, (char)(high << 4 | low));
  }
  return true;
}

duro_code duro__page_token_read(duro_runtime *rt, duro_str token, duro_str scope, duro_arena *arena,
                                duro_list_query *q, duro_error **err) {
  duro_buf bytes = {0};
  uint64_t hash = 0;
  duro_code code = DURO_OK;
  bool fine = read_bytes(&bytes, token) && !bytes.oom;
  if (fine) {
    code = keyed_hash(rt, q, (duro_str){bytes.p + 8, bytes.n - 8}, scope, &hash, err);
    fine = !code && hash == number_at(bytes.p);
  }
  if (fine) {
    q->after_key = (int64_t)number_at(bytes.p + 8);
    q->after_updated_ms = (int64_t)number_at(bytes.p + 16);
    q->after_text = duro_arena_dup(arena, (duro_str){bytes.p + FIXED, bytes.n - FIXED});
    if (!q->after_text.p) code = duro_fail_oom(err);
  } else if (bytes.oom) {
    code = duro_fail_oom(err);
  } else if (!code) {
    code = duro_fail(
        err, DURO_INVALID_ARGUMENT,
        "this page_token is not one of this list: of another filter, order or file, or altered");
  }
  duro_buf_free(&bytes);
  return code;
}
