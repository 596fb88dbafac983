"""DistributedDataParallel and FSDP2 under torchrun, two processes on gloo: a trace per rank, and a view of all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import memviz
from memviz.errors import FieldError, PlaceError

SCRIPT = """
    import os, sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    import memviz
    from memviz.recorders.adapters.base import MemoryPlan
    from memviz.recorders.probes import OutputProbe

    torch.set_num_threads(1)

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4)

        def forward(self, x):
            return torch.softmax(self.linear(x), 1)

    class Model(nn.Module):
        batch_first = True

        def __init__(self):
            super().__init__()
            self.cell = Cell()

        def forward(self, x):
            return torch.stack([self.cell(x_t) for x_t in x.unbind(1)], 1)

    class Adapter:
        name = "cell"
        def matches(self, module):
            return any(kind.__name__ == "Cell" for kind in type(module).__mro__)
        def plan(self, module, path):
            return [MemoryPlan(path, module, [OutputProbe(field="usage")])]

    def train(kind, path):
        torch.manual_seed(0)
        model = Model()
        if kind == "ddp":
            model = nn.parallel.DistributedDataParallel(model)
        else:
            fully_shard(model.cell, mesh=mesh)
            fully_shard(model, mesh=mesh)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        recorder = None
        if path:
            options = dict(every=2, batch="all", ranks="all", policy="block", grads=True)
            recorder = memviz.attach(model, path, adapter=Adapter, **options)
        generator = torch.Generator().manual_seed(rank)
        losses = []
        for step in range(4):
            loss = model(torch.rand(2, 5, 3, generator=generator)).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if recorder:
                recorder.log(loss=loss)
        if recorder:
            assert recorder.stats().errors == 0, recorder.explain()
            recorder.close()
        return losses

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    mesh = init_device_mesh("cpu", (2,))
    for kind in ("ddp", "fsdp"):
        assert train(kind, os.path.join(sys.argv[1], kind)) == train(kind, None), "not the same, bit for bit"
    dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where both kinds of run have left their traces; the script itself checks that recording changed no loss."""
    folder = tmp_path_factory.mktemp("distributed")
    (folder / "train.py").write_text(textwrap.dedent(SCRIPT))
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*line, str(folder)], cwd=folder, capture_output=True, text=True, timeout=280, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_both_ranks_are_recorded_and_seen_as_one(folder, kind):
    trace = memviz.open(folder / kind)
    assert (trace.header.rank, trace.header.world_size) == (0, 2)
    run = trace.merged()
    assert list(run.traces) == [0, 1]
    assert run.steps.tolist() == [0, 2]
    assert run.incomplete == {}
    for merged in run:
        assert merged.batch == ((0, 0), (0, 1), (1, 0), (1, 1))
        assert merged["cell/usage"].shape == (5, 4, 4)
        assert np.allclose(merged["cell/usage"].sum(2), 1, atol=1e-6)
        # Where the loss is Σ u², its gradient by u is 2 u: of each rank's own items.
        assert np.allclose(merged["cell/grad/usage"], 2 * merged["cell/usage"], atol=1e-6)
        assert np.array_equal(merged["cell/usage"][:, 2:], merged.records[1]["cell/usage"])
    assert not np.array_equal(run[0].records[0]["cell/usage"], run[0].records[1]["cell/usage"])
    assert sorted(run.scalars["loss"]) == [0, 1]
    assert {rank for rank, _ in run.events} == {0, 1}
    with pytest.raises(PlaceError, match="no rank recorded step 1"):
        run.at(1)
    with pytest.raises(FieldError):
        run[0]["nothing"]
