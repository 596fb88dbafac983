"""Entry points: how third parties add adapters, pages and diagnostics without touching memviz.

Groups: `memviz.adapters`, `memviz.pages`, `memviz.diagnostics`. A broken plugin warns by name and is left out; it
never takes the program down.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any


def load(group: str) -> Iterator[tuple[str, Any]]:
    """Yield `(name, object)` for each working entry point of `group`, in the order of their names.

    The first of two plugins with the same name wins and a warning names both.
    """
    seen: dict[str, str] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        if point.name in seen:
            if seen[point.name] != point.value:
                warnings.warn(
                    f"two plugins of {group} are named {point.name!r}: {seen[point.name]} is used, "
                    f"{point.value} is not",
                    stacklevel=2,
                )
            continue
        seen[point.name] = point.value
        try:
            loaded = point.load()
        except Exception as error:  # a plugin may fail in any way; memviz goes on without it
            warnings.warn(f"plugin {point.name!r} of {group} ({point.value}) failed to load: {error!r}", stacklevel=2)
            continue
        yield point.name, loaded
