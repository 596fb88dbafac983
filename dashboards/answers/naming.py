"""What the times of a sequence are called: tokens where there are any, otherwise the phase with a count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 40
"""Characters of a name; a longer one is cut."""


def names_of(labels: Mapping[str, Any], item: int, times: int) -> list[str]:
    """One name per time, "" where there is none.

    Args:
        labels: of the record: `tokens`, a list of words (or one list per item), or `phases`, [name, start, stop] each.
        item: position among the recorded items.
        times: length of the sequence.
    """
    tokens = labels.get("tokens")
    if isinstance(tokens, list) and tokens and isinstance(tokens[min(item, len(tokens) - 1)], list):
        tokens = tokens[min(item, len(tokens) - 1)]
    if isinstance(tokens, list) and tokens:
        named = [str(token)[:LONGEST] for token in tokens[:times]]
        return named + [""] * (times - len(named))
    named = [""] * times
    phases = labels.get("phases")
    for phase in phases if isinstance(phases, list) else []:
        if not (isinstance(phase, list) and len(phase) >= 3 and all(isinstance(end, int) for end in phase[1:3])):
            continue
        name, start, stop = str(phase[0])[:LONGEST], max(0, phase[1]), min(times, phase[2])
        for time in range(start, stop):
            named[time] = name if stop - start == 1 else f"{name} {time - start}"
    return named
