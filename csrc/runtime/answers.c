// The writers and shared readers of answers.h.
//
// To add a field to a summary: one line in duro__add_summary, and its row in lua/duro/types/management.lua.
#include "runtime/answers.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/payloads.h"

// --- Small parts ---

void duro__add_time(duro_buf *b, int64_t ms) {
  if (ms < 0) ms = 0; // no time of a file is before 1970
  duro_buf_add_int(b, ms / 1000);
  int64_t rest = ms % 1000;
  char decimals[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                      (char)('0' + rest % 10)};
  duro_buf_add(b, decimals, sizeof decimals);
}

void duro__add_key(duro_buf *b, const char *key) {
  if (b->n && b->p[b->n - 1] != '{') duro_buf_add_char(b, ',');
  duro_buf_add_char(b, '"');
  duro_buf_add(b, key, strlen(key));
  duro_buf_add_lit(b, "\":");
}

void duro__add_text_member(duro_buf *b, const char *key, duro_str text) {
  if (!text.p) return;
  duro__add_key(b, key);
  duro_json_add_string(b, text);
}

void duro__add_json_member(duro_buf *b, const char *key, duro_str json) {
  if (!json.n) return;
  duro__add_key(b, key);
  duro_buf_add_str(b, json);
}

void duro__add_payload_member(duro_buf *b, const char *key, duro_str json) {
  if (!json.n || duro__payload_readable(json)) {
    duro__add_json_member(b, key, json);
    return;
  }
  duro__add_key(b, key);
  duro_buf_add_lit(b, "{\"$duro\":\"raised\",\"error\":"
                      "{\"code\":\"corrupt\",\"message\":\"the stored ");
  duro_buf_add_str(b, duro_str_from(key));
  duro_buf_add_lit(b, " cannot be read\"}}");
}

void duro__add_int_member(duro_buf *b, const char *key, int64_t number) {
  duro__add_key(b, key);
  duro_buf_add_int(b, number);
}

void duro__add_time_member(duro_buf *b, const char *key, int64_t ms) {
  if (!ms) return;
  duro__add_key(b, key);
  duro__add_time(b, ms);
}

void duro__add_error(duro_buf *b, duro_code code, const duro_error *err) {
  duro_buf_add_lit(b, "{\"code\":\"");
  duro_buf_add_str(b, duro_str_from(duro_code_string(code)));
  duro_buf_add_char(b, '"');
  const char *message = err ? err->message : duro_code_sentence(code);
  duro__add_text_member(b, "message", duro_str_from(message));
  if (err && err->data) duro__add_json_member(b, "data", duro_str_from(err->data));
  duro_buf_add_char(b, '}');
}

// --- Rows ---

void duro__add_summary(duro_buf *b, const duro_instance_row *row) {
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", row->id);
  duro__add_text_member(b, "orchestration_name", row->name);
  if (row->version.n) duro__add_text_member(b, "version", row->version);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(row->status)));
  duro__add_time_member(b, "created_at", row->created_at_ms);
  duro__add_time_member(b, "updated_at", row->updated_at_ms);
  duro__add_time_member(b, "completed_at", row->completed_at_ms);
  duro__add_int_member(b, "execution_count", row->execution_id);
  if (row->parent_id.p) {
    duro__add_text_member(b, "parent_instance", row->parent_id);
    duro__add_int_member(b, "parent_id", row->parent_event_id);
  }
  duro__add_payload_member(b, "attributes", row->attributes);
  duro__add_payload_member(b, "custom_status", row->custom_status);
  bool waits = row->waiting_on.n > 2 && !duro_status_final(row->status);
  if (waits) duro__add_payload_member(b, "waiting_on", row->waiting_on);
  duro__add_payload_member(b, "error", row->error);
  duro_buf_add_char(b, '}');
}

void duro__add_status(duro_buf *b, const duro_instance_row *row) {
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", row->id);
  duro__add_text_member(b, "status", duro_str_from(duro_status_string(row->status)));
  duro__add_payload_member(b, "output", row->output);
  duro__add_payload_member(b, "error", row->error);
  duro_buf_add_char(b, '}');
}

void duro__add_status_unknown(duro_buf *b, duro_str id) {
  duro_buf_add_char(b, '{');
  duro__add_text_member(b, "instance_id", id);
  duro__add_text_member(b, "status", DURO_STR("not_found"));
  duro_buf_add_char(b, '}');
}

// --- Failures ---

void duro__fail_with(duro_request *r, duro_code code, duro_error *err) {
  duro__request_take_error(r, code, err);
}

void duro__fail_when_durable(duro_request *r, const duro__instance *i, duro_code code,
                             const char *format, ...) {
  char message[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  duro_error_free(r->error);
  r->error = NULL;
  r->code = duro_fail(&r->error, code, "%s", message);
  if (i)
    duro__answer_when_durable(r->rt, i, r);
  else
    duro__request_durable(r);
}

void duro__fail_not_found(duro_request *r, duro_str id) {
  duro__request_fail(r, DURO_NOT_FOUND, "no instance '%.*s'", DURO_FMT(id));
}

void duro__fail_finished(duro_request *r, duro_str id, duro_status status) {
  duro__fail_when_durable(r, duro__live(r->rt, id), DURO_FINISHED, "instance '%.*s' has ended (%s)",
                          DURO_FMT(id), duro_status_string(status));
}

void duro__fail_memory(duro_request *r) {
  duro__request_fail(r, DURO_OUT_OF_MEMORY, "%s", duro_code_sentence(DURO_OUT_OF_MEMORY));
}

// --- Reading ---

bool duro__read_row(duro_runtime *rt, duro_request *r, duro_str id, duro_arena *arena,
                    duro_instance_row *out) {
  duro_error *err = NULL;
  duro_code code = duro__store_get(rt->store, id, arena, out, &err);
  if (!code) return true;
  if (code == DURO_NOT_FOUND) {
    duro_error_free(err);
    duro__fail_not_found(r, id);
  } else {
    duro__fail_with(r, code, err);
  }
  return false;
}

duro_code duro__load_events(duro_runtime *rt, int64_t key, int64_t execution_id, duro_arena *arena,
                            duro_events *out, duro_error **err) {
  duro_texts texts = {0};
  duro_code code = duro__store_history(rt->store, key, execution_id, arena, &texts, err);
  return code ? code : duro_events_decode(texts.items, texts.count, arena, out, err);
}

void duro__fail_events(duro_request *r, int64_t execution_id, duro_code code, duro_error *err) {
  if (code != DURO_CORRUPT) {
    duro__fail_with(r, code, err);
    return;
  }
  const char *why = err && err->message ? err->message : "";
  duro__request_fail(r, code, "the history of execution %lld cannot be read: %s",
                     (long long)execution_id, why);
  duro_error_free(err);
}

bool duro__read_events(duro_runtime *rt, duro_request *r, int64_t key, int64_t execution_id,
                       duro_arena *arena, duro_events *out) {
  duro_error *err = NULL;
  duro_code code = duro__load_events(rt, key, execution_id, arena, out, &err);
  if (code) duro__fail_events(r, execution_id, code, err);
  return !code;
}

duro__exec *duro__scan(duro_runtime *rt, duro_request *r, const duro_instance_row *row,
                       const duro_events *events) {
  (void)rt;
  duro__exec_config config = {0};
  duro_error *err = NULL;
  duro__exec *x = duro__exec_new(&config, row->id, row->execution_id);
  if (!x) {
    duro__fail_memory(r);
    return NULL;
  }
  duro_code code = events->count ? duro__exec_scan(x, events, &err) : DURO_OK;
  if (!code) return x;
  duro__exec_free(x);
  duro__fail_with(r, code, err);
  return NULL;
}
