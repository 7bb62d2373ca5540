#!/bin/sh
# The main job, killed twice: runs the audit of debsums.lua, ends its process with SIGKILL when a third
# and when two thirds of the packages are done, goes on each time, and compares what it found with an
# independent answer. Exit status 0 only when both agree.
#
# The independent answer is md5sum -c over the same .md5sums files, begun together with the audit. Not
# dpkg --verify: that prints failures only, so a chunk of intact files that the audit forgot would not
# be noticed; md5sum -c has a line for every file. Where files are (diversions) and whose they are
# (.list) it learns here from awk, not from the audit. Files that cannot be read, being absent or by
# dpkg's path-exclude or by lack of rights, are one kind on both sides: "unread".
#
#   sh examples/demo.sh          LUA=luajit runs it on LuaJIT
# For the spec: DEBSUMS_ROOT is another root directory to audit, DEBSUMS_CHECK_ROOT another one for the
# independent answer (they must then disagree). DEBSUMS_PAUSE slows the audit down; a machine with few
# packages gets a little of it, or there would be no middle to be killed in.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
home=$(dirname "$here")
lua=${LUA:-lua5.4}
if [ -z "${LUA_PATH:-}" ]; then
  export LUA_PATH="$home/lua/?.lua;$home/lua/?/init.lua;;"
fi
if [ -z "${LUA_CPATH:-}" ]; then
  export LUA_CPATH="$home/build/$lua/?.so;;"
fi
export DEBSUMS_ROOT="${DEBSUMS_ROOT:-/}"
check_root=${DEBSUMS_CHECK_ROOT:-$DEBSUMS_ROOT}

if ! [ -d "$DEBSUMS_ROOT/var/lib/dpkg/info" ]; then
  echo "no dpkg database in $DEBSUMS_ROOT/var/lib/dpkg: this demo audits the packages of a Debian machine" >&2
  exit 1
fi

work=$(mktemp -d)
db=$work/audit.db
audit=
check=
finish() {
  for process in $audit $check; do kill -9 "$process" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

debsums() { "$lua" "$here/debsums.lua" "$@"; }
now() { date +%s.%3N; }

# All recorded checksums as one list, with each file where it really is.
recorded_checksums() {
  for sums in var/lib/dpkg/info/*.md5sums; do
    package=${sums#var/lib/dpkg/info/}
    printf 'package %s\n' "${package%.md5sums}"
    printf 'list %s\n' "${sums%.md5sums}.list"
    printf 'sums %s\n' "$sums"
  done | awk '
    BEGIN {
      diversions = "var/lib/dpkg/diversions"
      while ((getline from < diversions) > 0 && (getline to < diversions) > 0 && (getline by < diversions) > 0) {
        moved[substr(from, 2)] = substr(to, 2)
        mover[substr(from, 2)] = by
      }
    }
    { what = $1; rest = substr($0, length($1) + 2) }
    what == "package" { name = rest; sub(/:.*/, "", name); split("", owned) }
    what == "list" { while ((getline line < rest) > 0) owned[substr(line, 2)] = 1; close(rest) }
    what == "sums" {
      while ((getline line < rest) > 0) {
        if (sub(/^\\/, "", line)) gsub(/\\\\/, "\\", line)
        path = substr(line, 35)
        sub(/^\.?\/+/, "", path)
        if (!(path in owned)) continue
        if (path in moved && mover[path] != name) path = moved[path]
        print substr(line, 1, 34) path
      }
      close(rest)
    }'
}

# The independent answer, in the words of `debsums.lua failures`. md5sum starts a line with a backslash
# when it had to escape the path.
independent_answer() {
  cd "$check_root"
  recorded_checksums >"$work/recorded"
  md5sum -c "$work/recorded" >"$work/checked" 2>"$work/check.log" || true
  sed -n -e '/^\\/ { s/^\\//; s/\\\\/\\/g; }' \
    -e 's/^\(.*\): FAILED open or read$/unread \1/p' -e 's/^\(.*\): FAILED$/mismatch \1/p' "$work/checked"
  echo "files $(wc -l <"$work/checked")"
}

start_audit() {
  "$lua" "$here/debsums.lua" audit "$db" &
  audit=$!
}

# kill_at <packages done>: a real SIGKILL, and never a gentle one by mistake.
kill_at() {
  if ! done=$(debsums until "$db" "$1"); then
    echo "the audit could not be killed at $1 packages" >&2
    exit 1
  fi
  kill -9 "$audit"
  echo "kill $(now)" >>"$db-runs.log"
  status=0
  wait "$audit" 2>/dev/null || status=$?
  audit=
  if [ "$status" != 137 ]; then
    echo "the audit ended with status $status before it could be killed" >&2
    exit 1
  fi
  printf '\n== killed with SIGKILL when %s of %s packages were done; starting it again\n' "$done" "$packages"
}

packages=$(find "$DEBSUMS_ROOT/var/lib/dpkg/info" -name '*.md5sums' | wc -l)
if [ "$packages" -lt 400 ]; then
  export DEBSUMS_PAUSE="${DEBSUMS_PAUSE:-0.2}"
fi
echo "== auditing $packages packages; md5sum -c does the same beside it"
independent_answer >"$work/independent" &
check=$!
start_audit
kill_at $((packages / 3))
start_audit
kill_at $((packages * 2 / 3))
start_audit
wait "$audit" || { echo "the audit failed" >&2; exit 1; }
audit=

printf '\n== the report\n'
debsums report "$db"

wait "$check" || { echo "the independent check failed" >&2; exit 1; }
check=
debsums failures "$db" | sort >"$work/found"
sort "$work/independent" >"$work/expected"
if ! cmp -s "$work/found" "$work/expected"; then
  {
    printf '\n== the audit and md5sum -c DISAGREE\n'
    comm -23 "$work/found" "$work/expected" | sed 's/^/only the audit says:   /'
    comm -13 "$work/found" "$work/expected" | sed 's/^/only md5sum -c says:   /'
  } >&2
  exit 1
fi
printf '\n== md5sum -c agrees: %s, %s of them not as recorded\n' "$(grep '^files ' "$work/found")" \
  "$(grep -vc '^files ' "$work/found")"
