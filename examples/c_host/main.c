// A host in C: an orchestration and an activity against duro.h alone, without Lua.
//
//     build/c_host FILE
//
// greets three people, with a pause after each. Kill it and start it again: it goes on where it was. A
// C orchestration is a state machine: `begin` asks for the first thing, `step` gets what has become of
// it and asks for the next. After a restart both run again from the start and are given what the
// history holds, so they may depend on nothing else: no clock, no random numbers, no files.
#include <stdio.h>
#include <stdlib.h>

#include "duro.h"

#define PAUSE_MS 100

// --- The orchestration greet_all: an array of names in, an array of greetings out ---

typedef struct greeter {
  char *input;
  duro_json_reader names; // over the input: those that are still to be greeted
  duro_buf greetings;     // the output so far
  bool pausing;           // it waits for the timer, else for the activity
} greeter;

static duro_code greet_next(greeter *g, duro_turn *turn, duro_error **err) {
  duro_str name;
  int64_t task; // only one is open at any time, so a completion is always of that one
  if (duro_json_skip(&g->names, &name)) {
    return duro_turn_activity(turn, DURO_STR("greet"), name, DURO_NONE, &task, err);
  }
  duro_buf_add_char(&g->greetings, ']');
  if (g->greetings.oom) return duro_fail_oom(err);
  return duro_turn_complete(turn, duro_buf_str(&g->greetings), err);
}

static duro_code pause_after(greeter *g, duro_turn *turn, duro_str greeting, duro_error **err) {
  int64_t task;
  if (g->greetings.n > 1) duro_buf_add_char(&g->greetings, ',');
  duro_buf_add_str(&g->greetings, greeting);
  g->pausing = true;
  return duro_turn_timer(turn, duro_turn_now_ms(turn) + PAUSE_MS, PAUSE_MS, &task, err);
}

static void end(void *host, void *program) {
  greeter *g = program;
  (void)host;
  free(g->input);
  duro_buf_free(&g->greetings);
  free(g);
}

static duro_code begin(void *host, void *code, duro_turn *turn, const duro_program_start *start,
                       void **program, duro_error **err) {
  greeter *g = calloc(1, sizeof *g);
  (void)code;
  *program = NULL;
  if (!g) return duro_fail_oom(err);
  g->input = duro_str_dup(start->input);
  duro_json_open(&g->names, duro_str_from(g->input));
  duro_buf_add_char(&g->greetings, '[');
  duro_code result;
  if (duro_json_next(&g->names) == DURO_JSON_BEGIN_ARRAY) {
    result = greet_next(g, turn, err);
  } else {
    result = duro_turn_fail(turn, DURO_STR("{\"message\":\"no array of names\"}"), err);
  }
  if (result == DURO_OK) {
    *program = g;
  } else {
    end(host, g);
  }
  return result;
}

static duro_code step(void *host, void *program, duro_turn *turn, const duro_completion *completion,
                      duro_error **err) {
  greeter *g = program;
  (void)host;
  // A failed activity or a cancellation: there is nothing to clean up.
  if (completion->kind != DURO_TASK_COMPLETED) return duro_turn_fail(turn, completion->error, err);
  if (!g->pausing) return pause_after(g, turn, completion->output, err);
  g->pausing = false;
  return greet_next(g, turn, err);
}

static const duro_program_ops programs = {.begin = begin, .step = step, .end = end};

// --- The activity greet: a name in, a greeting out ---

static void greet(duro_job *job) {
  duro_str name = duro_job_get_info(job)->input; // JSON: the name in its quotes
  duro_buf output = {0};
  printf("greeting %.*s\n", DURO_FMT(name));
  fflush(stdout);
  if (name.n >= 2) duro_buf_printf(&output, "\"hello, %.*s", (int)name.n - 1, name.p + 1);
  if (!output.n || output.oom) {
    duro_job_fail(job, DURO_STR("{\"message\":\"no greeting came about\"}"));
  } else {
    duro_job_complete(job, duro_buf_str(&output));
  }
  duro_buf_free(&output);
}

// --- The host ---

// Asks the runtime something and turns its loop until the answer, JSON, is there.
static duro_code ask(duro_runtime *rt, duro_str verb, duro_str arguments, duro_buf *answer,
                     duro_error **err) {
  duro_request *request = duro_call(rt, verb, arguments);
  if (!request) return duro_fail_oom(err);
  duro_code code = DURO_OK;
  while (code == DURO_OK && !duro_request_done(request)) {
    int64_t turns;
    duro_job *job;
    code = duro_step(rt, -1, &turns, err);
    while ((job = duro_next_job(rt))) greet(job);
  }
  if (code == DURO_OK) {
    duro_str json;
    code = duro_request_result(request, &json, err);
    duro_buf_clear(answer);
    if (code == DURO_OK) duro_buf_add_str(answer, json);
  }
  duro_request_free(request);
  return code;
}

static duro_code greet_everybody(duro_runtime *rt, duro_buf *answer, duro_error **err) {
  static char greet_all_code, greet_code; // handles: one of each, so nothing to tell apart
  duro_code code = duro_register_orchestration(rt, DURO_STR("greet_all"), DURO_STR("1.0.0"),
                                               &greet_all_code, false, err);
  if (code == DURO_OK) {
    code = duro_register_activity(rt, DURO_STR("greet"), &greet_code, false, err);
  }
  if (code == DURO_OK) {
    code = ask(rt, DURO_STR("start"),
               DURO_STR("{\"name\":\"greet_all\",\"id\":\"greetings\",\"on_conflict\":\"existing\","
                        "\"input\":[\"Ada\",\"Edsger\",\"Grace\"]}"),
               answer, err);
  }
  if (code != DURO_OK) return code;
  return ask(rt, DURO_STR("wait"), DURO_STR("{\"id\":\"greetings\"}"), answer, err);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: c_host FILE\n");
    return 2;
  }
  duro_options options = duro_options_default();
  options.path = argv[1];
  options.vm = DURO_VM_C;
  duro_host host = {.programs = &programs};
  duro_runtime *rt = NULL;
  duro_error *err = NULL;
  duro_buf answer = {0};
  duro_code code = duro_open(&options, &host, &rt, &err);
  if (code == DURO_OK) code = greet_everybody(rt, &answer, &err);
  if (code == DURO_OK) {
    printf("%.*s\n", DURO_FMT(duro_buf_str(&answer)));
  } else {
    fprintf(stderr, "%s: %s\n", duro_code_string(code), err ? err->message : "");
  }
  duro_buf_free(&answer);
  duro_error_free(err);
  duro_close(rt);
  return code == DURO_OK ? 0 : 1;
}
