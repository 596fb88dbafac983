"""Synthetic runs on disk, for tests and for authors of pages, diagnostics and adapters.

`write_dnc_run` writes a run that looks like a DNC learning to copy: diffuse at first, then writes and reads in order.
What its records contain is derived in memviz.testing.simulate and known exactly.

    run = write_dnc_run("runs/copy")                      # 20 records, closed
    run = write_dnc_run("runs/live", live=True)           # the same, and its writer stays open
    run.append(); run.close()
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from memviz._version import __version__
from memviz.fields import GENERATORS, MODEL, lookup
from memviz.testing.simulate import COSINE_DELTA, Sizes, copy_loss, episodes, simulate_dnc
from memviz.trace.schema import FieldSchema, Json, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

STORED_BY_DEFAULT = (
    *GENERATORS,
    "write_gate",
    "allocation_gate",
    "read_modes",
    "write_strengths",
    "read_strengths",
    "write_keys",
    "read_keys",
    "read_vectors",
    "initial/memory",
    "final/memory",
)
"""What `fields="default"` stores beside the input, target and output of the model: generators and keyframes."""

MODEL_FIELDS = ("input", "target", "output")


class SyntheticRun:
    """A synthetic run that can still grow; also a context manager that closes it.

    Attributes:
        path: the trace directory really used.
        sizes: the shape of its memory.
        every: training steps between two records.
        learned: index of the record from which on the model copies perfectly (sharpness 1).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sizes: Sizes,
        *,
        every: int,
        learned: int,
        seed: int,
        fields: Literal["default", "all"],
        memory: str,
        plant_nan: tuple[int, int] | None,
        seal_every: int,
    ) -> None:
        self.sizes = sizes
        self.every = every
        self.learned = max(1, learned)
        self._seed = seed
        self._fields = fields
        self._memory = memory
        self._plant_nan = plant_nan
        self._count = 0
        self._loss = math.log(2.0)
        self._noise = np.random.default_rng([seed, 3])
        header = TraceHeader(
            memviz_version=__version__,
            created=time.time(),
            run=Path(path).name,
            model={"class": "SyntheticDNC", "parameters": 0},
            attributes={"task": "copy", "seed": seed, "synthetic": True},
        )
        self._writer = TraceWriter.create(Path(path), header, seal_every=seal_every)
        self.path = Path(self._writer.path)
        self._declared = False

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> SyntheticRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def sharpness(self, index: int) -> float:
        """How far the controller has decided at record `index`: a logistic curve from 0 to exactly 1 at `learned`."""

        def curve(x: float) -> float:
            return 1.0 / (1.0 + math.exp(-12.0 * (x - 0.55)))

        x = min(1.0, index / self.learned)
        return (curve(x) - curve(0.0)) / (curve(1.0) - curve(0.0))

    def arrays(self, index: int) -> dict[str, np.ndarray]:
        """All fields of record `index` by bare name, item axis included, whether they are stored or not."""
        planted = self._plant_nan
        return simulate_dnc(
            self.sizes,
            seed=self._seed,
            sharpness=self.sharpness(index),
            jitter=index,
            plant_nan=planted[1] if planted is not None and index >= planted[0] else None,
        )

    def append(self, records: int = 1) -> None:
        """Commit the next `records` records and log the loss of every step up to them.

        The loss at a recorded step is that of the record; the steps between are interpolated on a log scale with
        noise, because nothing was trained there.
        """
        for _ in range(records):
            arrays = self.arrays(self._count)
            if not self._declared:
                self._declare(arrays)
            step = self._count * self.every
            self._log_until(step, copy_loss(arrays, self.sizes))
            labels: dict[str, Json] = {
                "phases": [
                    [phase.name, phase.start, phase.stop] for phase in episodes(self.sizes.times, self.sizes.slots)
                ]
            }
            stored = {f"{self._memory}/{name}": arrays[name] for name in self._stored(arrays)}
            stored |= {f"{MODEL}/{name}": arrays[name] for name in MODEL_FIELDS}
            self._writer.append(
                RecordData(
                    step=step, fields=stored, wall=time.time(), batch=tuple(range(self.sizes.batch)), labels=labels
                )
            )
            self._count += 1
        self._writer.flush()

    def close(self) -> None:
        """Close the trace."""
        self._writer.close()

    def _stored(self, arrays: dict[str, np.ndarray]) -> list[str]:
        if self._fields == "all":
            return [name for name in arrays if name not in MODEL_FIELDS]
        return list(STORED_BY_DEFAULT)

    def _declare(self, arrays: dict[str, np.ndarray]) -> None:
        for memory, names, law in ((MODEL, list(MODEL_FIELDS), ""), (self._memory, self._stored(arrays), "dnc")):
            attributes: dict[str, Json] = (
                {"class": "SyntheticDNC", "allocation_delta": 0.0, "cosine_delta": COSINE_DELTA} if law else {}
            )
            fields = {name: _schema(name) for name in names}
            self._writer.declare(MemorySchema(memory, law, fields, attributes))
        self._declared = True

    def _log_until(self, step: int, loss: float) -> None:
        before = step - self.every
        for between in range(max(0, before + 1), step):
            share = (between - before) / self.every
            level = (1 - share) * math.log(self._loss) + share * math.log(loss)
            self._writer.log(between, {"loss": math.exp(level + 0.15 * self._noise.normal())})
        self._writer.log(step, {"loss": loss})
        self._loss = loss


def _schema(name: str) -> FieldSchema:
    entry = lookup(name)
    assert entry is not None, name
    return FieldSchema(name, entry.axes, "float32", entry.kind, entry.low, entry.high, entry.simplex)


def write_dnc_run(
    path: str | os.PathLike[str],
    *,
    steps: int = 20,
    every: int = 20,
    times: int = 21,
    slots: int = 16,
    words: int = 16,
    read_heads: int = 2,
    batch: int = 1,
    seed: int = 0,
    fields: Literal["default", "all"] = "default",
    memory: str = "memory",
    plant_nan: tuple[int, int] | None = None,
    live: bool = False,
    sleep: float = 0.0,
    seal_every: int = 256,
) -> SyntheticRun:
    """Write a run that looks like a DNC learning to copy.

    Args:
        path: where the trace goes; an existing trace stays and `-2` is appended.
        steps: how many sampled training steps there are, one record each; the last one copies perfectly.
        every: training steps from one record to the next; the loss is logged at every step.
        times: length T of the sequence.
        slots: memory rows N.
        words: memory columns W.
        read_heads: number of read heads R.
        batch: items per record.
        seed: chooses items, encoding and noise; equal seeds give equal runs.
        fields: "default" stores generators and keyframes (the state is then derived), "all" stores everything.
        memory: name of the memory.
        plant_nan: `(record, time)`: from that record on, a NaN enters the write vector of item 0 at that time.
        live: leave the writer open, so that the run is live and `append` goes on; close it with `close`.
        sleep: seconds to wait before each record, to imitate a training run.
        seal_every: records per sealed segment.

    Returns:
        The run; closed unless `live`.

    Raises:
        ValueError: a size too small for a copy task.
        TraceError: the trace cannot be written.
    """
    sizes = Sizes(times=times, slots=slots, words=words, read_heads=read_heads, batch=batch)
    run = SyntheticRun(
        path,
        sizes,
        every=every,
        learned=steps - 1,
        seed=seed,
        fields=fields,
        memory=memory,
        plant_nan=plant_nan,
        seal_every=seal_every,
    )
    for _ in range(steps):
        if sleep:
            time.sleep(sleep)
        run.append()
    if not live:
        run.close()
    return run
