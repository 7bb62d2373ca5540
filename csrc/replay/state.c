// What the code keeps and what it learns: custom status, key-values, attributes, side effects, patches,
// and the facts of its turn. The second half of the duro_turn_* calls; see commands.c.
#include "replay/internal.h"

#include <stdio.h>

#include "base/json.h"

// --- State ---

duro_code duro_turn_set_custom_status(duro_turn *t, duro_str value, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (!code) {
    code = duro__check_size("the custom status", value, DURO_MAX_CUSTOM_STATUS_BYTES, err);
  }
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_CUSTOM_STATUS_UPDATED, .input = value};
  return duro__issue(x, &e, err);
}

duro_str duro_turn_custom_status(const duro_turn *t) {
  return duro__exec_custom_status(duro__exec_of(t));
}

static duro_code check_key(duro__exec *x, duro_str key, duro_error **err) {
  duro_str shown = duro_str_cut(key, 64);
  if (!duro_utf8_valid(key)) {
    return duro_fail(err, DURO_INVALID_ARGUMENT, "a kv key is not valid UTF-8: write it in hex");
  }
  if (key.n > DURO_MAX_KV_KEY_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE, "kv key '%.*s...' has %zu bytes of at most %d",
                     DURO_FMT(shown), key.n, DURO_MAX_KV_KEY_BYTES);
  }
  if (x->kept->kv.count < DURO_MAX_KV_KEYS || duro__kv_find(x, key)) return DURO_OK;
  return duro_fail(
      err, DURO_TOO_LARGE,
      "kv key '%.*s%s' would be number %zu of at most %d: clear others before, or keep "
      "several values under one key",
      DURO_FMT(shown), shown.n < key.n ? "..." : "", x->kept->kv.count + 1, DURO_MAX_KV_KEYS);
}

static duro_code check_value(duro_str key, duro_str value, duro_error **err) {
  duro_str shown = duro_str_cut(key, 64);
  if (value.n <= DURO_MAX_KV_VALUE_BYTES) return DURO_OK;
  return duro_fail(
      err, DURO_TOO_LARGE,
      "the value of kv key '%.*s%s' has %zu bytes of at most %d: keep it elsewhere, and "
      "here where it is",
      DURO_FMT(shown), shown.n < key.n ? "..." : "", value.n, DURO_MAX_KV_VALUE_BYTES);
}

duro_code duro_turn_kv_set(duro_turn *t, duro_str key, duro_str value, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (code) return code;
  if (!value.p && !duro__kv_find(x, key)) return DURO_OK;
  if (value.p) code = check_key(x, key, err);
  if (!code) code = check_value(key, value, err);
  if (code) return code;
  duro_event e = {.kind = value.p ? DURO_EVENT_KV_SET : DURO_EVENT_KV_CLEARED,
                  .name = key.p ? key : DURO_STR(""),
                  .input = value};
  return duro__issue(x, &e, err);
}

duro_str duro_turn_kv_get(const duro_turn *t, duro_str key) {
  return duro__exec_kv_get(duro__exec_of(t), key);
}

bool duro_turn_kv_next(const duro_turn *t, duro_str after, duro_str *key, duro_str *value) {
  return duro__exec_kv_next(duro__exec_of(t), after, key, value);
}

// Merged once to see whether it may be, and again when it is noted.
duro_code duro_turn_set_attributes(duro_turn *t, duro_str object, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_add(x, err);
  if (code) return code;
  duro_buf merged = {0};
  code = duro__attributes_merge(x->kept->attributes, object, &merged, err);
  duro_buf_free(&merged);
  if (code == DURO_OUT_OF_MEMORY) duro__break(x, code);
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_ATTRIBUTES_UPDATED, .input = object};
  return duro__issue(x, &e, err);
}

// --- Side effects and patches ---

duro_code duro_turn_side_effect(duro_turn *t, duro_str *recorded, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  *recorded = DURO_NONE;
  duro_code code = duro__may_add(x, err);
  if (code) return code;
  if (!x->replay) {
    x->side_effect_open = true;
    return DURO_OK;
  }
  duro_event e = {.kind = DURO_EVENT_SIDE_EFFECT_RECORDED};
  code = duro__issue(x, &e, err);
  if (code) return code;
  if (e.reason.p) return duro_fail(err, DURO_TOO_LARGE, "%.*s", DURO_FMT(e.reason));
  *recorded = e.output.p ? e.output : DURO_STR("null");
  return DURO_OK;
}

// That the value was too large is recorded in its place: on replay the code must be told so again.
static duro_code record_refusal(duro__exec *x, size_t bytes, duro_error **err) {
  char reason[128];
  snprintf(reason, sizeof reason, "the side effect's value has %zu bytes of at most %d", bytes,
           DURO_MAX_PAYLOAD_BYTES);
  duro_event e = {.kind = DURO_EVENT_SIDE_EFFECT_RECORDED, .reason = duro_str_from(reason)};
  duro_code code = duro__issue(x, &e, err);
  return code ? code : duro_fail(err, DURO_TOO_LARGE, "%s", reason);
}

duro_code duro_turn_side_effect_record(duro_turn *t, duro_str value, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  if (!x->side_effect_open || x->broken) {
    return duro_fail(err, x->broken ? x->broken : DURO_INVALID_ARGUMENT,
                     "there is no side effect to record");
  }
  x->side_effect_open = false;
  if (value.n > DURO_MAX_PAYLOAD_BYTES) return record_refusal(x, value.n, err);
  duro_event e = {.kind = DURO_EVENT_SIDE_EFFECT_RECORDED, .output = value};
  return duro__issue(x, &e, err);
}

duro_code duro_turn_patched(duro_turn *t, duro_str patch_id, bool *patched, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  *patched = false;
  duro_code code = duro__may_add(x, err);
  if (!code) code = duro__check_id("patch", patch_id, DURO_MAX_NAME_BYTES, err);
  if (code) return code;
  if (duro__label_known(x->kept->patches, patch_id)) {
    *patched = true;
    return DURO_OK;
  }
  const duro_event *h = duro__at_cursor(x);
  if (x->replay &&
      !(h && h->kind == DURO_EVENT_PATCH_MARKER && duro_str_equal(h->name, patch_id))) {
    return DURO_OK;
  }
  duro_event e = {.kind = DURO_EVENT_PATCH_MARKER, .name = patch_id};
  code = duro__issue(x, &e, err);
  *patched = !code;
  return code;
}

// --- Facts ---

int64_t duro_turn_now_ms(const duro_turn *t) { return duro__exec_of(t)->now_ms; }
bool duro_turn_replaying(const duro_turn *t) { return duro__exec_of(t)->replay != NULL; }
int64_t duro_turn_history_length(const duro_turn *t) { return duro__exec_of(t)->last_id; }
bool duro_turn_cancel_requested(const duro_turn *t) { return duro__exec_of(t)->cancel_requested; }
// "{run id}:{execution}": another execution of the same run draws other numbers.
static void seed(duro__exec *x) {
  char text[DURO_MAX_NAME_BYTES];
  duro_str run_id = x->start.run_id;
  size_t n = run_id.n < sizeof text - 24 ? run_id.n : sizeof text - 24;
  if (n) memcpy(text, run_id.p, n);
  text[n++] = ':';
  uint64_t rest = (uint64_t)x->start.execution_id;
  do {
    text[n++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  duro_prng_seed(&x->prng, (duro_str){text, n});
}

// Most code never draws one, so it is seeded by the first who does.
duro_prng *duro_turn_prng(duro_turn *t) {
  duro__exec *x = duro__exec_of(t);
  if (!x->seeded) seed(x);
  x->seeded = true;
  return &x->prng;
}
const duro_program_start *duro_turn_start_info(const duro_turn *t) {
  return &duro__exec_of(t)->start;
}
