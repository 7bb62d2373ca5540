// terminal: how wide the terminal is, and a prompt that reads lines while a runtime's loop turns.
//
// A session reads the standard input without blocking the loop: wait() polls it together with the
// loop's descriptor, read() takes what is there. No signal handler is installed: on a terminal Ctrl-C is
// switched from a signal to a character that ends a line (VEOL), so it arrives among the input, while the
// kernel goes on editing lines. The terminal is put back by close(), by the collector, and at exit.
#include "binding/runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C 3

// The terminal belongs to the process, so there is one of it; whoever changed it last holds it.
static struct {
  struct termios before;
  pid_t pid; // 0: it is as it was
} changed;

// In the background the terminal is another's.
static bool in_foreground(void) { return tcgetpgrp(STDIN_FILENO) == getpgrp(); }

static void put_back(void) {
  if (changed.pid && changed.pid == getpid() && in_foreground()) {
    tcsetattr(STDIN_FILENO, TCSADRAIN, &changed.before);
  }
  changed.pid = 0;
}

// core.terminal_columns() -> integer, or nil when the standard output is no terminal
static int columns(lua_State *L) {
  struct winsize size;
  if (!isatty(STDOUT_FILENO)) return 0;
  const char *given = getenv("COLUMNS");
  long width = given ? strtol(given, NULL, 10) : 0;
  if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  if (width <= 0 || width > 10000) width = 80;
  lua_pushinteger(L, (lua_Integer)width);
  return 1;
}

// Cheap when nothing has changed since.
static void take_over(const struct termios *now) {
  static bool at_exit;
  if (now->c_cc[VINTR] == _POSIX_VDISABLE && now->c_cc[VEOL] == CTRL_C && changed.pid) return;
  if (!in_foreground()) return;
  if (!at_exit) at_exit = atexit(put_back) == 0;
  if (!changed.pid) changed.before = *now;
  changed.pid = getpid();
  struct termios wanted = *now;
  wanted.c_lflag |= ICANON | ECHO;
  wanted.c_cc[VINTR] = _POSIX_VDISABLE;
  wanted.c_cc[VEOL] = CTRL_C;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted);
}

// core.terminal_lines() -> whether the standard input is a terminal, which then gives Ctrl-C as "\3". To be
// called again whenever others may have changed it (a shell, after Ctrl-Z).
static int lines(lua_State *L) {
  struct termios now;
  bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &now) == 0;
  if (is_terminal) take_over(&now);
  lua_pushboolean(L, is_terminal);
  return 1;
}

// core.terminal_restore()
static int restore(lua_State *L) {
  (void)L;
  put_back();
  return 0;
}

// core.terminal_wait(fd, timeout_ms) -> whether there is input; fd -1: only the input is looked at
static int wait_input(lua_State *L) {
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN}};
  lua_Integer timeout_ms = luaL_checkinteger(L, 2);
  int ready = poll(fds, 2, timeout_ms > 60000 ? 60000 : (int)timeout_ms);
  lua_pushboolean(L, ready > 0 && fds[0].revents);
  return 1;
}

// core.terminal_read() -> what is there, at most a few KiB; "" when it has ended; nil when there is nothing
static int read_input(lua_State *L) {
  char bytes[4096];
  ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  lua_pushlstring(L, bytes, n > 0 ? (size_t)n : 0);
  return 1;
}

static const luaL_Reg functions[] = {
    {"terminal_columns", columns}, {"terminal_lines", lines},     {"terminal_restore", restore},
    {"terminal_wait", wait_input}, {"terminal_read", read_input}, {NULL, NULL},
};

void duro__terminal_init(lua_State *L, duro__host *h) { duro__host_functions(L, h, functions); }
