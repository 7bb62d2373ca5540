// SipHash-2-4 by Jean-Philippe Aumasson and Daniel J. Bernstein: two rounds a word, four at the end.
#include "base/siphash.h"

typedef struct state {
  uint64_t v0, v1, v2, v3;
} state;

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static void rounds(state *s, int count) {
  while (count-- > 0) {
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
  }
}

// `count` bytes, the first one lowest, on every machine.
static uint64_t word_at(const char *p, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; i++) word |= (uint64_t)(unsigned char)p[i] << (8 * i);
  return word;
}

static void absorb(state *s, uint64_t word) {
  s->v3 ^= word;
  rounds(s, 2);
  s->v0 ^= word;
}

uint64_t duro_siphash(duro_siphash_key key, duro_str bytes) {
  state s = {key.k0 ^ UINT64_C(0x736f6d6570736575), key.k1 ^ UINT64_C(0x646f72616e646f6d),
             key.k0 ^ UINT64_C(0x6c7967656e657261), key.k1 ^ UINT64_C(0x7465646279746573)};
  size_t whole = bytes.n / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) absorb(&s, word_at(bytes.p + at, 8));
  absorb(&s, word_at(bytes.p + whole, bytes.n - whole) | (uint64_t)bytes.n << 56);
  s.v2 ^= 0xff;
  rounds(&s, 4);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

duro_siphash_key duro_siphash_key_from(duro_str secret) {
  return (duro_siphash_key){duro_siphash((duro_siphash_key){0, 1}, secret),
                            duro_siphash((duro_siphash_key){0, 2}, secret)};
}
