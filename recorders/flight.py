"""What becomes of captured forwards: written at once, once their gradients or losses have come, or held for a trigger.

The flight recorder holds the last steps in a ring. Most are forgotten; when a trigger fires, or an exception or SIGTERM
ends the training, what the ring holds goes to the trace, with an event that says why.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memviz.errors import RecorderError
from memviz.recorders import origin
from memviz.recorders.assembly import Assembler
from memviz.recorders.capture import Capture
from memviz.recorders.faults import Faults
from memviz.recorders.gradients import GradientNorm
from memviz.recorders.late import Late
from memviz.recorders.pending import Pending
from memviz.recorders.sink import Draft, Sink
from memviz.recorders.triggers import FINITE, Observation, Trigger, name_of, needs_of
from memviz.trace.schema import Event

Again = Callable[[int], Pending | None]
"""Keeps a forward once more, with one batch item more."""


class Step:
    """What is known of one training step until its triggers have been asked."""

    __slots__ = (
        "draft",
        "finite",
        "gradients",
        "norms",
        "number",
        "origin",
        "pending",
        "scalars",
        "updated",
        "written",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.scalars: dict[str, float | Late] = {}
        self.pending: list[Pending] = []
        self.draft: Draft | None = None
        self.written = False
        self.origin: origin.Origin | None = None
        self.finite: Late | None = None
        self.norms: Sequence[Late] = ()
        self.gradients: Sequence[origin.Column] = ()
        self.updated = False

    def ready(self) -> bool:
        """Whether all its numbers have arrived from their device."""
        late = [*self.norms, *(value for value in self.scalars.values() if isinstance(value, Late))]
        return all(value.ready() for value in ([*late, self.finite] if self.finite else late))


class FlightRecorder:
    """Takes captured forwards and sends them to the sink, now, later or never.

    Args:
        model: the attached model.
        assembler: makes drafts.
        faults: hears about what goes wrong.
        triggers: asked at the end of each step.
        last: how many steps to hold; with triggers at least one.
        optimized: says whether a torch optimizer updates the model.
        spent: told the nanoseconds that go by outside forwards.
    """

    def __init__(
        self,
        model: nn.Module,
        assembler: Assembler,
        faults: Faults,
        triggers: Sequence[Trigger] = (),
        last: int = 0,
        optimized: Callable[[], bool] = lambda: False,
        spent: Callable[[int], None] = lambda nanoseconds: None,
    ) -> None:
        if type(last) is not int or last < 0:
            raise RecorderError(f"last={last!r}: expected a number of steps, 0 or more")
        self.triggers = triggers
        self.last = max(last, 1) if triggers else last
        self._model = model
        self._assembler = assembler
        self._faults = faults
        self._optimized = optimized
        self._needs = needs_of(triggers)
        self._sink: Sink | None = None
        self._lock = threading.RLock()
        self._ring: deque[Step] = deque(maxlen=self.last or 1)
        self._unasked: deque[Step] = deque()
        self._now: Step | None = None
        self._bad: origin.Origin | None = None
        self._norm = GradientNorm(model, faults.error, spent) if self._needs else None

    @property
    def holding(self) -> bool:
        """Whether the last steps are held, so that every step must be captured."""
        return self.last > 0

    @property
    def nbytes(self) -> int:
        """What the held steps take in memory."""
        return sum(step.draft.nbytes for step in self._ring if step.draft is not None)

    @property
    def _waits(self) -> bool:
        return self.holding or bool(self._assembler.grads) or self._assembler.batch.worst

    def start(self, sink: Sink) -> None:
        """Records go to `sink` from now on."""
        self._sink = sink

    def turn(self, number: int) -> bool:
        """A counted forward begins; returns whether it should be captured in order to be held."""
        if not self._waits:
            return False
        with self._lock:
            if self._now is not None and self._now.number == number:
                return False
            self._over()
            self._now = Step(number)
            if self.holding:
                self._ring.append(self._now)
            if self.triggers:
                self._unasked.append(self._now)
            return self.holding

    def watch(self, output: Any) -> None:
        """A forward has ended, captured or not: what its backward pass leaves may be asked for."""
        if self._norm is not None:
            self._norm.arm(output)

    def take(self, pending: Pending, capture: Capture, output: Any, again: Again) -> None:
        """A forward has been captured.

        Args:
            pending: what is kept of it.
            capture: all of it.
            output: what the model returned.
            again: keeps it once more, with another batch item.
        """
        if not self._waits:
            self._write(self._assembler.draft(pending, self._faults))
            return
        with self._lock:
            step = self._now or Step(pending.moment.step)
            if FINITE in self._needs:
                pending = self._examine(step, pending, capture, output, again)
            step.pending.append(pending)
            if pending.gradients is None and pending.items is not None:
                self._settle(step, pending)

    def log(self, values: Mapping[str, Any], per_item: Any = None) -> None:
        """The training loop has logged scalars, and maybe the loss of each batch item."""
        step = self._now
        if step is None:
            return
        with self._lock:
            if self.triggers:
                for name, value in values.items():
                    step.scalars[name] = Late(value) if isinstance(value, Tensor) else float(value)
            if per_item is not None:
                self._choose(step, per_item)

    def updated(self) -> None:
        """An optimizer has updated the model: the gradients of the step are complete."""
        step = self._now
        if step is None:
            return
        with self._lock:
            step.updated = True
            self._take_norms(step)
            for pending in step.pending:
                if pending.items is not None:
                    self._settle(step, pending)

    def end(self, reason: str = "", trigger: str = "exception") -> None:
        """No more steps come: settle what waits, ask the triggers, and write what is held when there is a reason."""
        with self._lock:
            self._over(wait=True)
            self._now = None
            if reason and self.holding:
                self._dump(trigger, reason, self._ring[-1].number if self._ring else 0, {})

    def __str__(self) -> str:
        if not self.holding:
            return ""
        asked = ", ".join(name_of(trigger) for trigger in self.triggers)
        steps = "the last step is" if self.last == 1 else f"the last {self.last} steps are"
        why = f"{asked}, an exception or SIGTERM" if asked else "an exception or SIGTERM"
        return f"{steps} held ({self.nbytes:,} bytes now) and written on {why}"

    def _examine(self, step: Step, pending: Pending, capture: Capture, output: Any, again: Again) -> Pending:
        """Look for a value that is not finite, and where it came from; such an item is recorded too."""
        tensors = [one.tensor for one in pending.snapshots if _counts(one.channel.full_name, one.tensor)]
        tensors += _outputs(output)
        with torch.no_grad():
            here = [float(_total(tensor)) for tensor in tensors if tensor.device.type == "cpu"]
            away = [_total(tensor) for tensor in tensors if tensor.device.type != "cpu"]
            if away:
                # Looked at when they have arrived: asking now would wait for the device.
                step.finite = Late(torch.stack([one.to(away[0].device) for one in away]))
        if all(map(math.isfinite, here)):
            if not away:
                self._bad = None
            return pending
        if self._bad is not None:
            step.origin = self._bad
            return pending
        found = origin.forward_origin(pending.moment.step, origin.columns_of(capture))
        if found is None:
            return pending
        item = found.item
        step.origin = self._bad = origin.parameter_origin(pending.moment.step, self._model) or found
        if item is not None and pending.items is not None and item not in pending.items:
            return again(item) or pending
        return pending

    def _choose(self, step: Step, per_item: Any) -> None:
        """The losses of the items are known: record the item with the largest one."""
        waiting = [pending for pending in step.pending if pending.items is None]
        if not waiting:
            return
        losses = np.asarray(per_item.detach().cpu().float() if isinstance(per_item, Tensor) else per_item, np.float64)
        for pending in waiting:
            if losses.shape != (pending.size,):
                raise RecorderError(
                    f"per_item has the shape {losses.shape}; expected one loss for each of the {pending.size} items"
                )
            # NaN is worse than any number, and argmax takes it for the largest.
            worst = int(losses.argmax())
            pending.choose([worst])
            pending.labels = {**pending.labels, "loss_of_item": float(losses[worst])}
            if pending.gradients is None or step.updated:
                self._settle(step, pending)

    def _settle(self, step: Step, pending: Pending) -> None:
        """A forward waits for nothing any more: add its gradients, and write it if it is due."""
        if pending.settled:
            return
        pending.settled = True
        if pending.items is None:
            pending.choose(self._assembler.batch.items(pending.size))
            self._faults.say(
                'batch="worst" needs rec.log(per_item=losses) after the forward; without it item 0 is recorded', "note"
            )
        if pending.gradients is not None:
            self._add_gradients(step, pending)
        draft = self._assembler.draft(pending, self._faults)
        if pending.due:
            self._write(draft)
        if self.holding and step.draft is None:
            step.draft, step.written = draft, pending.due

    def _add_gradients(self, step: Step, pending: Pending) -> None:
        taps = pending.gradients
        assert taps is not None
        pending.gradients = None
        taps.close()
        with torch.no_grad():
            gradients = list(taps.snapshots(pending.selection))
        if not gradients and not taps.arrived:
            why = "no backward pass reached them" if len(taps) else "none of the recorded values requires gradients"
            self._faults.say(
                f"grads: {why}; step {pending.moment.step} was the first one without gradients", "note", why
            )
        elif FINITE in self._needs:
            step.gradients = origin.columns_of_snapshots(gradients, pending.selection)
        pending.snapshots += gradients

    def _take_norms(self, step: Step) -> None:
        if self._norm is not None:
            step.norms = self._norm.take() or step.norms

    def _over(self, wait: bool = False) -> None:
        """The step that was going on is over: settle it, and ask the triggers about all steps that have arrived."""
        step = self._now
        if step is not None:
            self._take_norms(step)
            for pending in step.pending:
                self._settle(step, pending)
            step.pending = []
        while self._unasked:
            # A step that is about to leave the ring is asked about now, or never.
            if not (wait or self._unasked[0].ready() or len(self._unasked) >= self.last):
                return
            self._ask(self._unasked.popleft())

    def _ask(self, step: Step) -> None:
        if step.finite is not None and step.draft is not None:
            self._examine_late(step, step.draft)
        norms = [number for norm in step.norms for number in norm.numbers()]
        norm = math.hypot(*norms) if norms else None
        updated = step.updated or not self._optimized()
        # Without an update nothing comes of it: a gradient scaler lets gradients overflow, and skips the update.
        if updated and step.gradients and step.origin is None and not (norm is not None and math.isfinite(norm)):
            step.origin = origin.backward_origin(step.number, step.gradients)
        step.gradients = ()
        seen = Observation(
            step.number,
            {name: v.numbers()[0] if isinstance(v, Late) else v for name, v in step.scalars.items()},
            step.origin,
            norm,
            updated,
            lambda name: _read(step.draft, name),
        )
        for trigger in self.triggers:
            try:
                reason = trigger.check(seen)
            except Exception as error:
                self._faults.error(error, f"the trigger {name_of(trigger)}")
                continue
            if reason:
                data = {"origin": seen.origin.to_json()} if seen.origin is not None else {}
                self._dump(name_of(trigger), str(reason), step.number, data)

    def _examine_late(self, step: Step, draft: Draft) -> None:
        """The sums have arrived from the device: when they are not finite, look into what was recorded."""
        assert step.finite is not None
        if all(math.isfinite(number) for number in step.finite.numbers()):
            self._bad = None
        elif self._bad is not None:
            step.origin = self._bad
        else:
            axes = {channel.full_name: channel.layout.stored for channel in draft.channels}
            columns = [
                origin.Column(name, axes[name], array.astype(np.float32), tuple(draft.batch))
                for name, array in _arrays(draft).items()
                if array.dtype.kind not in "biu"
            ]
            step.origin = self._bad = origin.forward_origin(step.number, columns)

    def _dump(self, trigger: str, reason: str, number: int, data: Mapping[str, Any]) -> None:
        """Write the steps that are held and were not written yet, oldest first, and say why."""
        held = [step for step in self._ring if step.draft is not None]
        written = 0
        for step in held:
            if step.written or step.draft is None or self._sink is None:
                continue
            draft = dataclasses.replace(step.draft, labels={**step.draft.labels, "trigger": trigger})
            written += self._sink.put(draft, always=True)
            step.written = True
        span = f" (steps {held[0].number} to {held[-1].number})" if held else ""
        many = f"{len(held)} held step{'s' if len(held) != 1 else ''}{span}, {written} of them new, are in the trace"
        text = f"{trigger}: {reason}; {many}"
        if self._sink is not None:
            facts = {"trigger": trigger, "reason": reason, "held": len(held), "written": written, **data}
            self._sink.event(Event("trigger", text, time.time(), number, facts))
        self._faults.warn_once(text)

    def _write(self, draft: Draft) -> None:
        if self._sink is not None:
            self._sink.put(draft)


def _counts(name: str, tensor: Tensor) -> bool:
    """Whether a field should be finite."""
    return tensor.is_floating_point() and name != origin.TARGET


def _total(tensor: Tensor) -> Tensor:
    """A number that is finite if all values are, short of an overflow, which a closer look sorts out."""
    short = tensor.element_size() < 4
    return tensor.detach().sum(dtype=torch.float32 if short else tensor.dtype).double()


def _outputs(output: Any) -> list[Tensor]:
    """The floating-point tensors that a forward returned first, for the whole batch."""
    values = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else [output]
    return [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]


def _arrays(draft: Draft) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for copy in draft.copies:
        arrays.update(copy.wait())
    return arrays


def _read(draft: Draft | None, name: str) -> np.ndarray:
    arrays = {} if draft is None else _arrays(draft)
    if name not in arrays:
        raise RecorderError(f"no field {name!r} in this step; it has {', '.join(sorted(arrays)) or 'none'}")
    return arrays[name]
