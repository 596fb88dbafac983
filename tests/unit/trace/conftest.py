"""A small trace that most tests of this room start from."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter


def _field(name, axes, dtype="float32"):
    return FieldSchema(name, tuple(axes.split()), dtype)


def _memory(name, *fields, law="", attributes=None):
    return MemorySchema(name, law, {field.name: field for field in fields}, attributes or {})


def _record(step, wall=0.0, labels=None, **fields):
    """A record of one memory: keyword `usage` becomes "memory/usage"."""
    named = {f"memory/{name}": array for name, array in fields.items()}
    return RecordData(step=step, fields=named, wall=wall, labels=labels or {})


def _sample(i):
    """Record i of the sample trace: times 2, 3, 4, 2 ... and values that follow from i."""
    times = 2 + i % 3
    weights = np.arange(times * 2 * 3, dtype=np.float32).reshape(times, 2, 3) + 100 * i
    weights[0, 0, 0] = np.nan
    half = (weights / 3).astype(ml_dtypes.bfloat16)
    return _record(i * 10, 1e9 + i, {"number": i}, read_weights=weights, usage=half, **{"final/count": np.array(i)})


@pytest.fixture
def make():
    """Short ways to build schemas, records and writers."""

    class Make:
        field = staticmethod(_field)
        memory = staticmethod(_memory)
        record = staticmethod(_record)
        sample = staticmethod(_sample)
        sample_memory = _memory(
            "memory",
            _field("read_weights", "time batch slot"),
            _field("usage", "time batch slot", "bfloat16"),
            _field("final/count", "", "int64"),
        )

        @staticmethod
        def header(*memories, **facts):
            return TraceHeader("", 1e9, "run", memories={memory.name: memory for memory in memories}, **facts)

        @classmethod
        def writer(cls, path, *memories, **options):
            return TraceWriter.create(path, cls.header(*(memories or [cls.sample_memory])), **options)

        @classmethod
        def trace(cls, path, count=10, close=True, **options):
            """Write a sample trace and return its folder; with seal_every=4 it has segments and live files."""
            writer = cls.writer(path, **options)
            for i in range(count):
                writer.append(cls.sample(i))
                writer.log(i * 10, {"loss": 1 / (i + 1)})
            if close:
                writer.close()
                return writer.path
            writer._close_files()  # as a crash leaves it: live files, no "closed" event
            return writer.path

    return Make
