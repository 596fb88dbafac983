"""No record makes a check fail, whatever is in it: odd axes, empty axes, any bits, weightings of any kind."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memviz
from memviz.analysis.diagnostics import examine
from memviz.analysis.film import film
from memviz.fields import CATALOGUE
from memviz.testing import strategies as mine
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

HEADER = TraceHeader(memviz_version="0", created=0.0, run="any")
LENIENT = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def judge(memories, records):
    """Write the records and examine them; findings and film must come out as strict JSON, and no check may fail."""
    with TemporaryDirectory() as folder:
        writer = TraceWriter.create(Path(folder) / "any", HEADER)
        for memory in memories.values():
            writer.declare(memory)
        for record in records:
            writer.append(record)
        writer.close()
        trace = memviz.open(writer.path)
        report = examine(trace)
        json.dumps(report.to_json(), allow_nan=False)
        assert [entry for entry in report.unchecked if entry.failed] == []
        shown = film(trace, keep=False)
        json.dumps(shown.to_json(), allow_nan=False)
        json.dumps([change.to_json() for change in shown.changes()], allow_nan=False)
        return report


@LENIENT
@given(st.data())
def test_any_fields_of_any_axes(data):
    memories = data.draw(mine.memory_sets())
    judge(memories, data.draw(st.lists(mine.records(memories), max_size=2)))


@st.composite
def dnc_values(draw):
    """Fields of the catalogue with its axes and any lengths; values in and out of range, exact 0 and 1, NaN."""
    lengths = {axis: draw(st.integers(1, 4)) for axis in ("time", "batch", "slot", "word", "read_head", "write_head")}
    lengths |= {"slot_to": lengths["slot"], "slot_from": lengths["slot"], "mode": 3, "head": 2, "shift": 3}
    lengths |= {"fact": draw(st.integers(1, 5)), "query": 4, "key": draw(st.integers(1, 5))}
    lengths |= {"input_channel": 2, "output_channel": 2, "unit": 3, "rank": 2, "row": 2, "column": 3}
    lengths |= dict.fromkeys(("read_position", "write_position", "content_position", "link_position"), 2)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["unit", "binary", "zero", "normal", "nan"]))
    fields = {}
    for name, field in CATALOGUE.items():
        shape = [lengths[axis] for axis in field.axes]
        fields[name] = {
            "unit": rng.uniform(0, 1, shape),
            "binary": rng.integers(0, 2, shape),
            "zero": np.zeros(shape),
            "normal": rng.normal(0, 3, shape),
            "nan": np.where(rng.uniform(0, 1, shape) < 0.1, np.nan, rng.uniform(0, 1, shape)),
        }[kind].astype(np.float32)
    return {name: values for name, values in fields.items() if draw(st.integers(0, 5))}


@pytest.mark.slow
@LENIENT
@given(dnc_values(), st.sampled_from(["dnc", "ntm", ""]))
def test_any_values_of_the_catalogue(values, law):
    model = {"input", "target", "output"}
    memories = {
        "memory": MemorySchema("memory", law, {n: FieldSchema(n, CATALOGUE[n].axes) for n in values if n not in model}),
        "model": MemorySchema("model", "", {n: FieldSchema(n, CATALOGUE[n].axes) for n in values if n in model}),
    }
    fields = {f"{'model' if name in model else 'memory'}/{name}": array for name, array in values.items()}
    record = RecordData(step=0, fields=fields, wall=0.0, batch=tuple(range(4)))
    judge({name: memory for name, memory in memories.items() if memory.fields}, [record] * 6)
