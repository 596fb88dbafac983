"""Faults of memories other than a DNC, of gradients, and of how much a memory matters for the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from memviz.trace.schema import Json

Array = NDArray[np.floating]
Fields = dict[str, Array]
Where = dict[str, int | str]


@dataclass(frozen=True, slots=True)
class OtherFault:
    """A fault with the healthy fields it is planted into.

    Attributes:
        name: as in `python -m memviz.demos.gallery NAME`.
        summary: what is wrong, in one line.
        diagnostic: the check that should name it first.
        kind: what sort of memory it is.
        healthy: fields of a memory that works, for a number of items; what is named with an underscore is not recorded.
        plant: spoils one item in place and says where the evidence should point.
        labels: of every record.
    """

    name: str
    summary: str
    diagnostic: str
    kind: str
    healthy: Callable[[np.random.Generator, int], Fields]
    plant: Callable[[Fields, int, np.random.Generator], Where]
    labels: Mapping[str, Json] = field(default_factory=dict)


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


_HOPS, _FACTS = 3, 8


def _episodes(rng: np.random.Generator, items: int) -> Fields:
    """Each hop opens its gate for one fact, another one in every hop, and stays nearly shut for all others."""
    gates = rng.uniform(0.0, 0.05, (_HOPS, items, _FACTS))
    for item in range(items):
        for hop, fact in enumerate(rng.permutation(_FACTS)[:_HOPS]):
            gates[hop, item, fact] = 0.97
    return {"episodic_attention": gates}


_SUPPORTING = (1, 4, 6)
"""The facts that an answer rests on, one per hop."""


def _told(rng: np.random.Generator, items: int) -> Fields:
    """Each hop opens its gate for one of the facts that the answer rests on."""
    gates = rng.uniform(0.0, 0.05, (_HOPS, items, _FACTS))
    gates[np.arange(_HOPS), :, _SUPPORTING] = 0.97
    return {"episodic_attention": gates}


def _missed(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["episodic_attention"][:, item] = np.roll(fields["episodic_attention"][:, item], 1, axis=1)
    return {"field": "episodic_attention"}


def _leftover(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["episodic_attention"][1, item] = 0.01
    return {"field": "episodic_attention", "time": 1}


def _redundant(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["episodic_attention"][:, item] = fields["episodic_attention"][0, item]
    return {"field": "episodic_attention"}


def _eclipsed(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    # The gates of the reference: fact 5 has the largest one, and facts 6 and 7 come later.
    fields["episodic_attention"][2, item] = 0.05
    fields["episodic_attention"][2, item, 5:] = [0.9, 0.85, 0.3]
    return {"field": "episodic_attention", "time": 2, "slot": 5}


def _attention(rng: np.random.Generator, items: int) -> Fields:
    """Causal attention: every query finds one key of its own, and some weight strays."""
    queries, heads = 12, 4
    logits = rng.normal(0.0, 1.0, (1, items, heads, queries, queries))
    for query in range(queries):
        for head in range(heads):
            logits[:, :, head, query, (query * (head + 1)) // (heads + 1)] += 5.0
    mask = np.triu(np.full((queries, queries), -np.inf), 1)
    return {"attention": _softmax(logits + mask)}


def _diffuse_attention(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    queries = fields["attention"].shape[-1]
    mask = np.triu(np.full((queries, queries), -np.inf), 1)
    fields["attention"][:, item] = _softmax(rng.normal(0.0, 0.1, fields["attention"][:, item].shape) + mask)
    return {"field": "attention"}


def _sink(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    weights = fields["attention"][:, item]
    weights[..., 2:, :] *= 0.01
    weights[..., 2:, 2] += 0.99
    return {"field": "attention", "slot": 2}


def _shifts(rng: np.random.Generator, items: int) -> Fields:
    return {"shift_weights": _softmax(rng.normal(0.0, 0.3, (15, items, 2, 3)) + np.array([0.0, 6.0, 0.0]))}


def _blurred(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["shift_weights"][:, item] = _softmax(rng.normal(0.0, 0.3, fields["shift_weights"][:, item].shape))
    return {"field": "shift_weights"}


def _positions(rng: np.random.Generator, items: int) -> Fields:
    chosen = [rng.permutation(64)[:4] for _ in range(10 * items * 2)]
    return {"read_indices": np.stack(chosen).reshape(10, items, 2, 4).astype(np.float64)}


def _duplicate(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["read_indices"][6, item, 1, 3] = fields["read_indices"][6, item, 1, 0]
    return {"field": "read_indices", "time": 6, "slot": int(fields["read_indices"][6, item, 1, 0])}


_NEAREST = 4


def _lookups(rng: np.random.Generator, items: int) -> Fields:
    """A memory that stays as it is, keys close to some of its slots, and the slots nearest to each key."""
    memory = rng.normal(size=(items, 48, 8))
    about = rng.integers(0, 48, (10, items, 2))
    keys = memory[np.arange(items)[:, None], about] + rng.normal(0.0, 0.3, (10, items, 2, 8))
    chosen = _ranked(memory, keys)[..., :_NEAREST]
    return {
        "memory": np.repeat(memory[None], 10, axis=0),
        "read_keys": keys,
        "read_content_indices": chosen.astype(np.float64),
    }


def _ranked(memory: Array, keys: Array) -> Array:
    """Slots from the most to the least like each key, [time, batch, read_head, slot]."""
    norms = np.linalg.norm(keys, axis=-1)[..., None] * np.linalg.norm(memory, axis=-1)[:, None]
    return np.asarray(np.argsort(-np.einsum("tbrw,bnw->tbrn", keys, memory) / norms, axis=-1))


def _missing(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    ranked = _ranked(fields["memory"][0], fields["read_keys"])[:, item, 1]
    # The index looks into the wrong cells: of the nearest it finds the first, and at one time none.
    fields["read_content_indices"][:, item, 1, 1:] = ranked[:, 10 : 9 + _NEAREST]
    fields["read_content_indices"][6, item, 1] = ranked[6, 10 : 10 + _NEAREST]
    return {"field": "read_keys", "time": 6, "head": 1}


def _gradients(rng: np.random.Generator, items: int) -> Fields:
    return {
        "memory": rng.normal(size=(20, items, 8, 6)),
        "grad/memory": rng.normal(0.0, 1e-3, (20, items, 8, 6)),
    }


def _vanishing(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["grad/memory"][:, item] *= 10.0 ** (-0.5 * np.arange(19, -1, -1))[:, None, None]
    return {"field": "grad/memory", "time": 0}


def _exploding(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["grad/memory"][:, item] *= 10.0 ** (0.5 * np.arange(19, -1, -1))[:, None, None]
    return {"field": "grad/memory", "time": int(np.linalg.norm(fields["grad/memory"][:, item], axis=(1, 2)).argmax())}


_ASKED_FROM = 12
"""First time at which the model has to answer, of 20."""


def _target(items: int) -> Array:
    target = np.full((20, items, 3), np.nan)
    target[_ASKED_FROM:] = 1.0
    return target


def _influence(rng: np.random.Generator, items: int) -> Fields:
    """While it is told something the controller is on its own; what it answers comes from memory for the most part."""
    share = rng.uniform(0.0, 0.2, (20, items))
    share[_ASKED_FROM:] = rng.beta(6.0, 3.0, share[_ASKED_FROM:].shape)
    return {"memory_influence": share, "model/target": _target(items)}


def _bypassed(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["memory_influence"][:, item] = rng.uniform(0.01, 0.04, 20)
    fields["memory_influence"][15, item] = 0.001
    return {"field": "memory_influence", "time": 15}


def _written(rng: np.random.Generator, items: int) -> Fields:
    """What is written before the first answer carries most of the gradient."""
    gradient = rng.normal(0.0, 1e-3, (20, items, 1, 6))
    gradient[_ASKED_FROM:] *= 0.1
    return {"write_vectors": rng.normal(size=(20, items, 1, 6)), "grad/write_vectors": gradient} | {
        "model/target": _target(items)
    }


def _unreached(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["grad/write_vectors"][:_ASKED_FROM, item] *= 1e-3
    return {"field": "grad/write_vectors", "time": _ASKED_FROM}


_CHUNKS, _HEADS = 32, 2


def _fast_weights(rng: np.random.Generator, items: int) -> Fields:
    """A memory of 12 x 12 weights that learns pairs by the equations of Titans, with gates that depend on the token."""
    shape = (_CHUNKS, items, _HEADS)
    learned = {
        "step_size": rng.uniform(0.02, 0.1, shape),
        "momentum_gate": rng.uniform(0.2, 0.7, shape),
        "decay_gate": rng.uniform(0.005, 0.05, shape),
    }
    pairs = rng.normal(size=(*shape, 2, 12)) / np.sqrt(12)
    weights = rng.normal(size=(items, _HEADS, 12, 12)) / 12
    return learned | _unroll_titans(learned, pairs, weights) | {"_pairs": pairs, "_weights": weights}


def _unroll_titans(gates: Mapping[str, Array], pairs: Array, weights: Array) -> Fields:
    """S = η S - θ ∇ℓ and M = (1 - α) M + S for ℓ = |M^T k - v|², one pair per time."""
    matrix, momentum = weights.copy(), np.zeros_like(weights)
    found: dict[str, list[Array]] = {
        name: [] for name in ("surprise_loss", "gradient_norm", "momentum_norm", "update_norm", "weight_norm")
    }
    for time, (key, value) in enumerate(np.moveaxis(pairs, 3, 1)):
        error = np.einsum("bhij,bhi->bhj", matrix, key) - value
        step, eta, alpha = (gates[name][time][..., None, None] for name in ("step_size", "momentum_gate", "decay_gate"))
        given = -step * 2 * key[..., None] * error[..., None, :]
        momentum = eta * momentum + given
        before, matrix = matrix, (1 - alpha) * matrix + momentum
        sizes = {"gradient_norm": given, "momentum_norm": momentum, "update_norm": matrix - before}
        found["surprise_loss"].append((error**2).sum(axis=-1))
        for name, one in (sizes | {"weight_norm": matrix}).items():
            found[name].append(np.linalg.norm(one, axis=(-2, -1)))
    return {name: np.stack(values) for name, values in found.items()}


def _relearn(fields: Fields, item: int) -> None:
    """Unroll one item again, after something that it is made of was changed."""
    one = slice(item, item + 1)
    gates = {name: fields[name][:, one] for name in ("step_size", "momentum_gate", "decay_gate")}
    for name, values in _unroll_titans(gates, fields["_pairs"][:, one], fields["_weights"][one]).items():
        fields[name][:, one] = values


def _spiked(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["_pairs"][9, item, 1, 1] *= 40
    _relearn(fields, item)
    return {"field": "surprise_loss", "time": 9, "head": 1}


def _forgetful(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["decay_gate"][:, item] = rng.uniform(0.8, 0.95, (_CHUNKS, _HEADS))
    _relearn(fields, item)
    return {"field": "decay_gate"}


def _inert(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["momentum_gate"][:, item] = rng.uniform(0.97, 0.999, (_CHUNKS, _HEADS))
    # Steps must be small, or weights that overshoot grow before inertia shows.
    fields["step_size"][:, item] = 1e-3
    fields["step_size"][:2, item] = 0.1
    _relearn(fields, item)
    return {"field": "momentum_norm"}


def _standing(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["step_size"][:, item] = 1e-9
    fields["decay_gate"][:, item] *= 1e-6
    _relearn(fields, item)
    return {"field": "update_norm"}


def _overflow(fields: Fields, item: int, rng: np.random.Generator) -> Where:
    fields["step_size"][:, item, 1] = 2.5
    fields["decay_gate"][:, item] *= 1e-3
    _relearn(fields, item)
    return {"field": "weight_norm", "head": 1}


_FAULTS = (
    OtherFault("leftover_episode", "a hop looks at no fact", "leftover_episode", "DMN", _episodes, _leftover),
    OtherFault("redundant_hops", "all hops look at the same fact", "redundant_hops", "DMN", _episodes, _redundant),
    OtherFault(
        "eclipsed_fact", "later facts overwrite the one attended to", "eclipsed_fact", "DMN", _episodes, _eclipsed
    ),
    OtherFault(
        "missed_supporting_facts",
        "the hops look at facts that do not matter",
        "missed_supporting_facts",
        "DMN",
        _told,
        _missed,
        {"supporting": [list(_SUPPORTING)] * 3},
    ),
    OtherFault("diffuse_attention", "logits near 0", "diffuse_attention", "attention", _attention, _diffuse_attention),
    OtherFault("attention_sink", "all queries look at one key", "attention_sink", "attention", _attention, _sink),
    OtherFault("blurred_shifts", "shifts that mix all directions", "blurred_shifts", "NTM", _shifts, _blurred),
    OtherFault(
        "duplicate_positions", "a sparse read names a slot twice", "duplicate_positions", "SAM", _positions, _duplicate
    ),
    OtherFault(
        "missed_neighbours", "an index that looks into the wrong cells", "missed_neighbours", "SAM", _lookups, _missing
    ),
    OtherFault("vanishing_gradient", "a gradient that fades", "vanishing_gradient", "gradient", _gradients, _vanishing),
    OtherFault("exploding_gradient", "a gradient that grows", "exploding_gradient", "gradient", _gradients, _exploding),
    OtherFault("bypassed_memory", "an output that ignores the reads", "bypassed_memory", "DNC", _influence, _bypassed),
    OtherFault("short_reach", "a gradient that ends at the answers", "short_reach", "gradient", _written, _unreached),
    OtherFault("surprise_spike", "one value far outside", "surprise_spike", "Titans", _fast_weights, _spiked),
    OtherFault("fast_forgetting", "a decay gate near 1", "fast_forgetting", "Titans", _fast_weights, _forgetful),
    OtherFault("stale_surprise", "a momentum gate near 1", "stale_surprise", "Titans", _fast_weights, _inert),
    OtherFault("frozen_fast_weights", "steps of size 0", "frozen_fast_weights", "Titans", _fast_weights, _standing),
    OtherFault("growing_fast_weights", "too large steps", "growing_fast_weights", "Titans", _fast_weights, _overflow),
)

OTHERS: Mapping[str, OtherFault] = MappingProxyType({fault.name: fault for fault in _FAULTS})
"""Faults of other memories by name."""
