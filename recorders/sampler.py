"""The sampler: stands at the attached model, opens a capture for forwards that are due, and hands over what they left.

Everything here runs inside the user's training step, so nothing here raises, and what is placed is taken out again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.recorders import explain, model_io, tap
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.assembly import Assembler
from memviz.recorders.budget import Budget
from memviz.recorders.capture import Capture, Channel, MemoryInfo, open_captures
from memviz.recorders.compiling import Stances
from memviz.recorders.discovery import calls_tap
from memviz.recorders.faults import Faults
from memviz.recorders.flight import FlightRecorder
from memviz.recorders.gradients import GradientChoice
from memviz.recorders.hooks import AfterForward, BeforeForward, CompiledCall, is_running
from memviz.recorders.pending import Pending
from memviz.recorders.probes import Probe
from memviz.recorders.schedule import Schedule
from memviz.recorders.selection import FieldChoice
from memviz.recorders.sink import Sink
from memviz.recorders.sites import SitePlug, make_sites
from memviz.recorders.static import StaticProbe, static_channels
from memviz.recorders.steps import Moment, StepCounter
from memviz.trace.schema import Event


class _Thread(threading.local):
    """Where one thread stands in the attached model."""

    depth = 0
    frame: FrameType | None = None
    capture: Capture | None = None
    due = False
    stance: Any = None


class Sampler:
    """Watches the forwards of one model and captures those that are due.

    Args:
        model: the attached model.
        plans: what adapters know of it.
        choice: which fields.
        schedule: which steps.
        steps: tells which step a forward belongs to.
        assembler: turns a finished capture into a draft.
        faults: hears about what goes wrong.
        flight: takes what was captured, and may want to hold steps that are not due.
        budget: bounds the time that all this takes.

    Attributes:
        labels: for the next recorded forward.
        sequences: tensors for the very next forward, by field name of `model`.
        off: why sampling has ended before it should, "" while it goes on.
        sampled: whether a forward was captured to its end.
        self_ns: nanoseconds that sampled forwards spent in here.
        began_ns: when the first forward began, by perf_counter_ns; 0 before it.
    """

    def __init__(
        self,
        model: nn.Module,
        plans: Sequence[MemoryPlan],
        choice: FieldChoice,
        schedule: Schedule,
        steps: StepCounter,
        assembler: Assembler,
        faults: Faults,
        flight: FlightRecorder,
        budget: Budget,
    ) -> None:
        self.labels: dict[str, Any] = {}
        self.sequences: dict[str, Tensor] = {}
        self.off = ""
        self.sampled = False
        self.self_ns, self.began_ns = 0, 0
        self._model = model
        self._plans = plans
        self._choice = choice
        self._schedule = schedule
        self._steps = steps
        self._assembler = assembler
        self._faults = faults
        self._flight = flight
        self._budget = budget
        self._sink: Sink | None = None
        self._here = _Thread()
        self._cloned: set[str] = set()
        self._io = model_io.ModelIO(model, plans)
        self._wanted_io = choice.choose(fields.MODEL, MemoryInfo(), model_io.NAMES)
        self._memories = {plan.name: MemoryInfo(plan.law, plan.attributes) for plan in plans}
        self._memories[fields.MODEL] = MemoryInfo()
        chosen = _chosen(plans, choice, assembler.grads)
        self._sites, self._channels = make_sites(chosen, lambda: self._here.capture)
        self._statics = [one for plan in plans for one in static_channels(plan, _wanted(plan, choice))]
        self._plug = SitePlug(self._sites)
        # Where nothing but static taps is recorded, the sampled forward may run compiled.
        self._stances = Stances(model, bool(self._sites) or not self._statics or calls_tap(model))
        self._handles: list[Any] = []

    def start(self, sink: Sink) -> None:
        """Place the two permanent hooks; records go to `sink` from now on."""
        self._sink = sink
        self._flight.start(sink)
        self._handles = [self._model.register_forward_pre_hook(BeforeForward(self), with_kwargs=True)]
        self._place_after_hook()
        self.follow_compile()

    def stop(self) -> None:
        """Leave the model as it was."""
        self._abandon()
        self._sink = None
        for handle in self._handles:
            handle.remove()
        self._handles = []
        compiled = self._model.__dict__.get("_compiled_call_impl")
        if isinstance(compiled, CompiledCall) and compiled.listener is self:
            self._model.__dict__["_compiled_call_impl"] = compiled.compiled

    def follow_compile(self) -> None:
        """Stand in front of `model.compile()`, which may be called at any time."""
        compiled = self._model.__dict__.get("_compiled_call_impl")
        if compiled is not None and not isinstance(compiled, CompiledCall) and self._sink is not None:
            self._model.__dict__["_compiled_call_impl"] = CompiledCall(self._model, compiled, self)

    def begin_span(self, frame: FrameType) -> None:
        """Forwards that follow are times of one; it ends with `after`, or when `frame` does. Called by a span."""
        self.before(None, (), {}, frame)

    def before(
        self, module: nn.Module | None, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType
    ) -> None:
        """A forward of the model begins. Called by its hook; `module` is None where a span begins instead."""
        if self._sink is None or self.off or _is_rerun():
            return
        here = self._here
        if here.depth:
            if here.frame is not None and is_running(here.frame):
                here.depth += 1
                return
            self._abandon()  # a KeyboardInterrupt ended that forward, and no hook said so
        here.depth, here.frame = 1, frame
        try:
            moment = self._steps.forward(self._model)
            if moment is None:
                return
            sequences, self.sequences = self.sequences, {}
            self.began_ns = self.began_ns or perf_counter_ns()
            held = self._flight.turn(moment.step)
            due = self._schedule.due(moment.step)
            if due or held:
                here.due = due
                self._begin(self._sink, moment, module, args, kwargs, sequences)
        except Exception as error:
            self._leave()
            self._faults.error(error, "the start of a forward")

    def after(self, output: Any, failed: bool) -> None:
        """A forward of the model has ended. Called by its hook."""
        here = self._here
        if here.depth > 1:
            here.depth -= 1
            return
        here.depth, here.frame = 0, None
        capture = here.capture
        if not failed:
            self._flight.watch(output)
        if capture is None:
            return
        start = perf_counter_ns() - capture.nanoseconds
        self._leave()
        if failed:
            # The next forward of the step takes its place.
            if here.due:
                self._schedule.undo()
            self.labels = {**capture.labels, **self.labels}
            return
        try:
            self._end(capture, output, here.due)
        except Exception as error:
            self._faults.error(error, "the end of a forward")
        del capture  # with the last references to the collected tensors, which takes its time too
        nanoseconds = perf_counter_ns() - start
        self.spent(nanoseconds)
        self._budget.recorded(nanoseconds)

    def spent(self, nanoseconds: int) -> None:
        """Count time that recording took."""
        self.self_ns += nanoseconds
        self._budget.spend(nanoseconds)

    def _begin(
        self,
        sink: Sink,
        moment: Moment,
        module: nn.Module | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        sequences: Mapping[str, Tensor],
    ) -> None:
        """Open a capture in this thread and plug the probes in."""
        start = perf_counter_ns()
        if _in_cuda_graph():
            return
        due = self._here.due
        if due:
            self._schedule.done(moment.step)
        if not self._budget.allows(start):
            self._say_thinned(sink, moment.step)
            return
        if due and not sink.room():
            sink.drop(moment.step)
            return
        labels, self.labels = self.labels, {}
        if not moment.training:
            labels.setdefault("mode", "eval")
        capture = Capture(
            moment,
            self._channels,
            len(self._sites),
            self._cloned,
            self._memories,
            labels,
            self._faults.error,
            self._assembler.ignored,
        )
        capture.choose = None if self._assembler.batch.worst else self._assembler.batch.items
        self._here.capture = capture
        open_captures().append((self._model, capture))
        tap.captures_changed(1)
        self._plug.plug()
        self._here.stance = self._stances.enter()
        for site in self._sites:
            if site.target is module and not site.method:
                if site.before:
                    site.collect_before(args, kwargs)  # torch has listed the pre-hooks that it will call already
                else:
                    self._place_after_hook()  # ours must come last, after those of the probes
        if module is not None:
            for static in self._statics:
                static.tap.written = 0  # a replay of a graph leaves it as it was when the graph was captured
        given = {"input": model_io.model_input(args, kwargs), **sequences}
        for name in model_io.NAMES:
            value = given.get(name)
            if value is not None and (name in self._wanted_io or name in sequences):
                capture.put(capture.add_channel(self._io.channels[name]), value)
        capture.nanoseconds += perf_counter_ns() - start

    def _end(self, capture: Capture, output: Any, due: bool) -> None:
        """Keep what was collected, and hand it over."""
        for site in self._sites:
            site.settle(capture)
        for static in self._statics:
            static.collect(capture)
        copied = len(self._cloned)
        value = model_io.model_output(output)
        channel = self._io.channels["output"]
        if value is not None and "output" in self._wanted_io and channel not in capture.channels:
            capture.put(capture.add_channel(channel), value)
        self._io.settle(capture)
        pending = self._keep(capture, due)
        if not self.sampled or len(self._cloned) > copied:
            for site in self._sites:
                site.learn(capture, self._cloned)
        if not self.sampled:
            self.sampled = True
            self._check_arrivals(capture)
        if pending is not None:
            self._flight.take(pending, capture, output, lambda item: self._keep(capture, due, item))

    def _keep(self, capture: Capture, due: bool, also: int | None = None) -> Pending | None:
        pending = self._assembler.assemble(
            capture, self._choice, self._cloned, self._faults, also=also, spent=self.spent
        )
        if pending is not None:
            pending.due = due
        return pending

    def _say_thinned(self, sink: Sink, step: int) -> None:
        """A step was left out to stay within the budget; said at the first one, and whenever their number doubles."""
        skipped = self._budget.skipped
        if skipped & (skipped - 1) == 0:
            steps = "a step is" if skipped == 1 else f"{skipped} steps are"
            text = f"recording keeps to its budget, {self._budget}: {steps} left out so far"
            sink.event(Event("thinned", text, time.time(), step, {"skipped": skipped}))

    def _check_arrivals(self, capture: Capture) -> None:
        """After the first sampled forward: say which promised fields never came."""
        arrived = {
            channel.full_name for channel, values in zip(capture.channels, capture.values, strict=True) if values
        }
        troubled = self._faults.count > 0
        channels = [*self._channels, *(static.channel for static in self._statics)]
        for text in explain.missing(self._model, self._plans, channels, arrived, self._choice, troubled):
            self._faults.say(text, "error")

    def _leave(self) -> None:
        """Close this thread's capture and take the probes out."""
        here = self._here
        capture, here.capture = here.capture, None
        stance, here.stance = here.stance, None
        self._stances.leave(stance)
        if capture is not None:
            open_captures()[:] = [pair for pair in open_captures() if pair[1] is not capture]
            tap.captures_changed(-1)
            self._plug.unplug()

    def _abandon(self) -> None:
        self._here.depth, self._here.frame = 0, None
        self._leave()

    def _place_after_hook(self) -> None:
        """Register the post-hook of the model, as the last of its hooks."""
        for handle in self._handles[1:]:
            handle.remove()
        hook = AfterForward(self)
        self._handles[1:] = [self._model.register_forward_hook(hook, with_kwargs=True, always_call=True)]


def _chosen(
    plans: Sequence[MemoryPlan], choice: FieldChoice, grads: GradientChoice
) -> list[tuple[nn.Module, Probe, Channel]]:
    """The probes whose fields are wanted, each with its channel.

    A state's last value may be all that is wanted of it, or its gradient.
    """
    chosen = []
    for plan in plans:
        wanted = _wanted(plan, choice)
        for probe in plan.probes:
            if isinstance(probe, StaticProbe):
                continue
            axes = probe.value_axes()
            last = f"{fields.FINAL_PREFIX}{probe.field}"
            recorded = probe.field in wanted
            if recorded or grads.extra(plan.name, probe.field):
                options = (probe.keep, probe.finish, probe.mutable, recorded, probe.ragged)
                channel = Channel(plan.name, probe.field, axes, *options)
                chosen.append((plan.module, probe, channel))
            if last in wanted:
                chosen.append((plan.module, probe, Channel(plan.name, last, axes, "last", None, probe.mutable)))
    return chosen


def _wanted(plan: MemoryPlan, choice: FieldChoice) -> frozenset[str]:
    """Bare names of the fields to record of one memory."""
    return choice.choose(plan.name, MemoryInfo(plan.law, plan.attributes), [probe.field for probe in plan.probes])


def _is_rerun() -> bool:
    """Whether this is no forward of its own: backward reruns what is checkpointed, tracing looks at the code."""
    return torch._C._current_graph_task_id() != -1 or torch._C._get_tracing_state() is not None


def _in_cuda_graph() -> bool:
    """Whether a CUDA graph is being captured: what a recorder did would become part of it."""
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized() and cuda.is_current_stream_capturing())
