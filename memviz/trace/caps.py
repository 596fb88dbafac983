"""Limits on what a file of a trace may claim, checked before memory is allocated for it.

A trace may come from anywhere. These limits are far above what memviz writes and far below what would hurt: a file
beyond one of them is reported as TraceCorrupt and left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memviz.errors import TraceCorrupt

MAX_TRACE_JSON = 16 * 2**20
"""Bytes of trace.json."""

MAX_LINE = 2**20
"""Bytes of one line of scalars.jsonl or events.jsonl."""

MAX_LIVE_HEADER = 8 * 2**20
"""Bytes of the header of a live record."""

MAX_SEGMENT_JSON = 64 * 2**20
"""Bytes of one zarr.json of a segment; the largest hold the labels of all its records."""

MAX_DIMENSIONS = 16
"""Axes of one field."""

MAX_FIELD_BYTES = 4 * 2**30
"""Bytes of one field of one record."""

MAX_CHUNK_BYTES = 64 * 2**20
"""Bytes of one decompressed chunk: what one compressed file can make a reader allocate at once."""

MAX_SEGMENT_RECORDS = 2**16
"""Records of one segment."""

MAX_NAMES = 2**14
"""Memories of a trace, or fields of a memory."""

MAX_NAME = 240
"""Characters of one part of a name, which is a folder name too."""


def check_shape(shape: Sequence[object], itemsize: int, where: str) -> tuple[int, ...]:
    """The shape as integers, after checking that an array of it may be allocated.

    Args:
        shape: lengths of the axes as a file claims them; anything may be in there.
        itemsize: bytes of one value.
        where: the file and field, for the message.

    Raises:
        TraceCorrupt: a length that is not a non-negative integer, too many axes, or too many bytes.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise corrupt(where, f"claims {len(shape)} axes; at most {MAX_DIMENSIONS} are allowed")
    lengths: list[int] = []
    for length in shape:
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise corrupt(where, f"claims an axis of length {length!r:.40}; expected a whole number from 0 up")
        lengths.append(length)
    size = math.prod(lengths) * itemsize
    # A zero-length axis must not excuse absurd others.
    largest = max(math.prod(max(length, 1) for length in lengths), 1)
    if size > MAX_FIELD_BYTES or largest > MAX_FIELD_BYTES:
        raise corrupt(where, f"claims shape {tuple(lengths)}, more than the {MAX_FIELD_BYTES} bytes allowed")
    return tuple(lengths)


def corrupt(where: str, what: str) -> TraceCorrupt:
    """The error for a damaged file: which file, what is wrong, and the remedy."""
    return TraceCorrupt(f"{where}: {what}. The other records stay readable; `memviz repair` sets damaged files aside.")
