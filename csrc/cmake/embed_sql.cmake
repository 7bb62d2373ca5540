# Writes the SQL files of the SQLite store as C string constants (declared in store/sqlite/sql.h).
#
# Run by the build as: cmake -DQUERIES=<file or empty> -DMIGRATIONS=<file,file,...> -DOUTPUT=<file.c>
# -P embed_sql.cmake. Migration files are named NNNN_<name>.sql; two with one number, or a number of
# 0, stop the build.

# Sets `out` to the text of the file as lines of adjacent C string literals.
function(read_as_c_string file out)
  file(READ "${file}" text)
  string(REPLACE "\r" "" text "${text}")
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "??" "?\\?" text "${text}") # no trigraphs
  string(REPLACE "\n" "\\n\"\n  \"" text "${text}")
  set(${out} "\n  \"${text}\"" PARENT_SCOPE)
endfunction()

set(queries " \"\"")
if(QUERIES)
  read_as_c_string("${QUERIES}" queries)
endif()

string(REPLACE "," ";" migrations "${MIGRATIONS}")
list(SORT migrations)
set(rows "")
set(count 0)
set(last_version 0)
foreach(file IN LISTS migrations)
  get_filename_component(base "${file}" NAME)
  if(NOT base MATCHES "^([0-9][0-9][0-9][0-9])_([A-Za-z0-9_]+)\\.sql$")
    message(FATAL_ERROR "${base}: a migration is named NNNN_<name>.sql")
  endif()
  set(name "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "^0+" "" version "${CMAKE_MATCH_1}")
  if(NOT version OR NOT version GREATER last_version)
    message(FATAL_ERROR "${base}: migrations are numbered from 0001 on, each number once")
  endif()
  set(last_version "${version}")
  math(EXPR count "${count} + 1")
  read_as_c_string("${file}" sql)
  string(APPEND rows "  {${version}, \"${name}\",${sql}},\n")
endforeach()

file(WRITE "${OUTPUT}" "/* Generated from the .sql files of store/sqlite: edit those. */
#include \"store/sqlite/sql.h\"

const char duro__sqlite_queries[] =${queries};

const duro__sqlite_migration duro__sqlite_migrations[] = {
${rows}  {0, 0, 0},
};

const int duro__sqlite_migration_count = ${count};
")
