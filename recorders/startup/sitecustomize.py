"""Run by Python before the script, because `memviz run` put this folder on PYTHONPATH.

It takes itself out again, so that the script and the processes that it starts find the environment as it was, runs the
sitecustomize that would have been run without it, and asks the launcher to wait for models.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys


def _start() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    given = json.loads(os.environ.pop("MEMVIZ_RUN", "null"))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]
    if given is None:
        return
    before = given.pop("pythonpath")
    if before is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = before
    _run_hidden()
    from memviz.recorders.launcher import start

    start(given)


def _run_hidden() -> None:
    """Run the sitecustomize that this file hides."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_start()
