"""Run the checks over records as they come, in memory that does not grow with the run.

`Examiner` is the streaming form: feed it records, ask it for a report at any time. `examine` runs it over a trace,
`diagnose` gives the findings alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView, Source
from memviz.analysis.diagnostics.finding import Finding, Place, Report, Spread, Unchecked, by_weight
from memviz.analysis.diagnostics.registry import diagnostics
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


class Examiner:
    """Checks records one after the other.

    Args:
        run: name of the run, for links.
        checks: what to check; every installed diagnostic by default.
    """

    def __init__(self, run: str = "", checks: Sequence[Diagnostic] | None = None) -> None:
        self.run = run
        self.checks = tuple(diagnostics().values() if checks is None else checks)
        self.examined = 0
        self._tracks: dict[Key, _Track] = {}
        self._made: set[str] = set()
        self._unchecked: dict[tuple[str, str], Unchecked] = {}

    def feed(self, record: Source) -> None:
        """Take one record in, later ones last."""
        self.examined += 1
        for memory in record.memories:
            view = MemoryView(record, memory)
            for check in self.checks:
                self._check(check, view)

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

    def _check(self, check: Diagnostic, view: MemoryView) -> None:
        # What a model takes in and gives out is no memory; only checks of numbers as such look at it.
        if (view.memory == MODEL and check.needs) or not check.concerns(view):
            return
        reason = check.missing(view)
        if reason is not None:
            self._unchecked[check.name, view.memory] = Unchecked(check.name, view.memory, reason)
            return
        measures: list[tuple[Measure, Finding | None]] = []
        try:
            with np.errstate(all="ignore"):
                for measure in check.measure(view):
                    measures.append((measure, self._judge(check, view, measure)))  # noqa: PERF401  (keep what came before an error)
        except Exception as error:  # a check may come from a plugin and fail in any way; the others go on
            self._unchecked[check.name, view.memory] = Unchecked(
                check.name, view.memory, f"the check failed on step {view.record.step}: {error!r}", failed=True
            )
        if measures:
            self._made.add(check.name)
        seen = {measure.subject: finding for measure, finding in measures}
        for subject, finding in seen.items():
            self._tracks.setdefault((check.name, view.memory, subject), _Track()).add(finding)

    def _judge(self, check: Diagnostic, view: MemoryView, measure: Measure) -> Finding | None:
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
            run=self.run,
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


def examine(
    trace: Trace,
    *,
    sample: int | None = SAMPLE,
    checks: Sequence[Diagnostic] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Check a trace.

    Args:
        trace: what `memviz.open` gives.
        sample: how many records to look at, evenly spaced, beside the last few; None for all. Where a lasting violation
            is found, the records before it are searched for the first one that has it.
        checks: what to check; every installed diagnostic by default.
        progress: called with the number of records looked at and to look at.

    Returns:
        The report.
    """
    count = len(trace)
    chosen = _chosen(count, sample)
    examiner = Examiner(trace.name, checks)
    for done, position in enumerate(chosen):
        examiner.feed(trace[position])
        progress(done + 1, len(chosen))
    report = examiner.report(count)
    if len(chosen) < count:
        report = replace(report, findings=_first_ones(trace, report.findings, chosen, examiner.checks))
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
    trace: Trace, findings: Iterable[Finding], chosen: Sequence[int], checks: Sequence[Diagnostic]
) -> list[Finding]:
    """Replace each lasting finding by the first one between the records looked at, by looking at those between."""
    by_name = {check.name: check for check in checks}
    ids = trace.ids
    exact: list[Finding] = []
    for finding in findings:
        check = by_name[finding.diagnostic]
        at = int(np.searchsorted(ids, finding.record))
        before = max((position for position in chosen if position < at), default=at)
        if check.lasting:
            finding = next(
                (
                    hit
                    for position in range(before + 1, at)
                    for hit in _on_its_own(trace, position, check)
                    if (hit.memory, hit.subject) == (finding.memory, finding.subject)
                ),
                finding,
            )
        exact.append(finding)
    return sorted(exact, key=by_weight)


def _on_its_own(trace: Trace, position: int, check: Diagnostic) -> Sequence[Finding]:
    examiner = Examiner(trace.name, [check])
    examiner.feed(trace[position])
    return examiner.report().findings
