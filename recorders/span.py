"""Several forwards as the times of one sequence, for models that are called once per time.

The loop over times of such a model stands in the training script, so nothing tells a recorder where a sequence begins
and ends. A span says it, and then counts as one forward of the attached model.
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Protocol


class Spanned(Protocol):
    """What a span tells of its beginning and its end; the sampler of a recorder."""

    def begin_span(self, frame: FrameType) -> None:
        """Forwards of the model that follow are times of one; `frame` is that of the `with` statement."""
        ...

    def after(self, output: object, failed: bool) -> None:
        """It is over."""
        ...


class Span:
    """The context that `Recorder.sequence()` gives. An exception inside it ends it as it would end a forward."""

    def __init__(self, sampler: Spanned) -> None:
        self._sampler = sampler

    def __enter__(self) -> None:
        self._sampler.begin_span(sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler.after(None, error is not None)
