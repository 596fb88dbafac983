"""Synthetic stories on disk: a run of a dynamic memory network whose gates, answers and mistakes are known.

run = write_story_run("runs/stories")                 # 24 records, closed, a story each
run = write_story_run("runs/live", live=True)         # the same, and its writer stays open
run.append(); run.close()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz._version import __version__
from memviz.fields import CATALOGUE
from memviz.trace.schema import FieldSchema, Json, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

Array = NDArray[np.float64]
Labels = dict[str, Json]

PEOPLE = ("Mary", "John", "Sandra", "Daniel")
PLACES = ("kitchen", "garden", "office", "hallway", "bathroom", "bedroom")
THINGS = ("milk", "apple", "football")

ENDS = ("plain", "eclipsed", "missed", "mistaken", "lucky", "alike")
"""What becomes of the stories, in turn.

"plain": the hops keep both supporting facts, one each, and the answer is right. "eclipsed": so too, and an earlier
fact has the widest gate of the first hop. "missed": other facts are kept, the answer is wrong and sure. "mistaken": the
supporting facts are kept and the answer is wrong. "lucky": they are not, and it is right. "alike": all hops keep the
last supporting fact.
"""


class StoryRun:
    """A synthetic run of stories that can still grow; also a context manager that closes it.

    Args:
        path: where the trace goes.
        hops: passes over the facts.
        items: stories per record; all of one record are equally long.
        memories: names of the memories; each of several sees gates of its own.
        change: what becomes of the labels of a record, by its number.
        seed: of the stories.
        law: of the memories; with "" the records have nothing but gates.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        hops: int = 3,
        items: int = 1,
        memories: Sequence[str] = ("memory",),
        change: Callable[[int, Labels], Labels] | None = None,
        seed: int = 0,
        law: str = "dmn",
    ) -> None:
        self.hops, self.items, self.memories, self.law = hops, items, tuple(memories), law
        self.records = 0
        self._change = change or (lambda _, labels: labels)
        self._seed = seed
        header = TraceHeader(
            memviz_version=__version__,
            created=time.time(),
            run=Path(path).name,
            model={"class": "DMN"},
            attributes={"task": "stories", "synthetic": True},
        )
        self._writer = TraceWriter.create(Path(path), header)
        self.path = Path(self._writer.path)
        for memory in self.memories:
            self._writer.declare(MemorySchema(memory, law, _SPECS, {"episode": "gated"} if law else {}))

    def append(self) -> int:
        """Write the next record; returns its number."""
        number = self.records
        rng = np.random.default_rng([self._seed, number])
        facts = 6 + number % 5
        told = [make_story(rng, ENDS[(number * self.items + item) % len(ENDS)], facts) for item in range(self.items)]
        fields: dict[str, Array] = {}
        for place, memory in enumerate(self.memories):
            gates = np.stack([gates_of(rng, labels, self.hops, end) for end, labels in told], axis=1)
            # What another choice looks at is told by the same facts in another order.
            fields[f"{memory}/episodic_attention"] = np.roll(gates, place, axis=2)
            if self.law:
                fields[f"{memory}/answer_probabilities"] = _over_hops([labels for _, labels in told], self.hops)
        labels = told[0][1] if self.items == 1 else {n: [one[n] for _, one in told] for n in told[0][1]}
        self._writer.append(
            RecordData(
                step=number,
                fields={name: values.astype(np.float32) for name, values in fields.items()},
                wall=time.time(),
                batch=tuple(range(self.items)),
                labels=self._change(number, labels),
            )
        )
        self.records += 1
        return number

    def close(self) -> None:
        """Close the trace; safe to call twice."""
        self._writer.close()

    def __enter__(self) -> StoryRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _spec(name: str, axes: tuple[str, ...]) -> FieldSchema:
    entry = CATALOGUE.get(name)
    if entry is None:
        return FieldSchema(name, axes, "float32", "signed")
    return FieldSchema(name, entry.axes, "float32", entry.kind, entry.low, entry.high, entry.simplex)


_SPECS = {
    "episodic_attention": _spec("episodic_attention", ()),
    "answer_probabilities": _spec("answer_probabilities", ("time", "batch", "answer")),
}


def write_story_run(path: str | os.PathLike[str], *, records: int = 24, live: bool = False, **options: Any) -> StoryRun:
    """Write a run of stories, closed unless `live`; `options` are those of `StoryRun`."""
    run = StoryRun(path, **options)
    try:
        for _ in range(records):
            run.append()
    except BaseException:
        run.close()
        raise
    if not live:
        run.close()
    return run


def make_story(rng: np.random.Generator, end: str, facts: int) -> tuple[str, Labels]:
    """Who took what where, and how a network answers; the labels are those of docs/demos.md."""
    who, thing, place = str(rng.choice(PEOPLE)), str(rng.choice(THINGS)), str(rng.choice(PLACES))
    told = [f"{rng.choice(PEOPLE)} went to the {rng.choice(PLACES)}." for _ in range(facts)]
    first, second = sorted(rng.choice(np.arange(1, facts), 2, replace=False).tolist())
    told[first], told[second] = f"{who} got the {thing} there.", f"{who} moved to the {place}."
    others = [other for other in PLACES if other != place]
    wrong = end in ("missed", "mistaken")
    sure = {"missed": 0.97, "mistaken": 0.55, "lucky": 0.62}.get(end, 0.99) - 0.01 * float(rng.random())
    predicted = others[0] if wrong else place
    rest = [other for other in PLACES if other != predicted]
    shares = (1 - sure) * np.array([0.5, 0.25, 0.125, 0.0625, 0.0625 - 0.01])
    return end, {
        "task": 2,
        "family": "Two Supporting Facts",
        "facts": list(told),
        "question": f"Where is the {thing}?",
        "answer": place,
        "supporting": [first, second],
        "predicted": predicted,
        "confidence": sure,
        "right": not wrong,
        "alternatives": [[predicted, sure], *[[name, float(p)] for name, p in zip(rest, shares, strict=True)]],
    }


def gates_of(rng: np.random.Generator, labels: Labels, hops: int, end: str) -> Array:
    """Gates [hop, fact] that end as they should; nearly shut but for one fact per hop."""
    facts, supporting = labels["facts"], labels["supporting"]
    assert isinstance(facts, list)
    assert isinstance(supporting, list)
    first, second = (int(fact) for fact in supporting if isinstance(fact, int))
    gates = rng.uniform(0.0, 0.02, (hops, len(facts)))
    chosen = [first] + [second] * (hops - 1)
    if end in ("missed", "lucky"):
        chosen = [fact for fact in range(len(facts)) if fact not in (first, second)][:1] * hops
    elif end == "alike":
        chosen = [second] * hops
        gates[:] = gates[0]
    for hop, fact in enumerate(chosen):
        gates[hop, fact] = 0.96
    if end == "eclipsed":
        gates[0, first - 1] = 0.99
    return gates


def _over_hops(told: Sequence[Labels], hops: int) -> Array:
    """Probabilities [hop, item, answer] that come to those of the labels at the last hop, from equal ones."""
    last = []
    for labels in told:
        alternatives = labels["alternatives"]
        assert isinstance(alternatives, list)
        known = {str(pair[0]): pair[1] for pair in alternatives if isinstance(pair, list)}
        last.append([float(str(known[place])) for place in PLACES])
    end = np.asarray(last)
    share = np.linspace(0, 1, hops)[:, None, None] if hops > 1 else np.ones((1, 1, 1))
    return np.asarray(share * end + (1 - share) / len(PLACES))
