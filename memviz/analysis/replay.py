"""Derive what a record did not store: run the update law of a memory over its recorded generators.

The state of a DNC follows exactly from five small fields (`memviz.fields.GENERATORS`), so a trace need not hold the
link matrix to show it. `derive` runs, time by time, only those rules of `memviz.analysis.rules` that the wanted field
depends on. What is stored is read, never recomputed.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.rules import LAWS, SPARSE_LAWS, Frame, Rule, rules_of
from memviz.analysis.sparse import DENSE_SLOTS
from memviz.errors import FieldError
from memviz.fields import CATALOGUE, FINAL_PREFIX, INITIAL_PREFIX
from memviz.trace.schema import MemorySchema

Array = NDArray[Any]

STATE = ("memory", "usage", "precedence_weights", "link_matrix", "fast_weights")
"""Fields that carry over from one time to the next, and of which a keyframe can be stored."""


class Source(Protocol):
    """What is asked of a record; `memviz.trace.reader.Record` has it."""

    @property
    def stored(self) -> Collection[str]:
        """Full names of the stored fields."""
        ...

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Schema of each memory."""
        ...

    @property
    def lengths(self) -> Mapping[str, int]:
        """Number of times of each memory."""
        ...

    def read(self, name: str, time: slice | None = None) -> Array:
        """Values of a stored field, for a part of its time axis."""
        ...


def derivable(memory: MemorySchema, stored: Collection[str]) -> frozenset[str]:
    """Which fields follow from those stored.

    Args:
        memory: schema of the memory; its law and attributes count, its fields do not.
        stored: bare names of the fields stored for this memory in a record.

    Returns:
        Bare names, none of them in `stored`; empty when the law is unknown.
    """
    rules, known = rules_of(memory), set(stored)
    while True:
        reached = {
            name
            for name, rule in rules.items()
            if name not in known and all(need in known or need == name for need in rule.now + rule.before)
        }
        # Precedence is reached before the link matrix that needs it, so a fixed point takes a few rounds.
        if not reached:
            return frozenset(known - set(stored))
        known |= reached


def derive(record: Source, memory: str, field: str, time: slice | None = None) -> NDArray[np.float32]:
    """Compute a field from the generators that the record stores, by the update law of its memory.

    Uses the precision of the recorded values (float32 at least), as the model did, and holds no more than the
    generators, two times of state and the result. A stored `field` is computed all the same, which is how
    `replay_error` checks it.

    Args:
        record: the record; `initial/<field>` is the state before the first time, zero where it is not stored.
        memory: name of the memory.
        field: bare name, such as "link_matrix".
        time: the part of the time axis wanted, with a positive step; all of it by default. Nothing after its end is
            computed.

    Returns:
        Values with the axes of `memviz.fields.CATALOGUE[field]`.

    Raises:
        FieldError: the law of the memory does not give the field, what it follows from is not stored, or `time` is
            empty.
    """
    length = record.lengths[memory]
    times = range(length)[time if time is not None else slice(None)]
    if times.step < 0:
        raise ValueError(f"time must be a slice with a positive step, got {time}")
    if not times:
        full = f"{memory}/{field}" if memory else field
        raise FieldError(f"{full} cannot be derived for {time}: the record holds {length} times.")
    result = np.empty(0, np.float32)
    for at, value in _followed(record, memory, field, times.start, times[-1] + 1):
        if at == times.start:
            result = np.empty((len(times), *value.shape), np.float32)
        if at in times:
            result[times.index(at)] = value
    return result


def derive_parts(
    record: Source, memory: str, field: str, parts: Sequence[tuple[int, int]]
) -> Iterator[NDArray[np.float32]]:
    """What `derive` gives for several stretches of times, following the past only once.

    Args:
        record: as for `derive`.
        memory: as for `derive`.
        field: as for `derive`.
        parts: times `[start, stop)`, none empty, each beginning where the one before ends or later.

    Yields:
        One array per part, [time, ...].

    Raises:
        FieldError: as for `derive`.
    """
    if not parts:
        return
    at_next = parts[0][0]
    frames = _followed(record, memory, field, at_next, parts[-1][1])
    for start, stop in parts:
        values = (value for at, value in itertools.islice(frames, stop - at_next) if at >= start)
        at_next = stop
        yield np.stack([value.astype(np.float32, copy=False) for value in values])


def _followed(record: Source, memory: str, field: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
    """The times from `start` to before `stop`, each with the value of a derived field."""
    schema = record.memories[memory]
    prefix = f"{memory}/" if memory else ""
    stored = {name.removeprefix(prefix) for name in record.stored if name.startswith(prefix)} - {field}
    if field not in derivable(schema, stored):
        raise FieldError(_why_not(schema, stored, field))
    rules = _dependencies(rules_of(schema), stored, field)
    recurrent = any(name in rule.before for name, rule in rules.items())
    # What has no state of its own needs only the time before, not the whole past.
    window = range(0 if recurrent else max(start - 1, 0), stop)
    for at, frame in zip(window, _replay(record, prefix, rules, stored, schema.attributes, window), strict=True):
        if at >= start:
            yield at, frame[field]


def replay_error(record: Source, memory: str) -> float | None:
    """How far the recorded memory departs from its law: the largest |derived - recorded| over what allows a check.

    Checked are the keyframes `final/<field>` of the state fields, and state fields that are stored for every time.

    Returns:
        0 or more; infinite where one of the two is finite and the other is not; None when nothing is stored that could
        be checked.
    """
    schema, prefix = record.memories[memory], f"{memory}/" if memory else ""
    stored = {name.removeprefix(prefix) for name in record.stored if name.startswith(prefix)}
    errors = []
    for field in STATE:
        if field not in derivable(schema, stored - {field}):
            continue
        if field in stored:
            errors.append(_distance(derive(record, memory, field), record.read(prefix + field)))
        elif FINAL_PREFIX + field in stored:
            last = derive(record, memory, field, slice(-1, None))[0]
            errors.append(_distance(last, record.read(prefix + FINAL_PREFIX + field)))
    return max(errors, default=None)


def _dependencies(rules: Mapping[str, Rule], stored: Collection[str], field: str) -> dict[str, Rule]:
    """The rules that `field` rests on, itself included, in the order of the law."""
    wanted, open_names = {field}, [field]
    while open_names:
        rule = rules[open_names.pop()]
        for need in rule.now + rule.before:
            if need in rules and need not in stored and need not in wanted:
                wanted.add(need)
                open_names.append(need)
    return {name: rule for name, rule in rules.items() if name in wanted}


def _replay(
    record: Source,
    prefix: str,
    rules: Mapping[str, Rule],
    stored: Collection[str],
    attributes: Mapping[str, Any],
    times: range,
) -> Iterator[Frame]:
    """Yield, for each of `times`, the values of all fields that the rules need and give."""
    needs = {need for rule in rules.values() for need in rule.now + rule.before}
    window = slice(times.start, times.stop)
    inputs = {name: _floating(record.read(prefix + name, time=window)) for name in sorted(needs - set(rules))}
    precision = np.result_type(np.float32, *(values.dtype for values in inputs.values()))
    inputs = {name: values.astype(precision, copy=False) for name, values in inputs.items()}
    sizes = _axis_lengths(inputs, attributes)

    before: dict[str, Array] = {}
    for name in {need for rule in rules.values() for need in rule.before}:
        shape = tuple(sizes[axis] for axis in CATALOGUE[name].axes[1:])
        initial = INITIAL_PREFIX + name
        values = _floating(record.read(prefix + initial)) if initial in stored else np.zeros((), precision)
        before[name] = np.broadcast_to(values.astype(precision, copy=False), shape)
    for offset in range(len(times)):
        now = {name: values[offset] for name, values in inputs.items()}
        for name, rule in rules.items():
            now[name] = rule.compute(before, now, attributes)
        yield now
        before = now


def _floating(values: Array) -> Array:
    """The values in float32 at least: half precision is widened, integers are converted."""
    values = np.asarray(values)
    # bfloat16 is a dtype of its own, of which numpy knows no common type with others.
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def _axis_lengths(inputs: Mapping[str, Array], attributes: Mapping[str, Any]) -> dict[str, int]:
    sizes = {
        axis: length
        for name, values in inputs.items()
        for axis, length in zip(CATALOGUE[name].axes, values.shape, strict=True)
    }
    if "slots" in attributes:
        # A sparse memory records few of them.
        sizes["slot"] = int(attributes["slots"])
    if "slot" in sizes:
        sizes["slot_to"] = sizes["slot_from"] = sizes["slot"]
    return sizes


def _distance(derived: Array, recorded: Array) -> float:
    """Largest absolute difference; equal infinities and NaN at the same place count as no difference."""
    recorded = np.broadcast_to(_floating(recorded), derived.shape)
    same = (derived == recorded) | (np.isnan(derived) & np.isnan(recorded))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(np.subtract(derived, recorded, dtype=np.float64)))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0.0))


def _why_not(schema: MemorySchema, stored: Collection[str], field: str) -> str:
    """The sentence for a field that cannot be derived."""
    rules = rules_of(schema)
    if not rules and schema.law in SPARSE_LAWS:
        return (
            f"{field} of memory {schema.name!r} is derived for up to {DENSE_SLOTS} slots, and this memory has "
            f"{schema.attributes.get('slots', 'an unknown number')}; its {field.removesuffix('_weights')}_indices and "
            "_values say the same where they are recorded."
        )
    if not rules:
        law = (
            f"its update law {schema.law!r} is none of {', '.join(LAWS)}" if schema.law else "its update law is unknown"
        )
        return f"{field} of memory {schema.name!r} was not recorded, and cannot be derived because {law}."
    if field not in rules:
        return f"{field} of memory {schema.name!r} was not recorded, and does not follow from other fields."
    roots = {
        need
        for rule in _dependencies(rules, stored, field).values()
        for need in rule.now + rule.before
        if need not in rules and need not in stored
    }
    return (
        f"{field} of memory {schema.name!r} was not recorded, and cannot be derived without "
        f"{', '.join(sorted(roots))}; record with these fields, or with fields='all'."
    )
