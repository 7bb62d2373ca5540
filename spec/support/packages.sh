#!/bin/sh
# Installs those Debian packages of a list that are missing; silent when none is.
#
#   sh packages.sh 'gcc cmake luajit2|luajit'
#
# a|b is satisfied by either; when both are missing the first is installed. Nothing is ever removed
# for it. Where there is no dpkg the tools are taken to be there: CMake says what it misses.
set -eu

command -v dpkg-query >/dev/null || exit 0
installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' | tr ' ' '\n' |
  sed -n 's/^installed=//p' | tr '\n' ' ')"

missing=
for choice in $1; do
  found=
  for package in $(echo "$choice" | tr '|' ' '); do
    case $installed in *" $package "*) found=yes ;; esac
  done
  [ "$found" ] || missing="$missing ${choice%%|*}"
done
[ "$missing" ] || exit 0

echo "missing Debian packages:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install them as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  as_root=sudo
fi

# The lists of a fresh or an old machine may not know the packages, or know versions that are gone.
plan() { LC_ALL=C apt-get install --simulate --no-install-recommends $missing; }
install() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=120 $missing </dev/null
}
plan >/dev/null 2>&1 || $as_root apt-get update -q
removed=$(plan 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/ \1/p' | tr -d '\n')
if [ "$removed" ]; then
  echo "not installed, because that would remove$removed: please decide by hand" >&2
  exit 1
fi
echo "installing them"
install || { $as_root apt-get update -q && install; }
