"""What a diagnosis says: findings with their evidence, what could not be checked, and the report that holds both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlencode

from memviz.trace.schema import Json

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From worst to mildest. An error: the memory cannot do its work, or breaks its own law. A warning: it works worse than
it could. A note: worth knowing, and common in healthy runs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in one item of a record something is: all None when it concerns the whole of it.

    `head` counts read or write heads, as `field` has them.
    """

    field: str = ""
    time: int | None = None
    slot: int | None = None
    head: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of one check are distributed over the items of a record.

    `items` is how many items have a value, `beyond` how many of them reach the threshold of the finding.
    """

    low: float
    median: float
    high: float
    items: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing, with the evidence for it.

    Attributes:
        diagnostic: name of the check, a heading in docs/diagnostics.md.
        severity: "error", "warning" or "note".
        sentence: what is the matter, for a person.
        value: the number that was compared, of the worst item; the higher, the worse.
        threshold: what it was compared with; the finding exists because `value >= threshold`.
        spread: the same number over the items of the record.
        run: name of the run; empty for a record on its own.
        record: id of the record that shows it.
        step: training step of that record.
        since: step from which on it has been so, as far as records were looked at.
        memory: name of the memory.
        item: position of the worst item in the record.
        batch: position of the worst item in the training batch.
        place: field, time, slot and head to look at.
        source: where the check comes from.
        suggestion: what to try next.
        subject: what the check was about where one check looks at several things, such as a field.
        order: rank among findings of one severity: causes come before what follows from them.
    """

    diagnostic: str
    severity: Severity
    sentence: str
    value: float
    threshold: float
    spread: Spread
    run: str
    record: int
    step: int
    since: int
    memory: str
    item: int
    batch: int
    place: Place
    source: str
    suggestion: str
    subject: str = ""
    order: int = 50

    @property
    def link(self) -> str:
        """Deep link to the evidence on the Scope page (docs/architecture.md, "The browser side")."""
        place = self.place
        query = {
            "step": self.step,
            "item": self.item,
            "memory": self.memory,
            "time": place.time,
            "slot": place.slot,
            "head": place.head,
        }
        return f"#/run/{quote(self.run, safe='')}?" + urlencode({k: v for k, v in query.items() if v is not None})

    def to_json(self) -> dict[str, Json]:
        """A JSON object, flat but for `spread`; a number that is not finite becomes a string."""
        place, spread = self.place, self.spread
        return {
            "diagnostic": self.diagnostic,
            "severity": self.severity,
            "sentence": self.sentence,
            "value": _number(self.value),
            "threshold": self.threshold,
            "spread": {
                "low": _number(spread.low),
                "median": _number(spread.median),
                "high": _number(spread.high),
                "items": spread.items,
                "beyond": spread.beyond,
            },
            "run": self.run,
            "record": self.record,
            "step": self.step,
            "since": self.since,
            "memory": self.memory,
            "item": self.item,
            "batch": self.batch,
            "field": place.field,
            "time": place.time,
            "slot": place.slot,
            "head": place.head,
            "subject": self.subject,
            "source": self.source,
            "suggestion": self.suggestion,
            "link": self.link,
        }


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A check that could not be made on a memory, and why: fields that were not recorded, or a failure of its own."""

    diagnostic: str
    memory: str
    reason: str
    failed: bool = False

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "diagnostic": self.diagnostic,
            "memory": self.memory,
            "reason": self.reason,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a diagnosis.

    Attributes:
        run: name of the run.
        findings: worst first, causes before what follows from them.
        unchecked: checks that could not be made, by memory.
        checks: names of the checks that were made on at least one memory.
        records: how many records there were.
        examined: how many of them were looked at.
    """

    run: str
    findings: Sequence[Finding]
    unchecked: Sequence[Unchecked]
    checks: Sequence[str]
    records: int
    examined: int
    attributes: Mapping[str, Json] = field(default_factory=dict)

    def at_least(self, severity: Severity) -> list[Finding]:
        """Findings of this severity or worse."""
        worse = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return [finding for finding in self.findings if finding.severity in worse]

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "run": self.run,
            "records": self.records,
            "examined": self.examined,
            "findings": [finding.to_json() for finding in self.findings],
            "checks": list(self.checks),
            "unchecked": [entry.to_json() for entry in self.unchecked],
            **dict(self.attributes),
        }


def by_weight(finding: Finding) -> tuple[int, int, float, str]:
    """Sort key: severity, then causes before consequences, then how far beyond the threshold."""
    beyond = finding.value / finding.threshold if finding.threshold else float("inf")
    return SEVERITIES.index(finding.severity), finding.order, -beyond, finding.subject


def _number(value: float) -> float | str:
    return value if value == value and abs(value) != float("inf") else str(value)
