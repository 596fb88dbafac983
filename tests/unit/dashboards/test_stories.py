"""The table of stories is read a stretch at a time, once, and starts over when a run is made anew."""

from __future__ import annotations

import itertools
import shutil

import pytest

from memviz.dashboards import stories
from memviz.dashboards.source import Source
from memviz.dashboards.stories import Stories
from memviz.testing.stories import write_story_run


@pytest.fixture
def source(tmp_path):
    write_story_run(tmp_path / "run", records=9, items=2)
    return Source([tmp_path])


def walked(table, most=100):
    """All answers of a page that asks on until it has everything."""
    start, answers = 0, []
    for _ in range(most):
        answers.append(table.ask("run", start))
        start = answers[-1]["to"]
        if start == answers[-1]["count"] or answers[-1]["full"]:
            return answers
    raise AssertionError("it never ends")


def test_an_answer_ends_when_its_time_is_up_and_goes_on_at_least_one_record(source):
    ticks = itertools.count(0, stories.SECONDS)
    answers = walked(Stories(source, clock=lambda: next(ticks)))
    assert len(answers) == 9
    assert [(row["index"], row["item"]) for answer in answers for row in answer["stories"]] == [
        (index, item) for index in range(9) for item in range(2)
    ]


def test_records_are_read_once(source, monkeypatch):
    read = []
    original = stories.rows_of
    monkeypatch.setattr(stories, "rows_of", lambda record, index: read.append(index) or original(record, index))
    table = Stories(source, clock=lambda: 0.0)
    assert len(table.ask("run", 0)["stories"]) == 18
    assert len(table.ask("run", 0)["stories"]) == 18
    assert [row["index"] for row in table.ask("run", 8)["stories"]] == [8, 8]
    assert table.ask("run", 9)["stories"] == []
    assert read == list(range(9))


def test_rows_come_in_answers_of_whole_records(source, monkeypatch):
    monkeypatch.setattr(stories, "MAX_ROWS", 5)
    answers = walked(Stories(source, clock=lambda: 0.0))
    assert [len(answer["stories"]) for answer in answers] == [4, 4, 4, 4, 2]
    monkeypatch.setattr(stories, "MAX_ROWS", 1)
    assert [len(answer["stories"]) for answer in walked(Stories(source, clock=lambda: 0.0))] == [2] * 9


def test_a_table_that_is_too_long_says_so(source, monkeypatch):
    monkeypatch.setattr(stories, "KEPT_ROWS", 6)
    answer = walked(Stories(source, clock=lambda: 0.0))[-1]
    assert (answer["full"], answer["to"], len(answer["stories"])) == (True, 3, 6)


def test_a_live_run_goes_on_where_it_stopped(tmp_path):
    with write_story_run(tmp_path / "run", records=2, live=True) as run:
        table = Stories(Source([tmp_path]), clock=lambda: 0.0)
        assert table.ask("run", 0)["to"] == 2
        run.append()
        while (answer := table.ask("run", 2))["count"] < 3:
            pass
        assert [row["index"] for row in answer["stories"]] == [2]


def test_a_run_that_is_made_anew_has_a_new_table(source, tmp_path):
    table = Stories(source, clock=lambda: 0.0)
    first = table.ask("run", 0)["stories"]
    shutil.rmtree(tmp_path / "run")
    write_story_run(tmp_path / "run", records=2, seed=5)
    assert table.ask("run", 0)["count"] == 2
    assert table.ask("run", 0)["stories"] != first[:4]


def test_a_record_that_cannot_be_read_is_counted(source, monkeypatch):
    original = stories.rows_of

    def broken(record, index):
        if index == 3:
            raise ValueError("damaged")
        return original(record, index)

    monkeypatch.setattr(stories, "rows_of", broken)
    answer = Stories(source, clock=lambda: 0.0).ask("run", 0)
    assert (answer["skipped"], answer["to"], len(answer["stories"])) == (1, 9, 16)


def test_the_oldest_tables_are_forgotten(tmp_path, monkeypatch):
    for name in "abc":
        write_story_run(tmp_path / name, records=3)
    monkeypatch.setattr(stories, "KEPT_ROWS", 7)
    table = Stories(Source([tmp_path]), clock=lambda: 0.0)
    for name in "abc":
        assert table.ask(name, 0)["to"] == 3
    assert len(table._known) == 2
