// Open tasks: a sorted array that only grows at its end, because event ids do.
//
// Invariants: slots[begin .. end) ascend by id; a closed task's slot keeps its id until the array is
// packed, and slots[begin] is open. Each slot is packed away at most once per closing, so adding and
// closing cost O(1) on average, finding O(log n), and a walk in id order nothing but its steps. One
// task alone costs one block and a small array.
#include "replay/internal.h"

#include <stdlib.h>

#include "base/json.h"

#define MANY        64          // open tasks: from there on entries share slabs
#define SLAB_BYTES  (32 * 1024) // as much as one task of many may hold back for the others
#define FIRST_SLOTS 2

// --- The array ---

// Closed slots go away.
static void pack(duro__open_set *s) {
  size_t to = 0;
  for (size_t at = s->begin; at < s->end; at++) {
    if (s->slots[at].entry) s->slots[to++] = s->slots[at];
  }
  s->begin = 0;
  s->end = to;
}

static bool make_room(duro__exec *x) {
  duro__open_set *s = &x->open;
  if (s->end < s->capacity) return true;
  if (s->end && s->count <= s->end / 2) {
    pack(s);
    return true;
  }
  size_t capacity = s->capacity ? s->capacity * 2 : FIRST_SLOTS;
  duro__open_slot *slots =
      duro__larger(x, s->slots, s->end * sizeof *slots, capacity * sizeof *slots);
  if (!slots) return false;
  s->slots = slots;
  s->capacity = capacity;
  return true;
}

// The first slot whose id is not less. Ids ascend by one at least, so its distance from either end is no
// greater than that of the ids: in a fan-out, where nothing lies between its tasks, that leaves one place.
static size_t lower_bound(const duro__open_set *s, int64_t id) {
  if (s->begin == s->end || id <= s->slots[s->begin].id) return s->begin;
  if (id > s->slots[s->end - 1].id) return s->end;
  uint64_t ahead = (uint64_t)(id - s->slots[s->begin].id);
  uint64_t behind = (uint64_t)(s->slots[s->end - 1].id - id), last = s->end - 1 - s->begin;
  size_t low = behind < last ? s->end - 1 - behind : s->begin;
  size_t high = ahead < last ? s->begin + ahead : s->end - 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (s->slots[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

duro__entry *duro__open_find(const duro__exec *x, int64_t task) {
  size_t at = lower_bound(&x->open, task);
  return at < x->open.end && x->open.slots[at].id == task ? x->open.slots[at].entry : NULL;
}

duro__entry *duro__open_after(const duro__exec *x, int64_t id) {
  if (id == INT64_MAX) return NULL;
  for (size_t at = lower_bound(&x->open, id + 1); at < x->open.end; at++) {
    if (x->open.slots[at].entry) return x->open.slots[at].entry;
  }
  return NULL;
}

static void close_slot(duro__open_set *s, int64_t id) {
  s->slots[lower_bound(s, id)].entry = NULL;
  s->count--;
  while (s->begin < s->end && !s->slots[s->begin].entry) s->begin++;
  while (s->end > s->begin && !s->slots[s->end - 1].entry) s->end--;
  if (s->begin == s->end) s->begin = s->end = 0;
  if ((s->end - s->begin) / 4 > s->count) pack(s);
}

// --- Entries ---

// Room for some hundred entries, of which each is used once. It goes with the last of them.
typedef struct duro__slab {
  size_t used, live;
  max_align_t bytes[];
} duro__slab;

// Of many open tasks the entries lie side by side, in the order in which they mostly end. Not so where the
// address sanitizer is to see the end of each.
static duro__entry *take_of_slab(duro__open_set *s, size_t size) {
  size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  if (!DURO_POOL_KEEPS || s->count < MANY || size > SLAB_BYTES / 8) return NULL;
  if (!s->slab || SLAB_BYTES - s->slab->used < size) {
    duro__slab *slab = malloc(sizeof *slab + SLAB_BYTES);
    if (!slab) return NULL;
    *slab = (duro__slab){0};
    s->slab = slab; // the one before goes with its last entry
  }
  duro__entry *e = (duro__entry *)((char *)s->slab->bytes + s->slab->used);
  s->slab->used += size;
  s->slab->live++;
  return e;
}

static void give_to_slab(duro__open_set *s, duro__slab *slab) {
  if (--slab->live) return;
  if (s->slab == slab) s->slab = NULL;
  free(slab);
}

static duro__entry *take_block(duro__exec *x, size_t size) {
  duro__entry *e = take_of_slab(&x->open, size);
  duro__slab *slab = e ? x->open.slab : NULL;
  if (!e) e = duro_pool_take(duro__blocks(x), size);
  if (!e) return NULL;
  memset(e, 0, sizeof *e);
  e->size = size;
  e->slab = slab;
  x->open.bytes += size;
  return e;
}

static void free_owned(duro__entry *e) {
  free((char *)e->open.last_error.p);
  free((char *)e->open.heartbeat.p);
}

static void give_block(duro__exec *x, duro__entry *e) {
  free_owned(e);
  x->open.bytes -= e->size;
  if (e->slab)
    give_to_slab(&x->open, e->slab);
  else
    duro_pool_give(duro__blocks(x), e);
}

// The queue of an activity's options, unescaped into *b when it has to be. Absent: served here.
static duro_str read_queue(duro_str options, duro_buf *b) {
  duro_str raw = options.n ? duro_json_member(options, "queue") : DURO_NONE;
  if (raw.n <= 2 || raw.p[0] != '"') return DURO_NONE;
  raw = (duro_str){raw.p + 1, raw.n - 2};
  if (!memchr(raw.p, '\\', raw.n)) return raw;
  duro_json_unescape(b, raw);
  return duro_buf_str(b);
}

static void fill(duro__entry *e, duro__open_kind kind, const duro_event *from, duro_str queue) {
  char *at = e->text;
  duro__open *o = &e->open;
  o->id = from->id;
  o->kind = kind;
  o->name = duro__put_text(&at, from->name);
  o->version = duro__put_text(&at, from->version);
  o->instance = duro__put_text(&at, from->instance);
  o->input = duro__put_text(&at, from->input);
  o->options = duro__put_text(&at, from->options);
  o->queue = duro__put_text(&at, queue);
  o->scheduled_at_ms = from->at_ms;
  o->fire_at_ms = kind == DURO__OPEN_TIMER ? from->fire_at_ms : 0;
  o->delay_ms = from->delay_ms;
  o->attempt = kind == DURO__OPEN_ACTIVITY ? 1 : 0;
  e->whole_due_ms = DURO_NEVER;
  e->due_ms = DURO_NEVER;
  int64_t timeout_ms = from->options.n ? duro_json_member_int(from->options, "timeout_ms", 0) : 0;
  if (timeout_ms <= 0) return;
  o->deadline_ms = duro__add_ms(from->at_ms, timeout_ms);
  if (kind == DURO__OPEN_ACTIVITY) e->whole_due_ms = o->deadline_ms;
}

static bool is_local_job(const duro__entry *e) {
  return e->open.kind == DURO__OPEN_ACTIVITY && !e->open.queue.p &&
         e->open.state != DURO__STATE_BACKING_OFF && e->open.state != DURO__STATE_DEFERRED;
}

static bool has_times(duro__open_kind kind) {
  return kind == DURO__OPEN_TIMER || kind == DURO__OPEN_ACTIVITY;
}

duro__entry *duro__open_add(duro__exec *x, duro__open_kind kind, const duro_event *from) {
  duro_buf unescaped = {0};
  duro_str queue = kind == DURO__OPEN_ACTIVITY ? read_queue(from->options, &unescaped) : DURO_NONE;
  size_t size = sizeof(duro__entry) + from->name.n + from->version.n + from->instance.n +
                from->input.n + from->options.n + queue.n + 6;
  duro__entry *e = NULL;
  if (!unescaped.oom && make_room(x) && (!has_times(kind) || duro__due_reserve(x))) {
    e = take_block(x, size);
  }
  if (e) {
    fill(e, kind, from, queue);
    x->open.slots[x->open.end++] = (duro__open_slot){from->id, e};
    x->open.count++;
    x->due_wanted += has_times(kind);
    x->open_count[kind]++;
    duro__open_sync(x, e);
  }
  duro_buf_free(&unescaped);
  return e;
}

void duro__open_sync(duro__exec *x, duro__entry *e) {
  x->local_jobs -= e->local_job;
  e->local_job = is_local_job(e);
  x->local_jobs += e->local_job;
  duro__due_update(x, e);
}

void duro__open_set_state(duro__exec *x, duro__entry *e, duro__open_state state) {
  if (e->open.state == DURO__STATE_BOUND) x->open_count[e->open.kind]++;
  if (state == DURO__STATE_BOUND) x->open_count[e->open.kind]--;
  e->open.state = state;
  duro__open_sync(x, e);
}

void duro__open_remove(duro__exec *x, duro__entry *e) {
  duro__due_remove(x, e);
  x->due_wanted -= has_times(e->open.kind);
  x->local_jobs -= e->local_job;
  if (e->open.state != DURO__STATE_BOUND) x->open_count[e->open.kind]--;
  close_slot(&x->open, e->open.id);
  give_block(x, e);
}

void duro__open_clear(duro__exec *x) {
  duro__open_set *s = &x->open;
  duro__mail_forget_waits(x);
  for (size_t at = s->begin; at < s->end; at++) {
    duro__entry *e = s->slots[at].entry;
    if (!e) continue;
    if (e->mail) duro__mail_taken(x, e);
    give_block(x, e);
  }
  s->begin = s->end = s->count = s->bytes = 0;
  x->due_count = x->due_wanted = x->local_jobs = 0;
  memset(x->open_count, 0, sizeof x->open_count);
}
