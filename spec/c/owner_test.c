// The owner's place of a file: one at a time, given back at the end, taken over after a kill.
#include "check.h"
#include "script_host.h"

#include <signal.h>
#include <sys/wait.h>

static const duro_host host = {.programs = &script_ops};

static duro_code try_open(const char *path, duro_role role, int64_t wait_ms, duro_runtime **out,
                          char *message, size_t size) {
  duro_options o = test_options(path);
  duro_error *err = NULL;
  o.role = role;
  o.lease_wait_ms = wait_ms;
  *out = NULL;
  duro_code code = duro_open(&o, &host, out, &err);
  snprintf(message, size, "%s", err ? err->message : "");
  duro_error_free(err);
  return code;
}

TEST(a_second_owner_is_busy_and_told_by_whom) {
  const char *path = fresh_file();
  char message[256], pid[64];
  duro_runtime *first, *second;
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &first, message, sizeof message), DURO_OK);
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &second, message, sizeof message), DURO_BUSY);
  snprintf(pid, sizeof pid, "'t.db' is owned by process %d on host ", (int)getpid());
  if (!CHECK(strncmp(message, pid, strlen(pid)) == 0)) fprintf(stderr, "    %s\n", message);
  uint64_t before_ns = duro_clock_monotonic_ns();
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 60, &second, message, sizeof message), DURO_BUSY);
  CHECK(duro_clock_monotonic_ns() - before_ns >= 50000000);
  duro_close(first);
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &second, message, sizeof message), DURO_OK);
  duro_close(second);
  drop_file(path);
}

TEST(two_files_and_two_memories_have_an_owner_each) {
  char message[256];
  duro_runtime *a, *b;
  CHECK_INT(try_open(":memory:", DURO_ROLE_RUNTIME, 0, &a, message, sizeof message), DURO_OK);
  CHECK_INT(try_open(":memory:", DURO_ROLE_RUNTIME, 0, &b, message, sizeof message), DURO_OK);
  duro_close(a);
  duro_close(b);
}

TEST(a_path_that_cannot_be_is_a_fault_of_storage) {
  char message[256];
  duro_runtime *rt;
  CHECK_INT(try_open("/nowhere/at/all.db", DURO_ROLE_RUNTIME, 0, &rt, message, sizeof message),
            DURO_STORAGE);
  CHECK(rt == NULL);
}

// A child owns the file until it is told to close, or killed.
static pid_t owner_process(const char *path, int *ready, int *stop) {
  int to_parent[2], to_child[2];
  if (pipe(to_parent) || pipe(to_child)) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    char message[256], byte;
    duro_runtime *rt;
    try_open(path, DURO_ROLE_RUNTIME, 0, &rt, message, sizeof message);
    if (write(to_parent[1], rt ? "y" : "n", 1) != 1) _exit(1);
    if (read(to_child[0], &byte, 1) == 1) duro_close(rt);
    _exit(0);
  }
  close(to_parent[1]);
  close(to_child[0]);
  *ready = to_parent[0];
  *stop = to_child[1];
  return pid;
}

TEST(after_a_kill_the_next_open_succeeds_at_once) {
  const char *path = fresh_file();
  char message[256], byte = 0;
  int ready, stop;
  duro_runtime *rt;
  pid_t pid = owner_process(path, &ready, &stop);
  CHECK_INT(read(ready, &byte, 1), 1);
  CHECK_INT(byte, 'y');
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &rt, message, sizeof message), DURO_BUSY);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &rt, message, sizeof message), DURO_OK);
  duro_close(rt);
  close(ready);
  close(stop);
  drop_file(path);
}

TEST(lease_wait_waits_for_the_owner_to_go) {
  const char *path = fresh_file();
  char message[256], byte = 0;
  int ready, stop;
  duro_runtime *rt;
  pid_t pid = owner_process(path, &ready, &stop);
  CHECK_INT(read(ready, &byte, 1), 1);
  pid_t stopper = fork();
  if (stopper == 0) {
    usleep(100000);
    _exit(write(stop, "x", 1) == 1 ? 0 : 1);
  }
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 10000, &rt, message, sizeof message), DURO_OK);
  CHECK_STR(message, "");
  duro_close(rt);
  waitpid(pid, NULL, 0);
  waitpid(stopper, NULL, 0);
  close(ready);
  close(stop);
  drop_file(path);
}

TEST(a_runtime_is_refused_in_a_forked_child) {
  const char *path = fresh_file();
  char message[256];
  duro_runtime *rt;
  CHECK_INT(try_open(path, DURO_ROLE_RUNTIME, 0, &rt, message, sizeof message), DURO_OK);
  pid_t pid = fork();
  if (pid == 0) {
    duro_request *r = call(rt, "status", "{\"id\":\"x\"}");
    _exit(strncmp(outcome(r), "closed: this runtime was opened by process", 42) == 0 ? 7 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  CHECK_INT(WEXITSTATUS(status), 7);
  duro_close(rt);
  drop_file(path);
}

CHECK_MAIN()
