"""How an implementation of the DNC differs from Graves et al. 2016: measured on a record, or declared by its adapter.

Every equation is tried in its published form on the recorded values. Where it fails, known variants are tried, and the
one that fits is named: heads that write in series, a link matrix fed by the precedence of the same time, read modes in
another order. What a record of the memory cannot show, such as what the controller sees, the adapter may declare in the
attributes of the memory.

    print(conformance(record).text())
    # layer0 differs from Graves et al. 2016 in: read strengths fall to 0.37 ...
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import Source, choose
from memviz.analysis.laws.checking import check, check_laws, rule_gaps
from memviz.analysis.laws.composed import composed
from memviz.analysis.laws.variants import VARIANTS
from memviz.analysis.rules import LAWS, Rule, rules_of
from memviz.fields import CATALOGUE, FINAL_PREFIX, READ_MODES
from memviz.trace.schema import MemorySchema

Array = NDArray[np.float64]

PAPER = {
    "dnc": "Graves et al. 2016",
    "ntm": "Graves et al. 2014",
    "sam": "Rae et al. 2016",
    "sdnc": "Rae et al. 2016, supplement D",
}

Evidence = Literal["measured", "declared"]

DECLARED: Mapping[str, tuple[Any, str]] = {
    "controller_sees": ("last reads", "the controller sees {value}, not what was read at the time before"),
    "strengths": ("oneplus", "lookup strengths are {value}, not oneplus, so they can be below 1"),
    "bounded_by_tanh": ((), "{value} are bounded by tanh; the paper leaves them free"),
    "heads_see": ("output", "the heads are computed from the controller's {value}, not from its output"),
    "output_sees": ("controller and reads", "the output is computed from the {value} alone, not from the reads too"),
    "shared_by_layers": (1, "{value} controller layers use one memory in turn"),
}
"""Attributes that say what a record cannot show: the value of the paper, and the departure in words."""

SAFEGUARDS = ("allocation_delta", "cosine_delta", "normalizing_delta")
"""Attributes that keep gradients finite, at up to 1e-3 without a visible effect; deepmind/dnc has them at 1e-6."""


@dataclass(frozen=True)
class Departure:
    """One difference to the paper.

    Attributes:
        subject: the field or attribute that it is about.
        words: the difference.
        evidence: "measured" on the values, or "declared" by the adapter.
        size: how large it is in the units of the subject, or None.
    """

    subject: str
    words: str
    evidence: Evidence
    size: float | None = None


@dataclass(frozen=True)
class Conformance:
    """What a record says about an implementation.

    Attributes:
        memory: name of the memory.
        paper: what it is held against.
        departures: differences to the paper.
        safeguards: small constants that keep gradients finite; not counted as differences.
        confirmed: fields and laws that hold as published.
        unchecked: fields of the paper's model that were not recorded, so that nothing is known about their equation.
    """

    memory: str
    paper: str
    departures: tuple[Departure, ...]
    safeguards: tuple[str, ...]
    confirmed: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def conforms(self) -> bool:
        """Whether no departure was found or declared."""
        return not self.departures

    def text(self) -> str:
        """The report, a few lines."""
        lines = []
        if self.departures:
            lines.append(f"{self.memory} differs from {self.paper} in:")
            lines += [f"  - {found.words} ({found.evidence})" for found in self.departures]
        else:
            lines.append(f"{self.memory} follows {self.paper} in all that this record can show.")
        lines.append(f"{len(self.confirmed)} laws hold as published.")
        if self.safeguards:
            lines.append(f"Safeguards: {'; '.join(self.safeguards)}.")
        if self.unchecked:
            lines.append(f"Not recorded, so not checked: {', '.join(self.unchecked)}. Record with fields='all'.")
        return "\n".join(lines)


def conformance(record: Source, memory: str | None = None) -> Conformance:
    """Hold one memory of a record against the paper of its law. A memory without a law is held against the DNC.

    Args:
        record: a record, best with `fields="all"`: an equation is tried on what was recorded, not on what was derived.
        memory: name of the memory; may be left out when the record has only one that is read.

    Raises:
        FieldError: there is no such memory.
    """
    name = choose(record, memory)
    schema = record.memories[name]
    law = schema.law or "dnc"
    departures: list[Departure] = []
    safeguards: list[str] = []
    confirmed: list[str] = []
    for found in check_laws(record, name):
        # The equations are tried below as published; here they were tried as the adapter declares them.
        if found.kind == "state" and not found.field.startswith(FINAL_PREFIX):
            continue
        if found.holds:
            confirmed.append(f"{found.field}: {found.law}")
        else:
            departures.append(Departure(found.field, found.text(), "measured", found.excess))
    departures += _declared(schema)
    unchecked = []
    for field, rule in _paper_rules(record, name, law).items():
        gaps = _excess(record, name, field, rule, _left_open(schema))
        if gaps is None:
            unchecked.append(field)
        elif gaps <= 1:
            confirmed.append(f"{field}: as published")
        else:
            departure = _explain(record, name, field, rule, schema)
            if departure is not None:
                departures.append(departure)
    for attribute, size in _deltas(record, name, schema):
        if abs(size) <= 1e-3:
            safeguards.append(f"{attribute} of {size:.2g}")
        else:
            departures.append(
                Departure(attribute, f"{attribute} of {size:.2g}, too large to be rounding", "measured", size)
            )
    if not schema.law:
        unchecked.append("the update law, which the adapter does not name")
    return Conformance(name, PAPER[law], tuple(departures), tuple(safeguards), tuple(confirmed), tuple(unchecked))


def _paper_rules(record: Source, memory: str, law: str) -> dict[str, Rule]:
    """The equations as published, with those of the weightings."""
    heads = int(np.asarray(record.read(f"{memory}/write_weights", slice(0, 1))).shape[2])
    rules = dict(LAWS[law]) | composed(replace(record.memories[memory], law=law), heads)
    if heads > 1:
        # The paper has one write head.
        rules.pop("allocation_weights", None)
    return rules


def _left_open(schema: MemorySchema) -> dict[str, Any]:
    """What a paper leaves to be chosen: a choice is no departure."""
    return {name: schema.attributes[name] for name in ("shifts",) if name in schema.attributes}


def _excess(record: Source, memory: str, field: str, rule: Rule, attributes: Mapping[str, Any]) -> float | None:
    """The largest distance to what the rule gives, in units of the tolerance; None where it cannot be tried."""
    gaps = rule_gaps(record, memory, field, rule, attributes)
    if gaps is None:
        return None
    distance, scale, tolerance = gaps
    # Constants of 1e-6 are found and named on their own, so they must not fail the equation in double precision.
    tolerance = max(tolerance, 1e-4)
    return check(memory, field, "state", "", distance / scale, CATALOGUE[field].axes, tolerance).excess / tolerance


def _explain(record: Source, memory: str, field: str, rule: Rule, schema: MemorySchema) -> Departure:
    """Name the variant of an equation that fits where the published one does not."""
    for words, variant, attributes in _variants(field, rule, schema):
        excess = _excess(record, memory, field, variant, attributes)
        if excess is not None and excess <= 1:
            return Departure(field, f"{field}: {words}", "measured")
    gaps = rule_gaps(record, memory, field, rule, _left_open(schema))
    assert gaps is not None  # the published form was tried before
    distance, scale, tolerance = gaps
    found = check(memory, field, "state", "its equation", distance / scale, CATALOGUE[field].axes, tolerance)
    return Departure(field, f"{found.text()}, and no known variant fits", "measured", found.excess)


def _variants(field: str, rule: Rule, schema: MemorySchema) -> Iterator[tuple[str, Rule, Mapping[str, Any]]]:
    for variant in VARIANTS.get(field, ()):
        yield variant.words, variant.rule, variant.attributes
    if field == "read_weights" and schema.law != "ntm":
        for order in itertools.permutations(range(3)):
            if order != (0, 1, 2):
                names = ", ".join(READ_MODES[order.index(place)] for place in range(3))
                yield f"the modes come in the order {names}", _permuted(rule, order), {}
    # What the adapter says of itself may be right where no single variant is.
    yield "only with what the adapter declares of it", rules_of(schema).get(field, rule), schema.attributes


def _permuted(rule: Rule, order: tuple[int, ...]) -> Rule:
    def compute(before: Mapping[str, Array], now: Mapping[str, Array], attributes: Mapping[str, Any]) -> Array:
        return rule.compute(before, {**now, "read_modes": now["read_modes"][..., list(order)]}, attributes)

    return Rule(compute, rule.now, rule.before)


def _declared(schema: MemorySchema) -> Iterator[Departure]:
    for attribute, (paper, words) in DECLARED.items():
        value = schema.attributes.get(attribute, paper)
        value = tuple(value) if isinstance(value, list) else value
        if value != paper:
            shown = ", ".join(value) if isinstance(value, tuple) else str(value)
            yield Departure(attribute, words.format(value=shown), "declared")


def _deltas(record: Source, memory: str, schema: MemorySchema) -> Iterator[tuple[str, float]]:
    """The constants that are declared, and the one of the allocation as measured where it can be."""
    measured = allocation_delta(record, memory)
    declared = {name: float(schema.attributes.get(name, 0.0)) for name in SAFEGUARDS}
    if measured is not None:
        declared["allocation_delta"] = measured
    yield from ((name, value) for name, value in declared.items() if value)


def allocation_delta(record: Source, memory: str) -> float | None:
    """The constant δ that lifts usage before allocation, from recorded values; 0 for the paper.

    Where two slots are unused, the second one to be taken gets (1 - δ) δ of the allocation, in the paper exactly 0.

    Returns:
        The median over such times; None where no time has two unused slots, or nothing was recorded.
    """
    names = [f"{memory}/{field}" for field in ("usage", "allocation_weights")]
    if any(name not in record.stored for name in names):
        return None
    usage, allocation = (np.asarray(record.read(name)).astype(np.float64) for name in names)
    if usage.shape[-1] < 2:
        return None
    unused = (np.sort(usage, axis=-1)[..., :2] == 0).all(axis=-1)
    second = np.sort(allocation[:, :, 0], axis=-1)[..., -2][unused]
    return float(np.median(second)) if second.size else None
