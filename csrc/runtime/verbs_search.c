// verbs_search.c: finding instances by what is in their inputs and outputs.
//
// No index holds payloads: the newest instances that pass the filter are looked at one by one, on the
// helper thread, at most SEARCH_ROWS of them. An input stands in the started event of the first
// execution (of the oldest one kept, when that was pruned), or with a start that lies ahead in its message.
#include "runtime/answers.h"
#include "runtime/arguments.h"
#include "runtime/payloads.h"
#include "runtime/finder.h"

#define SEARCH_ROWS 20000 // some 100 ms of reading; then the answer says truncated

typedef struct wanted_value {
  duro_str path, value;
} wanted_value;

typedef struct wanted {
  wanted_value *items;
  size_t count;
} wanted;

typedef struct search {
  duro_str text;
  wanted input, output;
  size_t limit;
} search;

// --- Arguments ---

static bool arg_paths(duro_request *r, duro__finder *s, const char *key, wanted *out) {
  duro_str object = duro__member(s->args, key);
  *out = (wanted){0};
  if (object.n <= 2) return true; // none, {} or []
  duro_json_reader reader;
  duro_json_open(&reader, object);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_OBJECT) {
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s' must be an object of paths",
                       key);
    return false;
  }
  out->items =
      duro_arena_alloc(&s->arena, object.n / 4 * sizeof *out->items); // {"a":1 has six bytes
  while (out->items && duro_json_next(&reader) == DURO_JSON_KEY) {
    wanted_value *item = &out->items[out->count++];
    item->path = duro__payload_key(&reader, &s->arena);
    if (!duro_json_skip(&reader, &item->value)) break;
  }
  if (!s->arena.oom && !reader.problem) return true;
  if (s->arena.oom)
    duro__fail_memory(r);
  else
    duro__request_fail(r, DURO_INVALID_ARGUMENT, "the argument '%s': %s", key, reader.problem);
  return false;
}

// --- Matching (helper thread) ---

static bool has_values(duro_str payload, const wanted *w, duro_arena *scratch) {
  for (size_t i = 0; i < w->count; i++) {
    duro_str found = duro__payload_at(payload, w->items[i].path, scratch);
    if (!duro__payload_equal(found, w->items[i].value, scratch)) return false;
  }
  return true;
}

// The input in the first event of these texts; absent when that is none that starts.
static duro_str input_of(const duro_texts *texts, duro_arena *scratch) {
  duro_error *err = NULL;
  duro_events events = {0};
  duro_json_reader reader;
  duro_str first;
  if (!texts->count) return DURO_NONE;
  duro_json_open(&reader, texts->items[0]);
  if (duro_json_next(&reader) != DURO_JSON_BEGIN_ARRAY || !duro_json_skip(&reader, &first))
    return DURO_NONE;
  size_t n = (size_t)(reader.at - texts->items[0].p);
  char *alone = duro_arena_alloc(scratch, n + 1);
  if (!alone) return DURO_NONE;
  memcpy(alone, texts->items[0].p, n);
  alone[n] = ']';
  duro_str text = {alone, n + 1};
  duro_code code = duro_events_decode(&text, 1, scratch, &events, &err);
  duro_error_free(err); // what cannot be read matches nothing
  bool starts = !code && events.count && events.items[0].kind == DURO_EVENT_ORCHESTRATION_STARTED;
  return starts ? events.items[0].input : DURO_NONE;
}

static duro_code pending_input(duro_runtime *rt, int64_t key, duro_arena *scratch, duro_str *out,
                               duro_error **err) {
  duro_message_row *rows = NULL;
  size_t count = 0;
  duro_code code = duro__store_messages(rt->store, key, scratch, &rows, &count, err);
  for (size_t i = 0; i < count && !code; i++) {
    duro_message *m = NULL;
    code = duro_message_decode(NULL, key, rows[i].execution_id, rows[i].body, &m, err);
    if (code) break;
    bool starts = m->event.kind == DURO_EVENT_ORCHESTRATION_STARTED;
    if (starts) *out = duro_arena_dup(scratch, m->event.input);
    duro_message_free(m);
    if (starts) break;
  }
  return code;
}

static duro_code read_input(duro_runtime *rt, const duro_instance_row *row, duro_arena *scratch,
                            duro_str *out, duro_error **err) {
  duro_texts texts = {0};
  duro_execution_row *past = NULL;
  size_t count = 0;
  int64_t first = row->execution_id;
  duro_code code = DURO_OK;
  *out = DURO_NONE;
  if (row->status == DURO_STATUS_PENDING) return pending_input(rt, row->key, scratch, out, err);
  if (row->execution_id > 1)
    code = duro__store_executions(rt->store, row->key, scratch, &past, &count, err);
  if (!code && count) first = past[0].execution_id;
  if (!code) code = duro__store_history(rt->store, row->key, first, scratch, &texts, err);
  if (!code) *out = input_of(&texts, scratch);
  return code;
}

static duro_code fail_hidden(const duro_instance_row *row, duro_error **err) {
  return duro_fail(err, DURO_UNSUPPORTED,
                   "the payloads of instance '%.*s' are behind a codec and cannot be searched",
                   DURO_FMT(row->id));
}

static duro_code matches(duro_runtime *rt, duro__finder *s, const duro_instance_row *row,
                         duro_arena *scratch, bool *yes, duro_error **err) {
  const search *w = s->user;
  duro_str input = DURO_NONE;
  if (duro__payload_hidden(row->output)) return fail_hidden(row, err);
  *yes = has_values(row->output, &w->output, scratch);
  if (!*yes) return DURO_OK;
  bool in_output = w->text.p && duro__payload_contains(row->output, w->text, scratch);
  if (w->input.count || (w->text.p && !in_output)) {
    duro_code code = read_input(rt, row, scratch, &input, err);
    if (code == DURO_NOT_FOUND ||
        code == DURO_CORRUPT) { // deleted meanwhile, or unreadable: no match
      duro_error_free(*err);
      *err = NULL;
    } else if (code) {
      return code;
    }
  }
  if (duro__payload_hidden(input)) return fail_hidden(row, err);
  *yes = has_values(input, &w->input, scratch) &&
         (!w->text.p || in_output || duro__payload_contains(input, w->text, scratch));
  return scratch->oom ? duro_fail_oom(err) : DURO_OK;
}

// --- The verb ---

// One more than asked was looked for, to know whether there are more.
static void found(duro_runtime *rt, duro__finder *s) {
  const search *w = s->user;
  if (s->rows.count > w->limit) {
    s->rows.count = w->limit;
    s->truncated = true;
  }
  duro__list_found(rt, s);
}

void duro__verb_search_instances(duro_runtime *rt, duro_request *r, duro_str args) {
  duro__finder *s = duro__finder_new(r, args);
  if (!s) return;
  search *w = duro_arena_alloc(&s->arena, sizeof *w);
  if (!w) duro__fail_memory(r);
  if (!w || !duro__arg_list(rt, r, s) || !arg_paths(r, s, "input", &w->input) ||
      !arg_paths(r, s, "output", &w->output) ||
      !duro__arg_text(r, s->args, "text", DURO_MAX_REASON_BYTES, &s->arena, &w->text)) {
    duro__finder_free(s);
    return;
  }
  w->limit = s->wanted++;
  s->user = w;
  s->matches = matches;
  s->look_at_most = SEARCH_ROWS;
  s->found = found;
  duro__finder_begin(s);
}
