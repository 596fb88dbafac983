"""Where the browser is, for tests, benchmarks and the script that takes the pictures. Only says; starts nothing."""

from __future__ import annotations

import os
import shutil
from typing import Any

from memviz.errors import MemvizError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

QUIET = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Flags that keep the browser from calling home, which a closed network would refuse many times over."""


def find_chromium() -> str | None:
    """Path of the first Chromium on PATH, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch_options() -> dict[str, Any]:
    """Arguments for Playwright's `chromium.launch`.

    Raises:
        MemvizError: no Chromium on PATH.
    """
    path = find_chromium()
    if path is None:
        raise MemvizError(f"no browser: expected one of {', '.join(NAMES)} on PATH. Run scripts/install_chromium.sh")
    # Chromium's sandbox does not start for root, which is who CI is.
    sandbox = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    return {"executable_path": path, "args": [*QUIET, *sandbox]}
