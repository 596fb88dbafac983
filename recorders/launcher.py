"""`memviz run`: record the models of a script that knows nothing of memviz.

`memviz run` replaces itself by `python train.py`, with a file that Python runs first (startup/sitecustomize.py). So
argv, `__main__`, sys.path, signals, tracebacks and the exit code are those of plain Python, because it is plain Python.

In there nothing happens until the script imports torch. Then a hook on all modules looks at each module that is called
from outside any other one, attaches to it if there is something to record, and goes away when no new one has come for
some updates.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

UPDATES = 100
"""Optimizer updates without a new model after which nobody looks for one any more."""

_MODULES = "torch.nn.modules.module"
_STARTUP = Path(__file__).parent / "startup"


def command(arguments: Sequence[str], options: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run a script recorded.

    Args:
        arguments: as for python: a script and its arguments, or "-m", a module and its arguments.
        options: keywords of `memviz.attach` that JSON can hold, `on` as names of triggers, and `out`, the path.
    """
    environment = dict(os.environ)
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = str(_STARTUP) if not before else f"{_STARTUP}{os.pathsep}{before}"
    environment["MEMVIZ_RUN"] = json.dumps({**options, "pythonpath": before})
    # With -I, -E or -s Python would not look at PYTHONPATH, or not find what is installed beside memviz.
    flags = [flag for flag in subprocess._args_from_interpreter_flags() if flag not in ("-I", "-E", "-s", "-P")]  # type: ignore[attr-defined]
    return [sys.executable, *flags, *arguments], environment


def replace_process(arguments: Sequence[str], options: Mapping[str, Any]) -> None:
    """Become the process that runs the script. Does not return."""
    line, environment = command(arguments, options)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # there a process cannot become another one
        sys.exit(subprocess.call(line, env=environment))
    os.execve(line[0], line, environment)


def start(options: dict[str, Any]) -> None:
    """Wait for models in this process; called before the script begins."""
    watch = Watch(options)
    atexit.register(watch.report)
    if _MODULES in sys.modules:
        watch.listen()
    else:
        sys.meta_path.insert(0, _OnImport(watch))


class _OnImport:
    """Tells a watch when torch has defined its modules; finds nothing itself."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if name != _MODULES:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._watch.listen()

            loader.exec_module = exec_module
        return spec


class Watch:
    """Looks at modules when they are first called, and attaches to those that have something to record.

    Args:
        options: see `command`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._out = options.pop("out")
        self._process = os.getpid()
        self._handle: Any = None
        self._updates: Any = None
        self._idle = 0
        self._seen: Any = weakref.WeakSet()
        self._recorders: list[tuple[str, Any]] = []

    def listen(self) -> None:
        """Hear of calls of modules from now on."""
        modules = sys.modules[_MODULES]
        if self._handle is None:
            self._handle = modules.register_module_forward_pre_hook(self._called)

    def _silence(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _called(self, module: Any, args: tuple[Any, ...]) -> None:
        """A module is called. Whatever happens in here, the script goes on."""
        import torch

        if module in self._seen or torch.compiler.is_compiling() or os.getpid() != self._process:
            return
        frame = sys._getframe(1)
        if _inside_another(frame) or torch.jit._trace.is_tracing():
            return
        self._seen.add(module)
        self._idle = 0
        try:
            self._follow_updates()
            self._attach(module, args, frame)
        except Exception as error:
            _say(f"{type(module).__name__} is not recorded: {error}")

    def _attach(self, module: Any, args: tuple[Any, ...], frame: FrameType) -> None:
        from memviz.errors import NoAdapterError
        from memviz.recorders.attach import attach
        from memviz.recorders.compiling import is_compiled

        if is_compiled(module):
            # Compiled code would be traced with the hook in it; the next update listens again.
            self._silence()
        if self._overlaps(module):
            return
        options = {**self._options, "on": [_TRIGGERS[name]() for name in self._options.get("on", ())]}
        try:
            recorder = attach(module, self._out, **options)
        except NoAdapterError:
            return
        self._recorders.append((type(module).__name__, recorder))
        _say(f"recording {type(module).__name__} into {recorder.path}")
        # torch has listed the hooks that it calls before this forward already.
        recorder.catch_up(args, frame.f_locals.get("kwargs", {}), frame)

    def _overlaps(self, module: Any) -> bool:
        """Whether the module is part of one that is recorded already, or has such a one in it."""
        attached = [recorder.model for _, recorder in self._recorders]
        inside = set(module.modules())
        return any(model in inside or module in set(model.modules()) for model in attached)

    def _follow_updates(self) -> None:
        if self._updates is None:
            from torch.optim.optimizer import register_optimizer_step_post_hook

            self._updates = register_optimizer_step_post_hook(self._updated)

    def _updated(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._idle += 1
        if self._idle < UPDATES:
            self.listen()
        else:
            self._silence()

    def report(self) -> None:
        """Say what there is now; called when the program ends, after the recorders have closed themselves."""
        if os.getpid() != self._process:
            return
        for name, recorder in self._recorders:
            count = recorder.stats().recorded
            _say(
                f"{count} record{'' if count == 1 else 's'} of {name} in {recorder.path}; "
                f"to see them: memviz serve {recorder.path}"
            )
        if not self._recorders:
            known = "no module that was called is known to an adapter or calls memviz.tap"
            _say(f"nothing was recorded: {known if _MODULES in sys.modules else 'torch was never imported'}")


def _nan() -> Any:
    from memviz.recorders.triggers import OnNaN

    return OnNaN()


def _loss_spike() -> Any:
    from memviz.recorders.triggers import LossSpike

    return LossSpike()


def _gradient_spike() -> Any:
    from memviz.recorders.triggers import GradientSpike

    return GradientSpike()


_TRIGGERS = {"nan": _nan, "loss-spike": _loss_spike, "gradient-spike": _gradient_spike}
TRIGGERS = tuple(_TRIGGERS)
"""Names of triggers for the option `on`."""


def _inside_another(frame: FrameType) -> bool:
    """Whether the module call of this frame happens inside the call of another module."""
    call = sys.modules[_MODULES].Module._call_impl.__code__
    # This frame is part of one call itself: of the function, or of one nested in it.
    here: FrameType | None = frame if frame.f_code is call else frame.f_back
    here = here.f_back if here is not None else None
    while here is not None:
        if here.f_code is call:
            return True
        here = here.f_back
    return False


def _say(text: str) -> None:
    print(f"memviz: {text}", file=sys.stderr, flush=True)
