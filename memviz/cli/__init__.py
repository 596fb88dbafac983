"""The command line, one file per kind of command.

Each command imports the rooms that it needs inside its function, so that `--help` is instant.
"""

from __future__ import annotations

import click

from memviz._version import __version__
from memviz.cli.ablate import ablate
from memviz.cli.ask import diff, doctor, inspect
from memviz.cli.demo import demo
from memviz.cli.export import export
from memviz.cli.keep import push, repair
from memviz.cli.lineage import lineage
from memviz.cli.query import query
from memviz.cli.run import run
from memviz.cli.show import replay, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="memviz")
def main() -> None:
    """See what a neural network with memory writes, keeps and reads.

    \b
    memviz demo copy        train a DNC and watch its memory
    memviz serve runs/      show what is recorded, live
    memviz replay runs/copy play a finished trace
    """


for command in (demo, run, serve, replay, inspect, lineage, ablate, query, doctor, diff, export, repair, push):
    main.add_command(command)
