"""Which diagnostics there are: those of the entry points `memviz.diagnostics`, memviz's own among them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType

from memviz import plugins
from memviz.analysis.diagnostics.base import Diagnostic
from memviz.errors import UnknownNameError

GROUP = "memviz.diagnostics"


def diagnostics() -> Mapping[str, Diagnostic]:
    """All installed diagnostics by name, causes before what follows from them.

    An entry point that is no Diagnostic, or whose name differs from that of its Diagnostic, warns and is left out.
    """
    found = {}
    for name, loaded in plugins.load(GROUP):
        if not isinstance(loaded, Diagnostic) or loaded.name != name:
            warnings.warn(
                f"plugin {name!r} of {GROUP} is left out: expected a memviz Diagnostic named {name!r}, got {loaded!r}",
                stacklevel=2,
            )
            continue
        found[name] = loaded
    return MappingProxyType(dict(sorted(found.items(), key=lambda entry: (entry[1].order, entry[0]))))


def get(name: str) -> Diagnostic:
    """The diagnostic of this name.

    Raises:
        UnknownNameError: there is none; the message offers the nearest name.
    """
    known = diagnostics()
    if name not in known:
        raise UnknownNameError("diagnostic", name, known)
    return known[name]
