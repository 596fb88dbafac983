"""Content lookup: ambiguous scores, values that get into the comparison, rows that were freed but still answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import EMPTY, average, effective, percent, places, worst_time

FREED = 0.1
"""A slot counts as free when its usage is below this, and as having been used when it was above 0.5 before."""

KEY_ENERGY = 0.9
"""Share of a key's squared norm that the words it is about must hold."""


def _content_share(view: MemoryView) -> Array:
    """[time, batch, read_head]: how much each head goes by content at the times asked; 0 at other times."""
    reads = view["read_content_weights"]
    share = np.ones(reads.shape[:3])
    if "read_modes" in view:
        share = view["read_modes"][..., 1]
    elif "interpolation_gate" in view:
        # Of the heads of an NTM, the read heads come first.
        share = view["interpolation_gate"][..., : reads.shape[2]]
    return np.asarray(share * view.asked[:, :, None])


def _flat(values: Array) -> Array:
    """[time, batch, head] to [time and head, batch], for averages over both."""
    return np.moveaxis(values, 1, 2).reshape(-1, values.shape[1])


def ambiguous(view: MemoryView) -> Iterator[Measure]:
    """How little the best slot of a lookup stands out from the second best."""
    content, share = view["read_content_weights"], _content_share(view)
    if content.shape[-1] < 2:
        return
    ranked = np.sort(content, axis=-1)
    first, second = ranked[..., -1], ranked[..., -2]
    ratio = second / np.maximum(first, EMPTY)
    values = average(_flat(ratio), _flat(share))
    values = np.where(share.max(axis=(0, 2)) < 0.5, np.nan, values)
    score = ratio * share
    times = worst_time(score.max(axis=2))
    heads = [int(score[t, i].argmax()) for i, t in enumerate(times)]
    order = [np.argsort(content[t, i, h]) for i, (t, h) in enumerate(zip(times, heads, strict=True))]
    slots = [int(o[-1]) for o in order]

    def say(item: int) -> str:
        return (
            f"Lookups are ambiguous: the second best slot gets {percent(values[item])} of the weight of the best, most "
            f"at time {times[item]} between slots {order[item][-1]} and {order[item][-2]}."
        )

    yield Measure(values, places("read_content_weights", times, slots, heads), say)


AMBIGUOUS_LOOKUP = Diagnostic(
    name="ambiguous_lookup",
    title="Two slots answer the same key",
    formula="mean, weighted by the content mode at the times asked, of c_(2) / c_(1), the two largest content weights",
    needs=("read_content_weights",),
    measure=ambiguous,
    levels={"warning": 0.5},
    source="Csordas & Schmidhuber 2019 (key-value separation)",
    suggestion="Compare the two slots: if their contents are alike, see crowded_memory; if they differ only in words "
    "the key is not about, see value_leakage.",
    asks=True,
    order=61,
    family=9,
)


def leakage(view: MemoryView) -> Iterator[Measure]:
    """How much sharper lookups would be, if only the words were compared that carry the key."""
    memory, keys, strengths = view["memory"], view["read_keys"], view["read_strengths"]
    share = _content_share(view)
    mask = _key_words(keys)
    plain = effective(_content(memory, keys, strengths, np.ones_like(mask)))
    masked = effective(_content(memory, keys, strengths, mask))
    gain = 1 - masked / plain
    # Sharper by the mask alone does not help a lookup that was sharp.
    gain = np.where(plain < 2, 0.0, np.maximum(gain, 0.0))
    values = average(_flat(gain), _flat(share))
    values = np.where(share.max(axis=(0, 2)) < 0.5, np.nan, values)
    score = gain * share
    times = worst_time(score.max(axis=2))
    heads = [int(score[t, i].argmax()) for i, t in enumerate(times)]

    def say(item: int) -> str:
        t, h = times[item], heads[item]
        words = int(mask[t, item, h].sum())
        return (
            f"Values leak into the lookup: at time {t} head {h} spreads over {plain[t, item, h]:.1f} slots, and over "
            f"{masked[t, item, h]:.1f} when only the {words} words that carry its key are compared."
        )

    yield Measure(values, places("read_content_weights", times, heads=heads), say)


def _key_words(keys: Array) -> Array:
    """1 for the fewest words that hold KEY_ENERGY of each key's squared norm, else 0; keys are [..., word]."""
    energy = keys**2
    order = np.argsort(-energy, axis=-1)
    running = np.cumsum(np.take_along_axis(energy, order, axis=-1), axis=-1)
    total = np.maximum(running[..., -1:], EMPTY)
    keep = np.concatenate([np.ones_like(running[..., :1]), (running[..., :-1] < KEY_ENERGY * total)], axis=-1)
    mask = np.empty_like(keys)
    np.put_along_axis(mask, order, keep.astype(np.float64), axis=-1)
    return mask


def _content(memory: Array, keys: Array, strengths: Array, mask: Array) -> Array:
    """Content weights [time, batch, head, slot] that compare only the words of `mask` [time, batch, head, word]."""
    looked = keys * mask
    dots = np.einsum("tbhw,tbnw->tbhn", looked, memory)
    rows = np.sqrt(np.einsum("tbhw,tbnw->tbhn", mask, memory**2))
    norms = np.linalg.norm(looked, axis=-1)[..., None] * rows
    scores = strengths[..., None] * np.divide(dots, norms, out=np.zeros_like(dots), where=norms > EMPTY)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


VALUE_LEAKAGE = Diagnostic(
    name="value_leakage",
    title="Stored values disturb the comparison with the key",
    formula="mean, weighted by the content mode at the times asked, of 1 - N_eff(masked) / N_eff, where the mask keeps "
    "the words with 90 % of |k|²; 0 where N_eff < 2",
    needs=("memory", "read_keys", "read_strengths", "read_content_weights"),
    measure=leakage,
    levels={"warning": 0.3},
    source="Csordas & Schmidhuber 2019: the cosine compares unknown value words too; D(M ∘ m, k ∘ m)",
    suggestion="Train with key masking (Csordas & Schmidhuber), or give keys and values words of their own.",
    asks=True,
    order=51,
    family=9,
)


def residue(view: MemoryView) -> Iterator[Measure]:
    """Weight of lookups on slots that served an answer, were freed, and whose content is still there."""
    content, usage, share = view["read_content_weights"], view["usage"], _content_share(view)
    norms = np.linalg.norm(view["memory"], axis=-1)
    full = norms > 0.1 * np.maximum(norms.max(axis=(0, 2)), EMPTY)[None, :, None]
    freed = (usage < FREED) & (np.maximum.accumulate(usage, axis=0) > 0.5) & full & _served(view)
    ghost = (content * freed[:, :, None]).sum(axis=-1)
    values = average(_flat(ghost), _flat(share))
    values = np.where(share.max(axis=(0, 2)) < 0.5, np.nan, values)
    score = ghost * share
    times = worst_time(score.max(axis=2))
    heads = [int(score[t, i].argmax()) for i, t in enumerate(times)]
    slots = [int((content[t, i, h] * freed[t, i]).argmax()) for i, (t, h) in enumerate(zip(times, heads, strict=True))]

    def say(item: int) -> str:
        return (
            f"Freed slots still answer: {percent(values[item])} of the lookups land on slots that were de-allocated "
            f"and not erased, most at time {times[item]} on slot {slots[item]}."
        )

    yield Measure(values, places("read_content_weights", times, slots, heads), say)


FREED_RESIDUE = Diagnostic(
    name="freed_residue",
    title="De-allocated slots keep their content and are found by content",
    formula="mean, weighted by the content mode at the times asked, of Σ_i c(i) [u(i) < 0.1, was > 0.5] "
    "[|M(i)| > 0.1 max |M|] [read at an earlier time asked]",
    needs=("memory", "usage", "read_content_weights", "read_weights"),
    measure=residue,
    levels={"warning": 0.3},
    source="Csordas & Schmidhuber 2019 (de-allocation): freeing lowers usage and leaves the content",
    suggestion="Erase on de-allocation: M ∘ ψ before the write (Csordas & Schmidhuber).",
    asks=True,
    order=50,
    family=10,
)


def _served(view: MemoryView) -> NDArray[np.bool_]:
    """[time, batch, slot]: whether a head read the slot at an earlier time at which an answer was asked.

    A model may free a slot while it stores and still mean to read it; once it has served an answer it is done with.
    """
    read = (view["read_weights"].max(axis=2) > 0.5) & view.asked[:, :, None]
    until = np.logical_or.accumulate(read, axis=0)
    return np.concatenate([np.zeros_like(until[:1]), until[:-1]])


def crowded(view: MemoryView) -> Iterator[Measure]:
    """Mean cosine between the slots in use, when most are."""
    memory, usage = view["memory"], view["usage"]
    values = np.full(view.items, np.nan)
    times, slots, counts, ranks = [0] * view.items, [0] * view.items, [0] * view.items, [0.0] * view.items
    for item in range(view.items):
        used = usage[:, item] > 0.5
        time = int(used.sum(axis=-1).argmax())
        rows = memory[time, item, used[time]]
        rows = rows[np.linalg.norm(rows, axis=-1) > EMPTY]
        if len(rows) < 3:
            continue
        units = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0.0)
        spectrum = np.linalg.svd(rows, compute_uv=False) ** 2
        times[item], counts[item] = time, len(rows)
        slots[item] = int(np.flatnonzero(used[time])[cosines.sum(axis=1).argmax()])
        ranks[item] = float(spectrum.sum() ** 2 / (spectrum**2).sum())
        values[item] = cosines.sum() / (len(rows) * (len(rows) - 1))

    def say(item: int) -> str:
        return (
            f"Stored rows are alike: the {counts[item]} slots in use at time {times[item]} have a mean cosine of "
            f"{values[item]:.2f} and span {ranks[item]:.1f} dimensions, so no key can tell them apart."
        )

    yield Measure(values, places("memory", times, slots), say)


CROWDED_MEMORY = Diagnostic(
    name="crowded_memory",
    title="Slots in use hold nearly the same",
    formula="mean off-diagonal cosine of the rows with u > 0.5 at the time when most are (from 3); with it the "
    "participation ratio (Σλ)² / Σλ²",
    needs=("memory", "usage"),
    measure=crowded,
    levels={"warning": 0.8},
    source="Participation ratio of the spectrum of the rows; cosine addressing of Graves et al. 2014, equation 6",
    suggestion="Look at write_vectors: a large part common to all of them (a bias) drowns the rest.",
    order=35,
    family=18,
)
