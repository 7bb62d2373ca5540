/* Random programs under random arrivals: however a history came about, replaying it gives the same state,
 * and from there the same arrivals give the same events and effects. */
#include "replay_script.h"

#define PROGRAMS      400
#define TURNS         24
#define MOST_ARRIVALS 4

static uint64_t mix(uint64_t a, uint64_t b) { return duro_hash_int(a ^ (b * 0x9e3779b97f4a7c15u)); }

/* -- a program that does at random what its past says ------------------------------------------- */

static uint64_t program_seed;
static int64_t side_value; /* what the world gives: another one in each turn */

static uint64_t draw(script *s, uint64_t most) {
  s->n[0] = (int64_t)mix((uint64_t)s->n[0], 77);
  return (uint64_t)s->n[0] % most;
}
static void remember(script *s, uint64_t value) {
  s->n[0] = (int64_t)mix((uint64_t)s->n[0], value);
}
static void remember_text(script *s, duro_str text) {
  remember(s, text.p ? duro_hash_bytes(text.p, text.n) : 5);
}
static void know(script *s, int64_t task) {
  if (task) s->task[s->n[1]++ % 16] = task;
}

static void ends(script *s, duro_turn *t) {
  static const char *const outputs[] = {NULL, "1", "{\"b\":1,\"a\":[true]}"};
  switch (draw(s, 4)) {
  case 0:
    fail(s, t, "{\"code\":\"x\"}");
    break;
  case 1:
    continue_as_new(s, t, outputs[draw(s, 3)]);
    break;
  default:
    complete(s, t, outputs[draw(s, 3)]);
    break;
  }
  s->n[2] = 1;
}

static void acts(script *s, duro_turn *t) {
  static const char *const names[] = {"a", "b", "c"};
  static const char *const options[] = {
      NULL, NULL, "{\"retry\":{\"max_attempts\":2,\"initial_ms\":10}}",
      "{\"retry\":{\"initial_ms\":0,\"non_retryable\":[\"fatal\"]},\"queue\":\"q\"}",
      "{\"retry\":{\"jitter\":true},\"timeout_ms\":60}"};
  char text[64];
  duro_str id = DURO_NONE;
  const char *name = names[draw(s, 3)];
  snprintf(text, sizeof text, "{\"n\":%d}", (int)draw(s, 100));
  switch (draw(s, 16)) {
  case 0:
  case 1:
  case 2:
    know(s, activity_with(s, t, name, text, options[draw(s, 5)]));
    break;
  case 3:
    know(s, timer(s, t, (int64_t)draw(s, 50)));
    break;
  case 4:
  case 5:
    know(s, wait_event(s, t, name));
    break;
  case 6:
    know(s, child(s, t, name, draw(s, 2) ? NULL : "kid", text));
    break;
  case 7:
    drop_task(s, t, s->task[draw(s, 16)]);
    break;
  case 8:
  case 9:
    look(s, t, s->task[draw(s, 16)]);
    break;
  case 10:
    kv_set(s, t, name, draw(s, 3) ? text : NULL);
    break;
  case 11:
    set_status(s, t, draw(s, 4) ? text : NULL);
    break;
  case 12:
    set_attributes(s, t, draw(s, 2) ? "{\"x\":1,\"y\":\"z\"}" : "{\"x\":null}");
    break;
  case 13:
    snprintf(text, sizeof text, "%lld", (long long)++side_value);
    side_effect(s, t, text);
    remember_text(s, duro_buf_str(&s->notes));
    break;
  case 14:
    remember(s, patched(s, t, name));
    break;
  case 15:
    if (draw(s, 2)) {
      settle(s,
             duro_turn_start(t, text_of(name), DURO_NONE, DURO_NONE, text_of(text), &id, &s->err));
      remember_text(s, id);
    } else {
      settle(s, duro_turn_raise(t, DURO_STR("x"), text_of(name), text_of(text), &s->err));
    }
    break;
  }
}

/* All that a program can see goes into what it does next, and so into its history. */
static void looks_around(script *s, duro_turn *t) {
  duro_str key = DURO_NONE, value;
  char uuid[DURO_UUID_SIZE];
  while (duro_turn_kv_next(t, key, &key, &value)) {
    remember_text(s, key);
    remember_text(s, value);
  }
  remember_text(s, duro_turn_custom_status(t));
  remember(s, (uint64_t)duro_turn_now_ms(t));
  remember(s, (uint64_t)duro_turn_history_length(t));
  remember(s, duro_turn_cancel_requested(t));
  remember(s, s->result_count * 16 + (uint64_t)s->cancelled);
  if (s->result_count) {
    const script_result *r = &s->results[s->result_count - 1];
    remember(s, (uint64_t)r->task * 2 + r->failed);
    remember_text(s, text_of(r->text));
  }
  duro_prng_uuid4(duro_turn_prng(t), uuid);
  remember_text(s, duro_str_from(uuid));
}

SCRIPT(wanders) {
  if (!s->n[0]) s->n[0] = (int64_t)(program_seed | 1);
  if (s->n[2]) return;
  looks_around(s, t);
  for (uint64_t count = draw(s, 5); count && !s->code; count--) acts(s, t);
  if (!s->code && draw(s, s->cancelled ? 3 : 40) == 0) ends(s, t);
}

/* -- the world ---------------------------------------------------------------------------------- */

static uint64_t world;
static uint64_t chance(uint64_t most) {
  world = mix(world, 3);
  return world % most;
}

static duro__open *any_open(duro__exec *x) {
  duro__open *found = NULL;
  uint64_t count = 0;
  for (duro__open *o = duro__exec_open_next(x, 0); o; o = duro__exec_open_next(x, o->id)) {
    if (chance(++count) == 0) found = o;
  }
  return found;
}

static duro_event outcome_of(const duro__open *o) {
  static const char *const values[] = {NULL, "1", "{\"x\":[1,2]}", "\"text\""};
  static const char *const errors[] = {NULL, "\"boom\"", "{\"code\":\"busy\"}",
                                       "{\"code\":\"fatal\",\"retryable\":false}"};
  const char *value = values[chance(4)], *error = errors[chance(4)];
  duro_event e;
  switch (o->kind) {
  case DURO__OPEN_ACTIVITY:
    e = chance(2) ? attempt_failed(o->id, error) : completed(o->id, value);
    e.attempt = chance(3) ? 0 : o->attempt;
    e.lost = e.kind == DURO_EVENT_ACTIVITY_FAILED && chance(3) == 0;
    if (chance(6) == 0) {
      e = (duro_event){.kind = DURO_EVENT_ACTIVITY_DEFERRED, .source = o->id};
      e.fire_at_ms = chance(2) ? (int64_t)chance(5000) : 0;
    }
    return e;
  case DURO__OPEN_TIMER:
    return fired(o->id);
  case DURO__OPEN_CHILD:
    return chance(2) ? child_completed(o->id, value) : child_failed(o->id, error);
  default:
    return received(chance(2) ? "a" : "b", value);
  }
}

static duro_event any_arrival(duro__exec *x, bool suspended) {
  static const char *const names[] = {"a", "b", "c", "nobody"};
  static const char *const ids[] = {NULL, NULL, "d1", "d2", "d3"};
  duro__open *o = any_open(x);
  uint64_t kind = chance(40);
  if (kind < 24 && o) return outcome_of(o);
  if (suspended && kind < 34) return with_reason(DURO_EVENT_RESUMED, NULL);
  switch (kind) {
  case 25:
    return cancel_requested(chance(2) ? "why" : NULL);
  case 26:
    return with_reason(DURO_EVENT_SUSPENDED, "rest");
  case 27:
    return chance(6) ? fired(3) : with_reason(DURO_EVENT_ORCHESTRATION_TERMINATED, "stop");
  case 28:
    return chance(6) ? completed(2, "9")
                     : (duro_event){.kind = DURO_EVENT_ORCHESTRATION_FAILED,
                                    .error = DURO_STR("{\"code\":\"timeout\"}")};
  case 29:
    return child_completed((int64_t)chance(20), "8");
  default:
    break;
  }
  duro_event e = received(names[chance(4)], chance(3) ? "[1]" : NULL);
  e.dedup_id = text_of(ids[chance(5)]);
  return e;
}

/* -- the comparison ----------------------------------------------------------------------------- */

static char *result_text(const duro__turn_result *r) {
  duro_buf b = {0};
  duro_buf_printf(
      &b, "%.*s\n%s output %.*s error %.*s reason %.*s next %.*s %.*s\ncounts %d %d %d %d %d %d\n",
      DURO_FMT(r->events), duro_status_string(r->status), DURO_FMT(r->output), DURO_FMT(r->error),
      DURO_FMT(r->reason), DURO_FMT(r->next_start.input), DURO_FMT(r->next_start.carry),
      r->custom_status_changed, r->attributes_changed, r->activities_completed,
      r->activities_failed, r->timers_fired, r->events_received);
  for (size_t i = 0; i < r->effect_count; i++) {
    const duro__effect *e = &r->effects[i];
    const duro_event none = {0}, *event = e->event ? e->event : &none;
    duro_buf_printf(&b, "effect %d task %lld '%.*s' '%.*s' '%.*s' '%.*s'\n", e->kind,
                    (long long)e->task, DURO_FMT(event->name), DURO_FMT(event->instance),
                    DURO_FMT(event->input), DURO_FMT(event->reason));
  }
  duro_buf_add_char(&b, 0);
  return b.p;
}

static bool same_text(char *got, char *want) {
  bool same = CHECK_STR(got, want);
  free(got);
  free(want);
  return same;
}

/* The same arrivals, applied to what was replayed: the same turn comes out. */
static bool same_turn(duro__exec *y, int64_t now_ms, const duro_event *arrivals, int count,
                      int64_t side, char *want) {
  bool recorded;
  duro__turn_result r;
  side_value = side;
  duro__exec_turn_begin(y, now_ms);
  for (int i = 0; i < count; i++)
    CHECK_INT(duro__exec_apply(y, &arrivals[i], &recorded, NULL), DURO_OK);
  duro__exec_turn_end(y, &r);
  return same_text(result_text(&r), want);
}

static bool same_scan(stage *g) {
  duro__exec *y = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
  bool same =
      CHECK_INT(rebuild(g, y, 0, true), DURO_OK) && same_text(dump(y, false), dump(g->x, false));
  duro__exec_free(y);
  return same;
}

static duro__exec *replayed(stage *g) {
  duro__exec_config config = g->config;
  config.strict = true;
  duro__exec *y = duro__exec_new(&config, DURO_STR("order-1"), g->execution_id);
  if (!CHECK_INT(rebuild(g, y, 0, false), DURO_OK)) {
    fprintf(stderr, "    %s\n", g->err ? g->err->message : "");
  }
  return y;
}

static bool same_looking_back(stage *g) {
  for (int64_t id = 1; id <= duro__exec_last_event_id(g->x); id++) {
    duro__exec *y = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
    bool same =
        CHECK_INT(rebuild(g, y, id, false), DURO_OK) && CHECK_INT(duro__exec_last_event_id(y), id);
    duro__exec_free(y);
    if (!same) return false;
  }
  return true;
}

/* One turn, live and on what was replayed of the turns before it. False: something differs. */
static bool one_turn(stage *g, duro__exec *y, int turn, duro_event *first) {
  duro_event arrivals[MOST_ARRIVALS];
  int count = 0, most = first ? 1 : 1 + (int)chance(MOST_ARRIVALS);
  int64_t side = turn * 1000;
  side_value = side;
  turn_begin(g);
  if (chance(3) == 0) g->now_ms += (int64_t)chance(60);
  duro__exec_turn_begin(g->x, g->now_ms);
  bool held = first && chance(6) == 0;
  if (held) duro__exec_hold_begin(g->x);
  while (count < most) {
    bool suspended = duro__exec_status(g->x) == DURO_STATUS_SUSPENDED;
    arrivals[count] = first ? *first : any_arrival(g->x, suspended);
    apply(g, arrivals[count++]);
    if (!CHECK_INT(g->code, DURO_OK)) {
      fprintf(stderr, "    %s\n", g->err ? g->err->message : "");
      return false;
    }
  }
  turn_end(g);
  if (held) duro__exec_hold_begin(y);
  return same_turn(y, g->now_ms, arrivals, count, side, result_text(&g->r));
}

static bool play_program(stage *g) {
  duro_event first = started("{\"go\":true}");
  duro__exec *y = duro__exec_new(&g->config, DURO_STR("order-1"), 1);
  duro_arena carried = {0};
  bool same = true;
  for (int turn = 0; same && turn < TURNS; turn++) {
    bool starts = first.kind != DURO_EVENT_NONE;
    same = one_turn(g, y, turn, starts ? &first : NULL);
    duro__exec_free(y);
    y = replayed(g);
    same = same && same_text(dump(y, true), dump(g->x, true)) && same_scan(g);
    first.kind = DURO_EVENT_NONE;
    if (g->r.status != DURO_STATUS_CONTINUED_AS_NEW || turn + 1 == TURNS) continue;
    first = g->r.next_start;
    first.name = duro_arena_dup(&carried, first.name);
    first.version = duro_arena_dup(&carried, first.version);
    first.run_id = duro_arena_dup(&carried, first.run_id);
    first.input = duro_arena_dup(&carried, first.input);
    first.carry = duro_arena_dup(&carried, first.carry);
    stage_forget_history(g);
    g->execution_id++;
    duro__exec_free(g->x);
    duro__exec_free(y);
    g->x = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
    y = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
  }
  if (same && chance(4) == 0) same = same_looking_back(g);
  duro__exec_free(y);
  duro_arena_free(&carried);
  return same;
}

TEST(a_replayed_history_gives_the_same_state_and_the_same_future) {
  int64_t events = 0;
  int ends[DURO_STATUS_COUNT] = {0};
  for (uint64_t i = 1; i <= PROGRAMS; i++) {
    stage g;
    program_seed = mix(i, 1);
    world = mix(i, 2);
    stage_open(&g, wanders);
    bool same = play_program(&g);
    events += duro__exec_last_event_id(g.x);
    ends[duro__exec_status(g.x)]++;
    CHECK_INT(g.log.n, 0); /* strict or not, there is nothing to warn of */
    stage_free(&g);
    if (!same) {
      fprintf(stderr, "    program %d\n", (int)i);
      return;
    }
  }
  /* It was worth while: much has happened, and every end was met. */
  CHECK(events > PROGRAMS * 20);
  CHECK(ends[DURO_STATUS_RUNNING] > 0);
  CHECK(ends[DURO_STATUS_SUSPENDED] > 0);
  CHECK(ends[DURO_STATUS_COMPLETED] > 0);
  CHECK(ends[DURO_STATUS_FAILED] > 0);
  CHECK(ends[DURO_STATUS_CANCELLED] > 0);
  CHECK(ends[DURO_STATUS_TERMINATED] > 0);
}

/* -- damaged histories -------------------------------------------------------------------------- */

static void damage(duro_events *h) {
  duro_event *e = &h->items[chance(h->count)], *other = &h->items[chance(h->count)];
  duro_event kept = *e;
  switch (chance(6)) {
  case 0:
    h->count -= chance(h->count);
    break;
  case 1: /* two change places */
    *e = *other;
    *other = kept;
    break;
  case 2: /* one happens twice */
    *e = *other;
    break;
  case 3:
    e->kind = (duro_event_kind)(1 + chance(DURO_EVENT_KIND_COUNT - 1));
    break;
  case 4:
    e->source = (int64_t)chance(h->count + 2);
    break;
  default: /* everything but its kind is another's */
    *e = *other;
    e->kind = kept.kind;
    break;
  }
  for (size_t i = 0; i < h->count; i++) h->items[i].id = (int64_t)i + 1;
}

static void survives(stage *g, bool scan) {
  duro_arena arena = {0};
  duro_events h = stage_history(g, &arena);
  for (uint64_t n = 1 + chance(3); n && h.count > 1; n--) damage(&h);
  duro__exec *y = duro__exec_new(&g->config, DURO_STR("order-1"), g->execution_id);
  duro__mismatch_free(&g->mismatch);
  forget_error(g);
  duro_code code =
      scan ? duro__exec_scan(y, &h, &g->err) : duro__exec_replay(y, &h, &g->mismatch, &g->err);
  CHECK(code == DURO_OK || code == DURO_CORRUPT ||
        (code == DURO_NONDETERMINISM && g->mismatch.expected && g->mismatch.got));
  CHECK(code == DURO_OK || g->err);
  free(dump(y, true));
  duro__exec_free(y);
  duro_arena_free(&arena);
}

TEST(a_damaged_history_is_refused_or_survived) {
  for (uint64_t i = 1; i <= PROGRAMS / 4; i++) {
    stage g;
    program_seed = mix(i, 5);
    world = mix(i, 6);
    stage_open(&g, wanders);
    play_program(&g);
    for (int n = 0; n < 40; n++) survives(&g, n % 4 == 0);
    stage_free(&g);
  }
}

CHECK_MAIN()
