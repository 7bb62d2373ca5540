// Clocks, identifiers and the deterministic generator of clock.h.
//
// Two kinds of randomness live here and must not be mixed. The system's (duro_random_bytes and the
// ids made from it) differs each time. The generator's is a pure function of its seed: replay draws
// from it, so what a seed gives must never change, on no machine and in no version (clock_test.c
// holds it).
#include "base/clock.h"
#include "base/map.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

// --- Clocks ---

int64_t duro_clock_wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t duro_clock_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// --- The system's randomness ---

static uint64_t splitmix(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u;
  return duro_hash_int(*state);
}

// Only for a system that has no randomness to give: unique enough, secret to nobody.
static void random_fallback(unsigned char *p, size_t n) {
  static _Thread_local uint64_t calls;
  uint64_t state = duro_clock_monotonic_ns() ^ (uint64_t)duro_clock_wall_ms() << 20;
  state ^= (uint64_t)getpid() << 44 ^ (uint64_t)(uintptr_t)&calls ^ ++calls;
  while (n) {
    uint64_t word = splitmix(&state);
    size_t part = n < sizeof word ? n : sizeof word;
    memcpy(p, &word, part);
    p += part;
    n -= part;
  }
}

void duro_random_bytes(void *p, size_t n) {
  unsigned char *at = p;
  while (n) {
    size_t part = n < 256 ? n : 256; // the most that getentropy gives at once
    if (getentropy(at, part) != 0) {
      random_fallback(at, n);
      return;
    }
    at += part;
    n -= part;
  }
}

// --- Identifiers ---

static char *add_hex(char *out, uint64_t value, int digits) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    *out++ = "0123456789abcdef"[(value >> shift) & 15];
  }
  return out;
}

// 8-4-4-4-12 digits from the two halves, and the NUL.
static void format_uuid(char out[DURO_UUID_SIZE], uint64_t high, uint64_t low) {
  out = add_hex(out, high >> 32, 8);
  *out++ = '-';
  out = add_hex(out, high >> 16, 4);
  *out++ = '-';
  out = add_hex(out, high, 4);
  *out++ = '-';
  out = add_hex(out, low >> 48, 4);
  *out++ = '-';
  out = add_hex(out, low, 12);
  *out = 0;
}

#define VARIANT          ((uint64_t)2 << 62)
#define COUNTER_BITS     34
#define COUNTER_LOW_BITS 22 // those that do not fit into the 12 bits of rand_a begin rand_b
#define TAIL_BITS        40 // what remains of rand_b is random in each id

// RFC 9562, 6.2, method 1: a counter that starts anew, at random, in each millisecond. 34 bits of
// it, because a virtual clock can stand still through any number of ids; its first half is never
// the start, so that there are always 2^33 ids left. It is kept per thread: ids of two threads have
// no order that anybody could have seen. A fork copies the counter, but not the tail.
void duro_uuid7(char out[DURO_UUID_SIZE], int64_t ms) {
  uint64_t random[2];
  duro_random_bytes(random, sizeof random);
  duro_uuid7_of(out, ms, random);
}

void duro_uuid7_of(char out[DURO_UUID_SIZE], int64_t ms, const uint64_t random[2]) {
  static _Thread_local int64_t last_ms = -1;
  static _Thread_local uint64_t counter;
  if (ms == last_ms) {
    counter = (counter + 1) & (((uint64_t)1 << COUNTER_BITS) - 1);
  } else {
    last_ms = ms;
    counter = random[0] & (((uint64_t)1 << (COUNTER_BITS - 1)) - 1);
  }
  uint64_t high = (uint64_t)ms << 16 | 0x7000 | counter >> COUNTER_LOW_BITS;
  uint64_t counter_low = counter & (((uint64_t)1 << COUNTER_LOW_BITS) - 1);
  uint64_t tail = random[1] & (((uint64_t)1 << TAIL_BITS) - 1);
  format_uuid(out, high, VARIANT | counter_low << TAIL_BITS | tail);
}

void duro_run_id(char out[DURO_RUN_ID_SIZE]) {
  uint64_t random[2];
  duro_random_bytes(random, sizeof random);
  out = add_hex(out, random[0], 16);
  out = add_hex(out, random[1], 16);
  *out = 0;
}

// --- The deterministic generator ---

// Seeds of up to 32 bytes (a run id has 32) give different states for sure: each step can be
// undone.
void duro_prng_seed(duro_prng *g, duro_str seed) {
  *g = (duro_prng){{0}};
  for (size_t i = 0; i < seed.n; i++) {
    g->s[i / 8 % 4] ^= (uint64_t)(unsigned char)seed.p[i] << (i % 8 * 8);
    if (i % 32 == 31) duro_prng_next(g); // so that a longer seed does not fold onto itself
  }
  uint64_t state = seed.n;
  for (int i = 0; i < 8; i++) { // twice round, so that every word depends on all of the seed
    state ^= g->s[i % 4];
    g->s[i % 4] = splitmix(&state);
    state = g->s[i % 4];
  }
  if (!(g->s[0] | g->s[1] | g->s[2] | g->s[3])) g->s[0] = 1; // the one state it cannot leave
}

static uint64_t rotate_left(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t duro_prng_next(duro_prng *g) {
  uint64_t *s = g->s;
  uint64_t drawn = rotate_left(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate_left(s[3], 45);
  return drawn;
}

double duro_prng_unit(duro_prng *g) { return (double)(duro_prng_next(g) >> 11) * 0x1.0p-53; }

void duro_prng_uuid4(duro_prng *g, char out[DURO_UUID_SIZE]) {
  uint64_t high = duro_prng_next(g), low = duro_prng_next(g);
  high = (high & ~(uint64_t)0xf000) | 0x4000;
  format_uuid(out, high, (low >> 2) | VARIANT);
}
