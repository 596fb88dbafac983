"""Pictures as Plotly figures: exact cells, labelled axes, colours of their own for what is no number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memviz.dashboards.visdom import plots
from memviz.dashboards.visdom.pictures import Axis, Picture

CAPTION = plots.Caption(380, "loss 0.0123")


def picture(values, kind="weight", rows=None, columns=None, scale=(0.0, 1.0)):
    values = np.asarray(values, np.float32)
    rows, columns = rows or Axis("slot"), columns or Axis("time")
    return Picture("usage", "m/usage", "Usage", "usage", values, rows, columns, kind, scale)


def figure(shown, time=None, phases=()):
    traces, layout = plots.heatmap(shown, CAPTION, time=time, phases=phases)
    json.dumps([traces, layout], allow_nan=False)
    return traces, layout


def test_cells_read_back_unchanged_as_float32():
    values = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32) * 10.0 ** np.arange(-25, 25)
    values = values.astype(np.float32)
    np.testing.assert_array_equal(np.array(plots.cells(values)).astype(np.float32), values)


def test_a_weight_has_the_fixed_scale_and_named_axes():
    (trace,), layout = figure(picture([[0.0, 0.2], [0.3, 0.1]]))
    assert (trace["zmin"], trace["zmax"], trace["zauto"], trace["colorscale"]) == (0, 1, False, "Cividis")
    assert layout["xaxis"]["title"]["text"] == "time"
    assert layout["yaxis"]["title"]["text"] == "slot"
    assert layout["yaxis"]["autorange"] == "reversed"
    assert "<b>Usage</b>" in layout["title"]["text"]
    assert "step 380" in layout["title"]["text"]
    assert "loss 0.0123" in layout["title"]["text"]


def test_no_axis_has_a_range_of_its_own():
    # Visdom takes a fixed range for a viewer's zoom and then keeps the axis of the picture before.
    _, layout = figure(picture(np.zeros((4, 4))))
    assert "range" not in layout["xaxis"]
    assert "range" not in layout["yaxis"]


def test_signed_values_diverge():
    (trace,), _ = figure(picture([[-2.0, 1.0]], "signed", scale=(-2.0, 2.0)))
    assert (trace["zmin"], trace["zmax"]) == (-2, 2)
    assert trace["colorscale"][1] == [0.5, "#f4f5f6"]


def test_what_is_no_number_has_a_layer_with_colours_of_its_own():
    values = np.array([[0.5, np.nan], [np.inf, -np.inf]])
    (trace, layer), layout = figure(picture(values))
    assert trace["z"] == [[0.5, None], [None, None]]
    assert layer["z"] == [[None, 0], [1, 2]]
    assert layer["text"] == [["", "NaN"], ["+Inf", "-Inf"]]
    assert [colour for _, colour in layer["colorscale"]][::2] == [colour for _, colour in plots.NOT_NUMBERS]
    assert layer["zmin"] == -0.5
    assert layer["zmax"] == 2.5
    assert "1 NaN, 1 +Inf, 1 -Inf" in layout["title"]["text"]


def test_a_field_larger_than_a_pane_is_pooled_and_says_so():
    values = np.zeros((300, 1000))
    values[257, 801] = 1.0
    (trace,), layout = figure(picture(values))
    cells = np.array(trace["z"])
    assert cells.shape == (plots.MAX_ROWS, plots.MAX_COLUMNS)
    (row,), (column,) = np.nonzero(cells)
    # The spike is still there, and where the axes say that it is.
    assert trace["y"][row] <= 257 < trace["y"][row + 1]
    assert trace["x"][column] <= 801 < trace["x"][column + 1]
    assert "300 × 1000 pooled to 128 × 192" in layout["title"]["text"]


def test_rows_with_names_have_a_tick_each():
    _, layout = figure(picture([[0.1], [0.2]], rows=Axis("head", ("head 0", "head 1"))))
    assert layout["yaxis"]["tickvals"] == [0, 1]
    assert layout["yaxis"]["ticktext"] == ["head 0", "head 1"]


def test_words_of_slots_are_counted_in_slots():
    (trace,), _ = figure(picture(np.zeros((8, 3)), rows=Axis("slot", per=4)))
    assert trace["y"] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]


def test_the_chosen_time_is_outlined_where_columns_are_times():
    _, layout = figure(picture(np.zeros((2, 5))), time=3)
    assert [(shape["x0"], shape["x1"]) for shape in layout["shapes"]] == [(2.5, 3.5)] * 2
    _, layout = figure(picture(np.zeros((2, 5)), columns=Axis("word")), time=3)
    assert layout["shapes"] == []


def test_phases_are_named_where_there_is_room():
    phases = [("input", 0, 10), ("gap", 10, 11), ("recall", 11, 21)]
    _, layout = figure(picture(np.zeros((2, 21))), phases=phases)
    assert [(note["text"], note["x"]) for note in layout["annotations"]] == [("input", 4.5), ("recall", 15.5)]
    assert [shape["x0"] for shape in layout["shapes"]] == [9.5, 10.5]


@pytest.mark.parametrize(
    "labels", [{}, {"phases": None}, {"phases": [["a"], "b", ["c", 0, "1"]]}, {"phases": {"a": 1}}]
)
def test_labels_of_another_form_are_no_phases(labels):
    assert plots.phases_of(labels) == []


def test_phases_are_read_from_labels():
    assert plots.phases_of({"phases": [["input", 0, 3], ["recall", 3, 5]]}) == [("input", 0, 3), ("recall", 3, 5)]


def test_text_of_a_trace_is_neither_markup_nor_tex():
    _, layout = figure(picture([[1.0]], rows=Axis("<img src=x onerror=alert(1)>$a$")))
    text = layout["yaxis"]["title"]["text"]
    assert "<" not in text
    assert "$" not in text


def test_a_curve_that_falls_far_has_a_logarithmic_scale():
    steps = np.arange(5)
    _, layout = plots.lines("loss", steps, np.array([1.0, 0.5, 0.1, 0.01, 0.001]), 3, "")
    assert layout["yaxis"]["type"] == "log"
    assert layout["shapes"][0]["x0"] == 3
    _, layout = plots.lines("loss", steps, np.array([1.0, 0.5, 0.1, 0.0, 0.001]), None, "")
    assert layout["yaxis"]["type"] == "linear"


def test_a_long_curve_keeps_its_spikes_and_its_gaps():
    values = np.ones(100_000)
    values[55_555] = 9.0
    values[70_000] = np.nan
    (line, band), _ = plots.lines("loss", np.arange(100_000), values, None, "")
    assert len(line["x"]) == plots.CURVE_COLUMNS
    assert max(value for value in band["y"] if value is not None) == 9
    assert None in band["y"]
    json.dumps([line, band], allow_nan=False)


def test_numbers_in_titles_are_words_where_they_must_be():
    assert [plots.number_text(value) for value in (0.01234567, np.nan, np.inf, -np.inf)] == [
        "0.01235",
        "NaN",
        "+Inf",
        "-Inf",
    ]
