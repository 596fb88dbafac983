"""`python -m memviz.dashboards.visdom PATH URL`; see launch.py."""

from __future__ import annotations

import sys

from memviz.dashboards.visdom.launch import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
