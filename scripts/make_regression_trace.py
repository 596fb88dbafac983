"""Write the regression trace of the current format version: a trace as a crash leaves it, sealed and live parts both.

    python scripts/make_regression_trace.py tests/regression/traces/v1-mixed

Run once per format version, and never again for a version that was released: the test in tests/regression holds every
later memviz to reading what this wrote. The values are formulas, written down a second time in that test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ml_dtypes
import numpy as np

from memviz.trace.schema import Event, FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

RECORDS, SEAL_EVERY, SLOTS = 8, 3, 6


def fields(*specs: tuple[str, str, str]) -> dict[str, FieldSchema]:
    return {name: FieldSchema(name, tuple(axes.split()), dtype) for name, axes, dtype in specs}


def header() -> TraceHeader:
    layer = fields(
        ("read_weights", "time batch read_head slot", "float32"),
        ("usage", "time batch slot", "bfloat16"),
        ("free", "time batch slot", "bool"),
        ("grad/usage", "time batch slot", "float16"),
        ("initial/memory", "batch slot word", "float64"),
        ("final/count", "", "int64"),
    )
    model = fields(("output", "time batch output_channel", "float32"))
    return TraceHeader(
        memviz_version="",
        created=1_700_000_000.0,
        run="regression",
        model={"class": "Example", "parameters": 123},
        attributes={"task": "copy", "seed": 0},
        memories={
            "layer0": MemorySchema("layer0", "example", layer, {"layer": 0}),
            "model": MemorySchema("model", "", model),
        },
    )


def record(i: int) -> RecordData:
    times = 1 + i % 4
    shape = (times, 2, 3, SLOTS)
    weights = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 8 + i
    weights.reshape(-1).view(np.uint32)[:3] = (0x7FC00ABC, 0xFF800000, 0x80000000)  # a NaN with a payload, -Inf, -0.0
    small = np.arange(times * 2 * SLOTS).reshape(times, 2, SLOTS) - 3 * i
    half = small.astype(np.uint16) * 257
    values: dict[str, np.ndarray] = {
        "layer0/read_weights": weights,
        "layer0/usage": half.view(ml_dtypes.bfloat16),
        "layer0/free": small % 3 == 0,
        "layer0/grad/usage": half.view(np.float16),
        "layer0/initial/memory": np.full((2, 1, 4), i / 3),
        "layer0/final/count": np.array(-i),
    }
    if i != 7:  # one record lacks a memory
        values["model/output"] = np.full((times + 1, 2, 5), i, np.float32)
    labels = {"phase": ["input", i, None], "text": "Größe ≤ 1"} if i % 2 else {}
    return RecordData(
        step=100 * i, fields=values, wall=1_700_000_000.25 + i, forward=2 * i, batch=(0, 5), labels=labels
    )


def main() -> None:
    target = Path(sys.argv[1])
    if target.exists():
        sys.exit(f"{target} exists; a regression trace is written once")
    writer = TraceWriter.create(target, header(), seal_every=SEAL_EVERY)
    for i in range(RECORDS):
        writer.append(record(i))
        writer.log(100 * i, {"loss": 1 / (i + 1), "rate": [np.nan, np.inf, -np.inf, 0.1][i % 4]}, wall=1.7e9 + i)
    writer.event(
        Event("gap", "three records were dropped", 1.7e9, step=900, data={"dropped": 3, "reason": "queue full"})
    )
    # Not closed: the process was killed while it wrote a line.
    writer._close_files()
    with (target / "scalars.jsonl").open("ab") as file:
        file.write(b'{"step":1000,"wall":17')
    (target / "writer.lock").unlink()
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size} bytes")


if __name__ == "__main__":
    main()
