"""`memviz inspect`, `memviz doctor` and `memviz diff`: questions to traces, answered in the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memviz.cli.common import path_and_step, record_at, say_errors

if TYPE_CHECKING:
    from memviz.analysis.diagnostics import Severity


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--all", "every_record", is_flag=True, help="Take ranges over every record, not over a sample of 64.")
@say_errors
def inspect(path: Path, as_json: bool, every_record: bool) -> None:
    """Summarize the trace at PATH: memories, fields, shapes, ranges, records, gaps.

    \b
    Example: memviz inspect runs/copy
    """
    import memviz
    from memviz.analysis.summary import summarize

    summary = summarize(memviz.open(path), sample=None if every_record else 64)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=2, allow_nan=False))
        return
    from rich.console import Console

    from memviz.analysis.summary import tables

    console = Console()
    for table in tables(summary):
        console.print(table)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object per run, or per event with --follow.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note"]),
    help="Exit with 3 when there is a finding of this severity or worse.",
)
@click.option("--all", "every_record", is_flag=True, help="Look at every record, not at a sample of 200.")
@click.option("--film", "changes", is_flag=True, help="Also say what changed over training, and at which steps.")
@click.option("--follow", is_flag=True, help="Check records as they are recorded, until the run ends.")
@click.option("--dask", metavar="ADDRESS", help="Spread the work over a Dask cluster; local:N for N processes here.")
@say_errors
def doctor(
    paths: tuple[Path, ...],
    as_json: bool,
    fail_on: Severity | None,
    every_record: bool,
    changes: bool,
    follow: bool,
    dask: str | None,
) -> None:
    """Say what is wrong with the memory in the runs at PATHS, or in all runs below them, with evidence.

    \b
    Example: memviz doctor runs/copy
             memviz doctor runs/copy --fail-on warning
             memviz doctor runs/copy --follow
             memviz doctor runs/ more/ --all --dask local:4
    """
    from memviz.analysis import doctor as room
    from memviz.analysis.diagnostics import SEVERITIES
    from memviz.analysis.diagnostics.watch import watch

    if follow and dask:
        raise click.UsageError("--follow takes records as they come, one at a time; --dask is for runs that are there")
    bad = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on else ()
    standing: set[tuple[str, ...]] = set()
    found = (trace for path in paths for trace in room.traces(path))
    if follow:
        for trace in found:
            for event in watch(trace):
                key = (trace.name, *(str(event.data[name]) for name in ("diagnostic", "memory", "subject")))
                standing.discard(key)
                if event.kind == "finding" and event.data["severity"] in bad:
                    standing.add(key)
                click.echo(json.dumps(event.to_json(), allow_nan=False) if as_json else room.event_line(event))
    else:
        for report in room.reports(found, every_record=every_record, changes=changes, dask=dask):
            standing |= {(report.run, finding.diagnostic) for finding in report.findings if finding.severity in bad}
            click.echo(json.dumps(report.to_json(), allow_nan=False) if as_json else "\n".join(room.lines(report)))
    if standing:
        sys.exit(3)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--memory", help="Compare only this memory.")
@click.option(
    "--align",
    type=click.Choice(["writes", "content", "none"]),
    help="Find slots again by what was written where, by what they hold at the end, or by number  [default: writes]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when the two differ by more than rounding.")
@say_errors
def diff(a: str, b: str, memory: str | None, align: Any, as_json: bool, exit_code: bool) -> None:
    """Compare two runs, or two steps: A and B are PATH, for its last record, or PATH@STEP.

    Slots are exchangeable, so those of B are renamed to fit those of A before anything is subtracted.

    \b
    Example: memviz diff runs/copy@100 runs/copy@2000
             memviz diff runs/copy runs/theirs
    """
    import memviz

    (path_a, step_a), (path_b, step_b) = path_and_step(a), path_and_step(b)
    whole = step_a is None and step_b is None
    found = memviz.compare(
        memviz.open(path_a) if whole else record_at(a),
        memviz.open(path_b) if whole else record_at(b),
        memory=memory,
        align_by=align,
        titles=(a, b),
    )
    click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False) if as_json else found.text())
    if exit_code and not found.same:
        sys.exit(1)
