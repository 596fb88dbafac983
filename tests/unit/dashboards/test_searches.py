"""Queries in the background: the same answer as memviz.query, put down when nobody waits, followed when a run grows."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

import memviz
from memviz.dashboards import searches as module
from memviz.dashboards.searches import Searches
from memviz.dashboards.source import Source
from memviz.errors import QueryError, TraceNotFound
from memviz.testing.synthetic import write_dnc_run

TEXT = "read_weights.peak > 0.5 and time > 10"


def until(searches, run, text, *states, have=0):
    deadline = time.monotonic() + 60
    while (said := searches.ask(run, text, have))["state"] not in states:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
    return said


@pytest.fixture
def source(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=4)
    return Source([tmp_path])


def test_a_search_finds_what_a_query_finds(tmp_path, source):
    said = until(Searches(source), "copy", TEXT, "done")
    known = memviz.query(memviz.open(tmp_path / "copy"), TEXT, limit=module.LIMIT).to_json()
    assert known["count"] > 0
    assert {name: said[name] for name in known} == known
    assert (said["done"], said["total"], said["problem"], said["from"]) == (4, 4, None, 0)


def test_only_places_that_are_news_are_given(source):
    searches = Searches(source)
    whole = until(searches, "copy", TEXT, "done")
    later = searches.ask("copy", TEXT, 3)
    assert later["hits"] == whole["hits"][3:]
    assert (later["count"], later["sentence"]) == (whole["count"], whole["sentence"])


def test_what_cannot_be_read_is_refused_at_once(source):
    with pytest.raises(QueryError):
        Searches(source).ask("copy", "time >")
    with pytest.raises(TraceNotFound):
        Searches(source).ask("nothing", TEXT)


def test_a_search_that_nobody_waits_for_is_put_down_and_taken_up_again(source, monkeypatch):
    now = [0.0]
    looked = []

    def look(record, *rest):
        looked.append(record.id)
        if len(looked) == 2:
            now[0] += module.PATIENCE  # whoever asked has gone
        return real(record, *rest)

    real = module.look
    monkeypatch.setattr(module, "look", look)
    searches = Searches(source, clock=lambda: now[0])
    searches.ask("copy", TEXT)
    worker = searches._worker
    if worker is not None:
        worker.join(60)
    assert looked == [0, 1]
    said = until(searches, "copy", TEXT, "done")
    assert looked == [0, 1, 2, 3]
    assert said["records"] == 4


def test_a_run_that_grows_is_followed_with_its_scalars(tmp_path, source, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("memviz.dashboards.source.SCAN_SECONDS", 0.0)
    searches = Searches(source)
    with write_dnc_run(tmp_path / "live", steps=2, live=True) as run:
        assert until(searches, "live", "loss < 100", "done")["count"] == 2
        run.append()
        deadline = time.monotonic() + 60
        while searches.ask("live", "loss < 100")["count"] != 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_failure_is_said(source, monkeypatch):
    def look(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(module, "look", look)
    said = until(Searches(source), "copy", TEXT, "failed")
    assert said["problem"] == "the disk is gone"


def test_terms_that_do_not_fit_each_other_fail_with_a_sentence(source):
    said = until(Searches(source), "copy", "head == 1", "failed")
    assert "no term of the query has a head" in said["problem"]


def test_no_more_searches_than_a_few_are_kept(source):
    searches = Searches(source)
    for number in range(module.KEPT + 3):
        searches.ask("copy", f"step > {number}")
    assert len(searches._kept) == module.KEPT


def test_the_route(served):
    deadline = time.monotonic() + 60
    address = f"/api/v1/runs/copy/query?q={quote(TEXT)}"
    while (said := served.client.json(address))["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert said["hits"][0]["field"] == "read_weights"
    error = served.client.error("/api/v1/runs/copy/query?q=" + quote("time = 3"), 400)
    assert (error["at"], error["what"]) == (5, "expected and, or, or the end, got '='; did you mean '=='?")
    assert served.client.error("/api/v1/runs/copy/query", 400)["what"] == "the parameter 'q' is missing"
    hostile = quote("(" * 900)
    assert "nests at most" in served.client.error(f"/api/v1/runs/copy/query?q={hostile}", 400)["what"]
