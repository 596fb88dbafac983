"""Train a model on a task: a plain loop, recorded while it runs. `python -m memviz.demos.train` is its command.

What touches `recorder` in `train` is all that memviz asks of a training script. Running a demo with a server and a
progress bar around it is in demos/running.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

import memviz
from memviz.demos.checkpointing import (
    Checkpoint,
    load_weights,
    optimizer_state,
    restore_optimizer,
    save_checkpoint,
    tensor_file,
)
from memviz.demos.distributed import World
from memviz.demos.optimizers import make_optimizer
from memviz.demos.plan import Plan
from memviz.demos.tasks.task import Task
from memviz.errors import CheckpointError

RANK_SEEDS = 1_000_003
"""Between the seeds of the data of two processes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended.

    Attributes:
        path: the trace; None where nothing was recorded.
        steps: optimizer updates done, those before a resume with them.
        solved: whether the mean of mistakes per item over fresh batches fell below the task's limit.
        records: records in the trace that this run brought.
        seconds: time that training took.
        checkpoint: the file that training can go on from, None where none was asked for.
    """

    path: Path | None
    steps: int
    solved: bool
    records: int
    seconds: float
    checkpoint: Path | None = None


def train(
    plan: Plan,
    model: nn.Module,
    task: Task,
    out: Path,
    *,
    world: World | None = None,
    record: bool = True,
    checkpoint: Path | Literal["beside"] | None = None,
    save_every: int = 500,
    start: Checkpoint | None = None,
    on_start: Callable[[Path], None] = lambda path: None,
    on_step: Callable[[int, float, float, int], None] = lambda step, loss, mistakes, records: None,
) -> Outcome:
    """Train until the task is solved or the steps are up, recording the task's probe every so many steps.

    Args:
        plan: how to train, and what the model and the task were made of.
        model: what the task built, on the device of this process.
        task: where batches come from, and what judges the answers.
        out: folder of the trace; a new one is made beside it when it holds a trace, unless training goes on.
        world: the processes that train together; this one alone by default.
        record: False for no trace at all.
        checkpoint: where to write checkpoints, every so many steps and at the end; "beside" means beside the trace.
        save_every: steps between two checkpoints.
        start: where to go on from, bit for bit as if training had never stopped.
        on_start: called with the folder of the trace before the first step.
        on_step: called after each step with the number of steps done, loss, mistakes per item and records.

    Raises:
        CheckpointError: `start` is of another model, or of another number of processes.
        TraceError: the trace cannot be written.
    """
    world = world or World()
    data = torch.Generator().manual_seed(plan.seed + RANK_SEEDS * world.rank)
    probe = task.probe().to(world.device)
    optimizer = make_optimizer(plan, model.parameters())
    measure = task.measure.replace(" ", "_")
    begin, done, solved, due = time.perf_counter(), 0, False, False
    if start is not None:
        done = start.step
        _restore(start, model, optimizer, data, world)
    called = world.wrapped(model)

    recorder = memviz.attach(
        called,
        out,
        schedule=lambda step: due,
        ranks="all" if record else (),
        resume=start is not None,
        attributes=plan.attributes(),
    )
    recorder.step = done
    kept = None
    if checkpoint is not None:
        # Beside a trace of several processes means beside the folder that they share.
        beside = recorder.path if recorder.path is not None and world.size == 1 else out
        kept = tensor_file(beside if checkpoint == "beside" else checkpoint)

    def save() -> None:
        if kept is not None:
            random = world.gathered(_random_states(data, world.device))
            if world.first:
                states = model.state_dict(), optimizer_state(optimizer), random
                save_checkpoint(Checkpoint(plan, done, *states, results={"solved": solved}), kept)
            world.wait()  # nobody goes on, and perhaps reads it, before it is there

    with recorder:
        if recorder.path is not None:
            on_start(recorder.path)
        while True:
            finished = solved or done >= plan.steps
            if record and (done % plan.every == 0 or finished):
                # Always the same item, in the first forward of a step, so that steps compare.
                due = True
                recorder.label(**probe.labels())
                with _aside(called):
                    task.answer(called, probe)
                due = False
            if finished:
                break

            batch = task.batch(plan.batch_size, data, plan.level(done)).to(world.device)
            answer = task.answer(called, batch)
            loss = task.loss(answer, batch)
            for group in optimizer.param_groups:
                group["lr"] = plan.rate(done)
            optimizer.zero_grad()
            loss.backward()
            _clip(model, plan)
            optimizer.step()

            mistakes = task.mistakes(answer.detach(), batch)
            scalars: dict[str, Any] = {"loss": loss.item(), measure: mistakes}
            recorder.log(**scalars)
            done += 1
            on_step(done, loss.item(), mistakes, recorder.stats().recorded)
            if done % plan.check_every == 0:
                solved = world.all_agree(is_solved(plan, model, task, data, world.device))
            if done % save_every == 0:
                save()
    seconds = time.perf_counter() - begin
    save()
    return Outcome(recorder.path, done, solved, recorder.stats().recorded, seconds, kept)


@torch.no_grad()
def is_solved(plan: Plan, model: nn.Module, task: Task, data: torch.Generator, device: str = "cpu") -> bool:
    """Whether the mean of mistakes per item over fresh batches is below the task's limit.

    Stops at the batch after which the mean cannot be that low any more, so that looking costs little while the model
    still errs.
    """
    model.eval()
    total = 0.0
    for _ in range(plan.check_batches):
        batch = task.fresh(plan.batch_size, data).to(device)
        total += task.mistakes(task.answer(model, batch), batch) / plan.check_batches
        if not total < task.solved:
            break
    model.train()
    return total < task.solved


@contextmanager
def _aside(model: nn.Module) -> Iterator[None]:
    """A forward that training knows nothing of: it takes no random numbers, and no gradient is expected of it."""
    with torch.random.fork_rng():
        if isinstance(model, nn.parallel.DistributedDataParallel):
            with model.no_sync():
                yield
        else:
            yield


def _clip(model: nn.Module, plan: Plan) -> None:
    if plan.clip_value:
        nn.utils.clip_grad_value_(model.parameters(), plan.clip_value)
    if plan.clip:
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)


def _random_states(data: torch.Generator, device: str) -> dict[str, torch.Tensor]:
    states = {"data": data.get_state(), "torch": torch.get_rng_state()}
    if device.startswith("cuda"):
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(start: Checkpoint, model: nn.Module, optimizer: Optimizer, data: torch.Generator, world: World) -> None:
    """Bring a run to where a checkpoint was."""
    load_weights(model, start)
    if not start.optimizer or not start.ranks:
        raise CheckpointError(
            "this checkpoint holds weights alone, as those that come with memviz do, and training cannot go on from "
            "it; evaluate it, or train anew"
        )
    if start.ranks != world.size:
        raise CheckpointError(
            f"the checkpoint is of {start.ranks} processes and these are {world.size}; go on with as many as there were"
        )
    restore_optimizer(optimizer, start.optimizer)
    data.set_state(start.random[f"data/{world.rank}"])
    torch.set_rng_state(start.random[f"torch/{world.rank}"])
    if world.device.startswith("cuda") and f"cuda/{world.rank}" in start.random:
        torch.cuda.set_rng_state(start.random[f"cuda/{world.rank}"], world.device)


if __name__ == "__main__":
    from memviz.demos.commands import train_command

    train_command(prog_name="python -m memviz.demos.train")
