"""The command line. Each command imports the rooms that it needs inside its function, so that `--help` is instant."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memviz._version import __version__
from memviz.errors import MemvizError

if TYPE_CHECKING:
    from memviz.analysis.diagnostics import Severity

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_PORT = 8321


def _say_errors(command: Command) -> Command:
    """Print an error that memviz raised on purpose as one sentence and exit with 1 (MEMVIZ_DEBUG shows where)."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except MemvizError as error:
            if os.environ.get("MEMVIZ_DEBUG"):
                raise
            raise click.ClickException(str(error)) from error

    return wrapped  # type: ignore[return-value]


def _server_options(command: Command) -> Command:
    """Options that every command with a server shares."""
    for option in (
        click.option(
            "--token", help="Token that a browser must bring; required when --host is not a loopback address."
        ),
        click.option("--allowed-host", "allowed_hosts", multiple=True, help="Host name to answer to beside localhost."),
        click.option("--open/--no-open", "open_browser", default=False, help="Open the page in a browser."),
        click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535)),
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    ):
        command = option(command)
    return command


def _visdom_options(command: Command) -> Command:
    """Options of the commands that can show runs in Visdom as well."""
    for option in (
        click.option(
            "--offline-log", metavar="FILE", type=click.Path(path_type=Path), help="Write a Visdom replay log to FILE."
        ),
        click.option("--visdom", metavar="URL", help="Show the runs in the Visdom server at URL as well."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="memviz")
def main() -> None:
    r"""See what a neural network with memory writes, keeps and reads.

    \b
    memviz demo copy        train a DNC and watch its memory
    memviz serve runs/      show what is recorded, live
    memviz replay runs/copy play a finished trace
    """


@main.command()
@click.argument("name", required=False)
@click.option("--package", help="Train this third-party class instead of memviz's own: dnc.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps even if the task is not solved.")
@click.option("--seed", default=0, show_default=True, help="Seed of the model and of the data.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the trace  [default: runs/NAME]")
@click.option("--every", type=click.IntRange(1), help="Record every so many steps.")
@click.option("--device", default="cpu", show_default=True, help="torch device: cpu, cuda, cuda:1.")
@click.option("--serve/--no-serve", default=True, help="Show the run in the browser while it trains.")
@click.option("--visdom", metavar="URL", help="Show the run in the Visdom server at URL as well.")
@_server_options
@_say_errors
def demo(name: str | None, serve: bool, **options: Any) -> None:
    r"""Train a known model on a known task, recorded and served live.

    Without NAME, list the demos.

    \b
    Example: memviz demo copy
             memviz demo copy --package dnc --no-serve --out runs/theirs
             memviz demo copy --visdom http://localhost:8097
    """
    from memviz.demos import registry

    if name is None:
        for known in registry.names():
            click.echo(f"{known:10s} {registry.get(known).summary}")
        return
    chosen = registry.get(name)

    from memviz.demos.train import run_demo

    run_demo(chosen.name, serve=serve, **options)


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_visdom_options
@_server_options
@_say_errors
def serve(paths: tuple[Path, ...], visdom: str | None, offline_log: Path | None, **options: Any) -> None:
    r"""Serve the traces under PATHS (default: runs/) to a browser, live while they are written.

    \b
    Example: memviz serve runs/
             memviz serve runs/ --visdom http://localhost:8097
    """
    _require(paths)
    paths = paths or (Path("runs"),)
    if visdom or offline_log:
        from memviz.dashboards.visdom import serve_beside

        page = functools.partial(_serve, paths, **options)
        serve_beside(page, paths, visdom=visdom, offline_log=offline_log, say=_note)
    else:
        _serve(paths, **options)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(0.01), help="In Visdom, times as fast as recorded  [default: 1]")
@_visdom_options
@_server_options
@_say_errors
def replay(path: Path, visdom: str | None, offline_log: Path | None, speed: float | None, **options: Any) -> None:
    r"""Play the trace at PATH from its first record.

    \b
    Example: memviz replay runs/copy
             memviz replay runs/copy --visdom http://localhost:8097 --speed 4
             memviz replay runs/copy --offline-log copy.visdom
    """
    import memviz

    trace = memviz.open(path)
    first = f"?step={int(trace.steps[0])}&t=0&play=1" if len(trace) else ""
    page = functools.partial(_serve, (path,), start=f"#/run/{trace.name}{first}", **options)
    if speed is not None and not visdom:
        raise click.UsageError("--speed is the pace of a replay in Visdom and needs --visdom URL")
    if offline_log:
        from memviz.dashboards.visdom import write_log

        _note(write_log([path], offline_log).sentence)
    if visdom:
        from memviz.dashboards.visdom import serve_beside

        serve_beside(page, [path], visdom=visdom, speed=speed or 1.0, say=_note)
    elif not offline_log:
        page()


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--all", "every_record", is_flag=True, help="Take ranges over every record, not over a sample of 64.")
@_say_errors
def inspect(path: Path, as_json: bool, every_record: bool) -> None:
    r"""Summarize the trace at PATH: memories, fields, shapes, ranges, records, gaps.

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


@main.command()
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
@_say_errors
def doctor(
    paths: tuple[Path, ...],
    as_json: bool,
    fail_on: Severity | None,
    every_record: bool,
    changes: bool,
    follow: bool,
    dask: str | None,
) -> None:
    r"""Say what is wrong with the memory in the runs at PATHS, or in all runs below them, with evidence.

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


@main.command()
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
@_say_errors
def diff(a: str, b: str, memory: str | None, align: Any, as_json: bool, exit_code: bool) -> None:
    r"""Compare two runs, or two steps: A and B are PATH, for its last record, or PATH@STEP.

    Slots are exchangeable, so those of B are renamed to fit those of A before anything is subtracted.

    \b
    Example: memviz diff runs/copy@100 runs/copy@2000
             memviz diff runs/copy runs/theirs
    """
    import memviz

    (trace_a, step_a), (trace_b, step_b) = ((memviz.open(path), step) for path, step in map(_path_and_step, (a, b)))
    whole = step_a is None and step_b is None
    found = memviz.compare(
        trace_a if whole else _record_at(trace_a, step_a),
        trace_b if whole else _record_at(trace_b, step_b),
        memory=memory,
        align_by=align,
        titles=(a, b),
    )
    click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False) if as_json else found.text())
    if exit_code and not found.same:
        sys.exit(1)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@_say_errors
def repair(path: Path) -> None:
    r"""Bring the trace at PATH into its final form after a crash; nothing readable is lost.

    \b
    Example: memviz repair runs/copy
    """
    from memviz.trace.repair import repair as repair_trace

    click.echo(str(repair_trace(path)))


def _path_and_step(text: str) -> tuple[Path, int | None]:
    """`runs/copy@100` as a path and a step; a directory may have an @ in its name."""
    path, at, step = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), None
    try:
        return Path(path), int(step)
    except ValueError:
        raise click.ClickException(f"expected the number of a step after the @ of {text!r}, got {step!r}") from None


def _record_at(trace: Any, step: int | None) -> Any:
    return trace[-1] if step is None else trace.at(step)


def _require(paths: tuple[Path, ...]) -> None:
    """Refuse paths that were given and do not exist; the default runs/ may still come."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise click.ClickException(
            f"there is no such path: {', '.join(missing)}. Record a run first (memviz demo copy, or memviz.attach in "
            "your training script), or give the directory that holds your runs."
        )


def _serve(paths: tuple[Path, ...], *, start: str | None = None, **options: Any) -> None:
    """Run the server until Ctrl-C."""
    from memviz.dashboards.server import serve

    serve([str(path) for path in paths], start=start, on_ready=_announce, **options)


def _note(text: str) -> None:
    click.echo(text, err=True)


def _announce(url: str) -> None:
    click.echo(f"memviz is at {url}   (Ctrl-C ends it)", err=not sys.stdout.isatty())
