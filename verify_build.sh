#!/usr/bin/env bash
# Verifies that the release build is there and its programs run; builds it if it isn't.
set -euo pipefail
cd "$(dirname "$0")"
dir=${CARGO_TARGET_DIR:-target}/release
for program in gateway scheduler worker baton; do
  [ -x "$dir/$program" ] || cargo build --release --bin "$program"
  printf '%-10s %s, %s\n' "$program" "$("$dir/$program" --version)" "$(du -h "$dir/$program" | cut -f1)"
done
echo "✅ BUILD VERIFICATION PASSED"
