"""Sheets as files for print."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from memviz.dashboards.figures.classic import dmn_figure
from memviz.dashboards.figures.print_sheet import print_sheet
from memviz.dashboards.figures.records import panel_figure
from memviz.dashboards.figures.sheet import Sheet, panel
from memviz.errors import ExportError

matplotlib = pytest.importorskip("matplotlib")


def texts_of(svg):
    return [node.text for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def pixels_of(png):
    from matplotlib import image

    return (image.imread(io.BytesIO(png))[..., :3] * 255).round().astype(int)


def test_the_same_sheet_gives_the_same_svg_whose_texts_are_texts(story_trace, values):
    sheet = dmn_figure(values(story_trace[0]), "episode", 0, "run story")
    svg = print_sheet(sheet, "svg")
    assert svg == print_sheet(sheet, "svg")
    texts = texts_of(svg)
    assert {"Raw gate g", "Effective gate E", "hop", "0.88"} <= set(texts)
    # Markup and formulas of a label are what they are, not what they could mean.
    assert "1  </script><script>alert(1)</script> <b>$x^2$</b>" in texts


def test_a_png_shows_the_colours_of_the_scale_and_of_what_is_no_number(broken_trace, values):
    png = print_sheet(panel_figure(values(broken_trace[1]), "write_weights", 0), "png", dpi=100)
    found = {tuple(colour) for colour in pixels_of(png).reshape(-1, 3).tolist()}
    assert {(0xC2, 0x18, 0x8B), (0x00, 0x22, 0x4E)} <= found


def test_a_pdf_is_one(copy_trace, values):
    assert print_sheet(panel_figure(values(copy_trace[1]), "usage", 0), "pdf").startswith(b"%PDF")


def test_drawing_leaves_the_settings_of_the_process_alone(copy_trace, values):
    before = dict(matplotlib.rcParams)
    print_sheet(panel_figure(values(copy_trace[1]), "usage", 0), "svg")
    assert dict(matplotlib.rcParams) == before


def test_a_signed_panel_is_neutral_at_zero():
    sheet = Sheet("panel", "M", "", ((panel("M", np.array([[0.0, 2.0], [-1.0, 0.0]]), "signed", rows="slot"),),))
    assert sheet.panels[0].scale == (-2.0, 2.0)
    colours, counts = np.unique(pixels_of(print_sheet(sheet, "png", dpi=50)).reshape(-1, 3), axis=0, return_counts=True)
    cells = {tuple(colour): count for colour, count in zip(colours.tolist(), counts.tolist(), strict=True)}
    # The middle of a table of 256 colours is half a step beside the middle of the scale.
    assert (
        sum(count for colour, count in cells.items() if np.abs(np.subtract(colour, (0xF4, 0xF5, 0xF6))).max() <= 2)
        > 1000
    )


def test_without_matplotlib_it_says_what_to_install(copy_trace, values, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExportError, match=r"memviz\[export\]"):
        print_sheet(panel_figure(values(copy_trace[1]), "usage", 0), "png")
