// The life of an exec, and looking at it: nothing here changes what history has made.
//
// A reset exec is as new: replay and scan begin with it, so both may be called again on the same exec.
// The looking functions are cheap enough to be asked after every turn; what they return is borrowed
// until the next change.
#include "replay/internal.h"

#include <stdlib.h>

#include "base/json.h"

// More names than these are shown as one "event" in waiting_on: a list of that length helps nobody.
#define MAX_NAMES_SHOWN 64

// --- Life ---

static const duro__kept nothing_kept;

duro__kept *duro__kept_change(duro__exec *x) {
  if (x->kept == &nothing_kept) {
    duro__kept *kept = calloc(1, sizeof *kept);
    if (!kept) return NULL;
    x->kept = kept;
  }
  return (duro__kept *)x->kept;
}

static void free_kept(const duro__kept *kept) {
  if (kept == &nothing_kept) return;
  duro__kv_free(&kept->kv);
  duro__labels_free(kept->dedup);
  duro__labels_free(kept->patches);
  free((char *)kept->custom_status.p);
  free((char *)kept->attributes.p);
  free((duro__kept *)kept);
}

duro__exec *duro__exec_new(const duro__exec_config *config, duro_str instance_id,
                           int64_t execution_id) {
  duro_pool *blocks = config->stock ? config->stock->blocks : NULL;
  duro__exec *x = duro_pool_take(blocks, sizeof *x + instance_id.n + 1);
  if (!x) return NULL;
  memset(x, 0, sizeof *x);
  if (instance_id.n) memcpy(x->instance_text, instance_id.p, instance_id.n);
  x->instance_text[instance_id.n] = 0;
  x->config = *config;
  x->start.instance_id = (duro_str){x->instance_text, instance_id.n};
  x->start.execution_id = execution_id;
  x->status = DURO_STATUS_PENDING;
  x->kept = &nothing_kept;
  return x;
}

void duro__end_program(duro__exec *x) {
  if (!x->program) return;
  void *program = x->program;
  x->program = NULL;
  x->config.program->end(x->config.host, program);
}

static void free_state(duro__exec *x) {
  duro__end_program(x);
  duro__queue_clear(x);
  duro__open_clear(x);
  duro__mail_clear(x);
  free_kept(x->kept);
  free((char *)x->cancel_reason.p);
  duro_pool_give(duro__blocks(x), x->start_text);
  duro_pool_give(duro__blocks(x), x->open.slots);
  duro_pool_give(duro__blocks(x), x->due);
  free(x->queue.items);
}

void duro__reset(duro__exec *x) {
  duro__exec fresh = {
      .config = x->config,
      .start = {.instance_id = x->start.instance_id, .execution_id = x->start.execution_id},
      .status = DURO_STATUS_PENDING,
      .kept = &nothing_kept,
      .turn = x->turn,
      .turn_number = x->turn_number,
  };
  free_state(x);
  *x = fresh;
}

void duro__exec_trim(duro__exec *x) {
  duro__exec_turn_leave(x);
  if (x->queue.count) return;
  free(x->queue.items);
  x->queue = (duro__queue){0};
}

void duro__exec_free(duro__exec *x) {
  if (!x) return;
  free_state(x);
  duro__exec_turn_leave(x);
  duro_pool_give(duro__blocks(x), x);
}

duro_code duro__break(duro__exec *x, duro_code code) {
  if (!x->broken) x->broken = code;
  return x->broken;
}

duro_code duro__break_oom(duro__exec *x, duro_error **err) {
  duro__break(x, DURO_OUT_OF_MEMORY);
  return duro_fail_oom(err);
}

bool duro__own(duro_str *owned, duro_str text) {
  char *copy = text.p ? duro_str_dup(text) : NULL;
  if (text.p && !copy) return false;
  free((char *)owned->p);
  *owned = (duro_str){copy, copy ? text.n : 0};
  return true;
}

void *duro__larger(duro__exec *x, void *array, size_t bytes, size_t larger_bytes) {
  void *larger = duro_pool_take(duro__blocks(x), larger_bytes);
  if (!larger) return NULL;
  if (bytes) memcpy(larger, array, bytes);
  duro_pool_give(duro__blocks(x), array);
  return larger;
}

void duro__mismatch_free(duro__mismatch *m) {
  free(m->expected);
  free(m->got);
  free(m->detail);
  *m = (duro__mismatch){0};
}

// --- Looking ---

duro__open *duro__exec_open(duro__exec *x, int64_t task) {
  duro__entry *e = duro__open_find(x, task);
  return e ? &e->open : NULL;
}

duro__open *duro__exec_open_next(duro__exec *x, int64_t after_id) {
  duro__entry *e = duro__open_after(x, after_id);
  return e ? &e->open : NULL;
}

duro_code duro__exec_set_heartbeat(duro__exec *x, int64_t task, duro_str details,
                                   duro_error **err) {
  duro__entry *e = duro__open_find(x, task);
  return !e || duro__own(&e->open.heartbeat, details) ? DURO_OK : duro_fail_oom(err);
}

void *duro__exec_program(const duro__exec *x) { return x->program; }
int64_t duro__exec_last_event_id(const duro__exec *x) { return x->last_id; }
bool duro__exec_cancel_requested(const duro__exec *x) { return x->cancel_requested; }
int64_t duro__exec_now_ms(const duro__exec *x) { return x->now_ms; }
duro_str duro__exec_custom_status(const duro__exec *x) { return x->kept->custom_status; }
int64_t duro__exec_custom_status_version(const duro__exec *x) {
  return x->kept->custom_status_version;
}
duro_str duro__exec_attributes(const duro__exec *x) { return x->kept->attributes; }
int64_t duro__exec_deadline_ms(const duro__exec *x) { return x->deadline_ms; }

int64_t duro__exec_open_count(const duro__exec *x, duro__open_kind kind) {
  return x->open_count[kind];
}
int64_t duro__exec_parent_event_id(const duro__exec *x) { return x->parent_event_id; }

duro_status duro__exec_status(const duro__exec *x) {
  return x->suspended && !x->ended ? DURO_STATUS_SUSPENDED : x->status;
}

int64_t duro__exec_wake_at_ms(const duro__exec *x) {
  if (x->ended) return DURO_NEVER;
  if (x->local_jobs) return 0;
  int64_t due_ms = duro__exec_next_due_ms(x);
  return x->deadline_ms && x->deadline_ms < due_ms ? x->deadline_ms : due_ms;
}

static int by_name(const void *a, const void *b) {
  return duro_str_compare(*(const duro_str *)a, *(const duro_str *)b);
}

// The name is written as a JSON string, and then its opening quote gives way to `"event:`.
static void add_event_name(duro_buf *b, duro_str name) {
  static const char prefix[] = "\"event:";
  size_t at = b->n;
  duro_buf_add_lit(b, "event:");
  duro_json_add_string(b, name);
  if (!b->oom) memcpy(b->p + at, prefix, sizeof prefix - 1);
}

static void add_event_names(const duro__exec *x, duro_buf *b, const char *comma) {
  duro_str names[MAX_NAMES_SHOWN];
  size_t count = 0;
  if (x->mailbox.waiting.count > MAX_NAMES_SHOWN) {
    duro_buf_printf(b, "%s\"event\"", comma);
    return;
  }
  for (duro__box *box = x->mailbox.waiting.first; box; box = box->next) names[count++] = box->name;
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++, comma = ",") {
    duro_buf_add_str(b, duro_str_from(comma));
    add_event_name(b, names[i]);
  }
}

void duro__exec_waiting_on(const duro__exec *x, duro_buf *b) {
  const char *comma = "";
  duro_buf_add_char(b, '[');
  if (x->open_count[DURO__OPEN_ACTIVITY]) {
    duro_buf_add_lit(b, "\"activity\"");
    comma = ",";
  }
  if (x->mailbox.waiting.count) {
    add_event_names(x, b, comma);
    comma = ",";
  }
  if (x->open_count[DURO__OPEN_CHILD]) {
    duro_buf_printf(b, "%s\"sub_orchestration\"", comma);
    comma = ",";
  }
  if (x->open_count[DURO__OPEN_TIMER]) duro_buf_printf(b, "%s\"timer\"", comma);
  duro_buf_add_char(b, ']');
}

duro_str duro__exec_kv_get(const duro__exec *x, duro_str key) {
  const duro__kv_entry *e = duro__kv_find(x, key);
  return e ? e->value : DURO_NONE;
}

bool duro__exec_mailbox_next(const duro__exec *x, size_t *at, duro_str *name, duro_str *data,
                             int64_t *event_id) {
  duro__mail *mail = duro__mail_next(x, at, name);
  if (!mail) return false;
  *data = mail->data;
  *event_id = mail->event_id;
  return true;
}

size_t duro__exec_memory_bytes(const duro__exec *x) {
  size_t bytes = sizeof *x + x->start.instance_id.n + x->start.name.n + x->start.version.n +
                 x->start.parent_id.n + x->start.run_id.n + x->start.input.n;
  if (x->turn) {
    bytes += sizeof *x->turn + x->turn->out.cap + x->turn->scratch.cap +
             x->turn->effect_capacity * sizeof(duro__effect);
  }
  bytes += x->open.capacity * sizeof(duro__open_slot) + x->due_capacity * sizeof(duro__entry *);
  bytes += x->open.bytes;
  bytes += x->queue.capacity * sizeof(duro__told);
  bytes += x->mailbox.mail_bytes + x->mailbox.mail_count * sizeof(duro__mail);
  bytes += (x->mailbox.holding.count + x->mailbox.waiting.count) * sizeof(duro__box);
  bytes += x->mailbox.by_name.capacity * sizeof(duro_map_slot);
  bytes += x->kept == &nothing_kept ? 0 : sizeof *x->kept;
  bytes += x->kept->kv.bytes + x->kept->kv.capacity * sizeof(duro__kv_entry *);
  return bytes + x->kept->custom_status.n + x->kept->attributes.n;
}
