// Listed: the table by whose indexes lists, and `due`, find instances.
//
// Invariant: it has exactly the instances whose key is not above its greatest one, `listed_to`, and says
// of each what the instance's row says. Those above have no entry in any index but the one of ids. So a
// commit that begins an instance, and one that ends it soon after, write its row alone; folding brings what
// is new into the table, all at once and in the order of keys; and a list walks the rows above
// `listed_to` besides (list_sql.c), which are at most those of the last second. A key that comes late, below
// `listed_to`, is listed with its row.
// Deleting the newest only lowers `listed_to`, which nobody has to know: nothing lies in between.
// To add a column: here, in queries.sql, and where instances.c sets it.
#include "store/sqlite/internal.h"

static duro_code with_key(duro__sqlite_conn *c, duro__sqlite_query query, int64_t key,
                          duro_error **err) {
  statement st = use(c, query);
  put_int(&st, key);
  return duro__sqlite_run(&st, err);
}

duro_code duro__sqlite_listed_to(duro__sqlite_conn *c, int64_t *out, duro_error **err) {
  statement st = use(c, Q_read_listed_to);
  return duro__sqlite_take_ints(&st, out, 1, NULL, err);
}

duro_code duro__sqlite_list_one(duro__sqlite_conn *c, int64_t key, duro_error **err) {
  return with_key(c, Q_insert_listed, key, err);
}

duro_code duro__sqlite_list_new(duro__sqlite_conn *c, int64_t listed_to, int64_t most,
                                duro_error **err) {
  statement st = use(c, Q_insert_new_listed);
  put_int(&st, listed_to);
  put_int(&st, most);
  return duro__sqlite_run(&st, err);
}

// A list reads the rows of what is not listed, so where many begin each second that must not wait for the
// fold. Those that have ended cost the same now; one that has not will have its entries moved when it ends,
// so only a few of them come along, lest they hold up the others.
duro_code duro__sqlite_list_ended(duro_store *s, duro__sqlite_conn *c, duro_error **err) {
  if (s->unlisted < UNLISTED_ROWS) return DURO_OK;
  s->unlisted = 0;
  duro_code code = with_key(c, Q_insert_ended_listed, s->chain.listed_to, err);
  return code == DURO_OK ? duro__sqlite_listed_to(c, &s->chain.listed_to, err) : code;
}

duro_code duro__sqlite_unlist(duro__sqlite_conn *c, int64_t key, duro_error **err) {
  return with_key(c, Q_delete_listed, key, err);
}
