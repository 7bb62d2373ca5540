// The arithmetic of keys and seqs.
//
// Instance keys: (milliseconds since 2020) << 20 | made by a client << 19 | counter.
//
// Invariant: duro_key_next ascends strictly and stays in its maker's half of a millisecond; when
// that half is used up it borrows from the next millisecond, so a key may run ahead of the clock
// but never repeats.
// Public seqs: a row with the seq s that took k seqs has the public ones in ((s - k) * 64, s * 64], its last
// event at the end.
#include "model/batch.h"

#define MAKER_BIT (INT64_C(1) << DURO_KEY_COUNTER_BITS)
#define MS_SHIFT  (DURO_KEY_COUNTER_BITS + 1)
#define MAX_MS    (INT64_MAX >> MS_SHIFT)

int64_t duro_key_floor(int64_t created_ms) {
  if (created_ms <= DURO_KEY_EPOCH_MS) return 0;
  int64_t ms = created_ms - DURO_KEY_EPOCH_MS;
  return (ms < MAX_MS ? ms : MAX_MS) << MS_SHIFT;
}

int64_t duro_key_next(int64_t last_key, int64_t now_ms, bool by_client) {
  int64_t maker = by_client ? MAKER_BIT : 0;
  int64_t first = duro_key_floor(now_ms) | maker;
  if (first > last_key) return first;
  int64_t next = last_key + 1;
  if ((next & MAKER_BIT) == maker) return next;
  int64_t ms = next >> MS_SHIFT;
  return by_client ? ms << MS_SHIFT | MAKER_BIT : (ms + 1) << MS_SHIFT;
}

int64_t duro_key_created_ms(int64_t key) { return (key >> MS_SHIFT) + DURO_KEY_EPOCH_MS; }

int64_t duro_turn_seqs(int64_t event_count) {
  return event_count <= DURO_EVENTS_PER_SEQ
             ? 1
             : (event_count + DURO_EVENTS_PER_SEQ - 1) / DURO_EVENTS_PER_SEQ;
}

int64_t duro_public_seq(int64_t row_seq, int64_t event_count, int64_t place) {
  int64_t behind = event_count ? event_count - 1 - place : 0;
  return row_seq * DURO_EVENTS_PER_SEQ - behind;
}

int64_t duro_public_seq_row(int64_t public_seq) { return public_seq / DURO_EVENTS_PER_SEQ; }
