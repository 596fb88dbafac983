"""Train the networks for bAbI that come with memviz, and those whose figures docs/demos.md gives.

    python scripts/train_babi.py babi-1 babi-2 babi-3 babi-joint      # into demos/checkpoints
    python scripts/train_babi.py files-weak files-supervised --babi tasks_1-20_v1-2/en --out runs

Those that come with memviz learn from stories made on the spot, so that nobody has to download anything to make them
again. Those on files learn from nine tenths of the training stories. Every thousand steps the network is tried on what
was kept apart, and the one that did best there is kept; the test stories are asked once, at the end.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from memviz.demos.plan import Plan
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.results import Results, measure
from memviz.demos.tasks.babi.task import BabiTask
from memviz.demos.train import train

CHOOSE_SEED, TEST_SEED = 700, 701
"""Seeds of generated stories to choose by and to test on; no training draws seeds that small but by a rare chance."""

QUESTIONS = 500
"""Generated questions per family to choose by; twice as many to test on."""

SMALL: dict[str, Any] = {"variant": "plus", "hops": 3, "dim": 40, "word_size": 40}
LARGE: dict[str, Any] = {"variant": "plus", "episode": "soft", "hops": 3, "dim": 64, "word_size": 64}


@dataclass(frozen=True)
class Recipe:
    """How one network is made.

    Attributes:
        plan: of the training; its steps are the most that are done.
        stage: steps between two trials.
        halve: stages after which the learning rate is halved, again and again; 0 for never.
        enough: mean accuracy in percent on what is chosen by that is good enough to stop.
    """

    plan: Plan
    stage: int = 1000
    halve: int = 0
    enough: float = 100.0


def plan(tasks: str, steps: int, model: dict[str, Any], rate: float = 1e-3, **options: Any) -> Plan:
    """A plan with what all networks have in common."""
    return Plan(
        "babi",
        model="dmn",
        model_options=model,
        task_options={"tasks": tasks, "solved": 0.0, **options},
        steps=steps,
        batch_size=64,
        learning_rate=rate,
        clip=5.0,
        check_every=10**9,
    )


RECIPES: dict[str, Recipe] = {
    "babi-1": Recipe(plan("1", 1000, SMALL, 3e-3), stage=100),
    "babi-2": Recipe(plan("2", 4000, SMALL, 2e-3, supervision=1.0), stage=500, halve=4, enough=99.8),
    "babi-3": Recipe(plan("3", 4000, SMALL, 2e-3, supervision=1.0), stage=500, halve=4, enough=99.5),
    "babi-joint": Recipe(plan("joint", 5000, LARGE, supervision=1.0), halve=3),
    "files-weak": Recipe(plan("joint", 5000, LARGE | {"dropout": 0.1}), halve=4),
    "files-supervised": Recipe(plan("joint", 5000, LARGE | {"dropout": 0.1}, supervision=1.0), halve=3),
}


def make(name: str, recipe: Recipe, out: Path, babi: str, seed: int, console: Console) -> Results:
    """Train one network in stages, keep the best, and measure it once on what it never saw."""
    first = recipe.plan.but(seed=seed, task_options={"babi": babi} if babi else None)
    task = make_task(first)
    assert isinstance(task, BabiTask)
    torch.manual_seed(first.seed)
    model = make_model(first, task)
    if babi:
        choose, test = task.part("validation"), task.part("test")
    else:
        choose = generate(task.families, QUESTIONS, CHOOSE_SEED)
        test = generate(task.families, 2 * QUESTIONS, TEST_SEED)
    state, latest = out / f"{name}.state", None
    best: tuple[float, Checkpoint] | None = None
    for number, steps in enumerate(range(recipe.stage, first.steps + 1, recipe.stage)):
        rate = first.learning_rate * 0.5 ** (number // recipe.halve if recipe.halve else 0)
        train(
            first.but(steps=steps, learning_rate=rate),
            model,
            task,
            out / name,
            record=False,
            checkpoint=state,
            save_every=10**9,
            start=latest,
        )
        latest = load_checkpoint(state)
        tried = measure(model, task.vocabulary, choose)
        console.print(f"{name} step {steps}: {tried.mean:.2f} %, {tried.passed} of {len(tried.asked)} at 95 %")
        if best is None or tried.mean > best[0]:
            best = tried.mean, _kept(latest)
            # At once, so that a run that is stopped leaves the best of what it did.
            save_checkpoint(best[1], out / name)
        if tried.mean >= recipe.enough:
            break
    assert best is not None
    load_weights(model, best[1])
    results = measure(model, task.vocabulary, test)
    facts = {
        "accuracy": {str(family): results.accuracy(family) for family in sorted(results.asked)},
        "mean": results.mean,
        "passed": results.passed,
        "chosen_by": best[0],
    }
    save_checkpoint(replace(best[1], results=facts), out / name)
    for suffix in (".safetensors", ".json"):
        state.with_suffix(".state" + suffix).unlink(missing_ok=True)
    return results


def _kept(latest: Checkpoint) -> Checkpoint:
    """What answers need of a checkpoint: weights alone, in half precision; nothing goes on from here."""
    halves = {key: value.half() if value.is_floating_point() else value for key, value in latest.model.items()}
    return Checkpoint(latest.plan.but(steps=latest.step), latest.step, halves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=RECIPES)
    parser.add_argument("--babi", default="", help="folder, file or archive of bAbI, for the networks on files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "demos" / "checkpoints")
    given = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    for name in given.names:
        if name.startswith("files") != bool(given.babi):
            parser.error(
                f"{name} learns from {'files: give --babi' if not given.babi else 'no files: leave --babi out'}"
            )
        results = make(name, RECIPES[name], given.out, given.babi, given.seed, console)
        console.print(results.table())


if __name__ == "__main__":
    main()
