from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from memviz import plugins


@pytest.fixture
def points(monkeypatch):
    """Replace the installed entry points by a list that the test fills."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in found if p.group == group])
    return found


def test_plugins_load_in_the_order_of_their_names(points):
    points += [EntryPoint("b", "math:pi", "memviz.x"), EntryPoint("a", "math:e", "memviz.x")]
    assert [name for name, _ in plugins.load("memviz.x")] == ["a", "b"]


def test_a_broken_plugin_warns_and_the_others_load(points):
    points += [EntryPoint("bad", "no_such_module:thing", "memviz.x"), EntryPoint("good", "math:pi", "memviz.x")]
    with pytest.warns(UserWarning, match="'bad' of memviz.x .* failed to load"):
        loaded = dict(plugins.load("memviz.x"))
    assert list(loaded) == ["good"]


def test_of_two_plugins_with_one_name_the_first_wins(points):
    points += [EntryPoint("a", "math:pi", "memviz.x"), EntryPoint("a", "math:e", "memviz.x")]
    with pytest.warns(UserWarning, match="two plugins"):
        loaded = list(plugins.load("memviz.x"))
    assert len(loaded) == 1


def test_the_same_plugin_listed_twice_is_silent(points):
    points += [EntryPoint("a", "math:pi", "memviz.x")] * 2
    assert len(list(plugins.load("memviz.x"))) == 1
