/* Runs one fuzz target (LLVMFuzzerTestOneInput) as an ordinary test, without a fuzzer.
 *
 * Every file of the corpus folder goes in as it is, then mutated copies of each: bytes flipped,
 * inserted, removed, the tail cut off. The mutations come from a fixed seed, so a failure repeats.
 * A found crasher becomes a test by putting its file into the corpus. An absent or empty corpus
 * starts from the empty input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MUTATIONS_PER_FILE = 2000, SIZE_MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_state = 88172645463325252u;

/* xorshift64, in 0..below-1. */
static size_t random_below(size_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return below == 0 ? 0 : (size_t)(random_state % below);
}

/* Changes data in place and returns its new size, at most one byte more. */
static size_t mutate(uint8_t *data, size_t size) {
  size_t at = random_below(size);
  switch (random_below(5)) {
  case 0:
    if (size > 0) data[at] ^= (uint8_t)(1u << random_below(8));
    return size;
  case 1:
    if (size > 0) data[at] = (uint8_t)random_below(256);
    return size;
  case 2:
    memmove(data + at + 1, data + at, size - at);
    data[at] = (uint8_t)random_below(256);
    return size + 1;
  case 3:
    if (size == 0) return 0;
    memmove(data + at, data + at + 1, size - at - 1);
    return size - 1;
  default:
    return at;
  }
}

/* Hands over an exact-sized copy, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) exit(1);
  memcpy(copy, data, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static int run_with_mutations(const uint8_t *data, size_t size) {
  uint8_t *work = malloc(size + 64);
  if (work == NULL) exit(1);
  run(data, size);
  for (int i = 0; i < MUTATIONS_PER_FILE; i++) {
    size_t work_size = size;
    memcpy(work, data, size);
    for (size_t n = 1 + random_below(8); n > 0; n--) work_size = mutate(work, work_size);
    run(work, work_size);
  }
  free(work);
  return 1 + MUTATIONS_PER_FILE;
}

static int run_file(const char *dir, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  uint8_t *data = malloc(SIZE_MAX_BYTES);
  if (data == NULL) exit(1);
  size_t size = fread(data, 1, SIZE_MAX_BYTES, file);
  fclose(file);
  int runs = run_with_mutations(data, size);
  free(data);
  return runs;
}

int main(int argc, char **argv) {
  int runs = run_with_mutations((const uint8_t *)"", 0);
  struct dirent **entries = NULL;
  int count = argc > 1 ? scandir(argv[1], &entries, NULL, alphasort) : 0;
  for (int i = 0; i < count; i++) {
    if (entries[i]->d_name[0] != '.') runs += run_file(argv[1], entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  printf("%d inputs\n", runs);
  return 0;
}
