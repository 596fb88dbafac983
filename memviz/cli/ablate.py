"""`memviz ablate`: what the model answers without a write, with a gate held, a slot cleared, or links sharpened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memviz.cli.common import note, path_and_step, say_errors

if TYPE_CHECKING:
    from memviz.recorders.interventions import Intervention
    from memviz.trace.reader import Trace


@click.command()
@click.argument("path", metavar="PATH[@STEP]")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Weights of that step  [default: PATH.safetensors]")
@click.option("--model", "maker", metavar="MODULE:NAME", help="A function of yours that makes the model.")
@click.option("--memory", help="Name of the memory, where the model has several.")
@click.option("--write", "writes", type=int, multiple=True, help="Remove the write at this time; may be repeated.")
@click.option(
    "--top", type=click.IntRange(1), help="Remove so many of the strongest writes, one at a time  [default: 16]"
)
@click.option("--freeze", metavar="FIELD=VALUE", help="Hold a gate, such as write_gate=0; read_modes=0,1,0.")
@click.option("--clear", metavar="SLOT@TIME", help="Set a slot to zero before a time.")
@click.option("--sharpen", type=click.FloatRange(1), metavar="POWER", help="Sharpen the links.")
@click.option("--deallocate", is_flag=True, help="Clear what is freed before the next write.")
@click.option("--no-strict", is_flag=True, help="Go on with a model that does not give the recorded output again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@say_errors
def ablate(
    path: str,
    checkpoint: Path | None,
    maker: str | None,
    memory: str | None,
    writes: tuple[int, ...],
    top: int | None,
    freeze: str | None,
    clear: str | None,
    sharpen: float | None,
    deallocate: bool,
    no_strict: bool,
    as_json: bool,
) -> None:
    """Run the recorded sequence of PATH again with something changed, from a checkpoint, and say what the output does.

    Without a change it removes the strongest writes one at a time, and keeps the result for the Lineage page.

    \b
    Example: memviz ablate runs/copy
             memviz ablate runs/copy --write 4 --write 5
             memviz ablate runs/copy@2000 --checkpoint ckpt.pt --model train:make_model
             memviz ablate runs/copy --freeze write_gate=0
    """
    import memviz
    from memviz.analysis import removals as kept

    place, step = path_and_step(path)
    trace = memviz.open(place)
    record = trace[-1] if step is None else trace.at(step)
    change = _change(freeze, clear, sharpen, deallocate)
    if change is not None and (writes or top):
        raise click.UsageError(
            "one change at a time: --write and --top remove writes, the others change something else"
        )
    model, source = _model(trace, checkpoint, maker)
    if change is not None:
        found = memviz.ablate(model, record, change, memory=memory, strict=not no_strict)
        effect = found.effect
        facts = {
            "change": change.text(),
            "text": found.text(),
            "largest": float(effect.max()),
            "effect": effect.tolist(),
        }
        click.echo(json.dumps(facts, allow_nan=False) if as_json else found.text())
        return
    from memviz.recorders.removals import MOST, removals

    result = removals(
        model,
        record,
        memory=memory,
        writes=writes or None,
        most=top or MOST,
        source=source,
        strict=not no_strict,
    )
    click.echo(json.dumps(result.to_json(), allow_nan=False) if as_json else result.text())
    if kept.keep(trace, result):
        note("kept beside the trace; the Lineage page shows it")
    else:
        note("could not be kept beside the trace, so the Lineage page will not show it")


def _change(freeze: str | None, clear: str | None, sharpen: float | None, deallocate: bool) -> Intervention | None:
    from memviz.recorders.interventions import ClearSlot, Deallocate, FreezeGate, SharpenLinks

    found: list[Intervention] = []
    if freeze is not None:
        field, equals, value = freeze.partition("=")
        numbers = _numbers(value)
        if not equals or not field or numbers is None:
            raise click.BadParameter(f"expected a field and a number, as in write_gate=0, got {freeze!r}")
        found.append(FreezeGate(field, numbers[0] if len(numbers) == 1 else tuple(numbers)))
    if clear is not None:
        slot, at, time = clear.partition("@")
        if not (at and slot.isdigit() and time.isdigit()):
            raise click.BadParameter(f"expected a slot and a time, as in 3@12, got {clear!r}")
        found.append(ClearSlot(int(slot), int(time)))
    if sharpen is not None:
        found.append(SharpenLinks(sharpen))
    if deallocate:
        found.append(Deallocate())
    if len(found) > 1:
        raise click.UsageError("one change at a time, so that it is known what made the difference")
    return found[0] if found else None


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _model(trace: Trace, checkpoint: Path | None, maker: str | None) -> tuple[Any, str]:
    """The model with the weights of a checkpoint, and where they come from in words.

    Raises:
        CheckpointError: there is none, or it does not fit.
    """
    from memviz.errors import CheckpointError

    file = checkpoint or trace.path.with_name(f"{trace.path.name}.safetensors")
    if not file.exists():
        raise CheckpointError(
            f"there is no checkpoint at {file}; the demos write one beside their trace, for a model of your own give "
            "--checkpoint FILE and --model MODULE:NAME"
        )
    if maker is None:
        from memviz.demos.building import make_model, make_task
        from memviz.demos.checkpointing import load_checkpoint, load_weights

        found = load_checkpoint(file)
        model = make_model(found.plan, make_task(found.plan))
        load_weights(model, found)
        return model, f"checkpoint {file.name} of step {found.step}"
    return _own_model(file, maker), f"checkpoint {file.name}"


def _own_model(file: Path, maker: str) -> Any:
    import importlib
    import sys

    import torch

    from memviz.errors import CheckpointError
    from memviz.recorders.removals import load_state

    module, colon, name = maker.partition(":")
    if not colon or not module or not name:
        raise click.BadParameter(f"expected MODULE:NAME, as in train:make_model, got {maker!r}")
    sys.path.insert(0, str(Path.cwd()))  # as python -m does
    try:
        model = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise CheckpointError(f"--model {maker} cannot be found: {error}") from error
    if not isinstance(model, torch.nn.Module):
        raise CheckpointError(f"--model {maker} makes a {type(model).__name__}, and should make a torch.nn.Module")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        load_state(model, state)
    except Exception as error:  # torch and safetensors raise much, from a missing key to a bad pickle
        raise CheckpointError(f"{file} does not fit the model of {maker}: {' '.join(str(error).split())}") from error
    return model
