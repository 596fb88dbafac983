"""A synthetic DNC that copies: a memory that obeys the laws of Graves et al. 2016, without training.

A DNC that has learned to copy writes each item to a fresh slot, looks the first one up by its content when the end
mark comes, and then follows the links forward. Here a hand-made controller does that: its gates, strengths and read
modes move from undecided to decided as `sharpness` goes from 0 to 1, and everything else (weightings, usage, links,
memory, output, loss) follows from the equations. So a run of such records looks like learning, obeys every law, and
its truth is known: item k of an episode is written at its k-th time and read k times after the end mark.

`simulate_dnc` gives the arrays of one forward pass; memviz.testing.synthetic writes whole runs of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_DECIDED = 7.0
"""Logit of a decided gate: sigmoid(7) = 0.9991, so that forty links in a row still lose less than a tenth."""

COSINE_DELTA = 1e-6
"""Added to the product of norms in the cosine, so that an empty row is at 0 instead of 0/0."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shape of a synthetic DNC: `times` T, `slots` N, `words` W, `read_heads` R, `batch` items; one write head."""

    times: int = 21
    slots: int = 16
    words: int = 16
    read_heads: int = 2
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("times", "slots", "words", "read_heads", "batch"):
            smallest = 3 if name in ("times", "words") else 2 if name == "slots" else 1
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be at least {smallest}, got {getattr(self, name)}")

    @property
    def bits(self) -> int:
        """Bits per item: at most six, and few enough for a word to hold them and one mark beside."""
        return min(6, self.words - 1)


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch `[start, stop)` of times: `input`, `end`, `recall` or `idle`; `first` is its episode's first time."""

    name: str
    start: int
    stop: int
    first: int


def episodes(times: int, slots: int) -> list[Phase]:
    """Fill `times` with copy episodes, each of as many items as fit in the memory with one slot to spare."""
    phases: list[Phase] = []
    first = 0
    while times - first >= 3:
        items = max(1, min((times - first - 1) // 2, slots - 1))
        end = first + items
        phases += [
            Phase("input", first, end, first),
            Phase("end", end, end + 1, first),
            Phase("recall", end + 1, end + 1 + items, first),
        ]
        first = end + 1 + items
    if first < times:
        phases.append(Phase("idle", first, times, first))
    return phases


def simulate_dnc(
    sizes: Sizes,
    *,
    seed: int = 0,
    sharpness: float = 1.0,
    jitter: int = 0,
    plant_nan: int | None = None,
) -> dict[str, Array]:
    """One forward pass of the synthetic DNC on a copy sequence.

    Args:
        sizes: the shape of the memory and of the sequence.
        seed: chooses the items and the encoding; the same for all records of a run, as a fixed probe sequence is.
        sharpness: 0 (undecided, as before training) to 1 (decided, as after).
        jitter: chooses the small irregularities of this training step.
        plant_nan: a time from which the first word of the vector written by item 0 of the batch is NaN, once; the
            laws carry it on.

    Returns:
        Float32 arrays by field name with the axes of the catalogue (memviz.fields), among them all that a DNC has,
        `input`, `target` (NaN where nothing is asked), `output`, and the keyframes `initial/memory` and `final/memory`.
    """
    sequence = _sequence(sizes, seed)
    control = _controller(sizes, sequence, seed, sharpness, jitter)
    if plant_nan is not None:
        control["write_vectors"][plant_nan, 0, 0, 0] = np.nan
    # In float32 throughout, as a model would be: a replay from what is stored then meets the same state.
    control = {name: values.astype(np.float32) for name, values in control.items()}
    initial = _initial_memory(sizes, seed)
    fields = control | _unroll(sizes, control, initial) | {"initial/memory": initial}
    with np.errstate(over="ignore"):
        logits = 6.0 * fields["read_vectors"].mean(axis=2) @ sequence.code[: sizes.bits].T
        fields["output"] = 1.0 / (1.0 + np.exp(-logits))
    fields["input"] = sequence.given
    fields["target"] = sequence.wanted
    fields["final/memory"] = fields["memory"][-1]
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in fields.items()}


def copy_loss(fields: Mapping[str, Array], sizes: Sizes) -> float:
    """Mean binary cross entropy in nats of `output` against `target` over the recall times; NaN when any is NaN."""
    scored = [t for phase in episodes(sizes.times, sizes.slots) if phase.name == "recall" for t in _span(phase)]
    output = np.clip(fields["output"][scored].astype(np.float64), 1e-9, 1 - 1e-9)
    target = fields["target"][scored].astype(np.float64)
    return float(-np.mean(target * np.log(output) + (1 - target) * np.log1p(-output)))


@dataclass(frozen=True, slots=True)
class _Sequence:
    """The items of a copy task.

    `given` and `wanted` are [time, batch, channel], `wanted` NaN where nothing is asked; `code` is [bit + mark, word].
    """

    given: Array
    wanted: Array
    code: Array
    phases: list[Phase]


def _span(phase: Phase) -> range:
    return range(phase.start, phase.stop)


def _sequence(sizes: Sizes, seed: int) -> _Sequence:
    """Random items, an end mark on an input channel of its own, and an orthonormal encoding of bits into words."""
    rng = np.random.default_rng([seed, 1])
    phases = episodes(sizes.times, sizes.slots)
    given = np.zeros((sizes.times, sizes.batch, sizes.bits + 1))
    wanted = np.full((sizes.times, sizes.batch, sizes.bits), np.nan)
    for phase in phases:
        if phase.name == "input":
            given[phase.start : phase.stop, :, :-1] = rng.integers(
                0, 2, (phase.stop - phase.start, sizes.batch, sizes.bits)
            )
        elif phase.name == "end":
            given[phase.start, :, -1] = 1.0
        elif phase.name == "recall":
            items = phase.stop - phase.start
            wanted[phase.start : phase.stop] = given[phase.first : phase.first + items, :, :-1]
    basis, _ = np.linalg.qr(rng.normal(size=(sizes.words, sizes.bits + 1)))
    return _Sequence(given, wanted, basis.T, phases)


def _initial_memory(sizes: Sizes, seed: int) -> Array:
    """[batch, slot, word]: almost empty, and different in every slot, or equal usages would tie for allocation."""
    rng = np.random.default_rng([seed, 4])
    return rng.normal(0.0, 0.01, (sizes.batch, sizes.slots, sizes.words)).astype(np.float32)


def _controller(sizes: Sizes, sequence: _Sequence, seed: int, sharpness: float, jitter: int) -> dict[str, Array]:
    """What the controller emits at every time: gates, modes, strengths, keys and vectors (interface of the paper)."""
    rng = np.random.default_rng([seed, 2, jitter])
    T, B, R, W = sizes.times, sizes.batch, sizes.read_heads, sizes.words
    a = float(np.clip(sharpness, 0.0, 1.0))

    def blend(decided: Array, spread: float = 0.6) -> Array:
        """From an undecided logit with some spread to a decided one."""
        noise = rng.normal(0.0, spread, decided.shape)
        return (1 - a) * noise + a * (decided + 0.1 * noise)

    writing = np.full(T, -1.0)
    modes = np.tile([-1.0, 1.0, -1.0], (T, 1))
    freeing = np.full(T, -1.0)
    key_time = np.zeros(T, dtype=int)
    marks = np.zeros(T)
    for phase in sequence.phases:
        times = list(_span(phase))
        key_time[times] = phase.first
        if phase.name == "input":
            writing[times] = 1.0
            marks[phase.start] = 1.0
        elif phase.name == "recall":
            # The first item is looked up by content; the others follow along the links.
            modes[times[1:]] = [-1.0, -1.0, 1.0]
            # A free gate acts on what was read the time before.
            freeing[phase.start + 1 : phase.stop + 1] = 1.0

    signs = 2.0 * sequence.given[..., :-1] - 1.0
    vectors = np.concatenate([signs, np.broadcast_to(marks[:, None, None], (T, B, 1))], axis=-1) @ sequence.code
    free = np.repeat(freeing[:, None, None], B, axis=1).repeat(R, axis=2)
    vector_noise = rng.normal(0.0, 0.4 * (1 - a) + 0.01, (T, B, 1, W))
    first_vectors = vectors[key_time]
    return {
        "write_gate": _sigmoid(blend(_DECIDED * writing[:, None, None].repeat(B, axis=1))),
        "allocation_gate": _sigmoid(blend(np.full((T, B, 1), _DECIDED))),
        "free_gates": _sigmoid(blend(_DECIDED * free)),
        "read_modes": _softmax(blend(_DECIDED * modes[:, None, None, :].repeat(B, axis=1).repeat(R, axis=2))),
        "write_strengths": 1.0 + np.exp(blend(np.full((T, B, 1), 1.0), 0.3)),
        "read_strengths": 1.0 + np.exp(blend(np.full((T, B, R), 3.4), 0.3)),
        "write_keys": rng.normal(0.0, 0.3, (T, B, 1, W)),
        "read_keys": first_vectors[:, :, None, :] + rng.normal(0.0, 1.0 - 0.98 * a, (T, B, R, W)),
        "erase_vectors": _sigmoid(blend(np.full((T, B, 1, W), _DECIDED))),
        "write_vectors": vectors[:, :, None, :] * (0.3 + 0.7 * a) + vector_noise,
    }


def _unroll(sizes: Sizes, control: Mapping[str, Array], initial: Array) -> dict[str, Array]:
    """The memory of a DNC over time, from what its controller emits (Graves et al. 2016, Methods)."""
    T, B, N, R = sizes.times, sizes.batch, sizes.slots, sizes.read_heads
    c, f32 = control, np.float32
    M, u, p, L = initial.copy(), np.zeros((B, N), f32), np.zeros((B, N), f32), np.zeros((B, N, N), f32)
    w, r = np.zeros((B, N), f32), np.zeros((B, R, N), f32)
    frames: list[dict[str, Array]] = []
    for t in range(T):
        retention = np.prod(1 - c["free_gates"][t][..., None] * r, axis=1)
        u = (u + w - u * w) * retention
        allocation = _allocate(u)
        write_content = _content(M, c["write_keys"][t], c["write_strengths"][t])[:, 0]
        g_w, g_a = c["write_gate"][t], c["allocation_gate"][t]
        w = g_w * (g_a * allocation + (1 - g_a) * write_content)
        M = M * (1 - w[..., None] * c["erase_vectors"][t]) + w[..., None] * c["write_vectors"][t]
        L = (1 - w[:, :, None] - w[:, None, :]) * L + w[:, :, None] * p[:, None, :]
        L[:, np.arange(N), np.arange(N)] = 0.0
        p = (1 - w.sum(axis=1, keepdims=True)) * p + w
        forward, backward = np.einsum("bij,brj->bri", L, r), np.einsum("bji,brj->bri", L, r)
        read_content = _content(M, c["read_keys"][t], c["read_strengths"][t])
        modes = c["read_modes"][t][..., None]
        r = modes[:, :, 0] * backward + modes[:, :, 1] * read_content + modes[:, :, 2] * forward
        frames.append(
            {
                "write_weights": w[:, None],
                "read_weights": r,
                "usage": u,
                "allocation_weights": allocation[:, None],
                "write_content_weights": write_content[:, None],
                "read_content_weights": read_content,
                "forward_weights": forward[:, :, None],
                "backward_weights": backward[:, :, None],
                "precedence_weights": p[:, None],
                "link_matrix": L[:, None].copy(),
                "memory": M,
                "read_vectors": np.einsum("brn,bnw->brw", r, M),
            }
        )
    return {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}


def _allocate(usage: Array) -> Array:
    """Allocation weighting of `usage` [batch, slot]: the least used slots first (a_t in the paper)."""
    order = np.argsort(usage, axis=1, kind="stable")
    ascending = np.take_along_axis(usage, order, axis=1)
    before = np.concatenate([np.ones((len(usage), 1), usage.dtype), np.cumprod(ascending, axis=1)[:, :-1]], axis=1)
    allocation = np.empty_like(usage)
    np.put_along_axis(allocation, order, (1 - ascending) * before, axis=1)
    return allocation


def _content(M: Array, keys: Array, strengths: Array) -> Array:
    """Content weighting [batch, head, slot]: softmax over slots of the cosine to each key times its strength."""
    scale = np.linalg.norm(M, axis=-1)[:, None, :] * np.linalg.norm(keys, axis=-1)[..., None] + COSINE_DELTA
    return _softmax(np.einsum("bnw,bhw->bhn", M, keys) / scale * strengths[..., None])


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
