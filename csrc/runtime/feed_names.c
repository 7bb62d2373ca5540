// feed_names.c: see feed_names.h.
#include "runtime/feed_names.h"

#include <stdlib.h>

#define GENERATION 50000 // two of them: about 10 MB
#define READ_MOST_IDS                                                                              \
  20000 // of an execution; more would be read again for each that is not remembered

typedef struct entry {
  int64_t place[3]; // the key in the map: nothing else may come before it
  duro__scheduled what;
  char text[]; // of `what`
} entry;

static duro_str place_of(const int64_t place[3]) {
  return (duro_str){(const char *)place, 3 * sizeof *place};
}

bool duro__feed_completes(const duro_event *e) {
  return e->source &&
         (e->kind == DURO_EVENT_ACTIVITY_COMPLETED || e->kind == DURO_EVENT_ACTIVITY_FAILED ||
          e->kind == DURO_EVENT_SUB_ORCHESTRATION_COMPLETED);
}

static bool schedules(const duro_event *e) {
  return e->kind == DURO_EVENT_ACTIVITY_SCHEDULED ||
         e->kind == DURO_EVENT_SUB_ORCHESTRATION_SCHEDULED;
}

static duro_str keep(entry *e, size_t at, duro_str text) {
  if (!text.p) return DURO_NONE;
  memcpy(e->text + at, text.p, text.n);
  return (duro_str){e->text + at, text.n};
}

static void generation_free(duro_map *m) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(m, &at));) free(s->value);
  duro_map_free(m);
  *m = (duro_map){0};
}

void duro__feed_names_free(duro__feed_names *n) {
  generation_free(&n->young);
  generation_free(&n->old);
}

static const entry *remembered(const duro__feed_names *n, const int64_t place[3]) {
  const entry *found = duro_map_get(&n->young, place_of(place));
  return found ? found : duro_map_get(&n->old, place_of(place));
}

bool duro__feed_names_see(duro__feed_names *n, int64_t key, int64_t execution_id,
                          const duro_event *e) {
  int64_t place[3] = {key, execution_id, e->id};
  if (!schedules(e) || remembered(n, place)) return true;
  if (n->young.count >= GENERATION) {
    generation_free(&n->old);
    n->old = n->young;
    n->young = (duro_map){0};
  }
  entry *new = malloc(sizeof *new + e->name.n + e->instance.n);
  if (!new) return false;
  memcpy(new->place, place, sizeof place);
  new->what.name = keep(new, 0, e->name);
  new->what.instance = keep(new, e->name.n, e->instance);
  if (duro_map_put(&n->young, place_of(new->place), new)) return true;
  free(new);
  return false;
}

// Of an execution that is gone there is nothing to remember.
static duro_code read_execution(duro__feed_names *n, duro__store *store, int64_t key,
                                int64_t execution_id, duro_error **err) {
  duro_arena arena = {0};
  duro_texts texts = {0};
  duro_events events = {0};
  duro_code code = duro__store_history(store, key, execution_id, &arena, &texts, err);
  if (!code) code = duro_events_decode(texts.items, texts.count, &arena, &events, err);
  for (size_t i = 0; i < events.count && !code; i++) {
    if (!duro__feed_names_see(n, key, execution_id, &events.items[i])) code = duro_fail_oom(err);
  }
  duro_arena_free(&arena);
  if (code != DURO_NOT_FOUND) return code;
  duro_error_free(*err);
  *err = NULL;
  return DURO_OK;
}

duro_code duro__feed_names_find(duro__feed_names *n, duro__store *store, int64_t key,
                                int64_t execution_id, const duro_event *e, duro_arena *arena,
                                duro__scheduled *out, duro_error **err) {
  int64_t place[3] = {key, execution_id, e->source};
  *out = (duro__scheduled){0};
  const entry *found = remembered(n, place);
  if (!found && e->id <= READ_MOST_IDS) {
    duro_code code = read_execution(n, store, key, execution_id, err);
    if (code) return code;
    found = remembered(n, place);
  }
  if (!found) return DURO_OK;
  out->name = duro_arena_dup(arena, found->what.name);
  out->instance = duro_arena_dup(arena, found->what.instance);
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}
