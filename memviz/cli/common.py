"""What the commands share: errors as one sentence, the options of a server, and running it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memviz.errors import MemvizError

if TYPE_CHECKING:
    from memviz.trace.record import Record

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_PORT = 8321


def say_errors(command: Command) -> Command:
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


def server_options(command: Command) -> Command:
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


def visdom_options(command: Command) -> Command:
    """Options of the commands that can show runs in Visdom as well."""
    for option in (
        click.option(
            "--offline-log", metavar="FILE", type=click.Path(path_type=Path), help="Write a Visdom replay log to FILE."
        ),
        click.option("--visdom", metavar="URL", help="Show the runs in the Visdom server at URL as well."),
    ):
        command = option(command)
    return command


def require(paths: tuple[Path, ...]) -> None:
    """Refuse paths that were given and do not exist; the default runs/ may still come."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise click.ClickException(
            f"there is no such path: {', '.join(missing)}. Record a run first (memviz demo copy, or memviz.attach in "
            "your training script), or give the directory that holds your runs."
        )


def serve_pages(paths: tuple[Path, ...], *, start: str | None = None, **options: Any) -> None:
    """Run the server until Ctrl-C."""
    from memviz.dashboards.server import serve

    serve([str(path) for path in paths], start=start, on_ready=_announce, **options)


def note(text: str) -> None:
    """Say something that is not the result, on standard error."""
    click.echo(text, err=True)


def announce_listening(address: str, token: str) -> None:
    """Say where recorders on other machines send their traces, and with which token."""
    note(f'recorders send to  memviz.attach(model, "{address}", token="{token}")')


def _announce(url: str) -> None:
    click.echo(f"memviz is at {url}   (Ctrl-C ends it)", err=not sys.stdout.isatty())


def path_and_step(text: str) -> tuple[Path, int | None]:
    """`runs/copy@100` as a path and a step; a directory may have an @ in its name."""
    path, at, step = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), None
    try:
        return Path(path), int(step)
    except ValueError:
        raise click.ClickException(f"expected the number of a step after the @ of {text!r}, got {step!r}") from None


def record_at(text: str) -> Record:
    """The record that `PATH` or `PATH@STEP` names: the last one, or the last at or before a step."""
    import memviz

    path, step = path_and_step(text)
    trace = memviz.open(path)
    return trace[-1] if step is None else trace.at(step)
