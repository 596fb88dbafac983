"""The script that measures on a GPU: what it makes of a profile and of ratios, and that it runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu_overhead.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gpu_overhead", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_overhead"] = module
    spec.loader.exec_module(module)
    return module


def kernel(stream, start, length):
    return {"cat": "kernel", "name": "gemm", "ts": start, "dur": length, "args": {"stream": stream}}


def copy(stream, start, length, size, direction="DtoH"):
    facts = {"stream": stream, "bytes": size}
    return {"cat": "gpu_memcpy", "name": f"Memcpy {direction}", "ts": start, "dur": length, "args": facts}


def call(name, thread=1):
    return {"cat": "cuda_runtime", "name": name, "tid": thread, "ts": 0, "dur": 1}


def test_copies_on_a_stream_of_their_own_are_no_reason_to_wait(script):
    events = [kernel(7, 0, 100), copy(20, 50, 20, 4096), copy(20, 90, 20, 100), call("cudaLaunchKernel"),
              call("cudaStreamWaitEvent"), call("cudaEventSynchronize", thread=2), {"ph": "M"}]  # fmt: skip
    found = script.evidence(events, 1)
    assert found.computing == (7,)
    assert found.copies == ((20, 4096), (20, 100))
    assert found.overlapping == pytest.approx(30 / 40)
    assert (found.synchronizing, found.waits) == ((), 1)
    assert "nothing waited" in found.text()
    assert "4,196 bytes" in found.text()


@pytest.mark.parametrize(
    "event", [call("cudaStreamSynchronize"), copy(7, 10, 5, 8)], ids=["a call that waits", "a copy among the kernels"]
)
def test_what_waits_is_pointed_at(script, event):
    assert "LOOK INTO IT" in script.evidence([kernel(7, 0, 100), copy(20, 50, 20, 4), event], 1).text()


def test_copies_to_the_device_are_not_ours(script):
    found = script.evidence([kernel(7, 0, 1), copy(7, 0, 1, 8, "HtoD")], 1)
    assert found.copies == ()
    assert "LOOK INTO IT" in found.text(), "no copy was seen at all"


def test_the_interval_holds_the_median(script):
    median, low, high = script.interval([0.99, 1.0, 1.01, 1.02, 1.05, 1.0, 1.0])
    assert low <= median <= high
    assert (median, low, high) == script.interval([0.99, 1.0, 1.01, 1.02, 1.05, 1.0, 1.0]), (
        "the same resamples each time"
    )
    assert script.interval([1.5]) == (1.5, 1.5, 1.5)


def test_without_a_device_it_says_so(script, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_overhead.py"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == "no CUDA device here: nothing was measured\n"


@pytest.mark.slow
def test_it_runs_from_end_to_end():
    line = [sys.executable, SCRIPT, "--check", "--rounds", "2", "--steps", "1", "--model", "transformer"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("with / without") == 3
    assert "these figures mean nothing" in done.stdout
