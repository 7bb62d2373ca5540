// stuck.c: see stuck.h.
#include "runtime/stuck.h"

#include "runtime/arguments.h"

static int64_t seconds_to_ms(duro_str seconds) {
  duro_json_reader reader;
  duro_json_open(&reader, seconds);
  duro_json_type type = duro_json_next(&reader);
  bool number = type == DURO_JSON_DOUBLE || type == DURO_JSON_INTEGER;
  return number ? (int64_t)(reader.number * 1000 + 0.5) : 0;
}

// A note of the owner before this one stays where it is: its epoch is another.
static bool read_note(duro_runtime *rt, const duro_lease *lease, duro_arena *arena,
                      duro__stuck *out) {
  duro_str figures = DURO_NONE;
  if (duro__store_owner_figures(rt->store, arena, &figures, NULL) || !figures.n) return false;
  duro_str note = duro__member(figures, "stuck");
  if (!note.n || duro_json_member_int(note, "epoch", 0) != lease->epoch) return false;
  out->instance_id = duro_json_member_text(note, "instance_id", arena);
  out->since_ms = seconds_to_ms(duro__member(note, "since"));
  return out->instance_id.p != NULL;
}

bool duro__owner_stuck(duro_runtime *rt, duro_arena *arena, duro__stuck *out) {
  duro_lease lease = {0};
  *out = (duro__stuck){0};
  if (duro__store_lease(rt->store, arena, &lease, NULL) || !lease.epoch) return false;
  out->pid = lease.pid;
  if (read_note(rt, &lease, arena, out)) return true;
  out->since_ms = lease.expires_at_ms - DURO_LEASE_MS;
  return duro_clock_wall_ms() - out->since_ms > DURO_NO_SIGN_MS;
}

void duro__stuck_reason(duro_buf *b, const duro__stuck *s) {
  if (s->instance_id.p) {
    duro_buf_printf(b, "the owner is stuck in a turn of instance '%.*s'", DURO_FMT(s->instance_id));
  } else {
    duro_buf_printf(b, "the owner (process %lld) has given no sign for %lld s", (long long)s->pid,
                    (long long)((duro_clock_wall_ms() - s->since_ms) / 1000));
  }
}

const char *duro__stuck_advice(const duro__stuck *s) {
  if (s->instance_id.p) {
    return "orchestrations must not work for long: end that process (nothing is lost), and mend "
           "the code";
  }
  return "its loop must turn (rt:run(), rt:step()), and what blocks belongs in a worker thread "
         "(thread=true); or it cannot write the file: end that process (nothing is lost)";
}
