// suggest.c: edit distance with transpositions, so that 'faield' is one step from 'failed'.
#include "runtime/suggest.h"

enum { MAX_WORD = 32 }; // what is longer is no misspelt word of ours

static int least(int a, int b) { return a < b ? a : b; }

static int distance(duro_str a, duro_str b) {
  int rows[MAX_WORD + 1][MAX_WORD + 1];
  if (a.n > MAX_WORD || b.n > MAX_WORD) return MAX_WORD;
  for (size_t j = 0; j <= b.n; j++) rows[0][j] = (int)j;
  for (size_t i = 1; i <= a.n; i++) {
    rows[i][0] = (int)i;
    for (size_t j = 1; j <= b.n; j++) {
      int change = rows[i - 1][j - 1] + (a.p[i - 1] != b.p[j - 1]);
      int best = least(change, least(rows[i][j - 1], rows[i - 1][j]) + 1);
      if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1]) {
        best = least(best, rows[i - 2][j - 2] + 1);
      }
      rows[i][j] = best;
    }
  }
  return rows[a.n][b.n];
}

const char *duro__nearest(duro_str word, const char *const *known) {
  int half = (int)(word.n / 2), best = (half > 2 ? half : 2) + 1;
  const char *found = NULL;
  for (; *known; known++) {
    int d = distance(word, duro_str_from(*known));
    if (d >= best) continue;
    best = d;
    found = *known;
  }
  return found;
}
