#!/usr/bin/env bash
# Installs what the tests use besides Rust: system tools, Python's gRPC clients, an OTLP collector, Prometheus. What can't be installed is
# named, and the tests that need it say that they were skipped. Idempotent.
set -euo pipefail
tools=$1

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi; }
say() { echo "setup: $*" >&2; }

missing=()
command -v cc >/dev/null || missing+=(build-essential)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v ip >/dev/null || missing+=(iproute2)
command -v strace >/dev/null || missing+=(strace)
command -v iptables >/dev/null || missing+=(iptables)
command -v faketime >/dev/null || missing+=(faketime)
command -v unshare >/dev/null || missing+=(util-linux)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || missing+=(docker-compose)
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
  say "installing ${missing[*]}"
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
    say "could not install ${missing[*]}"
fi

mkdir -p "$tools"
[ -x "$tools/python/bin/python" ] || python3 -m venv "$tools/python" >&2 || say "no Python environment"
if [ -x "$tools/python/bin/pip" ] && ! "$tools/python/bin/python" -c 'import grpc, grpc_reflection, grpc_requests, grpc_tools, rotel, yaml' 2>/dev/null; then
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check grpcio grpcio-reflection grpcio-tools grpc_requests rotel==0.0.1a15 pyyaml >&2 ||
    say "could not install the Python clients"
fi

# Unpacked, not installed: the package would start a server of its own.
if [ ! -x "$tools/prometheus/usr/bin/prometheus" ] && command -v apt-get >/dev/null; then
  fetched=$(mktemp -d)
  chmod 777 "$fetched"
  fetch() { (cd "$fetched" && apt-get download -qq prometheus) >&2; }
  { fetch || { as_root apt-get update -qq >&2 && fetch; }; } && mkdir -p "$tools/prometheus" &&
    dpkg-deb -x "$fetched"/prometheus_*.deb "$tools/prometheus" || say "could not fetch prometheus"
  rm -rf "$fetched"
fi
