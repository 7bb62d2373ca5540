// fdatasync: the ceiling of what waits for the disk: 4 KB written into a file and made durable, again and
// again. With `over` the file has its size already, as a log that is used again; with `append` it grows, so
// that its new size is written too, which costs about as much again.
//
//   fdatasync FILE TIMES over|append      prints the median latency in microseconds
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: %s FILE TIMES over|append\n", arguments[0]);
    return 2;
  }
  long times = atol(arguments[2]);
  static char page[4096];
  double *took = calloc((size_t)times + 1, sizeof *took);
  int fd = open(arguments[1], O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (!took || fd < 0) return 1;
  for (long n = 0; n < times; n++) {
    if (write(fd, page, sizeof page) != (ssize_t)sizeof page) return 1;
  }
  bool over = strcmp(arguments[3], "over") == 0;
  if (fsync(fd) || (over && lseek(fd, 0, SEEK_SET) != 0)) return 1;
  for (long n = 0; n < times; n++) {
    double began = now_us();
    if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd)) return 1;
    took[n] = now_us() - began;
  }
  qsort(took, (size_t)times, sizeof *took, by_size);
  printf("%.1f\n", took[times / 2]);
  close(fd);
  remove(arguments[1]);
  free(took);
  return 0;
}
