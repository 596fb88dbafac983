"""Where the first number that is not one came from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.finding import Place
from memviz.fields import CAUSAL_ORDER, FINAL_PREFIX, GRADIENT_PREFIX, INITIAL_PREFIX, MODEL

_RANK = {name: rank for rank, name in enumerate(CAUSAL_ORDER)}
_CONTROLLER = CAUSAL_ORDER[1 : CAUSAL_ORDER.index("usage")]
_ZERO = 1e-12
_HUGE = 80.0
"""exp of more than about 88 is infinite in float32."""


def measure(view: MemoryView) -> Iterator[Measure]:
    """The first time and, within it, the first field in causal order that is not finite."""
    bad: dict[str, NDArray[np.bool_]] = {}
    for name in sorted(view.stored, key=lambda name: _RANK.get(name, len(_RANK))):
        if not _counts(view, name):
            continue
        wrong = ~np.isfinite(view[name])
        if wrong.any():
            bad[name] = wrong
    counts = np.zeros(view.items)
    origins: list[tuple[str, tuple[int, ...]] | None] = [None] * view.items
    for item in range(view.items):
        found = []
        for name, wrong in bad.items():
            axes = view.spec(name).axes
            if "batch" not in axes or wrong.shape[axes.index("batch")] not in (1, view.items):
                continue
            here = wrong.take(min(item, wrong.shape[axes.index("batch")] - 1), axis=axes.index("batch"))
            counts[item] += here.sum()
            if here.any():
                at = np.argwhere(here)[0]
                time = int(at[0]) if axes[0] == "time" else -1 if name.startswith(INITIAL_PREFIX) else view.times
                found.append((time, _RANK.get(name, len(_RANK)), name, tuple(int(i) for i in at)))
        if found:
            _, _, name, at = min(found)
            origins[item] = (name, at)
    spots = [Place() if origin is None else _place(view, *origin) for origin in origins]

    def say(item: int) -> str:
        origin = origins[item]
        assert origin is not None
        place = spots[item]
        where = _where(place)
        return (
            f"{place.field} is the first to be not finite{where}; {int(counts[item])} numbers of this item follow. "
            f"{_cause(view, item, place)}"
        )

    yield Measure(counts, spots, say)


def _counts(view: MemoryView, name: str) -> bool:
    """Whether a field may not hold NaN: a target says "nothing asked" with it, and infinite weights do not exist."""
    if view.memory == MODEL and name == "target":
        return False
    return view.spec(name).dtype not in ("bool",) and not view.spec(name).dtype.startswith(("int", "uint"))


def _place(view: MemoryView, name: str, at: tuple[int, ...]) -> Place:
    axes = [axis for axis in view.spec(name).axes if axis != "batch"]
    index = dict(zip(axes, at, strict=True))
    return Place(
        name,
        index.get("time"),
        index.get("slot", index.get("slot_to")),
        index.get("read_head", index.get("write_head", index.get("head"))),
    )


def _where(place: Place) -> str:
    parts = []
    if place.time is not None:
        parts.append(f"at time {place.time}")
    if place.slot is not None:
        parts.append(f"slot {place.slot}")
    if place.head is not None:
        parts.append(f"head {place.head}")
    return f" {', '.join(parts)}" if parts else ""


def _cause(view: MemoryView, item: int, place: Place) -> str:
    """The known cause that fits, or what is known of the fields before it."""
    name, time = place.field, place.time
    if name.startswith(GRADIENT_PREFIX):
        return "Forward values are a separate finding; if they are finite, the backward pass made it."
    if name.startswith((INITIAL_PREFIX, FINAL_PREFIX)) or time is None:
        return "It came in with the state."
    if name in _CONTROLLER:
        return "What the controller emits is the origin: look at its weights, its input and the last gradient step."
    if name == "input":
        return "The data hold it."
    if name in ("write_content_weights", "write_weights", "read_content_weights", "read_weights"):
        return _lookup_cause(view, item, time, "write" if name.startswith("write") else "read")
    if name in ("allocation_weights", "usage"):
        return "A cumulative product or its logarithm over usage that is exactly 0 is a known cause."
    return "All fields before it in this time that were recorded are finite."


def _lookup_cause(view: MemoryView, item: int, time: int, side: str) -> str:
    keys, strengths = f"{side}_keys", f"{side}_strengths"
    if keys in view:
        norms = np.linalg.norm(view[keys][time, item], axis=-1)
        if (norms < _ZERO).any():
            return f"The key of head {int(norms.argmin())} has norm 0, so its cosine is 0/0."
    if strengths in view and (np.abs(view[strengths][time, item]) > _HUGE).any():
        largest = float(view[strengths][time, item].max())
        return f"A strength of {largest:.3g} overflows the softmax."
    if "memory" in view:
        rows = (view.memory_before if side == "write" else view["memory"])[time, item]
        norms = np.linalg.norm(rows, axis=-1)
        if (norms < _ZERO).any():
            return f"Slot {int(norms.argmin())} of the memory has norm 0, so its cosine with any key is 0/0."
    return "Keys, strengths and memory rows are finite and not zero; look at the softmax and its mask."


NOT_FINITE = Diagnostic(
    name="not_finite",
    title="A number is NaN or infinite",
    formula="count of values that are not finite; the first time and, in it, the first field in causal order is named",
    needs=(),
    measure=measure,
    levels={"error": 1.0},
    source="Known causes: cosine of a zero row, logarithm of zero usage, softmax overflow (issue threads of several "
    "DNC and NTM implementations)",
    suggestion="Look at the named time and slot; add a small constant to the product of norms in the cosine, and clip "
    "strengths. Record with every=1 from a checkpoint shortly before.",
    order=0,
    lasting=True,
    family=12,
)
