"""`memviz.tap`: how a model of your own hands over its fields, in one line each.

    weights = memviz.tap("read_weights", weights)                                # axes of the catalogue, without time
    score = memviz.tap("score", score, axes=("batch", "slot"))                   # a field of your own
    states = memviz.tap("memory", states, axes=("time", "batch", "slot", "word"))    # all times at once
    memviz.tap({"read_weights": r, "write_weights": w, "usage": u})                  # several in one call
    memviz.tap("cosine", lambda: similarity(keys, rows), axes=("batch", "slot"))     # computed only when recorded

The n-th tap of a name within one forward is time n. While no recorder is active a tap costs one global lookup.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from types import FrameType
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.errors import RecorderError
from memviz.recorders.adapters.base import clean_path
from memviz.recorders.calls import beside
from memviz.recorders.capture import Capture, Channel, MemoryInfo, open_captures, peek_interpreter_stack
from memviz.recorders.probes import Keep, value_axes

ROOT_MEMORY = "memory"
"""Name of the memory for taps in the attached model itself, whose module path is empty."""

IGNORED = -1
"""Stands for the channel of a field that earlier forwards brought and that is not recorded."""

_lock = threading.Lock()
_current_graph_task_id = torch._C._current_graph_task_id
_active = 0
"""Number of captures open in any thread; a tap looks no further while it is 0."""


Value = TypeVar("Value", bound="Tensor | Callable[[], Tensor]")


@overload
def tap(name: str, tensor: Value, axes: Sequence[str] | None = None) -> Value: ...


@overload
def tap(name: Mapping[str, Any]) -> Mapping[str, Any]: ...


def tap(name: Any, tensor: Any = None, axes: Sequence[str] | None = None) -> Any:
    """Let active recorders see a tensor, and return it unchanged.

    The memory is named by the path of the nearest nn.Module whose method is on the Python stack ("memory" for the
    attached model itself); a name with a slash names the memory itself: `tap("layer0/read_weights", w)`. That module
    may carry `memviz_law` ("dnc", "ntm") and `memviz_attributes`, which let memviz derive state from what is tapped.

    Args:
        name: a field of the catalogue (memviz.fields), `initial/<field>` or `final/<field>` for the state before the
            first and after the last time, or a name of your own, with `axes`. Or a dict of fields of the catalogue and
            their values, which is faster where there are many.
        tensor: the value at this time; or a function that computes it, which is called, without gradients, only when
            a recorder takes it. It must draw no random numbers and write into nothing.
        axes: its axes in the order that it has them. Default: those of the catalogue without `time`. With `time` among
            them the one call brings all times.

    Returns:
        `tensor`, the same object.
    """
    if _active and _current_graph_task_id() == -1:
        if type(name) is not str:
            _tap_all(name, sys._getframe(1))
            return name
        for model, capture in open_captures():
            # Hundreds of taps make up a forward, so that the clock would cost a fifth of them: one in eight is timed.
            capture.ticks = ticks = capture.ticks + 1
            start = 0 if ticks & 7 else perf_counter_ns()
            try:
                frame = sys._getframe(1)
                index = capture.tap_names.get(name) if frame is capture.tap_frame else None
                if index is None:
                    index = _find_channel(model, capture, frame, name, axes)
                if index != IGNORED:
                    if capture.plain[index] and type(tensor) is Tensor and peek_interpreter_stack() is None:
                        try:
                            capture.versions[index] += tensor._version  # what put() does in the usual case
                            capture.values[index].append(tensor)
                        except RuntimeError:  # an inference tensor counts no versions
                            capture.put(index, tensor)
                    else:
                        capture.put(index, tensor if isinstance(tensor, Tensor) else _computed(tensor, capture, start))
            except Exception as error:
                capture.on_error(error, name)
            if start:
                capture.nanoseconds += 8 * (perf_counter_ns() - start)
    return tensor if type(name) is str else name


def _tap_all(values: Mapping[str, Any], frame: FrameType) -> None:
    """All values of one place, as `tap` takes each of them."""
    for model, capture in open_captures():
        capture.ticks = ticks = capture.ticks + 1
        start = 0 if ticks & 7 else perf_counter_ns()
        usual, plain, kept, versions = peek_interpreter_stack() is None, capture.plain, capture.values, capture.versions
        names = capture.tap_names if frame is capture.tap_frame else {}
        for name, tensor in values.items():
            try:
                index = names.get(name)
                if index is None:
                    index = _find_channel(model, capture, frame, name, None)
                    names = capture.tap_names
                if index != IGNORED:
                    if usual and plain[index] and type(tensor) is Tensor:
                        try:
                            versions[index] += tensor._version
                            kept[index].append(tensor)
                        except RuntimeError:
                            capture.put(index, tensor)
                    else:
                        capture.put(index, tensor if isinstance(tensor, Tensor) else _computed(tensor, capture, start))
            except Exception as error:
                capture.on_error(error, str(name))
        if start:
            capture.nanoseconds += 8 * (perf_counter_ns() - start)


def _computed(value: Any, capture: Capture, timed: int) -> Tensor:
    """The value of a tap that is a function; its time counts, unless the tap is `timed` as a whole."""
    start = perf_counter_ns()
    with beside(torch.device("cpu")), torch.autocast("cuda", enabled=False):
        found = value() if callable(value) else value
    if not timed:
        capture.nanoseconds += perf_counter_ns() - start
    if not isinstance(found, Tensor):
        raise RecorderError(f"expected a tensor, or a function that gives one; got {type(found).__name__}")
    return found


def captures_changed(difference: int) -> None:
    """Count the open captures of all threads."""
    global _active
    with _lock:
        _active += difference


def _find_channel(model: nn.Module, capture: Capture, frame: FrameType, name: str, axes: Sequence[str] | None) -> int:
    """The channel of a name that is tapped in a frame, or IGNORED.

    A forward taps many names in one frame, and the same ones at each time: the frame is asked for its module once, and
    what each name stands for in that module is worked out once per forward.
    """
    if frame is not capture.tap_frame:
        enclosing, _ = _enclosing(model, capture, frame)
        capture.tap_frame, capture.tap_names = frame, capture.tap_tables.setdefault(enclosing, {})
        known = capture.tap_names.get(name)
        if known is not None:
            return known
    memory, field = _split(name)
    owner: nn.Module | None = None
    if not memory:
        memory, owner = _enclosing(model, capture, frame)
    index = capture.tap_channels.get((memory, field))
    if index is None:
        index = capture.tap_channels[memory, field] = _open_channel(capture, memory, field, axes, owner)
    capture.tap_names[name] = IGNORED if (memory, field) in capture.ignored else index
    return capture.tap_names[name]


@functools.lru_cache(maxsize=1024)
def _split(name: str) -> tuple[str, str]:
    return fields.memory_of(name), fields.bare_name(name)


def _open_channel(
    capture: Capture, memory: str, field: str, axes: Sequence[str] | None, owner: nn.Module | None
) -> int:
    keep: Keep = "first" if field.startswith(fields.INITIAL_PREFIX) else "all"
    if field.startswith(fields.FINAL_PREFIX):
        keep = "last"
    if isinstance(axes, str):
        axes = axes.split()
    channel = Channel(memory, field, value_axes(field, None if axes is None else tuple(axes)), keep)
    if memory not in capture.memories:
        law = getattr(owner, "memviz_law", "")
        attributes = dict(getattr(owner, "memviz_attributes", {}))
        if owner is not None:
            attributes.setdefault("class", f"{type(owner).__module__}.{type(owner).__qualname__}")
        capture.memories[memory] = MemoryInfo(law if isinstance(law, str) else "", attributes, tapped=True)
    return capture.add_channel(channel)


def _enclosing(model: nn.Module, capture: Capture, frame: FrameType) -> tuple[str, nn.Module]:
    """The memory that the module nearest on the stack stands for, and that module."""
    paths = capture.tap_paths
    if paths is None:
        paths = capture.tap_paths = {
            id(module): (clean_path(path) or ROOT_MEMORY, module) for path, module in model.named_modules()
        }
    here: FrameType | None = frame
    while here is not None:
        # Only a method's own first argument names its module: asking for all locals of every frame is slow.
        code = here.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            found = paths.get(id(here.f_locals.get("self")))
            if found is not None:
                return found
        here = here.f_back
    return ROOT_MEMORY, model
