"""Time and memory of our DNC against the class of the `dnc` package: same sizes, same data, one run.

    python benchmarks/bench_dnc.py [--rounds 8] [--threads 1] [--compile] [--no-memory]

A figure is forward and backward per time of a sequence, in milliseconds, the least of several rounds in which the
models take turns. Both have an LSTM controller of one layer; they compute the same memory but not the same function: in
ours the controller sees the reads of the time before, as in the paper, and in the package it does not.

Memory is the peak resident size of a process of its own that does one forward and backward, less what the process had
before. `--compile` adds our model with its memory under torch.compile, which takes about a minute to build.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

HIDDEN, BITS = 64, 8
SIZES = ((16, 20, 64, 32, 4), (32, 17, 16, 16, 2), (16, 20, 256, 32, 4), (4, 50, 1024, 32, 4))
LARGE = SIZES[-1]
BAR, LARGE_BAR, MEMORY_BAR = 1.5, 2.5, 1 / 3


def make(which: str, size: tuple[int, int, int, int, int]) -> nn.Module:
    _, _, slots, words, heads = size
    torch.manual_seed(0)
    if which == "dnc":
        import dnc

        return dnc.DNC(BITS, HIDDEN, num_hidden_layers=1, nr_cells=slots, cell_size=words, read_heads=heads)
    from memviz.demos.models import DNC

    model = DNC(BITS, HIDDEN, nr_cells=slots, cell_size=words, read_heads=heads)
    if which == "compiled":
        model.memory.compile()
    return model


def work(model: nn.Module, x: torch.Tensor) -> float:
    """One forward and backward; seconds."""
    started = time.perf_counter()
    model(x)[0].square().mean().backward()
    return time.perf_counter() - started


def peak(which: str) -> int:
    """Bytes that one forward and backward at the largest size adds to the peak of this process."""
    model, x = make(which, LARGE), torch.randn(*LARGE[:2], BITS)
    before = high_water()
    work(model, x)
    return high_water() - before


def high_water() -> int:
    """Peak resident size of this process in bytes; getrusage would report the parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def verdict(ratio: float, bar: float) -> str:
    return f"{ratio:5.2f}x  {'meets' if ratio >= bar else 'MISSES'} {bar}x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak", choices=("dnc", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        print(peak(options.peak))
        return

    print("ms per time, forward and backward        dnc     ours   ratio")
    for size in SIZES:
        batch, times, slots, words, heads = size
        models = {which: make(which, size) for which in ("dnc", "ours", *(["compiled"] if options.compile else []))}
        x = torch.randn(batch, times, BITS)
        for model in models.values():
            work(model, x)
        rounds = max(2, options.rounds * 64 // max(slots, 64))
        best = dict.fromkeys(models, float("inf"))
        for _ in range(rounds):
            for which, model in models.items():
                best[which] = min(best[which], work(model, x) / times * 1000)
        label = f"B={batch} T={times} N={slots} W={words} R={heads}"
        bar = LARGE_BAR if size == LARGE else BAR
        print(f"{label:34s} {best['dnc']:9.2f} {best['ours']:8.2f}  {verdict(best['dnc'] / best['ours'], bar)}")
        if options.compile:
            print(f"{'  compiled':43s} {best['compiled']:9.2f}  {verdict(best['dnc'] / best['compiled'], LARGE_BAR)}")

    if not options.no_memory:
        command = [sys.executable, __file__, "--threads", str(options.threads), "--peak"]
        theirs, ours = (int(subprocess.check_output([*command, which])) for which in ("dnc", "ours"))
        share = ours / theirs
        print(f"\npeak memory at N={LARGE[2]}: dnc {theirs / 1e6:.0f} MB, ours {ours / 1e6:.0f} MB, {share:.2f} of it")
        print(f"{'meets' if share <= MEMORY_BAR else 'MISSES'} the bar of {MEMORY_BAR:.2f}")


if __name__ == "__main__":
    main()
