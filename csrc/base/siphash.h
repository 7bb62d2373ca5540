// SipHash-2-4: a keyed hash, for what must not be forged by somebody who lacks the key. (The plain hashes
// of map.h are for tables only.)
#ifndef DURO_BASE_SIPHASH_H
#define DURO_BASE_SIPHASH_H

#include "base/bytes.h"

typedef struct duro_siphash_key {
  uint64_t k0, k1;
} duro_siphash_key;

// A key out of any secret text, always the same one.
duro_siphash_key duro_siphash_key_from(duro_str secret);
uint64_t duro_siphash(duro_siphash_key key, duro_str bytes);

#endif
