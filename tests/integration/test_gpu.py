"""On a CUDA device: recorded values, graphs, mixed precision, and a training thread that never waits for the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.demos.models.dnc import DNC
from memviz.recorders import OnNaN, StaticTap

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DNC(6, 16, nr_cells=12, cell_size=5, read_heads=2).cuda()


@pytest.fixture
def x():
    return torch.rand(4, 9, 6, generator=torch.Generator().manual_seed(1)).cuda()


def train(model, x, steps, recorder=None):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(steps):
        loss = model(x)[0].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().clone())
        if recorder:
            recorder.log(loss=loss)
    return losses


def test_the_record_is_what_the_same_model_gives_on_the_cpu(model, x, tmp_path):
    options = {"every": 1, "batch": "all", "fields": "all", "policy": "block"}
    with memviz.attach(model, tmp_path / "gpu", **options) as recorder:
        model(x)
        assert recorder.flush(60)
        assert recorder.stats().errors == 0, recorder.explain()
    with memviz.attach(model.cpu(), tmp_path / "cpu", **options):
        model(x.cpu())
    mine, theirs = (memviz.open(tmp_path / name)[0] for name in ("gpu", "cpu"))
    assert mine.stored == theirs.stored
    for name in mine.stored:
        assert np.allclose(mine[name], theirs[name], atol=1e-4), name


@pytest.mark.parametrize("batch", [0, "all", [0, 2]])
@pytest.mark.parametrize("grads", [False, True])
def test_the_training_thread_never_waits_for_the_device(model, x, tmp_path, batch, grads):
    """torch raises at every operation of this process that synchronizes, once the pinned memory is there."""
    with memviz.attach(model, tmp_path / "run", every=1, batch=batch, grads=grads, last=3, on=OnNaN()) as recorder:
        train(model, x, 3, recorder)
        assert recorder.flush(60)
        torch.cuda.set_sync_debug_mode("error")
        try:
            train(model, x, 5)  # without log(): the thread that writes reads the loss, and may wait
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert recorder.stats().errors == 0, recorder.explain()


def test_attaching_changes_no_loss(model, x, tmp_path):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    plain = train(model, x, 6)
    model.load_state_dict(state)
    with memviz.attach(model, tmp_path / "run", every=2, fields="all", grads=True) as recorder:
        assert all(torch.equal(a, b) for a, b in zip(train(model, x, 6, recorder), plain, strict=True))


def test_each_record_is_that_of_its_own_step(model, x, tmp_path):
    """Buffers are used again only when their copy is over: no record shows the values of another."""
    with memviz.attach(model, tmp_path / "run", every=1, policy="block", batch="all") as recorder:
        outputs = []
        optimizer = torch.optim.SGD(model.parameters(), 1.0)
        for step in range(40):
            output = model(x * (1 + step / 40))[0]
            outputs.append(output.detach().clone())
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
        recorder.flush()
    trace = memviz.open(tmp_path / "run")
    assert len(trace) == 40
    for record, output in zip(trace, outputs, strict=True):
        assert np.array_equal(record["model/output"], output.transpose(0, 1).cpu().numpy())


def test_autocast(model, x, tmp_path):
    with memviz.attach(model, tmp_path / "run", every=1, fields="all") as recorder:
        with torch.autocast("cuda", torch.bfloat16):
            model(x)[0].float().sum().backward()
        recorder.flush()
        assert recorder.stats().errors == 0, recorder.explain()


class Static(nn.Module):
    batch_first = True

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.usage = StaticTap("usage", 9, (4, 6))

    def forward(self, x):
        state = torch.zeros_like(x[:, 0])
        for time in range(x.shape[1]):
            state = self.usage(torch.softmax(self.linear(x[:, time] + state), 1), time)
        return state


def test_replays_of_a_cuda_graph_are_recorded_through_static_taps(x, tmp_path):
    torch.manual_seed(0)
    model = Static().cuda()
    given = x.clone()
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                model(given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(given)
        model.eval()
        expected = []
        with memviz.attach(model, tmp_path / "run", every=1, batch="all", policy="block") as recorder:
            for scale in (1.0, 2.0, -1.0):
                given.copy_(x * scale)
                with recorder.sequence():
                    graph.replay()
                expected.append(model.usage.ring.clone())
            recorder.flush()
    trace = memviz.open(tmp_path / "run")
    assert len(trace) == 3
    for record, ring in zip(trace, expected, strict=True):
        assert np.array_equal(record["usage"], ring.cpu().numpy())


def test_a_forward_under_capture_is_left_alone(x, tmp_path):
    model = Static().cuda()
    with torch.no_grad(), memviz.attach(model, tmp_path / "run", every=1) as recorder:
        model(x)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(x)
        graph.replay()
        torch.cuda.synchronize()
        assert recorder.stats().errors == 0, recorder.explain()


@pytest.mark.slow
def test_reduce_overhead_keeps_one_graph(x, tmp_path):
    """torch.compile with CUDA graphs beneath it."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = Static().cuda().eval()
    compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
    with torch.no_grad(), memviz.attach(compiled, tmp_path / "run", every=1, batch="all", policy="block") as recorder:
        outputs = [compiled(x * scale).clone() for scale in (1.0, 2.0, -1.0, 0.5)]
        recorder.flush()
    trace = memviz.open(tmp_path / "run")
    for record, output in zip(trace, outputs, strict=True):
        assert np.allclose(record["usage"][-1], output.cpu(), atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
