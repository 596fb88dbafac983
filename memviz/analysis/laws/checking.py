"""The laws that recorded values must obey, each checked on every value, with the first violation located.

*Range* and *sum* laws hold in any implementation (a weighting lies in [0, 1] and sums to at most 1, a link matrix has
no diagonal); *paper* laws hold in one that goes by the paper (strengths of 1 or more); *state* laws say that a field
follows from others by the equation that the memory's schema names (`memviz.analysis.rules`). A state law is checked one
time at a time, each from the recorded time before, so a fault shows where it happens and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import Source
from memviz.analysis.laws.composed import composed
from memviz.analysis.replay import derive
from memviz.analysis.rules import Frame, Rule, rules_of
from memviz.fields import CATALOGUE, FINAL_PREFIX, INITIAL_PREFIX, MODEL, Field, bare_name

Array = NDArray[np.float64]

Kind = Literal["range", "sum", "paper", "state"]

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "float16": 5e-3, "bfloat16": 5e-2}
"""What rounding may cost, by the coarsest dtype involved, in units of max(1, largest |value|)."""

SUMS_TO_ONE = {"dnc": ("write_content_weights", "read_content_weights", "read_modes"), "ntm": ("read_weights",)}
"""Fields that sum to exactly 1 over their simplex axis, by law; in an NTM also the write weights."""


@dataclass(frozen=True)
class Check:
    """One law, checked on one field of one memory.

    Attributes:
        memory: name of the memory.
        field: bare name.
        kind: "range", "sum", "paper" or "state".
        law: the law in symbols or words.
        excess: how far the worst value is from obeying, 0 when all obey; infinite for NaN where a number follows.
        tolerance: up to where that is rounding.
        first: where the first violation is (by time), axis name to index; empty when there is none.
    """

    memory: str
    field: str
    kind: Kind
    law: str
    excess: float
    tolerance: float
    first: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether every value obeys, give or take the tolerance."""
        return not self.first

    def text(self) -> str:
        """One line, such as "read_weights: Σ_slot <= 1 is broken by 0.52, first at time 3, batch 0, read_head 1"."""
        if self.holds:
            return f"{self.field}: {self.law} holds"
        place = ", ".join(f"{axis} {index}" for axis, index in self.first.items())
        return f"{self.field}: {self.law} is broken by {self.excess:.3g}, first at {place}"


def check_laws(record: Source, memory: str | None = None) -> list[Check]:
    """Check every law on every field that a record stores.

    NaN obeys no range, and breaks a state law where a number follows.

    Args:
        record: a record of a trace.
        memory: only this memory; all by default.

    Returns:
        One `Check` per field and law, in the order of the catalogue; those that hold are among them.
    """
    found: list[Check] = []
    for name in record.memories:
        if name != MODEL and memory in (None, name):
            found.extend(_value_laws(record, name))
            found.extend(state_laws(record, name))
    return found


def check(
    memory: str, field: str, kind: Kind, law: str, excess: Array, axes: tuple[str, ...], tolerance: float
) -> Check:
    """A `Check` from the excess of each value, which has the given axes, time first."""
    over = np.where(np.isnan(excess), np.inf, excess)
    broken = over > tolerance
    first: dict[str, int] = {}
    if broken.any():
        at = np.unravel_index(int(np.argmax(broken)), broken.shape)
        first = {axis: int(index) for axis, index in zip(axes, at, strict=True)}
    return Check(memory, field, kind, law, max(0.0, float(over.max(initial=0.0))), tolerance, first)


def _value_laws(record: Source, memory: str) -> Iterator[Check]:
    """Ranges, sums and the laws of links and strengths."""
    schema = record.memories[memory]
    for name, spec in CATALOGUE.items():
        full = f"{memory}/{name}"
        if full not in record.stored:
            continue
        raw = np.asarray(record.read(full))
        if raw.ndim != len(spec.axes):
            continue
        values, slack = raw.astype(np.float64), tolerance_of(raw)

        def make(
            kind: Kind,
            law: str,
            excess: Array,
            *without: str,
            name: str = name,
            spec: Field = spec,
            slack: float = slack,
        ) -> Check:
            axes = tuple(axis for axis in spec.axes if axis not in without)
            return check(memory, name, kind, law, excess, axes, slack)

        if spec.low is not None or spec.high is not None:
            low = -math.inf if spec.low is None else spec.low
            high = math.inf if spec.high is None else spec.high
            bounds = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f">= {low:g}"
            yield make("range", bounds, np.maximum(low - values, values - high))
        if spec.simplex is not None:
            total = values.sum(axis=spec.axes.index(spec.simplex))
            whole = name in SUMS_TO_ONE.get(schema.law, ()) or (schema.law == "ntm" and name == "write_weights")
            excess = np.abs(total - 1) if whole else total - 1
            yield make("sum", f"Σ_{spec.simplex} {'=' if whole else '<='} 1", excess, spec.simplex)
        if name == "link_matrix":
            yield make("sum", "Σ_slot_to <= 1", values.sum(axis=-2) - 1, "slot_to")
            yield make("range", "zero diagonal", np.abs(np.diagonal(values, axis1=-2, axis2=-1)), "slot_from")
        if name.endswith("_strengths") and schema.law != "ntm":
            # Graves et al. 2014 ask of a strength only that it is positive.
            yield make("paper", "β >= 1", 1 - values)


def state_laws(record: Source, memory: str) -> Iterator[Check]:
    """What follows from other fields, by the rules of the memory's law and the attributes of its schema."""
    schema = record.memories[memory]
    used = schema.attributes
    rules = rules_of(schema)
    for name, rule in rules.items():
        gaps = rule_gaps(record, memory, name, rule, used)
        if gaps is not None:
            distance, scale, slack = gaps
            yield check(
                memory, name, "state", f"follows from {_inputs(rule)}", distance / scale, CATALOGUE[name].axes, slack
            )
            continue
        final = f"{memory}/{FINAL_PREFIX}{name}"
        if final in record.stored and f"{memory}/{name}" in record.fields:
            # Not recorded at every time: the keyframe after the last time holds the whole replay against the model.
            raw = np.asarray(record.read(final))
            derived = derive(record, memory, name, slice(-1, None))[0].astype(np.float64)
            recorded = np.broadcast_to(raw.astype(np.float64), derived.shape)
            distance, scale = _distance(derived, recorded)
            axes = CATALOGUE[name].axes[1:]
            law = "the state after the last time follows from what was written"
            yield check(memory, FINAL_PREFIX + name, "state", law, distance / scale, axes, tolerance_of(raw))
    for name, rule in composed(schema, _write_heads(record, memory)).items():
        gaps = rule_gaps(record, memory, name, rule, used)
        if gaps is not None:
            distance, scale, slack = gaps
            law = f"follows from {_inputs(rule)}"
            yield check(memory, name, "state", law, distance / scale, CATALOGUE[name].axes, slack)


def rule_gaps(
    record: Source, memory: str, field: str, rule: Rule, attributes: Mapping[str, Any]
) -> tuple[Array, float, float] | None:
    """How far a stored field is from what a rule gives from the recorded values of one time and the time before.

    Returns:
        |recorded - given| with the axes of the field, the scale max(1, largest |recorded|), and the tolerance; None
        when the field is not stored or something that the rule needs cannot be had.
    """
    full = f"{memory}/{field}"
    needs = {*rule.now, *rule.before}
    if full not in record.stored or any(f"{memory}/{need}" not in record.fields for need in needs):
        return None
    raw = {name: np.asarray(record.read(f"{memory}/{name}")) for name in {field, *needs}}
    values = {name: array.astype(np.float64) for name, array in raw.items()}
    given = np.empty_like(values[field])
    if not len(given):
        return None
    before: Frame = {name: _initial(record, memory, name, values[name]) for name in rule.before}
    for time in range(len(given)):
        now = {name: values[name][time] for name in rule.now}
        given[time] = rule.compute(before, now, attributes)
        before = {name: values[name][time] for name in rule.before}
    distance, scale = _distance(given, values[field])
    if field == "allocation_weights":
        distance = np.where(_tied(values["usage"], distance.shape), 0.0, distance)
    elif "allocation_weights" in needs and f"{memory}/allocation_weights" not in record.stored:
        # Which of several slots in equal use was taken is a guess where it was not recorded.
        usage = np.asarray(record.read(f"{memory}/usage")).astype(np.float64)
        distance = np.where(_tied(usage, distance.shape), 0.0, distance)
    return distance, scale, max(tolerance_of(array) for array in raw.values())


def tolerance_of(values: NDArray[Any]) -> float:
    """What rounding may cost values of this dtype."""
    return TOLERANCE.get(str(values.dtype), TOLERANCE["float32"])


def _write_heads(record: Source, memory: str) -> int:
    """How many write heads were recorded; 0 where their weightings were not."""
    name = f"{memory}/write_weights"
    return int(np.asarray(record.read(name, slice(0, 1))).shape[2]) if name in record.stored else 0


def _inputs(rule: Rule) -> str:
    return ", ".join(dict.fromkeys(bare_name(name) for name in (*rule.now, *rule.before)))


def _initial(record: Source, memory: str, field: str, values: Array) -> Array:
    """The state before the first time; zero where it was not recorded."""
    name = f"{memory}/{INITIAL_PREFIX}{field}"
    if name not in record.stored:
        return np.zeros(values.shape[1:])
    return np.broadcast_to(np.asarray(record.read(name)).astype(np.float64), values.shape[1:])


def _distance(given: Array, recorded: Array) -> tuple[Array, float]:
    """|given - recorded|, 0 where both are the same infinity or NaN, and the scale of the recorded values."""
    same = (given == recorded) | (np.isnan(given) & np.isnan(recorded))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(given - recorded))
    finite = np.abs(recorded[np.isfinite(recorded)])
    return gaps, max(1.0, float(finite.max(initial=0.0)))


def _tied(usage: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Slots in the same use as another, up to rounding: any of them may come first. Broadcast over write heads."""
    ordered = np.sort(usage, axis=-1)
    close = np.diff(ordered, axis=-1) < 1e-6
    edge = np.zeros((*close.shape[:-1], 1), bool)
    near = np.concatenate([close, edge], -1) | np.concatenate([edge, close], -1)
    tied = np.empty(usage.shape, bool)
    np.put_along_axis(tied, np.argsort(usage, axis=-1, kind="stable"), near, axis=-1)
    return np.broadcast_to(tied[:, :, None], shape)
