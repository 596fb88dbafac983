"""Figures of one field and of a whole page."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.dashboards.figures.records import MOST_HEADS, page_figure, panel_figure
from memviz.errors import FieldError, PlaceError
from memviz.fields import lookup
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter


def test_a_panel_over_time_has_one_picture_per_head_or_the_one_asked_for(copy_trace, values):
    record = copy_trace[1]
    every = panel_figure(values(record), "read_weights", 0)
    assert [panel.title for panel in every.panels] == ["Read weights, read head 0", "Read weights, read head 1"]
    (one,) = panel_figure(values(record), "memory/read_weights", 0, head=1).panels
    np.testing.assert_array_equal(one.values, record["read_weights"][:, 0, 1].T)


def test_a_matrix_is_drawn_at_a_time(copy_trace, values):
    record = copy_trace[1]
    (at,) = panel_figure(values(record), "memory", 1, time=3).panels
    np.testing.assert_array_equal(at.values, record["memory"][3, 1])
    assert (at.row_axis, at.column_axis) == ("slot", "word")
    (last,) = panel_figure(values(record), "link_matrix", 1).panels
    np.testing.assert_array_equal(last.values, record["link_matrix"][-1, 1, 0])


def test_a_state_without_time_is_drawn_as_it_is(copy_trace, values):
    (panel,) = panel_figure(values(copy_trace[0]), "memory/initial/memory", 0).panels
    np.testing.assert_array_equal(panel.values, copy_trace[0]["initial/memory"][0])


@pytest.mark.parametrize(
    ("field", "more", "error"),
    [
        ("nothing", {}, FieldError),
        ("read_weights", {"head": 2}, PlaceError),
        ("memory", {"time": 99}, PlaceError),
    ],
)
def test_a_place_that_is_not_there_is_refused(copy_trace, values, field, more, error):
    with pytest.raises(error):
        panel_figure(values(copy_trace[0]), field, 0, **more)


def test_the_page_has_the_sequence_the_main_fields_and_the_matrices_at_the_time(copy_trace, values):
    record = copy_trace[1]
    sheet = page_figure(values(record), "memory", 0, time=5)
    titles = [panel.title for panel in sheet.panels]
    assert titles[:3] == ["Input", "Target", "Output"]
    assert {"Write weights", "Usage", "Gates", "Memory, t = 5", "Link matrix, t = 5"} <= set(titles)
    memory = next(panel for panel in sheet.panels if panel.title == "Memory, t = 5")
    np.testing.assert_array_equal(memory.values, record["memory"][5, 0])


def test_a_page_of_another_kind_of_memory_has_what_there_is(story_trace, values):
    (panel,) = page_figure(values(story_trace[0]), "episode", 0).panels
    assert panel.title == "Episodic attention"


def test_a_page_of_matrices_shows_as_many_as_there_is_room_for(tmp_path, values):
    attention = np.random.default_rng(0).dirichlet(np.ones(5), (2, 1, 12, 4)).astype(np.float32)
    entry = lookup("attention")
    writer = TraceWriter.create(tmp_path / "run", TraceHeader(memviz_version="0", created=0.0, run="run", model={}))
    field = FieldSchema("attention", entry.axes, "float32", entry.kind, entry.low, entry.high)
    writer.declare(MemorySchema("block", "", {"attention": field}))
    writer.append(RecordData(step=0, fields={"block/attention": attention}, wall=0.0))
    writer.close()
    sheet = page_figure(values(memviz.open(tmp_path / "run")[0]), "block", 0, time=1)
    assert [panel.title for panel in sheet.panels] == [f"Attention, head {head}, t = 1" for head in range(MOST_HEADS)]
    for head, panel in enumerate(sheet.panels):
        np.testing.assert_array_equal(panel.values, attention[1, 0, head])
