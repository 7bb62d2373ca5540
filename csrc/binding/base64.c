// base64: RFC 4648 with padding, for the bytes that are not UTF-8 in payloads.
#include "binding/host.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void duro__base64_encode(duro_buf *out, duro_str bytes) {
  if (!duro_buf_reserve(out, bytes.n / 3 * 4 + 4)) return;
  const unsigned char *p = (const unsigned char *)bytes.p;
  for (size_t left = bytes.n; left > 0; p += 3) {
    size_t n = left < 3 ? left : 3;
    unsigned group = (unsigned)p[0] << 16;
    if (n > 1) group |= (unsigned)p[1] << 8;
    if (n > 2) group |= p[2];
    char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                    n > 1 ? digits[group >> 6 & 63] : '=', n > 2 ? digits[group & 63] : '='};
    duro_buf_add(out, four, 4);
    left -= n;
  }
}

static int digit_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool duro__base64_decode(duro_buf *out, duro_str text) {
  if (text.n % 4) return false;
  for (size_t i = 0; i < text.n; i += 4) {
    const char *p = text.p + i;
    bool last = i + 4 == text.n;
    int bytes = last && p[3] == '=' ? (p[2] == '=' ? 1 : 2) : 3;
    unsigned group = 0;
    for (int k = 0; k < 4; k++) {
      int value = k <= bytes ? digit_value(p[k]) : 0;
      if (value < 0) return false;
      group = group << 6 | (unsigned)value;
    }
    // Bits behind the last byte must be zero: one text for each value.
    if (group & ((1u << (8 * (3 - bytes))) - 1)) return false;
    char three[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
    duro_buf_add(out, three, (size_t)bytes);
  }
  return true;
}
