#!/usr/bin/env bash
# Run every benchmark, one after the other so that they do not disturb each other.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN="${BIN:-.venv/bin}"

for script in benchmarks/bench_*.py; do
  echo "== $script"
  "$BIN/python" "$script"
done
