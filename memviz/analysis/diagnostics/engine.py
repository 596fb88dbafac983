"""Run the checks over records as they come, in memory that does not grow with the run.

`Examiner` is the streaming form: feed it records, ask it for a report at any time. `examine` runs it over a trace,
`diagnose` gives the findings alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView, Source
from memviz.analysis.diagnostics.finding import Finding, Place, Report, Spread, Unchecked, by_weight
from memviz.analysis.diagnostics.registry import diagnostics
from memviz.analysis.each import Each, in_turn
from memviz.fields import MODEL

if TYPE_CHECKING:
    from memviz.trace.reader import Record, Trace

WINDOW = 5
"""How many of the last records decide: a finding about the state of training must hold in more than half of them."""

SAMPLE = 200
"""Records of a trace looked at unless all are asked for, beside the last WINDOW ones."""

_NO_TARGET = "No target was recorded, so times at which nothing is asked count too: label one to be sure."

Key = tuple[str, str, str]
"""Diagnostic, memory, subject."""


@dataclass(slots=True)
class _Track:
    """What is known of one check on one memory: the last few outcomes, and since when it has been firing."""

    recent: deque[Finding | None] = field(default_factory=lambda: deque(maxlen=WINDOW))
    first: Finding | None = None
    since: int | None = None

    def add(self, finding: Finding | None) -> None:
        if finding is not None:
            self.first = self.first or finding
            self.since = finding.step if self.since is None else self.since
        self.recent.append(finding)
        if not self.firing:
            hits = [hit for hit in self.recent if hit is not None]
            self.since = hits[0].step if hits else None

    @property
    def firing(self) -> bool:
        return 2 * sum(hit is not None for hit in self.recent) > len(self.recent)

    def outcome(self, lasting: bool) -> Finding | None:
        if lasting:
            return self.first
        if not self.firing:
            return None
        last = next(hit for hit in reversed(self.recent) if hit is not None)
        return replace(last, since=last.step if self.since is None else self.since)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the checks say of one record on its own; small, whatever the size of the record.

    Attributes:
        seen: by check, memory and subject the finding, or None where there is none.
        made: names of the checks that could be made.
        unchecked: by check and memory why one could not.
    """

    seen: Mapping[Key, Finding | None]
    made: frozenset[str]
    unchecked: Mapping[tuple[str, str], Unchecked]


def outcome_of(record: Source, run: str, checks: Sequence[Diagnostic], most: int | None = None) -> Outcome:
    """Make checks on a record.

    Args:
        record: the record.
        run: name of the run, for links.
        checks: what to check.
        most: numbers of one memory that are looked at; its largest fields are passed over beyond that.
    """
    seen: dict[Key, Finding | None] = {}
    made: set[str] = set()
    unchecked: dict[tuple[str, str], Unchecked] = {}
    for memory in record.memories:
        view = MemoryView(record, memory, most)
        for check in checks:
            # What a model takes in and gives out is no memory; only checks of numbers as such look at it.
            if (memory == MODEL and check.needs) or not check.concerns(view):
                continue
            reason = check.missing(view)
            if reason is not None:
                unchecked[check.name, memory] = Unchecked(check.name, memory, reason)
                continue
            try:
                with np.errstate(all="ignore"):
                    for measure in check.measure(view):
                        seen[check.name, memory, measure.subject] = _judge(check, view, measure, run)
                        made.add(check.name)
            except Exception as error:  # a check may come from a plugin and fail in any way; the others go on
                unchecked[check.name, memory] = Unchecked(
                    check.name, memory, f"the check failed on step {record.step}: {error!r}", failed=True
                )
    return Outcome(seen, frozenset(made), unchecked)


def _judge(check: Diagnostic, view: MemoryView, measure: Measure, run: str) -> Finding | None:
    values = np.asarray(measure.values, np.float64)
    if check.needs and len(view.spoiled) == len(values):
        values = np.where(view.spoiled, np.nan, values)
    real = values[~np.isnan(values)]
    if not real.size:
        return None
    item = int(np.nanargmax(values))
    level = check.level(float(values[item]))
    if level is None:
        return None
    severity, threshold = level
    sentence = measure.say(item)
    if check.asks and not view.knows_asked and severity != "note":
        severity, sentence = "note", f"{sentence} {_NO_TARGET}"
    record = view.record
    return Finding(
        diagnostic=check.name,
        severity=severity,
        sentence=sentence,
        value=float(values[item]),
        threshold=threshold,
        spread=Spread(
            float(real.min()),
            float(np.median(real)),
            float(real.max()),
            int(real.size),
            int((real >= threshold).sum()),
        ),
        run=run,
        record=record.id,
        step=record.step,
        since=record.step,
        memory=view.memory,
        item=item,
        batch=record.batch[item] if item < len(record.batch) else item,
        place=measure.places[item] if item < len(measure.places) else Place(),
        source=check.source,
        suggestion=check.suggestion,
        subject=measure.subject,
        order=check.order,
    )


class Examiner:
    """Checks records one after the other.

    Args:
        run: name of the run, for links.
        checks: what to check; every installed diagnostic by default.
        most: numbers of one memory of a record that are looked at; its largest fields are passed over beyond that.
    """

    def __init__(self, run: str = "", checks: Sequence[Diagnostic] | None = None, *, most: int | None = None) -> None:
        self.run = run
        self.most = most
        self.checks = tuple(diagnostics().values() if checks is None else checks)
        self.examined = 0
        self._tracks: dict[Key, _Track] = {}
        self._made: set[str] = set()
        self._unchecked: dict[tuple[str, str], Unchecked] = {}

    def feed(self, record: Source) -> None:
        """Take one record in, later ones last."""
        self.take(outcome_of(record, self.run, self.checks, self.most))

    def take(self, outcome: Outcome) -> None:
        """Take in what was found of a record elsewhere, by `outcome_of` with the same run and checks."""
        self.examined += 1
        self._made |= outcome.made
        self._unchecked.update(outcome.unchecked)
        for key, finding in outcome.seen.items():
            self._tracks.setdefault(key, _Track()).add(finding)

    def report(self, records: int | None = None) -> Report:
        """What is known so far.

        Args:
            records: how many records there are, if not all of them were fed.
        """
        lasting = {check.name: check.lasting for check in self.checks}
        found = [track.outcome(lasting[name]) for (name, _, _), track in self._tracks.items()]
        return Report(
            run=self.run,
            findings=sorted((finding for finding in found if finding is not None), key=by_weight),
            unchecked=[self._unchecked[key] for key in sorted(self._unchecked)],
            checks=[check.name for check in self.checks if check.name in self._made],
            records=self.examined if records is None else records,
            examined=self.examined,
        )


def examine(
    trace: Trace,
    *,
    sample: int | None = SAMPLE,
    checks: Sequence[Diagnostic] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    each: Each = in_turn,
    most: int | None = None,
) -> Report:
    """Check a trace.

    Args:
        trace: what `memviz.open` gives.
        sample: how many records to look at, evenly spaced, beside the last few; None for all. Where a lasting violation
            is found, the records before it are searched for the first one that has it.
        checks: what to check; every installed diagnostic by default.
        progress: called with the number of records looked at and to look at.
        each: how many records are checked; in turn by default. What follows from several records is made of their
            outcomes here, in their order, so it does not depend on who checked them.
        most: numbers of one memory of a record that are looked at, for where memory is short; its largest fields are
            passed over beyond that, and the checks that need them are among those not made.

    Returns:
        The report.
    """
    count = len(trace)
    chosen = _chosen(count, sample)
    examiner = Examiner(trace.name, checks, most=most)
    look = partial(outcome_of, run=trace.name, checks=examiner.checks, most=most)
    for done, outcome in enumerate(each(trace, chosen, look)):
        examiner.take(outcome)
        progress(done + 1, len(chosen))
    report = examiner.report(count)
    if len(chosen) < count:
        report = replace(report, findings=_first_ones(trace, report.findings, chosen, examiner, each))
    return report


def diagnose(subject: Trace | Record) -> list[Finding]:
    """Findings about a run, or about one record on its own; worst first.

    What breaks a law is reported where it first happened; everything else as the last records have it, since an
    untrained memory may be diffuse without being at fault. Which checks could not be made, and why, is in
    `memviz.analysis.diagnostics.examine(trace).unchecked`.

    Args:
        subject: a trace from `memviz.open`, or one of its records.
    """
    from memviz.trace.reader import Trace

    if isinstance(subject, Trace):
        return list(examine(subject).findings)
    examiner = Examiner()
    examiner.feed(subject)
    return list(examiner.report().findings)


def _chosen(count: int, sample: int | None) -> list[int]:
    """Positions to look at: evenly spaced ones with the first, and all of the last few."""
    if sample is None or count <= sample + WINDOW:
        return list(range(count))
    spaced = np.linspace(0, count - 1, sample).round().astype(int).tolist()
    return sorted({*spaced, *range(count - WINDOW, count)})


def _first_ones(
    trace: Trace, findings: Iterable[Finding], chosen: Sequence[int], examiner: Examiner, each: Each
) -> list[Finding]:
    """Replace each lasting finding by the first one between the records looked at, by looking at those between."""
    by_name = {check.name: check for check in examiner.checks}
    ids = trace.ids
    exact: list[Finding] = []
    for finding in findings:
        check = by_name[finding.diagnostic]
        at = int(np.searchsorted(ids, finding.record))
        before = max((position for position in chosen if position < at), default=at)
        if check.lasting:
            key = (finding.diagnostic, finding.memory, finding.subject)
            look = partial(outcome_of, run=trace.name, checks=[check], most=examiner.most)
            hits = (outcome.seen.get(key) for outcome in each(trace, range(before + 1, at), look))
            finding = next((hit for hit in hits if hit is not None), finding)
        exact.append(finding)
    return sorted(exact, key=by_weight)
