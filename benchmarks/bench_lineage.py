"""What lineage costs, beside autograd computing the same numbers: DNC, N=128 slots, W=20 words, H=4 read heads.

    python benchmarks/bench_lineage.py [--rounds 20]

One read at T=500 and the full table of all reads at T=100, from a record whose generators are float32 arrays in
memory; one read once more from a record on disk. Autograd gets the same recorded weightings: it unrolls the memory in
torch (float64, as lineage computes) and differentiates the read with respect to what was written. *Jacobian* is the
plain call, one backward pass per word of the read; *one pass* uses that a word of the read depends on that word of the
writes only. For the table, autograd's time is that of some reads, the unroll counted once, scaled to all of them. Both
sides must agree.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage import lineage
from memviz.analysis.lineage.table import lineage_table
from memviz.testing.synthetic import write_dnc_run

SLOTS, WORDS, HEADS = 128, 20, 4
BAR_READ, BAR_TABLE = 5e-3, 15e-3


def random_record(times: int, seed: int = 0) -> ArrayRecord:
    rng = np.random.default_rng(seed)

    def weighting(heads: int) -> np.ndarray:
        powers = np.exp(3 * rng.normal(size=(times, 1, heads, SLOTS)))
        return powers / powers.sum(-1, keepdims=True)

    fields = {
        "write_weights": weighting(1),
        "read_weights": weighting(HEADS),
        "erase_vectors": rng.random((times, 1, 1, WORDS)),
        "write_vectors": rng.normal(size=(times, 1, 1, WORDS)),
        "free_gates": rng.random((times, 1, HEADS)),
        "initial/memory": rng.normal(size=(1, SLOTS, WORDS)),
    }
    return ArrayRecord({name: values.astype(np.float32) for name, values in fields.items()})


def seconds(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and best wall time."""
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent), min(spent)


class Autograd:
    """The same memory unrolled in torch, with the recorded weightings."""

    def __init__(self, record: ArrayRecord) -> None:
        def take(name: str) -> torch.Tensor:
            return torch.tensor(record.read(f"memory/{name}").astype(np.float64))

        self.weights, self.erase = take("write_weights")[:, 0, 0], take("erase_vectors")[:, 0, 0]
        self.vectors = take("write_vectors")[:, 0, 0]
        self.reads, self.initial = take("read_weights")[:, 0], take("initial/memory")[0]

    def unroll(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """The memory after each time, from what is written."""
        memory, states = self.initial, []
        for w, e, v in zip(self.weights, self.erase, vectors, strict=True):
            memory = memory * (1 - torch.outer(w, e)) + torch.outer(w, v)
            states.append(memory)
        return states

    def jacobian(self) -> np.ndarray:
        """Contributions to the last read of head 0 by the full Jacobian, [time, word]."""
        full = torch.autograd.functional.jacobian(lambda v: self.reads[-1, 0] @ self.unroll(v)[-1], self.vectors)
        return np.einsum("wtw,tw->tw", full.numpy(), self.vectors.numpy())

    def one_pass(self) -> np.ndarray:
        """The same by one backward pass."""
        vectors = self.vectors.clone().requires_grad_()
        read = self.reads[-1, 0] @ self.unroll(vectors)[-1]
        return (torch.autograd.grad(read.sum(), vectors)[0] * vectors).detach().numpy()

    def table_seconds(self, sample: int) -> float:
        """Seconds for one backward pass per read of the table, from `sample` of them, spread over time."""
        vectors = self.vectors.clone().requires_grad_()
        begun = time.perf_counter()
        states = self.unroll(vectors)
        unrolled = time.perf_counter() - begun
        begun = time.perf_counter()
        for at in np.linspace(0, len(states) - 1, sample).astype(int):
            torch.autograd.grad((self.reads[at, 0] @ states[at]).sum(), vectors, retain_graph=True)
        return unrolled + (time.perf_counter() - begun) / sample * len(states) * HEADS


def row(what: str, median: float, best: float, bar: float | None = None) -> None:
    verdict = "" if bar is None else f"   bar {bar * 1e3:.0f} ms: {'met' if median <= bar else 'MISSED'}"
    print(f"{what:46} {median * 1e3:10.2f} ms   best {best * 1e3:9.2f} ms{verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)

    record, shorter = random_record(500), random_record(100)
    autograd = Autograd(record)
    found = lineage(record, -1, 0)
    for other in (autograd.jacobian(), autograd.one_pass()):
        np.testing.assert_allclose(found.contributions[1:], other, rtol=0, atol=1e-12)

    print("one read, T=500")
    one = seconds(lambda: lineage(record, -1, 0), rounds)
    row("  lineage", *one, BAR_READ)
    row("  lineage with its shares by slot", *seconds(lambda: lineage(record, -1, 0).by_slot, rounds))
    jacobian = seconds(autograd.jacobian, 3)
    row("  autograd, Jacobian", *jacobian)
    single = seconds(autograd.one_pass, 5)
    row("  autograd, one pass", *single)
    print(f"  ratio {jacobian[0] / one[0]:.0f}x to the Jacobian, {single[0] / one[0]:.0f}x to one pass")

    print("full table, T=100")
    table = seconds(lambda: lineage_table(shorter), rounds)
    row("  lineage_table", *table, BAR_TABLE)
    passes = Autograd(shorter).table_seconds(20)
    row("  autograd, one pass per read", passes, passes)
    print(f"  ratio {passes / table[0]:.0f}x")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        write_dnc_run(path, steps=1, times=500, slots=SLOTS, words=WORDS, read_heads=HEADS)
        stored = memviz.open(path)[0]
        print("one read, T=500, from disk")
        row("  lineage", *seconds(lambda: lineage(stored, -1, 0), rounds))


if __name__ == "__main__":
    main()
