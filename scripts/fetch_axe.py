"""Fetch axe-core, which the browser tests judge the accessibility of the pages with (tests/e2e/test_accessibility.py).

It is used by tests alone and under its own licence (MPL-2.0), so it is packed from the npm registry, which every mirror
has, checked, and kept under build/axe-core; it is no part of memviz.

    .venv/bin/python scripts/fetch_axe.py            # says what it did; 0 also when npm is missing
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "4.10.3"
SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
FOLDER = Path(__file__).parents[1] / "build" / "axe-core"
FILES = ("axe.min.js", "LICENSE")


def main() -> int:
    if all((FOLDER / name).exists() for name in FILES):
        return 0
    if shutil.which("npm") is None:
        print(
            "npm is missing, so the tests of accessibility are skipped (Debian: apt-get install npm).", file=sys.stderr
        )
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"npm pack failed: {(done.stderr or done.stdout).strip()[-500:]}", file=sys.stderr)
        return 0
    archive = FOLDER / f"axe-core-{VERSION}.tgz"
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        print(f"{archive.name} from the npm registry is not the archive expected (SHA-256 differs)", file=sys.stderr)
        return 1
    with tarfile.open(archive) as packed:
        for name in FILES:
            file = packed.extractfile(f"package/{name}")
            assert file is not None, name
            (FOLDER / name).write_bytes(file.read())
    print(f"axe-core is in {FOLDER}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
