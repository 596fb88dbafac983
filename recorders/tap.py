"""`memviz.tap`: how a model of your own hands over its fields, in one line each.

    weights = memviz.tap("read_weights", weights)                                # axes of the catalogue, without time
    score = memviz.tap("score", score, axes=("batch", "slot"))                   # a field of your own
    states = memviz.tap("memory", states, axes=("time", "batch", "slot", "word"))    # all times at once

The n-th tap of a name within one forward is time n. While no recorder is active a tap costs one global lookup.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.recorders.adapters.base import clean_path
from memviz.recorders.capture import Capture, Channel, MemoryInfo, open_captures
from memviz.recorders.probes import Keep, value_axes

if TYPE_CHECKING:
    from types import FrameType

ROOT_MEMORY = "memory"
"""Name of the memory for taps in the attached model itself, whose module path is empty."""

_active = 0
"""Number of captures open in any thread; a tap looks no further while it is 0."""


def tap(name: str, tensor: Tensor, axes: Sequence[str] | None = None) -> Tensor:
    """Let active recorders see a tensor, and return it unchanged.

    The memory is named by the path of the nearest nn.Module whose method is on the Python stack ("memory" for the
    attached model itself); a name with a slash names the memory itself: `tap("layer0/read_weights", w)`. That module
    may carry `memviz_law` ("dnc", "ntm") and `memviz_attributes`, which let memviz derive state from what is tapped.

    Args:
        name: a field of the catalogue (memviz.fields), `initial/<field>` or `final/<field>` for the state before the
            first and after the last time, or a name of your own, with `axes`.
        tensor: the value at this time.
        axes: its axes in the order that it has them. Default: those of the catalogue without `time`. With `time` among
            them the one call brings all times.

    Returns:
        `tensor`, the same object.
    """
    if not _active:
        return tensor
    if torch._C._current_graph_task_id() == -1:
        for model, capture in open_captures():
            start = perf_counter_ns()
            try:
                _put(model, capture, name, tensor, axes)
            except Exception as error:
                capture.on_error(error, name)
            capture.nanoseconds += perf_counter_ns() - start
    return tensor


def captures_changed(difference: int) -> None:
    """Count the open captures; called with the recorder's lock held."""
    global _active
    _active += difference


def _put(model: nn.Module, capture: Capture, name: str, tensor: Tensor, axes: Sequence[str] | None) -> None:
    memory = fields.memory_of(name)
    owner: nn.Module | None = None
    if not memory:
        memory, owner = _enclosing(model, capture)
    field = fields.bare_name(name)
    full_name = f"{memory}/{field}"
    index = capture.tap_channels.get(full_name)
    if index is None:
        index = capture.tap_channels[full_name] = _open_channel(capture, memory, field, axes, owner)
    capture.put(index, tensor)


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


def _enclosing(model: nn.Module, capture: Capture) -> tuple[str, nn.Module]:
    """The memory that the module nearest on the stack stands for, and that module."""
    paths = capture.tap_paths
    if paths is None:
        paths = capture.tap_paths = {
            id(module): (clean_path(path) or ROOT_MEMORY, module) for path, module in model.named_modules()
        }
    frame: FrameType | None = sys._getframe(3)
    cached = capture.tap_cache
    while frame is not None:
        if cached is not None and frame is cached[0]:
            return cached[1]
        # Only a method's own first argument can name its module: asking for all locals of every frame is slow.
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            found = paths.get(id(frame.f_locals.get("self")))
            if found is not None:
                capture.tap_cache = (frame, found)
                return found
        frame = frame.f_back
    return ROOT_MEMORY, model
