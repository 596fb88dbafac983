"""Hugging Face transformers: `Trainer(..., callbacks=[Memviz("runs/gpt", every=100)])`."""

from __future__ import annotations

import os
from typing import Any

from memviz.recorders.attach import attach
from memviz.recorders.callbacks.logs import scalars
from memviz.recorders.recorder import Recorder

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise ImportError("memviz.recorders.callbacks.huggingface needs the package transformers") from error


class Memviz(TrainerCallback):  # type: ignore[misc]
    """Records while `trainer.train` runs; what the Trainer logs becomes scalars of the trace.

    Args:
        path: as for `memviz.attach`.
        **options: further arguments of `memviz.attach`.

    Attributes:
        recorder: the recorder of the latest training, None before the first.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        self.recorder: Recorder | None = None
        self._path, self._options = path, options

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Attach; steps go on from those of a checkpoint."""
        self._close()
        self.recorder = attach(model, self._path, **self._options)
        if state.global_step:
            self.recorder.step = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Log what the Trainer logs."""
        if self.recorder is not None and logs:
            self.recorder.log(state.global_step, **scalars(logs))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the trace."""
        self._close()

    def _close(self) -> None:
        if self.recorder is not None:
            self.recorder.close()
