#!/usr/bin/env bash
# Instructions a task, counted by callgrind: unlike times they are the same whatever else the machine does. `check` fails
# when one has grown by more than 10 % over scripts/instructions.txt; `renew` writes that file.
# Another compiler makes other code of the same source, so its counts are only judged by a wider limit; another kind of
# processor has other instructions, so they aren't judged at all.
set -euo pipefail
mode=${1:-check}
here=$(cd "$(dirname "$0")" && pwd)
numbers=$here/instructions.txt
cargo=${CARGO:-cargo}
LIMIT=10
LIMIT_OTHER_COMPILER=25

say() { echo "instructions: $*" >&2; }
if ! command -v valgrind >/dev/null; then
  say "not run: valgrind is not installed"
  exit 0
fi
compiler=$("${RUSTC:-rustc}" --version)
machine=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The profile `bench` is `release`, so that what the simulator is made of isn't compiled again.
built=$(cd "$here/.." && "$cargo" bench --quiet --no-run -p driver --bench path -p store --bench commit -p output --bench append -p wire --bench travel --message-format=json)
program() { sed -n "s/.*\"name\":\"$1\".*\"executable\":\"\\([^\"]*\\)\".*/\\1/p" <<<"$built"; }
path=$(program path) commit=$(program commit) append=$(program append) travel=$(program travel)

# Name, what is counted, how many tasks, the bench and its arguments.
count() {
  local name=$1 function=$2 tasks=$3
  shift 3
  (cd "$work" && valgrind --quiet --tool=callgrind --callgrind-out-file="$work/$name" --toggle-collect="$function" "$@" "$tasks" >"$work/$name.log" 2>&1) ||
    { say "$name failed" && cat "$work/$name.log" >&2 && exit 1; }
  local all
  all=$(sed -n 's/^\(summary\|totals\): *\([0-9]*\).*/\2/p' "$work/$name" | head -1)
  [ "${all:-0}" -gt 0 ] || { say "$name: nothing was counted; is $function still its name?" && exit 1; }
  echo "$name $((all / tasks))"
}

counts=$work/counts
count submit 'path::run*' 20000 "$path" submit >"$counts"
count life 'path::run*' 20000 "$path" life >>"$counts"
count store 'commit::commit*' 10000 "$commit" 1000 >>"$counts"
count output 'append::append*' 20000 "$append" small >>"$counts"
count wire 'travel::travel*' 20000 "$travel" >>"$counts"

if [ "$mode" = renew ]; then
  {
    echo "# Instructions a task; scripts/instructions.sh says how they are counted. \`make instructions-renew\` writes them."
    echo "compiler $compiler"
    echo "machine $machine"
    cat "$counts"
  } >"$numbers"
  say "written: $(tr '\n' ' ' <"$counts")"
  exit 0
fi

wanted() { sed -n "s/^$1 //p" "$numbers"; }
if [ "$(wanted machine)" != "$machine" ]; then
  say "not run: the numbers are those of $(wanted machine), this is $machine"
  exit 0
fi
limit=$LIMIT
if [ "$(wanted compiler)" != "$compiler" ]; then
  limit=$LIMIT_OTHER_COMPILER
  say "the numbers are those of $(wanted compiler), this is $compiler: up to $limit % are let pass; \`make instructions-renew\` writes its own"
fi
grown=
while read -r name now; do
  before=$(wanted "$name")
  [ -n "$before" ] || { say "$name: no number is written; \`make instructions-renew\` does it" && exit 1; }
  say "$name: $now a task, $before before ($(awk -v now="$now" -v before="$before" 'BEGIN { printf "%+.1f", (now / before - 1) * 100 }') %)"
  [ "$now" -le $((before * (100 + limit) / 100)) ] || grown="$grown $name"
  [ "$now" -ge $((before * (100 - limit) / 100)) ] || say "$name: well done; \`make instructions-renew\` keeps it so"
done <"$counts"
if [ -n "$grown" ]; then
  say "more than $limit % more than before:$grown; callgrind_annotate says where, and \`make instructions-renew\` takes it as it is"
  exit 1
fi
