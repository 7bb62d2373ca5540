// What an execution leaves to the next one: a JSON object in the next orchestration_started.
//
// {"mailbox":[{"name":..,"data":..},..],"kv":{..},"custom_status":..,"custom_status_version":n,
// "attributes":{..},"dedup":[..]}, each member only when there is something in it. The attributes of a
// first start come the same way. To carry more: a member in duro__carry_write, its size in
// duro__carry_bytes, its reader in the table at the end. Unknown members are skipped.
#include "replay/internal.h"

#include "base/json.h"

// --- Writing ---

// Escapes make a text at most six times as long.
static size_t string_bytes(duro_str s) { return s.n * 6 + 2; }

size_t duro__carry_bytes(const duro__exec *x) {
  size_t bytes = 256 + x->kept->custom_status.n + x->kept->attributes.n + x->mailbox.mail_bytes +
                 x->mailbox.mail_count * (DURO_MAX_NAME_BYTES * 6 + 32);
  for (size_t i = 0; i < x->kept->kv.count; i++) {
    bytes += string_bytes(x->kept->kv.items[i]->key) + x->kept->kv.items[i]->value.n + 2;
  }
  for (const duro__label *l = x->kept->dedup ? x->kept->dedup->first : NULL; l; l = l->next) {
    bytes += string_bytes(l->text) + 1;
  }
  return bytes;
}

static void begin_member(duro_buf *b, const char *key) {
  if (b->n > 1) duro_buf_add_char(b, ',');
  duro_buf_printf(b, "\"%s\":", key);
}

static void write_mailbox(const duro__exec *x, duro_buf *b) {
  size_t at = 0;
  duro_str name;
  char separator = '[';
  for (duro__mail *mail; (mail = duro__mail_next(x, &at, &name)); separator = ',') {
    duro_buf_add_char(b, separator);
    duro_buf_add_lit(b, "{\"name\":");
    duro_json_add_string(b, name);
    if (mail->data.p) {
      duro_buf_add_lit(b, ",\"data\":");
      duro_buf_add_str(b, mail->data);
    }
    duro_buf_add_char(b, '}');
  }
  duro_buf_add_char(b, ']');
}

static void write_kv(const duro__exec *x, duro_buf *b) {
  char separator = '{';
  for (size_t i = 0; i < x->kept->kv.count; i++, separator = ',') {
    duro_buf_add_char(b, separator);
    duro_json_add_string(b, x->kept->kv.items[i]->key);
    duro_buf_add_char(b, ':');
    duro_buf_add_str(b, x->kept->kv.items[i]->value);
  }
  duro_buf_add_char(b, '}');
}

static void write_labels(const duro__labels *l, duro_buf *b) {
  char separator = '[';
  for (const duro__label *label = l->first; label; label = label->next, separator = ',') {
    duro_buf_add_char(b, separator);
    duro_json_add_string(b, label->text);
  }
  duro_buf_add_char(b, ']');
}

void duro__carry_write(const duro__exec *x, duro_buf *b) {
  duro_buf_add_char(b, '{');
  if (x->mailbox.holding.count) {
    begin_member(b, "mailbox");
    write_mailbox(x, b);
  }
  if (x->kept->kv.count) {
    begin_member(b, "kv");
    write_kv(x, b);
  }
  if (x->kept->custom_status.p) {
    begin_member(b, "custom_status");
    duro_buf_add_str(b, x->kept->custom_status);
  }
  if (x->kept->custom_status_version) {
    begin_member(b, "custom_status_version");
    duro_buf_add_int(b, x->kept->custom_status_version);
  }
  if (x->kept->attributes.p) {
    begin_member(b, "attributes");
    duro_buf_add_str(b, x->kept->attributes);
  }
  if (x->kept->dedup && x->kept->dedup->first) {
    begin_member(b, "dedup");
    write_labels(x->kept->dedup, b);
  }
  duro_buf_add_char(b, '}');
}

// --- Reading ---

typedef struct reading {
  duro__exec *x;
  duro__kept *kept;
  duro_arena arena;
  duro_error **err;
} reading;

static duro_code corrupt(reading *r, const char *what) {
  return duro_fail(r->err, DURO_CORRUPT, "carried state of '%.*s': its %s cannot be read",
                   DURO_FMT(r->x->start.instance_id), what);
}

static size_t count_items(duro_str array) {
  duro_json_reader j;
  duro_str item;
  size_t count = 0;
  duro_json_open(&j, array);
  if (duro_json_next(&j) != DURO_JSON_BEGIN_ARRAY) return 0;
  while (duro_json_skip(&j, &item)) count++;
  return count;
}

// Events get the ids -n .. -1: before all that this execution will receive, and in their order.
static duro_code read_mailbox(reading *r, duro_str array) {
  duro_json_reader j;
  duro_str item;
  int64_t id = -(int64_t)count_items(array);
  duro_json_open(&j, array);
  if (duro_json_next(&j) != DURO_JSON_BEGIN_ARRAY) return corrupt(r, "mailbox");
  while (duro_json_skip(&j, &item)) {
    duro__entry *waiter;
    duro_str name = duro_json_member_text(item, "name", &r->arena);
    if (r->arena.oom) return duro__break_oom(r->x, r->err);
    if (!name.p) return corrupt(r, "mailbox");
    duro_str data = duro_json_member(item, "data");
    if (!duro__mail_receive(r->x, id++, name, data, &waiter)) return duro__break_oom(r->x, r->err);
  }
  return DURO_OK;
}

static duro_code read_kv(reading *r, duro_str object) {
  duro_json_reader j;
  duro_json_type type;
  duro_json_open(&j, object);
  if (duro_json_next(&j) != DURO_JSON_BEGIN_OBJECT) return corrupt(r, "kv");
  while ((type = duro_json_next(&j)) == DURO_JSON_KEY) {
    duro_str value, key = duro_json_text(&j, &r->arena);
    if (!duro_json_skip(&j, &value)) return corrupt(r, "kv");
    if (r->arena.oom || !duro__kv_set(r->x, key, value)) return duro__break_oom(r->x, r->err);
  }
  return type == DURO_JSON_END_OBJECT ? DURO_OK : corrupt(r, "kv");
}

static duro_code read_dedup(reading *r, duro_str array) {
  duro_json_reader j;
  duro_json_type type;
  duro_json_open(&j, array);
  if (duro_json_next(&j) != DURO_JSON_BEGIN_ARRAY) return corrupt(r, "dedup");
  while ((type = duro_json_next(&j)) == DURO_JSON_STRING) {
    duro_str id = duro_json_text(&j, &r->arena);
    if (r->arena.oom || !duro__label_add(&r->kept->dedup, id)) return duro__break_oom(r->x, r->err);
  }
  return type == DURO_JSON_END_ARRAY ? DURO_OK : corrupt(r, "dedup");
}

static duro_code read_custom_status(reading *r, duro_str value) {
  return duro__own(&r->kept->custom_status, value) ? DURO_OK : duro__break_oom(r->x, r->err);
}

static duro_code read_version(reading *r, duro_str value) {
  duro_json_reader j;
  duro_json_open(&j, value);
  if (duro_json_next(&j) != DURO_JSON_INTEGER) return corrupt(r, "custom_status_version");
  r->kept->custom_status_version = j.integer;
  return DURO_OK;
}

static duro_code read_attributes(reading *r, duro_str object) {
  if (!object.n || object.p[0] != '{') return corrupt(r, "attributes");
  return duro__own(&r->kept->attributes, object) ? DURO_OK : duro__break_oom(r->x, r->err);
}

static const struct {
  duro_str key;
  duro_code (*read)(reading *r, duro_str value);
} members[] = {
    {DURO_STR("mailbox"), read_mailbox},
    {DURO_STR("kv"), read_kv},
    {DURO_STR("custom_status"), read_custom_status},
    {DURO_STR("custom_status_version"), read_version},
    {DURO_STR("attributes"), read_attributes},
    {DURO_STR("dedup"), read_dedup},
};

static duro_code read_members(reading *r, duro_str carry) {
  duro_json_reader j;
  duro_json_type type;
  duro_json_open(&j, carry);
  if (duro_json_next(&j) != DURO_JSON_BEGIN_OBJECT) return corrupt(r, "object");
  while ((type = duro_json_next(&j)) == DURO_JSON_KEY) {
    duro_str key = j.text, value;
    if (!duro_json_skip(&j, &value)) return corrupt(r, "object");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
      if (!duro_str_equal(key, members[i].key)) continue;
      duro_code code = members[i].read(r, value);
      if (code) return code;
    }
  }
  return type == DURO_JSON_END_OBJECT ? DURO_OK : corrupt(r, "object");
}

duro_code duro__carry_read(duro__exec *x, duro_str carry, duro_error **err) {
  reading r = {.x = x, .kept = duro__kept_change(x), .err = err};
  if (!r.kept) return duro__break_oom(x, err);
  duro_code code = read_members(&r, carry);
  if (code) duro__break(x, code);
  duro_arena_free(&r.arena);
  return code;
}
