#!/bin/sh
# Makes what the tests and the demo need, under node_modules and .parts only: the npm packages of the
# lock file and, unpacked and never installed, Debian's redis-server, goiardi, Nagios, promtool and shells, and Chromium where the
# system has none. Idempotent.
# usage: setup.sh [npm | demo]    npm: the npm packages only; demo: what the demo needs
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

npm_packages() {
  # npm writes this file last, so an interrupted install is done again. POSIX has -nt since 2024.
  # shellcheck disable=SC3013
  [ node_modules/.package-lock.json -nt package-lock.json ] && return
  say 'npm ci'
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
}

parts='redis-server redis-tools goiardi nagios4-core nagios4-cgi prometheus shellcheck debhelper libdebhelper-perl'
# What redis-server and shellcheck link to; the rest of these packages needs libc alone.
libraries='libatomic1 libjemalloc2 liblzf1 libffi8 libgmp10'

# The shells under which the hosts' program is tried, besides those that every Debian has.
shells='busybox mksh ksh93u+m zsh yash posh'

# unpack FOLDER MARKER PACKAGES: into .parts/FOLDER, unless the marker says that just these are there.
unpack() {
  wanted=$3
  [ "$(cat "$2" 2>/dev/null)" = "$wanted" ] && return
  { command -v apt-get && command -v dpkg; } >/dev/null ||
    stop "the tests and the demo run real parts from Debian packages ($wanted): apt-get and dpkg are needed"
  rm -rf ".parts/$1" .parts/debs
  mkdir -p ".parts/$1" .parts/debs
  say "unpacking $wanted into .parts/$1"
  # shellcheck disable=SC2086
  download() { (cd .parts/debs && apt-get download $wanted >&2); }
  if ! download 2>/dev/null; then
    if [ "$(id -u)" -eq 0 ]; then apt-get update >&2 || true; fi
    download || stop "could not download packages. Run: sudo apt-get update; then run this again"
  fi
  for deb in .parts/debs/*.deb; do dpkg -x "$deb" ".parts/$1"; done
  rm -rf .parts/debs
  printf '%s' "$wanted" > "$2"
}

# With those of its libraries that this system lacks: 120 MB to fetch, 400 MB unpacked.
browser() {
  command -v chromium >/dev/null || [ -e .parts/chromium/complete ] && return
  wanted="$(apt-get install --simulate --no-install-recommends chromium 2>/dev/null | awk '/^Inst/ { print $2 }')"
  [ -n "$wanted" ] || stop 'the tests of the page need Chromium. Run: sudo apt-get install chromium'
  rm -rf .parts/chromium .parts/debs
  mkdir -p .parts/chromium .parts/debs
  say 'unpacking chromium into .parts/chromium'
  # shellcheck disable=SC2086
  (cd .parts/debs && apt-get download $wanted >&2) ||
    stop 'could not download Chromium. Run: sudo apt-get update; then run this again, or: sudo apt-get install chromium'
  for deb in .parts/debs/*.deb; do dpkg -x "$deb" .parts/chromium; done
  rm -rf .parts/debs
  touch .parts/chromium/complete
}

locked() {
  npm_packages
  [ "${1:-}" = npm ] || unpack root .parts/unpacked "$parts $libraries"
  [ -n "${1:-}" ] || { unpack shells .parts/shells/unpacked "$shells" && browser; }
}

# Two runs at once (demo and tests, say) set up one after the other.
mkdir -p .parts
exec 9> .parts/lock
flock 9
locked "$@"
