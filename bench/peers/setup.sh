#!/usr/bin/env bash
# Puts the peers below a directory of ours, without installing anything: Debian's packages with what they need and isn't
# here yet, unpacked, and npm's packages as the lock file names them. What can't be had is named, and `run.mjs` shows it
# as not run. Idempotent.
set -euo pipefail
tools=$1
here=$(cd "$(dirname "$0")" && pwd)
debian=$tools/debian

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi; }
say() { echo "peers: $*" >&2; }

# Whether one of these programs is here, of the system or unpacked.
have() {
  local found
  for found in "$debian"/$1 /$1; do [ -x "$found" ] && return 0; done
  return 1
}

unpack() {
  local fetched
  fetched=$(mktemp -d)
  chmod 755 "$fetched"
  mkdir -p "$fetched/partial" "$debian"
  # Downloads the package and all it depends on that isn't installed.
  apt-get install -qq -y --no-install-recommends --download-only -o Dir::Cache::archives="$fetched" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$1" >&2 &&
    for package in "$fetched"/*.deb; do dpkg-deb -x "$package" "$debian" || break; done
  rm -rf "$fetched"
}

updated=
# The first word is the package, the second the program that it is wanted for.
while read -r package program; do
  have "$program" && continue
  if command -v apt-get >/dev/null; then
    [ -n "$updated" ] || { updated=yes && as_root apt-get update -qq >&2; } || say "could not ask for newer packages"
    unpack "$package" || true
  fi
  have "$program" || say "could not get $package"
done <<'PACKAGES'
beanstalkd usr/bin/beanstalkd
nats-server usr/*bin/nats-server
redis-server usr/bin/redis-server
postgresql usr/lib/postgresql/*/bin/postgres
strace usr/bin/strace
PACKAGES

# Not `npm ci`, which refuses a lock without the native add-ons of every platform; they are optional, and are left out.
if ! command -v npm >/dev/null; then
  say "no npm: could not get the clients"
elif ! cmp -s "$here/package-lock.json" "$tools/node/installed"; then
  rm -rf "$tools/node" && mkdir -p "$tools/node"
  cp "$here/package.json" "$here/package-lock.json" "$tools/node/"
  npm install --silent --ignore-scripts --omit=optional --no-audit --no-fund --prefix "$tools/node" >&2 &&
    cp "$here/package-lock.json" "$tools/node/installed" || say "could not get the clients"
fi
