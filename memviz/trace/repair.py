"""Repair: bring a trace that a crash or a bad disk left behind into its sound, sealed form.

Nothing that holds data is deleted: what cannot be read moves to `quarantine/` inside the trace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memviz.errors import TraceCorrupt, TraceLocked
from memviz.fields import bare_name, memory_of
from memviz.trace import layout, sealing
from memviz.trace.files import listing
from memviz.trace.header import read_header
from memviz.trace.jsonl import trim
from memviz.trace.live import encode_record, read_live, write_live
from memviz.trace.lock import WriterLock
from memviz.trace.recent import Recent
from memviz.trace.schema import Json, RecordData, TraceHeader
from memviz.trace.segments import SealedRecord, Segment, fetch, open_array, read_segment

_BLOCK = 32 * 2**20


@dataclass
class RepairReport:
    """What repair did to a trace. All names are relative to `path`.

    `removed` were never committed. `quarantined` gives the reason by name. `rescued` are the ids of records taken out
    of a damaged segment, `lost` the full names of the fields that could not be, by record id. `trimmed` gives the bytes
    of a torn last line by file. `sealed` records were packed; `records` are readable now.
    """

    path: Path
    removed: list[str] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    rescued: list[int] = field(default_factory=list)
    lost: dict[int, list[str]] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)
    sealed: int = 0
    records: int = 0
    ranks: dict[int, RepairReport] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        parts = (self.removed, self.quarantined, self.rescued, self.trimmed, self.sealed)
        return any(parts) or any(report.changed for report in self.ranks.values())

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """What was done, one sentence a line."""
        for report in self.ranks.values():
            yield from report.lines()
        if self.ranks:
            return
        for name in self.removed:
            yield f"removed {name}: it was never finished"
        for name, reason in self.quarantined.items():
            yield f"moved {name} to {layout.QUARANTINE}/: {reason}"
        if self.rescued:
            yield f"rescued {len(self.rescued)} records out of damaged segments"
        for record, names in self.lost.items():
            yield f"record {record} lost {', '.join(names)}"
        for name, count in self.trimmed.items():
            yield f"cut {count} bytes of a torn last line off {name}"
        if self.sealed:
            yield f"sealed {self.sealed} records"
        if not self.changed:
            yield "nothing to repair"
        yield f"{self.path}: {self.records} records"


def repair(path: str | os.PathLike[str]) -> RepairReport:
    """Repair the trace in a directory; doing it twice changes nothing more.

    Partial files are removed, unreadable ones set aside, the sound records of a damaged segment taken out of it, torn
    last lines cut off, and live records sealed. For the run of several processes, the trace of each is repaired.

    Raises:
        TraceLocked: the trace is being written.
        TraceNotFound, TraceVersionError: there is no trace, or one of a newer format.
        TraceCorrupt: trace.json is damaged, which nothing else in the trace could replace.
        OSError: the disk refused.
    """
    trace = Path(os.path.abspath(path))
    ranks = {} if (trace / layout.TRACE_JSON).exists() else layout.rank_folders(trace)
    if ranks:
        reports = {rank: repair(folder) for rank, folder in ranks.items()}
        return RepairReport(trace, records=sum(report.records for report in reports.values()), ranks=reports)
    header = read_header(trace)
    try:
        lock = WriterLock(trace)
    except TraceLocked as error:
        raise TraceLocked(f"{error}; a trace that is being written needs no repair") from None
    try:
        return _repair(trace, header)
    finally:
        lock.release()


def _repair(trace: Path, header: TraceHeader) -> RepairReport:
    report = RepairReport(trace)
    for folder in (layout.LIVE, layout.SEALED):
        (trace / folder).mkdir(exist_ok=True)
    report.removed = sealing.remove_partial(trace)
    for name in listing(trace / layout.SEALED):
        if layout.parse_segment_name(name):
            _repair_segment(trace, header, name, report)
    for name in listing(trace / layout.LIVE):
        record = layout.parse_live_name(name)
        if record is not None:
            reason = _live_damage(trace, header, record)
            if reason:
                _quarantine(trace, f"{layout.LIVE}/{name}", reason, report)
    for name in (layout.SCALARS, layout.EVENTS):
        _trim(trace, name, report)
    report.sealed = sealing.seal(trace, header, 256).records
    report.records = len(sealing.sealed_ids(trace))
    return report


def _repair_segment(trace: Path, header: TraceHeader, name: str, report: RepairReport) -> None:
    try:
        segment = read_segment(trace / layout.SEALED / name)
    except TraceCorrupt as error:
        _quarantine(trace, f"{layout.SEALED}/{name}", str(error), report)
        return
    reason = _segment_damage(segment)
    if reason:
        # The live files come first: until the segment moves, readers prefer it, and a crash here is harmless.
        _rescue(trace, header, segment, report)
        _quarantine(trace, f"{layout.SEALED}/{name}", reason, report)


def _segment_damage(segment: Segment) -> str:
    """Why a segment is not sound, empty when every value and label in it can be read."""
    try:
        segment.labels()
        for name, field_ in segment.fields.items():
            count = len(segment.ids)
            if 0 in field_.shape:
                continue
            array = open_array(segment, name)
            step = max(1, _BLOCK * count // max(1, array.size * array.dtype.numpy_dtype.itemsize))
            for start in range(0, count, step):
                fetch(segment, name, array[start : min(start + step, count)])
    except TraceCorrupt as error:
        return str(error)
    return ""


def _rescue(trace: Path, header: TraceHeader, segment: Segment, report: RepairReport) -> None:
    handles: Recent[str, Any] = Recent(512)
    labels: Mapping[str, Mapping[str, Json]] = {}
    with contextlib.suppress(TraceCorrupt):
        labels = segment.labels()
    for row, record in enumerate(segment.ids.tolist()):
        if not _live_damage(trace, header, record):
            continue  # it was still live when its segment was damaged
        place = SealedRecord(segment, row, handles)
        fields: dict[str, np.ndarray] = {}
        for name in segment.fields:
            try:
                fields[name] = place.read(name)
            except TraceCorrupt:
                report.lost.setdefault(record, []).append(name)
        data = RecordData(
            step=int(segment.steps[row]),
            fields=fields,
            wall=float(segment.walls[row]),
            forward=int(segment.forwards[row]),
            batch=segment.batches[row],
            labels=labels.get(str(record), {}),
        )
        write_live(trace / layout.LIVE, record, encode_record(data)[0])
        report.rescued.append(record)


def _live_damage(trace: Path, header: TraceHeader, record: int) -> str:
    """Why a live file is not sound, empty when it is."""
    try:
        live = read_live(trace / layout.LIVE, record)
        live.labels()
    except (TraceCorrupt, FileNotFoundError) as error:
        return str(error)
    for name, tensor in live.tensors.items():
        memory = header.memories.get(memory_of(name))
        known = memory.fields.get(bare_name(name)) if memory else None
        if known is None or len(known.axes) != len(tensor.shape):
            return f"{live.path}: its field {name!r:.80} is not declared so in {layout.TRACE_JSON}"
    return ""


def _quarantine(trace: Path, name: str, reason: str, report: RepairReport) -> None:
    folder = trace / layout.QUARANTINE
    folder.mkdir(exist_ok=True)
    listing(folder)  # refuses a symbolic link
    target = folder / Path(name).name
    copy = 0
    while os.path.lexists(target):
        copy += 1
        target = folder / f"{Path(name).name}.{copy}"
    os.rename(trace / name, target)
    report.quarantined[name] = reason


def _trim(trace: Path, name: str, report: RepairReport) -> None:
    try:
        fd = os.open(trace / name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        _quarantine(trace, name, f"cannot be opened ({error})", report)
        return
    try:
        cut = trim(fd)[1]
    finally:
        os.close(fd)
    if cut:
        report.trimmed[name] = cut
