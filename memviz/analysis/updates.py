"""How a memory is written, as one small object per kind: M_t = K_t(M_{t-1}) + U_t, with K_t linear in the memory.

`EraseAdd` is every memory that scales each cell by itself: NTM, DNC, DNC with de-allocation, SAM and SDNC, the episodes
of a DMN. `DeltaRule` is every memory whose rows are mixed by keys: linear attention, gated linear attention, DeltaNet.
Both hold one item of the batch in float64 and know how to run forward; lineage runs them backward.

A *step* is one indivisible application of K and U. Heads that write in parallel share the step of their time;
heads that write in series have one step each, so a time then has as many steps as heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EraseAdd:
    """M <- M ∘ ψ ∘ Π_j (1 - d_j e_j^T) + Σ_j w_j v_j^T, once per step.

    DNC and NTM have d = w and no ψ (Graves et al. 2016, Methods; Graves et al. 2014, equations 3 and 4). Csordas and
    Schmidhuber 2019 (DNC with de-allocation) put ψ, the retention of the usage, before it. SAM (Rae et al. 2016)
    erases whole slots by a weighting d of its own.

    Attributes:
        weights: [step, head, slot], w: where each head adds.
        write_vectors: [step, head, word], v: what it adds.
        erase_vectors: [step, head, word], e in [0, 1].
        erase_weights: [step, head, slot], d: where each head erases; `weights` for most memories.
        retention: [step, slot], ψ, or None for 1.
        steps_per_time: 1, or the number of heads when they write in series.
    """

    weights: Array
    write_vectors: Array
    erase_vectors: Array
    erase_weights: Array
    retention: Array | None = None
    steps_per_time: int = 1

    @classmethod
    def of(
        cls,
        write_weights: ArrayLike,
        write_vectors: ArrayLike,
        erase_vectors: ArrayLike,
        *,
        erase_weights: ArrayLike | None = None,
        retention: ArrayLike | None = None,
        series: bool = False,
    ) -> EraseAdd:
        """Build the update from fields of one batch item.

        Args:
            write_weights: [time, write_head, slot].
            write_vectors: [time, write_head, word].
            erase_vectors: [time, write_head, word].
            erase_weights: [time, write_head, slot]; `write_weights` by default.
            retention: [time, slot], applied before the first head of each time.
            series: heads write one after the other, each erasing what those before it added.
        """
        weights, vectors, erase = (np.asarray(x, np.float64) for x in (write_weights, write_vectors, erase_vectors))
        gone = weights if erase_weights is None else np.asarray(erase_weights, np.float64)
        kept = None if retention is None else np.asarray(retention, np.float64)
        times, heads, slots = weights.shape
        if not series or heads == 1:
            return cls(weights, vectors, erase, gone, kept)
        if kept is not None:
            # Freed once per time, before its first head.
            first = np.ones((times, heads, slots))
            first[:, 0] = kept
            kept = first.reshape(-1, slots)
        weights, vectors, erase, gone = (x.reshape(times * heads, 1, -1) for x in (weights, vectors, erase, gone))
        return cls(weights, vectors, erase, gone, kept, steps_per_time=heads)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.weights)

    @property
    def write_heads(self) -> int:
        """Number of write heads of the model."""
        return int(self.weights.shape[1]) * self.steps_per_time

    @property
    def slots(self) -> int:
        """N."""
        return int(self.weights.shape[2])

    @property
    def words(self) -> int:
        """W."""
        return int(self.write_vectors.shape[2])

    def keep(self, start: int, stop: int) -> Array:
        """K of the steps [start, stop): the factor that stays of every cell, [step, word, slot].

        The word axis comes first because lineage sums over slots, which are then contiguous.
        """
        part = slice(start, stop)
        kept = np.ones((stop - start, self.words, self.slots))
        for head in range(self.weights.shape[1]):
            factor = self.erase_vectors[part, head, :, None] * self.erase_weights[part, head, None, :]
            np.subtract(1, factor, out=factor)
            kept = factor if head == 0 else np.multiply(kept, factor, out=kept)
        if self.retention is not None:
            kept *= self.retention[part, None, :]
        return kept

    def replay(self, initial: Array) -> Iterator[Array]:
        """The memory after each step, [slot, word] each, from the memory before the first."""
        memory = np.broadcast_to(initial, (self.slots, self.words))
        for step in range(self.steps):
            memory = memory * self.keep(step, step + 1)[0].T + self.weights[step].T @ self.write_vectors[step]
            yield memory


@dataclass(frozen=True)
class DeltaRule:
    """M <- (1 - β k k^T) Λ M + γ k v^T: a fast-weight memory whose slots are the dimensions of the key.

    Linear attention (Katharopoulos et al. 2020): Λ = 1, β = 0, γ = 1. Gated linear attention: Λ = diag(decay), β = 0.
    DeltaNet (Schlag et al. 2021) and its gated form: γ = β. A read is q^T M, so the query plays the read weighting.

    Attributes:
        keys: [time, slot], k.
        write_vectors: [time, word], v.
        removal: [time], β.
        gain: [time], γ.
        decay: [time, slot], the diagonal of Λ.
    """

    keys: Array
    write_vectors: Array
    removal: Array
    gain: Array
    decay: Array

    @classmethod
    def linear_attention(cls, keys: ArrayLike, values: ArrayLike, decay: ArrayLike = 1.0) -> DeltaRule:
        """M <- diag(decay) M + k v^T.

        Args:
            keys: [time, slot], after the feature map.
            values: [time, word].
            decay: number, [time, 1] or [time, slot].
        """
        keys = np.asarray(keys, np.float64)
        times = len(keys)
        spread = np.broadcast_to(np.asarray(decay, np.float64), keys.shape)
        return cls(keys, np.asarray(values, np.float64), np.zeros(times), np.ones(times), spread)

    @classmethod
    def delta_net(cls, keys: ArrayLike, values: ArrayLike, rates: ArrayLike, decay: ArrayLike = 1.0) -> DeltaRule:
        """M <- (1 - β k k^T) diag(decay) M + β k v^T.

        Args:
            keys: [time, slot], normalized to length 1 in the papers.
            values: [time, word].
            rates: [time], β.
            decay: number, [time, 1] or [time, slot].
        """
        keys, beta = np.asarray(keys, np.float64), np.asarray(rates, np.float64)
        spread = np.broadcast_to(np.asarray(decay, np.float64), keys.shape)
        return cls(keys, np.asarray(values, np.float64), beta, beta, spread)

    @property
    def steps(self) -> int:
        """Number of steps, one per time."""
        return len(self.keys)

    def replay(self, initial: Array) -> Iterator[Array]:
        """The memory after each step, [slot, word] each, from the memory before the first."""
        memory = np.broadcast_to(initial, (self.keys.shape[1], self.write_vectors.shape[1]))
        for key, value, removal, gain, decay in zip(
            self.keys, self.write_vectors, self.removal, self.gain, self.decay, strict=True
        ):
            memory = decay[:, None] * memory
            memory = memory + np.outer(key, gain * value - removal * (key @ memory))
            yield memory


Update = EraseAdd | DeltaRule


def sparse_access(write_weights: ArrayLike, write_vectors: ArrayLike, least_used: ArrayLike) -> EraseAdd:
    """The update of a SAM or SDNC: M <- (1 - I 1^T) ∘ M + w a^T (Rae et al. 2016).

    Args:
        write_weights: [time, write_head, slot], dense.
        write_vectors: [time, write_head, word].
        least_used: [time, write_head, slot], I: the indicator of the slot that is cleared.
    """
    vectors = np.asarray(write_vectors, np.float64)
    return EraseAdd.of(write_weights, vectors, np.ones_like(vectors), erase_weights=least_used)


def episode(gates: ArrayLike, candidates: ArrayLike) -> EraseAdd:
    """The episode of a DMN, h <- g c + (1 - g) h (Kumar et al. 2016), as a memory of one slot.

    The share of a fact in the episode is then its effective gate g_i Π_{j>i} (1 - g_j), not its raw gate.

    Args:
        gates: [fact], g.
        candidates: [fact, word], what the GRU would go to.
    """
    gates, candidates = np.asarray(gates, np.float64), np.asarray(candidates, np.float64)
    return EraseAdd.of(gates[:, None, None], candidates[:, None], np.ones_like(candidates)[:, None])


def residual(update: Update, initial: Array, memory: ArrayLike) -> Array:
    """How far a recorded memory departs from the law at each time: max |M_t - (K_t(M_{t-1}) + U_t)|, [time].

    Each time starts from the recorded memory of the time before, so a fault shows at the time where it happens.

    Args:
        update: the law with its generators.
        initial: [slot, word], the memory before the first time.
        memory: [time, slot, word], as recorded after each time.
    """
    recorded = np.asarray(memory, np.float64)
    before = np.concatenate([np.broadcast_to(initial, recorded.shape[1:])[None], recorded[:-1]])
    if isinstance(update, DeltaRule):
        decayed = update.decay[:, :, None] * before
        seen = np.einsum("ti,tik->tk", update.keys, decayed)
        change = update.gain[:, None] * update.write_vectors - update.removal[:, None] * seen
        expected = decayed + update.keys[:, :, None] * change[:, None, :]
    else:
        expected = before
        heads = update.steps_per_time
        for turn in range(heads):
            # All times at once: the steps of one turn are every `heads`-th.
            part = EraseAdd(
                update.weights[turn::heads],
                update.write_vectors[turn::heads],
                update.erase_vectors[turn::heads],
                update.erase_weights[turn::heads],
                None if update.retention is None else update.retention[turn::heads],
            )
            added = np.swapaxes(part.weights, 1, 2) @ part.write_vectors
            expected = expected * np.swapaxes(part.keep(0, part.steps), 1, 2) + added
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(recorded - expected).max(axis=(1, 2), initial=0.0))
