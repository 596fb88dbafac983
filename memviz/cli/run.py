"""`memviz run`: record the models of a training script without a change to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from memviz.cli.common import say_errors

TRIGGERS = ("nan", "loss-spike", "gradient-spike")
"""As memviz.recorders.launcher has them; said here so that --help does without torch."""


class _AsPython(click.Command):
    """Options end where they end for python: at the script, or after `-m MODULE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {name for option in self.params if getattr(option, "is_flag", False) for name in option.opts}
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            if args[at] == "-m":
                args = [*args[: at + 2], "--", *args[at + 2 :]]
                break
            at += 1 if "=" in args[at] or args[at] in {*flags, "-h", "--help"} else 2
        return super().parse_args(ctx, args)


@click.command(
    cls=_AsPython,
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("-m", "module", metavar="MODULE", help="Run a module, as python -m does.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory of the trace  [default: runs/NAME of the script]"
)
@click.option("--every", default=100, show_default=True, type=click.IntRange(1), help="Record every so many steps.")
@click.option("--fields", multiple=True, metavar="NAME", help="default, all, or names of fields; may be repeated.")
@click.option("--batch", default="0", show_default=True, help="Batch items: 0, 0,3,5 or all.")
@click.option("--grads", is_flag=True, help="Record gradients too.")
@click.option("--last", default=0, show_default=True, type=click.IntRange(0), help="Hold so many steps for a trigger.")
@click.option("--on", multiple=True, type=click.Choice(TRIGGERS), help="Write the held steps then; may be repeated.")
@click.option("--budget", type=float, help="Share of the time that recording may take, such as 0.02.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT] [ARGUMENTS]...")
@say_errors
def run(module: str | None, out: Path | None, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a Python script and record every model in it that memviz knows, or that taps.

    The script runs as with plain python: its arguments, signals, tracebacks and exit code are its own. Where the trace
    is goes to stderr.

    \b
    Example: memviz run train.py --lr 0.001
             memviz run --every 10 --last 16 --on nan train.py
             memviz run -m package.train --epochs 3
    """
    if module is None and not arguments:
        raise click.UsageError("expected a script to run, such as memviz run train.py, or -m MODULE")
    from memviz.recorders.launcher import replace_process

    name = module.rpartition(".")[2] if module else Path(arguments[0]).stem
    options["out"] = str(out or Path("runs") / name)
    options["batch"] = _batch(options["batch"])
    options["fields"] = _fields(options["fields"])
    replace_process(["-m", module, *arguments] if module else list(arguments), options)


def _batch(text: str) -> Any:
    if text in ("all", "worst"):
        return text
    try:
        items = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r}: expected a position, several such as 0,3,5, or all", param_hint="--batch"
        ) from error
    return items[0] if len(items) == 1 else items


def _fields(names: Iterable[str]) -> str | list[str]:
    given = [name for text in names for name in text.split(",") if name]
    if not given:
        return "default"
    return given[0] if given in (["default"], ["all"]) else given
