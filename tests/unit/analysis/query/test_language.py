from __future__ import annotations

import pickle

import pytest

from memviz.analysis.query.language import Compare, Constant, Join, Listing, Not, Term, parse, terms
from memviz.errors import QueryError


def test_a_query_becomes_a_tree():
    name = "layer0/read_weights.effective_slots"
    tree = parse(f"{name} > 8 and not correct == False")
    assert isinstance(tree, Join)
    assert tree.every
    first, second = tree.parts
    assert first == Compare(
        (
            Term("layer0/read_weights.effective_slots", None, "", False, 0, "layer0/read_weights.effective_slots"),
            Constant(8.0),
        ),
        (">",),
    )
    assert isinstance(second, Not)
    assert [term.name for term in terms(tree)] == [name, "correct"]


def test_and_binds_closer_than_or_and_not_closer_than_both():
    tree = parse("a or b and not c == 1")
    assert isinstance(tree, Join)
    assert not tree.every
    assert isinstance(tree.parts[1], Join)
    assert tree.parts[1].every
    assert isinstance(tree.parts[1].parts[1], Not)


@pytest.mark.parametrize(
    ("text", "value"),
    [("x == -1.5e3", -1500.0), ("x == .5", 0.5), ("x == 'a b'", "a b"), ('x == "it\'s"', "it's"), ("x == True", True)],
)
def test_constants(text, value):
    assert parse(text).operands[1] == Constant(value)


def test_lists_chains_indices_and_quoted_names():
    assert parse("x not in [1, -2, 'a']").operands[1] == Listing((1.0, -2.0, "a"))
    assert parse("0 < x <= 1").operators == ("<", "<=")
    (term,) = terms(parse("layer0/memory[3].norm > 1"))
    assert (term.name, term.index, term.statistic, term.text) == ("layer0/memory", 3, "norm", "layer0/memory[3].norm")
    (term,) = terms(parse("`0/memory`.norm > 1"))
    assert (term.name, term.statistic, term.quoted) == ("0/memory", "norm", True)


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("", 0, "ends where"),
        ("time >", 6, "ends where"),
        ("time = 3", 5, "did you mean '=='"),
        ("time > 1 && time < 3", 9, "did you mean 'and'"),
        ("(time > 3", 9, "ends where"),
        ("time > 3)", 8, "expected and, or, or the end"),
        ("time > 3 time", 9, "expected and, or, or the end"),
        ("time in 3", 8, "a list such as"),
        ("time > [3]", 7, "a number, a text or a name"),
        ("[1]", 2, "a list can only follow in"),
        ("x == 'abc", 5, "a text that does not end"),
        ("x == 3abc", 5, "neither a number nor a name"),
        ("x[y].norm > 1", 2, "a whole number"),
        ("x[1].2 > 1", 4, "expected and, or, or the end"),
        ("x == @", 5, "means nothing"),
        ("x; import os", 1, "means nothing"),
        ("f(x) > 1", 1, "expected and, or, or the end"),
        ("lambda: 0", 6, "means nothing"),
        ("x if y else z", 2, "expected and, or, or the end"),
        ("- x > 1", 2, "a number after the -"),
    ],
)
def test_an_error_says_where(text, at, what):
    with pytest.raises(QueryError, match="at character") as caught:
        parse(text)
    assert caught.value.at == at
    assert what in caught.value.what
    lines = str(caught.value).splitlines()
    assert lines[-1].index("^") - 2 == min(at, 60)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "not " * 2000 + "x",
        "(" * 25 + "x" + ")" * 25,
        "not " * 30 + "x",
        "x" * 1001,
        "1 < " * 200 + "x and" * 200,
    ],
)
def test_hostile_lengths_and_depths_are_refused(text):
    with pytest.raises(QueryError):
        parse(text)


def test_a_dunder_is_a_name_like_any_other():
    (term,) = terms(parse("x.__class__.__mro__ == 1"))
    assert term.name == "x.__class__.__mro__"


def test_an_error_survives_the_way_from_another_process():
    with pytest.raises(QueryError) as caught:
        parse("time >")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
