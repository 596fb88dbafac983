"""`memviz query`: at which records, times, items and heads of a run something holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from memviz.cli.common import note, say_errors


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("expression")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="List so many places; all count.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--dask", metavar="ADDRESS", help="Spread the work over a Dask cluster; local:N for N processes here.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when it holds nowhere, as grep does.")
@say_errors
def query(path: Path, expression: str, limit: int, as_json: bool, dask: str | None, exit_code: bool) -> None:
    """Say where EXPRESSION holds in the run at PATH, each place with a link to it.

    \b
    Example: memviz query runs/copy 'read_weights.effective_slots > 8 and correct == False'
             memviz query runs/copy 'memory.norm > 20 and step >= 1000' --json
    """
    import memviz
    from memviz.analysis.each import in_turn

    with ExitStack() as stack:
        each = in_turn
        if dask:
            from memviz.analysis.cluster import connect

            each = stack.enter_context(connect(dask)).each
        found = memviz.query(memviz.open(path), expression, limit=limit, each=each, progress=_progress())
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        for hit in found.hits:
            click.echo(f"{hit.text()}\n    {hit.link}")
        note(found.sentence)
    if exit_code and not found.count:
        sys.exit(1)


def _progress() -> Callable[[int, int], None]:
    """A line on standard error that counts records, where somebody watches a terminal."""
    shown = sys.stderr.isatty()

    def say(done: int, total: int) -> None:
        if shown and (done == total or done % max(1, total // 100) == 0):
            click.echo(f"\r{done} of {total} records" + (" " * 20 + "\r" if done == total else ""), nl=False, err=True)

    return say
