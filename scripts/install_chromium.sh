#!/usr/bin/env bash
# The browser tests drive Debian's Chromium. Install it where it is missing and we may; say what to do where we may not.
set -euo pipefail

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
else
  echo "No Chromium found. Install it (Debian: sudo apt-get install chromium) to run the browser tests." >&2
fi
