// cache.c: see cache.h. A map from the call's bytes to its answer; when it is full everything goes.
//
// Invariant: what a request may see of the rows is not in the key, so nothing is kept of, or given to, one
// that may not see all of them.
#include "runtime/cache.h"

#include <stdlib.h>

#include "runtime/answers.h"
#include "runtime/shown.h"

#define MOST_ENTRIES 64
#define MOST_BYTES   (1024 * 1024) // of one answer

typedef struct entry {
  char *key;
  duro_buf answer;
  uint64_t at_ns;
} entry;

struct duro__cache {
  duro_map entries;
};

static void entry_free(entry *e) {
  free(e->key);
  duro_buf_free(&e->answer);
  free(e);
}

static void clear(struct duro__cache *c) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&c->entries, &at));) entry_free(s->value);
  duro_map_free(&c->entries);
  memset(&c->entries, 0, sizeof c->entries);
}

static void add_key(duro_buf *b, duro_str verb, duro_str args) {
  duro_buf_add_str(b, verb);
  duro_buf_add_char(b, ' ');
  duro_buf_add_str(b, args);
  duro_buf_add_char(b, 0);
}

static bool applies(const duro_runtime *rt, const duro_request *r) {
  return rt->options.cache_ttl_ms > 0 && !duro__rows_hidden(r);
}

bool duro__cache_answer(duro_runtime *rt, duro_request *r, duro_str verb, duro_str args) {
  if (!rt->cache || !applies(rt, r)) return false;
  duro_buf key = {0};
  add_key(&key, verb, args);
  entry *e = key.oom ? NULL : duro_map_get(&rt->cache->entries, (duro_str){key.p, key.n - 1});
  duro_buf_free(&key);
  uint64_t ttl_ns = (uint64_t)rt->options.cache_ttl_ms * 1000000;
  if (!e || duro_clock_monotonic_ns() - e->at_ns >= ttl_ns) return false;
  duro__request_answer(r, duro_buf_str(&e->answer));
  return true;
}

static entry *entry_of(struct duro__cache *c, duro_str key) {
  entry *e = duro_map_get(&c->entries, key);
  if (e) return e;
  if (c->entries.count >= MOST_ENTRIES) clear(c);
  e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->key = duro_str_dup(key);
  if (e->key && duro_map_put(&c->entries, (duro_str){e->key, key.n}, e)) return e;
  entry_free(e);
  return NULL;
}

void duro__cache_keep(duro_runtime *rt, const duro_request *r, duro_str verb, duro_str args,
                      duro_str answer) {
  if (!applies(rt, r) || answer.n > MOST_BYTES) return;
  if (!rt->cache) rt->cache = calloc(1, sizeof *rt->cache);
  if (!rt->cache) return;
  duro_buf key = {0};
  add_key(&key, verb, args);
  entry *e = key.oom ? NULL : entry_of(rt->cache, (duro_str){key.p, key.n - 1});
  duro_buf_free(&key);
  if (!e) return;
  duro_buf_clear(&e->answer);
  duro_buf_add_str(&e->answer, answer);
  e->at_ns = e->answer.oom ? 0 : duro_clock_monotonic_ns();
}

void duro__cache_free(duro_runtime *rt) {
  if (!rt->cache) return;
  clear(rt->cache);
  free(rt->cache);
  rt->cache = NULL;
}
