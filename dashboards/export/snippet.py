"""The current selection as Python that runs: open the trace, take the record, read the values."""

from __future__ import annotations

import os

from memviz.errors import PlaceError
from memviz.fields import MODEL, bare_name, memory_of
from memviz.trace.reader import Record, Trace

PREFERRED = ("read_weights", "write_weights", "episodic_attention", "attention", "hidden_state")
"""The field that is read when none is chosen: the first that the memory has."""


def snippet(
    path: str | os.PathLike[str],
    trace: Trace,
    index: int,
    *,
    memory: str | None = None,
    item: int = 0,
    time: int = 0,
    slot: int | None = None,
    head: int = 0,
    field: str | None = None,
    lineage: bool = False,
    write: int | None = None,
) -> str:
    """Python for a selection on a page.

    Args:
        path: of the trace, as it is to stand in the code.
        trace: the trace.
        index: of the record in it.
        memory: chosen memory; the first one by default.
        item: position among the recorded items.
        time: chosen time; a later one than there is means the last.
        slot: chosen slot.
        head: chosen head, counted along the first head axis.
        field: full name of the field that is looked at.
        lineage: say where the read came from, as the Lineage page does.
        write: with lineage, the time of the write that is followed forward.

    Returns:
        Lines of code. They need memviz and the trace, and print what the page shows.

    Raises:
        PlaceError: no such record.
    """
    if not 0 <= index < len(trace):
        raise PlaceError(f"the trace has the records 0 to {len(trace) - 1}, not {index}")
    record = trace[index]
    names = [name for name in record.memories if name != MODEL] or list(record.memories)
    memory = memory if memory in record.memories else names[0] if names else MODEL
    lines = ["import memviz", "", _opened(path, trace, index)]
    if lineage:
        return "\n".join([*lines, *_lineage(memory, item, time, head, write)]) + "\n"
    name = field if field is not None and field in record.fields else _preferred(record, memory)
    if name is None:
        return "\n".join([*lines, "print(record.fields)"]) + "\n"
    taken, left = _index(record, name, item, time, slot, head)
    about = f"  # {', '.join(left)}" if left else ""
    lines += [f"value = record[{name!r}]{taken}{about}", "print(value)"]
    return "\n".join(lines) + "\n"


def _opened(path: str | os.PathLike[str], trace: Trace, index: int) -> str:
    """By step where that names the record, otherwise by position."""
    step = int(trace.steps[index])
    opened = f"memviz.open({os.fspath(path)!r})"
    if trace.at(step).id == trace[index].id:
        return f"record = {opened}.at({step})"
    return f"record = {opened}[{index}]  # step {step}"


def _lineage(memory: str, item: int, time: int, head: int, write: int | None) -> list[str]:
    if write is None:
        return [
            f"read = memviz.lineage(record, time={time}, head={head}, batch={item}, memory={memory!r})",
            "print(read.text())",
            "print(read.shares)  # source 0 is the initial memory, source s + 1 the write at time s",
        ]
    return [
        "from memviz.analysis.lineage.history import destruction",
        "from memviz.analysis.lineage.table import lineage_table",
        "",
        f"print(destruction(record, {write}, batch={item}, memory={memory!r}).text())",
        f"print(lineage_table(record, {memory!r}, {item}).shares[:, :, {write + 1}])  # time, read head",
    ]


def _preferred(record: Record, memory: str) -> str | None:
    own = [name for name in record.fields if memory_of(name) == memory]
    wanted = (f"{memory}/{name}" for name in PREFERRED)
    return next((name for name in wanted if name in own), own[0] if own else None)


def _index(record: Record, name: str, item: int, time: int, slot: int | None, head: int) -> tuple[str, list[str]]:
    """The subscript for the selection, and the axes that are left."""
    chosen = {"time": time, "batch": item, "read_head": head, "write_head": head, "head": head}
    if slot is not None and bare_name(name) != "link_matrix":
        chosen["slot"] = slot
    parts, left = [], []
    for axis, length in zip(record.schema(name).axes, record.shape(name), strict=True):
        if axis in chosen and length:
            parts.append(str(max(0, min(chosen[axis], length - 1))))
        else:
            parts.append(":")
            left.append(axis)
    while parts and parts[-1] == ":":
        parts.pop()
    return (f"[{', '.join(parts)}]" if parts else ""), left
