// The memory store when memory is out: a write that fails at any allocation leaves no trace.
//
// table.c makes all allocations of its writes; here it is compiled with an allocator that fails on
// demand, in the place of the library's.
#include "check.h"

#include <stdlib.h>

static long allowed = -1; // allocations until one fails; below 0: none does

static bool is_refused(void) {
  if (allowed < 0) return false;
  if (allowed == 0) return true;
  allowed--;
  return false;
}
static void *scarce_malloc(size_t n) { return is_refused() ? NULL : malloc(n); }
static void *scarce_realloc(void *p, size_t n) { return is_refused() ? NULL : realloc(p, n); }

#define malloc  scarce_malloc
#define realloc scarce_realloc
#include "../../csrc/store/memory/table.c"
#undef malloc
#undef realloc

#include "duro_store.h"

#define NOW INT64_C(1763780000000)

static const duro_store_ops *const ops = &duro_store_memory;

static duro_instance_row row_of(int64_t key, const char *id) {
  return (duro_instance_row){.key = key,
                             .id = duro_str_from(id),
                             .name = DURO_STR("order"),
                             .status = DURO_STATUS_RUNNING,
                             .created_at_ms = NOW,
                             .updated_at_ms = NOW,
                             .execution_id = 1,
                             .waiting_on = DURO_STR("[]")};
}

static duro_turn_row turn_of(int64_t seq, int64_t key, int64_t event) {
  return (duro_turn_row){.seq = seq,
                         .instance_key = key,
                         .execution_id = 1,
                         .first_event_id = event,
                         .event_count = 1,
                         .wake_at_ms = DURO_NEVER,
                         .waiting_on = DURO_STR("[]"),
                         .at_ms = NOW,
                         .events = DURO_STR("[{\"id\":1,\"kind\":\"resumed\"}]")};
}

// A store with instances 1 to 40, each with a turn (all but ten of them folded) and a message.
static duro_store *open_busy_store(int64_t *epoch) {
  enum { BUSY = 40 };
  static char ids[BUSY][8];
  duro_instance_row rows[BUSY];
  duro_turn_row turns[BUSY];
  duro_message_row messages[BUSY];
  duro_store *s = NULL;
  duro_arena arena = {0};
  duro_lease held,
      wanted = {.owner = DURO_STR("o"), .host = DURO_STR("h"), .expires_at_ms = NOW + 9};
  size_t folded;
  CHECK_INT(ops->open(&(duro_store_options){.path = ":memory:"}, &s, NULL), DURO_OK);
  CHECK_INT(ops->acquire(s, &wanted, false, NOW, &arena, &held, NULL), DURO_OK);
  *epoch = held.epoch;
  for (int i = 0; i < BUSY; i++) {
    snprintf(ids[i], sizeof ids[i], "i%d", i % 100);
    rows[i] = row_of(i + 1, ids[i]);
    turns[i] = turn_of(i + 1, i + 1, 1);
    messages[i] = (duro_message_row){i + 1, i + 1, 1, DURO_STR("{}")};
  }
  duro_batch b = {.id = 1,
                  .epoch = *epoch,
                  .last_seq = BUSY,
                  .last_key = BUSY,
                  .inserts = rows,
                  .insert_count = BUSY,
                  .turns = turns,
                  .turn_count = BUSY,
                  .messages = messages,
                  .message_count = BUSY};
  CHECK_INT(ops->commit(s, &b, NULL), DURO_OK);
  CHECK_INT(ops->fold(s, *epoch, NOW, BUSY - 10, &folded, NULL), DURO_OK);
  duro_arena_free(&arena);
  return s;
}

// All that can be read, as one text.
static char *everything(duro_store *s) {
  duro_arena arena = {0};
  duro_buf b = {0};
  duro_store_marks marks;
  duro_instance_rows rows;
  duro_changes changes;
  ops->marks(s, &arena, &marks, NULL);
  ops->list(s, &(duro_list_query){.limit = 1000, .ascending = true}, &arena, &rows, NULL);
  ops->changes(s, 0, 1000, &arena, &changes, NULL);
  duro_buf_printf(&b, "batch %lld seq %lld folded %lld changes %zu\n", (long long)marks.last_batch,
                  (long long)marks.last_seq, (long long)marks.folded_seq, changes.count);
  for (size_t i = 0; i < rows.count; i++) {
    duro_loaded loaded;
    ops->load(s, rows.items[i].key, &arena, &loaded, NULL);
    duro_buf_printf(&b, "%.*s %d turns %lld texts %zu messages %zu\n", DURO_FMT(rows.items[i].id),
                    loaded.instance.status, (long long)loaded.instance.turns, loaded.history.count,
                    loaded.message_count);
  }
  duro_buf_add_char(&b, 0);
  duro_arena_free(&arena);
  return b.p;
}

static duro_code write_batch(duro_store *s, int64_t epoch) {
  duro_instance_row rows[] = {row_of(101, "new-a"), row_of(102, "i3")};
  duro_turn_row turns[] = {turn_of(101, 101, 1), turn_of(102, 9, 2), turn_of(103, 40, 2)};
  duro_instance_update updates[] = {
      {DURO_SET_STATUS, {.key = 9, .status = DURO_STATUS_COMPLETED, .completed_at_ms = NOW}},
      {DURO_SET_EXECUTION, {.key = 40, .execution_id = 2, .version = DURO_STR("2")}}};
  duro_execution_row executions[] = {{.instance_key = 40, .execution_id = 1}};
  duro_message_row messages[] = {{101, 101, 1, DURO_STR("{}")}};
  int64_t messages_done[] = {9, 40}, deletes[] = {4, 1, 17};
  duro_batch b = {.id = 2,
                  .previous = 1,
                  .epoch = epoch,
                  .last_seq = 103,
                  .inserts = rows,
                  .insert_count = 2,
                  .turns = turns,
                  .turn_count = 3,
                  .updates = updates,
                  .update_count = 2,
                  .executions = executions,
                  .execution_count = 1,
                  .messages = messages,
                  .message_count = 1,
                  .messages_done = messages_done,
                  .messages_done_count = 2,
                  .deletes = deletes,
                  .delete_count = 3};
  return ops->commit(s, &b, NULL);
}

static duro_code write_fold(duro_store *s, int64_t epoch) {
  size_t folded;
  return ops->fold(s, epoch, NOW, 100, &folded, NULL);
}

static duro_code write_post(duro_store *s, int64_t epoch) {
  (void)epoch;
  duro_instance_row row = row_of(0, "posted");
  duro_request_row request = {.kind = DURO_STR("start"), .instance_id = DURO_STR("posted")};
  int64_t id;
  return ops->post(s, &(duro_post){&row, 1, &request, 1, &id, NOW}, NULL);
}

// Runs the write with ever more memory until it goes well.
static void check_leaves_no_trace(duro_code (*write)(duro_store *s, int64_t epoch)) {
  int64_t epoch;
  duro_store *s = open_busy_store(&epoch);
  char *before = everything(s);
  duro_code code = DURO_OUT_OF_MEMORY;
  long tried = 0;
  for (; code == DURO_OUT_OF_MEMORY && tried < 1000; tried++) {
    allowed = tried;
    code = write(s, epoch);
    allowed = -1;
    if (code != DURO_OUT_OF_MEMORY) break;
    char *after = everything(s);
    CHECK_STR(after, before);
    free(after);
  }
  CHECK_INT(code, DURO_OK);
  CHECK(tried > 2);
  char *after = everything(s);
  CHECK(strcmp(after, before) != 0);
  free(after);
  free(before);
  ops->close(s);
}

TEST(a_batch_without_memory_leaves_no_trace) { check_leaves_no_trace(write_batch); }
TEST(folding_without_memory_leaves_no_trace) { check_leaves_no_trace(write_fold); }
TEST(a_post_without_memory_leaves_no_trace) { check_leaves_no_trace(write_post); }

// --- The table itself, against a plain model ---

typedef struct number_row {
  int64_t key, value;
} number_row;

static int by_number(const void *a, const void *b) {
  return compare_ints(((const number_row *)a)->key, ((const number_row *)b)->key);
}

TEST(a_table_is_what_its_kept_transactions_made_it) {
  enum { KEYS = 60 };
  static const row_shape shape = {sizeof(number_row), by_number, 0, {0}};
  table t = {.shape = &shape};
  table_log log = {0};
  int64_t want[KEYS] = {0}, kept[KEYS];
  uint64_t seed = 12345;
  for (int round = 0; round < 4000; round++) {
    memcpy(kept, want, sizeof want);
    for (int i = 0; i < 8; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      int64_t key = (int64_t)(seed >> 33) % KEYS, value = (int64_t)(seed >> 40) + 1;
      if (round % 3 == 0) key /= 6; // at the front, where rows leave cheaply
      number_row row = {key, value};
      bool remove = (seed >> 60) < 8;
      CHECK_INT(remove ? duro__table_remove(&t, &log, &row, NULL)
                       : duro__table_put(&t, &log, &row, NULL),
                DURO_OK);
      kept[key] = remove ? 0 : value;
    }
    bool fails = (seed >> 50) % 3 == 0;
    duro__tables_finish(&log, fails ? DURO_STORAGE : DURO_OK);
    if (!fails) memcpy(want, kept, sizeof want);
    size_t count = 0;
    for (int64_t key = 0; key < KEYS; key++) {
      const number_row *row = duro__table_get(&t, &(number_row){.key = key});
      count += want[key] != 0;
      if (!CHECK_INT(row ? row->value : 0, want[key])) return;
    }
    if (!CHECK_INT(t.count, count)) return;
  }
  duro__table_free(&t);
  free(log.items);
}

CHECK_MAIN()
