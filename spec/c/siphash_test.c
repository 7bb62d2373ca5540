// The keyed hash: the vectors of its authors, and that key and bytes both count.
#include "base/siphash.h"
#include "check.h"

TEST(it_gives_what_its_authors_say) {
  // The key is 00 01 .. 0f, the input 00 01 .. of growing length (reference vectors, read little-endian).
  duro_siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
  static const uint64_t want[] = {UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
                                  UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d)};
  char bytes[16];
  for (int i = 0; i < 16; i++) bytes[i] = (char)i;
  for (size_t n = 0; n < 4; n++) {
    CHECK_INT(duro_siphash(key, (duro_str){bytes, n}), want[n]);
  }
  CHECK_INT(duro_siphash(key, (duro_str){bytes, 15}), UINT64_C(0xa129ca6149be45e5));
}

TEST(another_key_or_byte_gives_another_hash) {
  duro_siphash_key a = duro_siphash_key_from(DURO_STR("file a")),
                   b = duro_siphash_key_from(DURO_STR("file b"));
  CHECK(a.k0 != b.k0 && a.k1 != b.k1 && a.k0 != a.k1);
  CHECK(duro_siphash(a, DURO_STR("page")) != duro_siphash(b, DURO_STR("page")));
  CHECK(duro_siphash(a, DURO_STR("page")) != duro_siphash(a, DURO_STR("pagf")));
  CHECK(duro_siphash(a, DURO_STR("page")) == duro_siphash(a, DURO_STR("page")));
}

CHECK_MAIN()
