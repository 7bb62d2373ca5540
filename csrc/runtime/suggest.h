// suggest: "did you mean": the known word that a misspelt one was probably meant to be.
#ifndef DURO_RUNTIME_SUGGEST_H
#define DURO_RUNTIME_SUGGEST_H

#include "base/bytes.h"

// The nearest of `known` (ends with NULL), or NULL when none is near. Of equally near ones the first.
const char *duro__nearest(duro_str word, const char *const *known);

#endif
