"""Time and memory of SAM and SDNC against dense models as the number of slots grows to a million, in one run.

    python benchmarks/bench_sparse.py [--rounds 5] [--slots 1000 10000 ...] [--no-memory]

A figure is forward and backward per time of a sequence, in milliseconds, the least of several rounds in which the
models take turns at each N, of CPU time on one thread; batch of 1, 32 words, 4 read heads, K = K_L = 4, LSTM of 64.

`empty` begins with a memory that nobody has written, as every sequence does that is given no state: neighbours are then
found exactly among the rows written so far. `full` begins with a million random rows in use, where faiss (IVF) finds
them; random rows have no clusters, so its recall here is that of the worst case. `dense SAM` is the same model with
reads and writes of all slots in plain autograd; `DNC` our own.

Memory is the peak resident size that one forward and backward of a process of its own adds once memory and parameters
are there, per time of the sequence. The last column of the table is the slope of log time over log N: 0 is constant, 1
is proportional.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from memviz.demos.models import DNC, SAM, SDNC

BITS, HIDDEN, WORDS, HEADS, TIMES = 8, 64, 32, 4, 20
SLOTS = (1_000, 10_000, 100_000, 1_000_000)
SIZES = {"cell_size": WORDS, "read_heads": HEADS}
DNC_MOST = 2_000
"""Slots up to which the DNC, whose links grow with their square, is run."""

BAR = 2.0


class DenseSAM(nn.Module):
    """A SAM that reads and writes all slots."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.cell = nn.LSTMCell(BITS + HEADS * WORDS, HIDDEN)
        self.interface = nn.Linear(HIDDEN, HEADS * WORDS + WORDS + HEADS + 2)
        self.output = nn.Linear(HIDDEN + HEADS * WORDS, BITS)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Run over a sequence [1, time, bit]; memory [1, slot, word] as it begins."""
        hidden = cell = x.new_zeros(1, HIDDEN)
        reads, weights = x.new_zeros(1, HEADS * WORDS), x.new_zeros(1, HEADS, self.slots)
        accessed, seen = torch.arange(self.slots).unsqueeze(0) - self.slots, []
        for now, x_t in enumerate(x.unbind(1)):
            hidden, cell = self.cell(torch.cat((x_t, reads), 1), (hidden, cell))
            keys, vector, betas, gates = self.interface(hidden).split((HEADS * WORDS, WORDS, HEADS, 2), 1)
            keys, gates = keys.view(1, HEADS, WORDS), torch.sigmoid(gates)
            free = torch.zeros(1, self.slots).scatter(1, accessed.argmin(1, keepdim=True), 1.0)
            write = gates[:, :1] * (gates[:, 1:] * free + (1 - gates[:, 1:]) * weights.mean(1))
            memory = memory * (1 - free).unsqueeze(2) + write.unsqueeze(2) * vector.unsqueeze(1)
            norms = (
                torch.linalg.vector_norm(memory, dim=2).unsqueeze(1) * torch.linalg.vector_norm(keys, dim=2)[..., None]
            )
            beta = 1 + nn.functional.softplus(betas).unsqueeze(2)
            weights = torch.softmax(beta * (keys @ memory.mT) / (norms + 1e-6), dim=2)
            accessed = torch.where((weights > 0.005).any(1) | (write > 0.005), now, accessed)
            reads = (weights @ memory).flatten(1)
            seen.append(self.output(torch.cat((hidden, reads), 1)))
        return torch.stack(seen, 1)


def times_of(which: str, slots: int) -> int:
    """Times of the sequence: fewer where each keeps copies of a large memory."""
    return TIMES if which not in ("dense SAM", "DNC") else min(TIMES, max(3, 1_000_000 // slots))


def make(which: str, slots: int) -> Callable[[Tensor], Tensor]:
    """The forward of a model on a sequence."""
    torch.manual_seed(0)
    name, _, start = which.partition(", ")
    if name == "dense SAM":
        model, memory = DenseSAM(slots), torch.randn(1, slots, WORDS)
        return lambda x: model(x, memory)
    if name == "DNC":
        dnc = DNC(BITS, HIDDEN, nr_cells=slots, **SIZES)
        return lambda x: dnc(x)[0]
    sparse = {"SAM": SAM, "SDNC": SDNC}[name](BITS, HIDDEN, nr_cells=slots, **SIZES)
    if start == "empty":
        return lambda x: sparse(x)[0]
    state = sparse.initial_state(1, torch.randn(1, slots, WORDS))

    def forward(x: Tensor) -> Tensor:
        return sparse(x, state)[0]

    forward.finder = state.memory.bank.finder  # type: ignore[attr-defined]
    return forward


WHICH = ("SAM, empty", "SAM, full", "SDNC, empty", "SDNC, full", "dense SAM", "DNC")


def work(forward: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """One forward and backward; seconds of CPU time per time, which other processes disturb less than wall time."""
    started = time.process_time()
    forward(x).square().mean().backward()
    return (time.process_time() - started) / x.shape[1]


def added(which: str, slots: int) -> float:
    """Bytes per time that one forward and backward adds to the peak of this process."""
    forward, times = make(which, slots), times_of(which, slots)
    if which not in ("dense SAM", "DNC"):
        # The first sequence makes the arrays that all later ones use.
        work(forward, torch.randn(1, 2, BITS))
        times = 400
    before = high_water()
    work(forward, torch.randn(1, times, BITS))
    return max(high_water() - before, 0) / times


def high_water() -> int:
    """Peak resident size of this process in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def slope(found: dict[int, float]) -> float:
    """Of the straight line through log value over log N."""
    xs, ys = [math.log(n) for n in found], [math.log(value) for value in found.values()]
    middle = sum(xs) / len(xs)
    return sum((x - middle) * y for x, y in zip(xs, ys, strict=True)) / sum((x - middle) ** 2 for x in xs)


def row(name: str, found: dict[int, float], slots: list[int], form: str) -> str:
    cells = [format(found[n], form) if n in found else "-" for n in slots]
    last = f"{slope(found):.2f}" if len(found) > 1 and min(found.values()) > 0 else "-"
    return "| " + " | ".join([name, *cells, last]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, nargs="+", default=list(SLOTS))
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak", nargs=2, metavar=("MODEL", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        print(added(options.peak[0], int(options.peak[1])))
        return

    spent: dict[str, dict[int, float]] = {which: {} for which in WHICH}
    recalls: dict[int, float] = {}
    for slots in options.slots:
        made = {which: make(which, slots) for which in WHICH if which != "DNC" or slots <= DNC_MOST}
        for turn in range(options.rounds + 1):
            for which, forward in made.items():
                if which == "dense SAM" and slots > 100_000 and turn > 2:
                    continue
                seconds = work(forward, torch.randn(1, times_of(which, slots), BITS))
                if turn:  # the first builds indexes and buffers
                    spent[which][slots] = min(spent[which].get(slots, math.inf), seconds * 1000)
        recall = made["SAM, full"].finder.recall  # type: ignore[attr-defined]
        if recall is not None:
            recalls[slots] = float(recall.mean())
        print(f"N = {slots}: " + ", ".join(f"{which} {spent[which][slots]:.2f} ms" for which in made), flush=True)

    head = " | ".join(f"N = {slots:,}".replace(",", " ") for slots in options.slots)
    print(f"\n| ms per time | {head} | slope |\n|---|{'---|' * (len(options.slots) + 1)}")
    for which in WHICH:
        if spent[which]:
            print(row(which, spent[which], options.slots, ".2f"))
    print(f"\nrecall of faiss on random rows: {', '.join(f'{n}: {value:.2f}' for n, value in recalls.items()) or '-'}")
    most = max(options.slots)
    if most in spent["dense SAM"]:
        print(f"dense SAM / SAM, full at N = {most}: {spent['dense SAM'][most] / spent['SAM, full'][most]:.0f}x")
    if {10_000, 1_000_000} <= set(options.slots):
        for which in WHICH[:4]:
            ratio = spent[which][1_000_000] / spent[which][10_000]
            verdict = "meets" if ratio <= BAR else "MISSES"
            print(f"{which}: N = 1 000 000 takes {ratio:.2f}x of N = 10 000, {verdict} {BAR}x")

    if not options.no_memory:
        print(f"\n| kB per time | {head} | slope |\n|---|{'---|' * (len(options.slots) + 1)}")
        for which in WHICH:
            found = {}
            for slots in options.slots:
                if which == "DNC" and slots > DNC_MOST:
                    continue
                command = [sys.executable, __file__, "--peak", which, str(slots)]
                found[slots] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024
            print(row(which, found, options.slots, ".0f"), flush=True)


if __name__ == "__main__":
    main()
