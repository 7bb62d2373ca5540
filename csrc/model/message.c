// Messages: an event without id and time, copied into one block with its addressee.
//
// The copy walks DURO_EVENT_FIELDS, so a new field of an event needs no change here.
#include "model/message.h"

static size_t text_bytes(const duro_event *e) {
  size_t n = 0;
#define X(member, key, TYPE, public_key) SIZE_##TYPE(member)
#define SIZE_INT(member)
#define SIZE_BOOL(member)
#define SIZE_TEXT(member) n += e->member.n;
#define SIZE_JSON(member) n += e->member.n;
  DURO_EVENT_FIELDS(X)
#undef X
#undef SIZE_INT
#undef SIZE_BOOL
#undef SIZE_TEXT
#undef SIZE_JSON
  return n;
}

// Moves a slice's bytes to *to, which goes on behind them. An absent slice stays absent.
static void move_text(duro_str *s, char **to) {
  if (!s->p) return;
  if (s->n) memcpy(*to, s->p, s->n);
  s->p = *to;
  *to += s->n;
}

static void move_texts(duro_event *e, char *to) {
#define X(member, key, TYPE, public_key) MOVE_##TYPE(member)
#define MOVE_INT(member)
#define MOVE_BOOL(member)
#define MOVE_TEXT(member) move_text(&e->member, &to);
#define MOVE_JSON(member) move_text(&e->member, &to);
  DURO_EVENT_FIELDS(X)
#undef X
#undef MOVE_INT
#undef MOVE_BOOL
#undef MOVE_TEXT
#undef MOVE_JSON
}

duro_message *duro_message_new(duro_pool *pool, int64_t instance_key, int64_t execution_id,
                               const duro_event *event) {
  // One more byte: an empty text keeps an address.
  duro_message *m = duro_pool_take(pool, sizeof *m + text_bytes(event) + 1);
  if (!m) return NULL;
  *m = (duro_message){.instance_key = instance_key, .execution_id = execution_id, .pool = pool};
  m->event = *event;
  m->event.id = 0;
  m->event.at_ms = 0;
  move_texts(&m->event, m->bytes);
  return m;
}

duro_code duro_message_decode(duro_pool *pool, int64_t instance_key, int64_t execution_id,
                              duro_str body, duro_message **out, duro_error **err) {
  duro_arena arena = {0};
  duro_event event;
  *out = NULL;
  duro_code code = duro_event_decode(body, &arena, &event, err);
  if (!code) {
    *out = duro_message_new(pool, instance_key, execution_id, &event);
    if (!*out) code = duro_fail_oom(err);
  }
  duro_arena_free(&arena);
  return code;
}

void duro_message_encode(duro_buf *b, const duro_message *m) { duro_event_encode(b, &m->event, 0); }

duro_message *duro_message_reverse(duro_message *list) {
  duro_message *reversed = NULL;
  while (list) {
    duro_message *next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}

void duro_message_free(duro_message *m) {
  if (m) duro_pool_give(m->pool, m);
}
