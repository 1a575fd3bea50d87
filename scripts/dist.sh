#!/usr/bin/env bash
# The program as packages have it: compiled once to count what it does in daily work, then for that work, so that what runs
# often is fast and all the rest is small. `dist.sh TARGET_DIR`; the program is TARGET_DIR/dist/baton.
# Needs llvm-profdata of the compiler's own LLVM: rustup's component llvm-tools, or Debian's llvm-N. With clang-N as well the
# parts in C (SQLite) are compiled that way, too. Without llvm-profdata it is built without counting, and says so.
set -euo pipefail
target=$1
here=$(cd "$(dirname "$0")" && pwd)
cargo=${CARGO:-cargo}
counts=$target/pgo

say() { echo "dist: $*" >&2; }

# Where a program of this LLVM is, if anywhere.
llvm() {
  command -v "$1-$major" || command -v "$(rustc --print target-libdir)/../bin/$1" || true
}

# Cargo names its directory after the host only if the host is named; then flags are not for build scripts, either.
host=$(rustc -vV | sed -n 's/^host: //p')
major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
profdata=$(llvm llvm-profdata)
clang=$(llvm clang)

# build DIR RUSTFLAGS CFLAGS
build() {
  local c=()
  [ -z "$clang" ] || c=(CC="$clang" CFLAGS="$3")
  env "${c[@]}" RUSTFLAGS="$2" CARGO_TARGET_DIR="$1" "$cargo" build --quiet --locked --profile dist --target "$host" -p baton
}

if [ -z "$profdata" ]; then
  say "no llvm-profdata of LLVM $major (rustup component add llvm-tools, or Debian's llvm-$major): built without counting"
  CARGO_TARGET_DIR=$target exec "$cargo" build --locked --profile dist -p baton
fi
[ -n "$clang" ] || say "no clang-$major: SQLite is built without counting"

mkdir -p "$counts"
say "1 of 3: a program that counts"
build "$counts/counting" "-Cprofile-generate=$counts/raw" "-fprofile-generate=$counts/raw"
counting=$counts/counting/$host/dist/baton
if sha256sum --status --check "$counts/counted-by" 2>/dev/null; then
  say "2 of 3: it has worked before"
else
  say "2 of 3: it works"
  # Cargo doesn't see that counts have changed.
  rm -rf "$counts/raw" "$counts/counted"
  "$here/dist-work.sh" "$counting" "$counts/work"
  "$profdata" merge -o "$counts/counts.profdata" "$counts/raw"
  rm -rf "$counts/raw"
  sha256sum "$counting" >"$counts/counted-by"
fi
say "3 of 3: the program"
build "$counts/counted" "-Cprofile-use=$counts/counts.profdata" \
  "-fprofile-use=$counts/counts.profdata -Wno-profile-instr-unprofiled -Wno-profile-instr-out-of-date"
mkdir -p "$target/dist"
# Replaced, not rewritten: it may be running.
cp "$counts/counted/$host/dist/baton" "$target/dist/baton.new"
mv "$target/dist/baton.new" "$target/dist/baton"
say "$target/dist/baton, $(stat -c %s "$target/dist/baton") bytes"
