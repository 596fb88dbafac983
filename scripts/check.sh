#!/usr/bin/env bash
# Everything that must hold before a change lands, fastest first. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN="${BIN:-.venv/bin}"

"$BIN/ruff" format --check .
"$BIN/ruff" check .
BIN="$BIN" bash scripts/typecheck.sh
# Two processes, a file of tests to each at a time: the browser tests wait as much as they work.
"$BIN/pytest" -q -n "${MEMVIZ_TEST_PROCESSES:-2}" --dist loadfile "$@"
