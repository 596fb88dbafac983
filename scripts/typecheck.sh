#!/usr/bin/env bash
# mypy cannot follow setuptools' editable finder into the mapped rooms, so it sees a tree of links laid out as installed.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN="${BIN:-.venv/bin}"
tree=build/types/memviz

mkdir -p "$tree"
find "$tree" -xtype l -delete
for entry in memviz/* recorders dashboards demos; do
  case "$entry" in */__pycache__) ;; *) ln -sfn "$PWD/$entry" "$tree/${entry##*/}" ;; esac
done
MYPYPATH=build/types "$BIN/mypy" -p memviz
