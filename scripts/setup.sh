#!/usr/bin/env bash
# Installs what the tests use besides Rust: system tools and Python's gRPC clients. What can't be installed is
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
# A Docker engine that tests start themselves, and what its image is made of; it needs no registry.
[ -x /usr/sbin/dockerd ] || command -v dockerd >/dev/null || missing+=(docker.io)
[ -x /bin/busybox ] || missing+=(busybox-static)
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
  say "installing ${missing[*]}"
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
    say "could not install ${missing[*]}"
fi

mkdir -p "$tools"
[ -x "$tools/python/bin/python" ] || python3 -m venv "$tools/python" >&2 || say "no Python environment"
if [ -x "$tools/python/bin/pip" ] && ! "$tools/python/bin/python" -c 'import grpc, grpc_reflection, grpc_requests' 2>/dev/null; then
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check grpcio grpcio-reflection grpc_requests >&2 ||
    say "could not install the Python clients"
fi
