"""`python -m memviz.demos.gallery`: list the faults, or write their runs."""

from __future__ import annotations

from pathlib import Path

import click

from memviz.demos.gallery.faults import FAULTS
from memviz.demos.gallery.others import OTHERS
from memviz.demos.gallery.runs import names, write_run
from memviz.errors import MemvizError


@click.command()
@click.argument("fault", required=False)
@click.option("--all", "every", is_flag=True, help="Write the runs of all faults.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/gallery"), show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(fault: str | None, every: bool, out: Path, seed: int) -> None:
    """Write the run of a planted FAULT, or list the faults."""
    if fault is None and not every:
        for name in names():
            known = FAULTS.get(name) or OTHERS[name]
            click.echo(f"{name:20s} {known.summary}  ->  {known.diagnostic}")
        return
    for name in names() if every else [str(fault)]:
        try:
            run = write_run(name, out / name, seed=seed)
        except MemvizError as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{run.path}: {run.diagnostic}, from step {run.step} on, item {run.item}, {run.where}")


if __name__ == "__main__":
    main()
