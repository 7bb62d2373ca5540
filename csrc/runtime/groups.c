// groups.c: see groups.h. A group's key is the JSON that is answered, so equal text is the same group.
//
// Durations are from creation to end, in whole milliseconds until they are written as seconds; a
// percentile is one of them (nearest rank). To group by something else: a row of DURO__GROUP_KEYS, and its
// case in add_member; to tell something else: a row of DURO__AGGREGATES, and its case in add_aggregate.
#include "runtime/groups.h"

#include <stdlib.h>

#include "runtime/answers.h"

#define X(name, word) word,
const char *const duro__group_words[] = {DURO__GROUP_KEYS(X) NULL};
const char *const duro__aggregate_words[] = {DURO__AGGREGATES(X) NULL};
#undef X

struct duro__group {
  duro_buf key;
  int64_t count, ended, completed, failed, duration_ms;
  DURO__VEC(int64_t) durations; // of those that ended; only when percentiles are asked for
};

static bool asks(unsigned bits, int bit) { return bits >> bit & 1; }

static bool asks_percentiles(const duro__groups *g) {
  return asks(g->aggregates, DURO__AGGREGATE_P50) || asks(g->aggregates, DURO__AGGREGATE_P95);
}

// --- Keys ---

// The day of the Gregorian calendar, in UTC. Years are counted from March, so that a leap day is the
// last day of one.
static void add_date(duro_buf *b, int64_t ms) {
  int64_t days = ms / 86400000 + 719468; // since 0000-03-01
  int64_t era = days / 146097, day_of_era = days % 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month = (5 * day_of_year + 2) / 153; // from March
  int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
  int64_t year = era * 400 + year_of_era + (month >= 10);
  duro_buf_printf(b, "\"%04d-%02d-%02d\"", (int)year, (int)(month < 10 ? month + 3 : month - 9),
                  (int)day);
}

static void add_member(duro_buf *b, duro__group_key key, const duro_instance_row *row) {
  const char *word = duro__group_words[key];
  switch (key) {
  case DURO__GROUP_NAME:
    duro__add_text_member(b, word, row->name);
    break;
  case DURO__GROUP_STATUS:
    duro__add_text_member(b, word, duro_str_from(duro_status_string(row->status)));
    break;
  case DURO__GROUP_DATE:
    duro__add_key(b, word);
    add_date(b, row->created_at_ms);
    break;
  case DURO__GROUP_PARENT:
    duro__add_text_member(b, word, row->parent_id);
    break;
  case DURO__GROUP_VERSION:
    duro__add_text_member(b, word, row->version);
    break;
  }
}

static void write_key(duro__groups *g, const duro_instance_row *row) {
  duro_buf_clear(&g->key);
  duro_buf_add_char(&g->key, '{');
  for (int key = 0; duro__group_words[key]; key++) {
    if (asks(g->by, key)) add_member(&g->key, (duro__group_key)key, row);
  }
  duro_buf_add_char(&g->key, '}');
}

static void group_free(duro__group *group) {
  duro_buf_free(&group->key);
  free(group->durations.items);
  free(group);
}

static duro__group *group_new(duro__groups *g) {
  duro__group *group = calloc(1, sizeof *group);
  if (!group) return NULL;
  duro_buf_add_str(&group->key, duro_buf_str(&g->key));
  duro__group **slot = group->key.oom ? NULL : duro__vec_push(&g->all);
  if (slot) *slot = group;
  if (slot && duro_map_put(&g->by_key, duro_buf_str(&group->key), group)) return group;
  if (slot) g->all.count--;
  group_free(group);
  return NULL;
}

// --- Adding ---

static bool add_duration(duro__groups *g, duro__group *group, const duro_instance_row *row) {
  int64_t ms = row->completed_at_ms - row->created_at_ms;
  group->duration_ms += ms;
  if (!asks_percentiles(g)) return true;
  int64_t *slot = duro__vec_push(&group->durations);
  if (slot) *slot = ms;
  return slot != NULL;
}

bool duro__groups_add(duro__groups *g, const duro_instance_row *row, int64_t times) {
  write_key(g, row);
  if (g->key.oom) return false;
  duro__group *group = duro_map_get(&g->by_key, duro_buf_str(&g->key));
  if (!group && g->all.count >= DURO_MAX_GROUPS) {
    g->full = true;
    return true;
  }
  if (!group) group = group_new(g);
  if (!group) return false;
  group->count += times;
  if (!duro_status_final(row->status)) return true;
  group->ended += times;
  if (row->status == DURO_STATUS_COMPLETED) group->completed += times;
  if (row->status == DURO_STATUS_FAILED) group->failed += times;
  return times != 1 || !row->completed_at_ms || add_duration(g, group, row);
}

// --- Writing ---

static int by_size(const void *left, const void *right) {
  const duro__group *a = *(duro__group *const *)left, *b = *(duro__group *const *)right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return duro_str_compare(duro_buf_str(&a->key), duro_buf_str(&b->key));
}

static int by_value(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return a < b ? -1 : a > b;
}

static double seconds(double ms) { return ms / 1000; }

static double percentile(const duro__group *group, size_t percent) {
  size_t count = group->durations.count;
  if (!count) return 0;
  size_t rank = (count * percent + 99) / 100;
  return seconds((double)group->durations.items[rank - 1]);
}

static double share(int64_t part, int64_t whole) {
  return whole ? (double)part / (double)whole : 0;
}

static double aggregate_of(const duro__group *group, duro__aggregate what) {
  switch (what) {
  case DURO__AGGREGATE_COUNT:
    break; // a whole number
  case DURO__AGGREGATE_AVERAGE:
    return seconds(share(group->duration_ms, group->ended));
  case DURO__AGGREGATE_P50:
    return percentile(group, 50);
  case DURO__AGGREGATE_P95:
    return percentile(group, 95);
  case DURO__AGGREGATE_SUCCESS:
    return share(group->completed, group->ended);
  case DURO__AGGREGATE_FAILURE:
    return share(group->failed, group->ended);
  }
  return 0;
}

static void add_group(const duro__groups *g, duro__group *group, duro_buf *b) {
  if (group->durations.count)
    qsort(group->durations.items, group->durations.count, sizeof(int64_t), by_value);
  duro_buf_add_char(b, '{');
  duro__add_json_member(b, "key", duro_buf_str(&group->key));
  duro__add_int_member(b, "count", group->count);
  for (int what = DURO__AGGREGATE_COUNT + 1; duro__aggregate_words[what]; what++) {
    if (!asks(g->aggregates, what)) continue;
    duro__add_key(b, duro__aggregate_words[what]);
    duro_json_add_double(b, aggregate_of(group, (duro__aggregate)what));
  }
  duro_buf_add_char(b, '}');
}

void duro__groups_write(duro__groups *g, size_t limit, bool truncated, duro_buf *b) {
  if (!g->by && !g->all.count) { // everything is one group, also when there is nothing
    duro_instance_row none = {.status = DURO_STATUS_RUNNING};
    if (!duro__groups_add(g, &none, 0)) b->oom = true;
  }
  if (g->all.count) qsort(g->all.items, g->all.count, sizeof *g->all.items, by_size);
  size_t count = g->all.count < limit ? g->all.count : limit;
  duro_buf_add_lit(b, "{\"groups\":[");
  for (size_t i = 0; i < count; i++) {
    if (i) duro_buf_add_char(b, ',');
    add_group(g, g->all.items[i], b);
  }
  duro_buf_add_char(b, ']');
  if (truncated || count < g->all.count) duro_buf_add_lit(b, ",\"truncated\":true");
  duro_buf_add_char(b, '}');
}

void duro__groups_free(duro__groups *g) {
  for (size_t i = 0; i < g->all.count; i++) group_free(g->all.items[i]);
  free(g->all.items);
  duro_map_free(&g->by_key);
  duro_buf_free(&g->key);
  *g = (duro__groups){0};
}
