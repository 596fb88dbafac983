"""Every window of an environment: fixed ids and titles, strict JSON, text that cannot act."""

from __future__ import annotations

import json

import pytest

import memviz
from memviz.dashboards.visdom.panes import PREFIX, PROPERTIES, RUN, panes
from memviz.dashboards.visdom.place import SIZES, Place
from memviz.dashboards.visdom.texts import Tally, findings_text
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import Event


@pytest.fixture
def windows(run, show):
    def look(index=-1, place=None, path=None, **options):
        place = place or Place()
        trace = memviz.open(path or run.path)
        values, choice = show(trace, index, place)
        return panes(trace, values, place, choice, Tally(3, 1), **options)

    return look


def test_windows_keep_ids_titles_and_order_from_record_to_record(windows):
    first, last = windows(0), windows(-1)
    assert [(pane.win, pane.title) for pane in first] == [(pane.win, pane.title) for pane in last]
    assert len({pane.win for pane in first}) == len(first)
    assert [pane.win for pane in first[:4]] == [RUN, PROPERTIES, f"{PREFIX}scalar:loss", f"{PREFIX}findings"]


def test_every_message_is_strict_json_in_the_form_that_the_server_takes(windows, tmp_path):
    bad = write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(1, 5))
    for pane in windows(path=bad.path):
        message = json.loads(pane.body("nan"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert message["win"] == pane.win
        assert message["eid"] == "nan"
        assert message["data"][0]["type"] in ("heatmap", "scatter", "text", "properties")
        assert message["opts"]["title"]


def test_the_run_is_described(windows):
    text = windows(1)[0].data[0]["content"]
    assert "2 of 5" in text
    assert "16 slots × 16, 2 read heads" in text
    assert "1 record (in the trace, not drawn here)" in text
    assert "closed" in text
    assert "replaying record 2 of 5" in windows(1, playing="replaying record 2 of 5, 4 ×")[0].data[0]["content"]


def test_the_size_is_chosen(windows):
    assert {(pane.width, pane.height) for pane in windows(place=Place(size="large"))} == {SIZES["large"]}


def test_the_loss_is_that_of_the_step_shown(windows, run):
    trace = memviz.open(run.path)
    losses = trace.scalars["loss"]
    step = trace[2].step
    value = losses.values[list(losses.steps).index(step)]
    usage = next(pane for pane in windows(2) if pane.title == "usage")
    assert f"loss {value:.4g}" in usage.layout["title"]["text"]


def test_events_are_told_newest_first_and_text_is_escaped():
    events = [
        Event("opened", "begun", 0.0),
        Event("gap", "3 records dropped: queue full", 1.0, 40),
        Event("note", "<script>alert(1)</script>", 2.0, 60),
    ]
    text = findings_text(["Usage: 1 NaN from time 3 on"], ["m/x: too large"], events, ["scalars.jsonl: torn"])
    assert "begun" not in text
    assert "<script>" not in text
    assert text.index("scalars.jsonl") < text.index("step 60: note: &lt;script") < text.index("step 40: gap: 3 records")
    assert "Usage: 1 NaN" in text
    assert "m/x: too large" in text


def test_long_lists_are_cut_with_a_count():
    text = findings_text([f"finding {index}" for index in range(40)], [], [], [])
    assert "finding 11" in text
    assert "finding 12" not in text
    assert "and 28 more" in text
