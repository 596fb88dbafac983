"""Room: how much memory may be in use at once for the records that requests and background checks look at.

A record of a large memory needs hundreds of megabytes for a moment. Two of these at once would be more than the server
promises to use, so whoever needs much waits until there is room; records of common size never wait for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from memviz.trace.reader import Record

BYTES = 352 * 2**20
"""What all claims together may need; the server itself takes some 140 MiB."""

COPIES = 4
"""How often the stored numbers of a record, as float32, are in memory while it is looked at: measured on pictures,
lives of slots and lineage of a memory of 4096 slots over 2000 times (docs/performance.md)."""

AT_ONCE = 2
"""Claims at the same time: more would not be faster."""


class Room:
    """Memory for a while. Threads share it; a claim is given when there is room, the largest one alone.

    Args:
        size: bytes that all claims together may have.
        at_once: number of claims at the same time.
    """

    def __init__(self, size: int = BYTES, at_once: int = AT_ONCE) -> None:
        self._size = size
        self._free = size
        self._places = at_once
        self._changed = threading.Condition()

    @contextmanager
    def claim(self, wanted: int) -> Iterator[None]:
        """Wait for so many bytes and keep them to the end of the block. Nobody may claim twice at a time."""
        taken = min(max(0, wanted), self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._places > 0 and self._free >= taken)
            self._places -= 1
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._places += 1
                self._free += taken
                self._changed.notify_all()

    def for_record(self, record: Record) -> AbstractContextManager[None]:
        """Wait for room to look at a record."""
        return self.claim(need_of(record))


def return_what_is_freed() -> None:
    """Let the C library give large blocks back to the system as soon as they are freed.

    By default glibc comes to keep blocks of up to 32 MiB for later, in a pool per thread, which for a server that now
    and then looks at a large record adds up to hundreds of megabytes that nobody uses.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library has other habits
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)


_M_MMAP_THRESHOLD = -3


def need_of(record: Record) -> int:
    """Bytes that looking at a record takes for a moment, from the shapes of what it stores."""
    return COPIES * 4 * sum(math.prod(record.shape(name)) for name in record.stored)
