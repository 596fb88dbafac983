from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.errors import SchemaError
from memviz.testing import strategies
from memviz.trace.header import encode_header, read_header
from memviz.trace.jsonl import plain
from memviz.trace.schema import TraceHeader

HEADERS = st.builds(
    TraceHeader,
    memviz_version=st.text(max_size=8),
    created=st.floats(allow_nan=False, allow_infinity=False),
    run=st.text(max_size=8),
    model=strategies.labels(),
    attributes=strategies.labels(),
    rank=st.integers(0, 10**6),
    world_size=st.integers(1, 10**6),
    memories=strategies.memory_sets(),
)


@given(HEADERS)
def test_a_header_reads_back_as_it_was_written(header):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trace.json").write_bytes(encode_header(header))
        assert read_header(Path(folder)) == header


def test_unknown_members_are_ignored(tmp_path):
    content = json.loads(encode_header(TraceHeader("1", 2.0, "run")))
    (tmp_path / "trace.json").write_text(json.dumps({**content, "later": [1]}))
    assert read_header(tmp_path) == TraceHeader("1", 2.0, "run")


def test_what_users_put_there_becomes_plain_json():
    attributes = {"rate": np.float32(0.5), "shape": (1, 2), "where": Path("/x"), "loss": float("nan"), 3: np.arange(2)}
    expected = {"rate": 0.5, "shape": [1, 2], "where": "/x", "loss": "NaN", "3": [0, 1]}
    assert plain(attributes) == expected
    with pytest.raises(SchemaError, match="of type function cannot be written as JSON"):
        encode_header(TraceHeader("1", 2.0, "run", attributes={"loss": lambda: None}))
    with pytest.raises(SchemaError, match="at most 16777216 are allowed"):
        encode_header(TraceHeader("1", 2.0, "x" * 2**24))
