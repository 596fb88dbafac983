from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from memviz.errors import TraceNotFound
from memviz.trace.reader import open_trace
from memviz.trace.reference import TraceReference


def test_a_reference_finds_each_record_by_its_id_after_travelling(tmp_path, make):
    trace = open_trace(make.trace(tmp_path / "run", count=7, seal_every=3))
    reference = pickle.loads(pickle.dumps(TraceReference.of(trace)))
    assert reference == TraceReference.of(trace)
    for expected in trace:
        found = reference.record(expected.id)
        assert (found.id, found.step) == (expected.id, expected.step)
        np.testing.assert_array_equal(found["read_weights"], expected["read_weights"])


def test_a_trace_is_opened_once_and_what_was_written_since_is_found(tmp_path, make):
    with make.writer(tmp_path / "run", seal_every=2) as writer:
        writer.append(make.sample(0))
        reference = TraceReference.of(open_trace(writer.path))
        opened = reference.open()
        assert reference.record(0).step == 0
        for i in range(1, 5):
            writer.append(make.sample(i))
        assert reference.record(4).step == 40
        assert reference.open() is opened


def test_a_record_or_a_trace_that_is_gone_is_said_with_the_path(tmp_path, make):
    path = make.trace(tmp_path / "run", count=2)
    reference = TraceReference.of(open_trace(path))
    with pytest.raises(TraceNotFound, match=r"no record 2 in .*run"):
        reference.record(2)
    other = TraceReference.of(open_trace(make.trace(tmp_path / "other", count=2)))
    shutil.rmtree(tmp_path / "other")
    with pytest.raises(TraceNotFound, match=r"process \d+ on .* cannot open .*other.*file system that they share"):
        other.open()


def test_another_trace_at_the_same_path_is_refused(tmp_path, make):
    path = make.trace(tmp_path / "run", count=2)
    right = TraceReference.of(open_trace(path))
    with pytest.raises(TraceNotFound, match="finds another trace at"):
        TraceReference(right.path, right.run, right.created - 1).open()
