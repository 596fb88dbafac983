"""Ask one record: at which times, items and heads a query holds. Reads a few times of its fields at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.query.labels import label_values
from memviz.analysis.query.language import Compare, Constant, Join, Listing, Node, Not, Term, terms
from memviz.analysis.query.named import AXES, HEADS, NOTHING, Named, all_axes, compared, constant, truth
from memviz.analysis.query.terms import STATISTICS, Asked, Plan, extra_axes
from memviz.errors import QueryError
from memviz.fields import READ_MODES, memory_of

if TYPE_CHECKING:
    from memviz.trace.reader import Record

CHUNK = 2**22
"""Numbers of a field held at once: 32 MB as float64."""

_AXIS = {"batch": "item"}


@dataclass(frozen=True, slots=True)
class Found:
    """One place where a query holds.

    Attributes:
        time, item, head: None where nothing in the query depends on it.
        head_axis: what `head` counts: read_head, write_head or head; "" without one.
        field: bare name with memory of the first field that the query looks at, "" without one.
        slot: where in it: the slot with most weight, or the largest norm; None where it has no slots.
        values: of each term of the query as written, its value there; None where it has none.
    """

    time: int | None
    item: int | None
    head: int | None
    head_axis: str
    field: str
    slot: int | None
    values: Mapping[str, float | str | bool | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one record says.

    Attributes:
        count: number of places where the query holds.
        found: the first of them.
        absent: terms, as written, that this record does not have.
    """

    count: int
    found: tuple[Found, ...]
    absent: frozenset[str]


def look(record: Record, plan: Plan, position: int, limit: int) -> Outcome:
    """Ask a record.

    Args:
        record: the record.
        plan: the query.
        position: of the record in its trace.
        limit: most places to return; all are counted.

    Raises:
        QueryError: terms do not fit each other, such as fields of memories with different numbers of times.
    """
    fields = {term: one for term, one in plan.asked.items() if one.kind == "field" and one.name in record.fields}
    times = _times(record, plan, fields)
    found: list[Found] = []
    count, absent = 0, frozenset[str]()
    step = _chunk(record, fields)
    for start in range(0, max(times, 1), step):
        part = _Part(record, plan, position, times, start, min(start + step, times))
        places = part.axes()
        mask = truth(part.value(plan.tree))
        whole = Named(tuple(places), np.broadcast_to(mask.over(tuple(places)), tuple(places.values())))
        count += int(whole.values.sum())
        if len(found) < limit and mask.values.any():
            found += part.places(whole, limit - len(found))
        absent |= part.absent
        if "time" not in places:
            break  # the other chunks would say the same once more
    return Outcome(count, tuple(found), absent)


def _times(record: Record, plan: Plan, fields: Mapping[Term, Asked]) -> int:
    lengths = record.lengths
    timed = {
        term: lengths[memory_of(one.name)]
        for term, one in fields.items()
        if record.schema(one.name).axes[:1] == ("time",)
    }
    if len(set(timed.values())) > 1:
        (first, a), (second, b) = next((x, y) for x in timed.items() for y in timed.items() if x[1] != y[1])
        raise QueryError(
            plan.text,
            max(first.at, second.at),
            f"{first.text} has {a} times and {second.text} has {b}, so they are never at the same place",
        )
    return next(iter(timed.values()), lengths.get(plan.memory, 0))


def _chunk(record: Record, fields: Mapping[Term, Asked]) -> int:
    """Times to read at once."""
    largest = 1
    for one in fields.values():
        shape = record.shape(one.name)
        if record.schema(one.name).axes[:1] == ("time",):
            largest = max(largest, math.prod(shape[1:]))
    return max(1, CHUNK // largest)


class _Part:
    """Some times of one record, and what the terms are there."""

    def __init__(self, record: Record, plan: Plan, position: int, times: int, start: int, stop: int) -> None:
        self.record, self.plan, self.position, self.times = record, plan, position, times
        self.start, self.stop = start, stop
        self.values: dict[Term, Named] = {}
        self.slots: tuple[str, Named | None] | None = None
        self.absent: set[str] = set()
        self._labels: Mapping[str, Any] | None = None
        items = [
            size
            for one in plan.asked.values()
            if one.kind == "field" and one.name in record.fields
            for axis, size in zip(record.schema(one.name).axes, record.shape(one.name), strict=True)
            if axis == "batch"
        ]
        # What the fields have counts, whatever the record says of the batch.
        count = max(items, default=len(record.batch))
        self.batch = tuple(record.batch) if len(record.batch) == count else tuple(range(count))

    def value(self, node: Node) -> Named:
        """What a part of the query is at every place of this part of the record."""
        if isinstance(node, Constant):
            return constant(node.value)
        if isinstance(node, Term):
            if node not in self.values:
                self.values[node] = self._term(node)
            return self.values[node]
        if isinstance(node, Not):
            inner = truth(self.value(node.of))
            return Named(inner.axes, ~inner.values)
        if isinstance(node, Join):
            return self._joined(node)
        assert isinstance(node, Compare)
        return self._compared(node)

    def axes(self) -> dict[str, int]:
        """The axes that the terms have together, with their lengths, in the order of AXES: what a place is.

        Raises:
            QueryError: an axis has two lengths.
        """
        sizes: dict[str, int] = {}
        for term, asked in self.plan.asked.items():
            if asked.kind != "field":
                value = self.value(term)
                own = dict(zip(value.axes, value.values.shape, strict=True))
            elif asked.name in self.record.fields:
                schema, shape = self.record.schema(asked.name), self.record.shape(asked.name)
                own = {_AXIS.get(axis, axis): size for axis, size in zip(schema.axes, shape, strict=True)}
                own = {axis: size for axis, size in own.items() if axis in AXES}
                if own.get("item") == 1:
                    own["item"] = len(self.batch)
                if "time" in own:
                    own["time"] = self.stop - self.start
            else:
                self.absent.add(term.text)
                continue
            for axis, size in own.items():
                if sizes.setdefault(axis, size) != size:
                    raise QueryError(
                        self.plan.text,
                        term.at,
                        f"{term.text} has {size} {axis.replace('_', ' ')}s in record {self.record.id}, "
                        f"where something else in the query has {sizes[axis]}",
                    )
        return {axis: sizes[axis] for axis in AXES if axis in sizes}

    def _joined(self, node: Join) -> Named:
        """Cheap parts first; no field is read where the others have decided already that nothing is left."""
        asked = self.plan.asked
        parts = sorted(node.parts, key=lambda part: sum(asked[term].kind == "field" for term in terms(part)))
        result = truth(self.value(parts[0]))
        for part in parts[1:]:
            if result.values.all() if not node.every else not result.values.any():
                return result
            other = truth(self.value(part))
            axes = all_axes((result, other))
            a, b = result.over(axes), other.over(axes)
            result = Named(axes, a & b if node.every else a | b)
        return result

    def _compared(self, node: Compare) -> Named:
        result: Named | None = None
        for left, operator, right in zip(node.operands[:-1], node.operators, node.operands[1:], strict=True):
            if isinstance(right, Listing):
                one = _within(self.value(left), right, operator)
            else:
                one = compared(operator, self.value(left), self.value(right))
            if result is None:
                result = one
            else:
                axes = all_axes((result, one))
                result = Named(axes, result.over(axes) & one.over(axes))
        assert result is not None
        return result

    def _term(self, term: Term) -> Named:
        asked = self.plan.asked[term]
        if asked.kind == "place":
            return self._place(asked.name, term)
        if asked.kind == "scalar":
            return Named((), np.array(self.plan.scalars[asked.name].get(self.record.id, np.nan)))
        if asked.kind == "label":
            if self._labels is None:
                self._labels = self.record.labels
            found = label_values(self._labels, asked.name, self.batch, self.times)
            if found is None:
                self.absent.add(term.text)
                return NOTHING
            if "time" in found.axes:
                return Named(found.axes, found.values[self.start : self.stop])
            return found
        if asked.name not in self.record.fields:
            self.absent.add(term.text)
            return NOTHING
        return self._field(term, asked)

    def _place(self, name: str, term: Term) -> Named:
        if name == "record":
            return Named((), np.array(float(self.position)))
        if name == "step":
            return Named((), np.array(float(self.record.step)))
        if name == "time":
            return Named(("time",), np.arange(self.start, self.stop, dtype=np.float64))
        if name == "item":
            return Named(("item",), np.arange(len(self.batch), dtype=np.float64))
        if name == "batch":
            return Named(("item",), np.array(self.batch, dtype=np.float64))
        axis, size = self._heads(name)
        if not axis:
            raise QueryError(self.plan.text, term.at, f"no term of the query has a {name.replace('_', ' ')}")
        return Named((axis,), np.arange(size, dtype=np.float64))

    def _heads(self, name: str) -> tuple[str, int]:
        """The axis that `head` means: read heads where a term has them, else write heads, else the heads of an NTM."""
        wanted = HEADS if name == "head" else (name,)
        for axis in wanted:
            for asked in self.plan.asked.values():
                if asked.kind == "field" and asked.name in self.record.fields:
                    axes = self.record.schema(asked.name).axes
                    if axis in axes:
                        return axis, self.record.shape(asked.name)[axes.index(axis)]
        return "", 0

    def _field(self, term: Term, asked: Asked) -> Named:
        record = self.record
        axes = list(record.schema(asked.name).axes)
        if axes[:1] == ["time"]:
            values = record.read(asked.name, slice(self.start, self.stop))
        else:
            values = record.read(asked.name)
        values = values.astype(np.float64)
        # A state that is the same for all items is recorded once.
        if "batch" in axes and values.shape[axes.index("batch")] == 1 != len(self.batch):
            values = values.squeeze(axes.index("batch"))
            axes.remove("batch")
        extra = extra_axes(axes)
        if asked.index is not None:
            at = axes.index(extra[0])
            if asked.index >= values.shape[at]:
                self.absent.add(term.text)
                return NOTHING
            values = values.take(asked.index, axis=at)
            axes.remove(extra[0])
            extra = extra[1:]
        kept = [axis for axis in axes if axis not in extra]
        # Places in the order of Named, then what is summed up.
        order = {axis: rank for rank, axis in enumerate(("time", "batch", "read_head", "write_head", "head"))}
        kept.sort(key=order.__getitem__)
        values = values.transpose([axes.index(axis) for axis in (*kept, *extra)])
        named = tuple(_AXIS.get(axis, axis) for axis in kept)
        shape = values.shape[: len(kept)]
        if self.slots is None:
            self.slots = asked.name, self._slot_of(asked, values, named, extra)
        if not extra:
            return Named(named, np.asarray(values))
        if asked.statistic in READ_MODES and extra[-1] == "mode":
            return Named(named, values[..., READ_MODES.index(asked.statistic)])
        flat = values.reshape(math.prod(shape), *values.shape[len(kept) :])
        with np.errstate(all="ignore"):
            return Named(named, STATISTICS[asked.statistic](flat).reshape(shape))

    def _slot_of(
        self, asked: Asked, values: NDArray[Any], named: tuple[str, ...], extra: tuple[str, ...]
    ) -> Named | None:
        axes = self.record.schema(asked.name).axes
        if asked.index is not None:
            return Named((), np.array(asked.index)) if extra_axes(axes)[:1] == ("slot",) else None
        if extra[:1] != ("slot",):
            return None
        shape = values.shape[: len(named)]
        flat = values.reshape(math.prod(shape), *values.shape[len(named) :])
        return Named(named, STATISTICS["slot"](flat).reshape(shape))

    def places(self, mask: Named, most: int) -> list[Found]:
        """The first places where a mask holds."""
        for term in self.plan.asked:
            self.value(term)  # also what the tree could do without, since a place is told with the values there
        where = np.argwhere(mask.values)[:most].tolist()
        head_axis = next((axis for axis in HEADS if axis in mask.axes), "")
        return [self._found(dict(zip(mask.axes, one, strict=True)), head_axis) for one in where]

    def _found(self, at: Mapping[str, int], head_axis: str) -> Found:
        name, slots = self.slots or ("", None)
        slot = _at(slots, at) if slots is not None else None
        return Found(
            time=at["time"] + self.start if "time" in at else None,
            item=at.get("item"),
            head=at.get(head_axis),
            head_axis=head_axis,
            field=name,
            slot=int(slot) if isinstance(slot, float | int) else None,
            values={term.text: _at(value, at) for term, value in sorted(self.values.items(), key=lambda kv: kv[0].at)},
        )


def _at(value: Named, at: Mapping[str, int]) -> float | str | bool | None:
    """One value; None where the place does not say which."""
    if not set(value.axes) <= set(at):
        return None
    one = value.values[tuple(at[axis] for axis in value.axes)]
    if isinstance(one, np.generic):
        one = one.item()
    return one if isinstance(one, str | bool | int | float) else None


def _within(left: Named, listing: Listing, operator: str) -> Named:
    """Whether a value is one of several; what is missing is neither in the list nor not in it."""
    hits = [compared("==", left, constant(value)) for value in listing.values]
    result = np.any([hit.values for hit in hits], axis=0)
    if operator == "not in":
        others = [compared("!=", left, constant(value)) for value in listing.values]
        result = np.all([other.values for other in others], axis=0)
    return Named(hits[0].axes, np.asarray(result))
