"""Time and memory of our DNC against the class of the `dnc` package: same sizes, same data, one run.

    python benchmarks/bench_dnc.py [--rounds 12] [--threads 1] [--sizes 64 256 1024] [--no-compile] [--no-memory]

A time is that of forward and backward per time of a sequence, in milliseconds (of CPU time on one thread, of wall time
on several), the least of several rounds in which the models take turns. Each has an LSTM controller of one cell. `ours`
is wired as in the paper: it feeds every read back to the controller, which the package does not. `carried` is ours with
the package's wiring and weights (`from_dnc_package`), so it computes the very function that `dnc` does: the first line
of each size says by how much their outputs differ. `compiled` is `ours` with `model.memory.compile()`; the seconds that
it took to build are named and not counted.

Memory is the peak resident size of a process of its own that does one forward and backward, less what the process had
before.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import nn

HIDDEN, BITS = 64, 8
SIZES = {
    16: (32, 17, 16, 16, 2),
    64: (16, 20, 64, 32, 4),
    256: (16, 20, 256, 32, 4),
    1024: (4, 50, 1024, 32, 4),
}
"""Batch, times, slots, words, read heads, by the number of slots; 16 is the size of the demos."""

LARGE = 1024
BAR, LARGE_BAR, MEMORY_BAR = 1.5, 2.5, 1 / 3


def make(which: str, size: tuple[int, int, int, int, int]) -> nn.Module:
    _, _, slots, words, heads = size
    torch.manual_seed(0)
    if which in ("dnc", "carried"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an invalid escape sequence and a deprecated constructor
            import dnc

            model = dnc.DNC(BITS, HIDDEN, num_hidden_layers=1, nr_cells=slots, cell_size=words, read_heads=heads)
        if which == "dnc":
            return model
        from memviz.demos.models import from_dnc_package

        return from_dnc_package(model)
    from memviz.demos.models import DNC

    model = DNC(BITS, HIDDEN, nr_cells=slots, cell_size=words, read_heads=heads)
    if which == "compiled":
        model.memory.compile()
    return model


def work(model: nn.Module, x: torch.Tensor) -> float:
    """One forward and backward; seconds, of CPU time on one thread, which others disturb less than wall time."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    model(x)[0].square().mean().backward()
    return clock() - started


def peak(which: str, slots: int) -> int:
    """Bytes that one forward and backward adds to the peak of this process."""
    size = SIZES[slots]
    model, x = make(which, size), torch.randn(*size[:2], BITS)
    before = high_water()
    work(model, x)
    return high_water() - before


def high_water() -> int:
    """Peak resident size of this process in bytes; getrusage would report the parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def verdict(ratio: float, bar: float) -> str:
    return f"{ratio:5.2f}x  {'meets' if ratio >= bar else 'MISSES'} {bar}x"


def same_function(size: tuple[int, int, int, int, int]) -> float:
    """Largest difference between the outputs of `dnc` and `carried` in float64 over some times, from the same state.

    The state has no two slots in equal use: which of those is taken first is up to rounding, and to the package's sort.
    """
    from memviz.demos.models import from_dnc_package, state_from_dnc_package

    batch, times, slots, words, heads = size
    theirs = make("dnc", size).double()
    theirs.memories[0].I = theirs.memories[0].I.double()
    memory = {
        "memory": torch.randn(batch, slots, words),
        "link_matrix": torch.zeros(batch, 1, slots, slots),
        "precedence": torch.zeros(batch, 1, slots),
        "read_weights": torch.rand(batch, heads, slots) / slots,
        "write_weights": torch.rand(batch, 1, slots) / slots,
        "usage_vector": torch.rand(batch, slots),
    }
    memory = {name: value.double() for name, value in memory.items()}
    hidden = torch.randn(1, batch, HIDDEN).double()
    state = ([(hidden, hidden)], memory, torch.zeros(batch, heads * words).double())
    x = torch.randn(batch, min(times, 5), BITS).double()
    with torch.no_grad():
        ours, _ = from_dnc_package(theirs)(x, state_from_dnc_package(state))
        return float((ours - theirs(x, state)[0]).abs().max())


def compare_times(slots: int, rounds: int, compiled: bool) -> None:
    size = SIZES[slots]
    batch, times, _, words, heads = size
    print(
        f"\nN={slots} B={batch} T={times} W={words} R={heads}; carried differs by {same_function(size):.0e} in float64"
    )
    models = {which: make(which, size) for which in ("dnc", "ours", "carried", *(["compiled"] if compiled else []))}
    x = torch.randn(batch, times, BITS)
    for which, model in models.items():
        seconds = work(model, x)
        if which == "compiled":
            print(f"  built in {seconds:.0f} s")
            work(model, x)
    best = dict.fromkeys(models, float("inf"))
    for _ in range(max(3, rounds * 64 // max(slots, 64))):
        for which, model in models.items():
            best[which] = min(best[which], work(model, x) / times * 1000)
    print(f"  {'dnc':9s} {best['dnc']:8.2f} ms")
    for which in models:
        if which != "dnc":
            bar = LARGE_BAR if slots == LARGE or which == "compiled" else BAR
            print(f"  {which:9s} {best[which]:8.2f} ms  {verdict(best['dnc'] / best[which], bar)}")


def compare_memory(slots: int, threads: int) -> None:
    command = [sys.executable, __file__, "--threads", str(threads), "--sizes", str(slots), "--peak"]
    theirs, ours = (int(subprocess.check_output([*command, which])) for which in ("dnc", "ours"))
    share = ours / theirs
    said = f"{'meets' if share <= MEMORY_BAR else 'MISSES'} {MEMORY_BAR:.2f}" if slots == LARGE else ""
    print(f"N={slots:5d}: dnc {theirs / 1e6:6.0f} MB, ours {ours / 1e6:6.0f} MB, {share:.2f} of it  {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="at 64 slots; fewer at more")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=[64, 256, 1024], help="slots")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak", choices=("dnc", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of torch about itself, while it compiles
    if options.peak:
        print(peak(options.peak, options.sizes[0]))
        return

    print("ms per time of a sequence, forward and backward")
    for slots in options.sizes:
        compare_times(slots, options.rounds, not options.no_compile)
    if not options.no_memory:
        print("\npeak memory of one forward and backward")
        for slots in options.sizes:
            compare_memory(slots, options.threads)


if __name__ == "__main__":
    main()
