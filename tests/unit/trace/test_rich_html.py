"""What a notebook shows for a trace and a record."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

import memviz
from memviz.colours import CIVIDIS, DIVERGING, NAN, table
from memviz.fields import lookup
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter


class Tags(HTMLParser):
    """The names of all tags, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.names, self.said = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)

    def handle_data(self, data):
        self.said += data


def pictures(text):
    """Pixels of each picture, [row, column, colour], by what it is called."""
    image = pytest.importorskip("PIL.Image")
    found = {}
    for name, data in re.findall(r'aria-label="([^"]*)"(?:(?!aria-label).)*?base64,([^"]*)"', text):
        found[name] = np.asarray(image.open(io.BytesIO(b64decode(data))).convert("RGB"))
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("rich") / "copy", steps=2, times=9, slots=8, words=6))


def test_a_record_shows_its_weights_cell_for_cell(copy):
    weights = copy[1]["write_weights"][:, 0, 0].T
    drawn = next(pixels for name, pixels in pictures(copy[1]._repr_html_()).items() if name.startswith("Write weights"))
    assert drawn.shape[:2] == weights.shape
    scale = np.frombuffer(table(CIVIDIS, 248), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(drawn, scale[np.rint(weights * 247).astype(int)])


def test_a_trace_shows_its_state_its_loss_and_its_last_record(copy):
    text = copy._repr_html_()
    said = Tags(text).said
    assert "run copy" in said
    assert "records 2" in said
    assert "loss:" in said
    assert "Read weights, read head 1" in said
    assert pictures(text).keys() == pictures(copy[1]._repr_html_()).keys()


def test_what_is_not_a_number_is_marked_and_counted(tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "nan", steps=2, times=9, slots=8, words=6, plant_nan=(1, 5)))
    name, drawn = next(iter(pictures(trace[1]._repr_html_()).items()))
    expected = np.isnan(trace[1]["write_weights"][:, 0, 0].T)
    np.testing.assert_array_equal((drawn == list(bytes.fromhex(NAN))).all(axis=2), expected)
    assert f"{expected.sum()} not finite" in name


def write(path, values, name, labels=None, batch=(0,)):
    writer = TraceWriter.create(path, TraceHeader(memviz_version="0", created=time.time(), run="x", model={}))
    entry = lookup(name)
    writer.declare(
        MemorySchema(
            "m", "", {name: FieldSchema(name, entry.axes, str(values.dtype), entry.kind, entry.low, entry.high)}
        )
    )
    writer.append(RecordData(step=0, fields={f"m/{name}": values}, wall=time.time(), labels=labels or {}, batch=batch))
    writer.close()
    return memviz.open(path)


def test_a_large_field_is_pooled_and_keeps_its_spike(tmp_path):
    values = np.zeros((1000, 1, 300), np.float32)
    values[777, 0, 123] = 1.0
    ((name, drawn),) = pictures(write(tmp_path / "large", values, "usage")[0]._repr_html_()).items()
    assert drawn.shape[:2] == (64, 240)
    assert (drawn == list(bytes.fromhex(CIVIDIS[-1]))).all(axis=2).sum() == 1
    assert "max-pooled from 300 × 1000" in name


def test_signed_values_are_neutral_at_zero(tmp_path):
    values = np.array([[[[-2.0, 0.0, 1.0]]]], np.float32)
    ((name, drawn),) = pictures(write(tmp_path / "signed", values, "read_vectors")[0]._repr_html_()).items()
    assert "scale ±2" in name
    assert drawn[0, 0].tolist() == list(bytes.fromhex(DIVERGING[0]))
    assert np.abs(drawn[1, 0].astype(int) - list(bytes.fromhex(DIVERGING[3]))).max() <= 2


def test_labels_are_text(tmp_path):
    labels = {"<b>x</b>": "</div><script>alert(1)</script>", "long": "y" * 500}
    values = np.zeros((2, 1, 3), np.float32)
    tags = Tags(write(tmp_path / "<i>run", values, "usage", labels)[0]._repr_html_())
    assert "script" not in tags.names
    assert "<b>x</b>" in tags.said
    assert "</div><script>alert(1)</script>" in tags.said
    assert "y" * 500 not in tags.said


def test_a_record_without_pictures_and_a_trace_without_records_are_tables(tmp_path):
    values = np.zeros((2, 1), np.float32)
    assert "svg" not in Tags(write(tmp_path / "gate", values, "memory_influence")[0]._repr_html_()).names
    with TraceWriterOf(tmp_path / "empty") as path:
        assert "none yet" in memviz.open(path)._repr_html_()


class TraceWriterOf:
    """An empty trace."""

    def __init__(self, path):
        self.writer = TraceWriter.create(path, TraceHeader(memviz_version="0", created=0.0, run="x", model={}))

    def __enter__(self):
        return self.writer.path

    def __exit__(self, *error):
        self.writer.close()


def test_a_notebook_takes_it(copy):
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(copy[0])
    assert data["text/html"] == copy[0]._repr_html_()
    assert data["text/plain"] == repr(copy[0])


def test_it_needs_neither_torch_nor_plotly(copy):
    code = (
        f"import sys, memviz; memviz.open({str(copy.path)!r})._repr_html_(); "
        "print([m for m in ('torch', 'plotly', 'dash', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_trace_of_a_record_is_the_one_it_came_from(copy):
    assert copy[0].trace is copy
