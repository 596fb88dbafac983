"""The training film over the route: the numbers and sentences of memviz.analysis.film, as they come."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

import memviz
from memviz.analysis import sidecar
from memviz.analysis.film import FILE, film
from memviz.dashboards.answers import film as answers
from memviz.dashboards.answers.film import block_of, coarse_first
from memviz.dashboards.params import Params
from memviz.dashboards.source import Source
from memviz.dashboards.workshop import Workshop
from memviz.testing.synthetic import write_dnc_run


def asker(folder):
    shop, source = Workshop("film", 4), Source([folder])

    def ask(run="copy", until=("done", "following", "failed"), **parts):
        deadline = time.monotonic() + 60
        while True:
            said = answers.film(shop, source, run, Params({name: [str(value)] for name, value in parts.items()}))
            json.dumps(said, allow_nan=False)
            if said["state"] in until:
                return said
            assert time.monotonic() < deadline, said
            time.sleep(0.01)

    ask.shop = shop
    return ask


def test_a_film_is_that_of_the_analysis_and_is_kept(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=12)
    said = asker(tmp_path)()
    trace = memviz.open(tmp_path / "copy")
    assert len(sidecar.load(trace, FILE)["ids"]) == 12
    known = film(trace, keep=False)
    assert (said["known"], said["block"], said["columns"]) == (12, 1, 12)
    assert {one["key"] for one in said["series"]} == set(known.series)
    for one in said["series"]:
        shown = np.array([np.nan if value is None else value for value in one["last"]])
        np.testing.assert_allclose(shown, known.series[one["key"]], rtol=1e-4)
        assert "low" not in one
    assert [change["sentence"] for change in said["changes"]] == [change.sentence for change in known.changes()]
    assert said["changes"]
    for change in said["changes"]:
        assert trace[change["index"]].step == change["step"]


def test_a_film_that_was_kept_is_not_taken_again(tmp_path, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=4)
    film(memviz.open(tmp_path / "copy"))
    monkeypatch.setattr("memviz.analysis.film.numbers", None)
    assert asker(tmp_path)()["known"] == 4


def test_what_has_been_seen_is_not_sent_again(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=4)
    ask = asker(tmp_path)
    assert "series" in ask()
    assert "series" not in ask(seen=4)
    assert "series" in ask(seen=3)


def test_more_records_than_columns_keep_their_extremes(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=12)
    said = asker(tmp_path)(px=5)
    assert (said["block"], said["columns"]) == (4, 3)
    known = film(memviz.open(tmp_path / "copy"), keep=False).series["memory/read_slots[0]"]
    one = next(one for one in said["series"] if one["key"] == "memory/read_slots[0]")
    blocks = known.reshape(3, 4)
    np.testing.assert_allclose(one["high"], blocks.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(one["low"], blocks.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(one["last"], blocks[:, -1], rtol=1e-4)


def test_a_live_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    ask = asker(tmp_path)
    with write_dnc_run(tmp_path / "copy", steps=6, live=True) as run:
        assert (ask()["state"], ask()["known"]) == ("following", 6)
        run.append(2)
        assert ask()["known"] == 8
        assert sidecar.load(memviz.open(run.path), FILE) is None
    assert ask(until=("done",))["known"] == 8


def test_a_run_without_records_has_an_empty_film(tmp_path, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    ask = asker(tmp_path)
    with write_dnc_run(tmp_path / "copy", steps=0, live=True) as run:
        said = ask()
        assert (said["known"], said["series"], said["changes"]) == (0, [], [])
        run.append()
        assert ask()["known"] == 1


def test_it_can_be_called_off_and_keeps_what_it_has(tmp_path, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=6)
    ask = asker(tmp_path)
    from memviz.analysis import film as module

    real, seen = module.numbers, []

    def slow(record):
        seen.append(record.id)
        if len(seen) == 3:
            assert ask(stop=1, until=("stopped",))["state"] == "stopped"
        return real(record)

    monkeypatch.setattr(module, "numbers", slow)
    said = answers.film(ask.shop, Source([tmp_path]), "copy", Params({}))
    deadline = time.monotonic() + 60
    while ask.shop._worker is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert said["records"] == 6
    assert seen == [0, 4, 2]
    trace = memviz.open(tmp_path / "copy")
    assert sidecar.load(trace, FILE)["ids"] == [0, 2, 4]
    assert ask()["known"] == 6
    assert sorted(seen) == list(range(6))


@pytest.mark.parametrize(("count", "columns", "block"), [(0, 4, 1), (4, 4, 1), (5, 4, 2), (9, 4, 4), (1000, 300, 4)])
def test_blocks_are_powers_of_two(count, columns, block):
    assert block_of(count, columns) == block


def test_an_overview_comes_first():
    order = coarse_first(list(range(10, 20)))
    assert sorted(order) == list(range(10, 20))
    assert order[:3] == [10, 18, 14]
    assert coarse_first([]) == []
    assert coarse_first([7]) == [7]


def test_the_route_refuses_what_it_does_not_know(served):
    assert "nonsense" in served.client.error("/api/v1/runs/copy/film?nonsense=1", 400)["what"]
    assert served.client.json("/api/v1/runs/copy/film?px=10")["records"] == 5
