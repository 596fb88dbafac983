"""Train the models that come with memviz: demos/checkpoints/NAME.safetensors and .json, weights alone.

    python scripts/train_checkpoints.py             # all of them, about half an hour on one core
    python scripts/train_checkpoints.py sort --seed 1

A model that has not solved its task is not written, nor one of more than 300 kB.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, save_checkpoint
from memviz.demos.evaluation import evaluate
from memviz.demos.train import train

LARGEST = 300_000
"""Bytes that one model may take in the package."""


def make(name: str, seed: int) -> None:
    plan = registry.get(name).plan.but(seed=seed)
    task = make_task(plan)
    torch.manual_seed(seed)
    model = make_model(plan, task)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(plan, model, task, Path(folder) / name, record=False)
    found = evaluate(plan, model, task, batches=16)
    print(f"{name}: {outcome.steps} steps, {outcome.seconds:.0f} s; {found.sentence()}", flush=True)
    if not outcome.solved:
        raise SystemExit(f"{name} was not solved, so nothing is written; try another --seed")
    results = {
        "seed": seed,
        "mistakes": found.mistakes,
        "measure": found.measure,
        "limit": found.limit,
        "items": found.items,
        "by_length": {str(length): mistakes for length, mistakes in found.by_length.items()},
    }
    # Under the plan of the demo, which is what the demo looks for; the seed is in the results.
    kept = Checkpoint(registry.get(name).plan, outcome.steps, model.state_dict(), results=results)
    written = save_checkpoint(kept, registry.trained_file(name))
    size = written.stat().st_size
    print(f"{written}: {size} bytes", flush=True)
    if size > LARGEST:
        written.unlink()
        written.with_suffix(".json").unlink()
        raise SystemExit(f"{name} takes {size} bytes, more than {LARGEST}; make the model smaller")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="demos; all that come trained by default")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for demo in given.names or [name for name in registry.names() if registry.get(name).trained]:
        make(demo, given.seed)
