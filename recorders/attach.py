"""`memviz.attach`: find what can be recorded in a model, open the trace, and start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from memviz._version import __version__
from memviz.errors import RecorderError, TraceNotFound
from memviz.recorders.adapters.base import Adapter
from memviz.recorders.assembly import Assembler
from memviz.recorders.discovery import discover
from memviz.recorders.gradients import GradientChoice
from memviz.recorders.recorder import Recorder
from memviz.recorders.schedule import Schedule
from memviz.recorders.selection import BatchChoice, FieldChoice, parse_dtype
from memviz.recorders.sink import POLICIES
from memviz.recorders.triggers import Trigger, parse_triggers
from memviz.trace.destination import is_remote, open_writer, run_name
from memviz.trace.reader import open_trace
from memviz.trace.schema import Json, TraceHeader

LIMIT = 10 * 2**30
"""Bytes that a trace may take unless `limit` says otherwise."""


def attach(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    every: int = 100,
    schedule: Callable[[int], bool] | None = None,
    fields: str | Sequence[str] = "default",
    batch: int | slice | Sequence[int] | str = 0,
    dtype: str | None = None,
    grads: bool | Collection[str] = False,
    on: Trigger | Iterable[Trigger] = (),
    last: int = 0,
    budget: float | None = None,
    policy: str = "drop",
    ranks: int | Collection[int] | str = 0,
    adapter: Adapter | type | str | None = None,
    strict: bool = True,
    resume: bool = False,
    attributes: Mapping[str, Json] | None = None,
    limit: int = LIMIT,
    token: str | None = None,
) -> Recorder:
    """Record the memory of a model while it trains, into a trace at `path`.

    Nothing about the model changes: between sampled forwards two light hooks stay on it, and its values, gradients and
    random numbers are the same bit for bit. `rec.explain()` says in words what will be recorded.

    Args:
        model: the module that the training loop calls.
        path: folder of the trace. If it holds one already, the new one goes beside it (`copy-2`). Or where to send it:
            "memviz://host:port/run" for a `memviz serve --listen`, any URL that fsspec writes for an object store.
        every: record the first forward of every n-th training step. A step is an optimizer update, or a training
            forward where no torch optimizer updates the model.
        schedule: a function of the step that says whether to record it, instead of `every`; such as
            `memviz.recorders.LogSpaced(1.2)`, `memviz.recorders.Cycle(wait=90, active=10)` or what
            `torch.profiler.schedule` returns.
        fields: "default" (what state follows from, gates, keys and keyframes; memviz derives the rest), "all", or a
            list of names such as ["read_weights", "layer0/usage"].
        batch: which batch items: a position, several, a slice, "all", or "worst": the one with the largest loss given
            to `rec.log(per_item=losses)`.
        dtype: "float16", "bfloat16" or "float32" for floating-point fields; None keeps them as computed.
        grads: record the gradient of the loss with respect to each recorded field, and to the memory, as
            `grad/<field>`; or names of fields, such as ["memory"].
        on: triggers, such as [memviz.recorders.OnNaN()]; when one fires the steps that are held are written.
        last: how many steps are always held in memory, to be written when a trigger fires, or when an exception or
            SIGTERM ends the training. Every step is captured then, whatever `every` says.
        budget: the share of the time that recording may take, such as 0.02; steps beyond it are left out.
        policy: when the writer cannot keep up, "drop" records and count them, or "block" until there is room.
        ranks: which ranks of a distributed run record: a rank, several, or "all". On others the recorder does nothing.
        adapter: an adapter, its class or its name; by default all installed ones are tried.
        strict: raise when there is nothing to record, instead of warning.
        resume: continue the trace at `path`.
        attributes: facts about the run for the trace, such as {"task": "copy", "seed": 0}.
        limit: bytes that the trace may take; past half of it records come half as often. Of a trace that is sent
            elsewhere, bytes that may wait here, at most 1 GiB.
        token: shown to a server that listens; MEMVIZ_TOKEN of the environment by default.

    Returns:
        The recorder; close it when training is over, or use it as a context manager.

    Raises:
        NoAdapterError: nothing in the model is known to an adapter, and its code does not tap.
        MissingFieldError: a field was asked for that none of the adapters can reach.
        UnknownNameError: no adapter, or no field, has the name given.
        RecorderError: an argument is not what it should be.
        TraceError: the trace cannot be written.
        RemoteError: the address is none. That a server is not up yet is no error: records wait for it.
    """
    if not isinstance(model, nn.Module):
        raise RecorderError(f"attach() takes a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, nn.DataParallel) and len(model.device_ids) > 1:
        raise RecorderError(
            "DataParallel copies the model to other threads for each forward, out of reach of a recorder; use "
            "DistributedDataParallel, or attach on one device"
        )
    if policy not in POLICIES:
        raise RecorderError(f"policy={policy!r}: expected one of {', '.join(POLICIES)}")
    choice = FieldChoice.parse(fields)
    plans, notes = discover(model, adapter, choice, strict)
    rank, world = _rank()
    recorder = Recorder(
        model,
        plans,
        choice=choice,
        schedule=Schedule(every, schedule),
        assembler=Assembler(BatchChoice(batch), parse_dtype(dtype), grads=GradientChoice(grads)),
        strict=strict,
        triggers=parse_triggers(on),
        last=last,
        budget=budget,
        start=_next_step(path) if resume and not is_remote(path) else 0,
    )
    if not _records(rank, ranks):
        return recorder
    header = TraceHeader(
        memviz_version=__version__,
        created=time.time(),
        run=run_name(path),
        model={"class": type(model).__name__, "parameters": sum(p.numel() for p in model.parameters())},
        attributes=dict(attributes or {}),
        rank=rank,
        world_size=world,
    )
    writer = open_writer(path, header, resume=resume, limit=limit, token=token, say=lambda text: recorder.note(text))
    recorder.start(writer, policy)
    writer.begin()
    for note in notes:
        recorder.warn(note)
    if world == 1 and not is_remote(path) and Path(writer.path) != Path(os.path.abspath(path)):
        recorder.note(f"{path} holds a trace already; this one is written to {writer.path}")
    return recorder


def _next_step(path: str | os.PathLike[str]) -> int:
    """The step after the last one of the trace at `path`; 0 when there is none."""
    try:
        trace = open_trace(path)
    except TraceNotFound:
        return 0
    steps = [int(trace.steps[-1])] if len(trace) else []
    steps += [int(series.steps[-1]) for series in trace.scalars.values() if len(series.steps)]
    return 1 + max(steps, default=-1)


def _rank() -> tuple[int, int]:
    """This process's rank and the number of processes."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _records(rank: int, ranks: int | Collection[int] | str) -> bool:
    if isinstance(ranks, int):
        return rank == ranks
    if isinstance(ranks, str):
        if ranks != "all":
            raise RecorderError(f'ranks={ranks!r}: expected a rank, several, or "all"')
        return True
    return rank in ranks
