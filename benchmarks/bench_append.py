"""Time the append of one record of 100 KB: memviz against rerun-sdk and TensorBoard images, same data, same run.

    python benchmarks/bench_append.py [--records 512] [--rounds 3] [--dir FOLDER]

Each is used as its own documentation does for data of this kind: memviz appends the record through its writer; rerun
logs one tensor per field into a file; TensorBoard gets one heatmap per field and head, time down and cells across.
Two figures each, per record, medians over rounds that take turns: what the call costs the thread that makes it, and
wall time until all is on disk (sealing, flushing and closing included).

No call waits for the disk itself; sealing, which only memviz does, fsyncs and compresses. rerun batches in a thread of
its own, which the second figure counts and the first one does not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

TIMES, HEADS, SLOTS = 32, 4, 128
FIELDS = {
    "read_weights": ("time batch read_head slot", (TIMES, 1, HEADS, SLOTS)),
    "write_weights": ("time batch write_head slot", (TIMES, 1, 1, SLOTS)),
    "usage": ("time batch slot", (TIMES, 1, SLOTS)),
    "free_gates": ("time batch read_head", (TIMES, 1, HEADS)),
    "allocation_gate": ("time batch write_head", (TIMES, 1, 1)),
    "write_gate": ("time batch write_head", (TIMES, 1, 1)),
    "read_modes": ("time batch read_head mode", (TIMES, 1, HEADS, 3)),
}


def records(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        fields = {}
        for name, (_, shape) in FIELDS.items():
            weights = np.exp(rng.normal(size=shape).astype(np.float32) * 3)
            fields[name] = weights / (weights.sum(-1, keepdims=True) + 1e-6)
        made.append(fields)
    return made


def memviz(folder: Path, data: list[dict[str, np.ndarray]]) -> tuple[list[float], float]:
    fields = {name: FieldSchema(name, tuple(axes.split())) for name, (axes, _) in FIELDS.items()}
    header = TraceHeader("", time.time(), "bench", memories={"memory": MemorySchema("memory", fields=fields)})
    calls, started = [], time.perf_counter()
    with TraceWriter.create(folder / "memviz", header) as writer:
        for i, arrays in enumerate(data):
            before = time.perf_counter()
            writer.append(RecordData(i, {f"memory/{name}": array for name, array in arrays.items()}, time.time()))
            calls.append(time.perf_counter() - before)
    return calls, time.perf_counter() - started


def rerun(folder: Path, data: list[dict[str, np.ndarray]]) -> tuple[list[float], float]:
    import rerun as rr

    recording = rr.RecordingStream("bench_append")
    recording.save(folder / "rerun.rrd")
    calls, started = [], time.perf_counter()
    for i, arrays in enumerate(data):
        before = time.perf_counter()
        recording.set_time("step", sequence=i)
        for name, array in arrays.items():
            recording.log(f"memory/{name}", rr.Tensor(array, dim_names=FIELDS[name][0].split()))
        calls.append(time.perf_counter() - before)
    recording.flush()
    recording.disconnect()
    return calls, time.perf_counter() - started


def tensorboard(folder: Path, data: list[dict[str, np.ndarray]]) -> tuple[list[float], float]:
    from torch.utils.tensorboard import SummaryWriter

    calls, started = [], time.perf_counter()
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for i, arrays in enumerate(data):
            before = time.perf_counter()
            for name, array in arrays.items():
                heads = array.shape[2] if "head" in FIELDS[name][0] and array.ndim == 4 else 1
                image = (array.reshape(TIMES, heads, -1) * 255).astype(np.uint8)
                for head in range(heads):
                    writer.add_image(f"memory/{name}/{head}", image[None, :, head], i)
            calls.append(time.perf_counter() - before)
    return calls, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args()
    data = records(options.records)
    raw = sum(array.nbytes for array in data[0].values())
    ways = {"memviz": memviz, "rerun-sdk": rerun, "TensorBoard images": tensorboard}
    call: dict[str, list[float]] = {name: [] for name in ways}
    whole: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # imports and first calls, not counted
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            way(Path(folder), data[:8])
    for _ in range(options.rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=options.dir) as folder:
                calls, total = way(Path(folder), data)
            call[name].append(statistics.median(calls) * 1e3)
            whole[name].append(total / len(data) * 1e3)
    print(f"{options.records} records of {raw / 1e3:.0f} KB in {len(FIELDS)} fields, {options.rounds} rounds")
    print(f"{'':20s} {'call ms':>9s} {'on disk ms':>11s}")
    for name in ways:
        print(f"{name:20s} {statistics.median(call[name]):9.3f} {statistics.median(whole[name]):11.3f}")
    for name, bar in (("rerun-sdk", 10), ("TensorBoard images", 50)):
        for what, spent in (("append call", call), ("until on disk", whole)):
            ratio = statistics.median(spent[name]) / statistics.median(spent["memviz"])
            held = f"bar {bar}x: {'met' if ratio >= bar else 'MISSED'}" if what == "append call" else "no bar"
            print(f"memviz against {name}, {what}: {ratio:.1f}x faster  ({held})")


if __name__ == "__main__":
    main()
