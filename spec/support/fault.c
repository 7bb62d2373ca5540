// fault.c: kills a process or fails one of its calls at a chosen moment. Preloaded (LD_PRELOAD) into the
// children of spec/crash; never part of the product.
//
// It stands between duro and SQLite (sqlite3_step) and between SQLite and the file (pwrite, fdatasync,
// ftruncate). The environment says what happens:
//   DURO_FAULT       rules, separated by ';':  <action> <before|after> <call> <first>[-[<last>]] [<pattern>]
//                    action   kill     SIGKILL to the process
//                             enospc   the call fails without effect: disk full
//                             eio      the call fails without effect: input or output error
//                             lie      the call takes effect, and fails all the same (with `after`)
//                             hold<n>  the calling thread waits n milliseconds
//                    call     step     a step of a statement; the pattern is a part of its SQL
//                             row      the same; the pattern is a part of the SQL with its values
//                             commit   a COMMIT; the pattern is a part, with values, of a statement in it
//                             write sync truncate   of a file; the pattern is how its path ends
//                             any      each of these; no pattern
//                             clock    a look at the clock; the pattern is a part of the path of the
//                                      library that looks
//                    first    which of the calls that match, from 1; "3-5" a range, "3-" from there on
//   DURO_FAULT_WHEN  a file: calls are counted and rules apply only while it exists; default: always
//   DURO_FAULT_LOG   a file that gets a line whenever a rule acts
//   DURO_FAULT_LEAP  a file: once it exists the monotonic clock is 20 s ahead, and waits end as if it were
// To add an action or a call: its word in the table below, its case in `act`, or its wrapper.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_RULES    16
#define LEAP_SECONDS 20

typedef enum action { KILL, ENOSPC_, EIO_, LIE, HOLD } action;
typedef enum call { STEP, ROW, COMMIT, WRITE, SYNC, TRUNCATE, ANY, CLOCK } call;

static const char *const actions[] = {"kill", "enospc", "eio", "lie", "hold"};
static const char *const calls[] = {"step", "row",      "commit", "write",
                                    "sync", "truncate", "any",    "clock"};

typedef struct rule {
  char text[512]; // as it was given, for the log
  action does;
  bool after;
  call of;
  long first, last;
  long hold_ms;
  const char *pattern; // in `text`
  long seen;
  sqlite3 *transaction; // of: commit. Where its pattern was met since the last BEGIN
} rule;

static rule rules[MAX_RULES];
static int rule_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the counters of the rules
static const char *when_path, *log_path, *leap_path;

// The rules that apply to one call, as bits.
typedef unsigned hits;

// --- Reading the rules ---

static void refuse(const char *text) {
  fprintf(stderr, "DURO_FAULT: not understood: %s\n", text);
  _exit(70);
}

static int word_index(const char *word, const char *const *words, int count) {
  for (int i = 0; i < count; i++) {
    if (strncmp(word, words[i], strlen(words[i])) == 0) return i;
  }
  return -1;
}

static void read_rule(rule *r) {
  char does[16], moment[16], of[16], range[32];
  int end = 0;
  if (sscanf(r->text, " %15s %15s %15s %31s %n", does, moment, of, range, &end) < 4)
    refuse(r->text);
  int which = word_index(does, actions, sizeof actions / sizeof *actions);
  int what = word_index(of, calls, sizeof calls / sizeof *calls);
  bool after = strcmp(moment, "after") == 0;
  if (which < 0 || what < 0 || (!after && strcmp(moment, "before") != 0)) refuse(r->text);
  r->does = (action)which;
  r->of = (call)what;
  r->after = after;
  if (r->does == HOLD) r->hold_ms = strtol(does + strlen("hold"), NULL, 10);
  char *rest;
  r->first = r->last = strtol(range, &rest, 10);
  if (*rest == '-') r->last = rest[1] ? strtol(rest + 1, NULL, 10) : 0x7fffffffL;
  if (r->first < 1 || r->last < r->first) refuse(r->text);
  r->pattern = r->text + end;
}

__attribute__((constructor)) static void read_rules(void) {
  when_path = getenv("DURO_FAULT_WHEN");
  log_path = getenv("DURO_FAULT_LOG");
  leap_path = getenv("DURO_FAULT_LEAP");
  const char *text = getenv("DURO_FAULT");
  while (text && *text) {
    size_t n = strcspn(text, ";");
    rule *r = &rules[rule_count];
    if (rule_count == MAX_RULES || n >= sizeof r->text) refuse(text);
    memcpy(r->text, text, n);
    read_rule(r);
    rule_count++;
    text += n + (text[n] == ';');
  }
}

// --- Acting ---

// Past every wrapper of this file.
static void note(const rule *r) {
  char line[600];
  int fd = log_path ? (int)syscall(SYS_open, log_path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
  if (fd < 0) return;
  int n = snprintf(line, sizeof line, "%s\n", r->text);
  syscall(SYS_write, fd, line, (size_t)n);
  close(fd);
}

static void hold(long ms) {
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

// What the rules of that moment do: 0, or the error number that the call is to give.
static int act(hits met, bool after) {
  int failure = 0;
  for (int i = 0; i < rule_count && met; i++) {
    const rule *r = &rules[i];
    if (!(met & 1u << i) || r->after != after) continue;
    note(r);
    switch (r->does) {
    case KILL:
      kill(getpid(), SIGKILL);
      for (;;) pause();
    case ENOSPC_:
      failure = ENOSPC;
      break;
    case EIO_:
    case LIE:
      failure = EIO;
      break;
    case HOLD:
      hold(r->hold_ms);
      break;
    }
  }
  return failure;
}

static bool active(void) {
  return rule_count > 0 && (!when_path || syscall(SYS_access, when_path, F_OK) == 0);
}

// Under `lock`.
static bool counts(rule *r) {
  r->seen++;
  return r->seen >= r->first && r->seen <= r->last;
}

// --- Statements ---

static bool has(const char *text, const char *pattern) { return text && strstr(text, pattern); }

// The statement with its values, for the rules that want them (owned by the caller), or NULL.
static char *with_values(sqlite3_stmt *stmt) {
  for (int i = 0; i < rule_count; i++) {
    bool wanted = rules[i].of == ROW || (rules[i].of == COMMIT && *rules[i].pattern);
    if (wanted) return sqlite3_expanded_sql(stmt);
  }
  return NULL;
}

// Under `lock`: whether this COMMIT ends a transaction with a statement that the rule looks for.
static bool commit_matches(rule *r, sqlite3 *db, const char *sql, const char *full) {
  if (strncmp(sql, "COMMIT", 6) == 0) {
    bool matches = !*r->pattern || r->transaction == db;
    if (r->transaction == db) r->transaction = NULL;
    return matches;
  }
  if (strncmp(sql, "BEGIN", 5) == 0 && r->transaction == db) r->transaction = NULL;
  if (*r->pattern && has(full, r->pattern)) r->transaction = db;
  return false;
}

static hits meet_statement(sqlite3_stmt *stmt) {
  hits met = 0;
  if (!active()) return met;
  const char *sql = sqlite3_sql(stmt);
  if (!sql) return met;
  char *full = with_values(stmt);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < rule_count; i++) {
    rule *r = &rules[i];
    bool matches = false;
    if (r->of == STEP)
      matches = has(sql, r->pattern);
    else if (r->of == ROW)
      matches = has(full, r->pattern);
    else if (r->of == COMMIT)
      matches = commit_matches(r, sqlite3_db_handle(stmt), sql, full);
    else
      matches = r->of == ANY;
    if (matches && counts(r)) met |= 1u << i;
  }
  pthread_mutex_unlock(&lock);
  sqlite3_free(full);
  return met;
}

static int sqlite_error(int failure) { return failure == ENOSPC ? SQLITE_FULL : SQLITE_IOERR; }

int sqlite3_step(sqlite3_stmt *stmt) {
  static int (*real)(sqlite3_stmt *);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_step");
  hits met = meet_statement(stmt);
  int failure = act(met, false);
  if (failure) return sqlite_error(failure);
  int rc = real(stmt);
  failure = act(met, true);
  return failure ? sqlite_error(failure) : rc;
}

// --- Files ---

static bool path_ends(int fd, const char *pattern) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  size_t wanted = strlen(pattern);
  if (n < 0 || (size_t)n < wanted) return false;
  return memcmp(path + (size_t)n - wanted, pattern, wanted) == 0;
}

static hits meet_file(call of, int fd) {
  hits met = 0;
  if (!active()) return met;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < rule_count; i++) {
    rule *r = &rules[i];
    bool matches = r->of == ANY || (r->of == of && path_ends(fd, r->pattern));
    if (matches && counts(r)) met |= 1u << i;
  }
  pthread_mutex_unlock(&lock);
  return met;
}

// A wrapper of a file's call: `expression` is the real one, with the value that tells a failure.
#define WRAP(of, fd, type, expression)                                                             \
  do {                                                                                             \
    hits met = meet_file(of, fd);                                                                  \
    int failure = act(met, false);                                                                 \
    type result = failure ? -1 : (expression);                                                     \
    if (!failure) failure = act(met, true);                                                        \
    if (!failure) return result;                                                                   \
    errno = failure;                                                                               \
    return -1;                                                                                     \
  } while (0)

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
  WRAP(WRITE, fd, ssize_t, syscall(SYS_pwrite64, fd, bytes, size, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  WRAP(WRITE, fd, ssize_t, syscall(SYS_pwrite64, fd, bytes, size, offset));
}

int fsync(int fd) { WRAP(SYNC, fd, int, (int)syscall(SYS_fsync, fd)); }

int fdatasync(int fd) { WRAP(SYNC, fd, int, (int)syscall(SYS_fdatasync, fd)); }

int ftruncate(int fd, off_t size) {
  WRAP(TRUNCATE, fd, int, (int)syscall(SYS_ftruncate, fd, size));
}

int ftruncate64(int fd, off64_t size) {
  WRAP(TRUNCATE, fd, int, (int)syscall(SYS_ftruncate, fd, size));
}

// --- The clock ---

static hits meet_clock(const void *caller) {
  hits met = 0;
  bool wanted = false;
  for (int i = 0; i < rule_count; i++) wanted |= rules[i].of == CLOCK;
  if (!wanted || !active()) return met;
  Dl_info library = {0};
  dladdr(caller, &library);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < rule_count; i++) {
    rule *r = &rules[i];
    if (r->of == CLOCK && has(library.dli_fname, r->pattern) && counts(r)) met |= 1u << i;
  }
  pthread_mutex_unlock(&lock);
  return met;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  static bool leapt;
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
  act(meet_clock(__builtin_return_address(0)), false);
  int rc = real(clock, out);
  if (!leap_path || clock != CLOCK_MONOTONIC) return rc;
  if (!leapt) leapt = syscall(SYS_access, leap_path, F_OK) == 0;
  if (leapt) out->tv_sec += LEAP_SECONDS;
  return rc;
}

// The kernel knows nothing of the leap: a wait whose end was reckoned in leapt time would last 20 s longer.
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!real) *(void **)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec now, end = *until;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  // No wait is so long; a wait by the other clock ends decades from here.
  bool reckoned = leap_path && end.tv_sec > now.tv_sec + LEAP_SECONDS - 5 &&
                  end.tv_sec < now.tv_sec + 2 * LEAP_SECONDS;
  if (reckoned) end.tv_sec -= LEAP_SECONDS;
  return real(cond, mutex, &end);
}
