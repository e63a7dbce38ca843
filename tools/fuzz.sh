#!/usr/bin/env bash
# Runs every fuzz target of the workspace for the time given, one after the other: tools/fuzz.sh 3s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tools/fuzz.sh TIME, such as 3s or 10m}
grep -rlE '^func Fuzz' --include='*_test.go' pkg proto services tools | xargs -n1 dirname | sort -u | while read -r package; do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/^func //'); do
    echo "fuzz $package $target for $time"
    go test "./$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null | grep -vE '^fuzz: elapsed' || exit 1
  done
done
