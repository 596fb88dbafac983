"""Training scripts as people write them, with three lines of memviz in them."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import memviz


class Model(nn.Module):
    """A recurrent model with a tapped memory, [batch, time, width]."""

    def __init__(self, width=4, slots=6):
        super().__init__()
        self.cell = nn.GRUCell(width, slots)
        self.out = nn.Linear(slots, width)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x):
        state = x.new_zeros(len(x), self.cell.hidden_size)
        outputs = []
        for time in range(x.shape[1]):
            state = self.cell(x[:, time], state)
            memviz.tap("usage", torch.sigmoid(state))
            outputs.append(self.out(self.dropout(state)))
        return torch.stack(outputs, 1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def batch():
    return torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(1))


def steps_of(recorder):
    recorder.close()
    return memviz.open(recorder.path).steps.tolist()


def test_a_plain_loop_with_validation(tmp_path, model, batch):
    optimizer = torch.optim.Adam(model.parameters())
    recorder = memviz.attach(model, tmp_path / "run", every=3)
    for step in range(10):
        loss = model(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.log(loss=loss)
        if step % 4 == 0:
            model.eval()
            with torch.no_grad():
                for _ in range(5):
                    model(batch)
            recorder.log(validation=1.0)
            model.train()
    assert steps_of(recorder) == [0, 3, 6, 9]
    trace = memviz.open(recorder.path)
    assert trace.scalars["loss"].steps.tolist() == list(range(10))
    assert trace.scalars["validation"].steps.tolist() == [0, 4, 8]


def test_gradient_accumulation_records_one_forward_of_a_step(tmp_path, model, batch):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    recorder = memviz.attach(model, tmp_path / "run", every=1, policy="block")
    inputs = []
    for iteration in range(12):
        x = batch + iteration
        inputs.append(x)
        model(x).square().mean().backward()
        if iteration % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    assert steps_of(recorder) == [0, 1, 2]
    for step, record in enumerate(memviz.open(recorder.path)):
        assert np.array_equal(record["model/input"][:, 0], inputs[4 * step][0].numpy())


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        memviz.tap("usage", torch.ones(1, 1))  # in a worker nobody listens
        return torch.full((5, 4), float(index))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
def test_workers_of_a_data_loader_fall_silent(tmp_path, model):
    loader = torch.utils.data.DataLoader(Numbers(), batch_size=2, num_workers=2, multiprocessing_context="fork")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    recorder = memviz.attach(model, tmp_path / "run", every=1, policy="block")
    for _ in range(2):
        for x in loader:
            model(x).square().mean().backward()
            optimizer.step()
    assert steps_of(recorder) == list(range(6))
    trace = memviz.open(recorder.path)
    assert [record["model/input"][0, 0, 0] for record in trace] == [0, 2, 4] * 2
    assert {event.kind for event in trace.events} == {"opened", "closed"}


def test_an_evaluation_script_counts_forwards(tmp_path, model, batch):
    model.eval()
    recorder = memviz.attach(model, tmp_path / "run", every=2)
    with torch.no_grad():
        for _ in range(5):
            model(batch)
    assert steps_of(recorder) == [0, 2, 4]
    assert memviz.open(recorder.path)[0].labels == {"mode": "eval"}


def test_updates_by_hand_count_forwards_and_log_corrects_them(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=10)
    for step in range(100, 125):
        loss = model(batch).square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
        recorder.log(step=step, loss=loss)
    assert steps_of(recorder) == [0, 110, 120]


def test_labels_and_targets_go_with_the_next_forward(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=2, policy="block")
    for step in range(4):
        target = batch + step
        recorder.label(target=target, phases=[["input", 0, step]], lengths=torch.tensor([1, 2]))
        model(batch)
    recorder.close()
    trace = memviz.open(recorder.path)
    assert [record.labels["phases"] for record in trace] == [[["input", 0, 0]], [["input", 0, 2]]]
    assert trace[0].labels["lengths"] == [1, 2]
    assert np.array_equal(trace[1]["model/target"][:, 0], (batch + 2)[0].numpy())


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, np.float64])
def test_targets_of_any_number_format_are_sequences(tmp_path, model, batch, kind):
    target = (batch > 0.5).to(kind) if isinstance(kind, torch.dtype) else batch.numpy().astype(kind)
    recorder = memviz.attach(model, tmp_path / "run", every=1)
    recorder.label(target=target)
    model(batch)
    recorder.close()
    stored = memviz.open(recorder.path)[0]["model/target"][:, 0]
    assert np.array_equal(stored, np.asarray(target[0], dtype=stored.dtype))


def test_a_tensor_too_large_for_a_label_is_said(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=1)
    with pytest.warns(UserWarning, match="too large for a label"):
        recorder.label(tokens=torch.zeros(100, 100))
    recorder.close()


def test_a_target_of_a_forward_that_is_not_recorded_is_forgotten_a_word_is_kept(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=2, policy="block")
    model(batch)
    recorder.label(target=batch, note="the learning rate fell")
    model(batch)
    model(batch)
    recorder.close()
    record = memviz.open(recorder.path)[1]
    assert record.labels == {"note": "the learning rate fell"}
    assert "model/target" not in record.stored


def test_scalars_of_every_kind(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run")
    loss = model(batch).mean()
    recorder.log(a=loss, b=np.float32(0.5), c=3, d=True, e=torch.tensor([2.0]))
    recorder.close()
    scalars = memviz.open(recorder.path).scalars
    assert {name: series.values.tolist() for name, series in scalars.items()} == {
        "a": [pytest.approx(loss.item())],
        "b": [0.5],
        "c": [3.0],
        "d": [1.0],
        "e": [2.0],
    }


def test_a_scalar_that_is_none_is_said_and_training_goes_on(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run")
    with pytest.warns(UserWarning, match=r"loss is a tensor of shape \(3, 5, 4\)"):
        recorder.log(loss=model(batch))
    with pytest.warns(UserWarning, match="log"):
        recorder.log(loss="high")
    recorder.close()


def test_a_checkpoint_is_continued_at_its_step(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=10)
    recorder.step = 95
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(10):
        model(batch).mean().backward()
        optimizer.step()
    assert recorder.step == 104
    assert steps_of(recorder) == [95, 100]


@pytest.mark.parametrize("amp", ["bfloat16", "scaler"])
def test_mixed_precision(tmp_path, model, batch, amp):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=amp == "scaler")
    recorder = memviz.attach(model, tmp_path / "run", every=1, policy="block")
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(batch).float().square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert steps_of(recorder) == [0, 1, 2]


def test_truncated_backpropagation_records_each_piece_as_a_forward(tmp_path, model, batch):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    recorder = memviz.attach(model, tmp_path / "run", every=1, policy="block")
    for piece in batch.split(2, dim=1):
        model(piece).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    recorder.close()
    assert [record.lengths["memory"] for record in memviz.open(recorder.path)] == [2, 2, 1]


def test_a_frozen_model_is_recorded(tmp_path, model, batch):
    model.requires_grad_(False)
    recorder = memviz.attach(model, tmp_path / "run", every=1, policy="block")
    for _ in range(2):
        model(batch)
    assert steps_of(recorder) == [0, 1]


def test_nan_is_recorded_as_it_is(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=1)
    batch[0, 2] = float("nan")
    model(batch)
    recorder.log(loss=float("nan"))
    recorder.close()
    record = memviz.open(recorder.path)[0]
    assert not np.isnan(record["memory/usage"][:2]).any()
    assert np.isnan(record["memory/usage"][2:]).all()


def test_calling_forward_itself_is_said(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train():
        for _ in range(6):
            model.forward(batch).mean().backward()
            optimizer.step()

    with pytest.warns(UserWarning, match=r"not model\.forward\(x\)"):
        train()
    recorder.close()


def test_stats_tell_what_happened(tmp_path, model, batch):
    recorder = memviz.attach(model, tmp_path / "run", every=2)
    for _ in range(5):
        model(batch)
    recorder.flush()
    stats = recorder.stats()
    assert (stats.recorded, stats.dropped, stats.waiting, stats.errors) == (3, 0, 0, 0)
    assert (stats.forwards, stats.step, stats.every) == (5, 4, 2)
    assert stats.path == tmp_path / "run"
    assert stats.nbytes > 0
    assert 0 < stats.self_time_share < 1
    assert stats.stopped == ""
    recorder.close()


DISTRIBUTED = """
    import sys
    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp
    import memviz

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)

        def forward(self, x):
            x = self.linear(x)
            memviz.tap("usage", x)
            return x

    def work(rank, ranks):
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method="file://" + sys.argv[1] + "/meet", rank=rank, world_size=2)
        model = torch.nn.parallel.DistributedDataParallel(Model())
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with memviz.attach(model, sys.argv[1] + "/run", every=1, ranks=ranks, policy="block") as recorder:
            for _ in range(3):
                model(torch.full((2, 3), float(rank))).sum().backward()
                optimizer.step()
        dist.destroy_process_group()

    if __name__ == "__main__":
        mp.spawn(work, ("all" if sys.argv[2] == "all" else int(sys.argv[2]),), nprocs=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["0", "all"])
def test_distributed_training_records_the_ranks_asked_for(tmp_path, ranks):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(DISTRIBUTED))
    done = subprocess.run([sys.executable, script, tmp_path, ranks], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    folders = sorted(path.parent.name for path in tmp_path.glob("run/*/trace.json"))
    assert folders == (["rank-00000", "rank-00001"] if ranks == "all" else ["rank-00000"])
    for folder in folders:
        trace = memviz.open(tmp_path / "run" / folder)
        assert trace.steps.tolist() == [0, 1, 2]
        assert set(trace.memories) == {"memory"}
        assert trace.header.world_size == 2
