"""Time the reading side of a trace of 10 000 records: open and list, one field slice, a series, sealing.

    python benchmarks/bench_trace.py [--records 10000] [--dir FOLDER]

A record is that of a DNC with N=128 slots, 4 read heads, T=26, batch 1: about 103 KB raw. Each figure stands beside
the bar of DESIGN.md it is held against.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from memviz.trace.reader import open_trace
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

TIMES, HEADS, SLOTS = 26, 4, 128
FIELDS = {
    "read_weights": ("time batch read_head slot", (TIMES, 1, HEADS, SLOTS)),
    "write_weights": ("time batch write_head slot", (TIMES, 1, 1, SLOTS)),
    "usage": ("time batch slot", (TIMES, 1, SLOTS)),
    "precedence_weights": ("time batch write_head slot", (TIMES, 1, 1, SLOTS)),
    "free_gates": ("time batch read_head", (TIMES, 1, HEADS)),
    "allocation_gate": ("time batch write_head", (TIMES, 1, 1)),
    "write_gate": ("time batch write_head", (TIMES, 1, 1)),
    "write_vectors": ("time batch write_head word", (TIMES, 1, 1, 100)),
}


def header() -> TraceHeader:
    fields = {name: FieldSchema(name, tuple(axes.split())) for name, (axes, _) in FIELDS.items()}
    return TraceHeader("", time.time(), "bench", memories={"memory": MemorySchema("memory", fields=fields)})


def records(count: int):
    rng = np.random.default_rng(0)
    # Softmax weights, as a trained model has them: random bytes would not compress as real ones do.
    pool = []
    for _ in range(64):
        fields = {}
        for name, (_, shape) in FIELDS.items():
            logits = rng.normal(size=shape).astype(np.float32) * 3
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            fields[f"memory/{name}"] = weights / weights.sum(-1, keepdims=True)
        pool.append(fields)
    for i in range(count):
        yield RecordData(step=i * 10, fields=pool[i % len(pool)], wall=1e9 + i, labels={"length": i % 7})


def write(folder: Path, count: int) -> tuple[Path, float, list[float]]:
    """Write the trace; returns its folder, the total seconds, and the seconds of each append that sealed."""
    started, sealing = time.perf_counter(), []
    with TraceWriter.create(folder / "bench", header()) as writer:
        for i, data in enumerate(records(count)):
            before = time.perf_counter()
            writer.append(data)
            if (i + 1) % writer.seal_every == 0:
                sealing.append(time.perf_counter() - before)
        path = writer.path
    return path, time.perf_counter() - started, sealing


def best(call, rounds: int) -> tuple[float, float]:
    """Median and largest milliseconds of a call."""
    spent = []
    for _ in range(rounds):
        before = time.perf_counter()
        call()
        spent.append((time.perf_counter() - before) * 1e3)
    return statistics.median(spent), max(spent)


def open_cold(path: Path) -> float:
    """Milliseconds to open and list the trace in a process that has imported memviz and done nothing else."""
    code = (
        "import sys, time; from memviz.trace.reader import open_trace; t = time.perf_counter(); "
        "trace = open_trace(sys.argv[1]); trace.steps, trace.walls, len(trace); print((time.perf_counter() - t) * 1e3)"
    )
    return min(
        float(subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True).stdout)
        for _ in range(3)
    )


def report(what: str, value: float, unit: str, bar: float | None = None, note: str = "") -> None:
    held = "" if bar is None else f"  bar {bar:g} {unit}: {value / bar:.2f}x {'met' if value <= bar else 'MISSED'}"
    print(f"{what:44s} {value:9.2f} {unit}{held}{'  ' + note if note else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--dir", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        path, seconds, sealing = write(Path(folder), options.records)
        trace = open_trace(path)
        raw = sum(record.nbytes for record in next(iter(records(1))).fields.values()) * options.records
        print(f"{options.records} records of {raw / options.records / 1e3:.0f} KB raw")
        report("write, sealing included", seconds / options.records * 1e3, "ms/record")
        if sealing:
            report("sealing 256 records", statistics.median(sealing) * 1e3, "ms")
        report("size on disk", trace.nbytes / raw, "x raw")
        report("open and list, fresh process", open_cold(path), "ms", 50)
        report("open and list, again", best(lambda: open_trace(path).steps, 5)[0], "ms", 50)
        rng = np.random.default_rng(1)

        def place() -> int:
            return int(rng.integers(len(trace)))

        for what, call in (
            ("one field of one record", lambda: trace[place()]["memory/read_weights"]),
            ("one time of one field", lambda: trace[place()].read("memory/read_weights", 3)),
        ):
            call()
            median, worst = best(call, 500)
            report(what, median, "ms", 1, f"(random records, worst {worst:.2f} ms)")
        for what, index in (
            ("one value", (3, 0, 0, 5)),
            ("one row at the last time", (-1, 0, 0)),
        ):
            median, _ = best(lambda index=index: trace.series("memory/read_weights", index), 2)
            report(f"series of {what} over all records", median / 1e3, "s", 1)
        report("refresh with nothing new", best(trace.refresh, 20)[0], "ms")
        report("peak memory of this process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB", 512)


if __name__ == "__main__":
    main()
