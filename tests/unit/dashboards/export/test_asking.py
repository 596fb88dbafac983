"""The route of exports: docs/api.md, "export"."""

from __future__ import annotations

import io

import numpy as np
import pytest

from memviz.dashboards.app import create_app
from memviz.dashboards.guard import make_guard
from memviz.dashboards.source import Source

AT = "/api/v1/runs/copy%20run/records/1/export?format="


@pytest.fixture
def ask(copy_run):
    client = create_app(Source([copy_run.path.parent]), make_guard("127.0.0.1")).server.test_client()
    return lambda query: client.get(AT + query, headers={"Host": "localhost:8321"})


def test_a_file_is_an_attachment_that_is_never_shown_as_a_page(ask):
    answer = ask("html&figure=ntm")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="copy-run-step20-ntm.html"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_values_come_with_the_place(ask, trace):
    answer = ask("npz&figure=panel:memory/read_weights&item=1&time=4&head=1")
    with np.load(io.BytesIO(answer.data)) as arrays:
        np.testing.assert_array_equal(arrays["memory/read_weights"], trace[1]["read_weights"][4, 1, 1])


def test_python_is_text_that_names_the_trace(ask, copy_run):
    answer = ask("python&view=lineage&time=4&head=1")
    assert answer.mimetype == "text/plain"
    assert f"memviz.open({str(copy_run.path)!r}).at(20)" in answer.text


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("gif", 400, "format"),
        ("png&figure=nope", 400, "figure"),
        ("png&figure=dmn", 404, "episodic_attention"),
        ("png&figure=panel:memory/usage&time=99", 404, "times"),
        ("png&figure=ntm&more=1", 400, "more"),
        ("python&view=nope", 400, "view"),
    ],
)
def test_what_cannot_be_made_is_an_error_in_words(ask, query, status, word):
    answer = ask(query)
    assert answer.status_code == status
    assert word in answer.json["error"]["what"]


def test_what_is_missing_to_draw_is_said(ask, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = ask("png&figure=ntm")
    assert answer.status_code == 400
    assert "memviz[export]" in answer.json["error"]["what"]
