"""What recording costs the training thread, with one batch item and default fields, for four models.

    dnc            DNC of the package `dnc`, B=16, T=20, N=64, W=16, R=4, unmodified
    demos          memviz's own DNC of the same sizes, by taps
    lstm           an LSTM whose states attend over a bank of slots, by taps: hidden states and read weights
    transformer    torch.nn.TransformerEncoder, 4 layers of width 128, T=64, unmodified

    python benchmarks/bench_recorder.py [--steps 150] [--package NAME]

Self-time is the CPU time spent in recorder code on the training thread: hooks, probes, stacking, queueing, letting go.
The clock for CPU time is slow, so what reading it costs is measured and taken off.
It is given as a share of the CPU time of a training step (forward, backward, Adam) without a recorder. The unsampled
forward is timed on its own, as two hooks on an empty module. Beside it stands the difference of whole steps, with and
without a recorder in turn, which contains what self-time cannot see and the noise of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch import nn

import memviz
from memviz.recorders import sampler, sites, tap

BATCH, TIMES, SLOTS, WORDS, HEADS, BITS = 16, 20, 64, 16, 4, 8
BARS = {1: 0.02, 100: 0.001}


class Reader(nn.Module):
    """An LSTM cell and attention of its state over slots that the input fills; [batch, time, bit]."""

    batch_first = True

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(BITS + WORDS, 64)
        self.key, self.slots = nn.Linear(64, WORDS), nn.Linear(BITS, WORDS)
        self.output = nn.Linear(64 + WORDS, BITS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Read at every time; what is read goes into the next."""
        bank = self.slots(x)
        state, read, outputs = None, x.new_zeros(len(x), WORDS), []
        for x_t in x.unbind(1):
            state = self.cell(torch.cat((x_t, read), 1), state)
            weights = torch.softmax(torch.einsum("bnw,bw->bn", bank, self.key(state[0])), 1)
            read = torch.einsum("bn,bnw->bw", weights, bank)
            memviz.tap({"hidden_state": state[0], "read_weights": weights.unsqueeze(1)})
            outputs.append(self.output(torch.cat((state[0], read), 1)))
        return torch.stack(outputs, 1)


class Transformer(nn.Module):
    """The encoder of torch between two layers that bring the width."""

    batch_first = True

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
        self.into, self.encoder = nn.Linear(BITS, 128), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.output = nn.Linear(128, BITS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend over all of x."""
        return self.output(self.encoder(self.into(x)))


def make_model(package: str) -> nn.Module:
    torch.manual_seed(0)
    if package in ("lstm", "transformer"):
        return Reader() if package == "lstm" else Transformer()
    if package == "dnc":
        from dnc import DNC

        return DNC(BITS, 64, num_hidden_layers=1, nr_cells=SLOTS, cell_size=WORDS, read_heads=HEADS)
    from memviz.demos.models.dnc import DNC as OurDNC

    return OurDNC(BITS, 64, nr_cells=SLOTS, cell_size=WORDS, read_heads=HEADS)


class Training:
    """A model on random sequences."""

    def __init__(self, package: str) -> None:
        self.model = make_model(package)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.sequence = torch.rand(BATCH, 64 if package == "transformer" else TIMES, BITS)

    def step(self) -> float:
        """Train one step; returns the CPU seconds that it took."""
        begun = time.thread_time()
        output = self.model(self.sequence)
        loss = (output[0] if isinstance(output, tuple) else output).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return time.thread_time() - begun


def self_seconds_per_record(training: Training, folder: Path, steps: int, **options) -> float:
    """Median self-time of one recorded step, in seconds, without what the clock itself takes."""
    spent = []
    looks: list[int] = []
    ended = sampler.Sampler._end

    def end(self, capture, *args) -> None:
        looks.append(capture.ticks)  # one in eight is timed, and counts eight times
        ended(self, capture, *args)

    sampler.Sampler._end = end
    name = "self-" + "-".join(options)
    with memviz.attach(training.model, folder / name, every=1, **options) as recorder:
        before = recorder.stats().self_seconds
        for _ in range(steps):
            training.step()
            now = recorder.stats().self_seconds
            spent.append(now - before)
            before = now
    sampler.Sampler._end = ended
    clock = statistics.median(-(time.thread_time_ns() - time.thread_time_ns()) for _ in range(2000))
    return statistics.median(spent[5:]) - statistics.median(looks[5:]) * clock / 1e9


def whole_steps(package: str, folder: Path, steps: int, **options) -> tuple[float, float]:
    """Median CPU seconds of a step without and with a recorder, in alternation."""
    plain, recorded = Training(package), Training(package)
    without, with_ = [], []
    with memviz.attach(recorded.model, folder / "whole", every=1, **options):
        for _ in range(steps):
            without.append(plain.step())
            with_.append(recorded.step())
    return statistics.median(without[5:]), statistics.median(with_[5:])


def unsampled_seconds(folder: Path) -> float:
    """What the two permanent hooks cost a forward that is not recorded, in seconds."""
    model = nn.Identity()

    def best() -> float:
        rounds = []
        for _ in range(20):
            begun = time.thread_time()
            for _ in range(1000):
                model(None)
            rounds.append((time.thread_time() - begun) / 1000)
        return min(rounds)

    bare = best()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is indeed nothing to record in it
        recorder = memviz.attach(model, folder / "empty", schedule=lambda step: False, strict=False)
    with recorder:
        return best() - bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--package", choices=("dnc", "demos", "lstm", "transformer"), action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for module in (sampler, sites, tap):
        module.perf_counter_ns = time.thread_time_ns  # CPU time, so that a busy machine does not count
    for package in arguments.package or ("dnc", "demos", "lstm", "transformer"):
        print(f"\n{package}")
        report(package, arguments.steps)


def report(package: str, steps: int) -> None:
    """Measure one model and print it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, with_recorder = whole_steps(package, folder, steps)
        record = self_seconds_per_record(Training(package), folder, steps)
        hooks = unsampled_seconds(folder)
        print(f"one training step            {plain * 1e3:8.2f} ms CPU")
        print(f"recording one step           {record * 1e3:8.3f} ms self-time")
        print(f"an unsampled forward         {hooks * 1e6:8.2f} us")
        for every, bar in BARS.items():
            share = (record + hooks * (every - 1)) / every / plain
            verdict = "met" if share <= bar else "MISSED"
            print(f"every={every:<4} share of the step   {share:8.3%}      bar {bar:.1%}: {verdict}")
        print(f"whole steps, every=1         {with_recorder / plain - 1:+8.2%}      (noise of the machine included)")
        for label, options in (("batch='all'", {"batch": "all"}), ("fields='all'", {"fields": "all"})):
            more = self_seconds_per_record(Training(package), folder, max(12, steps // 3), **options)
            print(f"{label:13} every=1        {more / plain:8.3%}")


if __name__ == "__main__":
    main()
