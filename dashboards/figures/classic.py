"""The classic figures of memory networks, one function each, from a record.

The layouts are those of the papers: Graves et al. 2014, figure 6 (NTM on copy); Graves et al. 2016, extended data
figure 1 (weightings and gates of a DNC); the table of facts and episodes of Kumar et al. 2016, table 4. Unlike there,
every weight is on the fixed scale 0 to 1 and every panel has axes, units and a colour bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from memviz.analysis.episodes import effective_gates
from memviz.dashboards.fieldview import Values
from memviz.dashboards.figures.parts import Parts, refuse_empty
from memviz.dashboards.figures.sheet import Panel, Sheet, panel

LONGEST = 60
"""Characters of a fact that are printed."""


def ntm_figure(values: Values, memory: str, item: int, subtitle: str = "", time: int | None = None) -> Sheet:
    """Inputs and outputs; what is added and what is read; write and read weightings; all over time.

    Args:
        values: the record.
        memory: name of the memory; any that records write and read vectors or weightings, such as a DNC's.
        item: index along the batch axis.
        subtitle: where it is from.
        time: a time to mark.

    Raises:
        FieldError: none of it was recorded.
    """
    parts = Parts(values, memory, item)
    inputs, outputs = parts.model("input"), parts.model("output")
    body = {name: parts.heads(name) for name in ("write_vectors", "read_vectors", "write_weights", "read_weights")}
    for name, word in (("write_vectors", "Adds"), ("read_vectors", "Reads")):
        body[name] = [replace(one, title=", ".join([word, *one.title.split(", ")[1:]])) for one in body[name]]
    needs = list(body)
    refuse_empty([one for found in body.values() for one in found], "NTM", needs, memory)
    grid = [
        *zip_longest(inputs, outputs),
        *zip_longest(body["write_vectors"], body["read_vectors"]),
        *zip_longest(body["write_weights"], body["read_weights"]),
    ]
    return Sheet("ntm", "Inputs, adds and writes; outputs and reads", subtitle, tuple(grid), parts.captions(), time)


def dnc_figure(values: Values, memory: str, item: int, subtitle: str = "", time: int | None = None) -> Sheet:
    """Weightings per slot and time, usage, and the gates and read modes that lead to them; see `ntm_figure`."""
    parts = Parts(values, memory, item)
    writes, reads = parts.heads("write_weights"), parts.heads("read_weights")
    usage = parts.heads("usage")
    gates = parts.stacked("Gates", ("write_gate", "allocation_gate", "free_gates"), "gate")
    modes = parts.heads("read_modes")
    refuse_empty([*writes, *reads, *usage, gates], "DNC", ["write_weights", "read_weights", "usage"], memory)
    sequence = [*parts.model("input"), *parts.model("target"), *parts.model("output")]
    column = [*sequence, *writes, *reads, *usage, *([gates] if gates else []), *modes]
    return Sheet(
        "dnc", "Weights and gates per slot and time", subtitle, tuple((one,) for one in column), parts.captions(), time
    )


def dmn_figure(values: Values, memory: str, item: int, subtitle: str = "", time: int | None = None) -> Sheet:
    """Facts against hops: the raw gate, what the episode keeps of each fact, and which facts the answer rests on.

    The effective gate is E_i = g_i Π_{j>i} (1 - g_j) (memviz.analysis.episodes); facts are ranked by it, not by g.

    Raises:
        FieldError: no episodic attention was recorded.
    """
    parts = Parts(values, memory, item)
    raw = parts.heads("episodic_attention")
    refuse_empty(raw, "DMN", ["episodic_attention"], memory)
    found = parts.view("episodic_attention")
    assert found is not None
    labels = values.record.labels
    gates = np.asarray(values.item(found, item), np.float64)  # [hop, fact]
    kind = str(values.record.memories[memory].attributes.get("episode", "gated"))
    with np.errstate(invalid="ignore"):
        kept, left = effective_gates(gates, kind)
    hops, facts = gates.shape
    numbers = [f"hop {hop}" for hop in range(hops)]
    texts = facts_of(labels, item, facts)
    names = [f"{index}  {_cut(text)}" if text else str(index) for index, text in enumerate(texts)]
    printed = "number" if hops * facts <= 400 else ""
    beside = [""] * facts

    def table(title: str, cells: Any, row_names: list[str], bar: bool, field: str = "") -> Panel:
        return panel(
            title,
            np.asarray(cells).T,
            "weight",
            rows="fact",
            columns="hop",
            scale=(0.0, 1.0),
            row_names=row_names,
            column_names=numbers,
            printed=printed,
            bar=bar,
            field=field,
        )

    supporting = supporting_of(labels, item, facts)
    row: list[Panel | None] = [
        table("Raw gate g", gates, names, False, found.name),
        table("Effective gate E", kept, beside, supporting is None),
    ]
    if supporting is not None:
        marks = np.array([[float(fact in supporting)] for fact in range(facts)])
        row.append(
            panel(
                "Support", marks, "weight", rows="", columns="", row_names=beside, column_names=["label"], printed="yes"
            )
        )
    captions = [_answer(labels, item)]
    captions.append(
        "What each hop keeps of the state that it starts from: "
        + ", ".join(f"hop {hop} {share:.2f}" for hop, share in enumerate(np.atleast_1d(left).tolist()))
        + "."
    )
    if kept.size and np.isfinite(kept).all():
        best = ", ".join(f"hop {hop} fact {int(at)}" for hop, at in enumerate(kept.argmax(axis=1)))
        captions.append(f"Kept most: {best}.")
    said = tuple(text for text in (*captions, *parts.captions()) if text)
    return Sheet("dmn", "Facts by hops", subtitle, (tuple(row),), said, None)


def facts_of(labels: Mapping[str, Any], item: int, count: int) -> list[str]:
    """The text of each fact by the label `facts`, one list, or one list per item; "" where there is none."""
    given = _of_item(labels.get("facts"), item)
    texts = [str(entry) for entry in given][:count] if isinstance(given, list) else []
    return texts + [""] * (count - len(texts))


def supporting_of(labels: Mapping[str, Any], item: int, count: int) -> list[int] | None:
    """Positions of the supporting facts by the label `supporting`; None where nothing says so."""
    given = labels.get("supporting")
    if not isinstance(given, list):
        return None
    mine = _of_item(given, item) if any(isinstance(entry, list) for entry in given) else (given if item == 0 else None)
    return [fact for fact in mine if type(fact) is int and 0 <= fact < count] if isinstance(mine, list) else None


def _of_item(given: Any, item: int) -> Any:
    """A list of lists has one per item; a plain list is that of the first item."""
    if isinstance(given, list) and given and all(isinstance(entry, list) for entry in given):
        return given[item] if item < len(given) else None
    return given if item == 0 else None


def _answer(labels: Mapping[str, Any], item: int) -> str:
    pairs = [(name, labels.get(name)) for name in ("question", "answer", "predicted")]
    said = [f"{name}: {_of(value, item)}" for name, value in pairs if value not in (None, "")]
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _of(value: Any, item: int) -> str:
    return str(value[item] if isinstance(value, list) and item < len(value) else value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
