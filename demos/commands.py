"""The commands `python -m memviz.demos.train` and `python -m memviz.demos.evaluate`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from memviz.cli.common import say_errors
from memviz.demos import registry
from memviz.demos.parts import MODELS
from memviz.demos.plan import OPTIMIZERS
from memviz.errors import OptionError


def pairs(given: tuple[str, ...], option: str) -> dict[str, Any]:
    """`("nr_cells=32", "rnn_type=gru")` as a mapping; a value is JSON where it can be, and text otherwise.

    Raises:
        OptionError: there is no "=" in one.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise OptionError(f"{option} takes NAME=VALUE, such as {option} nr_cells=32, not {text!r}")
        try:
            found[name] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except json.JSONDecodeError:
            found[name] = value
    return found


_CHANGES = (
    *("model", "model_option", "task_option", "package", "optimizer", "learning_rate", "decay", "clip", "clip_value"),
    *("batch_size", "curriculum", "steps", "every", "seed"),
)


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that change a plan; the command gets them as one mapping, `changes`, of those that were given.

    Errors that memviz raises on purpose become one line.
    """
    options = (
        click.option("--model", help=f"The model: {', '.join(MODELS)}."),
        click.option("--model-option", multiple=True, metavar="NAME=VALUE", help="An argument of the model."),
        click.option("--task-option", multiple=True, metavar="NAME=VALUE", help="An option of the task."),
        click.option("--package", help="Train this third-party class instead of memviz's own: dnc."),
        click.option("--optimizer", help=f"One of {', '.join(OPTIMIZERS)}."),
        click.option("--lr", "learning_rate", type=float, help="Learning rate."),
        click.option("--decay", type=int, help="Steps over which the learning rate falls to a twentieth; 0 for none."),
        click.option("--clip", type=float, help="Largest norm of the gradient; 0 for any."),
        click.option("--clip-value", type=float, help="Largest absolute value in the gradient; 0 for any."),
        click.option("--batch-size", type=int, help="Items per step and process."),
        click.option("--curriculum", type=int, help="Steps over which lengths grow to their full range."),
        click.option("--steps", type=int, help="Stop after so many steps even if the task is not solved."),
        click.option("--every", type=int, help="Record every so many steps."),
        click.option("--seed", type=int, help="Seed of the model and of the data  [default: 0]"),
    )

    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        changes = {name: given.pop(name) for name in _CHANGES}
        changes["model_options"] = pairs(changes.pop("model_option"), "--model-option") or None
        changes["task_options"] = pairs(changes.pop("task_option"), "--task-option") or None
        return command(changes={name: value for name, value in changes.items() if value is not None}, **given)

    parsed = say_errors(wrapped)
    for option in reversed(options):
        parsed = option(parsed)
    return parsed


CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.command(context_settings=CONTEXT)
@click.argument("name", required=False)
@click.option("--config", help="A configuration of the demo, such as m1d1 of reverse.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on from this checkpoint, bit for bit.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the trace  [default: runs/NAME]")
@click.option("--record/--no-record", default=True, help="Record a trace.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Where checkpoints go  [default: beside the trace]")
@click.option("--save-every", default=500, show_default=True, type=click.IntRange(1), help="Steps between checkpoints.")
@click.option("--device", default="cpu", show_default=True, help="torch device: cpu, cuda, cuda:1.")
@plan_options
def train_command(
    name: str | None,
    config: str | None,
    resume: Path | None,
    changes: dict[str, Any],
    out: Path | None,
    **options: Any,
) -> None:
    r"""Train a model on the demo or task NAME, recorded, with checkpoints to go on from.

    Under torchrun the processes train together, and each records a trace of its own.

    \b
    Example: python -m memviz.demos.train copy --model lstm --steps 500
             python -m memviz.demos.train sort --optimizer graves --lr 1e-4 --task-option longest=20
             python -m memviz.demos.train --resume runs/copy.safetensors --steps 4000
             torchrun --nproc-per-node 2 -m memviz.demos.train copy
    """
    from memviz.demos.checkpointing import load_checkpoint, tensor_file
    from memviz.demos.running import run_plan

    if resume is not None:
        if name is not None or config is not None or set(changes) - {"steps", "every"}:
            raise OptionError(
                "--resume goes on with the plan of the checkpoint; only --steps and --every can change it"
            )
        start = load_checkpoint(resume)
        out = out or tensor_file(resume).with_suffix("")
        run_plan(start.plan.task, start.plan.but(**changes), out, start=start, **options)
        return
    if name is None:
        raise OptionError(f"give the name of a demo or a task: {', '.join(registry.trainable())}; or --resume")
    run_plan(name, registry.planned(name, config, **changes), out or Path("runs") / name, **options)


@click.command(context_settings=CONTEXT)
@click.argument("checkpoint")
@click.option("--lengths", help="Sizes to look at, such as 8,16,32  [default: those of the task]")
@click.option("--model-option", multiple=True, metavar="NAME=VALUE", help="Change the model, such as nr_cells=64.")
@click.option("--batches", default=50, show_default=True, type=click.IntRange(1), help="Batches behind each figure.")
@click.option("--seed", type=click.IntRange(0), help="Of the items  [default: one that no training draws from]")
@click.option("--out", type=click.Path(path_type=Path), help="Where results go  [default: beside the checkpoint]")
@click.option("--device", default="cpu", show_default=True, help="torch device: cpu, cuda, cuda:1.")
@click.option("--babi", metavar="PATH", help="babi: ask the test stories of this folder, file or archive.")
@click.option("--questions", type=click.IntRange(1), help="babi: so many questions of each family.")
@click.option("--confusion", metavar="FAMILIES", help="babi: print confusion matrices of these families: 6,9 or all.")
@click.option("--record", type=click.Path(path_type=Path), help="babi: record every test story in a trace here.")
@say_errors
def evaluate_command(
    checkpoint: str,
    lengths: str | None,
    model_option: tuple[str, ...],
    batches: int,
    seed: int | None,
    out: Path | None,
    device: str,
    **about_stories: Any,
) -> None:
    r"""Evaluate CHECKPOINT, a file or the name of a trained model that comes with memviz, on items it never saw.

    Prints a table, and writes figures (JSON) and a plot (HTML, which loads nothing from the network), also beyond the
    lengths of the training. The weights of most models with a memory fit any number of slots, and longer items need
    more of them. Of a network for bAbI the table says how often it is right in each family, beside published figures.

    \b
    Example: python -m memviz.demos.evaluate runs/copy.safetensors
             python -m memviz.demos.evaluate runs/copy.safetensors --lengths 8,16,24 --model-option nr_cells=64
             python -m memviz.demos.evaluate babi-joint --confusion 9,10
             python -m memviz.demos.evaluate babi-2 --questions 200 --record runs/stories
    """
    from rich.console import Console
    from rich.table import Table

    from memviz.demos.building import make_model, make_task
    from memviz.demos.checkpointing import load_checkpoint, load_weights, tensor_file
    from memviz.demos.distributed import check_device
    from memviz.demos.evaluation import EVALUATION_SEED, evaluate, write_evaluation
    from memviz.demos.tasks.babi.examine import asked_stories, examine
    from memviz.demos.tasks.babi.task import BabiTask

    shipped = checkpoint in registry.shipped() or (checkpoint in registry.DEMOS and registry.get(checkpoint).trained)
    path = registry.trained_file(checkpoint) if shipped else tensor_file(checkpoint)
    check_device(device)
    loaded = load_checkpoint(path)
    plan = loaded.plan.but(model_options=pairs(model_option, "--model-option") or None)
    task = make_task(plan)
    model = make_model(plan, task)
    load_weights(model, loaded)
    beside = out or (Path("runs") / checkpoint if shipped else path)
    if isinstance(task, BabiTask) and lengths is None:
        babi, questions = about_stories.pop("babi"), about_stories.pop("questions")
        stories = asked_stories(task, babi or "", questions, seed=plan.seed + EVALUATION_SEED if seed is None else seed)
        attributes = plan.attributes() | {"trained": True}
        examine(model.to(device), task, stories, beside=beside, attributes=attributes, **about_stories)
        return
    if any(about_stories.values()):
        raise OptionError(
            "--babi, --questions, --confusion and --record are for networks that answer questions about stories, "
            f"without --lengths; this is a {plan.model} for {plan.task}"
        )
    found = evaluate(
        plan,
        model.to(device),
        task,
        lengths=None if lengths is None else _numbers(lengths),
        batches=batches,
        seed=seed,
        device=device,
    )
    console = Console()
    table = Table(title=f"{found.measure} per item, mean of {found.items}")
    table.add_column(found.size_name)
    table.add_column(found.measure, justify="right")
    table.add_row("as trained", f"{found.mistakes:.4g}")
    for length, mistakes in found.by_length.items():
        table.add_row(str(length), f"{mistakes:.4g}")
    console.print(table)
    console.print("[bold]solved[/bold]" if found.solved else f"not solved: the limit is {found.limit:g}")
    page = write_evaluation(found, beside)
    if page is not None:
        console.print(f"plotted in {page}", soft_wrap=True)


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise OptionError(f"--lengths takes whole numbers >= 1 with commas between them, such as 8,16,32, not {text!r}")
    return found
