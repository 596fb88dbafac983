"""Exact answers about one record: what is in it, one cell, the life of one slot, a walk along the links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.lineage.fast import is_fast
from memviz.analysis.replay import replay_error
from memviz.dashboards.fieldview import FieldView, Values, pictures, view, views
from memviz.dashboards.frames import order_of
from memviz.dashboards.numbers import number, numbers, strict
from memviz.dashboards.params import ApiError
from memviz.dashboards.summaries import axis_sizes
from memviz.dashboards.tiles import spread
from memviz.errors import FieldError, MemvizError
from memviz.fields import MODEL, lookup

Array = NDArray[np.floating]

WRITTEN = 0.1
"""A slot counts as written at a time when a write weight there exceeds this."""


def describe(values: Values) -> dict[str, Any]:
    """The members of one record as in docs/api.md, memories with their fields in the order of the page."""
    record = values.record
    return {
        "step": record.step,
        "forward": record.forward,
        "wall": record.wall,
        "batch": list(record.batch),
        "labels": strict(record.labels),
        "memories": [_describe_memory(values, name) for name in record.memories],
    }


def _describe_memory(values: Values, name: str) -> dict[str, Any]:
    sizes = axis_sizes(values.record, name)
    return {
        "name": name,
        "law": values.record.memories[name].law,
        "times": values.record.lengths.get(name, 0),
        "slots": sizes.get("slot"),
        "words": sizes.get("word"),
        "read_heads": sizes.get("head" if is_fast(values.record, name) else "read_head"),
        "write_heads": sizes.get("write_head"),
        "replay_error": None if name == MODEL else _replay_error(values, name),
        "fields": [_describe_field(values, field) for field in sorted(views(values.record, name), key=order_of)],
    }


def _replay_error(values: Values, memory: str) -> float | str | None:
    try:
        error = values.once(f"{memory}: replay error", lambda: replay_error(values.record, memory))
    except (MemvizError, OSError, ValueError):
        return None
    return None if error is None else number(error)


def _describe_field(values: Values, field: FieldView) -> dict[str, Any]:
    schema = values.record.schema(field.name)
    entry = lookup(schema.name)
    return {
        "field": field.name,
        "name": schema.name,
        "title": entry.title if entry else schema.name.replace("_", " ").capitalize(),
        "axes": list(field.axes),
        "shape": list(field.shape),
        "dtype": schema.dtype,
        "kind": field.kind,
        "low": schema.low,
        "high": schema.high,
        "derived": field.derived,
        "symbol": entry.symbol if entry else "",
        "meaning": entry.meaning if entry else "recorded by a tap",
    }


def slots(values: Values, memory: str) -> int:
    """Number of slots of a memory; 0 when it has none."""
    return axis_sizes(values.record, memory).get("slot", 0)


def cell(values: Values, memory: str, item: int, time: int, slot: int | None) -> dict[str, Any]:
    """Exact values at one time, and at one slot of every field that has slots."""
    found: list[dict[str, Any]] = []
    names = [MODEL, memory] if memory != MODEL and MODEL in values.record.memories else [memory]
    for field in sorted((field for name in names for field in views(values.record, name)), key=order_of):
        rows = field.picture_axes
        if "time" not in field.axes or time >= field.length("time"):
            continue
        if "slot" in rows and (slot is None or rows[0] != "slot"):
            continue
        if len(rows) > (2 if "slot" in rows else 1):
            continue
        try:
            exact = values.times(field, item, time, time + 1)
        except FieldError:  # too large to compute while somebody waits: its panel says so
            continue
        for head, picture in pictures(field, exact):
            at = picture[0]
            if "slot" in rows:
                at = at[slot]
            member = "value" if at.ndim == 0 else "values"
            found.append({"id": field.tile_id(head), member: number(float(at)) if at.ndim == 0 else numbers(at, 9)})
    return {"time": time, "slot": slot, "values": found}


def slot_life(values: Values, memory: str, item: int, slot: int) -> dict[str, Any]:
    """Everything that happened to one slot over time."""
    times = values.record.lengths.get(memory, 0)

    def life(name: str, pick: Callable[[Array], Array]) -> list[Array] | None:
        """Per picture of a field, what `pick` takes of [time, slot, ...]."""
        field = _field(values, memory, name)
        if field is None or field.length("time") != times:
            return None
        heads = len(field.heads)

        def part(exact: Array) -> Array:
            return np.stack([pick(picture) for _, picture in pictures(field, exact)], axis=1)

        joined = values.select(field, item, part)
        return [joined[:, head] for head in range(heads)]

    def weights(name: str) -> list[list[Any]] | None:
        found = life(name, lambda picture: picture[:, slot])
        return None if found is None else [numbers(row) for row in found]

    write = life("write_weights", lambda picture: picture[:, slot])
    with np.errstate(over="ignore", invalid="ignore"):
        norm = life("memory", lambda picture: np.linalg.norm(picture[:, slot].astype(np.float64), axis=-1))
    last = _last_write(np.stack(write, axis=1)[..., None], np.arange(times))[:, 0] if write and times else None
    usage = weights("usage")
    return {
        "slot": slot,
        "times": times,
        "write": [numbers(row) for row in write or []],
        "read": weights("read_weights") or [],
        "usage": None if usage is None else usage[0],
        "allocation": weights("allocation_weights"),
        "norm": None if norm is None else numbers(norm[0]),
        "last_write": None if last is None else [None if time < 0 else int(time) for time in last],
    }


def walk(values: Values, memory: str, item: int, time: int, slot: int, head: int, hops: int) -> dict[str, Any]:
    """Follow the links forward from one slot at one time: hop k is L to the power k on a one-hot start.

    Raises:
        ApiError: the memory has no links, or no such write head.
    """
    link = link_at(values, memory, item, time, head)
    last = last_writes(values, memory, item, time, len(link))
    weights = np.zeros(len(link))
    weights[slot] = 1.0
    steps: list[dict[str, Any]] = []
    for hop in range(hops + 1):
        at = int(np.argmax(weights))
        steps.append(
            {
                "hop": hop,
                "slot": at,
                "written": int(last[at]) if last[at] >= 0 else None,
                "weight": number(float(weights[at])),
                "n_eff": number(float(spread(weights[:, None])[0])),
                "mass": number(float(weights.sum())),
            }
        )
        with np.errstate(invalid="ignore", over="ignore"):
            weights = link @ weights
    # Slots in the order in which they were last written; those never written come last, by index.
    order = sorted(range(len(link)), key=lambda index: (last[index] < 0, last[index], index))
    return {"hops": steps, "order": order, "written": int((last >= 0).sum())}


def link_at(values: Values, memory: str, item: int, time: int, head: int) -> NDArray[np.float64]:
    """The links of one write head at one time, [slot_to, slot_from].

    Raises:
        ApiError: the memory has no links, or no such write head.
    """
    name = f"{memory}/link_matrix"
    if name not in values.record.fields:
        raise ApiError(404, f"memory {memory!r} has no link matrix in this record", "a DNC memory", "choose another")
    field = view(values.record, name)
    links = [picture[0] for _, picture in pictures(field, values.times(field, item, time, time + 1))]
    if head >= len(links):
        raise ApiError(400, f"head={head} is out of range", f"0 to {len(links) - 1}, a write head", "change head")
    return np.asarray(links[head], np.float64)


def last_writes(values: Values, memory: str, item: int, time: int, slots: int) -> NDArray[np.int64]:
    """Time of the last write of each slot at or before a time, [slot]; -1 where there was none, or none is known."""
    write = _field(values, memory, "write_weights")
    if write is None:
        return np.full(slots, -1)
    stacked = np.stack([picture for _, picture in pictures(write, values.item(write, item))], axis=1)
    return np.asarray(_last_write(stacked[: time + 1], np.array([time]))[0])


def exact(values: Values, field: FieldView, chosen: Mapping[str, int | None], limit: int) -> dict[str, Any]:
    """Values of a field with some axes fixed: `chosen` maps batch, head (over all head axes) and time to an index."""
    item, head, time = chosen["batch"], chosen["head"], chosen["time"]
    fixed = {"batch"} if item is not None else set()
    fixed |= {"time"} if time is not None else set()
    fixed |= set(field.head_axes) if head is not None else set()
    axes = [axis for axis in field.axes if axis not in fixed]
    count = int(np.prod([field.length(axis) for axis in axes], dtype=np.int64))
    if count > limit:
        raise ApiError(
            400,
            f"{count} numbers are asked for",
            f"at most {limit}",
            "choose an item, a head or a time, or memviz.open",
        )
    index: list[int | slice] = [slice(None)] * len(field.axes)
    if item is not None and "batch" in field.axes:
        index[field.axes.index("batch")] = item
    if time is not None and "time" in field.axes:
        index[field.axes.index("time")] = time
    if head is not None:
        for axis, at in zip(field.head_axes, field.heads[head], strict=True):
            index[field.axes.index(axis)] = at
    return {"field": field.name, "axes": axes, "values": numbers(values.whole(field)[tuple(index)], 9)}


def _field(values: Values, memory: str, name: str) -> FieldView | None:
    full = f"{memory}/{name}"
    return view(values.record, full) if full in values.record.fields else None


def _last_write(write: Array, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Time of the latest write at or before each of `times`.

    Args:
        write: [time, write_head, slot].
        times: [when].

    Returns:
        [when, slot], -1 where there was none.
    """
    wrote = (write > WRITTEN).any(axis=1)
    at = np.where(wrote, np.arange(len(write))[:, None], -1)
    return np.maximum.accumulate(at, axis=0)[np.minimum(times, len(write) - 1)]
