"""Two processes under torchrun: one model, a trace per rank, and a checkpoint that both go on from."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import memviz
from memviz.demos.checkpointing import load_checkpoint

TINY = [
    *("--model-option", "nr_cells=4", "--model-option", "cell_size=3", "--model-option", "hidden_size=6"),
    *("--task-option", "longest=3", "--task-option", "width=2", "--batch-size", "4", "--every", "3"),
]


SCRIPT = """
from memviz.demos.commands import train_command
from memviz.demos.distributed import joined

with joined():
    for arguments in ({first!r}, {second!r}):
        train_command(arguments, standalone_mode=False)
"""


@pytest.mark.slow
def test_two_processes_train_one_model_and_record_a_trace_each(tmp_path):
    first = ["copy", *TINY, "--steps", "6", "--out", str(tmp_path / "run")]
    second = ["--resume", str(tmp_path / "run"), "--steps", "9", "--checkpoint", str(tmp_path / "after")]
    # One start of torchrun for both, because starting takes most of the time.
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(first=first, second=second))
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("training memviz's DNC on copy") == 2, "the first process alone speaks, once per run"

    traces = [memviz.open(tmp_path / "run" / f"rank-0000{rank}") for rank in range(2)]
    assert [trace.header.world_size for trace in traces] == [2, 2]
    assert [trace.steps.tolist() for trace in traces] == [[0, 3, 6, 6, 9]] * 2
    # The same model on the same probe; the same step, different data.
    for record in (2, -1):
        weights = [trace[record]["write_weights"] for trace in traces]
        np.testing.assert_array_equal(weights[0], weights[1])
    assert (traces[0].scalars["loss"].values != traces[1].scalars["loss"].values).any()

    for name, step in (("run", 6), ("after", 9)):
        checkpoint = load_checkpoint(tmp_path / name)
        assert (checkpoint.step, checkpoint.ranks) == (step, 2)
        assert not torch.equal(checkpoint.random["data/0"], checkpoint.random["data/1"])
