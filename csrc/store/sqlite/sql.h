/* The SQL of this store as text inside the library.
 *
 * The build turns queries.sql and migrations/NNNN_<name>.sql into a C source
 * (csrc/cmake/embed_sql.cmake) that defines what is declared here, so no file has to be found at
 * run time. To add a query or a migration, write SQL; nothing here changes. */
#ifndef DURO_STORE_SQLITE_SQL_H
#define DURO_STORE_SQLITE_SQL_H

typedef struct {
  int version;      /* NNNN of the file's name, as a number */
  const char *name; /* the rest of the file's name, without .sql */
  const char *sql;
} duro__sqlite_migration;

/* The whole text of queries.sql, with its "-- name:" lines. */
extern const char duro__sqlite_queries[];

/* Sorted by version, each greater than the one before; an entry with version 0 follows the last. */
extern const duro__sqlite_migration duro__sqlite_migrations[];
extern const int duro__sqlite_migration_count;

#endif
