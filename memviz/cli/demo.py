"""`memviz demo`: train a known model on a known task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memviz.cli.common import say_errors, server_options


@click.command()
@click.argument("name", required=False)
@click.option("--package", help="Train this third-party class instead of memviz's own: dnc.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps even if the task is not solved.")
@click.option("--seed", default=0, show_default=True, help="Seed of the model and of the data.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the trace  [default: runs/NAME]")
@click.option("--every", type=click.IntRange(1), help="Record every so many steps.")
@click.option("--device", default="cpu", show_default=True, help="torch device: cpu, cuda, cuda:1.")
@click.option("--serve/--no-serve", default=True, help="Show the run in the browser while it trains.")
@click.option("--visdom", metavar="URL", help="Show the run in the Visdom server at URL as well.")
@server_options
@say_errors
def demo(name: str | None, serve: bool, **options: Any) -> None:
    """Train a known model on a known task, recorded and served live.

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
