/* A history that was damaged in any way is read whole or refused as corrupt; what was read is written so
 * that it reads back the same. */
#include <stdlib.h>

#include "model/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False: it was refused. */
static bool again(duro_str text, duro_buf *written) {
  duro_arena arena = {0};
  duro_events events = {0};
  duro_error *err = NULL;
  duro_code code = duro_events_decode(&text, 1, &arena, &events, &err);
  if (code != DURO_OK && code != DURO_CORRUPT) abort();
  if ((code != DURO_OK) != (err != NULL)) abort();
  duro_buf_add_char(written, '[');
  for (size_t i = 0; i < events.count && code == DURO_OK; i++) {
    if (i > 0) duro_buf_add_char(written, ',');
    duro_event_encode(written, &events.items[i], i > 0 ? events.items[i - 1].at_ms : 0);
  }
  duro_buf_add_char(written, ']');
  duro_error_free(err);
  duro_arena_free(&arena);
  return code == DURO_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  duro_buf once = {0}, twice = {0};
  if (again((duro_str){(const char *)data, size}, &once)) {
    if (!again(duro_buf_str(&once), &twice)) abort();
    if (!duro_str_equal(duro_buf_str(&once), duro_buf_str(&twice))) abort();
  }
  duro_buf_free(&once);
  duro_buf_free(&twice);
  return 0;
}
