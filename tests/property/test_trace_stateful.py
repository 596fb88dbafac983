"""A writer and a reader against a model that is three lists: whatever the order of what they do, nothing differs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memviz.testing import strategies
from memviz.trace.jsonl import plain
from memviz.trace.reader import open_trace
from memviz.trace.repair import repair
from memviz.trace.schema import Event, FieldSchema, MemorySchema, TraceHeader
from memviz.trace.writer import TraceWriter

_fsync = os.fsync


class WriterAgainstReader(RuleBasedStateMachine):
    """One writer that may crash, one reader that is kept open all along, one that is opened anew."""

    def __init__(self) -> None:
        super().__init__()
        os.fsync = lambda fd: None  # this test is about order, not about power cuts
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.records: list = []
        self.losses: list[float] = []
        self.notes: list[str] = []
        self.writer = None
        self.closed = False

    def teardown(self) -> None:
        if self.writer is not None:
            self.writer.close()
        shutil.rmtree(self.folder)
        os.fsync = _fsync

    @initialize(memories=strategies.memory_sets(), seal_every=st.integers(1, 4))
    def start(self, memories, seal_every) -> None:
        self.memories, self.seal_every = memories, seal_every
        self.writer = self._create(resume=False)
        self.path = self.writer.path
        self.trace = open_trace(self.path)

    def _create(self, *, resume: bool) -> TraceWriter:
        header = TraceHeader("", 1.0, "run", memories=self.memories)
        return TraceWriter.create(self.folder / "run", header, resume=resume, seal_every=self.seal_every)

    writing = precondition(lambda self: self.writer is not None)
    idle = precondition(lambda self: self.writer is None)

    @rule(data=st.data(), count=st.integers(1, 6))
    def append(self, data, count) -> None:
        if self.writer is None:
            self.resume()
        kinds = data.draw(st.lists(strategies.records(self.memories), min_size=1, max_size=3))
        for i in range(count):
            record = replace(kinds[i % len(kinds)], step=len(self.records))
            assert self.writer.append(record) == len(self.records)
            self.records.append(record)

    @writing
    @rule(dtype=strategies.dtype_names(), axes=st.sampled_from([("time",), ("time", "batch"), ()]))
    def declare_another_field(self, dtype, axes) -> None:
        name = min(self.memories)
        field = FieldSchema(f"extra{len(self.memories[name].fields)}", axes, dtype)
        added = MemorySchema(name, fields={field.name: field})
        self.writer.declare(added)
        self.memories = {
            **self.memories,
            name: replace(self.memories[name], fields={**self.memories[name].fields, field.name: field}),
        }

    @writing
    @rule(value=st.floats())
    def log(self, value) -> None:
        self.writer.log(len(self.losses), {"loss": value})
        self.losses.append(value)

    @writing
    @rule(text=st.text())
    def note(self, text) -> None:
        self.writer.event(Event("note", text, 1.0))
        self.notes.append(text)

    @writing
    @rule()
    def seal(self) -> None:
        self.writer.seal()
        assert not list((self.path / "live").iterdir())

    @writing
    @rule()
    def flush(self) -> None:
        self.writer.flush()

    @writing
    @rule()
    def close(self) -> None:
        self.writer.close()
        self.writer, self.closed = None, True

    @writing
    @rule(torn=st.binary(max_size=8), half_sealed=st.booleans())
    def crash(self, torn, half_sealed) -> None:
        """What kill -9 leaves: the lock gone, a line half written, partial files."""
        self.writer._scalars.close()
        self.writer._events.close()
        self.writer._lock.release()
        self.writer = None
        self.closed = False
        with (self.path / "scalars.jsonl").open("ab") as file:
            file.write(torn.replace(b"\n", b"x"))
        (self.path / "live" / f"r{len(self.records):08d}.safetensors.partial").write_bytes(b"half a record")
        if half_sealed:
            partial = self.path / "sealed" / "r00000000-r00000007.partial"
            partial.mkdir()
            (partial / "zarr.json").write_bytes(b"{}")

    @writing
    @rule()
    def crash_between_rename_and_unlink(self) -> None:
        """Live files that are sealed already must count nothing twice."""
        live = self.path / "live"
        held = {name: (live / name).read_bytes() for name in os.listdir(live)}
        self.writer.seal()
        for name, data in held.items():
            (live / name).write_bytes(data)

    @idle
    @rule()
    def resume(self) -> None:
        self.writer = self._create(resume=True)
        assert self.writer.path == self.path
        assert self.writer.records == len(self.records)

    @idle
    @rule()
    def repair(self) -> None:
        assert repair(self.path).records == len(self.records)
        again = repair(self.path)
        assert not again.changed
        assert again.records == len(self.records)

    @rule()
    def open_anew(self) -> None:
        self.trace = open_trace(self.path)

    @invariant()
    def reader_agrees(self) -> None:
        if not hasattr(self, "trace"):
            return
        held = len(self.trace)
        assert self.trace.refresh() == len(self.records) - held
        assert self.trace.ids.tolist() == list(range(len(self.records)))
        assert self.trace.steps.tolist() == [record.step for record in self.records]
        assert self.trace.walls.tolist() == [record.wall for record in self.records]
        for record, expected in zip(self.trace, self.records, strict=True):
            assert record.labels == plain(expected.labels)
            assert set(record.stored) == set(expected.fields)
            for name, array in expected.fields.items():
                found = record[name]
                assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), name
        with contextlib.suppress(KeyError):
            np.testing.assert_array_equal(self.trace.scalars["loss"].values, self.losses)
        assert ("loss" in self.trace.scalars) == bool(self.losses)
        assert [event.message for event in self.trace.events if event.kind == "note"] == self.notes
        assert self.trace.state == ("live" if self.writer else "closed" if self.closed else "interrupted")
        assert not [note for note in self.trace.notes if "torn" not in note]


WriterAgainstReader.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWriterAgainstReader = WriterAgainstReader.TestCase
