"""`memviz.show`: what a notebook gets."""

from __future__ import annotations

import html
import re

import pytest

import memviz
from memviz.errors import ExportError, OptionError, PlaceError
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("show") / "copy", steps=2, times=9, slots=8, words=6))


def test_a_cell_holds_the_file_in_a_sandbox(trace, tmp_path):
    formatters = pytest.importorskip("IPython.core.formatters")
    shown = memviz.show(trace, time=-1, view="lineage")
    data, _ = formatters.DisplayFormatter().format(shown)
    source = re.search(r'srcdoc="([^"]*)"', data["text/html"])[1]
    assert html.unescape(source) == shown.text
    sandbox = re.search(r'sandbox="([^"]*)"', data["text/html"])[1].split()
    assert sandbox == ["allow-scripts", "allow-downloads"]
    assert "</iframe>" not in source
    assert shown.save(tmp_path / "x.html").read_text("utf-8") == shown.text
    assert shown.left_out == ()


def test_a_path_a_trace_and_its_last_record_are_the_same(trace):
    assert memviz.show(trace.path).text == memviz.show(trace).text == memviz.show(trace[-1]).text
    assert memviz.show(trace[0]).text != memviz.show(trace).text


@pytest.mark.parametrize(("more", "error"), [({"view": "nope"}, OptionError), ({"time": 99}, PlaceError)])
def test_a_place_that_is_not_there_is_refused(trace, more, error):
    with pytest.raises(error):
        memviz.show(trace, **more)


def test_a_live_page_may_be_framed_by_this_machine_only(trace):
    shown = memviz.show(trace[0], live=True, time=2)
    try:
        assert "#/run/copy?step=0&t=2" in html.unescape(shown._repr_html_())
        with pytest.raises(ExportError, match="live"):
            shown.save("x.html")
    finally:
        shown.close()
