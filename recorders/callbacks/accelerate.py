"""Hugging Face Accelerate: `Accelerator(log_with=Memviz(model, "runs/copy", every=100))`, then `init_trackers`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from memviz.recorders.attach import attach
from memviz.recorders.callbacks.logs import scalars
from memviz.recorders.recorder import Recorder

try:
    from accelerate.tracking import GeneralTracker
except ImportError as error:
    raise ImportError("memviz.recorders.callbacks.accelerate needs the package accelerate") from error


class Memviz(GeneralTracker):  # type: ignore[misc]
    """A tracker that records from `init_trackers` to `end_training`; `accelerator.log` writes scalars of the trace.

    Args:
        model: the model, before or after `accelerator.prepare`, which keeps it inside what it returns.
        path: as for `memviz.attach`.
        **options: further arguments of `memviz.attach`.

    Attributes:
        recorder: the recorder, None before `init_trackers`.
    """

    name = "memviz"
    requires_logging_directory = False
    main_process_only = False  # `ranks=` of attach says which processes record

    def __init__(self, model: nn.Module, path: str | os.PathLike[str], **options: Any) -> None:
        super().__init__()
        self.recorder: Recorder | None = None
        self._model, self._path, self._options = model, path, options

    @property
    def tracker(self) -> Recorder | None:
        """The recorder."""
        return self.recorder

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Attach; the configuration becomes the attributes of the trace."""
        options = {**self._options, "attributes": {**values, **self._options.get("attributes", {})}}
        self.recorder = attach(self._model, self._path, **options)

    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log scalars."""
        if self.recorder is None:
            self.store_init_configuration({})
        assert self.recorder is not None
        self.recorder.log(step, **scalars(values))

    def finish(self) -> None:
        """Close the trace."""
        if self.recorder is not None:
            self.recorder.close()
