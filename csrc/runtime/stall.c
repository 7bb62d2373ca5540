// stall.c: instances that cannot go on with the code at hand. A fault of code or history never destroys an
// instance: it stands still, its row says why, what arrives is kept as rows, and nothing is added to its
// history until the cause is mended.
#include <stdio.h>

#include "runtime/internal.h"

static duro_str stall_error(duro__instance *i, duro_code code, const char *message, duro_buf *b) {
  duro_buf_printf(b, "{\"code\":\"%s\",\"message\":", duro_code_string(code));
  duro_json_add_string(b, duro_str_from(message));
  if (i->mismatch.event_id) {
    duro_buf_add_lit(b, ",\"event_id\":");
    duro_buf_add_int(b, i->mismatch.event_id);
    duro_buf_add_lit(b, ",\"expected\":");
    duro_json_add_string(b, duro_str_from(i->mismatch.expected ? i->mismatch.expected : ""));
    duro_buf_add_lit(b, ",\"got\":");
    duro_json_add_string(b, duro_str_from(i->mismatch.got ? i->mismatch.got : ""));
  }
  duro_buf_add_char(b, '}');
  return duro_buf_str(b);
}

void duro__instance_stall(duro_runtime *rt, duro__instance *i, duro_code code,
                          const char *message) {
  duro__batch *b = duro__batch_open(rt);
  if (!b) return;
  duro_buf text = {0};
  if (code == DURO_NONDETERMINISM) {
    duro_buf_printf(
        &text, "the code departs from its history at event %lld: expected %s, got %s%s%s",
        (long long)i->mismatch.event_id, i->mismatch.expected ? i->mismatch.expected : "?",
        i->mismatch.got ? i->mismatch.got : "?", i->mismatch.detail ? ": " : "",
        i->mismatch.detail ? i->mismatch.detail : "");
    duro_buf_add_char(&text, 0);
    if (!text.oom) message = text.p;
  }
  if (!message) message = duro_code_sentence(code);
  duro__log(rt, "error", "instance '%.*s' is stalled: %s", DURO_FMT(i->id), message);
  duro__instance_unbuild(rt, i);
  duro__timers_remove(rt, i);
  i->status = DURO_STATUS_STALLED;
  duro_buf error = {0};
  duro__turn_result result = {.error = stall_error(i, code, message, &error)};
  uint64_t hash = duro_hash_bytes(result.error.p, result.error.n);
  if (i->needs_insert || hash != i->stall_hash) { // else the row says so already
    duro__batch_touch(rt, b, i);
    if (i->needs_insert) duro__instance_insert(rt, b, i, NULL);
    duro__row_update(rt, b, i, DURO_SET_STATUS, &result);
    duro__row_change(rt, b,
                     &(duro__change){.what = "stalled",
                                     .key = i->key,
                                     .execution_id = i->execution_id,
                                     .status = DURO_STATUS_STALLED,
                                     .error = result.error});
  }
  i->stall_hash = hash;
  duro_buf_free(&error);
  duro_buf_free(&text);
  i->parked_count = 0;
  duro_message *m = i->inbox_head;
  for (; m; m = m->next) {
    i->parked_count++;
    if (!m->row_id) {
      duro__batch_add_message(rt, b, m);
      duro__batch_touch(rt, b, i);
    }
    m->must_keep = true;
    if (m->waiter) duro__batch_answer(rt, b, m->waiter);
    m->waiter = NULL;
  }
}

bool duro__stalls(duro_code code) {
  return code == DURO_NOT_REGISTERED || code == DURO_NONDETERMINISM || code == DURO_CORRUPT ||
         code == DURO_UNSUPPORTED; // a payload that only another host can read (a codec)
}

void duro__instance_stall_lost(duro_runtime *rt, duro__instance *i, const duro__open *o) {
  char text[256];
  snprintf(text, sizeof text,
           "activity '%.*s' lost its process %lld times in a row (max_lost_attempts)",
           (int)(o->name.n < 128 ? o->name.n : 128), o->name.p, (long long)o->lost_in_a_row);
  duro__instance_stall(rt, i, DURO_STALLED, text);
}

void duro__instance_unstall(duro_runtime *rt, duro__instance *i) {
  duro__batch *b = duro__batch_open(rt);
  if (!b) return;
  i->status = DURO_STATUS_RUNNING;
  i->stall_hash = 0;
  i->parked_count = 0;
  duro__turn_result none = {.status = DURO_STATUS_RUNNING};
  duro__batch_touch(rt, b, i);
  duro__row_update(rt, b, i, DURO_SET_STATUS, &none);
  duro__row_change(rt, b,
                   &(duro__change){.what = "running",
                                   .key = i->key,
                                   .execution_id = i->execution_id,
                                   .status = DURO_STATUS_RUNNING});
  duro__timers_update(rt, i);
  if (i->inbox_head) duro__instance_ready(rt, i);
}
