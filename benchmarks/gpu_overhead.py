"""What recording costs a model on a GPU: step times, what the computing stream waits for, and bytes moved.

    python benchmarks/gpu_overhead.py [--model dnc|transformer] [--rounds 30] [--steps 20] [--check]

- **Step times**: rounds of `steps` training steps without and with a recorder in turn, timed by CUDA events; the ratio
  of each pair, its median, and a 95 % confidence interval by bootstrap (10 000 resamples of the pairs).
- **Waiting**: a profile of recorded steps. Copies to the host must be on another stream than the kernels, and in the
  training thread there must be no call that synchronizes.
- **Bytes**: what those copies moved.

Without a CUDA device nothing is measured, and it says so. `--check` runs the same code on small models on the CPU,
where the figures mean nothing: it shows that the script works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import memviz

SYNCHRONIZING = ("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls of the CUDA runtime that hold up the thread; `cudaMemcpyAsync` does not."""


class Transformer(nn.Module):
    """A small causal encoder [batch, time, width]."""

    batch_first = True

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Run over a sequence."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.encoder(x, mask=mask, is_causal=True)


class Training:
    """A model on random sequences."""

    def __init__(self, kind: str, device: torch.device, small: bool) -> None:
        torch.manual_seed(0)
        batch, times = (4, 6) if small else (64, 64)
        if kind == "dnc":
            from memviz.demos.models.dnc import DNC

            width = 8
            sizes = (
                {"nr_cells": 16, "cell_size": 8, "read_heads": 2}
                if small
                else {"nr_cells": 128, "cell_size": 32, "read_heads": 4}
            )
            self.model: nn.Module = DNC(width, 32 if small else 256, **sizes)
        else:
            width = 32 if small else 512
            self.model = Transformer(width, 2 if small else 8, 2 if small else 6)
        self.model.to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.sequence = torch.rand(batch, times, width, device=device)

    def step(self) -> None:
        """Train one step; nothing in here waits for the device."""
        output = self.model(self.sequence)
        loss = (output[0] if isinstance(output, tuple) else output).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def timed(run: Callable[[], None], steps: int, device: torch.device) -> float:
    """Milliseconds per step: by CUDA events on a GPU, by the clock elsewhere."""
    if device.type != "cuda":
        begun = time.perf_counter()
        for _ in range(steps):
            run()
        return (time.perf_counter() - begun) * 1e3 / steps
    cuda: Any = torch.cuda
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    cuda.synchronize()
    begin.record()
    for _ in range(steps):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / steps


def interval(ratios: Sequence[float], resamples: int = 10_000) -> tuple[float, float, float]:
    """The median of some ratios, and the 95 % confidence interval of it by bootstrap."""
    values = np.asarray(ratios)
    draws = np.random.default_rng(0).choice(values, (resamples, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)


def compare(kind: str, device: torch.device, folder: Path, rounds: int, steps: int, every: int, small: bool) -> None:
    """Print the ratio of step times for one sampling."""
    plain, recorded = Training(kind, device, small), Training(kind, device, small)
    for training in (plain, recorded):
        for _ in range(3):
            training.step()
    ratios, times = [], []
    with memviz.attach(recorded.model, folder / f"every-{every}", every=every, strict=False) as recorder:
        for _ in range(3):
            recorded.step()
        for _ in range(rounds):
            without = timed(plain.step, steps, device)
            ratios.append(timed(recorded.step, steps, device) / without)
            times.append(without)
        recorder.flush()
        stats = recorder.stats()
    median, low, high = interval(ratios)
    print(
        f"every={every:<4} {statistics.median(times):8.2f} ms a step without; with / without {median:.4f} "
        f"[{low:.4f}, {high:.4f}]; {stats.recorded} recorded, {stats.dropped} dropped"
    )


@dataclass(frozen=True)
class Evidence:
    """What a profile says.

    Attributes:
        computing: the streams on which kernels ran.
        copies: copies to the host, as (stream, bytes).
        overlapping: share of the time of those copies during which a kernel ran on another stream.
        synchronizing: calls in the training thread that hold it up, by name.
        waits: waits of a stream for an event that the training thread asked for.
    """

    computing: tuple[int, ...]
    copies: tuple[tuple[int, int], ...]
    overlapping: float
    synchronizing: tuple[str, ...]
    waits: int

    def text(self) -> str:
        """In words, with a verdict."""
        streams = sorted({stream for stream, _ in self.copies})
        apart = not set(streams) & set(self.computing)
        good = apart and not self.synchronizing and bool(self.copies)
        moved = sum(size for _, size in self.copies)
        return (
            f"kernels on streams {list(self.computing)}, {len(self.copies)} copies to the host on {streams}, "
            f"{moved:,} bytes, {self.overlapping:.0%} of their time beside kernels; "
            f"{len(self.synchronizing)} synchronizing calls {sorted(set(self.synchronizing))}, {self.waits} waits for "
            f"events (one a record, by the stream of the copies): {'nothing waited' if good else 'LOOK INTO IT'}"
        )


def evidence(events: Iterable[dict[str, Any]], thread: int) -> Evidence:
    """Read the events of a Chrome trace of torch.profiler.

    Args:
        events: "traceEvents".
        thread: the id of the training thread, as the trace has it.
    """
    kernels, copies, calls = [], [], []
    for event in events:
        kind, facts = event.get("cat"), event.get("args", {})
        if kind == "kernel":
            kernels.append((int(facts["stream"]), float(event["ts"]), float(event["dur"])))
        elif kind == "gpu_memcpy" and "DtoH" in event["name"]:
            copies.append((int(facts["stream"]), int(facts["bytes"]), float(event["ts"]), float(event["dur"])))
        elif kind in ("cuda_runtime", "cuda_driver") and event.get("tid") == thread:
            calls.append(event["name"])
    beside = sum(
        max((_shared(start, length, begin, took) for stream, begin, took in kernels if stream != mine), default=0.0)
        for mine, _, start, length in copies
    )
    spent = sum(length for *_, length in copies)
    return Evidence(
        tuple(sorted({stream for stream, *_ in kernels})),
        tuple((stream, size) for stream, size, *_ in copies),
        beside / spent if spent else 0.0,
        tuple(name for name in calls if name in SYNCHRONIZING),
        sum(name == "cudaStreamWaitEvent" for name in calls),
    )


def _shared(start: float, length: float, begin: float, took: float) -> float:
    return max(0.0, min(start + length, begin + took) - max(start, begin))


def profile(kind: str, device: torch.device, folder: Path, steps: int, small: bool) -> Evidence:
    """Profile recorded steps, after some that warm up."""
    training = Training(kind, device, small)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with memviz.attach(training.model, folder / "profiled", every=1, strict=False) as recorder:
        for _ in range(5):
            training.step()
        recorder.flush()
        if device.type == "cuda":
            torch.cuda.synchronize()
        with torch.profiler.profile(activities=activities) as profiler:
            with torch.profiler.record_function("memviz: the training thread"):
                for _ in range(steps):
                    training.step()
            recorder.flush()
    profiler.export_chrome_trace(str(folder / "profile.json"))
    events = json.loads((folder / "profile.json").read_text())["traceEvents"]
    thread = next(event["tid"] for event in events if event.get("name") == "memviz: the training thread")
    return evidence(events, thread)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("dnc", "transformer"), action="append")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--check", action="store_true", help="run on the CPU, to see that the script works")
    arguments = parser.parse_args()
    if not torch.cuda.is_available() and not arguments.check:
        print("no CUDA device here: nothing was measured")
        sys.exit(0)
    device = torch.device("cpu" if arguments.check else "cuda")
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    else:
        torch.set_num_threads(1)
        print("on the CPU, with small models: these figures mean nothing")
    for kind in arguments.model or ("dnc", "transformer"):
        print(f"\n{kind}")
        with tempfile.TemporaryDirectory() as name:
            for every in (1, 10, 100):
                compare(kind, device, Path(name), arguments.rounds, arguments.steps, every, arguments.check)
            print(profile(kind, device, Path(name), min(arguments.steps, 10), arguments.check).text())


if __name__ == "__main__":
    main()
