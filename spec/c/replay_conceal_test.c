/* Payloads in the host's stored form: what is concealed, what is not, and what happens when it fails. */
#include "replay/conceal.h"
#include "replay_script.h"

/* -- a host that stores {"hidden":N,"text":"..."}, each time with another N ------------------------ */

static int concealed, revealed;
static duro_code conceal_fails, reveal_fails;

static duro_code hide(void *host, duro_str payload, duro_buf *stored, duro_error **err) {
  (void)host;
  if (conceal_fails) return duro_fail(err, conceal_fails, "it cannot be concealed");
  if (duro_str_equal(payload, DURO_STR("\"as it is\""))) return DURO_OK;
  duro_buf_printf(stored, "{\"hidden\":%d,\"text\":", ++concealed);
  duro_json_add_string(stored, payload);
  duro_buf_add_char(stored, '}');
  return DURO_OK;
}

static duro_code show(void *host, duro_str stored, duro_buf *payload, duro_error **err) {
  (void)host;
  if (reveal_fails) return duro_fail(err, reveal_fails, "it cannot be revealed");
  if (!duro_str_starts_with(stored, DURO_STR("{\"hidden\":"))) return DURO_OK;
  revealed++;
  duro_arena arena = {0};
  duro_buf_add_str(payload, duro_json_member_text(stored, "text", &arena));
  duro_arena_free(&arena);
  return DURO_OK;
}

static duro_program_ops hiding_ops;

static void open_hiding(stage *g, script_fn *fn) {
  stage_open(g, fn);
  hiding_ops = script_ops;
  hiding_ops.conceal = hide;
  hiding_ops.reveal = show;
  g->config.program = &hiding_ops;
  duro__exec_free(g->x);
  g->x = duro__exec_new(&g->config, DURO_STR("order-1"), 1);
  concealed = revealed = 0;
  conceal_fails = reveal_fails = DURO_OK;
}

/* The whole history again, with the code as it is now. */
static duro_code replay(stage *g, bool strict) {
  duro_arena arena = {0};
  duro_events events;
  duro_str texts[16];
  for (size_t i = 0; i < g->turn_count; i++) texts[i] = duro_str_from(g->turns[i]);
  duro__exec_free(g->x);
  g->config.strict = strict;
  g->x = duro__exec_new(&g->config, DURO_STR("order-1"), 1);
  duro__mismatch_free(&g->mismatch);
  forget_error(g);
  duro_code code = duro_events_decode(texts, g->turn_count, &arena, &events, &g->err);
  if (!code) code = duro__exec_replay(g->x, &events, &g->mismatch, &g->err);
  duro_arena_free(&arena);
  return code;
}

static bool has(const stage *g, const char *text) { return strstr(g->events, text) != NULL; }

/* -- what is recorded ---------------------------------------------------------------------------- */

static const char *input = "\"secret\"";
SCRIPT(asks) {
  BEGIN;
  set_attributes(s, t, "{\"a\":\"open\"}");
  kv_set(s, t, "k", "\"secret\"");
  set_status(s, t, "\"secret\"");
  side_effect(s, t, "\"secret\"");
  s->task[0] = activity_with(s, t, "charge", input, "{\"queue\":\"open\"}");
  AWAIT(done(s, s->task[0]));
  note(s, output(s, s->task[0]));
  complete(s, t, "\"secret\"");
  END;
}

TEST(everything_the_code_asks_for_takes_its_stored_form) {
  stage g;
  open_hiding(&g, asks);
  start(&g, "1");
  CHECK(!has(&g, ":\"secret\""));
  CHECK(has(&g, "\"kv_set\",\"name\":\"k\",\"input\":{\"hidden\":1,\"text\":\"\\\"secret\\\"\"}"));
  CHECK(has(&g, "\"attributes_updated\",\"input\":{\"a\":\"open\"}"));
  CHECK(has(&g, "\"name\":\"charge\",\"input\":{\"hidden\":4,"));
  CHECK(has(&g, "\"options\":{\"queue\":\"open\"}"));
  CHECK_STR(z(duro__exec_kv_get(g.x, DURO_STR("k"))), "{\"hidden\":1,\"text\":\"\\\"secret\\\"\"}");
  CHECK_STR(z(duro__exec_open_next(g.x, 0)->input), "{\"hidden\":4,\"text\":\"\\\"secret\\\"\"}");
  play(&g, completed(6, "{\"hidden\":9,\"text\":\"2\"}"));
  CHECK_STR(z(g.r.output), "{\"hidden\":5,\"text\":\"\\\"secret\\\"\"}");
  stage_free(&g);
}

SCRIPT(fails) {
  BEGIN;
  fail(s, t, "{\"code\":\"odd\",\"message\":\"open\",\"data\":\"secret\",\"attempts\":2}");
  END;
}

TEST(of_an_error_only_its_data_is_concealed) {
  stage g;
  open_hiding(&g, fails);
  start(&g, "1");
  CHECK_STR(z(g.r.error), "{\"code\":\"odd\",\"message\":\"open\",\"data\":{\"hidden\":1,\"text\":"
                          "\"\\\"secret\\\"\"},\"attempts\":2}");
  stage_free(&g);
}

/* -- replay -------------------------------------------------------------------------------------- */

TEST(replay_compares_what_is_behind_the_stored_form) {
  stage g;
  open_hiding(&g, asks);
  start(&g, "1");
  input = "\"secret\"";
  CHECK_INT(replay(&g, true), DURO_OK);
  CHECK_INT(revealed, 3); /* what a side effect gave is not compared */
  input = "\"other\"";
  CHECK_INT(replay(&g, true), DURO_NONDETERMINISM);
  CHECK_STR(g.mismatch.got, "activity_scheduled 'charge' with another input");
  CHECK(g.mismatch.detail == NULL); /* it would show both */
  CHECK_INT(replay(&g, false), DURO_OK);
  duro_buf_add_char(&g.log, 0);
  CHECK(strstr(g.log.p, "has another input now\n") != NULL);
  CHECK(strstr(g.log.p, "secret") == NULL);
  input = "\"secret\"";
  stage_free(&g);
}

TEST(a_history_from_before_the_host_concealed_still_fits) {
  stage g;
  stage_open(&g, asks);
  start(&g, "1");
  CHECK(has(&g, "\"input\":\"secret\""));
  hiding_ops = script_ops;
  hiding_ops.conceal = hide;
  hiding_ops.reveal = show;
  g.config.program = &hiding_ops;
  CHECK_INT(replay(&g, true), DURO_OK);
  stage_free(&g);
}

TEST(what_cannot_be_revealed_is_no_mismatch_but_that_error) {
  stage g;
  open_hiding(&g, asks);
  start(&g, "1");
  reveal_fails = DURO_UNSUPPORTED;
  CHECK_INT(replay(&g, false), DURO_UNSUPPORTED);
  CHECK_STR(g.err->message, "it cannot be revealed");
  stage_free(&g);
}

/* -- failures and bounds ------------------------------------------------------------------------- */

TEST(what_cannot_be_concealed_breaks_the_turn_and_leaves_nothing) {
  stage g;
  open_hiding(&g, asks);
  conceal_fails = DURO_STORAGE;
  turn_begin(&g);
  apply(&g, started("1"));
  CHECK_INT(g.code, DURO_STORAGE);
  turn_end(&g);
  CHECK_STR(g.events, "[]");
  CHECK_INT(g.r.event_count, 0);
  stage_free(&g);
}

static char large[300 * 1024];
static duro_code refused;
SCRIPT(sets_large) {
  BEGIN;
  set_status(s, t, large);
  refused = s->last;
  END;
}

TEST(bounds_hold_for_the_plain_text) {
  stage g;
  memset(large, ' ', sizeof large - 1);
  large[0] = '1';
  large[200 * 1024] = 0; /* with every blank and quote it still fits, and hidden it would not */
  memset(large + 1, '"', 150 * 1024);
  large[0] = large[150 * 1024] = '"';
  open_hiding(&g, sets_large);
  start(&g, "1");
  CHECK_INT(refused, DURO_OK);
  CHECK(strlen(g.events) > 256 * 1024);
  stage_free(&g);
}

/* -- by itself ----------------------------------------------------------------------------------- */

TEST(without_hooks_or_payload_nothing_happens) {
  duro_buf b = {0};
  duro_str payload = DURO_STR("1"), none = DURO_NONE;
  hiding_ops.conceal = hide;
  CHECK_INT(duro__conceal(NULL, NULL, &payload, &b, NULL), DURO_OK);
  CHECK_INT(duro__conceal(&script_ops, NULL, &payload, &b, NULL), DURO_OK);
  CHECK_STR(z(payload), "1");
  CHECK_INT(duro__conceal(&hiding_ops, NULL, &none, &b, NULL), DURO_OK);
  CHECK(none.p == NULL && b.n == 0);
  payload = DURO_STR("\"as it is\"");
  CHECK_INT(duro__conceal(&hiding_ops, NULL, &payload, &b, NULL), DURO_OK);
  CHECK_STR(z(payload), "\"as it is\"");
  duro_buf_free(&b);
}

TEST(an_error_may_lack_data_or_lose_it) {
  duro_buf b = {0};
  duro_error *err = NULL;
  hiding_ops.conceal = hide;
  concealed = 0;
  duro_str error = DURO_STR("{\"code\":\"x\"}");
  CHECK_INT(duro__conceal_error(&hiding_ops, NULL, &error, &b, NULL), DURO_OK);
  CHECK_STR(z(error), "{\"code\":\"x\"}");
  duro__conceal_error_without_data(&error, &b);
  CHECK_STR(z(error), "{\"code\":\"x\"}");
  error = DURO_STR("{\"data\":{\"n\":1},\"code\":\"x\"}");
  conceal_fails = DURO_STORAGE;
  CHECK_INT(duro__conceal_error(&hiding_ops, NULL, &error, &b, &err), DURO_STORAGE);
  CHECK_STR(z(error), "{\"data\":{\"n\":1},\"code\":\"x\"}");
  duro__conceal_error_without_data(&error, &b);
  CHECK_STR(z(error),
            "{\"data\":\"left out: it could not be put into its stored form\",\"code\":\"x\"}");
  conceal_fails = DURO_OK;
  duro_error_free(err);
  duro_buf_free(&b);
}

CHECK_MAIN()
