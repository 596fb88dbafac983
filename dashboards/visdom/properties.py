"""The properties pane: what can be chosen in Visdom, as the list that it shows and as what a change of it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memviz.dashboards.visdom.place import SIZES, Offer, Place


@dataclass(frozen=True, slots=True)
class Choice:
    """What a change in the pane leads to: a new place, and whether closed windows come back."""

    place: Place
    reopen: bool = False


@dataclass(frozen=True, slots=True)
class _Property:
    """One row: what Visdom shows, and what a new value of it means."""

    name: str
    shown: dict[str, Any]
    take: Callable[[Any], Choice]


def properties(place: Place, offer: Offer) -> list[dict[str, Any]]:
    """The rows of the pane in the form that Visdom takes."""
    return [{"name": row.name, **row.shown} for row in _rows(place, offer)]


def choose(place: Place, offer: Offer, row: int, value: object) -> Choice:
    """What is shown after the viewer changed one row.

    Args:
        place: what was asked for before.
        offer: what there was to choose from, as it was shown.
        row: index of the row.
        value: what Visdom sends: a bool for a checkbox, an index for a list, text for a number.

    Returns:
        The same place when the value is no choice, or no other than the one shown.
    """
    rows = _rows(place, offer)
    if not 0 <= row < len(rows):
        return Choice(place)
    try:
        return rows[row].take(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return Choice(place)


def _rows(place: Place, offer: Offer) -> list[_Property]:
    first, last = (min(offer.steps), max(offer.steps)) if offer.steps else (0, 0)
    heads = ["every head", *(f"head {head}" for head in range(offer.heads))]
    head = 0 if place.head is None else min(place.head, offer.heads - 1) + 1
    memory = offer.memories.index(offer.memory) if offer.memory in offer.memories else 0
    sizes = list(SIZES)
    return [
        _Property("follow live", _checkbox(place.step is None), lambda value: _follow(place, offer, bool(value))),
        _Property(f"step ({first} … {last})", _number(offer.step), lambda value: _step(place, offer, _whole(value))),
        _Property("record", _button("◀ earlier"), lambda _: _beside(place, offer, -1)),
        _Property("record", _button("later ▶"), lambda _: _beside(place, offer, 1)),
        _Property(
            f"time (0 … {max(0, offer.times - 1)})",
            _number(offer.time),
            lambda value: _time(place, offer, _whole(value)),
        ),
        _Property(
            "batch item",
            _select([f"item {item}" for item in offer.items], min(place.item, len(offer.items) - 1)),
            lambda value: Choice(replace(place, item=_index(value, offer.items))),
        ),
        _Property(
            "head",
            _select(heads, head),
            lambda value: Choice(replace(place, head=None if _index(value, heads) == 0 else _index(value, heads) - 1)),
        ),
        _Property(
            "memory",
            _select(list(offer.memories), memory),
            lambda value: Choice(replace(place, memory=offer.memories[_index(value, offer.memories)])),
        ),
        _Property(
            "pane size",
            _select(sizes, sizes.index(place.size)),
            lambda value: Choice(replace(place, size=sizes[_index(value, sizes)])),
        ),
        _Property("closed panes", _button("show again"), lambda _: Choice(place, reopen=True)),
    ]


def _follow(place: Place, offer: Offer, follow: bool) -> Choice:
    return Choice(replace(place, step=None if follow else offer.step))


def _step(place: Place, offer: Offer, step: int) -> Choice:
    # Visdom also reports a field that was left without a change; that must not stop following.
    return Choice(place) if step == offer.step else Choice(replace(place, step=step))


def _time(place: Place, offer: Offer, time: int) -> Choice:
    if time == offer.time:
        return Choice(place)
    return Choice(replace(place, time=None if time >= offer.times - 1 else time))


def _beside(place: Place, offer: Offer, by: int) -> Choice:
    steps = sorted(set(offer.steps))
    index = steps.index(offer.step) + by
    return Choice(replace(place, step=steps[min(max(index, 0), len(steps) - 1)]))


def _whole(value: object) -> int:
    return int(float(str(value)))


def _index(value: object, among: Sequence[object]) -> int:
    index = int(str(value))
    if not 0 <= index < len(among):
        raise IndexError(index)
    return index


def _checkbox(value: bool) -> dict[str, Any]:
    return {"type": "checkbox", "value": value}


def _number(value: int) -> dict[str, Any]:
    return {"type": "number", "value": value}


def _button(text: str) -> dict[str, Any]:
    return {"type": "button", "value": text}


def _select(values: list[str], value: int) -> dict[str, Any]:
    return {"type": "select", "value": value, "values": values}
