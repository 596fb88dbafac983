"""Train demos on many seeds and write down how often, how fast and how well they learn.

    python scripts/measure_demos.py copy reverse --seeds 100-109
    python scripts/measure_demos.py copy --model lstm --steps 2000

Each run adds one line to docs/measured/demos.jsonl, from which scripts/report_demos.py makes the tables and the plot of
docs/demos.md. Seconds are of the processor, of one thread. Each trained model is evaluated on 250 fresh items or more
per figure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.evaluation import Evaluation, evaluate
from memviz.demos.plan import Plan
from memviz.demos.tasks.sequence import SequenceBatch
from memviz.demos.tasks.task import Task
from memviz.demos.train import train

MORE_SLOTS = 4
"""How many times the slots of the training each model is evaluated with once more."""

KEPT = Path(__file__).parents[1] / "docs" / "measured" / "demos.jsonl"


def measure(name: str, config: str | None, seed: int, **changes: Any) -> dict[str, Any]:
    """Train with one seed; what is said of it as an object of JSON."""
    plan: Plan = registry.planned(name, config, seed=seed, **changes)
    task = make_task(plan)
    torch.manual_seed(seed)
    model = make_model(plan, task)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        outcome = train(plan, model, task, Path(folder) / name)
        seconds = time.process_time() - begin
    found = evaluated(plan, model, task)
    slots = plan.model_options.get("nr_cells", 0) * MORE_SLOTS
    if slots and (plan.package or plan.model) != "lstm":
        # Weights of an NTM or DNC do not know how many slots there are.
        wide = make_model(plan.but(model_options={"nr_cells": slots}), task)
        wide.load_state_dict(model.state_dict())
        wider = {"slots": slots, "by_length": by_length(evaluated(plan, wide, task))}
    else:
        wider = None
    return {
        "demo": name,
        "config": config,
        "model": plan.package or plan.model,
        "seed": seed,
        "solved": outcome.solved,
        "steps": outcome.steps,
        "seconds": round(seconds, 1),
        "measure": found.measure,
        "size_name": found.size_name,
        "longest": longest(task),
        "mistakes": found.mistakes,
        "items": found.items,
        "by_length": by_length(found),
        "slots": plan.model_options.get("nr_cells"),
        "wider": wider,
        "asked": {str(length): asked(task.of_length(length)) for length in found.by_length},
    }


def evaluated(plan: Plan, model: torch.nn.Module, task: Task) -> Evaluation:
    return evaluate(plan, model, task, batches=-(-250 // plan.batch_size))


def by_length(found: Evaluation) -> dict[str, float]:
    return {str(length): round(mistakes, 5) for length, mistakes in found.by_length.items()}


def longest(task: Task) -> int | None:
    """The largest size in training, of what the lengths of the evaluation count."""
    found = getattr(task, "most", None) or getattr(task, "longest", None) or getattr(task, "length", None)
    return None if found is None else int(found)


def asked(task: Task) -> float:
    """Mean number of values asked for per item."""
    generator = torch.Generator().manual_seed(0)
    counts = []
    for _ in range(64):
        batch = task.fresh(1, generator)
        assert isinstance(batch, SequenceBatch)
        counts.append(int(batch.asked.sum()) * batch.target.shape[-1])
    return sum(counts) / len(counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--config")
    parser.add_argument("--seeds", default="100-109", help="first and last")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--model")
    parser.add_argument("--package")
    parser.add_argument("--out", type=Path, default=KEPT)
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    torch.set_num_threads(1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for demo in given.names:
        for number in range(int(first), int(last or first) + 1):
            changes = {"steps": given.steps, "model": given.model, "package": given.package}
            line = measure(demo, given.config, number, **changes)
            with given.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
