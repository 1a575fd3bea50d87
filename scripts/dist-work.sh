#!/usr/bin/env bash
# Daily work for `scripts/dist.sh` to count: `dist-work.sh BATON DIR`. Everything that happens often in use, plainly and
# with TLS and tokens, in about the shares that it has there: bulk and single submits, handlers, processes, output, reads.
set -euo pipefail
baton=$1 dir=$2
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

pids=()
# A service writes down what it counted when it ends by itself.
end() {
  local pid
  for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
  for pid in "$@"; do wait "$pid" || true; done
}
trap 'end "${pids[@]}"; rm -rf "$dir"' EXIT

# start NAME SERVICE FLAGS…: its address is then in $at, its process in $pid.
start() {
  local name=$1
  shift
  "$baton" "$@" --listen 127.0.0.1:0 >"$name.out" 2>"$name.log" &
  pid=$! pids+=($!)
  for _ in $(seq 400); do
    at=$(sed -n 's/.* service listening on //p' "$name.out")
    [ -z "$at" ] || return 0
    sleep 0.05
  done
  cat "$name.log" >&2
  return 1
}

seq 100000 | sed 's/.*/{"name":"noop","payload":"task &"}/' >handlers.json
seq 1000 | sed 's|.*|{"args":["/bin/echo","task &"],"env":{"N":"&"},"retries":2,"queue":"some"}|' >commands.json

# work DIR FLAGS OF A CALLER… -- FLAGS OF A WORKER…: of a worker its data is in DIR.
work() {
  local as=() data=$1
  shift
  while [ "$1" != -- ]; do as+=("$1") && shift; done
  shift
  me() { "$baton" "${as[@]}" "$@" >/dev/null; }
  me submit --from-json handlers.json
  me submit --array 1-100000 --name noop --queue later -- true
  me list --limit 1000
  me cancel --queue later --yes
  start worker bench-worker --id w1 --slots 2 --data-dir "$data-noop" "$@"
  me bench --running tasks --handler noop --tasks 100000
  me bench --running submit --handler noop --tasks 20000
  me bench --running latency --handler noop --tasks 3000
  end "$pid"
  start worker worker --id w1 --slots 2 --data-dir "$data-commands" "$@"
  me submit --from-json commands.json --wait
  me submit --array 1-1000 --wait -- /bin/true
  me bench --running output --bytes 256MiB --follow
  for n in $(seq 20); do me run -- sh -c "echo line $n; sleep 0.01; echo more"; done
  me list --status completed --limit 1000
  me queues
  me workers
  end "$pid"
}

start scheduler scheduler --data-dir plain
start gateway gateway --http-listen 127.0.0.1:0 --scheduler "http://$at" && scheduler=$(sed -n 's/.* service listening on //p' scheduler.out)
work plain --gateway-url "http://$at" -- --scheduler "http://$scheduler"
end "${pids[@]}"
pids=()

"$baton" ca init ca >/dev/null
"$baton" ca issue ca --service scheduler --host localhost,127.0.0.1 --out tls >/dev/null
"$baton" ca issue ca --service gateway --host localhost,127.0.0.1 --out tls >/dev/null
"$baton" ca issue ca --worker w1 --out tls >/dev/null
start scheduler scheduler --data-dir secure --auth tokens --tls-cert tls/scheduler.crt --tls-key tls/scheduler.key --tls-ca ca/ca.crt
scheduler=$at
for _ in $(seq 200); do [ -s secure/gateway.token ] && break || sleep 0.05; done
start gateway gateway --http-listen 127.0.0.1:0 --scheduler "https://$scheduler" --auth tokens --token-file secure/gateway.token \
  --tls-cert tls/gateway.crt --tls-key tls/gateway.key --tls-ca ca/ca.crt
me=(--gateway-url "https://$at" --ca ca/ca.crt --token-file secure/admin.token)
umask 077
"$baton" "${me[@]}" token create --name w --scope worker --worker w1 >worker.token
work secure "${me[@]}" -- --scheduler "https://$scheduler" --token-file worker.token \
  --tls-cert tls/worker-w1.crt --tls-key tls/worker-w1.key --tls-ca ca/ca.crt
