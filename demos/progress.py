"""What a demo prints: where it records and serves, a progress bar, and how it ended."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memviz.demos.checkpointing import tensor_file
from memviz.demos.plan import Plan

if TYPE_CHECKING:
    from memviz.demos.evaluation import Evaluation
    from memviz.demos.train import Outcome

LINE_EVERY = 100
"""Steps between two lines where the output is no terminal and a bar would be lost."""


class Display:
    """A progress bar on a terminal, a line now and then elsewhere; a context manager."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        measure: str,
        console: Console | None = None,
        *,
        silent: bool = False,
        playing: bool = False,
    ) -> None:
        """Show a run.

        Args:
            name: of the demo or the task.
            plan: of the training.
            measure: what mistakes are, in words.
            console: where to print.
            silent: print nothing, as all processes but the first do.
            playing: the model is trained already.
        """
        self._console = console or Console(quiet=silent)
        self._playing = playing
        self._name = name
        self._measure = measure
        model = plan.model.upper()
        self._who = f"the {model} of the package {plan.package}" if plan.package else f"memviz's {model}"
        self._url = ""
        self._path: Path | None = None
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                f"loss {{task.fields[loss]:.4f}}  {measure} {{task.fields[mistakes]:.2f}}  "
                "records {task.fields[records]}"
            ),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=plan.steps, loss=float("nan"), mistakes=float("nan"), records=0)

    def __enter__(self) -> Display:
        doing = "playing a trained model," if self._playing else "training"
        self._console.print(f"{doing} {self._who} on [bold]{self._name}[/bold]; Ctrl-C stops")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def recording(self, path: Path) -> None:
        """Say where the trace is."""
        self._path = path
        self._console.print(f"recording to {path}", soft_wrap=True)

    def serving(self, url: str) -> None:
        """Say where the page is."""
        self._url = url
        self._console.print(f"watch it at  [bold]{url}[/bold]", soft_wrap=True)

    def streaming(self, url: str) -> None:
        """Say where the page in Visdom is."""
        self._console.print(f"in Visdom at  [bold]{url}[/bold]", soft_wrap=True)

    def step(self, done: int, loss: float, mistakes: float, records: int) -> None:
        """Show one training step: steps done, loss, mistakes per item of the batch, records so far."""
        if self._console.is_terminal:
            self._bar.start()
            self._bar.update(self._task, completed=done, loss=loss, mistakes=mistakes, records=records)
        elif done % LINE_EVERY == 0:
            self._console.print(f"step {done}  loss {loss:.4f}  {self._measure} {mistakes:.2f}  records {records}")

    def evaluated(self, found: Evaluation, page: Path | None) -> None:
        """Say how the model does on fresh items, and where the plot is."""
        self._bar.stop()
        self._console.print(f"evaluated: {found.sentence()}", soft_wrap=True)
        if page is not None:
            self._console.print(f"plotted in {page}", soft_wrap=True)

    def finished(self, outcome: Outcome, serving: bool) -> None:
        """Say how it ended and what to do next."""
        self._bar.stop()
        solved = "[bold]solved[/bold]" if outcome.solved else "not solved"
        how = solved if self._playing else f"{solved} {'after' if outcome.solved else 'in'} {outcome.steps} steps"
        kept = f", {outcome.records} records in {outcome.path}" if outcome.path else ""
        self._console.print(f"{how}, {outcome.seconds:.1f} s{kept}", soft_wrap=True)
        if outcome.checkpoint is not None:
            self._console.print(f"checkpoint in {tensor_file(outcome.checkpoint)}", soft_wrap=True)
        if outcome.path is None:
            return
        if serving:
            self._console.print(f"still serving  [bold]{self._url}[/bold]  until Ctrl-C", soft_wrap=True)
        else:
            self._console.print(f"see it with  [bold]memviz serve {outcome.path}[/bold]", soft_wrap=True)

    def interrupted(self) -> None:
        """Say what an interrupted run left."""
        self._bar.stop()
        kept = f"what was recorded is in {self._path}" if self._path else "nothing was recorded"
        self._console.print(f"stopped; {kept}", soft_wrap=True)
