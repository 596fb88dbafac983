"""The faults of the gallery that a DNC can have, each planted into one item of a copy that works."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics
from memviz.demos.gallery.scene import Array, Fault, Planted, Scene
from memviz.demos.gallery.unroll import Equations, unroll
from memviz.testing.simulate import Sizes

REACH = 4
"""Slots that the allocation of `dead_slots` reaches."""


def _nan_cosine(scene: Scene) -> Planted:
    x, time = scene.interface, 3
    # Full gates make one-hot weights, so that erasing everything and adding nothing leaves a row of exact zeros.
    x["write_gate"][: time + 1] = 1
    x["allocation_gate"][: time + 1] = 1
    x["erase_vectors"][time] = 1
    x["write_vectors"][time] = 0

    def content(memory: Array, keys: Array, strengths: Array) -> Array:
        dots = np.matmul(keys, np.swapaxes(memory, 1, 2))
        norms = np.linalg.norm(keys, axis=-1)[:, :, None] * np.linalg.norm(memory, axis=-1)[:, None, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = strengths[:, :, None] * dots / norms
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    # The reads look right after the write, so they meet the empty row first.
    return Planted(Equations(content=content), lambda fields: {"field": "read_weights", "time": time})


def _closed_gate(scene: Scene) -> Planted:
    scene.interface["write_gate"] *= 0.02
    return Planted(where=lambda fields: {"field": "write_gate", "head": 0})


def _dead_slots(scene: Scene) -> Planted:
    def allocate(usage: Array) -> Array:
        reached = dynamics.allocate(usage[:, :REACH])
        return np.pad(reached, ((0, 0), (0, usage.shape[1] - REACH)))

    # Nothing is free among the slots in reach after a while, so writes go on by content.
    x = scene.interface
    for time in scene.written:
        if time >= REACH:
            x["allocation_gate"][time] = 0
            x["write_keys"][time] = x["write_vectors"][time - REACH]
            x["write_strengths"][time] = 50
    return Planted(
        Equations(allocate=allocate),
        lambda fields: {"field": "write_weights", "time": REACH, "slot": REACH},
        stored=("allocation_weights",),
    )


def _identical_heads(scene: Scene) -> Planted:
    x = scene.interface
    for name in ("read_keys", "read_strengths", "read_modes", "free_gates"):
        x[name][:, :, 1] = x[name][:, :, 0]
    return Planted(where=lambda fields: {"head": 1})


def _saturated_usage(scene: Scene) -> Planted:
    scene.interface["free_gates"][:] = 1e-4
    return Planted(where=lambda fields: {"field": "usage", "time": _first(fields["usage"].mean(axis=-1)[:, 0] > 0.95)})


def _blurred_links(scene: Scene) -> Planted:
    x = scene.interface
    x["allocation_gate"][list(scene.written)] = 0.85
    x["write_strengths"][list(scene.written)] = 1.0
    start = scene.recalled.start
    return Planted(
        where=lambda fields: {
            "field": "link_matrix",
            "time": start,
            "slot": int(fields["write_weights"][0, 0, 0].argmax()),
            "head": 0,
        }
    )


def _freed_residue(scene: Scene) -> Planted:
    # The key stays that of the first item, which was freed when it had been read.
    scene.modes(scene.recalled, 0, 1, 0)
    return Planted(
        where=lambda fields: {
            "field": "read_content_weights",
            "slot": int(fields["write_weights"][0, 0, 0].argmax()),
        }
    )


def _read_mass_leak(scene: Scene) -> Planted:
    scene.modes(scene.recalled[1:], 1, 0, 0)
    return Planted(where=lambda fields: {"field": "read_weights", "time": int(_asked_leak(scene, fields).argmax())})


def _asked_leak(scene: Scene, fields: Mapping[str, Array]) -> Array:
    leak = np.full(scene.sizes.times, -np.inf)
    times = list(scene.recalled)
    leak[times] = 1 - fields["read_weights"][times, 0].astype(np.float64).sum(axis=-1).max(axis=-1)
    return leak


def _value_leakage(scene: Scene) -> Planted:
    x, words = scene.interface, scene.sizes.words
    key_words = words // 2
    items = len(scene.written)
    basis, _ = np.linalg.qr(scene.random.normal(size=(key_words, key_words)))
    address = np.concatenate([basis, -basis])[:items]
    x["write_vectors"][list(scene.written), 0, 0, :key_words] = address
    x["write_vectors"][list(scene.written), 0, 0, key_words:] = 1.5 * scene.random.choice(
        [-1.0, 1.0], (items, words - key_words)
    )
    x["read_keys"][list(scene.recalled)] = 0
    x["read_keys"][list(scene.recalled), :, :, :key_words] = address[:, None, None]
    x["read_strengths"][:] = 8
    x["free_gates"][:] = 1e-3
    scene.modes(scene.recalled, 0, 1, 0)
    return Planted(where=lambda fields: {"field": "read_content_weights"})


def _ambiguous_lookup(scene: Scene) -> Planted:
    x = scene.interface
    # Every item is written twice, and looked up by content.
    for time in scene.written:
        x["write_vectors"][time] = x["write_vectors"][time - time % 2]
    for index, time in enumerate(scene.recalled):
        x["read_keys"][time] = x["write_vectors"][index]
    x["read_strengths"][:] = 60
    x["free_gates"][:] = 1e-3
    scene.modes(scene.recalled, 0, 1, 0)
    return Planted(where=lambda fields: {"field": "read_content_weights"})


def _crowded_memory(scene: Scene) -> Planted:
    vectors = scene.interface["write_vectors"]
    shared = scene.random.normal(size=vectors.shape[-1])
    vectors += 6 * np.linalg.norm(vectors, axis=-1).max() * shared / np.linalg.norm(shared)
    return Planted(where=lambda fields: {"field": "memory"})


def _write_interference(scene: Scene) -> Planted:
    x = scene.interface
    # While it answers, it writes over the item that comes next.
    for index, time in enumerate(scene.recalled):
        following = scene.written[min(index + 1, len(scene.written) - 1)]
        x["write_gate"][time] = 1
        x["allocation_gate"][time] = 0
        x["write_keys"][time] = x["write_vectors"][following]
        x["write_strengths"][time] = 50
        noise = scene.random.normal(size=x["write_vectors"][time].shape)
        x["write_vectors"][time] = noise * np.linalg.norm(x["write_vectors"][following]) / np.linalg.norm(noise)
    x["free_gates"][:] = 1e-3
    return Planted(where=lambda fields: {"field": "write_weights", "head": 0})


def _piled_up(scene: Scene) -> Planted:
    x = scene.interface
    times = list(scene.written)[1:]
    x["erase_vectors"][:] = 1e-3
    x["allocation_gate"][times] = 0
    x["write_strengths"][times] = 80
    x["write_vectors"][times] = x["write_vectors"][0]
    x["write_keys"][times] = x["write_vectors"][0]
    return Planted(where=lambda fields: {"field": "memory", "slot": int(fields["write_weights"][0, 0, 0].argmax())})


def _unread_writes(scene: Scene) -> Planted:
    scene.modes(scene.recalled, 0, 1, 0)
    scene.interface["free_gates"][:] = 1e-3
    return Planted(where=lambda fields: {"field": "write_weights"})


def _unwritten_reads(scene: Scene) -> Planted:
    x = scene.interface
    x["free_gates"][:] = 1e-3
    # What is written does not depend on where heads read, so it shows now which slot will stay empty.
    slot = int(unroll(x, scene.initial)["write_weights"].max(axis=(0, 1, 2)).argmin())
    scene.modes(range(scene.sizes.times), 0, 1, 0)
    x["read_keys"][:] = scene.initial[0, slot]
    x["read_keys"][:, :, 1] += 0.05 * scene.initial[0, slot - 1]
    x["read_strengths"][:] = 60
    return Planted(where=lambda fields: {"field": "read_weights", "slot": slot})


def _diffuse_reads(scene: Scene) -> Planted:
    scene.modes(range(scene.sizes.times), 0, 1, 0)
    scene.interface["read_strengths"][:] = 1.0
    scene.interface["free_gates"][:] = 1e-3
    return Planted(where=lambda fields: {"field": "read_weights"})


def _diffuse_writes(scene: Scene) -> Planted:
    scene.interface["allocation_gate"][:] = 1e-3
    scene.interface["write_strengths"][:] = 1.0
    return Planted(where=lambda fields: {"field": "write_weights", "head": 0})


def _modes_off(scene: Scene) -> Planted:
    # A sigmoid where a softmax belongs: three modes that do not compete.
    scene.interface["read_modes"][5] = 0.7
    return Planted(where=lambda fields: {"field": "read_modes", "time": 5})


def _add_then_erase(scene: Scene) -> Planted:
    scene.interface["erase_vectors"][:] = 0.6

    def write(memory: Array, weights: Array, erase: Array, vectors: Array) -> Array:
        added = memory + np.matmul(np.swapaxes(weights, 1, 2), vectors)
        return np.asarray(dynamics.write_in_parallel(added, weights, erase, np.zeros_like(vectors)))

    return Planted(Equations(write=write), lambda fields: {"field": "memory", "time": 0}, stored=("memory",))


def _weak_strengths(scene: Scene) -> Planted:
    time, head = 7, 1
    scene.interface["read_strengths"][time, 0, head] = 0.2
    return Planted(where=lambda fields: {"field": "read_strengths", "time": time, "head": head})


def _never_allocates(scene: Scene) -> Planted:
    x = scene.interface
    x["allocation_gate"][:] = 1e-3
    x["write_strengths"][:] = 60
    for time in scene.written:
        x["write_keys"][time] = scene.initial[0, time]
    return Planted(where=lambda fields: {"field": "allocation_gate"})


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(mask)[0])


_LONG = Sizes(times=31, slots=8, batch=3)

_FAULTS = (
    Fault("nan_cosine", "the cosine of an all-zero row is 0/0", "not_finite", _nan_cosine),
    Fault("closed_write_gate", "the write gate never opens", "closed_write_gate", _closed_gate),
    Fault("dead_slots", f"allocation reaches the first {REACH} slots only", "dead_slots", _dead_slots),
    Fault("collapsed_heads", "all read heads share their parameters", "identical_heads", _identical_heads),
    Fault("saturated_usage", "free gates stay shut, so usage only grows", "saturated_usage", _saturated_usage, _LONG),
    Fault("blurred_links", "soft writes blur the links", "blurred_links", _blurred_links),
    Fault("freed_residue", "de-allocated slots keep their content and answer", "freed_residue", _freed_residue),
    Fault("read_mass_leak", "reads walk off the beginning of the links", "read_mass_leak", _read_mass_leak),
    Fault("value_leakage", "values take part in the comparison with the key", "value_leakage", _value_leakage),
    Fault("ambiguous_lookup", "two slots hold the same item", "ambiguous_lookup", _ambiguous_lookup),
    Fault("crowded_memory", "a large part is common to all that is written", "crowded_memory", _crowded_memory),
    Fault("write_interference", "writes land on what is still needed", "write_interference", _write_interference),
    Fault("piled_up_memory", "nothing is erased, writes to one slot add up", "piled_up_memory", _piled_up),
    Fault("unread_writes", "only the first item is ever read", "unread_writes", _unread_writes),
    Fault("unwritten_reads", "reads go to a slot that was never written", "unwritten_reads", _unwritten_reads),
    Fault("diffuse_reads", "read strengths are too small to choose a slot", "diffuse_reads", _diffuse_reads),
    Fault("diffuse_writes", "write strengths are too small to choose a slot", "diffuse_writes", _diffuse_writes),
    Fault("modes_off_simplex", "read modes do not sum to 1", "law_range", _modes_off),
    Fault("add_then_erase", "the memory adds before it erases", "law_residual", _add_then_erase),
    Fault("weak_strengths", "a lookup strength below 1", "weak_strengths", _weak_strengths),
    Fault("never_allocates", "all writes go by content", "never_allocates", _never_allocates),
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _FAULTS})
"""Faults of a DNC by name."""
