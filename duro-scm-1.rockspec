-- The rock of duro: `luarocks --lua-version=5.4 make` builds it with CMake and installs it.
-- For LuaJIT: luarocks --lua-version=5.1 make LUA_INCDIR=/usr/include/luajit-2.1
rockspec_format = "3.0"
package = "duro"
version = "scm-1"

source = {
  url = ".",
}

description = {
  summary = "Durable execution for Lua",
  detailed = [[
Write an orchestration as a plain Lua function; it survives crashes, restarts and years of waiting,
in one SQLite file, inside the process that requires it.]],
  license = "MIT",
}

dependencies = {
  "lua >= 5.1, < 5.5", -- 5.4, or LuaJIT 2.1, which calls itself 5.1
}

external_dependencies = {
  SQLITE3 = { header = "sqlite3.h", library = "sqlite3" },
  LIBUV = { header = "uv.h", library = "uv" },
}

build = {
  type = "cmake",
  variables = {
    CMAKE_C_FLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    SQLITE3_LIBDIR = "$(SQLITE3_LIBDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
  },
}

test = {
  type = "command",
  command = "make test",
}
