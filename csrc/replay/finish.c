// How an execution ends by its own code: complete, fail, continue as new.
//
// What is still open is cancelled and recorded so, in ascending order, then the terminal event is
// issued. After a cancel request every end is orchestration_cancelled, whatever the code wanted; an
// execution that is cancelled before its code began ends the same way without it.
#include "replay/internal.h"

#include "base/json.h"

duro_str duro__cancel_error(duro__exec *x, duro_buf *b) {
  duro_buf_add_lit(b, "{\"code\":\"cancelled\",\"message\":");
  duro_json_add_string(b, x->cancel_reason.n ? x->cancel_reason : DURO_STR(DURO_CANCELLED_MESSAGE));
  duro_buf_add_char(b, '}');
  return duro_buf_str(b);
}

static duro_code finish(duro__exec *x, duro_event *terminal, duro_error **err) {
  duro_code code = duro__cancel_open(x, DURO_STR("its parent ended"), err);
  if (!code) code = duro__issue(x, terminal, err);
  return code ? code : duro__end_result(x, terminal, err);
}

duro_code duro__finish_cancelled(duro__exec *x, duro_error **err) {
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_CANCELLED, .reason = x->cancel_reason};
  // Noting the end does not free the reason: it stays until the exec is reset.
  return finish(x, &e, err);
}

duro_code duro_turn_complete(duro_turn *t, duro_str output, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_ask(x, err);
  if (code) return code;
  if (x->cancel_requested) return duro__finish_cancelled(x, err);
  code = duro__check_size("the output", output, DURO_MAX_PAYLOAD_BYTES, err);
  if (code) return code;
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_COMPLETED, .output = output};
  return finish(x, &e, err);
}

// To fail must always be possible: an error that is too large is told by its size.
duro_code duro_turn_fail(duro_turn *t, duro_str error, duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_ask(x, err);
  if (code) return code;
  if (x->cancel_requested) return duro__finish_cancelled(x, err);
  if (!error.n) error = DURO_STR("{\"code\":\"failed\",\"message\":\"the code failed\"}");
  if (error.n > DURO_MAX_PAYLOAD_BYTES) {
    x->turn->scratch.n = 0;
    duro_buf_printf(
        &x->turn->scratch,
        "{\"code\":\"too_large\",\"message\":\"the error has %zu bytes of at most %d\"}", error.n,
        DURO_MAX_PAYLOAD_BYTES);
    error = duro_buf_str(&x->turn->scratch);
  }
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_FAILED, .error = error};
  return finish(x, &e, err);
}

duro_code duro_turn_continue_as_new(duro_turn *t, duro_str input, duro_str version, duro_str reason,
                                    duro_error **err) {
  duro__exec *x = duro__exec_of(t);
  duro_code code = duro__may_ask(x, err);
  if (code) return code;
  if (x->cancel_requested) return duro__finish_cancelled(x, err);
  if (version.p) code = duro__check_id("version", version, DURO_MAX_NAME_BYTES, err);
  if (!code) code = duro__check_size("the input", input, DURO_MAX_PAYLOAD_BYTES, err);
  if (!code) code = duro__check_size("the reason", reason, DURO_MAX_REASON_BYTES, err);
  if (code) return code;
  size_t bytes = duro__carry_bytes(x);
  if (bytes > DURO_MAX_CARRY_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE,
                     "kv, unread events and attributes have %zu bytes of at most %d to carry over",
                     bytes, DURO_MAX_CARRY_BYTES);
  }
  duro_event e = {.kind = DURO_EVENT_ORCHESTRATION_CONTINUED_AS_NEW,
                  .input = input,
                  .version = version,
                  .reason = reason};
  return finish(x, &e, err);
}
