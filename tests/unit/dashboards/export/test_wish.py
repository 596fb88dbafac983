"""Wishes and names of files."""

from __future__ import annotations

import pytest

from memviz.dashboards.export.wish import Wish, file_name
from memviz.errors import ExportError, UnknownNameError


def test_a_panel_names_its_field():
    assert Wish("panel:memory/usage", "png").field == "memory/usage"
    assert Wish("ntm", "png").field is None


@pytest.mark.parametrize(
    ("figure", "form", "error"),
    [("nope", "png", UnknownNameError), ("ntm", "gif", UnknownNameError), ("panel:", "png", ExportError)],
)
def test_what_cannot_be_wished_for_is_refused(figure, form, error):
    with pytest.raises(error):
        Wish(figure, form)


def test_a_file_name_leads_nowhere():
    assert file_name("sweep/../../etc", 280, "panel:memory/usage", "png") == "sweep-..-..-etc-step280-memory-usage.png"
    assert "/" not in file_name('a"\r\n/b', 0, "ntm", "svg")
    assert '"' not in file_name('a"b', 0, "ntm", "svg")
