"""Records to draw: of a DNC, of a DNC that broke, and of a DMN whose labels are hostile."""

from __future__ import annotations

import time

import numpy as np
import pytest

import memviz
from memviz.dashboards.fieldview import Values
from memviz.dashboards.source import ArrayCache
from memviz.fields import lookup
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

HOSTILE = "</script><script>alert(1)</script> <b>$x^2$</b>"

GATES = np.array([[0.04, 0.37, 0.19, 0.88], [0.9, 0.1, 0.02, 0.3]], np.float32)


@pytest.fixture(scope="session")
def copy_trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("figures") / "copy", steps=2, batch=2, fields="all"))


@pytest.fixture(scope="session")
def broken_trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("figures") / "nan", steps=2, plant_nan=(1, 6)))


@pytest.fixture(scope="session")
def story_trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "story"
    writer = TraceWriter.create(path, TraceHeader(memviz_version="0", created=time.time(), run="story", model={}))
    entry = lookup("episodic_attention")
    schema = FieldSchema("episodic_attention", entry.axes, "float32", entry.kind, entry.low, entry.high)
    writer.declare(MemorySchema("episode", "", {"episodic_attention": schema}))
    labels = {
        "facts": ["Mary went to the kitchen", HOSTILE, "c", "d"],
        "question": "Where is Mary?",
        "answer": "kitchen",
        "predicted": HOSTILE,
        "supporting": [0, 3],
    }
    writer.append(
        RecordData(step=7, fields={"episode/episodic_attention": GATES[:, None]}, wall=time.time(), labels=labels)
    )
    writer.close()
    return memviz.open(path)


@pytest.fixture
def values():
    """The values of a record, as figures take them."""
    return lambda record: Values(record, (record.id,), ArrayCache())
