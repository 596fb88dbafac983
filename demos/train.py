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
from torch.nn import functional

import memviz
from memviz.demos import registry
from memviz.demos.building import make_model
from memviz.demos.progress import Display
from memviz.demos.registry import Demo
from memviz.demos.tasks.task import Task, wrong_bits

CHECK_EVERY = 50
"""Steps between two looks at whether the task is solved."""

CHECK_BATCHES = 50
"""Fresh batches that a task must be solved on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended.

    Attributes:
        path: the trace.
        steps: optimizer updates done.
        solved: whether the mean of wrong bits per sequence over 50 fresh batches fell below the demo's limit.
        records: records in the trace.
        seconds: time that training took.
    """

    path: Path
    steps: int
    solved: bool
    records: int
    seconds: float


def train(
    demo: Demo,
    model: nn.Module,
    task: Task,
    out: Path,
    *,
    steps: int,
    every: int,
    seed: int = 0,
    device: str = "cpu",
    attributes: dict[str, Any] | None = None,
    on_start: Callable[[Path], None] = lambda path: None,
    on_step: Callable[[int, float, float, int], None] = lambda step, loss, bits, records: None,
) -> Outcome:
    """Train until the task is solved or the steps are up, recording a probe sequence every so many steps.

    Args:
        demo: batch size, learning rate, clipping and when the task counts as solved.
        model: [batch, time, input_channel] to a tuple whose first element is the probability of each bit.
        task: where batches come from.
        out: folder of the trace; a new one is made beside it when it holds a trace.
        steps: at most so many optimizer updates.
        every: steps between records; the last state is recorded as well.
        seed: of the data.
        device: torch device, of the model too.
        attributes: facts for the trace.
        on_start: called with the folder of the trace before the first step.
        on_step: called after each step with the number of steps done, loss, wrong bits per sequence and records.
    """
    data = torch.Generator().manual_seed(seed)
    probe = task.probe().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=demo.learning_rate)
    begin, done, solved, finished = time.perf_counter(), 0, False, False

    recorder = memviz.attach(model, out, schedule=lambda step: step % every == 0 or finished, attributes=attributes)
    assert recorder.path is not None
    with recorder:
        on_start(recorder.path)
        while True:
            finished = solved or done == steps
            if done % every == 0 or finished:
                # The first forward of a step is the one recorded: always the same sequence, so that steps compare.
                recorder.label(target=probe.target, phases=probe.phases)
                model(probe.input)
            if finished:
                break

            batch = task.batch(demo.batch_size, data).to(device)
            answer = model(batch.input)[0]
            loss = functional.binary_cross_entropy(answer[:, batch.asked], batch.target[:, batch.asked])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), demo.clip)
            optimizer.step()

            bits = wrong_bits(answer, batch)
            recorder.log(loss=loss.item(), wrong_bits=bits)
            done += 1
            on_step(done, loss.item(), bits, recorder.stats().recorded)
            if done % CHECK_EVERY == 0:
                solved = is_solved(demo, model, task, data, device)
    seconds = time.perf_counter() - begin
    return Outcome(recorder.path, done, solved, recorder.stats().recorded, seconds)


@torch.no_grad()
def is_solved(demo: Demo, model: nn.Module, task: Task, data: torch.Generator, device: str = "cpu") -> bool:
    """Whether the mean of wrong bits per sequence over fresh batches is below the demo's limit.

    Stops at the batch after which the mean cannot be that low any more, so that looking costs little while the model
    still errs.
    """
    model.eval()
    wrong = 0.0
    for _ in range(CHECK_BATCHES):
        batch = task.batch(demo.batch_size, data).to(device)
        wrong += wrong_bits(model(batch.input)[0], batch) / CHECK_BATCHES
        if wrong >= demo.solved:
            break
    model.train()
    return wrong < demo.solved


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
    demo = registry.get(name)
    if visdom:
        from memviz.dashboards.visdom import Address

        Address.parse(visdom)  # a wrong address is said before anything is recorded
    task = demo.task()
    # At these sizes more threads only wait for each other.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = make_model(demo, task, package).to(device)
    steps = steps or demo.steps

    with ExitStack() as stack:
        display = stack.enter_context(Display(demo, package, steps))

        def started(path: Path) -> None:
            display.recording(path)
            if serve:
                display.serving(stack.enter_context(_server(path, **server)).url)
            if visdom:
                display.streaming(stack.enter_context(_visdom(path, visdom)).url)

        try:
            outcome = train(
                demo,
                model,
                task,
                Path(out or f"runs/{name}"),
                steps=steps,
                every=every or demo.every,
                seed=seed,
                device=device,
                attributes={"task": name, "seed": seed, "package": package or "memviz"},
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
