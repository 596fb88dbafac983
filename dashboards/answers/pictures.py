"""What canvases draw: all panels of a record at once, or one matrix at several times."""

from __future__ import annotations

from memviz.dashboards import frames
from memviz.dashboards.answers.choice import field_of, item_of, memory_of
from memviz.dashboards.fieldview import Values
from memviz.dashboards.frames import MAX_MATRICES
from memviz.dashboards.params import ApiError, Params


def frame(values: Values, params: Params, index: int) -> bytes:
    """Every field over time of one memory, and the model's input, target and output."""
    columns, rows = params.whole("px", 672, low=1, high=4096), params.whole("py", 320, low=1, high=4096)
    memory, item = memory_of(values, params), item_of(values, params)
    scale = params.text("scale", "linear")
    if scale not in ("linear", "log"):
        raise ApiError(400, f"there is no scale {scale!r:.40}", "linear or log", "change scale")
    params.done()
    about = {"index": index, "step": values.record.step}
    return frames.frame(values, memory, item, columns, rows, about, log=scale == "log")


def matrices(values: Values, params: Params, index: int) -> bytes:
    """One matrix at the times [t0, t1), or with `change=1` how it changed at each of them."""
    field, item = field_of(values, params), item_of(values, params)
    if not field.is_matrix:
        raise ApiError(400, f"{field.name} is no matrix at each time", "two axes beside time and heads", "use frame")
    head = params.whole("head", 0, high=len(field.heads) - 1)
    length = field.length("time")
    start = params.whole("t0", 0, high=max(0, length - 1))
    stop = params.whole("t1", min(length, start + 32), low=start + 1)
    pixels = params.whole("px", 220, low=1, high=2048)
    change = params.whole("change", 0, high=1) == 1
    params.done()
    stop = min(stop, length)
    if stop - start > MAX_MATRICES:
        raise ApiError(400, f"{stop - start} times are asked for", f"at most {MAX_MATRICES}", "ask in several requests")
    about = {"index": index, "step": values.record.step, "times": length}
    return frames.matrices(values, field, item, head, start, stop, pixels, about, change=change)
