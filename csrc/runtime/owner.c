// owner.c: the owner's place of a file.
//
// Two locks, one inside the other. The kernel's lock on "<path>-owner" ends with the process, so a restart
// after SIGKILL owns the file at once. The lease row in the file carries an epoch that every batch names:
// it fences off whoever lost it, also on another host.
//
// Invariant: while this process is the owner it holds the kernel's lock and its epoch is in the file; the
// lease is renewed long before it ends, and one that turns out to be another's sets rt->lost.
// Time: leases are real time, also under the virtual clock.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "runtime/internal.h"

#define RENEW_EVERY_MS 5000 // a few tries within one lease
#define RENEW_AGAIN_MS 1000 // after a fault of the store
#define WAIT_SLICE_MS  10   // open is a blocking call while it waits for the place

static bool in_memory(const duro_runtime *rt) { return strcmp(rt->path, ":memory:") == 0; }

static char *lock_path(const duro_runtime *rt) {
  duro_buf b = {0};
  duro_buf_printf(&b, "%s-owner", rt->path);
  duro_buf_add_char(&b, '\0');
  if (!b.oom) return b.p;
  duro_buf_free(&b);
  return NULL;
}

static duro_str host_name(char out[256]) {
  if (gethostname(out, 255) != 0 || !out[0]) memcpy(out, "unknown", sizeof "unknown");
  out[255] = '\0';
  return duro_str_from(out);
}

// --- The kernel's lock ---

typedef enum lock_state { LOCK_TAKEN, LOCK_BUSY, LOCK_ERROR } lock_state;

static lock_state take_lock(int fd) {
#ifdef F_OFD_SETLK
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_SETLK, &whole) == 0) return LOCK_TAKEN;
  if (errno == EAGAIN || errno == EACCES) return LOCK_BUSY;
  if (errno != EINVAL) return LOCK_ERROR;
#endif
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return LOCK_TAKEN;
  return errno == EWOULDBLOCK ? LOCK_BUSY : LOCK_ERROR;
}

// Whether somebody (another open file) holds it, without taking it.
static bool lock_is_held(int fd) {
#ifdef F_OFD_GETLK
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_GETLK, &whole) == 0) return whole.l_type != F_UNLCK;
#endif
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  flock(fd, LOCK_UN);
  return false;
}

// "process 123 on host x since 2026-01-31 12:00:00 UTC", for whoever finds the place taken.
static void describe_self(duro_runtime *rt) {
  char host[256], since[32];
  time_t now = (time_t)(duro_clock_wall_ms() / 1000);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S UTC", &utc);
  host_name(host);
  int n = snprintf(rt->owner_text, sizeof rt->owner_text, "process %d on host %.60s since %s",
                   rt->pid, host, since);
  if (n < 0) rt->owner_text[0] = '\0';
}

static void write_text(const duro_runtime *rt, int fd) {
  size_t n = strlen(rt->owner_text);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, rt->owner_text, n, 0) != (ssize_t)n) {
    return; // it serves only the others' messages
  }
}

static void read_text(int fd, char *out, size_t size) {
  ssize_t n = pread(fd, out, size - 1, 0);
  out[n > 0 ? n : 0] = '\0';
  for (char *c = out; *c; c++) {
    if ((unsigned char)*c < 0x20) *c = ' ';
  }
  if (!out[0]) snprintf(out, size, "another process");
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static duro_code busy(const duro_runtime *rt, const char *owner, duro_error **err) {
  return duro_fail(err, DURO_BUSY, "'%s' is owned by %s", base_name(rt->path), owner);
}

static duro_code try_lock(duro_runtime *rt, duro_error **err) {
  char *path = lock_path(rt);
  if (!path) return duro_fail_oom(err);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  free(path);
  if (fd < 0) {
    return duro_fail(err, DURO_STORAGE, "'%s-owner' cannot be opened: %s", rt->path,
                     strerror(errno));
  }
  lock_state state = take_lock(fd);
  if (state == LOCK_TAKEN) {
    rt->lock_fd = fd;
    describe_self(rt);
    write_text(rt, fd);
    return DURO_OK;
  }
  char owner[160];
  duro_code code = state == LOCK_ERROR
                       ? duro_fail(err, DURO_STORAGE, "'%s-owner' cannot be locked: %s", rt->path,
                                   strerror(errno))
                       : DURO_BUSY;
  if (code == DURO_BUSY) {
    read_text(fd, owner, sizeof owner);
    busy(rt, owner, err);
  }
  close(fd);
  return code;
}

static void unlock(duro_runtime *rt) {
  if (rt->lock_fd >= 0) close(rt->lock_fd);
  rt->lock_fd = -1;
}

// --- Waiting for the place ---

// Calls `attempt` until it is anything but busy, or the time is over.
static duro_code keep_trying(duro_runtime *rt, duro_code (*attempt)(duro_runtime *, duro_error **),
                             duro_error **err) {
  uint64_t started_ns = duro_clock_monotonic_ns();
  for (;;) {
    duro_code code = attempt(rt, err);
    if (code != DURO_BUSY) return code;
    int64_t waited_ms = (int64_t)((duro_clock_monotonic_ns() - started_ns) / 1000000);
    int64_t left_ms = rt->options.lease_wait_ms - waited_ms;
    if (left_ms <= 0 || rt->writer.started) return code; // once open, a client asks again by itself
    int64_t slice_ms = left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS;
    struct timespec slice = {.tv_nsec = (long)slice_ms * 1000000};
    nanosleep(&slice, NULL);
    if (err) {
      duro_error_free(*err);
      *err = NULL;
    }
  }
}

duro_code duro__owner_lock(duro_runtime *rt, duro_error **err) {
  if (rt->lock_fd >= 0) return DURO_OK;
  if (in_memory(rt)) {
    describe_self(rt);
    return DURO_OK;
  }
  return keep_trying(rt, try_lock, err);
}

// --- The lease ---

static duro_code busy_lease(const duro_runtime *rt, const duro_lease *held, duro_error **err) {
  char owner[160];
  snprintf(owner, sizeof owner, "process %lld on host %.*s, whose lease ends in %lld s",
           (long long)held->pid, (int)(held->host.n < 60 ? held->host.n : 60), held->host.p,
           (long long)((held->expires_at_ms - duro_clock_wall_ms()) / 1000 + 1));
  return busy(rt, owner, err);
}

// With the kernel's lock in hand an old lease of this host is a dead process's: it is taken at once. One
// of another host may be alive until it ends.
static duro_code try_lease(duro_runtime *rt, duro_error **err) {
  char host[256], owner[400];
  duro_arena arena = {0};
  duro_lease held = {0}, wanted = {0};
  int64_t now_ms = duro_clock_wall_ms();
  char random[DURO_RUN_ID_SIZE];
  duro_run_id(random);
  wanted.host = host_name(host);
  int n = snprintf(owner, sizeof owner, "%d@%s-%.8s", rt->pid, host, random);
  wanted.owner = (duro_str){owner, n > 0 && n < (int)sizeof owner ? (size_t)n : 0};
  wanted.pid = rt->pid;
  wanted.acquired_at_ms = now_ms;
  wanted.expires_at_ms = now_ms + DURO_LEASE_MS;
  duro_code code = duro__store_lease(rt->store, &arena, &held, err);
  if (!code) {
    bool ours = !held.epoch || duro_str_equal(held.host, wanted.host);
    duro_lease other = {0};
    code = duro__store_acquire(rt->store, &wanted, ours, now_ms, &arena, &other, err);
    if (code == DURO_BUSY) busy_lease(rt, other.epoch ? &other : &held, err);
    if (!code) rt->epoch = other.epoch;
  }
  if (!code) rt->lease_renew_at_ms = now_ms + RENEW_EVERY_MS;
  duro_arena_free(&arena);
  return code;
}

duro_code duro__owner_acquire(duro_runtime *rt, duro_error **err) {
  bool had_lock = rt->lock_fd >= 0;
  duro_code code = duro__owner_lock(rt, err);
  if (code) return code;
  code = keep_trying(rt, try_lease, err);
  if (code && !had_lock) unlock(rt);
  return code;
}

bool duro__owner_lives(duro_runtime *rt) {
  if (in_memory(rt)) return false;
  char host[256], *path = lock_path(rt);
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  bool cannot_tell = fd < 0 && errno != ENOENT;
  free(path);
  if (fd >= 0) {
    bool held = lock_is_held(fd);
    close(fd);
    if (held) return true;
  }
  // No process here: perhaps one on another host.
  duro_arena arena = {0};
  duro_lease lease = {0};
  bool lives = duro__store_lease(rt->store, &arena, &lease, NULL) == DURO_OK && lease.epoch &&
               (cannot_tell || !duro_str_equal(lease.host, host_name(host))) &&
               lease.expires_at_ms > duro_clock_wall_ms();
  duro_arena_free(&arena);
  return lives;
}

bool duro_has_owner(duro_runtime *rt) {
  return rt->role == DURO_ROLE_RUNTIME || duro__owner_lives(rt);
}

// --- Renewing ---

static void renew_run(duro_runtime *rt, duro__command *c) {
  int64_t now_ms = duro_clock_wall_ms();
  c->code = duro__store_renew(rt->store, c->number, now_ms, now_ms + DURO_LEASE_MS, &c->error);
}

static void renew_done(duro_runtime *rt, duro__command *c) {
  if (c->code == DURO_LOCKED) {
    rt->lost = true;
    duro__log(rt, "error", "the lease was lost: %s", c->error ? c->error->message : "");
  } else if (c->code) {
    rt->lease_renew_at_ms = duro_clock_wall_ms() + RENEW_AGAIN_MS;
    duro__log(rt, "warn", "the lease could not be renewed: %s", c->error ? c->error->message : "");
  }
  duro_error_free(c->error);
  duro_arena_free(&c->arena);
  free(c);
}

void duro__owner_renew(duro_runtime *rt) {
  if (rt->role != DURO_ROLE_RUNTIME || rt->lost || in_memory(rt)) return;
  int64_t now_ms = duro_clock_wall_ms();
  // A clock that was set back must not keep us from renewing.
  if (rt->lease_renew_at_ms > now_ms + RENEW_EVERY_MS) rt->lease_renew_at_ms = now_ms;
  if (now_ms < rt->lease_renew_at_ms) return;
  duro__command *c = duro__command_new(renew_run, renew_done);
  if (!c) return;
  rt->lease_renew_at_ms = now_ms + RENEW_EVERY_MS;
  c->number = rt->epoch;
  duro__writer_push(rt, c);
}

// After the store thread has stopped. The file stays: another process may be opening it just now.
void duro__owner_release(duro_runtime *rt) {
  if (rt->store && rt->epoch && !rt->lost) duro__store_release(rt->store, rt->epoch, NULL);
  rt->epoch = 0;
  unlock(rt);
}
