"""The recorder: what `memviz.attach` returns, and all that a training script talks to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor, nn

from memviz.errors import MissingFieldError, RecorderError
from memviz.recorders import explain, lifecycle, model_io
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.assembly import Assembler
from memviz.recorders.budget import Budget
from memviz.recorders.faults import Faults
from memviz.recorders.flight import FlightRecorder
from memviz.recorders.sampler import Sampler
from memviz.recorders.schedule import Schedule
from memviz.recorders.selection import FieldChoice
from memviz.recorders.sink import Sink
from memviz.recorders.span import Span
from memviz.recorders.steps import MISSED_STEPS, StepCounter
from memviz.recorders.triggers import Trigger
from memviz.trace.schema import Event
from memviz.trace.writer import TraceWriter

LABEL_VALUES = 4096
"""Values that a tensor may have to become a label."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a recorder has done so far.

    Attributes:
        recorded: records on disk.
        waiting: records on their way there.
        dropped: records lost because the writer could not keep up.
        errors: errors contained.
        forwards: forwards counted.
        step: the step of the last of them.
        every: the sampling in force, which a trace near its size limit widens.
        skipped: records that were not taken because `budget` was used up.
        nbytes: what the trace takes on disk, in bytes.
        self_seconds: time that the training thread spent recording.
        self_time_share: that as a share of the time since the first forward, in [0, 1].
        stopped: why recording has ended, "" while it goes on.
        path: where the trace is.
    """

    recorded: int
    waiting: int
    dropped: int
    errors: int
    forwards: int
    step: int
    every: int
    skipped: int
    nbytes: int
    self_seconds: float
    self_time_share: float
    stopped: str
    path: Path | None


class Recorder:
    """Records one model into one trace; made by `memviz.attach`. Also a context manager that closes itself.

    Attributes:
        path: where the trace is; None on a rank that does not record.
    """

    def __init__(
        self,
        model: nn.Module,
        plans: Sequence[MemoryPlan],
        *,
        choice: FieldChoice,
        schedule: Schedule,
        assembler: Assembler,
        strict: bool,
        triggers: Sequence[Trigger] = (),
        last: int = 0,
        budget: float | None = None,
        start: int = 0,
    ) -> None:
        self.path: Path | None = None
        self._model = model
        self._plans = plans
        self._choice = choice
        self._schedule = schedule
        self._assembler = assembler
        self._strict = strict
        self._closed = False
        self._sink: Sink | None = None
        self._faults = Faults(self._event, self._switch_off)
        self._steps = StepCounter(model, start)
        self._budget = Budget(budget)
        self._flight = FlightRecorder(
            model, assembler, self._faults, triggers, last, lambda: self._steps.optimized, self._spent
        )
        self._sampler = Sampler(
            model, plans, choice, schedule, self._steps, assembler, self._faults, self._flight, self._budget
        )

    def start(self, writer: TraceWriter, policy: str) -> None:
        """Begin to listen to the model; called by `attach`."""
        self.path = writer.path
        self._sink = Sink(writer, self._faults, policy=policy, on_stop=self._stopped, on_half=self._thin)
        self._steps.listen(self._after_update)
        self._sampler.start(self._sink)
        lifecycle.add(self)
        if self.holding:
            lifecycle.listen()

    @property
    def holding(self) -> bool:
        """Whether the last steps are held in memory, to be written when something goes wrong."""
        return self._flight.holding

    @property
    def model(self) -> nn.Module:
        """The attached model."""
        return self._model

    def catch_up(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> None:
        """Record a forward that has begun already, and that torch runs without the hook just placed.

        Args:
            args: positional arguments of the model's call.
            kwargs: its keyword arguments.
            frame: of the call.
        """
        self._sampler.before(self._model, args, kwargs, frame)

    @property
    def step(self) -> int:
        """The training step of the last counted forward. Set it after loading a checkpoint."""
        return self._steps.current

    @step.setter
    def step(self, step: int) -> None:
        self._steps.set(step)

    def log(self, step: int | None = None, *, per_item: Any = None, **scalars: Any) -> None:
        """Record scalars such as the loss, one line of the trace.

        Args:
            step: the training step; by default that of the last forward. Where no torch optimizer updates the model,
                it also tells the recorder which step that forward was.
            per_item: the loss of each batch item, [batch], by which `batch="worst"` chooses the item to record. Give
                it after the forward and before the next one. It is read at once, also from a GPU.
            **scalars: numbers, numpy scalars or tensors with one element. A tensor on a GPU is read by the writer
                thread, without waiting here.
        """
        if self._sink is None or self._closed:
            return
        try:
            values = {name: _scalar(name, value) for name, value in scalars.items()}
            if step is not None:
                step = int(step)
                self._schedule.shift(self._steps.correct(step))
            self._flight.log(values, per_item)
        except Exception as error:
            self._faults.error(error, "log()")
            return
        if values:
            self._sink.log(self._steps.current if step is None else step, values)

    def label(self, **labels: Any) -> None:
        """Attach labels to the next recorded forward: call it before the forward.

        Args:
            **labels: values that JSON can hold, such as `phases=[["input", 0, 10], ["recall", 11, 21]]`; they wait
                for the next recorded forward. A sequence as `target` (or `input`, `output`), a tensor of numbers
                [batch, time, channel] in the order of the model's own input, is recorded as the field `model/target`;
                it belongs to the very next forward, and is forgotten when that is not recorded. Other tensors, up to
                4096 values, become lists.
        """
        for name, value in labels.items():
            sequence = model_io.labelled_sequence(value) if name in model_io.NAMES else None
            if sequence is not None:
                self._sampler.sequences[name] = sequence
            elif isinstance(value, Tensor) and value.numel() > LABEL_VALUES:
                error = RecorderError(f"a tensor of shape {tuple(value.shape)} is too large for a label")
                self._faults.error(error, f"label {name!r}")
            else:
                self._sampler.labels[name] = value.tolist() if isinstance(value, Tensor) else value

    def sequence(self) -> Span:
        """Forwards inside this context are the times of one sequence, for a model that is called once per time.

            with recorder.sequence():
                state = model.begin(batch)
                for x in inputs:
                    output, state = model(x, state)

        The model's own input and output are no sequences then; give them by `label(input=..., target=...)` before it.
        """
        return Span(self._sampler)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far is on disk; False when `timeout` seconds were not enough.

        A forward whose gradients or losses have not come yet is not recorded so far.
        """
        return self._sink is None or self._sink.flush(timeout)

    def detach(self) -> None:
        """Stop listening and leave the model as it was. What was recorded is still being written; log() still works."""
        self._contained(self._flight.end, "the last step")
        self._sampler.stop()
        self._steps.stop()

    def close(self) -> None:
        """Detach, write everything and close the trace; safe to call twice.

        Raises:
            MissingFieldError: strict, forwards were sampled, and not one record came of them.
        """
        nothing = self._finish()
        if nothing and self._strict:
            raise MissingFieldError(nothing)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        self.dump(lifecycle.in_words(error))
        self._finish()  # the error on its way out is the one to hear about

    def dump(self, reason: str, trigger: str = "exception") -> None:
        """Write the steps that are held (`last`), because of `reason`; nothing when none are held.

        Args:
            reason: what happened, a phrase for the event.
            trigger: what to call it.
        """
        self._contained(lambda: self._flight.end(reason, trigger), "the held steps")

    def stats(self) -> Stats:
        """Counts, sizes and the time that recording took."""
        sink, sampler = self._sink, self._sampler
        elapsed = perf_counter_ns() - sampler.began_ns if sampler.began_ns else 0
        return Stats(
            recorded=sink.recorded if sink else 0,
            waiting=sink.waiting if sink else 0,
            dropped=sink.dropped if sink else 0,
            errors=self._faults.count,
            forwards=self._steps.forwards,
            step=self._steps.current,
            every=self._schedule.every,
            skipped=self._budget.skipped,
            nbytes=sink.nbytes if sink else 0,
            self_seconds=sampler.self_ns / 1e9,
            self_time_share=sampler.self_ns / elapsed if elapsed else 0.0,
            stopped=sampler.off,
            path=self.path,
        )

    def explain(self) -> str:
        """In words: what is recorded, what is derived, what is out of reach and why, and what went wrong."""
        also = {"holds": str(self._flight), "budget": str(self._budget), "grads": str(self._assembler.grads)}
        return explain.explain(
            self._model, self._plans, self._choice, self._schedule, self._assembler, self._faults, self.stats(), also
        )

    def note(self, text: str) -> None:
        """Say something, in the log and in the trace."""
        self._faults.note(text)

    def warn(self, text: str) -> None:
        """Say that something will not be recorded, as a warning and in the trace."""
        self._faults.say(text, "error")

    def forked(self) -> None:
        """This process is a fork of the one that records: fall silent, and leave the trace to the parent."""
        self._sampler.off = "this process was forked from the one that records"
        self._closed = True
        if self._sink is not None:
            self._sink.abandon()

    def _after_update(self) -> None:
        """An optimizer updated the model."""
        self._sampler.follow_compile()
        self._contained(self._flight.updated, "the end of a step")
        if self._steps.missed == MISSED_STEPS and not self._sampler.off:
            self._faults.say(
                f"{MISSED_STEPS} optimizer steps updated {type(self._model).__name__} without one call of it, so "
                f"nothing is recorded. Attach to the module that the training loop calls: what torch.compile or "
                f"DistributedDataParallel returned, not the module inside; and call model(x), not model.forward(x)",
                "error",
            )

    def _contained(self, do: Callable[[], None], what: str) -> None:
        try:
            do()
        except Exception as error:
            self._faults.error(error, what)

    def _spent(self, nanoseconds: int) -> None:
        self._sampler.spent(nanoseconds)

    def _event(self, kind: str, text: str) -> None:
        if self._sink is not None:
            self._sink.event(Event(kind, text, time.time(), self._steps.current))

    def _switch_off(self, reason: str) -> None:
        """Too many errors."""
        self._sampler.off = reason
        self._faults.say(f"recording is switched off after {reason}", "stopped")

    def _stopped(self, reason: str) -> None:
        """The writer gave up for good. Called by its thread, which has written the event."""
        self._sampler.off = reason
        self._faults.warn_once(f"recording has stopped, training goes on: {reason}")

    def _thin(self) -> None:
        """The trace has used half of its room: record half as often. Called by the writer thread."""
        often = self._schedule.thin()
        self._event("thinned", f"the trace has used half of the room that was left; recording {often} now")

    def _finish(self) -> str:
        """Detach and close; returns why nothing at all was recorded, or ""."""
        if self._closed:
            return ""
        self.detach()
        self._closed = True
        lifecycle.discard(self)
        if self._sink is None:
            return ""
        self._sink.close()
        if self._sink.recorded or not self._sampler.sampled or self._sink.stopped:
            return ""
        why = "; ".join(self._faults.messages) or "no probe and no tap brought a value"
        return f"not one record was written to {self.path}, although forwards were sampled: {why}"


def _scalar(name: str, value: Any) -> Any:
    """A number, or a tensor on a device for the writer thread to read; never a wait for the device."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise RecorderError(f"{name} is a tensor of shape {tuple(value.shape)}, not a scalar; log its mean, say")
        # A copy, because the next `total += loss` may come before the thread reads it.
        return value.detach().clone() if value.device.type != "cpu" else value.item()
    return float(value)
