#!/usr/bin/env bash
# Everything that must hold before a change lands, fastest first. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN="${BIN:-.venv/bin}"

"$BIN/ruff" format --check .
"$BIN/ruff" check .
BIN="$BIN" bash scripts/typecheck.sh
"$BIN/pytest" -q "$@"
