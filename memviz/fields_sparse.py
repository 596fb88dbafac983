"""The part of the catalogue for sparse memories: weightings as pairs of slots and weights; see memviz.fields.

A weighting over a million slots of which a few are not zero is recorded as `<name>_indices`, the slots (-1 where there
is none), and `<name>_values`, their weights. Where the dense weighting would have had more, `<name>_left_out` says how
much. Each row holds the arguments of `memviz.fields.Field`. Source: Rae et al. 2016 (SAM and SDNC).
"""

from __future__ import annotations

from typing import Any

Row = tuple[Any, ...]

_READ, _WRITE = ("time", "batch", "read_head"), ("time", "batch", "write_head")


def _pair(name: str, axes: tuple[str, ...], place: str, symbol: str, slots: str) -> tuple[Row, Row]:
    title = name.replace("_", " ").capitalize()
    return (
        (f"{name}_indices", f"{title} indices", (*axes, place), "index", f"I({symbol})", f"{slots}; -1 for none"),
        (f"{name}_values", f"{title} values", (*axes, place), "weight", symbol, f"weights of the {slots}", 0, 1, place),
    )


def _left_out(name: str, axes: tuple[str, ...], symbol: str, meaning: str) -> Row:
    title = f"{name.replace('_', ' ').capitalize()} left out"
    return (f"{name}_left_out", title, axes, "gate", f"1 - Σ {symbol}", meaning, 0.0, 1.0)


SPARSE: tuple[Row, ...] = (
    *_pair("write", _WRITE, "write_position", "w^w", "slots written"),
    *_pair("read", _READ, "read_position", "w^r", "slots read"),
    *_pair("read_content", _READ, "content_position", "c^r", "slots most like each read key"),
    *_pair("forward", _READ, "link_position", "f", "slots one step on along the links"),
    *_pair("backward", _READ, "link_position", "b", "slots one step back along the links"),
    *_pair("precedence", _WRITE, "link_position", "p", "slots written last"),
    _left_out("read_content", _READ, "c^r", "share of a full lookup on slots not read"),
    _left_out("forward", _READ, "f", "what of the step on falls on slots that are not kept"),
    _left_out("backward", _READ, "b", "what of the step back falls on slots that are not kept"),
    _left_out("precedence", _WRITE, "p", "what of the precedence falls on slots that are not kept"),
    ("least_used", "Least recently used slot", _WRITE, "index", "argmin U", "the slot cleared, to be written anew"),
    (
        "neighbour_recall",
        "Neighbour recall",
        _READ,
        "gate",
        "|A ∩ E| / K",
        "share of the K nearest slots that an approximate search found when it was last checked; 1 for an exact one",
        0.0,
        1.0,
    ),
)
