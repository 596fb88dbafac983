"""What `memviz doctor` does and prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from memviz.analysis import sidecar
from memviz.analysis.diagnostics import Finding, Report, examine
from memviz.analysis.diagnostics.engine import SAMPLE
from memviz.analysis.each import Each, in_turn
from memviz.analysis.film import film
from memviz.trace import layout
from memviz.trace.reader import Trace, open_trace
from memviz.trace.schema import Event, Json

FILE = "findings.json"
"""Where the last report of a trace is kept, beside it."""

_WIDTH = 116


def traces(path: Path) -> Iterator[Trace]:
    """The trace at a path; for the folder of a distributed run those of all ranks; for a folder of runs, all of them.

    Raises:
        TraceError: there is no trace, or one cannot be read.
    """
    if (path / layout.TRACE_JSON).exists() or not path.is_dir() or layout.holds_trace(path):
        ranks = layout.rank_folders(path) if path.is_dir() else {}
        for folder in ranks.values() or [path]:
            yield open_trace(folder)
        return
    below = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    runs = [child for child in below if layout.holds_trace(child)]
    if not runs:
        # Says in the words of memviz.open what was expected here.
        yield open_trace(path)
    for run in runs:
        yield from traces(run)


def reports(
    found: Iterable[Trace], *, every_record: bool = False, changes: bool = False, dask: str | None = None
) -> Iterator[Report]:
    """Examine traces one after the other, or by a Dask cluster, with the same reports in the same order.

    Args:
        found: the traces.
        every_record: look at all records instead of a sample.
        changes: add the changes over training as the attribute `changes`.
        dask: address of a scheduler, or "local", or "local:N" (memviz.analysis.cluster.connect).

    Raises:
        MemvizError: the cluster cannot be used, or a trace cannot be read.
    """
    examined = partial(report, every_record=every_record, changes=changes)
    if dask is None:
        yield from map(examined, found)
        return
    from memviz.analysis.cluster import connect

    with connect(dask) as cluster:
        yield from cluster.side_by_side(partial(examined, each=cluster.each), found)


def report(trace: Trace, *, every_record: bool = False, changes: bool = False, each: Each = in_turn) -> Report:
    """Examine a trace and keep the report beside it.

    Args:
        trace: the trace.
        every_record: look at all records instead of a sample.
        changes: add the changes over training as the attribute `changes`.
        each: how many records are read; in turn by default.
    """
    made = examine(trace, sample=None if every_record else SAMPLE, each=each)
    if changes:
        found: list[Json] = [change.to_json() for change in film(trace, each=each).changes()]
        made = Report(
            made.run, made.findings, made.unchecked, made.checks, made.records, made.examined, {"changes": found}
        )
    sidecar.save(trace, FILE, made.to_json())
    return made


def lines(made: Report) -> Iterator[str]:
    """The report as text, findings first."""
    looked = "" if made.examined == made.records else f" of {made.records}"
    yield f"{made.run}: {made.examined}{looked} records looked at, {len(made.checks)} checks made"
    if not made.records:
        yield "  no records yet"
    elif not made.findings:
        yield f"  no findings, {len(made.checks)} checks ran"
    for finding in made.findings:
        yield ""
        yield from _finding(finding)
    if made.attributes.get("changes"):
        yield ""
        yield "  over training:"
        for change in made.attributes["changes"]:
            yield f"    {change['memory']}: {change['sentence']}"
    if made.unchecked:
        yield ""
        yield "  not checked:"
        for entry in made.unchecked:
            yield from _wrapped(f"{entry.diagnostic} of {entry.memory}: {entry.reason}", "    ")


def _finding(finding: Finding) -> Iterator[str]:
    place, spread = finding.place, finding.spread
    where = [f"step {finding.step}", f"batch {finding.batch}"]
    where += [
        f"{name} {value}"
        for name, value in (("time", place.time), ("slot", place.slot), ("head", place.head))
        if value is not None
    ]
    field = f"{finding.memory}/{place.field}" if place.field else finding.memory
    yield f"  {finding.severity:8s} {finding.diagnostic}   {field}, {', '.join(where)}"
    yield from _wrapped(finding.sentence, " " * 11)
    number = f"{finding.value:.4g}, threshold {finding.threshold:g}"
    items = f"{spread.beyond} of {spread.items} items, median {spread.median:.3g}"
    since = "" if finding.since == finding.step else f", since step {finding.since}"
    yield f"{' ' * 11}{number}; {items}{since}"
    yield from _wrapped(f"try: {finding.suggestion}", " " * 11)
    yield f"{' ' * 11}{finding.link}"


def event_line(event: Event) -> str:
    """An event of a watched run as one line."""
    severity = str(event.data.get("severity", "")) if event.kind == "finding" else "gone"
    return f"step {event.step}  {severity:8s} {event.data.get('diagnostic', '')}: {event.message}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
