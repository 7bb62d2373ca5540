// What the reader (json.c) and the writer (json_write.c) share: finding runs of bytes that need no
// care, eight at a time, and numbers. Included by those two only.
#ifndef DURO_BASE_JSON_INTERNAL_H
#define DURO_BASE_JSON_INTERNAL_H

#include "base/bytes.h"

#define DURO__EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

// Non-zero when one of the eight bytes is a control character, '"' or '\\' or, when not
// `high_is_plain`, above 0x7f. Each line sets the top bit of the bytes it looks for (and perhaps of
// some above them).
static inline uint64_t duro__json_special(uint64_t word, bool high_is_plain) {
  uint64_t quote = word ^ DURO__EACH_BYTE('"');
  uint64_t backslash = word ^ DURO__EACH_BYTE('\\');
  uint64_t found = (word - DURO__EACH_BYTE(0x20)) & ~word;
  found |= (quote - DURO__EACH_BYTE(1)) & ~quote;
  found |= (backslash - DURO__EACH_BYTE(1)) & ~backslash;
  if (!high_is_plain) found |= word;
  return found & DURO__EACH_BYTE(0x80);
}

// The length of the run of plain bytes at the head of p.
static inline size_t duro__json_plain_run(const char *p, size_t n, bool high_is_plain) {
  size_t i = 0;
  for (; n - i >= 8; i += 8) {
    uint64_t word;
    memcpy(&word, p + i, sizeof word);
    uint64_t found = duro__json_special(word, high_is_plain);
    if (!found) continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return i + (size_t)__builtin_ctzll(found) / 8; // a false hit lies only above a true one
#else
    break;
#endif
  }
  for (; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if (c < 0x20 || c == '"' || c == '\\' || (c > 0x7f && !high_is_plain)) break;
  }
  return i;
}

// The length of the well-formed sequence of two to four bytes at p, else 0: no overlong forms, no
// surrogates, nothing above U+10FFFF.
static inline size_t duro__utf8_length(const char *p, const char *end) {
  const unsigned char *s = (const unsigned char *)p;
  size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
  if (!n || (size_t)(end - p) < n) return 0;
  unsigned char least = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char most = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  if (s[1] < least || s[1] > most) return 0;
  for (size_t i = 2; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
  }
  return n;
}

// The double nearest to the JSON number in [p, end), which must be well-formed; infinite when there
// is none. The same in every locale.
double duro__json_read_double(const char *p, const char *end);

#endif
