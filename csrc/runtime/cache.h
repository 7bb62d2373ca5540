// cache: answers about numbers, kept for cache_ttl_seconds, so that a dashboard that asks ten times a
// second costs as much as one that asks once.
#ifndef DURO_RUNTIME_CACHE_H
#define DURO_RUNTIME_CACHE_H

#include "runtime/internal.h"

// True: the request is answered with what the same call was answered within the time.
bool duro__cache_answer(duro_runtime *rt, duro_request *r, duro_str verb, duro_str args);
void duro__cache_keep(duro_runtime *rt, const duro_request *r, duro_str verb, duro_str args,
                      duro_str answer);
void duro__cache_free(duro_runtime *rt);

#endif
