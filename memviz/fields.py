"""The catalogue of fields: the canonical name, axes, range and meaning of every quantity that memviz records.

Names follow google-deepmind/dnc; symbols follow Graves et al. 2014 (NTM), Graves et al. 2016 (DNC) and Kumar et al.
2016 (DMN); masks and the sharpening of links are those of Csordas and Schmidhuber 2019. A package's own spelling lives
only in its adapter. Axis order is fixed, time first.

Axis names: `time` position in a sequence (a hop, for a DMN), `batch` item, `read_head` and `write_head`, `head` any of
them (of an NTM: the read heads, then the write heads), `slot` a memory row, `word` a memory column,
`slot_to`/`slot_from` of a link, `mode` one of backward, content, forward,
`fact` of a story, `query`/`key` positions of an attention, `unit` of a recurrent layer, `rank` within a sparse access,
`read_position`, `write_position`, `content_position` and `link_position` entries of a sparse weighting, `row`/`column`
of a fast weight matrix, `input_channel` and `output_channel` of the model's own input and output.
Every axis name has one length within a memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from memviz.fields_modern import MODERN
from memviz.fields_sparse import SPARSE

Kind = Literal["weight", "gate", "mode", "signed", "positive", "index"]
"""How a field is read and drawn.

`weight` and `gate` live in [0, 1]; `mode` is a distribution over three read modes; `signed` is drawn diverging around
zero; `positive` is unbounded above; `index` holds integers.
"""

MODEL = "model"
"""Memory name under which the model's own input, target and output are recorded."""

READ_MODES = ("backward", "content", "forward")
"""Order of the `mode` axis (Graves et al. 2016, Methods: pi[1] backward, pi[2] content, pi[3] forward)."""

GRADIENT_PREFIX = "grad/"
INITIAL_PREFIX = "initial/"
FINAL_PREFIX = "final/"


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity of a memory.

    `low` and `high` bound every value (None: unbounded). `simplex` names the axis over which values sum to at most 1.
    """

    name: str
    title: str
    axes: tuple[str, ...]
    kind: Kind
    symbol: str
    meaning: str
    low: float | None = None
    high: float | None = None
    simplex: str | None = None


def _weight(name: str, title: str, axes: str, symbol: str, meaning: str, simplex: str | None = "slot") -> Field:
    return Field(name, title, tuple(axes.split()), "weight", symbol, meaning, 0.0, 1.0, simplex)


def _gate(name: str, title: str, axes: str, symbol: str, meaning: str) -> Field:
    return Field(name, title, tuple(axes.split()), "gate", symbol, meaning, 0.0, 1.0)


def _signed(name: str, title: str, axes: str, symbol: str, meaning: str) -> Field:
    return Field(name, title, tuple(axes.split()), "signed", symbol, meaning)


_READ, _WRITE = "time batch read_head", "time batch write_head"

_FIELDS = (
    _weight("write_weights", "Write weights", f"{_WRITE} slot", "w^w", "where the write head writes"),
    _weight("read_weights", "Read weights", f"{_READ} slot", "w^r", "where each read head reads"),
    _weight("usage", "Usage", "time batch slot", "u", "how far each slot is in use", None),
    _weight("allocation_weights", "Allocation weights", f"{_WRITE} slot", "a", "the free slots, least used first"),
    _weight("write_content_weights", "Write content weights", f"{_WRITE} slot", "c^w", "slots most like the write key"),
    _weight("read_content_weights", "Read content weights", f"{_READ} slot", "c^r", "slots most like each read key"),
    _weight("forward_weights", "Forward weights", f"{_READ} write_head slot", "f", "one step on along the links"),
    _weight("backward_weights", "Backward weights", f"{_READ} write_head slot", "b", "one step back along the links"),
    _weight("precedence_weights", "Precedence", f"{_WRITE} slot", "p", "how far each slot was the last one written"),
    _weight(
        "link_matrix",
        "Link matrix",
        f"{_WRITE} slot_to slot_from",
        "L",
        "how far slot_to was written right after slot_from",
        "slot_from",
    ),
    _signed("memory", "Memory", "time batch slot word", "M", "the memory matrix after the write at this time"),
    _signed("read_vectors", "Read vectors", f"{_READ} word", "r", "what each head read"),
    _signed("read_keys", "Read keys", f"{_READ} word", "k^r", "what each read head looks for"),
    Field(
        "read_strengths", "Read strengths", tuple(_READ.split()), "positive", "β^r", "sharpness of the read lookup", 0
    ),
    _signed("write_keys", "Write keys", f"{_WRITE} word", "k^w", "what the write head looks for"),
    Field(
        "write_strengths",
        "Write strengths",
        tuple(_WRITE.split()),
        "positive",
        "β^w",
        "sharpness of the write lookup",
        0,
    ),
    _weight("read_masks", "Read masks", f"{_READ} word", "m^r", "which words each read lookup compares", None),
    _weight("write_masks", "Write masks", f"{_WRITE} word", "m^w", "which words the write lookup compares", None),
    Field(
        "erase_vectors",
        "Erase vectors",
        tuple(f"{_WRITE} word".split()),
        "weight",
        "e",
        "which words the write head clears",
        0.0,
        1.0,
    ),
    _signed("write_vectors", "Write vectors", f"{_WRITE} word", "v", "what the write head adds"),
    _gate("write_gate", "Write gate", _WRITE, "g^w", "how far this time writes at all"),
    _gate("allocation_gate", "Allocation gate", _WRITE, "g^a", "write to a free slot (1) or by content (0)"),
    _gate("free_gates", "Free gates", _READ, "f", "how far what was just read is freed"),
    Field(
        "read_modes",
        "Read modes",
        tuple(f"{_READ} mode".split()),
        "mode",
        "π",
        "backward, content, forward share of each read",
        0.0,
        1.0,
        "mode",
    ),
    Field(
        "forward_sharpening",
        "Forward sharpening",
        tuple(_READ.split()),
        "positive",
        "s^f",
        "exponent of the forward weights",
        1.0,
    ),
    Field(
        "backward_sharpening",
        "Backward sharpening",
        tuple(_READ.split()),
        "positive",
        "s^b",
        "exponent of the backward weights",
        1.0,
    ),
    _gate(
        "memory_influence",
        "Memory influence",
        "time batch",
        "ρ",
        "share of the output that comes through what was read; the rest comes from the controller",
    ),
    _gate("interpolation_gate", "Interpolation gate", "time batch head", "g", "content (1) or previous weighting (0)"),
    _weight(
        "shift_weights", "Shift weights", "time batch head shift", "s", "distribution over allowed shifts", "shift"
    ),
    Field(
        "sharpening", "Sharpening", ("time", "batch", "head"), "positive", "γ", "exponent of the final weighting", 1.0
    ),
    _weight("episodic_attention", "Episodic attention", "time batch fact", "g", "gate of each fact at each hop", None),
    _weight(
        "effective_attention",
        "Effective attention",
        "time batch fact",
        "E",
        "what the episode keeps of each fact",
        "fact",
    ),
    _signed(
        "episode_candidates", "Episode candidates", "time batch fact word", "c", "what each fact offers the episode"
    ),
    _signed("episode", "Episode", "time batch word", "e", "what a hop made of the facts"),
    _weight("attention", "Attention", "time batch head query key", "A", "attention of each query over keys", "key"),
    *(Field(*row) for row in SPARSE),
    *(Field(*row) for row in MODERN),
    _signed("input", "Input", "time batch input_channel", "x", "what the model was given"),
    _signed("target", "Target", "time batch output_channel", "y*", "what it should have answered"),
    _signed("output", "Output", "time batch output_channel", "y", "what it answered"),
)

CATALOGUE: Mapping[str, Field] = MappingProxyType({field.name: field for field in _FIELDS})
"""Canonical fields by bare name, in the order in which panels are stacked."""

GENERATORS = ("write_weights", "erase_vectors", "write_vectors", "read_weights", "free_gates")
"""What the state of a DNC follows from (Graves et al. 2016, Methods); an NTM needs only the first three."""

CAUSAL_ORDER = (
    "input",
    "read_keys",
    "write_keys",
    "read_strengths",
    "write_strengths",
    "read_masks",
    "write_masks",
    "erase_vectors",
    "write_vectors",
    "free_gates",
    "allocation_gate",
    "write_gate",
    "read_modes",
    "forward_sharpening",
    "backward_sharpening",
    "interpolation_gate",
    "shift_weights",
    "sharpening",
    "usage",
    "allocation_weights",
    "write_content_weights",
    "write_weights",
    "memory",
    "link_matrix",
    "precedence_weights",
    "forward_weights",
    "backward_weights",
    "read_content_weights",
    "read_weights",
    "read_vectors",
    "output",
)
"""What is computed from what within one time of a DNC or an NTM, as far as one order can say it."""


def bare_name(full_name: str) -> str:
    """Strip the memory: `layer0/read_weights` gives `read_weights`, `layer0/grad/usage` gives `grad/usage`."""
    parts = full_name.split("/")
    for marker in ("grad", "initial", "final"):
        if marker in parts[:-1]:
            return "/".join(parts[parts.index(marker) :])
    return parts[-1]


def memory_of(full_name: str) -> str:
    """The memory part of a full name: `layer0/read_weights` gives `layer0`."""
    return full_name[: -len(bare_name(full_name)) - 1]


def lookup(name: str) -> Field | None:
    """The catalogue entry for a bare name, also for `grad/<field>`, `initial/<field>` and `final/<field>`.

    A gradient has the axes of its field and is signed; initial and final states have the axes without `time`.
    Returns None for a name outside the catalogue, which a tap may record with axes of its own.
    """
    if name.startswith(GRADIENT_PREFIX):
        base = CATALOGUE.get(name.removeprefix(GRADIENT_PREFIX))
        if base is None:
            return None
        return Field(
            name, f"Gradient of {base.title.lower()}", base.axes, "signed", f"∂L/∂{base.symbol}", "gradient of the loss"
        )
    for prefix, word in ((INITIAL_PREFIX, "before the first time"), (FINAL_PREFIX, "after the last time")):
        if name.startswith(prefix):
            base = CATALOGUE.get(name.removeprefix(prefix))
            if base is None:
                return None
            return Field(
                name,
                f"{base.title} {word}",
                base.axes[1:],
                base.kind,
                base.symbol,
                f"{base.meaning}, {word}",
                base.low,
                base.high,
                base.simplex,
            )
    return CATALOGUE.get(name)
