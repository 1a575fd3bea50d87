#!/bin/sh
# One task a file, run in parallel by whatever workers there are; the results put together at the end.
# Usage: examples/checksums.sh [DIRECTORY]
set -eu
directory=$(cd "${1:-.}" && pwd)

ids=$(find "$directory" -maxdepth 1 -type f | sort | while read -r file; do
  baton submit --name checksum -- sha256sum "$file"
done)

for id in $ids; do
  # `logs -f` follows a task to its end: what is there already, then what comes.
  baton logs -f "$id"
done
