"""The recorder: sees the forwards of one model, samples some, and sends what they left to the writer thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.errors import MissingFieldError, RecorderError
from memviz.recorders import explain, lifecycle, model_io, tap
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.assembly import Assembler
from memviz.recorders.capture import Capture, Channel, MemoryInfo, open_captures
from memviz.recorders.compiling import Stances
from memviz.recorders.faults import Faults
from memviz.recorders.hooks import AfterForward, BeforeForward, CompiledCall, is_running
from memviz.recorders.schedule import Schedule
from memviz.recorders.selection import FieldChoice
from memviz.recorders.sink import Sink
from memviz.recorders.sites import SitePlug, make_sites
from memviz.recorders.steps import MISSED_STEPS, Moment, StepCounter
from memviz.trace.schema import Event
from memviz.trace.writer import TraceWriter


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
    nbytes: int
    self_seconds: float
    self_time_share: float
    stopped: str
    path: Path | None


class _Thread(threading.local):
    """Where one thread stands in the attached model."""

    depth = 0
    frame: FrameType | None = None
    capture: Capture | None = None
    stance: Any = None


class Recorder:
    """Records one model into one trace; made by `memviz.attach`. Also a context manager that closes itself.

    Attributes:
        path: where the trace is; None on a rank that does not record.
    """

    def __init__(
        self,
        model: nn.Module,
        plans: list[MemoryPlan],
        *,
        choice: FieldChoice,
        schedule: Schedule,
        assembler: Assembler,
        strict: bool,
        start: int = 0,
        taps: bool = True,
    ) -> None:
        self.path: Path | None = None
        self._model = model
        self._plans = plans
        self._choice = choice
        self._schedule = schedule
        self._assembler = assembler
        self._strict = strict
        self._taps = taps
        self._sink: Sink | None = None
        self._faults = Faults(self._event, self._switch_off)
        self._steps = StepCounter(model, start)
        self._steps.watch(self._after_update)
        self._thread = _Thread()
        self._labels: dict[str, Any] = {}
        self._sequences: dict[str, Tensor] = {}
        self._cloned: set[str] = set()
        self._off = ""  # why recording has ended before it should
        self._listening = True
        self._closed = False
        self._checked = False
        self._self_ns, self._began_ns = 0, 0
        self._io = model_io.channels(model, plans)
        self._memories = {plan.name: MemoryInfo(plan.law, plan.attributes) for plan in plans}
        self._memories[fields.MODEL] = MemoryInfo()
        self._wanted_io = choice.choose(fields.MODEL, MemoryInfo(), tuple(self._io))
        self._sites, self._channels = make_sites(_chosen(plans, choice), lambda: self._thread.capture)
        self._plug = SitePlug(self._sites)
        self._stances = Stances(model)
        self._handles: list[Any] = []

    def start(self, writer: TraceWriter, policy: str) -> None:
        """Begin to listen to the model; called by `attach`."""
        self.path = writer.path
        self._sink = Sink(writer, self._faults, policy=policy, on_stop=self.stopped, on_half=self.thin)
        self._handles = [self._model.register_forward_pre_hook(BeforeForward(self), with_kwargs=True)]
        self._place_after_hook()
        self._follow_compile()
        lifecycle.add(self)

    @property
    def step(self) -> int:
        """The training step of the last counted forward. Set it after loading a checkpoint."""
        return self._steps.current

    @step.setter
    def step(self, step: int) -> None:
        self._steps.set(step)

    def log(self, step: int | None = None, **scalars: Any) -> None:
        """Record scalars such as the loss, one line of the trace.

        Args:
            step: the training step; by default that of the last forward. Where no torch optimizer updates the model,
                it also tells the recorder which step that forward was.
            **scalars: numbers, numpy scalars or tensors with one element. A tensor on a GPU is read by the writer
                thread, without waiting here.
        """
        if self._sink is None or self._closed:
            return
        if step is not None:
            step = int(step)
            self._steps.correct(step)
        self._sink.log(self._steps.current if step is None else step, {k: _scalar(v) for k, v in scalars.items()})

    def label(self, **labels: Any) -> None:
        """Attach labels to the next recorded forward: call it before the forward.

        Args:
            **labels: values that JSON can hold, such as `phases=[["input", 0, 10], ["recall", 11, 21]]`; they wait
                for the next recorded forward. A tensor as `target` (or `input`, `output`), [batch, time, channel] or
                the order of the model's own input, is recorded as the field `model/target`; it belongs to the very
                next forward, and is forgotten when that is not recorded.
        """
        for name, value in labels.items():
            sequence = model_io.sequence(value) if name in model_io.NAMES else None
            if sequence is not None:
                self._sequences[name] = sequence
            elif isinstance(value, Tensor):
                self._labels[name] = value.tolist()
            else:
                self._labels[name] = value

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far is on disk; False when `timeout` seconds were not enough."""
        return self._sink is None or self._sink.flush(timeout)

    def detach(self) -> None:
        """Stop listening to the model and leave it as it was. What was recorded is still being written."""
        self._abandon_capture()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        compiled = self._model.__dict__.get("_compiled_call_impl")
        if isinstance(compiled, CompiledCall) and compiled.listener is self:
            self._model.__dict__["_compiled_call_impl"] = compiled.compiled
        self._steps.stop()
        self._listening = False

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
        else:
            self._finish()  # the error on its way out is the one to hear about

    def stats(self) -> Stats:
        """Counts, sizes and the time that recording took."""
        sink = self._sink
        elapsed = perf_counter_ns() - self._began_ns if self._began_ns else 0
        return Stats(
            recorded=sink.recorded if sink else 0,
            waiting=sink.waiting if sink else 0,
            dropped=sink.dropped if sink else 0,
            errors=self._faults.count,
            forwards=self._steps.forwards,
            step=self._steps.current,
            every=self._schedule.every,
            nbytes=sink.nbytes if sink else 0,
            self_seconds=self._self_ns / 1e9,
            self_time_share=self._self_ns / elapsed if elapsed else 0.0,
            stopped=self._off,
            path=self.path,
        )

    def explain(self) -> str:
        """In words: what is recorded, what is derived, what is out of reach and why, and what went wrong."""
        return explain.explain(
            self._model, self._plans, self._choice, self._schedule, self._assembler, self._faults, self.stats()
        )

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> None:
        """A forward of the model begins. Called by its hook; never raises."""
        here = self._thread
        # Backward runs parts of a checkpointed model again, and torch.jit.trace runs it to look at it.
        if (
            not self._listening
            or self._off
            or torch._C._current_graph_task_id() != -1
            or torch._C._get_tracing_state() is not None
        ):
            return
        if here.depth:
            if here.frame is not None and is_running(here.frame):
                here.depth += 1
                return
            self._abandon_capture()  # a KeyboardInterrupt ended that forward
        here.depth, here.frame = 1, frame
        try:
            moment = self._steps.forward(self._model)
            if moment is None:
                return
            sequences, self._sequences = self._sequences, {}
            if not self._began_ns:
                self._began_ns = perf_counter_ns()
            if self._schedule.due(moment.step):
                self._begin(moment, module, args, kwargs, sequences)
        except Exception as error:
            self._faults.error(error, "the start of a forward")
            self._abandon_capture(keep_depth=True)

    def after(self, output: Any, failed: bool) -> None:
        """A forward of the model has ended. Called by its hook; never raises."""
        here = self._thread
        if not here.depth:
            return
        here.depth -= 1
        if here.depth:
            return
        here.frame = None
        capture = here.capture
        if capture is None:
            return
        start = perf_counter_ns()
        self._leave()
        if not failed:
            try:
                self._end(capture, output)
            except Exception as error:
                self._faults.error(error, "the end of a forward")
        self._self_ns += capture.nanoseconds + perf_counter_ns() - start

    def forked(self) -> None:
        """This process is a fork of the one that records: fall silent, and leave the trace to the parent."""
        self._off = "this process was forked from the one that records"
        self._closed = True
        if self._sink is not None:
            self._sink.abandon()

    def _begin(
        self,
        moment: Moment,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        sequences: Mapping[str, Tensor],
    ) -> None:
        """Open a capture in this thread and plug the probes in."""
        start = perf_counter_ns()
        sink = self._sink
        if sink is None or _in_cuda_graph():
            return
        if not sink.room():
            self._schedule.done(moment.step)
            sink.drop(moment.step)
            return
        labels, self._labels = self._labels, {}
        if not moment.training:
            labels.setdefault("mode", "eval")
        capture = Capture(
            moment, self._channels, len(self._sites), self._cloned, self._memories, labels, self._faults.error
        )
        self._thread.capture = capture
        open_captures().append((self._model, capture))
        tap.captures_changed(1)
        self._plug.plug()
        self._thread.stance = self._stances.enter()
        for site in self._sites:
            if site.target is module and not site.method:
                if site.before:
                    site.collect_before(args, kwargs)  # torch has already listed the pre-hooks that it will call
                else:
                    self._place_after_hook()  # ours must come last, after those of the probes
        given = {"input": model_io.model_input(args, kwargs), **sequences}
        for name in model_io.NAMES:
            value = given.get(name)
            if value is not None and (name in self._wanted_io or name in sequences):
                capture.put(capture.add_channel(self._io[name]), value)
        capture.nanoseconds += perf_counter_ns() - start

    def _end(self, capture: Capture, output: Any) -> None:
        """Stack what was collected and queue it."""
        sink = self._sink
        moment: Any = capture.moment
        self._schedule.done(moment.step)
        value = model_io.model_output(output)
        if value is not None and "output" in self._wanted_io and not _has(capture, self._io["output"]):
            capture.put(capture.add_channel(self._io["output"]), value)
        draft = self._assembler.assemble(capture, self._choice, self._cloned, self._faults)
        if not self._checked:
            self._checked = True
            self._check_arrivals(capture)
        if draft is not None and sink is not None:
            sink.put(draft)

    def _leave(self) -> None:
        """Close this thread's capture and take the probes out."""
        here = self._thread
        capture, here.capture = here.capture, None
        stance, here.stance = here.stance, None
        self._stances.leave(stance)
        if capture is not None:
            open_captures()[:] = [pair for pair in open_captures() if pair[1] is not capture]
            tap.captures_changed(-1)
            self._plug.unplug()

    def _abandon_capture(self, keep_depth: bool = False) -> None:
        here = self._thread
        if not keep_depth:
            here.depth, here.frame = 0, None
        if here.capture is not None:
            self._leave()

    def _place_after_hook(self) -> None:
        """Register the post-hook of the model, as the last of its hooks."""
        for handle in self._handles[1:]:
            handle.remove()
        self._handles[1:] = [self._model.register_forward_hook(AfterForward(self), with_kwargs=True, always_call=True)]

    def _check_arrivals(self, capture: Capture) -> None:
        """After the first sampled forward: say which promised fields never came."""
        arrived = {
            channel.full_name for channel, values in zip(capture.channels, capture.values, strict=True) if values
        }
        for text in explain.missing(self._model, self._plans, self._channels, arrived, self._choice):
            self._faults.say(text, "error")

    def _after_update(self) -> None:
        """The model's parameters were updated by an optimizer."""
        self._follow_compile()
        if self._steps.missed == MISSED_STEPS and self._listening and not self._off:
            self._faults.say(
                f"{MISSED_STEPS} optimizer steps updated {type(self._model).__name__} without one call of it, so "
                f"nothing is recorded. Attach to the module that the training loop calls: the result of torch.compile "
                f"or DistributedDataParallel instead of the module inside; and call model(x), not model.forward(x)",
                "error",
            )

    def _follow_compile(self) -> None:
        """Stand in front of `model.compile()`, which may be called at any time."""
        compiled = self._model.__dict__.get("_compiled_call_impl")
        if compiled is not None and not isinstance(compiled, CompiledCall) and not self._off:
            self._model.__dict__["_compiled_call_impl"] = CompiledCall(self._model, compiled, self)

    def _event(self, kind: str, text: str) -> None:
        if self._sink is not None:
            self._sink.event(Event(kind, text, time.time(), self._steps.current))

    def _switch_off(self, reason: str) -> None:
        self._off = reason
        self._faults.say(f"recording is switched off after {reason}", "stopped")

    def note(self, text: str) -> None:
        """Say something once, here and in the trace."""
        self._faults.say(text, "note")

    def stopped(self, reason: str) -> None:
        """The writer gave up for good. Called by its thread."""
        self._off = reason
        self._faults.say(f"recording has stopped, training goes on: {reason}", "stopped")

    def thin(self) -> None:
        """The trace is half full: record half as often. Called by the writer thread."""
        every = self._schedule.thin()
        self._event("thinned", f"the trace has used half of the room that was left; recording every {every} steps now")

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
        if self._sink.recorded or not self._checked or self._sink.stopped:
            return ""
        why = "; ".join(self._faults.messages) or "no probe and no tap brought a value"
        return f"not one record was written to {self.path}, although forwards were sampled: {why}"


def _chosen(plans: list[MemoryPlan], choice: FieldChoice) -> list[tuple[nn.Module, Any, Channel]]:
    """The probes whose fields are wanted, each with its channel; a state's last value may be all that is wanted."""
    chosen = []
    for plan in plans:
        wanted = choice.choose(plan.name, MemoryInfo(plan.law, plan.attributes), [probe.field for probe in plan.probes])
        for probe in plan.probes:
            axes = probe.value_axes()
            last = f"{fields.FINAL_PREFIX}{probe.field}"
            if probe.field in wanted:
                channel = Channel(plan.name, probe.field, axes, probe.keep, probe.finish, probe.mutable)
                chosen.append((plan.module, probe, channel))
            if last in wanted:
                chosen.append((plan.module, probe, Channel(plan.name, last, axes, "last", None, probe.mutable)))
    return chosen


def _has(capture: Capture, channel: Channel) -> bool:
    return any(known.full_name == channel.full_name for known in capture.channels)


def _scalar(value: Any) -> Any:
    """A number, or a tensor on a device for the writer thread to read; never a wait for the device."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise RecorderError(f"log() takes scalars; got a tensor of shape {tuple(value.shape)}. Log its mean, say")
        # A copy, because the next `total += loss` may come before the thread reads it.
        return value.detach().clone() if value.device.type != "cpu" else value.item()
    return value


def _in_cuda_graph() -> bool:
    """Whether a CUDA graph is being captured: what a recorder did would become part of it."""
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized() and cuda.is_current_stream_capturing())
