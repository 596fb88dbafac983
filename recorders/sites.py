"""Sites: probes turned into hooks and method wraps that exist only while a sampled forward runs.

All probes at one place share one site, so that a module gets one hook however many fields come from it. A site looks up
the capture of its own thread: a forward of the same model in another thread passes through untouched.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from memviz.recorders.calls import Call, aliases, beside
from memviz.recorders.capture import Capture, Channel, peek_interpreter_stack
from memviz.recorders.probes import Place, Probe, same
from memviz.recorders.wraps import unwrap, wrap

FindCapture = Callable[[], Capture | None]

_Takes = list[tuple[int, Callable[..., Any]]]
"""Channels and the getters that feed them."""

_current_graph_task_id = torch._C._current_graph_task_id


def _usual() -> bool:
    """Whether tensors are plain and count versions: no transform of torch.func and no inference mode is at work."""
    return peek_interpreter_stack() is None and not torch.is_inference_mode_enabled()


class Site:
    """One place in the model: a module's forward, or one method of one object, before or after the call.

    Returns None from every hook, whatever happens: a recorder never alters a value.
    """

    def __init__(self, place: Place, index: int, find: FindCapture) -> None:
        self.target = place.target
        self.method = place.method
        self.before = place.before
        self.whole = place.whole
        self.owners = place.owners
        self.index = index
        self.find = find
        self._homes = [(self.target, self.method)] if self.method else []
        if self.owners:
            self._homes += [
                home
                for home in aliases(vars(self.target)[self.method], self.owners)
                if home != (self.target, self.method)
            ]
        self._takes: list[tuple[Probe, int, Callable[..., Any]]] = []
        self._opening: list[_Takes] = [[]]  # by call, for the first calls of a forward
        self._steady: list[_Takes] = [[]]  # by call modulo its length, for all later ones
        self._deferred = False
        self._handle: RemovableHandle | None = None

    def take(self, probe: Probe, channel: int, getter: Callable[..., Any]) -> None:
        """Add what one probe takes here."""
        self._takes.append((probe, channel, getter))
        period = math.lcm(*(probe.turns for probe, _, _ in self._takes))
        self._opening = [self._taken(call) for call in range(period)]
        self._steady = [self._taken(call + period) for call in range(period)]
        if not any(self._steady):
            self._steady = []

    def _taken(self, call: int) -> _Takes:
        """What is taken at one call: of a probe that keeps the first value only, at the first call of its turn."""
        return [
            (channel, getter)
            for probe, channel, getter in self._takes
            if (call == probe.turn if probe.keep == "first" else call % probe.turns == probe.turn % probe.turns)
        ]

    def collect_before(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Hand the arguments of a call to the capture of this thread, if there is one."""
        capture = self.find()
        # Inside backward a checkpointed part of the model runs again: those calls are no new times.
        if capture is not None and _current_graph_task_id() == -1:
            capture.ticks = ticks = capture.ticks + 1
            start = 0 if ticks & 7 else perf_counter_ns()  # see tap()
            usual = _usual()
            if self._deferred and usual:
                capture.arguments[self.index].append((args, kwargs))
            else:
                if capture.arguments[self.index]:
                    self.settle(capture)
                plain, values, versions = capture.plain, capture.values, capture.versions
                for channel, getter in self._next(capture):
                    try:
                        value = getter(args, kwargs)
                        if usual and plain[channel] and value is not None:
                            try:
                                versions[channel] += value._version  # what put() does in the usual case, without a call
                                values[channel].append(value)
                            except RuntimeError:  # an inference tensor counts no versions
                                capture.put(channel, value)
                        elif value is not None:
                            capture.put(channel, value)
                    except Exception as error:
                        capture.on_error(error, capture.channels[channel].full_name)
            if start:
                capture.nanoseconds += 8 * (perf_counter_ns() - start)

    def collect_after(self, output: Any) -> None:
        """Hand the result of a call to the capture of this thread, if there is one."""
        # The same loop as above, written twice because it runs hundreds of times in a training step.
        capture = self.find()
        if capture is not None and _current_graph_task_id() == -1:
            capture.ticks = ticks = capture.ticks + 1
            start = 0 if ticks & 7 else perf_counter_ns()
            usual, plain, values, versions = _usual(), capture.plain, capture.values, capture.versions
            for channel, getter in self._next(capture):
                try:
                    value = getter(output)
                    if usual and plain[channel] and value is not None:
                        try:
                            versions[channel] += value._version
                            values[channel].append(value)
                        except RuntimeError:
                            capture.put(channel, value)
                    elif value is not None:
                        capture.put(channel, value)
                except Exception as error:
                    capture.on_error(error, capture.channels[channel].full_name)
            if start:
                capture.nanoseconds += 8 * (perf_counter_ns() - start)

    def collect_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """Compute values from a whole call, if this thread captures."""
        capture = self.find()
        if capture is not None and _current_graph_task_id() == -1:
            start = perf_counter_ns()
            module = self.owners[0] if self.owners else self.target
            shared: dict[Any, Any] = {}
            for channel, compute in self._next(capture):
                try:
                    call = Call(module, args, kwargs, output, capture.choose, shared)
                    with beside(_device(args, kwargs, output)):
                        value = compute(call)
                    if value is not None:
                        if call.size is not None:
                            capture.selected[channel] = call.size
                        capture.put(channel, value)
                except Exception as error:
                    capture.on_error(error, capture.channels[channel].full_name)
            capture.nanoseconds += perf_counter_ns() - start

    def settle(self, capture: Capture) -> None:
        """Take the values out of the arguments that were kept as they were passed."""
        calls = capture.arguments[self.index]
        if calls:
            capture.arguments[self.index] = []
            for channel, getter in self._steady[0]:
                # No version counter was read when they were kept: 0 is the only one that proves them unchanged.
                found = [getter(args, kwargs) for args, kwargs in calls]
                capture.values[channel] += [value for value in found if value is not None]

    def learn(self, capture: Capture, cloned: Collection[str]) -> None:
        """After a forward: whether the arguments of a call may be kept as one tuple, which is much faster.

        That takes arguments that are recorded as they are, at every call, and that nobody ever wrote into.
        """
        self._deferred = self.before and all(
            probe.pick is same
            and probe.turns == 1
            and probe.keep == "all"
            and capture.versions[channel] == 0
            and not capture.copies(channel, cloned)
            for probe, channel, _ in self._takes
        )

    def _next(self, capture: Capture) -> _Takes:
        """What is taken at the call that is happening; counts it."""
        call = capture.calls[self.index]
        capture.calls[self.index] = call + 1
        if call < len(self._opening):
            return self._opening[call]
        return self._steady[call % len(self._steady)] if self._steady else []

    def _pre_hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.collect_before(args, kwargs)

    def _hook(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self.collect_after(output)

    def _whole_hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self.collect_call(args, kwargs, output)

    def plug(self) -> None:
        """Place the hook or the wraps."""
        if self.method:
            for target, name in self._homes:
                wrap(self, target, name)
        elif self.whole:
            self._handle = self.target.register_forward_hook(self._whole_hook, with_kwargs=True)
        elif self.before:
            self._handle = self.target.register_forward_pre_hook(self._pre_hook, with_kwargs=True)
        else:
            self._handle = self.target.register_forward_hook(self._hook)

    def unplug(self) -> None:
        """Take it out again, leaving the model as it was."""
        if self.method:
            for target, name in self._homes:
                unwrap(self, target, name)
        elif self._handle is not None:
            self._handle.remove()
            self._handle = None


def make_sites(
    probes: Sequence[tuple[nn.Module, Probe, Channel]], find: FindCapture
) -> tuple[list[Site], list[Channel]]:
    """Group probes by place.

    Args:
        probes: the module that a probe's paths start from, the probe, and the channel that it feeds.
        find: gives the capture of the current thread.

    Raises:
        RecorderError: the model lacks a place that a probe names.
    """
    sites: dict[tuple[Any, ...], Site] = {}
    channels: list[Channel] = []
    indices: dict[str, int] = {}
    for module, probe, channel in probes:
        place = probe.place(module)
        key = (id(place.target), place.method, place.before, place.whole, tuple(map(id, place.owners)))
        site = sites.get(key)
        if site is None:
            site = sites[key] = Site(place, len(sites), find)
        # Two probes of one field are two ways in which its value may come.
        index = indices.setdefault(channel.full_name, len(channels))
        site.take(probe, index, place.getter)
        if index == len(channels):
            channels.append(channel)
    return list(sites.values()), channels


class SitePlug:
    """Places the sites for as long as at least one thread runs a sampled forward."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._users = 0
        self._lock = threading.Lock()

    def plug(self) -> None:
        """Place all sites, unless another thread has done so.

        Raises:
            Exception: whatever placing a hook raised; nothing stays placed then.
        """
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            placed: list[Site] = []
            try:
                for site in self._sites:
                    site.plug()
                    placed.append(site)
            except BaseException:
                self._users -= 1
                for site in placed:
                    site.unplug()
                raise

    def unplug(self) -> None:
        """Remove all sites, unless another thread still needs them."""
        with self._lock:
            if self._users == 0:
                return
            self._users -= 1
            if self._users == 0:
                for site in self._sites:
                    site.unplug()


def _device(args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> torch.device:
    """Where a call computed, as far as its tensors tell."""
    for value in (*args, *kwargs.values(), output, *(output if isinstance(output, tuple | list) else ())):
        if isinstance(value, torch.Tensor):
            return value.device
    return torch.device("cpu")
