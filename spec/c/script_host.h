/* script_host.h: a host for tests of the runtime. An orchestration's code is a word; each letter is one
 * thing to do, in order, and the last result is the output:
 *
 *   a  the activity `echo`          b  the activity `broken`, whose failure is swallowed
 *   d  the activity `later`, which defers: its token is in host_token
 *   w  wait for the event `go`      t  a timer of one second
 *   c  the child orchestration `child`
 *   s  custom status = the number of letters done     k  kv "step" = the same
 *   n  continue as new, in the first execution only   f  fail
 *   r  raise the event `go` of the instance `x`; script_before_raise, when it is set, is called before
 *
 * A query answers {"done":letters}. Include check.h first. */
#ifndef DURO_SPEC_SCRIPT_HOST_H
#define DURO_SPEC_SCRIPT_HOST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "duro.h"

typedef struct script {
  const char *at;
  int64_t done, execution;
  duro_buf last;
  bool swallow;
} script;

static char host_token[128];
static void (*script_before_raise)(void);

static duro_code script_go(script *s, duro_turn *turn, duro_error **err) {
  char number[32];
  int64_t task;
  for (;;) {
    duro_code code = DURO_OK;
    char letter = *s->at;
    snprintf(number, sizeof number, "%lld", (long long)s->done);
    duro_str count = duro_str_from(number);
    if (letter) {
      s->at++;
      s->done++;
    }
    s->swallow = letter == 'b';
    switch (letter) {
    case 'a':
      return duro_turn_activity(turn, DURO_STR("echo"), count, DURO_NONE, &task, err);
    case 'b':
      return duro_turn_activity(turn, DURO_STR("broken"), count, DURO_NONE, &task, err);
    case 'd':
      return duro_turn_activity(turn, DURO_STR("later"), count, DURO_NONE, &task, err);
    case 'w':
      return duro_turn_wait(turn, DURO_STR("go"), &task, err);
    case 't':
      return duro_turn_timer(turn, duro_turn_now_ms(turn) + 1000, 1000, &task, err);
    case 'c':
      return duro_turn_child(turn, DURO_STR("child"), DURO_NONE, DURO_NONE, count, DURO_NONE, &task,
                             err);
    case 's':
      code = duro_turn_set_custom_status(turn, count, err);
      break;
    case 'k':
      code = duro_turn_kv_set(turn, DURO_STR("step"), count, err);
      break;
    case 'r':
      if (script_before_raise) script_before_raise();
      code = duro_turn_raise(turn, DURO_STR("x"), DURO_STR("go"), count, err);
      break;
    case 'n':
      if (s->execution > 1) break;
      return duro_turn_continue_as_new(turn, DURO_STR("\"again\""), DURO_NONE, DURO_STR("why not"),
                                       err);
    case 'f':
      return duro_turn_fail(turn, DURO_STR("{\"code\":\"mine\",\"message\":\"on purpose\"}"), err);
    default:
      return duro_turn_complete(turn, s->last.n ? duro_buf_str(&s->last) : DURO_NONE, err);
    }
    if (code) return code;
  }
}

static void script_end(void *host, void *program) {
  script *s = program;
  (void)host;
  duro_buf_free(&s->last);
  free(s);
}

static duro_code script_begin(void *host, void *code, duro_turn *turn,
                              const duro_program_start *start, void **program, duro_error **err) {
  script *s = calloc(1, sizeof *s);
  s->at = code;
  s->execution = start->execution_id;
  duro_buf_add_str(&s->last, start->input);
  duro_code result = script_go(s, turn, err);
  if (result)
    script_end(host, s);
  else
    *program = s;
  return result;
}

static duro_code script_step(void *host, void *program, duro_turn *turn,
                             const duro_completion *completion, duro_error **err) {
  script *s = program;
  (void)host;
  bool failed = completion->kind != DURO_TASK_COMPLETED;
  if (failed && !s->swallow) return duro_turn_fail(turn, completion->error, err);
  duro_buf_clear(&s->last);
  duro_buf_add_str(&s->last, failed ? DURO_STR("\"swallowed\"") : completion->output);
  duro_turn_observe(turn, completion->task); // the output's bytes end here
  return script_go(s, turn, err);
}

static duro_code script_inspect(void *host, void *program, duro_str what, duro_str args,
                                duro_buf *out, duro_error **err) {
  (void)host, (void)args;
  if (duro_str_equal(duro_json_member(args, "name"), DURO_STR("\"unknown\""))) {
    return duro_fail(err, DURO_NOT_FOUND, "no such query");
  }
  duro_buf_printf(out, "{\"%.*s\":%lld}", DURO_FMT(what), (long long)((script *)program)->done);
  return DURO_OK;
}

static const duro_program_ops script_ops = {
    .begin = script_begin, .step = script_step, .end = script_end, .inspect = script_inspect};
static char echo_code, broken_code, later_code;

static void run_job(duro_job *job) {
  const duro_job_info *info = duro_job_get_info(job);
  if (info->code == &broken_code) {
    duro_job_fail(job, DURO_STR("{\"code\":\"bad\",\"message\":\"it is broken\"}"));
  } else if (info->code == &later_code) {
    duro_buf token = {0};
    if (duro_job_defer(job, &token, NULL) == DURO_OK) {
      snprintf(host_token, sizeof host_token, "%.*s", DURO_FMT(duro_buf_str(&token)));
    }
    duro_buf_free(&token);
    duro_job_complete(job, DURO_NONE); // recorded as deferred
  } else {
    duro_job_complete(job, info->input);
  }
}

/* Fresh options: a real file when `path` is given. */
static __attribute__((unused)) duro_options test_options(const char *path) {
  duro_options o = duro_options_default();
  o.path = path;
  o.full_durability = false;
  return o;
}

static __attribute__((unused)) void register_script(duro_runtime *rt, const char *name,
                                                    const char *letters) {
  duro_error *err = NULL;
  duro_code code = duro_register_orchestration(rt, duro_str_from(name), DURO_STR("1.0.0"),
                                               (void *)(uintptr_t)letters, false, &err);
  CHECK_STR(err ? err->message : "", "");
  CHECK_INT(code, DURO_OK);
  duro_error_free(err);
}

static void register_activities(duro_runtime *rt) {
  duro_register_activity(rt, DURO_STR("echo"), &echo_code, false, NULL);
  duro_register_activity(rt, DURO_STR("broken"), &broken_code, false, NULL);
  duro_register_activity(rt, DURO_STR("later"), &later_code, false, NULL);
}

/* Opens a runtime with the usual activities; NULL, after a failed check, when that fails. */
static __attribute__((unused)) duro_runtime *open_runtime(const duro_options *options) {
  static const duro_host host = {.programs = &script_ops};
  duro_runtime *rt = NULL;
  duro_error *err = NULL;
  duro_open(options, &host, &rt, &err);
  CHECK_STR(err ? err->message : "", "");
  duro_error_free(err);
  if (rt) register_activities(rt);
  return rt;
}

static void turn_loop(duro_runtime *rt, int64_t wait_ms) {
  duro_job *job;
  duro_step(rt, wait_ms, NULL, NULL);
  while ((job = duro_next_job(rt))) run_job(job);
  while ((job = duro_next_woken(rt))) run_job(job);
}

/* Turns the loops of up to two runtimes until the request is done; false after ten seconds. */
static __attribute__((unused)) bool settle(duro_runtime *a, duro_runtime *b, duro_request *r) {
  uint64_t until_ns = duro_clock_monotonic_ns() + UINT64_C(10000000000);
  while (!duro_request_done(r)) {
    if (duro_clock_monotonic_ns() > until_ns) return false;
    turn_loop(a, b ? 1 : 20);
    if (b) turn_loop(b, 1);
  }
  return true;
}

static __attribute__((unused)) void run_idle(duro_runtime *rt) {
  uint64_t until_ns = duro_clock_monotonic_ns() + UINT64_C(10000000000);
  do turn_loop(rt, 1);
  while (!duro_idle(rt) && duro_clock_monotonic_ns() < until_ns);
}

/* The answer, or "code: message", in a static buffer. */
static __attribute__((unused)) const char *outcome(duro_request *r) {
  static char text[16384];
  duro_str json;
  duro_error *err = NULL;
  duro_code code = duro_request_result(r, &json, &err);
  if (code)
    snprintf(text, sizeof text, "%s: %s", duro_code_string(code), err ? err->message : "");
  else
    snprintf(text, sizeof text, "%.*s", DURO_FMT(json));
  duro_error_free(err);
  duro_request_free(r);
  return text;
}

static __attribute__((unused)) duro_request *call(duro_runtime *rt, const char *verb,
                                                  const char *args) {
  return duro_call(rt, duro_str_from(verb), duro_str_from(args));
}

/* Calls and waits. `other` (may be NULL) is turned meanwhile. */
static __attribute__((unused)) const char *ask_beside(duro_runtime *rt, duro_runtime *other,
                                                      const char *verb, const char *args) {
  duro_request *r = call(rt, verb, args);
  if (!settle(rt, other, r)) {
    duro_request_free(r);
    return "(no answer within ten seconds)";
  }
  return outcome(r);
}

static __attribute__((unused)) const char *ask(duro_runtime *rt, const char *verb,
                                               const char *args) {
  return ask_beside(rt, NULL, verb, args);
}

/* A file name in a fresh folder, removed by drop_file. */
static __attribute__((unused)) const char *fresh_file(void) {
  static char path[64];
  snprintf(path, sizeof path, "/tmp/duro-c-XXXXXX");
  if (!mkdtemp(path)) return ":memory:";
  strcat(path, "/t.db");
  return path;
}

static __attribute__((unused)) void drop_file(const char *path) {
  static const char *const endings[] = {"", "-wal", "-shm", "-owner", "-journal"};
  char name[96];
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    snprintf(name, sizeof name, "%s%s", path, endings[i]);
    unlink(name);
  }
  snprintf(name, sizeof name, "%.*s", (int)(strrchr(path, '/') - path), path);
  rmdir(name);
}

#endif
