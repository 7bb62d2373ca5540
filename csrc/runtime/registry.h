// registry: what other files of the runtime need of it beyond internal.h.
#ifndef DURO_RUNTIME_REGISTRY_H
#define DURO_RUNTIME_REGISTRY_H

#include "base/bytes.h"

bool duro__semver_valid(duro_str version); // 1.2.3, 1.2.3-rc.1, 1.2.3+build

#endif
