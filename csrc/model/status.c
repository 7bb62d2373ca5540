// The words of the statuses, and what an instance id or a name may look like.
//
// To add a status: one line in DURO_STATUSES; the tables here follow.
#include "model/status.h"

#include <stdio.h>

#include "base/json.h"

static const struct {
  duro_str string;
  bool final;
} statuses[DURO_STATUS_COUNT] = {
#define X(name, text, is_final) [DURO_STATUS_##name] = {DURO_STR(text), is_final},
    DURO_STATUSES(X)
#undef X
};

static bool known(duro_status s) { return (unsigned)s < DURO_STATUS_COUNT; }

const char *duro_status_string(duro_status s) {
  return known(s) ? statuses[s].string.p : "unknown";
}

bool duro_status_final(duro_status s) { return known(s) && statuses[s].final; }

bool duro_status_from(duro_str string, duro_status *out) {
  for (int s = 0; s < DURO_STATUS_COUNT; s++) {
    if (!duro_str_equal(string, statuses[s].string)) continue;
    *out = (duro_status)s;
    return true;
  }
  return false;
}

// C0, DEL and C1 (in UTF-8 the latter are C2 80 to C2 9F).
static bool has_control_character(duro_str s) {
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0) return true;
  }
  return false;
}

const char *duro_id_problem(duro_str id, size_t max_bytes, char why[128]) {
  if (id.n == 0) {
    snprintf(why, 128, "is empty");
  } else if (id.n > max_bytes) {
    snprintf(why, 128, "is longer than %zu bytes (has %zu)", max_bytes, id.n);
  } else if (!duro_utf8_valid(id)) {
    snprintf(why, 128, "is not valid UTF-8");
  } else if (has_control_character(id)) {
    snprintf(why, 128, "contains a control character");
  } else {
    return NULL;
  }
  return why;
}
