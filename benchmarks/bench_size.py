"""How small a trace of a DNC is: the default fields on disk against every field raw, and what derivation gives back.

    python benchmarks/bench_size.py

N=128 slots of W=20 words, 4 read heads, T=40 times, batch item 0, after some training so that weights are not uniform.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import memviz
from memviz.demos.models import DNC

SLOTS, WORDS, READS, TIMES, RECORDS = 128, 20, 4, 40, 32
BAR_SIZE, BAR_ERROR = 25, 1e-5
STATE = ("memory", "link_matrix", "usage", "precedence_weights")


def record(path: Path, fields: str) -> memviz.Trace:
    """Train the same model on the same data, recorded with `fields` at every step."""
    torch.manual_seed(0)
    model = DNC(8, 64, nr_cells=SLOTS, cell_size=WORDS, read_heads=READS)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    with memviz.attach(model, path, every=1, fields=fields) as recorder:
        for _ in range(RECORDS):
            x = torch.randint(0, 2, (8, TIMES, 8)).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[0], x.roll(TIMES // 2, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.flush()
    return memviz.open(path)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        small, full = (record(Path(scratch) / fields, fields) for fields in ("default", "all"))
        raw = sum(record.read(name).nbytes for record in full for name in record.stored)
        stored = sum(record.read(name).nbytes for record in small for name in record.stored)
        error = max(
            float(np.abs(a.read(f"memory/{field}") - b.read(f"memory/{field}")).max())
            for a, b in zip(small, full, strict=True)
            for field in STATE
        )
        ratio = raw / small.nbytes
        print(f"all fields, raw          {raw / RECORDS / 1e3:9.1f} kB/record")
        print(f"all fields, on disk      {full.nbytes / RECORDS / 1e3:9.1f} kB/record")
        print(f"default fields, raw      {stored / RECORDS / 1e3:9.1f} kB/record")
        print(f"default fields, on disk  {small.nbytes / RECORDS / 1e3:9.1f} kB/record")
        print(f"default on disk against all raw: {ratio:.1f}x smaller  (bar {BAR_SIZE}x: {met(ratio >= BAR_SIZE)})")
        print(f"derived state against recorded: {error:.1e}  (bar {BAR_ERROR:.0e}: {met(error <= BAR_ERROR)})")


def met(reached: bool) -> str:
    return "met" if reached else "MISSED"


if __name__ == "__main__":
    main()
