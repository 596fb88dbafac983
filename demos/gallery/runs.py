"""Write runs of the gallery: healthy at first, and from a known step on with a fault in one item of the batch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memviz._version import __version__
from memviz.analysis import diagnostics
from memviz.demos.gallery.faults import FAULTS
from memviz.demos.gallery.others import OTHERS, OtherFault
from memviz.demos.gallery.scene import Array, Fault, healthy, scene_of
from memviz.demos.gallery.unroll import LAWFUL, unroll
from memviz.errors import UnknownNameError
from memviz.fields import MODEL, bare_name, lookup, memory_of
from memviz.testing.simulate import COSINE_DELTA, Sizes, episodes
from memviz.testing.synthetic import MODEL_FIELDS, STORED_BY_DEFAULT
from memviz.trace.schema import FieldSchema, Json, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

RECORDS, EVERY, PLANTED_FROM = 10, 50, 5
"""Records of a run, steps between them, and the first record with the fault."""

BATCH = (0, 4, 7)
"""Positions in the training batch of the items recorded."""

ITEM = 1
"""The item with the fault: not the first, which a tool that only looks there would miss."""

MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class GalleryRun:
    """A run with a planted fault.

    Attributes:
        path: the trace.
        fault: name of the fault; empty for a healthy run.
        diagnostic: the check that should name it first.
        step: first step with the fault.
        item: position in the record of the item that has it.
        where: where the evidence should point: any of field, time, slot, head.
    """

    path: Path
    fault: str
    diagnostic: str
    step: int
    item: int
    where: dict[str, int | str]


def names() -> tuple[str, ...]:
    """All faults of the gallery."""
    return (*FAULTS, *OTHERS)


def write_run(name: str, path: str | os.PathLike[str], *, seed: int = 0, strength: float = 1.0) -> GalleryRun:
    """Write the run of one fault.

    Args:
        name: one of `names()`.
        path: where the trace goes; beside an existing one.
        seed: of the sequences and of what the fault leaves open. Equal seeds give equal runs.
        strength: below 1 a fault of what the controller emits is mixed with what it would emit in health. A wrong
            equation, and a fault of another memory than a DNC, is either there or not. Where the evidence should point
            is only known at full strength.

    Raises:
        UnknownNameError: no such fault.
        ValueError: a strength other than 1 for a fault that has none.
        TraceError: the trace cannot be written.
    """
    if strength != 1.0 and not has_strength(name):
        raise ValueError(f"{name} is either there or not, so its strength is 1, not {strength}")
    if name in OTHERS:
        return _write_other(OTHERS[name], path, seed)
    if name not in FAULTS:
        raise UnknownNameError("fault", name, names())
    return _write_dnc(FAULTS[name], FAULTS[name].sizes, path, seed, strength)


def has_strength(name: str) -> bool:
    """Whether a fault is one of what the controller of a DNC emits, which can be mixed with health."""
    if name not in FAULTS:
        return False
    sizes = FAULTS[name].sizes
    return FAULTS[name].plant(scene_of(healthy(sizes, 0), ITEM, sizes, 0)).equations is LAWFUL


def write_healthy(path: str | os.PathLike[str], *, seed: int = 0, sizes: Sizes | None = None) -> GalleryRun:
    """Write the run that the faults of a DNC are planted into, without any."""
    return _write_dnc(None, sizes or Sizes(batch=len(BATCH)), path, seed)


def write_healthy_other(name: str, path: str | os.PathLike[str], *, seed: int = 0) -> GalleryRun:
    """Write the run that a fault of another kind of memory is planted into, without the fault."""
    return _write_other(OTHERS[name], path, seed, planted_from=RECORDS)


def _write_dnc(
    fault: Fault | None, sizes: Sizes, path: str | os.PathLike[str], seed: int, strength: float = 1.0
) -> GalleryRun:
    where: dict[str, int | str] = {}
    lasting = fault is not None and diagnostics.get(fault.diagnostic).lasting
    stored = list(STORED_BY_DEFAULT)
    records = []
    for record in range(RECORDS):
        fields = healthy(sizes, seed, jitter=record)
        scene = scene_of(fields, ITEM, sizes, seed)
        planted = fault.plant(scene) if fault is not None else None
        if planted is not None:
            stored = list(dict.fromkeys([*STORED_BY_DEFAULT, *planted.stored]))
            if record >= PLANTED_FROM:
                sound = scene_of(fields, ITEM, sizes, seed).interface
                emitted = {
                    name: values if strength == 1.0 else (1 - strength) * sound[name] + strength * values
                    for name, values in scene.interface.items()
                }
                faulty = unroll(emitted, scene.initial, planted.equations)
                if strength == 1.0 and not (where and lasting):
                    where = planted.where(faulty)
                _replace_item(fields, faulty)
        keep = {f"{MEMORY}/{name}": fields[name] for name in stored}
        records.append(keep | {f"{MODEL}/{name}": fields[name] for name in MODEL_FIELDS})
    labels: dict[str, Json] = {
        "phases": [[phase.name, phase.start, phase.stop] for phase in episodes(sizes.times, sizes.slots)]
    }
    attributes: dict[str, Json] = {"class": "GalleryDNC", "allocation_delta": 0.0, "cosine_delta": COSINE_DELTA}
    written = _write(path, fault.name if fault else "", {MEMORY: ("dnc", attributes)}, records, labels, seed)
    return _described(written, fault.name if fault else "", fault.diagnostic if fault else "", where)


def _replace_item(fields: dict[str, Array], faulty: dict[str, Array]) -> None:
    for name, values in faulty.items():
        if name.startswith(("initial/", "final/")):
            fields[name][ITEM] = values[0]
        else:
            fields[name][:, ITEM] = values[:, 0]


def _write_other(
    fault: OtherFault, path: str | os.PathLike[str], seed: int, planted_from: int = PLANTED_FROM
) -> GalleryRun:
    where: dict[str, int | str] = {}
    lasting = diagnostics.get(fault.diagnostic).lasting
    records = []
    for record in range(RECORDS):
        rng = np.random.default_rng([seed, record])
        fields = fault.healthy(rng, len(BATCH))
        if record >= planted_from:
            now = fault.plant(fields, ITEM, rng)
            where = where if where and lasting else now
        kept = {name: values for name, values in fields.items() if not name.startswith("_")}
        records.append({_full(name): values.astype(np.float32) for name, values in kept.items()})
    written = _write(path, fault.name, {MEMORY: ("", {"class": fault.kind})}, records, dict(fault.labels), seed)
    return _described(written, fault.name, fault.diagnostic, where)


def _full(name: str) -> str:
    """Fields are of the one memory, but for what the model is given and should answer."""
    return name if name.startswith(f"{MODEL}/") else f"{MEMORY}/{name}"


def _described(path: Path, fault: str, diagnostic: str, where: dict[str, int | str]) -> GalleryRun:
    return GalleryRun(path, fault, diagnostic, PLANTED_FROM * EVERY, ITEM, where)


def _write(
    path: str | os.PathLike[str],
    fault: str,
    memories: dict[str, tuple[str, dict[str, Json]]],
    records: list[dict[str, Array]],
    labels: dict[str, Json],
    seed: int,
) -> Path:
    header = TraceHeader(
        memviz_version=__version__,
        created=time.time(),
        run=Path(path).name,
        model={"class": "Gallery"},
        attributes={"fault": fault, "seed": seed, "synthetic": True},
    )
    writer = TraceWriter.create(Path(path), header)
    try:
        for memory in dict.fromkeys(memory_of(name) for name in records[0]):
            law, attributes = memories.get(memory, ("", {}))
            specs = {bare_name(name): _spec(bare_name(name)) for name in records[0] if memory_of(name) == memory}
            writer.declare(MemorySchema(memory, law, specs, attributes))
        for index, fields in enumerate(records):
            writer.append(
                RecordData(step=index * EVERY, fields=fields, wall=header.created + index, batch=BATCH, labels=labels)
            )
    finally:
        writer.close()
    return Path(writer.path)


def _spec(name: str) -> FieldSchema:
    entry = lookup(name)
    if entry is None:
        # A tap may record what the catalogue does not know, such as the positions of a sparse access.
        return FieldSchema(name, ("time", "batch", "read_head", "position"), "float32", "index")
    return FieldSchema(name, entry.axes, "float32", entry.kind, entry.low, entry.high, entry.simplex)
