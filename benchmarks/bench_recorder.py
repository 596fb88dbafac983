"""What recording costs the training thread: DNC of the package `dnc`, B=16, T=20, N=64, W=16, R=4, one batch item.

    python benchmarks/bench_recorder.py [--steps 150] [--package dnc|demos]

Self-time is the CPU time spent in recorder code on the training thread: hooks, probes, stacking, queueing, letting go.
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


def make_model(package: str) -> nn.Module:
    torch.manual_seed(0)
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
        self.sequence = torch.rand(BATCH, TIMES, BITS)

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
    """Median self-time of one recorded step, in seconds."""
    spent = []
    name = "self-" + "-".join(options)
    with memviz.attach(training.model, folder / name, every=1, **options) as recorder:
        before = recorder.stats().self_seconds
        for _ in range(steps):
            training.step()
            now = recorder.stats().self_seconds
            spent.append(now - before)
            before = now
    return statistics.median(spent[5:])


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
            begun = time.perf_counter()
            for _ in range(1000):
                model(None)
            rounds.append((time.perf_counter() - begun) / 1000)
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
    parser.add_argument("--package", choices=("dnc", "demos"), default="dnc")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for module in (sampler, sites, tap):
        module.perf_counter_ns = time.thread_time_ns  # CPU time, so that a busy machine does not count
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, with_recorder = whole_steps(arguments.package, folder, arguments.steps)
        record = self_seconds_per_record(Training(arguments.package), folder, arguments.steps)
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
            more = self_seconds_per_record(Training(arguments.package), folder, arguments.steps // 3, **options)
            print(f"{label:13} every=1        {more / plain:8.3%}")


if __name__ == "__main__":
    main()
