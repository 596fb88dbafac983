"""Random queries over a random record say what plain Python says of every place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import memviz
from memviz.analysis.query.language import LONGEST, parse
from memviz.errors import QueryError
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

TIMES, ITEMS, HEADS, SLOTS = 3, 2, 2, 3
RNG = np.random.default_rng(0)
WEIGHTS = RNG.random((TIMES, ITEMS, HEADS, SLOTS)).round(1)
GATES = RNG.random((TIMES, ITEMS, HEADS)).round(1)
GATES[1, 0, 1] = np.nan


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "random"
    writer = TraceWriter.create(path, TraceHeader(memviz_version="0", created=1.0, run="random"))
    axes = ("time", "batch", "read_head")
    specs = {
        "read_weights": FieldSchema("read_weights", (*axes, "slot"), "float64"),
        "free_gates": FieldSchema("free_gates", axes, "float64"),
    }
    writer.declare(MemorySchema("memory", "", specs, {}))
    fields = {"memory/read_weights": WEIGHTS, "memory/free_gates": GATES}
    writer.append(RecordData(step=0, fields=fields, wall=0.0, batch=(0, 1)))
    writer.close()
    return memviz.open(path)


NAMES = {
    "time": lambda t, b, h: t,
    "item": lambda t, b, h: b,
    "head": lambda t, b, h: h,
    "free_gates": lambda t, b, h: GATES[t, b, h],
    "read_weights.max": lambda t, b, h: max(WEIGHTS[t, b, h]),
    "read_weights[1]": lambda t, b, h: WEIGHTS[t, b, h, 1],
}
NUMBERS = st.sampled_from([0.0, 0.3, 0.5, 1.0, 2.0, -1.0])
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


@st.composite
def comparisons(draw):
    name, operator, number = draw(st.sampled_from(sorted(NAMES))), draw(OPERATORS), draw(NUMBERS)

    def holds(*place):
        a = NAMES[name](*place)
        return a == a and eval_one(operator, a, number)

    return f"{name} {operator} {number:g}", holds


def eval_one(operator, a, b):
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def combined(inner):
    def join(word, whole):
        def make(parts):
            return f"({f' {word} '.join(text for text, _ in parts)})", lambda *p: whole(holds(*p) for _, holds in parts)

        return st.lists(inner, min_size=2, max_size=3).map(make)

    negated = inner.map(lambda one: (f"not ({one[0]})", lambda *p: not one[1](*p)))
    return join("and", all) | join("or", any) | negated


QUERIES = st.recursive(comparisons(), combined, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(QUERIES)
def test_a_query_holds_where_plain_python_says(trace, query):
    text, holds = f"({query[0]}) and read_weights.max > -1", query[1]
    wanted = {(t, b, h) for t in range(TIMES) for b in range(ITEMS) for h in range(HEADS) if holds(t, b, h)}
    found = memviz.query(trace, text)
    assert found.count == len(wanted)
    assert {(hit.found.time, hit.found.item, hit.found.head) for hit in found.hits} == wanted


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="ab.[]()<>=!'\"`,-12 /andorti", max_size=80))
@example("(" * (LONGEST + 1))
@example("a[1].b.c[2]")
@example("__import__('os').system('x')")
def test_any_text_is_read_or_refused_with_a_place_in_it(text):
    caught = None
    try:
        parse(text)
    except QueryError as error:
        caught = error
    assert caught is None or (0 <= caught.at <= len(text) and str(caught))
