"""Strict reading of query parameters: whatever is not exactly what a route expects is refused with a remedy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class ApiError(Exception):
    """A request that cannot be answered, and what the client can do about it.

    Args:
        status: HTTP status.
        what: what was wrong.
        expected: what would have been right.
        remedy: what to do.
    """

    def __init__(self, status: int, what: str, expected: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.body: dict[str, Any] = {"error": {"what": what, "expected": expected, "remedy": remedy}}


class Params:
    """The query of one request. Every parameter must be read by its route, or `done` refuses the request.

    Args:
        args: parameter names and values; a repeated name has several values.
        shared: names that every route accepts.
    """

    def __init__(self, args: Mapping[str, list[str]], shared: Collection[str] = ("v",)) -> None:
        self._args = args
        self._read: set[str] = set(shared)

    def __contains__(self, name: str) -> bool:
        return name in self._args

    def text(self, name: str, default: str | None = None) -> str:
        """A text parameter; required unless there is a default."""
        values = self._values(name)
        if values is None:
            if default is None:
                raise ApiError(400, f"the parameter {name!r} is missing", f"{name}=...", "add it to the address")
            return default
        return values

    def whole(self, name: str, default: int | None = None, *, low: int = 0, high: int | None = None) -> int:
        """A whole number within `[low, high]`, written in decimal digits; required unless there is a default."""
        value = self.optional(name, low=low, high=high)
        if value is None:
            if default is None:
                raise ApiError(400, f"the parameter {name!r} is missing", f"{name}=<number>", "add it to the address")
            return default
        return value

    def optional(self, name: str, *, low: int = 0, high: int | None = None) -> int | None:
        """A whole number within `[low, high]`, or None when the parameter is absent."""
        text = self._values(name)
        if text is None:
            return None
        bounds = f"a whole number from {low}" + (f" to {high}" if high is not None else " up")
        # int() would also take "1_0", " 1" and digits of other scripts.
        if not (text.isascii() and text.removeprefix("-").isdigit()) or len(text) > 18:
            raise ApiError(400, f"{name}={text!r:.40} is not a number", bounds, f"change {name} in the address")
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ApiError(400, f"{name}={value} is out of range", bounds, f"change {name} in the address")
        return value

    def done(self) -> None:
        """Refuse parameters that no one has read: a misspelt name must not silently mean the default."""
        for name in self._args:
            if name not in self._read:
                known = ", ".join(sorted(self._read)) or "none"
                raise ApiError(400, f"there is no parameter {name!r:.40}", f"one of: {known}", "see docs/api.md")

    def _values(self, name: str) -> str | None:
        self._read.add(name)
        values = self._args.get(name)
        if not values:
            return None
        if len(values) > 1:
            raise ApiError(400, f"the parameter {name!r} is given {len(values)} times", "once", "keep one of them")
        return values[0]
