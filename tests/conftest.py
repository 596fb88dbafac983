"""What holds for every test: one copy of each room is imported, one torch thread, and no skip goes unnoticed in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on who else uses the machine. CI judges one change with the same examples each time;
# every other run draws new ones.
settings.register_profile("memviz", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("memviz")

ALLOWED_SKIPS = ("needs a CUDA device", "needs root to mount a tmpfs", "needs ../shared/data/babi")


@pytest.fixture(autouse=True, scope="session")
def rooms_are_imported_once():
    """`import recorders` beside `import memviz.recorders` would load every class twice."""
    yield
    twice = {"recorders", "dashboards", "demos"} & set(sys.modules)
    assert not twice, f"imported by their folder names: {sorted(twice)}; write memviz.<room> instead"


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    """Small models run faster, and the suite's processes do not fight, on one thread each."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def visdom_assets():
    """The web assets without which Visdom's server does not start offline; installed when npm can bring them."""
    script = Path(__file__).parents[1] / "scripts" / "fetch_visdom_assets.py"
    done = subprocess.run([sys.executable, str(script), "--require"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if shutil.which("npm") is None:
            pytest.skip("npm is missing, which brings the web assets of Visdom's server")
        pytest.fail(done.stderr)


@pytest.fixture
def visdom_server(visdom_assets, tmp_path):
    """A real Visdom server on a port of its own."""
    from memviz.dashboards.visdom.server import LocalServer

    with LocalServer(tmp_path / "visdom") as server:
        yield server


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """In CI a skip must have one of the reasons listed above."""
    if not os.environ.get("CI") or exitstatus != 0:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # one of several processes, whose reports the first one gets, tuples as lists
        return
    skipped = reporter.stats.get("skipped", [])
    reasons = [report.longrepr[2] for report in skipped if isinstance(report.longrepr, (tuple, list))]
    unexpected = [reason for reason in reasons if not any(allowed in reason for allowed in ALLOWED_SKIPS)]
    if unexpected:
        reporter.write_line(f"CI does not allow these skips: {unexpected}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
