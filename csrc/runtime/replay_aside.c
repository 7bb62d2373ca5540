// replay_aside.c: see replay_aside.h; and the door for hosts that have a history and no runtime.
#include "runtime/replay_aside.h"

static duro_code replay(const duro__aside *a, duro__exec *x, duro__mismatch *mismatch,
                        duro_error **err) {
  if (a->last_id) return duro__exec_replay_to(x, a->events, a->last_id, mismatch, err);
  duro_code code = duro__exec_replay(x, a->events, mismatch, err);
  bool ended = !code && a->code && !duro__exec_program(x) && a->events->count > 1;
  if (!ended || !a->stands) return code;
  int64_t before_end = a->events->items[a->events->count - 1].id - 1;
  return duro__exec_replay_to(x, a->events, before_end, mismatch, err);
}

duro_code duro__replay_aside(const duro__aside *a, duro__exec **out, duro__mismatch *mismatch,
                             duro_error **err) {
  duro__exec_config config = {.program = a->code ? a->host->programs : NULL,
                              .host = a->host->user,
                              .code = a->code,
                              .strict = a->strict};
  *out = duro__exec_new(&config, a->instance_id, a->execution_id);
  if (!*out) return duro_fail_oom(err);
  duro_code code = replay(a, *out, mismatch, err);
  if (code == DURO_NONDETERMINISM) {
    duro_fail(
        err, code,
        "the code departs from the history of instance '%.*s' at event %lld: expected %s, got %s",
        DURO_FMT(a->instance_id), (long long)mismatch->event_id,
        mismatch->expected ? mismatch->expected : "?", mismatch->got ? mismatch->got : "?");
  }
  if (code) {
    duro__exec_free(*out);
    *out = NULL;
  }
  return code;
}

static void write_departure(duro_buf *b, const duro__mismatch *m) {
  duro_buf_printf(b, "{\"event_id\":%lld,\"expected\":", (long long)m->event_id);
  duro_json_add_string(b, duro_str_from(m->expected ? m->expected : ""));
  duro_buf_add_lit(b, ",\"got\":");
  duro_json_add_string(b, duro_str_from(m->got ? m->got : ""));
  if (m->detail) {
    duro_buf_add_lit(b, ",\"detail\":");
    duro_json_add_string(b, duro_str_from(m->detail));
  }
  duro_buf_add_char(b, '}');
}

DURO_EXPORT duro_code duro_replay(const duro_host *host, void *code, duro_str instance_id,
                                  int64_t execution_id, duro_str events, duro_buf *departure,
                                  duro_error **err) {
  duro_arena arena = {0};
  duro_events decoded = {0};
  duro__mismatch mismatch = {0};
  duro__exec *x = NULL;
  duro_code problem = duro_events_decode(&events, 1, &arena, &decoded, err);
  duro__aside a = {.host = host,
                   .code = code,
                   .instance_id = instance_id,
                   .execution_id = execution_id,
                   .events = &decoded,
                   .strict = true};
  if (!problem) problem = duro__replay_aside(&a, &x, &mismatch, err);
  if (problem == DURO_NONDETERMINISM) {
    write_departure(departure, &mismatch);
    if (departure->oom) problem = duro_fail_oom(err);
  }
  duro__mismatch_free(&mismatch);
  duro__exec_free(x);
  duro_arena_free(&arena);
  return problem;
}
