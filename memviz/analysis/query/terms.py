"""What the names of a query mean in a trace: fields with their statistics, labels, scalars, and places."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.diagnostics.stats import effective
from memviz.analysis.query.language import Node, Term, parse, terms
from memviz.errors import FieldError, QueryError
from memviz.fields import MODEL, READ_MODES, memory_of
from memviz.trace.schema import Json, MemorySchema

if TYPE_CHECKING:
    from memviz.trace.reader import Record
    from memviz.trace.scalars import Series

PLACES = ("record", "step", "time", "item", "batch", "head", "read_head", "write_head")
"""Names that say where: position of the record in the trace, training step, time, position among the recorded items and
in the training batch, and head."""

PROBED = 64
"""Records looked at to learn which fields and labels there are, evenly spaced with the first and the last."""

_DISTRIBUTIONS = ("effective_slots", "n_eff", "entropy")


def _effective(values: NDArray[Any]) -> NDArray[Any]:
    """Exp H over the last axis, the mean over other axes; a weighting that sums to 0 has none."""
    found = effective(values)
    extra = tuple(range(1, found.ndim))
    return np.asarray(np.nanmean(found, axis=extra) if extra else found)


def _argmax(values: NDArray[Any]) -> NDArray[Any]:
    """Position along the first axis of the largest value, or of the largest norm where there are more axes."""
    if values.ndim > 2:
        values = np.linalg.norm(values.reshape(*values.shape[:2], -1), axis=-1)
    return np.asarray(np.where(np.isnan(values), -np.inf, values).argmax(axis=-1).astype(np.float64))


def _flat(measure: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda values: np.asarray(measure(values.reshape(len(values), -1)))


STATISTICS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = MappingProxyType(
    {
        "effective_slots": _effective,
        "n_eff": _effective,
        "entropy": lambda values: np.log(_effective(values)),
        "peak": _flat(lambda x: np.abs(x).max(axis=1)),
        "mass": _flat(lambda x: x.sum(axis=1)),
        "sum": _flat(lambda x: x.sum(axis=1)),
        "mean": _flat(lambda x: x.mean(axis=1)),
        "max": _flat(lambda x: x.max(axis=1)),
        "min": _flat(lambda x: x.min(axis=1)),
        "norm": _flat(lambda x: np.linalg.norm(x, axis=1)),
        "nonfinite": _flat(lambda x: (~np.isfinite(x)).sum(axis=1).astype(np.float64)),
        "slot": _argmax,
        "argmax": _argmax,
    }
)
"""By name: values [place, axis, ...] to one number per place. What each means is in docs/analysis.md."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one term asks for.

    Attributes:
        kind: where it is found.
        name: full name of a field, name of a scalar, path of a label, or one of PLACES.
        statistic: of STATISTICS or a read mode; "" where the field has one number per place.
        index: position along the first axis beyond those of places.
    """

    kind: Literal["place", "field", "scalar", "label"]
    name: str
    statistic: str = ""
    index: int | None = None


@dataclass(frozen=True)
class Plan:
    """A query, understood against a trace.

    Attributes:
        text: as it was written.
        tree: as it was read.
        asked: what its terms mean.
        memory: the memory that times and heads are of.
        scalars: of every scalar asked for its value by the id of the record: the last one logged up to its step.
    """

    text: str
    tree: Node
    asked: Mapping[Term, Asked]
    memory: str
    scalars: Mapping[str, Mapping[int, float]]


class Asking(Protocol):
    """What is asked of a run; `memviz.Trace` has it."""

    def __len__(self) -> int:
        """Number of records."""
        ...

    def __getitem__(self, position: int, /) -> Record:
        """The record at a position."""
        ...

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Schema of each memory."""
        ...

    @property
    def scalars(self) -> Mapping[str, Series]:
        """What was logged."""
        ...

    @property
    def steps(self) -> NDArray[np.int64]:
        """[record], training steps."""
        ...

    @property
    def ids(self) -> NDArray[np.int64]:
        """[record], ids."""
        ...


def understand(trace: Asking, text: str) -> Plan:
    """Read a query and find what its names mean.

    Args:
        trace: a trace from `memviz.open`.
        text: the query.

    Raises:
        QueryError: it cannot be read, or a name is none of this trace.
    """
    tree = parse(text)
    if not len(trace):
        raise QueryError(text, 0, "the run has no records yet, so there is nothing to ask")
    names = _Names(trace, text)
    asked = {term: names.meaning(term) for term in terms(tree)}
    fields = [one.name for one in asked.values() if one.kind == "field"]
    memories = [memory_of(name) for name in fields] or list(trace.memories)
    memory = next((name for name in memories if name != MODEL), MODEL)
    scalars = {one.name: _at_records(trace, one.name) for one in asked.values() if one.kind == "scalar"}
    return Plan(text, tree, asked, memory, scalars)


def _at_records(trace: Asking, name: str) -> dict[int, float]:
    series = trace.scalars[name]
    order = np.argsort(series.steps, kind="stable")
    steps, values = series.steps[order], series.values[order]
    last = np.searchsorted(steps, trace.steps, side="right") - 1
    found = np.where(last >= 0, values[np.maximum(last, 0)], np.nan) if len(values) else np.full(len(last), np.nan)
    return dict(zip(trace.ids.tolist(), found.tolist(), strict=True))


class _Names:
    """Everything that a term may mean in one trace."""

    def __init__(self, trace: Asking, text: str) -> None:
        self._text = text
        self._scalars = set(trace.scalars)
        count = len(trace)
        probed = np.unique(np.linspace(0, count - 1, min(count, PROBED)).round().astype(int)).tolist()
        self._records: Sequence[Record] = [trace[position] for position in reversed(probed)]
        self._labels = {path for record in self._records for path in label_paths(record.labels)}

    def meaning(self, term: Term) -> Asked:
        name, statistic = term.name, term.statistic
        if not term.quoted and not statistic and term.index is None:
            if name in PLACES:
                return Asked("place", name)
            head, dot, last = name.rpartition(".")
            if dot and "/" not in last and self._field(term, head) is not None:
                name, statistic = head, last
        full = self._field(term, name)
        if full is not None:
            return self._of_field(term, full, statistic)
        if term.index is None and not term.statistic:
            if name in self._scalars:
                return Asked("scalar", name)
            if name in self._labels:
                return Asked("label", name)
        known = [*self._fields(), *self._scalars, *self._labels, *PLACES]
        # Somebody who means a statistic misspells the field; compare both with and without it.
        near = [match for form in (name, name.rpartition(".")[0]) if form for match in _near(form, known)]
        hint = f"; nearest: {', '.join(dict.fromkeys(near))}" if near else f"; there are {_some(known)}"
        raise QueryError(
            self._text, term.at, f"the run has no field, label or scalar {name!r}, nor is it a place{hint}"
        )

    def _fields(self) -> list[str]:
        full = dict.fromkeys(name for record in self._records for name in record.fields)
        bare = dict.fromkeys(name.split("/", 1)[-1] for name in full)
        return [*bare, *full]

    def _field(self, term: Term, name: str) -> str | None:
        for record in self._records:
            try:
                return record.full_name(name)
            except FieldError as error:
                if str(error).startswith("several"):
                    raise QueryError(self._text, term.at, str(error)) from error
        return None

    def _of_field(self, term: Term, full: str, statistic: str) -> Asked:
        record = next(record for record in self._records if full in record.fields)
        spec = record.schema(full)
        extra = extra_axes(spec.axes)
        modes = READ_MODES if spec.axes[-1:] == ("mode",) else ()
        known = (*STATISTICS, *modes)
        what = term.text
        if term.index is not None and not extra:
            raise QueryError(self._text, term.at, f"{full} has one number per time and head, nothing to index")
        if term.index is not None:
            length = record.shape(full)[spec.axes.index(extra[0])]
            if term.index >= length:
                raise QueryError(self._text, term.at, f"{full} has {extra[0]} 0 to {length - 1}, not {term.index}")
        left = extra[1:] if term.index is not None else extra
        if left and not statistic:
            one = f", or one {extra[0].replace('_', ' ')}, {what}[0]" if term.index is None else ""
            raise QueryError(
                self._text,
                term.at,
                f"{what} is many numbers at each time, over {' and '.join(left)}; say which statistic, such as "
                f"{what}.{'mean' if not modes else modes[1]} (one of {', '.join(known)}){one}",
            )
        if statistic and not left:
            raise QueryError(
                self._text, term.at, f"{full} has one number per time and head, so there is no statistic {statistic!r}"
            )
        if statistic and statistic not in known:
            near = _near(statistic, known)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise QueryError(
                self._text, term.at, f"{statistic!r} is no statistic of {full}, which has {', '.join(known)}{hint}"
            )
        if statistic in _DISTRIBUTIONS and spec.kind == "signed":
            raise QueryError(
                self._text, term.at, f"{full} is signed, so it is no weighting with {statistic}; take norm or mean"
            )
        return Asked("field", full, statistic, term.index)


def extra_axes(axes: Sequence[str]) -> tuple[str, ...]:
    """The axes of a field beyond those of a place, in their order."""
    return tuple(axis for axis in axes if axis not in ("time", "batch", "read_head", "write_head", "head"))


def label_paths(labels: Mapping[str, Json]) -> list[str]:
    """Names of labels; what lies in an object is named with a dot, `story.answer`."""
    found: list[str] = []
    for name, value in labels.items():
        if isinstance(value, dict):
            found += [f"{name}.{inner}" for inner in label_paths(value)]
        else:
            found.append(name)
            if name == "phases":
                found.append("phase")
    return found


def _near(name: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.6)


def _some(names: Sequence[str], most: int = 12) -> str:
    listed = list(dict.fromkeys(names))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
