"""`memviz demo`: train a known model on a known task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memviz.cli.common import say_errors, server_options


@click.command()
@click.argument("name", required=False)
@click.option("--config", help="A configuration of the demo, such as m1d1 of reverse.")
@click.option("--model", help="Train this model of memviz's instead of the demo's: dnc, lstm, ...")
@click.option("--package", help="Train this third-party class instead of memviz's own: dnc.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps even if the task is not solved.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the model and of the data.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the trace  [default: runs/NAME]")
@click.option("--every", type=click.IntRange(1), help="Record every so many steps.")
@click.option("--babi", metavar="PATH", help="babi: learn from the stories of bAbI in this folder, file or archive.")
@click.option("--glove", metavar="PATH", help="babi: take word vectors from this file of GloVe.")
@click.option("--device", default="cpu", show_default=True, help="torch device: cpu, cuda, cuda:1.")
@click.option("--from-scratch", is_flag=True, help="Train even where a trained model comes with memviz.")
@click.option("--serve/--no-serve", default=True, help="Show the run in the browser while it trains.")
@click.option("--visdom", metavar="URL", help="Show the run in the Visdom server at URL as well.")
@server_options
@say_errors
def demo(name: str | None, serve: bool, babi: str | None, glove: str | None, **options: Any) -> None:
    """Train a known model on a known task, recorded and served live.

    Without NAME, list the demos with the time that each takes. More to choose: python -m memviz.demos.train --help.

    \b
    Example: memviz demo copy
             memviz demo copy --package dnc --no-serve --out runs/theirs
             memviz demo reverse --config m1d1
             memviz demo babi --babi tasks_1-20_v1-2/en
             memviz demo copy --visdom http://localhost:8097
    """
    from memviz.demos import registry

    if name is None:
        for known in map(registry.get, registry.names()):
            trained = " (comes trained)" if known.trained else ""
            click.echo(f"{known.name:10s} {known.expected:>8s}  {known.summary}{trained}")
        click.echo("Runs with a planted fault each, for memviz doctor: python -m memviz.demos.gallery")
        return
    chosen = registry.get(name)

    from memviz.demos.running import run_demo

    files = {option: path for option, path in (("babi", babi), ("glove", glove)) if path}
    run_demo(chosen.name, serve=serve, task_options=files or None, **options)
