"""Files of every figure and format."""

from __future__ import annotations

import io

import numpy as np
import pytest

from memviz.dashboards.export import FORMATS, Wish, figure, make
from memviz.dashboards.export.making import choose_memory, plotly_page, settled, sheet
from memviz.dashboards.figures.sheet import Sheet, panel
from memviz.errors import PlaceError, UnknownNameError

BEGINS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "csv": b"time,", "npz": b"PK", "html": b"<!DOCTYPE html>"}


@pytest.mark.parametrize("form", FORMATS)
def test_a_panel_in_every_format(trace, values, form):
    if form in ("png", "svg", "pdf"):
        pytest.importorskip("matplotlib")
    made = make(trace, values(trace[2]), Wish("panel:usage", form))
    assert made.data.startswith(BEGINS[form])
    assert made.name == f"copy-run-step40-usage.{form}"


def test_the_html_of_a_figure_makes_no_request_and_names_its_scripts(trace, values):
    text = make(trace, values(trace[2]), Wish("ntm", "html")).data.decode()
    assert "default-src 'none'; script-src 'sha256-" in text
    assert text.count("<script>") == 2
    assert "src=" not in text.split("<body>")[1]


def test_a_figure_in_a_program_holds_the_values(trace):
    drawn = figure(trace[1], "panel:usage", item=1, time=-1)
    np.testing.assert_array_equal(np.array(drawn.data[0].z), trace[1]["usage"][:, 1].T)
    assert "step 20" in drawn.layout.title.text


def test_no_name_ends_a_script():
    name = "</script><script>alert(1)</script>"
    drawn = Sheet("dmn", name, name, ((panel(name, np.eye(2), "weight", rows=name, row_names=[name, "b"]),),), (name,))
    text = plotly_page(drawn).decode()
    assert text.count("<script>") == 2
    assert "alert(1)</script" not in text
    assert "<title>&lt;/script&gt;" in text


def test_the_values_of_a_figure_are_those_of_its_fields(trace, values):
    record = trace[2]
    made = make(trace, values(record), Wish("dnc", "npz", item=1, time=-1))
    with np.load(io.BytesIO(made.data)) as arrays:
        assert {"memory/usage", "memory/free_gates", "model/output"} <= set(arrays)
        np.testing.assert_array_equal(arrays["memory/usage"], record["usage"][-1, 1])


def test_the_page_as_npz_is_what_was_stored(trace, values):
    record = trace[2]
    with np.load(io.BytesIO(make(trace, values(record), Wish("page", "npz")).data)) as arrays:
        assert set(arrays) == {*record.stored, "about"}


def test_negative_times_count_from_the_end(trace):
    assert settled(trace[0], Wish("page", "png", time=-2)).time == 7
    assert settled(trace[0], Wish("panel:memory", "png", time=-9)).time == 0


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (Wish("page", "png", time=9), PlaceError),
        (Wish("page", "png", item=2), PlaceError),
        (Wish("page", "png", memory="nope"), UnknownNameError),
    ],
)
def test_a_place_that_is_not_there_is_refused(trace, values, wish, error):
    with pytest.raises(error):
        make(trace, values(trace[0]), wish)


def test_the_subtitle_says_where_it_is_from(trace, values):
    assert sheet(trace, values(trace[1]), Wish("ntm", "svg", item=1)).subtitle == (
        "run copy run, step 20, item 1, memory memory"
    )


def test_the_first_memory_that_fits_is_taken(trace):
    assert choose_memory(trace[0], Wish("dnc", "png")) == "memory"
    assert choose_memory(trace[0], Wish("page", "png", memory="model")) == "model"
