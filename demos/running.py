"""Run a demo: its training, or a model that has been trained already, with a server and a progress bar around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

import memviz
from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, load_checkpoint, load_weights
from memviz.demos.distributed import World, joined
from memviz.demos.evaluation import evaluate, write_evaluation
from memviz.demos.plan import Plan
from memviz.demos.progress import Display
from memviz.demos.tasks.task import Task
from memviz.demos.train import Outcome, train

PLAYED = 20
"""Items that a trained model is recorded on."""


def run_demo(
    name: str,
    *,
    config: str | None = None,
    out: str | Path | None = None,
    device: str = "cpu",
    from_scratch: bool = False,
    serve: bool = True,
    visdom: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8321,
    allowed_hosts: tuple[str, ...] = (),
    token: str | None = None,
    open_browser: bool = False,
    **changes: Any,
) -> Outcome | None:
    """Train the demo `name`, record it, and show it in the browser until Ctrl-C.

    A demo that takes long comes with a trained model: that one is recorded on fresh items, unless its plan is changed
    or `from_scratch` is asked for.

    Args:
        name: one of `memviz.demos.registry.names()`.
        config: one of the demo's configurations.
        out: folder of the trace; `runs/NAME` by default. The checkpoint and the evaluation lie beside it.
        device: torch device.
        from_scratch: train even where there is a trained model.
        serve: start the dashboard, and keep it up after training.
        visdom: address of a Visdom server that shows the run as well; training goes on when it does not answer.
        host: address to listen on; this and what follows as in memviz.dashboards.server.serve.
        port: to listen on.
        allowed_hosts: names to answer to beside localhost.
        token: that a browser must bring.
        open_browser: open the page in one.
        **changes: entries of the plan that are not the demo's: steps, seed, every, package, model, ...

    Returns:
        How it ended; None when Ctrl-C ended it.

    Raises:
        UnknownNameError: no such demo, configuration, model, task or package.
        OptionError: an option has a value that it cannot have.
        MemvizError: the package is not installed, or `visdom` is not an address.
        ServerError: the port or address cannot be had.
        TraceError: the trace cannot be written.
    """
    demo = registry.get(name)
    plan = registry.planned(name, config, **changes)
    server: dict[str, Any] = {
        "host": host,
        "port": port,
        "allowed_hosts": allowed_hosts,
        "token": token,
        "open_browser": open_browser,
    }
    opened: list[Callable[[Path, ExitStack, Display], None]] = []
    if serve:
        opened.append(lambda path, stack, display: display.serving(stack.enter_context(_server(path, **server)).url))
    if visdom:
        from memviz.dashboards.visdom import Address

        Address.parse(visdom)  # a wrong address is said before anything is recorded
        opened.append(lambda path, stack, display: display.streaming(stack.enter_context(_visdom(path, visdom)).url))
    trained = None
    if demo.trained and not from_scratch and plan.but(seed=demo.plan.seed, every=demo.plan.every) == demo.plan:
        trained = load_checkpoint(registry.trained_file(name))
    return run_plan(name, plan, Path(out or f"runs/{name}"), device=device, trained=trained, opened=opened, wait=serve)


def run_plan(
    name: str,
    plan: Plan,
    out: Path,
    *,
    device: str = "cpu",
    record: bool = True,
    checkpoint: Path | None = None,
    save_every: int = 500,
    start: Checkpoint | None = None,
    trained: Checkpoint | None = None,
    opened: list[Callable[[Path, ExitStack, Display], None]] | None = None,
    wait: bool = False,
) -> Outcome | None:
    """Train by a plan, or play a trained model, and say how it goes.

    Args:
        name: for people.
        plan: what to train, and how.
        out: folder of the trace.
        device: torch device.
        record: False for no trace.
        checkpoint: where checkpoints go; beside the trace by default.
        save_every: steps between two checkpoints.
        start: where training goes on from.
        trained: a model to record without training it.
        opened: what to open once the trace is there.
        wait: stay until Ctrl-C when it is over.

    Returns:
        How it ended; None when Ctrl-C ended it.
    """
    # At these sizes more threads only wait for each other.
    torch.set_num_threads(1)
    task = make_task(plan)
    torch.manual_seed(plan.seed)
    model = make_model(plan, task)
    with joined(device) as world, ExitStack() as stack:
        model.to(world.device)
        display = stack.enter_context(Display(name, plan, task.measure, silent=not world.first, playing=bool(trained)))

        def started(path: Path) -> None:
            display.recording(path)
            for open_it in opened or ():
                open_it(path, stack, display)

        try:
            if trained is not None:
                load_weights(model, trained)
                outcome = play(plan, model, task, out, world=world, on_start=started)
            else:
                outcome = train(
                    plan,
                    model,
                    task,
                    out,
                    world=world,
                    record=record,
                    checkpoint=checkpoint or "beside",
                    save_every=save_every,
                    start=start,
                    on_start=started,
                    on_step=display.step,
                )
            if world.first:
                found = evaluate(plan, model, task, device=world.device)
                display.evaluated(found, write_evaluation(found, outcome.checkpoint or outcome.path or out))
        except KeyboardInterrupt:
            display.interrupted()
            return None
        display.finished(outcome, wait)
        if wait:
            _wait_for_interrupt()
        return outcome


def play(
    plan: Plan,
    model: torch.nn.Module,
    task: Task,
    out: Path,
    *,
    world: World | None = None,
    on_start: Callable[[Path], None] = lambda path: None,
) -> Outcome:
    """Record a trained model: first on the probe, then on fresh items, one record each.

    Arguments as for `train`.
    """
    world = world or World()
    data = torch.Generator().manual_seed(plan.seed)
    measure = task.measure.replace(" ", "_")
    begin = time.perf_counter()
    model.eval()
    recorder = memviz.attach(model, out, every=1, attributes=plan.attributes() | {"trained": True})
    assert recorder.path is not None
    with recorder, torch.no_grad():
        on_start(recorder.path)
        total = 0.0
        for number in range(PLAYED):
            batch = (task.fresh(1, data) if number else task.probe()).to(world.device)
            recorder.label(**batch.labels())
            answer = task.answer(model, batch)
            mistakes = task.mistakes(answer, batch)
            total += mistakes if number else 0.0
            scalars: dict[str, Any] = {"loss": task.loss(answer, batch).item(), measure: mistakes}
            recorder.log(**scalars)
    solved = total / (PLAYED - 1) < task.solved
    return Outcome(recorder.path, 0, solved, recorder.stats().recorded, time.perf_counter() - begin)


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
