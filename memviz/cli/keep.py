"""`memviz repair` and `memviz push`: traces on disk, brought to where they should be."""

from __future__ import annotations

from pathlib import Path

import click

from memviz.cli.common import say_errors


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@say_errors
def repair(path: Path) -> None:
    """Bring the trace at PATH into its final form after a crash; nothing readable is lost.

    \b
    Example: memviz repair runs/copy
    """
    from memviz.trace.repair import repair as repair_trace

    click.echo(str(repair_trace(path)))


@click.command()
@click.argument("spool", type=click.Path(path_type=Path))
@click.argument("address", required=False, metavar="[ADDRESS]")
@click.option("--token", help="Token of the server  [default: MEMVIZ_TOKEN of the environment]")
@say_errors
def push(spool: Path, address: str | None, token: str | None) -> None:
    """Send what a remote run has left in SPOOL, when its server was down to the end.

    The run says where its spool is. ADDRESS, memviz://host:port/run, is where the run was to go unless given.

    \b
    Example: memviz push spool/copy-1a2b3c4d --token TOKEN
    """
    from memviz.trace.remote.sending import push_left

    click.echo(push_left(spool, address, token))
