// Remembered words of an instance: ids seen (of events, of patches) and the searchable attributes.
//
// Ids keep the order in which they came, because a continue-as-new writes them down in it. Attributes
// are kept as the text of one flat JSON object; a change is merged into a new text.
#include "replay/internal.h"

#include <stdlib.h>

#include "base/json.h"

// --- Ids ---

bool duro__label_known(const duro__labels *l, duro_str text) {
  return l && duro_map_get(&l->by_text, text);
}

bool duro__label_add(duro__labels **labels, duro_str text) {
  duro__labels *l = *labels ? *labels : calloc(1, sizeof *l);
  if (!l) return false;
  *labels = l;
  if (duro_map_get(&l->by_text, text)) return true;
  duro__label *label = malloc(sizeof *label + text.n + 1);
  if (!label) return false;
  label->next = NULL;
  label->text = (duro_str){label->bytes, text.n};
  if (text.n) memcpy(label->bytes, text.p, text.n);
  label->bytes[text.n] = 0;
  if (!duro_map_put(&l->by_text, label->text, label)) {
    free(label);
    return false;
  }
  *(l->last ? &l->last->next : &l->first) = label;
  l->last = label;
  return true;
}

void duro__labels_free(duro__labels *l) {
  if (!l) return;
  for (duro__label *label = l->first, *next; label; label = next) {
    next = label->next;
    free(label);
  }
  duro_map_free(&l->by_text);
  free(l);
}

// --- Attributes ---

typedef struct attribute {
  duro_str key;   // unescaped
  duro_str value; // JSON; of a changed one the last that was given; "null" = removed
} attribute;

static bool is_scalar(duro_str value) { return value.n && value.p[0] != '{' && value.p[0] != '['; }

static duro_code check(const attribute *a, duro_error **err) {
  char why[128];
  if (duro_id_problem(a->key, DURO_MAX_NAME_BYTES, why)) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "attribute '%.*s' %s", DURO_FMT(a->key), why);
  }
  if (!is_scalar(a->value)) {
    return duro_fail(err, DURO_INVALID_ARGUMENT,
                     "attribute '%.*s' is neither string, number nor boolean", DURO_FMT(a->key));
  }
  if (a->value.n > DURO_MAX_ATTRIBUTE_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE, "attribute '%.*s' has %zu bytes of at most %d",
                     DURO_FMT(a->key), a->value.n, DURO_MAX_ATTRIBUTE_BYTES);
  }
  return DURO_OK;
}

// The member of that name in items[0 .. count), or the next free one.
static attribute *place_of(attribute *items, size_t count, duro_str key) {
  size_t i = 0;
  while (i < count && !duro_str_equal(items[i].key, key)) i++;
  return &items[i];
}

// Reads one object over what `items` holds already. A change may name as many as there can be, twice.
#define MAX_MERGED (3 * DURO_MAX_ATTRIBUTES)

static duro_code read(duro_str object, duro_arena *arena, attribute *items, size_t *count,
                      duro_error **err) {
  duro_json_reader r;
  if (!object.n) return DURO_OK;
  duro_json_open(&r, object);
  duro_json_type type = duro_json_next(&r);
  if (type != DURO_JSON_BEGIN_OBJECT) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "attributes must be a JSON object");
  }
  while ((type = duro_json_next(&r)) == DURO_JSON_KEY) {
    attribute a = {.key = duro_json_text(&r, arena)};
    if (arena->oom) return duro_fail_oom(err);
    if (!duro_json_skip(&r, &a.value)) break;
    duro_code code = check(&a, err);
    if (code) return code;
    attribute *place = place_of(items, *count, a.key);
    if (place == items + *count && ++*count > MAX_MERGED) {
      return duro_fail(err, DURO_TOO_LARGE, "more than %d attributes", DURO_MAX_ATTRIBUTES);
    }
    *place = a;
  }
  if (type == DURO_JSON_END_OBJECT) return DURO_OK;
  return duro_fail(err, DURO_INVALID_ARGUMENT, "attributes must be a JSON object: %s",
                   r.problem ? r.problem : "it is cut short");
}

static size_t write(const attribute *items, size_t count, duro_buf *b) {
  size_t written = 0;
  duro_buf_add_char(b, '{');
  for (size_t i = 0; i < count; i++) {
    if (duro_str_equal(items[i].value, DURO_STR("null"))) continue;
    if (written++) duro_buf_add_char(b, ',');
    duro_json_add_string(b, items[i].key);
    duro_buf_add_char(b, ':');
    duro_buf_add_str(b, items[i].value);
  }
  duro_buf_add_char(b, '}');
  return written;
}

duro_code duro__attributes_merge(duro_str old, duro_str change, duro_buf *b, duro_error **err) {
  attribute items[MAX_MERGED + 1];
  size_t count = 0;
  duro_arena arena = {0};
  duro_code code = read(old, &arena, items, &count, err);
  if (!code) code = read(change, &arena, items, &count, err);
  if (!code) {
    size_t written = write(items, count, b);
    if (b->oom) {
      code = duro_fail_oom(err);
    } else if (written > DURO_MAX_ATTRIBUTES) {
      code = duro_fail(err, DURO_TOO_LARGE, "%zu attributes of at most %d", written,
                       DURO_MAX_ATTRIBUTES);
    }
  }
  duro_arena_free(&arena);
  return code;
}
