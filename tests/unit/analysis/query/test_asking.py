"""Queries against plain loops over the same arrays."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import memviz
from memviz.analysis.query import evaluate, understand
from memviz.errors import QueryError
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

RECORDS, TIMES, ITEMS, HEADS, SLOTS, WORDS = 4, 7, 3, 2, 5, 3
BATCH = (5, 0, 9)
READ = ("time", "batch", "read_head", "slot")


def fields_of(index):
    rng = np.random.default_rng(index)
    weights = rng.dirichlet(np.full(SLOTS, 0.3), (TIMES, ITEMS, HEADS)).astype(np.float32)
    weights[2, 1, 0] = 0
    memory = rng.normal(size=(TIMES, ITEMS, SLOTS, WORDS)).astype(np.float32)
    memory[3, 2, 4, 1] = np.nan
    modes = rng.dirichlet(np.ones(3), (TIMES, ITEMS, HEADS)).astype(np.float32)
    gate = rng.random((TIMES, ITEMS, 1)).astype(np.float32)
    return {
        "dnc/read_weights": weights,
        "dnc/read_modes": modes,
        "dnc/write_gate": gate,
        "dnc/memory": memory,
        "other/hidden_state": rng.normal(size=(TIMES + 1, ITEMS, 4)).astype(np.float32),
    }


AXES = {
    "read_weights": READ,
    "read_modes": ("time", "batch", "read_head", "mode"),
    "write_gate": ("time", "batch", "write_head"),
    "memory": ("time", "batch", "slot", "word"),
    "hidden_state": ("time", "batch", "unit"),
}
KINDS = {"memory": "signed", "hidden_state": "signed", "write_gate": "gate", "read_modes": "mode"}


def labels_of(index):
    rng = np.random.default_rng(100 + index)
    found = {
        "correct": rng.random(ITEMS).round().astype(bool).tolist(),
        "tokens": ["a", "b", "c", "a", "b", "c", "a"],
        "answers": [["x", "y"], ["y"] * TIMES, []],
        "whole": list(range(10, 20)),
        "story": {"answer": "kitchen", "length": 4 + index},
        "phases": [["in", 0, 3], ["out", 3, TIMES]],
    }
    return found if index else {name: value for name, value in found.items() if name != "correct"}


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "asked"
    writer = TraceWriter.create(path, TraceHeader(memviz_version="0", created=1.0, run="asked"))
    for memory, names in (
        ("dnc", ("read_weights", "read_modes", "write_gate", "memory")),
        ("other", ("hidden_state",)),
    ):
        specs = {name: FieldSchema(name, AXES[name], "float32", KINDS.get(name, "weight")) for name in names}
        writer.declare(MemorySchema(memory, "", specs, {}))
    for index in range(RECORDS):
        step = 10 * index
        writer.append(
            RecordData(step=step, fields=fields_of(index), wall=float(index), batch=BATCH, labels=labels_of(index))
        )
        writer.log(step, {"loss": 1.0 - 0.2 * index})
    writer.close()
    return memviz.open(path)


def cells(index):
    """Every place of a record with what the terms are there, by plain Python."""
    fields, labels = fields_of(index), labels_of(index)
    for t in range(TIMES):
        for b in range(ITEMS):
            for h in range(HEADS):
                w = fields["dnc/read_weights"][t, b, h].astype(float)
                p = [x / w.sum() for x in w] if w.sum() else None
                entropy = -sum(x * math.log(x) for x in p if x > 0) if p else float("nan")
                answers = labels["answers"][b]
                yield {
                    "record": index,
                    "step": 10 * index,
                    "time": t,
                    "item": b,
                    "batch": BATCH[b],
                    "head": h,
                    "loss": 1.0 - 0.2 * index,
                    "correct": labels.get("correct", [None] * ITEMS)[b],
                    "tokens": labels["tokens"][t],
                    "answers": answers[t] if t < len(answers) else None,
                    "whole": labels["whole"][BATCH[b]],
                    "phase": "in" if t < 3 else "out",
                    "story.length": 4 + index,
                    "mass": float(w.sum()),
                    "peak": float(max(abs(x) for x in w)),
                    "effective": math.exp(entropy),
                    "entropy": entropy,
                    "slot": int(np.argmax(w)),
                    "w3": float(w[3]),
                    "forward": float(fields["dnc/read_modes"][t, b, h, 2]),
                    "gate": float(fields["dnc/write_gate"][t, b, 0]),
                    "norm": math.sqrt(sum(float(x) ** 2 for x in fields["dnc/memory"][t, b].ravel())),
                    "row": math.sqrt(sum(float(x) ** 2 for x in fields["dnc/memory"][t, b, 2])),
                    "odd": sum(not math.isfinite(x) for x in fields["dnc/memory"][t, b].ravel()),
                }


def places(trace, text):
    found = memviz.query(trace, text, limit=10_000)
    assert found.count == len(found.hits)
    return {(hit.index, hit.found.time, hit.found.item, hit.found.head) for hit in found.hits}


HEAD = "read_weights.mass >= 0 and "  # so that every place has a time, an item and a read head

CASES = [
    ("read_weights.effective_slots > 2 and correct == False", lambda c: c["effective"] > 2 and c["correct"] is False),
    ("read_weights.entropy <= 0.5", lambda c: c["entropy"] <= 0.5),
    ("read_weights.n_eff > 2 or read_weights.peak > 0.9", lambda c: c["effective"] > 2 or c["peak"] > 0.9),
    ("read_weights.slot in [0, 4]", lambda c: c["slot"] in (0, 4)),
    ("read_weights.argmax not in [0, 4]", lambda c: c["slot"] not in (0, 4)),
    ("read_weights[3] > 0.4", lambda c: c["w3"] > 0.4),
    ("0.2 < read_modes.forward <= 0.6", lambda c: 0.2 < c["forward"] <= 0.6),
    (HEAD + "write_gate > 0.5", lambda c: c["gate"] > 0.5),
    (HEAD + "memory.norm < 4 and loss < 0.7", lambda c: c["norm"] < 4 and c["loss"] < 0.7),
    (HEAD + "memory[2].norm > 2", lambda c: c["row"] > 2),
    (HEAD + "memory.nonfinite > 0", lambda c: c["odd"] > 0),
    (HEAD + "tokens == 'a' and head == 1", lambda c: c["tokens"] == "a" and c["head"] == 1),
    (HEAD + "answers == 'y'", lambda c: c["answers"] == "y"),
    (HEAD + "answers != 'y'", lambda c: c["answers"] is not None and c["answers"] != "y"),
    (HEAD + "whole == 15", lambda c: c["whole"] == 15),
    (HEAD + "phase == 'out' and time < 5", lambda c: c["phase"] == "out" and c["time"] < 5),
    (HEAD + "story.length >= 6 and story.answer == 'kitchen'", lambda c: c["story.length"] >= 6),
    (HEAD + "batch == 9 and step in [10, 30]", lambda c: c["batch"] == 9 and c["step"] in (10, 30)),
    (HEAD + "record == 2 and item < 1", lambda c: c["record"] == 2 and c["item"] < 1),
    (HEAD + "not (correct or loss > 0.5)", lambda c: not (c["correct"] or c["loss"] > 0.5)),
    (HEAD + "write_gate < read_weights.peak", lambda c: c["gate"] < c["peak"]),
]


@pytest.mark.parametrize(("text", "holds"), CASES, ids=[text for text, _ in CASES])
def test_places_are_those_of_plain_loops(trace, text, holds):
    wanted = {(c["record"], c["time"], c["item"], c["head"]) for i in range(RECORDS) for c in cells(i) if holds(c)}
    heads_are_writes = "write_gate" in text
    got = memviz.query(trace, text, limit=10_000)
    if heads_are_writes:
        # A place has both kinds of head here; there is one write head.
        assert got.count == len(wanted)
    assert places(trace, text) == wanted
    assert wanted, "a case that holds nowhere shows nothing"


@pytest.mark.parametrize("text", [text for text, _ in CASES[:9]])
def test_reading_a_few_times_at_once_changes_nothing(trace, text, monkeypatch):
    whole = memviz.query(trace, text, limit=10_000).to_json()
    monkeypatch.setattr(evaluate, "CHUNK", 40)
    assert memviz.query(trace, text, limit=10_000).to_json() == whole


def test_a_hit_says_where_and_with_what(trace):
    found = memviz.query(trace, "read_weights.peak > 0.9 and correct == True", limit=2)
    hit = found.hits[0]
    index, t, b, h = hit.index, hit.found.time, hit.found.item, hit.found.head
    weights = fields_of(index)["dnc/read_weights"][t, b, h]
    assert hit.found.slot == int(weights.argmax())
    assert hit.found.values["read_weights.peak"] == pytest.approx(float(weights.max()))
    assert hit.found.values["correct"] == 1.0
    assert hit.memory == "dnc"
    assert hit.link == f"#/run/asked?step={10 * index}&item={b}&memory=dnc&time={t}&slot={hit.found.slot}&head={h}"
    assert found.count > len(found.hits) == 2
    assert "the first 2 are listed" in found.sentence
    assert found.absent == {"correct": 1}
    assert "correct is missing in 1 of them" in found.sentence
    json.dumps(found.to_json(), allow_nan=False)


def test_what_no_term_depends_on_is_no_place(trace):
    found = memviz.query(trace, "loss < 0.7")
    assert [(hit.index, hit.found.time, hit.found.item, hit.found.head) for hit in found.hits] == [
        (2, None, None, None),
        (3, None, None, None),
    ]


def test_short_cuts_do_not_change_what_is_counted(trace):
    one = memviz.query(trace, "read_weights.mass >= 0 or step >= 0").count
    assert one == RECORDS * TIMES * ITEMS * HEADS
    assert memviz.query(trace, "not (step < 0 and read_weights.mass < 0)").count == one


def test_a_record_can_be_asked_too(trace):
    found = memviz.query(trace[2], "read_weights.peak > 0.9")
    assert {(2, *hit) for hit in {(h.found.time, h.found.item, h.found.head) for h in found.hits}} == {
        place for place in places(trace, "read_weights.peak > 0.9") if place[0] == 2
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("read_weights > 1", "many numbers at each time, over slot"),
        ("read_weights.pek > 1", "did you mean 'peak'"),
        ("reed_weights.peak > 1", "nearest: read_weights"),
        ("corect == 1", "nearest: correct"),
        ("los < 1", "nearest: loss"),
        ("write_gate.mean > 1", "one number per time and head"),
        ("read_weights[9] > 1", "slot 0 to 4, not 9"),
        ("write_gate[0] > 1", "nothing to index"),
        ("memory.entropy > 1", "signed"),
        ("head == 1", "no term of the query has a head"),
        ("dnc/memory.norm > 1 and other/hidden_state.norm > 1", "has 7 times and other/hidden_state.norm has 8"),
        ("__class__ == 1", "no field, label or scalar '__class__'"),
        ("correct.__class__ == 1", "no field, label or scalar"),
        ("read_weights.__init__ > 1", "'__init__' is no statistic"),
    ],
)
def test_errors_are_told_with_the_place(trace, text, what):
    with pytest.raises(QueryError, match="at character") as caught:
        memviz.query(trace, text)
    assert what in caught.value.what


def test_a_bare_name_of_several_memories_is_refused_with_their_names(tmp_path):
    writer = TraceWriter.create(tmp_path / "two", TraceHeader(memviz_version="0", created=1.0, run="two"))
    for memory in ("a", "b"):
        writer.declare(
            MemorySchema(memory, "", {"usage": FieldSchema("usage", ("time", "batch", "slot"), "float32")}, {})
        )
    usage = np.ones((2, 1, 2), np.float32)
    writer.append(RecordData(step=0, fields={"a/usage": usage, "b/usage": 0 * usage}, wall=0.0, batch=(0,)))
    writer.close()
    trace = memviz.open(tmp_path / "two")
    with pytest.raises(QueryError, match="'a/usage', 'b/usage'"):
        memviz.query(trace, "usage.mean > 0")
    assert memviz.query(trace, "a/usage.mean > b/usage.mean").count == 2


def test_an_empty_run_has_nothing_to_ask(tmp_path):
    TraceWriter.create(tmp_path / "empty", TraceHeader(memviz_version="0", created=1.0, run="empty")).close()
    with pytest.raises(QueryError, match="no records yet"):
        understand(memviz.open(tmp_path / "empty"), "step > 1")


def test_progress_can_end_it(trace):
    class Enough(Exception):
        pass

    seen = []

    def progress(done, total):
        seen.append((done, total))
        if done == 2:
            raise Enough

    with pytest.raises(Enough):
        memviz.query(trace, "step >= 0", progress=progress)
    assert seen == [(1, RECORDS), (2, RECORDS)]
