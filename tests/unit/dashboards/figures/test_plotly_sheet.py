"""Sheets as Plotly figures."""

from __future__ import annotations

import numpy as np

from memviz.dashboards.figures.classic import dmn_figure, dnc_figure, ntm_figure
from memviz.dashboards.figures.plotly_sheet import plotly_figure, text_of


def heatmaps(figure):
    return {trace.name: trace for trace in figure.data}


def test_every_panel_is_a_heatmap_with_its_values_scale_and_bar(copy_trace, values):
    sheet = ntm_figure(values(copy_trace[1]), "memory", 0, time=2)
    drawn = heatmaps(plotly_figure(sheet))
    assert len(drawn) == len(sheet.panels)
    for panel in sheet.panels:
        trace = drawn[panel.title]
        np.testing.assert_array_equal(np.array(trace.z), panel.values)
        assert (trace.zmin, trace.zmax) == panel.scale
        assert trace.colorbar.title.text == panel.unit


def test_titles_stand_over_their_own_panel_where_places_are_empty(copy_trace, values):
    figure = plotly_figure(ntm_figure(values(copy_trace[1]), "memory", 0))
    title = next(a for a in figure.layout.annotations if a.text == "Reads, read head 1")
    trace = heatmaps(figure)["Reads, read head 1"]
    axis = figure.layout[trace.xaxis.replace("x", "xaxis")]
    assert title.x == sum(axis.domain) / 2


def test_what_is_no_number_is_a_trace_of_its_own(broken_trace, values):
    drawn = heatmaps(plotly_figure(dnc_figure(values(broken_trace[1]), "memory", 0)))
    marked = np.array(drawn["Write weights: not a number"].z, float)
    np.testing.assert_array_equal(marked == 1, np.isnan(broken_trace[1]["write_weights"][:, 0, 0].T))
    assert "Target: not a number" not in drawn


def test_labels_are_texts(story_trace, values):
    figure = plotly_figure(dmn_figure(values(story_trace[0]), "episode", 0, "<i>run</i>"))
    axes = [axis for axis in figure.layout if axis.startswith("yaxis")]
    shown = [text for axis in axes for text in figure.layout[axis].ticktext or ()]
    shown += [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
    assert any("&lt;script&gt;" in text for text in shown)
    for text in shown:
        assert "<script" not in text
        assert "<b>" not in text
        assert "<i>" not in text
        assert "$" not in text


def test_text_is_shown_as_it_is():
    assert text_of("<b>$x$</b>&") == "&lt;b&gt;&#36;x&#36;&lt;/b&gt;&amp;"
