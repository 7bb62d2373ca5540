// The JSON writer of json.h, and the conversion of doubles in both directions. json.c reads.
//
// Doubles: what most programs store (3.0, 0.25, 12.34) never reaches the C library. What does is
// safe from setlocale: a text is handed to strtod as digits and an exponent, without a decimal
// point, and what snprintf puts in place of the point is replaced.
#include "base/json.h"
#include "base/json_internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// --- Strings ---

bool duro_utf8_valid(duro_str s) {
  const char *p = s.p ? s.p : "", *end = p + s.n;
  while (p < end) {
    uint64_t word;
    while (end - p >= 8) {
      memcpy(&word, p, sizeof word);
      if (word & DURO__EACH_BYTE(0x80)) break;
      p += 8;
    }
    while (p < end && (unsigned char)*p < 0x80) p++;
    while (p < end && (unsigned char)*p >= 0x80) {
      size_t n = duro__utf8_length(p, end);
      if (!n) return false;
      p += n;
    }
  }
  return true;
}

static void add_escape(duro_buf *b, unsigned char c) {
  static const char short_forms[0x20] = {
      ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
  char short_form = c < 0x20 ? short_forms[c] : (char)c;
  if (short_form) {
    char text[2] = {'\\', short_form};
    duro_buf_add(b, text, sizeof text);
  } else {
    char text[6] = {'\\', 'u', '0', '0', (char)('0' + (c >> 4)), "0123456789abcdef"[c & 15]};
    duro_buf_add(b, text, sizeof text);
  }
}

void duro_json_add_string(duro_buf *b, duro_str s) {
  // Mostly nothing is escaped, and then this is the only growth.
  if (s.n >= SIZE_MAX - 2 || !duro_buf_reserve(b, s.n + 2)) return;
  duro_buf_add_char(b, '"');
  for (size_t i = 0; i < s.n;) {
    size_t run = duro__json_plain_run(s.p + i, s.n - i, true);
    duro_buf_add(b, s.p + i, run);
    i += run;
    if (i < s.n) add_escape(b, (unsigned char)s.p[i++]);
  }
  duro_buf_add_char(b, '"');
}

// --- Doubles from text ---

// All of them are exact.
static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// Beyond 768 significant digits only whether the rest is zero decides which double is nearest.
#define MAX_DIGITS 780

typedef struct decimal {
  char digits[MAX_DIGITS + 24]; // room for the exponent behind them
  int count;                    // significant digits kept
  int64_t exponent;             // the value is digits * 10^exponent
  uint64_t mantissa;            // the digits as a number, when there are at most 19
} decimal;

static void add_digit(decimal *d, char c) {
  if (d->count == 0 && c == '0') return;
  if (d->count < MAX_DIGITS) {
    d->digits[d->count++] = c;
    if (d->count <= 19) d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
  } else {
    d->exponent++;
    if (c != '0') d->digits[MAX_DIGITS - 1] |= 1; // see above: any non-zero digit will do
  }
}

static int64_t read_exponent(const char *p, const char *end) {
  bool negative = *p == '-';
  int64_t value = 0;
  for (p += negative || *p == '+'; p < end; p++) {
    if (value < INT64_C(1000000000000)) value = value * 10 + (*p - '0');
  }
  return negative ? -value : value;
}

static void read_decimal(decimal *d, const char *p, const char *end) {
  bool fraction = false;
  d->count = 0;
  d->exponent = 0;
  d->mantissa = 0;
  for (; p < end && (*p | 32) != 'e'; p++) {
    if (*p == '.') {
      fraction = true;
    } else {
      add_digit(d, *p);
      d->exponent -= fraction;
    }
  }
  if (p < end) d->exponent += read_exponent(p + 1, end);
}

double duro__json_read_double(const char *p, const char *end) {
  decimal d;
  double value;
  bool negative = *p == '-';
  read_decimal(&d, p + negative, end);
  if (d.count == 0) {
    value = 0;
  } else if (FLT_EVAL_METHOD == 0 && d.count <= 19 && d.mantissa <= UINT64_C(1) << 53 &&
             d.exponent >= -22 && d.exponent <= 22) {
    // Both are exact doubles, so one operation rounds once, to the nearest.
    value = (double)d.mantissa;
    value = d.exponent < 0 ? value / powers_of_ten[-d.exponent] : value * powers_of_ten[d.exponent];
  } else {
    int64_t exponent = d.exponent > 9999 ? 9999 : d.exponent < -9999 ? -9999 : d.exponent;
    snprintf(d.digits + d.count, sizeof d.digits - (size_t)d.count, "e%d", (int)exponent);
    value = strtod(d.digits, NULL);
  }
  return negative ? -value : value;
}

// --- Doubles to text ---

// m / 10^places for the smallest `places` that gives the value back. 15 digits at most, since two
// decimals of that length never share a double: so this is the shortest text there is.
static bool add_short_decimal(duro_buf *b, double value) {
  double size = fabs(value);
  if (FLT_EVAL_METHOD != 0 || !(size >= 1e-4 && size < 1e15)) return false;
  for (int places = 1; places <= 19; places++) {
    double scaled = size * powers_of_ten[places];
    if (scaled >= 1e15) return false;
    uint64_t digits = (uint64_t)(scaled + 0.5);
    if ((double)digits / powers_of_ten[places] != size) continue;
    char text[24];
    char *at = text + sizeof text;
    for (int i = 0; i < places; i++, digits /= 10) *--at = (char)('0' + digits % 10);
    *--at = '.';
    if (value < 0) duro_buf_add_char(b, '-');
    duro_buf_add_int(b, (int64_t)digits);
    duro_buf_add(b, at, (size_t)(text + sizeof text - at));
    return true;
  }
  return false;
}

// Replaces whatever the locale writes between digits by a point. Returns the new length.
static size_t fix_point(char *text, size_t n) {
  size_t to = 0;
  for (size_t i = 0; i < n; i++) {
    bool ours =
        (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '+' || text[i] == 'e';
    if (ours) {
      text[to++] = text[i];
    } else if (to == 0 || text[to - 1] != '.') {
      text[to++] = '.'; // some locales use two bytes
    }
  }
  return to;
}

void duro_json_add_double(duro_buf *b, double value) {
  if (value - value != 0) { // not finite, against the contract: still no broken text
    duro_buf_add_lit(b, "null");
    return;
  }
  if (fabs(value) < 1e15 && (double)(int64_t)value == value) {
    if (signbit(value) && value == 0) duro_buf_add_char(b, '-');
    duro_buf_add_int(b, (int64_t)value);
    duro_buf_add_lit(b, ".0");
    return;
  }
  if (add_short_decimal(b, value)) return;
  char text[64];
  size_t n = 0;
  for (int precision = 15; precision <= 17; precision++) {
    n = fix_point(text, (size_t)snprintf(text, sizeof text, "%.*g", precision, value));
    if (duro__json_read_double(text, text + n) == value) break;
  }
  duro_buf_add(b, text, n);
  if (!memchr(text, '.', n) && !memchr(text, 'e', n)) duro_buf_add_lit(b, ".0");
}
