#!/bin/sh
# Builds and installs the rock for Lua 5.4 and for LuaJIT, and runs an orchestration from it.
#
# Works in a temporary folder on a copy of the tree, away from the checkout and from the home folder,
# with a server that does not exist: what is not on this machine is not needed. Prints one line for
# each Lua.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

# check <lua> <luarocks version> [luarocks variable=value...]
check() {
  lua=$1
  version=$2
  shift 2
  tree=$tmp/$lua
  mkdir -p "$tree/source" "$tree/home"
  (cd "$root" && tar cf - --exclude=./build --exclude=./build.luarocks --exclude=./.git .) |
    tar xf - -C "$tree/source"
  if ! (cd "$tree/source" && HOME=$tree/home MAKEFLAGS="-j2" luarocks --lua-version="$version" \
    --only-server="$tmp/none" make --tree="$tree/rocks" duro-scm-1.rockspec "$@") \
    >"$tree/log" 2>&1 </dev/null; then
    cat "$tree/log" >&2
    echo "rock for $lua: not installed" >&2
    return 1
  fi
  (cd "$tree" && env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 \
    LUA_PATH="$tree/rocks/share/lua/$version/?.lua;$tree/rocks/share/lua/$version/?/init.lua" \
    LUA_CPATH="$tree/rocks/lib/lua/$version/?.so" \
    "$lua" "$root/spec/support/use_rock.lua") || {
    echo "rock for $lua: installed, but does not work" >&2
    return 1
  }
  echo "rock for $lua: installed and works"
}

check lua5.4 5.4
check luajit 5.1 LUA_INCDIR="$(pkg-config --variable=includedir luajit)"
