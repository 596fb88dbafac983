"""Train demos on many seeds and print how often, how fast and how well they learn: the tables of docs/demos.md.

    python scripts/measure_demos.py copy reverse --seeds 100-109

Seconds are of the processor, of one thread. Each trained model is evaluated on 250 fresh items or more per figure.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.evaluation import evaluate
from memviz.demos.train import train


def measure(name: str, seeds: range, steps: int | None) -> None:
    counts, seconds, found = [], [], []
    for seed in seeds:
        plan = registry.planned(name, seed=seed, steps=steps)
        task = make_task(plan)
        torch.manual_seed(seed)
        model = make_model(plan, task)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.process_time()
            outcome = train(plan, model, task, Path(folder) / name)
            spent = time.process_time() - begin
        result = evaluate(plan, model, task, batches=-(-250 // plan.batch_size))
        print(f"{name} seed {seed}: solved {outcome.solved}, {outcome.steps} steps, {spent:.0f} s; {result.sentence()}")
        found.append(result)
        if outcome.solved:
            counts.append(outcome.steps)
            seconds.append(spent)
    lengths = found[0].by_length
    cells = " | ".join(f"{statistics.median(one.by_length[length] for one in found):.3g}" for length in lengths)
    print(f"\n| demo | seeds | solved | steps: least, median, most | seconds: median, most |\n|{'---|' * 5}")
    if counts:
        steps_said = f"{min(counts)}, {statistics.median(counts):.0f}, {max(counts)}"
        print(
            f"| {name} | {seeds.start} to {seeds.stop - 1} | {len(counts)} of {len(found)} | {steps_said} | "
            f"{statistics.median(seconds):.0f}, {max(seconds):.0f} |"
        )
    print(f"\n| {found[0].size_name} | {' | '.join(map(str, lengths))} |\n|{'---|' * (1 + len(lengths))}")
    print(f"| {name}: median of {found[0].measure} per item | {cells} |\n", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", default="100-109", help="first and last")
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-"))
    torch.set_num_threads(1)
    for demo in given.names:
        measure(demo, range(first, last + 1), given.steps)
