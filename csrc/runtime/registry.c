// registry.c: the host's code by name, and orchestrations by version.
//
// Invariant: a name's versions stand in ascending order of precedence (semver 2.0), so the last one is
// what a start without a version takes. Code that was replaced lives on until its last live program has
// ended; then the host's hold on it is released.
#include <stdlib.h>

#include "runtime/internal.h"
#include "runtime/registry.h"

typedef struct versions {
  DURO__VEC(duro__code *) all; // ascending
} versions;

// --- Semantic versions ---

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

// A run of digits without a leading zero, at most 15 of them.
static bool take_number(const char **at, const char *end, int64_t *out) {
  const char *begin = *at;
  *out = 0;
  while (*at < end && is_digit(**at)) *out = *out * 10 + (*(*at)++ - '0');
  size_t digits = (size_t)(*at - begin);
  return digits > 0 && digits <= 15 && (digits == 1 || *begin != '0');
}

static bool take_char(const char **at, const char *end, char c) {
  if (*at == end || **at != c) return false;
  (*at)++;
  return true;
}

// Dot-separated words up to a '+' or the end; none may be empty.
static bool take_words(const char **at, const char *end, duro_str *out) {
  const char *begin = *at, *word = *at;
  for (; *at < end && (is_word(**at) || **at == '.'); (*at)++) {
    if (**at != '.') continue;
    if (*at == word) return false;
    word = *at + 1;
  }
  *out = (duro_str){begin, (size_t)(*at - begin)};
  return *at > word;
}

typedef struct semver {
  int64_t numbers[3];
  duro_str before; // the pre-release part, without '-'; absent = a release
} semver;

static bool semver_read(duro_str text, semver *out) {
  const char *at = text.p, *end = text.p + text.n;
  duro_str build;
  *out = (semver){0};
  if (!text.n || text.n > DURO_MAX_NAME_BYTES) return false;
  for (int i = 0; i < 3; i++) {
    if (i && !take_char(&at, end, '.')) return false;
    if (!take_number(&at, end, &out->numbers[i])) return false;
  }
  if (take_char(&at, end, '-') && !take_words(&at, end, &out->before)) return false;
  if (take_char(&at, end, '+') && !take_words(&at, end, &build)) return false;
  return at == end;
}

bool duro__semver_valid(duro_str version) {
  semver v;
  return semver_read(version, &v);
}

static duro_str take_word(duro_str *words) {
  const char *dot = words->n ? memchr(words->p, '.', words->n) : NULL;
  size_t n = dot ? (size_t)(dot - words->p) : words->n;
  duro_str word = {words->p, n};
  size_t skip = dot ? n + 1 : n;
  words->p += skip;
  words->n -= skip;
  return word;
}

static bool all_digits(duro_str word) {
  for (size_t i = 0; i < word.n; i++) {
    if (!is_digit(word.p[i])) return false;
  }
  return word.n > 0;
}

// Numbers by value (longer is larger: they have no leading zeros worth keeping), below words.
static int word_compare(duro_str a, duro_str b) {
  bool a_number = all_digits(a), b_number = all_digits(b);
  if (a_number != b_number) return a_number ? -1 : 1;
  if (a_number && a.n != b.n) return a.n < b.n ? -1 : 1;
  return duro_str_compare(a, b);
}

static int before_compare(duro_str a, duro_str b) {
  if (!a.p || !b.p) return (a.p == NULL) - (b.p == NULL); // a release is above its pre-releases
  while (a.n && b.n) {
    int order = word_compare(take_word(&a), take_word(&b));
    if (order) return order;
  }
  return (a.n > 0) - (b.n > 0);
}

static int version_compare(duro_str a, duro_str b) {
  semver x, y;
  if (duro_str_equal(a, b)) return 0; // as nearly always
  if (semver_read(a, &x) && semver_read(b, &y)) {
    for (int i = 0; i < 3; i++) {
      if (x.numbers[i] != y.numbers[i]) return x.numbers[i] < y.numbers[i] ? -1 : 1;
    }
    int order = before_compare(x.before, y.before);
    if (order) return order;
  }
  return duro_str_compare(a, b); // builds differ without precedence: any fixed order will do
}

// --- Code ---

static void code_free(duro_runtime *rt, duro__code *code) {
  if (!code) return;
  if (rt->host.release && code->handle) rt->host.release(rt->host.user, code->handle);
  free(code->name);
  free(code->version);
  free(code);
}

static duro__code *code_new(duro_str name, duro_str version, void *handle) {
  duro__code *code = calloc(1, sizeof *code);
  if (!code) return NULL;
  code->name = duro_str_dup(name);
  code->version = duro_str_dup(version);
  code->handle = handle;
  if (code->name && (code->version || !version.p)) return code;
  free(code->name);
  free(code->version);
  free(code);
  return NULL;
}

// For one that never came into use: the host keeps its handle.
static void code_discard(duro__code *code) {
  if (!code) return;
  free(code->name);
  free(code->version);
  free(code);
}

void duro__code_release(duro_runtime *rt, duro__code *code) {
  code->users--;
  if (code->replaced && code->users == 0) code_free(rt, code);
}

static void code_replace(duro_runtime *rt, duro__code *old) {
  old->users++; // so that a program that goes meanwhile does not free it under us
  old->replaced = true;
  duro__code_release(rt, old);
}

static duro_code check_name(duro_str name, const char *what, duro_error **err) {
  char why[128];
  if (!duro_id_problem(name, DURO_MAX_NAME_BYTES, why)) return DURO_OK;
  return duro_fail(err, DURO_INVALID_ARGUMENT, "the %s name %s", what, why);
}

// --- Orchestrations ---

static versions *versions_of(duro_runtime *rt, duro_str name) {
  return duro_map_get(&rt->orchestrations, name);
}

// The place of a version, or where it belongs.
static size_t place_of(const versions *all, duro_str version, bool *found) {
  for (size_t i = 0; i < all->all.count; i++) {
    int order = version_compare(duro_str_from(all->all.items[i]->version), version);
    if (order < 0) continue;
    *found = order == 0;
    return i;
  }
  *found = false;
  return all->all.count;
}

static duro_code add_version(duro_runtime *rt, duro__code *code, duro_error **err) {
  versions *all = versions_of(rt, duro_str_from(code->name));
  if (all) {
    bool found;
    size_t place = place_of(all, duro_str_from(code->version), &found);
    duro__code **last = duro__vec_push(&all->all);
    if (!last) return duro_fail_oom(err);
    size_t after = all->all.count - 1 - place;
    memmove(&all->all.items[place + 1], &all->all.items[place], after * sizeof(duro__code *));
    all->all.items[place] = code;
    return DURO_OK;
  }
  all = calloc(1, sizeof *all); // the map's key is a copy of its own: versions come and go
  duro__code **slot = all ? duro__vec_push(&all->all) : NULL;
  char *key = slot ? duro_str_dup(duro_str_from(code->name)) : NULL;
  if (!key || !duro_map_put(&rt->orchestrations, duro_str_from(key), all)) {
    if (all) free(all->all.items);
    free(all);
    free(key);
    return duro_fail_oom(err);
  }
  *slot = code;
  return DURO_OK;
}

DURO_EXPORT duro_code duro_register_orchestration(duro_runtime *rt, duro_str name, duro_str version,
                                                  void *code, bool replace, duro_error **err) {
  if (!version.p) version = DURO_STR("1.0.0");
  duro_code problem = check_name(name, "orchestration's", err);
  if (problem) return problem;
  if (!duro__semver_valid(version)) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "the version '%.*s' of '%.*s' is not of the form 1.2.3", DURO_FMT(version),
                     DURO_FMT(name));
  }
  versions *all = versions_of(rt, name);
  bool found = false;
  size_t place = all ? place_of(all, version, &found) : 0;
  if (found && !replace) {
    return duro_fail(
        err, DURO_ALREADY_EXISTS,
        "orchestration '%.*s' version '%.*s' is registered already (replace=true replaces it)",
        DURO_FMT(name), DURO_FMT(version));
  }
  duro__code *made = code_new(name, version, code);
  if (!made) return duro_fail_oom(err);
  if (found) {
    duro__code *old = all->all.items[place];
    all->all.items[place] = made;
    code_replace(rt, old);
  } else if ((problem = add_version(rt, made, err))) {
    code_discard(made);
    return problem;
  }
  duro__code_replaced(rt, name, version); // also a new one: instances may be stalled for want of it
  return DURO_OK;
}

duro__code *duro__find_orchestration(duro_runtime *rt, duro_str name, duro_str version) {
  versions *all = versions_of(rt, name);
  if (!all) return NULL;
  if (!version.n) return all->all.items[all->all.count - 1];
  bool found;
  size_t place = place_of(all, version, &found);
  return found ? all->all.items[place] : NULL;
}

// --- Activities ---

DURO_EXPORT duro_code duro_register_activity(duro_runtime *rt, duro_str name, void *code,
                                             bool replace, duro_error **err) {
  duro_code problem = check_name(name, "activity's", err);
  if (problem) return problem;
  duro__code *old = duro__find_activity(rt, name);
  if (old && !replace) {
    return duro_fail(err, DURO_ALREADY_EXISTS,
                     "activity '%.*s' is registered already (replace=true replaces it)",
                     DURO_FMT(name));
  }
  duro__code *made = code_new(name, DURO_NONE, code);
  if (!made || !duro_map_put(&rt->activities, duro_str_from(made->name), made)) {
    code_discard(made);
    return duro_fail_oom(err);
  }
  if (old) code_replace(rt, old);
  duro__jobs_registered(rt);
  return DURO_OK;
}

duro__code *duro__find_activity(duro_runtime *rt, duro_str name) {
  return duro_map_get(&rt->activities, name);
}

// --- The whole ---

void duro__registry_free(duro_runtime *rt) {
  size_t at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->orchestrations, &at));) {
    versions *all = s->value;
    for (size_t i = 0; i < all->all.count; i++) code_free(rt, all->all.items[i]);
    free(all->all.items);
    free(all);
    free((char *)s->key.p);
  }
  duro_map_free(&rt->orchestrations);
  at = 0;
  for (duro_map_slot *s; (s = duro_map_each(&rt->activities, &at));) code_free(rt, s->value);
  duro_map_free(&rt->activities);
}

static int slot_order(const void *a, const void *b) {
  const duro_map_slot *const *x = a, *const *y = b;
  return duro_str_compare((*x)->key, (*y)->key);
}

// The slots of a map in byte order of their keys; NULL when it is empty or memory is out.
static duro_map_slot **sorted_slots(const duro_map *map) {
  duro_map_slot **slots = map->count ? malloc(map->count * sizeof *slots) : NULL;
  if (!slots) return NULL;
  size_t at = 0, n = 0;
  for (duro_map_slot *s; (s = duro_map_each(map, &at));) slots[n++] = s;
  qsort(slots, n, sizeof *slots, slot_order);
  return slots;
}

static void add_versions(duro_buf *b, const duro_map_slot *slot) {
  const versions *all = slot->value;
  duro_buf_add_lit(b, "{\"name\":");
  duro_json_add_string(b, slot->key);
  duro_buf_add_lit(b, ",\"versions\":[");
  for (size_t i = 0; i < all->all.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro_json_add_string(b, duro_str_from(all->all.items[i]->version));
  }
  duro_buf_add_lit(b, "]}");
}

void duro__registry_json(duro_runtime *rt, duro_buf *b) {
  duro_map_slot **slots = sorted_slots(&rt->orchestrations);
  if (!slots && rt->orchestrations.count) b->oom = true;
  duro_buf_add_lit(b, "{\"orchestrations\":[");
  for (size_t i = 0; slots && i < rt->orchestrations.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    add_versions(b, slots[i]);
  }
  free(slots);
  slots = sorted_slots(&rt->activities);
  if (!slots && rt->activities.count) b->oom = true;
  duro_buf_add_lit(b, "],\"activities\":[");
  for (size_t i = 0; slots && i < rt->activities.count; i++) {
    if (i) duro_buf_add_char(b, ',');
    duro_json_add_string(b, slots[i]->key);
  }
  free(slots);
  duro_buf_add_lit(b, "]}");
}
