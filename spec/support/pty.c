// pty: holds a conversation with a program that believes it sits at a terminal.
//
//   pty <columns> <script> <program> [argument...]
//
// Each line of the script is "expect TEXT", which waits until the program has printed TEXT after what was expected
// before, or "send TEXT". TEXT has the escapes \n, \\ and \xHH. After the last line the program has to end by
// itself. Everything it printed goes to the standard output, then "(exit N)". Nothing is waited for longer than
// 20 s: then it is killed and "(missing: TEXT)" is added. The exit status is 0 when all went as written.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000

static int master;
static pid_t program;
static char printed[1 << 20];
static size_t printed_size, matched;
static bool ended; // the program has closed its terminal

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void start(unsigned short columns, char **argv) {
  master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) || unlockpt(master)) {
    perror("pty");
    exit(2);
  }
  struct winsize size = {.ws_row = 24, .ws_col = columns};
  program = fork();
  if (program) return;
  setsid();
  int terminal = open(ptsname(master), O_RDWR); // the first one opened becomes the controlling one
  if (terminal < 0) _exit(126);
  ioctl(terminal, TIOCSCTTY, 0);
  ioctl(terminal, TIOCSWINSZ, &size);
  dup2(terminal, 0);
  dup2(terminal, 1);
  dup2(terminal, 2);
  if (terminal > 2) close(terminal);
  execvp(argv[0], argv);
  _exit(127);
}

// Waits for more output. False: there is none before the deadline.
static bool more(long long deadline_ms) {
  struct pollfd fd = {.fd = master, .events = POLLIN};
  long long left_ms = deadline_ms - now_ms();
  if (left_ms <= 0 || printed_size == sizeof printed) return false;
  if (poll(&fd, 1, (int)left_ms) <= 0) return errno == EINTR;
  ssize_t n = read(master, printed + printed_size, sizeof printed - printed_size);
  if (n <= 0) {
    ended = true;
  } else {
    printed_size += (size_t)n;
  }
  return true;
}

static int finish(const char *missing) {
  int status = 0;
  if (missing) kill(program, SIGKILL);
  waitpid(program, &status, 0);
  fwrite(printed, 1, printed_size, stdout);
  if (missing) printf("\n(missing: %s)", missing);
  printf("\n(exit %d)\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return missing || status != 0;
}

static bool expect(const char *text, size_t size) {
  long long deadline_ms = now_ms() + DEADLINE_MS;
  for (;;) {
    const char *found = memmem(printed + matched, printed_size - matched, text, size);
    if (found) {
      matched = (size_t)(found - printed) + size;
      return true;
    }
    if (ended || !more(deadline_ms)) return false;
  }
}

static bool expect_end(void) {
  long long deadline_ms = now_ms() + DEADLINE_MS;
  while (!ended) {
    if (!more(deadline_ms)) return false;
  }
  return true;
}

static size_t unescape(char *text) {
  char *out = text;
  for (const char *in = text; *in;) {
    unsigned value;
    if (in[0] != '\\') {
      *out++ = *in++;
    } else if (in[1] == 'x' && sscanf(in + 2, "%2x", &value) == 1) {
      *out++ = (char)value;
      in += 4;
    } else {
      *out++ = in[1] == 'n' ? '\n' : in[1];
      in += 2;
    }
  }
  return (size_t)(out - text);
}

static bool send_text(const char *text, size_t size) {
  return write(master, text, size) == (ssize_t)size;
}

int main(int argc, char **argv) {
  FILE *script = argc > 3 ? fopen(argv[2], "r") : NULL;
  if (!script) {
    fprintf(stderr, "pty <columns> <script> <program> [argument...]\n");
    return 2;
  }
  start((unsigned short)atoi(argv[1]), argv + 3);
  char line[4096], text[4096];
  while (fgets(line, sizeof line, script)) {
    line[strcspn(line, "\n")] = '\0';
    bool sends = strncmp(line, "send ", 5) == 0;
    if (!sends && strncmp(line, "expect ", 7) != 0)
      return finish("a line of the script is neither");
    strcpy(text, line + (sends ? 5 : 7));
    size_t size = unescape(text);
    if (sends ? !send_text(text, size) : !expect(text, size)) return finish(line);
  }
  fclose(script);
  return finish(expect_end() ? NULL : "the end of the program");
}
