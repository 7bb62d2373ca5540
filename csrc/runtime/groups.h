// groups: instances added up by what they have in common: how many there are, how long they took, how
// many of those that ended did well.
//
//   duro__groups g = {.by = ..., .aggregates = ...};
//   duro__groups_add(&g, &row, 1); ...
//   duro__groups_write(&g, limit, truncated, &answer);
//   duro__groups_free(&g);
#ifndef DURO_RUNTIME_GROUPS_H
#define DURO_RUNTIME_GROUPS_H

#include "base/map.h"
#include "model/batch.h"
#include "runtime/vec.h"

// X(name, word): what a group can have in common, and what can be told of it.
#define DURO__GROUP_KEYS(X)                                                                        \
  X(NAME, "orchestration_name")                                                                    \
  X(STATUS, "status")                                                                              \
  X(DATE, "created_date")                                                                          \
  X(PARENT, "parent_instance")                                                                     \
  X(VERSION, "version")
#define DURO__AGGREGATES(X)                                                                        \
  X(COUNT, "count")                                                                                \
  X(AVERAGE, "average_duration")                                                                   \
  X(P50, "p50_duration")                                                                           \
  X(P95, "p95_duration")                                                                           \
  X(SUCCESS, "success_rate")                                                                       \
  X(FAILURE, "failure_rate")

typedef enum duro__group_key {
#define X(name, word) DURO__GROUP_##name,
  DURO__GROUP_KEYS(X)
#undef X
} duro__group_key;
typedef enum duro__aggregate {
#define X(name, word) DURO__AGGREGATE_##name,
  DURO__AGGREGATES(X)
#undef X
} duro__aggregate;
extern const char *const duro__group_words[], *const duro__aggregate_words[]; // end with NULL

typedef struct duro__group duro__group;
typedef struct duro__groups {
  unsigned by, aggregates; // a bit each
  bool full;               // a row of a further group came, and was left out
  // Inner:
  duro_map by_key; // the key's JSON -> duro__group
  DURO__VEC(duro__group *) all;
  duro_buf key;
} duro__groups;

// `times` instances such as this one; of several only the status counts beside what they have in
// common. False: memory is out.
bool duro__groups_add(duro__groups *g, const duro_instance_row *row, int64_t times);
// {"groups":[{"key":{},"count":,...}],"truncated"?:true}, the largest group first.
void duro__groups_write(duro__groups *g, size_t limit, bool truncated, duro_buf *b);
void duro__groups_free(duro__groups *g);

#endif
