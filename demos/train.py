"""Train a demo: a plain loop, recorded and served while it runs.

`train` is the part worth reading: what touches `recorder` in it is all that memviz asks of a training script.
`run_demo`, which `memviz demo` calls, puts a server and a progress bar around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import memviz
from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.optimizers import make_optimizer
from memviz.demos.plan import Plan
from memviz.demos.progress import Display
from memviz.demos.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended.

    Attributes:
        path: the trace.
        steps: optimizer updates done.
        solved: whether the mean of mistakes per item over fresh batches fell below the task's limit.
        records: records in the trace.
        seconds: time that training took.
    """

    path: Path
    steps: int
    solved: bool
    records: int
    seconds: float


def train(
    plan: Plan,
    model: nn.Module,
    task: Task,
    out: Path,
    *,
    device: str = "cpu",
    on_start: Callable[[Path], None] = lambda path: None,
    on_step: Callable[[int, float, float, int], None] = lambda step, loss, mistakes, records: None,
) -> Outcome:
    """Train until the task is solved or the steps are up, recording the task's probe every so many steps.

    Args:
        plan: how to train, and what the model and the task were made of.
        model: what the task built.
        task: where batches come from, and what judges the answers.
        out: folder of the trace; a new one is made beside it when it holds a trace.
        device: torch device, of the model too.
        on_start: called with the folder of the trace before the first step.
        on_step: called after each step with the number of steps done, loss, mistakes per item and records.
    """
    data = torch.Generator().manual_seed(plan.seed)
    probe = task.probe().to(device)
    optimizer = make_optimizer(plan, model.parameters())
    measure = task.measure.replace(" ", "_")
    begin, done, solved, finished = time.perf_counter(), 0, False, False

    recorder = memviz.attach(
        model, out, schedule=lambda step: step % plan.every == 0 or finished, attributes=plan.to_json()
    )
    assert recorder.path is not None
    with recorder:
        on_start(recorder.path)
        while True:
            finished = solved or done == plan.steps
            if done % plan.every == 0 or finished:
                # The first forward of a step is the one recorded: always the same item, so that steps compare.
                recorder.label(**probe.labels())
                task.answer(model, probe)
            if finished:
                break

            batch = task.batch(plan.batch_size, data, plan.level(done)).to(device)
            answer = task.answer(model, batch)
            loss = task.loss(answer, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            _clip(model, plan)
            optimizer.step()

            mistakes = task.mistakes(answer.detach(), batch)
            scalars: dict[str, Any] = {"loss": loss.item(), measure: mistakes}
            recorder.log(**scalars)
            done += 1
            on_step(done, loss.item(), mistakes, recorder.stats().recorded)
            if done % plan.check_every == 0:
                solved = is_solved(plan, model, task, data, device)
    seconds = time.perf_counter() - begin
    return Outcome(recorder.path, done, solved, recorder.stats().recorded, seconds)


def _clip(model: nn.Module, plan: Plan) -> None:
    if plan.clip_value:
        nn.utils.clip_grad_value_(model.parameters(), plan.clip_value)
    if plan.clip:
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)


@torch.no_grad()
def is_solved(plan: Plan, model: nn.Module, task: Task, data: torch.Generator, device: str = "cpu") -> bool:
    """Whether the mean of mistakes per item over fresh batches is below the task's limit.

    Where a mistake cannot be negative it stops at the batch after which the mean cannot be that low any more, so that
    looking costs little while the model still errs.
    """
    model.eval()
    total = 0.0
    for _ in range(plan.check_batches):
        batch = task.batch(plan.batch_size, data).to(device)
        total += task.mistakes(task.answer(model, batch), batch) / plan.check_batches
        if total >= task.solved:
            break
    model.train()
    return total < task.solved


def run_demo(
    name: str,
    *,
    package: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    every: int | None = None,
    device: str = "cpu",
    serve: bool = True,
    visdom: str | None = None,
    **server: Any,
) -> Outcome | None:
    """Train the demo `name`, record it, and show it in the browser until Ctrl-C.

    Args:
        name: one of `memviz.demos.registry.names()`.
        package: train this package's class instead of memviz's own: "dnc".
        steps: give up after so many steps; the demo's own limit by default.
        seed: of the model and of the data.
        out: folder of the trace; `runs/NAME` by default.
        every: record every so many steps.
        device: torch device.
        serve: start the dashboard, and keep it up after training.
        visdom: address of a Visdom server that shows the run as well; training goes on when it does not answer.
        **server: host, port, allowed_hosts, token, open_browser; see memviz.dashboards.server.serve.

    Returns:
        How training ended; None when Ctrl-C ended it.

    Raises:
        UnknownNameError: no such demo or package.
        MemvizError: the package is not installed, or `visdom` is not an address.
        ServerError: the port or address cannot be had.
        TraceError: the trace cannot be written.
    """
    plan = registry.get(name).plan.but(package=package, steps=steps, every=every, seed=seed)
    if visdom:
        from memviz.dashboards.visdom import Address

        Address.parse(visdom)  # a wrong address is said before anything is recorded
    task = make_task(plan)
    # At these sizes more threads only wait for each other.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = make_model(plan, task).to(device)

    with ExitStack() as stack:
        display = stack.enter_context(Display(name, plan, task.measure))

        def started(path: Path) -> None:
            display.recording(path)
            if serve:
                display.serving(stack.enter_context(_server(path, **server)).url)
            if visdom:
                display.streaming(stack.enter_context(_visdom(path, visdom)).url)

        try:
            outcome = train(
                plan,
                model,
                task,
                Path(out or f"runs/{name}"),
                device=device,
                on_start=started,
                on_step=display.step,
            )
        except KeyboardInterrupt:
            display.interrupted()
            return None
        display.finished(outcome, serve)
        if serve:
            _wait_for_interrupt()
        return outcome


def _server(path: Path, *, open_browser: bool = False, **options: Any) -> Any:
    """A running server for one trace, which closes as a context."""
    from memviz.dashboards.server import start_server

    handle = start_server([path], start=f"#/run/{path.name}", **options)
    if open_browser:
        import webbrowser

        webbrowser.open(handle.url)
    return handle


def _visdom(path: Path, url: str) -> Any:
    """A process that streams one trace to Visdom, which draws the last record and ends as a context."""
    from memviz.dashboards.visdom import launch

    return launch(path, url)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
