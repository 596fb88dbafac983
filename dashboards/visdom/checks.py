"""What is plainly wrong with the values of a record: not numbers, outside their range, or more than a whole.

A weighting that sums to 2.6 looks like any other picture once its colours are scaled to fit; here it is a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memviz.dashboards.visdom.pictures import Picture
from memviz.fields import bare_name, lookup

TOLERANCE = 1e-3
"""How far a weight may leave its range, or a weighting exceed 1, before it counts: more than float16 rounding."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A sentence, and the time from which it holds; the end of the sequence when it is about no time."""

    sentence: str
    time: float = float("inf")


def findings(pictures: Sequence[Picture]) -> list[str]:
    """Sentences about the pictures of a record, each with its number and where it is; what came first is first."""
    over_time = {picture.name for picture in pictures if picture.over_time}
    found: list[_Finding] = []
    for picture in pictures:
        # The memory at one time has nothing that the memory over all times has not.
        if picture.over_time or picture.name not in over_time:
            found += [*_not_numbers(picture), *_out_of_range(picture), *_more_than_a_whole(picture)]
    return [finding.sentence for finding in sorted(found, key=lambda finding: finding.time)]


def count_words(picture: Picture) -> str:
    """`2 NaN, 1 +Inf`, or nothing when every value is a number."""
    values = picture.values[picture.bad]
    counts = {
        "NaN": np.count_nonzero(np.isnan(values)),
        "+Inf": np.count_nonzero(np.isposinf(values)),
        "-Inf": np.count_nonzero(np.isneginf(values)),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _not_numbers(picture: Picture) -> Iterator[_Finding]:
    words = count_words(picture)
    if words:
        first = int(np.flatnonzero(picture.bad.any(axis=0))[0])
        if picture.over_time:
            yield _Finding(f"{picture.title}: {words} from time {first} on", first)
        else:
            yield _Finding(f"{picture.title}: {words} {picture.when}".rstrip())


def _out_of_range(picture: Picture) -> Iterator[_Finding]:
    known = lookup(bare_name(picture.name))
    if known is None or picture.values.size == 0:
        return
    finite = np.where(np.isfinite(picture.values), picture.values, np.nan)
    if np.isnan(finite).all():
        return
    low, high = float(np.nanmin(finite)), float(np.nanmax(finite))
    for extreme, bound, word in ((high, known.high, "above"), (low, known.low, "below")):
        if bound is not None and (extreme - bound) * (1 if word == "above" else -1) > TOLERANCE:
            row, column = (int(part[0]) for part in np.nonzero(finite == extreme))
            where = f"at {picture.columns.name} {column}" + _row_words(picture, row)
            yield _Finding(f"{picture.title}: {extreme:.4g} is {word} {bound:g} {where}", _time(picture, column))


def _more_than_a_whole(picture: Picture) -> Iterator[_Finding]:
    known = lookup(bare_name(picture.name))
    if known is None or known.simplex is None or picture.values.size == 0:
        return
    if picture.over_time and picture.rows.name.replace(", ", "_") == known.simplex:
        along, axis = 0, "time"
    elif picture.columns.name.replace(", ", "_") == known.simplex:
        along, axis = 1, picture.rows.name
    else:
        return
    with np.errstate(invalid="ignore"):
        sums = picture.values.sum(axis=along, dtype=np.float64)
    sums = np.where(np.isfinite(sums), sums, -np.inf)
    worst = int(sums.argmax())
    if sums[worst] > 1 + TOLERANCE:
        where = f"at {axis} {worst} {picture.when}".rstrip()
        sentence = f"{picture.title}: sums to {sums[worst]:.4g} {where}, more than the 1 of a weighting"
        yield _Finding(sentence, worst if axis == "time" else float("inf"))


def _row_words(picture: Picture, row: int) -> str:
    if not picture.rows.name:
        return ""
    if picture.rows.per > 1:
        return f", slot {row // picture.rows.per}, word {row % picture.rows.per}"
    return f", {picture.rows.name} {picture.rows.names[row] if picture.rows.names else row}"


def _time(picture: Picture, column: int) -> float:
    return column if picture.over_time else float("inf")
