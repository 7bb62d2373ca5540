// feed.c: rows of the journal to what streams tell (feed.h).
//
// It reads no state of the runtime, so that the helper thread can do it.
#include "runtime/feed.h"

#include "runtime/answers.h"
#include "runtime/suggest.h"

// --- Types ---

static const char *const type_names[] = {
#define X(name, string) string,
    DURO__FEED_TYPES(X)
#undef X
        NULL};

bool duro__feed_type_from(duro_str word, duro__feed_type *out, const char **nearest) {
  for (int i = 0; i < DURO__FEED_TYPE_COUNT; i++) {
    *out = (duro__feed_type)i;
    if (duro_str_equal(word, duro_str_from(type_names[i]))) return true;
  }
  *nearest = duro__nearest(word, type_names);
  return false;
}

// What an event of history is to a stream, and which status it brings (NULL: the one before).
typedef struct meaning {
  bool told;
  duro__feed_type type;
  const char *status;
} meaning;

static const meaning meanings[DURO_EVENT_KIND_COUNT] = {
    [DURO_EVENT_ORCHESTRATION_STARTED] = {true, DURO__FEED_STARTED, "running"},
    [DURO_EVENT_ORCHESTRATION_COMPLETED] = {true, DURO__FEED_COMPLETED, "completed"},
    [DURO_EVENT_ORCHESTRATION_FAILED] = {true, DURO__FEED_FAILED, "failed"},
    [DURO_EVENT_ORCHESTRATION_CONTINUED_AS_NEW] = {true, DURO__FEED_CONTINUED_AS_NEW, NULL},
    [DURO_EVENT_ORCHESTRATION_CANCELLED] = {true, DURO__FEED_CANCELLED, "cancelled"},
    [DURO_EVENT_ORCHESTRATION_TERMINATED] = {true, DURO__FEED_TERMINATED, "terminated"},
    [DURO_EVENT_ORCHESTRATION_RETRIED] = {false, 0, "running"},
    [DURO_EVENT_SUSPENDED] = {true, DURO__FEED_SUSPENDED, "suspended"},
    [DURO_EVENT_RESUMED] = {true, DURO__FEED_RESUMED, "running"},
    [DURO_EVENT_ACTIVITY_COMPLETED] = {true, DURO__FEED_ACTIVITY_COMPLETED, NULL},
    [DURO_EVENT_ACTIVITY_FAILED] = {true, DURO__FEED_ACTIVITY_FAILED, NULL},
    [DURO_EVENT_TIMER_FIRED] = {true, DURO__FEED_TIMER_FIRED, NULL},
    [DURO_EVENT_EVENT_RECEIVED] = {true, DURO__FEED_EVENT_RECEIVED, NULL},
    [DURO_EVENT_SUB_ORCHESTRATION_COMPLETED] = {true, DURO__FEED_SUB_ORCHESTRATION_COMPLETED, NULL},
    [DURO_EVENT_CUSTOM_STATUS_UPDATED] = {true, DURO__FEED_CUSTOM_STATUS_UPDATED, NULL},
};

bool duro__feed_asks_names(unsigned types) {
  return types & (1u << DURO__FEED_ACTIVITY_COMPLETED | 1u << DURO__FEED_ACTIVITY_FAILED |
                  1u << DURO__FEED_SUB_ORCHESTRATION_COMPLETED);
}

uint64_t duro__feed_kinds(const duro__feed_query *q) {
  bool changes = q->statuses || q->types >> DURO__FEED_STALLED & 1;
  uint64_t kinds = changes ? UINT64_C(1) << DURO_EVENT_NONE : 0;
  for (int kind = 0; kind < DURO_EVENT_KIND_COUNT; kind++) {
    const meaning *m = &meanings[kind];
    bool told = q->statuses ? m->status != NULL : m->told && q->types >> m->type & 1;
    if (told) kinds |= UINT64_C(1) << kind;
  }
  return kinds;
}

// --- Picking ---

static bool asked_for(const duro__feed_query *q, duro_str id) {
  return !q->ids.count || duro_map_get(&q->ids, id);
}

// NULL when memory is out.
static duro__feed_item *add(duro__feed_items *out, const duro_change *row, int64_t seq) {
  duro__feed_item *item = duro__vec_push(&out->list);
  if (!item) return NULL;
  item->seq = seq;
  item->row = row;
  item->instance_id = row->instance_id;
  item->name = row->name;
  return item;
}

static bool wanted(const duro__feed_query *q, const duro_change *row, const duro_event *e) {
  const meaning *m = &meanings[e->kind];
  // A continue-as-new is not another start.
  if (e->kind == DURO_EVENT_ORCHESTRATION_STARTED && row->execution_id > 1) return false;
  return q->statuses ? m->status != NULL : m->told && q->types >> m->type & 1;
}

static duro_code add_events(const duro__feed_query *q, const duro_change *row, int64_t since,
                            duro__feed_names *names, duro_arena *arena, duro__feed_items *out,
                            duro_error **err) {
  duro_events events;
  if (!row->instance_id.p || !asked_for(q, row->instance_id)) return DURO_OK;
  duro_code code = duro_events_decode(&row->events, 1, arena, &events, err);
  for (size_t i = 0; i < events.count && !code && !out->full; i++) {
    const duro_event *e = &events.items[i];
    int64_t seq = duro_public_seq(row->seq, (int64_t)events.count, (int64_t)i);
    if (names && !duro__feed_names_see(names, row->instance_key, row->execution_id, e))
      return duro_fail_oom(err);
    if (seq <= since || !wanted(q, row, e)) continue;
    duro__feed_item *item = add(out, row, seq);
    if (!item) return duro_fail_oom(err);
    item->type = meanings[e->kind].type;
    item->status = meanings[e->kind].status;
    item->event = *e;
    out->seq = seq;
    out->full = out->list.count == q->limit;
  }
  return code;
}

static const char *changed_status(duro_str what) {
  static const char *const same[] = {"pending", "running", "stalled"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    if (duro_str_equal(what, duro_str_from(same[i]))) return same[i];
  }
  return duro_str_equal(what, DURO_STR("deleted")) ? "not_found" : NULL;
}

// What a newer version may write there and we do not know is passed over.
static duro_code add_change(const duro__feed_query *q, const duro_change *row, duro_arena *arena,
                            duro__feed_items *out, duro_error **err) {
  duro_json_reader reader;
  duro_str change = DURO_NONE;
  duro_json_open(&reader, row->events);
  if (duro_json_next(&reader) == DURO_JSON_BEGIN_ARRAY) duro_json_skip(&reader, &change);
  const char *status = changed_status(duro_json_member_text(change, "change", arena));
  bool stalled = status && strcmp(status, "stalled") == 0;
  bool told = q->statuses ? status != NULL : stalled && q->types >> DURO__FEED_STALLED & 1;
  if (!told) return arena->oom ? duro_fail_oom(err) : DURO_OK;
  duro_str id = duro_json_member_text(change, "id", arena);
  if (!id.p) id = row->instance_id;
  if (!id.p || !asked_for(q, id)) return DURO_OK;
  duro__feed_item *item = add(out, row, duro_public_seq(row->seq, 0, 0));
  if (!item) return duro_fail_oom(err);
  item->instance_id = id;
  if (!row->name.p) item->name = duro_json_member_text(change, "name", arena);
  item->type = DURO__FEED_STALLED;
  item->status = status;
  item->event.error = duro_json_member(change, "error");
  return arena->oom ? duro_fail_oom(err) : DURO_OK;
}

duro_code duro__feed_add(const duro__feed_query *q, const duro_change *row, int64_t since,
                         duro__feed_names *names, duro_arena *arena, duro__feed_items *out,
                         duro_error **err) {
  duro_code code = row->event_count ? add_events(q, row, since, names, arena, out, err)
                                    : add_change(q, row, arena, out, err);
  if (code) return code;
  if (!out->full) out->seq = duro_public_seq(row->seq, 0, 0);
  if (out->list.count == q->limit) out->full = true;
  return DURO_OK;
}

// --- Writing ---

static void add_details(duro_buf *b, const duro__feed_item *item) {
  const duro_event *e = &item->event;
  duro_str name = e->name.p ? e->name : item->completed.name;
  bool own_name = e->kind == DURO_EVENT_ORCHESTRATION_STARTED; // stands beside the details
  duro__add_key(b, "details");
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "execution_id", item->row->execution_id);
  if (e->id) duro__add_int_member(b, "event_id", e->id);
  if (e->source) duro__add_int_member(b, "source_event_id", e->source);
  if (!own_name) duro__add_text_member(b, "name", name);
  duro__add_text_member(b, "version", e->version);
  duro__add_text_member(b, "child_instance", item->completed.instance);
  duro__add_text_member(b, "parent_instance", e->parent);
  if (e->kind == DURO_EVENT_EVENT_RECEIVED)
    duro__add_payload_member(b, "data", e->input);
  else if (e->kind == DURO_EVENT_CUSTOM_STATUS_UPDATED)
    duro__add_payload_member(b, "custom_status", e->input);
  else
    duro__add_payload_member(b, "input", e->input);
  duro__add_payload_member(b, "output", e->output);
  duro__add_payload_member(b, "error", e->error);
  duro__add_text_member(b, "reason", e->reason);
  if (e->attempt) duro__add_int_member(b, "attempt", e->attempt);
  duro_buf_add_char(b, '}');
}

void duro__feed_item_write(duro_buf *b, const duro__feed_query *q, const duro__feed_item *item) {
  const duro_event *e = &item->event;
  duro_buf_add_char(b, '{');
  duro__add_int_member(b, "seq", item->seq);
  duro__add_text_member(b, "instance_id", item->instance_id);
  duro__add_text_member(b, "orchestration_name", item->name);
  duro__add_time_member(b, "timestamp", item->row->at_ms);
  if (q->statuses) {
    duro__add_text_member(b, "status", duro_str_from(item->status));
    duro__add_payload_member(b, "output", e->output);
    duro__add_payload_member(b, "error", e->error);
    duro__add_text_member(b, "reason", e->reason);
  } else {
    duro__add_text_member(b, "event_type", duro_str_from(type_names[item->type]));
    add_details(b, item);
  }
  duro_buf_add_char(b, '}');
}
