"""PyTorch Lightning: `Trainer(callbacks=[Memviz("runs/copy", every=100)])`."""

from __future__ import annotations

import os
from typing import Any

from torch import nn

from memviz.errors import MemvizError, NoAdapterError, RecorderError
from memviz.recorders.attach import attach
from memviz.recorders.callbacks.logs import scalars
from memviz.recorders.discovery import discover
from memviz.recorders.recorder import Recorder
from memviz.recorders.selection import FieldChoice

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    try:
        from pytorch_lightning.callbacks import Callback
    except ImportError as error:
        raise ImportError("memviz.recorders.callbacks.lightning needs lightning, or pytorch-lightning") from error


class Memviz(Callback):  # type: ignore[misc]
    """Records while `trainer.fit` runs; every metric that the module logs becomes a scalar of the trace.

    Lightning calls `training_step`, not the module itself, so the recorder is attached to a module inside: the one
    child in which there is something to record, or the one that is named.

    Args:
        path: as for `memviz.attach`.
        module: dotted name of the module to attach to, such as "model" for `self.model`.
        **options: further arguments of `memviz.attach`.

    Attributes:
        recorder: the recorder of the latest fit, None before the first.
    """

    def __init__(self, path: str | os.PathLike[str], *, module: str | None = None, **options: Any) -> None:
        self.recorder: Recorder | None = None
        self._path, self._module, self._options = path, module, options

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Attach.

        Raises:
            RecorderError: it is not clear to which module.
        """
        self.recorder = attach(_inside(pl_module, self._module), self._path, **self._options)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log what the step has logged, and its loss."""
        if self.recorder is None:
            return
        loss = outputs if not isinstance(outputs, dict) else outputs.get("loss")
        values = {**({} if loss is None else {"loss": loss}), **trainer.logged_metrics}
        self.recorder.log(**scalars(values))

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the trace."""
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the trace of a run that ends early."""
        self._close()

    def _close(self) -> None:
        if self.recorder is not None:
            self.recorder.close()


def _inside(module: nn.Module, name: str | None) -> nn.Module:
    """The module to attach to."""
    if name is not None:
        try:
            return module.get_submodule(name)
        except AttributeError as error:
            children = ", ".join(child for child, _ in module.named_children()) or "none"
            raise RecorderError(f"module={name!r}: {error}; its children are: {children}") from None
    known = [child for child, part in module.named_children() if _recordable(part)]
    if len(known) == 1:
        return module.get_submodule(known[0])
    if not known:
        return module  # attach says what is missing
    raise RecorderError(f"there is something to record in {', '.join(known)}; choose one: Memviz(path, module=...)")


def _recordable(module: nn.Module) -> bool:
    try:
        discover(module, None, FieldChoice.parse("default"), strict=True)
    except NoAdapterError:
        return False
    except MemvizError:
        return True
    return True
