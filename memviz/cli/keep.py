"""`memviz repair`: traces on disk."""

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
