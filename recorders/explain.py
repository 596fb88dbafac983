"""What a recorder says about itself: what it records and derives, what it cannot reach, what never arrived."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

from memviz import fields
from memviz.analysis.replay import derivable
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.assembly import Assembler
from memviz.recorders.capture import Channel, MemoryInfo
from memviz.recorders.faults import Faults
from memviz.recorders.schedule import Schedule
from memviz.recorders.selection import STATES, FieldChoice
from memviz.trace.schema import MemorySchema

if TYPE_CHECKING:
    from memviz.recorders.recorder import Stats


def explain(
    model: nn.Module,
    plans: Sequence[MemoryPlan],
    choice: FieldChoice,
    schedule: Schedule,
    assembler: Assembler,
    faults: Faults,
    stats: Stats,
    also: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text of `Recorder.explain()`; `also` are more lines by title, of which the empty ones are left out."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    dtype = "numbers as computed" if assembler.dtype is None else f"numbers as {str(assembler.dtype).split('.')[-1]}"
    where = stats.path or "nothing: this rank does not record"
    lines = [
        f"{type(model).__name__} ({parameters:,} parameters) is recorded into {where}",
        f"  when    {schedule}: the first forward of the step, with {assembler.batch}, {dtype}",
        f"  so far  {stats.recorded} recorded, {stats.dropped} dropped, {stats.errors} errors, "
        f"{stats.nbytes:,} bytes, {stats.self_time_share:.2%} of the time",
    ]
    lines += [f"  {title:7} {text}" for title, text in also.items() if text]
    if stats.stopped:
        lines.append(f"  stopped {stats.stopped}")
    memories = []
    for plan in plans:
        info = MemoryInfo(plan.law, plan.attributes)
        reachable = [probe.field for probe in plan.probes]
        kept = choice.choose(plan.name, info, reachable)
        perhaps = {probe.field for probe in plan.probes if probe.optional}
        memories.append(
            (plan.name, _memory(f"adapter {plan.adapter}", info, reachable, kept, plan.unreachable, perhaps))
        )
    for name, tapped in assembler.tapped.items():
        memories.append((name, _memory("taps", tapped.info, tapped.reached, tapped.chosen)))
    lines += _grouped(memories)
    if not plans and not assembler.tapped:
        lines.append("  no adapter knows this model; recorded will be what it taps with memviz.tap(name, tensor)")
    lines += [line for text in faults.messages for line in _item("trouble", text)]
    return "\n".join(lines)


def _grouped(memories: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """The lines of each memory under its name; what is the same of several ones is said once."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, said in memories:
        groups.setdefault(tuple(said), []).append(name)
    for (head, *rest), names in groups.items():
        if len(names) > _NAMED:
            names = [*names[:2], "...", f"{names[-1]} ({len(names)} memories)"]
        yield from textwrap.wrap(
            f"{', '.join(names)}: {head}",
            116,
            initial_indent="  ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from rest


_NAMED = 4
"""Names of memories that are listed, where more of them are alike."""


def _memory(
    source: str,
    info: MemoryInfo,
    reachable: Collection[str],
    recorded: Collection[str],
    unreachable: Mapping[str, str] = MappingProxyType({}),
    perhaps: Collection[str] = (),
) -> list[str]:
    """What there is to say of one memory, without its name: what it is, then lines of their own."""
    derived = derivable(MemorySchema("", info.law, attributes=info.attributes), recorded) - set(recorded)
    skipped = {field for field in reachable if field not in recorded and field not in derived and "/" not in field}
    facts = info.attributes
    law = f", law {info.law}" if info.law else ""
    if not info.law and STATES.intersection(reachable):
        law = ", no law, so nothing is derived"
    said = [f"{_short(str(facts.get('class', 'a memory')))} by {source}{law}"]
    sizes = [
        f"{facts[key]} {key.replace('_', ' ')}" for key in ("slots", "words", "read_heads", "heads") if key in facts
    ]
    if sizes:
        said.append(f"    {', '.join(sizes)}")
    if facts.get("how"):
        said += _item("how", str(facts["how"]))
    always, sometimes = [
        _ordered([field for field in recorded if (field in perhaps) == optional]) for optional in (False, True)
    ]
    phrases = [", ".join(always), f"{', '.join(sometimes)} when they occur" if sometimes else ""]
    said += _item("records", "; ".join(filter(None, phrases)) or "nothing")
    if derived:
        said += _item("derives", f"{', '.join(_ordered(derived))}, when they are asked for")
    if skipped:
        said += _item("skips", f'{", ".join(_ordered(skipped))}; fields="all" records them too')
    reasons: dict[str, list[str]] = {}
    for field, why in unreachable.items():
        reasons.setdefault(why, []).append(field)
    for why, names in reasons.items():
        said += _item("cannot", f"{', '.join(names)}: {why}")
    return said


def _short(kind: str) -> str:
    """The name of a class as people import it: torch.nn.LSTM, not torch.nn.modules.rnn.LSTM."""
    *packages, name = kind.split(".")
    for end in range(1, len(packages)):
        home = ".".join(packages[:end])
        found = vars(sys.modules[home]).get(name) if home in sys.modules else None
        if getattr(found, "__module__", None) == ".".join(packages):
            return f"{home}.{name}"
    return kind


def missing(
    model: nn.Module,
    plans: Sequence[MemoryPlan],
    channels: Sequence[Channel],
    arrived: Collection[str],
    choice: FieldChoice,
    troubled: bool,
) -> Iterator[str]:
    """Sentences about what should have arrived in the first sampled forward and did not.

    Args:
        model: the attached model.
        plans: what adapters promised of it.
        channels: those of the probes.
        arrived: full names of what brought a value.
        choice: what was asked for.
        troubled: whether something was tried and failed, which has been said already.
    """
    for plan in plans:
        optional = {f"{plan.name}/{probe.field}" for probe in plan.probes if probe.optional}
        promised = {c.full_name for c in channels if c.memory == plan.name} - optional
        absent = sorted(promised - set(arrived))
        if not absent:
            continue
        if len(absent) == len(promised):
            yield (
                f"{plan.name} was not called in the first sampled forward, so nothing of it was recorded. If the model "
                f"skips its memory, that is right; else it is called in a way that the adapter {plan.adapter!r} does "
                f"not see, or the adapter was written for another version"
            )
        else:
            names = ", ".join(name.removeprefix(f"{plan.name}/") for name in absent)
            yield (
                f"{plan.name}: {names} never arrived, although the adapter {plan.adapter!r} promises them; it was "
                f"probably written for another version of this model. Ask for other fields=, or use memviz.tap"
            )
    memories = {fields.memory_of(name) for name in arrived} - {fields.MODEL}
    if not plans and not memories and not troubled:
        yield no_source(model)
    bare = {fields.bare_name(name) for name in arrived} | set(arrived)
    for name in sorted(choice.names - bare - {f.full_name for f in channels} - {f.field for f in channels}):
        came = ", ".join(sorted(arrived)) or "nothing"
        yield f"the field {name!r} was asked for and never arrived; what arrived: {came}"


def no_source(model: nn.Module) -> str:
    """The sentence for a model in which memviz finds no memory."""
    return (
        f"no adapter knows {type(model).__name__} or a module in it, and its code does not call memviz.tap, so there "
        f"is no memory to record. Call memviz.tap('read_weights', weights) where the model computes them, pass "
        f"adapter= with an adapter of your own, or strict=False to record the model's input and output alone"
    )


def _ordered(names: Collection[str]) -> list[str]:
    order = {name: place for place, name in enumerate(fields.CATALOGUE)}
    return sorted(names, key=lambda name: ("/" in name, order.get(name.rsplit("/", 1)[-1], len(order)), name))


def _item(title: str, text: str) -> list[str]:
    return textwrap.wrap(text, 112, initial_indent=f"    {title:8}", subsequent_indent=" " * 12)
