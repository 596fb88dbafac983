"""Wraps around plain methods of one object, and around functions where they are looked up.

A wrap passes arguments and results through untouched, and is there only while a sampled forward runs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from memviz.recorders.calls import owner_on_stack


class Listener(Protocol):
    """What a wrap tells of calls; see memviz.recorders.sites.Site."""

    before: bool
    whole: bool
    owners: tuple[Any, ...]

    def collect_before(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """A call is about to run."""
        ...

    def collect_after(self, output: Any) -> None:
        """A call has returned."""
        ...

    def collect_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """A call has returned; for listeners that want its arguments too."""
        ...


_MARK = "_memviz_sites"
_lock = threading.Lock()


class _Sites(list[Listener]):
    """The sites of one wrap; those of a function also by the modules inside which they count."""

    owned: Mapping[int, list[Listener]] = MappingProxyType({})

    def sort_out(self) -> None:
        """After a change: look up again which site belongs to which module."""
        owned: dict[int, list[Listener]] = {}
        for site in self:
            for owner in site.owners:
                owned.setdefault(id(owner), []).append(site)
        self.owned = owned


def wrap(site: Listener, target: Any, name: str) -> None:
    """Wrap a method on its instance, or a function where it is looked up.

    Several recorders share one wrap, so that any of them may go first.
    """
    with _lock:
        attributes = vars(target)
        current = attributes.get(name)
        sites = getattr(current, _MARK, None)
        if sites is None:
            original = getattr(target, name)
            sites = _Sites()
            wrapper = _make_wrapper(original, sites)
            wrapper.__dict__[_MARK] = sites
            wrapper.__dict__["_memviz_previous"] = current
            attributes[name] = wrapper
        sites.append(site)
        sites.sort_out()


def unwrap(site: Listener, target: Any, name: str) -> None:
    """Take a listener out of a wrap; with the last one goes the wrap."""
    with _lock:
        attributes = vars(target)
        wrapper = attributes.get(name)
        sites = getattr(wrapper, _MARK, None)
        if sites is None or site not in sites:
            return
        sites.remove(site)
        sites.sort_out()
        if not sites:
            previous = vars(wrapper)["_memviz_previous"]
            if previous is None:
                del attributes[name]
            else:
                attributes[name] = previous


def _make_wrapper(original: Callable[..., Any], sites: _Sites) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        here = tuple(sites)
        owned = sites.owned
        for site in here:
            if site.before:
                site.collect_before(args, kwargs)
        output = original(*args, **kwargs)
        if owned:
            owner = owner_on_stack(owned, sys._getframe(1))
            here = () if owner is None else tuple(owned[owner])
        for site in here:
            if site.whole:
                site.collect_call(args, kwargs, output)
            elif not site.before:
                site.collect_after(output)
        return output

    return wrapper
