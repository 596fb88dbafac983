"""What `memviz ablate` has found of a record, for the Lineage page; the server itself runs no model."""

from __future__ import annotations

from typing import Any

from memviz.analysis.removals import kept
from memviz.dashboards.numbers import strict
from memviz.trace.reader import Trace


def ablation(trace: Trace, index: int, memory: str, item: int) -> dict[str, Any]:
    """The removals of writes that are kept beside a trace, for one item of a record.

    Args:
        trace: the run.
        index: position of the record.
        memory: which memory.
        item: position among the recorded items.

    Returns:
        As in docs/api.md, "ablation"; `removals` is None where nobody has run `memviz ablate` on the record.
    """
    found = kept(trace, int(trace.ids[index]), memory)
    command = f"memviz ablate {trace.path}@{int(trace.steps[index])}"
    if found is None:
        return {"removals": None, "command": command}
    removals = [
        {
            "time": one["time"],
            "effect": one["effect"][item],
            "largest": max(one["effect"][item], default=0.0),
            "share": one["share"][item],
            "loss": one.get("loss"),
        }
        for one in found["removals"]
        if item < len(one["effect"])
    ]
    told = {name: found.get(name) for name in ("step", "source", "loss", "loss_name", "times")}
    answer: dict[str, Any] = strict({**told, "removals": removals, "command": command})
    return answer
